//! SET, RESET, SHOW of a setting, SELECT of system variables. Values are ranges of the text; only plain ones are decoded.

use super::reader::Reader;
use super::{Assignment, Name, Scope, SelectedVariable, Target, TransactionType, ValueShape, Verb, Which};
use crate::lexer::{Token, TokenKind, identifier_value, literal_value};

/// The setting of ours that has a verb of its own.
const TRANSACTION_TYPE: &[u8] = b"dbmesh.transaction_type";

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Verb> {
    if reader.eat(&["set"]) {
        let list = if reader.mysql() { mysql_list(reader)? } else { vec![postgres_assignment(reader)?] };
        return Some(ours(&list).map_or(Verb::Set(list), Verb::SetTransactionType));
    }
    if reader.mysql() {
        return reader.eat(&["select"]).then(|| select_variables(reader)).flatten();
    }
    if reader.eat(&["reset"]) {
        return reset(reader);
    }
    if reader.eat(&["show"]) {
        let name = setting_phrase(reader)?;
        return reader.finish(Verb::ShowSetting(name));
    }
    None
}

fn ours(list: &[Assignment]) -> Option<TransactionType> {
    let [Assignment { target: Target::Setting(name), plain, scope, .. }] = list else { return None };
    if name != TRANSACTION_TYPE || !matches!(scope, Scope::Default | Scope::Session) {
        return None;
    }
    match plain.to_ascii_lowercase().as_slice() {
        b"local" => Some(TransactionType::Local),
        b"atomic" => Some(TransactionType::Atomic),
        _ => None,
    }
}

/// A name of dotted parts, lower case. MySQL's `dbmesh_x` becomes `dbmesh.x`.
fn setting_name(reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    let mut name = reader.name()?.text.to_ascii_lowercase();
    while reader.eat_mark(b".") {
        name.push(b'.');
        name.extend_from_slice(&reader.name()?.text.to_ascii_lowercase());
    }
    Some(named(name, reader.mysql()))
}

fn named(name: Vec<u8>, mysql: bool) -> Vec<u8> {
    match name.strip_prefix(b"dbmesh_") {
        Some(rest) if mysql => [b"dbmesh.", rest].concat(),
        _ => name,
    }
}

fn mysql_list(reader: &mut Reader<'_>) -> Option<Vec<Assignment>> {
    let mut list = Vec::new();
    loop {
        list.push(mysql_assignment(reader)?);
        if reader.at_end() {
            return Some(list);
        }
        if !reader.eat_mark(b",") {
            return None;
        }
    }
}

fn mysql_assignment(reader: &mut Reader<'_>) -> Option<Assignment> {
    let from = reader.place();
    if reader.sees(0, "names") && !assigns(reader, 1) {
        reader.next();
        return charset(reader, from, Target::Names);
    }
    if reader.eat(&["character", "set"])
        || (reader.sees(0, "charset") && !assigns(reader, 1) && reader.next().is_some())
    {
        return charset(reader, from, Target::CharacterSet);
    }
    let first = reader.peek(0).copied()?;
    let (scope, target) = match first.kind {
        TokenKind::UserVariable => {
            reader.next();
            let name = identifier_or_string(reader, reader.text(&first).get(1..).unwrap_or_default())?;
            (Scope::Session, Target::UserVariable(name))
        }
        TokenKind::SystemVariable => {
            reader.next();
            let (scope, name) = system_variable(reader.text(&first));
            (scope, Target::Setting(named(name, true)))
        }
        TokenKind::Word | TokenKind::QuotedIdentifier => {
            let scope = if assigns(reader, 1) { None } else { scope_word(reader) };
            let name = setting_name(reader)?;
            (scope.unwrap_or(Scope::Default), Target::Setting(name))
        }
        _ => return None,
    };
    if !reader.eat_mark(b"=") && !reader.eat_mark(b":=") {
        return None;
    }
    let value_from = reader.place();
    reader.skip_to_comma();
    assignment(reader, from, value_from, scope, target)
}

fn assigns(reader: &Reader<'_>, ahead: usize) -> bool {
    reader.sees_mark(ahead, b"=") || reader.sees_mark(ahead, b":=")
}

fn scope_word(reader: &mut Reader<'_>) -> Option<Scope> {
    let words = [
        ("session", Scope::Session),
        ("local", Scope::Session),
        ("global", Scope::Global),
        ("persist", Scope::Persist),
        ("persist_only", Scope::PersistOnly),
    ];
    words.iter().find(|(word, _)| reader.eat(&[word])).map(|(_, scope)| *scope)
}

