//! One policy and one indication in; what the evidence says under that policy, why, and what people must answer, out.
//!
//! A pure function: the days are those of the packets, and nothing else is asked. The conditions stand in the order of
//! `docs/POLICIES.md`; the first that decides, decides.

use std::collections::BTreeSet;

use super::exemption::Exemption;
use super::indication::{Indication, PurposeSeen};
use super::policy_file::Policy;
use super::words::{Basis, Embedded, Outcome, PolicyKind, Reason, Role};
use crate::attribute::ValidityDate;
use crate::model::{Confidence, Contact, CountryCode, Purpose, Verdict};

/// What an organisation says of itself, and what a run was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Organisation {
    /// Its roles; none is assumed.
    pub roles: BTreeSet<Role>,
    /// Policies that it takes over although no role of its is bound.
    pub adopted: BTreeSet<String>,
    /// Policies that a run was asked to judge by, whatever the roles; where there are any, by these only.
    pub named: BTreeSet<String>,
    /// Exceptions that it makes.
    pub exemptions: Vec<Exemption>,
}

impl Organisation {
    /// Why a policy is judged by; `None` where it is not.
    pub fn basis(&self, policy: &Policy) -> Option<Basis> {
        if !self.named.is_empty() {
            return self.named.contains(&policy.id).then_some(Basis::Named);
        }
        if policy.binds.iter().any(|role| self.roles.contains(role)) {
            Some(Basis::Role)
        } else if self.adopted.contains(&policy.id) {
            Some(Basis::Adopted)
        } else if policy.own && policy.binds.is_empty() {
            Some(Basis::Own)
        } else {
            None
        }
    }
}

/// What the evidence says under one policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The result.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
    /// Why the policy is judged by.
    pub basis: Option<Basis>,
    /// What only people can answer.
    pub questions: Vec<String>,
    /// Exceptions that cover it, and those that no longer do.
    pub exemptions: Vec<String>,
    /// The services that count, with their contacts within the policy's days.
    pub purposes: Vec<Purpose>,
}

/// How an indication is what a policy is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Match {
    /// The product's vendor.
    Vendor,
    /// The vendor of the engine inside.
    Engine,
    /// The vendor of the engine inside, and it is not known whether the policy reaches it.
    PerhapsEngine,
    /// The product's vendor, of which only engine or cloud are known.
    Either,
}

/// Judges one indication by one policy.
pub fn judge(policy: &Policy, organisation: &Organisation, seen: &Indication) -> Judgement {
    let basis = organisation.basis(policy);
    let mut judgement = Judgement {
        outcome: Outcome::NotApplicable,
        reason: Reason::RoleNotDeclared,
        basis,
        questions: Vec::new(),
        exemptions: Vec::new(),
        purposes: Vec::new(),
    };
    if basis.is_none() {
        return judgement;
    }
    let matched = match matched(policy, seen) {
        Ok(matched) => matched,
        Err(reason) => return judgement.because(Outcome::NotApplicable, reason),
    };
    if let Some(reason) = out_of_scope(policy, seen) {
        return judgement.because(Outcome::NotApplicable, reason);
    }
    let counted = match counted(policy, seen) {
        Ok(counted) => counted,
        Err((outcome, reason)) => {
            judgement.ask(policy, seen, outcome, reason);
            return judgement.because(outcome, reason);
        }
    };
    let counted = left_by_exemptions(policy, organisation, seen, counted, &mut judgement);
    if counted.is_empty() {
        return judgement.because(Outcome::Exempt, Reason::Exemption);
    }
    judgement.purposes = counted.iter().map(|seen| seen.purpose).collect();
    let (outcome, reason) = match weakness(policy, seen, matched, &counted) {
        Some(reason) => (Outcome::Undetermined, reason),
        None => (
            Outcome::Indicates,
            match matched {
                Match::Vendor => Reason::Product,
                Match::Engine | Match::PerhapsEngine => Reason::EmbeddedEngine,
                Match::Either => Reason::EngineOrCloud,
            },
        ),
    };
    judgement.ask(policy, seen, outcome, reason);
    judgement.because(outcome, reason)
}

impl Judgement {
    fn because(mut self, outcome: Outcome, reason: Reason) -> Self {
        self.outcome = outcome;
        self.reason = reason;
        self
    }

