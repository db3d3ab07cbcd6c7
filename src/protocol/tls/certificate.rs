//! A certificate in DER → whom it is for, by whom and from when to when, without copying (RFC 5280 §4.1).
//!
//! Only what is asked for is walked to; nothing is verified. The walk is bounded by the bytes, and by the counts below.

use std::fmt::Write as _;

use crate::wire::{Reader, Truncated};

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const BMP_STRING: u8 = 0x1e;
/// `[0] EXPLICIT`: the version.
const VERSION: u8 = 0xa0;
/// `[3] EXPLICIT`: the extensions.
const EXTENSIONS: u8 = 0xa3;
/// `dNSName` among the alternatives of a GeneralName (RFC 5280 §4.2.1.6).
const DNS_NAME: u8 = 0x82;

/// 2.5.29.17
const SUBJECT_ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// 2.5.4.3
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// 2.5.4.10
const ORGANISATION: &[u8] = &[0x55, 0x04, 0x0a];

/// Names that are read of one certificate; the largest shared ones have some hundreds.
pub const NAMES_MAX: usize = 512;
/// The longest name that is taken, as in a ClientHello.
const NAME_BYTES_MAX: usize = 255;
/// Attributes of a distinguished name that are read; six are usual.
const ATTRIBUTES_MAX: usize = 32;
/// The longest value of an attribute that is written.
const VALUE_BYTES_MAX: usize = 256;

/// A certificate, its parts as they stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificate<'a> {
    /// Whom it is for.
    pub subject: DistinguishedName<'a>,
    /// Who signed it.
    pub issuer: DistinguishedName<'a>,
    /// From when it holds.
    pub not_before: Option<CertificateTime>,
    /// Until when.
    pub not_after: Option<CertificateTime>,
    alternative_names: &'a [u8],
}

/// A distinguished name (RFC 5280 §4.1.2.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DistinguishedName<'a>(&'a [u8]);

/// A time as a certificate says it, in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CertificateTime {
    /// Year with its century.
    pub year: u16,
    /// Month, day, hour, minute and second.
    pub rest: [u8; 5],
}

impl<'a> Certificate<'a> {
    /// Reads a certificate. Damage behind the subject costs the names there, not those before.
    pub fn parse(der: &'a [u8]) -> Result<Self, Truncated> {
        let mut whole = Reader::new(der);
        let mut certificate = Reader::new(expect(&mut whole, SEQUENCE)?);
        let mut signed = Reader::new(expect(&mut certificate, SEQUENCE)?);
        let (mut tag, _) = element(&mut signed)?;
        if tag == VERSION {
            tag = element(&mut signed)?.0;
        }
        if tag != INTEGER {
            return Err(Truncated);
        }
        // The algorithm of the signature.
        expect(&mut signed, SEQUENCE)?;
        let issuer = DistinguishedName(expect(&mut signed, SEQUENCE)?);
        let mut validity = Reader::new(expect(&mut signed, SEQUENCE)?);
        let (not_before, not_after) = (time(&mut validity), time(&mut validity));
        let subject = DistinguishedName(expect(&mut signed, SEQUENCE)?);
        Ok(Self {
            subject,
            issuer,
            not_before,
            not_after,
            alternative_names: alternative_names(signed).unwrap_or_default(),
        })
    }

    /// Host names among the alternative names, in their order, at most [`NAMES_MAX`].
    pub fn alternative_names(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = Reader::new(self.alternative_names);
        std::iter::from_fn(move || element(&mut rest).ok())
            .filter(|(tag, name)| *tag == DNS_NAME && is_text(name))
            .map(|(_, name)| name)
            .take(NAMES_MAX)
    }

    /// The names that can be of hosts.
    pub fn host_names(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.names().filter(|name| is_name(name))
    }

    /// The common name of the subject and the alternative names. One that stands in both places is given once.
    pub fn names(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let names = *self;
        let common = self.subject.common_name().filter(|name| is_text(name));
        let alone = common.filter(|common| names.alternative_names().all(|name| name != *common));
        alone.into_iter().chain(names.alternative_names())
    }
}

