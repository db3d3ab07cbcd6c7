//! Metrics → a file for node_exporter's textfile collector: whole or not at all.

use std::path::{Path, PathBuf};

use prometheus::{Encoder, Registry, TextEncoder};

use super::SummaryCollector;
use crate::store::write_whole;

/// Why metrics could not be written.
#[derive(Debug, thiserror::Error)]
pub enum TextfileError {
    /// A name or label that Prometheus does not take: a defect of the program.
    #[error("cannot write metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The path is there and is no file.
    #[error(
        "{path}: is not a regular file; --metrics replaces its file as a whole, so give it one"
    )]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The system would not write it.
    #[error("{path}: cannot write metrics: {error}; is the folder there and writable?")]
    Io {
        /// The path.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}

/// Whether a file can be put there: nothing is, or one that can be replaced, in a folder that is there.
pub fn check_textfile(path: &Path) -> Result<(), TextfileError> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::metadata(folder).map_err(|error| TextfileError::Io {
        path: path.to_owned(),
        error,
    })?;
    let is_other = std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file());
    if is_other || path.file_name().is_none() {
        return Err(TextfileError::NotAFile {
            path: path.to_owned(),
        });
    }
    Ok(())
}

/// Writes a file beside `path` and gives it that name when it is whole; what was there stays until then.
pub fn write_textfile(collector: SummaryCollector, path: &Path) -> Result<(), TextfileError> {
    check_textfile(path)?;
    let registry = Registry::new();
    registry.register(Box::new(collector))?;
    let mut text = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut text)?;
    let io = |error| TextfileError::Io {
        path: path.to_owned(),
        error,
    };
    // The collector of node_exporter runs as another user: it has to read it.
    write_whole(path, &text, 0o644).map_err(io)
}
