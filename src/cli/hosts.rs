//! `avscope hosts`: captures in, the home hosts seen in them out.

use std::io::{BufWriter, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

use super::capture_args::{CaptureArgs, LedgerSink, RedactArgs, report_inputs};
use super::{EXIT_ERROR, EXIT_INPUT_INCOMPLETE, EXIT_OK};
use crate::aggregate::{EventRef, Ledger};
use crate::config::Flags;
use crate::geo::{Countries, OperatorTable};
use crate::model::HostRole;
use crate::report::{Describer, HostView, HostsSeen};

/// List the home hosts seen in captures.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  avscope hosts office.pcap\n  avscope hosts --format json office.pcap | jq -r 'select(.named | not) | .host'\n\n\
    A host is an address at a site for as long as nothing shows that it has changed hands: docs/HOSTS.md has what shows it,\n\
    and by what a resolver, a proxy, a NAT and a vendor's relay are known.\n\
    Exit code: 0 if all input was read, 4 if part of it could not be read, 1 if none could."
)]
pub struct HostsArgs {
    /// Captures and how to read them.
    #[command(flatten)]
    pub captures: CaptureArgs,

    /// How the hosts are written.
    #[arg(long, value_enum, default_value_t = HostsFormat::Table)]
    pub format: HostsFormat,

    /// Whether identifiers are taken out of what is written.
    #[command(flatten)]
    pub redaction: RedactArgs,
}

/// How the hosts are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HostsFormat {
    /// For people.
    Table,
    /// One JSON object a line, as docs/hosts.schema.json says.
    Json,
}

impl HostsArgs {
    fn flags(&self) -> Flags {
        Flags {
            redact: self.redaction.given(),
            ..self.captures.flags()
        }
    }
}

/// Runs the command.
pub fn run(args: &HostsArgs) -> anyhow::Result<ExitCode> {
    let configuration = args.captures.configuration(&args.flags())?;
    let settings =
        super::capture_args::settings(&configuration, args.captures.ruleset(&configuration)?)?;
    let mut ledger = Ledger::new(
        Arc::clone(&settings.rules),
        Arc::new(Countries::Embedded),
        Arc::new(OperatorTable::builtin()?),
        Arc::clone(&settings.home),
        &settings.ledger,
    );
    let run = args.captures.read(
        args.captures.source(&configuration)?,
        &settings,
        &mut LedgerSink {
            ledger: &mut ledger,
            also: |_: EventRef<'_>, _: &Ledger| Ok(()),
        },
    )?;
    let incomplete = report_inputs(&run);
    let mut hosts = Describer::new(&ledger, run.source.sites()).all();
    if configuration.output.redact.value {
        hosts.iter_mut().for_each(HostView::redact);
    }
    let seen = HostsSeen::of(&ledger);
    write(args.format, &hosts, &seen).context("cannot write the hosts")?;
    if seen.refused > 0 {
        let _ = writeln!(
            std::io::stderr(),
            "avscope: {} further sightings of addresses are not listed: the list is full; raise hosts.addresses_max",
            seen.refused
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

fn write(format: HostsFormat, hosts: &[HostView], seen: &HostsSeen) -> anyhow::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    match format {
        HostsFormat::Json => {
            for host in hosts {
                serde_json::to_writer(&mut out, host)?;
                out.write_all(b"\n")?;
            }
        }
        HostsFormat::Table => write_table(hosts, seen, &mut out)?,
    }
    out.flush()?;
    Ok(())
}

/// Lines around the header and below: a network has many hosts.
const LINES: TableStyle = TableStyle::new()
    .top_border(LineStyle::none().fill('─').junction('─'))
    .header_separator(LineStyle::none().fill('─').junction('─'))
    .bottom_border(LineStyle::none().fill('─').junction('─'));

fn write_table(hosts: &[HostView], seen: &HostsSeen, out: &mut dyn Write) -> std::io::Result<()> {
    if hosts.is_empty() {
        return writeln!(
            out,
            "No home host was seen. If your own hosts have public addresses, name them with --home-net."
        );
    }
    let mut table = Table::new();
    table
        .load_style(LINES)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header([
            "host",
            "name",
            "MAC",
            "VLAN",
            "role",
            "first seen",
            "last seen",
            "begun",
            "answered",
            "named",
        ]);
    for host in hosts {
        let site = host.site.iter().map(|site| format!(" at {site}"));
        let which = (host.tenancies > 1).then(|| format!(" #{}", host.tenancy));
        let beside: String = site.chain(which).collect();
        let roles: Vec<_> = host
            .roles
            .iter()
            .map(|role| match &role.vendor {
                Some(vendor) => format!("{} ({vendor})", role.role),
                None => role.role.to_string(),
            })
            .collect();
        let vlans: Vec<_> = host.vlans.iter().map(|vlan| vlan.id.to_string()).collect();
        let mac = match (&host.mac, host.routed) {
            (Some(mac), _) => mac.clone(),
            (None, true) => "behind a router".to_owned(),
            (None, false) => String::new(),
        };
        table.add_row([
            Cell::new(format!("{}{beside}", host.host)),
            Cell::new(host.name.as_deref().unwrap_or_default()),
            Cell::new(mac),
            Cell::new(vlans.join(", ")),
            Cell::new(roles.join(", ")),
            Cell::new(&host.first_seen),
            Cell::new(&host.last_seen),
            Cell::new(host.flows_begun).set_alignment(CellAlignment::Right),
            Cell::new(host.flows_answered).set_alignment(CellAlignment::Right),
            Cell::new(if host.named { "yes" } else { "no" }),
        ]);
    }
    writeln!(out, "{table}")?;
    for host in hosts.iter().filter(|host| host.is_relay()) {
        for role in host
            .roles
            .iter()
            .filter(|role| role.role != HostRole::Endpoint)
        {
            writeln!(out, "  {}: {}, since {}", host.host, role.role, role.reason)?;
        }
    }
    writeln!(
        out,
        "  {} hosts with {} addresses; {} never said a name that can be read, of a server or in a question.",
        seen.hosts, seen.addresses, seen.without_name
    )
}
