//! A byte stream → the bytes of the capture in it: as they are, or decompressed from gzip or zstd.
//!
//! **Invariants**: chosen by content, never by name; memory is bounded by what the formats need to look back (32 KiB for
//! gzip, [`ZSTD_WINDOW_LOG_MAX`] for zstd), however much comes out; damage yields what came out before it.

use std::io::{BufRead, Read};

use flate2::bufread::MultiGzDecoder;
use zstd::stream::read::Decoder as ZstdDecoder;

use super::{Compression, DamageKind};

/// How far a zstd frame may look back, as a power of two: 128 MiB, what the `zstd` tool accepts without being told
/// otherwise, and what `--long` writes. A frame that wants more is damage.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// How content that begins so is compressed.
pub(super) fn compression_of(content: &[u8]) -> Compression {
    if content.starts_with(&GZIP_MAGIC) {
        Compression::Gzip
    } else if content.starts_with(&ZSTD_MAGIC) {
        Compression::Zstd
    } else {
        Compression::None
    }
}

/// Anything bytes are read from.
pub(super) trait Source: Read + std::fmt::Debug + Send {}
impl<T: Read + std::fmt::Debug + Send> Source for T {}

/// A buffered source that knows how many of its bytes were taken.
#[derive(Debug)]
pub(super) struct Counted {
    source: Box<dyn Source>,
    /// Bytes read from the system at a time.
    read_bytes: usize,
    buffer: Vec<u8>,
    start: usize,
    taken: u64,
    /// The system could not read on: not to be mistaken for damage of the content.
    failed: bool,
}

impl Counted {
    pub fn new(source: Box<dyn Source>, read_bytes: usize) -> Self {
        Self {
            source,
            read_bytes,
            buffer: Vec::new(),
            start: 0,
            taken: 0,
            failed: false,
        }
    }

    fn buffered(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    /// Reads until four bytes are there or the source ends: a pipe may give them one by one.
    fn first_bytes(&mut self) -> std::io::Result<&[u8]> {
        while self.buffer.len() < ZSTD_MAGIC.len() {
            if append_once(&mut *self.source, self.read_bytes, &mut self.buffer)? == 0 {
                break;
            }
        }
        Ok(&self.buffer)
    }
}

/// Appends what one read gives.
fn append_once(
    source: &mut dyn Source,
    read_bytes: usize,
    out: &mut Vec<u8>,
) -> std::io::Result<usize> {
    let before = out.len();
    out.resize(before + read_bytes, 0);
    let result = loop {
        match source.read(out.get_mut(before..).unwrap_or_default()) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            result => break result,
        }
    };
    out.truncate(before + result.as_ref().copied().unwrap_or(0));
    result
}

impl BufRead for Counted {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.buffered().is_empty() {
            self.buffer.clear();
            self.start = 0;
            if let Err(error) = append_once(&mut *self.source, self.read_bytes, &mut self.buffer) {
                self.failed = true;
                return Err(error);
            }
        }
        Ok(self.buffered())
    }

    fn consume(&mut self, amount: usize) {
        self.start += amount;
        self.taken += amount as u64;
    }
}

impl Read for Counted {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let buffered = self.fill_buf()?;
        let len = buffered.len().min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..len), buffered.get(..len)) {
            to.copy_from_slice(from);
        }
        self.consume(len);
        Ok(len)
    }
}

/// The bytes of a capture, from wherever they come.
pub(super) enum Stream {
    Plain(Counted),
    Gzip(Box<MultiGzDecoder<Counted>>),
    Zstd(Box<ZstdDecoder<'static, Counted>>),
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stream({}, {} taken)", self.compression(), self.taken())
    }
}

impl Stream {
    /// Looks at the first bytes of `source` and chooses; reads `read_bytes` from it at a time.
    pub fn open(source: Box<dyn Source>, read_bytes: usize) -> std::io::Result<Self> {
        let mut counted = Counted::new(source, read_bytes);
        Ok(match compression_of(counted.first_bytes()?) {
            Compression::None => Self::Plain(counted),
            Compression::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(counted))),
            Compression::Zstd => {
                let mut decoder = ZstdDecoder::with_buffer(counted)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Self::Zstd(Box::new(decoder))
            }
        })
    }

    /// How it is compressed.
    pub fn compression(&self) -> Compression {
        match self {
            Self::Plain(_) => Compression::None,
            Self::Gzip(_) => Compression::Gzip,
            Self::Zstd(_) => Compression::Zstd,
        }
    }

    /// Bytes taken from the source so far: of the compressed file, where it is compressed.
    pub fn taken(&self) -> u64 {
        self.counted().taken
    }

    /// What kind of damage an error of reading is.
    pub fn damage(&self, error: &std::io::Error) -> DamageKind {
        match self {
            _ if self.counted().failed => DamageKind::Unreadable,
            Self::Plain(_) => DamageKind::Unreadable,
            _ if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                DamageKind::CompressionCutShort
            }
            _ => DamageKind::CompressionCorrupt,
        }
    }

    fn counted(&self) -> &Counted {
        match self {
            Self::Plain(counted) => counted,
            Self::Gzip(decoder) => decoder.get_ref(),
            Self::Zstd(decoder) => decoder.get_ref(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(counted) => counted.read(out),
            Self::Gzip(decoder) => decoder.read(out),
            Self::Zstd(decoder) => decoder.read(out),
        }
    }
}
