//! TLS stream bytes → the ClientHello and the server name in it (RFC 8446 §4.1.2, §5.1; RFC 6066 §3).

mod assembler;
mod certificate;
mod client_hello;
mod details;
mod fingerprint;
mod server_flight;

#[cfg(test)]
mod fingerprint_tests;
#[cfg(test)]
mod server_tests;
#[cfg(test)]
mod tests;

pub use assembler::HelloAssembler;
pub use certificate::{Certificate, CertificateTime, DistinguishedName, NAMES_MAX};
pub use client_hello::{ClientHello, HelloTransport, ServerName};
pub use details::{HelloDetails, Names, Numbers, Resumption};
pub use fingerprint::{Fingerprinter, Ja3, Ja4};
pub use server_flight::{
    CERTIFICATE_BYTES_MAX, ServerFlight, ServerHello, begins_like_server, fuzz_server_flight,
};

use client_hello::HANDSHAKE_HEADER_LEN;

/// Record content type of handshake messages.
const HANDSHAKE: u8 = 22;
/// Handshake type of a ClientHello.
const CLIENT_HELLO: u8 = 1;
const RECORD_HEADER_LEN: usize = 5;
/// The longest record fragment that is taken: 2^14 and what old versions allowed on top.
const RECORD_LEN_MAX: u16 = (1 << 14) + 2048;

/// The longest ClientHello that is read. Post-quantum hellos are about 1.7 kB; session tickets and ECH can multiply that.
pub const HELLO_BYTES_MAX: u32 = 32 << 10;

/// What a quick look at the beginning of a stream tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look<'a> {
    /// A whole ClientHello in one record.
    Hello(ClientHello<'a>),
    /// The beginning of one: a [`HelloAssembler`] has to put it together.
    Begins,
    /// Something else.
    Other,
}

/// Looks at the first bytes of a stream without copying them.
#[inline]
pub fn look(stream: &[u8]) -> Look<'_> {
    if !begins_like_hello(stream) {
        return Look::Other;
    }
    let Some((header, fragment)) = stream.split_first_chunk::<RECORD_HEADER_LEN>() else {
        return Look::Begins;
    };
    let [_, _, _, len_high, len_low] = *header;
    let record_len = u16::from_be_bytes([len_high, len_low]);
    if record_len > RECORD_LEN_MAX {
        return Look::Other;
    }
    // What lies behind the first record is not looked at: a hello that needs it is assembled.
    let fragment = fragment.get(..usize::from(record_len)).unwrap_or(fragment);
    look_at(fragment, HelloTransport::Tcp)
}

/// Looks at the beginning of a handshake without records, as QUIC has it (RFC 9001 §4).
#[inline]
pub fn look_message(message: &[u8]) -> Look<'_> {
    look_at(message, HelloTransport::Quic)
}

#[inline]
fn look_at(message: &[u8], transport: HelloTransport) -> Look<'_> {
    let Some((header, body)) = message.split_first_chunk::<HANDSHAKE_HEADER_LEN>() else {
        return if message.first().is_none_or(|kind| *kind == CLIENT_HELLO) {
            Look::Begins
        } else {
            Look::Other
        };
    };
    let [kind, l0, l1, l2] = *header;
    let len = u32::from_be_bytes([0, l0, l1, l2]);
    if kind != CLIENT_HELLO || len > HELLO_BYTES_MAX {
        return Look::Other;
    }
    match body.get(..len as usize) {
        None => Look::Begins,
        Some(body) => match ClientHello::parse(body, transport) {
            Ok(hello) => Look::Hello(hello),
            Err(_) => Look::Other,
        },
    }
}

/// Whether the bytes there are could begin a TLS stream with a ClientHello: any prefix of one can.
#[inline]
pub fn begins_like_hello(stream: &[u8]) -> bool {
    match stream {
        [] => true,
        [kind] => *kind == HANDSHAKE,
        [kind, major] => *kind == HANDSHAKE && *major == 3,
        [kind, major, minor] | [kind, major, minor, _] | [kind, major, minor, _, _] => {
            *kind == HANDSHAKE && *major == 3 && *minor <= 4
        }
        [kind, major, minor, _, _, message, ..] => {
            *kind == HANDSHAKE && *major == 3 && *minor <= 4 && *message == CLIENT_HELLO
        }
    }
}

/// Whether the bytes are the head of any TLS record: TLS past its beginning.
#[inline]
pub fn looks_like_record(stream: &[u8]) -> bool {
    matches!(stream, [20..=23, 3, 0..=4, len_high, _, ..] if *len_high <= 72)
}

/// Looks at any bytes and puts them together in two pieces; both ways agree: the target that fuzzing calls.
///
/// # Panics
///
/// When what it checks does not hold.
#[allow(clippy::panic, reason = "a fuzz target fails by panicking")]
pub fn fuzz_client_hello(bytes: &[u8], cut: usize) {
    let cut = cut.checked_rem(bytes.len().saturating_add(1)).unwrap_or(0);
    let (head, tail) = bytes.split_at_checked(cut).unwrap_or((bytes, &[]));
    let mut assembler = HelloAssembler::default();
    let mut progress = assembler.feed(head);
    if progress == super::Progress::NeedMore {
        progress = assembler.feed(tail);
    }
    if let Look::Hello(hello) = look(bytes) {
        assert!(
            progress == super::Progress::Done,
            "a whole hello in two pieces: {progress:?}"
        );
        assert!(
            assembler.hello() == Some(hello),
            "the pieces give another hello"
        );
    }
}
