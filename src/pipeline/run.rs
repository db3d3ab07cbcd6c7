//! A source → shards → ordered events, on the calling thread or with a reader and workers of their own.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::counters::{FrameCounters, ShardCounters};
use super::dispatch::Dispatcher;
use super::merge::{self, EventSink, Lane};
use super::shard::Task;
use super::worker::{RunSink, Watermark, Worker};
use super::{SHARDS, Settings};
use crate::aggregate::EventRun;
use crate::capture::{
    CaptureError, DecryptionSecrets, FrameBatch, FrameDescriptor, FrameStorage, PacketSource,
    SourceState,
};
use crate::model::{Tick, Timestamp};
use crate::protocol::decrypt::{KeyCounters, KeyStore};

/// Frames after which a watermark passes at the latest: bounds what a run can hold.
const WATERMARK_FRAMES: u64 = 16 << 10;
/// Ticks after which one passes at the latest: bounds how many flows can end between two.
const WATERMARK_TICKS: u32 = 8;
/// Tasks handed to a worker at a time; one send per packet costs twice the work.
const WORK_BATCH: usize = 256;
/// Bytes of datagrams put together that a batch holds before it goes: a batch of the longest ones would have 16 MB.
const DATAGRAM_BYTES: usize = 256 << 10;
/// Batches that may wait for a worker. The reader blocks then: offline nothing is dropped.
const WORK_QUEUE: usize = 16;
/// Runs that may wait for the ledger.
const RUN_QUEUE: usize = 4;

/// What a replay came to, beside what the sink heard.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// One outcome for every frame.
    pub frames: FrameCounters,
    /// What the shards came to.
    pub shards: ShardCounters,
    /// What became of the secrets that captures hold.
    pub keys: KeyCounters,
    /// Packets processed by each worker.
    pub packets_by_worker: Vec<u64>,
    /// Stream time of the last frame.
    pub end: Option<Timestamp>,
}

impl std::ops::AddAssign<&Outcome> for Outcome {
    /// Adds what another world came to.
    fn add_assign(&mut self, other: &Self) {
        self.frames += &other.frames;
        self.shards += &other.shards;
        self.keys += other.keys;
        let workers = self.packets_by_worker.len();
        self.packets_by_worker
            .resize(workers.max(other.packets_by_worker.len()), 0);
        for (sum, more) in self
            .packets_by_worker
            .iter_mut()
            .zip(&other.packets_by_worker)
        {
            *sum += more;
        }
        self.end = self.end.max(other.end);
    }
}

/// Why a replay ended early.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The source failed.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The sink could not take an event.
    #[error("cannot write events: {0}")]
    Sink(std::io::Error),
}

/// Runs everything that `source` gives through the shards; `sink` hears all events in order.
pub fn replay(
    source: &mut (dyn PacketSource + Send),
    settings: &Settings,
    sink: &mut dyn EventSink,
) -> Result<Outcome, ReplayError> {
    match settings.workers.clamp(1, SHARDS) {
        1 => replay_inline(source, settings, sink),
        workers => replay_threaded(source, settings, workers, sink),
    }
}

/// When the next watermark is due.
#[derive(Debug, Default)]
struct Pace {
    last: Option<Timestamp>,
    passed: Timestamp,
    frames: u64,
}

impl Pace {
    /// The watermark that passes before a frame of this time, if one is due.
    #[inline]
    fn before(&mut self, stream_time: Timestamp) -> Option<Watermark> {
        let last = self.last.replace(stream_time);
        self.frames += 1;
        let due = self.frames >= WATERMARK_FRAMES
            || Tick::of(stream_time).since(Tick::of(self.passed)) >= WATERMARK_TICKS;
        if !due {
            return None;
        }
        self.frames = 0;
        self.passed = stream_time;
        last.map(|last| Watermark {
            last,
            to: stream_time,
        })
    }

    /// The watermark at the end of the input.
    fn at_end(&self) -> Option<Watermark> {
        self.last.map(|last| Watermark { last, to: last })
    }
}

/// What the reader learns of secrets on its way.
struct Keys(KeyStore);

impl Keys {
    fn of(settings: &Settings) -> Self {
        Self(settings.decrypt.keys.uncounted())
    }

    /// Takes what stands before a batch; everything that is known, if that is more than before.
    fn learn(&mut self, secrets: &[DecryptionSecrets]) -> Option<Arc<KeyStore>> {
        let mut learnt = false;
        for block in secrets {
            match block {
                DecryptionSecrets::TlsKeyLog(text) => learnt |= self.0.add_block(text),
                DecryptionSecrets::Other => self.0.add_other_block(),
            }
        }
        learnt.then(|| Arc::new(self.0.clone()))
    }

    fn counters(&self) -> KeyCounters {
        self.0.counters()
    }
}

