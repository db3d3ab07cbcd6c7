//! A rule set to one signed file and back.
//!
//! The file has a line that says what it is, a line of JSON (the header) with version, digest and a SHA-256 of every rule file, a line with
//! the signature over both, and then the rule files, one behind the other. Ed25519 ([RFC 8032]); nothing else is accepted.
//!
//! **Invariants**: nothing of a bundle is used before its signature, then every digest, then the rules themselves were found right.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::keys::{PublicKey, SecretKey};
use crate::attribute::{RuleFiles, RulesError, Ruleset, SourceFile};

/// The first line of every bundle.
const MAGIC: &str = "avscope rules bundle 1";
/// Largest header: some hundred bytes for each file.
const HEADER_BYTES_MAX: usize = 4 << 20;
/// Files of a bundle: one a vendor, and policies.
const FILES_MAX: usize = 10_000;
/// Largest bundle; the built-in rules have below 2 MB.
pub const BUNDLE_BYTES_MAX: u64 = 256 << 20;

/// What a bundle says of itself, under its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Grows from bundle to bundle; an older one is not installed unless asked for.
    pub version: u64,
    /// Digest of the rule set, as `rules check` and every report show it.
    pub digest: String,
    /// The key by whose secret half it is signed.
    pub key: String,
    /// Rule files, ordered by path.
    pub files: Vec<Entry>,
}

/// One rule file in a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Path in the folder of rules: `vendors/<id>.toml`.
    pub path: String,
    /// Length.
    pub bytes: u64,
    /// SHA-256, in hexadecimal.
    pub sha256: String,
}

/// A bundle whose signature and digests are right, and whose rules compile.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// What it says of itself.
    pub header: Header,
    /// Path and text of every file, ordered by path.
    pub files: Vec<(String, String)>,
}

/// Why a bundle is not used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Another file.
    #[error("no bundle of rules, or of a later version of avscope: {0}")]
    Format(&'static str),
    /// No key that is trusted made the signature.
    #[error(
        "the signature is not by a key that is trusted: signed by {signed_by}, trusted {trusted}"
    )]
    Signature {
        /// The key that the header names; anybody can write that.
        signed_by: String,
        /// Keys that are trusted.
        trusted: String,
    },
    /// A file is not what the header says.
    #[error("{path}: not what was signed")]
    Content {
        /// The file.
        path: String,
    },
    /// A path that leads elsewhere.
    #[error("{path:?}: not a path that a bundle may have")]
    Path {
        /// The path.
        path: String,
    },
    /// The rules are no rule set.
    #[error("the rules do not compile: {0}")]
    Rules(#[from] RulesError),
    /// The rules are another rule set.
    #[error("the rules make {made}, the header says {said}")]
    Digest {
        /// The digest of the rules.
        made: String,
        /// The digest that was signed.
        said: String,
    },
}

/// The bytes of a bundle of files, each with its path in the folder of rules.
///
/// # Errors
/// Where the rules are no rule set, or a path is none that a bundle may have.
pub fn write(
    files: &[(String, String)],
    version: u64,
    key: &SecretKey,
) -> Result<Vec<u8>, BundleError> {
    let mut files = files.to_vec();
    files.sort();
    let entries = files.iter().map(|(path, text)| Entry {
        path: path.clone(),
        bytes: text.len() as u64,
        sha256: hex(&Sha256::digest(text.as_bytes())),
    });
    let header = Header {
        version,
        digest: compile(&files)?,
        key: key.public().id(),
        files: entries.collect(),
    };
    check_paths(&header)?;
    let json = serde_json::to_string(&header).map_err(|_| BundleError::Format("the header"))?;
    let signed = format!("{MAGIC}\n{json}\n");
    let signature = BASE64.encode(key.sign(signed.as_bytes()));
    let mut bytes = format!("{signed}{signature}\n").into_bytes();
    for (_, text) in &files {
        bytes.extend_from_slice(text.as_bytes());
    }
    Ok(bytes)
}

