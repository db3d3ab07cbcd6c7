//! Packets seen a moment ago → whether one is a second copy of the same packet.
//!
//! A mirror port that copies both the way in and the way out of a switch gives every packet twice; a capture of all interfaces
//! of a host more often still. Copies differ in tags, link addresses and time to live and in nothing else: the identification of IPv4,
//! the sequence and acknowledgment numbers and the checksum of the transport, which covers the payload, are the same. What a
//! host sends again itself has another identification or comes later than the window.

use super::Side;
use crate::decode::{Packet, TCP};
use crate::model::Timestamp;

use std::time::Duration;

/// Packets remembered side by side: one cache line.
const WAYS: usize = 4;
/// Lines at the beginning.
const LINES_MIN: usize = 8;
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

/// Packets as they are remembered, the latest first; time zero is none.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
struct Line {
    prints: [u64; WAYS],
    nanos: [u64; WAYS],
}

const _: () = assert!(size_of::<Line>() == 64);

/// The packets of one shard that were seen a moment ago.
///
/// It grows as packets come closer together: as long as few come within the window, few lines are in use, and they stay in the
/// cache.
#[derive(Debug)]
pub struct DuplicateWindow {
    lines: Vec<Line>,
    lines_max: usize,
    window_nanos: u64,
    counters: DuplicateCounters,
}

impl DuplicateWindow {
    /// A window with these bounds.
    pub fn new(limits: DuplicateLimits) -> Self {
        let lines = limits.packets_max.div_ceil(WAYS).max(1).next_power_of_two();
        Self {
            lines: vec![Line::default(); lines.min(LINES_MIN)],
            lines_max: lines,
            window_nanos: u64::try_from(limits.window.as_nanos()).unwrap_or(u64::MAX),
            counters: DuplicateCounters::default(),
        }
    }

    /// What was found so far.
    pub fn counters(&self) -> DuplicateCounters {
        self.counters
    }

    /// Whether copies are looked for at all.
    #[inline]
    pub const fn is_open(&self) -> bool {
        self.window_nanos != 0
    }

    /// Loads where a packet with this print is looked for. The sum means nothing.
    #[inline]
    pub fn touch(&self, print: u64) -> u64 {
        let [print, ..] = self
            .lines
            .get(self.place(print))
            .map_or([0; WAYS], |line| line.prints);
        print
    }

    /// Whether a packet with this [`fingerprint`] came a moment ago; if not, it is remembered.
    #[inline]
    pub fn is_copy(&mut self, print: u64, packet: &Packet, time: Timestamp) -> bool {
        if !self.is_open() {
            return false;
        }
        let nanos = time.as_nanos();
        // Without an identification what a host sends again looks the same, and only the time tells.
        let window = if packet.ip.identification == 0 {
            self.window_nanos / UNIDENTIFIED
        } else {
            self.window_nanos
        };
        let is_recent = |seen: u64| seen != 0 && seen.abs_diff(nanos) <= window;
        let at = self.place(print);
        let Some(line) = self.lines.get_mut(at) else {
            return false;
        };
        let [a, b, c, d] = line.prints.map(|seen| seen == print);
        if (a | b | c | d) && line.has(print, is_recent) {
            self.count(packet);
            return true;
        }
        let [.., oldest] = line.nanos;
        // Captures step back in time a little: twice the window is surely over.
        let may_be_wanted =
            oldest != 0 && oldest.abs_diff(nanos) <= self.window_nanos.saturating_mul(2);
        if may_be_wanted {
            return self.remember_among_recent(print, nanos, window);
        }
        line.push(print, nanos);
        false
    }

    /// Remembers a packet where there is no room beside others that may still be asked for. Always false: it is no copy.
    #[cold]
    fn remember_among_recent(&mut self, print: u64, nanos: u64, window: u64) -> bool {
        loop {
            let (at, lines) = (self.place(print), self.lines.len());
            let Some(line) = self.lines.get_mut(at) else {
                return false;
            };
            let [.., oldest] = line.nanos;
            let age = oldest.abs_diff(nanos);
            let is_wanted = oldest != 0 && age <= self.window_nanos.saturating_mul(2);
            // Packets that stay together however many lines there are need no more of them.
            let part = |seen: &u64| place_of(*seen ^ print, self.lines_max) != 0;
            if is_wanted && lines < self.lines_max && line.prints.iter().any(part) {
                self.grow();
                continue;
            }
            let is_recent = oldest != 0 && age <= window;
            self.counters.forgotten = self.counters.forgotten.saturating_add(u64::from(is_recent));
            line.push(print, nanos);
            return false;
        }
    }

    /// Twice the lines: the packets of each line go into two.
    fn grow(&mut self) {
        let lines = self.lines.len().saturating_mul(2);
        let old = std::mem::replace(&mut self.lines, vec![Line::default(); lines]);
        for line in old {
            let seen = line.prints.into_iter().zip(line.nanos);
            for (print, nanos) in seen.rev().filter(|(_, nanos)| *nanos != 0) {
                let at = self.place(print);
                if let Some(line) = self.lines.get_mut(at) {
                    line.push(print, nanos);
                }
            }
        }
    }

