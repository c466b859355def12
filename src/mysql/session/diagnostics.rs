//! Statements that ask what the statement before them was warned of: SHOW WARNINGS, SHOW ERRORS, their counts, GET
//! DIAGNOSTICS. All are answered from what the session noted (`last`): no backend has to be asked; and which statements make
//! servers forget it. Out: noting it.

use protocol::mysql::response::Answer;
use sharding::lexer::{
    self, Dialect, Flags, LiteralClass, MySqlServer, ScannedStatement, StatementKind, TokenKind, Tokens,
};

use super::commands::query_packet;
use super::grid::{Cell, Shape};
use super::last::{Condition, Level};
use super::place::Place;
use super::query::Done;
use super::relay::Passing;
use super::single::{Facts, Outgoing};
use super::temporary::mark;
use super::trouble::{Outcome, Trouble};
use super::{MeshError, Session};
use crate::mysql::memory::UserVariables;

/// What a statement asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asks {
    /// SHOW WARNINGS or SHOW ERRORS: how many to leave out, how many to show.
    List { errors: bool, skip: u64, most: u64 },
    /// SHOW COUNT(*) WARNINGS or ERRORS.
    Count { errors: bool },
    /// GET DIAGNOSTICS: of the statement, or of one of its conditions; variables and what they get.
    Get { condition: Option<u64>, items: Vec<(Vec<u8>, Vec<u8>)> },
}

/// What a statement asks for, if it is one of those that ask.
fn asks(tokens: &Tokens) -> Option<Asks> {
    let is = |at: usize, word: &str| tokens.is_word(at, word);
    let errors = |at: usize| match () {
        () if is(at, "WARNINGS") => Some(false),
        () if is(at, "ERRORS") => Some(true),
        () => None,
    };
    // A `;` at the end is no part of the statement.
    let length = (0..tokens.list().len()).find(|at| mark(tokens, *at) == b";").unwrap_or(tokens.list().len());
    if is(0, "GET") {
        return get(tokens, if is(1, "CURRENT") { 2 } else { 1 });
    }
    if !is(0, "SHOW") {
        return None;
    }
    if is(1, "COUNT") {
        let star = mark(tokens, 2) == b"(" && mark(tokens, 3) == b"*" && mark(tokens, 4) == b")";
        return errors(5).filter(|_| star && length == 6).map(|errors| Asks::Count { errors });
    }
    let errors = errors(1)?;
    let (skip, most) = match length {
        2 => (0, u64::MAX),
        4 if is(2, "LIMIT") => (0, number(tokens, 3)?),
        6 if is(2, "LIMIT") && mark(tokens, 4) == b"," => (number(tokens, 3)?, number(tokens, 5)?),
        6 if is(2, "LIMIT") && is(4, "OFFSET") => (number(tokens, 5)?, number(tokens, 3)?),
        _ => return None,
    };
    Some(Asks::List { errors, skip, most })
}

/// Reads GET DIAGNOSTICS from the word DIAGNOSTICS on.
fn get(tokens: &Tokens, mut at: usize) -> Option<Asks> {
    if !tokens.is_word(at, "DIAGNOSTICS") {
        return None;
    }
    at += 1;
    let mut condition = None;
    if tokens.is_word(at, "CONDITION") {
        condition = Some(number(tokens, at + 1)?);
        at += 2;
    }
    let mut items = Vec::new();
    loop {
        let target = tokens.list().get(at).filter(|token| token.kind == TokenKind::UserVariable)?;
        let item = tokens.list().get(at + 2).filter(|token| token.kind == TokenKind::Word)?;
        if mark(tokens, at + 1) != b"=" {
            return None;
        }
        items.push((variable(tokens.text(target))?, tokens.text(item).to_ascii_uppercase()));
        at += 3;
        match tokens.list().get(at) {
            None => return Some(Asks::Get { condition, items }),
            Some(_) if mark(tokens, at) == b";" => return Some(Asks::Get { condition, items }),
            Some(_) if mark(tokens, at) == b"," => at += 1,
            Some(_) => return None,
        }
    }
}

