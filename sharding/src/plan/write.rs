//! UPDATE and DELETE: on one shard, or the same on several.
//! Out: INSERT.

use sqlparser::ast::{AssignmentTarget, Delete, Expr, FromTable, Ident, OrderByExpr, SelectItem, UpdateTableFromKind};

use super::clauses::foreign_word;
use super::draws::Draws;
use super::effects::Effects;
use super::fact::RelationId;
use super::names::idents;
use super::refusal::Refusal;
use super::select::{Reason, noted};
use super::source::Source;
use super::spread::{Spread, SpreadAnswer};
use super::walk::{RelationKind, Tree, Walk};
use super::{Plan, Several};
use crate::route::RouteRule;
use crate::schema::{Column, DefaultKind, Table, UniqueKey};

/// The parts of an UPDATE or DELETE that the choice depends on.
struct Change<'s> {
    verb: &'static str,
    targets: Vec<RelationId>,
    limited: bool,
    /// DELETE with a list of its targets, or what the parser takes for one (`DELETE QUICK FROM`).
    listed: bool,
    returning: bool,
    assigned: Vec<Vec<&'s Ident>>,
}

/// Plans an UPDATE.
pub(super) fn update(walk: &mut Walk<'_>, update: &sqlparser::ast::Update) -> Result<Plan, Refusal> {
    if update.on_cluster.is_some() || update.output.is_some() || update.or.is_some() || update.settings.is_some() {
        walk.refuse("this kind of UPDATE");
    }
    walk.open();
    let mut tree = walk.table_with_joins(&update.table, true);
    let first = tree.relations();
    if let Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) = &update.from {
        for item in from {
            let right = walk.table_with_joins(item, false);
            tree = walk.beside(tree, right);
        }
    }
    walk.filter(update.selection.as_ref(), &tree, &[]);
    let mut assigned = Vec::new();
    for assignment in &update.assignments {
        match &assignment.target {
            AssignmentTarget::ColumnName(name) => assigned.push(idents(name).unwrap_or_default()),
            AssignmentTarget::Tuple(names) => assigned.extend(names.iter().filter_map(idents)),
        }
        walk.expression(&assignment.value);
    }
    for target in assigned.iter().flatten() {
        walk.visit_ident(target);
    }
    returning(walk, update.returning.as_deref());
    rest(walk, &update.order_by, update.limit.as_ref());
    for names in &assigned {
        if let Some(column) = names.last() {
            let name = walk.source.column_name(column);
            // MySQL: another name of an integer primary key.
            let hidden = walk.source.mysql() && name == "_rowid" && walk.touches_sharded();
            let key = hidden || first.iter().any(|id| is_key(walk, *id, &name));
            if key {
                walk.refuse(format!("UPDATE of a shard key ({name})"));
            }
            let tables: Vec<_> = first.iter().filter_map(|id| walk.tables.get(*id).cloned().flatten()).collect();
            for table in tables {
                if let Err(refusal) = unguarded(walk.source, &table, Some(&name)) {
                    walk.refusal.get_or_insert(refusal);
                }
            }
        }
    }
    let targets = if walk.source.mysql() { written(walk, &first, &assigned) } else { first };
    let change = Change {
        verb: "UPDATE",
        targets,
        limited: !update.order_by.is_empty() || update.limit.is_some(),
        listed: false,
        returning: update.returning.is_some(),
        assigned,
    };
    finish(walk, &change)
}

/// Plans a DELETE.
pub(super) fn delete(walk: &mut Walk<'_>, delete: &Delete) -> Result<Plan, Refusal> {
    if delete.on_cluster.is_some() || delete.output.is_some() || delete.settings.is_some() {
        walk.refuse("this kind of DELETE");
    }
    walk.open();
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    let names_only = walk.source.mysql() && delete.using.is_some();
    let mut tree = Tree::Empty;
    if names_only {
        // MySQL: the tables are those of USING, the FROM names some of them.
        for item in from {
            match &item.relation {
                sqlparser::ast::TableFactor::Table { name, .. } if item.joins.is_empty() => walk.qualifier(name),
                _ => walk.refuse("this kind of DELETE"),
            }
        }
    } else {
        for item in from {
            let right = walk.table_with_joins(item, true);
            tree = walk.beside(tree, right);
        }
    }
    let first = tree.relations();
    for item in delete.using.iter().flatten() {
        let right = walk.table_with_joins(item, names_only);
        tree = walk.beside(tree, right);
    }
    delete.tables.iter().for_each(|name| walk.qualifier(name));
    walk.filter(delete.selection.as_ref(), &tree, &[]);
    returning(walk, delete.returning.as_deref());
    rest(walk, &delete.order_by, delete.limit.as_ref());
    let targets = if names_only || !delete.tables.is_empty() { tree.relations() } else { first };
    let change = Change {
        verb: "DELETE",
        targets,
        limited: !delete.order_by.is_empty() || delete.limit.is_some(),
        listed: names_only || !delete.tables.is_empty(),
        returning: delete.returning.is_some(),
        assigned: Vec::new(),
    };
    finish(walk, &change)
}

/// Walks RETURNING.
pub(super) fn returning(walk: &mut Walk<'_>, items: Option<&[SelectItem]>) {
    for item in items.unwrap_or_default() {
        match item {
            SelectItem::UnnamedExpr(expr) => walk.expression(expr),
            SelectItem::ExprWithAlias { expr, alias } => {
                walk.expression(expr);
                walk.visit_ident(alias);
            }
            SelectItem::Wildcard(_) => {}
            SelectItem::QualifiedWildcard(kind, _) => match kind {
                sqlparser::ast::SelectItemQualifiedWildcardKind::ObjectName(name) => walk.qualifier(name),
                sqlparser::ast::SelectItemQualifiedWildcardKind::Expr(expr) => walk.expression(expr),
            },
            SelectItem::ExprWithAliases { .. } => walk.refuse("this kind of RETURNING"),
        }
    }
}

