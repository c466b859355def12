//! Reads TOML against the key table: reports every unknown key and every value of the wrong kind, takes those out, fills in
//! defaults, and hands the rest on as [`RawConfig`]. Out: whether values agree with each other (`check.rs`).

use std::borrow::Cow;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Faults, NOWHERE, Place};
use super::keys::{self, Key, Kind};
use super::raw::RawConfig;

/// The file as raw values; `None` if it is not TOML at all.
pub(super) fn read<'t>(
    text: &'t str,
    overrides: &'t [(&'static str, String)],
    faults: &mut Faults<'_>,
) -> Option<RawConfig> {
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors {
            let message = error.message().replace('\n', ", ");
            faults.add(&error.span().unwrap_or(NOWHERE), message);
        }
        return None;
    }
    let mut root = document.into_inner();
    for (name, value) in overrides {
        put(&mut root, name, value, faults);
    }
    walk(&mut root, "", &NOWHERE, faults);
    let deserializer = toml::de::Deserializer::from(Spanned::new(0..text.len(), root));
    match RawConfig::deserialize(deserializer) {
        Ok(raw) => Some(raw),
        Err(error) => {
            let message = error.message().replace('\n', ", ");
            faults.add(&error.span().unwrap_or(NOWHERE), message);
            None
        }
    }
}

/// Puts a value from the command line above what the file says.
fn put<'t>(root: &mut DeTable<'t>, name: &'t str, value: &'t str, faults: &mut Faults<'_>) {
    let (table, last) = match name.split_once('.') {
        None => (root, name),
        Some((section, last)) => {
            let missing = || at_nowhere(DeValue::Table(DeTable::new()));
            let entry = root.entry(at_nowhere(Cow::Borrowed(section))).or_insert_with(missing);
            match entry.get_mut() {
                DeValue::Table(table) => (table, last),
                // The walk reports that the section is not a table.
                _ => return,
            }
        }
    };
    let Some(key) = keys::key(name) else {
        faults.add(&NOWHERE, format!("unknown key `{name}` on the command line"));
        return;
    };
    table.remove(last);
    table.insert(at_nowhere(Cow::Borrowed(last)), written(key, value));
}

/// Checks and prunes one table of the section `section`, then fills in its defaults.
fn walk(table: &mut DeTable<'_>, section: &str, owner: &Place, faults: &mut Faults<'_>) {
    for (name, mut value) in std::mem::take(table) {
        let full = join(section, name.get_ref());
        let place = name.span();
        let keep = match (keys::section(&full), keys::key(&full)) {
            (Some(below), _) if below.repeated => walk_repeated(&mut value, &full, &place, faults),
            (Some(_), _) => match value.get_mut() {
                DeValue::Table(below) => {
                    walk(below, &full, &place, faults);
                    true
                }
                _ => {
                    faults.add(&place, format!("`{full}` is a section: write [{full}]"));
                    false
                }
            },
            (None, Some(key)) => {
                let fits = kind_fits(key, &value, faults);
                if !fits {
                    faults.take_out(key.name, owner);
                }
                fits
            }
            (None, None) => {
                let known = keys::names_in(section).join(", ");
                faults.add(&place, format!("unknown key `{full}`; known here: {known}"));
                false
            }
        };
        if keep {
            table.insert(name, value);
        }
    }
    fill_in(table, section, faults);
}

/// Checks the items of a repeated section.
fn walk_repeated(value: &mut Spanned<DeValue<'_>>, full: &str, place: &Place, faults: &mut Faults<'_>) -> bool {
    let fault = format!("`{full}` is repeated: write [[{full}]] once for each");
    let DeValue::Array(items) = value.get_mut() else {
        faults.add(place, fault);
        return false;
    };
    for item in items.iter_mut() {
        let at = item.span();
        match item.get_mut() {
            DeValue::Table(below) => walk(below, full, &at, faults),
            _ => {
                faults.add(&at, fault);
                return false;
            }
        }
    }
    true
}

/// Adds what the file leaves out: sections that are not repeated, and keys with a default.
fn fill_in(table: &mut DeTable<'_>, section: &str, faults: &mut Faults<'_>) {
    for last in keys::names_in(section) {
        if table.contains_key(last) {
            continue;
        }
        let full = join(section, last);
        let value = match (keys::section(&full), keys::key(&full)) {
            (Some(below), _) if !below.repeated => {
                let mut empty = DeTable::new();
                walk(&mut empty, &full, &NOWHERE, faults);
                at_nowhere(DeValue::Table(empty))
            }
            (None, Some(key)) if !key.default.is_empty() => written(key, key.default),
            _ => continue,
        };
        table.insert(at_nowhere(Cow::Borrowed(last)), value);
    }
}

/// The TOML value that `text` stands for at `key`; a text that does not fit stays text and fails the kind check.
fn written<'t>(key: &Key, text: &'t str) -> Spanned<DeValue<'t>> {
    let bare = match key.kind {
        Kind::Bool | Kind::Integer(..) => DeValue::parse(text).ok(),
        _ => None,
    };
    at_nowhere(match bare {
        Some(value) => value.into_inner(),
        None => DeValue::String(Cow::Borrowed(text)),
    })
}

fn at_nowhere<T>(value: T) -> Spanned<T> {
    Spanned::new(NOWHERE, value)
}

fn join(section: &str, name: &str) -> String {
    match section {
        "" => name.to_owned(),
        _ => format!("{section}.{name}"),
    }
}

/// Whether the value has the kind of its key; says so if not.
fn kind_fits(key: &Key, value: &Spanned<DeValue<'_>>, faults: &mut Faults<'_>) -> bool {
    let expected = match (key.kind, value.get_ref()) {
        (Kind::Bool, DeValue::Boolean(_))
        | (Kind::Text | Kind::Listen | Kind::Path | Kind::Secret, DeValue::String(_)) => {
            return true;
        }
        (Kind::Integer(low, high), DeValue::Integer(integer)) => {
            let digits = integer.as_str();
            let number = u64::from_str_radix(digits, integer.radix()).ok();
            if number.is_some_and(|n| (low..=high).contains(&n)) {
                return true;
            }
            format!("a number from {low} to {high}")
        }
        (Kind::Choice(words), DeValue::String(text)) if words.contains(&text.as_ref()) => {
            return true;
        }
        (Kind::TextList, DeValue::Array(items)) if items.iter().all(|i| i.get_ref().is_str()) => {
            return true;
        }
        (Kind::Bool, _) => "true or false".to_owned(),
        (Kind::Integer(low, high), _) => format!("a number from {low} to {high}"),
        (Kind::Choice(words), _) => format!("one of \"{}\"", words.join("\", \"")),
        (Kind::TextList, _) => "a list of texts".to_owned(),
        (Kind::Listen, _) => "\"IP:PORT\" or \"off\"".to_owned(),
        (Kind::Text | Kind::Path | Kind::Secret, _) => "a text in quotes".to_owned(),
    };
    faults.add(&value.span(), format!("`{}` must be {expected}", key.name));
    false
}
