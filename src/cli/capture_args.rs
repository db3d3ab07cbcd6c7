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

use super::UsageError;
use super::progress::{Progress, Watched};
use crate::aggregate::{EventRef, HomeHint, Ledger, ProposedHome};
use crate::alert::Canary;
use crate::attribute::{RuleFiles, Ruleset};
use crate::capture::{
    CaptureFiles, Compression, DamageKind, FileReport, FrameBatch, FrameDescriptor, InputOptions,
    PacketSource, SourceState, is_capture, sha256_of,
};
use crate::config::{Configuration, Flags, SYSTEM_FILE};
use crate::model::printable;
use crate::pipeline::{self, EventSink, Outcome, Settings};
use crate::store::load_canaries;

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

    /// Configuration file; options given here win over it. Default: `AVSCOPE_CONFIG`, else /etc/avscope/avscope.toml if it is there.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

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

    /// Folder of rule files that add to the built-in rules or replace those of the same vendor; may be repeated, a later one wins.
    #[arg(long, value_name = "DIR")]
    pub rules: Vec<PathBuf>,

    /// Key log with secrets of TLS (`SSLKEYLOGFILE`), to read what is inside TLS 1.2 and 1.3; may be repeated. Secrets in pcapng captures are used without it.
    #[arg(long = "keylog", value_name = "FILE")]
    pub keylogs: Vec<PathBuf>,

    /// Worker threads, 1 to 64. The output is the same for any number. Default: as many as help.
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,

    /// Frames read at a time.
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub batch_frames: Option<usize>,

    /// Flows held at a time; the one nearest to its end makes room for one more.
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub flows_max: Option<usize>,

    /// Distinct names held at a time.
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub names_max: Option<usize>,

    /// Streams of clients being read at a time: TLS handshakes in pieces, HTTP requests, DNS over TCP.
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub handshakes_max: Option<usize>,

    /// Bytes that those streams may hold.
    #[arg(long, value_name = "BYTES", hide_short_help = true)]
    pub handshake_bytes_max: Option<usize>,

    /// Add the SHA-256 of each capture to the JSON report; reads them once more.
    #[arg(long, hide_short_help = true)]
    pub digest: bool,

    /// No progress on standard error.
    #[arg(long, short)]
    pub quiet: bool,
}

/// Whether identifiers are taken out of what is written.
#[derive(Clone, Copy, Debug, Args)]
pub struct RedactArgs {
    /// Take what looks like an identifier of a licence or a machine out of User-Agents and URIs.
    #[arg(long, overrides_with = "no_redact")]
    pub redact: bool,

    /// Leave identifiers in, whatever the configuration file says.
    #[arg(long, hide_short_help = true, overrides_with = "redact")]
    pub no_redact: bool,
}

impl RedactArgs {
    /// What was asked for, if anything was.
    pub fn given(self) -> Option<bool> {
        (self.redact || self.no_redact).then_some(self.redact)
    }
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
    /// Defaults, the configuration file and these options, in this order.
    pub fn configuration(&self, flags: &Flags) -> anyhow::Result<Configuration> {
        let mut configuration = load(self.config.as_deref())?;
        let file_works = configuration.check().is_ok();
        configuration.flags(flags);
        configuration.check().map_err(|error| {
            // Options are to blame where they cannot work by themselves, or break a file that could.
            let mut options = Configuration::default();
            options.flags(flags);
            if file_works || options.check().is_err() {
                UsageError(error.to_string()).into()
            } else {
                anyhow::Error::from(error)
            }
        })?;
        Ok(configuration)
    }

    /// What was given of the options that can also stand in a file.
    pub fn flags(&self) -> Flags {
        Flags {
            workers: self.workers,
            batch_frames: self.batch_frames,
            flows_max: self.flows_max,
            names_max: self.names_max,
            handshakes_max: self.handshakes_max,
            handshake_bytes_max: self.handshake_bytes_max,
            home_networks: self.home_networks.clone(),
            site: self.site.clone(),
            site_from_path: self.site_from_path,
            isolate: self.isolate,
            rules: self.rules.last().map(|dir| lossy(dir)),
            keylogs: self.keylogs.iter().map(|path| lossy(path)).collect(),
            ..Flags::default()
        }
    }

    /// The rules to judge by.
    pub fn ruleset(&self, configuration: &Configuration) -> anyhow::Result<Arc<Ruleset>> {
        // The option itself and not its copy in the configuration: a path need not be UTF-8.
        let configured = configuration.rules.dir.path().map(Path::to_owned);
        let dirs = if self.rules.is_empty() {
            configured.as_slice()
        } else {
            &self.rules
        };
        let mut files = RuleFiles::builtin()?;
        for dir in dirs {
            let own =
                RuleFiles::folder(dir).and_then(|own| files.overridden_by(own.files().to_vec()));
            files = own.with_context(|| format!("cannot use the rules in {}", dir.display()))?;
        }
        let rules = Ruleset::from_files(&files).with_context(|| match dirs.last() {
            Some(dir) => format!("cannot use the rules in {}", dir.display()),
            None => "cannot use the built-in rules".to_owned(),
        })?;
        Ok(Arc::new(rules))
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

    /// Reads every frame once more, in the same order.
    pub fn each_frame(
        &self,
        configuration: &Configuration,
        mut each: impl FnMut(&FrameDescriptor, &[u8]) -> std::io::Result<()>,
    ) -> anyhow::Result<()> {
        let mut source = self.source_again(configuration)?;
        let batch_frames = configuration.input.batch_frames.value as usize;
        let mut batch = FrameBatch::with_capacity(batch_frames);
        loop {
            while source.next_batch(&mut batch)? == SourceState::Filled {
                let bytes = batch.storage.bytes();
                for descriptor in &batch.descriptors {
                    let start = descriptor.offset as usize;
                    let end = start + descriptor.captured_len as usize;
                    each(descriptor, bytes.get(start..end).unwrap_or_default())?;
                }
            }
            if !source.next_world() {
                return Ok(());
            }
        }
    }

    /// The captures, found and ready to be read.
    pub fn source(&self, configuration: &Configuration) -> anyhow::Result<CaptureFiles> {
        self.refuse_or_warn_of_repetition()?;
        self.source_again(configuration)
    }

    /// The same once more, for a further reading.
    pub fn source_again(&self, configuration: &Configuration) -> anyhow::Result<CaptureFiles> {
        let options = input_options(configuration);
        Ok(CaptureFiles::with_options(&self.paths, &options)?)
    }

    /// Reads everything; `sink` hears all events in order.
    pub fn read(
        &self,
        source: CaptureFiles,
        settings: &Settings,
        sink: &mut dyn EventSink,
    ) -> anyhow::Result<Run> {
        let progress = Progress::start(source.bytes_total(), self.quiet);
        let mut source = Watched::new(source, progress.as_ref());
        let mut sink = Hinting {
            sink,
            hint: HomeHint::default(),
        };
        let mut outcome = Outcome::default();
        loop {
            outcome += &pipeline::replay(&mut source, settings, &mut sink)?;
            if !source.next_world() {
                break;
            }
            sink.next_world();
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
            home_hint: sink.hint.proposed(),
        })
    }
}

