//! Texts of HTTP requests → the same without what looks like an identifier of a licence, a machine or a person.
//!
//! What is taken out becomes `…`, whatever its length. It is a guess by form, made for texts that [`super::printable`] has made
//! printable: names of products, versions and ordinary words stay, and so may a short identifier that looks like one of them.

use std::borrow::Cow;

use super::EvidenceKind;

/// What stands for an identifier.
pub const REDACTED: &str = "…";
/// Digits in a row that are hardly a version, a date or a year: 20240131 is none, a serial number is.
const DIGITS: usize = 9;
/// Hexadecimal digits in a row: half an MD5, a 64-bit number.
const HEX: usize = 16;
/// Letters and digits of a run that may be base64: 15 bytes, more than any name of a product that was seen.
const RUN: usize = 20;
/// So many of them must stand in pieces that are neither word nor version.
const ODD: usize = 12;
/// A piece of base64 between two of its separators may look like a word; longer ones are words.
const ABSORBED: usize = 4;

/// The printable text of a fact without identifiers: User-Agents and URIs lose them, names of hosts stay as they are.
pub fn redacted(kind: EvidenceKind, text: Cow<'_, str>) -> Cow<'_, str> {
    let shorter = match kind {
        EvidenceKind::HttpUserAgent => redact_identifiers(&text),
        EvidenceKind::HttpUri => redact_target(&text),
        _ => return text,
    };
    match shorter {
        Cow::Borrowed(_) => text,
        Cow::Owned(shorter) => shorter.into(),
    }
}

/// A User-Agent without identifiers: GUIDs, MAC addresses, hexadecimal runs of 16 and more, base64-like runs of 20 and more, digit
/// runs of 9 and more
/// that are no date.
///
/// Nothing of an identifier is kept: eight characters of base64 name a machine among billions. What made a rule know the text is
/// the rule's pattern.
pub fn redact_identifiers(text: &str) -> Cow<'_, str> {
    let mut out = Redaction::new(text);
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let begins = text
            .get(..at)
            .is_none_or(|before| !before.ends_with(|c: char| c.is_ascii_alphanumeric()));
        let form = if begins { form(rest) } else { None };
        if let Some(len) = form {
            out.take_out(at, len);
            at += len;
        } else if let Some(len) = escape(rest) {
            at += len;
        } else {
            let len = run(rest);
            if len == 0 {
                at += rest.chars().next().map_or(1, char::len_utf8);
            } else {
                redact_run(text, at, at + len, &mut out);
                at += len;
            }
        }
    }
    out.finish()
}

/// A request target without identifiers: as [`redact_identifiers`] in the path, without any value in the query, without user
/// and password.
///
/// In a query every value goes, since identifiers come there in any form (`?hwid=7A3`); the names of parameters stay.
pub fn redact_target(target: &str) -> Cow<'_, str> {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let mut text = redact_identifiers(path);
    if let Some((scheme, rest)) = text.split_once("://") {
        let authority = rest.split('/').next().unwrap_or_default();
        if let Some((_, host)) = authority.rsplit_once('@') {
            let path = rest.get(authority.len()..).unwrap_or_default();
            text = format!("{scheme}://{REDACTED}@{host}{path}").into();
        }
    }
    let Some(query) = query else {
        return text;
    };
    let mut text = text.into_owned();
    let mut separator = '?';
    for parameter in query.split('&') {
        text.push(separator);
        separator = '&';
        match parameter.split_once('=') {
            Some((name, "")) => {
                text.push_str(&redact_identifiers(name));
                text.push('=');
            }
            Some((name, _)) => {
                text.push_str(&redact_identifiers(name));
                text.push('=');
                text.push_str(REDACTED);
            }
            None => text.push_str(&redact_identifiers(parameter)),
        }
    }
    text.into()
}

/// A text of which parts are taken out from left to right.
struct Redaction<'a> {
    text: &'a str,
    out: String,
    copied: usize,
}

