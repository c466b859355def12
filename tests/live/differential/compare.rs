//! Says whether two answers to one statement are the same, as far as SQL promises it.

use super::answer::{Answer, Row};
use super::select::Select;

/// The verdict on one statement.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// The same; `empty`: without rows.
    Same { empty: bool },
    /// dbmesh refused it, for this reason.
    Refused(String),
    /// Not the same.
    Wrong(String),
}

/// Codes of a refusal: MySQL's and PostgreSQL's "not supported".
const REFUSALS: [&str; 2] = ["1235/42000", "0A000"];

/// Compares what one database said with what dbmesh said.
pub fn compare(select: &Select, expected: &Answer, found: &Answer) -> Verdict {
    match (expected, found) {
        (_, Answer::Error { code, text }) if REFUSALS.contains(&code.as_str()) && text.contains("dbmesh") => {
            Verdict::Refused(text.clone())
        }
        (Answer::Error { code: a, .. }, Answer::Error { code: b, .. }) if a == b => Verdict::Same { empty: true },
        (Answer::Rows { columns: a, rows: x, affected: m }, Answer::Rows { columns: b, rows: y, affected: n }) => {
            if m != n {
                return Verdict::Wrong(format!("{n} rows touched instead of {m}"));
            }
            if a != b {
                return Verdict::Wrong(format!("columns {b:?} instead of {a:?}"));
            }
            match rows(select, x, y) {
                None => Verdict::Same { empty: x.is_empty() },
                Some(difference) => Verdict::Wrong(difference),
            }
        }
        (expected, found) => Verdict::Wrong(format!("{} instead of {}", short(found), short(expected))),
    }
}

fn rows(select: &Select, expected: &[Row], found: &[Row]) -> Option<String> {
    if expected.len() != found.len() {
        return Some(format!("{} rows instead of {}", found.len(), expected.len()));
    }
    let cut = select.take.is_some() || select.skip.is_some();
    let ordered = !select.order.is_empty();
    if select.total_order {
        return difference(&expected.iter().collect::<Vec<_>>(), &found.iter().collect::<Vec<_>>());
    }
    if ordered {
        // Rows that ORDER BY leaves equal may come in any order; its terms that are selected may not.
        let terms = |row: &Row| -> Row {
            select.order.iter().map_while(|order| order.item).filter_map(|item| row.get(item).cloned()).collect()
        };
        let (a, b): (Vec<Row>, Vec<Row>) = (expected.iter().map(terms).collect(), found.iter().map(terms).collect());
        if a != b {
            return Some("rows in another order".to_owned());
        }
    }
    if cut {
        // Which of the rows that are equal, or come in no order, is left to the server.
        return None;
    }
    let sorted = |rows: &'_ [Row]| -> Vec<Row> {
        let mut rows = rows.to_vec();
        rows.sort_unstable();
        rows
    };
    let (expected, found) = (sorted(expected), sorted(found));
    difference(&expected.iter().collect::<Vec<_>>(), &found.iter().collect::<Vec<_>>())
}

fn difference(expected: &[&Row], found: &[&Row]) -> Option<String> {
    let (n, (a, b)) = expected.iter().zip(found).enumerate().find(|(_, (a, b))| a != b)?;
    Some(format!("row {n} is {} instead of {}", shown(b), shown(a)))
}

fn shown(row: &Row) -> String {
    let cell = |cell: &Option<Vec<u8>>| match cell {
        None => "NULL".to_owned(),
        Some(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains(char::is_control) => text.to_owned(),
            _ => format!("{bytes:02x?}"),
        },
    };
    format!("({})", row.iter().map(cell).collect::<Vec<_>>().join(", "))
}

fn short(answer: &Answer) -> String {
    match answer {
        Answer::Rows { rows, .. } => format!("{} rows", rows.len()),
        Answer::Error { code, text } => format!("error {code} {text}"),
    }
}

#[test]
fn verdicts() {
    let cell = |text: &str| Some(text.as_bytes().to_vec());
    let rows = |values: &[&str]| Answer::Rows {
        affected: 0,
        columns: vec!["a".into()],
        rows: values.iter().map(|v| vec![cell(v)]).collect(),
    };
    let item = super::select::Item { sql: "a".into() };
    let order = super::select::Order { sql: "a".into(), descending: false, item: Some(0) };
    let plain = Select { items: vec![item.clone()], ..Select::default() };
    let ordered = Select { items: vec![item], order: vec![order], ..Select::default() };
    assert_eq!(compare(&plain, &rows(&["1", "2"]), &rows(&["2", "1"])), Verdict::Same { empty: false });
    assert!(matches!(compare(&ordered, &rows(&["1", "2"]), &rows(&["2", "1"])), Verdict::Wrong(_)));
    assert!(matches!(compare(&plain, &rows(&["1", "1", "2"]), &rows(&["1", "2", "2"])), Verdict::Wrong(_)));
    assert!(matches!(compare(&plain, &rows(&["1"]), &rows(&["1", "1"])), Verdict::Wrong(_)));
    let error = |code: &str, text: &str| Answer::Error { code: code.into(), text: text.into() };
    let refusal = error("0A000", "dbmesh does not support HAVING over several shards");
    assert!(matches!(compare(&plain, &rows(&["1"]), &refusal), Verdict::Refused(_)));
    assert!(matches!(compare(&plain, &rows(&["1"]), &error("0A000", "of the server")), Verdict::Wrong(_)));
    assert_eq!(compare(&plain, &error("22012", "x"), &error("22012", "y")), Verdict::Same { empty: true });
    assert!(matches!(compare(&plain, &refusal, &rows(&["1"])), Verdict::Wrong(_)));
}
