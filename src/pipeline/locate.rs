//! Frames of known flows, found again in a second reading.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Settings;
use super::dispatch::Dispatcher;

use crate::capture::{FrameDescriptor, RawPacket};
use crate::decode::{self, Decoded};
use crate::flow::FlowKey;

/// Flows that are found again at most: with some 300 bytes each, what the machine of an analyst has to spare.
const FLOWS_MAX: usize = 1 << 20;

/// Frames with fragments that are found again at most; some 20 bytes each.
const FRAMES_MAX: usize = 1 << 22;

/// Stretches of positions in the input, which do not overlap: the last of each by its first.
type Stretches = BTreeMap<u64, u64>;

/// Flows whose packets are wanted, each by its key and the stretch of the input that it lies in: between the same ends one
/// flow follows another.
#[derive(Clone, Debug)]
pub struct FlowLocator {
    flows: HashMap<FlowKey, Stretches>,
    len: usize,
    capacity: usize,
    refused: bool,
}

impl Default for FlowLocator {
    fn default() -> Self {
        Self::with_capacity(FLOWS_MAX)
    }
}

impl FlowLocator {
    /// Room for so many flows.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            flows: HashMap::new(),
            len: 0,
            capacity,
            refused: false,
        }
    }

    /// Wants the packets with this key from `first_seq` to `last_seq`.
    pub fn want(&mut self, key: FlowKey, first_seq: u64, last_seq: u64) {
        let known = self.flows.get_mut(&key);
        if let Some(last) = known.and_then(|stretches| stretches.get_mut(&first_seq)) {
            *last = (*last).max(last_seq);
        } else if self.len < self.capacity {
            let stretches = self.flows.entry(key).or_default();
            stretches.insert(first_seq, last_seq);
            self.len += 1;
        } else {
            self.refused = true;
        }
    }

    /// Another flow with this key opened: the one before it has ended. Flows are told of in the order in which they opened, so
    /// those before that one have their end already.
    pub fn other_opened(&mut self, key: &FlowKey, seq: u64) {
        let before = self
            .flows
            .get_mut(key)
            .and_then(|stretches| stretches.range_mut(..seq).next_back());
        if let Some((_, last)) = before {
            *last = (*last).min(seq.saturating_sub(1));
        }
    }

    /// Whether the end of a flow is not known.
    pub fn is_unbounded(&self) -> bool {
        let mut stretches = self.flows.values().flat_map(Stretches::values);
        stretches.any(|last| *last == u64::MAX)
    }

    /// Flows wanted.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether a flow found no room.
    pub fn has_refused(&self) -> bool {
        self.refused
    }

    /// Whether no flow is wanted.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// Whether the frame is a packet of a wanted flow.
    pub fn wants(&self, descriptor: &FrameDescriptor, frame: &[u8]) -> bool {
        let raw = RawPacket {
            timestamp: descriptor.timestamp,
            link_type: descriptor.link_type,
            wire_len: descriptor.wire_len,
            data: frame,
        };
        let Decoded::Packet(packet) = decode::decode(&raw) else {
            return false;
        };
        let (key, _) = FlowKey::of(&packet, descriptor.scope);
        self.wants_packet(&key, descriptor.seq)
    }

    fn wants_packet(&self, key: &FlowKey, seq: u64) -> bool {
        self.flows.get(key).is_some_and(|stretches| {
            stretches
                .range(..=seq)
                .next_back()
                .is_some_and(|(_, last)| seq <= *last)
        })
    }
}

/// Finds the frames whose fragments make packets of wanted flows: which they are is known only when the last one has come, so
/// this takes a reading of its own, of all frames in order.
#[derive(Debug)]
pub struct FragmentFinder {
    dispatcher: Dispatcher,
    frames: BTreeSet<u64>,
}

impl FragmentFinder {
    /// By the settings of the run that found the flows.
    pub fn new(settings: &Settings) -> Self {
        Self {
            dispatcher: Dispatcher::new(settings),
            frames: BTreeSet::new(),
        }
    }

    /// Takes the next frame.
    pub fn look(&mut self, wanted: &FlowLocator, descriptor: &FrameDescriptor, frame: &[u8]) {
        let task = self.dispatcher.task(descriptor, frame);
        let Some(task) = task.filter(|task| task.in_datagram) else {
            return;
        };
        if self.frames.len() < FRAMES_MAX
            && wanted.wants_packet(&task.key(), task.seq)
            && let Some(datagram) = self.dispatcher.datagram()
        {
            self.frames.extend(&datagram.seqs);
        }
    }

    /// Positions of the frames found.
    pub fn into_frames(self) -> BTreeSet<u64> {
        self.frames
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends at its first surprise")]

    use bytemuck::Zeroable as _;

    use super::*;

    #[test]
    fn what_finds_no_room_is_known() {
        let key = FlowKey::zeroed();
        let mut locator = FlowLocator::with_capacity(2);
        for first in [5, 9, 5] {
            locator.want(key, first, u64::MAX);
        }
        assert_eq!((locator.len(), locator.has_refused()), (2, false));
        locator.want(key, 20, u64::MAX);
        assert_eq!((locator.len(), locator.has_refused()), (2, true));
    }

    #[test]
    fn a_flow_ends_where_the_next_with_its_key_opens() {
        let key = FlowKey::zeroed();
        let mut locator = FlowLocator::default();
        for first in [5, 30] {
            locator.want(key, first, u64::MAX);
        }
        for opened in [5, 9, 30, 40] {
            locator.other_opened(&key, opened);
        }
        let found = locator.flows.get(&key).unwrap();
        assert!(found.iter().eq([(&5, &8), (&30, &39)]), "{found:?}");
        assert!(!locator.is_unbounded());
    }
}
