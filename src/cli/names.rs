//! `avscope names`: captures in, the names seen in them out.

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};
use serde::Serialize;

use super::capture_args::{CaptureArgs, RedactArgs, SinkFn, report_inputs};
use super::{EXIT_ERROR, EXIT_INPUT_INCOMPLETE, EXIT_OK};
use crate::config::Flags;
use crate::store::{NameRow, Names};

/// List the names seen in captures.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  avscope names office.pcap\n  avscope names --format json office.pcap | jq -r .name | sort -u\n\n\
    Kinds read: tls_sni, quic_sni and dtls_sni of ClientHellos, also inside proxies and behind STARTTLS; tls_cert of servers;\n\
    http_host, http_uri, http_user_agent and http_connect of plain HTTP/1 and HTTP/2 requests; socks of requests to SOCKS proxies;\n\
    dns_query over UDP and TCP, mdns_query, llmnr_query, nbns_query. All of them inside tunnels and fragments too.\n\
    Exit code: 0 if all input was read, 4 if part of it could not be read, 1 if none could."
)]
pub struct NamesArgs {
    /// Captures and how to read them.
    #[command(flatten)]
    pub captures: CaptureArgs,

    /// How the names are written.
    #[arg(long, value_enum, default_value_t = NamesFormat::Table)]
    pub format: NamesFormat,

    /// Whether identifiers are taken out of what is written.
    #[command(flatten)]
    pub redaction: RedactArgs,
}

/// How the names are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NamesFormat {
    /// For people.
    Table,
    /// One JSON object a line: kind, name, `src_ip`, `src_port`, `dest_ip`, `dest_port`, count.
    Json,
}

#[derive(Serialize)]
struct JsonRow<'a> {
    #[serde(flatten)]
    row: &'a NameRow,
    count: u64,
}

impl NamesArgs {
    fn flags(&self) -> Flags {
        Flags {
            redact: self.redaction.given(),
            ..self.captures.flags()
        }
    }
}

/// Runs the command.
pub fn run(args: &NamesArgs) -> anyhow::Result<ExitCode> {
    let configuration = args.captures.configuration(&args.flags())?;
    let settings =
        super::capture_args::settings(&configuration, args.captures.ruleset(&configuration)?)?;
    let mut names = Names::default();
    names.redact = configuration.output.redact.value;
    let run = args.captures.read(
        args.captures.source(&configuration)?,
        &settings,
        &mut SinkFn(|event: crate::aggregate::EventRef<'_>| {
            names.event(event);
            Ok(())
        }),
    )?;
    let incomplete = report_inputs(&run);
    write(args.format, &names).context("cannot write the names")?;
    if names.refused > 0 {
        let _ = writeln!(
            std::io::stderr(),
            "avscope: {} further sightings are not listed: the list is full",
            names.refused
        );
    }
    Ok(ExitCode::from(
        match (incomplete, run.outcome.frames.frames) {
            (true, 0) => EXIT_ERROR,
            (true, _) => EXIT_INPUT_INCOMPLETE,
            (false, _) => EXIT_OK,
        },
    ))
}

fn write(format: NamesFormat, names: &Names) -> anyhow::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    match format {
        NamesFormat::Json => {
            for (row, count) in names.rows() {
                serde_json::to_writer(&mut out, &JsonRow { row, count })?;
                out.write_all(b"\n")?;
            }
        }
        NamesFormat::Table => write_table(names, &mut out)?,
    }
    out.flush()?;
    Ok(())
}

fn write_table(names: &Names, out: &mut dyn Write) -> std::io::Result<()> {
    if names.rows().len() == 0 {
        return writeln!(out, "No name was seen.");
    }
    let mut table = Table::new();
    table
        .load_style(UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(["kind", "name", "from", "port", "to", "port", "count"]);
    for (row, count) in names.rows() {
        table.add_row([
            Cell::new(row.kind),
            Cell::new(&row.name),
            Cell::new(row.src_ip),
            Cell::new(row.src_port).set_alignment(CellAlignment::Right),
            Cell::new(row.dest_ip),
            Cell::new(row.dest_port).set_alignment(CellAlignment::Right),
            Cell::new(count).set_alignment(CellAlignment::Right),
        ]);
    }
    writeln!(out, "{table}")
}
