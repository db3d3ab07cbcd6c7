//! Who a host is: stations, leases, names, VLANs; addresses that change hands; hosts that speak for others.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::frames::{
    BEGIN, Connection, Data, End, Frame, MILLISECOND, SECOND, hello, lines_of_text, question,
    resolved, run_frames, tls, udp, write_pcap,
};
use super::support::{Run, Way, avscope, expected, pcaps, run};

const HOST: [u8; 4] = [192, 168, 1, 10];
const OTHER: [u8; 4] = [192, 168, 1, 20];
const SERVER: End = ([203, 0, 113, 7], 443);
const RESOLVER: End = ([9, 9, 9, 9], 53);
const EVERYBODY: [u8; 4] = [255; 4];
const GATEWAY: [u8; 4] = [192, 168, 1, 1];
const ESET: &str = "update.eset.com";
const KASPERSKY: &str = "downloads.upd.kaspersky.com";
const NOBODY: &str = "www.example.org";
const ONE: u8 = 0x51;
const TWO: u8 = 0x52;

/// Where the sender stands in an untagged frame.
const SOURCE: std::ops::Range<usize> = 6..12;

fn mac(last: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0, last]
}

fn mac_text(last: u8) -> String {
    format!("02:00:00:00:00:{last:02x}")
}

/// The frames as the station sends those of its own address.
fn by(station: u8, address: [u8; 4], mut frames: Vec<Frame>) -> Vec<Frame> {
    for (_, _, frame) in &mut frames {
        if frame[26..30] == address {
            frame[SOURCE].copy_from_slice(&mac(station));
        }
    }
    frames
}

/// A visit to a name, from a port.
fn visit(nanos: u64, station: u8, client: End, name: &str) -> Vec<Frame> {
    by(station, client.0, tls(nanos, client, SERVER, name, false))
}

/// A DHCP message as small as it can be.
struct Dhcp {
    id: u32,
    card: u8,
    address: [u8; 4],
    client_address: [u8; 4],
    kind: u8,
    options: Vec<u8>,
}

impl Dhcp {
    fn bytes(&self) -> Vec<u8> {
        let from_server = matches!(self.kind, 2 | 5 | 6);
        let mut bytes = vec![if from_server { 2 } else { 1 }, 1, 6, 0];
        bytes.extend(self.id.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(self.client_address);
        bytes.extend(if from_server { self.address } else { [0; 4] });
        bytes.extend([0; 8]);
        bytes.extend(mac(self.card));
        bytes.extend([0; 10 + 64 + 128]);
        bytes.extend([99, 130, 83, 99, 53, 1, self.kind]);
        bytes.extend(&self.options);
        bytes.push(255);
        bytes
    }
}

/// A client asks for the address and is given it; `on_segment`: its own card sends the question.
fn leased(nanos: u64, card: u8, address: [u8; 4], name: &str, on_segment: bool) -> Vec<Frame> {
    let message = |kind, options: Vec<u8>| Dhcp {
        id: u32::from(card),
        card,
        address,
        client_address: [0; 4],
        kind,
        options,
    };
    let name = [&[12, name.len() as u8][..], name.as_bytes()].concat();
    let asks = message(3, name).bytes();
    let gives = message(5, vec![51, 4, 0, 0, 14, 16]).bytes();
    let mut asked = udp(nanos, ([0; 4], 68), (EVERYBODY, 67), &asks);
    let sender = if on_segment { card } else { 1 };
    asked.2[SOURCE].copy_from_slice(&mac(sender));
    let answered = udp(nanos + MILLISECOND, (GATEWAY, 67), (EVERYBODY, 68), &gives);
    vec![asked, answered]
}

/// Host, tenancy and vendor of each exposure.
fn contacts(run: &Run) -> BTreeSet<(String, u64, String)> {
    let exposures = run.report["exposures"].as_array().unwrap();
    exposures
        .iter()
        .map(|exposure| {
            let text = |key: &str| exposure[key].as_str().unwrap().to_owned();
            let tenancy = exposure["tenancy"].as_u64().unwrap();
            (text("host"), tenancy, text("vendor"))
        })
        .collect()
}

fn contact(host: [u8; 4], tenancy: u64, vendor: &str) -> (String, u64, String) {
    let host = std::net::Ipv4Addr::from(host).to_string();
    (host, tenancy, vendor.to_owned())
}

fn seen<'a>(run: &'a Run, what: &str) -> &'a Value {
    &run.report["hosts_seen"][what]
}

