//! Reads one PostgreSQL shard: `pg_catalog` to [`ShardFacts`].
//! Out: MySQL; how facts of several shards become a schema.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use sharding::schema::{Column, Reaches, TableName, UniqueKey};
use tokio::time::Instant;
use tokio_postgres::Row;

use super::control::{LoadError, PostgresControl};
use super::facts::{Setting, ShardFacts, TableDetail, TableFacts, TableKind, both};
use super::postgres_types::{RawColumn, column};
use super::source::ShardSource;
use super::wanted::Wanted;

/// Number of a relation on this shard.
type Oid = i64;

/// Reads everything about one shard, in one snapshot.
pub(super) async fn load(
    shard: &ShardSource,
    wanted: &Wanted,
    connected: Instant,
    deadline: Instant,
) -> Result<ShardFacts, LoadError> {
    let control = PostgresControl::connect(shard, connected, deadline).await?;
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL search_path = pg_catalog";
    let mut facts = ShardFacts { settings: settings(&control).await?, ..ShardFacts::default() };
    control.run("opening a snapshot", begin).await?;
    facts.routines = routines(&control).await?;
    let relations = relations(&control).await?;
    let name_of = |oid: &Oid| relations.get(oid).map(|relation| relation.name.clone());
    let mut touched = touched(&control, &relations).await?;
    let parents: HashMap<Oid, Oid> = inherited(&control).await?.into_iter().collect();
    let all = wanted.all(relations.len());
    let is_detailed = |oid: &Oid, relation: &Relation| {
        let notable = relation.kind == TableKind::View || touched.contains_key(oid) || parents.contains_key(oid);
        all || wanted.one(&relation.name, notable)
    };
    let oids = relations.iter().filter(|(oid, relation)| is_detailed(oid, relation)).map(|(oid, _)| *oid);
    let detailed: HashSet<Oid> = oids.collect();
    let mut parts = parts(&control, detailed.iter().copied().collect()).await?;
    control.run("closing the snapshot", "COMMIT").await?;
    for (oid, relation) in &relations {
        let reaches = touched.remove(oid).unwrap_or(Reaches::Nothing);
        let detail = detailed.contains(oid).then(|| {
            let (columns, unique_keys) = parts.take(*oid);
            TableDetail { columns, unique_keys, reaches }
        });
        let parent = parents.get(oid).and_then(name_of);
        facts.tables.insert(relation.name.clone(), TableFacts { kind: relation.kind, parent, detail });
    }
    Ok(facts)
}

/// A column of a row; a server that answers with other types than asked for is reported, not trusted.
fn get<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, index: usize) -> Result<T, LoadError> {
    row.try_get(index)
        .map_err(|error| LoadError::Query { doing: "reading the answer of a catalog query", cause: error.to_string() })
}

async fn settings(control: &PostgresControl) -> Result<BTreeMap<Setting, String>, LoadError> {
    let sql = "SELECT name, setting FROM pg_catalog.pg_settings WHERE name IN ('server_version', 'TimeZone', \
        'server_encoding', 'DateStyle', 'IntervalStyle', 'standard_conforming_strings', 'bytea_output', \
        'extra_float_digits', 'default_transaction_isolation', 'max_prepared_transactions')";
    let mut settings = BTreeMap::new();
    for row in control.rows("reading the server's settings", sql, &[]).await? {
        let name: String = get(&row, 0)?;
        let setting = match name.as_str() {
            "server_version" => Setting::Version,
            "TimeZone" => Setting::TimeZone,
            "server_encoding" => Setting::Encoding,
            "DateStyle" => Setting::DateStyle,
            "IntervalStyle" => Setting::IntervalStyle,
            "standard_conforming_strings" => Setting::StandardConformingStrings,
            "bytea_output" => Setting::ByteaOutput,
            "extra_float_digits" => Setting::ExtraFloatDigits,
            "default_transaction_isolation" => Setting::Isolation,
            "max_prepared_transactions" => Setting::MaxPreparedTransactions,
            _ => continue,
        };
        settings.insert(setting, get(&row, 1)?);
    }
    // Columns of pg_database differ between versions: those that exist are read by name.
    let sql = "SELECT to_jsonb(d)::text, CASE WHEN pg_is_in_recovery() THEN 'on' ELSE 'off' END \
        FROM pg_catalog.pg_database d WHERE datname = current_database()";
    for row in control.rows("reading the database's settings", sql, &[]).await? {
        let json: String = get(&row, 0)?;
        let json: serde_json::Value = serde_json::from_str(&json).unwrap_or_default();
        let text = |key: &str| json.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        let locale = ["daticulocale", "datlocale"].map(text).concat();
        let collation = match locale.as_str() {
            "" => format!("{} / {}", text("datcollate"), text("datctype")),
            icu => format!("{} / {} / {icu}", text("datcollate"), text("datctype")),
        };
        settings.insert(Setting::Collation, collation);
        settings.insert(Setting::CollationVersion, text("datcollversion"));
        settings.insert(Setting::ReadOnly, get(&row, 1)?);
    }
    Ok(settings)
}

