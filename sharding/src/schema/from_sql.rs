//! A schema from the text of CREATE TABLE statements, for planning without servers.
//! Out: everything a running process learns from its shards (this is a reading of text, not the server's own).

use std::collections::HashMap;

use sqlparser::ast::{
    ColumnDef, ColumnOption, CreateTable, Expr, GeneratedAs, Ident, ObjectName, ObjectNamePart, Statement,
    TableConstraint, UnaryOperator,
};

use super::column_type::{declared_collation, kind};
use super::{
    Column, DefaultKind, Function, Placement, Protocol, Reaches, Schema, ShardInfo, Sharding, Table, TableName, Takes,
    UniqueKey,
};
use crate::lexer::{Dialect, Limits, ParseError, tokens};
use crate::placement::KeyType;
use crate::schema::ShardIndex;

/// How one table is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableRule {
    /// PostgreSQL's schema; `None` means `public`.
    pub schema: Option<String>,
    /// The table's name as the server has it.
    pub name: String,
    /// Where its rows are.
    pub rows: RowsWhere,
}

/// Where a declared table's rows are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowsWhere {
    /// Spread by a key.
    Sharded {
        /// The key's columns.
        key: Vec<String>,
        /// The placement function.
        function: Function,
        /// See [`Table::unique_per_shard`].
        unique_per_shard: bool,
    },
    /// A copy on every shard.
    Reference,
    /// On one shard.
    Single(ShardIndex),
}