impl<'a> DistinguishedName<'a> {
    /// The common name; the most specific is the last.
    pub fn common_name(self) -> Option<&'a [u8]> {
        self.last(COMMON_NAME)
    }

    /// The organisation.
    pub fn organisation(self) -> Option<&'a [u8]> {
        self.last(ORGANISATION)
    }

    /// Writes all of it like `C=CH, O=Example, CN=example.org`, in the order of the certificate.
    pub fn write(self, text: &mut String) {
        let mut between = "";
        for (kind, tag, value) in self.attributes() {
            text.push_str(between);
            between = ", ";
            match attribute(kind) {
                Some(word) => text.push_str(word),
                None => dotted(text, kind),
            }
            text.push('=');
            write_value(text, tag, value);
        }
    }

    fn last(self, wanted: &[u8]) -> Option<&'a [u8]> {
        self.attributes()
            .filter(|(kind, _, value)| *kind == wanted && !value.is_empty())
            .last()
            .map(|(_, _, value)| value)
    }

    /// Object identifier, tag and value of each attribute, up to damage.
    fn attributes(self) -> impl Iterator<Item = (&'a [u8], u8, &'a [u8])> {
        let mut sets = Reader::new(self.0);
        let mut set = Reader::new(&[]);
        std::iter::from_fn(move || {
            if set.is_empty() {
                set = Reader::new(expect(&mut sets, SET).ok()?);
            }
            let mut pair = Reader::new(expect(&mut set, SEQUENCE).ok()?);
            let kind = expect(&mut pair, OBJECT_IDENTIFIER).ok()?;
            let (tag, value) = element(&mut pair).ok()?;
            Some((kind, tag, value))
        })
        .take(ATTRIBUTES_MAX)
    }
}

impl CertificateTime {
    /// Whether nothing is known.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl std::fmt::Display for CertificateTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [month, day, hour, minute, second] = self.rest;
        write!(
            f,
            "{:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}",
            self.year
        )
    }
}

/// The value of the extension with alternative names; its list of names.
fn alternative_names(mut signed: Reader<'_>) -> Result<&[u8], Truncated> {
    loop {
        let (tag, value) = element(&mut signed)?;
        if tag != EXTENSIONS {
            continue;
        }
        let mut value = Reader::new(value);
        let mut all = Reader::new(expect(&mut value, SEQUENCE)?);
        loop {
            let mut extension = Reader::new(expect(&mut all, SEQUENCE)?);
            let kind = expect(&mut extension, OBJECT_IDENTIFIER)?;
            let (mut tag, mut content) = element(&mut extension)?;
            if tag == BOOLEAN {
                (tag, content) = element(&mut extension)?;
            }
            if kind == SUBJECT_ALTERNATIVE_NAME && tag == OCTET_STRING {
                let mut content = Reader::new(content);
                let (tag, mut names) = element_lax(&mut content)?;
                if tag != SEQUENCE {
                    names = &[];
                }
                return Ok(names);
            }
        }
    }
}

/// Tag and content of the next element (X.690 §8.1). Long tags and indefinite lengths do not occur in certificates.
fn element<'a>(from: &mut Reader<'a>) -> Result<(u8, &'a [u8]), Truncated> {
    let (tag, len) = head(from)?;
    Ok((tag, from.take(len)?))
}

/// The same, and what there is of it where the bytes end before it does.
fn element_lax<'a>(from: &mut Reader<'a>) -> Result<(u8, &'a [u8]), Truncated> {
    let (tag, len) = head(from)?;
    let len = len.min(from.rest().len());
    Ok((tag, from.take(len)?))
}

fn head(from: &mut Reader<'_>) -> Result<(u8, usize), Truncated> {
    let tag = from.u8()?;
    if tag & 0x1f == 0x1f {
        return Err(Truncated);
    }
    let len = match from.u8()? {
        short @ 0..=0x7f => usize::from(short),
        0x81 => usize::from(from.u8()?),
        0x82 => usize::from(from.u16()?),
        0x83 => from.u24()? as usize,
        0x84 => from.u32()? as usize,
        _ => return Err(Truncated),
    };
    Ok((tag, len))
}

