//! A parsed rule file in; the first thing in it that the rules forbid, with its line, out.
//!
//! What the types of the tables cannot say stands here: patterns, samples, days, sources, and how far a network may go.

use toml::Spanned;

use super::error::RulesError;
use super::glob::Glob;
use super::name_pattern::NamePattern;
use super::place::Place;
use super::rule_file::{
    DetectabilityTable, FORMAT, Indicates, RelayTable, RuleTable, SampleKind, SampleTable,
    VendorFile, is_identifier,
};
use super::validity::{Validity, ValidityDate};
use crate::model::{Confidence, Purpose};

/// What is waited for between two contacts: within a minute all is one contact, and beyond a quarter of a year nobody watches.
const CONTACT_SECONDS: std::ops::RangeInclusive<u32> = 60..=7_776_000;

/// Checks one file by itself.
pub(super) fn well_formed(file: &VendorFile, place: &Place<'_>) -> Result<(), RulesError> {
    check_head(file, place)?;
    for rule in &file.rules {
        check_rule(file, rule, place)?;
    }
    for fact in &file.engine_use {
        check_source(file, &fact.source, place)?;
        validity(fact.valid_from.as_ref(), fact.valid_until.as_ref(), place)?;
    }
    for fact in &file.engine_licence {
        check_source(file, &fact.source, place)?;
        validity(fact.valid_from.as_ref(), fact.valid_until.as_ref(), place)?;
    }
    for fact in &file.detectability {
        check_interval(file, fact, place)?;
    }
    for fact in &file.certificate {
        check_source(file, &fact.source, place)?;
        if fact.org.get_ref().trim().is_empty() {
            return Err(place.wrong(&fact.org, "the organisation is empty".to_owned()));
        }
    }
    for relay in &file.relay {
        check_relay(file, relay, place)?;
    }
    for negative in &file.negative {
        check_source(file, &negative.source, place)?;
        for pattern in &negative.patterns {
            check_pattern(pattern, place)?;
        }
    }
    Ok(())
}

/// A number without a source is somebody's guess, and a source without a number an oversight.
fn check_interval(
    file: &VendorFile,
    fact: &DetectabilityTable,
    place: &Place<'_>,
) -> Result<(), RulesError> {
    let (seconds, source) = match (&fact.contact_seconds, &fact.contact_source) {
        (None, None) => return Ok(()),
        (Some(seconds), None) => {
            let message = "contact_seconds needs a contact_source: a key of [sources]";
            return Err(place.wrong(seconds, message.to_owned()));
        }
        (None, Some(source)) => {
            let message = "contact_source without contact_seconds says nothing";
            return Err(place.wrong(source, message.to_owned()));
        }
        (Some(seconds), Some(source)) => (seconds, source),
    };
    check_source(file, source, place)?;
    if CONTACT_SECONDS.contains(seconds.get_ref()) {
        return Ok(());
    }
    let message = format!(
        "contact_seconds is {}: give {} to {}, a minute to a quarter of a year",
        seconds.get_ref(),
        CONTACT_SECONDS.start(),
        CONTACT_SECONDS.end()
    );
    Err(place.wrong(seconds, message))
}

fn check_head(file: &VendorFile, place: &Place<'_>) -> Result<(), RulesError> {
    if *file.format.get_ref() != FORMAT {
        return Err(place.wrong(
            &file.format,
            format!(
                "format {} is not known; this version reads format = {FORMAT}",
                file.format.get_ref()
            ),
        ));
    }
    let stem = std::path::Path::new(place.path)
        .file_stem()
        .and_then(|stem| stem.to_str());
    if stem != Some(file.vendor.id.as_str()) {
        return Err(place.wrong_at(
            0,
            format!(
                "vendor {0:?} belongs into a file named {0}.toml",
                file.vendor.id
            ),
        ));
    }
    for (key, source) in &file.sources {
        if source.title.trim().is_empty() {
            return Err(
                place.wrong_at(0, format!("sources.{key} has no title; name what is cited"))
            );
        }
    }
    Ok(())
}