/// A bundle of its bytes, signed by one of these keys.
///
/// # Errors
/// Where anything at all is wrong with it.
pub fn read(bytes: &[u8], trusted: &[PublicKey]) -> Result<Bundle, BundleError> {
    let header = verified(bytes, trusted)?;
    check_paths(&header)?;
    let (_, mut rest) = three_lines(bytes)?;
    let mut files = Vec::with_capacity(header.files.len());
    for entry in &header.files {
        let content = || BundleError::Content {
            path: entry.path.clone(),
        };
        let length = usize::try_from(entry.bytes).map_err(|_| content())?;
        let (own, behind) = rest.split_at_checked(length).ok_or_else(content)?;
        rest = behind;
        if hex(&Sha256::digest(own)) != entry.sha256 {
            return Err(content());
        }
        let text = std::str::from_utf8(own).map_err(|_| content())?;
        files.push((entry.path.clone(), text.to_owned()));
    }
    if !rest.is_empty() {
        return Err(BundleError::Format("something stands behind the last file"));
    }
    let made = compile(&files)?;
    if made != header.digest {
        let said = header.digest;
        return Err(BundleError::Digest { made, said });
    }
    Ok(Bundle { header, files })
}

/// The header, if a key that is trusted signed it. The signature is looked at before the header is read.
fn verified(bytes: &[u8], trusted: &[PublicKey]) -> Result<Header, BundleError> {
    let ([magic, json, signature], _) = three_lines(bytes)?;
    if magic != MAGIC.as_bytes() {
        return Err(BundleError::Format("its first line"));
    }
    let signature = BASE64.decode(signature);
    let signature = signature.map_err(|_| BundleError::Format("the signature is no base64"))?;
    let signed = bytes
        .get(..magic.len() + json.len() + 2)
        .unwrap_or_default();
    let header: Result<Header, _> = serde_json::from_slice(json);
    if !trusted.iter().any(|key| key.verifies(signed, &signature)) {
        let ids: Vec<String> = trusted.iter().map(PublicKey::id).collect();
        let signed_by = header.map_or_else(|_| "unknown".to_owned(), |header| header.key);
        let plain = |c: char| c.is_ascii_hexdigit();
        return Err(BundleError::Signature {
            signed_by: signed_by.chars().filter(|&c| plain(c)).take(64).collect(),
            trusted: ids.join(", "),
        });
    }
    header.map_err(|_| BundleError::Format("the header"))
}

/// The first three lines, and what is behind them.
fn three_lines(bytes: &[u8]) -> Result<([&[u8]; 3], &[u8]), BundleError> {
    let mut rest = bytes;
    let mut lines = [&[][..]; 3];
    for line in &mut lines {
        let window = rest.get(..HEADER_BYTES_MAX).unwrap_or(rest);
        let end = memchr::memchr(b'\n', window).ok_or(BundleError::Format("it has no header"))?;
        let (own, behind) = rest.split_at(end);
        *line = own;
        rest = behind.get(1..).unwrap_or_default();
    }
    Ok((lines, rest))
}

/// Paths lead to a file in one folder below that of the rules, or in it; each once.
fn check_paths(header: &Header) -> Result<(), BundleError> {
    if header.files.is_empty() || header.files.len() > FILES_MAX {
        return Err(BundleError::Format("the number of files"));
    }
    let mut seen = BTreeSet::new();
    for entry in &header.files {
        let parts: Vec<&str> = entry.path.split('/').collect();
        let plain = |part: &&str| {
            let word = part.strip_suffix(".toml").unwrap_or(part);
            !word.is_empty()
                && word
                    .bytes()
                    .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
        };
        let is_file = parts
            .last()
            .is_some_and(|last| last.strip_suffix(".toml").is_some());
        let right = parts.len() <= 2 && is_file && parts.iter().all(plain);
        if !right || !seen.insert(&entry.path) {
            let path = entry.path.chars().take(200).collect();
            return Err(BundleError::Path { path });
        }
    }
    Ok(())
}

/// The digest of the rule set of all vendors' files, which must make one, alone and over the built-in rules.
fn compile(files: &[(String, String)]) -> Result<String, BundleError> {
    let vendors = files
        .iter()
        .filter(|(path, _)| path.starts_with("vendors/"));
    let parsed = vendors.map(|(path, text)| SourceFile::parse(path, text));
    let parsed = parsed.collect::<Result<Vec<_>, _>>()?;
    let alone = RuleFiles::from_files(parsed)?;
    Ruleset::from_files(&alone)?;
    let over = RuleFiles::builtin()?.overridden_by(alone.files().to_vec())?;
    Ruleset::from_files(&over)?;
    Ok(alone.digest())
}

/// Bytes in hexadecimal, lower case.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
#[path = "bundle_tests.rs"]
mod tests;
