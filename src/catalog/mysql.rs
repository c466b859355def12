//! Reads one MySQL or MariaDB shard: `information_schema` to [`ShardFacts`].
//! Out: PostgreSQL; how facts of several shards become a schema.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use sharding::schema::{Column, Reaches, TableName, UniqueKey};
use tokio::time::Instant;

use super::control::{LoadError, MySqlControl, TextRow};
use super::facts::{Setting, ShardFacts, TableDetail, TableFacts, TableKind, both};
use super::mentions::words;
use super::mysql_types::{RawColumn, column};
use super::source::ShardSource;
use super::wanted::Wanted;

/// Reads everything about one shard.
pub(super) async fn load(
    shard: &ShardSource,
    wanted: &Wanted,
    connected: Instant,
    deadline: Instant,
) -> Result<ShardFacts, LoadError> {
    let mut control = MySqlControl::connect(shard, connected, deadline).await?;
    let mut facts = ShardFacts { settings: settings(&mut control).await?, ..ShardFacts::default() };
    facts.names_fold = facts.setting(Setting::LowerCaseTableNames) != "0";
    let mariadb = facts.setting(Setting::Version).to_ascii_lowercase().contains("mariadb");
    let kinds = if wanted.only_declared {
        wanted.declared.iter().map(|table| (folded(table.name.clone(), facts.names_fold), TableKind::Table)).collect()
    } else {
        facts.routines = routines(&mut control).await?;
        kinds(&mut control, facts.names_fold).await?
    };
    let all = wanted.all(kinds.len());
    let mut touched = Touched::new(&kinds, &facts);
    if !wanted.only_declared {
        touched.read_texts(&mut control).await?;
    }
    let name = |name: &String| TableName { schema: None, name: name.clone() };
    let detailed: Vec<&String> =
        kinds.keys().filter(|table| all || wanted.one(&name(table), touched.notable(table))).collect();
    let filters: Vec<Filter<'_>> =
        if all { vec![Filter::All] } else { detailed.iter().map(|table| Filter::One(table)).collect() };
    let mut parts = Parts::default();
    for filter in filters {
        parts.read(&mut control, filter, facts.names_fold, mariadb).await?;
        touched.read_cascades(&mut control, filter).await?;
    }
    control.close().await;
    let (views, mut reaches) = touched.into_found();
    let detailed: HashSet<String> = detailed.into_iter().cloned().collect();
    for (table, kind) in kinds {
        let kind = if views.contains(&table) { TableKind::View } else { kind };
        let detail = detailed.contains(&table).then(|| parts.take(&table, reaches.remove(&table)));
        if wanted.only_declared && detail.as_ref().is_none_or(|detail| detail.columns.is_empty()) {
            continue;
        }
        facts.tables.insert(TableName { schema: None, name: table }, TableFacts { kind, parent: None, detail });
    }
    Ok(facts)
}

async fn settings(control: &mut MySqlControl) -> Result<BTreeMap<Setting, String>, LoadError> {
    // A zone of SYSTEM says nothing: the offset it has now is compared too.
    let sql = "SELECT @@version, @@global.sql_mode, \
        CONCAT(@@global.time_zone, IF(@@global.time_zone = 'SYSTEM', CONCAT(' ', @@system_time_zone), '')), \
        @@collation_database, @@lower_case_table_names, @@div_precision_increment, IF(@@read_only, 'on', 'off')";
    let names = [
        Setting::Version,
        Setting::SqlMode,
        Setting::TimeZone,
        Setting::Collation,
        Setting::LowerCaseTableNames,
        Setting::DivPrecisionIncrement,
        Setting::ReadOnly,
    ];
    let rows = control.rows("reading the server's settings", sql.to_owned()).await?;
    let values = rows.into_iter().next().unwrap_or_default();
    let mut settings: BTreeMap<_, _> =
        names.into_iter().zip(values).map(|(name, value)| (name, value.unwrap_or_default())).collect();
    // The name differs between MariaDB before 11.1 and MySQL.
    let sql = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('transaction_isolation', 'tx_isolation')";
    let rows = control.rows("reading the isolation level", sql.to_owned()).await?;
    if let Some(value) = rows.into_iter().next().and_then(|mut row| row.pop().flatten()) {
        settings.insert(Setting::Isolation, value);
    }
    Ok(settings)
}

async fn routines(control: &mut MySqlControl) -> Result<BTreeSet<String>, LoadError> {
    let sql = "SELECT DISTINCT ROUTINE_NAME FROM information_schema.ROUTINES \
        WHERE ROUTINE_SCHEMA NOT IN ('sys', 'mysql', 'information_schema', 'performance_schema')";
    let rows = control.rows("reading routines", sql.to_owned()).await?;
    Ok(rows.into_iter().filter_map(|row| Some(row.into_iter().next()??.to_lowercase())).collect())
}

