//! The rows of the shop as INSERT statements of many rows each, the same at every start.
//! An order's total is the sum of its items, so that anyone can check what a sharded sum says.

use super::TABLES;
use super::cells::{Cell, Dice};
use crate::demo::servers::ServerKind;

/// How many rows the shop has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Customers, numbered from 1.
    pub customers: i64,
    /// Orders, numbered from 1; each has 1 to 5 items, 3 on average.
    pub orders: i64,
    /// Products, numbered from 1.
    pub products: i64,
    /// Rows per statement.
    pub rows_per_statement: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { customers: 1_000, orders: 5_000, products: 100, rows_per_statement: 250 }
    }
}

/// Days from 1970-01-01 to the day the shop opened, 2023-01-02.
const OPENED: i64 = 19_359;
/// The same in microseconds.
const OPENED_MOMENT: i64 = OPENED * 86_400_000_000;

const FIRST_NAMES: [&str; 12] =
    ["Ada", "Björn", "Chloé", "Dmitri", "Emre", "Fatima", "Grace", "Hiro", "Inés", "João", "Kasia", "Łukasz"];
const LAST_NAMES: [&str; 10] =
    ["Almeida", "Berg", "Çelik", "Dubois", "Eriksson", "Fischer", "García", "Ito", "Kowalski", "Novák"];
const CITIES: [(&str, &str); 8] = [
    ("Berlin", "DE"),
    ("Göteborg", "SE"),
    ("Kraków", "PL"),
    ("Lisboa", "PT"),
    ("Lyon", "FR"),
    ("Málaga", "ES"),
    ("Osaka", "JP"),
    ("İzmir", "TR"),
];
const ADJECTIVES: [&str; 8] = ["blue", "foldable", "heavy", "light", "quiet", "red", "small", "wooden"];
const THINGS: [(&str, &str); 8] = [
    ("chair", "home"),
    ("desk", "office"),
    ("drill", "tools"),
    ("kettle", "kitchen"),
    ("lamp", "home"),
    ("notebook", "office"),
    ("pan", "kitchen"),
    ("saw", "tools"),
];
const STATUSES: [&str; 5] = ["new", "paid", "shipped", "delivered", "returned"];
const NOTES: [&str; 3] = ["likes to be called in the evening", "pays by invoice", "moved twice; ask for the address"];
const COMMENTS: [&str; 3] = ["leave at the door", "it is a present", "call before delivery"];
const SETTINGS: [(&str, Option<&str>); 10] = [
    ("banner", None),
    ("currency", Some("EUR")),
    ("free_shipping_from", Some("50.00")),
    ("language", Some("en")),
    ("maintenance", Some("off")),
    ("newsletter", Some("weekly")),
    ("returns_days", Some("30")),
    ("shop_name", Some("The corner shop")),
    ("support_mail", Some("help@shop.example")),
    ("tax_percent", Some("19")),
];

/// All rows as INSERT statements, tables in the order of [`TABLES`].
#[must_use]
pub fn statements(kind: ServerKind, sizes: &Sizes) -> Vec<String> {
    let products = products(sizes);
    let (orders, items) = orders(sizes, &products);
    let mut statements = Vec::new();
    for table in TABLES {
        let rows = match table.name {
            "products" => products.clone(),
            "settings" => settings(),
            "customers" => customers(sizes),
            "orders" => orders.clone(),
            _ => items.clone(),
        };
        for part in rows.chunks(sizes.rows_per_statement.max(1)) {
            statements.push(insert(kind, table.name, table.columns, part));
        }
    }
    statements
}

fn insert(kind: ServerKind, table: &str, columns: &str, rows: &[Vec<Cell>]) -> String {
    let mut sql = format!("INSERT INTO {table} ({columns}) VALUES ");
    for (index, row) in rows.iter().enumerate() {
        sql.push_str(if index == 0 { "(" } else { ", (" });
        for (index, cell) in row.iter().enumerate() {
            if index > 0 {
                sql.push_str(", ");
            }
            cell.write(kind, &mut sql);
        }
        sql.push(')');
    }
    sql
}

fn products(sizes: &Sizes) -> Vec<Vec<Cell>> {
    let mut dice = Dice::new(1);
    (1..=sizes.products)
        .map(|id| {
            let (thing, category) = THINGS[usize::try_from(id).unwrap_or(0) % THINGS.len()];
            let adjective = dice.pick(&ADJECTIVES);
            vec![
                Cell::Int(id),
                Cell::text(format!("P{id:09}")),
                Cell::text(format!("{adjective} {thing}")),
                Cell::text(category),
                Cell::Hundredths(199 + dice.below(20_000)),
                if dice.once_in(7) { Cell::Null } else { Cell::Float(dice.below(8_000) as f64 / 256.0) },
                Cell::Bool(!dice.once_in(9)),
                if dice.once_in(4) {
                    Cell::Null
                } else {
                    Cell::text(format!("{{\"colour\": \"{adjective}\", \"stock\": {}}}", dice.below(500)))
                },
                Cell::Date(OPENED - dice.below(900)),
            ]
        })
        .collect()
}

