//! Frozen vectors, and the borders of certainty.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::schema::{Column, ColumnKind, DefaultKind, Protocol};
use crate::value::{Date, DateTime, Value};

fn key(protocol: Protocol, kind: ColumnKind, collation: Option<&str>) -> KeyType {
    let column = Column {
        name: "k".to_owned(),
        kind,
        type_text: String::new(),
        collation: collation.map(str::to_owned),
        nullable: true,
        default: DefaultKind::None,
        on_update: false,
        takes: crate::schema::Takes::Nothing,
    };
    KeyType::of(&column, protocol).expect("a key type")
}

const BIGINT: ColumnKind = ColumnKind::Int { bytes: 8, unsigned: false };
const TEXT: ColumnKind = ColumnKind::Text { fixed: false, length: None };

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The key type and value that a kind of vector means.
fn vector(kind: &str, text: &str) -> (KeyType, Value) {
    let mysql = Protocol::MySql;
    let postgres = Protocol::Postgres;
    let decimal = ColumnKind::Decimal { precision: 0, scale: None };
    let written = Value::Text(text.as_bytes().to_vec());
    match kind {
        "int" => (key(mysql, BIGINT, None), Value::Int(text.parse().expect("an integer"))),
        "decimal" => (key(postgres, decimal, None), Value::Decimal(text.to_owned())),
        "text" => (key(postgres, TEXT, None), written),
        "padded" => (key(mysql, TEXT, Some("utf8mb4_bin")), written),
        "folded" => (key(mysql, TEXT, Some("utf8mb4_general_ci")), written),
        "bytes" => {
            let bytes = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex"));
            (key(mysql, ColumnKind::Bytes { fixed: false, length: None }, None), Value::Bytes(bytes.collect()))
        }
        "uuid" => (key(postgres, ColumnKind::Uuid, None), written),
        "date" => (key(postgres, ColumnKind::Date, None), written),
        "datetime" => (key(mysql, ColumnKind::DateTime { fraction: 6 }, None), written),
        "bool" => (key(postgres, ColumnKind::Bool, None), Value::Bool(text == "true")),
        other => panic!("unknown kind {other}"),
    }
}

fn canonical(kind: &str, text: &str) -> Option<Vec<u8>> {
    if text == "null" {
        return None;
    }
    let (key, value) = vector(kind, text);
    match key.canonical(&value, Use::Compare) {
        Canonical::Bytes(bytes) => Some(bytes.to_vec()),
        other => panic!("{kind} {text:?} is {other:?}"),
    }
}

#[test]
fn frozen_vectors() {
    let vectors = include_str!("../../testdata/placement.txt");
    let mut count = 0;
    for line in vectors.lines().filter(|line| !line.starts_with('#')) {
        let [kind, text, bytes, slot] = line.split('\t').collect::<Vec<_>>().try_into().expect("four fields");
        let slot: Slot = slot.parse().expect("a slot");
        count += 1;
        if kind == "composite" {
            let parts: Vec<Option<Vec<u8>>> = text
                .split('|')
                .map(|part| part.split_once(' ').and_then(|(kind, text)| canonical(kind, text)))
                .collect();
            let parts: Vec<Option<&[u8]>> = parts.iter().map(Option::as_deref).collect();
            assert_eq!(slot_of(&parts), slot, "{line}");
            continue;
        }
        let found = if kind == "null" { None } else { canonical(kind, text) };
        assert_eq!(
            found.as_deref().map_or("-".to_owned(), |b| if b.is_empty() { "-".to_owned() } else { hex(b) }),
            bytes
        );
        assert_eq!(slot_of(&[found.as_deref()]), slot, "{line}");
    }
    assert!(count > 50, "only {count} vectors");
}

#[test]
fn even_slot_maps_are_contiguous_and_whole() {
    for shards in [1u16, 2, 3, 4, 7, 100] {
        let map = SlotMap::even(shards);
        let mut next = 0u32;
        for (first, last, shard) in map.runs() {
            assert_eq!(u32::from(first), next);
            assert_eq!((map.shard(first), map.shard(last)), (shard, shard));
            next = u32::from(last) + 1;
        }
        assert_eq!(next, u32::from(SLOTS));
        assert_eq!(map.runs().count(), usize::from(shards));
    }
    assert_eq!(SlotMap::even(2).shard(8191), 0);
    assert_eq!(SlotMap::even(2).shard(8192), 1);
}

#[test]
fn integers_and_integral_decimals_are_placed_alike() {
    let int = key(Protocol::MySql, BIGINT, None);
    let decimal = key(Protocol::MySql, ColumnKind::Decimal { precision: 20, scale: Some(4) }, None);
    for used in [Use::Compare, Use::Store] {
        let five = int.canonical(&Value::Int(5), used);
        assert_eq!(int.canonical(&Value::Decimal("5.000".to_owned()), used), five);
        assert_eq!(decimal.canonical(&Value::Int(5), used), five);
    }
    assert!(int.places_like(&decimal));
}

