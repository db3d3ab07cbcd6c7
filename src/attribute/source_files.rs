//! Folders and the built-in table in, the texts of rule files out; a folder's file replaces a built-in vendor whole.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::RulesError;
use super::place::Place;
use super::rule_file::VendorFile;

include!(concat!(env!("OUT_DIR"), "/builtin_rules.rs"));

/// One rule file: where it came from, its text, and what the text says.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Path as given, or path in the repository for a built-in file.
    pub path: String,
    /// The whole text.
    pub text: String,
    /// The parsed text.
    pub(crate) parsed: VendorFile,
}

impl SourceFile {
    /// Parses one file; `path` is used in messages and gives the expected vendor id.
    pub fn parse(path: &str, text: &str) -> Result<Self, RulesError> {
        Ok(Self {
            path: path.to_owned(),
            text: text.to_owned(),
            parsed: VendorFile::parse(path, text)?,
        })
    }

    /// Reads and parses one file.
    pub fn read(path: &Path) -> Result<Self, RulesError> {
        let text = fs::read_to_string(path).map_err(|source| unreadable(path, source))?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// The file for messages that name a line.
    pub(crate) fn place(&self) -> Place<'_> {
        Place {
            path: &self.path,
            text: &self.text,
        }
    }

    /// The id of the vendor that this file describes.
    pub fn vendor_id(&self) -> &str {
        &self.parsed.vendor.id
    }
}

/// The rule files that together make a rule set, ordered by vendor id.
#[derive(Clone, Debug)]
pub struct RuleFiles {
    files: Vec<SourceFile>,
}

impl RuleFiles {
    /// The files compiled into the binary.
    pub fn builtin() -> Result<Self, RulesError> {
        let files = BUILTIN_FILES
            .iter()
            .map(|(path, text)| SourceFile::parse(path, text))
            .collect::<Result<Vec<_>, _>>()?;
        Self::from_files(files)
    }

    /// The built-in files, with those of `folder` added or put in place of the same vendor's.
    pub fn builtin_with_folder(folder: &Path) -> Result<Self, RulesError> {
        Self::builtin()?.overridden_by(Self::folder(folder)?.files)
    }

    /// The files of a folder alone: `*.toml` in it, or in a folder `vendors` within it.
    pub fn folder(folder: &Path) -> Result<Self, RulesError> {
        let nested = folder.join("vendors");
        let place = if nested.is_dir() {
            nested.as_path()
        } else {
            folder
        };
        let mut paths: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(place).map_err(|source| unreadable(place, source))? {
            let path = entry.map_err(|source| unreadable(place, source))?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "toml")
                && path.is_file()
            {
                paths.push(path);
            }
        }
        // A folder may hold policies and nothing else.
        if paths.is_empty() && !folder.join("policies").is_dir() {
            return Err(RulesError::NoRuleFiles {
                path: folder.to_owned(),
            });
        }
        paths.sort();
        let files = paths
            .iter()
            .map(|path| SourceFile::read(path))
            .collect::<Result<Vec<_>, _>>()?;
        Self::from_files(files)
    }

    /// A set of already parsed files; two files of one vendor are an error.
    pub fn from_files(mut files: Vec<SourceFile>) -> Result<Self, RulesError> {
        files.sort_by(|a, b| a.vendor_id().cmp(b.vendor_id()));
        for pair in files.windows(2) {
            if let [first, second] = pair
                && first.vendor_id() == second.vendor_id()
            {
                return Err(RulesError::VendorTwice {
                    vendor: first.vendor_id().to_owned(),
                    first: first.path.clone(),
                    second: second.path.clone(),
                });
            }
        }
        Ok(Self { files })
    }

    /// These files with `others` added, or put in place of the file of the same vendor.
    pub fn overridden_by(self, others: Vec<SourceFile>) -> Result<Self, RulesError> {
        let mut files = self.files;
        files.retain(|file| {
            others
                .iter()
                .all(|other| other.vendor_id() != file.vendor_id())
        });
        files.extend(others);
        Self::from_files(files)
    }

    /// Every file, ordered by vendor id.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// A digest over vendor ids and texts; the order of reading and the paths do not matter.
    pub fn digest(&self) -> String {
        let mut hasher = xxhash_rust::xxh3::Xxh3::new();
        for file in &self.files {
            // Lengths keep two different lists from running together to the same bytes.
            for part in [file.vendor_id(), file.text.as_str()] {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part.as_bytes());
            }
        }
        format!("{:032x}", hasher.digest128())
    }
}

fn unreadable(path: &Path, reason: std::io::Error) -> RulesError {
    RulesError::Unreadable {
        path: path.to_owned(),
        reason,
    }
}