    /// Adds what people must say before anybody can say more.
    fn ask(&mut self, policy: &Policy, seen: &Indication, outcome: Outcome, reason: Reason) {
        if !matches!(outcome, Outcome::Indicates | Outcome::Undetermined) {
            return;
        }
        self.questions.extend(question(reason).map(str::to_owned));
        self.questions.extend(policy.condition.iter().cloned());
        if seen.ech_offered {
            let cover = "Encrypted ClientHello was offered: is the name that was seen the service's own, or a cover?";
            self.questions.push(cover.to_owned());
        }
        self.questions.extend(policy.questions.iter().cloned());
    }
}

/// Whether a policy is about the vendor, the engine inside, or neither.
fn matched(policy: &Policy, seen: &Indication) -> Result<Match, Reason> {
    let about = |vendor: &str, parent: Option<&str>, seat: CountryCode| {
        policy.vendors.iter().any(|id| id == vendor)
            || policy.seats.contains(&seat)
            || parent.is_some_and(|parent| policy.parents.iter().any(|name| owns(name, parent)))
    };
    let of_vendor = about(&seen.vendor, seen.parent.as_deref(), seen.seat);
    let Some(engine) = &seen.engine else {
        return if of_vendor && seen.verdict == Verdict::EngineContact {
            Ok(Match::Either)
        } else if of_vendor {
            Ok(Match::Vendor)
        } else {
            Err(Reason::OtherVendor)
        };
    };
    // The vendor's own engine: what contacted it may be a product of the vendor's, or of anybody's that licenses the engine.
    let own_engine = engine.vendor == seen.vendor;
    if of_vendor && (own_engine || seen.verdict == Verdict::EngineContact) {
        return Ok(Match::Either);
    }
    if of_vendor {
        return Ok(Match::Vendor);
    }
    if policy.engines.contains(&engine.vendor) {
        return Ok(if own_engine {
            Match::Either
        } else {
            Match::Engine
        });
    }
    let of_engine = about(&engine.vendor, engine.parent.as_deref(), engine.seat);
    match policy.embedded {
        _ if !of_engine => Err(Reason::OtherVendor),
        Embedded::Covered => Ok(Match::Engine),
        Embedded::Unclear => Ok(Match::PerhapsEngine),
        Embedded::Excluded => Err(Reason::EmbeddedNotCovered),
    }
}

/// Whether the owner of a vendor, as the rules write it, is the one named: remarks behind the name do not matter.
pub(super) fn owns(name: &str, parent: &str) -> bool {
    parent
        .strip_prefix(name)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([',', ' ']))
}

/// What the policy does not reach, whatever the day.
fn out_of_scope(policy: &Policy, seen: &Indication) -> Option<Reason> {
    let in_zone = |zone: &String| policy.zones.contains(zone);
    if !policy.zones.is_empty() && !seen.zone.as_ref().is_some_and(in_zone) {
        return Some(Reason::OtherZone);
    }
    let only_web = seen
        .purposes
        .iter()
        .all(|seen| seen.purpose == Purpose::Web);
    if seen.verdict == Verdict::Visited || only_web {
        return Some(Reason::WebVisit);
    }
    (policy.kind == PolicyKind::Information).then_some(Reason::ForbidsNoUse)
}

/// The services that the policy is about, contacted or tried on its days.
fn counted(policy: &Policy, seen: &Indication) -> Result<Vec<PurposeSeen>, (Outcome, Reason)> {
    let not_applicable = |reason| (Outcome::NotApplicable, reason);
    let undetermined = |reason| (Outcome::Undetermined, reason);
    let uses = seen.purposes.iter();
    let uses =
        uses.filter(|seen| seen.purpose != Purpose::Web && seen.contacts + seen.questions > 0);
    let (about, others): (Vec<PurposeSeen>, Vec<PurposeSeen>) = uses
        .partition(|seen| policy.purposes.is_empty() || policy.purposes.contains(&seen.purpose));
    if about.is_empty() {
        // One that is not known may be one of those.
        let unknown = others.iter().any(|seen| seen.purpose == Purpose::Unknown);
        return Err(if unknown {
            undetermined(Reason::PurposeUnknown)
        } else {
            not_applicable(Reason::OtherPurpose)
        });
    }
    let within: Vec<_> = (about.iter())
        .filter(|seen| {
            policy.days.holds_on(seen.first_seen) || policy.days.holds_on(seen.last_seen)
        })
        .copied()
        .collect();
    if !within.is_empty() {
        return Ok(within);
    }
    let before = |day: ValidityDate| policy.days.from.is_some_and(|from| day < from);
    // No service has a first or last sighting on the days: those that lie around them may have one between.
    Err(
        if about
            .iter()
            .any(|seen| before(seen.first_seen) && !before(seen.last_seen))
        {
            undetermined(Reason::DaysUnknown)
        } else if about.iter().all(|seen| before(seen.last_seen)) {
            not_applicable(Reason::BeforeItsDays)
        } else {
            not_applicable(Reason::AfterItsDays)
        },
    )
}

