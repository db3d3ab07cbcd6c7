//! A frame → a [`Packet`]: innermost addresses, ports, lengths and where the payload lies; or why there is none.
//!
//! **Invariants**: cannot panic; takes only the frame; the work is bounded by [`LAYERS_MAX`], [`LABELS_MAX`] and [`EXTENSION_HEADERS_MAX`];
//! every frame has exactly one [`Decoded`]. Addresses are 16 bytes each, IPv4 as `::ffff:a.b.c.d`.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod link;
mod link_source;
mod network;
mod serial;
pub mod transport;
mod tunnel;
mod wireless;

#[cfg(test)]
mod link_tests;
#[cfg(test)]
mod tests;

use crate::capture::RawPacket;
use crate::model::closed_set;

pub use link_source::{LinkSource, Mac};
pub use network::EXTENSION_HEADERS_MAX;
pub use transport::{ICMP, ICMPV6, TCP, TcpFlags, UDP};
pub use tunnel::{LABELS_MAX, LAYERS_MAX, TunnelKind, TunnelPath};

/// An IP address, IPv4 mapped into IPv6 (RFC 4291 §2.5.5.2).
pub type Address = [u8; 16];

/// Internet protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum IpVersion {
    /// IPv4 (RFC 791).
    V4 = 4,
    /// IPv6 (RFC 8200).
    V6 = 6,
}

/// The two ends and the size of an IP packet.
#[derive(Clone, Copy, Debug)]
pub struct IpHeader {
    /// Sender.
    pub source: Address,
    /// Receiver.
    pub destination: Address,
    /// Bytes counted for this packet: the IP length where it fits the wire length, else the wire length less the link layer.
    pub bytes: u32,
    /// Transport protocol number (IANA).
    pub protocol: u8,
    /// Version of the header.
    pub version: IpVersion,
    /// Identification of an IPv4 packet (RFC 6864); 0 for IPv6.
    pub identification: u16,
}

/// What is read of a TCP header (RFC 9293 §3.1).
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpHeader {
    /// Sequence number of the first payload byte, or of the SYN.
    pub sequence: u32,
    /// Next byte the sender expects, where the ACK flag is set.
    pub acknowledgment: u32,
    /// Flags.
    pub flags: TcpFlags,
}

/// A decoded packet.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// Addresses, protocol, counted bytes.
    pub ip: IpHeader,
    /// Port of the sender; for ICMP see [`transport`].
    pub source_port: u16,
    /// Port of the receiver.
    pub destination_port: u16,
    /// Outermost VLAN identifier, 0 for none. Not part of a flow's key.
    pub vlan: u16,
    /// Checksum of TCP, UDP or ICMP as it stands there; 0 for others.
    pub checksum: u16,
    /// Tags, labels and tunnels that it was taken out of. Not part of a flow's key.
    pub tunnel: TunnelPath,
    /// IP bytes of the packets around it beyond its own; 0 where there are none.
    pub overhead: u32,
    /// For TCP only.
    pub tcp: TcpHeader,
    /// Offset of the payload in the frame.
    pub payload_offset: u32,
    /// Payload bytes that were captured.
    pub payload_len: u32,
    /// Payload bytes on the wire; more than captured where a snapshot length cut the frame.
    pub payload_wire_len: u32,
}

impl Packet {
    /// The captured payload in the frame that this packet was decoded from.
    #[inline]
    pub fn payload<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        let start = self.payload_offset as usize;
        frame
            .get(start..start.saturating_add(self.payload_len as usize))
            .unwrap_or_default()
    }

    /// Whether payload bytes were cut off by the capture.
    #[inline]
    pub fn payload_is_cut(&self) -> bool {
        self.payload_len < self.payload_wire_len
    }
}

