//! Settings as a session or a backend has them, and the SQL that makes one like the other.
//! In: names and values as the server itself reports them. Out: what the text of a SET means.

use std::sync::Arc;
use std::time::Duration;

/// Settings that differ from those a fresh backend has, sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    pairs: Vec<(String, String)>,
    /// One of them makes the server end the connection when nobody uses it.
    ends_idle: bool,
    /// The shortest time after which the server cuts a statement short.
    cuts_after: Option<Duration>,
    reading: Reading,
}

/// What settings mean to the reading of every statement, worked out once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// The schemas in which names are looked up; empty for the usual ones.
    pub path: Vec<String>,
    /// The client's text is not UTF-8.
    pub other_encoding: bool,
    /// `x = NULL` means `x IS NULL`.
    pub null_equals: bool,
}

impl Reading {
    fn of(pairs: &[(String, String)]) -> Self {
        let value = |wanted: &str| pairs.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let utf8 = |encoding: &str| {
            let plain: String = encoding.chars().filter(char::is_ascii_alphanumeric).collect();
            plain.eq_ignore_ascii_case("utf8") || plain.eq_ignore_ascii_case("unicode")
        };
        Self {
            path: split_path(value("search_path").unwrap_or_default()),
            other_encoding: value("client_encoding").is_some_and(|encoding| !utf8(encoding)),
            null_equals: value("transform_null_equals") == Some("on"),
        }
    }
}

/// By these the server cuts statements short, ours too.
const TIMEOUTS: [&str; 3] = ["statement_timeout", "lock_timeout", "transaction_timeout"];

/// Most settings that a session may carry from backend to backend.
pub const SETTINGS_MAX: usize = 500;

/// Asks the server what this connection has set: everything whose source is the session, and the role, which the view leaves out.
/// Characteristics of the current transaction are reported as settings too, and are not.
const LEARN: &str = "SELECT name, setting FROM pg_catalog.pg_settings WHERE source = 'session' \
AND name NOT IN ('transaction_isolation', 'transaction_read_only', 'transaction_deferrable') \
UNION ALL SELECT 'role', r FROM pg_catalog.current_setting('role') r WHERE r <> 'none'";

/// As [`LEARN`], with the settings of these names that no module has declared (`app.tenant`): the view leaves them out.
#[must_use]
pub fn learn(custom: &[String]) -> Vec<u8> {
    let mut sql = LEARN.to_owned();
    for name in custom {
        let name = literal(name);
        sql.push_str(&format!(
            " UNION ALL SELECT {name}, v FROM pg_catalog.current_setting({name}, true) v WHERE v <> ''"
        ));
    }
    sql.into_bytes()
}

/// Whether this can be the name of a setting that no module has declared.
#[must_use]
pub fn is_custom(name: &[u8]) -> bool {
    let part = |part: &[u8]| {
        part.first().is_some_and(|first| first.is_ascii_alphabetic() || *first == b'_' || *first >= 0x80)
            && part.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || *byte >= 0x80)
    };
    // PostgreSQL's own limit of a name is far below.
    name.len() <= 256 && name.contains(&b'.') && name.split(|byte| *byte == b'.').all(part)
}

impl Settings {
    /// From pairs in any order; of one name the last counts.
    #[must_use]
    pub fn new(mut pairs: Vec<(String, String)>) -> Self {
        pairs.reverse();
        pairs.sort_by(|left, right| left.0.cmp(&right.0));
        pairs.dedup_by(|later, kept| later.0 == kept.0);
        let ends_idle = pairs.iter().any(|(name, value)| name == "idle_session_timeout" && value != "0");
        let timeouts = pairs.iter().filter(|(name, value)| TIMEOUTS.contains(&name.as_str()) && value != "0");
        // As the server reports it: in milliseconds.
        let cuts_after = timeouts.map(|(_, value)| Duration::from_millis(value.parse().unwrap_or(0))).min();
        let reading = Reading::of(&pairs);
        Self { pairs, ends_idle, cuts_after, reading }
    }

    /// The shortest time after which the server cuts a statement short by these settings.
    #[must_use]
    pub fn cut_statements_after(&self) -> Option<Duration> {
        self.cuts_after
    }

    /// Whether the server ends a connection with these settings when nobody uses it.
    #[must_use]
    pub fn end_idle_connections(&self) -> bool {
        self.ends_idle
    }

    /// What they mean to the reading of statements.
    #[must_use]
    pub fn reading(&self) -> &Reading {
        &self.reading
    }

    /// Whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// A value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.binary_search_by(|pair| pair.0.as_str().cmp(name)).ok().map(|index| self.pairs[index].1.as_str())
    }

    /// The pairs in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The statements that turn a backend with these settings into one with `wanted`; `None` if there is nothing to do.
    #[must_use]
    pub fn change_to(&self, wanted: &Self) -> Option<Vec<u8>> {
        let mut sql = String::new();
        // First what could stand in the way of the rest.
        let surplus = |name: &str| wanted.get(name).is_none();
        let (first, later): (Vec<_>, Vec<_>) = self
            .iter()
            .map(|(name, _)| name)
            .filter(|name| surplus(name))
            .partition(|name| TIMEOUTS.contains(name) || *name == "role");
        for name in first.into_iter().chain(later) {
            if name == "role" {
                sql.push_str("RESET ROLE;");
            } else {
                sql.push_str(&format!("RESET {};", quoted_setting(name)));
            }
        }
        // The role last: another role may not be allowed to set the rest.
        let (role, rest): (Vec<_>, Vec<_>) =
            wanted.iter().filter(|(name, value)| self.get(name) != Some(value)).partition(|(name, _)| *name == "role");
        for (index, (name, value)) in rest.into_iter().chain(role).enumerate() {
            sql.push_str(if index == 0 { "SELECT " } else { "," });
            sql.push_str(&format!("pg_catalog.set_config({},{},false)", literal(name), literal(value)));
        }
        (!sql.is_empty()).then(|| sql.into_bytes())
    }
}

