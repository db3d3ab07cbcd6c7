//! Packets and flows as they are written → sums, and the JSON document that states them.
//!
//! Bytes are those of the IP total length. A flow is outbound when exactly one of its ends is at
//! home; "out" is what the home end sent.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::addresses::is_home;
use super::flow::{Flow, Key, NameKind};
use super::names::Names;
use super::options::Options;
use super::packet::Transport;

/// Frames by what follows the Ethernet header.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FramesByKind {
    /// IPv4 and IPv6.
    pub ip: u64,
    /// ARP.
    pub arp: u64,
}

/// Flows by transport.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FlowsByTransport {
    /// TCP 5-tuples.
    pub tcp: u64,
    /// UDP 5-tuples.
    pub udp: u64,
    /// Echo conversations, `ICMPv4` and `ICMPv6`: one address pair with one identifier each.
    pub icmp: u64,
}

/// Bytes of the home side and of the other.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct TwoWay {
    /// Sent by the home side.
    pub out: u64,
    /// Sent to the home side.
    #[serde(rename = "in")]
    pub inward: u64,
}

/// IP bytes by where the flow's ends lie.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Bytes {
    /// Exactly one end at home, whoever began.
    pub outbound_flows: TwoWay,
    /// Both ends at home.
    pub home_home: u64,
    /// No end at home.
    pub transit: u64,
}

/// Flows that asked for one name.
#[derive(Clone, Debug, Serialize)]
pub struct NameCount {
    /// `tls_sni`, `http_host` or `dns_query`.
    pub kind: &'static str,
    /// The name.
    pub name: &'static str,
    /// Flows whose whole name was written.
    pub flows: u64,
}

/// Flows to one vendor by TLS server name, with exactly one end at home.
#[derive(Clone, Debug, Serialize)]
pub struct VendorCount {
    /// The vendor's identifier.
    pub vendor: &'static str,
    /// Its flows.
    pub flows: u64,
    /// Bytes the home side sent.
    pub bytes_out: u64,
    /// Bytes sent to the home side.
    pub bytes_in: u64,
}

/// Everything known about a capture.
#[derive(Clone, Debug, Serialize)]
pub struct Truth {
    /// Word of the shape.
    pub shape: &'static str,
    /// Seed.
    pub seed: u64,
    /// Networks counted as home.
    pub home_networks: [&'static str; 4],
    /// Frames written.
    pub packets: u64,
    /// Size of the capture file.
    pub file_bytes: u64,
    /// Frames by what follows the Ethernet header.
    pub frames_by_kind: FramesByKind,
    /// Frames with an 802.1Q tag.
    pub vlan_frames: u64,
    /// IP packets.
    pub ip_packets: u64,
    /// Their bytes.
    pub ip_bytes: u64,
    /// Distinct 5-tuples, both directions together.
    pub flows: u64,
    /// The same by transport.
    pub flows_by_transport: FlowsByTransport,
    /// TCP flows of which no SYN was written.
    pub tcp_flows_without_syn: u64,
    /// TCP flows with a whole `ClientHello` that has a server name.
    pub tls_flows_with_sni: u64,
    /// Those of them whose `ClientHello` lies in several segments.
    pub tls_split_hellos: u64,
    /// IP bytes by where the ends lie.
    pub bytes: Bytes,
    /// Names asked for, by kind and name.
    pub names: Vec<NameCount>,
    /// Vendors, by identifier.
    pub vendors: Vec<VendorCount>,
    /// Vendors of engines embedded in another's product: part of that other vendor's flows above.
    pub embedded_engines: Vec<VendorCount>,
    /// The longest time between two packets of one flow.
    pub longest_silence_nanoseconds: u64,
}

/// Sums up a capture while it is written.
pub struct Ledger {
    truth: Truth,
    names: Names,
    counts: BTreeMap<(NameKind, u16), u64>,
    vendors: BTreeMap<&'static str, VendorCount>,
    engines: BTreeMap<&'static str, VendorCount>,
    flows: Option<Box<dyn Write>>,
}

#[derive(Serialize)]
struct FlowLine<'a> {
    source: &'a str,
    source_port: u16,
    destination: &'a str,
    destination_port: u16,
    protocol: &'static str,
    packets: [u64; 2],
    bytes: [u64; 2],
    name_kind: Option<&'static str>,
    name: Option<&'static str>,
}

impl Ledger {
    /// A ledger that writes a line about each flow to `flows`, if given.
    pub fn new(options: &Options, flows: Option<Box<dyn Write>>) -> Self {
        let truth = Truth {
            shape: options.shape.word(),
            seed: options.seed,
            home_networks: ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"],
            packets: 0,
            file_bytes: 0,
            frames_by_kind: FramesByKind::default(),
            vlan_frames: 0,
            ip_packets: 0,
            ip_bytes: 0,
            flows: 0,
            flows_by_transport: FlowsByTransport::default(),
            tcp_flows_without_syn: 0,
            tls_flows_with_sni: 0,
            tls_split_hellos: 0,
            bytes: Bytes::default(),
            names: Vec::new(),
            vendors: Vec::new(),
            embedded_engines: Vec::new(),
            longest_silence_nanoseconds: 0,
        };
        Self {
            truth,
            names: Names::new(),
            counts: BTreeMap::new(),
            vendors: BTreeMap::new(),
            engines: BTreeMap::new(),
            flows,
        }
    }

