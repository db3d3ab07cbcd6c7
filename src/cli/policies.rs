//! `avscope policies` in: which policies there are, or one of them whole, out. Also what `replay` judges by.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use comfy_table::{ContentArrangement, Table, presets};

use super::capture_args::load;
use super::rules::ListFormat;
use crate::attribute::Ruleset;
use crate::config::Configuration;
use crate::policy::{Clock, DISCLAIMER, DayKind, Exemption, Organisation, Policies, Policy};

/// List the policies that findings can be judged by, or show one.
#[derive(Debug, Args)]
pub struct PoliciesArgs {
    /// What to do with the policies.
    #[command(subcommand)]
    pub command: PoliciesCommand,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum PoliciesCommand {
    /// List all policies: whom they bind, whether they reach embedded engines, on which days.
    #[command(
        after_help = "Examples:\n  avscope policies list\n  avscope policies list --format json | jq 'select(.in_force)'\n\n\
        A policy is in force if a declared role ([organisation] in the configuration) is one that it binds, if the\n\
        organisation takes it over, or if it is the organisation's own. Not legal advice."
    )]
    List {
        /// A table for people, or one JSON object a line.
        #[arg(long, value_enum, default_value_t = ListFormat::Table)]
        format: ListFormat,
        /// Where own policies and roles come from.
        #[command(flatten)]
        from: From,
    },
    /// Show one policy with everything that it rests on.
    Show {
        /// Its id.
        #[arg(value_name = "ID")]
        id: String,
        /// For people, or as JSON.
        #[arg(long, value_enum, default_value_t = ListFormat::Table)]
        format: ListFormat,
        /// Where own policies and roles come from.
        #[command(flatten)]
        from: From,
    },
}

/// Where policies beside the built-in ones come from.
#[derive(Debug, Args)]
pub struct From {
    /// Folder of rule files; its folder policies adds to the built-in policies or replaces those of the same id.
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,
    /// Configuration file; found as `replay` finds it where not given.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl From {
    /// All policies, and what the organisation says of itself.
    pub fn policies(&self) -> anyhow::Result<(Policies, Organisation)> {
        let configuration = load(self.config.as_deref())?;
        configuration.check()?;
        let rules = match self.rules.as_deref().or(configuration.rules.dir.path()) {
            Some(dir) => Ruleset::with_directory(dir)?,
            None => Ruleset::builtin()?,
        };
        let organisation = configuration.organisation(&[]);
        let all = policies(&configuration, self.rules.as_slice(), &rules, &organisation)?;
        Ok((all, organisation))
    }
}

/// The built-in policies with those of the folder of rules and of the configuration, checked against everything they name.
pub fn policies(
    configuration: &Configuration,
    rules_dirs: &[PathBuf],
    rules: &Ruleset,
    organisation: &Organisation,
) -> anyhow::Result<Policies> {
    let mut all = Policies::builtin()?;
    let configured = configuration.rules.dir.path().map(Path::to_owned);
    let dirs = if rules_dirs.is_empty() {
        configured.as_slice()
    } else {
        rules_dirs
    };
    for dir in dirs {
        all.extend(Policies::read_folder(dir)?)?;
    }
    all.extend(configuration.policies())?;
    all.check_vendors(rules)?;
    let zones = configuration.zones()?;
    let zones: Vec<&str> = zones.iter().map(|zone| zone.name.as_str()).collect();
    all.check_organisation(organisation, &zones)?;
    Ok(all)
}

