//! Rule files in, a report out: what contradicts, what can never decide, what no sample exercises or proves.
//!
//! **Invariants**: the report lists every finding, not the first; its order is that of vendors and places in files.

use std::collections::{BTreeMap, HashMap};

use super::error::RulesError;
use super::glob::{Glob, GlobSet};
use super::name_pattern::NamePattern;
use super::place::Place;
use super::rule_file::{RuleTable, SampleKind, SampleTable};
use super::ruleset::{PatternKind, RuleId, Ruleset};
use super::source_files::RuleFiles;

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
    /// Of these, names.
    pub names: usize,
    /// Of these, User-Agents.
    pub user_agents: usize,
    /// Of these, URIs.
    pub uris: usize,
    /// Of these, networks and autonomous systems.
    pub networks: usize,
    /// Samples of all kinds.
    pub samples: Samples,
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
    /// Rules that hold between certain days only.
    pub dated: Vec<Finding>,
}

/// How many samples there are, by what they can show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Samples {
    /// Must be judged by their rule, and come from another source than its patterns: these prove a rule.
    pub elsewhere: usize,
    /// Must be judged by their rule, and come from its own source.
    pub own: usize,
    /// Must be judged by their rule, and were made up to exercise it.
    pub constructed: usize,
    /// Must not be judged by their rule, or by any.
    pub negative: usize,
}

impl Samples {
    /// All of them.
    pub const fn total(&self) -> usize {
        self.elsewhere + self.own + self.constructed + self.negative
    }
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

/// Compares the files with each other: duplicates, contradictions (also of rules and negatives), patterns without effect.
///
/// Fails where even a rule set cannot be built of them, except on a pattern that occurs twice, which is reported.
pub fn check_files(files: &RuleFiles) -> Result<Report, RulesError> {
    let mut report = count(files);
    find_repeated(files, &mut report);
    find_shadowed(files, &mut report);
    if report.duplicates.is_empty() && report.contradicting.is_empty() {
        let ruleset = Ruleset::from_files(files)?;
        check_negatives(&ruleset, files, &mut report);
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
        for rule in &file.parsed.rules {
            test_rule(&ruleset, RuleId(number), rule, &file.place(), &mut report);
            number = number.saturating_add(1);
        }
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
            report.names += rule.patterns.len();
            report.user_agents += rule.user_agents.len();
            report.uris += rule.uris.len();
            report.networks += rule.networks.len() + rule.asns.len();
            report.patterns += rule.pattern_count();
            count_samples(rule, &mut report.samples);
            if let Some(date) = rule.valid_from.as_ref().or(rule.valid_until.as_ref()) {
                let end = |day: &Option<toml::Spanned<toml::value::Datetime>>| {
                    day.as_ref()
                        .map_or_else(|| "not known".to_owned(), |day| day.get_ref().to_string())
                };
                let message = format!(
                    "rule {}: from {} until {}",
                    rule.id.get_ref(),
                    end(&rule.valid_from),
                    end(&rule.valid_until)
                );
                report.dated.push(finding(&file.place(), date, message));
            }
        }
        for negative in &file.parsed.negative {
            report.samples.negative += negative.patterns.len();
        }
    }
    report
}

fn count_samples(rule: &RuleTable, samples: &mut Samples) {
    for sample in &rule.samples.matching {
        match sample
            .source
            .as_ref()
            .map(|source| source.get_ref().as_str())
        {
            None | Some(CONSTRUCTED) => samples.constructed += 1,
            Some(source) if source == rule.source.get_ref() => samples.own += 1,
            Some(_) => samples.elsewhere += 1,
        }
    }
    if let Some(observed) = &rule.observed {
        if observed.list.get_ref() == rule.source.get_ref() {
            samples.own += observed.names.len();
        } else {
            samples.elsewhere += observed.names.len();
        }
    }
    samples.negative += rule.samples.no_match.len()
        + rule.samples.no_match_user_agents.len()
        + rule.samples.no_match_uris.len();
}

