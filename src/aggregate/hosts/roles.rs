//! Signs → for whom a host speaks, and why that is said.
//!
//! A host can have several roles; without any it is an endpoint, as far as was seen.

use super::signs::Signs;
use super::{HostLimits, Tenancy};
use crate::attribute::{Ruleset, VendorId};
use crate::decode::{TCP, UDP};
use crate::model::{HostRole, NatSign, SystemFamily};

/// A role and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleFound {
    /// The role.
    pub role: HostRole,
    /// Whose relay it is.
    pub vendor: Option<VendorId>,
    /// What was seen.
    pub reason: String,
}

/// The roles of a host, [`HostRole::Endpoint`] apart; the ones whose evidence is plainest first.
pub(super) fn roles(tenancy: &Tenancy, limits: &HostLimits, rules: &Ruleset) -> Vec<RoleFound> {
    // Without any of the others no sign is the second that a NAT needs.
    let Some(signs) = tenancy.signs.as_deref() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    found.extend(resolver(tenancy, signs, limits));
    let proxy = proxy(tenancy, signs, limits);
    let is_proxy = proxy.is_some();
    found.extend(proxy);
    relays(signs, limits, rules, &mut found);
    found.extend(nat(tenancy, signs, limits, rules, is_proxy));
    found
}

fn resolver(tenancy: &Tenancy, signs: &Signs, limits: &HostLimits) -> Option<RoleFound> {
    let clients = &signs.resolver_clients;
    if clients.is_empty() || clients.len() < limits.resolver_clients_min {
        return None;
    }
    let asks = match (tenancy.questions_asked, tenancy.encrypted_dns) {
        (0, false) => return None,
        (0, true) => "asks on over encrypted DNS".to_owned(),
        (asked, _) => format!("asked name servers {} itself", times(asked)),
    };
    Some(RoleFound {
        role: HostRole::Resolver,
        vendor: None,
        reason: format!(
            "answered questions for names of {} on port 53, and {asks}",
            clients.words()
        ),
    })
}

fn proxy(tenancy: &Tenancy, signs: &Signs, limits: &HostLimits) -> Option<RoleFound> {
    if signs.proxy_clients.is_empty() {
        return None;
    }
    // Scanners try every host: who is asked now and then and never goes out, or through whom nothing is spoken, is none.
    let took = signs.proxy_tunnels;
    let asked_often = signs.proxy_requests >= limits.proxy_requests_min;
    if took == 0 && !(asked_often && tenancy.flows_out > 0) {
        return None;
    }
    let tunnels = if took > 0 {
        format!(", something was spoken through it {}", times(took))
    } else {
        String::new()
    };
    Some(RoleFound {
        role: HostRole::Proxy,
        vendor: None,
        reason: format!(
            "{} asked it {} to connect or fetch for them{tunnels}, and it went out itself {}",
            signs.proxy_clients.words(),
            times(signs.proxy_requests),
            times(tenancy.flows_out)
        ),
    })
}

fn relays(signs: &Signs, limits: &HostLimits, rules: &Ruleset, found: &mut Vec<RoleFound>) {
    let mut vendors: Vec<VendorId> = signs.relays.iter().map(|sign| sign.vendor).collect();
    vendors.sort_unstable();
    vendors.dedup();
    for vendor in vendors {
        let contacts = signs.contacts_with(vendor);
        if contacts == 0 {
            continue;
        }
        let mut ports: Vec<_> = signs
            .relays
            .iter()
            .filter(|sign| sign.vendor == vendor)
            .filter(|sign| sign.clients.len() >= limits.relay_clients_min)
            .map(|sign| (sign.port, sign.protocol, sign.clients.words()))
            .collect();
        ports.sort();
        if ports.is_empty() {
            continue;
        }
        let ports: Vec<_> = ports
            .into_iter()
            .map(|(port, protocol, clients)| {
                format!("{clients} connected to {} {port}", transport(protocol))
            })
            .collect();
        let id = &rules.vendor(vendor).id;
        found.push(RoleFound {
            role: HostRole::VendorRelay,
            vendor: Some(vendor),
            reason: format!(
                "{}, where relays of {id} listen, and it contacted {id} itself {}",
                ports.join(", "),
                times(u64::from(contacts))
            ),
        });
    }
}

fn times(count: u64) -> String {
    match count {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}

const fn transport(protocol: u8) -> &'static str {
    match protocol {
        TCP => "TCP",
        UDP => "UDP",
        _ => "port",
    }
}

/// Two kinds of signs at least: each alone has harmless causes.
fn nat(
    tenancy: &Tenancy,
    signs: &Signs,
    limits: &HostLimits,
    rules: &Ruleset,
    is_proxy: bool,
) -> Option<RoleFound> {
    let hops = hop_limits(tenancy, limits);
    let systems = systems(signs, limits);
    let products = products(signs, limits, rules);
    // A proxy sends its clients' requests in its own packets: programs and products are theirs without any address being shared.
    if is_proxy && hops.is_none() {
        return None;
    }
    let reasons: Vec<_> = [
        (NatSign::HopLimit, hops),
        (NatSign::System, systems),
        (NatSign::Products, products),
    ]
    .into_iter()
    .filter_map(|(sign, words)| Some(format!("{sign}: {}", words?)))
    .collect();
    (reasons.len() >= 2).then(|| RoleFound {
        role: HostRole::Nat,
        vendor: None,
        reason: reasons.join("; "),
    })
}

/// Times to live that no one host on one path has: those of several systems, or on the segment itself decremented ones.
fn hop_limits(tenancy: &Tenancy, limits: &HostLimits) -> Option<String> {
    let seen = tenancy.hop_limits.seen(limits.nat_sightings_min);
    // Systems begin with 64, 128 or 255.
    let initial = |left: u8| match left {
        0..=64 => 64,
        65..=128 => 128,
        _ => 255u8,
    };
    let mut initials: Vec<u8> = seen.iter().map(|left| initial(*left)).collect();
    initials.dedup();
    // Behind a router the path may change; on the segment every packet of the host itself has all its hops.
    let on_segment = tenancy.link.is_some() && !tenancy.routed;
    let decremented = on_segment && seen.iter().any(|left| initial(*left) != *left);
    if initials.len() < 2 && !(decremented && seen.len() > 1) {
        return None;
    }
    let seen: Vec<_> = seen.iter().map(u8::to_string).collect();
    Some(format!(
        "connections begin with {} hops left",
        seen.join(" and ")
    ))
}

fn systems(signs: &Signs, limits: &HostLimits) -> Option<String> {
    let named: Vec<_> = SystemFamily::ALL
        .iter()
        .filter(|family| signs.systems.get(family.index()) >= Some(&limits.nat_sightings_min))
        .map(|family| family.as_str())
        .collect();
    (named.len() >= 2).then(|| format!("programs name {}", named.join(" and ")))
}

fn products(signs: &Signs, limits: &HostLimits, rules: &Ruleset) -> Option<String> {
    let mut vendors: Vec<_> = signs
        .vendors
        .iter()
        .filter(|sign| sign.of_product >= limits.nat_sightings_min)
        .map(|sign| rules.vendor(sign.vendor).id.as_str())
        .collect();
    vendors.sort_unstable();
    (vendors.len() >= limits.nat_vendors_min.max(2))
        .then(|| format!("products of {}", vendors.join(", ")))
}
