//! Classic pcap bytes → records, both byte orders, microseconds, nanoseconds, and the modified record header.
//!
//! Format: draft-ietf-opsawg-pcap §4 and §5. The modified format is that of Alexey Kuznetzov's libpcap patch, as
//! Linux distributions shipped it around 2000 and some appliances still write it: eight more bytes in each record header.

use super::{DamageKind, FileFormat, LinkType, RECORD_BYTES_MAX, Record, Step, WIRE_LEN_MAX};
use crate::model::Timestamp;

/// Length of the file header.
pub(crate) const FILE_HEADER_LEN: usize = 24;
const RECORD_HEADER_LEN: usize = 16;
/// Interface index, protocol, packet type, padding: what the modified format adds to a record header.
const MODIFIED_EXTRA_LEN: usize = 8;

/// Finds records; holds what the file header says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PcapWalker {
    big_endian: bool,
    nanoseconds: bool,
    /// Bytes of a record header behind the usual ones.
    extra_len: usize,
    link_type: LinkType,
}

impl PcapWalker {
    /// Reads the file header; `None` for other content or less than a header.
    pub fn open(window: &[u8]) -> Option<Self> {
        let header = window.first_chunk::<FILE_HEADER_LEN>()?;
        let (magic, rest) = header.split_first_chunk::<4>()?;
        let (big_endian, nanoseconds, extra_len) = match magic {
            [0xd4, 0xc3, 0xb2, 0xa1] => (false, false, 0),
            [0xa1, 0xb2, 0xc3, 0xd4] => (true, false, 0),
            [0x4d, 0x3c, 0xb2, 0xa1] => (false, true, 0),
            [0xa1, 0xb2, 0x3c, 0x4d] => (true, true, 0),
            [0x34, 0xcd, 0xb2, 0xa1] => (false, false, MODIFIED_EXTRA_LEN),
            [0xa1, 0xb2, 0xcd, 0x34] => (true, false, MODIFIED_EXTRA_LEN),
            _ => return None,
        };
        let network = *rest.last_chunk::<4>()?;
        let network = if big_endian {
            u32::from_be_bytes(network)
        } else {
            u32::from_le_bytes(network)
        };
        // The upper half holds the length of a frame check sequence and reserved bits.
        Some(Self {
            big_endian,
            nanoseconds,
            extra_len,
            link_type: LinkType((network & 0xffff) as u16),
        })
    }

    /// Which of the formats it is.
    pub fn format(&self) -> FileFormat {
        match (self.extra_len, self.nanoseconds) {
            (0, false) => FileFormat::Pcap,
            (0, true) => FileFormat::PcapNanoseconds,
            _ => FileFormat::PcapModified,
        }
    }

    /// The record at the beginning of `window`, if it is whole, and how many bytes it takes; [`Self::step`] says what is there else.
    #[inline]
    pub fn record(&self, window: &[u8]) -> Option<(Record, usize)> {
        let (header, rest) = window.split_first_chunk::<RECORD_HEADER_LEN>()?;
        let [seconds, fraction, captured_len, wire_len] = self.words(header);
        let with_extra = self.extra_len + captured_len as usize;
        if captured_len > RECORD_BYTES_MAX || rest.len() < with_extra {
            return None;
        }
        let nanos = if self.nanoseconds {
            u64::from(fraction)
        } else {
            u64::from(fraction) * 1000
        };
        let record = Record {
            data_offset: RECORD_HEADER_LEN + self.extra_len,
            captured_len,
            wire_len: believable_wire_len(wire_len, captured_len),
            timestamp: Timestamp::from_parts(u64::from(seconds), nanos),
            link_type: self.link_type,
        };
        Some((record, RECORD_HEADER_LEN + with_extra))
    }

    /// Looks at the record at the beginning of `window`.
    pub fn step(&mut self, window: &[u8], at_end: bool) -> Step {
        if let Some((record, consumed)) = self.record(window) {
            return Step::Frame(record, consumed);
        }
        let Some(header) = window.first_chunk::<RECORD_HEADER_LEN>() else {
            return match (window.is_empty(), at_end) {
                (true, true) => Step::End,
                (false, true) => Step::Damaged(DamageKind::CutShort, 0),
                (_, false) => Step::NeedMore,
            };
        };
        let [_, _, captured_len, _] = self.words(header);
        if captured_len > RECORD_BYTES_MAX {
            Step::Damaged(DamageKind::ImpossibleLength, 0)
        } else if at_end {
            Step::Damaged(DamageKind::CutShort, 0)
        } else {
            Step::NeedMore
        }
    }

