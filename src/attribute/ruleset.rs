//! Rule files in, one immutable snapshot out that judges names: vendor, product, purpose, engine, confidence.
//!
//! **Invariants**: a snapshot never changes; its ids are positions in it and mean nothing in another snapshot;
//! the same files give the same ids and digest, in whatever order they were read.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use super::confidence::attributed_confidence;
use super::error::RulesError;
use super::matcher::Matcher;
use super::rule_file::{
    EngineRelation, EngineTable, Indicates, NamePattern, Place, RuleTable, WireProtocol, rule_date,
};
use super::source_files::{RuleFiles, SourceFile};
use crate::model::{Confidence, CountryCode, EvidenceKind, Purpose, SourceClass};

/// Position of a rule in its snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub u32);

/// Position of a vendor in its snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VendorId(pub u32);

/// What a name was judged by: a rule, and which of its patterns (position among all patterns of the snapshot).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RuleMatch {
    /// The rule.
    pub rule: RuleId,
    /// The pattern; [`Ruleset::pattern`] gives its text.
    pub pattern: u32,
}

/// A day of the calendar, as rule files write it; ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValidityDate {
    /// Year of the common era.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

impl std::fmt::Display for ValidityDate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// Who is behind names: a company, with its legal seat.
#[derive(Clone, Debug)]
pub struct Vendor {
    /// Position in the snapshot.
    pub number: VendorId,
    /// The word for this vendor in rules, events and metrics.
    pub id: String,
    /// The company's registered name.
    pub legal_name: String,
    /// Country of the legal seat; never derived from addresses.
    pub jurisdiction: CountryCode,
    /// What the country alone does not say: holdings, moves.
    pub jurisdiction_note: Option<String>,
    /// The company that owns this one.
    pub parent: Option<String>,
    /// Products on the market.
    pub products: Vec<String>,
    /// What a reader of an attribution should know.
    pub notes: Vec<String>,
    /// Whose engines the vendor's products carry.
    pub engine_uses: Vec<EngineUse>,
}

/// A product of the vendor carries somebody's engine, whether or not a rule can see it.
#[derive(Clone, Debug)]
pub struct EngineUse {
    /// The product, or the line of products.
    pub product: String,
    /// Whose engine, and how it is inside.
    pub engine: Engine,
    /// The engine's own name.
    pub engine_name: Option<String>,
    /// When, as far as known.
    pub period: Option<String>,
    /// What shows on the wire.
    pub network_sign: Option<String>,
    /// How sure the fact is.
    pub confidence: Confidence,
    /// Citation.
    pub source: String,
}

/// Whose engine works inside a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Engine {
    /// The engine's vendor.
    pub vendor: VendorId,
    /// How the engine is inside.
    pub relation: EngineRelation,
}

/// Names that serve one purpose, on the word of one source.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Position in the snapshot.
    pub number: RuleId,
    /// The stable word for this rule, `<vendor>.<purpose>.<word>`.
    pub id: String,
    /// Grows with every change of what the rule says.
    pub version: u32,
    /// The vendor whose product contacts the names.
    pub vendor: VendorId,
    /// The product, if the names tell it.
    pub product: Option<String>,
    /// What the names serve.
    pub purpose: Purpose,
    /// The service in a few words.
    pub serves: Option<String>,
    /// Whose engine works inside the product, if another's, or inside an unknown product, if the vendor's own.
    pub engine: Option<Engine>,
    /// What a contact is evidence of.
    pub indicates: Indicates,
    /// How sure the rule itself is.
    pub confidence: Confidence,
    /// Citation: title, version, address.
    pub source: String,
    /// What kind of source that is.
    pub source_class: SourceClass,
    /// When the source was last looked at.
    pub checked: ValidityDate,
    /// First day for which the rule is known to hold; `None`: not known.
    pub valid_from: Option<ValidityDate>,
    /// Last day for which the rule is known to hold; `None`: not known, or still.
    pub valid_until: Option<ValidityDate>,
    /// Destination ports that the source names.
    pub ports: Vec<u16>,
    /// Protocols that the source names.
    pub protocols: Vec<WireProtocol>,
    /// What a reader of an attribution should know.
    pub note: Option<String>,
    /// The rule file, and the line of the rule's id in it.
    pub file: String,
    /// Line of the rule's id, counted from 1.
    pub line: usize,
    patterns: Range<u32>,
}

