//! Queries, query blocks and their FROM.

use sqlparser::ast::{
    Distinct, FunctionArg, GroupByExpr, Join, JoinConstraint, JoinOperator, LimitClause, NamedWindowExpr, OrderBy,
    OrderByKind, Query, Select, SelectFlavor, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableAlias,
    TableFactor, TableIndexDirective, TableWithJoins, WildcardAdditionalOptions,
};

use super::super::fact::Fact;
use super::super::functions::FunctionKind;
use super::super::names::idents;
use super::{FactId, JoinKind, RelationKind, Scope, Tree, Walk};

/// What the walk learnt of one query block.
#[derive(Debug)]
pub(in super::super) struct Shape {
    /// Its FROM.
    pub tree: Tree,
    /// What its WHERE says.
    pub facts: Vec<FactId>,
    /// What names mean in it.
    scope: Scope,
}

impl Walk<'_> {
    /// Walks a query; the shape of its block if it is a single one.
    pub fn query(&mut self, query: &Query, inherited: &[FactId]) -> Option<Shape> {
        let Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        if for_clause.is_some() || settings.is_some() || format_clause.is_some() || !pipe_operators.is_empty() {
            self.refuse("this kind of query");
        }
        self.ctes.push(Vec::new());
        if let Some(with) = with {
            self.notes.cte = true;
            for cte in &with.cte_tables {
                let name = self.source.table_name(&cte.alias.name);
                self.visit_alias(&cte.alias);
                if with.recursive {
                    self.name_cte(name.clone());
                }
                self.isolated(|walk| walk.query(&cte.query, &[]));
                if !with.recursive {
                    self.name_cte(name);
                }
                if let Some(from) = &cte.from {
                    self.visit_ident(from);
                    self.refuse("this kind of CTE");
                }
            }
        }
        let shape = self.body(body, order_by.as_ref(), inherited);
        self.scopes.push(Scope::default());
        match limit_clause {
            None => {}
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) => {
                limit.iter().chain(offset.as_ref().map(|offset| &offset.value)).for_each(|e| self.expression(e));
                if !limit_by.is_empty() {
                    self.refuse("LIMIT BY");
                }
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
                self.expression(offset);
                self.expression(limit);
            }
        }
        if let Some(quantity) = fetch.as_ref().and_then(|fetch| fetch.quantity.as_ref()) {
            self.expression(quantity);
        }
        self.scopes.pop();
        for lock in locks {
            self.notes.locks = true;
            lock.of.iter().for_each(|name| self.visit_name(name));
        }
        self.ctes.pop();
        shape
    }

    fn name_cte(&mut self, name: String) {
        if let Some(names) = self.ctes.last_mut() {
            names.push(name);
        }
    }

    /// Runs a walk over something that sees no relation of the blocks around.
    fn isolated<T>(&mut self, walk: impl FnOnce(&mut Self) -> T) -> T {
        let scopes = std::mem::take(&mut self.scopes);
        let inherited = std::mem::take(&mut self.inherited);
        let result = walk(self);
        self.scopes = scopes;
        self.inherited = inherited;
        result
    }

    fn body(&mut self, body: &SetExpr, order_by: Option<&OrderBy>, inherited: &[FactId]) -> Option<Shape> {
        match body {
            SetExpr::Select(select) => return Some(self.select(select, order_by, inherited)),
            SetExpr::Query(query) => {
                self.query(query, inherited);
                self.odd("a query in parentheses");
                self.scopes.push(Scope::default());
                self.order_by(order_by);
                self.scopes.pop();
            }
            SetExpr::SetOperation { left, right, .. } => {
                self.notes.set_operation = true;
                self.body(left, None, inherited);
                self.body(right, None, inherited);
                self.scopes.push(Scope::default());
                self.order_by(order_by);
                self.scopes.pop();
            }
            SetExpr::Values(values) => {
                self.odd("VALUES as a query");
                self.scopes.push(Scope::default());
                values.rows.iter().flat_map(|row| &row.content).for_each(|e| self.expression(e));
                self.order_by(order_by);
                self.scopes.pop();
            }
            SetExpr::Table(_) => self.refuse("TABLE as a query"),
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                self.notes.writes = true;
                self.refuse("a write inside WITH in a sharded database");
            }
        }
        None
    }

    fn order_by(&mut self, order_by: Option<&OrderBy>) {
        let Some(order_by) = order_by else { return };
        if order_by.interpolate.is_some() {
            self.refuse("ORDER BY ... INTERPOLATE");
        }
        match &order_by.kind {
            OrderByKind::All(_) => self.refuse("ORDER BY ALL"),
            OrderByKind::Expressions(list) => list.iter().for_each(|item| self.order_by_item(item)),
        }
    }

    fn select(&mut self, select: &Select, order_by: Option<&OrderBy>, inherited: &[FactId]) -> Shape {
        let foreign = select.top.is_some()
            || select.exclude.is_some()
            || !select.lateral_views.is_empty()
            || select.prewhere.is_some()
            || !select.connect_by.is_empty()
            || !select.cluster_by.is_empty()
            || !select.distribute_by.is_empty()
            || !select.sort_by.is_empty()
            || select.qualify.is_some()
            || select.value_table_mode.is_some()
            || select.flavor != SelectFlavor::Standard;
        if foreign {
            self.refuse("this kind of SELECT");
        }
        if let Some(into) = &select.into {
            into.targets.iter().for_each(|target| self.expression(target));
            self.notes.writes = true;
            self.odd("SELECT INTO");
            // MySQL's INTO @x and INTO OUTFILE stay with their shard; PostgreSQL's makes a table.
            if !self.source.mysql() && self.source.schema.is_split() {
                self.refuse("SELECT INTO");
            }
        }
        self.scopes.push(Scope::default());
        let mut tree = Tree::Empty;
        for item in &select.from {
            let right = self.table_with_joins(item, false);
            tree = self.beside(tree, right);
        }
        let facts = self.filter(select.selection.as_ref(), &tree, inherited);
        for item in &select.projection {
            self.select_item(item);
        }
        match &select.distinct {
            None | Some(Distinct::All | Distinct::Distinct) => {}
            Some(Distinct::On(list)) => list.iter().for_each(|e| self.expression(e)),
        }
        match &select.group_by {
            GroupByExpr::All(_) => self.refuse("GROUP BY ALL"),
            GroupByExpr::Expressions(list, modifiers) => {
                list.iter().for_each(|e| self.expression(e));
                if !modifiers.is_empty() {
                    self.odd("WITH ROLLUP, CUBE and GROUPING SETS");
                }
            }
        }
        select.having.iter().for_each(|e| self.expression(e));
        for window in &select.named_window {
            self.notes.window = true;
            self.visit_ident(&window.0);
            match &window.1 {
                NamedWindowExpr::NamedWindow(ident) => self.visit_ident(ident),
                NamedWindowExpr::WindowSpec(spec) => self.window(spec),
            }
        }
        self.order_by(order_by);
        self.leave_filter(facts.len() + inherited.len());
        let scope = self.scopes.pop().unwrap_or_default();
        Shape { tree, facts, scope }
    }

    /// Makes the names of a block known again, to look at its expressions once more.
    pub fn reopen(&mut self, shape: &mut Shape) {
        self.scopes.push(std::mem::take(&mut shape.scope));
    }

    /// Two trees of a FROM with a comma between them.
    pub fn beside(&mut self, left: Tree, right: Tree) -> Tree {
        if let Tree::Empty = left {
            return right;
        }
        self.restrict(&left, &right, JoinKind::Inner, &[]);
        Tree::Join { left: Box::new(left), right: Box::new(right), kind: JoinKind::Inner, facts: Vec::new() }
    }

    /// Opens a block for a statement that is not a SELECT but has tables and a WHERE.
    pub fn open(&mut self) {
        self.scopes.push(Scope::default());
    }

    /// Walks a WHERE over the relations of a tree. Until [`Walk::leave_filter`], sub-queries matter only where it holds.
    pub fn filter(
        &mut self,
        selection: Option<&sqlparser::ast::Expr>,
        tree: &Tree,
        inherited: &[FactId],
    ) -> Vec<FactId> {
        let facts = selection.map(|condition| self.conclude(condition)).unwrap_or_default();
        let relations = tree.relations();
        self.restrict_all(&relations, &facts);
        self.restrict_all(&relations, inherited);
        self.inherited.extend_from_slice(&facts);
        self.inherited.extend_from_slice(inherited);
        selection.into_iter().for_each(|condition| self.expression(condition));
        facts
    }

    fn leave_filter(&mut self, count: usize) {
        self.inherited.truncate(self.inherited.len().saturating_sub(count));
    }

    fn select_item(&mut self, item: &SelectItem) {
        match item {
            SelectItem::UnnamedExpr(expr) => self.expression(expr),
            SelectItem::ExprWithAlias { expr, alias } => {
                self.expression(expr);
                self.visit_ident(alias);
                let name = self.source.column_name(alias);
                if let Some(scope) = self.scopes.last_mut() {
                    scope.aliases.push(name);
                }
            }
            SelectItem::ExprWithAliases { .. } => self.refuse("a select item with several aliases"),
            SelectItem::QualifiedWildcard(kind, options) => {
                match kind {
                    SelectItemQualifiedWildcardKind::ObjectName(name) => self.qualifier(name),
                    SelectItemQualifiedWildcardKind::Expr(expr) => {
                        self.expression(expr);
                        self.odd("an expression with a wildcard");
                    }
                }
                self.wildcard(options);
            }
            SelectItem::Wildcard(options) => self.wildcard(options),
        }
    }

    fn wildcard(&mut self, options: &WildcardAdditionalOptions) {
        let plain = options.opt_ilike.is_none()
            && options.opt_exclude.is_none()
            && options.opt_except.is_none()
            && options.opt_replace.is_none()
            && options.opt_rename.is_none()
            && options.opt_alias.is_none();
        if !plain {
            self.refuse("a wildcard with options");
        }
    }

    /// A table name in front of a column or wildcard.
    pub fn qualifier(&mut self, name: &sqlparser::ast::ObjectName) {
        self.visit_name(name);
        if let Some([database, _, ..]) = idents(name).as_deref()
            && self.source.mysql()
            && self.source.is_own_database(database)
            && let Some(at) = self.source.at(database.span)
        {
            self.database_tokens.push(at);
        }
    }

    fn visit_alias(&mut self, alias: &TableAlias) {
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

    fn using(&mut self, left: &Tree, right: &Tree, kind: JoinKind, name: &sqlparser::ast::Ident) -> Option<FactId> {
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
    fn side(&self, tree: &Tree, name: &str) -> Option<super::super::fact::ColumnId> {
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

    fn named_table(&mut self, name: &sqlparser::ast::ObjectName, alias: Option<&TableAlias>, writes: bool) -> Tree {
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

    fn rows_function(&mut self, name: &sqlparser::ast::ObjectName, args: &[FunctionArg], alias: Option<&TableAlias>) {
        self.visit_name(name);
        let kind = self.function_name(name);
        self.note_function(&kind.0, if kind.1 == FunctionKind::Pure { FunctionKind::Rows } else { kind.1 });
        args.iter().for_each(|arg| self.function_argument(arg));
        alias.iter().for_each(|alias| self.visit_alias(alias));
    }
}
