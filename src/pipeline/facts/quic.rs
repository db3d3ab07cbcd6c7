//! What the datagrams of QUIC flows show.

use super::super::encrypted_dns::Signs;
use super::{FlowFacts, Telling};
use crate::flow::{Counters, FlowEntry, Side};
use crate::model::{AppProtocol, EvidenceKind};
use crate::observe::{Datagram, QuicFlow, QuicHello, QuicReader};
use crate::protocol::tls::HelloDetails;

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
            opening: detail.quic_opening,
        };
        quic.datagram(entry, &mut flow, datagram, &mut |entry, hello, version| {
            self.quic_version = Some(version.0);
            match hello {
                QuicHello::Tls(hello) => {
                    // Opening the packet cost many times more than this walk.
                    for alpn in HelloDetails::of(*hello).alpn.iter() {
                        let signs = Signs {
                            alpn: Some(alpn),
                            ..Signs::default()
                        };
                        signs.note(entry, self.facts.resolvers);
                    }
                    self.hello(entry, hello);
                }
                QuicHello::Google(name) => {
                    self.named_server(entry, AppProtocol::Quic, EvidenceKind::QuicSni, name);
                }
            }
        });
        if flow.place != detail.quic || flow.opening != detail.quic_opening {
            self.facts.keep(entry, |detail| {
                detail.quic = flow.place;
                detail.quic_opening = flow.opening;
            });
        }
    }
}

impl FlowFacts {
    /// Whether a datagram begins another connection than that of its flow.
    pub fn another_begins(
        &mut self,
        quic: &mut QuicReader,
        entry: &mut FlowEntry,
        sender: Side,
        payload: &[u8],
    ) -> bool {
        let before = self
            .detail(entry)
            .map(|detail| detail.quic_opening)
            .unwrap_or_default();
        let mut opening = before;
        let begins = quic.begins_another(entry, &mut opening, sender, payload);
        if opening != before && !begins {
            self.keep(entry, |detail| detail.quic_opening = opening);
        }
        begins
    }
}
