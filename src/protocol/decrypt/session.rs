//! Both streams of a TLS session, from behind the client's hello on, and its secrets → what the client says inside, and the certificate
//! that a server of TLS 1.3 shows (RFC 8446; RFC 5246).
//!
//! The client's stream is read to its end, the server's up to its hello (TLS 1.2) or its certificate (TLS 1.3). A session that cannot
//! be read says why, once; what was read before stands.

use super::keylog::{RANDOM_BYTES, Secret, Secrets};
use super::opener::Opener;
use super::record::{Messages, Records, Taken};
use super::suite;
use crate::model::DecryptFailure;
use crate::protocol::tls::{CERTIFICATE_BYTES_MAX, ClientHello, ServerHello};
use crate::wire::Reader;

/// Content types of records.
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// Types of handshake messages.
const SERVER_HELLO: u8 = 2;
const ENCRYPTED_EXTENSIONS: u8 = 8;
const CERTIFICATE: u8 = 11;
const FINISHED: u8 = 20;
const KEY_UPDATE: u8 = 24;

/// The longest ServerHello and the longest list of extensions that are read; 100 bytes are usual.
const HELLO_BYTES_MAX: usize = 4 << 10;
/// Early data that is passed over, in bytes: servers allow 16 KiB, as a rule.
const EARLY_BYTES_MAX: usize = 256 << 10;
const TLS_12: u16 = 0x0303;
const TLS_13: u16 = 0x0304;

/// SHA-256 of `HelloRetryRequest`: another hello of the client's follows (RFC 8446 §4.1.3).
const HELLO_RETRY_REQUEST: [u8; RANDOM_BYTES] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// One TLS session that secrets are known of. Reused from flow to flow: [`Self::begin`] keeps the memory.
#[derive(Debug, Default)]
pub struct Session {
    secrets: Secrets,
    client_random: [u8; RANDOM_BYTES],
    offers_early_data: bool,
    hello: Option<ServerHello>,
    client: Client,
    server: Server,
}

/// The client's stream.
#[derive(Debug, Default)]
struct Client {
    records: Records,
    messages: Messages,
    keys: ClientKeys,
    /// Copy of a record that more than one key may open.
    attempt: Vec<u8>,
    /// Bytes that no key opened before the first that one did.
    passed_over: usize,
    failed: Option<DecryptFailure>,
}

#[derive(Debug, Default)]
enum ClientKeys {
    /// Nothing was opened yet.
    #[default]
    None,
    /// The client's part of the handshake of TLS 1.3.
    Handshake(Opener),
    /// What the session is for.
    Application(Opener),
}

/// The server's stream.
#[derive(Debug, Default)]
struct Server {
    records: Records,
    messages: Messages,
    keys: Option<Opener>,
    done: bool,
}

/// What the server said under encryption that names it.
#[derive(Clone, Copy, Debug)]
pub struct ShownCertificate<'a> {
    /// Its own certificate, DER.
    pub der: &'a [u8],
    /// What it chose.
    pub hello: &'a ServerHello,
}

impl Session {
    /// The number that a session's secrets are found by; `None` for a hello that is cut.
    pub fn client_random(hello: &ClientHello<'_>) -> Option<[u8; RANDOM_BYTES]> {
        hello.random().copied()
    }

    /// Begins with a hello.
    pub fn begin(&mut self, hello: &ClientHello<'_>, secrets: Secrets) {
        self.client_random = hello.random().copied().unwrap_or_default();
        self.offers_early_data = hello.offers_early_data();
        self.secrets = secrets;
        self.hello = None;
        self.client.records.reset();
        self.client.messages.reset();
        self.client.keys = ClientKeys::None;
        self.client.passed_over = 0;
        self.client.failed = None;
        self.server.records.reset();
        self.server.messages.reset();
        self.server.keys = None;
        self.server.done = false;
    }

