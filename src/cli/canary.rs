//! `avscope canary`: a name that a host speaks on purpose, so that it is proven that the sensor sees that host speak.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use ring::rand::SecureRandom;

use super::{EXIT_OK, UsageError};
use crate::alert::{CANARY_PREFIX, Canary, TOKEN_CHARS};
use crate::config::check_zone_name;
use crate::store::add_canary;

/// The capture that tests sensors.
const TEST_CAPTURE: &[u8] = include_bytes!("../../pcaps/sensor-test.pcap");

/// Prove that the sensor sees a zone: a name that a host there speaks once.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  avscope canary new --zone office --canaries canaries.jsonl\n  \
    avscope replay --canaries canaries.jsonl office.pcap\n  avscope canary test-capture > sensor-test.pcap\n\n\
    avscope itself sends nothing: a person runs the commands on a host of the zone."
)]
pub struct CanaryArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: CanaryCommand,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum CanaryCommand {
    /// Issue a canary and print what a person runs on a host of the zone.
    New {
        /// The zone that is to be proven, as in the configuration. Default: the home networks as a whole.
        #[arg(long, value_name = "ZONE")]
        zone: Option<String>,
        /// File that remembers what was issued; readers are given it too.
        #[arg(long, value_name = "FILE")]
        canaries: PathBuf,
        /// Domain under which the name lies. Default: one that does not exist, by RFC 6761; resolvers of your own may then answer
        /// the question themselves, so that it does not reach a sensor behind them. A domain of yours goes further.
        #[arg(long, value_name = "DOMAIN", default_value = "invalid")]
        domain: String,
        /// Server outside that the commands speak to. It hears a name that means nothing.
        #[arg(long, value_name = "HOST", default_value = "example.com")]
        server: String,
    },
    /// Write a small capture that every sensor must recognise to standard output.
    TestCapture,
}

/// Runs the command.
pub fn run(args: &CanaryArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match &args.command {
        CanaryCommand::New {
            zone,
            canaries,
            domain,
            server,
        } => {
            if let Some(zone) = zone {
                check_zone_name(zone, "--zone").map_err(|error| UsageError(error.to_string()))?;
            }
            for (option, name) in [("--domain", domain), ("--server", server)] {
                check_name(option, name)?;
            }
            let mut random = [0u8; TOKEN_CHARS / 2];
            ring::rand::SystemRandom::new()
                .fill(&mut random)
                .map_err(|_| anyhow::anyhow!("the system gives no random numbers"))?;
            let canary = Canary {
                token: format!("{:032x}", u128::from_be_bytes(random)),
                zone: zone.clone().unwrap_or_default(),
                issued_unix_seconds: now()?,
            };
            add_canary(canaries, &canary)?;
            let name = format!("{CANARY_PREFIX}{}.{domain}", canary.token);
            instructions(out, &canary, &name, server)?;
            writeln!(
                out,
                "\nThen read what the sensor captured: avscope replay --canaries {} CAPTURE",
                canaries.display()
            )?;
        }
        CanaryCommand::TestCapture => out.write_all(TEST_CAPTURE)?,
    }
    Ok(ExitCode::from(EXIT_OK))
}

/// Seconds since 1970.
#[allow(
    clippy::disallowed_methods,
    reason = "a person issues it now; readers compare it with the time of packets"
)]
fn now() -> anyhow::Result<u64> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Ok(now.context("the clock stands before 1970")?.as_secs())
}

fn instructions(
    out: &mut dyn Write,
    canary: &Canary,
    name: &str,
    server: &str,
) -> std::io::Result<()> {
    let zone = if canary.zone.is_empty() {
        "the home networks".to_owned()
    } else {
        format!("zone {}", canary.zone)
    };
    writeln!(out, "{name}\n")?;
    writeln!(
        out,
        "Good once, for {zone}. Run on a host there what there is a program for; each line proves one kind of evidence."
    )?;
    writeln!(
        out,
        "Nobody has the name: each command ends with an error or an answer of no meaning, and that is well.\n"
    )?;
    writeln!(out, "  DNS   nslookup {name}")?;
    writeln!(
        out,
        "  HTTP  curl --max-time 5 --connect-to ::{server}:80 http://{name}/"
    )?;
    writeln!(
        out,
        "  TLS   curl --max-time 5 --connect-to ::{server}:443 https://{name}/"
    )?;
    writeln!(
        out,
        "        openssl s_client -connect {server}:443 -servername {name} </dev/null"
    )?;
    writeln!(
        out,
        "  QUIC  curl --max-time 5 --http3-only --connect-to ::{server}:443 https://{name}/"
    )
}

/// What goes into a command line that a person copies must be a name and nothing else.
fn check_name(option: &str, name: &str) -> Result<(), UsageError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if !name.is_empty()
        && name.len() <= 200
        && name.chars().all(allowed)
        && !name.starts_with(['-', '.'])
    {
        Ok(())
    } else {
        Err(UsageError(format!(
            "{option}: {name:?} is no name of a host: letters, digits, '-' and '.'"
        )))
    }
}
