//! `avscope rules import` in: what would become of a list, and with `--write` the rule files, out.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use sha2::{Digest as _, Sha256};

use super::export::{day, write_whole};
use super::write_findings;
use crate::attribute::check::check_files;
use crate::attribute::{RuleFiles, SourceFile, ValidityDate};
use crate::exchange::bundle::hex;
use crate::exchange::csv::kind_word;
use crate::exchange::import::{self, Candidate, Options, Plan, Read};
use crate::model::{Confidence, CountryCode, Purpose, SourceClass, printable};

/// Lists that are read: a public list of a million names has some 30 MB.
const LIST_BYTES_MAX: u64 = 64 << 20;

/// Read a list of others into rule files of your own.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  avscope rules import --format csv names.csv --into rules-local/ --vendor acme --legal-name \"Acme Ltd.\" --seat CH\n  \
    avscope rules import --format stix bundle.json --into rules-local/ --vendor kaspersky --write\n\n\
    A list is hearsay: what it says is of class list or unverified, and of low confidence unless a confidence is given. Names that rules must\n\
    not claim, zones in which anybody can have a name, and names of other vendors' rules are refused.\n\
    Exit code: 0 if something was or would be added, or is known already; 1 if everything was refused or nothing was understood."
)]
pub struct ImportArgs {
    /// The list.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Its format.
    #[arg(long, value_enum)]
    pub format: ImportFormat,

    /// Folder of your own rule files, as for --rules.
    #[arg(long, value_name = "DIR")]
    pub into: PathBuf,

    /// Whose the values are, where the list does not say; else only those of this vendor. May be repeated.
    #[arg(long = "vendor", value_name = "ID")]
    pub vendors: Vec<String>,

    /// Registered name of a vendor that is not known yet.
    #[arg(long, value_name = "NAME")]
    pub legal_name: Option<String>,

    /// Country of the legal seat of a vendor that is not known yet, as in CH.
    #[arg(long, value_name = "COUNTRY")]
    pub seat: Option<CountryCode>,

    /// What the endpoints serve, where the list does not say.
    #[arg(long, value_name = "WORD", default_value = "unknown")]
    pub purpose: Purpose,

    /// How sure the facts are, whatever the list says. Default: what the list says, else low.
    #[arg(long, value_name = "LEVEL")]
    pub confidence: Option<Confidence>,

    /// What the facts rest on: list, or unverified, which never tells more than low.
    #[arg(long, value_name = "CLASS", default_value = "list", value_parser = source_class)]
    pub source_class: SourceClass,

    /// What to cite. Default: what the list calls itself, else the name of the file.
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,

    /// The day on which the list was looked at. Default: today.
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub checked: Option<ValidityDate>,

    /// Write the files.
    #[arg(long)]
    pub write: bool,

    /// Replace files that are there; what is in them is kept, and the list is added to it.
    #[arg(long, requires = "write")]
    pub force: bool,
}

/// Formats of lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ImportFormat {
    /// MISP JSON: events, or a warning list.
    Misp,
    /// A bundle of STIX 2.1 with indicators.
    Stix,
    /// A table with a header, or one value a line.
    Csv,
}

/// Runs `avscope rules import`.
pub fn run(args: &ImportArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let text = text_of(&args.file)?;
    let read = match args.format {
        ImportFormat::Misp => import::misp::read(&text),
        ImportFormat::Stix => import::stix::read(&text),
        ImportFormat::Csv => import::csv::read(&text),
    };
    let read = read.with_context(|| format!("{}", args.file.display()))?;
    let options = options(args, &read, &text);
    let passed = read.passed.clone();
    let base = base(&args.into)?;
    let plan = Plan::of(read, &base, &options)?;
    let files = import::files(&plan, &base, &options);
    show(&plan, &passed, out)?;
    let useful = plan.added_count() + plan.covered.len() > 0;
    if files.is_empty() {
        writeln!(out, "nothing to write")?;
        return Ok(if useful {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        });
    }
    // What is written must be what is read afterwards.
    let own = files
        .iter()
        .map(|(name, text)| SourceFile::parse(&args.into.join(name).to_string_lossy(), text));
    let own = own.collect::<Result<Vec<_>, _>>()?;
    let report = check_files(&base.clone().overridden_by(own)?)?;
    if !report.passed() {
        for (word, findings) in report.failures() {
            write_findings(word, findings, out)?;
        }
        anyhow::bail!("the rules would contradict; nothing was written");
    }
    write_files(args, &files, &base, out)?;
    Ok(ExitCode::SUCCESS)
}

