//! A capture's truth and the program → nothing, or the first figure that the program states otherwise.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;

/// Hosts times vendors of the largest shape, with room.
const EXPOSURES_MAX: &str = "10000000";

/// Flows and bytes each way.
type Sums = [u64; 3];

/// Checks that `replay` and `names` of `avscope` state the `truth` about `capture`.
pub fn agrees(avscope: &Path, workers: &str, capture: &Path, truth: &Value) -> anyhow::Result<()> {
    let mut command = Command::new(avscope);
    command.args([
        "replay",
        "--quiet",
        "--format",
        "json",
        "--workers",
        workers,
    ]);
    command.args(["--exposures-max", EXPOSURES_MAX]);
    let output = command.arg(capture).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "avscope replay failed");
    let summary: Value = serde_json::from_slice(&output.stdout)?;
    for (ours, theirs) in [
        ("/frames/read", "/packets"),
        ("/frames/packets", "/ip_packets"),
        ("/frames/packet_bytes", "/ip_bytes"),
        ("/frames/not_ip/arp", "/frames_by_kind/arp"),
        ("/flows/opened", "/flows"),
        ("/flows/names", "/tls_flows_with_sni"),
        ("/outbound/total/bytes_out", "/bytes/outbound_flows/out"),
        ("/outbound/total/bytes_in", "/bytes/outbound_flows/in"),
    ] {
        same(ours, &number(&summary, ours)?, &number(truth, theirs)?)?;
    }
    for locality in ["home_home", "transit"] {
        let total = |way| number(&summary, &format!("/{locality}/total/bytes_{way}"));
        let stated = number(truth, &format!("/bytes/{locality}"))?;
        same(locality, &(total("out")? + total("in")?), &stated)?;
    }
    let exposures = list(&summary, "/exposures")?;
    let vendors = sums(exposures, |exposure| exposure.pointer("/vendor"))?;
    same("vendors", &vendors, &stated_sums(truth, "/vendors")?)?;
    // A rule that names its own vendor's engine says that the product is unknown, not that it is another's.
    let engines = sums(exposures, |exposure| {
        let engine = exposure.pointer("/engine/vendor");
        engine.filter(|engine| exposure.pointer("/vendor") != Some(engine))
    })?;
    let stated = stated_sums(truth, "/embedded_engines")?;
    same("embedded engines", &engines, &stated)?;
    same(
        "server names",
        &server_names(avscope, workers, capture)?,
        &stated_names(truth)?,
    )
}

fn same<T: PartialEq + Debug>(what: &str, ours: &T, truth: &T) -> anyhow::Result<()> {
    ensure!(
        ours == truth,
        "{what}: avscope says {ours:?}, the truth is {truth:?}"
    );
    Ok(())
}

fn number(document: &Value, pointer: &str) -> anyhow::Result<u64> {
    let value = document.pointer(pointer).and_then(Value::as_u64);
    value.with_context(|| format!("no number at {pointer}"))
}

fn list<'a>(document: &'a Value, pointer: &str) -> anyhow::Result<&'a [Value]> {
    let list = document.pointer(pointer).and_then(Value::as_array);
    Ok(list.with_context(|| format!("no list at {pointer}"))?)
}

/// Flows and bytes of a list of counts by vendor; those without one do not count.
fn sums(
    counts: &[Value],
    vendor: impl Fn(&Value) -> Option<&Value>,
) -> anyhow::Result<BTreeMap<String, Sums>> {
    let mut sums: BTreeMap<String, Sums> = BTreeMap::new();
    for count in counts {
        let Some(vendor) = vendor(count).and_then(Value::as_str) else {
            continue;
        };
        let sum = sums.entry(vendor.to_owned()).or_default();
        for (sum, field) in sum.iter_mut().zip(["/flows", "/bytes_out", "/bytes_in"]) {
            *sum += number(count, field)?;
        }
    }
    Ok(sums)
}

fn stated_sums(truth: &Value, pointer: &str) -> anyhow::Result<BTreeMap<String, Sums>> {
    sums(list(truth, pointer)?, |count| count.pointer("/vendor"))
}

/// Flows by TLS server name, as `avscope names` lists them.
fn server_names(
    avscope: &Path,
    workers: &str,
    capture: &Path,
) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut child = Command::new(avscope)
        .args(["names", "--quiet", "--format", "json", "--workers", workers])
        .arg(capture)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut names: BTreeMap<String, u64> = BTreeMap::new();
    let output = child.stdout.take().context("no output of avscope names")?;
    for line in BufReader::new(output).lines() {
        let row: Value = serde_json::from_str(&line?)?;
        let name = row["name"].as_str().context("a row without name")?;
        *names.entry(name.to_owned()).or_default() += number(&row, "/count")?;
    }
    ensure!(child.wait()?.success(), "avscope names failed");
    Ok(names)
}

fn stated_names(truth: &Value) -> anyhow::Result<BTreeMap<String, u64>> {
    let counts = truth["names"].as_array().context("no names in the truth")?;
    counts
        .iter()
        .filter(|count| count["kind"] == "tls_sni")
        .map(|count| {
            let name = count["name"].as_str().context("a count without name")?;
            Ok((name.to_owned(), number(count, "/flows")?))
        })
        .collect()
}
