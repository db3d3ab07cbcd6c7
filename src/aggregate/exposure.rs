//! Attributed flows → who talks to whom: one line per host, vendor, product and engine.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{EvidenceSample as Sample, Traffic};
use crate::attribute::{RuleId, RuleMatch, Ruleset, VendorId};
use crate::decode::Address;
use crate::flow::FlowId;
use crate::model::{Confidence, CountryCode, EvidenceKind, Purpose, Timestamp};

/// Names, countries and operators that one exposure lists; further names are counted by `unlisted_sightings`.
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
    /// Sightings of names beyond those listed.
    pub unlisted_sightings: u64,
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
    numbers: BTreeMap<ExposureKey, u32>,
    all: Vec<Exposure>,
    /// Exposures by host and rule: spares the usual sighting the making of a key. Several rules can lead to one exposure.
    by_rule: HashMap<(Address, RuleId), u32>,
    capacity: usize,
    /// Sightings that found no room.
    pub refused: u64,
}

/// A name seen, on its way to become a sample if it is new.
#[derive(Clone, Copy, Debug)]
pub struct Sighting<'a> {
    /// What kind of fact.
    pub kind: EvidenceKind,
    /// The name, as on the wire.
    pub name: &'a [u8],
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
    /// Encrypted ClientHello was offered with it.
    pub ech_offered: bool,
}

impl Exposures {
    /// Room for `capacity` exposures.
    pub fn new(capacity: usize) -> Self {
        Self {
            numbers: BTreeMap::new(),
            all: Vec::new(),
            by_rule: HashMap::new(),
            capacity,
            refused: 0,
        }
    }

    /// All of them, by host, vendor and product.
    pub fn iter(&self) -> impl Iterator<Item = (&ExposureKey, &Exposure)> {
        self.numbers
            .iter()
            .filter_map(|(key, number)| Some((key, self.all.get(*number as usize)?)))
    }

    /// Notes a sighting.
    pub fn sighted(
        &mut self,
        host: Address,
        sighting: &Sighting<'_>,
        rules: &Ruleset,
        places: Places<'_>,
    ) {
        let Some(number) = self.number(host, sighting.rule.rule, rules) else {
            self.refused += 1;
            return;
        };
        if number as usize == self.all.len() {
            self.all.push(Exposure::first_seen_at(sighting.time));
        }
        let Some(exposure) = self.all.get_mut(number as usize) else {
            return;
        };
        let rule = rules.rule(sighting.rule.rule);
        let confidence = rules.confidence(sighting.rule.rule, sighting.kind);
        exposure.first_seen = exposure.first_seen.min(sighting.time);
        exposure.last_seen = exposure.last_seen.max(sighting.time);
        exposure.confidence = exposure.confidence.max(confidence);
        exposure.ech_offered |= sighting.ech_offered;
        *exposure.purposes.entry(rule.purpose).or_default() += 1;
        if exposure.server_countries.len() < LISTED_MAX {
            exposure.server_countries.insert(places.country);
        }
        if let Some((name, country)) = places.operator
            && exposure.operators.len() < LISTED_MAX
            && !exposure.operators.iter().any(|(known, _)| known == name)
        {
            exposure.operators.insert((name.to_owned(), country));
        }
        let known = |sample: &Sample| sample.name == sighting.name && sample.kind == sighting.kind;
        if exposure.samples.iter().any(known) {
            return;
        }
        if exposure.samples.len() < LISTED_MAX {
            exposure.samples.push(sighting.sample(confidence));
        } else {
            exposure.unlisted_sightings += 1;
        }
    }

    /// Adds what a flow carried. False if its exposure had found no room.
    pub fn carried(
        &mut self,
        host: Address,
        rule: RuleMatch,
        traffic: Traffic,
        until: Timestamp,
    ) -> bool {
        let number = self.by_rule.get(&(host, rule.rule));
        let Some(exposure) = number.and_then(|number| self.all.get_mut(*number as usize)) else {
            return false;
        };
        exposure.traffic += traffic;
        exposure.last_seen = exposure.last_seen.max(until);
        true
    }

    /// The number of the exposure that a rule leads to, a new one where there is none; `None` if there is no room.
    fn number(&mut self, host: Address, rule: RuleId, rules: &Ruleset) -> Option<u32> {
        if let Some(number) = self.by_rule.get(&(host, rule)) {
            return Some(*number);
        }
        let next = self.all.len() as u32;
        let room = self.all.len() < self.capacity;
        let number = match self.numbers.entry(key(host, rule, rules)) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(_) if !room => return None,
            Entry::Vacant(entry) => *entry.insert(next),
        };
        self.by_rule.insert((host, rule), number);
        Some(number)
    }
}

impl Exposure {
    fn first_seen_at(time: Timestamp) -> Self {
        Self {
            first_seen: time,
            last_seen: time,
            traffic: Traffic::default(),
            purposes: BTreeMap::new(),
            confidence: Confidence::Low,
            samples: Vec::new(),
            unlisted_sightings: 0,
            server_countries: BTreeSet::new(),
            operators: BTreeSet::new(),
            ech_offered: false,
        }
    }
}

impl Sighting<'_> {
    fn sample(&self, confidence: Confidence) -> Sample {
        Sample {
            kind: self.kind,
            name: self.name.to_vec(),
            rule: self.rule,
            seq: self.seq,
            frame_hash: self.frame_hash,
            time: self.time,
            flow: self.flow,
            server: self.server,
            confidence,
        }
    }
}

/// Where a server stands: two facts that are never derived from each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places<'a> {
    /// Country of the address.
    pub country: Option<CountryCode>,
    /// Name of the network's operator, and the country it is registered in.
    pub operator: Option<(&'a str, Option<CountryCode>)>,
}

fn key(host: Address, rule: RuleId, rules: &Ruleset) -> ExposureKey {
    let rule = rules.rule(rule);
    ExposureKey {
        host,
        vendor: rule.vendor,
        product: rule.product.clone(),
        engine: rule.engine.map(|engine| engine.vendor),
    }
}
