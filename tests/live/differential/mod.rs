//! The same statements to one database that holds all the rows and to dbmesh over several shards: the answers must be
//! the same, or a refusal. Statements come from a seed; a failing one is made smaller before it is shown.
//!
//! `DBMESH_DIFFERENTIAL_STATEMENTS` (per protocol and number of shards) and `DBMESH_DIFFERENTIAL_SEED` make it long.

mod answer;
mod columns;
mod compare;
mod dice;
mod generate;
mod select;
mod topics;

use std::collections::BTreeMap;

use dbmesh::demo::servers::SERVER_USER;
use dbmesh::demo::shop::{ShopPlacement, Sizes, TABLES, statements};

use crate::bed::{Database, MeshConfig, PASSWORD, RunningMesh, ServerKind, Table, bed};
use answer::Session;
use compare::{Verdict, compare};
use dice::Dice;
use select::{Select, Statement};

/// Statements per protocol and number of shards in a short run.
const STATEMENTS: u64 = 400;

#[tokio::test]
async fn mysql_over_two_shards() {
    differential(ServerKind::MariaDb, 2).await;
}

#[tokio::test]
async fn mysql_over_three_shards() {
    differential(ServerKind::MariaDb, 3).await;
}

#[tokio::test]
async fn postgresql_over_two_shards() {
    differential(ServerKind::Postgres, 2).await;
}

#[tokio::test]
async fn postgresql_over_three_shards() {
    differential(ServerKind::Postgres, 3).await;
}

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")),
        Err(_) => default,
    }
}

/// What a run counted.
#[derive(Default)]
struct Counts {
    statements: u64,
    same: u64,
    empty: u64,
    in_transactions: u64,
    writes: u64,
    classes: BTreeMap<&'static str, (u64, u64)>,
    refusals: BTreeMap<String, u64>,
    wrong: Vec<String>,
}

async fn differential(kind: ServerKind, shards: usize) {
    let seed = number("DBMESH_DIFFERENTIAL_SEED", 1);
    let statements = number("DBMESH_DIFFERENTIAL_STATEMENTS", STATEMENTS);
    let (mesh, mut plain, mut sharded) = open(kind, shards).await;
    // Chance decides otherwise for each protocol and number of shards.
    let mut dice = Dice::new(
        seed.wrapping_mul(1_000)
            .wrapping_add(u64::try_from(shards).unwrap() * 10 + u64::from(kind == ServerKind::Postgres)),
    );
    let mut counts = Counts::default();
    while counts.statements < statements && counts.wrong.len() < 5 {
        if dice.percent(8) {
            transaction(&mut dice, kind, &mut plain, &mut sharded, &mut counts).await;
        } else {
            let select = generate::select(&mut dice, kind);
            let prepared = dice.percent(50);
            check(&select, kind, prepared, &mut plain, &mut sharded, &mut counts, true).await;
        }
    }
    let name = if kind == ServerKind::MariaDb { "mysql" } else { "postgresql" };
    println!(
        "{name} over {shards} shards, seed {seed}: {} statements, {} same ({} of them empty), {} after one of {} writes in a transaction",
        counts.statements, counts.same, counts.empty, counts.in_transactions, counts.writes
    );
    for (class, (all, refused)) in &counts.classes {
        println!("  {class}: {all}, refused {refused}");
    }
    for (refusal, times) in &counts.refusals {
        println!("  {times} x {refusal}");
    }
    assert!(counts.wrong.is_empty(), "seed {seed}, wrong:\n{}", counts.wrong.join("\n"));
    let refused: u64 = counts.classes.values().map(|(_, refused)| refused).sum();
    let must_run: u64 =
        counts.classes.iter().filter(|(class, _)| **class != "wild").map(|(_, (_, refused))| refused).sum();
    assert!(must_run == 0, "{must_run} statements were refused that have to run");
    assert!(refused * 10 <= counts.statements, "the suite must not be satisfied by refusals: {refused}");
    assert!(counts.empty * 100 <= counts.same * 40, "too many empty answers: {} of {}", counts.empty, counts.same);
    topics::run(kind, &mut plain, &mut sharded).await;
    drop(mesh);
}