/// `` `x` ``, `'x'` or `x` behind an `@`, in lower case.
fn identifier_or_string(reader: &Reader<'_>, text: &[u8]) -> Option<Vec<u8>> {
    let name = match text.first() {
        Some(b'\'' | b'"') => literal_value(text, crate::lexer::LiteralClass::String, reader.dialect())?,
        _ => identifier_value(text),
    };
    Some(match std::str::from_utf8(&name) {
        Ok(name) => name.to_lowercase().into_bytes(),
        Err(_) => name,
    })
}

/// The scope and lower-case name of `@@x`.
fn system_variable(text: &[u8]) -> (Scope, Vec<u8>) {
    let text = text.strip_prefix(b"@@").unwrap_or(text).to_ascii_lowercase();
    let scopes = [
        (&b"global."[..], Scope::Global),
        (b"session.", Scope::Session),
        (b"local.", Scope::Session),
        (b"persist.", Scope::Persist),
        (b"persist_only.", Scope::PersistOnly),
    ];
    let found = scopes.iter().find_map(|(prefix, scope)| Some((*scope, text.strip_prefix(*prefix)?)));
    let (scope, name) = found.unwrap_or((Scope::Default, &text));
    (scope, identifier_value(name))
}

/// `SET NAMES x [COLLATE y]`, `SET CHARACTER SET x`.
fn charset(reader: &mut Reader<'_>, from: usize, target: Target) -> Option<Assignment> {
    let value_from = reader.place();
    reader.next()?;
    let value_to = reader.place();
    let mut collation = None;
    if target == Target::Names && reader.eat(&["collate"]) {
        collation = Some(match reader.string() {
            Some(text) => text,
            None => reader.name()?.text,
        });
    }
    let (shape, plain) = shape(reader, value_from, value_to);
    let value = reader.between(value_from, value_to)?;
    let span = reader.between(from, reader.place())?;
    matches!(shape, ValueShape::Default | ValueShape::Literal | ValueShape::Word).then_some(())?;
    Some(Assignment { scope: Scope::Session, target, value, shape, plain, collation, span })
}

fn assignment(reader: &Reader<'_>, from: usize, value_from: usize, scope: Scope, target: Target) -> Option<Assignment> {
    let to = reader.place();
    let (shape, plain) = shape(reader, value_from, to);
    let value = reader.between(value_from, to)?;
    let span = reader.between(from, to)?;
    Some(Assignment { scope, target, value, shape, plain, collation: None, span })
}

/// What the tokens `from..to` are as a value, and its plain text.
fn shape(reader: &Reader<'_>, from: usize, to: usize) -> (ValueShape, Vec<u8>) {
    let tokens = reader.tokens(from, to);
    match tokens {
        [one] => single(reader, one),
        [sign, number] if is_number(number) && matches!(reader.text(sign), b"-" | b"+") => {
            let sign = if reader.text(sign) == b"-" { &b"-"[..] } else { b"" };
            (ValueShape::Literal, [sign, reader.text(number)].concat())
        }
        _ if !reader.mysql() && tokens.len() > 2 && is_list(reader, tokens) => (ValueShape::List, Vec::new()),
        _ => (ValueShape::Expression, Vec::new()),
    }
}

fn is_number(token: &Token) -> bool {
    use crate::lexer::LiteralClass::{BigInt, Decimal, Float, Int};
    matches!(token.kind, TokenKind::Literal(Int | BigInt | Decimal | Float))
}

fn single(reader: &Reader<'_>, token: &Token) -> (ValueShape, Vec<u8>) {
    let text = reader.text(token);
    match token.kind {
        TokenKind::Word if text.eq_ignore_ascii_case(b"default") => (ValueShape::Default, Vec::new()),
        TokenKind::Word if text.eq_ignore_ascii_case(b"null") => (ValueShape::Null, Vec::new()),
        TokenKind::Word if reader.mysql() => (ValueShape::Word, text.to_vec()),
        TokenKind::Word => (ValueShape::Word, text.to_ascii_lowercase()),
        TokenKind::QuotedIdentifier => (ValueShape::Word, identifier_value(text)),
        TokenKind::Literal(_) if is_number(token) => (ValueShape::Literal, text.to_vec()),
        TokenKind::Literal(class) => match literal_value(text, class, reader.dialect()) {
            Some(value) => (ValueShape::Literal, value),
            None => (ValueShape::Expression, Vec::new()),
        },
        _ => (ValueShape::Expression, Vec::new()),
    }
}

