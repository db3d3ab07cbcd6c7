//! Questions find their answers, or do not, and nothing is kept beyond the bounds.
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

use super::*;

/// A message with one question of type A, and the answers given.
fn message(id: u16, response: bool, code: u8, name: &str, answers: &[[u8; 4]]) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend([if response { 0x81 } else { 0x01 }, code]);
    bytes.extend([0, 1, 0, answers.len() as u8, 0, 0, 0, 0]);
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    for address in answers {
        bytes.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        bytes.extend(address);
    }
    bytes
}

struct Bench {
    reader: DnsReader,
    place: Option<u32>,
    seq: u64,
}

impl Bench {
    fn new(pending_max: usize, pending_per_flow_max: usize) -> Self {
        let limits = QuestionLimits {
            pending_max,
            pending_per_flow_max,
            timeout: Duration::from_secs(30),
        };
        Self {
            reader: DnsReader::new(limits),
            place: None,
            seq: 0,
        }
    }

    /// What is over after the message, in words.
    fn at(&mut self, seconds: u64, bytes: &[u8]) -> Vec<String> {
        let direction = if bytes[2] & 0x80 == 0 {
            Directed::FromInitiator
        } else {
            Directed::FromResponder
        };
        let now = Timestamp::from_parts(seconds, 0);
        let arrival = Arrival {
            bytes,
            direction,
            protocol: AppProtocol::Dns,
            frame: SeenFrame {
                seq: self.seq,
                hash: 0,
                time: now,
            },
            client_seen: false,
            now,
        };
        self.seq += 1;
        let mut shown = Vec::new();
        self.reader.message(&mut self.place, &arrival, &mut |over| {
            assert_eq!(over.asked, Directed::FromInitiator);
            shown.push(words(over));
        });
        shown
    }

    fn close(&mut self) -> Vec<String> {
        let mut shown = Vec::new();
        self.reader
            .close(self.place.take(), &mut |over| shown.push(words(over)));
        shown
    }
}

fn words(over: &Transaction<'_>) -> String {
    let seen = |seen: Option<u64>| seen.map_or("-".to_owned(), |seq| seq.to_string());
    format!(
        "{} {} {}>{}",
        String::from_utf8_lossy(over.name),
        over.outcome,
        seen(over.query.map(|frame| frame.seq)),
        seen(over.response.map(|(frame, _)| frame.seq))
    )
}

#[test]
fn answers_find_their_questions_in_any_order() {
    let mut bench = Bench::new(10, 10);
    assert!(
        bench
            .at(0, &message(1, false, 0, "a.example", &[]))
            .is_empty()
    );
    assert!(
        bench
            .at(0, &message(2, false, 0, "b.example", &[]))
            .is_empty()
    );
    assert!(
        bench
            .at(0, &message(3, false, 0, "c.example", &[]))
            .is_empty()
    );
    let address = [192, 0, 2, 1];
    assert_eq!(
        bench.at(1, &message(2, true, 0, "B.exAMple", &[address])),
        ["B.exAMple answered 1>3"]
    );
    assert_eq!(
        bench.at(1, &message(1, true, 3, "a.example", &[])),
        ["a.example nxdomain 0>4"]
    );
    // The same number, another name: somebody else's answer.
    assert_eq!(
        bench.at(1, &message(3, true, 5, "x.example", &[])),
        ["x.example refused ->5"]
    );
    assert_eq!(bench.close(), ["c.example unanswered 2>-"]);
    let counters = bench.reader.counters();
    assert_eq!((counters.questions, counters.unsolicited), (3, 1));
    assert_eq!(bench.reader.pending, 0);
}

