//! A SELECT over several shards: whether its answers can be merged, and how.
//! Out: routes; anything but one plain SELECT block.
//! Invariant: an error names the first construct that cannot be merged; nothing is merged that was not looked at.

use sqlparser::ast::{
    Distinct, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr,
    OrderBy, OrderByExpr, OrderByKind, Query, Select, SelectItem, SetExpr, Value,
};

use super::clauses::{Clauses, TokenRange, clauses, foreign_word};
use super::edit::{Anchor, Fragment, TokenEdit};
use super::fact::{ColumnId, RelationId};
use super::functions::FunctionKind;
use super::kinds::{sortable, sum_type};
use super::names::start;
use super::scatter::{CellSource, Merge};
use super::walk::{Shape, Spot, Walk};
use super::window::window;
use crate::merge::{Function as Combine, Spec};
use crate::schema::{ColumnKind, Table};

mod compose;
mod term;

use term::{By, Term};

/// Why it cannot be merged: the construct.
pub(super) type Reason = String;

/// An item of the select list.
#[derive(Clone, Debug, PartialEq)]
enum Item {
    /// `*` or `t.*`.
    Wildcard,
    /// A plain column.
    Column(ColumnId, ColumnKind),
    /// An aggregate that decomposes; its result's kind if it can be ordered by.
    Aggregate(Combine, ColumnKind),
    /// A literal.
    Constant,
    /// Anything else, computed from its own row.
    Expression(Option<ColumnKind>),
}

/// What is being put together.
struct Draft<'w, 'a> {
    walk: &'w Walk<'a>,
    clauses: Clauses,
    select_items: &'w [SelectItem],
    items: Vec<Item>,
    cells: Vec<CellSource>,
    labels: Vec<String>,
    hidden: Vec<Vec<Fragment>>,
    edits: Vec<TokenEdit>,
}

/// Plans the merge of a query that needs several shards.
pub(super) fn merge(walk: &mut Walk<'_>, query: &Query, shape: Option<&mut Shape>) -> Result<Merge, Reason> {
    noted(walk)?;
    let SetExpr::Select(select) = query.body.as_ref() else { return Err("this kind of query".to_owned()) };
    let Some(shape) = shape else { return Err("this kind of query".to_owned()) };
    if select.having.is_some() {
        return Err("HAVING".to_owned());
    }
    let anchors = match walk.spot(&shape.tree, &shape.facts) {
        Spot::Keyed { anchors, .. } => anchors,
        Spot::Scattered(reason) => return Err(reason.to_owned()),
        Spot::Everywhere => return Err("this FROM".to_owned()),
    };
    if let Some(name) = walk.notes.unresolved.clone() {
        return Err(format!("the column {name}, which no table of the statement is known to have,"));
    }
    if let Some(word) = foreign_word(walk.source, &walk.visited) {
        return Err(format!("{word} in this place"));
    }
    let clauses = clauses(walk.source, &walk.visited).ok_or("a SELECT whose clauses are not understood")?;
    walk.reopen(shape);
    let draft = Draft {
        walk,
        clauses,
        select_items: &select.projection,
        items: Vec::new(),
        cells: Vec::new(),
        labels: Vec::new(),
        hidden: Vec::new(),
        edits: Vec::new(),
    };
    draft.merge(query, select, &anchors)
}

/// Constructs that no merge knows, the most telling first.
pub(super) fn noted(walk: &Walk<'_>) -> Result<(), Reason> {
    let notes = &walk.notes;
    let named = |name: &Option<String>, what: &str| name.as_ref().map(|name| format!("{what} {name}()"));
    let found = notes
        .writes
        .then(|| "SELECT INTO".to_owned())
        .or_else(|| notes.set_operation.then(|| "UNION, INTERSECT and EXCEPT".to_owned()))
        .or_else(|| notes.cte.then(|| "WITH".to_owned()))
        .or_else(|| notes.derived.then(|| "a sub-query in FROM".to_owned()))
        .or_else(|| notes.subquery.then(|| "a sub-query".to_owned()))
        .or_else(|| notes.window.then(|| "window functions".to_owned()))
        .or_else(|| notes.locks.then(|| "FOR UPDATE and FOR SHARE".to_owned()))
        .or_else(|| named(&notes.volatile, "the volatile function"))
        .or_else(|| named(&notes.stable, "the function"))
        .or_else(|| named(&notes.rows_function, "the row-returning function"))
        .or_else(|| named(&notes.sequence, "the sequence function"))
        .or_else(|| named(&notes.opaque, "the function"))
        .or_else(|| notes.variable.as_ref().map(|name| format!("the variable {name}")))
        .or_else(|| notes.natural.then(|| "NATURAL JOIN".to_owned()))
        .or_else(|| notes.odd.clone());
    found.map_or(Ok(()), Err)
}

