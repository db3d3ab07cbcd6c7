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
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or_else(missing)?);
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or_else(missing)?);
    let mut names = rule_file_names(&root.join("rules/vendors"))?;
    // The order of a directory listing differs between machines; the table must not.
    names.sort();

    let mut table =
        String::from("/// Path in the repository and text of every built-in rule file.\n");
    table.push_str("static BUILTIN_FILES: &[(&str, &str)] = &[\n");
    for name in names {
        let path = format!("rules/vendors/{name}");
        writeln!(
            table,
            "    ({path:?}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/{path}\"))),"
        )
        .map_err(io::Error::other)?;
    }
    table.push_str("];\n");
    fs::write(out.join("builtin_rules.rs"), table)
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
