//! The text of one `rules/policies/<id>.toml` in, the policy that it states out; `rules/README.md` describes the format.
//!
//! **Invariants**: an unknown key is an error; every error names the file and the line; what rests on memory alone is never
//! graver than `info`.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;
use toml::value::Datetime;

use super::exemption::{Exemption, ExemptionTable};
use super::words::{ClockStart, DayKind, Embedded, FactAbout, PolicyKind, ReadStatus, Role};
use crate::attribute::{Place, RulesError, Validity, ValidityDate, is_identifier, rule_date};
use crate::model::{CountryCode, Purpose, Severity};

/// The only version of the format so far; the key `format` of every file says it.
const FORMAT: u32 = 1;

/// Who must not use, provide or buy what, between which days, and where that is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The word for it.
    pub id: String,
    /// Its name, for people.
    pub title: String,
    /// What it says, in our own words.
    pub summary: Option<String>,
    /// What it is.
    pub kind: PolicyKind,
    /// How grave what it indicates is.
    pub severity: Severity,
    /// Whose measure it is.
    pub country: Option<CountryCode>,
    /// Roles that it binds; none: it applies where it is named, adopted or the organisation's own.
    pub binds: Vec<Role>,
    /// Who is bound, for people.
    pub who: Option<String>,
    /// Vendors that it is about.
    pub vendors: Vec<String>,
    /// Owners of vendors that it is about.
    pub parents: Vec<String>,
    /// Legal seats that it is about.
    pub seats: Vec<CountryCode>,
    /// Vendors whose engines it is about, wherever they are inside.
    pub engines: Vec<String>,
    /// Whether vendors, owners and seats mean engines inside others' products too.
    pub embedded: Embedded,
    /// What else it reaches: no sensor can tell, people must know.
    pub affiliates: Option<String>,
    /// A question about the case that no packet answers; as long as people have not, nothing is indicated.
    pub condition: Option<String>,
    /// Zones of the user's that it is about; none: all.
    pub zones: Vec<String>,
    /// Services that it is about; none: any use.
    pub purposes: Vec<Purpose>,
    /// What was only tried does not do.
    pub reached_only: bool,
    /// The days on which it holds.
    pub days: Validity,
    /// What only people can answer.
    pub questions: Vec<String>,
    /// Where it is written.
    pub cite: Vec<String>,
    /// What it rests on.
    pub facts: Vec<Fact>,
    /// Other days that it names.
    pub milestones: Vec<Milestone>,
    /// When what is due.
    pub clocks: Vec<Clock>,
    /// What it leaves out itself.
    pub exemptions: Vec<Exemption>,
    /// Whether it was brought by the user and is not one of the program's.
    pub own: bool,
    /// The file, and the line of its id.
    pub place: String,
}

/// One fact that a policy rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What is so, in our own words.
    pub text: String,
    /// What of the policy it supports.
    pub about: Vec<FactAbout>,
    /// How far its source was read.
    pub status: ReadStatus,
    /// The source on one line, where there is one.
    pub source: Option<String>,
}

/// A day that a policy names beside its first and last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Milestone {
    /// The day.
    pub day: ValidityDate,
    /// What was or is due.
    pub what: String,
}

/// Something due within so many days after a person did something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clock {
    /// What is due.
    pub what: String,
    /// What a person does that starts it.
    pub starts: ClockStart,
    /// How many days later it is due.
    pub days: u16,
    /// How they are counted.
    pub kind: DayKind,
    /// Days on which it starts by this rule.
    pub validity: Validity,
}

