//! The type of one key column, as far as placing values needs it, and which columns can be keys at all.
//! Out: values (see `canonical`).

use crate::schema::{Column, ColumnKind, DefaultKind, Protocol};

/// The type of one key column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyType {
    /// Which server compares and stores the values.
    pub protocol: Protocol,
    /// The column's kind.
    pub kind: KeyKind,
    /// False for NOT NULL.
    pub nullable: bool,
    /// AUTO_INCREMENT, serial or identity: on MySQL NULL and 0 mean "the next number".
    pub counter: bool,
}

/// Kinds of columns that can be keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// Integers of this range.
    Int {
        /// Smallest value the column holds.
        min: i64,
        /// Largest.
        max: u64,
    },
    /// Exact decimals; what the column holds: digits before the point (if limited) and after it (if fixed).
    Decimal {
        /// Digits before the point, `None` if unlimited.
        whole: Option<u32>,
        /// Digits after the point, `None` if not fixed.
        scale: Option<u16>,
    },
    /// Text.
    Text {
        /// Which texts are equal.
        rule: TextRule,
        /// Most characters the column holds.
        length: Option<u32>,
        /// The column's character set does not hold all of Unicode: only ASCII is certain to arrive as it was sent.
        ascii_only: bool,
    },
    /// Byte strings.
    Bytes {
        /// Padded with zero bytes to the length.
        fixed: bool,
        /// Most bytes the column holds.
        length: Option<u32>,
    },
    /// Days.
    Date,
    /// Days and times without a zone, with so many digits after the second's point.
    DateTime {
        /// 0 to 6.
        fraction: u8,
    },
    /// Uuids.
    Uuid,
    /// Booleans.
    Bool,
}

/// Which texts of a column are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextRule {
    /// Those with equal bytes.
    Bytes,
    /// Those with equal bytes once trailing spaces are gone (PAD SPACE, CHAR).
    Padded,
    /// Case does not count, nor do trailing spaces; known for printable ASCII only.
    AsciiFoldedPadded,
    /// Case does not count, trailing spaces do; known for printable ASCII only.
    AsciiFolded,
}

impl KeyType {
    /// The key type of a column.
    ///
    /// # Errors
    /// Why such a column cannot be a key: its equality is not known here, or depends on the session.
    pub fn of(column: &Column, protocol: Protocol) -> Result<Self, String> {
        if column.default == DefaultKind::Generated || column.on_update {
            return Err("the server changes it when other columns change".to_owned());
        }
        let kind = match column.kind {
            ColumnKind::Int { bytes, unsigned } => int_range(bytes, unsigned),
            ColumnKind::Decimal { precision, scale } => KeyKind::Decimal {
                whole: (precision > 0).then(|| precision.saturating_sub(u32::from(scale.unwrap_or(0)))),
                scale: if precision > 0 { Some(scale.unwrap_or(0)) } else { scale },
            },
            ColumnKind::Text { fixed, length } => {
                let collation = column.collation.as_deref();
                KeyKind::Text {
                    rule: text_rule(protocol, fixed, collation)?,
                    length,
                    ascii_only: protocol == Protocol::MySql
                        && !collation.is_some_and(|name| name.starts_with("utf8mb4")),
                }
            }
            ColumnKind::Bytes { fixed, length } => KeyKind::Bytes { fixed, length },
            ColumnKind::Date => KeyKind::Date,
            ColumnKind::DateTime { fraction } => KeyKind::DateTime { fraction },
            ColumnKind::Uuid => KeyKind::Uuid,
            ColumnKind::Bool => KeyKind::Bool,
            ColumnKind::Float { .. } => return Err("floating point is not exact".to_owned()),
            ColumnKind::Timestamp => return Err("its text depends on the session's time zone".to_owned()),
            ColumnKind::Year | ColumnKind::Time | ColumnKind::Other => {
                return Err(
                    "a key must be an integer, decimal, text, binary, date, date and time, uuid or boolean".to_owned()
                );
            }
        };
        Ok(Self { protocol, kind, nullable: column.nullable, counter: column.default == DefaultKind::Counter })
    }

    /// True if equal values of the two types have equal canonical bytes, so that tables keyed by them are co-located
    /// and a join on them stays on its shard.
    #[must_use]
    pub fn places_like(&self, other: &Self) -> bool {
        match (self.kind, other.kind) {
            (KeyKind::Int { .. } | KeyKind::Decimal { .. }, KeyKind::Int { .. } | KeyKind::Decimal { .. }) => true,
            (KeyKind::Text { rule: a, .. }, KeyKind::Text { rule: b, .. }) => a == b,
            (KeyKind::Bytes { fixed: a, length: m }, KeyKind::Bytes { fixed: b, length: n }) => {
                a == b && (!a || m == n)
            }
            (KeyKind::Date, KeyKind::Date)
            | (KeyKind::DateTime { .. }, KeyKind::DateTime { .. })
            | (KeyKind::Uuid, KeyKind::Uuid)
            | (KeyKind::Bool, KeyKind::Bool) => true,
            _ => false,
        }
    }
}