fn check_rule(file: &VendorFile, rule: &RuleTable, place: &Place<'_>) -> Result<(), RulesError> {
    let id = rule.id.get_ref();
    let expected = format!("{}.{}.", file.vendor.id, rule.purpose);
    let slug = id.strip_prefix(&expected);
    if !slug.is_some_and(is_identifier) {
        return Err(place.wrong(
            &rule.id,
            format!("rule id {id:?} is not \"{expected}<word>\" with <word> of a-z, 0-9, \"-\""),
        ));
    }
    if *rule.version.get_ref() == 0 {
        return Err(place.wrong(&rule.version, format!("rule {id}: versions count from 1")));
    }
    check_patterns(rule, place)?;
    check_source(file, &rule.source, place)?;
    rule_date(&rule.checked, place)?;
    validity(rule.valid_from.as_ref(), rule.valid_until.as_ref(), place)?;
    if let Some(observed) = &rule.observed {
        check_source(file, &observed.list, place)?;
        for name in &observed.names {
            check_pattern(name, place)?;
        }
    }
    for sample in &rule.samples.matching {
        check_sample(sample, &rule.id, place)?;
        if let Some(source) = &sample.source {
            check_source(file, source, place)?;
        }
    }
    for name in &rule.samples.no_match {
        check_exact(name, place)?;
    }
    Ok(())
}

fn check_relay(file: &VendorFile, relay: &RelayTable, place: &Place<'_>) -> Result<(), RulesError> {
    // What everybody listens on says nothing of a vendor, nor what systems hand out to clients.
    const LEAST: u16 = 1024;
    const MOST: u16 = 32_767;
    check_source(file, &relay.source, place)?;
    if relay.name.get_ref().trim().is_empty() {
        return Err(place.wrong(&relay.name, "the relay has no name".to_owned()));
    }
    if relay.tcp.is_empty() && relay.udp.is_empty() {
        return Err(place.wrong(
            &relay.name,
            "the relay listens on no port; give tcp = [..] or udp = [..]".to_owned(),
        ));
    }
    let shared = [1080, 3128, 8000, 8008, 8080, 8081, 8443, 8888];
    for port in relay.tcp.iter().chain(&relay.udp) {
        let number = *port.get_ref();
        if !(LEAST..=MOST).contains(&number) || shared.contains(&number) {
            return Err(place.wrong(
                port,
                format!("port {number} is in use for too much else to show a vendor's relay"),
            ));
        }
    }
    Ok(())
}

fn check_source(
    file: &VendorFile,
    key: &Spanned<String>,
    place: &Place<'_>,
) -> Result<(), RulesError> {
    if file.sources.contains_key(key.get_ref()) {
        return Ok(());
    }
    let known: Vec<&str> = file.sources.keys().map(String::as_str).collect();
    Err(place.wrong(
        key,
        format!(
            "source {:?} has no table [sources.{}]; known: {}",
            key.get_ref(),
            key.get_ref(),
            known.join(", ")
        ),
    ))
}

/// The days of a fact, in their order.
pub(crate) fn validity(
    from: Option<&Spanned<toml::value::Datetime>>,
    until: Option<&Spanned<toml::value::Datetime>>,
    place: &Place<'_>,
) -> Result<Validity, RulesError> {
    let day = |value: Option<_>| value.map(|value| rule_date(value, place)).transpose();
    let days = Validity {
        from: day(from)?,
        until: day(until)?,
    };
    if let (Some(first), Some(last), Some(value)) = (days.from, days.until, from)
        && first > last
    {
        return Err(place.wrong(
            value,
            format!("valid_from {first} lies after valid_until {last}"),
        ));
    }
    Ok(days)
}

