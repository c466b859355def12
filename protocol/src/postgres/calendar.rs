//! Dates and timestamps in ISO style, to and from the server's day and microsecond counts.
//! Out: other date styles and time-zone names, which are refused, never guessed.

const DAY_MICROS: i64 = 86_400_000_000;
/// Days from 0000-03-01 to 2000-01-01 in the proleptic Gregorian calendar.
const EPOCH_DAYS: i64 = 730_425;

fn days_of(year: i64, month: i64, day: i64) -> Option<i32> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Years counted from March, so that the leap day is the last of its year.
    let shifted = if month > 2 { year } else { year - 1 };
    let era_days = shifted * 365 + shifted.div_euclid(4) - shifted.div_euclid(100) + shifted.div_euclid(400);
    let month_days = (153 * ((month + 9) % 12) + 2) / 5;
    i32::try_from(era_days + month_days + day - 1 - EPOCH_DAYS).ok()
}

fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_DAYS;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn number(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// `2024-02-29`, `0044-03-15 BC`, `infinity`, `-infinity` to days since 2000-01-01.
pub(super) fn parse_date(text: &str) -> Option<i32> {
    match text.trim() {
        "infinity" => return Some(i32::MAX),
        "-infinity" => return Some(i32::MIN),
        _ => {}
    }
    let (text, before_christ) = era(text);
    let mut parts = text.split('-');
    let year = number(parts.next()?)?;
    let (month, day) = (number(parts.next()?)?, number(parts.next()?)?);
    if parts.next().is_some() || year == 0 {
        return None;
    }
    days_of(if before_christ { 1 - year } else { year }, month, day)
}

fn era(text: &str) -> (&str, bool) {
    let text = text.trim();
    text.strip_suffix(" BC").map_or((text, false), |rest| (rest, true))
}

/// `2024-02-29 12:34:56.789` to microseconds since 2000-01-01.
pub(super) fn parse_timestamp(text: &str) -> Option<i64> {
    match text.trim() {
        "infinity" => return Some(i64::MAX),
        "-infinity" => return Some(i64::MIN),
        _ => {}
    }
    let (rest, before_christ) = era(text);
    let (date, time) = rest.split_once([' ', 'T']).unwrap_or((rest, "0:00"));
    let date = if before_christ { parse_date(&format!("{date} BC"))? } else { parse_date(date)? };
    if date == i32::MAX || date == i32::MIN {
        return None;
    }
    i64::from(date).checked_mul(DAY_MICROS)?.checked_add(clock(time)?)
}

fn clock(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let hours = number(parts.next()?)?;
    let minutes = number(parts.next()?)?;
    let (seconds, micros) = match parts.next() {
        None => (0, 0),
        Some(part) => match part.split_once('.') {
            None => (number(part)?, 0),
            Some((whole, fraction)) if fraction.len() <= 6 => (number(whole)?, number(&format!("{fraction:0<6}"))?),
            Some(_) => return None,
        },
    };
    let valid = parts.next().is_none() && hours <= 24 && minutes < 60 && seconds <= 60;
    let total = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros;
    (valid && total <= DAY_MICROS).then_some(total)
}

/// As [`parse_timestamp`], with an offset such as `+02`, `-03:30` or `Z` behind; without one it is refused, because the
/// session's time zone is not known here.
pub(super) fn parse_timestamptz(text: &str) -> Option<i64> {
    if matches!(text.trim(), "infinity" | "-infinity") {
        return parse_timestamp(text);
    }
    let (rest, before_christ) = era(text);
    let (local, offset) = if let Some(local) = rest.strip_suffix('Z') {
        (local, 0)
    } else {
        let date_end = rest.find([' ', 'T'])?;
        let at = date_end + rest[date_end..].rfind(['+', '-'])?;
        let negative = rest[at..].starts_with('-');
        let mut seconds = 0;
        for (index, part) in rest[at + 1..].split(':').enumerate() {
            seconds += number(part)? * [3_600, 60, 1].get(index)?;
        }
        (&rest[..at], if negative { -seconds } else { seconds })
    };
    let local = if before_christ { parse_timestamp(&format!("{local} BC"))? } else { parse_timestamp(local)? };
    local.checked_sub(offset * 1_000_000)
}

/// ISO text of a date.
pub(super) fn date_text(days: i32) -> String {
    match days {
        i32::MAX => "infinity".to_owned(),
        i32::MIN => "-infinity".to_owned(),
        _ => {
            let (year, month, day) = civil(days.into());
            let (year, suffix) = if year > 0 { (year, "") } else { (1 - year, " BC") };
            format!("{year:04}-{month:02}-{day:02}{suffix}")
        }
    }
}

/// ISO text of a timestamp.
pub(super) fn timestamp_text(micros: i64) -> String {
    match micros {
        i64::MAX => return "infinity".to_owned(),
        i64::MIN => return "-infinity".to_owned(),
        _ => {}
    }
    let (year, month, day) = civil(micros.div_euclid(DAY_MICROS));
    let (year, suffix) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    let of_day = micros.rem_euclid(DAY_MICROS);
    let seconds = of_day / 1_000_000;
    let mut text =
        format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let fraction = of_day % 1_000_000;
    if fraction > 0 {
        text.push_str(format!(".{fraction:06}").trim_end_matches('0'));
    }
    text + suffix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        // select d::date - date '2000-01-01'
        for (text, days) in [
            ("2000-01-01", 0),
            ("1999-12-31", -1),
            ("2000-02-29", 59),
            ("2024-03-01", 8_826),
            ("1970-01-01", -10_957),
            ("0001-01-01", -730_119),
            ("0001-12-31 BC", -730_120),
            ("4713-01-01 BC", -2_451_507),
            ("infinity", i32::MAX),
        ] {
            assert_eq!(parse_date(text), Some(days), "{text}");
            assert_eq!(date_text(days), text);
        }
        for text in
            ["2001-02-29", "0000-01-01", "2000-1-32", "2000-01", "01/02/2000", "", "2000-01-01-01", "1900-02-29"]
        {
            assert_eq!(parse_date(text), None, "{text}");
        }
    }

    #[test]
    fn timestamps() {
        for (text, micros) in [
            ("2000-01-01 00:00:00", 0),
            ("1999-12-31 23:59:59.999999", -1),
            ("2000-01-02 01:02:03.5", 90_123_500_000),
            ("infinity", i64::MAX),
            ("-infinity", i64::MIN),
        ] {
            assert_eq!(parse_timestamp(text), Some(micros), "{text}");
            assert_eq!(timestamp_text(micros), text);
        }
        assert_eq!(parse_timestamptz("2000-01-01 02:00:00+02"), Some(0));
        assert_eq!(parse_timestamptz("2000-01-01 00:00:00-03:30"), Some(12_600_000_000));
        assert_eq!(parse_timestamptz("2000-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse_timestamptz("2000-01-01 00:00:00"), None, "time zone unknown");
        assert_eq!(parse_timestamptz("2000-01-01 00:00:00+x"), None);
        for text in ["2000-01-01 25:00:00", "2000-01-01 00:60:00", "2000-01-01 00:00:00.1234567", "x"] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }
}
