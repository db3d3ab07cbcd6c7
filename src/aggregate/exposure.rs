//! Attributed flows → who talks to whom: one line per host, vendor, product and engine.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::verdict::{EngineOf, VerdictFacts, VerdictSighting};
use super::{
    Counts, EvidenceSample as Sample, Places, Rhythm, Sighting, Traffic, VerdictLimits,
    VerdictReason,
};
use crate::attribute::{Indicates, RuleId, RuleMatch, Ruleset, VendorId};
use crate::decode::Address;
use crate::model::{AttemptOutcome, Confidence, Contact, CountryCode, Purpose, Timestamp, Verdict};

/// Names, countries and operators that one exposure lists; further names are counted by `unlisted_sightings`.
const LISTED_MAX: usize = 16;

/// What makes two contacts the same exposure.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExposureKey {
    /// Which world the host is in: the same address at two sites is two hosts.
    pub scope: u16,
    /// The home side.
    pub host: Address,
    /// Which of the hosts that had the address in turn, from 0.
    pub tenancy: u16,
    /// Whose name it is.
    pub vendor: VendorId,
    /// Which product, where the rule says.
    pub product: Option<String>,
    /// Whose engine works inside it, where the rule says.
    pub engine: Option<VendorId>,
}

/// How often something was contacted, and how often its name was only asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Contacts {
    /// Messages or flows.
    pub contacts: u64,
    /// Questions to a name service.
    pub questions: u64,
}

/// What an exposure is for one purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurposeRecord {
    /// How often.
    pub contacts: Contacts,
    /// Time of the first sighting.
    pub first_seen: Timestamp,
    /// Time of the latest packet of its flows.
    pub last_seen: Timestamp,
    /// What its flows carried.
    pub traffic: Traffic,
    /// When it was contacted or asked for.
    pub rhythm: Rhythm,
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
    pub purposes: BTreeMap<Purpose, PurposeRecord>,
    /// What became of its flows and questions.
    pub outcomes: [u64; AttemptOutcome::COUNT],
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
    facts: VerdictFacts,
}

/// An address in its world, and which of the hosts that had it in turn.
pub type Host = (u16, Address, u16);

/// All exposures, at most so many.
#[derive(Clone, Debug)]
pub struct Exposures {
    numbers: BTreeMap<ExposureKey, u32>,
    all: Vec<Exposure>,
    /// The key of each, by number.
    keys: Vec<ExposureKey>,
    /// Exposures by host and rule: spares the usual sighting the making of a key. Several rules can lead to one exposure.
    by_rule: HashMap<(Host, RuleId), u32>,
    capacity: usize,
    verdicts: VerdictLimits,
    /// What the last event added to. Reused from event to event: clearing keeps the memory.
    touched: Vec<(Host, RuleId)>,
    /// Sightings that found no room.
    pub refused: u64,
}

/// What a flow adds to its exposure.
#[derive(Clone, Copy, Debug)]
pub struct Carried {
    /// What it carried since it last reported.
    pub traffic: Traffic,
    /// When it began.
    pub since: Timestamp,
    /// Its latest packet.
    pub until: Timestamp,
    /// What became of it, where it is over.
    pub outcome: Option<AttemptOutcome>,
}

impl ExposureKey {
    /// The exposure of a host that a rule leads to.
    pub fn of((scope, host, tenancy): Host, rule: RuleId, rules: &Ruleset) -> Self {
        let rule = rules.rule(rule);
        Self {
            scope,
            host,
            tenancy,
            vendor: rule.vendor,
            product: rule.product.clone(),
            engine: rule.engine.map(|engine| engine.vendor),
        }
    }
}

