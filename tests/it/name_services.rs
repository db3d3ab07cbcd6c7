//! Questions to name services and their answers: cut, asked by nobody, doubled, and of any bytes.

use serde_json::Value;

use super::frames::{
    BEGIN, Data, End, Frame, MILLISECOND, SECOND, answer, lines_of, question, resolved, run_frames,
    tls, udp,
};
use super::support::{Run, Way};

const CLIENT: End = ([192, 168, 1, 10], 50_000);
const RESOLVER: End = ([9, 9, 9, 9], 53);
const SERVER: End = ([203, 0, 113, 7], 443);
const VENDOR: &str = "update.eset.com";
const NOBODY: &str = "www.example.org";
/// Headers of Ethernet, IPv4 and UDP.
const HEADERS: usize = 14 + 20 + 8;

fn address(name: &str) -> [(&str, u32, Data<'static>); 1] {
    [(name, 60, Data::Address(SERVER.0))]
}

fn count(run: &Run, what: &str) -> u64 {
    run.report["name_services"][what].as_u64().unwrap()
}

/// Names that were asked for, and what became of them.
fn outcomes(run: &Run) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    lines_of(run, "dns")
        .iter()
        .map(|line| {
            (
                text(&line["dns"]["queries"][0]["rrname"]),
                text(&line["avscope"]["dns_outcome"]),
            )
        })
        .collect()
}

/// A flow that names nobody, to the server.
fn unnamed_flow(nanos: u64) -> Vec<Frame> {
    tls(nanos, (CLIENT.0, 40_001), SERVER, "", false)
}

/// Vendor and confidence that the flow to the server got, `null` where it got none.
fn verdict(run: &Run) -> (Value, Value) {
    let flows = lines_of(run, "flow");
    let flow = flows.iter().find(|flow| flow["dest_port"] == SERVER.1);
    let verdict = &flow.unwrap()["avscope"]["attribution"];
    (verdict["vendor"].clone(), verdict["confidence"].clone())
}

#[test]
fn what_a_snapshot_length_cut_away_may_have_been_the_answer() {
    let alias = (NOBODY, 60, Data::Alias("cdn.example.net"));
    let nowhere = (NOBODY, 60, Data::Address([0; 4]));
    let found = ("cdn.example.net", 60, Data::Address(SERVER.0));
    // The record behind which the answer is cut, and what the whole one says.
    for (first, second, whole, cut) in [
        (alias, Some(found), "answered", "unknown"),
        (nowhere, Some(found), "answered", "unknown"),
        (found, Some(found), "answered", "answered"),
        (alias, None, "no_data", "unknown"),
        (nowhere, None, "sinkholed", "unknown"),
        (found, None, "answered", "unknown"),
    ] {
        let records: Vec<_> = [Some(first), second].into_iter().flatten().collect();
        let frames = resolved(BEGIN, CLIENT, RESOLVER, NOBODY, &records);
        let run = run_frames(frames.clone(), &Way::default());
        assert_eq!(outcomes(&run), [(NOBODY.into(), whole.into())]);

        let kept = &records[..records.len() - 1];
        let begins = HEADERS + answer(0, NOBODY, kept).len();
        for snap_len in begins..frames[1].2.len() {
            let mut frames = frames.clone();
            frames[1].2.truncate(snap_len);
            let run = run_frames(frames, &Way::default());
            let expected = [(NOBODY.into(), cut.into())];
            assert_eq!(outcomes(&run), expected, "{snap_len} bytes, whole: {whole}");
            assert_eq!(count(&run, "damaged"), 1, "{snap_len} bytes");
        }
    }
}

#[test]
fn an_answer_whose_question_was_not_seen_says_little() {
    // One direction of the link: the resolver's.
    let mut frames = resolved(BEGIN, CLIENT, RESOLVER, VENDOR, &address(VENDOR));
    frames.remove(0);
    frames.extend(unnamed_flow(BEGIN + SECOND));
    let run = run_frames(frames, &Way::default());
    let told = lines_of(&run, "dns");
    assert_eq!(outcomes(&run), [(VENDOR.into(), "answered".into())]);
    assert_eq!(told[0]["avscope"]["unsolicited"], true, "{}", told[0]);
    let own = &told[0]["avscope"]["attribution"];
    assert_eq!(
        (&own["vendor"], &own["confidence"]),
        (&"eset".into(), &"low".into())
    );
    assert_eq!(verdict(&run), ("eset".into(), "low".into()));
    assert_eq!(run.report["exposures"][0]["confidence"], "low");
    assert_eq!(count(&run, "unsolicited"), 1);
    assert_eq!(count(&run, "unsolicited_left_out"), 0);

    // With its question it says more.
    let mut frames = resolved(BEGIN, CLIENT, RESOLVER, VENDOR, &address(VENDOR));
    frames.extend(unnamed_flow(BEGIN + SECOND));
    let run = run_frames(frames, &Way::default());
    assert_ne!(lines_of(&run, "dns")[0]["avscope"]["unsolicited"], true);
    assert_eq!(verdict(&run), ("eset".into(), "medium".into()));
}

