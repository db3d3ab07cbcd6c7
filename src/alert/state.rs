//! What is known from before: one snapshot, merged by taking the earlier, the later or the larger.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::model::{Contact, CountryCode, EvidenceKind, Timestamp, Verdict};

/// Version of the snapshot's format.
pub const FORMAT: u32 = 1;
/// Hours with uploads kept for one host and vendor: two weeks of them.
const HOURS_MAX: usize = 336;

/// Site, zone, vendor and engine vendor of a first sight. The empty text is none.
pub type FirstSightKey = (String, String, String, String);
/// Site, host and vendor of uploads.
pub type UploadKey = (String, IpAddr, String);

/// What makes two exposures of different runs the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateKey {
    /// Where the host is; empty for no site.
    pub site: String,
    /// Its address.
    pub host: IpAddr,
    /// Identifier of the vendor.
    pub vendor: String,
    /// The product; empty where it is not known.
    pub product: String,
    /// The engine's vendor; empty for none.
    pub engine: String,
}

/// An exposure as it is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownExposure {
    /// First sighting ever.
    pub first_seen: Timestamp,
    /// Latest packet.
    pub last_seen: Timestamp,
    /// What the latest capture indicated.
    pub verdict: Verdict,
    /// Whether the vendor's side ever answered.
    pub contact: Contact,
}

/// A snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Packet time of the first packet ever heard of.
    pub known_from: Option<Timestamp>,
    /// Packet time of the latest.
    pub known_until: Option<Timestamp>,
    /// When each vendor was first seen in each zone.
    pub first_sights: BTreeMap<FirstSightKey, Timestamp>,
    /// When each vendor's servers were first reached in each country.
    pub countries: BTreeMap<(String, CountryCode), Timestamp>,
    /// Bytes sent by hour of packet time, counted from 1970.
    pub uploads: BTreeMap<UploadKey, BTreeMap<u64, u64>>,
    /// Who talks to whom.
    pub exposures: BTreeMap<StateKey, KnownExposure>,
    /// Canaries that proved something, by token and kind of evidence: the zone, empty for the home networks as a whole, and when.
    pub canaries: BTreeMap<(String, EvidenceKind), (String, Timestamp)>,
}

