//! `avscope extract`: captures and the name of an exposure or a flow in; the very packets that show it out, as a capture.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{ArgGroup, Args};

use super::capture_args::{CaptureArgs, LedgerSink, SinkFn, refuse_to_overwrite, report_inputs};
use super::{EXIT_ERROR, EXIT_INPUT_INCOMPLETE, EXIT_OK};
use crate::aggregate::{EventRef, ExposureKey, Host, Ledger};
use crate::attribute::{RuleId, Ruleset};
use crate::config::Configuration;
use crate::geo::{Countries, OperatorTable};
use crate::pipeline::{FlowLocator, FragmentFinder, Settings};
use crate::report::exposure_id;
use crate::store::PacketWriter;

/// Cut the packets that show an exposure or a flow out of captures.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("what").required(true).args(["exposure", "flow"])),
    after_help = "Examples:\n  avscope replay --format json office.pcap | jq -r '.exposures[] | [.id, .host, .vendor] | @tsv'\n  \
    avscope extract --exposure 1f3870be274f6c49 -w proof.pcapng office.pcap\n  \
    avscope extract --flow 8443212291177339 --whole-flows -w flow.pcapng office.pcap\n\n\
    Give the same captures and options as to replay: the identifiers depend on them.\n\
    The captures are read twice, once to find out which packets and once to copy them; once more for whole flows, and where there are IP fragments.\n\
    Exit code: 0 if packets were written, 1 if nothing has that identifier, 4 if part of the input could not be read."
)]
pub struct ExtractArgs {
    /// Captures and how to read them.
    #[command(flatten)]
    pub captures: CaptureArgs,

    /// Identifier of an exposure, as in the field id of the JSON report.
    #[arg(long, value_name = "ID")]
    pub exposure: Option<String>,

    /// Identifier of a flow, as in the field flow_id of events.
    #[arg(long, value_name = "ID")]
    pub flow: Option<u64>,

    /// The capture to write, as pcapng; - is standard output.
    #[arg(short = 'w', long = "write", value_name = "FILE|-")]
    pub write: PathBuf,

    /// All packets of all flows that add to the exposure: contacts, questions for its names and what its bytes were counted of. Without it,
    /// of the flows that are listed as evidence the packets up to the one that completes it. With --flow it changes nothing.
    #[arg(long)]
    pub whole_flows: bool,
}

/// Runs the command.
pub fn run(args: &ExtractArgs) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        args.captures
            .paths
            .iter()
            .all(|path| path.as_os_str() != "-"),
        "standard input cannot be read twice: give a file"
    );
    refuse_output(args)?;
    let configuration = args.captures.configuration(&args.captures.flags())?;
    let rules = args.captures.ruleset(&configuration)?;
    let settings = super::capture_args::settings(&configuration, rules)?;
    let (locator, frames, incomplete) = find(args, &configuration, &settings)?;
    let Some(locator) = locator else {
        let _ = writeln!(
            std::io::stderr(),
            "avscope: nothing in these captures has that identifier; give the captures and options that the report was made with"
        );
        return Ok(ExitCode::from(EXIT_ERROR));
    };
    let written =
        copy(args, &configuration, &locator, &frames).context("cannot write the packets")?;
    if locator.has_refused() {
        let _ = writeln!(
            std::io::stderr(),
            "avscope: there are more flows than can be found again: only the first {} are written, cut the captures by time to get the rest",
            locator.len()
        );
    }
    let _ = writeln!(
        std::io::stderr(),
        "avscope: {written} packets of {} flows written to {}",
        locator.len(),
        args.write.display()
    );
    Ok(ExitCode::from(if incomplete {
        EXIT_INPUT_INCOMPLETE
    } else {
        EXIT_OK
    }))
}

/// Before anything is read: reading takes long, and an output that cannot be is known at once.
fn refuse_output(args: &ExtractArgs) -> anyhow::Result<()> {
    if args.write.as_os_str() == "-" {
        anyhow::ensure!(
            !std::io::stdout().is_terminal(),
            "a capture is not for a terminal: name a file, or redirect"
        );
        return Ok(());
    }
    refuse_to_overwrite(&args.write, &args.captures.paths, "--write")
}

/// Flows to cut out, and single frames that prove something about them.
type Found = (Option<FlowLocator>, BTreeSet<u64>, bool);

/// Knows the exposure asked for by the hosts and rules that lead to it.
struct Wanted<'a> {
    id: &'a str,
    rules: &'a Ruleset,
    sites: Vec<String>,
    /// As many as the exposures themselves keep: naming one takes a hash, and most flows lead to the same few.
    known: HashMap<(Host, RuleId), bool>,
}