/// What no exemption covers. Those that cover something, or would have if they had not ended, are noted.
fn left_by_exemptions(
    policy: &Policy,
    organisation: &Organisation,
    seen: &Indication,
    counted: Vec<PurposeSeen>,
    judgement: &mut Judgement,
) -> Vec<PurposeSeen> {
    let own = organisation.exemptions.iter();
    let own = own.filter(|exemption| exemption.policy == policy.id);
    let mut left = counted;
    for exemption in policy.exemptions.iter().chain(own) {
        let about = |seen: &PurposeSeen| exemption.covers_purpose(seen.purpose);
        if !exemption.covers(seen) || !left.iter().any(about) {
            continue;
        }
        let reason = &exemption.reason;
        let Some(until) = exemption.until else {
            judgement
                .exemptions
                .push(format!("{reason} (by the policy itself)"));
            left.retain(|seen| !about(seen));
            continue;
        };
        let ended = left
            .iter()
            .any(|seen| about(seen) && !exemption.holds_on(seen.last_seen));
        judgement.exemptions.push(if ended {
            format!("{reason} (ended on {until}, before the last contact)")
        } else {
            format!("{reason} (until {until})")
        });
        left.retain(|seen| !about(seen) || !exemption.holds_on(seen.last_seen));
    }
    left
}

/// Why the evidence does not suffice; `None` where it does.
fn weakness(
    policy: &Policy,
    seen: &Indication,
    matched: Match,
    counted: &[PurposeSeen],
) -> Option<Reason> {
    if seen.relay {
        return Some(Reason::Relay);
    }
    if seen.confidence == Confidence::Low {
        return Some(Reason::LowConfidence);
    }
    if seen.unverified_only {
        return Some(Reason::Unverified);
    }
    if matched == Match::PerhapsEngine {
        return Some(Reason::EmbeddedUnclear);
    }
    // A policy about the vendor's engines as such does not ask in whose product one is.
    let reaches_engine =
        policy.embedded == Embedded::Covered || policy.engines.contains(&seen.vendor);
    if matched == Match::Either && !reaches_engine {
        return Some(Reason::ProductUnknown);
    }
    // Where a policy is about services, a contact with one is the case itself; where it is about use, use must be shown.
    if policy.purposes.is_empty() && seen.verdict == Verdict::Indeterminate {
        return Some(Reason::NotShownInstalled);
    }
    let contacted = counted.iter().any(|seen| seen.contacts > 0);
    if policy.reached_only && !(seen.contact == Contact::Reached && contacted) {
        return Some(Reason::NotReached);
    }
    policy.condition.is_some().then_some(Reason::ConditionOpen)
}

/// What people must say where a reason leaves something open.
fn question(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::Relay => Some("The host speaks for others: which hosts behind it use the product?"),
        Reason::LowConfidence | Reason::Unverified | Reason::NotShownInstalled => {
            Some("Is the product installed on this host, or part of something that is?")
        }
        Reason::ProductUnknown => Some(
            "Which product contacted the vendor's engine or cloud: the vendor's own, or somebody else's with its engine inside?",
        ),
        Reason::EmbeddedUnclear => {
            Some("Does the policy reach engines inside the products of others?")
        }
        Reason::EngineOrCloud => Some("Which product contacted the vendor's engine or cloud?"),
        Reason::PurposeUnknown => Some("Which service of the vendor was contacted?"),
        Reason::DaysUnknown => Some("Was the product in use on the policy's days?"),
        Reason::NotReached => Some("Is the product still installed, and does it still try?"),
        _ => None,
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "judge_exemption_tests.rs"]
mod exemption_tests;

#[cfg(test)]
#[path = "judge_evidence_tests.rs"]
mod evidence_tests;
