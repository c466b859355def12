//! Style that a machine can hold: what every source file of the project must look like, checked file by file.
//! Out: anything that rustfmt, clippy or rustc already checks.

#![allow(clippy::expect_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Longest source file, in lines.
const LINES_MAX: usize = 600;

/// Files that may be longer: tables and lists of cases, one entry a line.
const LONG_TABLES: &[&str] = &[];

/// Names that say nothing about what is inside; no file, folder or module may have one.
const BANNED_NAMES: &[&str] =
    &["util", "utils", "common", "manager", "helper", "helpers", "node", "nodes", "inner", "misc", "v2"];

/// What may not stand in a source file. Split, so that this file does not contain them.
const BANNED_TEXT: &[(&str, &str)] = &[
    ("FIX", "ME"),
    ("dbg", "!("),
    ("todo", "!("),
    ("unimplemented", "!("),
    ("#[ign", "ore"),
    // Paths of one machine.
    ("/wo", "rk/"),
    ("/ro", "ot/"),
    ("/tmp/", "plan"),
];

/// What the top level holds; a new entry is a decision about the architecture.
const TOP_LEVEL: &[&str] = &[
    ".ci",
    ".gitignore",
    ".rustfmt.toml",
    "ARCHITECTURE.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "Makefile",
    "README.md",
    "configs",
    "protocol",
    "sharding",
    "src",
    "tests",
    "transaction",
];

/// The rooms that know neither each other nor a runtime.
const LEAVES: &[&str] = &["protocol", "sharding", "transaction"];

