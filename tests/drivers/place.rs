//! Where the programs of the matrix run: per protocol a server that they reach directly (`one`), and one dbmesh with the
//! database unsharded on a second server and sharded over a second and a third. All listeners offer TLS by one certificate.

use std::fmt::Write as _;
use std::path::PathBuf;

use dbmesh::demo::servers::SERVER_USER;

use crate::bed::{MeshConfig, PASSWORD, RunningMesh, Server, ServerKind, bed, execute, new_folder};

/// Name and password of the user of all programs, with all rights on the servers.
pub const USER: &str = "app";
/// The database that programs use directly and unsharded.
pub const WHOLE: &str = "drivers_one";
/// The sharded one; as long as the other, so that widths of columns are the same.
pub const SHARDED: &str = "drivers_two";
/// Databases that drivers' own suites ask for by name, beside [`WHOLE`].
const SUITES: [(ServerKind, &[&str]); 2] = [
    (ServerKind::MariaDb, &["mysql", "test1", "test2", "gotest", "sqlalchemy", "test_schema"]),
    (ServerKind::Postgres, &["postgres", "app", "pqgo", "pgx_test", "pass_user", "sqlalchemy", "pg8000_scram_sha_256"]),
];
/// Users that suites for PostgreSQL ask for, beside [`USER`], with its password, and with all rights.
const SUITE_USERS: [&str; 2] = ["postgres", "pqgo"];
/// One that the suite of tokio-postgres asks for, and one that the suite of pg8000 creates on the server: dbmesh's users are
/// those of its configuration.
const PASS_USERS: [(&str, &str); 2] = [("pass_user", "password"), ("boltzmann", "cha\u{ff6f}s")];

/// How a program reaches its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// The server itself.
    Direct,
    /// Through dbmesh, all rows on one shard, no table declared.
    Unsharded,
    /// Through dbmesh, tables declared, rows on two shards.
    Sharded,
}

impl Way {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::Direct, Self::Unsharded, Self::Sharded];

    /// What reports call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Unsharded => "unsharded",
            Self::Sharded => "sharded",
        }
    }

    /// The database of programs that go this way.
    pub fn database(self) -> &'static str {
        if self == Self::Sharded { SHARDED } else { WHOLE }
    }
}

/// The servers, the dbmesh, the certificate.
pub struct Place {
    /// dbmesh with both databases of both protocols.
    pub mesh: RunningMesh,
    direct: [Server; 2],
    folder: PathBuf,
}

impl Place {
    /// Starts all of it; `suites`: with the databases that drivers' own suites need.
    pub async fn make(suites: bool) -> Self {
        let folder = new_folder("drivers");
        for way in Way::ALL {
            std::fs::create_dir_all(folder.join(way.name())).expect("a folder can be made");
        }
        let certificate = Certificate::make(&folder);
        let [mut direct, mut second, mut third] = [Vec::new(), Vec::new(), Vec::new()];
        for kind in [ServerKind::MariaDb, ServerKind::Postgres] {
            let settings: Vec<String> = match kind {
                ServerKind::MariaDb => vec![
                    format!("--ssl-cert={}", certificate.certificate),
                    format!("--ssl-key={}", certificate.key),
                    "--max-allowed-packet=64M".to_owned(),
                    "--innodb-flush-log-at-trx-commit=0".to_owned(),
                ],
                ServerKind::Postgres => vec!["synchronous_commit=off".to_owned()],
            };
            let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
            for servers in [&mut direct, &mut second, &mut third] {
                let server = bed().own_server(kind, &settings);
                prepare_server(&server).await;
                servers.push(server);
            }
        }
        for (index, server) in direct.iter().enumerate() {
            make_database(server, WHOLE).await;
            make_database(&second[index], WHOLE).await;
            make_database(&second[index], SHARDED).await;
            make_database(&third[index], SHARDED).await;
            if server.kind == ServerKind::Postgres {
                certificate.install(server).await;
            }
            if suites {
                for name in SUITES[index].1 {
                    make_empty(server, name).await;
                    make_empty(&second[index], name).await;
                }
            }
        }
        let mut text = format!("[tls]\ncertificate = \"{}\"\nkey = \"{}\"\n", certificate.certificate, certificate.key);
        for index in 0..2 {
            configure(&mut text, &second[index], &third[index], if suites { SUITES[index].1 } else { &[] });
        }
        let _ = write!(text, "\n[versions]\npostgres = \"{}\"\n", version(&direct[1]).await);
        if suites {
            for (name, password) in SUITE_USERS.map(|name| (name, USER)).into_iter().chain(PASS_USERS) {
                let _ = write!(text, "\n[[user]]\nname = \"{name}\"\npassword = \"{password}\"\n");
            }
        }
        let direct = direct.try_into().expect("one of each kind");
        Self { mesh: MeshConfig::default().section(&text).start(), direct, folder }
    }

