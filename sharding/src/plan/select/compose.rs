//! The five ways to merge: rows as they come, one row of aggregates, groups, DISTINCT, groups that no two shards share.
//! Out: what the statement's parts mean (see `super`).

use sqlparser::ast::Select;

use super::super::edit::{Anchor, Fragment, TokenEdit};
use super::super::fact::ColumnId;
use super::super::kinds::{groupable, readable, sortable};
use super::super::scatter::{CellSource, ColumnRef};
use super::{By, Draft, Item, Reason, Term, TokenRange, item_expression};
use crate::merge::{Aggregate, Grouping, Order, Spec};
use crate::schema::{ColumnKind, Protocol};
use sqlparser::ast::SelectItem;

impl Draft<'_, '_> {
    fn protocol(&self) -> Protocol {
        self.walk.source.schema.protocol
    }

    /// How many literals and parameters a term of ORDER BY holds.
    pub(super) fn values_in(&self, term: usize) -> (usize, usize) {
        self.clauses.order.get(term).map_or((0, 0), |(first, past)| self.walk.source.counts(*first, *past))
    }

    fn order(&self, cell: usize, descending: bool) -> Order {
        match self.protocol() {
            Protocol::MySql => Order::mysql(cell, descending),
            Protocol::Postgres => Order::postgres(cell, descending),
        }
    }

    /// Rows as they come, in the order of the terms.
    pub(super) fn plain(&mut self, terms: &[Term]) -> Result<Spec, Reason> {
        let mut order = Vec::new();
        for term in terms {
            let (kind, what) = self.term_kind(term);
            let kind = kind.filter(|kind| sortable(*kind, self.protocol()));
            let kind = kind.ok_or_else(|| format!("ORDER BY of {what}"))?;
            let cell = match term.by {
                By::Item(item) => self.item_cell(item, kind)?,
                By::Column(..) | By::Expression(_) => {
                    self.hidden_cell(self.term_text(term), kind, self.term_label(term))
                }
            };
            order.push(self.order(cell, term.descending));
        }
        Ok(Spec { order, ..Spec::default() })
    }

    /// One row of aggregates.
    pub(super) fn whole(&mut self) -> Result<Spec, Reason> {
        let aggregates = self.aggregates(|_| None)?;
        Ok(Spec { grouping: Some(Grouping { keys: Vec::new(), sorted: false, aggregates }), ..Spec::default() })
    }

    /// The aggregates of the select list; `key` says for other items which cell holds their group key.
    fn aggregates(&mut self, key: impl Fn(&Item) -> Option<usize>) -> Result<Vec<Aggregate>, Reason> {
        let mut aggregates = Vec::new();
        for (column, item) in self.items.clone().into_iter().enumerate() {
            match item {
                Item::Aggregate(function, kind) => {
                    let cell = self.item_cell_apart(column, kind)?;
                    aggregates.push(Aggregate { function, cell, column });
                }
                Item::Constant => {}
                ref other if key(other).is_some() => {}
                Item::Column(..) | Item::Expression(_) | Item::Wildcard => {
                    return Err("a select item that is neither an aggregate nor a GROUP BY column".to_owned());
                }
            }
        }
        Ok(aggregates)
    }

    /// DISTINCT over plain columns.
    pub(super) fn distinct(&mut self, terms: &[Term]) -> Result<Spec, Reason> {
        let mut keys = Vec::new();
        for (item, what) in self.items.clone().into_iter().enumerate() {
            let Item::Column(_, kind) = what else {
                return Err("SELECT DISTINCT of anything but plain columns".to_owned());
            };
            if !groupable(kind, self.protocol()) {
                return Err(format!("SELECT DISTINCT of {}", described(kind)));
            }
            keys.push((self.item_cell(item, kind)?, kind));
        }
        let mut order = Vec::new();
        for term in terms {
            let By::Item(item) = term.by else {
                return Err("SELECT DISTINCT with ORDER BY of what is not selected".to_owned());
            };
            let (cell, _) = *keys.get(item).ok_or("ORDER BY of such a position")?;
            order.push(self.order(cell, term.descending));
        }
        if !order.is_empty() {
            if let Some((_, kind)) = keys.iter().find(|(_, kind)| !sortable(*kind, self.protocol())) {
                return Err(format!("SELECT DISTINCT with ORDER BY of {}", described(*kind)));
            }
            let mut more = Vec::new();
            for (item, (cell, _)) in keys.iter().enumerate() {
                if !order.iter().any(|term| term.cell == *cell) {
                    order.push(self.order(*cell, false));
                    // By its position: its name may be the alias of another item.
                    more.push(vec![Fragment::Text((item + 1).to_string())]);
                }
            }
            self.append_order(more);
        }
        let sorted = !order.is_empty();
        let keys = keys.into_iter().map(|(cell, _)| cell).collect();
        let grouping = Some(Grouping { keys, sorted, aggregates: Vec::new() });
        Ok(Spec { order, grouping, ..Spec::default() })
    }

