//! One capture, mapped or read → its frames, one ahead: what stands next is known before it is taken.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::compressed::{Source, Stream, compression_of};
use super::file_map::FileMap;
use super::{
    CaptureError, Compression, Damage, DamageKind, DecryptionSecrets, FileFormat, FrameStorage,
    Record, Step, StreamClock, Walker,
};
use crate::model::Timestamp;

/// What a stream is read in. Large enough that a system call costs nothing, small enough to stay in the cache.
pub(super) const SEGMENT_BYTES: usize = 1 << 20;

/// What is read from the system at a time where it is decompressed.
const READ_BYTES: usize = 128 << 10;

/// What is read of a file to learn when it begins: the header and a frame, most often.
const PEEK_BYTES: usize = 4 << 10;

/// How far [`Input::ends_by`] looks ahead: 10 ms of 6 Gbit/s. A capture that has more than that left goes on.
const LOOK_AHEAD_MAX: usize = 8 << 20;

/// Secrets that are taken between two frames, in bytes: a key log of a browser's day has some megabytes.
const SECRETS_BYTES_MAX: usize = 64 << 20;

/// Where the next record begins only this one says, so records of a mapped file would come from memory one after the other. What lies
/// so far ahead is loaded while this one is looked at; loads that nothing waits for overlap.
const TOUCHED_AHEAD: usize = 2 << 10;

/// Behind longer records most of what would be loaded is payload that nobody looks at.
const TOUCHED_RECORD_MAX: usize = 512;

const CACHE_LINE: usize = 64;

/// The frame that stands next in an input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// What the record says.
    pub record: Record,
    /// Where its bytes begin in the storage.
    pub start: usize,
    /// The input's own stream time at it.
    pub time: Timestamp,
}

/// A capture being read.
#[derive(Debug)]
pub(super) struct Input {
    walker: Walker,
    clock: StreamClock,
    head: Option<Head>,
    storage: FrameStorage,
    /// Position in the storage behind the head.
    position: usize,
    /// Offset in the capture of the storage's first byte.
    storage_offset: u64,
    stream: Option<Stream>,
    compression: Compression,
    /// Why the stream ended before its end.
    failure: Option<Damage>,
    damage: Option<Damage>,
    /// What was read before the head that decrypts, in its order.
    secrets: Vec<DecryptionSecrets>,
    /// Bytes taken of the file when the stream ended.
    taken: u64,
    segment_bytes: usize,
    /// How often the storage became another one.
    refills: u64,
}

