//! Exceptions: which exposures a policy leaves out, why, and until when.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;
use toml::Spanned;
use toml::value::Datetime;

use super::indication::Indication;
use crate::attribute::{Place, RulesError, ValidityDate, rule_date};
use crate::model::Purpose;

/// One exception. It covers what all of its lists cover; a list that is empty covers all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exemption {
    /// The policy it is made from.
    pub policy: String,
    /// Why.
    pub reason: String,
    /// Its last day; none where the policy itself makes the exception.
    pub until: Option<ValidityDate>,
    /// Hosts and networks.
    pub hosts: Vec<IpNet>,
    /// Zones of the user's.
    pub zones: Vec<String>,
    /// Sites.
    pub sites: Vec<String>,
    /// Vendors of products.
    pub vendors: Vec<String>,
    /// Products.
    pub products: Vec<String>,
    /// Vendors of engines.
    pub engines: Vec<String>,
    /// Services.
    pub purposes: Vec<Purpose>,
}

impl Exemption {
    /// Whether it is about this exposure, whatever the day and the service.
    pub fn covers(&self, seen: &Indication) -> bool {
        let is_one = |list: &[String], word: Option<&str>| {
            list.is_empty() || word.is_some_and(|word| list.iter().any(|one| one == word))
        };
        let engine = seen.engine.as_ref().map(|engine| engine.vendor.as_str());
        (self.hosts.is_empty() || self.hosts.iter().any(|net| net.contains(&seen.host)))
            && is_one(&self.zones, seen.zone.as_deref())
            && is_one(&self.sites, seen.site.as_deref())
            && is_one(&self.vendors, Some(&seen.vendor))
            && is_one(&self.products, seen.product.as_deref())
            && is_one(&self.engines, engine)
    }

    /// Whether it is about that service.
    pub fn covers_purpose(&self, purpose: Purpose) -> bool {
        self.purposes.is_empty() || self.purposes.contains(&purpose)
    }

    /// Whether it holds on that day.
    pub fn holds_on(&self, day: ValidityDate) -> bool {
        self.until.is_none_or(|until| day <= until)
    }
}

/// `[[exemption]]` of a policy file, and of a configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExemptionTable {
    policy: Option<Spanned<String>>,
    reason: Spanned<String>,
    until: Option<Spanned<Datetime>>,
    /// The policy itself makes the exception; it has no last day of its own.
    #[serde(default)]
    statutory: bool,
    #[serde(default)]
    hosts: Vec<Spanned<String>>,
    #[serde(default)]
    zones: Vec<String>,
    #[serde(default)]
    sites: Vec<String>,
    #[serde(default)]
    vendors: Vec<String>,
    #[serde(default)]
    products: Vec<String>,
    #[serde(default)]
    engines: Vec<String>,
    #[serde(default)]
    purposes: Vec<Purpose>,
}

impl ExemptionTable {
    /// The exception that a configuration makes; it names its policy.
    pub fn exemption(self, path: &str, text: &str) -> Result<Exemption, RulesError> {
        let place = Place { path, text };
        let Some(policy) = &self.policy else {
            let problem = "an exemption names its policy: policy = \"…\"".to_owned();
            return Err(place.wrong(&self.reason, problem));
        };
        if self.statutory {
            let problem = "only a policy's own file makes an exemption without a last day";
            return Err(place.wrong(&self.reason, problem.to_owned()));
        }
        let policy = policy.get_ref().clone();
        self.checked(policy, &place)
    }

    /// The exception that stands in a policy's own file.
    pub(super) fn of_policy(
        self,
        policy: &str,
        place: &Place<'_>,
    ) -> Result<Exemption, RulesError> {
        if let Some(named) = &self.policy {
            let problem = "in a policy's file an exemption is that policy's: take `policy` out";
            return Err(place.wrong(named, problem.to_owned()));
        }
        self.checked(policy.to_owned(), place)
    }

    fn checked(self, policy: String, place: &Place<'_>) -> Result<Exemption, RulesError> {
        let wrong = |problem: &str| Err(place.wrong(&self.reason, problem.to_owned()));
        if self.reason.get_ref().trim().is_empty() {
            return wrong("an exemption has a reason");
        }
        if self.until.is_none() && !self.statutory {
            return wrong(
                "an exemption has a last day: until = 2026-12-31, or statutory = true where the policy itself makes it",
            );
        }
        let until = (self.until.as_ref()).map(|until| rule_date(until, place));
        let until = until.transpose()?;
        let mut hosts = Vec::new();
        for text in &self.hosts {
            let Some(network) = network(text.get_ref()) else {
                let problem = format!(
                    "{:?} is no host: write an address, or a network as in 192.168.0.0/16",
                    text.get_ref()
                );
                return Err(place.wrong(text, problem));
            };
            hosts.push(network);
        }
        let selective = [
            &self.zones,
            &self.sites,
            &self.vendors,
            &self.products,
            &self.engines,
        ];
        if hosts.is_empty()
            && self.purposes.is_empty()
            && selective.iter().all(|list| list.is_empty())
        {
            return wrong(
                "an exemption of everything: say which hosts, zones, sites, vendors, products, engines or purposes",
            );
        }
        Ok(Exemption {
            policy,
            reason: self.reason.into_inner(),
            until,
            hosts,
            zones: self.zones,
            sites: self.sites,
            vendors: self.vendors,
            products: self.products,
            engines: self.engines,
            purposes: self.purposes,
        })
    }
}

fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .ok()
        .map(|network| network.trunc())
}
