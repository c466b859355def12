"""The cases of psycopg 3: both of its cursors, pipelines, COPY, notifications, its pool, its two-phase calls."""

import asyncio
import datetime
import decimal
import ipaddress
import threading
import uuid

import psycopg
import psycopg_pool
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from psycopg.types.range import Range

from case import CA, DATABASE, HOST, PASSWORD, PORT, USER, case, run, say

LOGIN = f"host={HOST} port={PORT} user={USER} password={PASSWORD} dbname={DATABASE}"


def connect(more="", **options):
    return psycopg.connect(f"{LOGIN} {more}", **options)


def rows(cursor, statement, *parameters, **options):
    cursor.execute(statement, parameters or None, **options)
    for row in cursor.fetchall():
        say(row)


def told(error):
    diagnosis = error.diag
    say(
        type(error).__name__, diagnosis.severity, diagnosis.sqlstate, diagnosis.message_primary,
        diagnosis.message_detail, diagnosis.message_hint, diagnosis.statement_position, diagnosis.context,
        diagnosis.schema_name, diagnosis.table_name, diagnosis.column_name, diagnosis.constraint_name,
        diagnosis.datatype_name,
    )


def attempt(action, *arguments, **named):
    try:
        action(*arguments, **named)
        say("no error")
    except psycopg.Error as error:
        told(error)


def columns(cursor):
    for column in cursor.description or []:
        say(
            column.name, column.type_code, column.type_display, column.display_size, column.internal_size,
            column.precision, column.scale,
        )


@case
def login():
    with connect() as connection:
        say(connection.execute("SELECT 1 + 1, current_database(), current_user, session_user").fetchone())
        for name in ["server_encoding", "client_encoding", "DateStyle", "TimeZone", "integer_datetimes",
                     "standard_conforming_strings", "application_name", "is_superuser", "IntervalStyle", "server_version"]:
            say(name, connection.info.parameter_status(name))
        say(connection.info.server_version, connection.info.vendor, connection.info.transaction_status.name)
    for more in ["password=wrong", "dbname=no_such_database", "user=nobody"]:
        try:
            connect(more)
        except psycopg.OperationalError as error:
            say(str(error).split("FATAL: ")[-1].strip())


@case
def login_options():
    with connect("application_name='my program' options='-c timezone=Asia/Tokyo -c work_mem=5MB' client_encoding=latin1") as c:
        say(c.execute("SELECT current_setting('TimeZone'), current_setting('work_mem'), 'ä'").fetchone())
        say(c.execute("SELECT current_setting('application_name'), current_setting('client_encoding')").fetchone())
        say(c.info.parameter_status("application_name"), c.info.parameter_status("TimeZone"))
        c.execute("RESET ALL")
        say(c.execute("SELECT current_setting('TimeZone'), current_setting('work_mem')").fetchone())
    try:
        connect("options='-c no_such_setting=1'")
        say("no error")
    except psycopg.OperationalError as error:
        say(str(error).split("FATAL: ")[-1].strip())


@case
def tls():
    with connect(f"sslmode=verify-full sslrootcert={CA}") as connection:
        say(connection.pgconn.ssl_in_use, connection.execute("SELECT 3").fetchone())
        say(connection.execute("SELECT repeat('x', 300000)").fetchone())


