//! Options → the flows of the shapes that load one part of a sensor each.

use super::addresses::Addresses;
use super::conversation::{Conversation, MICROSECOND, MILLISECOND, SECOND};
use super::engine::{FlowSource, GenerateError, check_flows};
use super::flow::{Flow, Key, NameKind, Payload, Repeat, Side, Step};
use super::hello::{Style, client_hello, server_flight};
use super::names::Names;
use super::options::Options;
use super::packet::{Transport, flags};
use super::random::{Random, scatter};

/// New short TLS flows a second.
const SHORT_FLOWS_PER_SECOND: u64 = 10_000;
const BULK_FLOWS: u64 = 100;
/// Two 1,400-byte IP packets and an acknowledgement, with Ethernet and record headers.
const BULK_CYCLE_BYTES: u64 = 2 * (1_400 + 14 + 16) + 40 + 14 + 16;
const SYN_FLOOD_PER_SECOND: u64 = 100_000;
/// The echo service (RFC 862): tools expect nothing of what it carries.
const PEER_PORT: u16 = 7;
const SMALL_PACKETS_PER_SECOND: u64 = 1_000_000;

fn key(addresses: &mut Addresses, server: u64, port: u16, transport: Transport) -> Key {
    let (client, client_port) = addresses.home_end();
    let outside = Addresses::server(
        server,
        scatter(u64::from(client_port)) % 4,
        client.is_ipv6(),
    );
    Key {
        addresses: [client, outside],
        ports: [client_port, port],
        transport,
    }
}

/// Handshake, hello, `ServerHello`: the opening of a TLS flow that asks for `name`.
fn tls_opening(
    talk: &mut Conversation,
    name: u16,
    names: &Names,
    random: &mut Random,
    tenths: u64,
) {
    // Out of ten hellos: one too long for a segment, one cut in the middle, eight whole.
    let style = match tenths {
        0 => Style::PostQuantum,
        1..=4 => Style::Browser,
        5..=7 => Style::Tls13,
        _ => Style::Tls12,
    };
    let hello = client_hello(style, Some(names.name(name).host), random);
    let cut = (tenths == 1).then(|| random.between(1, hello.record.len() as u64 - 1) as usize);
    talk.open();
    talk.named_bytes(NameKind::TlsSni, name, &hello.record, cut);
    talk.travel();
    let answer = server_flight(&hello, random);
    talk.bytes(Side::Responder, &answer, None);
    talk.travel();
    talk.acknowledge(Side::Initiator);
}

/// `--flows` TLS handshakes, 10,000 new ones a second.
pub struct ShortTls {
    random: Random,
    addresses: Addresses,
    names: Names,
    made: u64,
    flows: u64,
}

impl ShortTls {
    /// Checks the options.
    pub fn new(options: &Options) -> Result<Self, GenerateError> {
        let flows = check_flows(
            "--flows",
            options.flows.unwrap_or(1_000_000),
            options.hosts(),
        )?;
        Ok(Self {
            random: Random::new(options.seed),
            addresses: Addresses::new(options.hosts(), 0),
            names: Names::new(),
            made: 0,
            flows,
        })
    }
}

impl FlowSource for ShortTls {
    fn next_flow(&mut self) -> Option<Flow> {
        if self.made == self.flows {
            return None;
        }
        let at = self.made * (SECOND / SHORT_FLOWS_PER_SECOND);
        self.made += 1;
        let random = &mut self.random;
        let name = self.names.pick(random);
        let mut talk = Conversation::new(at, random.between(5, 60) * MILLISECOND);
        let tenths = random.below(10);
        tls_opening(&mut talk, name, &self.names, random, tenths);
        if !random.one_in(8) {
            talk.wait(random.below(20 * SECOND));
            talk.close(Side::Initiator);
        }
        let key = key(&mut self.addresses, u64::from(name), 443, Transport::Tcp);
        Some(talk.finish(key, random))
    }
}

/// 100 downloads until the file has `--bytes`.
pub struct Bulk {
    random: Random,
    addresses: Addresses,
    names: Names,
    made: u64,
    cycles: u64,
}

impl Bulk {
    /// Checks the options.
    pub fn new(options: &Options) -> Result<Self, GenerateError> {
        let low = BULK_FLOWS * BULK_CYCLE_BYTES;
        let given = options.bytes.unwrap_or(1_500_000_000);
        let bytes = GenerateError::check("--bytes", given, low, 1 << 50)?;
        Ok(Self {
            random: Random::new(options.seed),
            addresses: Addresses::new(options.hosts(), 0),
            names: Names::new(),
            made: 0,
            cycles: bytes / low,
        })
    }
}

