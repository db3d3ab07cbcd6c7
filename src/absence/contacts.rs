//! What the ledger makes of events → when installations of one subject contacted somebody, and how long it took until they did again.

use std::collections::HashMap;
use std::time::Duration;

use super::Subject;
use super::chance::Measured;
use crate::aggregate::{EventRef, Ledger, Place, SLOT_SECONDS};
use crate::attribute::{Indicates, Rule, RuleId, Ruleset};
use crate::model::{Purpose, Timestamp};

/// What happens within so long is one contact: a program opens several connections for one task.
const CONTACT: Duration = Duration::from_secs(60);

/// Hears events after the ledger did.
#[derive(Debug)]
pub struct Contacts {
    subject: Subject,
    /// With the latest contact of each.
    hosts: HashMap<Place, Timestamp>,
    intervals: Vec<f64>,
    most: usize,
    /// Whether a rule is one of a program of the subject.
    known: HashMap<RuleId, bool>,
    /// Contacts that found no room, and are in no interval.
    pub refused: u64,
}

impl Contacts {
    /// Nothing heard so far; room for `most` hosts and intervals.
    pub fn new(subject: Subject, most: usize) -> Self {
        Self {
            subject,
            hosts: HashMap::new(),
            intervals: Vec::new(),
            most,
            known: HashMap::new(),
            refused: 0,
        }
    }

    /// Takes the event that the ledger has just heard.
    pub fn event(&mut self, event: EventRef<'_>, ledger: &Ledger) {
        let at = match event {
            EventRef::Observed(observed, _) => observed.time,
            EventRef::Dns(transaction, _) => transaction.frame().time,
            // What was learnt beside a flow shows when it reports; the contact was when it began.
            EventRef::Reported(reported, _) => reported.record.start,
            EventRef::Opened(_) | EventRef::Host(..) => return,
        };
        for (host, rule) in ledger.exposures().touched() {
            if self.is_contact(*rule, ledger.rules()) {
                self.contact((host.0, host.1), at);
            }
        }
    }

    /// What is contacted by people as well says nothing about how often a program calls.
    fn is_contact(&mut self, rule: RuleId, rules: &Ruleset) -> bool {
        let subject = &self.subject;
        *self.known.entry(rule).or_insert_with(|| {
            let rule: &Rule = rules.rule(rule);
            subject.is_meant_by(rule)
                && rule.indicates == Indicates::Product
                && rule.purpose != Purpose::Web
        })
    }

    fn contact(&mut self, host: Place, at: Timestamp) {
        let has_room = self.hosts.len() + self.intervals.len() < self.most;
        match self.hosts.get_mut(&host) {
            // What comes late belongs to a contact that has been, or lies before it.
            Some(latest) if at < latest.after(CONTACT) => {}
            _ if !has_room => self.refused += 1,
            Some(latest) => {
                self.intervals.push(at.since(*latest).as_secs_f64());
                *latest = at;
            }
            None => {
                self.hosts.insert(host, at);
            }
        }
    }

    /// Hosts that contacted it.
    pub fn hosts(&self) -> usize {
        self.hosts.len()
    }

    /// The intervals, if there are at least so many.
    pub fn measured(&self, ledger: &Ledger, least: usize) -> Option<Measured> {
        // Each host's last interval still ran when it was last active.
        let running = self.hosts.iter().map(|(host, latest)| {
            let active = ledger.watch().last_active(host).unwrap_or_default();
            let end = active.after(Duration::from_secs(SLOT_SECONDS));
            end.since(*latest).as_secs_f64()
        });
        Measured::new(self.intervals.clone(), running.collect(), least)
    }
}