TYPES = [
    ("small", [-32768, 32767]),
    ("int_", [0, -2147483648, 2147483647]),
    ("big", [-9223372036854775808, 9223372036854775807]),
    ("numeric_", [decimal.Decimal("123456789012345678901234567890.123456789"), decimal.Decimal("NaN"),
                  decimal.Decimal("-0.000001"), decimal.Decimal("Infinity")]),
    ("numeric_scaled", [decimal.Decimal("1.50000")]),
    ("real_", [1.5, float("inf")]),
    ("double_", [1.1, -1e300, 5e-324, float("nan")]),
    ("bool_", [True, False]),
    ("char_", ["abc", ""]),
    ("varchar_", ["", "it's \\ \"q\"\n\t", "\U0001f600"]),
    ("text_", ["x" * 100000, "\u00e9" * 30000]),
    ("name_", ["a name"]),
    ("bytea_", [b"", bytes(range(256)), b"\0" * 100000]),
    ("date_", [datetime.date(1, 1, 1), datetime.date(9999, 12, 31)]),
    ("time_", [datetime.time(23, 59, 59, 999999)]),
    ("timetz_", [datetime.time(1, 2, 3, tzinfo=datetime.timezone(datetime.timedelta(hours=-5)))]),
    ("timestamp_", [datetime.datetime(2024, 2, 29, 1, 2, 3, 4), datetime.datetime(1, 1, 1)]),
    ("timestamptz_", [datetime.datetime(2024, 2, 29, 1, 2, 3, 4, tzinfo=datetime.timezone.utc)]),
    ("interval_", [datetime.timedelta(days=-3, seconds=5, microseconds=7)]),
    ("uuid_", [uuid.UUID(int=2**127 + 5)]),
    ("jsonb_", [Jsonb({"a": [1, None, "\u20ac"]})]),
    ("inet_", [ipaddress.ip_address("::1"), ipaddress.ip_interface("10.0.0.1/8")]),
    ("cidr_", [ipaddress.ip_network("10.0.0.0/8")]),
    ("int_array", [[1, None, 3], [], [[1, 2], [3, 4]]]),
    ("text_array", [["a", "b,\"c\"", None, ""]]),
    ("int4range_", [Range(1, 5), Range(empty=True), Range(None, 3)]),
    ("oid_", [4294967295]),
]


def round_trip(binary):
    with connect() as connection:
        cursor = connection.cursor(binary=binary)
        cursor.execute("DELETE FROM kinds")
        for column, values in TYPES:
            for value in values + [None]:
                cursor.execute(f"INSERT INTO kinds (id, {column}) VALUES (1, {'%b' if binary and value is not None else '%s'})", (value,))
                cursor.execute(f"SELECT {column} FROM kinds WHERE id = %s", (1,))
                say(column, cursor.fetchone()[0])
                cursor.execute("DELETE FROM kinds WHERE id = 1")
        cursor.execute("SELECT * FROM kinds ORDER BY id")
        columns(cursor)
        connection.rollback()


@case
def every_type_as_text():
    round_trip(False)


@case
def every_type_as_binary():
    round_trip(True)


@case
def every_type_by_text_of_the_server():
    literals = {
        "money_": "'12.50'", "xml_": "'<a/>'", "tsvector_": "'fat:1 cat:2'", "point_": "'(1,2)'", "box_": "'(1,2),(3,4)'",
        "bit_": "B'101010101'", "varbit_": "B'1'", "macaddr_": "'08:00:2b:01:02:03'", "single_": "'x'", "json_": "'[1, {}]'",
        "tstzrange_": "'[2024-01-01 00:00+00,)'", "interval_": "'1 year 2 mons -3 days 04:05:06'",
    }
    with connect() as connection:
        cursor = connection.cursor()
        cursor.execute("DELETE FROM kinds")
        for column, literal in literals.items():
            if column == "xml_":
                attempt(cursor.execute, f"INSERT INTO kinds (id, {column}) VALUES (1, {literal})")
                connection.rollback()
                cursor.execute("DELETE FROM kinds")
                continue
            cursor.execute(f"INSERT INTO kinds (id, {column}) VALUES (1, {literal})")
            rows(cursor, f"SELECT {column}, {column}::text FROM kinds WHERE id = 1")
            cursor.execute("DELETE FROM kinds WHERE id = 1")
        connection.rollback()


@case
def prepared_statements():
    with connect(autocommit=True) as connection:
        cursor = connection.cursor()
        for number in range(12):
            rows(cursor, "SELECT %s::int + 1, %s::text", number, f"n{number}", prepare=True)
        connection.prepare_threshold = 0
        rows(cursor, "SELECT count(*) FROM accounts WHERE id = %s", 5)
        attempt(cursor.execute, "SELECT * FROM no_such_table WHERE id = %s", (5,), prepare=True)
        attempt(cursor.execute, "SELECT 1 / %s", (0,), prepare=True)
        attempt(cursor.execute, "SELECT %s::int", ("not a number",), prepare=True)
        cursor.execute("DEALLOCATE ALL")
        rows(cursor, "SELECT %s::int + 1, %s::text", 5, "again", prepare=True)