impl FlowSource for Bulk {
    fn next_flow(&mut self) -> Option<Flow> {
        if self.made == BULK_FLOWS {
            return None;
        }
        let number = self.made;
        self.made += 1;
        let random = &mut self.random;
        let mut talk = Conversation::new(number * 7 * MILLISECOND, 20 * MILLISECOND);
        let mut server = 0xb0_0000 + number;
        let (transport, port, payload) = match number % 10 {
            0..=7 => {
                let name = self.names.pick(random);
                server = u64::from(name);
                let tenths = random.below(10);
                tls_opening(&mut talk, name, &self.names, random, tenths);
                (Transport::Tcp, 443, Payload::Record(1_360))
            }
            8 => {
                talk.open();
                let name = self.names.pick_other(random);
                let host = self.names.name(name).host;
                let request = format!("GET /file HTTP/1.1\r\nHost: {host}\r\n\r\n");
                talk.named_bytes(NameKind::HttpHost, name, request.as_bytes(), None);
                talk.travel();
                let length = self.cycles * 2 * 1_360;
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n"
                );
                talk.bytes(Side::Responder, head.as_bytes(), None);
                (Transport::Tcp, 80, Payload::Noise(1_360))
            }
            _ => (Transport::Udp, 443, Payload::Noise(1_372)),
        };
        let (start, before) = talk.position();
        talk.data(Side::Responder, payload);
        talk.data(Side::Responder, payload);
        if transport == Transport::Tcp {
            talk.acknowledge(Side::Initiator);
        } else {
            talk.data(Side::Initiator, Payload::Noise(32));
        }
        let (end, after) = talk.position();
        talk.travel();
        if transport == Transport::Tcp {
            talk.close(Side::Responder);
        }
        let key = key(&mut self.addresses, server, port, transport);
        let mut flow = talk.finish(key, random);
        let shift = [
            after[0].wrapping_sub(before[0]),
            after[1].wrapping_sub(before[1]),
        ];
        let period = random.between(900, 1_100) * MICROSECOND;
        flow.repeat = Some(Repeat {
            start,
            end,
            cycles: self.cycles,
            period,
            shift,
        });
        Some(flow)
    }
}

/// `--packets` SYNs to one server at home, and TLS flows that must survive them.
pub struct SynFlood {
    random: Random,
    addresses: Addresses,
    names: Names,
    sent: u64,
    packets: u64,
    candidate: u64,
    named_next: bool,
}

impl SynFlood {
    /// Checks the options.
    pub fn new(options: &Options) -> Result<Self, GenerateError> {
        let given = options.packets.unwrap_or(1_000_000);
        let packets = GenerateError::check("--packets", given, 100, 3_000_000_000)?;
        Ok(Self {
            random: Random::new(options.seed),
            addresses: Addresses::new(options.hosts(), 0),
            names: Names::new(),
            sent: 0,
            packets,
            candidate: options.seed << 32,
            named_next: false,
        })
    }

    fn named(&mut self, at: u64) -> Flow {
        let random = &mut self.random;
        let name = self.names.pick(random);
        let mut talk = Conversation::new(at, 20 * MILLISECOND);
        let tenths = random.below(10);
        tls_opening(&mut talk, name, &self.names, random, tenths);
        for _ in 0..4 {
            talk.wait(random.between(100, 900) * MILLISECOND);
            talk.data(Side::Initiator, Payload::Record(120));
            talk.travel();
            talk.data(Side::Responder, Payload::Record(300));
        }
        talk.close(Side::Initiator);
        let key = key(&mut self.addresses, u64::from(name), 443, Transport::Tcp);
        let mut flow = talk.finish(key, random);
        // The number of packets asked for is exact; the last flow may be left open.
        flow.cut(self.packets - self.sent);
        flow
    }
}

