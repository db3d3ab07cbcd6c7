//! `avscope finding` in: what people did about findings into the record, and what is due out. No packet starts a clock.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use comfy_table::{ContentArrangement, Table, presets};

use super::UsageError;
use super::policies::From;
use super::rules::ListFormat;
use crate::attribute::ValidityDate;
use crate::model::printable;
use crate::policy::{
    ClockStart, DISCLAIMER, Deadline, Identified, Policies, Record, RecordError, Recorded,
    deadlines, parse_day,
};

/// Record what people did about findings, and list what is due.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  avscope replay --findings findings.json office.pcap\n  avscope finding list --findings findings.json\n  \
    avscope finding identify 0123456789abcdef --at 2026-11-23 --by \"J. Doe\" --findings findings.json\n  \
    avscope finding report 0123456789abcdef --at 2026-11-25 --findings findings.json\n\n\
    Times that rules give for reports begin when a person identifies a case, never when a packet passes. Business days leave\n\
    out weekends and federal holidays of the United States (5 U.S.C. 6103). Not legal advice."
)]
pub struct FindingArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: FindingCommand,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum FindingCommand {
    /// Record that a person identified a case, and say what is due when.
    Identify {
        /// The finding, as a report names it.
        #[arg(value_name = "ID")]
        id: String,
        /// The day, as in 2026-11-23.
        #[arg(long, value_name = "DATE")]
        at: String,
        /// Who identified it.
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        /// In their words.
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        /// Put it in place of what was recorded before.
        #[arg(long)]
        replace: bool,
        /// The record.
        #[arg(long, value_name = "FILE")]
        findings: PathBuf,
        /// Where policies come from.
        #[command(flatten)]
        from: From,
    },
    /// Record that the first report was sent: what follows counts from it.
    Report {
        /// The finding, as a report names it.
        #[arg(value_name = "ID")]
        id: String,
        /// The day, as in 2026-11-23.
        #[arg(long, value_name = "DATE")]
        at: String,
        /// The record.
        #[arg(long, value_name = "FILE")]
        findings: PathBuf,
        /// Where policies come from.
        #[command(flatten)]
        from: From,
    },
    /// List recorded findings: who identified them, and what is due.
    List {
        /// A table for people, or one JSON object a line.
        #[arg(long, value_enum, default_value_t = ListFormat::Table)]
        format: ListFormat,
        /// The record.
        #[arg(long, value_name = "FILE")]
        findings: PathBuf,
        /// Where policies come from.
        #[command(flatten)]
        from: From,
    },
}

