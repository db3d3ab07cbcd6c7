//! `avscope explain`: a name or an address in; what it means, why, and how sure that is, out.

use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use super::EXIT_OK;
use super::capture_args::load;
use super::rules::explain_name;
use crate::attribute::Ruleset;
use crate::geo::{Countries, OperatorTable};

/// Say what a name or an address means, why, and how sure that is.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  avscope explain ksn-file-geo.kaspersky-labs.com\n  avscope explain kav8.zonealarm.com\n  \
    avscope explain 77.74.176.10\n\nNothing is looked up on the network: the answer rests on the rules and tables in the program.\n\
    Exit code: 0, also for what nobody knows."
)]
pub struct ExplainArgs {
    /// A host name, or an IPv4 or IPv6 address.
    #[arg(value_name = "NAME_OR_ADDRESS")]
    pub what: String,

    /// Folder of rule files that add to the built-in rules or replace those of the same vendor.
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,

    /// File of countries in MaxMind's DB format (.mmdb), in place of the built-in table.
    #[arg(long, value_name = "FILE")]
    pub geoip: Option<PathBuf>,

    /// Configuration file; options given here win over it. Default: `AVSCOPE_CONFIG`, else /etc/avscope/avscope.toml if it is there.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &ExplainArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let configuration = load(args.config.as_deref())?;
    let rules = match args.rules.as_deref().or(configuration.rules.dir.path()) {
        Some(dir) => Ruleset::with_directory(dir)
            .with_context(|| format!("cannot use the rules in {}", dir.display()))?,
        None => Ruleset::builtin()?,
    };
    let countries = Countries::from_file_or_embedded(
        args.geoip.as_deref().or(configuration.geoip.file.path()),
    )?;
    let what = args.what.trim();
    match what.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(address) => explain_address(&rules, &countries, address, out)?,
        Err(_) => {
            explain_name(&rules, what, out)?;
        }
    }
    Ok(ExitCode::from(EXIT_OK))
}

fn explain_address(
    rules: &Ruleset,
    countries: &Countries,
    address: IpAddr,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let operators = OperatorTable::builtin()?;
    let dataset = countries.dataset();
    let mut row = |label: &str, text: &str| writeln!(out, "  {label:<13}{text}");
    row("address", &address.to_string())?;
    let country = countries
        .lookup(address)
        .map_or_else(|| "unknown".to_owned(), |country| country.to_string());
    row(
        "server in",
        &format!(
            "{country}, by {} of {}; databases often disagree",
            dataset.name, dataset.build_date
        ),
    )?;
    match operators.lookup(address) {
        None => {
            row(
                "operator",
                "unknown: the table holds security vendors' networks only",
            )?;
            row("vendor", "unknown: an address says nothing without a name")?;
        }
        Some(operator) => {
            row(
                "operator",
                &format!("{} (AS{})", operator.name, operator.asn),
            )?;
            let registered = operator
                .country
                .map_or_else(|| "unknown".to_owned(), |country| country.to_string());
            let basis = operator
                .country_basis
                .as_deref()
                .map(|basis| format!(" ({basis})"))
                .unwrap_or_default();
            row("registered in", &format!(" {registered}{basis}"))?;
            let vendor = operator.vendor.as_deref();
            let text = match vendor.and_then(|id| rules.vendor_by_id(id)) {
                Some(vendor) => {
                    format!(
                        "{} ({}), seat {}: runs the network; other parties may use addresses in it",
                        vendor.legal_name, vendor.id, vendor.jurisdiction
                    )
                }
                None => vendor.map_or_else(
                    || "unknown".to_owned(),
                    |id| format!("{id} (no rules for its names yet)"),
                ),
            };
            row("vendor", &text)?;
            row("product", "unknown: an address does not say")?;
            row("purpose", "unknown: an address does not say")?;
            row(
                "confidence",
                &format!(
                    "low as evidence of a product; {} that the network is the operator's",
                    operator.confidence
                ),
            )?;
            row("source", &operator.source)?;
        }
    }
    row("ruleset", rules.digest())?;
    Ok(())
}
