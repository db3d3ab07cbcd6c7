//! `avscope rules keygen`, `bundle` and `install`: keys, a signed rule set, and the way of it into a folder and back.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use super::export::write_whole;
use crate::attribute::{RuleFiles, ValidityDate};
use crate::cli::rules_from::RulesFrom;
use crate::exchange::bundle::{self, BUNDLE_BYTES_MAX};
use crate::exchange::installed::{Installed, Outcome};
use crate::exchange::keys::{PublicKey, SecretKey};

/// Make a pair of keys for bundles.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  avscope rules keygen --key avscope.key      (and avscope.key.pub, which sensors trust)\n\n\
    Keys are Ed25519 in the files that OpenSSL reads too."
)]
pub struct KeygenArgs {
    /// File for the secret half, readable by its owner alone; the public half gets the same name and .pub.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
}

/// Sign the rules into one file that sensors without a network can install.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  avscope rules bundle --key avscope.key --rules my-rules/ -o 2026-11.avrules"
)]
pub struct BundleArgs {
    /// The bundle.
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,

    /// File of the secret key.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,

    /// Version; sensors install a greater one only. Default: the time, as in 20261125093000.
    #[arg(long, value_name = "N")]
    pub bundle_version: Option<u64>,

    /// Where rules beside the built-in ones come from.
    #[command(flatten)]
    pub from: RulesFrom,
}

/// Install a bundle, or go back to the one before.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  avscope rules install 2026-11.avrules --trust avscope.key.pub --into /var/lib/avscope/rules\n  \
    avscope replay --rules /var/lib/avscope/rules/current office.pcap\n  \
    avscope rules install --rollback --into /var/lib/avscope/rules\n\n\
    Nothing is fetched. A bundle with a wrong signature, an older one, and rules that do not compile change nothing.\n\
    Exit code: 0 if it is in use, 1 if not."
)]
pub struct InstallArgs {
    /// The bundle.
    #[arg(value_name = "FILE", required_unless_present = "rollback")]
    pub file: Option<PathBuf>,

    /// Public key that may have signed it; may be repeated.
    #[arg(
        long = "trust",
        value_name = "PUBKEY",
        required_unless_present = "rollback"
    )]
    pub trusted: Vec<PathBuf>,

    /// Folder of installed bundles; the rules in use are DIR/current.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/avscope/rules")]
    pub into: PathBuf,

    /// Also where its version is not greater than the one in use.
    #[arg(long)]
    pub older: bool,

    /// Go back to what was in use before; a second time undoes it.
    #[arg(long, conflicts_with_all = ["file", "trusted", "older"])]
    pub rollback: bool,
}

/// Largest key or policy file.
const SMALL_BYTES_MAX: u64 = 1 << 20;

/// Runs `avscope rules keygen`.
pub fn keygen(args: &KeygenArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let key = SecretKey::generate()?;
    let mut name = args.key.file_name().unwrap_or_default().to_owned();
    name.push(".pub");
    let public = args.key.with_file_name(name);
    // A key that is lost cannot be made again.
    create(&args.key, 0o600, &key.to_pem())?;
    create(&public, 0o644, &key.public().to_pem())?;
    writeln!(
        out,
        "key {}: {} (keep it secret) and {} (give it to sensors)",
        key.public().id(),
        args.key.display(),
        public.display()
    )?;
    Ok(ExitCode::SUCCESS)
}

fn create(path: &Path, mode: u32, text: &str) -> anyhow::Result<()> {
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().with_context(|| {
        format!(
            "{}: cannot create; a file that is there is not replaced",
            path.display()
        )
    })
}