/// Hands runs straight to the sink.
struct Straight<'a> {
    sink: &'a mut dyn EventSink,
    error: Option<std::io::Error>,
}

impl RunSink for Straight<'_> {
    fn run(&mut self, run: EventRun) -> Option<EventRun> {
        match merge::drain(&run, self.sink) {
            Ok(()) => Some(run),
            Err(error) => {
                self.error = Some(error);
                None
            }
        }
    }
}

fn replay_inline(
    source: &mut (dyn PacketSource + Send),
    settings: &Settings,
    sink: &mut dyn EventSink,
) -> Result<Outcome, ReplayError> {
    let mut dispatcher = Dispatcher::new(settings);
    let mut worker = Worker::new(settings, 0, 1);
    let mut straight = Straight { sink, error: None };
    let mut pace = Pace::default();
    let mut keys = Keys::of(settings);
    let mut batch = FrameBatch::with_capacity(settings.batch_frames);
    let mut tasks = Vec::with_capacity(settings.batch_frames);
    let mut datagrams = Vec::new();
    let mut running = Some(());
    while running.is_some() && source.next_batch(&mut batch)? == SourceState::Filled {
        if let Some(known) = keys.learn(&batch.secrets) {
            worker.know(&known);
        }
        let bytes = batch.storage.bytes();
        for descriptor in &batch.descriptors {
            if let Some(watermark) = pace.before(descriptor.stream_time) {
                worker.process(&tasks, bytes, &datagrams);
                tasks.clear();
                datagrams.clear();
                running = worker.watermark(watermark, &mut straight);
                if running.is_none() {
                    break;
                }
            }
            let Some(mut task) = dispatcher.task(descriptor, frame_of(bytes, descriptor)) else {
                continue;
            };
            if task.in_datagram
                && let Some(datagram) = dispatcher.datagram()
            {
                task.move_to(&mut datagrams, &datagram.bytes);
            }
            tasks.push(task);
            if datagrams.len() >= DATAGRAM_BYTES {
                worker.process(&tasks, bytes, &datagrams);
                tasks.clear();
                datagrams.clear();
            }
        }
        worker.process(&tasks, bytes, &datagrams);
        tasks.clear();
        datagrams.clear();
    }
    if running.is_some()
        && let Some(watermark) = pace.at_end()
    {
        running = worker.watermark(watermark, &mut straight);
    }
    if running.is_some() {
        worker.finish(&mut straight);
    }
    if let Some(error) = straight.error {
        return Err(ReplayError::Sink(error));
    }
    let shards = worker.counters();
    Ok(Outcome {
        frames: dispatcher.finish(),
        packets_by_worker: vec![shards.packets],
        shards,
        keys: keys.counters(),
        end: pace.last,
    })
}

/// Packets for one worker, over one storage.
#[derive(Debug, Default)]
struct WorkBatch {
    storage: FrameStorage,
    tasks: Vec<Task>,
    /// Payloads of packets that were put together from fragments.
    datagrams: Vec<u8>,
    watermark: Option<Watermark>,
    /// Secrets that are known from its first packet on, where there are more than before.
    keys: Option<Arc<KeyStore>>,
    end: bool,
}

/// The reader's end of a worker's queue.
struct Feed {
    filling: WorkBatch,
    queue: Sender<WorkBatch>,
    recycled: Receiver<WorkBatch>,
}

impl Feed {
    /// Sends what was filled. `None` if the worker is gone.
    fn flush(&mut self) -> Option<()> {
        let mut next = self.recycled.try_recv().unwrap_or_default();
        next.tasks.clear();
        next.datagrams.clear();
        next.storage = self.filling.storage.clone();
        next.watermark = None;
        next.keys = None;
        next.end = false;
        self.queue
            .send(std::mem::replace(&mut self.filling, next))
            .ok()
    }
}

fn replay_threaded(
    source: &mut (dyn PacketSource + Send),
    settings: &Settings,
    workers: usize,
    sink: &mut dyn EventSink,
) -> Result<Outcome, ReplayError> {
    std::thread::scope(|scope| {
        let (mut feeds, mut lanes, mut handles) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..workers {
            let (queue, work) = bounded(WORK_QUEUE);
            let (give_back, recycled) = bounded(WORK_QUEUE);
            let (send_runs, runs) = bounded(RUN_QUEUE);
            let (recycle, empty_runs) = bounded(RUN_QUEUE);
            feeds.push(Feed {
                filling: WorkBatch::default(),
                queue,
                recycled,
            });
            lanes.push(Lane { runs, recycle });
            let worker = Worker::new(settings, number, workers);
            let body = move || {
                work_off(
                    worker,
                    &work,
                    &give_back,
                    Queued {
                        runs: send_runs,
                        empty_runs,
                    },
                )
            };
            handles.push(scope.spawn(body));
        }
        let reader = scope.spawn(move || read_all(source, settings, feeds));
        let merged = merge::merge(&lanes, sink);
        // After an error nobody listens: workers and reader notice and end.
        drop(lanes);
        let read = reader
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let mut outcome = Outcome::default();
        for handle in handles {
            let counters = handle
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            outcome.packets_by_worker.push(counters.packets);
            outcome.shards += &counters;
        }
        merged.map_err(ReplayError::Sink)?;
        (outcome.frames, outcome.end, outcome.keys) = read?;
        Ok(outcome)
    })
}

