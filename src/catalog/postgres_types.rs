//! Columns of PostgreSQL: `pg_attribute` and `pg_type` to [`Column`]. Pure. Out: queries.

use sharding::lexer::{Dialect, FingerprintKey, Flags, Scan};
use sharding::schema::{Column, ColumnKind, DefaultKind, Takes};

/// One row of `pg_attribute`, joined with its type, collation and default.
#[derive(Debug, Default)]
pub(super) struct RawColumn {
    pub name: String,
    pub type_oid: i64,
    /// Type modifier; -1 for none.
    pub modifier: i32,
    pub type_text: String,
    pub collation: Option<String>,
    /// False for collations under which texts of different bytes can be equal.
    pub deterministic: bool,
    pub nullable: bool,
    /// `a` or `d` for identity columns.
    pub identity: String,
    /// `s` for stored generated columns.
    pub generated: String,
    pub default: Option<String>,
    /// Sequences that its default names, as `regclass` reads them.
    pub sequences: Vec<String>,
}

/// The column, as the planner sees it.
pub(super) fn column(raw: RawColumn) -> Column {
    let takes = takes(&raw);
    let prefix = if raw.deterministic { "" } else { "nondeterministic:" };
    Column {
        name: raw.name,
        kind: kind(raw.type_oid, raw.modifier),
        type_text: raw.type_text,
        collation: raw.collation.map(|name| format!("{prefix}{}", name.to_lowercase())),
        nullable: raw.nullable,
        default: default(&raw.identity, &raw.generated, raw.default.as_deref()),
        on_update: false,
        takes,
    }
}

/// By the type's number, which is fixed for built-in types; the base type's for a domain.
fn kind(type_oid: i64, modifier: i32) -> ColumnKind {
    let int = |bytes| ColumnKind::Int { bytes, unsigned: false };
    // Lengths count the 4 bytes of their own header.
    let length = u32::try_from(modifier.saturating_sub(4)).ok().filter(|_| modifier > 4);
    match type_oid {
        16 => ColumnKind::Bool,
        17 => ColumnKind::Bytes { fixed: false, length: None },
        20 => int(8),
        21 => int(2),
        23 => int(4),
        25 => ColumnKind::Text { fixed: false, length: None },
        700 => ColumnKind::Float { bytes: 4 },
        701 => ColumnKind::Float { bytes: 8 },
        1042 => ColumnKind::Text { fixed: true, length },
        1043 => ColumnKind::Text { fixed: false, length },
        1082 => ColumnKind::Date,
        1083 => ColumnKind::Time,
        1114 => ColumnKind::DateTime { fraction: u8::try_from(modifier).unwrap_or(6).min(6) },
        1184 => ColumnKind::Timestamp,
        1700 => numeric(modifier),
        2950 => ColumnKind::Uuid,
        _ => ColumnKind::Other,
    }
}

/// `((precision << 16) | scale) + 4`; the scale is a signed number of 11 bits since PostgreSQL 15.
fn numeric(modifier: i32) -> ColumnKind {
    if modifier < 4 {
        return ColumnKind::Decimal { precision: 0, scale: None };
    }
    let packed = modifier - 4;
    let precision = u32::try_from((packed >> 16) & 0xffff).unwrap_or(0);
    let scale = ((packed & 0x7ff) ^ 1024) - 1024;
    match u16::try_from(scale) {
        Ok(scale) => ColumnKind::Decimal { precision, scale: Some(scale) },
        // Rounds to tens or hundreds: more digits before the point than `precision` says.
        Err(_) => ColumnKind::Other,
    }
}

fn default(identity: &str, generated: &str, text: Option<&str>) -> DefaultKind {
    if !identity.is_empty() {
        return DefaultKind::Counter;
    }
    if !generated.is_empty() {
        return DefaultKind::Generated;
    }
    let Some(text) = text else { return DefaultKind::None };
    if text.starts_with("nextval(") {
        DefaultKind::Counter
    } else if is_constant(text) {
        DefaultKind::Constant
    } else {
        DefaultKind::Expression
    }
}

/// What the default takes from a sequence.
fn takes(raw: &RawColumn) -> Takes {
    let one = || match raw.sequences.as_slice() {
        [one] => Takes::From(one.as_str().into()),
        _ => Takes::Unknown,
    };
    if !raw.identity.is_empty() {
        return one();
    }
    let Some(text) = raw.default.as_deref().filter(|text| raw.generated.is_empty() && !is_constant(text)) else {
        return Takes::Nothing;
    };
    if text.strip_prefix("nextval('").and_then(|rest| rest.strip_suffix("'::regclass)")).is_some_and(|name| {
        // Quotes in a name are doubled: what ends at the first single one is not a lone call.
        !name.replace("''", "").contains('\'')
    }) {
        return one();
    }
    let mut scan = Scan::new();
    let read = scan.scan(format!("SELECT {text}").as_bytes(), Dialect::POSTGRES, &FingerprintKey::from_bytes([0; 16]));
    let harmless = read.is_ok()
        && (scan.statements().iter())
            .all(|statement| !statement.flags.any(Flags::SEQUENCE_NEXT.with(Flags::UNKNOWN_FUNCTION)));
    if harmless { Takes::Nothing } else { Takes::Unknown }
}

