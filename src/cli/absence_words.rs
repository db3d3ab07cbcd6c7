//! What `avscope absence` says, as a document and for people.

use std::io::{IsTerminal, Write};

use serde::Serialize;

use super::absence::AbsenceFormat;
use super::detectability::{Company, company};
use super::explanation::Seen;
use crate::absence::chance::{Intervals, Measured};
use crate::absence::{Demands, Numbers, Statement, Subject, percent};
use crate::attribute::Ruleset;
use crate::model::Verdict;
use crate::report::Style;

/// Version of the document's fields and their meaning.
pub(super) const SCHEMA_VERSION: u32 = 1;

/// Everything said. Its fields are those of `docs/absence.schema.json`.
#[derive(Serialize)]
pub(super) struct Document {
    pub schema_version: u32,
    pub ruleset: String,
    pub subject: SubjectWords,
    pub detectability: Vec<Seen>,
    pub interval: Option<Interval>,
    pub demands: DemandWords,
    pub home_networks: Vec<String>,
    pub statements: Vec<Statement>,
    pub contacts_refused: u64,
    pub assumptions: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct SubjectWords {
    pub kind: &'static str,
    pub vendor: Company,
    pub product: Option<String>,
    pub rules: usize,
}

/// How long it takes between two contacts.
#[derive(Serialize)]
pub(super) struct Interval {
    pub basis: &'static str,
    pub mean_seconds: Numbers,
    pub intervals: Option<usize>,
    pub hosts: Option<usize>,
    pub dispersion: Option<f64>,
    pub source: Option<String>,
}

#[derive(Serialize)]
pub(super) struct DemandWords {
    pub hours_min: u64,
    pub intervals_min: u64,
    pub measured_min: u64,
    pub miss_percent_max: u64,
    pub cause_percent_max: u64,
    pub visible_percent_min: u64,
}

impl Interval {
    /// What is measured before what is stated.
    pub fn of(
        measured: Option<&Measured>,
        stated: Option<(f64, &str)>,
        hosts: usize,
    ) -> Option<Self> {
        if let Some(measured) = measured {
            return Some(Self {
                basis: "measured",
                mean_seconds: measured.mean().into(),
                intervals: Some(measured.count()),
                hosts: Some(hosts),
                dispersion: Some((measured.dispersion() * 1e6).round() / 1e6),
                source: None,
            });
        }
        let (seconds, source) = stated?;
        Some(Self {
            basis: "stated",
            mean_seconds: Intervals::Stated(seconds).mean().into(),
            intervals: None,
            hosts: None,
            dispersion: None,
            source: Some(source.to_owned()),
        })
    }
}

impl SubjectWords {
    /// The subject by the rules.
    pub fn of(subject: &Subject, rules: &Ruleset) -> Self {
        let (kind, product) = match subject {
            Subject::Vendor(_) => ("vendor", None),
            Subject::Engine(_) => ("engine", None),
            Subject::Product(_, product) => ("product", Some(product.clone())),
        };
        Self {
            kind,
            vendor: company(rules.vendor(subject.vendor_id())),
            product,
            rules: subject.rules_that_show_it(rules),
        }
    }
}

impl DemandWords {
    /// What was demanded.
    pub const fn of(demands: &Demands) -> Self {
        Self {
            hours_min: demands.hours_min,
            intervals_min: demands.intervals_min,
            measured_min: demands.measured_min,
            miss_percent_max: demands.miss_percent_max,
            cause_percent_max: demands.cause_percent_max,
            visible_percent_min: demands.visible_percent_min,
        }
    }
}

/// What the number assumes; `docs/ABSENCE.md` has the reasons.
pub(super) fn assumptions(intervals: Option<&Intervals>) -> Vec<String> {
    let mut all = vec![
        match intervals {
            None => {
                "No number is given: it is not known how often an installation contacts anybody."
            }
            Some(Intervals::Measured(_)) => {
                "An installation contacts its vendor at intervals like those measured in this capture, drawn independently; watching begins at any moment of one. Each address with contacts is one installation."
            }
            Some(Intervals::Stated(_)) => {
                "An installation contacts its vendor at the interval that the source states: between like clockwork (lower end) and at random (Poisson; the best number and the upper end)."
            }
        },
        "Each contact is a flow that shows a name as often as the other outbound flows of its zone do, independently of the others; and as often as packets are lost it is lost.",
        "The installation is, with equal chance, on any of the hosts seen in the zone; it contacts somebody only while its host is active. A host that never showed a name counts as not watched.",
        "It contacts names that the rules know, directly or through a proxy in clear: not through a relay of the vendor inside, not through a tunnel, not offline. Rules are what is publicly known today.",
        "Loss is that of the whole capture, and a lower bound; hosts of which nothing ever passes the sensor are in no number.",
    ];
    all.push("Packets indicate; nobody looked at a host.");
    all.into_iter().map(str::to_owned).collect()
}

/// Writes everything.
pub(super) fn write(
    document: &Document,
    format: AbsenceFormat,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    match format {
        AbsenceFormat::Json => {
            serde_json::to_writer_pretty(&mut *out, document)?;
            out.write_all(b"\n")
        }
        AbsenceFormat::Text => {
            let style = super::replay::style(std::io::stdout().is_terminal());
            Text { out, style }.document(document)
        }
    }
}

struct Text<'a> {
    out: &'a mut dyn Write,
    style: Style,
}