/// Settings for the pipeline, with the secrets of the key logs.
pub fn settings(configuration: &Configuration, rules: Arc<Ruleset>) -> anyhow::Result<Settings> {
    let mut settings = configuration.settings(rules)?;
    super::keylog::read(&configuration.decrypt.keylog.value, &mut settings.decrypt)?;
    Ok(settings)
}

/// How sites and worlds are made of the captures.
fn input_options(configuration: &Configuration) -> InputOptions {
    let input = &configuration.input;
    let site = &input.site.value;
    InputOptions {
        site: (!site.is_empty()).then(|| site.clone()),
        site_from_path: input.site_from_path.value,
        isolate: input.isolate.value,
    }
}

/// The canaries that were issued, by the file of the command line or else of the configuration; none where there is no file.
pub fn issued_canaries(
    given: Option<&Path>,
    configuration: &Configuration,
) -> anyhow::Result<Vec<Canary>> {
    let file = given.or(configuration.canary.file.path());
    Ok(file.map(load_canaries).transpose()?.unwrap_or_default())
}

/// Creating a file empties it: a slip must not cost a capture.
pub fn refuse_to_overwrite(path: &Path, captures: &[PathBuf], option: &str) -> anyhow::Result<()> {
    let identity = |path: &Path| {
        std::fs::metadata(path)
            .ok()
            .map(|file| (file.dev(), file.ino()))
    };
    if let Some(output) = identity(path) {
        for capture in captures {
            // In a folder it may be one of the captures there.
            let inside = capture.is_dir() && is_capture(path) && lies_in(path, capture);
            anyhow::ensure!(
                identity(capture) != Some(output) && !inside,
                "{}: is one of the captures; give {option} another file",
                path.display()
            );
        }
    }
    Ok(())
}

fn lies_in(path: &Path, folder: &Path) -> bool {
    match (path.canonicalize(), folder.canonicalize()) {
        (Ok(path), Ok(folder)) => path.starts_with(folder),
        _ => false,
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

/// The configuration file to read: the one named, else that of `AVSCOPE_CONFIG`, where an empty value stands for none at all,
/// else that of the machine, if there is one.
pub fn configuration_file(named: Option<&Path>) -> Option<PathBuf> {
    let variable = || std::env::var_os("AVSCOPE_CONFIG").map(PathBuf::from);
    match named.map(Path::to_owned).or_else(variable) {
        Some(path) => (!path.as_os_str().is_empty()).then_some(path),
        None => Some(PathBuf::from(SYSTEM_FILE)).filter(|path| path.exists()),
    }
}

/// The defaults, and what the file says, if there is one.
pub fn load(named: Option<&Path>) -> anyhow::Result<Configuration> {
    Ok(match configuration_file(named) {
        Some(path) => Configuration::from_file(&path)?,
        None => Configuration::default(),
    })
}

/// A path as the configuration shows it.
pub fn lossy(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Hands everything on, and listens for what may be home.
struct Hinting<'a> {
    sink: &'a mut dyn EventSink,
    hint: HomeHint,
}

impl EventSink for Hinting<'_> {
    fn event(&mut self, event: EventRef<'_>) -> std::io::Result<()> {
        if let EventRef::Opened(opened) = event {
            self.hint.opened(opened);
        }
        self.sink.event(event)
    }

    fn next_world(&mut self) {
        self.sink.next_world();
    }
}

/// A ledger that hears everything, and somebody who wants to know what it made of each event.
pub struct LedgerSink<'a, F> {
    /// The ledger.
    pub ledger: &'a mut Ledger,
    /// Hears each event after the ledger.
    pub also: F,
}

impl<F: FnMut(EventRef<'_>, &Ledger) -> std::io::Result<()>> EventSink for LedgerSink<'_, F> {
    fn event(&mut self, event: EventRef<'_>) -> std::io::Result<()> {
        self.ledger.event(event);
        (self.also)(event, self.ledger)
    }

    fn next_world(&mut self) {
        self.ledger.next_world();
    }
}

/// A sink made of a function.
pub struct SinkFn<F>(pub F);

impl<F: FnMut(EventRef<'_>) -> std::io::Result<()>> EventSink for SinkFn<F> {
    fn event(&mut self, event: EventRef<'_>) -> std::io::Result<()> {
        (self.0)(event)
    }
}