/// A number, a boolean, NULL, or one quoted string; each perhaps with a cast to a type, which has no parentheses other
/// than those of its modifier. Everything else may be computed.
fn is_constant(text: &str) -> bool {
    let (value, cast) = match text.strip_prefix('\'') {
        Some(inside) => {
            let Some(end) = end_of_string(inside) else { return false };
            inside.split_at(end + 1)
        }
        None => text.split_once("::").map_or((text, ""), |(value, _)| text.split_at(value.len())),
    };
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '(' | ')');
    let literal = text.starts_with('\'')
        || matches!(value, "true" | "false" | "NULL")
        || (!value.is_empty() && value.chars().all(plain));
    // Words that are themselves a moment: 'now'::date is folded when it is stored, but 'now'::text is not a moment.
    let word = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '_' | '(' | ')' | ',' | '"' | '[' | ']' | '.');
    literal && (cast.is_empty() || cast.strip_prefix("::").is_some_and(|cast| cast.chars().all(word)))
}

/// Where the quoted string ends whose opening quote was cut off; doubled quotes belong to it.
fn end_of_string(inside: &str) -> Option<usize> {
    let mut quotes = inside.char_indices().filter(|(_, c)| *c == '\'').map(|(at, _)| at).peekable();
    while let Some(at) = quotes.next() {
        match quotes.peek() {
            Some(next) if *next == at + 1 => {
                quotes.next();
            }
            _ => return Some(at),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_by_number_and_modifier() {
        assert_eq!(kind(20, -1), ColumnKind::Int { bytes: 8, unsigned: false });
        assert_eq!(kind(1043, 24), ColumnKind::Text { fixed: false, length: Some(20) });
        assert_eq!(kind(1043, -1), ColumnKind::Text { fixed: false, length: None });
        assert_eq!(kind(1042, 7), ColumnKind::Text { fixed: true, length: Some(3) });
        assert_eq!(kind(1114, -1), ColumnKind::DateTime { fraction: 6 });
        assert_eq!(kind(1114, 3), ColumnKind::DateTime { fraction: 3 });
        assert_eq!(kind(1700, -1), ColumnKind::Decimal { precision: 0, scale: None });
        assert_eq!(kind(1700, (10 << 16) + 2 + 4), ColumnKind::Decimal { precision: 10, scale: Some(2) });
        // numeric(3,-2)
        assert_eq!(kind(1700, ((3 << 16) | (-2 & 0x7ff)) + 4), ColumnKind::Other);
        for other in [3802, 1186, 790, 19, 18, 26, 1266, 99_999] {
            assert_eq!(kind(other, -1), ColumnKind::Other, "{other}");
        }
    }

    #[test]
    fn defaults() {
        let of = |text: &str| default("", "", Some(text));
        for constant in [
            "5",
            "'-1'::integer",
            "1.50",
            "'x'::character varying",
            "true",
            "NULL::character varying",
            "'2024-01-01'::date",
            "'it''s; (now())'::text",
            "'{}'::text[]",
            "'0'::numeric(10,2)",
        ] {
            assert_eq!(of(constant), DefaultKind::Constant, "{constant}");
        }
        for expression in
            ["now()", "CURRENT_TIMESTAMP", "gen_random_uuid()", "('a'::text || random())", "('now'::text)::date"]
        {
            assert_eq!(of(expression), DefaultKind::Expression, "{expression}");
        }
        assert_eq!(of("nextval('orders_id_seq'::regclass)"), DefaultKind::Counter);
        assert_eq!(default("a", "", None), DefaultKind::Counter);
        assert_eq!(default("", "s", Some("(a + 1)")), DefaultKind::Generated);
        assert_eq!(default("", "", None), DefaultKind::None);
    }

    #[test]
    fn what_defaults_take_from_sequences() {
        let of = |default: &str, sequences: &[&str]| {
            let sequences = sequences.iter().map(|name| (*name).to_owned()).collect();
            takes(&RawColumn { default: Some(default.to_owned()), sequences, ..RawColumn::default() })
        };
        let named = |name: &str| Takes::From(name.into());
        assert_eq!(of("nextval('t_id_seq'::regclass)", &["public.t_id_seq"]), named("public.t_id_seq"));
        assert_eq!(of("nextval('\"it''s\"'::regclass)", &["public.\"it's\""]), named("public.\"it's\""));
        assert_eq!(of("nextval('s'::text)", &[]), Takes::Unknown);
        assert_eq!(of("(nextval('s'::regclass) + nextval('s'::regclass))", &["s"]), Takes::Unknown);
        assert_eq!(of("my_own_id()", &[]), Takes::Unknown);
        for harmless in ["5", "now()", "gen_random_uuid()", "('a'::text || random())", "timezone('utc'::text, now())"] {
            assert_eq!(of(harmless, &[]), Takes::Nothing, "{harmless}");
        }
        let identity = |sequences| RawColumn { identity: "a".to_owned(), sequences, ..RawColumn::default() };
        assert_eq!(takes(&identity(vec!["s.t_id_seq".to_owned()])), named("s.t_id_seq"));
        assert_eq!(takes(&identity(Vec::new())), Takes::Unknown);
        assert_eq!(takes(&RawColumn::default()), Takes::Nothing);
    }
}
