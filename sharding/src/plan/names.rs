//! What a table name in a statement stands for, and which words of a text name tables that no single shard holds.
//! Out: columns, aliases.

use std::sync::Arc;

use sqlparser::ast::{Ident, ObjectName, ObjectNamePart};

use super::refusal::Refusal;
use super::source::Source;
use crate::schema::{Placement, Protocol, Reaches, Schema, ShardIndex, Table, TableName};

/// What a table name stands for.
#[derive(Clone, Debug)]
pub(super) enum Named {
    /// A table of the schema.
    Table(Arc<Table>),
    /// A table of the server's catalog, asked on the default shard.
    Catalog,
    /// A temporary table of the session.
    Temporary(ShardIndex),
    /// Nothing known: the default shard will say.
    Unknown,
}

/// The identifiers of a name; `None` if a part is not one.
pub(super) fn idents(name: &ObjectName) -> Option<Vec<&Ident>> {
    name.0
        .iter()
        .map(|part| match part {
            ObjectNamePart::Identifier(ident) => Some(ident),
            ObjectNamePart::Function(_) => None,
        })
        .collect()
}

/// Where a name starts.
pub(super) fn start(name: &ObjectName) -> Option<sqlparser::tokenizer::Span> {
    idents(name)?.first().map(|ident| ident.span)
}

impl Source<'_> {
    /// What a name stands for, and the identifier of the logical database if the name has it.
    pub fn named<'n>(&self, name: &'n ObjectName) -> Result<(Named, Option<&'n Ident>), Refusal> {
        let parts = idents(name).ok_or_else(|| Refusal::unsupported("a table name made by a function"))?;
        let schema = self.schema;
        match (schema.protocol, parts.as_slice()) {
            (_, [table]) => Ok((self.unqualified(table), None)),
            (Protocol::MySql, [database, table]) => {
                if self.is_own_database(database) {
                    let name = self.table_name(table);
                    if let Some(own) = self.context.temporary.iter().find(|own| own.name == name) {
                        return Ok((Named::Temporary(own.shard), Some(database)));
                    }
                    return Ok((self.in_schema(None, table), Some(database)));
                }
                self.other_database(&database.value)
            }
            (Protocol::Postgres, [in_schema, table]) => Ok((self.in_named_schema(in_schema, table), None)),
            (Protocol::Postgres, [database, in_schema, table]) => {
                if self.is_own_database(database) {
                    return Ok((self.in_named_schema(in_schema, table), Some(database)));
                }
                self.other_database(&database.value)
            }
            _ => Err(Refusal::unsupported("a table name of so many parts")),
        }
    }

    pub fn is_own_database(&self, ident: &Ident) -> bool {
        self.is_database_name(&self.table_name(ident))
    }

    /// True if this is the name of the logical database.
    pub fn is_database_name(&self, name: &str) -> bool {
        name == self.schema.database
            || (self.schema.names_fold && name.to_lowercase() == self.schema.database.to_lowercase())
    }

    fn other_database<'n>(&self, name: &str) -> Result<(Named, Option<&'n Ident>), Refusal> {
        const CATALOGS: [&str; 4] = ["information_schema", "mysql", "performance_schema", "sys"];
        if CATALOGS.contains(&name.to_lowercase().as_str()) || self.schema.shards.len() == 1 {
            return Ok((Named::Catalog, None));
        }
        Err(Refusal::unsupported(format!("tables of another database ({name}) in a sharded one")))
    }

    fn in_named_schema(&self, in_schema: &Ident, table: &Ident) -> Named {
        let in_schema = self.table_name(in_schema);
        if ["pg_catalog", "information_schema", "pg_toast"].contains(&in_schema.as_str()) {
            return Named::Catalog;
        }
        self.in_schema(Some(in_schema), table)
    }

    fn unqualified(&self, table: &Ident) -> Named {
        let name = self.table_name(table);
        if let Some(own) = self.context.temporary.iter().find(|own| own.name == name) {
            return Named::Temporary(own.shard);
        }
        if self.mysql() {
            // Where another schema is current, the default shard knows its tables, or says that there is none (1046).
            return if self.context.search_path.is_empty() { self.in_schema(None, table) } else { Named::Catalog };
        }
        // pg_catalog is searched before everything else.
        if name.starts_with("pg_") {
            return Named::Catalog;
        }
        let public = ["public".to_owned()];
        let path = if self.context.search_path.is_empty() { &public } else { self.context.search_path };
        for in_schema in path {
            if ["pg_catalog", "information_schema"].contains(&in_schema.as_str()) {
                continue;
            }
            if let found @ Named::Table(_) = self.in_schema(Some(in_schema.clone()), table) {
                return found;
            }
        }
        Named::Unknown
    }

    fn in_schema(&self, in_schema: Option<String>, table: &Ident) -> Named {
        let name = TableName { schema: in_schema, name: self.table_name(table) };
        self.schema.table(&name).map_or(Named::Unknown, |table| Named::Table(Arc::clone(table)))
    }
}

impl Schema {
    /// True if using this name, or one that differs in case, may touch rows of more than one shard.
    pub(super) fn is_guarded(&self, name: &str) -> bool {
        self.namesakes(name).any(|table| self.table_is_guarded(table, 0))
    }

    fn table_is_guarded(&self, table: &Table, depth: usize) -> bool {
        match table.placement {
            Placement::Sharded(_) | Placement::Reference | Placement::Ambiguous(_) | Placement::Unusable(_) => true,
            Placement::Single(_) => table.is_view && self.reach_is_guarded(&table.reaches, depth),
        }
    }

    /// True if what an object touches unseen may be on more than one shard.
    pub(super) fn reach_is_guarded(&self, reaches: &Reaches, depth: usize) -> bool {
        match reaches {
            Reaches::Nothing => false,
            Reaches::Unknown => self.is_split(),
            // Views of views of views: at some depth it is a circle or a joke.
            Reaches::Tables(_) if depth > 16 => true,
            Reaches::Tables(names) => {
                names.iter().any(|name| self.table(name).is_some_and(|table| self.table_is_guarded(table, depth + 1)))
            }
        }
    }

    /// The names of shards, for messages.
    pub(super) fn shard_names(&self, shards: &[ShardIndex]) -> String {
        let names = shards.iter().map(|shard| self.shard_name(*shard));
        names.collect::<Vec<_>>().join(", ")
    }

    /// The configured name of a shard.
    #[must_use]
    pub fn shard_name(&self, shard: ShardIndex) -> &str {
        self.shards.get(usize::from(shard)).map_or("?", |info| info.name.as_str())
    }
}