    #[inline]
    fn words(self, header: &[u8; RECORD_HEADER_LEN]) -> [u32; 4] {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(header.as_chunks::<4>().0) {
            *word = if self.big_endian {
                u32::from_be_bytes(*bytes)
            } else {
                u32::from_le_bytes(*bytes)
            };
        }
        words
    }
}

/// The wire length as claimed, or the captured length where the claim cannot be right.
#[inline]
pub(crate) fn believable_wire_len(claimed: u32, captured_len: u32) -> u32 {
    if claimed > WIRE_LEN_MAX {
        captured_len
    } else {
        claimed.max(captured_len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(big_endian: bool, magic: u32, network: u32) -> Vec<u8> {
        let words = [magic, 0x0004_0002, 0, 0, 65_535, network];
        words
            .iter()
            .flat_map(|word| {
                if big_endian {
                    word.to_be_bytes()
                } else {
                    word.to_le_bytes()
                }
            })
            .collect()
    }

    #[test]
    fn both_orders_and_resolutions_are_read() {
        for (big_endian, magic, nanos) in [
            (false, 0xa1b2_c3d4_u32, 5_000),
            (true, 0xa1b2_c3d4, 5_000),
            (false, 0xa1b2_3c4d, 5),
            (true, 0xa1b2_3c4d, 5),
        ] {
            let mut file = header(big_endian, magic, 1);
            for word in [7u32, 5, 2, 60] {
                file.extend(if big_endian {
                    word.to_be_bytes()
                } else {
                    word.to_le_bytes()
                });
            }
            file.extend([0xaa, 0xbb]);
            let mut walker = PcapWalker::open(&file).unwrap();
            let Step::Frame(record, consumed) = walker.step(&file[24..], true) else {
                panic!("no frame")
            };
            assert_eq!(record.timestamp.as_nanos(), 7_000_000_000 + nanos);
            assert_eq!(
                (record.captured_len, record.wire_len, consumed),
                (2, 60, 18)
            );
            assert!(matches!(walker.step(&file[42..], true), Step::End));
        }
    }

    #[test]
    fn the_modified_record_header_is_eight_bytes_longer() {
        for big_endian in [false, true] {
            let mut file = header(big_endian, 0xa1b2_cd34, 1);
            for word in [7u32, 5, 2, 60, 3, 0x0008_0000] {
                file.extend(if big_endian {
                    word.to_be_bytes()
                } else {
                    word.to_le_bytes()
                });
            }
            file.extend([0xaa, 0xbb]);
            let mut walker = PcapWalker::open(&file).unwrap();
            assert_eq!(walker.format(), FileFormat::PcapModified);
            let Step::Frame(record, consumed) = walker.step(&file[24..], true) else {
                panic!("no frame")
            };
            assert_eq!((record.data_offset, consumed), (24, 26));
            for end in 25..file.len() {
                assert!(matches!(
                    walker.step(&file[24..end], true),
                    Step::Damaged(DamageKind::CutShort, 0)
                ));
            }
        }
    }

    #[test]
    fn a_record_cut_at_any_byte_is_cut_short() {
        let mut file = header(false, 0xa1b2_c3d4, 1);
        for word in [7u32, 5, 4, 4] {
            file.extend(word.to_le_bytes());
        }
        file.extend([1, 2, 3, 4]);
        for end in 25..file.len() {
            let mut walker = PcapWalker::open(&file).unwrap();
            assert!(
                matches!(
                    walker.step(&file[24..end], true),
                    Step::Damaged(DamageKind::CutShort, 0)
                ),
                "{end}"
            );
            assert!(
                matches!(walker.step(&file[24..end], false), Step::NeedMore),
                "{end}"
            );
        }
    }

    #[test]
    fn garbage_wire_lengths_fall_back_to_what_was_captured() {
        assert_eq!(believable_wire_len(u32::MAX, 60), 60);
        assert_eq!(believable_wire_len(20, 60), 60);
        assert_eq!(believable_wire_len(1500, 60), 1500);
    }
}
