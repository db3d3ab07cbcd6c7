//! The summary for a terminal.

use std::io::Write;

use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

use super::{ExposureView, Summary, table_exposures, table_news};
use crate::aggregate::Traffic;
use crate::model::{Coverage, EvidenceKind, Locality, Verdict};

/// How the table is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Columns of the terminal.
    pub width: u16,
    /// Whether colours and bold may be used.
    pub colour: bool,
}

/// Writes the whole report.
pub fn write_table(summary: &Summary, style: Style, out: &mut dyn Write) -> std::io::Result<()> {
    let (web, products): (Vec<_>, Vec<_>) = summary
        .exposures
        .iter()
        .partition(|exposure| exposure.verdict == Verdict::Visited);
    heading(out, style, "Who talks to which security vendor")?;
    if products.is_empty() {
        writeln!(
            out,
            "  No flow of a home host showed a name that the rules know. What could not be seen is listed below."
        )?;
    } else {
        table_exposures::exposures(&products, style, out)?;
    }
    if !web.is_empty() {
        heading(
            out,
            style,
            "Visits to vendors' web sites (no evidence of an installed product)",
        )?;
        table_exposures::exposures(&web, style, out)?;
    }
    super::findings_table::findings(summary, style, out)?;
    table_news::news(summary, style, out)?;
    relays(summary, style, out)?;
    heading(
        out,
        style,
        "Where the outbound bytes went, and what could not be seen",
    )?;
    coverage(summary, style, out)?;
    zones(summary, style, out)?;
    heading(out, style, "Does it add up")?;
    for equation in &summary.conservation.equations {
        writeln!(
            out,
            "  {} {equation}",
            if equation.holds() { "ok " } else { "NOT" }
        )?;
    }
    notes(summary, style, out)
}

pub(super) fn heading(out: &mut dyn Write, style: Style, text: &str) -> std::io::Result<()> {
    if style.colour {
        writeln!(out, "\n\x1b[1m{text}\x1b[0m")
    } else {
        writeln!(out, "\n{text}")
    }
}

/// Lines above, below, and under the header; rows are told apart by what stands in them.
const LINES: TableStyle = TableStyle::new()
    .top_border(LineStyle::none().fill('─').junction('─'))
    .header_separator(LineStyle::none().fill('─').junction('─'))
    .bottom_border(LineStyle::none().fill('─').junction('─'));

pub(super) fn new_table(style: Style, header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(LINES)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(style.width)
        .set_header(header.iter().map(Cell::new));
    if !style.colour {
        table.force_no_tty();
    }
    table
}

/// Who may speak for others, why, and what that does to the count of hosts.
fn relays(summary: &Summary, style: Style, out: &mut dyn Write) -> std::io::Result<()> {
    let relays: Vec<_> = summary
        .hosts
        .iter()
        .filter(|host| host.is_relay())
        .collect();
    if relays.is_empty() {
        return Ok(());
    }
    heading(out, style, "Hosts that may speak for others")?;
    for host in relays {
        let site = host.site.iter().map(|site| format!(" at {site}"));
        let name = host.name.iter().map(|name| format!(" ({name})"));
        let since = host.since.iter().map(|since| format!(" since {since}"));
        let beside: String = site.chain(name).chain(since).collect();
        for role in &host.roles {
            let vendor = role.vendor.iter().map(|vendor| format!(" of {vendor}"));
            writeln!(
                out,
                "  {}{beside}: {}{}, since {}",
                host.host,
                role.role,
                vendor.collect::<String>(),
                role.reason
            )?;
        }
    }
    let apart = summary.apart();
    writeln!(
        out,
        "  Exposures of hosts that speak for themselves: {} of {} hosts. Counted apart: {} of {} hosts that may speak for others.",
        apart.exposures, apart.hosts, apart.relay_exposures, apart.relays
    )
}

