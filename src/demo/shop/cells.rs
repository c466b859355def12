//! One value of a demo row, and how each dialect writes it; and the generator that makes rows the same every time.

use std::fmt::Write as _;

use crate::demo::servers::ServerKind;

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Null,
    Int(i64),
    /// An amount of money in hundredths.
    Hundredths(i64),
    Float(f64),
    Bool(bool),
    /// Without quotes or backslashes, so that every dialect and mode writes it alike.
    Text(String),
    /// Days after 1970-01-01.
    Date(i64),
    /// Microseconds after 1970-01-01, UTC.
    Moment(i64),
    /// Bytes in MySQL, a UUID in PostgreSQL.
    Token(u128),
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Appends the value as a literal.
    pub(super) fn write(&self, kind: ServerKind, out: &mut String) {
        let done = match self {
            Self::Null => write!(out, "NULL"),
            Self::Int(value) => write!(out, "{value}"),
            Self::Hundredths(value) => {
                let sign = if *value < 0 { "-" } else { "" };
                let value = value.unsigned_abs();
                write!(out, "{sign}{}.{:02}", value / 100, value % 100)
            }
            Self::Float(value) => write!(out, "{value:?}"),
            Self::Bool(value) => match kind {
                ServerKind::MariaDb => write!(out, "{}", i32::from(*value)),
                ServerKind::Postgres => write!(out, "{value}"),
            },
            Self::Text(text) => {
                debug_assert!(!text.contains(['\'', '\\']), "{text}");
                write!(out, "'{text}'")
            }
            Self::Date(days) => {
                let (year, month, day) = civil(*days);
                write!(out, "'{year:04}-{month:02}-{day:02}'")
            }
            Self::Moment(microseconds) => {
                let (seconds, fraction) = (microseconds.div_euclid(1_000_000), microseconds.rem_euclid(1_000_000));
                let (year, month, day) = civil(seconds.div_euclid(86_400));
                let second = seconds.rem_euclid(86_400);
                let zone = if kind == ServerKind::Postgres { "+00" } else { "" };
                write!(
                    out,
                    "'{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}.{fraction:06}{zone}'",
                    second / 3600,
                    second / 60 % 60,
                    second % 60
                )
            }
            Self::Token(value) => match kind {
                ServerKind::MariaDb => write!(out, "x'{value:032x}'"),
                ServerKind::Postgres => {
                    let hex = format!("{value:032x}");
                    write!(out, "'{}-{}-{}-{}-{}'", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
                }
            },
        };
        debug_assert!(done.is_ok(), "writing to a string does not fail");
    }
}

/// Year, month and day of a number of days after 1970-01-01 (Gregorian, by 400-year eras).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// A small generator with a fixed start (SplitMix64), so that the shop is the same every time.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(start: u64) -> Self {
        Self(start)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to, but not including, `end`.
    pub(super) fn below(&mut self, end: i64) -> i64 {
        let end = u64::try_from(end).unwrap_or(1).max(1);
        i64::try_from(self.next() % end).unwrap_or(0)
    }

    /// True once in `count` times.
    pub(super) fn once_in(&mut self, count: i64) -> bool {
        self.below(count) == 0
    }

    pub(super) fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        let index = self.next() % u64::try_from(words.len()).unwrap_or(1).max(1);
        usize::try_from(index).ok().and_then(|index| words.get(index)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(cell: &Cell, kind: ServerKind) -> String {
        let mut out = String::new();
        cell.write(kind, &mut out);
        out
    }

    #[test]
    fn literals_of_both_dialects() {
        for (cell, mysql, postgres) in [
            (Cell::Null, "NULL", "NULL"),
            (Cell::Int(-7), "-7", "-7"),
            (Cell::Hundredths(12_305), "123.05", "123.05"),
            (Cell::Hundredths(-5), "-0.05", "-0.05"),
            (Cell::Float(0.5), "0.5", "0.5"),
            (Cell::Bool(true), "1", "true"),
            (Cell::text("a"), "'a'", "'a'"),
            (Cell::Date(0), "'1970-01-01'", "'1970-01-01'"),
            (Cell::Date(19_782), "'2024-02-29'", "'2024-02-29'"),
            (Cell::Date(-1), "'1969-12-31'", "'1969-12-31'"),
            (Cell::Moment(86_400_000_001), "'1970-01-02 00:00:00.000001'", "'1970-01-02 00:00:00.000001+00'"),
            (Cell::Token(0xff), "x'000000000000000000000000000000ff'", "'00000000-0000-0000-0000-0000000000ff'"),
        ] {
            assert_eq!(written(&cell, ServerKind::MariaDb), mysql);
            assert_eq!(written(&cell, ServerKind::Postgres), postgres);
        }
    }
}
