//! Bytes of one DNS message → questions and answers (RFC 1035 §4, RFC 2181, RFC 6891, RFC 9460), and the messages of a TCP
//! stream (RFC 1035 §4.2.2, RFC 7766).
//!
//! Multicast DNS (RFC 6762) and LLMNR (RFC 4795) have the same format and are read alike; which of them it is, the port says.
//!
//! **Invariants**: the work on a message is bounded by its length and [`NAMES_MAX`] names; a name cannot point at itself, since a
//! pointer must go backwards and only [`POINTERS_MAX`] are followed.

mod assembler;
mod message;
mod name;
mod service;
mod walk;

#[cfg(test)]
mod tests;

pub use assembler::StreamAssembler;
pub use message::{Answer, Data, Message, Question, ServiceHints};
pub use name::{NAME_TEXT_MAX, POINTERS_MAX};

pub(in crate::protocol) use name::{end_in_place, labels};
use walk::{Header, Walk};

/// Questions kept of a message. Most have one; multicast DNS asks for two dozen at once.
pub const QUESTIONS_MAX: usize = 32;
/// Answers kept of a message; the largest round-robin sets seen have about 30.
pub const ANSWERS_MAX: usize = 64;
/// Names read of a message: of each question, and two for each answer.
pub const NAMES_MAX: usize = QUESTIONS_MAX + 2 * ANSWERS_MAX;
/// Address hints kept of a message, over all its SVCB and HTTPS records.
pub const HINTS_MAX: usize = 64;
/// Text kept of the protocols of a service, with commas between; whole protocols only. Those in use are a handful: `h2,h3`.
pub const ALPN_TEXT_MAX: usize = 64;
/// The shortest message: a header.
pub const HEADER_LEN: usize = 12;

/// Type A, an IPv4 address (RFC 1035 §3.4.1).
pub const TYPE_A: u16 = 1;
/// Type CNAME, an alias (RFC 1035 §3.3.1).
pub const TYPE_CNAME: u16 = 5;
/// Type AAAA, an IPv6 address (RFC 3596 §2.1).
pub const TYPE_AAAA: u16 = 28;
/// Type DNAME, an alias of a whole subtree (RFC 6672 §2.1).
pub const TYPE_DNAME: u16 = 39;
/// Type OPT, the pseudo-record of EDNS (RFC 6891 §6.1.1).
const TYPE_OPT: u16 = 41;
/// Type SVCB (RFC 9460 §14.1).
pub const TYPE_SVCB: u16 = 64;
/// Type HTTPS (RFC 9460 §14.1).
pub const TYPE_HTTPS: u16 = 65;

/// Class IN, the internet (RFC 1035 §3.2.4).
pub const CLASS_IN: u16 = 1;
/// What multicast DNS puts into the top bit of a class: unicast response wanted, or cache flush (RFC 6762 §18.12, §18.13).
const CLASS_MULTICAST_BIT: u16 = 0x8000;

/// Why bytes are no message that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// Fewer bytes than a header has.
    #[error("shorter than a header")]
    ShortHeader,
    /// The bytes end inside a name or a record.
    #[error("ends inside a name or a record")]
    Truncated,
    /// A label begins with bits that no standard gives a meaning (RFC 1035 §4.1.4; RFC 6891 §5 withdrew the only other use).
    #[error("a label of an unknown type")]
    BadLabel,
    /// A pointer that does not go backwards, or too many of them in one name.
    #[error("a compression pointer that does not go backwards")]
    BadPointer,
    /// A name longer than 255 bytes (RFC 1035 §2.3.4), on the wire or written out.
    #[error("a name longer than 255 bytes")]
    NameTooLong,
    /// The pseudo-record of EDNS among the answers (RFC 6891 §6.1.1 has it among the additional records only).
    #[error("the pseudo-record of EDNS among the answers")]
    MisplacedOpt,
    /// The data of a record has another length than its type asks for.
    #[error("record data of a wrong length")]
    BadData,
}

impl From<crate::wire::Truncated> for DnsError {
    fn from(_: crate::wire::Truncated) -> Self {
        Self::Truncated
    }
}

/// Whether a payload is certainly a DNS message by its content, for ports other than DNS's own.
///
/// Strict: counts and flags that make sense, printable names, known classes, and every section is whole with nothing behind it.
/// A message cut by a snap length is therefore refused.
pub fn looks_like_message(bytes: &[u8]) -> bool {
    looks_like(bytes, Strictness::Whole)
}

/// As [`looks_like_message`], but the bytes may end early, for ports where DNS is at home: the header and the first question,
/// or the first record where there is no question, must make sense.
pub fn begins_like_message(bytes: &[u8]) -> bool {
    looks_like(bytes, Strictness::Beginning)
}

