//! The seeds of fuzzing, changed at random but always alike, through every function that fuzzing calls: an ordinary test, for whoever
//! cannot fuzz.

use std::path::{Path, PathBuf};

/// Changes of a seed that are tried.
const CHANGES: usize = 400;

/// Numbers that look random (Marsaglia's xorshift), the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder.join(target))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let seeds = paths.iter().map(|path| std::fs::read(path).unwrap());
    seeds.collect()
}

/// One change: a byte, a bit, a piece taken out, doubled, taken from another seed, or the end cut off.
fn change(bytes: &mut Vec<u8>, other: &[u8], numbers: &mut Numbers) {
    let at = numbers.below(bytes.len());
    let len = numbers.below(16).min(bytes.len() - at);
    match numbers.below(7) {
        _ if bytes.is_empty() => bytes.push(numbers.below(256) as u8),
        0 => bytes[at] = numbers.below(256) as u8,
        1 => bytes[at] ^= 1 << numbers.below(8),
        2 => bytes[at] = [0, 1, 0x3f, 0x7f, 0x80, 0xc0, 0xff][numbers.below(7)],
        3 => drop(bytes.drain(at..at + len)),
        4 => {
            let piece = bytes[at..at + len].to_vec();
            bytes.splice(at..at, piece);
        }
        5 => {
            let from = numbers.below(other.len());
            let piece = other[from..(from + len).min(other.len())].to_vec();
            bytes.splice(at..at + len, piece);
        }
        _ => bytes.truncate(at),
    }
}

/// Gives every seed of a target, and many changed ones, to `each`.
fn through(target: &str, changes: usize, mut each: impl FnMut(&[u8])) {
    let seeds = seeds(target);
    assert!(!seeds.is_empty(), "{target}");
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for seed in &seeds {
        each(seed);
        for _ in 0..changes {
            let mut bytes = seed.clone();
            for _ in 0..=numbers.below(4) {
                let other = &seeds[numbers.below(seeds.len())];
                change(&mut bytes, other, &mut numbers);
            }
            each(&bytes);
        }
    }
}

/// A number before the bytes says where they are cut.
fn cut(input: &[u8]) -> (usize, &[u8]) {
    match input.split_first_chunk::<8>() {
        Some((number, bytes)) => (u64::from_le_bytes(*number) as usize, bytes),
        None => (0, input),
    }
}

#[test]
fn changed_seeds_are_survived_by_every_parser() {
    through("http1", 20 * CHANGES, |input| {
        let (at, bytes) = cut(input);
        avscope::protocol::http1::fuzz_requests(bytes, at);
    });
    through("dns", 20 * CHANGES, |input| {
        let (at, bytes) = cut(input);
        avscope::protocol::dns::fuzz_message(bytes, at);
    });
    through("dhcp", 20 * CHANGES, avscope::protocol::dhcp::fuzz_message);
    through("nbns", 20 * CHANGES, avscope::protocol::nbns::fuzz_message);
    through("tls_client_hello", 20 * CHANGES, |input| {
        let (at, bytes) = cut(input);
        avscope::protocol::tls::fuzz_client_hello(bytes, at);
    });
    through("socks", 20 * CHANGES, |input| {
        let (at, bytes) = cut(input);
        avscope::protocol::socks::fuzz_client(bytes, at);
    });
    through("http2", 20 * CHANGES, |input| {
        let (at, bytes) = cut(input);
        avscope::protocol::http2::fuzz_client(bytes, at);
    });
    through("decrypt", 5 * CHANGES, |input| {
        let (at, bytes) = cut(input);
        avscope::protocol::decrypt::fuzz_session(bytes, at);
    });
    through("starttls", 20 * CHANGES, |input| {
        let (at, bytes) = cut(input);
        if let [style, bytes @ ..] = bytes {
            avscope::protocol::starttls::fuzz_watch(*style, bytes, at);
        }
    });
    through("tls_server_flight", 10 * CHANGES, |input| {
        let (at, bytes) = cut(input);
        avscope::protocol::tls::fuzz_server_flight(bytes, at);
    });
    through("dtls", 10 * CHANGES, |input| {
        let (at, bytes) = cut(input);
        avscope::protocol::dtls::fuzz_dtls(bytes, at);
    });
    through("recognise", 20 * CHANGES, |input| {
        if let [transport, a, b, c, d, payload @ ..] = input {
            let (from, to) = (u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d]));
            avscope::protocol::recognise::fuzz_recognise(*transport, from, to, payload);
        }
    });
    through("quic", CHANGES, avscope::protocol::quic::fuzz_datagrams);
    through("decode", 10 * CHANGES, avscope::decode::fuzz_decode);
}

#[test]
fn changed_seeds_are_survived_by_whatever_else_reads() {
    through("capture", CHANGES, |input| {
        avscope::capture::fuzz_capture(input);
    });
    through("matcher", CHANGES, avscope::attribute::fuzz_matcher);
    through("glob", 10 * CHANGES, |input| {
        let mut parts = input.splitn(2, |&byte| byte == b'\n');
        if let (Some(Ok(glob)), Some(text)) = (parts.next().map(std::str::from_utf8), parts.next())
        {
            avscope::attribute::fuzz_glob(glob, text);
        }
    });
    through("lists", 2 * CHANGES, |input| {
        avscope::exchange::import::fuzz_lists(&String::from_utf8_lossy(input));
    });
    through("rule_file", CHANGES / 4, |input| {
        avscope::attribute::fuzz_rule_file(&String::from_utf8_lossy(input));
    });
}
