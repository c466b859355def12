//! Columns of MySQL and MariaDB: `information_schema.columns` to [`Column`]. Pure. Out: queries.

use sharding::schema::{Column, ColumnKind, DefaultKind, Takes};

/// One row of `information_schema.columns`.
#[derive(Debug, Default)]
pub(super) struct RawColumn {
    pub name: String,
    pub data_type: String,
    pub column_type: String,
    pub length: Option<String>,
    pub precision: Option<String>,
    pub scale: Option<String>,
    pub fraction: Option<String>,
    pub collation: Option<String>,
    pub nullable: bool,
    pub default: Option<String>,
    pub extra: String,
}

/// The column, as the planner sees it.
pub(super) fn column(raw: RawColumn, mariadb: bool) -> Column {
    let kind = kind(&raw);
    let extra = raw.extra.to_ascii_lowercase();
    Column {
        name: raw.name,
        kind,
        type_text: raw.column_type,
        collation: raw.collation.map(|name| name.to_ascii_lowercase()),
        nullable: raw.nullable,
        default: default(raw.default.as_deref(), &extra, mariadb),
        takes: Takes::Nothing,
        on_update: extra.contains("on update"),
    }
}

fn kind(raw: &RawColumn) -> ColumnKind {
    let unsigned = raw.column_type.to_ascii_lowercase().contains("unsigned");
    let int = |bytes| ColumnKind::Int { bytes, unsigned };
    let length = raw.length.as_deref().and_then(|length| length.parse().ok());
    match raw.data_type.to_ascii_lowercase().as_str() {
        "tinyint" => int(1),
        "smallint" => int(2),
        "mediumint" => int(3),
        "int" | "integer" => int(4),
        "bigint" => int(8),
        "year" => ColumnKind::Year,
        "decimal" | "numeric" => {
            let number = |text: Option<&str>| text.and_then(|text| text.parse::<u16>().ok());
            match (number(raw.precision.as_deref()), number(raw.scale.as_deref())) {
                (Some(precision), Some(scale)) => {
                    ColumnKind::Decimal { precision: u32::from(precision), scale: Some(scale) }
                }
                _ => ColumnKind::Other,
            }
        }
        "float" => ColumnKind::Float { bytes: 4 },
        "double" | "real" => ColumnKind::Float { bytes: 8 },
        "char" => ColumnKind::Text { fixed: true, length },
        "varchar" => ColumnKind::Text { fixed: false, length },
        // Their length is a number of bytes, not of characters.
        "tinytext" | "text" | "mediumtext" | "longtext" => ColumnKind::Text { fixed: false, length: None },
        "binary" => ColumnKind::Bytes { fixed: true, length },
        "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => ColumnKind::Bytes { fixed: false, length },
        "date" => ColumnKind::Date,
        "time" => ColumnKind::Time,
        "datetime" => match raw.fraction.as_deref().unwrap_or("0").parse() {
            Ok(fraction) => ColumnKind::DateTime { fraction },
            Err(_) => ColumnKind::Other,
        },
        "timestamp" => ColumnKind::Timestamp,
        // MariaDB sorts uuid and inet6 by rules of its own; ENUM and SET have two orders; BIT has none in text.
        _ => ColumnKind::Other,
    }
}

/// MariaDB writes defaults as SQL; MySQL writes a literal's value and marks expressions.
fn default(text: Option<&str>, extra: &str, mariadb: bool) -> DefaultKind {
    if extra.contains("auto_increment") {
        return DefaultKind::Counter;
    }
    if extra.contains("generated") && !extra.contains("default_generated") {
        return DefaultKind::Generated;
    }
    let Some(text) = text else { return DefaultKind::None };
    let lower = text.to_ascii_lowercase();
    if lower.contains("nextval(") || lower.contains("next value for") {
        return DefaultKind::Counter;
    }
    if mariadb {
        let literal = |c: char| c == '\'' || c == '-' || c.is_ascii_digit();
        return match lower.as_str() {
            "null" => DefaultKind::None,
            _ if lower.starts_with("b'") || lower.starts_with("x'") => DefaultKind::Constant,
            _ if lower.starts_with(literal) && !lower.contains('(') => DefaultKind::Constant,
            _ if lower.starts_with('\'') && is_one_string(&lower) => DefaultKind::Constant,
            _ => DefaultKind::Expression,
        };
    }
    if extra.contains("default_generated") || lower.starts_with("current_timestamp") {
        DefaultKind::Expression
    } else {
        DefaultKind::Constant
    }
}

