//! What both protocols' cases share: how a case is run and what is said of errors and long values.

use std::fmt::Display;
use std::future::Future;

/// What a case returns when it cannot go on.
pub type Outcome = Result<(), sqlx::Error>;

/// A setting of the matrix.
pub fn setting(name: &str) -> String {
    std::env::var(format!("DRIVERS_{name}")).unwrap_or_else(|_| panic!("DRIVERS_{name} is not set"))
}

/// Runs a case; one that fails says how, and the next one runs.
pub async fn case(name: &str, work: impl Future<Output = Outcome>) {
    println!("## {name}");
    if let Err(error) = work.await {
        println!("fails: {}", told(&error));
    }
}

/// An error with its codes.
pub fn told(error: &sqlx::Error) -> String {
    let text = match error {
        sqlx::Error::Database(error) => format!("{:?} {}", error.code(), error.message()),
        other => other.to_string(),
    };
    text.replace('\n', " | ")
}

/// Says how an attempt ended.
pub fn ended<T>(result: Result<T, sqlx::Error>) {
    match result {
        Ok(_) => println!("no error"),
        Err(error) => println!("{}", told(&error)),
    }
}

/// A value short enough for a line.
pub fn short(value: impl Display) -> String {
    let text = value.to_string();
    if text.len() <= 200 {
        return format!("{text:?}");
    }
    let sum = text.bytes().fold(0u64, |sum, byte| sum.wrapping_mul(1_000_003).wrapping_add(u64::from(byte)));
    format!("{} bytes {sum:x}", text.len())
}
