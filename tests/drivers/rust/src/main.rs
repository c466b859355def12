//! The cases of sqlx, for the protocol in the first argument. Run against a server and against dbmesh; the lines are compared, so
//! nothing may be printed that differs between two runs against one server.

mod case;
mod mysql;
mod postgres;

#[tokio::main]
async fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("mysql") => mysql::cases().await,
        Some("postgres") => postgres::cases().await,
        other => panic!("mysql or postgres, not {other:?}"),
    }
}
