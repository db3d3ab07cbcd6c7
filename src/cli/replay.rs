//! `avscope replay`: captures in, the report out; events as JSON Lines beside it.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::capture_args::{CaptureArgs, SinkFn, report_inputs};
use super::{EXIT_ERROR, EXIT_INPUT_INCOMPLETE, EXIT_OK};
use crate::aggregate::Ledger;
use crate::capture::is_capture;
use crate::config::Limits;
use crate::geo::OperatorTable;
use crate::pipeline::conservation;
use crate::report::{self, Reading, Style, Summary};
use crate::store::EventWriter;

/// Read captures and report who talks to which security vendor.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  avscope replay office.pcap\n  avscope replay captures/ yesterday.pcap.gz eth1.pcapng.zst\n  \
    avscope replay --site-from-path sites/          (sites/berlin/*.pcap, sites/paris/*.pcap)\n  \
    avscope replay --isolate samples/               (captures that have nothing to do with each other)\n  \
    avscope replay --format csv office.pcap > exposures.csv\n  \
    avscope replay --events events.jsonl office.pcap\n  \
    avscope replay --events - office.pcap 2>summary.txt | jq 'select(.event_type == \"tls\")'\n  \
    ssh gateway tcpdump -w - | avscope replay -\n\n\
    Contents decide, not names: pcap and pcapng, each plain, gzip or zstd. Folders are read with all below them; names\n\
    that begin with a dot and links to folders are left out, and what is no capture is named at the end.\n\
    All inputs are one: files are read in the order of their first packets and merged by time where they overlap.\n\n\
    With --events - the summary goes to standard error.\n\
    Exit code: 0 if all input was read, 4 if part of it could not be read, 1 if none could."
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

    /// Exposures listed at most.
    #[arg(long, value_name = "N", default_value_t = Limits::default().exposures_max, hide_short_help = true)]
    pub exposures_max: usize,
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

/// Runs the command.
pub fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let rules = args.captures.ruleset()?;
    let operators = Arc::new(OperatorTable::builtin()?);
    let limits = args.captures.limits(args.exposures_max);
    let settings = args.captures.settings(Arc::clone(&rules), &limits)?;
    let mut ledger = Ledger::new(
        Arc::clone(&rules),
        Arc::clone(&operators),
        Arc::clone(&settings.home),
        limits.exposures_max,
    );
    let events = args
        .events
        .as_deref()
        .map(|path| open_events(path, &args.captures.paths));
    let mut events = events
        .transpose()?
        .map(|out| EventWriter::new(out, rules, Arc::clone(&operators)));

    let run = args.captures.read(
        &settings,
        &mut SinkFn(|event: crate::aggregate::EventRef<'_>| {
            ledger.event(event);
            events.as_mut().map_or(Ok(()), |events| events.event(event))
        }),
    )?;
    if let Some(events) = &mut events {
        events.flush().context("cannot write events")?;
    }
    let conservation = conservation(&run.outcome, &ledger, &run.reports);
    let holds = conservation.holds();
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
    );
    summary.reading = reading;
    let nothing_read = incomplete && summary.frames.frames == 0;
    if !nothing_read {
        write_summary(args, &summary).context("cannot write the report")?;
    }
    anyhow::ensure!(
        holds,
        "the sums do not match: this is a defect of avscope; please report it with the lines marked NOT"
    );
    Ok(ExitCode::from(match (nothing_read, incomplete) {
        (true, _) => EXIT_ERROR,
        (false, true) => EXIT_INPUT_INCOMPLETE,
        (false, false) => EXIT_OK,
    }))
}

fn open_events(path: &Path, captures: &[PathBuf]) -> anyhow::Result<BufWriter<Box<dyn Write>>> {
    // Creating the file empties it: a slip must not cost a capture.
    let identity = |path: &Path| {
        std::fs::metadata(path)
            .ok()
            .map(|file| (file.dev(), file.ino()))
    };
    if let Some(events) = identity(path) {
        for capture in captures {
            // In a folder it may be one of the captures there.
            let inside = capture.is_dir() && is_capture(path) && lies_in(path, capture);
            anyhow::ensure!(
                identity(capture) != Some(events) && !inside,
                "{}: is one of the captures; give --events another file",
                path.display()
            );
        }
    }
    let out: Box<dyn Write> = if path.as_os_str() == "-" {
        Box::new(std::io::stdout())
    } else {
        let file = File::create(path).with_context(|| {
            format!(
                "{}: cannot create the file for events; is the folder there and writable?",
                path.display()
            )
        })?;
        Box::new(file)
    };
    Ok(BufWriter::with_capacity(1 << 20, out))
}

fn lies_in(path: &Path, folder: &Path) -> bool {
    match (path.canonicalize(), folder.canonicalize()) {
        (Ok(path), Ok(folder)) => path.starts_with(folder),
        _ => false,
    }
}

/// The summary goes to standard output, unless events do.
fn write_summary(args: &ReplayArgs, summary: &Summary) -> anyhow::Result<()> {
    let to_stderr = args
        .events
        .as_deref()
        .is_some_and(|path| path.as_os_str() == "-");
    let (mut out, terminal): (Box<dyn Write>, bool) = if to_stderr {
        (Box::new(std::io::stderr()), std::io::stderr().is_terminal())
    } else {
        (Box::new(std::io::stdout()), std::io::stdout().is_terminal())
    };
    let mut out = BufWriter::new(&mut out);
    match args.format {
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
