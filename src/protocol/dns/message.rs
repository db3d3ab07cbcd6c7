//! A DNS message → questions and answers with their names written out, kept in one text pool.

use super::service::{Parameter, parameters, protocols};
use super::walk::{Header, RecordAt, Walk};
use super::{
    ALPN_TEXT_MAX, ANSWERS_MAX, CLASS_IN, CLASS_MULTICAST_BIT, DnsError, HEADER_LEN, HINTS_MAX,
    QUESTIONS_MAX, TYPE_A, TYPE_AAAA, TYPE_CNAME, TYPE_DNAME, TYPE_HTTPS, TYPE_OPT, TYPE_SVCB,
    name,
};
use crate::wire::Reader;

/// Opcode of an ordinary query.
const QUERY: u8 = 0;
/// A pointer to the first question, which is how nearly every answer names its owner.
const POINTER_TO_QUESTION: [u8; 2] = [0xc0, HEADER_LEN as u8];

/// One message, reused from message to message: it keeps its memory and allocates nothing once warm.
#[derive(Debug, Default)]
pub struct Message {
    header: Header,
    extended_rcode: u8,
    damage: Option<DnsError>,
    questions_left_out: u16,
    answers_left_out: u16,
    questions: Vec<KeptQuestion>,
    answers: Vec<KeptAnswer>,
    hints: Vec<[u8; 16]>,
    text: Vec<u8>,
}

/// A question (RFC 1035 §4.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question<'a> {
    /// The name as text, in the case it was sent in, without a final dot; the root is `.`. A dot or a backslash within a label
    /// stands behind a backslash; other bytes are as on the wire.
    pub name: &'a [u8],
    /// QTYPE.
    pub kind: u16,
    /// QCLASS as sent. The top bit of multicast DNS (a unicast response is wanted) is in it.
    pub class: u16,
}

/// A record of the answer section (RFC 1035 §4.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The owner, in the form of [`Question::name`].
    pub name: &'a [u8],
    /// TYPE.
    pub kind: u16,
    /// How long it may be cached, in seconds; 0 where the top bit is set (RFC 2181 §8).
    pub ttl: u32,
    /// What it says.
    pub data: Data<'a>,
}

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data<'a> {
    /// A or AAAA; IPv4 as `::ffff:a.b.c.d` (RFC 4291 §2.5.5.2).
    Address([u8; 16]),
    /// The target of a CNAME or DNAME.
    Alias(&'a [u8]),
    /// SVCB or HTTPS (RFC 9460).
    Service {
        /// 0: an alias to `target`; otherwise the lower the earlier.
        priority: u16,
        /// The target. Where the wire says `.` and the priority is not 0, that is the owner (RFC 9460 §2.5.2): then the owner.
        target: &'a [u8],
        /// Addresses given along, which clients use before they resolve the target (RFC 9460 §7.3).
        hints: ServiceHints<'a>,
        /// Protocols that it speaks, with commas between: `h2,h3`; at most [`ALPN_TEXT_MAX`] bytes of whole ones.
        alpn: &'a [u8],
        /// A configuration for Encrypted ClientHello was given (RFC 9848): the names of flows to it can be covers.
        ech: bool,
    },
    /// A record of another type, of another class, of a message that is no query, or one whose data cannot be read.
    Other(u16),
}

/// The `ipv4hint` and `ipv6hint` of a service, as [`Data::Address`] gives addresses.
pub type ServiceHints<'a> = &'a [[u8; 16]];

/// A stretch of the text pool.
#[derive(Clone, Copy, Debug)]
struct Text {
    start: u32,
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
    Service {
        priority: u16,
        target: Text,
        hints_start: u32,
        hints_len: u32,
        alpn: Text,
        ech: bool,
    },
    Other,
}

impl Message {
    /// Reads a message: what a UDP datagram holds, or what a [`super::StreamAssembler`] gives.
    ///
    /// An error says that not even the first question could be read; the message is empty then, but for its header fields.
    /// Damage behind the first question is [`Self::damage`], and what was read before it is there.
    #[inline]
    pub fn parse(&mut self, bytes: &[u8]) -> Result<(), DnsError> {
        self.clear();
        let mut walk = Walk::new(bytes).ok_or(DnsError::ShortHeader)?;
        self.header = walk.header();
        if let Err(damage) = self.sections(bytes, &mut walk) {
            if self.questions.is_empty() && self.header.questions > 0 {
                return Err(damage);
            }
            self.damage = Some(damage);
        }
        Ok(())
    }

    /// The number that joins a query and its response.
    pub const fn id(&self) -> u16 {
        self.header.id
    }

    /// Whether it says that it is a response.
    pub const fn is_response(&self) -> bool {
        self.header.is_response()
    }

