//! HTTP/1 request bytes → method, target, host, program, and how much body follows (RFC 9110, RFC 9112).
//!
//! As tolerant as servers are: bare line feeds, empty lines before a request, names of fields in any case, folded lines.

mod stream;

#[cfg(test)]
mod tests;

pub use stream::RequestStream;

/// The longest head that is read; servers refuse more than 8 or 16 KiB.
pub const HEAD_BYTES_MAX: usize = 16 << 10;
/// The longest target and the longest User-Agent that are given; what lies behind is cut off.
pub const VALUE_BYTES_MAX: usize = 2048;
/// The longest host that is taken for a name.
const HOST_BYTES_MAX: usize = 255;

/// Methods that begin a request over TCP: RFC 9110, RFC 5789, WebDAV and its extensions, and what agents use of their own.
const METHODS: [&[u8]; 40] = [
    b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"CONNECT", b"DELETE", b"PATCH", b"TRACE",
    b"PROPFIND", b"PROPPATCH", b"MKCOL", b"COPY", b"MOVE", b"LOCK", b"UNLOCK", b"REPORT",
    b"CHECKOUT", b"CHECKIN", b"UNCHECKOUT", b"MKWORKSPACE", b"UPDATE", b"LABEL", b"MERGE",
    b"BASELINE-CONTROL", b"MKACTIVITY", b"ORDERPATCH", b"ACL", b"SEARCH", b"BIND", b"REBIND",
    b"UNBIND", b"PRI", b"PURGE", b"RPC_IN_DATA", b"RPC_OUT_DATA", b"BITS_POST", b"CCM_POST",
    b"SUBSCRIBE", b"NOTIFY",
];
/// The longest of them.
const METHOD_BYTES_MAX: usize = 16;

/// What follows the head of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// So many bytes; zero for none.
    Length(u64),
    /// Chunks (RFC 9112 §7.1).
    Chunked,
}

/// Whom a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host<'a> {
    /// A name, without port; bytes as on the wire.
    Name(&'a [u8]),
    /// An address, without port and brackets.
    Address(&'a [u8]),
    /// The request does not say.
    Absent,
}

/// The head of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// Method, as on the wire.
    pub method: &'a [u8],
    /// Target, at most [`VALUE_BYTES_MAX`] bytes of it.
    pub target: &'a [u8],
    /// The Host field, as on the wire.
    pub host_field: Option<&'a [u8]>,
    /// The User-Agent field, at most [`VALUE_BYTES_MAX`] bytes of it.
    pub user_agent: Option<&'a [u8]>,
    /// What follows.
    pub body: Body,
}

impl<'a> Request<'a> {
    /// Whether the client asks a proxy for a tunnel.
    pub fn is_connect(&self) -> bool {
        self.method == b"CONNECT"
    }

    /// Whom it is for: the authority of the target where it has one (RFC 9112 §3.2.2), else the Host field.
    pub fn host(&self) -> Host<'a> {
        let authority = if self.is_connect() {
            Some(self.target)
        } else {
            split_absolute(self.target).map(|(authority, _)| authority)
        };
        match authority.map(host_of) {
            Some(host) if host != Host::Absent => host,
            _ => self.host_field.map_or(Host::Absent, host_of),
        }
    }

    /// The target without scheme and authority.
    pub fn path_and_query(&self) -> &'a [u8] {
        match split_absolute(self.target) {
            Some((_, [])) => b"/",
            Some((_, path)) => path,
            None => self.target,
        }
    }
}

/// Authority and the rest of an absolute target.
fn split_absolute(target: &[u8]) -> Option<(&[u8], &[u8])> {
    let scheme_end = target.iter().take(8).position(|byte| *byte == b':')?;
    let rest = target.get(scheme_end..)?.strip_prefix(b"://")?;
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?' | b'#'))
        .unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end)?;
    // What stands before an at sign is a name and a password.
    let host = authority.rsplit(|byte| *byte == b'@').next()?;
    Some((host, path))
}

/// A host without its port.
fn host_of(authority: &[u8]) -> Host<'_> {
    let authority = authority.trim_ascii();
    let host = if let Some(rest) = authority.strip_prefix(b"[") {
        let end = rest.iter().position(|byte| *byte == b']');
        end.and_then(|end| rest.get(..end)).unwrap_or(rest)
    } else {
        let mut parts = authority.rsplitn(2, |byte| *byte == b':');
        match (parts.next(), parts.next()) {
            (Some(port), Some(host))
                if port.iter().all(u8::is_ascii_digit) && !host.contains(&b':') =>
            {
                host
            }
            _ => authority,
        }
    };
    if host.is_empty() || host.len() > HOST_BYTES_MAX {
        return Host::Absent;
    }
    let may_be_address = host.contains(&b':')
        || host
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b'.');
    let is_address = may_be_address
        && std::str::from_utf8(host).is_ok_and(|text| text.parse::<std::net::IpAddr>().is_ok());
    if is_address {
        Host::Address(host)
    } else {
        Host::Name(host)
    }
}

