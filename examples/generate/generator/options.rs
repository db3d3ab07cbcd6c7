//! Command line → what to generate.

use std::path::PathBuf;

/// What the traffic is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Shape {
    /// A mix as an office sees it: TLS to vendors and others, HTTP, DNS, NTP, opaque UDP, ICMP, ARP, mishaps
    Office,
    /// Many short TLS flows, 10,000 new ones a second, a fifth of the hellos over two segments
    ShortTls,
    /// 100 long downloads of 1400-byte packets, 80 of them TLS with a server name
    Bulk,
    /// SYNs from random sources to one server, and a few named TLS flows among them
    SynFlood,
    /// 60-byte frames, evenly over many flows
    Small,
    /// Many flows that are all open at the same time
    Concurrent,
}

impl Shape {
    /// The word for this shape on the command line and in the truth.
    pub fn word(self) -> &'static str {
        match self {
            Self::Office => "office",
            Self::ShortTls => "short-tls",
            Self::Bulk => "bulk",
            Self::SynFlood => "syn-flood",
            Self::Small => "small",
            Self::Concurrent => "concurrent",
        }
    }
}

/// Writes a capture of any size and, beside it, the exact truth about it.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// What the traffic is like
    #[arg(value_enum)]
    pub shape: Shape,
    /// Capture file to write (pcap); the truth goes beside it, with the suffix .truth.json
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Same options and same seed: same bytes
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Packets to write [office: 1000000, syn-flood: 1000000, small: 10000000]
    #[arg(long)]
    pub packets: Option<u64>,
    /// Flows to make [short-tls: 1000000, small: 100000, concurrent: 1000000]
    #[arg(long)]
    pub flows: Option<u64>,
    /// Bytes of capture file to reach [bulk: 1500000000]
    #[arg(long)]
    pub bytes: Option<u64>,
    /// Hosts of the home network [office: 250, short-tls: 16384, others: 4096]
    #[arg(long)]
    pub hosts: Option<u64>,
    /// Timestamps in nanoseconds rather than microseconds
    #[arg(long)]
    pub nanoseconds: bool,
    /// Also write one JSON line about every flow to this file
    #[arg(long, value_name = "FILE")]
    pub flows_truth: Option<PathBuf>,
}

impl Options {
    /// `shape` into `output`, all else by default.
    #[cfg(test)]
    #[allow(
        dead_code,
        reason = "tests and benches make options; the program reads them"
    )]
    pub fn new(shape: Shape, output: PathBuf) -> Self {
        Self {
            shape,
            output,
            seed: 1,
            packets: None,
            flows: None,
            bytes: None,
            hosts: None,
            nanoseconds: false,
            flows_truth: None,
        }
    }

    /// Hosts at home.
    pub fn hosts(&self) -> u64 {
        let usual = match self.shape {
            Shape::Office => 250,
            Shape::ShortTls => 16_384,
            _ => 4_096,
        };
        self.hosts.unwrap_or(usual)
    }
}
