//! Why a set of rule files cannot be used: one variant per cause, with the place and the remedy.

use std::path::PathBuf;

/// A rule file, or a set of them, that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// A file or folder could not be read.
    #[error("{}: cannot read rules: {reason}; give a folder of <vendor>.toml files", path.display())]
    Unreadable {
        /// What was to be read.
        path: PathBuf,
        /// The system's reason.
        reason: std::io::Error,
    },
    /// The folder given holds no rule file.
    #[error("{}: no rule file <vendor>.toml in this folder, nor in a folder \"vendors\" within it", path.display())]
    NoRuleFiles {
        /// The folder.
        path: PathBuf,
    },
    /// The text is no TOML, or has a key or a value that the format does not know.
    #[error("{file}: {reason}")]
    Syntax {
        /// The file.
        file: String,
        /// Line, column and the known keys, as the TOML reader reports them.
        ///
        /// Not named `source`: the message has it already, and a chain of causes would say it again.
        reason: Box<toml::de::Error>,
    },
    /// The file says something that the format allows and the rules do not.
    #[error("{file}:{line}: {problem}")]
    Meaning {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// Two files describe the same vendor.
    #[error("{second}: vendor {vendor:?} is already described by {first}; keep one file a vendor")]
    VendorTwice {
        /// The vendor's id.
        vendor: String,
        /// The file read first.
        first: String,
        /// The file read second.
        second: String,
    },
    /// More rules, patterns or vendors than an id can count.
    #[error("too many {what}: at most {most} fit into a rule set")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        most: usize,
    },
}
