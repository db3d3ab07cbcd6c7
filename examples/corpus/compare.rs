//! Names that avscope lists and names that another tool found → what is found, missed, and found beyond.
//!
//! Beside a capture `NAME` stands `NAME.truth.json`: the names with addresses, ports and the first frame. Two names are
//! the same if kind, addresses and ports are, and the text is by these rules:
//!
//! * letters have no case in names of DNS and hosts of HTTP (a resolver mixes it on purpose), and a last dot does not count;
//! * a port behind a host, as in `Host: example.org:8080` or the target of CONNECT, does not count;
//! * the root of DNS is `<Root>` there and nothing here;
//! * a User-Agent is the same byte for byte; it stands under a key of its own there;
//! * only questions count as `dns_query`, never the copy of a question in an answer;
//! * the Host beside a CONNECT repeats its target: it counts as `http_connect` and not as `http_host`;
//! * a Host inside CONNECT or SOCKS has the addresses of the connection to the proxy.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::replay::Replayed;
use super::second::opinion;

/// All kinds that are compared.
pub const KINDS: [&str; 10] = [
    "tls_sni",
    "quic_sni",
    "dtls_sni",
    "tls_cert",
    "http_host",
    "http_connect",
    "http_user_agent",
    "dns_query",
    "mdns_query",
    "llmnr_query",
];

/// Those that this version reads: of these 99.5 % of the plain ones must be found.
pub const READ: [&str; 10] = KINDS;

/// What a name is compared by: itself, client, its port, server, its port.
pub type Key = (String, String, u64, String, u64);

/// How the truth calls both ends.
const TRUTH_ENDS: [&str; 4] = ["src", "sport", "dst", "dport"];

/// And of certificates, which the server sends: here all names stand from the client to the server.
const TRUTH_ENDS_OF_SERVER: [&str; 4] = ["dst", "dport", "src", "sport"];

/// Link types that this version reads.
const LINK_TYPES: [&str; 8] = [
    "(1)", "(12)", "(14)", "(101)", "(113)", "(228)", "(229)", "(276)",
];

/// A name that one side has and the other has not.
#[derive(Clone, Debug)]
pub struct Exception {
    pub key: Key,
    /// Number of the frame in the file, from 1; 0 if no one knows.
    pub frame: u64,
    /// Why it is so, by what another tool says of the frame: `plain` where nothing stands between.
    pub class: String,
    /// What that tool said.
    pub second: String,
}

/// One kind in one capture.
#[derive(Clone, Debug)]
pub struct Comparison {
    pub capture: String,
    pub truth: usize,
    pub found: usize,
    pub missed: Vec<Exception>,
    pub extra: Vec<Exception>,
    /// The link types, if they are not all read yet.
    pub unread_link_types: Option<String>,
}

/// Captures with their truth files, in order.
pub fn captures(folder: &Path) -> std::io::Result<Vec<(PathBuf, Value)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(capture) = path
            .to_str()
            .and_then(|path| path.strip_suffix(".truth.json"))
        else {
            continue;
        };
        let truth =
            serde_json::from_slice(&std::fs::read(&path)?).map_err(std::io::Error::other)?;
        found.push((PathBuf::from(capture), truth));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

