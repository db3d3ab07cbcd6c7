//! Capture files, directories and streams → batches of frames, each with its position and stream time.
//!
//! **Invariants**: knows nothing of what is inside a frame; a batch points into one storage, and its frames are copied only
//! where several files run at the same time; `seq` counts every frame of the whole input from 0; `stream_time` never steps
//! back within a world.

mod clock;
mod compressed;
mod digest;
mod discover;
pub mod file_map;
mod files;
mod input;
mod manifest;
mod merge;
mod pcap;
mod pcapng;

use std::path::PathBuf;
use std::sync::Arc;

pub use clock::{ClockStats, StreamClock};
pub use digest::sha256_of;
pub use discover::{Passed, is_capture};
pub use files::{CaptureFiles, InputOptions};
pub use manifest::{FileReport, Run};

use crate::model::{Timestamp, closed_set};

/// A link-layer type as the tcpdump.org registry numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: the address family in the byte order of the machine.
    pub const NULL: Self = Self(0);
    /// Ethernet.
    pub const ETHERNET: Self = Self(1);
    /// PPP, with or without the address and control fields.
    pub const PPP: Self = Self(9);
    /// PPP in HDLC-like framing.
    pub const PPP_HDLC: Self = Self(50);
    /// Raw IP, version by its first four bits; 12 and 14 are what some systems wrote for it.
    pub const RAW: Self = Self(101);
    /// Cisco HDLC.
    pub const C_HDLC: Self = Self(104);
    /// IEEE 802.11.
    pub const IEEE802_11: Self = Self(105);
    /// Frame Relay with a two-byte address.
    pub const FRELAY: Self = Self(107);
    /// OpenBSD loopback: the address family in network byte order.
    pub const LOOP: Self = Self(108);
    /// Linux cooked capture, version 1.
    pub const LINUX_SLL: Self = Self(113);
    /// IEEE 802.11 behind a Prism header.
    pub const PRISM: Self = Self(119);
    /// IEEE 802.11 behind a radiotap header.
    pub const RADIOTAP: Self = Self(127);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Raw IPv6.
    pub const IPV6: Self = Self(229);
    /// Netfilter log: attributes, one of which is the packet.
    pub const NFLOG: Self = Self(239);
    /// Linux cooked capture, version 2.
    pub const LINUX_SLL2: Self = Self(276);
    /// Stands for the interface of a pcapng packet that its section never described.
    pub const UNDESCRIBED: Self = Self(u16::MAX);
}

/// A frame as captured.
#[derive(Clone, Copy, Debug)]
pub struct RawPacket<'a> {
    /// When it was captured.
    pub timestamp: Timestamp,
    /// How the bytes begin.
    pub link_type: LinkType,
    /// Length on the wire in bytes, at least `data.len()`.
    pub wire_len: u32,
    /// The captured bytes.
    pub data: &'a [u8],
}

/// Where a frame lies in the storage of its batch, and when it came.
#[derive(Clone, Copy, Debug)]
pub struct FrameDescriptor {
    /// Offset of the first captured byte in the storage.
    pub offset: u64,
    /// Position in the whole input, from 0.
    pub seq: u64,
    /// When it was captured.
    pub timestamp: Timestamp,
    /// Running maximum of timestamps; timeouts and order rest on it.
    pub stream_time: Timestamp,
    /// Captured bytes.
    pub captured_len: u32,
    /// Bytes on the wire, at least `captured_len`.
    pub wire_len: u32,
    /// How the bytes begin.
    pub link_type: LinkType,
    /// Which site's network it was captured in: an index into the sites of the source, 0 where there is one.
    pub scope: u16,
}

/// The bytes that descriptors point into.
#[derive(Clone, Debug, Default)]
pub enum FrameStorage {
    /// Nothing yet.
    #[default]
    Empty,
    /// A capture file in memory.
    Map(Arc<file_map::FileMap>),
    /// A stretch of a stream.
    Owned(Arc<Vec<u8>>),
}

