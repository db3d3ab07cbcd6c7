//! A style and a server name → the bytes of a `ClientHello` or `ServerHello` record (RFC 8446 §4.1).

use super::random::Random;

/// Which family of client a hello imitates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// TLS 1.2 only, as older agents send.
    Tls12,
    /// TLS 1.3 in a fixed order of extensions, as OpenSSL sends.
    Tls13,
    /// TLS 1.3 with GREASE (RFC 8701), permuted extensions and padding, as browsers send.
    Browser,
    /// As [`Style::Browser`], with an X25519MLKEM768 key share: about 1.7 kB.
    PostQuantum,
}

impl Style {
    /// Whether the hello offers TLS 1.3.
    pub fn offers_13(self) -> bool {
        self != Self::Tls12
    }
}

const X25519: u16 = 0x001d;
const X25519_MLKEM768: u16 = 0x11ec;
/// An ML-KEM-768 encapsulation key of 1,184 bytes, then an X25519 key of 32.
const X25519_MLKEM768_SHARE: usize = 1216;
/// Browsers pad hellos between 256 and 511 bytes to this length, for the sake of old middleboxes
/// (RFC 7685 §1).
const PADDED_HANDSHAKE: usize = 512;

const CIPHERS_13: [u16; 3] = [0x1301, 0x1302, 0x1303];
const CIPHERS_12: [u16; 10] = [
    0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d,
];
const SIGNATURES: [u16; 8] = [
    0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601,
];

fn put(bytes: &mut Vec<u8>, value: u16) {
    bytes.extend_from_slice(&value.to_be_bytes());
}

/// A GREASE code point: both bytes the same, low nibble `a`.
fn grease(random: &mut Random) -> u16 {
    let nibble = (random.below(16) as u16) << 4 | 0x0a;
    nibble << 8 | nibble
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len() + 4);
    put(&mut bytes, kind);
    put(&mut bytes, body.len() as u16);
    bytes.extend_from_slice(body);
    bytes
}

/// A list of 16-bit values behind its length in bytes.
fn listed(values: &[u16]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(values.len() * 2 + 2);
    put(&mut bytes, values.len() as u16 * 2);
    for value in values {
        put(&mut bytes, *value);
    }
    bytes
}

fn server_name(name: &str) -> Vec<u8> {
    let mut body = Vec::with_capacity(name.len() + 5);
    put(&mut body, name.len() as u16 + 3);
    body.push(0);
    put(&mut body, name.len() as u16);
    body.extend_from_slice(name.as_bytes());
    extension(0, &body)
}

fn protocols(random: &mut Random) -> Vec<u8> {
    let list: &[u8] = if random.one_in(4) {
        b"\x08http/1.1"
    } else {
        b"\x02h2\x08http/1.1"
    };
    let mut body = Vec::with_capacity(list.len() + 2);
    put(&mut body, list.len() as u16);
    body.extend_from_slice(list);
    extension(16, &body)
}

fn key_share(style: Style, grease_group: u16, random: &mut Random) -> Vec<u8> {
    let mut shares = Vec::with_capacity(X25519_MLKEM768_SHARE + 64);
    if matches!(style, Style::Browser | Style::PostQuantum) {
        put(&mut shares, grease_group);
        put(&mut shares, 1);
        shares.push(0);
    }
    if style == Style::PostQuantum {
        put(&mut shares, X25519_MLKEM768);
        put(&mut shares, X25519_MLKEM768_SHARE as u16);
        random.append(&mut shares, X25519_MLKEM768_SHARE);
    }
    put(&mut shares, X25519);
    put(&mut shares, 32);
    random.append(&mut shares, 32);
    let mut body = Vec::with_capacity(shares.len() + 2);
    put(&mut body, shares.len() as u16);
    body.extend_from_slice(&shares);
    extension(51, &body)
}

fn supported_versions(style: Style, random: &mut Random) -> Vec<u8> {
    let mut versions = vec![0x0304, 0x0303];
    if style != Style::Tls13 {
        versions.insert(0, grease(random));
    }
    let mut body = vec![versions.len() as u8 * 2];
    for version in versions {
        put(&mut body, version);
    }
    extension(43, &body)
}

fn extensions(style: Style, name: Option<&str>, random: &mut Random) -> Vec<Vec<u8>> {
    let browser = matches!(style, Style::Browser | Style::PostQuantum);
    let grease_group = grease(random);
    let mut groups = Vec::with_capacity(6);
    if browser {
        groups.push(grease_group);
    }
    if style == Style::PostQuantum {
        groups.push(X25519_MLKEM768);
    }
    groups.extend_from_slice(&[X25519, 0x0017, 0x0018]);

    let mut all = Vec::with_capacity(18);
    if let Some(name) = name {
        all.push(server_name(name));
    }
    all.push(extension(23, &[]));
    all.push(extension(0xff01, &[0]));
    all.push(extension(10, &listed(&groups)));
    all.push(extension(11, &[1, 0]));
    all.push(extension(35, &[]));
    all.push(protocols(random));
    if random.one_in(2) {
        all.push(extension(5, &[1, 0, 0, 0, 0]));
    }
    all.push(extension(13, &listed(&SIGNATURES)));
    if style.offers_13() {
        all.push(extension(45, &[1, 1]));
        all.push(supported_versions(style, random));
        all.push(key_share(style, grease_group, random));
    }
    if browser {
        all.push(extension(18, &[]));
        all.push(extension(27, &[2, 0, 2]));
        random.shuffle(&mut all);
        let first = grease(random);
        all.insert(0, extension(first, &[]));
        // The two GREASE extensions of one hello must differ, or the hello would repeat an extension.
        all.push(extension(first ^ 0x1010, &[0]));
    } else if random.one_in(2) {
        // Not every client puts the server name first.
        all.rotate_left(1);
    }
    all
}

