//! A client's bytes in any pieces → its requests, one after the other, bodies passed over.

use super::{Body, HEAD_BYTES_MAX, Look, Request, begins_like_request, look, parse};
use crate::protocol::Progress;

/// The longest line that gives the length of a chunk, with its extensions, or a trailer.
const LINE_BYTES_MAX: usize = 4 << 10;

/// Requests of one direction. Reused from flow to flow: [`Self::reset`] keeps the memory.
#[derive(Debug, Default)]
pub struct RequestStream {
    state: State,
    /// Part of a head, or of a line between chunks.
    held: Vec<u8>,
    requests: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// A head comes next, or goes on.
    #[default]
    Head,
    /// So many bytes of a body come next.
    Body(u64),
    /// A line with the length of a chunk comes next.
    ChunkLine,
    /// So many bytes of a chunk come next, and the end of its line.
    Chunk(u64),
    /// Fields behind the last chunk, up to an empty line.
    Trailer,
    /// Bytes were lost: a request line is looked for.
    OutOfStep,
    /// A tunnel was asked for: what follows is another protocol.
    Tunnel,
    /// Not requests.
    Mismatch,
}

impl RequestStream {
    /// Begins anew.
    pub fn reset(&mut self) {
        self.state = State::Head;
        self.held.clear();
        self.requests = 0;
    }

    /// Memory held.
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// Gives back memory that an unusual request needed.
    pub fn shrink(&mut self, keep: usize) {
        self.reset();
        self.held.shrink_to(keep);
    }

    /// Whether a tunnel was asked for.
    pub fn after_connect(&self) -> bool {
        self.state == State::Tunnel
    }

    /// Takes the next bytes; `each` is given every request whose head is complete.
    pub fn feed(&mut self, mut bytes: &[u8], each: &mut impl FnMut(&Request<'_>)) -> Progress {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Head if self.held.is_empty() => self.head_in_place(bytes, each),
                State::Head => self.head_in_pieces(bytes, each),
                State::Body(left) => {
                    let taken = (bytes.len() as u64).min(left);
                    self.state = match left.saturating_sub(taken) {
                        0 => State::Head,
                        left => State::Body(left),
                    };
                    rest(bytes, taken)
                }
                State::Chunk(left) => {
                    let taken = (bytes.len() as u64).min(left);
                    self.state = match left.saturating_sub(taken) {
                        0 => State::ChunkLine,
                        left => State::Chunk(left),
                    };
                    rest(bytes, taken)
                }
                State::ChunkLine | State::Trailer => self.line(bytes),
                State::OutOfStep if begins_in_earnest(bytes) => {
                    self.state = State::Head;
                    bytes
                }
                State::OutOfStep | State::Tunnel => break,
                State::Mismatch => return Progress::Mismatch,
            };
        }
        match self.state {
            State::Mismatch => Progress::Mismatch,
            _ => Progress::NeedMore,
        }
    }

    /// So many bytes will not come. True if they lie within a body, so that what follows is understood; else a request line is
    /// looked for at the beginning of what is fed next.
    pub fn skip(&mut self, lost: u64) -> bool {
        self.state = match self.state {
            State::Body(left) if lost < left => State::Body(left.saturating_sub(lost)),
            State::Body(left) if lost == left => State::Head,
            State::Chunk(left) if lost < left => State::Chunk(left.saturating_sub(lost)),
            State::Tunnel => State::Tunnel,
            State::Mismatch => State::Mismatch,
            _ => State::OutOfStep,
        };
        self.held.clear();
        self.state != State::OutOfStep
    }

    fn head_in_place<'a>(
        &mut self,
        bytes: &'a [u8],
        each: &mut impl FnMut(&Request<'_>),
    ) -> &'a [u8] {
        match look(bytes) {
            Look::Request(request, len) => {
                self.complete(&request, each);
                bytes.get(len..).unwrap_or_default()
            }
            Look::Begins => {
                self.held.extend_from_slice(bytes);
                &[]
            }
            // Empty lines between requests.
            Look::Other if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n')) => &[],
            Look::Other => {
                self.state = State::Mismatch;
                &[]
            }
        }
    }

    fn head_in_pieces<'a>(
        &mut self,
        bytes: &'a [u8],
        each: &mut impl FnMut(&Request<'_>),
    ) -> &'a [u8] {
        let before = self.held.len();
        let room = HEAD_BYTES_MAX.saturating_add(1).saturating_sub(before);
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.held.extend_from_slice(taken);
        let held = std::mem::take(&mut self.held);
        let mut used = taken.len();
        match look(&held) {
            Look::Request(request, len) => {
                self.complete(&request, each);
                used = len.saturating_sub(before);
                self.held = held;
                self.held.clear();
            }
            Look::Begins => self.held = held,
            Look::Other => {
                // A head without end: what it said so far is not lost.
                if held.len() > HEAD_BYTES_MAX
                    && let Some(request) = parse(&held)
                    && request.host_field.is_some()
                {
                    each(&request);
                }
                self.held = held;
                self.held.clear();
                self.state = State::Mismatch;
            }
        }
        bytes.get(used..).unwrap_or_default()
    }

    fn complete(&mut self, request: &Request<'_>, each: &mut impl FnMut(&Request<'_>)) {
        self.requests = self.requests.saturating_add(1);
        each(request);
        self.state = match request.body {
            _ if request.is_connect() => State::Tunnel,
            Body::Length(0) => State::Head,
            Body::Length(left) => State::Body(left),
            Body::Chunked => State::ChunkLine,
        };
    }

    /// A line between chunks: the length of the next one, the end of the one before, or a trailer (RFC 9112 §7.1).
    fn line<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let end = memchr::memchr(b'\n', bytes);
        let taken = end.map_or(bytes.len(), |end| end.saturating_add(1));
        let (line, rest) = bytes.split_at_checked(taken).unwrap_or((bytes, &[]));
        if self.held.len().saturating_add(line.len()) > LINE_BYTES_MAX {
            self.held.clear();
            self.state = State::Mismatch;
            return &[];
        }
        self.held.extend_from_slice(line);
        if end.is_none() {
            return rest;
        }
        let line = self.held.trim_ascii();
        self.state = match (self.state, line) {
            (State::Trailer, []) => State::Head,
            (State::Trailer, _) => State::Trailer,
            // The end of the chunk before.
            (_, []) => State::ChunkLine,
            (_, line) => match chunk_len(line) {
                Some(0) => State::Trailer,
                Some(len) => State::Chunk(len),
                None => State::Mismatch,
            },
        };
        self.held.clear();
        rest
    }
}

/// The number before the extensions, hexadecimal.
fn chunk_len(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next()?.trim_ascii();
    let text = std::str::from_utf8(digits).ok()?;
    u64::from_str_radix(text, 16).ok()
}

/// Behind lost bytes a few letters prove little: the method must be whole.
fn begins_in_earnest(bytes: &[u8]) -> bool {
    begins_like_request(bytes) && bytes.iter().take(20).any(|byte| *byte == b' ')
}

fn rest(bytes: &[u8], taken: u64) -> &[u8] {
    bytes.get(taken as usize..).unwrap_or_default()
}