impl Wanted<'_> {
    /// Whether the event that the ledger has just heard added to the exposure.
    fn is_touched(&mut self, ledger: &Ledger) -> bool {
        let mut found = false;
        for (host, rule) in ledger.exposures().touched() {
            found |= *self.known.entry((*host, *rule)).or_insert_with(|| {
                let key = ExposureKey::of(*host, *rule, self.rules);
                exposure_id(&key, self.rules, &self.sites) == self.id
            });
        }
        found
    }
}

/// First reading: which packets are wanted?
fn find(
    args: &ExtractArgs,
    configuration: &Configuration,
    settings: &Settings,
) -> anyhow::Result<Found> {
    let operators = Arc::new(OperatorTable::builtin()?);
    let mut ledger = Ledger::new(
        Arc::clone(&settings.rules),
        Arc::new(Countries::Embedded),
        operators,
        Arc::clone(&settings.home),
        &settings.ledger,
    );
    let mut locator = FlowLocator::default();
    let mut frames = BTreeSet::new();
    let source = args.captures.source(configuration)?;
    // The samples of an exposure are the first sighting of each name: its further flows are known only while they pass.
    let wanted = args.exposure.as_deref().filter(|_| args.whole_flows);
    let mut wanted = wanted.map(|id| Wanted {
        id,
        rules: &settings.rules,
        sites: source.sites().to_vec(),
        known: HashMap::new(),
    });
    let run = args.captures.read(
        source,
        settings,
        &mut LedgerSink {
            ledger: &mut ledger,
            also: |event: EventRef<'_>, ledger: &Ledger| {
                if let EventRef::Opened(opened) = event
                    && args.flow == Some(opened.id.0)
                {
                    locator.want(opened.key, opened.frame.seq, u64::MAX);
                }
                if wanted
                    .as_mut()
                    .is_some_and(|wanted| wanted.is_touched(ledger))
                {
                    let (key, first_seq) = event.flow();
                    locator.want(key, first_seq, u64::MAX);
                }
                Ok(())
            },
        },
    )?;
    if let Some(id) = &args.exposure {
        for (key, exposure) in ledger.exposures().iter() {
            if exposure_id(key, &settings.rules, run.source.sites()) != *id {
                continue;
            }
            for sample in &exposure.samples {
                frames.insert(sample.frame.seq);
                let last = if args.whole_flows {
                    u64::MAX
                } else {
                    // What was learnt beside a flow came before it: the packet that opened it is the contact.
                    sample.frame.seq.max(sample.first_seq)
                };
                locator.want(sample.key, sample.first_seq, last);
            }
        }
    }
    if locator.is_unbounded() {
        // Second reading: a later flow between the same ends is another flow.
        args.captures.read(
            args.captures.source_again(configuration)?,
            settings,
            &mut SinkFn(|event: EventRef<'_>| {
                if let EventRef::Opened(opened) = event {
                    locator.other_opened(&opened.key, opened.frame.seq);
                }
                Ok(())
            }),
        )?;
    }
    if !locator.is_empty() && run.outcome.frames.fragments > 0 {
        let mut finder = FragmentFinder::new(settings);
        args.captures
            .each_frame(configuration, |descriptor, frame| {
                finder.look(&locator, descriptor, frame);
                Ok(())
            })?;
        frames.extend(finder.into_frames());
    }
    let incomplete = report_inputs(&run);
    let found = !locator.is_empty();
    Ok((found.then_some(locator), frames, incomplete))
}

/// Last reading: the packets are copied as they were captured.
fn copy(
    args: &ExtractArgs,
    configuration: &Configuration,
    locator: &FlowLocator,
    frames: &BTreeSet<u64>,
) -> anyhow::Result<u64> {
    let out: Box<dyn Write> = if args.write.as_os_str() == "-" {
        Box::new(std::io::stdout().lock())
    } else {
        let file = File::create(&args.write)
            .with_context(|| format!("cannot create {}", args.write.display()))?;
        Box::new(file)
    };
    let mut writer = PacketWriter::new(BufWriter::new(out))?;
    args.captures
        .each_frame(configuration, |descriptor, frame| {
            if frames.contains(&descriptor.seq) || locator.wants(descriptor, frame) {
                writer.packet(
                    descriptor.link_type.0,
                    descriptor.timestamp,
                    descriptor.wire_len,
                    frame,
                    &format!("seq {}", descriptor.seq),
                )?;
            }
            Ok(())
        })?;
    let written = writer.written();
    writer.finish()?;
    Ok(written)
}
