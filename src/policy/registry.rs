//! The built-in table, a folder and a configuration in; all policies, checked against the vendors that there are, out.

use std::path::{Path, PathBuf};

use super::exemption::Exemption;
use super::judge::{Organisation, owns};
use super::policy_file::Policy;
use crate::attribute::{RulesError, Ruleset};

include!(concat!(env!("OUT_DIR"), "/builtin_policies.rs"));

/// All policies by id, with the digest of their texts.
#[derive(Clone, Debug)]
pub struct Policies {
    policies: Vec<Policy>,
    /// Id and text of each, for the digest.
    texts: Vec<(String, String)>,
}

/// Why policies cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// A file says something that it must not.
    #[error(transparent)]
    File(#[from] RulesError),
    /// A file or folder could not be read.
    #[error("{}: cannot read policies: {reason}", path.display())]
    Unreadable {
        /// What was to be read.
        path: PathBuf,
        /// The system's reason.
        reason: std::io::Error,
    },
    /// Two files of one folder, or two tables of one configuration, with one id.
    #[error("{second}: policy {id:?} stands at {first} already; give each its own id")]
    Twice {
        /// The id.
        id: String,
        /// The first.
        first: String,
        /// The second.
        second: String,
    },
    /// A policy about a vendor that no rule file describes: it could never apply.
    #[error(
        "{place}: policy {policy}: no vendor {vendor:?}; `avscope rules list` names those that there are"
    )]
    UnknownVendor {
        /// Where the policy stands.
        place: String,
        /// The policy.
        policy: String,
        /// The vendor.
        vendor: String,
    },
    /// A policy about an owner that no vendor has.
    #[error("{place}: policy {policy}: no rule file names {parent:?} as a vendor's parent")]
    UnknownParent {
        /// Where the policy stands.
        place: String,
        /// The policy.
        policy: String,
        /// The owner.
        parent: String,
    },
    /// A policy or an exemption about a zone that is not configured.
    #[error("{place}: zone {zone:?} is not configured; known: {known}")]
    UnknownZone {
        /// Where the policy stands, or which exemption it is.
        place: String,
        /// The zone.
        zone: String,
        /// Those configured.
        known: String,
    },
    /// A policy that is named and not there.
    #[error("no policy {id:?}; known: {known}")]
    Unknown {
        /// The id.
        id: String,
        /// Those known.
        known: String,
    },
}

impl Policies {
    /// The policies compiled into the program.
    pub fn builtin() -> Result<Self, PolicyError> {
        let mut all = Self {
            policies: Vec::new(),
            texts: Vec::new(),
        };
        for (path, text) in BUILTIN_POLICIES {
            all.add(Policy::parse(path, text, false)?, (*text).to_owned());
        }
        Ok(all)
    }

    /// The built-in policies with those of the folder's `policies` added, or put in place of the one with the same id.
    pub fn builtin_with_folder(folder: &Path) -> Result<Self, PolicyError> {
        let mut all = Self::builtin()?;
        all.extend(Self::read_folder(folder)?)?;
        Ok(all)
    }

