//! avscope against the generator's truth: what was written is what is counted, to the last byte and flow.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot run must fail loudly"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use avscope::aggregate::{ByteLedger, EventRef, Ledger};
use avscope::attribute::Ruleset;
use avscope::capture::CaptureFiles;
use avscope::config::{self, Limits};
use avscope::geo::{Countries, OperatorTable};
use avscope::model::{EvidenceKind, Locality};
use avscope::pipeline::{self, EventSink, FrameCounters};
use avscope::store::Names;
use serde_json::Value;

use crate::generator::capture_generator::generate;
use crate::generator::capture_generator::options::{Options, Shape};
use crate::generator::{SHAPES, written_truth};

const BATCH_FRAMES: usize = 64;

/// Flows and bytes each way.
type Sums = (u64, u64, u64);

/// What avscope makes of a capture.
struct Counted {
    frames: FrameCounters,
    ledger: Ledger,
    /// The account of all bytes, those outside flows with it.
    bytes: ByteLedger,
    /// Rows and sightings of each TLS server name.
    server_names: BTreeMap<String, (u64, u64)>,
}

/// What listens to a run here: the same as in `replay` and in `names`.
struct Listeners {
    ledger: Ledger,
    names: Names,
}

impl EventSink for Listeners {
    fn event(&mut self, event: EventRef<'_>) -> std::io::Result<()> {
        self.ledger.event(event);
        self.names.event(event);
        Ok(())
    }
}

fn count(capture: &Path, workers: usize) -> Counted {
    let rules = Arc::new(Ruleset::builtin().unwrap());
    let limits = Limits::default();
    let settings = config::offline(
        Some(workers),
        BATCH_FRAMES,
        &limits,
        &[],
        Arc::clone(&rules),
    )
    .unwrap();
    let mut listeners = Listeners {
        ledger: Ledger::new(
            rules,
            Arc::new(Countries::Embedded),
            Arc::new(OperatorTable::builtin().unwrap()),
            Arc::clone(&settings.home),
            &settings.ledger,
        ),
        names: Names::default(),
    };
    let mut source = CaptureFiles::new(vec![capture.to_path_buf()]);
    let outcome = pipeline::replay(&mut source, &settings, &mut listeners).unwrap();
    let Listeners { ledger, names } = listeners;
    let sums = pipeline::conservation(&outcome, &ledger, source.reports());
    assert!(sums.holds(), "{sums:?}");
    assert_eq!((names.refused, ledger.exposures().refused), (0, 0));
    let mut server_names = BTreeMap::new();
    for (row, sightings) in names.rows() {
        if matches!(
            row.kind,
            EvidenceKind::HttpUri | EvidenceKind::HttpUserAgent
        ) {
            continue;
        }
        let name = format!("{} {}", row.kind, row.name);
        let sum: &mut (u64, u64) = server_names.entry(name).or_default();
        *sum = (sum.0 + 1, sum.1 + sightings);
    }
    let mut bytes = ledger.bytes().clone();
    bytes.merge(&outcome.frames.outside_flows);
    bytes.merge(&outcome.shards.tunnel_overhead);
    Counted {
        frames: outcome.frames,
        ledger,
        bytes,
        server_names,
    }
}

/// Exposures summed up by vendor, and by the vendor of an engine inside another's product. A rule that names its own vendor's
/// engine says that the product is unknown, not that it is another's.
fn by_vendor(ledger: &Ledger) -> [BTreeMap<String, Sums>; 2] {
    let mut sums = [BTreeMap::new(), BTreeMap::new()];
    let rules = ledger.rules();
    for (key, exposure) in ledger.exposures().iter() {
        let embedded = key.engine.filter(|engine| *engine != key.vendor);
        for (sums, vendor) in sums.iter_mut().zip([Some(key.vendor), embedded]) {
            let Some(vendor) = vendor else { continue };
            let sum: &mut Sums = sums.entry(rules.vendor(vendor).id.clone()).or_default();
            let more = exposure.traffic;
            *sum = (
                sum.0 + more.flows,
                sum.1 + more.bytes_out,
                sum.2 + more.bytes_in,
            );
        }
    }
    sums
}