impl Policy {
    /// Parses one file; `path` names it in messages and gives the expected id.
    pub fn parse(path: &str, text: &str, own: bool) -> Result<Self, RulesError> {
        let file: PolicyFile = toml::from_str(text).map_err(|reason| RulesError::Syntax {
            file: path.to_owned(),
            reason: Box::new(reason),
        })?;
        let place = Place { path, text };
        if *file.format.get_ref() != FORMAT {
            let problem = format!(
                "format {} is not known; this version reads format = {FORMAT}",
                file.format.get_ref()
            );
            return Err(place.wrong(&file.format, problem));
        }
        let stem = std::path::Path::new(path).file_stem();
        let id = file.policy.id.get_ref();
        if stem.and_then(|stem| stem.to_str()) != Some(id.as_str()) {
            let problem = format!("policy {id:?} belongs into a file named {id}.toml");
            return Err(place.wrong(&file.policy.id, problem));
        }
        let severity = file.policy.severity.clone();
        let mut policy = file.policy.checked(&place, own)?;
        for fact in file.fact {
            policy.facts.push(fact.checked(&file.sources, &place)?);
        }
        if let Some(severity) = severity
            && policy.severity > Severity::Info
            && policy.status() == Some(ReadStatus::Memory)
        {
            let problem = format!(
                "severity {} rests on memory; what was not read is \"info\"",
                policy.severity
            );
            return Err(place.wrong(&severity, problem));
        }
        for milestone in file.milestone {
            policy.milestones.push(Milestone {
                day: rule_date(&milestone.day, &place)?,
                what: milestone.what,
            });
        }
        for clock in file.clock {
            policy.clocks.push(clock.checked(&place)?);
        }
        for exemption in file.exemption {
            policy
                .exemptions
                .push(exemption.of_policy(id_of(&policy), &place)?);
        }
        Ok(policy)
    }

    /// How far the facts that decide were read, at the least; `None` where none is given.
    pub fn status(&self) -> Option<ReadStatus> {
        self.facts
            .iter()
            .filter(|fact| fact.about.iter().any(|about| *about != FactAbout::Note))
            .map(|fact| fact.status)
            .min()
    }

    /// How grave a finding is: what rests on memory is to be known, and no more.
    pub fn severity(&self) -> Severity {
        match self.status() {
            Some(ReadStatus::Memory) => Severity::Info,
            _ => self.severity,
        }
    }
}

fn id_of(policy: &Policy) -> &str {
    &policy.id
}

/// A whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    format: Spanned<u32>,
    policy: PolicyTable,
    #[serde(default)]
    sources: BTreeMap<String, SourceTable>,
    #[serde(default)]
    fact: Vec<FactTable>,
    #[serde(default)]
    milestone: Vec<MilestoneTable>,
    #[serde(default)]
    clock: Vec<ClockTable>,
    #[serde(default)]
    exemption: Vec<ExemptionTable>,
}

/// `[policy]` of a file, and `[[policy]]` of a configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyTable {
    id: Spanned<String>,
    title: Spanned<String>,
    summary: Option<String>,
    kind: Option<PolicyKind>,
    severity: Option<Spanned<Severity>>,
    country: Option<CountryCode>,
    #[serde(default)]
    binds: Vec<Role>,
    who: Option<String>,
    #[serde(default)]
    vendors: Vec<String>,
    #[serde(default)]
    parents: Vec<String>,
    #[serde(default)]
    seats: Vec<CountryCode>,
    #[serde(default)]
    engines: Vec<String>,
    embedded: Option<Embedded>,
    affiliates: Option<String>,
    condition: Option<String>,
    #[serde(default)]
    zones: Vec<String>,
    #[serde(default)]
    purposes: Vec<Spanned<Purpose>>,
    #[serde(default)]
    reached_only: bool,
    from: Option<Spanned<Datetime>>,
    until: Option<Spanned<Datetime>>,
    #[serde(default)]
    questions: Vec<String>,
    #[serde(default)]
    cite: Vec<String>,
}

impl PolicyTable {
    /// The policy that the table states; the text of the whole file is for messages.
    pub fn policy(self, path: &str, text: &str) -> Result<Policy, RulesError> {
        self.checked(&Place { path, text }, true)
    }

