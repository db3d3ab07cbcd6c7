//! The home hosts in words: who each is, for whom it speaks, and what that means for its exposures.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use serde::Serialize;

use crate::aggregate::{Exposure, ExposureKey, Host, Hosts, Ledger, NameSeen, RoleFound, Tenancy};
use crate::attribute::Ruleset;
use crate::decode::Mac;
use crate::flow::ZoneTable;
use crate::model::{
    HostFactKind, HostRole, REDACTED, TenancyCause, printable, redact_identifiers, rfc3339,
};

/// A host in words.
#[derive(Clone, Debug, Serialize)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "fields of the output, each a fact of its own"
)]
pub struct HostView {
    /// Where it is, where inputs were given a site.
    pub site: Option<String>,
    /// The user's zone that it is in.
    pub zone: Option<String>,
    /// Its address.
    pub host: IpAddr,
    /// Which of the hosts that had the address in turn, from 1.
    pub tenancy: u16,
    /// How many had it.
    pub tenancies: usize,
    /// Why it counts as a host of its own.
    pub cause: TenancyCause,
    /// Since when it has the address; `None` for the first, which had it before the capture for all that is known.
    pub since: Option<String>,
    /// It may be the same host as the one before: the station that told them apart is a router.
    pub doubtful: bool,
    /// First packet or message.
    pub first_seen: String,
    /// Latest packet or message.
    pub last_seen: String,
    /// Its own address on the link.
    pub mac: Option<String>,
    /// Packets of it came by way of a router.
    pub routed: bool,
    /// The name that says most.
    pub name: Option<String>,
    /// All names, by where they were said.
    pub names: Vec<NameView>,
    /// Names beyond those listed.
    pub names_left_out: u32,
    /// What DHCP gave it.
    pub lease: Option<LeaseView>,
    /// VLANs that its packets came in.
    pub vlans: Vec<VlanView>,
    /// For whom it speaks; `endpoint` for itself, as far as was seen.
    pub roles: Vec<RoleView>,
    /// Flows that it began.
    pub flows_begun: u64,
    /// Those of them that left home.
    pub flows_out: u64,
    /// Flows begun by others that it answered.
    pub flows_answered: u64,
    /// Messages in which it named a server.
    pub messages_named: u64,
    /// Questions that it asked name services.
    pub questions: u64,
    /// It was seen to say a name that can be read: of a server, or in a question.
    pub named: bool,
    /// It was seen to use encrypted DNS.
    pub encrypted_dns: bool,
}

/// A name that a host gives itself.
#[derive(Clone, Debug, Serialize)]
pub struct NameView {
    /// Where it was said.
    pub kind: HostFactKind,
    /// The name.
    pub name: String,
    /// When first.
    pub first_seen: String,
    /// When last.
    pub last_seen: String,
}

/// What a DHCP server gave.
#[derive(Clone, Debug, Serialize)]
pub struct LeaseView {
    /// The client's card, as it says itself.
    pub mac: Option<String>,
    /// The client's identifier, in hexadecimal.
    pub client_id: Option<String>,
    /// The client's make.
    pub vendor_class: Option<String>,
    /// For how long.
    pub seconds: Option<u32>,
    /// When it was first given.
    pub first_seen: String,
    /// When it was last given.
    pub last_seen: String,
    /// The client gave it back.
    pub released: bool,
}

/// A VLAN of a host.
#[derive(Clone, Debug, Serialize)]
pub struct VlanView {
    /// The innermost identifier.
    pub id: u16,
    /// When first.
    pub first_seen: String,
    /// When last.
    pub last_seen: String,
}

/// For whom a host speaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoleView {
    /// The role.
    pub role: HostRole,
    /// Whose relay it is.
    pub vendor: Option<String>,
    /// What it rests on.
    pub reason: String,
}

