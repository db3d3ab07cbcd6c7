//! What the user names → the files to read: directories are walked, contents looked at, sites found.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::CaptureError;
use super::input::Input;
use crate::model::Timestamp;

/// Names kept of files that are no captures.
const NAMES_MAX: usize = 10;

/// Folders inside each other that are walked: deeper is a loop of mounts or an attack.
const DEPTH_MAX: usize = 64;

/// What a directory held that was passed over.
#[derive(Clone, Debug, Default)]
pub struct Passed {
    /// Files that are no captures.
    pub not_captures: u64,
    /// The first of their names.
    pub names: Vec<PathBuf>,
    /// Files and folders whose names begin with a dot.
    pub hidden: u64,
    /// Links to folders: what they lead to is read only where it is named.
    pub folder_links: u64,
    /// Files that were found before under another name.
    pub repeated: u64,
}

/// A file to read.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub path: PathBuf,
    /// Folder relative to the argument, as the site's name.
    pub folder: String,
    /// Bytes as it lies there; `None` for what is no regular file.
    pub size: Option<u64>,
    /// When its first frame was captured, unknown for what can be read only once.
    pub first: Option<Timestamp>,
    /// Why it cannot be read.
    pub error: Option<String>,
}

impl Found {
    /// Whether it can be read only once: standard input, a pipe, a device.
    pub fn is_stream(&self) -> bool {
        self.error.is_none() && self.size.is_none()
    }
}

/// Everything that `paths` lead to: files in the order given, those of a directory sorted by path.
pub(super) fn discover(paths: &[PathBuf]) -> (Vec<Found>, Passed) {
    let mut walk = Walk::default();
    for path in paths {
        let metadata = std::fs::metadata(path);
        if path.as_os_str() != "-" && metadata.as_ref().is_ok_and(std::fs::Metadata::is_dir) {
            walk.directory(path, path, 0);
            continue;
        }
        let size = metadata
            .as_ref()
            .ok()
            .filter(|file| path.as_os_str() != "-" && file.is_file())
            .map(std::fs::Metadata::len);
        if let (Some(_), Ok(file)) = (size, &metadata) {
            let identity = (file.dev(), file.ino());
            if walk.in_folders.contains(&identity) {
                walk.passed.repeated += 1;
                continue;
            }
            walk.seen.insert(identity);
        }
        let mut found = Found {
            path: path.clone(),
            // What comes by standard input comes from no folder; that of the process says nothing about it.
            folder: if path.as_os_str() == "-" {
                String::new()
            } else {
                name_of(parent_of(path))
            },
            size,
            first: None,
            error: None,
        };
        if size.is_some() || (metadata.is_err() && path.as_os_str() != "-") {
            match Input::first_time(path) {
                Ok(first) => found.first = first,
                Err(error) => found.error = Some(error.to_string()),
            }
        }
        walk.found.push(found);
    }
    (walk.found, walk.passed)
}

/// Whether a file holds a capture that can be read.
pub fn is_capture(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.is_file()) && Input::first_time(path).is_ok()
}

#[derive(Default)]
struct Walk {
    found: Vec<Found>,
    passed: Passed,
    /// Device and number of the files found.
    seen: HashSet<(u64, u64)>,
    /// Of those found in folders: what was named twice is read twice, as it was said.
    in_folders: HashSet<(u64, u64)>,
}

impl Walk {
    fn directory(&mut self, argument: &Path, folder: &Path, depth: usize) {
        let entries = std::fs::read_dir(folder).and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<std::io::Result<Vec<_>>>()
        });
        let mut entries = match entries {
            Ok(entries) if depth <= DEPTH_MAX => entries,
            Ok(_) => return self.failed(argument, folder, "folders lie too deep in each other"),
            Err(error) => {
                return self.failed(argument, folder, &format!("cannot open: {error}"));
            }
        };
        entries.sort();
        for path in entries {
            if path
                .file_name()
                .is_some_and(|name| name.as_bytes().first() == Some(&b'.'))
            {
                self.passed.hidden += 1;
                continue;
            }
            let is_link = path.is_symlink();
            match std::fs::metadata(&path) {
                Err(error) => self.failed(argument, &path, &format!("cannot open: {error}")),
                Ok(entry) if entry.is_dir() && is_link => self.passed.folder_links += 1,
                Ok(entry) if entry.is_dir() => self.directory(argument, &path, depth + 1),
                Ok(entry) if entry.is_file() => self.file(argument, path, &entry),
                // A pipe or a device: opening it could wait for ever.
                Ok(_) => self.no_capture(path),
            }
        }
    }

    fn file(&mut self, argument: &Path, path: PathBuf, metadata: &std::fs::Metadata) {
        let identity = (metadata.dev(), metadata.ino());
        if !self.seen.insert(identity) {
            self.passed.repeated += 1;
            return;
        }
        self.in_folders.insert(identity);
        match Input::first_time(&path) {
            Err(CaptureError::NotACapture { .. } | CaptureError::Empty { .. }) => {
                self.no_capture(path);
            }
            Err(error) => self.push(argument, path, None, Some(error.to_string())),
            Ok(first) => {
                self.push(argument, path, Some(metadata.len()), None);
                if let Some(found) = self.found.last_mut() {
                    found.first = first;
                }
            }
        }
    }

    fn no_capture(&mut self, path: PathBuf) {
        self.passed.not_captures += 1;
        if self.passed.names.len() < NAMES_MAX {
            self.passed.names.push(path);
        }
    }

    fn failed(&mut self, argument: &Path, path: &Path, why: &str) {
        let error = format!("{}: {why}", path.display());
        self.push(argument, path.to_owned(), None, Some(error));
    }

    fn push(&mut self, argument: &Path, path: PathBuf, size: Option<u64>, error: Option<String>) {
        let parent = parent_of(&path);
        let folder = match parent.strip_prefix(argument) {
            Ok(relative) if relative.as_os_str().is_empty() => name_of(argument),
            Ok(relative) => relative.to_string_lossy().into_owned(),
            Err(_) => name_of(parent),
        };
        self.found.push(Found {
            path,
            folder,
            size,
            first: None,
            error,
        });
    }
}

fn parent_of(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// The last name of a folder, of the real one where it is written as `.` or `..`.
fn name_of(folder: &Path) -> String {
    if let Some(name) = folder.file_name() {
        return name.to_string_lossy().into_owned();
    }
    let real = folder.canonicalize().unwrap_or_default();
    let name = real.file_name().unwrap_or(OsStr::new("/"));
    name.to_string_lossy().into_owned()
}
