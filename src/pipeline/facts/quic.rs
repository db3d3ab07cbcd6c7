//! What the datagrams of QUIC flows show.

use super::Telling;
use crate::flow::{Counters, FlowEntry};
use crate::model::{AppProtocol, EvidenceKind};
use crate::observe::{Datagram, QuicFlow, QuicReader};

impl Telling<'_> {
    /// A datagram of a QUIC flow: the server name that it completes is judged, kept and told.
    pub fn quic_datagram(
        &mut self,
        quic: &mut QuicReader,
        entry: &mut FlowEntry,
        datagram: &Datagram<'_>,
    ) {
        let detail = self.facts.detail(entry).unwrap_or_default();
        let mut flow = QuicFlow {
            place: detail.quic,
            may_be_swapped: detail.reported == Counters::default(),
        };
        quic.datagram(entry, &mut flow, datagram, &mut |entry, name, version| {
            self.quic_version = Some(version.0);
            self.named_server(entry, AppProtocol::Quic, EvidenceKind::QuicSni, name);
        });
        if flow.place != detail.quic {
            self.facts.keep(entry, |detail| detail.quic = flow.place);
        }
    }
}