    /// Memory held for this session.
    pub fn held_bytes(&self) -> usize {
        [
            self.client.records.fragment.len(),
            self.client.messages.held_bytes(),
            self.client.attempt.len(),
            self.server.records.fragment.len(),
            self.server.messages.held_bytes(),
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }

    /// Forgets the session, and gives back memory that was unusual.
    pub fn shrink(&mut self, keep: usize) {
        let (client, server) = (&mut self.client, &mut self.server);
        self.secrets = Secrets::default();
        client.keys = ClientKeys::None;
        server.keys = None;
        for records in [&mut client.records, &mut server.records] {
            records.reset();
            records.fragment.shrink_to(keep);
        }
        client.messages.shrink(keep);
        server.messages.shrink(keep);
        client.attempt.clear();
        client.attempt.shrink_to(keep);
    }

    /// Whether early data was passed over.
    pub const fn has_early_data(&self) -> bool {
        self.client.passed_over > 0 && self.offers_early_data
    }

    /// Whether nothing more is to be learnt of the server.
    pub const fn server_is_done(&self) -> bool {
        self.server.done
    }

    /// Takes the next bytes of the client behind its hello, and gives what it says inside to `each`, piece by piece.
    ///
    /// # Errors
    ///
    /// Why nothing more can be read; the same again from then on.
    pub fn client(
        &mut self,
        mut bytes: &[u8],
        each: &mut impl FnMut(&[u8]),
    ) -> Result<(), DecryptFailure> {
        while !bytes.is_empty() {
            if let Some(failure) = self.client.failed {
                return Err(failure);
            }
            let (taken, rest) = self.client.records.take(bytes);
            bytes = rest;
            let outcome = match taken {
                Taken::Part => Ok(()),
                Taken::Malformed => Err(DecryptFailure::Malformed),
                Taken::Whole => self.client_record(each),
            };
            self.client.failed = outcome.err();
        }
        self.client.failed.map_or(Ok(()), Err)
    }

    /// Takes the next bytes of the server, and gives its certificate to `show`, once.
    pub fn server(&mut self, mut bytes: &[u8], show: &mut impl FnMut(ShownCertificate<'_>)) {
        while !bytes.is_empty() && !self.server.done {
            let (taken, rest) = self.server.records.take(bytes);
            bytes = rest;
            match taken {
                Taken::Part => {}
                Taken::Malformed => self.server.done = true,
                Taken::Whole => self.server_record(show),
            }
        }
    }

    /// Part of the server's stream will not come.
    pub const fn server_lost(&mut self) {
        self.server.done = true;
    }

    fn client_record(&mut self, each: &mut impl FnMut(&[u8])) -> Result<(), DecryptFailure> {
        let [kind, ..] = self.client.records.header();
        // Of one random number there are secrets of one kind: a master secret up to TLS 1.2, and traffic secrets from 1.3 on.
        if let Some(master) = self.secrets.master {
            return self.client_record_12(kind, &master, each);
        }
        match kind {
            APPLICATION_DATA => self.client_record_13(each),
            // What is in clear before the keys: a second hello, an alert, and the change that changes nothing (RFC 8446 §D.4).
            CHANGE_CIPHER_SPEC => Ok(()),
            HANDSHAKE | ALERT if matches!(self.client.keys, ClientKeys::None) => Ok(()),
            _ => Err(DecryptFailure::Malformed),
        }
    }

    fn client_record_12(
        &mut self,
        kind: u8,
        master: &Secret,
        each: &mut impl FnMut(&[u8]),
    ) -> Result<(), DecryptFailure> {
        let client = &mut self.client;
        match (&mut client.keys, kind) {
            (ClientKeys::None, CHANGE_CIPHER_SPEC) => {
                let hello = self.hello.ok_or(DecryptFailure::NoServerHello)?;
                if hello.version != TLS_12 {
                    return Err(DecryptFailure::UnsupportedVersion);
                }
                let suite =
                    suite::of_12(hello.cipher_suite).ok_or(DecryptFailure::UnsupportedSuite)?;
                let keys = Opener::of_12(master, suite, &self.client_random, &hello.random);
                client.keys =
                    ClientKeys::Application(keys.ok_or(DecryptFailure::UnsupportedSuite)?);
                Ok(())
            }
            (ClientKeys::None, HANDSHAKE | ALERT) => Ok(()),
            (ClientKeys::None, _) => Err(DecryptFailure::Malformed),
            (_, CHANGE_CIPHER_SPEC) => Err(DecryptFailure::Renegotiated),
            (ClientKeys::Handshake(keys) | ClientKeys::Application(keys), _) => {
                let header = client.records.header();
                let opened = keys
                    .open(header, &mut client.records.fragment)
                    .ok_or(DecryptFailure::TagFailed)?;
                if opened.kind == APPLICATION_DATA {
                    each(opened.content);
                }
                Ok(())
            }
        }
    }

    fn client_record_13(&mut self, each: &mut impl FnMut(&[u8])) -> Result<(), DecryptFailure> {
        let chosen = self.suite_13()?;
        let (client, secrets) = (&mut self.client, &self.secrets);
        let header = client.records.header();
        if let ClientKeys::None = client.keys {
            // Whose key it is shows by the tag: the handshake's, or where that was not given, the session's own.
            let handshake = [secrets.client_handshake, secrets.client_traffic];
            let mut found = None;
            for (at, secret) in handshake.into_iter().enumerate() {
                let Some(secret) = secret else { continue };
                for suite in chosen.as_ref().map_or_else(
                    || suite::of_13_by_len(secret.as_bytes().len()),
                    std::slice::from_ref,
                ) {
                    client.attempt.clear();
                    client.attempt.extend_from_slice(&client.records.fragment);
                    if let Some(mut opener) = Opener::of_13(secret, *suite)
                        && found.is_none()
                        && opener.open(header, &mut client.attempt).is_some()
                    {
                        found = Opener::of_13(secret, *suite).map(|fresh| (at, fresh));
                    }
                }
            }
            client.attempt.clear();
            client.keys = match found {
                Some((0, opener)) => ClientKeys::Handshake(opener),
                Some((_, opener)) => ClientKeys::Application(opener),
                None => {
                    let len = client.records.fragment.len();
                    client.passed_over = client.passed_over.saturating_add(len);
                    let is_early = self.offers_early_data || secrets.client_handshake.is_none();
                    return if is_early && client.passed_over <= EARLY_BYTES_MAX {
                        Ok(())
                    } else {
                        Err(DecryptFailure::TagFailed)
                    };
                }
            };
        }
        let mut finished = false;
        let mut updated = false;
        let (ClientKeys::Handshake(keys) | ClientKeys::Application(keys)) = &mut client.keys else {
            return Ok(());
        };
        let opened = keys
            .open(header, &mut client.records.fragment)
            .ok_or(DecryptFailure::TagFailed)?;
        match opened.kind {
            APPLICATION_DATA => each(opened.content),
            HANDSHAKE => {
                let mut message = |kind: u8, _: &[u8]| {
                    finished |= kind == FINISHED;
                    updated |= kind == KEY_UPDATE;
                };
                client.messages.feed(opened.content, |_| 0, &mut message);
            }
            _ => {}
        }
        match &client.keys {
            ClientKeys::Handshake(keys) if finished => {
                let secret = secrets.client_traffic.ok_or(DecryptFailure::NoKey)?;
                let suite = keys.suite().ok_or(DecryptFailure::UnsupportedSuite)?;
                let keys = Opener::of_13(secret, suite).ok_or(DecryptFailure::TagFailed)?;
                client.keys = ClientKeys::Application(keys);
            }
            ClientKeys::Application(keys) if updated => {
                let next = keys.next().ok_or(DecryptFailure::TagFailed)?;
                client.keys = ClientKeys::Application(next);
            }
            _ => {}
        }
        Ok(())
    }

    /// The suite that the server chose; `None` where its hello was not seen.
    fn suite_13(&self) -> Result<Option<suite::Suite>, DecryptFailure> {
        let Some(hello) = self.hello else {
            return Ok(None);
        };
        if hello.version != TLS_13 {
            return Err(DecryptFailure::UnsupportedVersion);
        }
        suite::of_13(hello.cipher_suite)
            .map(Some)
            .ok_or(DecryptFailure::UnsupportedSuite)
    }

    fn server_record(&mut self, show: &mut impl FnMut(ShownCertificate<'_>)) {
        let server = &mut self.server;
        let header = server.records.header();
        let [kind, ..] = header;
        match (&mut server.keys, kind) {
            (None, HANDSHAKE) => {
                let mut hello = None;
                let mut message = |kind: u8, body: &[u8]| {
                    if kind == SERVER_HELLO && hello.is_none() {
                        hello = ServerHello::parse(body).ok();
                    }
                };
                let fragment = &server.records.fragment;
                server.messages.feed(fragment, server_keeps, &mut message);
                match hello {
                    None => {}
                    Some(hello) if hello.random == HELLO_RETRY_REQUEST => {}
                    Some(hello) => {
                        self.hello = Some(hello);
                        self.begin_server_keys(&hello);
                    }
                }
            }
            (_, CHANGE_CIPHER_SPEC) if self.hello.is_none_or(|hello| hello.version != TLS_12) => {}
            (Some(keys), APPLICATION_DATA) => {
                let Some(opened) = keys.open(header, &mut server.records.fragment) else {
                    server.done = true;
                    return;
                };
                let Some(hello) = self.hello.as_mut() else {
                    return;
                };
                if opened.kind != HANDSHAKE {
                    server.done = true;
                    return;
                }
                let done = &mut server.done;
                let mut message = |kind: u8, body: &[u8]| match kind {
                    ENCRYPTED_EXTENSIONS => hello.take_extensions(body),
                    CERTIFICATE if !*done => {
                        *done = true;
                        if let Some(der) = first_certificate(body) {
                            show(ShownCertificate { der, hello });
                        }
                    }
                    FINISHED => *done = true,
                    _ => {}
                };
                server
                    .messages
                    .feed(opened.content, server_keeps, &mut message);
            }
            _ => server.done = true,
        }
    }

    /// The server has chosen: from TLS 1.3 on, what follows is encrypted.
    fn begin_server_keys(&mut self, hello: &ServerHello) {
        let keys = match (
            self.secrets.server_handshake,
            suite::of_13(hello.cipher_suite),
        ) {
            (Some(secret), Some(suite)) if hello.version == TLS_13 => Opener::of_13(secret, suite),
            _ => None,
        };
        self.server.done = keys.is_none();
        self.server.keys = keys;
    }
}

/// How much of a server's message is kept.
fn server_keeps(kind: u8) -> usize {
    match kind {
        SERVER_HELLO | ENCRYPTED_EXTENSIONS => HELLO_BYTES_MAX,
        // The server's own is the first: what follows it is cut off.
        CERTIFICATE => (CERTIFICATE_BYTES_MAX as usize).saturating_add(512),
        _ => 0,
    }
}

/// The first certificate of a message of TLS 1.3 (RFC 8446 §4.4.2).
fn first_certificate(body: &[u8]) -> Option<&[u8]> {
    let mut body = Reader::new(body);
    let context_len = body.u8().ok()?;
    body.skip(usize::from(context_len)).ok()?;
    body.skip(3).ok()?;
    let len = body.take(3).ok()?;
    let [l0, l1, l2] = *len.first_chunk::<3>()?;
    let len = u32::from_be_bytes([0, l0, l1, l2]);
    if len == 0 || len > CERTIFICATE_BYTES_MAX {
        return None;
    }
    body.take(len as usize).ok()
}