@case
def plans_after_a_change_of_table():
    with connect(autocommit=True) as connection:
        cursor = connection.cursor()
        cursor.execute("DROP TABLE IF EXISTS changing")
        cursor.execute("CREATE TABLE changing (a int)")
        cursor.execute("INSERT INTO changing VALUES (1)")
        rows(cursor, "SELECT * FROM changing WHERE a = %s", 1, prepare=True)
        cursor.execute("ALTER TABLE changing ADD b text DEFAULT 'x'")
        attempt(cursor.execute, "SELECT * FROM changing WHERE a = %s", (1,), prepare=True)
        cursor.execute("DROP TABLE changing")


@case
def nulls_and_empty():
    with connect() as connection:
        cursor = connection.cursor()
        cursor.execute("DELETE FROM accounts")
        cursor.execute("INSERT INTO accounts (id, owner, note) VALUES (1, %s, %s), (2, '', '')", (None, None))
        rows(cursor, "SELECT id, owner, note FROM accounts WHERE owner IS NULL")
        rows(cursor, "SELECT id, owner, note FROM accounts WHERE owner IS NOT DISTINCT FROM %s::text ORDER BY id", None)
        cursor.execute("SELECT")
        say(cursor.description, cursor.fetchall())
        connection.rollback()


@case
def many_rows():
    with connect() as connection:
        cursor = connection.cursor()
        cursor.execute("DELETE FROM accounts")
        cursor.executemany(
            "INSERT INTO accounts (id, owner, balance) VALUES (%s, %s, %s)",
            [(n, f"owner {n}", decimal.Decimal(n) / 4) for n in range(1, 1001)],
        )
        say(cursor.rowcount)
        connection.commit()
        rows(cursor, "SELECT count(*), sum(balance), min(id), max(id) FROM accounts")
        rows(cursor, "SELECT * FROM accounts WHERE id = ANY(%s) ORDER BY id", [5, 70, 700])
        rows(cursor, "SELECT id FROM accounts ORDER BY id DESC LIMIT 3")
        cursor.executemany(
            "UPDATE accounts SET balance = 0 WHERE id = %s RETURNING id", [(1,), (2,), (3,)], returning=True
        )
        while True:
            say(cursor.fetchall())
            if not cursor.nextset():
                break
        cursor.execute("DELETE FROM accounts WHERE id <= 10")
        say(cursor.rowcount, cursor.statusmessage)
        connection.commit()


@case
def server_cursors():
    with connect() as connection:
        connection.execute("DELETE FROM accounts")
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO accounts (id) VALUES (%s)", [(n,) for n in range(100)])
        with connection.cursor("named") as cursor:
            cursor.execute("SELECT id FROM accounts ORDER BY id")
            say(cursor.fetchone(), cursor.fetchmany(5), len(cursor.fetchall()))
        with connection.cursor("moving", scrollable=True) as cursor:
            cursor.execute("SELECT id FROM accounts ORDER BY id")
            cursor.scroll(50)
            say(cursor.fetchone())
            cursor.scroll(3, mode="absolute")
            say(cursor.fetchone())
            attempt(cursor.scroll, -50)
        connection.rollback()
        with connection.cursor("kept", withhold=True) as cursor:
            cursor.itersize = 7
            cursor.execute("SELECT generate_series(1, 20)")
            connection.commit()
            say([row[0] for row in cursor])
        connection.commit()


@case
def streams():
    with connect() as connection:
        cursor = connection.cursor()
        total = 0
        for number, _ in cursor.stream("SELECT n, repeat('y', 200) FROM generate_series(1, 30000) n"):
            total += number
        say(total)
        stream = cursor.stream("SELECT generate_series(1, 10)")
        say(next(stream), next(stream))
        stream.close()
        rows(cursor, "SELECT 'after'")


@case
def transactions():
    with connect() as one, connect(autocommit=True) as two:
        one.execute("DELETE FROM accounts")
        one.commit()
        with one.transaction():
            one.execute("INSERT INTO accounts (id, balance) VALUES (1, 10), (2, 20), (3, 30)")
            say(two.execute("SELECT count(*) FROM accounts").fetchone())
        say(two.execute("SELECT count(*) FROM accounts").fetchone())
        try:
            with one.transaction():
                one.execute("UPDATE accounts SET balance = 0 WHERE id = 1")
                raise psycopg.Rollback()
        except psycopg.Rollback:
            say("rolled back")
        with one.transaction():
            with one.transaction():
                one.execute("UPDATE accounts SET balance = 1 WHERE id = 1")
            with one.transaction() as nested:
                one.execute("UPDATE accounts SET balance = 2 WHERE id = 2")
                raise psycopg.Rollback(nested)
        say(two.execute("SELECT id, balance FROM accounts ORDER BY id").fetchall())
        attempt(one.execute, "SELECT 1/0")
        say(one.info.transaction_status.name)
        attempt(one.execute, "SELECT 1")
        one.rollback()
        say(one.info.transaction_status.name)


