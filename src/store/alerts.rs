//! Alerts → JSON Lines, each when it is raised.

use std::io::Write;

use serde::Serialize;

use crate::alert::Alert;

/// Version of the fields and their meaning.
const SCHEMA_VERSION: u32 = 1;

/// Writes alerts as they come.
pub struct AlertWriter<W: Write> {
    out: W,
}

#[derive(Serialize)]
struct Line<'a> {
    event_type: &'static str,
    schema_version: u32,
    #[serde(flatten)]
    alert: &'a Alert,
}

impl<W: Write> AlertWriter<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out }
    }

    /// One alert, one line; whoever reads on gets it at once.
    pub fn alert(&mut self, alert: &Alert) -> std::io::Result<()> {
        let line = Line {
            event_type: "alert",
            schema_version: SCHEMA_VERSION,
            alert,
        };
        serde_json::to_writer(&mut self.out, &line)?;
        self.out.write_all(b"\n")?;
        self.out.flush()
    }
}