/// Crates that bring sockets, clocks or a runtime, and so may not enter a leaf.
const IMPURE: &[&str] =
    &["tokio", "async-std", "smol", "mio", "socket2", "rustix", "mysql_async", "tokio-postgres", "hyper", "futures"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files git knows or would add, relative to the root; all files when this is no checkout.
fn project_files() -> Vec<PathBuf> {
    let listed = std::process::Command::new("git")
        .args(["-C", env!("CARGO_MANIFEST_DIR"), "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .output();
    if let Ok(output) = listed
        && output.status.success()
        && !output.stdout.is_empty()
    {
        let text = String::from_utf8(output.stdout).expect("git lists paths in UTF-8");
        let files: BTreeSet<PathBuf> = text.split('\0').filter(|path| !path.is_empty()).map(PathBuf::from).collect();
        return files.into_iter().filter(|path| root().join(path).is_file()).collect();
    }
    let mut found = Vec::new();
    let mut folders = vec![root().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the project can be read") {
            let path = entry.expect("a folder's entry can be read").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() {
                if !["target", ".git", "node_modules", "__pycache__"].contains(&name) {
                    folders.push(path);
                }
            } else {
                found.push(path.strip_prefix(root()).expect("below the root").to_path_buf());
            }
        }
    }
    found.sort();
    found
}

fn text_of(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn sources() -> impl Iterator<Item = (PathBuf, String)> {
    project_files()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| (path.clone(), text_of(&path)))
}

fn none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn every_source_file_opens_by_saying_what_it_is_for() {
    none(
        sources()
            .filter(|(_, text)| !text.lines().next().is_some_and(|line| line.starts_with("//! ") && line.len() > 12))
            .map(|(path, _)| format!("{}: the first line must be `//! ` and what the file is for", path.display()))
            .collect(),
    );
}

#[test]
fn no_source_file_is_too_long() {
    none(
        sources()
            .filter(|(path, text)| {
                text.lines().count() > LINES_MAX && !LONG_TABLES.iter().any(|t| path == Path::new(t))
            })
            .map(|(path, text)| format!("{}: {} lines, {LINES_MAX} at most", path.display(), text.lines().count()))
            .collect(),
    );
}

#[test]
fn long_tables_are_still_there_and_still_long() {
    for table in LONG_TABLES {
        assert!(text_of(Path::new(table)).lines().count() > LINES_MAX, "{table} needs no exception any more");
    }
}

#[test]
fn no_file_folder_or_module_has_a_name_that_says_nothing() {
    let mut complaints = Vec::new();
    for path in project_files() {
        for part in path.iter().filter_map(|part| part.to_str()) {
            let stem = part.split('.').next().unwrap_or(part);
            if stem.split(['_', '-']).any(|word| BANNED_NAMES.contains(&word)) {
                complaints.push(format!("{}: `{part}` says nothing about what is inside", path.display()));
            }
        }
    }
    for (path, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_start();
            let after = ["mod ", "pub mod ", "pub(crate) mod "].iter().find_map(|start| line.strip_prefix(start));
            let Some(name) = after.map(|rest| rest.trim_end_matches([';', '{', ' '])) else { continue };
            if name.split('_').any(|word| BANNED_NAMES.contains(&word)) {
                complaints.push(format!("{}:{}: a module named `{name}`", path.display(), number + 1));
            }
        }
    }
    none(complaints);
}

#[test]
fn nothing_unfinished_and_no_path_of_one_machine() {
    let mut complaints = Vec::new();
    for path in project_files() {
        let kind = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let script = path == Path::new("Makefile") || path == Path::new(".ci/run");
        if !script && !["rs", "toml", "md", "sh", "sql", "py", "txt", "lua"].contains(&kind) {
            continue;
        }
        let Ok(text) = fs::read_to_string(root().join(&path)) else { continue };
        for (number, line) in text.lines().enumerate() {
            for (start, end) in BANNED_TEXT {
                if line.contains(&format!("{start}{end}")) {
                    complaints.push(format!("{}:{}: contains `{start}{end}`", path.display(), number + 1));
                }
            }
        }
    }
    none(complaints);
}

#[test]
fn leaves_know_neither_each_other_nor_a_runtime() {
    let mut complaints = Vec::new();
    for leaf in LEAVES {
        let manifest: toml::Table =
            toml::from_str(&text_of(&Path::new(leaf).join("Cargo.toml"))).expect("a manifest is TOML");
        for section in ["dependencies", "build-dependencies"] {
            let Some(table) = manifest.get(section).and_then(toml::Value::as_table) else { continue };
            for (name, value) in table {
                let package = value.get("package").and_then(toml::Value::as_str).unwrap_or(name);
                let room = package.strip_prefix("dbmesh-").unwrap_or(package);
                if LEAVES.contains(&room) || package == "dbmesh" || IMPURE.contains(&package) {
                    complaints.push(format!("{leaf}/Cargo.toml: a leaf may not depend on `{package}`"));
                }
            }
        }
    }
    for (path, text) in sources() {
        let Some(leaf) = LEAVES.iter().find(|leaf| path.starts_with(Path::new(leaf).join("src"))) else { continue };
        for forbidden in ["std::net::", "std::fs::", "std::thread::", "Instant::now", "SystemTime::now"] {
            if let Some(number) = text.lines().position(|line| line.contains(forbidden) && !line.contains("//")) {
                let test = path.iter().any(|part| part == "tests" || part == "tests.rs");
                if !test {
                    complaints.push(format!("{}:{}: `{forbidden}` in the room `{leaf}`", path.display(), number + 1));
                }
            }
        }
    }
    none(complaints);
}

#[test]
fn the_top_level_holds_what_the_blueprint_names() {
    let found: BTreeSet<String> = project_files()
        .iter()
        .filter_map(|path| path.iter().next().and_then(|first| first.to_str()).map(str::to_owned))
        .collect();
    let expected: BTreeSet<String> = TOP_LEVEL.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(found, expected);
}

#[test]
fn every_path_that_architecture_names_exists() {
    let text = text_of(Path::new("ARCHITECTURE.md"));
    let mut named = 0;
    let mut complaints = Vec::new();
    // Paths are written in code quotes and have a slash or a known ending; an address or a flag has neither shape.
    for quoted in text.split('`').skip(1).step_by(2) {
        let path = quoted.trim_end_matches('/');
        let first = path.split('/').next().unwrap_or_default();
        let looks_like_path = TOP_LEVEL.contains(&first) && !path.contains([' ', '*', '{', ':']);
        if looks_like_path {
            named += 1;
            if !root().join(path).exists() {
                complaints.push(format!("ARCHITECTURE.md names `{quoted}`, which does not exist"));
            }
        }
    }
    none(complaints);
    assert!(named >= 5, "ARCHITECTURE.md holds a code map");
}

#[test]
fn readme_and_architecture_are_there_and_licence_is_apache() {
    assert!(text_of(Path::new("README.md")).lines().count() > 10);
    assert!(text_of(Path::new("ARCHITECTURE.md")).lines().count() > 10);
    let licence = text_of(Path::new("LICENSE"));
    assert!(licence.contains("Apache License") && licence.contains("END OF TERMS AND CONDITIONS"));
}