/// A piece of a datagram that was sent in several.
#[derive(Clone, Copy, Debug)]
pub struct Fragment {
    /// Addresses, counted bytes of this piece; with IPv6 the protocol is that of what the first piece begins with.
    pub ip: IpHeader,
    /// Tells the datagrams of a sender apart.
    pub identification: u32,
    /// Where its payload belongs in that of the datagram, in bytes.
    pub offset: u32,
    /// Further pieces lie behind it.
    pub more: bool,
    /// Outermost VLAN identifier, 0 for none.
    pub vlan: u16,
    /// Tags, labels and tunnels that it was taken out of.
    pub tunnel: TunnelPath,
    /// IP bytes of the packets around it beyond its own.
    pub overhead: u32,
    /// Offset of its payload in the frame.
    pub payload_offset: u32,
    /// Payload bytes that were captured.
    pub payload_len: u32,
    /// Payload bytes on the wire.
    pub payload_wire_len: u32,
}

impl Fragment {
    /// The captured payload in the bytes that the fragment was decoded from.
    #[inline]
    pub fn payload<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        let start = self.payload_offset as usize;
        frame
            .get(start..start.saturating_add(self.payload_len as usize))
            .unwrap_or_default()
    }
}

closed_set! {
    /// Why a frame has no packet.
    pub enum Undecodable {
        /// The link type is not read.
        UnsupportedLinkType = "unsupported_link_type",
        /// The frame ends inside the link layer.
        TruncatedLink = "truncated_link",
        /// A wireless frame that is encrypted.
        EncryptedLink = "encrypted_link",
        /// A piece of a wireless frame, or one that several packets share: neither is put together or apart.
        PartialLinkFrame = "partial_link_frame",
        /// More tags, labels or attributes than are walked.
        TooManyTags = "too_many_tags",
        /// The frame ends inside the IP header.
        TruncatedIp = "truncated_ip",
        /// The version field contradicts the link layer, or is neither 4 nor 6.
        BadIpVersion = "bad_ip_version",
        /// The IP header length is below its minimum.
        BadIpHeaderLength = "bad_ip_header_length",
        /// More IPv6 extension headers than are walked.
        TooManyExtensionHeaders = "too_many_extension_headers",
        /// The packet ends inside the transport header.
        TruncatedTransport = "truncated_transport",
        /// The TCP data offset is below its minimum or behind the packet's end.
        BadTcpHeader = "bad_tcp_header",
    }
}

closed_set! {
    /// What a frame without an IP packet carries.
    pub enum NotIp {
        /// Address resolution.
        Arp = "arp",
        /// IEEE 802.3 length field: spanning tree and other LLC that carries no IP.
        Llc = "llc",
        /// Wireless management and control, and data frames that carry nothing.
        Wireless = "wireless",
        /// Any other EtherType, PPP protocol or address family.
        OtherEtherType = "other_ethertype",
    }
}

/// What became of a frame.
#[derive(Clone, Copy, Debug)]
pub enum Decoded {
    /// A packet that belongs to a flow.
    Packet(Packet),
    /// A fragment of a datagram: without its beginning there are no ports.
    Fragment(Fragment),
    /// The IP header was read and what follows could not be.
    BadTransport(IpHeader, Undecodable),
    /// No IP packet.
    NotIp(NotIp),
    /// Nothing could be read.
    Undecodable(Undecodable),
}

/// Decodes one frame.
#[inline]
pub fn decode(raw: &RawPacket<'_>) -> Decoded {
    match decode_plain(raw) {
        Some(packet) => Decoded::Packet(packet),
        None => decode_any(raw),
    }
}

/// Decodes what nearly all frames are, in one straight piece: TCP or UDP, whole, in IP behind the addresses of Ethernet or one
/// VLAN tag, with nothing inside that could be a packet. `None` leaves it to [`decode_any`], which finds the same in what this one takes.
#[inline]
pub fn decode_plain(raw: &RawPacket<'_>) -> Option<Packet> {
    let (network, version) = link::plain_ethernet(raw)?;
    network::plain(raw, &network, version).filter(|packet| !tunnel::may_carry(packet, raw.data))
}

/// Decodes any frame.
#[inline(never)]
pub fn decode_any(raw: &RawPacket<'_>) -> Decoded {
    match link::network_layer(raw) {
        Ok(network) => unwrapped(raw, network::decode(raw, &network)),
        Err(outcome) => outcome,
    }
}

