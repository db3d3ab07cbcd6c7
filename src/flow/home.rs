//! Addresses → inside or outside: the user's own networks.

use ipnet::IpNet;

use crate::decode::Address;
use crate::model::Locality;

/// A text that is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a network: write it as 192.168.0.0/16, 2001:db8::/32 or a single address")]
pub struct NetworkError {
    /// What was given.
    pub text: String,
}

/// One prefix over 16-byte addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    pub network: u128,
    pub mask: u128,
}

/// The networks that count as home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HomeNetworks {
    prefixes: Vec<Prefix>,
    texts: Vec<String>,
}

/// Private addresses (RFC 1918, RFC 4193) and shared address space (RFC 6598).
const DEFAULT: [&str; 5] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "fc00::/7",
];

/// Never beyond the border, whatever is home: loopback, link-local, this host, multicast, broadcast.
const LOCAL: [&str; 9] = [
    "0.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "224.0.0.0/4",
    "255.255.255.255/32",
    "::/128",
    "::1/128",
    "fe80::/10",
    "ff00::/8",
];

impl Default for HomeNetworks {
    fn default() -> Self {
        Self::new(&DEFAULT).unwrap_or(Self {
            prefixes: Vec::new(),
            texts: Vec::new(),
        })
    }
}

impl HomeNetworks {
    /// Home is what `networks` say; link-local, multicast and the like always stay inside.
    pub fn new<T: AsRef<str>>(networks: &[T]) -> Result<Self, NetworkError> {
        let texts: Vec<String> = networks
            .iter()
            .map(|text| text.as_ref().trim().to_owned())
            .collect();
        let prefixes = texts
            .iter()
            .map(String::as_str)
            .chain(LOCAL)
            .map(|text| {
                prefix(text).ok_or_else(|| NetworkError {
                    text: text.to_owned(),
                })
            })
            .collect::<Result<_, _>>()?;
        // A report that repeats 10.0.0.1/8 would leave open what counted as home.
        let texts = texts.iter().map(|text| without_host_bits(text)).collect();
        Ok(Self { prefixes, texts })
    }

    /// The networks, without the bits of hosts that may have been given with them.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    /// Whether `address` is inside.
    #[inline]
    pub fn contains(&self, address: &Address) -> bool {
        let address = u128::from_be_bytes(*address);
        self.prefixes
            .iter()
            .any(|prefix| address & prefix.mask == prefix.network)
    }

    /// On which side of the border two ends lie.
    #[inline]
    pub fn locality(&self, one: &Address, other: &Address) -> Locality {
        match (self.contains(one), self.contains(other)) {
            (true, true) => Locality::HomeHome,
            (false, false) => Locality::Transit,
            _ => Locality::Outbound,
        }
    }
}

/// A network without the bits of a host; any other text as it is.
pub fn without_host_bits(text: &str) -> String {
    text.trim()
        .parse::<IpNet>()
        .map_or_else(|_| text.to_owned(), |net| net.trunc().to_string())
}

fn prefix(text: &str) -> Option<Prefix> {
    let net: IpNet = text
        .parse()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
        .ok()?;
    Some(Prefix::of(net))
}

impl Prefix {
    /// The network, without the bits of a host.
    pub fn of(net: IpNet) -> Self {
        let (network, len) = match net.trunc() {
            IpNet::V4(v4) => (
                v4.network().to_ipv6_mapped(),
                u32::from(v4.prefix_len()).saturating_add(96),
            ),
            IpNet::V6(v6) => (v6.network(), u32::from(v6.prefix_len())),
        };
        let mask = u128::MAX
            .checked_shl(128u32.saturating_sub(len))
            .unwrap_or(0);
        Self {
            network: u128::from(network),
            mask,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn address(text: &str) -> Address {
        match text.parse::<IpAddr>().unwrap() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        }
    }

    #[test]
    fn private_space_is_home_and_multicast_never_leaves() {
        let home = HomeNetworks::default();
        for (one, other, locality) in [
            ("192.168.1.2", "93.184.216.34", Locality::Outbound),
            ("93.184.216.34", "10.255.0.1", Locality::Outbound),
            ("172.31.0.1", "10.0.0.1", Locality::HomeHome),
            ("172.32.0.1", "8.8.8.8", Locality::Transit),
            ("192.168.1.2", "239.255.255.250", Locality::HomeHome),
            ("fd00::1", "2606:4700::1111", Locality::Outbound),
            ("fe80::1", "ff02::fb", Locality::HomeHome),
            ("0.0.0.0", "255.255.255.255", Locality::HomeHome),
        ] {
            assert_eq!(
                home.locality(&address(one), &address(other)),
                locality,
                "{one} {other}"
            );
        }
    }

    #[test]
    fn own_networks_replace_the_default() {
        let home = HomeNetworks::new(&["198.51.100.0/24", "2001:db8::/32", "203.0.113.9"]).unwrap();
        assert!(home.contains(&address("198.51.100.7")));
        assert!(home.contains(&address("203.0.113.9")));
        assert!(!home.contains(&address("203.0.113.10")));
        assert!(home.contains(&address("2001:db8:1::1")));
        assert!(!home.contains(&address("192.168.1.1")));
    }

    #[test]
    fn a_zero_length_prefix_holds_everything() {
        let home = HomeNetworks::new(&["::/0"]).unwrap();
        assert!(home.contains(&address("8.8.8.8")));
    }

    #[test]
    fn networks_are_shown_without_host_bits() {
        let home = HomeNetworks::new(&["10.0.0.1/8", "2001:db8::9/32", "203.0.113.9"]).unwrap();
        assert_eq!(home.texts(), ["10.0.0.0/8", "2001:db8::/32", "203.0.113.9"]);
    }

    #[test]
    fn nonsense_is_refused_with_an_example() {
        let error = HomeNetworks::new(&["10.0.0.0/33"]).unwrap_err();
        assert!(error.to_string().contains("10.0.0.0/33"));
    }
}
