//! Which shards a statement's rows are on: a rule made once per plan, evaluated with the values of each execution.
//! Out: SQL text, and what happens on the shards.
//! Invariant: a set of shards may be too large, never too small.

use crate::placement::{Canonical, KeyBytes, KeyType, SlotMap, Use, slot_of, uuid};
use crate::schema::ShardIndex;
use crate::value::Value;

/// The values of one execution.
pub trait Values {
    /// Value of the `index`-th literal of the statement, in the lexer's order, from 0.
    fn literal(&self, index: usize) -> Value;
    /// Value of a parameter, from 0 (PostgreSQL's `$1` is 0).
    fn parameter(&self, index: usize) -> Value;
    /// Literals in this statement's text: a row list may be longer or shorter than the one that was planned.
    fn literal_count(&self) -> usize;
    /// Parameters in this statement's text.
    fn parameter_count(&self) -> usize;
}

/// Where a key value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// A literal of the statement.
    Literal(usize),
    /// A literal behind a minus sign.
    NegatedLiteral(usize),
    /// A bound parameter.
    Parameter(usize),
    /// Another operand behind a PostgreSQL cast.
    Cast(Box<Operand>, CastTo),
    /// Part of the plan: what the fingerprint does not replace (TRUE, NULL ...).
    Constant(Value),
}

/// Casts whose result is known here, where they succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CastTo {
    /// To smallint, integer or bigint.
    Integer,
    /// To text, or varchar without a length.
    Text,
    /// To uuid.
    Uuid,
}

/// A key: how to place it.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// The types of its columns.
    pub columns: Vec<KeyType>,
}

/// Where the rows of one table are that can matter to the statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// Anywhere.
    Everything,
    /// Nowhere: no row matters.
    Nothing,
    /// Where the key is one of these: for each key column the values it is compared with. A composite key has one of
    /// every combination.
    Key {
        /// How to place it.
        key: Key,
        /// For each key column, its candidates.
        candidates: Vec<Vec<Operand>>,
    },
    /// Where any of these holds.
    Any(Vec<Condition>),
    /// Where all of these hold.
    All(Vec<Condition>),
}

/// Where a statement goes.
#[derive(Clone, Debug, PartialEq)]
pub enum RouteRule {
    /// To no shard: answered here.
    Local,
    /// To this shard, whatever the values.
    Fixed(ShardIndex),
    /// To any shard: it reads only what every shard has.
    Anywhere,
    /// To every shard; the rule only checks the rows of an INSERT.
    Everywhere(Option<Box<RowsRule>>),
    /// To the shards that hold what each of these tables contributes, and this shard if given.
    Keys {
        /// One for each use of a sharded table.
        uses: Vec<Condition>,
        /// Where the single tables are that it reads too.
        also: Option<ShardIndex>,
    },
    /// Each row of an INSERT to its shard.
    Rows(Box<RowsRule>),
}

/// Where the rows of an INSERT go.
#[derive(Clone, Debug, PartialEq)]
pub struct RowsRule {
    /// How to place a row.
    pub key: Key,
    /// The rows as planned; where they are alike, the first stands for all.
    pub rows: Vec<RowRule>,
    /// Set where the rows are alike: a text with more or fewer of them has the same plan.
    pub alike: Option<Alike>,
    /// Literals of the planned text, outside the rows if they are alike.
    pub literals: usize,
    /// Parameters of the planned text, outside the rows if they are alike.
    pub parameters: usize,
}

/// One row of an INSERT.
#[derive(Clone, Debug, PartialEq)]
pub struct RowRule {
    /// The key's values, one for each key column.
    pub key: Vec<Operand>,
    /// Values that must not ask the server for the next number of a counter.
    pub explicit: Vec<Operand>,
}

/// How far the values of one row are from those of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alike {
    /// Literals per row.
    pub literals: usize,
    /// Parameters per row.
    pub parameters: usize,
}

/// A set of shards.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ShardSet {
    /// Shards 0 to 63, one bit each: few have more, and a set is made with every statement.
    first: u64,
    /// The others, 64 in each.
    more: Vec<u64>,
}

/// Most combinations of a composite key that are looked at; more mean every shard.
const COMBINATIONS_MAX: usize = 4096;

impl ShardSet {
    /// No shard.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Shards 0 to `count` - 1.
    #[must_use]
    pub fn all(count: usize) -> Self {
        let mut set = Self::new();
        (0..count).for_each(|shard| set.insert(shard as ShardIndex));
        set
    }

    /// Adds a shard.
    pub fn insert(&mut self, shard: ShardIndex) {
        let bit = 1 << (shard % 64);
        let Some(word) = usize::from(shard / 64).checked_sub(1) else {
            self.first |= bit;
            return;
        };
        if self.more.len() <= word {
            self.more.resize(word + 1, 0);
        }
        if let Some(bits) = self.more.get_mut(word) {
            *bits |= bit;
        }
    }

