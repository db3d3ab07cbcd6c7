//! Runs captures through the library and the program, for all topics.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use assert_cmd::Command;
use avscope::aggregate::{Conservation, EventRef, HostLimits, Ledger, MemoryLimits, WatchLimits};
use avscope::attribute::Ruleset;
use avscope::capture::{CaptureFiles, PacketSource};
use avscope::config::{self, Limits};
use avscope::geo::{Countries, OperatorTable};
use avscope::pipeline::{
    self, DnsLimits, EventSink, MirrorLimits, QuicSettings, Settings, conservation,
};
use avscope::report::{Summary, write_json};
use avscope::store::{EventWriter, Names};
use serde_json::Value;

/// The folder of captures in the repository.
pub fn pcaps() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps")
}

/// The program under test.
pub fn avscope() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_avscope"));
    // Whatever is configured on this machine is not under test.
    command.env("AVSCOPE_CONFIG", "");
    command
}

/// Says that a test cannot run here, and why; where everything is required that is a failure.
pub fn skip(test: &str, why: &str) {
    let required = std::env::var("AVSCOPE_REQUIRE").is_ok_and(|what| what == "all");
    assert!(!required, "{test} is required and cannot run: {why}");
    println!("SKIPPED {test}: {why}");
}

/// A JSON file in the folder of captures.
pub fn expected(name: &str) -> Value {
    let path = pcaps().join(name);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// Every capture in the repository.
pub fn all_captures() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![pcaps()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|ending| ending == "pcap" || ending == "pcapng")
            {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(
        found.len() >= 20,
        "the captures are not there: {}",
        found.len()
    );
    found
}

/// How a run differs from the usual.
#[derive(Clone, Debug)]
pub struct Way {
    pub workers: usize,
    pub batch_frames: usize,
    pub limits: Limits,
    pub dns: DnsLimits,
    pub memory: MemoryLimits,
    pub hosts: HostLimits,
    pub watch: WatchLimits,
    pub mirror: MirrorLimits,
    pub quic: QuicSettings,
}

impl Default for Way {
    fn default() -> Self {
        Self {
            workers: 1,
            batch_frames: 64,
            limits: Limits::default(),
            dns: DnsLimits::default(),
            memory: MemoryLimits::default(),
            hosts: HostLimits::default(),
            watch: WatchLimits::default(),
            mirror: MirrorLimits::default(),
            quic: QuicSettings::default(),
        }
    }
}

/// Everything a run gives.
pub struct Run {
    /// All events, as `--events` writes them.
    pub events: Vec<u8>,
    /// The report without its manifest.
    pub report: Value,
    /// The names, as `avscope names` lists them.
    pub names: BTreeSet<String>,
    pub packets_by_worker: Vec<u64>,
    pub conservation: Conservation,
    pub source_reports: Vec<avscope::capture::FileReport>,
}

struct Sink<'a> {
    ledger: &'a mut Ledger,
    names: &'a mut Names,
    events: &'a mut EventWriter<Vec<u8>>,
}

impl EventSink for Sink<'_> {
    fn event(&mut self, event: EventRef<'_>) -> std::io::Result<()> {
        self.ledger.event(event);
        self.names.event(event);
        self.events.event(event, self.ledger.judgement())
    }
}

/// Settings of a run.
pub fn settings(way: &Way) -> Settings {
    // Parsed once: a run of a small capture takes less time than the rules.
    static RULES: OnceLock<Arc<Ruleset>> = OnceLock::new();
    let rules = Arc::clone(RULES.get_or_init(|| Arc::new(Ruleset::builtin().unwrap())));
    let limits = &way.limits;
    let settings = config::offline(Some(way.workers), way.batch_frames, limits, &[], rules);
    let mut settings = settings.unwrap();
    settings.ledger.memory = way.memory;
    settings.ledger.hosts = way.hosts;
    settings.ledger.watch = way.watch;
    Settings {
        dns: way.dns,
        mirror: way.mirror,
        quic: way.quic,
        ..settings
    }
}

/// Reads captures, in this order, and keeps everything that comes out.
pub fn run(paths: &[PathBuf], way: &Way) -> Run {
    let mut source = CaptureFiles::new(paths.to_vec());
    let mut result = run_source(&mut source, way, |source| source.reports().to_vec());
    result.source_reports = source.reports().to_vec();
    let clock = source.clock_stats();
    result.report["time"]["steps_back"] = clock.steps_back.into();
    result.report["time"]["jumps"] = clock.jumps.into();
    result
}

/// The same for any source.
pub fn run_source<S: PacketSource + Send>(
    source: &mut S,
    way: &Way,
    reports: impl Fn(&S) -> Vec<avscope::capture::FileReport>,
) -> Run {
    static OPERATORS: OnceLock<Arc<OperatorTable>> = OnceLock::new();
    let operators = OPERATORS.get_or_init(|| Arc::new(OperatorTable::builtin().unwrap()));
    let operators = Arc::clone(operators);
    let settings = settings(way);
    let mut ledger = Ledger::new(
        Arc::clone(&settings.rules),
        Arc::new(Countries::Embedded),
        Arc::clone(&operators),
        Arc::clone(&settings.home),
        &settings.ledger,
    );
    let mut names = Names::default();
    let mut events = EventWriter::new(
        Vec::new(),
        Arc::clone(&settings.rules),
        Arc::new(Countries::Embedded),
        Arc::clone(&operators),
        Vec::new(),
    );
    let outcome = pipeline::replay(
        source,
        &settings,
        &mut Sink {
            ledger: &mut ledger,
            names: &mut names,
            events: &mut events,
        },
    )
    .unwrap();
    let reports = reports(source);
    let conservation = conservation(&outcome, &ledger, &reports);
    let packets_by_worker = outcome.packets_by_worker.clone();
    let mut summary = Summary::new(
        &ledger,
        outcome.frames,
        outcome.shards,
        conservation.clone(),
        avscope::capture::ClockStats::default(),
        reports.clone(),
        operators.dataset().clone(),
        settings.home.texts().to_vec(),
        &[],
    );
    summary.keys = outcome.keys;
    let mut json = Vec::new();
    write_json(&summary, &mut json).unwrap();
    let mut report: Value = serde_json::from_slice(&json).unwrap();
    report.as_object_mut().unwrap().remove("inputs");
    Run {
        events: events.into_inner(),
        report,
        names: names
            .rows()
            .map(|(row, count)| format!("{row:?} {count}"))
            .collect(),
        packets_by_worker,
        conservation,
        source_reports: reports,
    }
}

/// Law 1.
pub fn assert_conserved(run: &Run, what: &str) {
    for equation in &run.conservation.equations {
        assert!(equation.holds(), "{what}: {equation}");
    }
}

/// A capture file taken apart: its header, and its records with theirs.
pub fn records(capture: &[u8]) -> (&[u8], Vec<&[u8]>) {
    let (header, mut rest) = capture.split_at(24);
    let mut records = Vec::new();
    while !rest.is_empty() {
        let len = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        let (record, behind) = rest.split_at(16 + len);
        records.push(record);
        rest = behind;
    }
    (header, records)
}
