//! Seeded random texts: no panic, no disagreement between scan and tokens, stable fingerprints.

use super::*;

/// A small generator of numbers (xorshift): tests must be repeatable.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }

    fn pick<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        items[self.below(items.len())]
    }
}

const DIALECTS: [Dialect; 6] = [
    Dialect::MYSQL,
    Dialect::POSTGRES,
    Dialect::MySql(MySqlModes { ansi_quotes: true, no_backslash_escapes: true, server: MySqlServer::MySql(80_036) }),
    Dialect::MySql(MySqlModes {
        ansi_quotes: false,
        no_backslash_escapes: true,
        server: MySqlServer::MariaDb(101_106),
    }),
    Dialect::MySql(MySqlModes { ansi_quotes: true, no_backslash_escapes: false, server: MySqlServer::Unknown }),
    Dialect::Postgres(PostgresModes { standard_conforming_strings: false }),
];

const PIECES: [&str; 74] = [
    "select",
    "from",
    "where",
    "insert into",
    "values",
    "(",
    ")",
    ",",
    ";",
    "'",
    "''",
    "\"",
    "`",
    "\\",
    "\\'",
    "$",
    "$$",
    "$a$",
    "$1",
    "?",
    "/*",
    "*/",
    "/*!",
    "/*!50000 ",
    "/*M!",
    "/*+ x */",
    "-- ",
    "--",
    "\n",
    "#",
    "e'",
    "E'x'",
    "u&'",
    "x'41'",
    "x'",
    "b'01'",
    "0x1f",
    "0b1",
    "1",
    "1.5",
    "1e5",
    ".5",
    "1a",
    "a.1",
    "t",
    "a",
    "é",
    "@",
    "@a",
    "@@b",
    ":=",
    "::",
    "order by",
    "group by",
    "limit",
    "for update",
    "null",
    "create procedure",
    "begin",
    "end",
    "create function",
    "begin atomic",
    "case",
    " ",
    " ",
    "last_insert_id(",
    "f(",
    "union",
    "values (1,2),(3,4)",
    "values (1),(2),('x')",
    "/* dbmesh: x */",
    "\0",
    "_utf8'x'",
    "n'x'",
];

fn check(sql: &[u8], dialect: Dialect, scan: &mut Scan) {
    let scanned = scan.scan(sql, dialect, &key());
    let all = tokens(sql, dialect);
    if let Err(LexError::SemicolonInComment(_)) = scanned {
        return;
    }
    assert_eq!(scanned.err(), all.as_ref().err().copied(), "{}", sql.escape_ascii());
    let Ok(all) = all else { return };
    let from_tokens: Vec<(u32, u32)> = all.literals().map(|(_, token)| (token.span.start, token.span.end)).collect();
    let literals: Vec<(u32, u32)> = scan
        .statements()
        .iter()
        .flat_map(|statement| scan.literals(statement).iter().map(|literal| (literal.start, literal.end)))
        .collect();
    assert_eq!(literals, from_tokens, "{}", sql.escape_ascii());
    let mut end = 0;
    for statement in scan.statements() {
        assert!(statement.span.start >= end && statement.span.end as usize <= sql.len());
        end = statement.span.end;
        for literal in scan.literals(statement) {
            assert!(literal.start >= statement.span.start && literal.end <= statement.span.end);
        }
        let _ = scan.display(statement);
        let _ = verbs::verb(sql, statement.span, dialect);
    }
    for (index, token) in all.list().iter().enumerate() {
        assert!(token.span.start < token.span.end, "{} token {index}", sql.escape_ascii());
        let _ = all.literal_value(token);
    }
    let _ = all.parse(&Limits::default());
}

#[test]
fn random_bytes_never_panic() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut scan = Scan::new();
    for _ in 0..6_000 {
        let length = random.below(40);
        let sql: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
        for dialect in DIALECTS {
            check(&sql, dialect, &mut scan);
        }
    }
}

#[test]
fn random_pieces_never_panic_and_agree() {
    let mut random = Random(42);
    let mut scan = Scan::new();
    for _ in 0..12_000 {
        let mut sql = String::new();
        for _ in 0..random.below(24) {
            sql.push_str(random.pick(&PIECES));
            if random.below(3) > 0 {
                sql.push(' ');
            }
        }
        for dialect in DIALECTS {
            check(sql.as_bytes(), dialect, &mut scan);
        }
    }
}

#[test]
fn every_prefix_of_a_statement_is_lexed_or_refused() {
    let sql = "/*!50001 select*/ a.`b c`, N'x', _utf8'y\\'z', x'4142', @a:=1, @@global.b /* c */ -- d\n from t where $1 = E'q' and $$r$$ <> 's'\n't'; insert into t values (1,2),(3,4)";
    let mut scan = Scan::new();
    for end in 0..sql.len() {
        for dialect in DIALECTS {
            check(&sql.as_bytes()[..end], dialect, &mut scan);
        }
    }
}

#[test]
fn fingerprints_survive_white_space_comments_and_values() {
    let mut random = Random(7);
    let words =
        ["select", "a", "from", "t", "where", "b", "=", "#", "and", "c", "in", "(", "#", ",", "#", ")", "limit", "#"];
    for dialect in [Dialect::MYSQL, Dialect::POSTGRES] {
        let mut known = None;
        for _ in 0..500 {
            let mut sql = String::new();
            for word in words {
                match word {
                    "#" => sql.push_str(&random.below(100_000).to_string()),
                    word => sql.push_str(word),
                }
                sql.push_str(random.pick(&[" ", "\n", "\t ", " /* x; ' */ ", " -- y '\n", "/**/ "]));
            }
            let this = fingerprint(&sql, dialect);
            assert_eq!(*known.get_or_insert(this), this, "{sql}");
        }
    }
}

/// All that a scan gives.
fn given(scan: &Scan) -> String {
    let parts = |statement| (scan.literals(statement).to_vec(), scan.normalised(statement).to_vec());
    let all: Vec<_> = scan.statements().iter().map(|statement| (*statement, parts(statement))).collect();
    format!("{all:?}")
}

#[test]
fn a_text_of_a_known_shape_is_read_as_by_a_new_scan() {
    const VALUES: [&str; 16] = [
        "1",
        "12",
        "907",
        "0",
        "00",
        "123456789012345678",
        "1234567890123456789",
        "1.5",
        "1e3",
        "1_0",
        "'x'",
        "'it''s'",
        "'a\\'b'",
        "\"q\"",
        "x'41'",
        "''",
    ];
    let mut random = Random(11);
    let mut known = Scan::new();
    for _ in 0..8_000 {
        let mut pieces: Vec<String> = Vec::new();
        for _ in 0..=random.below(10) {
            let value = random.below(2) == 0;
            let piece = if value { random.pick(&VALUES) } else { random.pick(&PIECES) };
            pieces.push(format!("{piece}{}", if random.below(4) > 0 { " " } else { "" }));
        }
        let dialect = DIALECTS[random.below(DIALECTS.len())];
        for _ in 0..4 {
            let sql: String = pieces.concat();
            let mut new = Scan::new();
            let (by_known, by_new) =
                (known.scan(sql.as_bytes(), dialect, &key()), new.scan(sql.as_bytes(), dialect, &key()));
            assert_eq!(by_known, by_new, "{sql}");
            assert_eq!(given(&known), given(&new), "{sql}");
            for piece in &mut pieces {
                let trimmed = piece.trim_end();
                if VALUES.contains(&trimmed) && random.below(2) == 0 {
                    *piece = piece.replacen(trimmed, random.pick(&VALUES), 1);
                }
            }
        }
    }
}