fn is_list(reader: &Reader<'_>, tokens: &[Token]) -> bool {
    tokens.split(|token| token.kind == TokenKind::Comma).all(|item| match item {
        [one] => !matches!(single(reader, one).0, ValueShape::Expression | ValueShape::Default),
        [sign, number] => is_number(number) && matches!(reader.text(sign), b"-" | b"+"),
        _ => false,
    })
}

fn postgres_assignment(reader: &mut Reader<'_>) -> Option<Assignment> {
    let from = reader.place();
    let scope = if assigns(reader, 1) || reader.sees(1, "to") {
        Scope::Default
    } else if reader.eat(&["local"]) {
        Scope::Transaction
    } else if reader.eat(&["session"]) {
        Scope::Session
    } else {
        Scope::Default
    };
    if reader.eat(&["time", "zone"]) {
        return time_zone(reader, from, scope);
    }
    let named = assigns(reader, 1) || reader.sees(1, "to") || reader.sees_mark(1, b".");
    let target = match () {
        () if !named && reader.eat(&["role"]) => Target::Role,
        () if !named && reader.eat(&["names"]) => Target::Names,
        () if !named && reader.eat(&["schema"]) => Target::Setting(b"search_path".to_vec()),
        () if !named && ["authorization", "constraints", "xml", "seed"].iter().any(|word| reader.sees(0, word)) => {
            Target::Other
        }
        () => {
            let name = setting_name(reader)?;
            if !reader.eat_mark(b"=") && !reader.eat(&["to"]) && !reader.sees(0, "from") {
                return None;
            }
            Target::Setting(name)
        }
    };
    let value_from = reader.place();
    while reader.next().is_some() {}
    assignment(reader, from, value_from, scope, target)
}

fn time_zone(reader: &mut Reader<'_>, from: usize, scope: Scope) -> Option<Assignment> {
    let value_from = reader.place();
    while reader.next().is_some() {}
    let mut assignment = assignment(reader, from, value_from, scope, Target::TimeZone)?;
    if assignment.shape == ValueShape::Word && assignment.plain == b"local" {
        assignment.shape = ValueShape::Default;
        assignment.plain.clear();
    }
    Some(assignment)
}

/// The setting that RESET or SHOW names, by its own name.
fn setting_phrase(reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    for (words, name) in [
        (&["time", "zone"][..], &b"timezone"[..]),
        (&["transaction", "isolation", "level"], b"transaction_isolation"),
        (&["session", "authorization"], b"session_authorization"),
    ] {
        if reader.eat(words) {
            return Some(name.to_vec());
        }
    }
    setting_name(reader)
}

fn reset(reader: &mut Reader<'_>) -> Option<Verb> {
    if reader.eat(&["all"]) {
        return reader.finish(Verb::Reset(Which::All));
    }
    let from = reader.place();
    let text = setting_phrase(reader)?;
    let span = reader.between(from, reader.place())?;
    reader.finish(Verb::Reset(Which::One(Name { key: text.clone(), text, span })))
}

/// `SELECT @@a, @@session.b AS x [FROM DUAL] [LIMIT n]`.
fn select_variables(reader: &mut Reader<'_>) -> Option<Verb> {
    let mut list = Vec::new();
    loop {
        let token = reader.next().filter(|token| token.kind == TokenKind::SystemVariable)?;
        let (scope, name) = system_variable(reader.text(&token));
        let label = label(reader).unwrap_or_else(|| Some(reader.text(&token).to_vec()))?;
        list.push(SelectedVariable { scope, name, label });
        if !reader.eat_mark(b",") {
            break;
        }
    }
    reader.eat(&["from", "dual"]);
    if reader.eat(&["limit"]) {
        let count = reader.next().filter(is_number)?;
        if matches!(reader.text(&count), b"0" | b"") {
            return None;
        }
    }
    reader.finish(Verb::SelectVariables(list))
}

/// An alias, if one follows: outer None without one, inner None when it is not a plain one.
fn label(reader: &mut Reader<'_>) -> Option<Option<Vec<u8>>> {
    if reader.eat(&["as"]) {
        return Some(reader.string().or_else(|| reader.name().map(|name| name.text)));
    }
    if ["from", "limit"].iter().any(|word| reader.sees(0, word)) {
        return None;
    }
    match reader.peek(0)?.kind {
        TokenKind::Comma => None,
        _ => Some(reader.string().or_else(|| reader.name().map(|name| name.text))),
    }
}
