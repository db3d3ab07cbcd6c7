//! Packets seen a moment ago → whether one is a second copy of the same packet.
//!
//! A mirror port that copies both the way in and the way out of a switch gives every packet twice; a capture of all interfaces
//! of a host more often still. Copies differ in tags, link addresses and time to live and in nothing else: the identification of IPv4,
//! the sequence and acknowledgment numbers and the checksum of the transport, which covers the payload, are the same. What a
//! host sends again itself has another identification or comes later than the window.

use crate::decode::{Packet, TCP};
use crate::model::Timestamp;

use std::time::Duration;

/// Packets remembered side by side: one cache line.
const WAYS: usize = 4;
/// Bytes of each end of a payload that are compared. With offloads a capture on the sending host has no checksums yet, and datagrams of
/// one length look alike but for these.
const COMPARED: usize = 16;

/// For packets without an identification, IPv6 and some of IPv4, the window is so many times shorter.
const UNIDENTIFIED: u64 = 10;

/// How far back a copy is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DuplicateLimits {
    /// A packet that comes again within it is a copy; zero takes every packet for one of its own.
    pub window: Duration,
    /// Packets remembered.
    pub packets_max: usize,
}

impl Default for DuplicateLimits {
    fn default() -> Self {
        Self {
            // A copy comes within microseconds from one switch, within some milliseconds by way of a router. Retransmissions
            // come after a round trip and hardly before 200 ms (RFC 6298 §2.4 and what systems do).
            window: Duration::from_millis(10),
            // 10 ms of 6 million packets a second; 1 MiB, so that it stays in a second-level cache.
            packets_max: 1 << 16,
        }
    }
}

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DuplicateCounters {
    /// Packets that were copies.
    pub packets: u64,
    /// Their bytes at the IP layer.
    pub bytes: u64,
    /// What the packets around them are longer.
    pub overhead: u64,
    /// Packets forgotten within the window, to remember others: a copy of one of them counts as a packet of its own.
    pub forgotten: u64,
}

impl std::ops::AddAssign for DuplicateCounters {
    fn add_assign(&mut self, other: Self) {
        for (sum, more) in [
            (&mut self.packets, other.packets),
            (&mut self.bytes, other.bytes),
            (&mut self.overhead, other.overhead),
            (&mut self.forgotten, other.forgotten),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

/// A packet as it is remembered; time zero is none.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    print: u64,
    nanos: u64,
}

/// The packets of one shard that were seen a moment ago.
#[derive(Debug)]
pub struct DuplicateWindow {
    lines: Vec<[Seen; WAYS]>,
    window_nanos: u64,
    counters: DuplicateCounters,
}

impl DuplicateWindow {
    /// A window with these bounds.
    pub fn new(limits: DuplicateLimits) -> Self {
        let lines = limits.packets_max.div_ceil(WAYS).max(1).next_power_of_two();
        Self {
            lines: vec![[Seen::default(); WAYS]; lines],
            window_nanos: u64::try_from(limits.window.as_nanos()).unwrap_or(u64::MAX),
            counters: DuplicateCounters::default(),
        }
    }

    /// What was found so far.
    pub fn counters(&self) -> DuplicateCounters {
        self.counters
    }

    /// Whether the packet of the flow with this hash came a moment ago; if not, it is remembered.
    #[inline]
    pub fn is_copy(&mut self, flow: u64, packet: &Packet, time: Timestamp, payload: &[u8]) -> bool {
        if self.window_nanos == 0 {
            return false;
        }
        let print = fingerprint(flow, packet, payload);
        let nanos = time.as_nanos();
        // The shard was chosen by other bits of the hash; the print mixes all of them.
        let at = (print >> 40) as usize & self.lines.len().wrapping_sub(1);
        let Some(line) = self.lines.get_mut(at) else {
            return false;
        };
        // Without an identification what a host sends again looks the same, and only the time tells.
        let window = if packet.ip.identification == 0 {
            self.window_nanos / UNIDENTIFIED
        } else {
            self.window_nanos
        };
        let is_recent = |seen: &Seen| seen.nanos != 0 && seen.nanos.abs_diff(nanos) <= window;
        if line
            .iter()
            .any(|seen| seen.print == print && is_recent(seen))
        {
            self.counters.packets = self.counters.packets.saturating_add(1);
            self.counters.bytes = self
                .counters
                .bytes
                .saturating_add(u64::from(packet.ip.bytes));
            self.counters.overhead = self
                .counters
                .overhead
                .saturating_add(u64::from(packet.overhead));
            return true;
        }
        if let Some(oldest) = line.iter_mut().min_by_key(|seen| seen.nanos) {
            self.counters.forgotten = self
                .counters
                .forgotten
                .saturating_add(u64::from(is_recent(oldest)));
            *oldest = Seen { print, nanos };
        }
        false
    }
}

/// What copies have in common and packets of a host's own do not.
#[inline]
fn fingerprint(flow: u64, packet: &Packet, payload: &[u8]) -> u64 {
    let identity = u64::from(packet.ip.identification) << 48
        | u64::from(packet.checksum) << 32
        | u64::from(packet.payload_wire_len);
    // Which way it goes: the hash of the flow is the same both ways.
    let way = u64::from(packet.source_port) << 16 | u64::from(packet.destination_port);
    let print = mix(flow ^ way, identity);
    if packet.ip.protocol == TCP {
        let numbers = u64::from(packet.tcp.sequence) << 32 | u64::from(packet.tcp.acknowledgment);
        return mix(print ^ u64::from(packet.tcp.flags.0), numbers);
    }
    let [a, b, c, d] = ends(payload);
    let [_, _, _, _, _, _, _, _, source @ ..] = packet.ip.source;
    mix(
        mix(print ^ u64::from_le_bytes(source), a ^ c.rotate_left(32)),
        b ^ d.rotate_left(17),
    )
}

/// The first and the last bytes of a payload; of a short one all of them.
#[inline]
fn ends(payload: &[u8]) -> [u64; 4] {
    let words = |bytes: &[u8; COMPARED]| {
        let word = u128::from_le_bytes(*bytes);
        [word as u64, (word >> 64) as u64]
    };
    if let (Some(first), Some(last)) = (payload.first_chunk(), payload.last_chunk()) {
        let ([a, b], [c, d]) = (words(first), words(last));
        return [a, b, c, d];
    }
    let mut padded = [0; COMPARED];
    for (to, from) in padded.iter_mut().zip(payload) {
        *to = *from;
    }
    let [a, b] = words(&padded);
    [a, b, 0, 0]
}

/// Every bit of both in every bit of the result.
#[inline]
const fn mix(a: u64, b: u64) -> u64 {
    const ODD: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xd1b5_4a32_d192_ed03];
    let [one, other] = ODD;
    let product = ((a ^ one) as u128).wrapping_mul((b ^ other) as u128);
    product as u64 ^ (product >> 64) as u64
}
