//! Fuzz targets of the tokenizer and the planner: arbitrary texts, golden statements cut and joined at any token, and golden
//! statements with other literals. `make fuzz` runs them for long; with `cargo bolero` they run under a coverage-guided engine.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod shop;

use std::fs;

use sharding::lexer::{
    Dialect, FingerprintKey, LexError, Limits, LiteralClass, MySqlModes, MySqlServer, PostgresModes, Scan, TokenKind,
    Tokens, tokens, verbs,
};
use sharding::plan::{Plan, PlanContext, plan};
use sharding::schema::{Protocol, Schema};

use shop::{root, schema};

const DIALECTS: [Dialect; 5] = [
    Dialect::MYSQL,
    Dialect::POSTGRES,
    Dialect::MySql(MySqlModes { ansi_quotes: true, no_backslash_escapes: true, server: MySqlServer::MySql(80_036) }),
    Dialect::MySql(MySqlModes { ansi_quotes: true, no_backslash_escapes: false, server: MySqlServer::Unknown }),
    Dialect::Postgres(PostgresModes { standard_conforming_strings: false }),
];

fn key() -> FingerprintKey {
    FingerprintKey::from_bytes([7; 16])
}

/// The scan of the hot path and the full tokens say the same; neither panics.
fn lexed_alike(sql: &[u8], dialect: Dialect) {
    let mut scan = Scan::new();
    let scanned = scan.scan(sql, dialect, &key());
    let all = tokens(sql, dialect);
    if let Err(LexError::SemicolonInComment(_)) = scanned {
        return;
    }
    assert_eq!(scanned.err(), all.as_ref().err().copied());
    let Ok(all) = all else { return };
    let from_tokens: Vec<(u32, u32)> = all.literals().map(|(_, token)| (token.span.start, token.span.end)).collect();
    let literals = scan.statements().iter().flat_map(|statement| scan.literals(statement));
    assert_eq!(literals.map(|literal| (literal.start, literal.end)).collect::<Vec<_>>(), from_tokens);
    for statement in scan.statements() {
        assert!(statement.span.end as usize <= sql.len());
        let _ = scan.display(statement);
        let _ = verbs::verb(sql, statement.span, dialect);
    }
    for token in all.list() {
        let _ = all.literal_value(token);
    }
    let _ = all.parse(&Limits::default());
}

#[test]
fn texts() {
    bolero::check!().with_iterations(5_000).with_max_len(120).for_each(|sql: &[u8]| {
        DIALECTS.into_iter().for_each(|dialect| lexed_alike(sql, dialect));
    });
}

/// The golden statements of a protocol, one line each.
fn statements(protocol: Protocol) -> Vec<String> {
    let folder = if protocol == Protocol::MySql { "mysql" } else { "postgres" };
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join("plan").join(folder)).expect("the folder is there") {
        let text = fs::read_to_string(entry.expect("an entry").path()).expect("a golden file");
        for block in text.split("\n\n") {
            let input = block.lines().find(|line| !line.is_empty() && !line.starts_with('#') && *line != "----");
            found.extend(input.map(str::to_owned));
        }
    }
    found.sort();
    found
}

struct Ground {
    dialect: Dialect,
    schema: Schema,
    statements: Vec<String>,
}

impl Ground {
    fn both() -> [Self; 2] {
        [(Protocol::MySql, Dialect::MYSQL), (Protocol::Postgres, Dialect::POSTGRES)].map(|(protocol, dialect)| Self {
            dialect,
            schema: schema(protocol, true),
            statements: statements(protocol),
        })
    }

    fn planned(&self, tokens: &Tokens) -> Plan {
        plan(tokens, &self.schema, &PlanContext::default())
    }

    fn fingerprint(&self, sql: &str) -> Option<u128> {
        let mut scan = Scan::new();
        scan.scan(sql.as_bytes(), self.dialect, &key()).ok()?;
        match scan.statements() {
            [only] => Some(only.fingerprint.0),
            _ => None,
        }
    }