    /// Adds every shard of another set.
    pub fn union(&mut self, other: &Self) {
        self.first |= other.first;
        self.more.resize(self.more.len().max(other.more.len()), 0);
        self.more.iter_mut().zip(&other.more).for_each(|(mine, theirs)| *mine |= theirs);
    }

    /// Keeps only what is in both.
    pub fn intersect(&mut self, other: &Self) {
        self.first &= other.first;
        self.more.truncate(other.more.len());
        self.more.iter_mut().zip(&other.more).for_each(|(mine, theirs)| *mine &= theirs);
    }

    fn words(&self) -> impl Iterator<Item = u64> + '_ {
        std::iter::once(self.first).chain(self.more.iter().copied())
    }

    /// The shards, ascending.
    pub fn iter(&self) -> impl Iterator<Item = ShardIndex> + '_ {
        self.words().enumerate().flat_map(|(word, bits)| {
            (0..64u16).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| (word * 64) as ShardIndex + bit)
        })
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words().map(|bits| bits.count_ones() as usize).sum()
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words().all(|bits| bits == 0)
    }

    /// The one shard, if there is exactly one.
    #[must_use]
    pub fn single(&self) -> Option<ShardIndex> {
        if self.more.is_empty() {
            return self.first.is_power_of_two().then(|| self.first.trailing_zeros() as ShardIndex);
        }
        let mut shards = self.iter();
        shards.next().filter(|_| shards.next().is_none())
    }
}

impl Operand {
    /// Its value in this execution.
    #[must_use]
    pub fn value(&self, values: &dyn Values) -> Value {
        match self {
            Self::Literal(index) => values.literal(*index),
            Self::NegatedLiteral(index) => match values.literal(*index) {
                Value::Int(n) => n.checked_neg().map_or(Value::Unknown, Value::Int),
                Value::Decimal(text) if !text.starts_with('-') => Value::Decimal(format!("-{text}")),
                Value::Null => Value::Null,
                _ => Value::Unknown,
            },
            Self::Parameter(index) => values.parameter(*index),
            Self::Cast(operand, to) => match (operand.value(values), to) {
                (Value::Null, _) => Value::Null,
                (value @ Value::Int(_), CastTo::Integer)
                | (value @ Value::Text(_), CastTo::Text)
                | (value @ Value::Uuid(_), CastTo::Uuid) => value,
                (Value::Text(text), CastTo::Integer) => integer(&text).map_or(Value::Unknown, Value::Int),
                (Value::Text(text), CastTo::Uuid) => uuid(&text).map_or(Value::Unknown, Value::Uuid),
                _ => Value::Unknown,
            },
            Self::Constant(value) => value.clone(),
        }
    }
}

/// Digits with or without a minus.
fn integer(text: &[u8]) -> Option<i128> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    plain.then(|| std::str::from_utf8(text).ok()?.parse().ok()).flatten()
}

impl Condition {
    /// The shards on which it can hold.
    #[must_use]
    pub fn shards(&self, values: &dyn Values, slots: &SlotMap, count: usize) -> ShardSet {
        match self {
            Self::Everything => ShardSet::all(count),
            Self::Nothing => ShardSet::new(),
            Self::Key { key, candidates } => {
                key.shards(candidates, values, slots).unwrap_or_else(|| ShardSet::all(count))
            }
            Self::Any(parts) => parts.iter().fold(ShardSet::new(), |mut set, part| {
                set.union(&part.shards(values, slots, count));
                set
            }),
            Self::All(parts) => parts.iter().fold(ShardSet::all(count), |mut set, part| {
                set.intersect(&part.shards(values, slots, count));
                set
            }),
        }
    }
}

impl Key {
    /// `None` if any candidate is not certain.
    fn shards(&self, candidates: &[Vec<Operand>], values: &dyn Values, slots: &SlotMap) -> Option<ShardSet> {
        let mut set = ShardSet::new();
        if let ([column], [operands]) = (&*self.columns, candidates) {
            for operand in operands {
                match column.canonical(&operand.value(values), Use::Compare) {
                    Canonical::Bytes(bytes) => set.insert(slots.shard(slot_of(&[Some(&bytes)]))),
                    // `key = NULL` is never true.
                    Canonical::Null => {}
                    Canonical::Uncertain => return None,
                }
            }
            return Some(set);
        }
        let mut parts: Vec<Vec<KeyBytes>> = Vec::with_capacity(candidates.len());
        let mut combinations = 1usize;
        for (column, operands) in self.columns.iter().zip(candidates) {
            let mut part = Vec::with_capacity(operands.len());
            for operand in operands {
                match column.canonical(&operand.value(values), Use::Compare) {
                    Canonical::Bytes(bytes) => part.push(bytes),
                    Canonical::Null => {}
                    Canonical::Uncertain => return None,
                }
            }
            combinations = combinations.saturating_mul(part.len());
            parts.push(part);
        }
        if parts.len() != self.columns.len() || combinations > COMBINATIONS_MAX {
            return None;
        }
        for combination in 0..combinations {
            let mut rest = combination;
            let chosen: Vec<Option<&[u8]>> = parts
                .iter()
                .map(|part| {
                    let bytes = part.get(rest % part.len()).map(|bytes| &**bytes);
                    rest /= part.len();
                    bytes
                })
                .collect();
            set.insert(slots.shard(slot_of(&chosen)));
        }
        Some(set)
    }

