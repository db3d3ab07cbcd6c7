//! `avscope explain`: a name, an address, a User-Agent or a URI in; what it means, why, and how sure that is, out.

use std::io::{self, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{ArgGroup, Args, ValueEnum};

use super::capture_args::load;
use super::explanation::{
    Address, Company, EngineFact, Explanation, OperatorWords, Seen, Unknown, Verdict,
};
use super::knowledge::{Subject, Tables};
use super::{EXIT_OK, UsageError};
use crate::attribute::{Indicates, Ruleset};
use crate::geo::{Countries, OperatorTable};
use crate::model::printable;

/// Say what a name, an address, a User-Agent or a URI means, why, and how sure that is.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("subject").required(true).args(["what", "user_agent", "uri"]),
    after_help = "Examples:\n  avscope explain ksn-file-geo.kaspersky-labs.com\n  avscope explain kav8.zonealarm.com\n  \
    avscope explain 77.74.176.10\n  avscope explain --user-agent 'SAVAPI4.15.21.77'\n  \
    avscope explain --uri /updaters/updater.xml.dif\n  avscope explain --format json crl.kaspersky.com | jq .verdict.rule\n\n\
    Nothing is looked up on the network: the answer rests on the rules and tables in the program.\n\
    Exit code: 0, also for what nobody knows; 2 for what is no name and no address."
)]
pub struct ExplainArgs {
    /// A host name, or an IPv4 or IPv6 address.
    #[arg(value_name = "NAME_OR_ADDRESS")]
    pub what: Option<String>,

    /// The User-Agent of an HTTP request.
    #[arg(long, value_name = "TEXT")]
    pub user_agent: Option<String>,

    /// Path and query of an HTTP request; of a whole URL the host is left aside.
    #[arg(long, value_name = "URI")]
    pub uri: Option<String>,

    /// How the answer is written.
    #[arg(long, value_enum, default_value_t = ExplainFormat::Text)]
    pub format: ExplainFormat,

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

/// How the answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExplainFormat {
    /// For people.
    Text,
    /// One JSON object.
    Json,
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
    let tables = Tables {
        rules: &rules,
        countries: &countries,
        operators: &OperatorTable::builtin()?,
    };
    let what = args.what.as_deref().unwrap_or_default().trim();
    let subject = match (&args.user_agent, &args.uri) {
        (Some(text), _) => Subject::UserAgent(text),
        (None, Some(uri)) => Subject::Uri(path_and_query(uri)),
        (None, None) => {
            if let Ok(address) = what.trim_matches(['[', ']']).parse::<IpAddr>() {
                Subject::Address(address)
            } else {
                check_name(what)?;
                Subject::Name(what)
            }
        }
    };
    let explanation = tables.explain(subject);
    match args.format {
        ExplainFormat::Json => {
            serde_json::to_writer_pretty(&mut *out, &explanation)?;
            writeln!(out)?;
        }
        ExplainFormat::Text => Text { out }.explanation(&explanation)?,
    }
    Ok(ExitCode::from(EXIT_OK))
}

/// Refuses what cannot be a name: an answer about it would be taken for one about what was meant.
fn check_name(text: &str) -> Result<(), UsageError> {
    let fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    // A certificate may be for every name under one.
    let name = text.strip_prefix("*.").unwrap_or(text);
    if !name.is_empty() && name.bytes().all(fit) {
        return Ok(());
    }
    let after_scheme = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = after_scheme.split(['/', '?', '#']).next().unwrap_or("");
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let host = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split_once(':').map_or(host, |(host, _)| host),
    };
    let remedy = if !text.is_ascii() {
        "pass its punycode form (xn--...), as it stands on the wire".to_owned()
    } else if host.parse::<IpAddr>().is_ok() {
        format!("pass the address: {host}")
    } else if !host.is_empty() && host != text && host.bytes().all(fit) {
        format!("pass the host: {host}")
    } else {
        "pass a host name or an address, as in www.kaspersky.com or 77.74.176.10".to_owned()
    };
    let shown = printable(text.as_bytes());
    Err(UsageError(format!("\"{shown}\" is not a name: {remedy}")))
}

/// What of a URL a request line holds when no proxy is spoken to.
fn path_and_query(uri: &str) -> &str {
    for scheme in ["http://", "https://"] {
        if let Some(rest) = uri.strip_prefix(scheme) {
            return rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/");
        }
    }
    uri
}