    /// Plans a text; what would be sent to shards must be SQL wherever the text itself is.
    fn plans(&self, sql: &str) {
        lexed_alike(sql.as_bytes(), self.dialect);
        let Ok(all) = tokens(sql.as_bytes(), self.dialect) else { return };
        let told = self.planned(&all).explain(&all, &self.schema, &[]);
        if sql.contains('\n') || all.parse(&Limits::default()).is_err() {
            return;
        }
        for line in told.lines().filter_map(|line| line.strip_prefix("  ")) {
            let Some((place, sent)) = line.split_once(": ") else { continue };
            let of_shards = place.split(", ").all(|name| name == "any shard" || name.starts_with('s'));
            if of_shards && !sent.contains("refused: ") && !sent.contains(" instead of ") {
                let again = tokens(sent.as_bytes(), self.dialect).expect("what is sent can be lexed");
                assert!(again.parse(&Limits::default()).is_ok(), "{sql}\nsends what is no SQL:\n{sent}");
            }
        }
    }
}

#[test]
fn joined_statements() {
    let grounds = Ground::both();
    // Which statements, and at which of their tokens the first ends and the second begins.
    bolero::check!().with_iterations(4_000).with_type::<(u16, u16, u8, u8)>().for_each(|(first, second, end, from)| {
        for ground in &grounds {
            let text = |which: &u16| &ground.statements[usize::from(*which) % ground.statements.len()];
            let (first, second) = (text(first), text(second));
            let lexed = |sql: &String| tokens(sql.as_bytes(), ground.dialect).ok();
            let (Some(a), Some(b)) = (lexed(first), lexed(second)) else { continue };
            let place = |all: &Tokens, which: u8| match all.list().len() {
                0 => 0,
                length => all.list()[usize::from(which) % length].span.start as usize,
            };
            let (end, from) = (place(&a, *end), place(&b, *from));
            let bytes = [&first.as_bytes()[..end], b" ", &second.as_bytes()[from..]].concat();
            ground.plans(&String::from_utf8_lossy(&bytes));
        }
    });
}

/// The text with other literals of the same kinds.
fn with_other_literals(all: &Tokens, sql: &str, numbers: &[u32]) -> String {
    let mut out = Vec::new();
    let mut end = 0;
    for (place, (_, token)) in all.literals().enumerate() {
        let number = numbers.get(place % numbers.len().max(1)).copied().unwrap_or_default();
        out.extend_from_slice(&sql.as_bytes()[end..token.span.start as usize]);
        end = token.span.end as usize;
        match token.kind {
            TokenKind::Literal(LiteralClass::Int) => out.extend_from_slice((number % 1000).to_string().as_bytes()),
            _ => out.extend_from_slice(&sql.as_bytes()[token.span.start as usize..end]),
        }
    }
    out.extend_from_slice(&sql.as_bytes()[end..]);
    String::from_utf8_lossy(&out).into_owned()
}

/// What the plan cache relies on: texts of one fingerprint have one plan.
#[test]
fn plans_of_equal_fingerprints() {
    let grounds = Ground::both();
    bolero::check!().with_iterations(4_000).with_type::<(u16, Vec<u32>)>().for_each(|(which, numbers)| {
        for ground in &grounds {
            let first = &ground.statements[usize::from(*which) % ground.statements.len()];
            let Ok(all) = tokens(first.as_bytes(), ground.dialect) else { continue };
            let second = with_other_literals(&all, first, numbers);
            let shared = ground.fingerprint(first);
            if shared.is_none() || shared != ground.fingerprint(&second) {
                continue;
            }
            let Ok(others) = tokens(second.as_bytes(), ground.dialect) else { continue };
            let borrowed = ground.planned(&all).explain(&others, &ground.schema, &[]);
            let own = ground.planned(&others).explain(&others, &ground.schema, &[]);
            assert_eq!(borrowed, own, "{second}\nby the plan of\n{first}");
        }
    });
}
