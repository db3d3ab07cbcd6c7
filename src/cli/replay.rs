//! `avscope replay`: captures in, the report out; events as JSON Lines beside it.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::capture_args::{
    CaptureArgs, LedgerSink, RedactArgs, issued_canaries, lossy, refuse_to_overwrite, report_inputs,
};
use super::policies::policies;
use super::{EXIT_ERROR, EXIT_FOUND, EXIT_INPUT_INCOMPLETE, EXIT_OK, UsageError};
use crate::aggregate::{EventRef, Ledger};
use crate::alert::{AlertEngine, AlertSettings};
use crate::attribute::Ruleset;
use crate::config::{Configuration, Flags};
use crate::export::{SummaryCollector, check_textfile, write_textfile};
use crate::geo::{Countries, OperatorTable};
use crate::pipeline::conservation;
use crate::policy::{Organisation, Policies, PolicyError, Record};
use crate::report::{self, Findings, News, Reading, Style, Summary};
use crate::store::{AlertWriter, EventWriter, load_state, save_state};

/// Read captures and report who talks to which security vendor.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  avscope replay office.pcap\n  avscope replay captures/ yesterday.pcap.gz eth1.pcapng.zst\n  \
    avscope replay --site-from-path sites/          (sites/berlin/*.pcap, sites/paris/*.pcap)\n  \
    avscope replay --isolate samples/               (captures that have nothing to do with each other)\n  \
    avscope replay --format csv office.pcap > exposures.csv\n  \
    avscope replay --events events.jsonl office.pcap\n  \
    avscope replay --events - office.pcap 2>summary.txt | jq 'select(.event_type == \"tls\")'\n  \
    ssh gateway tcpdump -w - | avscope replay -\n  \
    avscope replay --policy us-ndaa-1634 --exit-code office.pcap\n\n\
    Contents decide, not names: pcap and pcapng, each plain, gzip or zstd. Folders are read with all below them; names\n\
    that begin with a dot and links to folders are left out, and what is no capture is named at the end.\n\
    All inputs are one: files are read in the order of their first packets and merged by time where they overlap.\n\n\
    With --events - or --alerts - the summary goes to standard error.\n\
    Exit code: 0 if all input was read, 4 if part of it could not be read, 1 if none could; with --exit-code 3 if a policy\n\
    is indicated, also where part of the input could not be read."
)]
pub struct ReplayArgs {
    /// Captures and how to read them.
    #[command(flatten)]
    pub captures: CaptureArgs,

    /// How the summary is written.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,

    /// Write every name and flow as JSON Lines to this file; - is standard output.
    #[arg(long, value_name = "FILE|-")]
    pub events: Option<PathBuf>,

    /// Which lines are written with --events. Default: all.
    #[arg(long, value_enum, value_name = "WHICH")]
    pub events_of: Option<EventsOf>,

    /// Whether identifiers are taken out of what is written.
    #[command(flatten)]
    pub redaction: RedactArgs,

    /// File of countries in MaxMind's DB format (.mmdb), in place of the built-in table.
    #[arg(long, value_name = "FILE")]
    pub geoip: Option<PathBuf>,

    /// Write metrics in Prometheus's text format to this file, whole or not at all.
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,

    /// Remember in this file what was seen, so that nothing is told as new again; the same capture again changes nothing.
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,

    /// Recognise the canaries that this file says were issued (avscope canary new).
    #[arg(long, value_name = "FILE")]
    pub canaries: Option<PathBuf>,

    /// Write alerts as JSON Lines to this file, each when it is raised; - is standard output.
    #[arg(long, value_name = "FILE|-")]
    pub alerts: Option<PathBuf>,
    /// Judge by this policy only, whatever roles are declared; may be repeated. See avscope policies list.
    #[arg(long = "policy", value_name = "ID")]
    pub policies: Vec<String>,

    /// End with exit code 3 if any policy in force is indicated.
    #[arg(long)]
    pub exit_code: bool,

    /// Note findings in this record, for avscope finding.
    #[arg(long, value_name = "FILE")]
    pub findings: Option<PathBuf>,

    /// Exposures listed at most.
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub exposures_max: Option<usize>,
}

/// How the summary is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// One document, everything in it.
    Json,
    /// One line for each exposure.
    Csv,
}

/// Which events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EventsOf {
    /// Every name, every question and every flow.
    All,
    /// Those that name a vendor.
    Attributed,
}

impl EventsOf {
    const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Attributed => "attributed",
        }
    }
}

impl ReplayArgs {
    /// What was given of the options that can also stand in a file.
    pub fn flags(&self) -> Flags {
        Flags {
            exposures_max: self.exposures_max,
            geoip: self.geoip.as_deref().map(lossy),
            metrics: self.metrics.as_deref().map(lossy),
            alerts: self.alerts.as_deref().map(lossy),
            canaries: self.canaries.as_deref().map(lossy),
            state: self.state.as_deref().map(lossy),
            events: self.events.as_deref().map(lossy),
            events_of: self.events_of.map(EventsOf::as_str),
            redact: self.redaction.given(),
            ..self.captures.flags()
        }
    }
}

/// Runs the command.
pub fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let configuration = args.captures.configuration(&args.flags())?;
    let rules = args.captures.ruleset(&configuration)?;
    let organisation = configuration.organisation(&args.policies);
    let policies = policies_asked_for(args, &configuration, &rules, &organisation)?;
    let geoip = args.geoip.as_deref().or(configuration.geoip.file.path());
    let countries = Arc::new(Countries::from_file_or_embedded(geoip)?);
    let operators = Arc::new(OperatorTable::builtin()?);
    let mut settings = super::capture_args::settings(&configuration, Arc::clone(&rules))?;
    let mut ledger = Ledger::new(
        Arc::clone(&rules),
        Arc::clone(&countries),
        Arc::clone(&operators),
        Arc::clone(&settings.home),
        &settings.ledger,
    );
    let paths = Paths::of(args, &configuration)?;
    // Only events tell what a hello offers beside the name.
    settings.hello_details = paths.events.is_some();
    let before = paths.state.map(load_state).transpose()?.unwrap_or_default();
    let alert_settings = alert_settings(args, &configuration, &rules)?;
    let record = paths.findings.map(Record::read_or_new).transpose()?;
    let redact = configuration.output.redact.value;
    let open = |path: Option<&Path>, option| path.map(|path| open_lines(path, option)).transpose();
    let events = open(paths.events, "--events")?;
    let mut alert_lines = open(paths.alerts, "--alerts")?.map(AlertWriter::new);
    let source = args.captures.source(&configuration)?;
    let mut alerts = AlertEngine::new(
        alert_settings,
        Arc::clone(&rules),
        Arc::clone(&settings.home),
        source.sites().to_vec(),
        before,
    );
    let mut events = events.map(|out| {
        let sites = source.sites().to_vec();
        EventWriter::new(out, rules, countries, Arc::clone(&operators), sites).redacted(redact)
    });
    let attributed_only = configuration.output.events_of.value == "attributed";
    let run = args.captures.read(
        source,
        &settings,
        &mut LedgerSink {
            ledger: &mut ledger,
            also: |event: EventRef<'_>, ledger: &Ledger| {
                let first_new = alerts.event(event, ledger);
                tell(&alerts, first_new, &mut alert_lines)?;
                let judgement = ledger.judgement();
                match &mut events {
                    Some(events) if !attributed_only || judgement.deciding().is_some() => {
                        events.event(event, judgement)
                    }
                    _ => Ok(()),
                }
            },
        },
    )?;
    if let Some(events) = &mut events {
        events.flush().context("cannot write events")?;
    }
    let first_new = alerts.alerts().len();
    let expected = alerts.finish(&ledger);
    tell(&alerts, first_new, &mut alert_lines)?;
    let conservation = conservation(&run.outcome, &ledger, &run.reports);
    let incomplete = report_inputs(&run);
    let reading = Reading::of(&run.source, run.home_hint);
    let mut summary = Summary::new(
        &ledger,
        run.outcome.frames,
        run.outcome.shards,
        conservation,
        run.source.clock_stats(),
        run.reports,
        operators.dataset().clone(),
        settings.home.texts().to_vec(),
        run.source.sites(),
    );
    summary.reading = reading;
    summary.news = News::of(&alerts, expected);
    summary.remember(&alerts);
    summary.keys = settings.decrypt.keys.counters();
    summary.keys += run.outcome.keys;
    if redact {
        summary.redact();
    }
    summary.findings = Findings::of(
        &summary.exposures,
        &policies,
        &organisation,
        ledger.rules(),
        configuration.organisation.findings_max.value as usize,
    );
    write_outputs(
        args,
        &paths,
        &mut summary,
        &ledger,
        alerts,
        record,
        incomplete,
    )
}

/// What somebody is told to look at, with the canaries that were issued.
fn alert_settings(
    args: &ReplayArgs,
    configuration: &Configuration,
    rules: &Ruleset,
) -> anyhow::Result<AlertSettings> {
    Ok(AlertSettings {
        canaries: issued_canaries(args.canaries.as_deref(), configuration)?,
        ..configuration.alert_settings(rules)?
    })
}

/// Writes what a run came to, and says with which code to end.
fn write_outputs(
    args: &ReplayArgs,
    paths: &Paths<'_>,
    summary: &mut Summary,
    ledger: &Ledger,
    alerts: AlertEngine,
    mut record: Option<Record>,
    incomplete: bool,
) -> anyhow::Result<ExitCode> {
    let holds = summary.conservation.holds();
    let nothing_read = incomplete && summary.frames.frames == 0;
    if !nothing_read {
        // What is wrong is not to be remembered.
        if let Some(path) = paths.state.filter(|_| holds) {
            let (state, forgotten) = alerts.into_state();
            summary.news.state_forgotten = forgotten;
            save_state(path, &state)?;
        }
        if let (Some(path), Some(record)) = (paths.findings.filter(|_| holds), &mut record) {
            summary.findings.note_in(record);
            record.write(path)?;
        }
        if let Some(path) = paths.metrics {
            write_textfile(SummaryCollector::new(summary, ledger.rules())?, path)?;
        }
        write_summary(args.format, &[paths.events, paths.alerts], summary)
            .context("cannot write the report")?;
    }
    anyhow::ensure!(
        holds,
        "the sums do not match: this is a defect of avscope; please report it with the lines marked NOT"
    );
    let indicated = args.exit_code && summary.findings.indicated();
    Ok(ExitCode::from(match (nothing_read, incomplete) {
        (true, _) => EXIT_ERROR,
        _ if indicated => EXIT_FOUND,
        (false, true) => EXIT_INPUT_INCOMPLETE,
        (false, false) => EXIT_OK,
    }))
}

/// All policies, with a message for the command line where it names one that is not there.
fn policies_asked_for(
    args: &ReplayArgs,
    configuration: &Configuration,
    rules: &Ruleset,
    organisation: &Organisation,
) -> anyhow::Result<Policies> {
    let all = policies(configuration, &args.captures.rules, rules, organisation);
    all.map_err(|error| match error.downcast::<PolicyError>() {
        Ok(PolicyError::Unknown { id, known }) if args.policies.contains(&id) => {
            UsageError(format!("--policy: no policy {id:?}; known: {known}")).into()
        }
        Ok(other) => other.into(),
        Err(error) => error,
    })
}

/// Where outputs beside the summary go.
struct Paths<'a> {
    events: Option<&'a Path>,
    metrics: Option<&'a Path>,
    state: Option<&'a Path>,
    alerts: Option<&'a Path>,
    findings: Option<&'a Path>,
}

impl<'a> Paths<'a> {
    /// As the command line and the configuration say. What cannot work is better said now than after hours of reading.
    fn of(args: &'a ReplayArgs, configuration: &'a Configuration) -> anyhow::Result<Self> {
        let output = &configuration.output;
        let paths = Self {
            events: args.events.as_deref().or(output.events.path()),
            metrics: args.metrics.as_deref().or(output.metrics.path()),
            state: args.state.as_deref().or(configuration.state.file.path()),
            alerts: args.alerts.as_deref().or(configuration.alerts.file.path()),
            findings: args.findings.as_deref(),
        };
        let all = [
            ("--events", paths.events),
            ("--metrics", paths.metrics),
            ("--state", paths.state),
            ("--alerts", paths.alerts),
            ("--findings", paths.findings),
        ];
        for (number, (option, path)) in all.iter().enumerate() {
            let Some(path) = path else { continue };
            refuse_to_overwrite(path, &args.captures.paths, option)?;
            // Two outputs in one file would destroy each other.
            let mut earlier = all.iter().take(number);
            if let Some((other, _)) = earlier.find(|(_, known)| *known == Some(*path)) {
                anyhow::bail!(
                    "{}: {other} and {option} name one file; give each its own",
                    path.display()
                );
            }
        }
        if let Some(path) = paths.metrics {
            check_textfile(path)?;
        }
        Ok(paths)
    }
}

/// Writes the alerts from `first_new` on.
fn tell<W: Write>(
    alerts: &AlertEngine,
    first_new: usize,
    lines: &mut Option<AlertWriter<W>>,
) -> std::io::Result<()> {
    let new = alerts.alerts().get(first_new..).unwrap_or_default();
    match lines {
        Some(lines) => new.iter().try_for_each(|alert| lines.alert(alert)),
        None => Ok(()),
    }
}

fn open_lines(path: &Path, option: &str) -> anyhow::Result<BufWriter<Box<dyn Write>>> {
    let out: Box<dyn Write> = if path.as_os_str() == "-" {
        Box::new(std::io::stdout())
    } else {
        let file = File::create(path).with_context(|| {
            format!(
                "{}: cannot create the file for {option}; is the folder there and writable?",
                path.display()
            )
        })?;
        Box::new(file)
    };
    Ok(BufWriter::with_capacity(1 << 20, out))
}

/// The summary goes to standard output, unless events or alerts do.
fn write_summary(format: Format, lines: &[Option<&Path>], summary: &Summary) -> anyhow::Result<()> {
    let is_stdout = |path: &Path| path.as_os_str() == "-";
    let to_stderr = lines.iter().flatten().any(|path| is_stdout(path));
    let (mut out, terminal): (Box<dyn Write>, bool) = if to_stderr {
        (Box::new(std::io::stderr()), std::io::stderr().is_terminal())
    } else {
        (Box::new(std::io::stdout()), std::io::stdout().is_terminal())
    };
    let mut out = BufWriter::new(&mut out);
    match format {
        Format::Table => report::write_table(summary, style(terminal), &mut out)?,
        Format::Json => report::write_json(summary, &mut out)?,
        Format::Csv => report::write_csv(summary, &mut out)?,
    }
    out.flush()?;
    Ok(())
}

/// Wide enough to read where there is no terminal; no colours there, or where `NO_COLOR` is set.
pub(super) fn style(terminal: bool) -> Style {
    const WIDTH_MIN: u16 = 80;
    const WIDTH_FILE: u16 = 190;
    let width = terminal_size::terminal_size()
        .map(|(width, _)| width.0)
        .filter(|_| terminal);
    Style {
        width: width.map_or(WIDTH_FILE, |width| width.max(WIDTH_MIN)),
        colour: terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    }
}
