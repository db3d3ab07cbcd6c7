//! What `replay` and `names` share: the captures, and how they are read.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;

use super::progress::{Progress, Watched};
use crate::aggregate::{EventRef, HomeHint, ProposedHome};
use crate::attribute::Ruleset;
use crate::capture::{CaptureFiles, Compression, DamageKind, FileReport, InputOptions, sha256_of};
use crate::config::{self, Limits};
use crate::model::printable;
use crate::pipeline::{self, EventSink, Outcome, Settings};

/// Captures and how to read them.
#[derive(Debug, Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is an option of the command line"
)]
pub struct CaptureArgs {
    /// Captures (pcap or pcapng, plain, gzip or zstd) or folders of them, read together as one input; - is standard input.
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,

    /// A network of yours, as in 203.0.113.0/24; may be repeated. Replaces the default: private addresses of IPv4 and IPv6.
    #[arg(long = "home-net", value_name = "NETWORK")]
    pub home_networks: Vec<String>,

    /// Name of the site where everything was captured.
    #[arg(long, value_name = "NAME", conflicts_with = "site_from_path")]
    pub site: Option<String>,

    /// Each capture's folder names its site: the same address at two sites is two hosts.
    #[arg(long)]
    pub site_from_path: bool,

    /// Each capture is a world of its own: own time, own flows, own site unless one is given.
    #[arg(long)]
    pub isolate: bool,

    /// Folder of rule files that add to the built-in rules or replace those of the same vendor.
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,

    /// Worker threads, 1 to 64. The output is the same for any number. Default: as many as help.
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,

    /// Frames read at a time.
    #[arg(long, value_name = "N", default_value_t = 64, hide_short_help = true)]
    pub batch_frames: usize,

    /// Flows held at a time; the one nearest to its end makes room for one more.
    #[arg(long, value_name = "N", default_value_t = Limits::default().flows_max, hide_short_help = true)]
    pub flows_max: usize,

    /// Distinct names held at a time.
    #[arg(long, value_name = "N", default_value_t = Limits::default().names_max, hide_short_help = true)]
    pub names_max: usize,

    /// TLS handshakes put together at a time.
    #[arg(long, value_name = "N", default_value_t = Limits::default().handshakes_max, hide_short_help = true)]
    pub handshakes_max: usize,

    /// Bytes that handshakes being put together may hold.
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().handshake_bytes_max, hide_short_help = true)]
    pub handshake_bytes_max: usize,

    /// Add the SHA-256 of each capture to the JSON report; reads them once more.
    #[arg(long, hide_short_help = true)]
    pub digest: bool,

    /// No progress on standard error.
    #[arg(long, short)]
    pub quiet: bool,
}

/// A finished run.
pub struct Run {
    /// What the pipeline counted.
    pub outcome: Outcome,
    /// The source, for what became of each file.
    pub source: CaptureFiles,
    /// What became of each file, with digests where they were asked for.
    pub reports: Vec<FileReport>,
    /// Which networks may be home, where hardly a flow has a home side.
    pub home_hint: Option<ProposedHome>,
}

impl CaptureArgs {
    /// The rules to judge by.
    pub fn ruleset(&self) -> anyhow::Result<Arc<Ruleset>> {
        let rules = match &self.rules {
            Some(dir) => Ruleset::with_directory(dir)
                .with_context(|| format!("cannot use the rules in {}", dir.display()))?,
            None => Ruleset::builtin()?,
        };
        Ok(Arc::new(rules))
    }

    /// The bounds as given.
    pub fn limits(&self, exposures_max: usize) -> Limits {
        Limits {
            flows_max: self.flows_max,
            names_max: self.names_max,
            handshakes_max: self.handshakes_max,
            handshake_bytes_max: self.handshake_bytes_max,
            exposures_max,
        }
    }

    /// Settings for the pipeline.
    pub fn settings(&self, rules: Arc<Ruleset>, limits: &Limits) -> anyhow::Result<Settings> {
        Ok(config::offline(
            self.workers,
            self.batch_frames,
            limits,
            &self.home_networks,
            rules,
        )?)
    }

