//! Paths of capture files → batches of frames, one file after the other, with one `seq` and one clock over all.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file_map::FileMap;
use super::{
    CaptureError, ClockStats, Damage, DamageKind, FrameBatch, FrameDescriptor, FrameStorage,
    PacketSource, SourceState, Step, StreamClock, Walker,
};

/// What a stream is read in. Large enough that a system call costs nothing, small enough to stay in the cache.
const SEGMENT_BYTES: usize = 1 << 20;

/// What became of one input: law 3 needs it to lead from `seq` to a file and a frame in it.
#[derive(Clone, Debug)]
pub struct FileReport {
    /// The file as named by the user; `-` is standard input.
    pub path: PathBuf,
    /// `seq` of its first frame.
    pub first_seq: u64,
    /// Frames read from it.
    pub frames: u64,
    /// Bytes read from it.
    pub bytes: u64,
    /// Where it became unreadable.
    pub damage: Option<Damage>,
    /// Why it could not be read at all.
    pub error: Option<String>,
}

/// Capture files in the order they were given.
#[derive(Debug)]
pub struct CaptureFiles {
    paths: std::vec::IntoIter<PathBuf>,
    current: Option<Open>,
    clock: StreamClock,
    next_seq: u64,
    reports: Vec<FileReport>,
}

#[derive(Debug)]
struct Open {
    walker: Walker,
    storage: FrameStorage,
    /// Position in the storage.
    position: usize,
    /// Offset in the input of the storage's first byte.
    storage_offset: u64,
    stream: Option<Box<dyn ReadDebug>>,
}

trait ReadDebug: Read + std::fmt::Debug + Send {}
impl<T: Read + std::fmt::Debug + Send> ReadDebug for T {}

impl CaptureFiles {
    /// A source over `paths`, read in this order; `-` is standard input.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Self {
            paths: paths.into_iter(),
            current: None,
            clock: StreamClock::default(),
            next_seq: 0,
            reports: Vec::new(),
        }
    }

    /// What became of each input so far.
    pub fn reports(&self) -> &[FileReport] {
        &self.reports
    }

    /// What was odd about time so far.
    pub fn clock_stats(&self) -> ClockStats {
        self.clock.stats()
    }

    /// Opens the next file; one that cannot be read is reported and passed over.
    fn open_next(&mut self) -> bool {
        for path in self.paths.by_ref() {
            let mut report = FileReport {
                path: path.clone(),
                first_seq: self.next_seq,
                frames: 0,
                bytes: 0,
                damage: None,
                error: None,
            };
            match open(&path) {
                Ok(open) => self.current = Some(open),
                Err(error) => report.error = Some(error.to_string()),
            }
            self.reports.push(report);
            if self.current.is_some() {
                return true;
            }
        }
        false
    }

    fn close(&mut self, damage: Option<Damage>) {
        if let (Some(open), Some(report)) = (self.current.take(), self.reports.last_mut()) {
            report.bytes = open.storage_offset + open.position as u64;
            report.damage = damage;
        }
    }
}

impl PacketSource for CaptureFiles {
    fn next_batch(&mut self, batch: &mut FrameBatch) -> Result<SourceState, CaptureError> {
        batch.descriptors.clear();
        batch.storage = FrameStorage::Empty;
        loop {
            if self.current.is_none() && !self.open_next() {
                return Ok(SourceState::End);
            }
            let (Some(open), Some(report)) = (self.current.as_mut(), self.reports.last_mut())
            else {
                return Ok(SourceState::End);
            };
            let ending = fill(open, report, &mut self.clock, &mut self.next_seq, batch);
            if !batch.descriptors.is_empty() {
                batch.storage = open.storage.clone();
            }
            match ending {
                Ending::BatchFull => return Ok(SourceState::Filled),
                Ending::Input(damage) => self.close(damage),
                Ending::Storage if batch.descriptors.is_empty() => {
                    if let Err(damage) = open.refill() {
                        self.close(Some(damage));
                    }
                }
                Ending::Storage => {}
            }
            if !batch.descriptors.is_empty() {
                return Ok(SourceState::Filled);
            }
        }
    }
}

/// Why filling a batch stopped.
enum Ending {
    BatchFull,
    /// The storage holds no further whole record.
    Storage,
    /// The input is done, with or without damage.
    Input(Option<Damage>),
}

fn fill(
    open: &mut Open,
    report: &mut FileReport,
    clock: &mut StreamClock,
    next_seq: &mut u64,
    batch: &mut FrameBatch,
) -> Ending {
    let at_end = open.stream.is_none();
    let bytes = open.storage.bytes();
    loop {
        if batch.descriptors.len() >= batch.capacity() {
            return Ending::BatchFull;
        }
        let window = bytes.get(open.position..).unwrap_or_default();
        match open.walker.step(window, at_end) {
            Step::Frame(record, consumed) => {
                batch.descriptors.push(FrameDescriptor {
                    offset: (open.position + record.data_offset) as u64,
                    seq: *next_seq,
                    timestamp: record.timestamp,
                    stream_time: clock.stamp(record.timestamp),
                    captured_len: record.captured_len,
                    wire_len: record.wire_len,
                    link_type: record.link_type,
                });
                *next_seq += 1;
                report.frames += 1;
                open.position += consumed;
            }
            Step::Skip(consumed) => open.position += consumed,
            Step::NeedMore => return Ending::Storage,
            Step::End => return Ending::Input(None),
            Step::Damaged(kind, into_window) => {
                let offset = open.storage_offset + (open.position + into_window) as u64;
                return Ending::Input(Some(Damage { offset, kind }));
            }
        }
    }
}