/// The name of a user variable without its marks, in lower case.
fn variable(text: &[u8]) -> Option<Vec<u8>> {
    let name = text.strip_prefix(b"@")?;
    let inner = name.strip_prefix(b"`").and_then(|rest| rest.strip_suffix(b"`"));
    let plain = inner.unwrap_or(name);
    (!plain.iter().any(|byte| matches!(byte, b'`' | b'\'' | b'"'))).then(|| plain.to_ascii_lowercase())
}

fn number(tokens: &Tokens, at: usize) -> Option<u64> {
    let token = tokens.list().get(at).filter(|token| token.kind == TokenKind::Literal(LiteralClass::Int))?;
    std::str::from_utf8(tokens.text(token)).ok()?.parse().ok()
}

impl Session {
    /// Answers a statement that asks for the diagnostics of the one before; `None`: it is none of these.
    pub(super) async fn diagnose(
        &mut self,
        sql: &[u8],
        scanned: &ScannedStatement,
        place: Place,
        binary: bool,
    ) -> Outcome<Option<Done>> {
        if !scanned.flags.has(Flags::DIAGNOSTICS) || scanned.flags.has(Flags::SYSTEM_VARIABLE) {
            return Ok(None);
        }
        let tokens = lexer::tokens(sql, self.dialect()).map_err(|error| MeshError::Syntax(error.to_string()))?;
        let asked = asks(&tokens);
        if asked.is_none() && scanned.kind != StatementKind::Show && !tokens.is_word(0, "GET") {
            return Ok(None);
        }
        let Some(list) = self.last.conditions().map(<[Condition]>::to_vec) else {
            let text = "it is not known any more what the statement before was warned of";
            return Err(MeshError::Unsupported(text.to_owned()).into());
        };
        let of = |errors: bool| list.iter().filter(move |one| !errors || one.level == Level::Error);
        match asked {
            Some(Asks::List { errors, skip, most }) => {
                let columns =
                    [(&b"Level"[..], Shape::Text(28)), (b"Code", Shape::Int), (b"Message", Shape::Text(2048))];
                let (skip, most) = (usize::try_from(skip), usize::try_from(most));
                let rows = of(errors).skip(skip.unwrap_or(usize::MAX)).take(most.unwrap_or(usize::MAX)).map(|one| {
                    [Cell::Text(one.level.text().as_bytes()), Cell::Number(one.code.into()), Cell::Text(&one.message)]
                });
                self.last.shown();
                Ok(Some(self.put_grid(place, &columns, rows, binary)))
            }
            Some(Asks::Count { errors }) => {
                let count = if errors { of(true).count() as u64 } else { self.last.warning_count() };
                let label = if errors { "@@session.error_count" } else { "@@session.warning_count" };
                self.last.selected(1);
                let columns = [(label.as_bytes(), Shape::BigInt)];
                Ok(Some(self.put_grid(place, &columns, [[Cell::Number(count)]], binary)))
            }
            Some(Asks::Get { condition, items }) => {
                Box::pin(self.get_diagnostics(condition, &items, &list, place)).await.map(Some)
            }
            None => {
                let text = "this form of reading the diagnostics of the statement before";
                Err(MeshError::Unsupported(text.to_owned()).into())
            }
        }
    }

    /// GET DIAGNOSTICS: the variables are set to literals, so that they are there on every backend.
    async fn get_diagnostics(
        &mut self,
        condition: Option<u64>,
        items: &[(Vec<u8>, Vec<u8>)],
        list: &[Condition],
        place: Place,
    ) -> Outcome<Done> {
        let one = match condition {
            Some(number) => {
                let index = usize::try_from(number).unwrap_or(usize::MAX).checked_sub(1);
                let Some(one) = index.and_then(|index| list.get(index)) else {
                    // The statement itself succeeds, as far as servers are concerned.
                    self.last.add(1758, *b"35000", b"Invalid condition number");
                    self.put_ok(place);
                    return Ok(Done::at(place));
                };
                Some(one)
            }
            None => None,
        };
        let mut values = UserVariables::new();
        let mut texts = Vec::new();
        for (target, item) in items {
            let value = self.item(item, one)?;
            texts.push([b"@`", &target[..], b"`=", &value].concat());
            values.insert(target[..].into(), value.into());
        }
        let sql = [b"SET ", &*texts.join(&b',')].concat();
        let passing = Passing::of(Answer::Query, place);
        let facts = Facts { user_variables: values, ..Facts::NOTHING };
        let shard = self.any_shard();
        let report = self.run_single(shard, None, Outgoing::Built(query_packet(&sql)), passing, &facts).await?;
        Ok(Done::of(&report))
    }

