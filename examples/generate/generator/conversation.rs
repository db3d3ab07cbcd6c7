//! Who says what over TCP → the plan of packets, with sequence numbers, acknowledgements and mishaps.

use super::flow::{Flow, Key, NameKind, Payload, Side, Step};
use super::packet::flags;
use super::random::Random;

/// Nanoseconds in a microsecond, the spacing of packets in a burst.
pub const MICROSECOND: u64 = 1_000;
/// Nanoseconds in a millisecond.
pub const MILLISECOND: u64 = 1_000_000;
/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;
/// The greatest TCP payload: 1,500 bytes less the headers of IPv6 and TCP and options.
pub const SEGMENT_MAXIMUM: usize = 1_428;

/// A TCP conversation being written down.
pub struct Conversation {
    /// Time of the next packet, in nanoseconds since the capture began.
    pub now: u64,
    /// Time from a question to its answer.
    round_trip: u64,
    next: [u32; 2],
    steps: Vec<Step>,
    blob: Vec<u8>,
    name: Option<(NameKind, u16)>,
    /// Part of the blob that holds the name, and whether it is cut over segments.
    name_bytes: (u32, u32),
    split_hello: bool,
}

impl Conversation {
    /// A conversation that begins at `now`.
    pub fn new(now: u64, round_trip: u64) -> Self {
        Self {
            now,
            round_trip,
            next: [0; 2],
            steps: Vec::with_capacity(16),
            blob: Vec::new(),
            name: None,
            name_bytes: (0, 0),
            split_hello: false,
        }
    }

    /// Lets time pass.
    pub fn wait(&mut self, nanoseconds: u64) {
        self.now += nanoseconds;
    }

    /// Lets half a round trip pass: the other side has now seen what was sent.
    pub fn travel(&mut self) {
        self.now += self.round_trip / 2;
    }

    /// Sends one packet; its payload and a SYN or FIN advance the sender's sequence number.
    pub fn send(&mut self, side: Side, flags: u8, payload: Payload) {
        let index = side.index();
        self.steps.push(Step {
            at: self.now,
            sequence: self.next[index],
            acknowledged: self.next[side.other().index()],
            payload,
            flags,
            side,
            completes_name: false,
        });
        let control = u32::from(flags & (flags::SYN | flags::FIN) != 0);
        self.next[index] = self.next[index].wrapping_add(u32::from(payload.length()) + control);
        self.now += 20 * MICROSECOND;
    }

    /// Opens with SYN, SYN and ACK, ACK.
    pub fn open(&mut self) {
        self.send(Side::Initiator, flags::SYN, Payload::Empty);
        self.travel();
        self.send(Side::Responder, flags::SYN | flags::ACK, Payload::Empty);
        self.travel();
        self.acknowledge(Side::Initiator);
    }

    /// Begins as if the handshake had been sent before the capture began.
    pub fn begin_midstream(&mut self) {
        self.next = [1, 1];
    }

    /// Sends a packet that only acknowledges.
    pub fn acknowledge(&mut self, side: Side) {
        self.send(side, flags::ACK, Payload::Empty);
    }

    /// Sends one segment of data.
    pub fn data(&mut self, side: Side, payload: Payload) {
        self.send(side, flags::PSH | flags::ACK, payload);
    }

    /// Sends `bytes`, cut at `cut` if that lies inside, and else only where a segment is full.
    pub fn bytes(&mut self, side: Side, bytes: &[u8], cut: Option<usize>) {
        let mut rest = bytes;
        let mut first = cut.filter(|cut| (1..bytes.len()).contains(cut));
        while !rest.is_empty() {
            let length = first
                .take()
                .unwrap_or(SEGMENT_MAXIMUM)
                .min(SEGMENT_MAXIMUM)
                .min(rest.len());
            let (now, later) = rest.split_at(length);
            let start = self.blob.len() as u32;
            self.blob.extend_from_slice(now);
            self.data(
                side,
                Payload::Blob {
                    start,
                    length: length as u16,
                },
            );
            rest = later;
        }
    }

    /// Sends `bytes`, which hold `name`, as [`Self::bytes`] does.
    pub fn named_bytes(&mut self, kind: NameKind, name: u16, bytes: &[u8], cut: Option<usize>) {
        let start = self.blob.len() as u32;
        let packets = self.steps.len();
        self.bytes(Side::Initiator, bytes, cut);
        self.name = Some((kind, name));
        self.name_bytes = (start, self.blob.len() as u32);
        self.split_hello = kind == NameKind::TlsSni && self.steps.len() - packets > 1;
    }

