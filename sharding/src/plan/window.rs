//! LIMIT, OFFSET and FETCH of a statement that goes to several shards: each sends what both may need, the merge cuts.
//! Out: which rows those are.

use sqlparser::ast::{Expr, LimitClause, Query, Value};

use super::clauses::TokenRange;
use super::edit::{Anchor, Fragment, TokenEdit};
use super::scatter::{Count, WindowRule};
use super::select::Reason;
use super::source::Source;
use crate::lexer::TokenKind;
use crate::route::Operand;

/// The window of a query, and what is changed for the shards. The ranges are those of LIMIT and OFFSET.
pub(super) fn window(
    source: &Source<'_>,
    query: &Query,
    (limit_range, offset_range): (Option<TokenRange>, Option<TokenRange>),
    pushed: bool,
) -> Result<(WindowRule, Vec<TokenEdit>), Reason> {
    let (mut limit, mut offset, mut comma) = (None, None, false);
    match &query.limit_clause {
        None => {}
        Some(LimitClause::LimitOffset { limit: of_limit, offset: of_offset, .. }) => {
            limit = of_limit.as_ref();
            offset = of_offset.as_ref().map(|offset| &offset.value);
        }
        Some(LimitClause::OffsetCommaLimit { offset: of_offset, limit: of_limit }) => {
            (limit, offset, comma) = (Some(of_limit), Some(of_offset), true);
        }
    }
    let mut fetched = false;
    if let Some(fetch) = &query.fetch {
        if fetch.with_ties || fetch.percent || limit.is_some() {
            return Err("FETCH ... WITH TIES or PERCENT".to_owned());
        }
        limit = Some(fetch.quantity.as_ref().ok_or("FETCH without a number")?);
        fetched = true;
    }
    // LIMIT ALL and LIMIT NULL limit nothing.
    let limit = limit.filter(|expr| !is_null(expr));
    let counted = |expr: Option<&Expr>| expr.map(|expr| count(source, expr)).transpose();
    let (take, skip) = (counted(limit)?, counted(offset)?);
    let mut edits = Vec::new();
    match take {
        Some((at, Count::Literal(_))) => edits.push(match limit_range {
            Some((first, past)) if !pushed && !comma && !fetched => {
                TokenEdit { anchor: Anchor::Without(first, past), fragments: Vec::new() }
            }
            _ => TokenEdit { anchor: Anchor::Instead(at, at + 1), fragments: vec![Fragment::RowsPerShard] },
        }),
        Some((_, Count::Parameter(_))) | None => {}
    }
    match (skip, offset_range) {
        (Some((at, Count::Literal(_))), _) if comma => edits
            .push(TokenEdit { anchor: Anchor::Instead(at, at + 1), fragments: vec![Fragment::Text("0".to_owned())] }),
        (Some((_, Count::Literal(_))), Some((first, past))) => {
            edits.push(TokenEdit { anchor: Anchor::Without(first, past), fragments: Vec::new() });
        }
        (Some((_, Count::Literal(_))), None) => return Err("this kind of OFFSET".to_owned()),
        (Some((_, Count::Parameter(_))) | None, _) => {}
    }
    for found in [take, skip].into_iter().flatten() {
        if let (_, Count::Parameter(number)) = found
            && source.parameter_uses(number) != 1
        {
            return Err("a parameter used both in LIMIT and elsewhere".to_owned());
        }
    }
    let rule = WindowRule { take: take.map(|(_, count)| count), skip: skip.map(|(_, count)| count), pushed };
    Ok((rule, edits))
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if value.value == Value::Null)
}

fn count(source: &Source<'_>, expr: &Expr) -> Result<(usize, Count), Reason> {
    match source.operand_at(expr) {
        Some((at, Operand::Literal(n))) if matches!(source.kind(at), Some(TokenKind::Literal(_))) => {
            Ok((at, Count::Literal(n)))
        }
        Some((at, Operand::Parameter(n))) => Ok((at, Count::Parameter(n))),
        _ => Err("LIMIT or OFFSET of an expression".to_owned()),
    }
}
