//! Facts of the shards and rules of the configuration become one [`Schema`] and a list of findings. Pure.
//! Out: reading from servers, when to read.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use sharding::placement::KeyType;
use sharding::schema::{
    Function, Placement, Reaches, Schema, ShardIndex, ShardInfo, Sharding, Table, TableName, UniqueKey,
};

use super::compare::{difference, settings_findings};
use super::facts::{ShardFacts, TableDetail, TableKind, both};
use super::finding::{Finding, Problem, Severity};
use super::source::Source;
use crate::config::{ShardFunction, TablePlacement, TableRule};

/// A schema and what was found wrong while it was made.
#[derive(Debug)]
pub(super) struct Assembled {
    pub schema: Schema,
    pub findings: Vec<Finding>,
}

/// Makes the schema from what is known of each shard; `None` for a shard that was never read.
pub(super) fn assemble(source: &Source, facts: &[Option<Arc<ShardFacts>>], version: u64) -> Assembled {
    let infos =
        source.shards.iter().map(|shard| ShardInfo { name: shard.name.clone(), database: shard.database.clone() });
    let mut schema = Schema::new(source.dialect(), &source.name, infos.collect(), source.default_shard);
    schema.version = version;
    let known: Vec<Known<'_>> =
        facts.iter().enumerate().filter_map(|(shard, facts)| Some(Known { shard, facts: facts.as_deref()? })).collect();
    schema.names_fold = known.iter().any(|known| known.facts.names_fold);
    schema.routines = known.iter().flat_map(|known| known.facts.routines.iter().cloned()).collect();
    let mut assembly = Assembly { source, known, findings: Vec::new(), fold: schema.names_fold, unsound: None };
    assembly.check_settings();
    let rules = assembly.rules();
    for (name, rule) in &rules {
        let table = assembly.declared(name, rule);
        // Behind one shard every statement passes as it came, also one about a table that is not there yet.
        if source.shards.len() > 1 {
            schema.insert(table);
        }
    }
    if source.shards.len() > 1 {
        for table in assembly.undeclared(&rules) {
            schema.insert(table);
        }
    } else if source.dialect() == sharding::schema::Protocol::Postgres {
        // What an INSERT takes from sequences is asked there, too.
        for (name, facts) in assembly.known.iter().flat_map(|known| &known.facts.tables) {
            if let Some(detail) = &facts.detail {
                schema.insert(Table { placement: Placement::Single(0), ..table_of(name, detail, facts.kind) });
            }
        }
    }
    Assembled { schema, findings: assembly.findings }
}

/// A shard that was read.
struct Known<'a> {
    shard: usize,
    facts: &'a ShardFacts,
}

struct Assembly<'a> {
    source: &'a Source,
    known: Vec<Known<'a>>,
    findings: Vec<Finding>,
    fold: bool,
    /// Why no table may be split over these shards: they do not agree on what statements mean.
    unsound: Option<String>,
}

impl<'a> Assembly<'a> {
    fn report(&mut self, severity: Severity, shard: Option<usize>, problem: Problem) {
        let shard = shard.map(|shard| self.source.shard_name(shard).to_owned());
        self.findings.push(Finding { severity, shard, problem });
    }

    fn check_settings(&mut self) {
        let read: Vec<(&str, &ShardFacts)> =
            self.known.iter().map(|known| (self.source.shard_name(known.shard), known.facts)).collect();
        let findings = settings_findings(self.source, &read);
        let differs = |finding: &&Finding| {
            finding.severity == Severity::Error && matches!(finding.problem, Problem::SettingDiffers { .. })
        };
        self.unsound = findings
            .iter()
            .find(differs)
            .map(|finding| format!("shard {}: {}", finding.shard.as_deref().unwrap_or("?"), finding.problem));
        self.findings.extend(findings);
    }

