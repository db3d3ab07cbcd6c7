//! Lines of a head: where they end, and the fields in them (RFC 9112 §2.2, §5).

/// Without the empty lines that some clients send before a request (RFC 9112 §2.2).
#[inline]
pub(super) fn without_empty_lines(stream: &[u8]) -> &[u8] {
    let begin = stream
        .iter()
        .position(|byte| !matches!(byte, b'\r' | b'\n'))
        .unwrap_or(stream.len());
    stream.get(begin..).unwrap_or_default()
}

/// Where the head ends, behind its empty line, if that is there. Empty lines before the request do not count.
///
/// `from`: so many bytes are known to hold no end; a few of them are looked at again, since an end can lie across.
pub(super) fn head_end(stream: &[u8], from: usize) -> Option<usize> {
    /// `\n\r\n` less one.
    const AGAIN: usize = 2;
    let begin = stream
        .len()
        .saturating_sub(without_empty_lines(stream).len());
    let mut at = from.saturating_sub(AGAIN).max(begin);
    loop {
        let rest = stream.get(at..)?;
        let line_end = rest.iter().position(|byte| *byte == b'\n')?;
        let behind = at.saturating_add(line_end).saturating_add(1);
        match stream.get(behind..)? {
            [b'\n', ..] => return Some(behind.saturating_add(1)),
            [b'\r', b'\n', ..] => return Some(behind.saturating_add(2)),
            _ => at = behind,
        }
    }
}

/// A field of a head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    /// Without spaces before the colon.
    pub name: &'a [u8],
    /// Without spaces at either end. Of a folded field (RFC 9112 §5.2) the first line that is not empty.
    pub value: &'a [u8],
    /// The value goes on, on a line that was left out.
    pub folded: bool,
}

/// The fields of a head, from the line behind the request line to the empty line.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }
}

/// A line without its end, and what lies behind it.
#[inline]
pub(super) fn split_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (line, rest) = match end {
        Some(end) => (
            bytes.get(..end).unwrap_or_default(),
            bytes.get(end.saturating_add(1)..).unwrap_or_default(),
        ),
        None => (bytes, &[][..]),
    };
    (line.strip_suffix(b"\r").unwrap_or(line), rest)
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        loop {
            let (line, rest) = split_line(self.rest);
            if line.is_empty() {
                return None;
            }
            self.rest = rest;
            let Some(colon) = line.iter().position(|byte| *byte == b':') else {
                // Not a field; what stands around it is.
                continue;
            };
            let name = line.get(..colon).unwrap_or_default().trim_ascii();
            let mut value = line
                .get(colon.saturating_add(1)..)
                .unwrap_or_default()
                .trim_ascii();
            let mut folded = false;
            while matches!(self.rest, [b' ' | b'\t', ..]) {
                let (line, rest) = split_line(self.rest);
                self.rest = rest;
                if value.is_empty() {
                    value = line.trim_ascii();
                } else if !line.trim_ascii().is_empty() {
                    folded = true;
                }
            }
            return Some(Field {
                name,
                value,
                folded,
            });
        }
    }
}