fn write_files(
    args: &ImportArgs,
    files: &std::collections::BTreeMap<String, String>,
    base: &RuleFiles,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    for name in files.keys() {
        let path = args.into.join(name);
        let there = path.exists();
        anyhow::ensure!(
            !(there && args.write && !args.force),
            "{}: is there already; nothing was written; --force adds to it",
            path.display()
        );
        let vendor = name.trim_end_matches(".toml");
        let builtin = base.files().iter().any(|file| file.vendor_id() == vendor);
        let how = match (there, builtin) {
            (true, _) => "what is in it is kept",
            (false, true) => {
                "a copy of what is built in, which it replaces from then on, and the list"
            }
            (false, false) => "a new vendor",
        };
        let will = if args.write {
            "written"
        } else {
            "would be written"
        };
        writeln!(out, "{will}: {} ({how})", path.display())?;
    }
    if !args.write {
        writeln!(out, "nothing was written: --write does it")?;
        return Ok(());
    }
    std::fs::create_dir_all(&args.into)
        .with_context(|| format!("{}: cannot create the folder", args.into.display()))?;
    for (name, text) in files {
        write_whole(&args.into.join(name), text.as_bytes())?;
    }
    Ok(())
}

/// What the rules are before: the built-in ones, and those of the folder, where there are any.
fn base(into: &Path) -> anyhow::Result<RuleFiles> {
    let builtin = RuleFiles::builtin()?;
    match RuleFiles::folder(into) {
        Ok(own) => Ok(builtin.overridden_by(own.files().to_vec())?),
        Err(crate::attribute::RulesError::NoRuleFiles { .. }) => Ok(builtin),
        Err(crate::attribute::RulesError::Unreadable { reason, .. })
            if reason.kind() == std::io::ErrorKind::NotFound =>
        {
            Ok(builtin)
        }
        Err(error) => Err(error.into()),
    }
}

fn text_of(path: &Path) -> anyhow::Result<String> {
    let file =
        std::fs::metadata(path).with_context(|| format!("{}: cannot read", path.display()))?;
    anyhow::ensure!(
        file.len() <= LIST_BYTES_MAX,
        "{}: larger than {LIST_BYTES_MAX} bytes; cut it into pieces",
        path.display()
    );
    std::fs::read_to_string(path).with_context(|| format!("{}: cannot read", path.display()))
}

fn options(args: &ImportArgs, read: &Read, text: &str) -> Options {
    let name = args.file.file_name().unwrap_or_default().to_string_lossy();
    let title = args
        .title
        .as_deref()
        .or(read.title.as_deref())
        .unwrap_or(&name);
    let digest = Sha256::digest(text.as_bytes());
    let sha256 = hex(&digest);
    let checked = args.checked.unwrap_or_else(today);
    Options {
        vendors: args.vendors.clone(),
        legal_name: args.legal_name.clone(),
        seat: args.seat,
        purpose: args.purpose,
        confidence: args.confidence,
        source_class: args.source_class,
        title: printable(title.trim().as_bytes()).into_owned(),
        version: format!("imported {checked}, SHA-256 {sha256}"),
        checked,
    }
}

/// Candidates of each kind that are listed.
const SHOWN_MAX: usize = 20;

fn show(
    plan: &Plan,
    passed: &std::collections::BTreeMap<String, u64>,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    writeln!(out, "added: {}", plan.added_count())?;
    for (vendor, added) in &plan.added {
        for pattern in added.iter().take(SHOWN_MAX) {
            let group = &pattern.group;
            writeln!(
                out,
                "  {vendor}: {} {} ({}, indicates {}, {} confidence)",
                kind_word(pattern.kind),
                printable(pattern.text.as_bytes()),
                group.purpose,
                group.indicates,
                group.confidence
            )?;
        }
        more(added.len(), out)?;
    }
    writeln!(out, "already covered: {}", plan.covered.len())?;
    for (candidate, by) in plan.covered.iter().take(SHOWN_MAX) {
        writeln!(out, "  {}: {by}", words(candidate))?;
    }
    more(plan.covered.len(), out)?;
    writeln!(out, "refused: {}", plan.refused.len())?;
    for refused in plan.refused.iter().take(SHOWN_MAX) {
        let reason = printable(refused.reason.as_bytes());
        writeln!(out, "  {}: {reason}", words(&refused.candidate))?;
    }
    more(plan.refused.len(), out)?;
    writeln!(out, "not understood: {}", passed.values().sum::<u64>())?;
    for (reason, count) in passed {
        writeln!(out, "  {count} {}", printable(reason.as_bytes()))?;
    }
    Ok(())
}

fn words(candidate: &Candidate) -> String {
    let at = printable(candidate.at.as_bytes());
    let text = printable(candidate.text.as_bytes());
    format!("{at}, {} {text}", kind_word(candidate.kind))
}

fn more(count: usize, out: &mut dyn Write) -> std::io::Result<()> {
    match count.checked_sub(SHOWN_MAX) {
        None | Some(0) => Ok(()),
        Some(more) => writeln!(out, "  and {more} more"),
    }
}

fn source_class(text: &str) -> Result<SourceClass, String> {
    match text {
        "list" => Ok(SourceClass::List),
        "unverified" => Ok(SourceClass::Unverified),
        _ => Err(
            "a list is of class list or unverified; write other facts into a rule file by hand"
                .to_owned(),
        ),
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the day on which somebody looked at a list is a day of this world, not of a capture"
)]
fn today() -> ValidityDate {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    ValidityDate::of_unix_seconds(now.map_or(0, |since| since.as_secs()))
}
