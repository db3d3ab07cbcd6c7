//! pcapng bytes → records: sections in either byte order, interfaces with their own link type and clock.
//!
//! Format: draft-ietf-opsawg-pcapng. Enhanced, Simple and the obsolete Packet Block are read, and Decryption Secrets Blocks;
//! other blocks are passed over.

use super::pcap::believable_wire_len;
use super::{DamageKind, LinkType, RECORD_BYTES_MAX, Record, SecretsRecord, Step};
use crate::model::Timestamp;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
const DECRYPTION_SECRETS: u32 = 10;
/// Type of secrets: a key log of TLS.
const TLS_KEY_LOG: u32 = 0x544c_534b;

/// A block may be larger than the packet in it, by its options.
const BLOCK_BYTES_MAX: u32 = RECORD_BYTES_MAX + (1 << 20);

/// So many interfaces a section may describe: beyond any real machine, and a bound on hostile files.
const INTERFACES_MAX: usize = 4096;

/// How an interface counts time.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link_type: LinkType,
    snap_len: u32,
    /// Units a second.
    units: u64,
    /// Seconds to add.
    offset_seconds: i64,
}

/// Finds packets; holds what the current section has described.
#[derive(Clone, Debug, Default)]
pub(crate) struct PcapngWalker {
    big_endian: bool,
    in_section: bool,
    interfaces: Vec<Interface>,
    /// Simple Packet Blocks carry no time: they take that of the packet before.
    last_time: Timestamp,
}

impl PcapngWalker {
    /// A walker if the content begins with a section header.
    pub fn open(window: &[u8]) -> Option<Self> {
        (window.first_chunk::<4>()? == &SECTION_HEADER.to_be_bytes()).then(Self::default)
    }

    /// Looks at the block at the beginning of `window`.
    #[inline]
    pub fn step(&mut self, window: &[u8], at_end: bool) -> Step {
        match self.block(window) {
            Ok(step) => step,
            Err(Unfinished) if window.is_empty() && at_end => Step::End,
            Err(Unfinished) if at_end => Step::Damaged(DamageKind::CutShort, 0),
            Err(Unfinished) => Step::NeedMore,
        }
    }

    fn block(&mut self, window: &[u8]) -> Result<Step, Unfinished> {
        let (head, after) = window.split_first_chunk::<8>().ok_or(Unfinished)?;
        let [t0, t1, t2, t3, l0, l1, l2, l3] = *head;
        if u32::from_be_bytes([t0, t1, t2, t3]) == SECTION_HEADER {
            self.begin_section(after)?;
        } else if !self.in_section {
            return Ok(Step::Damaged(DamageKind::NoSection, 0));
        }
        let block_type = self.u32([t0, t1, t2, t3]);
        let total_len = self.u32([l0, l1, l2, l3]);
        if !total_len.is_multiple_of(4) || total_len < 12 {
            return Ok(Step::Damaged(DamageKind::BrokenBlock, 0));
        }
        if total_len > BLOCK_BYTES_MAX {
            return Ok(Step::Damaged(DamageKind::ImpossibleLength, 0));
        }
        let block = window.get(..total_len as usize).ok_or(Unfinished)?;
        let (body, trailer) = block.split_last_chunk::<4>().ok_or(Unfinished)?;
        if self.u32(*trailer) != total_len {
            return Ok(Step::Damaged(DamageKind::BrokenBlock, 0));
        }
        let body = body.get(8..).ok_or(Unfinished)?;
        let consumed = total_len as usize;
        let record = match block_type {
            ENHANCED_PACKET => self.enhanced_packet(body),
            SIMPLE_PACKET => self.simple_packet(body),
            OBSOLETE_PACKET => self.obsolete_packet(body),
            INTERFACE_DESCRIPTION => {
                return Ok(match self.describe_interface(body) {
                    Some(()) => Step::Skip(consumed),
                    None => Step::Damaged(DamageKind::BrokenBlock, 0),
                });
            }
            DECRYPTION_SECRETS => {
                return Ok(match self.secrets(body) {
                    Some(record) => Step::Secrets(record, consumed),
                    None => Step::Damaged(DamageKind::BrokenBlock, 0),
                });
            }
            _ => return Ok(Step::Skip(consumed)),
        };
        Ok(match record {
            Some(record) => Step::Frame(record, consumed),
            None => Step::Damaged(DamageKind::BrokenBlock, 0),
        })
    }

    fn begin_section(&mut self, after: &[u8]) -> Result<(), Unfinished> {
        // Neither order: the block's length cannot be read either, and the caller finds it broken or cut.
        self.big_endian = after.first_chunk::<4>().ok_or(Unfinished)? == &[0x1a, 0x2b, 0x3c, 0x4d];
        self.in_section = true;
        self.interfaces.clear();
        Ok(())
    }

    fn describe_interface(&mut self, body: &[u8]) -> Option<()> {
        let (fixed, mut options) = body.split_first_chunk::<8>()?;
        let [k0, k1, _, _, s0, s1, s2, s3] = *fixed;
        let mut interface = Interface {
            link_type: LinkType(self.u16([k0, k1])),
            snap_len: self.u32([s0, s1, s2, s3]),
            units: 1_000_000,
            offset_seconds: 0,
        };
        while let Some((head, rest)) = options.split_first_chunk::<4>() {
            let [c0, c1, n0, n1] = *head;
            let (code, len) = (self.u16([c0, c1]), usize::from(self.u16([n0, n1])));
            let Some(value) = rest.get(..len) else { break };
            match (code, value) {
                (0, _) => break,
                (9, [resolution]) => interface.units = units_of(*resolution),
                (14, value) => {
                    let bytes = value.first_chunk::<8>()?;
                    interface.offset_seconds = if self.big_endian {
                        i64::from_be_bytes(*bytes)
                    } else {
                        i64::from_le_bytes(*bytes)
                    };
                }
                _ => {}
            }
            options = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        }
        if self.interfaces.len() < INTERFACES_MAX {
            self.interfaces.push(interface);
        }
        Some(())
    }