/// A snapshot as it is written. Lists, because keys of JSON are texts.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: u32,
    known_from: Option<Timestamp>,
    known_until: Option<Timestamp>,
    first_sights: Vec<WrittenFirstSight>,
    countries: Vec<WrittenCountry>,
    uploads: Vec<WrittenUploads>,
    exposures: Vec<WrittenExposure>,
    canaries: Vec<WrittenCanary>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFirstSight {
    site: String,
    zone: String,
    vendor: String,
    engine: String,
    first_seen: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCountry {
    vendor: String,
    country: CountryCode,
    first_seen: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenUploads {
    site: String,
    host: IpAddr,
    vendor: String,
    /// Pairs of an hour and the bytes sent in it.
    hours: Vec<(u64, u64)>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCanary {
    token: String,
    kind: EvidenceKind,
    zone: String,
    seen: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenExposure {
    key: StateKey,
    known: KnownExposure,
}

/// Why a text is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It is not JSON, or lacks something, or has what is not known.
    #[error("line {line}, column {column}: {message}")]
    Syntax {
        /// Where, from 1.
        line: usize,
        /// Where in it.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// Another version wrote it.
    #[error("it has format {format}, and this version reads format {FORMAT}")]
    Format {
        /// The format it has.
        format: u32,
    },
}

impl State {
    /// Reads a snapshot.
    pub fn from_json(text: &[u8]) -> Result<Self, StateError> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let syntax = |error: serde_json::Error| StateError::Syntax {
            line: error.line(),
            column: error.column(),
            message: error.to_string(),
        };
        let Version { format } = serde_json::from_slice(text).map_err(syntax)?;
        if format != FORMAT {
            return Err(StateError::Format { format });
        }
        let written: Written = serde_json::from_slice(text).map_err(syntax)?;
        Ok(Self {
            known_from: written.known_from,
            known_until: written.known_until,
            first_sights: written
                .first_sights
                .into_iter()
                .map(|it| ((it.site, it.zone, it.vendor, it.engine), it.first_seen))
                .collect(),
            countries: written
                .countries
                .into_iter()
                .map(|it| ((it.vendor, it.country), it.first_seen))
                .collect(),
            uploads: written
                .uploads
                .into_iter()
                .map(|it| {
                    (
                        (it.site, it.host, it.vendor),
                        it.hours.into_iter().collect(),
                    )
                })
                .collect(),
            exposures: written
                .exposures
                .into_iter()
                .map(|it| (it.key, it.known))
                .collect(),
            canaries: written
                .canaries
                .into_iter()
                .map(|it| ((it.token, it.kind), (it.zone, it.seen)))
                .collect(),
        })
    }

    /// The snapshot as text: the same for the same content, always.
    pub fn to_json(&self) -> Vec<u8> {
        let written = Written {
            format: FORMAT,
            known_from: self.known_from,
            known_until: self.known_until,
            first_sights: self
                .first_sights
                .iter()
                .map(|((site, zone, vendor, engine), at)| WrittenFirstSight {
                    site: site.clone(),
                    zone: zone.clone(),
                    vendor: vendor.clone(),
                    engine: engine.clone(),
                    first_seen: *at,
                })
                .collect(),
            countries: self
                .countries
                .iter()
                .map(|((vendor, country), at)| WrittenCountry {
                    vendor: vendor.clone(),
                    country: *country,
                    first_seen: *at,
                })
                .collect(),
            uploads: self
                .uploads
                .iter()
                .map(|((site, host, vendor), hours)| WrittenUploads {
                    site: site.clone(),
                    host: *host,
                    vendor: vendor.clone(),
                    hours: hours.iter().map(|(hour, bytes)| (*hour, *bytes)).collect(),
                })
                .collect(),
            exposures: self
                .exposures
                .iter()
                .map(|(key, known)| WrittenExposure {
                    key: key.clone(),
                    known: *known,
                })
                .collect(),
            canaries: self
                .canaries
                .iter()
                .map(|((token, kind), (zone, seen))| WrittenCanary {
                    token: token.clone(),
                    kind: *kind,
                    zone: zone.clone(),
                    seen: *seen,
                })
                .collect(),
        };
        // Texts, numbers and closed sets: there is nothing in it that JSON cannot hold.
        let mut text = serde_json::to_vec_pretty(&written).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// Takes in what another run learnt; of each list at most `entries_max` stay, those heard of last. Gives the number of those that
    /// went.
    pub fn merge(&mut self, learnt: &Self, entries_max: usize) -> u64 {
        self.known_from = earlier(self.known_from, learnt.known_from);
        self.known_until = self.known_until.max(learnt.known_until);
        for (key, at) in &learnt.first_sights {
            let known = self.first_sights.entry(key.clone()).or_insert(*at);
            *known = (*known).min(*at);
        }
        for (key, at) in &learnt.countries {
            let known = self.countries.entry(key.clone()).or_insert(*at);
            *known = (*known).min(*at);
        }
        for (key, hours) in &learnt.uploads {
            let known = self.uploads.entry(key.clone()).or_default();
            for (hour, bytes) in hours {
                let known = known.entry(*hour).or_default();
                // Two captures of one hour: the larger, so that the same capture again changes nothing.
                *known = (*known).max(*bytes);
            }
            while known.len() > HOURS_MAX {
                known.pop_first();
            }
        }
        for (key, now) in &learnt.exposures {
            let known = self.exposures.entry(key.clone()).or_insert(*now);
            if now.last_seen >= known.last_seen {
                known.verdict = now.verdict;
            }
            known.first_seen = known.first_seen.min(now.first_seen);
            known.last_seen = known.last_seen.max(now.last_seen);
            // Reached comes first in its set.
            known.contact = known.contact.min(now.contact);
        }
        for (key, (zone, at)) in &learnt.canaries {
            let known = self.canaries.entry(key.clone());
            let (_, known) = known.or_insert_with(|| (zone.clone(), *at));
            *known = (*known).min(*at);
        }
        let mut gone = keep_latest(&mut self.canaries, entries_max, |(_, at)| *at);
        gone += keep_latest(&mut self.exposures, entries_max, |known| known.last_seen);
        gone += keep_latest(&mut self.uploads, entries_max, |hours| {
            hours.last_key_value().map_or(0, |(hour, _)| *hour)
        });
        gone
    }
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Takes out what was heard of longest ago until at most `most` are left; gives how many went.
fn keep_latest<K: Ord + Clone, V, T: Ord>(
    all: &mut BTreeMap<K, V>,
    most: usize,
    latest: impl Fn(&V) -> T,
) -> u64 {
    let spare = all.len().saturating_sub(most);
    if spare == 0 {
        return 0;
    }
    let mut by_age: Vec<(T, K)> = all
        .iter()
        .map(|(key, value)| (latest(value), key.clone()))
        .collect();
    by_age.sort();
    for (_, key) in by_age.into_iter().take(spare) {
        all.remove(&key);
    }
    spare as u64
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends at its first surprise")]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000 + 7)
    }

    fn learnt(first: u64, last: u64, bytes: u64) -> State {
        let host: IpAddr = "10.0.0.1".parse().unwrap();
        let key = StateKey {
            site: String::new(),
            host,
            vendor: "eset".into(),
            product: String::new(),
            engine: String::new(),
        };
        let known = KnownExposure {
            first_seen: at(first),
            last_seen: at(last),
            verdict: Verdict::Installed,
            contact: Contact::Attempted,
        };
        State {
            known_from: Some(at(first)),
            known_until: Some(at(last)),
            first_sights: [(
                (String::new(), "lab".into(), "eset".into(), String::new()),
                at(first),
            )]
            .into(),
            countries: [(
                ("eset".into(), CountryCode::new(*b"SK").unwrap()),
                at(first),
            )]
            .into(),
            uploads: [(
                (String::new(), host, "eset".into()),
                [(first / 3600, bytes)].into(),
            )]
            .into(),
            exposures: [(key, known)].into(),
            canaries: [(
                ("ab".repeat(16), EvidenceKind::TlsSni),
                ("lab".to_owned(), at(first)),
            )]
            .into(),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let state = learnt(5000, 6000, 77);
        let text = state.to_json();
        assert_eq!(State::from_json(&text).unwrap(), state);
        let empty = State::default();
        assert_eq!(State::from_json(&empty.to_json()).unwrap(), empty);
    }

    #[test]
    fn the_same_again_changes_nothing_and_order_does_not_matter() {
        let (one, other) = (learnt(5000, 6000, 77), learnt(1000, 9000, 50));
        let mut forth = State::default();
        forth.merge(&one, 10);
        forth.merge(&other, 10);
        let mut again = forth.clone();
        again.merge(&one, 10);
        assert_eq!(again.to_json(), forth.to_json());
        let mut back = State::default();
        back.merge(&other, 10);
        back.merge(&one, 10);
        assert_eq!(back, forth);
        assert_eq!(forth.known_from, Some(at(1000)));
        let known = forth.exposures.values().next().unwrap();
        assert_eq!((known.first_seen, known.last_seen), (at(1000), at(9000)));
    }

    #[test]
    fn who_once_answered_was_reached() {
        let mut state = learnt(1, 2, 0);
        let mut reached = learnt(3, 4, 0);
        for known in reached.exposures.values_mut() {
            known.contact = Contact::Reached;
        }
        state.merge(&reached, 10);
        state.merge(&learnt(5, 6, 0), 10);
        assert_eq!(
            state.exposures.values().next().unwrap().contact,
            Contact::Reached
        );
    }

    #[test]
    fn lists_have_bounds_and_the_oldest_goes() {
        let mut state = State::default();
        let mut gone = 0;
        for number in 0..5u8 {
            let mut one = learnt(u64::from(number) * 7200, u64::from(number) * 7200 + 1, 9);
            let (mut key, known) = one.exposures.pop_first().unwrap();
            key.host = IpAddr::from([10, 0, 0, 9 - number]);
            one.exposures.insert(key, known);
            one.uploads = BTreeMap::new();
            gone += state.merge(&one, 3);
        }
        assert_eq!((state.exposures.len(), gone), (3, 2));
        let hosts: Vec<_> = state
            .exposures
            .keys()
            .map(|key| key.host.to_string())
            .collect();
        assert_eq!(hosts, ["10.0.0.5", "10.0.0.6", "10.0.0.7"]);
        for hour in 0..400 {
            state.merge(&learnt(hour * 3600, hour * 3600, 1), 3);
        }
        assert_eq!(state.uploads.values().next().unwrap().len(), HOURS_MAX);
    }

    #[test]
    fn another_format_and_nonsense_are_refused_with_their_place() {
        let mut other: serde_json::Value =
            serde_json::from_slice(&State::default().to_json()).unwrap();
        other["format"] = 2.into();
        let error = State::from_json(other.to_string().as_bytes()).unwrap_err();
        assert!(matches!(error, StateError::Format { format: 2 }), "{error}");
        let error = State::from_json(b"{\n\"format\": 1,\n\"more\": 3}").unwrap_err();
        assert!(error.to_string().starts_with("line 3"), "{error}");
    }
}
