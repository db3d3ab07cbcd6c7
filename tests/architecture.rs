//! The structure is a test: which module may import which, where `unsafe` lives, which lints guard the data path.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What each folder of `src` may import of ours. Data flows one way: nothing imports a later stage.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("wire", &[]),
    ("capture", &["model"]),
    ("decode", &["model", "wire", "capture"]),
    ("flow", &["model", "decode"]),
    ("protocol", &["model", "wire"]),
    ("observe", &["model", "decode", "flow", "protocol"]),
    ("attribute", &["model"]),
    ("exchange", &["model", "attribute"]),
    ("geo", &["model"]),
    ("policy", &["model", "attribute"]),
    (
        "aggregate",
        &["model", "decode", "flow", "attribute", "geo"],
    ),
    ("alert", &["model", "flow", "attribute", "aggregate"]),
    (
        "store",
        &[
            "model",
            "decode",
            "flow",
            "attribute",
            "geo",
            "aggregate",
            "alert",
        ],
    ),
    (
        "pipeline",
        &[
            "model",
            "capture",
            "decode",
            "flow",
            "protocol",
            "observe",
            "attribute",
            "aggregate",
        ],
    ),
    (
        "report",
        &[
            "model",
            "capture",
            "decode",
            "flow",
            "attribute",
            "geo",
            "aggregate",
            "alert",
            "pipeline",
            "policy",
        ],
    ),
    (
        "export",
        &[
            "model",
            "decode",
            "flow",
            "attribute",
            "geo",
            "aggregate",
            "alert",
            "store",
            "report",
            "policy",
        ],
    ),
    ("absence", &["model", "attribute", "flow", "aggregate"]),
    (
        "config",
        &[
            "absence",
            "aggregate",
            "alert",
            "flow",
            "attribute",
            "pipeline",
            "policy",
        ],
    ),
    (
        "cli",
        &[
            "model",
            "capture",
            "attribute",
            "exchange",
            "geo",
            "absence",
            "aggregate",
            "alert",
            "flow",
            "store",
            "report",
            "export",
            "pipeline",
            "policy",
            "config",
        ],
    ),
];

/// The files that may hold `unsafe`.
const UNSAFE: &[&str] = &["src/capture/file_map.rs"];

/// Folders through which every packet goes.
const DATA_PATH: &[&str] = &["decode", "flow", "protocol", "observe"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn folders() -> BTreeSet<String> {
    std::fs::read_dir(root().join("src"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect()
}

/// Code without comments, strings and what stands behind `#[cfg(test)]` at the foot of a file.
fn code(text: &str) -> String {
    let text = text.split("\n#[cfg(test)]\n").next().unwrap();
    text.lines()
        .map(|line| line.split("//").next().unwrap())
        .collect::<Vec<_>>()
        .join("\n")
}

/// First segments of all paths that begin with `crate::`, in braces or not.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 1;
            let mut item = String::new();
            for character in list.chars() {
                match character {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                if depth == 0 || (depth == 1 && character == ',') {
                    found.insert(item.trim().split("::").next().unwrap().to_owned());
                    item.clear();
                    if depth == 0 {
                        break;
                    }
                } else {
                    item.push(character);
                }
            }
        } else {
            found.insert(
                rest.chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect(),
            );
        }
    }
    found.remove("");
    found
}

#[test]
fn every_import_follows_the_table() {
    let folders = folders();
    let known: BTreeSet<String> = MAY_IMPORT
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    assert_eq!(folders, known, "folders of src and the table");
    for (name, may) in MAY_IMPORT {
        for file in rust_files(&root().join("src").join(name)) {
            // Tests may look anywhere.
            if file.file_name().unwrap() == "tests.rs"
                || file
                    .file_stem()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .ends_with("_tests")
            {
                continue;
            }
            let text = std::fs::read_to_string(&file).unwrap();
            for import in imports(&code(&text)) {
                assert!(
                    import == *name || may.contains(&import.as_str()) || !folders.contains(&import),
                    "{}: {name} imports {import}",
                    file.display()
                );
            }
        }
    }
}

/// Words in backquotes.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_page_shows_the_table() {
    let page = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let (_, table) = page
        .split_once("| module | may import |\n|---|---|\n")
        .unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let mut shown = Vec::new();
    for row in rows {
        let columns: Vec<&str> = row.split('|').collect();
        for module in quoted(columns[1]) {
            shown.push((module, quoted(columns[2])));
        }
    }
    shown.sort();
    let mut held: Vec<_> = MAY_IMPORT
        .iter()
        .map(|(module, may)| (*module, may.iter().copied().collect()))
        .collect();
    held.sort();
    assert_eq!(shown, held);
}

