//! The programs of the matrix by family: how each is started.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::place::Way;
use crate::bed::ServerKind::{self, MariaDb, Postgres};
use crate::bed::{Tool, installed, python};

/// Longest run of one program one way.
const MOST: Duration = Duration::from_secs(240);

/// Longest run of a driver's own suite.
const SUITE_MOST: Duration = Duration::from_secs(900);

/// Programs that are started in one manner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// PyMySQL, MySQL Connector, asyncmy; psycopg, asyncpg, pg8000; SQLAlchemy.
    Python,
    /// mysql2, mariadb; pg, postgres.js; Sequelize.
    JavaScript,
    /// mysqlclient, which is compiled.
    PythonCompiled,
    /// go-sql-driver; lib/pq, pgx.
    Go,
    /// Connector/J, MariaDB Connector/J; pgJDBC; HikariCP over each.
    Java,
    /// sqlx, diesel-async.
    Rust,
    /// What drivers' authors test.
    Suites,
}

/// One program.
#[derive(Debug, Clone)]
pub struct Program {
    /// What reports and the list of differences call it.
    pub name: &'static str,
    /// What it speaks.
    pub kind: ServerKind,
    /// Where it runs beside the server itself.
    pub ways: &'static [Way],
    /// It is a driver's own suite.
    pub is_suite: bool,
    command: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
    most: Duration,
}

/// Name, protocol, script, argument.
type Script = (&'static str, ServerKind, &'static str, &'static str);

const PYTHON: [Script; 8] = [
    ("pymysql", MariaDb, "mysql_dbapi", "pymysql"),
    ("connector-python", MariaDb, "mysql_dbapi", "connector"),
    ("asyncmy", MariaDb, "asyncmy_cases", ""),
    ("sqlalchemy-pymysql", MariaDb, "sqlalchemy_cases", "mysql+pymysql"),
    ("psycopg", Postgres, "psycopg_cases", ""),
    ("asyncpg", Postgres, "asyncpg_cases", ""),
    ("pg8000", Postgres, "pg8000_cases", ""),
    ("sqlalchemy-psycopg", Postgres, "sqlalchemy_cases", "postgresql+psycopg"),
];

const JAVASCRIPT: [Script; 6] = [
    ("mysql2", MariaDb, "mysql_cases", "mysql2"),
    ("mariadb-js", MariaDb, "mysql_cases", "mariadb"),
    ("sequelize-mysql2", MariaDb, "sequelize_cases", "mysql"),
    ("pg", Postgres, "pg_cases", ""),
    ("postgres.js", Postgres, "postgresjs_cases", ""),
    ("sequelize-pg", Postgres, "sequelize_cases", "postgres"),
];

const PYTHON_COMPILED: [Script; 1] = [("mysqlclient", MariaDb, "mysql_dbapi", "mysqlclient")];

const GO: [(&str, ServerKind, &str); 3] =
    [("go-sql-driver", MariaDb, "mysql"), ("pq", Postgres, "pq"), ("pgx", Postgres, "pgx")];

const JAVA: [(&str, ServerKind, &str); 3] =
    [("connector-j", MariaDb, "mysql"), ("mariadb-java", MariaDb, "mariadb"), ("pgjdbc", Postgres, "postgresql")];

const RUST: [(&str, ServerKind, &str); 4] = [
    ("sqlx-mysql", MariaDb, "mysql"),
    ("diesel-async-mysql", MariaDb, "diesel-mysql"),
    ("sqlx-postgres", Postgres, "postgres"),
    ("diesel-async-postgres", Postgres, "diesel-postgres"),
];

const SUITES: [Script; 12] = [
    ("suite of pymysql", MariaDb, "suite", "pymysql"),
    ("suite of mysqlclient", MariaDb, "suite", "mysqlclient"),
    ("suite of go-sql-driver", MariaDb, "suite", "go-sql-driver"),
    ("suite of mysql_async", MariaDb, "suite", "mysql_async"),
    ("suite of sqlalchemy-pymysql", MariaDb, "suite", "sqlalchemy-pymysql"),
    ("suite of psycopg2", Postgres, "suite", "psycopg2"),
    ("suite of pg8000", Postgres, "suite", "pg8000"),
    ("suite of asyncpg", Postgres, "suite", "asyncpg"),
    ("suite of pq", Postgres, "suite", "pq"),
    ("suite of pgx", Postgres, "suite", "pgx"),
    ("suite of tokio-postgres", Postgres, "suite", "tokio-postgres"),
    ("suite of sqlalchemy-psycopg", Postgres, "suite", "sqlalchemy-psycopg"),
];

impl Family {
    /// Every family.
    pub const ALL: [Self; 7] =
        [Self::Python, Self::JavaScript, Self::PythonCompiled, Self::Go, Self::Java, Self::Rust, Self::Suites];

    /// What `DBMESH_DRIVERS` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::JavaScript => "javascript",
            Self::PythonCompiled => "python-compiled",
            Self::Go => "go",
            Self::Java => "java",
            Self::Rust => "rust",
            Self::Suites => "suites",
        }
    }

    /// The names of its programs.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let scripts: &[Script] = match self {
            Self::Python => &PYTHON,
            Self::JavaScript => &JAVASCRIPT,
            Self::PythonCompiled => &PYTHON_COMPILED,
            Self::Suites => &SUITES,
            Self::Go | Self::Java | Self::Rust => &[],
        };
        let others: &[(&str, ServerKind, &str)] = match self {
            Self::Go => &GO,
            Self::Java => &JAVA,
            Self::Rust => &RUST,
            _ => &[],
        };
        scripts.iter().map(|script| script.0).chain(others.iter().map(|other| other.0))
    }

    /// Its programs, which must be installed.
    pub fn programs(self) -> Vec<Program> {
        match self {
            Self::Python => scripts(&PYTHON, &python(), "python", "py", &[]),
            Self::JavaScript => {
                let packages = installed("javascript/node_modules").display().to_string();
                let environment = [("NODE_PATH", packages)];
                let mut programs = scripts(&JAVASCRIPT, &PathBuf::from("node"), "javascript", "js", &environment);
                // An ORM makes its own tables, which are nowhere declared.
                for program in programs.iter_mut().filter(|program| program.name.starts_with("sequelize")) {
                    program.ways = &[Way::Unsharded];
                }
                programs
            }
            Self::PythonCompiled => {
                scripts(&PYTHON_COMPILED, &installed("drivers/python/bin/python"), "python", "py", &[])
            }
            Self::Go => compiled(&GO, &installed("drivers/go-cases"), |argument| vec![argument.to_owned()]),
            Self::Java => compiled(&JAVA, &PathBuf::from("java"), |argument| {
                let classes = installed("drivers/java/Cases.class").with_file_name("*");
                let classes = format!("{}:{}", classes.with_file_name("").display(), classes.display());
                vec!["-cp".to_owned(), classes, format!("-Ddriver={argument}"), "Cases".to_owned()]
            }),
            Self::Rust => {
                compiled(&RUST, &installed("drivers/rust/debug/drivers"), |argument| vec![argument.to_owned()])
            }
            Self::Suites => {
                let environment = [
                    ("DRIVERS_SUITES", installed("drivers/suites").display().to_string()),
                    ("DRIVERS_GO", source("go")),
                ];
                let mut programs =
                    scripts(&SUITES, &installed("drivers/python/bin/python"), "python", "py", &environment);
                for program in &mut programs {
                    program.ways = &[Way::Unsharded];
                    program.is_suite = true;
                    program.most = SUITE_MOST;
                }
                programs
            }
        }
    }
}

