//! What shards tell the ledger, and the total order in which it hears of it.

use crate::attribute::RuleMatch;
use crate::flow::{Endpoint, FlowId, FlowKey, FlowRecord};
use crate::model::{EvidenceKind, Locality, Timestamp};

/// Tells apart what one packet causes: a flow that gives way ends before the new one opens, and opens before it shows a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ordinal {
    /// A record caused by time, or by a packet that took the flow's place.
    Ended,
    /// A flow opened.
    Opened,
    /// A name was seen.
    Named,
}

/// Where an event stands among all events: unique, and independent of workers, batches and sweeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventKey {
    /// Stream time of the packet, or the deadline that passed.
    pub at: Timestamp,
    /// `seq` of the packet, or of the first packet of the flow whose deadline passed.
    pub seq: u64,
    /// What of it.
    pub ordinal: Ordinal,
}

/// A flow opened.
#[derive(Clone, Copy, Debug)]
pub struct FlowOpened {
    /// Names the flow.
    pub id: FlowId,
    /// Both ends and the protocol.
    pub key: FlowKey,
    /// On which side of the border it runs.
    pub locality: Locality,
    /// Who began it.
    pub initiator: Endpoint,
    /// Whom it was begun with.
    pub responder: Endpoint,
    /// Time of its first packet.
    pub time: Timestamp,
}

/// Bytes in the text of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextRef {
    offset: u32,
    len: u32,
}

/// The proof behind an attribution: which frame showed it.
#[derive(Clone, Copy, Debug)]
pub struct Evidence {
    /// What kind of fact.
    pub kind: EvidenceKind,
    /// The name, in the text of the run.
    pub name: TextRef,
    /// What the rules make of it.
    pub rule: Option<RuleMatch>,
    /// The frame that completed the message.
    pub seq: u64,
    /// XXH3-64 of that frame's captured bytes, as `xxhsum -H3` prints it.
    pub frame_hash: u64,
    /// Its timestamp.
    pub time: Timestamp,
    /// Encrypted ClientHello was offered with the name.
    pub ech_offered: bool,
}

/// A flow showed a name.
#[derive(Clone, Copy, Debug)]
pub struct NameObserved {
    /// Names the flow.
    pub flow: FlowId,
    /// Transport protocol number.
    pub protocol: u8,
    /// Both ends and the protocol, for the Community ID.
    pub key: FlowKey,
    /// Who asked for the name.
    pub client: Endpoint,
    /// Whom it was asked of.
    pub server: Endpoint,
    /// On which side of the border the flow runs.
    pub locality: Locality,
    /// What was seen.
    pub evidence: Evidence,
}

/// A flow reported or ended.
#[derive(Clone, Copy, Debug)]
pub struct FlowReported {
    /// What it carried.
    pub record: FlowRecord,
    /// The name it showed, if one.
    pub evidence: Option<Evidence>,
    /// No further record follows.
    pub last: bool,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Opened(u32),
    Named(u32),
    Reported(u32),
}

/// Events of one worker between two watermarks. Recycled: clearing keeps the memory.
#[derive(Debug, Default)]
pub struct EventRun {
    order: Vec<(EventKey, Place)>,
    opened: Vec<FlowOpened>,
    named: Vec<NameObserved>,
    reported: Vec<FlowReported>,
    text: Vec<u8>,
    /// Whether the worker has more before the next watermark.
    pub unfinished: bool,
}

/// One event with the bytes of its names.
#[derive(Clone, Copy, Debug)]
pub enum EventRef<'a> {
    /// A flow opened.
    Opened(&'a FlowOpened),
    /// A flow showed a name.
    Named(&'a NameObserved, &'a [u8]),
    /// A flow reported or ended; the name it showed, if one.
    Reported(&'a FlowReported, Option<&'a [u8]>),
}

impl EventRun {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.order.clear();
        self.opened.clear();
        self.named.clear();
        self.reported.clear();
        self.text.clear();
        self.unfinished = false;
    }

    /// Events held.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Keeps the bytes of a name.
    pub fn text(&mut self, bytes: &[u8]) -> TextRef {
        let offset = self.text.len() as u32;
        self.text.extend_from_slice(bytes);
        TextRef {
            offset,
            len: bytes.len() as u32,
        }
    }

    /// Adds an event.
    pub fn push_opened(&mut self, key: EventKey, event: FlowOpened) {
        self.order
            .push((key, Place::Opened(self.opened.len() as u32)));
        self.opened.push(event);
    }

    /// Adds an event.
    pub fn push_named(&mut self, key: EventKey, event: NameObserved) {
        self.order
            .push((key, Place::Named(self.named.len() as u32)));
        self.named.push(event);
    }

    /// Adds an event.
    pub fn push_reported(&mut self, key: EventKey, event: FlowReported) {
        self.order
            .push((key, Place::Reported(self.reported.len() as u32)));
        self.reported.push(event);
    }

    /// Brings the events into their order.
    pub fn sort(&mut self) {
        self.order.sort_unstable_by_key(|(key, _)| *key);
    }

    /// The key of the event at `position`, in order.
    pub fn key(&self, position: usize) -> Option<EventKey> {
        self.order.get(position).map(|(key, _)| *key)
    }

    /// The event at `position`, in order.
    pub fn event(&self, position: usize) -> Option<EventRef<'_>> {
        let (_, place) = self.order.get(position)?;
        Some(match *place {
            Place::Opened(at) => EventRef::Opened(self.opened.get(at as usize)?),
            Place::Named(at) => {
                let named = self.named.get(at as usize)?;
                EventRef::Named(named, self.bytes(named.evidence.name))
            }
            Place::Reported(at) => {
                let reported = self.reported.get(at as usize)?;
                EventRef::Reported(
                    reported,
                    reported.evidence.map(|evidence| self.bytes(evidence.name)),
                )
            }
        })
    }

    fn bytes(&self, text: TextRef) -> &[u8] {
        self.text
            .get(text.offset as usize..)
            .and_then(|rest| rest.get(..text.len as usize))
            .unwrap_or_default()
    }
}
