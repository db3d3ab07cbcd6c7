//! A plan of packets → the packets of one flow in the order they are sent.

use std::net::IpAddr;

use super::packet::Transport;

/// Which side sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The side that opened the flow.
    Initiator,
    /// The other one.
    Responder,
}

impl Side {
    /// The side across.
    pub fn other(self) -> Self {
        match self {
            Self::Initiator => Self::Responder,
            Self::Responder => Self::Initiator,
        }
    }

    /// 0 for the initiator, 1 for the responder: index of per-side pairs.
    pub fn index(self) -> usize {
        self as usize
    }
}

/// The 5-tuple, as the initiator sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Addresses of initiator and responder.
    pub addresses: [IpAddr; 2],
    /// Ports of initiator and responder; for ICMP the identifier and 0.
    pub ports: [u16; 2],
    /// What lies above IP, or ARP.
    pub transport: Transport,
}

/// What a packet carries above its transport header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Nothing.
    Empty,
    /// Bytes of the flow's own [`Flow::blob`].
    Blob {
        /// First byte in the blob.
        start: u32,
        /// Bytes carried.
        length: u16,
    },
    /// Opaque bytes.
    Noise(u16),
    /// One whole TLS record of application data, of this length with its header.
    Record(u16),
}

impl Payload {
    /// Bytes carried.
    pub fn length(self) -> u16 {
        match self {
            Self::Empty => 0,
            Self::Blob { length, .. } | Self::Noise(length) | Self::Record(length) => length,
        }
    }
}

/// One packet to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// When, in nanoseconds since the capture began.
    pub at: u64,
    /// Sequence number from the sender's initial one; for ICMP the echo sequence.
    pub sequence: u32,
    /// Acknowledged sequence number from the other side's initial one.
    pub acknowledged: u32,
    /// Payload.
    pub payload: Payload,
    /// TCP flags.
    pub flags: u8,
    /// Sender.
    pub side: Side,
    /// With this packet the flow's name has been sent whole.
    pub completes_name: bool,
}

/// A stretch of the plan that is sent several times over.
#[derive(Clone, Copy, Debug)]
pub struct Repeat {
    /// Index of the first step repeated.
    pub start: u32,
    /// Index behind the last one.
    pub end: u32,
    /// How often the stretch is sent in all; at least 1.
    pub cycles: u64,
    /// Time from one cycle to the next.
    pub period: u64,
    /// Bytes each side sends in one cycle.
    pub shift: [u32; 2],
}

/// Where a flow's name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameKind {
    /// Server name of a TLS `ClientHello` over TCP.
    TlsSni,
    /// Host header of a plain HTTP request.
    HttpHost,
    /// Name in a DNS question over UDP.
    DnsQuery,
}

/// One flow: who talks, the plan, and what of it has been sent.
#[derive(Debug)]
pub struct Flow {
    /// The 5-tuple.
    pub key: Key,
    /// 802.1Q tag; 0 for none.
    pub vlan: u16,
    /// Kind and index of the name the flow asks for.
    pub name: Option<(NameKind, u16)>,
    /// The `ClientHello` lies in more than one segment.
    pub split_hello: bool,
    /// Payload bytes that steps refer to.
    pub blob: Vec<u8>,
    /// The plan, in order of time.
    pub steps: Vec<Step>,
    /// Part of the plan that is repeated.
    pub repeat: Option<Repeat>,
    /// Initial sequence number of each side.
    pub initial_sequence: [u32; 2],
    /// Packets sent by each side so far.
    pub packets: [u64; 2],
    /// Bytes sent by each side so far, by the IP total length.
    pub bytes: [u64; 2],
    /// The name has been sent whole.
    pub named: bool,
    /// Time of the last packet sent.
    pub last_at: Option<u64>,
    cursor: usize,
    cycle: u64,
}

impl Flow {
    /// A flow that has sent nothing yet.
    pub fn new(key: Key, steps: Vec<Step>, blob: Vec<u8>) -> Self {
        Self {
            key,
            vlan: 0,
            name: None,
            split_hello: false,
            blob,
            steps,
            repeat: None,
            initial_sequence: [0; 2],
            packets: [0; 2],
            bytes: [0; 2],
            named: false,
            last_at: None,
            cursor: 0,
            cycle: 0,
        }
    }

    /// How many packets the whole plan sends.
    pub fn planned(&self) -> u64 {
        let once = self.steps.len() as u64;
        self.repeat.map_or(once, |repeat| {
            once + u64::from(repeat.end - repeat.start) * (repeat.cycles - 1)
        })
    }

    /// Keeps only the first `count` packets of a plan without repetition.
    pub fn cut(&mut self, count: u64) {
        self.steps
            .truncate(usize::try_from(count).unwrap_or(usize::MAX));
    }

    /// When the next packet is due; `None` when the plan is done.
    pub fn next_at(&self) -> Option<u64> {
        let step = self.steps.get(self.cursor)?;
        Some(step.at + self.delay())
    }

    /// Time by which repetitions moved the current step.
    fn delay(&self) -> u64 {
        self.repeat.map_or(0, |repeat| repeat.period * self.cycle)
    }

    /// Takes the next packet; `None` when the plan is done.
    pub fn take(&mut self) -> Option<Step> {
        let mut step = *self.steps.get(self.cursor)?;
        self.cursor += 1;
        if let Some(repeat) = self.repeat {
            step.at += self.delay();
            let sent = |side: Side| repeat.shift[side.index()].wrapping_mul(self.cycle as u32);
            step.sequence = step.sequence.wrapping_add(sent(step.side));
            step.acknowledged = step.acknowledged.wrapping_add(sent(step.side.other()));
            if self.cursor == repeat.end as usize && self.cycle + 1 < repeat.cycles {
                self.cycle += 1;
                self.cursor = repeat.start as usize;
            }
        }
        Some(step)
    }

    /// Gives the blob's memory back once no later step refers to it.
    pub fn release_blob(&mut self) {
        let later = &self.steps[self.cursor.min(self.steps.len())..];
        if !later
            .iter()
            .any(|step| matches!(step.payload, Payload::Blob { .. }))
        {
            self.blob = Vec::new();
        }
    }
}
