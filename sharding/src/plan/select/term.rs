//! ORDER BY: what each term sorts by. Out: how the merge follows it (see `compose`).

use sqlparser::ast::{Expr, OrderByExpr, OrderBySort, Select, SelectItem};

use super::super::fact::ColumnId;
use super::super::functions::FunctionKind;
use super::super::names::start;
use super::super::walk::Walk;
use super::{Draft, Item, Reason, TokenRange, item_expression};
use crate::schema::ColumnKind;

impl Draft<'_, '_> {
    /// A bare name in ORDER BY means a column of the result before a column of a table: refused where two of the result
    /// may have it, or one that has no alias gets it from the server (PostgreSQL names `id::text` id).
    fn output_is_clear(&self, name: &str, alias: Option<usize>, select: &Select) -> Result<(), Reason> {
        let postgres = !self.walk.source.mysql();
        let unclear =
            self.items.iter().zip(&select.projection).enumerate().any(|(index, (item, written))| match item {
                Item::Wildcard => alias.is_some(),
                Item::Column(column, _) => {
                    alias.is_some_and(|alias| alias != index)
                        && matches!(written, SelectItem::UnnamedExpr(_))
                        && self.column_named(*column, name)
                }
                Item::Aggregate(..) | Item::Expression(_) | Item::Constant => {
                    let (first, past) = self.clauses.items.get(index).copied().unwrap_or_default();
                    let holds = |at| self.walk.source.name_at(at).is_some_and(|word| word.eq_ignore_ascii_case(name));
                    postgres && matches!(written, SelectItem::UnnamedExpr(_)) && (first..past).any(holds)
                }
            });
        if unclear {
            Err(format!("ORDER BY of the name {name}, which may be that of a computed column,"))
        } else {
            Ok(())
        }
    }

    fn column_named(&self, column: ColumnId, name: &str) -> bool {
        let table = self.walk.tables.get(column.relation).and_then(Option::as_deref);
        table.and_then(|table| table.columns.get(column.column)).is_some_and(|column| column.name == name)
    }

    /// What an ORDER BY term sorts by: a select item, or an expression of its own.
    pub(super) fn term(
        &self,
        term: &OrderByExpr,
        index: usize,
        select: &Select,
        accepted: &mut Vec<usize>,
    ) -> Result<Term, Reason> {
        let descending = match &term.options.sort {
            None | Some(OrderBySort::Asc) => false,
            Some(OrderBySort::Desc) => true,
            Some(OrderBySort::Using(_)) => return Err("ORDER BY ... USING".to_owned()),
        };
        // PostgreSQL: NULL is the greatest value.
        if term.options.nulls_first.is_some_and(|first| self.walk.source.mysql() || first != descending) {
            return Err(if term.options.nulls_first == Some(true) { "NULLS FIRST" } else { "NULLS LAST" }.to_owned());
        }
        let make = |by| Term { by, descending, range: self.clauses.order.get(index).copied().unwrap_or_default() };
        if let Expr::Value(_) = &term.expr {
            let place = self.position(&term.expr).filter(|n| *n < self.items.len());
            let place = place.ok_or("ORDER BY of a constant")?;
            if self.items.iter().take(place + 1).any(|item| *item == Item::Wildcard) {
                return Err("ORDER BY of a position behind a wildcard".to_owned());
            }
            return Ok(make(By::Item(place)));
        }
        let alias = self.alias_of(&term.expr, select)?;
        if let Expr::Identifier(ident) = &term.expr {
            self.output_is_clear(&self.walk.source.column_name(ident), alias, select)?;
        }
        if let Some(item) = alias {
            return Ok(make(By::Item(item)));
        }
        if let Some(column) = self.walk.column(&term.expr) {
            let same = |item: &Item| matches!(item, Item::Column(selected, _) if *selected == column);
            let visible = self.items.iter().position(same);
            let kind = self.walk.kind_of(&term.expr).unwrap_or(ColumnKind::Other);
            return Ok(make(visible.map_or(By::Column(column, kind), By::Item)));
        }
        if let Expr::Function(function) = &term.expr
            && self.walk.function_name(&function.name).1 == FunctionKind::Aggregate
        {
            // Other texts of this fingerprint may have other values in either place.
            if self.values_in(index) != (0, 0) {
                return Err("ORDER BY of an aggregate over literals or parameters".to_owned());
            }
            let same = |item: &SelectItem| item_expression(item).is_some_and(|expr| *expr == term.expr);
            let place =
                select.projection.iter().position(same).ok_or("ORDER BY of an aggregate that is not selected")?;
            accepted.extend(start(&function.name).and_then(|span| self.walk.source.at(span)));
            return Ok(make(By::Item(place)));
        }
        let uses_alias = select.projection.iter().any(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => {
                mentions(self.walk, &term.expr, &self.walk.source.column_name(alias))
            }
            _ => false,
        });
        match self.walk.kind_of(&term.expr) {
            Some(kind) if !uses_alias && self.values_in(index).1 == 0 => Ok(make(By::Expression(kind))),
            _ => Err("ORDER BY of an expression".to_owned()),
        }
    }
}

/// One term of ORDER BY.
#[derive(Clone, Debug)]
pub(super) struct Term {
    pub by: By,
    pub descending: bool,
    pub range: TokenRange,
}

/// What a term sorts by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum By {
    /// A select item.
    Item(usize),
    /// A column that is not selected.
    Column(ColumnId, ColumnKind),
    /// Arithmetic.
    Expression(ColumnKind),
}

/// True if the bare name stands anywhere in plain arithmetic.
fn mentions(walk: &Walk<'_>, expr: &Expr, name: &str) -> bool {
    match expr {
        Expr::Identifier(ident) => walk.source.column_name(ident) == name,
        Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => mentions(walk, inner, name),
        Expr::BinaryOp { left, right, .. } => mentions(walk, left, name) || mentions(walk, right, name),
        _ => false,
    }
}
