//! DNS messages of a flow → transactions: each question with what became of it.

use std::time::Duration;

use super::Slab;
use crate::flow::Directed;
use crate::model::{AppProtocol, DnsOutcome, Timestamp};
use crate::protocol::dns::{Data, Message};

/// Bounds of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuestionLimits {
    /// Questions that wait for their answer, over all flows.
    pub pending_max: usize,
    /// Questions that wait in one flow.
    pub pending_per_flow_max: usize,
    /// How long an answer is waited for while the flow goes on.
    pub timeout: Duration,
}

/// What was seen and refused, with its reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DnsCounters {
    /// Questions in messages that could be read.
    pub questions: u64,
    /// Responses whose question was not seen.
    pub unsolicited: u64,
    /// Those of them that are not told, as the flow shows the client: second copies, late ones, forged ones.
    pub unsolicited_left_out: u64,
    /// Questions asked again before they were answered: part of the first one's transaction.
    pub repeated: u64,
    /// Messages that could not be read.
    pub malformed: u64,
    /// Messages that end early or contradict themselves; what stood before that was read.
    pub damaged: u64,
    /// Records of answers beyond those kept.
    pub answers_left_out: u64,
    /// Questions that had no room to wait; their outcome is unknown.
    pub refused: u64,
}

/// The frame that showed something, as the caller numbers frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeenFrame {
    /// Position in the whole input.
    pub seq: u64,
    /// Hash of its bytes.
    pub hash: u64,
    /// Its timestamp.
    pub time: Timestamp,
}

/// A question and what became of it.
#[derive(Debug)]
pub struct Transaction<'a> {
    /// The name asked for, as text.
    pub name: &'a [u8],
    /// Type asked for.
    pub query_type: u16,
    /// Identifier of the message.
    pub id: u16,
    /// Which way the question goes: from the client.
    pub asked: Directed,
    /// Frame of the question.
    pub query: Option<SeenFrame>,
    /// Frame of the response, and the message.
    pub response: Option<(SeenFrame, &'a Message)>,
    /// What became of it.
    pub outcome: DnsOutcome,
}

/// One message on its way.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// The message.
    pub bytes: &'a [u8],
    /// Which way it went.
    pub direction: Directed,
    /// Which name service speaks.
    pub protocol: AppProtocol,
    /// The frame that completed it.
    pub frame: SeenFrame,
    /// Whether the flow has shown packets from the client's side.
    pub client_seen: bool,
    /// Stream time.
    pub now: Timestamp,
}

#[derive(Debug, Default)]
struct Pending {
    name: Vec<u8>,
    query_type: u16,
    id: u16,
    asked: Directed,
    frame: SeenFrame,
    since: Timestamp,
}

/// Questions of one flow that wait, those asked first first. What lies behind `live` keeps its memory.
#[derive(Debug, Default)]
struct Waiting {
    slots: Vec<Pending>,
    live: usize,
}

/// Pairs the questions and answers of all flows of one shard.
#[derive(Debug)]
pub struct DnsReader {
    waiting: Slab<Waiting>,
    pending: usize,
    message: Message,
    limits: QuestionLimits,
    counters: DnsCounters,
}

impl DnsReader {
    /// A reader with these bounds.
    pub fn new(limits: QuestionLimits) -> Self {
        Self {
            waiting: Slab::default(),
            pending: 0,
            message: Message::default(),
            limits,
            counters: DnsCounters::default(),
        }
    }

    /// What was seen and refused so far.
    pub fn counters(&self) -> DnsCounters {
        self.counters
    }

