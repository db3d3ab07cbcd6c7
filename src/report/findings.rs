//! Exposures, policies and an organisation in; what is indicated under which policy out.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::Serialize;

use super::{EngineView, ExposureView, SightingView};
use crate::attribute::{Ruleset, ValidityDate};
use crate::model::{
    Confidence, Contact, CountryCode, EvidenceKind, Purpose, Severity, SourceClass, Verdict,
};
use crate::policy::{
    Basis, Clock, ClockStart, DayKind, EngineInside, Indication, Judgement, Organisation, Outcome,
    Policies, Policy, PolicyKind, PurposeSeen, ReadStatus, Reason, Record, Recorded, Role, judge,
    parse_day,
};

/// What all policies in force say about all exposures.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Digest of all policies that are known.
    pub digest: String,
    /// How many are known.
    pub known: usize,
    /// Roles that were declared.
    pub roles: Vec<Role>,
    /// Policies that were judged by, with how often each result came out.
    pub in_force: Vec<PolicyInForce>,
    /// Cases in which vendor or engine are what a policy in force is about: `indicates` first.
    pub list: Vec<FindingView>,
    /// Those beyond the room for them, `not_applicable` first.
    pub refused: u64,
}

/// A policy that was judged by.
#[derive(Clone, Debug, Serialize)]
pub struct PolicyInForce {
    /// The word for it.
    pub id: String,
    /// Its name.
    pub title: String,
    /// What it is.
    pub kind: PolicyKind,
    /// Why it was judged by.
    pub basis: Basis,
    /// How far the facts that decide were read; `None` where none is given.
    pub read: Option<ReadStatus>,
    /// Where it is written.
    pub cite: Vec<String>,
    /// What only people can answer.
    pub questions: Vec<String>,
    /// What is due once a person has identified a case.
    pub clocks: Vec<ClockView>,
    /// Findings by result.
    pub results: Results,
}

/// Something that is due once a person did something; no packet starts it.
#[derive(Clone, Debug, Serialize)]
pub struct ClockView {
    /// What is due.
    pub what: String,
    /// What a person does that starts it.
    pub starts: ClockStart,
    /// After how many days.
    pub days: u16,
    /// How they are counted.
    pub kind: DayKind,
}

/// How often each result came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Results {
    /// The evidence indicates what the policy is about.
    pub indicates: u64,
    /// An exemption covers it.
    pub exempt: u64,
    /// People must say more.
    pub undetermined: u64,
    /// The policy does not reach it, although vendor or engine are what it is about.
    pub not_applicable: u64,
}

/// What one exposure indicates under one policy.
#[derive(Clone, Debug, Serialize)]
pub struct FindingView {
    /// Names the finding: from site, host, vendor, product, engine and policy.
    pub id: String,
    /// The policy.
    pub policy: String,
    /// Its name.
    pub title: String,
    /// What the evidence says under it.
    pub result: Outcome,
    /// Why.
    pub reason: Reason,
    /// The same in words.
    pub explanation: &'static str,
    /// How grave that is, where it is so.
    pub severity: Severity,
    /// The exposure that shows it.
    pub exposure: String,
    /// Where the host is, where inputs were given a site.
    pub site: Option<String>,
    /// The user's zone that the host is in.
    pub zone: Option<String>,
    /// The host.
    pub host: IpAddr,
    /// Identifier of the vendor.
    pub vendor: String,
    /// Its legal name.
    pub vendor_name: String,
    /// Country of its legal seat.
    pub vendor_seat: CountryCode,
    /// Which product, where it is known.
    pub product: Option<String>,
    /// Whose engine works inside, with its seat.
    pub engine: Option<EngineView>,
    /// What the exposure indicates.
    pub verdict: Verdict,
    /// Whether the vendor's side was seen to answer.
    pub contact: Contact,
    /// The best confidence of any sighting.
    pub confidence: Confidence,
    /// The services that count under the policy.
    pub purposes: Vec<Purpose>,
    /// First sighting of the exposure.
    pub first_seen: String,
    /// Latest packet of it.
    pub last_seen: String,
    /// What was seen, as listed with the exposure.
    pub evidence: Vec<EvidenceView>,
    /// Exceptions that cover it, and those that no longer do.
    pub exemptions: Vec<String>,
    /// What only people can answer.
    pub questions: Vec<String>,
    /// Where the policy is written.
    pub cite: Vec<String>,
}