/// A TLS record of handshake type with one message of `kind`.
fn record(version: u16, kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len() + 9);
    bytes.push(22);
    put(&mut bytes, version);
    put(&mut bytes, body.len() as u16 + 4);
    bytes.push(kind);
    bytes.extend_from_slice(&(body.len() as u32).to_be_bytes()[1..]);
    bytes.extend_from_slice(body);
    bytes
}

/// The bytes of a hello, and what its answer must repeat.
pub struct ClientHello {
    /// The whole TLS record.
    pub record: Vec<u8>,
    session_id: Vec<u8>,
    style: Style,
}

/// A `ClientHello` of `style`, with `name` as server name or with none.
pub fn client_hello(style: Style, name: Option<&str>, random: &mut Random) -> ClientHello {
    let mut body = Vec::with_capacity(2048);
    put(&mut body, 0x0303);
    random.append(&mut body, 32);
    let mut session_id = Vec::new();
    if style.offers_13() || random.one_in(2) {
        random.append(&mut session_id, 32);
    }
    body.push(session_id.len() as u8);
    body.extend_from_slice(&session_id);

    let mut ciphers = Vec::with_capacity(16);
    if matches!(style, Style::Browser | Style::PostQuantum) {
        ciphers.push(grease(random));
    }
    if style.offers_13() {
        ciphers.extend_from_slice(&CIPHERS_13);
    }
    let kept = random.between(6, CIPHERS_12.len() as u64) as usize;
    ciphers.extend_from_slice(&CIPHERS_12[..kept]);
    body.extend_from_slice(&listed(&ciphers));
    body.extend_from_slice(&[1, 0]);

    let all = extensions(style, name, random);
    let mut extension_bytes: Vec<u8> = all.concat();
    let handshake = 4 + body.len() + 2 + extension_bytes.len();
    if style == Style::Browser && handshake + 4 < PADDED_HANDSHAKE {
        let zeros = vec![0; PADDED_HANDSHAKE - handshake - 4];
        extension_bytes.extend_from_slice(&extension(21, &zeros));
    }
    put(&mut body, extension_bytes.len() as u16);
    body.extend_from_slice(&extension_bytes);
    ClientHello {
        record: record(0x0301, 1, &body),
        session_id,
        style,
    }
}

/// The `ServerHello` record that accepts `hello`.
fn server_hello(hello: &ClientHello, random: &mut Random) -> Vec<u8> {
    let mut body = Vec::with_capacity(160);
    put(&mut body, 0x0303);
    random.append(&mut body, 32);
    body.push(hello.session_id.len() as u8);
    body.extend_from_slice(&hello.session_id);
    let mut extension_bytes = Vec::new();
    if hello.style.offers_13() {
        put(&mut body, *random.pick(&CIPHERS_13));
        extension_bytes.extend_from_slice(&extension(43, &[3, 4]));
        let mut share = Vec::with_capacity(36);
        put(&mut share, X25519);
        put(&mut share, 32);
        random.append(&mut share, 32);
        extension_bytes.extend_from_slice(&extension(51, &share));
    } else {
        put(&mut body, CIPHERS_12[random.below(6) as usize]);
        extension_bytes.extend_from_slice(&extension(0xff01, &[0]));
        extension_bytes.extend_from_slice(&extension(23, &[]));
    }
    body.push(0);
    put(&mut body, extension_bytes.len() as u16);
    body.extend_from_slice(&extension_bytes);
    record(0x0303, 2, &body)
}

/// The first flight of a server: its hello, its change of cipher and, from there on unreadable, what
/// ends its handshake (RFC 5246 §7.3 for a resumed session, RFC 8446 §2 and D.4).
pub fn server_flight(hello: &ClientHello, random: &mut Random) -> Vec<u8> {
    let mut bytes = server_hello(hello, random);
    bytes.extend_from_slice(&[20, 3, 3, 0, 1, 1]);
    let (kind, length) = if hello.style.offers_13() {
        (23, random.between(200, 360) as u16)
    } else {
        (22, 40)
    };
    bytes.extend_from_slice(&[kind, 3, 3]);
    put(&mut bytes, length);
    random.append(&mut bytes, usize::from(length));
    bytes
}
