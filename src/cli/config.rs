//! `avscope config`: a configuration file in; whether it can work, or what holds and why, out.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser as _, Subcommand};

use super::capture_args::{configuration_file, load};
use super::policies::policies;
use super::{Cli, Command, EXIT_OK, EXIT_USAGE};
use crate::attribute::Ruleset;
use crate::config::Configuration;

/// Check a configuration file, or show what holds and why.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  avscope config check avscope.toml\n  avscope config show\n  \
    avscope config show --home-net 203.0.113.0/24\n\n\
    Order: defaults, the file (--config, or AVSCOPE_CONFIG, or /etc/avscope/avscope.toml), options of the command line. The\n\
    current folder is not searched: captures come with files of others. AVSCOPE_CONFIG= (empty) means no file at all."
)]
pub struct ConfigArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check a file; exit code 0 if it can work, 2 if not.
    Check {
        /// The file. Default: the one that other commands would read.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Show the settings as TOML, each with where it comes from: default, file and line, or option.
    Show {
        /// Options as replay has them.
        #[arg(
            value_name = "OPTIONS",
            trailing_var_arg = true,
            allow_hyphen_values = true
        )]
        options: Vec<OsString>,
    },
}

/// Runs the command.
pub fn run(args: &ConfigArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match &args.command {
        ConfigCommand::Check { file } => check(file.as_deref(), out),
        ConfigCommand::Show { options } => show(options, out),
    }
}

fn check(file: Option<&Path>, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let Some(path) = configuration_file(file) else {
        writeln!(out, "no configuration file: the defaults hold")?;
        return Ok(ExitCode::from(EXIT_OK));
    };
    let checked = load(Some(&path)).and_then(|configuration| {
        configuration.check()?;
        // What the organisation declares names policies, vendors and zones: a slip of the pen must not make one silent.
        let rules = match configuration.rules.dir.path() {
            Some(dir) => Ruleset::with_directory(dir)?,
            None => Ruleset::builtin()?,
        };
        policies(
            &configuration,
            &[],
            &rules,
            &configuration.organisation(&[]),
        )?;
        Ok(())
    });
    Ok(match checked {
        Ok(()) => {
            writeln!(out, "{}: ok", path.display())?;
            ExitCode::from(EXIT_OK)
        }
        Err(error) => refused(&error),
    })
}

fn show(options: &[OsString], out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    // The options are those of replay, so replay's own parser reads them; it wants an input, and is given one.
    let words = ["avscope".into(), "replay".into()].into_iter();
    let words = words.chain(options.iter().cloned()).chain(["-".into()]);
    let replay = match Cli::try_parse_from(words) {
        Ok(Cli {
            command: Command::Replay(replay),
        }) => replay,
        Ok(_) => return Ok(ExitCode::from(EXIT_USAGE)),
        Err(error) => {
            let _ = error.print();
            return Ok(ExitCode::from(if error.use_stderr() {
                EXIT_USAGE
            } else {
                EXIT_OK
            }));
        }
    };
    let configuration: Configuration = match replay.captures.configuration(&replay.flags()) {
        Ok(configuration) => configuration,
        Err(error) => return Ok(refused(&error)),
    };
    out.write_all(configuration.to_toml().as_bytes())?;
    Ok(ExitCode::from(EXIT_OK))
}

fn refused(error: &anyhow::Error) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "avscope: {error:#}");
    ExitCode::from(EXIT_USAGE)
}
