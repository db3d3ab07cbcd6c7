//! Frames made by a test, and captures of them: Ethernet, IPv4, UDP and TCP, as much as a sensor looks at.

use std::path::{Path, PathBuf};

use avscope::capture::{
    CaptureError, FileReport, FrameBatch, FrameDescriptor, FrameStorage, LinkType, PacketSource,
    SourceState,
};
use avscope::model::Timestamp;
use serde_json::Value;

use super::support::{Run, Way, assert_conserved, records, run_source};

/// Time in nanoseconds, length on the wire, bytes captured.
pub type Frame = (u64, u32, Vec<u8>);
/// An address and a port.
pub type End = ([u8; 4], u16);

/// The beginning of the time of made frames: 14 November 2023.
pub const BEGIN: u64 = 1_700_000_000 * SECOND;
/// In nanoseconds.
pub const SECOND: u64 = 1_000_000_000;
/// In nanoseconds.
pub const MILLISECOND: u64 = 1_000_000;

/// Frames from memory.
struct Frames {
    left: std::vec::IntoIter<Frame>,
    latest: u64,
    seq: u64,
}

impl PacketSource for Frames {
    fn next_batch(&mut self, batch: &mut FrameBatch) -> Result<SourceState, CaptureError> {
        batch.descriptors.clear();
        let mut bytes = Vec::new();
        for (nanos, wire_len, frame) in self.left.by_ref().take(64) {
            self.latest = self.latest.max(nanos);
            batch.descriptors.push(FrameDescriptor {
                offset: bytes.len() as u64,
                seq: self.seq,
                timestamp: Timestamp::from_nanos(nanos),
                stream_time: Timestamp::from_nanos(self.latest),
                captured_len: frame.len() as u32,
                wire_len,
                link_type: LinkType::ETHERNET,
                scope: 0,
            });
            self.seq += 1;
            bytes.extend(frame);
        }
        batch.storage = FrameStorage::Owned(bytes.into());
        Ok(if batch.descriptors.is_empty() {
            SourceState::End
        } else {
            SourceState::Filled
        })
    }
}

/// Runs frames through everything; law 1 is held to.
pub fn run_frames(frames: Vec<Frame>, way: &Way) -> Run {
    let mut source = Frames {
        left: frames.into_iter(),
        latest: 0,
        seq: 0,
    };
    let run = run_source(&mut source, way, |source| {
        vec![FileReport {
            path: PathBuf::from("-"),
            frames: source.seq,
            ..FileReport::default()
        }]
    });
    assert_conserved(&run, "frames from memory");
    run
}

/// The frames of a capture in pcap with microseconds, little-endian.
pub fn frames_of(path: &Path) -> Vec<Frame> {
    let content = std::fs::read(path).unwrap();
    let (_, records) = records(&content);
    let word =
        |record: &[u8], at: usize| u32::from_le_bytes(record[at..at + 4].try_into().unwrap());
    records
        .iter()
        .map(|record| {
            let nanos = u64::from(word(record, 0)) * SECOND + u64::from(word(record, 4)) * 1000;
            (nanos, word(record, 12), record[16..].to_vec())
        })
        .collect()
}

/// A capture of these frames: pcap with nanoseconds, Ethernet.
pub fn write_pcap(path: &Path, frames: &[Frame]) {
    let mut bytes = Vec::new();
    for word in [0xa1b2_3c4d, 0x0004_0002, 0, 0, 1 << 18, 1] {
        bytes.extend(u32::to_le_bytes(word));
    }
    for (nanos, wire_len, frame) in frames {
        for word in [
            (nanos / SECOND) as u32,
            (nanos % SECOND) as u32,
            frame.len() as u32,
            *wire_len,
        ] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(frame);
    }
    std::fs::write(path, bytes).unwrap();
}

