//! Writes small files in MaxMind's DB format, after its specification (version 2.0), for tests of `--geoip`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

/// A value of the data section.
#[derive(Clone, Debug)]
pub enum Value {
    Text(String),
    /// The type in the specification: 5 is 16 bits long, 6 is 32, 9 is 64.
    Number(u8, u64),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

/// A map with one text in it.
pub fn text(key: &str, value: &str) -> Value {
    Value::Map(vec![(key.to_owned(), Value::Text(value.to_owned()))])
}

/// A map with one map in it.
pub fn inside(key: &str, value: Value) -> Value {
    Value::Map(vec![(key.to_owned(), value)])
}

/// The marker before the metadata.
pub const MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";

/// A whole file with these networks; IPv4 lies at `::/96` as the specification wants it.
pub fn mmdb(
    database_type: &str,
    build_epoch: u64,
    ip_version: u64,
    networks: &[(&str, Value)],
) -> Vec<u8> {
    // A record is nothing, a node, or data at an offset.
    #[derive(Clone, Copy)]
    enum Record {
        Nothing,
        Node(usize),
        Data(usize),
    }
    let mut nodes = vec![[Record::Nothing; 2]];
    let mut data = Vec::new();
    for (network, value) in networks {
        let network: IpNet = network.parse().unwrap();
        let offset = data.len();
        encode(value, &mut data);
        let (bits, length) = match network.network() {
            IpAddr::V4(v4) if ip_version == 4 => (
                u128::from(v4.to_bits()) << 96,
                usize::from(network.prefix_len()),
            ),
            IpAddr::V4(v4) => (
                u128::from(v4.to_bits()),
                96 + usize::from(network.prefix_len()),
            ),
            IpAddr::V6(v6) => (v6.to_bits(), usize::from(network.prefix_len())),
        };
        let mut node = 0;
        for depth in 0..length {
            let side = (bits >> (127 - depth) & 1) as usize;
            if depth + 1 == length {
                nodes[node][side] = Record::Data(offset);
            } else if let Record::Node(next) = nodes[node][side] {
                node = next;
            } else {
                nodes.push([Record::Nothing; 2]);
                let next = nodes.len() - 1;
                nodes[node][side] = Record::Node(next);
                node = next;
            }
        }
    }
    let mut file = Vec::new();
    for node in &nodes {
        for record in node {
            let number = match record {
                Record::Nothing => nodes.len(),
                Record::Node(node) => *node,
                Record::Data(offset) => nodes.len() + 16 + offset,
            };
            file.extend_from_slice(&(number as u32).to_be_bytes()[1..]);
        }
    }
    file.extend_from_slice(&[0; 16]);
    file.extend_from_slice(&data);
    file.extend_from_slice(MARKER);
    let metadata: BTreeMap<&str, Value> = [
        ("binary_format_major_version", Value::Number(5, 2)),
        ("binary_format_minor_version", Value::Number(5, 0)),
        ("build_epoch", Value::Number(9, build_epoch)),
        ("database_type", Value::Text(database_type.to_owned())),
        ("description", text("en", "made by a test")),
        ("ip_version", Value::Number(5, ip_version)),
        ("languages", Value::List(vec![Value::Text("en".to_owned())])),
        ("node_count", Value::Number(6, nodes.len() as u64)),
        ("record_size", Value::Number(5, 24)),
    ]
    .into();
    let metadata = metadata
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    encode(&Value::Map(metadata), &mut file);
    file
}

fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => {
            control(2, text.len(), out);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Number(kind, number) => {
            let bytes = number.to_be_bytes();
            let used = &bytes[(number.leading_zeros() / 8) as usize..];
            if *kind < 8 {
                control(*kind, used.len(), out);
            } else {
                out.extend_from_slice(&[used.len() as u8, kind - 7]);
            }
            out.extend_from_slice(used);
        }
        Value::List(values) => {
            // Type 11, extended.
            assert!(values.len() < 29);
            out.push(values.len() as u8);
            out.push(11 - 7);
            for value in values {
                encode(value, out);
            }
        }
        Value::Map(entries) => {
            control(7, entries.len(), out);
            for (key, value) in entries {
                encode(&Value::Text(key.clone()), out);
                encode(value, out);
            }
        }
    }
}

fn control(kind: u8, len: usize, out: &mut Vec<u8>) {
    match len {
        0..29 => out.push(kind << 5 | len as u8),
        29..285 => out.extend_from_slice(&[kind << 5 | 0b1_1101, (len - 29) as u8]),
        _ => panic!("no test needs a text of {len} bytes"),
    }
}