@case
def isolation():
    for level in psycopg.IsolationLevel:
        with connect() as one, connect(autocommit=True) as two:
            two.execute("DELETE FROM accounts")
            two.execute("INSERT INTO accounts (id, balance) VALUES (7, 1)")
            one.isolation_level = level
            try:
                say(one.execute("SHOW transaction_isolation").fetchone())
                say(one.execute("SELECT balance FROM accounts WHERE id = 7").fetchone())
                two.execute("UPDATE accounts SET balance = 2 WHERE id = 7")
                say(one.execute("SELECT balance FROM accounts WHERE id = 7").fetchone())
                one.execute("UPDATE accounts SET balance = 3 WHERE id = 7")
                one.commit()
            except psycopg.Error as error:
                told(error)
                one.rollback()
            one.read_only, one.deferrable = True, True
            attempt(one.execute, "DELETE FROM accounts")
            one.rollback()


@case
def errors():
    with connect(autocommit=True) as connection:
        connection.execute("DELETE FROM accounts")
        connection.execute("INSERT INTO accounts (id) VALUES (1)")
        for statement in [
            "SELEC 1",
            "SELECT * FROM no_such_table",
            "SELECT no_such_column FROM accounts",
            "SELECT 1 FROM accounts WHERE id = 'x'",
            "INSERT INTO accounts (id) VALUES (1)",
            "INSERT INTO accounts (id, balance) VALUES (2, NULL)",
            "INSERT INTO accounts (id, owner) VALUES (2, repeat('x', 100))",
            "SELECT no_such_function(1)",
            "SELECT 1 +",
            "SELECT (SELECT 1 UNION SELECT 2)",
            "DO $$ BEGIN RAISE EXCEPTION 'mine' USING ERRCODE = 'AB123', DETAIL = 'd', HINT = 'h', TABLE = 't'; END $$",
            "SET no_such_setting = 1",
            "SET timezone = 'Nowhere/Land'",
            "CREATE TABLE numbered (id int)",
            "DROP TABLE no_such_table",
            "SELECT 'a' 'b'",
            "SELECT \"",
            "COMMIT",
            "ROLLBACK TO a",
            "FETCH 1 FROM no_such_cursor",
            "EXECUTE no_such_statement",
            "SELECT * FROM accounts FOR UPDATE NOWAIT SKIP",
            "SELECT 1; SELECT * FROM no_such_table; SELECT 2",
        ]:
            attempt(connection.execute, statement)
        say(connection.execute("SELECT 'still here'").fetchone())


@case
def notices():
    with connect(autocommit=True) as connection:
        connection.add_notice_handler(lambda d: say(d.severity, d.sqlstate, d.message_primary, d.message_detail))
        connection.execute("DROP TABLE IF EXISTS no_such_table")
        connection.execute("DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two' USING DETAIL = 'more'; END $$")
        connection.execute("SET client_min_messages = error")
        connection.execute("DO $$ BEGIN RAISE NOTICE 'three'; END $$")
        connection.execute("ROLLBACK")


@case
def several_statements():
    with connect(autocommit=True) as connection:
        cursor = connection.execute("SELECT 1; SELECT 2, 'x'; SET work_mem = '6MB'; SHOW work_mem; DELETE FROM accounts; ; SELECT 3")
        while True:
            say(cursor.statusmessage.split(" ")[0], cursor.fetchall() if cursor.description else None)
            if not cursor.nextset():
                break
        connection.execute("DELETE FROM accounts")
        attempt(connection.execute, "INSERT INTO accounts (id) VALUES (1); SELECT 1/0")
        say(connection.execute("SELECT count(*) FROM accounts").fetchone())
        connection.execute("BEGIN; INSERT INTO accounts (id) VALUES (1); COMMIT; INSERT INTO accounts (id) VALUES (2)")
        say(connection.execute("SELECT id FROM accounts ORDER BY id").fetchall())