impl Exposures {
    /// Room for `capacity` exposures.
    pub fn new(capacity: usize, verdicts: VerdictLimits) -> Self {
        Self {
            numbers: BTreeMap::new(),
            all: Vec::new(),
            keys: Vec::new(),
            by_rule: HashMap::new(),
            capacity,
            verdicts,
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

    /// The exposure of a host that a rule leads to.
    pub fn of(&self, host: Host, rule: RuleId) -> Option<(&ExposureKey, &Exposure)> {
        let number = *self.by_rule.get(&(host, rule))? as usize;
        Some((self.keys.get(number)?, self.all.get(number)?))
    }

    /// What all sightings of an exposure indicate, and why.
    pub fn verdict(&self, key: &ExposureKey, exposure: &Exposure) -> (Verdict, VerdictReason) {
        let engine = match key.engine {
            None => EngineOf::Nobody,
            Some(engine) if engine == key.vendor => EngineOf::Vendor,
            Some(_) => EngineOf::Another,
        };
        exposure.facts.verdict(engine, &self.verdicts)
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
        let time = sighting.frame.time;
        exposure.facts.add(
            VerdictSighting {
                at: time,
                purpose: rule.purpose,
                product: rule.indicates == Indicates::Product,
                confidence: sighting.confidence,
            },
            &self.verdicts,
        );
        let record = exposure.purpose(rule.purpose, time);
        record.first_seen = record.first_seen.min(time);
        record.last_seen = record.last_seen.max(time);
        record.rhythm.happened(time, self.verdicts.occasion);
        match sighting.counts {
            Counts::Contact => record.contacts.contacts += 1,
            Counts::Question(outcome) => {
                record.contacts.questions += 1;
                exposure.outcomes[outcome.index()] += 1;
            }
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

    /// Adds what a flow carried, and what became of it where it is over. False if its exposure had found no room.
    pub fn carried(
        &mut self,
        host: Host,
        rule: RuleMatch,
        carried: &Carried,
        rules: &Ruleset,
    ) -> bool {
        let number = self.by_rule.get(&(host, rule.rule));
        let Some(exposure) = number.and_then(|number| self.all.get_mut(*number as usize)) else {
            return false;
        };
        exposure.traffic += carried.traffic;
        exposure.last_seen = exposure.last_seen.max(carried.until);
        let record = exposure.purpose(rules.rule(rule.rule).purpose, carried.since);
        record.traffic += carried.traffic;
        record.last_seen = record.last_seen.max(carried.until);
        if let Some(outcome) = carried.outcome {
            exposure.outcomes[outcome.index()] += 1;
        }
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
            Entry::Vacant(entry) => {
                self.keys.push(entry.key().clone());
                *entry.insert(next)
            }
        };
        self.by_rule.insert((host, rule), number);
        Some(number)
    }
}

impl Exposure {
    /// Whether nothing but questions for names was seen: the vendor's servers may never have been reached.
    pub fn is_only_asked_for(&self) -> bool {
        let mut asked = false;
        for record in self.purposes.values() {
            if record.contacts.contacts > 0 {
                return false;
            }
            asked |= record.contacts.questions > 0;
        }
        asked
    }

    /// Whether the vendor's side was seen to answer.
    pub fn contact(&self) -> Contact {
        let answered = [AttemptOutcome::Reached, AttemptOutcome::OneWay];
        if answered
            .iter()
            .any(|outcome| self.outcomes[outcome.index()] > 0)
        {
            Contact::Reached
        } else {
            Contact::Attempted
        }
    }

    /// On how many occasions there was evidence that counts for the verdict.
    pub const fn solid_occasions(&self) -> u32 {
        self.facts.solid_occasions()
    }

    fn purpose(&mut self, purpose: Purpose, at: Timestamp) -> &mut PurposeRecord {
        self.purposes.entry(purpose).or_insert(PurposeRecord {
            contacts: Contacts::default(),
            first_seen: at,
            last_seen: at,
            traffic: Traffic::default(),
            rhythm: Rhythm::default(),
        })
    }

    /// Lists the sighting if it is the first of its name. A kind that is not listed yet finds room in any case: evidence of
    /// another kind says more than one more name.
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
            return;
        }
        self.unlisted_sightings += 1;
        if self.samples.iter().all(|known| known.kind != sighting.kind) {
            let kinds = |kind| {
                self.samples
                    .iter()
                    .filter(|known| known.kind == kind)
                    .count()
            };
            let spare = self.samples.iter().rposition(|known| kinds(known.kind) > 1);
            if let Some(spare) = spare {
                self.samples[spare] = sighting.sample();
            }
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
            outcomes: [0; AttemptOutcome::COUNT],
            facts: VerdictFacts::default(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends at its first surprise")]
mod tests {
    use super::*;
    use crate::aggregate::FrameRef;
    use crate::flow::FlowId;
    use crate::model::EvidenceKind;

    #[test]
    fn evidence_of_another_kind_finds_room_among_many_names() {
        let rules = Ruleset::builtin().unwrap();
        let mut exposures = Exposures::new(10, VerdictLimits::default());
        let host = (0, [1; 16], 0);
        let mut sight = |kind, name: &str| {
            let sighting = Sighting {
                kind,
                name: name.as_bytes(),
                rule: rules.match_name(name.as_bytes()).unwrap(),
                frame: FrameRef::default(),
                flow: FlowId(0),
                key: bytemuck::Zeroable::zeroed(),
                first_seq: 0,
                server: [2; 16],
                ech_offered: false,
                confidence: Confidence::High,
                counts: Counts::Contact,
            };
            exposures.sighted(host, &sighting, &rules, None);
        };
        for number in 0..20 {
            let name = format!("s{number:02}.upd.kaspersky.com");
            sight(EvidenceKind::DnsQuery, &name);
        }
        sight(EvidenceKind::TlsSni, "s07.upd.kaspersky.com");
        let (_, exposure) = exposures.iter().next().unwrap();
        assert_eq!(exposure.samples.len(), LISTED_MAX);
        let last = exposure.samples.last().unwrap();
        assert_eq!(last.kind, EvidenceKind::TlsSni);
        assert_eq!(
            exposure.unlisted_sightings, 5,
            "four names and the one that gave way"
        );
    }
}
