//! Makes SELECTs over the shop at random, by classes: most of what must run over several shards, some of what may be
//! refused but must not be wrong.

use super::columns::{CUSTOMERS_TABLE, Column, ITEMS_TABLE, Kind, ORDERS_TABLE, PRODUCTS_TABLE, SETTINGS_TABLE, Table};
use super::dice::Dice;
use super::select::{Item, Literal, Order, Piece, Select};
use crate::bed::ServerKind;

/// A column of a table in FROM.
type Place = (Table, Column);

/// One statement.
pub fn select(dice: &mut Dice, kind: ServerKind) -> Select {
    match dice.below(100) {
        0..15 => by_key(dice),
        15..40 => rows(dice),
        40..55 => totals(dice),
        55..75 => groups(dice),
        75..85 => distinct(dice),
        85..90 => elsewhere(dice),
        _ => wild(dice, kind),
    }
}

/// FROM: one sharded table, or a join of co-located and reference tables.
fn from(dice: &mut Dice) -> (String, Vec<Table>) {
    let (c, o, i, p) = (CUSTOMERS_TABLE, ORDERS_TABLE, ITEMS_TABLE, PRODUCTS_TABLE);
    let join = if dice.percent(25) { "LEFT JOIN" } else { "JOIN" };
    match dice.below(10) {
        0 | 1 => ("customers c".into(), vec![c]),
        2..5 => ("orders o".into(), vec![o]),
        5 | 6 => ("order_items i".into(), vec![i]),
        7 => (format!("customers c {join} orders o ON o.customer_id = c.id"), vec![c, o]),
        8 => (
            format!("orders o {join} order_items i ON i.customer_id = o.customer_id AND i.order_id = o.id"),
            vec![o, i],
        ),
        _ => ("order_items i JOIN products p ON p.id = i.product_id".into(), vec![i, p]),
    }
}

fn places(tables: &[Table], fits: impl Fn(Kind) -> bool) -> Vec<Place> {
    let all = tables.iter().flat_map(|table| table.columns.iter().map(|column| (*table, *column)));
    all.filter(|(_, column)| fits(column.kind)).collect()
}

fn name((table, column): &Place) -> String {
    format!("{}.{}", table.alias, column.name)
}

fn item(sql: impl Into<String>) -> Item {
    Item { sql: sql.into() }
}

fn value(literal: Literal) -> Piece {
    Piece::Value(literal)
}

fn sql(text: impl Into<String>) -> Piece {
    Piece::Sql(text.into())
}

/// `column = literal` and its like; never on a shard key alone.
fn condition(dice: &mut Dice, tables: &[Table]) -> Vec<Piece> {
    let places = places(tables, |_| true);
    let place = dice.pick(&places);
    let (column, kind) = (name(place), place.1.kind);
    if dice.percent(15) {
        return vec![sql(format!("{column} IS {}NULL", if dice.percent(50) { "NOT " } else { "" }))];
    }
    let Some(literal) = kind.literal(dice) else {
        return vec![sql(format!("{column} IS NOT NULL"))];
    };
    match dice.below(10) {
        0..3 => vec![sql(format!("{column} <= ")), value(literal)],
        3..6 => vec![sql(format!("{column} > ")), value(literal)],
        6 => vec![sql(format!("{column} <> ")), value(literal)],
        7 => {
            let other = kind.literal(dice).unwrap_or_else(|| literal.clone());
            vec![sql(format!("{column} IN (")), value(literal), sql(", "), value(other), sql(")")]
        }
        8 => {
            let other = condition(dice, tables);
            let mut pieces = vec![sql(format!("({column} < ")), value(literal), sql(" OR ")];
            pieces.extend(other);
            pieces.push(sql(")"));
            pieces
        }
        _ => vec![sql(format!("{column} >= ")), value(literal)],
    }
}

fn conditions(dice: &mut Dice, tables: &[Table]) -> Vec<Vec<Piece>> {
    let count = [0, 0, 1, 1, 2][dice.below(5)];
    (0..count).map(|_| condition(dice, tables)).collect()
}

