//! Messages of name services and of address configuration → questions with their outcome, and what hosts say of themselves.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use super::facts::{FlowFacts, Telling};
use crate::aggregate::{
    DhcpMessage, DnsData, DnsRecord, DnsTransaction, EventKey, EventRun, FrameRef, HostFact,
    Ordinal, TextRef,
};
use crate::decode::UDP;
use crate::flow::{Directed, Endpoint, FlowEntry, FlowId};
use crate::model::{AddressState, AppProtocol, DhcpType, DnsOutcome, EvidenceKind, HostFactKind};
use crate::observe::{Arrival, SeenFrame, Transaction};
use crate::protocol::dns::Data;
use crate::protocol::{dhcp, nbns};

impl Telling<'_> {
    /// A DNS message, over UDP or in a stream.
    pub fn dns_message(
        &mut self,
        entry: &mut FlowEntry,
        direction: Directed,
        protocol: AppProtocol,
        bytes: &[u8],
    ) {
        let before = self.facts.detail(entry).and_then(|detail| detail.questions);
        let mut place = before;
        let frame = self.frame();
        let arrival = Arrival {
            bytes,
            direction,
            protocol,
            frame: SeenFrame {
                seq: frame.seq,
                hash: frame.hash,
                time: frame.time,
            },
            // In a stream copies are gone already, and a question may have been in a segment that was lost.
            client_seen: entry.key.protocol() == UDP && {
                let [from_initiator, from_responder] = entry.counters().packets;
                match direction {
                    Directed::FromInitiator => from_responder > 0,
                    Directed::FromResponder => from_initiator > 0,
                }
            },
            now: self.task.stream_time,
        };
        let (facts, events, task, part) = (
            &mut *self.facts,
            &mut *self.events,
            self.task,
            &mut self.part,
        );
        self.dns.message(&mut place, &arrival, &mut |transaction| {
            let key = EventKey {
                at: task.stream_time,
                seq: task.seq,
                ordinal: Ordinal::Shown,
                part: *part,
            };
            *part = part.saturating_add(1);
            facts.transaction(entry, protocol, transaction, key, events);
        });
        if place != before {
            self.facts.keep(entry, |detail| detail.questions = place);
        }
        if matches!(protocol, AppProtocol::Mdns | AppProtocol::Llmnr) {
            self.announced(entry, direction, protocol);
        }
    }

    /// What the sender of an answer on the local network says of its own address.
    fn announced(&mut self, entry: &FlowEntry, direction: Directed, protocol: AppProtocol) {
        let sender = ends(entry, direction).0.address;
        let Some((name, ttl)) = self.dns.announced(&sender) else {
            return;
        };
        let name = self.events.keep_text(name);
        let fact = Told {
            kind: if protocol == AppProtocol::Mdns {
                HostFactKind::Mdns
            } else {
                HostFactKind::Llmnr
            },
            // A time of zero takes it back (RFC 6762 §10.1).
            state: if ttl == 0 {
                AddressState::Released
            } else {
                AddressState::Held
            },
            address: Some(sender),
            mac: None,
            name,
            lease_seconds: Some(ttl),
            dhcp: None,
        };
        self.host_fact(entry, direction, &fact);
    }

    /// A message of the NetBIOS name service.
    pub fn nbns_message(&mut self, entry: &FlowEntry, direction: Directed, bytes: &[u8]) {
        match nbns::parse(bytes) {
            Err(_) => self.dns.count_malformed(),
            Ok(nbns::Message::Other) => {}
            Ok(nbns::Message::Query { id, name, kind }) => {
                self.dns.count_question();
                let frame = self.frame();
                let key = self.next_key();
                let transaction = Transaction {
                    name: name.as_bytes(),
                    query_type: kind,
                    id,
                    asked: direction,
                    query: Some(SeenFrame {
                        seq: frame.seq,
                        hash: frame.hash,
                        time: frame.time,
                    }),
                    response: None,
                    outcome: DnsOutcome::Asked,
                };
                let events = &mut *self.events;
                self.facts
                    .transaction(entry, AppProtocol::Nbns, &transaction, key, events);
            }
            Ok(nbns::Message::Own(own)) => {
                let sender = ends(entry, direction).0.address;
                // An answer about somebody else says nothing of its sender.
                if own.is_answer && own.address.is_some_and(|address| address != sender) {
                    return;
                }
                let name = self.events.keep_text(own.name.as_bytes());
                let fact = Told {
                    kind: HostFactKind::Nbns,
                    state: if own.released {
                        AddressState::Released
                    } else {
                        AddressState::Held
                    },
                    address: own.address.or(Some(sender)),
                    mac: own.mac,
                    name,
                    // Zero stands for no end (RFC 1002 §4.2.1.3).
                    lease_seconds: own.ttl.filter(|ttl| *ttl > 0),
                    dhcp: None,
                };
                self.host_fact(entry, direction, &fact);
            }
        }
    }

    /// A DHCP message of either version.
    pub fn dhcp_message(
        &mut self,
        entry: &FlowEntry,
        direction: Directed,
        protocol: AppProtocol,
        bytes: &[u8],
    ) {
        let (kind, parsed) = if protocol == AppProtocol::Dhcpv6 {
            (HostFactKind::Dhcpv6, dhcp::parse_v6(bytes))
        } else {
            (HostFactKind::Dhcp, dhcp::parse_v4(bytes))
        };
        let counters = &mut self.facts.counters.host_facts;
        let Ok(message) = parsed else {
            counters.malformed = counters.malformed.saturating_add(1);
            return;
        };
        counters.damaged = counters.damaged.saturating_add(u64::from(message.damaged));
        let name = self.events.keep_text(message.name.as_bytes());
        let beside = DhcpMessage {
            from_server: message.from_server,
            kind: message.kind,
            id: message.id,
            client_id: self.events.keep_text(message.client_id),
            vendor_class: self.events.keep_text(message.vendor_class),
            client_address: message.client_address,
            requested_address: message.requested_address,
            assigned_address: message.assigned_address,
        };
        let fact = Told {
            kind,
            state: state(&message),
            address: message
                .assigned_address
                .or(message.client_address)
                .or(message.requested_address),
            mac: message.mac,
            name,
            lease_seconds: message.lease_seconds,
            dhcp: Some(beside),
        };
        self.host_fact(entry, direction, &fact);
    }

    fn host_fact(&mut self, entry: &FlowEntry, direction: Directed, told: &Told) {
        let counters = &mut self.facts.counters.host_facts;
        counters.told = counters.told.saturating_add(1);
        let (source, destination) = ends(entry, direction);
        let fact = HostFact {
            flow: FlowId::of(&entry.key, entry.first_seq()),
            first_seq: entry.first_seq(),
            key: entry.key,
            source,
            destination,
            locality: entry.locality(),
            tunnel: self.facts.paths.path(entry.tunnel),
            kind: told.kind,
            state: told.state,
            address: told.address,
            mac: told.mac,
            source_mac: self.link_source().mac,
            name: told.name,
            lease_seconds: told.lease_seconds,
            frame: self.frame(),
            dhcp: told.dhcp,
        };
        let key = self.next_key();
        self.events.push_host(key, fact);
    }
}

