//! A value a statement brings along: a literal or a bound parameter, as far as routing must understand it.
//! Out: rows of results (see `merge`), wire formats, and any idea of a column type (see `placement`).

/// One literal or bound parameter. The process decodes it from the text or the wire; what it cannot decode with
/// certainty it hands over as [`Value::Unknown`], which never narrows a route.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// TRUE or FALSE.
    Bool(bool),
    /// An integer literal without point and exponent, or a bound integer.
    Int(i128),
    /// An exact number as written: `12.50`, `-3.`, an integer too big for [`Value::Int`].
    Decimal(String),
    /// A number with an exponent, or a bound float.
    Float(f64),
    /// Text in UTF-8, escapes undone. On PostgreSQL a quoted literal or a parameter without a type of its own.
    Text(Vec<u8>),
    /// Binary: a hex or bit literal, a bound blob or bytea.
    Bytes(Vec<u8>),
    /// A bound uuid.
    Uuid([u8; 16]),
    /// A bound date.
    Date(Date),
    /// A bound date and time without a zone.
    DateTime(DateTime),
    /// Anything else: text in another character set, a type routing does not know, a parameter not bound yet.
    Unknown,
}

/// A day of the proleptic Gregorian calendar. MySQL's zero parts (`2024-00-00`) are kept as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    /// The year, 0 to 9999.
    pub year: u16,
    /// 1 to 12, or 0 in MySQL.
    pub month: u8,
    /// 1 to 31, or 0 in MySQL.
    pub day: u8,
}

/// A day and a time on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DateTime {
    /// The day.
    pub date: Date,
    /// Microseconds since midnight.
    pub micros: u64,
}

impl Date {
    /// Reads `YYYY-MM-DD`, exactly that: other spellings mean different things to different servers.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let [y @ .., b'-', m1, m2, b'-', d1, d2] = text else { return None };
        if y.len() != 4 {
            return None;
        }
        let year = u16::try_from(digits(y)?).ok()?;
        let month = u8::try_from(digits(&[*m1, *m2])?).ok()?;
        let day = u8::try_from(digits(&[*d1, *d2])?).ok()?;
        (year >= 1 && (1..=12).contains(&month) && day >= 1 && day <= days_in(year, month)).then_some(Self {
            year,
            month,
            day,
        })
    }
}

impl DateTime {
    /// Reads `YYYY-MM-DD HH:MM:SS[.ffffff]`, with a space or a `T` between, exactly that.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (date, rest) = text.split_at_checked(10)?;
        let date = Date::parse(date)?;
        let [b' ' | b'T', h1, h2, b':', m1, m2, b':', s1, s2, fraction @ ..] = rest else { return None };
        let hours = digits(&[*h1, *h2]).filter(|h| *h < 24)?;
        let minutes = digits(&[*m1, *m2]).filter(|m| *m < 60)?;
        let seconds = digits(&[*s1, *s2]).filter(|s| *s < 60)?;
        let micros = match fraction {
            [] => 0,
            [b'.', f @ ..] if !f.is_empty() && f.len() <= 6 => digits(f)? * 10u64.pow(6 - f.len() as u32),
            _ => return None,
        };
        Some(Self { date, micros: ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros })
    }

    /// Digits needed after the second's point.
    #[must_use]
    pub fn fraction_digits(&self) -> u8 {
        let mut micros = self.micros % 1_000_000;
        let mut digits = if micros == 0 { 0 } else { 6 };
        while digits > 0 && micros.is_multiple_of(10) {
            micros /= 10;
            digits -= 1;
        }
        digits
    }
}

fn digits(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0u64, |sum, b| {
        if b.is_ascii_digit() { sum.checked_mul(10)?.checked_add(u64::from(b - b'0')) } else { None }
    })
}

fn days_in(year: u16, month: u8) -> u8 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_one_spelling_only() {
        assert_eq!(Date::parse(b"2024-02-29"), Some(Date { year: 2024, month: 2, day: 29 }));
        for wrong in ["2023-02-29", "2024-2-9", "24-02-09", "2024-00-10", "20240229", "", "2024-02-2x"] {
            assert_eq!(Date::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn times_are_read_to_the_microsecond() {
        let read = |text: &str| DateTime::parse(text.as_bytes()).map(|t| (t.micros, t.fraction_digits()));
        assert_eq!(read("2024-01-01 00:00:01"), Some((1_000_000, 0)));
        assert_eq!(read("2024-01-01T00:00:00.25"), Some((250_000, 2)));
        assert_eq!(read("2024-01-01 00:00:00.1234567"), None);
        assert_eq!(read("2024-01-01 24:00:00"), None);
        assert_eq!(read("2024-01-01"), None);
        assert_eq!(read("\u{e9}024-01-01 00:00:00"), None);
    }
}
