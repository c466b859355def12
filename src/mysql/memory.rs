//! What state a backend has, and what to send so that it has a session's state.
//! Out: how the state became known (`session::state`), sending.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use hashbrown::HashMap;

/// System variables of a session that are not at the server's default: name to value, as the server reports them.
pub type Variables = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// User variables: name in lower case to the text of a literal.
pub type UserVariables = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// The part of a session's state that moves from backend to backend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// System variables.
    pub variables: Variables,
    /// User variables.
    pub user_variables: UserVariables,
}

/// A statement as a backend knows it: its text, and what MySQL fixes when it is prepared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StatementKey {
    /// Text.
    pub sql: Arc<[u8]>,
    /// Schema, sql_mode, character sets.
    pub fixed: Arc<[u8]>,
}

/// What a backend's connection has.
#[derive(Debug, Default)]
pub struct Memory {
    /// Settings that were applied.
    pub settings: Arc<Settings>,
    /// Current schema.
    pub schema: Option<Arc<[u8]>>,
    statements: HashMap<StatementKey, u32>,
    order: VecDeque<StatementKey>,
}

impl Memory {
    /// Of a connection that has just logged in with utf8mb4.
    #[must_use]
    pub fn fresh(schema: Option<Vec<u8>>) -> Self {
        let mut settings = Settings::default();
        for (name, value) in [
            ("character_set_client", "utf8mb4"),
            ("character_set_connection", "utf8mb4"),
            ("character_set_results", "utf8mb4"),
            ("collation_connection", "utf8mb4_general_ci"),
        ] {
            settings.variables.insert(name.as_bytes().into(), value.as_bytes().into());
        }
        Self { settings: Arc::new(settings), schema: schema.map(Arc::from), ..Self::default() }
    }

    /// The backend's id of a statement, if it is prepared there.
    #[must_use]
    pub fn statement(&self, key: &StatementKey) -> Option<u32> {
        self.statements.get(key).copied()
    }

    /// Remembers a statement; returns the ids of statements that must be closed for it.
    pub fn remember_statement(&mut self, key: StatementKey, id: u32, most: usize) -> Vec<u32> {
        let mut close = Vec::new();
        if let Some(old) = self.statements.insert(key.clone(), id) {
            close.push(old);
        } else {
            self.order.push_back(key);
        }
        while self.order.len() > most.max(1) {
            let oldest = self.order.pop_front().and_then(|oldest| self.statements.remove(&oldest));
            close.extend(oldest);
        }
        close
    }

    /// The SET that turns what the backend has into `wanted`; `None` if it has it.
    #[must_use]
    pub fn difference(&self, wanted: &Arc<Settings>) -> Option<Vec<u8>> {
        if Arc::ptr_eq(&self.settings, wanted) || self.settings == *wanted {
            return None;
        }
        let mut system = Assignments::default();
        let (have, want) = (&self.settings.variables, &wanted.variables);
        for name in have.keys().filter(|name| !want.contains_key(*name)) {
            system.put(name, b"DEFAULT");
        }
        // A change of character_set_connection changes collation_connection, so both are sent when either differs.
        let connection = |map: &Variables| {
            [&b"character_set_connection"[..], b"collation_connection"].map(|name| map.get(name).cloned())
        };
        let connection_differs = connection(have) != connection(want);
        for (name, value) in want {
            let pair = matches!(&**name, b"character_set_connection" | b"collation_connection");
            if have.get(name) != Some(value) || (pair && connection_differs) {
                system.put(name, &literal(name, value));
            }
        }
        // User variables come second: the character set and sql_mode under which their literals are read must be there.
        let mut user = Assignments::default();
        let (have, want) = (&self.settings.user_variables, &wanted.user_variables);
        for name in have.keys().filter(|name| !want.contains_key(*name)) {
            user.put(&quoted_user_variable(name), b"NULL");
        }
        for (name, value) in want.iter().filter(|(name, value)| have.get(*name) != Some(*value)) {
            user.put(&quoted_user_variable(name), value);
        }
        let texts: Vec<Vec<u8>> = [system.0, user.0].into_iter().filter(|text| !text.is_empty()).collect();
        Some(texts.join(&b';'))
    }
}

#[derive(Default)]
struct Assignments(Vec<u8>);

