//! Generated captures → nanoseconds per element of each stage, one stage at a time.
//!
//! Everything is made with fixed seeds before the clock runs. A stage is given what the stage before it gives in a
//! real run, so the sum of the stages is about what the whole path costs.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a benchmark that cannot run must fail loudly; criterion's macros write undocumented functions"
)]

use std::hint::black_box;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use avscope::aggregate::{EventRef, EventRun};
use avscope::attribute::Ruleset;
use avscope::capture::{
    CaptureFiles, FrameBatch, FrameDescriptor, FrameStorage, PacketSource, RawPacket, SourceState,
};
use avscope::config::{self, Limits};
use avscope::decode::{self, Decoded};
use avscope::flow::{FlowKey, FlowTable, Timeouts};
use avscope::geo::CountryTable;
use avscope::model::Tick;
use avscope::pipeline::shard::{Shard, Task};
use avscope::pipeline::{self, EventSink, SHARDS, Settings};
use avscope::protocol::Progress;
use avscope::protocol::dns::{Data, Message};
use avscope::protocol::http1;
use avscope::protocol::quic;
use avscope::protocol::recognise::{Transport, recognise};
use avscope::protocol::tls::{self, HelloAssembler, Look};
use criterion::measurement::WallTime;
use criterion::{
    BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main,
};

#[path = "../examples/generate/generator/mod.rs"]
mod generator;

use generator::options::{Options, Shape};

const SEED: u64 = 7;
const BATCH_FRAMES: usize = 64;

/// A capture in memory, read once and decoded once.
struct Capture {
    path: PathBuf,
    storage: FrameStorage,
    descriptors: Vec<FrameDescriptor>,
    tasks: Vec<(Task, FrameDescriptor)>,
    names: Vec<Vec<u8>>,
    directory: tempfile::TempDir,
}

impl Capture {
    fn new(shape: Shape, packets: Option<u64>, flows: Option<u64>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bench.pcap");
        let truth = generator::generate(&Options {
            shape,
            output: path.clone(),
            seed: SEED,
            packets,
            flows,
            bytes: None,
            hosts: None,
            nanoseconds: false,
            flows_truth: None,
        })
        .unwrap();
        assert!(generator::truth_path(&path).exists());
        let mut capture = Self {
            storage: FrameStorage::Empty,
            descriptors: Vec::new(),
            tasks: Vec::new(),
            names: truth
                .names
                .iter()
                .filter(|count| count.kind == "tls_sni")
                .map(|count| count.name.as_bytes().to_vec())
                .collect(),
            path,
            directory,
        };
        capture.read();
        capture
    }

    fn read(&mut self) {
        let mut source = self.source();
        let mut batch = FrameBatch::with_capacity(BATCH_FRAMES);
        while source.next_batch(&mut batch).unwrap() == SourceState::Filled {
            self.storage = batch.storage.clone();
            self.descriptors.extend_from_slice(&batch.descriptors);
        }
        let seed = settings(Limits::default()).hash_seed;
        let tasks = self.descriptors.iter().filter_map(|descriptor| {
            let Decoded::Packet(packet) = decode::decode(&self.raw(descriptor)) else {
                return None;
            };
            let (key, sender) = FlowKey::of(&packet, 0);
            let task = Task {
                packet,
                sender,
                hash: key.hash(seed),
                timestamp: descriptor.timestamp,
                stream_time: descriptor.stream_time,
                seq: descriptor.seq,
                scope: 0,
                link_type: descriptor.link_type,
                in_datagram: false,
                captured_len: descriptor.captured_len,
                offset: descriptor.offset,
            };
            Some((task, *descriptor))
        });
        self.tasks = tasks.collect();
    }

    fn source(&self) -> CaptureFiles {
        assert!(self.directory.path().exists());
        CaptureFiles::new(vec![self.path.clone()])
    }

    fn frame(&self, descriptor: &FrameDescriptor) -> &[u8] {
        let start = usize::try_from(descriptor.offset).unwrap();
        &self.storage.bytes()[start..start + descriptor.captured_len as usize]
    }