/// Sender and receiver.
fn ends(entry: &FlowEntry, direction: Directed) -> (Endpoint, Endpoint) {
    let (initiator, responder) = (entry.initiator_endpoint(), entry.responder_endpoint());
    match direction {
        Directed::FromInitiator => (initiator, responder),
        Directed::FromResponder => (responder, initiator),
    }
}

/// What is said of a host, without where and when.
struct Told {
    kind: HostFactKind,
    state: AddressState,
    address: Option<[u8; 16]>,
    mac: Option<[u8; 6]>,
    name: TextRef,
    lease_seconds: Option<u32>,
    dhcp: Option<DhcpMessage>,
}

/// How the client stands to the address that the message is about.
fn state(message: &dhcp::Message<'_>) -> AddressState {
    match message.kind {
        // A lease of no time is none (RFC 8415 §18.2.10.1).
        Some(DhcpType::Ack | DhcpType::Reply) | None
            if message.assigned_address.is_some() && message.lease_seconds != Some(0) =>
        {
            AddressState::Held
        }
        // Who asks for the rest has its address, as does a client that an answer to that goes to.
        Some(DhcpType::Inform | DhcpType::Ack) if message.client_address.is_some() => {
            AddressState::Held
        }
        Some(DhcpType::Release | DhcpType::Decline | DhcpType::Nak) => AddressState::Released,
        _ => AddressState::Requested,
    }
}

impl FlowFacts {
    /// Tells a transaction.
    pub(super) fn transaction(
        &mut self,
        entry: &FlowEntry,
        protocol: AppProtocol,
        transaction: &Transaction<'_>,
        key: EventKey,
        events: &mut EventRun,
    ) {
        let frame = |seen: SeenFrame| FrameRef {
            seq: seen.seq,
            hash: seen.hash,
            time: seen.time,
        };
        let (query, response) = (
            transaction.query.map(frame),
            transaction.response.map(|(seen, _)| frame(seen)),
        );
        let first = events.records_begin();
        if let Some((_, message)) = transaction.response {
            for answer in message.answers() {
                let data = match answer.data {
                    Data::Address(address) => DnsData::Address(address),
                    Data::Alias(name) => DnsData::Name(events.keep_text(name)),
                    Data::Service {
                        priority,
                        target,
                        hints,
                        alpn,
                        ech,
                    } => DnsData::Service {
                        priority,
                        target: events.keep_text(target),
                        hints: events.keep_addresses(hints),
                        alpn: events.keep_text(alpn),
                        ech,
                    },
                    Data::Other(_) => DnsData::Other,
                };
                let record = DnsRecord {
                    name: events.keep_text(answer.name),
                    kind: answer.kind,
                    ttl_seconds: answer.ttl,
                    data,
                };
                events.push_record(record);
            }
        }
        let (client, server) = match transaction.asked {
            Directed::FromInitiator => (entry.initiator_endpoint(), entry.responder_endpoint()),
            Directed::FromResponder => (entry.responder_endpoint(), entry.initiator_endpoint()),
        };
        let time = query.or(response).unwrap_or_default().time;
        let event = DnsTransaction {
            flow: FlowId::of(&entry.key, entry.first_seq()),
            first_seq: entry.first_seq(),
            key: entry.key,
            client,
            server,
            locality: entry.locality(),
            tunnel: self.paths.path(entry.tunnel),
            kind: match protocol {
                AppProtocol::Mdns => EvidenceKind::MdnsQuery,
                AppProtocol::Llmnr => EvidenceKind::LlmnrQuery,
                AppProtocol::Nbns => EvidenceKind::NbnsQuery,
                _ => EvidenceKind::DnsQuery,
            },
            name: events.keep_text(transaction.name),
            query_type: transaction.query_type,
            id: transaction.id,
            rcode: transaction.response.map(|(_, message)| message.rcode()),
            outcome: transaction.outcome,
            rule: self.match_host(transaction.name, time),
            query,
            response,
            answers: events.records_since(first),
        };
        events.push_dns(key, event);
    }
}
