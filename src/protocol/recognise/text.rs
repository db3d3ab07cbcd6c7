//! Protocols whose first bytes are lines of text.

use super::{LOOKED_AT_MAX, Ports};
use crate::model::AppProtocol;

/// The first line of what is looked at, without its end; all of it where none is there.
fn first_line(payload: &[u8]) -> &[u8] {
    let head = payload.get(..LOOKED_AT_MAX).unwrap_or(payload);
    let end = head.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    end.and_then(|end| head.get(..end)).unwrap_or(head)
}

/// Whether the word is there, in any case.
fn has(line: &[u8], word: &[u8]) -> bool {
    line.windows(word.len())
        .any(|part| part.eq_ignore_ascii_case(word))
}

/// Whether the line begins with the word, in any case, and something that is no letter stands behind it.
fn begins(line: &[u8], word: &[u8]) -> bool {
    line.split_at_checked(word.len())
        .is_some_and(|(head, rest)| {
            head.eq_ignore_ascii_case(word) && !rest.first().is_some_and(u8::is_ascii_alphanumeric)
        })
}

fn begins_with_any(line: &[u8], words: &[&[u8]]) -> bool {
    words.iter().any(|word| begins(line, word))
}

/// Text protocols over TCP.
pub(super) fn of_stream(ports: Ports, payload: &[u8]) -> Option<AppProtocol> {
    use AppProtocol as P;
    const MARKS: &[(&[u8], AppProtocol)] = &[
        (b"SSH-2.0-", P::Ssh),
        (b"SSH-1.", P::Ssh),
        (b"PRI * HTTP/2.0", P::Http2),
        (b"RFB 00", P::Vnc),
        (b"\x13BitTorrent protocol", P::Bittorrent),
        (b"@RSYNCD:", P::Rsync),
        (b"AMQP", P::Amqp),
        (b"<stream:stream", P::Xmpp),
        (b"+PONG\r\n", P::Redis),
    ];
    for (mark, protocol) in MARKS {
        if payload.starts_with(mark) {
            return Some(*protocol);
        }
    }
    if !payload
        .first()
        .is_some_and(|byte| byte.is_ascii_graphic() || *byte == b' ')
    {
        return None;
    }
    let line = first_line(payload);
    if let Some(protocol) = by_version(line) {
        return Some(protocol);
    }
    greeting(ports, line)
        .or_else(|| command(ports, line))
        .or_else(|| other_text(ports, payload, line))
}

/// Requests and responses that say their protocol in their first line.
fn by_version(line: &[u8]) -> Option<AppProtocol> {
    if line.ends_with(b" SIP/2.0") || line.starts_with(b"SIP/2.0 ") {
        Some(AppProtocol::Sip)
    } else if line.ends_with(b" RTSP/1.0") || line.starts_with(b"RTSP/1.0 ") {
        Some(AppProtocol::Rtsp)
    } else {
        None
    }
}

/// What servers say when they are connected to.
fn greeting(ports: Ports, line: &[u8]) -> Option<AppProtocol> {
    const FTP: &[u16] = &[21, 2121];
    const SMTP: &[u16] = &[25, 465, 587, 2525];
    if let [b'1'..=b'5', b'0'..=b'9', b'0'..=b'9', rest @ ..] = line
        && matches!(rest, [] | [b' ' | b'-', ..])
    {
        return if has(line, b"smtp") || ports.any(SMTP) {
            Some(AppProtocol::Smtp)
        } else if has(line, b"nntp") || ports.any(&[119]) {
            Some(AppProtocol::Nntp)
        } else if has(line, b"ftp") || ports.any(FTP) || line.starts_with(b"220") {
            // Of what greets with 220 and does not say what it is, most is FTP.
            Some(AppProtocol::Ftp)
        } else {
            None
        };
    }
    if line.starts_with(b"+OK") || line.starts_with(b"-ERR") && ports.any(&[110, 995]) {
        return Some(AppProtocol::Pop3);
    }
    if begins_with_any(line, &[b"* OK", b"* PREAUTH", b"* BYE"]) {
        return Some(AppProtocol::Imap);
    }
    None
}