/// All names. Views are told apart by [`Touched`]: asking for the kind of each opens every table.
async fn kinds(control: &mut MySqlControl, fold: bool) -> Result<BTreeMap<String, TableKind>, LoadError> {
    let rows = control.rows("reading the names of tables", "SHOW TABLES".to_owned()).await?;
    let names = rows.into_iter().filter_map(|row| Cells::new(row).next());
    let mut kinds: BTreeMap<String, TableKind> = names.map(|name| (folded(name, fold), TableKind::Table)).collect();
    if kinds.len() <= SEQUENCES_SOUGHT_MAX {
        let sql = "SELECT TABLE_NAME FROM information_schema.TABLES \
            WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'SEQUENCE'";
        for row in control.rows("reading the names of sequences", sql.to_owned()).await? {
            if let Some(name) = Cells::new(row).next() {
                kinds.insert(folded(name, fold), TableKind::Sequence);
            }
        }
    }
    Ok(kinds)
}

/// Above so many tables, a sequence passes for a table: only a finding reads differently.
const SEQUENCES_SOUGHT_MAX: usize = 500;

/// What views, triggers and cascades touch.
struct Touched<'a> {
    facts: &'a ShardFacts,
    /// Names by their lower case.
    known: HashMap<String, &'a String>,
    /// Names can be found in a text: none differ in case only, or have a quote in them.
    clear: bool,
    views: HashSet<String>,
    found: HashMap<String, Reaches>,
}

impl<'a> Touched<'a> {
    fn new(kinds: &'a BTreeMap<String, TableKind>, facts: &'a ShardFacts) -> Self {
        let known: HashMap<_, _> = kinds.keys().map(|name| (name.to_lowercase(), name)).collect();
        let clear = known.len() == kinds.len() && !kinds.keys().any(|name| name.contains(['`', '"']));
        Self { facts, known, clear, views: HashSet::new(), found: HashMap::new() }
    }

    /// A view, or a table that touches others.
    fn notable(&self, table: &str) -> bool {
        self.found.contains_key(table)
    }

    fn into_found(self) -> (HashSet<String>, HashMap<String, Reaches>) {
        (self.views, self.found)
    }

    fn add(&mut self, table: String, reached: Reaches) {
        let before = self.found.remove(&table).unwrap_or(Reaches::Nothing);
        self.found.insert(table, both(before, reached));
    }

    async fn read_texts(&mut self, control: &mut MySqlControl) -> Result<(), LoadError> {
        let views = "SELECT TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA = DATABASE()";
        let triggers = "SELECT EVENT_OBJECT_TABLE, ACTION_STATEMENT FROM information_schema.TRIGGERS \
            WHERE TRIGGER_SCHEMA = DATABASE()";
        for (doing, sql, is_view) in [("reading views", views, true), ("reading triggers", triggers, false)] {
            for row in control.rows(doing, sql.to_owned()).await? {
                let mut row = Cells::new(row);
                let Some(table) = row.next() else { continue };
                let table = folded(table, self.facts.names_fold);
                let text = row.next().unwrap_or_default();
                // A user who may not see the text gets an empty one.
                let readable = self.clear && !text.is_empty();
                let reached = if readable { self.mentioned(&text) } else { Reaches::Unknown };
                if is_view {
                    self.views.insert(table.clone());
                } else {
                    // It may change the row's key, or give each copy of the row other values.
                    self.add(table.clone(), Reaches::Tables(vec![TableName { schema: None, name: table.clone() }]));
                }
                self.add(table, reached);
            }
        }
        Ok(())
    }

    /// Foreign keys that change rows of the referencing table. They may refer to a table that was not asked for.
    async fn read_cascades(&mut self, control: &mut MySqlControl, filter: Filter<'_>) -> Result<(), LoadError> {
        let sql = format!(
            "SELECT REFERENCED_TABLE_NAME, TABLE_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS \
            WHERE CONSTRAINT_SCHEMA = DATABASE() AND UNIQUE_CONSTRAINT_SCHEMA = DATABASE() \
            AND (UPDATE_RULE IN ('CASCADE', 'SET NULL', 'SET DEFAULT') \
            OR DELETE_RULE IN ('CASCADE', 'SET NULL', 'SET DEFAULT')){}",
            filter.sql()
        );
        for row in control.rows("reading foreign keys", sql).await? {
            let mut row = Cells::new(row);
            let (Some(from), Some(to)) = (row.next(), row.next()) else { continue };
            let to = TableName { schema: None, name: folded(to, self.facts.names_fold) };
            self.add(folded(from, self.facts.names_fold), Reaches::Tables(vec![to]));
        }
        Ok(())
    }

