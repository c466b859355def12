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
        3 => ("dec8", "dec8_swedish_ci"),
        4 => ("cp850", "cp850_general_ci"),
        5 => ("latin1", "latin1_german1_ci"),
        6 => ("hp8", "hp8_english_ci"),
        7 => ("koi8r", "koi8r_general_ci"),
        8 => ("latin1", "latin1_swedish_ci"),
        9 => ("latin2", "latin2_general_ci"),
        10 => ("swe7", "swe7_swedish_ci"),
        11 => ("ascii", "ascii_general_ci"),
        12 => ("ujis", "ujis_japanese_ci"),
        13 => ("sjis", "sjis_japanese_ci"),
        14 => ("cp1251", "cp1251_bulgarian_ci"),
        15 => ("latin1", "latin1_danish_ci"),
        16 => ("hebrew", "hebrew_general_ci"),
        18 => ("tis620", "tis620_thai_ci"),
        19 => ("euckr", "euckr_korean_ci"),
        20 => ("latin7", "latin7_estonian_cs"),
        21 => ("latin2", "latin2_hungarian_ci"),
        22 => ("koi8u", "koi8u_general_ci"),
        23 => ("cp1251", "cp1251_ukrainian_ci"),
        24 => ("gb2312", "gb2312_chinese_ci"),
        25 => ("greek", "greek_general_ci"),
        26 => ("cp1250", "cp1250_general_ci"),
        27 => ("latin2", "latin2_croatian_ci"),
        28 => ("gbk", "gbk_chinese_ci"),
        29 => ("cp1257", "cp1257_lithuanian_ci"),
        30 => ("latin5", "latin5_turkish_ci"),
        31 => ("latin1", "latin1_german2_ci"),
        32 => ("armscii8", "armscii8_general_ci"),
        33 => ("utf8", "utf8_general_ci"),
        34 => ("cp1250", "cp1250_czech_cs"),
        36 => ("cp866", "cp866_general_ci"),
        37 => ("keybcs2", "keybcs2_general_ci"),
        38 => ("macce", "macce_general_ci"),
        39 => ("macroman", "macroman_general_ci"),
        40 => ("cp852", "cp852_general_ci"),
        41 => ("latin7", "latin7_general_ci"),
        42 => ("latin7", "latin7_general_cs"),
        43 => ("macce", "macce_bin"),
        44 => ("cp1250", "cp1250_croatian_ci"),
        45 => ("utf8mb4", "utf8mb4_general_ci"),
        46 => ("utf8mb4", "utf8mb4_bin"),
        47 => ("latin1", "latin1_bin"),
        48 => ("latin1", "latin1_general_ci"),
        49 => ("latin1", "latin1_general_cs"),
        50 => ("cp1251", "cp1251_bin"),
        51 => ("cp1251", "cp1251_general_ci"),
        52 => ("cp1251", "cp1251_general_cs"),
        53 => ("macroman", "macroman_bin"),
        57 => ("cp1256", "cp1256_general_ci"),
        58 => ("cp1257", "cp1257_bin"),
        59 => ("cp1257", "cp1257_general_ci"),
        63 => ("binary", "binary"),
        64 => ("armscii8", "armscii8_bin"),
        65 => ("ascii", "ascii_bin"),
        66 => ("cp1250", "cp1250_bin"),
        67 => ("cp1256", "cp1256_bin"),
        68 => ("cp866", "cp866_bin"),
        69 => ("dec8", "dec8_bin"),
        70 => ("greek", "greek_bin"),
        71 => ("hebrew", "hebrew_bin"),
        72 => ("hp8", "hp8_bin"),
        73 => ("keybcs2", "keybcs2_bin"),
        74 => ("koi8r", "koi8r_bin"),
        75 => ("koi8u", "koi8u_bin"),
        77 => ("latin2", "latin2_bin"),
        78 => ("latin5", "latin5_bin"),
        79 => ("latin7", "latin7_bin"),
        80 => ("cp850", "cp850_bin"),
        81 => ("cp852", "cp852_bin"),
        82 => ("swe7", "swe7_bin"),
        83 => ("utf8", "utf8_bin"),
        84 => ("big5", "big5_bin"),
        85 => ("euckr", "euckr_bin"),
        86 => ("gb2312", "gb2312_bin"),
        87 => ("gbk", "gbk_bin"),
        88 => ("sjis", "sjis_bin"),
        89 => ("tis620", "tis620_bin"),
        91 => ("ujis", "ujis_bin"),
        92 => ("geostd8", "geostd8_general_ci"),
        93 => ("geostd8", "geostd8_bin"),
        94 => ("latin1", "latin1_spanish_ci"),
        95 => ("cp932", "cp932_japanese_ci"),
        96 => ("cp932", "cp932_bin"),
        97 => ("eucjpms", "eucjpms_japanese_ci"),
        98 => ("eucjpms", "eucjpms_bin"),
        99 => ("cp1250", "cp1250_polish_ci"),
        192 => ("utf8", "utf8_unicode_ci"),
        193 => ("utf8", "utf8_icelandic_ci"),
        194 => ("utf8", "utf8_latvian_ci"),
        195 => ("utf8", "utf8_romanian_ci"),
        196 => ("utf8", "utf8_slovenian_ci"),
        197 => ("utf8", "utf8_polish_ci"),
        198 => ("utf8", "utf8_estonian_ci"),
        199 => ("utf8", "utf8_spanish_ci"),
        200 => ("utf8", "utf8_swedish_ci"),
        201 => ("utf8", "utf8_turkish_ci"),
        202 => ("utf8", "utf8_czech_ci"),
        203 => ("utf8", "utf8_danish_ci"),
        204 => ("utf8", "utf8_lithuanian_ci"),
        205 => ("utf8", "utf8_slovak_ci"),
        206 => ("utf8", "utf8_spanish2_ci"),
        207 => ("utf8", "utf8_roman_ci"),
        208 => ("utf8", "utf8_persian_ci"),
        209 => ("utf8", "utf8_esperanto_ci"),
        210 => ("utf8", "utf8_hungarian_ci"),
        211 => ("utf8", "utf8_sinhala_ci"),
        212 => ("utf8", "utf8_german2_ci"),
        213 if mariadb => ("utf8", "utf8_croatian_mysql561_ci"),
        214 => ("utf8", "utf8_unicode_520_ci"),
        215 => ("utf8", "utf8_vietnamese_ci"),
        223 => ("utf8", "utf8_general_mysql500_ci"),
        224 => ("utf8mb4", "utf8mb4_unicode_ci"),
        225 => ("utf8mb4", "utf8mb4_icelandic_ci"),
        226 => ("utf8mb4", "utf8mb4_latvian_ci"),
        227 => ("utf8mb4", "utf8mb4_romanian_ci"),
        228 => ("utf8mb4", "utf8mb4_slovenian_ci"),
        229 => ("utf8mb4", "utf8mb4_polish_ci"),
        230 => ("utf8mb4", "utf8mb4_estonian_ci"),
        231 => ("utf8mb4", "utf8mb4_spanish_ci"),
        232 => ("utf8mb4", "utf8mb4_swedish_ci"),
        233 => ("utf8mb4", "utf8mb4_turkish_ci"),
        234 => ("utf8mb4", "utf8mb4_czech_ci"),
        235 => ("utf8mb4", "utf8mb4_danish_ci"),
        236 => ("utf8mb4", "utf8mb4_lithuanian_ci"),
        237 => ("utf8mb4", "utf8mb4_slovak_ci"),
        238 => ("utf8mb4", "utf8mb4_spanish2_ci"),
        239 => ("utf8mb4", "utf8mb4_roman_ci"),
        240 => ("utf8mb4", "utf8mb4_persian_ci"),
        241 => ("utf8mb4", "utf8mb4_esperanto_ci"),
        242 => ("utf8mb4", "utf8mb4_hungarian_ci"),
        243 => ("utf8mb4", "utf8mb4_sinhala_ci"),
        244 => ("utf8mb4", "utf8mb4_german2_ci"),
        245 if mariadb => ("utf8mb4", "utf8mb4_croatian_mysql561_ci"),
        246 => ("utf8mb4", "utf8mb4_unicode_520_ci"),
        247 => ("utf8mb4", "utf8mb4_vietnamese_ci"),
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
        assert_eq!(wanted(58, true), Wanted::Known("cp1257", "cp1257_bin"));
        assert_eq!(wanted(28, true), Wanted::Unsafe("gbk"));
        assert_eq!(wanted(88, true), Wanted::Unsafe("sjis"));
        assert!(!is_safe("sjis") && is_safe("latin1"));
    }
}
