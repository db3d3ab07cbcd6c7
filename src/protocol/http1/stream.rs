//! A client's bytes in any pieces → its requests one after the other, bodies passed over.

use super::fields::{head_end, without_empty_lines};
use super::{Body, HEAD_BYTES_MAX, Host, Request, begins_like_request, method};
use crate::protocol::Progress;

/// The longest line that gives the length of a chunk, and the longest trailer section. They are passed over, not held: the
/// bound is against streams that only pretend to be chunks.
const CHUNK_LINE_BYTES_MAX: u32 = HEAD_BYTES_MAX as u32;
/// Method and scheme of a request lie within so many bytes.
const MARK_BYTES: usize = 32;

/// The requests of one direction. Reused from flow to flow: [`Self::reset`] keeps the memory.
#[derive(Debug, Default)]
pub struct RequestStream {
    state: State,
    /// A head, as far as it has come.
    held: Vec<u8>,
    /// The request line in `held` is whole and is one.
    line_is_whole: bool,
    /// Bytes were lost: what looks like no request is passed over, for the next one may come.
    lost: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// A head comes next, or goes on.
    #[default]
    Head,
    /// A head that is too long goes on; its request was given. So much of the empty line that ends it is there.
    HeadRest(LineEnd, Body),
    /// So many bytes of a body come next.
    Body(u64),
    /// A part of chunks comes next.
    Chunks(ChunkState),
    /// Bytes were lost outside of a body: the next piece that begins like a request is one.
    OutOfStep,
    /// A tunnel was asked for, or another protocol: what follows is one, or another request if it was refused.
    Tunnel,
    /// A body without an end that can be told.
    Endless,
    /// No request, or a damaged one.
    Mismatch,
}

/// What was read of chunks (RFC 9112 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChunkState {
    /// Within a line with a length; `digits` of them were read, and `extension` says that no more can come.
    Line {
        length: u64,
        digits: u8,
        extension: bool,
        line_len: u32,
    },
    /// So many bytes of a chunk are still to come.
    Data(u64),
    /// The end of the line behind a chunk.
    End,
    /// Fields behind the last chunk, up to an empty line.
    Trailer { line_end: LineEnd, len: u32 },
}

/// How much of an empty line there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineEnd {
    /// Within a line.
    Within,
    /// At the beginning of one.
    Begin,
    /// Behind a carriage return at the beginning of one.
    Return,
}

impl LineEnd {
    /// Takes a byte; `None`: it ends an empty line.
    const fn next(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Begin | Self::Return, b'\n') => None,
            (Self::Begin, b'\r') => Some(Self::Return),
            (_, b'\n') => Some(Self::Begin),
            _ => Some(Self::Within),
        }
    }
}

/// Before the first digit of a chunk's length.
const CHUNK_LINE: State = State::Chunks(ChunkState::Line {
    length: 0,
    digits: 0,
    extension: false,
    line_len: 0,
});

impl RequestStream {
    /// Begins anew.
    pub fn reset(&mut self) {
        self.state = State::Head;
        self.held.clear();
        self.line_is_whole = false;
        self.lost = false;
    }

    /// Memory in use.
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// Begins anew and gives back memory that an unusual head needed.
    pub fn shrink(&mut self, keep: usize) {
        self.reset();
        self.held.shrink_to(keep);
    }

    /// Whether a CONNECT was read, or a request for another protocol: what its client sends next may be that, and is not read
    /// here. [`Self::reset`] begins anew.
    pub fn at_another_protocol(&self) -> bool {
        self.state == State::Tunnel
    }

