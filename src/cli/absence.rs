//! `avscope absence`: captures and a vendor, an engine or a product in; whether it means anything that it was not seen, out.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{ArgGroup, Args, ValueEnum};

use super::absence_words::{
    DemandWords, Document, Interval, SCHEMA_VERSION, SubjectWords, assumptions, write,
};
use super::capture_args::{CaptureArgs, LedgerSink, issued_canaries, lossy, report_inputs};
use super::knowledge::seen;
use super::{EXIT_ERROR, EXIT_FOUND, EXIT_INPUT_INCOMPLETE, EXIT_OK, UsageError};
use crate::absence::chance::Intervals;
use crate::absence::{AbsenceWord, Basis, Canary, Contacts, Demands, Subject, statements};
use crate::aggregate::{EventRef, Ledger, UNZONED};
use crate::alert::{CanarySighting, CanaryStanding, CanaryWatch};
use crate::attribute::Ruleset;
use crate::config::{Configuration, Flags};
use crate::flow::ZoneId;
use crate::geo::{Countries, OperatorTable};

/// Say whether it means anything that a vendor, an engine or a product was not seen.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("subject").required(true).multiple(true).args(["vendor", "engine", "product"])),
    after_help = "Examples:\n  avscope absence --vendor kaspersky office/\n  \
    avscope absence --engine kaspersky --zone servers office/\n  \
    avscope absence --vendor crowdstrike --product 'Falcon sensor' --format json office/\n\n\
    The statements are: seen; not seen (would have been seen); not seen (weak); cannot be seen. The chance that one active\n\
    installation stayed unseen is given where it is known how often it contacts anybody: measured in these captures, or\n\
    stated by a source. docs/ABSENCE.md has the formula, what it assumes, and what lowers a statement.\n\
    Exit code: 0 if all input was read, 3 with --exit-code if it was seen in any zone, 4 if part of the input could not be read, 1 if none could."
)]
pub struct AbsenceArgs {
    /// Captures and how to read them.
    #[command(flatten)]
    pub captures: CaptureArgs,

    /// Products of this vendor, by its id in the rules.
    #[arg(long, value_name = "ID", conflicts_with = "engine")]
    pub vendor: Option<String>,

    /// The engine of this vendor, in whosever product.
    #[arg(long, value_name = "ID", conflicts_with = "product")]
    pub engine: Option<String>,

    /// This product; with --vendor where several vendors have one of that name.
    #[arg(long, value_name = "NAME")]
    pub product: Option<String>,

    /// Only this zone; "unzoned" is what lies in none.
    #[arg(long, value_name = "NAME")]
    pub zone: Option<String>,

    /// Recognise the canaries that this file says were issued (avscope canary new): they prove that a zone is seen.
    #[arg(long, value_name = "FILE")]
    pub canaries: Option<PathBuf>,

    /// How the statements are written.
    #[arg(long, value_enum, default_value_t = AbsenceFormat::Text)]
    pub format: AbsenceFormat,

    /// Exit with 3 if it was seen.
    #[arg(long)]
    pub exit_code: bool,
}

/// How statements are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AbsenceFormat {
    /// For people.
    Text,
    /// One document, everything in it.
    Json,
}