/// Decodes what the fragments of a datagram carried; `first` is the one with offset 0, `bytes` their payloads put together,
/// `ip_bytes` what they all count. Offsets of what comes out are offsets in `bytes`.
pub fn decode_datagram(first: &Fragment, bytes: &[u8], ip_bytes: u32) -> Decoded {
    let raw = RawPacket {
        timestamp: crate::model::Timestamp::default(),
        link_type: crate::capture::LinkType::RAW,
        wire_len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        data: bytes,
    };
    unwrapped(&raw, network::datagram(first, bytes, ip_bytes))
}

/// The innermost packet, where what was found carries one.
#[inline]
fn unwrapped(raw: &RawPacket<'_>, decoded: Decoded) -> Decoded {
    match decoded {
        Decoded::Packet(packet) if tunnel::may_carry(&packet, raw.data) => {
            tunnel::unwrap(raw, packet)
        }
        other => other,
    }
}

/// Decodes any bytes under every link type that is read, and checks what comes out: the target that fuzzing calls.
///
/// # Panics
///
/// When what it checks does not hold.
#[allow(clippy::panic, reason = "a fuzz target fails by panicking")]
pub fn fuzz_decode(bytes: &[u8]) {
    use crate::capture::LinkType;

    let links = [
        LinkType::ETHERNET,
        LinkType::LINUX_SLL,
        LinkType::LINUX_SLL2,
        LinkType::RAW,
        LinkType::IPV4,
        LinkType::IPV6,
        LinkType::NULL,
        LinkType::LOOP,
        LinkType::PPP,
        LinkType::PPP_HDLC,
        LinkType::C_HDLC,
        LinkType::FRELAY,
        LinkType::IEEE802_11,
        LinkType::PRISM,
        LinkType::RADIOTAP,
        LinkType::NFLOG,
    ];
    for link_type in links {
        let wire_len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let raw = RawPacket {
            timestamp: crate::model::Timestamp::default(),
            link_type,
            wire_len,
            data: bytes,
        };
        match decode(&raw) {
            Decoded::Packet(packet) => {
                assert!(packet.payload(bytes).len() == packet.payload_len as usize);
                assert!(
                    packet.ip.bytes.saturating_add(packet.overhead) <= wire_len
                        && packet.payload_len <= packet.payload_wire_len
                );
            }
            Decoded::Fragment(fragment) => {
                assert!(fragment.payload(bytes).len() == fragment.payload_len as usize);
                assert!(fragment.payload_len <= fragment.payload_wire_len);
                assert!(fragment.ip.bytes.saturating_add(fragment.overhead) <= wire_len);
            }
            Decoded::BadTransport(ip, _) => assert!(ip.bytes <= wire_len),
            Decoded::NotIp(_) | Decoded::Undecodable(_) => {}
        }
    }
    for version in [IpVersion::V4, IpVersion::V6] {
        for protocol in [UDP, 0, 4, 41, 47, 60] {
            fuzz_datagram(version, protocol, bytes);
        }
    }
}

/// The bytes as what the fragments of a datagram carried.
fn fuzz_datagram(version: IpVersion, protocol: u8, bytes: &[u8]) {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let first = Fragment {
        ip: IpHeader {
            source: [1; 16],
            destination: [2; 16],
            bytes: len,
            protocol,
            version,
            identification: 0,
        },
        identification: 0,
        offset: 0,
        more: true,
        vlan: 0,
        tunnel: TunnelPath::NONE,
        overhead: 0,
        payload_offset: 0,
        payload_len: len,
        payload_wire_len: len,
    };
    match decode_datagram(&first, bytes, len) {
        Decoded::Packet(packet) => {
            assert!(packet.payload(bytes).len() == packet.payload_len as usize);
            assert!(packet.ip.bytes.saturating_add(packet.overhead) == len);
        }
        Decoded::Fragment(inner) => {
            assert!(inner.payload(bytes).len() == inner.payload_len as usize);
            assert!(!inner.tunnel.is_empty());
        }
        Decoded::BadTransport(..) | Decoded::NotIp(_) | Decoded::Undecodable(_) => {}
    }
}
