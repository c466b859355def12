//! What a PostgreSQL session keeps true while its backends change: transactions over several shards and pipelines, settings,
//! sequences, pins. The scripts beside this file check every answer; they end with `good`.

mod counted;
mod crowded;
mod kept;
mod leftovers;

use tokio::sync::OnceCell;

use crate::bed::{Database, MeshConfig, PASSWORD, RunningMesh, ServerKind, Table, Tool, bed, python};
use dbmesh::demo::servers::SERVER_USER;

/// What the tests share: one dbmesh, one database as it is, one on two shards.
struct Place {
    mesh: RunningMesh,
    plain: Database,
    sharded: Database,
}

/// Another user than the one of the tests.
const GUEST: &str = "[[user]]\nname = \"guest\"\npassword = \"guest\"";

async fn place() -> &'static Place {
    static PLACE: OnceCell<Place> = OnceCell::const_new();
    PLACE.get_or_init(new_place).await
}

async fn new_place() -> Place {
    let plain = Database::new(ServerKind::Postgres, 1).await;
    let sharded = sharded().await;
    // Few backends, so that sessions meet on them.
    let config = MeshConfig::with(&plain).and(&sharded).section("[pool]\nsize_max = 4").section(GUEST);
    Place { mesh: config.key("workers = 1").start(), plain, sharded }
}

/// A database on two shards: orders of customers, and products on both.
async fn sharded() -> Database {
    let database = Database::new(ServerKind::Postgres, 2).await;
    database
        .everywhere(
            "CREATE TABLE orders (id BIGINT, customer_id BIGINT NOT NULL, note TEXT, PRIMARY KEY (customer_id, id));
             CREATE TABLE products (id SERIAL PRIMARY KEY, name TEXT)",
        )
        .await;
    database.table(Table::Sharded("orders", &["customer_id"])).table(Table::Single("products"))
}

/// Runs a script against `database`; it gets the ports of dbmesh and of the first shard.
async fn script(name: &str, mesh: &'static RunningMesh, database: &Database) {
    let _log = mesh.show_log_on_failure();
    let arguments = [
        format!("{}/tests/live/postgres_sessions/{name}", env!("CARGO_MANIFEST_DIR")),
        mesh.addresses.postgres.port().to_string(),
        database.name.clone(),
        database.shards[0].port.to_string(),
        SERVER_USER.to_owned(),
        PASSWORD.to_owned(),
        if database.shards.len() == 1 { "plain" } else { "sharded" }.to_owned(),
    ];
    let said = tokio::task::spawn_blocking(move || Tool::new(python()).args(arguments).ok()).await;
    let said = said.expect("the script finds nothing wrong");
    assert!(said.trim_end().ends_with("good"), "{said}");
    let log = mesh.log();
    assert!(!log.contains("panicked") && !log.contains("internal error"), "a defect in the log");
}

#[tokio::test]
async fn state_of_sessions_on_one_shard() {
    let place = place().await;
    script("state.py", &place.mesh, &place.plain).await;
}

#[tokio::test]
async fn sequences_on_one_shard_and_on_two() {
    // Its sessions need all the backends there are.
    let place: &'static Place = Box::leak(Box::new(new_place().await));
    script("sequences.py", &place.mesh, &place.plain).await;
    script("sequences.py", &place.mesh, &place.sharded).await;
    place.mesh.signal(dbmesh::demo::keeper::StopSignal::Kill);
}

#[tokio::test]
async fn pipelines_over_two_shards_are_one_transaction() {
    let place = place().await;
    script("pipelines.py", &place.mesh, &place.sharded).await;
}

#[tokio::test]
async fn settings_hold_on_both_shards() {
    let place = place().await;
    script("settings.py", &place.mesh, &place.sharded).await;
}