/// Plain columns and, now and then, an expression over them.
fn items(dice: &mut Dice, tables: &[Table]) -> Vec<Item> {
    if dice.percent(8) {
        return vec![item("*")];
    }
    let places = dice.some(&places(tables, |_| true), 5);
    let mut items: Vec<Item> = places.iter().map(|place| item(name(place))).collect();
    if dice.percent(25) {
        let (table, column) = &places[0];
        let column_name = name(&places[0]);
        items.push(item(match column.kind {
            Kind::Number(_) | Kind::Money(_) => format!("{column_name} * 2 - 1"),
            Kind::Words(_) | Kind::Text => format!("UPPER({column_name})"),
            Kind::Day | Kind::Moment => format!("EXTRACT(YEAR FROM {column_name})"),
            _ => format!("COALESCE({}.{}, 0) + 1", table.alias, table.unique[0]),
        }));
    }
    items
}

/// Terms of ORDER BY: sortable columns, and often enough the unique keys that make the order total.
fn order(dice: &mut Dice, tables: &[Table], items: &[Item], total: bool) -> Vec<Order> {
    let term = |dice: &mut Dice, column: String| {
        let item = items.iter().position(|item| item.sql == column);
        // By position or by name.
        let sql = match item {
            Some(n) if dice.percent(10) && items.iter().all(|item| item.sql != "*") => (n + 1).to_string(),
            _ => column,
        };
        Order { sql, descending: dice.percent(40), item }
    };
    let places = dice.some(&places(tables, Kind::sorts), 2);
    let mut order: Vec<Order> = places.iter().map(|place| term(dice, name(place))).collect();
    if total {
        for table in tables {
            for column in table.unique {
                order.push(term(dice, format!("{}.{column}", table.alias)));
            }
        }
    }
    order
}

fn window(dice: &mut Dice, select: &mut Select) {
    if dice.percent(50) {
        select.take = Some([0, 1, 5, 20, 1000][dice.below(5)]);
        if dice.percent(50) {
            select.skip = Some([0, 1, 7, 500][dice.below(4)]);
        }
    }
}

/// A condition that pins the shard key: `=`, or IN.
fn pinned(dice: &mut Dice, table: &Table) -> Vec<Piece> {
    let column = format!("{}.{}", table.alias, table.key.unwrap_or("id"));
    let key = |dice: &mut Dice| value(Literal::Int(dice.between(1, super::columns::CUSTOMERS)));
    if dice.percent(70) {
        return vec![sql(format!("{column} = ")), key(dice)];
    }
    let mut pieces = vec![sql(format!("{column} IN (")), key(dice)];
    for _ in 0..dice.below(4) {
        pieces.extend([sql(", "), key(dice)]);
    }
    pieces.push(sql(")"));
    pieces
}

fn by_key(dice: &mut Dice) -> Select {
    let (from, tables) = from(dice);
    let mut conditions = conditions(dice, &tables);
    conditions.push(pinned(dice, &tables[0]));
    let items = items(dice, &tables);
    let order = order(dice, &tables, &items, true);
    let mut select = Select {
        items,
        from,
        conditions,
        order,
        total_order: true,
        class: "by key",
        supported: true,
        ..Select::default()
    };
    window(dice, &mut select);
    select
}

fn rows(dice: &mut Dice) -> Select {
    let (from, tables) = from(dice);
    let items = items(dice, &tables);
    let mut select = Select {
        conditions: conditions(dice, &tables),
        items,
        from,
        class: "rows",
        supported: true,
        ..Select::default()
    };
    if dice.percent(80) {
        select.total_order = dice.percent(75);
        select.order = order(dice, &tables, &select.items, select.total_order);
    }
    window(dice, &mut select);
    select
}

fn aggregate(dice: &mut Dice, tables: &[Table]) -> Item {
    let any = |dice: &mut Dice, fits: fn(Kind) -> bool| dice.some(&places(tables, fits), 1).first().map(name);
    let text = match dice.below(6) {
        0 | 1 => Some("COUNT(*)".to_owned()),
        2 => any(dice, |_| true).map(|column| format!("COUNT({column})")),
        3 => any(dice, Kind::sums).map(|column| format!("SUM({column})")),
        4 => any(dice, Kind::has_extremes).map(|column| format!("MIN({column})")),
        _ => any(dice, Kind::has_extremes).map(|column| format!("MAX({column})")),
    };
    item(text.unwrap_or_else(|| "COUNT(*)".to_owned()))
}

