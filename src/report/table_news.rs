//! Alerts, who is silent, and suggestions, for a terminal.

use std::io::Write;

use super::table::{Style, heading};
use super::{News, Summary};
use crate::alert::{AlertKind, CanaryStanding};

/// Lines of each list; the JSON has all.
const SHOWN: usize = 20;

/// What somebody should look at, where there is anything.
pub(super) fn news(summary: &Summary, style: Style, out: &mut dyn Write) -> std::io::Result<()> {
    let news = &summary.news;
    // With no past everything is a first sight, and stands above.
    let told: Vec<_> = news
        .alerts
        .iter()
        .filter(|alert| news.has_past || alert.kind != AlertKind::FirstSight)
        .collect();
    if !told.is_empty() {
        heading(out, style, "What is new, or too much")?;
        for alert in told.iter().take(SHOWN) {
            let site = alert.site.iter().map(|site| format!(" at {site}"));
            writeln!(
                out,
                "  {:6} {} {}{}  [{}]",
                alert.severity,
                alert.timestamp,
                alert.message,
                site.collect::<String>(),
                alert.id
            )?;
        }
        more(out, told.len())?;
    }
    if !news.expected.is_empty() {
        expected(news, style, out)?;
    }
    if !news.canaries.is_empty() {
        canaries(news, style, out)?;
    }
    if !news.suggestions.is_empty() {
        suggestions(news, style, out)?;
    }
    Ok(())
}

/// Who is silent where an agent is expected.
fn expected(news: &News, style: Style, out: &mut dyn Write) -> std::io::Result<()> {
    heading(
        out,
        style,
        "Active hosts that were not seen to speak to whom they should",
    )?;
    for zone in &news.expected {
        writeln!(
            out,
            "  {} in {}: {} of {} active hosts speak to it, {} do not; {} were seen too briefly to say.",
            zone.vendor,
            zone.zone.as_deref().unwrap_or("all home networks"),
            zone.speaking_hosts,
            zone.active_hosts,
            zone.silent_hosts,
            zone.briefly_active_hosts
        )?;
        for silent in zone.silent.iter().take(SHOWN) {
            let site = silent.site.iter().map(|site| format!(" at {site}"));
            writeln!(
                out,
                "    {}{}, active in {} hours",
                silent.host,
                site.collect::<String>(),
                silent.active_hours
            )?;
        }
        more(out, zone.silent_hosts as usize)?;
    }
    writeln!(
        out,
        "  Not seen is not the same as not installed: behind a proxy, with hidden names or on another link an agent does not show."
    )?;
    Ok(())
}

/// Names that hosts spoke on purpose.
fn canaries(news: &News, style: Style, out: &mut dyn Write) -> std::io::Result<()> {
    heading(out, style, "Canaries")?;
    for seen in news.canaries.iter().take(SHOWN) {
        let zone = |zone: Option<&str>| match zone {
            Some("") => "the home networks".to_owned(),
            Some(zone) => format!("zone {zone}"),
            None => "no zone".to_owned(),
        };
        let told = match seen.standing {
            CanaryStanding::Proves => {
                format!("proven: {} is seen", zone(seen.issued_for.as_deref()))
            }
            CanaryStanding::OtherZone => format!(
                "issued for {}, spoken in {}: proves neither",
                zone(seen.issued_for.as_deref()),
                zone(seen.zone.as_deref())
            ),
            CanaryStanding::Stale => "issued too long ago: proves nothing".to_owned(),
            CanaryStanding::NotIssued => {
                "nobody issued it (--canaries FILE): proves nothing".to_owned()
            }
            CanaryStanding::Test => {
                "the test capture: the sensor reads; no zone is proven".to_owned()
            }
        };
        let directions = match seen.directions_seen {
            Some([true, false]) => ", only the way out",
            Some([false, true]) => ", only the way back",
            _ => "",
        };
        writeln!(
            out,
            "  {} {} {} ({}{directions})  {told}",
            seen.timestamp, seen.host, seen.kind, seen.locality
        )?;
    }
    more(out, news.canaries.len())?;
    Ok(())
}

/// Names near to a vendor.
fn suggestions(news: &News, style: Style, out: &mut dyn Write) -> std::io::Result<()> {
    heading(
        out,
        style,
        "Names that no rule knows, near to a vendor (suggestions for your rules, no attributions)",
    )?;
    for suggestion in news.suggestions.iter().take(SHOWN) {
        let names: Vec<_> = suggestion
            .names
            .iter()
            .map(|name| name.value.as_str())
            .collect();
        writeln!(
            out,
            "  {}: {} ×{} ({} {})",
            suggestion.vendor,
            names.join(", "),
            suggestion.sightings,
            suggestion.reason.as_str().replace('_', " "),
            suggestion.basis
        )?;
    }
    more(out, news.suggestions.len())?;
    Ok(())
}

fn more(out: &mut dyn Write, count: usize) -> std::io::Result<()> {
    match count.checked_sub(SHOWN) {
        Some(more) if more > 0 => writeln!(out, "  and {more} more; --format json has all"),
        _ => Ok(()),
    }
}
