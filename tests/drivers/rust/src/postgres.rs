//! sqlx on PostgreSQL: its cache of prepared statements, streams by portals, COPY, LISTEN, transactions, its pool.

use futures_util::{StreamExt as _, TryStreamExt as _};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgListener, PgPoolOptions, PgRow, PgSslMode, PgValueFormat};
use sqlx::{Column as _, ConnectOptions as _, Connection as _, Executor as _, Row as _, TypeInfo as _, ValueRef as _};

use crate::case::{Outcome, case, ended, setting, short, told};

fn options() -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host(&setting("HOST"))
        .port(setting("PORT").parse().expect("a port"))
        .username(&setting("USER"))
        .password(&setting("PASSWORD"))
        .database(&setting("DATABASE"))
        .ssl_mode(PgSslMode::Disable)
}

fn shown(row: &PgRow) -> String {
    let cell = |index: usize| -> String {
        let Ok(value) = row.try_get_raw(index) else { return "?".to_owned() };
        if value.is_null() {
            return "NULL".to_owned();
        }
        let binary = value.format() == PgValueFormat::Binary;
        let bytes = value.as_bytes().unwrap_or_default();
        if binary { short(format!("{bytes:?}")) } else { short(String::from_utf8_lossy(bytes)) }
    };
    (0..row.len()).map(cell).collect::<Vec<_>>().join("  ")
}

async fn rows(on: &mut PgConnection, sql: &str) -> Outcome {
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
    println!("# sqlx postgres");
    case("login", async {
        let mut on = options().application_name("mine").options([("work_mem", "5MB")]).connect().await?;
        rows(
            &mut on,
            "SELECT 1 + 1, current_database()::text, current_setting('application_name'), current_setting('work_mem')",
        )
        .await?;
        on.ping().await?;
        on.close().await?;
        ended(options().password("wrong").connect().await);
        ended(options().database("no_such_database").connect().await);
        let mut on = options().ssl_mode(PgSslMode::VerifyFull).ssl_root_cert(setting("CA")).connect().await?;
        rows(&mut on, "SELECT repeat('x', 300000)").await?;
        on.close().await
    })
    .await;
    case("statements", async {
        let mut on = options().statement_cache_capacity(5).connect().await?;
        on.execute("DELETE FROM accounts").await?;
        for n in 0..40_i64 {
            let sql =
                format!("INSERT INTO accounts (id, owner, balance) VALUES ($1, $2, $3::text::numeric) /* {} */", n % 8);
            let done = sqlx::query(&sql).bind(n).bind(format!("o{n}")).bind(format!("{n}.25")).execute(&mut on).await?;
            println!("{}", done.rows_affected());
        }
        for id in [3_i64, 33, 333] {
            let found = sqlx::query("SELECT id, owner, balance::text FROM accounts WHERE id = $1")
                .bind(id)
                .fetch_optional(&mut on)
                .await?;
            println!("{:?}", found.as_ref().map(shown));
        }
        let found = sqlx::query("SELECT id FROM accounts WHERE id = ANY($1) ORDER BY id")
            .bind(vec![5_i64, 6, 700])
            .fetch_all(&mut on)
            .await?;
        println!("{}", found.len());
        rows(&mut on, "SELECT count(*), sum(balance)::text, max(id) FROM accounts").await?;
        rows(&mut on, "SELECT id FROM accounts ORDER BY id DESC LIMIT 3").await?;
        for sql in
            ["SELEC 1", "SELECT * FROM no_such_table", "INSERT INTO accounts (id) VALUES (1)", "SELECT 1 / 0", ""]
        {
            rows(&mut on, sql).await?;
        }
        ended(sqlx::query("SELECT 10 / $1").bind(0).fetch_all(&mut on).await);
        on.execute("DELETE FROM accounts").await?;
        on.close().await
    })
    .await;
    case("description", async {
        let mut on = options().connect().await?;
        let described = on.describe("SELECT id, owner FROM accounts WHERE id = $1").await?;
        println!(
            "{:?}",
            described
                .columns()
                .iter()
                .map(|column| (column.name().to_owned(), column.type_info().name().to_owned()))
                .collect::<Vec<_>>()
        );
        on.close().await
    })
    .await;
    case("streams and several statements", async {
        let mut on = options().connect().await?;
        let mut sum = 0_i64;
        let mut stream =
            sqlx::query("SELECT n::bigint, repeat('y', 200) FROM generate_series(1, $1) n").bind(20_000).fetch(&mut on);
        while let Some(row) = stream.try_next().await? {
            sum += row.try_get::<i64, _>(0)?;
        }
        drop(stream);
        println!("{sum}");
        let first = sqlx::query("SELECT n FROM generate_series(1, 50000) n").fetch(&mut on).next().await;
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
            sqlx::query("INSERT INTO accounts (id) VALUES ($1), ($2)")
                .bind(1 + i64::from(keep))
                .bind(11 + i64::from(keep))
                .execute(&mut *transaction)
                .await?;
            let mut nested = transaction.begin().await?;
            ended(nested.execute("SELECT 1 / 0").await);
            nested.rollback().await?;
            rows(&mut two, "SELECT count(*) FROM accounts").await?;
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
    case("copy", async {
        let mut on = options().connect().await?;
        on.execute("DROP TABLE IF EXISTS sqlx_copied").await?;
        on.execute("CREATE TABLE sqlx_copied (id int, name text)").await?;
        let mut copy = on.copy_in_raw("COPY sqlx_copied FROM STDIN").await?;
        for n in 0..3000 {
            copy.send(format!("{n}\tname {n}\n").as_bytes()).await?;
        }
        println!("{}", copy.finish().await?);
        let mut out = on.copy_out_raw("COPY (SELECT * FROM sqlx_copied ORDER BY id) TO STDOUT").await?;
        let mut text = Vec::new();
        while let Some(part) = out.try_next().await? {
            text.extend_from_slice(&part);
        }
        drop(out);
        println!("{}", short(String::from_utf8_lossy(&text)));
        on.execute("DROP TABLE sqlx_copied").await?;
        on.close().await
    })
    .await;
    case("notifications and pool", async {
        let pool = PgPoolOptions::new().max_connections(4).connect_with(options()).await?;
        let channel = format!("sqlx_{}", setting("DATABASE"));
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.listen(&channel).await?;
        sqlx::query("SELECT pg_notify($1, 'hello')").bind(&channel).execute(&pool).await?;
        println!("{}", listener.recv().await?.payload());
        drop(listener);
        let work = |number: i64| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let mut on = pool.acquire().await?;
                sqlx::query("SELECT set_config('my.number', $1, false)")
                    .bind(number.to_string())
                    .execute(&mut *on)
                    .await?;
                let found: String =
                    sqlx::query_scalar("SELECT current_setting('my.number')").fetch_one(&mut *on).await?;
                Ok::<bool, sqlx::Error>(found == number.to_string())
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
