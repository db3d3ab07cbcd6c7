//! Attributions in events and a truth judged by hand → precision and recall, by vendor and by purpose.
//!
//! What is compared is a contact: capture, client, vendor, purpose. A capture that the truth does not name has no contacts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::compare::{READ, evidence};

/// The file of truth; what each key means stands at its head.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truth {
    pub contact: Vec<Contact>,
    #[serde(default)]
    pub undecided: Vec<Undecided>,
    #[serde(default)]
    pub trap: Vec<Trap>,
}

/// A client talks to a vendor.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "shown with a mistake")]
pub struct Contact {
    pub capture: String,
    pub client: String,
    pub vendor: String,
    pub product: Option<String>,
    pub engine: Option<String>,
    /// Any is right; the first is the best.
    pub purposes: Vec<String>,
    /// Kinds of evidence that show it, each alone enough.
    pub evidence: Vec<String>,
    pub names: Vec<String>,
    pub why: String,
}

/// What is counted neither as right nor as wrong.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "shown with a mistake")]
pub struct Undecided {
    pub capture: String,
    pub client: String,
    pub vendor: String,
    pub names: Vec<String>,
    pub why: String,
}

/// What looks like a vendor's and is not.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trap {
    pub capture: String,
    pub names: Vec<String>,
    pub vendors: Vec<String>,
    pub why: String,
}

/// Reads the truth.
pub fn truth(path: &Path) -> Truth {
    let text = std::fs::read_to_string(path).expect("the truth can be read");
    toml::from_str(&text).expect("the truth is as its fields say")
}

/// A contact as avscope tells it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    pub capture: String,
    pub client: String,
    pub vendor: String,
    pub purpose: String,
    pub engine: Option<String>,
    /// The values of its evidence.
    pub values: Vec<String>,
}

/// Every contact that the events of a capture tell.
pub fn told(capture: &str, events: &[Value]) -> BTreeSet<Told> {
    let mut found = BTreeSet::new();
    for event in events {
        let verdict = &event["avscope"]["attribution"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let (Some(vendor), Some(client)) = (text(&verdict["vendor"]), text(&event["src_ip"]))
        else {
            continue;
        };
        found.insert(Told {
            capture: capture.to_owned(),
            client,
            vendor,
            purpose: text(&verdict["purpose"]).unwrap_or_default(),
            engine: text(&verdict["engine"]["vendor"]),
            values: evidence(event)
                .into_iter()
                .filter_map(|item| text(&item["value"]))
                .collect(),
        });
    }
    found
}

/// Right and wrong under one heading.
#[derive(Clone, Copy, Debug, Default)]
pub struct Score {
    /// Contacts of the truth.
    pub truth: usize,
    /// Those that this version has evidence for.
    pub readable: usize,
    /// Those that were told.
    pub found: usize,
    /// What was told beyond the truth.
    pub wrong: usize,
}

/// The result over all captures that were there.
#[derive(Debug, Default)]
pub struct Judgement {
    pub by_vendor: BTreeMap<String, Score>,
    pub by_purpose: BTreeMap<String, Score>,
    /// Each with what is wrong, in words.
    pub mistakes: Vec<String>,
    pub traps: usize,
    pub traps_sprung: usize,
}

impl Judgement {
    /// All vendors together.
    pub fn total(&self) -> Score {
        let mut total = Score::default();
        for score in self.by_vendor.values() {
            total.truth += score.truth;
            total.readable += score.readable;
            total.found += score.found;
            total.wrong += score.wrong;
        }
        total
    }
}

/// Holds what was told against the truth about the captures that were read.
pub fn judge(truth: &Truth, read: &BTreeSet<String>, told: &BTreeSet<Told>) -> Judgement {
    let mut result = Judgement::default();
    for contact in truth.contact.iter().filter(|it| read.contains(&it.capture)) {
        let readable = contact
            .evidence
            .iter()
            .any(|kind| READ.contains(&kind.as_str()) || comes_with(kind));
        let matching: Vec<_> = told.iter().filter(|told| is_of(contact, told)).collect();
        let found = !matching.is_empty();
        let purpose = contact.purposes.first().cloned().unwrap_or_default();
        for score in [
            result.by_vendor.entry(contact.vendor.clone()).or_default(),
            result.by_purpose.entry(purpose).or_default(),
        ] {
            score.truth += 1;
            score.readable += usize::from(readable);
            score.found += usize::from(found);
        }
        if readable && !found {
            result.mistakes.push(format!("missed: {contact:?}"));
        }
        for told in matching.iter().filter(|told| told.engine != contact.engine) {
            result
                .mistakes
                .push(format!("another engine: {told:?}: {contact:?}"));
        }
    }
    for told in told {
        let right = truth.contact.iter().any(|contact| is_of(contact, told));
        let open = truth.undecided.iter().any(|it| {
            it.capture == told.capture && it.client == told.client && it.vendor == told.vendor
        });
        if !right && !open {
            result
                .by_vendor
                .entry(told.vendor.clone())
                .or_default()
                .wrong += 1;
            result
                .by_purpose
                .entry(told.purpose.clone())
                .or_default()
                .wrong += 1;
            result.mistakes.push(format!("wrong: {told:?}"));
        }
    }
    for trap in truth.trap.iter().filter(|it| read.contains(&it.capture)) {
        result.traps += 1;
        let sprung = told.iter().find(|told| {
            let named = told.values.iter().any(|value| {
                let is_it = |name: &String| name.eq_ignore_ascii_case(value);
                trap.names.iter().any(is_it)
            });
            told.capture == trap.capture && named && trap.vendors.contains(&told.vendor)
        });
        if let Some(told) = sprung {
            result.traps_sprung += 1;
            result
                .mistakes
                .push(format!("trap: {told:?}: {}", trap.why));
        }
    }
    result
}

fn is_of(contact: &Contact, told: &Told) -> bool {
    contact.capture == told.capture
        && contact.client == told.client
        && contact.vendor == told.vendor
        && contact.purposes.contains(&told.purpose)
}

/// Kinds that are read whenever another is: a request's target with its Host, an answer with its question.
fn comes_with(kind: &str) -> bool {
    match kind {
        "http_uri" => READ.contains(&"http_host"),
        "dns_answer" | "dns_answer_other" => READ.contains(&"dns_query"),
        _ => false,
    }
}
