//! INSERT and REPLACE: each row to its shard, or to every shard for a reference table.
//! Out: what the rows' other values are.

use sqlparser::ast::{
    AssignmentTarget, ConflictTarget, Expr, Ident, Insert, InsertOverriding, OnConflictAction, OnInsert, SetExpr,
    TableObject,
};

use super::clauses::foreign_word;
use super::draws::Draws;
use super::effects::Effects;
use super::names::idents;
use super::refusal::Refusal;
use super::select::noted;
use super::source::Source;
use super::spread::{RowList, Spread, SpreadAnswer};
use super::walk::{RelationKind, Walk};
use super::write::{is_key, returning, unguarded};
use super::{Plan, Several};
use crate::placement::KeyType;
use crate::route::{Alike, Key, Operand, RouteRule, RowRule, RowsRule};
use crate::schema::{ColumnKind, DefaultKind, Table};

const WORDS: [&str; 17] = [
    "INSERT",
    "REPLACE",
    "INTO",
    "VALUES",
    "VALUE",
    "SET",
    "DUPLICATE",
    "UPDATE",
    "CONFLICT",
    "DO",
    "NOTHING",
    "DEFAULT",
    "EXCLUDED",
    "LOW_PRIORITY",
    "HIGH_PRIORITY",
    "CONSTRAINT",
    "OVERRIDING",
];

/// The rows of an INSERT with the tokens they stand in.
struct Rows<'s> {
    rows: Vec<Vec<&'s Expr>>,
    /// First token and one past the last of each; empty for INSERT ... SET.
    ranges: Vec<(usize, usize)>,
}