#[test]
fn the_hosts_of_the_capture_are_those_that_were_there() {
    let expected = expected("hosts.expected.json");
    let output = avscope()
        .args(["hosts", "--format", "json"])
        .arg(pcaps().join("hosts.pcap"))
        .output()
        .unwrap();
    let listed = lines_of_text(&output.stdout);
    for wanted in expected["home_hosts"].as_array().unwrap() {
        let host = listed
            .iter()
            .find(|host| host["host"] == wanted["host"] && host["tenancy"] == wanted["tenancy"])
            .unwrap_or_else(|| panic!("{wanted}"));
        for key in ["cause", "mac", "name"] {
            assert_eq!(host[key], wanted[key], "{wanted}\n{host}");
        }
        let roles: Vec<_> = host["roles"].as_array().unwrap().iter().collect();
        let words: Vec<_> = roles.iter().map(|role| role["role"].clone()).collect();
        assert_eq!(json!(words), wanted["roles"], "{host}");
        if let Some(vendor) = wanted.get("relay_of") {
            assert_eq!(roles[0]["vendor"], *vendor, "{host}");
        }
        let vlans: Vec<_> = host["vlans"].as_array().unwrap().iter().collect();
        let vlans: Vec<_> = vlans.iter().map(|vlan| vlan["id"].clone()).collect();
        let wanted: Vec<_> = wanted.get("vlan").into_iter().cloned().collect();
        assert_eq!(vlans, wanted, "{host}");
    }
    let sent: Vec<_> = expected["home_hosts"].as_array().unwrap().iter().collect();
    let known = |host: &&Value| {
        sent.iter()
            .any(|wanted| wanted["host"] == host["host"] && wanted["tenancy"] == host["tenancy"])
    };
    let others: Vec<_> = listed.iter().filter(|host| !known(host)).collect();
    // The gateway gives addresses and says nothing else.
    assert_eq!(others.len(), 1, "{others:?}");
    assert_eq!(others[0]["host"], "192.168.10.1");
    assert_eq!(others[0]["named"], false);
}

#[test]
fn the_contacts_of_the_capture_belong_to_those_that_made_them() {
    let expected = expected("hosts.expected.json");
    let run = run(&[pcaps().join("hosts.pcap")], &Way::default());
    let exposures = run.report["exposures"].as_array().unwrap();
    let told: BTreeSet<_> = exposures
        .iter()
        .filter(|exposure| exposure["only_asked_for"] == false)
        .map(|exposure| {
            let of = |key: &str| exposure[key].to_string();
            (of("host"), of("tenancy"), of("vendor"))
        })
        .collect();
    let wanted: BTreeSet<_> = expected["host_contacts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|contact| {
            let of = |key: &str| contact[key].to_string();
            (of("host"), of("tenancy"), of("vendor"))
        })
        .collect();
    assert_eq!(told, wanted);
    // And those of hosts that may speak for others are marked, and no others are.
    let relayed: BTreeSet<_> = exposures
        .iter()
        .filter(|exposure| !exposure["relay"].is_null())
        .map(|exposure| {
            let role = exposure["relay"]["role"].to_string();
            (
                exposure["host"].to_string(),
                exposure["vendor"].to_string(),
                role,
            )
        })
        .collect();
    let mut wanted = BTreeSet::new();
    for relay in expected["relayed"].as_array().unwrap() {
        for vendor in relay["vendors"].as_array().unwrap() {
            let (host, role) = (relay["host"].to_string(), relay["role"].to_string());
            wanted.insert((host, vendor.to_string(), role));
        }
    }
    assert_eq!(relayed, wanted);
    let apart = &run.report["exposures_apart"];
    let count = |key: &str| apart[key].as_u64().unwrap();
    assert_eq!(
        (count("exposures") + count("relay_exposures")) as usize,
        exposures.len()
    );
    assert_eq!(count("relays"), 4);
    let ids: BTreeSet<_> = exposures
        .iter()
        .map(|exposure| exposure["id"].to_string())
        .collect();
    assert_eq!(
        ids.len(),
        exposures.len(),
        "an exposure has an id of its own"
    );
}

