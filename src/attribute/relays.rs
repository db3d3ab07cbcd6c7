//! Ports on which relays of vendors listen inside a network → whose they are.

use super::ruleset::VendorId;
use crate::model::Confidence;

/// IP protocol numbers (IANA).
const TCP: u8 = 6;
const UDP: u8 = 17;

/// A relay of the vendor: hosts of a network speak to it in place of the vendor's own servers.
#[derive(Clone, Debug)]
pub struct Relay {
    /// What it is called.
    pub name: String,
    /// TCP ports on which it listens, unless configured otherwise.
    pub tcp: Vec<u16>,
    /// UDP ports.
    pub udp: Vec<u16>,
    /// How sure the fact is.
    pub confidence: Confidence,
    /// Citation.
    pub source: String,
}

/// A port on which a vendor's relay listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RelayPort {
    /// IP protocol.
    pub protocol: u8,
    /// The port.
    pub port: u16,
    /// Whose relay.
    pub vendor: VendorId,
}

/// The ports of all vendors' relays, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct RelayPorts(Vec<RelayPort>);

impl RelayPorts {
    pub fn of<'a>(relays: impl Iterator<Item = (VendorId, &'a Relay)>) -> Self {
        let mut all = Vec::new();
        for (vendor, relay) in relays {
            for (protocol, ports) in [(TCP, &relay.tcp), (UDP, &relay.udp)] {
                all.extend(ports.iter().map(|port| RelayPort {
                    protocol,
                    port: *port,
                    vendor,
                }));
            }
        }
        all.sort_unstable();
        all.dedup();
        Self(all)
    }

    pub fn at(&self, protocol: u8, port: u16) -> &[RelayPort] {
        let key = |relay: &RelayPort| (relay.protocol, relay.port);
        let begin = self
            .0
            .partition_point(|relay| key(relay) < (protocol, port));
        let rest = self.0.get(begin..).unwrap_or_default();
        let len = rest.partition_point(|relay| key(relay) == (protocol, port));
        rest.get(..len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_two_vendors_is_both_and_one_of_another_protocol_is_nobodys() {
        let relay = |tcp: &[u16], udp: &[u16]| Relay {
            name: "relay".to_owned(),
            tcp: tcp.to_vec(),
            udp: udp.to_vec(),
            confidence: Confidence::High,
            source: String::new(),
        };
        let (one, two) = (relay(&[13111, 17111], &[15111]), relay(&[13111], &[]));
        let ports = RelayPorts::of([(VendorId(1), &one), (VendorId(2), &two)].into_iter());
        let at = |protocol, port| -> Vec<u32> {
            let found = ports.at(protocol, port).iter();
            found.map(|relay| relay.vendor.0).collect()
        };
        assert_eq!(at(TCP, 13111), [1, 2]);
        assert_eq!(at(UDP, 15111), [1]);
        assert_eq!(at(UDP, 13111), [0; 0]);
        assert_eq!(at(TCP, 17110), [0; 0]);
    }

    #[test]
    fn a_port_that_shows_nothing_is_refused_with_its_line() {
        let file = |relay: &str| {
            format!(
                "format = 1\n[vendor]\nid = \"one\"\nlegal_name = \"One\"\njurisdiction = \"CH\"\n\
                 [sources.s]\ntitle = \"made up\"\n[[relay]]\nname = \"relay\"\n{relay}\n\
                 confidence = \"high\"\nsource = \"s\"\n"
            )
        };
        let parse = |relay: &str| crate::attribute::SourceFile::parse("one.toml", &file(relay));
        assert!(parse("tcp = [13111]\nudp = [15111]").is_ok());
        for (relay, problem) in [
            ("tcp = [443]", "one.toml:10"),
            ("tcp = [8080]", "one.toml:10"),
            ("udp = [50000]", "one.toml:10"),
            ("tcp = []", "listens on no port"),
            ("ports = [13111]", "unknown field"),
        ] {
            let error = parse(relay).unwrap_err();
            let text = format!("{error} {:?}", std::error::Error::source(&error));
            assert!(text.contains(problem), "{relay}: {text}");
        }
    }
}