impl Input {
    /// Opens a file, mapped where that can be done, else read; `-` is standard input.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        if path.as_os_str() == "-" {
            return Self::from_stream(path, Box::new(std::io::stdin()), SEGMENT_BYTES);
        }
        let (file, first) = open_file(path)?;
        if compression_of(&first) == Compression::None {
            let map = FileMap::open(&file, path).map_err(|source| cannot_open(path, source))?;
            if let Some(map) = map {
                return Self::from_map(path, map);
            }
        }
        Self::from_stream(path, Box::new(file), SEGMENT_BYTES)
    }

    /// When the first frame of a file was captured, read and decompressed no further than needed; `None` if it has none.
    pub fn first_time(path: &Path) -> Result<Option<Timestamp>, CaptureError> {
        Ok(Self::peek(path)?.head.map(|head| head.time))
    }

    /// Whether a file ends by `limit`; read no further than needed. One that cannot be read does not.
    pub fn file_ends_by(path: &Path, limit: Timestamp) -> bool {
        Self::peek(path).is_ok_and(|mut input| input.ends_by(limit))
    }

    fn peek(path: &Path) -> Result<Self, CaptureError> {
        let (file, _) = open_file(path)?;
        Self::from_stream(path, Box::new(file), PEEK_BYTES)
    }

    fn from_map(path: &Path, map: FileMap) -> Result<Self, CaptureError> {
        let (walker, position) =
            Walker::open(map.bytes()).ok_or_else(|| unknown_content(path, map.bytes()))?;
        let storage = FrameStorage::Map(Arc::new(map));
        Ok(Self::new(walker, storage, position, SEGMENT_BYTES))
    }

    /// Reads from anything.
    pub fn from_stream(
        path: &Path,
        source: Box<dyn Source>,
        segment_bytes: usize,
    ) -> Result<Self, CaptureError> {
        let cannot_read = |source| CaptureError::Read {
            path: path.to_owned(),
            offset: 0,
            source,
        };
        let mut stream =
            Stream::open(source, segment_bytes.min(READ_BYTES)).map_err(cannot_read)?;
        let mut first = Vec::with_capacity(segment_bytes);
        let read = stream
            .by_ref()
            .take(segment_bytes as u64)
            .read_to_end(&mut first);
        let failure = read.as_ref().err().map(|error| Damage {
            offset: stream.taken(),
            kind: stream.damage(error),
        });
        let opened = Walker::open(&first);
        match (&opened, failure.map(|damage| damage.kind), read) {
            (Some(_), ..) => {}
            (None, Some(DamageKind::CompressionCutShort), _) => {
                return Err(CaptureError::Compression {
                    path: path.to_owned(),
                    what: "the compressed data end",
                });
            }
            (None, Some(DamageKind::CompressionCorrupt), _) => {
                return Err(CaptureError::Compression {
                    path: path.to_owned(),
                    what: "the compressed data are damaged",
                });
            }
            (None, _, Err(source)) => return Err(cannot_read(source)),
            (None, _, Ok(0)) => {
                return Err(CaptureError::Empty {
                    path: path.to_owned(),
                });
            }
            (None, ..) => return Err(unknown_content(path, &first)),
        }
        let (walker, position) = opened.ok_or_else(|| unknown_content(path, &first))?;
        let ended = failure.is_some() || first.len() < segment_bytes;
        let storage = FrameStorage::Owned(Arc::new(first));
        let mut input = Self::unstarted(walker, storage, position, segment_bytes);
        input.compression = stream.compression();
        input.failure = failure;
        input.taken = stream.taken();
        input.stream = (!ended).then_some(stream);
        input.advance();
        Ok(input)
    }

    fn new(walker: Walker, storage: FrameStorage, position: usize, segment_bytes: usize) -> Self {
        let mut input = Self::unstarted(walker, storage, position, segment_bytes);
        input.advance();
        input
    }

    fn unstarted(
        walker: Walker,
        storage: FrameStorage,
        position: usize,
        segment_bytes: usize,
    ) -> Self {
        Self {
            walker,
            clock: StreamClock::default(),
            head: None,
            storage,
            position,
            storage_offset: 0,
            stream: None,
            compression: Compression::None,
            failure: None,
            damage: None,
            secrets: Vec::new(),
            taken: 0,
            segment_bytes,
            refills: 0,
        }
    }

    /// The frame that stands next; `None` at the end.
    #[inline]
    pub fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// The bytes that [`Head::start`] counts in.
    #[inline]
    pub fn storage(&self) -> &FrameStorage {
        &self.storage
    }

    fn has_room_for(&self, len: usize) -> bool {
        let held = self.secrets.iter().map(|secrets| match secrets {
            DecryptionSecrets::TlsKeyLog(text) => text.len(),
            DecryptionSecrets::Other => 0,
        });
        held.sum::<usize>() + len <= SECRETS_BYTES_MAX
    }

    /// Whether secrets stand before the head.
    #[inline]
    pub fn has_secrets(&self) -> bool {
        !self.secrets.is_empty()
    }

    /// Takes the secrets that stand before the head.
    pub fn take_secrets(&mut self, into: &mut Vec<DecryptionSecrets>) {
        into.append(&mut self.secrets);
    }

    /// How it is written.
    pub fn format(&self) -> FileFormat {
        self.walker.format()
    }

    /// How it is compressed.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// What is wrong with it; known at its end.
    pub fn damage(&self) -> Option<Damage> {
        self.damage
    }

    /// Bytes of the file read so far, as they lie there.
    pub fn bytes_read(&self) -> u64 {
        match (&self.stream, self.compression) {
            (_, Compression::None) => self.storage_offset + self.position as u64,
            (Some(stream), _) => stream.taken(),
            (None, _) => self.taken,
        }
    }

    /// Gives frames from the head on, as long as they lie in the same storage, `take` wants them, and no secrets stand before them.
    #[inline]
    pub fn take_while(&mut self, mut take: impl FnMut(&Head) -> bool) {
        let refills = self.refills;
        while let Some(head) = &self.head
            && self.refills == refills
            && self.secrets.is_empty()
            && take(head)
        {
            self.advance();
        }
    }

    /// Goes on to the next frame. The storage may be another one afterwards.
    #[inline]
    pub fn advance(&mut self) {
        // What nearly all files are: the next record is whole and lies there.
        if let Walker::Pcap(walker) = &self.walker
            && let Some(window) = self.storage.bytes().get(self.position..)
            && let Some((record, consumed)) = walker.record(window)
        {
            self.head = Some(Head {
                record,
                start: self.position + record.data_offset,
                time: self.clock.stamp(record.timestamp),
            });
            if consumed <= TOUCHED_RECORD_MAX {
                let ahead = window.get(TOUCHED_AHEAD..).unwrap_or_default();
                let lines = ahead.get(..consumed).unwrap_or_default().chunks(CACHE_LINE);
                let touched = lines.fold(0, |sum, line| sum ^ line.first().copied().unwrap_or(0));
                std::hint::black_box(touched);
            }
            self.position += consumed;
            return;
        }
        self.advance_otherwise();
    }

    #[inline(never)]
    fn advance_otherwise(&mut self) {
        self.head = None;
        loop {
            let ended = self.stream.is_none() && self.failure.is_none();
            let window = self
                .storage
                .bytes()
                .get(self.position..)
                .unwrap_or_default();
            match self.walker.step(window, ended) {
                Step::Frame(record, consumed) => {
                    self.head = Some(Head {
                        record,
                        start: self.position + record.data_offset,
                        time: self.clock.stamp(record.timestamp),
                    });
                    self.position += consumed;
                    return;
                }
                Step::Skip(consumed) => self.position += consumed,
                Step::Secrets(record, consumed) => {
                    let text = window.get(record.data_offset..);
                    let text = text.and_then(|rest| rest.get(..record.len));
                    self.secrets
                        .push(if record.is_tls && self.has_room_for(record.len) {
                            DecryptionSecrets::TlsKeyLog(text.unwrap_or_default().to_vec())
                        } else {
                            DecryptionSecrets::Other
                        });
                    self.position += consumed;
                }
                Step::NeedMore if self.stream.is_some() => self.refill(),
                Step::NeedMore => {
                    self.damage = self.failure;
                    return;
                }
                Step::End => return,
                Step::Damaged(kind, into_window) => {
                    let offset = self.storage_offset + (self.position + into_window) as u64;
                    self.damage = Some(Damage { offset, kind });
                    return;
                }
            }
        }
    }

    /// Whether nothing behind the head is later than `limit`: the input ends by then.
    pub fn ends_by(&mut self, limit: Timestamp) -> bool {
        let (mut walker, mut clock) = (self.walker.clone(), self.clock);
        if self.head.is_some_and(|head| head.time > limit) {
            return false;
        }
        let mut ahead = 0;
        while ahead <= LOOK_AHEAD_MAX {
            let ended = self.stream.is_none() && self.failure.is_none();
            let window = self
                .storage
                .bytes()
                .get(self.position + ahead..)
                .unwrap_or_default();
            match walker.step(window, ended) {
                Step::Frame(record, consumed) => {
                    if clock.stamp(record.timestamp) > limit {
                        return false;
                    }
                    ahead += consumed;
                }
                Step::Skip(consumed) | Step::Secrets(_, consumed) => ahead += consumed,
                Step::NeedMore if self.stream.is_some() => self.refill(),
                Step::NeedMore | Step::End | Step::Damaged(..) => return true,
            }
        }
        false
    }

    /// Reads the next stretch of the stream behind what is left of the current one; the head keeps its bytes.
    fn refill(&mut self) {
        let keep_from = self
            .head
            .map_or(self.position, |head| head.start.min(self.position));
        let left = self.storage.bytes().get(keep_from..).unwrap_or_default();
        let mut next = Vec::with_capacity(self.segment_bytes.max(left.len() * 2));
        next.extend_from_slice(left);
        let wanted = next.capacity() - next.len();
        if let Some(stream) = self.stream.as_mut() {
            let read = stream.take(wanted as u64).read_to_end(&mut next);
            self.taken = stream.taken();
            match read {
                Ok(got) if got == wanted => {}
                Ok(_) => self.stream = None,
                Err(error) => {
                    self.failure = Some(Damage {
                        offset: stream.taken(),
                        kind: stream.damage(&error),
                    });
                    self.stream = None;
                }
            }
        }
        self.refills += 1;
        self.storage_offset += keep_from as u64;
        self.position -= keep_from;
        if let Some(head) = &mut self.head {
            head.start -= keep_from;
        }
        self.storage = FrameStorage::Owned(Arc::new(next));
    }
}

