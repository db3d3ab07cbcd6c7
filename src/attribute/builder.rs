//! Checked rule files in, the snapshot that they make together out.

use std::collections::BTreeMap;

use super::error::RulesError;
use super::facts::{
    Certificate, ContactInterval, Detectability, Engine, EngineLicence, EngineUse, Negative, Vendor,
};
use super::glob::{Glob, GlobSet};
use super::matcher::{Duplicate, Matcher};
use super::name_pattern::NamePattern;
use super::networks::NetworkSet;
use super::place::Place;
use super::relays::{Relay, RelayPorts};
use super::rule_file::{EngineTable, RuleTable, VendorFile};
use super::ruleset::{Pattern, PatternKind, Rule, RuleId, Ruleset, VendorId};
use super::source_files::{RuleFiles, SourceFile};
use super::well_formed::{check_network, rule_date, validity};

/// What a snapshot is made of, while it is being made.
pub(super) struct Builder<'a> {
    numbers: BTreeMap<&'a str, VendorId>,
    vendors: Vec<Vendor>,
    rules: Vec<Rule>,
    ids: BTreeMap<&'a str, String>,
    patterns: Vec<Pattern>,
    /// File and place of every pattern, for messages.
    places: Vec<(&'a SourceFile, std::ops::Range<usize>)>,
    networks: Vec<(u32, ipnet::IpNet)>,
    asns: Vec<(u32, u32)>,
    negatives: Vec<Negative>,
}

impl<'a> Builder<'a> {
    /// The snapshot of these files.
    pub fn build(files: &'a RuleFiles) -> Result<Ruleset, RulesError> {
        let mut builder = Self::new(files)?;
        for (number, file) in files.files().iter().enumerate() {
            builder.add(VendorId(bounded(number, "vendors")?), file)?;
        }
        builder.finish(files)
    }

    fn new(files: &'a RuleFiles) -> Result<Self, RulesError> {
        let mut numbers = BTreeMap::new();
        for (number, file) in files.files().iter().enumerate() {
            numbers.insert(file.vendor_id(), VendorId(bounded(number, "vendors")?));
        }
        Ok(Self {
            numbers,
            vendors: Vec::new(),
            rules: Vec::new(),
            ids: BTreeMap::new(),
            patterns: Vec::new(),
            places: Vec::new(),
            networks: Vec::new(),
            asns: Vec::new(),
            negatives: Vec::new(),
        })
    }

    fn add(&mut self, number: VendorId, file: &'a SourceFile) -> Result<(), RulesError> {
        let place = file.place();
        let VendorFile {
            vendor: table,
            negative,
            rules,
            ..
        } = &file.parsed;
        self.vendors.push(Vendor {
            number,
            id: table.id.clone(),
            legal_name: table.legal_name.clone(),
            jurisdiction: table.jurisdiction,
            jurisdiction_note: table.jurisdiction_note.clone(),
            parent: table.parent.clone(),
            products: table.products.clone(),
            notes: table.notes.clone(),
            engine_uses: self.engine_uses(file, &place)?,
            engine_licences: engine_licences(file, &place)?,
            detectability: detectability(file),
            certificates: certificates(file),
            relays: relays(file),
        });
        for entry in negative {
            for pattern in &entry.patterns {
                self.negatives.push(Negative {
                    pattern: pattern.get_ref().clone(),
                    why: entry.why.clone(),
                    source: citation(file, entry.source.get_ref()),
                    vendor: number,
                });
            }
        }
        for rule in rules {
            self.add_rule(number, rule, file, &place)?;
        }
        Ok(())
    }

    fn engine_uses(
        &self,
        file: &SourceFile,
        place: &Place<'_>,
    ) -> Result<Vec<EngineUse>, RulesError> {
        let facts = file.parsed.engine_use.iter().map(|fact| {
            let named = EngineTable {
                vendor: fact.engine_vendor.clone(),
                relation: fact.relation,
            };
            Ok(EngineUse {
                product: fact.product.clone(),
                engine: self.engine(&named, place)?,
                engine_name: fact.engine.clone(),
                period: fact.period.clone(),
                validity: validity(fact.valid_from.as_ref(), fact.valid_until.as_ref(), place)?,
                network_sign: fact.network_sign.clone(),
                visible: fact.visible,
                confidence: fact.confidence,
                source: citation(file, fact.source.get_ref()),
            })
        });
        facts.collect()
    }

