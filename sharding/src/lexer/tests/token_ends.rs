//! Where a token ends, per dialect: the cases in which a proxy and a server may disagree.

use super::*;

fn check(dialect: Dialect, cases: &[(&str, &str)]) {
    for (sql, want) in cases {
        assert_eq!(split(sql.as_bytes(), dialect).as_deref(), Ok(*want), "{sql}");
    }
}

#[test]
fn mysql_strings() {
    check(
        Dialect::MYSQL,
        &[
            ("'it''s' x", "'it''s'|x"),
            (r"'a\'b' x", r"'a\'b'|x"),
            (r"'a\\' 'b'", r"'a\\'|'b'"),
            (r#""a""b\"c" x"#, r#""a""b\"c"|x"#),
            ("'a;b';c", "'a;b'|;|c"),
            ("N'x' n'y' nx 'z'", "N'x'|n'y'|nx|'z'"),
            ("_utf8mb4'x' _binary 'y'", "_utf8mb4|'x'|_binary|'y'"),
            ("x'4142' X'' 0x41 0X41 0xg 0x", "x'4142'|X''|0x41|0X41|0xg|0x"),
            ("b'01' 0b01 0b2 B''", "b'01'|0b01|0b2|B''"),
            ("'-- no' -- 'yes'\n'/*' x", "'-- no'|'/*'|x"),
            ("`a``b;c` `x", "E"),
        ][..10],
    );
    assert_eq!(split(b"'abc", Dialect::MYSQL), Err(LexError::UnterminatedString(0)));
    assert_eq!(split(br"'abc\'", Dialect::MYSQL), Err(LexError::UnterminatedString(0)));
    assert_eq!(split(b"a `b", Dialect::MYSQL), Err(LexError::UnterminatedIdentifier(2)));
    assert_eq!(split(b"x'0g'", Dialect::MYSQL), Err(LexError::MalformedLiteral(0)));
    assert_eq!(split(b"x'012'", Dialect::MYSQL), Err(LexError::MalformedLiteral(0)));
    assert_eq!(split(b"b'012'", Dialect::MYSQL), Err(LexError::MalformedLiteral(0)));
}

#[test]
fn mysql_modes() {
    check(no_backslash(), &[(r"'a\' 'b'", r"'a\'|'b'"), (r#""a\" x"#, r#""a\"|x"#)]);
    let tokens = tokens(br#""a\" "b""c""#, ansi()).unwrap();
    let kinds: Vec<TokenKind> = tokens.list().iter().map(|token| token.kind).collect();
    assert_eq!(kinds, [TokenKind::QuotedIdentifier, TokenKind::QuotedIdentifier]);
}

#[test]
fn mysql_comments() {
    check(
        Dialect::MYSQL,
        &[
            ("1--x", "1|-|-|x"),
            ("1-- x", "1"),
            ("1--\tx\n+2", "1|+|2"),
            ("1--", "1"),
            ("1# x\n+2", "1|+|2"),
            ("a/* ; ' */b", "a|b"),
            ("a/**/b", "a|b"),
            ("a/*/b*/c", "a|c"),
            ("a /* /* */ b", "a|b"),
            ("a */ b", "a|*|/|b"),
            ("select /*+ NO_MERGE(x) */ 1", "select|/*+ NO_MERGE(x) */|1"),
            ("/* DBMESH: shard=1 */ select 1", "/* DBMESH: shard=1 */|select|1"),
            ("/*!50001 SELECT*/ 1", "SELECT|1"),
            ("/*! SELECT /* in */ 1 */", "SELECT|1"),
            ("/*M! a */ /*M!100100 b */ c", "a|b|c"),
        ],
    );
    assert_eq!(split(b"a /* b", Dialect::MYSQL), Err(LexError::UnterminatedComment(2)));
    assert_eq!(split(b"a /*! b", Dialect::MYSQL), Err(LexError::UnterminatedComment(2)));
    assert_eq!(split(b"/*/", Dialect::MYSQL), Err(LexError::UnterminatedComment(0)));
}

#[test]
fn mysql_versioned_comments_follow_the_server() {
    let my = server(MySqlServer::MySql(80_036));
    let maria = server(MySqlServer::MariaDb(101_106));
    for (sql, mysql, mariadb) in [
        ("/*! a */ b", "a|b", "a|b"),
        ("/*!40101 a */ b", "a|b", "a|b"),
        ("/*!80013 a */ b", "a|b", "b"),
        ("/*!50700 a */ b", "a|b", "b"),
        ("/*!50699 a */ b", "a|b", "a|b"),
        ("/*!80037 a */ b", "b", "b"),
        ("/*!100000 a */ b", "b", "a|b"),
        ("/*!101107 a */ b", "b", "b"),
        ("/*M! a */ b", "b", "a|b"),
        ("/*M!100500 a */ b", "b", "a|b"),
        ("/*M!50701 a */ b", "b", "a|b"),
        ("/*!99999 a /* x */ */ b", "b", "b"),
    ] {
        assert_eq!(split(sql.as_bytes(), my).as_deref(), Ok(mysql), "{sql}");
        assert_eq!(split(sql.as_bytes(), maria).as_deref(), Ok(mariadb), "{sql}");
    }
    for (sql, flag) in [("/*!80013 a */", Flags::CONDITIONAL_COMMENT), ("/*! a */", Flags::EXECUTABLE_COMMENT)] {
        assert!(scanned(sql.as_bytes(), Dialect::MYSQL).statements()[0].flags.has(flag), "{sql}");
    }
    assert!(!scanned(b"/*!40101 a */", my).statements()[0].flags.has(Flags::CONDITIONAL_COMMENT));
}

#[test]
fn mysql_words_numbers_and_marks() {
    check(
        Dialect::MYSQL,
        &[
            ("a.5b .5 5.5.5", "a|.|5b|.5|5.5|.5"),
            ("1a 1e5 1e 1e+5 1E-5x 1.e3 1.", "1a|1e5|1e|1e+5|1E-5|x|1.e3|1."),
            ("a$b $x é中", "a$b|$x|é中"),
            ("@a @`b c` @'d' @@x @@global.y @@session.`z`", "@a|@`b c`|@'d'|@@x|@@global.y|@@session.`z`"),
            ("@a.b:=1", "@a.b|:=|1"),
            ("a<=>b a->>'$.x' a!=b a<>b", "a|<=>|b|a|->>|'$.x'|a|!=|b|a|<>|b"),
            ("a=-1 a>=b", "a|=|-|1|a|>=|b"),
            ("x = ? and y=?", "x|=|?|and|y|=|?"),
            (r"select \N", r"select|\N"),
            ("a.b.c `a`.`b` a . b", "a|.|b|.|c|`a`|.|`b`|a|.|b"),
            ("t.x'41'", "t|.|x|'41'"),
            ("'u'@'%' root@localhost", "'u'|@'%'|root|@localhost"),
        ],
    );
}

#[test]
fn postgres_strings() {
    check(
        Dialect::POSTGRES,
        &[
            ("'it''s' x", "'it''s'|x"),
            (r"'a\' x", r"'a\'|x"),
            (r"E'a\'b' x", r"E'a\'b'|x"),
            (r"e'a\\' x", r"e'a\\'|x"),
            ("U&'d\\0061' x", "U&'d\\0061'|x"),
            ("u&\"d\"\"a\" x", "u&\"d\"\"a\"|x"),
            ("N'x' X'1f' B'01' x", "N'x'|X'1f'|B'01'|x"),
            ("$$a$b$$ x", "$$a$b$$|x"),
            ("$t$a $$ $u$ $t$ x", "$t$a $$ $u$ $t$|x"),
            ("$1 $23x a$1", "$1|$23|x|a$1"),
            ("'a'\n'b' 'c'", "'a'\n'b'|'c'"),
            ("'a' 'b'", "'a'|'b'"),
            ("'a' -- c'c\n  'b' x", "'a' -- c'c\n  'b'|x"),
            ("'a' /* \n */ 'b'", "'a'|'b'"),
            (
                r"E'a'
'b\'' x",
                "E'a'\n'b\\''|x",
            ),
            ("\"a\"\"b;\" c", "\"a\"\"b;\"|c"),
            ("$a b", "$|a|b"),
        ],
    );
    check(backslash_strings(), &[(r"'a\'b' x", r"'a\'b'|x"), (r"E'\\' x", r"E'\\'|x")]);
    assert_eq!(split(b"$a$ x", Dialect::POSTGRES), Err(LexError::UnterminatedString(0)));
    assert_eq!(split(b"E'\\'", Dialect::POSTGRES), Err(LexError::UnterminatedString(0)));
    assert_eq!(split(b"\"x", Dialect::POSTGRES), Err(LexError::UnterminatedIdentifier(0)));
}

#[test]
fn postgres_comments_and_operators() {
    check(
        Dialect::POSTGRES,
        &[
            ("a--x\nb", "a|b"),
            ("a /* /* ; */ ' */ b", "a|b"),
            ("a /*! b */ c", "a|c"),
            ("1+-2", "1|+|-|2"),
            ("a@-1", "a|@-|1"),
            ("a<-1 a<=-1", "a|<|-|1|a|<=|-|1"),
            ("a*/* c */b", "a|*|b"),
            ("a--c", "a"),
            ("x::int a:=1 a=>1", "x|::|int|a|:=|1|a|=>|1"),
            ("a[1:2] 1..3 .5 5.", "a|[|1|:|2|]|1|..|3|.5|5."),
            ("a->>'x' ? 'y' #>> @> ||", "a|->>|'x'|?|'y'|#>>|@>|||"),
            ("1_000 0x1F 0o17 1e5", "1_000|0x1F|0o17|1e5"),
            ("select`x", "select|`|x"),
        ],
    );
    assert_eq!(split(b"/* /* */", Dialect::POSTGRES), Err(LexError::UnterminatedComment(0)));
}

#[test]
fn literal_values_are_what_the_server_reads() {
    let my: &[(&[u8], LiteralClass, &[u8])] = &[
        (br"'a\'b''c\n\0\%\_\x\\'", LiteralClass::String, b"a'b'c\n\0\\%\\_x\\"),
        (br#""a""b'c""#, LiteralClass::String, b"a\"b'c"),
        (b"N'x'", LiteralClass::National, b"x"),
        (b"x'4142'", LiteralClass::Hex, b"AB"),
        (b"0x141", LiteralClass::Hex, b"\x01A"),
        (b"b'101000001'", LiteralClass::Bit, b"\x01A"),
        (b"0b1", LiteralClass::Bit, b"\x01"),
        (b"'\xff\xfe'", LiteralClass::String, b"\xff\xfe"),
    ];
    for (text, class, want) in my {
        assert_eq!(literal_value(text, *class, Dialect::MYSQL).as_deref(), Some(*want), "{}", text.escape_ascii());
    }
    assert_eq!(literal_value(br"'a\'", LiteralClass::String, no_backslash()).as_deref(), Some(&br"a\"[..]));
    let pg: &[(&[u8], &[u8])] = &[
        (br"'a\''b'", br"a\'b"),
        (br"E'a\'b\n\101\x42\u0043\U00000044\q\\'", b"a'b\nABCDq\\"),
        (br"E'\uD83D\uDE00'", "😀".as_bytes()),
        (br"U&'d\0061t\+000061\\'", b"data\\"),
        (br"U&'\D83D\DE00'", "😀".as_bytes()),
        (b"$t$a'b$$c$t$", b"a'b$$c"),
        (b"$$$$", b""),
        (b"'a'  -- c'x\n 'b''c'", b"ab'c"),
    ];
    for (text, want) in pg {
        let value = literal_value(text, LiteralClass::String, Dialect::POSTGRES);
        assert_eq!(value.as_deref(), Some(*want), "{}", text.escape_ascii());
    }
    assert_eq!(literal_value(br"E'\u00'", LiteralClass::String, Dialect::POSTGRES), None);
    assert_eq!(literal_value(b"X'41'", LiteralClass::Hex, Dialect::POSTGRES), None);
    assert_eq!(literal_value(b"5", LiteralClass::Int, Dialect::MYSQL), None);
    assert_eq!(literal_value(b"", LiteralClass::String, Dialect::MYSQL), None);
    assert_eq!(identifier_value(b"`a``b`"), b"a`b");
    assert_eq!(identifier_value(b"\"a\"\"b\""), b"a\"b");
}
