//! A folder of installed bundles: one in use, one before it.
//!
//! ```text
//! DIR/versions/<version>-<digest>/   the rule files, and bundle.json, what was signed
//! DIR/current                        a link to the one in use, for --rules DIR/current
//! DIR/previous                       a link to the one before it
//! ```
//!
//! **Invariants**: `current` leads to a whole set of files at every moment, also where the machine stops in between; a file is on the
//! disk before a link leads to it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::bundle::{Bundle, Header};

/// The folder of installed bundles.
#[derive(Clone, Debug)]
pub struct Installed {
    folder: PathBuf,
}

/// What became of an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in use now; the one before it can be gone back to.
    InUse {
        /// Version of the one before it.
        before: Option<u64>,
    },
    /// The very same is in use already.
    Already,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The system refused.
    #[error("{}: {reason}", path.display())]
    Io {
        /// What was to be read or written.
        path: PathBuf,
        /// Why not.
        reason: io::Error,
    },
    /// An older bundle, or another one that says it is the same.
    #[error(
        "version {offered} is not newer than version {in_use}, which is in use; --older installs it all the same"
    )]
    NotNewer {
        /// The version of the bundle.
        offered: u64,
        /// The version in use.
        in_use: u64,
    },
    /// There is nothing before the one in use.
    #[error("{}: no version before the one in use", folder.display())]
    NothingBefore {
        /// The folder.
        folder: PathBuf,
    },
}

const CURRENT: &str = "current";
const PREVIOUS: &str = "previous";
const VERSIONS: &str = "versions";