/// What an exposure says of its host beside the address.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Who {
    /// Which of the hosts that had the address in turn, from 1.
    pub tenancy: u16,
    /// Since when it has the address; `None` for the first.
    pub since: Option<String>,
    /// Its own address on the link.
    pub mac: Option<String>,
    /// What it calls itself.
    pub name: Option<String>,
    /// VLANs that its packets came in.
    pub vlans: Vec<u16>,
    /// It may speak for others here: then it is no host with the product, for all that is known.
    pub relay: Option<RoleView>,
}

/// Puts hosts into words.
pub struct Describer<'a> {
    hosts: &'a Hosts,
    rules: &'a Ruleset,
    zones: &'a ZoneTable,
    sites: &'a [String],
    /// Names of stations: a host has addresses of both families, and says its name of one.
    names: HashMap<(u16, Mac), &'a NameSeen>,
}

impl<'a> Describer<'a> {
    /// Of the hosts that a ledger knows.
    pub fn new(ledger: &'a Ledger, sites: &'a [String]) -> Self {
        let mut names: HashMap<(u16, Mac), &NameSeen> = HashMap::new();
        for ((scope, ..), tenancy) in ledger.hosts().iter() {
            if let (Some(mac), Some(name)) = (tenancy.mac(), tenancy.name()) {
                let known = names.entry((scope, mac)).or_insert(name);
                if (name.kind, &name.name) < (known.kind, &known.name) {
                    *known = name;
                }
            }
        }
        Self {
            hosts: ledger.hosts(),
            rules: ledger.rules(),
            zones: ledger.zones(),
            sites,
            names,
        }
    }

    /// All hosts.
    pub fn all(&self) -> Vec<HostView> {
        let all = self.hosts.iter();
        all.map(|(host, tenancy)| self.view(host, tenancy))
            .collect()
    }

    /// What an exposure says of its host.
    pub fn who(&self, key: &ExposureKey, exposure: &Exposure) -> Who {
        let host = (key.scope, key.host, key.tenancy);
        let tenancy = self.hosts.get(host);
        let roles = self.hosts.roles(host, self.rules);
        let relay = roles.iter().find(|role| speaks_here(role, key, exposure));
        Who {
            tenancy: key.tenancy.saturating_add(1),
            since: tenancy.and_then(since),
            mac: tenancy.and_then(Tenancy::mac).map(mac_text),
            name: tenancy.and_then(|tenancy| self.name(key.scope, tenancy)),
            vlans: tenancy.map_or_else(Vec::new, |tenancy| {
                tenancy.vlans.iter().map(|vlan| vlan.id).collect()
            }),
            relay: relay.map(|role| self.role(role)),
        }
    }

    fn name(&self, scope: u16, tenancy: &Tenancy) -> Option<String> {
        let own = tenancy.name();
        let name = own.or_else(|| self.names.get(&(scope, tenancy.mac()?)).copied())?;
        Some(printable(&name.name).into_owned())
    }

    fn role(&self, found: &RoleFound) -> RoleView {
        let vendor = found.vendor.map(|vendor| self.rules.vendor(vendor));
        RoleView {
            role: found.role,
            vendor: vendor.map(|vendor| vendor.id.clone()),
            reason: found.reason.clone(),
        }
    }

