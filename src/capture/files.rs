//! Paths → batches of frames: all inputs as one, with one `seq` over all and one clock for each world.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;

use super::discover::{Found, Passed, discover};
use super::input::{Head, Input};
use super::manifest::Manifest;
use super::merge::{Active, Due, Merge, Staged, Waiting};
use super::{
    CaptureError, ClockStats, DecryptionSecrets, FileReport, FrameBatch, FrameDescriptor,
    FrameStorage, PacketSource, SourceState, StreamClock,
};
use crate::model::Timestamp;

/// How inputs belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputOptions {
    /// The site where all of them were captured.
    pub site: Option<String>,
    /// Each file's folder names its site: the path of the folder below the directory that was named, the name of that
    /// directory for files directly in it, and the name of its folder for a file that was named itself.
    pub site_from_path: bool,
    /// Each file is a world of its own: own clock, own flows, and, unless a site is given, a site named by its path.
    pub isolate: bool,
}

/// Captures as one input.
///
/// Files are read in the order of their first frames, those that overlap in time merged by time. What can be read only once
/// (standard input, pipes) is read where it was given: the files before it come before it, those behind it after.
#[derive(Debug)]
pub struct CaptureFiles {
    /// Timelines that follow each other; one world each if isolated, else parts of one world.
    timelines: VecDeque<Vec<Waiting>>,
    merge: Merge,
    staged: Staged,
    /// Secrets that count from the next batch on.
    secrets: Vec<DecryptionSecrets>,
    isolate: bool,
    clock: StreamClock,
    earlier_clocks: ClockStats,
    next_seq: u64,
    manifest: Manifest,
    sites: Vec<String>,
    passed: Passed,
    files_waited: u64,
    bytes_total: Option<u64>,
    bytes_of_ended: u64,
}

