//! The single owner of everything that depends on order.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::attempt::{flow_outcome, question_outcome};
use super::encrypted_dns::asks_for_dnscrypt;
use super::judgement::is_learnt_beside;
use super::{
    ByteLedger, Carried, Counts, DnsData, DnsTransaction, EncryptedDnsHosts, EventRef, EventRun,
    Exposures, FlowOpened, FlowReported, FrameRef, Host, HostLimits, Hosts, Judgement,
    MemoryLimits, MessageObserved, Places, Resolved, ResolverMemory, Sighting, Traffic,
    VerdictLimits, Watch, WatchLimits, Weighed,
};
use crate::attribute::{RuleMatch, Ruleset, ValidityDate};
use crate::decode::Address;
use crate::flow::{Endpoint, FlowEndReason, FlowId, FlowKey, HomeNetworks, ZoneTable};
use crate::geo::{Countries, OperatorTable};
use crate::model::{
    AppProtocol, Confidence, DnsOutcome, EvidenceKind, HostFactKind, Locality, Purpose, Timestamp,
};

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
    /// Facts seen in messages, attributed or not, by kind.
    pub facts: [u64; EvidenceKind::COUNT],
    /// Those that a rule knows.
    pub facts_attributed: [u64; EvidenceKind::COUNT],
    /// Questions to name services, by what became of them.
    pub dns: [u64; DnsOutcome::COUNT],
    /// What hosts said of themselves, by where it was read.
    pub host_facts: [u64; HostFactKind::COUNT],
    /// Facts that a rule knows of clients that are not home: nobody's exposure.
    pub attributed_without_home: u64,
    /// Bytes of attributed flows whose client is not home.
    pub bytes_without_home: u64,
    /// Bytes of attributed flows whose exposure found no room.
    pub bytes_refused: u64,
    /// Flows that ended, by side of the border.
    pub flows_by_locality: [u64; Locality::COUNT],
}

impl LedgerCounters {
    /// Names seen, attributed or not: everything but marks of programs.
    pub fn names(&self) -> u64 {
        names_in(&self.facts)
    }

    /// Names that a rule knows.
    pub fn names_attributed(&self) -> u64 {
        names_in(&self.facts_attributed)
    }

    /// Questions to name services.
    pub fn dns_total(&self) -> u64 {
        self.dns.iter().sum()
    }
}

fn names_in(facts: &[u64; EvidenceKind::COUNT]) -> u64 {
    EvidenceKind::ALL
        .iter()
        .filter(|kind| {
            !matches!(
                kind,
                EvidenceKind::HttpUserAgent | EvidenceKind::HttpUri | EvidenceKind::Ja4
            )
        })
        .map(|kind| facts[kind.index()])
        .sum()
}

/// Bounds and choices of a ledger.
#[derive(Clone, Debug)]
pub struct LedgerSettings {
    /// Exposures listed at most.
    pub exposures_max: usize,
    /// For how long, and of how many, it is remembered who resolved what.
    pub memory: MemoryLimits,
    /// The user's zones.
    pub zones: Arc<ZoneTable>,
    /// What makes a verdict.
    pub verdicts: VerdictLimits,
    /// How many hosts are known, and what it takes to say something of them.
    pub hosts: HostLimits,
    /// Zones, hours and hosts that are told apart.
    pub watch: WatchLimits,
}

/// Sums up ordered events.
#[derive(Debug)]
pub struct Ledger {
    rules: Arc<Ruleset>,
    countries: Arc<Countries>,
    operators: Arc<OperatorTable>,
    home: Arc<HomeNetworks>,
    zones: Arc<ZoneTable>,
    exposures: Exposures,
    hosts: Hosts,
    memory: ResolverMemory,
    /// What was learnt beside flows that are open: as many as can be open.
    beside: HashMap<FlowId, Beside>,
    /// Open flows whose client asks a proxy for a vendor's server.
    proxied: HashSet<FlowId>,
    bytes: ByteLedger,
    counters: LedgerCounters,
    judgement: Judgement,
    encrypted_dns: EncryptedDnsHosts,
    watch: Watch,
}

