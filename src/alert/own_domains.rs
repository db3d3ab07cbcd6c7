//! The registrable domains under which the rules know names of one vendor → whose a name that no rule knows may be.

use std::collections::HashMap;

use crate::attribute::{PatternKind, Ruleset, VendorId};

/// Registrable domains (the public suffix list's) that hold names of exactly one vendor.
#[derive(Debug, Default)]
pub struct OwnDomains {
    vendors: HashMap<String, VendorId>,
    /// The name that is looked up, in lower case. Reused from name to name.
    name: String,
}

impl OwnDomains {
    /// From all patterns for names. A domain with names of several vendors is nobody's.
    pub fn new(rules: &Ruleset) -> Self {
        let mut vendors: HashMap<String, Option<VendorId>> = HashMap::new();
        for rule in rules.rules() {
            for (kind, pattern) in rules.all_patterns_of(rule.number) {
                if kind != PatternKind::Name {
                    continue;
                }
                let Some(domain) = registrable(pattern.trim_start_matches("*.").as_bytes()) else {
                    continue;
                };
                vendors
                    .entry(domain)
                    .and_modify(|known| {
                        if *known != Some(rule.vendor) {
                            *known = None;
                        }
                    })
                    .or_insert(Some(rule.vendor));
            }
        }
        let vendors = vendors.into_iter();
        Self {
            vendors: vendors
                .filter_map(|(domain, vendor)| Some((domain, vendor?)))
                .collect(),
            name: String::new(),
        }
    }

    /// The vendor whose domain the name is under, with the domain. Whoever is under a registrable domain has that one, so the list of
    /// suffixes need not be asked again.
    pub fn vendor_of(&mut self, name: &[u8]) -> Option<(VendorId, &str)> {
        let name = std::str::from_utf8(name).ok()?;
        self.name.clear();
        self.name.push_str(name.strip_suffix('.').unwrap_or(name));
        self.name.make_ascii_lowercase();
        // A domain has two labels at least.
        let mut end = self.name.rfind('.')?;
        loop {
            let before = self.name.get(..end)?;
            let begin = before.rfind('.').map_or(0, |dot| dot + 1);
            let domain = self.name.get(begin..)?;
            if let Some((domain, vendor)) = self.vendors.get_key_value(domain) {
                return Some((*vendor, domain));
            }
            end = begin.checked_sub(1)?;
        }
    }
}

/// The part of a name that somebody registered, in lower case.
fn registrable(name: &[u8]) -> Option<String> {
    let name = name.strip_suffix(b".").unwrap_or(name).to_ascii_lowercase();
    let domain = psl::domain(&name)?;
    if !domain.suffix().is_known() {
        return None;
    }
    String::from_utf8(domain.as_bytes().to_vec()).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends at its first surprise")]
mod tests {
    use super::*;

    #[test]
    fn only_a_domain_of_one_vendor_points_to_it() {
        let rules = Ruleset::builtin().unwrap();
        let mut domains = OwnDomains::new(&rules);
        let mut vendor = |name: &str| {
            let (vendor, domain) = domains.vendor_of(name.as_bytes())?;
            Some((rules.vendor(vendor).id.clone(), domain.to_owned()))
        };
        let kaspersky = Some(("kaspersky".to_owned(), "kaspersky.com".to_owned()));
        assert_eq!(vendor("brand-new-service.kaspersky.com"), kaspersky);
        assert_eq!(vendor("Brand-New.KASPERSKY.com."), kaspersky);
        // Names of many vendors are there, and a name of a tenant says nothing of the next.
        assert_eq!(vendor("somebody.cloudfront.net"), None);
        assert_eq!(vendor("kaspersky.com.evil.example"), None);
        assert_eq!(vendor("com"), None);
        assert_eq!(vendor(""), None);
        assert_eq!(vendor("."), None);
        assert_eq!(vendor("..kaspersky.com"), kaspersky);
        assert_eq!(vendor("notkaspersky.com"), None);
    }
}
