//! What two rule sets made of the same captures in; what differs, grouped and in order, out.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use crate::aggregate::Weighed;
use crate::attribute::Ruleset;
use crate::model::{
    Confidence, Contact, CountryCode, EvidenceKind, Purpose, Verdict as Indication,
};
use crate::report::ExposureView;

/// What one rule set made of everything.
#[derive(Debug, Default)]
pub struct Pass {
    /// Digest of the rules.
    pub ruleset: String,
    /// Flows that ended.
    pub flows: u64,
    /// Questions to name services.
    pub questions: u64,
    /// Attributed flows and questions: verdict, name, bytes from the initiator and from the responder.
    pub judged: HashMap<Subject, (u32, u32, [u64; 2])>,
    /// Distinct verdicts.
    pub verdicts: Vec<Verdict>,
    /// Distinct names and marks, as shown.
    pub names: Vec<String>,
    /// Exposures by their id.
    pub exposures: BTreeMap<String, ExposureView>,
}

/// A flow or a question, the same in every reading of the same captures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    flow: bool,
    place: [u64; 2],
    which: u64,
}

impl Subject {
    /// A flow by its id and the position of its first packet.
    pub const fn flow(id: u64, first_seq: u64) -> Self {
        Self {
            flow: true,
            place: [first_seq, 0],
            which: id,
        }
    }

    /// A question by the positions of its messages, the identifier in them, and the name.
    pub fn question(query: u64, response: u64, id: u16, name: &[u8]) -> Self {
        Self {
            flow: false,
            place: [query, response],
            which: xxh3_64(name) ^ u64::from(id),
        }
    }
}

/// What a rule set says of a flow or a question.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Verdict {
    /// Identifier of the vendor.
    pub vendor: String,
    /// Its legal seat.
    pub vendor_seat: CountryCode,
    /// The product, where the rule says.
    pub product: Option<String>,
    /// Identifier of the vendor of the engine inside.
    pub engine: Option<String>,
    /// Its legal seat.
    pub engine_seat: Option<CountryCode>,
    /// What the endpoint serves.
    pub purpose: Purpose,
    /// How sure.
    pub confidence: Confidence,
    /// What kind of fact decided.
    pub kind: EvidenceKind,
    /// The rule.
    pub rule_id: String,
    /// Its version.
    pub rule_version: u32,
    /// The pattern of it that matched.
    pub pattern: String,
}

impl Verdict {
    /// What a fact that decided says.
    pub fn of(fact: &Weighed, rules: &Ruleset) -> Option<Self> {
        let found = fact.rule?;
        let rule = rules.rule(found.rule);
        let vendor = rules.vendor(rule.vendor);
        let engine = rule.engine.map(|engine| rules.vendor(engine.vendor));
        Some(Self {
            vendor: vendor.id.clone(),
            vendor_seat: vendor.jurisdiction,
            product: rule.product.clone(),
            engine: engine.map(|engine| engine.id.clone()),
            engine_seat: engine.map(|engine| engine.jurisdiction),
            purpose: rule.purpose,
            confidence: fact.confidence.unwrap_or(Confidence::Low),
            kind: fact.kind,
            rule_id: rule.id.clone(),
            rule_version: rule.version,
            pattern: rules.pattern(found).to_owned(),
        })
    }

    /// Whether both say the same, by whatever rule.
    fn agrees(&self, other: &Self) -> bool {
        let said = |verdict: &Self| {
            let Self {
                vendor,
                vendor_seat,
                product,
                engine,
                engine_seat,
                purpose,
                confidence,
                ..
            } = verdict.clone();
            (
                vendor,
                vendor_seat,
                product,
                engine,
                engine_seat,
                purpose,
                confidence,
            )
        };
        said(self) == said(other)
    }
}

/// Which rules were used.
#[derive(Clone, Debug, Serialize)]
pub struct Side {
    /// As given.
    pub rules: String,
    /// Digest of the rule set.
    pub ruleset: String,
}

/// How something differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Only by the rules after.
    Added,
    /// Only by the rules before.
    Gone,
    /// By both, otherwise.
    Changed,
}