/// Opens a file and, where that takes nothing from it, looks at its first bytes.
fn open_file(path: &Path) -> Result<(File, Vec<u8>), CaptureError> {
    let file = File::open(path).map_err(|source| cannot_open(path, source))?;
    let metadata = file
        .metadata()
        .map_err(|source| cannot_open(path, source))?;
    let mut first = vec![0; 4];
    if metadata.is_file() {
        if metadata.len() == 0 {
            return Err(CaptureError::Empty {
                path: path.to_owned(),
            });
        }
        let got = file
            .read_at(&mut first, 0)
            .map_err(|source| CaptureError::Read {
                path: path.to_owned(),
                offset: 0,
                source,
            })?;
        first.truncate(got);
    } else {
        first.clear();
    }
    Ok((file, first))
}

fn cannot_open(path: &Path, source: std::io::Error) -> CaptureError {
    CaptureError::Open {
        path: path.to_owned(),
        source,
    }
}

fn unknown_content(path: &Path, content: &[u8]) -> CaptureError {
    let (what, remedy) = match content {
        [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] => (
            "is compressed twice",
            "decompress it once: gzip -dc or zstd -dc FILE | avscope replay -",
        ),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => (
            "is compressed with xz",
            "decompress it: xz -dc FILE | avscope replay -",
        ),
        [b'B', b'Z', b'h', ..] => (
            "is compressed with bzip2",
            "decompress it: bzip2 -dc FILE | avscope replay -",
        ),
        [0x04, 0x22, 0x4d, 0x18, ..] => (
            "is compressed with lz4",
            "decompress it: lz4 -dc FILE | avscope replay -",
        ),
        [b'P', b'K', 3, 4, ..] => ("is a zip archive", "unpack it and read what was in it"),
        [0xd4, 0xc3, 0xb2, 0xa1, ..]
        | [0xa1, 0xb2, 0xc3, 0xd4, ..]
        | [0x4d, 0x3c, 0xb2, 0xa1, ..]
        | [0xa1, 0xb2, 0x3c, 0x4d, ..]
        | [0xa1, 0xb2, 0xcd, 0x34, ..]
        | [0x34, 0xcd, 0xb2, 0xa1, ..] => {
            return CaptureError::HeaderCut {
                path: path.to_owned(),
            };
        }
        [b's', b'n', b'o', b'o', b'p', ..] => (
            "is a snoop capture",
            "convert it: editcap -F pcap FILE OUT.pcap",
        ),
        _ => (
            "is neither pcap nor pcapng",
            "avscope reads captures as tcpdump, Wireshark and dumpcap write them",
        ),
    };
    CaptureError::NotACapture {
        path: path.to_owned(),
        what,
        remedy,
    }
}
