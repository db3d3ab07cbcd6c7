//! Options → the flows of an office: what people, machines and their protection send in a day's work.

use std::net::IpAddr;

use super::addresses::Addresses;
use super::conversation::{Conversation, MICROSECOND, MILLISECOND, SECOND};
use super::engine::{FlowSource, GenerateError, check_flows};
use super::flow::{Flow, Key, NameKind, Payload, Side};
use super::hello::{Style, client_hello, server_flight};
use super::names::Names;
use super::options::Options;
use super::packet::Transport;
use super::random::Random;

const FLOWS_PER_SECOND: u64 = 1_000;
const IPV6_PERMILLE: u64 = 150;
/// Servers without a name among [`Names`].
const UNNAMED_SERVERS: u64 = 0x10_0000;
const RESOLVERS: u64 = 0x20_0000;
const CLOCKS: u64 = 0x30_0000;

/// Flows of all kinds until `--packets` are planned.
pub struct Office {
    random: Random,
    addresses: Addresses,
    names: Names,
    now: u64,
    planned: u64,
    packets: u64,
    echoes: u64,
}

impl Office {
    /// Checks the options.
    pub fn new(options: &Options) -> Result<Self, GenerateError> {
        // Most flows have more than two packets, so this many flows cannot be exceeded.
        let packets = check_flows(
            "--packets",
            options.packets.unwrap_or(1_000_000),
            options.hosts(),
        )?;
        Ok(Self {
            random: Random::new(options.seed),
            addresses: Addresses::new(options.hosts(), IPV6_PERMILLE),
            names: Names::new(),
            now: 0,
            planned: 0,
            packets,
            echoes: 0,
        })
    }

    fn talk(&mut self) -> Conversation {
        let round_trip = self.random.between(4_000, 80_000) * MICROSECOND;
        Conversation::new(self.now, round_trip)
    }

    /// A key from a host at home to server number `server` outside.
    fn outward(&mut self, server: u64, port: u16, transport: Transport) -> Key {
        let (client, client_port) = self.addresses.home_end();
        let outside = Addresses::server(server, self.random.below(4), client.is_ipv6());
        Key {
            addresses: [client, outside],
            ports: [client_port, port],
            transport,
        }
    }

    fn inside(&mut self, port: u16, transport: Transport) -> Key {
        let (client, client_port) = self.addresses.home_end();
        let server = self
            .addresses
            .home_server(self.random.below(48), client.is_ipv6());
        Key {
            addresses: [client, server],
            ports: [client_port, port],
            transport,
        }
    }

    fn inward(&mut self, port: u16) -> Key {
        let v6 = self.random.one_in(8);
        let (client, client_port) = self.addresses.outside_end(v6);
        let server = self.addresses.home_server(self.random.below(48), v6);
        let transport = Transport::Tcp;
        Key {
            addresses: [client, server],
            ports: [client_port, port],
            transport,
        }
    }

    /// Between two networks that are not home, with global IPv6 addresses in half of the cases.
    fn across(&mut self, server: u64, port: u16) -> Key {
        let v6 = self.random.one_in(2);
        let (client, client_port) = self.addresses.outside_end(v6);
        let server = Addresses::server(server, self.random.below(4), v6);
        let transport = Transport::Tcp;
        Key {
            addresses: [client, server],
            ports: [client_port, port],
            transport,
        }
    }

    /// A TLS conversation; `name` is `None` for a hello without a server name.
    fn tls(&mut self, key: Key, name: Option<u16>) -> Flow {
        let mut talk = self.talk();
        let random = &mut self.random;
        let style = match random.below(10) {
            0..=2 => Style::PostQuantum,
            3..=5 => Style::Browser,
            6..=7 => Style::Tls13,
            _ => Style::Tls12,
        };
        let asked = name.map(|name| self.names.name(name).host);
        let hello = client_hello(style, asked, random);
        let cut = random
            .one_in(10)
            .then(|| random.between(1, hello.record.len() as u64 - 1) as usize);
        talk.open();
        match name {
            Some(name) => talk.named_bytes(NameKind::TlsSni, name, &hello.record, cut),
            None => talk.bytes(Side::Initiator, &hello.record, cut),
        }
        talk.travel();
        talk.acknowledge(Side::Responder);
        let answer = server_flight(&hello, random);
        talk.bytes(Side::Responder, &answer, None);
        talk.travel();
        // After its change of cipher a side sends nothing readable (RFC 5246 §7.1, RFC 8446 D.4).
        talk.bytes(Side::Initiator, &[20, 3, 3, 0, 1, 1], None);
        exchanges(&mut talk, random);
        end(&mut talk, random);
        talk.finish(key, random)
    }

