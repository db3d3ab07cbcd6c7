//! Frames → tasks for shards, and one outcome for each frame. Datagrams in fragments are put together here, before their shard is known.

use std::sync::Arc;

use super::Settings;
use super::counters::FrameCounters;
use super::shard::Task;
use crate::capture::{FrameDescriptor, RawPacket};
use crate::decode::{self, Decoded, Fragment, IpHeader, Packet, TunnelKind, TunnelPath};
use crate::flow::{Added, Datagram, FlowKey, Fragments, HomeNetworks, LostFragments};
use crate::model::{Coverage, Timestamp};

/// Decodes, puts together, hashes and counts.
#[derive(Debug)]
pub(super) struct Dispatcher {
    home: Arc<HomeNetworks>,
    hash_seed: u64,
    fragments: Fragments,
    /// What the latest task lies in, if not in a frame.
    datagram: Option<Datagram>,
    counters: FrameCounters,
}

impl Dispatcher {
    pub fn new(settings: &Settings) -> Self {
        Self {
            home: Arc::clone(&settings.home),
            hash_seed: settings.hash_seed,
            fragments: Fragments::new(
                settings.fragments,
                !settings.mirror.duplicates.window.is_zero(),
            ),
            datagram: None,
            counters: FrameCounters::default(),
        }
    }