    /// The port that leads this way.
    pub fn port(&self, kind: ServerKind, way: Way) -> u16 {
        match (way, kind) {
            (Way::Direct, ServerKind::MariaDb) => self.direct[0].port,
            (Way::Direct, ServerKind::Postgres) => self.direct[1].port,
            (_, ServerKind::MariaDb) => self.mesh.addresses.mysql.port(),
            (_, ServerKind::Postgres) => self.mesh.addresses.postgres.port(),
        }
    }

    /// What a program finds in its environment.
    pub fn environment(&self, kind: ServerKind, way: Way) -> Vec<(&'static str, String)> {
        vec![
            ("DRIVERS_HOST", "127.0.0.1".to_owned()),
            ("DRIVERS_PORT", self.port(kind, way).to_string()),
            ("DRIVERS_USER", USER.to_owned()),
            ("DRIVERS_PASSWORD", USER.to_owned()),
            ("DRIVERS_DATABASE", way.database().to_owned()),
            ("DRIVERS_CA", self.folder.join("certificate.pem").display().to_string()),
            ("DRIVERS_FOLDER", ".".to_owned()),
        ]
    }

    /// Where programs that go this way run and keep files.
    pub fn folder(&self, way: Way) -> PathBuf {
        self.folder.join(way.name())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A certificate that signs itself, for 127.0.0.1; servers that run as another user can read both files.
struct Certificate {
    certificate: String,
    key: String,
    texts: [String; 2],
}

impl Certificate {
    fn make(folder: &std::path::Path) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]);
        let made = made.expect("a certificate");
        let texts = [made.cert.pem(), made.signing_key.serialize_pem()];
        let path = |name: &str| folder.join(name).display().to_string();
        let (certificate, key) = (path("certificate.pem"), path("key.pem"));
        std::fs::write(&certificate, &texts[0]).expect("a file can be written");
        std::fs::write(&key, &texts[1]).expect("a file can be written");
        Self { certificate, key, texts }
    }

    /// PostgreSQL takes a key only from a file that is its own and nobody else's, so the server writes it.
    async fn install(&self, server: &Server) {
        for (name, text) in ["server.crt", "server.key"].iter().zip(&self.texts) {
            let lines: Vec<String> = text.lines().map(|line| format!("('{line}')")).collect();
            let sql = format!("COPY (VALUES {}) TO PROGRAM 'umask 077; cat > {name}'", lines.join(","));
            execute(server, None, &sql).await;
        }
        execute(server, None, "ALTER SYSTEM SET ssl = on").await;
        execute(server, None, "SELECT pg_reload_conf()").await;
    }
}

/// The program's users, with all rights.
async fn prepare_server(server: &Server) {
    match server.kind {
        ServerKind::MariaDb => {
            execute(server, None, "CREATE USER app@'%' IDENTIFIED BY 'app'").await;
            execute(server, None, "GRANT ALL PRIVILEGES ON *.* TO app@'%' WITH GRANT OPTION").await;
        }
        ServerKind::Postgres => {
            let created = [USER].into_iter().chain(SUITE_USERS).map(|name| (name, USER)).chain([PASS_USERS[0]]);
            for (name, password) in created {
                execute(server, None, &format!("CREATE ROLE {name} SUPERUSER LOGIN PASSWORD '{password}'")).await;
            }
        }
    }
}

