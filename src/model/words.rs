//! The closed sets that rules, events, metrics and tables share; the words are a contract with users.

use super::closed_set::closed_set;

/// A word that is in none of the members of a closed set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown word {word:?}; known: {}", known.join(", "))]
pub struct UnknownWord {
    /// What was given.
    pub word: String,
    /// What would have been understood.
    pub known: &'static [&'static str],
}

closed_set! {
    /// What kind of fact was seen, strongest first; the order decides between two pieces of evidence.
    pub enum EvidenceKind {
        /// Host header of a plain HTTP request.
        HttpHost = "http_host",
        /// User-Agent header of a plain HTTP request.
        HttpUserAgent = "http_user_agent",
        /// Request target of a plain HTTP request.
        HttpUri = "http_uri",
        /// Server Name Indication of a TLS ClientHello over TCP (RFC 6066 §3).
        TlsSni = "tls_sni",
        /// Server Name Indication of a ClientHello inside QUIC Initial packets.
        QuicSni = "quic_sni",
        /// Server Name Indication of a DTLS ClientHello.
        DtlsSni = "dtls_sni",
        /// Target of an HTTP CONNECT request.
        HttpConnect = "http_connect",
        /// Target of a SOCKS request.
        Socks = "socks",
        /// A name in the certificate the server presented.
        TlsCert = "tls_cert",
        /// This client resolved the name to this address before the flow.
        DnsAnswer = "dns_answer",
        /// The name was asked for, whatever the answer.
        DnsQuery = "dns_query",
        /// Somebody else resolved the name to this address.
        DnsAnswerOther = "dns_answer_other",
        /// The server address lies in a prefix of the vendor.
        IpPrefix = "ip_prefix",
        /// The server address is announced by the vendor's autonomous system.
        Asn = "asn",
        /// TLS client fingerprint; only corroborates.
        Ja4 = "ja4",
        /// Multicast DNS question.
        MdnsQuery = "mdns_query",
        /// Link-Local Multicast Name Resolution question.
        LlmnrQuery = "llmnr_query",
        /// NetBIOS name service question.
        NbnsQuery = "nbns_query",
    }
}

closed_set! {
    /// How sure an attribution is; a documented function of the rule's own confidence and the evidence kind.
    pub enum Confidence {
        /// A single weak source, or weak evidence.
        Low = "low",
        /// An uncorroborated but specific source.
        Medium = "medium",
        /// Vendor documentation, vendor code, or corroborated lists, seen in strong evidence.
        High = "high",
    }
}

closed_set! {
    /// What the contacted endpoint serves.
    pub enum Purpose {
        /// Look-ups of files, addresses or names in the vendor's cloud.
        Reputation = "reputation",
        /// Events and statistics sent to the vendor.
        Telemetry = "telemetry",
        /// Files sent to the vendor.
        SampleUpload = "sample_upload",
        /// Signatures, engines and program updates.
        Update = "update",
        /// Consoles and agents talking to their management.
        Management = "management",
        /// Activation and entitlement.
        Licensing = "licensing",
        /// A web site: a visit is not evidence of an installed product.
        Web = "web",
        /// The source does not say.
        Unknown = "unknown",
    }
}

closed_set! {
    /// What a fact in the rules rests on.
    pub enum SourceClass {
        /// The vendor's own documentation.
        VendorDoc = "vendor-doc",
        /// The vendor's own code.
        VendorCode = "vendor-code",
        /// A public script, configuration or capture that lists the endpoints.
        Transcript = "transcript",
        /// A community list.
        List = "list",
        /// Seen in a public popularity list; the purpose is inferred from the name.
        Observed = "observed",
        /// Expanded from a documented template.
        Derived = "derived",
        /// From memory.
        Unverified = "unverified",
    }
}

