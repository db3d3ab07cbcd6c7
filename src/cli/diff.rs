//! `avscope diff`: captures and two rule sets in; which flows, questions and exposures the second judges otherwise, out.
//!
//! The captures are read twice, once by each rule set, as `replay` reads them: a rule set decides in the data path.

use std::collections::HashMap;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::capture_args::{CaptureArgs, LedgerSink, RedactArgs, Run, report_inputs};
use super::difference::{Difference, Pass, Side, Subject, Verdict};
use super::difference_table::write_table;
use super::replay::style;
use super::{EXIT_ERROR, EXIT_INPUT_INCOMPLETE, EXIT_OK, UsageError};
use crate::aggregate::{EventRef, EventRun, Judgement, Ledger};
use crate::attribute::Ruleset;
use crate::config::{Configuration, Flags};
use crate::flow::FlowId;
use crate::geo::{Countries, OperatorTable};
use crate::model::{printable, redacted};
use crate::report::ExposureView;

/// Compare what two rule sets make of captures.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  avscope diff --rules builtin --rules my-rules/ office.pcap\n  \
    avscope diff --rules /var/lib/avscope/rules/previous --rules /var/lib/avscope/rules/current --exit-code office.pcap\n\n\
    --rules is given twice: the rules before and after; builtin stands for the built-in rules alone, a folder for what replay makes of it.\n\
    Exit code: 0; with --exit-code 1 if anything is judged otherwise. 4 if part of the input could not be read, 1 if none could."
)]
pub struct DiffArgs {
    /// Captures and how to read them.
    #[command(flatten)]
    pub captures: CaptureArgs,

    /// How the differences are written.
    #[arg(long, value_enum, default_value_t = DiffFormat::Table)]
    pub format: DiffFormat,

    /// End with 1 where anything is judged otherwise.
    #[arg(long)]
    pub exit_code: bool,

    /// Attributed flows and questions remembered for the comparison; more end the command.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 4_000_000,
        hide_short_help = true
    )]
    pub attributed_max: usize,

    /// Whether identifiers are taken out of what is written.
    #[command(flatten)]
    pub redaction: RedactArgs,
}

/// How the differences are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DiffFormat {
    /// For people.
    Table,
    /// One document, everything in it.
    Json,
}

/// The word for the built-in rules alone.
const BUILTIN: &str = "builtin";

/// Runs the command.
pub fn run(args: &DiffArgs) -> anyhow::Result<ExitCode> {
    let [before, after] = args.captures.rules.as_slice() else {
        let message = "give --rules twice: before and after; builtin stands for the built-in rules";
        return Err(UsageError(message.to_owned()).into());
    };
    if args
        .captures
        .paths
        .iter()
        .any(|path| path.as_os_str() == "-")
    {
        let message = "captures are read twice, and standard input can be read once; name files";
        return Err(UsageError(message.to_owned()).into());
    }
    let flags = Flags {
        redact: args.redaction.given(),
        ..args.captures.flags()
    };
    let configuration = args.captures.configuration(&flags)?;
    // Both are looked at before hours of reading.
    let rules = [ruleset(before)?, ruleset(after)?];
    let [first, second] = rules.map(|rules| pass(args, &configuration, &rules));
    let ((first, _), (second, run)) = (first?, second?);
    let incomplete = report_inputs(&run);
    let sides = [side(before, &first), side(after, &second)];
    let difference = Difference::of(sides, &first, &second);
    let mut out = BufWriter::new(std::io::stdout().lock());
    match args.format {
        DiffFormat::Table => write_table(
            &difference,
            style(std::io::stdout().is_terminal()),
            &mut out,
        )?,
        DiffFormat::Json => {
            serde_json::to_writer_pretty(&mut out, &difference)?;
            out.write_all(b"\n")?;
        }
    }
    out.flush().context("cannot write the differences")?;
    let nothing_read = incomplete && run.outcome.frames.frames == 0;
    let differs = args.exit_code && !difference.is_empty();
    Ok(ExitCode::from(
        match (nothing_read || differs, incomplete) {
            (true, _) => EXIT_ERROR,
            (false, true) => EXIT_INPUT_INCOMPLETE,
            (false, false) => EXIT_OK,
        },
    ))
}

