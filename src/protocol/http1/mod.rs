//! Client bytes of HTTP/1.0 and 1.1 → requests: whom they are for, what is asked, by which program, how much body follows
//! (RFC 9110, RFC 9112).
//!
//! As tolerant as servers are: bare line feeds, empty lines before a request, names of fields in any case and with spaces before
//! the colon, spaces in a target. HTTP/0.9 is not read: it has no host and no mark.
//!
//! **Invariants**: a request is borrowed from the bytes it was read from; at most [`HEAD_BYTES_MAX`] bytes of a stream are held.

mod fields;
mod method;
mod request;
mod stream;

#[cfg(test)]
mod tests;

pub use request::{Body, Host, Request};
pub use stream::RequestStream;

use fields::head_end;

/// The longest head that is read whole. Servers refuse more than 8 KiB (Apache, nginx) or 16 KiB (IIS).
pub const HEAD_BYTES_MAX: usize = 16 << 10;
/// The longest target and the longest User-Agent that are given; what lies behind is cut off and said so.
pub const VALUE_BYTES_MAX: usize = 2048;

/// What a look at the beginning of a stream tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look<'a> {
    /// A whole head, and its length in bytes with the empty lines before it.
    Request(Request<'a>, usize),
    /// The beginning of one: a [`RequestStream`] has to put it together.
    Begins,
    /// Something else.
    Other,
}

/// Looks at the first bytes of a stream without copying them.
#[inline]
pub fn look(stream: &[u8]) -> Look<'_> {
    if !begins_like_request(stream) {
        return Look::Other;
    }
    let Some(end) = head_end(stream, 0) else {
        return if stream.len() > HEAD_BYTES_MAX {
            Look::Other
        } else {
            Look::Begins
        };
    };
    match stream.get(..end).and_then(Request::parse) {
        Some(request) if end <= HEAD_BYTES_MAX => Look::Request(request, end),
        _ => Look::Other,
    }
}

/// Whether the bytes there are could begin a request: any prefix of one can, also the empty one.
///
/// RTSP and SIP share some methods and are told by their version, once the line is there, or by the scheme of their target.
#[inline]
pub fn begins_like_request(stream: &[u8]) -> bool {
    let stream = fields::without_empty_lines(stream);
    let Some(rest) = method::skip(stream) else {
        return method::begins(stream);
    };
    if method::foreign_target(rest) {
        return false;
    }
    match rest.iter().position(|byte| *byte == b'\n') {
        None => true,
        Some(line_end) => rest
            .get(..line_end)
            .is_some_and(|rest| request::split_line(rest).is_some()),
    }
}

/// The status code, if the bytes are the beginning of an HTTP/1 response (RFC 9112 §4).
#[inline]
pub fn look_response(stream: &[u8]) -> Option<u16> {
    let rest = stream.strip_prefix(b"HTTP/1.")?;
    let [b'0'..=b'9', b' ', code @ ..] = rest else {
        return None;
    };
    let [hundreds @ b'1'..=b'9', tens, ones, behind @ ..] = code else {
        return None;
    };
    if !tens.is_ascii_digit()
        || !ones.is_ascii_digit()
        || !matches!(behind, [] | [b' ' | b'\r' | b'\n', ..])
    {
        return None;
    }
    let digit = |byte: &u8| u16::from(byte & 0x0f);
    Some(
        digit(hundreds)
            .saturating_mul(100)
            .saturating_add(digit(tens).saturating_mul(10))
            .saturating_add(digit(ones)),
    )
}

/// Reads any bytes in one piece, in two and behind a gap; holds every bound: the target that fuzzing calls.
///
/// # Panics
///
/// When what it checks does not hold.
pub fn fuzz_requests(bytes: &[u8], cut: usize) {
    if let Look::Request(request, len) = look(bytes) {
        assert!(len <= bytes.len() && len <= HEAD_BYTES_MAX);
        assert!(request.target.len() <= VALUE_BYTES_MAX);
        assert!(
            request
                .user_agent
                .is_none_or(|program| program.len() <= VALUE_BYTES_MAX)
        );
        assert!(begins_like_request(bytes));
        if let Host::Name(name) | Host::Address(name) = request.host() {
            assert!((1..=255).contains(&name.len()));
        }
    }
    let cut = cut.checked_rem(bytes.len().saturating_add(1)).unwrap_or(0);
    let (head, tail) = bytes.split_at_checked(cut).unwrap_or((bytes, &[]));
    let (mut in_one, mut in_two) = (Vec::new(), Vec::new());
    let (mut one, mut two) = (RequestStream::default(), RequestStream::default());
    let progress = one.feed(bytes, &mut |request: &Request<'_>| {
        in_one.push(format!("{request:?}"));
    });
    let mut each = |request: &Request<'_>| {
        in_two.push(format!("{request:?}"));
    };
    let _ = two.feed(head, &mut each);
    let again = two.feed(tail, &mut each);
    assert!(
        progress == again,
        "pieces and whole differ: {progress:?} {again:?}"
    );
    assert!(in_one == in_two, "pieces give other requests");
    assert!(one.held_bytes() <= HEAD_BYTES_MAX && two.held_bytes() <= HEAD_BYTES_MAX);
    let _ = two.skip(cut as u64);
    let _ = two.feed(head, &mut |_| {});
    assert!(two.held_bytes() <= HEAD_BYTES_MAX);
}