@case
def pipelines():
    with connect(autocommit=True) as connection:
        connection.execute("DELETE FROM accounts")
        with connection.pipeline() as pipeline:
            cursors = [connection.execute("SELECT %s::int", (n,)) for n in range(50)]
            connection.execute("INSERT INTO accounts (id) VALUES (1)")
            pipeline.sync()
            say([cursor.fetchone()[0] for cursor in cursors])
            one = connection.execute("SELECT 'before'")
            try:
                with connection.transaction():
                    connection.execute("INSERT INTO accounts (id) VALUES (2)")
                    connection.execute("SELECT 1/0")
                    connection.execute("INSERT INTO accounts (id) VALUES (3)")
                    pipeline.sync()
            except psycopg.Error as error:
                told(error)
            say(one.fetchone())
        say(connection.execute("SELECT id FROM accounts ORDER BY id").fetchall())
        with connection.pipeline():
            for number in range(10, 60):
                connection.execute("INSERT INTO accounts (id) VALUES (%s)", (number,))
        say(connection.execute("SELECT count(*), min(id), max(id) FROM accounts").fetchone())


@case
def copy():
    with connect() as connection:
        cursor = connection.cursor()
        cursor.execute("DROP TABLE IF EXISTS copied")
        cursor.execute("CREATE TABLE copied (id int, name text, at timestamp, data bytea)")
        with cursor.copy("COPY copied FROM STDIN") as copy:
            for n in range(5000):
                copy.write_row((n, f"n\t{n}\\", datetime.datetime(2024, 1, 1), None))
        say(cursor.rowcount, cursor.statusmessage)
        with cursor.copy("COPY copied FROM STDIN WITH (FORMAT binary)") as copy:
            copy.set_types(["int4", "text", "timestamp", "bytea"])
            for n in range(5000, 5100):
                copy.write_row((n, None, datetime.datetime(2024, 1, 1), b"\0\1"))
        rows(cursor, "SELECT count(*), sum(id), count(data) FROM copied")
        with cursor.copy("COPY (SELECT id, name FROM copied WHERE id < 5 ORDER BY id) TO STDOUT") as copy:
            for row in copy.rows():
                say(row)
        with cursor.copy("COPY (SELECT * FROM copied ORDER BY id) TO STDOUT WITH (FORMAT csv)") as copy:
            say(b"".join(bytes(part) for part in copy))
        connection.commit()

        def bad():
            with cursor.copy("COPY copied (id) FROM STDIN") as copy:
                copy.write("1\nnot a number\n")

        attempt(bad)
        connection.rollback()

        def given_up():
            with cursor.copy("COPY copied (id) FROM STDIN") as copy:
                copy.write("1\n")
                raise KeyError("given up")

        try:
            given_up()
        except KeyError as error:
            say(str(error))
        connection.rollback()
        attempt(lambda: cursor.copy("COPY no_such_table FROM STDIN").__enter__())
        connection.rollback()
        cursor.execute("DELETE FROM accounts")
        try:
            with cursor.copy("COPY accounts (id, owner) FROM STDIN") as copy:
                for n in range(100):
                    copy.write_row((n, f"o{n}"))
            rows(cursor, "SELECT count(*), max(id) FROM accounts")
        except psycopg.Error as error:
            told(error)
        connection.rollback()
        cursor.execute("DROP TABLE copied")
        connection.commit()


@case
def notifications():
    with connect(autocommit=True) as one, connect(autocommit=True) as two:
        one.execute("LISTEN drivers")
        two.execute("NOTIFY drivers, 'first'")
        two.execute("SELECT pg_notify('drivers', 'second'), pg_notify('others', 'not heard')")
        for notify in one.notifies(timeout=20, stop_after=2):
            say(notify.channel, notify.payload)
        with two.transaction():
            two.execute("NOTIFY drivers, 'third'")
        for notify in one.notifies(timeout=20, stop_after=1):
            say(notify.channel, notify.payload)
        one.execute("NOTIFY drivers, 'to myself'")
        for notify in one.notifies(timeout=20, stop_after=1):
            say(notify.channel, notify.payload)
        one.execute("UNLISTEN *")
        two.execute("NOTIFY drivers, 'not heard'")
        say(list(one.notifies(timeout=0.3)))


