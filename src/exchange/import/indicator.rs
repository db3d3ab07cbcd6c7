//! One value of a list, without its type, in; what it is compared with out.

use std::net::IpAddr;

use crate::attribute::PatternKind;

/// What a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Indicator {
    pub kind: PatternKind,
    pub text: String,
    /// It was a URL, and its path says more than its host.
    pub left_out_path: bool,
}

/// An address or network, the number of a system, the host of a URL, else a name.
pub(super) fn of_value(value: &str) -> Result<Indicator, &'static str> {
    let value = value.trim();
    if value.contains("://") {
        return of_url(value);
    }
    let system = value
        .strip_prefix("AS")
        .or_else(|| value.strip_prefix("as"));
    if system.is_some_and(|number| number.parse::<u32>().is_ok()) {
        return Ok(plain(PatternKind::Asn, value.to_ascii_uppercase()));
    }
    if let Some(network) = network(value) {
        return Ok(plain(PatternKind::Network, network.to_string()));
    }
    if value.contains('/') {
        return Err("values with a path and no scheme");
    }
    Ok(plain(PatternKind::Name, value.to_owned()))
}

fn of_url(url: &str) -> Result<Indicator, &'static str> {
    let (_, rest) = url.split_once("://").unwrap_or_default();
    let (authority, path) = match rest.find(['/', '?', '#']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    // An IPv6 address stands in brackets, and its colons are no port.
    let host = match host.strip_prefix('[') {
        Some(inner) => {
            inner
                .split_once(']')
                .ok_or("URLs whose host cannot be read")?
                .0
        }
        None => host.split_once(':').map_or(host, |(host, _)| host),
    };
    if host.is_empty() {
        return Err("URLs whose host cannot be read");
    }
    let (kind, text) = match host.parse::<IpAddr>() {
        Ok(address) => (
            PatternKind::Network,
            ipnet::IpNet::from(address).to_string(),
        ),
        Err(_) => (PatternKind::Name, host.to_owned()),
    };
    let left_out_path = !matches!(path, "" | "/");
    Ok(Indicator {
        kind,
        text,
        left_out_path,
    })
}

/// An address as the network of itself, or a network.
pub(super) fn network(text: &str) -> Option<ipnet::IpNet> {
    let text = text.trim();
    text.parse::<ipnet::IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(ipnet::IpNet::from))
        .ok()
}

const fn plain(kind: PatternKind, text: String) -> Indicator {
    Indicator {
        kind,
        text,
        left_out_path: false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends at its first surprise")]

    use super::*;

    #[test]
    fn values_are_told_apart() {
        let of =
            |text: &str| of_value(text).map(|found| (found.kind, found.text, found.left_out_path));
        let is = |kind, text: &str, path| Ok((kind, text.to_owned(), path));
        assert_eq!(
            of("a.vendor.example"),
            is(PatternKind::Name, "a.vendor.example", false)
        );
        assert_eq!(of("as41983"), is(PatternKind::Asn, "AS41983", false));
        assert_eq!(
            of("asset.example"),
            is(PatternKind::Name, "asset.example", false)
        );
        assert_eq!(
            of("203.0.113.7"),
            is(PatternKind::Network, "203.0.113.7/32", false)
        );
        assert_eq!(
            of("2001:db8::/32"),
            is(PatternKind::Network, "2001:db8::/32", false)
        );
        assert_eq!(
            of("https://user@u.vendor.example:8443/x?y"),
            is(PatternKind::Name, "u.vendor.example", true)
        );
        assert_eq!(
            of("http://[2001:db8::1]:80/"),
            is(PatternKind::Network, "2001:db8::1/128", false)
        );
        assert!(
            of("http:///x").is_err()
                && of("vendor.example/x").is_err()
                && of("http://[::1").is_err()
        );
    }
}