/// What clients say first.
fn command(ports: Ports, line: &[u8]) -> Option<AppProtocol> {
    const IRC_PORTS: std::ops::RangeInclusive<u16> = 6660..=6669;
    if begins_with_any(
        line,
        &[b"EHLO", b"HELO", b"LHLO", b"MAIL FROM:", b"RCPT TO:"],
    ) {
        return Some(AppProtocol::Smtp);
    }
    let of_irc = IRC_PORTS.contains(&ports.0) || IRC_PORTS.contains(&ports.1);
    if begins_with_any(line, &[b"NICK", b"CAP LS", b"NOTICE AUTH"])
        || line.first() == Some(&b':') && (of_irc || has(line, b" NOTICE ") || has(line, b" 001 "))
        || of_irc
            && begins_with_any(
                line,
                &[
                    b"USER",
                    b"PASS",
                    b"PING",
                    b"JOIN",
                    b"STARTTLS",
                    b"CAP",
                    b"NOTICE",
                    b"PRIVMSG",
                    b"ERROR",
                    b"QUIT",
                ],
            )
    {
        return Some(AppProtocol::Irc);
    }
    if ports.any(&[110])
        && begins_with_any(
            line,
            &[b"USER", b"APOP", b"CAPA", b"AUTH", b"STLS", b"QUIT"],
        )
    {
        return Some(AppProtocol::Pop3);
    }
    if ports.any(&[21, 2121])
        && begins_with_any(
            line,
            &[
                b"USER", b"AUTH", b"FEAT", b"SYST", b"QUIT", b"PASS", b"CLNT", b"HOST", b"PORT",
                b"TYPE", b"PWD", b"CWD", b"PASV",
            ],
        )
    {
        return Some(AppProtocol::Ftp);
    }
    if begins(line, b"AUTH TLS")
        || begins(line, b"AUTH SSL")
        || line.eq_ignore_ascii_case(b"USER anonymous")
    {
        return Some(AppProtocol::Ftp);
    }
    if ports.any(&[25, 465, 587, 2525])
        && begins_with_any(line, &[b"QUIT", b"NOOP", b"RSET", b"STARTTLS", b"AUTH"])
    {
        return Some(AppProtocol::Smtp);
    }
    is_imap_command(line).then_some(AppProtocol::Imap)
}

/// A tag, then a command (RFC 9051 §2.2.1).
fn is_imap_command(line: &[u8]) -> bool {
    const COMMANDS: &[&[u8]] = &[
        b"CAPABILITY",
        b"LOGIN",
        b"AUTHENTICATE",
        b"STARTTLS",
        b"NOOP",
        b"LOGOUT",
        b"ID",
        b"SELECT",
        b"LIST",
    ];
    let mut words = line.splitn(2, |byte| *byte == b' ');
    let (Some(tag), Some(command)) = (words.next(), words.next()) else {
        return false;
    };
    (1..=16).contains(&tag.len())
        && tag.iter().all(u8::is_ascii_alphanumeric)
        && tag.iter().any(u8::is_ascii_digit)
        && begins_with_any(command, COMMANDS)
}

