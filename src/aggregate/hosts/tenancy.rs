//! One host that has an address for a while, and all that is known of it.

use super::signs::{HopLimits, Signs};
use crate::decode::Mac;
use crate::model::{HostFactKind, TenancyCause, Timestamp};

/// Names of one host that are kept: a computer has one of each kind, and may be renamed.
const NAMES_MAX: usize = 8;
/// VLANs of one host that are kept: a host is in one, and may be moved.
const VLANS_MAX: usize = 8;
/// Longest name, client identifier or vendor class that is kept (RFC 1035 §2.3.4; an option of DHCP has as many at the most).
const TEXT_MAX: usize = 255;

/// A host that has an address for a while.
#[derive(Clone, Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "facts that do not depend on each other"
)]
pub struct Tenancy {
    /// Why it counts as a host of its own.
    pub cause: TenancyCause,
    /// Since when the address is its.
    pub since: Timestamp,
    /// The station that it was told from, or by, turned out to be a router: it may be the same host as the one before.
    pub doubtful: bool,
    /// First packet or message.
    pub first_seen: Timestamp,
    /// Latest packet or message.
    pub last_seen: Timestamp,
    /// Its own address on the link.
    pub link: Option<LinkSeen>,
    /// Packets of it came by way of a router.
    pub routed: bool,
    /// What DHCP gave it.
    pub lease: Option<Lease>,
    /// What it calls itself.
    pub names: Vec<NameSeen>,
    /// Names beyond those kept.
    pub names_left_out: u32,
    /// VLANs that its packets came in.
    pub vlans: Vec<VlanSeen>,
    /// Flows that it began.
    pub flows_begun: u64,
    /// Those of them that left home.
    pub flows_out: u64,
    /// Flows begun by others that it answered.
    pub flows_answered: u64,
    /// Messages in which it named a server.
    pub messages_named: u64,
    /// Questions that it asked name services, those of the local network among them.
    pub questions: u64,
    /// Questions that it asked name servers.
    pub questions_asked: u64,
    /// It was seen to use encrypted DNS.
    pub encrypted_dns: bool,
    /// Its connections, by how many hops their first packet had left.
    pub hop_limits: HopLimits,
    /// What else its roles are concluded from.
    pub signs: Option<Box<Signs>>,
    /// In which of several worlds its identity was last seen: stations and leases of one say nothing in another.
    pub(super) world: u32,
    /// It lies behind a router: stations are not its own.
    pub(super) remote: bool,
}

/// A station of the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkSeen {
    /// Its address.
    pub mac: Mac,
    /// Flows whose first packet it sent.
    pub flows: u64,
    /// The first of them.
    pub first_seen: Timestamp,
    /// The latest.
    pub last_seen: Timestamp,
}

/// What a DHCP server gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The client's card, as it says itself.
    pub mac: Option<Mac>,
    /// The client's identifier.
    pub client_id: Box<[u8]>,
    /// The client's make.
    pub vendor_class: Box<[u8]>,
    /// For how long.
    pub seconds: Option<u32>,
    /// When it was first given.
    pub first_seen: Timestamp,
    /// When it was last given.
    pub last_seen: Timestamp,
    /// The client gave it back.
    pub released: bool,
}

/// A name that the host gives itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameSeen {
    /// Where it was said.
    pub kind: HostFactKind,
    /// The name.
    pub name: Box<[u8]>,
    /// When first.
    pub first_seen: Timestamp,
    /// When last.
    pub last_seen: Timestamp,
}

/// A VLAN that packets of the host came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VlanSeen {
    /// The innermost identifier.
    pub id: u16,
    /// When first.
    pub first_seen: Timestamp,
    /// When last.
    pub last_seen: Timestamp,
}

/// As much of a text as is kept.
pub(super) fn bounded(text: &[u8]) -> &[u8] {
    text.get(..TEXT_MAX).unwrap_or(text)
}

impl Tenancy {
    pub(super) const fn new(cause: TenancyCause, time: Timestamp, world: u32) -> Self {
        Self {
            cause,
            since: time,
            doubtful: false,
            first_seen: time,
            last_seen: time,
            link: None,
            routed: false,
            lease: None,
            names: Vec::new(),
            names_left_out: 0,
            vlans: Vec::new(),
            flows_begun: 0,
            flows_out: 0,
            flows_answered: 0,
            messages_named: 0,
            questions: 0,
            questions_asked: 0,
            encrypted_dns: false,
            hop_limits: HopLimits::NONE,
            signs: None,
            world,
            remote: false,
        }
    }

