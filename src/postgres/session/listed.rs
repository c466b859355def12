//! Statements that the client has prepared by the protocol, where SQL names them: EXECUTE, and the view that lists them.
//! On a backend they have names of ours, and others' statements stand beside them.
//! Out: statements prepared by SQL, which stay on the backend with their session.

use std::sync::Arc;

use protocol::postgres::frontend::Bind;
use protocol::postgres::{Audience, Sent, Target, write};
use sharding::lexer::verbs::{self, Name, Verb, Which};
use sharding::lexer::{self, Dialect, Flags, StatementKind, TokenKind, Tokens};
use sharding::splice::{Edits, Spliced};
use transaction::Access;

use super::Session;
use super::batch::Portal;
use super::effects::Effects;
use super::fault::{self, Fault};
use super::parts::Edited;
use super::relay::Goal;
use super::sequences::Taking;
use super::simple::{Done, Forwarded};
use crate::error_code::MeshError;
use crate::postgres::settings;
use crate::postgres::statements::{Lexed, Statement, is_mesh_name, name_of};

const VIEW: &str = "pg_prepared_statements";

/// Words that can follow a table's name and are no other name for it.
const NO_ALIAS: &str = "where order group limit join inner left right full cross natural union on having offset fetch for \
                        window except intersect using tablesample";

/// A text that names statements of the session.
pub struct Naming {
    /// What a server is sent instead.
    pub spliced: Spliced,
    /// What the backend must have.
    pub statements: Vec<Arc<Statement>>,
    /// What running it leaves behind, as far as it executes these.
    pub effects: Effects,
}

impl Session {
    /// What stands for a text that names statements of the session; `None`: as it came.
    pub(super) fn naming(&self, sql: &[u8], pieces: &[&Lexed]) -> Result<Option<Naming>, Fault> {
        let names = |piece: &&&Lexed| {
            piece.flags.any(Flags::PREPARED_STATEMENTS)
                || matches!(piece.verb, Some(Verb::Execute { .. }))
                || may_execute_inside(piece.kind)
        };
        if !pieces.iter().any(|piece| names(&piece)) {
            return Ok(None);
        }
        self.refuse_mesh_names(sql, pieces)?;
        let (mut edits, mut statements, mut effects) = (Edits::new(), Vec::new(), Effects::default());
        for piece in pieces {
            if let Some(name) = self.executed(sql, piece)
                && let Some(statement) = self.names.get(&name.text)
            {
                if !self.is_relay() {
                    let text = "dbmesh does not support EXECUTE of a statement that was prepared by the protocol in a sharded database";
                    return Err(MeshError::Unsupported(text.to_owned()).into());
                }
                edits.replace(name.span.range(), statement.name());
                effects = effects.and(statement.lexed.effects());
                if may_execute_inside(piece.kind) {
                    effects = effects.and(piece.effects());
                }
                statements.push(Arc::clone(statement));
            } else {
                effects = effects.and(piece.effects());
            }
        }
        if pieces.iter().any(|piece| piece.flags.any(Flags::PREPARED_STATEMENTS))
            && let Ok(tokens) = lexer::tokens(sql, Dialect::Postgres(self.modes))
        {
            let mut listed: Vec<_> = self.names.iter().filter(|(name, ..)| !name.is_empty()).collect();
            listed.sort_by_key(|(.., since)| *since);
            view_edits(&tokens, &relation(&listed), &mut edits);
            statements.extend(listed.into_iter().map(|(_, statement, _)| Arc::clone(statement)));
        }
        if edits.is_empty() {
            return Ok(None);
        }
        let spliced = edits.apply(sql).map_err(|error| MeshError::Internal(error.to_string()))?;
        Ok(Some(Naming { spliced, statements, effects }))
    }

    /// The prepared statement that a statement executes, or lets EXPLAIN or CREATE TABLE ... AS execute.
    fn executed(&self, sql: &[u8], piece: &Lexed) -> Option<Name> {
        match &piece.verb {
            Some(Verb::Execute { name, .. }) => Some(name.clone()),
            None if may_execute_inside(piece.kind) => {
                verbs::executed_inside(sql, piece.span, Dialect::Postgres(self.modes)).ok().flatten()
            }
            _ => None,
        }
    }