impl<'a> Redaction<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            out: String::new(),
            copied: 0,
        }
    }

    fn take_out(&mut self, at: usize, len: usize) {
        let before = self.text.get(self.copied..at).unwrap_or_default();
        self.out.push_str(before);
        self.out.push_str(REDACTED);
        self.copied = at + len;
    }

    fn finish(mut self) -> Cow<'a, str> {
        if self.copied == 0 {
            return Cow::Borrowed(self.text);
        }
        self.out
            .push_str(self.text.get(self.copied..).unwrap_or_default());
        Cow::Owned(self.out)
    }
}

/// The length of a GUID or a MAC address that the text begins with.
fn form(text: &str) -> Option<usize> {
    let ends = |len: usize| {
        let after = text.as_bytes().get(len);
        after.is_none_or(|byte| !byte.is_ascii_alphanumeric())
    };
    let groups = |sizes: &[usize], separators: &[u8]| {
        let mut at = 0;
        for (number, size) in sizes.iter().enumerate() {
            if number > 0 {
                text.as_bytes()
                    .get(at)
                    .filter(|byte| separators.contains(byte))?;
                at += 1;
            }
            let digits = text.as_bytes().get(at..at + size)?;
            digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
            at += size;
        }
        ends(at).then_some(at)
    };
    groups(&[8, 4, 4, 4, 12], b"-").or_else(|| groups(&[2; 6], b":-"))
}

/// The length of a percent escape that the text begins with (RFC 3986 §2.1): its digits belong to no token.
fn escape(text: &str) -> Option<usize> {
    let digits = text.strip_prefix('%')?.as_bytes().get(..2)?;
    digits.iter().all(u8::is_ascii_hexdigit).then_some(3)
}

/// The length of what may be base64, plain or for URLs (RFC 4648 §4, §5), at the beginning of the text.
fn run(text: &str) -> usize {
    text.bytes()
        .take_while(|byte| byte.is_ascii_alphanumeric() || b"+/=_-".contains(byte))
        .count()
}

/// Takes identifiers out of what may be base64, or be words and numbers with the same separators between them.
fn redact_run(text: &str, start: usize, end: usize, out: &mut Redaction<'_>) {
    let mut pieces = Vec::new();
    let mut at = start;
    for piece in text
        .get(start..end)
        .unwrap_or_default()
        .split(|c: char| !c.is_ascii_alphanumeric())
    {
        if !piece.is_empty() {
            pieces.push((at, piece));
        }
        at += piece.len() + 1;
    }
    let odd = |piece: &str| !is_wordlike(piece);
    let all: usize = pieces.iter().map(|(_, piece)| piece.len()).sum();
    let odd_ones = pieces.iter().filter(|(_, piece)| odd(piece));
    let is_base64 = all >= RUN && odd_ones.map(|(_, piece)| piece.len()).sum::<usize>() >= ODD;
    let first = pieces.iter().position(|(_, piece)| odd(piece));
    let last = pieces.iter().rposition(|(_, piece)| odd(piece));
    if let (true, Some(mut first), Some(mut last)) = (is_base64, first, last) {
        let absorbed = |number: usize| {
            let piece = pieces.get(number);
            piece.is_some_and(|(_, piece)| piece.len() < ABSORBED || !is_plain_word(piece))
        };
        while first > 0 && absorbed(first - 1) {
            first -= 1;
        }
        while absorbed(last + 1) {
            last += 1;
        }
        let begin = pieces.get(first).map_or(start, |(at, _)| *at);
        let after = pieces.get(last).map_or(end, |(at, piece)| at + piece.len());
        // What pads base64 tells its length.
        let padding = text.get(after..end).unwrap_or_default();
        let after = after + padding.len() - padding.trim_start_matches('=').len();
        redact_pieces(pieces.get(..first).unwrap_or_default(), out);
        out.take_out(begin, after - begin);
        redact_pieces(pieces.get(last + 1..).unwrap_or_default(), out);
        return;
    }
    redact_pieces(&pieces, out);
}

/// Takes out hexadecimal and decimal numbers that are too long for anything else.
fn redact_pieces(pieces: &[(usize, &str)], out: &mut Redaction<'_>) {
    for &(start, piece) in pieces {
        if piece.len() >= HEX && piece.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            out.take_out(start, piece.len());
            continue;
        }
        let mut at = 0;
        while let Some(rest) = piece.get(at..).filter(|rest| !rest.is_empty()) {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if digits >= DIGITS && !is_build_date(rest.get(..digits).unwrap_or_default()) {
                out.take_out(start + at, digits);
            }
            at += digits.max(1);
        }
    }
}

