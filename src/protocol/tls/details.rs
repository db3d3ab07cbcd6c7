//! A ClientHello that was read → everything else that it offers, without copying (RFC 8446 §4.1.2, §4.2).
//!
//! The walk to the server name passes over all this; who wants it asks for it.

use super::client_hello::{
    ClientHello, ENCRYPTED_CLIENT_HELLO, ENCRYPTED_SERVER_NAME, HelloTransport,
};
use crate::wire::Reader;

const SUPPORTED_GROUPS: u16 = 10;
const EC_POINT_FORMATS: u16 = 11;
const SIGNATURE_ALGORITHMS: u16 = 13;
/// `application_layer_protocol_negotiation` (RFC 7301 §3.1).
const ALPN: u16 = 16;
/// `session_ticket` (RFC 5077 §3.2).
const SESSION_TICKET: u16 = 35;
const PRE_SHARED_KEY: u16 = 41;
const SUPPORTED_VERSIONS: u16 = 43;

/// What the client offers to resume a session by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resumption {
    /// A session id. With TLS 1.3 it is a disguise (RFC 8446 §4.1.2) and does not count.
    pub session_id: bool,
    /// A ticket.
    pub ticket: bool,
    /// A pre-shared key of TLS 1.3.
    pub psk: bool,
}

/// A list of numbers of two bytes, as on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers<'a>(&'a [u8]);

impl<'a> Numbers<'a> {
    /// The numbers in their order, those of GREASE (RFC 8701) included; an odd byte at the end does not count.
    pub fn iter(self) -> impl Iterator<Item = u16> + use<'a> {
        let (pairs, _) = self.0.as_chunks::<2>();
        pairs.iter().map(|pair| u16::from_be_bytes(*pair))
    }

    /// The same without GREASE.
    pub fn real(self) -> impl Iterator<Item = u16> + use<'a> {
        self.iter().filter(|number| !is_grease(*number))
    }

    /// Bytes as on the wire.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

/// Names of one byte of length and text each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Names<'a>(&'a [u8]);

impl<'a> Names<'a> {
    /// The names in their order, up to damage.
    pub fn iter(self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = Reader::new(self.0);
        std::iter::from_fn(move || {
            let len = rest.u8().ok()?;
            rest.take(usize::from(len)).ok()
        })
    }
}

/// Everything that a ClientHello offers. Of an extension that comes twice the first counts; what a damaged extension says is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelloDetails<'a> {
    /// Whom it is for.
    pub hello: ClientHello<'a>,
    /// The version that old servers look at.
    pub legacy_version: u16,
    /// Cipher suites.
    pub cipher_suites: Numbers<'a>,
    /// Versions of the extension; empty where there is none.
    pub supported_versions: Numbers<'a>,
    /// Groups for the key exchange.
    pub groups: Numbers<'a>,
    /// Formats of points.
    pub point_formats: &'a [u8],
    /// Signature algorithms.
    pub signature_algorithms: Numbers<'a>,
    /// Protocols that the client would speak inside.
    pub alpn: Names<'a>,
    /// Encrypted ClientHello was offered: really, or as GREASE, which looks the same.
    pub ech: bool,
    /// The draft before it was.
    pub esni: bool,
    /// How a session would be resumed.
    pub resumption: Resumption,
    extensions: &'a [u8],
}

impl<'a> HelloDetails<'a> {
    /// Reads a whole handshake message without any record layer, as [`ClientHello::of_message`] does, and all its fields.
    pub fn of_message(message: &'a [u8], transport: HelloTransport) -> Option<Self> {
        ClientHello::of_message(message, transport).map(Self::of)
    }

    /// Everything else of a hello that was read.
    pub fn of(hello: ClientHello<'a>) -> Self {
        let mut details = Self {
            hello,
            legacy_version: 0,
            cipher_suites: Numbers::default(),
            supported_versions: Numbers::default(),
            groups: Numbers::default(),
            point_formats: &[],
            signature_algorithms: Numbers::default(),
            alpn: Names::default(),
            ech: false,
            esni: false,
            resumption: Resumption::default(),
            extensions: &[],
        };
        // It was read before; damage behind the name only ends the reading.
        let _ = details.read();
        details
    }