/// A string constant that means the same whatever `standard_conforming_strings` says.
#[must_use]
pub fn literal(text: &str) -> String {
    let escaped = text.replace('\'', "''");
    if escaped.contains('\\') { format!("E'{}'", escaped.replace('\\', "\\\\")) } else { format!("'{escaped}'") }
}

/// The name of a setting, each part quoted.
fn quoted_setting(name: &str) -> String {
    name.split('.').map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect::<Vec<_>>().join(".")
}

/// What a session that has set nothing shares with every other such session.
#[must_use]
pub fn none() -> Arc<Settings> {
    Arc::default()
}

/// Splits the text of `search_path` as the server shows it. `"$user"` is left out: tables in a schema of the user's name
/// are never sharded.
#[must_use]
pub fn split_path(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut quoted = false;
    for character in text.chars().chain([',']) {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => {
                let name = std::mem::take(&mut part);
                if !name.is_empty() && name != "$user" {
                    parts.push(name);
                }
            }
            ' ' if !quoted => {}
            _ => part.push(character),
        }
    }
    if parts == ["public"] { Vec::new() } else { parts }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_paths() {
        assert!(split_path("\"$user\", public").is_empty());
        assert_eq!(split_path("a, \"b c\", public"), ["a", "b c", "public"]);
        assert!(split_path("").is_empty());
    }

    #[test]
    fn what_statements_are_read_by() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(*Settings::new(vec![pair("client_encoding", "UTF8")]).reading(), Reading::default());
        let set = [("client_encoding", "LATIN1"), ("search_path", "a"), ("transform_null_equals", "on")];
        let settings = Settings::new(set.map(|(name, value)| pair(name, value)).into());
        let wanted = Reading { path: vec!["a".to_owned()], other_encoding: true, null_equals: true };
        assert_eq!(*settings.reading(), wanted);
    }

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        Settings::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn only_the_difference_is_sent() {
        let has = settings(&[("TimeZone", "UTC"), ("work_mem", "64"), ("app.tenant", "7")]);
        let wants = settings(&[("TimeZone", "UTC"), ("search_path", "a, b"), ("role", "x'y")]);
        assert_eq!(has.change_to(&has), None);
        assert_eq!(
            has.change_to(&wants).map(|sql| String::from_utf8_lossy(&sql).into_owned()).as_deref(),
            Some(
                "RESET \"app\".\"tenant\";RESET \"work_mem\";SELECT pg_catalog.set_config('search_path','a, b',false),\
                 pg_catalog.set_config('role','x''y',false)"
            )
        );
        assert!(wants.change_to(&has).is_some_and(|sql| sql.starts_with(b"RESET ROLE;RESET \"search_path\";")));
    }

    #[test]
    fn what_stands_in_the_way_goes_first() {
        let has = settings(&[("a", "1"), ("role", "x"), ("statement_timeout", "1"), ("z", "1")]);
        let sql = has.change_to(&settings(&[])).expect("a difference");
        assert_eq!(String::from_utf8_lossy(&sql), "RESET ROLE;RESET \"statement_timeout\";RESET \"a\";RESET \"z\";");
        assert!(settings(&[("idle_session_timeout", "5")]).end_idle_connections());
        let timeouts = settings(&[("idle_session_timeout", "0"), ("statement_timeout", "7"), ("lock_timeout", "5")]);
        assert!(!timeouts.end_idle_connections());
        assert_eq!(timeouts.cut_statements_after(), Some(Duration::from_millis(5)));
        assert_eq!(settings(&[("statement_timeout", "0")]).cut_statements_after(), None);
    }

    #[test]
    fn names_of_custom_settings() {
        assert!(is_custom(b"app.tenant") && is_custom(b"a.b.c_1") && is_custom("\u{e4}.b".as_bytes()));
        for other in [&b"work_mem"[..], b"a.", b".b", b"1.5", b"a b.c", b"a.'b", b""] {
            assert!(!is_custom(other), "{other:?}");
        }
        let sql = String::from_utf8(learn(&["app.tenant".to_owned()])).expect("text");
        assert!(sql.ends_with("current_setting('app.tenant', true) v WHERE v <> ''"), "{sql}");
    }

    #[test]
    fn the_last_value_of_a_name_counts() {
        let twice = settings(&[("a", "1"), ("b", "2"), ("a", "3")]);
        assert_eq!((twice.get("a"), twice.len()), (Some("3"), 2));
        assert_eq!(literal("a\\'b"), "E'a\\\\''b'");
    }
}
