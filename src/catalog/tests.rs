//! Facts and rules to schema and findings, without servers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sharding::schema::{
    Column, ColumnKind, DefaultKind, Placement, Protocol as Dialect, Reaches, Schema, Table, TableName, Takes,
    UniqueKey,
};

use super::assemble::assemble;
use super::facts::{Setting, ShardFacts, TableDetail, TableFacts, TableKind};
use super::finding::{Finding, Problem, Severity};
use super::source::{ShardSource, Source};
use crate::config::{Protocol, ShardFunction, TablePlacement, TableRule};

fn source(protocol: Protocol, shards: usize, rules: Vec<TableRule>) -> Source {
    let shard = |n: usize| ShardSource {
        name: format!("s{n}"),
        host: "127.0.0.1".into(),
        port: 1,
        user: "u".into(),
        password: None,
        database: format!("shop{n}"),
    };
    Source {
        protocol,
        name: "shop".into(),
        shards: (0..shards).map(shard).collect(),
        default_shard: 0,
        rules,
        connect_wait: Duration::from_secs(1),
        retry_pause: Duration::from_secs(1),
    }
}

fn sharded(name: &str, key: &str) -> TableRule {
    let placement =
        TablePlacement::Sharded { key: vec![key.into()], function: ShardFunction::Hash, unique_per_shard: false };
    TableRule { schema: None, name: name.into(), placement }
}

fn column(name: &str, kind: ColumnKind) -> Column {
    Column {
        name: name.into(),
        kind,
        type_text: format!("{kind:?}"),
        collation: None,
        nullable: false,
        default: DefaultKind::None,
        takes: Takes::Nothing,
        on_update: false,
    }
}

const BIGINT: ColumnKind = ColumnKind::Int { bytes: 8, unsigned: false };

fn table(columns: &[(&str, ColumnKind)]) -> TableFacts {
    let detail = TableDetail {
        columns: columns.iter().map(|(name, kind)| column(name, *kind)).collect(),
        unique_keys: vec![UniqueKey { columns: vec![0] }],
        reaches: Reaches::Nothing,
    };
    TableFacts { kind: TableKind::Table, parent: None, detail: Some(detail) }
}

fn name(protocol: Protocol, name: &str) -> TableName {
    let dialect = if protocol == Protocol::MySql { Dialect::MySql } else { Dialect::Postgres };
    TableName::plain(dialect, name)
}

fn facts(protocol: Protocol, tables: &[(&str, TableFacts)]) -> Option<Arc<ShardFacts>> {
    let tables: BTreeMap<_, _> = tables.iter().map(|(table, facts)| (name(protocol, table), facts.clone())).collect();
    Some(Arc::new(ShardFacts { tables, ..ShardFacts::default() }))
}

fn placement(schema: &Schema, protocol: Protocol, table: &str) -> Placement {
    schema.table(&name(protocol, table)).expect("a known table").placement.clone()
}

fn problems(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}

#[test]
fn declared_and_undeclared_tables_get_their_places() {
    let my = Protocol::MySql;
    let rules = vec![
        sharded("orders", "customer_id"),
        TableRule { schema: None, name: "products".into(), placement: TablePlacement::Reference },
        TableRule { schema: None, name: "settings".into(), placement: TablePlacement::Single { shard: 1 } },
    ];
    let orders = || table(&[("id", BIGINT), ("customer_id", BIGINT)]);
    let plain = || table(&[("id", BIGINT)]);
    let first = facts(my, &[("orders", orders()), ("products", plain()), ("left", plain()), ("both", plain())]);
    let second = facts(
        my,
        &[("orders", orders()), ("products", plain()), ("settings", plain()), ("right", plain()), ("both", plain())],
    );
    let assembled = assemble(&source(my, 2, rules), &[first, second], 7);
    let schema = &assembled.schema;
    assert_eq!(schema.version, 7);
    let Placement::Sharded(sharding) = placement(schema, my, "orders") else { panic!("orders is sharded") };
    assert_eq!(sharding.key, [1]);
    assert_eq!(placement(schema, my, "products"), Placement::Reference);
    assert_eq!(placement(schema, my, "settings"), Placement::Single(1));
    assert_eq!(placement(schema, my, "left"), Placement::Single(0));
    assert_eq!(placement(schema, my, "right"), Placement::Single(1));
    assert_eq!(placement(schema, my, "both"), Placement::Ambiguous(vec![0, 1]));
    assert!(schema.is_split());
    assert_eq!(
        problems(&assembled.findings),
        [
            "warning: unique key (id) of sharded table orders does not contain the shard key: no shard can enforce it, so writes to it are refused \
             (unique_per_shard = true in the table's rule accepts them)",
            "warning: undeclared table both exists on several shards (s0, s1): declare it to use it",
        ]
    );
}

