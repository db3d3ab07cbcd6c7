//! Policies and findings by the program: what the demo indicates under which, own policies, the record and its deadlines.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{avscope, pcaps};

const AGENCY: &str = "[organisation]\nroles = [\"us-federal-civilian-agency\"]\n";

fn demo() -> PathBuf {
    pcaps().join("demo.pcap")
}

/// A report on the demo under a configuration.
fn report(configuration: &str, options: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("avscope.toml");
    std::fs::write(&config, configuration).unwrap();
    let output = avscope()
        .args(["replay", "--quiet", "--format", "json", "--config"])
        .arg(&config)
        .args(options)
        .arg(demo())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The findings of one host under one policy, as result and reason.
fn of<'a>(report: &'a Value, host: &str, policy: &str) -> Vec<(&'a str, &'a str)> {
    let findings = report["findings"].as_array().unwrap();
    let those = findings
        .iter()
        .filter(|finding| finding["host"] == host && finding["policy"] == policy);
    let word = |value: &'a Value| value.as_str().unwrap();
    those
        .map(|finding| (word(&finding["result"]), word(&finding["reason"])))
        .collect()
}

#[test]
fn the_engine_inside_is_indicated_by_the_act_and_not_by_the_directive() {
    let report = report(AGENCY, &[]);
    // 192.168.10.2 is a gateway of Check Point that fetches from kav8.checkpoint.com.
    let gateway = "192.168.10.2";
    assert_eq!(
        of(&report, gateway, "us-ndaa-1634"),
        [("indicates", "embedded_engine")]
    );
    assert_eq!(
        of(&report, gateway, "us-bod-17-01"),
        [("not_applicable", "embedded_not_covered")]
    );
    // 192.168.10.21 has the product itself.
    for policy in ["us-ndaa-1634", "us-bod-17-01"] {
        let found = of(&report, "192.168.10.21", policy);
        assert!(
            found.contains(&("indicates", "product")),
            "{policy}: {found:?}"
        );
    }
    // 192.168.10.32 looked at the web site.
    let visit = of(&report, "192.168.10.32", "us-ndaa-1634");
    assert_eq!(visit, [("not_applicable", "web_visit")]);
    let findings = report["findings"].as_array().unwrap();
    let embedded = findings
        .iter()
        .find(|finding| finding["host"] == gateway && finding["policy"] == "us-ndaa-1634")
        .unwrap();
    assert_eq!(embedded["vendor_seat"], "IL");
    assert_eq!(embedded["engine"]["vendor"], "kaspersky");
    assert_eq!(embedded["engine"]["vendor_seat"], "RU");
    assert_eq!(embedded["severity"], "high");
    assert!(!embedded["questions"].as_array().unwrap().is_empty());
    assert!(!embedded["cite"].as_array().unwrap().is_empty());
    let exposures = report["exposures"].as_array().unwrap();
    let shown = exposures
        .iter()
        .find(|exposure| exposure["id"] == embedded["exposure"])
        .unwrap();
    assert_eq!(shown["host"], gateway);
    let policies = &report["policies"];
    assert!(
        policies["disclaimer"]
            .as_str()
            .unwrap()
            .contains("Not legal advice")
    );
    // Every result that is counted is listed.
    for policy in policies["in_force"].as_array().unwrap() {
        for (result, count) in policy["results"].as_object().unwrap() {
            let listed = findings.iter().filter(|finding| {
                finding["policy"] == policy["id"] && finding["result"] == **result
            });
            assert_eq!(listed.count() as u64, count.as_u64().unwrap(), "{result}");
        }
    }
}

#[test]
fn without_a_role_nothing_is_judged() {
    let report = report("", &[]);
    assert_eq!(report["findings"], Value::Array(Vec::new()));
    assert_eq!(report["policies"]["in_force"], Value::Array(Vec::new()));
    assert!(report["policies"]["known"].as_u64().unwrap() >= 20);
}

