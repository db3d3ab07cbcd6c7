//! A version of QUIC → how its Initial packets are laid out and protected.

/// [RFC 9000 §15]
const V1: u32 = 1;
/// [RFC 9369 §3.1]
const V2: u32 = 0x6b33_43cf;
/// What RFC 9369 was called while it was a draft: draft-ietf-quic-v2-01 and later.
const V2_DRAFT: u32 = 0x709a_50c4;
/// draft-ietf-quic-v2-00, which kept the packet types of version 1.
const V2_DRAFT_00: u32 = 0xff02_0000;
const Q050: u32 = u32::from_be_bytes(*b"Q050");
const T050: u32 = u32::from_be_bytes(*b"T050");
const T051: u32 = u32::from_be_bytes(*b"T051");

/// Which salt and labels protect an Initial packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// RFC 9001 §5.2, drafts 33 and 34.
    V1,
    /// RFC 9369 §3.3.
    V2,
    /// draft-ietf-quic-tls-29 to -32 §5.2.
    Draft29,
    /// draft-ietf-quic-tls-23 to -28 §5.2.
    Draft23,
    /// draft-ietf-quic-tls-22 §5.2.
    Draft22,
    /// The drafts of RFC 9369.
    V2Draft,
    /// Google's last version with a handshake of its own.
    Q050,
    /// Google's first version with TLS.
    T050,
    /// The one after it.
    T051,
}

impl Scheme {
    /// All of them, the likely ones first: what a version that nobody knows is tried with.
    pub const ALL: [Self; 9] = [
        Self::V1,
        Self::V2,
        Self::Draft29,
        Self::Draft23,
        Self::Draft22,
        Self::V2Draft,
        Self::Q050,
        Self::T050,
        Self::T051,
    ];

    /// Its place in [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The salt that the first connection id is extracted with.
    pub const fn salt(self) -> [u8; 20] {
        match self {
            Self::V1 => {
                *b"\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a"
            }
            Self::V2 => {
                *b"\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9"
            }
            Self::Draft29 => {
                *b"\xaf\xbf\xec\x28\x99\x93\xd2\x4c\x9e\x97\x86\xf1\x9c\x61\x11\xe0\x43\x90\xa8\x99"
            }
            Self::Draft23 => {
                *b"\xc3\xee\xf7\x12\xc7\x2e\xbb\x5a\x11\xa7\xd2\x43\x2b\xb4\x63\x65\xbe\xf9\xf5\x02"
            }
            Self::Draft22 => {
                *b"\x7f\xbc\xdb\x0e\x7c\x66\xbb\xe9\x19\x3a\x96\xcd\x21\x51\x9e\xbd\x7a\x02\x64\x4a"
            }
            Self::V2Draft => {
                *b"\xa7\x07\xc2\x03\xa5\x9b\x47\x18\x4a\x1d\x62\xca\x57\x04\x06\xea\x7a\xe3\xe5\xd3"
            }
            Self::Q050 => {
                *b"\x50\x45\x74\xef\xd0\x66\xfe\x2f\x9d\x94\x5c\xfc\xdb\xd3\xa7\xf0\xd3\xb5\x6b\x45"
            }
            Self::T050 => {
                *b"\x7f\xf5\x79\xe5\xac\xd0\x72\x91\x55\x80\x30\x4c\x43\xa2\x36\x7c\x60\x48\x83\x10"
            }
            Self::T051 => {
                *b"\x7a\x4e\xde\xf4\xe7\xcc\xee\x5f\xa4\x50\x6c\x19\x12\x4f\xc8\xcc\xda\x6e\x03\x3d"
            }
        }
    }

    /// Whether keys are derived with the labels of version 2 ([RFC 9369 §3.3.2]).
    pub const fn has_labels_of_v2(self) -> bool {
        matches!(self, Self::V2 | Self::V2Draft)
    }

    /// Whether CRYPTO frames carry Google's own handshake, not TLS.
    pub const fn has_google_handshake(self) -> bool {
        matches!(self, Self::Q050)
    }