/// A file or folder beside this one.
fn source(name: &str) -> String {
    format!("{}/tests/drivers/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn compiled(
    list: &[(&'static str, ServerKind, &'static str)],
    command: &Path,
    arguments: impl Fn(&str) -> Vec<String>,
) -> Vec<Program> {
    let program = |(name, kind, argument): &(&'static str, ServerKind, &'static str)| Program {
        name,
        kind: *kind,
        ways: &[Way::Unsharded],
        is_suite: false,
        command: command.to_owned(),
        arguments: arguments(argument),
        environment: Vec::new(),
        most: MOST,
    };
    list.iter().map(program).collect()
}

fn scripts(
    list: &[Script],
    command: &Path,
    folder: &str,
    extension: &str,
    environment: &[(&'static str, String)],
) -> Vec<Program> {
    let program = |(name, kind, script, argument): &Script| {
        let arguments = [source(&format!("{folder}/{script}.{extension}")), (*argument).to_owned()]
            .into_iter()
            .filter(|argument| !argument.is_empty());
        Program {
            name,
            kind: *kind,
            ways: &[Way::Unsharded, Way::Sharded],
            is_suite: false,
            command: command.to_owned(),
            arguments: arguments.collect(),
            environment: environment.to_vec(),
            most: MOST,
        }
    };
    list.iter().map(program).collect()
}

impl Program {
    /// It, ready to run.
    pub fn tool(&self, environment: Vec<(&'static str, String)>) -> Tool {
        let tool = Tool::new(&self.command).args(&self.arguments).within(self.most);
        let environment = environment.into_iter().chain(self.environment.iter().cloned());
        environment.fold(tool, |tool, (name, value)| tool.env(name, &value))
    }
}
