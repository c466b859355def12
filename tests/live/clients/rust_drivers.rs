//! mysql_async and tokio-postgres do a shop's work.

use std::time::Instant;

use futures_util::TryStreamExt as _;
use mysql_async::TxOpts;
use mysql_async::prelude::Queryable as _;
use tokio_postgres::types::ToSql;

use super::{Shops, Spread, shops, work_time};
use crate::bed::{ServerKind, bed};

/// Rows of `order_items` in a fresh shop.
const ITEMS: usize = 14_988;

async fn use_mysql_async(shops: &'static Shops, spread: Spread) {
    let _log = shops.mesh.show_log_on_failure();
    let pool = mysql_async::Pool::new(shops.mesh.mysql_options(shops.name(ServerKind::MariaDb, spread)));
    let first = 1_000_000 * (10 + i64::from(bed().number()));
    let end = Instant::now() + work_time();
    let mut round = 0;
    while Instant::now() < end || round < 4 {
        round += 1;
        let (customer, order) = (1 + round * 37 % 1000, first + round);
        // The pool resets a connection that comes back, so that each round starts with a fresh session.
        let mut connection = pool.get_conn().await.expect("a connection");

        // Binary protocol, one statement prepared once per session.
        let row: Option<(i64, String, Vec<u8>, Option<String>)> = connection
            .exec_first("SELECT id, name, token, note FROM customers WHERE id = ?", (customer,))
            .await
            .expect("a customer");
        let row = row.expect("every customer is there");
        assert!(row.0 == customer && row.2.len() == 16, "{row:?}");

        let mut transaction = connection.start_transaction(TxOpts::default()).await.expect("a transaction");
        transaction
            .exec_drop(
                "INSERT INTO orders (customer_id, id, status, placed_at, total) VALUES (?, ?, ?, NOW(6), ?)",
                (customer, order, "new", "12.50"),
            )
            .await
            .expect("an order is added");
        assert_eq!(transaction.affected_rows(), 1);
        let kept = round % 2 == 0;
        if kept { transaction.commit().await } else { transaction.rollback().await }.expect("the transaction ends");
        let total: Option<String> = connection
            .exec_first("SELECT total FROM orders WHERE customer_id = ? AND id = ?", (customer, order))
            .await
            .expect("an answer");
        assert_eq!(total.as_deref(), kept.then_some("12.50"));
        connection
            .exec_drop("DELETE FROM orders WHERE customer_id = ? AND id = ?", (customer, order))
            .await
            .expect("the order is taken out");
        assert_eq!(connection.affected_rows(), u64::from(kept));

        // Text protocol, several shards.
        let last: Vec<i64> = connection
            .query("SELECT id FROM orders WHERE id < 100000 ORDER BY id DESC LIMIT 3")
            .await
            .expect("the last orders");
        assert_eq!(last, [5000, 4999, 4998]);
        let error = connection.query_drop("SELECT nothing FROM customers WHERE id = 1").await.expect_err("no column");
        assert!(matches!(&error, mysql_async::Error::Server(server) if server.code == 1054), "{error}");

        if round % 8 == 1 {
            let items: Vec<(i64, i64)> = connection
                .exec("SELECT customer_id, order_id FROM order_items WHERE order_id < ?", (100_000,))
                .await
                .expect("all items");
            assert_eq!(items.len(), ITEMS);
        }
    }
    pool.disconnect().await.expect("a good end");
}

async fn use_tokio_postgres(shops: &'static Shops, spread: Spread) {
    let _log = shops.mesh.show_log_on_failure();
    let name = shops.name(ServerKind::Postgres, spread);
    let first = 1_000_000 * (10 + i64::from(bed().number()));
    let end = Instant::now() + work_time();
    let mut client = shops.mesh.postgres(name).await;
    let mut by_id = client.prepare("SELECT id, name, note FROM customers WHERE id = $1").await.expect("a statement");
    let mut round = 0;
    while Instant::now() < end || round < 4 {
        round += 1;
        let (customer, order) = (1 + round * 37 % 1000, first + round);
        if round % 16 == 0 {
            client = shops.mesh.postgres(name).await;
            by_id = client.prepare("SELECT id, name, note FROM customers WHERE id = $1").await.expect("a statement");
        }
        let row = client.query_one(&by_id, &[&customer]).await.expect("a customer");
        assert_eq!(row.get::<_, i64>(0), customer);

        // Pipelined: three statements are on the way before the first answer.
        let (next, after) = (customer % 1000 + 1, (customer + 1) % 1000 + 1);
        let (values, following, last) = ([&customer as &(dyn ToSql + Sync)], [&next as _], [&after as _]);
        let (one, two, three) = tokio::try_join!(
            client.query_one(&by_id, &values),
            client.query_one(&by_id, &following),
            client.query_one(&by_id, &last),
        )
        .expect("three customers");
        let ids: Vec<i64> = [one, two, three].iter().map(|row| row.get(0)).collect();
        assert_eq!(ids, [customer, next, after]);

        let mut transaction = client.transaction().await.expect("a transaction");
        let add = "INSERT INTO orders (customer_id, id, status, placed_at, total) VALUES ($1, $2, 'new', now(), 12.5)";
        assert_eq!(transaction.execute(add, &[&customer, &order]).await.expect("an order is added"), 1);
        let savepoint = transaction.savepoint("twice").await.expect("a savepoint");
        let error = savepoint.execute(add, &[&customer, &order]).await.expect_err("an order twice");
        assert_eq!(error.code(), Some(&tokio_postgres::error::SqlState::UNIQUE_VIOLATION), "{error}");
        savepoint.rollback().await.expect("back to the savepoint");
        let kept = round % 2 == 0;
        if kept { transaction.commit().await } else { transaction.rollback().await }.expect("the transaction ends");
        let gone = client
            .execute("DELETE FROM orders WHERE customer_id = $1 AND id = $2", &[&customer, &order])
            .await
            .expect("the order is taken out");
        assert_eq!(gone, u64::from(kept));

        let last = client
            .query("SELECT id FROM orders WHERE id < 100000 ORDER BY id DESC LIMIT 3", &[])
            .await
            .expect("the last orders");
        let last: Vec<i64> = last.iter().map(|row| row.get(0)).collect();
        assert_eq!(last, [5000, 4999, 4998]);
        let error = client.query("SELECT nothing FROM customers WHERE id = 1", &[]).await.expect_err("no column");
        assert_eq!(error.code(), Some(&tokio_postgres::error::SqlState::UNDEFINED_COLUMN), "{error}");

        if round % 8 == 1 {
            let rows = client
                .query_raw("SELECT customer_id, order_id FROM order_items WHERE order_id < $1", [100_000_i64])
                .await
                .expect("all items");
            let count = rows.try_fold(0, |count, _| async move { Ok(count + 1) }).await.expect("all items");
            assert_eq!(count, ITEMS);
        }
    }
}

#[tokio::test]
async fn mysql_async_on_one_shard() {
    use_mysql_async(shops().await, Spread::Plain).await;
}

#[tokio::test]
async fn mysql_async_on_two_shards() {
    use_mysql_async(shops().await, Spread::Sharded).await;
}

#[tokio::test]
async fn tokio_postgres_on_one_shard() {
    use_tokio_postgres(shops().await, Spread::Plain).await;
}

#[tokio::test]
async fn tokio_postgres_on_two_shards() {
    use_tokio_postgres(shops().await, Spread::Sharded).await;
}
