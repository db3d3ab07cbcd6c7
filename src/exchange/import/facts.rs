//! What a list says of a candidate, word by word, in; typed, or the word that is wrong, out.

use crate::attribute::{EngineRelation, Indicates, ValidityDate, WireProtocol};
use crate::model::{Confidence, CountryCode, Purpose};

/// What a list says of a candidate; what it does not say is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Facts {
    /// The vendor's id.
    pub vendor: Option<String>,
    /// The vendor's registered name.
    pub legal_name: Option<String>,
    /// The vendor's legal seat.
    pub seat: Option<CountryCode>,
    /// The product.
    pub product: Option<String>,
    /// What the endpoint serves.
    pub purpose: Option<Purpose>,
    /// The service in a few words.
    pub serves: Option<String>,
    /// Whose engine works inside.
    pub engine_vendor: Option<String>,
    /// How it is inside.
    pub engine_relation: Option<EngineRelation>,
    /// What a contact is evidence of.
    pub indicates: Option<Indicates>,
    /// How sure the list is.
    pub confidence: Option<Confidence>,
    /// The id of the rule in another sensor.
    pub rule: Option<String>,
    /// Ports.
    pub ports: Vec<u16>,
    /// Protocols.
    pub protocols: Vec<WireProtocol>,
    /// First day.
    pub valid_from: Option<ValidityDate>,
    /// Last day.
    pub valid_until: Option<ValidityDate>,
    /// What the list itself cites.
    pub source: Option<String>,
    /// What a reader should know.
    pub note: Option<String>,
    /// The first word that was not understood.
    pub wrong: Option<String>,
}

/// Longest text that is taken over.
const TEXT_MAX: usize = 500;

impl Facts {
    /// Takes one fact over, by the column of a table or the key of a tag; keys that are not known are nobody's business.
    pub fn set(&mut self, key: &str, value: &str) {
        let value = value.trim();
        if value.is_empty() {
            return;
        }
        let text = || {
            let clean = value.chars().map(|c| if c.is_control() { ' ' } else { c });
            Some(clean.take(TEXT_MAX).collect::<String>())
        };
        let understood = match key {
            "vendor" => put(&mut self.vendor, Some(value.to_ascii_lowercase())),
            "legal_name" => put(&mut self.legal_name, text()),
            "seat" => put(&mut self.seat, value.parse().ok()),
            "product" => put(&mut self.product, text()),
            "purpose" => put(&mut self.purpose, value.parse().ok()),
            "serves" => put(&mut self.serves, text()),
            "engine_vendor" => put(&mut self.engine_vendor, Some(value.to_ascii_lowercase())),
            "engine_relation" => put(&mut self.engine_relation, value.parse().ok()),
            "indicates" => put(&mut self.indicates, value.parse().ok()),
            "confidence" => put(&mut self.confidence, value.parse().ok()),
            "rule" => put(&mut self.rule, text()),
            "port" | "ports" => add(&mut self.ports, value),
            "protocol" | "protocols" => add(&mut self.protocols, value),
            "valid_from" => put(&mut self.valid_from, day(value)),
            "valid_until" => put(&mut self.valid_until, day(value)),
            "source" => put(&mut self.source, text()),
            "note" => put(&mut self.note, text()),
            _ => true,
        };
        if !understood && self.wrong.is_none() {
            self.wrong = Some(format!("{key} {value:?} is not understood"));
        }
    }
}

fn put<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    let understood = value.is_some();
    *place = value.or(place.take());
    understood
}

/// Words with spaces between.
fn add<T: std::str::FromStr>(list: &mut Vec<T>, words: &str) -> bool {
    words
        .split_whitespace()
        .all(|word| word.parse().map(|value| list.push(value)).is_ok())
}

/// The day of a moment as in `2026-11-23T…`, or a day.
pub(super) fn day(text: &str) -> Option<ValidityDate> {
    let day = text
        .get(..10)
        .filter(|_| text.len() == 10 || text.as_bytes().get(10) == Some(&b'T'))?;
    let date = day.parse::<toml::value::Datetime>().ok()?.date?;
    Some(ValidityDate {
        year: date.year,
        month: date.month,
        day: date.day,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_that_is_wrong_is_told() {
        let mut facts = Facts::default();
        facts.set("purpose", "update");
        facts.set("ports", "443 8443");
        facts.set("valid_from", "2017-09-13T00:00:00Z");
        facts.set("colour", "blue");
        assert_eq!(facts.wrong, None);
        assert_eq!(
            (facts.purpose, facts.ports.as_slice()),
            (Some(Purpose::Update), &[443, 8443][..])
        );
        assert_eq!(
            facts.valid_from.map(|day| day.to_string()).as_deref(),
            Some("2017-09-13")
        );
        facts.set("confidence", "certain");
        facts.set("seat", "Russia");
        assert!(facts.wrong.is_some_and(|wrong| wrong.contains("certain")));
    }
}
