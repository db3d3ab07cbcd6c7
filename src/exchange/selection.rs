//! A rule set and a choice in; the patterns chosen, with what each says, and who takes names out of each wildcard, out.

use std::collections::{BTreeMap, BTreeSet};

use crate::attribute::{
    EngineRelation, PatternKind, Rule, RuleId, Ruleset, ValidityDate, Vendor, VendorId,
};
use crate::model::Confidence;

/// Which patterns to export.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only of these vendors; empty: of all.
    pub vendors: BTreeSet<VendorId>,
    /// Only of rules at least this sure.
    pub confidence: Option<Confidence>,
    /// Only of rules that hold on this day; `None`: of all, also dated ones.
    pub at: Option<ValidityDate>,
}

/// One pattern, with the rule that it stands in.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// The vendor whose product contacts it.
    pub vendor: &'a Vendor,
    /// Whose engine works inside.
    pub engine: Option<(&'a Vendor, EngineRelation)>,
    /// What the pattern is compared with.
    pub kind: PatternKind,
    /// The pattern.
    pub text: &'a str,
}

/// What was chosen, and what else decides about names.
#[derive(Clone, Debug)]
pub struct Selected<'a> {
    /// The rule set.
    pub rules: &'a Ruleset,
    /// The choice.
    pub selection: &'a Selection,
    /// Patterns chosen, ordered by vendor and place in the file.
    pub items: Vec<Item<'a>>,
    /// Patterns of names that hold and were not chosen: they still take names out of wildcards that were.
    pub others: Vec<Item<'a>>,
    /// By the name of a wildcard: patterns under it that belong to another rule, none of them under another of the list.
    exceptions: BTreeMap<&'a str, Vec<&'a str>>,
}

impl Selection {
    /// The patterns of `rules` that are chosen.
    pub fn of<'a>(&'a self, rules: &'a Ruleset) -> Selected<'a> {
        let (mut items, mut others) = (Vec::new(), Vec::new());
        for rule in rules.rules() {
            if self.at.is_some_and(|day| !rule.holds_on(day)) {
                continue;
            }
            let chosen = self.chooses(rule);
            for (kind, text) in rules.all_patterns_of(rule.number) {
                let item = Item {
                    rule,
                    vendor: rules.vendor(rule.vendor),
                    engine: (rule.engine)
                        .map(|engine| (rules.vendor(engine.vendor), engine.relation)),
                    kind,
                    text,
                };
                if chosen {
                    items.push(item);
                } else {
                    others.push(item);
                }
            }
        }
        let exceptions = exceptions(items.iter().chain(&others).copied());
        Selected {
            rules,
            selection: self,
            items,
            others,
            exceptions,
        }
    }

    /// Whether rules of this kind are wanted, whatever the day.
    fn chooses(&self, rule: &Rule) -> bool {
        (self.vendors.is_empty() || self.vendors.contains(&rule.vendor))
            && (self.confidence).is_none_or(|least| rule.confidence >= least)
    }
}

impl<'a> Selected<'a> {
    /// Patterns that take names out of the wildcard over `base` for another rule.
    pub fn exceptions(&self, base: &str) -> &[&'a str] {
        self.exceptions.get(base).map_or(&[], Vec::as_slice)
    }

    /// Whether patterns of this rule were chosen.
    pub fn has(&self, rule: RuleId) -> bool {
        let rule = self.rules.rule(rule);
        self.selection.chooses(rule) && self.selection.at.is_none_or(|day| rule.holds_on(day))
    }

    /// The item of the pattern that decides about a name, chosen or not.
    pub fn deciding(&self, name: &str) -> Option<(RuleId, &'a str)> {
        let found = match self.selection.at {
            Some(day) => self.rules.match_name_on(name.as_bytes(), day),
            None => self.rules.match_name(name.as_bytes()),
        }?;
        Some((found.rule, self.rules.pattern(found)))
    }

    /// How many of the patterns chosen hold between certain days only.
    pub fn dated(&self) -> usize {
        let dated = |item: &&Item<'_>| item.rule.validity().is_dated();
        self.items.iter().filter(dated).count()
    }
}

/// Of each wildcard, the patterns under it that say something else.
fn exceptions<'a>(
    items: impl Iterator<Item = Item<'a>> + Clone,
) -> BTreeMap<&'a str, Vec<&'a str>> {
    let names = items.filter(|item| item.kind == PatternKind::Name);
    let mut wildcards: BTreeMap<&str, RuleId> = BTreeMap::new();
    for item in names.clone() {
        if let Some(base) = item.text.strip_prefix("*.") {
            wildcards.insert(base, item.rule.number);
        }
    }
    let mut found: BTreeMap<&'a str, Vec<&'a str>> = BTreeMap::new();
    for item in names {
        let base = item.text.strip_prefix("*.").unwrap_or(item.text);
        for parent in parents(base) {
            let Some((parent, rule)) = wildcards.get_key_value(parent) else {
                continue;
            };
            if *rule != item.rule.number {
                found.entry(parent).or_default().push(item.text);
            }
        }
    }
    for list in found.values_mut() {
        // A wildcard in the list takes everything under it along.
        let bases: BTreeSet<&str> = (list.iter())
            .filter_map(|text| text.strip_prefix("*."))
            .collect();
        list.retain(|text| {
            let base = text.strip_prefix("*.").unwrap_or(text);
            !parents(base).any(|parent| bases.contains(parent))
        });
        list.sort_unstable();
    }
    found
}

/// The names above a name, the nearest first.
pub(super) fn parents(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(name.split_once('.').map(|(_, parent)| parent), |parent| {
        parent.split_once('.').map(|(_, parent)| parent)
    })
}

impl Item<'_> {
    /// Vendor and seat, purpose, product and engine in a few words.
    pub fn words(&self) -> String {
        use std::fmt::Write as _;
        let vendor = self.vendor;
        let mut text = format!("{} ({})", vendor.legal_name, vendor.jurisdiction);
        if let Some(product) = &self.rule.product {
            let _ = write!(text, ", {product}");
        }
        let _ = write!(text, ", {}", self.rule.purpose);
        if let Some((engine, relation)) = self.engine {
            let _ = write!(
                text,
                ", {relation} of {} ({})",
                engine.legal_name, engine.jurisdiction
            );
        }
        text
    }

    /// The address within the citation, if there is one.
    pub fn source_url(&self) -> Option<&str> {
        let (_, rest) = self.rule.source.rsplit_once('<')?;
        rest.strip_suffix('>')
    }
}
