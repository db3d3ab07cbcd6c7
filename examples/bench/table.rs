//! Measured rows → Markdown.

use std::io::Write;
use std::time::Duration;

use super::Row;
use super::measure::Cost;

/// Prints the tables to standard output.
pub fn print(rows: &[Row]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "| shape | packets | flows | file MB | cat CPU s | avscope CPU s | ratio | ns/packet | \
         wall s, 1 worker | wall s, 2 workers | CPU s, 2 workers | RSS MB |"
    )?;
    writeln!(out, "|---|{}", "---:|".repeat(11))?;
    for row in rows {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {:.2} | {:.0} | {} | {} | {} | {} |",
            row.shape,
            row.packets,
            row.flows,
            row.bytes / 1_000_000,
            seconds(row.cat.cpu),
            seconds(row.one.cpu),
            ratio(&row.one, &row.cat),
            row.one.cpu.as_nanos() as f64 / row.packets as f64,
            seconds(row.one.wall),
            seconds(row.two.wall),
            seconds(row.two.cpu),
            row.one.resident_kilobytes / 1024,
        )?;
    }
    let peers = rows.iter().any(|row| !row.peers.is_empty());
    if peers {
        writeln!(out)?;
        writeln!(
            out,
            "| shape | program | CPU s | to avscope | wall s | RSS MB |"
        )?;
        writeln!(out, "|---|---|---:|---:|---:|---:|")?;
    }
    for row in rows {
        for (name, cost) in &row.peers {
            writeln!(
                out,
                "| {} | {name} | {} | {:.1} | {} | {} |",
                row.shape,
                seconds(cost.cpu),
                ratio(cost, &row.one),
                seconds(cost.wall),
                cost.resident_kilobytes / 1024,
            )?;
        }
    }
    Ok(())
}

fn seconds(duration: Duration) -> String {
    format!("{:.3}", duration.as_secs_f64())
}

fn ratio(one: &Cost, other: &Cost) -> f64 {
    one.cpu.as_secs_f64() / other.cpu.as_secs_f64()
}