/// Runs `avscope rules bundle`.
pub fn bundle(args: &BundleArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let key = secret_key(&args.key)?;
    let own = args.from.folder()?;
    let files = files(own.as_deref())?;
    let version = args.bundle_version.unwrap_or_else(now);
    let bytes = bundle::write(&files, version, &key)?;
    write_whole(&args.output, &bytes)?;
    writeln!(
        out,
        "{}: version {version}, {} files, {} bytes, signed by {}",
        args.output.display(),
        files.len(),
        bytes.len(),
        key.public().id()
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Every rule file that `--rules` would use, by its path in a folder of rules.
fn files(own: Option<&Path>) -> anyhow::Result<Vec<(String, String)>> {
    let rules = match own {
        Some(folder) => RuleFiles::builtin_with_folder(folder)?,
        None => RuleFiles::builtin()?,
    };
    let vendors = rules.files().iter().map(|file| {
        (
            format!("vendors/{}.toml", file.vendor_id()),
            file.text.clone(),
        )
    });
    let mut all: Vec<(String, String)> = vendors.collect();
    // Policies are added to the built-in ones by the same folder.
    let Some(entries) = own.and_then(|folder| fs::read_dir(folder.join("policies")).ok()) else {
        return Ok(all);
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            all.push((format!("policies/{name}"), small_text(&path)?));
        }
    }
    Ok(all)
}

fn secret_key(path: &Path) -> anyhow::Result<SecretKey> {
    let mode = fs::metadata(path)
        .with_context(|| format!("{}: cannot read", path.display()))?
        .permissions()
        .mode();
    anyhow::ensure!(
        (mode & 0o077).count_ones() == 0,
        "{}: others can read this secret key; chmod 600 it, or make another",
        path.display()
    );
    SecretKey::from_pem(&small_text(path)?).with_context(|| path.display().to_string())
}

/// Runs `avscope rules install`.
pub fn install(args: &InstallArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let installed = Installed::at(&args.into);
    if args.rollback {
        installed.roll_back()?;
        writeln!(out, "{}", in_use(&installed))?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(file) = &args.file else {
        anyhow::bail!("no bundle was given");
    };
    let trusted = args.trusted.iter().map(|path| {
        PublicKey::from_pem(&small_text(path)?).with_context(|| path.display().to_string())
    });
    let trusted = trusted.collect::<anyhow::Result<Vec<_>>>()?;
    let named = || file.display().to_string();
    let bundle = bundle::read(&bytes_of(file, BUNDLE_BYTES_MAX)?, &trusted).with_context(named)?;
    match installed.install(&bundle, args.older).with_context(named)? {
        Outcome::Already => writeln!(out, "nothing changed; {}", in_use(&installed))?,
        Outcome::InUse { before: None } => writeln!(out, "{}", in_use(&installed))?,
        Outcome::InUse {
            before: Some(before),
        } => {
            writeln!(
                out,
                "{}; version {before} is kept for --rollback",
                in_use(&installed)
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn in_use(installed: &Installed) -> String {
    let rules = installed.rules();
    match installed.current() {
        Some(header) => format!(
            "in use: version {}, rule set {}, {} files, signed by {}; --rules {}",
            header.version,
            header.digest,
            header.files.len(),
            header.key,
            rules.display()
        ),
        None => "nothing is in use".to_owned(),
    }
}

fn small_text(path: &Path) -> anyhow::Result<String> {
    let bytes = bytes_of(path, SMALL_BYTES_MAX)?;
    String::from_utf8(bytes).with_context(|| format!("{}: no text", path.display()))
}

fn bytes_of(path: &Path, most: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).with_context(|| format!("{}: cannot read", path.display()))?;
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("{}: cannot read", path.display()))?;
    anyhow::ensure!(
        bytes.len() as u64 <= most,
        "{}: larger than {most} bytes",
        path.display()
    );
    Ok(bytes)
}

#[allow(
    clippy::disallowed_methods,
    reason = "when a bundle was made is a time of this world, not of a capture"
)]
fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seconds = since.map_or(0, |since| since.as_secs());
    let day = ValidityDate::of_unix_seconds(seconds);
    let day = u64::from(day.year) * 10_000 + u64::from(day.month) * 100 + u64::from(day.day);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    day * 1_000_000 + hour * 10_000 + minute * 100 + second
}
