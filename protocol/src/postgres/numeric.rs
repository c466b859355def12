//! Binary `numeric`: to decimal text and back, without a number type in between, so exact at any size.
//! Source: PostgreSQL `src/backend/utils/adt/numeric.c` (`numeric_send`, `numeric_recv`): base-10000 digits, weight,
//! sign, display scale.

use super::wire::{Reader, WireError};

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xc000;
const POSITIVE_INFINITY: u16 = 0xd000;
const NEGATIVE_INFINITY: u16 = 0xf000;
/// Digits after the point that the server can hold.
const SCALE_MAX: u16 = 16_383;
/// Digits before the point that the server can hold, in groups of four.
const WEIGHT_MAX: i16 = 32_767;

/// Decimal text, as the server would print it.
///
/// # Errors
/// [`WireError`].
pub fn to_text(binary: &[u8]) -> Result<String, WireError> {
    let mut reader = Reader::new(binary);
    let count = usize::from(reader.u16()?);
    let weight = reader.i16()?;
    let sign = reader.u16()?;
    let scale = reader.u16()?;
    let digits = reader.bytes(count * 2)?;
    reader.finish()?;
    match sign {
        0 | NEGATIVE => {}
        NAN => return Ok("NaN".to_owned()),
        POSITIVE_INFINITY => return Ok("Infinity".to_owned()),
        NEGATIVE_INFINITY => return Ok("-Infinity".to_owned()),
        _ => return Err(WireError::Invalid("sign of a numeric")),
    }
    if scale > SCALE_MAX {
        return Err(WireError::Invalid("scale of a numeric"));
    }
    let group = |position: i32| -> u16 {
        let index = i32::from(weight) - position;
        usize::try_from(index)
            .ok()
            .and_then(|index| digits.get(index * 2..index * 2 + 2))
            .map_or(0, |pair| u16::from_be_bytes([pair[0], pair[1]]))
    };
    if digits.chunks_exact(2).any(|pair| u16::from_be_bytes([pair[0], pair[1]]) > 9_999) {
        return Err(WireError::Invalid("digit of a numeric"));
    }
    let mut text = String::with_capacity(8 + count * 4 + usize::from(scale));
    if sign == NEGATIVE {
        text.push('-');
    }
    let start = text.len();
    for position in (0..=i32::from(weight)).rev() {
        let value = group(position);
        if text.len() == start {
            if value > 0 || position == 0 {
                text.push_str(&value.to_string());
            }
        } else {
            text.push_str(&format!("{value:04}"));
        }
    }
    if text.len() == start {
        text.push('0');
    }
    if scale > 0 {
        text.push('.');
        let end = text.len() + usize::from(scale);
        let mut position = -1;
        while text.len() < end {
            text.push_str(&format!("{:04}", group(position)));
            position -= 1;
        }
        text.truncate(end);
    }
    Ok(text)
}