    /// Takes the next bytes of the stream and gives each request to `each` once its head is whole.
    ///
    /// [`Progress::Done`]: nothing more is read of this stream: behind a CONNECT, or in a body without a known end.
    /// [`Progress::Mismatch`]: this is no request; what was given before stands.
    pub fn feed(&mut self, bytes: &[u8], each: &mut impl FnMut(&Request<'_>)) -> Progress {
        self.read(bytes, each).0
    }

    /// The same, and the bytes that belong to another protocol: those behind a CONNECT, or behind a request for another protocol.
    pub fn read<'a>(
        &mut self,
        mut bytes: &'a [u8],
        each: &mut impl FnMut(&Request<'_>),
    ) -> (Progress, &'a [u8]) {
        if self.state == State::OutOfStep {
            if method::skip(bytes).is_none() || !begins_like_request(bytes) {
                return (Progress::NeedMore, &[]);
            }
            self.state = State::Head;
        }
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Head if self.held.is_empty() => self.head_in_place(bytes, each),
                State::Head => self.head_in_pieces(bytes, each),
                State::HeadRest(line_end, body) => self.head_rest(bytes, line_end, body),
                State::Body(left) => {
                    let (rest, left) = pass(bytes, left);
                    self.state = left.map_or(State::Head, State::Body);
                    rest
                }
                State::Chunks(state) => self.chunks(bytes, state),
                State::OutOfStep | State::Tunnel | State::Endless | State::Mismatch => break,
            };
        }
        let progress = match self.state {
            State::Mismatch => Progress::Mismatch,
            State::Tunnel | State::Endless => Progress::Done,
            _ => Progress::NeedMore,
        };
        (progress, bytes)
    }

    /// So many bytes of the stream will not come.
    ///
    /// True: they lay within a body whose length is known, and what follows is understood. False: out of step; of what is fed
    /// next, the first piece that begins with a request line is read on from, and pieces before it are passed over.
    pub fn skip(&mut self, lost: u64) -> bool {
        self.state = match self.state {
            state if lost == 0 => state,
            state @ (State::Tunnel | State::Endless | State::Mismatch) => state,
            State::Body(left) if lost < left => State::Body(left.saturating_sub(lost)),
            State::Body(left) if lost == left => State::Head,
            State::Chunks(ChunkState::Data(left)) if lost < left => {
                State::Chunks(ChunkState::Data(left.saturating_sub(lost)))
            }
            State::Chunks(ChunkState::Data(left)) if lost == left => State::Chunks(ChunkState::End),
            _ => {
                self.lost = true;
                self.drop_held();
                State::OutOfStep
            }
        };
        !matches!(self.state, State::OutOfStep | State::Mismatch)
    }

    fn drop_held(&mut self) {
        self.held.clear();
        self.line_is_whole = false;
    }

    /// A head that lies whole in `bytes`, or else what there is of it is held.
    fn head_in_place<'a>(
        &mut self,
        bytes: &'a [u8],
        each: &mut impl FnMut(&Request<'_>),
    ) -> &'a [u8] {
        let bytes = without_empty_lines(bytes);
        if bytes.is_empty() {
            return bytes;
        }
        if !begins_like_request(bytes) {
            return self.no_request();
        }
        let window = bytes.get(..HEAD_BYTES_MAX).unwrap_or(bytes);
        match head_end(window, 0) {
            Some(end) => {
                let (head, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
                match Request::parse(head) {
                    Some(request) => {
                        each(&request);
                        self.state = behind(&request);
                        rest
                    }
                    None => self.no_request(),
                }
            }
            None if window.len() == HEAD_BYTES_MAX => {
                self.state = cut_head(window, each);
                bytes.get(HEAD_BYTES_MAX..).unwrap_or_default()
            }
            None => {
                self.held.extend_from_slice(bytes);
                self.line_is_whole = bytes.contains(&b'\n');
                &[]
            }
        }
    }

    /// A head that has begun.
    fn head_in_pieces<'a>(
        &mut self,
        bytes: &'a [u8],
        each: &mut impl FnMut(&Request<'_>),
    ) -> &'a [u8] {
        let before = self.held.len();
        let room = HEAD_BYTES_MAX.saturating_sub(before);
        let piece = bytes.get(..room).unwrap_or(bytes);
        self.held.extend_from_slice(piece);
        // A line is looked at again only where the answer can have changed.
        let line_ends = !self.line_is_whole && piece.contains(&b'\n');
        if (before < MARK_BYTES || line_ends) && !begins_like_request(&self.held) {
            return self.no_request();
        }
        self.line_is_whole |= line_ends;
        let used = match head_end(&self.held, before) {
            Some(end) => {
                let head = self.held.get(..end).unwrap_or_default();
                let Some(request) = Request::parse(head) else {
                    return self.no_request();
                };
                each(&request);
                self.state = behind(&request);
                end.saturating_sub(before)
            }
            None if self.held.len() == HEAD_BYTES_MAX => {
                self.state = cut_head(&self.held, each);
                piece.len()
            }
            None => return &[],
        };
        self.drop_held();
        bytes.get(used..).unwrap_or_default()
    }

    fn no_request<'a>(&mut self) -> &'a [u8] {
        self.drop_held();
        self.state = if self.lost {
            State::OutOfStep
        } else {
            State::Mismatch
        };
        &[]
    }

    fn head_rest<'a>(&mut self, bytes: &'a [u8], mut end: LineEnd, body: Body) -> &'a [u8] {
        for (at, byte) in bytes.iter().enumerate() {
            let Some(next) = end.next(*byte) else {
                self.state = behind_body(body);
                return bytes.get(at.saturating_add(1)..).unwrap_or_default();
            };
            end = next;
        }
        self.state = State::HeadRest(end, body);
        &[]
    }

    fn chunks<'a>(&mut self, bytes: &'a [u8], state: ChunkState) -> &'a [u8] {
        if let ChunkState::Data(left) = state {
            let (rest, left) = pass(bytes, left);
            self.state = State::Chunks(left.map_or(ChunkState::End, ChunkState::Data));
            return rest;
        }
        let mut state = state;
        for (at, byte) in bytes.iter().enumerate() {
            let rest = || bytes.get(at.saturating_add(1)..).unwrap_or_default();
            match chunk_byte(state, *byte) {
                State::Chunks(ChunkState::Data(len)) => {
                    self.state = State::Chunks(ChunkState::Data(len));
                    return rest();
                }
                State::Chunks(next) => state = next,
                State::Mismatch => return self.no_request(),
                other => {
                    self.state = other;
                    return rest();
                }
            }
        }
        self.state = State::Chunks(state);
        &[]
    }
}

