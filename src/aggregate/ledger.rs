//! The single owner of everything that depends on order.

use std::sync::Arc;

use super::exposure::{Places, Sighting};
use super::{ByteLedger, EventRef, Exposures, FlowOpened, FlowReported, NameObserved, Traffic};
use crate::attribute::Ruleset;
use crate::decode::Address;
use crate::flow::{Endpoint, FlowEndReason, HomeNetworks};
use crate::geo::{Countries, OperatorTable};
use crate::model::Locality;

/// What the ledger counts beside bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerCounters {
    /// Flows that opened.
    pub flows_opened: u64,
    /// Flows that ended, by reason.
    pub flows_ended: [u64; FlowEndReason::COUNT],
    /// Interim records of long flows.
    pub interim_records: u64,
    /// The most flows open at a time.
    pub flows_open_max: u64,
    /// Names seen, attributed or not.
    pub names: u64,
    /// Names that a rule knows.
    pub names_attributed: u64,
    /// Names that a rule knows in flows whose client is not home: nobody's exposure.
    pub attributed_without_home: u64,
    /// Bytes of attributed flows whose client is not home.
    pub bytes_without_home: u64,
    /// Bytes of attributed flows whose exposure found no room.
    pub bytes_refused: u64,
    /// Flows that ended, by side of the border.
    pub flows_by_locality: [u64; Locality::COUNT],
}

/// Sums up ordered events.
#[derive(Debug)]
pub struct Ledger {
    rules: Arc<Ruleset>,
    countries: Arc<Countries>,
    operators: Arc<OperatorTable>,
    home: Arc<HomeNetworks>,
    exposures: Exposures,
    bytes: ByteLedger,
    counters: LedgerCounters,
}

impl Ledger {
    /// An empty ledger that lists at most `exposures_max` exposures.
    pub fn new(
        rules: Arc<Ruleset>,
        countries: Arc<Countries>,
        operators: Arc<OperatorTable>,
        home: Arc<HomeNetworks>,
        exposures_max: usize,
    ) -> Self {
        Self {
            rules,
            countries,
            operators,
            home,
            exposures: Exposures::new(exposures_max),
            bytes: ByteLedger::default(),
            counters: LedgerCounters::default(),
        }
    }

    /// Takes the next event.
    pub fn event(&mut self, event: EventRef<'_>) {
        match event {
            EventRef::Opened(opened) => self.opened(opened),
            EventRef::Named(named, name) => self.named(named, name),
            EventRef::Reported(reported, _) => self.reported(reported),
        }
    }

    /// Who talks to whom.
    pub fn exposures(&self) -> &Exposures {
        &self.exposures
    }

    /// The account of bytes in flows.
    pub fn bytes(&self) -> &ByteLedger {
        &self.bytes
    }

    /// What else was counted.
    pub fn counters(&self) -> &LedgerCounters {
        &self.counters
    }

    /// Where countries of addresses come from.
    pub fn countries(&self) -> &Countries {
        &self.countries
    }

    /// The rules by which everything was judged.
    pub fn rules(&self) -> &Arc<Ruleset> {
        &self.rules
    }

    fn opened(&mut self, _opened: &FlowOpened) {
        self.counters.flows_opened += 1;
        let ended: u64 = self.counters.flows_ended.iter().sum();
        self.counters.flows_open_max = self
            .counters
            .flows_open_max
            .max(self.counters.flows_opened.saturating_sub(ended));
    }

    fn named(&mut self, named: &NameObserved, name: &[u8]) {
        self.counters.names += 1;
        let Some(found) = named.evidence.rule else {
            return;
        };
        self.counters.names_attributed += 1;
        let Some(host) = self.host(&named.client) else {
            self.counters.attributed_without_home += 1;
            return;
        };
        let evidence = &named.evidence;
        let sighting = Sighting {
            kind: evidence.kind,
            name,
            rule: found,
            seq: evidence.seq,
            frame_hash: evidence.frame_hash,
            time: evidence.time,
            flow: named.flow,
            server: named.server.address,
            ech_offered: evidence.ech_offered,
        };
        let ip = named.server.ip();
        let operator = self.operators.lookup(ip);
        let places = Places {
            country: self.countries.lookup(ip),
            operator: operator.map(|operator| (operator.name.as_str(), operator.country)),
        };
        self.exposures.sighted(host, &sighting, &self.rules, places);
    }

    fn reported(&mut self, reported: &FlowReported) {
        let record = &reported.record;
        if reported.last {
            self.counters.flows_ended[record.end_reason.index()] += 1;
            self.counters.flows_by_locality[record.locality.index()] += 1;
        } else {
            self.counters.interim_records += 1;
        }
        let [from_initiator, from_responder] = record.since_last.bytes;
        let responder_is_home =
            record.locality == Locality::Outbound && self.home.contains(&record.responder.address);
        let (bytes_out, bytes_in) = if responder_is_home {
            (from_responder, from_initiator)
        } else {
            (from_initiator, from_responder)
        };
        let traffic = Traffic {
            flows: u64::from(reported.last),
            bytes_out,
            bytes_in,
            packets: record.since_last.packets_total(),
        };
        let attributed = reported
            .evidence
            .and_then(|evidence| Some((evidence.kind, evidence.rule?)));
        self.bytes.add(
            record.locality,
            record.coverage,
            attributed.map(|(kind, _)| kind),
            traffic,
        );
        let Some((_, found)) = attributed else { return };
        match self.host(&record.initiator) {
            None => self.counters.bytes_without_home += traffic.bytes(),
            Some(host) if self.exposures.carried(host, found, traffic, record.end) => {}
            Some(_) => self.counters.bytes_refused += traffic.bytes(),
        }
    }

    /// The home side of a contact: the client, if it is home.
    fn host(&self, client: &Endpoint) -> Option<Address> {
        self.home
            .contains(&client.address)
            .then_some(client.address)
    }
}