    /// The rule of every declared table, and of every partition or heir of one.
    fn rules(&self) -> BTreeMap<TableName, &'a TableRule> {
        let source = self.source;
        let mut rules: BTreeMap<TableName, &TableRule> = source
            .rules
            .iter()
            .map(|rule| {
                let mut name = source.rule_name(rule);
                if self.fold {
                    name.name = name.name.to_lowercase();
                }
                (name, rule)
            })
            .collect();
        for known in &self.known {
            for (name, table) in &known.facts.tables {
                let mut parent = table.parent.as_ref();
                // As deep as partitions of partitions go; a longer chain is not one of partitions.
                for _ in 0..PARTITION_DEPTH_MAX {
                    let Some(of) = parent else { break };
                    if let Some(rule) = rules.get(of).copied() {
                        rules.entry(name.clone()).or_insert(rule);
                        break;
                    }
                    parent = known.facts.tables.get(of).and_then(|table| table.parent.as_ref());
                }
            }
        }
        rules
    }

    fn shards_of(&self, rule: &TableRule) -> Vec<usize> {
        match rule.placement {
            TablePlacement::Single { shard } => vec![shard],
            TablePlacement::Sharded { .. } | TablePlacement::Reference => (0..self.source.shards.len()).collect(),
        }
    }

    /// A declared table, as its shards have it.
    fn declared(&mut self, name: &TableName, rule: &TableRule) -> Table {
        let on = self.shards_of(rule);
        let read = self.known.iter().filter(|known| on.contains(&known.shard)).count();
        let found: Vec<(usize, &'a TableDetail, TableKind)> = self.found(name, &on);
        for shard in on.iter().filter(|shard| found.iter().all(|(found, ..)| found != *shard)) {
            if self.known.iter().any(|known| known.shard == *shard) && !found.is_empty() {
                self.report(Severity::Error, Some(*shard), Problem::TableMissing { table: name.to_string() });
            }
        }
        let Some((first, detail, kind)) = found.first().copied() else {
            let reason = if read == 0 {
                "its shards could not be read yet".to_owned()
            } else {
                self.report(Severity::Error, None, Problem::TableNowhere { table: name.to_string() });
                "it is declared, but does not exist on its shards".to_owned()
            };
            return match rule.placement {
                // The shard says itself what is wrong.
                TablePlacement::Single { shard } => bare(name, Placement::Single(index(shard))),
                _ => bare(name, Placement::Unusable(reason)),
            };
        };
        let mut table = table_of(name, detail, kind);
        for (shard, other, _) in found.iter().skip(1) {
            table.reaches = both(table.reaches, other.reaches.clone());
            self.check_same(&mut table, (first, detail), (*shard, other));
        }
        if !matches!(table.placement, Placement::Unusable(_)) {
            table.placement = self.placement(&table, rule);
        }
        table.unique_per_shard = matches!(rule.placement, TablePlacement::Sharded { unique_per_shard: true, .. });
        let split = matches!(table.placement, Placement::Sharded(_) | Placement::Reference);
        if let (true, Some(reason)) = (split && self.source.shards.len() > 1, &self.unsound) {
            table.placement = Placement::Unusable(reason.clone());
        }
        self.check_unique(&table);
        table
    }

    /// The table on each of these shards that were read, with columns.
    fn found(&self, name: &TableName, on: &[usize]) -> Vec<(usize, &'a TableDetail, TableKind)> {
        let known = self.known.iter().filter(|known| on.contains(&known.shard));
        known
            .filter_map(|known| {
                let table = known.facts.tables.get(name)?;
                Some((known.shard, table.detail.as_ref()?, table.kind))
            })
            .collect()
    }

    fn check_same(&mut self, table: &mut Table, (first, a): (usize, &TableDetail), (shard, b): (usize, &TableDetail)) {
        let Some((severity, difference)) = difference(a, b) else { return };
        let other = self.source.shard_name(first).to_owned();
        let problem = Problem::ColumnsDiffer { table: table.name.to_string(), other, difference };
        if severity == Severity::Error {
            let here = self.source.shard_name(shard);
            table.placement = Placement::Unusable(format!("on shard {here}, {problem}"));
        }
        self.report(severity, Some(shard), problem);
    }

    fn placement(&mut self, table: &Table, rule: &TableRule) -> Placement {
        match &rule.placement {
            TablePlacement::Reference => Placement::Reference,
            TablePlacement::Single { shard } => Placement::Single(index(*shard)),
            TablePlacement::Sharded { key, function, .. } => match self.sharding(table, key, *function) {
                Ok(sharding) => Placement::Sharded(sharding),
                Err(reason) => {
                    let problem = Problem::BadKey { table: table.name.to_string(), reason: reason.clone() };
                    self.report(Severity::Error, None, problem);
                    Placement::Unusable(reason)
                }
            },
        }
    }

    fn sharding(&self, table: &Table, key: &[String], function: ShardFunction) -> Result<Sharding, String> {
        if table.is_view {
            return Err("a view cannot be sharded".to_owned());
        }
        let protocol = self.source.dialect();
        let mut columns = Vec::with_capacity(key.len());
        for name in key {
            let place = table.columns.iter().position(|column| match protocol {
                sharding::schema::Protocol::MySql => column.name == name.to_lowercase(),
                sharding::schema::Protocol::Postgres => column.name == *name,
            });
            let column = place.and_then(|place| table.columns.get(place));
            let (Some(place), Some(column)) = (place, column) else {
                return Err(format!("it has no column {name}"));
            };
            KeyType::of(column, protocol).map_err(|reason| format!("column {name} cannot be a key: {reason}"))?;
            columns.push(place);
        }
        let function = match function {
            ShardFunction::Hash => Function::Hash,
        };
        Ok(Sharding { key: columns, function })
    }

    fn check_unique(&mut self, table: &Table) {
        let named = |key: &UniqueKey| {
            let names: Vec<&str> =
                key.columns.iter().filter_map(|column| Some(table.columns.get(*column)?.name.as_str())).collect();
            if names.is_empty() { "over expressions".to_owned() } else { names.join(", ") }
        };
        if table.sharding().is_none() || self.source.shards.len() < 2 {
            return;
        }
        for columns in table.unguarded_unique_keys().map(named).collect::<Vec<_>>() {
            let vouched = table.unique_per_shard;
            let problem = Problem::UnguardedUnique { table: table.name.to_string(), columns, vouched };
            self.report(Severity::Warning, None, problem);
        }
    }

    /// Tables that no rule names, wherever they were found.
    fn undeclared(&mut self, rules: &BTreeMap<TableName, &TableRule>) -> Vec<Table> {
        let mut places: BTreeMap<&TableName, Vec<usize>> = BTreeMap::new();
        for known in &self.known {
            for name in known.facts.tables.keys().filter(|name| !rules.contains_key(*name)) {
                places.entry(name).or_default().push(known.shard);
            }
        }
        let facts: HashMap<usize, &ShardFacts> = self.known.iter().map(|known| (known.shard, known.facts)).collect();
        let mut bare_tables: BTreeMap<usize, usize> = BTreeMap::new();
        let mut tables = Vec::new();
        let mut ambiguous_tables = 0;
        for (name, shards) in places {
            let Some(first) = shards.first().copied() else { continue };
            let Some(table) = facts.get(&first).and_then(|facts| facts.tables.get(name)) else { continue };
            if shards.len() > 1 {
                let names: BTreeSet<&str> = shards.iter().map(|shard| self.source.shard_name(*shard)).collect();
                let list = names.into_iter().collect::<Vec<_>>().join(", ");
                if table.kind == TableKind::Table {
                    ambiguous_tables += 1;
                }
                if table.kind == TableKind::Table && ambiguous_tables <= AMBIGUOUS_NAMED_MAX {
                    let problem = Problem::Ambiguous { table: name.to_string(), shards: list };
                    self.report(Severity::Warning, None, problem);
                }
                let mut ambiguous = match &table.detail {
                    Some(detail) => table_of(name, detail, table.kind),
                    None => bare(name, Placement::Reference),
                };
                ambiguous.placement = Placement::Ambiguous(shards.into_iter().map(index).collect());
                tables.push(ambiguous);
                continue;
            }
            match &table.detail {
                Some(detail) => {
                    let mut single = table_of(name, detail, table.kind);
                    single.placement = Placement::Single(index(first));
                    tables.push(single);
                }
                // What the schema does not know is on the default shard anyway.
                None if first == usize::from(self.source.default_shard) => {
                    *bare_tables.entry(first).or_default() += 1;
                }
                None => {
                    *bare_tables.entry(first).or_default() += 1;
                    let reason = "its shard has too many tables to read them all: declare it".to_owned();
                    tables.push(bare(name, Placement::Unusable(reason)));
                }
            }
        }
        if ambiguous_tables > AMBIGUOUS_NAMED_MAX {
            let tables = ambiguous_tables - AMBIGUOUS_NAMED_MAX;
            self.report(Severity::Warning, None, Problem::MoreAmbiguous { tables });
        }
        for (shard, count) in bare_tables {
            self.report(Severity::Warning, Some(shard), Problem::TooManyTables { tables: count });
        }
        tables
    }
}

/// How many undeclared tables on several shards are named one by one.
const AMBIGUOUS_NAMED_MAX: usize = 20;

const PARTITION_DEPTH_MAX: usize = 32;

fn index(shard: usize) -> ShardIndex {
    ShardIndex::try_from(shard).unwrap_or(ShardIndex::MAX)
}

fn table_of(name: &TableName, detail: &TableDetail, kind: TableKind) -> Table {
    Table {
        name: name.clone(),
        columns: detail.columns.clone(),
        placement: Placement::Reference,
        unique_keys: detail.unique_keys.clone(),
        unique_per_shard: false,
        is_view: kind == TableKind::View,
        reaches: detail.reaches.clone(),
    }
}

/// A table of which nothing but its place is known.
fn bare(name: &TableName, placement: Placement) -> Table {
    Table {
        name: name.clone(),
        columns: Vec::new(),
        placement,
        unique_keys: Vec::new(),
        unique_per_shard: false,
        is_view: false,
        reaches: Reaches::Unknown,
    }
}