impl Rule {
    /// Whether the rule is known, or not known otherwise, to hold on that day.
    pub fn holds_on(&self, day: ValidityDate) -> bool {
        self.valid_from.is_none_or(|from| from <= day)
            && self.valid_until.is_none_or(|until| day <= until)
    }
}

/// An immutable set of rules, compiled for look-ups.
#[derive(Clone, Debug)]
pub struct Ruleset {
    vendors: Vec<Vendor>,
    rules: Vec<Rule>,
    patterns: Vec<Pattern>,
    matcher: Matcher,
    digest: String,
}

#[derive(Clone, Debug)]
struct Pattern {
    text: Box<str>,
    rule: RuleId,
}

impl Ruleset {
    /// The rules compiled into the binary.
    pub fn builtin() -> Result<Self, RulesError> {
        Self::from_files(&RuleFiles::builtin()?)
    }

    /// The built-in rules, with the vendor files of `dir` added or put in place of the same vendor's.
    pub fn with_directory(dir: &Path) -> Result<Self, RulesError> {
        Self::from_files(&RuleFiles::builtin_with_folder(dir)?)
    }

    /// A snapshot of exactly these files.
    pub fn from_files(files: &RuleFiles) -> Result<Self, RulesError> {
        let mut builder = Builder::new(files)?;
        for (number, file) in files.files().iter().enumerate() {
            builder.add(bounded(number, "vendors")?, file)?;
        }
        builder.finish(files)
    }

    /// The rule that judges `name`, and by which pattern; any case, one final dot is ignored. Allocates nothing.
    #[inline]
    pub fn match_name(&self, name: &[u8]) -> Option<RuleMatch> {
        self.matcher.find(name).and_then(|pattern| self.at(pattern))
    }

    /// Like [`Self::match_name`], by rules that hold on `day` alone: facts of another time are passed over.
    pub fn match_name_on(&self, name: &[u8], day: ValidityDate) -> Option<RuleMatch> {
        let mut best = None;
        self.matcher.walk(name, |pattern| {
            if let Some(found) = self.at(pattern)
                && self.rule(found.rule).holds_on(day)
            {
                best = Some(found);
            }
        });
        best
    }

    /// Every pattern that means `name`, the deciding one last.
    pub fn matches(&self, name: &[u8]) -> Vec<RuleMatch> {
        let mut all = Vec::new();
        self.matcher
            .walk(name, |pattern| all.extend(self.at(pattern)));
        all
    }

    #[inline]
    fn at(&self, pattern: u32) -> Option<RuleMatch> {
        let rule = self.patterns.get(pattern as usize)?.rule;
        Some(RuleMatch { rule, pattern })
    }

    /// A rule of this snapshot.
    ///
    /// # Panics
    /// On an id of another snapshot that is out of range here.
    pub fn rule(&self, id: RuleId) -> &Rule {
        &self.rules[id.0 as usize]
    }

    /// A vendor of this snapshot.
    ///
    /// # Panics
    /// On an id of another snapshot that is out of range here.
    pub fn vendor(&self, id: VendorId) -> &Vendor {
        &self.vendors[id.0 as usize]
    }

    /// The vendor with this id text.
    pub fn vendor_by_id(&self, id: &str) -> Option<&Vendor> {
        let at = self
            .vendors
            .binary_search_by(|vendor| vendor.id.as_str().cmp(id))
            .ok()?;
        self.vendors.get(at)
    }

    /// Text of the pattern that decided.
    pub fn pattern(&self, found: RuleMatch) -> &str {
        self.patterns
            .get(found.pattern as usize)
            .map_or("", |pattern| &pattern.text)
    }

    /// Texts of a rule's patterns.
    pub fn patterns_of(&self, id: RuleId) -> impl ExactSizeIterator<Item = &str> {
        let range = self.rule(id).patterns.clone();
        self.patterns[range.start as usize..range.end as usize]
            .iter()
            .map(|pattern| &*pattern.text)
    }