    fn add_rule(
        &mut self,
        vendor: VendorId,
        table: &'a RuleTable,
        file: &'a SourceFile,
        place: &Place<'_>,
    ) -> Result<(), RulesError> {
        let id = table.id.get_ref().as_str();
        let line = place.line(&table.id);
        if let Some(first) = self.ids.insert(id, format!("{}:{line}", file.path)) {
            return Err(place.wrong(
                &table.id,
                format!("rule id {id:?} is already used at {first}"),
            ));
        }
        let number = RuleId(bounded(self.rules.len(), "rules")?);
        let start = bounded(self.patterns.len(), "patterns")?;
        self.add_patterns(number, table, file, place)?;
        let days = validity(table.valid_from.as_ref(), table.valid_until.as_ref(), place)?;
        self.rules.push(Rule {
            number,
            id: id.to_owned(),
            version: *table.version.get_ref(),
            vendor,
            product: table.product.clone(),
            purpose: table.purpose,
            serves: table.serves.clone(),
            engine: table
                .engine
                .as_ref()
                .map(|engine| self.engine(engine, place))
                .transpose()?,
            indicates: table.indicates,
            confidence: table.confidence,
            source: citation(file, table.source.get_ref()),
            source_class: table.source_class,
            checked: rule_date(&table.checked, place)?,
            valid_from: days.from,
            valid_until: days.until,
            ports: table.ports.clone(),
            protocols: table.protocols.clone(),
            note: table.note.clone(),
            file: file.path.clone(),
            line,
            patterns: start..bounded(self.patterns.len(), "patterns")?,
        });
        Ok(())
    }

    fn add_patterns(
        &mut self,
        rule: RuleId,
        table: &'a RuleTable,
        file: &'a SourceFile,
        place: &Place<'_>,
    ) -> Result<(), RulesError> {
        for (kind, texts) in [
            (PatternKind::Name, &table.patterns),
            (PatternKind::UserAgent, &table.user_agents),
            (PatternKind::Uri, &table.uris),
            (PatternKind::Network, &table.networks),
        ] {
            for text in texts {
                if kind == PatternKind::Network {
                    let number = bounded(self.patterns.len(), "patterns")?;
                    self.networks.push((number, check_network(text, place)?));
                }
                self.patterns.push(Pattern {
                    text: text.get_ref().as_str().into(),
                    kind,
                    rule,
                });
                self.places.push((file, text.span()));
            }
        }
        for asn in &table.asns {
            let number = bounded(self.patterns.len(), "patterns")?;
            self.asns.push((number, *asn.get_ref()));
            self.patterns.push(Pattern {
                text: format!("AS{}", asn.get_ref()).into(),
                kind: PatternKind::Asn,
                rule,
            });
            self.places.push((file, asn.span()));
        }
        Ok(())
    }

    fn engine(&self, table: &EngineTable, place: &Place<'_>) -> Result<Engine, RulesError> {
        let id = table.vendor.get_ref();
        match self.numbers.get(id.as_str()) {
            Some(&vendor) => Ok(Engine { vendor, relation: table.relation }),
            None => Err(place.wrong(
                &table.vendor,
                format!("engine vendor {id:?} has no file {id}.toml; one with a [vendor] table is enough"),
            )),
        }
    }

    fn finish(self, files: &RuleFiles) -> Result<Ruleset, RulesError> {
        let mut names = Vec::with_capacity(self.patterns.len());
        let mut user_agents = Vec::new();
        let mut uris = Vec::new();
        // User-Agents and URIs have no other place where the same text twice would be seen.
        let mut globs: BTreeMap<(PatternKind, &str), u32> = BTreeMap::new();
        for (number, pattern) in (0..).zip(&self.patterns) {
            let glob = || {
                Glob::parse(&pattern.text)
                    .map_err(|problem| self.wrong(number, problem.to_string()))
            };
            match pattern.kind {
                PatternKind::Name => names.push((
                    number,
                    NamePattern::parse(&pattern.text)
                        .map_err(|problem| self.wrong(number, problem.to_string()))?,
                )),
                PatternKind::UserAgent => user_agents.push((number, glob()?)),
                PatternKind::Uri => uris.push((number, glob()?)),
                PatternKind::Network | PatternKind::Asn => continue,
            }
            if pattern.kind != PatternKind::Name
                && let Some(first) = globs.insert((pattern.kind, &pattern.text), number)
            {
                return Err(self.repeated(Duplicate {
                    first,
                    second: number,
                }));
            }
        }
        let names = Matcher::build(&names).map_err(|twice| self.repeated(twice))?;
        let networks =
            NetworkSet::build(&self.networks, &self.asns).map_err(|twice| self.repeated(twice))?;
        let relays = self.vendors.iter().flat_map(|vendor| {
            let relays = vendor.relays.iter();
            relays.map(|relay| (vendor.number, relay))
        });
        Ok(Ruleset {
            relay_ports: RelayPorts::of(relays),
            names,
            user_agents: GlobSet::build(&user_agents),
            uris: GlobSet::build(&uris),
            networks,
            has_dated_rules: self.rules.iter().any(|rule| rule.validity().is_dated()),
            vendors: self.vendors,
            rules: self.rules,
            patterns: self.patterns,
            negatives: self.negatives,
            digest: files.digest(),
        })
    }