/// One sighting, enough to find it with its exposure.
#[derive(Clone, Debug, Serialize)]
pub struct EvidenceView {
    /// What kind of fact.
    pub kind: EvidenceKind,
    /// The name.
    pub value: String,
    /// The rule that knew it.
    pub rule_id: String,
    /// Position of the frame in the whole input.
    pub seq: u64,
    /// Timestamp of the frame.
    pub timestamp: String,
}

impl Findings {
    /// Judges every exposure by every policy in force; at most so many findings are listed.
    pub fn of(
        exposures: &[ExposureView],
        policies: &Policies,
        organisation: &Organisation,
        rules: &Ruleset,
        most: usize,
    ) -> Self {
        let mut in_force: Vec<(&Policy, PolicyInForce)> = (policies.iter())
            .filter_map(|policy| Some((policy, in_force(policy, organisation.basis(policy)?))))
            .collect();
        let unverified: BTreeSet<&str> = rules
            .rules()
            .filter(|rule| rule.source_class == SourceClass::Unverified)
            .map(|rule| rule.id.as_str())
            .collect();
        let mut cases: Vec<(&ExposureView, &Policy, Judgement)> = Vec::new();
        for exposure in exposures {
            let seen = indication(exposure, rules, &unverified);
            for (policy, counted) in &mut in_force {
                let judgement = judge(policy, organisation, &seen);
                if judgement.reason != Reason::OtherVendor {
                    counted.results.add(judgement.outcome);
                    cases.push((exposure, policy, judgement));
                }
            }
        }
        // Exposures come in the order of the report, policies by id: equal ranks keep that order.
        cases.sort_by_key(|(_, _, judgement)| rank(judgement.outcome));
        let refused = cases.len().saturating_sub(most) as u64;
        cases.truncate(most);
        Self {
            digest: policies.digest(),
            known: policies.len(),
            roles: organisation.roles.iter().copied().collect(),
            in_force: in_force.into_iter().map(|(_, counted)| counted).collect(),
            list: cases
                .into_iter()
                .map(|(exposure, policy, judgement)| FindingView::of(exposure, policy, judgement))
                .collect(),
            refused,
        }
    }

    /// Whether any policy in force is indicated by anything, listed or not.
    pub fn indicated(&self) -> bool {
        (self.in_force.iter()).any(|policy| policy.results.indicates > 0)
    }

    /// Notes in a record what people may have to act on; what a policy does not reach is not among it.
    pub fn note_in(&self, record: &mut Record) {
        for finding in &self.list {
            if finding.result == Outcome::NotApplicable {
                continue;
            }
            let recorded = Recorded {
                policy: finding.policy.clone(),
                result: finding.result,
                severity: finding.severity,
                exposure: finding.exposure.clone(),
                site: finding.site.clone(),
                host: finding.host.to_string(),
                vendor: finding.vendor.clone(),
                product: finding.product.clone(),
                engine: finding.engine.as_ref().map(|engine| engine.vendor.clone()),
                first_seen: finding.first_seen.clone(),
                last_seen: finding.last_seen.clone(),
                identified: None,
            };
            record.note(&finding.id, recorded);
        }
    }
}

impl Results {
    fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Indicates => self.indicates += 1,
            Outcome::Exempt => self.exempt += 1,
            Outcome::Undetermined => self.undetermined += 1,
            Outcome::NotApplicable => self.not_applicable += 1,
        }
    }

    /// How often that result came out.
    pub const fn of(&self, outcome: Outcome) -> u64 {
        match outcome {
            Outcome::Indicates => self.indicates,
            Outcome::Exempt => self.exempt,
            Outcome::Undetermined => self.undetermined,
            Outcome::NotApplicable => self.not_applicable,
        }
    }
}

