//! Bytes of one DHCP message → what it says of the client: DHCP for IPv4 (RFC 2131, RFC 2132, RFC 4702) and IPv6 (RFC 8415, RFC 4704).
//!
//! **Invariants**: the work on a message is bounded by its length, [`OPTIONS_MAX`] and [`RELAYS_MAX`]; what cannot be read costs
//! what stands behind it, never what was read before.

mod v4;
mod v6;

#[cfg(test)]
mod tests;

use super::short_text::ShortText;
use crate::model::DhcpType;

/// Options read of a message, with those inside others. Clients send some twenty.
pub const OPTIONS_MAX: u32 = 256;
/// Relays that a message of IPv6 may have gone through (RFC 8415 §7.6, HOP_COUNT_LIMIT).
pub const RELAYS_MAX: u32 = 8;

/// What a message says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Message<'a> {
    /// A server sent it.
    pub from_server: bool,
    /// What kind of message; `None` for BOOTP, which has no kinds.
    pub kind: Option<DhcpType>,
    /// The number that joins a question and its answer; of IPv6 three bytes.
    pub id: u32,
    /// The client's address on the link, Ethernet's; of IPv6 as its identifier names it.
    pub mac: Option<[u8; 6]>,
    /// The client's identifier as sent: option 61, or the DUID.
    pub client_id: &'a [u8],
    /// The client's name: the fully qualified one where there is one, else the host name.
    pub name: ShortText,
    /// The client's make: option 60, or the first vendor class of IPv6.
    pub vendor_class: &'a [u8],
    /// The address that the client has, IPv4 mapped.
    pub client_address: Option<[u8; 16]>,
    /// The address that the client asks for.
    pub requested_address: Option<[u8; 16]>,
    /// The address that the server gives.
    pub assigned_address: Option<[u8; 16]>,
    /// For how many seconds.
    pub lease_seconds: Option<u32>,
    /// The message ends early or contradicts itself; what stood before that was read.
    pub damaged: bool,
}

/// Why bytes are no message that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DhcpError {
    /// Fewer bytes than the fixed part has.
    #[error("shorter than the fixed part of a message")]
    Short,
    /// Neither a question nor an answer.
    #[error("neither a question nor an answer")]
    NoMessage,
    /// More relays than a message may go through.
    #[error("more relays than a message may go through")]
    TooManyRelays,
}

/// Reads a message of IPv4.
///
/// # Errors
///
/// Where the fixed part cannot be read.
pub fn parse_v4(bytes: &[u8]) -> Result<Message<'_>, DhcpError> {
    v4::parse(bytes)
}

/// Reads a message of IPv6; behind relays, the client's.
///
/// # Errors
///
/// Where the fixed part cannot be read.
pub fn parse_v6(bytes: &[u8]) -> Result<Message<'_>, DhcpError> {
    v6::parse(bytes)
}

/// A name as text: without the zeros that some clients end it with, and without a last dot.
fn text_name(bytes: &[u8]) -> ShortText {
    let mut name = ShortText::default();
    let end = bytes
        .iter()
        .rposition(|byte| !matches!(byte, 0 | b'.'))
        .map_or(0, |last| last.saturating_add(1));
    name.push(bytes.get(..end).unwrap_or_default());
    name
}

/// A name in labels without pointers (RFC 1035 §3.1); the last, empty one may be missing (RFC 4702 §2.3.1, RFC 4704 §4.2).
fn wire_name(mut bytes: &[u8]) -> ShortText {
    let mut name = ShortText::default();
    while let Some((len @ 1..=63, rest)) = bytes.split_first() {
        let Some((label, rest)) = rest.split_at_checked(usize::from(*len)) else {
            return ShortText::default();
        };
        if (!name.is_empty() && !name.push(b".")) || !name.push(label) {
            return ShortText::default();
        }
        bytes = rest;
    }
    name
}

/// Reads any bytes as a message of either version, and as every shorter one; holds every bound: the target that fuzzing calls.
///
/// # Panics
///
/// When what it checks does not hold.
pub fn fuzz_message(bytes: &[u8]) {
    for parse in [parse_v4, parse_v6] {
        let whole = parse(bytes);
        assert!(parse(bytes) == whole, "read twice, two results");
        if let Ok(message) = whole {
            assert!(message.client_id.len() <= bytes.len());
            assert!(message.vendor_class.len() <= bytes.len());
        }
        for end in (0..bytes.len()).rev().take(64) {
            let _ = parse(bytes.get(..end).unwrap_or_default());
        }
    }
}
