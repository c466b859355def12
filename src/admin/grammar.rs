//! The grammar of admin SQL: text to statements, or an error that says what was expected.
//! Out: answers. What clients send by themselves is recognised here and answered in `by_clients`.

use crate::config::Protocol;
use crate::error_code::MeshError;

use super::tokens::{Kind, Token, tokens};

const NO_TABLES: &str = "the admin interface has no tables to SELECT from; use SHOW, see HELP for the statements";
const NO_EXPRESSIONS: &str = "the admin interface evaluates no expressions; use SHOW, see HELP for the statements";

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Statement {
    Show(Show),
    ExplainRoute {
        target: Option<Target>,
        sql: String,
    },
    Use(Target),
    Reload,
    KillSession(u32),
    /// PAUSE SHARD, RESUME SHARD.
    Pause(ShardName),
    Resume(ShardName),
    Shutdown,
    Help,
    /// Transaction control, which clients send by themselves; there is nothing to commit.
    Begin,
    End(&'static str),
    /// Taken and without effect: SET, DISCARD ...
    Ignored(&'static str),
    /// `SHOW name` of PostgreSQL and the SHOW statements that MySQL clients send by themselves.
    ShowSetting(String),
    /// A SELECT without FROM.
    Select(Vec<Item>),
}

/// The tables of SHOW.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Show {
    Version,
    Config,
    Users,
    Databases,
    Shards,
    Tables,
    Pools,
    Sessions,
    Backends,
    Plans,
}

impl Show {
    pub(super) const ALL: [(&'static str, Self); 10] = [
        ("VERSION", Self::Version),
        ("CONFIG", Self::Config),
        ("USERS", Self::Users),
        ("DATABASES", Self::Databases),
        ("SHARDS", Self::Shards),
        ("TABLES", Self::Tables),
        ("POOLS", Self::Pools),
        ("SESSIONS", Self::Sessions),
        ("BACKENDS", Self::Backends),
        ("PLANS", Self::Plans),
    ];
}

/// A logical database as written: `mysql.shop`, `postgres.shop`, or `shop` alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub protocol: Option<Protocol>,
    pub database: String,
}

/// A shard as written: its name, and the logical database where that alone does not tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ShardName {
    pub shard: String,
    pub target: Option<Target>,
}

/// One item of a SELECT list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// The label: alias, or the text as written.
    pub label: String,
    pub value: Expression,
}

/// What can be selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expression {
    Number(i64),
    Literal(String),
    /// A function or a keyword that is one: `version()`, `current_user`; lower case, without `pg_catalog.`.
    Function(String),
    /// `@@name` without scope, lower case.
    System(String),
}

/// Statements of one text, in order; empty ones are left out. `EXPLAIN ROUTE` takes everything up to the end.
pub(super) fn parse(text: &str) -> Result<Vec<Statement>, MeshError> {
    let tokens = tokens(text);
    let mut statements = Vec::new();
    let mut reader = Reader { text, tokens: &tokens, at: 0 };
    while reader.at < tokens.len() {
        if reader.take_symbol(';') {
            continue;
        }
        statements.push(reader.statement()?);
        if reader.at < tokens.len() && !reader.take_symbol(';') {
            return Err(reader.expected("the end of the statement"));
        }
    }
    Ok(statements)
}

struct Reader<'t> {
    text: &'t str,
    tokens: &'t [Token<'t>],
    at: usize,
}

impl<'t> Reader<'t> {
    fn statement(&mut self) -> Result<Statement, MeshError> {
        let Some(Kind::Word(first)) = self.peek().map(|t| &t.kind) else {
            return Err(self.expected_statement());
        };
        let first = first.to_ascii_uppercase();
        self.at += 1;
        let ignored = |reader: &mut Self, tag| {
            reader.skip_statement();
            Ok(Statement::Ignored(tag))
        };
        match first.as_str() {
            "SHOW" => self.show(),
            "EXPLAIN" => self.explain(),
            "USE" => Ok(Statement::Use(self.target()?)),
            "RELOAD" => Ok(Statement::Reload),
            "KILL" => self.kill(),
            "PAUSE" => Ok(Statement::Pause(self.shard("PAUSE")?)),
            "RESUME" => Ok(Statement::Resume(self.shard("RESUME")?)),
            "SHUTDOWN" => Ok(Statement::Shutdown),
            "HELP" => Ok(Statement::Help),
            "SELECT" => self.select(),
            "BEGIN" => {
                self.skip_statement();
                Ok(Statement::Begin)
            }
            "START" => match self.take("TRANSACTION") {
                true => {
                    self.skip_statement();
                    Ok(Statement::Begin)
                }
                false => Err(self.expected("TRANSACTION")),
            },
            "COMMIT" | "END" => {
                self.skip_statement();
                Ok(Statement::End("COMMIT"))
            }
            "ROLLBACK" | "ABORT" => {
                self.skip_statement();
                Ok(Statement::End("ROLLBACK"))
            }
            "SET" => ignored(self, "SET"),
            "RESET" => ignored(self, "RESET"),
            "DISCARD" => ignored(self, "DISCARD ALL"),
            "DEALLOCATE" => ignored(self, "DEALLOCATE"),
            "CLOSE" => ignored(self, "CLOSE CURSOR"),
            "UNLISTEN" => ignored(self, "UNLISTEN"),
            _ => {
                self.at -= 1;
                Err(self.expected_statement())
            }
        }
    }