/// What comes behind one more byte of the lines between chunks.
fn chunk_byte(state: ChunkState, byte: u8) -> State {
    match state {
        ChunkState::Line { line_len, .. } if line_len >= CHUNK_LINE_BYTES_MAX => State::Mismatch,
        ChunkState::Trailer { len, .. } if len >= CHUNK_LINE_BYTES_MAX => State::Mismatch,
        ChunkState::Line { digits: 0, .. } if byte == b'\n' => State::Mismatch,
        ChunkState::Line { length: 0, .. } if byte == b'\n' => State::Chunks(ChunkState::Trailer {
            line_end: LineEnd::Begin,
            len: 0,
        }),
        ChunkState::Line { length, .. } if byte == b'\n' => State::Chunks(ChunkState::Data(length)),
        ChunkState::Line {
            length,
            digits,
            extension,
            line_len,
        } => {
            let digit = (byte as char).to_digit(16).filter(|_| !extension);
            let line_len = line_len.saturating_add(1);
            match digit {
                // Sixteen digits fill the number; leading zeros beyond them nobody sends.
                Some(_) if digits >= 16 => State::Mismatch,
                Some(digit) => State::Chunks(ChunkState::Line {
                    length: length << 4 | u64::from(digit),
                    digits: digits.saturating_add(1),
                    extension,
                    line_len,
                }),
                None if extension || matches!(byte, b';' | b' ' | b'\t' | b'\r') => {
                    State::Chunks(ChunkState::Line {
                        length,
                        digits,
                        extension: digits > 0,
                        line_len,
                    })
                }
                None => State::Mismatch,
            }
        }
        ChunkState::End => match byte {
            b'\r' => State::Chunks(ChunkState::End),
            b'\n' => CHUNK_LINE,
            _ => State::Mismatch,
        },
        ChunkState::Trailer { line_end, len } => match line_end.next(byte) {
            None => State::Head,
            Some(line_end) => State::Chunks(ChunkState::Trailer {
                line_end,
                len: len.saturating_add(1),
            }),
        },
        ChunkState::Data(left) => State::Chunks(ChunkState::Data(left)),
    }
}

/// The request of a head that is too long, if it says whom it is for.
fn cut_head(window: &[u8], each: &mut impl FnMut(&Request<'_>)) -> State {
    // A line that is cut would be read as if it were whole.
    let lines = window.iter().rposition(|byte| *byte == b'\n');
    let whole_lines = lines
        .and_then(|last| window.get(..=last))
        .unwrap_or_default();
    match Request::parse(whole_lines) {
        Some(request) if request.host() != Host::Absent => {
            let request = Request {
                head_cut: true,
                ..request
            };
            each(&request);
            let end = match window {
                [.., b'\n'] => LineEnd::Begin,
                [.., b'\n', b'\r'] => LineEnd::Return,
                _ => LineEnd::Within,
            };
            match behind(&request) {
                State::Tunnel => State::Tunnel,
                _ => State::HeadRest(end, request.body),
            }
        }
        _ => State::Mismatch,
    }
}

fn behind(request: &Request<'_>) -> State {
    // Another protocol was asked for, and will be spoken if the server agrees; else another request follows.
    if request.is_connect() || request.upgrade && request.body == Body::None {
        State::Tunnel
    } else {
        behind_body(request.body)
    }
}

fn behind_body(body: Body) -> State {
    match body {
        Body::None | Body::Length(0) => State::Head,
        Body::Length(len) => State::Body(len),
        Body::Chunked => CHUNK_LINE,
        Body::Unknown => State::Endless,
    }
}

/// Passes over at most `left` bytes: the rest, and how many are still to come.
fn pass(bytes: &[u8], left: u64) -> (&[u8], Option<u64>) {
    let taken = (bytes.len() as u64).min(left);
    let rest = bytes.get(taken as usize..).unwrap_or_default();
    let left = left.saturating_sub(taken);
    (rest, (left > 0).then_some(left))
}
