//! The client's bytes in any pieces → its requests, frames without a header block passed over.

use super::hpack::Decoder;
use super::{BLOCK_BYTES_MAX, PREFACE};
use crate::protocol::Progress;
use crate::protocol::http1::{Body, Request, VALUE_BYTES_MAX};

const FRAME_HEADER_LEN: usize = 9;
/// Types of frames (RFC 9113 §6).
const HEADERS: u8 = 1;
const PUSH_PROMISE: u8 = 5;
const CONTINUATION: u8 = 9;
/// Flags of frames.
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
const PRIORITY_LEN: usize = 5;

/// Reads one connection. Reused from flow to flow: [`Self::reset`] keeps the memory.
#[derive(Debug, Default)]
pub struct Http2Client {
    at: At,
    header: [u8; FRAME_HEADER_LEN],
    /// A header block, as far as it has come; while `in_block`, it goes on in another frame.
    block: Vec<u8>,
    in_block: bool,
    decoder: Decoder,
    fields: Fields,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// The preface, of which so much was there.
    Preface(u8),
    /// The header of a frame, of which so much is there.
    Header(u8),
    /// So many bytes to pass over.
    Skip(u32),
    /// So many bytes of a frame with a piece of a header block, which begins at this place of what is held.
    Piece { left: u32, from: usize },
    /// Nothing that could be read.
    Mismatch,
}

impl Default for At {
    fn default() -> Self {
        Self::Preface(0)
    }
}

/// What a request shows, of a block.
#[derive(Debug, Default)]
struct Fields {
    method: Vec<u8>,
    authority: Vec<u8>,
    host: Vec<u8>,
    path: Vec<u8>,
    path_cut: bool,
    user_agent: Vec<u8>,
    user_agent_cut: bool,
    /// A CONNECT for another protocol than a tunnel's (RFC 8441 §4).
    is_extended: bool,
}

impl Http2Client {
    /// Begins anew.
    pub fn reset(&mut self) {
        self.at = At::default();
        self.block.clear();
        self.in_block = false;
        self.decoder.reset();
    }

    /// Memory in use.
    pub fn held_bytes(&self) -> usize {
        self.block.len().saturating_add(self.decoder.held_bytes())
    }

    /// Begins anew and gives back memory that an unusual connection needed.
    pub fn shrink(&mut self, keep: usize) {
        self.reset();
        self.block.shrink_to(keep);
        self.decoder.shrink(keep);
        self.fields.clear();
        self.fields.shrink(keep);
    }

