//! Exact decimal numbers of any size, as DECIMAL and NUMERIC columns hold them: parse, compare, add, print.
//! Out: rounding, division, and anything that could lose a digit.
//! Invariant: the scale (digits after the point) is kept as the server wrote it; addition gives the larger scale.

use std::cmp::Ordering;
use std::fmt;

use bigdecimal::num_bigint::{BigInt, Sign};

/// Longest text taken: PostgreSQL's widest numeric (131,072 digits before the point, 16,383 after) with sign and point.
const TEXT_BYTES_MAX: usize = 131_072 + 16_383 + 2;

/// An exact decimal number, or one of PostgreSQL's three special values.
#[derive(Clone, Debug)]
pub struct Decimal(Repr);

#[derive(Clone, Debug)]
enum Repr {
    /// Almost every number: up to 38 digits.
    Small {
        unscaled: i128,
        scale: u32,
    },
    Large(Box<(BigInt, u32)>),
    NaN,
    Infinity,
    NegativeInfinity,
}

impl Decimal {
    /// `unscaled` x 10^-`scale`.
    #[must_use]
    pub fn new(unscaled: i128, scale: u32) -> Self {
        Self(Repr::Small { unscaled, scale })
    }

    /// PostgreSQL's numeric `NaN`.
    #[must_use]
    pub fn nan() -> Self {
        Self(Repr::NaN)
    }

    /// PostgreSQL's numeric `Infinity`, or `-Infinity`.
    #[must_use]
    pub fn infinity(negative: bool) -> Self {
        Self(if negative { Repr::NegativeInfinity } else { Repr::Infinity })
    }

