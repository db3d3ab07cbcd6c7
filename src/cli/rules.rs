//! `avscope rules` in: a check, a list or a test of rule files out, with an exit code; and the way of rules to others.

mod bundle;
mod export;
mod import;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use comfy_table::{ContentArrangement, Table, presets};

use super::rules_from::RulesFrom;
use crate::attribute::check::{Report, check_files, test_files};
use crate::attribute::{
    Engine, PatternKind, Rule, RuleFiles, Ruleset, SourceFile, ValidityDate, VendorId,
};
use crate::policy::{POLICY_FOLDER, Policies, Policy, ReadStatus};

/// Check, list, test, export, import and install the rules that attribute names to vendors.
#[derive(Debug, Args)]
pub struct RulesArgs {
    /// What to do with the rules.
    #[command(subcommand)]
    pub command: RulesCommand,
}

/// What to do with the rules.
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Check rule files: syntax, keys, sources, duplicate, contradicting and shadowed patterns.
    ///
    /// Each file or folder is checked together with the built-in rules, as `--rules` would use it: a file
    /// replaces the built-in file of the same vendor. Without a path the built-in rules are checked.
    #[command(
        after_help = "Examples:\n  avscope rules check\n  avscope rules check my-rules/\n  \
        avscope rules check my-rules/acme.toml\n\nExit code: 0 if all is well, 1 if something was found, \
        2 if a file cannot be read or parsed."
    )]
    Check {
        /// Rule files, or folders of them.
        #[arg(value_name = "DIR|FILE")]
        paths: Vec<PathBuf>,
    },
    /// List rules: names, purpose, engine, confidence and source.
    #[command(
        after_help = "Examples:\n  avscope rules list\n  avscope rules list --vendor kaspersky\n  \
        avscope rules list --format json | jq 'select(.engine)'"
    )]
    List {
        /// Only the rules of this vendor.
        #[arg(long, value_name = "ID")]
        vendor: Option<String>,
        /// A table for people, or one JSON object a line.
        #[arg(long, value_enum, default_value_t = ListFormat::Table)]
        format: ListFormat,
        /// Where rules beside the built-in ones come from.
        #[command(flatten)]
        from: RulesFrom,
    },
    /// Run the samples of all rules, and list rules that no independent sample proves.
    #[command(
        after_help = "Examples:\n  avscope rules test\n  avscope rules test --rules my-rules/\n\n\
        Exit code: 0 if every sample is judged as it must be and every rule is exercised; 1 if not. \
        Unproven rules alone do not fail."
    )]
    Test {
        /// Where rules beside the built-in ones come from.
        #[command(flatten)]
        from: RulesFrom,
    },
    /// Write the rules for Suricata, Zeek, MISP, resolvers, or as a table.
    Export(export::ExportArgs),
    /// Read a list of others into rule files of your own.
    Import(import::ImportArgs),
    /// Make a pair of keys for bundles.
    Keygen(bundle::KeygenArgs),
    /// Sign the rules into one file that sensors without a network can install.
    Bundle(bundle::BundleArgs),
    /// Install a bundle, or go back to the one before.
    Install(bundle::InstallArgs),
}

/// How `rules list` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// A table for people.
    Table,
    /// One JSON object a line.
    Json,
}

/// Exit code where a file cannot be read or parsed.
const UNUSABLE: u8 = 2;

