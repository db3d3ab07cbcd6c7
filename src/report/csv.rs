//! Exposures as CSV (RFC 4180): one line each, lists joined by a space and a semicolon.

use std::io::Write;

use super::Summary;
use crate::geo::Dataset;
use crate::model::CountryCode;

const HEADER: [&str; 36] = [
    "host",
    "vendor",
    "vendor_name",
    "vendor_seat",
    "product",
    "engine_vendor",
    "engine_vendor_seat",
    "purposes",
    "web_only",
    "only_asked_for",
    "server_countries",
    "operators",
    "operator_countries",
    "flows",
    "bytes_out",
    "bytes_in",
    "first_seen",
    "last_seen",
    "evidence_kinds",
    "names",
    "rule_ids",
    "confidence",
    "country_dataset",
    "operator_dataset",
    "id",
    "site",
    "zone",
    "verdict",
    "verdict_reason",
    "contact",
    "tenancy",
    "since",
    "mac",
    "name",
    "vlans",
    "relay",
];

/// Writes a header and a line for each exposure.
pub fn write_csv(summary: &Summary, out: &mut dyn Write) -> std::io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(HEADER)?;
    let country_dataset = with_date(&summary.country_dataset);
    let operator_dataset = with_date(&summary.operator_dataset);
    for exposure in &summary.exposures {
        let engine = exposure.engine.as_ref();
        writer.write_record([
            exposure.host.to_string(),
            exposure.vendor.clone(),
            exposure.vendor_name.clone(),
            exposure.vendor_seat.to_string(),
            exposure.product.clone().unwrap_or_default(),
            engine
                .map(|engine| engine.vendor.clone())
                .unwrap_or_default(),
            engine
                .map(|engine| engine.vendor_seat.to_string())
                .unwrap_or_default(),
            join(
                exposure
                    .purposes
                    .iter()
                    .map(|view| view.purpose.to_string()),
            ),
            exposure.web_only.to_string(),
            exposure.only_asked_for.to_string(),
            join(
                exposure
                    .server_countries
                    .iter()
                    .map(|country| or_unknown(*country)),
            ),
            join(exposure.operators.iter().map(|(name, _)| name.clone())),
            join(
                exposure
                    .operators
                    .iter()
                    .map(|(_, country)| or_unknown(*country)),
            ),
            exposure.flows.to_string(),
            exposure.bytes_out.to_string(),
            exposure.bytes_in.to_string(),
            exposure.first_seen.clone(),
            exposure.last_seen.clone(),
            join(exposure.evidence_kinds().iter().map(ToString::to_string)),
            join(
                exposure
                    .evidence
                    .iter()
                    .map(|sighting| sighting.value.clone()),
            ),
            join(
                exposure
                    .evidence
                    .iter()
                    .map(|sighting| sighting.rule_id.clone()),
            ),
            exposure.confidence.to_string(),
            country_dataset.clone(),
            operator_dataset.clone(),
            exposure.id.clone(),
            exposure.site.clone().unwrap_or_default(),
            exposure.zone.clone().unwrap_or_default(),
            exposure.verdict.to_string(),
            exposure.verdict_reason.to_string(),
            exposure.contact.to_string(),
            exposure.who.tenancy.to_string(),
            exposure.who.since.clone().unwrap_or_default(),
            exposure.who.mac.clone().unwrap_or_default(),
            exposure.who.name.clone().unwrap_or_default(),
            join(exposure.who.vlans.iter().map(ToString::to_string)),
            exposure
                .who
                .relay
                .as_ref()
                .map(|relay| relay.role.to_string())
                .unwrap_or_default(),
        ])?;
    }
    writer.flush()
}

/// As events name it: a line is read apart from the others.
fn with_date(dataset: &Dataset) -> String {
    format!("{} {}", dataset.name, dataset.build_date)
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join("; ")
}

fn or_unknown(country: Option<CountryCode>) -> String {
    country.map_or_else(|| "unknown".to_owned(), |country| country.to_string())
}
