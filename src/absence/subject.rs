//! A vendor, an engine or a product → which rules mean it, and what is known about whether it can be seen.

use crate::attribute::{Detectability, Rule, Ruleset, Vendor, VendorId, Visibility};
use crate::model::Purpose;

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Products of a vendor.
    Vendor(VendorId),
    /// The engine of a vendor, in whosever product.
    Engine(VendorId),
    /// One product of a vendor.
    Product(VendorId, String),
}

/// Why a subject is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// No rule file has that id.
    #[error("no vendor is called {0:?}; avscope detectability lists those that are known")]
    UnknownVendor(String),
    /// No product has that name.
    #[error("no product is called {product:?}; known: {known}")]
    UnknownProduct {
        /// What was asked for.
        product: String,
        /// Products of the vendor, or of all.
        known: String,
    },
    /// Several vendors have a product of that name.
    #[error("{product:?} is a product of several vendors: {vendors}; add --vendor")]
    Ambiguous {
        /// What was asked for.
        product: String,
        /// The vendors.
        vendors: String,
    },
}

impl Subject {
    /// Products of a vendor.
    pub fn vendor(rules: &Ruleset, id: &str) -> Result<Self, SubjectError> {
        Ok(Self::Vendor(known(rules, id)?.number))
    }

    /// The engine of a vendor.
    pub fn engine(rules: &Ruleset, id: &str) -> Result<Self, SubjectError> {
        Ok(Self::Engine(known(rules, id)?.number))
    }

