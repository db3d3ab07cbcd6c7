//! What single payloads say of their flow: which protocol it is, whether a client begins here, and the bucket where nothing is read.

use super::Segment;
use crate::flow::{Directed, FlowEntry, FlowFlags};
use crate::model::{AppProtocol, Carries, Coverage};
use crate::observe::hello::{finish, settle};
use crate::protocol::recognise::{Transport, looks_random, recognise};
use crate::protocol::starttls::style_of;
use crate::protocol::{http1, tls};

use super::beginnings::is_sure_head;
use super::{CLIENT_UNKNOWN, LOOKS_MAX};

/// Whether the bytes tell what protocol it is. If it is one that shows no name, nothing more is read of the flow.
pub(super) fn recognised(
    entry: &mut FlowEntry,
    direction: Directed,
    segment: &Segment<'_>,
) -> bool {
    let found = recognise(
        Transport::Tcp,
        segment.source_port,
        segment.destination_port,
        segment.payload,
    );
    let Some(protocol) = found else { return false };
    entry.set_app_protocol(protocol);
    match protocol {
        // Its beginning was not seen from this side; the client's may still come.
        AppProtocol::Tls | AppProtocol::Http => {
            if !entry.flags.has(FlowFlags::MIDSTREAM) {
                settle(
                    entry,
                    match protocol {
                        AppProtocol::Tls => Coverage::NoClientHello,
                        _ => Coverage::Lost,
                    },
                );
            }
            direction == Directed::FromResponder
        }
        _ if style_of(protocol).is_some()
            || protocol == AppProtocol::Http2 && direction == Directed::FromResponder =>
        {
            // Its client may ask for TLS, or has yet to speak.
            settle(entry, coverage_of(protocol));
            true
        }
        _ => {
            finish(entry, coverage_of(protocol));
            true
        }
    }
}

/// The bucket of a flow in which a protocol was recognised and no name was read.
pub fn coverage_of(protocol: AppProtocol) -> Coverage {
    match protocol.carries() {
        Carries::Packets => Coverage::Tunnel,
        Carries::Nothing => Coverage::NamelessProtocol,
        Carries::Names | Carries::Encrypted => match protocol {
            AppProtocol::Quic => Coverage::QuicUndecryptable,
            AppProtocol::Tls | AppProtocol::Dtls => Coverage::NoClientHello,
            AppProtocol::Dns | AppProtocol::Mdns | AppProtocol::Llmnr | AppProtocol::Nbns => {
                Coverage::NameService
            }
            _ => Coverage::NamelessProtocol,
        },
    }
}

/// The bucket of a flow whose first bytes are those of no protocol that is known.
pub fn unrecognised(payload: &[u8]) -> Coverage {
    if looks_random(payload) {
        Coverage::OpaquePayload
    } else {
        Coverage::OtherProtocol
    }
}

/// One more packet that told nothing; after some, nothing more is expected.
pub(super) fn look_again(entry: &mut FlowEntry) {
    entry.looked_at = entry.looked_at.saturating_add(1);
    if entry.looked_at & !CLIENT_UNKNOWN >= LOOKS_MAX {
        entry.flags.set(FlowFlags::INSPECTED);
    }
}

/// Some devices count the padding of a short Ethernet frame as payload: at most six bytes of zeros. But for DNS, and
/// PostgreSQL on its port, nothing that is read here begins so, and the stream goes on as if they had not been sent.
pub(super) fn is_padding(payload: &[u8]) -> bool {
    const PADDING_MAX: usize = 6;
    !payload.is_empty() && payload.len() <= PADDING_MAX && payload.iter().all(|byte| *byte == 0)
}

/// Only where the beginning was not seen can the sides be the wrong way round; and nothing may have been reported of them.
pub(super) fn may_be_swapped(entry: &FlowEntry) -> bool {
    entry.flags.has(FlowFlags::MIDSTREAM) && !entry.flags.has(FlowFlags::HAS_DETAIL)
}

/// Whether a protocol was recognised whose client may ask for TLS.
pub(super) fn may_ask_for_tls(entry: &FlowEntry) -> bool {
    entry.app_protocol().and_then(style_of).is_some()
}

/// Whether a client's stream whose beginning was not seen begins here.
#[inline]
pub(super) fn is_head(payload: &[u8]) -> bool {
    is_hello_head(payload) || is_request_head(payload) || is_sure_head(payload)
}

/// Whether a stream whose beginning was not seen begins here: enough of a record of handshake type to believe it.
#[inline]
pub(super) fn is_hello_head(payload: &[u8]) -> bool {
    payload.len() >= 3 && tls::begins_like_hello(payload)
}

/// Whether a request begins here, by more than its first letters: in the middle of a stream they prove little.
#[inline]
pub(super) fn is_request_head(payload: &[u8]) -> bool {
    payload.len() >= 16
        && http1::begins_like_request(payload)
        && !matches!(http1::look(payload), http1::Look::Other)
}
