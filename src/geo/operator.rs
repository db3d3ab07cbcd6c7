//! Takes an address and says which operator announces its network, from a table of the networks that security vendors run themselves.
//!
//! **Invariants**: an operator's country is what the table states about the company, never the
//! country of an address; a table with any error is refused whole, with file, line and remedy.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;
use toml::Spanned;

use crate::geo::{Dataset, IpRangeTable, RangeError};
use crate::model::{Confidence, CountryCode};

const BUILTIN_NAME: &str = "rules/operators.toml";
const BUILTIN: &str = include_str!("../../rules/operators.toml");

/// Why a table of operators is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperatorError {
    /// Not TOML, an unknown or missing key, or a value of the wrong kind.
    #[error("{file}:{line}: {message}; correct the key or value")]
    Syntax {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What the parser says, with the known keys or words.
        message: String,
    },
    /// A prefix is not a network in CIDR notation.
    #[error(
        "{file}:{line}: {prefix:?} is not a network; write it as in \"192.0.2.0/24\" or \"2001:db8::/32\""
    )]
    NotANetwork {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is written there.
        prefix: String,
    },
    /// A prefix has bits set behind its length.
    #[error("{file}:{line}: {prefix} has bits set behind its length; write {network}")]
    HostBits {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is written there.
        prefix: IpNet,
        /// The network it lies in.
        network: IpNet,
    },
    /// Two entries claim the same prefix.
    #[error("{file}:{line}: {prefix} already belongs to AS{asn}; keep it in one place")]
    RepeatedPrefix {
        /// The file.
        file: String,
        /// The line of the second claim, from 1.
        line: usize,
        /// The prefix.
        prefix: IpNet,
        /// The operator that claimed it first.
        asn: u32,
    },
    /// Two entries have the same number.
    #[error("{file}:{line}: AS{asn} is described twice; merge the two entries")]
    RepeatedOperator {
        /// The file.
        file: String,
        /// The line of the second entry's number, from 1.
        line: usize,
        /// The number.
        asn: u32,
    },
    /// A country without a reason, or a reason without a country.
    #[error("{file}:{line}: AS{asn} needs both country and country_basis, or neither")]
    CountryWithoutBasis {
        /// The file.
        file: String,
        /// The line of the entry's number, from 1.
        line: usize,
        /// The number.
        asn: u32,
    },
    /// The prefixes do not make ranges.
    #[error("{file}: {cause}")]
    Ranges {
        /// The file.
        file: String,
        /// What is wrong with them.
        cause: RangeError,
    },
}

/// A company that announces networks of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Number of the autonomous system.
    pub asn: u32,
    /// The company, as the autonomous system names it.
    pub name: String,
    /// Where the company is registered, if that is known.
    pub country: Option<CountryCode>,
    /// What `country` rests on; given exactly when `country` is.
    pub country_basis: Option<String>,
    /// Identifier of the vendor it belongs to.
    pub vendor: Option<String>,
    /// Where name and prefixes come from.
    pub source: String,
    /// How sure it is that these prefixes are this operator's.
    pub confidence: Confidence,
    /// What a reader of the answer should know besides.
    pub note: Option<String>,
}

