//! Names behind a beginning in another protocol: `proxies.pcap` against what its clients were told to ask for, and the same streams
//! in any delivery.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::frames::{BEGIN, Connection, Frame, SECOND, frames_of, hello, lines_of, run_frames};
use super::support::{Run, Way, expected, pcaps};

const CAPTURE: &str = "proxies.pcap";
const CLIENT: [u8; 4] = [192, 168, 10, 51];

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn run_capture() -> Run {
    run_frames(frames_of(&pcaps().join(CAPTURE)), &Way::default())
}

/// Names with their kinds and ends, without how often; which programs and targets there were is not written down.
fn names(run: &Run) -> BTreeSet<String> {
    run.names
        .iter()
        .filter(|row| !row.contains("http_uri") && !row.contains("http_user_agent"))
        .map(|row| row.rsplit_once(' ').unwrap().0.to_owned())
        .collect()
}

/// Kind, name and port of the client of a piece of evidence in an event, with how often it was told.
fn told(run: &Run) -> BTreeMap<(String, String, u64), u64> {
    let mut found = BTreeMap::new();
    for kind in ["tls", "http", "socks"] {
        for line in lines_of(run, kind) {
            for item in list(&line["avscope"]["evidence"]) {
                let kind = item["kind"].as_str().unwrap().to_owned();
                if kind == "http_uri" || kind == "http_user_agent" {
                    continue;
                }
                let name = item["value"].as_str().unwrap().to_owned();
                let port = line["src_port"].as_u64().unwrap();
                *found.entry((kind, name, port)).or_insert(0) += 1;
            }
        }
    }
    found
}

#[test]
fn every_name_behind_another_protocol_is_told_and_no_other() {
    let expected = expected("proxies.expected.json");
    let mut wanted = BTreeMap::new();
    for row in [&expected["names"], &expected["other_names"]]
        .into_iter()
        .flat_map(list)
    {
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        let port = row["src_port"].as_u64().unwrap();
        wanted.insert(
            (text("kind"), text("name"), port),
            row["count"].as_u64().unwrap(),
        );
    }
    assert!(wanted.len() > 40);
    assert_eq!(told(&run_capture()), wanted);
}

#[test]
fn the_name_inside_says_whose_it_is_and_the_proxy_stands_nowhere() {
    let expected = expected("proxies.expected.json");
    let run = run_capture();
    let flows = lines_of(&run, "flow");
    for wanted in list(&expected["tunnelled"]) {
        let flow = flows
            .iter()
            .find(|flow| flow["src_port"] == wanted["src_port"])
            .unwrap_or_else(|| panic!("{wanted}"));
        let own = &flow["avscope"];
        assert_eq!(own["coverage"], wanted["coverage"], "{wanted}");
        assert_eq!(
            own["attribution"]["evidence_kind"], wanted["deciding"],
            "{wanted}"
        );
    }
    let to_proxies = |line: &&Value| {
        let server = line["dest_ip"].as_str().unwrap();
        server.starts_with("192.168.")
    };
    let mut attributed = 0;
    for kind in ["tls", "http", "socks", "flow"] {
        for line in lines_of(&run, kind).iter().filter(to_proxies) {
            attributed += u32::from(!line["avscope"]["attribution"].is_null());
            assert_eq!(line["avscope"]["server"], Value::Null, "{line}");
        }
    }
    assert!(attributed > 0);
}

#[test]
fn a_request_to_a_proxy_is_an_event_of_its_own() {
    let run = run_capture();
    let found: BTreeSet<String> = lines_of(&run, "socks")
        .iter()
        .map(|line| {
            let own = &line["avscope"]["socks"];
            format!("{} {}", own["command"], own["target"])
        })
        .collect();
    let wanted = [
        "\"CONNECT\" \"203.0.113.90:443\"",
        "\"CONNECT\" \"203.0.113.90:80\"",
        "\"CONNECT\" \"inner.proxies.example:443\"",
        "\"CONNECT\" \"plain.proxies.example:80\"",
        "\"CONNECT\" \"update.eset.com:443\"",
    ];
    assert_eq!(found, wanted.map(str::to_owned).into());
}

