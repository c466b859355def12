//! What each byte can begin, per dialect. Out: anything that looks at more than one byte.

/// What a byte begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Space,
    Word,
    Digit,
    Quote,
    DoubleQuote,
    Backtick,
    Dollar,
    Slash,
    Star,
    Minus,
    Sharp,
    At,
    Dot,
    Left,
    Right,
    Comma,
    Semicolon,
    Question,
    Colon,
    Mark,
    Other,
}

const fn class(byte: u8, mysql: bool) -> Class {
    match byte {
        b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => Class::Space,
        b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80..=0xff => Class::Word,
        b'$' if mysql => Class::Word,
        b'$' => Class::Dollar,
        b'0'..=b'9' => Class::Digit,
        b'\'' => Class::Quote,
        b'"' => Class::DoubleQuote,
        b'`' if mysql => Class::Backtick,
        b'/' => Class::Slash,
        b'*' => Class::Star,
        b'-' => Class::Minus,
        b'#' => Class::Sharp,
        b'@' => Class::At,
        b'.' => Class::Dot,
        b'(' => Class::Left,
        b')' => Class::Right,
        b',' => Class::Comma,
        b';' => Class::Semicolon,
        b'?' => Class::Question,
        b':' => Class::Colon,
        b'<' | b'>' | b'=' | b'!' | b'+' | b'%' | b'^' | b'&' | b'|' | b'~' => Class::Mark,
        b'`' => Class::Mark,
        _ => Class::Other,
    }
}

const fn classes(mysql: bool) -> [Class; 256] {
    let mut all = [Class::Other; 256];
    let mut byte = 0;
    while byte < 256 {
        all[byte] = class(byte as u8, mysql);
        byte += 1;
    }
    all
}

pub(super) static MYSQL: [Class; 256] = classes(true);
pub(super) static POSTGRES: [Class; 256] = classes(false);

/// True for a byte that may stand inside an unquoted word of either dialect.
#[inline]
pub(super) const fn continues_word(byte: u8) -> bool {
    WORD[byte as usize]
}

static WORD: [bool; 256] = {
    let mut all = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        all[byte] = b.is_ascii_alphanumeric() || b == b'_' || b == b'$' || b >= 0x80;
        byte += 1;
    }
    all
};

/// True for the bytes of which PostgreSQL operators are made.
pub(super) const fn is_operator(byte: u8) -> bool {
    matches!(
        byte,
        b'~' | b'!'
            | b'@'
            | b'#'
            | b'^'
            | b'&'
            | b'|'
            | b'`'
            | b'?'
            | b'+'
            | b'-'
            | b'*'
            | b'/'
            | b'%'
            | b'<'
            | b'>'
            | b'='
    )
}
