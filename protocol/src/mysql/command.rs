//! Commands that a client may send: which they are and where their fields lie.
//! Out: doing them.

use super::wire::{Reader, WireError};

/// Command bytes.
pub mod code {
    /// COM_QUIT.
    pub const QUIT: u8 = 0x01;
    /// COM_INIT_DB.
    pub const INIT_DB: u8 = 0x02;
    /// COM_QUERY.
    pub const QUERY: u8 = 0x03;
    /// COM_FIELD_LIST.
    pub const FIELD_LIST: u8 = 0x04;
    /// COM_STATISTICS.
    pub const STATISTICS: u8 = 0x09;
    /// COM_PROCESS_KILL.
    pub const PROCESS_KILL: u8 = 0x0c;
    /// COM_PING.
    pub const PING: u8 = 0x0e;
    /// COM_CHANGE_USER.
    pub const CHANGE_USER: u8 = 0x11;
    /// COM_STMT_PREPARE.
    pub const STATEMENT_PREPARE: u8 = 0x16;
    /// COM_STMT_EXECUTE.
    pub const STATEMENT_EXECUTE: u8 = 0x17;
    /// COM_STMT_SEND_LONG_DATA.
    pub const STATEMENT_LONG_DATA: u8 = 0x18;
    /// COM_STMT_CLOSE.
    pub const STATEMENT_CLOSE: u8 = 0x19;
    /// COM_STMT_RESET.
    pub const STATEMENT_RESET: u8 = 0x1a;
    /// COM_SET_OPTION.
    pub const SET_OPTION: u8 = 0x1b;
    /// COM_STMT_FETCH.
    pub const STATEMENT_FETCH: u8 = 0x1c;
    /// COM_RESET_CONNECTION.
    pub const RESET_CONNECTION: u8 = 0x1f;
    /// COM_STMT_BULK_EXECUTE (MariaDB).
    pub const STATEMENT_BULK_EXECUTE: u8 = 0xfa;
}

/// A command of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command<'a> {
    /// The client leaves.
    Quit,
    /// Change the current schema.
    InitDb(&'a [u8]),
    /// SQL text, possibly of several statements.
    Query(&'a [u8]),
    /// Columns of a table.
    FieldList {
        /// Table name.
        table: &'a [u8],
        /// LIKE pattern for columns.
        wildcard: &'a [u8],
    },
    /// A line of statistics.
    Statistics,
    /// Kill a connection.
    ProcessKill(u32),
    /// Are you there?
    Ping,
    /// Log in anew; see [`super::login::Login::decode_change_user`].
    ChangeUser(&'a [u8]),
    /// Prepare a statement.
    StatementPrepare(&'a [u8]),
    /// Run a prepared statement; see [`super::execute::Execute`].
    StatementExecute {
        /// Statement id.
        statement: u32,
        /// The payload behind the command byte.
        body: &'a [u8],
    },
    /// A piece of a parameter's value. Has no answer.
    StatementLongData {
        /// Statement id.
        statement: u32,
        /// Parameter number.
        parameter: u16,
        /// The piece.
        data: &'a [u8],
    },
    /// Forget a statement. Has no answer.
    StatementClose(u32),
    /// Drop long data and cursor of a statement.
    StatementReset(u32),
    /// Switch multi-statements on (0) or off (1).
    SetOption(u16),
    /// More rows of a cursor.
    StatementFetch {
        /// Statement id.
        statement: u32,
        /// How many rows.
        rows: u32,
    },
    /// Reset the session without a new login.
    ResetConnection,
    /// Run a prepared statement for many rows of parameters (MariaDB).
    StatementBulkExecute {
        /// Statement id.
        statement: u32,
        /// The payload behind the command byte.
        body: &'a [u8],
    },
    /// Anything else: error 1047.
    Unknown(u8),
}

impl<'a> Command<'a> {
    /// Reads the payload of a command packet.
    ///
    /// # Errors
    /// An empty packet, or a field beyond the end.
    pub fn decode(payload: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload);
        let code = reader.u8()?;
        let rest = reader.rest();
        Ok(match code {
            code::QUIT => Self::Quit,
            code::INIT_DB => Self::InitDb(rest),
            code::QUERY => Self::Query(rest),
            code::FIELD_LIST => Self::FieldList { table: reader.null_terminated()?, wildcard: reader.rest() },
            code::STATISTICS => Self::Statistics,
            code::PROCESS_KILL => Self::ProcessKill(reader.u32()?),
            code::PING => Self::Ping,
            code::CHANGE_USER => Self::ChangeUser(rest),
            code::STATEMENT_PREPARE => Self::StatementPrepare(rest),
            code::STATEMENT_EXECUTE => Self::StatementExecute { statement: reader.u32()?, body: rest },
            code::STATEMENT_LONG_DATA => {
                Self::StatementLongData { statement: reader.u32()?, parameter: reader.u16()?, data: reader.rest() }
            }
            code::STATEMENT_CLOSE => Self::StatementClose(reader.u32()?),
            code::STATEMENT_RESET => Self::StatementReset(reader.u32()?),
            code::SET_OPTION => Self::SetOption(reader.u16()?),
            code::STATEMENT_FETCH => Self::StatementFetch { statement: reader.u32()?, rows: reader.u32()? },
            code::RESET_CONNECTION => Self::ResetConnection,
            code::STATEMENT_BULK_EXECUTE => Self::StatementBulkExecute { statement: reader.u32()?, body: rest },
            other => Self::Unknown(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_recognised() {
        let cases: &[(&[u8], Command<'_>)] = &[
            (b"\x01", Command::Quit),
            (b"\x02shop", Command::InitDb(b"shop")),
            (b"\x03SELECT 1", Command::Query(b"SELECT 1")),
            (b"\x04t\0%", Command::FieldList { table: b"t", wildcard: b"%" }),
            (b"\x09", Command::Statistics),
            (b"\x0c\x05\0\0\0", Command::ProcessKill(5)),
            (b"\x0e", Command::Ping),
            (b"\x16SELECT ?", Command::StatementPrepare(b"SELECT ?")),
            (b"\x17\x01\0\0\0\0", Command::StatementExecute { statement: 1, body: b"\x01\0\0\0\0" }),
            (b"\x18\x01\0\0\0\x02\0xyz", Command::StatementLongData { statement: 1, parameter: 2, data: b"xyz" }),
            (b"\x19\x09\0\0\0", Command::StatementClose(9)),
            (b"\x1a\x09\0\0\0", Command::StatementReset(9)),
            (b"\x1b\x01\0", Command::SetOption(1)),
            (b"\x1c\x01\0\0\0\x0a\0\0\0", Command::StatementFetch { statement: 1, rows: 10 }),
            (b"\x1f", Command::ResetConnection),
            (b"\xfa\x01\0\0\0", Command::StatementBulkExecute { statement: 1, body: b"\x01\0\0\0" }),
            (b"\xee", Command::Unknown(0xee)),
        ];
        for (wire, expected) in cases {
            assert_eq!(Command::decode(wire), Ok(*expected));
        }
    }

    #[test]
    fn truncated_commands_are_errors() {
        for wire in
            [&b""[..], b"\x04t", b"\x0c\x01", b"\x17\x01", b"\x18\x01\0\0\0\x01", b"\x19", b"\x1b", b"\x1c\0\0\0\0"]
        {
            assert_eq!(Command::decode(wire), Err(WireError::Truncated), "{wire:?}");
        }
    }
}