/// Whether digits are a date with the hour, and more or not, as builds are numbered (`Gecko/2008032620`).
fn is_build_date(digits: &str) -> bool {
    let number = |from: usize, to: usize| {
        let part = digits.get(from..to)?;
        part.parse::<u32>().ok()
    };
    let within = |from, to, least, most| {
        number(from, to).is_some_and(|number| (least..=most).contains(&number))
    };
    matches!(digits.len(), 10 | 12 | 14)
        && within(0, 4, 1990, 2099)
        && within(4, 6, 1, 12)
        && within(6, 8, 1, 31)
        && within(8, 10, 0, 23)
}

/// Whether letters and digits look like a word, a number, or a word with a number, as in `Win64`, `64bit`, `K7TotalSecurity`.
fn is_wordlike(piece: &str) -> bool {
    let letters = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphabetic());
    let first_digit = piece.find(|c: char| c.is_ascii_digit());
    let Some(first_digit) = first_digit else {
        return has_the_case_of_words(piece);
    };
    let (before, rest) = piece.split_at(first_digit);
    let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = rest.len() - after.len();
    if after.is_empty() {
        return digits < DIGITS && has_the_case_of_words(before);
    }
    if before.is_empty() {
        return digits <= 4 && after.len() <= 6 && letters(after) && has_the_case_of_words(after);
    }
    digits <= 2
        && piece.len() < RUN
        && letters(after)
        && has_the_case_of_words(before)
        && has_the_case_of_words(after)
}

/// Whether capitals stand where words begin: in random letters every fourth place goes from small to capital.
fn has_the_case_of_words(letters: &str) -> bool {
    /// Letters for each capital behind a small letter, as in `KasperskySecurityCenter`; `iOSUpdater` has 5.
    const LETTERS_A_WORD: usize = 3;
    let pairs = letters.bytes().zip(letters.bytes().skip(1));
    let humps = pairs
        .filter(|(one, next)| one.is_ascii_lowercase() && next.is_ascii_uppercase())
        .count();
    if humps > 1 && letters.len() < humps * LETTERS_A_WORD + LETTERS_A_WORD {
        return false;
    }
    // A name so long as to be a run by itself has capitals where words begin, or nothing else.
    let capitals = letters.bytes().filter(u8::is_ascii_uppercase).count();
    letters.len() < RUN || capitals == letters.len() || capitals * LETTERS_A_WORD <= letters.len()
}

