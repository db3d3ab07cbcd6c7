//! The text of a pattern for names in; the name, and whether names under it are meant, out.
//!
//! **Invariants**: whole labels only; nothing as wide as a top-level domain or a zone in which anybody can have a name.

/// Longest name in DNS text form without the final dot ([RFC 1035 §2.3.4]: 255 octets on the wire).
pub(crate) const NAME_LENGTH_MAX: usize = 253;
/// Longest label of a name ([RFC 1035 §2.3.4]).
const LABEL_LENGTH_MAX: usize = 63;

/// A pattern taken apart: `*.x` is every name under `x` but not `x`; a bare name is that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NamePattern<'a> {
    /// The name, or for a wildcard the name above all names meant; lower case.
    pub base: &'a str,
    /// Whether the names under `base` are meant instead of `base` itself.
    pub wildcard: bool,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternProblem {
    /// Nothing, or nothing after `*.`.
    #[error("the name is empty")]
    Empty,
    /// Beyond what DNS can carry.
    #[error("the name is longer than {NAME_LENGTH_MAX} characters")]
    TooLong,
    /// An empty label, or one beyond 63 characters.
    #[error("the label {0:?} is empty or longer than {LABEL_LENGTH_MAX} characters")]
    Label(String),
    /// A character outside a-z, 0-9, `-`, `_`.
    #[error(
        "the character {0:?} does not belong there; names are lower case a-z, 0-9, \"-\", \"_\", and \"*.\" only at the start"
    )]
    Character(char),
    /// A pattern as wide as a top-level domain.
    #[error("one label is too wide; give at least two, as in \"vendor.com\"")]
    OneLabel,
    /// A wildcard over a zone in which anybody can have a name.
    #[error("everybody can have a name under {0:?}; give exact names")]
    SharedZone(String),
}

/// Zones of hosting providers: a wildcard directly on one would claim everybody's names.
const SHARED_ZONES: &[&str] = &[
    "akadns.net",
    "akamaihd.net",
    "akamaized.net",
    "amazonaws.com",
    "appspot.com",
    "azure.com",
    "azureedge.net",
    "azurewebsites.net",
    "blob.core.windows.net",
    "cloudapp.azure.com",
    "cloudapp.net",
    "cloudfront.net",
    "core.windows.net",
    "edgekey.net",
    "edgesuite.net",
    "elb.amazonaws.com",
    "fastly.net",
    "github.io",
    "googleapis.com",
    "herokuapp.com",
    "microsoft.com",
    "s3.amazonaws.com",
    "trafficmanager.net",
    "windows.net",
];

impl<'a> NamePattern<'a> {
    /// Takes a pattern apart and checks it.
    pub fn parse(text: &'a str) -> Result<Self, PatternProblem> {
        let (base, wildcard) = match text.strip_prefix("*.") {
            Some(base) => (base, true),
            None => (text, false),
        };
        if base.is_empty() {
            return Err(PatternProblem::Empty);
        }
        if base.len() > NAME_LENGTH_MAX {
            return Err(PatternProblem::TooLong);
        }
        if let Some(wrong) = base
            .chars()
            .find(|&c| !matches!(c, 'a'..='z' | '0'..='9' | '-' | '_' | '.'))
        {
            return Err(PatternProblem::Character(wrong));
        }
        if let Some(label) = base
            .split('.')
            .find(|label| label.is_empty() || label.len() > LABEL_LENGTH_MAX)
        {
            return Err(PatternProblem::Label(label.to_owned()));
        }
        if !base.contains('.') {
            return Err(PatternProblem::OneLabel);
        }
        if wildcard && SHARED_ZONES.contains(&base) {
            return Err(PatternProblem::SharedZone(base.to_owned()));
        }
        Ok(Self { base, wildcard })
    }

    /// A name that the pattern means, for tests of precedence.
    pub fn probe(self) -> String {
        if self.wildcard {
            format!("any-name-at-all.{}", self.base)
        } else {
            self.base.to_owned()
        }
    }
}