/// Runs `avscope rules`; what it finds goes to `out`.
pub fn run(args: &RulesArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match &args.command {
        RulesCommand::Export(args) => export::run(args, out),
        RulesCommand::Import(args) => import::run(args, out),
        RulesCommand::Keygen(args) => bundle::keygen(args, out),
        RulesCommand::Bundle(args) => bundle::bundle(args, out),
        RulesCommand::Install(args) => bundle::install(args, out),
        RulesCommand::Check { paths } => check(paths, out),
        RulesCommand::List {
            vendor,
            format,
            from,
        } => list(&from.ruleset()?, vendor.as_deref(), *format, out),
        RulesCommand::Test { from } => {
            let folder = from.folder()?;
            let files = match &folder {
                Some(folder) => RuleFiles::builtin_with_folder(folder)?,
                None => RuleFiles::builtin()?,
            };
            let report = test_files(&files)?;
            write_report(&report, &files.digest(), out)?;
            let own = match &folder {
                Some(folder) => Policies::read_folder(folder)?,
                None => Vec::new(),
            };
            if report.duplicates.is_empty() && report.contradicting.is_empty() {
                check_policies(own, &files, out)?;
            }
            write_findings("dated", &report.dated, out)?;
            write_findings("unproven", &report.unproven, out)?;
            Ok(if report.passed() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
    }
}

fn check(paths: &[PathBuf], out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    // Every file that cannot be used is named, not only the first.
    let (mut given, mut own) = (Vec::new(), Vec::new());
    let mut unusable = false;
    for path in paths {
        match read(path) {
            Ok((files, policies)) => {
                given.extend(files);
                own.extend(policies);
            }
            Err(error) => {
                unusable = true;
                writeln!(out, "{error}")?;
            }
        }
    }
    if unusable {
        return Ok(ExitCode::from(UNUSABLE));
    }
    let report = RuleFiles::from_files(given)
        .and_then(|given| RuleFiles::builtin()?.overridden_by(given.files().to_vec()))
        .and_then(|files| Ok((check_files(&files)?, files)));
    match report {
        Ok((report, files)) => {
            write_report(&report, &files.digest(), out)?;
            // Where a pattern stands twice there is no rule set to compare policies with; that is said already.
            if report.duplicates.is_empty()
                && report.contradicting.is_empty()
                && let Err(error) = check_policies(own, &files, out)
            {
                writeln!(out, "{error:#}")?;
                return Ok(ExitCode::from(UNUSABLE));
            }
            Ok(if report.passed() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
        Err(error) => {
            writeln!(out, "{error}")?;
            Ok(ExitCode::from(UNUSABLE))
        }
    }
}

/// Vendors, and policies with the files that they stand in.
type FilesRead = (Vec<SourceFile>, Vec<(Policy, String)>);

/// Rule files and policies of a folder, or the one or the other of a file.
fn read(path: &Path) -> anyhow::Result<FilesRead> {
    if path.is_dir() {
        let policies = Policies::read_folder(path)?;
        if path.file_name().is_some_and(|name| name == POLICY_FOLDER) {
            return Ok((Vec::new(), policies));
        }
        return Ok((RuleFiles::folder(path)?.files().to_vec(), policies));
    }
    // A file that is no TOML is for the reader of rules to complain about.
    let table: toml::Table = std::fs::read_to_string(path)
        .ok()
        .and_then(|text| toml::from_str(&text).ok())
        .unwrap_or_default();
    Ok(if table.contains_key("policy") {
        (Vec::new(), vec![Policies::read(path)?])
    } else {
        (vec![SourceFile::read(path)?], Vec::new())
    })
}

/// Says which policies there are, and whether they are about vendors that there are.
fn check_policies(
    own: Vec<(Policy, String)>,
    files: &RuleFiles,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let mut policies = Policies::builtin()?;
    policies.extend(own)?;
    policies.check_vendors(&Ruleset::from_files(files)?)?;
    let facts: Vec<_> = policies.iter().flat_map(|policy| &policy.facts).collect();
    let of = |status| facts.iter().filter(|fact| fact.status == status).count();
    writeln!(
        out,
        "policies: {}, resting on {} facts: {} read, {} partly read, {} from memory; digest {}",
        policies.len(),
        facts.len(),
        of(ReadStatus::Read),
        of(ReadStatus::PartlyRead),
        of(ReadStatus::Memory),
        policies.digest()
    )?;
    Ok(())
}

fn write_report(report: &Report, digest: &str, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(
        out,
        "{} vendors, {} rules, {} patterns, {} samples; digest {digest}",
        report.vendors,
        report.rules,
        report.patterns,
        report.samples.total()
    )?;
    writeln!(
        out,
        "patterns: {} names, {} User-Agents, {} URIs, {} networks",
        report.names, report.user_agents, report.uris, report.networks
    )?;
    let samples = report.samples;
    writeln!(
        out,
        "samples: {} from another source, {} from the rule's own, {} constructed, {} negative",
        samples.elsewhere, samples.own, samples.constructed, samples.negative
    )?;
    for (word, findings) in report.failures() {
        write_findings(word, findings, out)?;
    }
    Ok(())
}

fn write_findings(
    word: &str,
    findings: &[crate::attribute::check::Finding],
    out: &mut dyn Write,
) -> std::io::Result<()> {
    writeln!(out, "{word}: {}", findings.len())?;
    for finding in findings {
        writeln!(out, "  {finding}")?;
    }
    Ok(())
}

fn list(
    ruleset: &Ruleset,
    vendor: Option<&str>,
    format: ListFormat,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let wanted = vendor.map(|id| vendor_number(ruleset, id)).transpose()?;
    let rules = ruleset
        .rules()
        .filter(|rule| wanted.is_none_or(|wanted| rule.vendor == wanted));
    match format {
        ListFormat::Table => {
            let mut table = Table::new();
            table
                .load_style(presets::UTF8_HORIZONTAL_ONLY)
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_header([
                    "rule",
                    "seat",
                    "product",
                    "engine",
                    "confidence",
                    "patterns",
                ]);
            for rule in rules {
                let patterns: Vec<&str> = ruleset
                    .all_patterns_of(rule.number)
                    .map(|(_, text)| text)
                    .collect();
                table.add_row([
                    rule.id.clone(),
                    ruleset.vendor(rule.vendor).jurisdiction.to_string(),
                    rule.product.clone().unwrap_or_default(),
                    rule.engine
                        .map(|engine| engine_text(ruleset, engine))
                        .unwrap_or_default(),
                    rule.confidence.to_string(),
                    shortened(&patterns),
                ]);
            }
            writeln!(out, "{table}")?;
        }
        ListFormat::Json => {
            for rule in rules {
                serde_json::to_writer(&mut *out, &rule_json(ruleset, rule))?;
                writeln!(out)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The vendor of this id; the error lists those that are known.
fn vendor_number(ruleset: &Ruleset, id: &str) -> anyhow::Result<VendorId> {
    let found = ruleset.vendor_by_id(id).map(|vendor| vendor.number);
    found.with_context(|| {
        let known: Vec<&str> = ruleset.vendors().map(|vendor| vendor.id.as_str()).collect();
        format!("no vendor {id:?}; known: {}", known.join(", "))
    })
}

/// The first patterns, and how many more there are.
fn shortened(patterns: &[&str]) -> String {
    const SHOWN: usize = 3;
    let mut text = patterns
        .iter()
        .take(SHOWN)
        .copied()
        .collect::<Vec<_>>()
        .join("\n");
    if let Some(more) = patterns.len().checked_sub(SHOWN).filter(|&more| more > 0) {
        text = format!("{text}\nand {more} more");
    }
    text
}

fn engine_text(ruleset: &Ruleset, engine: Engine) -> String {
    let vendor = ruleset.vendor(engine.vendor);
    format!(
        "{} ({}), {}",
        vendor.id, vendor.jurisdiction, engine.relation
    )
}

fn texts<'a>(ruleset: &'a Ruleset, rule: &Rule, wanted: PatternKind) -> Vec<&'a str> {
    (ruleset.all_patterns_of(rule.number))
        .filter(|&(kind, _)| kind == wanted)
        .map(|(_, text)| text)
        .collect()
}

fn rule_json(ruleset: &Ruleset, rule: &Rule) -> serde_json::Value {
    let vendor = ruleset.vendor(rule.vendor);
    let engine = rule.engine.map(|engine| {
        let vendor = ruleset.vendor(engine.vendor);
        serde_json::json!({
            "vendor": vendor.id,
            "jurisdiction": vendor.jurisdiction,
            "relation": engine.relation,
        })
    });
    let date = |date: Option<ValidityDate>| date.map(|date| date.to_string());
    serde_json::json!({
        "id": rule.id,
        "version": rule.version,
        "vendor": vendor.id,
        "jurisdiction": vendor.jurisdiction,
        "product": rule.product,
        "purpose": rule.purpose,
        "serves": rule.serves,
        "engine": engine,
        "indicates": rule.indicates,
        "confidence": rule.confidence,
        "source": rule.source,
        "source_class": rule.source_class,
        "checked": rule.checked.to_string(),
        "valid_from": date(rule.valid_from),
        "valid_until": date(rule.valid_until),
        "ports": rule.ports,
        "protocols": rule.protocols,
        "note": rule.note,
        "patterns": texts(ruleset, rule, PatternKind::Name),
        "user_agents": texts(ruleset, rule, PatternKind::UserAgent),
        "uris": texts(ruleset, rule, PatternKind::Uri),
        "networks": texts(ruleset, rule, PatternKind::Network),
        "asns": texts(ruleset, rule, PatternKind::Asn),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        rules: RulesArgs,
    }

    fn ran(words: &[&str]) -> (String, ExitCode) {
        let line = Line::parse_from([&["rules"], words].concat());
        let mut out = Vec::new();
        let code = run(&line.rules, &mut out).unwrap();
        (String::from_utf8(out).unwrap(), code)
    }

    #[test]
    fn the_built_in_rules_check_and_test_well() {
        for words in [&["check"][..], &["test"][..]] {
            let (text, code) = ran(words);
            assert_eq!(code, ExitCode::SUCCESS, "{text}");
            assert!(text.contains("contradicting: 0"), "{text}");
        }
        assert!(ran(&["test"]).0.contains("unproven: "));
    }

    #[test]
    fn a_broken_file_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acme.toml");
        std::fs::write(
            &path,
            "format = 1\n[vendor]\nid = \"acme\"\nname = \"Acme\"\n",
        )
        .unwrap();
        let (text, code) = ran(&["check", path.to_str().unwrap()]);
        assert_eq!(code, ExitCode::from(UNUSABLE));
        for part in ["acme.toml", "line 4", "`legal_name`"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn a_file_that_claims_a_built_in_name_contradicts() {
        let folder = tempfile::tempdir().unwrap();
        let text = "format = 1\n[vendor]\nid = \"acme\"\nlegal_name = \"Acme\"\njurisdiction = \"CH\"\n\
            [sources.a]\ntitle = \"A\"\n[[rule]]\nid = \"acme.update.a\"\nversion = 1\npurpose = \"update\"\n\
            patterns = [\"kav8.zonealarm.com\"]\nconfidence = \"low\"\nsource = \"a\"\n\
            source_class = \"unverified\"\nchecked = 2026-11-23\n";
        std::fs::write(folder.path().join("acme.toml"), text).unwrap();
        let (text, code) = ran(&["check", folder.path().to_str().unwrap()]);
        assert_eq!(code, ExitCode::FAILURE);
        assert!(text.contains("contradicting: 1"), "{text}");
    }

    #[test]
    fn a_list_has_one_json_object_a_rule() {
        let ruleset = Ruleset::builtin().unwrap();
        let (text, _) = ran(&["list", "--vendor", "checkpoint", "--format", "json"]);
        let rules: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let vendor = ruleset.vendor_by_id("checkpoint").unwrap().number;
        assert_eq!(
            rules.len(),
            ruleset.rules().filter(|rule| rule.vendor == vendor).count()
        );
        let embedded = rules
            .iter()
            .find(|rule| rule["patterns"][0] == "kav8.zonealarm.com")
            .unwrap();
        assert_eq!(embedded["engine"]["vendor"], "kaspersky");
        assert_eq!(embedded["engine"]["jurisdiction"], "RU");
        assert_eq!(embedded["jurisdiction"], "IL");
    }
}
