//! Rule files in, a report out: what contradicts, what can never decide, what no sample exercises or proves.
//!
//! **Invariants**: the report lists every finding, not the first; its order is that of vendors and places in files.

use std::collections::{BTreeMap, HashMap};

use super::error::RulesError;
use super::rule_file::{NamePattern, Place, RuleTable};
use super::ruleset::{RuleId, Ruleset};
use super::source_files::{RuleFiles, SourceFile};

/// One thing to look at: where, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule file.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// What is the case, naming rule and name.
    pub message: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

/// What a set of rule files holds, and what is wrong with it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Vendors, with or without rules.
    pub vendors: usize,
    /// Rules.
    pub rules: usize,
    /// Patterns of all rules.
    pub patterns: usize,
    /// Names that must be judged by a rule, names that a rule must not judge, names that no rule may judge.
    pub samples: usize,
    /// The same pattern twice with the same verdict.
    pub duplicates: Vec<Finding>,
    /// The same pattern twice with different verdicts.
    pub contradicting: Vec<Finding>,
    /// Patterns without effect: a wider one of the same rule says the same.
    pub shadowed: Vec<Finding>,
    /// Rules without any positive sample.
    pub unexercised: Vec<Finding>,
    /// Samples and negatives that are not judged as they must be.
    pub failed_samples: Vec<Finding>,
    /// Rules whose positive samples all come from the same source as their patterns.
    pub unproven: Vec<Finding>,
}

impl Report {
    /// Whether nothing but unproven rules was found.
    pub fn passed(&self) -> bool {
        self.failures()
            .iter()
            .all(|(_, findings)| findings.is_empty())
    }