impl Change {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Gone => "gone",
            Self::Changed => "changed",
        }
    }

    const fn of(before: bool, after: bool) -> Self {
        match (before, after) {
            (false, _) => Self::Added,
            (true, false) => Self::Gone,
            (true, true) => Self::Changed,
        }
    }
}

/// What was compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SubjectKind {
    /// Flows, by what decided when they ended.
    Flow,
    /// Questions to name services.
    Question,
}

/// Flows or questions with one name that are judged otherwise in one way.
#[derive(Clone, Debug, Serialize)]
pub struct Attribution {
    /// How it differs.
    pub change: Change,
    /// What they are.
    pub subject: SubjectKind,
    /// The name or mark that decides: after, or before where nothing does after.
    pub name: String,
    /// How many.
    pub count: u64,
    /// What they carried from the side that began, at the IP layer.
    pub initiator_bytes: u64,
    /// What they carried back.
    pub responder_bytes: u64,
    /// By the rules before.
    pub before: Option<Verdict>,
    /// By the rules after.
    pub after: Option<Verdict>,
}

/// What an exposure comes to by one rule set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExposureSide {
    /// What it indicates.
    pub verdict: Indication,
    /// Whether the vendor's side was seen to answer.
    pub contact: Contact,
    /// How sure.
    pub confidence: Confidence,
    /// What was contacted or asked for.
    pub purposes: Vec<Purpose>,
    /// Rules that saw it, of the evidence that is listed.
    pub rule_ids: Vec<String>,
    /// Flows.
    pub flows: u64,
    /// Bytes the host sent.
    pub bytes_out: u64,
    /// Bytes the host received.
    pub bytes_in: u64,
}

/// An exposure that is there by one rule set only, or comes to something else.
#[derive(Clone, Debug, Serialize)]
pub struct ExposureChange {
    /// How it differs.
    pub change: Change,
    /// Names the exposure, as in the report.
    pub id: String,
    /// Where the host is, where inputs were given a site.
    pub site: Option<String>,
    /// The home side.
    pub host: IpAddr,
    /// Identifier of the vendor.
    pub vendor: String,
    /// The product, where the rule says.
    pub product: Option<String>,
    /// Identifier of the vendor of the engine inside.
    pub engine: Option<String>,
    /// By the rules before.
    pub before: Option<ExposureSide>,
    /// By the rules after.
    pub after: Option<ExposureSide>,
}

/// How many there are and how many differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All.
    pub total: u64,
    /// Attributed by the rules before.
    pub attributed_before: u64,
    /// Attributed by the rules after.
    pub attributed_after: u64,
    /// Only by the rules after.
    pub added: u64,
    /// Only by the rules before.
    pub gone: u64,
    /// By both, otherwise.
    pub changed: u64,
}

/// Everything that differs.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    schema_version: u32,
    /// The rules before.
    pub before: Side,
    /// The rules after.
    pub after: Side,
    /// Flows.
    pub flows: Counts,
    /// Questions to name services.
    pub questions: Counts,
    /// Flows and questions that are judged otherwise, by name.
    pub attributions: Vec<Attribution>,
    /// Exposures that come to something else, by host.
    pub exposures: Vec<ExposureChange>,
}

/// What makes flows and questions one line.
type Group<'a> = (
    &'a str,
    SubjectKind,
    Option<&'a Verdict>,
    Option<&'a Verdict>,
);