fn coverage(summary: &Summary, style: Style, out: &mut dyn Write) -> std::io::Result<()> {
    let total = summary.bytes.total(Locality::Outbound);
    if total.packets == 0 {
        // The hint would contradict the contacts above it: they went to a host inside, which passed them on.
        let contacted = |exposure: &ExposureView| !exposure.only_asked_for;
        if summary.exposures.iter().any(contacted) {
            writeln!(
                out,
                "  No traffic left the home networks directly: the contacts above went by way of a host inside, such as a proxy."
            )?;
            return beside(summary, out);
        }
        writeln!(
            out,
            "  No traffic left the home networks. If your own hosts have public addresses, name them with --home-net."
        )?;
        return beside(summary, out);
    }
    let mut table = new_table(
        style,
        &["outbound", "flows", "sent", "received", "share of bytes"],
    );
    let mut add = |name: String, traffic: Traffic| {
        if traffic.packets > 0 || traffic.bytes() > 0 {
            table.add_row(vec![
                Cell::new(name),
                Cell::new(traffic.flows).set_alignment(CellAlignment::Right),
                Cell::new(bytes(traffic.bytes_out)).set_alignment(CellAlignment::Right),
                Cell::new(bytes(traffic.bytes_in)).set_alignment(CellAlignment::Right),
                Cell::new(share(traffic.bytes(), total.bytes()))
                    .set_alignment(CellAlignment::Right),
            ]);
        }
    };
    for kind in EvidenceKind::ALL {
        add(
            format!("attributed by {kind}"),
            summary.bytes.attributed_by(*kind),
        );
    }
    for bucket in Coverage::ALL
        .iter()
        .filter(|bucket| **bucket != Coverage::Attributed)
    {
        let prefix = match bucket {
            Coverage::NamedNotSecurity | Coverage::NameService | Coverage::TunnelOverhead => "",
            _ => "unattributed: ",
        };
        add(
            format!("{prefix}{bucket}"),
            summary.bytes.cell(Locality::Outbound, *bucket),
        );
    }
    add("all outbound".to_owned(), total);
    writeln!(out, "{table}")?;
    beside(summary, out)
}

fn beside(summary: &Summary, out: &mut dyn Write) -> std::io::Result<()> {
    let (inside, transit) = (
        summary.bytes.total(Locality::HomeHome),
        summary.bytes.total(Locality::Transit),
    );
    writeln!(
        out,
        "  Beside it: {} between home hosts in {} flows, {} between outsiders in {} flows.",
        bytes(inside.bytes()),
        inside.flows,
        bytes(transit.bytes()),
        transit.flows
    )?;
    encrypted_dns(summary, out)
}

/// What was watched where: the ground on which it stands that something was not seen.
fn zones(summary: &Summary, style: Style, out: &mut dyn Write) -> std::io::Result<()> {
    let watched = &summary.coverage_by_zone;
    if watched.zones.is_empty() {
        return Ok(());
    }
    heading(out, style, "What was watched, by zone")?;
    let mut table = new_table(
        style,
        &[
            "zone",
            "attributed or named",
            "one way",
            "encrypted DNS",
            "with a name",
            "host-hours",
            "never named",
            "hosts",
            "silent hours",
            "hours watched",
        ],
    );
    for zone in &watched.zones {
        let counts = &zone.counts;
        let named: u64 = [Coverage::Attributed, Coverage::NamedNotSecurity]
            .iter()
            .filter_map(|bucket| counts.by_coverage.get(bucket.as_str()))
            .map(|bytes| bytes.bytes_out + bytes.bytes_in)
            .sum();
        let site = zone.site.iter().map(|site| format!(" at {site}"));
        let cells = [
            format!("{}{}", zone.zone, site.collect::<String>()),
            share(named, counts.total.bytes_out + counts.total.bytes_in),
            share(
                counts.tcp_one_way,
                counts.tcp_one_way.saturating_add(counts.tcp_two_way),
            ),
            share(counts.host_hours_encrypted_dns, counts.host_hours),
            share(counts.host_hours_named, counts.host_hours),
            counts.host_hours.to_string(),
            zone.hosts_never_named.to_string(),
            zone.hosts.to_string(),
            zone.silent_hours.to_string(),
            format!(
                "{:.1} of {}",
                zone.minutes_watched as f64 / 60.0,
                zone.hours
            ),
        ];
        let right = |(at, text)| {
            let cell = Cell::new(text);
            if at == 0 {
                cell
            } else {
                cell.set_alignment(CellAlignment::Right)
            }
        };
        table.add_row(cells.into_iter().enumerate().map(right));
    }
    writeln!(out, "{table}")?;
    if watched.folded_hours > 0 {
        writeln!(
            out,
            "  {} hours of zones beyond the room for them are not in this table; raise watch.hours_max.",
            watched.folded_hours
        )?;
    }
    if watched.hosts_refused > 0 {
        writeln!(
            out,
            "  WARNING: there are more active hosts than are followed; raise watch.hosts_max."
        )?;
    }
    Ok(())
}