/// Whether the first bytes of a stream on a port of DNS can begin with a message behind its length: any prefix of one can.
pub fn looks_like_stream(stream: &[u8]) -> bool {
    let Some((prefix, message)) = stream.split_first_chunk::<2>() else {
        return true;
    };
    let len = usize::from(u16::from_be_bytes(*prefix));
    let message = message.get(..len).unwrap_or(message);
    len >= HEADER_LEN
        && match Walk::new(message) {
            None => true,
            Some(walk) if message.len() < len => plausible(walk.header(), Strictness::Beginning),
            Some(_) => looks_like(message, Strictness::Beginning),
        }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Strictness {
    Whole,
    Beginning,
}

fn looks_like(bytes: &[u8], strictness: Strictness) -> bool {
    let Some(mut walk) = Walk::new(bytes) else {
        return false;
    };
    let header = walk.header();
    if !plausible(header, strictness) {
        return false;
    }
    for _ in 0..header.questions {
        let Ok(question) = walk.question() else {
            return false;
        };
        let is_named =
            strictness == Strictness::Beginning || name::is_printable(bytes, question.name);
        if !is_named || question.kind == 0 || !known_class(question.class) {
            return false;
        }
    }
    let records = u32::from(header.answers)
        .saturating_add(u32::from(header.authorities))
        .saturating_add(u32::from(header.additionals));
    for at in 0..records {
        match walk.record() {
            Ok(record) => {
                let known = record.kind == TYPE_OPT || known_class(record.class);
                if record.kind == 0 || !known {
                    return false;
                }
            }
            Err(_) => {
                return strictness == Strictness::Beginning && (header.questions > 0 || at > 0);
            }
        }
        if strictness == Strictness::Beginning {
            return true;
        }
    }
    strictness == Strictness::Beginning || walk.is_at_end()
}

/// What a header of a message that stands alone can say: anything else is another protocol. Where DNS is at home there may be
/// several questions, which servers refuse (RFC 9619); elsewhere one.
fn plausible(header: Header, strictness: Strictness) -> bool {
    /// Query, notify (RFC 1996) and update (RFC 2136).
    const OPCODES: [u8; 3] = [0, 4, 5];
    /// The largest assigned without EDNS is 11 (DSOTYPENI, RFC 8490).
    const RCODE_MAX: u8 = 11;
    const RECORDS_MAX: u16 = 512;
    let most = match strictness {
        Strictness::Whole => 1,
        Strictness::Beginning => QUESTIONS_MAX as u16,
    };
    if !OPCODES.contains(&header.opcode()) || header.reserved() || header.rcode() > RCODE_MAX {
        return false;
    }
    if header.answers > RECORDS_MAX
        || header.authorities > RECORDS_MAX
        || header.additionals > RECORDS_MAX
    {
        return false;
    }
    if header.is_response() {
        header.questions <= most && (header.questions > 0 || header.answers > 0)
    } else {
        (1..=most).contains(&header.questions)
            && header.rcode() == 0
            && (header.opcode() != 0 || (header.answers == 0 && header.additionals <= 2))
    }
}

/// IN, CH, HS, NONE and ANY (RFC 6895 §3.2), with or without the bit of multicast DNS.
fn known_class(class: u16) -> bool {
    matches!(class & !CLASS_MULTICAST_BIT, 1 | 3 | 4 | 254 | 255)
}

/// Reads any bytes as a message, whole and as a stream in two pieces; holds every bound: the target that fuzzing calls.
///
/// # Panics
///
/// When what it checks does not hold.
pub fn fuzz_message(bytes: &[u8], cut: usize) {
    let mut message = Message::default();
    let whole = message.parse(bytes);
    assert!(message.questions().count() <= QUESTIONS_MAX);
    assert!(message.answers().count() <= ANSWERS_MAX);
    let alpn_max = ANSWERS_MAX.saturating_mul(ALPN_TEXT_MAX);
    assert!(
        message.held_bytes()
            <= NAMES_MAX
                .saturating_mul(NAME_TEXT_MAX)
                .saturating_add(alpn_max)
    );
    for question in message.questions() {
        assert!((1..=NAME_TEXT_MAX).contains(&question.name.len()));
    }
    for answer in message.answers() {
        assert!((1..=NAME_TEXT_MAX).contains(&answer.name.len()));
        assert!(
            answer.kind != TYPE_OPT,
            "the pseudo-record among the answers"
        );
    }
    if looks_like_message(bytes) {
        assert!(
            whole.is_ok(),
            "what looks like a message cannot be read: {whole:?}"
        );
        assert!(begins_like_message(bytes));
    }
    let mut again = Message::default();
    assert!(again.parse(bytes) == whole, "read twice, two results");

    let cut = cut.checked_rem(bytes.len().saturating_add(1)).unwrap_or(0);
    let (head, tail) = bytes.split_at_checked(cut).unwrap_or((bytes, &[]));
    let (mut in_one, mut in_two) = (Vec::new(), Vec::new());
    let mut assembler = StreamAssembler::default();
    let one = assembler.feed(bytes, &mut |found: &[u8]| in_one.push(found.to_vec()));
    assembler.reset();
    let _ = assembler.feed(head, &mut |found: &[u8]| in_two.push(found.to_vec()));
    let two = assembler.feed(tail, &mut |found: &[u8]| in_two.push(found.to_vec()));
    assert!(one == two, "pieces and whole differ: {one:?} {two:?}");
    assert!(in_one == in_two, "pieces give other messages");
}