    /// The kinds of findings that fail a check, each with its word.
    pub fn failures(&self) -> [(&'static str, &[Finding]); 5] {
        [
            ("duplicate", &self.duplicates),
            ("contradicting", &self.contradicting),
            ("shadowed", &self.shadowed),
            ("unexercised", &self.unexercised),
            ("failed sample", &self.failed_samples),
        ]
    }
}

/// Compares the files with each other: duplicates, contradictions, patterns without effect.
///
/// Fails where even a rule set cannot be built of them, except on a pattern that occurs twice, which is reported.
pub fn check_files(files: &RuleFiles) -> Result<Report, RulesError> {
    let mut report = count(files);
    find_repeated(files, &mut report);
    find_shadowed(files, &mut report);
    if report.duplicates.is_empty() && report.contradicting.is_empty() {
        Ruleset::from_files(files)?;
    }
    Ok(report)
}

/// Does what [`check_files`] does, then runs every sample and negative against the rule set.
pub fn test_files(files: &RuleFiles) -> Result<Report, RulesError> {
    let mut report = check_files(files)?;
    if !report.duplicates.is_empty() || !report.contradicting.is_empty() {
        return Ok(report);
    }
    let ruleset = Ruleset::from_files(files)?;
    let mut number = 0;
    for file in files.files() {
        let place = Place {
            path: &file.path,
            text: &file.text,
        };
        for rule in &file.parsed.rules {
            test_rule(&ruleset, RuleId(number), rule, &place, &mut report);
            number = number.saturating_add(1);
        }
        test_negatives(&ruleset, file, &place, &mut report);
    }
    Ok(report)
}

fn count(files: &RuleFiles) -> Report {
    let mut report = Report {
        vendors: files.files().len(),
        ..Report::default()
    };
    for file in files.files() {
        report.rules += file.parsed.rules.len();
        for rule in &file.parsed.rules {
            report.patterns += rule.patterns.len();
            report.samples += rule.samples.matching.len() + rule.samples.no_match.len();
            report.samples += rule
                .observed
                .as_ref()
                .map_or(0, |observed| observed.names.len());
        }
        report.samples += file
            .parsed
            .negative
            .iter()
            .map(|negative| negative.patterns.len())
            .sum::<usize>();
    }
    report
}

fn finding<T>(place: &Place<'_>, what: &toml::Spanned<T>, message: String) -> Finding {
    Finding {
        file: place.path.to_owned(),
        line: place.line(what),
        message,
    }
}

/// Everything that a match by this rule would say about the flow.
fn verdict(vendor: &str, rule: &RuleTable) -> String {
    let engine = rule.engine.as_ref().map_or_else(
        || "no engine".to_owned(),
        |engine| format!("engine {} ({})", engine.vendor.get_ref(), engine.relation),
    );
    let product = rule.product.as_deref().unwrap_or("unknown product");
    format!(
        "{vendor}, {product}, {}, {engine}, {} confidence",
        rule.purpose, rule.confidence
    )
}

fn find_repeated(files: &RuleFiles, report: &mut Report) {
    let mut seen: HashMap<&str, (String, String)> = HashMap::new();
    for file in files.files() {
        let place = Place {
            path: &file.path,
            text: &file.text,
        };
        for rule in &file.parsed.rules {
            let verdict = verdict(file.vendor_id(), rule);
            for pattern in &rule.patterns {
                let text = pattern.get_ref().as_str();
                let at = format!("{}:{}", file.path, place.line(pattern));
                let Some((first_at, first)) = seen.insert(text, (at, verdict.clone())) else {
                    continue;
                };
                if first == verdict {
                    let message = format!("pattern {text:?} stands already at {first_at}");
                    report.duplicates.push(finding(&place, pattern, message));
                } else {
                    let message =
                        format!("pattern {text:?} says {verdict}; at {first_at} it says {first}");
                    report.contradicting.push(finding(&place, pattern, message));
                }
            }
        }
    }
}

/// A pattern under a wildcard of its own rule changes nothing, unless a pattern of another rule lies between.
fn find_shadowed(files: &RuleFiles, report: &mut Report) {
    let mut wildcards: BTreeMap<&str, (&str, usize)> = BTreeMap::new();
    for file in files.files() {
        for (number, rule) in file.parsed.rules.iter().enumerate() {
            for pattern in &rule.patterns {
                if let Some(base) = pattern.get_ref().strip_prefix("*.") {
                    wildcards.insert(base, (file.vendor_id(), number));
                }
            }
        }
    }
    for file in files.files() {
        let place = Place {
            path: &file.path,
            text: &file.text,
        };
        for (number, rule) in file.parsed.rules.iter().enumerate() {
            for pattern in &rule.patterns {
                let text = pattern.get_ref();
                let base = text.strip_prefix("*.").unwrap_or(text);
                let next = parents(base).find_map(|parent| Some((parent, wildcards.get(parent)?)));
                if let Some((parent, &owner)) = next
                    && owner == (file.vendor_id(), number)
                {
                    let id = rule.id.get_ref();
                    let message = format!(
                        "rule {id}: pattern {text:?} adds nothing to \"*.{parent}\" of the same rule"
                    );
                    report.shadowed.push(finding(&place, pattern, message));
                }
            }
        }
    }
}

/// The names above a name, the nearest first.
fn parents(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(name.split_once('.').map(|(_, parent)| parent), |parent| {
        parent.split_once('.').map(|(_, parent)| parent)
    })
}

fn test_rule(
    ruleset: &Ruleset,
    id: RuleId,
    rule: &RuleTable,
    place: &Place<'_>,
    report: &mut Report,
) {
    let name_of_rule = rule.id.get_ref();
    let judge = |name: &str| ruleset.match_name(name.as_bytes()).map(|found| found.rule);
    let said = |judged: Option<RuleId>| {
        judged.map_or_else(
            || "no rule".to_owned(),
            |rule| format!("rule {}", ruleset.rule(rule).id),
        )
    };
    let mut exercised = false;
    let mut proven = false;
    for sample in &rule.samples.matching {
        let name = sample.name.get_ref();
        let judged = judge(name);
        if judged == Some(id) {
            exercised = true;
            proven |= sample
                .source
                .as_ref()
                .is_some_and(|source| source.get_ref() != rule.source.get_ref());
        } else {
            let message = format!(
                "rule {name_of_rule}: sample {name:?} is judged by {}",
                said(judged)
            );
            report
                .failed_samples
                .push(finding(place, &sample.name, message));
        }
    }
    if let Some(observed) = &rule.observed {
        for name in &observed.names {
            if name.get_ref().starts_with("*.") {
                // The list has names under it but the rule does not say which.
                if !rule
                    .patterns
                    .iter()
                    .any(|pattern| pattern.get_ref() == name.get_ref())
                {
                    let message = format!(
                        "rule {name_of_rule}: observed {:?} is none of its patterns",
                        name.get_ref()
                    );
                    report.failed_samples.push(finding(place, name, message));
                }
                continue;
            }
            let judged = judge(name.get_ref());
            if judged == Some(id) {
                exercised = true;
                proven |= observed.list.get_ref() != rule.source.get_ref();
            } else {
                let message = format!(
                    "rule {name_of_rule}: observed {:?} is judged by {}",
                    name.get_ref(),
                    said(judged)
                );
                report.failed_samples.push(finding(place, name, message));
            }
        }
    }
    for name in &rule.samples.no_match {
        if judge(name.get_ref()) == Some(id) {
            let message = format!(
                "rule {name_of_rule}: judges {:?}, which it must not",
                name.get_ref()
            );
            report.failed_samples.push(finding(place, name, message));
        }
    }
    if !exercised {
        let message = format!("rule {name_of_rule}: no positive sample is judged by it");
        report.unexercised.push(finding(place, &rule.id, message));
    } else if !proven {
        let message = format!(
            "rule {name_of_rule}: no positive sample from another source than {:?}",
            rule.source.get_ref()
        );
        report.unproven.push(finding(place, &rule.id, message));
    }
}

fn test_negatives(ruleset: &Ruleset, file: &SourceFile, place: &Place<'_>, report: &mut Report) {
    for negative in &file.parsed.negative {
        for pattern in &negative.patterns {
            let Ok(parsed) = NamePattern::parse(pattern.get_ref()) else {
                continue;
            };
            if let Some(found) = ruleset.match_name(parsed.probe().as_bytes()) {
                let message = format!(
                    "negative {:?} is judged by rule {}, pattern {:?}; but: {}",
                    pattern.get_ref(),
                    ruleset.rule(found.rule).id,
                    ruleset.pattern(found),
                    negative.why
                );
                report.failed_samples.push(finding(place, pattern, message));
            }
        }
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
