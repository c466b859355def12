//! One well-behaved session by a driver that people use, among those that speak for themselves.

use std::sync::Arc;

use mysql_async::TxOpts;
use mysql_async::prelude::Queryable as _;

use super::arena::{Arena, ROWS, word};
use super::dice::Dice;
use super::tally::Wrong;
use crate::bed::ServerKind;

/// Works until the arena closes.
pub async fn session(arena: Arc<Arena>, tag: u64, mut dice: Dice) {
    let mut serial = 0;
    while arena.is_open() {
        let done = match arena.database.kind {
            ServerKind::MariaDb => {
                by_mysql(&arena, tag, &mut serial, &mut dice).await.map_err(|error| error.to_string())
            }
            ServerKind::Postgres => {
                by_postgres(&arena, tag, &mut serial, &mut dice).await.map_err(|error| format!("{error:?}"))
            }
        };
        match done {
            Err(_) if arena.storm => arena.tally.lost(),
            Err(error) => arena.tally.wrong(Wrong::Error, format!("driver: {error}")),
            Ok(()) => {}
        }
    }
}

type Small = Vec<(i64, i64, String)>;

fn number(value: u64) -> i64 {
    i64::try_from(value).expect("a small number")
}

fn expected(tag: u64, to: u64) -> Small {
    (0..to).map(|n| (number(tag), number(n), word(tag, n))).collect()
}

fn check(arena: &Arena, got: &Small, expected: &Small) {
    arena.tally.answer(got.len());
    arena.tally.same(Wrong::Row, "driver", got, expected);
}

async fn by_mysql(arena: &Arena, tag: u64, serial: &mut u64, dice: &mut Dice) -> Result<(), mysql_async::Error> {
    let options = arena.mesh.mysql_options(&arena.database.name);
    let mut connection = mysql_async::Conn::new(options).await?;
    let mark = format!("driver {}", dice.below(1000));
    connection.query_drop(format!("SET @mark = '{mark}'")).await?;
    for _ in 0..100 {
        let (to, kept) = (dice.below(ROWS), dice.chance(50));
        let sql = "SELECT tag, n, word FROM tagged WHERE tag = ? AND n < ? ORDER BY n";
        check(arena, &connection.exec(sql, (tag, to)).await?, &expected(tag, to));
        let sql = format!("SELECT tag, n, word FROM tagged WHERE tag = {tag} AND n < {to} ORDER BY n");
        check(arena, &connection.query(sql).await?, &expected(tag, to));
        let got: Option<Option<String>> = connection.query_first("SELECT @mark").await?;
        arena.tally.same(Wrong::Setting, "driver", &got.flatten(), &Some(mark.clone()));
        *serial += 1;
        let mut transaction = connection.start_transaction(TxOpts::default()).await?;
        let insert = "INSERT INTO work (tag, n, word) VALUES (?, ?, ?)";
        transaction.exec_drop(insert, (tag, *serial, &mark)).await?;
        if kept {
            transaction.commit().await?
        } else {
            transaction.rollback().await?
        }
        let sql = "SELECT tag, n, word FROM work WHERE tag = ? AND n = ?";
        let row = (number(tag), number(*serial), mark.clone());
        check(arena, &connection.exec(sql, (tag, *serial)).await?, &kept.then_some(row).into_iter().collect());
        if !arena.is_open() {
            break;
        }
    }
    connection.disconnect().await
}

async fn by_postgres(arena: &Arena, tag: u64, serial: &mut u64, dice: &mut Dice) -> Result<(), tokio_postgres::Error> {
    let mut options = tokio_postgres::Config::new();
    options.host("127.0.0.1").port(arena.mesh.addresses.postgres.port()).user("app").password("app");
    let (mut client, connection) = options.dbname(&arena.database.name).connect(tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    let mark = format!("driver {}", dice.below(1000));
    client.batch_execute(&format!("SET application_name = '{mark}'")).await?;
    let select = client.prepare("SELECT tag, n, word FROM tagged WHERE tag = $1 AND n < $2 ORDER BY n").await?;
    let own = number(tag);
    let small = |rows: Vec<tokio_postgres::Row>| rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    for _ in 0..100 {
        let (one, two, kept) = (dice.below(ROWS), dice.below(ROWS), dice.chance(50));
        // Two statements are on the way before the first answer.
        let (first, second) = (number(one), number(two));
        let (values, others): ([&(dyn tokio_postgres::types::ToSql + Sync); 2], [_; 2]) =
            ([&own, &first], [&own as &(dyn tokio_postgres::types::ToSql + Sync), &second]);
        let (got, also) = tokio::try_join!(client.query(&select, &values), client.query(&select, &others))?;
        check(arena, &small(got), &expected(tag, one));
        check(arena, &small(also), &expected(tag, two));
        let row = client.query_one("SHOW application_name", &[]).await?;
        arena.tally.same(Wrong::Setting, "driver", &row.get::<_, String>(0), &mark);
        *serial += 1;
        let n = number(*serial);
        let transaction = client.transaction().await?;
        transaction.execute("INSERT INTO work (tag, n, word) VALUES ($1, $2, $3)", &[&own, &n, &mark]).await?;
        if kept {
            transaction.commit().await?
        } else {
            transaction.rollback().await?
        }
        let rows = client.query("SELECT tag, n, word FROM work WHERE tag = $1 AND n = $2", &[&own, &n]).await?;
        check(arena, &small(rows), &kept.then_some((own, n, mark.clone())).into_iter().collect());
        if !arena.is_open() {
            break;
        }
    }
    Ok(())
}