    /// 0 is a query, 5 an update; the rest: RFC 6895 §2.2.
    pub const fn opcode(&self) -> u8 {
        self.header.opcode()
    }

    /// Response code with the eight upper bits of EDNS (RFC 6891 §6.1.3): 0 no error, 2 failure, 3 no such name, 5 refused.
    pub const fn rcode(&self) -> u16 {
        (self.extended_rcode as u16) << 4 | self.header.rcode() as u16
    }

    /// TC: the server left something out; the client asks again over TCP.
    pub const fn truncated(&self) -> bool {
        self.header.flags & 0x0200 != 0
    }

    /// AA: the server is the authority for the name.
    pub const fn authoritative(&self) -> bool {
        self.header.flags & 0x0400 != 0
    }

    /// RD: somebody who wants the work done asks, not a resolver that walks the tree.
    pub const fn recursion_desired(&self) -> bool {
        self.header.flags & 0x0100 != 0
    }

    /// RA: the server is a resolver.
    pub const fn recursion_available(&self) -> bool {
        self.header.flags & 0x0080 != 0
    }

    /// What is wrong behind the part that could be read.
    pub const fn damage(&self) -> Option<DnsError> {
        self.damage
    }

    /// Whether something behind the part that could be read is wrong, or missing.
    pub const fn damaged(&self) -> bool {
        self.damage.is_some()
    }

    /// Questions beyond [`QUESTIONS_MAX`].
    pub const fn questions_left_out(&self) -> u16 {
        self.questions_left_out
    }

    /// Answers beyond [`ANSWERS_MAX`].
    pub const fn answers_left_out(&self) -> u16 {
        self.answers_left_out
    }

