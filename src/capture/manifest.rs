//! What became of each input: law 3 needs it to lead from `seq` to a file and a frame in it.

use std::path::PathBuf;

use super::{Compression, Damage, FileFormat, FrameDescriptor, LinkType};
use crate::model::Timestamp;

/// Runs kept over all inputs: files that are merged frame by frame begin a run with every change. Beyond it the frames are
/// still counted, and only reading the same inputs again tells where each lies.
pub(super) const RUNS_MAX: usize = 1_000_000;

/// Link types listed for a file; a capture of more interfaces has no list worth reading.
const LINK_TYPES_MAX: usize = 16;

/// Frames that follow each other both in a file and in the whole input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// `seq` of the first of them.
    pub first_seq: u64,
    /// Its number in the file, from 0.
    pub first_frame: u64,
    /// How many.
    pub frames: u64,
}

/// What became of one input.
#[derive(Clone, Debug, Default)]
pub struct FileReport {
    /// The file as named by the user or found in a directory; `-` is standard input.
    pub path: PathBuf,
    /// Index of its site.
    pub scope: u16,
    /// How it is written; `None` if it was never opened.
    pub format: Option<FileFormat>,
    /// How it is compressed.
    pub compression: Option<Compression>,
    /// `seq` of its first frame.
    pub first_seq: u64,
    /// Frames read from it.
    pub frames: u64,
    /// Bytes read from it, as they lie in the file.
    pub bytes: u64,
    /// Earliest timestamp.
    pub first_time: Option<Timestamp>,
    /// Latest timestamp.
    pub last_time: Option<Timestamp>,
    /// Link types of its frames, at most 16.
    pub link_types: Vec<LinkType>,
    /// Where its frames stand in the whole input; see [`super::CaptureFiles::runs_refused`].
    pub runs: Vec<Run>,
    /// SHA-256 of the file in hexadecimal, if it was asked for.
    pub sha256: Option<String>,
    /// Where it became unreadable.
    pub damage: Option<Damage>,
    /// Why it could not be read at all.
    pub error: Option<String>,
}

/// The reports of all inputs and the bound on their runs.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    pub reports: Vec<FileReport>,
    pub runs: usize,
    /// Frames that no run leads to.
    pub refused: u64,
}

impl Manifest {
    /// Counts frames of the input `index` that follow each other, there and in the whole.
    pub fn frames(&mut self, index: usize, frames: &[FrameDescriptor]) {
        let (Some(report), Some(first)) = (self.reports.get_mut(index), frames.first()) else {
            return;
        };
        let count = frames.len() as u64;
        match report.runs.last_mut() {
            Some(run)
                if run.first_seq + run.frames == first.seq
                    && run.first_frame + run.frames == report.frames =>
            {
                run.frames += count;
            }
            _ if self.runs < RUNS_MAX => {
                self.runs += 1;
                report.runs.push(Run {
                    first_seq: first.seq,
                    first_frame: report.frames,
                    frames: count,
                });
            }
            _ => self.refused += count,
        }
        if report.frames == 0 {
            report.first_seq = first.seq;
        }
        report.frames += count;
        let (mut earliest, mut latest) = (
            report.first_time.unwrap_or(first.timestamp),
            report.last_time.unwrap_or(first.timestamp),
        );
        for frame in frames {
            earliest = earliest.min(frame.timestamp);
            latest = latest.max(frame.timestamp);
            if report.link_types.last() != Some(&frame.link_type)
                && !report.link_types.contains(&frame.link_type)
                && report.link_types.len() < LINK_TYPES_MAX
            {
                report.link_types.push(frame.link_type);
            }
        }
        report.first_time = Some(earliest);
        report.last_time = Some(latest);
    }
}
