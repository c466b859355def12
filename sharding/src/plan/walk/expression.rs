//! Expressions: the functions they call, the sub-queries they hold, the columns they read.

use sqlparser::ast::{
    AccessExpr, BinaryOperator, CeilFloorKind, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments, Ident, InTarget, ObjectName, OrderByExpr, Query, UnaryOperator, WindowSpec, WindowType,
};

use super::super::functions::{FunctionKind, function_kind};
use super::super::names::idents;
use super::Walk;
use crate::lexer::{FunctionClass, TokenKind, function_class};

impl Walk<'_> {
    /// Walks an expression. Chains of operators are followed without recursion: they may be thousands long.
    pub fn expression(&mut self, expr: &Expr) {
        let mut rest = vec![expr];
        while let Some(expr) = rest.pop() {
            self.one(expr, &mut rest);
        }
    }

    fn one<'e>(&mut self, expr: &'e Expr, rest: &mut Vec<&'e Expr>) {
        match expr {
            Expr::Identifier(ident) => self.identifier(ident),
            Expr::CompoundIdentifier(parts) => self.compound(parts, expr),
            Expr::Value(_) | Expr::TypedString(_) | Expr::Wildcard(_) => {}
            Expr::QualifiedWildcard(name, _) => self.qualifier(name),
            Expr::BinaryOp { left, op, right } => {
                match op {
                    BinaryOperator::Custom(name) => self.odd(&format!("the operator {name}")),
                    BinaryOperator::PGCustomBinaryOperator(name) => match name.first().map(String::as_str) {
                        Some("pg_catalog") => self.odd("OPERATOR"),
                        _ => self.note_opaque("OPERATOR"),
                    },
                    BinaryOperator::Assignment => self.note_variable(":="),
                    _ => {}
                }
                rest.extend([left.as_ref(), right.as_ref()]);
            }
            Expr::UnaryOp { op, expr } => {
                if *op == UnaryOperator::DoubleAt {
                    self.note_variable("@@");
                }
                rest.push(expr);
            }
            Expr::IsFalse(e)
            | Expr::IsNotFalse(e)
            | Expr::IsTrue(e)
            | Expr::IsNotTrue(e)
            | Expr::IsNull(e)
            | Expr::IsNotNull(e)
            | Expr::IsUnknown(e)
            | Expr::IsNotUnknown(e)
            | Expr::Nested(e)
            | Expr::Extract { expr: e, .. }
            | Expr::Collate { expr: e, .. }
            | Expr::Prefixed { value: e, .. }
            | Expr::IsJson { expr: e, .. }
            | Expr::IsNormalized { expr: e, .. } => rest.push(e),
            Expr::Cast { expr, data_type, .. } => {
                if data_type.to_string().to_lowercase().contains("reg") {
                    self.notes.catalog = true;
                    self.odd("a cast to a catalog type");
                }
                rest.push(expr);
            }
            Expr::IsDistinctFrom(a, b) | Expr::IsNotDistinctFrom(a, b) => rest.extend([a.as_ref(), b.as_ref()]),
            Expr::In { expr, target, negated: _, global } => {
                if *global {
                    self.refuse("GLOBAL IN");
                }
                rest.push(expr);
                match target {
                    InTarget::List(list) => rest.extend(list),
                    InTarget::Subquery(query) => self.subquery(query),
                    InTarget::Unnest(e) => {
                        self.odd("IN UNNEST");
                        rest.push(e);
                    }
                    InTarget::Table { .. } => self.refuse("IN with a table"),
                }
            }
            Expr::Between { expr, low, high, negated: _ } => {
                rest.extend([expr.as_ref(), low.as_ref(), high.as_ref()]);
            }
            Expr::Like { expr, pattern, escape_char, .. }
            | Expr::ILike { expr, pattern, escape_char, .. }
            | Expr::SimilarTo { expr, pattern, escape_char, .. } => {
                rest.extend([expr.as_ref(), pattern.as_ref()]);
                rest.extend(escape_char.as_deref());
            }
            Expr::RLike { expr, pattern, .. } => rest.extend([expr.as_ref(), pattern.as_ref()]),
            Expr::AnyOp { left, right, .. } | Expr::AllOp { left, right, .. } => {
                rest.extend([left.as_ref(), right.as_ref()]);
            }
            Expr::Convert { expr, charset, styles, .. } => {
                charset.iter().for_each(|name| self.visit_name(name));
                rest.push(expr);
                rest.extend(styles);
            }
            Expr::AtTimeZone { timestamp, time_zone } => rest.extend([timestamp.as_ref(), time_zone.as_ref()]),
            Expr::Ceil { expr, field } | Expr::Floor { expr, field } => {
                match field {
                    CeilFloorKind::DateTimeField(_) | CeilFloorKind::Scale(_) => {}
                }
                rest.push(expr);
            }
            Expr::Position { expr, r#in } => rest.extend([expr.as_ref(), r#in.as_ref()]),
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                rest.push(expr);
                rest.extend(substring_from.as_deref());
                rest.extend(substring_for.as_deref());
            }
            Expr::Trim { trim_what, expr, trim_characters, .. } => {
                rest.push(expr);
                rest.extend(trim_what.as_deref());
                rest.extend(trim_characters.iter().flatten());
            }
            Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                rest.extend([expr.as_ref(), overlay_what.as_ref(), overlay_from.as_ref()]);
                rest.extend(overlay_for.as_deref());
            }
            Expr::Function(function) => self.function(function, rest),
            Expr::Case { operand, conditions, else_result, .. } => {
                rest.extend(operand.as_deref());
                rest.extend(conditions.iter().flat_map(|when| [&when.condition, &when.result]));
                rest.extend(else_result.as_deref());
            }
            Expr::Exists { subquery, negated: _ } => self.subquery(subquery),
            Expr::Subquery(query) => self.subquery(query),
            Expr::Tuple(list) => rest.extend(list),
            Expr::Interval(interval) => rest.push(&interval.value),
            Expr::Array(array) => rest.extend(&array.elem),
            Expr::MemberOf(member) => rest.extend([member.value.as_ref(), member.array.as_ref()]),
            Expr::MatchAgainst { columns, .. } => {
                columns.iter().for_each(|name| self.visit_name(name));
                // Its relevance depends on the other rows of the index.
                self.odd("MATCH ... AGAINST");
            }
            Expr::CompoundFieldAccess { root, access_chain } => {
                self.odd("array subscripts and fields of rows");
                rest.push(root);
                for access in access_chain {
                    match access {
                        AccessExpr::Dot(e) => rest.push(e),
                        AccessExpr::Subscript(subscript) => match subscript {
                            sqlparser::ast::Subscript::Index { index } => rest.push(index),
                            sqlparser::ast::Subscript::Slice { lower_bound, upper_bound, stride } => {
                                rest.extend(lower_bound);
                                rest.extend(upper_bound);
                                rest.extend(stride);
                            }
                        },
                    }
                }
            }
            Expr::GroupingSets(lists) | Expr::Cube(lists) | Expr::Rollup(lists) => {
                self.odd("WITH ROLLUP, CUBE and GROUPING SETS");
                rest.extend(lists.iter().flatten());
            }
            Expr::JsonAccess { .. }
            | Expr::Struct { .. }
            | Expr::Named { .. }
            | Expr::Dictionary(_)
            | Expr::Map(_)
            | Expr::OuterJoin(_)
            | Expr::Prior(_)
            | Expr::Lambda(_) => self.refuse("this kind of expression"),
        }
    }

    fn identifier(&mut self, ident: &Ident) {
        let at = self.source.at(ident.span);
        if let Some(TokenKind::UserVariable | TokenKind::SystemVariable) = at.and_then(|at| self.source.kind(at)) {
            self.note_variable(&ident.value);
            return;
        }
        self.visit_ident(ident);
        if self.column(&Expr::Identifier(ident.clone())).is_some() {
            return;
        }
        let name = self.source.column_name(ident);
        if ident.quote_style.is_none() && function_kind(self.source.schema, &name) == FunctionKind::Stable {
            self.note_function(&name, FunctionKind::Stable);
        } else if !self.is_alias(&name) {
            self.note_unresolved(name);
        }
    }

    fn compound(&mut self, parts: &[Ident], expr: &Expr) {
        parts.iter().for_each(|part| self.visit_ident(part));
        if let [database, _, _] = parts
            && self.source.mysql()
            && self.source.is_own_database(database)
            && let Some(at) = self.source.at(database.span)
        {
            self.database_tokens.push(at);
        }
        if self.column(expr).is_none() {
            let name = parts.last().map(|last| self.source.column_name(last)).unwrap_or_default();
            // PostgreSQL reads `row.name` as name(row), too.
            if self.source.schema.routines.contains(&name) {
                self.note_opaque(&name);
            }
            self.note_unresolved(name);
        }
    }

    /// A sub-query as a value: asked only for rows that pass the filters around it.
    fn subquery(&mut self, query: &Query) {
        self.notes.subquery = true;
        let inherited = self.inherited.clone();
        let own = std::mem::take(&mut self.inherited);
        self.query(query, &inherited);
        self.inherited = own;
    }

    fn function<'e>(&mut self, function: &'e Function, rest: &mut Vec<&'e Expr>) {
        self.visit_name(&function.name);
        let (name, kind) = self.function_name(&function.name);
        self.note_function(&name, kind);
        if kind == FunctionKind::Aggregate
            && function.over.is_none()
            && let Some(at) = super::super::names::start(&function.name).and_then(|span| self.source.at(span))
        {
            self.notes.aggregates.push(at);
        }
        if function.uses_odbc_syntax {
            self.odd("ODBC syntax");
        }
        for arguments in [&function.parameters, &function.args] {
            match arguments {
                FunctionArguments::None => {}
                FunctionArguments::Subquery(query) => self.subquery(query),
                FunctionArguments::List(list) => {
                    list.args.iter().for_each(|arg| rest.extend(argument_expression(arg)));
                    list.args.iter().for_each(|arg| self.argument_names(arg));
                    for clause in &list.clauses {
                        match clause {
                            FunctionArgumentClause::OrderBy(items) => {
                                items.iter().for_each(|item| self.order_by_item(item));
                            }
                            FunctionArgumentClause::Limit(e) | FunctionArgumentClause::Where(e) => rest.push(e),
                            FunctionArgumentClause::Separator(_) | FunctionArgumentClause::IgnoreOrRespectNulls(_) => {}
                            FunctionArgumentClause::OnOverflow(_)
                            | FunctionArgumentClause::Having(_)
                            | FunctionArgumentClause::JsonNullClause(_)
                            | FunctionArgumentClause::JsonReturningClause(_) => self.odd("this kind of function call"),
                        }
                    }
                }
            }
        }
        function.within_group.iter().for_each(|item| self.order_by_item(item));
        rest.extend(function.filter.as_deref());
        match &function.over {
            None => {}
            Some(WindowType::NamedWindow(ident)) => {
                self.notes.window = true;
                self.visit_ident(ident);
            }
            Some(WindowType::WindowSpec(spec)) => {
                self.notes.window = true;
                self.window(spec);
            }
        }
    }

    pub(super) fn function_argument(&mut self, arg: &FunctionArg) {
        self.argument_names(arg);
        argument_expression(arg).into_iter().for_each(|e| self.expression(e));
    }

    fn argument_names(&mut self, arg: &FunctionArg) {
        match arg {
            FunctionArg::Named { name, .. } => self.visit_ident(name),
            FunctionArg::ExprNamed { .. } => self.refuse("this kind of function argument"),
            FunctionArg::Unnamed(_) => {}
        }
        let (FunctionArg::Named { arg, .. } | FunctionArg::ExprNamed { arg, .. } | FunctionArg::Unnamed(arg)) = arg;
        match arg {
            FunctionArgExpr::QualifiedWildcard(name) => {
                self.qualifier(name);
                self.odd("a function of whole rows");
            }
            FunctionArgExpr::WildcardWithOptions(_) => self.refuse("this kind of function argument"),
            FunctionArgExpr::Expr(_) | FunctionArgExpr::Wildcard => {}
        }
    }

    pub(super) fn window(&mut self, spec: &WindowSpec) {
        spec.window_name.iter().for_each(|ident| self.visit_ident(ident));
        spec.partition_by.iter().for_each(|e| self.expression(e));
        spec.order_by.iter().for_each(|item| self.order_by_item(item));
    }

    pub fn order_by_item(&mut self, item: &OrderByExpr) {
        if item.with_fill.is_some() {
            self.refuse("ORDER BY ... WITH FILL");
        }
        self.expression(&item.expr);
    }

    /// The plain name of a function and what it does.
    pub fn function_name(&self, name: &ObjectName) -> (String, FunctionKind) {
        let parts = idents(name).unwrap_or_default();
        let Some(last) = parts.last() else { return (String::new(), FunctionKind::Unknown) };
        let plain = last.value.to_lowercase();
        let built_in = match parts.as_slice() {
            [_] => true,
            [schema, _] => !self.source.mysql() && schema.value.eq_ignore_ascii_case("pg_catalog"),
            _ => false,
        };
        let kind = if built_in { function_kind(self.source.schema, &plain) } else { FunctionKind::Unknown };
        (plain, kind)
    }

    pub(super) fn note_function(&mut self, name: &str, kind: FunctionKind) {
        use FunctionClass::{AdvisorySession, AdvisoryTransaction, NamedLock};
        let class = function_class(name.as_bytes(), self.source.tokens.dialect());
        if matches!(class, Some(NamedLock | AdvisorySession | AdvisoryTransaction)) {
            self.notes.named_lock.get_or_insert_with(|| name.to_owned());
        }
        const CATALOG: [&str; 6] = ["pg_", "to_reg", "has_", "obj_desc", "col_desc", "shobj_desc"];
        if !self.source.mysql() && CATALOG.iter().any(|prefix| name.starts_with(prefix)) {
            self.notes.catalog = true;
        }
        let place = match kind {
            FunctionKind::Pure | FunctionKind::Aggregate => return,
            FunctionKind::Window => return self.notes.window = true,
            FunctionKind::Stable => &mut self.notes.stable,
            FunctionKind::Volatile => &mut self.notes.volatile,
            FunctionKind::Rows => &mut self.notes.rows_function,
            FunctionKind::Sequence => &mut self.notes.sequence,
            FunctionKind::Hidden | FunctionKind::Unknown => &mut self.notes.opaque,
        };
        place.get_or_insert_with(|| name.to_owned());
    }

    fn note_opaque(&mut self, name: &str) {
        self.notes.opaque.get_or_insert_with(|| name.to_owned());
    }

    fn note_variable(&mut self, name: &str) {
        self.notes.variable.get_or_insert_with(|| name.to_owned());
    }

    fn note_unresolved(&mut self, name: String) {
        self.notes.unresolved.get_or_insert(name);
    }
}

fn argument_expression(arg: &FunctionArg) -> Option<&Expr> {
    let (FunctionArg::Named { arg, .. } | FunctionArg::ExprNamed { arg, .. } | FunctionArg::Unnamed(arg)) = arg;
    match arg {
        FunctionArgExpr::Expr(expr) => Some(expr),
        FunctionArgExpr::QualifiedWildcard(_) | FunctionArgExpr::Wildcard | FunctionArgExpr::WildcardWithOptions(_) => {
            None
        }
    }
}
