//! Client bytes of HTTP/2 in clear, by prior knowledge or by Upgrade → requests (RFC 9113; RFC 7541).
//!
//! A decoder of our own for header compression: what it needs is small (a request line and two fields), it may not allocate per
//! packet, and its work and memory have to be bounded by what is here, not by what a library's author thought of.
//!
//! **Invariants**: at most [`BLOCK_BYTES_MAX`] bytes of a header block and [`TABLE_BYTES_MAX`] of the table are held; bytes in any
//! pieces give the same requests.

mod client;
mod hpack;
mod huffman;
mod table;

#[cfg(test)]
mod tests;

pub use client::Http2Client;

/// What a client begins with (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The longest header block that is read, as for HTTP/1: servers refuse longer ones.
pub const BLOCK_BYTES_MAX: usize = 16 << 10;
/// The largest table that a client may use: sixteen times the default (RFC 9113 §6.5.2).
pub const TABLE_BYTES_MAX: usize = 64 << 10;

/// Whether the bytes there are could begin the stream of a client: any prefix of one can.
#[inline]
pub fn begins_like_client(stream: &[u8]) -> bool {
    let len = stream.len().min(PREFACE.len());
    stream.get(..len) == PREFACE.get(..len)
}

/// Reads any bytes behind a preface, in one piece and in two; holds every bound: the target that fuzzing calls.
///
/// # Panics
///
/// When what it checks does not hold.
pub fn fuzz_client(frames: &[u8], cut: usize) {
    let mut bytes = PREFACE.to_vec();
    bytes.extend_from_slice(frames);
    let cut = cut.checked_rem(bytes.len().saturating_add(1)).unwrap_or(0);
    let (head, tail) = bytes.split_at_checked(cut).unwrap_or((&bytes, &[]));
    let (mut one, mut two) = (Http2Client::default(), Http2Client::default());
    let (mut in_one, mut in_two) = (Vec::new(), Vec::new());
    let progress = one.feed(&bytes, &mut |request| in_one.push(format!("{request:?}")));
    let mut each = |request: &super::http1::Request<'_>| in_two.push(format!("{request:?}"));
    let mut again = two.feed(head, &mut each);
    if again == super::Progress::NeedMore {
        again = two.feed(tail, &mut each);
    }
    assert!(progress == again, "{progress:?} {again:?}");
    assert!(in_one == in_two, "pieces give other requests");
    let most = BLOCK_BYTES_MAX.saturating_add(TABLE_BYTES_MAX);
    assert!(one.held_bytes() <= most && two.held_bytes() <= most);
    let _ = two.skip(cut as u32);
    let _ = two.feed(head, &mut |_| {});
}