impl CaptureFiles {
    /// A source over `paths` in one world without a site: files, directories with all below them, and `-` for standard
    /// input. What cannot be read is in the reports.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "the list is the source's from here on"
    )]
    pub fn new(paths: Vec<PathBuf>) -> Self {
        let (found, passed) = discover(&paths);
        let scopes = vec![0; found.len()];
        Self::over(found, &scopes, vec![String::new()], passed, false)
    }

    /// The same with sites and worlds. Fails where there are more sites than can be told apart.
    pub fn with_options(paths: &[PathBuf], options: &InputOptions) -> Result<Self, CaptureError> {
        let (found, passed) = discover(paths);
        let mut sites = vec![options.site.clone().unwrap_or_default()];
        let mut scopes = vec![0; found.len()];
        if options.site.is_none() && (options.site_from_path || options.isolate) {
            sites.clear();
            let mut known = HashMap::new();
            for (scope, file) in scopes.iter_mut().zip(&found) {
                let site = if options.site_from_path {
                    file.folder.clone()
                } else {
                    file.path.to_string_lossy().into_owned()
                };
                if let Some(known) = known.get(&site) {
                    *scope = *known;
                    continue;
                }
                *scope = u16::try_from(sites.len()).map_err(|_| CaptureError::TooManySites {
                    path: file.path.clone(),
                })?;
                known.insert(site.clone(), *scope);
                sites.push(site);
            }
        }
        Ok(Self::over(found, &scopes, sites, passed, options.isolate))
    }

    fn over(
        found: Vec<Found>,
        scopes: &[u16],
        sites: Vec<String>,
        passed: Passed,
        isolate: bool,
    ) -> Self {
        let bytes_total = found
            .iter()
            .filter(|file| file.error.is_none())
            .map(|file| file.size)
            .sum();
        let mut manifest = Manifest::default();
        let mut timelines = VecDeque::from([Vec::new()]);
        for ((report, file), scope) in found.into_iter().enumerate().zip(scopes) {
            manifest.reports.push(FileReport {
                path: file.path.clone(),
                scope: *scope,
                error: file.error.clone(),
                ..FileReport::default()
            });
            if file.error.is_some() {
                continue;
            }
            let is_stream = file.is_stream();
            let waiting = Waiting {
                path: file.path,
                report,
                scope: *scope,
                first: file.first.unwrap_or_default(),
            };
            if is_stream || isolate {
                timelines.push_back(vec![waiting]);
                timelines.push_back(Vec::new());
            } else if let Some(timeline) = timelines.back_mut() {
                timeline.push(waiting);
            }
        }
        timelines.retain(|timeline| !timeline.is_empty());
        let first = timelines.pop_front().unwrap_or_default();
        Self {
            timelines,
            merge: Merge::new(first),
            staged: Staged::default(),
            secrets: Vec::new(),
            isolate,
            clock: StreamClock::default(),
            earlier_clocks: ClockStats::default(),
            next_seq: 0,
            manifest,
            sites,
            passed,
            files_waited: 0,
            bytes_total,
            bytes_of_ended: 0,
        }
    }

    /// Goes on to the next world, after [`PacketSource::next_batch`] has said that this one ends. False if there is none.
    ///
    /// There is one world, unless files are isolated: flows must not go on from one into the next, `seq` does.
    pub fn next_world(&mut self) -> bool {
        if !self.isolate {
            return false;
        }
        let Some(timeline) = self.timelines.pop_front() else {
            return false;
        };
        self.begin(timeline);
        let stats = self.clock.stats();
        self.earlier_clocks.steps_back += stats.steps_back;
        self.earlier_clocks.jumps += stats.jumps;
        self.clock = StreamClock::default();
        true
    }

    /// What became of each input so far, in the order in which they were given or found.
    pub fn reports(&self) -> &[FileReport] {
        &self.manifest.reports
    }

    /// Frames that no [`super::Run`] of a report leads to: too many runs. Reading the same inputs again tells their place.
    pub fn runs_refused(&self) -> u64 {
        self.manifest.refused
    }

    /// The names of sites, by scope; one empty name where no site was given.
    pub fn sites(&self) -> &[String] {
        &self.sites
    }

    /// What directories held beside captures.
    pub fn passed(&self) -> &Passed {
        &self.passed
    }

    /// Files whose frames came late because too many files run at the same time.
    pub fn files_waited(&self) -> u64 {
        self.files_waited + self.merge.files_waited
    }

    /// What was odd about time so far.
    pub fn clock_stats(&self) -> ClockStats {
        let stats = self.clock.stats();
        ClockStats {
            steps_back: self.earlier_clocks.steps_back + stats.steps_back,
            jumps: self.earlier_clocks.jumps + stats.jumps,
        }
    }

    /// Bytes of all files as they lie there, compressed or not; `None` where something is no file.
    pub fn bytes_total(&self) -> Option<u64> {
        self.bytes_total
    }

    /// Bytes of them read so far.
    pub fn bytes_read(&self) -> u64 {
        let active = self.merge.active.iter();
        self.bytes_of_ended + active.map(|file| file.input.bytes_read()).sum::<u64>()
    }

    fn begin(&mut self, timeline: Vec<Waiting>) {
        self.files_waited += self.merge.files_waited;
        self.merge = Merge::new(timeline);
    }

    /// Opens the file that waits first; one that cannot be read is reported and passed over.
    fn open(&mut self) {
        let Some(Waiting {
            path,
            report,
            scope,
            ..
        }) = self.merge.waiting.pop_front()
        else {
            return;
        };
        match Input::open(&path) {
            Ok(input) => self.activate(Active {
                input,
                report,
                scope,
            }),
            Err(error) => {
                if let Some(report) = self.manifest.reports.get_mut(report) {
                    report.error = Some(error.to_string());
                }
            }
        }
    }

    fn activate(&mut self, mut file: Active) {
        file.input.take_secrets(&mut self.secrets);
        if let Some(report) = self.manifest.reports.get_mut(file.report) {
            report.format = Some(file.input.format());
            report.compression = Some(file.input.compression());
            report.first_seq = self.next_seq;
        }
        self.merge.active.push(file);
    }

    /// Takes leave of files that have ended.
    fn close_ended(&mut self) {
        for file in self
            .merge
            .active
            .extract_if(.., |file| file.input.head().is_none())
        {
            if let Some(report) = self.manifest.reports.get_mut(file.report) {
                report.bytes = file.input.bytes_read();
                report.damage = file.input.damage();
                self.bytes_of_ended += report.bytes;
            }
        }
    }

    /// Fills the batch from the only active file, without copying, until a frame is later than `until`.
    fn fill_from_one(&mut self, until: Option<Timestamp>, batch: &mut FrameBatch) {
        let Some(file) = self.merge.active.first_mut() else {
            return;
        };
        batch.storage = file.input.storage().clone();
        let (clock, next_seq) = (&mut self.clock, &mut self.next_seq);
        let capacity = batch.capacity();
        let (scope, frames) = (file.scope, &mut batch.descriptors);
        file.input.take_while(|head| {
            let wanted = frames.len() < capacity && until.is_none_or(|until| head.time <= until);
            if wanted {
                frames.push(descriptor(head, scope, clock, next_seq));
            }
            wanted
        });
        // They count for what follows, however frames are batched.
        file.input.take_secrets(&mut self.secrets);
        self.manifest.frames(file.report, &batch.descriptors);
    }

    /// Copies frames of the active files in their order, until a frame is later than `until` or a file ends.
    fn stage(&mut self, until: Option<Timestamp>) {
        while !self.staged.is_full()
            && let Some((at, next_of_other, included)) = self.merge.next()
            && let Some(file) = self.merge.active.get_mut(at)
        {
            while let Some(head) = file.input.head().copied()
                && (head.time < next_of_other || (included && head.time == next_of_other))
                && !self.staged.is_full()
            {
                if until.is_some_and(|until| head.time > until) {
                    return self.staged.seal();
                }
                let descriptor = descriptor(&head, file.scope, &mut self.clock, &mut self.next_seq);
                self.manifest
                    .frames(file.report, std::slice::from_ref(&descriptor));
                let frame = file.input.storage().bytes().get(head.start..);
                let frame = frame.and_then(|rest| rest.get(..head.record.captured_len as usize));
                self.staged.push(descriptor, frame.unwrap_or_default());
                file.input.advance();
                if file.input.has_secrets() {
                    file.input.take_secrets(&mut self.secrets);
                    return self.staged.seal();
                }
            }
            if file.input.head().is_none() {
                break;
            }
        }
        self.staged.seal();
    }
}

