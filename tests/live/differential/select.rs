//! A SELECT in parts, so that it can be written in both dialects, with literals or parameters, and made smaller.

use crate::bed::ServerKind;

/// A value in a statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    Int(i64),
    Decimal(String),
    /// Also dates and times.
    Text(String),
}

/// Text of a statement, or a value in it.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    Sql(String),
    Value(Literal),
}

/// What is selected.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub sql: String,
}

/// One term of ORDER BY.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    pub sql: String,
    pub descending: bool,
    /// The item with the same value, if it is selected.
    pub item: Option<usize>,
}

/// A SELECT.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Select {
    pub distinct: bool,
    pub items: Vec<Item>,
    pub from: String,
    pub conditions: Vec<Vec<Piece>>,
    pub group: Vec<String>,
    pub order: Vec<Order>,
    /// ORDER BY tells all rows apart.
    pub total_order: bool,
    pub take: Option<i64>,
    pub skip: Option<i64>,
    /// Anything after the rest.
    pub tail: String,
    /// What kind of statement it is, for the counts.
    pub class: &'static str,
    /// It must run, not be refused.
    pub supported: bool,
}

/// A statement as it is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    pub sql: String,
    /// Values of its parameters; none where they are written out.
    pub parameters: Vec<Literal>,
}

impl Select {
    /// The statement, with parameters or with literals.
    pub fn write(&self, kind: ServerKind, parameters: bool) -> Statement {
        let mut out = Writer { kind, prepared: parameters, sql: String::new(), parameters: Vec::new() };
        out.text(if self.distinct { "SELECT DISTINCT " } else { "SELECT " });
        let items: Vec<&str> = self.items.iter().map(|item| item.sql.as_str()).collect();
        out.text(&items.join(", "));
        if !self.from.is_empty() {
            out.text(" FROM ");
            out.text(&self.from);
        }
        for (n, condition) in self.conditions.iter().enumerate() {
            out.text(if n == 0 { " WHERE " } else { " AND " });
            condition.iter().for_each(|piece| out.piece(piece));
        }
        if !self.group.is_empty() {
            out.text(" GROUP BY ");
            out.text(&self.group.join(", "));
        }
        let direction = |order: &Order| format!("{}{}", order.sql, if order.descending { " DESC" } else { "" });
        if !self.order.is_empty() {
            out.text(" ORDER BY ");
            out.text(&self.order.iter().map(direction).collect::<Vec<_>>().join(", "));
        }
        if let Some(take) = self.take {
            out.text(" LIMIT ");
            out.piece(&Piece::Value(Literal::Int(take)));
        }
        if let Some(skip) = self.skip {
            out.text(" OFFSET ");
            out.piece(&Piece::Value(Literal::Int(skip)));
        }
        out.text(&self.tail);
        Statement { sql: out.sql, parameters: out.parameters }
    }

    /// The same with one part less, for each part that can go.
    pub fn smaller(&self) -> Vec<Self> {
        let mut all = Vec::new();
        let mut with = |change: &dyn Fn(&mut Self)| {
            let mut less = self.clone();
            change(&mut less);
            if less != *self {
                all.push(less);
            }
        };
        for n in 0..self.conditions.len() {
            with(&|less| drop(less.conditions.remove(n)));
        }
        for n in 0..self.order.len() {
            with(&|less| {
                less.order.remove(n);
                less.total_order = false;
            });
        }
        // Groups and DISTINCT depend on the items.
        if self.group.is_empty() && !self.distinct {
            for n in (0..self.items.len()).filter(|_| self.items.len() > 1) {
                with(&|less| {
                    less.items.remove(n);
                    less.order.iter_mut().for_each(|order| {
                        order.item = order.item.filter(|item| *item != n).map(|item| item - usize::from(item > n));
                    });
                });
            }
        }
        with(&|less| less.skip = None);
        with(&|less| (less.take, less.skip) = (None, None));
        with(&|less| less.distinct = false);
        all
    }
}

struct Writer {
    kind: ServerKind,
    prepared: bool,
    sql: String,
    parameters: Vec<Literal>,
}

impl Writer {
    fn text(&mut self, text: &str) {
        self.sql.push_str(text);
    }

    fn piece(&mut self, piece: &Piece) {
        match piece {
            Piece::Sql(text) => self.text(text),
            Piece::Value(value) if self.prepared => {
                self.parameters.push(value.clone());
                match self.kind {
                    ServerKind::MariaDb => self.sql.push('?'),
                    ServerKind::Postgres => self.sql.push_str(&format!("${}", self.parameters.len())),
                }
            }
            Piece::Value(Literal::Int(value)) => self.sql.push_str(&value.to_string()),
            Piece::Value(Literal::Decimal(value)) => self.sql.push_str(value),
            Piece::Value(Literal::Text(value)) => {
                assert!(!value.contains(['\'', '\\']), "{value}");
                self.sql.push_str(&format!("'{value}'"));
            }
        }
    }
}
