//! `DataRow`: finding its fields, and writing it anew without hidden columns or with replaced ones.
//! Only merged results come here; rows for one shard pass as they are.

use super::wire::{Reader, WireError};
use super::write::{self, Sink};

/// Most columns of a result (`MaxTupleAttributeNumber` is 1664; the field has 16 bits).
const COLUMNS_MAX: usize = u16::MAX as usize;

/// Where a field's bytes lie in a body; `None` is NULL.
pub type Field = Option<(u32, u32)>;

/// Finds the fields of a `DataRow` body, into a vector that is used again for each row.
///
/// # Errors
/// [`WireError`].
pub fn fields(body: &[u8], into: &mut Vec<Field>) -> Result<(), WireError> {
    into.clear();
    let mut reader = Reader::new(body);
    let count = usize::from(reader.u16()?);
    for _ in 0..count {
        let field = match reader.value()? {
            None => None,
            Some(bytes) => {
                let end = body.len() - reader.rest().len();
                let start = u32::try_from(end - bytes.len()).map_err(|_| WireError::Invalid("row length"))?;
                Some((start, u32::try_from(end).map_err(|_| WireError::Invalid("row length"))?))
            }
        };
        into.push(field);
    }
    reader.finish()
}

/// Bytes of a field found by [`fields`].
#[must_use]
pub fn field(body: &[u8], field: Field) -> Option<&[u8]> {
    let (start, end) = field?;
    body.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
}

/// Writes the whole message with the first `visible` columns only.
///
/// # Errors
/// [`WireError`] if the row is not whole.
pub fn put_visible(out: &mut impl Sink, body: &[u8], visible: usize) -> Result<(), WireError> {
    let mut reader = Reader::new(body);
    let count = usize::from(reader.u16()?);
    let visible = visible.min(count);
    let values = super::frontend::Values::take(&mut reader, visible)?;
    let shown = u16::try_from(visible.min(COLUMNS_MAX)).unwrap_or(u16::MAX);
    write::put_raw(out, b'D', &[&shown.to_be_bytes(), values.bytes()]);
    Ok(())
}

/// Writes the whole message with the first `visible` columns, of which some are replaced by new bytes (`None`: NULL).
///
/// # Errors
/// [`WireError`] if the row is not whole.
pub fn put_replaced(
    out: &mut impl Sink,
    body: &[u8],
    visible: usize,
    replaced: &[(usize, Option<Vec<u8>>)],
) -> Result<(), WireError> {
    let mut reader = Reader::new(body);
    let count = usize::from(reader.u16()?).min(visible);
    let mut fields = u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes().to_vec();
    for index in 0..count {
        let old = reader.value()?;
        match replaced.iter().find(|(column, _)| *column == index) {
            Some((_, new)) => write::put_value(&mut fields, new.as_deref()),
            None => write::put_value(&mut fields, old),
        }
    }
    write::put_raw(out, b'D', &[&fields]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"\0\x03\0\0\0\x02ab\xff\xff\xff\xff\0\0\0\0";

    #[test]
    fn finds_fields() {
        let mut found = Vec::new();
        fields(BODY, &mut found).expect("valid");
        assert_eq!(
            found.iter().map(|&at| field(BODY, at)).collect::<Vec<_>>(),
            [Some(&b"ab"[..]), None, Some(&b""[..])]
        );
        for end in 0..BODY.len() {
            assert!(fields(&BODY[..end], &mut found).is_err());
        }
        assert!(fields(b"\xff\xff", &mut found).is_err());
    }

    #[test]
    fn hides_and_replaces() {
        let mut out = Vec::new();
        put_visible(&mut out, BODY, 1).expect("valid");
        assert_eq!(out, b"D\0\0\0\x0c\0\x01\0\0\0\x02ab");
        out.clear();
        put_visible(&mut out, BODY, 9).expect("valid");
        assert_eq!(&out[5..], BODY);
        out.clear();
        put_replaced(&mut out, BODY, 2, &[(1, Some(b"x".to_vec())), (0, None)]).expect("valid");
        assert_eq!(out, b"D\0\0\0\x0f\0\x02\xff\xff\xff\xff\0\0\0\x01x");
    }
}