    /// The policies of the files `*.toml` in a folder named `policies` within this one, each with its text.
    pub fn read_folder(folder: &Path) -> Result<Vec<(Policy, String)>, PolicyError> {
        let place = if folder.file_name().is_some_and(|name| name == FOLDER) {
            folder.to_owned()
        } else {
            folder.join(FOLDER)
        };
        if !place.is_dir() {
            return Ok(Vec::new());
        }
        let unreadable = |reason| PolicyError::Unreadable {
            path: place.clone(),
            reason,
        };
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(&place).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|ending| ending == "toml") && path.is_file() {
                paths.push(path);
            }
        }
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    /// One file of the user's.
    pub fn read(path: &Path) -> Result<(Policy, String), PolicyError> {
        let text = std::fs::read_to_string(path).map_err(|reason| PolicyError::Unreadable {
            path: path.to_owned(),
            reason,
        })?;
        let policy = Policy::parse(&path.display().to_string(), &text, true)?;
        Ok((policy, text))
    }

    /// Adds policies of one origin, each in place of a known one with its id; the same id twice among them is an error.
    pub fn extend(&mut self, others: Vec<(Policy, String)>) -> Result<(), PolicyError> {
        for (number, (policy, _)) in others.iter().enumerate() {
            let before = others.iter().take(number);
            if let Some((first, _)) = before.clone().find(|(first, _)| first.id == policy.id) {
                return Err(PolicyError::Twice {
                    id: policy.id.clone(),
                    first: first.place.clone(),
                    second: policy.place.clone(),
                });
            }
        }
        for (policy, text) in others {
            self.add(policy, text);
        }
        Ok(())
    }

    fn add(&mut self, policy: Policy, text: String) {
        self.texts.retain(|(id, _)| *id != policy.id);
        self.policies.retain(|known| known.id != policy.id);
        self.texts.push((policy.id.clone(), text));
        self.policies.push(policy);
        self.texts.sort();
        self.policies.sort_by(|a, b| a.id.cmp(&b.id));
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Policy> {
        self.policies.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.policies.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// The policy with that id.
    ///
    /// # Errors
    /// Where there is none: the message names those that there are.
    pub fn get(&self, id: &str) -> Result<&Policy, PolicyError> {
        let found = self.policies.iter().find(|policy| policy.id == id);
        found.ok_or_else(|| PolicyError::Unknown {
            id: id.to_owned(),
            known: joined(self.policies.iter().map(|policy| policy.id.as_str())),
        })
    }

    /// A digest over ids and texts, whatever the order of reading.
    pub fn digest(&self) -> String {
        let mut hasher = xxhash_rust::xxh3::Xxh3::new();
        for part in self.texts.iter().flat_map(|(id, text)| [id, text]) {
            // Lengths keep two different lists from running together to the same bytes.
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        format!("{:032x}", hasher.digest128())
    }

    /// Whether every vendor and owner that a policy names is known: a slip of the pen must not make a policy silent.
    pub fn check_vendors(&self, rules: &Ruleset) -> Result<(), PolicyError> {
        for policy in &self.policies {
            let own = policy.exemptions.iter();
            let exempted =
                own.flat_map(|exemption| exemption.vendors.iter().chain(&exemption.engines));
            let named = policy.vendors.iter().chain(&policy.engines).chain(exempted);
            for vendor in named {
                if rules.vendor_by_id(vendor).is_none() {
                    return Err(PolicyError::UnknownVendor {
                        place: policy.place.clone(),
                        policy: policy.id.clone(),
                        vendor: vendor.clone(),
                    });
                }
            }
            for parent in &policy.parents {
                let is_parent = |known: &String| owns(parent, known);
                if !rules
                    .vendors()
                    .any(|vendor| vendor.parent.as_ref().is_some_and(is_parent))
                {
                    return Err(PolicyError::UnknownParent {
                        place: policy.place.clone(),
                        policy: policy.id.clone(),
                        parent: parent.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    /// Whether everything that an organisation names is there: policies, and zones in policies and exemptions.
    pub fn check_organisation(
        &self,
        organisation: &Organisation,
        zones: &[&str],
    ) -> Result<(), PolicyError> {
        for id in organisation.named.iter().chain(&organisation.adopted) {
            self.get(id)?;
        }
        let check = |place: &dyn Fn() -> String, named: &[String]| match named
            .iter()
            .find(|zone| !zones.contains(&zone.as_str()))
        {
            None => Ok(()),
            Some(zone) => Err(PolicyError::UnknownZone {
                place: place(),
                zone: zone.clone(),
                known: joined(zones.iter().copied()),
            }),
        };
        for Exemption {
            policy,
            reason,
            zones,
            ..
        } in &organisation.exemptions
        {
            self.get(policy)?;
            check(&|| format!("exemption from {policy} ({reason})"), zones)?;
        }
        for policy in &self.policies {
            check(&|| policy.place.clone(), &policy.zones)?;
            for exemption in &policy.exemptions {
                check(&|| policy.place.clone(), &exemption.zones)?;
            }
        }
        Ok(())
    }
}

/// The folder of policies within a folder of rules.
pub const FOLDER: &str = "policies";

fn joined<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.collect();
    if words.is_empty() {
        "none".to_owned()
    } else {
        words.join(", ")
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
