//! Key logs that were named → the secrets that are known from the start; what is wrong with a file is said once.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use crate::model::printable;
use crate::pipeline::{DecryptSettings, KeyStore, LineKind};

/// Longer than any line of a key log; the rest of such a line is passed over.
const LINE_BYTES_MAX: u64 = 4 << 10;

/// What a file came to.
#[derive(Default)]
struct Lines {
    usable: u64,
    malformed: u64,
    first_malformed: u64,
}

/// Reads key logs into the settings. A file of which nothing is of use is an error; single lines are not.
pub fn read(paths: &[String], settings: &mut DecryptSettings) -> anyhow::Result<()> {
    if paths.is_empty() {
        return Ok(());
    }
    let mut keys = KeyStore::new(settings.secrets_max);
    for path in paths {
        let shown = printable(path.as_bytes());
        let lines = add_file(Path::new(path), &mut keys)
            .with_context(|| format!("{shown}: cannot read the key log"))?;
        anyhow::ensure!(
            lines.usable > 0,
            "{shown}: no line holds a secret that is of use; give a file that SSLKEYLOGFILE was set to while the traffic was captured"
        );
        if lines.malformed > 0 {
            let _ = writeln!(
                std::io::stderr(),
                "avscope: {shown}:{}: no line of a key log; it and {} more like it were passed over, {} lines are of use",
                lines.first_malformed,
                lines.malformed - 1,
                lines.usable
            );
        }
    }
    let refused = keys.counters().refused;
    if refused > 0 {
        let _ = writeln!(
            std::io::stderr(),
            "avscope: {refused} secrets found no room; raise decrypt.secrets_max, which is {}",
            settings.secrets_max
        );
    }
    settings.keys = Arc::new(keys);
    Ok(())
}

fn add_file(path: &Path, keys: &mut KeyStore) -> std::io::Result<Lines> {
    let mut file = BufReader::new(File::open(path)?);
    let mut adding = keys.adding();
    let (mut lines, mut number) = (Lines::default(), 0);
    let mut line = Vec::new();
    loop {
        line.clear();
        if file
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line)?
            == 0
        {
            break;
        }
        number += 1;
        if line.last() != Some(&b'\n') && line.len() as u64 == LINE_BYTES_MAX {
            file.skip_until(b'\n')?;
        }
        match adding.line(&line) {
            LineKind::Empty | LineKind::Ignored => {}
            LineKind::Secret => lines.usable += 1,
            LineKind::Malformed => {
                lines.malformed += 1;
                if lines.malformed == 1 {
                    lines.first_malformed = number;
                }
            }
        }
    }
    adding.finish();
    Ok(lines)
}
