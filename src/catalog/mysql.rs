//! Reads one MySQL or MariaDB shard: `information_schema` to [`ShardFacts`].
//! Out: PostgreSQL; how facts of several shards become a schema.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use sharding::schema::{Reaches, TableName, UniqueKey};
use tokio::time::Instant;

use super::control::{LoadError, MySqlControl, TextRow};
use super::facts::{Setting, ShardFacts, TableDetail, TableFacts, TableKind};
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
    facts.routines = routines(&mut control).await?;
    let kinds = kinds(&mut control, facts.names_fold).await?;
    let mut reaches = reaches(&mut control, &kinds, &facts).await?;
    let detailed = wanted.detailed(kinds.iter().map(|(name, kind)| {
        let name = TableName { schema: None, name: name.clone() };
        let notable = *kind == TableKind::View || reaches.contains_key(&name.name);
        (name, notable)
    }));
    let mut columns = Parts::default();
    for filter in filters(&detailed, kinds.len()) {
        read_columns(&mut control, &filter, facts.names_fold, mariadb, &mut columns).await?;
    }
    control.close().await;
    for (name, kind) in kinds {
        let reaches = reaches.remove(&name).unwrap_or(Reaches::Nothing);
        let table = TableName { schema: None, name };
        let detail = detailed.contains(&table).then(|| {
            let (columns, unique_keys) = columns.take(&table.name);
            TableDetail { columns, unique_keys, reaches }
        });
        facts.tables.insert(table, TableFacts { kind, parent: None, detail });
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

async fn kinds(control: &mut MySqlControl, fold: bool) -> Result<BTreeMap<String, TableKind>, LoadError> {
    let sql = "SELECT TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()";
    let rows = control.rows("reading the names of tables", sql.to_owned()).await?;
    let kind = |text: &str| match text {
        "VIEW" | "SYSTEM VIEW" => TableKind::View,
        "SEQUENCE" => TableKind::Sequence,
        _ => TableKind::Table,
    };
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let mut row = Cells::new(row);
            Some((folded(row.next()?, fold), kind(&row.next()?)))
        })
        .collect())
}

/// What views, triggers and cascades touch. Tables that touch nothing have no entry.
async fn reaches(
    control: &mut MySqlControl,
    kinds: &BTreeMap<String, TableKind>,
    facts: &ShardFacts,
) -> Result<HashMap<String, Reaches>, LoadError> {
    let fold = facts.names_fold;
    let known: HashMap<String, &String> = kinds.keys().map(|name| (name.to_lowercase(), name)).collect();
    // Two names that differ in case only, or with a quote in them, cannot be told apart in a text.
    let clear = known.len() == kinds.len() && !kinds.keys().any(|name| name.contains(['`', '"']));
    let mut found: HashMap<String, Reaches> = HashMap::new();
    let views = "SELECT TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA = DATABASE()";
    let triggers = "SELECT EVENT_OBJECT_TABLE, ACTION_STATEMENT FROM information_schema.TRIGGERS \
        WHERE TRIGGER_SCHEMA = DATABASE()";
    for (doing, sql) in [("reading views", views), ("reading triggers", triggers)] {
        for row in control.rows(doing, sql.to_owned()).await? {
            let mut row = Cells::new(row);
            let Some(table) = row.next() else { continue };
            let text = row.next().unwrap_or_default();
            // A user who may not see the text gets an empty one.
            let reached = if clear && !text.is_empty() { mentioned(&text, &known, facts) } else { Reaches::Unknown };
            add(&mut found, folded(table, fold), reached);
        }
    }
    let cascades = "SELECT REFERENCED_TABLE_NAME, TABLE_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS \
        WHERE CONSTRAINT_SCHEMA = DATABASE() AND UNIQUE_CONSTRAINT_SCHEMA = DATABASE() \
        AND (UPDATE_RULE IN ('CASCADE', 'SET NULL', 'SET DEFAULT') OR DELETE_RULE IN ('CASCADE', 'SET NULL', 'SET DEFAULT'))";
    for row in control.rows("reading foreign keys", cascades.to_owned()).await? {
        let mut row = Cells::new(row);
        if let (Some(from), Some(to)) = (row.next(), row.next()) {
            let to = TableName { schema: None, name: folded(to, fold) };
            add(&mut found, folded(from, fold), Reaches::Tables(vec![to]));
        }
    }
    Ok(found)
}

