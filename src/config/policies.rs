//! `[[policy]]` and `[[exemption]]` of a configuration: an organisation's own policies, and the exceptions that it makes.

use std::path::Path;

use super::Configuration;
use crate::attribute::RulesError;
use crate::policy::{Exemption, ExemptionTable, Organisation, Policy, PolicyTable};

/// What a configuration says about policies beside its section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// Policies, each with its text for the digest.
    policies: Vec<(Policy, String)>,
    exemptions: Vec<Exemption>,
    /// The texts of exemptions.
    exemption_texts: Vec<String>,
}

impl Written {
    /// What the tables say; `text` is the whole file.
    pub fn new(
        policies: Vec<PolicyTable>,
        exemptions: Vec<ExemptionTable>,
        path: &Path,
        text: &str,
    ) -> Result<Self, RulesError> {
        let path = path.display().to_string();
        let mut written = Self::default();
        let texts = tables(text, "policy");
        for (number, table) in policies.into_iter().enumerate() {
            let own = texts.get(number).cloned().unwrap_or_default();
            written.policies.push((table.policy(&path, text)?, own));
        }
        for table in exemptions {
            written.exemptions.push(table.exemption(&path, text)?);
        }
        written.exemption_texts = tables(text, "exemption");
        Ok(written)
    }

    /// As a file that says the same.
    pub fn to_toml(&self) -> String {
        let policies = (self.policies.iter())
            .map(|(policy, text)| format!("\n[[policy]] # {}\n{text}", policy.place));
        let exemptions = self.exemption_texts.iter();
        let exemptions = exemptions.map(|text| format!("\n[[exemption]]\n{text}"));
        policies.chain(exemptions).collect()
    }
}

/// The texts of all tables of one name, without their comments.
fn tables(text: &str, name: &str) -> Vec<String> {
    let table: toml::Table = toml::from_str(text).unwrap_or_default();
    let list = table.get(name).and_then(toml::Value::as_array);
    let texts = list.into_iter().flatten();
    texts
        .filter_map(|table| toml::to_string(table).ok())
        .collect()
}

impl Configuration {
    /// The organisation's own policies, each with its text.
    pub fn policies(&self) -> Vec<(Policy, String)> {
        self.written_policies.policies.clone()
    }

    /// What the organisation says of itself; `named` are the policies that a run was asked to judge by.
    pub fn organisation(&self, named: &[String]) -> Organisation {
        let section = &self.organisation;
        Organisation {
            roles: section.roles.value.iter().copied().collect(),
            adopted: section.policies.value.iter().cloned().collect(),
            named: named.iter().cloned().collect(),
            exemptions: self.written_policies.exemptions.clone(),
        }
    }
}