@case
def cancelling():
    with connect(autocommit=True) as connection, connect(autocommit=True) as other:
        failure = []

        def wait():
            try:
                connection.execute("SELECT pg_sleep(30)")
            except psycopg.Error as error:
                failure.append((type(error).__name__, error.diag.sqlstate, error.diag.message_primary))

        thread = threading.Thread(target=wait)
        thread.start()
        while not failure:
            if other.execute("SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(30)' AND datname = current_database()").fetchone()[0]:
                break
        connection.cancel_safe(timeout=20)
        thread.join()
        say(failure, connection.execute("SELECT 'alive'").fetchone())
        connection.cancel_safe(timeout=20)
        say(connection.execute("SELECT 'not disturbed'").fetchone())
        connection.execute("SET statement_timeout = 100")
        attempt(connection.execute, "SELECT pg_sleep(30)")
        connection.execute("SET statement_timeout = 0")
        with other.transaction():
            other.execute("LOCK TABLE numbered")
            connection.execute("SET lock_timeout = 100")
            attempt(connection.execute, "SELECT * FROM numbered")


@case
def settings():
    with connect() as connection, connect(autocommit=True) as other:
        cursor = connection.cursor()
        for statement, shows in [
            ("SET TIME ZONE 'America/New_York'", "SELECT timestamptz '2024-01-01 00:00+00'::text"),
            ("SET DateStyle = 'SQL, DMY'", "SELECT date '2024-03-01'::text"),
            ("SET IntervalStyle = iso_8601", "SELECT interval '1 day 2 hours'::text"),
            ("SET search_path = pg_catalog, public", "SHOW search_path"),
            ("SET bytea_output = escape", "SELECT '\\x41ff'::bytea::text"),
            ("SELECT set_config('my.thing', 'value', false)", "SELECT current_setting('my.thing')"),
            ("SET extra_float_digits = 0", "SELECT 0.1::float8::text, 1e-10::float4::text"),
            ("SET standard_conforming_strings = off", "SELECT 'a\\\\b'"),
            ("RESET ALL", "SELECT current_setting('TimeZone'), current_setting('DateStyle')"),
            ("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SHOW default_transaction_isolation"),
            ("DISCARD ALL", "SHOW default_transaction_isolation"),
        ]:
            if statement == "DISCARD ALL":
                connection.autocommit = True
            cursor.execute(statement)
            if not connection.autocommit:
                connection.commit()
            rows(cursor, shows)
            if not connection.autocommit:
                connection.commit()
            say(other.execute("SELECT current_setting('TimeZone'), nullif(current_setting('my.thing', true), '')").fetchone())
            say([connection.info.parameter_status(name) for name in ["TimeZone", "DateStyle", "IntervalStyle", "standard_conforming_strings"]])
        connection.autocommit = False
        cursor.execute("SET work_mem = '7MB'")
        connection.rollback()
        rows(cursor, "SHOW work_mem")
        cursor.execute("SET LOCAL work_mem = '8MB'")
        rows(cursor, "SHOW work_mem")
        connection.commit()
        rows(cursor, "SHOW work_mem")


@case
def session_state():
    with connect(autocommit=True) as one, connect(autocommit=True) as two:
        one.execute("CREATE TEMPORARY TABLE passing (a int)")
        one.execute("INSERT INTO passing VALUES (1)")
        attempt(two.execute, "SELECT * FROM passing")
        say(one.execute("SELECT * FROM passing").fetchall())
        say(one.execute("SELECT pg_try_advisory_lock(5)").fetchone(), two.execute("SELECT pg_try_advisory_lock(5)").fetchone())
        one.execute("DISCARD ALL")
        attempt(one.execute, "SELECT * FROM passing")
        say(two.execute("SELECT pg_try_advisory_lock(5)").fetchone())
        say(two.execute("SELECT pg_advisory_unlock(5), pg_advisory_unlock(5)").fetchone())
        one.execute("PREPARE p (int) AS SELECT $1 + 1")
        say(one.execute("EXECUTE p(5)").fetchone())
        attempt(two.execute, "EXECUTE p(5)")
        one.execute("DECLARE held CURSOR WITH HOLD FOR SELECT generate_series(1, 5)")
        say(one.execute("FETCH 2 FROM held").fetchall(), one.execute("FETCH ALL FROM held").fetchall())
        one.execute("CLOSE held")


