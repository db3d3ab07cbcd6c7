//! Command line → a capture file of any size and, beside it, the exact truth about it.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

mod generator;

const EXAMPLES: &str = "Examples:
  generate office --packets 6500000 -o office.pcap
  generate short-tls --flows 1000000 -o short.pcap
  generate bulk --bytes 1500000000 -o bulk.pcap
  generate syn-flood --packets 5000000 --seed 7 -o flood.pcap
  generate small --packets 20000000 --flows 1000000 -o small.pcap
  generate concurrent --flows 2000000 --nanoseconds -o concurrent.pcap
  generate office --packets 10000 --flows-truth flows.jsonl -o office.pcap

The truth about office.pcap is written to office.truth.json. No 5-tuple is used twice and no flow is
silent for longer than 25 seconds, so flows are the same for every idle time-out above that.";

/// Writes a capture of any size and, beside it, the exact truth about it
#[derive(Parser)]
#[command(name = "generate", after_help = EXAMPLES, version)]
struct Arguments {
    #[command(flatten)]
    options: generator::options::Options,
}

#[allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "a tool at the desk says how long it took; packet times come from the seed"
)]
fn main() -> ExitCode {
    let options = Arguments::parse().options;
    let begin = Instant::now();
    match generator::generate(&options) {
        Ok(truth) => {
            let seconds = begin.elapsed().as_secs_f64();
            eprintln!(
                "{}: {} packets, {} flows, {} bytes in {seconds:.1} s ({:.0} MB/s); truth in {}",
                options.output.display(),
                truth.packets,
                truth.flows,
                truth.file_bytes,
                truth.file_bytes as f64 / 1e6 / seconds,
                generator::truth_path(&options.output).display(),
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("generate: {error}");
            ExitCode::FAILURE
        }
    }
}
