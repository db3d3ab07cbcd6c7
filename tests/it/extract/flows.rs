//! Whole flows: all packets of those that belong to something, and of no others between the same ends.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::frames::{BEGIN, Data, End, Frame, SECOND, frames_of, resolved, tls, write_pcap};
use super::super::support::{pcaps, skip};
use super::{
    ANOTHER, CLIENT, SERVER, VENDOR, exposure_of, extract, flow_ids, list, report, seqs, text,
    tshark, twice,
};

/// The places of the frames between two ends.
fn between(frames: &[Frame], one: u16, other: u16) -> Vec<usize> {
    let ports = |frame: &[u8]| {
        let packet = etherparse::SlicedPacket::from_ethernet(frame).ok()?;
        match packet.transport? {
            etherparse::TransportSlice::Tcp(tcp) => {
                Some([tcp.source_port(), tcp.destination_port()])
            }
            etherparse::TransportSlice::Udp(udp) => {
                Some([udp.source_port(), udp.destination_port()])
            }
            _ => None,
        }
    };
    (0..frames.len())
        .filter(|at| {
            let ports = ports(&frames[*at].2);
            ports == Some([one, other]) || ports == Some([other, one])
        })
        .collect()
}

#[test]
fn a_flow_is_all_of_its_packets() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("flow.pcapng");
    let path = pcaps().join("names-in-clear.pcap");
    let source = frames_of(&path);
    for (client, server) in [(40_024, 80), (40_031, 3128), (40_016, 443)] {
        let ids = flow_ids(&path, client);
        assert_eq!(ids.len(), 1);
        extract(
            &["--flow", &ids[0].to_string(), "-w", text(&out)],
            &[&path],
            0,
        );
        let wanted = between(&source, client, server);
        assert!(wanted.len() > 10);
        assert_eq!(seqs(&out), wanted);
    }
}

#[test]
fn a_later_flow_between_the_same_ends_is_another_flow() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.pcapng");
    let (path, first) = twice(folder.path());
    let second = first * 2..first * 3;
    let report = report(&[], &path);
    let (eset, kaspersky) = (
        exposure_of(&report, "eset"),
        exposure_of(&report, "kaspersky"),
    );
    // Up to the frame that completes the evidence: three to open, and the hello.
    for (id, begin) in [(&eset, 0), (&kaspersky, first * 2)] {
        extract(&["--exposure", id, "-w", text(&out)], &[&path], 0);
        assert_eq!(seqs(&out), (begin..begin + 4).collect::<Vec<_>>());
    }
    for (id, whole) in [(&eset, 0..first), (&kaspersky, second.clone())] {
        let args = ["--whole-flows", "--exposure", id, "-w", text(&out)];
        extract(&args, &[&path], 0);
        assert_eq!(seqs(&out), whole.collect::<Vec<_>>());
    }
    let ids = flow_ids(&path, CLIENT.1);
    let whole = [0..first, first..first * 2, second];
    assert_eq!(ids.len(), 3);
    for (id, whole) in ids.iter().zip(whole) {
        extract(&["--flow", &id.to_string(), "-w", text(&out)], &[&path], 0);
        assert_eq!(seqs(&out), whole.collect::<Vec<_>>());
    }
}

