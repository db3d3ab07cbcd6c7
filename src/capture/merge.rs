//! Files that overlap in time → their frames in one order.
//!
//! The frame with the least time comes next; where times are equal, the file that begins earlier. A file's time is its own
//! running maximum, so that its frames keep their order. A file is opened when the others have passed its first frame, unless
//! one of them is about to end: a capture that was cut into files has a little jitter at the cuts, and its files follow each
//! other whole.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::input::{Input, SEGMENT_BYTES};
use super::{Compression, FrameBatch, FrameDescriptor, FrameStorage};
use crate::model::Timestamp;

/// Files that are merged at a time: each takes a descriptor, and a stream a segment and the window of its compression.
/// One more waits until another ends, and its frames come late.
pub(super) const OPEN_MAX: usize = 256;

/// A zstd file counts as so many: it may look back 128 MiB, and a crafted one makes use of it.
const ZSTD_WEIGHT: usize = 4;

/// Timestamps step back by so much where several queues or CPUs write one capture. A file that ends within it of the
/// beginning of the next is the piece before that one.
pub(super) const JITTER: Duration = Duration::from_millis(10);

/// Frames staged at a time, for small ones: a segment of them would take long to fill.
const STAGED_FRAMES_MAX: usize = 8 << 10;

/// Segments kept for the next use: as many as queues hold.
const SEGMENTS_KEPT: usize = 32;

/// A file whose turn has not come.
#[derive(Debug)]
pub(super) struct Waiting {
    pub path: PathBuf,
    /// Which report is its.
    pub report: usize,
    pub scope: u16,
    /// When it begins.
    pub first: Timestamp,
}

/// A file being read.
#[derive(Debug)]
pub(super) struct Active {
    pub input: Input,
    pub report: usize,
    pub scope: u16,
}

impl Active {
    /// Time of the next frame; the end of time where there is none.
    fn time(&self) -> Timestamp {
        self.input.head().map_or(Timestamp::MAX, |head| head.time)
    }

    fn weight(&self) -> usize {
        match self.input.compression() {
            Compression::Zstd => ZSTD_WEIGHT,
            Compression::None | Compression::Gzip => 1,
        }
    }
}

/// The files of one timeline.
#[derive(Debug, Default)]
pub(super) struct Merge {
    pub waiting: VecDeque<Waiting>,
    /// In the order in which they begin.
    pub active: Vec<Active>,
    /// The active file (by its report) that is about to end, and keeps the next one waiting.
    ending: Option<usize>,
    /// The report of the file that waited last because too many were open.
    waited: Option<usize>,
    /// Files that had to wait because too many were open.
    pub files_waited: u64,
}

/// What is to be done next.
#[derive(Debug)]
pub(super) enum Due {
    /// Open the first that waits.
    Open,
    /// Read until a frame is later than this, or a file ends.
    Read(Option<Timestamp>),
    /// Nothing is left.
    Nothing,
}

impl Merge {
    /// A timeline of these files, ordered by their beginning; those that begin together keep their order.
    pub fn new(mut files: Vec<Waiting>) -> Self {
        // Small pieces of one capture, given in order, stay so though jitter lets one begin a little before its predecessor.
        for next in 1..files.len() {
            if let Some([before, file]) = files.get_mut(next - 1..=next)
                && file.first < before.first
                && before.first.since(file.first) <= JITTER
                && Input::file_ends_by(&before.path, file.first.after(JITTER))
            {
                file.first = before.first;
            }
        }
        files.sort_by_key(|file| file.first);
        Self {
            waiting: files.into(),
            ..Self::default()
        }
    }

    /// Decides what is next.
    pub fn due(&mut self) -> Due {
        let Some(next) = self.waiting.front() else {
            return if self.active.is_empty() {
                Due::Nothing
            } else {
                Due::Read(None)
            };
        };
        let Some(least) = self.active.iter().map(Active::time).min() else {
            return Due::Open;
        };
        if least <= next.first {
            return Due::Read(Some(next.first));
        }
        let ending = self.ending;
        if ending.is_some() && self.active.iter().any(|file| Some(file.report) == ending) {
            return Due::Read(None);
        }
        let limit = next.first.after(JITTER);
        self.ending = self
            .active
            .iter_mut()
            .find_map(|file| file.input.ends_by(limit).then_some(file.report));
        if self.ending.is_some() {
            return Due::Read(None);
        }
        if self.active.iter().map(Active::weight).sum::<usize>() < OPEN_MAX {
            return Due::Open;
        }
        if self.waited != Some(next.report) {
            self.waited = Some(next.report);
            self.files_waited += 1;
        }
        Due::Read(None)
    }

    /// The file whose frame is next, and until when it stays so: up to this time, this time included if `true`.
    pub fn next(&self) -> Option<(usize, Timestamp, bool)> {
        let (mut least, mut second) = (None::<(Timestamp, usize)>, None::<(Timestamp, usize)>);
        for (at, file) in self.active.iter().enumerate() {
            let this = Some((file.time(), at));
            if least.is_none() || this < least {
                second = least;
                least = this;
            } else if second.is_none() || this < second {
                second = this;
            }
        }
        let (_, at) = least?;
        let (until, other) = second.unwrap_or((Timestamp::MAX, usize::MAX));
        Some((at, until, at < other))
    }
}

/// Copied frames of several files, handed out in batches over one storage.
#[derive(Debug, Default)]
pub(super) struct Staged {
    bytes: Vec<u8>,
    descriptors: Vec<FrameDescriptor>,
    storage: FrameStorage,
    /// Descriptors handed out.
    given: usize,
    kept: Vec<Arc<Vec<u8>>>,
}

impl Staged {
    /// Whether a segment is as full as it should be.
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= SEGMENT_BYTES || self.descriptors.len() >= STAGED_FRAMES_MAX
    }

    /// Copies a frame; its offset becomes that in the segment.
    #[inline]
    pub fn push(&mut self, mut descriptor: FrameDescriptor, frame: &[u8]) {
        descriptor.offset = self.bytes.len() as u64;
        self.bytes.extend_from_slice(frame);
        self.descriptors.push(descriptor);
    }

    /// No further frame comes into this segment.
    pub fn seal(&mut self) {
        let next = self
            .kept
            .iter()
            .position(|segment| Arc::strong_count(segment) == 1)
            .map(|at| self.kept.swap_remove(at))
            .and_then(|segment| Arc::try_unwrap(segment).ok())
            .unwrap_or_else(|| Vec::with_capacity(SEGMENT_BYTES * 5 / 4));
        let segment = Arc::new(std::mem::replace(&mut self.bytes, next));
        self.bytes.clear();
        self.storage = FrameStorage::Owned(Arc::clone(&segment));
        // One that grew for giant frames is not kept.
        if self.kept.len() < SEGMENTS_KEPT && segment.capacity() <= 2 * SEGMENT_BYTES {
            self.kept.push(segment);
        }
    }

    /// Fills `batch` with what is staged. False if that is nothing.
    pub fn hand_out(&mut self, batch: &mut FrameBatch) -> bool {
        let rest = self.descriptors.get(self.given..).unwrap_or_default();
        let take = rest.len().min(batch.capacity());
        if take == 0 {
            self.descriptors.clear();
            self.given = 0;
            self.storage = FrameStorage::Empty;
            return false;
        }
        batch
            .descriptors
            .extend_from_slice(rest.get(..take).unwrap_or_default());
        batch.storage = self.storage.clone();
        self.given += take;
        true
    }
}