fn mentioned(text: &str, known: &HashMap<String, &String>, facts: &ShardFacts) -> Reaches {
    let words: BTreeSet<String> = words(text).into_iter().collect();
    if words.iter().any(|word| facts.routines.contains(word)) {
        return Reaches::Unknown;
    }
    let tables = words.iter().filter_map(|word| known.get(word));
    let tables: Vec<_> = tables.map(|name| TableName { schema: None, name: (*name).clone() }).collect();
    if tables.is_empty() { Reaches::Nothing } else { Reaches::Tables(tables) }
}

fn add(found: &mut HashMap<String, Reaches>, table: String, reached: Reaches) {
    let before = found.remove(&table).unwrap_or(Reaches::Nothing);
    found.insert(table, super::facts::both(before, reached));
}

/// Conditions on TABLE_NAME that cover the wanted tables, each short enough to be sent.
fn filters(detailed: &HashSet<TableName>, tables: usize) -> Vec<String> {
    if detailed.len() == tables {
        return vec![String::new()];
    }
    let mut names: Vec<&str> = detailed.iter().map(|table| table.name.as_str()).collect();
    names.sort_unstable();
    let quoted = |name: &&str| format!("'{}'", name.replace('\\', "\\\\").replace('\'', "''"));
    let list = |chunk: &[&str]| chunk.iter().map(quoted).collect::<Vec<_>>().join(",");
    names.chunks(NAMES_PER_QUERY).map(|chunk| format!(" AND TABLE_NAME IN ({})", list(chunk))).collect()
}

const NAMES_PER_QUERY: usize = 500;

/// Columns and unique keys by table.
#[derive(Default)]
struct Parts {
    columns: HashMap<String, Vec<sharding::schema::Column>>,
    unique: HashMap<String, Keys>,
}

/// The unique keys of a table by name, the primary key (`false`) first; their columns, or `None` for a part that is no
/// plain column.
type Keys = BTreeMap<(bool, String), Vec<Option<String>>>;

impl Parts {
    fn take(&mut self, table: &str) -> (Vec<sharding::schema::Column>, Vec<UniqueKey>) {
        let columns = self.columns.remove(table).unwrap_or_default();
        let place = |name: &String| columns.iter().position(|column| column.name == *name);
        let keys = self.unique.remove(table).unwrap_or_default().into_values().map(|parts| {
            let columns: Option<Vec<usize>> = parts.iter().map(|part| place(part.as_ref()?)).collect();
            UniqueKey { columns: columns.unwrap_or_default() }
        });
        let keys = keys.collect();
        (columns, keys)
    }
}

async fn read_columns(
    control: &mut MySqlControl,
    filter: &str,
    fold: bool,
    mariadb: bool,
    parts: &mut Parts,
) -> Result<(), LoadError> {
    let sql = format!(
        "SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, CHARACTER_MAXIMUM_LENGTH, NUMERIC_PRECISION, \
        NUMERIC_SCALE, DATETIME_PRECISION, COLLATION_NAME, IS_NULLABLE, COLUMN_DEFAULT, EXTRA \
        FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE(){filter} ORDER BY TABLE_NAME, ORDINAL_POSITION"
    );
    for row in control.rows("reading columns", sql).await? {
        let mut row = Cells::new(row);
        let (Some(table), Some(name)) = (row.next(), row.next()) else { continue };
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
        parts.columns.entry(folded(table, fold)).or_default().push(column(raw, mariadb));
    }
    let sql = format!(
        "SELECT TABLE_NAME, INDEX_NAME, COLUMN_NAME, SUB_PART FROM information_schema.STATISTICS \
        WHERE TABLE_SCHEMA = DATABASE() AND NON_UNIQUE = 0{filter} ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX"
    );
    for row in control.rows("reading keys", sql).await? {
        let mut row = Cells::new(row);
        let (Some(table), Some(index)) = (row.next(), row.next()) else { continue };
        let name = row.next().map(|name| name.to_lowercase());
        let whole = row.next().is_none();
        let keys = parts.unique.entry(folded(table, fold)).or_default();
        keys.entry((index != "PRIMARY", index)).or_default().push(name.filter(|_| whole));
    }
    Ok(())
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
