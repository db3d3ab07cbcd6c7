//! Fields by number (RFC 7541 §2.3): the static ones, and those that the client added.

use std::collections::VecDeque;

use super::TABLE_BYTES_MAX;

/// What an entry counts beside its bytes (RFC 7541 §4.1).
const ENTRY_OVERHEAD: usize = 32;
/// Size before the client says another (RFC 9113 §6.5.2).
const SIZE_DEFAULT: usize = 4096;

/// RFC 7541 appendix A.
#[rustfmt::skip]
const STATIC: [(&[u8], &[u8]); 61] = [
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
];

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: usize,
    name_len: usize,
    value_len: usize,
}

/// Both tables. Reused from flow to flow.
#[derive(Debug)]
pub(super) struct Table {
    /// Names and values of entries, the oldest first; what stands before the oldest is free.
    bytes: Vec<u8>,
    /// The newest first.
    entries: VecDeque<Entry>,
    size: usize,
    size_max: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            entries: VecDeque::new(),
            size: 0,
            size_max: SIZE_DEFAULT,
        }
    }
}

impl Table {
    pub(super) fn reset(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.size = 0;
        self.size_max = SIZE_DEFAULT;
    }

    pub(super) fn shrink(&mut self, keep: usize) {
        self.reset();
        self.bytes.shrink_to(keep);
        self.entries.shrink_to(keep / ENTRY_OVERHEAD);
    }

    /// Bytes that count.
    pub(super) fn held_bytes(&self) -> usize {
        self.size
    }

    /// A field by its number, from 1.
    pub(super) fn field(&self, number: usize) -> Option<(&[u8], &[u8])> {
        let number = number.checked_sub(1)?;
        if let Some((name, value)) = STATIC.get(number) {
            return Some((name, value));
        }
        let entry = self.entries.get(number.checked_sub(STATIC.len())?)?;
        let rest = self.bytes.get(entry.at..)?;
        let (name, rest) = rest.split_at_checked(entry.name_len)?;
        Some((name, rest.get(..entry.value_len)?))
    }

    /// The client sets the size; `None` if it is more than is held here.
    pub(super) fn resize(&mut self, size: usize) -> Option<()> {
        if size > TABLE_BYTES_MAX {
            return None;
        }
        self.size_max = size;
        self.evict(0);
        Some(())
    }

    /// Adds a field; one that is larger than the table empties it (RFC 7541 §4.4).
    pub(super) fn add(&mut self, name: &[u8], value: &[u8]) {
        let len = name.len().saturating_add(value.len());
        let size = len.saturating_add(ENTRY_OVERHEAD);
        self.evict(size);
        if size > self.size_max {
            return;
        }
        let oldest = self
            .entries
            .back()
            .map_or(self.bytes.len(), |entry| entry.at);
        if oldest > self.size_max {
            self.bytes.drain(..oldest);
            for entry in &mut self.entries {
                entry.at = entry.at.saturating_sub(oldest);
            }
        }
        let entry = Entry {
            at: self.bytes.len(),
            name_len: name.len(),
            value_len: value.len(),
        };
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
        self.entries.push_front(entry);
        self.size = self.size.saturating_add(size);
    }

    /// Makes room for so many bytes, as far as there is.
    fn evict(&mut self, needed: usize) {
        while self.size.saturating_add(needed) > self.size_max {
            let Some(entry) = self.entries.pop_back() else {
                break;
            };
            let len = entry.name_len.saturating_add(entry.value_len);
            self.size = self.size.saturating_sub(len.saturating_add(ENTRY_OVERHEAD));
        }
        if self.entries.is_empty() {
            self.bytes.clear();
        }
    }
}
