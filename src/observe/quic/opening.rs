//! How a connection began → whether a later datagram of its flow begins another one.
//!
//! A client may connect again and again from one port. What belongs to a connection that runs never opens with keys derived from
//! its own connection id, but for three: a repeated Initial, which has the same id; the one behind a Retry, which has a token and
//! the same hello (RFC 9000 §17.2.5.3); and the one behind a version negotiation (RFC 9000 §6.2). The last two come before the
//! server has sent anything of its handshake, whose first datagram is large.

use xxhash_rust::xxh3::xxh3_64;

use super::QuicReader;
use crate::flow::{FlowEntry, FlowFlags, Side};
use crate::protocol::quic::{Client, INITIAL_DATAGRAM_MIN, Look, Version, first_connection_id};
use crate::protocol::tls::ServerName;

/// Datagrams of a flow that are tried for whether they begin another connection, and do not. A client answers its server with some
/// Initial packets that are laid out as its first one.
const TRIES_MAX: u8 = 32;

/// A server that has sent less has sent no Initial, which fills a datagram (RFC 9000 §14.1); refusals are far smaller.
const ANSWER_MIN: u64 = INITIAL_DATAGRAM_MIN as u64;

/// What tells the beginning of a connection from that of another: sums, of which two are equal by chance once in 2³².
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// Of the connection ids that keys were derived from: the first, and the latest.
    ids: Option<[u32; 2]>,
    /// Of the random bytes in its hello.
    random: Option<u32>,
    /// Of the server name.
    name: Option<u32>,
    version: Version,
    has_token: bool,
    tries: u8,
}

impl Opening {
    /// Learns from a client of which a packet was opened.
    pub(super) fn learn(&mut self, client: &Client) {
        let latest = sum(client.keyed_id().unwrap_or_default());
        let first = self.ids.map_or(latest, |[first, _]| first);
        self.ids = Some([first, latest]);
        self.random = client.random().map(sum);
        let name = match client.look() {
            Look::Hello(hello) => hello.server_name,
            Look::GoogleHello(name) => name,
            Look::Begins | Look::Other => ServerName::Absent,
        };
        self.name = match name {
            ServerName::Name(name) => Some(sum(name)),
            _ => None,
        };
        self.version = client.version();
        self.has_token |= client.has_token();
    }

    /// Whether it is another connection that begins so. `is_answered`: the server has begun its part of the handshake.
    fn is_another(&self, next: &Self, is_answered: bool) -> bool {
        if self.ids.is_none() {
            return true;
        }
        let may_go_on = self.has_token || next.has_token || self.version != next.version;
        let is_elsewhere = self.name.is_some() && next.name.is_some() && self.name != next.name;
        // Some clients make a new hello behind a Retry, against the standard, and all do behind a version negotiation.
        let is_repeated = self.random.is_some() && self.random == next.random;
        !may_go_on || is_elsewhere || is_answered && !is_repeated
    }
}

/// Whether a datagram is to be looked at for whether it begins another connection; true of few: packets behind a handshake have short
/// headers.
#[inline]
pub fn may_begin_another(payload: &[u8]) -> bool {
    payload.len() >= INITIAL_DATAGRAM_MIN && payload.first().is_some_and(|first| *first >= 0x80)
}

impl QuicReader {
    /// Whether a datagram begins another connection than the one that began with `opening`: it is laid out as a client's first, and
    /// opens with keys derived from its own connection id.
    pub fn begins_another(
        &mut self,
        entry: &FlowEntry,
        opening: &mut Opening,
        sender: Side,
        payload: &[u8],
    ) -> bool {
        // Where nothing was opened yet, it is read as the first of its flow as long as there is hope for one.
        if opening.ids.is_none() && !entry.flags.has(FlowFlags::INSPECTED) {
            return false;
        }
        // Where a packet was opened, it is known who the client is.
        if opening.ids.is_some() && entry.initiator() != sender {
            return false;
        }
        let Some(id) = first_connection_id(payload).map(sum) else {
            return false;
        };
        if opening.ids.is_some_and(|ids| ids.contains(&id)) {
            return false;
        }
        if opening.tries >= TRIES_MAX {
            self.counters.untried = self.counters.untried.saturating_add(1);
            return false;
        }
        opening.tries = opening.tries.saturating_add(1);
        self.fresh.reset();
        let room = self.room(0);
        if self.fresh.take(&mut self.opener, payload, room).opened == 0 {
            return false;
        }
        // Google's in clear has ids of another kind, which are not compared.
        if self.fresh.keyed_id().is_none() {
            return false;
        }
        let mut next = Opening::default();
        next.learn(&self.fresh);
        let [_, answered] = entry.counters().bytes;
        let is_another = opening.is_another(&next, answered >= ANSWER_MIN);
        if !is_another {
            opening.learn(&self.fresh);
        }
        is_another
    }
}

/// Of the 64 bits of a hash as many as are kept.
fn sum(bytes: &[u8]) -> u32 {
    xxh3_64(bytes) as u32
}
