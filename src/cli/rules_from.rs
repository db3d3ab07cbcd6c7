//! Where rules come from, for commands that read none but rules.

use std::path::{Path, PathBuf};

use clap::Args;

use super::capture_args::load;
use crate::attribute::Ruleset;

/// Where rules beside the built-in ones come from.
#[derive(Debug, Args)]
pub struct RulesFrom {
    /// Folder of rule files that add to the built-in rules or replace those of the same vendor.
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,

    /// Configuration file that may name that folder; found as `replay` finds it where not given.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl RulesFrom {
    /// The folder of the user's own rules: the one named, else that of the configuration.
    pub fn folder(&self) -> anyhow::Result<Option<PathBuf>> {
        let configuration = load(self.config.as_deref())?;
        let folder = self.rules.as_deref().or(configuration.rules.dir.path());
        Ok(folder.map(Path::to_owned))
    }

    /// The built-in rules, with those of a folder where one is named.
    pub fn ruleset(&self) -> anyhow::Result<Ruleset> {
        Ok(match self.folder()? {
            Some(folder) => Ruleset::with_directory(&folder)?,
            None => Ruleset::builtin()?,
        })
    }
}