    /// Whether a name of the protocol may be that of a statement which SQL has prepared on the backend that stays.
    pub(super) fn is_by_sql(&self, name: &[u8]) -> bool {
        let deferred = self.batch.deferred.as_ref().is_some_and(|deferred| deferred.name == name);
        self.pin.is_some() && !name.is_empty() && !deferred && self.names.get(name).is_none() && !is_mesh_name(name)
    }

    /// Binds such a statement.
    pub(super) async fn bind_by_sql(&mut self, frame: &[u8], bind: &Bind<'_>) -> Result<(), Fault> {
        self.transaction.admits().map_err(|refusal| fault::of_refusal(&refusal))?;
        self.resolve_deferred(None).await?;
        let shard = self.home_shard();
        let index = self.target(shard, Access::Write).await?;
        let alone = self.guard_sequences(index, Some(&Taking::anything()), false, Access::Write, true);
        let backend = &mut *self.held[index].lease;
        backend.output.extend_from_slice(frame);
        backend.pipeline.sent(Sent::Bind, Audience::Client);
        if !self.batch.wrote.contains(&shard) {
            self.batch.wrote.push(shard);
        }
        let portal = Portal::Backend {
            shard,
            kind: StatementKind::Execute,
            effects: Effects { untracked: true, ddl: true, ..Effects::default() },
            taking: Some((Arc::new(Taking::anything()), alone)),
            aim: None,
            restoring: None,
        };
        self.set_portal(bind.portal, portal)?;
        self.relieve(index).await
    }

    /// Passes a Describe or Close of such a statement.
    pub(super) async fn pass_by_sql(&mut self, name: &[u8], sent: Sent) -> Result<(), Fault> {
        self.resolve_deferred(None).await?;
        let index = self.target(self.home_shard(), Access::Read).await?;
        let backend = &mut *self.held[index].lease;
        match sent {
            Sent::Close => write::close(&mut backend.output, Target::Statement, name),
            _ => write::describe(&mut backend.output, Target::Statement, name),
        }
        backend.pipeline.sent(sent, Audience::Client);
        self.pin_doubt = true;
        self.relieve(index).await
    }

    /// The names that statements have on backends are not the client's: with one of them it could reach another session's.
    pub(super) fn refuse_mesh_names(&self, sql: &[u8], pieces: &[&Lexed]) -> Result<(), Fault> {
        for piece in pieces {
            let name = match &piece.verb {
                Some(Verb::Deallocate(Which::One(name))) => Some(name.clone()),
                _ => self.executed(sql, piece),
            };
            if let Some(name) = name
                && is_mesh_name(&name.text)
                && self.names.get(&name.text).is_none()
            {
                let text = format!("prepared statement \"{}\" does not exist", String::from_utf8_lossy(&name.text));
                return Err(MeshError::UnknownStatement(text).into());
            }
        }
        Ok(())
    }

    /// Runs a Query that names statements of the session.
    pub(super) async fn run_naming(&mut self, naming: Naming, sql: &[u8], access: Access) -> Result<Done, Fault> {
        let Naming { spliced: sent, statements, effects } = naming;
        let shard = self.home_shard();
        let index = self.enter(shard, access).await?;
        self.have(index, &statements).await?;
        let mut frame = Vec::with_capacity(sent.text.len() + 6);
        write::query(&mut frame, &sent.text);
        let own =
            self.names.iter().filter(|(_, statement, _)| statements.iter().any(|one| one.number == statement.number));
        let names = own.map(|(name, statement, _)| (statement.name().to_vec(), name.to_vec())).collect();
        self.notes.edited = Some(Edited { sent, original: sql.to_vec(), before: 0, names });
        let taking = (access == Access::Write).then(Taking::anything);
        let what = Forwarded::query(effects, taking.as_ref(), effects.asks_values, Audience::ClientEdited);
        self.forward(&frame, shard, access, what).await
    }