impl Open {
    /// Reads the next stretch of the stream behind what is left of the current one.
    fn refill(&mut self) -> Result<(), Damage> {
        let left = self
            .storage
            .bytes()
            .get(self.position..)
            .unwrap_or_default();
        let mut next = Vec::with_capacity(SEGMENT_BYTES.max(left.len() * 2));
        next.extend_from_slice(left);
        let wanted = next.capacity() - next.len();
        let ended = match self.stream.as_mut() {
            Some(stream) => stream
                .take(wanted as u64)
                .read_to_end(&mut next)
                .map(|got| got < wanted),
            None => Ok(true),
        };
        self.storage_offset += self.position as u64;
        self.position = 0;
        let end_of_left = self.storage_offset + left.len() as u64;
        self.storage = FrameStorage::Owned(Arc::new(next));
        match ended {
            Ok(true) => self.stream = None,
            Ok(false) => {}
            Err(_) => {
                return Err(Damage {
                    offset: end_of_left,
                    kind: DamageKind::Unreadable,
                });
            }
        }
        Ok(())
    }
}

fn open(path: &Path) -> Result<Open, CaptureError> {
    if path.as_os_str() == "-" {
        return open_stream(path, Box::new(std::io::stdin()));
    }
    let file = File::open(path).map_err(|source| CaptureError::Open {
        path: path.to_owned(),
        source,
    })?;
    let metadata = file.metadata().map_err(|source| CaptureError::Open {
        path: path.to_owned(),
        source,
    })?;
    if metadata.is_dir() {
        return Err(CaptureError::Directory {
            path: path.to_owned(),
        });
    }
    if metadata.is_file() && metadata.len() == 0 {
        return Err(CaptureError::Empty {
            path: path.to_owned(),
        });
    }
    let map = FileMap::open(&file, path).map_err(|source| CaptureError::Open {
        path: path.to_owned(),
        source,
    })?;
    match map {
        None => open_stream(path, Box::new(file)),
        Some(map) => {
            let (walker, position) =
                Walker::open(map.bytes()).ok_or_else(|| unknown_content(path, map.bytes()))?;
            Ok(Open {
                walker,
                storage: FrameStorage::Map(Arc::new(map)),
                position,
                storage_offset: 0,
                stream: None,
            })
        }
    }
}

fn open_stream(path: &Path, mut stream: Box<dyn ReadDebug>) -> Result<Open, CaptureError> {
    let mut first = Vec::with_capacity(SEGMENT_BYTES);
    let got = stream
        .by_ref()
        .take(SEGMENT_BYTES as u64)
        .read_to_end(&mut first)
        .map_err(|source| CaptureError::Read {
            path: path.to_owned(),
            offset: 0,
            source,
        })?;
    if got == 0 {
        return Err(CaptureError::Empty {
            path: path.to_owned(),
        });
    }
    let (walker, position) = Walker::open(&first).ok_or_else(|| unknown_content(path, &first))?;
    let stream = (got == SEGMENT_BYTES).then_some(stream);
    Ok(Open {
        walker,
        storage: FrameStorage::Owned(Arc::new(first)),
        position,
        storage_offset: 0,
        stream,
    })
}

fn unknown_content(path: &Path, content: &[u8]) -> CaptureError {
    let (what, remedy) = match content {
        [0x1f, 0x8b, ..] => (
            "is compressed with gzip",
            "decompress it: gzip -dc FILE | avscope replay -",
        ),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => (
            "is compressed with zstd",
            "decompress it: zstd -dc FILE | avscope replay -",
        ),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => (
            "is compressed with xz",
            "decompress it: xz -dc FILE | avscope replay -",
        ),
        [0xd4, 0xc3, 0xb2, 0xa1, ..]
        | [0xa1, 0xb2, 0xc3, 0xd4, ..]
        | [0x4d, 0x3c, 0xb2, 0xa1, ..]
        | [0xa1, 0xb2, 0x3c, 0x4d, ..] => (
            "ends inside the pcap header",
            "the file was cut; get it again",
        ),
        [0xa1, 0xb2, 0xcd, 0x34, ..] | [0x34, 0xcd, 0xb2, 0xa1, ..] => (
            "is pcap with the modified record header",
            "convert it: editcap -F pcap FILE OUT.pcap",
        ),
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

#[cfg(test)]
pub(super) fn open_stream_for_tests(content: Vec<u8>) -> CaptureFiles {
    let mut source = CaptureFiles::new(Vec::new());
    source.current = open_stream(Path::new("-"), Box::new(std::io::Cursor::new(content))).ok();
    source.reports.push(FileReport {
        path: "-".into(),
        first_seq: 0,
        frames: 0,
        bytes: 0,
        damage: None,
        error: None,
    });
    source
}