#[test]
fn a_named_policy_is_judged_by_alone_and_tells_by_the_exit_code() {
    let run = |options: &[&str]| {
        let mut command = avscope();
        command
            .args(["replay", "--quiet"])
            .args(options)
            .arg(demo());
        let output = command.output().unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        (
            output.status.code(),
            out,
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (code, out, _) = run(&["--policy", "us-ndaa-1634", "--exit-code"]);
    assert_eq!(code, Some(3), "{out}");
    for part in [
        "What this indicates under the policies you declared",
        "named, whatever roles are declared",
        "Not legal advice",
        "with engine of kaspersky (RU) inside",
    ] {
        assert!(out.contains(part), "{part} in {out}");
    }
    assert!(!out.contains("us-bod-17-01"), "{out}");
    assert_eq!(
        run(&["--policy", "us-ndaa-1634"]).0,
        Some(0),
        "only if asked for"
    );
    // Whether anybody received a notice no packet shows.
    let (code, _, _) = run(&["--policy", "cn-reported-2026", "--exit-code"]);
    assert_eq!(code, Some(0));
    // Of several one is enough.
    let both = [
        "--policy",
        "cn-reported-2026",
        "--policy",
        "us-ict-2024",
        "--exit-code",
    ];
    assert_eq!(run(&both).0, Some(3));
    // A list that forbids nothing indicates nothing.
    let (code, _, _) = run(&["--policy", "us-entity-list-kaspersky", "--exit-code"]);
    assert_eq!(code, Some(0));
    let (code, _, error) = run(&["--policy", "us-ndaa-1643"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("us-ndaa-1634"), "{error}");
    assert_eq!(run(&["--exit-code"]).0, Some(0), "no role, no finding");
}

#[test]
fn own_policies_take_a_few_lines() {
    let own = "[zones]\noffice = [\"192.168.10.16/28\"]\n[[policy]]\nid = \"mine\"\ntitle = \"Mine\"\nvendors = [\"kaspersky\"]\n\
               embedded = \"covered\"\n";
    let report_of = |more: &str| report(&format!("{own}{more}"), &[]);
    let everywhere = report_of("");
    assert_eq!(
        of(&everywhere, "192.168.10.2", "mine"),
        [("indicates", "embedded_engine")]
    );
    assert_eq!(everywhere["policies"]["in_force"][0]["basis"], "own");
    let zoned = report_of("zones = [\"office\"]\n");
    assert_eq!(
        of(&zoned, "192.168.10.2", "mine"),
        [("not_applicable", "other_zone")]
    );
    let exempt = report_of(
        "[[exemption]]\npolicy = \"mine\"\nhosts = [\"192.168.10.2\"]\nuntil = 2099-12-31\nreason = \"waiver\"\n",
    );
    assert_eq!(
        of(&exempt, "192.168.10.2", "mine"),
        [("exempt", "exemption")]
    );
    let ended = report_of(
        "[[exemption]]\npolicy = \"mine\"\nhosts = [\"192.168.10.2\"]\nuntil = 2001-12-31\nreason = \"waiver\"\n",
    );
    assert_eq!(
        of(&ended, "192.168.10.2", "mine"),
        [("indicates", "embedded_engine")]
    );
    assert_ne!(
        everywhere["policies"]["digest"],
        report("", &[])["policies"]["digest"]
    );
    let taken = report(
        "[organisation]\npolicies = [\"foreign-adversary-jurisdiction\"]\n",
        &[],
    );
    assert_eq!(
        of(&taken, "192.168.10.2", "foreign-adversary-jurisdiction"),
        [("indicates", "embedded_engine")]
    );
}

#[test]
fn a_slip_of_the_pen_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("avscope.toml");
    for (text, parts) in [
        (
            "[organisation]\nroles = [\"us-everybody\"]",
            &["toml:2", "us-person"][..],
        ),
        (
            "[organisation]\npolicies = [\"q\"]",
            &["no policy \"q\"", "us-ndaa-1634"],
        ),
        (
            "[[policy]]\nid = \"p\"\ntitle = \"P\"\nvendor = [\"eset\"]",
            &["toml:4", "unknown field `vendor`", "`vendors`"],
        ),
        (
            "[[policy]]\nid = \"p\"\ntitle = \"P\"",
            &["toml:2", "about nobody"],
        ),
        (
            "[[policy]]\nid = \"p\"\ntitle = \"P\"\nvendors = [\"essset\"]",
            &["toml:2", "no vendor \"essset\""],
        ),
        (
            "[[policy]]\nid = \"p\"\ntitle = \"P\"\nvendors = [\"eset\"]\nzones = [\"ofice\"]",
            &["toml:2", "\"ofice\" is not configured"],
        ),
        (
            "[[exemption]]\npolicy = \"us-ndaa-1634\"\nreason = \"x\"\nhosts = [\"10.0.0.1\"]",
            &["toml:3", "a last day"],
        ),
        (
            "[[exemption]]\nreason = \"x\"\nuntil = 2026-01-01\nhosts = [\"10.0.0.1\"]",
            &["toml:2", "names its policy"],
        ),
        (
            "[[exemption]]\npolicy = \"q\"\nreason = \"x\"\nuntil = 2026-01-01\nhosts = [\"10.0.0.1\"]",
            &["no policy \"q\""],
        ),
    ] {
        std::fs::write(&config, text).unwrap();
        let output = avscope()
            .args(["config", "check"])
            .arg(&config)
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}: {error}");
        for part in parts {
            assert!(error.contains(part), "{part} in {error}");
        }
    }
}

#[test]
fn what_is_shown_of_a_configuration_gives_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("a.toml"), folder.path().join("b.toml"));
    let text = "[organisation]\nroles = [\"us-person\"]\n[[policy]]\nid = \"p\"\ntitle = \"P\"\nseats = [\"RU\"]\nfrom = 2024-01-01\n\
                [[exemption]]\npolicy = \"p\"\nreason = \"x\"\nuntil = 2026-01-01\nhosts = [\"10.0.0.1\"]\n";
    std::fs::write(&first, text).unwrap();
    let shown = |path: &Path| {
        let output = avscope()
            .args(["config", "show", "--config"])
            .arg(path)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    std::fs::write(&second, shown(&first)).unwrap();
    let without_origins = |text: String| -> Vec<String> {
        text.lines()
            .map(|line| line.split(" # ").next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        without_origins(shown(&first)),
        without_origins(shown(&second))
    );
    let listed = |path: &Path| {
        let output = avscope()
            .args(["policies", "list", "--config"])
            .arg(path)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.split("digest ")
            .nth(1)
            .unwrap()
            .lines()
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(listed(&first), listed(&second));
}

#[test]
fn policies_of_a_folder_are_checked_and_judged_by() {
    let folder = tempfile::tempdir().unwrap();
    let policies = folder.path().join("policies");
    std::fs::create_dir(&policies).unwrap();
    let file = policies.join("mine.toml");
    let good = "format = 1\n[policy]\nid = \"mine\"\ntitle = \"Mine\"\nengines = [\"kaspersky\"]\n";
    std::fs::write(&file, good).unwrap();
    let check = |path: &Path| {
        let output = avscope()
            .args(["rules", "check"])
            .arg(path)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    for path in [folder.path(), &policies, &file] {
        let (code, out) = check(path);
        assert_eq!(code, Some(0), "{out}");
        assert!(out.contains("policies: "), "{out}");
    }
    let output = avscope()
        .args(["rules", "test", "--rules"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let judged = report("", &["--rules", folder.path().to_str().unwrap()]);
    assert_eq!(
        of(&judged, "192.168.10.2", "mine"),
        [("indicates", "embedded_engine")]
    );
    std::fs::write(&file, good.replace("engines", "engine")).unwrap();
    let (code, out) = check(folder.path());
    assert_eq!(code, Some(2), "{out}");
    for part in ["mine.toml", "line 5", "`engines`"] {
        assert!(out.contains(part), "{part} in {out}");
    }
    std::fs::write(&file, good.replace("\"kaspersky\"", "\"kasperski\"")).unwrap();
    let (code, out) = check(folder.path());
    assert_eq!(code, Some(2), "{out}");
    assert!(out.contains("no vendor \"kasperski\""), "{out}");
}

#[test]
fn policies_are_listed_and_shown_with_what_they_rest_on() {
    let output = avscope()
        .args(["policies", "list", "--format", "json"])
        .output()
        .unwrap();
    let lines: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines.len() >= 20);
    assert!(
        lines.iter().all(|policy| policy["in_force"].is_null()),
        "no role is assumed"
    );
    let output = avscope()
        .args(["policies", "show", "us-far-52-204-23"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "52.240-91",
        "us-federal-contractor",
        "covered",
        "3 business days after identification",
        "since 2023-12-04",
        "[partly_read]",
        "Not legal advice",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let output = avscope()
        .args(["policies", "show", "us-nothing"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
}

/// A record of findings in a folder of its own, and the commands that work on it.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn of_a_contractor() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = "[organisation]\nroles = [\"us-federal-contractor\"]\n";
        std::fs::write(folder.path().join("avscope.toml"), text).unwrap();
        Self { folder }
    }

    fn record(&self) -> PathBuf {
        self.folder.path().join("findings.json")
    }

    fn replay(&self) -> Value {
        let output = avscope()
            .args(["replay", "--quiet", "--format", "json", "--config"])
            .arg(self.folder.path().join("avscope.toml"))
            .arg("--findings")
            .arg(self.record())
            .arg(demo())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Exit code, and everything that is said.
    fn finding(&self, words: &[&str]) -> (Option<i32>, String) {
        let mut command = avscope();
        command
            .arg("finding")
            .args(words)
            .arg("--findings")
            .arg(self.record());
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), format!("{text}{error}"))
    }
}

#[test]
fn a_record_is_kept_and_the_same_again_changes_nothing() {
    let desk = Desk::of_a_contractor();
    assert_eq!(desk.finding(&["list"]).0, Some(1), "there is no record yet");
    let id = desk.replay()["findings"][0]["id"].clone();
    let first = std::fs::read(desk.record()).unwrap();
    assert_eq!(desk.replay()["findings"][0]["id"], id, "ids are stable");
    assert_eq!(std::fs::read(desk.record()).unwrap(), first);
    let kept: Value = serde_json::from_slice(&first).unwrap();
    let mut results = kept["findings"].as_object().unwrap().values();
    assert!(results.all(|finding| finding["result"] != "not_applicable"));
    let (_, listed) = desk.finding(&["list"]);
    let id = id.as_str().unwrap();
    assert!(
        listed.contains(id) && !listed.contains("by 20"),
        "no packet starts a clock: {listed}"
    );
    // What is no record is not overwritten.
    std::fs::write(desk.record(), "{\"version\": 2}").unwrap();
    let mut replay = avscope();
    replay
        .args(["replay", "--quiet", "--findings"])
        .arg(desk.record())
        .arg(demo());
    assert_eq!(replay.output().unwrap().status.code(), Some(1));
    let left = std::fs::read_to_string(desk.record()).unwrap();
    assert_eq!(left, "{\"version\": 2}");
}

#[test]
fn a_clock_starts_when_a_person_says_so() {
    let desk = Desk::of_a_contractor();
    let report = desk.replay();
    let id = report["findings"][0]["id"].as_str().unwrap().to_owned();
    let finding = |words: &[&str]| desk.finding(words);
    assert_eq!(
        finding(&["report", &id, "--at", "2024-10-08"]).0,
        Some(1),
        "first it is identified"
    );
    assert_eq!(finding(&["identify", &id, "--at", "soon"]).0, Some(2));
    assert_eq!(
        finding(&["identify", "0000000000000000", "--at", "2024-10-07"]).0,
        Some(1)
    );
    // 14 October 2024 is Columbus Day.
    let (code, text) = finding(&["identify", &id, "--at", "2024-10-07", "--by", "J. Doe"]);
    assert_eq!(code, Some(0), "{text}");
    for part in [
        "by 2024-10-10: first report",
        "at the latest",
        "2024-10-25: follow-up",
        "Not legal advice",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let (code, text) = finding(&["identify", &id, "--at", "2024-10-09"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("--replace"), "{text}");
    assert_eq!(
        finding(&["report", &id, "--at", "2024-10-01"]).0,
        Some(1),
        "before it was identified"
    );
    let (code, text) = finding(&["report", &id, "--at", "2024-10-08"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("by 2024-10-23: follow-up") && !text.contains("at the latest"),
        "{text}"
    );
    desk.replay();
    let (_, after) = finding(&["list", "--format", "json"]);
    let line = after.lines().find(|line| line.contains(&id)).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(
        line["finding"]["identified"]["at"], "2024-10-07",
        "a replay keeps what people noted"
    );
    assert_eq!(line["due"][1]["day"], "2024-10-23");
}

#[test]
fn metrics_count_findings_of_policies_in_force_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.prom");
    let run = |policy: &[&str]| {
        let output = avscope()
            .args(["replay", "--quiet", "--format", "json", "--metrics"])
            .arg(&path)
            .args(policy)
            .arg(demo())
            .output()
            .unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        (report, std::fs::read_to_string(&path).unwrap())
    };
    let (report, text) = run(&["--policy", "us-ndaa-1634"]);
    for (result, count) in report["policies"]["in_force"][0]["results"]
        .as_object()
        .unwrap()
    {
        let line =
            format!("avscope_findings{{policy=\"us-ndaa-1634\",result=\"{result}\"}} {count}\n");
        assert!(text.contains(&line), "{line}");
    }
    assert!(!text.contains("us-bod-17-01"));
    assert!(!run(&[]).1.contains("avscope_findings{"));
}

#[test]
fn more_findings_than_room_are_counted() {
    let report = report(&format!("{AGENCY}findings_max = 2\n"), &[]);
    assert_eq!(report["findings"].as_array().unwrap().len(), 2);
    let counted: u64 = (report["policies"]["in_force"].as_array().unwrap().iter())
        .flat_map(|policy| policy["results"].as_object().unwrap().values())
        .map(|count| count.as_u64().unwrap())
        .sum();
    assert_eq!(report["policies"]["findings_refused"], counted - 2);
    let result = |number: usize| &report["findings"][number]["result"];
    assert!(
        result(0) == "indicates" && result(1) == "indicates",
        "what counts most stays"
    );
}
