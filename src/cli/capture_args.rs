//! What `replay` and `names` share: the captures, and how they are read.

use std::collections::HashMap;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;

use super::progress::{Progress, Watched};
use crate::aggregate::EventRef;
use crate::attribute::Ruleset;
use crate::capture::{
    CaptureFiles, DamageKind, FileReport, FrameBatch, FrameDescriptor, PacketSource, SourceState,
};
use crate::config::{self, Limits};
use crate::model::printable;
use crate::pipeline::{self, EventSink, Outcome, Settings};

/// Captures and how to read them.
#[derive(Debug, Args)]
pub struct CaptureArgs {
    /// Capture files (pcap or pcapng), read in this order as one input; - is standard input.
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,

    /// A network of yours, as in 203.0.113.0/24; may be repeated. Replaces the default: private addresses of IPv4 and IPv6.
    #[arg(long = "home-net", value_name = "NETWORK")]
    pub home_networks: Vec<String>,

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

    /// Reads every frame once more, in the same order.
    pub fn each_frame(
        &self,
        mut each: impl FnMut(&FrameDescriptor, &[u8]) -> std::io::Result<()>,
    ) -> anyhow::Result<()> {
        let mut source = CaptureFiles::new(self.paths.clone());
        let mut batch = FrameBatch::with_capacity(self.batch_frames);
        while source.next_batch(&mut batch)? == SourceState::Filled {
            let bytes = batch.storage.bytes();
            for descriptor in &batch.descriptors {
                let start = descriptor.offset as usize;
                let end = start + descriptor.captured_len as usize;
                each(descriptor, bytes.get(start..end).unwrap_or_default())?;
            }
        }
        Ok(())
    }

    /// Reads everything; `sink` hears all events in order.
    pub fn read(&self, settings: &Settings, sink: &mut dyn EventSink) -> anyhow::Result<Run> {
        self.refuse_or_warn_of_repetition()?;
        let progress = Progress::start(&self.paths, self.quiet);
        let mut source = Watched::new(CaptureFiles::new(self.paths.clone()), progress.as_ref());
        let outcome = pipeline::replay(&mut source, settings, sink);
        let source = source.into_inner();
        drop(progress);
        Ok(Run {
            outcome: outcome?,
            source,
        })
    }
}

/// Creating a file empties it: a slip must not cost a capture.
pub fn refuse_to_overwrite(path: &Path, captures: &[PathBuf]) -> anyhow::Result<()> {
    let identity = |path: &Path| {
        std::fs::metadata(path)
            .ok()
            .map(|file| (file.dev(), file.ino()))
    };
    if let Some(output) = identity(path) {
        for capture in captures {
            anyhow::ensure!(
                identity(capture) != Some(output),
                "{}: is one of the captures; give another file to write to",
                path.display()
            );
        }
    }
    Ok(())
}

/// Says on standard error what could not be read. True if that is anything.
pub fn report_inputs(reports: &[FileReport]) -> bool {
    let mut incomplete = false;
    let mut stderr = std::io::stderr().lock();
    for report in reports {
        let path = shown(&report.path);
        if let Some(error) = &report.error {
            incomplete = true;
            let _ = writeln!(stderr, "avscope: {}", printable(error.as_bytes()));
        }
        if let Some(damage) = report.damage {
            incomplete = true;
            let _ = writeln!(
                stderr,
                "avscope: {path}: offset {}: {}; the {} frames before it were processed",
                damage.offset,
                what_happened(damage.kind),
                report.frames
            );
        }
    }
    incomplete
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