#[test]
fn the_reader_of_imports_understands_their_forms() {
    let code = "use crate::flow::{A, b::C};\nuse crate::{model::X, decode::{Y, Z}};\nfn f() { crate::geo::g() }";
    let expected: BTreeSet<String> = ["flow", "model", "decode", "geo"].map(str::to_owned).into();
    assert_eq!(imports(code), expected);
}

#[test]
fn unsafe_lives_in_named_files_and_every_block_says_why() {
    for file in rust_files(&root().join("src")) {
        let text = std::fs::read_to_string(&file).unwrap();
        let relative = file
            .strip_prefix(root())
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let blocks = code(&text).matches("unsafe {").count();
        if UNSAFE.contains(&relative.as_str()) {
            assert!(blocks > 0, "{relative} needs no exemption any more");
            assert_eq!(text.matches("// SAFETY:").count(), blocks, "{relative}");
        } else {
            assert!(
                !code(&text).contains("unsafe") && !text.contains("allow(unsafe_code"),
                "{relative}"
            );
        }
    }
}

#[test]
fn the_data_path_cannot_panic_log_or_read_a_clock() {
    let lints = [
        "indexing_slicing",
        "arithmetic_side_effects",
        "unwrap_used",
        "expect_used",
        "panic",
    ];
    let mut guarded: Vec<PathBuf> = DATA_PATH
        .iter()
        .map(|folder| root().join("src").join(folder).join("mod.rs"))
        .collect();
    guarded.push(root().join("src/attribute/matcher.rs"));
    guarded.push(root().join("src/pipeline/shard.rs"));
    for file in guarded {
        let text = std::fs::read_to_string(&file).unwrap();
        for lint in lints {
            assert!(
                text.contains(&format!("clippy::{lint}")),
                "{}: {lint}",
                file.display()
            );
        }
    }
    for folder in DATA_PATH.iter().chain(&["wire"]) {
        for file in rust_files(&root().join("src").join(folder)) {
            let text = code(&std::fs::read_to_string(&file).unwrap());
            for banned in [
                "tracing::",
                "println!",
                "Instant::",
                "SystemTime::",
                "Mutex",
                "RwLock",
            ] {
                assert!(!text.contains(banned), "{}: {banned}", file.display());
            }
        }
    }
}

#[test]
fn every_folder_is_described_in_the_architecture() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for folder in folders() {
        assert!(
            text.contains(&format!("`{folder}`")) || text.contains(&format!("`src/{folder}`")),
            "{folder}"
        );
    }
}

/// Folders of `protocol` that are no protocol themselves.
const OF_ALL_PROTOCOLS: &[&str] = &["recognise"];

fn names_in(folder: &Path) -> Vec<String> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn every_protocol_has_a_fuzz_target_with_seeds_and_a_capture() {
    let targets = names_in(&root().join("fuzz/fuzz_targets"));
    let manifest = std::fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    let readme = std::fs::read_to_string(root().join("pcaps/README.md"))
        .unwrap()
        .to_lowercase();
    for entry in std::fs::read_dir(root().join("src/protocol")).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let target = targets.iter().find(|target| target.starts_with(&name));
        let target = target.unwrap_or_else(|| panic!("{name} has no fuzz target: {targets:?}"));
        assert!(
            manifest.contains(&format!("fuzz_targets/{target}")),
            "{target} is not in fuzz/Cargo.toml"
        );
        let seeds = root()
            .join("fuzz/corpus")
            .join(target.trim_end_matches(".rs"));
        assert!(
            seeds.is_dir() && !names_in(&seeds).is_empty(),
            "{target} has no seeds"
        );
        // `http1` is one of several versions of what the captures call HTTP.
        let word = name.trim_end_matches(|character: char| character.is_ascii_digit());
        assert!(
            OF_ALL_PROTOCOLS.contains(&name.as_str()) || readme.contains(word),
            "{name} has no capture in pcaps/README.md"
        );
    }
}

#[test]
fn no_file_is_too_long_to_keep_in_ones_head() {
    for folder in ["src", "tests", "examples", "benches"] {
        for file in rust_files(&root().join(folder)) {
            let lines = std::fs::read_to_string(&file).unwrap().lines().count();
            assert!(lines <= 700, "{} has {lines} lines", file.display());
        }
    }
}
