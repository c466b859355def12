//! Tests of reading, checking and comparing configurations.
#![allow(clippy::expect_used)]

use super::keys::{self, KEYS, SECTIONS};
use super::*;

const SMALL: &str = r#"
[[user]]
name = "app"
password = "app"

[[server]]
name = "m0"
protocol = "mysql"
address = "127.0.0.1:3316"
user = "root"

[[server]]
name = "m1"
protocol = "mysql"
address = "[::1]:3317"
user = "root"
password = "tiger"

[[database]]
name = "shop"
protocol = "mysql"

[[database.shard]]
name = "s0"
server = "m0"

[[database.shard]]
name = "s1"
server = "m1"
database = "shop_1"

[[database.table]]
name = "orders"
type = "sharded"
key = ["customer_id"]

[[database.table]]
name = "products"
type = "reference"

[[database.table]]
name = "settings"
type = "single"
shard = "s1"
"#;

fn faults(text: &str) -> Vec<String> {
    match Config::parse(text, "a.toml") {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_small_file_resolves_every_reference_and_default() {
    let config = Config::parse(SMALL, "a.toml").expect("valid");
    assert_eq!(config.listen.mysql, "127.0.0.1:3307".parse().ok());
    assert_eq!(config.listen.postgres, "127.0.0.1:6432".parse().ok());
    assert_eq!(config.listen.admin_mysql, "127.0.0.1:6032".parse().ok());
    assert_eq!(config.listen.admin_postgres, "127.0.0.1:6033".parse().ok());
    assert_eq!(config.listen.http, "127.0.0.1:9307".parse().ok());
    assert!(config.workers >= 1);
    assert_eq!(config.transaction_type, TransactionType::Atomic);
    assert_eq!(config.servers[0].password, None);
    assert_eq!(config.servers[1].address.host, "::1");
    assert_eq!(config.servers[1].address.to_string(), "[::1]:3317");
    let (index, shop) = config.database(Protocol::MySql, "shop").expect("there");
    assert_eq!((index, shop.default_shard), (0, 0));
    assert!(config.database(Protocol::Postgres, "shop").is_none());
    assert_eq!(shop.shards[0].database, "shop");
    assert_eq!(shop.shards[1].database, "shop_1");
    assert_eq!(config.server_of(&shop.shards[1]).name, "m1");
    let placements: Vec<_> = shop.tables.iter().map(|t| t.placement.clone()).collect();
    assert_eq!(
        placements,
        [
            TablePlacement::Sharded {
                key: vec!["customer_id".to_owned()],
                function: ShardFunction::Hash,
                unique_per_shard: false
            },
            TablePlacement::Reference,
            TablePlacement::Single { shard: 1 },
        ]
    );
    let user = config.user("app").expect("there");
    assert!(user.may_use("shop"));
    assert_eq!(config.transaction_type_of(user, shop), TransactionType::Atomic);
}

#[test]
fn every_fault_of_a_file_is_reported_at_once_with_its_line() {
    let text = r#"wrokers = 2
workers = "two"
[listen]
mysql = "localhost"
http = "127.0.0.1:6432"
[pool]
size_max = 5
size_min = 6
wait_ms = 10
[[user]]
name = "app"
password = "x"
password_env = "Y"
databases = ["shop", "nowhere"]
[[user]]
name = "app"
[[server]]
name = "m0"
protocol = "oracle"
address = "127.0.0.1"
user = ""
[[database]]
name = "shop"
protocol = "mysql"
default_shard = "s9"
[[database.shard]]
name = "s0"
server = "m7"
[[database.table]]
name = "t"
type = "single"
key = ["id"]
shard = "s8"
[[database.table]]
name = "t"
type = "sharded"
schema = "x"
"#;
    let expected = [
        "a.toml:1: unknown key `wrokers`; known here: workers, transaction_type, listen, tls, admin, user, server, database, pool, limits, timeouts, log, versions",
        "a.toml:2: `workers` must be a number from 0 to 1024",
        "a.toml:4: `listen.mysql` must be \"IP:PORT\" or \"off\", not \"localhost\"",
        "a.toml:5: `listen.postgres` and `listen.http` are both 127.0.0.1:6432",
        "a.toml:8: `pool.size_min` (6) is above `pool.size_max` (5)",
        "a.toml:9: unknown key `pool.wait_ms`; known here: size_max, size_min, waiters_max, wait_ms_max, age_ms_max, idle_ms_max, reserved",
        "a.toml:13: give one of `user.password`, `user.password_env`, `user.password_file`",
        "a.toml:14: there is no [[database]] `nowhere`",
        "a.toml:16: user `app` has no password: give `password`, `password_env`, `password_file` or `scram`",
        "a.toml:16: user `app` is there twice",
        "a.toml:19: `server.protocol` must be one of \"mysql\", \"postgres\"",
        "a.toml:20: `server.address` must be \"HOST:PORT\", not \"127.0.0.1\"",
        "a.toml:21: `server.user` is empty",
        "a.toml:25: there is no [[database.shard]] `s9` in `shop`",
        "a.toml:28: there is no [[server]] `m7`",
        "a.toml:32: a single table has no `database.table.key`",
        "a.toml:33: there is no [[database.shard]] `s8` in `shop`",
        "a.toml:34: a sharded table needs `database.table.key`",
        "a.toml:35: table `t` is there twice in `shop`",
        "a.toml:37: `database.table.schema` is for PostgreSQL: a MySQL table has none",
    ];
    let found = faults(text);
    for line in expected {
        assert!(found.iter().any(|f| f == line), "{line}\nnot in\n{}", found.join("\n"));
    }
    assert_eq!(found.len(), expected.len(), "{}", found.join("\n"));
}

#[test]
fn sections_of_the_wrong_shape_are_named() {
    assert_eq!(
        faults("user = 3\npool = 4\n"),
        ["a.toml:1: `user` is repeated: write [[user]] once for each", "a.toml:2: `pool` is a section: write [pool]",]
    );
    assert_eq!(faults("[user]\nname = \"x\"\n"), ["a.toml:1: `user` is repeated: write [[user]] once for each"]);
    assert_eq!(faults("user = [3]\n"), ["a.toml:1: `user` is repeated: write [[user]] once for each"]);
}

#[test]
fn text_that_is_not_toml_is_reported_with_its_line() {
    let found = faults("workers = 1\n[listen\nmysql = \n");
    assert!(found.iter().any(|f| f.starts_with("a.toml:2: ")), "{found:?}");
    assert!(found.iter().all(|f| !f.contains('\n')));
}

#[test]
fn numbers_outside_their_bounds_are_refused() {
    assert_eq!(faults("[pool]\nsize_max = 0\n"), ["a.toml:2: `pool.size_max` must be a number from 1 to 100000"]);
    let low = faults("[pool]\nsize_max = -1\n[timeouts]\nconnect_ms = 99999999999999999999\n");
    assert_eq!(low.len(), 2, "{low:?}");
}

#[test]
fn trust_works_on_loopback_only() {
    let text = "[[user]]\nname = \"app\"\nauth = \"trust\"\n";
    let config = Config::parse(text, "a.toml").expect("loopback");
    assert_eq!(config.users[0].credential, Credential::Trust);
    let open = format!("[listen]\npostgres = \"0.0.0.0:6432\"\n{text}");
    assert_eq!(
        faults(&open),
        [
            "a.toml:5: user `app` has auth = \"trust\", which works on loopback only, and there is a listener on 0.0.0.0:6432"
        ]
    );
    assert_eq!(
        faults(&format!("{text}password = \"x\"\n")),
        ["a.toml:3: user `app` has auth = \"trust\" and a password"]
    );
}

#[test]
fn the_default_admin_password_is_for_loopback_only() {
    let config = Config::parse("", "a.toml").expect("all defaults");
    assert_eq!(config.admin.password.expose(), "admin");
    assert_eq!(
        faults("[listen]\nadmin_mysql = \"0.0.0.0:6032\"\n"),
        ["a.toml: an admin address that is not loopback (0.0.0.0:6032) needs `admin.password`"]
    );
    assert!(faults("[listen]\nadmin_mysql = \"0.0.0.0:6032\"\n[admin]\npassword = \"x\"\n").is_empty());
}

#[test]
fn verifiers_are_looked_at() {
    let with = |scram: &str| format!("[[user]]\nname = \"app\"\nscram = \"{scram}\"\n");
    let good = with(
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
    );
    let config = Config::parse(&good, "a.toml").expect("valid");
    assert!(matches!(config.users[0].credential, Credential::ScramVerifier(_)));
    for bad in ["", "md5abc", "SCRAM-SHA-256$x:a$b:c", "SCRAM-SHA-256$4096:a$b"] {
        assert_eq!(faults(&with(bad)), ["a.toml:3: `user.scram` must look like SCRAM-SHA-256$4096:salt$stored:server"]);
    }
}

#[test]
fn secrets_come_from_files_and_the_environment_and_are_never_shown() {
    let folder = std::env::temp_dir().join(format!("dbmesh-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("folder");
    std::fs::write(folder.join("secret"), "tiger\n").expect("file");
    // PATH is set wherever tests run, and reading it changes nothing.
    let text = "[admin]\npassword_file = \"secret\"\n[[user]]\nname = \"app\"\npassword_env = \"PATH\"\n";
    let config = Config::parse(text, folder.join("a.toml")).expect("valid");
    assert_eq!(config.admin.password.expose(), "tiger");
    let path = std::env::var("PATH").expect("PATH");
    assert_eq!(config.users[0].credential, Credential::Password(Secret::new(path.clone())));
    let shown = format!("{config:?} {:?}", config.settings());
    assert!(!shown.contains("tiger") && !shown.contains(&path));
    std::fs::remove_dir_all(&folder).expect("removed");
    let missing = faults(
        "[admin]\npassword_file = \"nowhere.txt\"\n[[user]]\nname = \"app\"\npassword_env = \"DBMESH_NOT_SET\"\n",
    );
    assert_eq!(missing.len(), 2, "{missing:?}");
    assert!(missing[0].starts_with("a.toml:2: cannot read the password file nowhere.txt: "));
    assert_eq!(missing[1], "a.toml:5: the environment variable `DBMESH_NOT_SET` is not set");
}

#[test]
fn one_physical_database_is_one_shard() {
    let text = SMALL.replace("server = \"m1\"\ndatabase = \"shop_1\"", "server = \"m0\"");
    assert_eq!(faults(&text), ["a.toml:29: database `shop` on server `m0` is already a shard"]);
}

#[test]
fn a_server_serves_databases_of_its_own_protocol() {
    let text = SMALL.replacen("protocol = \"mysql\"", "protocol = \"postgres\"", 1);
    assert_eq!(faults(&text), ["a.toml:25: server `m0` speaks postgres, database `shop` is mysql"]);
}

#[test]
fn tls_needs_both_files() {
    assert_eq!(faults("[tls]\nkey = \"k.pem\"\n"), ["a.toml:2: `tls.key` without `tls.certificate`"]);
    assert_eq!(faults("[tls]\nrequire = true\n"), ["a.toml:2: `tls.require` without `tls.certificate` and `tls.key`"]);
    let text = "[tls]\ncertificate = \"c.pem\"\nkey = \"/k.pem\"\n";
    let tls = Config::parse(text, "/etc/dbmesh/a.toml").expect("valid").tls.expect("on");
    assert_eq!(tls.certificate, Path::new("/etc/dbmesh/c.pem"));
    assert_eq!(tls.key, Path::new("/k.pem"));
}

#[test]
fn the_command_line_stands_above_the_file() {
    let mut overrides = Overrides::default();
    overrides.set("listen.mysql", "127.0.0.1:1");
    overrides.set("listen.http", "off");
    overrides.set("workers", "3");
    let config = Config::parse_with("workers = 1\n", Path::new("a.toml"), &overrides).expect("valid");
    assert_eq!(config.listen.mysql, "127.0.0.1:1".parse().ok());
    assert_eq!(config.listen.http, None);
    assert_eq!(config.workers, 3);
    overrides.set("listen.postgres", "nonsense");
    let errors = Config::parse_with("", Path::new("a.toml"), &overrides).expect_err("invalid");
    assert_eq!(errors[0].to_string(), "a.toml: `listen.postgres` must be \"IP:PORT\" or \"off\", not \"nonsense\"");
}

#[test]
fn a_file_that_cannot_be_read_is_one_error() {
    let errors = Config::load(Path::new("/nowhere/a.toml")).expect_err("not there");
    assert_eq!(errors.len(), 1);
    assert!(errors[0].to_string().starts_with("/nowhere/a.toml: cannot read the file: "));
}

#[test]
fn changes_are_sorted_into_live_and_restart() {
    let old = Config::parse(SMALL, "a.toml").expect("valid");
    assert!(old.changes(&old).is_empty());
    let text = SMALL
        .replace("password = \"app\"", "password = \"other\"")
        .replace("127.0.0.1:3316", "127.0.0.1:3318")
        .replace("name = \"settings\"", "name = \"config\"");
    let text = format!(
        "workers = 77\n[admin]\npassword = \"new\"\n[pool]\nsize_max = 7\n[log]\nformat = \"json\"\nlevel = \"debug\"\n{text}\n[[user]]\nname = \"second\"\npassword = \"x\"\n"
    );
    let new = Config::parse(&text, "a.toml").expect("valid");
    let changes = old.changes(&new);
    assert_eq!(changes.live, ["admin.password", "pool.size_max", "log.level", "user app", "user second"]);
    assert_eq!(changes.restart, ["workers", "log.format", "server m0", "database mysql shop"]);
    let after = old.reloaded(&new);
    assert_eq!(after.pool.size_max, 7);
    assert_eq!(after.workers, old.workers);
    assert_eq!(after.log.level, LogLevel::Debug);
    assert_eq!(after.log.format, LogFormat::Text);
    assert!(old.changes(&after).restart.is_empty());
    assert!(after.changes(&new).live.is_empty());
}

#[test]
fn the_order_of_servers_and_users_is_no_change() {
    let server =
        |n: &str| format!("[[server]]\nname = \"{n}\"\nprotocol = \"mysql\"\naddress = \"{n}:1\"\nuser = \"u\"\n");
    let rest = "[[database]]\nname = \"d\"\nprotocol = \"mysql\"\n[[database.shard]]\nname = \"s\"\nserver = \"b\"\n";
    let one = format!("{}{}{rest}", server("a"), server("b"));
    let two = format!("{}{}{rest}", server("b"), server("a"));
    let one = Config::parse(&one, "a.toml").expect("valid");
    let two = Config::parse(&two, "a.toml").expect("valid");
    assert!(one.changes(&two).is_empty());
}

/// The key table against the structs that read a file, both ways.
mod table {
    use super::super::raw;
    use super::*;
    use serde::de::{Deserialize, Deserializer, Error, Visitor};

    /// Answers with the field names of a struct, as an error text.
    struct Fields;

    impl<'de> Deserializer<'de> for Fields {
        type Error = toml::de::Error;

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _name: &'static str,
            fields: &'static [&'static str],
            _visitor: V,
        ) -> Result<V::Value, Self::Error> {
            Err(Error::custom(fields.join(" ")))
        }

        fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Self::Error> {
            Err(Error::custom("not a struct"))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    fn fields<T: for<'de> Deserialize<'de>>() -> Vec<String> {
        let error = T::deserialize(Fields).err().expect("always an error");
        let mut names: Vec<String> = error.message().split(' ').map(str::to_owned).collect();
        names.sort();
        names
    }

    #[test]
    fn keys_and_structs_are_equal() {
        let structs = [
            ("", fields::<raw::RawConfig>()),
            ("listen", fields::<raw::RawListen>()),
            ("tls", fields::<raw::RawTls>()),
            ("admin", fields::<raw::RawAdmin>()),
            ("user", fields::<raw::RawUser>()),
            ("server", fields::<raw::RawServer>()),
            ("database", fields::<raw::RawDatabase>()),
            ("database.shard", fields::<raw::RawShard>()),
            ("database.table", fields::<raw::RawTable>()),
            ("pool", fields::<raw::RawPool>()),
            ("limits", fields::<raw::RawLimits>()),
            ("timeouts", fields::<raw::RawTimeouts>()),
            ("log", fields::<raw::RawLog>()),
            ("versions", fields::<raw::RawVersions>()),
        ];
        assert_eq!(structs.len(), SECTIONS.len());
        for (section, names) in structs {
            let mut known = keys::names_in(section);
            known.sort_unstable();
            assert_eq!(known, names, "section [{section}]");
        }
    }

    #[test]
    fn settings_are_the_keys_of_single_sections_with_their_defaults() {
        let config = Config::parse("", "a.toml").expect("all defaults");
        let settings = config.settings();
        let single: Vec<&Key> = KEYS
            .iter()
            .filter(|k| !["user.", "server.", "database."].iter().any(|s| k.name.starts_with(s)))
            .filter(|k| !["admin.password_env", "admin.password_file"].contains(&k.name))
            .collect();
        let names: Vec<&str> = settings.iter().map(|(n, _)| *n).collect();
        assert_eq!(names, single.iter().map(|k| k.name).collect::<Vec<_>>());
        for (key, (name, value)) in single.iter().zip(&settings) {
            match *name {
                "workers" => assert!(value.parse::<usize>().is_ok_and(|n| n > 0)),
                "admin.password" => assert_eq!(value, "(hidden)"),
                _ => assert_eq!(value, key.default, "{name}"),
            }
        }
    }

    #[test]
    fn every_key_has_help_and_a_default_that_fits() {
        for key in KEYS {
            assert!(key.help.ends_with('.') && key.help.len() < 140, "{}", key.name);
            let section = key.name.rsplit_once('.').map_or("", |(s, _)| s);
            assert!(keys::section(section).is_some(), "{}", key.name);
        }
        assert!(faults("").is_empty());
    }
}

#[test]
fn a_value_of_the_wrong_kind_is_not_missing_as_well() {
    let text = "[[user]]\nname = 3\npassword = 4\n[[database]]\nname = \"d\"\nprotocol = \"x\"\n[[database.shard]]\nname = []\nserver = true\n[[database.table]]\nname = \"t\"\ntype = \"sharded\"\nkey = \"id\"\n";
    let lines: Vec<String> = faults(text).iter().map(|f| f.split_inclusive(':').take(2).collect()).collect();
    let expected = ["2", "3", "6", "8", "9", "13"].map(|n| format!("a.toml:{n}:"));
    assert_eq!(lines, expected, "{:?}", faults(text));
}

#[test]
fn every_example_loads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let mut loaded = Vec::new();
    for entry in std::fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        match Config::load(&path) {
            Ok(config) => loaded.push(config),
            Err(errors) => panic!("{}", errors.iter().map(|e| format!("{e}\n")).collect::<String>()),
        }
    }
    assert!(loaded.len() >= 4);
    let serves = |protocol, shards| {
        let mut all = loaded.iter().flat_map(|c| &c.databases);
        all.any(|d| d.protocol == protocol && d.shards.len() == shards)
    };
    assert!(serves(Protocol::MySql, 1) && serves(Protocol::MySql, 2) && serves(Protocol::Postgres, 2));
}
