//! Flows in events → the share of them about which nothing is known but that they are of another protocol.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::second::tshark;

/// The share of flows that may be in the catch-all, in percent.
pub const SHARE_MAX: f64 = 1.0;

/// The bucket that says no more than "something else".
const CATCH_ALL: &str = "other_protocol";

/// Flows of one or several captures.
#[derive(Clone, Debug, Default)]
pub struct CatchAll {
    /// Flows, however often each reported.
    pub flows: usize,
    /// Those in the catch-all: by transport and port, and what the second tool calls them.
    pub caught: BTreeMap<(String, String), usize>,
}

impl CatchAll {
    /// How many are in the catch-all.
    pub fn count(&self) -> usize {
        self.caught.values().sum()
    }

    /// Adds those of one capture; `ask` decides whether the second tool is asked.
    pub fn add(&mut self, capture: &Path, events: &[Value], ask: bool) {
        // A long flow reports several times: the last report counts.
        let mut flows: BTreeMap<String, &Value> = BTreeMap::new();
        for event in events.iter().filter(|event| event["event_type"] == "flow") {
            let start = &event["flow"]["start"];
            flows.insert(format!("{} {start}", event["flow_id"]), event);
        }
        self.flows += flows.len();
        let caught: Vec<_> = flows
            .into_values()
            .filter(|flow| flow["avscope"]["coverage"] == CATCH_ALL)
            .collect();
        let known = if ask && !caught.is_empty() {
            protocols(capture)
        } else {
            BTreeMap::new()
        };
        for flow in caught {
            let proto = flow["proto"].as_str().unwrap_or_default();
            let ends = [
                end(&flow["src_ip"], &flow["src_port"]),
                end(&flow["dest_ip"], &flow["dest_port"]),
            ];
            let port = flow["dest_port"]
                .as_u64()
                .map_or_else(String::new, |port| format!("/{port}"));
            let second = known
                .get(&sorted(ends))
                .cloned()
                .unwrap_or_else(|| "-".to_owned());
            *self
                .caught
                .entry((format!("{proto}{port}"), second))
                .or_default() += 1;
        }
    }
}

fn end(address: &Value, port: &Value) -> String {
    format!(
        "{} {}",
        address.as_str().unwrap_or_default(),
        port.as_u64().unwrap_or(0)
    )
}

fn sorted(mut ends: [String; 2]) -> [String; 2] {
    ends.sort();
    ends
}

/// By both ends, the innermost layer that the second tool saw on any frame of the flow.
fn protocols(capture: &Path) -> BTreeMap<[String; 2], String> {
    let fields = [
        "ip.src",
        "ipv6.src",
        "ip.dst",
        "ipv6.dst",
        "tcp.srcport",
        "udp.srcport",
        "tcp.dstport",
        "udp.dstport",
        "frame.protocols",
    ];
    let mut found: BTreeMap<[String; 2], (usize, String)> = BTreeMap::new();
    for row in tshark(capture, &[], "", &fields).unwrap_or_default() {
        let [four, six, four_to, six_to, tcp, udp, tcp_to, udp_to, layers] = row.as_slice() else {
            continue;
        };
        // Of several headers the innermost comes last.
        let last = |one: &str, other: &str| {
            let text = if one.is_empty() { other } else { one };
            text.rsplit(',').next().unwrap_or_default().to_owned()
        };
        let port = |one: &str, other: &str| {
            let text = last(one, other);
            if text.is_empty() {
                "0".to_owned()
            } else {
                text
            }
        };
        let ends = sorted([
            format!("{} {}", last(four, six), port(tcp, udp)),
            format!("{} {}", last(four_to, six_to), port(tcp_to, udp_to)),
        ]);
        let depth = layers.split(':').count();
        let name = layers.rsplit(':').next().unwrap_or_default().to_owned();
        let known = found.entry(ends).or_default();
        if depth > known.0 {
            *known = (depth, name);
        }
    }
    found
        .into_iter()
        .map(|(ends, (_, name))| (ends, name))
        .collect()
}
