//! The shards of one worker: their packets in, runs of ordered events out.

use std::sync::Arc;

use super::shard::{Shard, Task};
use super::{SHARDS, Settings, ShardCounters};
use crate::aggregate::EventRun;
use crate::model::{Tick, Timestamp};
use crate::protocol::decrypt::KeyStore;

/// Events a run may hold when many flows end at once; a run of packets between two watermarks is bounded by their number.
const RUN_EVENTS_MAX: usize = 16 << 10;

/// Packets whose flows are loaded ahead: as many as the first cache holds with room to spare.
const TOUCHED_AHEAD: usize = 64;

const _: () = assert!(SHARDS <= u8::MAX as usize);

/// What is known of a packet before its turn.
#[derive(Clone, Copy, Debug, Default)]
struct Ahead {
    /// Where its shard is.
    place: u32,
    /// The number that its flow most likely has.
    likely: u32,
    /// By what copies of it are told.
    print: u64,
}

/// Everything before it has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Watermark {
    /// Stream time of the last frame before it.
    pub last: Timestamp,
    /// Time has come this far.
    pub to: Timestamp,
}

/// Every `count`-th shard, from `first` on.
#[derive(Debug)]
pub(super) struct Worker {
    shards: Vec<Shard>,
    /// Where each of all shards is among those of this worker, which are every so many-th.
    places: [u8; SHARDS],
    events: EventRun,
}

/// Where finished runs go; gives an empty one back. `None` if nobody listens any more.
pub(super) trait RunSink {
    fn run(&mut self, run: EventRun) -> Option<EventRun>;
}

impl Worker {
    pub fn new(settings: &Settings, first: usize, count: usize) -> Self {
        let shards = (first..SHARDS)
            .step_by(count)
            .map(|_| Shard::new(settings))
            .collect();
        let mut places = [0; SHARDS];
        for (shard, place) in places.iter_mut().enumerate() {
            *place = (shard / count) as u8;
        }
        Self {
            shards,
            places,
            events: EventRun::default(),
        }
    }

    /// From here on these secrets are known.
    pub fn know(&mut self, keys: &Arc<KeyStore>) {
        for shard in &mut self.shards {
            shard.know(keys);
        }
    }

    /// Takes packets for its shards, in order; their frames lie in `storage`, what was put together in `datagrams`.
    ///
    /// Packets of many flows wait for memory, not for work. So the places where their flows most likely are get loaded for a
    /// whole batch first: these loads do not depend on each other and overlap.
    pub fn process(&mut self, tasks: &[Task], storage: &[u8], datagrams: &[u8]) {
        for batch in tasks.chunks(TOUCHED_AHEAD) {
            let mut ahead = [Ahead::default(); TOUCHED_AHEAD];
            for (ahead, task) in ahead.iter_mut().zip(batch) {
                let place = self.place(task);
                if let Some(shard) = self.shards.get(place) {
                    *ahead = Ahead {
                        place: place as u32,
                        likely: shard.likely(task),
                        print: shard.print(task, || task.payload(task.frame(storage), datagrams)),
                    };
                }
            }
            let mut sum = 0;
            for (ahead, task) in ahead.iter().zip(batch) {
                if let Some(shard) = self.shards.get(ahead.place as usize) {
                    sum ^= shard.touch(task, ahead.likely, ahead.print);
                }
            }
            std::hint::black_box(sum);
            for (ahead, task) in ahead.iter().zip(batch) {
                if let Some(shard) = self.shards.get_mut(ahead.place as usize) {
                    let frame = task.frame(storage);
                    let payload = task.payload(frame, datagrams);
                    shard.process(task, ahead.print, frame, payload, &mut self.events);
                }
            }
        }
    }

    /// Where the shard of a task is among those of this worker.
    #[inline]
    fn place(&self, task: &Task) -> usize {
        self.places
            .get(task.shard())
            .map_or(usize::MAX, |place| usize::from(*place))
    }

    /// Gives out everything that happened before the watermark, in order.
    pub fn watermark(&mut self, watermark: Watermark, sink: &mut impl RunSink) -> Option<()> {
        for shard in &mut self.shards {
            shard.advance(watermark.last, &mut self.events);
        }
        // Behind the last frame time alone goes on: flows end tick by tick, however many.
        let to = Tick::of(watermark.to);
        while let Some(due) = self
            .shards
            .iter()
            .filter_map(Shard::next_due)
            .min()
            .filter(|due| *due <= to)
        {
            if self.events.len() >= RUN_EVENTS_MAX {
                self.emit(true, sink)?;
            }
            for shard in &mut self.shards {
                shard.advance(due.begin(), &mut self.events);
            }
        }
        for shard in &mut self.shards {
            shard.advance(watermark.to, &mut self.events);
        }
        self.emit(false, sink)
    }

    /// The input has ended: all flows end, in the order they began.
    pub fn finish(&mut self, sink: &mut impl RunSink) -> Option<()> {
        let mut flows: Vec<(u64, usize, u32)> = Vec::new();
        for (at, shard) in self.shards.iter().enumerate() {
            flows.extend(
                shard
                    .flows_by_age()
                    .into_iter()
                    .map(|(first_seq, number)| (first_seq, at, number)),
            );
        }
        flows.sort_unstable();
        for (_, shard, number) in flows {
            if self.events.len() >= RUN_EVENTS_MAX {
                self.emit(true, sink)?;
            }
            if let Some(shard) = self.shards.get_mut(shard) {
                shard.end(number, &mut self.events);
            }
        }
        self.emit(false, sink)
    }

    /// What all shards of the worker came to.
    pub fn counters(&self) -> ShardCounters {
        let mut sum = ShardCounters::default();
        for shard in &self.shards {
            sum += &shard.counters();
        }
        sum
    }

    fn emit(&mut self, unfinished: bool, sink: &mut impl RunSink) -> Option<()> {
        let mut run = std::mem::take(&mut self.events);
        run.sort();
        run.unfinished = unfinished;
        self.events = sink.run(run)?;
        self.events.clear();
        Some(())
    }
}
