//! A step of a flow → the bytes of an Ethernet frame with right lengths and checksums.

use std::net::IpAddr;

use super::flow::{Flow, Payload, Step};
use super::random::{Random, scatter};

/// What lies above the link layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// `ICMPv4` or `ICMPv6` echo, by the address family.
    Icmp,
    /// ARP: no IP at all.
    Arp,
}

/// TCP flags.
pub mod flags {
    pub const FIN: u8 = 0x01;
    pub const SYN: u8 = 0x02;
    pub const RST: u8 = 0x04;
    pub const PSH: u8 = 0x08;
    pub const ACK: u8 = 0x10;
}

/// Ethernet frames without their check sequence are at least this long; senders pad to it.
const FRAME_MINIMUM: usize = 60;
const NOISE_LENGTH: usize = 1 << 16;

/// Builds frames into one buffer that is used again and again.
pub struct FrameBuilder {
    frame: Vec<u8>,
    noise: Vec<u8>,
    pad: bool,
}

/// A frame as built.
pub struct Frame<'a> {
    /// All bytes from the destination MAC address on.
    pub bytes: &'a [u8],
    /// The IP total length; 0 for ARP.
    pub ip_length: u64,
}

impl FrameBuilder {
    /// A builder; `pad` fills short frames up to 60 bytes as network cards do.
    pub fn new(random: &mut Random, pad: bool) -> Self {
        let mut noise = vec![0; NOISE_LENGTH + 2048];
        random.fill(&mut noise);
        Self {
            frame: Vec::with_capacity(2048),
            noise,
            pad,
        }
    }

