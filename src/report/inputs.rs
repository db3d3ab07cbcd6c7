//! What became of the inputs, for the JSON report: the manifest of law 3.

use serde::Serialize;

use super::Summary;
use crate::aggregate::ProposedHome;
use crate::capture::{CaptureFiles, Compression, DamageKind, FileFormat, FileReport, Passed};
use crate::model::rfc3339;

/// What reading came to, beside what became of each input.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Names of sites, by scope.
    pub sites: Vec<String>,
    /// What directories held beside captures.
    pub passed: Passed,
    /// Files whose frames came late because too many run at the same time.
    pub files_waited: u64,
    /// Frames that no run of an input leads to.
    pub runs_refused: u64,
    /// Which networks may be home, where hardly a flow has a home side.
    pub home_hint: Option<ProposedHome>,
}

impl Reading {
    /// What a source has read so far.
    pub fn of(source: &CaptureFiles, home_hint: Option<ProposedHome>) -> Self {
        Self {
            sites: source.sites().to_vec(),
            passed: source.passed().clone(),
            files_waited: source.files_waited(),
            runs_refused: source.runs_refused(),
            home_hint,
        }
    }
}

/// One input.
#[derive(Serialize)]
pub(super) struct Input<'a> {
    path: String,
    site: Option<&'a str>,
    format: Option<FileFormat>,
    compression: Option<Compression>,
    link_types: Vec<u16>,
    first_seq: u64,
    frames: u64,
    runs: Vec<Run>,
    bytes: u64,
    sha256: Option<&'a str>,
    first_time: Option<String>,
    last_time: Option<String>,
    damage: Option<Damage>,
    error: Option<&'a str>,
}

#[derive(Serialize)]
struct Run {
    first_seq: u64,
    /// From 1, as Wireshark numbers frames.
    first_frame: u64,
    frames: u64,
}

#[derive(Serialize)]
struct Damage {
    kind: DamageKind,
    offset: u64,
}

/// What was passed over, and what could not be kept.
#[derive(Serialize)]
pub(super) struct Beside {
    not_captures: u64,
    not_capture_names: Vec<String>,
    hidden: u64,
    folder_links: u64,
    repeated: u64,
    files_waited: u64,
    frames_without_run: u64,
}

/// Networks that may be home.
#[derive(Serialize)]
pub(super) struct HomeNetHint {
    outbound_flows: u64,
    transit_flows: u64,
    networks: Vec<String>,
    flows_of_networks: u64,
}

/// All inputs.
pub(super) fn inputs(summary: &Summary) -> Vec<Input<'_>> {
    summary
        .inputs
        .iter()
        .map(|input| Input {
            path: input.path.display().to_string(),
            site: site(summary, input),
            format: input.format,
            compression: input.compression,
            link_types: input.link_types.iter().map(|link| link.0).collect(),
            first_seq: input.first_seq,
            frames: input.frames,
            runs: input
                .runs
                .iter()
                .map(|run| Run {
                    first_seq: run.first_seq,
                    first_frame: run.first_frame + 1,
                    frames: run.frames,
                })
                .collect(),
            bytes: input.bytes,
            sha256: input.sha256.as_deref(),
            first_time: input.first_time.map(rfc3339),
            last_time: input.last_time.map(rfc3339),
            damage: input.damage.map(|damage| Damage {
                kind: damage.kind,
                offset: damage.offset,
            }),
            error: input.error.as_deref(),
        })
        .collect()
}

/// What stood beside them.
pub(super) fn beside(summary: &Summary) -> Beside {
    let reading = &summary.reading;
    let passed = &reading.passed;
    Beside {
        not_captures: passed.not_captures,
        not_capture_names: passed
            .names
            .iter()
            .map(|name| name.display().to_string())
            .collect(),
        hidden: passed.hidden,
        folder_links: passed.folder_links,
        repeated: passed.repeated,
        files_waited: reading.files_waited,
        frames_without_run: reading.runs_refused,
    }
}

/// The names of sites, by scope; none where no site was given.
pub(super) fn sites(summary: &Summary) -> &[String] {
    match &*summary.reading.sites {
        [only] if only.is_empty() => &[],
        sites => sites,
    }
}

/// The hint as the document has it.
pub(super) fn home_net_hint(summary: &Summary) -> Option<HomeNetHint> {
    let hint = summary.reading.home_hint.as_ref()?;
    Some(HomeNetHint {
        outbound_flows: hint.outbound_flows,
        transit_flows: hint.transit_flows,
        networks: hint.networks.iter().map(ToString::to_string).collect(),
        flows_of_networks: hint.flows_of_networks,
    })
}

fn site<'a>(summary: &'a Summary, input: &FileReport) -> Option<&'a str> {
    sites(summary)
        .get(usize::from(input.scope))
        .map(String::as_str)
}