fn aggregates(dice: &mut Dice, tables: &[Table], most: usize) -> Vec<Item> {
    (0..=dice.below(most)).map(|_| aggregate(dice, tables)).collect()
}

fn totals(dice: &mut Dice) -> Select {
    let (from, tables) = from(dice);
    Select {
        items: aggregates(dice, &tables, 4),
        conditions: conditions(dice, &tables),
        from,
        total_order: true,
        class: "totals",
        supported: true,
        ..Select::default()
    }
}

fn groups(dice: &mut Dice) -> Select {
    let (from, tables) = from(dice);
    let keys: Vec<String> = dice.some(&places(&tables, Kind::sorts), 2).iter().map(name).collect();
    let mut items: Vec<Item> = keys.iter().map(item).collect();
    let aggregates = aggregates(dice, &tables, 3);
    let first_aggregate = items.len();
    items.extend(aggregates);
    let mut select = Select {
        conditions: conditions(dice, &tables),
        group: keys.clone(),
        from,
        class: "groups",
        supported: true,
        ..Select::default()
    };
    if dice.percent(80) {
        if dice.percent(30) {
            let sql =
                if dice.percent(50) { (first_aggregate + 1).to_string() } else { items[first_aggregate].sql.clone() };
            select.order.push(Order { sql, descending: dice.percent(50), item: Some(first_aggregate) });
        }
        for (n, key) in keys.iter().enumerate() {
            select.order.push(Order { sql: key.clone(), descending: dice.percent(40), item: Some(n) });
        }
        select.total_order = true;
        window(dice, &mut select);
    }
    select.items = items;
    select
}

fn distinct(dice: &mut Dice) -> Select {
    let (from, tables) = from(dice);
    let columns: Vec<String> = dice.some(&places(&tables, Kind::sorts), 2).iter().map(name).collect();
    let mut select = Select {
        distinct: true,
        items: columns.iter().map(item).collect(),
        conditions: conditions(dice, &tables),
        from,
        class: "distinct",
        supported: true,
        ..Select::default()
    };
    if dice.percent(70) {
        let order = columns.iter().enumerate();
        select.order =
            order.map(|(n, sql)| Order { sql: sql.clone(), descending: dice.percent(40), item: Some(n) }).collect();
        select.total_order = true;
        window(dice, &mut select);
    }
    select
}

/// Reference and single tables only.
fn elsewhere(dice: &mut Dice) -> Select {
    let table = if dice.percent(60) { PRODUCTS_TABLE } else { SETTINGS_TABLE };
    let tables = [table];
    let (class, supported) = ("reference and single", true);
    let from = format!("{} {}", table.name, table.alias);
    let items = items(dice, &tables);
    let conditions = conditions(dice, &tables);
    let order: Vec<Order> = table
        .unique
        .iter()
        .map(|column| Order { sql: format!("{}.{column}", table.alias), descending: dice.percent(50), item: None })
        .collect();
    let mut select =
        Select { items, from, conditions, order, total_order: true, class, supported, ..Select::default() };
    window(dice, &mut select);
    select
}

