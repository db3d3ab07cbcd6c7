//! The head of a request → method, target, host, program and body (RFC 9112 §3, §6.3).

use super::fields::{Field, Fields, split_line as next_line, without_empty_lines};
use super::{VALUE_BYTES_MAX, method};
use crate::protocol::host::is_address;

/// The longest host that is taken: a domain name has at most 253 characters.
const HOST_BYTES_MAX: usize = 255;

/// What follows the head of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nothing: another request, or another protocol after CONNECT.
    None,
    /// So many bytes.
    Length(u64),
    /// Chunks (RFC 9112 §7.1).
    Chunked,
    /// Something whose end cannot be told: a length that is no number, or a coding without chunks.
    Unknown,
}

/// Whom a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host<'a> {
    /// A name, without port; bytes as on the wire.
    Name(&'a [u8]),
    /// An address, without port and brackets.
    Address(&'a [u8]),
    /// The request does not say, or says more than 255 bytes.
    Absent,
}

/// The head of a request.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each says of one field whether it is all there"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// One of a known set, see [`super::begins_like_request`].
    pub method: &'a [u8],
    /// Target as sent, at most [`VALUE_BYTES_MAX`] bytes of it.
    pub target: &'a [u8],
    /// There was more of the target.
    pub target_cut: bool,
    /// 0 or 1: the digit behind `HTTP/1.`.
    pub version_minor: u8,
    /// The first Host field as sent, with its port. [`Self::host`] is whom the request is for.
    pub host_field: Option<&'a [u8]>,
    /// The first User-Agent field, at most [`VALUE_BYTES_MAX`] bytes of it; none if empty.
    pub user_agent: Option<&'a [u8]>,
    /// There was more of the User-Agent: too long, or on another line.
    pub user_agent_cut: bool,
    /// Another protocol is asked for (RFC 9110 §7.8): WebSocket, HTTP/2. If the server agrees, no request follows.
    pub upgrade: bool,
    /// What follows the head.
    pub body: Body,
    /// The head goes on behind what was read of it, for it is longer than [`super::HEAD_BYTES_MAX`].
    pub head_cut: bool,
}

impl<'a> Request<'a> {
    /// Reads a head, whole or as far as it goes. `None`: its first line is none of a request.
    pub(super) fn parse(head: &'a [u8]) -> Option<Self> {
        let (line, rest) = next_line(without_empty_lines(head));
        let behind = method::skip(line)?;
        let method_len = line.len().saturating_sub(behind.len()).saturating_sub(1);
        let (target, version_minor) = split_line(behind)?;
        let mut request = Self {
            method: line.get(..method_len)?,
            target: target.get(..VALUE_BYTES_MAX).unwrap_or(target),
            target_cut: target.len() > VALUE_BYTES_MAX,
            version_minor,
            host_field: None,
            user_agent: None,
            user_agent_cut: false,
            upgrade: false,
            body: Body::None,
            head_cut: false,
        };
        for field in Fields::new(rest) {
            request.field(&field);
        }
        if request.is_connect() {
            // Content of a CONNECT has no meaning (RFC 9110 §9.3.6).
            request.body = Body::None;
        }
        Some(request)
    }

    /// Whether the client asks a proxy for a tunnel; [`Self::host`] is then its other end.
    pub fn is_connect(&self) -> bool {
        self.method == b"CONNECT"
    }

