//! Every metric: its name, kind, labels, and a help text that says of what it is a part.

/// How a value behaves over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while a sensor runs.
    Counter,
    /// Goes up and down, or states a fact.
    Gauge,
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Name with base unit.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What it counts, and what share of what.
    pub help: &'static str,
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Definition {
    Definition {
        name,
        kind: Kind::Counter,
        labels,
        help,
    }
}

const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Definition {
    Definition {
        name,
        kind: Kind::Gauge,
        labels,
        help,
    }
}

/// All metrics. `docs/METRICS.md` lists the same; a test holds both together.
pub const CATALOGUE: &[Definition] = &[
    gauge(
        "avscope_build_info",
        &["version"],
        "Always 1; the version of the program.",
    ),
    gauge(
        "avscope_ruleset_info",
        &["digest"],
        "Always 1; the digest of the rules by which everything was judged.",
    ),
    gauge(
        "avscope_ruleset_vendors",
        &[],
        "Vendors that the rules know.",
    ),
    gauge("avscope_ruleset_rules", &[], "Rules in force."),
    gauge(
        "avscope_dataset_info",
        &["table", "name", "build_date"],
        "Always 1; the data sets that countries and operators of addresses come from.",
    ),
    gauge(
        "avscope_dataset_build_timestamp_seconds",
        &["table"],
        "Midnight UTC of the day a data set was built; absent where its publisher does not say.",
    ),
    gauge(
        "avscope_inputs",
        &["state"],
        "Inputs by what became of them; all states together are all inputs.",
    ),
    counter(
        "avscope_capture_frames_total",
        &["outcome"],
        "Frames by outcome; all outcomes together are all frames read.",
    ),
    counter(
        "avscope_capture_bytes_total",
        &[],
        "Captured bytes of all frames read.",
    ),
    counter(
        "avscope_not_ip_frames_total",
        &["protocol"],
        "Frames without IP; together the frames with outcome not_ip.",
    ),
    counter(
        "avscope_decode_errors_total",
        &["reason"],
        "Frames that could not be decoded; together the frames with outcome undecodable.",
    ),
    counter(
        "avscope_tunnel_layers_total",
        &["kind"],
        "Tags, labels and tunnels that packets and fragments were taken out of; a packet has up to twelve.",
    ),
    counter(
        "avscope_tunnel_anomalies_total",
        &["kind"],
        "Packets that hold another behind more layers than are taken off (too_deep), and flows whose path of tunnels found no room (path_refused).",
    ),
    counter(
        "avscope_tunnel_overhead_bytes_total",
        &[],
        "IP bytes around packets taken out of tunnels; the traffic with coverage tunnel_overhead, and what was around copies.",
    ),
    counter(
        "avscope_datagrams_total",
        &["outcome"],
        "Datagrams of which a fragment came, by what became of them; all outcomes together are all such datagrams.",
    ),
    counter(
        "avscope_datagrams_completed_total",
        &["content"],
        "Datagrams put together, by what they are: packets of flows, fragments of a datagram within, or undecodable; together the datagrams with outcome completed.",
    ),
    counter(
        "avscope_fragment_anomalies_total",
        &["kind"],
        "Fragments that contradict themselves, that came after their datagram was complete or dropped, and that overlap others.",
    ),
    counter(
        "avscope_capture_time_anomalies_total",
        &["kind"],
        "Frames whose timestamp stepped back, and jumps of time that were believed.",
    ),
    counter(
        "avscope_duplicate_packets_total",
        &[],
        "Packets that came again within the window and count nowhere else; a part of the frames with outcome packet.",
    ),
    counter(
        "avscope_duplicate_bytes_total",
        &[],
        "IP bytes of those; beside avscope_traffic_bytes_total.",
    ),
    counter(
        "avscope_duplicates_forgotten_total",
        &[],
        "Packets forgotten within the window to remember others; a copy of one of them counts as a packet of its own.",
    ),
    counter(
        "avscope_duplicate_fragments_total",
        &[],
        "Fragments of datagrams that came again within 100 ms and count nowhere else.",
    ),
    counter(
        "avscope_duplicate_fragment_bytes_total",
        &[],
        "IP bytes of those.",
    ),
    counter(
        "avscope_duplicate_overhead_bytes_total",
        &[],
        "IP bytes around packets and fragments in tunnels that came again; a part of avscope_tunnel_overhead_bytes_total.",
    ),
    counter(
        "avscope_tcp_acknowledged_bytes_total",
        &[],
        "Bytes that receivers acknowledged, of the connections followed.",
    ),
    counter(
        "avscope_tcp_unseen_bytes_total",
        &[],
        "Those of avscope_tcp_acknowledged_bytes_total that were in no packet: lost by the mirror port, the tap or the capture.",
    ),
    counter(
        "avscope_tcp_followed_total",
        &["outcome"],
        "Connections of which both sides came by, by whether there was room to follow their acknowledgments.",
    ),
    counter(
        "avscope_tcp_connections_total",
        &["ways"],
        "Ended connections with payload, by whether both sides came by or one only.",
    ),
    counter("avscope_flows_opened_total", &[], "Flows that opened."),
    counter(
        "avscope_flows_ended_total",
        &["reason"],
        "Flows that ended; together, all flows opened that are no longer active.",
    ),
    gauge(
        "avscope_flows_open_max",
        &[],
        "The most flows open at a time.",
    ),
    counter(
        "avscope_flow_interim_records_total",
        &[],
        "Interim records of flows that went on.",
    ),
    counter(
        "avscope_facts_total",
        &["kind", "attributed"],
        "Facts seen in messages, by kind, and whether a rule knew them; of what is learnt beside a flow (dns_answer, dns_answer_other, ip_prefix, asn) only flows of home hosts whose verdict rests on it.",
    ),
    counter(
        "avscope_facts_left_out_total",
        &[],
        "Facts beyond those that a flow keeps for its record; they were judged and told all the same.",
    ),
    counter(
        "avscope_names_refused_total",
        &[],
        "Names that found no room in the pool; they were judged all the same.",
    ),
    counter(
        "avscope_reassembly_total",
        &["outcome"],
        "Handshakes in several segments: put together, given up, and what was refused for lack of room; sessions that were watched for TLS for as long as they are; gaps in HTTP requests and DNS over TCP behind which reading went on.",
    ),
    counter(
        "avscope_quic_total",
        &["outcome"],
        "Initial packets of QUIC clients opened, datagrams with an Initial that no known key opens, hellos put together from several datagrams, what was refused for lack of room or given up, and datagrams that were not tried any more for whether they begin another connection.",
    ),
    counter(
        "avscope_tls_servers_total",
        &["outcome"],
        "Servers of TLS: answers read, those that resumed a session, certificates read, those that are malformed; answers that found no room, and those given up before they were whole.",
    ),
    counter(
        "avscope_dtls_hellos_total",
        &["outcome"],
        "Hellos of DTLS: read, those put together from pieces, pieces refused for lack of room or because they contradict, and hellos of which a piece never came.",
    ),
    counter(
        "avscope_tls_secrets_total",
        &["outcome"],
        "Secrets of TLS that were given or stand in captures: kept, repeated, of no use here, without room; lines that are none of a key log; blocks of captures with secrets, and those of them that are passed over.",
    ),
    counter(
        "avscope_tls_decryption_total",
        &["outcome"],
        "While any secret is known: sessions of TLS over TCP whose hello was read, those of them in which something was opened, those whose early data was passed over; requests and certificates read inside.",
    ),
    counter(
        "avscope_tls_decryption_failures_total",
        &["reason"],
        "Sessions of TLS that were not decrypted while any secret is known, or not to their end, by the reason; one of them each at most.",
    ),
    counter(
        "avscope_dns_questions_total",
        &[],
        "Questions to name services in messages that could be read, repeated ones included.",
    ),
    counter(
        "avscope_dns_transactions_total",
        &["outcome"],
        "Questions to name services by what became of them, each repeated one once; all outcomes together are all transactions, of which unsolicited responses are a part where they are told.",
    ),
    counter(
        "avscope_dns_anomalies_total",
        &["kind"],
        "Responses without a question seen, those of them left out since their flow shows the client, questions repeated, messages that could not be read, questions refused for lack of room, answers forgotten before their time for lack of room, and flows and questions of hosts with encrypted DNS that found no room to be counted.",
    ),
    gauge(
        "avscope_encrypted_dns_hosts",
        &[],
        "Home hosts that were seen to use encrypted DNS: what they asked for cannot be seen.",
    ),
    counter(
        "avscope_host_facts_total",
        &["kind"],
        "What hosts said of their addresses and names to their network, by where it was read; all kinds together are all that was told.",
    ),
    counter(
        "avscope_host_fact_anomalies_total",
        &["kind"],
        "DHCP messages that could not be read at all, and those that ended early or contradicted themselves.",
    ),
    gauge(
        "avscope_hosts",
        &["named"],
        "Home hosts that were seen, by whether they ever said a name that can be read: of a server, or in a question.",
    ),
    gauge(
        "avscope_host_roles",
        &["role"],
        "Home hosts by for whom they speak; endpoint: for themselves, as far as was seen. One host can have several of the others.",
    ),
    counter(
        "avscope_host_changes_total",
        &["cause"],
        "Addresses that became another host's, by what showed it.",
    ),
    counter(
        "avscope_host_anomalies_total",
        &["kind"],
        "Addresses, changes of hands and stations that found no room; DHCP questions forgotten before they were answered; flows from another station that were no change of hands; hosts told apart by what turned out to be a router; addresses whose stations come and go.",
    ),
    gauge(
        "avscope_exposures_apart",
        &["relay"],
        "Exposures listed, by whether their host may speak for others there; a relay's stands for an unknown number of hosts.",
    ),
    counter(
        "avscope_traffic_bytes_total",
        &["locality", "coverage", "direction"],
        "IP bytes by side of the border and by what could be seen of them; all together are all bytes of packets read.",
    ),
    counter(
        "avscope_traffic_flows_total",
        &["locality", "coverage"],
        "Flows that ended by side of the border and by what could be seen of them; all together are all flows ended.",
    ),
    counter(
        "avscope_attributed_bytes_total",
        &["evidence", "direction"],
        "Outbound IP bytes attributed to a vendor, by kind of evidence; a part of avscope_traffic_bytes_total with locality outbound.",
    ),
    counter(
        "avscope_egress_bytes_total",
        &[
            "vendor",
            "product",
            "engine_vendor",
            "confidence",
            "direction",
        ],
        "IP bytes of listed exposures; with confidence that of the best sighting of the exposure. A part of the attributed bytes: see avscope_unlisted_bytes_total for the rest.",
    ),
    counter(
        "avscope_egress_flows_total",
        &["vendor", "product", "engine_vendor", "confidence"],
        "Flows of listed exposures that ended.",
    ),
    counter(
        "avscope_unlisted_bytes_total",
        &["reason"],
        "Attributed IP bytes, both ways, of no listed exposure: the client is outside the home networks, or the list was full.",
    ),
    counter(
        "avscope_contacts_total",
        &["vendor", "purpose"],
        "Sightings of facts by what was contacted, in listed exposures; questions to name services are not among them.",
    ),
    counter(
        "avscope_vendor_questions_total",
        &["vendor", "purpose"],
        "Questions to name services by what was asked for, in listed exposures; beside avscope_contacts_total, since who asks need not call.",
    ),
    counter(
        "avscope_jurisdiction_bytes_total",
        &["axis", "country"],
        "IP bytes of listed exposures, both ways, by country; each axis alone adds up to all of them, and none is derived from another. \"several\" where the servers of an exposure are in several countries.",
    ),
    gauge(
        "avscope_exposures",
        &["vendor", "verdict", "contact"],
        "Exposures listed, one per host, vendor, product and engine, by what they indicate (docs/VERDICTS.md); attempted: no answer of the vendor's side was seen.",
    ),
    counter(
        "avscope_watch_refused_total",
        &["kind"],
        "Hours of zones folded together for lack of room, active hosts that found no room to be followed, and activity of hosts that came too late to be told from what was counted.",
    ),
    counter(
        "avscope_exposures_refused_total",
        &[],
        "Sightings that found no room among the exposures.",
    ),
    counter(
        "avscope_alerts_total",
        &["kind", "severity"],
        "Alerts raised, each as often as it would have been raised (docs/ALERTS.md).",
    ),
    counter(
        "avscope_news_refused_total",
        &["list"],
        "Alerts, suggestions, sightings of canaries and flows of active hosts that found no room.",
    ),
    gauge(
        "avscope_suggestions",
        &["reason"],
        "Names or groups of names near to a vendor that no rule knows: suggestions, no attributions.",
    ),
    gauge(
        "avscope_expected_hosts",
        &["vendor", "zone", "state"],
        "Home hosts of a zone by whether they speak to the vendor that is expected there; brief: active too briefly to say. Only where vendors are expected.",
    ),
    gauge(
        "avscope_vendor_hosts",
        &["vendor"],
        "Home hosts with a listed exposure to the vendor; those that may speak for others are not among them.",
    ),
    gauge(
        "avscope_vendor_first_seen_timestamp_seconds",
        &["vendor", "product"],
        "Packet time of the first sighting; absent where nothing was seen.",
    ),
    gauge(
        "avscope_vendor_last_seen_timestamp_seconds",
        &["vendor", "product"],
        "Packet time of the latest packet of any flow of its exposures; absent where nothing was seen.",
    ),
    gauge(
        "avscope_policies_info",
        &["digest"],
        "Always 1; the digest of the policies that are known; absent where none was judged by.",
    ),
    gauge(
        "avscope_findings",
        &["policy", "result"],
        "Findings of each policy in force by result, listed or not; an exposure whose vendor or engine a policy is about is one finding of it. No policy in force, no series.",
    ),
    gauge(
        "avscope_findings_refused",
        &[],
        "Findings that found no room in the list; a part of avscope_findings.",
    ),
    gauge(
        "avscope_conservation_holds",
        &["equation"],
        "1 where what came in equals what is accounted for, 0 where not: then no number here can be trusted.",
    ),
];
