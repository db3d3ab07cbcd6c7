//! What TLS offered, chose and showed → the objects of an event: `tls` as Suricata has it, and `avscope.client_hello`.

use std::borrow::Cow;

use serde::Serialize;

use crate::aggregate::{
    CertificateSeen, EventRun, HelloSeen, MessageObserved, ServerSeen, TextRef, TlsSeen,
};
use crate::model::{printable, tls_version_word};

/// Suricata's object `tls`.
#[derive(Default, Serialize)]
#[allow(
    clippy::struct_field_names,
    reason = "field names are those of the output"
)]
pub(super) struct Tls<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    sni: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    session_resumed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuerdn: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notbefore: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notafter: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subjectaltname: Vec<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ja3: Option<Ja3<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ja4: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    client_alpns: Vec<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    server_alpns: Vec<Cow<'a, str>>,
}

#[derive(Serialize)]
struct Ja3<'a> {
    hash: Cow<'a, str>,
    string: Cow<'a, str>,
}

/// What of a hello Suricata has no field for.
#[derive(Serialize)]
pub(super) struct ClientHelloOut {
    versions: Vec<Cow<'static, str>>,
    ech_offered: bool,
    esni_offered: bool,
    resumption: Vec<&'static str>,
}

/// Both objects of a message of TLS.
pub(super) fn observed<'a>(
    sni: Option<Cow<'a, str>>,
    message: &MessageObserved,
    run: &'a EventRun,
) -> (Tls<'a>, Option<ClientHelloOut>) {
    match run.tls(message.tls) {
        Some(TlsSeen::Hello(seen)) => {
            let tls = Tls {
                sni,
                ..of_hello(seen, run)
            };
            (tls, Some(client_hello(seen, run)))
        }
        Some(TlsSeen::Certificate(seen)) => (of_certificate(seen, run), None),
        None => {
            let tls = Tls {
                sni,
                ..Tls::default()
            };
            (tls, None)
        }
    }
}

/// A name alone.
pub(super) fn named(sni: Cow<'_, str>) -> Tls<'_> {
    Tls {
        sni: Some(sni),
        ..Tls::default()
    }
}

/// What a flow's record says: the name, and what the server chose; `None` where there is neither.
pub(super) fn reported(sni: Option<Cow<'_, str>>, server: ServerSeen) -> Option<Tls<'_>> {
    (sni.is_some() || server != ServerSeen::default()).then(|| Tls {
        sni,
        version: version(server.version),
        session_resumed: server.resumed,
        ..Tls::default()
    })
}

fn of_hello<'a>(seen: &HelloSeen, run: &'a EventRun) -> Tls<'a> {
    Tls {
        ja3: Some(Ja3 {
            hash: printable(run.text(seen.ja3_hash)),
            string: printable(run.text(seen.ja3)),
        }),
        ja4: text(seen.ja4, run),
        client_alpns: texts(run.texts(seen.alpns), run),
        ..Tls::default()
    }
}

fn of_certificate<'a>(seen: &CertificateSeen, run: &'a EventRun) -> Tls<'a> {
    Tls {
        version: version(seen.server.version),
        session_resumed: seen.server.resumed,
        subject: text(seen.subject, run),
        issuerdn: text(seen.issuer, run),
        notbefore: text(seen.not_before, run),
        notafter: text(seen.not_after, run),
        subjectaltname: texts(run.texts(seen.alternative_names), run),
        server_alpns: text(seen.alpn, run).into_iter().collect(),
        ..Tls::default()
    }
}

fn client_hello(seen: &HelloSeen, run: &EventRun) -> ClientHelloOut {
    let (pairs, _) = run.text(seen.versions).as_chunks::<2>();
    let versions = pairs.iter().map(|pair| u16::from_be_bytes(*pair));
    let words = ["session_id", "ticket", "psk"];
    ClientHelloOut {
        versions: versions.filter_map(version).collect(),
        ech_offered: seen.ech_offered,
        esni_offered: seen.esni_offered,
        resumption: words
            .into_iter()
            .zip(seen.resumption)
            .filter_map(|(word, offered)| offered.then_some(word))
            .collect(),
    }
}

/// Suricata's word, or the number where it has none; nothing for 0.
fn version(version: u16) -> Option<Cow<'static, str>> {
    match tls_version_word(version) {
        Some(word) => Some(word.into()),
        None if version == 0 => None,
        None => Some(format!("0x{version:04x}").into()),
    }
}

fn text(text: TextRef, run: &EventRun) -> Option<Cow<'_, str>> {
    (!text.is_empty()).then(|| printable(run.text(text)))
}

fn texts<'a>(all: &[TextRef], run: &'a EventRun) -> Vec<Cow<'a, str>> {
    all.iter().map(|text| printable(run.text(*text))).collect()
}
