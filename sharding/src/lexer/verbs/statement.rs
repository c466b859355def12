//! Prepared statements, cursors, LISTEN, KILL, USE, DISCARD, table locks, EXPLAIN ROUTE.

use super::reader::Reader;
use super::{Discard, Name, PreparedText, Verb, Which};
use crate::lexer::{Span, TokenKind, identifier_value};

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Verb> {
    let mysql = reader.mysql();
    if reader.eat(&["explain", "route"]) {
        return reader.rest().map(Verb::ExplainRoute);
    }
    if reader.eat(&["prepare"]) {
        return if mysql { mysql_prepare_statement(reader) } else { postgres_prepare_statement(reader) };
    }
    if reader.eat(&["execute"]) {
        return execute(reader);
    }
    if reader.eat(&["deallocate"]) {
        if !reader.eat(&["prepare"]) && mysql {
            return None;
        }
        let which = which(reader)?;
        return reader.finish(Verb::Deallocate(which));
    }
    if reader.eat(&["kill"]) {
        return kill(reader);
    }
    if mysql { mysql_only(reader) } else { postgres_only(reader) }
}

fn mysql_only(reader: &mut Reader<'_>) -> Option<Verb> {
    if reader.eat(&["drop", "prepare"]) {
        let name = reader.name()?;
        return reader.finish(Verb::Deallocate(Which::One(name)));
    }
    if reader.eat(&["use"]) {
        let name = reader.name()?;
        return reader.finish(Verb::Use(name));
    }
    if reader.eat(&["lock"]) {
        return reader.eat_one_of(&["tables", "table"]).then_some(Verb::LockTables);
    }
    if reader.eat(&["unlock"]) {
        return (reader.eat_one_of(&["tables", "table"]) && reader.at_end()).then_some(Verb::UnlockTables);
    }
    None
}

fn postgres_only(reader: &mut Reader<'_>) -> Option<Verb> {
    if reader.eat(&["discard"]) {
        return discard(reader);
    }
    if reader.eat(&["listen"]) {
        let name = reader.name()?;
        return reader.finish(Verb::Listen(name));
    }
    if reader.eat(&["unlisten"]) {
        if reader.eat_mark(b"*") {
            return reader.finish(Verb::Unlisten(Which::All));
        }
        let name = reader.name()?;
        return reader.finish(Verb::Unlisten(Which::One(name)));
    }
    if reader.eat(&["notify"]) {
        let name = reader.name()?;
        if reader.eat_mark(b",") {
            reader.string()?;
        }
        return reader.finish(Verb::Notify(name));
    }
    if reader.eat(&["declare"]) {
        return declare(reader);
    }
    if reader.eat(&["close"]) {
        let which = which(reader)?;
        return reader.finish(Verb::CloseCursor(which));
    }
    None
}

/// ALL or a name; only PostgreSQL knows ALL.
fn which(reader: &mut Reader<'_>) -> Option<Which> {
    if !reader.mysql() && reader.eat(&["all"]) {
        return Some(Which::All);
    }
    reader.name().map(Which::One)
}

fn mysql_prepare_statement(reader: &mut Reader<'_>) -> Option<Verb> {
    let name = reader.name()?;
    if !reader.eat(&["from"]) {
        return None;
    }
    let rest = reader.rest()?;
    let first = reader.peek(0).copied()?;
    let text = match first.kind {
        _ if reader.peek(1).is_some() => PreparedText::Expression(rest),
        TokenKind::UserVariable => {
            let text = identifier_value(reader.text(&first).get(1..).unwrap_or_default());
            PreparedText::UserVariable(String::from_utf8(text).ok()?.to_lowercase().into_bytes())
        }
        _ => reader.string().map_or(PreparedText::Expression(rest), PreparedText::Text),
    };
    Some(Verb::PrepareStatement { name, text })
}

