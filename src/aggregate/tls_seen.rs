//! What the two sides of TLS offered and chose, as events carry it.

use super::{ListRef, TextRef};

/// What a message of TLS said beside the facts in it.
#[derive(Clone, Copy, Debug)]
pub enum TlsSeen {
    /// A client's hello.
    Hello(HelloSeen),
    /// A server's certificate.
    Certificate(CertificateSeen),
}

/// What a ClientHello offered.
#[derive(Clone, Copy, Debug, Default)]
pub struct HelloSeen {
    /// The string of JA3.
    pub ja3: TextRef,
    /// Its MD5 in hexadecimal.
    pub ja3_hash: TextRef,
    /// JA4.
    pub ja4: TextRef,
    /// Protocols offered to be spoken inside, in the run's list of texts.
    pub alpns: ListRef,
    /// Versions offered, two bytes each.
    pub versions: TextRef,
    /// Encrypted ClientHello was offered: really, or as GREASE, which looks the same.
    pub ech_offered: bool,
    /// The draft before it was.
    pub esni_offered: bool,
    /// A session would be resumed by its id, by a ticket, by a pre-shared key.
    pub resumption: [bool; 3],
}

/// What a certificate said, and the server beside it.
#[derive(Clone, Copy, Debug, Default)]
pub struct CertificateSeen {
    /// The subject, like `C=CH, O=Example, CN=example.org`.
    pub subject: TextRef,
    /// The issuer, the same way.
    pub issuer: TextRef,
    /// From when it holds; empty where that cannot be read.
    pub not_before: TextRef,
    /// Until when.
    pub not_after: TextRef,
    /// Alternative names, in the run's list of texts.
    pub alternative_names: ListRef,
    /// The protocol that the server chose to speak inside.
    pub alpn: TextRef,
    /// What else the server chose.
    pub server: ServerSeen,
}

/// What a server chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerSeen {
    /// The version; 0 where it was not seen.
    pub version: u16,
    /// It went on with a session of before.
    pub resumed: bool,
}
