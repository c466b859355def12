//! diesel-async on both protocols: its query builder, raw SQL, streams, transactions, pipelines, its pool.

use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::{ExpressionMethods as _, OptionalExtension as _, QueryDsl as _, QueryableByName};
use diesel_async::pooled_connection::AsyncDieselConnectionManager;
use diesel_async::pooled_connection::deadpool::Pool;
use diesel_async::{AsyncConnection as _, RunQueryDsl as _, SimpleAsyncConnection as _};
use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::case::setting;

diesel::table! {
    accounts (id) {
        id -> BigInt,
        owner -> Nullable<Varchar>,
        note -> Nullable<Text>,
    }
}

/// A row of a statement written by hand.
#[derive(QueryableByName, Debug)]
struct Found {
    #[diesel(sql_type = BigInt)]
    number: i64,
    #[diesel(sql_type = Nullable<Text>)]
    word: Option<String>,
}

type Outcome = Result<(), diesel::result::Error>;

fn address(protocol: &str, password: &str, database: &str) -> String {
    format!("{protocol}://{}:{password}@{}:{}/{database}", setting("USER"), setting("HOST"), setting("PORT"))
}

fn told(error: &diesel::result::Error) -> String {
    format!("{error:?}").replace('\n', " | ")
}

async fn case(name: &str, work: impl Future<Output = Outcome>) {
    println!("## {name}");
    if let Err(error) = work.await {
        println!("fails: {}", told(&error));
    }
}

fn ended<T>(result: Result<T, diesel::result::Error>) {
    match result {
        Ok(_) => println!("no error"),
        Err(error) => println!("{}", told(&error)),
    }
}