    /// What GET DIAGNOSTICS gives for an item, as a literal.
    fn item(&self, item: &[u8], condition: Option<&Condition>) -> Result<Vec<u8>, Trouble> {
        let unknown = || {
            let text = format!("GET DIAGNOSTICS of {} here", String::from_utf8_lossy(item));
            Trouble::Told(MeshError::Unsupported(text))
        };
        let Some(condition) = condition else {
            return match item {
                b"NUMBER" => Ok(self.last.warning_count().to_string().into_bytes()),
                b"ROW_COUNT" => Ok(self.last.row_count().to_string().into_bytes()),
                _ => Err(unknown()),
            };
        };
        match item {
            b"MYSQL_ERRNO" => Ok(condition.code.to_string().into_bytes()),
            b"MESSAGE_TEXT" => Ok(text_literal(&condition.message)),
            b"RETURNED_SQLSTATE" => {
                let state =
                    condition.sqlstate.or_else(|| sqlstate_of(condition.code, self.server)).ok_or_else(unknown)?;
                Ok(text_literal(&state))
            }
            b"CLASS_ORIGIN"
            | b"SUBCLASS_ORIGIN"
            | b"CONSTRAINT_CATALOG"
            | b"CONSTRAINT_SCHEMA"
            | b"CONSTRAINT_NAME"
            | b"CATALOG_NAME"
            | b"SCHEMA_NAME"
            | b"TABLE_NAME"
            | b"COLUMN_NAME"
            | b"CURSOR_NAME" => Ok(b"''".to_vec()),
            _ => Err(unknown()),
        }
    }
}

fn text_literal(text: &[u8]) -> Vec<u8> {
    if text.is_empty() {
        return b"''".to_vec();
    }
    let mut out = b"_utf8 0x".to_vec();
    for byte in text {
        out.extend_from_slice(format!("{byte:02x}").as_bytes());
    }
    out
}

/// The SQLSTATE of the warnings that servers give; SHOW WARNINGS does not say it.
fn sqlstate_of(code: u16, server: MySqlServer) -> Option<[u8; 5]> {
    Some(*match code {
        1003 | 1007 | 1008 | 1105 | 1193 | 1196 | 1266 | 1287 | 1298 | 1301 | 1360 | 1364 | 1411 => b"HY000",
        1592 | 1616 | 1621 | 1681 | 1831 | 1958 | 1973 | 1974 | 4038 => b"HY000",
        1048 | 1062 | 1451 | 1452 => b"23000",
        1261 | 1262 | 1263 | 1265 => b"01000",
        1264 | 1690 | 1916 => b"22003",
        1366 if !matches!(server, MySqlServer::MariaDb(_)) => b"HY000",
        1292 | 1366 => b"22007",
        1365 => b"22012",
        1406 => b"22001",
        1050 => b"42S01",
        1051 | 1146 | 4092 => b"42S02",
        1054 => b"42S22",
        1060 => b"42S21",
        1061 | 1064 | 1071 | 1091 | 1115 | 1176 | 1231 | 1235 | 1286 | 1305 => b"42000",
        1758 => b"35000",
        _ => return None,
    })
}