#[test]
fn every_format_says_who_the_host_is() {
    let capture = pcaps().join("hosts.pcap");
    let written = |arguments: &[&str]| {
        let output = avscope().args(arguments).arg(&capture).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let table = written(&["replay"]);
    for word in [
        "anna-laptop",
        "02:00:0a:0a:00:5c",
        "VLAN 30",
        "as vendor_relay",
        "Hosts that may speak for others",
        "192.168.10.172: vendor_relay of kaspersky, since",
    ] {
        assert!(table.contains(word), "{word}\n{table}");
    }
    let csv = written(&["replay", "--format", "csv"]);
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let header = reader.headers().unwrap().clone();
    let at = |name: &str| header.iter().position(|column| column == name).unwrap();
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    let berta: Vec<_> = rows
        .iter()
        .filter(|row| &row[at("name")] == "berta-laptop")
        .collect();
    assert_eq!(berta.len(), 2);
    for row in berta {
        assert_eq!(&row[at("tenancy")], "2");
        assert!(!row[at("since")].is_empty());
        assert_eq!(&row[at("mac")], "02:00:0a:0a:00:5c");
        assert_eq!(&row[at("relay")], "");
    }
    let redacted = written(&["replay", "--redact", "--format", "json"])
        + &written(&["hosts", "--redact", "--format", "json"])
        + &written(&["hosts", "--redact"])
        + &written(&["replay", "--redact", "--format", "csv"]);
    for identifier in [
        "anna",
        "berta",
        "PC98",
        "pc99",
        "0a:0a:00:5b",
        "01:02:00:0a",
    ] {
        assert!(!redacted.contains(identifier), "{identifier}");
    }
    assert!(redacted.contains("02:00:0a:…"));
}

#[test]
fn an_address_that_another_card_is_given_is_another_host() {
    let mut frames = leased(BEGIN, ONE, HOST, "one", true);
    frames.extend(visit(BEGIN + SECOND, ONE, (HOST, 40_001), ESET));
    // It asks again, and is given what it has.
    frames.extend(leased(BEGIN + 2 * SECOND, ONE, HOST, "one", true));
    frames.extend(visit(BEGIN + 3 * SECOND, ONE, (HOST, 40_002), ESET));
    let before = run_frames(frames.clone(), &Way::default());
    assert_eq!(contacts(&before), [contact(HOST, 1, "eset")].into());
    let id = before.report["exposures"][0]["id"].clone();

    // A flow that began before goes on behind the change: it stays with who began it.
    let mut long = Connection::open(BEGIN + 4 * SECOND, (HOST, 40_003), SERVER);
    long.now = BEGIN + 9 * SECOND;
    long.ask(&hello(KASPERSKY, false), 1400);
    let late: Vec<_> = by(ONE, HOST, long.close());
    frames.extend(late[..3].iter().cloned());
    frames.extend(leased(BEGIN + 5 * SECOND, TWO, HOST, "two", true));
    frames.extend(visit(BEGIN + 6 * SECOND, TWO, (HOST, 40_004), ESET));
    frames.extend(late[3..].iter().cloned());
    let run = run_frames(frames, &Way::default());
    let wanted = [
        contact(HOST, 1, "eset"),
        contact(HOST, 1, "kaspersky"),
        contact(HOST, 2, "eset"),
    ];
    assert_eq!(contacts(&run), wanted.into());
    let exposures = run.report["exposures"].as_array().unwrap();
    let of = |tenancy: u64| {
        let mut those = exposures.iter();
        those.find(|exposure| exposure["tenancy"] == tenancy && exposure["vendor"] == "eset")
    };
    let (first, second) = (of(1).unwrap(), of(2).unwrap());
    assert_eq!(first["id"], id, "the first host keeps its id");
    assert_ne!(second["id"], id);
    assert_eq!(
        (&first["name"], &first["mac"]),
        (&json!("one"), &json!(mac_text(ONE)))
    );
    assert_eq!(
        (&second["name"], &second["mac"]),
        (&json!("two"), &json!(mac_text(TWO)))
    );
    assert!(first["since"].is_null() && second["since"].is_string());
    assert_eq!(seen(&run, "changes"), &json!({"dhcp": 1, "link": 0}));
}

#[test]
fn a_lease_by_way_of_a_router_splits_nothing() {
    // The card in the lease is the host's, the station of its frames a router's: both for the same host.
    const ROUTER: u8 = 0x71;
    let mut frames = visit(BEGIN, ROUTER, (HOST, 40_001), ESET);
    frames.extend(leased(BEGIN + SECOND, ONE, HOST, "one", false));
    for number in 2..8 {
        let at = BEGIN + u64::from(number) * SECOND;
        frames.extend(visit(at, ROUTER, (HOST, 40_000 + number), ESET));
    }
    let run = run_frames(frames, &Way::default());
    assert_eq!(contacts(&run), [contact(HOST, 1, "eset")].into());
    let exposure = &run.report["exposures"][0];
    assert_eq!(
        (&exposure["name"], &exposure["mac"]),
        (&json!("one"), &json!(mac_text(ONE)))
    );
    assert_eq!(seen(&run, "changes"), &json!({"dhcp": 0, "link": 0}));
}

#[test]
fn another_station_is_another_host_once_it_stays() {
    let flows = |stations: &[(u64, u8)], name: &str| -> Vec<Frame> {
        let numbered = (40_001u16..).zip(stations);
        numbered
            .flat_map(|(port, (seconds, station))| {
                visit(BEGIN + seconds * SECOND, *station, (HOST, port), name)
            })
            .collect()
    };
    let split = |stations: &[(u64, u8)]| {
        let run = run_frames(flows(stations, ESET), &Way::default());
        let tenancies: Vec<_> = contacts(&run).into_iter().map(|of| of.1).collect();
        (tenancies, run)
    };
    // Stray frames of another station, then the first again: as with a forged address.
    let (tenancies, run) = split(&[(0, ONE), (1, ONE), (2, TWO), (3, TWO), (4, ONE), (5, ONE)]);
    assert_eq!(tenancies, [1]);
    assert_eq!(seen(&run, "station_conflicts"), 2);
    // Three in a row.
    let (tenancies, run) = split(&[(0, ONE), (1, ONE), (2, TWO), (3, TWO), (4, TWO), (5, TWO)]);
    assert_eq!(tenancies, [1, 2]);
    assert_eq!(seen(&run, "changes"), &json!({"dhcp": 0, "link": 1}));
    // One is enough where the first has long been silent.
    let (tenancies, _) = split(&[(0, ONE), (1, ONE), (400, TWO)]);
    assert_eq!(tenancies, [1, 2]);
    // The first comes back: it is the same host as before.
    let (tenancies, run) = split(&[(0, ONE), (400, TWO), (800, ONE)]);
    assert_eq!(tenancies, [1, 2]);
    assert_eq!(seen(&run, "hosts"), 2);
    // To and fro: one host with two cards, as where links are bonded.
    let turns: Vec<_> = (0..12)
        .map(|turn| (turn * 400, if turn % 2 == 0 { ONE } else { TWO }))
        .collect();
    let (_, run) = split(&turns);
    assert_eq!(seen(&run, "hosts"), 2);
    assert_eq!(seen(&run, "changes")["link"], 3);
    assert_eq!(seen(&run, "addresses_joined"), 1);
}

#[test]
fn a_frame_without_a_sender_tells_nobody_apart() {
    let mut frames = Vec::new();
    for number in 1..8u16 {
        let client = (HOST, 40_000 + number);
        let mut those = visit(BEGIN + u64::from(number) * 400 * SECOND, ONE, client, ESET);
        if number > 2 {
            for (_, _, frame) in &mut those {
                frame[SOURCE].fill(0);
            }
        }
        frames.extend(those);
    }
    let run = run_frames(frames, &Way::default());
    assert_eq!(contacts(&run), [contact(HOST, 1, "eset")].into());
    assert_eq!(run.report["exposures"][0]["mac"], mac_text(ONE));
}

#[test]
fn a_router_is_nobodys_station_and_tells_nobody_apart() {
    const FIRST: u8 = 0x71;
    const SECOND_ROUTER: u8 = 0x72;
    let host = |last: u8| [192, 168, 2, last];
    let mut frames = Vec::new();
    let mut seconds = 0;
    for router in [FIRST, SECOND_ROUTER, FIRST] {
        for _ in 0..4 {
            for last in 1..=8 {
                seconds += 1;
                let client = (host(last), 40_000 + seconds as u16);
                frames.extend(visit(BEGIN + seconds * SECOND, router, client, ESET));
            }
        }
        seconds += 1000;
    }
    let run = run_frames(frames, &Way::default());
    let wanted: BTreeSet<_> = (1..=8).map(|last| contact(host(last), 1, "eset")).collect();
    assert_eq!(contacts(&run), wanted);
    let exposures = run.report["exposures"].as_array().unwrap();
    assert!(exposures.iter().all(|exposure| exposure["mac"].is_null()));
    assert_eq!(seen(&run, "routers"), 2);
    assert_eq!(seen(&run, "changes"), &json!({"dhcp": 0, "link": 0}));
}

#[test]
fn a_host_that_was_told_apart_by_a_router_is_doubtful() {
    const ROUTER: u8 = 0x71;
    let mut frames = Vec::new();
    for (seconds, station) in [(0, ONE), (1, ONE), (400, ROUTER), (401, ROUTER)] {
        let client = (HOST, 40_001 + seconds as u16);
        frames.extend(visit(BEGIN + seconds * SECOND, station, client, ESET));
    }
    for last in 1..=6 {
        let client = ([192, 168, 2, last], 41_000);
        frames.extend(visit(
            BEGIN + (410 + u64::from(last)) * SECOND,
            ROUTER,
            client,
            NOBODY,
        ));
    }
    // From then on it is the first again.
    frames.extend(visit(
        BEGIN + 420 * SECOND,
        ROUTER,
        (HOST, 42_000),
        KASPERSKY,
    ));
    let run = run_frames(frames, &Way::default());
    let wanted = [
        contact(HOST, 1, "eset"),
        contact(HOST, 1, "kaspersky"),
        contact(HOST, 2, "eset"),
    ];
    assert_eq!(contacts(&run), wanted.into());
    assert_eq!(seen(&run, "doubtful"), 1);
    let hosts = run.report["hosts"].as_array().unwrap();
    let second = hosts.iter().find(|host| host["tenancy"] == 2).unwrap();
    assert_eq!(
        (&second["doubtful"], &second["mac"]),
        (&json!(true), &Value::Null)
    );
}

#[test]
fn one_sign_is_no_nat_and_two_systems_by_two_signs_are() {
    let with_ttl = |ttl: u8, mut frames: Vec<Frame>| {
        for (_, _, frame) in &mut frames {
            if frame[26..30] == HOST {
                frame[22] = ttl;
            }
        }
        frames
    };
    let request = |seconds: u64, agent: &str| {
        let client = (HOST, 40_000 + seconds as u16);
        let mut connection = Connection::open(BEGIN + seconds * SECOND, client, (SERVER.0, 80));
        let head = format!("GET / HTTP/1.1\r\nHost: {NOBODY}\r\nUser-Agent: {agent}\r\n\r\n");
        connection.ask(head.as_bytes(), 1400);
        by(ONE, HOST, connection.close())
    };
    let (windows, linux) = ("x (Windows NT 10.0)", "x (X11; Linux x86_64)");
    let roles = |frames: Vec<Frame>| {
        let run = run_frames(frames, &Way::default());
        run.report["hosts"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|host| host["roles"].as_array().unwrap().clone())
            .map(|role| role["role"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let all = |ttls: [u8; 2], agents: [&str; 2]| -> Vec<Frame> {
        (0..6)
            .flat_map(|turn: usize| {
                let frames = request(turn as u64, agents[turn % 2]);
                with_ttl(ttls[turn % 2], frames)
            })
            .collect()
    };
    assert_eq!(roles(all([64, 64], [windows, linux])), [""; 0]);
    assert_eq!(roles(all([64, 128], [linux, linux])), [""; 0]);
    assert_eq!(roles(all([64, 128], [linux, windows])), ["nat"]);
    // On the segment itself a packet that was passed on shows; behind a router it does not, as the way may change.
    assert_eq!(roles(all([64, 63], [linux, windows])), ["nat"]);
    // What traces a route has few hops left on purpose.
    assert_eq!(roles(all([64, 5], [linux, windows])), [""; 0]);
}

#[test]
fn a_scanner_makes_no_proxy_and_a_refused_question_no_resolver() {
    let mut frames = Vec::new();
    for (number, last) in (0u64..).zip(20..30) {
        let server = ([192, 168, 1, last], 8080);
        let mut connection = Connection::open(BEGIN + number * SECOND, (HOST, 40_001), server);
        connection.ask(
            b"CONNECT www.example.org:443 HTTP/1.1\r\nHost: www.example.org:443\r\n\r\n",
            1400,
        );
        connection.answer(b"HTTP/1.1 405 No\r\n\r\n", 1400);
        frames.extend(connection.close());
        // Each of them goes out, as hosts do.
        frames.extend(tls(
            BEGIN + number * SECOND + SECOND / 2,
            (server.0, 41_000),
            SERVER,
            ESET,
            false,
        ));
    }
    // A question that nobody answers.
    frames.push(udp(
        BEGIN + 20 * SECOND,
        (HOST, 50_000),
        (OTHER, 53),
        &question(1, NOBODY),
    ));
    frames.extend(resolved(
        BEGIN + 21 * SECOND,
        (OTHER, 50_000),
        RESOLVER,
        NOBODY,
        &[(NOBODY, 60, Data::Address([203, 0, 113, 9]))],
    ));
    let run = run_frames(frames, &Way::default());
    let by_role = seen(&run, "by_role");
    assert_eq!(
        (&by_role["proxy"], &by_role["resolver"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(run.report["exposures_apart"]["relays"], 0);
}

#[test]
fn a_vendors_port_alone_makes_no_relay() {
    let asked = |nanos: u64| {
        let mut connection = Connection::open(nanos, (HOST, 40_001), (OTHER, 13_111));
        connection.ask(b"\x01\x02\x03\x04", 1400);
        connection.answer(b"\x05\x06\x07\x08", 1400);
        connection.close()
    };
    let roles = |vendor: &str| {
        let mut frames = asked(BEGIN);
        frames.extend(tls(BEGIN + SECOND, (OTHER, 41_000), SERVER, vendor, false));
        let run = run_frames(frames, &Way::default());
        seen(&run, "by_role")["vendor_relay"].clone()
    };
    assert_eq!(roles(ESET), 0);
    assert_eq!(roles(KASPERSKY), 1);
}

#[test]
fn the_registry_keeps_to_its_bounds_and_counts_what_it_refuses() {
    let limited = |change: fn(&mut avscope::aggregate::HostLimits)| {
        let mut way = Way::default();
        change(&mut way.hosts);
        way
    };
    let many: Vec<_> = (1..=9)
        .flat_map(|last| {
            let client = ([192, 168, 1, last], 40_001);
            visit(BEGIN + u64::from(last) * SECOND, last, client, ESET)
        })
        .collect();
    let run = run_frames(many.clone(), &limited(|limits| limits.addresses_max = 4));
    assert_eq!(
        (seen(&run, "addresses"), seen(&run, "hosts")),
        (&json!(4), &json!(4))
    );
    // Five openings; what is reported of an address without room asks for none.
    assert_eq!(seen(&run, "refused"), 5);
    // Their exposures are there, of an address that nothing else is known of.
    assert_eq!(contacts(&run).len(), 9);
    let run = run_frames(many, &limited(|limits| limits.stations_max = 3));
    assert_eq!(seen(&run, "stations_refused"), 6);
    assert_eq!(seen(&run, "hosts"), 9);

    let turns: Vec<_> = (0..6u64)
        .flat_map(|turn| {
            let client = (HOST, 40_001 + turn as u16);
            visit(BEGIN + turn * 400 * SECOND, turn as u8 + 1, client, ESET)
        })
        .collect();
    let run = run_frames(turns, &limited(|limits| limits.tenancies_max = 2));
    assert_eq!(seen(&run, "hosts"), 2);
    assert_eq!(seen(&run, "changes_refused"), 4);

    let asked: Vec<_> = (1..=6)
        .map(|card| leased(BEGIN + u64::from(card) * SECOND, card, HOST, "x", true).remove(0))
        .collect();
    let run = run_frames(asked, &limited(|limits| limits.leases_pending_max = 2));
    assert_eq!(seen(&run, "leases_forgotten"), 4);
}

#[test]
fn hosts_are_listed_from_a_file_of_frames_too() {
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("one.pcap");
    write_pcap(&capture, &visit(BEGIN, ONE, (HOST, 40_001), ESET));
    let output = avscope().arg("hosts").arg(&capture).output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(
        table.contains("192.168.1.10") && table.contains(&mac_text(ONE)),
        "{table}"
    );
    assert!(
        table.contains("1 hosts with 1 addresses; 0 never said a name"),
        "{table}"
    );
}
