//! A source → the same source, with its progress on a terminal.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::capture::{CaptureError, CaptureFiles, FrameBatch, PacketSource, SourceState};

/// Before this much time has passed, a run is not long.
const FIRST_AFTER: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_millis(250);

/// Batches after which the bytes read are asked for: of many open files that is a sum.
const BATCHES: u32 = 64;

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
    /// Begins, if standard error is a terminal and nobody asked for quiet. `total` is the size of all inputs as they lie
    /// there, unknown for streams: then no share and no time left is shown.
    pub fn start(total: Option<u64>, quiet: bool) -> Option<Self> {
        if quiet || !std::io::stderr().is_terminal() {
            return None;
        }
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
        let line = line(
            counts.frames.load(Ordering::Relaxed),
            counts.bytes.load(Ordering::Relaxed),
            total,
            begin.elapsed(),
        );
        let _ = write!(stderr, "\r\x1b[K{line}");
        let _ = stderr.flush();
        shown = true;
    }
}

fn line(frames: u64, bytes: u64, total: Option<u64>, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    let rate = frames as f64 / seconds / 1e6;
    let Some(total) = total.filter(|total| *total > 0) else {
        return format!("{frames} frames, {rate:.2} M/s");
    };
    let share = (bytes as f64 / total as f64).min(1.0);
    let left = if share > 0.0 {
        format!(", {:.0} s left", seconds * (1.0 - share) / share)
    } else {
        String::new()
    };
    format!(
        "{frames} frames, {rate:.2} M/s, {:.0} %{left}",
        share * 100.0
    )
}

/// Counts what passes.
#[derive(Debug)]
pub struct Watched {
    source: CaptureFiles,
    counts: Option<Arc<Counts>>,
    batches: u32,
}

impl Watched {
    /// Watches `source` for `progress`.
    pub fn new(source: CaptureFiles, progress: Option<&Progress>) -> Self {
        Self {
            source,
            counts: progress.map(|progress| Arc::clone(&progress.counts)),
            batches: 0,
        }
    }

    /// Goes on to the next world, if there is one.
    pub fn next_world(&mut self) -> bool {
        self.source.next_world()
    }

    /// The source again.
    pub fn into_inner(self) -> CaptureFiles {
        self.source
    }
}

impl PacketSource for Watched {
    fn next_batch(&mut self, batch: &mut FrameBatch) -> Result<SourceState, CaptureError> {
        let state = self.source.next_batch(batch)?;
        if let Some(counts) = &self.counts {
            counts
                .frames
                .fetch_add(batch.descriptors.len() as u64, Ordering::Relaxed);
            if self.batches.is_multiple_of(BATCHES) {
                counts
                    .bytes
                    .store(self.source.bytes_read(), Ordering::Relaxed);
            }
            self.batches = self.batches.wrapping_add(1);
        }
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_and_time_left_are_those_of_the_bytes() {
        let quarter = line(2_000_000, 250, Some(1000), Duration::from_secs(2));
        assert_eq!(quarter, "2000000 frames, 1.00 M/s, 25 %, 6 s left");
        let stream = line(2_000_000, 250, None, Duration::from_secs(2));
        assert_eq!(stream, "2000000 frames, 1.00 M/s");
    }
}