fn rest(walk: &mut Walk<'_>, order_by: &[OrderByExpr], limit: Option<&Expr>) {
    order_by.iter().for_each(|item| walk.order_by_item(item));
    limit.into_iter().for_each(|expr| walk.expression(expr));
}

/// True if the relation is a sharded table and the column a part of its key.
pub(super) fn is_key(walk: &Walk<'_>, relation: RelationId, name: &str) -> bool {
    walk.tables.get(relation).and_then(Option::as_deref).is_some_and(|table| {
        let column = table.column(name);
        table.sharding().is_some_and(|sharding| column.is_some_and(|column| sharding.key.contains(&column)))
    })
}

/// Refuses to write a unique key that no shard can enforce alone: all of a new row, or this column.
pub(super) fn unguarded(source: &Source<'_>, table: &Table, written: Option<&str>) -> Result<(), Refusal> {
    if table.unique_per_shard || source.schema.shards.len() < 2 {
        return Ok(());
    }
    let written = written.map(|name| table.column(name));
    let generated = |column: &Column| column.default == DefaultKind::Generated;
    let touches = |key: &&UniqueKey| match written {
        None => true,
        // A key over expressions or over generated columns may change with any column.
        Some(column) => {
            key.columns.is_empty()
                || column.is_none_or(|column| key.columns.contains(&column))
                || key.columns.iter().any(|at| table.columns.get(*at).is_none_or(generated))
        }
    };
    let Some(key) = table.unguarded_unique_keys().find(touches) else { return Ok(()) };
    let names: Vec<&str> = key.columns.iter().filter_map(|at| Some(table.columns.get(*at)?.name.as_str())).collect();
    let key = if names.is_empty() { "over expressions".to_owned() } else { format!("({})", names.join(", ")) };
    Err(Refusal::unsupported(format!(
        "a write to unique key {key} of sharded table {}: it lacks the shard key, so no shard can enforce it \
         (unique_per_shard = true in the table's rule accepts that)",
        table.name
    )))
}

/// The relations whose columns a multi-table UPDATE of MySQL sets; all of them where that is not certain.
fn written(walk: &Walk<'_>, relations: &[RelationId], assigned: &[Vec<&Ident>]) -> Vec<RelationId> {
    let found: Option<Vec<RelationId>> = assigned
        .iter()
        .map(|names| {
            let parts: Vec<Ident> = names.iter().map(|ident| (*ident).clone()).collect();
            let expr = match parts.as_slice() {
                [only] => Expr::Identifier(only.clone()),
                _ => Expr::CompoundIdentifier(parts),
            };
            walk.column(&expr).map(|column| column.relation)
        })
        .collect();
    found.unwrap_or_else(|| relations.to_vec())
}

fn finish(walk: &mut Walk<'_>, change: &Change<'_>) -> Result<Plan, Refusal> {
    let verb = change.verb;
    let kind = |id: &RelationId| walk.relations.get(*id).map(|relation| relation.kind);
    let reference = change.targets.iter().any(|id| kind(id) == Some(RelationKind::Reference));
    let alone = walk.relations.len() == 1;
    let several = || -> Result<(), Reason> {
        if change.limited {
            return Err(format!("{verb} with ORDER BY or LIMIT"));
        }
        noted(walk)?;
        if !alone || change.listed {
            return Err(format!("{verb} of joined tables"));
        }
        if change.returning {
            return Err(format!("{verb} with RETURNING"));
        }
        if let Some(name) = &walk.notes.unresolved {
            return Err(format!("the column {name}, which the table is not known to have,"));
        }
        let moves = |column: &crate::schema::Column| column.on_update;
        let table = change.targets.first().and_then(|id| walk.tables.get(*id)).and_then(Option::as_ref);
        if !change.assigned.is_empty() && table.is_none_or(|table| table.columns.iter().any(moves)) {
            return Err(format!("{verb} of a table with an ON UPDATE column"));
        }
        match foreign_word(walk.source, &walk.visited) {
            Some(word) if !["UPDATE", "DELETE", "SET"].contains(&word.as_str()) => Err(format!("{word} in this place")),
            _ => Ok(()),
        }
    };
    let several = several();
    if let Some(refusal) = walk.settle() {
        return Err(refusal);
    }
    let effects = Effects { writes: true, ..Effects::default() };
    if reference {
        several.map_err(|reason| Refusal::unsupported(format!("{reason} on a reference table")))?;
        return Ok(spread(walk, RouteRule::Everywhere(None), SpreadAnswer::Same, effects));
    }
    let route = walk.route();
    if let Some(refusal) = walk.refusal.clone() {
        return Err(refusal);
    }
    Ok(match several {
        Ok(()) => spread(walk, route, SpreadAnswer::Sum, effects),
        Err(reason) => {
            let several = Several::Refuse(Refusal::unsupported(format!("{reason} over several shards")));
            Plan { effects, route, several, edits: Vec::new(), draws: Draws::default() }
        }
    })
}

fn spread(_walk: &Walk<'_>, route: RouteRule, answer: SpreadAnswer, effects: Effects) -> Plan {
    Plan {
        effects,
        route,
        several: Several::Spread(Box::new(Spread { rows: None, answer })),
        edits: Vec::new(),
        draws: Draws::default(),
    }
}
