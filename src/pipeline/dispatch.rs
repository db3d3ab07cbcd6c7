//! Frames → tasks for shards, and one outcome for each frame.

use std::sync::Arc;

use super::counters::FrameCounters;
use super::shard::Task;
use super::{SHARDS, Settings};
use crate::capture::{FrameDescriptor, RawPacket};
use crate::decode::{self, Decoded, IpHeader, TunnelPath};
use crate::flow::{FlowKey, HomeNetworks};
use crate::model::Coverage;

/// Decodes, hashes and counts.
#[derive(Debug)]
pub(super) struct Dispatcher {
    home: Arc<HomeNetworks>,
    hash_seed: u64,
    pub counters: FrameCounters,
}

impl Dispatcher {
    pub fn new(settings: &Settings) -> Self {
        Self {
            home: Arc::clone(&settings.home),
            hash_seed: settings.hash_seed,
            counters: FrameCounters::default(),
        }
    }

    /// The task that a frame makes; `None` if the frame belongs to no flow, which is counted.
    #[inline]
    pub fn task(&mut self, descriptor: &FrameDescriptor, frame: &[u8]) -> Option<Task> {
        let raw = RawPacket {
            timestamp: descriptor.timestamp,
            link_type: descriptor.link_type,
            wire_len: descriptor.wire_len,
            data: frame,
        };
        let counters = &mut self.counters;
        counters.frames += 1;
        counters.captured_bytes += u64::from(descriptor.captured_len);
        let packet = match decode::decode(&raw) {
            Decoded::Packet(packet) => packet,
            Decoded::Fragment(fragment) => {
                let ip = fragment.ip;
                counters.fragments += 1;
                counters.outside_flow_bytes += u64::from(ip.bytes);
                counters.outside_flows.add_packet(
                    &self.home,
                    &ip.source,
                    &ip.destination,
                    ip.bytes,
                    Coverage::Fragment,
                );
                self.tunnelled(&ip, fragment.tunnel, fragment.overhead);
                return None;
            }
            Decoded::BadTransport(ip, reason) => {
                counters.undecodable[reason.index()] += 1;
                counters.outside_flow_bytes += u64::from(ip.bytes);
                counters.outside_flows.add_packet(
                    &self.home,
                    &ip.source,
                    &ip.destination,
                    ip.bytes,
                    Coverage::Truncated,
                );
                return None;
            }
            Decoded::NotIp(kind) => {
                counters.not_ip[kind.index()] += 1;
                return None;
            }
            Decoded::Undecodable(reason) => {
                counters.undecodable[reason.index()] += 1;
                return None;
            }
        };
        counters.packets += 1;
        counters.packet_bytes += u64::from(packet.ip.bytes);
        if !packet.tunnel.is_empty() {
            self.tunnelled(&packet.ip, packet.tunnel, packet.overhead);
        }
        let (key, sender) = FlowKey::of(&packet, descriptor.scope);
        let hash = key.hash(self.hash_seed);
        Some(Task {
            packet,
            key,
            sender,
            hash,
            timestamp: descriptor.timestamp,
            stream_time: descriptor.stream_time,
            seq: descriptor.seq,
            shard: shard_of(hash),
            captured_len: descriptor.captured_len,
            offset: descriptor.offset,
        })
    }

    /// Counts what was around a packet. Its bytes run where the packet runs.
    fn tunnelled(&mut self, ip: &IpHeader, path: TunnelPath, overhead: u32) {
        let counters = &mut self.counters;
        for kind in path.layers() {
            counters.tunnels[kind.index()] += 1;
        }
        counters.tunnels_too_deep += u64::from(path.is_too_deep());
        let bytes = u64::from(overhead);
        if bytes > 0 {
            counters.tunnel_overhead_bytes += bytes;
            counters.outside_flow_bytes += bytes;
            counters.outside_flows.add_outside(
                &self.home,
                &ip.source,
                &ip.destination,
                (bytes, 0),
                Coverage::TunnelOverhead,
            );
        }
    }
}

/// The shard of a flow: bits that the flow table's index does not use.
#[inline]
fn shard_of(hash: u64) -> u16 {
    ((hash >> 26) % SHARDS as u64) as u16
}
