//! Frames of known flows, found again in a second reading.

use std::collections::HashMap;

use crate::capture::{FrameDescriptor, RawPacket};
use crate::decode::{self, Decoded};
use crate::flow::FlowKey;

/// A stretch of positions in the input: first and last.
type Stretch = (u64, u64);

/// Flows whose packets are wanted, each by its key and the stretch of the input that it lies in: between the same ends one
/// flow follows another.
#[derive(Clone, Debug, Default)]
pub struct FlowLocator {
    flows: HashMap<FlowKey, Vec<Stretch>>,
}

impl FlowLocator {
    /// Wants the packets with this key from `first_seq` to `last_seq`.
    pub fn want(&mut self, key: FlowKey, first_seq: u64, last_seq: u64) {
        let stretches = self.flows.entry(key).or_default();
        match stretches.iter_mut().find(|(first, _)| *first == first_seq) {
            Some((_, last)) => *last = (*last).max(last_seq),
            None => stretches.push((first_seq, last_seq)),
        }
    }

    /// Another flow with this key opened: a flow before it has ended.
    pub fn other_opened(&mut self, key: &FlowKey, seq: u64) {
        for (first, last) in self.flows.get_mut(key).into_iter().flatten() {
            if *first < seq {
                *last = (*last).min(seq.saturating_sub(1));
            }
        }
    }

    /// Whether the end of a flow is not known.
    pub fn is_unbounded(&self) -> bool {
        let mut stretches = self.flows.values().flatten();
        stretches.any(|(_, last)| *last == u64::MAX)
    }

    /// Flows wanted.
    pub fn len(&self) -> usize {
        self.flows.values().map(Vec::len).sum()
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
        self.flows.get(&key).is_some_and(|stretches| {
            stretches
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&descriptor.seq))
        })
    }
}
