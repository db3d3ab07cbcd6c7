//! Number of a cipher suite → how its records are opened: those with authenticated encryption that `ring` has.
//!
//! Suites with CBC, RC4, CCM, ARIA, Camellia, or no encryption are not read.

use ring::aead::{AES_128_GCM, AES_256_GCM, Algorithm, CHACHA20_POLY1305};
use ring::{hkdf, hmac};

/// What encrypts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cipher {
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
}

impl Cipher {
    pub(super) fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::Aes128Gcm => &AES_128_GCM,
            Self::Aes256Gcm => &AES_256_GCM,
            Self::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        }
    }
}

/// What keys are derived by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha384,
}

impl Hash {
    pub(super) fn hkdf(self) -> hkdf::Algorithm {
        match self {
            Self::Sha256 => hkdf::HKDF_SHA256,
            Self::Sha384 => hkdf::HKDF_SHA384,
        }
    }

    pub(super) fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha384 => hmac::HMAC_SHA384,
        }
    }

    pub(super) const fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }
}

/// A suite that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suite {
    pub(super) cipher: Cipher,
    pub(super) hash: Hash,
}

const AES_128: Suite = Suite {
    cipher: Cipher::Aes128Gcm,
    hash: Hash::Sha256,
};
const AES_256: Suite = Suite {
    cipher: Cipher::Aes256Gcm,
    hash: Hash::Sha384,
};
const CHACHA: Suite = Suite {
    cipher: Cipher::ChaCha20Poly1305,
    hash: Hash::Sha256,
};

/// A suite of TLS 1.3 (RFC 8446 §B.4); `None` for those that are not read.
pub(super) const fn of_13(number: u16) -> Option<Suite> {
    match number {
        0x1301 => Some(AES_128),
        0x1302 => Some(AES_256),
        0x1303 => Some(CHACHA),
        _ => None,
    }
}

/// The suites of TLS 1.3 whose secrets are as long.
pub(super) const fn of_13_by_len(secret: usize) -> &'static [Suite] {
    match secret {
        32 => &[AES_128, CHACHA],
        48 => &[AES_256],
        _ => &[],
    }
}

/// A suite of TLS 1.2 (RFC 5288, 5289, 5487, 7905, 8442); `None` for those that are not read.
pub(super) const fn of_12(number: u16) -> Option<Suite> {
    match number {
        0x009c | 0x009e | 0x00a0 | 0x00a2 | 0x00a4 | 0x00a6 | 0x00a8 | 0x00aa | 0x00ac | 0xc02b
        | 0xc02d | 0xc02f | 0xc031 | 0xd001 => Some(AES_128),
        0x009d | 0x009f | 0x00a1 | 0x00a3 | 0x00a5 | 0x00a7 | 0x00a9 | 0x00ab | 0x00ad | 0xc02c
        | 0xc02e | 0xc030 | 0xc032 | 0xd002 => Some(AES_256),
        0xcca8..=0xccae => Some(CHACHA),
        _ => None,
    }
}
