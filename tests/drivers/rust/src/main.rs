//! The cases of sqlx and diesel-async, for the driver in the first argument. Run against a server and against dbmesh; the lines are
//! compared, so nothing may be printed that differs between two runs against one server.

mod case;
mod diesel;
mod mysql;
mod postgres;

#[tokio::main]
async fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("mysql") => mysql::cases().await,
        Some("postgres") => postgres::cases().await,
        Some("diesel-mysql") => {
            diesel::mysql().await;
            println!("# end");
        }
        Some("diesel-postgres") => {
            diesel::postgres().await;
            diesel::pipelines().await;
        }
        other => panic!("mysql, postgres, diesel-mysql or diesel-postgres, not {other:?}"),
    }
}
