//! How avscope does on real captures: names against another tool's, contacts against a truth by hand, and what it cannot place. `make corpus`.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_macros,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a tool for developers that prints tables"
)]

mod attribution;
mod catch_all;
mod compare;
mod replay;
mod second;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use attribution::{Judgement, Score, judge, told, truth};
use avscope::attribute::Ruleset;
use catch_all::{CatchAll, SHARE_MAX};
use clap::Parser;
use compare::{Comparison, KINDS, READ, captures, compare, file_name, is_held_out, percent};
use replay::replay;

/// Plain names that must be found, in percent.
const RECALL_MIN: f64 = 99.5;

/// Compares what avscope says of captures with what others say of them.
#[derive(Debug, Parser)]
#[command(
    after_help = "Beside each capture NAME stands NAME.truth.json. Exit code: 0 if of every kind that is read at least 99.5 % of \
    the plain names are found, no contact is wrong and everything is accounted for, 1 if not; a folder that is not there is \
    SKIPPED, and 1 where AVSCOPE_REQUIRE=all."
)]
struct Arguments {
    /// Folder of captures.
    #[arg(env = "AVSCOPE_CORPUS")]
    folder: Option<PathBuf>,
    /// Kinds of names.
    #[arg(long, value_delimiter = ',', default_values_t = KINDS.map(str::to_owned))]
    kinds: Vec<String>,
    /// Who talks to whom in the captures.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/attribution/corpus.toml"))]
    truth: PathBuf,
    /// Only the totals.
    #[arg(long)]
    brief: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Some(folder) = arguments.folder.as_ref().filter(|folder| folder.is_dir()) else {
        println!("SKIPPED corpus: no folder of real captures; give one, or set AVSCOPE_CORPUS");
        let required = std::env::var("AVSCOPE_REQUIRE").is_ok_and(|what| what == "all");
        return ExitCode::from(u8::from(required));
    };
    ExitCode::from(u8::from(!measure(&arguments, folder)))
}

/// Reads every capture once; gives whether everything is as it must be.
fn measure(arguments: &Arguments, folder: &Path) -> bool {
    let rules = Arc::new(Ruleset::builtin().expect("the built-in rules are valid"));
    let mut by_kind: BTreeMap<&str, Vec<Comparison>> = BTreeMap::new();
    let (mut read, mut contacts) = (BTreeSet::new(), BTreeSet::new());
    let mut catch_all = CatchAll::default();
    let mut unconserved = Vec::new();
    for (capture, truth) in captures(folder).expect("the folder can be read") {
        let name = file_name(&capture);
        let replayed = replay(&capture, &rules);
        for kind in &arguments.kinds {
            let result = compare(&capture, &truth, kind, &replayed);
            by_kind.entry(kind).or_default().push(result);
        }
        contacts.extend(told(&name, &replayed.events));
        catch_all.add(&capture, &replayed.events, !arguments.brief);
        if !replayed.conserved {
            unconserved.push(name.clone());
        }
        read.insert(name);
    }
    let mut good = unconserved.is_empty();
    for (kind, results) in &by_kind {
        good &= show(kind, results, arguments.brief);
    }
    let judgement = judge(&truth(&arguments.truth), &read, &contacts);
    good &= show_contacts(&judgement);
    good &= show_catch_all(&catch_all);
    println!(
        "everything accounted for in {} of {} captures {unconserved:?}",
        read.len() - unconserved.len(),
        read.len()
    );
    good
}

/// Prints one kind; gives whether enough is found.
fn show(kind: &str, all: &[Comparison], brief: bool) -> bool {
    let (unread, read): (Vec<_>, Vec<_>) = all
        .iter()
        .partition(|result| result.unread_link_types.is_some());
    println!("{kind}\n");
    let is_read = READ.contains(&kind);
    if is_read && !brief {
        show_captures(&read);
        show_exceptions(&read);
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
    }
    let held_out: Vec<_> = read
        .iter()
        .copied()
        .filter(|result| is_held_out(&result.capture))
        .collect();
    let others: Vec<_> = read
        .iter()
        .copied()
        .filter(|result| !is_held_out(&result.capture))
        .collect();
    show_recall("held out", &held_out);
    show_recall("others", &others);
    let recall = show_recall("all", &read);
    if !is_read {
        println!("  not read in this version\n");
        return true;
    }
    println!();
    recall >= RECALL_MIN
}