/// Gives the next frame of a file its place in the whole input.
#[inline]
fn descriptor(
    head: &Head,
    scope: u16,
    clock: &mut StreamClock,
    next_seq: &mut u64,
) -> FrameDescriptor {
    let record = &head.record;
    let seq = *next_seq;
    *next_seq += 1;
    FrameDescriptor {
        offset: head.start as u64,
        seq,
        timestamp: record.timestamp,
        stream_time: clock.stamp(record.timestamp),
        captured_len: record.captured_len,
        wire_len: record.wire_len,
        link_type: record.link_type,
        scope,
    }
}

impl PacketSource for CaptureFiles {
    fn next_batch(&mut self, batch: &mut FrameBatch) -> Result<SourceState, CaptureError> {
        batch.descriptors.clear();
        batch.secrets.clear();
        batch.storage = FrameStorage::Empty;
        loop {
            if self.staged.hand_out(batch) {
                return Ok(SourceState::Filled);
            }
            batch.secrets.append(&mut self.secrets);
            self.close_ended();
            match self.merge.due() {
                Due::Open => self.open(),
                Due::Read(until) if self.merge.active.len() == 1 => {
                    self.fill_from_one(until, batch);
                    if !batch.descriptors.is_empty() {
                        return Ok(SourceState::Filled);
                    }
                }
                Due::Read(until) => self.stage(until),
                Due::Nothing if self.isolate => return Ok(SourceState::End),
                Due::Nothing => match self.timelines.pop_front() {
                    Some(timeline) => self.begin(timeline),
                    None => return Ok(SourceState::End),
                },
            }
        }
    }
}

#[cfg(test)]
pub(super) fn open_stream_for_tests(content: Vec<u8>) -> CaptureFiles {
    use std::path::Path;

    let mut source = CaptureFiles::new(Vec::new());
    source.manifest.reports.push(FileReport {
        path: "-".into(),
        ..FileReport::default()
    });
    let content = Box::new(std::io::Cursor::new(content));
    if let Ok(input) = Input::from_stream(Path::new("-"), content, super::input::SEGMENT_BYTES) {
        source.activate(Active {
            input,
            report: 0,
            scope: 0,
        });
    }
    source
}