#[tokio::test]
async fn clients_by_tls_and_by_every_version_of_the_protocol() {
    let database = Database::new(ServerKind::Postgres, 1).await;
    let folder = bed().servers().directory();
    let (key, certificate) = (folder.join("front.key"), folder.join("front.pem"));
    let (key, certificate) = (key.display().to_string(), certificate.display().to_string());
    let request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost"];
    Tool::new("openssl").args(request).args(["-keyout", &key, "-out", &certificate]).ok();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .expect("a key for the test only");
    let section = format!("[tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\nrequire = true");
    let mesh: &'static RunningMesh = Box::leak(Box::new(MeshConfig::with(&database).section(&section).start()));
    script("tls.py", mesh, &database).await;
    mesh.signal(dbmesh::demo::keeper::StopSignal::Kill);
}

#[tokio::test]
async fn a_session_is_known_by_its_number() {
    let place = place().await;
    script("own_number.py", &place.mesh, &place.plain).await;
    script("own_number.py", &place.mesh, &place.sharded).await;
}

#[tokio::test]
async fn the_same_messages_get_the_same_answers() {
    let place: &'static Place = Box::leak(Box::new(new_place().await));
    script("same.py", &place.mesh, &place.plain).await;
    place.mesh.signal(dbmesh::demo::keeper::StopSignal::Kill);
}

#[tokio::test]
async fn the_same_messages_get_the_same_answers_from_two_shards() {
    let place: &'static Place = Box::leak(Box::new(new_place().await));
    script("sharded_same.py", &place.mesh, &place.sharded).await;
    place.mesh.signal(dbmesh::demo::keeper::StopSignal::Kill);
}

#[tokio::test]
async fn random_pipelines_get_the_same_answers() {
    let place: &'static Place = Box::leak(Box::new(new_place().await));
    script("pipes.py", &place.mesh, &place.plain).await;
    place.mesh.signal(dbmesh::demo::keeper::StopSignal::Kill);
}

#[tokio::test]
async fn random_pipelines_get_the_same_answers_from_two_shards() {
    let place: &'static Place = Box::leak(Box::new(new_place().await));
    script("pipes.py", &place.mesh, &place.sharded).await;
    place.mesh.signal(dbmesh::demo::keeper::StopSignal::Kill);
}

#[tokio::test]
async fn prepared_statements_after_others_changed_their_tables() {
    let database = Database::new(ServerKind::Postgres, 1).await;
    let mesh: &'static RunningMesh =
        Box::leak(Box::new(MeshConfig::with(&database).section("[pool]\nsize_max = 1").start()));
    script("changed.py", mesh, &database).await;

    // tokio-postgres reads rows by the columns that it was told when it prepared.
    database.everywhere("CREATE TABLE moved (a INT); INSERT INTO moved VALUES (1)").await;
    let client = mesh.postgres(&database.name).await;
    let select = client.prepare("SELECT * FROM moved").await.expect("prepared");
    assert_eq!(client.query_one(&select, &[]).await.expect("a row").get::<_, i32>(0), 1);
    database.everywhere("ALTER TABLE moved ALTER a TYPE text USING 'word'").await;
    for _ in 0..2 {
        let error = client.query_one(&select, &[]).await.expect_err("of other columns");
        let error = error.as_db_error().expect("the server's");
        assert_eq!((error.code().code(), error.routine()), ("0A000", Some("RevalidateCachedQuery")), "{error:?}");
    }
    let select = client.prepare("SELECT * FROM moved").await.expect("prepared anew");
    assert_eq!(client.query_one(&select, &[]).await.expect("a row").get::<_, &str>(0), "word");
    mesh.signal(dbmesh::demo::keeper::StopSignal::Kill);
}

#[tokio::test]
async fn tools_find_the_declared_tables_as_in_one_database() {
    // A place of its own: others drop tables.
    let place: &'static Place = Box::leak(Box::new(new_place().await));
    script("introspection.py", &place.mesh, &place.sharded).await;
    place.mesh.signal(dbmesh::demo::keeper::StopSignal::Kill);
}
