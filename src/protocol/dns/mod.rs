//! DNS messages → questions and answers (RFC 1035 §4; EDNS RFC 6891; SVCB and HTTPS RFC 9460).
//!
//! **Invariants**: compression pointers lead backwards only, so that no message loops; at most [`QUESTIONS_MAX`] questions and
//! [`ANSWERS_MAX`] answers are kept; what was read before damage stays readable.

mod name;
mod stream;

#[cfg(test)]
mod tests;

pub use name::NAME_TEXT_MAX;
pub use stream::{StreamAssembler, looks_like_stream};

use crate::wire::{Reader, Truncated};

/// Questions kept of a message: more than one is hardly ever seen outside multicast DNS.
pub const QUESTIONS_MAX: usize = 16;
/// Answers kept of a message: what a pool of servers answers with.
pub const ANSWERS_MAX: usize = 64;

const HEADER_LEN: usize = 12;
const TYPE_A: u16 = 1;
const TYPE_CNAME: u16 = 5;
const TYPE_AAAA: u16 = 28;
const TYPE_DNAME: u16 = 39;
const TYPE_OPT: u16 = 41;
const TYPE_SVCB: u16 = 64;
const TYPE_HTTPS: u16 = 65;

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// Shorter than a header.
    #[error("shorter than a header of 12 bytes")]
    Header,
    /// The first question cannot be read, and there is nothing else.
    #[error("the question cannot be read")]
    Question,
}

/// A question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question<'a> {
    /// Name as text, letters as on the wire, without the final dot; empty for the root.
    pub name: &'a [u8],
    /// Type asked for.
    pub kind: u16,
    /// Class asked for.
    pub class: u16,
}

/// A record of the answer section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Owner, as text.
    pub name: &'a [u8],
    /// Type of the record.
    pub kind: u16,
    /// Seconds for which it may be kept.
    pub ttl: u32,
    /// What it holds.
    pub data: Data<'a>,
}