/// Runs `avscope policies`.
pub fn run(args: &PoliciesArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match &args.command {
        PoliciesCommand::List { format, from } => {
            let (policies, organisation) = from.policies()?;
            list(&policies, &organisation, *format, out)?;
        }
        PoliciesCommand::Show { id, format, from } => {
            let (policies, organisation) = from.policies()?;
            let policy = policies.get(id)?;
            match format {
                ListFormat::Table => show(policy, &organisation, out)?,
                ListFormat::Json => {
                    serde_json::to_writer_pretty(&mut *out, &json(policy, &organisation))?;
                    writeln!(out)?;
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(
    policies: &Policies,
    organisation: &Organisation,
    format: ListFormat,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    if format == ListFormat::Json {
        for policy in policies.iter() {
            serde_json::to_writer(&mut *out, &json(policy, organisation))?;
            writeln!(out)?;
        }
        return Ok(());
    }
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header([
            "policy", "title", "binds", "about", "embedded", "days", "read", "in force",
        ]);
    for policy in policies.iter() {
        table.add_row([
            policy.id.clone(),
            format!("{}\n{}, {}", policy.title, policy.kind, policy.severity()),
            binds(policy),
            subject(policy),
            policy.embedded.to_string(),
            days(policy),
            read(policy),
            in_force(policy, organisation),
        ]);
    }
    writeln!(out, "{table}")?;
    writeln!(
        out,
        "{} policies; digest {}",
        policies.len(),
        policies.digest()
    )?;
    writeln!(out, "{DISCLAIMER}")?;
    Ok(())
}

fn show(policy: &Policy, organisation: &Organisation, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "{}: {}", policy.id, policy.title)?;
    let mut line = |key: &str, text: &str| -> std::io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        writeln!(out, "  {key:<10} {text}")
    };
    line("says", policy.summary.as_deref().unwrap_or_default())?;
    line("kind", policy.kind.as_str())?;
    line("severity", policy.severity().as_str())?;
    line("binds", policy.who.as_deref().unwrap_or_default())?;
    line("roles", &binds(policy).replace('\n', ", "))?;
    line("about", &subject(policy).replace('\n', ", "))?;
    line("also", policy.affiliates.as_deref().unwrap_or_default())?;
    line("embedded", policy.embedded.as_str())?;
    line("services", &joined(policy.purposes.iter()))?;
    line("zones", &policy.zones.join(", "))?;
    line("days", &days(policy).replace('\n', ", "))?;
    for milestone in &policy.milestones {
        line("", &format!("{}: {}", milestone.day, milestone.what))?;
    }
    for exemption in &policy.exemptions {
        line("exempt", &exempted(exemption))?;
    }
    for clock in &policy.clocks {
        line("due", &due(clock))?;
    }
    let condition = policy.condition.iter();
    for question in condition.chain(&policy.questions) {
        line("to answer", question)?;
    }
    line("cite", &policy.cite.join("; "))?;
    line("read", &read(policy))?;
    for fact in &policy.facts {
        let source = fact.source.as_deref().unwrap_or("no source");
        line(
            "fact",
            &format!("[{}] {} ({source})", fact.status, fact.text),
        )?;
    }
    line("in force", &in_force(policy, organisation))?;
    line("file", &policy.place)?;
    writeln!(out, "{DISCLAIMER}")
}

fn binds(policy: &Policy) -> String {
    if policy.binds.is_empty() {
        return "whoever takes it over".to_owned();
    }
    lines(policy.binds.iter())
}

fn subject(policy: &Policy) -> String {
    let seats = match policy.seats.len() {
        0 => String::new(),
        1..=8 => format!("seats {}", joined(policy.seats.iter())),
        many => format!("seats in {many} countries"),
    };
    let engines = policy.engines.iter().map(|id| format!("engines of {id}"));
    let parents = policy.parents.iter().map(|name| format!("owned by {name}"));
    let all = policy.vendors.iter().cloned().chain(parents).chain(engines);
    let all: Vec<String> = all.chain((!seats.is_empty()).then_some(seats)).collect();
    all.join("\n")
}

fn days(policy: &Policy) -> String {
    let from = policy.days.from.map(|day| format!("from {day}"));
    let until = policy.days.until.map(|day| format!("until {day}"));
    let both: Vec<String> = from.into_iter().chain(until).collect();
    both.join("\n")
}

fn read(policy: &Policy) -> String {
    policy
        .status()
        .map_or_else(|| "no facts".to_owned(), |status| status.to_string())
}

fn in_force(policy: &Policy, organisation: &Organisation) -> String {
    organisation
        .basis(policy)
        .map_or_else(|| "no".to_owned(), |basis| format!("yes: {basis}"))
}

fn exempted(exemption: &Exemption) -> String {
    let until = exemption.until.map(|day| format!(" until {day}"));
    let what = exemption.products.join(", ");
    format!("{}{}: {what}", exemption.reason, until.unwrap_or_default())
}

fn due(clock: &Clock) -> String {
    let kind = match clock.kind {
        DayKind::BusinessUsFederal => "business days",
        DayKind::Calendar => "days",
    };
    let until = clock
        .validity
        .until
        .map(|day| format!(" (where that was until {day})"));
    let from = clock.validity.from.map(|day| format!(" (since {day})"));
    format!(
        "{} {kind} after {}: {}{}{}",
        clock.days,
        clock.starts,
        clock.what,
        from.unwrap_or_default(),
        until.unwrap_or_default()
    )
}

fn joined(words: impl Iterator<Item: std::fmt::Display>) -> String {
    words
        .map(|word| word.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

fn lines(words: impl Iterator<Item: std::fmt::Display>) -> String {
    words
        .map(|word| word.to_string())
        .collect::<Vec<_>>()
        .join("\n")
}

fn json(policy: &Policy, organisation: &Organisation) -> serde_json::Value {
    let day = |day: Option<crate::attribute::ValidityDate>| day.map(|day| day.to_string());
    let facts = policy.facts.iter().map(|fact| {
        serde_json::json!({
            "text": fact.text, "about": fact.about, "status": fact.status, "source": fact.source,
        })
    });
    let clocks = policy.clocks.iter().map(|clock| {
        serde_json::json!({
            "what": clock.what, "starts": clock.starts, "days": clock.days, "kind": clock.kind,
            "from": day(clock.validity.from), "until": day(clock.validity.until),
        })
    });
    let milestones = policy.milestones.iter();
    let milestones =
        milestones.map(|one| serde_json::json!({"day": one.day.to_string(), "what": one.what}));
    let exemptions = policy.exemptions.iter();
    let exemptions = exemptions.map(|one| serde_json::json!({"reason": one.reason, "products": one.products, "until": day(one.until)}));
    serde_json::json!({
        "id": policy.id,
        "title": policy.title,
        "summary": policy.summary,
        "kind": policy.kind,
        "severity": policy.severity(),
        "country": policy.country,
        "binds": policy.binds,
        "who": policy.who,
        "vendors": policy.vendors,
        "parents": policy.parents,
        "seats": policy.seats,
        "engines": policy.engines,
        "embedded": policy.embedded,
        "affiliates": policy.affiliates,
        "condition": policy.condition,
        "zones": policy.zones,
        "purposes": policy.purposes,
        "reached_only": policy.reached_only,
        "from": day(policy.days.from),
        "until": day(policy.days.until),
        "questions": policy.questions,
        "cite": policy.cite,
        "read": policy.status(),
        "facts": facts.collect::<Vec<_>>(),
        "clocks": clocks.collect::<Vec<_>>(),
        "milestones": milestones.collect::<Vec<_>>(),
        "exemptions": exemptions.collect::<Vec<_>>(),
        "in_force": organisation.basis(policy),
        "file": policy.place,
    })
}
