//! Law 4: frames cut at any length, changed at any byte, repeated or out of order cost a counter, never a panic.

use avscope::config::Limits;
use proptest::prelude::*;

use super::frames::{BEGIN, Frame, question, run_frames, udp};
use super::support::{Run, Way, assert_conserved, pcaps, records};

/// The frames of the deliveries, at one time.
fn frames() -> Vec<(u64, u32, Vec<u8>)> {
    let content = std::fs::read(pcaps().join("hello-deliveries.pcap")).unwrap();
    let (_, records) = records(&content);
    records
        .iter()
        .map(|record| {
            let wire_len = u32::from_le_bytes(record[12..16].try_into().unwrap());
            (1_700_000_000_000_000_000, wire_len, record[16..].to_vec())
        })
        .collect()
}

#[test]
fn a_snapshot_length_of_any_size_is_survived_and_accounted_for() {
    let frames = frames();
    let mut named = Vec::new();
    for snap_len in (0..160).chain([200, 300, 500, 800, 1200, 1514]) {
        let cut = frames
            .iter()
            .map(|(time, wire_len, frame)| {
                (
                    *time,
                    *wire_len,
                    frame[..frame.len().min(snap_len)].to_vec(),
                )
            })
            .collect();
        let run = run_frames(cut, &Way::default());
        assert_conserved(&run, &format!("snapshot length {snap_len}"));
        named.push(run.names.len());
    }
    assert_eq!(named[0], 0);
    assert!(
        named.is_sorted(),
        "more bytes never show fewer names: {named:?}"
    );
    assert_eq!(named.last(), Some(&96));
}

#[test]
fn every_packet_doubled_shows_the_same_names() {
    let once = run_frames(frames(), &Way::default());
    let doubled = frames()
        .into_iter()
        .flat_map(|frame| [frame.clone(), frame])
        .collect();
    let twice = run_frames(doubled, &Way::default());
    assert_conserved(&twice, "doubled");
    let strip = |run: &Run| {
        run.names
            .iter()
            .map(|name| name.rsplit_once(' ').unwrap().0.to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(strip(&once), strip(&twice));
}

#[test]
fn tables_of_one_are_survived() {
    let limits = Limits {
        flows_max: 1,
        names_max: 1,
        handshakes_max: 1,
        handshake_bytes_max: 1,
        exposures_max: 1,
    };
    let run = run_frames(
        frames(),
        &Way {
            limits,
            ..Way::default()
        },
    );
    assert_conserved(&run, "tables of one");
    assert!(
        run.report["handshakes"]["refused_segments"]
            .as_u64()
            .unwrap()
            > 0
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Reordering within a window, damage and losses: everything is accounted for, and no name appears that was not sent.
    #[test]
    fn disorder_and_damage_are_accounted_for(
        keys in proptest::collection::vec(0u32..40, 1869),
        damage in proptest::collection::vec((0usize..1869, any::<prop::sample::Index>(), any::<u8>()), 0..200),
        lost in proptest::collection::vec(0usize..1869, 0..100),
    ) {
        let mut frames: Vec<_> = frames().into_iter().enumerate().collect();
        for (at, byte, value) in damage {
            if let Some((_, (_, _, frame))) = frames.get_mut(at)
                && !frame.is_empty()
            {
                let byte = byte.index(frame.len());
                frame[byte] = value;
            }
        }
        frames.retain(|(at, _)| !lost.contains(at));
        frames.sort_by_key(|(at, _)| *at as u32 + keys.get(*at).copied().unwrap_or(0));
        let frames: Vec<_> = frames.into_iter().map(|(_, frame)| frame).collect();
        let one = run_frames(frames.clone(), &Way::default());
        assert_conserved(&one, "disorder");
        let four = run_frames(frames, &Way { workers: 4, ..Way::default() });
        prop_assert_eq!(one.events, four.events);
    }
}

/// Questions of one client that nobody answers, from these ports.
fn questions(ports: impl Iterator<Item = u16>) -> Vec<Frame> {
    let client = [192, 168, 1, 10];
    (0..)
        .zip(ports)
        .map(|(number, port)| {
            let name = format!("n{number}.example.org");
            let message = question(number as u16, &name);
            udp(BEGIN + number, (client, port), ([9, 9, 9, 9], 53), &message)
        })
        .collect()
}

#[test]
fn a_flood_of_questions_costs_counters() {
    let of = |run: &Run, what: &str| run.report["name_services"][what].as_u64().unwrap();
    let outcome = |run: &Run, what: &str| {
        run.report["name_services"]["by_outcome"][what]
            .as_u64()
            .unwrap()
    };
    // On one flow: as many as may wait in one.
    let per_flow = Way::default().dns.pending_per_flow_max as u64;
    let run = run_frames(questions((0..5000).map(|_| 5000)), &Way::default());
    assert_eq!(of(&run, "questions"), 5000);
    assert_eq!(outcome(&run, "unanswered"), per_flow);
    assert_eq!(outcome(&run, "unknown"), 5000 - per_flow);
    assert_eq!(of(&run, "refused"), 5000 - per_flow);
    // On many flows: as many as may wait in all, divided among the shards.
    let mut way = Way::default();
    way.dns.pending_max = 640;
    let run = run_frames(questions(10_000..20_000), &way);
    assert_eq!(of(&run, "questions"), 10_000);
    let waited = outcome(&run, "unanswered");
    assert!((320..=640).contains(&waited), "{waited}");
    assert_eq!(outcome(&run, "unknown"), 10_000 - waited);
}

#[test]
fn names_that_point_at_themselves_are_malformed() {
    let ends = (([192, 168, 1, 10], 5000), ([9, 9, 9, 9], 53));
    let whole = question(1, "update.eset.com");
    let mut frames = vec![udp(BEGIN, ends.0, ends.1, &whole)];
    // A pointer in place of the second label: to itself, to the first label, ahead, beyond the end.
    for target in [19u8, 12, 40, 200] {
        let mut message = whole.clone();
        message[19] = 0xc0;
        message[20] = target;
        frames.push(udp(BEGIN + u64::from(target), ends.0, ends.1, &message));
    }
    let run = run_frames(frames, &Way::default());
    assert_eq!(run.report["name_services"]["malformed"], 4);
    assert_eq!(run.report["name_services"]["questions"], 1);
}
