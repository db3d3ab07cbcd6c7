//! What the client of a protocol sends before it begins TLS → where TLS begins.
//!
//! SMTP (RFC 3207), IMAP and POP3 (RFC 2595, RFC 9051 §6.2.1), FTP (RFC 4217), NNTP (RFC 4642) and IRC ask in a line; LDAP
//! (RFC 4511 §4.14) by an extended operation, PostgreSQL and MySQL by a message of their own before anything else, XMPP
//! (RFC 6120 §5.4.2.1) by an element, RDP (MS-RDPBCGR §5.4.2) by its first message. The client's side suffices: if the server
//! agreed, the client's next byte is the first of a record.
//!
//! **Invariants**: nothing of what is passed over is kept beyond one line's beginning, in place; a watch ends after so many bytes
//! and pieces.

mod watch;

#[cfg(test)]
mod tests;

pub use watch::{TlsWatch, Watched};

use crate::model::AppProtocol;

/// Pieces of a stream that are watched at most: sessions ask for TLS among their first commands, which somebody may type.
pub const PIECES_MAX: u16 = 1024;

/// How a protocol asks for TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// By a line.
    #[default]
    Lines,
    /// By an extended operation among messages in BER.
    Ldap,
    /// By a message of eight bytes.
    Postgres,
    /// By the first packet of the client.
    Mysql,
    /// By an element of XML.
    Xmpp,
    /// By the first message.
    Rdp,
    /// The beginning was lost: a hello at the beginning of a piece is believed.
    Unknown,
}

/// How a protocol asks for TLS; `None` for those that don't.
pub const fn style_of(protocol: AppProtocol) -> Option<Style> {
    match protocol {
        AppProtocol::Smtp
        | AppProtocol::Imap
        | AppProtocol::Pop3
        | AppProtocol::Ftp
        | AppProtocol::Nntp
        | AppProtocol::Irc => Some(Style::Lines),
        AppProtocol::Ldap => Some(Style::Ldap),
        AppProtocol::Postgres => Some(Style::Postgres),
        AppProtocol::Mysql => Some(Style::Mysql),
        AppProtocol::Xmpp => Some(Style::Xmpp),
        AppProtocol::Rdp => Some(Style::Rdp),
        _ => None,
    }
}

/// Commands that clients begin with.
const COMMANDS: [&[u8]; 14] = [
    b"EHLO ",
    b"HELO ",
    b"LHLO ",
    b"AUTH ",
    b"STARTTLS\r",
    b"STLS\r",
    b"CAPA\r",
    b"CAP LS",
    b"NICK ",
    b"USER ",
    b"FEAT\r",
    b". CAPABILITY",
    b"CAPABILITIES\r",
    b"<stream:stream",
];
/// A stream of XMPP may begin so, and so may any other text, of a server too.
const XML: &[u8] = b"<?xml";
/// How the packet of MySQL begins by which its client asks, and how long it is.
const MYSQL_HEAD: [u8; 4] = [32, 0, 0, 1];
const MYSQL_BYTES: usize = 36;

/// Whether the bytes are too few to tell, and may become one of the protocols that ask for TLS.
pub fn may_begin(head: &[u8], ports: (u16, u16)) -> bool {
    /// Shorter than anything that is recognised.
    const FEW: usize = 12;
    let is_command = COMMANDS.iter().any(|command| {
        command
            .get(..head.len())
            .is_some_and(|part| part.eq_ignore_ascii_case(head))
    });
    let on_port = head.len() < FEW
        && match (style_on(ports.0).or(style_on(ports.1)), head) {
            (Some(Style::Lines), [first, ..]) => first.is_ascii_graphic() && !head.contains(&b'\n'),
            (Some(Style::Ldap), [first, ..]) => *first == 0x30,
            (Some(Style::Postgres), [first, ..]) => *first == 0 && head.len() < 8,
            (Some(Style::Rdp), [first, ..]) => *first == 3,
            _ => false,
        }
        || style_on(ports.1) == Some(Style::Mysql)
            && head.len() < MYSQL_BYTES
            && head
                .iter()
                .zip(MYSQL_HEAD)
                .all(|(byte, wanted)| *byte == wanted);
    !head.is_empty() && (is_command || on_port || XML.starts_with(head))
}

/// Where the beginning of the client's stream was not seen: whether it speaks here, by words that no server says.
pub fn is_command(head: &[u8]) -> bool {
    COMMANDS.iter().any(|command| {
        head.get(..command.len())
            .is_some_and(|part| part.eq_ignore_ascii_case(command))
    }) || watch::asks(head.split(|byte| *byte == b'\n').next().unwrap_or_default())
        || watch::asks_in_a_message(head)
}

/// Whether the bytes are text on a port where a session is one of lines.
pub fn is_line(head: &[u8], ports: (u16, u16)) -> bool {
    style_on(ports.1) == Some(Style::Lines)
        && head
            .iter()
            .take_while(|byte| **byte != b'\n')
            .all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r'))
}

/// Whether the bytes are what a server says when it is connected to.
pub const fn is_greeting(head: &[u8]) -> bool {
    matches!(
        head,
        [b'1'..=b'5', b'0'..=b'9', b'0'..=b'9', b' ' | b'-', ..]
            | [b'*', b' ', ..]
            | [b'+', b'O', b'K', ..]
    )
}

/// What is spoken on a port before TLS; only of use where there are too few bytes to tell.
const fn style_on(port: u16) -> Option<Style> {
    match port {
        21 | 25 | 110 | 119 | 143 | 587 | 2121 | 2525 | 4190 | 6660..=6669 => Some(Style::Lines),
        389 | 3268 => Some(Style::Ldap),
        5432 => Some(Style::Postgres),
        3306 => Some(Style::Mysql),
        3389 => Some(Style::Rdp),
        _ => None,
    }
}

/// Watches any bytes in one piece and in two: the target that fuzzing calls.
///
/// # Panics
///
/// When what it checks does not hold.
pub fn fuzz_watch(style: u8, bytes: &[u8], cut: usize) {
    const STYLES: [Style; 6] = [
        Style::Lines,
        Style::Ldap,
        Style::Postgres,
        Style::Mysql,
        Style::Xmpp,
        Style::Rdp,
    ];
    let number = usize::from(style).checked_rem(STYLES.len()).unwrap_or(0);
    let style = STYLES.get(number).copied().unwrap_or_default();
    let cut = cut.checked_rem(bytes.len().saturating_add(1)).unwrap_or(0);
    let (head, tail) = bytes.split_at_checked(cut).unwrap_or((bytes, &[]));
    let begun = || {
        let mut watch = TlsWatch::default();
        watch.begin(style, 4096);
        watch
    };
    let (mut one, mut two) = (begun(), begun());
    let (found, rest) = one.feed(bytes);
    let (mut again, left) = two.feed(head);
    let mut left = left.len().saturating_add(tail.len());
    if again == Watched::Nothing {
        let (found, rest) = two.feed(tail);
        (again, left) = (found, rest.len());
    }
    assert!(found == again, "{found:?} {again:?}");
    if found == Watched::Tls {
        assert!(rest.len() == left, "pieces end elsewhere");
        assert!(rest.first() == Some(&0x16));
    }
    two.lost();
    let _ = two.feed(bytes);
}