/// The cases for one protocol: its connection, its name in addresses, how its first parameter is written, an absent table.
macro_rules! cases {
    ($name:ident, $connection:ty, $protocol:literal, $first:literal, $number:literal) => {
        /// Runs all of them.
        pub async fn $name() {
            type Connection = $connection;
            let connect = || async {
                let on = Connection::establish(&address($protocol, &setting("PASSWORD"), &setting("DATABASE"))).await;
                on.expect("a connection")
            };
            println!("# diesel {}", $protocol);
            case("login", async {
                for (password, database) in [("wrong", setting("DATABASE")), ("app", "no_such_database".to_owned())] {
                    let refused = Connection::establish(&address($protocol, password, &database)).await.err();
                    println!("{}", refused.map_or("no error".to_owned(), |error| error.to_string()));
                }
                let mut on = connect().await;
                let found: Vec<Found> =
                    diesel::sql_query(concat!("SELECT ", $number, " AS number, 'x' AS word")).load(&mut on).await?;
                println!("{found:?}");
                Ok(())
            })
            .await;
            case("built queries", async {
                let mut on = connect().await;
                diesel::delete(accounts::table).execute(&mut on).await?;
                for id in 0..20_i64 {
                    let row = (accounts::id.eq(id), accounts::owner.eq(format!("o{id}")));
                    println!("{}", diesel::insert_into(accounts::table).values(row).execute(&mut on).await?);
                }
                let rows: Vec<_> =
                    (100..110_i64).map(|id| (accounts::id.eq(id), accounts::note.eq(None::<String>))).collect();
                println!("{}", diesel::insert_into(accounts::table).values(rows).execute(&mut on).await?);
                for id in [3_i64, 105, 999] {
                    let found: Option<(i64, Option<String>, Option<String>)> =
                        accounts::table.find(id).first(&mut on).await.optional()?;
                    println!("{found:?}");
                }
                println!("{}", accounts::table.count().get_result::<i64>(&mut on).await?);
                let most: Option<i64> = accounts::table.select(diesel::dsl::max(accounts::id)).first(&mut on).await?;
                println!("{most:?}");
                let some: Vec<i64> = accounts::table
                    .filter(accounts::id.eq_any([5, 6, 700]))
                    .select(accounts::id)
                    .order(accounts::id)
                    .load(&mut on)
                    .await?;
                println!("{some:?}");
                let last: Vec<i64> =
                    accounts::table.select(accounts::id).order(accounts::id.desc()).limit(3).load(&mut on).await?;
                println!("{last:?}");
                let changed = diesel::update(accounts::table.filter(accounts::id.lt(5))).set(accounts::note.eq("n"));
                println!("{}", changed.execute(&mut on).await?);
                println!("{}", diesel::delete(accounts::table.find(3)).execute(&mut on).await?);
                ended(diesel::insert_into(accounts::table).values(accounts::id.eq(1)).execute(&mut on).await);
                ended(on.batch_execute("SELEC 1").await);
                ended(diesel::sql_query("SELECT 1 FROM no_such_table").execute(&mut on).await);
                diesel::delete(accounts::table).execute(&mut on).await?;
                Ok(())
            })
            .await;
            case("written queries and streams", async {
                let mut on = connect().await;
                for number in [1_i64, -7, i64::MAX] {
                    let found: Found =
                        diesel::sql_query(concat!("SELECT ", $number, " + ", $first, " AS number, NULL AS word"))
                            .bind::<BigInt, _>(number - 1)
                            .get_result(&mut on)
                            .await?;
                    println!("{found:?}");
                }
                on.batch_execute("DELETE FROM accounts; INSERT INTO accounts (id) VALUES (1), (2); SELECT 1").await?;
                let mut stream =
                    accounts::table.select(accounts::id).order(accounts::id).load_stream::<i64>(&mut on).await?;
                while let Some(id) = stream.try_next().await? {
                    println!("{id}");
                }
                drop(stream);
                // Left in the middle.
                let mut stream = accounts::table.select(accounts::id).load_stream::<i64>(&mut on).await?;
                println!("{}", stream.next().await.is_some());
                drop(stream);
                println!("{}", diesel::delete(accounts::table).execute(&mut on).await?);
                Ok(())
            })
            .await;
            case("transactions", async {
                let (mut one, mut two) = (connect().await, connect().await);
                for keep in [true, false] {
                    let ended = one
                        .transaction::<(), diesel::result::Error, _>(async |on| {
                            diesel::insert_into(accounts::table)
                                .values(accounts::id.eq(1 + i64::from(keep)))
                                .execute(on)
                                .await?;
                            let nested = on
                                .transaction::<(), diesel::result::Error, _>(async |on| {
                                    diesel::delete(accounts::table).execute(on).await?;
                                    Err(diesel::result::Error::RollbackTransaction)
                                })
                                .await;
                            println!("{nested:?} {}", accounts::table.count().get_result::<i64>(on).await?);
                            if keep { Ok(()) } else { Err(diesel::result::Error::RollbackTransaction) }
                        })
                        .await;
                    println!("{ended:?} {}", accounts::table.count().get_result::<i64>(&mut two).await?);
                }
                diesel::delete(accounts::table).execute(&mut two).await?;
                Ok(())
            })
            .await;
            case("pool", async {
                let url = address($protocol, &setting("PASSWORD"), &setting("DATABASE"));
                let manager = AsyncDieselConnectionManager::<Connection>::new(url);
                let pool = Pool::builder(manager).max_size(4).build().expect("a pool");
                let work = |number: i64| {
                    let pool = pool.clone();
                    tokio::spawn(async move {
                        let mut on = pool.get().await.expect("a connection of the pool");
                        let found: Found =
                            diesel::sql_query(concat!("SELECT ", $number, " + ", $first, " AS number, NULL AS word"))
                                .bind::<BigInt, _>(number)
                                .get_result(&mut on)
                                .await?;
                        Ok::<bool, diesel::result::Error>(found.number == number + 1 && found.word.is_none())
                    })
                };
                let mut right = true;
                for one in (0..40).map(work).collect::<Vec<_>>() {
                    right &= one.await.expect("no panic")?;
                }
                println!("{right}");
                Ok(())
            })
            .await;
        }
    };
}

cases!(mysql, diesel_async::AsyncMysqlConnection, "mysql", "?", "CAST(1 AS SIGNED)");
cases!(postgres, diesel_async::AsyncPgConnection, "postgres", "$1", "CAST(1 AS bigint)");

/// diesel-async pipelines only on PostgreSQL: statements that are begun before the earlier ones have ended.
pub async fn pipelines() {
    case("pipelines", async {
        let url = address("postgres", &setting("PASSWORD"), &setting("DATABASE"));
        let on = diesel_async::AsyncPgConnection::establish(&url).await.expect("a connection");
        let number = async |number: i64| {
            let mut on = &on;
            let found: Result<Found, _> = diesel::sql_query("SELECT 100 / $1 AS number, 'w' AS word")
                .bind::<BigInt, _>(number)
                .get_result(&mut on)
                .await;
            found
        };
        let found = futures_util::join!(number(1), number(2), number(0), number(5));
        for one in [found.0, found.1, found.2, found.3] {
            match one {
                Ok(found) => println!("{found:?}"),
                Err(error) => println!("{}", told(&error)),
            }
        }
        Ok(())
    })
    .await;
    println!("# end");
}
