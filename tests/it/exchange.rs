//! Rules written for others: an independent matcher gives the same attributions, and the tools that they are for load them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use avscope::attribute::{Glob, NamePattern, PatternKind, Ruleset};
use serde_json::{Value, json};

use super::support::{all_captures, avscope, skip};

fn rules() -> &'static Ruleset {
    static RULES: OnceLock<Ruleset> = OnceLock::new();
    RULES.get_or_init(|| Ruleset::builtin().unwrap())
}

/// Python with the validators in it, where it is another than the usual one.
pub fn python() -> Command {
    Command::new(std::env::var("AVSCOPE_PYTHON").unwrap_or_else(|_| "python3".to_owned()))
}

/// Whether Python can import these; says so where not.
pub fn python_has(test: &str, modules: &str) -> bool {
    let probe = python()
        .args(["-c", &format!("import {modules}")])
        .stderr(Stdio::null())
        .status();
    let there = probe.is_ok_and(|status| status.success());
    if !there {
        skip(test, &format!("python3 cannot import {modules}"));
    }
    there
}

fn is_there(tool: &str) -> bool {
    let mut command = Command::new(tool);
    command
        .arg("-V")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok()
}

fn there(test: &str, tool: &str) -> bool {
    let found = is_there(tool);
    if !found {
        skip(test, &format!("{tool} is not there"));
    }
    found
}

/// An export of the built-in rules; what was said beside it.
fn export(folder: &Path, format: &str, more: &[&str]) -> (PathBuf, String) {
    let path = folder.join(format);
    let output = avscope()
        .args(["rules", "export", "--format", format, "--output"])
        .arg(&path)
        .args(more)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    (path, said)
}

/// What one asks: a buffer of Suricata and what it holds.
type Question = (&'static str, String);

/// What the matcher makes of questions by what was exported.
fn matched(kind: &str, exported: &Path, questions: &[Question]) -> Vec<BTreeSet<String>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exchange/matcher.py");
    let mut child = python()
        .arg(script)
        .arg(kind)
        .arg(exported)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = Vec::new();
    for (buffer, text) in questions {
        writeln!(lines, "{}", json!({"buffer": buffer, "text": text})).unwrap();
    }
    let feeding = std::thread::spawn(move || stdin.write_all(&lines));
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap().unwrap();
    assert!(output.status.success(), "the matcher failed");
    let answers: Vec<_> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| {
            let rules: Vec<Value> = serde_json::from_str(line).unwrap();
            rules
                .iter()
                .map(|rule| rule["rule"].as_str().unwrap().to_owned())
                .collect()
        })
        .collect();
    assert_eq!(answers.len(), questions.len());
    answers
}

/// What avscope makes of a question.
fn judged(buffer: &str, text: &str) -> BTreeSet<String> {
    let found = match buffer {
        "http.user_agent" => rules().match_user_agent(text.as_bytes()),
        "http.uri.raw" => rules().match_uri(text.as_bytes()),
        "ip" => rules().match_network(text.parse().unwrap()),
        _ => rules().match_name(text.as_bytes()),
    };
    found
        .map(|found| rules().rule(found.rule).id.clone())
        .into_iter()
        .collect()
}

/// Everything that `avscope names` sees in the captures of the repository, by the buffer it would stand in.
fn seen_in_captures() -> BTreeSet<Question> {
    let output = avscope()
        .args(["names", "--quiet", "--isolate", "--format", "json"])
        .args(all_captures())
        .output()
        .unwrap();
    let mut seen = BTreeSet::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let buffer = match row["kind"].as_str().unwrap() {
            "tls_sni" => "tls.sni",
            "quic_sni" => "quic.sni",
            "http_host" => "http.host",
            "dns_query" => "dns.query",
            "http_user_agent" => "http.user_agent",
            "http_uri" => "http.uri.raw",
            _ => continue,
        };
        seen.insert((buffer, row["name"].as_str().unwrap().to_owned()));
    }
    assert!(seen.len() > 100, "{}", seen.len());
    seen
}