#[test]
fn what_the_server_may_read_otherwise_is_uncertain() {
    let int = key(Protocol::MySql, BIGINT, None);
    let uncertain = |key: &KeyType, value: Value, used: Use| {
        assert_eq!(key.canonical(&value, used), Canonical::Uncertain, "{value:?}");
    };
    for text in ["05", "+5", " 5", "5 ", "5x", "5.0", "", "-0", "9007199254740993", "1e3"] {
        uncertain(&int, Value::Text(text.as_bytes().to_vec()), Use::Compare);
    }
    uncertain(&int, Value::Float(5.0), Use::Compare);
    uncertain(&int, Value::Bytes(vec![5]), Use::Compare);
    uncertain(&int, Value::Unknown, Use::Compare);
    uncertain(&int, Value::Decimal("5.5".to_owned()), Use::Store);
    uncertain(&int, Value::Int(1 << 63), Use::Store);
    let tiny = key(Protocol::MySql, ColumnKind::Int { bytes: 1, unsigned: true }, None);
    uncertain(&tiny, Value::Int(256), Use::Store);
    uncertain(&tiny, Value::Int(-1), Use::Store);
    assert_ne!(tiny.canonical(&Value::Int(255), Use::Store), Canonical::Uncertain);
    let name = key(Protocol::MySql, ColumnKind::Text { fixed: false, length: Some(3) }, Some("utf8mb4_general_ci"));
    uncertain(&name, Value::Text("abcd".into()), Use::Store);
    uncertain(&name, Value::Text("é".into()), Use::Compare);
    uncertain(&name, Value::Text("a\tb".into()), Use::Compare);
    uncertain(&name, Value::Int(5), Use::Compare);
    let latin = key(Protocol::MySql, TEXT, Some("latin1_bin"));
    uncertain(&latin, Value::Text("é".into()), Use::Compare);
    let moment = key(Protocol::MySql, ColumnKind::DateTime { fraction: 0 }, None);
    uncertain(&moment, Value::Text("2024-01-01 00:00:00.5".into()), Use::Store);
    uncertain(&moment, Value::Text("2024-01-01".into()), Use::Compare);
    let fixed = key(Protocol::MySql, ColumnKind::Bytes { fixed: true, length: Some(4) }, None);
    uncertain(&fixed, Value::Bytes(vec![1, 2]), Use::Compare);
    uncertain(&key(Protocol::Postgres, ColumnKind::Uuid, None), Value::Text("0001".into()), Use::Compare);
}

#[test]
fn null_is_stored_only_where_it_stays_null() {
    let stored = |nullable: bool, default: DefaultKind, protocol: Protocol| {
        let column = Column {
            name: "k".to_owned(),
            kind: BIGINT,
            type_text: String::new(),
            collation: None,
            nullable,
            default,
            on_update: false,
            takes: crate::schema::Takes::Nothing,
        };
        let key = KeyType::of(&column, protocol).expect("a key type");
        (key.canonical(&Value::Null, Use::Store), key.canonical(&Value::Int(0), Use::Store))
    };
    assert_eq!(stored(true, DefaultKind::None, Protocol::MySql).0, Canonical::Null);
    assert_eq!(stored(false, DefaultKind::None, Protocol::MySql).0, Canonical::Uncertain);
    let counter = stored(false, DefaultKind::Counter, Protocol::MySql);
    assert_eq!(counter, (Canonical::Uncertain, Canonical::Uncertain));
    assert_eq!(stored(false, DefaultKind::None, Protocol::Postgres).0, Canonical::Null);
    assert_eq!(slot_of(&[None]), 0);
}

#[test]
fn columns_without_a_known_equality_cannot_be_keys() {
    let refused = |protocol, kind, collation: Option<&str>| {
        let column = Column {
            name: "k".to_owned(),
            kind,
            type_text: String::new(),
            collation: collation.map(str::to_owned),
            nullable: false,
            default: DefaultKind::None,
            on_update: false,
            takes: crate::schema::Takes::Nothing,
        };
        KeyType::of(&column, protocol).is_err()
    };
    assert!(refused(Protocol::MySql, ColumnKind::Float { bytes: 8 }, None));
    assert!(refused(Protocol::MySql, ColumnKind::Timestamp, None));
    assert!(refused(Protocol::MySql, ColumnKind::Other, None));
    assert!(refused(Protocol::MySql, TEXT, None));
    assert!(refused(Protocol::MySql, TEXT, Some("utf8mb4_german2_ci")));
    assert!(refused(Protocol::Postgres, TEXT, Some("nondeterministic:de")));
}

#[test]
fn bound_dates_place_as_written_ones_do() {
    let key = key(Protocol::Postgres, ColumnKind::DateTime { fraction: 6 }, None);
    let date = Date { year: 2024, month: 2, day: 29 };
    let bound = Value::DateTime(DateTime { date, micros: 36_000_500_000 });
    let written = Value::Text("2024-02-29 10:00:00.5".into());
    assert_eq!(key.canonical(&bound, Use::Compare), key.canonical(&written, Use::Store));
}
