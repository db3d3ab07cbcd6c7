//! The configuration: the example and the program say the same, a wrong file is refused where it is wrong, and later sources win.

use std::path::Path;

use avscope::config::{Configuration, Origin};

use crate::support::{avscope, pcaps, settings};

const EXAMPLE: &str = include_str!("../../docs/avscope.example.toml");

fn parse(text: &str) -> Configuration {
    Configuration::parse(text, Path::new("a.toml")).unwrap()
}

fn refused(text: &str) -> String {
    match Configuration::parse(text, Path::new("a.toml")) {
        Err(error) => error.to_string(),
        Ok(configuration) => configuration.check().unwrap_err().to_string(),
    }
}

/// Values without their origins.
fn values(configuration: &Configuration) -> Vec<(&'static str, &'static str, toml::Value)> {
    let entries = configuration.entries();
    let values = entries.into_iter();
    values
        .map(|entry| (entry.section, entry.key, entry.value))
        .collect()
}

/// The example with every key that is commented out put in force; explanations have a space behind the `#`.
fn uncommented() -> String {
    let lines = EXAMPLE.lines().map(|line| match line.strip_prefix('#') {
        Some(key) if !key.is_empty() && !key.starts_with(' ') => key,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_says_the_defaults_of_every_key() {
    let defaults = Configuration::default();
    assert_eq!(parse(EXAMPLE), defaults);
    let spelled_out = parse(&uncommented());
    spelled_out.check().unwrap();
    assert_eq!(values(&spelled_out), values(&defaults));
    // A key that is missing in the example would still be a default.
    for entry in spelled_out.entries() {
        assert!(
            matches!(entry.origin, Origin::File { .. }),
            "{}.{} is not in the example",
            entry.section,
            entry.key
        );
    }
}

#[test]
fn the_example_states_the_bounds_that_hold() {
    let text = uncommented();
    let mut before = "";
    let mut bounds = 0;
    for (number, line) in text.lines().enumerate() {
        let comment = std::mem::replace(&mut before, line);
        let Some((least, most)) = comment.split_once(" to ") else {
            continue;
        };
        let Some((key, _)) = line.split_once(" = ") else {
            continue;
        };
        let least: u64 = least
            .rsplit(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap_or(u64::MAX);
        let digits = most.split(|c: char| !c.is_ascii_digit()).next().unwrap();
        let (true, Ok(most)) = (least <= 1, digits.parse::<u64>()) else {
            continue;
        };
        bounds += 1;
        let with = |value: u64| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines[number] = format!("{key} = {value}");
            parse(&lines.join("\n")).check()
        };
        // The least that is remembered cannot be more than the most.
        if key != "memory_seconds_min" {
            assert!(with(most).is_ok(), "{key} = {most}");
        }
        assert!(with(most + 1).is_err(), "{key} = {}", most + 1);
        // Where 0 is a choice, the page says so.
        let choice = least == 0 || key == "workers";
        assert_eq!(with(0).is_ok(), choice, "{key} = 0");
    }
    assert!(bounds >= 10, "{bounds}");
}

#[test]
fn without_a_file_the_settings_are_those_of_the_stages() {
    let usual = settings(&crate::support::Way::default());
    let ours = Configuration::default()
        .settings(std::sync::Arc::clone(&usual.rules))
        .unwrap();
    assert_eq!(ours.timeouts, avscope::flow::Timeouts::default());
    assert_eq!(ours.dns, avscope::pipeline::DnsLimits::default());
    assert_eq!(ours.flows_max, usual.flows_max);
    assert_eq!(
        ours.home.texts(),
        avscope::flow::HomeNetworks::default().texts()
    );
}

#[test]
fn a_file_reaches_the_stages() {
    let rules = settings(&crate::support::Way::default()).rules;
    let settings = parse(
        "[timeouts]\ntcp_new_seconds = 61\n[dns]\nmemory_seconds_min = 7\n[limits]\nnames_max = 9\n[input]\nworkers = 3\n\
         [home]\nnetworks = [\"203.0.113.0/24\"]",
    )
    .settings(rules)
    .unwrap();
    assert_eq!(settings.timeouts.tcp_new.as_secs(), 61);
    assert_eq!(settings.timeouts.udp.as_secs(), 60);
    assert_eq!(settings.ledger.memory.min.as_secs(), 7);
    assert_eq!((settings.names_max, settings.workers), (9, 3));
    assert_eq!(settings.home.texts(), ["203.0.113.0/24"]);
}

#[test]
fn what_is_wrong_is_shown_with_its_line_and_the_remedy() {
    for (text, parts) in [
        (
            "[limits]\n\nflow_max = 5",
            &[
                "a.toml:3: ",
                "unknown field `flow_max`",
                "`flows_max`",
                "docs/avscope.example.toml",
            ][..],
        ),
        (
            "[limit]\n",
            &["a.toml:1: ", "unknown field `limit`", "`limits`"],
        ),
        (
            "[limits]\nflows_max = \"many\"",
            &["a.toml:2: ", "invalid type"],
        ),
        ("[limits]\nflows_max = -1", &["a.toml:2: "]),
        ("\n[limits\n", &["a.toml:2: "]),
        (
            "# x\n[limits]\nnames_max = 1\nflows_max = 0",
            &["a.toml:4: limits.flows_max is 0: give 1 to 268435456"],
        ),
        (
            "[timeouts]\nudp_seconds = 86401",
            &["a.toml:2: ", "give 1 to 86400"],
        ),
        ("[input]\nworkers = 65", &["65 workers"]),
        (
            "[home]\nnetworks = [\"10.0.0.0/40\"]",
            &["a.toml:2: ", "is not a network"],
        ),
        (
            "[dns]\nmemory_seconds_max = 60",
            &["a.toml:2: ", "less than memory_seconds_min, which is 3600"],
        ),
        (
            "[output]\nevents_of = \"some\"",
            &["a.toml:2: output.events_of is \"some\": give one of \"all\", \"attributed\""],
        ),
        (
            "[sites.x]\ncity = \"Bonn\"",
            &["a.toml:2: ", "unknown field `city`", "`description`"],
        ),
        (
            "[sites.bonn]\n[input]\nsite = \"born\"",
            &["a.toml:3: ", "\"born\" is none of those listed: bonn"],
        ),
        (
            "[input]\nsite = \"a/b\"",
            &["a.toml:2: ", "cannot name a site"],
        ),
        (
            "[input]\nsite = \"a\"\nsite_from_path = true",
            &["contradict each other"],
        ),
    ] {
        let said = refused(text);
        for part in parts {
            assert!(said.contains(part), "{part:?} in {said:?}");
        }
    }
}

#[test]
fn zones_lie_in_home_networks_and_share_no_network() {
    let nested = parse("[zones]\nall = [\"10.0.0.0/8\"]\nlab = [\"10.1.0.0/16\", \"fd00::/64\"]");
    nested.check().unwrap();
    let zones = nested.zones().unwrap();
    assert_eq!(zones.len(), 2);
    assert_eq!(zones[1].name, "lab");
    for (text, part) in [
        (
            "b = [\"10.1.2.3/16\"]\na = [\"10.1.0.0/16\"]",
            "10.1.0.0/16 of zone b is in zone a already",
        ),
        (
            "a = [\"10.1.0.0/16\", \"10.1.0.0/16\"]",
            "is in zone a already",
        ),
        (
            "a = [\"203.0.113.0/24\"]",
            "is in no home network; add it to home.networks",
        ),
        ("a = [\"10.0.0.0/7\"]", "is in no home network"),
        ("a = [\"ten\"]", "\"ten\" in zone a is not a network"),
        ("a = []", "zone a has 0 networks"),
        ("\"a b\" = [\"10.0.0.0/8\"]", "\"a b\" cannot name a zone"),
    ] {
        let said = refused(&format!("[zones]\n{text}"));
        assert!(
            said.contains(part) && said.contains("a.toml:2"),
            "{part:?} in {said:?}"
        );
    }
    let many: String = (0..257)
        .map(|n| format!("z{n} = [\"10.0.{}.{}\"]", n / 256, n % 256))
        .collect::<Vec<_>>()
        .join("\n");
    assert!(refused("[zones]\nunzoned = [\"10.0.0.0/8\"]").contains("lies in no zone"));
    assert!(refused(&format!("[zones]\n{many}")).contains("257 zones: at most 256"));
}

#[test]
fn check_says_ok_or_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("avscope.toml");
    let check = |content: &str| {
        std::fs::write(&path, content).unwrap();
        avscope()
            .args(["config", "check"])
            .arg(&path)
            .output()
            .unwrap()
    };
    let good = check(&uncommented());
    assert_eq!(good.status.code(), Some(0), "{good:?}");
    let bad = check("[limits]\nflows_maximum = 1\n");
    assert_eq!(bad.status.code(), Some(2));
    let said = String::from_utf8(bad.stderr).unwrap();
    assert!(
        said.contains("avscope.toml:2: unknown field `flows_maximum`"),
        "{said}"
    );
    let missing = avscope()
        .args(["config", "check", "no/such.toml"])
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(2));
}

#[test]
fn show_names_the_source_of_each_value_and_gives_the_same_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my.toml");
    std::fs::write(
        &path,
        "[limits]\nflows_max = 1000\nnames_max = 2000\n[zones]\nlab = [\"10.1.0.0/16\"]\n[sites.bonn]\ndescription = \"x\"\n",
    )
    .unwrap();
    let output = avscope()
        .env("AVSCOPE_CONFIG", &path)
        .args([
            "config",
            "show",
            "--names-max",
            "3000",
            "--home-net",
            "10.0.0.0/8",
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let shown = String::from_utf8(output.stdout).unwrap();
    for line in [
        format!("flows_max = 1000 # {}:2", path.display()),
        "names_max = 3000 # --names-max".to_owned(),
        "handshakes_max = 65536 # default".to_owned(),
        "networks = [\"10.0.0.0/8\"] # --home-net".to_owned(),
    ] {
        assert!(
            shown.lines().any(|shown| shown == line),
            "{line} in {shown}"
        );
    }
    let again = parse(&shown);
    assert_eq!(again.limits.names_max.value, 3000);
    assert_eq!(again.zones().unwrap()[0].name, "lab");
    assert_eq!(again.sites()[0].name, "bonn");

    let wrong = avscope()
        .args(["config", "show", "--names-max", "0"])
        .output()
        .unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(
        String::from_utf8(wrong.stderr)
            .unwrap()
            .contains("--names-max is 0: give 1 to")
    );
}

#[test]
fn a_flag_wins_over_the_file_and_the_file_over_the_variable() {
    let folder = tempfile::tempdir().unwrap();
    let home = |name: &str, network: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("[home]\nnetworks = [\"{network}\"]\n")).unwrap();
        path
    };
    let variable = home("variable.toml", "198.51.100.0/24");
    let named = home("named.toml", "203.0.113.0/24");
    let networks = |args: &[&str]| {
        let output = avscope()
            .env("AVSCOPE_CONFIG", &variable)
            .args(["replay", "--quiet", "--format", "json"])
            .args(args)
            .arg(pcaps().join("demo.pcap"))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        report["home_networks"][0].as_str().unwrap().to_owned()
    };
    let named = named.to_str().unwrap();
    assert_eq!(networks(&[]), "198.51.100.0/24");
    assert_eq!(networks(&["--config", named]), "203.0.113.0/24");
    assert_eq!(
        networks(&["--config", named, "--home-net", "192.0.2.0/24"]),
        "192.0.2.0/24"
    );
}