impl Draft<'_, '_> {
    fn merge(mut self, query: &Query, select: &Select, anchors: &[RelationId]) -> Result<Merge, Reason> {
        let group: &[Expr] = match &select.group_by {
            GroupByExpr::Expressions(list, _) => list,
            GroupByExpr::All(_) => return Err("GROUP BY ALL".to_owned()),
        };
        let order: &[OrderByExpr] = match query.order_by.as_ref() {
            None => &[],
            Some(OrderBy { kind: OrderByKind::Expressions(list), .. }) => list,
            Some(OrderBy { kind: OrderByKind::All(_), .. }) => return Err("ORDER BY ALL".to_owned()),
        };
        let counts = [
            (self.clauses.items.len(), select.projection.len()),
            (self.clauses.group.len(), group.len()),
            (self.clauses.order.len(), order.len()),
        ];
        if counts.iter().any(|(tokens, tree)| tokens != tree) {
            return Err("a SELECT whose clauses are not understood".to_owned());
        }
        let distinct = match &select.distinct {
            None | Some(Distinct::All) => false,
            Some(Distinct::Distinct) => true,
            Some(Distinct::On(_)) => return Err("DISTINCT ON".to_owned()),
        };
        let group_columns = self.group_columns(group, select)?;
        for (range, expr) in self.clauses.group.iter().zip(group) {
            self.check_plain(*range, self.walk.column(expr).is_some(), select)?;
        }
        let complete = !group.is_empty() && self.covers_key(anchors, group_columns.iter().flatten().copied());
        let mut accepted = Vec::new();
        for item in &select.projection {
            let item = self.item(item, anchors, complete, &mut accepted)?;
            self.items.push(item);
        }
        let mut terms = Vec::new();
        for (index, term) in order.iter().enumerate() {
            terms.push(self.term(term, index, select, &mut accepted)?);
        }
        if self.walk.notes.aggregates.iter().any(|at| !accepted.contains(at)) {
            return Err("an expression over an aggregate".to_owned());
        }
        let aggregated = !accepted.is_empty();
        if distinct && terms.iter().any(|term| !matches!(term.by, By::Item(_))) {
            return Err("SELECT DISTINCT with ORDER BY of what is not selected".to_owned());
        }
        let (spec, pushed) = match (group.is_empty(), aggregated, distinct) {
            (_, _, true) if aggregated || !group.is_empty() => {
                return Err("DISTINCT together with GROUP BY or aggregates".to_owned());
            }
            (true, false, true) if !self.distinct_on_key(anchors) => (self.distinct(&terms)?, true),
            (true, false, _) => (self.plain(&terms)?, true),
            (true, true, _) => (self.whole()?, false),
            (false, ..) if complete => (self.plain(&terms)?, true),
            (false, ..) => self.grouped(&group_columns, &terms)?,
        };
        let ranges = (self.clauses.limit, self.clauses.offset);
        let (window, edits) = window(self.walk.source, query, ranges, pushed)?;
        self.edits.extend(edits);
        if !self.hidden.is_empty() {
            let last = self.clauses.items.last().map(|(_, past)| past - 1).ok_or("an empty select list")?;
            let mut fragments = Vec::new();
            for column in &self.hidden {
                fragments.push(Fragment::Text(", ".to_owned()));
                fragments.extend(column.iter().cloned());
            }
            self.edits.push(TokenEdit { anchor: Anchor::After(last), fragments });
        }
        let spec = Spec { cells: self.cells.len(), ..spec };
        let labels = self.labels;
        Ok(Merge { spec, cells: self.cells, labels, hidden: self.hidden.len(), window, edits: self.edits })
    }

    /// The column of each GROUP BY expression; `None` where it is not a plain one.
    fn group_columns(&self, group: &[Expr], select: &Select) -> Result<Vec<Option<ColumnId>>, Reason> {
        group
            .iter()
            .map(|expr| {
                if let Expr::Value(_) = expr {
                    let item = self.position(expr).and_then(|n| select.projection.get(n));
                    let before = self.position(expr).and_then(|n| select.projection.get(..n));
                    let known = before.is_some_and(|items| !items.iter().any(is_wildcard));
                    return match item.and_then(item_expression) {
                        Some(expr) if known => Ok(self.walk.column(expr)),
                        _ => Err("GROUP BY of such a position".to_owned()),
                    };
                }
                if let Some(column) = self.walk.column(expr) {
                    return Ok(Some(column));
                }
                Ok(self.alias_of(expr, select)?.and_then(|item| {
                    select.projection.get(item).and_then(item_expression).and_then(|expr| self.walk.column(expr))
                }))
            })
            .collect()
    }

    /// The number (from 0) that an ORDER BY or GROUP BY position means. Such literals are part of the fingerprint.
    fn position(&self, expr: &Expr) -> Option<usize> {
        match expr {
            Expr::Value(value) => match &value.value {
                Value::Number(text, _) => text.parse::<usize>().ok()?.checked_sub(1),
                _ => None,
            },
            _ => None,
        }
    }

