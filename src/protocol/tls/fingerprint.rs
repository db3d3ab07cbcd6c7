//! What a ClientHello offers → its fingerprints JA3 and JA4.
//!
//! JA3 is the MD5 of five lists as they stand (salesforce/ja3, BSD-3-Clause). JA4 sorts two of them and tells some of it in clear
//! (FoxIO-LLC/ja4, technical_details/JA4.md; this part of the suite is BSD-3-Clause). Neither counts values of GREASE. Both say
//! which program said hello, at best: many programs share one library.

use std::fmt::Write as _;

use md5::Md5;
use sha2::{Digest, Sha256};

use super::client_hello::{HelloTransport, SERVER_NAME};
use super::details::{HelloDetails, is_grease};

const ALPN: u16 = 16;
/// Characters of a hash that JA4 keeps.
const HASH_LEN: usize = 12;

/// The string of JA3 and its MD5 in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ja3<'a> {
    /// `version,ciphers,extensions,groups,point formats`, each list in decimal with dashes.
    pub string: &'a str,
    /// 32 hexadecimal digits.
    pub hash: &'a str,
}

/// A fingerprint like `t13d1516h2_8daaf6152771_e5627efa2ab1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ja4<'a> {
    /// The fingerprint.
    pub text: &'a str,
}

/// Computes fingerprints. Reused from hello to hello: the memory is kept, and bounded by the longest hello that is read.
#[derive(Debug, Default)]
pub struct Fingerprinter {
    numbers: Vec<u16>,
    list: String,
    ja3: String,
    ja3_hash: String,
    ja4: String,
}

impl Fingerprinter {
    /// JA3 of a hello.
    pub fn ja3(&mut self, hello: &HelloDetails<'_>) -> Ja3<'_> {
        let text = &mut self.ja3;
        text.clear();
        // Writing to a string cannot fail.
        let _ = write!(text, "{}", hello.legacy_version);
        decimal(text, hello.cipher_suites.real());
        decimal(text, hello.extensions().filter(|it| !is_grease(*it)));
        decimal(text, hello.groups.real());
        decimal(text, hello.point_formats.iter().map(|it| u16::from(*it)));
        self.ja3_hash.clear();
        hexadecimal(&mut self.ja3_hash, &Md5::digest(self.ja3.as_bytes()));
        Ja3 {
            string: &self.ja3,
            hash: &self.ja3_hash,
        }
    }

    /// JA4 of a hello; what it travelled in is the first letter.
    pub fn ja4(&mut self, hello: &HelloDetails<'_>) -> Ja4<'_> {
        self.ja4.clear();
        self.numbers.clear();
        self.numbers.extend(hello.cipher_suites.real());
        let ciphers = self.numbers.len().min(99);
        let kinds = || hello.extensions().filter(|kind| !is_grease(*kind));
        let extensions = kinds().count().min(99);
        let _ = write!(
            self.ja4,
            "{}{}{}{ciphers:02}{extensions:02}",
            match hello.hello.transport {
                HelloTransport::Tcp => 't',
                HelloTransport::Quic => 'q',
                HelloTransport::Dtls => 'd',
            },
            version(hello),
            if kinds().any(|kind| kind == SERVER_NAME) {
                'd'
            } else {
                'i'
            },
        );
        self.ja4.extend(alpn(hello));
        self.ja4.push('_');
        self.sorted();
        self.hash();
        self.ja4.push('_');
        self.numbers.clear();
        self.numbers
            .extend(kinds().filter(|kind| !matches!(*kind, SERVER_NAME | ALPN)));
        self.sorted();
        let mut between = '_';
        for algorithm in hello.signature_algorithms.real() {
            let _ = write!(self.list, "{between}{algorithm:04x}");
            between = ',';
        }
        self.hash();
        Ja4 { text: &self.ja4 }
    }

    /// Brings the numbers into order, and their list in hexadecimal into place.
    fn sorted(&mut self) {
        self.numbers.sort_unstable();
        self.list.clear();
        for (position, number) in self.numbers.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            let _ = write!(self.list, "{comma}{number:04x}");
        }
    }

    /// The beginning of the list's SHA-256; zeros for an empty list.
    fn hash(&mut self) {
        if self.list.is_empty() {
            self.ja4.push_str("000000000000");
            return;
        }
        let digest = Sha256::digest(self.list.as_bytes());
        hexadecimal(
            &mut self.ja4,
            digest.get(..HASH_LEN / 2).unwrap_or_default(),
        );
    }
}

/// A comma, and the numbers with dashes between.
fn decimal(text: &mut String, numbers: impl Iterator<Item = u16>) {
    text.push(',');
    for (position, number) in numbers.enumerate() {
        let dash = if position == 0 { "" } else { "-" };
        let _ = write!(text, "{dash}{number}");
    }
}

fn hexadecimal(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
}

/// The highest version that is offered, in two characters.
fn version(hello: &HelloDetails<'_>) -> &'static str {
    // DTLS counts downwards.
    let best = if hello.hello.transport == HelloTransport::Dtls {
        hello.versions().min()
    } else {
        hello.versions().max()
    };
    match best {
        Some(0x0304) => "13",
        Some(0x0303) => "12",
        Some(0x0302) => "11",
        Some(0x0301) => "10",
        Some(0x0300) => "s3",
        Some(0x0002) => "s2",
        Some(0xfeff) => "d1",
        Some(0xfefd) => "d2",
        Some(0xfefc) => "d3",
        _ => "00",
    }
}

/// The first and the last character of the first protocol offered; of its hexadecimal form, where they are no letters or digits.
fn alpn(hello: &HelloDetails<'_>) -> [char; 2] {
    let name = hello.alpn.iter().next().unwrap_or_default();
    let (Some(&first), Some(&last)) = (name.first(), name.last()) else {
        return ['0', '0'];
    };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [char::from(first), char::from(last)];
    }
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    [digit(first >> 4), digit(last & 0x0f)]
}
