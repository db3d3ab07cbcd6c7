//! The table against a naive twin: a map, and a sweep over all of it before every packet.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::decode::{IpHeader, IpVersion, TcpHeader};

const SEED: u64 = 7;

fn packet(client: u8, from_client: bool, protocol: u8, flags: u8, sequence: u32) -> Packet {
    let mut one = [0; 16];
    one[10..12].fill(0xff);
    one[12] = 10;
    one[15] = client;
    let mut other = one;
    other[12..16].copy_from_slice(&[192, 0, 2, 1]);
    let (source, destination, ports) = if from_client {
        (one, other, (40_000, 443))
    } else {
        (other, one, (443, 40_000))
    };
    Packet {
        ip: IpHeader {
            source,
            destination,
            bytes: if from_client { 100 } else { 300 },
            protocol,
            version: IpVersion::V4,
            identification: 0,
        },
        source_port: ports.0,
        destination_port: ports.1,
        vlan: 0,
        checksum: 0,
        tunnel: crate::decode::TunnelPath::NONE,
        overhead: 0,
        tcp: TcpHeader {
            sequence,
            acknowledgment: 0,
            flags: TcpFlags(flags),
        },
        payload_offset: 0,
        payload_len: 0,
        payload_wire_len: 60,
    }
}

/// What a flow left: first seq, reason, packets both ways, and when.
type Left = (u64, FlowEndReason, u64, u64);

struct Run {
    table: FlowTable,
    left: Vec<Left>,
}

impl Run {
    fn new(capacity: usize) -> Self {
        Self {
            table: FlowTable::new(capacity, SEED, Timeouts::default()),
            left: Vec::new(),
        }
    }

    fn advance(&mut self, time: Timestamp) {
        let left = &mut self.left;
        self.table.advance(Tick::of(time), &mut |entry, expired| {
            left.push((
                entry.first_seq(),
                expired.reason,
                entry.counters().packets_total(),
                expired.at.as_nanos(),
            ));
        });
    }

    fn feed(&mut self, packet: &Packet, time: Timestamp, seq: u64) -> Update {
        self.advance(time);
        let (key, sender) = FlowKey::of(packet, 0);
        let left = &mut self.left;
        self.table.update(
            &key,
            key.hash(SEED),
            sender,
            packet,
            time,
            time,
            seq,
            &mut |entry, reason| {
                left.push((
                    entry.first_seq(),
                    reason,
                    entry.counters().packets_total(),
                    time.as_nanos(),
                ));
            },
        )
    }
}

fn seconds(seconds: u64) -> Timestamp {
    Timestamp::from_parts(1_700_000_000 + seconds, 0)
}

#[test]
fn both_directions_meet_and_the_initiator_is_known() {
    let mut run = Run::new(10);
    let first = run.feed(&packet(1, true, TCP, TcpFlags::SYN, 5), seconds(0), 0);
    let second = run.feed(
        &packet(1, false, TCP, TcpFlags::SYN | TcpFlags::ACK, 9),
        seconds(0),
        1,
    );
    assert_eq!(
        (first.number, first.opened, second.opened),
        (second.number, true, false)
    );
    assert_eq!(
        (first.direction, second.direction),
        (Directed::FromInitiator, Directed::FromResponder)
    );
    assert_eq!(run.table.entry_mut(first.number).unwrap().stream_start, 6);
}

#[test]
fn an_answer_seen_first_does_not_make_the_server_the_initiator() {
    let mut run = Run::new(10);
    for (seq, (client, protocol, flags)) in [
        (1, TCP, TcpFlags::SYN | TcpFlags::ACK),
        (2, TCP, TcpFlags::ACK),
        (3, UDP, 0),
    ]
    .into_iter()
    .enumerate()
    {
        let update = run.feed(
            &packet(client, false, protocol, flags, 0),
            seconds(0),
            seq as u64,
        );
        assert_eq!(update.direction, Directed::FromResponder, "{client}");
        let entry = run.table.entry_mut(update.number).unwrap();
        assert_eq!(entry.flags.has(FlowFlags::MIDSTREAM), client == 2);
    }
}

#[test]
fn a_new_syn_after_the_end_is_a_new_flow_and_a_repeated_one_is_not() {
    let mut run = Run::new(10);
    run.feed(&packet(1, true, TCP, TcpFlags::SYN, 5), seconds(0), 0);
    assert!(
        !run.feed(&packet(1, true, TCP, TcpFlags::SYN, 5), seconds(1), 1)
            .opened
    );
    run.feed(&packet(1, true, TCP, TcpFlags::RST, 6), seconds(1), 2);
    assert!(
        run.feed(&packet(1, true, TCP, TcpFlags::SYN, 5), seconds(2), 3)
            .opened
    );
    assert_eq!(
        run.left,
        vec![(0, FlowEndReason::EndOfFlow, 3, seconds(2).as_nanos())]
    );
    assert_eq!(run.table.len(), 1);
}

#[test]
fn a_long_flow_reports_and_goes_on() {
    let mut run = Run::new(10);
    for minute in 0..100u64 {
        run.feed(
            &packet(1, true, TCP, TcpFlags::ACK, 0),
            seconds(minute * 30),
            minute,
        );
    }
    assert_eq!(run.left.len(), 1);
    assert_eq!(
        (run.left[0].1, run.left[0].2),
        (FlowEndReason::ActiveTimeout, 61)
    );
    assert_eq!(run.table.len(), 1);
}