impl FrameStorage {
    /// All bytes of the storage.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Empty => &[],
            Self::Map(map) => map.bytes(),
            Self::Owned(bytes) => bytes,
        }
    }

    /// Whether both are the same bytes in memory.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Empty, Self::Empty) => true,
            (Self::Map(one), Self::Map(other)) => Arc::ptr_eq(one, other),
            (Self::Owned(one), Self::Owned(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

/// Up to [`FrameBatch::capacity`] frames over one storage.
#[derive(Debug)]
pub struct FrameBatch {
    /// The bytes.
    pub storage: FrameStorage,
    /// The frames in them, in capture order.
    pub descriptors: Vec<FrameDescriptor>,
    /// What the capture says before the first of them that decrypts what they carry.
    pub secrets: Vec<DecryptionSecrets>,
    capacity: usize,
}

impl FrameBatch {
    /// An empty batch for at most `capacity` frames (at least one).
    pub fn with_capacity(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        Self {
            storage: FrameStorage::Empty,
            descriptors: Vec::with_capacity(capacity),
            secrets: Vec::new(),
            capacity,
        }
    }

    /// How many frames fit.
    pub fn capacity(&self) -> usize {
        self.capacity
    }
}

/// What a source can say after filling a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// The batch holds at least one frame.
    Filled,
    /// There is nothing more.
    End,
}

/// Something that frames come from.
pub trait PacketSource {
    /// Empties `batch` and fills it with the next frames.
    fn next_batch(&mut self, batch: &mut FrameBatch) -> Result<SourceState, CaptureError>;
}

/// Why an input could not be opened or read at all.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file cannot be opened.
    #[error("{}: cannot open: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Reading failed half-way.
    #[error("{}: cannot read at offset {offset}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Bytes read before.
        offset: u64,
        /// The system's reason.
        source: std::io::Error,
    },
    /// More sites than a flow key can tell apart.
    #[error("{}: would be site number 65,537; read fewer sites at a time, or name one with --site", path.display())]
    TooManySites {
        /// The file whose site found no number.
        path: PathBuf,
    },
    /// The file ends inside its own header.
    #[error("{}: ends inside the pcap header; the file was cut, get it again", path.display())]
    HeaderCut {
        /// The file.
        path: PathBuf,
    },
    /// Nothing could be decompressed.
    #[error("{}: {what} before anything could be decompressed; get the file again", path.display())]
    Compression {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// The file is empty.
    #[error("{}: is empty; a capture has at least a header of 24 bytes", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The content is no capture format that is known.
    #[error("{}: {what}; {remedy}", path.display())]
    NotACapture {
        /// The file.
        path: PathBuf,
        /// What it looks like.
        what: &'static str,
        /// What to do.
        remedy: &'static str,
    },
}

closed_set! {
    /// How a capture is written.
    pub enum FileFormat {
        /// pcap with microseconds.
        Pcap = "pcap",
        /// pcap with nanoseconds.
        PcapNanoseconds = "pcap_nanoseconds",
        /// pcap with the modified record header.
        PcapModified = "pcap_modified",
        /// pcapng.
        Pcapng = "pcapng",
    }
}

closed_set! {
    /// How a capture is compressed.
    pub enum Compression {
        /// Not at all.
        None = "none",
        /// gzip (RFC 1952), one member or several.
        Gzip = "gzip",
        /// zstd (RFC 8878), one frame or several.
        Zstd = "zstd",
    }
}

closed_set! {
    /// What is wrong with a capture file from some offset on.
    pub enum DamageKind {
        /// The file ends inside a record.
        CutShort = "cut_short",
        /// A record claims more bytes than any capture holds.
        ImpossibleLength = "impossible_length",
        /// A pcapng block's lengths contradict each other.
        BrokenBlock = "broken_block",
        /// The bytes where a pcapng section should begin are no section header.
        NoSection = "no_section",
        /// The system could not read on.
        Unreadable = "unreadable",
        /// The compressed data end too early.
        CompressionCutShort = "compression_cut_short",
        /// The compressed data contradict themselves, or look back further than is allowed.
        CompressionCorrupt = "compression_corrupt",
    }
}

/// Damage in an input: everything before the offset was processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Offset of the first byte that could not be understood: in the capture, that is behind decompression where it is
    /// compressed; in the compressed file for the two kinds of damage to the compression itself, there near the damage
    /// rather than at its first byte.
    pub offset: u64,
    /// What is wrong there.
    pub kind: DamageKind,
}

/// The most bytes that one record may claim. Captures are written with a snapshot length of 256 KiB or less;
/// above 16 MiB the length is damage, and believing it would mean passing over good packets.
pub(crate) const RECORD_BYTES_MAX: u32 = 16 << 20;

/// The longest frame that a wire length is believed for: offloads merge segments up to 512 KiB.
/// Some captures carry garbage here, and bytes are counted from it.
pub(crate) const WIRE_LEN_MAX: u32 = 512 << 10;

/// One frame as a walker found it, relative to the window it was given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub data_offset: usize,
    pub captured_len: u32,
    pub wire_len: u32,
    pub timestamp: Timestamp,
    pub link_type: LinkType,
}