    fn raw(&self, descriptor: &FrameDescriptor) -> RawPacket<'_> {
        RawPacket {
            timestamp: descriptor.timestamp,
            link_type: descriptor.link_type,
            wire_len: descriptor.wire_len,
            data: self.frame(descriptor),
        }
    }

    /// Payloads that hold a whole `ClientHello`.
    fn hellos(&self) -> Vec<&[u8]> {
        self.tasks
            .iter()
            .map(|(task, descriptor)| task.packet.payload(self.frame(descriptor)))
            .filter(|payload| matches!(tls::look(payload), Look::Hello(_)))
            .collect()
    }
}

fn settings(limits: Limits) -> Settings {
    let rules = Arc::new(Ruleset::builtin().unwrap());
    config::offline(Some(1), BATCH_FRAMES, &limits, &[], rules).unwrap()
}

/// A group whose figures are per element.
fn group<'a>(
    criterion: &'a mut Criterion,
    name: &str,
    elements: usize,
) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(elements as u64));
    group
}

fn walk(criterion: &mut Criterion, name: &str, capture: &Capture) {
    let mut group = group(criterion, "capture", capture.descriptors.len());
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            let mut source = capture.source();
            let mut batch = FrameBatch::with_capacity(BATCH_FRAMES);
            let mut frames = 0;
            while source.next_batch(&mut batch).unwrap() == SourceState::Filled {
                frames += batch.descriptors.len();
            }
            assert_eq!(frames, capture.descriptors.len());
        });
    });
}

fn decoding(criterion: &mut Criterion, name: &str, capture: &Capture) {
    let mut group = group(criterion, "decode", capture.descriptors.len());
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            for descriptor in &capture.descriptors {
                black_box(decode::decode(&capture.raw(descriptor)));
            }
        });
    });
}

fn hashing(criterion: &mut Criterion, capture: &Capture) {
    let mut group = group(criterion, "key_and_hash", capture.tasks.len());
    group.bench_function("office", |bencher| {
        bencher.iter(|| {
            for (task, _) in &capture.tasks {
                let (key, sender) = FlowKey::of(black_box(&task.packet), 0);
                black_box((key.hash(SEED), sender));
            }
        });
    });
}

/// The flow table alone, when it knows all flows: each pass goes on in time where the last one ended.
fn flow_update(criterion: &mut Criterion, name: &str, capture: &Capture) {
    let mut group = group(criterion, "flow_update", capture.tasks.len());
    let first = capture.tasks.first().unwrap().0.stream_time;
    let last = capture.tasks.last().unwrap().0.stream_time;
    let pass = last.since(first);
    let mut table = FlowTable::new(1 << 18, SEED, Timeouts::default());
    let mut shift = Duration::ZERO;
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            for (task, _) in &capture.tasks {
                let now = task.stream_time.after(shift);
                if table.is_behind(Tick::of(now)) {
                    table.advance(Tick::of(now), &mut |_, _| {});
                }
                black_box(table.update(
                    &task.key(),
                    task.hash,
                    task.sender,
                    &task.packet,
                    now,
                    now,
                    task.seq,
                    &mut |_, _| {},
                ));
            }
            shift += pass;
        });
    });
}

fn hellos(criterion: &mut Criterion, capture: &Capture) {
    let hellos = capture.hellos();
    let mut group = group(criterion, "hello", hellos.len());
    group.bench_function("look", |bencher| {
        bencher.iter(|| {
            for hello in &hellos {
                black_box(tls::look(hello));
            }
        });
    });
    let mut assembler = HelloAssembler::default();
    group.bench_function("assemble_two_pieces", |bencher| {
        bencher.iter(|| {
            for hello in &hellos {
                let (head, tail) = hello.split_at(hello.len() / 2);
                assembler.reset();
                assert_eq!(assembler.feed(head), Progress::NeedMore);
                assert_eq!(assembler.feed(tail), Progress::Done);
                black_box(assembler.hello());
            }
        });
    });
}