impl Schema {
    /// A schema of the tables that `sql` creates, placed by `rules`; tables without a rule are on the default shard.
    ///
    /// # Errors
    /// Everything that is wrong, at once: text that does not parse, rules for tables or columns that are not there, keys
    /// that cannot be keys.
    pub fn from_sql(
        protocol: Protocol,
        database: &str,
        shards: Vec<ShardInfo>,
        sql: &str,
        rules: &[TableRule],
    ) -> Result<Self, Vec<String>> {
        let mut schema = Self::new(protocol, database, shards, 0);
        let mut faults = Vec::new();
        let dialect = if protocol == Protocol::MySql { Dialect::MYSQL } else { Dialect::POSTGRES };
        let parsed =
            tokens(sql.as_bytes(), dialect).map_err(ParseError::from).and_then(|t| t.parse(&Limits::default()));
        let statements = match parsed {
            Ok(statements) => statements,
            Err(error) => return Err(vec![format!("the schema does not parse: {error}")]),
        };
        let mut tables: HashMap<TableName, Table> = HashMap::new();
        for statement in &statements {
            match statement {
                Statement::CreateTable(create) => {
                    let table = table(protocol, create);
                    tables.insert(table.name.clone(), table);
                }
                Statement::CreateIndex(index) if index.unique => {
                    let name = table_name(protocol, &index.table_name);
                    if let Some(table) = tables.get_mut(&name) {
                        let columns = index.columns.iter().map(|column| &column.column.expr);
                        let partial = index.predicate.is_some();
                        let key = unique_key(protocol, &table.columns, columns, partial);
                        table.unique_keys.push(key);
                    }
                }
                _ => {}
            }
        }
        for rule in rules {
            let name = TableName {
                schema: (protocol == Protocol::Postgres)
                    .then(|| rule.schema.clone().unwrap_or_else(|| "public".to_owned())),
                name: rule.name.clone(),
            };
            match tables.get_mut(&name) {
                None => faults.push(format!("table {name} has a rule, but the schema does not create it")),
                Some(table) => match placement(table, &rule.rows, protocol, schema.shards.len()) {
                    Ok(placement) => {
                        table.placement = placement;
                        table.unique_per_shard = matches!(rule.rows, RowsWhere::Sharded { unique_per_shard: true, .. });
                    }
                    Err(fault) => faults.push(format!("table {name}: {fault}")),
                },
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        tables.into_values().for_each(|table| schema.insert(table));
        Ok(schema)
    }
}

fn placement(table: &Table, rows: &RowsWhere, protocol: Protocol, shards: usize) -> Result<Placement, String> {
    match rows {
        RowsWhere::Reference => Ok(Placement::Reference),
        RowsWhere::Single(shard) if usize::from(*shard) < shards => Ok(Placement::Single(*shard)),
        RowsWhere::Single(shard) => Err(format!("there is no shard number {shard}")),
        RowsWhere::Sharded { key, function, .. } => {
            let mut columns = Vec::new();
            for name in key {
                let name = if protocol == Protocol::MySql { name.to_lowercase() } else { name.clone() };
                let index = table.column(&name).ok_or_else(|| format!("it has no column {name} to be its key"))?;
                let column = table.columns.get(index).ok_or("a key without a column")?;
                KeyType::of(column, protocol).map_err(|reason| format!("{name} cannot be its key: {reason}"))?;
                columns.push(index);
            }
            if columns.is_empty() {
                return Err("its key has no columns".to_owned());
            }
            Ok(Placement::Sharded(Sharding { key: columns, function: *function }))
        }
    }
}

fn identifier(protocol: Protocol, ident: &Ident) -> String {
    match (protocol, ident.quote_style) {
        (Protocol::Postgres, None) => ident.value.to_lowercase(),
        _ => ident.value.clone(),
    }
}

fn column_name(protocol: Protocol, ident: &Ident) -> String {
    match protocol {
        Protocol::MySql => ident.value.to_lowercase(),
        Protocol::Postgres => identifier(protocol, ident),
    }
}

fn table_name(protocol: Protocol, name: &ObjectName) -> TableName {
    let parts: Vec<String> = name
        .0
        .iter()
        .filter_map(|part| match part {
            ObjectNamePart::Identifier(ident) => Some(identifier(protocol, ident)),
            ObjectNamePart::Function(_) => None,
        })
        .collect();
    let plain = parts.last().cloned().unwrap_or_default();
    let named = parts.len().checked_sub(2).and_then(|at| parts.get(at)).cloned();
    let schema = (protocol == Protocol::Postgres).then(|| named.unwrap_or_else(|| "public".to_owned()));
    TableName { schema, name: plain }
}

fn table(protocol: Protocol, create: &CreateTable) -> Table {
    let collation = match protocol {
        Protocol::MySql => {
            Some(declared_collation(&create.table_options).unwrap_or_else(|| "utf8mb4_general_ci".to_owned()))
        }
        Protocol::Postgres => None,
    };
    let mut unique_keys = Vec::new();
    let mut columns: Vec<Column> = Vec::new();
    for definition in &create.columns {
        let (column, unique) = column(protocol, definition, collation.as_deref());
        if unique {
            unique_keys.push(UniqueKey { columns: vec![columns.len()] });
        }
        columns.push(column);
    }
    for constraint in &create.constraints {
        let (list, primary) = match constraint {
            TableConstraint::PrimaryKey(key) => (&key.columns, true),
            TableConstraint::Unique(key) => (&key.columns, false),
            TableConstraint::ForeignKey(_)
            | TableConstraint::Check(_)
            | TableConstraint::Index(_)
            | TableConstraint::FulltextOrSpatial(_)
            | TableConstraint::PrimaryKeyUsingIndex(_)
            | TableConstraint::UniqueUsingIndex(_)
            | TableConstraint::Exclude(_) => continue,
        };
        let key = unique_key(protocol, &columns, list.iter().map(|column| &column.column.expr), false);
        if primary {
            key.columns
                .iter()
                .filter_map(|at| columns.get_mut(*at).map(|column| column.nullable = false))
                .for_each(drop);
            unique_keys.insert(0, key);
        } else {
            unique_keys.push(key);
        }
    }
    Table {
        name: table_name(protocol, &create.name),
        columns,
        placement: Placement::Single(0),
        unique_keys,
        unique_per_shard: false,
        is_view: false,
        reaches: Reaches::Nothing,
    }
}

fn unique_key<'e>(
    protocol: Protocol,
    columns: &[Column],
    list: impl Iterator<Item = &'e Expr>,
    partial: bool,
) -> UniqueKey {
    let found: Option<Vec<usize>> = list
        .map(|expr| match expr {
            Expr::Identifier(ident) => {
                let name = column_name(protocol, ident);
                columns.iter().position(|column| column.name == name)
            }
            _ => None,
        })
        .collect();
    UniqueKey { columns: found.filter(|_| !partial).unwrap_or_default() }
}

/// The column, and whether it is a unique key of its own.
fn column(protocol: Protocol, definition: &ColumnDef, table_collation: Option<&str>) -> (Column, bool) {
    let (kind, serial) = kind(protocol, &definition.data_type);
    let is_text = matches!(kind, super::ColumnKind::Text { .. });
    let mut column = Column {
        name: column_name(protocol, &definition.name),
        kind,
        type_text: definition.data_type.to_string().to_lowercase(),
        collation: table_collation.filter(|_| is_text).map(str::to_owned),
        nullable: !serial,
        default: if serial { DefaultKind::Counter } else { DefaultKind::None },
        on_update: false,
        takes: Takes::Nothing,
    };
    let mut unique = false;
    for option in &definition.options {
        match &option.option {
            ColumnOption::NotNull => column.nullable = false,
            ColumnOption::PrimaryKey(_) => (column.nullable, unique) = (false, true),
            ColumnOption::Unique(_) => unique = true,
            ColumnOption::Default(expr) => {
                column.default = if is_constant(expr) { DefaultKind::Constant } else { DefaultKind::Expression };
            }
            ColumnOption::Generated { generated_as, generation_expr, .. } => {
                column.default = match (generated_as, generation_expr) {
                    (_, Some(_)) | (GeneratedAs::ExpStored, _) => DefaultKind::Generated,
                    (GeneratedAs::Always | GeneratedAs::ByDefault, None) => DefaultKind::Counter,
                };
            }
            ColumnOption::OnUpdate(_) => column.on_update = true,
            ColumnOption::Collation(name) => column.collation = Some(name.to_string().to_lowercase()),
            ColumnOption::DialectSpecific(words) => {
                if words.iter().any(|word| word.to_string().eq_ignore_ascii_case("auto_increment")) {
                    column.default = DefaultKind::Counter;
                }
            }
            ColumnOption::Null
            | ColumnOption::Materialized(_)
            | ColumnOption::Ephemeral(_)
            | ColumnOption::Alias(_)
            | ColumnOption::ForeignKey(_)
            | ColumnOption::Check(_)
            | ColumnOption::CharacterSet(_)
            | ColumnOption::Comment(_)
            | ColumnOption::Options(_)
            | ColumnOption::GenericOptions(_)
            | ColumnOption::Identity(_)
            | ColumnOption::OnConflict(_)
            | ColumnOption::Policy(_)
            | ColumnOption::Tags(_)
            | ColumnOption::Srid(_)
            | ColumnOption::Invisible => {}
        }
    }
    (column, unique)
}

fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) => true,
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => is_constant(inner),
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => is_constant(expr),
        _ => false,
    }
}