    /// Standard input can be read once; a file that is named twice is counted twice, which is hardly meant.
    fn refuse_or_warn_of_repetition(&self) -> anyhow::Result<()> {
        let stdin = self
            .paths
            .iter()
            .filter(|path| path.as_os_str() == "-")
            .count();
        anyhow::ensure!(
            stdin < 2,
            "- is given {stdin} times: standard input can be read once"
        );
        let mut seen = HashMap::new();
        for path in &self.paths {
            let Ok(file) = std::fs::metadata(path) else {
                continue;
            };
            if file.is_file()
                && let Some(before) = seen.insert((file.dev(), file.ino()), path)
            {
                let _ = writeln!(
                    std::io::stderr(),
                    "avscope: {} and {} are one file: it is read and counted twice",
                    shown(before),
                    shown(path)
                );
            }
        }
        Ok(())
    }

    /// Reads everything; `sink` hears all events in order.
    pub fn read(&self, settings: &Settings, sink: &mut dyn EventSink) -> anyhow::Result<Run> {
        self.refuse_or_warn_of_repetition()?;
        let source = CaptureFiles::with_options(&self.paths, &self.input_options())?;
        let progress = Progress::start(source.bytes_total(), self.quiet);
        let mut source = Watched::new(source, progress.as_ref());
        let mut home_hint = HomeHint::default();
        let mut sink = SinkFn(|event: EventRef<'_>| {
            if let EventRef::Opened(opened) = event {
                home_hint.opened(opened);
            }
            sink.event(event)
        });
        let mut outcome = Outcome::default();
        loop {
            outcome += &pipeline::replay(&mut source, settings, &mut sink)?;
            if !source.next_world() {
                break;
            }
        }
        let source = source.into_inner();
        drop(progress);
        let mut reports = source.reports().to_vec();
        if self.digest {
            add_digests(&mut reports);
        }
        Ok(Run {
            outcome,
            source,
            reports,
            home_hint: home_hint.proposed(),
        })
    }

    fn input_options(&self) -> InputOptions {
        InputOptions {
            site: self.site.clone(),
            site_from_path: self.site_from_path,
            isolate: self.isolate,
        }
    }
}

/// A file that has changed since it was read, or is no file, has no digest.
fn add_digests(reports: &mut [FileReport]) {
    for report in reports {
        let is_file = std::fs::metadata(&report.path).is_ok_and(|file| file.is_file());
        if is_file && report.path.as_os_str() != "-" {
            report.sha256 = sha256_of(&report.path).ok();
        }
    }
}

/// Says on standard error what could not be read and what was passed over. True if any of it should have been read.
pub fn report_inputs(run: &Run) -> bool {
    let mut stderr = std::io::stderr().lock();
    let incomplete = report_damage(&run.reports, &mut stderr);
    report_passed(&run.source, &mut stderr);
    if run.reports.is_empty() {
        let _ = writeln!(
            stderr,
            "avscope: no capture was found; name a capture or a folder that holds some"
        );
        return true;
    }
    if let Some(hint) = &run.home_hint {
        let _ = writeln!(stderr, "avscope: {}", home_net_words(hint));
    }
    incomplete
}

/// What the user may have meant by home, as a command line has it.
fn home_net_words(hint: &ProposedHome) -> String {
    let (outbound, transit) = (hint.outbound_flows, hint.transit_flows);
    let of = outbound + transit;
    let mut words = format!(
        "WARNING: only {outbound} of {of} flows that leave or pass have one side in the home networks"
    );
    if hint.networks.is_empty() {
        words.push_str("; name yours with --home-net NETWORK");
    } else {
        let networks = hint.networks.iter();
        let options: Vec<_> = networks.map(|net| format!("--home-net {net}")).collect();
        let _ = write!(
            words,
            "; {} of the others begin in these networks: if they are yours, add {}",
            hint.flows_of_networks,
            options.join(" ")
        );
    }
    words
}

