//! Command lines in, text and exit codes out. Nothing imports this but `main`.
//!
//! **Invariants**: results go to standard output, everything else to standard error; an error names the file, the offset or
//! line, and the remedy; a reader that closes the pipe is success.

pub mod absence;
pub mod canary;
pub mod config;
pub mod detectability;
pub mod diff;
pub mod engines;
pub mod explain;
pub mod extract;
pub mod finding;
pub mod hosts;
pub mod names;
pub mod policies;
pub mod replay;
pub mod rules;

mod absence_words;
mod capture_args;
mod difference;
mod difference_table;
mod explanation;
mod keylog;
mod knowledge;
mod progress;
mod rules_from;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Everything was read and nothing was found wrong.
pub const EXIT_OK: u8 = 0;
/// The command failed, or a check found something.
pub const EXIT_ERROR: u8 = 1;
/// The command line was not understood.
pub const EXIT_USAGE: u8 = 2;
/// What was asked about was found, where the command line wants to know by the exit code.
pub const EXIT_FOUND: u8 = 3;
/// Part of the input could not be read: damaged, cut, or missing. What could be read was processed and shown.
pub const EXIT_INPUT_INCOMPLETE: u8 = 4;

/// Find out which security products, and which engines inside other products, talk out of a network.
#[derive(Debug, Parser)]
#[command(
    version,
    arg_required_else_help = true,
    after_help = "Examples:\n  avscope replay office.pcap\n  avscope replay --format json --home-net 203.0.113.0/24 a.pcap b.pcapng\n  \
    avscope names office.pcap --format table\n  avscope explain kav8.zonealarm.com\n\n\
    Exit codes:\n  0  done\n  1  failed, or a check found something\n  2  the command line was not understood\n  \
    3  found, where --exit-code asks for it\n  4  part of the input could not be read; the rest was processed and shown\n  5  an input was cut while it was read\n\n\
    avscope only reads: it sends nothing to the network and looks nothing up."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read captures and report who talks to which security vendor.
    Replay(replay::ReplayArgs),
    /// List the names seen in captures.
    Names(names::NamesArgs),
    /// List the home hosts seen in captures: names, MAC, VLANs, roles.
    Hosts(hosts::HostsArgs),
    /// Cut the packets that show an exposure or a flow out of captures.
    Extract(extract::ExtractArgs),
    /// Say what a name, an address, a User-Agent or a URI means, why, and how sure that is.
    Explain(explain::ExplainArgs),
    /// Prove that the sensor sees a zone: a name that a host there speaks once.
    Canary(canary::CanaryArgs),
    /// Say whether it means anything that a vendor, an engine or a product was not seen.
    Absence(absence::AbsenceArgs),
    /// List whose engine works inside whose product.
    Engines(engines::EnginesArgs),
    /// Say what can be seen of vendors, products and engines.
    Detectability(detectability::DetectabilityArgs),
    /// List the policies that findings can be judged by, or show one.
    Policies(policies::PoliciesArgs),
    /// Record what people did about findings, and list what is due.
    Finding(finding::FindingArgs),
    /// Compare what two rule sets make of captures.
    Diff(diff::DiffArgs),
    /// Check, list, test, export, import and install the rules.
    Rules(rules::RulesArgs),
    /// Check a configuration file, or show what holds and why.
    Config(config::ConfigArgs),
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are asked for; a broken pipe while printing them is nobody's fault.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() {
                EXIT_USAGE
            } else {
                EXIT_OK
            });
        }
    };
    let result = match &cli.command {
        Command::Replay(args) => replay::run(args),
        Command::Names(args) => names::run(args),
        Command::Hosts(args) => hosts::run(args),
        Command::Extract(args) => extract::run(args),
        Command::Explain(args) => explain::run(args, &mut std::io::stdout().lock()),
        Command::Canary(args) => canary::run(args, &mut std::io::stdout().lock()),
        Command::Absence(args) => absence::run(args),
        Command::Engines(args) => engines::run(args, &mut std::io::stdout().lock()),
        Command::Detectability(args) => detectability::run(args, &mut std::io::stdout().lock()),
        Command::Diff(args) => diff::run(args),
        Command::Policies(args) => policies::run(args, &mut std::io::stdout().lock()),
        Command::Finding(args) => finding::run(args, &mut std::io::stdout().lock()),
        Command::Rules(args) => rules::run(args, &mut std::io::stdout().lock()),
        Command::Config(args) => config::run(args, &mut std::io::stdout().lock()),
    };
    match result {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::from(EXIT_OK),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "avscope: {error:#}");
            ExitCode::from(if error.is::<UsageError>() {
                EXIT_USAGE
            } else {
                EXIT_ERROR
            })
        }
    }
}

/// The command line says something that cannot be: a script must tell that from a run that failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub String);

/// Whether the reader of our output went away.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>();
        let kind = io.map(std::io::Error::kind).or_else(|| {
            cause
                .downcast_ref::<serde_json::Error>()
                .and_then(serde_json::Error::io_error_kind)
        });
        kind == Some(std::io::ErrorKind::BrokenPipe)
    })
}