    fn show(&mut self) -> Result<Statement, MeshError> {
        let word = match self.peek().map(|t| &t.kind) {
            Some(Kind::Word(word)) => *word,
            _ => return Err(self.expected(&after_show())),
        };
        let table = Show::ALL.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
        if let Some((_, table)) = table {
            self.at += 1;
            return Ok(Statement::Show(*table));
        }
        // Clients ask for some of their server's settings by themselves.
        let name = self.rest_of_statement().to_ascii_lowercase();
        if super::by_clients::knows_setting(&name) {
            self.skip_statement();
            return Ok(Statement::ShowSetting(name));
        }
        Err(self.expected(&after_show()))
    }

    fn explain(&mut self) -> Result<Statement, MeshError> {
        if !self.take("ROUTE") {
            return Err(self.expected(
                "ROUTE after EXPLAIN (EXPLAIN ROUTE [FOR mysql.<database> | FOR postgres.<database>] <sql>)",
            ));
        }
        let target = match self.take("FOR") {
            true => Some(self.target()?),
            false => None,
        };
        let start = self.peek().map_or(self.text.len(), |t| t.start);
        // Trailing semicolons end our statement; comments stay, since they may be hints.
        let sql = self.text[start..].trim_end_matches(|c: char| c.is_whitespace() || c == ';');
        if sql.is_empty() {
            return Err(self.expected("the SQL to explain"));
        }
        self.at = self.tokens.len();
        Ok(Statement::ExplainRoute { target, sql: sql.to_owned() })
    }

    fn target(&mut self) -> Result<Target, MeshError> {
        const EXPECTED: &str = "a database: mysql.<name>, postgres.<name> or <name>";
        let first = self.name(EXPECTED)?;
        if !self.take_symbol('.') {
            // A name in quotes may hold the dot.
            if let Some((protocol, database)) = first.split_once('.')
                && let Some(protocol) = Protocol::from_word(&protocol.to_ascii_lowercase())
            {
                return Ok(Target { protocol: Some(protocol), database: database.to_owned() });
            }
            return Ok(Target { protocol: None, database: first });
        }
        let Some(protocol) = Protocol::from_word(&first.to_ascii_lowercase()) else {
            return Err(MeshError::Syntax(format!("expected mysql or postgres before the dot, found '{first}'")));
        };
        Ok(Target { protocol: Some(protocol), database: self.name(EXPECTED)? })
    }

    fn name(&mut self, expected: &str) -> Result<String, MeshError> {
        let name = match self.peek().map(|t| &t.kind) {
            Some(Kind::Word(name) | Kind::Name(name)) => (*name).to_owned(),
            _ => return Err(self.expected(expected)),
        };
        self.at += 1;
        // Names with hyphens are common and need no quotes here.
        let mut name = name;
        while let [hyphen, next, ..] = &self.tokens[self.at..]
            && hyphen.is_symbol('-')
            && hyphen.start == self.tokens[self.at - 1].end
            && hyphen.end == next.start
            && let Kind::Word(word) = next.kind
        {
            name.push('-');
            name.push_str(word);
            self.at += 2;
        }
        Ok(name)
    }

    fn shard(&mut self, verb: &str) -> Result<ShardName, MeshError> {
        if !self.take("SHARD") {
            let form = format!(
                "SHARD and its name after {verb} ({verb} SHARD <name> [FOR mysql.<database> | FOR postgres.<database>])"
            );
            return Err(self.expected(&form));
        }
        let shard = self.name("the name of a shard (names: SHOW SHARDS)")?;
        let target = match self.take("FOR") {
            true => Some(self.target()?),
            false => None,
        };
        Ok(ShardName { shard, target })
    }

