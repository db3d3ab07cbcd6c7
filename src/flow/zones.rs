//! Addresses → which of the user's zones they are in.

use ipnet::IpNet;

use super::home::Prefix;
use crate::decode::Address;

/// Position of a zone in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZoneId(pub u16);

/// The user's zones: named sets of prefixes. Of several prefixes that hold an address the longest counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZoneTable {
    names: Vec<String>,
    /// The longest first.
    prefixes: Vec<(Prefix, ZoneId)>,
}

impl ZoneTable {
    /// From names and their networks, in the order in which the zones are numbered.
    pub fn new<'a>(zones: impl IntoIterator<Item = (&'a str, &'a [IpNet])>) -> Self {
        let mut table = Self::default();
        for (number, (name, networks)) in (0u16..).zip(zones) {
            table.names.push(name.to_owned());
            let prefixes = networks
                .iter()
                .map(|net| (Prefix::of(*net), ZoneId(number)));
            table.prefixes.extend(prefixes);
        }
        table
            .prefixes
            .sort_by_key(|(prefix, zone)| (std::cmp::Reverse(prefix.mask), *zone));
        table
    }

    /// The zone of an address; `None`: in none of them.
    pub fn zone_of(&self, address: &Address) -> Option<ZoneId> {
        let address = u128::from_be_bytes(*address);
        self.prefixes
            .iter()
            .find(|(prefix, _)| address & prefix.mask == prefix.network)
            .map(|(_, zone)| *zone)
    }

    /// The name of a zone.
    pub fn name(&self, zone: ZoneId) -> Option<&str> {
        self.names.get(usize::from(zone.0)).map(String::as_str)
    }

    /// The name of the zone that an address is in.
    pub fn name_of(&self, address: &Address) -> Option<&str> {
        self.name(self.zone_of(address)?)
    }

    /// All names, by number.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        match text.parse().unwrap() {
            std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            std::net::IpAddr::V6(v6) => v6.octets(),
        }
    }

    #[test]
    fn the_longest_prefix_decides_and_the_rest_is_in_no_zone() {
        let nets = |texts: &[&str]| -> Vec<IpNet> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let (office, lab, six) = (
            nets(&["10.0.0.0/8"]),
            nets(&["10.1.0.0/16", "10.2.3.4/32"]),
            nets(&["fd00::/8"]),
        );
        let zones = ZoneTable::new([
            ("office", &office[..]),
            ("lab", &lab[..]),
            ("six", &six[..]),
        ]);
        for (text, name) in [
            ("10.0.0.1", Some("office")),
            ("10.1.255.1", Some("lab")),
            ("10.2.3.4", Some("lab")),
            ("10.2.3.5", Some("office")),
            ("fd12::1", Some("six")),
            ("192.168.0.1", None),
            ("2001:db8::1", None),
        ] {
            assert_eq!(zones.name_of(&address(text)), name, "{text}");
        }
        assert_eq!(zones.names(), ["office", "lab", "six"]);
    }
}
