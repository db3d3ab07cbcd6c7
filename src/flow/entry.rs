//! One biflow in two cache lines. What only some flows need (reassembly, evidence) lies elsewhere, behind `detail`.

use super::{Counters, Endpoint, FlowKey, Side};
use crate::decode::TcpFlags;
use crate::model::{AppProtocol, Coverage, Locality, Tick, Timestamp};

/// Which way a packet of a flow goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Directed {
    /// Sent by the side that began the flow.
    #[default]
    FromInitiator,
    /// Sent by the side that answered.
    FromResponder,
}

impl Directed {
    /// 0 for the initiator, 1 for the responder: positions in pairs of counters.
    #[inline]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The other way.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::FromInitiator => Self::FromResponder,
            Self::FromResponder => Self::FromInitiator,
        }
    }
}

/// State bits of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(transparent)]
pub struct FlowFlags(u16);

impl FlowFlags {
    /// The entry holds a flow.
    pub const IN_USE: Self = Self(1);
    /// End B of the key began the flow.
    pub const INITIATOR_IS_B: Self = Self(1 << 1);
    /// TCP whose first packet was no SYN: the capture began in the middle.
    pub const MIDSTREAM: Self = Self(1 << 2);
    /// Nothing more is to be read from the payload.
    pub const INSPECTED: Self = Self(1 << 3);
    /// `stream_start` is known.
    pub const START_KNOWN: Self = Self(1 << 4);
    /// The initiator has sent payload.
    pub const INITIATOR_PAYLOAD: Self = Self(1 << 5);
    /// The responder has sent payload.
    pub const RESPONDER_PAYLOAD: Self = Self(1 << 6);
    /// TCP ended by FIN from both sides, or by RST.
    pub const CLOSED: Self = Self(1 << 7);
    /// Somebody else knows the flow by `detail`.
    pub const HAS_DETAIL: Self = Self(1 << 8);
    /// Encrypted ClientHello was offered.
    pub const ECH_OFFERED: Self = Self(1 << 9);
    /// It carries questions to a name service, encrypted.
    pub const ENCRYPTED_DNS: Self = Self(1 << 15);
    /// The side that was connected to is the client of what is spoken, and the side that connected serves it.
    pub const ROLES_TURNED: Self = Self(1 << 10);
    /// What the server of TLS says is still to be read, though nothing of the client is.
    pub const SERVER_WANTED: Self = Self(1 << 11);

    /// Whether all bits of `flags` are set.
    #[inline]
    pub const fn has(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Sets the bits of `flags`.
    #[inline]
    pub const fn set(&mut self, flags: Self) {
        self.0 |= flags.0;
    }

    /// Clears the bits of `flags`.
    #[inline]
    pub const fn clear(&mut self, flags: Self) {
        self.0 &= !flags.0;
    }
}

/// A live flow. Exactly 128 bytes; the first cache line is what finding and expiring touch.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
pub struct FlowEntry {
    /// Both ends.
    pub key: FlowKey,
    /// Links and slot of the timeout wheel.
    pub(super) wheel_next: u32,
    pub(super) wheel_previous: u32,
    pub(super) wheel_tick: Tick,
    /// When the flow expires if nothing more comes.
    pub(super) deadline: Tick,
    /// Earliest stream time of a packet.
    pub(super) first_time: Timestamp,
    // Second cache line.
    /// Latest packet time.
    pub(super) last_time: Timestamp,
    /// Bytes at the IP layer, from the initiator and from the responder.
    pub(super) bytes: [u64; 2],
    /// `seq` of the first packet.
    pub(super) first_seq: u64,
    /// Packets, from the initiator and from the responder.
    pub(super) packets: [u32; 2],
    /// Sequence number of the first byte that the initiator sends, while [`FlowFlags::START_KNOWN`].
    pub stream_start: u32,
    /// Handle of what later stages keep about the flow, while [`FlowFlags::HAS_DETAIL`].
    pub detail: u32,
    /// When the next interim record is due.
    pub(super) active_deadline: Tick,
    /// State.
    pub flags: FlowFlags,
    /// TCP flags seen from the initiator and from the responder.
    pub(super) tcp_flags: [u8; 2],
    /// Payload packets looked at without a result.
    pub looked_at: u8,
    /// [`Coverage`] as it stands, by index.
    coverage: u8,
    /// [`Locality`], by index.
    locality: u8,
    /// [`AppProtocol`], by index plus one; 0 while it is not known.
    app_protocol: u8,
    /// Handle of the tunnels around its first packet, 0 for none.
    pub tunnel: u16,
    unused: [u8; 2],
}

const _: () = assert!(size_of::<FlowEntry>() == 128);

impl FlowEntry {
    /// Which end began.
    #[inline]
    pub const fn initiator(&self) -> Side {
        if self.flags.has(FlowFlags::INITIATOR_IS_B) {
            Side::B
        } else {
            Side::A
        }
    }

