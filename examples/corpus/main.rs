//! How many of the names that another tool found in real captures avscope finds: `make corpus`.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_macros,
    clippy::expect_used,
    reason = "a tool for developers that prints a table"
)]

mod compare;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use avscope::attribute::Ruleset;
use clap::Parser;
use compare::{Comparison, captures, compare, percent};

/// Plain names that must be found, in percent.
const RECALL_MIN: f64 = 99.5;

/// Compares the names that avscope finds with those that another tool found.
#[derive(Debug, Parser)]
#[command(
    after_help = "Beside each capture NAME stands NAME.truth.json. Exit code: 0 if at least 99.5 % of the plain names are \
    found and everything is accounted for, 1 if not; a folder that is not there is SKIPPED, and 1 where AVSCOPE_REQUIRE=all."
)]
struct Arguments {
    /// Folder of captures.
    #[arg(env = "AVSCOPE_CORPUS")]
    folder: Option<PathBuf>,
    /// Kinds of names.
    #[arg(long, value_delimiter = ',', default_value = "tls_sni")]
    kinds: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Some(folder) = arguments.folder.filter(|folder| folder.is_dir()) else {
        println!("SKIPPED corpus: no folder of real captures; give one, or set AVSCOPE_CORPUS");
        let required = std::env::var("AVSCOPE_REQUIRE").is_ok_and(|what| what == "all");
        return ExitCode::from(u8::from(required));
    };
    let captures = captures(&folder).expect("the folder can be read");
    let rules = Arc::new(Ruleset::builtin().expect("the built-in rules are valid"));
    let mut good = true;
    for kind in &arguments.kinds {
        let results: Vec<_> = captures
            .iter()
            .map(|(capture, truth)| compare(capture, truth, kind, &rules))
            .collect();
        good &= show(kind, &results);
    }
    ExitCode::from(u8::from(!good))
}

fn show(kind: &str, all: &[Comparison]) -> bool {
    let (unread, read): (Vec<_>, Vec<_>) = all
        .iter()
        .partition(|result| result.unread_link_types.is_some());
    println!(
        "{kind}\n\n{:58} {:>6} {:>6} {:>6} {:>6}",
        "capture", "truth", "found", "missed", "extra"
    );
    for result in read
        .iter()
        .filter(|result| result.truth > 0 || !result.extra.is_empty())
    {
        let (missed, extra) = (result.missed.len(), result.extra.len());
        println!(
            "{:58} {:>6} {:>6} {missed:>6} {extra:>6}",
            result.capture, result.truth, result.found
        );
    }
    let truth: usize = read.iter().map(|result| result.truth).sum();
    let found: usize = read.iter().map(|result| result.found).sum();
    let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
    println!("\nevery exception:");
    for result in &read {
        for (what, exceptions) in [("missed", &result.missed), ("extra", &result.extra)] {
            for exception in exceptions {
                let (name, source, source_port, destination, destination_port) = &exception.key;
                println!(
                    "  {what} {} frame {}: {name} {source}:{source_port} > {destination}:{destination_port} [{}]\n    {}",
                    result.capture, exception.frame, exception.class, exception.second
                );
                if what == "missed" {
                    *classes.entry(&exception.class).or_default() += 1;
                }
            }
        }
    }
    println!("\nmissed by class: {classes:?}; all but `plain` is not read in this version");
    println!(
        "captures whose link types are not read yet ({}):",
        unread.len()
    );
    for result in &unread {
        let link_types = result.unread_link_types.as_deref().unwrap_or_default();
        println!(
            "  {} {link_types}: {} of {} names",
            result.capture, result.found, result.truth
        );
    }
    let plain_missed = classes.get("plain").copied().unwrap_or(0);
    let beyond: usize = classes.values().sum::<usize>() - plain_missed;
    let plain = truth - beyond;
    let unconserved: Vec<_> = all
        .iter()
        .filter(|result| !result.conserved)
        .map(|result| &result.capture)
        .collect();
    println!(
        "\nfound {found} of {truth} ({:.2} %), {found} of {plain} plain ones ({:.2} %)",
        percent(found, truth),
        percent(found, plain)
    );
    println!(
        "everything accounted for in {} of {} captures {unconserved:?}\n",
        all.len() - unconserved.len(),
        all.len()
    );
    percent(found, plain) >= RECALL_MIN && unconserved.is_empty()
}
