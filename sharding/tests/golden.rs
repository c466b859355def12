//! Golden plans: every case of `testdata/plan/*/*.txt` is planned and printed as EXPLAIN ROUTE prints it.
//! `UPDATE_GOLDEN=1 cargo test -p dbmesh-sharding --test golden` writes the answers anew; the diff is what is reviewed.
//!
//! A case is a statement, perhaps a line `parameters: ...`, `----`, the plan, and an empty line. Lines that begin with
//! `#` are comments.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod shop;

use std::fs;
use std::path::PathBuf;

use sharding::lexer::{Dialect, tokens};
use sharding::plan::{PlanContext, plan};
use sharding::schema::{Protocol, Schema};
use sharding::value::Value;

use shop::{root, schema};

fn parameter(text: &str) -> Value {
    let text = text.trim();
    match text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
        Some(inner) => Value::Text(inner.as_bytes().to_vec()),
        None if text.eq_ignore_ascii_case("null") => Value::Null,
        None if text.contains('e') => Value::Float(text.parse().expect("a float")),
        None if text.contains('.') => Value::Decimal(text.to_owned()),
        None => Value::Int(text.parse().expect("an integer")),
    }
}

fn explain(schema: &Schema, sql: &str, parameters: &[Value]) -> String {
    let dialect = if schema.protocol == Protocol::MySql { Dialect::MYSQL } else { Dialect::POSTGRES };
    match tokens(sql.as_bytes(), dialect) {
        Ok(tokens) => plan(&tokens, schema, &PlanContext::default()).explain(&tokens, schema, parameters),
        Err(error) => format!("no tokens: {error}\n"),
    }
}

/// The file with every plan as it is now.
fn replay(schema: &Schema, text: &str) -> (String, usize) {
    let mut out = String::new();
    let mut cases = 0;
    for block in text.split("\n\n") {
        let lines: Vec<&str> = block.lines().filter(|line| !line.is_empty()).collect();
        let comments = lines.iter().take_while(|line| line.starts_with('#')).count();
        let input: Vec<&str> = lines.iter().skip(comments).copied().take_while(|line| *line != "----").collect();
        for line in lines.iter().take(comments) {
            out.push_str(line);
            out.push('\n');
        }
        if !input.is_empty() {
            cases += 1;
            let (sql, with): (Vec<&str>, Vec<&str>) = input.iter().partition(|line| !line.starts_with("parameters: "));
            let parameters: Vec<Value> = with
                .iter()
                .flat_map(|line| line.trim_start_matches("parameters: ").split(", "))
                .map(parameter)
                .collect();
            out.push_str(&input.join("\n"));
            out.push_str("\n----\n");
            out.push_str(&explain(schema, &sql.join("\n"), &parameters));
        }
        out.push('\n');
    }
    (format!("{}\n", out.trim_end()), cases)
}

fn run(folder: &str, schema: &Schema) {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut files: Vec<PathBuf> = fs::read_dir(root().join("plan").join(folder))
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no golden files in {folder}");
    let mut failures = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).expect("a golden file");
        let (now, cases) = replay(schema, &text);
        assert!(cases > 0, "{} holds no case", path.display());
        if update {
            fs::write(&path, now).expect("the golden file is written");
        } else if now != text {
            let line = now.lines().zip(text.lines()).position(|(a, b)| a != b).unwrap_or(0);
            let (a, b) = (now.lines().nth(line).unwrap_or(""), text.lines().nth(line).unwrap_or(""));
            failures.push(format!("{}:{}:\n  is  {a}\n  was {b}", path.display(), line + 1));
        }
    }
    assert!(failures.is_empty(), "plans have changed:\n{}", failures.join("\n"));
}

#[test]
fn mysql() {
    run("mysql", &schema(Protocol::MySql, false));
}

#[test]
fn postgres() {
    run("postgres", &schema(Protocol::Postgres, false));
}

#[test]
fn physical_databases_with_other_names() {
    run("renamed", &schema(Protocol::MySql, true));
}

#[test]
fn no_byte_of_any_case_makes_the_planner_panic() {
    for (folder, protocol) in [("mysql", Protocol::MySql), ("postgres", Protocol::Postgres)] {
        let schema = schema(protocol, true);
        for entry in fs::read_dir(root().join("plan").join(folder)).expect("the folder is there") {
            let text = fs::read_to_string(entry.expect("an entry").path()).expect("a golden file");
            for sql in text.lines().filter(|line| !line.starts_with('#')) {
                // Every statement cut short, which is seldom SQL any more.
                for end in (0..sql.len()).step_by(3).filter(|end| sql.is_char_boundary(*end)) {
                    explain(&schema, &sql[..end], &[]);
                }
            }
        }
    }
}
