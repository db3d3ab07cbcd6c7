//! Ordered events → the list of names, each with its addresses and how often it was seen.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;

use super::mark::mark;
use crate::aggregate::EventRef;
use crate::flow::Endpoint;
use crate::model::EvidenceKind;

/// Rows kept at most; more distinct names and ports than that are counted, not listed.
const ROWS_MAX: usize = 10_000_000;

/// One name between two addresses; the field order is that of the output.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct NameRow {
    /// Where the name was read.
    pub kind: EvidenceKind,
    /// The name as on the wire, see [`crate::model::printable`].
    pub name: String,
    /// Who asked for it.
    pub src_ip: IpAddr,
    /// From which port.
    pub src_port: u16,
    /// Whom it was asked of.
    pub dest_ip: IpAddr,
    /// On which port.
    pub dest_port: u16,
}

/// All names seen.
#[derive(Clone, Debug, Default)]
pub struct Names {
    rows: BTreeMap<NameRow, u64>,
    /// Sightings that found no room.
    pub refused: u64,
    /// Take identifiers out of User-Agents and URIs; then several become one row.
    pub redact: bool,
}

impl Names {
    /// Takes the next event.
    pub fn event(&mut self, event: EventRef<'_>) {
        match event {
            EventRef::Observed(observed, run) => {
                for fact in run.facts(observed.facts) {
                    let name = run.text(fact.text);
                    self.seen(fact.kind, name, &observed.client, &observed.server);
                }
            }
            EventRef::Dns(transaction, run) => self.seen(
                transaction.kind,
                run.text(transaction.name),
                &transaction.client,
                &transaction.server,
            ),
            EventRef::Opened(_) | EventRef::Host(..) | EventRef::Reported(..) => {}
        }
    }

    fn seen(&mut self, kind: EvidenceKind, name: &[u8], client: &Endpoint, server: &Endpoint) {
        let row = NameRow {
            kind,
            name: mark(kind, name, self.redact).into_owned(),
            src_ip: client.ip(),
            src_port: client.port,
            dest_ip: server.ip(),
            dest_port: server.port,
        };
        if self.rows.len() >= ROWS_MAX && !self.rows.contains_key(&row) {
            self.refused += 1;
            return;
        }
        *self.rows.entry(row).or_default() += 1;
    }

    /// The rows in order, with how often each was seen.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = (&NameRow, u64)> {
        self.rows.iter().map(|(row, count)| (row, *count))
    }
}
