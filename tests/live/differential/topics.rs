//! Statements written by hand, by topic: constructs at the edge of what is handled, each the same as on one database or
//! refused. They are in `topics/`, one a line.

use super::answer::{Answer, Session};
use super::compare::{Verdict, compare};
use super::select::{Order, Select, Statement};
use crate::bed::ServerKind;

const BOTH: &str = include_str!("topics/both.sql");
const MYSQL: &str = include_str!("topics/mysql.sql");
const POSTGRES: &str = include_str!("topics/postgres.sql");

/// Asks every statement of both sides, as text and prepared.
pub async fn run(kind: ServerKind, plain: &mut Session, sharded: &mut Session) {
    let own = if kind == ServerKind::MariaDb { MYSQL } else { POSTGRES };
    let lines = BOTH.lines().chain(own.lines()).filter(|line| !line.is_empty() && !line.starts_with("--"));
    let (mut all, mut refused, mut wrong) = (0, Vec::new(), Vec::new());
    for line in lines {
        for prepared in [false, true] {
            let statement = Statement { sql: line.to_owned(), parameters: Vec::new() };
            let expected = plain.ask(&statement, prepared).await;
            let found = sharded.ask(&statement, prepared).await;
            all += 1;
            match compare(&shape(line, &expected), &expected, &found) {
                Verdict::Same { .. } => {}
                Verdict::Refused(reason) => refused.push(format!("{reason} <- {line}")),
                Verdict::Wrong(difference) => {
                    wrong.push(format!("{}: {line}\n  {difference}", if prepared { "prepared" } else { "text" }));
                }
            }
        }
    }
    println!("  by topic: {all}, refused {}", refused.len());
    refused.iter().for_each(|refusal| println!("    {refusal}"));
    assert!(wrong.is_empty(), "{} of {all} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(refused.len() * 2 < all, "most are to run: {} of {all} refused", refused.len());
}

/// What the comparison must know of a statement: whether it fixes the order of all rows, whether it cuts.
fn shape(line: &str, expected: &Answer) -> Select {
    let upper = line.to_ascii_uppercase();
    // An ORDER BY inside parentheses says nothing about the result.
    let last = upper.rfind("ORDER BY").filter(|at| !upper[*at..].contains(')') || upper[*at..].contains('('));
    let total_order = last.is_some() && !upper.contains("ORDER BY NULL");
    let cuts = [" LIMIT", " FETCH ", " OFFSET "].iter().any(|word| upper.contains(word));
    let order = Order { sql: String::new(), descending: false, item: None };
    let empty = matches!(expected, Answer::Rows { rows, .. } if rows.is_empty());
    Select {
        order: if total_order { vec![order] } else { Vec::new() },
        total_order,
        take: (cuts && !empty).then_some(0),
        ..Select::default()
    }
}