/// Operators by the networks they announce.
#[derive(Clone, Debug)]
pub struct OperatorTable {
    dataset: Dataset,
    attribution: Vec<String>,
    operators: Vec<Operator>,
    /// Positions in `operators`.
    ranges: IpRangeTable<u32>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    dataset: RawDataset,
    #[serde(default)]
    operator: Vec<RawOperator>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDataset {
    name: String,
    version: String,
    build_date: String,
    licence: String,
    attribution: Vec<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOperator {
    asn: Spanned<u32>,
    name: String,
    country: Option<CountryCode>,
    country_basis: Option<String>,
    vendor: Option<String>,
    source: String,
    confidence: Confidence,
    note: Option<String>,
    prefixes: Vec<Spanned<String>>,
}

impl OperatorTable {
    /// The table compiled into the program.
    pub fn builtin() -> Result<Self, OperatorError> {
        Self::parse(BUILTIN_NAME, BUILTIN)
    }

    /// A table from the text of a TOML file; `file` is the name that errors show.
    pub fn parse(file: &str, text: &str) -> Result<Self, OperatorError> {
        let raw: RawFile = toml::from_str(text).map_err(|error| OperatorError::Syntax {
            file: file.to_owned(),
            line: line_of(text, error.span().map_or(0, |span| span.start)),
            message: error.message().to_owned(),
        })?;
        let mut operators = Vec::with_capacity(raw.operator.len());
        let mut numbers = std::collections::HashSet::new();
        let mut owners: HashMap<IpNet, u32> = HashMap::new();
        let mut networks = Vec::new();
        for (position, entry) in raw.operator.into_iter().enumerate() {
            let asn = *entry.asn.get_ref();
            // Counted for an error alone: the text is long and has many entries.
            let line = || line_of(text, entry.asn.span().start);
            let file = || file.to_owned();
            if !numbers.insert(asn) {
                return Err(OperatorError::RepeatedOperator {
                    file: file(),
                    line: line(),
                    asn,
                });
            }
            if entry.country.is_some() != entry.country_basis.is_some() {
                return Err(OperatorError::CountryWithoutBasis {
                    file: file(),
                    line: line(),
                    asn,
                });
            }
            for prefix in &entry.prefixes {
                let line = || line_of(text, prefix.span().start);
                let network = parse_network(file, line, prefix.get_ref())?;
                if let Some(asn) = owners.insert(network, asn) {
                    let prefix = network;
                    return Err(OperatorError::RepeatedPrefix {
                        file: file(),
                        line: line(),
                        prefix,
                        asn,
                    });
                }
                networks.push((network, position as u32));
            }
            operators.push(Operator {
                asn,
                name: entry.name,
                country: entry.country,
                country_basis: entry.country_basis,
                vendor: entry.vendor,
                source: entry.source,
                confidence: entry.confidence,
                note: entry.note,
            });
        }
        Ok(Self {
            dataset: Dataset {
                name: raw.dataset.name,
                version: raw.dataset.version,
                build_date: raw.dataset.build_date,
                licence: raw.dataset.licence,
            },
            attribution: raw.dataset.attribution,
            operators,
            ranges: IpRangeTable::from_networks(networks).map_err(|cause| {
                OperatorError::Ranges {
                    file: file.to_owned(),
                    cause,
                }
            })?,
        })
    }

    /// The operator that announces the network of the address, if the table has it.
    #[inline]
    pub fn lookup(&self, address: IpAddr) -> Option<&Operator> {
        self.operators.get(*self.ranges.lookup(address)? as usize)
    }

    /// Every operator, in the order of the file.
    pub fn operators(&self) -> &[Operator] {
        &self.operators
    }

    /// The data set that names and prefixes come from.
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// Whom the licence of the data set asks to name.
    pub fn attribution(&self) -> &[String] {
        &self.attribution
    }
}

fn parse_network(
    file: impl Fn() -> String,
    line: impl Fn() -> usize,
    prefix: &str,
) -> Result<IpNet, OperatorError> {
    let Ok(network) = prefix.parse::<IpNet>() else {
        return Err(OperatorError::NotANetwork {
            file: file(),
            line: line(),
            prefix: prefix.to_owned(),
        });
    };
    if network.trunc() == network {
        Ok(network)
    } else {
        Err(OperatorError::HostBits {
            file: file(),
            line: line(),
            prefix: network,
            network: network.trunc(),
        })
    }
}

/// The line, from 1, of a position in the text.
fn line_of(text: &str, position: usize) -> usize {
    let before = text.bytes().take(position);
    before
        .filter(|byte| *byte == b'\n')
        .count()
        .saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATASET: &str = "[dataset]\nname = 'n'\nversion = '1'\nbuild_date = '2026-01-01'\nlicence = 'CC0-1.0'\nattribution = []\n";

    /// An entry whose first line is the eighth when it follows `DATASET`.
    fn entry(asn: u32, more: &str) -> String {
        format!(
            "\n[[operator]]\nasn = {asn}\nname = 'x'\nsource = 's'\nconfidence = 'low'\n{more}\n"
        )
    }

    fn error(entries: &[String]) -> OperatorError {
        OperatorTable::parse("f.toml", &format!("{DATASET}{}", entries.concat())).unwrap_err()
    }

    /// Expected answers are the public registrations of these prefixes.
    #[test]
    fn builtin_table_knows_the_vendors_networks() {
        let table = OperatorTable::builtin().unwrap();
        let at = |text: &str| {
            table.lookup(text.parse().unwrap()).map(|operator| {
                let country = operator.country.map(|code| code.to_string());
                (operator.asn, operator.vendor.as_deref(), country)
            })
        };
        let answer =
            |asn, vendor, country: &str| Some((asn, Some(vendor), Some(country.to_owned())));
        assert_eq!(at("91.228.164.0"), answer(50881, "eset", "SK"));
        assert_eq!(at("91.228.167.255"), answer(50881, "eset", "SK"));
        assert_eq!(at("::ffff:91.228.166.13"), answer(50881, "eset", "SK"));
        assert_eq!(at("77.74.176.1"), answer(200_107, "kaspersky", "CH"));
        assert_eq!(at("82.202.186.1"), answer(209_030, "kaspersky", "RU"));
        assert_eq!(at("2a06:7ac0::1"), Some((59567, Some("crowdstrike"), None)));
        assert_eq!(at("8.8.8.8"), None);
        assert_eq!(at("192.168.1.10"), None);
        assert_eq!(at("2001:4860:4860::8888"), None);
        assert_eq!(table.dataset().licence, "CC-BY-4.0");
        assert_eq!(table.attribution().len(), 3);
    }

    #[test]
    fn longest_prefix_names_the_operator() {
        let text = format!(
            "{DATASET}{}{}",
            entry(1, "prefixes = ['198.51.100.0/24']"),
            entry(2, "prefixes = ['198.51.100.64/26']")
        );
        let table = OperatorTable::parse("f.toml", &text).unwrap();
        let asn = |text: &str| table.lookup(text.parse().unwrap()).map(|found| found.asn);
        assert_eq!(asn("198.51.100.63"), Some(1));
        assert_eq!(asn("198.51.100.64"), Some(2));
        assert_eq!(asn("198.51.100.127"), Some(2));
        assert_eq!(asn("198.51.100.128"), Some(1));
        assert_eq!(asn("198.51.101.0"), None);
    }

    #[test]
    fn errors_name_file_line_and_remedy() {
        for (entries, expected) in [
            (
                vec![entry(1, "prefixes = [\n'198.51.100.0/33']")],
                "f.toml:14: \"198.51.100.0/33\" is not a network; write it as",
            ),
            (
                vec![entry(1, "prefixes = ['198.51.100.1/24']")],
                "f.toml:13: 198.51.100.1/24 has bits set behind its length; write 198.51.100.0/24",
            ),
            (
                vec![
                    entry(1, "prefixes = ['198.51.100.0/24']"),
                    entry(2, "prefixes = ['198.51.100.0/24']"),
                ],
                "f.toml:20: 198.51.100.0/24 already belongs to AS1; keep it",
            ),
            (
                vec![entry(1, "prefixes = []"), entry(1, "prefixes = []")],
                "f.toml:16: AS1 is described twice; merge",
            ),
            (
                vec![entry(1, "country = 'CH'\nprefixes = []")],
                "f.toml:9: AS1 needs both country and country_basis",
            ),
            (
                vec![entry(1, "prefixes = []\ncolour = 'red'")],
                "f.toml:14: unknown field `colour`, expected one of `asn`",
            ),
            (
                vec![entry(1, "country = 'ch'\nprefixes = []")],
                "f.toml:13: \"ch\" is not a country code",
            ),
        ] {
            let message = error(&entries).to_string();
            assert!(
                message.starts_with(expected),
                "{message}\nexpected {expected}"
            );
        }
    }
}