/// Content of a record, as far as it is of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data<'a> {
    /// An address, IPv4 mapped.
    Address([u8; 16]),
    /// Another name: CNAME, DNAME.
    Alias(&'a [u8]),
    /// The name that a service is offered under: SVCB, HTTPS; empty for the owner itself.
    Service(&'a [u8]),
    /// Not read.
    Other,
}

/// Bytes in the text of a message.
#[derive(Clone, Copy, Debug, Default)]
struct Text {
    at: u32,
    len: u32,
}

#[derive(Clone, Copy, Debug)]
struct KeptQuestion {
    name: Text,
    kind: u16,
    class: u16,
}

#[derive(Clone, Copy, Debug)]
struct KeptAnswer {
    name: Text,
    kind: u16,
    ttl: u32,
    data: KeptData,
}

#[derive(Clone, Copy, Debug)]
enum KeptData {
    Address([u8; 16]),
    Alias(Text),
    Service(Text),
    Other,
}

/// One message. Reused from message to message: parsing keeps the memory.
#[derive(Debug, Default)]
pub struct Message {
    id: u16,
    flags: u16,
    extended_rcode: u8,
    questions: Vec<KeptQuestion>,
    answers: Vec<KeptAnswer>,
    text: Vec<u8>,
    damaged: bool,
    answers_left_out: u16,
}

impl Message {
    /// Reads a message. What was read before this call is forgotten, whatever comes of it.
    pub fn parse(&mut self, bytes: &[u8]) -> Result<(), DnsError> {
        self.questions.clear();
        self.answers.clear();
        self.text.clear();
        self.extended_rcode = 0;
        self.damaged = false;
        self.answers_left_out = 0;
        let mut reader = Reader::new(bytes);
        let mut field = || reader.u16().map_err(|Truncated| DnsError::Header);
        let (id, flags, questions, answers, authorities, additionals) =
            (field()?, field()?, field()?, field()?, field()?, field()?);
        (self.id, self.flags) = (id, flags);
        let mut sections = Sections {
            bytes,
            at: HEADER_LEN,
        };
        for number in 0..questions {
            if self.question(&mut sections).is_err() {
                if number == 0 {
                    return Err(DnsError::Question);
                }
                self.damaged = true;
                return Ok(());
            }
        }
        let records = self
            .answer_section(&mut sections, answers)
            .and_then(|()| self.find_options(&mut sections, authorities, additionals));
        self.damaged = records.is_err();
        Ok(())
    }

    /// Identifier.
    pub const fn id(&self) -> u16 {
        self.id
    }

    /// Whether it is a response.
    pub const fn is_response(&self) -> bool {
        self.flags & 0x8000 != 0
    }

    /// Kind of question: 0 is a standard query.
    pub const fn opcode(&self) -> u16 {
        (self.flags >> 11) & 0x0f
    }

    /// Whether the answer did not fit.
    pub const fn truncated(&self) -> bool {
        self.flags & 0x0200 != 0
    }

    /// Response code, extended where EDNS says so (RFC 6891 §6.1.3).
    pub const fn rcode(&self) -> u16 {
        (self.extended_rcode as u16) << 4 | self.flags & 0x0f
    }

    /// Whether it ends, or contradicts itself, before everything that it announces was read.
    pub const fn is_damaged(&self) -> bool {
        self.damaged
    }

    /// Answers beyond those kept.
    pub const fn answers_left_out(&self) -> u16 {
        self.answers_left_out
    }

    /// Its questions, at most [`QUESTIONS_MAX`].
    pub fn questions(&self) -> impl ExactSizeIterator<Item = Question<'_>> {
        self.questions.iter().map(|question| Question {
            name: self.text(question.name),
            kind: question.kind,
            class: question.class,
        })
    }

    /// Its answers, at most [`ANSWERS_MAX`].
    pub fn answers(&self) -> impl ExactSizeIterator<Item = Answer<'_>> {
        self.answers.iter().map(|answer| Answer {
            name: self.text(answer.name),
            kind: answer.kind,
            ttl: answer.ttl,
            data: match answer.data {
                KeptData::Address(address) => Data::Address(address),
                KeptData::Alias(name) => Data::Alias(self.text(name)),
                KeptData::Service(name) => Data::Service(self.text(name)),
                KeptData::Other => Data::Other,
            },
        })
    }

    fn text(&self, text: Text) -> &[u8] {
        self.text
            .get(text.at as usize..)
            .and_then(|rest| rest.get(..text.len as usize))
            .unwrap_or_default()
    }

    /// Reads a name at the position of `sections` and moves behind it.
    fn name(&mut self, sections: &mut Sections<'_>) -> Result<Text, Truncated> {
        let at = self.text.len() as u32;
        sections.at = name::read(sections.bytes, sections.at, &mut self.text)?;
        Ok(Text {
            at,
            len: (self.text.len() as u32).saturating_sub(at),
        })
    }

    fn question(&mut self, sections: &mut Sections<'_>) -> Result<(), Truncated> {
        let name = self.name(sections)?;
        let (kind, class) = (sections.u16()?, sections.u16()?);
        if self.questions.len() < QUESTIONS_MAX {
            self.questions.push(KeptQuestion { name, kind, class });
        }
        Ok(())
    }

    fn answer_section(
        &mut self,
        sections: &mut Sections<'_>,
        count: u16,
    ) -> Result<(), Truncated> {
        for number in 0..count {
            if self.answers.len() >= ANSWERS_MAX {
                self.answers_left_out = count.saturating_sub(number);
                return Err(Truncated);
            }
            let name = self.name(sections)?;
            let head = sections.record()?;
            let data = match head.kind {
                TYPE_A => sections
                    .data(&head)?
                    .first_chunk::<4>()
                    .map_or(KeptData::Other, |v4| KeptData::Address(mapped(*v4))),
                TYPE_AAAA => sections
                    .data(&head)?
                    .first_chunk::<16>()
                    .map_or(KeptData::Other, |v6| KeptData::Address(*v6)),
                TYPE_CNAME | TYPE_DNAME => {
                    let mut inside = *sections;
                    KeptData::Alias(self.name(&mut inside)?)
                }
                TYPE_SVCB | TYPE_HTTPS => {
                    let mut inside = *sections;
                    inside.u16()?;
                    KeptData::Service(self.name(&mut inside)?)
                }
                _ => KeptData::Other,
            };
            sections.pass(&head)?;
            self.answers.push(KeptAnswer {
                name,
                kind: head.kind,
                ttl: head.ttl,
                data,
            });
        }
        Ok(())
    }

    /// The pseudo-record that extends the response code stands among the additional records.
    fn find_options(
        &mut self,
        sections: &mut Sections<'_>,
        authorities: u16,
        additionals: u16,
    ) -> Result<(), Truncated> {
        /// Records behind the answers that are walked.
        const WALKED_MAX: u16 = 64;
        let count = authorities.saturating_add(additionals).min(WALKED_MAX);
        for _ in 0..count {
            sections.at = name::skip(sections.bytes, sections.at)?;
            let head = sections.record()?;
            if head.kind == TYPE_OPT {
                let [high, ..] = head.ttl.to_be_bytes();
                self.extended_rcode = high;
            }
            sections.pass(&head)?;
        }
        Ok(())
    }
}