closed_set! {
    /// What became of a question to a name service.
    pub enum DnsOutcome {
        /// Records were given.
        Answered = "answered",
        /// The name is known, and has no record of this type.
        NoData = "no_data",
        /// Every address given leads nowhere: unspecified or loopback. Filters answer so.
        Sinkholed = "sinkholed",
        /// There is no such name; filters answer so too (RFC 1035 §4.1.1, code 3).
        NxDomain = "nxdomain",
        /// The server would not answer (code 5).
        Refused = "refused",
        /// The server could not answer (code 2).
        ServFail = "servfail",
        /// Another code.
        OtherError = "other_error",
        /// The answer did not fit, and is asked for again over TCP.
        Truncated = "truncated",
        /// No answer was seen.
        Unanswered = "unanswered",
        /// Asked of the whole local network, where answers are not paired with questions.
        Asked = "asked",
        /// The capture cut the answer before what would decide it, or there was no room to wait for it.
        Unknown = "unknown",
    }
}

closed_set! {
    /// What all sightings of an exposure together indicate; `docs/VERDICTS.md` has the function.
    pub enum Verdict {
        /// The vendor's product runs on the host: evidence that only the product gives, and more than once.
        Installed = "installed",
        /// An engine of the one vendor works inside a product of the other.
        Embedded = "embedded",
        /// The vendor's engine or cloud is in use, by a product that is not known.
        EngineContact = "engine_contact",
        /// Web sites were visited: no evidence of a product.
        Visited = "visited",
        /// Too little, or too weak, to say more.
        Indeterminate = "indeterminate",
    }
}

closed_set! {
    /// Whether the vendor's side was ever seen to answer.
    pub enum Contact {
        /// Something at the address answered the host.
        Reached = "reached",
        /// The host tried, or asked for the name, and no answer of the vendor's side was seen: blocked products are installed too.
        Attempted = "attempted",
    }
}

closed_set! {
    /// What became of one attempt to contact a vendor.
    pub enum AttemptOutcome {
        /// The server sent payload.
        Reached = "reached",
        /// Only the host's side was seen, and it sent payload over an open TCP connection: something had answered.
        OneWay = "one_way",
        /// The server, or something in its place, answered with nothing but RST.
        Reset = "reset",
        /// The connection was accepted, and nothing was sent on it.
        Silent = "silent",
        /// Nothing came back.
        Unanswered = "unanswered",
        /// The name led to an address of the user's own network: a filter's page, a mirror, a relay.
        Diverted = "diverted",
        /// A proxy was asked, and no answer of the server behind it was seen.
        Proxied = "proxied",
        /// The name was resolved, as far as this question goes.
        NameResolved = "name_resolved",
        /// The name was answered with addresses that lead nowhere.
        NameSinkholed = "name_sinkholed",
        /// The name was denied: no such name, no data, refused, or an error.
        NameDenied = "name_denied",
        /// No answer to the question was seen, or it could not be read.
        NameUnanswered = "name_unanswered",
    }
}

closed_set! {
    /// How grave a finding is, or how urgent it is to look at an alert; mildest first.
    pub enum Severity {
        /// For the record.
        Info = "info",
        /// When there is time.
        Low = "low",
        /// Soon.
        Medium = "medium",
        /// Now.
        High = "high",
    }
}

/// A country as ISO 3166-1 alpha-2, upper case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CountryCode([u8; 2]);

impl CountryCode {
    /// Two upper-case ASCII letters, else `None`.
    pub const fn new(letters: [u8; 2]) -> Option<Self> {
        if letters[0].is_ascii_uppercase() && letters[1].is_ascii_uppercase() {
            Some(Self(letters))
        } else {
            None
        }
    }

    /// The two letters.
    pub fn as_str(&self) -> &str {
        // Only `new` makes values, and it takes nothing but ASCII letters.
        std::str::from_utf8(&self.0).unwrap_or("??")
    }
}

impl std::fmt::Display for CountryCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::fmt::Debug for CountryCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for CountryCode {
    type Err = NotACountryCode;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        <[u8; 2]>::try_from(text.as_bytes())
            .ok()
            .and_then(Self::new)
            .ok_or_else(|| NotACountryCode(text.to_owned()))
    }
}

/// Text that is not an ISO 3166-1 alpha-2 code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a country code: two upper-case letters of ISO 3166-1 alpha-2, as in \"CH\"")]
pub struct NotACountryCode(pub String);

impl serde::Serialize for CountryCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for CountryCode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