    /// Reads what a server sends: `-12.340`, `.5`, `NaN`, `Infinity`. No exponents: servers do not send them.
    /// `None` for anything else, also for texts longer than any server's type.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        match text {
            b"NaN" => return Some(Self::nan()),
            b"Infinity" => return Some(Self::infinity(false)),
            b"-Infinity" => return Some(Self::infinity(true)),
            _ if text.len() > TEXT_BYTES_MAX => return None,
            _ => {}
        }
        let (negative, rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let point = rest.iter().position(|&b| b == b'.').unwrap_or(rest.len());
        let whole = rest.get(..point)?;
        let fraction = rest.get(point + 1..).unwrap_or_default();
        let scale = u32::try_from(fraction.len()).ok()?;
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut digits = whole.iter().chain(fraction);
        if !digits.clone().all(u8::is_ascii_digit) {
            return None;
        }
        let small = digits.try_fold(0i128, |sum, &b| sum.checked_mul(10)?.checked_add(i128::from(b - b'0')));
        if let Some(magnitude) = small {
            return Some(Self::new(if negative { -magnitude } else { magnitude }, scale));
        }
        let all: Vec<u8> = whole.iter().chain(fraction).copied().collect();
        let magnitude = BigInt::parse_bytes(&all, 10)?;
        Some(Self::large(if negative { -magnitude } else { magnitude }, scale))
    }

    /// True for every number, false for NaN and the infinities.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        matches!(self.0, Repr::Small { .. } | Repr::Large(_))
    }

    /// True for PostgreSQL's numeric `NaN`.
    #[must_use]
    pub fn is_nan(&self) -> bool {
        matches!(self.0, Repr::NaN)
    }

    /// Digits after the point, as written; 0 for the special values.
    #[must_use]
    pub fn scale(&self) -> u32 {
        match &self.0 {
            Repr::Small { scale, .. } => *scale,
            Repr::Large(large) => large.1,
            _ => 0,
        }
    }

    /// How many decimal digits the number has, counting those after the point; 0 for the special values.
    #[must_use]
    pub fn digits(&self) -> usize {
        match &self.0 {
            Repr::Small { unscaled, .. } => unscaled.unsigned_abs().checked_ilog10().map_or(1, |log| log as usize + 1),
            Repr::Large(large) => large.0.magnitude().to_string().len(),
            _ => 0,
        }
    }

    /// The integer, when the number is one and fits.
    #[must_use]
    pub fn to_i128(&self) -> Option<i128> {
        match &self.0 {
            Repr::Small { unscaled, scale } => {
                let unit = 10i128.checked_pow(*scale)?;
                (unscaled % unit == 0).then(|| unscaled / unit)
            }
            _ => None,
        }
    }

    /// The exact sum. Its scale is the larger of the two, as in MySQL and PostgreSQL; infinities of both signs give NaN.
    #[must_use]
    pub fn add(&self, other: &Self) -> Self {
        match (&self.0, &other.0) {
            (Repr::NaN, _) | (_, Repr::NaN) => Self::nan(),
            (Repr::Infinity, Repr::NegativeInfinity) | (Repr::NegativeInfinity, Repr::Infinity) => Self::nan(),
            (Repr::Infinity, _) | (_, Repr::Infinity) => Self::infinity(false),
            (Repr::NegativeInfinity, _) | (_, Repr::NegativeInfinity) => Self::infinity(true),
            (Repr::Small { unscaled: a, scale: i }, Repr::Small { unscaled: b, scale: j }) => {
                let scale = *i.max(j);
                let sum = rescaled(*a, scale - i).zip(rescaled(*b, scale - j)).and_then(|(a, b)| a.checked_add(b));
                match sum {
                    Some(unscaled) => Self::new(unscaled, scale),
                    None => self.add_large(other),
                }
            }
            _ => self.add_large(other),
        }
    }

    fn add_large(&self, other: &Self) -> Self {
        let scale = self.scale().max(other.scale());
        Self::large(self.at_scale(scale) + other.at_scale(scale), scale)
    }

    /// The unscaled integer at a scale that is at least the number's own.
    fn at_scale(&self, scale: u32) -> BigInt {
        let (unscaled, own) = match &self.0 {
            Repr::Small { unscaled, scale } => (BigInt::from(*unscaled), *scale),
            Repr::Large(large) => (large.0.clone(), large.1),
            _ => (BigInt::ZERO, scale),
        };
        match scale.saturating_sub(own) {
            0 => unscaled,
            up => unscaled * BigInt::from(10).pow(up),
        }
    }

    fn large(unscaled: BigInt, scale: u32) -> Self {
        match i128::try_from(&unscaled) {
            Ok(unscaled) => Self::new(unscaled, scale),
            Err(_) => Self(Repr::Large(Box::new((unscaled, scale)))),
        }
    }

    /// Order of the special values: -Infinity, numbers, Infinity, NaN (PostgreSQL: NaN is the greatest and equals itself).
    fn rank(&self) -> u8 {
        match self.0 {
            Repr::NegativeInfinity => 0,
            Repr::Small { .. } | Repr::Large(_) => 1,
            Repr::Infinity => 2,
            Repr::NaN => 3,
        }
    }

    fn sign(&self) -> Ordering {
        match &self.0 {
            Repr::Small { unscaled, .. } => unscaled.cmp(&0),
            Repr::Large(large) if large.0.sign() == Sign::Minus => Ordering::Less,
            Repr::Large(_) => Ordering::Greater,
            _ => Ordering::Equal,
        }
    }

    /// Appends bytes that are equal exactly for equal numbers, whatever their scale, and end in a zero byte.
    pub(super) fn write_identity(&self, out: &mut Vec<u8>) {
        let text = self.to_string();
        let kept = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        out.extend_from_slice(if kept == "-0" { b"0" } else { kept.as_bytes() });
        out.push(0);
    }

    /// Bytes held on the heap, for the limits.
    pub(super) fn heap_bytes(&self) -> usize {
        match &self.0 {
            Repr::Large(large) => usize::try_from(large.0.bits() / 8).unwrap_or(usize::MAX).saturating_add(48),
            _ => 0,
        }
    }
}

