//! Settings as a session or a backend has them, and the SQL that makes one like the other.
//! In: names and values as the server itself reports them. Out: what the text of a SET means.

use std::sync::Arc;

/// Settings that differ from those a fresh backend has, sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings(Vec<(String, String)>);

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
        Self(pairs)
    }

    /// Whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// A value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.binary_search_by(|pair| pair.0.as_str().cmp(name)).ok().map(|index| self.0[index].1.as_str())
    }

    /// The pairs in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The statements that turn a backend with these settings into one with `wanted`; `None` if there is nothing to do.
    #[must_use]
    pub fn change_to(&self, wanted: &Self) -> Option<Vec<u8>> {
        let mut sql = String::new();
        for (name, _) in self.iter().filter(|(name, _)| wanted.get(name).is_none()) {
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

#[cfg(test)]
mod tests {
    use super::*;

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
