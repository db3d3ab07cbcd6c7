//! One fact that shows a vendor, on its way into an exposure, and what is kept of it there.

use super::FrameRef;
use crate::attribute::RuleMatch;
use crate::decode::Address;
use crate::flow::{FlowId, FlowKey};
use crate::model::{AttemptOutcome, Confidence, CountryCode, EvidenceKind};

/// One sighting, enough to find it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceSample {
    /// What kind of fact.
    pub kind: EvidenceKind,
    /// The name, as on the wire.
    pub name: Vec<u8>,
    /// The rule and pattern that knew it.
    pub rule: RuleMatch,
    /// The frame that completed the message.
    pub frame: FrameRef,
    /// The flow.
    pub flow: FlowId,
    /// The flow's key: with the position of its first packet enough to find its packets again.
    pub key: FlowKey,
    /// Position of the flow's first packet.
    pub first_seq: u64,
    /// The server contacted.
    pub server: Address,
    /// The rule's confidence, weighed by the kind of evidence.
    pub confidence: Confidence,
}

/// A name seen, on its way to become a sample if it is new.
#[derive(Clone, Copy, Debug)]
pub struct Sighting<'a> {
    /// What kind of fact.
    pub kind: EvidenceKind,
    /// The name, as on the wire.
    pub name: &'a [u8],
    /// The rule and pattern that knew it.
    pub rule: RuleMatch,
    /// The frame that completed the message.
    pub frame: FrameRef,
    /// The flow.
    pub flow: FlowId,
    /// The flow's key: with the position of its first packet enough to find its packets again.
    pub key: FlowKey,
    /// Position of the flow's first packet.
    pub first_seq: u64,
    /// The server contacted.
    pub server: Address,
    /// Encrypted ClientHello was offered with it.
    pub ech_offered: bool,
    /// How sure an attribution by it is.
    pub confidence: Confidence,
    /// What it counts as.
    pub counts: Counts,
}

/// What a sighting counts as: several may come from one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// A contact with the vendor's service.
    Contact,
    /// A question for its name, and what became of it.
    Question(AttemptOutcome),
    /// It adds to another sighting of the same message.
    Nothing,
}

impl Sighting<'_> {
    /// What is kept of it.
    pub(super) fn sample(&self) -> EvidenceSample {
        EvidenceSample {
            kind: self.kind,
            name: self.name.to_vec(),
            rule: self.rule,
            frame: self.frame,
            flow: self.flow,
            key: self.key,
            first_seq: self.first_seq,
            server: self.server,
            confidence: self.confidence,
        }
    }
}

/// Where a server stands: two facts that are never derived from each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places<'a> {
    /// Country of the address.
    pub country: Option<CountryCode>,
    /// Name of the network's operator, and the country it is registered in.
    pub operator: Option<(&'a str, Option<CountryCode>)>,
}