/// A response with an alias and two addresses, and a request as updaters send it; no capture that is generated has either.
fn names_in_clear(criterion: &mut Criterion) {
    const QUESTION: &[u8] =
        b"\x12\x34\x81\x80\0\x01\0\x03\0\0\0\0\x06update\x07example\x03com\0\0\x01\0\x01";
    const ALIAS: &[u8] = b"\xc0\x0c\0\x05\0\x01\0\0\x01\x2c\0\x05\x02um\xc0\x13";
    const ADDRESS: &[u8] = b"\xc0\x30\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x07";
    const REQUEST: &[u8] = b"GET /v10/update.ver HTTP/1.1\r\nHost: update.example.com\r\nUser-Agent: Updater (Windows; U; 64bit)\r\nAccept: */*\r\nConnection: Keep-Alive\r\nCache-Control: no-cache\r\n\r\n";
    let response = [QUESTION, ALIAS, ADDRESS, ADDRESS].concat();
    let mut message = Message::default();
    message.parse(&response).unwrap();
    let addresses = message
        .answers()
        .filter(|answer| matches!(answer.data, Data::Address(_)));
    assert_eq!(addresses.count(), 2);
    group(criterion, "dns", 1).bench_function("response", |bencher| {
        bencher.iter(|| message.parse(black_box(&response)));
    });
    assert!(matches!(
        http1::look(REQUEST),
        http1::Look::Request(_, len) if len == REQUEST.len()
    ));
    group(criterion, "http", 1).bench_function("look", |bencher| {
        bencher.iter(|| matches!(http1::look(black_box(REQUEST)), http1::Look::Request(..)));
    });
    let unknown: Vec<u8> = (0..200u8).map(|at| at.wrapping_mul(151) | 0x80).collect();
    group(criterion, "recognise", 2).bench_function("unknown", |bencher| {
        bencher.iter(|| {
            for transport in [Transport::Tcp, Transport::Udp] {
                black_box(recognise(transport, 50_000, 40_000, black_box(&unknown)));
            }
        });
    });
}

/// The first datagram of a client (RFC 9001 §A.2): keys, header, tag, frames, name; then the same under a version that has to be
/// tried with every salt and is opened by none.
fn quic_hello(criterion: &mut Criterion) {
    const PACKET: &str = include_str!("../src/protocol/quic/vectors/rfc9001-a2.hex");
    let digits: Vec<u32> = PACKET
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .collect();
    let packet: Vec<u8> = digits
        .chunks_exact(2)
        .map(|pair| (pair[0] << 4 | pair[1]) as u8)
        .collect();
    let mut reserved = packet.clone();
    reserved[1..5].copy_from_slice(&[0x1a; 4]);
    let (mut opener, mut client) = (quic::Opener::default(), quic::Client::default());
    let mut group = group(criterion, "quic", 1);
    for (name, datagram, opened) in [("initial", &packet, 1), ("no_salt_fits", &reserved, 0)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                client.reset();
                let taken = client.take(&mut opener, black_box(datagram), usize::MAX);
                assert_eq!(taken.opened, opened);
                matches!(client.look(), quic::Look::Hello(_))
            });
        });
    }
}

fn rules(criterion: &mut Criterion, capture: &Capture) {
    let rules = Ruleset::builtin().unwrap();
    let (hits, misses): (Vec<_>, Vec<_>) = capture
        .names
        .iter()
        .partition(|name| rules.match_name(name).is_some());
    for (name, names) in [("hit", hits), ("miss", misses)] {
        assert!(!names.is_empty());
        let mut group = group(criterion, "match_name", names.len());
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for name in &names {
                    black_box(rules.match_name(name));
                }
            });
        });
    }
}

