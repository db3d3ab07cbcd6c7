//! What decryption came to, for the JSON report; no secret is in it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Summary;
use crate::model::DecryptFailure;

#[derive(Serialize)]
pub(super) struct Decryption {
    secrets: Secrets,
    sessions: u64,
    opened: u64,
    early_data: u64,
    requests: u64,
    certificates: u64,
    failed: BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
struct Secrets {
    kept: u64,
    repeated: u64,
    ignored: u64,
    malformed: u64,
    refused: u64,
    blocks: u64,
    other_blocks: u64,
}

pub(super) fn decryption(summary: &Summary) -> Decryption {
    let (keys, sessions) = (&summary.keys, &summary.shards.decrypt);
    Decryption {
        secrets: Secrets {
            kept: keys.secrets,
            repeated: keys.repeated,
            ignored: keys.ignored,
            malformed: keys.malformed,
            refused: keys.refused,
            blocks: keys.blocks,
            other_blocks: keys.other_blocks,
        },
        sessions: sessions.sessions,
        opened: sessions.opened,
        early_data: sessions.early_data,
        requests: sessions.requests,
        certificates: sessions.certificates,
        failed: DecryptFailure::ALL
            .iter()
            .map(|reason| (reason.as_str(), sessions.failures[reason.index()]))
            .collect(),
    }
}