    fn view(&self, host: Host, tenancy: &Tenancy) -> HostView {
        let (scope, address, number) = host;
        let mut roles: Vec<_> = self
            .hosts
            .roles(host, self.rules)
            .iter()
            .map(|role| self.role(role))
            .collect();
        if roles.is_empty() {
            roles.push(RoleView {
                role: HostRole::Endpoint,
                vendor: None,
                reason: "nothing was seen by which it speaks for others".to_owned(),
            });
        }
        let site = self.sites.get(usize::from(scope));
        HostView {
            site: site.filter(|site| !site.is_empty()).cloned(),
            zone: self.zones.name_of(&address).map(str::to_owned),
            host: Ipv6Addr::from(address).to_canonical(),
            tenancy: number.saturating_add(1),
            tenancies: self.hosts.hosts_of(scope, address),
            cause: tenancy.cause,
            since: since(tenancy),
            doubtful: tenancy.doubtful,
            first_seen: rfc3339(tenancy.first_seen),
            last_seen: rfc3339(tenancy.last_seen),
            mac: tenancy.mac().map(mac_text),
            routed: tenancy.routed,
            name: self.name(scope, tenancy),
            names: tenancy.names.iter().map(name_view).collect(),
            names_left_out: tenancy.names_left_out,
            lease: tenancy.lease.as_ref().map(|lease| LeaseView {
                mac: lease.mac.map(mac_text),
                client_id: (!lease.client_id.is_empty()).then(|| hex(&lease.client_id)),
                vendor_class: (!lease.vendor_class.is_empty())
                    .then(|| printable(&lease.vendor_class).into_owned()),
                seconds: lease.seconds,
                first_seen: rfc3339(lease.first_seen),
                last_seen: rfc3339(lease.last_seen),
                released: lease.released,
            }),
            vlans: tenancy
                .vlans
                .iter()
                .map(|vlan| VlanView {
                    id: vlan.id,
                    first_seen: rfc3339(vlan.first_seen),
                    last_seen: rfc3339(vlan.last_seen),
                })
                .collect(),
            roles,
            flows_begun: tenancy.flows_begun,
            flows_out: tenancy.flows_out,
            flows_answered: tenancy.flows_answered,
            messages_named: tenancy.messages_named,
            questions: tenancy.questions,
            named: tenancy.has_named(),
            encrypted_dns: tenancy.encrypted_dns,
        }
    }
}

impl HostView {
    /// Whether it speaks for others.
    pub fn is_relay(&self) -> bool {
        self.roles
            .iter()
            .any(|role| role.role != HostRole::Endpoint)
    }

    /// Takes out what names it: of its card the maker stays.
    pub fn redact(&mut self) {
        for name in self
            .name
            .iter_mut()
            .chain(self.names.iter_mut().map(|name| &mut name.name))
        {
            REDACTED.clone_into(name);
        }
        redact_mac(&mut self.mac);
        if let Some(lease) = &mut self.lease {
            redact_mac(&mut lease.mac);
            if let Some(id) = &mut lease.client_id {
                REDACTED.clone_into(id);
            }
            if let Some(class) = &mut lease.vendor_class {
                *class = redact_identifiers(class).into_owned();
            }
        }
    }
}

impl Who {
    /// Takes out what names the host.
    pub fn redact(&mut self) {
        if let Some(name) = &mut self.name {
            REDACTED.clone_into(name);
        }
        redact_mac(&mut self.mac);
    }
}

/// Whether what the exposure rests on may have been said for others.
fn speaks_here(role: &RoleFound, key: &ExposureKey, exposure: &Exposure) -> bool {
    match role.role {
        HostRole::Endpoint => false,
        // It passes questions on and nothing else: who contacts the vendor itself has reasons of its own.
        HostRole::Resolver => exposure.is_only_asked_for(),
        HostRole::Proxy | HostRole::Nat => true,
        HostRole::VendorRelay => role.vendor == Some(key.vendor) || role.vendor == key.engine,
    }
}

fn since(tenancy: &Tenancy) -> Option<String> {
    (tenancy.cause != TenancyCause::First).then(|| rfc3339(tenancy.since))
}

fn name_view(name: &NameSeen) -> NameView {
    NameView {
        kind: name.kind,
        name: printable(&name.name).into_owned(),
        first_seen: rfc3339(name.first_seen),
        last_seen: rfc3339(name.last_seen),
    }
}

fn mac_text(mac: Mac) -> String {
    hex(&mac)
}

/// Bytes in hexadecimal with colons between.
fn hex(bytes: &[u8]) -> String {
    let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.join(":")
}

/// The first three bytes stay: they say who made the card.
fn redact_mac(mac: &mut Option<String>) {
    const MAKER_LEN: usize = "00:00:00".len();
    if let Some(mac) = mac {
        let maker = mac.get(..MAKER_LEN).unwrap_or_default();
        *mac = format!("{maker}:{REDACTED}");
    }
}