/// Plans an INSERT or REPLACE.
pub(super) fn insert(walk: &mut Walk<'_>, insert: &Insert) -> Result<Plan, Refusal> {
    let foreign = insert.or.is_some()
        || insert.by_name
        || insert.overwrite
        || insert.partitioned.is_some()
        || !insert.after_columns.is_empty()
        || insert.has_table_keyword
        || insert.output.is_some()
        || insert.settings.is_some()
        || insert.format_clause.is_some()
        || insert.multi_table_insert_type.is_some();
    if foreign {
        walk.refuse("this kind of INSERT");
    }
    let TableObject::TableName(name) = &insert.table else {
        return Err(Refusal::unsupported("INSERT into anything but a table"));
    };
    walk.open();
    let named = walk.name(name);
    let alias = match (&insert.table_alias, idents(name).unwrap_or_default().last()) {
        (Some(alias), _) => {
            walk.visit_ident(&alias.alias);
            walk.source.table_name(&alias.alias)
        }
        (None, Some(last)) => walk.source.table_name(last),
        (None, None) => String::new(),
    };
    let target = walk.relation(alias, named, true);
    insert.columns.iter().for_each(|column| walk.visit_name(column));
    let mut names: Vec<&Ident> =
        insert.columns.iter().filter_map(idents).filter_map(|parts| parts.last().copied()).collect();
    let mut rows = None;
    match &insert.source {
        Some(query) => {
            if let SetExpr::Values(values) = query.body.as_ref()
                && query.with.is_none()
                && query.order_by.is_none()
                && query.limit_clause.is_none()
                && query.fetch.is_none()
                && query.locks.is_empty()
            {
                values.rows.iter().flat_map(|row| &row.content).for_each(|expr| value(walk, expr));
                let start = usize::from(values.explicit_row);
                let range = |row: &sqlparser::ast::Parens<Vec<Expr>>| {
                    let first = walk.source.at(row.opening_token.0.span)?.checked_sub(start)?;
                    Some((first, walk.source.at(row.closing_token.0.span)? + 1))
                };
                let ranges: Option<Vec<_>> = values.rows.iter().map(range).collect();
                let list = values.rows.iter().map(|row| row.content.iter().collect()).collect();
                rows = ranges.map(|ranges| Rows { rows: list, ranges });
            } else {
                walk.query(query, &[]);
            }
        }
        None if !insert.assignments.is_empty() => {
            let mut row = Vec::new();
            for assignment in &insert.assignments {
                value(walk, &assignment.value);
                row.push(&assignment.value);
                match &assignment.target {
                    AssignmentTarget::ColumnName(name) => {
                        walk.visit_name(name);
                        names.extend(idents(name).unwrap_or_default().last().copied());
                    }
                    AssignmentTarget::Tuple(_) => walk.refuse("this kind of INSERT"),
                }
            }
            rows = Some(Rows { rows: vec![row], ranges: Vec::new() });
        }
        None => {}
    }
    let merges = conflict(walk, insert, target);
    returning(walk, insert.returning.as_deref());
    if let Some(alias) = &insert.insert_alias {
        walk.visit_name(&alias.row_alias);
        alias.col_aliases.iter().flatten().for_each(|ident| walk.visit_ident(ident));
    }
    let effects = Effects { writes: true, ..Effects::default() };
    let kind = walk.relations.get(target).map(|relation| relation.kind);
    let table = walk.tables.get(target).cloned().flatten();
    let (Some(RelationKind::Sharded | RelationKind::Reference), Some(table)) = (kind, table) else {
        let route = walk.route();
        if let Some(refusal) = walk.settle() {
            return Err(refusal);
        }
        let several = Several::Refuse(Refusal::unsupported("INSERT of rows that come from several shards"));
        return Ok(Plan { effects, route, several, edits: Vec::new(), draws: Draws::default() });
    };
    let reference = kind == Some(RelationKind::Reference);
    if let Some(refusal) = walk.settle() {
        return Err(refusal);
    }
    let Some(rows) = rows else {
        return Err(Refusal::unsupported("INSERT ... SELECT or DEFAULT VALUES into a sharded or reference table"));
    };
    let others_elsewhere = walk.relations.iter().enumerate().any(|(id, relation)| {
        id != target && !matches!(relation.kind, RelationKind::Reference | RelationKind::Derived)
    });
    if others_elsewhere {
        return Err(Refusal::unsupported(
            "INSERT into a sharded or reference table with sub-queries over other tables",
        ));
    }
    if merges && !reference && table.unguarded_unique_keys().next().is_some() {
        return Err(Refusal::unsupported(
            "REPLACE, IGNORE, ON DUPLICATE KEY and ON CONFLICT on a table with a unique key that lacks the shard key",
        ));
    }
    if !reference {
        unguarded(walk.source, &table, None)?;
    }
    if insert.overriding == Some(InsertOverriding::User) {
        return Err(Refusal::unsupported("OVERRIDING USER VALUE on a sharded or reference table"));
    }
    let columns = given(walk.source, &table, &names, &rows)?;
    let rule = rule(walk.source, &table, &columns, &rows, reference)?;
    let several = several(walk, insert, &table, &columns, &rows, reference);
    let list = rows.ranges.first().map(|(first, _)| RowList { first: *first });
    if reference {
        let () = several.map_err(|reason| Refusal::unsupported(format!("{reason} in a write to a reference table")))?;
        let spread = Spread { rows: None, answer: SpreadAnswer::Same };
        let route = RouteRule::Everywhere(Some(Box::new(rule)));
        return Ok(Plan {
            effects,
            route,
            several: Several::Spread(Box::new(spread)),
            edits: Vec::new(),
            draws: Draws::default(),
        });
    }
    let several = match (several, list) {
        (Ok(()), Some(list)) => Several::Spread(Box::new(Spread { rows: Some(list), answer: SpreadAnswer::Sum })),
        (Ok(()), None) => Several::Refuse(Refusal::unsupported("this kind of INSERT over several shards")),
        (Err(reason), _) => Several::Refuse(Refusal::unsupported(format!("{reason} in an INSERT over several shards"))),
    };
    Ok(Plan { effects, route: RouteRule::Rows(Box::new(rule)), several, edits: Vec::new(), draws: Draws::default() })
}

/// Walks a value of a row; DEFAULT is a word the parser takes for a column.
fn value(walk: &mut Walk<'_>, expr: &Expr) {
    if is_default(expr) {
        if let Expr::Identifier(ident) = expr {
            walk.visit_ident(ident);
        }
        return;
    }
    walk.expression(expr);
}

fn is_default(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(ident) if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default"))
}