    /// Makes sure that a backend has statements, outside a batch.
    pub(super) async fn have(&mut self, index: usize, statements: &[Arc<Statement>]) -> Result<(), Fault> {
        let shard = self.held[index].shard;
        for statement in statements {
            let index = self.held_index(shard)?;
            let backend = &mut *self.held[index].lease;
            if backend.memory.uses(statement.number) {
                continue;
            }
            write::parse(&mut backend.output, statement.name(), &statement.sql, statement.types.iter().copied());
            write::sync(&mut backend.output);
            for sent in [Sent::Parse, Sent::Sync] {
                backend.pipeline.sent(sent, Audience::Mesh(0));
            }
            self.notes.mesh_error = None;
            self.relay(index, Goal::Settled, false).await?;
            if let Some(error) = self.notes.mesh_error.take() {
                self.held[index].lease.memory.statements.remove(&statement.number);
                return Err(Fault::Server(error));
            }
        }
        Ok(())
    }
}

/// Statements of this kind may execute a prepared one inside.
fn may_execute_inside(kind: StatementKind) -> bool {
    matches!(kind, StatementKind::Explain | StatementKind::Ddl)
}

/// What the view is for the session: its statements, and those that SQL has prepared on its backend.
fn relation(listed: &[(&[u8], &Arc<Statement>, std::time::Instant)]) -> String {
    let by_sql = format!("SELECT * FROM pg_catalog.{VIEW} WHERE from_sql");
    if listed.is_empty() {
        return format!("({by_sql})");
    }
    let rows: Vec<String> = (listed.iter())
        .map(|(name, statement, since)| {
            let name = settings::literal(&String::from_utf8_lossy(name));
            let ours = String::from_utf8_lossy(&name_of(statement.number)).into_owned();
            format!("({name},'{ours}','{} microseconds'::pg_catalog.interval)", since.elapsed().as_micros())
        })
        .collect();
    // Of whatever columns this server has.
    format!(
        "(SELECT (dbmesh_r).* FROM (SELECT pg_catalog.jsonb_populate_record(dbmesh_p,pg_catalog.jsonb_build_object(\
         'name',dbmesh_n,'prepare_time',pg_catalog.clock_timestamp()-dbmesh_a)) AS dbmesh_r \
         FROM pg_catalog.{VIEW} dbmesh_p JOIN (VALUES {}) dbmesh_l(dbmesh_n,dbmesh_b,dbmesh_a) \
         ON dbmesh_p.name=dbmesh_b) dbmesh_x UNION ALL {by_sql})",
        rows.join(",")
    )
}

fn view_edits(tokens: &Tokens, relation: &str, edits: &mut Edits) {
    let list = tokens.list();
    for at in 1..list.len() {
        if !tokens.is_word(at, VIEW) {
            continue;
        }
        let dotted = list[at - 1].kind == TokenKind::Dot;
        let first = if dotted && at > 2 && tokens.is_word(at - 2, "pg_catalog") { at - 2 } else { at };
        let table = tokens.is_word(first - 1, "from") || tokens.is_word(first - 1, "join");
        if !table || (dotted && first == at) {
            continue;
        }
        let named = list.get(at + 1).is_some_and(|next| match next.kind {
            TokenKind::QuotedIdentifier => true,
            TokenKind::Word => !NO_ALIAS.split(' ').any(|word| tokens.is_word(at + 1, word)),
            _ => false,
        });
        let alias = if named { String::new() } else { format!(" AS {VIEW}") };
        edits.replace(list[first].span.range().start..list[at].span.range().end, format!("{relation}{alias}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_view_is_found_where_it_is_a_table() {
        let edited = |sql: &str| {
            let tokens = lexer::tokens(sql.as_bytes(), Dialect::POSTGRES).expect("readable");
            let mut edits = Edits::new();
            view_edits(&tokens, "(x)", &mut edits);
            String::from_utf8(edits.apply(sql.as_bytes()).expect("fits").text).expect("text")
        };
        assert_eq!(
            edited("select pg_prepared_statements.name from pg_catalog.pg_prepared_statements where true"),
            "select pg_prepared_statements.name from (x) AS pg_prepared_statements where true"
        );
        assert_eq!(edited("table t join PG_PREPARED_STATEMENTS p on true"), "table t join (x) p on true");
        for same in ["select 'from pg_prepared_statements'", "select 1 from mine.pg_prepared_statements"] {
            assert_eq!(edited(same), same);
        }
    }
}