/// The same out of the truth.
fn stated(truth: &Value, what: &str) -> BTreeMap<String, Sums> {
    let number = |value: &Value| value.as_u64().unwrap();
    truth[what]
        .as_array()
        .unwrap()
        .iter()
        .map(|count| {
            let sums = (
                number(&count["flows"]),
                number(&count["bytes_out"]),
                number(&count["bytes_in"]),
            );
            (count["vendor"].as_str().unwrap().to_owned(), sums)
        })
        .collect()
}

/// Compares everything that both sides know.
fn agrees(truth: &Value, counted: &Counted, what: &str) {
    let number = |pointer: &str| truth.pointer(pointer).and_then(Value::as_u64).unwrap();
    let frames = &counted.frames;
    assert_eq!(frames.frames, number("/packets"), "{what}");
    assert_eq!(frames.packets, number("/ip_packets"), "{what}");
    assert_eq!(
        frames.not_ip.iter().sum::<u64>(),
        number("/frames_by_kind/arp"),
        "{what}"
    );
    assert_eq!(frames.packet_bytes, number("/ip_bytes"), "{what}");
    let counters = ledger_counters(counted);
    assert_eq!(counters, (number("/flows"), number("/flows")), "{what}");

    let outbound = counted.bytes.total(Locality::Outbound);
    let expected = [
        number("/bytes/outbound_flows/out"),
        number("/bytes/outbound_flows/in"),
        number("/bytes/home_home"),
        number("/bytes/transit"),
    ];
    let total = |locality| counted.bytes.total(locality).bytes();
    let found = [
        outbound.bytes_out,
        outbound.bytes_in,
        total(Locality::HomeHome),
        total(Locality::Transit),
    ];
    assert_eq!(found, expected, "{what}: out, in, home to home, transit");

    let server_names: BTreeMap<String, (u64, u64)> = truth["names"]
        .as_array()
        .unwrap()
        .iter()
        .map(|count| {
            let flows = count["flows"].as_u64().unwrap();
            let text = |key: &str| count[key].as_str().unwrap();
            (format!("{} {}", text("kind"), text("name")), (flows, flows))
        })
        .collect();
    assert_eq!(
        counted.server_names, server_names,
        "{what}: rows, sightings"
    );
    let counters = counted.ledger.counters();
    assert_eq!(
        counters.facts[EvidenceKind::TlsSni.index()],
        number("/tls_flows_with_sni"),
        "{what}"
    );

    let [vendors, engines] = by_vendor(&counted.ledger);
    assert_eq!(vendors, stated(truth, "vendors"), "{what}");
    assert_eq!(engines, stated(truth, "embedded_engines"), "{what}");
}

/// Flows opened and flows ended.
fn ledger_counters(counted: &Counted) -> (u64, u64) {
    let counters = counted.ledger.counters();
    (counters.flows_opened, counters.flows_ended.iter().sum())
}

/// A capture of `shape`, large enough that flows end, give way to others and are named by the hundred.
fn sized(shape: Shape, seed: u64, directory: &Path) -> Options {
    let output = directory.join(format!("{}.pcap", shape.word()));
    let mut options = Options::new(shape, output);
    options.seed = seed;
    match shape {
        Shape::Office => options.packets = Some(60_000),
        Shape::ShortTls => options.flows = Some(4_000),
        Shape::Bulk => options.bytes = Some(30_000_000),
        Shape::SynFlood => options.packets = Some(30_000),
        Shape::Small => (options.packets, options.flows) = (Some(40_000), Some(5_000)),
        Shape::Concurrent => {
            options.flows = Some(8_000);
            options.nanoseconds = true;
        }
    }
    options
}

#[test]
fn what_is_counted_is_what_was_written() {
    let directory = tempfile::tempdir().unwrap();
    for shape in SHAPES {
        for (seed, workers) in [(11, 1), (12, 3)] {
            let options = sized(shape, seed, directory.path());
            generate(&options).unwrap();
            let truth = written_truth(&options.output);
            assert!(truth["packets"].as_u64() > Some(10_000), "{truth}");
            let counted = count(&options.output, workers);
            let what = format!("{} seed {seed} workers {workers}", shape.word());
            agrees(&truth, &counted, &what);
        }
    }
}
