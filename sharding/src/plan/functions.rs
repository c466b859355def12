//! What built-in functions do, by name. Out: their arguments and types.
//! Invariant: a name that is not on a list may read anything, so a statement that calls it beside sharded tables is
//! refused. The lists are tables of their own: `functions/*.txt`.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::schema::{Protocol, Schema};

/// What calling a function does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FunctionKind {
    /// Depends on its arguments alone (and settings that all shards share).
    Pure,
    /// One value per statement or session.
    Stable,
    /// Another value at every call, or a side effect.
    Volatile,
    /// Gives rows.
    Rows,
    /// Makes one value of many rows.
    Aggregate,
    /// Looks at neighbouring rows.
    Window,
    /// Takes from or looks at a sequence.
    Sequence,
    /// Reads what cannot be seen here: SQL in a text, files.
    Hidden,
    /// Not built in.
    Unknown,
}

/// What a function of this name (lower case, without schema) does.
pub(super) fn function_kind(schema: &Schema, name: &str) -> FunctionKind {
    if schema.routines.contains(name) {
        return FunctionKind::Unknown;
    }
    let list = match schema.protocol {
        Protocol::MySql => {
            static LIST: OnceLock<HashMap<&'static str, FunctionKind>> = OnceLock::new();
            LIST.get_or_init(|| read(include_str!("functions/mysql.txt")))
        }
        Protocol::Postgres => {
            static LIST: OnceLock<HashMap<&'static str, FunctionKind>> = OnceLock::new();
            LIST.get_or_init(|| read(include_str!("functions/postgres.txt")))
        }
    };
    list.get(name).copied().unwrap_or(FunctionKind::Unknown)
}

fn read(table: &'static str) -> HashMap<&'static str, FunctionKind> {
    let mut kind = FunctionKind::Unknown;
    let mut list = HashMap::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        kind = match line.trim_end() {
            "pure:" => FunctionKind::Pure,
            "stable:" => FunctionKind::Stable,
            "volatile:" => FunctionKind::Volatile,
            "rows:" => FunctionKind::Rows,
            "aggregate:" => FunctionKind::Aggregate,
            "window:" => FunctionKind::Window,
            "sequence:" => FunctionKind::Sequence,
            "hidden:" => FunctionKind::Hidden,
            names => {
                list.extend(names.split_whitespace().map(|name| (name, kind)));
                kind
            }
        };
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_names() {
        let mysql = Schema::new(Protocol::MySql, "shop", Vec::new(), 0);
        let postgres = Schema::new(Protocol::Postgres, "shop", Vec::new(), 0);
        for (schema, name, kind) in [
            (&mysql, "abs", FunctionKind::Pure),
            (&mysql, "now", FunctionKind::Stable),
            (&mysql, "rand", FunctionKind::Volatile),
            (&mysql, "sum", FunctionKind::Aggregate),
            (&mysql, "row_number", FunctionKind::Window),
            (&mysql, "nextval", FunctionKind::Sequence),
            (&mysql, "load_file", FunctionKind::Hidden),
            (&mysql, "my_own", FunctionKind::Unknown),
            (&postgres, "lower", FunctionKind::Pure),
            (&postgres, "now", FunctionKind::Stable),
            (&postgres, "random", FunctionKind::Volatile),
            (&postgres, "gen_random_uuid", FunctionKind::Volatile),
            (&postgres, "generate_series", FunctionKind::Rows),
            (&postgres, "sum", FunctionKind::Aggregate),
            (&postgres, "query_to_xml", FunctionKind::Hidden),
            (&postgres, "nextval", FunctionKind::Sequence),
            (&postgres, "ifnull", FunctionKind::Unknown),
        ] {
            assert_eq!(function_kind(schema, name), kind, "{name}");
        }
    }

    #[test]
    fn a_routine_of_the_users_hides_a_built_in_one() {
        let mut schema = Schema::new(Protocol::Postgres, "shop", Vec::new(), 0);
        schema.routines.insert("lower".to_owned());
        assert_eq!(function_kind(&schema, "lower"), FunctionKind::Unknown);
    }
}
