//! Numbers of TLS versions → their words.

/// A version as Suricata writes it; `None` for numbers that are none.
pub const fn tls_version_word(version: u16) -> Option<&'static str> {
    Some(match version {
        0x0002 => "SSLv2",
        0x0300 => "SSLv3",
        0x0301 => "TLSv1",
        0x0302 => "TLS 1.1",
        0x0303 => "TLS 1.2",
        // Drafts and the experiments of browsers are what they became.
        0x0304 | 0x7f00..=0x7fff | 0xfb17 | 0xfb1a => "TLS 1.3",
        0xfeff | 0x0100 => "DTLS 1.0",
        0xfefd => "DTLS 1.2",
        0xfefc => "DTLS 1.3",
        _ => return None,
    })
}
