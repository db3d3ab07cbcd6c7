//! Attributed flows → who talks to whom: one line per host, vendor, product and engine.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::{EvidenceSample as Sample, Traffic};
use crate::attribute::{RuleMatch, Ruleset, VendorId};
use crate::decode::Address;
use crate::flow::FlowId;
use crate::model::{Confidence, CountryCode, EvidenceKind, Purpose, Timestamp};

/// Names, countries and operators that one exposure lists; further ones are counted by `more`.
const LISTED_MAX: usize = 16;

/// What makes two contacts the same exposure.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExposureKey {
    /// The home side.
    pub host: Address,
    /// Whose name it is.
    pub vendor: VendorId,
    /// Which product, where the rule says.
    pub product: Option<String>,
    /// Whose engine works inside it, where the rule says.
    pub engine: Option<VendorId>,
}

/// One sighting, enough to find it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceSample {
    /// What kind of fact.
    pub kind: EvidenceKind,
    /// The name, as on the wire.
    pub name: Vec<u8>,
    /// The rule and pattern that knew it.
    pub rule: RuleMatch,
    /// The frame that completed the message.
    pub seq: u64,
    /// XXH3-64 of that frame.
    pub frame_hash: u64,
    /// Its timestamp.
    pub time: Timestamp,
    /// The flow.
    pub flow: FlowId,
    /// The server contacted.
    pub server: Address,
    /// The rule's confidence, weighed by the kind of evidence.
    pub confidence: Confidence,
}

/// A host talking to a vendor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// Time of the first sighting.
    pub first_seen: Timestamp,
    /// Time of the latest packet of any of its flows.
    pub last_seen: Timestamp,
    /// What its flows carried.
    pub traffic: Traffic,
    /// What was contacted, and how often.
    pub purposes: BTreeMap<Purpose, u64>,
    /// The best confidence of any sighting.
    pub confidence: Confidence,
    /// The first sighting of each name.
    pub samples: Vec<Sample>,
    /// Names beyond those listed.
    pub more_names: u64,
    /// Countries of the server addresses; `None` is unknown.
    pub server_countries: BTreeSet<Option<CountryCode>>,
    /// Operators of the server addresses with the country they are registered in.
    pub operators: BTreeSet<(String, Option<CountryCode>)>,
    /// A sighting offered Encrypted ClientHello: the name may be a cover.
    pub ech_offered: bool,
}

/// All exposures, at most so many.
#[derive(Clone, Debug)]
pub struct Exposures {
    by_key: BTreeMap<ExposureKey, Exposure>,
    capacity: usize,
    /// Sightings that found no room.
    pub refused: u64,
}

impl Exposures {
    /// Room for `capacity` exposures.
    pub fn new(capacity: usize) -> Self {
        Self {
            by_key: BTreeMap::new(),
            capacity,
            refused: 0,
        }
    }

    /// All of them, by host, vendor and product.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&ExposureKey, &Exposure)> {
        self.by_key.iter()
    }

    /// Notes a sighting.
    pub fn sighted(
        &mut self,
        host: Address,
        sample: Sample,
        ech_offered: bool,
        rules: &Ruleset,
        places: Places,
    ) {
        let rule = rules.rule(sample.rule.rule);
        let key = key(host, sample.rule, rules);
        let room = self.by_key.len() < self.capacity;
        let exposure = match self.by_key.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(_) if !room => {
                self.refused += 1;
                return;
            }
            Entry::Vacant(entry) => entry.insert(Exposure {
                first_seen: sample.time,
                last_seen: sample.time,
                traffic: Traffic::default(),
                purposes: BTreeMap::new(),
                confidence: sample.confidence,
                samples: Vec::new(),
                more_names: 0,
                server_countries: BTreeSet::new(),
                operators: BTreeSet::new(),
                ech_offered: false,
            }),
        };
        exposure.first_seen = exposure.first_seen.min(sample.time);
        exposure.last_seen = exposure.last_seen.max(sample.time);
        exposure.confidence = exposure.confidence.max(sample.confidence);
        exposure.ech_offered |= ech_offered;
        *exposure.purposes.entry(rule.purpose).or_default() += 1;
        if exposure.server_countries.len() < LISTED_MAX {
            exposure.server_countries.insert(places.country);
        }
        if let (Some(operator), true) = (places.operator, exposure.operators.len() < LISTED_MAX) {
            exposure.operators.insert(operator);
        }
        if !exposure
            .samples
            .iter()
            .any(|known| known.name == sample.name && known.kind == sample.kind)
        {
            if exposure.samples.len() < LISTED_MAX {
                exposure.samples.push(sample);
            } else {
                exposure.more_names += 1;
            }
        }
    }

    /// Adds what a flow carried.
    pub fn carried(
        &mut self,
        host: Address,
        rule: RuleMatch,
        rules: &Ruleset,
        traffic: Traffic,
        until: Timestamp,
    ) {
        if let Some(exposure) = self.by_key.get_mut(&key(host, rule, rules)) {
            exposure.traffic += traffic;
            exposure.last_seen = exposure.last_seen.max(until);
        }
    }
}

/// Where a server stands: two facts that are never derived from each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Country of the address.
    pub country: Option<CountryCode>,
    /// Name of the network's operator, and the country it is registered in.
    pub operator: Option<(String, Option<CountryCode>)>,
}

fn key(host: Address, found: RuleMatch, rules: &Ruleset) -> ExposureKey {
    let rule = rules.rule(found.rule);
    ExposureKey {
        host,
        vendor: rule.vendor,
        product: rule.product.clone(),
        engine: rule.engine.map(|engine| engine.vendor),
    }
}