/// Names around every pattern: itself, below, beside, above, in other case, and without the boundary of a label.
fn around_every_pattern() -> BTreeSet<Question> {
    let mut asked = BTreeSet::new();
    for rule in rules().rules() {
        for (kind, text) in rules().all_patterns_of(rule.number) {
            match kind {
                PatternKind::Name => {
                    let base = NamePattern::parse(text).unwrap().base;
                    let parent = base.split_once('.').unwrap().1;
                    for name in [
                        base.to_owned(),
                        base.to_ascii_uppercase(),
                        format!("a.{base}"),
                        format!("a.b.{base}"),
                        format!("beside.{parent}"),
                        parent.to_owned(),
                        format!("x{base}"),
                        format!("{base}.example"),
                    ] {
                        for buffer in ["tls.sni", "quic.sni", "http.host", "dns.query"] {
                            asked.insert((buffer, name.clone()));
                        }
                    }
                }
                PatternKind::UserAgent | PatternKind::Uri => {
                    let buffer = if kind == PatternKind::Uri {
                        "http.uri.raw"
                    } else {
                        "http.user_agent"
                    };
                    let probe = String::from_utf8(Glob::parse(text).unwrap().probe()).unwrap();
                    for text in [
                        format!("{probe}x"),
                        format!("x{probe}"),
                        probe.to_uppercase(),
                        probe.clone(),
                    ] {
                        asked.insert((buffer, text));
                    }
                }
                PatternKind::Network => {
                    let network: ipnet::IpNet = text.parse().unwrap();
                    for address in [network.addr().to_string(), "192.0.2.1".to_owned()] {
                        asked.insert(("ip", address));
                    }
                }
                PatternKind::Asn => {}
            }
        }
    }
    asked
}

/// Asks the matcher and avscope, and counts the agreements by verdict.
fn compare(kind: &str, exported: &Path, questions: &[Question]) -> (usize, usize) {
    let answers = matched(kind, exported, questions);
    let mut attributed = 0;
    for ((buffer, text), answer) in questions.iter().zip(answers) {
        let ours = judged(buffer, text);
        assert_eq!(answer, ours, "{kind}: {buffer} {text:?}");
        attributed += usize::from(!ours.is_empty());
    }
    (questions.len(), attributed)
}

#[test]
fn an_independent_matcher_over_the_rules_of_suricata_agrees() {
    if !python_has("the matcher over rules of Suricata", "re") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (exported, said) = export(folder.path(), "suricata", &[]);
    assert!(said.contains("autonomous systems"), "{said}");
    let seen: Vec<Question> = seen_in_captures().into_iter().collect();
    let (asked, attributed) = compare("suricata", &exported, &seen);
    assert!(attributed >= 20, "{attributed}");
    println!(
        "Suricata: {asked} names, User-Agents and paths of the captures, {attributed} attributed: all agree"
    );
    // Every eighth: the matcher asks every rule about every text.
    let around: Vec<Question> = around_every_pattern().into_iter().step_by(8).collect();
    let (asked, attributed) = compare("suricata", &exported, &around);
    println!("Suricata: {asked} around the patterns, {attributed} attributed: all agree");
}

#[test]
fn an_independent_matcher_over_the_policy_zone_agrees() {
    if !python_has("the matcher over the policy zone", "re") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let questions: BTreeSet<Question> = seen_in_captures()
        .into_iter()
        .chain(around_every_pattern())
        .filter(|(buffer, _)| !matches!(*buffer, "http.user_agent" | "http.uri.raw" | "ip"))
        .collect();
    let questions: Vec<Question> = questions.into_iter().collect();
    let (exported, said) = export(folder.path(), "rpz", &[]);
    assert!(said.contains("names are logged and answered"), "{said}");
    let (asked, attributed) = compare("rpz", &exported, &questions);
    println!("policy zone: {asked} names, {attributed} attributed: all agree");
    // Of one vendor, and only what is sure: what was left out must not be claimed by what was not.
    let more = ["--rpz-action", "nxdomain", "--confidence", "high"];
    let (exported, said) = export(folder.path(), "rpz", &more);
    assert!(said.contains("no recommendation"), "{said}");
    let answers = matched("rpz", &exported, &questions);
    let sure: BTreeSet<&str> = rules()
        .rules()
        .filter(|rule| rule.confidence == avscope::model::Confidence::High)
        .map(|rule| rule.id.as_str())
        .collect();
    for ((_, text), answer) in questions.iter().zip(answers) {
        let mut ours = judged("dns.query", text);
        ours.retain(|rule| sure.contains(rule.as_str()));
        assert_eq!(answer, ours, "{text}");
    }
}

#[test]
fn bind_loads_the_policy_zone() {
    if !there("the policy zone in BIND", "named-checkzone") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for action in ["passthru", "nxdomain", "nodata", "drop"] {
        let (exported, _) = export(folder.path(), "rpz", &["--rpz-action", action]);
        let output = Command::new("named-checkzone")
            .arg("rpz.avscope.invalid")
            .arg(exported)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.ends_with("OK\n"), "{text}");
    }
}

