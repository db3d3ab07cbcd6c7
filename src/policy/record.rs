//! Findings and what people did about them → one small JSON file, and back; from a day and a policy's clocks to deadlines.
//!
//! **Invariants**: the file is replaced whole or not at all; the same findings noted twice change nothing; a deadline counts from a
//! day that a person gave, never from a packet.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::calendar::{CalendarError, Holidays, parse_day};
use super::policy_file::Policy;
use super::words::{ClockStart, Outcome};
use crate::attribute::ValidityDate;
use crate::model::Severity;

/// Version of the file's fields and their meaning.
const VERSION: u32 = 1;

/// More than any list of findings: half a million of them.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// What is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    version: u32,
    /// Findings by id.
    pub findings: BTreeMap<String, Recorded>,
}

/// One finding as it was noted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// The policy.
    pub policy: String,
    /// What the evidence said under it.
    pub result: Outcome,
    /// How grave that is.
    pub severity: Severity,
    /// The exposure that shows it.
    pub exposure: String,
    /// Where the host is.
    pub site: Option<String>,
    /// The host.
    pub host: String,
    /// Vendor of the product.
    pub vendor: String,
    /// The product.
    pub product: Option<String>,
    /// Vendor of the engine inside.
    pub engine: Option<String>,
    /// First sighting, as reports write it.
    pub first_seen: String,
    /// Last sighting.
    pub last_seen: String,
    /// What a person did.
    pub identified: Option<Identified>,
}

/// That a person identified a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identified {
    /// The day.
    pub at: String,
    /// Who.
    pub by: Option<String>,
    /// In whose words.
    pub note: Option<String>,
    /// The day of the first report.
    pub reported_at: Option<String>,
}

/// When something is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// What.
    pub what: String,
    /// The day.
    pub day: ValidityDate,
    /// The day that it is counted from is known; otherwise it is the latest that it can be.
    pub settled: bool,
}

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The system would not give or take it.
    #[error("{}: {reason}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: std::io::Error,
    },
    /// It is there and is no file that can be replaced.
    #[error("{}: is not a regular file; the record of findings replaces its file as a whole, so give it one", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// No record, or one of another version.
    #[error("{}: no record of findings: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// No such finding.
    #[error("{}: no finding {id:?}; `avscope finding list` names those that there are", path.display())]
    NoFinding {
        /// The file.
        path: PathBuf,
        /// The id.
        id: String,
    },
}

/// What every version of the file has.
#[derive(Deserialize)]
struct Head {
    version: u32,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            version: VERSION,
            findings: BTreeMap::new(),
        }
    }
}

impl Record {
    /// What the file holds.
    pub fn read(path: &Path) -> Result<Self, RecordError> {
        let io = |reason| RecordError::Io {
            path: path.to_owned(),
            reason,
        };
        let wrong = |problem: String| RecordError::Content {
            path: path.to_owned(),
            problem,
        };
        let mut text = String::new();
        let file = File::open(path).map_err(io)?;
        let limit = FILE_BYTES_MAX.saturating_add(1);
        file.take(limit).read_to_string(&mut text).map_err(io)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(wrong(format!("more than {FILE_BYTES_MAX} bytes")));
        }
        // The version first: a later one may have other fields.
        let head: Head = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if head.version != VERSION {
            let known = format!(
                "version {} is not known; this program reads {VERSION}",
                head.version
            );
            return Err(wrong(known));
        }
        serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))
    }

    /// What the file holds, nothing where there is none yet.
    pub fn read_or_new(path: &Path) -> Result<Self, RecordError> {
        match std::fs::symlink_metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            _ => Self::read(path),
        }
    }

    /// Writes a file beside `path` and gives it that name when it is whole; what was there stays until then.
    pub fn write(&self, path: &Path) -> Result<(), RecordError> {
        let io = |reason| RecordError::Io {
            path: path.to_owned(),
            reason,
        };
        let is_other = std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file());
        let Some(name) = path.file_name().filter(|_| !is_other) else {
            return Err(RecordError::NotAFile {
                path: path.to_owned(),
            });
        };
        let mut text = serde_json::to_vec_pretty(self).map_err(|error| io(error.into()))?;
        text.push(b'\n');
        let mut beside = std::ffi::OsString::from(".");
        beside.push(name);
        beside.push(format!(".{}.tmp", std::process::id()));
        let beside = path.with_file_name(beside);
        let written = File::create(&beside).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()
        });
        let renamed = written.and_then(|()| std::fs::rename(&beside, path));
        if renamed.is_err() {
            let _ = std::fs::remove_file(&beside);
        }
        renamed.map_err(io)
    }

    /// Notes a finding. One that is known keeps what people did; it is widened in time, and the later judgement holds.
    pub fn note(&mut self, id: &str, finding: Recorded) {
        let Some(known) = self.findings.get_mut(id) else {
            self.findings.insert(id.to_owned(), finding);
            return;
        };
        // Times as reports write them have one length: the order of the text is that of time.
        let first_seen = known.first_seen.clone().min(finding.first_seen.clone());
        let identified = known.identified.take();
        if finding.last_seen >= known.last_seen {
            *known = finding;
        }
        known.first_seen = first_seen;
        known.identified = identified;
    }
}

/// When a policy wants what, once a person has identified a case.
///
/// # Errors
/// Where a day is none.
pub fn deadlines(policy: &Policy, identified: &Identified) -> Result<Vec<Deadline>, CalendarError> {
    let holidays = Holidays::us_federal();
    let at = parse_day(&identified.at)?;
    let reported = identified
        .reported_at
        .as_deref()
        .map(parse_day)
        .transpose()?;
    let clocks = policy
        .clocks
        .iter()
        .filter(|clock| clock.validity.holds_on(at));
    let mut all = Vec::new();
    // Without a first report the last day for it is the latest that the rest can be counted from.
    let mut last_for_report = at;
    for clock in clocks
        .clone()
        .filter(|clock| clock.starts == ClockStart::Identification)
    {
        let day = holidays.deadline(at, clock.days, clock.kind)?;
        last_for_report = last_for_report.max(day);
        all.push(Deadline {
            what: clock.what.clone(),
            day,
            settled: true,
        });
    }
    for clock in clocks.filter(|clock| clock.starts == ClockStart::FirstReport) {
        let start = reported.unwrap_or(last_for_report);
        all.push(Deadline {
            what: clock.what.clone(),
            day: holidays.deadline(start, clock.days, clock.kind)?,
            settled: reported.is_some(),
        });
    }
    Ok(all)
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