/// Whether a statement names tables: then servers forget the warnings of the one before.
pub(super) fn uses_tables(sql: &[u8], scanned: &ScannedStatement, dialect: Dialect) -> bool {
    use StatementKind as K;
    match scanned.kind {
        K::Begin | K::Commit | K::Rollback | K::Savepoint | K::RollbackTo | K::Release | K::SetTransaction => false,
        K::Use | K::Kill | K::Prepare | K::Deallocate | K::Unlock | K::Flush | K::Xa => false,
        K::Select | K::With | K::Values | K::Set | K::Do | K::Explain | K::Other => {
            lexer::tokens(sql, dialect).map_or(true, |tokens| {
                // FROM of a function, as in TRIM(' ' FROM 'x'), is none.
                let mut within = vec![true];
                for (at, token) in tokens.list().iter().enumerate() {
                    match token.kind {
                        TokenKind::LeftParenthesis => {
                            let query = ["SELECT", "WITH"].iter().any(|word| tokens.is_word(at + 1, word));
                            within.push(query || mark(&tokens, at + 1) == b"(");
                        }
                        TokenKind::RightParenthesis => drop(within.pop()),
                        TokenKind::Word
                            if within.last() == Some(&true)
                                && tokens.is_word(at, "FROM")
                                && !tokens.is_word(at + 1, "DUAL") =>
                        {
                            return true;
                        }
                        _ => {}
                    }
                }
                false
            })
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sharding::lexer::{FingerprintKey, Scan};

    fn of(sql: &str) -> Option<Asks> {
        asks(&lexer::tokens(sql.as_bytes(), Dialect::MYSQL).expect("valid"))
    }

    #[test]
    fn what_reads_diagnostics_is_recognised() {
        let list = |errors, skip, most| Some(Asks::List { errors, skip, most });
        assert_eq!(of("SHOW WARNINGS"), list(false, 0, u64::MAX));
        assert_eq!(of("/* x */ show  errors ;"), list(true, 0, u64::MAX));
        assert_eq!(of("SHOW WARNINGS LIMIT 1"), list(false, 0, 1));
        assert_eq!(of("SHOW WARNINGS LIMIT 2, 5"), list(false, 2, 5));
        assert_eq!(of("SHOW ERRORS LIMIT 5 OFFSET 2"), list(true, 2, 5));
        assert_eq!(of("SHOW COUNT( * ) WARNINGS"), Some(Asks::Count { errors: false }));
        assert_eq!(of("SHOW TABLES"), None);
        assert_eq!(of("SHOW WARNINGS LIMIT ?"), None);
    }

    #[test]
    fn get_diagnostics_is_read() {
        let item = |name: &[u8], item: &[u8]| (name.to_vec(), item.to_vec());
        assert_eq!(
            of("GET DIAGNOSTICS @N = NUMBER, @`r` = row_count"),
            Some(Asks::Get { condition: None, items: vec![item(b"n", b"NUMBER"), item(b"r", b"ROW_COUNT")] })
        );
        assert_eq!(
            of("get current diagnostics condition 2 @m = message_text;"),
            Some(Asks::Get { condition: Some(2), items: vec![item(b"m", b"MESSAGE_TEXT")] })
        );
        assert_eq!(of("GET STACKED DIAGNOSTICS @n = NUMBER"), None);
    }

    fn tables(sql: &str) -> bool {
        let mut scan = Scan::new();
        scan.scan(sql.as_bytes(), Dialect::MYSQL, &FingerprintKey::from_bytes([1; 16])).expect("valid");
        uses_tables(sql.as_bytes(), scan.statements().first().expect("one"), Dialect::MYSQL)
    }

    #[test]
    fn statements_without_tables_leave_warnings_alone() {
        for sql in ["SELECT 1", "SELECT TRIM(' ' FROM 'x')", "SET @a = 1", "COMMIT", "USE x", "SELECT 1 FROM DUAL"] {
            assert!(!tables(sql), "{sql}");
        }
        for sql in
            ["SELECT 1 FROM t", "SELECT (SELECT MAX(a) FROM t)", "SHOW TABLES", "UPDATE t SET a = 1", "DROP TABLE t"]
        {
            assert!(tables(sql), "{sql}");
        }
    }
}