    /// The frame of `step`.
    pub fn build(&mut self, flow: &Flow, step: &Step) -> Frame<'_> {
        let from = step.side.index();
        let to = step.side.other().index();
        let addresses = [flow.key.addresses[from], flow.key.addresses[to]];
        self.frame.clear();
        self.link(flow, addresses, step);
        let network = self.frame.len();
        let ip_length = if flow.key.transport == Transport::Arp {
            self.arp(addresses, step);
            0
        } else {
            self.network(flow, addresses, step);
            let segment = self.frame.len();
            self.transport(flow, [flow.key.ports[from], flow.key.ports[to]], step);
            self.payload(flow, step);
            self.finish(network, segment, addresses, flow.key.transport)
        };
        if self.pad && self.frame.len() < FRAME_MINIMUM {
            self.frame.resize(FRAME_MINIMUM, 0);
        }
        Frame {
            bytes: &self.frame,
            ip_length,
        }
    }

    fn put(&mut self, value: u16) {
        self.frame.extend_from_slice(&value.to_be_bytes());
    }

    fn link(&mut self, flow: &Flow, [source, destination]: [IpAddr; 2], step: &Step) {
        if flow.key.transport == Transport::Arp && step.sequence == 0 {
            self.frame.extend_from_slice(&[0xff; 6]);
        } else {
            self.frame.extend_from_slice(&mac(destination));
        }
        self.frame.extend_from_slice(&mac(source));
        if flow.vlan != 0 {
            self.put(0x8100);
            self.put(flow.vlan);
        }
        self.put(match (flow.key.transport, source) {
            (Transport::Arp, _) => 0x0806,
            (_, IpAddr::V4(_)) => 0x0800,
            (_, IpAddr::V6(_)) => 0x86dd,
        });
    }

    /// A question (sequence 0) or an answer.
    fn arp(&mut self, [source, destination]: [IpAddr; 2], step: &Step) {
        self.frame.extend_from_slice(&[0, 1, 8, 0, 6, 4, 0]);
        let answer = step.sequence != 0;
        self.frame.push(if answer { 2 } else { 1 });
        for (address, known) in [(source, true), (destination, answer)] {
            self.frame
                .extend_from_slice(&if known { mac(address) } else { [0; 6] });
            if let IpAddr::V4(address) = address {
                self.frame.extend_from_slice(&address.octets());
            }
        }
    }

    /// The IP header, with length and checksum still 0.
    fn network(&mut self, flow: &Flow, addresses: [IpAddr; 2], step: &Step) {
        let [source, destination] = addresses;
        // A server is some hops away, a host of the same site is not.
        let hops = if step.side.index() == 0 { 64 } else { 52 };
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                // As of a counter that all packets of a host share: no two near each other have the same (RFC 6864 §4).
                let identification = ((step.at / 1000) as u16).max(1);
                self.frame.extend_from_slice(&[0x45, 0, 0, 0]);
                self.put(identification);
                self.put(0x4000);
                let protocol = match flow.key.transport {
                    Transport::Tcp => 6,
                    Transport::Udp => 17,
                    Transport::Icmp | Transport::Arp => 1,
                };
                self.frame.extend_from_slice(&[hops, protocol, 0, 0]);
                self.frame.extend_from_slice(&source.octets());
                self.frame.extend_from_slice(&destination.octets());
            }
            (source, destination) => {
                let protocol = match flow.key.transport {
                    Transport::Tcp => 6,
                    Transport::Udp => 17,
                    Transport::Icmp | Transport::Arp => 58,
                };
                self.frame
                    .extend_from_slice(&[0x60, 0, 0, 0, 0, 0, protocol, hops]);
                self.frame.extend_from_slice(&sixteen(source));
                self.frame.extend_from_slice(&sixteen(destination));
            }
        }
    }

    /// The transport header, with the checksum still 0.
    fn transport(&mut self, flow: &Flow, ports: [u16; 2], step: &Step) {
        let length = step.payload.length();
        match flow.key.transport {
            Transport::Tcp => {
                let syn = step.flags & flags::SYN != 0;
                self.put(ports[0]);
                self.put(ports[1]);
                let own = flow.initial_sequence[step.side.index()];
                let other = flow.initial_sequence[step.side.other().index()];
                let sequence = own.wrapping_add(step.sequence);
                self.frame.extend_from_slice(&sequence.to_be_bytes());
                let acknowledged = if step.flags & flags::ACK == 0 {
                    0
                } else {
                    other.wrapping_add(step.acknowledged)
                };
                self.frame.extend_from_slice(&acknowledged.to_be_bytes());
                self.frame
                    .extend_from_slice(&[if syn { 0x80 } else { 0x50 }, step.flags]);
                self.put(64_240);
                self.frame.extend_from_slice(&[0; 4]);
                if syn {
                    // Maximum segment size 1460, selective acknowledgement, window scale 7.
                    self.frame
                        .extend_from_slice(&[2, 4, 5, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7]);
                }
            }
            Transport::Udp => {
                self.put(ports[0]);
                self.put(ports[1]);
                self.put(length + 8);
                self.put(0);
            }
            Transport::Icmp | Transport::Arp => {
                let v4 = flow.key.addresses[0].is_ipv4();
                let question = step.side.index() == 0;
                self.frame.push(match (v4, question) {
                    (true, true) => 8,
                    (true, false) => 0,
                    (false, true) => 128,
                    (false, false) => 129,
                });
                self.frame.extend_from_slice(&[0; 3]);
                self.put(flow.key.ports[0]);
                self.put(step.sequence as u16);
            }
        }
    }

    fn payload(&mut self, flow: &Flow, step: &Step) {
        let mut length = usize::from(step.payload.length());
        match step.payload {
            Payload::Empty => return,
            Payload::Blob { start, .. } => {
                let start = start as usize;
                self.frame
                    .extend_from_slice(&flow.blob[start..start + length]);
                return;
            }
            Payload::Record(_) => {
                length -= 5;
                self.frame.extend_from_slice(&[23, 3, 3]);
                self.put(length as u16);
            }
            Payload::Noise(_) => {}
        }
        // A retransmission has the same sequence number and so the same bytes.
        let origin = u64::from(flow.initial_sequence[step.side.index()]) << 32;
        let start = scatter(origin | u64::from(step.sequence)) as usize % NOISE_LENGTH;
        self.frame
            .extend_from_slice(&self.noise[start..start + length]);
        if flow.key.transport == Transport::Udp {
            // A QUIC short header: fixed bit set, long-header bit clear (RFC 9000 §17.3). The second
            // byte is kept from looking like a connectionless OSI transport header, which some
            // dissectors guess at on any port.
            let first = self.frame.len() - length;
            self.frame[first] = 0x40 | (self.frame[first] & 0x3f);
            self.frame[first + 1] |= 0x80;
        }
    }

    /// Fills lengths and checksums in; returns the IP total length.
    fn finish(
        &mut self,
        network: usize,
        segment: usize,
        addresses: [IpAddr; 2],
        transport: Transport,
    ) -> u64 {
        let total = self.frame.len() - network;
        let segment_length = self.frame.len() - segment;
        let v4 = addresses[0].is_ipv4();
        let addresses_at = if v4 {
            self.store(network + 2, total as u16);
            let header = fold(sum(&self.frame[network..segment]));
            self.store(network + 10, !header);
            network + 12
        } else {
            self.store(network + 4, segment_length as u16);
            network + 8
        };
        let (protocol, checksum_at) = match transport {
            Transport::Tcp => (6, segment + 16),
            Transport::Udp => (17, segment + 6),
            Transport::Icmp | Transport::Arp => (58, segment + 2),
        };
        let mut total_sum = sum(&self.frame[segment..]);
        if !(transport == Transport::Icmp && v4) {
            total_sum += sum(&self.frame[addresses_at..segment]) + protocol + segment_length as u64;
        }
        let checksum = match !fold(total_sum) {
            // For UDP, 0 would say "no checksum" (RFC 768).
            0 if transport == Transport::Udp => 0xffff,
            checksum => checksum,
        };
        self.store(checksum_at, checksum);
        total as u64
    }

    fn store(&mut self, at: usize, value: u16) {
        self.frame[at..at + 2].copy_from_slice(&value.to_be_bytes());
    }
}

/// A locally administered MAC address that belongs to `address`; all outside lies behind one router.
fn mac(address: IpAddr) -> [u8; 6] {
    match address {
        IpAddr::V4(address) if address.is_private() => {
            let [a, b, c, d] = address.octets();
            [2, 0, a, b, c, d]
        }
        IpAddr::V6(address) if address.octets()[0] & 0xfe == 0xfc => {
            let octets = address.octets();
            [2, 6, octets[12], octets[13], octets[14], octets[15]]
        }
        _ => [2, 0, 0x5e, 0, 0, 1],
    }
}

fn sixteen(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// Sum of big-endian 16-bit words, not yet folded; an odd last byte counts as a high byte.
fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut total: u64 = words
        .iter()
        .map(|word| u64::from(u32::from_be_bytes(*word)))
        .sum();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    total += u64::from(u32::from_be_bytes(last));
    total
}

/// Folds carries back in until 16 bits are left (RFC 1071).
fn fold(mut total: u64) -> u16 {
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}