/// Walks what is done about rows that exist; true if anything but an error is.
fn conflict(walk: &mut Walk<'_>, insert: &Insert, target: usize) -> bool {
    let (assignments, selection) = match &insert.on {
        None => (&[][..], None),
        Some(OnInsert::DuplicateKeyUpdate(assignments)) => (assignments.as_slice(), None),
        Some(OnInsert::OnConflict(conflict)) => {
            match &conflict.conflict_target {
                None => {}
                Some(ConflictTarget::Columns { columns, predicate }) => {
                    columns.iter().for_each(|ident| walk.visit_ident(ident));
                    predicate.iter().for_each(|expr| walk.expression(expr));
                }
                Some(ConflictTarget::OnConstraint(name)) => walk.visit_name(name),
            }
            match &conflict.action {
                OnConflictAction::DoNothing => (&[][..], None),
                OnConflictAction::DoUpdate(update) => (update.assignments.as_slice(), update.selection.as_ref()),
            }
        }
        Some(_) => {
            walk.refuse("this kind of INSERT");
            (&[][..], None)
        }
    };
    // `excluded.x` and the row alias are not relations: their columns stay unresolved, and harmless.
    let unresolved = walk.notes.unresolved.take();
    for assignment in assignments {
        let names = match &assignment.target {
            AssignmentTarget::ColumnName(name) => vec![name],
            AssignmentTarget::Tuple(names) => names.iter().collect(),
        };
        for name in names {
            walk.visit_name(name);
            let column = idents(name).unwrap_or_default().last().map(|ident| walk.source.column_name(ident));
            if column.is_some_and(|column| is_key(walk, target, &column)) {
                walk.refuse("UPDATE of a shard key");
            }
        }
        value(walk, &assignment.value);
    }
    selection.into_iter().for_each(|expr| walk.expression(expr));
    walk.notes.unresolved = unresolved;
    insert.on.is_some() || insert.replace_into || insert.ignore
}

/// The table's column that each value of a row is for.
fn given(source: &Source<'_>, table: &Table, names: &[&Ident], rows: &Rows<'_>) -> Result<Vec<usize>, Refusal> {
    let columns: Vec<usize> = if names.is_empty() {
        (0..table.columns.len()).collect()
    } else {
        let found: Option<Vec<usize>> = names.iter().map(|name| table.column(&source.column_name(name))).collect();
        found.ok_or_else(|| {
            Refusal::unsupported(format!("INSERT into a column that {} is not known to have", table.name))
        })?
    };
    let mut sorted = columns.clone();
    sorted.sort_unstable();
    sorted.dedup();
    // PostgreSQL takes rows that are shorter than the table.
    let fits = |row: &Vec<&Expr>| {
        row.len() == columns.len() || (names.is_empty() && !source.mysql() && row.len() < columns.len())
    };
    if sorted.len() != columns.len() || !rows.rows.iter().all(fits) {
        return Err(Refusal::unsupported("INSERT whose rows and columns do not match"));
    }
    let shortest = rows.rows.iter().map(Vec::len).min().unwrap_or(0);
    Ok(columns.into_iter().take(shortest).collect())
}