impl Installed {
    /// The bundles in this folder, which need not be there yet.
    pub fn at(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// What is in use.
    pub fn current(&self) -> Option<Header> {
        header(&self.folder.join(CURRENT))
    }

    /// What was in use before.
    pub fn previous(&self) -> Option<Header> {
        header(&self.folder.join(PREVIOUS))
    }

    /// The folder of rules to use.
    pub fn rules(&self) -> PathBuf {
        self.folder.join(CURRENT)
    }

    /// Puts a bundle into use.
    ///
    /// # Errors
    /// Where it is not newer and `older` does not allow that, or the system refuses; then nothing changed that is in use.
    pub fn install(&self, bundle: &Bundle, older: bool) -> Result<Outcome, InstallError> {
        let in_use = self.current();
        if let Some(in_use) = &in_use {
            let (offered, version) = (&bundle.header, in_use.version);
            if offered.version == version && offered.files == in_use.files {
                return Ok(Outcome::Already);
            }
            if offered.version <= version && !older {
                return Err(InstallError::NotNewer {
                    offered: offered.version,
                    in_use: version,
                });
            }
        }
        let target = self.write(bundle)?;
        if let Ok(before) = fs::read_link(self.folder.join(CURRENT)) {
            self.link(PREVIOUS, &before)?;
        }
        self.link(CURRENT, &target)?;
        self.forget_the_rest();
        Ok(Outcome::InUse {
            before: in_use.map(|header| header.version),
        })
    }

    /// Puts the one before into use, and the one in use in its place: a second time undoes the first.
    ///
    /// # Errors
    /// Where there is none, or the system refuses.
    pub fn roll_back(&self) -> Result<(), InstallError> {
        let link = |name| fs::read_link(self.folder.join(name));
        let (Ok(current), Ok(previous)) = (link(CURRENT), link(PREVIOUS)) else {
            return Err(InstallError::NothingBefore {
                folder: self.folder.clone(),
            });
        };
        if header(&self.folder.join(&previous)).is_none() || current == previous {
            return Err(InstallError::NothingBefore {
                folder: self.folder.clone(),
            });
        }
        self.link(CURRENT, &previous)?;
        self.link(PREVIOUS, &current)
    }

    /// Writes the files of a bundle; the path of their folder as links have it.
    fn write(&self, bundle: &Bundle) -> Result<PathBuf, InstallError> {
        let versions = self.folder.join(VERSIONS);
        make_folder(&versions)?;
        let digest = &bundle.header.digest;
        let name = format!(
            "{}-{}",
            bundle.header.version,
            digest.get(..8).unwrap_or(digest)
        );
        let place = versions.join(&name);
        let beside = versions.join(format!("{name}.new"));
        // Left behind where the machine stopped.
        remove(&beside)?;
        make_folder(&beside)?;
        for (path, text) in &bundle.files {
            let path = beside.join(path);
            if let Some(folder) = path.parent() {
                make_folder(folder)?;
            }
            write_file(&path, text.as_bytes())?;
        }
        let json = serde_json::to_vec_pretty(&bundle.header).map_err(|error| InstallError::Io {
            path: beside.clone(),
            reason: io::Error::other(error),
        })?;
        write_file(&beside.join("bundle.json"), &json)?;
        for folder in [
            beside.join("vendors"),
            beside.join("policies"),
            beside.clone(),
        ] {
            if folder.is_dir() {
                sync_folder(&folder)?;
            }
        }
        // The same version with other content, or the same that is in use no longer; what is in use is never taken away.
        let in_use = fs::read_link(self.folder.join(CURRENT));
        let relative = Path::new(VERSIONS).join(&name);
        if in_use.is_ok_and(|link| link == relative) {
            let unique = versions.join(format!("{name}-again"));
            remove(&unique)?;
            rename(&beside, &unique)?;
            sync_folder(&versions)?;
            return Ok(Path::new(VERSIONS).join(format!("{name}-again")));
        }
        remove(&place)?;
        rename(&beside, &place)?;
        sync_folder(&versions)?;
        Ok(relative)
    }

    /// Lets a link lead elsewhere, in one step.
    fn link(&self, name: &str, target: &Path) -> Result<(), InstallError> {
        let beside = self.folder.join(format!("{name}.new"));
        let failed = |reason| InstallError::Io {
            path: beside.clone(),
            reason,
        };
        match fs::remove_file(&beside) {
            Err(reason) if reason.kind() != io::ErrorKind::NotFound => return Err(failed(reason)),
            _ => {}
        }
        symlink(target, &beside).map_err(failed)?;
        rename(&beside, &self.folder.join(name))?;
        sync_folder(&self.folder)
    }

    /// Removes versions to which no link leads. That one cannot be removed harms nothing.
    fn forget_the_rest(&self) {
        let kept: Vec<PathBuf> = [CURRENT, PREVIOUS]
            .iter()
            .filter_map(|name| fs::read_link(self.folder.join(name)).ok())
            .map(|link| self.folder.join(link))
            .collect();
        let Ok(entries) = fs::read_dir(self.folder.join(VERSIONS)) else {
            return;
        };
        for entry in entries.flatten() {
            if !kept.contains(&entry.path()) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

fn header(folder: &Path) -> Option<Header> {
    let text = fs::read(folder.join("bundle.json")).ok()?;
    serde_json::from_slice(&text).ok()
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> InstallError + '_ {
    |reason| InstallError::Io {
        path: path.to_owned(),
        reason,
    }
}

fn make_folder(path: &Path) -> Result<(), InstallError> {
    fs::create_dir_all(path).map_err(io_error(path))
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), InstallError> {
    let write = || -> io::Result<()> {
        let mut file = File::create_new(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(io_error(path))
}

fn sync_folder(path: &Path) -> Result<(), InstallError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(io_error(path))
}

fn rename(from: &Path, to: &Path) -> Result<(), InstallError> {
    fs::rename(from, to).map_err(io_error(to))
}

fn remove(path: &Path) -> Result<(), InstallError> {
    match fs::remove_dir_all(path) {
        Err(reason) if reason.kind() != io::ErrorKind::NotFound => Err(io_error(path)(reason)),
        _ => Ok(()),
    }
}