    /// A product, in any case of letters; of that vendor, where one is given.
    pub fn product(
        rules: &Ruleset,
        vendor: Option<&str>,
        product: &str,
    ) -> Result<Self, SubjectError> {
        let vendors: Vec<&Vendor> = match vendor {
            Some(id) => vec![known(rules, id)?],
            None => rules.vendors().collect(),
        };
        let mut found: Vec<(&Vendor, &str)> = Vec::new();
        for vendor in &vendors {
            let mut names = products(rules, vendor);
            if let Some(name) = names.find(|name| name.eq_ignore_ascii_case(product)) {
                found.push((vendor, name));
            }
        }
        match &found[..] {
            [(vendor, name)] => Ok(Self::Product(vendor.number, (*name).to_owned())),
            [] => {
                let mut names: Vec<&str> = match vendor {
                    Some(_) => (vendors.iter())
                        .flat_map(|vendor| products(rules, vendor))
                        .collect(),
                    None => vec!["avscope detectability lists them"],
                };
                names.sort_unstable();
                names.dedup();
                Err(SubjectError::UnknownProduct {
                    product: product.to_owned(),
                    known: if names.is_empty() {
                        "none of this vendor".to_owned()
                    } else {
                        names.join(", ")
                    },
                })
            }
            several => Err(SubjectError::Ambiguous {
                product: product.to_owned(),
                vendors: (several.iter())
                    .map(|(vendor, _)| vendor.id.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
        }
    }

    /// The vendor whose product or engine it is.
    pub const fn vendor_id(&self) -> VendorId {
        match self {
            Self::Vendor(vendor) | Self::Engine(vendor) | Self::Product(vendor, _) => *vendor,
        }
    }

    /// Whether a rule is about it.
    pub fn is_meant_by(&self, rule: &Rule) -> bool {
        match self {
            Self::Vendor(vendor) => rule.vendor == *vendor,
            Self::Engine(vendor) => rule.engine.is_some_and(|engine| engine.vendor == *vendor),
            Self::Product(vendor, product) => {
                rule.vendor == *vendor
                    && (rule.product.as_ref())
                        .is_some_and(|name| name.eq_ignore_ascii_case(product))
            }
        }
    }

    /// How many rules show it: web sites, which anybody visits, do not.
    pub fn rules_that_show_it(&self, rules: &Ruleset) -> usize {
        let shows = |rule: &&Rule| self.is_meant_by(rule) && rule.purpose != Purpose::Web;
        rules.rules().filter(shows).count()
    }

    /// The facts about it; where there is none about the product, and of engines always, those about its vendor.
    pub fn detectability<'a>(&self, rules: &'a Ruleset) -> Vec<&'a Detectability> {
        let facts = || rules.vendor(self.vendor_id()).detectability.iter();
        let whole = |fact: &&Detectability| fact.product.is_none() && fact.engine.is_none();
        let own: Vec<_> = match self {
            // What is known of engines is about products that they are in.
            Self::Vendor(_) | Self::Engine(_) => Vec::new(),
            Self::Product(_, product) => facts()
                .filter(|fact| {
                    (fact.product.as_ref()).is_some_and(|name| name.eq_ignore_ascii_case(product))
                })
                .collect(),
        };
        if own.is_empty() {
            facts().filter(whole).collect()
        } else {
            own
        }
    }

    /// How much of it shows on the wire: the least that any fact says, and nothing where no rule would show it.
    pub fn visibility(&self, rules: &Ruleset) -> Visibility {
        let facts = self.detectability(rules);
        let least = facts.iter().map(|fact| fact.visibility).max();
        if self.rules_that_show_it(rules) == 0 {
            let web = rules.rules().any(|rule| self.is_meant_by(rule));
            return if web {
                Visibility::WebOnly
            } else {
                Visibility::NotVisible
            };
        }
        least.unwrap_or(Visibility::Partly)
    }

    /// What is in it and shows less than the whole: absent for all one knows, and perhaps there.
    pub fn less_visible_parts(&self, rules: &Ruleset) -> Vec<String> {
        let less = |fact: &&Detectability| fact.visibility != Visibility::WireVisible;
        let vendor = rules.vendor(self.vendor_id());
        let mut parts: Vec<String> = match self {
            Self::Product(..) => Vec::new(),
            Self::Vendor(_) => (vendor.detectability.iter())
                .filter(less)
                .filter_map(|fact| fact.product.clone())
                .collect(),
            Self::Engine(engine) => {
                let inside = rules.vendors().flat_map(|user| {
                    (user.engine_uses.iter())
                        .filter(|fact| fact.engine.vendor == *engine && fact.visible != Some(true))
                        .map(|fact| format!("{} of {}", fact.product, user.id))
                });
                let licensed = (vendor.engine_licences.iter())
                    .filter(|fact| fact.visible != Some(true))
                    .map(|fact| match &fact.product {
                        Some(product) => format!("{product} of {}", fact.partner),
                        None => format!("products of {}", fact.partner),
                    });
                let stated = (vendor.detectability.iter())
                    .filter(less)
                    .filter_map(|fact| fact.engine.clone());
                stated.chain(inside).chain(licensed).collect()
            }
        };
        // Several sources may say the same of one product.
        parts.sort_unstable();
        parts.dedup();
        parts
    }

    /// Seconds from one contact to the next, as a source states them, and the source.
    pub fn stated_interval<'a>(&self, rules: &'a Ruleset) -> Option<(f64, &'a str)> {
        // Of several the longest: that is how long one has to wait.
        self.detectability(rules)
            .into_iter()
            .filter_map(|fact| fact.interval.as_ref())
            .max_by_key(|interval| interval.seconds)
            .map(|interval| (f64::from(interval.seconds), interval.source.as_str()))
    }
}

fn known<'a>(rules: &'a Ruleset, id: &str) -> Result<&'a Vendor, SubjectError> {
    rules
        .vendor_by_id(id)
        .ok_or_else(|| SubjectError::UnknownVendor(id.to_owned()))
}

/// Products that rules, facts or the vendor's list name.
fn products<'a>(rules: &'a Ruleset, vendor: &'a Vendor) -> impl Iterator<Item = &'a str> {
    let number = vendor.number;
    let of_rules = rules
        .rules()
        .filter(move |rule| rule.vendor == number)
        .filter_map(|rule| rule.product.as_deref());
    let of_facts = (vendor.detectability.iter()).filter_map(|fact| fact.product.as_deref());
    let listed = vendor.products.iter().map(String::as_str);
    of_rules.chain(of_facts).chain(listed)
}
