//! What hosts say of themselves to their network: the words of it.

use super::closed_set;

closed_set! {
    /// Where something about a host was read.
    pub enum HostFactKind {
        /// Dynamic Host Configuration for IPv4 (RFC 2131), and BOOTP before it.
        Dhcp = "dhcp",
        /// Dynamic Host Configuration for IPv6 (RFC 8415).
        Dhcpv6 = "dhcpv6",
        /// The NetBIOS name service (RFC 1002): registrations, releases, and what a host answers about itself.
        Nbns = "nbns",
        /// Multicast DNS: what a host answers about its own address.
        Mdns = "mdns",
        /// LLMNR: the same.
        Llmnr = "llmnr",
    }
}

closed_set! {
    /// How a host stands to an address.
    pub enum AddressState {
        /// It asks for it, or is offered it.
        Requested = "requested",
        /// It was given to it, or it says of itself that it has it.
        Held = "held",
        /// It gives it up, or may not have it.
        Released = "released",
    }
}

closed_set! {
    /// Types of DHCP messages; the words are Suricata's for IPv4, and those of RFC 8415 §7.3 for IPv6.
    pub enum DhcpType {
        /// A client looks for servers.
        Discover = "discover",
        /// A server offers.
        Offer = "offer",
        /// A client asks.
        Request = "request",
        /// The address is in use by somebody else.
        Decline = "decline",
        /// A server gives.
        Ack = "ack",
        /// A server refuses.
        Nak = "nak",
        /// A client gives an address up.
        Release = "release",
        /// A client has an address, and asks for the rest.
        Inform = "inform",
        /// IPv6: a client looks for servers.
        Solicit = "solicit",
        /// IPv6: a server offers.
        Advertise = "advertise",
        /// IPv6: is the address still right?
        Confirm = "confirm",
        /// IPv6: a client prolongs.
        Renew = "renew",
        /// IPv6: a client prolongs, with any server.
        Rebind = "rebind",
        /// IPv6: a server gives, or answers otherwise.
        Reply = "reply",
        /// IPv6: a server wants to be asked again.
        Reconfigure = "reconfigure",
        /// IPv6: a client has an address, and asks for the rest.
        InformationRequest = "information-request",
        /// Any other.
        Other = "other",
    }
}