/// True if the text is one quoted string and nothing after it.
fn is_one_string(text: &str) -> bool {
    let Some(inside) = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) else { return false };
    !inside.replace("''", "").replace("\\'", "").contains('\'')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(data_type: &str, column_type: &str) -> RawColumn {
        RawColumn { data_type: data_type.into(), column_type: column_type.into(), ..RawColumn::default() }
    }

    #[test]
    fn types_as_mariadb_names_them() {
        let some = |text: &str| Some(text.to_owned());
        let kind_of = |raw: RawColumn| kind(&raw);
        assert_eq!(kind_of(raw("bigint", "bigint(20) unsigned")), ColumnKind::Int { bytes: 8, unsigned: true });
        assert_eq!(kind_of(raw("int", "int(11)")), ColumnKind::Int { bytes: 4, unsigned: false });
        let decimal = RawColumn { precision: some("10"), scale: some("2"), ..raw("decimal", "decimal(10,2)") };
        assert_eq!(kind_of(decimal), ColumnKind::Decimal { precision: 10, scale: Some(2) });
        let datetime = RawColumn { fraction: some("6"), ..raw("datetime", "datetime(6)") };
        assert_eq!(kind_of(datetime), ColumnKind::DateTime { fraction: 6 });
        let varchar = RawColumn { length: some("20"), ..raw("varchar", "varchar(20)") };
        assert_eq!(kind_of(varchar), ColumnKind::Text { fixed: false, length: Some(20) });
        let longtext = RawColumn { length: some("4294967295"), ..raw("longtext", "longtext") };
        assert_eq!(kind_of(longtext), ColumnKind::Text { fixed: false, length: None });
        for other in ["uuid", "enum", "set", "bit", "json", "geometry", "inet6", "vector"] {
            assert_eq!(kind_of(raw(other, other)), ColumnKind::Other, "{other}");
        }
    }

    #[test]
    fn defaults_of_mariadb_are_sql() {
        let of = |text: &str| default(Some(text), "", true);
        for constant in ["5", "-1", "1.50", "'x'", "'NULL'", "b'101'", "'it''s (1)'"] {
            assert_eq!(of(constant), DefaultKind::Constant, "{constant}");
        }
        for expression in ["current_timestamp(6)", "uuid()", "'a' + rand()", "(1 + 2)", "concat('a',uuid())"] {
            assert_eq!(of(expression), DefaultKind::Expression, "{expression}");
        }
        assert_eq!(of("NULL"), DefaultKind::None);
        assert_eq!(of("nextval(`shop`.`s`)"), DefaultKind::Counter);
        assert_eq!(default(None, "auto_increment", true), DefaultKind::Counter);
        assert_eq!(default(None, "virtual generated", true), DefaultKind::Generated);
    }

    #[test]
    fn defaults_of_mysql_are_values() {
        assert_eq!(default(Some("uuid"), "", false), DefaultKind::Constant);
        assert_eq!(default(Some("uuid()"), "default_generated", false), DefaultKind::Expression);
        assert_eq!(default(Some("CURRENT_TIMESTAMP"), "default_generated", false), DefaultKind::Expression);
        assert_eq!(default(Some("CURRENT_TIMESTAMP"), "", false), DefaultKind::Expression);
        assert_eq!(default(None, "stored generated", false), DefaultKind::Generated);
    }
}