impl Text<'_> {
    fn document(&mut self, document: &Document) -> std::io::Result<()> {
        let (subject, vendor) = (&document.subject, &document.subject.vendor);
        let what = match (&subject.product, subject.kind) {
            (Some(product), _) => format!("{product} of {}", vendor.legal_name),
            (None, "engine") => format!("The engine of {}", vendor.legal_name),
            (None, _) => vendor.legal_name.clone(),
        };
        self.heading(&format!(
            "{what} ({}, seat {})",
            vendor.id, vendor.jurisdiction
        ))?;
        for fact in &document.detectability {
            let of = fact.of.iter().map(|of| format!("{of}: "));
            let derived = if fact.derived {
                " (follows from the rules)"
            } else {
                ""
            };
            let text = format!(
                "{}{}. {}{derived}",
                of.collect::<String>(),
                fact.visibility,
                fact.why
            );
            self.row("can be seen", &text)?;
        }
        self.row("rules", &format!("{} that would show it", subject.rules))?;
        match &document.interval {
            None => self.row(
                "interval",
                "not known: neither measured here nor stated by a source",
            )?,
            Some(interval) => {
                let mean = interval.mean_seconds;
                let text = match &interval.source {
                    Some(source) => format!("{} between contacts, by {source}", span(mean.best)),
                    None => format!(
                        "{} between contacts ({} to {}), by {} intervals on {} hosts in these captures",
                        span(mean.best),
                        span(mean.low),
                        span(mean.high),
                        interval.intervals.unwrap_or(0),
                        interval.hosts.unwrap_or(0)
                    ),
                };
                self.row("interval", &text)?;
            }
        }
        for statement in &document.statements {
            self.statement(statement)?;
        }
        self.heading("What this assumes")?;
        for assumption in &document.assumptions {
            writeln!(self.out, "  {assumption}")?;
        }
        if document.contacts_refused > 0 {
            writeln!(
                self.out,
                "  WARNING: {} contacts found no room to be measured by; raise watch.absence_contacts_max.",
                document.contacts_refused
            )?;
        }
        Ok(())
    }

    fn statement(&mut self, statement: &Statement) -> std::io::Result<()> {
        let site = statement.site.iter().map(|site| format!(" at {site}"));
        let canary = statement.canary.iter();
        let canary = canary.map(|canary| format!(", {} of {}", canary.evidence, canary.seen));
        self.heading(&format!(
            "{}{}: {}; {}{}",
            statement.zone,
            site.collect::<String>(),
            statement.statement.text(),
            statement.proof,
            canary.collect::<String>()
        ))?;
        let seen = &statement.seen;
        if seen.hosts > 0 {
            let verdicts: Vec<_> = (seen.verdicts.iter())
                .filter(|(verdict, _)| **verdict != Verdict::Visited)
                .map(|(verdict, count)| format!("{verdict} {count}"))
                .collect();
            let contact = seen.contact.map_or("", |contact| contact.as_str());
            let sure = seen.confidence.map_or("", |confidence| confidence.as_str());
            let hosts = seen.hosts;
            self.row(
                "seen",
                &format!(
                    "on {hosts} hosts: {}; {contact}; confidence {sure}",
                    verdicts.join(", ")
                ),
            )?;
        }
        if seen.hosts_visiting > 0 {
            let text = format!(
                "web sites by {} hosts, no evidence of a product",
                seen.hosts_visiting
            );
            self.row("visited", &text)?;
        }
        let watched = &statement.watched;
        self.row(
            "watched",
            &format!(
                "{:.1} of {} hours, {} silent; {} hosts, {} host-hours; a host {} on average",
                watched.minutes as f64 / 60.0,
                watched.hours,
                watched.silent_hours,
                watched.hosts,
                watched.host_hours,
                span(watched.seconds_per_host)
            ),
        )?;
        let visible = &statement.visible;
        if let Some(share) = visible.share {
            let bytes = visible.share_of_bytes.map_or_else(String::new, percent);
            self.row(
                "visible",
                &format!(
                    "{} of {} flows ({} to {}), {bytes} of bytes",
                    percent(share.best),
                    visible.flows,
                    percent(share.low),
                    percent(share.high)
                ),
            )?;
        }
        let faults: Vec<_> = [
            ("lost before the capture", watched.lost),
            ("one way", watched.one_way),
            ("vendors' names denied", watched.denied),
        ]
        .into_iter()
        .filter_map(|(what, share)| Some(format!("{what} {}", percent(share?))))
        .collect();
        if !faults.is_empty() {
            self.row("faults", &faults.join(", "))?;
        }
        if let Some(chance) = statement.chance_unseen {
            self.row(
                "missed",
                &format!(
                    "{} ({} to {}): the chance that one active installation stayed unseen",
                    percent(chance.best),
                    percent(chance.low),
                    percent(chance.high)
                ),
            )?;
        }
        for cause in &statement.causes {
            let label = if cause.weakens {
                "weak by"
            } else {
                "lowered by"
            };
            self.row(label, &format!("{}: {}", cause.cause, cause.words))?;
        }
        Ok(())
    }

    fn heading(&mut self, text: &str) -> std::io::Result<()> {
        if self.style.colour {
            writeln!(self.out, "\n\x1b[1m{text}\x1b[0m")
        } else {
            writeln!(self.out, "\n{text}")
        }
    }

    fn row(&mut self, label: &str, text: &str) -> std::io::Result<()> {
        writeln!(self.out, "  {label:<12} {text}")
    }
}

/// A time in the unit in which people think of it.
fn span(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} days", s / 86_400.0),
    }
}
