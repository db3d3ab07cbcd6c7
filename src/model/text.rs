//! Bytes and times → text for outputs.

use std::borrow::Cow;
use std::fmt::Write as _;

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::Timestamp;

const MICROSECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
const SECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");

/// A name as text: printable ASCII and UTF-8 as it is, every other byte as `\xNN`, a backslash doubled.
pub fn printable(bytes: &[u8]) -> Cow<'_, str> {
    let plain = |byte: &u8| (0x20..0x7f).contains(byte) && *byte != b'\\';
    if let (true, Ok(text)) = (bytes.iter().all(plain), std::str::from_utf8(bytes)) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                // Control characters would move a terminal's cursor; direction marks would turn a name round.
                _ if character.is_control() || is_direction_mark(character) => {
                    let mut buffer = [0; 4];
                    for byte in character.encode_utf8(&mut buffer).bytes() {
                        let _ = write!(text, "\\x{byte:02x}");
                    }
                }
                _ => text.push(character),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    Cow::Owned(text)
}

fn is_direction_mark(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Time in UTC with microseconds, as in `2017-09-13T08:00:00.123456Z` (RFC 3339).
pub fn rfc3339(time: Timestamp) -> String {
    format(time, MICROSECONDS)
}

/// Time in UTC to the second, for tables.
pub fn civil_seconds(time: Timestamp) -> String {
    format(time, SECONDS)
}

fn format(time: Timestamp, description: &[BorrowedFormatItem<'_>]) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(time.as_nanos()))
        .ok()
        .and_then(|time| time.format(description).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_forge_lines_or_move_cursors() {
        assert_eq!(printable(b"update.eset.com"), "update.eset.com");
        assert_eq!(printable(b"a\n{\"x\""), "a\\x0a{\"x\"");
        assert_eq!(printable(b"\x1b[2Jx\xff"), "\\x1b[2Jx\\xff");
        assert_eq!(printable(b"a\\x0a"), "a\\\\x0a");
        assert_eq!(printable("bücher.example".as_bytes()), "bücher.example");
        assert_eq!(printable("a\u{202e}moc".as_bytes()), "a\\xe2\\x80\\xaemoc");
    }

    #[test]
    fn time_is_utc_with_microseconds() {
        assert_eq!(
            rfc3339(Timestamp::from_nanos(1_505_289_600_123_456_789)),
            "2017-09-13T08:00:00.123456Z"
        );
    }
}