impl FindingView {
    fn of(exposure: &ExposureView, policy: &Policy, judgement: Judgement) -> Self {
        Self {
            id: finding_id(exposure, &policy.id),
            policy: policy.id.clone(),
            title: policy.title.clone(),
            result: judgement.outcome,
            reason: judgement.reason,
            explanation: judgement.reason.words(),
            severity: policy.severity(),
            exposure: exposure.id.clone(),
            site: exposure.site.clone(),
            zone: exposure.zone.clone(),
            host: exposure.host,
            vendor: exposure.vendor.clone(),
            vendor_name: exposure.vendor_name.clone(),
            vendor_seat: exposure.vendor_seat,
            product: exposure.product.clone(),
            engine: exposure.engine.clone(),
            verdict: exposure.verdict,
            contact: exposure.contact,
            confidence: exposure.confidence,
            purposes: judgement.purposes,
            first_seen: exposure.first_seen.clone(),
            last_seen: exposure.last_seen.clone(),
            evidence: exposure.evidence.iter().map(EvidenceView::of).collect(),
            exemptions: judgement.exemptions,
            questions: judgement.questions,
            cite: policy.cite.clone(),
        }
    }
}

impl EvidenceView {
    fn of(sighting: &SightingView) -> Self {
        Self {
            kind: sighting.kind,
            value: sighting.value.clone(),
            rule_id: sighting.rule_id.clone(),
            seq: sighting.seq,
            timestamp: sighting.timestamp.clone(),
        }
    }
}

/// What counts most stands first, and what counts least finds no room first.
const fn rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Indicates => 0,
        Outcome::Undetermined => 1,
        Outcome::Exempt => 2,
        Outcome::NotApplicable => 3,
    }
}

fn in_force(policy: &Policy, basis: Basis) -> PolicyInForce {
    let clock = |clock: &Clock| ClockView {
        what: clock.what.clone(),
        starts: clock.starts,
        days: clock.days,
        kind: clock.kind,
    };
    // What began by an earlier version is over.
    let clocks = policy
        .clocks
        .iter()
        .filter(|clock| clock.validity.until.is_none());
    PolicyInForce {
        id: policy.id.clone(),
        title: policy.title.clone(),
        kind: policy.kind,
        basis,
        read: policy.status(),
        cite: policy.cite.clone(),
        questions: policy.questions.clone(),
        clocks: clocks.map(clock).collect(),
        results: Results::default(),
    }
}

/// Names a finding by what makes it one: 16 hexadecimal digits, the same for the same input, rules and policy.
fn finding_id(exposure: &ExposureView, policy: &str) -> String {
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    // The exposure's id is made of site, host, vendor, product and engine.
    for part in [exposure.id.as_str(), policy] {
        hasher.update(part.as_bytes());
        // A byte that no part has keeps two lists from running together.
        hasher.update(&[0xff]);
    }
    format!("{:016x}", hasher.digest())
}

/// An exposure as policies ask about it.
fn indication(exposure: &ExposureView, rules: &Ruleset, unverified: &BTreeSet<&str>) -> Indication {
    let parent = |id: &str| {
        rules
            .vendor_by_id(id)
            .and_then(|vendor| vendor.parent.clone())
    };
    let is_unverified = |sighting: &SightingView| unverified.contains(sighting.rule_id.as_str());
    Indication {
        site: exposure.site.clone(),
        host: exposure.host,
        zone: exposure.zone.clone(),
        parent: parent(&exposure.vendor),
        vendor: exposure.vendor.clone(),
        seat: exposure.vendor_seat,
        product: exposure.product.clone(),
        engine: exposure.engine.as_ref().map(|engine| EngineInside {
            vendor: engine.vendor.clone(),
            parent: parent(&engine.vendor),
            seat: engine.vendor_seat,
            relation: engine.relation,
        }),
        purposes: exposure
            .purposes
            .iter()
            .map(|view| PurposeSeen {
                purpose: view.purpose,
                contacts: view.contacts.contacts,
                questions: view.contacts.questions,
                first_seen: day(&view.first_seen),
                last_seen: day(&view.last_seen),
            })
            .collect(),
        verdict: exposure.verdict,
        contact: exposure.contact,
        confidence: exposure.confidence,
        unverified_only: !exposure.evidence.is_empty()
            && exposure.evidence.iter().all(is_unverified),
        relay: exposure.who.relay.is_some(),
        ech_offered: exposure.ech_offered,
    }
}

/// The day of a time as reports write it; the first of all days where there is none, which lies within no policy's.
fn day(time: &str) -> ValidityDate {
    parse_day(time).unwrap_or(ValidityDate {
        year: 0,
        month: 1,
        day: 1,
    })
}