/// Every line, taken apart.
pub fn lines_of_text(text: &[u8]) -> Vec<Value> {
    String::from_utf8_lossy(text)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The lines of a kind that a run wrote.
pub fn lines_of(run: &Run, kind: &str) -> Vec<Value> {
    let mut lines = lines_of_text(&run.events);
    lines.retain(|line| line["event_type"] == kind);
    lines
}

/// A frame with an IPv4 packet.
fn ipv4(nanos: u64, from: [u8; 4], to: [u8; 4], protocol: u8, transport: &[u8]) -> Frame {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    let len = 20 + transport.len() as u16;
    frame.extend([0x45, 0]);
    frame.extend(len.to_be_bytes());
    frame.extend([0, 0, 0x40, 0, 64, protocol]);
    let mut addresses = Vec::new();
    addresses.extend(from);
    addresses.extend(to);
    let mut words = vec![0x4500, len, 0, 0x4000, 0x4000 | u16::from(protocol)];
    words.extend(
        addresses
            .chunks(2)
            .map(|two| u16::from_be_bytes([two[0], two[1]])),
    );
    let sum: u32 = words.into_iter().map(u32::from).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    frame.extend((!(((folded & 0xffff) + (folded >> 16)) as u16)).to_be_bytes());
    frame.extend(addresses);
    frame.extend(transport);
    (nanos, frame.len() as u32, frame)
}

/// A datagram; without a checksum, as IPv4 allows.
pub fn udp(nanos: u64, from: End, to: End, payload: &[u8]) -> Frame {
    let mut datagram = Vec::new();
    for word in [from.1, to.1, 8 + payload.len() as u16, 0] {
        datagram.extend(word.to_be_bytes());
    }
    datagram.extend(payload);
    ipv4(nanos, from.0, to.0, 17, &datagram)
}

pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const ACK: u8 = 0x10;

/// A segment.
pub fn tcp(
    nanos: u64,
    from: End,
    to: End,
    flags: u8,
    numbers: (u32, u32),
    payload: &[u8],
) -> Frame {
    let mut segment = Vec::new();
    segment.extend(from.1.to_be_bytes());
    segment.extend(to.1.to_be_bytes());
    segment.extend(numbers.0.to_be_bytes());
    segment.extend(numbers.1.to_be_bytes());
    segment.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend(payload);
    ipv4(nanos, from.0, to.0, 6, &segment)
}

/// A connection being written down, a millisecond a frame.
pub struct Connection {
    pub client: End,
    pub server: End,
    pub now: u64,
    /// Next number of the client and of the server.
    pub next: (u32, u32),
    pub frames: Vec<Frame>,
}

impl Connection {
    /// One that was just opened, by three frames.
    pub fn open(nanos: u64, client: End, server: End) -> Self {
        let mut connection = Self {
            client,
            server,
            now: nanos,
            next: (1000, 5000),
            frames: Vec::new(),
        };
        connection.push(true, SYN, (999, 0), &[]);
        connection.push(false, SYN | ACK, (4999, 1000), &[]);
        connection.push(true, ACK, (1000, 5000), &[]);
        connection
    }

    pub fn push(&mut self, by_client: bool, flags: u8, numbers: (u32, u32), payload: &[u8]) {
        let (from, to) = if by_client {
            (self.client, self.server)
        } else {
            (self.server, self.client)
        };
        self.frames
            .push(tcp(self.now, from, to, flags, numbers, payload));
        self.now += MILLISECOND;
    }

    /// The client sends; in segments of `size`.
    pub fn ask(&mut self, bytes: &[u8], size: usize) {
        for piece in bytes.chunks(size) {
            self.push(true, ACK, self.next, piece);
            self.next.0 = self.next.0.wrapping_add(piece.len() as u32);
        }
    }

    /// The server sends; in segments of `size`.
    pub fn answer(&mut self, bytes: &[u8], size: usize) {
        for piece in bytes.chunks(size) {
            self.push(false, ACK, (self.next.1, self.next.0), piece);
            self.next.1 = self.next.1.wrapping_add(piece.len() as u32);
        }
    }

    /// Both sides close.
    pub fn close(mut self) -> Vec<Frame> {
        self.push(true, FIN | ACK, self.next, &[]);
        self.push(false, FIN | ACK, (self.next.1, self.next.0 + 1), &[]);
        self.push(true, ACK, (self.next.0 + 1, self.next.1 + 1), &[]);
        self.frames
    }
}

/// What a record of an answer says.
#[derive(Clone, Copy)]
pub enum Data<'a> {
    Address([u8; 4]),
    Alias(&'a str),
}

fn put_name(message: &mut Vec<u8>, name: &str) {
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.push(0);
}

fn dns_head(id: u16, flags: u16, answers: u16, name: &str) -> Vec<u8> {
    let mut message = Vec::new();
    for word in [id, flags, 1, answers, 0, 0] {
        message.extend(word.to_be_bytes());
    }
    put_name(&mut message, name);
    message.extend([0, 1, 0, 1]);
    message
}

/// A question for the addresses of a name.
pub fn question(id: u16, name: &str) -> Vec<u8> {
    dns_head(id, 0x0100, 0, name)
}

/// Its answer: records with their owner and time to live.
pub fn answer(id: u16, name: &str, records: &[(&str, u32, Data<'_>)]) -> Vec<u8> {
    let mut message = dns_head(id, 0x8180, records.len() as u16, name);
    for (owner, ttl, data) in records {
        put_name(&mut message, owner);
        let (kind, bytes) = match data {
            Data::Address(address) => (1u16, address.to_vec()),
            Data::Alias(alias) => {
                let mut bytes = Vec::new();
                put_name(&mut bytes, alias);
                (5, bytes)
            }
        };
        message.extend(kind.to_be_bytes());
        message.extend([0, 1]);
        message.extend(ttl.to_be_bytes());
        message.extend((bytes.len() as u16).to_be_bytes());
        message.extend(bytes);
    }
    message
}

/// A message as it goes over TCP.
pub fn with_length(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}

/// A ClientHello in one record; without a name where `name` is empty.
pub fn hello(name: &str, ech: bool) -> Vec<u8> {
    let mut extensions = vec![0, 43, 0, 3, 2, 3, 4];
    if !name.is_empty() {
        let len = name.len() as u16;
        for word in [0, len + 5, len + 3] {
            extensions.extend(word.to_be_bytes());
        }
        extensions.push(0);
        extensions.extend(len.to_be_bytes());
        extensions.extend(name.as_bytes());
    }
    if ech {
        // encrypted_client_hello, the outer form: what is in it nobody on the way can read.
        extensions.extend([0xfe, 0x0d, 0, 40]);
        extensions.extend([0; 40]);
    }
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0x13, 1, 1, 0]);
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let mut record = vec![22, 3, 1];
    record.extend((body.len() as u16 + 4).to_be_bytes());
    record.push(1);
    record.extend(&(body.len() as u32).to_be_bytes()[1..]);
    record.extend(body);
    record
}

/// A connection whose client sends a hello, and whose server answers as far as a server's first record goes.
pub fn tls(nanos: u64, client: End, server: End, name: &str, ech: bool) -> Vec<Frame> {
    let mut connection = Connection::open(nanos, client, server);
    connection.ask(&hello(name, ech), 1400);
    connection.answer(&[22, 3, 3, 0, 4, 2, 0, 0, 0], 1400);
    connection.close()
}

/// A question over UDP and its answer, a millisecond later.
pub fn resolved(
    nanos: u64,
    client: End,
    resolver: End,
    name: &str,
    records: &[(&str, u32, Data<'_>)],
) -> Vec<Frame> {
    let id = client.1;
    vec![
        udp(nanos, client, resolver, &question(id, name)),
        udp(
            nanos + MILLISECOND,
            resolver,
            client,
            &answer(id, name, records),
        ),
    ]
}