fn expect<'a>(from: &mut Reader<'a>, wanted: u8) -> Result<&'a [u8], Truncated> {
    match element(from)? {
        (tag, content) if tag == wanted => Ok(content),
        _ => Err(Truncated),
    }
}

/// `YYMMDDHHMMSSZ`, or with four digits of the year (RFC 5280 §4.1.2.5).
fn time(from: &mut Reader<'_>) -> Option<CertificateTime> {
    let (tag, text) = element(from).ok()?;
    let (pairs, _) = text.as_chunks::<2>();
    let mut pairs = pairs.iter().map(|[tens, ones]| {
        let digit = |byte: u8| char::from(byte).to_digit(10);
        let value = digit(*tens)?
            .saturating_mul(10)
            .saturating_add(digit(*ones)?);
        Some(value as u8)
    });
    let mut next = || pairs.next().flatten();
    let year = match tag {
        GENERALIZED_TIME => {
            let century = u16::from(next()?);
            century
                .saturating_mul(100)
                .saturating_add(u16::from(next()?))
        }
        UTC_TIME => match u16::from(next()?) {
            late @ 0..=49 => late.saturating_add(2000),
            early => early.saturating_add(1900),
        },
        _ => return None,
    };
    let (month, day) = (next()?, next()?);
    let (hour, minute) = (next()?, next()?);
    // Old encodings leave the seconds out.
    let second = next().unwrap_or(0);
    Some(CertificateTime {
        year,
        rest: [month, day, hour, minute, second],
    })
}

/// Whether there is text of a length that is believed.
fn is_text(text: &[u8]) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len())
}

/// Whether text can be the name of a host, or a wildcard for one: something with a dot, without space.
fn is_name(text: &[u8]) -> bool {
    !crate::protocol::host::is_address(text)
        && text
            .iter()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'@' | b':'))
}

/// Usual abbreviations (RFC 4514 §3), and what OpenSSL writes for mail addresses.
fn attribute(kind: &[u8]) -> Option<&'static str> {
    Some(match kind {
        [0x55, 0x04, 0x03] => "CN",
        [0x55, 0x04, 0x04] => "SN",
        [0x55, 0x04, 0x05] => "serialNumber",
        [0x55, 0x04, 0x06] => "C",
        [0x55, 0x04, 0x07] => "L",
        [0x55, 0x04, 0x08] => "ST",
        [0x55, 0x04, 0x09] => "street",
        [0x55, 0x04, 0x0a] => "O",
        [0x55, 0x04, 0x0b] => "OU",
        [0x55, 0x04, 0x0c] => "title",
        [0x55, 0x04, 0x2a] => "GN",
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01] => "emailAddress",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19] => "DC",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01] => "UID",
        _ => return None,
    })
}

/// An object identifier in dots (X.690 §8.19).
fn dotted(text: &mut String, kind: &[u8]) {
    let (mut value, mut first) = (0u64, true);
    for byte in kind.iter().take(64) {
        value = value.wrapping_shl(7) | u64::from(byte & 0x7f);
        if byte & 0x80 != 0 {
            continue;
        }
        // Writing to a string cannot fail.
        let _ = if first {
            let root = (value / 40).min(2);
            write!(
                text,
                "{root}.{}",
                value.saturating_sub(root.saturating_mul(40))
            )
        } else {
            write!(text, ".{value}")
        };
        (value, first) = (0, false);
    }
}

fn write_value(text: &mut String, tag: u8, value: &[u8]) {
    let value = value.get(..VALUE_BYTES_MAX).unwrap_or(value);
    if tag == BMP_STRING {
        let (pairs, _) = value.as_chunks::<2>();
        let units = pairs.iter().map(|pair| u16::from_be_bytes(*pair));
        text.extend(
            char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)),
        );
    } else if let Ok(known) = std::str::from_utf8(value) {
        text.push_str(known);
    } else {
        text.extend(value.iter().map(|byte| char::from(*byte)));
    }
}
