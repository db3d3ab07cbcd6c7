//! Whether what stands where a host name belongs is an address.

use std::net::IpAddr;

/// Whether a host is an IPv4 or IPv6 address, in brackets or not.
#[inline]
pub(super) fn is_address(host: &[u8]) -> bool {
    // Only such can be an address; the check spares the usual name the parsing.
    let may_be_address = host
        .iter()
        .all(|byte| byte.is_ascii_digit() || *byte == b'.')
        || host.contains(&b':');
    may_be_address
        && std::str::from_utf8(host)
            .is_ok_and(|text| text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok())
}
