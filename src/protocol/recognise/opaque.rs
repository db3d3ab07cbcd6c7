//! Payload that no protocol was found for → whether it looks random.
//!
//! Encrypted and compressed bytes use all values alike; text and binary fields do not. Three measures must agree, so that short
//! or structured payloads are not called random: half of all bits are set, few values repeat, and few bytes are text.

/// Shorter payloads tell nothing.
const BYTES_MIN: usize = 16;
/// Bytes that are looked at.
const BYTES_MAX: usize = 256;

/// Whether the bytes look like the output of a cipher.
pub fn looks_random(payload: &[u8]) -> bool {
    let bytes = payload.get(..BYTES_MAX).unwrap_or(payload);
    if bytes.len() < BYTES_MIN {
        return false;
    }
    let mut seen = [0u64; 4];
    let (mut ones, mut text) = (0usize, 0usize);
    for byte in bytes {
        if let Some(word) = seen.get_mut(usize::from(byte >> 6)) {
            *word |= 1 << (byte & 0x3f);
        }
        ones = ones.saturating_add(byte.count_ones() as usize);
        text = text.saturating_add(usize::from(byte.is_ascii_graphic() || *byte == b' '));
    }
    let distinct: u32 = seen.iter().map(|word| word.count_ones()).sum();
    let len = bytes.len();
    let share = |part: usize| part.saturating_mul(100).checked_div(len).unwrap_or(0);
    let bits = share(ones).checked_div(8).unwrap_or(0);
    // Of 256 random bytes 162 values are expected, with a deviation of 6; of 16 all but half a one.
    let expected = match len {
        0..32 => 88,
        32..64 => 82,
        64..128 => 74,
        128..192 => 64,
        _ => 54,
    };
    (38..=62).contains(&bits) && share(distinct as usize) >= expected && share(text) <= 60
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cipher_is_told_from_text_and_fields() {
        // SHA-256 of the empty string, and of "abc" behind it: as random as bytes get.
        let random = [
            0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f,
            0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b,
            0x78, 0x52, 0xb8, 0x55, 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41,
            0x40, 0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c,
            0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad,
        ];
        assert!(looks_random(&random));
        assert!(looks_random(&random[..32]));
        assert!(!looks_random(&random[..15]), "too short to tell");
        assert!(!looks_random(
            b"GET /index.html HTTP/1.1 and more words of plain text, all different"
        ));
        let counting: Vec<u8> = (0..64).collect();
        assert!(!looks_random(&counting), "a pattern of ping");
        assert!(!looks_random(&[0; 64]));
        assert!(!looks_random(&[
            0, 1, 0, 2, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 4
        ]));
    }
}