    /// Sends `length` bytes in TLS records, one a segment, with an acknowledgement for every two.
    pub fn stream(&mut self, side: Side, length: usize) {
        let mut rest = length;
        let mut unacknowledged = 0;
        while rest > 0 {
            let part = rest.min(SEGMENT_MAXIMUM);
            rest -= part;
            self.data(side, Payload::Record(part.max(24) as u16));
            unacknowledged += 1;
            if unacknowledged == 2 || rest == 0 {
                let back = self.now;
                self.travel();
                self.acknowledge(side.other());
                // The sender does not wait for the acknowledgement while its window is open.
                if rest > 0 {
                    self.now = back + 60 * MICROSECOND;
                }
                unacknowledged = 0;
            }
        }
    }

    /// Closes from `side` with FIN and ACK both ways.
    pub fn close(&mut self, side: Side) {
        self.send(side, flags::FIN | flags::ACK, Payload::Empty);
        self.travel();
        self.acknowledge(side.other());
        self.send(side.other(), flags::FIN | flags::ACK, Payload::Empty);
        self.travel();
        self.acknowledge(side);
    }

    /// Ends with a RST from `side`.
    pub fn reset(&mut self, side: Side) {
        self.send(side, flags::RST | flags::ACK, Payload::Empty);
    }

    /// Sends one data segment a second time, up to 60 ms after the first.
    pub fn retransmit_one(&mut self, random: &mut Random) {
        if let Some(index) = self.random_data(random) {
            let mut again = self.steps[index];
            again.at += random.between(5, 60) * MILLISECOND;
            self.steps.push(again);
        }
    }

    /// Lets two neighbouring data segments of one side arrive in the wrong order.
    pub fn swap_two(&mut self, random: &mut Random) {
        let Some(first) = self.random_data(random) else {
            return;
        };
        let side = self.steps[first].side;
        let later = (first + 1..self.steps.len()).find(|index| is_data(&self.steps[*index]));
        let Some(second) = later.filter(|index| self.steps[*index].side == side) else {
            return;
        };
        // Only inside one burst: across a question and its answer no network swaps.
        if self.steps[first].at.abs_diff(self.steps[second].at) > MILLISECOND {
            return;
        }
        let at = self.steps[first].at;
        self.steps[first].at = self.steps[second].at;
        self.steps[second].at = at;
    }

    fn random_data(&self, random: &mut Random) -> Option<usize> {
        let count = self.steps.iter().filter(|step| is_data(step)).count() as u64;
        let chosen = random.below(count) as usize;
        let mut data = (0..self.steps.len()).filter(|index| is_data(&self.steps[*index]));
        data.nth(chosen)
    }

    /// Where the plan stands: its length, and the bytes each side has sent.
    pub fn position(&self) -> (u32, [u32; 2]) {
        (self.steps.len() as u32, self.next)
    }

    /// The flow of this conversation between the ends of `key`.
    pub fn finish(mut self, key: Key, random: &mut Random) -> Flow {
        self.steps.sort_by_key(|step| step.at);
        if self.name.is_some() {
            mark_name(&mut self.steps, self.name_bytes);
        }
        self.blob.shrink_to_fit();
        let mut flow = Flow::new(key, self.steps, self.blob);
        flow.name = self.name;
        flow.split_hello = self.split_hello;
        let both = random.next();
        flow.initial_sequence = [both as u32, (both >> 32) as u32];
        if random.one_in(64) {
            // Wraps within the first hundred bytes.
            flow.initial_sequence[0] |= 0xffff_ff80;
        }
        flow
    }
}

fn is_data(step: &Step) -> bool {
    step.payload.length() > 0
}

/// Marks the step with which every byte of `start..end` of the blob has been sent.
fn mark_name(steps: &mut [Step], (start, end): (u32, u32)) {
    let mut seen = Vec::with_capacity(4);
    let mut missing = end - start;
    for step in steps {
        if let Payload::Blob {
            start: first,
            length,
        } = step.payload
            && (start..end).contains(&first)
            && !seen.contains(&first)
        {
            seen.push(first);
            missing -= u32::from(length);
            if missing == 0 {
                step.completes_name = true;
                return;
            }
        }
    }
}
