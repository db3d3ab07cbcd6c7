//! A client's datagrams, in any order → the name of the server that it wants.
//!
//! **Invariants**: nothing is believed that its tag does not vouch for; the keys are those of the first connection id that
//! opened a packet, or of one that opened a later packet by itself; work for a datagram is bounded.

use super::crypto::CryptoStream;
use super::frames;
use super::google::{self, ClearPacket};
use super::header::{LongPacket, Protected, is_long};
use super::keys::{ClientKeys, Salts};
use super::version::{Scheme, Version};
use crate::protocol::tls::{self, ClientHello, ServerName};

/// Packets that are looked at in one datagram: an Initial, a Handshake and a 0-RTT packet are usual.
const PACKETS_MAX: usize = 8;

/// What all clients share: reused from datagram to datagram.
#[derive(Debug, Default)]
pub struct Opener {
    salts: Salts,
    buffer: Vec<u8>,
}

/// What became of a datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Packets that were opened, or in clear and whole.
    pub opened: u8,
    /// Whether an Initial could be opened with no key.
    pub undecryptable: bool,
    /// Whether a packet is longer than the datagram: it was cut.
    pub cut: bool,
    /// Pieces of the handshake that were refused.
    pub refused_pieces: u16,
}

/// What is known of the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look<'a> {
    /// The hello.
    Hello(ClientHello<'a>),
    /// A hello of Google's own handshake, and the server that the client wants.
    GoogleHello(ServerName<'a>),
    /// Part of it has not come yet.
    Begins,
    /// It begins with something else.
    Other,
}

/// The client of one flow.
#[derive(Debug, Default)]
pub struct Client {
    keyed: Option<Keyed>,
    version: Version,
    /// A packet with a token was opened: there may have been a Retry.
    has_token: bool,
    google_handshake: bool,
    crypto: CryptoStream,
}

/// Keys, and what they were derived from.
#[derive(Debug)]
struct Keyed {
    scheme: Scheme,
    id: ConnectionId,
    keys: ClientKeys,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ConnectionId {
    len: u8,
    bytes: [u8; 20],
}

impl ConnectionId {
    fn of(bytes: &[u8]) -> Self {
        let mut id = Self {
            len: bytes.len() as u8,
            ..Self::default()
        };
        for (place, byte) in id.bytes.iter_mut().zip(bytes) {
            *place = *byte;
        }
        id
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl Client {
    /// Begins anew; memory stays.
    pub fn reset(&mut self) {
        self.keyed = None;
        self.version = Version::default();
        self.has_token = false;
        self.google_handshake = false;
        self.crypto.reset();
    }

    /// Memory that the handshake holds.
    pub fn held_bytes(&self) -> usize {
        self.crypto.held_bytes()
    }

    /// Gives back memory that an unusual hello needed.
    pub fn shrink(&mut self, keep: usize) {
        self.reset();
        self.crypto.shrink(keep);
    }

    /// The version of what was opened last.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The random bytes of its hello of TLS, as soon as they came: they are the same behind a Retry (RFC 9000 §17.2.5.3).
    pub fn random(&self) -> Option<&[u8]> {
        const CLIENT_HELLO: u8 = 1;
        // Type, length and legacy version lie before them (RFC 8446 §4.1.2).
        const RANDOM: std::ops::Range<usize> = 6..38;
        let message = self.crypto.beginning();
        if self.google_handshake || message.first() != Some(&CLIENT_HELLO) {
            return None;
        }
        message.get(RANDOM)
    }

    /// Whether a packet with a token was opened: there may have been a Retry.
    pub fn has_token(&self) -> bool {
        self.has_token
    }

    /// The connection id that the keys were derived from.
    pub fn keyed_id(&self) -> Option<&[u8]> {
        self.keyed.as_ref().map(|keyed| keyed.id.as_bytes())
    }

    /// Takes a datagram; `room` is what the handshake may hold.
    pub fn take(&mut self, opener: &mut Opener, datagram: &[u8], room: usize) -> Taken {
        let mut taken = Taken::default();
        if !is_long(datagram) || is_google_long(datagram) {
            self.take_clear(datagram, room, &mut taken);
            return taken;
        }
        let mut rest = datagram;
        for _ in 0..PACKETS_MAX {
            let Ok(packet) = LongPacket::parse(rest) else {
                taken.cut = is_long(rest);
                break;
            };
            if packet.version == Version::NEGOTIATION || is_retry(&packet) {
                break;
            }
            let is_initial = is_initial(&packet);
            let Ok(protected) = packet.protected(is_initial) else {
                taken.cut = true;
                break;
            };
            if is_initial && !self.open(opener, &packet, &protected, room, &mut taken) {
                taken.undecryptable = true;
                break;
            }
            rest = protected.behind;
        }
        taken
    }

    /// What has come of the handshake so far.
    pub fn look(&self) -> Look<'_> {
        let message = self.crypto.beginning();
        if self.google_handshake {
            match google::look(message) {
                google::Look::Hello(server_name) => Look::GoogleHello(server_name),
                google::Look::Begins => Look::Begins,
                google::Look::Other => Look::Other,
            }
        } else {
            match tls::look_message(message) {
                tls::Look::Hello(hello) => Look::Hello(hello),
                tls::Look::Begins => Look::Begins,
                tls::Look::Other => Look::Other,
            }
        }
    }

    /// Opens an Initial and takes its pieces of the handshake; gives whether its tag held.
    fn open(
        &mut self,
        opener: &mut Opener,
        packet: &LongPacket<'_>,
        protected: &Protected<'_>,
        room: usize,
        taken: &mut Taken,
    ) -> bool {
        let Opener { salts, buffer } = opener;
        let id = ConnectionId::of(packet.destination_id);
        let schemes = packet.version.schemes(packet.packet_type);
        // The keys stay those of the first connection id, whatever the client calls its server later (RFC 9001 §5.2).
        if let Some(keyed) = &self.keyed
            && schemes.clone().any(|scheme| scheme == keyed.scheme)
            && let Some(frames) = keyed.keys.open(protected, buffer)
        {
            let scheme = keyed.scheme;
            self.version = packet.version;
            self.pieces(scheme, frames, room, taken);
            return true;
        }
        let derived_before = self.keyed.as_ref().map(|keyed| (keyed.scheme, keyed.id));
        // A Retry, or another version, gives the connection a new first id (RFC 9001 §5.2).
        for scheme in schemes.clone() {
            if derived_before == Some((scheme, id)) {
                continue;
            }
            if let Some(keys) = ClientKeys::derive(salts, scheme, id.as_bytes())
                && let Some(frames) = keys.open(protected, buffer)
            {
                // Before and behind a Retry the handshake is the same (RFC 9000 §17.2.5.3); else it is another one.
                self.has_token |= has_token(packet);
                let is_same = self.has_token && self.version == packet.version;
                if derived_before.is_some() && !is_same {
                    self.crypto.reset();
                }
                self.keyed = Some(Keyed { scheme, id, keys });
                self.version = packet.version;
                self.pieces(scheme, frames, room, taken);
                return true;
            }
        }
        // A version that server and client agreed on takes the first id and its own salt (RFC 9369 §4.1).
        if let Some((before, first)) = derived_before {
            for scheme in schemes.filter(|scheme| *scheme != before) {
                if let Some(keys) = ClientKeys::derive(salts, scheme, first.as_bytes())
                    && let Some(frames) = keys.open(protected, buffer)
                {
                    self.pieces(scheme, frames, room, taken);
                    return true;
                }
            }
        }
        false
    }

    fn pieces(&mut self, scheme: Scheme, frames: &[u8], room: usize, taken: &mut Taken) {
        taken.opened = taken.opened.saturating_add(1);
        self.google_handshake = scheme.has_google_handshake();
        let crypto = &mut self.crypto;
        let mut each = |offset, piece: &[u8]| {
            if crypto.insert(offset, piece, room).is_err() {
                taken.refused_pieces = taken.refused_pieces.saturating_add(1);
            }
        };
        // What is damaged behind a piece takes nothing from it.
        let _ = if scheme.has_google_frames() {
            google::frames(frames, true, &mut each)
        } else {
            frames::crypto(frames, &mut each)
        };
    }

    /// A packet of Google's before Q050.
    fn take_clear(&mut self, datagram: &[u8], room: usize, taken: &mut Taken) {
        let Ok(packet) = ClearPacket::parse(datagram) else {
            return;
        };
        if !packet.is_whole() {
            taken.undecryptable = true;
            return;
        }
        if self.version != packet.version {
            self.crypto.reset();
        }
        self.version = packet.version;
        self.google_handshake = true;
        taken.opened = taken.opened.saturating_add(1);
        let crypto = &mut self.crypto;
        let _ = packet.pieces(&mut |offset, piece| {
            if crypto.insert(offset, piece, room).is_err() {
                taken.refused_pieces = taken.refused_pieces.saturating_add(1);
            }
        });
    }
}

/// Whether it is a long header of Google's Q044 to Q049.
fn is_google_long(datagram: &[u8]) -> bool {
    let version = datagram.get(1..).and_then(|rest| rest.first_chunk());
    version.is_some_and(|version| {
        Version(u32::from_be_bytes(*version))
            .google_in_clear()
            .is_some()
    })
}

fn is_initial(packet: &LongPacket<'_>) -> bool {
    packet.version.schemes(packet.packet_type).next().is_some()
}

/// A Retry has no length: it fills its datagram (RFC 9000 §17.2.5; RFC 9369 §3.2).
fn is_retry(packet: &LongPacket<'_>) -> bool {
    match packet.version.scheme() {
        Some(scheme) if scheme.has_types_of_v2() => packet.packet_type == 0 && !is_initial(packet),
        _ => packet.packet_type == 3,
    }
}

fn has_token(packet: &LongPacket<'_>) -> bool {
    packet.rest.first().is_some_and(|len| *len != 0)
}
