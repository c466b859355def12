//! Requests to stop a statement that come when none runs. They are for nothing: the next statement is not meant.

use mysql_async::prelude::Queryable as _;
use protocol::postgres::write;

use super::wire::{PostgresRaw, RAW_USER, Raw, message};
use super::{is_unharmed, place};

#[tokio::test]
async fn by_the_mysql_protocol() {
    let place = place().await;
    let mut client = place.mesh.mysql(&place.mysql.name).await;
    let mut killer = place.mesh.mysql(&place.mysql.name).await;
    let id = client.id();
    let select = "SELECT SLEEP(0.05)";
    for inside in [false, true] {
        killer.query_drop(format!("KILL QUERY {id}")).await.expect("a session of the same user");
        // Interrupted, it would be 1.
        assert_eq!(client.query_first::<i64, _>(select).await.expect("an answer"), Some(0), "inside: {inside}");
        client.query_drop("BEGIN").await.expect("begins");
    }
    client.query_drop("ROLLBACK").await.expect("ends");
    is_unharmed(&place.mesh);
}

#[tokio::test]
async fn by_the_postgres_protocol() {
    let place = place().await;
    let address = place.mesh.addresses.postgres;
    let mut client = PostgresRaw { raw: Raw::connect(address) };
    client.raw.send(&PostgresRaw::startup(RAW_USER, &place.postgres.name));
    let greeting = client.until_ready().expect("a login");
    let (_, key) = greeting.iter().find(|(tag, _)| *tag == b'K').expect("a key");
    let (process_id, secret) = key.split_at(4);
    let mut request = Vec::new();
    write::cancel_request(&mut request, u32::from_be_bytes(process_id.try_into().expect("four bytes")), secret);
    for sql in [&b"SELECT pg_sleep(0.05)\0"[..], b"BEGIN\0", b"SELECT pg_sleep(0.05)\0", b"COMMIT\0"] {
        let mut canceller = Raw::connect(address);
        canceller.send(&request);
        // The end says that it was heard.
        canceller.rest();
        client.raw.send(&message(b'Q', sql));
        let answers = client.until_ready().expect("an answer");
        assert!(answers.iter().all(|(tag, _)| *tag != b'E'), "{answers:?}");
    }
    is_unharmed(&place.mesh);
}