fn show_captures(results: &[&Comparison]) {
    println!(
        "{:58} {:>6} {:>6} {:>6} {:>6}",
        "capture", "truth", "found", "missed", "extra"
    );
    for result in results {
        let (missed, extra) = (result.missed.len(), result.extra.len());
        if result.truth > 0 || extra > 0 {
            println!(
                "{:58} {:>6} {:>6} {missed:>6} {extra:>6}",
                result.capture, result.truth, result.found
            );
        }
    }
}

fn show_exceptions(results: &[&Comparison]) {
    println!("\nevery exception:");
    for result in results {
        for (what, exceptions) in [("missed", &result.missed), ("extra", &result.extra)] {
            for exception in exceptions {
                let (name, source, source_port, destination, destination_port) = &exception.key;
                println!(
                    "  {what} {} frame {}: {name} {source}:{source_port} > {destination}:{destination_port} [{}]\n    {}",
                    result.capture, exception.frame, exception.class, exception.second
                );
            }
        }
    }
}

/// Prints recall over some captures; gives that of the plain names, in percent.
fn show_recall(what: &str, results: &[&Comparison]) -> f64 {
    let truth: usize = results.iter().map(|result| result.truth).sum();
    let found: usize = results.iter().map(|result| result.found).sum();
    let extra: usize = results.iter().map(|result| result.extra.len()).sum();
    let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
    for missed in results.iter().flat_map(|result| &result.missed) {
        *classes.entry(&missed.class).or_default() += 1;
    }
    let plain_missed = classes.get("plain").copied().unwrap_or(0);
    let plain = truth - (classes.values().sum::<usize>() - plain_missed);
    println!(
        "  {what:9} found {found} of {truth} ({:.2} %), {found} of {plain} plain ones ({:.2} %); {extra} beyond; missed by class {classes:?}",
        percent(found, truth),
        percent(found, plain)
    );
    percent(found, plain)
}

/// Prints precision and recall; gives whether nothing that can be read is missed and nothing is wrong.
fn show_contacts(judgement: &Judgement) -> bool {
    println!(
        "contacts with vendors, against the truth by hand\n\n{:20} {:>6} {:>9} {:>6} {:>6} {:>10} {:>8}",
        "", "truth", "readable", "found", "wrong", "precision", "recall"
    );
    let row = |name: &str, score: Score| {
        println!(
            "{name:20} {:>6} {:>9} {:>6} {:>6} {:>9.1}% {:>7.1}%",
            score.truth,
            score.readable,
            score.found,
            score.wrong,
            percent(score.found, score.found + score.wrong),
            percent(score.found, score.truth)
        );
    };
    for (name, score) in judgement.by_vendor.iter().chain(&judgement.by_purpose) {
        row(name, *score);
    }
    row("all", judgement.total());
    println!(
        "traps: {} of {} sprung",
        judgement.traps_sprung, judgement.traps
    );
    for mistake in &judgement.mistakes {
        println!("  {mistake}");
    }
    println!();
    judgement.mistakes.is_empty()
}

/// Prints what is in the catch-all; gives whether it is little enough.
fn show_catch_all(catch_all: &CatchAll) -> bool {
    let share = percent(catch_all.count(), catch_all.flows.max(1));
    println!(
        "flows in the catch-all: {} of {} ({share:.2} %)",
        catch_all.count(),
        catch_all.flows
    );
    let mut causes: Vec<_> = catch_all.caught.iter().collect();
    causes.sort_by_key(|(cause, flows)| (std::cmp::Reverse(**flows), *cause));
    for ((port, second), flows) in causes.iter().take(40) {
        println!("  {flows:>6}  {port:12} {second}");
    }
    let rest: usize = causes.iter().skip(40).map(|(_, flows)| **flows).sum();
    println!("  {rest:>6}  by other causes\n");
    share <= SHARE_MAX
}
