//! What stands in a FROM: tables, joins of them, and what only looks like a table.

use sqlparser::ast::{
    FunctionArg, Ident, Join, JoinConstraint, JoinOperator, ObjectName, TableAlias, TableFactor, TableIndexDirective,
    TableWithJoins,
};

use super::super::fact::{ColumnId, Fact};
use super::super::functions::FunctionKind;
use super::super::names::idents;
use super::{FactId, JoinKind, RelationKind, Tree, Walk};

impl Walk<'_> {
    pub(super) fn visit_alias(&mut self, alias: &TableAlias) {
        self.visit_ident(&alias.name);
        alias.columns.iter().for_each(|column| self.visit_ident(&column.name));
        if alias.at.is_some() {
            self.refuse("this kind of alias");
        }
    }

    pub fn table_with_joins(&mut self, item: &TableWithJoins, writes: bool) -> Tree {
        let mut tree = self.table_factor(&item.relation, writes);
        for join in &item.joins {
            tree = self.join(tree, join, writes);
        }
        tree
    }

    fn join(&mut self, left: Tree, join: &Join, writes: bool) -> Tree {
        let right = self.table_factor(&join.relation, writes);
        if join.global {
            self.refuse("GLOBAL JOIN");
        }
        let (kind, constraint) = match &join.join_operator {
            JoinOperator::Join(c)
            | JoinOperator::Inner(c)
            | JoinOperator::CrossJoin(c)
            | JoinOperator::StraightJoin(c) => (JoinKind::Inner, c),
            JoinOperator::Left(c) | JoinOperator::LeftOuter(c) => (JoinKind::Left, c),
            JoinOperator::Right(c) | JoinOperator::RightOuter(c) => (JoinKind::Right, c),
            JoinOperator::FullOuter(c) => (JoinKind::Full, c),
            JoinOperator::Semi(_)
            | JoinOperator::LeftSemi(_)
            | JoinOperator::RightSemi(_)
            | JoinOperator::Anti(_)
            | JoinOperator::LeftAnti(_)
            | JoinOperator::RightAnti(_)
            | JoinOperator::CrossApply
            | JoinOperator::OuterApply
            | JoinOperator::AsOf { .. }
            | JoinOperator::ArrayJoin
            | JoinOperator::LeftArrayJoin
            | JoinOperator::InnerArrayJoin => {
                self.refuse("this kind of join");
                (JoinKind::Full, &JoinConstraint::None)
            }
        };
        let facts = match constraint {
            JoinConstraint::On(condition) => {
                let facts = self.conclude(condition);
                // A sub-query in ON is asked for rows that the WHERE drops, too.
                let inherited = std::mem::take(&mut self.inherited);
                self.expression(condition);
                self.inherited = inherited;
                facts
            }
            JoinConstraint::Using(names) => {
                let names: Vec<_> = names.iter().filter_map(idents).flatten().collect();
                names.into_iter().filter_map(|name| self.using(&left, &right, kind, name)).collect()
            }
            JoinConstraint::UsingAlias(..) => {
                self.refuse("JOIN ... USING with an alias");
                Vec::new()
            }
            JoinConstraint::Natural => {
                self.notes.natural = true;
                Vec::new()
            }
            JoinConstraint::None => Vec::new(),
        };
        self.restrict(&left, &right, kind, &facts);
        Tree::Join { left: Box::new(left), right: Box::new(right), kind, facts }
    }

    fn using(&mut self, left: &Tree, right: &Tree, kind: JoinKind, name: &Ident) -> Option<FactId> {
        self.visit_ident(name);
        let name = self.source.column_name(name);
        let from_left = self.side(left, &name);
        let from_right = self.side(right, &name);
        let of = match kind {
            JoinKind::Inner | JoinKind::Left => from_left,
            JoinKind::Right => from_right,
            JoinKind::Full => None,
        };
        if let Some(scope) = self.scopes.last_mut() {
            scope.merged.push((name, of.map(|column| column.relation)));
        }
        Some(self.add_fact(Fact::Equal(from_left?, from_right?)))
    }

    /// The column of this name on one side of a USING.
    fn side(&self, tree: &Tree, name: &str) -> Option<ColumnId> {
        let relations = tree.relations();
        let scope = self.scopes.last()?;
        if let Some((_, from)) = scope.merged.iter().rev().find(|(merged, _)| merged == name)
            && relations.len() > 1
        {
            let relation = (*from)?;
            return relations.contains(&relation).then(|| self.column_of(relation, name)).flatten();
        }
        let mut found = relations.iter().filter_map(|relation| self.column_of(*relation, name));
        let column = found.next()?;
        found.next().is_none().then_some(column)
    }

    fn table_factor(&mut self, factor: &TableFactor, writes: bool) -> Tree {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args: None,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_directives,
                inheritance,
            } => {
                if !with_hints.is_empty() || version.is_some() || json_path.is_some() || *with_ordinality {
                    self.refuse("this kind of table reference");
                }
                if !partitions.is_empty() || inheritance.is_some() {
                    self.odd("PARTITION and ONLY");
                    partitions.iter().for_each(|ident| self.visit_ident(ident));
                }
                if sample.is_some() {
                    self.odd("TABLESAMPLE");
                }
                for directive in index_directives {
                    match directive {
                        TableIndexDirective::MySql(hints) => {
                            hints.index_names.iter().for_each(|ident| self.visit_ident(ident));
                        }
                        TableIndexDirective::IndexedBy(_) | TableIndexDirective::NotIndexed => {
                            self.refuse("this index hint");
                        }
                    }
                }
                if let Some(alias) = alias {
                    self.visit_alias(alias);
                    // `UPDATE IGNORE orders`: what the parser takes for table and alias may be a keyword and a table.
                    let own = idents(name).unwrap_or_default().last().map(|ident| self.source.table_name(ident));
                    let shown = self.source.table_name(&alias.name);
                    if own.as_ref() != Some(&shown) && self.source.schema.is_guarded(&shown) {
                        self.refuse(format!("the name of the table {shown} in this place"));
                    }
                }
                self.named_table(name, alias.as_ref(), writes)
            }
            TableFactor::Table { name, alias, args: Some(args), .. } => {
                self.rows_function(name, &args.args, alias.as_ref());
                if args.settings.is_some() {
                    self.refuse("this table function");
                }
                self.derived(alias.as_ref())
            }
            TableFactor::Function { name, args, alias, .. } => {
                self.rows_function(name, args, alias.as_ref());
                self.derived(alias.as_ref())
            }
            TableFactor::Derived { lateral: _, subquery, alias, sample } => {
                if sample.is_some() {
                    self.odd("TABLESAMPLE");
                }
                self.notes.derived = true;
                // LATERAL sees its neighbours, but nothing is concluded from them.
                let inherited = std::mem::take(&mut self.inherited);
                self.query(subquery, &[]);
                self.inherited = inherited;
                alias.iter().for_each(|alias| self.visit_alias(alias));
                self.derived(alias.as_ref())
            }
            TableFactor::UNNEST { alias, array_exprs, .. } => {
                array_exprs.iter().for_each(|e| self.expression(e));
                self.notes.rows_function.get_or_insert_with(|| "unnest".to_owned());
                alias.iter().for_each(|alias| self.visit_alias(alias));
                self.derived(alias.as_ref())
            }
            TableFactor::JsonTable { json_expr, alias, .. } => {
                self.expression(json_expr);
                self.notes.rows_function.get_or_insert_with(|| "json_table".to_owned());
                alias.iter().for_each(|alias| self.visit_alias(alias));
                self.derived(alias.as_ref())
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                self.table_with_joins(table_with_joins, writes)
            }
            TableFactor::NestedJoin { alias: Some(_), .. }
            | TableFactor::TableFunction { .. }
            | TableFactor::OpenJsonTable { .. }
            | TableFactor::Pivot { .. }
            | TableFactor::Unpivot { .. }
            | TableFactor::UnpivotExpr { .. }
            | TableFactor::MatchRecognize { .. }
            | TableFactor::XmlTable { .. }
            | TableFactor::SemanticView { .. } => {
                self.refuse("this kind of table reference");
                Tree::Empty
            }
        }
    }

    fn named_table(&mut self, name: &ObjectName, alias: Option<&TableAlias>, writes: bool) -> Tree {
        let parts = idents(name).unwrap_or_default();
        if let [only] = parts.as_slice() {
            let wanted = self.source.table_name(only);
            if self.ctes.iter().any(|names| names.contains(&wanted)) {
                self.visit_name(name);
                let shown = alias.map_or(wanted, |alias| self.source.table_name(&alias.name));
                return Tree::Leaf(self.add_relation(shown, RelationKind::Derived, None));
            }
        }
        let named = self.name(name);
        let shown = match (alias, parts.last()) {
            (Some(alias), _) => self.source.table_name(&alias.name),
            (None, Some(last)) => self.source.table_name(last),
            (None, None) => String::new(),
        };
        let renamed = alias.is_some_and(|alias| !alias.columns.is_empty());
        let id = self.relation(shown, named, writes);
        if renamed {
            // `orders AS o (a, b)`: its columns have other names now.
            self.odd("a table alias with column names");
            if let Some(table) = self.tables.get_mut(id) {
                *table = None;
            }
        }
        Tree::Leaf(id)
    }

    fn derived(&mut self, alias: Option<&TableAlias>) -> Tree {
        let name = alias.map(|alias| self.source.table_name(&alias.name)).unwrap_or_default();
        Tree::Leaf(self.add_relation(name, RelationKind::Derived, None))
    }

    fn rows_function(&mut self, name: &ObjectName, args: &[FunctionArg], alias: Option<&TableAlias>) {
        self.visit_name(name);
        let kind = self.function_name(name);
        self.note_function(&kind.0, if kind.1 == FunctionKind::Pure { FunctionKind::Rows } else { kind.1 });
        args.iter().for_each(|arg| self.function_argument(arg));
        alias.iter().for_each(|alias| self.visit_alias(alias));
    }
}
