//! What the client of a SOCKS proxy says → whom it wants to reach (SOCKS 4 and 4a; RFC 1928, RFC 1929).
//!
//! The client's side suffices: which of the methods it offered the proxy chose is told by what the client sends next. User and
//! password are passed over byte by byte and never held. What GSSAPI protects (RFC 1961) cannot be read.
//!
//! **Invariants**: at most [`HOST_BYTES_MAX`] bytes are held, in place; bytes in any pieces give the same request.

mod client;

#[cfg(test)]
mod tests;

pub use client::SocksClient;

/// The longest host that a request can hold: its length is one byte in version 5, and no name is longer in version 4a.
pub const HOST_BYTES_MAX: usize = 255;

/// What a client asks of the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// A connection to the target.
    Connect,
    /// A connection from the target.
    Bind,
    /// Datagrams to whom they say.
    UdpAssociate,
}

impl Command {
    /// Its word in RFC 1928 §4.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::Bind => "BIND",
            Self::UdpAssociate => "UDP ASSOCIATE",
        }
    }
}

/// Whom the client wants to reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// A name, bytes as on the wire.
    Name(&'a [u8]),
    /// An address.
    Address(std::net::IpAddr),
}

/// A request to the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// 4 or 5.
    pub version: u8,
    /// What is asked for.
    pub command: Command,
    /// Whom to reach.
    pub target: Target<'a>,
    /// On which port.
    pub port: u16,
}

/// Whether the bytes there are could begin the stream of a SOCKS client: any prefix of one can, also the empty one.
#[inline]
pub fn begins_like_client(stream: &[u8]) -> bool {
    match stream {
        [] => true,
        [4 | 5, ..] => {
            let mut client = SocksClient::default();
            let (progress, _) = client.feed(stream);
            progress != super::Progress::Mismatch
        }
        _ => false,
    }
}

/// Whether they are more than a chance: a whole list of methods, or a whole request of version 4.
#[inline]
pub fn is_client(stream: &[u8]) -> bool {
    if !matches!(stream, [4 | 5, ..]) {
        return false;
    }
    let mut client = SocksClient::default();
    let (progress, _) = client.feed(stream);
    progress != super::Progress::Mismatch && client.is_sure()
}

/// Reads any bytes in one piece and in two: the target that fuzzing calls.
///
/// # Panics
///
/// When what it checks does not hold.
pub fn fuzz_client(bytes: &[u8], cut: usize) {
    let cut = cut.checked_rem(bytes.len().saturating_add(1)).unwrap_or(0);
    let (head, tail) = bytes.split_at_checked(cut).unwrap_or((bytes, &[]));
    let (mut one, mut two) = (SocksClient::default(), SocksClient::default());
    let (progress, rest) = one.feed(bytes);
    let (mut again, mut rest_again) = two.feed(head);
    let left = if again == super::Progress::NeedMore {
        assert!(rest_again.is_empty(), "bytes were left that are needed");
        (again, rest_again) = two.feed(tail);
        rest_again.len()
    } else {
        rest_again.len().saturating_add(tail.len())
    };
    assert!(progress == again, "{progress:?} {again:?}");
    assert!(
        one.request() == two.request(),
        "pieces give another request"
    );
    if progress == super::Progress::Done {
        assert!(rest.len() == left, "pieces end elsewhere");
        assert!(begins_like_client(bytes));
    }
    if let Some(Request {
        target: Target::Name(name),
        ..
    }) = one.request()
    {
        assert!((1..=HOST_BYTES_MAX).contains(&name.len()));
    }
}
