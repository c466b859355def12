//! Collation ids of the handshake, as names for SET, and the character sets that cannot be lexed safely.
//! Out: collations of columns.

/// What a client's collation id asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// This character set and collation.
    Known(&'static str, &'static str),
    /// The server's own default: it does not know the id, or a client cannot use it.
    ServerDefault,
    /// A trailing byte of a character can be a quote or a backslash: refused.
    Unsafe(&'static str),
}

/// Character sets in which a byte of a character can look like a quote or a backslash.
const UNSAFE: [&str; 5] = ["big5", "sjis", "gbk", "cp932", "gb18030"];

/// Whether statements in this character set can be read byte by byte.
#[must_use]
pub fn is_safe(character_set: &str) -> bool {
    !UNSAFE.contains(&character_set)
}

/// The names behind a collation id. `mariadb`: ids of MySQL 8 that MariaDB does not know are its default.
#[must_use]
pub fn wanted(id: u16, mariadb: bool) -> Wanted {
    let (character_set, collation) = match id {
        1 => ("big5", "big5_chinese_ci"),
        2 => ("latin2", "latin2_czech_cs"),
        5 => ("latin1", "latin1_german1_ci"),
        7 => ("koi8r", "koi8r_general_ci"),
        8 => ("latin1", "latin1_swedish_ci"),
        9 => ("latin2", "latin2_general_ci"),
        11 => ("ascii", "ascii_general_ci"),
        12 => ("ujis", "ujis_japanese_ci"),
        13 => ("sjis", "sjis_japanese_ci"),
        15 => ("latin1", "latin1_danish_ci"),
        16 => ("hebrew", "hebrew_general_ci"),
        18 => ("tis620", "tis620_thai_ci"),
        19 => ("euckr", "euckr_korean_ci"),
        22 => ("koi8u", "koi8u_general_ci"),
        24 => ("gb2312", "gb2312_chinese_ci"),
        25 => ("greek", "greek_general_ci"),
        26 => ("cp1250", "cp1250_general_ci"),
        28 => ("gbk", "gbk_chinese_ci"),
        30 => ("latin5", "latin5_turkish_ci"),
        31 => ("latin1", "latin1_german2_ci"),
        33 => ("utf8", "utf8_general_ci"),
        36 => ("cp866", "cp866_general_ci"),
        40 => ("cp852", "cp852_general_ci"),
        41 => ("latin7", "latin7_general_ci"),
        45 => ("utf8mb4", "utf8mb4_general_ci"),
        46 => ("utf8mb4", "utf8mb4_bin"),
        47 => ("latin1", "latin1_bin"),
        48 => ("latin1", "latin1_general_ci"),
        49 => ("latin1", "latin1_general_cs"),
        51 => ("cp1251", "cp1251_general_ci"),
        57 => ("cp1256", "cp1256_general_ci"),
        59 => ("cp1257", "cp1257_general_ci"),
        63 => ("binary", "binary"),
        65 => ("ascii", "ascii_bin"),
        83 => ("utf8", "utf8_bin"),
        87 => ("gbk", "gbk_bin"),
        95 => ("cp932", "cp932_japanese_ci"),
        96 => ("cp932", "cp932_bin"),
        97 => ("eucjpms", "eucjpms_japanese_ci"),
        192 => ("utf8", "utf8_unicode_ci"),
        224 => ("utf8mb4", "utf8mb4_unicode_ci"),
        246 => ("utf8mb4", "utf8mb4_unicode_520_ci"),
        248..=250 if !mariadb => ("gb18030", "gb18030_chinese_ci"),
        255 if !mariadb => ("utf8mb4", "utf8mb4_0900_ai_ci"),
        _ => return Wanted::ServerDefault,
    };
    if is_safe(character_set) { Wanted::Known(character_set, collation) } else { Wanted::Unsafe(character_set) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_ids_and_refused_ones() {
        assert_eq!(wanted(45, true), Wanted::Known("utf8mb4", "utf8mb4_general_ci"));
        assert_eq!(wanted(255, true), Wanted::ServerDefault);
        assert_eq!(wanted(255, false), Wanted::Known("utf8mb4", "utf8mb4_0900_ai_ci"));
        assert_eq!(wanted(28, true), Wanted::Unsafe("gbk"));
        assert!(!is_safe("sjis") && is_safe("latin1"));
    }
}