fn check_patterns(rule: &RuleTable, place: &Place<'_>) -> Result<(), RulesError> {
    let id = rule.id.get_ref();
    let wrong = |problem: String| Err(place.wrong(&rule.id, format!("rule {id}: {problem}")));
    if rule.pattern_count() == 0 {
        return wrong(
            "no pattern; a rule needs at least one of patterns, user_agents, uris, networks, asns"
                .to_owned(),
        );
    }
    for pattern in &rule.patterns {
        check_pattern(pattern, place)?;
    }
    for (key, globs) in [("user agent", &rule.user_agents), ("URI", &rule.uris)] {
        for glob in globs {
            Glob::parse(glob.get_ref()).map_err(|problem| {
                place.wrong(glob, format!("{key} {:?}: {problem}", glob.get_ref()))
            })?;
        }
    }
    for uri in &rule.uris {
        if !uri.get_ref().starts_with(['/', '*']) {
            return Err(place.wrong(
                uri,
                format!(
                    "URI {:?}: a path begins with \"/\", or the pattern with \"*\"",
                    uri.get_ref()
                ),
            ));
        }
    }
    for network in &rule.networks {
        check_network(network, place)?;
    }
    if rule.networks.is_empty() && rule.asns.is_empty() {
        return Ok(());
    }
    // A network says who runs it and nothing about what runs on the host that speaks to it.
    if rule.pattern_count() > rule.networks.len() + rule.asns.len() {
        return wrong("networks and asns stand in a rule of their own".to_owned());
    }
    if rule.purpose != Purpose::Unknown
        || rule.indicates != Indicates::Contact
        || rule.confidence != Confidence::Low
        || rule.product.is_some()
    {
        return wrong(
            "networks and asns tell a contact and no more: purpose = \"unknown\", \
             indicates = \"contact\", confidence = \"low\", no product"
                .to_owned(),
        );
    }
    Ok(())
}

/// A network in CIDR notation, without bits behind its length, not wider than a vendor can own.
pub(super) fn check_network(
    text: &Spanned<String>,
    place: &Place<'_>,
) -> Result<ipnet::IpNet, RulesError> {
    let wrong =
        |problem: String| place.wrong(text, format!("network {:?}: {problem}", text.get_ref()));
    let network: ipnet::IpNet = text
        .get_ref()
        .parse()
        .map_err(|_| wrong("write it as in \"192.0.2.0/24\" or \"2001:db8::/32\"".to_owned()))?;
    if network.trunc() != network {
        return Err(wrong(format!(
            "bits are set behind its length; write {}",
            network.trunc()
        )));
    }
    let least = if network.addr().is_ipv4() { 8 } else { 16 };
    if network.prefix_len() < least {
        return Err(wrong(format!(
            "wider than /{least}: no vendor has that much"
        )));
    }
    Ok(network)
}

fn check_sample(
    sample: &SampleTable,
    rule: &Spanned<String>,
    place: &Place<'_>,
) -> Result<(), RulesError> {
    let Some((kind, text)) = sample.subject() else {
        return Err(place.wrong(
            rule,
            format!(
                "rule {}: a sample is exactly one of name, user_agent, uri, address",
                rule.get_ref()
            ),
        ));
    };
    match kind {
        SampleKind::Name => check_exact(text, place),
        SampleKind::UserAgent | SampleKind::Uri => Ok(()),
        SampleKind::Address => match text.get_ref().parse::<std::net::IpAddr>() {
            Ok(_) => Ok(()),
            Err(_) => Err(place.wrong(text, format!("sample {:?} is no address", text.get_ref()))),
        },
    }
}

fn check_pattern(pattern: &Spanned<String>, place: &Place<'_>) -> Result<(), RulesError> {
    match NamePattern::parse(pattern.get_ref()) {
        Ok(_) => Ok(()),
        Err(problem) => Err(place.wrong(
            pattern,
            format!("pattern {:?}: {problem}", pattern.get_ref()),
        )),
    }
}

fn check_exact(name: &Spanned<String>, place: &Place<'_>) -> Result<(), RulesError> {
    check_pattern(name, place)?;
    if name.get_ref().starts_with("*.") {
        return Err(place.wrong(
            name,
            format!(
                "sample {:?} is a pattern; a sample is one name",
                name.get_ref()
            ),
        ));
    }
    Ok(())
}

/// A TOML date without a time of day.
pub(crate) fn rule_date(
    value: &Spanned<toml::value::Datetime>,
    place: &Place<'_>,
) -> Result<ValidityDate, RulesError> {
    let whole = value.get_ref();
    match (whole.date, whole.time, whole.offset) {
        (Some(date), None, None) => Ok(ValidityDate {
            year: date.year,
            month: date.month,
            day: date.day,
        }),
        _ => Err(place.wrong(
            value,
            format!("{whole} is not a date; write it as 2026-11-23"),
        )),
    }
}