    /// Whether frames are Google's, of which CRYPTO has another number.
    pub const fn has_google_frames(self) -> bool {
        matches!(self, Self::Q050 | Self::T050 | Self::T051)
    }

    /// Whether Initial packets have the type that version 2 gives them, 1 ([RFC 9369 §3.2]).
    pub const fn has_types_of_v2(self) -> bool {
        self.has_labels_of_v2()
    }
}

/// A version as its packets announce it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version(pub u32);

impl Version {
    /// A server lists the versions that it has ([RFC 9000 §17.2.1]).
    pub const NEGOTIATION: Self = Self(0);

    /// The schemes that its Initial packets can be protected by; several where the number says nothing. `packet_type` is that of
    /// the long header.
    pub fn schemes(self, packet_type: u8) -> impl Iterator<Item = Scheme> + Clone {
        let known = self.scheme();
        Scheme::ALL.into_iter().filter(move |scheme| {
            let candidate = known.is_none_or(|known| known == *scheme);
            // draft-ietf-quic-v2-00 changed the labels and not the types.
            let types_of_v2 = scheme.has_types_of_v2() && self.0 != V2_DRAFT_00;
            candidate && packet_type == u8::from(types_of_v2)
        })
    }

    /// The scheme of a version that is known.
    pub const fn scheme(self) -> Option<Scheme> {
        Some(match self.0 {
            V1 | 0xff00_0021..=0xff00_0022 => Scheme::V1,
            V2 => Scheme::V2,
            V2_DRAFT | V2_DRAFT_00 => Scheme::V2Draft,
            0xff00_001d..=0xff00_0020 => Scheme::Draft29,
            0xff00_0017..=0xff00_001c => Scheme::Draft23,
            0xff00_0016 => Scheme::Draft22,
            // Facebook's own numbers (0xfaceb0..) have changed their meaning from release to release: they are tried.
            Q050 => Scheme::Q050,
            T050 => Scheme::T050,
            T051 => Scheme::T051,
            _ => return None,
        })
    }

    /// Google's versions before Q050: the handshake is in clear.
    pub const fn google_in_clear(self) -> Option<u8> {
        match self.0.to_be_bytes() {
            [b'Q', b'0', tens @ b'0'..=b'4', ones @ b'0'..=b'9'] => Some(
                tens.wrapping_sub(b'0')
                    .wrapping_mul(10)
                    .wrapping_add(ones.wrapping_sub(b'0')),
            ),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_stands_at_its_index() {
        for (index, scheme) in Scheme::ALL.into_iter().enumerate() {
            assert_eq!(scheme.index(), index);
        }
    }

    #[test]
    fn a_known_version_has_one_scheme_and_an_unknown_one_is_tried() {
        let of = |version, packet_type| Version(version).schemes(packet_type).collect::<Vec<_>>();
        assert_eq!(of(1, 0), [Scheme::V1]);
        assert_eq!(of(1, 1), []);
        assert_eq!(of(V2, 1), [Scheme::V2]);
        assert_eq!(of(V2, 0), []);
        assert_eq!(of(V2_DRAFT_00, 0), [Scheme::V2Draft]);
        assert_eq!(of(0xff00_001d, 0), [Scheme::Draft29]);
        assert_eq!(of(0x0a1a_2a3a, 1), [Scheme::V2, Scheme::V2Draft]);
        assert_eq!(of(0x0a1a_2a3a, 0).len(), Scheme::ALL.len() - 2);
        assert_eq!(of(0x0a1a_2a3a, 2), []);
    }

    #[test]
    fn googles_versions_in_clear_are_told_by_their_letters() {
        let number = |text: &[u8; 4]| Version(u32::from_be_bytes(*text)).google_in_clear();
        assert_eq!(number(b"Q043"), Some(43));
        assert_eq!(number(b"Q049"), Some(49));
        assert_eq!(number(b"Q050"), None);
        assert_eq!(number(b"T048"), None);
    }
}