    /// Every vendor, ordered by id.
    pub fn vendors(&self) -> impl ExactSizeIterator<Item = &Vendor> {
        self.vendors.iter()
    }

    /// Every rule, ordered by vendor and place in the file.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &Rule> {
        self.rules.iter()
    }

    /// A digest over the texts of all rule files, 32 hexadecimal digits; the order of reading does not matter.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// How sure an attribution by this rule on this kind of evidence is.
    pub fn confidence(&self, rule: RuleId, evidence: EvidenceKind) -> Confidence {
        let rule = self.rule(rule);
        attributed_confidence(rule.confidence, rule.source_class, evidence)
    }
}

/// What a snapshot is made of, while it is being made.
struct Builder<'a> {
    numbers: BTreeMap<&'a str, VendorId>,
    vendors: Vec<Vendor>,
    rules: Vec<Rule>,
    ids: BTreeMap<&'a str, String>,
    patterns: Vec<Pattern>,
    /// File and line of every pattern, for messages.
    places: Vec<(&'a str, usize)>,
}

impl<'a> Builder<'a> {
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
        })
    }

    fn add(&mut self, number: u32, file: &'a SourceFile) -> Result<(), RulesError> {
        let place = Place {
            path: &file.path,
            text: &file.text,
        };
        let table = &file.parsed.vendor;
        let mut engine_uses = Vec::new();
        for fact in &file.parsed.engine_use {
            let named = EngineTable {
                vendor: fact.engine_vendor.clone(),
                relation: fact.relation,
            };
            engine_uses.push(EngineUse {
                product: fact.product.clone(),
                engine: self.engine(&named, &place)?,
                engine_name: fact.engine.clone(),
                period: fact.period.clone(),
                network_sign: fact.network_sign.clone(),
                confidence: fact.confidence,
                source: citation(file, fact.source.get_ref()),
            });
        }
        self.vendors.push(Vendor {
            number: VendorId(number),
            id: table.id.clone(),
            legal_name: table.legal_name.clone(),
            jurisdiction: table.jurisdiction,
            jurisdiction_note: table.jurisdiction_note.clone(),
            parent: table.parent.clone(),
            products: table.products.clone(),
            notes: table.notes.clone(),
            engine_uses,
        });
        for rule in &file.parsed.rules {
            self.add_rule(VendorId(number), rule, file, &place)?;
        }
        Ok(())
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
        for pattern in &table.patterns {
            self.patterns.push(Pattern {
                text: pattern.get_ref().as_str().into(),
                rule: number,
            });
            self.places.push((&file.path, place.line(pattern)));
        }
        let date = |value: &Option<_>| {
            value
                .as_ref()
                .map(|value| rule_date(value, place))
                .transpose()
        };
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
            valid_from: date(&table.valid_from)?,
            valid_until: date(&table.valid_until)?,
            ports: table.ports.clone(),
            protocols: table.protocols.clone(),
            note: table.note.clone(),
            file: file.path.clone(),
            line,
            patterns: start..bounded(self.patterns.len(), "patterns")?,
        });
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
        let mut parsed = Vec::with_capacity(self.patterns.len());
        for (pattern, (file, line)) in self.patterns.iter().zip(&self.places) {
            parsed.push(NamePattern::parse(&pattern.text).map_err(|problem| {
                RulesError::Meaning {
                    file: (*file).to_owned(),
                    line: *line,
                    problem: problem.to_string(),
                }
            })?);
        }
        let matcher = Matcher::build(&parsed).map_err(|twice| {
            let (file, line) = self.places[twice.second as usize];
            let (first_file, first_line) = self.places[twice.first as usize];
            let text = &self.patterns[twice.second as usize].text;
            RulesError::Meaning {
                file: file.to_owned(),
                line,
                problem: format!(
                    "pattern {text:?} stands already at {first_file}:{first_line}; a name has one verdict"
                ),
            }
        })?;
        Ok(Ruleset {
            vendors: self.vendors,
            rules: self.rules,
            patterns: self.patterns,
            matcher,
            digest: files.digest(),
        })
    }
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