@case
def functions_and_procedures():
    with connect(autocommit=True) as connection:
        connection.execute("CREATE OR REPLACE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT n * 2'")
        connection.execute("CREATE OR REPLACE PROCEDURE counted(INOUT n int) LANGUAGE plpgsql AS 'BEGIN n := n + 1; END'")
        connection.execute("CREATE OR REPLACE FUNCTION several() RETURNS TABLE (a int, b text) LANGUAGE sql AS $$VALUES (1, 'x'), (2, 'y')$$")
        say(connection.execute("SELECT twice(%s)", (21,)).fetchone())
        say(connection.execute("CALL counted(%s)", (5,)).fetchone())
        say(connection.execute("SELECT * FROM several() ORDER BY a").fetchall())
        say(connection.execute("SELECT several()").fetchall())
        connection.execute("DROP FUNCTION twice, several")
        connection.execute("DROP PROCEDURE counted")


@case
def numbered_rows():
    with connect() as connection:
        cursor = connection.cursor()
        cursor.execute("DELETE FROM numbered")
        cursor.execute("ALTER TABLE numbered ALTER id RESTART WITH 10")
        rows(cursor, "INSERT INTO numbered (label) VALUES ('a'), ('b') RETURNING id, label")
        rows(cursor, "SELECT lastval(), currval('numbered_id_seq')")
        connection.commit()
        rows(cursor, "SELECT lastval()")
        connection.rollback()
        cursor.execute("INSERT INTO accounts (id, note) VALUES (100, 'x') ON CONFLICT (id) DO UPDATE SET note = 'y'")
        rows(cursor, "UPDATE accounts SET balance = balance + 1 WHERE id = 100 RETURNING id, balance")
        rows(cursor, "DELETE FROM accounts WHERE id = 100 RETURNING *")
        connection.rollback()


@case
def metadata():
    with connect() as connection:
        cursor = connection.cursor(row_factory=dict_row)
        for statement in [
            "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1",
            "SELECT column_name, data_type, udt_name, is_nullable, column_default, numeric_precision"
            " FROM information_schema.columns WHERE table_name = 'kinds' ORDER BY ordinal_position",
            "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull FROM pg_class c JOIN"
            " pg_attribute a ON a.attrelid = c.oid WHERE c.relname = 'entries' AND a.attnum > 0 ORDER BY a.attnum",
            "SELECT conname, contype, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'entries'::regclass ORDER BY 1",
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'accounts' ORDER BY 1",
            "SELECT to_regclass('accounts')::text, to_regclass('no_such_table')::text, 'int4'::regtype::text",
            "SELECT current_schema(), current_schemas(false)",
            "SELECT typname, typlen, typtype FROM pg_type WHERE oid IN (16, 20, 1700) ORDER BY oid",
            "SHOW server_version_num",
            "SELECT version() ~ '^PostgreSQL'",
        ]:
            rows(cursor, statement)
            columns(cursor)
        info = psycopg.types.TypeInfo.fetch(connection, "numeric")
        say(info.name, info.oid, info.array_oid)