#[test]
fn a_shard_that_is_down_takes_nothing_from_the_others() {
    let my = Protocol::MySql;
    let source = source(my, 2, vec![sharded("orders", "id")]);
    let known = facts(my, &[("orders", table(&[("id", BIGINT)])), ("here", table(&[("id", BIGINT)]))]);
    let assembled = assemble(&source, &[None, known], 1);
    assert!(matches!(placement(&assembled.schema, my, "orders"), Placement::Sharded(_)));
    assert_eq!(placement(&assembled.schema, my, "here"), Placement::Single(1));
    assert!(assembled.findings.is_empty(), "{:?}", assembled.findings);
    // Nothing known at all: the declared table is there and cannot be used.
    let assembled = assemble(&source, &[None, None], 1);
    assert!(matches!(placement(&assembled.schema, my, "orders"), Placement::Unusable(_)));
}

#[test]
fn declared_tables_that_differ_cannot_be_used() {
    let my = Protocol::MySql;
    let differing = [
        (table(&[("id", BIGINT), ("a", BIGINT)]), "it has 2 columns instead of 1"),
        (table(&[("no", BIGINT)]), "column 1 is no instead of id"),
        (table(&[("id", ColumnKind::Int { bytes: 4, unsigned: false })]), "column id is Int"),
    ];
    for (other, expected) in differing {
        let shards = [facts(my, &[("orders", table(&[("id", BIGINT)]))]), facts(my, &[("orders", other)])];
        let assembled = assemble(&source(my, 2, vec![sharded("orders", "id")]), &shards, 1);
        let Placement::Unusable(reason) = placement(&assembled.schema, my, "orders") else { panic!("{expected}") };
        assert!(reason.contains(expected) && reason.contains("s1"), "{reason}");
        let finding = assembled.findings.first().expect("a finding");
        assert_eq!((finding.severity, finding.shard.as_deref()), (Severity::Error, Some("s1")));
        assert!(finding.to_string().contains(expected), "{finding}");
    }
}

#[test]
fn declared_tables_that_are_missing_are_reported() {
    let my = Protocol::MySql;
    let source = source(my, 2, vec![sharded("orders", "id")]);
    let with = facts(my, &[("orders", table(&[("id", BIGINT)]))]);
    let without = facts(my, &[]);
    let assembled = assemble(&source, &[with, without.clone()], 1);
    assert_eq!(problems(&assembled.findings), ["error: shard s1: declared table orders does not exist here"]);
    let assembled = assemble(&source, &[without.clone(), without], 1);
    assert_eq!(problems(&assembled.findings), ["error: declared table orders does not exist on any shard"]);
    assert!(matches!(placement(&assembled.schema, my, "orders"), Placement::Unusable(_)));
}

#[test]
fn keys_that_cannot_be_keys_are_reported() {
    let my = Protocol::MySql;
    let float = table(&[("id", ColumnKind::Float { bytes: 8 })]);
    let view = TableFacts { kind: TableKind::View, ..table(&[("id", BIGINT)]) };
    for (facts_of_table, key, expected) in [
        (table(&[("id", BIGINT)]), "customer", "no column customer"),
        (float, "id", "floating point"),
        (view, "id", "a view"),
    ] {
        let shards = [facts(my, &[("t", facts_of_table)]), None];
        let assembled = assemble(&source(my, 2, vec![sharded("t", key)]), &shards, 1);
        let found = problems(&assembled.findings).join("\n");
        assert!(found.contains(expected), "{found}");
        assert!(matches!(placement(&assembled.schema, my, "t"), Placement::Unusable(_)));
    }
}

#[test]
fn shards_that_mean_something_else_are_not_merged() {
    let my = Protocol::MySql;
    let with = |mode: &str, version: &str| {
        let mut shard = ShardFacts::clone(&facts(my, &[("t", table(&[("id", BIGINT)]))]).expect("facts"));
        shard.settings = BTreeMap::from([(Setting::SqlMode, mode.into()), (Setting::Version, version.into())]);
        Some(Arc::new(shard))
    };
    let source = source(my, 2, vec![sharded("t", "id")]);
    let assembled = assemble(&source, &[with("ANSI,STRICT", "10.11.18"), with("STRICT,ANSI", "10.11.19")], 1);
    assert!(matches!(placement(&assembled.schema, my, "t"), Placement::Sharded(_)));
    assert_eq!(
        problems(&assembled.findings),
        ["warning: shard s1: version is '10.11.19' here but '10.11.18' on shard s0"]
    );
    let assembled = assemble(&source, &[with("ANSI", "10.11.18"), with("", "10.11.18")], 1);
    let Placement::Unusable(reason) = placement(&assembled.schema, my, "t") else { panic!("must not be used") };
    assert_eq!(reason, "shard s1: sql_mode is '' here but 'ANSI' on shard s0");
}