    /// Numbers of the extensions in their order, those of GREASE included.
    pub fn extensions(&self) -> impl Iterator<Item = u16> + use<'a> {
        extensions(self.extensions).map(|(kind, _)| kind)
    }

    /// The versions offered: those of the extension, or else the old one alone.
    pub fn versions(&self) -> impl Iterator<Item = u16> + use<'a> {
        let old = self.supported_versions.0.is_empty();
        self.supported_versions
            .real()
            .chain(old.then_some(self.legacy_version))
    }

    fn read(&mut self) -> Result<(), crate::wire::Truncated> {
        let mut body = Reader::new(self.hello.body);
        self.legacy_version = body.u16()?;
        body.skip(32)?;
        let session_id_len = body.u8()?;
        body.skip(usize::from(session_id_len))?;
        if self.hello.transport == HelloTransport::Dtls {
            let cookie_len = body.u8()?;
            body.skip(usize::from(cookie_len))?;
        }
        let cipher_suites_len = body.u16()?;
        self.cipher_suites = Numbers(body.take(usize::from(cipher_suites_len))?);
        let compression_len = body.u8()?;
        body.skip(usize::from(compression_len))?;
        if !body.is_empty() {
            let extensions_len = body.u16()?;
            self.extensions = body.take(usize::from(extensions_len))?;
        }
        for (kind, value) in extensions(self.extensions) {
            self.extension(kind, value);
        }
        let is_13 = self
            .supported_versions
            .iter()
            .any(|it| it == 0x0304 || it == 0xfefc);
        self.resumption.session_id = session_id_len > 0 && !is_13;
        Ok(())
    }

    fn extension(&mut self, kind: u16, value: &'a [u8]) {
        let first = |place: &mut Numbers<'a>, list: Option<&'a [u8]>| {
            if place.0.is_empty() {
                *place = Numbers(list.unwrap_or_default());
            }
        };
        match kind {
            SUPPORTED_GROUPS => first(&mut self.groups, long_list(value)),
            SIGNATURE_ALGORITHMS => first(&mut self.signature_algorithms, long_list(value)),
            SUPPORTED_VERSIONS => first(&mut self.supported_versions, short_list(value)),
            EC_POINT_FORMATS if self.point_formats.is_empty() => {
                self.point_formats = short_list(value).unwrap_or_default();
            }
            ALPN if self.alpn.0.is_empty() => {
                self.alpn = Names(long_list(value).unwrap_or_default());
            }
            SESSION_TICKET => self.resumption.ticket |= !value.is_empty(),
            PRE_SHARED_KEY => self.resumption.psk = true,
            ENCRYPTED_CLIENT_HELLO => self.ech = true,
            ENCRYPTED_SERVER_NAME => self.esni = true,
            _ => {}
        }
    }
}

/// Kind and value of each extension, up to damage.
pub(super) fn extensions(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = Reader::new(bytes);
    std::iter::from_fn(move || {
        let kind = rest.u16().ok()?;
        let len = rest.u16().ok()?;
        Some((kind, rest.take(usize::from(len)).ok()?))
    })
}

/// A list behind two bytes of length.
pub(super) fn long_list(value: &[u8]) -> Option<&[u8]> {
    let mut value = Reader::new(value);
    let len = value.u16().ok()?;
    value.take(usize::from(len)).ok()
}

/// A list behind one byte of length.
fn short_list(value: &[u8]) -> Option<&[u8]> {
    let mut value = Reader::new(value);
    let len = value.u8().ok()?;
    value.take(usize::from(len)).ok()
}

/// Whether a number is one of those that mean nothing (RFC 8701 §2).
pub(super) const fn is_grease(number: u16) -> bool {
    let [high, low] = number.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}