fn read_all(
    source: &mut (dyn PacketSource + Send),
    settings: &Settings,
    mut feeds: Vec<Feed>,
) -> Result<(FrameCounters, Option<Timestamp>, KeyCounters), CaptureError> {
    let mut dispatcher = Dispatcher::new(settings);
    let mut pace = Pace::default();
    let mut keys = Keys::of(settings);
    let mut batch = FrameBatch::with_capacity(settings.batch_frames);
    let mut running = Some(());
    while running.is_some() && source.next_batch(&mut batch)? == SourceState::Filled {
        if let Some(known) = keys.learn(&batch.secrets) {
            running = hand_keys_out(&known, &mut feeds);
            if running.is_none() {
                break;
            }
        }
        running = hand_out(&batch, &mut dispatcher, &mut pace, &mut feeds);
    }
    for feed in &mut feeds {
        feed.filling.watermark = pace.at_end();
        feed.filling.end = true;
        // A worker that is gone has its reason; the others still finish.
        let _ = feed.flush();
    }
    Ok((dispatcher.finish(), pace.last, keys.counters()))
}

/// The packets that were handed out before are read without them.
fn hand_keys_out(keys: &Arc<KeyStore>, feeds: &mut [Feed]) -> Option<()> {
    for feed in feeds {
        if !feed.filling.tasks.is_empty() {
            feed.flush()?;
        }
        feed.filling.keys = Some(Arc::clone(keys));
    }
    Some(())
}

fn hand_out(
    batch: &FrameBatch,
    dispatcher: &mut Dispatcher,
    pace: &mut Pace,
    feeds: &mut [Feed],
) -> Option<()> {
    let workers = feeds.len();
    for feed in &mut *feeds {
        if !feed.filling.storage.is_same(&batch.storage) {
            if !feed.filling.tasks.is_empty() {
                feed.flush()?;
            }
            feed.filling.storage = batch.storage.clone();
        }
    }
    let bytes = batch.storage.bytes();
    for descriptor in &batch.descriptors {
        if let Some(watermark) = pace.before(descriptor.stream_time) {
            for feed in &mut *feeds {
                feed.filling.watermark = Some(watermark);
                feed.flush()?;
            }
        }
        let Some(mut task) = dispatcher.task(descriptor, frame_of(bytes, descriptor)) else {
            continue;
        };
        if let Some(feed) = feeds.get_mut(task.shard() % workers) {
            if task.in_datagram
                && let Some(datagram) = dispatcher.datagram()
            {
                task.move_to(&mut feed.filling.datagrams, &datagram.bytes);
            }
            feed.filling.tasks.push(task);
            if feed.filling.tasks.len() >= WORK_BATCH
                || feed.filling.datagrams.len() >= DATAGRAM_BYTES
            {
                feed.flush()?;
            }
        }
    }
    Some(())
}

/// Sends runs to the ledger and gets emptied ones back.
struct Queued {
    runs: Sender<EventRun>,
    empty_runs: Receiver<EventRun>,
}

impl RunSink for Queued {
    fn run(&mut self, run: EventRun) -> Option<EventRun> {
        self.runs.send(run).ok()?;
        Some(self.empty_runs.try_recv().unwrap_or_default())
    }
}

fn work_off(
    mut worker: Worker,
    work: &Receiver<WorkBatch>,
    give_back: &Sender<WorkBatch>,
    mut sink: Queued,
) -> ShardCounters {
    while let Ok(mut batch) = work.recv() {
        if let Some(keys) = batch.keys.take() {
            worker.know(&keys);
        }
        worker.process(&batch.tasks, batch.storage.bytes(), &batch.datagrams);
        let mut listening = Some(());
        if let Some(watermark) = batch.watermark {
            listening = worker.watermark(watermark, &mut sink);
        }
        if batch.end && listening.is_some() {
            listening = worker.finish(&mut sink);
        }
        if batch.end || listening.is_none() {
            break;
        }
        // A map must not stay open for a batch that waits to be filled again.
        batch.storage = FrameStorage::Empty;
        let _ = give_back.try_send(batch);
    }
    worker.counters()
}

#[inline]
fn frame_of<'a>(bytes: &'a [u8], descriptor: &FrameDescriptor) -> &'a [u8] {
    let start = descriptor.offset as usize;
    bytes
        .get(start..start.saturating_add(descriptor.captured_len as usize))
        .unwrap_or_default()
}
