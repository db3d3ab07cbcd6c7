//! `avscope engines`: whose engine works inside whose product, with both seats.

use std::io::Write;
use std::process::ExitCode;

use clap::{ArgGroup, Args};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::detectability::{Company, company};
use super::rules::ListFormat;
use super::rules_from::RulesFrom;
use super::{EXIT_OK, UsageError};
use crate::attribute::{EngineRelation, Ruleset, Vendor};
use crate::model::{Confidence, CountryCode};

/// List whose engine works inside whose product: licensor, licensee, period, what shows, how sure, and by which source.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("who").args(["vendor", "licensor", "licensee"]),
    after_help = "Examples:\n  avscope engines --licensor kaspersky\n  avscope engines --licensee checkpoint\n  \
    avscope engines --format json | jq 'select(.visible == false)'\n\n\
    A licence is a fact from a source, not from packets: what a capture shows of engines is in the report (avscope replay)."
)]
pub struct EnginesArgs {
    /// Only where this vendor is one of the two.
    #[arg(long, value_name = "ID")]
    pub vendor: Option<String>,

    /// Only engines of this vendor.
    #[arg(long, value_name = "ID")]
    pub licensor: Option<String>,

    /// Only products of this vendor.
    #[arg(long, value_name = "ID")]
    pub licensee: Option<String>,

    /// A table for people, or one JSON object a line.
    #[arg(long, value_enum, default_value_t = ListFormat::Table)]
    pub format: ListFormat,

    /// Where rules beside the built-in ones come from.
    #[command(flatten)]
    pub from: RulesFrom,
}

/// A product with somebody's engine in it.
#[derive(Debug, Serialize)]
struct Licence {
    /// Whose engine.
    licensor: Company,
    /// Whose product; without a rule file the name alone is known.
    licensee: Licensee,
    product: Option<String>,
    engine: Option<String>,
    relation: EngineRelation,
    period: Option<String>,
    network_sign: Option<String>,
    /// Whether the engine shows on the wire; none: not known.
    visible: Option<bool>,
    confidence: Confidence,
    source: String,
}

/// A company, perhaps without a rule file.
#[derive(Debug, Serialize)]
struct Licensee {
    id: Option<String>,
    name: String,
    jurisdiction: Option<CountryCode>,
}

/// Runs the command.
pub fn run(args: &EnginesArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let rules = args.from.ruleset()?;
    for id in [&args.vendor, &args.licensor, &args.licensee]
        .into_iter()
        .flatten()
    {
        let is_partner = licences(&rules).any(|licence| licence.licensee.is(id));
        if rules.vendor_by_id(id).is_none() && !is_partner {
            let known: Vec<_> = rules.vendors().map(|vendor| vendor.id.as_str()).collect();
            return Err(
                UsageError(format!("no vendor {id:?}; known: {}", known.join(", "))).into(),
            );
        }
    }
    let wanted = |licence: &Licence| {
        let is = |id: &Option<String>, who: &dyn Fn(&str) -> bool| id.as_deref().is_none_or(who);
        let (licensor, licensee) = (&licence.licensor, &licence.licensee);
        is(&args.vendor, &|id| licensor.id == id || licensee.is(id))
            && is(&args.licensor, &|id| licensor.id == id)
            && is(&args.licensee, &|id| licensee.is(id))
    };
    let lines = licences(&rules).filter(wanted);
    match args.format {
        ListFormat::Json => {
            for line in lines {
                serde_json::to_writer(&mut *out, &line)?;
                writeln!(out)?;
            }
        }
        ListFormat::Table => {
            let mut table = Table::new();
            table
                .load_style(presets::UTF8_HORIZONTAL_ONLY)
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_header([
                    "licensor (seat)",
                    "licensee (seat)",
                    "product",
                    "engine",
                    "period",
                    "on the wire",
                    "sure",
                    "source",
                ]);
            for line in lines {
                table.add_row(line.row());
            }
            writeln!(out, "{table}")?;
        }
    }
    Ok(ExitCode::from(EXIT_OK))
}

/// Every licence that the rules know, by licensee and then by engine vendor.
fn licences(rules: &Ruleset) -> impl Iterator<Item = Licence> {
    let uses = rules.vendors().flat_map(move |user| {
        user.engine_uses.iter().map(move |fact| Licence {
            licensor: company(rules.vendor(fact.engine.vendor)),
            licensee: Licensee::of(user),
            product: Some(fact.product.clone()),
            engine: fact.engine_name.clone(),
            relation: fact.engine.relation,
            period: fact.period.clone(),
            network_sign: fact.network_sign.clone(),
            visible: fact.visible,
            confidence: fact.confidence,
            source: fact.source.clone(),
        })
    });
    let licensed = rules.vendors().flat_map(|vendor| {
        vendor.engine_licences.iter().map(|fact| Licence {
            licensor: company(vendor),
            licensee: Licensee {
                id: None,
                name: fact.partner.clone(),
                jurisdiction: None,
            },
            product: fact.product.clone(),
            engine: fact.engine_name.clone(),
            relation: fact.relation,
            period: fact.period.clone(),
            network_sign: fact.network_sign.clone(),
            visible: fact.visible,
            confidence: fact.confidence,
            source: fact.source.clone(),
        })
    });
    uses.chain(licensed)
}

impl Licensee {
    fn of(vendor: &Vendor) -> Self {
        Self {
            id: Some(vendor.id.clone()),
            name: vendor.legal_name.clone(),
            jurisdiction: Some(vendor.jurisdiction),
        }
    }

    /// By id, or by name where there is no rule file.
    fn is(&self, id: &str) -> bool {
        match &self.id {
            Some(own) => own == id,
            None => self.name.eq_ignore_ascii_case(id),
        }
    }
}

impl Licence {
    fn row(self) -> [String; 8] {
        let seat = (self.licensee.jurisdiction)
            .map_or_else(|| "not known".to_owned(), |country| country.to_string());
        let visible = match self.visible {
            Some(true) => "shows",
            Some(false) => "does not show",
            None => "not known",
        };
        let sign = self.network_sign.map(|sign| format!("{visible}: {sign}"));
        let engine = self
            .engine
            .map(|name| format!("{} ({})", name, self.relation));
        [
            format!("{} ({})", self.licensor.id, self.licensor.jurisdiction),
            format!(
                "{} ({seat})",
                self.licensee.id.unwrap_or(self.licensee.name)
            ),
            self.product.unwrap_or_default(),
            engine.unwrap_or_else(|| self.relation.to_string()),
            self.period.unwrap_or_default(),
            sign.unwrap_or_else(|| visible.to_owned()),
            self.confidence.to_string(),
            self.source,
        ]
    }
}
