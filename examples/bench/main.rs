//! Shapes of traffic → a table of what avscope costs beside `cat` on the same file, and the proof that it counted right.
//!
//! For each shape the generator writes a capture with its truth. `avscope` must then state that truth exactly; only a
//! program that gives the right answer is timed. Runs of `cat` and of `avscope` take turns, so that a busy moment
//! of the machine meets both; CPU time is compared, because it repeats where wall time does not.

#![allow(
    clippy::disallowed_macros,
    reason = "a tool for developers that prints"
)]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, ensure};
use clap::{Parser, ValueEnum};
use serde_json::Value;

mod check;
#[path = "../generate/generator/mod.rs"]
mod generator;
mod measure;
mod table;

use generator::options::{Options, Shape};
use measure::{Cost, Series};

const EXAMPLES: &str = "Examples:
  cargo run --release --example bench
  cargo run --release --example bench -- --shapes bulk,small --runs 9
  cargo run --release --example bench -- --scale full --shapes office

avscope is built first, in release mode. Captures are written to a temporary folder (TMPDIR) and removed;
full scale needs 2 GB there at a time. The table goes to standard output, progress to standard error.";

/// Measure avscope against `cat` on captures of known content
#[derive(Parser)]
#[command(name = "bench", after_help = EXAMPLES)]
struct Arguments {
    /// What the traffic is like
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_values = ["office", "short-tls", "bulk", "small"]
    )]
    shapes: Vec<Shape>,
    /// How large the captures are
    #[arg(long, value_enum, default_value_t = Scale::Small)]
    scale: Scale,
    /// Runs of each program on each capture; the least CPU time counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Seed of the captures
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// This program instead of the one built here
    #[arg(long, value_name = "FILE")]
    avscope: Option<PathBuf>,
    /// Leave out tcpdump and tshark, which are measured at small scale where they are installed
    #[arg(long)]
    no_peers: bool,
}

/// How large the captures are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scale {
    /// 150 to 250 MB each: minutes in all
    Small,
    /// 1 to 2 GB each: the sizes of the table in docs/PERFORMANCE.md
    Full,
}

/// What is asked of the generator.
fn options(shape: Shape, scale: Scale, seed: u64, output: PathBuf) -> Options {
    let sized = |small, full| {
        Some(match scale {
            Scale::Small => small,
            Scale::Full => full,
        })
    };
    let (mut packets, mut flows, mut bytes) = (None, None, None);
    match shape {
        Shape::Office => packets = sized(700_000, 6_500_000),
        Shape::ShortTls => flows = sized(100_000, 1_000_000),
        Shape::Bulk => bytes = sized(250_000_000, 1_500_000_000),
        Shape::SynFlood => packets = sized(2_000_000, 20_000_000),
        Shape::Small => {
            packets = sized(2_000_000, 20_000_000);
            flows = sized(100_000, 1_000_000);
        }
        Shape::Concurrent => flows = sized(200_000, 1_000_000),
    }
    Options {
        shape,
        output,
        seed,
        packets,
        flows,
        bytes,
        hosts: None,
        nanoseconds: false,
        flows_truth: None,
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let avscope = match &arguments.avscope {
        Some(path) => path.clone(),
        None => build()?,
    };
    let directory = tempfile::tempdir().context("cannot make a temporary folder")?;
    let mut rows = Vec::new();
    for shape in &arguments.shapes {
        let row = measured(*shape, arguments, &avscope, directory.path())
            .with_context(|| format!("shape {}", shape.word()))?;
        rows.push(row);
    }
    table::print(&rows)?;
    Ok(())
}

/// Builds the program next to this example.
fn build() -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "--quiet", "--bin", "avscope"])
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "avscope does not build");
    let here = std::env::current_exe()?;
    let target = here
        .ancestors()
        .nth(2)
        .context("this example lies outside a target folder; give --avscope FILE")?;
    // In a debug build of this example, the release build lies beside its folder.
    Ok(target.with_file_name("release").join("avscope"))
}

/// Everything measured on one shape.
pub struct Row {
    shape: &'static str,
    packets: u64,
    flows: u64,
    bytes: u64,
    cat: Cost,
    one: Cost,
    two: Cost,
    peers: Vec<(&'static str, Cost)>,
}

fn measured(
    shape: Shape,
    arguments: &Arguments,
    avscope: &Path,
    directory: &Path,
) -> anyhow::Result<Row> {
    let capture = directory.join(format!("{}.pcap", shape.word()));
    let options = options(shape, arguments.scale, arguments.seed, capture);
    eprintln!("{}: generating", shape.word());
    let truth = generator::generate(&options)?;
    let capture = &options.output;
    let stated: Value = serde_json::from_slice(&std::fs::read(generator::truth_path(capture))?)?;
    for workers in ["1", "2"] {
        check::agrees(avscope, workers, capture, &stated)?;
    }
    eprintln!(
        "{}: avscope states the truth about {} packets in {} flows; measuring",
        shape.word(),
        truth.packets,
        truth.flows
    );
    let cat = program("cat", capture, &[]);
    let replay = |workers: &str| -> Vec<OsString> {
        let mut command = program(avscope, capture, &["replay", "--quiet", "--format", "json"]);
        command.extend(["--workers".into(), workers.into()]);
        command
    };
    let (one, two) = (replay("1"), replay("2"));
    let mut series = [Series::default(), Series::default(), Series::default()];
    for _ in 0..arguments.runs {
        for (series, command) in series.iter_mut().zip([&cat, &one, &two]) {
            series.add(measure::run(command)?);
        }
    }
    let [cat, one, two] = series.map(|series| series.least());
    let mut peers = Vec::new();
    if arguments.scale == Scale::Small && !arguments.no_peers {
        for (name, command) in peer_commands(capture) {
            if is_installed(name) {
                eprintln!("{}: {name}", shape.word());
                peers.push((name, measure::run(&command)?));
            }
        }
    }
    std::fs::remove_file(capture)?;
    Ok(Row {
        shape: shape.word(),
        packets: truth.packets,
        flows: truth.flows,
        bytes: truth.file_bytes,
        cat,
        one,
        two,
        peers,
    })
}

fn program(name: impl Into<OsString>, capture: &Path, arguments: &[&str]) -> Vec<OsString> {
    let mut command = vec![name.into()];
    command.extend(arguments.iter().map(OsString::from));
    command.push(capture.into());
    command
}

/// Programs to set beside: the least that libpcap can do, and a full dissection for the same names.
fn peer_commands(capture: &Path) -> [(&'static str, Vec<OsString>); 2] {
    let mut tcpdump = program("tcpdump", capture, &["-w", "/dev/null", "-r"]);
    tcpdump.push("ip or ip6".into());
    let field = "tls.handshake.extensions_server_name";
    let tshark = program(
        "tshark",
        capture,
        &["-n", "-T", "fields", "-e", field, "-r"],
    );
    [("tcpdump", tcpdump), ("tshark", tshark)]
}

fn is_installed(name: &str) -> bool {
    Command::new(name)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
