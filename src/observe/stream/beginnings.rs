//! The first bytes of a client, or of what is inside a tunnel → who reads on.

use crate::model::AppProtocol;
use crate::protocol::recognise::{Transport, recognise};
use crate::protocol::starttls::{self, Style, style_of};
use crate::protocol::{http1, http2, socks, tls};

/// Bytes that wait until there are enough to choose by: more than any beginning that two protocols share.
const HEAD_BYTES: usize = 64;

/// Who reads on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// There are too few bytes to tell.
    Wait,
    Hello,
    Requests,
    Http2,
    Socks,
    /// A protocol that may ask for TLS.
    Watch(Option<AppProtocol>, Style),
    Dns,
    /// Nobody.
    Nobody,
}

/// Where the bytes come from.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub(super) ports: (u16, u16),
    pub(super) dns_port: bool,
    /// Behind a request for a tunnel, or for another protocol.
    pub(super) inside: bool,
}

/// Chooses by content; `known` is what the server was recognised by.
pub(super) fn choose(head: &[u8], known: Option<AppProtocol>, place: Place) -> Choice {
    if tls::begins_like_hello(head) {
        return Choice::Hello;
    }
    let is_request = http1::begins_like_request(head);
    let spoken = known.filter(|_| !place.inside);
    if let Some(protocol) = spoken
        && let Some(style) = style_of(protocol)
        && !(is_request && matches!(http1::look(head), http1::Look::Request(..)))
    {
        return Choice::Watch(Some(protocol), style);
    }
    if place.dns_port {
        return if is_request {
            Choice::Requests
        } else {
            Choice::Dns
        };
    }
    if socks::begins_like_client(head) {
        return Choice::Socks;
    }
    let is_preface = http2::begins_like_client(head);
    let may_ask = starttls::may_begin(head, place.ports);
    match (is_request, is_preface, may_ask) {
        (true, true, _) | (true, _, true) => return Choice::Wait,
        (true, ..) => return Choice::Requests,
        (_, true, _) => return Choice::Http2,
        _ => {}
    }
    let (from, to) = place.ports;
    if let Some(protocol) = recognise(Transport::Tcp, from, to, head)
        && let Some(style) = style_of(protocol)
    {
        return Choice::Watch(Some(protocol), style);
    }
    if may_ask {
        Choice::Wait
    } else if starttls::is_command(head) || starttls::is_line(head, place.ports) {
        Choice::Watch(None, Style::Lines)
    } else {
        Choice::Nobody
    }
}

/// Whether a stream whose beginning was not seen begins here, by more than its first bytes.
pub(super) fn is_sure_head(head: &[u8]) -> bool {
    socks::is_client(head)
        || head.len() >= 16 && http2::begins_like_client(head)
        || starttls::is_command(head)
}

/// Bytes that wait for more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    bytes: [u8; HEAD_BYTES],
    len: u8,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            bytes: [0; HEAD_BYTES],
            len: 0,
        }
    }
}

impl Head {
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Takes a byte more; false if there is no room.
    pub(super) fn push(&mut self, byte: u8) -> bool {
        let Some(place) = self.bytes.get_mut(usize::from(self.len)) else {
            return false;
        };
        *place = byte;
        self.len = self.len.saturating_add(1);
        true
    }
}