/// What a look at the beginning of a stream tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look<'a> {
    /// A whole head, and its length in bytes.
    Request(Request<'a>, usize),
    /// The beginning of one.
    Begins,
    /// Something else.
    Other,
}

/// Whether the bytes, as far as they go, begin a request.
#[inline]
pub fn begins_like_request(stream: &[u8]) -> bool {
    let stream = skip_empty_lines(stream);
    let head = stream.get(..METHOD_BYTES_MAX + 1).unwrap_or(stream);
    match head.iter().position(|byte| *byte == b' ') {
        Some(end) => head
            .get(..end)
            .is_some_and(|method| METHODS.contains(&method)),
        None => METHODS.iter().any(|method| method.starts_with(head)),
    }
}

/// Looks at the beginning of a stream without copying it.
pub fn look(stream: &[u8]) -> Look<'_> {
    if !begins_like_request(stream) {
        return Look::Other;
    }
    match head_len(stream) {
        Some(len) => match stream.get(..len).and_then(parse) {
            Some(request) => Look::Request(request, len),
            None => Look::Other,
        },
        None if stream.len() > HEAD_BYTES_MAX => Look::Other,
        None => Look::Begins,
    }
}

/// Whether a server answers: the code of a status line.
pub fn look_response(stream: &[u8]) -> Option<u16> {
    let rest = stream.strip_prefix(b"HTTP/1.")?;
    let [_, b' ', a, b, c, ..] = rest else {
        return None;
    };
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u16::from(byte & 0x0f));
    let (hundreds, tens, ones) = (digit(a)?, digit(b)?, digit(c)?);
    Some(
        hundreds
            .saturating_mul(100)
            .saturating_add(tens.saturating_mul(10))
            .saturating_add(ones),
    )
}

fn skip_empty_lines(stream: &[u8]) -> &[u8] {
    let begin = stream
        .iter()
        .take(4)
        .take_while(|byte| matches!(byte, b'\r' | b'\n'))
        .count();
    stream.get(begin..).unwrap_or_default()
}

/// Length of the head with the empty line that ends it, if that has come.
fn head_len(stream: &[u8]) -> Option<usize> {
    let begin = stream.len().saturating_sub(skip_empty_lines(stream).len());
    let mut from = begin;
    while let Some(rest) = stream.get(from..) {
        let line_end = memchr::memchr(b'\n', rest)?;
        let after = from.saturating_add(line_end).saturating_add(1);
        match stream.get(after..)? {
            [b'\n', ..] => return Some(after.saturating_add(1)),
            [b'\r', b'\n', ..] => return Some(after.saturating_add(2)),
            _ => {}
        }
        from = after;
    }
    None
}

/// Reads a head: whole, or as far as it goes.
fn parse(head: &[u8]) -> Option<Request<'_>> {
    let mut lines = skip_empty_lines(head)
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let line = lines.next()?;
    let mut words = line.splitn(2, |byte| *byte == b' ');
    let method = words.next()?;
    let rest = words.next()?;
    // The version stands behind the last space; a target with spaces in it is not rare.
    let version_at = rest.iter().rposition(|byte| *byte == b' ')?;
    let (target, version) = rest.split_at_checked(version_at)?;
    if !version.trim_ascii().starts_with(b"HTTP/1.") {
        return None;
    }
    let target = target.trim_ascii();
    let mut request = Request {
        method,
        target: target.get(..VALUE_BYTES_MAX).unwrap_or(target),
        host_field: None,
        user_agent: None,
        body: Body::Length(0),
    };
    for line in lines {
        if line.is_empty() {
            break;
        }
        let Some(colon) = memchr::memchr(b':', line) else {
            continue;
        };
        let (Some(name), Some(value)) = (line.get(..colon), line.get(colon.saturating_add(1)..))
        else {
            continue;
        };
        request.field(name.trim_ascii_end(), value.trim_ascii());
    }
    Some(request)
}

impl<'a> Request<'a> {
    /// The first of two fields of one name counts; a length beside chunks does not (RFC 9112 §6.3).
    fn field(&mut self, name: &[u8], value: &'a [u8]) {
        // The lengths spare most names the comparison.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") && self.host_field.is_none() => {
                self.host_field = Some(value);
            }
            10 if name.eq_ignore_ascii_case(b"user-agent") && self.user_agent.is_none() => {
                self.user_agent = Some(value.get(..VALUE_BYTES_MAX).unwrap_or(value));
            }
            14 if name.eq_ignore_ascii_case(b"content-length") && self.body != Body::Chunked => {
                let length = std::str::from_utf8(value)
                    .ok()
                    .and_then(|text| text.parse().ok());
                if let Some(length) = length {
                    self.body = Body::Length(length);
                }
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                let last = value.rsplit(|byte| *byte == b',').next();
                if last.is_some_and(|last| last.trim_ascii().eq_ignore_ascii_case(b"chunked")) {
                    self.body = Body::Chunked;
                }
            }
            _ => {}
        }
    }
}