/// The name of a capture's file.
pub fn file_name(capture: &Path) -> String {
    let name = capture.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Whether a capture is kept for measuring alone: a third of them, by the FNV-1a hash of the file's name.
pub fn is_held_out(capture: &str) -> bool {
    let hash = capture
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    hash % 3 == 0
}

/// Compares the names of one kind in one capture.
pub fn compare(capture: &Path, truth: &Value, kind: &str, replayed: &Replayed) -> Comparison {
    let (list, word) = if kind == "http_user_agent" {
        ("user_agents", "user_agent")
    } else {
        ("names", kind)
    };
    let connects: BTreeSet<Key> = truth["names"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|name| name["kind"] == "http_connect")
        .map(|name| key("http_connect", name, TRUTH_ENDS))
        .collect();
    let mut expected: BTreeMap<Key, u64> = BTreeMap::new();
    for name in truth[list].as_array().into_iter().flatten() {
        if name["kind"] == word {
            let frame = name["frame"].as_u64().unwrap_or(0);
            let ends = match kind {
                "tls_cert" => TRUTH_ENDS_OF_SERVER,
                _ => TRUTH_ENDS,
            };
            let found = key(kind, name, ends);
            if kind == "http_host" && connects.contains(&found) {
                continue;
            }
            let first = expected.entry(found).or_insert(frame);
            *first = frame.min(*first);
        }
    }
    let mut seen: BTreeMap<Key, u64> = BTreeMap::new();
    for row in replayed.names.iter().filter(|row| row["kind"] == kind) {
        let key = key(kind, row, ["src_ip", "src_port", "dest_ip", "dest_port"]);
        let frame = frame_of(&key, kind, &replayed.events);
        seen.insert(key, frame);
    }
    let exception = |(key, frame): (&Key, &u64)| {
        let (frame, class, second) = if READ.contains(&kind) {
            opinion(capture, truth, kind, key, *frame)
        } else {
            (*frame, "kind".to_owned(), "not asked".to_owned())
        };
        // It is no name (RFC 6066 §3), and counted as `sni_is_address`.
        let class = if kind.ends_with("_sni") && key.0.parse::<std::net::IpAddr>().is_ok() {
            "an address".to_owned()
        } else {
            class
        };
        Exception {
            key: key.clone(),
            frame,
            class,
            second,
        }
    };
    let missed: Vec<_> = expected
        .iter()
        .filter(|(key, _)| !seen.contains_key(key))
        .map(exception)
        .collect();
    let extra = seen
        .iter()
        .filter(|(key, _)| !expected.contains_key(key))
        .map(exception)
        .collect();
    let unread: Vec<&str> = truth["linktypes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .filter(|link| !LINK_TYPES.iter().any(|read| link.ends_with(read)))
        .collect();
    Comparison {
        capture: file_name(capture),
        truth: expected.len(),
        found: expected.len() - missed.len(),
        missed,
        extra,
        unread_link_types: (!unread.is_empty()).then(|| unread.join(" ")),
    }
}

fn key(kind: &str, name: &Value, fields: [&str; 4]) -> Key {
    let text = |field: &str| name[field].as_str().unwrap_or_default().to_owned();
    let number = |field: &str| name[field].as_u64().unwrap_or(0);
    let [source, source_port, destination, destination_port] = fields;
    (
        comparable(kind, &text("name")),
        text(source),
        number(source_port),
        text(destination),
        number(destination_port),
    )
}

/// A name by the rules above.
fn comparable(kind: &str, name: &str) -> String {
    match kind {
        "tls_sni" | "quic_sni" | "tls_cert" | "http_user_agent" => name.to_owned(),
        // The second tool ends a field at a byte of zero; ours shows it.
        "http_host" | "http_connect" => without_port(name.split("\\x00").next().unwrap_or(name))
            .trim_end_matches('.')
            .to_ascii_lowercase(),
        _ if name == "<Root>" => String::new(),
        _ => name.trim_end_matches('.').to_ascii_lowercase(),
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if (!name.contains(':') || name.ends_with(']'))
                && port.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            name
        }
        _ => host,
    }
}

/// The frame of the first event that has the name as evidence; 0 if none has.
fn frame_of(key: &Key, kind: &str, events: &[Value]) -> u64 {
    let mut frames = events
        .iter()
        .filter(|event| event["src_port"] == key.2 && event["dest_port"] == key.4)
        .filter(|event| event["src_ip"] == key.1.as_str() && event["dest_ip"] == key.3.as_str())
        .flat_map(|event| evidence(event))
        .filter(|item| item["kind"] == kind)
        .filter(|item| comparable(kind, item["value"].as_str().unwrap_or_default()) == key.0)
        .filter_map(|item| item["seq"].as_u64());
    frames.next().map_or(0, |seq| seq + 1)
}

/// The pieces of evidence of an event, be they one or several.
pub fn evidence(event: &Value) -> Vec<&Value> {
    match &event["avscope"]["evidence"] {
        Value::Array(several) => several.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

/// Recall in percent; all of nothing is all.
pub fn percent(found: usize, truth: usize) -> f64 {
    if truth == 0 {
        100.0
    } else {
        found as f64 * 100.0 / truth as f64
    }
}
