//! In the steady state nothing is allocated: known flows, known names, time going on.
#![allow(unsafe_code, reason = "counting what the allocator is asked for")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_macros, reason = "shown with --nocapture")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use avscope::aggregate::EventRef;
use avscope::attribute::{Ruleset, ValidityDate};
use avscope::capture::{
    CaptureError, CaptureFiles, FrameBatch, FrameDescriptor, FrameStorage, PacketSource,
    SourceState,
};
use avscope::config::{self, Limits};
use avscope::model::Timestamp;
use avscope::pipeline::{self, EventSink};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The same frames over and over, time going on; notes how many allocations there were after each round.
struct Rounds {
    storage: FrameStorage,
    frames: Vec<FrameDescriptor>,
    position: usize,
    turn: u64,
    turns: u64,
    /// What a round takes, in nanoseconds.
    step: u64,
    latest: u64,
    seq: u64,
    at: Vec<u64>,
}

impl PacketSource for Rounds {
    fn next_batch(&mut self, batch: &mut FrameBatch) -> Result<SourceState, CaptureError> {
        batch.descriptors.clear();
        if self.position == self.frames.len() {
            self.position = 0;
            self.turn += 1;
            // Room for all was reserved before the first.
            self.at.push(ALLOCATIONS.load(Ordering::Relaxed));
        }
        if self.turn == self.turns {
            return Ok(SourceState::End);
        }
        let count = batch.capacity().min(self.frames.len() - self.position);
        for frame in &self.frames[self.position..self.position + count] {
            let nanos = frame.timestamp.as_nanos() + self.turn * self.step;
            self.latest = self.latest.max(nanos);
            batch.descriptors.push(FrameDescriptor {
                seq: self.seq,
                timestamp: Timestamp::from_nanos(nanos),
                stream_time: Timestamp::from_nanos(self.latest),
                ..*frame
            });
            self.seq += 1;
        }
        self.position += count;
        batch.storage = self.storage.clone();
        Ok(SourceState::Filled)
    }
}

struct Nobody;

impl EventSink for Nobody {
    fn event(&mut self, _: EventRef<'_>) -> std::io::Result<()> {
        Ok(())
    }
}

/// Look-ups of every kind, known and unknown; not a test of its own, since tests share the count.
fn look_ups_allocate_nothing(rules: &Ruleset) {
    let address = "77.74.176.10".parse().unwrap();
    let day = ValidityDate::of_unix_seconds(1_533_658_233);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let found = [
        rules.match_name(b"kav8.zonealarm.com"),
        rules.match_name_on(b"updates.sunbeltsoftware.com", day),
        rules.match_user_agent(b"DrWebUpdate-6.00.12.03291 (windows: 6.01.7601)"),
        rules.match_user_agent_on(b"Mozilla/5.0 (X11; Linux x86_64)", day),
        rules.match_uri(b"/updates/kdb/i386/kdb-i386-1313g.xml.dif"),
        rules.match_uri_on(b"/index.html", day),
        rules
            .match_address(address, Some(200_107))
            .map(|(_, found)| found),
        rules.match_address(address, None).map(|(_, found)| found),
    ];
    let after = ALLOCATIONS.load(Ordering::Relaxed);
    let known = found.map(|found| found.is_some());
    assert_eq!(known, [true, false, true, false, true, false, true, false]);
    assert_eq!(after, before);
}

/// Allocations of 20 rounds of a capture, after 20 to warm up.
fn allocations_once_warm(capture: &str, rules: Arc<Ruleset>) -> u64 {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(capture);
    let mut source = CaptureFiles::new(vec![path]);
    let mut batch = FrameBatch::with_capacity(1 << 20);
    assert_eq!(source.next_batch(&mut batch).unwrap(), SourceState::Filled);
    let times = || batch.descriptors.iter().map(|frame| frame.timestamp);
    let span = times().max().unwrap().as_nanos() - times().min().unwrap().as_nanos();
    let rounds = 40;
    let mut source = Rounds {
        storage: batch.storage.clone(),
        frames: batch.descriptors.clone(),
        position: 0,
        turn: 0,
        turns: rounds,
        step: span + 10_000_000_000,
        latest: 0,
        seq: 0,
        at: Vec::with_capacity(rounds as usize),
    };
    let settings = config::offline(Some(1), 64, &Limits::default(), &[], rules).unwrap();
    let outcome = pipeline::replay(&mut source, &settings, &mut Nobody).unwrap();
    assert_eq!(
        outcome.frames.frames,
        rounds * batch.descriptors.len() as u64
    );
    // The first rounds open flows, meet names, and let buffers grow to what they need.
    let (first, last) = (source.at[19], source.at[39]);
    println!(
        "{capture}: {first} allocations in 20 rounds to warm up, {} in the 20 after, of {} frames each",
        last - first,
        batch.descriptors.len()
    );
    last - first
}

#[test]
fn the_steady_state_allocates_nothing() {
    let rules = Arc::new(Ruleset::builtin().unwrap());
    look_ups_allocate_nothing(&rules);
    for capture in [
        "pcaps/demo.pcap",
        "pcaps/names-in-clear.pcap",
        "pcaps/tunnels.pcap",
        "pcaps/quic.pcap",
    ] {
        assert_eq!(
            allocations_once_warm(capture, Arc::clone(&rules)),
            0,
            "{capture}"
        );
    }
}
