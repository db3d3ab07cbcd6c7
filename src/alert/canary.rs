//! Names that a person let a host speak on purpose → proof that the sensor would have seen that host speak.
//!
//! A canary is a name that nobody has: `avscope-canary-<token>` as its first label. The token was issued for a zone by
//! `avscope canary new`; whoever has not issued it proves nothing with it. The name of the test capture is fixed, and is for
//! checking sensors, not zones.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::aggregate::{
    DnsTransaction, EventRef, EventRun, FlowReported, FrameRef, MessageObserved,
};
use crate::flow::{Endpoint, FlowId, FlowKey, ZoneTable};
use crate::model::{EvidenceKind, Locality, Timestamp, closed_set, rfc3339};

/// What the first label of every canary begins with.
pub const CANARY_PREFIX: &str = "avscope-canary-";
/// The token of the capture that tests sensors; it is issued for no zone.
pub const TEST_TOKEN: &str = "00000000000000000000000074657374";
/// Characters of a token.
pub const TOKEN_CHARS: usize = 32;

closed_set! {
    /// What a canary that was seen proves.
    pub enum CanaryStanding {
        /// It was issued for the zone that its host is in.
        Proves = "proves",
        /// It was issued for another zone than its host's.
        OtherZone = "other_zone",
        /// It was issued longer ago than it is good for, by packet time.
        Stale = "stale",
        /// Nobody issued it here.
        NotIssued = "not_issued",
        /// It is that of the test capture: the sensor reads, and that is all.
        Test = "test",
    }
}

/// A canary that was issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// 32 hexadecimal digits.
    pub token: String,
    /// The zone that it is for; empty for the home networks as a whole.
    pub zone: String,
    /// When it was issued, in seconds since 1970 by the clock of whoever issued it.
    pub issued_unix_seconds: u64,
}

/// A canary that was seen, by one kind of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CanarySighting {
    /// Its token.
    pub token: String,
    /// The name as it was seen.
    pub name: String,
    /// The zone that it was issued for; `None` where it was not issued here.
    pub issued_for: Option<String>,
    /// What it proves.
    pub standing: CanaryStanding,
    /// The zone of the host that spoke it.
    pub zone: Option<String>,
    /// Where the host is, where that was given.
    pub site: Option<String>,
    /// The host.
    pub host: IpAddr,
    /// By which evidence.
    pub kind: EvidenceKind,
    /// On which side of the border.
    pub locality: Locality,
    /// Whether packets were seen from the host and from the other side; not known while the flow is open.
    pub directions_seen: Option<[bool; 2]>,
    /// Position of the frame.
    pub seq: u64,
    /// XXH3-64 of the frame's bytes.
    pub frame_xxh3: String,
    /// Packet time of the first sighting.
    pub timestamp: String,
    /// The same, to reckon with.
    #[serde(skip)]
    pub at: Timestamp,
    /// The flow.
    pub flow_id: u64,
    /// Sightings by this kind of evidence; only the first counts.
    pub count: u64,
}

/// Listens for canaries; at most so many sightings are listed.
#[derive(Debug, Default)]
pub struct CanaryWatch {
    issued: HashMap<String, Canary>,
    fresh_seconds: u64,
    seen: BTreeMap<(String, EvidenceKind), CanarySighting>,
    open: HashMap<FlowId, (String, EvidenceKind)>,
    most: usize,
    /// Sightings that found no room.
    pub refused: u64,
}

/// What a flow and a frame say of a sighting.
struct Spoken<'a> {
    name: &'a [u8],
    kind: EvidenceKind,
    key: &'a FlowKey,
    client: &'a Endpoint,
    locality: Locality,
    flow: FlowId,
    frame: FrameRef,
}

impl CanaryWatch {
    /// Listens for those issued, which prove something for so many seconds.
    pub fn new(issued: Vec<Canary>, fresh_seconds: u64, most: usize) -> Self {
        let issued = issued.into_iter();
        Self {
            issued: issued
                .map(|canary| (canary.token.clone(), canary))
                .collect(),
            fresh_seconds,
            most,
            ..Self::default()
        }
    }

    /// Those that prove something, for the state: by token and kind, the zone and when.
    pub(super) fn proofs(&self) -> Vec<((String, EvidenceKind), (String, Timestamp))> {
        let proving = self
            .seen
            .iter()
            .filter(|(_, seen)| seen.standing == CanaryStanding::Proves);
        proving
            .map(|(key, seen)| {
                let zone = seen.issued_for.clone().unwrap_or_default();
                (key.clone(), (zone, seen.at))
            })
            .collect()
    }

    /// All sightings, by token and kind.
    pub fn sightings(&self) -> impl Iterator<Item = &CanarySighting> {
        self.seen.values()
    }

    /// Takes an event, for who listens for nothing but canaries.
    pub fn event(&mut self, event: EventRef<'_>, zones: &ZoneTable, sites: &[String]) {
        match event {
            EventRef::Observed(observed, run) => self.observed(observed, run, zones, sites),
            EventRef::Dns(transaction, run) => self.asked(transaction, run, zones, sites),
            EventRef::Reported(reported, _) => self.reported(reported),
            EventRef::Opened(_) | EventRef::Host(..) => {}
        }
    }