async fn routines(control: &PostgresControl) -> Result<BTreeSet<String>, LoadError> {
    let sql = "SELECT DISTINCT lower(p.proname::text) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace \
        WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')";
    control.rows("reading routines", sql, &[]).await?.iter().map(|row| get(row, 0)).collect()
}

struct Relation {
    name: TableName,
    kind: TableKind,
    /// Row-level security: policies may read anything.
    policies: bool,
}

async fn relations(control: &PostgresControl) -> Result<HashMap<Oid, Relation>, LoadError> {
    let sql = "SELECT c.oid::int8, n.nspname::text, c.relname::text, c.relkind::text, c.relrowsecurity \
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";
    let rows = control.rows("reading the names of tables", sql, &[]).await?;
    let relation = |row: &Row| {
        let kind: String = get(row, 3)?;
        let kind = match kind.as_str() {
            "v" | "m" => TableKind::View,
            "S" => TableKind::Sequence,
            _ => TableKind::Table,
        };
        let name = TableName { schema: Some(get(row, 1)?), name: get(row, 2)? };
        Ok((get(row, 0)?, Relation { name, kind, policies: get(row, 4)? }))
    };
    rows.iter().map(relation).collect()
}

/// What each relation touches: views by their dependencies, cascades by their foreign keys. Triggers and policies run
/// functions, and functions may do anything; so may rules of tables.
async fn touched(
    control: &PostgresControl,
    relations: &HashMap<Oid, Relation>,
) -> Result<HashMap<Oid, Reaches>, LoadError> {
    let mut touched: HashMap<Oid, Reaches> = HashMap::new();
    let mut add = |from: Oid, reached: Reaches| {
        let before = touched.remove(&from).unwrap_or(Reaches::Nothing);
        touched.insert(from, both(before, reached));
    };
    for (oid, relation) in relations {
        if relation.policies {
            add(*oid, Reaches::Unknown);
        }
    }
    let tables = "SELECT DISTINCT r.ev_class::int8, d.refobjid::int8 FROM pg_rewrite r \
        JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass \
        WHERE d.refobjid <> r.ev_class \
        UNION SELECT confrelid::int8, conrelid::int8 FROM pg_constraint \
        WHERE contype = 'f' AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd'))";
    for row in control.rows("reading views and foreign keys", tables, &[]).await? {
        // What is not in the list is a catalog: the same on every shard.
        if let Some(to) = relations.get(&get::<Oid>(&row, 1)?) {
            add(get(&row, 0)?, Reaches::Tables(vec![to.name.clone()]));
        }
    }
    let anything = "SELECT r.ev_class::int8 FROM pg_rewrite r \
        JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid \
        LEFT JOIN pg_proc p ON d.refclassid = 'pg_proc'::regclass AND p.oid = d.refobjid \
        LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid \
        JOIN pg_namespace n ON n.oid = coalesce(p.pronamespace, o.oprnamespace) \
        WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') \
        UNION SELECT r.ev_class::int8 FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class WHERE c.relkind IN ('r', 'p') \
        UNION SELECT tgrelid::int8 FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'";
    for row in control.rows("reading triggers", anything, &[]).await? {
        let from: Oid = get(&row, 0)?;
        if relations.contains_key(&from) {
            add(from, Reaches::Unknown);
        }
    }
    Ok(touched)
}