/// The source of samples that were made up; such a sample proves nothing.
const CONSTRUCTED: &str = "constructed";

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
    let mut seen: HashMap<(&str, String), (String, String)> = HashMap::new();
    for file in files.files() {
        let place = file.place();
        for rule in &file.parsed.rules {
            let verdict = verdict(file.vendor_id(), rule);
            let texts = [
                ("pattern", &rule.patterns),
                ("user agent", &rule.user_agents),
                ("URI", &rule.uris),
                ("network", &rule.networks),
            ]
            .into_iter()
            .flat_map(|(kind, texts)| {
                texts
                    .iter()
                    .map(move |text| (kind, text.get_ref().clone(), text.span()))
            });
            let systems = rule
                .asns
                .iter()
                .map(|asn| ("network", format!("AS{}", asn.get_ref()), asn.span()));
            for (kind, text, span) in texts.chain(systems) {
                let line = place.line_at(span.start);
                let at = format!("{}:{line}", file.path);
                let Some((first_at, first)) =
                    seen.insert((kind, text.clone()), (at, verdict.clone()))
                else {
                    continue;
                };
                let (list, message) = if first == verdict {
                    (
                        &mut report.duplicates,
                        format!("{kind} {text:?} stands already at {first_at}"),
                    )
                } else {
                    (
                        &mut report.contradicting,
                        format!("{kind} {text:?} says {verdict}; at {first_at} it says {first}"),
                    )
                };
                list.push(Finding {
                    file: file.path.clone(),
                    line,
                    message,
                });
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
        let place = file.place();
        for (number, rule) in file.parsed.rules.iter().enumerate() {
            find_shadowed_globs(rule, &place, report);
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

/// A glob whose text another glob of the same rule means adds nothing: what its stars take, the other's take too.
fn find_shadowed_globs(rule: &RuleTable, place: &Place<'_>, report: &mut Report) {
    for globs in [&rule.user_agents, &rule.uris] {
        for (number, wide) in (0u32..).zip(globs) {
            let Ok(glob) = Glob::parse(wide.get_ref()) else {
                continue;
            };
            let set = GlobSet::build(&[(number, glob)]);
            for (other, narrow) in (0u32..).zip(globs) {
                if other != number && set.find(narrow.get_ref().as_bytes(), |_| true).is_some() {
                    let message = format!(
                        "rule {}: {:?} adds nothing to {:?} of the same rule",
                        rule.id.get_ref(),
                        narrow.get_ref(),
                        wide.get_ref()
                    );
                    report.shadowed.push(finding(place, narrow, message));
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
    let own_source = rule.source.get_ref().as_str();
    let mut test = RuleTest {
        ruleset,
        id,
        rule,
        place,
        report,
        exercised: false,
        proven: false,
    };
    for sample in &rule.samples.matching {
        test.sample(sample, own_source);
    }
    if let Some(observed) = &rule.observed {
        for name in &observed.names {
            test.observed(name, observed.list.get_ref() != own_source);
        }
    }
    let judge_name = |text: &str| test.judge(SampleKind::Name, text);
    let judged = (rule
        .samples
        .no_match
        .iter()
        .map(|text| (text, judge_name(text.get_ref()))))
    .chain(
        (rule.samples.no_match_user_agents.iter())
            .map(|text| (text, test.judge(SampleKind::UserAgent, text.get_ref()))),
    )
    .chain(
        (rule.samples.no_match_uris.iter())
            .map(|text| (text, test.judge(SampleKind::Uri, text.get_ref()))),
    );
    let wrong: Vec<_> = judged
        .filter(|&(_, by)| by == Some(id))
        .map(|(text, _)| text)
        .collect();
    for text in wrong {
        test.fail(
            text,
            &format!("judges {:?}, which it must not", text.get_ref()),
        );
    }
    test.networks();
    test.finish();
}

/// One rule while its samples are run.
struct RuleTest<'a> {
    ruleset: &'a Ruleset,
    id: RuleId,
    rule: &'a RuleTable,
    place: &'a Place<'a>,
    report: &'a mut Report,
    exercised: bool,
    proven: bool,
}

impl RuleTest<'_> {
    fn judge(&self, kind: SampleKind, text: &str) -> Option<RuleId> {
        let found = match kind {
            SampleKind::Name => self.ruleset.match_name(text.as_bytes()),
            SampleKind::UserAgent => self.ruleset.match_user_agent(text.as_bytes()),
            SampleKind::Uri => self.ruleset.match_uri(text.as_bytes()),
            SampleKind::Address => self.ruleset.match_network(text.parse().ok()?),
        };
        found.map(|found| found.rule)
    }

    fn fail(&mut self, at: &toml::Spanned<String>, problem: &str) {
        let message = format!("rule {}: {problem}", self.rule.id.get_ref());
        self.report
            .failed_samples
            .push(finding(self.place, at, message));
    }

    fn by(&self, judged: Option<RuleId>) -> String {
        judged.map_or_else(
            || "no rule".to_owned(),
            |rule| format!("rule {}", self.ruleset.rule(rule).id),
        )
    }

    fn sample(&mut self, sample: &SampleTable, own_source: &str) {
        let Some((kind, text)) = sample.subject() else {
            return;
        };
        let judged = self.judge(kind, text.get_ref());
        if judged == Some(self.id) {
            self.exercised = true;
            self.proven |= sample.source.as_ref().is_some_and(|source| {
                source.get_ref() != own_source && source.get_ref() != CONSTRUCTED
            });
        } else {
            let by = self.by(judged);
            self.fail(
                text,
                &format!("sample {:?} is judged by {by}", text.get_ref()),
            );
        }
    }

    fn observed(&mut self, name: &toml::Spanned<String>, elsewhere: bool) {
        let text = name.get_ref();
        if text.starts_with("*.") {
            // The list has names under it but the rule does not say which.
            if !self
                .rule
                .patterns
                .iter()
                .any(|pattern| pattern.get_ref() == text)
            {
                self.fail(name, &format!("observed {text:?} is none of its patterns"));
            }
            return;
        }
        let judged = self.judge(SampleKind::Name, text);
        if judged == Some(self.id) {
            self.exercised = true;
            self.proven |= elsewhere;
        } else {
            let by = self.by(judged);
            self.fail(name, &format!("observed {text:?} is judged by {by}"));
        }
    }

    /// A network exercises itself: there is nothing in it that a sample could get wrong.
    fn networks(&mut self) {
        let systems = self
            .rule
            .asns
            .iter()
            .map(|asn| self.ruleset.match_asn(*asn.get_ref()));
        let networks = self.rule.networks.iter().map(|network| {
            let network: ipnet::IpNet = network.get_ref().parse().ok()?;
            self.ruleset.match_network(network.addr())
        });
        self.exercised |= systems
            .chain(networks)
            .any(|found| found.is_some_and(|found| found.rule == self.id));
    }

    fn finish(self) {
        let id = self.rule.id.get_ref();
        if !self.exercised {
            let message = format!("rule {id}: no positive sample is judged by it");
            self.report
                .unexercised
                .push(finding(self.place, &self.rule.id, message));
        } else if !self.proven {
            let message = format!(
                "rule {id}: no positive sample from another source than {:?}",
                self.rule.source.get_ref()
            );
            self.report
                .unproven
                .push(finding(self.place, &self.rule.id, message));
        }
    }
}

/// A negative and a rule cannot both be right about a name.
fn check_negatives(ruleset: &Ruleset, files: &RuleFiles, report: &mut Report) {
    for file in files.files() {
        for negative in &file.parsed.negative {
            for pattern in &negative.patterns {
                let Ok(parsed) = NamePattern::parse(pattern.get_ref()) else {
                    continue;
                };
                let judged = ruleset.match_name(parsed.probe().as_bytes());
                let by_wider = judged.map(|found| (found.rule, ruleset.pattern(found).to_owned()));
                let Some((rule, text)) = by_wider.or_else(|| narrower(ruleset, parsed)) else {
                    continue;
                };
                let message = format!(
                    "negative {:?} is judged by rule {}, pattern {text:?}; but: {}",
                    pattern.get_ref(),
                    ruleset.rule(rule).id,
                    negative.why
                );
                report
                    .contradicting
                    .push(finding(&file.place(), pattern, message));
            }
        }
    }
}

/// A rule that claims a part of what a wildcard means.
fn narrower(ruleset: &Ruleset, negative: NamePattern<'_>) -> Option<(RuleId, String)> {
    if !negative.wildcard {
        return None;
    }
    let zone = format!(".{}", negative.base);
    ruleset.rules().find_map(|rule| {
        let mut patterns = ruleset.all_patterns_of(rule.number);
        let (_, text) =
            patterns.find(|(kind, text)| *kind == PatternKind::Name && text.ends_with(&zone))?;
        Some((rule.number, text.to_owned()))
    })
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
