//! Whom a client wants to reach by a SOCKS proxy, as text: host and port as in an authority (RFC 3986 §3.2).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::io::Write;

use crate::protocol::socks::{HOST_BYTES_MAX, Request, Target};

/// Brackets, a colon and a port.
const AROUND_BYTES: usize = 8;
const TEXT_BYTES: usize = HOST_BYTES_MAX + AROUND_BYTES;

/// The text, in place.
pub(super) struct SocksTarget {
    bytes: [u8; TEXT_BYTES],
    host: (usize, usize),
    len: usize,
}

impl SocksTarget {
    pub(super) fn of(request: &Request<'_>) -> Self {
        let mut bytes = [0; TEXT_BYTES];
        let mut rest = bytes.as_mut_slice();
        // There is room for all that a request can hold.
        let written = match request.target {
            Target::Name(name) => rest.write_all(name),
            Target::Address(std::net::IpAddr::V4(address)) => write!(rest, "{address}"),
            Target::Address(std::net::IpAddr::V6(address)) => write!(rest, "[{address}]"),
        };
        let host_len = TEXT_BYTES.saturating_sub(rest.len());
        let written = written.and_then(|()| write!(rest, ":{}", request.port));
        debug_assert!(written.is_ok());
        let len = TEXT_BYTES.saturating_sub(rest.len());
        let host = match request.target {
            Target::Address(std::net::IpAddr::V6(_)) => (1, host_len.saturating_sub(1)),
            _ => (0, host_len),
        };
        Self { bytes, host, len }
    }

    /// The host alone, without brackets.
    pub(super) fn host(&self) -> &[u8] {
        let (begin, end) = self.host;
        self.bytes.get(begin..end).unwrap_or_default()
    }

    /// Host and port.
    pub(super) fn text(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends at its first surprise")]

    use super::*;
    use crate::protocol::socks::Command;

    fn texts(target: Target<'_>, port: u16) -> (String, String) {
        let request = Request {
            version: 5,
            command: Command::Connect,
            target,
            port,
        };
        let text = SocksTarget::of(&request);
        let string = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (string(text.host()), string(text.text()))
    }

    #[test]
    fn hosts_stand_with_their_ports() {
        let own = |host: &str, text: &str| (host.to_owned(), text.to_owned());
        assert_eq!(
            texts(Target::Name(b"inner.example"), 443),
            own("inner.example", "inner.example:443")
        );
        assert_eq!(
            texts(Target::Address("192.0.2.7".parse().unwrap()), 80),
            own("192.0.2.7", "192.0.2.7:80")
        );
        assert_eq!(
            texts(Target::Address("2001:db8::7".parse().unwrap()), 65535),
            own("2001:db8::7", "[2001:db8::7]:65535")
        );
        let long = "a".repeat(HOST_BYTES_MAX);
        assert_eq!(
            texts(Target::Name(long.as_bytes()), 65535),
            (long.clone(), format!("{long}:65535"))
        );
    }
}
