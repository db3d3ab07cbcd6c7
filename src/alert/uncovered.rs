//! Names that no rule knows, near to a vendor that the rules know → suggestions for whoever keeps the rules. Never a label.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::model::{EvidenceKind, closed_set};

/// Names listed of one suggestion; the rest is counted.
const NAMES_MAX: usize = 8;

closed_set! {
    /// Why a name may be a vendor's.
    pub enum SuggestionReason {
        /// It lies under a registrable domain that holds names of this vendor alone.
        SameDomain = "same_domain",
        /// The server's certificate names an organisation of the vendor.
        SameOrganisation = "same_organisation",
        /// The server's address lies in a network of the vendor.
        SameNetwork = "same_network",
    }
}

/// Names to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suggestion {
    /// Identifier of the vendor.
    pub vendor: String,
    /// Why.
    pub reason: SuggestionReason,
    /// The domain, the organisation, or the rule that knows the network.
    pub basis: String,
    /// Names, with how each was seen first; at most eight.
    pub names: Vec<UncoveredName>,
    /// Sightings of all of them.
    pub sightings: u64,
}

/// A name that no rule knows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct UncoveredName {
    /// The name.
    pub value: String,
    /// How it was seen.
    pub kind: EvidenceKind,
}

/// Suggestions by vendor, reason and basis; at most so many.
#[derive(Debug, Default)]
pub struct Suggestions {
    all: BTreeMap<(String, SuggestionReason, String), (BTreeSet<UncoveredName>, u64)>,
    most: usize,
    /// Sightings that found no room.
    pub refused: u64,
}

impl Suggestions {
    /// Room for `most`.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            ..Self::default()
        }
    }

    /// Notes a name.
    pub fn add(
        &mut self,
        vendor: &str,
        reason: SuggestionReason,
        basis: &str,
        name: UncoveredName,
    ) {
        let key = (vendor.to_owned(), reason, basis.to_owned());
        if !self.all.contains_key(&key) && self.all.len() >= self.most {
            self.refused += 1;
            return;
        }
        let (names, sightings) = self.all.entry(key).or_default();
        *sightings += 1;
        if names.len() < NAMES_MAX {
            names.insert(name);
        }
    }

    /// All of them, by vendor.
    pub fn list(&self) -> Vec<Suggestion> {
        self.all
            .iter()
            .map(|((vendor, reason, basis), (names, sightings))| Suggestion {
                vendor: vendor.clone(),
                reason: *reason,
                basis: basis.clone(),
                names: names.iter().cloned().collect(),
                sightings: *sightings,
            })
            .collect()
    }
}
