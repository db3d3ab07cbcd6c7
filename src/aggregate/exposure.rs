//! Attributed flows → who talks to whom: one line per host, vendor, product and engine.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{EvidenceSample as Sample, FrameRef, Traffic};
use crate::attribute::{RuleId, RuleMatch, Ruleset, VendorId};
use crate::decode::Address;
use crate::flow::{FlowId, FlowKey};
use crate::model::{Confidence, CountryCode, EvidenceKind, Purpose, Timestamp};

/// Names, countries and operators that one exposure lists; further names are counted by `unlisted_sightings`.
const LISTED_MAX: usize = 16;

/// What makes two contacts the same exposure.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExposureKey {
    /// Which world the host is in: the same address at two sites is two hosts.
    pub scope: u16,
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
    pub frame: FrameRef,
    /// The flow.
    pub flow: FlowId,
    /// The flow's key: with the position of its first packet enough to find its packets again.
    pub key: FlowKey,
    /// Position of the flow's first packet.
    pub first_seq: u64,
    /// The server contacted.
    pub server: Address,
    /// The rule's confidence, weighed by the kind of evidence.
    pub confidence: Confidence,
}

/// How often something was contacted, and how often its name was only asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Contacts {
    /// Messages or flows.
    pub contacts: u64,
    /// Questions to a name service.
    pub questions: u64,
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
    /// What was contacted or asked for, and how often.
    pub purposes: BTreeMap<Purpose, Contacts>,
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

/// An address in its world.
pub type Host = (u16, Address);

/// All exposures, at most so many.
#[derive(Clone, Debug)]
pub struct Exposures {
    numbers: BTreeMap<ExposureKey, u32>,
    all: Vec<Exposure>,
    /// Exposures by host and rule: spares the usual sighting the making of a key. Several rules can lead to one exposure.
    by_rule: HashMap<(Host, RuleId), u32>,
    capacity: usize,
    /// What the last event added to. Reused from event to event: clearing keeps the memory.
    touched: Vec<(Host, RuleId)>,
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
    pub frame: FrameRef,
    /// The flow.
    pub flow: FlowId,
    /// The flow's key: with the position of its first packet enough to find its packets again.
    pub key: FlowKey,
    /// Position of the flow's first packet.
    pub first_seq: u64,
    /// The server contacted.
    pub server: Address,
    /// Encrypted ClientHello was offered with it.
    pub ech_offered: bool,
    /// How sure an attribution by it is.
    pub confidence: Confidence,
    /// What it counts as.
    pub counts: Counts,
}

/// What a sighting counts as: several may come from one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// A contact with the vendor's service.
    Contact,
    /// A question for its name.
    Question,
    /// It adds to another sighting of the same message.
    Nothing,
}

impl ExposureKey {
    /// The exposure of a host that a rule leads to.
    pub fn of((scope, host): Host, rule: RuleId, rules: &Ruleset) -> Self {
        let rule = rules.rule(rule);
        Self {
            scope,
            host,
            vendor: rule.vendor,
            product: rule.product.clone(),
            engine: rule.engine.map(|engine| engine.vendor),
        }
    }
}

impl Exposures {
    /// Room for `capacity` exposures.
    pub fn new(capacity: usize) -> Self {
        Self {
            numbers: BTreeMap::new(),
            all: Vec::new(),
            by_rule: HashMap::new(),
            capacity,
            touched: Vec::new(),
            refused: 0,
        }
    }

    /// All of them, by host, vendor and product.
    pub fn iter(&self) -> impl Iterator<Item = (&ExposureKey, &Exposure)> {
        self.numbers
            .iter()
            .filter_map(|(key, number)| Some((key, self.all.get(*number as usize)?)))
    }

    /// Hosts and rules that lead to the exposures which the last event added to; the same may come twice.
    pub fn touched(&self) -> &[(Host, RuleId)] {
        &self.touched
    }

    /// Another event begins.
    pub(super) fn next_event(&mut self) {
        self.touched.clear();
    }

    /// Notes a sighting.
    pub fn sighted(
        &mut self,
        host: Host,
        sighting: &Sighting<'_>,
        rules: &Ruleset,
        places: Option<Places<'_>>,
    ) {
        let Some(number) = self.number(host, sighting.rule.rule, rules) else {
            self.refused += 1;
            return;
        };
        if number as usize == self.all.len() {
            self.all.push(Exposure::first_seen_at(sighting.frame.time));
        }
        let Some(exposure) = self.all.get_mut(number as usize) else {
            return;
        };
        self.touched.push((host, sighting.rule.rule));
        let rule = rules.rule(sighting.rule.rule);
        exposure.first_seen = exposure.first_seen.min(sighting.frame.time);
        exposure.last_seen = exposure.last_seen.max(sighting.frame.time);
        exposure.confidence = exposure.confidence.max(sighting.confidence);
        exposure.ech_offered |= sighting.ech_offered;
        let contacts = exposure.purposes.entry(rule.purpose).or_default();
        match sighting.counts {
            Counts::Contact => contacts.contacts += 1,
            Counts::Question => contacts.questions += 1,
            Counts::Nothing => {}
        }
        // A question goes to a resolver: where that stands says nothing about the vendor.
        let Some(places) = places else {
            exposure.list(sighting);
            return;
        };
        if exposure.server_countries.len() < LISTED_MAX {
            exposure.server_countries.insert(places.country);
        }
        if let Some((name, country)) = places.operator
            && exposure.operators.len() < LISTED_MAX
            && !exposure.operators.iter().any(|(known, _)| known == name)
        {
            exposure.operators.insert((name.to_owned(), country));
        }
        exposure.list(sighting);
    }

    /// Adds what a flow carried. False if its exposure had found no room.
    pub fn carried(
        &mut self,
        host: Host,
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
        self.touched.push((host, rule.rule));
        true
    }

    /// The number of the exposure that a rule leads to, a new one where there is none; `None` if there is no room.
    fn number(&mut self, host: Host, rule: RuleId, rules: &Ruleset) -> Option<u32> {
        if let Some(number) = self.by_rule.get(&(host, rule)) {
            return Some(*number);
        }
        let next = self.all.len() as u32;
        let room = self.all.len() < self.capacity;
        let number = match self.numbers.entry(ExposureKey::of(host, rule, rules)) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(_) if !room => return None,
            Entry::Vacant(entry) => *entry.insert(next),
        };
        self.by_rule.insert((host, rule), number);
        Some(number)
    }
}

impl Exposure {
    /// Whether nothing but questions for names was seen: the vendor's servers may never have been reached.
    pub fn is_only_asked_for(&self) -> bool {
        let mut asked = false;
        for contacts in self.purposes.values() {
            if contacts.contacts > 0 {
                return false;
            }
            asked |= contacts.questions > 0;
        }
        asked
    }

    /// Lists the sighting if it is the first of its name.
    fn list(&mut self, sighting: &Sighting<'_>) {
        // Resolvers vary the case of names against forgers.
        let known = |sample: &Sample| {
            sample.kind == sighting.kind && sample.name.eq_ignore_ascii_case(sighting.name)
        };
        if self.samples.iter().any(known) {
            return;
        }
        if self.samples.len() < LISTED_MAX {
            self.samples.push(sighting.sample());
        } else {
            self.unlisted_sightings += 1;
        }
    }

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
    fn sample(&self) -> Sample {
        Sample {
            kind: self.kind,
            name: self.name.to_vec(),
            rule: self.rule,
            frame: self.frame,
            flow: self.flow,
            key: self.key,
            first_seq: self.first_seq,
            server: self.server,
            confidence: self.confidence,
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
