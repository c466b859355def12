"""The cases of the MySQL drivers with the interface of PEP 249: pymysql | mysqlclient | connector."""

import contextlib
import datetime
import decimal
import os
import socket
import sys
import threading

from case import CA, DATABASE, FOLDER, HOST, PASSWORD, PORT, USER, case, run, say, shown

DRIVER = sys.argv[1]
CONNECTOR = DRIVER == "connector"

if DRIVER == "pymysql":
    import pymysql as module
    import pymysql.cursors
elif DRIVER == "mysqlclient":
    import MySQLdb as module
    import MySQLdb.cursors
else:
    import mysql.connector as module


def connect(**more):
    options = dict(host=HOST, port=PORT, user=USER, password=PASSWORD, database=DATABASE, charset="utf8mb4")
    if CONNECTOR:
        # Prefers TLS by itself; the case for TLS asks for it.
        options.update(use_pure=True, ssl_disabled=True, collation="utf8mb4_general_ci")
    options.update(more)
    connection = module.connect(**{name: value for name, value in options.items() if value is not None})
    if CONNECTOR:
        # It sends a statement in pieces, each of which would wait for the delayed acknowledgement of the one before.
        connection._socket.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


@contextlib.contextmanager
def session(**more):
    """A connection with a cursor, closed at the end whatever happens."""
    connection = connect(**more)
    try:
        yield connection, connection.cursor(**({"buffered": True} if CONNECTOR else {}))
    finally:
        with contextlib.suppress(Exception):
            connection.close()


def rows(cursor, sql, *parameters):
    """Runs a statement and says its rows."""
    cursor.execute(sql, parameters if parameters else None)
    for row in cursor.fetchall():
        say(row)


def attempt(action, *arguments):
    """Says the error of an action that should have one: number, SQLSTATE where the driver shows it, text."""
    try:
        action(*arguments)
        say("no error")
    except module.Error as error:
        state = getattr(error, "sqlstate", None)
        number = error.errno if CONNECTOR else (error.args[0] if error.args else None)
        message = error.msg if CONNECTOR else (error.args[1] if len(error.args) > 1 else None)
        say(type(error).__name__, number, state, message)


def columns(cursor):
    for column in cursor.description or []:
        say(tuple(column))


def clear(cursor, *tables):
    for table in tables:
        cursor.execute(f"DELETE FROM {table}")


@case
def login():
    with session() as (_, cursor):
        rows(cursor, "SELECT 1 + 1, DATABASE(), @@autocommit")
    attempt(lambda: connect(password="wrong"))
    attempt(lambda: connect(user="nobody"))
    attempt(lambda: connect(database="no_such_database"))


@case
def login_without_database():
    with session(database=None) as (connection, cursor):
        rows(cursor, "SELECT DATABASE()")
        attempt(cursor.execute, "SELECT * FROM accounts")
        cursor.execute(f"USE {DATABASE}")
        rows(cursor, "SELECT DATABASE()")
        rows(cursor, "SELECT COUNT(*) FROM accounts WHERE id = 0")


@case
def tls():
    options = {
        "pymysql": dict(ssl={"ca": CA}),
        "mysqlclient": dict(ssl={"ca": CA}),
    }.get(DRIVER, dict(ssl_disabled=False, ssl_ca=CA, ssl_verify_cert=True))
    with session(**options) as (_, cursor):
        rows(cursor, "SELECT 1 + 2")
        cursor.execute("SELECT REPEAT('x', 100000)")
        say(cursor.fetchall()[0][0])


TYPES = [
    ("tiny", [0, -128, 127]),
    ("tiny_unsigned", [0, 255]),
    ("small", [-32768, 32767]),
    ("medium", [-8388608, 8388607]),
    ("int_", [-2147483648, 2147483647]),
    ("int_unsigned", [4294967295]),
    ("big", [-9223372036854775808, 9223372036854775807]),
    ("big_unsigned", [18446744073709551615]),
    ("decimal_", [decimal.Decimal("12345678901234567890.1234567890"), decimal.Decimal("-0.0000000001")]),
    ("float_", [1.5, -2.25]),
    ("double_", [1.1, -1e300, 5e-324]),
    ("bit_", [5]),
    ("date_", [datetime.date(1000, 1, 1), datetime.date(9999, 12, 31)]),
    ("time_", [datetime.timedelta(hours=-838, minutes=-59), datetime.timedelta(seconds=3661, microseconds=5)]),
    ("datetime_", [datetime.datetime(2024, 2, 29, 23, 59, 59, 999999), datetime.datetime(1000, 1, 1)]),
    ("timestamp_", [datetime.datetime(2001, 9, 9, 1, 46, 40, 1)]),
    ("year_", [1901, 2155]),
    ("char_", ["", "abc", "\u00e4\u20ac"]),
    ("varchar_", ["", "it's \"quoted\" \\ and\n\tmore\0", "\U0001f600 \u4e2d\u6587"]),
    ("binary_", [b"\x00\x01\xff'\"\\"]),
    ("varbinary_", [b"", bytes(range(256))]),
    ("text_", ["x" * 70000, "\u00e9" * 30000]),
    ("blob_", [b"", b"\x00" * 70000]),
    ("enum_", ["small", "large"]),
    ("set_", ["a,c", ""]),
    ("json_", ['{"a": [1, 2, {"b": null}], "c": "\\u00e4"}']),
    ("latin_", ["\u00e4\u00f6\u00fc"]),
]


