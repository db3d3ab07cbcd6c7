//! The client's first connection id → its Initial keys (RFC 9001 §5.2); a protected packet → its frames, if its tag holds.

use ring::aead::quic::{AES_128, HeaderProtectionKey};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};

use super::header::Protected;
use super::version::Scheme;

/// Length of an authentication tag.
const TAG_LEN: usize = 16;
const IV_LEN: usize = 12;
/// The sample for header protection begins so far behind the beginning of the packet number (RFC 9001 §5.4.2).
const SAMPLE_BEHIND: usize = 4;
const SAMPLE_LEN: usize = 16;

/// `HkdfLabel` of RFC 8446 §7.1 with an empty context.
const CLIENT: &[u8] = b"\0\x20\x0ftls13 client in\0";
const KEY: &[u8] = b"\0\x10\x0etls13 quic key\0";
const IV: &[u8] = b"\0\x0c\x0dtls13 quic iv\0";
const HEADER: &[u8] = b"\0\x10\x0dtls13 quic hp\0";
const KEY_V2: &[u8] = b"\0\x10\x10tls13 quicv2 key\0";
const IV_V2: &[u8] = b"\0\x0c\x0ftls13 quicv2 iv\0";
const HEADER_V2: &[u8] = b"\0\x10\x0ftls13 quicv2 hp\0";

/// The salts of all schemes, made ready once.
#[derive(Debug)]
pub struct Salts([Salt; Scheme::ALL.len()]);

impl Default for Salts {
    fn default() -> Self {
        Self(Scheme::ALL.map(|scheme| Salt::new(HKDF_SHA256, &scheme.salt())))
    }
}

/// Keys of a client's Initial packets.
pub struct ClientKeys {
    packet: LessSafeKey,
    header: HeaderProtectionKey,
    iv: [u8; IV_LEN],
}

impl std::fmt::Debug for ClientKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientKeys").finish_non_exhaustive()
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

fn expand<const N: usize>(secret: &Prk, label: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    secret
        .expand(&[label], Len(N))
        .ok()?
        .fill(&mut bytes)
        .ok()?;
    Some(bytes)
}

impl ClientKeys {
    /// Derives the keys; `None` never happens, but the library cannot know.
    pub fn derive(salts: &Salts, scheme: Scheme, destination_id: &[u8]) -> Option<Self> {
        let initial = salts.0.get(scheme.index())?.extract(destination_id);
        let client = Prk::new_less_safe(HKDF_SHA256, &expand::<32>(&initial, CLIENT)?);
        let (key, iv, header) = if scheme.has_labels_of_v2() {
            (KEY_V2, IV_V2, HEADER_V2)
        } else {
            (KEY, IV, HEADER)
        };
        Some(Self {
            packet: LessSafeKey::new(
                UnboundKey::new(&AES_128_GCM, &expand::<16>(&client, key)?).ok()?,
            ),
            header: HeaderProtectionKey::new(&AES_128, &expand::<16>(&client, header)?).ok()?,
            iv: expand(&client, iv)?,
        })
    }

    /// Opens a packet in `buffer`, which is reused; its frames, or `None` if the tag does not hold.
    pub fn open<'b>(&self, packet: &Protected<'_>, buffer: &'b mut Vec<u8>) -> Option<&'b [u8]> {
        let at = packet.number_at;
        let sample_at = at.checked_add(SAMPLE_BEHIND)?;
        let sample = packet.bytes.get(sample_at..)?.get(..SAMPLE_LEN)?;
        let [first_mask, number_mask @ ..] = self.header.new_mask(sample).ok()?;
        buffer.clear();
        buffer.extend_from_slice(packet.bytes);
        let first = buffer.first_mut()?;
        *first ^= first_mask & 0x0f;
        let number_len = usize::from(*first & 3).checked_add(1)?;
        let mut number = 0u32;
        let hidden = buffer.get_mut(at..)?.iter_mut().take(number_len);
        for (byte, mask) in hidden.zip(number_mask) {
            *byte ^= mask;
            number = number << 8 | u32::from(*byte);
        }
        let header_len = at.checked_add(number_len)?;
        let (header, sealed) = buffer.split_at_mut_checked(header_len)?;
        if sealed.len() < TAG_LEN {
            return None;
        }
        let frames = self.packet.open_in_place(
            // A client sends few Initial packets: the number on the wire is the whole number.
            nonce(self.iv, number),
            Aad::from(&*header),
            sealed,
        );
        frames.ok().map(|frames| &*frames)
    }
}

/// [RFC 9001 §5.3]
fn nonce(mut iv: [u8; IV_LEN], number: u32) -> Nonce {
    for (byte, part) in iv.iter_mut().rev().zip(number.to_be_bytes().iter().rev()) {
        *byte ^= part;
    }
    Nonce::assume_unique_for_key(iv)
}

#[cfg(test)]
impl ClientKeys {
    /// Seals a packet whose number takes the last four bytes of its header, as a client does (RFC 9001 §5.3, §5.4).
    pub fn seal(&self, header: &[u8], number: u32, frames: &[u8]) -> Vec<u8> {
        let mut sealed = frames.to_vec();
        let aad = Aad::from(header);
        let nonce = nonce(self.iv, number);
        let result = self
            .packet
            .seal_in_place_append_tag(nonce, aad, &mut sealed);
        result.unwrap_or_else(|_| sealed.clear());
        let mut packet = header.to_vec();
        let sample = sealed.get(..SAMPLE_LEN).unwrap_or_default();
        let [first_mask, number_mask @ ..] = self.mask(sample);
        if let Some(first) = packet.first_mut() {
            *first ^= first_mask & 0x0f;
        }
        for (byte, mask) in packet.iter_mut().rev().zip(number_mask.iter().rev()) {
            *byte ^= mask;
        }
        packet.extend(sealed);
        packet
    }

    /// What a sample hides the header with.
    pub fn mask(&self, sample: &[u8]) -> [u8; 5] {
        self.header.new_mask(sample).unwrap_or_default()
    }

    /// What is mixed with the packet's number.
    pub const fn iv(&self) -> [u8; IV_LEN] {
        self.iv
    }
}
