//! Statements and portals of the extended protocol. A portal keeps its rows, so that a client may fetch them in parts.

use std::collections::HashMap;

use protocol::postgres::Target;
use protocol::postgres::frontend::{Bind, Parse};
use protocol::postgres::write;

use super::{put_columns, put_rows, put_selected};
use crate::admin::rows::AdminRows;
use crate::admin::session::{AdminSession, Answer};
use crate::error_code::MeshError;

/// Statements, and portals, of one session.
const NAMES_MAX: usize = 1000;

/// See the module.
#[derive(Default)]
pub(super) struct Extended {
    statements: HashMap<Vec<u8>, String>,
    portals: HashMap<Vec<u8>, Portal>,
}

struct Portal {
    sql: String,
    formats: Vec<i16>,
    /// Rows not fetched yet begin at the number.
    rows: Option<(AdminRows, usize)>,
}

impl Portal {
    fn format(&self, column: usize) -> i16 {
        match self.formats.as_slice() {
            [] => 0,
            [all] => *all,
            several => several.get(column).copied().unwrap_or(0),
        }
    }
}

impl Extended {
    pub(super) fn parse(
        &mut self,
        out: &mut Vec<u8>,
        session: &AdminSession,
        parse: &Parse<'_>,
    ) -> Result<(), MeshError> {
        if !parse.name.is_empty() && self.statements.contains_key(parse.name) {
            return Err(MeshError::DuplicateStatement(lossy(parse.name)));
        }
        room(self.statements.len())?;
        let sql = lossy(parse.sql);
        session.describe(&sql)?;
        self.statements.insert(parse.name.to_vec(), sql);
        write::bare(out, b'1');
        Ok(())
    }

    pub(super) fn bind(&mut self, out: &mut Vec<u8>, session: &AdminSession, bind: &Bind<'_>) -> Result<(), MeshError> {
        let sql = self.statement(bind.statement)?.to_owned();
        if !bind.values.is_empty() {
            return Err(MeshError::Protocol("admin statements take no parameters".to_owned()));
        }
        let formats: Vec<i16> = bind.result_formats.iter().collect();
        let columns = session.describe(&sql)?.map_or(0, |columns| columns.len());
        let fits = formats.len() <= 1 || formats.len() == columns;
        if !fits || formats.iter().any(|f| !(0..=1).contains(f)) {
            return Err(MeshError::Protocol("result formats do not suit the columns".to_owned()));
        }
        room(self.portals.len())?;
        self.portals.insert(bind.portal.to_vec(), Portal { sql, formats, rows: None });
        write::bare(out, b'2');
        Ok(())
    }

    pub(super) fn describe(
        &self,
        out: &mut Vec<u8>,
        session: &AdminSession,
        target: Target,
        name: &[u8],
    ) -> Result<(), MeshError> {
        let columns = match target {
            Target::Statement => {
                let columns = session.describe(self.statement(name)?)?;
                write::parameter_description(out, &[]);
                columns.map(|columns| (columns, None))
            }
            Target::Portal => {
                let portal = self.portal(name)?;
                session.describe(&portal.sql)?.map(|columns| (columns, Some(portal)))
            }
        };
        match columns {
            Some((columns, portal)) => put_columns(out, &columns, |at| portal.map_or(0, |p| p.format(at))),
            None => write::bare(out, b'n'),
        }
        Ok(())
    }

    pub(super) async fn execute(
        &mut self,
        out: &mut Vec<u8>,
        session: &mut AdminSession,
        name: &[u8],
        rows_max: i32,
    ) -> Result<(), MeshError> {
        let portal = self.portals.get_mut(name).ok_or_else(|| MeshError::UnknownPortal(lossy(name)))?;
        if portal.rows.is_none() {
            let (mut answers, error) = session.run(&portal.sql).await;
            if let Some(error) = error {
                return Err(error);
            }
            match answers.pop() {
                Some(Answer::Rows(rows)) => portal.rows = Some((rows, 0)),
                Some(Answer::Done(tag)) => {
                    write::command_complete(out, tag.as_bytes());
                    return Ok(());
                }
                None => {
                    write::bare(out, b'I');
                    return Ok(());
                }
            }
        }
        let Some((rows, from)) = &portal.rows else { return Ok(()) };
        let all = rows.rows.len();
        let until = match usize::try_from(rows_max) {
            Ok(max) if max > 0 => all.min(from + max),
            _ => all,
        };
        put_rows(out, rows, *from..until, |at| portal.format(at));
        let count = until - from;
        if until < all {
            write::bare(out, b's');
        } else {
            put_selected(out, count);
        }
        if let Some((_, from)) = &mut portal.rows {
            *from = until;
        }
        Ok(())
    }

    /// Closing what does not exist is no error.
    pub(super) fn close(&mut self, out: &mut Vec<u8>, target: Target, name: &[u8]) {
        match target {
            Target::Statement => {
                self.statements.remove(name);
            }
            Target::Portal => {
                self.portals.remove(name);
            }
        }
        write::bare(out, b'3');
    }

    /// The end of a transaction ends its portals.
    pub(super) fn sync(&mut self, in_transaction: bool) {
        if !in_transaction {
            self.portals.clear();
        }
    }

    fn statement(&self, name: &[u8]) -> Result<&str, MeshError> {
        let unknown = || MeshError::UnknownStatement(format!("prepared statement \"{}\" does not exist", lossy(name)));
        self.statements.get(name).map(String::as_str).ok_or_else(unknown)
    }

    fn portal(&self, name: &[u8]) -> Result<&Portal, MeshError> {
        self.portals.get(name).ok_or_else(|| MeshError::UnknownPortal(lossy(name)))
    }
}

fn room(count: usize) -> Result<(), MeshError> {
    match count < NAMES_MAX {
        true => Ok(()),
        false => {
            Err(MeshError::Limit(format!("at most {NAMES_MAX} prepared statements or portals in an admin session")))
        }
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
