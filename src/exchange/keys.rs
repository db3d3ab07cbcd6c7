//! Keys of Ed25519 in the files that OpenSSL writes too: PKCS #8 for the secret half, `SubjectPublicKeyInfo` for the public one ([RFC 8410]).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::rand::SecureRandom as _;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};

use super::bundle::hex;

/// What stands before the 32 bytes of a secret key ([RFC 8410 §7], version 1).
const SECRET_HEAD: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
/// What stands before the 32 bytes of a public key ([RFC 8410 §4]).
const PUBLIC_HEAD: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// A key that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Another file, or another kind of key.
    #[error("no {0} key of Ed25519 in PEM; avscope rules keygen makes a pair")]
    Form(&'static str),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

/// The half that signs.
pub struct SecretKey {
    seed: [u8; 32],
    pair: Ed25519KeyPair,
}

/// The half that verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl SecretKey {
    /// A new key.
    ///
    /// # Errors
    /// Where the system gives no random numbers.
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = [0; 32];
        ring::rand::SystemRandom::new()
            .fill(&mut seed)
            .map_err(|_| KeyError::Random)?;
        Self::of_seed(seed).ok_or(KeyError::Random)
    }

    fn of_seed(seed: [u8; 32]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).ok()?;
        Some(Self { seed, pair })
    }

    /// A key of the text of its file.
    ///
    /// # Errors
    /// Where the text is none.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let wrong = KeyError::Form("secret");
        let der = of_pem(text, "PRIVATE KEY").ok_or(wrong)?;
        let seed = der
            .strip_prefix(&SECRET_HEAD)
            .and_then(|seed| seed.try_into().ok());
        seed.and_then(Self::of_seed).ok_or(wrong)
    }

    /// The text of its file.
    pub fn to_pem(&self) -> String {
        pem("PRIVATE KEY", &[&SECRET_HEAD[..], &self.seed].concat())
    }

    /// The other half.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey(bytes)
    }

    /// The signature of a message.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

impl PublicKey {
    /// A key of the text of its file.
    ///
    /// # Errors
    /// Where the text is none.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let wrong = KeyError::Form("public");
        let der = of_pem(text, "PUBLIC KEY").ok_or(wrong)?;
        let bytes = der
            .strip_prefix(&PUBLIC_HEAD)
            .and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(wrong)
    }

    /// The text of its file.
    pub fn to_pem(&self) -> String {
        pem("PUBLIC KEY", &[&PUBLIC_HEAD[..], &self.0].concat())
    }

    /// A short name for the key: the beginning of its SHA-256.
    pub fn id(&self) -> String {
        hex(&Sha256::digest(self.0)).chars().take(16).collect()
    }

    /// Whether the signature of the message is by the other half.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0)
            .verify(message, signature)
            .is_ok()
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    // Both kinds of key fit on the 64 characters of one line (RFC 7468 §2).
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        BASE64.encode(der)
    )
}

fn of_pem(text: &str, label: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    let body: String = body.split_whitespace().collect();
    BASE64.decode(body).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends at its first surprise")]

    use super::*;

    /// The key and the signature of RFC 8032, section 7.1, test 3.
    #[test]
    fn the_vector_of_the_standard_is_signed_and_verified() {
        let bytes = |text: &str| -> Vec<u8> {
            (0..text.len() / 2)
                .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
                .collect()
        };
        let seed = bytes("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7");
        let key = SecretKey::of_seed(seed.try_into().unwrap()).unwrap();
        let public = key.public();
        assert_eq!(
            hex(&public.0),
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
        );
        let signature = bytes(
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        );
        assert_eq!(key.sign(&[0xaf, 0x82]), signature);
        assert!(
            public.verifies(&[0xaf, 0x82], &signature)
                && !public.verifies(&[0xaf, 0x83], &signature)
        );
    }

    #[test]
    fn keys_survive_their_files_and_are_not_taken_for_each_other() {
        let key = SecretKey::generate().unwrap();
        let again = SecretKey::from_pem(&key.to_pem()).unwrap();
        assert_eq!(again.public(), key.public());
        assert_eq!(
            PublicKey::from_pem(&key.public().to_pem()).unwrap(),
            key.public()
        );
        assert!(PublicKey::from_pem(&key.to_pem()).is_err());
        assert!(SecretKey::from_pem(&key.public().to_pem()).is_err());
        assert!(PublicKey::from_pem("").is_err());
    }
}
