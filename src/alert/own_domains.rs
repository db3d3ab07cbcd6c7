//! The registrable domains under which the rules know names of one vendor → whose a name that no rule knows may be.

use std::collections::HashMap;

use crate::attribute::{PatternKind, Ruleset, VendorId};

/// Registrable domains (the public suffix list's) that hold names of exactly one vendor.
#[derive(Debug, Default)]
pub struct OwnDomains {
    vendors: HashMap<String, Option<VendorId>>,
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
        Self { vendors }
    }

    /// The vendor whose domain the name is under, with the domain.
    pub fn vendor_of(&self, name: &[u8]) -> Option<(VendorId, String)> {
        let domain = registrable(name)?;
        let vendor = (*self.vendors.get(&domain)?)?;
        Some((vendor, domain))
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
        let domains = OwnDomains::new(&rules);
        let vendor = |name: &str| {
            let (vendor, domain) = domains.vendor_of(name.as_bytes())?;
            Some((rules.vendor(vendor).id.clone(), domain))
        };
        let kaspersky = Some(("kaspersky".to_owned(), "kaspersky.com".to_owned()));
        assert_eq!(vendor("brand-new-service.kaspersky.com"), kaspersky);
        assert_eq!(vendor("Brand-New.KASPERSKY.com."), kaspersky);
        // Names of many vendors are there, and a name of a tenant says nothing of the next.
        assert_eq!(vendor("somebody.cloudfront.net"), None);
        assert_eq!(vendor("kaspersky.com.evil.example"), None);
        assert_eq!(vendor("com"), None);
    }
}