@case
def types_of_the_application():
    from psycopg.types.composite import CompositeInfo, register_composite
    from psycopg.types.enum import EnumInfo

    with connect(autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS moods; DROP TYPE IF EXISTS mood, pair")
        connection.execute("CREATE TYPE mood AS ENUM ('sad', 'ok')")
        connection.execute("CREATE TYPE pair AS (a int, b text)")
        connection.execute("CREATE TABLE moods (m mood, p pair, ps pair[])")
        register_composite(CompositeInfo.fetch(connection, "pair"), connection)
        say(EnumInfo.fetch(connection, "mood").labels)
        connection.execute("INSERT INTO moods VALUES ('ok', (1, 'x'), ARRAY[(2, 'y')::pair])")
        say(str(connection.execute("SELECT * FROM moods").fetchone()))
        attempt(connection.execute, "INSERT INTO moods (m) VALUES (%s)", ("happy",))
        connection.execute("DROP TABLE moods; DROP TYPE mood, pair")


@case
def two_phases():
    with connect() as connection:
        connection.execute("DELETE FROM accounts")
        connection.commit()
        identity = connection.xid(1, DATABASE, "matrix")

        def work():
            connection.tpc_begin(identity)
            connection.execute("INSERT INTO accounts (id) VALUES (1)")
            connection.tpc_prepare()
            connection.tpc_commit()

        attempt(work)
        if connection.info.transaction_status.name != "IDLE":
            connection.rollback()
        say(connection.execute("SELECT count(*) FROM accounts").fetchone())


@case
def broken_and_opened_again():
    with connect(autocommit=True) as connection:
        attempt(connection.execute, "SELECT pg_terminate_backend(pg_backend_pid())")
    with connect(autocommit=True) as connection:
        say(connection.execute("SELECT 'back'").fetchone())


@case
def pool():
    with psycopg_pool.ConnectionPool(LOGIN, min_size=1, max_size=4, kwargs=dict(autocommit=True)) as crowd:
        wrong = []

        def work(number):
            for turn in range(20):
                with crowd.connection() as connection:
                    mine = f"{number}/{turn}"
                    connection.execute("SELECT set_config('my.thing', %s, false)", (mine,))
                    found = connection.execute("SELECT current_setting('my.thing')").fetchone()[0]
                    if found != mine:
                        wrong.append((mine, found))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        say(wrong)


@case
def asynchronous():
    async def main():
        async with await psycopg.AsyncConnection.connect(LOGIN, autocommit=True) as connection:
            async with connection.cursor() as cursor:
                await cursor.execute("SELECT %s::int", (5,))
                say(await cursor.fetchone())
            try:
                await asyncio.wait_for(connection.execute("SELECT pg_sleep(30)"), 1)
            except asyncio.TimeoutError:
                say("too long")
            say(await (await connection.execute("SELECT 'alive'")).fetchone())

    asyncio.run(main())


@case
def identifiers():
    with connect() as connection:
        connection.execute(sql.SQL("CREATE TEMPORARY TABLE {} ({} int)").format(sql.Identifier('od"d Näme'), sql.Identifier("Select")))
        cursor = connection.execute(sql.SQL("SELECT {} FROM {}").format(sql.Identifier("Select"), sql.Identifier('od"d Näme')))
        columns(cursor)
        connection.rollback()


@case
def queries_over_rows():
    with connect(autocommit=True) as connection:
        cursor = connection.cursor()
        cursor.execute("DELETE FROM entries")
        cursor.execute("DELETE FROM accounts")
        cursor.executemany(
            "INSERT INTO accounts (id, owner, balance) VALUES (%s, %s, %s)", [(n, f"o{n % 4}", n * 10) for n in range(1, 21)]
        )
        cursor.executemany(
            "INSERT INTO entries (account_id, n, amount, made) VALUES (%s, %s, %s, %s)",
            [(a, n, a + n, datetime.datetime(2024, 1, n, 12)) for a in range(1, 21) for n in range(1, 4)],
        )
        for statement in [
            "SELECT a.id, SUM(e.amount) FROM accounts a JOIN entries e ON e.account_id = a.id WHERE a.id = 7 GROUP BY a.id",
            "SELECT a.id, COUNT(*) FROM accounts a JOIN entries e ON e.account_id = a.id GROUP BY a.id ORDER BY a.id",
            "SELECT COUNT(*), SUM(balance), MIN(balance), MAX(balance) FROM accounts",
            "SELECT id, balance FROM accounts WHERE balance BETWEEN 30 AND 90 ORDER BY balance DESC, id",
            "SELECT made, COUNT(*), SUM(amount) FROM entries GROUP BY made ORDER BY made",
            "SELECT DISTINCT made FROM entries ORDER BY made DESC LIMIT 2",
            "SELECT AVG(balance) FROM accounts",
            "SELECT owner, COUNT(*) FROM accounts GROUP BY owner ORDER BY owner",
            "SELECT DISTINCT ON (made) made, account_id FROM entries ORDER BY made, account_id",
            "SELECT id FROM accounts WHERE id IN (SELECT account_id FROM entries WHERE amount > 20) ORDER BY id",
            "SELECT a.id, c.code FROM accounts a JOIN currencies c ON c.code = 'EUR' WHERE a.id < 4 ORDER BY a.id",
            "WITH big AS (SELECT * FROM accounts WHERE balance > 150) SELECT count(*) FROM big",
            "SELECT id, row_number() OVER (ORDER BY id DESC) FROM accounts WHERE id < 4 ORDER BY id",
        ]:
            say(statement)
            try:
                cursor.execute(statement)
                columns(cursor)
                for row in cursor.fetchall():
                    say(row)
            except psycopg.Error as error:
                told(error)


run("psycopg")
