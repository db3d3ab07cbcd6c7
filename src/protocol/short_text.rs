//! Text that is put together from a message, without allocation.

/// Bytes that it holds: a domain name has at most 253 characters (RFC 1035 §2.3.4).
pub const SHORT_TEXT_MAX: usize = 255;

/// At most [`SHORT_TEXT_MAX`] bytes.
#[derive(Clone, Copy)]
pub struct ShortText {
    bytes: [u8; SHORT_TEXT_MAX],
    len: u8,
}

impl Default for ShortText {
    fn default() -> Self {
        Self {
            bytes: [0; SHORT_TEXT_MAX],
            len: 0,
        }
    }
}

impl ShortText {
    /// What was put in.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Whether nothing is in it.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds bytes, all or none of them. `false`: there was no room.
    pub(super) fn push(&mut self, bytes: &[u8]) -> bool {
        let start = usize::from(self.len);
        let end = start.saturating_add(bytes.len());
        let Some(place) = self.bytes.get_mut(start..end) else {
            return false;
        };
        place.copy_from_slice(bytes);
        self.len = u8::try_from(end).unwrap_or(u8::MAX);
        true
    }
}

impl std::fmt::Debug for ShortText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self.as_bytes()))
    }
}

impl PartialEq for ShortText {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for ShortText {}