#[test]
fn neither_user_nor_password_is_told() {
    let run = run_capture();
    let text = format!(
        "{}{}{:?}",
        String::from_utf8_lossy(&run.events),
        run.report,
        run.names
    );
    // Counters of the report have the password's word in their names.
    let text = text.replace("secrets", "");
    // The last is how HTTP writes both (RFC 7617).
    for secret in ["fred", "secret", "ZnJlZDpzZWNyZXQ"] {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[test]
fn every_packet_twice_or_the_client_alone_shows_the_same_names() {
    let frames = frames_of(&pcaps().join(CAPTURE));
    let once = names(&run_frames(frames.clone(), &Way::default()));
    let doubled = frames
        .iter()
        .flat_map(|frame| [frame.clone(), frame.clone()])
        .collect();
    assert_eq!(names(&run_frames(doubled, &Way::default())), once);
    let is_own = |frame: &&Frame| frame.2.get(26..30) == Some(&CLIENT[..]);
    let alone = frames.iter().filter(is_own).cloned().collect();
    assert_eq!(names(&run_frames(alone, &Way::default())), once);
    // Begun after the connections did: no SYN, and so no word of who began.
    let is_late = |frame: &&Frame| frame.2.get(47).is_some_and(|flags| flags & 0x02 == 0);
    let late = frames.iter().filter(is_late).cloned().collect();
    assert_eq!(names(&run_frames(late, &Way::default())), once);
}

/// What the client sent on a connection.
struct Sent {
    port: u16,
    server: ([u8; 4], u16),
    first: u32,
    bytes: Vec<u8>,
}

/// The client's side of each connection, put in order.
fn streams() -> Vec<Sent> {
    let mut found: Vec<Sent> = Vec::new();
    for (_, _, frame) in frames_of(&pcaps().join(CAPTURE)) {
        let packet = etherparse::SlicedPacket::from_ethernet(&frame).unwrap();
        let (Some(etherparse::NetSlice::Ipv4(ip)), Some(etherparse::TransportSlice::Tcp(tcp))) =
            (&packet.net, &packet.transport)
        else {
            continue;
        };
        let (source, port) = (ip.header().source(), tcp.source_port());
        if source == CLIENT && tcp.syn() {
            found.push(Sent {
                port,
                server: (ip.header().destination(), tcp.destination_port()),
                first: tcp.sequence_number().wrapping_add(1),
                bytes: Vec::new(),
            });
        } else if source == CLIENT && !tcp.payload().is_empty() {
            let sent = found.iter_mut().find(|sent| sent.port == port).unwrap();
            let at = tcp.sequence_number().wrapping_sub(sent.first) as usize;
            assert!(at <= sent.bytes.len(), "recorded without a gap");
            sent.bytes.truncate(at);
            sent.bytes.extend(tcp.payload());
        }
    }
    found
}

/// The client's side of every connection, in segments of a size, of each so many bytes.
fn delivered(size: usize, len_max: usize) -> Vec<Vec<Frame>> {
    streams()
        .into_iter()
        .enumerate()
        .map(|(number, sent)| {
            let begin = BEGIN + number as u64 * 20 * SECOND;
            let mut connection = Connection::open(begin, (CLIENT, sent.port), sent.server);
            connection.ask(&sent.bytes[..sent.bytes.len().min(len_max)], size);
            connection.close()
        })
        .collect()
}

#[test]
fn the_names_are_the_same_in_segments_of_any_size() {
    let once = names(&run_capture());
    for size in [1, 2, 3, 5, 7, 16, 50, 200, 1460, 60_000] {
        let run = run_frames(delivered(size, usize::MAX).concat(), &Way::default());
        let found = names(&run);
        let missed: Vec<_> = once.difference(&found).collect();
        let extra: Vec<_> = found.difference(&once).collect();
        assert!(
            missed.is_empty() && extra.is_empty(),
            "segments of {size}: missed {missed:#?}, extra {extra:#?}"
        );
    }
}

#[test]
fn the_names_are_the_same_where_segments_change_places() {
    const OPENING: usize = 3;
    let once = names(&run_capture());
    for (size, reach) in [(7, 2), (16, 5), (100, 3), (400, 2)] {
        let mut frames = Vec::new();
        for mut connection in delivered(size, usize::MAX) {
            let last = connection.len() - OPENING;
            for some in connection[OPENING..last].chunks_mut(reach) {
                let times: Vec<u64> = some.iter().map(|frame| frame.0).collect();
                some.reverse();
                for (frame, time) in some.iter_mut().zip(times) {
                    frame.0 = time;
                }
            }
            frames.extend(connection);
        }
        let found = names(&run_frames(frames, &Way::default()));
        assert_eq!(found, once, "{reach} segments of {size} turned round");
    }
}

#[test]
fn a_stream_that_is_cut_short_shows_no_name_that_is_not_there() {
    let once = names(&run_capture());
    let mut most = 0;
    for len in (0..400).chain((400..3000).step_by(200)) {
        let found = names(&run_frames(delivered(1460, len).concat(), &Way::default()));
        let extra: Vec<_> = found.difference(&once).collect();
        assert!(extra.is_empty(), "{len} bytes: {extra:#?}");
        assert!(found.len() >= most, "{len} bytes");
        most = found.len();
    }
    assert_eq!(most, once.len());
}

#[test]
fn a_session_that_never_begins_tls_is_watched_for_so_long_and_counted() {
    let mut connection = Connection::open(BEGIN, (CLIENT, 40_001), ([203, 0, 113, 91], 25));
    connection.answer(b"220 mail ESMTP\r\n", 1460);
    connection.ask(b"EHLO client.example\r\n", 1460);
    for _ in 0..300 {
        connection.ask(b"NOOP a line that says nothing at all\r\n", 1460);
    }
    let run = run_frames(connection.close(), &Way::default());
    assert_eq!(run.report["handshakes"]["watched_out"], 1);
    let flow = &lines_of(&run, "flow")[0];
    assert_eq!(flow["app_proto"], "smtp");
    assert_eq!(flow["avscope"]["coverage"], "nameless_protocol");
}

#[test]
fn http2_by_upgrade_is_read_on() {
    let mut connection = Connection::open(BEGIN, (CLIENT, 40_001), ([203, 0, 113, 92], 8080));
    connection.ask(
        b"GET /first HTTP/1.1\r\nHost: h2.example\r\nConnection: Upgrade, HTTP2-Settings\r\n\
          Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        1460,
    );
    connection.ask(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 1);
    // A request of RFC 7541 C.4.1.
    let block = [
        0x82, 0x86, 0x84, 0x41, 0x8c, 0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90,
        0xf4, 0xff,
    ];
    connection.ask(&[0, 0, block.len() as u8, 1, 5, 0, 0, 0, 3], 4);
    connection.ask(&block, 5);
    let run = run_frames(connection.close(), &Way::default());
    let hosts: Vec<Value> = lines_of(&run, "http")
        .iter()
        .map(|line| line["http"]["hostname"].clone())
        .collect();
    assert_eq!(hosts, ["h2.example", "www.example.com"]);
}

#[test]
fn a_websocket_ends_the_reading_of_requests() {
    let mut connection = Connection::open(BEGIN, (CLIENT, 40_001), ([203, 0, 113, 92], 80));
    connection.ask(
        b"GET /chat HTTP/1.1\r\nHost: chat.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        1460,
    );
    connection.ask(b"\x81\x85\x01\x02\x03\x04abcde", 1460);
    connection.ask(b"GET /no HTTP/1.1\r\nHost: inside.example\r\n\r\n", 1460);
    let run = run_frames(connection.close(), &Way::default());
    let hosts: Vec<Value> = lines_of(&run, "http")
        .iter()
        .map(|line| line["http"]["hostname"].clone())
        .collect();
    assert_eq!(hosts, ["chat.example"]);
}

/// What a load balancer says first takes nothing from its client; what it looks like is no header does.
#[test]
fn behind_the_header_of_a_load_balancer_the_client_is_read() {
    let text = b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 443\r\n".to_vec();
    let mut binary = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    binary.extend([
        0x21, 0x11, 0, 12, 192, 0, 2, 1, 192, 0, 2, 2, 0x9c, 0x40, 0x01, 0xbb,
    ]);
    let server = ([203, 0, 113, 94], 8443);
    for header in [text, binary] {
        for (client, kind) in [
            (hello("a.example", false), "TlsSni"),
            (
                b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n".to_vec(),
                "HttpHost",
            ),
        ] {
            let stream = [header.clone(), client.clone()].concat();
            // In one segment, the header alone, and the rest in pieces behind a first that holds the header.
            for first in [stream.len(), header.len(), header.len() + 7] {
                let mut connection = Connection::open(BEGIN, (CLIENT, 40_002), server);
                connection.ask(&stream[..first], 1400);
                connection.ask(&stream[first..], 20);
                let run = run_frames(connection.close(), &Way::default());
                let names: Vec<_> = run
                    .names
                    .iter()
                    .filter(|row| row.contains("a.example"))
                    .collect();
                assert!(
                    names.iter().any(|row| row.contains(kind)),
                    "{kind} {first}: {:?}",
                    run.names
                );
                let flow = &lines_of(&run, "flow")[0];
                assert_eq!(
                    flow["avscope"]["coverage"], "named_not_security",
                    "{kind} {first}"
                );
            }
        }
    }
}
