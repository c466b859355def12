//! Which column an identifier means, and what the conjuncts of a condition say about columns.

use sqlparser::ast::{BinaryOperator, Expr, Ident, InTarget};

use super::super::fact::{ColumnId, Fact, RelationId};
use super::{FactId, Scope, Walk};
use crate::route::Operand;

impl Walk<'_> {
    /// The column that an expression is, if it is one and it is certain which.
    pub fn column(&self, expr: &Expr) -> Option<ColumnId> {
        match expr {
            Expr::Nested(inner) => self.column(inner),
            Expr::Identifier(ident) => self.unqualified(ident),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [table, column] | [_, table, column] => self.qualified(table, column),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn column_of(&self, relation: RelationId, name: &str) -> Option<ColumnId> {
        let column = self.tables.get(relation)?.as_ref()?.column(name)?;
        Some(ColumnId { relation, column })
    }

    fn unqualified(&self, ident: &Ident) -> Option<ColumnId> {
        let name = self.source.column_name(ident);
        for scope in self.scopes.iter().rev() {
            if let Some((_, from)) = scope.merged.iter().rev().find(|(merged, _)| *merged == name) {
                return self.column_of((*from)?, &name);
            }
            let mut found = scope.relations.iter().filter_map(|relation| self.column_of(*relation, &name));
            if let Some(column) = found.next() {
                // Two of them are an error of the statement.
                return found.next().is_none().then_some(column);
            }
            // It may belong to something whose columns are not known.
            if scope.relations.iter().any(|relation| self.tables.get(*relation).is_none_or(Option::is_none)) {
                return None;
            }
        }
        None
    }

    fn qualified(&self, table: &Ident, column: &Ident) -> Option<ColumnId> {
        let wanted = self.source.table_name(table);
        let named = |scope: &Scope| -> Vec<RelationId> {
            let relations = scope.relations.iter().copied();
            relations.filter(|id| self.relations.get(*id).is_some_and(|r| r.name == wanted)).collect()
        };
        for scope in self.scopes.iter().rev() {
            match named(scope).as_slice() {
                [] => {}
                [relation] => return self.column_of(*relation, &self.source.column_name(column)),
                _ => return None,
            }
        }
        None
    }

    /// True if the name is an alias of the select list of the innermost block.
    pub fn is_alias(&self, name: &str) -> bool {
        self.scopes.last().is_some_and(|scope| scope.aliases.iter().any(|alias| alias == name))
    }

    /// What a condition says, as facts that hold wherever it is true.
    pub fn conclude(&mut self, condition: &Expr) -> Vec<FactId> {
        if self.source.misread {
            return Vec::new();
        }
        let facts = self.facts_in(condition);
        facts.into_iter().map(|fact| self.add_fact(fact)).collect()
    }

    pub fn add_fact(&mut self, fact: Fact) -> FactId {
        self.facts.push(fact);
        self.facts.len() - 1
    }

    fn facts_in(&self, condition: &Expr) -> Vec<Fact> {
        let mut facts = Vec::new();
        let mut rest = vec![condition];
        while let Some(expr) = rest.pop() {
            match expr {
                Expr::Nested(inner) => rest.push(inner),
                Expr::BinaryOp { left, op: BinaryOperator::And, right } => rest.extend([right.as_ref(), left.as_ref()]),
                Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => self.equality(left, right, &mut facts),
                Expr::BinaryOp { op: BinaryOperator::Or, .. } => facts.extend(self.alternatives(expr)),
                Expr::In { expr, target: InTarget::List(list), negated: false, global: false } => {
                    self.membership(expr, list, &mut facts);
                }
                _ => {}
            }
        }
        facts
    }

    fn equality(&self, left: &Expr, right: &Expr, facts: &mut Vec<Fact>) {
        if let (Expr::Tuple(left), Expr::Tuple(right)) = (left, right) {
            if left.len() == right.len() {
                left.iter().zip(right).for_each(|(left, right)| self.equality(left, right, facts));
            }
            return;
        }
        match (self.column(left), self.column(right)) {
            (Some(a), Some(b)) => facts.push(Fact::Equal(a, b)),
            (Some(column), None) => {
                facts.extend(self.source.operand(right).map(|operand| Fact::OneOf(column, vec![operand])));
            }
            (None, Some(column)) => {
                facts.extend(self.source.operand(left).map(|operand| Fact::OneOf(column, vec![operand])));
            }
            (None, None) => {}
        }
    }

    fn membership(&self, tested: &Expr, list: &[Expr], facts: &mut Vec<Fact>) {
        if let Some(column) = self.column(tested) {
            let operands: Option<Vec<Operand>> = list.iter().map(|item| self.source.operand(item)).collect();
            facts.extend(operands.map(|operands| Fact::OneOf(column, operands)));
        } else if let Expr::Tuple(columns) = tested {
            let branches: Vec<Vec<Fact>> = list
                .iter()
                .map(|item| {
                    let mut branch = Vec::new();
                    if let Expr::Tuple(values) = item
                        && values.len() == columns.len()
                    {
                        columns.iter().zip(values).for_each(|(c, v)| self.equality(c, v, &mut branch));
                    }
                    branch
                })
                .collect();
            if branches.len() <= ALTERNATIVES_MAX && branches.iter().all(|branch| !branch.is_empty()) {
                facts.push(Fact::Either(branches));
            }
        }
    }

    /// A chain of ORs as one fact; none if one of them says nothing.
    fn alternatives(&self, expr: &Expr) -> Option<Fact> {
        let mut branches = Vec::new();
        let mut rest = vec![expr];
        while let Some(expr) = rest.pop() {
            match expr {
                Expr::Nested(inner) => rest.push(inner),
                Expr::BinaryOp { left, op: BinaryOperator::Or, right } => rest.extend([right.as_ref(), left.as_ref()]),
                _ => {
                    let facts = self.facts_in(expr);
                    if facts.is_empty() || branches.len() == ALTERNATIVES_MAX {
                        return None;
                    }
                    branches.push(facts);
                }
            }
        }
        Some(Fact::Either(branches))
    }
}

/// Most alternatives of an OR that are looked at.
const ALTERNATIVES_MAX: usize = 1000;
