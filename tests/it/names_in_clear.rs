//! Names in DNS and HTTP: the events against what the clients of `names-in-clear.pcap` were told to send.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::support::{avscope, expected, pcaps};

/// Client, its port, server, its port.
type Ends = (String, u64, String, u64);

fn lines(capture: &Path) -> Vec<Value> {
    let output = avscope()
        .args(["replay", "--format", "json", "--events", "-"])
        .arg(capture)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn ends(value: &Value) -> Ends {
    (
        text(&value["src_ip"]),
        value["src_port"].as_u64().unwrap_or(0),
        text(&value["dest_ip"]),
        value["dest_port"].as_u64().unwrap_or(0),
    )
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn of_type<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines
        .iter()
        .filter(|line| line["event_type"] == kind)
        .collect()
}

/// Records of an answer, in any order; names in DNS have no case.
fn records(answers: &Value) -> Vec<(String, String, u64, String)> {
    let mut found: Vec<_> = list(answers)
        .iter()
        .map(|answer| {
            (
                text(&answer["rrname"]).to_ascii_lowercase(),
                text(&answer["rrtype"]),
                answer["ttl"].as_u64().unwrap_or(0),
                text(&answer["rdata"]).to_ascii_lowercase(),
            )
        })
        .collect();
    found.sort();
    found
}

/// What a transaction is known by, and what became of it.
type Transaction = (Ends, String, String, String);

fn transactions(lines: &[Value]) -> Vec<Transaction> {
    let mut found = Vec::new();
    for line in of_type(lines, "dns") {
        for query in list(&line["dns"]["queries"]) {
            found.push((
                ends(line),
                text(&query["rrname"]).to_ascii_lowercase(),
                text(&query["rrtype"]),
                text(&line["avscope"]["dns_outcome"]),
            ));
        }
    }
    found.sort();
    found
}

/// What was sent is an answer; one that leads nowhere has a word of its own.
fn outcome(entry: &Value) -> String {
    let nowhere = |answer: &Value| answer["rdata"] == "0.0.0.0" || answer["rdata"] == "::";
    let answers = list(&entry["answers"]);
    if entry["outcome"] == "answered" && answers.iter().all(nowhere) {
        return "sinkholed".to_owned();
    }
    text(&entry["outcome"])
}

fn asked(expected: &Value) -> Vec<Transaction> {
    let mut wanted: Vec<_> = list(&expected["dns"])
        .iter()
        .map(|entry| {
            (
                ends(entry),
                text(&entry["rrname"]).to_ascii_lowercase(),
                text(&entry["rrtype"]),
                outcome(entry),
            )
        })
        .collect();
    wanted.sort();
    wanted
}

#[test]
fn every_question_has_the_outcome_that_its_server_gave() {
    let expected = expected("names-in-clear.expected.json");
    let lines = lines(&pcaps().join("names-in-clear.pcap"));
    assert_eq!(transactions(&lines), asked(&expected));
    for entry in list(&expected["dns"]) {
        let same = |line: &&Value| {
            let query = &line["dns"]["queries"][0];
            ends(line) == ends(entry)
                && text(&query["rrname"]).eq_ignore_ascii_case(&text(&entry["rrname"]))
                && query["rrtype"] == entry["rrtype"]
        };
        let line = of_type(&lines, "dns").into_iter().find(same).unwrap();
        assert_eq!(
            records(&line["dns"]["answers"]),
            records(&entry["answers"]),
            "{line}"
        );
        assert_ne!(line["avscope"]["unsolicited"], true, "{line}");
    }
}

#[test]
fn questions_alone_are_unanswered_and_answers_alone_unsolicited() {
    let questions = lines(&pcaps().join("names-in-clear-questions.pcap"));
    assert_eq!(
        transactions(&questions),
        asked(&expected("names-in-clear-questions.expected.json"))
    );
    let answers = lines(&pcaps().join("names-in-clear-answers.pcap"));
    let told = of_type(&answers, "dns");
    assert_eq!(
        told.len(),
        list(&expected("names-in-clear-answers.expected.json")["dns"]).len()
    );
    for line in told {
        assert_eq!(line["avscope"]["unsolicited"], true, "{line}");
    }
}

/// An address's port is no part of a host's name.
fn without_port(host: &str) -> String {
    match host.rsplit_once(':') {
        Some((name, port))
            if !name.contains(':') && port.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            name.to_owned()
        }
        _ => host.to_owned(),
    }
}

/// What a request in absolute form asks its server for: the host in front is `hostname` already. The target of
/// CONNECT is no path.
fn path_of(url: &str) -> String {
    let rest = url
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'));
    match rest {
        Some((_, path)) => format!("/{path}"),
        None if url.starts_with('/') => url.to_owned(),
        None => String::new(),
    }
}

#[test]
fn every_request_is_told_with_its_host_target_and_agent() {
    let expected = expected("names-in-clear.expected.json");
    let row = |ends: Ends, http: &Value| {
        (
            ends,
            text(&http["http_method"]),
            without_port(&text(&http["hostname"])),
            path_of(&text(&http["url"])),
            text(&http["http_user_agent"]),
        )
    };
    let lines = lines(&pcaps().join("names-in-clear.pcap"));
    let mut found: Vec<_> = of_type(&lines, "http")
        .into_iter()
        .map(|line| row(ends(line), &line["http"]))
        .collect();
    let mut wanted: Vec<_> = list(&expected["http"])
        .iter()
        .map(|entry| row(ends(entry), entry))
        .collect();
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted);
}

