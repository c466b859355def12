//! Sends one statement by one of the protocols and brings its answer into a form that can be compared.

use std::time::Duration;

use mysql_async::consts::ColumnFlags;
use mysql_async::prelude::Queryable as _;
use tokio_postgres::types::{Format, FromSql, IsNull, ToSql, Type};

use super::select::{Literal, Statement};

/// Longer than any statement of the suite takes.
const STATEMENT_MAX: Duration = Duration::from_secs(60);

/// What came of a statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Names and types of columns as one text each, the rows (`None` is NULL), and how many the server says it touched.
    Rows { columns: Vec<String>, rows: Vec<Row>, affected: u64 },
    /// The server's code and text.
    Error { code: String, text: String },
}

/// The values of a row as the protocol brought them.
pub type Row = Vec<Option<Vec<u8>>>;

/// A connection to a server or to dbmesh.
pub enum Session {
    MySql(mysql_async::Conn),
    Postgres(tokio_postgres::Client),
}

impl Session {
    /// Sends a statement; as a prepared one, with its parameters bound, where that is asked for.
    pub async fn ask(&mut self, statement: &Statement, prepared: bool) -> Answer {
        let work = async {
            match self {
                Self::MySql(connection) => mysql(connection, statement, prepared).await,
                Self::Postgres(client) => postgres(client, statement, prepared).await,
            }
        };
        tokio::time::timeout(STATEMENT_MAX, work).await.unwrap_or_else(|_| panic!("no answer: {}", statement.sql))
    }

    /// Sends a statement that has to work.
    pub async fn run(&mut self, sql: &str) {
        let statement = Statement { sql: sql.to_owned(), parameters: Vec::new() };
        if let Answer::Error { code, text } = self.ask(&statement, false).await {
            panic!("{sql}: {code} {text}");
        }
    }
}

async fn mysql(connection: &mut mysql_async::Conn, statement: &Statement, prepared: bool) -> Answer {
    let result = if prepared {
        let values = statement.parameters.iter().map(|value| match value {
            Literal::Int(value) => mysql_async::Value::Int(*value),
            Literal::Decimal(text) | Literal::Text(text) => mysql_async::Value::Bytes(text.clone().into_bytes()),
        });
        let values: Vec<mysql_async::Value> = values.collect();
        let parameters =
            if values.is_empty() { mysql_async::Params::Empty } else { mysql_async::Params::Positional(values) };
        match connection.exec_iter(statement.sql.as_str(), parameters).await {
            Ok(result) => collect(result).await,
            Err(error) => Err(error),
        }
    } else {
        match connection.query_iter(statement.sql.as_str()).await {
            Ok(result) => collect(result).await,
            Err(error) => Err(error),
        }
    };
    match result {
        Ok(answer) => answer,
        Err(mysql_async::Error::Server(error)) => {
            Answer::Error { code: format!("{}/{}", error.code, error.state), text: error.message }
        }
        Err(error) => Answer::Error { code: "connection".into(), text: error.to_string() },
    }
}

/// Name and type of a column, as far as they belong to the statement. The rest depends on how the server happens to run
/// it: when MariaDB sorts or groups in a temporary table, flags of keys go, NOT NULL of outer joins comes and goes, a
/// BLOB becomes a MEDIUMBLOB, lengths grow by a byte.
fn describe(column: &mysql_async::Column) -> String {
    use mysql_async::consts::ColumnType;
    let (kind, decimals) = match column.column_type() {
        ColumnType::MYSQL_TYPE_TINY_BLOB
        | ColumnType::MYSQL_TYPE_BLOB
        | ColumnType::MYSQL_TYPE_MEDIUM_BLOB
        | ColumnType::MYSQL_TYPE_LONG_BLOB => ("blob".to_owned(), 0),
        kind @ ColumnType::MYSQL_TYPE_NEWDECIMAL => (format!("{kind:?}"), column.decimals()),
        kind => (format!("{kind:?}"), 0),
    };
    let unsigned = column.flags().contains(ColumnFlags::UNSIGNED_FLAG);
    format!("{} {kind} {unsigned} {decimals} {}", column.name_str(), column.character_set())
}

async fn collect<P: mysql_async::prelude::Protocol>(
    mut result: mysql_async::QueryResult<'_, '_, P>,
) -> Result<Answer, mysql_async::Error> {
    let columns = result.columns_ref().iter().map(describe).collect();
    let rows: Vec<mysql_async::Row> = result.collect().await?;
    let affected = result.affected_rows();
    result.drop_result().await?;
    let value = |value: Option<mysql_async::Value>| match value {
        None | Some(mysql_async::Value::NULL) => None,
        Some(mysql_async::Value::Bytes(bytes)) => Some(bytes),
        Some(other) => Some(other.as_sql(true).into_bytes()),
    };
    let rows = rows.into_iter().map(|row| row.unwrap_raw().into_iter().map(value).collect()).collect();
    Ok(Answer::Rows { columns, rows, affected })
}

/// The bytes of a column, whatever its type.
struct Raw(Vec<u8>);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A parameter sent as text, whatever its type.
#[derive(Debug)]
struct AsText(String);

impl ToSql for AsText {
    fn to_sql(&self, _: &Type, out: &mut bytes::BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    tokio_postgres::types::to_sql_checked!();
}

async fn postgres(client: &tokio_postgres::Client, statement: &Statement, prepared: bool) -> Answer {
    let answer = if prepared { extended(client, statement).await } else { simple(client, statement).await };
    answer.unwrap_or_else(|error| match error.as_db_error() {
        Some(server) => Answer::Error { code: server.code().code().to_owned(), text: server.message().to_owned() },
        None => Answer::Error { code: "connection".into(), text: error.to_string() },
    })
}

async fn extended(client: &tokio_postgres::Client, statement: &Statement) -> Result<Answer, tokio_postgres::Error> {
    let prepared = client.prepare(&statement.sql).await?;
    let columns = prepared.columns().iter().map(|column| format!("{} {}", column.name(), column.type_())).collect();
    let parameters = statement.parameters.iter().map(|value| match value {
        Literal::Int(value) => AsText(value.to_string()),
        Literal::Decimal(text) | Literal::Text(text) => AsText(text.clone()),
    });
    let parameters: Vec<AsText> = parameters.collect();
    let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|value| value as _).collect();
    let rows = client.query(&prepared, &parameters).await?;
    let row = |row: &tokio_postgres::Row| {
        (0..row.len()).map(|n| row.get::<_, Option<Raw>>(n).map(|raw| raw.0)).collect::<Row>()
    };
    Ok(Answer::Rows { columns, rows: rows.iter().map(row).collect(), affected: 0 })
}

async fn simple(client: &tokio_postgres::Client, statement: &Statement) -> Result<Answer, tokio_postgres::Error> {
    let (mut columns, mut rows, mut affected) = (Vec::new(), Vec::new(), 0);
    for message in client.simple_query(&statement.sql).await? {
        match message {
            tokio_postgres::SimpleQueryMessage::RowDescription(description) => {
                columns = description.iter().map(|column| column.name().to_owned()).collect();
            }
            tokio_postgres::SimpleQueryMessage::Row(row) => {
                rows.push((0..row.len()).map(|n| row.get(n).map(|text| text.as_bytes().to_vec())).collect());
            }
            tokio_postgres::SimpleQueryMessage::CommandComplete(count) => affected = count,
            _ => {}
        }
    }
    Ok(Answer::Rows { columns, rows, affected })
}