/// `unscaled` x 10^`up`, if it fits.
fn rescaled(unscaled: i128, up: u32) -> Option<i128> {
    match up {
        0 => Some(unscaled),
        _ if unscaled == 0 => Some(0),
        up => unscaled.checked_mul(10i128.checked_pow(up)?),
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        if let (Repr::Small { unscaled: a, scale: i }, Repr::Small { unscaled: b, scale: j }) = (&self.0, &other.0) {
            let scale = *i.max(j);
            if let Some((a, b)) = rescaled(*a, scale - i).zip(rescaled(*b, scale - j)) {
                return a.cmp(&b);
            }
        }
        self.rank().cmp(&other.rank()).then_with(|| self.sign().cmp(&other.sign())).then_with(|| {
            let scale = self.scale().max(other.scale());
            self.at_scale(scale).cmp(&other.at_scale(scale))
        })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl From<i128> for Decimal {
    fn from(value: i128) -> Self {
        Self::new(value, 0)
    }
}

impl fmt::Display for Decimal {
    /// As both servers print it: a digit before the point, exactly `scale` digits after it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (negative, digits, scale) = match &self.0 {
            Repr::NaN => return f.write_str("NaN"),
            Repr::Infinity => return f.write_str("Infinity"),
            Repr::NegativeInfinity => return f.write_str("-Infinity"),
            Repr::Small { unscaled, scale } => (*unscaled < 0, unscaled.unsigned_abs().to_string(), *scale),
            Repr::Large(large) => (large.0.sign() == Sign::Minus, large.0.magnitude().to_string(), large.1),
        };
        let sign = if negative { "-" } else { "" };
        let scale = scale as usize;
        if scale == 0 {
            return write!(f, "{sign}{digits}");
        }
        let missing = (scale + 1).saturating_sub(digits.len());
        let padded = "0".repeat(missing) + &digits;
        let (whole, fraction) = padded.split_at(padded.len() - scale);
        write!(f, "{sign}{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text.as_bytes()).expect("a decimal")
    }

    #[test]
    fn prints_what_it_read() {
        let long = format!("-{}.{}", "9".repeat(70), "0".repeat(30));
        for text in ["0", "-1", "0.00", "12.340", "-0.5", "NaN", "Infinity", "-Infinity", long.as_str()] {
            assert_eq!(decimal(text).to_string(), text);
        }
        assert_eq!(decimal(".5").to_string(), "0.5");
        assert_eq!(decimal("-0.00").to_string(), "0.00");
    }

    #[test]
    fn refuses_what_is_no_decimal() {
        for text in ["", "-", ".", "1e5", "1.2.3", "1,5", " 1", "0x10", "nan"] {
            assert!(Decimal::parse(text.as_bytes()).is_none(), "{text}");
        }
        assert!(Decimal::parse(&vec![b'9'; TEXT_BYTES_MAX + 1]).is_none());
    }

    #[test]
    fn compares_across_scales_and_sizes() {
        let big = format!("1{}", "0".repeat(60));
        let sorted = ["-Infinity", "-1.1", "-1.09", "0", "0.001", "2", "10", big.as_str(), "Infinity", "NaN"];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                assert_eq!(decimal(a).cmp(&decimal(b)), i.cmp(&j), "{a} against {b}");
            }
        }
        assert_eq!(decimal("1.0"), decimal("1.000"));
        assert_eq!(decimal(&format!("{big}.0")), decimal(&big));
        assert_eq!(decimal("NaN"), decimal("NaN"));
        // Scaling one side up to the other leaves i128.
        assert!(decimal("170141183460469231731687303715884105727") > decimal("1.0000000001"));
    }

    #[test]
    fn adds_exactly_with_the_larger_scale() {
        for (a, b, sum) in [
            ("1.10", "2.20", "3.30"),
            ("1.10", "2.200", "3.300"),
            ("0.00", "5", "5.00"),
            ("0.1", "-0.1", "0.0"),
            ("170141183460469231731687303715884105727", "1", "170141183460469231731687303715884105728"),
            ("170141183460469231731687303715884105728", "-1", "170141183460469231731687303715884105727"),
            ("NaN", "Infinity", "NaN"),
            ("-Infinity", "Infinity", "NaN"),
            ("-Infinity", "1", "-Infinity"),
        ] {
            assert_eq!(decimal(a).add(&decimal(b)).to_string(), sum);
            assert_eq!(decimal(b).add(&decimal(a)).to_string(), sum);
        }
    }

    #[test]
    fn identity_ignores_the_scale_only() {
        let identity = |text: &str| {
            let mut out = Vec::new();
            decimal(text).write_identity(&mut out);
            out
        };
        assert_eq!(identity("1.50"), identity("1.5000"));
        assert_eq!(identity("10"), identity("10.00"));
        assert_eq!(identity("-0.0"), identity("0"));
        assert_ne!(identity("10"), identity("1"));
        assert_ne!(identity("100"), identity("1.00"));
    }

    #[test]
    fn counts_digits_and_converts() {
        assert_eq!(decimal("0").digits(), 1);
        assert_eq!(decimal("-123.45").digits(), 5);
        assert_eq!(decimal(&"9".repeat(66)).digits(), 66);
        assert_eq!(decimal("5.00").to_i128(), Some(5));
        assert_eq!(decimal("5.01").to_i128(), None);
    }
}
