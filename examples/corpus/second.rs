//! What another tool says of a frame: the layers between a name and the wire, and the name as it reads it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::compare::Key;

/// Fields of the frames that match, as tshark reads them; nothing where it is not installed.
pub fn tshark(
    capture: &Path,
    options: &[&str],
    filter: &str,
    fields: &[&str],
) -> Option<Vec<Vec<String>>> {
    let mut command = Command::new("tshark");
    command.args(["-n", "-o", "tcp.reassemble_out_of_order:TRUE", "-r"]);
    command.arg(capture).args(options);
    if !filter.is_empty() {
        command.args(["-Y", filter]);
    }
    command.args(["-T", "fields"]);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().ok()?;
    let rows = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| line.split('\t').map(str::to_owned).collect())
        .collect();
    Some(rows)
}

/// The layer a kind of name is read from, as tshark calls it, and its field there.
pub fn layer_and_field(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "http_host" => ("http", "http.host"),
        "http_connect" => ("http", "http.request.uri"),
        "http_user_agent" => ("http", "http.user_agent"),
        "dns_query" => ("dns", "dns.qry.name"),
        "mdns_query" => ("mdns", "dns.qry.name"),
        "llmnr_query" => ("llmnr", "dns.qry.name"),
        "quic_sni" => ("quic", "tls.handshake.extensions_server_name"),
        "tls_cert" => ("tls", "x509ce.dNSName"),
        "dtls_sni" => ("dtls", "tls.handshake.extensions_server_name"),
        _ => ("tls", "tls.handshake.extensions_server_name"),
    }
}

/// Why a name is seen by one side only: a class, and the words of the second tool.
pub fn opinion(
    capture: &Path,
    truth: &Value,
    kind: &str,
    key: &Key,
    frame: u64,
) -> (u64, String, String) {
    let (layer, field) = layer_and_field(kind);
    let frame = if frame == 0 {
        first_frame(capture, field, key)
    } else {
        frame
    };
    let filter = format!("frame.number=={frame}");
    let fields = [
        "frame.protocols",
        "ip.fragment.count",
        "ipv6.fragment.count",
        field,
    ];
    let row = tshark(capture, &[], &filter, &fields).and_then(|rows| rows.into_iter().next());
    let class = match row.as_deref() {
        Some([_, four, six, ..]) if !four.is_empty() || !six.is_empty() => {
            "in fragments".to_owned()
        }
        Some([protocols, ..]) => class_of_protocols(protocols, layer),
        _ => "plain".to_owned(),
    };
    // On a port that it does not know, SOCKS is seen once it is told.
    let class = if class == "plain" && behind_socks(capture, &filter, key) {
        "inside socks".to_owned()
    } else {
        class
    };
    // A tool that was told of TLS by the port does not name what came before it in the stream: the tags do.
    let class = if class == "plain" && layer == "tls" {
        class_of_tags(truth)
    } else {
        class
    };
    let said = row.map_or_else(
        || "tshark says nothing of it".to_owned(),
        |row| format!("tshark: {}", row.join(" ").trim()),
    );
    let told = (kind == "tls_sni" || kind.starts_with("http"))
        .then(|| once_told(capture, &filter, layer, field, key.4));
    let doubts: Vec<_> = truth
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(field, _)| field.starts_with("only_"))
        .map(|(field, value)| format!("; {field} {value}"))
        .collect();
    (
        frame,
        class,
        said + &told.unwrap_or_default() + &doubts.concat(),
    )
}

/// Whether the frame lies behind a negotiation of SOCKS (RFC 1928 §3) between the same ports.
fn behind_socks(capture: &Path, filter: &str, key: &Key) -> bool {
    [key.2, key.4].into_iter().any(|port| {
        let decode_as = format!("tcp.port=={port},socks");
        // The answer that chooses a method: version 5 and the method, nothing else.
        let negotiated = format!("tcp.port=={port} && tcp.len==2 && tcp.payload==05:00");
        let rows = tshark(capture, &["-d", &decode_as], &negotiated, &["frame.number"]);
        let protocols = tshark(capture, &["-d", &decode_as], filter, &["frame.protocols"]);
        let is_socks = |rows: Vec<Vec<String>>| {
            rows.concat()
                .iter()
                .any(|layers| layers.split(':').any(|layer| layer == "socks"))
        };
        rows.is_some_and(|rows| !rows.is_empty()) && protocols.is_some_and(is_socks)
    })
}

/// What it reads once it is told that a port carries the layer.
fn once_told(capture: &Path, filter: &str, layer: &str, field: &str, port: u64) -> String {
    let decode_as = format!("tcp.port=={port},{layer}");
    let rows = tshark(capture, &["-d", &decode_as], filter, &[field]);
    let name = rows
        .and_then(|rows| rows.into_iter().next())
        .map(|row| row.concat())
        .filter(|name| !name.is_empty());
    format!(
        "; with port {port} as {layer}: {}",
        name.unwrap_or_else(|| "no name".to_owned())
    )
}

/// The first frame with such a field between two ports, for truth that does not number it.
fn first_frame(capture: &Path, field: &str, key: &Key) -> u64 {
    let filter = format!(
        "{field} && tcp.srcport=={} && tcp.dstport=={}",
        key.2, key.4
    );
    tshark(capture, &[], &filter, &["frame.number"])
        .and_then(|rows| rows.first()?.first()?.parse().ok())
        .unwrap_or(0)
}

/// `plain` if the layer lies directly over TCP or UDP over one IP header over a link without a tunnel, else what stands between.
fn class_of_protocols(protocols: &str, layer: &str) -> String {
    let stack: Vec<&str> = protocols.split(':').collect();
    let is_ip = |layer: &str| ["ip", "ipv6"].contains(&layer);
    if stack.iter().filter(|layer| is_ip(layer)).count() > 1 {
        return "inside a tunnel".to_owned();
    }
    let ip = stack.iter().position(|layer| is_ip(layer)).unwrap_or(0);
    let link = [
        "frame",
        "eth",
        "ethertype",
        "vlan",
        "sll",
        "raw",
        "null",
        "ieee8021ad",
    ];
    if let Some(other) = stack[..ip].iter().find(|layer| !link.contains(layer)) {
        return format!("behind {other}");
    }
    let transport = stack
        .iter()
        .rposition(|layer| ["tcp", "udp", "sctp"].contains(layer));
    let wanted = stack.iter().position(|name| *name == layer);
    match (transport, wanted) {
        (Some(from), Some(to)) if to > from => {
            let between: Vec<_> = stack[from + 1..to]
                .iter()
                .filter(|layer| !layer.ends_with(".segments"))
                .copied()
                .collect();
            if between.is_empty() {
                "plain".to_owned()
            } else {
                format!("inside {}", between.join(":"))
            }
        }
        _ => "plain".to_owned(),
    }
}

/// The same by the tags of the whole capture, where the tool does not say.
fn class_of_tags(truth: &Value) -> String {
    let tags: BTreeSet<&str> = truth["tags"]
        .as_array()
        .into_iter()
        .flatten()
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