/// The frames of an office: one client that talks to a vendor three times under one name, asks for the name three times and once for
/// another of its names; with the number of those that belong to it. In between lies what belongs to others.
fn contacts_and_questions(folder: &Path) -> (PathBuf, Vec<usize>) {
    const RESOLVER: End = ([192, 168, 1, 1], 53);
    const ADDRESS: [(&str, u32, Data<'_>); 1] = [(VENDOR, 60, Data::Address(SERVER.0))];
    let end = |host: u8, port: u16| ([192, 168, 1, host], port);
    let parts = [
        (
            true,
            resolved(0, end(10, 50_001), RESOLVER, VENDOR, &ADDRESS),
        ),
        (true, tls(0, end(10, 40_001), SERVER, VENDOR, false)),
        (false, tls(0, end(11, 40_001), SERVER, VENDOR, false)),
        (
            false,
            tls(0, end(10, 40_009), SERVER, "www.example.org", false),
        ),
        (
            true,
            resolved(0, end(10, 50_002), RESOLVER, VENDOR, &ADDRESS),
        ),
        (true, tls(0, end(10, 40_002), SERVER, VENDOR, false)),
        (
            false,
            tls(0, end(10, 40_003), ([203, 0, 113, 8], 443), ANOTHER, false),
        ),
        (false, resolved(0, end(10, 50_009), RESOLVER, ANOTHER, &[])),
        (true, tls(0, end(10, 40_004), SERVER, VENDOR, false)),
        // The ends of the first connection once more, long after it: for somebody else.
        (
            false,
            tls(0, end(10, 40_001), SERVER, "www.example.org", false),
        ),
        (
            true,
            resolved(0, end(10, 50_003), RESOLVER, VENDOR, &ADDRESS),
        ),
        (
            false,
            resolved(0, end(11, 50_001), RESOLVER, VENDOR, &ADDRESS),
        ),
    ];
    let (mut frames, mut wanted) = (Vec::new(), Vec::new());
    for (number, (is_wanted, part)) in (0u64..).zip(parts) {
        for (nanos, wire_len, bytes) in part {
            if is_wanted {
                wanted.push(frames.len());
            }
            frames.push((BEGIN + number * 400 * SECOND + nanos, wire_len, bytes));
        }
    }
    let path = folder.join("office.pcap");
    write_pcap(&path, &frames);
    (path, wanted)
}

#[test]
fn whole_flows_are_all_flows_of_the_exposure() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.pcapng");
    let (path, wanted) = contacts_and_questions(folder.path());
    let report = report(&[], &path);
    let exposure = list(&report["exposures"])
        .iter()
        .find(|exposure| exposure["vendor"] == "eset" && exposure["host"] == "192.168.1.10")
        .unwrap();
    let id = exposure["id"].as_str().unwrap();
    let args = ["--exposure", id, "-w", text(&out)];
    // Two names are listed, one asked for and one contacted: the answer, and what opens the first connection with the hello.
    extract(&args, &[&path], 0);
    assert!(seqs(&out).len() < wanted.len() / 2, "the evidence alone");
    for workers in ["1", "2"] {
        let args = [&args[..], &["--whole-flows", "--workers", workers]].concat();
        let said = extract(&args, &[&path], 0);
        assert_eq!(seqs(&out), wanted);
        assert!(said.contains(" packets of 6 flows "), "{said}");
    }
}

/// The numbers of the packets of all conversations of `host` in which tshark sees one of the names; asked for or contacted.
fn conversations(path: &Path, host: &str, names: &[&str]) -> Option<Vec<usize>> {
    const FIELDS: [&str; 9] = [
        "ip.src",
        "ip.dst",
        "ipv6.src",
        "ipv6.dst",
        "tcp.stream",
        "udp.stream",
        "tls.handshake.extensions_server_name",
        "http.host",
        "dns.qry.name",
    ];
    let lines = tshark(path, &FIELDS)?;
    let lines: Vec<Vec<&str>> = lines.iter().map(|line| line.split('|').collect()).collect();
    let is_wanted = |line: &&Vec<&str>| {
        line[..4].contains(&host)
            && line[6..]
                .iter()
                .any(|shown| names.iter().any(|name| shown.eq_ignore_ascii_case(name)))
    };
    let streams: BTreeSet<(&str, &str)> = lines
        .iter()
        .filter(is_wanted)
        .map(|line| (line[4], line[5]))
        .collect();
    let found = lines.iter().enumerate();
    let found = found.filter(|(_, line)| streams.contains(&(line[4], line[5])));
    Some(found.map(|(at, _)| at).collect())
}

#[test]
fn whole_flows_of_the_demo_are_the_conversations_that_tshark_sees() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.pcapng");
    let path = pcaps().join("demo.pcap");
    let report = report(&[], &path);
    let mut repeated = 0;
    for exposure in list(&report["exposures"]) {
        let evidence = list(&exposure["evidence"]);
        let by_name = |item: &Value| {
            let kind = item["kind"].as_str().unwrap();
            ["tls_sni", "http_host", "dns_query"].contains(&kind)
        };
        // Of programs and addresses tshark does not know whose they are.
        if !evidence.iter().all(by_name) {
            continue;
        }
        let names: Vec<_> = evidence
            .iter()
            .map(|item| item["value"].as_str().unwrap())
            .collect();
        let (id, host) = (
            exposure["id"].as_str().unwrap(),
            exposure["host"].as_str().unwrap(),
        );
        let Some(wanted) = conversations(&path, host, &names) else {
            return skip("extract", "tshark is not there");
        };
        let args = ["--whole-flows", "--exposure", id, "-w", text(&out)];
        extract(&args, &[&path], 0);
        assert_eq!(seqs(&out), wanted, "{host} {names:?}");
        repeated += usize::from(exposure["flows"].as_u64().unwrap() > evidence.len() as u64);
    }
    assert!(repeated > 0, "an exposure with more flows than names");
}
