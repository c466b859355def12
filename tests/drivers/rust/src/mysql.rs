//! sqlx on MySQL: what it sets at login, its cache of prepared statements, streams, transactions, its pool.

use futures_util::{StreamExt as _, TryStreamExt as _};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlPoolOptions, MySqlRow, MySqlSslMode};
use sqlx::{Column as _, ConnectOptions as _, Connection as _, Executor as _, Row as _, TypeInfo as _};

use crate::case::{Outcome, case, ended, setting, short, told};

fn options() -> MySqlConnectOptions {
    MySqlConnectOptions::new()
        .host(&setting("HOST"))
        .port(setting("PORT").parse().expect("a port"))
        .username(&setting("USER"))
        .password(&setting("PASSWORD"))
        .database(&setting("DATABASE"))
        .ssl_mode(MySqlSslMode::Disabled)
}

fn shown(row: &MySqlRow) -> String {
    let cell = |index: usize| -> String {
        if let Ok(value) = row.try_get::<Option<i64>, _>(index) {
            return value.map_or("NULL".to_owned(), |value| value.to_string());
        }
        if let Ok(value) = row.try_get::<Option<u64>, _>(index) {
            return value.map_or("NULL".to_owned(), |value| value.to_string());
        }
        if let Ok(value) = row.try_get::<Option<f64>, _>(index) {
            return value.map_or("NULL".to_owned(), |value| value.to_string());
        }
        match row.try_get_unchecked::<Option<String>, _>(index) {
            Ok(value) => value.map_or("NULL".to_owned(), short),
            Err(_) => row
                .try_get_unchecked::<Option<Vec<u8>>, _>(index)
                .map_or_else(|error| told(&error), |value| short(format!("{value:?}"))),
        }
    };
    (0..row.len()).map(cell).collect::<Vec<_>>().join("  ")
}

async fn rows(on: &mut MySqlConnection, sql: &str) -> Outcome {
    match sqlx::query(sql).fetch_all(on).await {
        Ok(found) => {
            if let Some(row) = found.first() {
                let columns =
                    row.columns().iter().map(|column| format!("{} {}", column.name(), column.type_info().name()));
                println!("{}", columns.collect::<Vec<_>>().join(", "));
            }
            found.iter().for_each(|row| println!("{}", shown(row)));
        }
        Err(error) => println!("{}", told(&error)),
    }
    Ok(())
}

/// Runs all of them.
pub async fn cases() {
    println!("# sqlx mysql");
    case("login", async {
        let mut on = options().connect().await?;
        rows(&mut on, "SELECT 1 + 1, DATABASE(), @@time_zone, @@sql_mode, @@collation_connection").await?;
        on.ping().await?;
        on.close().await?;
        ended(options().password("wrong").connect().await);
        ended(options().database("no_such_database").connect().await);
        let mut on = options().ssl_mode(MySqlSslMode::VerifyCa).ssl_ca(setting("CA")).connect().await?;
        rows(&mut on, "SELECT REPEAT('x', 300000)").await?;
        on.close().await
    })
    .await;
    case("statements", async {
        let mut on = options().statement_cache_capacity(5).connect().await?;
        on.execute("DELETE FROM accounts").await?;
        for n in 0..40_i64 {
            let sql = format!("INSERT INTO accounts (id, owner, balance) VALUES (?, ?, ?) /* {} */", n % 8);
            let done = sqlx::query(&sql).bind(n).bind(format!("o{n}")).bind(n as f64 / 4.0).execute(&mut on).await?;
            println!("{} {}", done.rows_affected(), done.last_insert_id());
        }
        for id in [3_i64, 33, 333] {
            let found = sqlx::query("SELECT id, owner, balance FROM accounts WHERE id = ?")
                .bind(id)
                .fetch_optional(&mut on)
                .await?;
            println!("{:?}", found.as_ref().map(shown));
        }
        rows(&mut on, "SELECT COUNT(*), SUM(balance), MAX(owner) FROM accounts").await?;
        rows(&mut on, "SELECT id FROM accounts ORDER BY id DESC LIMIT 3").await?;
        for sql in ["SELEC 1", "SELECT * FROM no_such_table", "INSERT INTO accounts (id) VALUES (1)", ""] {
            rows(&mut on, sql).await?;
        }
        ended(sqlx::query("SELECT ? FROM no_such_table").bind(1).fetch_all(&mut on).await);
        on.execute("DELETE FROM accounts").await?;
        on.close().await
    })
    .await;
    case("streams and several statements", async {
        let mut on = options().connect().await?;
        let mut sum = 0_i64;
        let mut stream =
            sqlx::query("SELECT CAST(seq AS SIGNED) AS n, REPEAT('y', 200) AS y FROM seq_1_to_20000").fetch(&mut on);
        while let Some(row) = stream.try_next().await? {
            sum += row.try_get::<i64, _>(0)?;
        }
        drop(stream);
        println!("{sum}");
        // Left in the middle: the driver reads the rest before the next statement.
        let first = sqlx::query("SELECT seq FROM seq_1_to_50000").fetch(&mut on).next().await;
        println!("{}", first.is_some());
        let mut many = on.fetch_many("SELECT 1; SELECT 2, 'x'; DELETE FROM accounts; SELECT 3");
        while let Some(found) = many.next().await {
            match found? {
                sqlx::Either::Left(done) => println!("{}", done.rows_affected()),
                sqlx::Either::Right(row) => println!("{}", shown(&row)),
            }
        }
        drop(many);
        on.close().await
    })
    .await;
    case("transactions", async {
        let (mut one, mut two) = (options().connect().await?, options().connect().await?);
        for keep in [true, false] {
            let mut transaction = one.begin().await?;
            sqlx::query("INSERT INTO accounts (id) VALUES (?), (?)")
                .bind(1 + i64::from(keep))
                .bind(11 + i64::from(keep))
                .execute(&mut *transaction)
                .await?;
            let mut nested = transaction.begin().await?;
            nested.execute("DELETE FROM accounts").await?;
            nested.rollback().await?;
            rows(&mut two, "SELECT COUNT(*) FROM accounts").await?;
            if keep {
                transaction.commit().await?
            } else {
                drop(transaction)
            }
            rows(&mut one, "SELECT id FROM accounts ORDER BY id").await?;
        }
        two.execute("DELETE FROM accounts").await?;
        one.close().await?;
        two.close().await
    })
    .await;
    case("pool", async {
        let pool = MySqlPoolOptions::new().max_connections(4).connect_with(options()).await?;
        let work = |number: i64| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let mut on = pool.acquire().await?;
                sqlx::query("SET @mine = ?").bind(number).execute(&mut *on).await?;
                Ok::<bool, sqlx::Error>(
                    sqlx::query_scalar::<_, i64>("SELECT CAST(@mine AS SIGNED)").fetch_one(&mut *on).await? == number,
                )
            })
        };
        let mut right = true;
        for one in (0..40).map(work).collect::<Vec<_>>() {
            right &= one.await.expect("no panic")?;
        }
        println!("{right}");
        pool.close().await;
        Ok(())
    })
    .await;
    println!("# end");
}