    /// Groups that several shards may have. True if the shards may cut at LIMIT, too.
    pub(super) fn grouped(&mut self, columns: &[Option<ColumnId>], terms: &[Term]) -> Result<(Spec, bool), Reason> {
        let mut keys: Vec<(ColumnId, usize, TokenRange)> = Vec::new();
        let mut all_sortable = true;
        for (index, column) in columns.iter().enumerate() {
            let column = column.ok_or("GROUP BY of an expression")?;
            let kind = self.walk.column_kind(column).ok_or("GROUP BY of an expression")?;
            if !groupable(kind, self.protocol()) {
                return Err(format!("GROUP BY of {}", described(kind)));
            }
            all_sortable &= sortable(kind, self.protocol());
            let range = self.clauses.group.get(index).copied().ok_or("GROUP BY of an expression")?;
            if ![1, 3, 5].contains(&(range.1 - range.0)) {
                return Err("GROUP BY of an expression".to_owned());
            }
            if keys.iter().any(|(known, ..)| *known == column) {
                continue;
            }
            let selected = |item: &Item| matches!(item, Item::Column(known, _) if *known == column);
            let cell = match self.items.iter().position(selected) {
                Some(item) => self.item_cell(item, kind)?,
                None => self.hidden_cell(vec![Fragment::Copy(range.0, range.1)], kind, self.column_label(column)),
            };
            keys.push((column, cell, range));
        }
        let key_of = |column: ColumnId| keys.iter().find(|(known, ..)| *known == column).map(|(_, cell, _)| *cell);
        let aggregates = self.aggregates(|item| match item {
            Item::Column(column, _) => key_of(*column),
            _ => None,
        })?;
        let mut by_keys = true;
        let mut wanted = Vec::new();
        for term in terms {
            let cell = match term.by {
                By::Item(item) => match self.items.get(item) {
                    Some(Item::Column(column, _)) => key_of(*column),
                    Some(Item::Aggregate(_, kind)) if sortable(*kind, self.protocol()) => {
                        by_keys = false;
                        aggregates.iter().find(|aggregate| aggregate.column == item).map(|aggregate| aggregate.cell)
                    }
                    _ => None,
                },
                By::Column(column, _) => key_of(column),
                By::Expression(_) => None,
            };
            wanted.push(
                self.order(cell.ok_or("ORDER BY of anything but GROUP BY columns and aggregates")?, term.descending),
            );
        }
        if let (false, Some((column, ..))) = (all_sortable, keys.iter().find(|(column, ..)| !self.orders(*column)))
            && wanted.iter().any(|term| Some(term.cell) == key_of(*column))
        {
            return Err("ORDER BY of a column that the merge cannot sort".to_owned());
        }
        let cells: Vec<usize> = keys.iter().map(|(_, cell, _)| *cell).collect();
        let copies = |ranges: Vec<TokenRange>| -> Vec<Vec<Fragment>> {
            ranges.into_iter().map(|(first, past)| vec![Fragment::Copy(first, past)]).collect()
        };
        let (order, order_after, sorted) = match (all_sortable, by_keys) {
            // The shards sort by the keys, in the order asked for; what was not asked for breaks ties.
            (true, true) => {
                let mut order = wanted;
                let rest: Vec<_> =
                    keys.iter().filter(|(_, cell, _)| !order.iter().any(|term| term.cell == *cell)).collect();
                order.extend(rest.iter().map(|(_, cell, _)| self.order(*cell, false)).collect::<Vec<_>>());
                let more = rest.iter().map(|(.., range)| *range).collect();
                self.append_order(copies(more));
                (order, Vec::new(), true)
            }
            // Totals are known only after the merge: the shards sort by the keys, the merge by the totals.
            (true, false) => {
                self.drop_order();
                self.append_order_behind_group(copies(keys.iter().map(|(.., range)| *range).collect()));
                (cells.iter().map(|cell| self.order(*cell, false)).collect(), wanted, true)
            }
            (false, _) => {
                self.drop_order();
                (Vec::new(), wanted, false)
            }
        };
        let pushed = sorted && order_after.is_empty();
        let grouping = Some(Grouping { keys: cells, sorted, aggregates });
        Ok((Spec { order, grouping, order_after, ..Spec::default() }, pushed))
    }