    fn mentioned(&self, text: &str) -> Reaches {
        let words: BTreeSet<String> = words(text).into_iter().collect();
        if words.iter().any(|word| self.facts.routines.contains(word)) {
            return Reaches::Unknown;
        }
        let tables = words.iter().filter_map(|word| self.known.get(word));
        let tables: Vec<_> = tables.map(|name| TableName { schema: None, name: (*name).clone() }).collect();
        if tables.is_empty() { Reaches::Nothing } else { Reaches::Tables(tables) }
    }
}

/// Which tables a query is about. One at a time is fast on every server; a list makes MariaDB open all.
#[derive(Clone, Copy)]
enum Filter<'a> {
    All,
    One(&'a str),
}

impl Filter<'_> {
    fn sql(self) -> String {
        match self {
            Self::All => String::new(),
            Self::One(name) => {
                format!(" AND TABLE_NAME = '{}'", name.replace('\\', "\\\\").replace('\'', "''"))
            }
        }
    }

    /// The server compares names without case.
    fn takes(self, table: &str) -> bool {
        match self {
            Self::All => true,
            Self::One(name) => name == table,
        }
    }
}

/// Columns and unique keys by table.
#[derive(Default)]
struct Parts {
    columns: HashMap<String, Vec<Column>>,
    unique: HashMap<String, Keys>,
}

/// The unique keys of a table by name, the primary key (`false`) first; their columns, or `None` for a part that is no
/// plain column.
type Keys = BTreeMap<(bool, String), Vec<Option<String>>>;

impl Parts {
    fn take(&mut self, table: &str, reaches: Option<Reaches>) -> TableDetail {
        let columns = self.columns.remove(table).unwrap_or_default();
        let place = |name: &String| columns.iter().position(|column| column.name == *name);
        let keys = self.unique.remove(table).unwrap_or_default().into_values().map(|parts| {
            let columns: Option<Vec<usize>> = parts.iter().map(|part| place(part.as_ref()?)).collect();
            UniqueKey { columns: columns.unwrap_or_default() }
        });
        let unique_keys = keys.collect();
        TableDetail { columns, unique_keys, reaches: reaches.unwrap_or(Reaches::Nothing) }
    }

    async fn read(
        &mut self,
        control: &mut MySqlControl,
        filter: Filter<'_>,
        fold: bool,
        mariadb: bool,
    ) -> Result<(), LoadError> {
        let sql = format!(
            "SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, CHARACTER_MAXIMUM_LENGTH, NUMERIC_PRECISION, \
            NUMERIC_SCALE, DATETIME_PRECISION, COLLATION_NAME, IS_NULLABLE, COLUMN_DEFAULT, EXTRA \
            FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE(){} ORDER BY TABLE_NAME, ORDINAL_POSITION",
            filter.sql()
        );
        for row in control.rows("reading columns", sql).await? {
            let mut row = Cells::new(row);
            let (Some(table), Some(name)) = (row.next(), row.next()) else { continue };
            let table = folded(table, fold);
            let raw = RawColumn {
                name: name.to_lowercase(),
                data_type: row.next().unwrap_or_default(),
                column_type: row.next().unwrap_or_default(),
                length: row.next(),
                precision: row.next(),
                scale: row.next(),
                fraction: row.next(),
                collation: row.next(),
                nullable: row.next().as_deref() != Some("NO"),
                default: row.next(),
                extra: row.next().unwrap_or_default(),
            };
            if filter.takes(&table) {
                self.columns.entry(table).or_default().push(column(raw, mariadb));
            }
        }
        let sql = format!(
            "SELECT TABLE_NAME, INDEX_NAME, COLUMN_NAME, SUB_PART FROM information_schema.STATISTICS \
            WHERE TABLE_SCHEMA = DATABASE() AND NON_UNIQUE = 0{} ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX",
            filter.sql()
        );
        for row in control.rows("reading keys", sql).await? {
            let mut row = Cells::new(row);
            let (Some(table), Some(index)) = (row.next(), row.next()) else { continue };
            let table = folded(table, fold);
            let name = row.next().map(|name| name.to_lowercase());
            let whole = row.next().is_none();
            if filter.takes(&table) {
                let keys = self.unique.entry(table).or_default();
                keys.entry((index != "PRIMARY", index)).or_default().push(name.filter(|_| whole));
            }
        }
        Ok(())
    }
}

fn folded(name: String, fold: bool) -> String {
    if fold { name.to_lowercase() } else { name }
}

/// The values of a row, one after the other; NULL and a missing one are both `None`.
struct Cells(std::vec::IntoIter<Option<String>>);

impl Cells {
    fn new(row: TextRow) -> Self {
        Self(row.into_iter())
    }

    fn next(&mut self) -> Option<String> {
        self.0.next().flatten()
    }
}