    /// Takes a message. `place` is where the flow's questions wait, if any do; `show` is given every transaction that is over.
    pub fn message(
        &mut self,
        place: &mut Option<u32>,
        arrival: &Arrival<'_>,
        show: &mut impl FnMut(&Transaction<'_>),
    ) {
        if self.message.parse(arrival.bytes).is_err() {
            self.counters.malformed = self.counters.malformed.saturating_add(1);
            return;
        }
        let damaged = u64::from(self.message.damaged());
        self.counters.damaged = self.counters.damaged.saturating_add(damaged);
        let left_out = u64::from(self.message.answers_left_out());
        self.counters.answers_left_out = self.counters.answers_left_out.saturating_add(left_out);
        self.time_out(place, arrival.now, show);
        if matches!(arrival.protocol, AppProtocol::Mdns | AppProtocol::Llmnr) {
            self.asked_of_all(arrival, show);
        } else if self.message.is_response() {
            self.response(place, arrival, show);
        } else {
            self.query(place, arrival, show);
        }
    }

    /// What the sender of the last message, an answer to all, says of its own address: a name for it, and for how many seconds.
    pub fn announced(&self, sender: &[u8; 16]) -> Option<(&[u8], u32)> {
        if !self.message.is_response() {
            return None;
        }
        self.message
            .answers()
            .find(|answer| answer.data == Data::Address(*sender))
            .map(|answer| (answer.name, answer.ttl))
    }

    /// Counts a question that was read elsewhere, and waits for no answer.
    pub fn count_question(&mut self) {
        self.counters.questions = self.counters.questions.saturating_add(1);
    }

    /// Counts a message that was tried elsewhere, and could not be read.
    pub fn count_malformed(&mut self) {
        self.counters.malformed = self.counters.malformed.saturating_add(1);
    }

    /// The flow is over: nobody answers any more.
    pub fn close(&mut self, place: Option<u32>, show: &mut impl FnMut(&Transaction<'_>)) {
        let Some(number) = place else { return };
        if let Some(waiting) = self.waiting.get_mut(number) {
            for pending in waiting.slots.iter().take(waiting.live) {
                show(&pending.transaction(DnsOutcome::Unanswered));
            }
            self.pending = self.pending.saturating_sub(waiting.live);
            waiting.live = 0;
        }
        self.waiting.give_back(number);
    }

    /// On the local network everybody answers whom they like; the questions alone are told.
    fn asked_of_all(&mut self, arrival: &Arrival<'_>, show: &mut impl FnMut(&Transaction<'_>)) {
        if self.message.is_response() {
            return;
        }
        for question in self.message.questions() {
            self.counters.questions = self.counters.questions.saturating_add(1);
            show(&Transaction {
                name: question.name,
                query_type: question.kind,
                id: self.message.id(),
                asked: arrival.direction,
                query: Some(arrival.frame),
                response: None,
                outcome: DnsOutcome::Asked,
            });
        }
    }

    fn query(
        &mut self,
        place: &mut Option<u32>,
        arrival: &Arrival<'_>,
        show: &mut impl FnMut(&Transaction<'_>),
    ) {
        let id = self.message.id();
        let asked = arrival.direction;
        for question in self.message.questions() {
            self.counters.questions = self.counters.questions.saturating_add(1);
            let known = place.and_then(|number| self.waiting.get(number));
            let repeated = known.is_some_and(|waiting| {
                waiting
                    .find(id, question.name, question.kind, asked)
                    .is_some()
            });
            if repeated {
                self.counters.repeated = self.counters.repeated.saturating_add(1);
                continue;
            }
            let in_flow = known.map_or(0, |waiting| waiting.live);
            if self.pending >= self.limits.pending_max
                || in_flow >= self.limits.pending_per_flow_max
            {
                self.counters.refused = self.counters.refused.saturating_add(1);
                show(&Transaction {
                    name: question.name,
                    query_type: question.kind,
                    id,
                    asked: arrival.direction,
                    query: Some(arrival.frame),
                    response: None,
                    outcome: DnsOutcome::Unknown,
                });
                continue;
            }
            let number = *place.get_or_insert_with(|| self.waiting.take());
            if let Some(pending) = self.waiting.get_mut(number).and_then(Waiting::add) {
                pending.name.clear();
                pending.name.extend_from_slice(question.name);
                pending.query_type = question.kind;
                pending.id = id;
                pending.asked = asked;
                pending.frame = arrival.frame;
                pending.since = arrival.now;
                self.pending = self.pending.saturating_add(1);
            }
        }
    }

    fn response(
        &mut self,
        place: &mut Option<u32>,
        arrival: &Arrival<'_>,
        show: &mut impl FnMut(&Transaction<'_>),
    ) {
        let message = &self.message;
        let asked = arrival.direction.opposite();
        for question in message.questions() {
            let waiting = place.and_then(|number| self.waiting.get_mut(number));
            let found = waiting.as_deref().and_then(|waiting| {
                waiting.find(message.id(), question.name, question.kind, asked)
            });
            let query = found.and_then(|at| waiting?.take(at));
            if query.is_some() {
                self.pending = self.pending.saturating_sub(1);
            } else {
                self.counters.unsolicited = self.counters.unsolicited.saturating_add(1);
                // Where the client is seen, its question would have been: this is a second copy, too late, or forged.
                if arrival.client_seen {
                    self.counters.unsolicited_left_out =
                        self.counters.unsolicited_left_out.saturating_add(1);
                    continue;
                }
            }
            show(&Transaction {
                name: question.name,
                query_type: question.kind,
                id: message.id(),
                asked,
                query,
                response: Some((arrival.frame, message)),
                outcome: outcome(message),
            });
        }
    }

    /// Gives up on questions of the flow that have waited too long.
    fn time_out(
        &mut self,
        place: &mut Option<u32>,
        now: Timestamp,
        show: &mut impl FnMut(&Transaction<'_>),
    ) {
        let Some(waiting) = place.and_then(|number| self.waiting.get_mut(number)) else {
            return;
        };
        // Those asked first stand first.
        while let Some(oldest) = waiting.slots.first().filter(|_| waiting.live > 0) {
            if now.since(oldest.since) <= self.limits.timeout {
                break;
            }
            show(&oldest.transaction(DnsOutcome::Unanswered));
            waiting.take(0);
            self.pending = self.pending.saturating_sub(1);
        }
    }
}

impl Pending {
    fn transaction(&self, outcome: DnsOutcome) -> Transaction<'_> {
        Transaction {
            name: &self.name,
            query_type: self.query_type,
            id: self.id,
            asked: self.asked,
            query: Some(self.frame),
            response: None,
            outcome,
        }
    }
}

impl Waiting {
    /// A slot behind those in use, with the memory it had.
    fn add(&mut self) -> Option<&mut Pending> {
        if self.live == self.slots.len() {
            self.slots.push(Pending::default());
        }
        let slot = self.slots.get_mut(self.live);
        self.live = self.live.saturating_add(1);
        slot
    }

    fn find(&self, id: u16, name: &[u8], query_type: u16, asked: Directed) -> Option<usize> {
        self.slots.iter().take(self.live).position(|pending| {
            pending.id == id
                && pending.query_type == query_type
                && pending.asked == asked
                && pending.name.eq_ignore_ascii_case(name)
        })
    }

    /// Takes one out; those behind it move up, so that the oldest stays first. Its frame is what is left of it.
    fn take(&mut self, at: usize) -> Option<SeenFrame> {
        let frame = self.slots.get(at)?.frame;
        self.slots.get_mut(at..self.live)?.rotate_left(1);
        self.live = self.live.saturating_sub(1);
        Some(frame)
    }
}

/// What a response says (RFC 1035 §4.1.1; RFC 2308 §2 for names without data).
fn outcome(message: &Message) -> DnsOutcome {
    const NO_ERROR: u16 = 0;
    const SERVER_FAILURE: u16 = 2;
    const NAME_ERROR: u16 = 3;
    const REFUSED: u16 = 5;
    match message.rcode() {
        NO_ERROR => {
            let (mut addresses, mut nowhere, mut others) = (0u32, 0u32, 0u32);
            for answer in message.answers() {
                match answer.data {
                    Data::Address(address) if leads_nowhere(&address) => {
                        nowhere = nowhere.saturating_add(1);
                    }
                    Data::Address(_) => addresses = addresses.saturating_add(1),
                    // An alias alone is no answer.
                    Data::Alias(_) => {}
                    _ => others = others.saturating_add(1),
                }
            }
            match (addresses, nowhere, others) {
                (0, 0, 0) if message.truncated() => DnsOutcome::Truncated,
                // What was cut away may have been the answer.
                (0, _, 0) if message.damaged() => DnsOutcome::Unknown,
                (0, 0, 0) => DnsOutcome::NoData,
                (0, 1.., 0) => DnsOutcome::Sinkholed,
                _ => DnsOutcome::Answered,
            }
        }
        SERVER_FAILURE => DnsOutcome::ServFail,
        NAME_ERROR => DnsOutcome::NxDomain,
        REFUSED => DnsOutcome::Refused,
        _ => DnsOutcome::OtherError,
    }
}

/// Unspecified or loopback.
fn leads_nowhere(address: &[u8; 16]) -> bool {
    let address = std::net::Ipv6Addr::from(*address).to_canonical();
    address.is_unspecified() || address.is_loopback()
}

#[cfg(test)]
mod tests;
