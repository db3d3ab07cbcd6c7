//! What hosts say of themselves, and DHCP servers of them → names, and to whom addresses were given.

use super::leases::{Asked, Leases};
use super::occupancy::Moment;
use super::tenancy::{Given, bounded};
use super::{Hosts, names_a_host};
use crate::aggregate::{EventRun, HostFact};
use crate::flow::HomeNetworks;
use crate::model::{AddressState, DhcpType, HostFactKind};

impl Hosts {
    /// What a host says of itself, or a DHCP server of a host.
    pub(in crate::aggregate) fn said(
        &mut self,
        fact: &HostFact,
        run: &EventRun,
        home: &HomeNetworks,
    ) {
        let now = self.moment(fact.frame.seq, fact.frame.time);
        if matches!(fact.kind, HostFactKind::Dhcp | HostFactKind::Dhcpv6) {
            self.dhcp(fact, run, home, now);
            return;
        }
        let (scope, sender) = (fact.key.scope(), fact.source.address);
        // Who speaks of another address than its own may be right, and need not be.
        if fact.state != AddressState::Held
            || fact.address.is_some_and(|address| address != sender)
            || !names_a_host(&sender, home)
            || self.number(scope, sender, now.time).is_none()
        {
            return;
        }
        if let Some(tenancy) = self.at(scope, sender, now.seq) {
            tenancy.seen(now.time, now.time);
            tenancy.named(fact.kind, run.text(fact.name), now.time);
        }
    }

    fn dhcp(&mut self, fact: &HostFact, run: &EventRun, home: &HomeNetworks, now: Moment) {
        let Some(message) = fact.dhcp else { return };
        let scope = fact.key.scope();
        let v6 = fact.kind == HostFactKind::Dhcpv6;
        let own_id = bounded(run.text(message.client_id));
        let key = Leases::key(scope, fact.mac, own_id, message.id, v6);
        if !message.from_server {
            let asked = Asked {
                name: bounded(run.text(fact.name)).into(),
                client_id: own_id.into(),
                vendor_class: bounded(run.text(message.vendor_class)).into(),
                on_segment: fact.mac.is_some() && fact.mac == fact.source_mac,
                is_answered: false,
            };
            self.leases
                .asked(key, asked, self.limits.leases_pending_max);
            if message.kind == Some(DhcpType::Release)
                && let Some(address) = fact.address
                && let Some(occupancy) = self.occupancy_mut(scope, address)
            {
                occupancy.released(fact.mac, own_id, now.time);
            }
            return;
        }
        let gives = fact.state == AddressState::Held
            && matches!(message.kind, None | Some(DhcpType::Ack | DhcpType::Reply));
        let Some(address) = fact
            .address
            .filter(|address| gives && names_a_host(address, home))
        else {
            return;
        };
        let asked = self.leases.answered(&key).cloned().unwrap_or_default();
        let or = |own: &[u8], asked: Box<[u8]>| -> Box<[u8]> {
            if own.is_empty() { asked } else { own.into() }
        };
        // The client's own name counts; a server may give it another.
        let name = or(&asked.name, run.text(fact.name).into());
        let client_id = or(own_id, asked.client_id);
        let vendor_class = or(&asked.vendor_class, run.text(message.vendor_class).into());
        let limits = self.limits;
        let Some(at) = self.number(scope, address, now.time) else {
            return;
        };
        let Some((_, occupancy)) = self.all.get_mut(at) else {
            return;
        };
        let lease = Given {
            mac: fact.mac,
            client_id: &client_id,
            vendor_class: &vendor_class,
            seconds: fact.lease_seconds,
            time: now.time,
            on_segment: asked.on_segment,
            renewed: message.client_address == Some(address),
            v6,
        };
        occupancy.leased(lease, now, &limits, &mut self.counters);
        if let Some(tenancy) = occupancy.at(now.seq) {
            tenancy.seen(now.time, now.time);
            tenancy.named(fact.kind, &name, now.time);
            if !vendor_class.is_empty() {
                tenancy.signs().system(&vendor_class);
            }
        }
    }
}