    /// Counts one frame; `ip_length` is 0 for ARP.
    pub fn frame(&mut self, vlan: u16, ip_length: u64) {
        self.truth.packets += 1;
        self.truth.vlan_frames += u64::from(vlan != 0);
        if ip_length == 0 {
            self.truth.frames_by_kind.arp += 1;
        } else {
            self.truth.frames_by_kind.ip += 1;
            self.truth.ip_packets += 1;
            self.truth.ip_bytes += ip_length;
        }
    }

    /// Notes how long a flow was silent, and returns that time.
    pub fn silence(&mut self, nanoseconds: u64) {
        let longest = &mut self.truth.longest_silence_nanoseconds;
        *longest = nanoseconds.max(*longest);
    }

    /// Counts a flow that has sent its last packet.
    pub fn flow(&mut self, flow: &Flow, began_with_syn: bool) -> io::Result<()> {
        let by_transport = &mut self.truth.flows_by_transport;
        match flow.key.transport {
            Transport::Tcp => {
                by_transport.tcp += 1;
                self.truth.tcp_flows_without_syn += u64::from(!began_with_syn);
            }
            Transport::Udp => by_transport.udp += 1,
            Transport::Icmp => by_transport.icmp += 1,
            Transport::Arp => return Ok(()),
        }
        self.truth.flows += 1;
        let two_way = self.place(flow);
        let name = flow.name.filter(|_| flow.named);
        if let Some((kind, index)) = name {
            *self.counts.entry((kind, index)).or_default() += 1;
            if kind == NameKind::TlsSni {
                self.truth.tls_flows_with_sni += 1;
                self.truth.tls_split_hellos += u64::from(flow.split_hello);
                if let Some(two_way) = two_way {
                    let name = self.names.name(index);
                    add_vendor(&mut self.vendors, name.vendor, two_way);
                    add_vendor(&mut self.engines, name.engine, two_way);
                }
            }
        }
        self.flow_line(flow, name)
    }

    /// Adds the flow's bytes where they belong; returns them two ways when exactly one end is home.
    fn place(&mut self, flow: &Flow) -> Option<TwoWay> {
        let bytes = &mut self.truth.bytes;
        let [first, second] = flow.bytes;
        let two_way = match flow.key.addresses.map(is_home) {
            [true, true] => {
                bytes.home_home += first + second;
                return None;
            }
            [false, false] => {
                bytes.transit += first + second;
                return None;
            }
            [true, false] => TwoWay {
                out: first,
                inward: second,
            },
            [false, true] => TwoWay {
                out: second,
                inward: first,
            },
        };
        bytes.outbound_flows.out += two_way.out;
        bytes.outbound_flows.inward += two_way.inward;
        Some(two_way)
    }

    fn flow_line(&mut self, flow: &Flow, name: Option<(NameKind, u16)>) -> io::Result<()> {
        let Some(output) = &mut self.flows else {
            return Ok(());
        };
        let Key {
            addresses,
            ports,
            transport,
        } = &flow.key;
        let line = FlowLine {
            source: &addresses[0].to_string(),
            source_port: ports[0],
            destination: &addresses[1].to_string(),
            destination_port: ports[1],
            protocol: match transport {
                Transport::Tcp => "tcp",
                Transport::Udp => "udp",
                Transport::Icmp | Transport::Arp => "icmp",
            },
            packets: flow.packets,
            bytes: flow.bytes,
            name_kind: name.map(|(kind, _)| word(kind)),
            name: name.map(|(_, index)| self.names.name(index).host),
        };
        serde_json::to_writer(&mut *output, &line)?;
        output.write_all(b"\n")
    }

    /// The finished truth about a file of `file_bytes`.
    pub fn finish(mut self, file_bytes: u64) -> io::Result<Truth> {
        if let Some(output) = &mut self.flows {
            output.flush()?;
        }
        self.truth.file_bytes = file_bytes;
        for ((kind, index), flows) in self.counts {
            let name = self.names.name(index).host;
            self.truth.names.push(NameCount {
                kind: word(kind),
                name,
                flows,
            });
        }
        self.truth
            .names
            .sort_by_key(|count| (count.kind, count.name));
        self.truth.vendors = self.vendors.into_values().collect();
        self.truth.embedded_engines = self.engines.into_values().collect();
        Ok(self.truth)
    }
}

fn word(kind: NameKind) -> &'static str {
    match kind {
        NameKind::TlsSni => "tls_sni",
        NameKind::HttpHost => "http_host",
        NameKind::DnsQuery => "dns_query",
    }
}

fn add_vendor(
    counts: &mut BTreeMap<&'static str, VendorCount>,
    vendor: Option<&'static str>,
    two_way: TwoWay,
) {
    let Some(vendor) = vendor else { return };
    let none = VendorCount {
        vendor,
        flows: 0,
        bytes_out: 0,
        bytes_in: 0,
    };
    let count = counts.entry(vendor).or_insert(none);
    count.flows += 1;
    count.bytes_out += two_way.out;
    count.bytes_in += two_way.inward;
}
