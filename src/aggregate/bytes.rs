//! Flow records → an account of every byte: who it left with, or why nobody knows.

use std::ops::AddAssign;

use crate::decode::Address;
use crate::flow::HomeNetworks;
use crate::model::{Coverage, EvidenceKind, Locality};

/// Bytes and packets by direction, at the IP layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Flows, counted when they end.
    pub flows: u64,
    /// Bytes that the home side sent; where no or both sides are home, the initiator.
    pub bytes_out: u64,
    /// Bytes that the home side received.
    pub bytes_in: u64,
    /// Packets both ways.
    pub packets: u64,
}

impl Traffic {
    /// Bytes both ways.
    pub fn bytes(&self) -> u64 {
        self.bytes_out + self.bytes_in
    }
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.flows += other.flows;
        self.bytes_out += other.bytes_out;
        self.bytes_in += other.bytes_in;
        self.packets += other.packets;
    }
}

/// The account. Every counted byte is in exactly one cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByteLedger {
    cells: [[Traffic; Coverage::COUNT]; Locality::COUNT],
    attributed_by: [Traffic; EvidenceKind::COUNT],
}

impl ByteLedger {
    /// Adds what a flow carried since its last record; `evidence` where it is attributed.
    pub fn add(
        &mut self,
        locality: Locality,
        coverage: Coverage,
        evidence: Option<EvidenceKind>,
        traffic: Traffic,
    ) {
        self.cells[locality.index()][coverage.index()] += traffic;
        if let (Locality::Outbound, Coverage::Attributed, Some(kind)) =
            (locality, coverage, evidence)
        {
            self.attributed_by[kind.index()] += traffic;
        }
    }

    /// Adds a packet that belongs to no flow: a fragment, or one whose transport header could not be read.
    pub fn add_packet(
        &mut self,
        home: &HomeNetworks,
        source: &Address,
        destination: &Address,
        bytes: u32,
        coverage: Coverage,
    ) {
        self.add_outside(home, source, destination, (u64::from(bytes), 1), coverage);
    }

    /// Adds bytes that belong to no flow, and how many packets they are.
    pub fn add_outside(
        &mut self,
        home: &HomeNetworks,
        source: &Address,
        destination: &Address,
        (bytes, packets): (u64, u64),
        coverage: Coverage,
    ) {
        let locality = home.locality(source, destination);
        let mut traffic = Traffic {
            flows: 0,
            bytes_out: bytes,
            bytes_in: 0,
            packets,
        };
        if locality == Locality::Outbound && !home.contains(source) {
            std::mem::swap(&mut traffic.bytes_out, &mut traffic.bytes_in);
        }
        self.cells[locality.index()][coverage.index()] += traffic;
    }

    /// Adds another account.
    pub fn merge(&mut self, other: &Self) {
        for (row, more) in self.cells.iter_mut().zip(&other.cells) {
            for (cell, more) in row.iter_mut().zip(more) {
                *cell += *more;
            }
        }
        for (cell, more) in self.attributed_by.iter_mut().zip(&other.attributed_by) {
            *cell += *more;
        }
    }

    /// One cell.
    pub fn cell(&self, locality: Locality, coverage: Coverage) -> Traffic {
        self.cells[locality.index()][coverage.index()]
    }

    /// All of one side of the border.
    pub fn total(&self, locality: Locality) -> Traffic {
        sum(&self.cells[locality.index()])
    }

    /// Everything.
    pub fn grand_total(&self) -> Traffic {
        let mut total = Traffic::default();
        for locality in Locality::ALL {
            total += self.total(*locality);
        }
        total
    }

    /// Outbound traffic attributed on one kind of evidence.
    pub fn attributed_by(&self, kind: EvidenceKind) -> Traffic {
        self.attributed_by[kind.index()]
    }
}

fn sum(cells: &[Traffic]) -> Traffic {
    let mut total = Traffic::default();
    for cell in cells {
        total += *cell;
    }
    total
}
