//! Starts that cannot work: one line on standard error, an exit code that is not 0, and nothing is served.

use std::path::PathBuf;

use crate::bed::{Said, Tool, bed, new_folder, program};

/// A folder that ends with the test.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Folder {
    fn new() -> Self {
        let path = new_folder("faulty");
        std::fs::create_dir_all(&path).expect("a folder can be made");
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a file can be written");
        path.display().to_string()
    }

    fn serve(&self, text: &str) -> Said {
        let file = self.file("dbmesh.toml", text);
        Tool::new(program()).args(["serve", "-c", &file]).run()
    }
}

const OFF: &str = "[listen]\nmysql = \"off\"\npostgres = \"off\"\nadmin_mysql = \"off\"\nadmin_postgres = \"off\"\n\
                   http = \"off\"\n";

#[track_caller]
fn one_line(said: &Said, expected: &str) {
    assert!(!said.success, "it started");
    assert_eq!(said.errors.lines().count(), 1, "{}", said.errors);
    assert!(said.errors.starts_with("dbmesh: ") && said.errors.contains(expected), "{}", said.errors);
}

#[test]
fn a_port_in_use_whichever_it_is() {
    let folder = Folder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    for key in ["mysql", "postgres", "admin_mysql", "admin_postgres", "http"] {
        let text = OFF.replace(&format!("\n{key} = \"off\""), &format!("\n{key} = \"{address}\""));
        one_line(&folder.serve(&text), &address);
    }
    // Also by an address that is not of this machine.
    let text = OFF.replace("http = \"off\"", "http = \"192.0.2.1:9307\"");
    one_line(&folder.serve(&text), "192.0.2.1:9307");
}

#[test]
fn the_same_port_twice() {
    let folder = Folder::new();
    let address = format!("127.0.0.1:{}", bed().port());
    let text = OFF
        .replace("\nmysql = \"off\"", &format!("\nmysql = \"{address}\""))
        .replace("http = \"off\"", &format!("http = \"{address}\""));
    one_line(&folder.serve(&text), &address);
}

#[test]
fn certificates_that_cannot_be_used() {
    let folder = Folder::new();
    let pair = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (one, other) = (pair(), pair());
    let certificate = folder.file("certificate.pem", &one.cert.pem());
    let key = folder.file("key.pem", &one.signing_key.serialize_pem());
    let foreign = folder.file("foreign.pem", &other.signing_key.serialize_pem());
    let text = folder.file("text.pem", "no PEM at all\n");
    let empty = folder.file("empty.pem", "");
    let cut = folder.file("cut.pem", &one.cert.pem()[..200]);
    let a_folder = folder.0.display().to_string();
    let missing = folder.0.join("missing.pem").display().to_string();
    for (certificate, key, named) in [
        (&missing, &key, &missing),
        (&certificate, &missing, &missing),
        (&a_folder, &key, &a_folder),
        (&certificate, &a_folder, &a_folder),
        (&text, &key, &text),
        (&empty, &key, &empty),
        (&cut, &key, &cut),
        (&certificate, &text, &text),
        (&certificate, &certificate, &certificate),
        (&certificate, &foreign, &certificate),
    ] {
        let said = folder.serve(&format!("{OFF}[tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n"));
        one_line(&said, named);
    }
}

#[test]
fn files_that_are_no_configuration() {
    let folder = Folder::new();
    for (text, expected) in [
        ("workers = \n", "dbmesh.toml:1"),
        ("[listen\n", "dbmesh.toml:1"),
        ("\u{0}\u{1}\u{2}", "dbmesh.toml"),
        ("workers = 99999999999999999999\n", "dbmesh.toml"),
        (
            "[[database]]\nname = \"a\"\nprotocol = \"oracle\"\n[[database.shard]]\nname = \"s\"\nserver = \"x\"\n",
            "dbmesh.toml:3: `database.protocol` must be one of",
        ),
    ] {
        let said = folder.serve(text);
        assert!(!said.success, "{text:?}");
        let lines: Vec<&str> = said.errors.lines().collect();
        assert!(!lines.is_empty() && lines.iter().all(|line| line.starts_with("dbmesh: ")), "{}", said.errors);
        assert!(said.errors.contains(expected), "{}", said.errors);
    }
    let said = Tool::new(program()).args(["serve", "-c", &folder.0.display().to_string()]).run();
    one_line(&said, &folder.0.display().to_string());
    let bytes = folder.0.join("bytes.toml");
    std::fs::write(&bytes, [0xff, 0xfe, 0x80]).expect("a file can be written");
    let said = Tool::new(program()).args(["serve", "-c", &bytes.display().to_string()]).run();
    one_line(&said, "bytes.toml");
}