/// Labelled lines for people.
struct Text<'a> {
    out: &'a mut dyn Write,
}

impl Text<'_> {
    fn row(&mut self, label: &str, text: &str) -> io::Result<()> {
        writeln!(self.out, "  {label:<13} {}", printable(text.as_bytes()))
    }

    fn explanation(&mut self, all: &Explanation) -> io::Result<()> {
        self.row(&all.kind.replace('_', " "), &all.asked)?;
        if let Some(address) = &all.address {
            self.address(address)?;
        }
        match &all.verdict {
            Some(verdict) => self.verdict(verdict, all.address.as_ref())?,
            None => {
                if let Some(unknown) = &all.unknown {
                    self.unknown(unknown)?;
                }
            }
        }
        for other in &all.passed_over {
            let product = other.product.as_deref().unwrap_or("product unknown");
            self.row(
                "passed over",
                &format!(
                    "{} of rule {} ({}, {product}, {}): {}",
                    other.pattern, other.rule, other.vendor, other.purpose, other.why
                ),
            )?;
        }
        let basis = &all.basis;
        let checked = (basis.checked.as_deref())
            .map(|day| format!(", sources looked at until {day}"))
            .unwrap_or_default();
        self.row(
            "rule set",
            &format!(
                "{}: {} vendors, {} rules{checked}",
                basis.ruleset, basis.vendors, basis.rules
            ),
        )
    }

    fn company(&mut self, label: &str, company: &Company) -> io::Result<()> {
        self.row(label, &format!("{} ({})", company.legal_name, company.id))?;
        let seat = if label == "engine" {
            "engine seat"
        } else {
            "seat"
        };
        self.row(seat, company.jurisdiction.as_str())?;
        if let Some(note) = &company.jurisdiction_note {
            self.row("", note)?;
        }
        if let Some(parent) = &company.parent {
            self.row("owner", parent)?;
        }
        Ok(())
    }

    fn verdict(&mut self, verdict: &Verdict, address: Option<&Address>) -> io::Result<()> {
        self.company("vendor", &verdict.vendor)?;
        self.row(
            "product",
            verdict
                .product
                .as_deref()
                .unwrap_or("unknown: this does not tell it"),
        )?;
        let purpose = verdict.purpose.as_str();
        match address {
            Some(_) => self.row(
                "purpose",
                &format!("{purpose}: an address does not tell it"),
            )?,
            None => self.row("purpose", purpose)?,
        }
        if let Some(serves) = &verdict.serves {
            self.row("serves", serves)?;
        }
        match &verdict.engine {
            Some(engine) if engine.vendor.id == verdict.vendor.id => self.row(
                "engine",
                &format!(
                    "{}: the vendor's own, inside a product that does not show",
                    engine.relation
                ),
            )?,
            Some(engine) => {
                self.company("engine", &engine.vendor)?;
                self.row("relation", engine.relation.as_str())?;
            }
            None => {}
        }
        let what = match verdict.indicates {
            Indicates::Contact => {
                "contact: people or other programs come here too; no evidence of a product by itself"
            }
            Indicates::Product => "product",
        };
        self.row("indicates", what)?;
        let by: Vec<String> = (verdict.confidence_by_evidence.iter())
            .map(|(kind, confidence)| format!("{kind} {confidence}"))
            .collect();
        self.row(
            "confidence",
            &format!(
                "{} by itself; seen as {}",
                verdict.confidence,
                by.join(", ")
            ),
        )?;
        self.rule(verdict)?;
        for fact in &verdict.engine_facts {
            self.engine_fact(fact)?;
        }
        for seen in &verdict.detectability {
            self.seen(seen)?;
        }
        for note in &verdict.vendor_notes {
            self.row("to know", note)?;
        }
        Ok(())
    }

    fn rule(&mut self, verdict: &Verdict) -> io::Result<()> {
        let rule = &verdict.rule;
        self.row("pattern", &rule.pattern)?;
        self.row(
            "rule",
            &format!(
                "{} version {}, {}:{}",
                rule.id, rule.version, rule.file, rule.line
            ),
        )?;
        self.row(
            "source",
            &format!(
                "{} ({}), checked {}",
                rule.source, rule.source_class, rule.checked
            ),
        )?;
        let end = |day: &Option<String>| day.clone().unwrap_or_else(|| "not known".to_owned());
        if rule.valid_from.is_some() || rule.valid_until.is_some() {
            let days = format!(
                "from {} until {}",
                end(&rule.valid_from),
                end(&rule.valid_until)
            );
            self.row("valid", &days)?;
        } else {
            self.row("valid", "days not known: taken to hold on every day")?;
        }
        match &rule.note {
            Some(note) => self.row("note", note),
            None => Ok(()),
        }
    }

    fn engine_fact(&mut self, fact: &EngineFact) -> io::Result<()> {
        let mut text = fact.product_vendor.clone();
        for (before, part) in [
            (", ", &fact.product),
            (": ", &fact.engine),
            ("; ", &fact.period),
            ("; shows as ", &fact.network_sign),
        ] {
            if let Some(part) = part {
                text.push_str(before);
                text.push_str(part);
            }
        }
        text = format!(
            "{text}; {} of {} ({} confidence)",
            fact.relation, fact.engine_vendor, fact.confidence
        );
        self.row("engine fact", &text)
    }

    fn seen(&mut self, seen: &Seen) -> io::Result<()> {
        let of = seen
            .of
            .as_ref()
            .map(|of| format!("{of}: "))
            .unwrap_or_default();
        let contact = seen
            .contact
            .as_ref()
            .map(|text| match &seen.contact_source {
                Some(source) => format!(" It {text} ({source})."),
                None => format!(" It {text}."),
            })
            .unwrap_or_default();
        let derived = if seen.derived {
            " (concluded from the rules)"
        } else {
            ""
        };
        self.row(
            "detectability",
            &format!("{of}{}. {}{contact}{derived}", seen.visibility, seen.why),
        )
    }

    fn address(&mut self, address: &Address) -> io::Result<()> {
        let country = address
            .country
            .map_or_else(|| "unknown".to_owned(), |country| country.to_string());
        let seat = address
            .operator
            .as_ref()
            .and_then(|operator| operator.vendor.as_ref())
            .map(|vendor| vendor.jurisdiction);
        let differs = match (address.country, seat) {
            (Some(country), Some(seat)) if country != seat => {
                format!("; not the vendor's seat, {seat}")
            }
            _ => String::new(),
        };
        self.row(
            "server in",
            &format!(
                "{country}, by {}; databases often disagree{differs}",
                address.country_by
            ),
        )?;
        match &address.operator {
            Some(operator) => self.operator(operator),
            None => self.row(
                "operator",
                "unknown: the table holds security vendors' networks only",
            ),
        }
    }

    fn operator(&mut self, operator: &OperatorWords) -> io::Result<()> {
        self.row(
            "operator",
            &format!(
                "{} (AS{}), by {}, {} confidence",
                operator.name, operator.asn, operator.by, operator.confidence
            ),
        )?;
        let registered = (operator.registered_in)
            .map_or_else(|| "unknown".to_owned(), |country| country.to_string());
        let basis = (operator.registered_basis.as_ref())
            .map(|basis| format!(" ({basis})"))
            .unwrap_or_default();
        self.row("registered in", &format!("{registered}{basis}"))?;
        match &operator.note {
            Some(note) => self.row("", note),
            None => Ok(()),
        }
    }

    fn unknown(&mut self, unknown: &Unknown) -> io::Result<()> {
        self.row("vendor", "unknown: no rule judges this")?;
        self.row("meaning", &unknown.meaning)?;
        if let Some(entry) = &unknown.claimed_by_nobody {
            let text = format!(
                "{} is nobody's: {} ({})",
                entry.pattern, entry.why, entry.source
            );
            self.row("on purpose", &text)?;
        }
        if let Some(domain) = &unknown.domain {
            self.row(
                "domain",
                &format!("probably {domain}, guessed from the last labels"),
            )?;
        }
        for near in &unknown.near {
            let text = format!("{} of rule {}: {}", near.pattern, near.rule, near.how);
            self.row("near", &text)?;
        }
        match unknown.further {
            0 => Ok(()),
            more => self.row("", &format!("and {more} more patterns")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_url_is_left_aside() {
        assert_eq!(path_and_query("/a?b"), "/a?b");
        assert_eq!(path_and_query("http://vendor.example/a/b?c"), "/a/b?c");
        assert_eq!(path_and_query("https://vendor.example"), "/");
    }
}
