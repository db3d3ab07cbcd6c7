//! The parameters of an SVCB or HTTPS record → what of them says something about names and addresses (RFC 9460 §2.2, §14.3.2).

use super::DnsError;
use crate::wire::Reader;

/// A parameter of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parameter<'a> {
    /// `alpn`: protocols, each behind a byte of its length (RFC 9460 §7.1.1).
    Alpn(&'a [u8]),
    /// `ipv4hint`: addresses of four bytes (RFC 9460 §7.3).
    Ipv4Hint(&'a [u8]),
    /// `ipv6hint`: addresses of sixteen bytes.
    Ipv6Hint(&'a [u8]),
    /// `ech`: a configuration for Encrypted ClientHello (RFC 9848 §2).
    Ech,
}

/// Gives each parameter that is read to `each`, in order. Those before the end of bytes that end early are given as well.
pub(super) fn parameters<'a>(
    bytes: &'a [u8],
    mut each: impl FnMut(Parameter<'a>),
) -> Result<(), DnsError> {
    let mut reader = Reader::new(bytes);
    while !reader.is_empty() {
        let (key, len) = (reader.u16()?, reader.u16()?);
        let value = reader.take(usize::from(len))?;
        match key {
            1 => each(Parameter::Alpn(value)),
            4 => each(Parameter::Ipv4Hint(value)),
            5 => each(Parameter::Ech),
            6 => each(Parameter::Ipv6Hint(value)),
            _ => {}
        }
    }
    Ok(())
}

/// The protocols of an `alpn` parameter, up to the first that ends early.
pub(super) fn protocols(mut value: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (len, rest) = value.split_first()?;
        let (protocol, rest) = rest.split_at_checked(usize::from(*len))?;
        value = rest;
        Some(protocol)
    })
}