/// The shop in one database and, through dbmesh, over several shards; a session to each.
async fn open(kind: ServerKind, shards: usize) -> (RunningMesh, Session, Session) {
    let mut database = Database::new(kind, shards).await;
    for table in TABLES {
        database.everywhere(table.creation(kind)).await;
        database.tables.push(match table.placement {
            ShopPlacement::Sharded("id") => Table::Sharded(table.name, &["id"]),
            ShopPlacement::Sharded("customer_id") => Table::Sharded(table.name, &["customer_id"]),
            ShopPlacement::Sharded(other) => panic!("a new key of the shop: {other}"),
            ShopPlacement::Reference => Table::Reference(table.name),
            ShopPlacement::Single => Table::Single(table.name),
        });
    }
    let reference = bed().reference(kind);
    let whole = Database::on(vec![reference.clone()]).await;
    let name = &database.name;
    let mesh = MeshConfig::with(&database).start();
    let (mut plain, mut sharded) = match kind {
        ServerKind::MariaDb => {
            let options = mysql_async::OptsBuilder::default()
                .ip_or_hostname("127.0.0.1")
                .tcp_port(reference.port)
                .user(Some(SERVER_USER))
                .pass(Some(PASSWORD))
                .db_name(Some(&whole.name))
                .prefer_socket(false);
            let plain = mysql_async::Conn::new(options).await.expect("a connection to the plain server");
            (Session::MySql(plain), Session::MySql(mesh.mysql(name).await))
        }
        ServerKind::Postgres => {
            let mut options = tokio_postgres::Config::new();
            options.host("127.0.0.1").port(reference.port).user(SERVER_USER).password(PASSWORD).dbname(&whole.name);
            let (plain, connection) =
                options.connect(tokio_postgres::NoTls).await.expect("a connection to the plain server");
            tokio::spawn(connection);
            (Session::Postgres(plain), Session::Postgres(mesh.postgres(name).await))
        }
    };
    let sizes = Sizes {
        customers: columns::CUSTOMERS,
        orders: columns::ORDERS,
        products: columns::PRODUCTS,
        rows_per_statement: 50,
    };
    for table in TABLES {
        whole.everywhere(table.creation(kind)).await;
    }
    sharded.run("SET dbmesh.transaction_type = LOCAL").await;
    for statement in statements(kind, &sizes) {
        plain.run(&statement).await;
        sharded.run(&statement).await;
    }
    (mesh, plain, sharded)
}

/// Writes of one customer on both sides, reads over all shards that must see them, and back or forth.
async fn transaction(
    dice: &mut Dice,
    kind: ServerKind,
    plain: &mut Session,
    sharded: &mut Session,
    counts: &mut Counts,
) {
    let customer = dice.between(1, columns::CUSTOMERS);
    for session in [&mut *plain, &mut *sharded] {
        session.run("BEGIN").await;
    }
    for _ in 0..=dice.below(3) {
        let write = Statement { sql: generate::write(dice, customer), parameters: Vec::new() };
        counts.statements += 1;
        counts.writes += 1;
        let verdict = {
            let expected = plain.ask(&write, false).await;
            let found = sharded.ask(&write, false).await;
            compare(&Select::default(), &expected, &found)
        };
        match verdict {
            Verdict::Same { .. } => counts.same += 1,
            Verdict::Refused(reason) => counts.wrong.push(format!("refused: {}: {reason}", write.sql)),
            Verdict::Wrong(difference) => counts.wrong.push(format!("{}: {difference}", write.sql)),
        }
    }
    for _ in 0..4 {
        // A refusal or error would end a PostgreSQL transaction.
        let select = loop {
            let select = generate::select(dice, kind);
            if select.supported {
                break select;
            }
        };
        check(&select, kind, dice.percent(50), plain, sharded, counts, false).await;
        counts.in_transactions += 1;
    }
    let end = if dice.percent(50) { "COMMIT" } else { "ROLLBACK" };
    for session in [plain, sharded] {
        session.run(end).await;
    }
}

/// Asks both, counts the verdict; a wrong one is made smaller first where that is possible.
async fn check(
    select: &Select,
    kind: ServerKind,
    prepared: bool,
    plain: &mut Session,
    sharded: &mut Session,
    counts: &mut Counts,
    reducible: bool,
) {
    counts.statements += 1;
    let class = counts.classes.entry(select.class).or_default();
    class.0 += 1;
    match verdict(select, kind, prepared, plain, sharded).await {
        Verdict::Same { empty } => {
            counts.same += 1;
            counts.empty += u64::from(empty);
        }
        Verdict::Refused(reason) => {
            class.1 += 1;
            let shown =
                if select.supported { format!("{reason} <- {}", select.write(kind, false).sql) } else { reason };
            *counts.refusals.entry(shown).or_default() += 1;
        }
        Verdict::Wrong(difference) => {
            let (least, difference) = if reducible {
                reduce(select, kind, prepared, plain, sharded, difference).await
            } else {
                (select.clone(), difference)
            };
            let statement = least.write(kind, prepared);
            let whole = select.write(kind, false).sql;
            let how = if prepared { "prepared" } else { "text" };
            counts
                .wrong
                .push(format!("{difference}\n  {how}: {} {:?}\n  from: {whole}", statement.sql, statement.parameters));
        }
    }
}

async fn verdict(
    select: &Select,
    kind: ServerKind,
    prepared: bool,
    plain: &mut Session,
    sharded: &mut Session,
) -> Verdict {
    let statement = select.write(kind, prepared);
    let expected = plain.ask(&statement, prepared).await;
    let found = sharded.ask(&statement, prepared).await;
    compare(select, &expected, &found)
}

/// Takes parts away for as long as the answers differ.
async fn reduce(
    select: &Select,
    kind: ServerKind,
    prepared: bool,
    plain: &mut Session,
    sharded: &mut Session,
    difference: String,
) -> (Select, String) {
    let mut least = (select.clone(), difference);
    'again: loop {
        for smaller in least.0.smaller() {
            if let Verdict::Wrong(difference) = verdict(&smaller, kind, prepared, plain, sharded).await {
                least = (smaller, difference);
                continue 'again;
            }
        }
        return least;
    }
}