    /// A message of a flow.
    pub(super) fn observed(
        &mut self,
        observed: &MessageObserved,
        run: &EventRun,
        zones: &ZoneTable,
        sites: &[String],
    ) {
        for fact in run.facts(observed.facts) {
            // A certificate is the server's word, not the host's.
            if fact.kind == EvidenceKind::TlsCert {
                continue;
            }
            let spoken = Spoken {
                name: run.text(fact.text),
                kind: fact.kind,
                key: &observed.key,
                client: &observed.client,
                locality: observed.locality,
                flow: observed.flow,
                frame: fact.frame,
            };
            self.spoken(&spoken, zones, sites);
        }
    }

    /// A question to a name service.
    pub(super) fn asked(
        &mut self,
        transaction: &DnsTransaction,
        run: &EventRun,
        zones: &ZoneTable,
        sites: &[String],
    ) {
        // An answer alone can come from anybody.
        let Some(frame) = transaction.query else {
            return;
        };
        let spoken = Spoken {
            name: run.text(transaction.name),
            kind: transaction.kind,
            key: &transaction.key,
            client: &transaction.client,
            locality: transaction.locality,
            flow: transaction.flow,
            frame,
        };
        self.spoken(&spoken, zones, sites);
    }

    /// A flow reported: both sides of it were seen, or not.
    pub(super) fn reported(&mut self, reported: &FlowReported) {
        if self.open.is_empty() {
            return;
        }
        let record = &reported.record;
        let [from_host, from_server] = record.total.packets;
        if let Some(key) = self.open.get(&record.id)
            && let Some(seen) = self.seen.get_mut(key)
        {
            seen.directions_seen = Some([from_host > 0, from_server > 0]);
        }
        if reported.last {
            self.open.remove(&record.id);
        }
    }

    fn spoken(&mut self, spoken: &Spoken<'_>, zones: &ZoneTable, sites: &[String]) {
        let Some(token) = token_of(spoken.name) else {
            return;
        };
        let key = (token, spoken.kind);
        if let Some(known) = self.seen.get_mut(&key) {
            known.count += 1;
            return;
        }
        if self.seen.len() >= self.most {
            self.refused += 1;
            return;
        }
        let (token, kind) = key.clone();
        let zone = zones.name_of(&spoken.client.address);
        let issued = self.issued.get(&token);
        let standing = match issued {
            _ if token == TEST_TOKEN => CanaryStanding::Test,
            None => CanaryStanding::NotIssued,
            Some(canary) if !canary.zone.is_empty() && zone != Some(canary.zone.as_str()) => {
                CanaryStanding::OtherZone
            }
            Some(canary) => {
                let age = spoken
                    .frame
                    .time
                    .as_seconds()
                    .saturating_sub(canary.issued_unix_seconds);
                if age > self.fresh_seconds {
                    CanaryStanding::Stale
                } else {
                    CanaryStanding::Proves
                }
            }
        };
        let site = sites.get(usize::from(spoken.key.scope()));
        let sighting = CanarySighting {
            token,
            name: String::from_utf8_lossy(spoken.name).into_owned(),
            issued_for: issued.map(|canary| canary.zone.clone()),
            standing,
            zone: zone.map(str::to_owned),
            site: site.filter(|site| !site.is_empty()).cloned(),
            host: Ipv6Addr::from(spoken.client.address).to_canonical(),
            kind,
            locality: spoken.locality,
            directions_seen: None,
            seq: spoken.frame.seq,
            frame_xxh3: format!("{:016x}", spoken.frame.hash),
            timestamp: rfc3339(spoken.frame.time),
            at: spoken.frame.time,
            flow_id: spoken.flow.0,
            count: 1,
        };
        self.open.insert(spoken.flow, key.clone());
        self.seen.insert(key, sighting);
    }
}

/// The token in a name whose first label is a canary's. The name is text beyond doubt then.
fn token_of(name: &[u8]) -> Option<String> {
    let begin = name.get(..CANARY_PREFIX.len())?;
    if !begin.eq_ignore_ascii_case(CANARY_PREFIX.as_bytes()) {
        return None;
    }
    let rest = name.get(CANARY_PREFIX.len()..)?;
    let token = rest.get(..TOKEN_CHARS)?;
    let ends = matches!(rest.get(TOKEN_CHARS), None | Some(b'.' | b':'));
    if !ends || !token.iter().all(u8::is_ascii_hexdigit) || !name.is_ascii() {
        return None;
    }
    String::from_utf8(token.to_ascii_lowercase()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_first_label_is_a_canary() {
        let token = "0123456789abcdef0123456789ABCDEF";
        let found = |name: String| token_of(name.as_bytes());
        let lower = Some(token.to_ascii_lowercase());
        assert_eq!(found(format!("avscope-canary-{token}.invalid")), lower);
        assert_eq!(found(format!("AVSCOPE-Canary-{token}.invalid:8443")), lower);
        assert_eq!(found(format!("avscope-canary-{token}")), lower);
        assert_eq!(found(format!("avscope-canary-{token}0.invalid")), None);
        assert_eq!(found(format!("www.avscope-canary-{token}.invalid")), None);
        assert_eq!(found("avscope-canary-0123.invalid".to_owned()), None);
        assert_eq!(
            found(format!("avscope-canary-{}.invalid", "g".repeat(32))),
            None
        );
        assert_eq!(found(String::new()), None);
    }
}