    fn kill(&mut self) -> Result<Statement, MeshError> {
        const EXPECTED: &str = "SESSION and its id (KILL SESSION 7; ids: SHOW SESSIONS)";
        if !self.take("SESSION") {
            return Err(self.expected(EXPECTED));
        }
        let id = match self.peek().map(|t| &t.kind) {
            Some(Kind::Word(digits)) => digits.parse().ok(),
            _ => None,
        };
        let id = id.ok_or_else(|| self.expected("the id of a session (ids: SHOW SESSIONS)"))?;
        self.at += 1;
        Ok(Statement::KillSession(id))
    }

    fn select(&mut self) -> Result<Statement, MeshError> {
        let mut items = Vec::new();
        loop {
            let start = self.peek().map_or(self.text.len(), |t| t.start);
            let value = self.expression()?;
            let end = self.tokens[self.at - 1].end;
            let label = match self.alias()? {
                Some(alias) => alias,
                None => self.text[start..end].to_owned(),
            };
            items.push(Item { label, value });
            if !self.take_symbol(',') {
                break;
            }
        }
        if self.take("LIMIT") {
            self.at += 1;
        }
        match self.peek() {
            None => Ok(Statement::Select(items)),
            Some(token) if token.is_symbol(';') => Ok(Statement::Select(items)),
            Some(token) if token.is("FROM") => Err(MeshError::Syntax(NO_TABLES.to_owned())),
            Some(_) => Err(MeshError::Syntax(NO_EXPRESSIONS.to_owned())),
        }
    }

    fn alias(&mut self) -> Result<Option<String>, MeshError> {
        if self.take("AS") {
            return self.name("an alias").map(Some);
        }
        match self.peek().map(|t| &t.kind) {
            Some(Kind::Name(_)) => self.name("an alias").map(Some),
            _ => Ok(None),
        }
    }

    fn expression(&mut self) -> Result<Expression, MeshError> {
        let refuse = || MeshError::Syntax(NO_EXPRESSIONS.to_owned());
        let token = self.peek().ok_or_else(refuse)?;
        let expression = match token.kind {
            Kind::Literal(text) => Expression::Literal(text.replace("''", "'")),
            Kind::System(name) => {
                let name = name.rsplit('.').next().unwrap_or(name);
                Expression::System(name.to_ascii_lowercase())
            }
            Kind::Word(word) => match word.parse() {
                Ok(number) => Expression::Number(number),
                Err(_) => {
                    let mut name = word.to_ascii_lowercase();
                    self.at += 1;
                    if name == "pg_catalog" && self.take_symbol('.') {
                        name = self.name("a function")?.to_ascii_lowercase();
                    }
                    if self.take_symbol('(') && !self.take_symbol(')') {
                        return Err(refuse());
                    }
                    if !super::by_clients::knows_function(&name) {
                        return Err(refuse());
                    }
                    return Ok(Expression::Function(name));
                }
            },
            _ => return Err(refuse()),
        };
        self.at += 1;
        Ok(expression)
    }

    fn peek(&self) -> Option<&'t Token<'t>> {
        self.tokens.get(self.at)
    }

    fn take(&mut self, keyword: &str) -> bool {
        let found = self.peek().is_some_and(|t| t.is(keyword));
        self.at += usize::from(found);
        found
    }

    fn take_symbol(&mut self, symbol: char) -> bool {
        let found = self.peek().is_some_and(|t| t.is_symbol(symbol));
        self.at += usize::from(found);
        found
    }

    fn skip_statement(&mut self) {
        while self.peek().is_some_and(|t| !t.is_symbol(';')) {
            self.at += 1;
        }
    }

    /// The words up to the end of the statement, one space between them.
    fn rest_of_statement(&self) -> String {
        let rest = self.tokens[self.at..].iter().take_while(|t| !t.is_symbol(';'));
        rest.map(|t| &self.text[t.start..t.end]).collect::<Vec<_>>().join(" ")
    }

    fn expected(&self, what: &str) -> MeshError {
        let found = match self.peek() {
            Some(token) => format!("'{}'", shortened(&self.text[token.start..token.end])),
            None => "the end".to_owned(),
        };
        MeshError::Syntax(format!("expected {what}, found {found}; HELP lists the statements"))
    }

    fn expected_statement(&self) -> MeshError {
        self.expected("SHOW, EXPLAIN ROUTE, USE, RELOAD, KILL SESSION, PAUSE SHARD, RESUME SHARD, SHUTDOWN or HELP")
    }
}

fn after_show() -> String {
    let names: Vec<&str> = Show::ALL.iter().map(|(name, _)| *name).collect();
    format!("one of {} after SHOW", names.join(", "))
}

/// The start of a text, for an error message.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
