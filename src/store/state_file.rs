//! The snapshot of what is known from before: one file, replaced whole.

use std::path::{Path, PathBuf};

use super::whole_file::write_whole;
use crate::alert::{State, StateError};

/// More than any snapshot: hosts and exposures have bounds.
const BYTES_MAX: u64 = 1 << 30;
/// It says who talks to whom: for the owner only.
const MODE: u32 = 0o600;

/// Why a snapshot could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateFileError {
    /// It is there and cannot be read.
    #[error("{path}: cannot read the state: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// There is no folder for it.
    #[error(
        "{path}: its folder cannot be used for the state: {error}; make the folder, or name another file"
    )]
    Folder {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// It is no snapshot.
    #[error(
        "{path}: is no state that this version can go on from: {error}; nothing was changed. Name another file, or move this one away to begin anew"
    )]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: StateError,
    },
    /// The system would not write it.
    #[error(
        "{path}: cannot write the state: {error}; is the folder there and writable? What was there is unchanged"
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}

/// What the file knows; nothing where there is no file yet, in a folder that is there.
pub fn load_state(path: &Path) -> Result<State, StateFileError> {
    let read = |error| StateFileError::Read {
        path: path.to_owned(),
        error,
    };
    let found = match std::fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            let folder = std::fs::metadata(folder.unwrap_or(Path::new(".")));
            folder.map_err(|error| StateFileError::Folder {
                path: path.to_owned(),
                error,
            })?;
            return Ok(State::default());
        }
        Err(error) => return Err(read(error)),
    };
    if !found.is_file() || found.len() > BYTES_MAX {
        return Err(read(std::io::Error::other(
            "it is not a regular file, or larger than any state",
        )));
    }
    let text = std::fs::read(path).map_err(read)?;
    State::from_json(&text).map_err(|error| StateFileError::Content {
        path: path.to_owned(),
        error,
    })
}

/// Replaces the file, whole or not at all.
pub fn save_state(path: &Path, state: &State) -> Result<(), StateFileError> {
    write_whole(path, &state.to_json(), MODE).map_err(|error| StateFileError::Write {
        path: path.to_owned(),
        error,
    })
}