/// Runs `avscope finding`.
pub fn run(args: &FindingArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match &args.command {
        FindingCommand::Identify {
            id,
            at,
            by,
            note,
            replace,
            findings,
            from,
        } => {
            let day = given_day(at)?;
            change(findings, id, from, out, |recorded| {
                if let Some(before) = &recorded.identified
                    && !replace
                {
                    anyhow::bail!(
                        "{id} is recorded as identified on {}; --replace puts this in its place",
                        before.at
                    );
                }
                recorded.identified = Some(Identified {
                    at: day.to_string(),
                    by: by.clone(),
                    note: note.clone(),
                    reported_at: None,
                });
                Ok(())
            })
        }
        FindingCommand::Report {
            id,
            at,
            findings,
            from,
        } => {
            let day = given_day(at)?;
            change(findings, id, from, out, |recorded| {
                let Some(identified) = &mut recorded.identified else {
                    anyhow::bail!(
                        "{id} is not recorded as identified: avscope finding identify {id} --at DATE comes first"
                    );
                };
                let identified_at = parse_day(&identified.at)?;
                anyhow::ensure!(
                    identified_at <= day,
                    "a report of {day} cannot be about what was identified on {identified_at}"
                );
                identified.reported_at = Some(day.to_string());
                Ok(())
            })
        }
        FindingCommand::List {
            format,
            findings,
            from,
        } => {
            let record = Record::read(findings)?;
            let (policies, _) = from.policies()?;
            list(&record, &policies, *format, out)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn given_day(text: &str) -> anyhow::Result<ValidityDate> {
    Ok(parse_day(text).map_err(|error| UsageError(format!("--at: {error}")))?)
}

/// Changes one finding of the record and says what is due.
fn change(
    path: &Path,
    id: &str,
    from: &From,
    out: &mut dyn Write,
    change: impl FnOnce(&mut Recorded) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let mut record = Record::read(path)?;
    let Some(recorded) = record.findings.get_mut(id) else {
        return Err(RecordError::NoFinding {
            path: path.to_owned(),
            id: id.to_owned(),
        }
        .into());
    };
    change(recorded)?;
    let recorded = recorded.clone();
    let (policies, _) = from.policies()?;
    let due = due(&recorded, &policies)?;
    record.write(path)?;
    writeln!(out, "{id}: {} on {}", recorded.policy, who(&recorded))?;
    if let Some(identified) = &recorded.identified {
        writeln!(out, "  identified on {}", identified.at)?;
    }
    if due.is_empty() {
        writeln!(out, "  the policy gives no time for reports")?;
    }
    for deadline in &due {
        writeln!(out, "  {}", due_text(deadline))?;
    }
    writeln!(out, "{DISCLAIMER}")?;
    Ok(ExitCode::SUCCESS)
}

/// What is due; nothing before a person has identified the case.
fn due(recorded: &Recorded, policies: &Policies) -> anyhow::Result<Vec<Deadline>> {
    let Some(identified) = &recorded.identified else {
        return Ok(Vec::new());
    };
    let policy = policies.get(&recorded.policy).with_context(|| {
        format!(
            "the finding is under {}; name the rules or the configuration that it comes from",
            recorded.policy
        )
    })?;
    Ok(deadlines(policy, identified)?)
}

fn due_text(deadline: &Deadline) -> String {
    let latest = if deadline.settled {
        "by"
    } else {
        "at the latest, if the first report is made on its last day, by"
    };
    format!("{latest} {}: {}", deadline.day, deadline.what)
}

/// Host, vendor and engine. The file is of people's hands too: nothing in it may move a cursor.
fn who(recorded: &Recorded) -> String {
    let engine = recorded.engine.as_deref();
    let engine = engine.map(|engine| format!(" with an engine of {engine}"));
    let text = format!(
        "{}: {}{}",
        recorded.host,
        recorded.vendor,
        engine.unwrap_or_default()
    );
    printable(text.as_bytes()).into_owned()
}

fn list(
    record: &Record,
    policies: &Policies,
    format: ListFormat,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header([
            "finding",
            "policy",
            "result",
            "host",
            "seen",
            "identified",
            "due",
        ]);
    for (id, recorded) in &record.findings {
        // A policy that is gone since has no clocks that could be counted; the finding is listed all the same.
        let due = due(recorded, policies);
        if format == ListFormat::Json {
            let dates = due.unwrap_or_default();
            let dates = dates.iter().map(|one| {
                serde_json::json!({"what": one.what, "day": one.day.to_string(), "settled": one.settled})
            });
            let line = serde_json::json!({"id": id, "finding": recorded, "due": dates.collect::<Vec<_>>()});
            serde_json::to_writer(&mut *out, &line)?;
            writeln!(out)?;
            continue;
        }
        let identified = recorded.identified.as_ref().map(|identified| {
            let by = identified.by.iter().map(|by| format!("\nby {by}"));
            let reported = identified.reported_at.iter();
            let reported = reported.map(|day| format!("\n{}: {day}", ClockStart::FirstReport));
            let text = format!(
                "{}{}",
                identified.at,
                by.chain(reported).collect::<String>()
            );
            text.lines()
                .map(|line| printable(line.as_bytes()).into_owned())
                .collect::<Vec<_>>()
                .join("\n")
        });
        let due = match due {
            Ok(due) => due.iter().map(due_text).collect::<Vec<_>>().join("\n"),
            Err(error) => format!("{error:#}"),
        };
        table.add_row([
            id.clone(),
            recorded.policy.clone(),
            recorded.result.to_string(),
            who(recorded),
            format!("{}\n{}", recorded.first_seen, recorded.last_seen),
            identified.unwrap_or_else(|| "no".to_owned()),
            due,
        ]);
    }
    if format == ListFormat::Table {
        writeln!(out, "{table}")?;
        writeln!(out, "{} findings. {DISCLAIMER}", record.findings.len())?;
    }
    Ok(())
}