/// Who cannot be said never to have asked for a vendor.
fn encrypted_dns(summary: &Summary, out: &mut dyn Write) -> std::io::Result<()> {
    match summary.encrypted_dns_hosts {
        0 => Ok(()),
        1 => writeln!(
            out,
            "  1 home host used encrypted DNS: its questions cannot be seen, so that no question for a vendor says less of it."
        ),
        hosts => writeln!(
            out,
            "  {hosts} home hosts used encrypted DNS: their questions cannot be seen, so that no question for a vendor says less of them."
        ),
    }
}

fn notes(summary: &Summary, style: Style, out: &mut dyn Write) -> std::io::Result<()> {
    heading(out, style, "How to read this")?;
    let country = &summary.country_dataset;
    writeln!(
        out,
        "  seat: the vendor's legal seat, from the rules (ruleset {}).",
        summary.ruleset
    )?;
    writeln!(
        out,
        "  server in: country of the server address by {} of {}; databases often disagree.",
        country.name, country.build_date
    )?;
    writeln!(
        out,
        "  network operator: who announces the address, and where that operator is registered, by {} of {}.",
        summary.operator_dataset.name, summary.operator_dataset.build_date
    )?;
    writeln!(
        out,
        "  None of the three is derived from another. A name seen indicates a contact; it does not prove what is installed."
    )?;
    writeln!(
        out,
        "  asked for: questions to a name service, which need no contact. dns_answer, ip_prefix, asn: learnt beside a flow that names nobody itself."
    )?;
    writeln!(
        out,
        "  Home networks: {}.",
        summary.home_networks.join(", ")
    )?;
    if summary.findings.in_force.is_empty() {
        writeln!(
            out,
            "  No policy was judged by: none applies until roles are declared ([organisation]) or --policy names one; avscope policies list."
        )?;
    }
    mirror(summary, out)?;
    if summary.counters.attributed_without_home > 0 {
        writeln!(
            out,
            "  WARNING: {} attributed names were asked for by hosts outside the home networks and are not listed; name yours with --home-net.",
            summary.counters.attributed_without_home
        )?;
    }
    if summary.exposures_refused > 0 {
        writeln!(
            out,
            "  WARNING: {} sightings found no room among the exposures; raise --exposures-max.",
            summary.exposures_refused
        )?;
    }
    Ok(())
}

/// What the mirror port did, where it did anything that a reader has to know.
fn mirror(summary: &Summary, out: &mut dyn Write) -> std::io::Result<()> {
    let shards = &summary.shards;
    let copies = shards.duplicates.packets;
    if copies > 0 {
        writeln!(
            out,
            "  Packets that came twice: {copies} of {}; each counts once.",
            summary.frames.packets
        )?;
    }
    let datagrams = &summary.frames.datagrams;
    if datagrams.copies > 0 {
        writeln!(
            out,
            "  Fragments that came twice: {} of {}; each counts once.",
            datagrams.copies,
            summary.frames.fragments.saturating_add(datagrams.fragments)
        )?;
    }
    let (unseen, acknowledged) = (shards.loss.unseen_bytes, shards.loss.acknowledged_bytes);
    if unseen > 0 {
        writeln!(
            out,
            "  WARNING: lost before the capture, at least: {} of {} that TCP receivers acknowledged never came by ({}).",
            bytes(unseen),
            bytes(acknowledged),
            share(unseen, acknowledged)
        )?;
    }
    let (one, both) = (shards.tcp_one_way, shards.tcp_two_way);
    if one > 0 {
        writeln!(
            out,
            "  WARNING: of {one} of {} TCP connections with payload one side only came by; what the other sent is not in any number here.",
            one.saturating_add(both)
        )?;
    }
    Ok(())
}

fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        "–".to_owned()
    } else {
        format!("{:.1} %", part as f64 * 100.0 / whole as f64)
    }
}

/// Bytes in decimal units with three digits, as network people count.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if value < 9.995 {
        2
    } else {
        usize::from(value < 99.95)
    };
    format!("{value:.digits$} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_three_digits() {
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (12_345, "12.3 kB"),
            (999_499, "999 kB"),
            (999_500, "1.00 MB"),
            (1_805_502_096, "1.81 GB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }
}
