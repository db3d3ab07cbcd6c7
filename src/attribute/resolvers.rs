//! A server's name or address in; whether it is a public resolver that answers encrypted questions, out.
//!
//! **Invariants**: the table never changes once built; a look-up allocates nothing and cannot panic. What it knows says in which
//! bucket a flow stands, and never whose a product is: that is for the rules.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::LazyLock;

use ipnet::IpNet;
use serde::Deserialize;

use super::matcher::Matcher;
use super::name_pattern::NamePattern;
use super::networks::NetworkSet;

/// The table that is compiled into the program.
const BUILTIN: &str = include_str!("../../rules/resolvers.toml");

/// Public resolvers by name and by address.
#[derive(Clone, Debug)]
pub struct Resolvers {
    names: Matcher,
    addresses: NetworkSet,
    list: Vec<Resolver>,
}

/// A resolver as the table describes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolver {
    /// Names it.
    pub id: String,
    /// Who runs it.
    pub operator: String,
    /// Where names and addresses are documented.
    pub source: String,
    /// Names of servers, and `*.x` for all names under `x`.
    pub names: Vec<String>,
    /// Addresses, and networks where each address is one of its own.
    pub addresses: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    resolver: Vec<Resolver>,
}

/// Why a table of resolvers is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the table of resolvers: {0}")]
pub struct ResolversError(String);

impl Resolvers {
    /// The table of the program; it is read once.
    #[allow(
        clippy::expect_used,
        reason = "the table is part of the program, and a test reads it"
    )]
    pub fn builtin() -> &'static Self {
        static TABLE: LazyLock<Resolvers> =
            LazyLock::new(|| Resolvers::parse(BUILTIN).expect("the table of the program is right"));
        &TABLE
    }

    /// A table of its text.
    ///
    /// # Errors
    ///
    /// Where it is no TOML of that form, a name or an address cannot be read, or one occurs twice.
    pub fn parse(text: &str) -> Result<Self, ResolversError> {
        let refused = |message: String| ResolversError(message);
        let file: File = toml::from_str(text).map_err(|error| refused(error.to_string()))?;
        let (mut names, mut addresses) = (Vec::new(), Vec::new());
        for (number, resolver) in (0..).zip(&file.resolver) {
            for name in &resolver.names {
                let pattern = NamePattern::parse(name)
                    .map_err(|problem| refused(format!("{name}: {problem}")))?;
                names.push((number, pattern));
            }
            for text in &resolver.addresses {
                let network = text
                    .parse::<IpNet>()
                    .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
                    .map_err(|_| refused(format!("{text} is no address and no network")))?;
                addresses.push((number, network));
            }
        }
        let twice = |first: u32| {
            let resolver = file.resolver.get(first as usize);
            let id = resolver.map_or("?", |resolver| resolver.id.as_str());
            refused(format!("something of {id} occurs twice"))
        };
        let names = Matcher::build(&names).map_err(|found| twice(found.first))?;
        let addresses = NetworkSet::build(&addresses, &[]).map_err(|found| twice(found.first))?;
        Ok(Self {
            names,
            addresses,
            list: file.resolver,
        })
    }

    /// Whether encrypted questions are answered under this name.
    #[inline]
    pub fn knows_name(&self, name: &[u8]) -> bool {
        self.names.find(name).is_some()
    }

    /// Whether encrypted questions are answered at this address; IPv4 mapped.
    pub fn knows_address(&self, address: [u8; 16]) -> bool {
        let address = Ipv6Addr::from(address).to_canonical();
        self.addresses.network(address).is_some()
    }

    /// All of them, in the order of the table.
    pub fn list(&self) -> &[Resolver] {
        &self.list
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends at its first surprise")]

    use super::*;

    fn mapped(address: &str) -> [u8; 16] {
        match address.parse().unwrap() {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        }
    }

    #[test]
    fn the_table_of_the_program_knows_what_its_sources_say() {
        let table = Resolvers::builtin();
        for name in [
            "dns.google",
            "mozilla.cloudflare-dns.com",
            "CloudFlare-DNS.com",
            "abcdef.dns.nextdns.io",
            "dns.quad9.net",
            "p2.freedns.controld.com",
        ] {
            assert!(table.knows_name(name.as_bytes()), "{name}");
        }
        for name in [
            "www.quad9.net",
            "nextdns.io",
            "google",
            "dns.google.example",
            "notdns.google",
        ] {
            assert!(!table.knows_name(name.as_bytes()), "{name}");
        }
        for address in ["1.1.1.1", "9.9.9.9", "45.90.28.17", "2620:fe::fe"] {
            assert!(table.knows_address(mapped(address)), "{address}");
        }
        for address in ["1.1.1.4", "192.0.2.1", "2620:fe::"] {
            assert!(!table.knows_address(mapped(address)), "{address}");
        }
    }

    #[test]
    fn every_resolver_has_a_source_and_an_identifier_of_its_own() {
        let list = Resolvers::builtin().list();
        let ids: std::collections::BTreeSet<_> = list.iter().map(|resolver| &resolver.id).collect();
        assert_eq!(ids.len(), list.len());
        for resolver in list {
            assert!(resolver.source.starts_with("https://"), "{resolver:?}");
            assert!(!resolver.names.is_empty(), "{resolver:?}");
            assert!(!resolver.operator.is_empty(), "{resolver:?}");
        }
    }

    #[test]
    fn a_wrong_table_is_refused() {
        let table = |names: &str, addresses: &str| {
            let one = format!(
                "[[resolver]]\nid = \"a\"\noperator = \"A\"\nsource = \"https://a.example\"\nnames = [{names}]\naddresses = [{addresses}]\n"
            );
            Resolvers::parse(&one).map(|_| ())
        };
        assert_eq!(table("\"dns.example.net\"", "\"192.0.2.1\""), Ok(()));
        assert!(table("\"dns.example.net\", \"dns.example.net\"", "").is_err());
        assert!(table("\"example\"", "").is_err());
        assert!(table("", "\"192.0.2\"").is_err());
        assert!(table("", "").is_ok());
        assert!(Resolvers::parse("[[resolver]]\nid = \"a\"\n").is_err());
    }
}
