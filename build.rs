//! Reads the names of the rule files and writes the Rust table that compiles them into the binary.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

#[allow(
    clippy::disallowed_macros,
    reason = "this is how a build script speaks to cargo"
)]
fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=rules/vendors");
    println!("cargo::rerun-if-changed=rules/policies");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or_else(missing)?);
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or_else(missing)?);
    let rules = table(&root, "rules/vendors", "BUILTIN_FILES", "rule file")?;
    fs::write(out.join("builtin_rules.rs"), rules)?;
    let policies = table(&root, "rules/policies", "BUILTIN_POLICIES", "policy")?;
    fs::write(out.join("builtin_policies.rs"), policies)
}

/// A table of path and text of every file in a folder.
fn table(root: &Path, folder: &str, constant: &str, what: &str) -> io::Result<String> {
    let mut names = rule_file_names(&root.join(folder))?;
    // The order of a directory listing differs between machines; the table must not.
    names.sort();

    let mut table = format!("/// Path in the repository and text of every built-in {what}.\n");
    writeln!(table, "static {constant}: &[(&str, &str)] = &[").map_err(io::Error::other)?;
    for name in names {
        let path = format!("{folder}/{name}");
        writeln!(
            table,
            "    ({path:?}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/{path}\"))),"
        )
        .map_err(io::Error::other)?;
    }
    table.push_str("];\n");
    Ok(table)
}

fn rule_file_names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_rule_file = path
            .extension()
            .is_some_and(|extension| extension == "toml");
        if let Some(name) = path
            .file_name()
            .and_then(|name| name.to_str())
            .filter(|_| is_rule_file)
        {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

fn missing() -> io::Error {
    io::Error::other("cargo did not set the variables of a build script")
}
