//! Statements that are planned by their words alone: those that the parser does not know, and those that are not about
//! rows. They pass whole to one shard, if no word of theirs names a table that several shards hold.
//! Out: syntax trees. Invariant: refuses when in doubt, for nobody looks at such a statement again.

use super::draws::Draws;
use super::effects::Effects;
use super::functions::{FunctionKind, function_kind};
use super::refusal::Refusal;
use super::source::Source;
use super::{Plan, Several, TokenEdit, named_instead};
use crate::lexer::TokenKind;
use crate::route::RouteRule;
use crate::schema::{Placement, ShardIndex};

/// What the first word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// Answered by the session.
    Local,
    /// Shows something; tables of several shards look the same on each.
    Shows,
    /// Rows are read or written.
    Rows,
    /// The schema changes.
    Ddl,
    /// Runs text or code that is not seen here.
    Opaque,
    /// Acts on a whole server or database.
    Server,
    /// Everything else.
    Other,
}

fn family(word: &str, second: &str) -> Family {
    match word {
        "BEGIN" | "START" | "COMMIT" | "ROLLBACK" | "SAVEPOINT" | "RELEASE" | "END" | "ABORT"
            if second != "PREPARED" && second != "NOT" && second != "SLAVE" && second != "REPLICA" =>
        {
            Family::Local
        }
        "SHOW" | "DESC" | "DESCRIBE" | "HELP" => Family::Shows,
        "SELECT" | "WITH" | "INSERT" | "REPLACE" | "UPDATE" | "DELETE" | "VALUES" | "TABLE" | "MERGE" | "EXPLAIN"
        | "SET" | "DO" => Family::Rows,
        "CREATE" | "ALTER" | "DROP" | "RENAME" | "COMMENT" | "TRUNCATE" => Family::Ddl,
        "CALL" | "EXECUTE" | "PREPARE" | "BEGIN" => Family::Opaque,
        "GRANT" | "REVOKE" | "FLUSH" | "REASSIGN" | "SECURITY" | "IMPORT" | "PURGE" | "CHANGE" | "XA" | "REINDEX"
        | "CLUSTER" | "REFRESH" | "BACKUP" | "INSTALL" | "UNINSTALL" => Family::Server,
        _ => Family::Other,
    }
}

/// Objects whose DDL is about one table or nothing that tables need.
const DDL_OBJECTS: [&str; 16] = [
    "TABLE",
    "TEMPORARY",
    "TEMP",
    "UNLOGGED",
    "INDEX",
    "UNIQUE",
    "FULLTEXT",
    "SPATIAL",
    "VIEW",
    "SEQUENCE",
    "ON",
    "COLUMN",
    "TABLES",
    "GLOBAL",
    "LOCAL",
    "IF",
];

/// Plans a statement by its words.
pub(super) fn passage(source: &Source<'_>, unparsed: bool) -> Plan {
    let words = leading_words(source);
    let (family, effects) = by_words(source, &words, unparsed);
    if family == Family::Local {
        return plan_for(RouteRule::Local, Effects::default());
    }
    match target(source, family, &words) {
        Ok(shard) => Plan { edits: database_edits(source, family), ..plan_for(RouteRule::Fixed(shard), effects) },
        Err(refusal) => Plan::refused(refusal),
    }
}

/// Where the logical database is named in front of a dot, or as what SHOW is to look at, and is another one on the shards.
fn database_edits(source: &Source<'_>, family: Family) -> Vec<TokenEdit> {
    let schema = source.schema;
    if !source.mysql() || schema.shards.iter().all(|shard| shard.database == schema.database) {
        return Vec::new();
    }
    let names_it = |at: usize| {
        source.name_at(at).filter(|name| source.is_database_name(name)).is_some_and(|name| {
            let before = at.wrapping_sub(1);
            let qualifies = source.kind(at + 1) == Some(TokenKind::Dot) && source.kind(before) != Some(TokenKind::Dot);
            let shown = family == Family::Shows
                && (source.is_word(before, "FROM") || source.is_word(before, "IN"))
                && schema.namesakes(&name).next().is_none();
            qualifies || shown
        })
    };
    named_instead((0..source.len()).filter(|at| names_it(*at)).collect())
}

/// Plans a statement for a database of one shard: nothing has to be understood.
pub(super) fn only_shard(source: &Source<'_>) -> Plan {
    let (family, effects) = by_words(source, &leading_words(source), false);
    match family {
        Family::Local => plan_for(RouteRule::Local, Effects::default()),
        family => Plan {
            edits: database_edits(source, family),
            ..plan_for(RouteRule::Fixed(source.schema.default_shard), effects)
        },
    }
}

fn by_words(source: &Source<'_>, words: &[String], unparsed: bool) -> (Family, Effects) {
    let word = |index: usize| words.get(index).map_or("", String::as_str);
    let family = match family(word(0), word(1)) {
        // PostgreSQL's DO runs a block, MySQL's some expressions.
        Family::Rows if word(0) == "DO" && !source.mysql() => Family::Opaque,
        family => family,
    };
    let effects = Effects {
        writes: !matches!(family, Family::Shows) && !["SELECT", "SET", "VALUES", "TABLE"].contains(&word(0)),
        locks: word(0) == "LOCK" || (word(0) == "SELECT" && locks_rows(source)),
        changes_schema: matches!(family, Family::Ddl | Family::Opaque | Family::Server),
        unknown: unparsed || matches!(family, Family::Opaque | Family::Other),
    };
    (family, effects)
}