#[test]
fn a_full_table_evicts_and_counts() {
    let mut run = Run::new(3);
    for client in 0..50 {
        run.feed(
            &packet(client, true, UDP, 0, 0),
            seconds(u64::from(client)),
            u64::from(client),
        );
        assert!(run.table.len() <= 3);
    }
    assert_eq!(run.left.len(), 47);
    assert!(
        run.left
            .iter()
            .all(|left| left.1 == FlowEndReason::LackOfResources)
    );
}

#[test]
fn a_finished_flow_goes_before_an_open_one() {
    let mut run = Run::new(2);
    run.feed(&packet(1, true, TCP, TcpFlags::SYN, 0), seconds(0), 0);
    run.feed(&packet(2, true, TCP, TcpFlags::SYN, 0), seconds(1), 1);
    run.feed(&packet(2, true, TCP, TcpFlags::RST, 1), seconds(1), 2);
    run.feed(&packet(3, true, TCP, TcpFlags::SYN, 0), seconds(1), 3);
    assert_eq!(
        run.left,
        vec![(1, FlowEndReason::LackOfResources, 2, seconds(1).as_nanos())]
    );
}

#[test]
fn a_flow_that_begins_with_its_end_leaves_the_others_alone() {
    let mut run = Run::new(10);
    for (seq, (client, protocol, flags)) in [
        (1, UDP, 0),
        (2, UDP, 0),
        (3, TCP, TcpFlags::RST),
        (4, UDP, 0),
    ]
    .into_iter()
    .enumerate()
    {
        let packet = packet(client, true, protocol, flags, 0);
        assert!(run.feed(&packet, seconds(0), seq as u64).opened);
    }
    run.advance(seconds(1000));
    run.left.sort_unstable();
    let ended: Vec<_> = run.left.iter().map(|left| (left.0, left.1)).collect();
    assert_eq!(
        ended,
        vec![
            (0, FlowEndReason::IdleTimeout),
            (1, FlowEndReason::IdleTimeout),
            (2, FlowEndReason::EndOfFlow),
            (3, FlowEndReason::IdleTimeout),
        ]
    );
    assert!(run.table.is_empty());
}

#[test]
fn the_flow_nearest_to_its_end_makes_room_not_the_one_opened_first() {
    let mut run = Run::new(2);
    run.feed(&packet(1, true, UDP, 0, 0), seconds(0), 0);
    run.feed(&packet(2, true, UDP, 0, 0), seconds(10), 1);
    run.feed(&packet(1, true, UDP, 0, 0), seconds(50), 2);
    run.feed(&packet(3, true, UDP, 0, 0), seconds(55), 3);
    assert_eq!(run.left.len(), 1);
    assert_eq!(
        (run.left[0].0, run.left[0].1),
        (1, FlowEndReason::LackOfResources)
    );
}

#[test]
fn swapping_the_sides_swaps_everything_that_was_counted() {
    let mut run = Run::new(2);
    run.feed(&packet(1, true, TCP, TcpFlags::ACK, 0), seconds(0), 0);
    run.feed(&packet(1, true, TCP, TcpFlags::ACK, 0), seconds(0), 1);
    let update = run.feed(
        &packet(1, false, TCP, TcpFlags::ACK | TcpFlags::FIN, 0),
        seconds(0),
        2,
    );
    let entry = run.table.entry_mut(update.number).unwrap();
    let (before, initiator, flags) = (
        entry.counters(),
        entry.initiator_endpoint(),
        entry.tcp_flags(),
    );
    entry.swap_sides();
    assert_eq!(before.packets, [2, 1]);
    assert_eq!(entry.counters().packets, [1, 2]);
    assert_eq!(entry.counters().bytes, [before.bytes[1], before.bytes[0]]);
    assert_ne!(before.bytes[0], before.bytes[1]);
    assert_eq!(entry.responder_endpoint(), initiator);
    assert_eq!(entry.tcp_flags(), [flags[1], flags[0]]);
}

/// The naive twin for UDP: a flow per client, ended when the tick at or after last + 60 s has come.
fn naive(steps: &[(u8, bool, u64)]) -> Vec<Left> {
    let mut flows: HashMap<u8, (u64, u64, Timestamp)> = HashMap::new();
    let mut left = Vec::new();
    let mut now = 0;
    for (seq, (client, _, ahead)) in steps.iter().enumerate() {
        now += ahead;
        let time = seconds(now);
        let due = |last: Timestamp| Tick::at_or_after(last.after(Duration::from_secs(60)));
        flows.retain(|_, (first, packets, last)| {
            let over = due(*last) <= Tick::of(time);
            if over {
                left.push((
                    *first,
                    FlowEndReason::IdleTimeout,
                    *packets,
                    due(*last).begin().as_nanos(),
                ));
            }
            !over
        });
        let flow = flows.entry(*client).or_insert((seq as u64, 0, time));
        flow.1 += 1;
        flow.2 = time;
    }
    left.sort_unstable();
    left
}

proptest! {
    #[test]
    fn expiry_agrees_with_the_naive_twin_however_often_time_is_told(
        steps in proptest::collection::vec((0u8..6, any::<bool>(), 0u64..40), 1..200),
    ) {
        let mut run = Run::new(100);
        let mut now = 0;
        for (seq, (client, tell, ahead)) in steps.iter().enumerate() {
            if *tell {
                // A watermark between packets must change nothing.
                run.advance(seconds(now + ahead / 2));
            }
            now += ahead;
            run.feed(&packet(*client, seq % 3 != 0, UDP, 0, 0), seconds(now), seq as u64);
        }
        run.left.sort_unstable();
        prop_assert_eq!(run.left, naive(&steps));
    }
}