fn report_passed(source: &CaptureFiles, stderr: &mut impl Write) {
    let passed = source.passed();
    if passed.not_captures > 0 {
        let names: Vec<_> = passed.names.iter().map(|path| shown(path)).collect();
        let more = passed.not_captures - names.len() as u64;
        let more = if more > 0 {
            format!(", and {more} more")
        } else {
            String::new()
        };
        let _ = writeln!(
            stderr,
            "avscope: not a capture, passed over: {}{more}",
            names.join(", ")
        );
    }
    if passed.folder_links > 0 {
        let _ = writeln!(
            stderr,
            "avscope: {} links to folders were not followed; name the folders to read them",
            passed.folder_links
        );
    }
    if passed.repeated > 0 {
        let _ = writeln!(
            stderr,
            "avscope: {} captures in folders have a second name, and were read once",
            passed.repeated
        );
    }
    if source.files_waited() > 0 {
        let _ = writeln!(
            stderr,
            "avscope: {} captures run at the same time as too many others and were merged late; read fewer at a time",
            source.files_waited()
        );
    }
    if source.runs_refused() > 0 {
        let _ = writeln!(
            stderr,
            "avscope: the captures change too often to list the place of every frame: {} frames are not in the manifest",
            source.runs_refused()
        );
    }
}

/// Inputs whose damage is told; the JSON report has all of them.
const DAMAGED_TOLD_MAX: usize = 20;

fn report_damage(reports: &[FileReport], stderr: &mut impl Write) -> bool {
    let mut untold = 0;
    let damaged = |report: &&FileReport| report.error.is_some() || report.damage.is_some();
    for (number, report) in reports.iter().filter(damaged).enumerate() {
        if number >= DAMAGED_TOLD_MAX {
            untold += 1;
            continue;
        }
        if let Some(error) = &report.error {
            let _ = writeln!(stderr, "avscope: {}", printable(error.as_bytes()));
        }
        if let Some(damage) = report.damage {
            let _ = writeln!(
                stderr,
                "avscope: {}: {} {}: {}; the {} frames before it were processed",
                shown(&report.path),
                where_it_is(damage.kind, report),
                damage.offset,
                what_happened(damage.kind),
                report.frames
            );
        }
    }
    if untold > 0 {
        let _ = writeln!(
            stderr,
            "avscope: {untold} more inputs could not be read, or not to their end: --format json lists all of them"
        );
    }
    reports.iter().any(|report| damaged(&report))
}

/// In which bytes the offset of damage counts.
fn where_it_is(kind: DamageKind, report: &FileReport) -> &'static str {
    let compression = matches!(
        kind,
        DamageKind::CompressionCutShort | DamageKind::CompressionCorrupt
    );
    let plain = matches!(report.compression, None | Some(Compression::None));
    if plain || compression {
        "offset"
    } else {
        "offset in the decompressed capture"
    }
}

/// A path that cannot move the cursor of a terminal.
fn shown(path: &Path) -> String {
    printable(path.as_os_str().as_bytes()).into_owned()
}

fn what_happened(kind: DamageKind) -> &'static str {
    match kind {
        DamageKind::CutShort => {
            "the file ends inside a record (get the whole file, or accept the loss)"
        }
        DamageKind::ImpossibleLength => {
            "a record claims an impossible length (pcapfix or editcap may recover what follows)"
        }
        DamageKind::BrokenBlock => {
            "a block contradicts itself (pcapfix or editcap may recover what follows)"
        }
        DamageKind::NoSection => {
            "no section begins here (pcapfix or editcap may recover what follows)"
        }
        DamageKind::Unreadable => "the system could not read on",
        DamageKind::CompressionCutShort => {
            "the compressed data end too early (get the whole file, or accept the loss)"
        }
        DamageKind::CompressionCorrupt => {
            "the compressed data are damaged, or look back more than 128 MiB (gzip -t or zstd -t tells which)"
        }
    }
}

/// A sink made of a function.
pub struct SinkFn<F>(pub F);

impl<F: FnMut(EventRef<'_>) -> std::io::Result<()>> EventSink for SinkFn<F> {
    fn event(&mut self, event: EventRef<'_>) -> std::io::Result<()> {
        (self.0)(event)
    }
}