fn rule(
    source: &Source<'_>,
    table: &Table,
    columns: &[usize],
    rows: &Rows<'_>,
    reference: bool,
) -> Result<RowsRule, Refusal> {
    let key: &[usize] = table.sharding().map_or(&[], |sharding| &sharding.key);
    let mut types = Vec::new();
    for column in key {
        let described =
            table.columns.get(*column).ok_or_else(|| Refusal::unsupported("a shard key that is no column"))?;
        types.push(KeyType::of(described, source.schema.protocol).map_err(|reason| Refusal::Unusable {
            table: table.name.to_string(),
            reason: format!("shard key {}: {reason}", described.name),
        })?);
    }
    let counters: Vec<usize> = table
        .columns
        .iter()
        .enumerate()
        .filter(|(_, column)| column.default == DefaultKind::Counter)
        .map(|(index, _)| index)
        .collect();
    let place = |column: &usize| columns.iter().position(|given| given == column);
    let left_out = |column: &usize| {
        let name = table.columns.get(*column).map_or("?", |column| column.name.as_str());
        let what = if reference { "reference" } else { "sharded" };
        Refusal::unsupported(format!("INSERT into a {what} table that leaves {name} to the server"))
    };
    let mut list = Vec::new();
    for row in &rows.rows {
        let operand = |column: &usize| -> Result<Operand, Refusal> {
            let expr = place(column).and_then(|at| row.get(at)).ok_or_else(|| left_out(column))?;
            if is_default(expr) {
                return Err(left_out(column));
            }
            source.operand(expr).ok_or_else(|| {
                let name = table.columns.get(*column).map_or("?", |column| column.name.as_str());
                Refusal::unsupported(format!("INSERT with an expression for {name}"))
            })
        };
        let key = key.iter().map(operand).collect::<Result<Vec<_>, _>>()?;
        let explicit = counters.iter().map(operand).collect::<Result<Vec<_>, _>>()?;
        // PostgreSQL stores any value that is given.
        list.push(RowRule { key, explicit: if source.mysql() { explicit } else { Vec::new() } });
    }
    let counted: Vec<(usize, usize)> = rows.ranges.iter().map(|(first, past)| source.counts(*first, *past)).collect();
    let key = Key { columns: types };
    let (literals, parameters) = (source.literal_total(), source.parameter_total());
    if let (Some((per_literals, per_parameters)), Some(first)) = (counted.first().copied(), list.first())
        && rows.ranges.len() == list.len()
        && counted.iter().all(|row| *row == (per_literals, per_parameters))
        && list.iter().enumerate().all(|(row, rule)| {
            let far = |operand: &Operand| operand.moved(row * per_literals, row * per_parameters);
            rule.key == first.key.iter().map(far).collect::<Vec<_>>()
                && rule.explicit == first.explicit.iter().map(far).collect::<Vec<_>>()
        })
        && let Some(literals) = literals.checked_sub(list.len() * per_literals)
        && let Some(parameters) = parameters.checked_sub(list.len() * per_parameters)
    {
        let alike = Some(Alike { literals: per_literals, parameters: per_parameters });
        return Ok(RowsRule { key, rows: vec![first.clone()], alike, literals, parameters });
    }
    Ok(RowsRule { key, rows: list, alike: None, literals, parameters })
}

/// Whether the rows may be split, or written everywhere.
fn several(
    walk: &Walk<'_>,
    insert: &Insert,
    table: &Table,
    columns: &[usize],
    rows: &Rows<'_>,
    reference: bool,
) -> Result<(), String> {
    let merges = insert.on.is_some() || insert.replace_into || insert.ignore;
    noted(walk)?;
    if insert.returning.is_some() {
        return Err("RETURNING".to_owned());
    }
    if reference && merges && table.unique_keys.len() > 1 {
        return Err("REPLACE, IGNORE, ON DUPLICATE KEY and ON CONFLICT with several unique keys".to_owned());
    }
    for row in &rows.rows {
        for (expr, column) in row.iter().zip(columns).filter_map(|(expr, at)| Some((expr, table.columns.get(*at)?))) {
            let by_server =
                is_default(expr) && column.default != DefaultKind::Constant && column.default != DefaultKind::None;
            // Without explicit_defaults_for_timestamp, NULL means now.
            let now = walk.source.mysql()
                && column.kind == ColumnKind::Timestamp
                && !column.nullable
                && !matches!(walk.source.operand(expr), Some(Operand::Literal(_)));
            if by_server || now {
                return Err(format!("a value of {} that may differ from shard to shard", column.name));
            }
        }
    }
    let differs = |column: &(usize, &crate::schema::Column)| {
        !columns.contains(&column.0) && column.1.default == DefaultKind::Expression
    };
    if let Some((_, column)) = table.columns.iter().enumerate().find(differs) {
        return Err(format!("the default of {}, which may differ from shard to shard,", column.name));
    }
    if reference && insert.on.is_some() && table.columns.iter().any(|column| column.on_update) {
        return Err("an ON UPDATE column".to_owned());
    }
    match foreign_word(walk.source, &walk.visited) {
        Some(word) if !WORDS.contains(&word.as_str()) => Err(format!("{word} in this place")),
        _ => Ok(()),
    }
}