/// What was known of a flow when it opened.
#[derive(Debug)]
struct Beside {
    /// A name that was resolved to its server's address.
    resolved: Option<(EvidenceKind, Resolved, bool)>,
    /// Its server's address lies in a network of a vendor.
    network: Option<(EvidenceKind, RuleMatch)>,
    /// The frame that opened it.
    frame: FrameRef,
    /// It is in the exposures.
    noted: bool,
}

impl Ledger {
    /// An empty ledger.
    pub fn new(
        rules: Arc<Ruleset>,
        countries: Arc<Countries>,
        operators: Arc<OperatorTable>,
        home: Arc<HomeNetworks>,
        settings: &LedgerSettings,
    ) -> Self {
        let exposures_max = settings.exposures_max;
        let zones = Arc::clone(&settings.zones);
        let watch = Watch::new(settings.watch, Arc::clone(&home), zones);
        Self {
            rules,
            countries,
            operators,
            home,
            zones: Arc::clone(&settings.zones),
            exposures: Exposures::new(exposures_max, settings.verdicts),
            hosts: Hosts::new(settings.hosts),
            memory: ResolverMemory::new(settings.memory),
            beside: HashMap::new(),
            proxied: HashSet::new(),
            bytes: ByteLedger::default(),
            counters: LedgerCounters::default(),
            judgement: Judgement::default(),
            // A host with an exposure at least asks; and as many again is no size that a network has.
            encrypted_dns: EncryptedDnsHosts::new(exposures_max),
            watch,
        }
    }

    /// Takes the next event; what is made of it stands in [`Self::judgement`] until the next.
    pub fn event(&mut self, event: EventRef<'_>) {
        self.judgement.clear();
        self.exposures.next_event();
        match event {
            EventRef::Opened(opened) => self.opened(opened),
            EventRef::Observed(observed, run) => self.observed(observed, run),
            EventRef::Dns(transaction, run) => self.dns(transaction, run),
            EventRef::Host(fact, run) => {
                self.counters.host_facts[fact.kind.index()] += 1;
                self.hosts.said(fact, run, &self.home);
            }
            EventRef::Reported(reported, run) => self.reported(reported, run),
        }
    }

    /// What follows comes from another world: who resolved what there is not known here.
    pub fn next_world(&mut self) {
        self.memory.clear();
        self.beside.clear();
        self.proxied.clear();
        self.hosts.next_world();
    }

    /// What was made of the last event.
    pub fn judgement(&self) -> &Judgement {
        &self.judgement
    }

    /// The user's zones.
    pub fn zones(&self) -> &ZoneTable {
        &self.zones
    }

    /// Who talks to whom.
    pub fn exposures(&self) -> &Exposures {
        &self.exposures
    }

