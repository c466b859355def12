//! What the proxies are told: their configuration files. dbmesh's says where the servers are and who may log in;
//! everything else is left at its default. Out: starting them.

use std::fmt::Write as _;
use std::path::Path;

use crate::places::Places;

/// HAProxy as a relay of bytes: `(port, port behind it)` each.
pub fn haproxy(threads: usize, relays: &[(u16, u16)], connections: usize) -> String {
    let mut text = format!(
        "global\n nbthread {threads}\n maxconn {connections}\ndefaults\n mode tcp\n maxconn {connections}\n \
         timeout connect 5s\n timeout client 1h\n timeout server 1h\n"
    );
    for (front, back) in relays {
        let _ = writeln!(text, "listen p{front}\n bind 127.0.0.1:{front}\n server s 127.0.0.1:{back}");
    }
    text
}

/// PgBouncer with transaction pooling and its default pool; clients prove themselves by the verifier or the password of
/// `users`. Its processor time at login by SCRAM is least when it is given the verifier.
pub fn pgbouncer(places: &Places, port: u16, users: &Path, tls: Option<(&Path, &Path)>, prepared: bool) -> String {
    let mut text = "[databases]\n".to_owned();
    for database in ["plain", "tpcb"] {
        let back = places.postgres[0].port;
        let _ = writeln!(text, "{database} = host=127.0.0.1 port={back} user=bench password=bench");
    }
    let _ = write!(
        text,
        "[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\npool_mode = transaction\n\
         auth_type = md5\nauth_file = {}\nmax_client_conn = 20000\n\
         ignore_startup_parameters = extra_float_digits\nlog_connections = 0\nlog_disconnections = 0\n",
        users.display()
    );
    if prepared {
        text.push_str("max_prepared_statements = 200\n");
    }
    if let Some((certificate, key)) = tls {
        let (certificate, key) = (certificate.display(), key.display());
        let _ = write!(
            text,
            "client_tls_sslmode = allow\nclient_tls_cert_file = {certificate}\nclient_tls_key_file = {key}\n"
        );
    }
    text
}

/// Addresses of dbmesh.
pub struct Addresses {
    /// By the MySQL protocol.
    pub mysql: u16,
    /// By the PostgreSQL protocol.
    pub postgres: u16,
    /// Admin SQL by both protocols, and HTTP.
    pub others: [u16; 3],
}

/// dbmesh: `plain` and `tpcb` unsharded, `sharded` over two servers by key.
pub fn dbmesh(places: &Places, at: &Addresses, tls: Option<(&Path, &Path)>) -> String {
    let [admin_mysql, admin_postgres, http] = at.others;
    let mut text = format!(
        "[listen]\nmysql = \"127.0.0.1:{}\"\npostgres = \"127.0.0.1:{}\"\nadmin_mysql = \"127.0.0.1:{admin_mysql}\"\n\
         admin_postgres = \"127.0.0.1:{admin_postgres}\"\nhttp = \"127.0.0.1:{http}\"\n\
         [[user]]\nname = \"bench\"\npassword = \"bench\"\n\
         [[user]]\nname = \"bench_md5\"\npassword = \"bench\"\nauth = \"md5\"\n",
        at.mysql, at.postgres
    );
    if let Some((certificate, key)) = tls {
        let (certificate, key) = (certificate.display(), key.display());
        let _ = writeln!(text, "[tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"");
    }
    for (protocol, table, key) in [("mysql", "sbtest1", "id"), ("postgres", "pgbench_accounts", "aid")] {
        let servers = places.servers(protocol);
        for server in servers {
            let _ = writeln!(
                text,
                "[[server]]\nname = \"{}\"\nprotocol = \"{protocol}\"\naddress = \"{}\"\nuser = \"bench\"\npassword = \"bench\"",
                server.name,
                server.address()
            );
        }
        let first = &servers[0].name;
        for database in ["plain", "tpcb"].iter().take(if protocol == "mysql" { 1 } else { 2 }) {
            let _ = writeln!(
                text,
                "[[database]]\nname = \"{database}\"\nprotocol = \"{protocol}\"\n\
                 [[database.shard]]\nname = \"{first}\"\nserver = \"{first}\"\ndatabase = \"{database}\""
            );
        }
        let _ = writeln!(text, "[[database]]\nname = \"sharded\"\nprotocol = \"{protocol}\"");
        for server in servers {
            let _ = writeln!(text, "[[database.shard]]\nname = \"{0}\"\nserver = \"{0}\"", server.name);
        }
        let _ = writeln!(text, "[[database.table]]\nname = \"{table}\"\ntype = \"sharded\"\nkey = [\"{key}\"]");
        if protocol == "postgres" {
            text.push_str("[[database.table]]\nname = \"pgbench_branches\"\ntype = \"reference\"\n");
        }
    }
    text
}