    /// Takes the next bytes, and gives each request to `each` once its header block is whole.
    ///
    /// [`Progress::Mismatch`]: nothing more can be read; what was given before stands.
    pub fn feed(&mut self, mut bytes: &[u8], each: &mut impl FnMut(&Request<'_>)) -> Progress {
        while !bytes.is_empty() && self.at != At::Mismatch {
            bytes = match self.at {
                At::Preface(len) => self.preface(bytes, len),
                At::Header(len) => self.frame_header(bytes, len, each),
                At::Skip(left) => {
                    let taken = bytes.len().min(left as usize);
                    let left = left.saturating_sub(taken as u32);
                    self.at = if left == 0 {
                        At::Header(0)
                    } else {
                        At::Skip(left)
                    };
                    bytes.get(taken..).unwrap_or_default()
                }
                At::Piece { left, from } => {
                    let taken = bytes.len().min(left as usize);
                    let (piece, rest) = bytes.split_at_checked(taken).unwrap_or((bytes, &[]));
                    self.block.extend_from_slice(piece);
                    let left = left.saturating_sub(taken as u32);
                    self.at = At::Piece { left, from };
                    if left == 0 {
                        self.piece_is_whole(from, each);
                    }
                    rest
                }
                At::Mismatch => break,
            };
        }
        if self.at == At::Mismatch {
            Progress::Mismatch
        } else {
            Progress::NeedMore
        }
    }

    /// So many bytes will not come. False: they held more than what is passed over, and nothing more can be read.
    pub fn skip(&mut self, lost: u32) -> bool {
        match self.at {
            At::Skip(left) if lost < left => self.at = At::Skip(left.saturating_sub(lost)),
            At::Skip(left) if lost == left => self.at = At::Header(0),
            _ => self.at = At::Mismatch,
        }
        self.at != At::Mismatch
    }

    fn preface<'a>(&mut self, bytes: &'a [u8], len: u8) -> &'a [u8] {
        let wanted = PREFACE.get(usize::from(len)..).unwrap_or_default();
        let taken = wanted.len().min(bytes.len());
        if bytes.get(..taken) != wanted.get(..taken) {
            self.at = At::Mismatch;
            return &[];
        }
        self.at = if taken == wanted.len() {
            At::Header(0)
        } else {
            At::Preface(len.saturating_add(taken as u8))
        };
        bytes.get(taken..).unwrap_or_default()
    }

    fn frame_header<'a>(
        &mut self,
        bytes: &'a [u8],
        len: u8,
        each: &mut impl FnMut(&Request<'_>),
    ) -> &'a [u8] {
        let mut have = len;
        let mut rest = bytes;
        for (place, byte) in self.header.iter_mut().skip(usize::from(len)).zip(bytes) {
            *place = *byte;
            have = have.saturating_add(1);
            rest = rest.get(1..).unwrap_or_default();
        }
        self.at = At::Header(have);
        if usize::from(have) < FRAME_HEADER_LEN {
            return rest;
        }
        let [l0, l1, l2, kind, ..] = self.header;
        let left = u32::from_be_bytes([0, l0, l1, l2]);
        let from = self.block.len();
        let is_too_long = from.saturating_add(left as usize) > BLOCK_BYTES_MAX;
        self.at = match kind {
            // Within a block nothing else may come (RFC 9113 §6.10), and a client makes no promises.
            CONTINUATION if self.in_block && !is_too_long => At::Piece { left, from },
            HEADERS if !self.in_block && !is_too_long => At::Piece { left, from },
            CONTINUATION | HEADERS | PUSH_PROMISE => At::Mismatch,
            _ if self.in_block => At::Mismatch,
            _ if left == 0 => At::Header(0),
            _ => At::Skip(left),
        };
        if self.at == (At::Piece { left: 0, from }) {
            self.piece_is_whole(from, each);
        }
        rest
    }

    /// The frame is there: its padding and priority are taken out, and if the block ends, it is read.
    fn piece_is_whole(&mut self, from: usize, each: &mut impl FnMut(&Request<'_>)) {
        let [_, _, _, kind, flags, ..] = self.header;
        if kind == HEADERS && !self.strip(from, flags) {
            self.at = At::Mismatch;
            return;
        }
        self.in_block = flags & END_HEADERS == 0;
        self.at = At::Header(0);
        if self.in_block {
            return;
        }
        self.fields.clear();
        let (fields, block) = (&mut self.fields, &self.block);
        let read = self
            .decoder
            .block(block, &mut |name, value| fields.take(name, value));
        self.block.clear();
        if read.is_none() {
            self.at = At::Mismatch;
        } else if let Some(request) = self.fields.request() {
            each(&request);
        }
    }

    fn strip(&mut self, from: usize, flags: u8) -> bool {
        let mut head = 0usize;
        if flags & PADDED != 0 {
            let Some(padding) = self.block.get(from).copied() else {
                return false;
            };
            head = 1;
            let len = self.block.len().saturating_sub(usize::from(padding));
            if len < from.saturating_add(head) {
                return false;
            }
            self.block.truncate(len);
        }
        if flags & PRIORITY != 0 {
            head = head.saturating_add(PRIORITY_LEN);
        }
        let end = from.saturating_add(head);
        if end > self.block.len() {
            return false;
        }
        self.block.drain(from..end);
        true
    }
}

impl Fields {
    fn all(&mut self) -> [&mut Vec<u8>; 5] {
        [
            &mut self.method,
            &mut self.authority,
            &mut self.host,
            &mut self.path,
            &mut self.user_agent,
        ]
    }

    fn clear(&mut self) {
        for text in self.all() {
            text.clear();
        }
        self.path_cut = false;
        self.user_agent_cut = false;
        self.is_extended = false;
    }

    fn shrink(&mut self, keep: usize) {
        for text in self.all() {
            text.shrink_to(keep);
        }
    }

    /// The first field of a name counts.
    fn take(&mut self, name: &[u8], value: &[u8]) {
        let text = match name {
            b":method" => &mut self.method,
            b":authority" => &mut self.authority,
            b"host" => &mut self.host,
            b":path" => {
                self.path_cut |= value.len() > VALUE_BYTES_MAX;
                &mut self.path
            }
            b"user-agent" => {
                self.user_agent_cut |= value.len() > VALUE_BYTES_MAX;
                &mut self.user_agent
            }
            b":protocol" => {
                self.is_extended = true;
                return;
            }
            _ => return,
        };
        if text.is_empty() {
            text.extend_from_slice(value.get(..VALUE_BYTES_MAX).unwrap_or(value));
        }
    }

    /// A request in the words of HTTP/1; none if these are fields behind a body.
    fn request(&self) -> Option<Request<'_>> {
        let is_connect = self.method == b"CONNECT" && !self.is_extended;
        let method = match self.method.as_slice() {
            b"" => return None,
            // What stands in place of HTTP/1's GET with an Upgrade field (RFC 8441 §5), and is no tunnel.
            b"CONNECT" if !is_connect => b"GET",
            method => method,
        };
        let authority = if self.authority.is_empty() {
            &self.host
        } else {
            &self.authority
        };
        let target = if is_connect { authority } else { &self.path };
        if target.is_empty() {
            return None;
        }
        Some(Request {
            method,
            target,
            target_cut: self.path_cut,
            version_minor: 0,
            host_field: (!authority.is_empty()).then_some(authority.as_slice()),
            user_agent: (!self.user_agent.is_empty()).then_some(self.user_agent.as_slice()),
            user_agent_cut: self.user_agent_cut,
            upgrade: false,
            body: Body::None,
            head_cut: false,
        })
    }
}