impl Assignments {
    fn put(&mut self, name: &[u8], value: &[u8]) {
        self.0.extend_from_slice(if self.0.is_empty() { b"SET " } else { b"," });
        self.0.extend_from_slice(name);
        self.0.push(b'=');
        self.0.extend_from_slice(value);
    }
}

fn quoted_user_variable(name: &[u8]) -> Vec<u8> {
    let mut out = b"@`".to_vec();
    for byte in name {
        if *byte == b'`' {
            out.push(b'`');
        }
        out.push(*byte);
    }
    out.push(b'`');
    out
}

/// A reported value as SQL: numbers as they are, everything else as a string.
fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    if value.is_empty() && name.starts_with(b"character_set_") {
        return b"NULL".to_vec();
    }
    let mut digits = value.strip_prefix(b"-").unwrap_or(value).split(|b| *b == b'.');
    let numeric = |part: Option<&[u8]>| part.is_some_and(|p| !p.is_empty() && p.iter().all(u8::is_ascii_digit));
    let whole = numeric(digits.next());
    let fraction = digits.next();
    if whole && (fraction.is_none() || numeric(fraction)) && digits.next().is_none() {
        return value.to_vec();
    }
    // Hexadecimal has no escapes that sql_mode could change the meaning of.
    if value.is_empty() {
        return b"''".to_vec();
    }
    let mut out = b"_utf8 0x".to_vec();
    for byte in value {
        out.extend_from_slice(format!("{byte:02x}").as_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Arc<Settings> {
        let variables = pairs.iter().map(|(n, v)| (n.as_bytes().into(), v.as_bytes().into())).collect();
        Arc::new(Settings { variables, ..Settings::default() })
    }

    fn difference(have: &[(&str, &str)], want: &[(&str, &str)]) -> Option<String> {
        let memory = Memory { settings: settings(have), ..Memory::default() };
        memory.difference(&settings(want)).map(|sql| String::from_utf8(sql).expect("ascii"))
    }

    #[test]
    fn only_what_differs_is_sent() {
        assert_eq!(difference(&[("a", "1")], &[("a", "1")]), None);
        assert_eq!(difference(&[("a", "1"), ("b", "2")], &[("b", "3")]).as_deref(), Some("SET a=DEFAULT,b=3"));
        assert_eq!(difference(&[], &[("sql_mode", "")]).as_deref(), Some("SET sql_mode=''"));
        assert_eq!(difference(&[], &[("time_zone", "+1:00")]).as_deref(), Some("SET time_zone=_utf8 0x2b313a3030"));
        assert_eq!(difference(&[], &[("x", "-1.50")]).as_deref(), Some("SET x=-1.50"));
        assert_eq!(
            difference(&[], &[("character_set_results", "")]).as_deref(),
            Some("SET character_set_results=NULL")
        );
    }

    #[test]
    fn character_set_and_collation_of_the_connection_go_together() {
        let have = [("character_set_connection", "7"), ("collation_connection", "8")];
        let want = [("character_set_connection", "7"), ("collation_connection", "9")];
        assert_eq!(difference(&have, &want).as_deref(), Some("SET character_set_connection=7,collation_connection=9"));
    }

    #[test]
    fn user_variables_are_quoted_and_cleared() {
        let mut have = Settings::default();
        have.user_variables.insert(b"old"[..].into(), b"1"[..].into());
        let mut want = Settings::default();
        want.user_variables.insert(b"a`b"[..].into(), b"'x'"[..].into());
        let memory = Memory { settings: Arc::new(have), ..Memory::default() };
        assert_eq!(memory.difference(&Arc::new(want)).as_deref(), Some(&b"SET @`old`=NULL,@`a``b`='x'"[..]));
    }

    #[test]
    fn statements_beyond_the_most_are_closed_oldest_first() {
        let key = |text: &str| StatementKey { sql: text.as_bytes().into(), fixed: b""[..].into() };
        let mut memory = Memory::default();
        assert!(memory.remember_statement(key("a"), 1, 2).is_empty());
        assert!(memory.remember_statement(key("b"), 2, 2).is_empty());
        assert_eq!(memory.remember_statement(key("a"), 3, 2), [1]);
        assert_eq!(memory.remember_statement(key("c"), 4, 2), [3]);
        assert_eq!(memory.statement(&key("a")), None);
        assert_eq!(memory.statement(&key("c")), Some(4));
    }
}
