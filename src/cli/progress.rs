//! A source → the same source, with its progress on a terminal.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::capture::{CaptureError, FrameBatch, PacketSource, SourceState};

/// Before this much time has passed, a run is not long.
const FIRST_AFTER: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_millis(250);

#[derive(Debug, Default)]
struct Counts {
    frames: AtomicU64,
    bytes: AtomicU64,
    done: AtomicBool,
}

/// Writes a line about once in a quarter of a second until it is dropped.
#[derive(Debug)]
pub struct Progress {
    counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Begins, if standard error is a terminal and nobody asked for quiet.
    pub fn start(paths: &[PathBuf], quiet: bool) -> Option<Self> {
        if quiet || !std::io::stderr().is_terminal() {
            return None;
        }
        // Unknown for streams: then no share and no time left is shown.
        let total = paths
            .iter()
            .map(|path| {
                std::fs::metadata(path)
                    .ok()
                    .filter(std::fs::Metadata::is_file)
                    .map(|meta| meta.len())
            })
            .sum::<Option<u64>>();
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        let thread = std::thread::spawn(move || show(&shared, total));
        Some(Self {
            counts,
            thread: Some(thread),
        })
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.counts.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It only writes to the terminal; there is nothing to report of it.
            let _ = thread.join();
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the rate is that of this process, not of packets"
)]
fn show(counts: &Counts, total: Option<u64>) {
    let begin = Instant::now();
    let mut shown = false;
    loop {
        std::thread::park_timeout(if shown { EVERY } else { FIRST_AFTER });
        let mut stderr = std::io::stderr().lock();
        if counts.done.load(Ordering::Relaxed) {
            if shown {
                let _ = write!(stderr, "\r\x1b[K");
            }
            return;
        }
        if begin.elapsed() < FIRST_AFTER {
            continue;
        }
        let (frames, bytes) = (
            counts.frames.load(Ordering::Relaxed),
            counts.bytes.load(Ordering::Relaxed),
        );
        let seconds = begin.elapsed().as_secs_f64();
        let rate = frames as f64 / seconds / 1e6;
        let line = match total.filter(|total| *total > 0) {
            Some(total) => {
                let share = (bytes as f64 / total as f64).min(1.0);
                let left = if share > 0.0 {
                    seconds * (1.0 - share) / share
                } else {
                    0.0
                };
                format!(
                    "{frames} frames, {rate:.2} M/s, {:.0} %, {left:.0} s left",
                    share * 100.0
                )
            }
            None => format!("{frames} frames, {rate:.2} M/s"),
        };
        let _ = write!(stderr, "\r\x1b[K{line}");
        let _ = stderr.flush();
        shown = true;
    }
}

/// Counts what passes.
#[derive(Debug)]
pub struct Watched<S> {
    source: S,
    counts: Option<Arc<Counts>>,
}

impl<S: PacketSource> Watched<S> {
    /// Watches `source` for `progress`.
    pub fn new(source: S, progress: Option<&Progress>) -> Self {
        Self {
            source,
            counts: progress.map(|progress| Arc::clone(&progress.counts)),
        }
    }

    /// The source again.
    pub fn into_inner(self) -> S {
        self.source
    }
}

impl<S: PacketSource> PacketSource for Watched<S> {
    fn next_batch(&mut self, batch: &mut FrameBatch) -> Result<SourceState, CaptureError> {
        let state = self.source.next_batch(batch)?;
        if let Some(counts) = &self.counts {
            let bytes: u64 = batch
                .descriptors
                .iter()
                .map(|frame| u64::from(frame.captured_len) + 16)
                .sum();
            counts
                .frames
                .fetch_add(batch.descriptors.len() as u64, Ordering::Relaxed);
            counts.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        Ok(state)
    }
}
