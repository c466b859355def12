//! Small typed results, the same for both protocols.

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// Text: VARCHAR, text.
    Text,
    /// 64-bit integer: BIGINT, int8.
    Integer,
}

/// A column; names are lower case and stay the same from version to version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its label.
    pub name: String,
    /// What it holds.
    pub kind: ColumnKind,
}

impl Column {
    /// A column of text.
    pub fn text(name: &str) -> Self {
        Self { name: name.to_owned(), kind: ColumnKind::Text }
    }

    /// A column of integers.
    pub fn integer(name: &str) -> Self {
        Self { name: name.to_owned(), kind: ColumnKind::Integer }
    }
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// NULL.
    Null,
    /// In a column of either kind of text.
    Text(String),
    /// In a column of integers.
    Integer(i64),
}

impl Value {
    /// The text form that both protocols send; `None` for NULL.
    pub fn to_text(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Text(text) => Some(text.clone()),
            Self::Integer(number) => Some(number.to_string()),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Null, Self::Text)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Integer(i64::from(number))
    }
}

/// A result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminRows {
    /// Its columns, at least one.
    pub columns: Vec<Column>,
    /// Its rows, each as long as `columns`.
    pub rows: Vec<Vec<Value>>,
}

impl AdminRows {
    /// No rows yet.
    pub fn new(columns: Vec<Column>) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn push<const N: usize>(&mut self, row: [Value; N]) {
        debug_assert_eq!(N, self.columns.len());
        self.rows.push(row.into());
    }

    /// One column of text, a row per line.
    pub fn lines(column: &str, lines: impl IntoIterator<Item = String>) -> Self {
        let rows = lines.into_iter().map(|line| vec![Value::Text(line)]).collect();
        Self { columns: vec![Column::text(column)], rows }
    }
}