#[test]
fn an_answer_to_what_a_client_that_is_seen_never_asked_is_left_out() {
    let asked = udp(BEGIN, CLIENT, RESOLVER, &question(7, NOBODY));
    let replied = |at: u64, id: u16, name: &str| {
        let message = answer(id, name, &address(name));
        udp(BEGIN + at * MILLISECOND, RESOLVER, CLIENT, &message)
    };
    let honest = replied(9, 7, NOBODY);
    for (what, forged) in [
        ("another name", replied(1, 7, VENDOR)),
        ("another identifier and name", replied(1, 8, VENDOR)),
        ("behind the answer", replied(10, 7, VENDOR)),
    ] {
        let mut frames = vec![asked.clone(), forged, honest.clone()];
        frames.sort_by_key(|frame| frame.0);
        frames.extend(unnamed_flow(BEGIN + SECOND));
        let run = run_frames(frames, &Way::default());
        assert_eq!(
            outcomes(&run),
            [(NOBODY.into(), "answered".into())],
            "{what}"
        );
        assert_eq!(verdict(&run), (Value::Null, Value::Null), "{what}");
        assert_eq!(
            run.report["exposures"].as_array().unwrap().len(),
            0,
            "{what}"
        );
        assert_eq!(count(&run, "unsolicited"), 1, "{what}");
        assert_eq!(count(&run, "unsolicited_left_out"), 1, "{what}");
    }
}

#[test]
fn what_a_mirror_doubles_was_asked_once() {
    let frames = resolved(BEGIN, CLIENT, RESOLVER, VENDOR, &address(VENDOR));
    let doubled = frames.into_iter().flat_map(|frame| [frame.clone(), frame]);
    let doubled: Vec<_> = doubled.collect();
    let copies_out = run_frames(doubled.clone(), &Way::default());
    assert_eq!(copies_out.report["mirror"]["duplicate_packets"], 2);
    assert_eq!(count(&copies_out, "repeated"), 0);
    assert_eq!(count(&copies_out, "unsolicited_left_out"), 0);
    // Where copies are not taken out, as behind the window, the name service sees them.
    let mut way = Way::default();
    way.mirror.duplicates.window = std::time::Duration::ZERO;
    let run = run_frames(doubled, &way);
    assert_eq!(outcomes(&run), [(VENDOR.into(), "answered".into())]);
    let exposure = &run.report["exposures"][0];
    let purposes = exposure["purposes"].as_array().unwrap();
    assert_eq!(purposes.len(), 1, "{exposure}");
    assert_eq!(purposes[0]["questions"], 1, "{exposure}");
    assert_eq!(purposes[0]["contacts"], 0, "{exposure}");
    assert_eq!(exposure["only_asked_for"], true, "{exposure}");
    // The copy of the question is one that was asked again, that of the answer is left out.
    assert_eq!(count(&run, "repeated"), 1);
    assert_eq!(count(&run, "unsolicited_left_out"), 1);
}

#[test]
fn names_of_any_bytes_are_dns_on_its_own_port() {
    // A label may hold any byte (RFC 2181 §11).
    for name in ["\u{1}\u{2}.example", "ü.example", "\u{7f}"] {
        let run = |port: u16| {
            let frames = resolved(BEGIN, CLIENT, (RESOLVER.0, port), name, &address(name));
            run_frames(frames, &Way::default())
        };
        let (at_home, elsewhere) = (run(RESOLVER.1), run(5300));
        let escaped: String = name
            .chars()
            .map(|letter| match letter {
                control if control.is_control() => format!("\\x{:02x}", u32::from(control)),
                other => other.to_string(),
            })
            .collect();
        assert_eq!(outcomes(&at_home), [(escaped, "answered".into())]);
        assert_eq!(lines_of(&at_home, "flow")[0]["app_proto"], "dns");
        // Elsewhere such bytes are hardly a name.
        assert_eq!(outcomes(&elsewhere), []);
    }
}
