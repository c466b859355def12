//! Texts that were scanned of late: one that differs from such a text in the values of plain literals only is read by
//! comparing the two, since applications send few texts again and again.
//! Out: what the parts of a text mean. Invariant: gives what a scan of the text would give, or nothing.

use super::{Dialect, FingerprintKey, Flags, Literal, LiteralClass, ScannedStatement};

/// A power of two.
const BUCKETS: usize = 16;
const WAYS: usize = 4;
/// Longer texts are scanned each time.
const TEXT_BYTES_MAX: usize = 512;
const LITERALS_MAX: usize = 16;
/// So much of a text's beginning, at most, chooses the bucket.
const BEGINNING: usize = 32;
/// A text that is not known is kept only every so many times: where texts hardly repeat, keeping them is waste.
const KEPT_EVERY: u8 = 4;
/// So many digits fit an i64 whatever they are.
const DIGITS_MAX: usize = 18;

/// What a scan of a text of one statement gave.
struct Shape {
    dialect: Dialect,
    key: FingerprintKey,
    text: Box<[u8]>,
    statement: ScannedStatement,
    literals: Box<[Literal]>,
    normalised: Box<[u8]>,
}

#[derive(Default)]
struct Bucket {
    shapes: [Option<Box<Shape>>; WAYS],
    next: usize,
    missed: u8,
}

/// The texts.
#[derive(Default)]
pub(super) struct Shapes(Vec<Bucket>);

/// What a scan gives, one part each.
pub(super) struct Parts<'a> {
    pub(super) statements: &'a mut Vec<ScannedStatement>,
    pub(super) literals: &'a mut Vec<Literal>,
    pub(super) normalised: &'a mut Vec<u8>,
}

impl Shapes {
    /// Fills `parts`, which are empty, if a text of this shape is known; else they are left empty.
    pub(super) fn find(&self, sql: &[u8], dialect: Dialect, key: &FingerprintKey, parts: &mut Parts<'_>) -> bool {
        if sql.len() > TEXT_BYTES_MAX {
            return false;
        }
        let Some(bucket) = self.0.get(bucket_of(sql)) else { return false };
        for shape in bucket.shapes.iter().flatten() {
            if shape.dialect == dialect && shape.key == *key && shape.matches(sql, parts.literals) {
                let behind = shape.text.len() - shape.statement.span.end as usize;
                let mut statement = shape.statement;
                statement.span.end = (sql.len() - behind) as u32;
                parts.statements.push(statement);
                parts.normalised.extend_from_slice(&shape.normalised);
                return true;
            }
            parts.literals.clear();
        }
        false
    }

    /// Notes what a scan gave. `fixed`: the text of a literal is part of the statement's shape.
    pub(super) fn keep(&mut self, sql: &[u8], dialect: Dialect, key: &FingerprintKey, parts: &Parts<'_>, fixed: bool) {
        let [statement] = parts.statements.as_slice() else { return };
        let plain = !fixed
            && sql.len() <= TEXT_BYTES_MAX
            && parts.literals.len() <= LITERALS_MAX
            && statement.comment_hint.is_none()
            && !statement.flags.any(Flags::EXECUTABLE_COMMENT.with(Flags::CONDITIONAL_COMMENT));
        if !plain {
            return;
        }
        if self.0.is_empty() {
            self.0.resize_with(BUCKETS, Bucket::default);
        }
        let Some(bucket) = self.0.get_mut(bucket_of(sql)) else { return };
        bucket.missed = bucket.missed.wrapping_add(1);
        let full = bucket.shapes.iter().all(Option::is_some);
        if full && !bucket.missed.is_multiple_of(KEPT_EVERY) {
            return;
        }
        let shape = Shape {
            dialect,
            key: *key,
            text: sql.into(),
            statement: *statement,
            literals: parts.literals.as_slice().into(),
            normalised: parts.normalised.as_slice().into(),
        };
        bucket.next = (bucket.next + 1) % WAYS;
        if let Some(place) = bucket.shapes.get_mut(bucket.next) {
            *place = Some(Box::new(shape));
        }
    }
}

