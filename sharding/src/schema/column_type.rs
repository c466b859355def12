//! The kinds of declared column types. Out: rules and placement.

use sqlparser::ast::{
    BinaryLength, CharacterLength, CreateTableOptions, DataType, ExactNumberInfo, SqlOption, TimezoneInfo,
};

use super::{ColumnKind, Protocol};

/// The kind of a declared type, and whether it comes with a counter (PostgreSQL's serial).
pub(super) fn kind(protocol: Protocol, data_type: &DataType) -> (ColumnKind, bool) {
    let mysql = protocol == Protocol::MySql;
    let int = |bytes| ColumnKind::Int { bytes, unsigned: false };
    let unsigned = |bytes| ColumnKind::Int { bytes, unsigned: true };
    let kind = match data_type {
        DataType::TinyInt(_) => int(1),
        DataType::SmallInt(_) | DataType::Int2(_) => int(2),
        DataType::MediumInt(_) => int(3),
        DataType::Int(_) | DataType::Integer(_) | DataType::Int4(_) => int(4),
        DataType::BigInt(_) | DataType::Int8(_) => int(8),
        DataType::TinyIntUnsigned(_) => unsigned(1),
        DataType::SmallIntUnsigned(_) | DataType::Int2Unsigned(_) => unsigned(2),
        DataType::MediumIntUnsigned(_) => unsigned(3),
        DataType::IntUnsigned(_) | DataType::IntegerUnsigned(_) | DataType::Int4Unsigned(_) => unsigned(4),
        DataType::BigIntUnsigned(_) | DataType::Int8Unsigned(_) => unsigned(8),
        DataType::Bool | DataType::Boolean if mysql => int(1),
        DataType::Bool | DataType::Boolean => ColumnKind::Bool,
        DataType::Decimal(info)
        | DataType::DecimalUnsigned(info)
        | DataType::Numeric(info)
        | DataType::Dec(info)
        | DataType::DecUnsigned(info) => decimal(info, mysql),
        DataType::Real if !mysql => ColumnKind::Float { bytes: 4 },
        DataType::Float4 => ColumnKind::Float { bytes: 4 },
        DataType::Float(ExactNumberInfo::None) if !mysql => ColumnKind::Float { bytes: 8 },
        DataType::Float(_) | DataType::FloatUnsigned(_) => ColumnKind::Float { bytes: 4 },
        DataType::Real
        | DataType::Float8
        | DataType::Double(_)
        | DataType::DoubleUnsigned(_)
        | DataType::DoublePrecision => ColumnKind::Float { bytes: 8 },
        DataType::Char(length) | DataType::Character(length) => text(true, *length),
        DataType::Varchar(length)
        | DataType::CharVarying(length)
        | DataType::CharacterVarying(length)
        | DataType::Nvarchar(length) => text(false, *length),
        DataType::Text | DataType::TinyText | DataType::MediumText | DataType::LongText => text(false, None),
        DataType::Binary(length) => ColumnKind::Bytes { fixed: true, length: Some(narrow(length.unwrap_or(1))) },
        DataType::Varbinary(length) => ColumnKind::Bytes {
            fixed: false,
            length: match length {
                Some(BinaryLength::IntegerLength { length }) => Some(narrow(*length)),
                Some(BinaryLength::Max) | None => None,
            },
        },
        DataType::Blob(_) | DataType::TinyBlob | DataType::MediumBlob | DataType::LongBlob | DataType::Bytea => {
            ColumnKind::Bytes { fixed: false, length: None }
        }
        DataType::Date => ColumnKind::Date,
        DataType::Time(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => ColumnKind::Time,
        DataType::Datetime(fraction) => ColumnKind::DateTime { fraction: fraction_digits(*fraction, 0) },
        DataType::Timestamp(_, _) if mysql => ColumnKind::Timestamp,
        DataType::Timestamp(fraction, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            ColumnKind::DateTime { fraction: fraction_digits(*fraction, 6) }
        }
        DataType::Timestamp(..) => ColumnKind::Timestamp,
        DataType::Uuid => ColumnKind::Uuid,
        DataType::Custom(name, _) => return custom(&name.to_string().to_lowercase(), mysql),
        _ => ColumnKind::Other,
    };
    (kind, false)
}

fn custom(name: &str, mysql: bool) -> (ColumnKind, bool) {
    let int = |bytes| ColumnKind::Int { bytes, unsigned: false };
    match name {
        "serial" | "serial4" if !mysql => (int(4), true),
        "bigserial" | "serial8" if !mysql => (int(8), true),
        "smallserial" | "serial2" if !mysql => (int(2), true),
        "timestamptz" if !mysql => (ColumnKind::Timestamp, false),
        "serial" => (ColumnKind::Int { bytes: 8, unsigned: true }, true),
        "year" if mysql => (ColumnKind::Year, false),
        _ => (ColumnKind::Other, false),
    }
}

fn narrow(length: u64) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn fraction_digits(declared: Option<u64>, otherwise: u8) -> u8 {
    declared.map_or(otherwise, |digits| u8::try_from(digits.min(6)).unwrap_or(6))
}

fn text(fixed: bool, length: Option<CharacterLength>) -> ColumnKind {
    let length = match length {
        Some(CharacterLength::IntegerLength { length, .. }) => Some(narrow(length)),
        Some(CharacterLength::Max) | None => fixed.then_some(1),
    };
    ColumnKind::Text { fixed, length }
}

fn decimal(info: &ExactNumberInfo, mysql: bool) -> ColumnKind {
    let (precision, scale) = match info {
        ExactNumberInfo::None if mysql => (10, Some(0)),
        ExactNumberInfo::None => (0, None),
        ExactNumberInfo::Precision(precision) => (narrow(*precision), Some(0)),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (narrow(*precision), u16::try_from(*scale).ok()),
    };
    ColumnKind::Decimal { precision, scale }
}

/// The collation that a MySQL table's options give its columns.
pub(super) fn declared_collation(options: &CreateTableOptions) -> Option<String> {
    let list = match options {
        CreateTableOptions::Plain(list)
        | CreateTableOptions::With(list)
        | CreateTableOptions::Options(list)
        | CreateTableOptions::TableProperties(list) => list,
        CreateTableOptions::None => return None,
    };
    list.iter().find_map(|option| match option {
        SqlOption::KeyValue { key, value } if key.to_string().to_uppercase().ends_with("COLLATE") => {
            Some(value.to_string().trim_matches(['\'', '"']).to_lowercase())
        }
        _ => None,
    })
}