    /// The shard on which these values are stored; `None` if that is not certain.
    fn shard_of_row(&self, operands: &[Value], slots: &SlotMap) -> Option<ShardIndex> {
        let mut parts = Vec::with_capacity(operands.len());
        for (column, value) in self.columns.iter().zip(operands) {
            match column.canonical(value, Use::Store) {
                Canonical::Bytes(bytes) => parts.push(Some(bytes)),
                Canonical::Null => parts.push(None),
                Canonical::Uncertain => return None,
            }
        }
        if parts.len() != self.columns.len() {
            return None;
        }
        let parts: Vec<Option<&[u8]>> = parts.iter().map(Option::as_deref).collect();
        Some(slots.shard(slot_of(&parts)))
    }
}

/// Why the rows of an INSERT could not be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowsError {
    /// What the server makes of a key value is not certain.
    KeyUncertain,
    /// A row leaves a counter's value to the server.
    CounterLeftOut,
    /// The rows are not alike.
    Uneven,
}

impl RowsRule {
    /// The shard of each row, in statement order.
    ///
    /// # Errors
    /// A row that cannot be placed for certain.
    pub fn rows(&self, values: &dyn Values, slots: &SlotMap) -> Result<Vec<ShardIndex>, RowsError> {
        let count = self.row_count(values).ok_or(RowsError::Uneven)?;
        let mut shards = Vec::with_capacity(count);
        for row in 0..count {
            let (rule, far) = match self.alike {
                Some(alike) => (self.rows.first(), (row * alike.literals, row * alike.parameters)),
                None => (self.rows.get(row), (0, 0)),
            };
            let rule = rule.ok_or(RowsError::Uneven)?;
            let value = |operand: &Operand| operand.moved(far.0, far.1).value(values);
            if !rule.explicit.iter().all(|operand| is_explicit(&value(operand))) {
                return Err(RowsError::CounterLeftOut);
            }
            let key: Vec<Value> = rule.key.iter().map(value).collect();
            shards.push(self.key.shard_of_row(&key, slots).ok_or(RowsError::KeyUncertain)?);
        }
        Ok(shards)
    }

    fn row_count(&self, values: &dyn Values) -> Option<usize> {
        let literals = values.literal_count().checked_sub(self.literals)?;
        let parameters = values.parameter_count().checked_sub(self.parameters)?;
        let Some(alike) = self.alike else {
            return (literals == 0 && parameters == 0).then_some(self.rows.len());
        };
        let rows = |inside: usize, each: usize| match each {
            0 => (inside == 0).then_some(None),
            each => inside.is_multiple_of(each).then_some(Some(inside / each)),
        };
        match (rows(literals, alike.literals)?, rows(parameters, alike.parameters)?) {
            (Some(a), Some(b)) if a != b => None,
            (Some(rows), _) | (None, Some(rows)) => (rows > 0).then_some(rows),
            (None, None) => (self.rows.len() == 1).then_some(1),
        }
    }
}

/// True if MySQL stores this in a counter as it is: NULL and 0 mean "the next number".
fn is_explicit(value: &Value) -> bool {
    match value {
        Value::Int(n) => *n != 0,
        Value::Text(text) => {
            text.first().is_some_and(|b| (b'1'..=b'9').contains(b)) && text.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    }
}

impl Operand {
    /// The same operand so many literals and parameters further on.
    #[must_use]
    pub fn moved(&self, literals: usize, parameters: usize) -> Self {
        match self {
            Self::Literal(n) => Self::Literal(n + literals),
            Self::NegatedLiteral(n) => Self::NegatedLiteral(n + literals),
            Self::Parameter(n) => Self::Parameter(n + parameters),
            Self::Cast(operand, to) => Self::Cast(Box::new(operand.moved(literals, parameters)), *to),
            Self::Constant(value) => Self::Constant(value.clone()),
        }
    }
}
