//! What a host was seen to do for others, or in the place of others: what its roles are concluded from.

use crate::attribute::VendorId;
use crate::decode::Address;
use crate::model::SystemFamily;

/// Clients and vendors that one host's signs list.
const LISTED_MAX: usize = 16;
/// Times to live of one host that are told apart: two make a sign.
const HOPS_MAX: usize = 4;

/// Signs of one host.
#[derive(Clone, Debug, Default)]
pub struct Signs {
    /// Hosts whose questions for names it answered.
    pub resolver_clients: Clients,
    /// Hosts that asked it to connect or to fetch for them.
    pub proxy_clients: Clients,
    /// How often they did.
    pub proxy_requests: u64,
    /// How often something was spoken inside what it had been asked for: it took the request.
    pub proxy_tunnels: u64,
    /// Vendors to whose relay ports hosts connected.
    pub relays: Vec<RelaySign>,
    /// Systems that its programs name, by how often.
    pub systems: [u32; SystemFamily::COUNT],
    /// Vendors it contacted.
    pub vendors: Vec<VendorSign>,
}

/// Hosts speak to a port on which the relay of a vendor listens.
#[derive(Clone, Debug)]
pub struct RelaySign {
    /// The vendor.
    pub vendor: VendorId,
    /// The port.
    pub port: u16,
    /// IP protocol.
    pub protocol: u8,
    /// Who does.
    pub clients: Clients,
}

/// Contacts with a vendor.
#[derive(Clone, Copy, Debug)]
pub struct VendorSign {
    /// The vendor.
    pub vendor: VendorId,
    /// All of them, with its engine inside other products too.
    pub contacts: u32,
    /// Those that say that its product runs there.
    pub of_product: u32,
}

/// Connections of a host by how many hops their first packet had left: the first few numbers that it shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct HopLimits([(u8, u32); HOPS_MAX]);

impl HopLimits {
    /// None yet.
    pub const NONE: Self = Self([(0, 0); HOPS_MAX]);

    /// A connection began with so many hops left.
    pub fn add(&mut self, left: u8) {
        // What traces a route sends packets that die on the way.
        const LEFT_MIN: u8 = 33;
        if left < LEFT_MIN {
            return;
        }
        let place = self
            .0
            .iter_mut()
            .find(|(limit, _)| *limit == left || *limit == 0);
        if let Some((limit, count)) = place {
            *limit = left;
            *count = count.saturating_add(1);
        }
    }

    /// The numbers that were seen so often, in order.
    pub fn seen(&self, least: u32) -> Vec<u8> {
        let often = self.0.iter().filter(|(_, count)| *count >= least.max(1));
        let mut seen: Vec<u8> = often.map(|(left, _)| *left).collect();
        seen.sort_unstable();
        seen
    }
}

/// Distinct hosts, as many as matter.
#[derive(Clone, Debug, Default)]
pub struct Clients {
    known: Vec<Address>,
    more: bool,
}

impl Clients {
    /// Adds one.
    pub fn add(&mut self, client: Address) {
        if self.known.contains(&client) {
            return;
        }
        if self.known.len() < LISTED_MAX {
            self.known.push(client);
        } else {
            self.more = true;
        }
    }

    /// How many there are, as far as they are counted.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// In words.
    pub fn words(&self) -> String {
        match (self.known.len(), self.more) {
            (1, _) => "1 home host".to_owned(),
            (count, false) => format!("{count} home hosts"),
            (count, true) => format!("more than {count} home hosts"),
        }
    }
}

impl Signs {
    /// A program or a DHCP client names its system.
    pub fn system(&mut self, text: &[u8]) {
        if let Some(family) = SystemFamily::told_by(text)
            && let Some(count) = self.systems.get_mut(family.index())
        {
            *count = count.saturating_add(1);
        }
    }

    /// A host connected to a relay port.
    pub fn relay(&mut self, vendor: VendorId, port: u16, protocol: u8, client: Address) {
        let same = |sign: &&mut RelaySign| {
            (sign.vendor, sign.port, sign.protocol) == (vendor, port, protocol)
        };
        if let Some(sign) = self.relays.iter_mut().find(same) {
            sign.clients.add(client);
        } else if self.relays.len() < LISTED_MAX {
            let mut clients = Clients::default();
            clients.add(client);
            self.relays.push(RelaySign {
                vendor,
                port,
                protocol,
                clients,
            });
        }
    }

    /// A vendor was contacted, and it may say that its product runs there.
    pub fn vendor(&mut self, vendor: VendorId, of_product: bool) {
        let of_product = u32::from(of_product);
        let mut known = self.vendors.iter_mut();
        if let Some(sign) = known.find(|sign| sign.vendor == vendor) {
            sign.contacts = sign.contacts.saturating_add(1);
            sign.of_product = sign.of_product.saturating_add(of_product);
        } else if self.vendors.len() < LISTED_MAX {
            self.vendors.push(VendorSign {
                vendor,
                contacts: 1,
                of_product,
            });
        }
    }

    /// Contacts with a vendor.
    pub fn contacts_with(&self, vendor: VendorId) -> u32 {
        let mut signs = self.vendors.iter();
        signs
            .find(|sign| sign.vendor == vendor)
            .map_or(0, |sign| sign.contacts)
    }
}
