//! Which flows carry encrypted questions to a name service, by what they showed and where they went.
//!
//! Any of these is a sign: the name of a known resolver; an ALPN that says so; a port that stands for nothing else, together with
//! the protocol that belongs there; the target of a question over HTTP; and, for a flow that shows no name, the address of a known
//! resolver. What is inside is not seen, so the words are: it speaks to a resolver in a way that questions travel.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use crate::attribute::Resolvers;
use crate::decode::{TCP, UDP};
use crate::flow::{FlowEntry, FlowFlags};
use crate::model::{AppProtocol, Coverage};

/// DNS over TLS (RFC 7858 §3.1), DTLS (RFC 8094 §3.1) and QUIC (RFC 9250 §4.1.1).
const PORT: u16 = 853;
/// DNS over QUIC before it had a port of its own: drafts up to 02 named 784, servers of that time also listened on 8853.
const EARLY_QUIC_PORTS: [u16; 2] = [784, 8853];
/// HTTPS, over TCP and QUIC.
const HTTPS_PORT: u16 = 443;

/// What a message of the client says about a name service.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Signs<'a> {
    /// The name of the server, or of the other end of a tunnel.
    pub name: Option<&'a [u8]>,
    /// A protocol that is offered or was chosen (ALPN, RFC 7301); whoever reads it gives each.
    pub alpn: Option<&'a [u8]>,
    /// The target of a request.
    pub target: Option<&'a [u8]>,
}

impl Signs<'_> {
    /// Notes with the flow that it carries encrypted questions, if the message says so.
    #[inline]
    pub fn note(self, entry: &mut FlowEntry, resolvers: &Resolvers) {
        if self.name.is_some_and(|name| resolvers.knows_name(name))
            || self.alpn.is_some_and(is_dns)
            || self.target.is_some_and(asks)
        {
            entry.flags.set(FlowFlags::ENCRYPTED_DNS);
        }
    }
}

/// The ALPN of DNS over TLS (RFC 7858, as registered), and of DNS over QUIC (RFC 9250 §4.1.1) with its drafts.
fn is_dns(protocol: &[u8]) -> bool {
    protocol == b"dot" || protocol == b"doq" || protocol.starts_with(b"doq-")
}

/// A question over HTTP in the form that nearly all servers use (RFC 8484 §4.1, §4.2 and its examples): the path, and for GET the
/// question behind it. Other paths cannot be told from anything else.
fn asks(target: &[u8]) -> bool {
    target == b"/dns-query" || target.starts_with(b"/dns-query?")
}

/// The flow reports: its bucket, all signs considered.
///
/// What is attributed stays so, since a vendor's own resolver is contact with the vendor. A resolver's name goes before
/// `named_not_security`: that bucket claims to know what was done, and here the questions inside, perhaps about vendors, are hidden.
pub(super) fn settle(entry: &mut FlowEntry, resolvers: &Resolvers) {
    if !entry.flags.has(FlowFlags::ENCRYPTED_DNS)
        && (is_by_port(entry) || is_by_address(entry, resolvers))
    {
        entry.flags.set(FlowFlags::ENCRYPTED_DNS);
    }
    if entry.flags.has(FlowFlags::ENCRYPTED_DNS) && entry.coverage() != Coverage::Attributed {
        entry.set_coverage(Coverage::EncryptedDns);
    }
}

fn is_by_port(entry: &FlowEntry) -> bool {
    let port = entry.responder_endpoint().port;
    match (entry.key.protocol(), entry.app_protocol()) {
        (TCP, Some(AppProtocol::Tls)) | (UDP, Some(AppProtocol::Dtls)) => port == PORT,
        (UDP, Some(AppProtocol::Quic)) => port == PORT || EARLY_QUIC_PORTS.contains(&port),
        _ => false,
    }
}

/// Without a name to go by, or with one that may be a cover.
fn is_by_address(entry: &FlowEntry, resolvers: &Resolvers) -> bool {
    let is_nameless = !matches!(
        entry.coverage(),
        Coverage::Attributed | Coverage::NamedNotSecurity
    );
    let server = entry.responder_endpoint();
    matches!(
        entry.app_protocol(),
        Some(AppProtocol::Tls | AppProtocol::Quic)
    ) && server.port == HTTPS_PORT
        && is_nameless
        && resolvers.knows_address(server.address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_and_targets_of_questions_are_known() {
        for protocol in [&b"dot"[..], b"doq", b"doq-i02"] {
            assert!(is_dns(protocol));
        }
        for protocol in [&b"h2"[..], b"h3", b"do", b"doqument"] {
            assert!(!is_dns(protocol));
        }
        assert!(asks(b"/dns-query") && asks(b"/dns-query?dns=AAABAAAB"));
        assert!(!asks(b"/dns-query-log") && !asks(b"/") && !asks(b"/help/dns-query"));
    }
}
