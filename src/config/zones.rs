//! Named sets of the user's own prefixes, and named places where sensors stand.

use ipnet::IpNet;

use super::section::Origin;
use super::{ConfigError, Sourced};
use crate::aggregate::UNZONED;

/// Labels of outputs are made of zones and sites: what is many more is a mistake.
pub(super) const NAMED_MAX: usize = 256;
/// Prefixes of one zone; each address is compared with them.
const NETWORKS_MAX: usize = 1024;
/// Characters of a name.
const NAME_CHARS_MAX: usize = 64;

/// A named set of the user's own networks.
///
/// An address belongs to the zone with the longest prefix that holds it, so a zone may lie inside another; the same prefix in two
/// zones is an error, and so is a prefix that does not lie in one of the home networks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its name.
    pub name: String,
    /// Its networks.
    pub networks: Vec<IpNet>,
    /// As written, and where.
    pub texts: Sourced<Vec<String>>,
}

/// A place where a sensor stands: the same private address at two sites is two hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: Sourced<String>,
}

/// Checks zones against the rules above.
pub(super) fn zones(
    written: Vec<(String, Sourced<Vec<String>>)>,
    home: &[String],
) -> Result<Vec<Zone>, ConfigError> {
    let home: Vec<IpNet> = home.iter().filter_map(|text| network(text)).collect();
    let mut zones: Vec<Zone> = Vec::new();
    for (name, texts) in written {
        name_is_one("zone", &name, &texts.origin)?;
        if name == UNZONED {
            return Err(ConfigError::ZoneReserved {
                origin: texts.origin,
            });
        }
        let mut networks = Vec::new();
        if texts.value.is_empty() || texts.value.len() > NETWORKS_MAX {
            return Err(ConfigError::ZoneSize {
                origin: texts.origin,
                zone: name,
                networks: texts.value.len(),
                most: NETWORKS_MAX,
            });
        }
        for text in &texts.value {
            let Some(network) = network(text) else {
                return Err(ConfigError::ZoneNetwork {
                    origin: texts.origin,
                    zone: name,
                    text: text.clone(),
                });
            };
            let taken = |zone: &&Zone| zone.networks.contains(&network);
            let other = zones.iter().find(taken).map(|zone| zone.name.clone());
            if let Some(other) = other.or_else(|| networks.contains(&network).then(|| name.clone()))
            {
                return Err(ConfigError::ZoneOverlap {
                    origin: texts.origin,
                    zone: name,
                    other,
                    network,
                });
            }
            if !home.iter().any(|home| home.contains(&network)) {
                return Err(ConfigError::ZoneOutside {
                    origin: texts.origin,
                    zone: name,
                    network,
                });
            }
            networks.push(network);
        }
        zones.push(Zone {
            name,
            networks,
            texts,
        });
    }
    Ok(zones)
}

/// Whether a zone can be called so; the option that it comes from stands in the error.
pub fn check_zone_name(name: &str, option: &'static str) -> Result<(), ConfigError> {
    name_is_one("zone", name, &Origin::Flag(option))
}

/// Whether a name can be a label, a word of a command line and a folder.
pub(super) fn name_is_one(
    what: &'static str,
    name: &str,
    origin: &Origin,
) -> Result<(), ConfigError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.';
    let begins = name
        .chars()
        .next()
        .is_some_and(|c| c.is_ascii_alphanumeric());
    if begins && name.len() <= NAME_CHARS_MAX && name.chars().all(allowed) {
        Ok(())
    } else {
        Err(ConfigError::Name {
            origin: origin.clone(),
            what,
            name: name.to_owned(),
        })
    }
}

fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
        .ok()
        .map(|network| network.trunc())
}
