//! What could be seen of a flow and what could not, and on which side of the border it ran.

use super::closed_set;

closed_set! {
    /// The bucket that a flow's bytes end in; every byte of a counted packet is in exactly one.
    pub enum Coverage {
        /// A rule says whose it is; the evidence kind is counted beside it.
        Attributed = "attributed",
        /// A name was seen and no rule knows it as a security vendor's.
        NamedNotSecurity = "named_not_security",
        /// The capture began after the flow did, and no name was seen.
        Midstream = "midstream",
        /// TLS or DTLS without a ClientHello that could be read.
        NoClientHello = "no_client_hello",
        /// Nothing but headers: refused and unanswered connections, scans, keep-alives.
        NoPayload = "no_payload",
        /// Encrypted ClientHello was offered; the name seen, if any, may be a cover. GREASE looks the same.
        EchOffered = "ech_offered",
        /// A ClientHello without a server name.
        SniAbsent = "sni_absent",
        /// The server name, or the host of a plain HTTP request, is an address.
        SniIsAddress = "sni_is_address",
        /// A plain HTTP request without a host.
        HostAbsent = "host_absent",
        /// QUIC that could not be opened.
        QuicUndecryptable = "quic_undecryptable",
        /// Behind a proxy, the inner name unknown.
        Proxied = "proxied",
        /// DNS and its like in clear. The bytes go to a resolver, whatever was asked; what was asked is evidence, not traffic.
        NameService = "name_service",
        /// A recognised protocol in which no server name travels in clear: ICMP, NTP, SSH and many more.
        NamelessProtocol = "nameless_protocol",
        /// DNS over TLS, HTTPS or QUIC.
        EncryptedDns = "encrypted_dns",
        /// A protocol that carries other packets and was not unwrapped: encrypted, or not known.
        Tunnel = "tunnel",
        /// What the packets around unwrapped ones are longer; the packets themselves are in the bucket of their flow.
        TunnelOverhead = "tunnel_overhead",
        /// The capture's snapshot length cut off what was needed.
        Truncated = "truncated",
        /// Part of the handshake or request never came by, or there was no room to put it together.
        Lost = "lost",
        /// Fragments of IP datagrams that were never complete.
        Fragment = "fragment",
        /// Bytes that look random from the first on: encrypted or compressed, by a protocol that names nothing in clear.
        OpaquePayload = "opaque_payload",
        /// An IP protocol beside TCP, UDP, tunnels and those by which networks speak of themselves: SCTP and rarer ones.
        OtherTransport = "other_transport",
        /// Not recognised.
        OtherProtocol = "other_protocol",
    }
}

closed_set! {
    /// On which side of the home networks' border a flow ran.
    pub enum Locality {
        /// Exactly one side is home; counts as outbound whoever began it.
        Outbound = "outbound",
        /// Both sides are home, or one is and the other is multicast, broadcast or link-local.
        HomeHome = "home_home",
        /// Neither side is home.
        Transit = "transit",
    }
}