@case
def every_type():
    with session() as (connection, cursor):
        clear(cursor, "kinds")
        connection.commit()
        number = 0
        for column, values in TYPES:
            for value in values + [None]:
                number += 1
                cursor.execute(f"INSERT INTO kinds (id, {column}) VALUES (%s, %s)", (number, value))
                cursor.execute(f"SELECT {column} FROM kinds WHERE id = %s", (number,))
                say(column, cursor.fetchall()[0][0])
        connection.commit()
        cursor.execute("SELECT * FROM kinds ORDER BY id")
        columns(cursor)
        say(len(cursor.fetchall()))


@case
def every_type_out_of_range():
    with session() as (connection, cursor):
        for column, value in [
            ("tiny", 128),
            ("int_unsigned", -1),
            ("decimal_", "99999999999999999999999"),
            ("date_", "2023-02-29"),
            ("enum_", "huge"),
            ("char_", "far too long for this column"),
            ("json_", "{"),
            ("varchar_", "x" * 300),
        ]:
            attempt(cursor.execute, f"INSERT INTO kinds (id, {column}) VALUES (100000, %s)", (value,))
        connection.rollback()


@case
def types_of_expressions():
    with session() as (_, cursor):
        for sql in [
            "SELECT 1, -1, 1.5, 1e0, 'a', NULL, TRUE, X'41', b'101', DATE'2024-01-02', TIMESTAMP'2024-01-02 03:04:05'",
            "SELECT COUNT(*), SUM(1), AVG(2), MAX('b'), GROUP_CONCAT('x') FROM accounts WHERE id < 0",
            "SELECT CAST(1 AS UNSIGNED) AS u, CAST('a' AS BINARY) AS b, CONVERT('a' USING latin1) AS l",
            "SELECT TIME'-12:30:00', SEC_TO_TIME(5.5), MAKEDATE(2024, 60), POINT(1, 2)",
            "SELECT id AS `a column`, owner `x``y`, balance+1, Balance FROM accounts a WHERE a.id = 1",
        ]:
            cursor.execute(sql)
            columns(cursor)
            for row in cursor.fetchall():
                say(row)


@case
def nulls():
    with session() as (connection, cursor):
        clear(cursor, "accounts")
        cursor.execute("INSERT INTO accounts (id, owner, note) VALUES (%s, %s, %s)", (1, None, None))
        cursor.execute("INSERT INTO accounts (id, owner, note) VALUES (%s, %s, %s)", (2, "", ""))
        rows(cursor, "SELECT id, owner, note FROM accounts WHERE owner IS NULL ORDER BY id")
        rows(cursor, "SELECT id, owner, note FROM accounts WHERE owner <=> %s ORDER BY id", None)
        rows(cursor, "SELECT id, owner, note FROM accounts WHERE owner = '' ORDER BY id")
        connection.rollback()