/// Whether this is a word as programs are named: small letters, capitals alone, or a capital for each word; with a number or not.
fn is_plain_word(piece: &str) -> bool {
    let letters = piece.trim_end_matches(|c: char| c.is_ascii_digit());
    let all = |of: fn(&u8) -> bool| letters.as_bytes().iter().all(of);
    let next = letters.bytes().skip(1).chain([b'a']);
    !letters.is_empty()
        && all(u8::is_ascii_alphabetic)
        && (all(u8::is_ascii_uppercase)
            || letters
                .bytes()
                .zip(next)
                .all(|(one, next)| one.is_ascii_lowercase() || next.is_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn products_versions_and_words_stay() {
        for text in [
            "curl/7.88.1",
            "Wget/1.21.3",
            "SAVAPI4.15.21.77",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
            "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0",
            "Microsoft-CryptoAPI/10.0",
            "Microsoft-Delivery-Optimization/10.0",
            "Debian APT-HTTP/1.3 (2.6.1)",
            "com.apple.trustd/2.0 CFNetwork/1240.0.4 Darwin/20.6.0",
            "K7TotalSecurity/17.0.0316 AntivirusEngineUpdateClient/2",
            "KasperskySecurityCenterNetworkAgent/14.2",
            "python-requests/2.28.1",
            "application/x-www-form-urlencoded",
            "ClamAV/0.103.2 (OS: linux-gnu, ARCH: x86_64, CPU: x86_64)",
            "/updates/bases/av/kdb/i386/kdb-i386-1312-0607.xml.dif",
            "Gecko/2008032620 Firefox/3.0b5",
            "",
            "bücher",
        ] {
            assert_eq!(redact_identifiers(text), text);
        }
    }

    #[test]
    fn identifiers_go_whatever_their_form() {
        for (text, redacted) in [
            ("*B0cBAAQA0123456789abcdefXYZq", "*…"),
            ("*B0cBAAQAjyajPZi3xKq7/Vb2+9A==", "*…"),
            (
                "Agent/1.0 {6F9619FF-8B86-D011-B42D-00C04FC964FF}",
                "Agent/1.0 {…}",
            ),
            ("a 6f9619ff-8b86-d011-b42d-00c04fc964ff;b", "a …;b"),
            ("%7B6f9619ff-8b86-d011-b42d-00c04fc964ff%7D", "%7B…%7D"),
            ("Agent/1.0 (00:1A:2b:3c:4d:5e)", "Agent/1.0 (…)"),
            ("Agent/1.0 (00-1A-2B-3C-4D-5E)", "Agent/1.0 (…)"),
            ("Agent/1.0 0123456789abcdef", "Agent/1.0 …"),
            ("Agent/1.0 d41d8cd98f00b204e9800998ecf8427e", "Agent/1.0 …"),
            ("Agent/1.0 (SN123456789)", "Agent/1.0 (SN…)"),
            ("id=1234567890 v=20240131", "id=… v=20240131"),
            ("Agent/2008133620", "Agent/…"),
            ("MyApp/bXkgbWFjaGluZSBpcyAjNw9x", "MyApp/…"),
            ("KEY-8F3K2-Q9Z1X-77AB3-T5LM2", "…"),
            ("aGVsbG8gd29ybGQgaGVsbG8gd29ybGQ=", "…"),
        ] {
            assert_eq!(redact_identifiers(text), redacted, "{text}");
        }
    }

    #[test]
    fn a_query_keeps_its_names_and_loses_its_values() {
        for (target, redacted) in [
            (
                "/check?hwid=7A3&v=1.2&flag&empty=",
                "/check?hwid=…&v=…&flag&empty=",
            ),
            ("/a?0123456789abcdef", "/a?…"),
            ("/a/0123456789abcdef/b.xml", "/a/…/b.xml"),
            ("/a?b=c?d=e", "/a?b=…"),
            (
                "http://me:pw@proxy.example/x?y=z",
                "http://…@proxy.example/x?y=…",
            ),
            ("/index.html", "/index.html"),
            ("*", "*"),
        ] {
            assert_eq!(redact_target(target), redacted, "{target}");
        }
    }

    /// Numbers that look random and are the same in every run (xorshift).
    fn random_text(alphabet: &[u8], len: usize, state: &mut u64) -> String {
        let mut next = || {
            *state ^= *state << 13;
            *state ^= *state >> 7;
            *state ^= *state << 17;
            *state as usize
        };
        (0..len)
            .map(|_| char::from(alphabet[(next() >> 8) % alphabet.len()]))
            .collect()
    }

    #[test]
    fn random_base64_goes() {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut state = 7;
        let (mut whole_kept, mut rest_kept) = (0, 0);
        for _ in 0..2000 {
            let whole = random_text(&ALPHABET[..62], 32, &mut state);
            let text = format!("Agent/1.0 ({whole})");
            whole_kept += usize::from(redact_identifiers(&text) != "Agent/1.0 (…)");
            let whole = random_text(ALPHABET, 32, &mut state);
            let text = format!("Agent/1.0 ({whole})");
            let rest = redact_identifiers(&text).len() - "Agent/1.0 ()".len();
            rest_kept += usize::from(rest > 12);
        }
        // Chance makes words now and then, and separators cut some into what looks like several.
        assert!(whole_kept < 10, "{whole_kept} of 2000");
        assert!(rest_kept < 100, "{rest_kept} of 2000");
    }

    proptest! {
        #[test]
        fn any_text_is_redacted_once_and_for_all(text in ".{0,80}") {
            let once = redact_identifiers(&text).into_owned();
            prop_assert_eq!(redact_identifiers(&once), once.as_str());
            let once = redact_target(&text).into_owned();
            prop_assert_eq!(redact_target(&once), once.as_str());
        }
    }
}
