//! A folder of captures with expected names beside each → what avscope finds of them, misses, and finds beyond them.
//!
//! Beside `NAME` stands `NAME.truth.json`: the names another tool found, with addresses, ports and the first frame.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use avscope::aggregate::{EventRef, Ledger};
use avscope::attribute::Ruleset;
use avscope::capture::CaptureFiles;
use avscope::config::{self, Limits};
use avscope::flow::Endpoint;
use avscope::geo::{Countries, OperatorTable};
use avscope::model::{EvidenceKind, printable};
use avscope::pipeline::{self, EventSink, Settings, conservation};
use serde_json::Value;

/// What a name is compared by.
pub type Key = (String, String, u64, String, u64);

/// Link types that this version reads.
const LINK_TYPES: [&str; 8] = [
    "(1)", "(12)", "(14)", "(101)", "(113)", "(228)", "(229)", "(276)",
];

/// A name that one side has and the other has not.
#[derive(Clone, Debug)]
pub struct Exception {
    pub key: Key,
    /// Number of the frame in the file, from 1.
    pub frame: u64,
    /// Why it is so, by what another tool says of the frame: `plain` where nothing stands between TCP and TLS.
    pub class: String,
    /// What that tool said.
    pub second: String,
}

/// One capture.
#[derive(Clone, Debug)]
pub struct Comparison {
    pub capture: String,
    pub truth: usize,
    pub found: usize,
    pub missed: Vec<Exception>,
    pub extra: Vec<Exception>,
    /// The link types, if they are not all read yet.
    pub unread_link_types: Option<String>,
    /// Law 1.
    pub conserved: bool,
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

/// Compares the names of one kind in one capture.
pub fn compare(capture: &Path, truth: &Value, kind: &str, rules: &Arc<Ruleset>) -> Comparison {
    let expected: BTreeMap<Key, u64> = truth["names"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .filter(|name| name["kind"] == kind)
        .map(|name| (key(name), name["frame"].as_u64().unwrap_or(0)))
        .collect();
    let (seen, conserved) = names(capture, kind, rules);
    let unread: Vec<&str> = truth["linktypes"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .filter_map(Value::as_str)
        .filter(|link| !LINK_TYPES.iter().any(|read| link.ends_with(read)))
        .collect();
    let missed: Vec<_> = expected
        .iter()
        .filter(|(key, _)| !seen.contains_key(key))
        .map(|(key, frame)| exception(capture, truth, key, *frame))
        .collect();
    let extra = seen
        .iter()
        .filter(|(key, _)| !expected.contains_key(key))
        .map(|(key, frame)| exception(capture, truth, key, *frame))
        .collect();
    Comparison {
        capture: capture
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        truth: expected.len(),
        found: expected.len() - missed.len(),
        missed,
        extra,
        unread_link_types: (!unread.is_empty()).then(|| unread.join(" ")),
        conserved,
    }
}

fn key(name: &Value) -> Key {
    let text = |field: &str| name[field].as_str().unwrap_or_default().to_owned();
    let number = |field: &str| name[field].as_u64().unwrap_or(0);
    (
        text("name"),
        text("src"),
        number("sport"),
        text("dst"),
        number("dport"),
    )
}

struct Sink<'a> {
    kind: &'a str,
    names: BTreeMap<Key, u64>,
    ledger: Ledger,
}

impl EventSink for Sink<'_> {
    fn event(&mut self, event: EventRef<'_>) -> std::io::Result<()> {
        self.ledger.event(event);
        match event {
            EventRef::Observed(observed, run) => {
                for fact in run.facts(observed.facts) {
                    let name = run.text(fact.text);
                    let ends = (&observed.client, &observed.server);
                    self.seen(fact.kind, name, ends, fact.frame.seq);
                }
            }
            EventRef::Dns(transaction, run) => {
                let name = run.text(transaction.name);
                let ends = (&transaction.client, &transaction.server);
                self.seen(transaction.kind, name, ends, transaction.frame().seq);
            }
            EventRef::Opened(_) | EventRef::Reported(..) => {}
        }
        Ok(())
    }
}

impl Sink<'_> {
    fn seen(
        &mut self,
        kind: EvidenceKind,
        name: &[u8],
        (client, server): (&Endpoint, &Endpoint),
        seq: u64,
    ) {
        if kind.as_str() != self.kind {
            return;
        }
        let key = (
            printable(name).into_owned(),
            client.ip().to_string(),
            u64::from(client.port),
            server.ip().to_string(),
            u64::from(server.port),
        );
        self.names.entry(key).or_insert(seq + 1);
    }
}