fn int_range(bytes: u8, unsigned: bool) -> KeyKind {
    let bits = u32::from(bytes.clamp(1, 8)) * 8;
    if unsigned {
        KeyKind::Int { min: 0, max: u64::MAX >> (64 - bits) }
    } else {
        KeyKind::Int { min: i64::MIN >> (64 - bits), max: (i64::MAX >> (64 - bits)).unsigned_abs() }
    }
}

fn text_rule(protocol: Protocol, fixed: bool, collation: Option<&str>) -> Result<TextRule, String> {
    match protocol {
        // Every collation of PostgreSQL is deterministic unless it was created otherwise; the loader leaves the name
        // of a non-deterministic one with this prefix.
        Protocol::Postgres => match collation {
            Some(name) if name.starts_with("nondeterministic:") => {
                Err(format!("collation {name} is not deterministic"))
            }
            _ if fixed => Ok(TextRule::Padded),
            _ => Ok(TextRule::Bytes),
        },
        Protocol::MySql => {
            let Some(name) = collation else { return Err("its collation is not known".to_owned()) };
            let rule = MYSQL_COLLATIONS.iter().find(|(known, _)| *known == name).map(|(_, rule)| *rule);
            match rule {
                // CHAR values lose their trailing spaces when they are read.
                Some(TextRule::Bytes) if fixed => Ok(TextRule::Padded),
                Some(TextRule::AsciiFolded) if fixed => Ok(TextRule::AsciiFoldedPadded),
                Some(rule) => Ok(rule),
                None => Err(format!("which texts are equal under collation {name} is not known here")),
            }
        }
    }
}

/// Collations of MySQL and MariaDB under which every printable ASCII character is distinct but for its case (folded),
/// or in every way (bytes), and none is ignored: asked of MariaDB 10.11 by WEIGHT_STRING, of MySQL from its manual.
const MYSQL_COLLATIONS: [(&str, TextRule); 38] = [
    ("binary", TextRule::Bytes),
    ("utf8mb4_bin", TextRule::Padded),
    ("utf8mb3_bin", TextRule::Padded),
    ("utf8_bin", TextRule::Padded),
    ("latin1_bin", TextRule::Padded),
    ("ascii_bin", TextRule::Padded),
    ("utf8mb4_nopad_bin", TextRule::Bytes),
    ("utf8mb3_nopad_bin", TextRule::Bytes),
    ("utf8_nopad_bin", TextRule::Bytes),
    ("ascii_nopad_bin", TextRule::Bytes),
    ("latin1_nopad_bin", TextRule::Bytes),
    ("utf8mb4_0900_bin", TextRule::Bytes),
    ("utf8mb4_general_ci", TextRule::AsciiFoldedPadded),
    ("utf8mb3_general_ci", TextRule::AsciiFoldedPadded),
    ("utf8_general_ci", TextRule::AsciiFoldedPadded),
    ("ascii_general_ci", TextRule::AsciiFoldedPadded),
    ("latin1_general_ci", TextRule::AsciiFoldedPadded),
    ("latin1_swedish_ci", TextRule::AsciiFoldedPadded),
    ("utf8mb4_unicode_ci", TextRule::AsciiFoldedPadded),
    ("utf8mb3_unicode_ci", TextRule::AsciiFoldedPadded),
    ("utf8_unicode_ci", TextRule::AsciiFoldedPadded),
    ("utf8mb4_unicode_520_ci", TextRule::AsciiFoldedPadded),
    ("utf8mb3_unicode_520_ci", TextRule::AsciiFoldedPadded),
    ("utf8_unicode_520_ci", TextRule::AsciiFoldedPadded),
    ("utf8mb4_general_nopad_ci", TextRule::AsciiFolded),
    ("utf8mb3_general_nopad_ci", TextRule::AsciiFolded),
    ("utf8mb4_unicode_nopad_ci", TextRule::AsciiFolded),
    ("utf8mb3_unicode_nopad_ci", TextRule::AsciiFolded),
    ("utf8mb4_unicode_520_nopad_ci", TextRule::AsciiFolded),
    ("utf8mb3_unicode_520_nopad_ci", TextRule::AsciiFolded),
    ("utf8mb4_uca1400_ai_ci", TextRule::AsciiFoldedPadded),
    ("utf8mb3_uca1400_ai_ci", TextRule::AsciiFoldedPadded),
    ("utf8mb4_uca1400_as_ci", TextRule::AsciiFoldedPadded),
    ("utf8mb3_uca1400_as_ci", TextRule::AsciiFoldedPadded),
    ("utf8mb4_uca1400_nopad_ai_ci", TextRule::AsciiFolded),
    ("utf8mb4_uca1400_nopad_as_ci", TextRule::AsciiFolded),
    ("utf8mb4_0900_ai_ci", TextRule::AsciiFolded),
    ("utf8mb4_0900_as_ci", TextRule::AsciiFolded),
];