    /// The sides were taken for each other: what was the responder began the flow.
    pub const fn swap_sides(&mut self) {
        self.flags.0 ^= FlowFlags::INITIATOR_IS_B.0;
        let (initiator, responder) = (FlowFlags::INITIATOR_PAYLOAD, FlowFlags::RESPONDER_PAYLOAD);
        let (from_initiator, from_responder) =
            (self.flags.has(initiator), self.flags.has(responder));
        self.flags.clear(initiator);
        self.flags.clear(responder);
        if from_initiator {
            self.flags.set(responder);
        }
        if from_responder {
            self.flags.set(initiator);
        }
        self.bytes = [self.bytes[1], self.bytes[0]];
        self.packets = [self.packets[1], self.packets[0]];
        self.tcp_flags = [self.tcp_flags[1], self.tcp_flags[0]];
    }

    /// The end that began.
    pub const fn initiator_endpoint(&self) -> Endpoint {
        self.key.endpoint(self.initiator())
    }

    /// The end that answered.
    pub const fn responder_endpoint(&self) -> Endpoint {
        self.key.endpoint(self.initiator().other())
    }

    /// What was counted so far.
    pub const fn counters(&self) -> Counters {
        Counters {
            bytes: self.bytes,
            packets: [self.packets[0] as u64, self.packets[1] as u64],
        }
    }

    /// Packets counted so far, from the initiator and from the responder.
    #[inline]
    pub const fn packets(&self) -> [u32; 2] {
        self.packets
    }

    /// The bucket that the flow's bytes are in, as far as is known.
    pub fn coverage(&self) -> Coverage {
        Coverage::ALL
            .get(usize::from(self.coverage))
            .copied()
            .unwrap_or(Coverage::OtherProtocol)
    }

    /// Decides the bucket.
    #[inline]
    pub fn set_coverage(&mut self, coverage: Coverage) {
        self.coverage = coverage as u8;
    }

    /// What was recognised in the flow.
    #[inline]
    pub fn app_protocol(&self) -> Option<AppProtocol> {
        AppProtocol::ALL
            .get(usize::from(self.app_protocol.checked_sub(1)?))
            .copied()
    }

    /// Says what was recognised in the flow.
    #[inline]
    pub const fn set_app_protocol(&mut self, protocol: AppProtocol) {
        self.app_protocol = (protocol as u8).saturating_add(1);
    }

    /// On which side of the border the flow runs.
    pub fn locality(&self) -> Locality {
        Locality::ALL
            .get(usize::from(self.locality))
            .copied()
            .unwrap_or(Locality::Transit)
    }

    /// Decides the side of the border.
    #[inline]
    pub fn set_locality(&mut self, locality: Locality) {
        self.locality = locality as u8;
    }

    /// TCP flags seen from the initiator and from the responder.
    pub const fn tcp_flags(&self) -> [TcpFlags; 2] {
        [TcpFlags(self.tcp_flags[0]), TcpFlags(self.tcp_flags[1])]
    }

    /// `seq` of the first packet: with the key it names the flow.
    pub const fn first_seq(&self) -> u64 {
        self.first_seq
    }

    /// Time of the first packet.
    pub const fn first_time(&self) -> Timestamp {
        self.first_time
    }

    /// Time of the latest packet.
    pub const fn last_time(&self) -> Timestamp {
        self.last_time
    }

    /// Gives up the handle of what later stages keep, if there is one.
    #[inline]
    pub const fn detail(&self) -> Option<u32> {
        if self.flags.has(FlowFlags::HAS_DETAIL) {
            Some(self.detail)
        } else {
            None
        }
    }

    /// Ties what later stages keep to the flow.
    #[inline]
    pub const fn set_detail(&mut self, detail: u32) {
        self.detail = detail;
        self.flags.set(FlowFlags::HAS_DETAIL);
    }
}