/// A database with the tables that programs expect.
async fn make_database(server: &Server, name: &str) {
    make_empty(server, name).await;
    let schema = match server.kind {
        ServerKind::MariaDb => include_str!("schema.mysql.sql"),
        ServerKind::Postgres => include_str!("schema.postgres.sql"),
    };
    for sql in schema.split(';').map(str::trim).filter(|sql| !sql.is_empty()) {
        execute(server, Some(name), sql).await;
    }
}

async fn make_empty(server: &Server, name: &str) {
    match server.kind {
        ServerKind::MariaDb if name == "mysql" => {}
        ServerKind::Postgres if name == "postgres" => {}
        ServerKind::MariaDb => execute(server, None, &format!("CREATE DATABASE {name} CHARACTER SET utf8mb4")).await,
        ServerKind::Postgres => execute(server, None, &format!("CREATE DATABASE {name}")).await,
    }
    let more: &[&str] = match (server.kind, name) {
        (ServerKind::Postgres, "pgx_test") => {
            &["CREATE EXTENSION hstore", "CREATE EXTENSION ltree", "CREATE DOMAIN uint64 AS numeric(20, 0)"]
        }
        (ServerKind::Postgres, "postgres") => &["CREATE EXTENSION hstore"],
        (ServerKind::Postgres, "sqlalchemy") => {
            &["CREATE EXTENSION hstore", "CREATE SCHEMA test_schema", "CREATE SCHEMA test_schema_2"]
        }
        _ => &[],
    };
    for sql in more {
        execute(server, Some(name), sql).await;
    }
}

fn configure(text: &mut String, second: &Server, third: &Server, suites: &[&str]) {
    let protocol = if second.kind == ServerKind::MariaDb { "mysql" } else { "postgres" };
    for server in [second, third] {
        let _ = write!(
            text,
            "\n[[server]]\nname = \"{}\"\nprotocol = \"{protocol}\"\naddress = \"{}\"\nuser = \"{USER}\"\n\
             password = \"{USER}\"\n",
            server.name,
            server.address()
        );
    }
    let database = |text: &mut String, name: &str, more: &str, servers: &[&Server]| {
        let _ = write!(text, "\n[[database]]\nname = \"{name}\"\nprotocol = \"{protocol}\"\n{more}");
        for server in servers {
            let shard = &server.name;
            let _ =
                write!(text, "\n[[database.shard]]\nname = \"{shard}\"\nserver = \"{shard}\"\ndatabase = \"{name}\"\n");
        }
    };
    for name in [&[WHOLE], suites].concat() {
        database(text, name, "", &[second]);
    }
    let default = format!("default_shard = \"{}\"\ntransaction_type = \"local\"\n", second.name);
    database(text, SHARDED, &default, &[second, third]);
    for (table, key) in [("accounts", "id"), ("entries", "account_id"), ("kinds", "id")] {
        let _ = write!(text, "\n[[database.table]]\nname = \"{table}\"\ntype = \"sharded\"\nkey = [\"{key}\"]\n");
    }
    let _ = write!(
        text,
        "\n[[database.table]]\nname = \"currencies\"\ntype = \"reference\"\n\n[[database.table]]\nname = \"numbered\"\n\
         type = \"single\"\nshard = \"{}\"\n",
        second.name
    );
}

/// The version that a PostgreSQL server tells its clients, for dbmesh to tell the same without its suffix.
async fn version(server: &Server) -> String {
    let mut options = tokio_postgres::Config::new();
    options.host("127.0.0.1").port(server.port).user(SERVER_USER).password(PASSWORD).dbname("postgres");
    let (client, connection) = options.connect(tokio_postgres::NoTls).await.expect("a connection to a private server");
    let connection = tokio::spawn(connection);
    let version = client.query_one("SHOW server_version", &[]).await.expect("the version").get(0);
    drop(client);
    connection.await.expect("no panic").expect("a good end");
    version
}