    fn secrets(&self, body: &[u8]) -> Option<SecretsRecord> {
        let (fixed, data) = body.split_first_chunk::<8>()?;
        let [t0, t1, t2, t3, l0, l1, l2, l3] = *fixed;
        let len = self.u32([l0, l1, l2, l3]) as usize;
        (len <= data.len()).then_some(SecretsRecord {
            is_tls: self.u32([t0, t1, t2, t3]) == TLS_KEY_LOG,
            data_offset: 16,
            len,
        })
    }

    fn enhanced_packet(&mut self, body: &[u8]) -> Option<Record> {
        let (fixed, data) = body.split_first_chunk::<20>()?;
        let [interface, high, low, captured_len, wire_len] = self.words(fixed);
        self.packet(interface, high, low, captured_len, wire_len, data, 28)
    }

    fn obsolete_packet(&mut self, body: &[u8]) -> Option<Record> {
        let (fixed, data) = body.split_first_chunk::<20>()?;
        let [i0, i1, ..] = *fixed;
        let interface = u32::from(self.u16([i0, i1]));
        let [_, high, low, captured_len, wire_len] = self.words(fixed);
        self.packet(interface, high, low, captured_len, wire_len, data, 28)
    }

    fn simple_packet(&mut self, body: &[u8]) -> Option<Record> {
        let (fixed, data) = body.split_first_chunk::<4>()?;
        let wire_len = self.u32(*fixed);
        let interface = self.interfaces.first();
        let snap_len = interface.map_or(0, |interface| interface.snap_len);
        let available = u32::try_from(data.len()).ok()?;
        let mut captured_len = wire_len.min(available);
        if snap_len > 0 {
            captured_len = captured_len.min(snap_len);
        }
        Some(Record {
            data_offset: 12,
            captured_len,
            wire_len: believable_wire_len(wire_len, captured_len),
            timestamp: self.last_time,
            link_type: interface.map_or(LinkType::UNDESCRIBED, |interface| interface.link_type),
        })
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "the fields of the two packet blocks, in their order"
    )]
    fn packet(
        &mut self,
        interface: u32,
        high: u32,
        low: u32,
        captured_len: u32,
        wire_len: u32,
        data: &[u8],
        data_offset: usize,
    ) -> Option<Record> {
        if captured_len as usize > data.len() {
            return None;
        }
        let interface = self
            .interfaces
            .get(interface as usize)
            .copied()
            .unwrap_or(Interface {
                link_type: LinkType::UNDESCRIBED,
                snap_len: 0,
                units: 1_000_000,
                offset_seconds: 0,
            });
        let units = u64::from(high) << 32 | u64::from(low);
        self.last_time = interface.time_of(units);
        Some(Record {
            data_offset,
            captured_len,
            wire_len: believable_wire_len(wire_len, captured_len),
            timestamp: self.last_time,
            link_type: interface.link_type,
        })
    }

    fn words(&self, bytes: &[u8; 20]) -> [u32; 5] {
        let mut words = [0; 5];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *word = self.u32(*bytes);
        }
        words
    }

    fn u32(&self, bytes: [u8; 4]) -> u32 {
        if self.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        }
    }

    fn u16(&self, bytes: [u8; 2]) -> u16 {
        if self.big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        }
    }
}

impl Interface {
    fn time_of(&self, units: u64) -> Timestamp {
        let (seconds, fraction) = (units / self.units, units % self.units);
        let nanos = (u128::from(fraction) * 1_000_000_000 / u128::from(self.units)) as u64;
        Timestamp::from_parts(seconds.saturating_add_signed(self.offset_seconds), nanos)
    }
}

/// Units a second of an `if_tsresol` octet: a power of ten, or of two when the top bit is set.
fn units_of(resolution: u8) -> u64 {
    let exponent = u32::from(resolution & 0x7f);
    let units = if resolution & 0x80 == 0 {
        10u64.checked_pow(exponent)
    } else {
        2u64.checked_pow(exponent)
    };
    // A resolution finer than 64 bits can count is not believed.
    units.unwrap_or(1_000_000)
}

/// The block goes on behind the window.
struct Unfinished;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolutions_are_powers_of_ten_or_two() {
        assert_eq!(units_of(6), 1_000_000);
        assert_eq!(units_of(9), 1_000_000_000);
        assert_eq!(units_of(0x80 | 0x0a), 1024);
        assert_eq!(units_of(127), 1_000_000);
    }

    #[test]
    fn a_power_of_two_clock_is_scaled_to_nanoseconds() {
        let interface = Interface {
            link_type: LinkType::RAW,
            snap_len: 0,
            units: 1024,
            offset_seconds: 5,
        };
        assert_eq!(interface.time_of(1024 + 512).as_nanos(), 6_500_000_000);
    }

    #[test]
    fn bytes_without_a_section_are_not_guessed_at() {
        let mut walker = PcapngWalker::default();
        assert!(matches!(
            walker.step(&[6, 0, 0, 0, 32, 0, 0, 0, 0], true),
            Step::Damaged(DamageKind::NoSection, 0)
        ));
    }
}
