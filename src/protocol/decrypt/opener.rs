//! A secret → the keys of one direction; a protected record → what is in it, if its tag holds.

use ring::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{KeyType, Prk};
use ring::hmac;

use super::keylog::{RANDOM_BYTES, Secret};
use super::suite::{Cipher, Hash, Suite};

/// Length of an authentication tag.
const TAG_LEN: usize = 16;
/// Of a nonce of GCM in TLS 1.2, what stands in the record (RFC 5288 §3).
const EXPLICIT_LEN: usize = 8;
const APPLICATION_DATA: u8 = 23;

/// Opens the records of one direction, one after the other.
pub(super) struct Opener {
    key: LessSafeKey,
    iv: [u8; NONCE_LEN],
    /// How many records were opened.
    number: u64,
    form: Form,
}

/// How a record is protected.
#[derive(Clone, Copy)]
enum Form {
    /// TLS 1.2 with GCM: part of the nonce stands in the record.
    Explicit,
    /// TLS 1.2 with ChaCha20-Poly1305 (RFC 7905 §2).
    Counted,
    /// TLS 1.3 (RFC 8446 §5.2), and the secret that the next one is made of.
    Thirteen(Secret, Suite),
}

/// What a record holds.
pub(super) struct Opened<'a> {
    pub(super) kind: u8,
    pub(super) content: &'a [u8],
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opener").finish_non_exhaustive()
    }
}

impl Opener {
    /// Keys of TLS 1.3 (RFC 8446 §7.3); `None` never happens with a secret of the right length.
    pub(super) fn of_13(secret: Secret, suite: Suite) -> Option<Self> {
        if secret.as_bytes().len() != suite.hash.len() {
            return None;
        }
        let algorithm = suite.cipher.algorithm();
        let mut key = [0; 32];
        let key = key.get_mut(..algorithm.key_len())?;
        expand(&secret, suite.hash, b"key", key)?;
        let mut iv = [0; NONCE_LEN];
        expand(&secret, suite.hash, b"iv", &mut iv)?;
        Some(Self {
            key: LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?),
            iv,
            number: 0,
            form: Form::Thirteen(secret, suite),
        })
    }

    /// The client's keys of TLS 1.2 (RFC 5246 §6.3): they take both random numbers.
    pub(super) fn of_12(
        master: &Secret,
        suite: Suite,
        client_random: &[u8; RANDOM_BYTES],
        server_random: &[u8; RANDOM_BYTES],
    ) -> Option<Self> {
        let algorithm = suite.cipher.algorithm();
        let (form, fixed_len) = match suite.cipher {
            Cipher::Aes128Gcm | Cipher::Aes256Gcm => {
                (Form::Explicit, NONCE_LEN.checked_sub(EXPLICIT_LEN)?)
            }
            Cipher::ChaCha20Poly1305 => (Form::Counted, NONCE_LEN),
        };
        let key_len = algorithm.key_len();
        // Keys of both, then what is fixed of the nonces of both; suites like these have no keys for a MAC.
        let mut block = [0; 2 * (32 + NONCE_LEN)];
        let seed = [b"key expansion", &server_random[..], &client_random[..]];
        prf(master, suite.hash, &seed, &mut block);
        let key = block.get(..key_len)?;
        let fixed = block
            .get(key_len.checked_mul(2)?..)
            .and_then(|rest| rest.get(..fixed_len))?;
        let mut iv = [0; NONCE_LEN];
        iv.get_mut(..fixed_len)?.copy_from_slice(fixed);
        Some(Self {
            key: LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?),
            iv,
            number: 0,
            form,
        })
    }

    /// The keys that follow (RFC 8446 §7.2); `None` before TLS 1.3.
    pub(super) fn next(&self) -> Option<Self> {
        let Form::Thirteen(secret, suite) = self.form else {
            return None;
        };
        let mut bytes = [0; 48];
        let bytes = bytes.get_mut(..suite.hash.len())?;
        expand(&secret, suite.hash, b"traffic upd", bytes)?;
        Self::of_13(Secret::of(bytes)?, suite)
    }

    /// The suite of TLS 1.3.
    pub(super) const fn suite(&self) -> Option<Suite> {
        match self.form {
            Form::Thirteen(_, suite) => Some(suite),
            Form::Explicit | Form::Counted => None,
        }
    }

    /// Opens the next record, in place: `None` if its tag does not hold, and then the fragment is spoilt.
    pub(super) fn open<'a>(
        &mut self,
        header: [u8; 5],
        fragment: &'a mut [u8],
    ) -> Option<Opened<'a>> {
        let [kind, major, minor, ..] = header;
        let mut nonce = self.iv;
        let number = self.number.to_be_bytes();
        let sealed = match self.form {
            Form::Explicit => {
                let (explicit, sealed) = fragment.split_at_mut_checked(EXPLICIT_LEN)?;
                nonce
                    .last_chunk_mut::<EXPLICIT_LEN>()?
                    .copy_from_slice(explicit);
                sealed
            }
            Form::Counted | Form::Thirteen(..) => {
                for (byte, part) in nonce.iter_mut().rev().zip(number.iter().rev()) {
                    *byte ^= part;
                }
                fragment
            }
        };
        let nonce = Nonce::assume_unique_for_key(nonce);
        let len = sealed.len().checked_sub(TAG_LEN)?;
        let content = match self.form {
            Form::Thirteen(..) => self.key.open_in_place(nonce, Aad::from(header), sealed),
            Form::Explicit | Form::Counted => {
                // RFC 5246 §6.2.3.3.
                let [l0, l1] = u16::try_from(len).ok()?.to_be_bytes();
                let [n0, n1, n2, n3, n4, n5, n6, n7] = number;
                let aad = [n0, n1, n2, n3, n4, n5, n6, n7, kind, major, minor, l0, l1];
                self.key.open_in_place(nonce, Aad::from(aad), sealed)
            }
        };
        let content: &[u8] = content.ok()?;
        self.number = self.number.checked_add(1)?;
        if !matches!(self.form, Form::Thirteen(..)) {
            return Some(Opened { kind, content });
        }
        // The kind stands behind the content, and zeros behind the kind.
        let end = content.iter().rposition(|byte| *byte != 0);
        let kind = end.and_then(|end| content.get(end)).copied();
        Some(Opened {
            kind: kind.unwrap_or(APPLICATION_DATA),
            content: content.get(..end.unwrap_or(0)).unwrap_or_default(),
        })
    }
}

