//! Canaries that were issued: JSON Lines in a file, one a line.

use std::path::{Path, PathBuf};

use super::whole_file::write_whole;
use crate::alert::Canary;

/// More than anybody issues.
const BYTES_MAX: u64 = 16 << 20;
/// Who knows a token can let it be seen anywhere: for the owner only.
const MODE: u32 = 0o600;

/// Why canaries could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CanaryFileError {
    /// The system would not give it.
    #[error("{path}: cannot read the canaries: {error}; make one with avscope canary new --canaries {path}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A line that is no canary.
    #[error("{path}:{line}: is no canary: {error}", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        error: serde_json::Error,
    },
    /// The system would not write it.
    #[error("{path}: cannot write the canaries: {error}; is the folder there and writable?", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}

/// Reads what was issued.
pub fn load_canaries(path: &Path) -> Result<Vec<Canary>, CanaryFileError> {
    let read = |error| CanaryFileError::Read {
        path: path.to_owned(),
        error,
    };
    if std::fs::metadata(path).map_err(read)?.len() > BYTES_MAX {
        return Err(read(std::io::Error::other("it is too large")));
    }
    let text = std::fs::read_to_string(path).map_err(read)?;
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(number, line)| {
            serde_json::from_str(line).map_err(|error| CanaryFileError::Line {
                path: path.to_owned(),
                line: number + 1,
                error,
            })
        })
        .collect()
}

/// Adds one to those in the file, or begins the file.
pub fn add_canary(path: &Path, canary: &Canary) -> Result<(), CanaryFileError> {
    let write = |error| CanaryFileError::Write {
        path: path.to_owned(),
        error,
    };
    let mut text = Vec::new();
    match load_canaries(path) {
        Ok(known) => {
            for canary in &known {
                serde_json::to_writer(&mut text, canary).map_err(|error| write(error.into()))?;
                text.push(b'\n');
            }
        }
        Err(CanaryFileError::Read { error, .. })
            if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    serde_json::to_writer(&mut text, canary).map_err(|error| write(error.into()))?;
    text.push(b'\n');
    write_whole(path, &text, MODE).map_err(write)
}