    fn http(&mut self, key: Key, name: u16) -> Flow {
        let mut talk = self.talk();
        let random = &mut self.random;
        let host = self.names.name(name).host;
        let page = random.below(100_000);
        let request = format!(
            "GET /page/{page} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        );
        let length = random.between(100, 1_200);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        talk.open();
        talk.named_bytes(NameKind::HttpHost, name, request.as_bytes(), None);
        talk.travel();
        talk.acknowledge(Side::Responder);
        talk.bytes(Side::Responder, head.as_bytes(), None);
        talk.data(Side::Responder, Payload::Noise(length as u16));
        talk.travel();
        talk.acknowledge(Side::Initiator);
        talk.close(Side::Responder);
        talk.finish(key, random)
    }

    /// A question for a name of no vendor, so that vendors rest on TLS names alone.
    fn dns(&mut self) -> Flow {
        let internal = self.random.one_in(3);
        let mut talk = self.talk();
        let key = if internal {
            self.inside(53, Transport::Udp)
        } else {
            let server = RESOLVERS + self.random.below(4);
            self.outward(server, 53, Transport::Udp)
        };
        let random = &mut self.random;
        let name = self.names.pick_other(random);
        let v6 = key.addresses[0].is_ipv6();
        let server = Addresses::server(u64::from(name), random.below(4), v6);
        let question = dns_question(self.names.name(name).host, v6, random);
        talk.named_bytes(NameKind::DnsQuery, name, &question, None);
        talk.travel();
        talk.bytes(Side::Responder, &dns_answer(&question, server), None);
        talk.finish(key, random)
    }

    fn ntp(&mut self) -> Flow {
        let server = CLOCKS + self.random.below(6);
        let key = self.outward(server, 123, Transport::Udp);
        let mut talk = self.talk();
        let mut packet = vec![0; 48];
        // Version 4, client; then server of stratum 2 (RFC 5905 §7.3).
        packet[0] = 0x23;
        self.random.fill(&mut packet[40..]);
        talk.bytes(Side::Initiator, &packet, None);
        talk.travel();
        packet[..4].copy_from_slice(&[0x24, 2, 6, 0xe9]);
        packet.copy_within(40..48, 24);
        self.random.fill(&mut packet[32..40]);
        talk.bytes(Side::Responder, &packet, None);
        talk.finish(key, &mut self.random)
    }

    fn opaque_udp(&mut self) -> Flow {
        let server = UNNAMED_SERVERS + self.random.below(500);
        let key = self.outward(server, 443, Transport::Udp);
        let mut talk = self.talk();
        let random = &mut self.random;
        for _ in 0..random.between(2, 30) {
            talk.data(
                Side::Initiator,
                Payload::Noise(random.between(30, 90) as u16),
            );
            talk.travel();
            let length = if random.one_in(6) {
                1_252
            } else {
                random.between(30, 300)
            };
            talk.data(Side::Responder, Payload::Noise(length as u16));
            talk.wait(random.below(200 * MILLISECOND));
        }
        talk.finish(key, random)
    }

    fn echo(&mut self) -> Flow {
        let v6 = self.random.one_in(5);
        let (host, peer) = self.addresses.echo_pair(self.echoes, v6);
        self.echoes += 1;
        let identifier = self.random.next() as u16;
        let transport = Transport::Icmp;
        let key = Key {
            addresses: [host, peer],
            ports: [identifier, 0],
            transport,
        };
        let mut talk = self.talk();
        let start = talk.now;
        for _ in 0..self.random.between(1, 4) {
            talk.data(Side::Initiator, Payload::Noise(56));
            talk.travel();
            talk.data(Side::Responder, Payload::Noise(56));
            talk.wait(SECOND);
        }
        let mut flow = talk.finish(key, &mut self.random);
        // The number of the echo, the same in question and answer, stands for the sequence.
        flow.initial_sequence = [0; 2];
        for (index, step) in flow.steps.iter_mut().enumerate() {
            debug_assert!(step.at >= start);
            step.sequence = index as u32 / 2 + 1;
        }
        flow
    }

    fn arp(&mut self) -> Flow {
        let from = self.addresses.home_server(self.random.below(48), false);
        let to = self.addresses.home_server(self.random.below(48), false);
        let key = Key {
            addresses: [from, to],
            ports: [0; 2],
            transport: Transport::Arp,
        };
        let mut talk = self.talk();
        talk.acknowledge(Side::Initiator);
        talk.wait(200 * MICROSECOND);
        talk.acknowledge(Side::Responder);
        let mut flow = talk.finish(key, &mut self.random);
        for (index, step) in flow.steps.iter_mut().enumerate() {
            step.sequence = index as u32;
        }
        flow
    }

    /// A TLS flow that was open before the capture began: no SYN, no hello, so no name.
    fn midstream(&mut self) -> Flow {
        let server = UNNAMED_SERVERS + self.random.below(500);
        let key = self.outward(server, 443, Transport::Tcp);
        let mut talk = self.talk();
        talk.begin_midstream();
        exchanges(&mut talk, &mut self.random);
        end(&mut talk, &mut self.random);
        talk.finish(key, &mut self.random)
    }

    /// One flow; the weights make the mix.
    fn any(&mut self) -> Flow {
        match self.random.below(100) {
            0..=39 => {
                let name = self.names.pick(&mut self.random);
                let key = self.outward(u64::from(name), 443, Transport::Tcp);
                self.tls(key, Some(name))
            }
            40..=43 => {
                let server = UNNAMED_SERVERS + self.random.below(500);
                let key = self.outward(server, 443, Transport::Tcp);
                self.tls(key, None)
            }
            44..=49 => {
                let name = self.names.pick_other(&mut self.random);
                let key = self.outward(u64::from(name), 80, Transport::Tcp);
                self.http(key, name)
            }
            50..=69 => self.dns(),
            70..=72 => self.ntp(),
            73..=78 => self.opaque_udp(),
            79..=80 => self.echo(),
            81..=84 => self.arp(),
            85..=90 => {
                let name = self.names.pick_internal(&mut self.random);
                let key = self.inside(443, Transport::Tcp);
                self.tls(key, Some(name))
            }
            91..=93 => {
                let name = self.names.pick_internal(&mut self.random);
                let key = self.inward(443);
                self.tls(key, Some(name))
            }
            94..=95 => {
                let name = self.names.pick_other(&mut self.random);
                let key = self.across(u64::from(name), 443);
                self.tls(key, Some(name))
            }
            _ => self.midstream(),
        }
    }
}

impl FlowSource for Office {
    fn next_flow(&mut self) -> Option<Flow> {
        if self.planned >= self.packets {
            return None;
        }
        self.now += self.random.below(2 * SECOND / FLOWS_PER_SECOND);
        let mut flow = self.any();
        // A host stays in its VLAN; one host in four is in one.
        if let IpAddr::V4(address) = flow.key.addresses[0]
            && address.octets()[3].is_multiple_of(4)
        {
            flow.vlan = 10 + u16::from(address.octets()[3] / 4 % 8);
        }
        // The number of packets asked for is exact; the last flow may be left open.
        flow.cut(self.packets - self.planned);
        self.planned += flow.planned();
        Some(flow)
    }
}

/// Questions and answers in TLS records, mostly small, with now and then a download.
fn exchanges(talk: &mut Conversation, random: &mut Random) {
    for _ in 0..random.between(1, 8) {
        talk.data(
            Side::Initiator,
            Payload::Record(random.between(60, 420) as u16),
        );
        if random.one_in(3) {
            talk.data(
                Side::Initiator,
                Payload::Record(random.between(40, 300) as u16),
            );
        }
        talk.travel();
        talk.acknowledge(Side::Responder);
        let length = if random.one_in(25) {
            random.between(4_000, 40_000)
        } else {
            random.between(60, 900)
        };
        talk.stream(Side::Responder, length as usize);
        match random.below(20) {
            0 => talk.wait(random.below(20 * SECOND)),
            1..=6 => talk.wait(random.below(SECOND)),
            _ => talk.wait(random.below(30 * MILLISECOND)),
        }
    }
}

/// Mishaps and the way a flow ends: closed by either side, reset, or never.
fn end(talk: &mut Conversation, random: &mut Random) {
    if random.one_in(6) {
        talk.retransmit_one(random);
    }
    if random.one_in(6) {
        talk.swap_two(random);
    }
    talk.wait(100 * MILLISECOND);
    match random.below(10) {
        0..=4 => talk.close(Side::Initiator),
        5..=6 => talk.close(Side::Responder),
        7 => talk.reset(Side::Initiator),
        8 => talk.reset(Side::Responder),
        _ => {}
    }
}

/// A DNS query for one address record (RFC 1035 §4.1).
fn dns_question(name: &str, v6: bool, random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(name.len() + 18);
    random.append(&mut bytes, 2);
    bytes.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.extend_from_slice(&[0, 0, if v6 { 28 } else { 1 }, 0, 1]);
    bytes
}

/// The answer to `question`: one record with `address`.
fn dns_answer(question: &[u8], address: IpAddr) -> Vec<u8> {
    let mut bytes = question.to_vec();
    bytes[2..8].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1]);
    let (kind, octets) = match address {
        IpAddr::V4(address) => (1, address.octets().to_vec()),
        IpAddr::V6(address) => (28, address.octets().to_vec()),
    };
    bytes.extend_from_slice(&[0xc0, 12, 0, kind, 0, 1, 0, 0, 1, 44, 0, octets.len() as u8]);
    bytes.extend_from_slice(&octets);
    bytes
}