/// The names that avscope sees, with the frame that completed each, and whether everything is accounted for.
fn names(capture: &Path, kind: &str, rules: &Arc<Ruleset>) -> (BTreeMap<Key, u64>, bool) {
    let settings: Settings =
        config::offline(Some(1), 64, &Limits::default(), &[], Arc::clone(rules))
            .expect("the defaults are valid");
    let operators = Arc::new(OperatorTable::builtin().expect("the built-in table is valid"));
    let ledger = Ledger::new(
        Arc::clone(rules),
        Arc::new(Countries::Embedded),
        operators,
        Arc::clone(&settings.home),
        1000,
        settings.dns.memory(),
    );
    let mut sink = Sink {
        kind,
        names: BTreeMap::new(),
        ledger,
    };
    let mut source = CaptureFiles::new(vec![capture.to_owned()]);
    let outcome = pipeline::replay(&mut source, &settings, &mut sink)
        .expect("captures are read to their damage");
    let conserved = conservation(&outcome, &sink.ledger, source.reports()).holds();
    (sink.names, conserved)
}

fn exception(capture: &Path, truth: &Value, key: &Key, frame: u64) -> Exception {
    let protocols = tshark(capture, frame, &[], "frame.protocols");
    // A tool that was told of TLS by the port does not name what came before it in the stream: the tags do.
    let class = match protocols.as_deref().map(class_of_protocols) {
        Some(class) if class != "plain" => class,
        _ => class_of_tags(truth),
    };
    let decode_as = format!("tcp.port=={},tls", key.4);
    let name = tshark(
        capture,
        frame,
        &["-d", &decode_as],
        "tls.handshake.extensions_server_name",
    );
    let second = match (protocols, name) {
        (Some(protocols), name) => {
            let name = name
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| "no name".to_owned());
            format!("tshark: {protocols}; with port {} as TLS: {name}", key.4)
        }
        (None, _) => "tshark is not installed".to_owned(),
    };
    let doubt = truth
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(field, _)| field.starts_with("only_"));
    let doubt: Vec<_> = doubt
        .map(|(field, value)| format!("; {field} {value}"))
        .collect();
    Exception {
        key: key.clone(),
        frame,
        class,
        second: second + &doubt.concat(),
    }
}

/// One field of one frame, as tshark reads it.
fn tshark(capture: &Path, frame: u64, options: &[&str], field: &str) -> Option<String> {
    let filter = format!("frame.number=={frame}");
    let output = Command::new("tshark")
        .args(["-o", "tcp.reassemble_out_of_order:TRUE", "-r"])
        .arg(capture)
        .args(options)
        .args(["-Y", &filter, "-T", "fields", "-e", field])
        .output()
        .ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// `plain` if the name lies in TLS directly over TCP over one IP header, else what stands between.
fn class_of_protocols(protocols: &str) -> String {
    let stack: Vec<&str> = protocols.split(':').collect();
    let between_is = |from: &str, to: &str| {
        let from = stack.iter().rposition(|layer| *layer == from)?;
        let to = stack
            .iter()
            .position(|layer| *layer == to)
            .filter(|to| *to > from)?;
        Some(stack[from + 1..to].join(":"))
    };
    let ip_headers = stack
        .iter()
        .filter(|layer| ["ip", "ipv6"].contains(layer))
        .count();
    if ip_headers > 1 {
        return "inside a tunnel".to_owned();
    }
    match between_is("tcp", "tls") {
        Some(between) if !between.is_empty() => format!("inside {between}"),
        _ => "plain".to_owned(),
    }
}

/// The same by the tags of the whole capture, where there is no tool to ask.
fn class_of_tags(truth: &Value) -> String {
    let tags: BTreeSet<&str> = truth["tags"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    for (tag, class) in [
        ("tls-after-socks", "inside socks"),
        ("tls-after-http", "inside http"),
        ("starttls", "inside another protocol"),
        ("ip-in-ip", "inside a tunnel"),
    ] {
        if tags.contains(tag) {
            return class.to_owned();
        }
    }
    "plain".to_owned()
}

/// Recall in percent; all of nothing is all.
pub fn percent(found: usize, truth: usize) -> f64 {
    if truth == 0 {
        100.0
    } else {
        found as f64 * 100.0 / truth as f64
    }
}
