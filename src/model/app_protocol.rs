//! The protocols that are told apart by their first bytes, and what each can show of a name.

use super::closed_set::closed_set;

closed_set! {
    /// What a flow speaks above TCP or UDP. The words are those of Suricata where it has one, else of nDPI or the IANA registry
    /// of service names.
    pub enum AppProtocol {
        /// TLS, and SSL before it.
        Tls = "tls",
        /// HTTP/1.
        Http = "http",
        /// HTTP/2 in clear.
        Http2 = "http2",
        /// DNS, by UDP or TCP.
        Dns = "dns",
        /// Multicast DNS.
        Mdns = "mdns",
        /// Link-Local Multicast Name Resolution.
        Llmnr = "llmnr",
        /// NetBIOS name service.
        Nbns = "nbns",
        /// QUIC, also Google's before it was standardised.
        Quic = "quic",
        /// DTLS.
        Dtls = "dtls",
        /// SOCKS 4 and 5.
        Socks = "socks",
        /// Secure Shell.
        Ssh = "ssh",
        /// Mail between servers and from clients.
        Smtp = "smtp",
        /// File transfer, control connection.
        Ftp = "ftp",
        /// Mail access.
        Imap = "imap",
        /// Mail access.
        Pop3 = "pop3",
        /// News.
        Nntp = "nntp",
        /// Internet Relay Chat.
        Irc = "irc",
        /// Extensible Messaging and Presence.
        Xmpp = "xmpp",
        /// Time.
        Ntp = "ntp",
        /// Precision time.
        Ptp = "ptp",
        /// Network management.
        Snmp = "snmp",
        /// Address configuration, also BOOTP.
        Dhcp = "dhcp",
        /// Address configuration of IPv6.
        Dhcpv6 = "dhcpv6",
        /// Simple Service Discovery.
        Ssdp = "ssdp",
        /// Web Services Discovery.
        WsDiscovery = "ws-discovery",
        /// Service Location.
        Slp = "slp",
        /// NAT Port Mapping, and Port Control after it.
        NatPmp = "nat-pmp",
        /// Session Traversal Utilities for NAT, also TURN.
        Stun = "stun",
        /// Session initiation.
        Sip = "sip",
        /// Real-time transport.
        Rtp = "rtp",
        /// Control of real-time transport.
        Rtcp = "rtcp",
        /// Real-time streaming control.
        Rtsp = "rtsp",
        /// Real-time messaging.
        Rtmp = "rtmp",
        /// Media gateway control.
        Megaco = "megaco",
        /// Cisco's skinny client control.
        Sccp = "sccp",
        /// Authentication of dial-in users.
        Radius = "radius",
        /// What came after RADIUS.
        Diameter = "diameter",
        /// Terminal access control.
        Tacacs = "tacacs",
        /// Kerberos.
        Kerberos = "krb5",
        /// Directories, also connectionless.
        Ldap = "ldap",
        /// Windows file sharing.
        Smb = "smb",
        /// NetBIOS datagrams.
        NetbiosDgm = "netbios-dgm",
        /// NetBIOS sessions.
        NetbiosSsn = "netbios-ssn",
        /// DCE remote procedure calls.
        Dcerpc = "dcerpc",
        /// ONC remote procedure calls: NFS, portmapper.
        Rpc = "sunrpc",
        /// Remote desktop.
        Rdp = "rdp",
        /// ISO transport over TCP, other than RDP: S7, H.323.
        Tpkt = "tpkt",
        /// Remote frame buffer.
        Vnc = "vnc",
        /// X Window System.
        X11 = "x11",
        /// Terminal.
        Telnet = "telnet",
        /// File synchronisation.
        Rsync = "rsync",
        /// Version control.
        Git = "git",
        /// Small file transfer.
        Tftp = "tftp",
        /// MySQL and MariaDB.
        Mysql = "mysql",
        /// PostgreSQL.
        Postgres = "pgsql",
        /// Microsoft SQL Server.
        Mssql = "mssql",
        /// Oracle's databases.
        Oracle = "oracle-tns",
        /// Redis.
        Redis = "redis",
        /// MongoDB.
        Mongodb = "mongodb",
        /// Cassandra.
        Cassandra = "cassandra",
        /// Memcached.
        Memcached = "memcached",
        /// Message queue telemetry.
        Mqtt = "mqtt",
        /// Advanced message queueing.
        Amqp = "amqp",
        /// Constrained application protocol.
        Coap = "coap",
        /// Peer to peer, also its table of peers and its trackers.
        Bittorrent = "bittorrent",
        /// Dropbox among the hosts of a network.
        Dropbox = "dropbox",
        /// Spotify among the hosts of a network.
        Spotify = "spotify",
        /// Zoom's calls.
        Zoom = "zoom",
        /// System messages.
        Syslog = "syslog",
        /// NetFlow and IPFIX.
        Netflow = "netflow",
        /// Sampled flows.
        Sflow = "sflow",
        /// Border Gateway Protocol.
        Bgp = "bgp",
        /// Routing Information Protocol.
        Rip = "rip",
        /// Industrial control over TCP.
        Modbus = "modbus",
        /// Industrial control.
        Dnp3 = "dnp3",
        /// Telecontrol (IEC 60870-5-104).
        Iec104 = "iec104",
        /// EtherNet/IP.
        Enip = "enip",
        /// Building automation.
        Bacnet = "bacnet",
        /// Remote management of servers.
        Ipmi = "ipmi",
        /// A protocol whose messages are JSON and nothing else is known of.
        Json = "json",
        /// OpenVPN.
        Openvpn = "openvpn",
        /// WireGuard.
        Wireguard = "wireguard",
        /// Internet Key Exchange.
        Ike = "ike",
        /// IPsec in UDP.
        EspInUdp = "ipsec-nat-t",
        /// Ethernet in UDP.
        Vxlan = "vxlan",
        /// Ethernet in UDP, with options.
        Geneve = "geneve",
        /// Mobile networks.
        Gtp = "gtp",
        /// Layer two tunnels.
        L2tp = "l2tp",
        /// Point-to-point tunnels, control connection.
        Pptp = "pptp",
        /// IPv6 in UDP.
        Teredo = "teredo",
        /// Wireless controllers.
        Capwap = "capwap",
        /// Probes that ask for the way.
        Traceroute = "traceroute",
        /// File sharing of the FastTrack network.
        FastTrack = "fasttrack",
        /// Measurements of speed.
        Ookla = "ookla",
        /// Network access authentication.
        Pana = "pana",
        /// Household devices of TP-Link.
        TpLink = "tplink-shp",
    }
}