    /// An error at a pattern.
    fn wrong(&self, number: u32, problem: String) -> RulesError {
        let (file, at) = &self.places[number as usize];
        file.place().wrong_at(at.start, problem)
    }

    fn repeated(&self, twice: Duplicate) -> RulesError {
        let (first, at) = &self.places[twice.first as usize];
        let text = &self.patterns[twice.second as usize].text;
        let problem = format!(
            "pattern {text:?} stands already at {}:{}; a name has one verdict",
            first.path,
            first.place().line_at(at.start)
        );
        self.wrong(twice.second, problem)
    }
}

fn engine_licences(file: &SourceFile, place: &Place<'_>) -> Result<Vec<EngineLicence>, RulesError> {
    let facts = file.parsed.engine_licence.iter().map(|fact| {
        Ok(EngineLicence {
            partner: fact.partner.clone(),
            product: fact.product.clone(),
            relation: fact.relation,
            engine_name: fact.engine.clone(),
            period: fact.period.clone(),
            validity: validity(fact.valid_from.as_ref(), fact.valid_until.as_ref(), place)?,
            network_sign: fact.network_sign.clone(),
            visible: fact.visible,
            confidence: fact.confidence,
            source: citation(file, fact.source.get_ref()),
        })
    });
    facts.collect()
}

fn detectability(file: &SourceFile) -> Vec<Detectability> {
    let facts = file.parsed.detectability.iter().map(|fact| Detectability {
        product: fact.product.clone(),
        engine: fact.engine.clone(),
        visibility: fact.visibility,
        why: fact.why.clone(),
        contact: fact.contact.clone(),
        interval: match (&fact.contact_seconds, &fact.contact_source) {
            (Some(seconds), Some(source)) => Some(ContactInterval {
                seconds: *seconds.get_ref(),
                source: citation(file, source.get_ref()),
            }),
            _ => None,
        },
        derived: fact.derived,
    });
    facts.collect()
}

fn certificates(file: &SourceFile) -> Vec<Certificate> {
    let facts = file.parsed.certificate.iter().map(|fact| Certificate {
        organisation: fact.org.get_ref().clone(),
        confidence: fact.confidence,
        source: citation(file, fact.source.get_ref()),
        source_class: fact.source_class,
    });
    facts.collect()
}

fn relays(file: &SourceFile) -> Vec<Relay> {
    let ports = |list: &[toml::Spanned<u16>]| list.iter().map(|port| *port.get_ref()).collect();
    let facts = file.parsed.relay.iter().map(|fact| Relay {
        name: fact.name.get_ref().clone(),
        tcp: ports(&fact.tcp),
        udp: ports(&fact.udp),
        confidence: fact.confidence,
        source: citation(file, fact.source.get_ref()),
    });
    facts.collect()
}

fn citation(file: &SourceFile, key: &str) -> String {
    file.parsed
        .sources
        .get(key)
        .map_or_else(|| key.to_owned(), super::rule_file::SourceTable::citation)
}

/// Ids are 32 bits wide and the highest is kept free.
fn bounded(count: usize, what: &'static str) -> Result<u32, RulesError> {
    const MOST: usize = u32::MAX as usize - 1;
    u32::try_from(count)
        .ok()
        .filter(|_| count <= MOST)
        .ok_or(RulesError::TooMany { what, most: MOST })
}
