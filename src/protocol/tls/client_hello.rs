//! Body of a ClientHello → the fields that are of use, without copying.

use super::HelloDetails;
use crate::protocol::host::is_address;
use crate::wire::{Reader, Truncated};

/// Handshake type and length.
pub(super) const HANDSHAKE_HEADER_LEN: usize = 4;

pub(super) const SERVER_NAME: u16 = 0;
/// `encrypted_client_hello` (RFC 9849); GREASE uses the same number.
pub(super) const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
/// `encrypted_server_name`, the draft that came before.
pub(super) const ENCRYPTED_SERVER_NAME: u16 = 0xffce;
const EARLY_DATA: u16 = 42;
const HOST_NAME: u8 = 0;

/// The longest server name that is taken: a domain name has at most 253 characters; longer ones are seen in tests and attacks.
const NAME_BYTES_MAX: usize = 255;

/// What the `server_name` extension says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerName<'a> {
    /// No extension, an empty one, or a name that is empty.
    Absent,
    /// A host name, bytes as on the wire.
    Name(&'a [u8]),
    /// An address, which RFC 6066 §3 forbids and some clients send.
    Address(&'a [u8]),
    /// Longer than 255 bytes.
    TooLong,
}

/// What the hello travels in; fingerprints tell it, and DTLS has a field more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HelloTransport {
    /// TLS records over TCP.
    #[default]
    Tcp,
    /// CRYPTO frames of QUIC.
    Quic,
    /// DTLS records.
    Dtls,
}

/// A ClientHello (RFC 8446 §4.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientHello<'a> {
    /// The server that the client wants.
    pub server_name: ServerName<'a>,
    /// Encrypted ClientHello was offered, or looks like it was: the name may be a cover.
    pub ech_offered: bool,
    /// What it travelled in.
    pub transport: HelloTransport,
    /// All of it behind the handshake header; [`super::HelloDetails`] reads the rest.
    pub(super) body: &'a [u8],
}

impl<'a> ClientHello<'a> {
    /// Reads a whole handshake message without any record layer: four bytes of header, then the body. `None` if it is no
    /// ClientHello, not whole, longer than [`super::HELLO_BYTES_MAX`], or damaged before a name was read. For
    /// [`HelloTransport::Dtls`] the header is the same four bytes (RFC 6347 §4.2.2 has eight more, which the caller takes out).
    pub fn of_message(message: &'a [u8], transport: HelloTransport) -> Option<Self> {
        let (header, body) = message.split_first_chunk::<HANDSHAKE_HEADER_LEN>()?;
        let [kind, l0, l1, l2] = *header;
        let len = u32::from_be_bytes([0, l0, l1, l2]);
        if kind != super::CLIENT_HELLO || len > super::HELLO_BYTES_MAX {
            return None;
        }
        Self::parse(body.get(..len as usize)?, transport).ok()
    }

    /// Reads the body of such a message, which lies behind its header.
    pub fn of_body(body: &'a [u8], transport: HelloTransport) -> Option<Self> {
        let fits = body.len() <= super::HELLO_BYTES_MAX as usize;
        fits.then(|| Self::parse(body, transport).ok()).flatten()
    }

    /// The client's random number, by which the secrets of its session are kept.
    pub fn random(&self) -> Option<&'a [u8; 32]> {
        self.body.get(2..)?.first_chunk()
    }

    /// Whether it offers to send data before its server answers (RFC 8446 §4.2.10).
    pub fn offers_early_data(&self) -> bool {
        HelloDetails::of(*self)
            .extensions()
            .any(|kind| kind == EARLY_DATA)
    }

    /// Reads the body, which lies behind the handshake header.
    #[inline]
    pub(super) fn parse(whole: &'a [u8], transport: HelloTransport) -> Result<Self, Truncated> {
        let mut hello = Self {
            server_name: ServerName::Absent,
            ech_offered: false,
            transport,
            body: whole,
        };
        let mut body = Reader::new(whole);
        // Version and random.
        body.skip(2 + 32)?;
        let session_id_len = body.u8()?;
        body.skip(usize::from(session_id_len))?;
        if transport == HelloTransport::Dtls {
            let cookie_len = body.u8()?;
            body.skip(usize::from(cookie_len))?;
        }
        let cipher_suites_len = body.u16()?;
        body.skip(usize::from(cipher_suites_len))?;
        let compression_len = body.u8()?;
        body.skip(usize::from(compression_len))?;
        if body.is_empty() {
            // Before TLS 1.2 extensions were optional.
            return Ok(hello);
        }
        let extensions_len = body.u16()?;
        let mut extensions = body.sub(usize::from(extensions_len))?;
        while !extensions.is_empty() {
            if let Err(damage) = hello.extension(&mut extensions) {
                // A name that was read before the damage is not lost to it.
                return match hello.server_name {
                    ServerName::Absent => Err(damage),
                    _ => Ok(hello),
                };
            }
        }
        Ok(hello)
    }

    #[inline]
    fn extension(&mut self, extensions: &mut Reader<'a>) -> Result<(), Truncated> {
        let kind = extensions.u16()?;
        let len = extensions.u16()?;
        let value = extensions.sub(usize::from(len))?;
        match kind {
            // A second one is forbidden (RFC 8446 §4.2): the first counts.
            SERVER_NAME if self.server_name == ServerName::Absent => {
                self.server_name = server_name(value)?;
            }
            ENCRYPTED_CLIENT_HELLO | ENCRYPTED_SERVER_NAME => self.ech_offered = true,
            _ => {}
        }
        Ok(())
    }
}

/// The first host name of the list (RFC 6066 §3).
#[inline]
fn server_name(mut value: Reader<'_>) -> Result<ServerName<'_>, Truncated> {
    if value.is_empty() {
        return Ok(ServerName::Absent);
    }
    let list_len = value.u16()?;
    let mut list = value.sub(usize::from(list_len))?;
    while !list.is_empty() {
        let kind = list.u8()?;
        let len = list.u16()?;
        let name = list.take(usize::from(len))?;
        if kind == HOST_NAME {
            return Ok(ServerName::of(name));
        }
    }
    Ok(ServerName::Absent)
}

impl<'a> ServerName<'a> {
    /// What a name that a client gave is.
    pub(in crate::protocol) fn of(name: &'a [u8]) -> Self {
        let without_dot = name.strip_suffix(b".").unwrap_or(name);
        if without_dot.is_empty() {
            return Self::Absent;
        }
        if name.len() > NAME_BYTES_MAX {
            return Self::TooLong;
        }
        if is_address(name) {
            Self::Address(name)
        } else {
            Self::Name(name)
        }
    }
}