async fn inherited(control: &PostgresControl) -> Result<Vec<(Oid, Oid)>, LoadError> {
    // The first parent, where there are several.
    let sql = "SELECT inhrelid::int8, inhparent::int8 FROM pg_inherits WHERE inhseqno = 1";
    let rows = control.rows("reading partitions", sql, &[]).await?;
    rows.iter().map(|row| Ok((get(row, 0)?, get(row, 1)?))).collect()
}

/// Columns and unique keys by relation.
#[derive(Default)]
struct Parts {
    /// With the attribute's number, which keys use; dropped columns leave gaps.
    columns: HashMap<Oid, Vec<(i16, Column)>>,
    unique: HashMap<Oid, Vec<Vec<i16>>>,
}

impl Parts {
    fn take(&mut self, oid: Oid) -> (Vec<Column>, Vec<UniqueKey>) {
        let (numbers, columns): (Vec<i16>, Vec<Column>) =
            self.columns.remove(&oid).unwrap_or_default().into_iter().unzip();
        let key = |parts: Vec<i16>| {
            let columns: Option<Vec<usize>> =
                parts.iter().map(|part| numbers.iter().position(|number| number == part)).collect();
            UniqueKey { columns: columns.unwrap_or_default() }
        };
        let keys = self.unique.remove(&oid).unwrap_or_default().into_iter().map(key).collect();
        (columns, keys)
    }
}

async fn parts(control: &PostgresControl, oids: Vec<Oid>) -> Result<Parts, LoadError> {
    let mut parts = Parts::default();
    // A domain counts as the type it is made of. The database's default collation is shown by its own name.
    let sql = "SELECT a.attrelid::int8, a.attnum, a.attname::text, \
        (CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE a.atttypid END)::int8, \
        CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END, format_type(a.atttypid, a.atttypmod), \
        CASE WHEN c.collname = 'default' THEN (SELECT datcollate::text FROM pg_database WHERE datname = current_database()) \
            ELSE c.collname::text END, coalesce(c.collisdeterministic, true), NOT (a.attnotnull OR t.typnotnull), \
        a.attidentity::text, a.attgenerated::text, coalesce(pg_get_expr(d.adbin, d.adrelid), t.typdefault), \
        ARRAY(SELECT s.oid::regclass::text FROM pg_depend p JOIN pg_class s ON s.oid = p.refobjid AND s.relkind = 'S' \
            WHERE p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_class'::regclass \
            UNION SELECT s.oid::regclass::text FROM pg_depend p JOIN pg_class s ON s.oid = p.objid AND s.relkind = 'S' \
            WHERE a.attidentity <> '' AND p.classid = 'pg_class'::regclass AND p.refclassid = 'pg_class'::regclass \
            AND p.refobjid = a.attrelid AND p.refobjsubid = a.attnum AND p.deptype = 'i') \
        FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_collation c ON c.oid = a.attcollation \
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
        WHERE a.attrelid::int8 = ANY($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum";
    for row in control.rows("reading columns", sql, &[&oids]).await? {
        let raw = RawColumn {
            name: get(&row, 2)?,
            type_oid: get(&row, 3)?,
            modifier: get(&row, 4)?,
            type_text: get(&row, 5)?,
            collation: get(&row, 6)?,
            deterministic: get(&row, 7)?,
            nullable: get(&row, 8)?,
            identity: get(&row, 9)?,
            generated: get(&row, 10)?,
            default: get(&row, 11)?,
            sequences: get(&row, 12)?,
        };
        parts.columns.entry(get(&row, 0)?).or_default().push((get(&row, 1)?, column(raw)));
    }
    // Keys over expressions or a part of the rows, and exclusion constraints, have no plain columns.
    let sql = "SELECT i.indrelid::int8, CASE WHEN i.indpred IS NULL AND i.indexprs IS NULL AND NOT i.indisexclusion \
        THEN (i.indkey::int2[])[0:i.indnkeyatts - 1] ELSE '{0}'::int2[] END FROM pg_index i \
        WHERE i.indrelid::int8 = ANY($1) AND (i.indisunique OR i.indisexclusion) \
        ORDER BY i.indrelid, i.indisprimary DESC, i.indexrelid";
    for row in control.rows("reading keys", sql, &[&oids]).await? {
        parts.unique.entry(get(&row, 0)?).or_default().push(get(&row, 1)?);
    }
    Ok(parts)
}