/// What may be refused over several shards, and must not be wrong.
fn wild(dice: &mut Dice, kind: ServerKind) -> Select {
    let (from, tables) = from(dice);
    let table = tables[0];
    let (alias, first) = (table.alias, table.unique[0]);
    let conditions = if dice.percent(30) { vec![pinned(dice, &table)] } else { conditions(dice, &tables) };
    let mut select = Select { from, conditions, class: "wild", ..Select::default() };
    let one = |text: String| vec![item(text)];
    let group = places(&tables, |kind| matches!(kind, Kind::Words(_))).first().map(name);
    let postgres = kind == ServerKind::Postgres;
    match dice.below(16) {
        0 => select.items = one(format!("AVG({alias}.{first})")),
        1 => {
            select.items = one("COUNT(*)".into());
            select.group = vec![format!("{alias}.{first}")];
            select.tail = " HAVING COUNT(*) > 2".into();
        }
        2 => {
            let group = group.unwrap_or_else(|| format!("{alias}.{first}"));
            select.items = vec![item(group.clone()), item("COUNT(*)")];
            select.group = vec![group];
        }
        3 => {
            let group = group.unwrap_or_else(|| format!("{alias}.{first}"));
            select.items = vec![item(group.clone())];
            select.order = vec![Order { sql: group, descending: false, item: Some(0) }];
        }
        4 => select.items = one(format!("COUNT(DISTINCT {alias}.{})", table.columns[1].name)),
        5 => {
            select.items = vec![item(format!("{alias}.{first}"))];
            let over = "(SELECT MAX(x.total) FROM orders x)";
            select.conditions.push(vec![sql(format!("10000 > {over}"))]);
        }
        6 => {
            select.items = vec![item(format!("{alias}.{first}"))];
            let inner =
                format!("EXISTS (SELECT 1 FROM orders x WHERE x.customer_id = {alias}.{first} AND x.total > 100)");
            select.conditions.push(vec![sql(inner)]);
        }
        7 => {
            select.items = vec![item(format!("{alias}.{first}"))];
            select.tail = " UNION SELECT id FROM products".into();
        }
        8 => {
            let counted = format!("ROW_NUMBER() OVER (PARTITION BY {alias}.{first} ORDER BY {})", unique(&tables));
            select.items = vec![item(format!("{alias}.{first}")), item(counted)];
        }
        9 => select.items = one("SUM(1) + COUNT(*)".into()),
        10 => {
            select.items = vec![item(format!("{alias}.{first}"))];
            let keys = "(SELECT x.customer_id FROM order_items x WHERE x.quantity > 5)";
            select.conditions.push(vec![sql(format!("{alias}.{first} IN {keys}"))]);
        }
        11 => {
            select.from = format!("(SELECT {alias}.{first} AS k FROM {}) AS inside", select.from);
            select.conditions.clear();
            select.items = one("COUNT(k)".into());
        }
        12 => {
            select.from = "customers c, products p".into();
            select.conditions = vec![vec![sql("c.id = p.id")]];
            select.items = vec![item("c.id"), item("p.name")];
        }
        13 => {
            // Not on the shard key.
            select.from = "customers c JOIN orders o ON o.id = c.id".into();
            select.conditions = Vec::new();
            select.items = vec![item("c.id"), item("o.total")];
        }
        14 if postgres => {
            select.items = one(format!("STRING_AGG({alias}.{first}::text, ',' ORDER BY {})", unique(&tables)));
        }
        14 => select.items = one(format!("GROUP_CONCAT({alias}.{first} ORDER BY {})", unique(&tables))),
        _ if postgres => {
            select.items = vec![item(format!("{alias}.{first}"))];
            select.tail = format!(" ORDER BY {alias}.{first} NULLS FIRST");
        }
        _ => {
            select.items = vec![item(format!("{alias}.{first}")), item("COUNT(*)")];
            select.group = vec![format!("{alias}.{first} WITH ROLLUP")];
        }
    }
    select
}

fn unique(tables: &[Table]) -> String {
    let columns = tables.iter().flat_map(|table| table.unique.iter().map(|column| format!("{}.{column}", table.alias)));
    columns.collect::<Vec<_>>().join(", ")
}

/// A write that stays on one customer's shard and keeps foreign keys.
pub fn write(dice: &mut Dice, customer: i64) -> String {
    match dice.below(5) {
        0 => format!("UPDATE customers SET credit = credit + {}.50 WHERE id = {customer}", dice.between(-50, 50)),
        1 => format!(
            "UPDATE orders SET total = {}.25, shipped_on = NULL WHERE customer_id = {customer}",
            dice.between(0, 900)
        ),
        2 => format!("DELETE FROM order_items WHERE customer_id = {customer} AND line > {}", dice.between(1, 3)),
        3 => format!("UPDATE order_items SET quantity = quantity + 1 WHERE customer_id = {customer}"),
        _ => format!(
            "INSERT INTO orders (customer_id, id, status, placed_at, total) VALUES ({customer}, {}, 'new', '2024-05-05 10:00:00', {}.10)",
            dice.between(100_000, 100_000_000),
            dice.between(1, 500)
        ),
    }
}