@case
def large_values():
    with session() as (connection, cursor):
        clear(cursor, "kinds")
        for number, size in enumerate([1 << 16, (1 << 20) + 1, 5_000_000, 8_500_001], 1):
            # Escaped, every byte of it is two: the last one makes a statement beyond 16 MiB.
            value = (b"\\'" * (size // 2 + 1))[:size]
            attempt(cursor.execute, "INSERT INTO kinds (id, long_blob) VALUES (%s, %s)", (number, value))
            cursor.execute("SELECT LENGTH(long_blob), long_blob FROM kinds WHERE id = %s", (number,))
            for row in cursor.fetchall():
                say(row)
        connection.rollback()


@case
def many_rows():
    with session() as (connection, cursor):
        clear(cursor, "accounts")
        data = [(n, f"owner {n}", decimal.Decimal(n) / 4, None if n % 7 else "x" * (n % 50)) for n in range(1, 1001)]
        cursor.executemany("INSERT INTO accounts (id, owner, balance, note) VALUES (%s, %s, %s, %s)", data)
        say(cursor.rowcount)
        connection.commit()
        rows(cursor, "SELECT COUNT(*), SUM(balance), MIN(id), MAX(id) FROM accounts")
        rows(cursor, "SELECT * FROM accounts WHERE id IN (5, 70, 700) ORDER BY id")
        rows(cursor, "SELECT id FROM accounts ORDER BY id DESC LIMIT 5")
        rows(cursor, "SELECT id FROM accounts ORDER BY id LIMIT 3 OFFSET 500")
        cursor.executemany("UPDATE accounts SET balance = %s WHERE id = %s", [(n, n) for n in range(1, 50)])
        say(cursor.rowcount)
        cursor.executemany("DELETE FROM accounts WHERE id = %s", [(n,) for n in range(1, 10)])
        say(cursor.rowcount)
        connection.commit()
        rows(cursor, "SELECT COUNT(*), SUM(balance) FROM accounts WHERE id < 100")
        clear(cursor, "accounts")
        say(cursor.rowcount)
        connection.commit()


@case
def fetching():
    with session() as (connection, cursor):
        clear(cursor, "accounts")
        cursor.executemany("INSERT INTO accounts (id) VALUES (%s)", [(n,) for n in range(25)])
        connection.commit()
        cursor.execute("SELECT id FROM accounts ORDER BY id")
        say(cursor.fetchone(), cursor.fetchmany(3), len(cursor.fetchall()), cursor.fetchone())
        say(cursor.rowcount)
        if DRIVER == "pymysql":
            stream = connection.cursor(pymysql.cursors.SSDictCursor)
        elif DRIVER == "mysqlclient":
            stream = connection.cursor(MySQLdb.cursors.SSDictCursor)
        else:
            stream = connection.cursor(dictionary=True, buffered=False)
        stream.execute("SELECT id, owner FROM accounts ORDER BY id")
        say(stream.fetchone(), stream.fetchmany(2))
        for row in stream:
            say(row)
        stream.close()


@case
def streaming_much():
    with session() as (connection, _):
        if DRIVER == "pymysql":
            stream = connection.cursor(pymysql.cursors.SSCursor)
        elif DRIVER == "mysqlclient":
            stream = connection.cursor(MySQLdb.cursors.SSCursor)
        else:
            stream = connection.cursor(buffered=False)
        stream.execute("SELECT seq, REPEAT('y', 200) FROM seq_1_to_50000")
        count = total = 0
        for number, filler in stream:
            count, total = count + len(filler), total + number
        say(count, total)
        stream.close()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 5")
            say(cursor.fetchall())


@case
def transactions():
    with session() as (one, cursor), session(autocommit=True) as (_, other):
        clear(cursor, "accounts")
        one.commit()
        cursor.execute("INSERT INTO accounts (id, balance) VALUES (1, 10), (2, 20), (3, 30), (4, 40)")
        rows(other, "SELECT COUNT(*) FROM accounts")
        one.commit()
        rows(other, "SELECT COUNT(*) FROM accounts")
        cursor.execute("UPDATE accounts SET balance = balance - 5 WHERE id = 1")
        say(cursor.rowcount)
        one.rollback()
        rows(cursor, "SELECT id, balance FROM accounts ORDER BY id")
        one.commit()
        cursor.execute("START TRANSACTION READ ONLY")
        attempt(cursor.execute, "UPDATE accounts SET balance = 0 WHERE id = 1")
        rows(cursor, "SELECT balance FROM accounts WHERE id = 1")
        one.rollback()


@case
def savepoints():
    with session() as (connection, cursor):
        clear(cursor, "accounts")
        cursor.execute("INSERT INTO accounts (id) VALUES (1)")
        cursor.execute("SAVEPOINT a")
        cursor.execute("INSERT INTO accounts (id) VALUES (2)")
        cursor.execute("SAVEPOINT b")
        cursor.execute("INSERT INTO accounts (id) VALUES (3)")
        cursor.execute("ROLLBACK TO SAVEPOINT b")
        rows(cursor, "SELECT id FROM accounts ORDER BY id")
        cursor.execute("ROLLBACK TO a")
        rows(cursor, "SELECT id FROM accounts ORDER BY id")
        attempt(cursor.execute, "ROLLBACK TO b")
        cursor.execute("RELEASE SAVEPOINT a")
        attempt(cursor.execute, "RELEASE SAVEPOINT a")
        connection.rollback()
        rows(cursor, "SELECT COUNT(*) FROM accounts")


@case
def isolation():
    for level in ["READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ"]:
        with session() as (one, cursor), session(autocommit=True) as (_, other):
            clear(other, "accounts")
            other.execute("INSERT INTO accounts (id, balance) VALUES (7, 1)")
            cursor.execute(f"SET SESSION TRANSACTION ISOLATION LEVEL {level}")
            rows(cursor, "SELECT @@tx_isolation")
            rows(cursor, "SELECT balance FROM accounts WHERE id = 7")
            other.execute("UPDATE accounts SET balance = 2 WHERE id = 7")
            rows(cursor, "SELECT balance FROM accounts WHERE id = 7")
            one.commit()
            rows(cursor, "SELECT balance FROM accounts WHERE id = 7")
            one.commit()


@case
def locks():
    with session() as (one, cursor), session() as (two, other):
        clear(cursor, "accounts")
        cursor.execute("INSERT INTO accounts (id) VALUES (1), (2)")
        one.commit()
        rows(cursor, "SELECT id FROM accounts WHERE id = 1 FOR UPDATE")
        attempt(other.execute, "SELECT id FROM accounts WHERE id = 1 FOR UPDATE NOWAIT")
        two.rollback()
        other.execute("SET innodb_lock_wait_timeout = 1")
        attempt(other.execute, "UPDATE accounts SET balance = 1 WHERE id = 1")
        rows(other, "SELECT id FROM accounts ORDER BY id FOR UPDATE SKIP LOCKED")
        two.rollback()
        one.rollback()


@case
def autocommit():
    with session() as (connection, cursor):
        rows(cursor, "SELECT @@autocommit")
        if CONNECTOR:
            connection.autocommit = True
            say(connection.autocommit)
        else:
            connection.autocommit(True)
            say(connection.get_autocommit())
        rows(cursor, "SELECT @@autocommit")
        clear(cursor, "accounts")
        cursor.execute("INSERT INTO accounts (id) VALUES (1)")
        connection.rollback()
        rows(cursor, "SELECT COUNT(*) FROM accounts")


@case
def errors():
    with session() as (connection, cursor):
        clear(cursor, "accounts")
        cursor.execute("INSERT INTO accounts (id) VALUES (1)")
        for sql in [
            "SELEC 1",
            "SELECT * FROM no_such_table",
            "SELECT no_such_column FROM accounts",
            "INSERT INTO accounts (id) VALUES (1)",
            "INSERT INTO accounts (id, balance) VALUES (2, NULL)",
            "INSERT INTO accounts (id, nothing) VALUES (2, 3)",
            "INSERT INTO accounts (id) VALUES (2, 3)",
            "SELECT no_such_function()",
            "SELECT 1 FROM accounts WHERE id = 1 GROUP BY (SELECT 1, 2)",
            "SELECT (SELECT 1 UNION SELECT 2)",
            "SIGNAL SQLSTATE '45678' SET MESSAGE_TEXT = 'mine', MYSQL_ERRNO = 5001",
            "SELECT 1; SELECT 2",
            "DROP TABLE no_such_table",
            "CREATE TABLE numbered (id INT)",
            "SET no_such_variable = 1",
            "SET sql_mode = 'nonsense'",
            "USE no_such_database",
            "CALL no_such_procedure()",
        ]:
            # With several statements allowed, the second one's answer would be taken for that of the next call.
            if not (CONNECTOR and ";" in sql):
                attempt(cursor.execute, sql)
        # One of these drivers sends nothing at all.
        if not CONNECTOR:
            attempt(cursor.execute, "KILL 999999999")
            attempt(cursor.execute, "")
            attempt(cursor.execute, "-- only a comment")
        connection.rollback()
        rows(cursor, "SELECT 'still here'")


@case
def warnings():
    with session() as (connection, cursor):
        cursor.execute("SELECT 1/0, CAST('12x' AS SIGNED)")
        say(cursor.fetchall())
        if DRIVER != "pymysql":
            say(connection.warning_count if DRIVER == "mysqlclient" and not callable(connection.warning_count) else "")
        rows(cursor, "SHOW WARNINGS")
        cursor.execute("SELECT 1/0")
        cursor.fetchall()
        rows(cursor, "SHOW COUNT(*) WARNINGS")
        cursor.execute("DROP TABLE IF EXISTS no_such_table")
        rows(cursor, "SHOW WARNINGS")
        cursor.execute("SET sql_mode = ''")
        clear(cursor, "accounts")
        cursor.execute("INSERT INTO accounts (id, balance) VALUES ('5x', 'none')")
        rows(cursor, "SHOW WARNINGS")
        connection.rollback()


@case
def row_counts():
    with session() as (connection, cursor):
        clear(cursor, "accounts")
        cursor.execute("INSERT INTO accounts (id, balance) VALUES (1, 1), (2, 2), (3, 3)")
        say(cursor.rowcount)
        cursor.execute("UPDATE accounts SET balance = 1 WHERE id IN (1, 2, 3)")
        say(cursor.rowcount)
        rows(cursor, "SELECT ROW_COUNT()")
        cursor.execute("INSERT INTO accounts (id, balance) VALUES (1, 9) ON DUPLICATE KEY UPDATE balance = 9")
        say(cursor.rowcount)
        cursor.execute("REPLACE INTO accounts (id, balance) VALUES (1, 8)")
        say(cursor.rowcount)
        cursor.execute("INSERT IGNORE INTO accounts (id, balance) VALUES (1, 7)")
        say(cursor.rowcount)
        cursor.execute("DELETE FROM accounts WHERE id = 99")
        say(cursor.rowcount)
        cursor.execute("SELECT id FROM accounts ORDER BY id LIMIT 2")
        cursor.fetchall()
        rows(cursor, "SELECT FOUND_ROWS()")
        cursor.execute("SELECT SQL_CALC_FOUND_ROWS id FROM accounts WHERE id = 1 LIMIT 1")
        cursor.fetchall()
        rows(cursor, "SELECT FOUND_ROWS()")
        connection.rollback()


@case
def found_rows_flag():
    if CONNECTOR:
        from mysql.connector.constants import ClientFlag

        more = dict(client_flags=[ClientFlag.FOUND_ROWS])
    else:
        flags = __import__(f"{module.__name__}.constants", fromlist=["CLIENT"]).CLIENT
        more = dict(client_flag=flags.FOUND_ROWS)
    with session(**more) as (connection, cursor):
        clear(cursor, "accounts")
        cursor.execute("INSERT INTO accounts (id, balance) VALUES (1, 1), (2, 2)")
        cursor.execute("UPDATE accounts SET balance = 1 WHERE id = 1")
        say(cursor.rowcount)
        cursor.execute("UPDATE accounts SET balance = 1 WHERE id IN (1, 2)")
        say(cursor.rowcount)
        connection.rollback()


@case
def last_insert_id():
    with session() as (connection, cursor):
        cursor.execute("DELETE FROM numbered")
        cursor.execute("ALTER TABLE numbered AUTO_INCREMENT = 1")
        cursor.execute("INSERT INTO numbered (label) VALUES ('a')")
        say(cursor.lastrowid)
        cursor.execute("INSERT INTO numbered (label) VALUES ('b'), ('c'), ('d')")
        say(cursor.lastrowid)
        rows(cursor, "SELECT LAST_INSERT_ID()")
        connection.commit()
        rows(cursor, "SELECT LAST_INSERT_ID()")
        cursor.execute("INSERT INTO numbered (id, label) VALUES (77, 'e')")
        say(cursor.lastrowid)
        rows(cursor, "SELECT LAST_INSERT_ID()")
        cursor.execute("UPDATE numbered SET id = LAST_INSERT_ID(id + 1) WHERE label = 'e'")
        rows(cursor, "SELECT LAST_INSERT_ID()")
        cursor.execute("INSERT INTO accounts (id) VALUES (LAST_INSERT_ID())")
        rows(cursor, "SELECT id FROM accounts WHERE id = 78")
        rows(cursor, "SELECT label FROM numbered WHERE id IS NULL")
        rows(cursor, "INSERT INTO numbered (label) VALUES ('r') RETURNING id, label")
        rows(cursor, "DELETE FROM numbered WHERE label = 'r' RETURNING label")
        connection.rollback()


@case
def settings():
    with session() as (connection, cursor), session() as (_, other):
        for sql, shows in [
            ("SET time_zone = '+05:30'", "SELECT @@time_zone, FROM_UNIXTIME(0)"),
            ("SET sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT'", "SELECT @@sql_mode, 'a' || 'b'"),
            ("SET NAMES latin1", "SELECT @@character_set_client, @@character_set_results, @@collation_connection"),
            ("SET NAMES utf8mb4 COLLATE utf8mb4_bin", "SELECT @@collation_connection, 'a' = 'A'"),
            ("SET group_concat_max_len = 5", "SELECT GROUP_CONCAT(seq) FROM seq_1_to_9"),
            ("SET @a = 5, @b = 'text'", "SELECT @a, @b, @c"),
            ("SET @a := @a + 1", "SELECT @a"),
            ("SET SESSION max_statement_time = 30", "SELECT @@max_statement_time"),
            ("SET lc_time_names = 'de_DE'", "SELECT MONTHNAME('2024-03-01')"),
            ("SET foreign_key_checks = 0, unique_checks = 0", "SELECT @@foreign_key_checks, @@unique_checks"),
            ("SET timestamp = 1000000000", "SELECT NOW(), UNIX_TIMESTAMP()"),
            ("SET timestamp = DEFAULT", "SELECT NOW() > '2020-01-01'"),
            ("SET sql_mode = DEFAULT", "SELECT @@sql_mode"),
        ]:
            cursor.execute(sql)
            connection.commit()
            rows(cursor, shows)
            rows(other, "SELECT @@time_zone, @@sql_mode, @@collation_connection, @@group_concat_max_len, @a")
        rows(cursor, "SHOW VARIABLES LIKE 'character_set_c_____'")
        rows(cursor, "SHOW SESSION VARIABLES LIKE 'time_zone'")


@case
def character_sets():
    for charset in ["utf8mb4", "latin1", "utf8mb3" if DRIVER == "mysqlclient" else "utf8"]:
        more = dict(charset=charset)
        if CONNECTOR:
            more["collation"] = {"utf8mb4": "utf8mb4_general_ci", "latin1": "latin1_swedish_ci"}.get(charset)
            if more["collation"] is None:
                continue
        with session(**more) as (connection, cursor):
            clear(cursor, "kinds")
            cursor.execute("INSERT INTO kinds (id, varchar_, latin_) VALUES (1, %s, %s)", ("\u00e4\u00df", "\u00fc"))
            rows(cursor, "SELECT varchar_, latin_, HEX(varchar_), HEX(latin_), '\u00f6' FROM kinds WHERE id = 1")
            rows(cursor, "SELECT @@character_set_client, @@collation_connection")
            connection.rollback()


@case
def metadata():
    with session() as (_, cursor):
        cursor.execute("TRUNCATE TABLE numbered")
        for sql in [
            "SHOW TABLES",
            "SHOW FULL TABLES",
            "SHOW TABLES LIKE 'acco____'",
            "SHOW COLUMNS FROM accounts",
            "SHOW FULL COLUMNS FROM entries",
            "DESCRIBE kinds",
            "DESC accounts owner",
            "SHOW INDEX FROM entries WHERE Seq_in_index > 0 AND Cardinality >= 0 AND 1 = 0",
            "SHOW KEYS FROM accounts WHERE Key_name = 'PRIMARY' AND 1 = 0",
            "SHOW CREATE TABLE accounts",
            "SHOW CREATE TABLE numbered",
            "SELECT table_name, table_type, engine FROM information_schema.tables"
            " WHERE table_schema = DATABASE() ORDER BY table_name",
            "SELECT column_name, data_type, is_nullable, column_default FROM information_schema.columns"
            " WHERE table_schema = DATABASE() AND table_name = 'entries' ORDER BY ordinal_position",
            "SELECT constraint_name, column_name FROM information_schema.key_column_usage"
            " WHERE table_schema = DATABASE() AND table_name = 'entries' ORDER BY ordinal_position",
            "SHOW CHARACTER SET LIKE 'latin1'",
            "SHOW COLLATION LIKE 'utf8mb4_bin'",
            "SHOW ENGINES",
            "SHOW TRIGGERS",
            "SHOW PROCEDURE STATUS WHERE Db = DATABASE()",
            "SHOW VARIABLES LIKE 'lower_case_table_names'",
        ]:
            say(sql)
            cursor.execute(sql)
            say(tuple(column[0] for column in cursor.description))
            for row in cursor.fetchall():
                say(row)


@case
def own_tables():
    with session() as (connection, cursor):
        cursor.execute("DROP TABLE IF EXISTS made_here")
        cursor.execute(
            "CREATE TABLE made_here (id INT AUTO_INCREMENT PRIMARY KEY, a VARCHAR(20) NOT NULL DEFAULT 'x',"
            " b INT GENERATED ALWAYS AS (LENGTH(a)) STORED, UNIQUE KEY u (a)) COMMENT='mine'"
        )
        cursor.execute("INSERT INTO made_here (a) VALUES ('one'), ('three')")
        say(cursor.rowcount, cursor.lastrowid)
        attempt(cursor.execute, "INSERT INTO made_here (a) VALUES ('one')")
        cursor.execute("ALTER TABLE made_here ADD COLUMN c DATE")
        rows(cursor, "SELECT * FROM made_here ORDER BY id")
        rows(cursor, "SHOW CREATE TABLE made_here")
        rows(cursor, "EXPLAIN SELECT * FROM made_here WHERE id = 1")
        cursor.execute("TRUNCATE TABLE made_here")
        say(cursor.rowcount)
        rows(cursor, "CHECK TABLE made_here")
        cursor.execute("CREATE TEMPORARY TABLE passing AS SELECT 1 AS a UNION SELECT 2")
        rows(cursor, "SELECT * FROM passing ORDER BY a")
        cursor.execute("DROP TEMPORARY TABLE passing")
        cursor.execute("CREATE OR REPLACE VIEW seen_here AS SELECT a FROM made_here")
        rows(cursor, "SELECT COUNT(*) FROM seen_here")
        cursor.execute("DROP VIEW seen_here")
        cursor.execute("DROP TABLE made_here")


@case
def procedures():
    with session() as (connection, cursor):
        cursor.execute("DROP PROCEDURE IF EXISTS three_results")
        cursor.execute("DROP PROCEDURE IF EXISTS out_values")
        cursor.execute(
            "CREATE PROCEDURE three_results(n INT) BEGIN SELECT n AS a; SELECT n + 1 AS b, 'x' AS c;"
            " SELECT 1 AS nothing WHERE 1 = 0; END"
        )
        cursor.execute("CREATE PROCEDURE out_values(a INT, OUT b INT, INOUT c INT) BEGIN SET b = a * 2, c = c + 1; END")
        if CONNECTOR:
            say(cursor.callproc("three_results", (5,)))
            for result in cursor.stored_results():
                say(result.column_names, result.fetchall())
            say(cursor.callproc("out_values", (4, 0, 9)))
        else:
            say(cursor.callproc("three_results", (5,)))
            while True:
                columns(cursor)
                say(cursor.fetchall(), cursor.rowcount)
                if not cursor.nextset():
                    break
            cursor.callproc("out_values", (4, 0, 9))
            while cursor.nextset():
                pass
            rows(cursor, "SELECT @_out_values_0, @_out_values_1, @_out_values_2")
        cursor.execute("DROP PROCEDURE three_results")
        cursor.execute("DROP PROCEDURE out_values")
        cursor.execute("DROP FUNCTION IF EXISTS twice")
        cursor.execute("CREATE FUNCTION twice(n INT) RETURNS INT DETERMINISTIC RETURN n * 2")
        rows(cursor, "SELECT twice(21)")
        cursor.execute("DROP FUNCTION twice")


@case
def several_statements():
    if CONNECTOR:
        more = {}
    elif DRIVER == "mysqlclient":
        # On by default there, off as asked.
        with session(multi_statements=False) as (_, cursor):
            attempt(cursor.execute, "SELECT 1; SELECT 2")
        more = {}
    else:
        from pymysql.constants import CLIENT

        more = dict(client_flag=CLIENT.MULTI_STATEMENTS)
    with session(**more) as (connection, cursor):
        text = (
            "SELECT 1 AS a; SET @x = 5; SELECT @x AS b, 2 AS c; DELETE FROM accounts WHERE id = 5;"
            " INSERT INTO accounts (id) VALUES (5); SELECT id FROM accounts WHERE id = 5"
        )
        for statement in [text, "SELECT 1; SELECT * FROM no_such_table; SELECT 3", "SELECT 'a;b' ; "]:
            try:
                cursor.execute(statement)
                while True:
                    say(cursor.rowcount, cursor.fetchall() if cursor.description else None)
                    if not cursor.nextset():
                        break
            except module.Error as error:
                say(type(error).__name__, str(error))
                connection.rollback()
        connection.rollback()


@case
def prepared():
    with session() as (connection, cursor):
        cursor.execute("PREPARE s FROM 'SELECT ? + ?, ?'")
        cursor.execute("SET @a = 1, @b = 2.5, @c = 'x'")
        rows(cursor, "EXECUTE s USING @a, @b, @c")
        cursor.execute("DEALLOCATE PREPARE s")
        attempt(cursor.execute, "EXECUTE s USING @a, @b, @c")
        if not CONNECTOR:
            return
        statement = connection.cursor(prepared=True)
        clear(cursor, "kinds")
        for column, values in TYPES:
            for value in values + [None]:
                statement.execute(f"INSERT INTO kinds (id, {column}) VALUES (1, ?)", (value,))
                statement.execute(f"SELECT {column} FROM kinds WHERE id = ?", (1,))
                say(column, statement.fetchall()[0][0])
                statement.execute("DELETE FROM kinds WHERE id = ?", (1,))
        attempt(statement.execute, "SELECT ? FROM no_such_table", (1,))
        attempt(statement.execute, "SELECT ?, ?", (1,))
        statement.execute("SELECT ?, ?, ?", (1, "a", None))
        say(statement.fetchall())
        statement.close()
        connection.rollback()


@case
def local_files():
    path = os.path.join(FOLDER, f"{DRIVER}-lines.csv")
    with open(path, "w", encoding="utf-8") as file:
        for number in range(1, 501):
            file.write(f"{number};owner \u00e4 {number};{number}.25;\\N\n")
    allow = dict(allow_local_infile=True) if CONNECTOR else dict(local_infile=True)
    sql = f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE {{}} FIELDS TERMINATED BY ';'"
    with session(**allow) as (connection, cursor):
        cursor.execute("CREATE OR REPLACE TABLE loaded (id INT, owner VARCHAR(50), balance DECIMAL(9, 2), note TEXT)")
        cursor.execute(sql.format("loaded"))
        say(cursor.rowcount)
        rows(cursor, "SELECT COUNT(*), SUM(balance), MAX(owner) FROM loaded")
        attempt(cursor.execute, f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE no_such_table")
        if not CONNECTOR:
            missing = os.path.join(FOLDER, "no-such-file")
            try:
                cursor.execute(f"LOAD DATA LOCAL INFILE '{missing}' INTO TABLE loaded")
            except Exception as error:
                say(type(error).__name__)
        clear(cursor, "accounts")
        attempt(cursor.execute, sql.format("accounts"))
        rows(cursor, "SELECT COUNT(*), SUM(balance) FROM accounts")
        connection.rollback()
        cursor.execute("DROP TABLE loaded")
    with session() as (connection, cursor):
        attempt(cursor.execute, sql.format("accounts"))


@case
def local_files_among_other_statements():
    if CONNECTOR:
        return
    path = os.path.join(FOLDER, f"{DRIVER}-few.csv")
    with open(path, "w", encoding="utf-8") as file:
        file.write("1;one\n2;two\n")
    several = dict(client_flag=module.constants.CLIENT.MULTI_STATEMENTS)
    with session(local_infile=True, **several) as (_, cursor):
        load = f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE few FIELDS TERMINATED BY ';'"
        cursor.execute(f"CREATE TEMPORARY TABLE few (id INT, note TEXT); SELECT 1; {load}; {load}; SELECT * FROM few; SELECT 2")
        while True:
            say(cursor.rowcount, cursor.fetchall() if cursor.description else None)
            if not cursor.nextset():
                break


@case
def local_file_that_is_missing():
    if not CONNECTOR:
        return
    # This driver gives up without a word to the server, which then gets a command where the file should be.
    with session(allow_local_infile=True) as (_, cursor):
        missing = os.path.join(FOLDER, "no-such-file")
        try:
            cursor.execute(f"LOAD DATA LOCAL INFILE '{missing}' INTO TABLE numbered")
        except module.Error as error:
            say(type(error).__name__)
        attempt(cursor.execute, "SELECT 1")


@case
def reset_and_change_of_user():
    with session() as (connection, cursor):
        cursor.execute("SET @kept = 1, time_zone = '+01:00'")
        cursor.execute("CREATE TEMPORARY TABLE passing (a INT)")
        if DRIVER == "pymysql":
            # COM_RESET_CONNECTION; this driver has no method for it.
            connection._execute_command(31, b"")
            connection._read_ok_packet()
        elif DRIVER == "mysqlclient":
            connection.change_user(USER, PASSWORD, DATABASE)
            connection.set_character_set("utf8mb4")
        else:
            connection.cmd_reset_connection()
        rows(cursor, "SELECT @kept, @@time_zone = @@global.time_zone, DATABASE()")
        attempt(cursor.execute, "SELECT * FROM passing")
        if CONNECTOR:
            cursor.execute("SET @kept = 2")
            connection.cmd_change_user(USER, PASSWORD, DATABASE)
            rows(cursor, "SELECT @kept, DATABASE()")
            connection.reset_session(user_variables={"u": 1}, session_variables={"time_zone": "+02:00"})
            rows(cursor, "SELECT @u, @@time_zone")
            attempt(connection.cmd_change_user, USER, "wrong", DATABASE)


@case
def temporary_state_is_not_shared():
    with session() as (_, cursor), session() as (_, other):
        cursor.execute("CREATE TEMPORARY TABLE passing (a INT)")
        cursor.execute("INSERT INTO passing VALUES (1)")
        attempt(other.execute, "SELECT * FROM passing")
        rows(cursor, f"SELECT GET_LOCK('{DATABASE}', 0)")
        rows(other, f"SELECT GET_LOCK('{DATABASE}', 0)")
        rows(cursor, f"SELECT RELEASE_LOCK('{DATABASE}')")
        rows(other, f"SELECT GET_LOCK('{DATABASE}', 0)")
        rows(other, f"SELECT RELEASE_LOCK('{DATABASE}')")
        cursor.execute("LOCK TABLES numbered WRITE")
        cursor.execute("INSERT INTO numbered (label) VALUES ('locked')")
        cursor.execute("UNLOCK TABLES")
        rows(cursor, "SELECT * FROM passing")


@case
def kill_and_reconnect():
    with session() as (connection, cursor), session(autocommit=True) as (_, other):
        number = connection.connection_id if CONNECTOR else connection.thread_id()
        failure = []

        sql = f"SELECT SLEEP(20), '{DRIVER} {DATABASE}'"

        def wait():
            try:
                cursor.execute(sql)
                failure.append(("done", cursor.fetchall()))
            except module.Error as error:
                failure.append((type(error).__name__, error.errno if CONNECTOR else error.args[0]))

        thread = threading.Thread(target=wait)
        thread.start()
        # The victim must have begun to wait.
        while not failure:
            other.execute("SELECT COUNT(*) FROM information_schema.processlist WHERE info = %s", (sql,))
            if other.fetchall()[0][0]:
                break
        other.execute(f"KILL QUERY {number}")
        thread.join()
        say(failure)
        rows(cursor, "SELECT 'alive'")
        other.execute(f"KILL {number}")
        try:
            cursor.execute("SELECT 'dead'")
            say(cursor.fetchall())
        except module.Error as error:
            say(type(error).__name__)
        if DRIVER == "pymysql":
            connection.ping(reconnect=True)
        elif CONNECTOR:
            connection.ping(reconnect=True, attempts=3)
            cursor = connection.cursor(buffered=True)
        else:
            return
        rows(cursor, "SELECT 'back', DATABASE()")


@case
def time_limits():
    with session() as (_, cursor):
        cursor.execute("SET max_statement_time = 0.2")
        attempt(cursor.execute, "SELECT COUNT(*) FROM seq_1_to_1000000000")
        cursor.execute("SET max_statement_time = 0")
        attempt(
            cursor.execute, "SET STATEMENT max_statement_time = 0.1 FOR SELECT COUNT(*) FROM seq_1_to_1000000000"
        )
        rows(cursor, "SELECT 1")


@case
def connection_calls():
    with session() as (connection, cursor):
        if CONNECTOR:
            connection.ping()
            say(connection.is_connected(), connection.in_transaction)
            cursor.execute("SELECT 1 FROM accounts WHERE id = 1")
            cursor.fetchall()
            say(connection.in_transaction)
            connection.rollback()
            say(connection.in_transaction)
            connection.database = "information_schema"
            rows(cursor, "SELECT DATABASE()")
            connection.database = DATABASE
            rows(cursor, "SELECT DATABASE()")
            attempt(connection.cmd_init_db, "no_such_database")
        else:
            connection.ping()
            say(connection.get_proto_info())
            connection.select_db("information_schema")
            rows(cursor, "SELECT DATABASE()")
            connection.select_db(DATABASE)
            attempt(connection.select_db, "no_such_database")
            rows(cursor, "SELECT DATABASE()")
            say(connection.character_set_name())


@case
def comments_and_hints():
    with session() as (_, cursor):
        for sql in [
            "/* first */ SELECT /* second */ 1 -- third",
            "SELECT /*! 2 */ + /*!99999 3 */ 4",
            "SELECT /*M!100000 5, */ 6",
            "# all of it\nSELECT 7",
            "SELECT /*+ NO_SUCH_HINT() */ 8",
            "  ( SELECT 9 )  ",
            "(SELECT 1) UNION (SELECT 2) ORDER BY 1 DESC",
            "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 4) SELECT n FROM r",
            "SELECT 'a' 'b', \"c\", 'd''e', 'f\\'g', _latin1'h', N'i', 0x6A",
            "VALUES (1, 2), (3, 4)",
            "DO 1",
            "SELECT 1 INTO @into",
            "SELECT @into",
        ]:
            cursor.execute(sql)
            say(sql, cursor.fetchall() if cursor.description else None)


@case
def queries_over_rows():
    with session() as (connection, cursor):
        clear(cursor, "entries")
        clear(cursor, "accounts")
        cursor.executemany(
            "INSERT INTO accounts (id, owner, balance) VALUES (%s, %s, %s)",
            [(n, f"o{n % 4}", n * 10) for n in range(1, 21)],
        )
        cursor.executemany(
            "INSERT INTO entries (account_id, n, amount, made) VALUES (%s, %s, %s, %s)",
            [(a, n, a + n, datetime.datetime(2024, 1, n, 12)) for a in range(1, 21) for n in range(1, 4)],
        )
        connection.commit()
        for sql in [
            "SELECT a.id, SUM(e.amount) FROM accounts a JOIN entries e ON e.account_id = a.id WHERE a.id = 7 GROUP BY a.id",
            "SELECT a.id, COUNT(*) FROM accounts a JOIN entries e ON e.account_id = a.id GROUP BY a.id ORDER BY a.id",
            "SELECT COUNT(*), SUM(balance), MIN(balance), MAX(balance) FROM accounts",
            "SELECT id, balance FROM accounts WHERE balance BETWEEN 30 AND 90 ORDER BY balance DESC, id",
            "SELECT made, COUNT(*), SUM(amount) FROM entries GROUP BY made ORDER BY made",
            "SELECT DISTINCT made FROM entries ORDER BY made DESC LIMIT 2",
            "SELECT AVG(balance) FROM accounts",
            "SELECT owner, COUNT(*) FROM accounts GROUP BY owner ORDER BY owner",
            "SELECT id FROM accounts WHERE id IN (SELECT account_id FROM entries WHERE amount > 20) ORDER BY id",
            "SELECT c.name FROM currencies c WHERE c.code = 'EUR'",
            "SELECT a.id, c.code FROM accounts a JOIN currencies c ON c.code = 'EUR' WHERE a.id < 4 ORDER BY a.id",
        ]:
            say(sql)
            try:
                cursor.execute(sql)
                columns(cursor)
                for row in cursor.fetchall():
                    say(row)
            except module.Error as error:
                say(str(error))


run(DRIVER)