#[test]
fn letters_have_no_case_and_an_answer_may_be_to_several_questions() {
    let mut bench = Bench::new(8, 8);
    let asked = message(7, false, 0, "uPdAtE.EsEt.CoM", &[]);
    assert!(bench.at(0, &asked).is_empty());
    let answer = message(7, true, 0, "update.eset.com", &[[192, 0, 2, 1]]);
    assert_eq!(bench.at(1, &answer).len(), 1);
    assert_eq!(bench.reader.counters().unsolicited, 0);
    // Two questions in one message: the second is a pointer to the first one's name, and asks for its IPv6 address.
    let both = |response: bool| {
        let mut bytes = message(8, response, 0, "update.eset.com", &[]);
        bytes[5] = 2;
        bytes.extend([0xc0, 12, 0, 28, 0, 1]);
        bytes
    };
    assert!(bench.at(2, &both(false)).is_empty());
    assert_eq!(bench.at(3, &both(true)).len(), 2);
    assert_eq!(bench.close(), Vec::<String>::new());
}

#[test]
fn what_an_answer_says_is_told_apart() {
    for (code, answers, outcome) in [
        (0, vec![[192, 0, 2, 1]], "answered"),
        (0, vec![], "no_data"),
        (0, vec![[0, 0, 0, 0]], "sinkholed"),
        (0, vec![[127, 0, 0, 1], [0, 0, 0, 0]], "sinkholed"),
        (0, vec![[0, 0, 0, 0], [192, 0, 2, 1]], "answered"),
        (2, vec![], "servfail"),
        (3, vec![], "nxdomain"),
        (4, vec![], "other_error"),
        (5, vec![], "refused"),
    ] {
        let mut bench = Bench::new(10, 10);
        bench.at(0, &message(1, false, 0, "a.example", &[]));
        let shown = bench.at(0, &message(1, true, code, "a.example", &answers));
        assert_eq!(shown, [format!("a.example {outcome} 0>1")]);
    }
}

#[test]
fn a_question_asked_again_is_one_transaction() {
    let mut bench = Bench::new(10, 10);
    for second in 0..3 {
        assert!(
            bench
                .at(second, &message(1, false, 0, "a.example", &[]))
                .is_empty()
        );
    }
    assert_eq!(
        bench.at(4, &message(1, true, 0, "a.example", &[[192, 0, 2, 1]])),
        ["a.example answered 0>3"]
    );
    assert_eq!(bench.reader.counters().repeated, 2);
    assert!(bench.close().is_empty());
}

#[test]
fn nobody_is_waited_for_longer_than_the_limit() {
    let mut bench = Bench::new(10, 10);
    bench.at(0, &message(1, false, 0, "a.example", &[]));
    bench.at(20, &message(2, false, 0, "b.example", &[]));
    assert!(
        bench
            .at(30, &message(3, false, 0, "c.example", &[]))
            .is_empty()
    );
    assert_eq!(
        bench.at(31, &message(4, false, 0, "d.example", &[])),
        ["a.example unanswered 0>-"]
    );
    assert_eq!(bench.close().len(), 3);
}

#[test]
fn without_room_the_outcome_is_unknown_and_counted() {
    let mut bench = Bench::new(3, 2);
    for id in 0..2 {
        assert!(
            bench
                .at(0, &message(id, false, 0, "a.example", &[]))
                .is_empty()
        );
    }
    assert_eq!(
        bench.at(0, &message(9, false, 0, "z.example", &[])),
        ["z.example unknown 2>-"]
    );
    let mut other = std::mem::take(&mut bench.place);
    assert!(
        bench
            .at(0, &message(5, false, 0, "c.example", &[]))
            .is_empty()
    );
    assert_eq!(
        bench.at(0, &message(6, false, 0, "d.example", &[])),
        ["d.example unknown 4>-"]
    );
    assert_eq!(bench.reader.counters().refused, 2);
    bench.close();
    std::mem::swap(&mut bench.place, &mut other);
    bench.close();
    assert_eq!(bench.reader.pending, 0);
}

#[test]
fn nonsense_is_counted_and_changes_nothing() {
    let mut bench = Bench::new(10, 10);
    bench.at(0, &message(1, false, 0, "a.example", &[]));
    assert!(bench.at(0, &[0, 0, 0]).is_empty());
    assert_eq!(bench.reader.counters().malformed, 1);
    assert_eq!(bench.close().len(), 1);
}