impl FlowSource for SynFlood {
    fn next_flow(&mut self) -> Option<Flow> {
        if self.sent == self.packets {
            return None;
        }
        let at = self.sent * (SECOND / SYN_FLOOD_PER_SECOND);
        if self.named_next {
            self.named_next = false;
            let flow = self.named(at);
            self.sent += flow.planned();
            return Some(flow);
        }
        // One named flow among some thousand SYNs, and at least one in a small capture.
        self.named_next = self.random.one_in((self.packets / 8).clamp(1, 4_000));
        let source = loop {
            self.candidate += 1;
            if let Some(source) = Addresses::scattered(self.candidate) {
                break source;
            }
        };
        self.sent += 1;
        let port = 1_024 + (scatter(self.candidate) % 64_000) as u16;
        let target = self.addresses.home_server(1, false);
        let key = Key {
            addresses: [source, target],
            ports: [port, 443],
            transport: Transport::Tcp,
        };
        let mut flow = Flow::new(
            key,
            vec![plain_step(at, flags::SYN, Payload::Empty)],
            Vec::new(),
        );
        flow.initial_sequence[0] = self.random.next() as u32;
        Some(flow)
    }
}

/// The first packet of a flow, from its initiator.
fn plain_step(at: u64, flags: u8, payload: Payload) -> Step {
    Step {
        at,
        sequence: 0,
        acknowledged: 0,
        payload,
        flags,
        side: Side::Initiator,
        completes_name: false,
    }
}

/// A UDP datagram with 18 bytes, or a TCP acknowledgement: with padding, a frame of 60 bytes.
fn small_step(number: u64, at: u64) -> (Transport, Step) {
    if number.is_multiple_of(2) {
        (Transport::Udp, plain_step(at, 0, Payload::Noise(18)))
    } else {
        (Transport::Tcp, plain_step(at, flags::ACK, Payload::Empty))
    }
}

/// `--packets` frames of 60 bytes over `--flows` flows, turn by turn.
pub struct Small {
    random: Random,
    addresses: Addresses,
    made: u64,
    packets: u64,
    flows: u64,
}

impl Small {
    /// Checks the options.
    pub fn new(options: &Options) -> Result<Self, GenerateError> {
        let packets = options.packets.unwrap_or(10_000_000);
        let packets = GenerateError::check("--packets", packets, 1, 1 << 40)?;
        // 20 million flows at a million packets a second: each speaks once in 20 s.
        let most = packets
            .min(20_000_000)
            .min(Addresses::capacity(options.hosts()));
        let flows = options.flows.unwrap_or(100_000.min(most));
        Ok(Self {
            random: Random::new(options.seed),
            addresses: Addresses::new(options.hosts(), 0),
            made: 0,
            packets,
            flows: GenerateError::check("--flows", flows, 1, most)?,
        })
    }
}

impl FlowSource for Small {
    fn next_flow(&mut self) -> Option<Flow> {
        if self.made == self.flows {
            return None;
        }
        let number = self.made;
        self.made += 1;
        let spacing = SECOND / SMALL_PACKETS_PER_SECOND;
        let (transport, step) = small_step(number, number * spacing);
        let key = key(&mut self.addresses, number % 4_096, PEER_PORT, transport);
        let mut flow = Flow::new(key, vec![step], Vec::new());
        flow.initial_sequence = [self.random.next() as u32, self.random.next() as u32];
        let extra = u64::from(number < self.packets % self.flows);
        flow.repeat = Some(Repeat {
            start: 0,
            end: 1,
            cycles: self.packets / self.flows + extra,
            period: self.flows * spacing,
            shift: [0; 2],
        });
        Some(flow)
    }
}

/// `--flows` flows with a packet in the first ten seconds and one twelve seconds later.
pub struct Concurrent {
    addresses: Addresses,
    random: Random,
    made: u64,
    flows: u64,
}

impl Concurrent {
    /// Checks the options.
    pub fn new(options: &Options) -> Result<Self, GenerateError> {
        let flows = check_flows(
            "--flows",
            options.flows.unwrap_or(1_000_000),
            options.hosts(),
        )?;
        Ok(Self {
            addresses: Addresses::new(options.hosts(), 0),
            random: Random::new(options.seed),
            made: 0,
            flows,
        })
    }
}

impl FlowSource for Concurrent {
    fn next_flow(&mut self) -> Option<Flow> {
        if self.made == self.flows {
            return None;
        }
        let number = self.made;
        self.made += 1;
        let at = (u128::from(number) * u128::from(10 * SECOND) / u128::from(self.flows)) as u64;
        let (transport, first) = small_step(number, at);
        let mut second = first;
        second.at += 12 * SECOND;
        let key = key(&mut self.addresses, number % 4_096, PEER_PORT, transport);
        let mut flow = Flow::new(key, vec![first, second], Vec::new());
        flow.initial_sequence = [self.random.next() as u32, self.random.next() as u32];
        Some(flow)
    }
}
