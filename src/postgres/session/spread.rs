//! A write on several shards: each is sent its part, their counts become one answer.
//! Out: whether that is allowed and how it commits (the transaction room).

use protocol::postgres::{backend, write};
use sharding::lexer::{self, Dialect, Flags, TokenKind};
use sharding::plan::{self, Several, SpreadAnswer};
use sharding::splice::Edits;
use tokio::time::Instant;
use transaction::{Access, Ran, ShardIndex};

use super::Session;
use super::fault::Fault;
use super::parts::{Answer, Part, Run};
use super::route::{self, Routed};
use crate::error_code::MeshError;

impl Session {
    pub(super) async fn spread(&mut self, run: &Run<'_>, routed: &Routed, parts: &[plan::Part]) -> Result<(), Fault> {
        let Several::Spread(spread) = &routed.plan.several else {
            return Err(MeshError::Internal("a spread without its plan".to_owned()).into());
        };
        if run.asked.lexed.flags.any(Flags::RETURNING) {
            return Err(
                MeshError::Unsupported("dbmesh does not support RETURNING over several shards".to_owned()).into()
            );
        }
        let text = run.asked.lexed.span.of(run.asked.sql);
        let dialect = Dialect::Postgres(self.modes);
        let tokens = lexer::tokens(text, dialect).map_err(|error| MeshError::Syntax(error.to_string()))?;
        let mut sends = Vec::with_capacity(parts.len());
        for part in parts {
            let Some(info) = routed.schema.shards.get(usize::from(part.shard)) else {
                return Err(MeshError::Internal("a shard that the schema does not have".to_owned()).into());
            };
            let rewritten =
                spread.rewrite(&routed.plan.edits, &tokens, part, info).map_err(|refusal| route::refused(&refusal))?;
            let kept = if part.rows.is_some() && run.bind.is_some() {
                Some(numbers_left(&rewritten.sql, dialect)?)
            } else {
                None
            };
            let (sql, positions) = match &kept {
                Some(kept) => (renumbered(&rewritten.sql, dialect, kept)?, None),
                None => (rewritten.sql, Some(rewritten.positions)),
            };
            sends.push(Part { sql, positions, parameters: rewritten.parameters, kept, hidden: 0 });
        }
        let shards: Vec<ShardIndex> = parts.iter().map(|part| part.shard).collect();
        self.enter_all(&shards, Access::Write).await?;
        let done = self.write_parts(run, &shards, &sends, spread.answer).await;
        let ran = if done.is_ok() { Ran::Well } else { Ran::Failed { others_changed: true } };
        let flow = self.transaction.statement_ended(ran);
        let ended = self.follow(flow).await?;
        let tag = done?;
        self.tell_reply(ended)?;
        write::command_complete(&mut self.client.output, &tag);
        Ok(())
    }

    async fn write_parts(
        &mut self,
        run: &Run<'_>,
        shards: &[ShardIndex],
        parts: &[Part],
        answer: SpreadAnswer,
    ) -> Result<Vec<u8>, Fault> {
        self.send_parts(run, shards, parts, None).await?;
        let sent = Instant::now();
        let mut answers: Vec<Answer> = shards.iter().map(|_| Answer::default()).collect();
        for (&shard, answer) in shards.iter().zip(answers.iter_mut()) {
            loop {
                self.pull(shard, answer).await?;
                answer.rows.clear();
                let index = self.held_index(shard)?;
                if self.held[index].lease.pipeline.is_settled() {
                    break;
                }
            }
        }
        self.note_time(sent);
        if let Some((part, body)) = parts.iter().zip(&answers).find_map(|(part, a)| Some((part, a.error.as_ref()?))) {
            return Err(Fault::Server(part.error(run, body)));
        }
        let tags: Vec<&[u8]> = answers.iter().map(|answer| answer.tag.as_slice()).collect();
        let Some(first) = tags.first() else { return Ok(Vec::new()) };
        match answer {
            SpreadAnswer::Same if tags.iter().all(|tag| tag == first) => Ok(first.to_vec()),
            SpreadAnswer::Same => {
                let text = "the shards gave different answers to a write on a reference table: its copies differ";
                Err(MeshError::Unsupported(text.to_owned()).into())
            }
            SpreadAnswer::Sum => {
                let total: u64 = tags.iter().filter_map(|tag| backend::rows_of_tag(tag)).sum();
                let word = first.rsplitn(2, |&byte| byte == b' ').nth(1).unwrap_or(first);
                Ok([word, format!(" {total}").as_bytes()].concat())
            }
        }
    }
}

/// The placeholders of a text, each once, ascending, from 0.
fn numbers_left(sql: &[u8], dialect: Dialect) -> Result<Vec<usize>, MeshError> {
    let tokens = lexer::tokens(sql, dialect).map_err(|error| MeshError::Syntax(error.to_string()))?;
    let marks = tokens.list().iter().filter(|token| token.kind == TokenKind::Placeholder);
    let mut numbers: Vec<usize> = marks.filter_map(|token| number(tokens.text(token))).collect();
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

fn number(mark: &[u8]) -> Option<usize> {
    std::str::from_utf8(mark.get(1..)?).ok()?.parse::<usize>().ok()?.checked_sub(1)
}

/// The text with its placeholders numbered without gaps: `kept[n]` becomes `$n+1`.
fn renumbered(sql: &[u8], dialect: Dialect, kept: &[usize]) -> Result<Vec<u8>, MeshError> {
    let tokens = lexer::tokens(sql, dialect).map_err(|error| MeshError::Syntax(error.to_string()))?;
    let mut edits = Edits::new();
    for token in tokens.list().iter().filter(|token| token.kind == TokenKind::Placeholder) {
        let place = number(tokens.text(token)).and_then(|old| kept.binary_search(&old).ok());
        let place = place.ok_or_else(|| MeshError::Internal("a parameter without a number".to_owned()))?;
        edits.replace(token.span.range(), format!("${}", place + 1));
    }
    edits.apply(sql).map(|spliced| spliced.text).map_err(|error| MeshError::Internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_rows_left_out_leave_no_gap() {
        let sql = b"insert into t values ($3, $4), ($7, $3)";
        let kept = numbers_left(sql, Dialect::POSTGRES).expect("readable");
        assert_eq!(kept, [2, 3, 6]);
        assert_eq!(
            renumbered(sql, Dialect::POSTGRES, &kept).as_deref(),
            Ok(&b"insert into t values ($1, $2), ($3, $1)"[..])
        );
    }
}