    #[inline]
    const fn place(&self, print: u64) -> usize {
        place_of(print, self.lines.len())
    }

    #[cold]
    fn count(&mut self, packet: &Packet) {
        for (sum, more) in [
            (&mut self.counters.packets, 1),
            (&mut self.counters.bytes, packet.ip.bytes),
            (&mut self.counters.overhead, packet.overhead),
        ] {
            *sum = sum.saturating_add(u64::from(more));
        }
    }
}

/// Which of so many lines a packet belongs in. The shard was chosen by other bits of the hash; the print mixes all of them.
#[inline]
const fn place_of(print: u64, lines: usize) -> usize {
    (print >> 40) as usize & lines.wrapping_sub(1)
}

impl Line {
    /// Remembers a packet and forgets the one that came first.
    #[inline]
    fn push(&mut self, print: u64, nanos: u64) {
        let ([a, b, c, _], [at_a, at_b, at_c, _]) = (self.prints, self.nanos);
        self.prints = [print, a, b, c];
        self.nanos = [nanos, at_a, at_b, at_c];
    }

    /// Whether a packet with this print came at a time that is recent.
    #[cold]
    fn has(&self, print: u64, is_recent: impl Fn(u64) -> bool) -> bool {
        let mut seen = self.prints.iter().zip(&self.nanos);
        seen.any(|(seen, nanos)| *seen == print && is_recent(*nanos))
    }
}

/// What copies have in common and packets of a host's own do not: of the flow with this hash, sent by this end of it.
#[inline]
pub fn fingerprint<'a>(
    flow: u64,
    sender: Side,
    packet: &Packet,
    payload: impl FnOnce() -> &'a [u8],
) -> u64 {
    // Which way it goes: the hash of the flow is the same both ways.
    let way = match sender {
        Side::A => flow,
        Side::B => !flow,
    };
    // Lengths of payloads take 20 bits, which leaves room for the flags.
    let identity = u64::from(packet.ip.identification) << 48
        | u64::from(packet.checksum) << 32
        | u64::from(packet.tcp.flags.0) << 24
        | u64::from(packet.payload_wire_len);
    let numbers = u64::from(packet.tcp.sequence) << 32 | u64::from(packet.tcp.acknowledgment);
    let print = mix(way ^ identity, numbers);
    if packet.ip.protocol == TCP {
        return print;
    }
    let [a, b, c, d] = ends(payload());
    mix(print ^ a ^ c.rotate_left(32), b ^ d.rotate_left(17))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn prints(count: u64) -> impl Iterator<Item = u64> {
        (1..=count).map(|number| mix(number, 7))
    }

    fn packet() -> Packet {
        let mut bytes = vec![0x45, 0, 0, 20, 0, 1, 0, 0, 64, 250, 0, 0];
        bytes.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        let raw = crate::capture::RawPacket {
            timestamp: Timestamp::default(),
            link_type: crate::capture::LinkType::RAW,
            wire_len: 20,
            data: &bytes,
        };
        match crate::decode::decode(&raw) {
            crate::decode::Decoded::Packet(packet) => packet,
            other => panic!("{other:?}"),
        }
    }

    /// It begins small, grows while packets come within the window, and knows them all until it has no more room.
    #[test]
    fn it_grows_with_what_comes_within_the_window() {
        let limits = DuplicateLimits {
            packets_max: 1 << 14,
            ..DuplicateLimits::default()
        };
        let (mut window, packet) = (DuplicateWindow::new(limits), packet());
        assert_eq!(window.lines.len(), LINES_MIN);
        let time = |nanos: u64| Timestamp::from_nanos(1_000_000_000 + nanos);
        for (at, print) in (0..).zip(prints(500)) {
            assert!(!window.is_copy(print, &packet, time(at)));
        }
        assert!(window.lines.len() > LINES_MIN);
        for (at, print) in (1000..).zip(prints(500)) {
            assert!(window.is_copy(print, &packet, time(at)), "{print:x}");
        }
        let found = window.counters();
        assert_eq!(
            (found.packets, found.bytes, found.forgotten),
            (500, 10_000, 0)
        );
        // What is over makes room where it is.
        let lines = window.lines.len();
        for (at, print) in (0..).zip(prints(100_000)) {
            assert!(!window.is_copy(print ^ 1, &packet, time((at + 1) * 1_000_000)));
        }
        assert_eq!(window.lines.len(), lines);
    }

    #[test]
    fn it_grows_no_further_than_allowed_and_counts_what_it_forgets() {
        let limits = DuplicateLimits {
            packets_max: 64,
            ..DuplicateLimits::default()
        };
        let (mut window, packet) = (DuplicateWindow::new(limits), packet());
        for print in prints(1000) {
            window.is_copy(print, &packet, Timestamp::from_nanos(1_000_000_000));
        }
        assert_eq!(window.lines.len() * WAYS, 64);
        assert_eq!(window.counters().forgotten, 1000 - 64);
    }
}