    fn checked(self, place: &Place<'_>, own: bool) -> Result<Policy, RulesError> {
        let id = self.id.get_ref();
        if !is_identifier(id) {
            let problem = format!("policy id {id:?} is not made of a-z, 0-9, \"-\"");
            return Err(place.wrong(&self.id, problem));
        }
        let wrong = |problem: &str| Err(place.wrong(&self.id, format!("policy {id}: {problem}")));
        if self.title.get_ref().trim().is_empty() {
            return Err(place.wrong(&self.title, "the title is empty".to_owned()));
        }
        if self.vendors.is_empty()
            && self.parents.is_empty()
            && self.seats.is_empty()
            && self.engines.is_empty()
        {
            return wrong("about nobody; give at least one of vendors, parents, seats, engines");
        }
        if let Some(web) = (self.purposes.iter()).find(|purpose| *purpose.get_ref() == Purpose::Web)
        {
            let problem = "a visit to a web site is never a use: take \"web\" out of purposes";
            return Err(place.wrong(web, problem.to_owned()));
        }
        let days = crate::attribute::validity(self.from.as_ref(), self.until.as_ref(), place)?;
        let severity = (self.severity.as_ref()).map_or(Severity::Medium, |given| *given.get_ref());
        Ok(Policy {
            place: format!("{}:{}", place.path, place.line(&self.id)),
            id: self.id.into_inner(),
            title: self.title.into_inner(),
            summary: self.summary,
            kind: self.kind.unwrap_or(PolicyKind::Own),
            severity,
            country: self.country,
            binds: self.binds,
            who: self.who,
            vendors: self.vendors,
            parents: self.parents,
            seats: self.seats,
            engines: self.engines,
            embedded: self.embedded.unwrap_or(Embedded::Excluded),
            affiliates: self.affiliates,
            condition: self.condition,
            zones: self.zones,
            purposes: self.purposes.into_iter().map(Spanned::into_inner).collect(),
            reached_only: self.reached_only,
            days,
            questions: self.questions,
            cite: self.cite,
            facts: Vec::new(),
            milestones: Vec::new(),
            clocks: Vec::new(),
            exemptions: Vec::new(),
            own,
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceTable {
    title: String,
    url: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FactTable {
    text: String,
    about: Vec<FactAbout>,
    status: Spanned<ReadStatus>,
    source: Option<Spanned<String>>,
}

impl FactTable {
    fn checked(
        self,
        sources: &BTreeMap<String, SourceTable>,
        place: &Place<'_>,
    ) -> Result<Fact, RulesError> {
        let status = *self.status.get_ref();
        let source = match &self.source {
            None if status != ReadStatus::Memory => {
                let problem = format!("a fact that is {status} names its source");
                return Err(place.wrong(&self.status, problem));
            }
            None => None,
            Some(key) => {
                let Some(source) = sources.get(key.get_ref()) else {
                    let known: Vec<&str> = sources.keys().map(String::as_str).collect();
                    let problem = format!(
                        "source {0:?} has no table [sources.{0}]; known: {1}",
                        key.get_ref(),
                        known.join(", ")
                    );
                    return Err(place.wrong(key, problem));
                };
                let url = source.url.iter().map(|url| format!(", {url}"));
                Some(format!("{}{}", source.title, url.collect::<String>()))
            }
        };
        Ok(Fact {
            text: self.text,
            about: self.about,
            status,
            source,
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MilestoneTable {
    day: Spanned<Datetime>,
    what: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockTable {
    what: String,
    starts: ClockStart,
    days: Spanned<u16>,
    kind: DayKind,
    from: Option<Spanned<Datetime>>,
    until: Option<Spanned<Datetime>>,
}

/// Longer than any report is waited for; it bounds the counting of days.
const CLOCK_DAYS_MAX: u16 = 3660;

impl ClockTable {
    fn checked(self, place: &Place<'_>) -> Result<Clock, RulesError> {
        let days = *self.days.get_ref();
        if days > CLOCK_DAYS_MAX {
            let problem = format!("{days} days: at most {CLOCK_DAYS_MAX} can be counted");
            return Err(place.wrong(&self.days, problem));
        }
        Ok(Clock {
            what: self.what,
            starts: self.starts,
            days,
            kind: self.kind,
            validity: crate::attribute::validity(self.from.as_ref(), self.until.as_ref(), place)?,
        })
    }
}