fn settings() -> Vec<Vec<Cell>> {
    SETTINGS
        .iter()
        .zip(0..)
        .map(|((name, value), day)| {
            let moment = OPENED_MOMENT + day * 86_400_000_000;
            vec![Cell::text(*name), value.map_or(Cell::Null, Cell::text), Cell::Moment(moment)]
        })
        .collect()
}

fn customers(sizes: &Sizes) -> Vec<Vec<Cell>> {
    let mut dice = Dice::new(2);
    (1..=sizes.customers)
        .map(|id| {
            let (first, last) = (dice.pick(&FIRST_NAMES), dice.pick(&LAST_NAMES));
            let (city, country) = CITIES[usize::try_from(dice.below(8)).unwrap_or(0)];
            vec![
                Cell::Int(id),
                Cell::Token(u128::from(dice.next()) << 64 | u128::from(dice.next())),
                Cell::text(format!("{first} {last}")),
                Cell::text(format!("customer{id}@mail.example")),
                if dice.once_in(12) { Cell::Null } else { Cell::text(city) },
                Cell::text(country),
                if dice.once_in(6) { Cell::Null } else { Cell::Date(-7_000 + dice.below(18_000)) },
                Cell::Hundredths(dice.below(100_000) - 10_000),
                if dice.once_in(5) { Cell::text(dice.pick(&NOTES)) } else { Cell::Null },
                Cell::Moment(OPENED_MOMENT + id * 3_600_000_000 + dice.below(3_600_000_000)),
            ]
        })
        .collect()
}

/// Orders and their items.
fn orders(sizes: &Sizes, products: &[Vec<Cell>]) -> (Vec<Vec<Cell>>, Vec<Vec<Cell>>) {
    let mut dice = Dice::new(3);
    let (mut orders, mut items) = (Vec::new(), Vec::new());
    for id in 1..=sizes.orders {
        // The lower of two throws: early customers have ordered more often.
        let customer = 1 + dice.below(sizes.customers).min(dice.below(sizes.customers));
        let mut total = 0;
        for line in 1..=1 + dice.below(5) {
            let product = usize::try_from(dice.below(sizes.products)).unwrap_or(0);
            let price = match products.get(product).and_then(|row| row.get(4)) {
                Some(Cell::Hundredths(price)) => *price,
                _ => 0,
            };
            let quantity = 1 + dice.below(4);
            total += price * quantity;
            items.push(vec![
                Cell::Int(customer),
                Cell::Int(id),
                Cell::Int(line),
                Cell::Int(i64::try_from(product).unwrap_or(0) + 1),
                Cell::Int(quantity),
                Cell::Hundredths(price),
                if dice.once_in(8) { Cell::Float(dice.below(8) as f64 / 16.0) } else { Cell::Null },
                Cell::Bool(dice.once_in(10)),
            ]);
        }
        let day = dice.below(700);
        let status = dice.pick(&STATUSES);
        orders.push(vec![
            Cell::Int(customer),
            Cell::Int(id),
            Cell::text(status),
            Cell::Moment(OPENED_MOMENT + day * 86_400_000_000 + dice.below(86_400_000_000)),
            if matches!(status, "new" | "paid") { Cell::Null } else { Cell::Date(OPENED + day + 1 + dice.below(5)) },
            Cell::Hundredths(total),
            if dice.once_in(10) { Cell::text(dice.pick(&COMMENTS)) } else { Cell::Null },
        ]);
    }
    (orders, items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shop_is_the_same_every_time() {
        let sizes = Sizes::default();
        assert_eq!(statements(ServerKind::MariaDb, &sizes), statements(ServerKind::MariaDb, &sizes));
    }

    #[test]
    fn every_row_has_a_value_for_every_column() {
        let sizes = Sizes { customers: 20, orders: 50, ..Sizes::default() };
        let products = products(&sizes);
        let (orders, items) = orders(&sizes, &products);
        let all = [products, settings(), customers(&sizes), orders, items];
        for (table, rows) in TABLES.iter().zip(&all) {
            assert!(!rows.is_empty(), "{}", table.name);
            for row in rows {
                assert_eq!(row.len(), table.columns.split(',').count(), "{}", table.name);
            }
        }
    }

    #[test]
    fn an_orders_total_is_the_sum_of_its_items() {
        let sizes = Sizes::default();
        let (orders, items) = orders(&sizes, &products(&sizes));
        let amount = |cell: &Cell| match cell {
            Cell::Int(value) | Cell::Hundredths(value) => *value,
            other => panic!("{other:?}"),
        };
        let of_items: i64 = items.iter().map(|row| amount(&row[4]) * amount(&row[5])).sum();
        let of_orders: i64 = orders.iter().map(|row| amount(&row[5])).sum();
        assert_eq!(of_items, of_orders);
    }

    #[test]
    fn a_statement_has_at_most_the_rows_asked_for() {
        let sizes = Sizes { customers: 10, orders: 5, products: 7, rows_per_statement: 3 };
        let all = statements(ServerKind::Postgres, &sizes);
        let products: Vec<_> = all.iter().filter(|sql| sql.starts_with("INSERT INTO products ")).collect();
        assert_eq!(
            products.iter().map(|sql| sql.matches("('P").count().max(sql.matches(", 'P").count())).max(),
            Some(3)
        );
        assert_eq!(products.len(), 3);
    }
}