    /// Whom it is for: the authority of the target where it has one (RFC 9112 §3.2.2), else the Host field.
    pub fn host(&self) -> Host<'a> {
        match self
            .target_authority()
            .map(|authority| split_authority(authority).0)
        {
            Some(host) if host != Host::Absent => host,
            _ => self
                .host_field
                .map_or(Host::Absent, |field| split_authority(field).0),
        }
    }

    /// The port that goes with [`Self::host`], where it is given.
    pub fn port(&self) -> Option<u16> {
        match self.target_authority().map(split_authority) {
            Some((host, port)) if host != Host::Absent => port,
            _ => self.host_field.and_then(|field| split_authority(field).1),
        }
    }

    /// The target without scheme and authority; empty for a CONNECT.
    pub fn path_and_query(&self) -> &'a [u8] {
        if self.is_connect() {
            return b"";
        }
        match split_absolute(self.target) {
            Some((_, b"")) => b"/",
            Some((_, path)) => path,
            None => self.target,
        }
    }

    fn target_authority(&self) -> Option<&'a [u8]> {
        if self.is_connect() {
            Some(self.target)
        } else {
            split_absolute(self.target).map(|(authority, _)| authority)
        }
    }

    /// The first of two fields of a name counts. Chunks beat a length (RFC 9112 §6.3).
    fn field(&mut self, field: &Field<'a>) {
        let Field {
            name,
            value,
            folded,
        } = *field;
        // The lengths spare most names the comparison.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                self.host_field = self.host_field.or(Some(value));
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => self.upgrade = true,
            10 if self.user_agent.is_none()
                && !value.is_empty()
                && name.eq_ignore_ascii_case(b"user-agent") =>
            {
                self.user_agent = Some(value.get(..VALUE_BYTES_MAX).unwrap_or(value));
                self.user_agent_cut = folded || value.len() > VALUE_BYTES_MAX;
            }
            14 if name.eq_ignore_ascii_case(b"content-length") && self.body == Body::None => {
                self.body = match length(value) {
                    Some(0) => Body::None,
                    Some(length) => Body::Length(length),
                    None => Body::Unknown,
                };
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                let last = value.rsplit(|byte| *byte == b',').next();
                let last = last.unwrap_or_default().trim_ascii();
                self.body = if last.eq_ignore_ascii_case(b"chunked") {
                    Body::Chunked
                } else {
                    Body::Unknown
                };
            }
            _ => {}
        }
    }
}

/// What stands behind the method → target and minor version. The version stands behind the last space, for a target with
/// spaces in it is not rare.
pub(super) fn split_line(behind_method: &[u8]) -> Option<(&[u8], u8)> {
    let line = behind_method.trim_ascii();
    let space = line.iter().rposition(|byte| *byte == b' ')?;
    let (target, version) = line.split_at_checked(space)?;
    let [minor @ b'0'..=b'9'] = version.strip_prefix(b" HTTP/1.")? else {
        return None;
    };
    let target = target.trim_ascii();
    (!target.is_empty()).then_some((target, minor & 0x0f))
}

/// Authority, without what stands before an at sign, and the rest of an absolute target (RFC 3986 §3).
fn split_absolute(target: &[u8]) -> Option<(&[u8], &[u8])> {
    /// `https` and a few more; no path has `://` that early.
    const SCHEME_LEN_MAX: usize = 8;
    let colon = target
        .iter()
        .take(SCHEME_LEN_MAX)
        .position(|byte| !byte.is_ascii_alphanumeric())?;
    let rest = target.get(colon..)?.strip_prefix(b"://")?;
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?' | b'#'))
        .unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end)?;
    let host = authority.rsplit(|byte| *byte == b'@').next()?;
    Some((host, path))
}

/// Host and port of an authority or a Host field.
fn split_authority(authority: &[u8]) -> (Host<'_>, Option<u16>) {
    let authority = authority.trim_ascii();
    let (host, port) = if let Some(rest) = authority.strip_prefix(b"[") {
        let end = rest
            .iter()
            .position(|byte| *byte == b']')
            .unwrap_or(rest.len());
        let behind = rest.get(end.saturating_add(1)..).unwrap_or_default();
        (
            rest.get(..end).unwrap_or_default(),
            behind.strip_prefix(b":"),
        )
    } else {
        let mut parts = authority.splitn(3, |byte| *byte == b':');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(host), port, None) => (host, port),
            // More than one colon and no brackets: an IPv6 address as some clients write it.
            _ => (authority, None),
        }
    };
    let port = port
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| digits.parse().ok());
    let without_dot = host.strip_suffix(b".").unwrap_or(host);
    if without_dot.is_empty() || host.len() > HOST_BYTES_MAX {
        (Host::Absent, None)
    } else if is_address(host) {
        (Host::Address(host), port)
    } else {
        (Host::Name(host), port)
    }
}

/// A length (RFC 9110 §8.6): digits, or the same digits again and again behind commas.
fn length(value: &[u8]) -> Option<u64> {
    let mut parts = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let first = parts.next()?;
    if first.is_empty() || !first.iter().all(u8::is_ascii_digit) || !parts.all(|part| part == first)
    {
        return None;
    }
    std::str::from_utf8(first).ok()?.parse().ok()
}