/// Runs the command.
pub fn run(args: &AbsenceArgs) -> anyhow::Result<ExitCode> {
    let flags = Flags {
        canaries: args.canaries.as_deref().map(lossy),
        ..args.captures.flags()
    };
    let configuration = args.captures.configuration(&flags)?;
    let mut canaries = canaries(args, &configuration)?;
    let rules = args.captures.ruleset(&configuration)?;
    let subject = subject(args, &rules)?;
    let demands = demands(&configuration);
    let settings = super::capture_args::settings(&configuration, Arc::clone(&rules))?;
    check_zone(args, settings.ledger.zones.names())?;
    let mut ledger = Ledger::new(
        Arc::clone(&rules),
        Arc::new(Countries::Embedded),
        Arc::new(OperatorTable::builtin()?),
        Arc::clone(&settings.home),
        &settings.ledger,
    );
    let mut contacts = Contacts::new(subject.clone(), demands.contacts_max);
    let source = args.captures.source(&configuration)?;
    let sites = source.sites().to_vec();
    let run = args.captures.read(
        source,
        &settings,
        &mut LedgerSink {
            ledger: &mut ledger,
            also: |event: EventRef<'_>, ledger: &Ledger| {
                contacts.event(event, ledger);
                canaries.event(event, ledger.zones(), &sites);
                Ok(())
            },
        },
    )?;
    let incomplete = report_inputs(&run);
    if incomplete && run.outcome.frames.frames == 0 {
        return Ok(ExitCode::from(EXIT_ERROR));
    }
    let measured = contacts.measured(&ledger, demands.measured_min as usize);
    let stated = subject.stated_interval(&rules);
    let interval = Interval::of(measured.as_ref(), stated, contacts.hosts());
    let intervals = match (measured, stated) {
        (Some(measured), _) => Some(Intervals::Measured(measured)),
        (None, stated) => stated.map(|(seconds, _)| Intervals::Stated(seconds)),
    };
    let loss = run.outcome.shards.loss;
    let basis = Basis {
        subject: &subject,
        intervals: intervals.as_ref(),
        demands: &demands,
        acknowledged: (loss.acknowledged_bytes, loss.unseen_bytes),
        canary: &|scope, zone| canary_for(&ledger, &canaries, (scope, zone), &sites),
    };
    let mut said = statements(&ledger, &basis, run.source.sites());
    if let Some(zone) = &args.zone {
        said.retain(|statement| statement.zone == *zone);
    }
    let found = (said.iter()).any(|statement| statement.statement == AbsenceWord::Seen);
    let document = Document {
        schema_version: SCHEMA_VERSION,
        ruleset: rules.digest().to_owned(),
        detectability: subject
            .detectability(&rules)
            .into_iter()
            .map(seen)
            .collect(),
        subject: SubjectWords::of(&subject, &rules),
        assumptions: assumptions(intervals.as_ref()),
        interval,
        demands: DemandWords::of(&demands),
        home_networks: settings.home.texts().to_vec(),
        statements: said,
        contacts_refused: contacts.refused,
    };
    let mut out = std::io::stdout().lock();
    write(&document, args.format, &mut out).context("cannot write the statements")?;
    Ok(ExitCode::from(if incomplete {
        EXIT_INPUT_INCOMPLETE
    } else if found && args.exit_code {
        EXIT_FOUND
    } else {
        EXIT_OK
    }))
}

fn canaries(args: &AbsenceArgs, configuration: &Configuration) -> anyhow::Result<CanaryWatch> {
    let section = &configuration.canary;
    let issued = issued_canaries(args.canaries.as_deref(), configuration)?;
    let seconds = section.fresh_days.value.saturating_mul(86_400);
    let most = section.sightings_max.value as usize;
    Ok(CanaryWatch::new(issued, seconds, most))
}

/// The latest canary that proves that a host of the zone is seen.
fn canary_for(
    ledger: &Ledger,
    canaries: &CanaryWatch,
    (scope, zone): (u16, Option<ZoneId>),
    sites: &[String],
) -> Option<Canary> {
    let zone = zone.and_then(|zone| ledger.zones().name(zone));
    let site = sites
        .get(usize::from(scope))
        .filter(|site| !site.is_empty());
    let proves = |seen: &&CanarySighting| {
        seen.standing == CanaryStanding::Proves
            && seen.zone.as_deref() == zone
            && seen.site.as_ref() == site
    };
    let latest = canaries
        .sightings()
        .filter(proves)
        .max_by_key(|seen| seen.at)?;
    Some(Canary {
        seen: latest.timestamp.clone(),
        evidence: latest.kind.to_string(),
    })
}

fn subject(args: &AbsenceArgs, rules: &Ruleset) -> Result<Subject, UsageError> {
    let found = match (&args.vendor, &args.engine, &args.product) {
        (vendor, _, Some(product)) => Subject::product(rules, vendor.as_deref(), product),
        (_, Some(engine), None) => Subject::engine(rules, engine),
        (Some(vendor), None, None) => Subject::vendor(rules, vendor),
        // The command line is refused before.
        (None, None, None) => Subject::vendor(rules, ""),
    };
    found.map_err(|error| UsageError(error.to_string()))
}

fn check_zone(args: &AbsenceArgs, names: &[String]) -> Result<(), UsageError> {
    let Some(zone) = &args.zone else {
        return Ok(());
    };
    if zone == UNZONED || names.contains(zone) {
        return Ok(());
    }
    let known: Vec<&str> = (names.iter().map(String::as_str))
        .chain([UNZONED])
        .collect();
    Err(UsageError(format!(
        "no zone is called {zone:?}; known: {} ([zones] of the configuration)",
        known.join(", ")
    )))
}

fn demands(configuration: &Configuration) -> Demands {
    let watch = &configuration.watch;
    Demands {
        hours_min: watch.absence_hours_min.value,
        intervals_min: watch.absence_intervals_min.value,
        measured_min: watch.absence_measured_min.value,
        miss_percent_max: watch.absence_miss_percent_max.value,
        cause_percent_max: watch.absence_cause_percent_max.value,
        visible_percent_min: watch.absence_visible_percent_min.value,
        contacts_max: watch.absence_contacts_max.value as usize,
    }
}