#[test]
fn suricata_loads_the_rules() {
    if !is_there("suricata") {
        // No registry has it for this system: nothing that could be required.
        println!("NOT LOADED in Suricata, which is not there");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (exported, _) = export(folder.path(), "suricata", &[]);
    let output = Command::new("suricata")
        .args(["-T", "-l"])
        .arg(folder.path())
        .arg("-S")
        .arg(exported)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
}

#[test]
fn zeek_loads_the_indicators() {
    if !is_there("zeek") {
        // No registry has it for this system: nothing that could be required.
        println!("NOT LOADED in Zeek, which is not there");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (exported, _) = export(folder.path(), "zeek-intel", &[]);
    let script = format!(
        "@load frameworks/intel/seen\nredef Intel::read_files += {{ \"{}\" }};\n",
        exported.display()
    );
    let path = folder.path().join("load.zeek");
    std::fs::write(&path, script).unwrap();
    let capture = super::support::pcaps().join("demo.pcap");
    let output = Command::new("zeek")
        .current_dir(folder.path())
        .arg("-r")
        .arg(capture)
        .arg(path)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !text.contains("error"), "{text}");
}

#[test]
fn the_library_of_misp_reads_the_event() {
    if !python_has("the event in MISP's library", "pymisp") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (exported, _) = export(folder.path(), "misp", &[]);
    // It refuses types, categories and UUIDs that MISP does not know.
    let script = "import sys, pymisp\n\
        event = pymisp.MISPEvent(); event.load_file(sys.argv[1])\n\
        print(len(event.attributes), len({a.uuid for a in event.attributes}))";
    let output = python()
        .args(["-c", script])
        .arg(&exported)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let patterns: usize = rules()
        .rules()
        .map(|rule| rules().all_patterns_of(rule.number).len())
        .sum();
    assert_eq!(text.trim(), format!("{patterns} {patterns}"));
}

#[test]
fn numbers_of_rules_are_stable_and_stay_in_their_range() {
    let folder = tempfile::tempdir().unwrap();
    let sids = |more: &[&str]| -> BTreeMap<String, u32> {
        let (path, _) = export(folder.path(), "suricata", more);
        let text = std::fs::read_to_string(path).unwrap();
        text.lines()
            .filter(|line| line.starts_with("alert"))
            .map(|line| {
                let (head, rest) = line.rsplit_once(" sid:").unwrap();
                (
                    head.to_owned(),
                    rest.split_once(';').unwrap().0.parse().unwrap(),
                )
            })
            .collect()
    };
    let all = sids(&[]);
    assert_eq!(all, sids(&[]));
    assert!(
        all.values()
            .all(|sid| (1_500_000..=1_999_999).contains(sid))
    );
    assert_eq!(all.values().collect::<BTreeSet<_>>().len(), all.len());
    // Another choice of rules moves a number only where two fall on the same.
    let some = sids(&["--vendor", "kaspersky", "--vendor", "eset"]);
    let moved = some
        .iter()
        .filter(|(head, sid)| all.get(*head).is_some_and(|before| before != *sid))
        .count();
    assert!(some.len() > 100 && moved <= 3, "{moved} of {}", some.len());
    let narrow = avscope()
        .args([
            "rules",
            "export",
            "--format",
            "suricata",
            "--sids",
            "1000-1999",
        ])
        .output()
        .unwrap();
    assert_eq!(narrow.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&narrow.stderr).contains("do not fit into 1000 numbers"));
}

#[test]
fn what_a_format_cannot_carry_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let count = |wanted: &dyn Fn(PatternKind, &str) -> bool| -> usize {
        let patterns = rules()
            .rules()
            .flat_map(|rule| rules().all_patterns_of(rule.number));
        patterns.filter(|&(kind, text)| wanted(kind, text)).count()
    };
    let wildcards = count(&|kind, text| kind == PatternKind::Name && text.starts_with("*."));
    let names = count(&|kind, text| kind == PatternKind::Name && !text.starts_with("*."));
    let all = count(&|_, _| true);
    for format in ["hosts", "zeek-intel"] {
        let (_, said) = export(folder.path(), format, &[]);
        assert!(
            said.contains(&format!("left out: {wildcards} wildcards of names")),
            "{said}"
        );
    }
    let (path, said) = export(folder.path(), "hosts", &[]);
    assert!(
        said.contains(&format!("{names} of {all} patterns written")),
        "{said}"
    );
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(
        text.lines()
            .filter(|line| line.starts_with("0.0.0.0 "))
            .count(),
        names
    );
    for format in ["csv", "misp"] {
        let (_, said) = export(folder.path(), format, &[]);
        assert!(
            said.contains(&format!("{all} of {all} patterns written")),
            "{said}"
        );
    }
}
