//! A name or mark → the rule that knew it on the day of its packet.

use super::FlowFacts;
use crate::attribute::{RuleMatch, Ruleset, ValidityDate};
use crate::model::Timestamp;
use crate::observe::{NameId, TextKind};

impl FlowFacts {
    /// Whether two rules are about one vendor.
    pub(in crate::pipeline) fn is_one_vendor(&self, one: RuleMatch, other: RuleMatch) -> bool {
        self.rules.rule(one.rule).vendor == self.rules.rule(other.rule).vendor
    }

    /// Keeps the name of a host, and finds the rule that knew it on that day.
    pub(in crate::pipeline) fn judge_host(
        &mut self,
        name: &[u8],
        time: Timestamp,
    ) -> (Option<NameId>, Option<RuleMatch>) {
        let rules = &self.rules;
        let id = self
            .names
            .refer(TextKind::Host, name, |name| rules.match_name(name));
        let found = if let Some(id) = id {
            self.names.value(id)
        } else {
            self.counters.refused_names = self.counters.refused_names.saturating_add(1);
            self.rules.match_name(name)
        };
        let found = self.on_day(found, time, |rules, day| rules.match_name_on(name, day));
        (id, found)
    }

    /// Keeps the name of a program, and finds the rule that knew it on that day.
    pub(in crate::pipeline) fn judge_program(
        &mut self,
        program: &[u8],
        time: Timestamp,
    ) -> (Option<NameId>, Option<RuleMatch>) {
        let rules = &self.rules;
        let id = self.names.refer(TextKind::UserAgent, program, |program| {
            rules.match_user_agent(program)
        });
        let found = if let Some(id) = id {
            self.names.value(id)
        } else {
            self.counters.refused_names = self.counters.refused_names.saturating_add(1);
            self.rules.match_user_agent(program)
        };
        let found = self.on_day(found, time, |rules, day| {
            rules.match_user_agent_on(program, day)
        });
        (id, found)
    }

    pub(in crate::pipeline) fn judge_target(
        &self,
        target: &[u8],
        time: Timestamp,
    ) -> Option<RuleMatch> {
        self.on_day(self.rules.match_uri(target), time, |rules, day| {
            rules.match_uri_on(target, day)
        })
    }

    pub(in crate::pipeline) fn match_host(
        &self,
        name: &[u8],
        time: Timestamp,
    ) -> Option<RuleMatch> {
        self.on_day(self.rules.match_name(name), time, |rules, day| {
            rules.match_name_on(name, day)
        })
    }

    /// A capture of another year is judged by the facts of that year.
    #[inline]
    fn on_day(
        &self,
        found: Option<RuleMatch>,
        time: Timestamp,
        again: impl FnOnce(&Ruleset, ValidityDate) -> Option<RuleMatch>,
    ) -> Option<RuleMatch> {
        let found = found?;
        if !self.dated {
            return Some(found);
        }
        let day = ValidityDate::of_unix_seconds(time.as_seconds());
        if self.rules.holds(found, day) {
            return Some(found);
        }
        again(&self.rules, day)
    }
}