fn postgres_prepare_statement(reader: &mut Reader<'_>) -> Option<Verb> {
    let name = reader.name()?;
    let types = if reader.eat_mark(b"(") { Some(parenthesised(reader)?) } else { None };
    if !reader.eat(&["as"]) {
        return None;
    }
    let body = reader.rest()?;
    Some(Verb::PrepareStatement { name, text: PreparedText::Statement { body, types } })
}

/// What stands up to the parenthesis that closes the one just taken; an empty range when nothing does.
fn parenthesised(reader: &mut Reader<'_>) -> Option<Span> {
    let from = reader.place();
    let mut depth = 1;
    while let Some(token) = reader.next() {
        match token.kind {
            TokenKind::LeftParenthesis => depth += 1,
            TokenKind::RightParenthesis => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            let empty = Span { start: token.span.start, end: token.span.start };
            return Some(reader.between(from, reader.place() - 1).unwrap_or(empty));
        }
    }
    None
}

fn execute(reader: &mut Reader<'_>) -> Option<Verb> {
    let name = reader.name()?;
    if reader.mysql() {
        if name.key == b"immediate" && !reader.at_end() && !reader.sees(0, "using") {
            return None;
        }
        let arguments = if reader.eat(&["using"]) { Some(reader.rest()?) } else { reader.finish(None)? };
        return Some(Verb::Execute { name, arguments });
    }
    let arguments = if reader.eat_mark(b"(") { Some(parenthesised(reader)?) } else { None };
    reader.finish(Verb::Execute { name, arguments })
}

/// EXECUTE stands behind EXPLAIN and its options, or behind AS.
pub(super) fn executed_inside(reader: &mut Reader<'_>) -> Option<Name> {
    let explains = reader.sees(0, "explain");
    let (mut depth, mut leads) = (0_usize, false);
    while let Some(token) = reader.peek(0).copied() {
        if leads && depth == 0 && reader.eat(&["execute"]) {
            return reader.name();
        }
        let option = ["explain", "analyze", "analyse", "verbose"].iter().any(|word| reader.sees(0, word));
        match token.kind {
            TokenKind::LeftParenthesis => depth += 1,
            TokenKind::RightParenthesis => depth = depth.saturating_sub(1),
            _ => {}
        }
        leads = reader.sees(0, "as") || (explains && (option || token.kind == TokenKind::RightParenthesis));
        reader.next()?;
    }
    None
}

fn kill(reader: &mut Reader<'_>) -> Option<Verb> {
    reader.eat_one_of(&["hard", "soft"]);
    let query = reader.eat(&["query"]);
    if query {
        reader.eat(&["id"]);
    } else {
        reader.eat(&["connection"]);
    }
    if reader.sees(0, "user") {
        return None;
    }
    let first = reader.next()?;
    let id = std::str::from_utf8(reader.text(&first)).ok().and_then(|text| text.parse().ok());
    let id = if reader.at_end() { id } else { None };
    Some(Verb::Kill { query, id })
}

fn discard(reader: &mut Reader<'_>) -> Option<Verb> {
    let words = [
        ("all", Discard::All),
        ("plans", Discard::Plans),
        ("sequences", Discard::Sequences),
        ("temp", Discard::Temp),
        ("temporary", Discard::Temp),
    ];
    let found = words.iter().find(|(word, _)| reader.eat(&[word])).map(|(_, discard)| Verb::Discard(*discard))?;
    reader.finish(found)
}

fn declare(reader: &mut Reader<'_>) -> Option<Verb> {
    let name = reader.name()?;
    while reader.eat_one_of(&["binary", "asensitive", "insensitive", "no", "scroll"]) {}
    if !reader.eat(&["cursor"]) {
        return None;
    }
    let hold = reader.eat(&["with", "hold"]);
    if !hold {
        reader.eat(&["without", "hold"]);
    }
    if !reader.eat(&["for"]) {
        return None;
    }
    let query = reader.rest()?;
    Some(Verb::DeclareCursor { name, hold, query })
}