/// Content of a Decryption Secrets Block (draft-ietf-opsawg-pcapng §4.7).
#[derive(Clone, PartialEq, Eq)]
pub enum DecryptionSecrets {
    /// A key log of TLS, as NSS writes it.
    TlsKeyLog(Vec<u8>),
    /// Secrets of something else.
    Other,
}

impl std::fmt::Debug for DecryptionSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TlsKeyLog(_) => "TlsKeyLog",
            Self::Other => "Other",
        })
    }
}

/// Where the secrets of a block lie in its window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SecretsRecord {
    pub is_tls: bool,
    pub data_offset: usize,
    pub len: usize,
}

/// What a walker found at the beginning of a window.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// A frame; the record takes so many bytes of the window.
    Frame(Record, usize),
    /// Nothing of interest in so many bytes.
    Skip(usize),
    /// Secrets that decrypt, of this type, and the block's length.
    Secrets(SecretsRecord, usize),
    /// The record goes on behind the window.
    NeedMore,
    /// The input ends cleanly here.
    End,
    /// No further record can be found; the damage lies so many bytes into the window.
    Damaged(DamageKind, usize),
}

/// Either walker; both take a window at the current position and say what is there.
#[derive(Clone, Debug)]
pub(crate) enum Walker {
    Pcap(pcap::PcapWalker),
    Pcapng(pcapng::PcapngWalker),
}

impl Walker {
    /// Chooses by content. Returns the walker and the length of the file header it has consumed,
    /// `None` for content that is neither format.
    pub fn open(window: &[u8]) -> Option<(Self, usize)> {
        if let Some(walker) = pcap::PcapWalker::open(window) {
            return Some((Self::Pcap(walker), pcap::FILE_HEADER_LEN));
        }
        pcapng::PcapngWalker::open(window).map(|walker| (Self::Pcapng(walker), 0))
    }

    /// Which of the formats it is.
    pub fn format(&self) -> FileFormat {
        match self {
            Self::Pcap(walker) => walker.format(),
            Self::Pcapng(_) => FileFormat::Pcapng,
        }
    }

    /// Looks at the record at the beginning of `window`; `at_end` says that nothing follows the window.
    #[inline]
    pub fn step(&mut self, window: &[u8], at_end: bool) -> Step {
        match self {
            Self::Pcap(walker) => walker.step(window, at_end),
            Self::Pcapng(walker) => walker.step(window, at_end),
        }
    }
}

/// Walks any bytes as a capture and checks that every frame lies inside them, and that reading them in small pieces, after
/// decompression where they are compressed, finds the same frames: the target that fuzzing calls.
///
/// # Panics
///
/// When what it checks does not hold.
pub fn fuzz_capture(bytes: &[u8]) -> usize {
    let in_pieces = frames_in_pieces(bytes);
    let Some((mut walker, mut position)) = Walker::open(bytes) else {
        return 0;
    };
    let mut frames = 0;
    while let Some(window) = bytes.get(position..) {
        match walker.step(window, true) {
            Step::Frame(record, consumed) => {
                let end = record.data_offset.checked_add(record.captured_len as usize);
                assert!(end.is_some_and(|end| end <= consumed && consumed <= window.len()));
                assert!(record.wire_len >= record.captured_len);
                frames += 1;
                position += consumed;
            }
            Step::Secrets(record, consumed) => {
                assert!(record.data_offset + record.len <= consumed && consumed <= window.len());
                position += consumed;
            }
            Step::Skip(consumed) => {
                assert!(consumed > 0 && consumed <= window.len());
                position += consumed;
            }
            Step::NeedMore => unreachable!("nothing follows the window"),
            Step::End | Step::Damaged(..) => break,
        }
    }
    assert!(in_pieces == Some(frames));
    frames
}

/// Frames found by reading 64 bytes at a time; `None` for what is no capture.
fn frames_in_pieces(bytes: &[u8]) -> Option<usize> {
    let source = Box::new(std::io::Cursor::new(bytes.to_vec()));
    let mut input = input::Input::from_stream(std::path::Path::new("-"), source, 64).ok()?;
    let mut frames = 0;
    while let Some(head) = input.head() {
        let frame = input.storage().bytes().get(head.start..);
        assert!(frame.is_some_and(|rest| rest.len() >= head.record.captured_len as usize));
        frames += 1;
        input.advance();
    }
    Some(frames)
}

#[cfg(test)]
mod merge_tests;
#[cfg(test)]
mod tests;