/// A browser, what several rules begin like, and the longest text that is compared: all but a few bytes of it a hit.
fn user_agents(criterion: &mut Criterion) {
    let rules = Ruleset::builtin().unwrap();
    let long = format!(
        "ESS Update (Windows; U; 64bit; {}",
        "VDB BPC TDB APP".repeat(540)
    );
    for (name, text) in [
        (
            "browser",
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        ),
        ("hit", "DrWebUpdate-6.00.12.03291 (windows: 6.01.7601)"),
        ("hostile", &long),
    ] {
        let mut group = group(criterion, "match_user_agent", 1);
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(rules.match_user_agent(black_box(text.as_bytes()))));
        });
    }
}

fn countries(criterion: &mut Criterion, capture: &Capture) {
    let table = CountryTable::embedded();
    let mut addresses: Vec<IpAddr> = capture
        .tasks
        .iter()
        .map(|(task, _)| task.key().endpoint(task.sender).ip())
        .collect();
    // A run looks up the servers of named flows, not one address many times over.
    addresses.sort_unstable();
    addresses.dedup();
    let mut group = group(criterion, "country", addresses.len());
    group.bench_function("lookup", |bencher| {
        bencher.iter(|| {
            for address in &addresses {
                black_box(table.lookup(*address));
            }
        });
    });
}

/// All stages of a shard, from a decoded packet to events; flows open, show names and end.
fn shard(criterion: &mut Criterion, name: &str, capture: &Capture) {
    /// Events held before they are given away, as between two watermarks.
    const EVENTS_MAX: usize = 4096;
    let usual = Limits::default();
    // One shard takes all packets here, so it is given the room of all.
    let settings = settings(Limits {
        flows_max: SHARDS << 18,
        handshakes_max: usual.handshakes_max * SHARDS,
        handshake_bytes_max: usual.handshake_bytes_max * SHARDS,
        ..usual
    });
    let mut group = group(criterion, "shard", capture.tasks.len());
    let mut events = EventRun::default();
    group.bench_function(name, |bencher| {
        bencher.iter_batched_ref(
            || Shard::new(&settings),
            |shard| {
                for (task, descriptor) in &capture.tasks {
                    let frame = capture.frame(descriptor);
                    let payload = task.packet.payload(frame);
                    let print = shard.print(task, || payload);
                    shard.process(task, print, frame, payload, &mut events);
                    if events.len() >= EVENTS_MAX {
                        events.clear();
                    }
                }
            },
            BatchSize::PerIteration,
        );
    });
}

/// Hears everything and keeps nothing.
struct Deaf;

impl EventSink for Deaf {
    fn event(&mut self, event: EventRef<'_>) -> std::io::Result<()> {
        black_box(event);
        Ok(())
    }
}

/// From the file to ordered events, on one thread: all but the ledger.
fn whole(criterion: &mut Criterion, name: &str, capture: &Capture) {
    let settings = settings(Limits::default());
    let mut group = group(criterion, "replay", capture.descriptors.len());
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            let outcome = pipeline::replay(&mut capture.source(), &settings, &mut Deaf).unwrap();
            assert_eq!(outcome.frames.frames as usize, capture.descriptors.len());
        });
    });
}

fn stages(criterion: &mut Criterion) {
    let office = Capture::new(Shape::Office, Some(200_000), None);
    let few = Capture::new(Shape::Small, Some(200_000), Some(1_000));
    let many = Capture::new(Shape::Small, Some(400_000), Some(100_000));
    let short = Capture::new(Shape::ShortTls, None, Some(10_000));
    walk(criterion, "office", &office);
    walk(criterion, "small", &few);
    decoding(criterion, "office", &office);
    decoding(criterion, "small", &few);
    hashing(criterion, &office);
    flow_update(criterion, "1000_flows", &few);
    flow_update(criterion, "100000_flows", &many);
    hellos(criterion, &short);
    names_in_clear(criterion);
    quic_hello(criterion);
    rules(criterion, &office);
    user_agents(criterion);
    countries(criterion, &office);
    shard(criterion, "office", &office);
    shard(criterion, "short_tls", &short);
    shard(criterion, "small", &many);
    whole(criterion, "office", &office);
    whole(criterion, "short_tls", &short);
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
        .without_plots();
    targets = stages
}
criterion_main!(benches);
