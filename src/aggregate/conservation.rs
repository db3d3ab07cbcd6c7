//! Law 1: what came in equals what is accounted for.

/// Two sums that must be the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Equation {
    /// What is compared.
    pub what: &'static str,
    /// What went in.
    pub total: u64,
    /// Where it is, part by part.
    pub parts: Vec<(&'static str, u64)>,
}

impl Equation {
    /// The parts together.
    pub fn sum(&self) -> u64 {
        self.parts.iter().map(|(_, part)| part).sum()
    }

    /// Whether both sides are the same.
    pub fn holds(&self) -> bool {
        self.total == self.sum()
    }
}

/// All equations of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conservation {
    /// Frames, packets, flows and bytes.
    pub equations: Vec<Equation>,
}

impl Conservation {
    /// Whether nothing was lost or counted twice.
    pub fn holds(&self) -> bool {
        self.equations.iter().all(Equation::holds)
    }
}

impl std::fmt::Display for Equation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.what, self.total)?;
        let shown: Vec<_> = self.parts.iter().filter(|(_, part)| *part > 0).collect();
        for (position, (name, part)) in shown.iter().enumerate() {
            write!(
                f,
                " {} {part} {name}",
                if position == 0 { "=" } else { "+" }
            )?;
        }
        if shown.is_empty() {
            f.write_str(" = 0")?;
        }
        if !self.holds() {
            write!(f, " — DOES NOT ADD UP: {} accounted for", self.sum())?;
        }
        Ok(())
    }
}