#[test]
fn a_file_in_the_current_folder_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("avscope.toml"), "nonsense").unwrap();
    let output = avscope()
        .current_dir(folder.path())
        .args(["config", "show"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn the_file_says_where_events_go_and_where_countries_come_from() {
    let folder = tempfile::tempdir().unwrap();
    let (events, path) = (folder.path().join("e.jsonl"), folder.path().join("my.toml"));
    std::fs::write(&path, format!("[output]\nevents = {events:?}\n")).unwrap();
    let replay = || {
        let mut command = avscope();
        command
            .args(["replay", "--quiet", "--config"])
            .arg(&path)
            .arg(pcaps().join("demo.pcap"));
        command.output().unwrap()
    };
    assert_eq!(replay().status.code(), Some(0));
    assert!(std::fs::metadata(&events).unwrap().len() > 1000);
    std::fs::write(&path, "[geoip]\nfile = \"no/such.mmdb\"\n").unwrap();
    let output = replay();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("no/such.mmdb: ")
    );
}

#[test]
fn the_file_says_how_sites_and_worlds_are_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my.toml");
    let report = |input: &str, options: &[&str]| {
        std::fs::write(&path, format!("[input]\n{input}\n")).unwrap();
        let output = avscope()
            .args(["replay", "--quiet", "--format", "json", "--config"])
            .arg(&path)
            .args(options)
            .arg(pcaps().join("multi-site"))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        report["sites"].clone()
    };
    let by_path = report("site_from_path = true", &[]);
    assert_eq!(by_path, report("", &["--site-from-path"]));
    assert!(by_path.as_array().unwrap().len() > 1, "{by_path}");
    assert_eq!(report("site = \"hq\"", &[]), serde_json::json!(["hq"]));
    // With worlds of their own, captures are sites of their own.
    let isolated = report("isolate = true", &[]);
    assert_eq!(isolated, report("", &["--isolate"]));
    // What the command line says about sites wins over the other way in a file.
    assert_eq!(
        report("site_from_path = true", &["--site", "x"]),
        serde_json::json!(["x"])
    );
    assert_eq!(report("site = \"hq\"", &["--site-from-path"]), by_path);
}

#[test]
fn the_file_names_the_folder_of_rules_for_all_commands() {
    let folder = tempfile::tempdir().unwrap();
    let (rules, path) = (folder.path().join("none"), folder.path().join("my.toml"));
    std::fs::write(&path, format!("[rules]\ndir = {rules:?}\n")).unwrap();
    for command in [&["rules", "list"][..], &["rules", "test"]] {
        let output = avscope()
            .args(command)
            .arg("--config")
            .arg(&path)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(rules.to_str().unwrap()), "{said}");
    }
}