/// Where texts are looked for that begin alike: mostly values come behind the first of these characters.
fn bucket_of(sql: &[u8]) -> usize {
    let beginning = sql.get(..BEGINNING).unwrap_or(sql);
    let end = memchr::memchr3(b'=', b'\'', b'(', beginning).unwrap_or(beginning.len());
    let mut mixed = end as u64;
    for part in beginning.get(..end).unwrap_or_default().chunks(8) {
        let mut bytes = [0; 8];
        bytes.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
        mixed = (mixed ^ u64::from_le_bytes(bytes)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    }
    (mixed >> 7) as usize % BUCKETS
}

impl Shape {
    /// Whether a text has this shape; its literals go to `literals`. What stands between the literals is the same byte by
    /// byte, so what ends a literal here ends it there.
    fn matches(&self, sql: &[u8], literals: &mut Vec<Literal>) -> bool {
        let (mut known, mut at) = (0, 0);
        for literal in &self.literals {
            let (start, end) = (literal.start as usize, literal.end as usize);
            let (Some(between), Some(value)) = (self.text.get(known..start), self.text.get(start..end)) else {
                return false;
            };
            let Some(rest) = sql.get(at..).and_then(|rest| rest.strip_prefix(between)) else { return false };
            let Some(length) = length_alike(rest, value, literal.class) else { return false };
            at += between.len();
            literals.push(Literal { start: at as u32, end: (at + length) as u32, class: literal.class });
            at += length;
            known = end;
        }
        matches!((sql.get(at..), self.text.get(known..)), (Some(rest), Some(end)) if rest == end)
    }
}

/// The length of the literal at the start of `text`, if it surely is one of the class of `value`: a few digits, a string
/// that escapes nothing, or the same as `value`.
fn length_alike(text: &[u8], value: &[u8], class: LiteralClass) -> Option<usize> {
    match (class, value.first()?) {
        (LiteralClass::Int, _) if text.first().is_some_and(|first| matches!(first, b'1'..=b'9')) => {
            let length = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
            (length <= DIGITS_MAX).then_some(length)
        }
        (LiteralClass::String, quote @ (b'\'' | b'"')) => {
            let content = text.strip_prefix(&[*quote])?;
            let length = memchr::memchr2(*quote, b'\\', content)?;
            let again = content.get(length + 1) == Some(quote);
            (content.get(length) == Some(quote) && !again).then_some(length + 2)
        }
        _ => text.starts_with(value).then_some(value.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer::Scan;

    fn alike(first: &str, second: &str, dialect: Dialect) -> bool {
        let (mut scan, key) = (Scan::new(), FingerprintKey::from_bytes([3; 16]));
        scan.scan(first.as_bytes(), dialect, &key).expect("a scan");
        let (mut statements, mut literals, mut normalised) = (Vec::new(), Vec::new(), Vec::new());
        let mut parts = Parts { statements: &mut statements, literals: &mut literals, normalised: &mut normalised };
        scan.shapes.find(second.as_bytes(), dialect, &key, &mut parts)
    }

    #[test]
    fn values_may_differ_and_nothing_else() {
        let point = "SELECT c FROM t WHERE id=50123 AND s = 'a'";
        for same in
            ["SELECT c FROM t WHERE id=7 AND s = ''", "SELECT c FROM t WHERE id=123456789012345678 AND s = 'b c'"]
        {
            assert!(alike(point, same, Dialect::MYSQL) && alike(point, same, Dialect::POSTGRES), "{same}");
        }
        for other in [
            "SELECT c FROM t WHERE id=1234567890123456789 AND s = 'a'",
            "SELECT c FROM t WHERE id=1.5 AND s = 'a'",
            "SELECT c FROM t WHERE id=x AND s = 'a'",
            "SELECT c FROM t WHERE id=1 AND s = 'a''b'",
            "SELECT c FROM t WHERE id=1 AND s = 'a\\'",
            "SELECT c FROM t WHERE id=1 AND s = 'a' ",
            "SELECT c FROM t WHERE id=1 AND s = 'a",
            "SELECT c FROM t WHERE id=1 and s = 'a'",
            "SELECT c FROM t WHERE id=1",
        ] {
            assert!(!alike(point, other, Dialect::MYSQL) && !alike(point, other, Dialect::POSTGRES), "{other}");
        }
        // The number of a column is what the statement says, not a value.
        assert!(!alike("SELECT a FROM t ORDER BY 1", "SELECT a FROM t ORDER BY 2", Dialect::MYSQL));
        assert!(!alike("SELECT 1; SELECT 2", "SELECT 1; SELECT 3", Dialect::MYSQL));
    }
}