    /// The questions, in order.
    pub fn questions(&self) -> impl Iterator<Item = Question<'_>> {
        self.questions.iter().map(|kept| Question {
            name: self.text(kept.name),
            kind: kept.kind,
            class: kept.class,
        })
    }

    /// The records of the answer section, in order. Authority and additional records say nothing about what was asked.
    pub fn answers(&self) -> impl Iterator<Item = Answer<'_>> {
        self.answers.iter().map(|kept| Answer {
            name: self.text(kept.name),
            kind: kept.kind,
            ttl: kept.ttl,
            data: match kept.data {
                KeptData::Address(address) => Data::Address(address),
                KeptData::Alias(target) => Data::Alias(self.text(target)),
                KeptData::Service {
                    priority,
                    target,
                    hints_start,
                    hints_len,
                    alpn,
                    ech,
                } => Data::Service {
                    priority,
                    target: self.text(target),
                    hints: self.hints(hints_start, hints_len),
                    alpn: self.text(alpn),
                    ech,
                },
                KeptData::Other => Data::Other(kept.kind),
            },
        })
    }

    /// Bytes of names held.
    pub fn held_bytes(&self) -> usize {
        self.text.len()
    }

    fn clear(&mut self) {
        self.header = Header::default();
        self.extended_rcode = 0;
        self.damage = None;
        self.questions_left_out = 0;
        self.answers_left_out = 0;
        self.questions.clear();
        self.answers.clear();
        self.hints.clear();
        self.text.clear();
    }

    fn text(&self, text: Text) -> &[u8] {
        let start = text.start as usize;
        self.text
            .get(start..start.saturating_add(text.len as usize))
            .unwrap_or_default()
    }

    fn hints(&self, start: u32, len: u32) -> &[[u8; 16]] {
        let start = start as usize;
        self.hints
            .get(start..start.saturating_add(len as usize))
            .unwrap_or_default()
    }

    fn sections(&mut self, bytes: &[u8], walk: &mut Walk<'_>) -> Result<(), DnsError> {
        for _ in 0..self.header.questions {
            let question = walk.question()?;
            if self.questions.len() < QUESTIONS_MAX {
                let name = self.name(bytes, question.name)?;
                self.questions.push(KeptQuestion {
                    name,
                    kind: question.kind,
                    class: question.class,
                });
            } else {
                self.questions_left_out = self.questions_left_out.saturating_add(1);
            }
        }
        for _ in 0..self.header.answers {
            let record = walk.record()?;
            if record.kind == TYPE_OPT {
                self.damage = self.damage.or(Some(DnsError::MisplacedOpt));
            } else if self.answers.len() < ANSWERS_MAX {
                self.answer(bytes, &record)?;
            } else {
                self.answers_left_out = self.answers_left_out.saturating_add(1);
            }
        }
        for _ in 0..self.header.authorities {
            walk.record()?;
        }
        for _ in 0..self.header.additionals {
            let record = walk.record()?;
            if record.kind == TYPE_OPT {
                // Its TTL is not one: the first byte extends the response code (RFC 6891 §6.1.3).
                let [extended, ..] = record.ttl.to_be_bytes();
                self.extended_rcode = extended;
            }
        }
        Ok(())
    }

    /// Keeps an answer. Data that cannot be read costs the data, not the answers behind it.
    fn answer(&mut self, bytes: &[u8], record: &RecordAt) -> Result<(), DnsError> {
        let name = self.name(bytes, record.name)?;
        let data = self.data(bytes, record, name).unwrap_or_else(|damage| {
            self.damage = self.damage.or(Some(damage));
            KeptData::Other
        });
        self.answers.push(KeptAnswer {
            name,
            kind: record.kind,
            ttl: if record.ttl > i32::MAX as u32 {
                0
            } else {
                record.ttl
            },
            data,
        });
        Ok(())
    }

    fn data(&mut self, bytes: &[u8], record: &RecordAt, owner: Text) -> Result<KeptData, DnsError> {
        if record.class & !CLASS_MULTICAST_BIT != CLASS_IN || self.opcode() != QUERY {
            return Ok(KeptData::Other);
        }
        let end = record.data.saturating_add(usize::from(record.data_len));
        let data = bytes.get(record.data..end).unwrap_or_default();
        match record.kind {
            TYPE_A => {
                let address: [u8; 4] = data.try_into().map_err(|_| DnsError::BadData)?;
                Ok(KeptData::Address(mapped(address)))
            }
            TYPE_AAAA => {
                let address = data.try_into().map_err(|_| DnsError::BadData)?;
                Ok(KeptData::Address(address))
            }
            TYPE_CNAME | TYPE_DNAME => {
                if name::end_in_place(bytes, record.data)? > end {
                    return Err(DnsError::BadData);
                }
                self.name(bytes, record.data).map(KeptData::Alias)
            }
            TYPE_SVCB | TYPE_HTTPS => self.service(bytes, record, owner, end),
            _ => Ok(KeptData::Other),
        }
    }

    /// RFC 9460 §2.2: priority, target, parameters.
    fn service(
        &mut self,
        bytes: &[u8],
        record: &RecordAt,
        owner: Text,
        end: usize,
    ) -> Result<KeptData, DnsError> {
        let target_at = record.data.saturating_add(2);
        let parameters_at = name::end_in_place(bytes, target_at)?;
        let values = bytes.get(parameters_at..end).ok_or(DnsError::BadData)?;
        let priority = Reader::new(bytes.get(record.data..end).unwrap_or_default()).u16()?;
        let is_owner = priority != 0 && bytes.get(target_at) == Some(&0);
        let target = if is_owner {
            owner
        } else {
            self.name(bytes, target_at)?
        };
        let hints_start = self.hints.len() as u32;
        let alpn_start = self.text.len();
        let mut ech = false;
        parameters(values, |parameter| match parameter {
            Parameter::Ipv4Hint(value) => {
                let (addresses, _) = value.as_chunks::<4>();
                for v4 in addresses {
                    self.hint(mapped(*v4));
                }
            }
            Parameter::Ipv6Hint(value) => {
                let (addresses, _) = value.as_chunks::<16>();
                for v6 in addresses {
                    self.hint(*v6);
                }
            }
            Parameter::Alpn(value) => self.alpn(alpn_start, value),
            Parameter::Ech => ech = true,
        })?;
        Ok(KeptData::Service {
            priority,
            target,
            hints_start,
            hints_len: (self.hints.len() as u32).saturating_sub(hints_start),
            alpn: Text {
                start: alpn_start as u32,
                len: self.text.len().saturating_sub(alpn_start) as u32,
            },
            ech,
        })
    }

    /// Writes the protocols of a service into the pool, behind `start`.
    fn alpn(&mut self, start: usize, value: &[u8]) {
        for protocol in protocols(value) {
            let held = self.text.len().saturating_sub(start);
            if held.saturating_add(1).saturating_add(protocol.len()) > ALPN_TEXT_MAX {
                return;
            }
            if held > 0 {
                self.text.push(b',');
            }
            self.text.extend_from_slice(protocol);
        }
    }

    fn hint(&mut self, address: [u8; 16]) {
        if self.hints.len() < HINTS_MAX {
            self.hints.push(address);
        }
    }

    /// Writes the name at `start` into the pool.
    fn name(&mut self, bytes: &[u8], start: usize) -> Result<Text, DnsError> {
        if let Some(first) = self.questions.first()
            && bytes.get(start..).and_then(<[u8]>::first_chunk) == Some(&POINTER_TO_QUESTION)
        {
            return Ok(first.name);
        }
        let before = self.text.len();
        name::append(bytes, start, &mut self.text)?;
        Ok(Text {
            start: before as u32,
            len: self.text.len().saturating_sub(before) as u32,
        })
    }
}

/// An IPv4 address as IPv6 writes it.
fn mapped([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}
