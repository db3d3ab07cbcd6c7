//! What is asked of proxies.

use super::super::bucket::named;
use super::Telling;
use super::socks_target::SocksTarget;
use crate::flow::FlowEntry;
use crate::model::{AppProtocol, Coverage, EvidenceKind};
use crate::observe::TextKind;
use crate::protocol::socks;

impl Telling<'_> {
    /// A request to a SOCKS proxy: whom its client wants to reach.
    pub(super) fn socks(&mut self, entry: &mut FlowEntry, request: &socks::Request<'_>) {
        self.facts.keep(entry, |detail| detail.tunnelled = true);
        let first = self.events.facts_begin();
        let target = SocksTarget::of(request);
        match request.target {
            socks::Target::Name(name) => {
                let (id, rule) = self.facts.judge_host(name, self.task.timestamp);
                named(
                    entry,
                    match rule {
                        Some(_) => Coverage::Attributed,
                        None => Coverage::NamedNotSecurity,
                    },
                );
                self.fact(entry, EvidenceKind::Socks, id, rule, name);
            }
            socks::Target::Address(_) => {
                named(entry, Coverage::Proxied);
                let address = target.host();
                let id = self.facts.names.refer(TextKind::Host, address, |_| None);
                self.fact(entry, EvidenceKind::Socks, id, None, address);
            }
        }
        let method = self.events.keep_text(request.command.as_str().as_bytes());
        let target = self.events.keep_text(target.text());
        self.observed(entry, AppProtocol::Socks, [method, target], first);
    }
}