    /// Whether it was ever seen to say a name that can be read: of a server, or in a question.
    pub const fn has_named(&self) -> bool {
        self.messages_named > 0 || self.questions > 0
    }

    /// The address on the link that is its own: of the segment, or as DHCP says.
    pub fn mac(&self) -> Option<Mac> {
        let link = self.link.map(|link| link.mac);
        link.or_else(|| self.lease.as_ref()?.mac)
    }

    /// The name that says most: DHCP's, which the administrator sees too, then those of the local network, the latest of each.
    pub fn name(&self) -> Option<&NameSeen> {
        self.names
            .iter()
            .min_by_key(|name| (name.kind, std::cmp::Reverse(name.last_seen)))
    }

    pub(super) fn seen(&mut self, from: Timestamp, until: Timestamp) {
        self.first_seen = self.first_seen.min(from);
        self.last_seen = self.last_seen.max(until);
    }

    pub(super) fn signs(&mut self) -> &mut Signs {
        self.signs.get_or_insert_default()
    }

    pub(super) fn named(&mut self, kind: HostFactKind, name: &[u8], time: Timestamp) {
        let name = bounded(name);
        if name.is_empty() {
            return;
        }
        let known = self
            .names
            .iter_mut()
            .find(|seen| seen.kind == kind && seen.name.eq_ignore_ascii_case(name));
        if let Some(seen) = known {
            seen.last_seen = seen.last_seen.max(time);
        } else if self.names.len() < NAMES_MAX {
            self.names.push(NameSeen {
                kind,
                name: name.into(),
                first_seen: time,
                last_seen: time,
            });
        } else {
            self.names_left_out = self.names_left_out.saturating_add(1);
        }
    }

    pub(super) fn in_vlan(&mut self, id: u16, time: Timestamp) {
        if id == 0 {
            return;
        }
        if let Some(seen) = self.vlans.iter_mut().find(|seen| seen.id == id) {
            seen.last_seen = seen.last_seen.max(time);
        } else if self.vlans.len() < VLANS_MAX {
            self.vlans.push(VlanSeen {
                id,
                first_seen: time,
                last_seen: time,
            });
        }
    }

    /// A flow's first packet came from its own station.
    pub(super) fn on_link(&mut self, mac: Mac, time: Timestamp, world: u32) {
        self.world = world;
        match &mut self.link {
            Some(link) if link.mac == mac => {
                link.flows = link.flows.saturating_add(1);
                link.last_seen = link.last_seen.max(time);
            }
            link => {
                *link = Some(LinkSeen {
                    mac,
                    flows: 1,
                    first_seen: time,
                    last_seen: time,
                });
            }
        }
    }

    /// DHCP gives it the address, or gives it again.
    pub(super) fn leased(&mut self, given: Given<'_>, world: u32) {
        self.world = world;
        let kept = |new: &[u8], old: Option<&[u8]>| -> Box<[u8]> {
            let new = bounded(new);
            if new.is_empty() {
                old.unwrap_or_default().into()
            } else {
                new.into()
            }
        };
        let old = self.lease.as_ref();
        self.lease = Some(Lease {
            mac: given.mac.or(old.and_then(|old| old.mac)),
            client_id: kept(given.client_id, old.map(|old| &*old.client_id)),
            vendor_class: kept(given.vendor_class, old.map(|old| &*old.vendor_class)),
            seconds: given.seconds.or(old.and_then(|old| old.seconds)),
            first_seen: old.map_or(given.time, |old| old.first_seen),
            last_seen: given.time,
            released: false,
        });
    }
}

/// An address that DHCP gives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given<'a> {
    pub mac: Option<Mac>,
    pub client_id: &'a [u8],
    pub vendor_class: &'a [u8],
    pub seconds: Option<u32>,
    pub time: Timestamp,
    /// The client itself was seen on the segment, so that stations there are hosts.
    pub on_segment: bool,
    /// The client says that it has the address already.
    pub renewed: bool,
    /// Of IPv6, where a client's card need not be the one that has the address.
    pub v6: bool,
}