/// What a protocol shows of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    /// The client says in clear which server it wants, or which name it asks for.
    Names,
    /// No such name travels in clear: what else is in clear names no server.
    Nothing,
    /// Whole packets: who talks to whom is inside.
    Packets,
    /// It is encrypted from its beginning on, or from its first exchange on, without a name.
    Encrypted,
}

impl AppProtocol {
    /// What it can show of a name. Whether avscope reads it is another matter: docs/COVERAGE.md.
    pub const fn carries(self) -> Carries {
        match self {
            Self::Tls
            | Self::Http
            | Self::Http2
            | Self::Dns
            | Self::Mdns
            | Self::Llmnr
            | Self::Nbns
            | Self::Quic
            | Self::Dtls
            | Self::Socks
            | Self::Sip
            | Self::Rtsp
            | Self::Rtmp
            | Self::Xmpp
            | Self::Git => Carries::Names,
            Self::Openvpn
            | Self::Wireguard
            | Self::EspInUdp
            | Self::Vxlan
            | Self::Geneve
            | Self::Gtp
            | Self::L2tp
            | Self::Pptp
            | Self::Teredo
            | Self::Capwap => Carries::Packets,
            Self::Ssh | Self::Ike | Self::Zoom => Carries::Encrypted,
            _ => Carries::Nothing,
        }
    }
}