/// A position in a message.
#[derive(Clone, Copy)]
struct Sections<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// What stands between the owner of a record and its content.
struct RecordHead {
    kind: u16,
    ttl: u32,
    len: u16,
}

impl<'a> Sections<'a> {
    fn reader(&self) -> Reader<'a> {
        Reader::new(self.bytes.get(self.at..).unwrap_or_default())
    }

    fn u16(&mut self) -> Result<u16, Truncated> {
        let value = self.reader().u16()?;
        self.at = self.at.saturating_add(2);
        Ok(value)
    }

    fn record(&mut self) -> Result<RecordHead, Truncated> {
        let mut reader = self.reader();
        let (kind, _class, ttl, len) = (reader.u16()?, reader.u16()?, reader.u32()?, reader.u16()?);
        self.at = self.at.saturating_add(10);
        Ok(RecordHead { kind, ttl, len })
    }

    fn data(&self, head: &RecordHead) -> Result<&'a [u8], Truncated> {
        self.reader().take(usize::from(head.len))
    }

    fn pass(&mut self, head: &RecordHead) -> Result<(), Truncated> {
        self.data(head)?;
        self.at = self.at.saturating_add(usize::from(head.len));
        Ok(())
    }
}

fn mapped(v4: [u8; 4]) -> [u8; 16] {
    std::net::Ipv4Addr::from(v4).to_ipv6_mapped().octets()
}

/// Whether any payload is a message by its content: plausible flags and counts, and a first question that can be read, of a
/// class that is used.
pub fn looks_like_message(bytes: &[u8]) -> bool {
    if !plausible_header(bytes) {
        return false;
    }
    let Ok(behind) = name::skip(bytes, HEADER_LEN) else {
        return false;
    };
    let tail = bytes
        .get(behind..)
        .and_then(|rest| rest.first_chunk::<4>())
        .copied();
    // The Internet, with or without the wish for a unicast answer; chaos; none; any.
    tail.is_some_and(|[k0, k1, c0, c1]| {
        u16::from_be_bytes([k0, k1]) != 0 && c0 & 0x7f == 0 && matches!(c1, 1 | 3 | 254 | 255)
    })
}

/// Whether flags and counts are those of a question or an answer.
fn plausible_header(bytes: &[u8]) -> bool {
    let Some((header, _)) = bytes.split_first_chunk::<HEADER_LEN>() else {
        return false;
    };
    let [_, _, f0, f1, q0, q1, a0, a1, n0, n1, r0, r1] = *header;
    let flags = u16::from_be_bytes([f0, f1]);
    let opcode = (flags >> 11) & 0x0f;
    let reserved = flags & 0x0040;
    let [questions, answers, authorities, additionals] =
        [[q0, q1], [a0, a1], [n0, n1], [r0, r1]].map(u16::from_be_bytes);
    let is_response = flags & 0x8000 != 0;
    let counts = answers
        .saturating_add(authorities)
        .saturating_add(additionals);
    opcode <= 6
        && reserved == 0
        && questions == 1
        && counts <= 256
        && (is_response || answers == 0 && flags & 0x0f == 0)
}

/// Reads any bytes and checks what comes out: the target that fuzzing calls.
///
/// # Panics
///
/// When what it checks does not hold.
#[allow(clippy::panic, reason = "a fuzz target fails by panicking")]
pub fn fuzz_dns(bytes: &[u8], cut: usize) {
    let mut message = Message::default();
    if message.parse(bytes).is_ok() {
        assert!(message.questions().len() <= QUESTIONS_MAX);
        assert!(message.answers().len() <= ANSWERS_MAX);
        for question in message.questions() {
            assert!(question.name.len() <= NAME_TEXT_MAX);
        }
        for answer in message.answers() {
            assert!(answer.name.len() <= NAME_TEXT_MAX);
        }
    }
    stream::check_pieces(bytes, cut);
}