    /// The task that a frame makes; `None` if it makes none, which is counted.
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
        match decode::decode_plain(&raw) {
            Some(packet) => {
                counters.packets += 1;
                counters.packet_bytes += u64::from(packet.ip.bytes);
                // Plain packets have no layer but this.
                counters.tunnels[TunnelKind::Vlan.index()] += u64::from(!packet.tunnel.is_empty());
                Some(task_of(descriptor, packet, self.hash_seed))
            }
            None => self.other(descriptor, &raw),
        }
    }

    /// The task of a frame that is not plain.
    #[inline(never)]
    fn other(&mut self, descriptor: &FrameDescriptor, raw: &RawPacket<'_>) -> Option<Task> {
        let counters = &mut self.counters;
        match decode::decode_any(raw) {
            Decoded::Packet(packet) => {
                counters.packets += 1;
                Some(self.packet(descriptor, packet, packet.tunnel))
            }
            Decoded::Fragment(fragment) => {
                counters.fragments += 1;
                self.fragment(descriptor, &fragment, fragment.payload(raw.data))
            }
            Decoded::BadTransport(ip, reason) => {
                counters.undecodable[reason.index()] += 1;
                self.outside(&ip, u64::from(ip.bytes), 1, Coverage::Truncated);
                None
            }
            Decoded::NotIp(kind) => {
                counters.not_ip[kind.index()] += 1;
                None
            }
            Decoded::Undecodable(reason) => {
                counters.undecodable[reason.index()] += 1;
                None
            }
        }
    }

    /// The datagram that the latest task was decoded from, where [`Task::in_datagram`] says so.
    pub fn datagram(&self) -> Option<&Datagram> {
        self.datagram.as_ref()
    }

    /// The input has ended: datagrams that wait for their rest come to nothing.
    pub fn finish(mut self) -> FrameCounters {
        let (home, counters) = (&self.home, &mut self.counters);
        self.fragments
            .finish(&mut |lost| lose(home, counters, lost));
        counters.datagrams = self.fragments.counters;
        self.counters
    }

    /// A task of a packet; of its path the layers in `path` are still to be counted.
    #[inline]
    fn packet(&mut self, descriptor: &FrameDescriptor, packet: Packet, path: TunnelPath) -> Task {
        self.counters.packet_bytes += u64::from(packet.ip.bytes);
        if !path.is_empty() || packet.overhead > 0 {
            // Where its bytes belong the shard says: it knows whether this is a copy.
            self.tunnelled(path, packet.overhead);
        }
        task_of(descriptor, packet, self.hash_seed)
    }

    /// A piece of a datagram; a task if it was the last one missing.
    #[cold]
    fn fragment(
        &mut self,
        descriptor: &FrameDescriptor,
        fragment: &Fragment,
        payload: &[u8],
    ) -> Option<Task> {
        if let Some(before) = self.datagram.take() {
            self.fragments.recycle(before);
        }
        let (scope, now) = (descriptor.scope, descriptor.stream_time);
        let place = (scope, now, &[descriptor.seq][..]);
        let mut datagram = self.piece(fragment, payload, fragment.tunnel, place)?;
        loop {
            let known = datagram.first.tunnel;
            match decode::decode_datagram(&datagram.first, &datagram.bytes, datagram.ip_bytes) {
                Decoded::Packet(packet) => {
                    self.fragments.counters.packets += 1;
                    self.datagram = Some(datagram);
                    let path = packet.tunnel.behind(known);
                    let task = self.packet(descriptor, packet, path);
                    return Some(Task {
                        in_datagram: true,
                        ..task
                    });
                }
                // Each time there is a layer more around it, and there is an end to layers.
                Decoded::Fragment(inner) => {
                    self.fragments.counters.fragments += 1;
                    let next = self.piece(
                        &inner,
                        inner.payload(&datagram.bytes),
                        inner.tunnel.behind(known),
                        (scope, now, &datagram.seqs),
                    );
                    self.fragments.recycle(datagram);
                    datagram = next?;
                }
                Decoded::BadTransport(..) | Decoded::NotIp(_) | Decoded::Undecodable(_) => {
                    self.fragments.counters.undecodable += 1;
                    let bytes = u64::from(datagram.ip_bytes);
                    self.outside(&datagram.first.ip, bytes, 1, Coverage::Truncated);
                    self.fragments.recycle(datagram);
                    return None;
                }
            }
        }
    }

    /// A fragment with the layers around it that are still to be counted; the datagram that it completes.
    fn piece(
        &mut self,
        fragment: &Fragment,
        payload: &[u8],
        path: TunnelPath,
        place: (u16, Timestamp, &[u64]),
    ) -> Option<Datagram> {
        let overhead = u64::from(fragment.overhead);
        self.tunnelled(path, fragment.overhead);
        let (home, counters) = (&self.home, &mut self.counters);
        let added = self.fragments.add(fragment, payload, place, &mut |lost| {
            lose(home, counters, lost);
        });
        if matches!(added, Added::Copy) {
            self.counters.copied_overhead_bytes += overhead;
        } else if overhead > 0 {
            // Its bytes run where the fragment runs.
            self.outside(&fragment.ip, overhead, 0, Coverage::TunnelOverhead);
        }
        match added {
            Added::Completes(datagram) => Some(datagram),
            Added::Copy | Added::Taken => None,
        }
    }

    /// Bytes of a packet that belong to no flow.
    fn outside(&mut self, ip: &IpHeader, bytes: u64, packets: u64, coverage: Coverage) {
        self.counters.outside_flow_bytes += bytes;
        self.counters.outside_flows.add_outside(
            &self.home,
            &ip.source,
            &ip.destination,
            (bytes, packets),
            coverage,
        );
    }

    /// Counts what was around a packet.
    fn tunnelled(&mut self, path: TunnelPath, overhead: u32) {
        let counters = &mut self.counters;
        for kind in path.layers() {
            counters.tunnels[kind.index()] += 1;
        }
        counters.tunnels_too_deep += u64::from(path.is_too_deep());
        counters.tunnel_overhead_bytes += u64::from(overhead);
    }
}

/// Accounts for fragments of a datagram that was not put together.
fn lose(home: &HomeNetworks, counters: &mut FrameCounters, lost: &LostFragments) {
    counters.outside_flow_bytes += lost.bytes;
    counters.outside_flows.add_outside(
        home,
        &lost.source,
        &lost.destination,
        (lost.bytes, lost.packets),
        Coverage::Fragment,
    );
}

/// The task of a packet that came in a frame.
#[inline]
fn task_of(descriptor: &FrameDescriptor, packet: Packet, hash_seed: u64) -> Task {
    let (key, sender) = FlowKey::of(&packet, descriptor.scope);
    Task {
        packet,
        sender,
        hash: key.hash(hash_seed),
        timestamp: descriptor.timestamp,
        stream_time: descriptor.stream_time,
        seq: descriptor.seq,
        scope: descriptor.scope,
        link_type: descriptor.link_type,
        in_datagram: false,
        captured_len: descriptor.captured_len,
        offset: descriptor.offset,
    }
}