#[test]
fn partitions_are_placed_like_their_parent() {
    let pg = Protocol::Postgres;
    let child = |parent: &str| TableFacts { parent: Some(name(pg, parent)), ..table(&[("id", BIGINT)]) };
    let tables =
        [("orders", table(&[("id", BIGINT)])), ("orders_1", child("orders")), ("orders_1_a", child("orders_1"))];
    let shards = [facts(pg, &tables), facts(pg, &tables)];
    let assembled = assemble(&source(pg, 2, vec![sharded("orders", "id")]), &shards, 1);
    for table in ["orders", "orders_1", "orders_1_a"] {
        assert!(matches!(placement(&assembled.schema, pg, table), Placement::Sharded(_)), "{table}");
    }
    assert!(assembled.findings.is_empty(), "{:?}", assembled.findings);
}

#[test]
fn tables_without_details_are_left_to_the_default_shard_or_refused() {
    let my = Protocol::MySql;
    let bare = || TableFacts { kind: TableKind::Table, parent: None, detail: None };
    let shards = [facts(my, &[("a", bare()), ("b", bare())]), facts(my, &[("c", bare())])];
    let assembled = assemble(&source(my, 2, Vec::new()), &shards, 1);
    assert_eq!(assembled.schema.table(&name(my, "a")), None::<&Arc<Table>>);
    assert!(matches!(placement(&assembled.schema, my, "c"), Placement::Unusable(_)));
    let counts: Vec<_> = assembled.findings.iter().map(|finding| &finding.problem).collect();
    assert_eq!(counts, [&Problem::TooManyTables { tables: 2 }, &Problem::TooManyTables { tables: 1 }]);
}

#[test]
fn what_any_shard_touches_counts() {
    let my = Protocol::MySql;
    let with = |reaches: Reaches| {
        let mut facts = table(&[("id", BIGINT)]);
        facts.detail.as_mut().expect("detail").reaches = reaches;
        facts
    };
    let reached = Reaches::Tables(vec![name(my, "audit")]);
    let shards = [facts(my, &[("t", with(Reaches::Nothing))]), facts(my, &[("t", with(reached.clone()))])];
    let assembled = assemble(&source(my, 2, vec![sharded("t", "id")]), &shards, 1);
    assert_eq!(assembled.schema.table(&name(my, "t")).expect("t").reaches, reached);
}

#[test]
fn folded_names_match_rules_of_any_case() {
    let my = Protocol::MySql;
    let mut shard = ShardFacts::clone(&facts(my, &[("orders", table(&[("id", BIGINT)]))]).expect("facts"));
    shard.names_fold = true;
    let assembled = assemble(&source(my, 2, vec![sharded("Orders", "ID")]), &[Some(Arc::new(shard)), None], 1);
    assert!(matches!(placement(&assembled.schema, my, "orders"), Placement::Sharded(_)));
    assert!(assembled.schema.names_fold);
}

#[test]
fn behind_one_shard_every_table_is_where_it_is() {
    let my = Protocol::MySql;
    let shards = [facts(my, &[("here", table(&[("id", BIGINT)]))])];
    let assembled = assemble(&source(my, 1, vec![sharded("not_yet", "id")]), &shards, 1);
    assert_eq!(assembled.schema.tables().count(), 0);
    assert!(!assembled.schema.is_split());
    assert_eq!(problems(&assembled.findings), ["error: declared table not_yet does not exist on any shard"]);
}

#[test]
fn of_many_ambiguous_tables_the_first_are_named() {
    let my = Protocol::MySql;
    let names: Vec<String> = (0..100).map(|n| format!("t{n:03}")).collect();
    let tables: Vec<(&str, TableFacts)> = names.iter().map(|name| (name.as_str(), table(&[("id", BIGINT)]))).collect();
    let assembled = assemble(&source(my, 2, Vec::new()), &[facts(my, &tables), facts(my, &tables)], 1);
    assert_eq!(assembled.findings.len(), 21);
    let last = assembled.findings.last().expect("a finding");
    assert_eq!(last.problem, Problem::MoreAmbiguous { tables: 80 });
    assert_eq!(assembled.schema.tables().count(), 100);
}