/// So many bytes of output.
#[derive(Clone, Copy)]
struct Len(usize);

impl KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

/// `HKDF-Expand-Label` with an empty context (RFC 8446 §7.1).
fn expand(secret: &Secret, hash: Hash, label: &[u8], out: &mut [u8]) -> Option<()> {
    const PREFIX: &[u8] = b"tls13 ";
    let len = u16::try_from(out.len()).ok()?.to_be_bytes();
    let label_len = u8::try_from(PREFIX.len().checked_add(label.len())?).ok()?;
    let info = [&len[..], &[label_len], PREFIX, label, &[0]];
    Prk::new_less_safe(hash.hkdf(), secret.as_bytes())
        .expand(&info, Len(out.len()))
        .ok()?
        .fill(out)
        .ok()
}

/// The pseudorandom function of TLS 1.2 (RFC 5246 §5).
fn prf(secret: &Secret, hash: Hash, seed: &[&[u8]], out: &mut [u8]) {
    let key = hmac::Key::new(hash.hmac(), secret.as_bytes());
    let sign = |before: &[u8], seed: &[&[u8]]| {
        let mut context = hmac::Context::with_key(&key);
        context.update(before);
        for part in seed {
            context.update(part);
        }
        context.sign()
    };
    let mut a = sign(&[], seed);
    for piece in out.chunks_mut(hash.len()) {
        let bytes = sign(a.as_ref(), seed);
        for (place, byte) in piece.iter_mut().zip(bytes.as_ref()) {
            *place = *byte;
        }
        a = sign(a.as_ref(), &[]);
    }
}

#[cfg(test)]
impl Opener {
    /// What a client seals its records with.
    pub(super) const fn sealing(&self) -> (&LessSafeKey, [u8; NONCE_LEN]) {
        (&self.key, self.iv)
    }
}