fn other_text(ports: Ports, payload: &[u8], line: &[u8]) -> Option<AppProtocol> {
    let head = payload.get(..LOOKED_AT_MAX).unwrap_or(payload);
    if head.starts_with(b"<?xml") && has(head, b"stream:stream") {
        return Some(AppProtocol::Xmpp);
    }
    if let [size @ .., b'g', b'i', b't', b'-'] = payload.get(..8).unwrap_or_default()
        && size.iter().all(u8::is_ascii_hexdigit)
    {
        return Some(AppProtocol::Git);
    }
    if let [b'*' | b'$' | b'+' | b'-' | b':', _, ..] = line
        && ports.any(&[6379, 26379])
    {
        return Some(AppProtocol::Redis);
    }
    if let [b'*', count, b'\r', b'\n', b'$', ..] = payload
        && count.is_ascii_digit()
    {
        return Some(AppProtocol::Redis);
    }
    if ports.any(&[11211])
        && begins_with_any(
            line,
            &[
                b"get", b"set", b"stats", b"version", b"STAT", b"VALUE", b"END", b"STORED",
            ],
        )
    {
        return Some(AppProtocol::Memcached);
    }
    if is_syslog(line) {
        return Some(AppProtocol::Syslog);
    }
    is_json(head).then_some(AppProtocol::Json)
}

/// Text protocols over UDP.
pub(super) fn of_datagram(ports: Ports, payload: &[u8]) -> Option<AppProtocol> {
    let line = first_line(payload);
    if let Some(protocol) = by_version(line) {
        return Some(protocol);
    }
    if line.starts_with(b"M-SEARCH * HTTP/1.")
        || line.starts_with(b"NOTIFY * HTTP/1.")
        || line.starts_with(b"HTTP/1.")
            && (ports.any(&[1900])
                || has(payload.get(..LOOKED_AT_MAX).unwrap_or(payload), b"\nusn:"))
    {
        return Some(AppProtocol::Ssdp);
    }
    if line.starts_with(b"BT-SEARCH * HTTP/1.") || is_bencoded_query(payload) {
        return Some(AppProtocol::Bittorrent);
    }
    if line.starts_with(b"MEGACO/") || line.starts_with(b"!/1 ") {
        return Some(AppProtocol::Megaco);
    }
    if is_syslog(line) {
        return Some(AppProtocol::Syslog);
    }
    let head = payload.get(..LOOKED_AT_MAX).unwrap_or(payload);
    if ports.any(&[3702]) && has(head, b"<?xml")
        || has(head, b"schemas.xmlsoap.org/ws/2005/04/discovery")
    {
        return Some(AppProtocol::WsDiscovery);
    }
    if ports.any(&[17500]) && is_json(head) {
        return Some(AppProtocol::Dropbox);
    }
    // Keep-alives of RFC 5626 §3.5.1 and older ones.
    if ports.any(&[5060]) && payload.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        return Some(AppProtocol::Sip);
    }
    is_json(head).then_some(AppProtocol::Json)
}

/// The priority that begins a message: at most 191 in angle brackets (RFC 3164 §4.1.1, RFC 5424 §6.2.1).
fn is_syslog(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"<") else {
        return false;
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let priority = rest
        .get(..digits)
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| digits.parse::<u32>().ok());
    (1..=3).contains(&digits)
        && rest.get(digits) == Some(&b'>')
        && priority.is_some_and(|priority| priority <= 191)
}

/// A message of the table of peers (BEP 5): a dictionary that begins with its arguments.
fn is_bencoded_query(payload: &[u8]) -> bool {
    [
        &b"d1:ad2:id20:"[..],
        b"d1:rd2:id20:",
        b"d1:eli20",
        b"d2:ip6:",
        b"d2:ip4:",
    ]
    .iter()
    .any(|mark| payload.starts_with(mark))
        || payload.starts_with(b"d1:")
            && payload.ends_with(b"e")
            && has(payload.get(..LOOKED_AT_MAX).unwrap_or(payload), b"1:y1:")
}

/// An object or a list that begins as JSON does.
fn is_json(head: &[u8]) -> bool {
    match head.trim_ascii_start() {
        [b'{', rest @ ..] => {
            matches!(rest.trim_ascii_start(), [b'"', next, ..] if next.is_ascii_graphic())
        }
        [b'[', rest @ ..] => matches!(rest.trim_ascii_start(), [b'{', ..]) && rest.contains(&b'"'),
        _ => false,
    }
}
