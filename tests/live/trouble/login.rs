//! Logins that fail: wrong password, unknown user, unknown database, a database of others.

use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;

use super::wire::Told;
use super::{Place, Witness, place, told_by_mysql, told_by_postgres};

async fn mysql(place: &Place, user: &str, password: &str, database: Option<&str>) -> Told {
    let options = place.mesh.mysql_options("").user(Some(user)).pass(Some(password)).db_name(database);
    match Conn::new(options).await {
        Ok(_) => panic!("{user} is let in to {database:?}"),
        Err(error) => told_by_mysql(&error),
    }
}

async fn postgres(place: &Place, user: &str, password: &str, database: &str) -> Told {
    let mut options = tokio_postgres::Config::new();
    options.host("127.0.0.1").port(place.mesh.addresses.postgres.port());
    options.user(user).password(password).dbname(database);
    match options.connect(tokio_postgres::NoTls).await {
        Ok(_) => panic!("{user} is let in to {database}"),
        Err(error) => told_by_postgres(&error),
    }
}

fn told(code: u16, state: &str, text: &str) -> Told {
    Told { code, state: state.to_owned(), text: text.to_owned() }
}

#[tokio::test]
async fn logins_by_mysql_fail_as_servers_fail_them() {
    let place = place().await;
    let _log = place.mesh.show_log_on_failure();
    let witness = Witness::new(place).await;
    let name = &place.mysql.name;
    let denied = |user: &str, with: &str| {
        told(1045, "28000", &format!("Access denied for user '{user}'@'127.0.0.1' (using password: {with})"))
    };
    assert_eq!(mysql(place, "app", "wrong", Some(name)).await, denied("app", "YES"));
    assert_eq!(mysql(place, "app", "", Some(name)).await, denied("app", "NO"));
    assert_eq!(mysql(place, "stranger", "wrong", Some(name)).await, denied("stranger", "YES"));
    assert_eq!(mysql(place, "stranger", "", Some(name)).await, denied("stranger", "NO"));
    // Whoever is not let in learns nothing about databases.
    assert_eq!(mysql(place, "app", "wrong", Some("nowhere")).await, denied("app", "YES"));
    assert_eq!(mysql(place, "app", "app", Some("nowhere")).await, told(1049, "42000", "Unknown database 'nowhere'"));
    let others = told(1044, "42000", &format!("Access denied for user 'nobody' to database '{name}'"));
    assert_eq!(mysql(place, "nobody", "nobody", Some(name)).await, others);

    // The same inside a session, which goes on.
    let mut connection = place.mesh.mysql(name).await;
    let error = connection.query_drop("USE nowhere").await.expect_err("no such database");
    assert_eq!(told_by_mysql(&error), told(1049, "42000", "Unknown database 'nowhere'"));
    let options = place.mesh.mysql_options(&place.others.name).user(Some("nobody")).pass(Some("nobody"));
    let mut connection_of_nobody = Conn::new(options).await.expect("nobody may use what others have");
    let error = connection_of_nobody.query_drop(format!("USE {name}")).await.expect_err("a database of others");
    assert_eq!(told_by_mysql(&error), others);
    let sum: Option<i64> = connection_of_nobody.query_first("SELECT 1 + 1").await.expect("the session goes on");
    assert_eq!(sum, Some(2));
    let schema: Option<String> = connection.query_first("SELECT DATABASE()").await.expect("the session goes on");
    assert_eq!(schema.as_ref(), Some(name));

    witness.stays_undisturbed().await;
    place.is_unharmed();
}

#[tokio::test]
async fn logins_by_postgres_fail_as_servers_fail_them() {
    let place = place().await;
    let _log = place.mesh.show_log_on_failure();
    let witness = Witness::new(place).await;
    let name = &place.postgres.name;
    let denied = |user: &str| told(0, "28P01", &format!("password authentication failed for user \"{user}\""));
    assert_eq!(postgres(place, "app", "wrong", name).await, denied("app"));
    assert_eq!(postgres(place, "app", "", name).await, denied("app"));
    assert_eq!(postgres(place, "stranger", "wrong", name).await, denied("stranger"));
    assert_eq!(postgres(place, "app", "wrong", "nowhere").await, denied("app"));
    let unknown = postgres(place, "app", "app", "nowhere").await;
    assert_eq!((unknown.state.as_str(), unknown.text.contains("nowhere")), ("3D000", true), "{unknown:?}");
    let others = postgres(place, "nobody", "nobody", name).await;
    assert_eq!((others.state.as_str(), others.text.contains(name.as_str())), ("42501", true), "{others:?}");
    witness.stays_undisturbed().await;
    place.is_unharmed();
}

#[tokio::test]
async fn an_unknown_user_is_asked_the_same_as_a_known_one() {
    use super::wire::PostgresRaw;
    let place = place().await;
    let mut questions = Vec::new();
    for user in ["app", "stranger"] {
        let mut client = PostgresRaw { raw: super::wire::Raw::connect(place.mesh.addresses.postgres) };
        client.raw.send(&PostgresRaw::startup(user, &place.postgres.name));
        questions.push(client.answer().expect("a question for the password"));
        let first = b"SCRAM-SHA-256\0\0\0\0\x20n,,n=,r=abcdefghijklmnopqrstuvwx".to_vec();
        client.raw.send(&super::wire::message(b'p', &first));
        let (tag, body) = client.answer().expect("a challenge");
        let text = String::from_utf8_lossy(&body).into_owned();
        let (_, rest) = text.split_once(",s=").unwrap_or_else(|| panic!("{text}"));
        let (salt, iterations) = rest.split_once(",i=").unwrap_or_else(|| panic!("{text}"));
        questions.push((tag, format!("{} {iterations}", salt.len()).into_bytes()));
    }
    assert_eq!(questions[..2], questions[2..]);
}
