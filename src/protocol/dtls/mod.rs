//! Datagrams of DTLS → a ClientHello, from fragments in any order (RFC 6347 §4.2.2, §4.2.3; RFC 9147 §5.2, §5.5).
//!
//! A hello stands in clear in all versions. A server may ask for it again with a cookie (HelloVerifyRequest, or HelloRetryRequest in
//! DTLS 1.3): the second hello is another message of the handshake, and either shows the name.

mod assembler;

#[cfg(test)]
mod tests;

pub use assembler::DtlsHello;

use crate::wire::{Reader, Truncated};

/// Record content type of handshake messages.
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

/// One piece of a ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// Which message of the handshake.
    pub message_seq: u16,
    /// Length of the whole message.
    pub message_len: u32,
    /// Where the piece stands in it.
    pub offset: u32,
    /// The piece.
    pub bytes: &'a [u8],
}

impl Fragment<'_> {
    /// Whether it is all of the message.
    pub const fn is_whole(&self) -> bool {
        self.offset == 0 && self.bytes.len() == self.message_len as usize
    }
}

/// The pieces of ClientHellos in a datagram, in their order, up to damage or to what is encrypted.
pub fn client_hello_fragments(datagram: &[u8]) -> impl Iterator<Item = Fragment<'_>> {
    let mut records = Reader::new(datagram);
    let mut messages = Reader::new(&[]);
    std::iter::from_fn(move || {
        loop {
            if messages.is_empty() {
                messages = record(&mut records).ok()?;
            }
            match message(&mut messages) {
                Ok((CLIENT_HELLO, fragment)) => return Some(fragment),
                Ok(_) => {}
                Err(Truncated) => messages = Reader::new(&[]),
            }
        }
    })
}

/// The messages of the next record, if it is one in clear: epoch 0.
fn record<'a>(records: &mut Reader<'a>) -> Result<Reader<'a>, Truncated> {
    let [kind, major, _, epoch_high, epoch_low] = records.array::<5>()?;
    records.skip(6)?;
    let len = records.u16()?;
    let content = records.sub(usize::from(len))?;
    // 0x01: what OpenSSL spoke before there was a standard.
    let in_clear =
        kind == HANDSHAKE && matches!(major, 0xfe | 0x01) && epoch_high == 0 && epoch_low == 0;
    if in_clear {
        Ok(content)
    } else {
        Err(Truncated)
    }
}

fn message<'a>(messages: &mut Reader<'a>) -> Result<(u8, Fragment<'a>), Truncated> {
    let kind = messages.u8()?;
    let message_len = messages.u24()?;
    let message_seq = messages.u16()?;
    let offset = messages.u24()?;
    let len = messages.u24()?;
    let bytes = messages.take(len as usize)?;
    let fragment = Fragment {
        message_seq,
        message_len,
        offset,
        bytes,
    };
    Ok((kind, fragment))
}

/// Puts together whatever hello is in a datagram, and in its two halves: the target that fuzzing calls.
///
/// # Panics
///
/// When what it checks does not hold.
#[allow(clippy::panic, reason = "a fuzz target fails by panicking")]
pub fn fuzz_dtls(bytes: &[u8], cut: usize) {
    let cut = cut.checked_rem(bytes.len().saturating_add(1)).unwrap_or(0);
    let (head, tail) = bytes.split_at_checked(cut).unwrap_or((bytes, &[]));
    let mut hello = DtlsHello::default();
    for datagram in [bytes, head, tail, bytes] {
        for fragment in client_hello_fragments(datagram) {
            let _ = hello.feed(&fragment);
            assert!(
                hello.held_bytes() <= crate::protocol::tls::HELLO_BYTES_MAX as usize,
                "more is held than a hello may have"
            );
        }
    }
    let _ = hello.hello();
}
