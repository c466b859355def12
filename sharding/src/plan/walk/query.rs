//! Queries, query blocks and their FROM.

use std::ops::Range;

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, LimitClause, NamedWindowExpr, ObjectName, OrderBy, OrderByKind, Query, Select,
    SelectFlavor, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, WildcardAdditionalOptions,
};

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
        let before = self.relations.len();
        let shape = self.body(body, order_by.as_ref(), inherited);
        let inside = before..self.relations.len();
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
            self.lock_rows(lock.of.as_ref(), inside.clone());
        }
        self.ctes.pop();
        shape
    }

    /// Notes the reference tables whose rows are locked: those named, else all of the query. Sub-queries count too, although
    /// servers do not lock in all of them.
    fn lock_rows(&mut self, of: Option<&ObjectName>, inside: Range<usize>) {
        let of = of.and_then(|name| name.0.last()).and_then(|part| part.as_ident());
        let named = of.map(|ident| self.source.table_name(ident));
        let locked = self.relations.get(inside).unwrap_or_default().iter().find(|relation| {
            relation.kind == RelationKind::Reference && named.as_ref().is_none_or(|name| *name == relation.name)
        });
        if let Some(relation) = locked {
            self.notes.locked_copy.get_or_insert_with(|| relation.name.clone());
        }
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
    pub fn filter(&mut self, selection: Option<&Expr>, tree: &Tree, inherited: &[FactId]) -> Vec<FactId> {
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
    pub fn qualifier(&mut self, name: &ObjectName) {
        self.visit_name(name);
        if let Some([database, _, ..]) = idents(name).as_deref()
            && self.source.mysql()
            && self.source.is_own_database(database)
            && let Some(at) = self.source.at(database.span)
        {
            self.database_tokens.push(at);
        }
    }
}
