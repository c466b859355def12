//! What the generator knows of the shop's tables: columns, what can be done with them, values that occur.

use super::dice::Dice;
use super::select::Literal;

/// What kind of values a column holds, as far as statements about it differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A number from a small range: values occur often.
    Number(i64),
    /// Hundredths up to so many.
    Money(i64),
    Float,
    Day,
    Moment,
    /// 16 bytes, or a uuid.
    Token,
    Flag,
    Words(&'static [&'static str]),
    /// Text that the generator does not compare.
    Text,
}

/// A column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
}

/// A table.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    pub name: &'static str,
    /// Its name in every generated statement.
    pub alias: &'static str,
    pub columns: &'static [Column],
    /// The shard key, if it is sharded.
    pub key: Option<&'static str>,
    /// Columns that tell its rows apart.
    pub unique: &'static [&'static str],
}

/// Sizes of the shop that is generated.
pub const CUSTOMERS: i64 = 60;
pub const ORDERS: i64 = 240;
pub const PRODUCTS: i64 = 20;

const STATUSES: &[&str] = &["new", "paid", "shipped", "delivered", "returned", "no such"];
const CITIES: &[&str] = &["Berlin", "Lyon", "Osaka", "berlin", ""];
const COUNTRIES: &[&str] = &["DE", "SE", "FR", "XX"];
const CATEGORIES: &[&str] = &["home", "office", "tools", "kitchen"];

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind }
}

pub const CUSTOMERS_TABLE: Table = Table {
    name: "customers",
    alias: "c",
    columns: &[
        column("id", Kind::Number(CUSTOMERS)),
        column("token", Kind::Token),
        column("name", Kind::Text),
        column("city", Kind::Words(CITIES)),
        column("country", Kind::Words(COUNTRIES)),
        column("birthday", Kind::Day),
        column("credit", Kind::Money(90_000)),
        column("note", Kind::Text),
        column("created_at", Kind::Moment),
    ],
    key: Some("id"),
    unique: &["id"],
};

pub const ORDERS_TABLE: Table = Table {
    name: "orders",
    alias: "o",
    columns: &[
        column("customer_id", Kind::Number(CUSTOMERS)),
        column("id", Kind::Number(ORDERS)),
        column("status", Kind::Words(STATUSES)),
        column("placed_at", Kind::Moment),
        column("shipped_on", Kind::Day),
        column("total", Kind::Money(200_000)),
        column("comment", Kind::Text),
    ],
    key: Some("customer_id"),
    unique: &["customer_id", "id"],
};

pub const ITEMS_TABLE: Table = Table {
    name: "order_items",
    alias: "i",
    columns: &[
        column("customer_id", Kind::Number(CUSTOMERS)),
        column("order_id", Kind::Number(ORDERS)),
        column("line", Kind::Number(5)),
        column("product_id", Kind::Number(PRODUCTS)),
        column("quantity", Kind::Number(9)),
        column("price", Kind::Money(60_000)),
        column("discount", Kind::Float),
        column("gift", Kind::Flag),
    ],
    key: Some("customer_id"),
    unique: &["customer_id", "order_id", "line"],
};

pub const PRODUCTS_TABLE: Table = Table {
    name: "products",
    alias: "p",
    columns: &[
        column("id", Kind::Number(PRODUCTS)),
        column("sku", Kind::Text),
        column("name", Kind::Text),
        column("category", Kind::Words(CATEGORIES)),
        column("price", Kind::Money(60_000)),
        column("weight", Kind::Float),
        column("available", Kind::Flag),
        column("added_on", Kind::Day),
    ],
    key: None,
    unique: &["id"],
};

pub const SETTINGS_TABLE: Table = Table {
    name: "settings",
    alias: "s",
    columns: &[column("name", Kind::Text), column("value", Kind::Text)],
    key: None,
    unique: &["name"],
};

impl Kind {
    /// The merge orders such values itself; others are refused over several shards.
    pub fn sorts(self) -> bool {
        matches!(self, Self::Number(_) | Self::Money(_) | Self::Day | Self::Moment | Self::Token)
    }

    /// SUM of such values is exact.
    pub fn sums(self) -> bool {
        matches!(self, Self::Number(_) | Self::Money(_))
    }

    /// MIN and MAX of such values exist in both dialects.
    pub fn has_extremes(self) -> bool {
        matches!(self, Self::Number(_) | Self::Money(_) | Self::Day | Self::Moment)
    }

    /// A value to compare such a column with, often one that occurs.
    pub fn literal(self, dice: &mut Dice) -> Option<Literal> {
        Some(match self {
            Self::Number(most) if dice.percent(5) => Literal::Int(-dice.between(0, most)),
            Self::Number(most) => Literal::Int(dice.between(1, most + 2)),
            Self::Money(most) => {
                let value = dice.between(0, most);
                Literal::Decimal(format!("{}.{:02}", value / 100, value % 100))
            }
            Self::Day => {
                let day = format!("{}-{:02}-{:02}", dice.between(2022, 2025), dice.between(1, 12), dice.between(1, 28));
                Literal::Text(day)
            }
            Self::Moment => Literal::Text(format!(
                "{}-{:02}-{:02} {:02}:00:00",
                dice.between(2023, 2025),
                dice.between(1, 12),
                dice.between(1, 28),
                dice.between(0, 23)
            )),
            Self::Words(words) => Literal::Text((*dice.pick(words)).to_owned()),
            Self::Float | Self::Token | Self::Flag | Self::Text => return None,
        })
    }
}