    fn orders(&self, column: ColumnId) -> bool {
        self.walk.column_kind(column).is_some_and(|kind| sortable(kind, self.protocol()))
    }

    /// A GROUP BY expression that is copied must mean the same in ORDER BY and in the select list: one name, not hidden
    /// by an alias of another item.
    pub(super) fn check_plain(&self, (first, past): TokenRange, by_name: bool, select: &Select) -> Result<(), Reason> {
        let words = past.saturating_sub(first);
        if words == 1
            && by_name
            && let Some(name) = self.walk.source.name_at(first)
        {
            let hidden = select.projection.iter().any(|item| match item {
                SelectItem::ExprWithAlias { expr, alias } => {
                    alias.value.eq_ignore_ascii_case(&name)
                        && self.walk.column(expr).is_none_or(|column| {
                            let table = self.walk.tables.get(column.relation).and_then(Option::as_deref);
                            let own = table.and_then(|table| table.columns.get(column.column));
                            !own.is_some_and(|own| own.name.eq_ignore_ascii_case(&name))
                        })
                }
                _ => false,
            });
            if hidden {
                return Err("GROUP BY of a name that is also an alias".to_owned());
            }
        }
        Ok(())
    }

    fn term_kind(&self, term: &Term) -> (Option<ColumnKind>, String) {
        let kind = match term.by {
            By::Item(item) => match self.items.get(item) {
                Some(Item::Column(_, kind) | Item::Aggregate(_, kind)) => Some(*kind),
                Some(Item::Expression(kind)) => *kind,
                Some(Item::Wildcard | Item::Constant) | None => None,
            },
            By::Column(_, kind) | By::Expression(kind) => Some(kind),
        };
        (kind, kind.map_or("an expression".to_owned(), |kind| described(kind).to_owned()))
    }

    fn term_text(&self, term: &Term) -> Vec<Fragment> {
        let (first, mut past) = term.range;
        let tail = ["ASC", "DESC", "NULLS", "FIRST", "LAST"];
        while past > first + 1 && tail.iter().any(|word| self.walk.source.is_word(past - 1, word)) {
            past -= 1;
        }
        vec![Fragment::Copy(first, past)]
    }

    /// The expression of a select item without its alias.
    fn item_text(&self, item: usize) -> Result<Vec<Fragment>, Reason> {
        let (first, mut past) = self.clauses.items.get(item).copied().ok_or("a position outside the select list")?;
        if let Some(alias) = self.alias_token(item) {
            past = alias;
            if past > first + 1 && self.walk.source.is_word(past - 1, "AS") {
                past -= 1;
            }
        }
        Ok(vec![Fragment::Copy(first, past)])
    }

    fn alias_token(&self, item: usize) -> Option<usize> {
        match self.select_items.get(item)? {
            SelectItem::ExprWithAlias { alias, .. } => self.walk.source.at(alias.span),
            other => item_expression(other).and(None),
        }
    }

    /// The cell of a select item, shared by all that look at it.
    fn item_cell(&mut self, item: usize, kind: ColumnKind) -> Result<usize, Reason> {
        match self.visible(item, kind) {
            Some(column) => {
                let known = self.cells.iter().position(|cell| cell.column == column);
                Ok(known.unwrap_or_else(|| self.cell(column, kind, self.item_label(item))))
            }
            None => {
                let text = self.item_text(item)?;
                Ok(self.hidden_cell(text, kind, self.item_label(item)))
            }
        }
    }