/// FOR UPDATE, FOR SHARE, LOCK IN SHARE MODE and their like, as words.
fn locks_rows(source: &Source<'_>) -> bool {
    (1..source.len()).any(|at| {
        let before = at - 1;
        (source.is_word(before, "FOR") && ["UPDATE", "SHARE", "NO", "KEY"].iter().any(|word| source.is_word(at, word)))
            || (source.is_word(before, "LOCK") && source.is_word(at, "IN"))
    })
}

fn plan_for(route: RouteRule, effects: Effects) -> Plan {
    let several = Several::Refuse(Refusal::unsupported("this statement over several shards"));
    Plan { effects, route, several, edits: Vec::new(), draws: Draws::default() }
}

/// The first words in upper case, up to four.
fn leading_words(source: &Source<'_>) -> Vec<String> {
    let places = 0..source.len();
    let words = places.filter_map(|at| {
        let token = source.token(at)?;
        (token.kind == TokenKind::Word).then(|| String::from_utf8_lossy(source.tokens.text(token)).to_uppercase())
    });
    words.take(4).collect()
}

fn target(source: &Source<'_>, family: Family, words: &[String]) -> Result<ShardIndex, Refusal> {
    let schema = source.schema;
    let verb = words.first().map_or("this", String::as_str);
    let second = words.get(1).map_or("", String::as_str);
    let mut shards: Vec<ShardIndex> = Vec::new();
    // SHOW ... WHERE may hold a sub-query.
    let reads = family != Family::Shows || (1..source.len()).any(|at| source.is_word(at, "SELECT"));
    for at in 0..source.len() {
        let Some(name) = source.name_at(at) else { continue };
        if schema.is_split() && source.is_escaped_name(at) {
            return Err(Refusal::unsupported(format!("{verb} with a name written as U&\"...\"")));
        }
        if reads && schema.is_guarded(&name) {
            return Err(Refusal::unsupported(match family {
                Family::Ddl if verb != "TRUNCATE" => {
                    format!("{verb} {second} where it names {name}, which several shards hold")
                }
                _ => format!("{verb} where it names {name}, which several shards hold"),
            }));
        }
        if let Some(temporary) = source.context.temporary.iter().find(|table| table.name.eq_ignore_ascii_case(&name)) {
            shards.push(temporary.shard);
            continue;
        }
        for table in schema.namesakes(&name) {
            if let Placement::Single(shard) = table.placement {
                shards.push(shard);
            }
        }
    }
    if schema.is_split() {
        unguarded(source, family, words)?;
    }
    shards.sort_unstable();
    shards.dedup();
    match shards.as_slice() {
        [] => Ok(schema.default_shard),
        [shard] => Ok(*shard),
        several => {
            let names = schema.shard_names(several);
            Err(Refusal::unsupported(format!("{verb} over single tables on different shards ({names})")))
        }
    }
}

/// Refuses what could touch the rows of several shards without naming a table.
fn unguarded(source: &Source<'_>, family: Family, words: &[String]) -> Result<(), Refusal> {
    let word = |index: usize| words.get(index).map_or("", String::as_str);
    let refuse = |what: String| Err(Refusal::unsupported(format!("{what} in a sharded database")));
    match family {
        Family::Opaque => return refuse(word(0).to_owned()),
        Family::Server => return refuse(format!("{} {}", word(0), word(1))),
        Family::Ddl => {
            let mut object = 1;
            if word(1) == "OR" && word(2) == "REPLACE" {
                object = 3;
            }
            let known = DDL_OBJECTS.contains(&word(object)) || word(0) == "TRUNCATE";
            // PostgreSQL's indexes have names of their own, which do not say of which table.
            let of_unknown_table =
                !source.mysql() && word(0) != "CREATE" && word(0) != "COMMENT" && word(object) == "INDEX";
            // A sequence may belong to a column of a sharded table.
            let of_sequence = word(0) != "CREATE" && word(object) == "SEQUENCE";
            if !known || of_unknown_table || of_sequence {
                return refuse(format!("{} {}", word(0), word(object)));
            }
        }
        Family::Other if ["VACUUM", "ANALYZE", "ANALYSE"].contains(&word(0)) => {
            let names_one = (0..source.len())
                .any(|at| source.name_at(at).is_some_and(|name| source.schema.namesakes(&name).next().is_some()));
            if !names_one {
                return refuse(format!("{} without a table", word(0)));
            }
        }
        Family::Local | Family::Shows | Family::Rows | Family::Other => {}
    }
    for at in 0..source.len() {
        if source.kind(at + 1) != Some(TokenKind::LeftParenthesis) {
            continue;
        }
        let Some(name) = source.name_at(at) else { continue };
        let called = name.to_lowercase();
        let hidden = match function_kind(source.schema, &called) {
            FunctionKind::Hidden => true,
            FunctionKind::Unknown => {
                source.schema.routines.contains(&called)
                    || (["SELECT", "WITH", "DO", "SET"].contains(&word(0)) && !NOT_CALLS.contains(&called.as_str()))
            }
            _ => false,
        };
        if hidden && family != Family::Shows {
            return refuse(format!("a call of {name}(), which may read sharded tables,"));
        }
    }
    Ok(())
}

/// Words that stand before a parenthesis without being called.
const NOT_CALLS: [&str; 32] = [
    "in", "and", "or", "not", "select", "from", "where", "as", "on", "by", "join", "using", "union", "all", "exists",
    "over", "when", "then", "else", "having", "limit", "case", "distinct", "any", "some", "set", "between", "like",
    "is", "with", "values", "set",
];
