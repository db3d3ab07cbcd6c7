//! Whom requests by HTTP show: one connection to a proxy names many hosts, one request may name two vendors, and a proxy's
//! place is nobody's.

use serde_json::Value;

use super::frames::{
    BEGIN, Connection, End, Frame, SECOND, hello, lines_of, run_frames, tls, write_pcap,
};
use super::support::{Run, Way, avscope};

const CLIENT: End = ([192, 168, 1, 10], 40_001);
/// The tables know a country for it, and no vendor's network.
const PROXY: End = ([8, 8, 8, 8], 3128);
const SERVER: End = ([203, 0, 113, 7], 443);
const NOBODY: &str = "www.example.org";
const VENDOR: &str = "update.eset.com";
const ANOTHER_VENDORS_PROGRAM: &str = "DrWebUpdate-6.00.12.03291 (windows: 6.01.7601)";
const NOBODYS_PROGRAM: &str = "program/1.0";

/// A request as a proxy gets it.
fn at_proxy(host: &str, program: &str) -> String {
    format!("GET http://{host}/of/{host} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {program}\r\n\r\n")
}

fn conversation(nanos: u64, server: End, requests: &[String]) -> Vec<Frame> {
    let mut connection = Connection::open(nanos, CLIENT, server);
    for request in requests {
        connection.ask(request.as_bytes(), 1400);
        connection.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 1400);
    }
    connection.close()
}

/// So many hosts that no rule knows, then one request more.
fn behind_unknown_hosts(before: usize, last: String) -> Vec<Frame> {
    let unknown = |number| at_proxy(&format!("host{number}.example"), NOBODYS_PROGRAM);
    let mut requests: Vec<_> = (0..before).map(unknown).collect();
    requests.push(last);
    conversation(BEGIN, PROXY, &requests)
}

/// What the client sends and what it gets, in bytes of IP packets.
fn sent(frames: &[Frame]) -> (u64, u64) {
    let by_client = |frame: &&Frame| frame.2[26..30] == CLIENT.0;
    let bytes = |frame: &Frame| u64::from(frame.1) - 14;
    (
        frames.iter().filter(by_client).map(bytes).sum(),
        frames
            .iter()
            .filter(|frame| !by_client(frame))
            .map(bytes)
            .sum(),
    )
}

fn both_ways(traffic: &Value) -> (u64, u64) {
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    (number(&traffic["bytes_out"]), number(&traffic["bytes_in"]))
}

fn exposures(run: &Run) -> &[Value] {
    run.report["exposures"].as_array().unwrap()
}

/// Whose lines these are: vendor, contacts, questions, whether it was only asked for.
fn contacts(run: &Run) -> Vec<(&str, u64, u64, bool)> {
    let sum = |exposure: &Value, what: &str| -> u64 {
        let purposes = exposure["purposes"].as_array().unwrap();
        purposes
            .iter()
            .map(|purpose| purpose[what].as_u64().unwrap())
            .sum()
    };
    exposures(run)
        .iter()
        .map(|exposure| {
            (
                exposure["vendor"].as_str().unwrap(),
                sum(exposure, "contacts"),
                sum(exposure, "questions"),
                exposure["only_asked_for"].as_bool().unwrap(),
            )
        })
        .collect()
}

#[test]
fn a_vendor_is_found_behind_any_number_of_other_hosts() {
    let lasts = [
        (at_proxy(VENDOR, NOBODYS_PROGRAM), "eset", "http_host"),
        (
            at_proxy(NOBODY, ANOTHER_VENDORS_PROGRAM),
            "drweb",
            "http_user_agent",
        ),
        (
            format!("CONNECT {VENDOR}:443 HTTP/1.1\r\nHost: {VENDOR}:443\r\n\r\n"),
            "eset",
            "http_connect",
        ),
    ];
    for before in [0, 3, 4, 7, 8, 9, 12, 100] {
        for (last, vendor, kind) in &lasts {
            let what = format!("{vendor} by {kind} behind {before} hosts");
            let of_vendor = behind_unknown_hosts(before, last.clone());
            let of_nobody = tls(BEGIN + SECOND, (CLIENT.0, 40_002), SERVER, NOBODY, false);
            let unnamed = tls(BEGIN + 2 * SECOND, (CLIENT.0, 40_003), SERVER, "", false);
            let bytes = [&of_vendor, &of_nobody, &unnamed].map(|frames| sent(frames));
            let frames = [of_vendor, of_nobody, unnamed].concat();
            let run = run_frames(frames, &Way::default());

            let flows = lines_of(&run, "flow");
            let flow = flows.iter().find(|flow| flow["dest_port"] == PROXY.1);
            let own = &flow.unwrap()["avscope"];
            assert_eq!(own["attribution"]["vendor"], *vendor, "{what}");
            assert_eq!(own["attribution"]["evidence_kind"], *kind, "{what}");
            assert_eq!(contacts(&run), [(*vendor, 1, 0, false)], "{what}");

            // The sums of the report: each part is what was sent for it, and together they are all.
            let outbound = &run.report["outbound"];
            let parts = ["attributed", "named_not_security", "sni_absent"]
                .map(|coverage| both_ways(&outbound["by_coverage"][coverage]));
            assert_eq!(parts, bytes, "{what}");
            let total = parts
                .iter()
                .fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
            assert_eq!(both_ways(&outbound["total"]), total, "{what}");
            assert_eq!(both_ways(&exposures(&run)[0]), bytes[0], "{what}");
        }
    }
}