    /// The same, shared with nobody.
    fn item_cell_apart(&mut self, item: usize, kind: ColumnKind) -> Result<usize, Reason> {
        match self.visible(item, kind) {
            Some(column) => Ok(self.cell(column, kind, self.item_label(item))),
            None => {
                let text = self.item_text(item)?;
                Ok(self.hidden_cell(text, kind, self.item_label(item)))
            }
        }
    }

    fn column_label(&self, column: ColumnId) -> String {
        let table = self.walk.tables.get(column.relation).and_then(Option::as_deref);
        table.and_then(|table| table.columns.get(column.column)).map_or("?", |column| column.name.as_str()).to_owned()
    }

    fn item_label(&self, item: usize) -> String {
        match self.items.get(item) {
            Some(Item::Column(column, _)) => self.column_label(*column),
            _ => format!("column {}", item + 1),
        }
    }

    fn term_label(&self, term: &Term) -> String {
        match term.by {
            By::Item(item) => self.item_label(item),
            By::Column(column, _) => self.column_label(column),
            By::Expression(_) => "an expression".to_owned(),
        }
    }

    fn visible(&self, item: usize, kind: ColumnKind) -> Option<ColumnRef> {
        let counted = !self.items.iter().take(item + 1).any(|before| *before == Item::Wildcard);
        (counted && readable(kind, self.protocol())).then_some(ColumnRef::Visible(item))
    }

    fn cell(&mut self, column: ColumnRef, kind: ColumnKind, label: String) -> usize {
        self.labels.push(label);
        self.cells.push(CellSource { column, kind });
        self.cells.len() - 1
    }

    fn hidden_cell(&mut self, text: Vec<Fragment>, kind: ColumnKind, label: String) -> usize {
        let (text, kind) = match (self.protocol(), kind) {
            // Two moments can look the same in the session's zone.
            (Protocol::MySql, ColumnKind::Timestamp) => {
                let mut call = vec![Fragment::Text("UNIX_TIMESTAMP(".to_owned())];
                call.extend(text);
                call.push(Fragment::Text(")".to_owned()));
                (call, ColumnKind::Decimal { precision: 0, scale: None })
            }
            _ => (text, kind),
        };
        self.hidden.push(text);
        self.cell(ColumnRef::Hidden(self.hidden.len() - 1), kind, label)
    }

    /// More terms behind those of ORDER BY, or an ORDER BY of them.
    fn append_order(&mut self, terms: Vec<Vec<Fragment>>) {
        let Some((_, past)) = self.clauses.order_clause else { return self.append_order_behind_group(terms) };
        if terms.is_empty() {
            return;
        }
        let mut fragments = Vec::new();
        for term in terms {
            fragments.push(Fragment::Text(", ".to_owned()));
            fragments.extend(term);
        }
        self.edits.push(TokenEdit { anchor: Anchor::After(past - 1), fragments });
    }

    fn append_order_behind_group(&mut self, terms: Vec<Vec<Fragment>>) {
        let Some((_, past)) = self.clauses.group.last().copied() else { return };
        let mut fragments = Vec::new();
        for (index, term) in terms.into_iter().enumerate() {
            fragments.push(Fragment::Text(if index == 0 { " order by " } else { ", " }.to_owned()));
            fragments.extend(term);
        }
        if !fragments.is_empty() {
            self.edits.push(TokenEdit { anchor: Anchor::After(past - 1), fragments });
        }
    }

    fn drop_order(&mut self) {
        if let Some((first, past)) = self.clauses.order_clause {
            self.edits.push(TokenEdit { anchor: Anchor::Without(first, past), fragments: Vec::new() });
        }
    }
}

/// What a column that cannot be merged is called in a message.
fn described(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Text { .. } => "text columns",
        ColumnKind::Float { .. } => "floating-point columns",
        ColumnKind::Bytes { .. } => "BLOB columns",
        ColumnKind::Decimal { .. } => "numeric columns without a scale",
        ColumnKind::Uuid => "UUID columns",
        ColumnKind::Int { .. }
        | ColumnKind::Year
        | ColumnKind::Bool
        | ColumnKind::Date
        | ColumnKind::Time
        | ColumnKind::DateTime { .. }
        | ColumnKind::Timestamp
        | ColumnKind::Other => "columns of this type",
    }
}
