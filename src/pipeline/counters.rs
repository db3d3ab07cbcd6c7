//! What every frame came to, and what shards refused.

use crate::aggregate::ByteLedger;
use crate::decode::{NotIp, TunnelKind, Undecodable};
use crate::flow::{DatagramCounters, DuplicateCounters, LossCounters};
use crate::observe::{
    DecryptCounters, DnsCounters, DtlsCounters, HandshakeCounters, QuicCounters, ServerCounters,
};

/// One outcome for every frame read, and the bytes of packets that belong to no flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrameCounters {
    /// Frames read.
    pub frames: u64,
    /// Captured bytes read.
    pub captured_bytes: u64,
    /// Frames that became a packet of a flow.
    pub packets: u64,
    /// IP bytes of those, and of datagrams that did.
    pub packet_bytes: u64,
    /// Frames that are a fragment of a datagram.
    pub fragments: u64,
    /// What became of the datagrams that they are pieces of.
    pub datagrams: DatagramCounters,
    /// Frames without IP.
    pub not_ip: [u64; NotIp::COUNT],
    /// Frames that could not be decoded.
    pub undecodable: [u64; Undecodable::COUNT],
    /// Layers that packets and fragments were taken out of.
    pub tunnels: [u64; TunnelKind::COUNT],
    /// Packets that hold another behind more layers than are taken off.
    pub tunnels_too_deep: u64,
    /// What the packets around unwrapped ones are longer.
    pub tunnel_overhead_bytes: u64,
    /// Of these: around fragments that are copies of others.
    pub copied_overhead_bytes: u64,
    /// Bytes of fragments, of what is around those in tunnels, and of packets whose transport header could not be read.
    pub outside_flows: ByteLedger,
    /// IP bytes of those, for the comparison with `outside_flows`.
    pub outside_flow_bytes: u64,
}

impl std::ops::AddAssign<&FrameCounters> for FrameCounters {
    fn add_assign(&mut self, other: &Self) {
        self.frames += other.frames;
        self.captured_bytes += other.captured_bytes;
        self.packets += other.packets;
        self.packet_bytes += other.packet_bytes;
        self.fragments += other.fragments;
        self.datagrams += &other.datagrams;
        for (sum, more) in self.not_ip.iter_mut().zip(&other.not_ip) {
            *sum += more;
        }
        for (sum, more) in self.undecodable.iter_mut().zip(&other.undecodable) {
            *sum += more;
        }
        for (sum, more) in self.tunnels.iter_mut().zip(&other.tunnels) {
            *sum += more;
        }
        self.tunnels_too_deep += other.tunnels_too_deep;
        self.tunnel_overhead_bytes += other.tunnel_overhead_bytes;
        self.copied_overhead_bytes += other.copied_overhead_bytes;
        self.outside_flows.merge(&other.outside_flows);
        self.outside_flow_bytes += other.outside_flow_bytes;
    }
}

/// What hosts said of themselves to their network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostFactCounters {
    /// What was told to the ledger.
    pub told: u64,
    /// DHCP messages that could not be read.
    pub malformed: u64,
    /// DHCP messages that end early or contradict themselves; what stood before that was read.
    pub damaged: u64,
}

/// What one shard, or all of them, came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardCounters {
    /// Packets processed.
    pub packets: u64,
    /// Packets that were copies of others: they belong to no flow a second time.
    pub duplicates: DuplicateCounters,
    /// Bytes around packets in tunnels that are no copies of others.
    pub tunnel_overhead: ByteLedger,
    /// Acknowledged bytes, and those of them that never came by.
    pub loss: LossCounters,
    /// Ended connections of which payload of both sides, or of one side that got answers, came by.
    pub tcp_two_way: u64,
    /// Ended connections with payload of which one side never came by.
    pub tcp_one_way: u64,
    /// Handshakes and what was refused of them.
    pub handshakes: HandshakeCounters,
    /// Hellos of QUIC and what was refused of them.
    pub quic: QuicCounters,
    /// Servers of TLS and what was refused of them.
    pub servers: ServerCounters,
    /// Hellos of DTLS and what was refused of them.
    pub dtls: DtlsCounters,
    /// TLS sessions whose secrets are known, or are not.
    pub decrypt: DecryptCounters,
    /// Questions to name services.
    pub dns: DnsCounters,
    /// What hosts said of themselves.
    pub host_facts: HostFactCounters,
    /// Facts that flows showed beyond those kept; they were told when they were seen.
    pub facts_left_out: u64,
    /// Names that found no room: seen and reported, but missing in the record of their flow.
    pub refused_names: u64,
    /// Flows whose tunnels found no room: the path is missing in their events.
    pub refused_paths: u64,
    /// Flows that a shard still held when its counters were read.
    pub active_flows: u64,
}

impl std::ops::AddAssign<&ShardCounters> for ShardCounters {
    fn add_assign(&mut self, other: &Self) {
        self.packets += other.packets;
        self.duplicates += other.duplicates;
        self.tunnel_overhead.merge(&other.tunnel_overhead);
        self.loss += other.loss;
        self.tcp_two_way += other.tcp_two_way;
        self.tcp_one_way += other.tcp_one_way;
        self.refused_names += other.refused_names;
        self.refused_paths += other.refused_paths;
        self.active_flows += other.active_flows;
        let (sum, more) = (&mut self.handshakes, &other.handshakes);
        sum.reassembled += more.reassembled;
        sum.refused_handshakes += more.refused_handshakes;
        sum.refused_segments += more.refused_segments;
        sum.given_up += more.given_up;
        sum.gaps += more.gaps;
        sum.watched_out += more.watched_out;
        let (sum, more) = (&mut self.servers, &other.servers);
        sum.answers += more.answers;
        sum.resumed += more.resumed;
        sum.certificates += more.certificates;
        sum.malformed += more.malformed;
        sum.refused += more.refused;
        sum.given_up += more.given_up;
        let (sum, more) = (&mut self.dtls, &other.dtls);
        sum.hellos += more.hellos;
        sum.reassembled += more.reassembled;
        sum.refused += more.refused;
        sum.given_up += more.given_up;
        self.facts_left_out += other.facts_left_out;
        let (sum, more) = (&mut self.host_facts, &other.host_facts);
        sum.told += more.told;
        sum.malformed += more.malformed;
        sum.damaged += more.damaged;
        let (sum, more) = (&mut self.quic, &other.quic);
        sum.opened += more.opened;
        sum.undecryptable += more.undecryptable;
        sum.reassembled += more.reassembled;
        sum.refused_hellos += more.refused_hellos;
        sum.refused_pieces += more.refused_pieces;
        sum.given_up += more.given_up;
        sum.untried += more.untried;
        self.decrypt += other.decrypt;
        let (sum, more) = (&mut self.dns, &other.dns);
        sum.questions += more.questions;
        sum.unsolicited += more.unsolicited;
        sum.repeated += more.repeated;
        sum.unsolicited_left_out += more.unsolicited_left_out;
        sum.malformed += more.malformed;
        sum.damaged += more.damaged;
        sum.answers_left_out += more.answers_left_out;
        sum.refused += more.refused;
    }
}