    /// The select item that a bare name means as an alias.
    fn alias_of(&self, expr: &Expr, select: &Select) -> Result<Option<usize>, Reason> {
        let Expr::Identifier(ident) = expr else { return Ok(None) };
        let name = self.walk.source.column_name(ident);
        let mut found = select.projection.iter().enumerate().filter(|(_, item)| match item {
            SelectItem::ExprWithAlias { alias, .. } => self.walk.source.column_name(alias) == name,
            _ => false,
        });
        let first = found.next().map(|(index, _)| index);
        if found.next().is_some() {
            return Err("ORDER BY or GROUP BY of an alias that two items have".to_owned());
        }
        Ok(first)
    }

    /// True if the columns contain the whole key of a relation whose rows are never NULL-extended: then no two shards
    /// have equal values of them.
    fn covers_key(&self, anchors: &[RelationId], columns: impl Iterator<Item = ColumnId> + Clone) -> bool {
        anchors.iter().any(|relation| {
            let table = self.walk.tables.get(*relation).and_then(Option::as_deref);
            table.and_then(Table::sharding).is_some_and(|sharding| {
                let of = |column: &usize| ColumnId { relation: *relation, column: *column };
                sharding.key.iter().all(|column| columns.clone().any(|given| given == of(column)))
            })
        })
    }

    fn distinct_on_key(&self, anchors: &[RelationId]) -> bool {
        let columns = self.items.iter().filter_map(|item| match item {
            Item::Column(column, _) => Some(*column),
            _ => None,
        });
        self.covers_key(anchors, columns)
    }

    fn item(
        &self,
        item: &SelectItem,
        anchors: &[RelationId],
        complete: bool,
        accepted: &mut Vec<usize>,
    ) -> Result<Item, Reason> {
        let Some(expr) = item_expression(item) else {
            return if is_wildcard(item) { Ok(Item::Wildcard) } else { Err("this kind of select item".to_owned()) };
        };
        let mut plain = expr;
        while let Expr::Nested(inner) = plain {
            plain = inner;
        }
        if let Expr::Function(function) = plain
            && self.walk.function_name(&function.name).1 == FunctionKind::Aggregate
        {
            let aggregate = self.aggregate(function, anchors, complete)?;
            accepted.extend(start(&function.name).and_then(|span| self.walk.source.at(span)));
            return Ok(aggregate);
        }
        if let (Some(column), Some(kind)) = (self.walk.column(expr), self.walk.kind_of(expr)) {
            return Ok(Item::Column(column, kind));
        }
        Ok(match plain {
            Expr::Value(_) => Item::Constant,
            _ => Item::Expression(self.walk.kind_of(expr)),
        })
    }

    fn aggregate(&self, function: &Function, anchors: &[RelationId], complete: bool) -> Result<Item, Reason> {
        let name = self.walk.function_name(&function.name).0;
        let protocol = self.walk.source.schema.protocol;
        let shown = name.to_uppercase();
        if function.filter.is_some() {
            return Err(format!("{shown} with FILTER"));
        }
        let FunctionArguments::List(list) = &function.args else { return Err(shown) };
        let simple = function.over.is_none()
            && function.within_group.is_empty()
            && function.null_treatment.is_none()
            && list.clauses.is_empty()
            && matches!(function.parameters, FunctionArguments::None);
        let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
        if !simple || !["count", "sum", "min", "max"].contains(&name.as_str()) {
            return Err(format!("the aggregate {shown}"));
        }
        let [FunctionArg::Unnamed(argument)] = list.args.as_slice() else {
            return Err(format!("{shown} of several arguments"));
        };
        let argument = match argument {
            FunctionArgExpr::Wildcard if name == "count" && !distinct => None,
            FunctionArgExpr::Expr(expr) => Some(expr),
            _ => return Err(format!("this kind of {shown}")),
        };
        let kind = argument.and_then(|expr| self.walk.kind_of(expr));
        let on_key = || {
            let column = argument.and_then(|expr| self.walk.column(expr));
            self.covers_key(anchors, column.into_iter())
        };
        match name.as_str() {
            "count" if distinct && !complete && !on_key() => Err("COUNT(DISTINCT) not on the shard key".to_owned()),
            "count" => Ok(Item::Aggregate(Combine::Count, ColumnKind::Int { bytes: 8, unsigned: false })),
            "sum" => {
                let result = ColumnKind::Decimal { precision: 0, scale: None };
                match kind.and_then(|kind| sum_type(kind, protocol)) {
                    _ if distinct && !complete => Err("SUM(DISTINCT)".to_owned()),
                    Some(sum_type) => Ok(Item::Aggregate(Combine::Sum(sum_type), result)),
                    None if complete => Ok(Item::Expression(None)),
                    None => Err("SUM of anything but integer and decimal columns".to_owned()),
                }
            }
            _ => {
                let function = if name == "min" { Combine::Min } else { Combine::Max };
                match kind.filter(|kind| sortable(*kind, protocol)) {
                    Some(kind) => Ok(Item::Aggregate(function, kind)),
                    None if complete => Ok(Item::Expression(None)),
                    None => Err(format!("{shown} of anything but numeric, date and binary columns")),
                }
            }
        }
    }
}

fn item_expression(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        SelectItem::ExprWithAliases { .. } | SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => None,
    }
}

fn is_wildcard(item: &SelectItem) -> bool {
    matches!(item, SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_))
}