#[test]
fn one_request_is_a_contact_of_everyone_whom_it_shows() {
    let cases = [
        // Two vendors, one by the host and one by the program.
        (
            VENDOR,
            ANOTHER_VENDORS_PROGRAM,
            &[("drweb", 1, 0, false), ("eset", 1, 0, false)][..],
            "eset",
        ),
        // The same vendor by both: one contact.
        (
            "update.drweb.com",
            ANOTHER_VENDORS_PROGRAM,
            &[("drweb", 1, 0, false)],
            "drweb",
        ),
    ];
    for (host, program, expected, bytes_of) in cases {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {program}\r\n\r\n");
        let frames = conversation(BEGIN, (SERVER.0, 80), &[request]);
        let bytes = sent(&frames);
        let run = run_frames(frames, &Way::default());
        let mut found = contacts(&run);
        found.sort_unstable();
        assert_eq!(found, expected, "{host}");
        // The bytes go to one of them: the host outweighs the program.
        for exposure in exposures(&run) {
            let wanted = if exposure["vendor"] == bytes_of {
                bytes
            } else {
                (0, 0)
            };
            assert_eq!(both_ways(exposure), wanted, "{exposure}");
        }
    }
}

#[test]
fn the_place_of_a_proxy_is_not_the_vendors() {
    let places = |run: &Run| {
        let of = |exposure: &Value| -> Vec<Value> {
            let countries = exposure["server_countries"].as_array().unwrap();
            countries.clone()
        };
        let all: Vec<_> = exposures(run).iter().map(of).collect();
        assert_eq!(all.len(), 1, "{all:?}");
        all.concat()
    };
    let connect = format!("CONNECT {VENDOR}:443 HTTP/1.1\r\nHost: {VENDOR}:443\r\n\r\n");
    for through in [
        at_proxy(VENDOR, NOBODYS_PROGRAM),
        // A vendor's program fetches what it wants from anywhere.
        at_proxy(NOBODY, ANOTHER_VENDORS_PROGRAM),
        format!("GET HTTP://{VENDOR}/ HTTP/1.0\r\n\r\n"),
        connect.clone(),
    ] {
        let frames = conversation(BEGIN, PROXY, std::slice::from_ref(&through));
        let run = run_frames(frames, &Way::default());
        assert_eq!(places(&run), Vec::<Value>::new(), "{through}");
        assert_eq!(
            exposures(&run)[0]["operators"],
            Value::from(Vec::<Value>::new())
        );
    }
    // What goes through the tunnel names the vendor again, and still the server is the proxy.
    let mut tunnel = Connection::open(BEGIN, CLIENT, PROXY);
    tunnel.ask(connect.as_bytes(), 1400);
    tunnel.answer(b"HTTP/1.1 200 Connection established\r\n\r\n", 1400);
    tunnel.ask(&hello(VENDOR, false), 1400);
    let run = run_frames(tunnel.close(), &Way::default());
    assert_eq!(places(&run), Vec::<Value>::new());
    // The same server, asked for its own: it is the one.
    let direct = format!("GET / HTTP/1.1\r\nHost: {VENDOR}\r\n\r\n");
    let run = run_frames(conversation(BEGIN, PROXY, &[direct]), &Way::default());
    assert_eq!(places(&run).len(), 1);
    assert_ne!(places(&run), [Value::Null]);
}

#[test]
fn the_table_says_that_the_place_is_behind_a_proxy() {
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("proxy.pcap");
    let through = at_proxy(VENDOR, NOBODYS_PROGRAM);
    let direct = format!("GET / HTTP/1.1\r\nHost: {VENDOR}\r\n\r\n");
    for (request, behind) in [(through, true), (direct, false)] {
        write_pcap(&capture, &conversation(BEGIN, PROXY, &[request]));
        let output = avscope().arg("replay").arg(&capture).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let table = String::from_utf8(output.stdout).unwrap();
        let words = table.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("eset") || words.contains("ESET"), "{table}");
        assert_eq!(
            words.contains("not seen, behind a proxy"),
            behind,
            "{table}"
        );
    }
}

/// An address in place of a name is told as a name is, and says no more than the address does.
#[test]
fn an_address_as_server_name_is_told_and_judged_by_no_rule() {
    for address in ["192.0.2.9", "91.228.166.13"] {
        let mut connection = Connection::open(BEGIN, (CLIENT.0, 40_009), ([203, 0, 113, 95], 443));
        connection.ask(&hello(address, false), 1400);
        let run = run_frames(connection.close(), &Way::default());
        let told = lines_of(&run, "tls");
        assert_eq!(told[0]["tls"]["sni"], address);
        assert_eq!(told[0]["avscope"]["evidence"][0]["kind"], "tls_sni");
        let flow = &lines_of(&run, "flow")[0];
        assert_eq!(flow["avscope"]["coverage"], "sni_is_address", "{flow}");
        assert!(flow["avscope"]["attribution"].is_null(), "{flow}");
    }
}