/// Binary form of plain decimal text (`-12.50`, `NaN`, `Infinity`, `-Infinity`); the scale is that of the text.
///
/// # Errors
/// [`WireError::Invalid`] for anything else, exponents included.
pub fn from_text(text: &str) -> Result<Vec<u8>, WireError> {
    let invalid = WireError::Invalid("text of a numeric");
    let special = match text {
        "NaN" => Some(NAN),
        "Infinity" => Some(POSITIVE_INFINITY),
        "-Infinity" => Some(NEGATIVE_INFINITY),
        _ => None,
    };
    if let Some(sign) = special {
        return Ok([0_u16.to_be_bytes(), [0, 0], sign.to_be_bytes(), [0, 0]].concat());
    }
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (NEGATIVE, rest),
        None => (0, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let all_digits = whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    if !all_digits || whole.len() + fraction.len() == 0 {
        return Err(invalid);
    }
    let scale = u16::try_from(fraction.len()).ok().filter(|&scale| scale <= SCALE_MAX).ok_or(invalid.clone())?;
    let whole = whole.trim_start_matches('0');
    let padded = format!(
        "{}{whole}{fraction}{}",
        "0".repeat((4 - whole.len() % 4) % 4),
        "0".repeat((4 - fraction.len() % 4) % 4)
    );
    let mut weight = i16::try_from(whole.len().div_ceil(4)).map_err(|_| invalid.clone())? - 1;
    if weight > WEIGHT_MAX - 1 {
        return Err(invalid);
    }
    let groups: Vec<u16> = padded
        .as_bytes()
        .chunks(4)
        .map(|four| four.iter().fold(0, |sum, &digit| sum * 10 + u16::from(digit - b'0')))
        .collect();
    let leading = groups.iter().take_while(|&&group| group == 0).count();
    let trailing = groups.iter().rev().take_while(|&&group| group == 0).count();
    let (significant, sign) = if leading == groups.len() {
        weight = 0;
        (&[][..], 0)
    } else {
        weight -= i16::try_from(leading).map_err(|_| invalid.clone())?;
        (&groups[leading..groups.len() - trailing], sign)
    };
    let mut binary = Vec::with_capacity(8 + significant.len() * 2);
    binary.extend_from_slice(&u16::try_from(significant.len()).map_err(|_| invalid)?.to_be_bytes());
    binary.extend_from_slice(&weight.to_be_bytes());
    binary.extend_from_slice(&sign.to_be_bytes());
    binary.extend_from_slice(&scale.to_be_bytes());
    for group in significant {
        binary.extend_from_slice(&group.to_be_bytes());
    }
    Ok(binary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_bytes_as_the_server_sends_them() {
        // select numeric_send(12345.6789)
        let binary = b"\0\x03\0\x01\0\0\0\x04\0\x01\x09\x29\x1a\x85";
        assert_eq!(to_text(binary).as_deref(), Ok("12345.6789"));
        assert_eq!(from_text("12345.6789").as_deref(), Ok(&binary[..]));
        // select numeric_send(-0.0001)
        assert_eq!(to_text(b"\0\x01\xff\xff\x40\0\0\x04\0\x01").as_deref(), Ok("-0.0001"));
        // select numeric_send(10000)
        assert_eq!(from_text("10000").as_deref(), Ok(&b"\0\x01\0\x01\0\0\0\0\0\x01"[..]));
    }

    #[test]
    fn round_trips() {
        for text in [
            "0",
            "0.00",
            "1",
            "-1",
            "9999",
            "10000",
            "10001",
            "100000000",
            "0.1",
            "0.0001",
            "0.00001",
            "-123456789.987654321",
            "99999999999999999999999999999999999999.99",
            "1.10",
            "NaN",
            "Infinity",
            "-Infinity",
        ] {
            let binary = from_text(text).expect(text);
            assert_eq!(to_text(&binary).as_deref(), Ok(text));
        }
        assert_eq!(from_text("-0.0").and_then(|binary| to_text(&binary)).as_deref(), Ok("0.0"));
        assert_eq!(from_text("+007").and_then(|binary| to_text(&binary)).as_deref(), Ok("7"));
    }

    #[test]
    fn bad_input() {
        for text in ["", "-", ".", "1e5", "1.2.3", "x", "--1", " 1"] {
            assert!(from_text(text).is_err(), "{text}");
        }
        assert!(to_text(b"\0\x01").is_err());
        assert!(to_text(b"\0\x01\0\0\0\0\0\0\x27\x10").is_err(), "digit 10000");
        assert!(to_text(b"\0\0\0\0\x12\x34\0\0").is_err(), "sign");
        assert!(to_text(b"\0\0\0\0\0\0\xff\xff").is_err(), "scale");
        // The widest weight prints at most 131,072 digits.
        assert!(to_text(b"\0\x01\x7f\xff\0\0\0\0\0\x01").expect("valid").len() <= 131_072);
    }
}
