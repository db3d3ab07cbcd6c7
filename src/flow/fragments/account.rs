//! What datagrams in fragments came to.

use crate::decode::Address;
use crate::model::closed_set;

closed_set! {
    /// What became of a datagram that came in fragments.
    pub enum DatagramOutcome {
        /// All fragments came.
        Completed = "completed",
        /// Some did not come in time.
        TimedOut = "timed_out",
        /// IPv6, and two of its fragments overlap.
        Overlapping = "overlapping",
        /// It gave way to others, or there was no room for its bytes.
        NoRoom = "no_room",
        /// IPv4, and another datagram with its identification began before its rest came.
        Replaced = "replaced",
        /// More fragments than are kept.
        TooManyPieces = "too_many_pieces",
        /// The input ended before its rest came.
        Unfinished = "unfinished",
    }
}

/// Datagrams that came in fragments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatagramCounters {
    /// Datagrams of which a fragment came.
    pub begun: u64,
    /// What became of them.
    pub ended: [u64; DatagramOutcome::COUNT],
    /// Of those completed: packets of flows.
    pub packets: u64,
    /// Of those completed: fragments of a datagram within.
    pub fragments: u64,
    /// Of those completed: no packet, since their transport header cannot be read.
    pub undecodable: u64,
    /// Fragments that contradict themselves: longer than a datagram, or of a length that only the last may have.
    pub refused_fragments: u64,
    /// Fragments of a datagram that was complete, or dropped, already.
    pub late_fragments: u64,
    /// Fragments that overlap others of their datagram.
    pub overlaps: u64,
    /// Fragments that came a second time within a moment.
    pub copies: u64,
    /// IP bytes of all fragments, those within datagrams once more.
    pub bytes: u64,
    /// Of these: of datagrams completed.
    pub completed_bytes: u64,
    /// Of these: of copies.
    pub copied_bytes: u64,
    /// Of these: of all others.
    pub lost_bytes: u64,
}

impl std::ops::AddAssign<&DatagramCounters> for DatagramCounters {
    fn add_assign(&mut self, other: &Self) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.begun, other.begun);
        for (sum, more) in self.ended.iter_mut().zip(other.ended) {
            add(sum, more);
        }
        add(&mut self.packets, other.packets);
        add(&mut self.fragments, other.fragments);
        add(&mut self.undecodable, other.undecodable);
        add(&mut self.refused_fragments, other.refused_fragments);
        add(&mut self.late_fragments, other.late_fragments);
        add(&mut self.overlaps, other.overlaps);
        add(&mut self.copies, other.copies);
        add(&mut self.bytes, other.bytes);
        add(&mut self.copied_bytes, other.copied_bytes);
        add(&mut self.completed_bytes, other.completed_bytes);
        add(&mut self.lost_bytes, other.lost_bytes);
    }
}

/// Fragments that came to nothing.
#[derive(Clone, Copy, Debug)]
pub struct LostFragments {
    /// Sender.
    pub source: Address,
    /// Receiver.
    pub destination: Address,
    /// Their bytes at the IP layer.
    pub bytes: u64,
    /// How many.
    pub packets: u64,
}