    /// Who the home hosts are.
    pub fn hosts(&self) -> &Hosts {
        &self.hosts
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

    /// Who resolved what.
    pub fn memory(&self) -> &ResolverMemory {
        &self.memory
    }

    /// Hosts that were seen to use encrypted DNS.
    pub fn encrypted_dns(&self) -> &EncryptedDnsHosts {
        &self.encrypted_dns
    }

    /// What was watched, by zone and hour.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// The rules by which everything was judged.
    pub fn rules(&self) -> &Arc<Ruleset> {
        &self.rules
    }

    fn opened(&mut self, opened: &FlowOpened) {
        self.hosts.opened(opened, &self.home);
        self.counters.flows_opened += 1;
        let ended: u64 = self.counters.flows_ended.iter().sum();
        self.counters.flows_open_max = self
            .counters
            .flows_open_max
            .max(self.counters.flows_opened.saturating_sub(ended));
        self.watch.opened(opened);
        // Only a host of ours that goes out can be exposed by what was learnt beside its flow.
        if opened.locality != Locality::Outbound || !self.home.contains(&opened.initiator.address) {
            return;
        }
        let (client, server) = (opened.initiator.address, opened.responder.address);
        let remembered = self
            .memory
            .look_up(opened.key.scope(), client, server, opened.frame.time);
        let resolved = remembered.map(|found| {
            let kind = if found.own {
                EvidenceKind::DnsAnswer
            } else {
                EvidenceKind::DnsAnswerOther
            };
            (kind, found.resolved.clone(), found.ambiguous)
        });
        let network = self.network(opened.responder.ip(), opened.frame.time);
        if resolved.is_some() || network.is_some() {
            let beside = Beside {
                resolved,
                network,
                frame: opened.frame,
                noted: false,
            };
            self.beside.insert(opened.id, beside);
        }
    }

    fn observed(&mut self, observed: &MessageObserved, run: &EventRun) {
        self.judgement
            .add_own(run.facts(observed.facts), run, &self.rules);
        self.judgement.decide(None);
        let place = (observed.key.scope(), observed.client.address);
        if self.home.contains(&place.1) {
            self.watch.observed(place, observed, run);
        }
        let facts = run.facts(observed.facts);
        let via_proxy = is_for_a_proxy(observed, run);
        self.hosts.observed(observed, run, via_proxy, &self.home);
        for fact in facts {
            self.counters.facts[fact.kind.index()] += 1;
            let Some(rule) = fact.rule else { continue };
            self.counters.facts_attributed[fact.kind.index()] += 1;
            let Some(host) = self.host(observed.key, &observed.client, observed.first_seq) else {
                self.counters.attributed_without_home += 1;
                continue;
            };
            if via_proxy {
                self.proxied.insert(observed.flow);
            }
            // One message is one contact for everyone whom it shows, by the strongest of the facts that show them.
            let strongest = facts
                .iter()
                .filter(|other| {
                    other
                        .rule
                        .is_some_and(|other| is_one_exposure(&self.rules, other, rule))
                })
                .map(|other| other.kind)
                .min();
            let counts = if strongest == Some(fact.kind) {
                Counts::Contact
            } else {
                Counts::Nothing
            };
            let sighting = Sighting {
                kind: fact.kind,
                name: run.text(fact.text),
                rule,
                frame: fact.frame,
                flow: observed.flow,
                key: observed.key,
                first_seq: observed.first_seq,
                server: observed.server.address,
                ech_offered: fact.ech_offered,
                confidence: if fact.ambiguous {
                    Confidence::Low
                } else {
                    self.rules.confidence(rule.rule, fact.kind)
                },
                counts,
            };
            let places = (!via_proxy)
                .then(|| places(&self.countries, &self.operators, observed.server.ip()));
            if counts == Counts::Contact {
                self.hosts
                    .contacted(host, rule.rule, sighting.confidence, &self.rules);
            }
            self.exposures.sighted(host, &sighting, &self.rules, places);
        }
    }

    fn dns(&mut self, transaction: &DnsTransaction, run: &EventRun) {
        let kind = transaction.kind;
        self.hosts.asked(transaction, &self.home);
        self.counters.dns[transaction.outcome.index()] += 1;
        self.counters.facts[kind.index()] += 1;
        let name = run.text(transaction.name);
        let unsolicited = transaction.query.is_none();
        let asked = Weighed::beside(kind, transaction.rule, transaction.frame(), false)
            .answered_unasked(unsolicited);
        self.judgement.add(asked, name, &self.rules);
        self.judgement.decide(None);
        self.remember(transaction, run);
        if let Some(host) = self.host(transaction.key, &transaction.client, transaction.first_seq) {
            let rule = transaction.rule.map(|found| self.rules.rule(found.rule));
            let is_product = rule.is_some_and(|rule| rule.purpose != Purpose::Web);
            self.watch.asked((host.0, host.1), transaction, is_product);
            if asks_for_dnscrypt(name, transaction.query_type) {
                self.encrypted_dns.seen(host);
                self.watch
                    .encrypted_dns((host.0, host.1), transaction.frame().time);
            }
        }
        let Some(rule) = transaction.rule else { return };
        self.counters.facts_attributed[kind.index()] += 1;
        let Some(host) = self.host(transaction.key, &transaction.client, transaction.first_seq)
        else {
            self.counters.attributed_without_home += 1;
            return;
        };
        let sighting = Sighting {
            kind,
            name,
            rule,
            frame: transaction.frame(),
            flow: transaction.flow,
            key: transaction.key,
            first_seq: transaction.first_seq,
            server: transaction.server.address,
            ech_offered: false,
            confidence: if unsolicited {
                Confidence::Low
            } else {
                self.rules.confidence(rule.rule, kind)
            },
            counts: Counts::Question(question_outcome(
                transaction.outcome,
                addresses(transaction, run),
                &self.home,
            )),
        };
        self.exposures.sighted(host, &sighting, &self.rules, None);
    }

    /// Remembers the addresses of an answer, under the name that was asked for.
    fn remember(&mut self, transaction: &DnsTransaction, run: &EventRun) {
        let (DnsOutcome::Answered, Some(frame)) = (transaction.outcome, transaction.response)
        else {
            return;
        };
        let records = run.records(transaction.answers);
        // Who asks for an integrator's name may be led to an engine vendor's: the first name of the chain that is known counts.
        // That name is the evidence: the rules say the same of it whenever they are asked.
        let asked = run.text(transaction.name);
        let alias = || {
            records.iter().find_map(|record| match record.data {
                DnsData::Name(alias) | DnsData::Service { target: alias, .. } => {
                    let alias = run.text(alias);
                    Some((alias, self.match_name(alias, frame.time)?))
                }
                _ => None,
            })
        };
        let (name, rule) = match transaction.rule {
            Some(rule) => (asked, Some(rule)),
            None => alias().map_or((asked, None), |(alias, rule)| (alias, Some(rule))),
        };
        let resolved = Resolved {
            name: name.to_vec(),
            rule,
            unsolicited: transaction.query.is_none(),
            frame,
            flow: transaction.flow,
        };
        // Hints are answers to the asked name as well: clients connect to them without asking further (RFC 9460 §7.3).
        let addresses = records.iter().flat_map(|record| {
            let (own, hints) = match &record.data {
                DnsData::Address(address) => (Some(*address), &[][..]),
                DnsData::Service { hints, .. } => (None, run.addresses(*hints)),
                DnsData::Name(_) | DnsData::Other => (None, &[][..]),
            };
            let all = own.into_iter().chain(hints.iter().copied());
            all.map(|address| (address, record.ttl_seconds))
        });
        self.memory.answered(
            transaction.key.scope(),
            transaction.client.address,
            resolved,
            addresses,
        );
    }

    fn reported(&mut self, reported: &FlowReported, run: &EventRun) {
        let record = &reported.record;
        if reported.last {
            self.counters.flows_ended[record.end_reason.index()] += 1;
            self.counters.flows_by_locality[record.locality.index()] += 1;
        } else {
            self.counters.interim_records += 1;
        }
        self.hosts.reported(reported, &self.home, &self.rules);
        self.judge(reported, run);
        if record.encrypted_dns
            && let Some(host) = self.host(record.key, &record.initiator, record.first_seq)
        {
            self.encrypted_dns.seen(host);
            self.watch.encrypted_dns((host.0, host.1), record.end);
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
        let deciding = self.judgement.deciding().copied();
        let coverage = self.judgement.coverage().unwrap_or(record.coverage);
        let evidence = deciding.map(|fact| fact.kind);
        self.bytes.add(record.locality, coverage, evidence, traffic);
        if record.locality == Locality::Outbound {
            self.watch.reported(reported, coverage, traffic);
        }
        if let Some(fact) = deciding
            && let Some(rule) = fact.rule
        {
            match self.host(record.key, &record.initiator, record.first_seq) {
                None => self.counters.bytes_without_home += traffic.bytes(),
                Some(host) => {
                    self.note(host, reported, &fact, rule);
                    let asked_of_a_proxy =
                        self.judgement.is_via_proxy() || self.proxied.contains(&record.id);
                    let carried = Carried {
                        traffic,
                        since: record.start,
                        until: record.end,
                        outcome: reported
                            .last
                            .then(|| flow_outcome(reported, asked_of_a_proxy, &self.home)),
                    };
                    if !self.exposures.carried(host, rule, &carried, &self.rules) {
                        self.counters.bytes_refused += traffic.bytes();
                    }
                }
            }
        }
        if reported.last {
            self.beside.remove(&record.id);
            self.proxied.remove(&record.id);
        }
    }

    /// Puts together what the flow showed and what was learnt beside it.
    fn judge(&mut self, reported: &FlowReported, run: &EventRun) {
        let (rules, judgement) = (&self.rules, &mut self.judgement);
        judgement.add_own(run.facts(reported.facts), run, rules);
        if let Some(beside) = self.beside.get(&reported.record.id) {
            if let Some((kind, resolved, ambiguous)) = &beside.resolved {
                let fact = Weighed::beside(*kind, resolved.rule, resolved.frame, *ambiguous)
                    .answered_unasked(resolved.unsolicited);
                judgement.add(fact, &resolved.name, rules);
            }
            if let Some((kind, rule)) = beside.network {
                let fact = Weighed::beside(kind, Some(rule), beside.frame, false);
                let address = reported.record.responder.ip().to_string();
                judgement.add(fact, address.as_bytes(), rules);
            }
        }
        judgement.decide(Some(reported.record.coverage));
    }

    /// Notes an exposure that rests on what was learnt beside the flow, when the flow first reports.
    fn note(&mut self, host: Host, reported: &FlowReported, fact: &Weighed, rule: RuleMatch) {
        if !is_learnt_beside(fact.kind) {
            return;
        }
        let record = &reported.record;
        let Some(beside) = self.beside.get_mut(&record.id) else {
            return;
        };
        if std::mem::replace(&mut beside.noted, true) {
            return;
        }
        let sighting = Sighting {
            kind: fact.kind,
            name: self.judgement.text(fact),
            rule,
            frame: fact.frame,
            flow: record.id,
            key: record.key,
            first_seq: record.first_seq,
            server: record.responder.address,
            ech_offered: false,
            confidence: fact.confidence.unwrap_or(Confidence::Low),
            counts: Counts::Contact,
        };
        self.counters.facts[fact.kind.index()] += 1;
        self.counters.facts_attributed[fact.kind.index()] += 1;
        self.hosts
            .contacted(host, rule.rule, sighting.confidence, &self.rules);
        let places = places(&self.countries, &self.operators, record.responder.ip());
        self.exposures
            .sighted(host, &sighting, &self.rules, Some(places));
    }

    /// The rule that knew the name on that day.
    fn match_name(&self, name: &[u8], time: Timestamp) -> Option<RuleMatch> {
        if self.rules.has_dated_rules() {
            let day = ValidityDate::of_unix_seconds(time.as_seconds());
            self.rules.match_name_on(name, day)
        } else {
            self.rules.match_name(name)
        }
    }

    /// Whether an address lay in a network of a vendor on that day: one that it documents, or one that it announces.
    fn network(&self, address: IpAddr, time: Timestamp) -> Option<(EvidenceKind, RuleMatch)> {
        let day = ValidityDate::of_unix_seconds(time.as_seconds());
        let holds = |found: &RuleMatch| self.rules.holds(*found, day);
        if let Some(found) = self.rules.match_network(address).filter(holds) {
            return Some((EvidenceKind::IpPrefix, found));
        }
        let asn = self.operators.lookup(address)?.asn;
        let found = self.rules.match_asn(asn).filter(holds)?;
        Some((EvidenceKind::Asn, found))
    }

    /// The home side of a contact: the client, if it is home.
    fn host(&self, key: FlowKey, client: &Endpoint, first_seq: u64) -> Option<Host> {
        // A flow belongs to the host that had the address when it began.
        let host = || self.hosts.host_at(key.scope(), client.address, first_seq);
        self.home.contains(&client.address).then(host)
    }
}

/// The addresses of an answer.
fn addresses(transaction: &DnsTransaction, run: &EventRun) -> impl Iterator<Item = Address> {
    let records = run.records(transaction.answers).iter();
    records.filter_map(|record| match record.data {
        DnsData::Address(address) => Some(address),
        _ => None,
    })
}

/// Whether two rules lead to one line of the exposures.
fn is_one_exposure(rules: &Ruleset, one: RuleMatch, other: RuleMatch) -> bool {
    let (one, other) = (rules.rule(one.rule), rules.rule(other.rule));
    one.vendor == other.vendor
        && one.product == other.product
        && one.engine.map(|engine| engine.vendor) == other.engine.map(|engine| engine.vendor)
}

/// Whether the server is a proxy, which says nothing about where the named host stands (RFC 9112 §3.2.2, §3.2.3).
fn is_for_a_proxy(observed: &MessageObserved, run: &EventRun) -> bool {
    observed.tunnelled
        || observed.app_protocol == AppProtocol::Http
            && run
                .text(observed.target)
                .get(..7)
                .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"http://"))
}

fn places<'a>(countries: &Countries, operators: &'a OperatorTable, address: IpAddr) -> Places<'a> {
    let operator = operators.lookup(address);
    Places {
        country: countries.lookup(address),
        operator: operator.map(|operator| (operator.name.as_str(), operator.country)),
    }
}