fn ruleset(path: &Path) -> anyhow::Result<Arc<Ruleset>> {
    let rules = if path.as_os_str() == BUILTIN {
        Ruleset::builtin()
    } else {
        Ruleset::with_directory(path)
    };
    let rules = rules.with_context(|| format!("cannot use the rules in {}", path.display()))?;
    Ok(Arc::new(rules))
}

fn side(path: &Path, pass: &Pass) -> Side {
    Side {
        rules: path.to_string_lossy().into_owned(),
        ruleset: pass.ruleset.clone(),
    }
}

/// Reads everything by one rule set.
fn pass(
    args: &DiffArgs,
    configuration: &Configuration,
    rules: &Arc<Ruleset>,
) -> anyhow::Result<(Pass, Run)> {
    let mut settings = configuration.settings(Arc::clone(rules))?;
    settings.hello_details = false;
    let geoip = configuration.geoip.file.path();
    let mut ledger = Ledger::new(
        Arc::clone(rules),
        Arc::new(Countries::from_file_or_embedded(geoip)?),
        Arc::new(OperatorTable::builtin()?),
        Arc::clone(&settings.home),
        &settings.ledger,
    );
    let source = args.captures.source(configuration)?;
    let mut listener = Listener {
        rules,
        redact: configuration.output.redact.value,
        most: args.attributed_max,
        refused: false,
        names: HashMap::new(),
        verdicts: HashMap::new(),
        pass: Pass::default(),
    };
    let run = args.captures.read(
        source,
        &settings,
        &mut LedgerSink {
            ledger: &mut ledger,
            also: |event: EventRef<'_>, ledger: &Ledger| {
                listener.event(event, ledger.judgement());
                Ok(())
            },
        },
    )?;
    anyhow::ensure!(
        !listener.refused,
        "more than {} attributed flows and questions cannot be compared; raise --attributed-max, some 100 bytes each, or read fewer captures",
        args.attributed_max
    );
    let mut pass = listener.pass;
    rules.digest().clone_into(&mut pass.ruleset);
    let sites = run.source.sites();
    let exposures = ledger.exposures();
    for (key, exposure) in exposures.iter() {
        let view = ExposureView::of(key, exposure, exposures, rules, ledger.zones(), sites);
        pass.exposures.insert(view.id.clone(), view);
    }
    Ok((pass, run))
}

/// Remembers what became of each flow and question.
struct Listener<'a> {
    rules: &'a Ruleset,
    redact: bool,
    most: usize,
    refused: bool,
    names: HashMap<Vec<u8>, u32>,
    verdicts: HashMap<Verdict, u32>,
    pass: Pass,
}

impl Listener<'_> {
    fn event(&mut self, event: EventRef<'_>, judgement: &Judgement) {
        match event {
            EventRef::Reported(reported, _) if reported.last => {
                self.pass.flows += 1;
                let FlowId(id) = reported.record.id;
                let subject = Subject::flow(id, reported.record.first_seq);
                self.note(subject, judgement, reported.record.total.bytes);
            }
            EventRef::Dns(transaction, run) => {
                self.pass.questions += 1;
                let frames = [transaction.query, transaction.response];
                let [query, response] =
                    frames.map(|frame| frame.map_or(u64::MAX, |frame| frame.seq));
                let name: &[u8] = EventRun::text(run, transaction.name);
                let subject = Subject::question(query, response, transaction.id, name);
                self.note(subject, judgement, [0; 2]);
            }
            _ => {}
        }
    }

    fn note(&mut self, subject: Subject, judgement: &Judgement, bytes: [u64; 2]) {
        let Some(fact) = judgement.deciding() else {
            return;
        };
        let Some(verdict) = Verdict::of(fact, self.rules) else {
            return;
        };
        if self.pass.judged.len() >= self.most {
            self.refused = true;
            return;
        }
        let text = judgement.text(fact);
        let name = if let Some(name) = self.names.get(text) {
            *name
        } else {
            let shown = printable(text);
            let shown = if self.redact {
                redacted(fact.kind, shown)
            } else {
                shown
            };
            let number = self.pass.names.len() as u32;
            self.pass.names.push(shown.into_owned());
            self.names.insert(text.to_vec(), number);
            number
        };
        let next = self.pass.verdicts.len() as u32;
        let verdict = *self.verdicts.entry(verdict).or_insert_with_key(|verdict| {
            self.pass.verdicts.push(verdict.clone());
            next
        });
        self.pass.judged.insert(subject, (verdict, name, bytes));
    }
}