#[test]
fn every_flow_has_the_evidence_that_was_sent() {
    let expected = expected("names-in-clear.expected.json");
    let lines = lines(&pcaps().join("names-in-clear.pcap"));
    let flows: BTreeMap<Ends, &Value> = of_type(&lines, "flow")
        .into_iter()
        .filter(|line| line["proto"] == "TCP")
        .map(|line| (ends(line), line))
        .collect();
    for entry in list(&expected["contacts_by_flow"]) {
        let flow = flows
            .get(&ends(entry))
            .unwrap_or_else(|| panic!("no flow: {entry}"));
        let own = &flow["avscope"];
        let has = |wanted: &Value| {
            list(&own["evidence"]).iter().any(|item| {
                item["kind"] == wanted["kind"]
                    && without_port(&text(&item["value"])) == without_port(&text(&wanted["value"]))
            })
        };
        for wanted in list(&entry["evidence"]) {
            assert!(has(wanted), "{wanted} is missing in {flow}: {entry}");
        }
        if entry["attribution"].is_null() {
            // The network of an address, or what another host resolved, may still say something; a vendor's name does not.
            let named = list(&own["evidence"]).iter().find(|item| {
                let kind = text(&item["kind"]);
                item["rule_id"].is_string()
                    && (kind.starts_with("dns_") || kind.starts_with("tls_") || kind == "http_host")
            });
            assert_eq!(named, None, "{flow}: {entry}");
            continue;
        }
        let verdict = &own["attribution"];
        assert_eq!(
            verdict["vendor"], entry["attribution"]["vendor"],
            "{flow}: {entry}"
        );
        assert_eq!(
            verdict["purpose"], entry["attribution"]["purpose"],
            "{flow}: {entry}"
        );
        assert_eq!(
            verdict["engine"]["vendor"], entry["attribution"]["engine"],
            "{flow}: {entry}"
        );
    }
}

#[test]
fn the_list_of_names_has_every_kind() {
    let output = avscope()
        .args(["names", "--format", "json"])
        .arg(pcaps().join("names-in-clear.pcap"))
        .output()
        .unwrap();
    assert!(output.status.success());
    let text_of = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<Value> = text_of
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let has = |kind: &str, entry: &Value, name: &str| {
        rows.iter().any(|row| {
            row["kind"] == kind
                && ends(row) == ends(entry)
                && without_port(&text(&row["name"])).eq_ignore_ascii_case(&without_port(name))
        })
    };
    let expected = expected("names-in-clear.expected.json");
    for entry in list(&expected["dns"]) {
        assert!(has("dns_query", entry, &text(&entry["rrname"])), "{entry}");
    }
    for entry in list(&expected["http"]) {
        let kind = if entry["http_method"] == "CONNECT" {
            "http_connect"
        } else {
            "http_host"
        };
        if let Some(name) = entry["hostname"].as_str() {
            assert!(has(kind, entry, name), "{kind} {entry}");
        }
        assert!(
            has("http_user_agent", entry, &text(&entry["http_user_agent"])),
            "{entry}"
        );
    }
}

/// Holds today, and must go on to: what is not asked for by TLS gets no server name.
#[test]
fn tls_names_are_those_that_were_sent() {
    let output = avscope()
        .args(["names", "--format", "json"])
        .arg(pcaps().join("names-in-clear.pcap"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text_of = String::from_utf8(output.stdout).unwrap();
    let found: Vec<_> = text_of
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|row| row["kind"] == "tls_sni")
        .map(|row| (ends(&row), text(&row["name"])))
        .collect();
    let expected = expected("names-in-clear.expected.json");
    let inner: Vec<_> = list(&expected["inner_names"]).iter().map(ends).collect();
    let outside: Vec<_> = found
        .into_iter()
        .filter(|(ends, _)| !inner.contains(ends))
        .collect();
    let wanted: Vec<_> = list(&expected["names"])
        .iter()
        .map(|entry| (ends(entry), text(&entry["name"])))
        .collect();
    assert_eq!(outside, wanted);
}

/// Two offices with the same addresses, and one office in two halves.
#[test]
fn each_site_has_the_names_that_its_hosts_sent() {
    let listed = expected("multi-site/expected.json");
    let captures = list(&listed["captures"]);
    assert_eq!(captures.len(), 4);
    for entry in captures {
        let output = avscope()
            .args(["names", "--format", "json"])
            .arg(pcaps().join(text(&entry["capture"])))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let rows = String::from_utf8(output.stdout).unwrap();
        let mut found: Vec<_> = rows
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .map(|row| (ends(&row), text(&row["name"])))
            .collect();
        let mut wanted: Vec<_> = list(&entry["names"])
            .iter()
            .map(|row| (ends(row), text(&row["name"])))
            .collect();
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted, "{entry}");
    }
}