impl Difference {
    /// What differs between two readings of the same captures.
    pub fn of([before, after]: [Side; 2], first: &Pass, second: &Pass) -> Self {
        let mut flows = Counts {
            total: second.flows,
            ..Counts::default()
        };
        let mut questions = Counts {
            total: second.questions,
            ..Counts::default()
        };
        let mut groups: BTreeMap<Group<'_>, (u64, [u64; 2])> = BTreeMap::new();
        let only_before = first
            .judged
            .keys()
            .filter(|subject| !second.judged.contains_key(*subject));
        for subject in second.judged.keys().chain(only_before) {
            let (old, new) = (first.judged.get(subject), second.judged.get(subject));
            let (counts, kind) = if subject.flow {
                (&mut flows, SubjectKind::Flow)
            } else {
                (&mut questions, SubjectKind::Question)
            };
            counts.attributed_before += u64::from(old.is_some());
            counts.attributed_after += u64::from(new.is_some());
            let said_before = old.and_then(|(verdict, ..)| first.verdicts.get(*verdict as usize));
            let said_after = new.and_then(|(verdict, ..)| second.verdicts.get(*verdict as usize));
            if let (Some(one), Some(other)) = (said_before, said_after)
                && one.agrees(other)
            {
                continue;
            }
            match Change::of(old.is_some(), new.is_some()) {
                Change::Added => counts.added += 1,
                Change::Gone => counts.gone += 1,
                Change::Changed => counts.changed += 1,
            }
            let name = match (new, old) {
                (Some((_, name, _)), _) => second.names.get(*name as usize),
                (None, Some((_, name, _))) => first.names.get(*name as usize),
                (None, None) => None,
            };
            let bytes = new.or(old).map_or([0; 2], |(.., bytes)| *bytes);
            let group = (
                name.map_or("", String::as_str),
                kind,
                said_before,
                said_after,
            );
            let (count, sum) = groups.entry(group).or_default();
            *count += 1;
            for (sum, more) in sum.iter_mut().zip(bytes) {
                *sum += more;
            }
        }
        let attributions =
            groups.iter().map(
                |((name, subject, before, after), (count, bytes))| Attribution {
                    change: Change::of(before.is_some(), after.is_some()),
                    subject: *subject,
                    name: (*name).to_owned(),
                    count: *count,
                    initiator_bytes: bytes[0],
                    responder_bytes: bytes[1],
                    before: before.cloned(),
                    after: after.cloned(),
                },
            );
        Self {
            schema_version: 1,
            before,
            after,
            flows,
            questions,
            attributions: attributions.collect(),
            exposures: exposures(first, second),
        }
    }

    /// Whether nothing is judged otherwise.
    pub fn is_empty(&self) -> bool {
        self.attributions.is_empty() && self.exposures.is_empty()
    }
}

fn exposures(first: &Pass, second: &Pass) -> Vec<ExposureChange> {
    let only_before = first
        .exposures
        .keys()
        .filter(|id| !second.exposures.contains_key(*id));
    let mut changes = Vec::new();
    for id in second.exposures.keys().chain(only_before) {
        let (old, new) = (first.exposures.get(id), second.exposures.get(id));
        let Some(view) = new.or(old) else { continue };
        let (before, after) = (old.map(exposure_side), new.map(exposure_side));
        let same = match (&before, &after) {
            (Some(before), Some(after)) => {
                let said = |side: &ExposureSide| {
                    (
                        side.verdict,
                        side.contact,
                        side.confidence,
                        side.purposes.clone(),
                    )
                };
                said(before) == said(after)
            }
            _ => false,
        };
        if same {
            continue;
        }
        changes.push(ExposureChange {
            change: Change::of(before.is_some(), after.is_some()),
            id: id.clone(),
            site: view.site.clone(),
            host: view.host,
            vendor: view.vendor.clone(),
            product: view.product.clone(),
            engine: view.engine.as_ref().map(|engine| engine.vendor.clone()),
            before,
            after,
        });
    }
    changes.sort_by(|a, b| {
        let key = |change: &ExposureChange| {
            (
                change.site.clone(),
                change.host,
                change.vendor.clone(),
                change.id.clone(),
            )
        };
        key(a).cmp(&key(b))
    });
    changes
}

fn exposure_side(view: &ExposureView) -> ExposureSide {
    let mut rule_ids: Vec<String> = view
        .evidence
        .iter()
        .map(|sighting| sighting.rule_id.clone())
        .collect();
    rule_ids.sort_unstable();
    rule_ids.dedup();
    ExposureSide {
        verdict: view.verdict,
        contact: view.contact,
        confidence: view.confidence,
        purposes: view
            .purposes
            .iter()
            .map(|purpose| purpose.purpose)
            .collect(),
        rule_ids,
        flows: view.flows,
        bytes_out: view.bytes_out,
        bytes_in: view.bytes_in,
    }
}
