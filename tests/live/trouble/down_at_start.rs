//! A shard that is down when dbmesh starts: the others serve, health says so, and it comes back by itself.

use mysql_async::prelude::Queryable as _;

use super::{SOON, is_unharmed, told_by_mysql, told_by_postgres};
use crate::bed::{Database, MeshConfig, ServerKind, Table, bed, eventually, eventually_async};

#[tokio::test]
async fn by_mysql() {
    let server = bed().own_server(ServerKind::MariaDb, &[]);
    let down = Database::on(vec![server.clone()]).await;
    let up = Database::new(ServerKind::MariaDb, 1).await;
    down.everywhere("CREATE TABLE kept (id BIGINT PRIMARY KEY); INSERT INTO kept VALUES (7)").await;
    bed().servers().kill(&server).expect("it ran");
    let mesh = MeshConfig::with(&down).and(&up).start();
    eventually("health names the shard that is down", SOON, || {
        let (status, text) = mesh.page("/readyz");
        status == 503 && text.contains(&down.name)
    });
    assert_eq!(mesh.page("/healthz").0, 200);
    let mut other = mesh.mysql(&up.name).await;
    let sum: Option<i64> = other.query_first("SELECT 1 + 1 FROM DUAL").await.expect("the other one serves");
    assert_eq!(sum, Some(2));
    // Sessions are let in, and told at each statement that needs the shard.
    let mut waiting = other;
    waiting.query_drop(format!("USE {}", down.name)).await.expect("it is a database");
    let told = told_by_mysql(&waiting.query_drop("SELECT id FROM kept").await.expect_err("the shard is down"));
    assert_eq!((told.code, told.state.as_str()), (1429, "HY000"), "{told:?}");

    bed().servers().restart(&server).expect("it starts");
    let ready = || mesh.page("/readyz").0 == 200;
    eventually("health sees it come back", SOON, ready);
    let deadline = std::time::Instant::now() + SOON;
    let ids: Vec<i64> = loop {
        match waiting.query("SELECT id FROM kept").await {
            Ok(ids) => break ids,
            Err(error) => {
                assert_eq!(told_by_mysql(&error).code, 1429);
                assert!(std::time::Instant::now() < deadline, "the session does not get through: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
    };
    assert_eq!(ids, [7]);
    is_unharmed(&mesh);
}

#[tokio::test]
async fn by_postgres() {
    let server = bed().own_server(ServerKind::Postgres, &[]);
    let down = Database::on(vec![server.clone()]).await;
    let up = Database::new(ServerKind::Postgres, 1).await;
    down.everywhere("CREATE TABLE kept (id BIGINT PRIMARY KEY); INSERT INTO kept VALUES (7)").await;
    bed().servers().kill(&server).expect("it ran");
    let mesh = MeshConfig::with(&down).and(&up).start();
    eventually("health names the shard that is down", SOON, || {
        let (status, text) = mesh.page("/readyz");
        status == 503 && text.contains(&down.name)
    });
    assert_eq!(mesh.page("/healthz").0, 200);
    let other = mesh.postgres(&up.name).await;
    other.query_one("SELECT 1 + 1", &[]).await.expect("the other one serves");
    let connect = || async {
        let mut options = tokio_postgres::Config::new();
        options.host("127.0.0.1").port(mesh.addresses.postgres.port()).user("app").password("app").dbname(&down.name);
        let (client, connection) = options.connect(tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        client.query("SELECT id FROM kept", &[]).await
    };
    // A session needs the server's parameters; without, it is told why there is none.
    let told = told_by_postgres(&connect().await.expect_err("the shard is down"));
    assert_eq!(told.state, "58000", "{told:?}");
    assert!(told.text.contains(&server.name), "{told:?}");

    bed().servers().restart(&server).expect("it starts");
    eventually("health sees it come back", SOON, || mesh.page("/readyz").0 == 200);
    eventually_async("sessions get through", SOON, || async {
        match connect().await {
            Ok(rows) => rows.len() == 1 && rows[0].get::<_, i64>(0) == 7,
            Err(error) => {
                assert_eq!(told_by_postgres(&error).state, "58000");
                false
            }
        }
    })
    .await;
    is_unharmed(&mesh);
}

#[tokio::test]
async fn one_of_two_shards() {
    for kind in [ServerKind::MariaDb, ServerKind::Postgres] {
        let steady = match kind {
            ServerKind::MariaDb => bed().mysql_shard(0).clone(),
            ServerKind::Postgres => bed().postgres_shard(0).clone(),
        };
        let shaky = bed().own_server(kind, &[]);
        let database = Database::on(vec![steady, shaky.clone()]).await.table(Table::Sharded("kept", &["id"]));
        database.everywhere("CREATE TABLE kept (id BIGINT PRIMARY KEY)").await;
        bed().servers().kill(&shaky).expect("it ran");
        let mesh = MeshConfig::with(&database).start();
        let protocol = if kind == ServerKind::MariaDb { "mysql" } else { "postgres" };
        let state = |states: Vec<std::collections::HashMap<String, String>>| {
            let row = states.into_iter().find(|row| row["shard"] == shaky.name).expect("a row for every shard");
            row["state"].clone()
        };
        eventually_async("the admin tables show the shard that is down", SOON, || async {
            state(super::admin(&mesh, "SHOW SHARDS").await) == "down"
        })
        .await;
        let shards = super::admin(&mesh, "SHOW SHARDS").await;
        let version = |name: &str| shards.iter().find(|row| row["shard"] == name).expect("a row")["version"].clone();
        let own = &database.shards[0].name;
        assert!(version(own).starts_with(|first: char| first.is_ascii_digit()), "{protocol}: {:?}", version(own));
        assert!(!version(&shaky.name).contains('.'), "{protocol}: nobody has seen the version of {}", shaky.name);
        let select = "SELECT id FROM kept WHERE id = ";
        // Each key works or fails by itself; some work.
        let mut worked = Vec::new();
        for key in 1..20 {
            let sql = format!("{select}{key}");
            let failed = match kind {
                ServerKind::MariaDb => {
                    mesh.mysql(&database.name).await.query_drop(&sql).await.err().map(|error| told_by_mysql(&error))
                }
                ServerKind::Postgres => {
                    let client = mesh.postgres(&database.name).await;
                    client.batch_execute(&sql).await.err().map(|error| told_by_postgres(&error))
                }
            };
            worked.push(failed.is_none());
            if let Some(told) = failed {
                assert!(["HY000", "58000"].contains(&told.state.as_str()), "{protocol}: {told:?}");
                assert!(told.text.contains(&shaky.name), "{protocol}: {told:?}");
            }
        }
        assert!(worked.contains(&true) && worked.contains(&false), "{protocol}: {worked:?}");
        bed().servers().restart(&shaky).expect("it starts");
        eventually_async("the shard comes back", SOON, || async {
            state(super::admin(&mesh, "SHOW SHARDS").await) == "up"
        })
        .await;
        eventually_async("every key works again", SOON, || async {
            let sql = "SELECT id FROM kept ORDER BY id";
            match kind {
                ServerKind::MariaDb => mesh.mysql(&database.name).await.query_drop(sql).await.is_ok(),
                ServerKind::Postgres => mesh.postgres(&database.name).await.batch_execute(sql).await.is_ok(),
            }
        })
        .await;
        is_unharmed(&mesh);
    }
}
