"""The cases of pg8000: by PEP 249 and by its own interface."""

import datetime
import decimal
import io
import ssl
import uuid

import pg8000.dbapi
import pg8000.native

from case import CA, DATABASE, HOST, PASSWORD, PORT, USER, case, run, say

LOGIN = dict(host=HOST, port=PORT, user=USER, password=PASSWORD, database=DATABASE)


def native(**more):
    return pg8000.native.Connection(**{**LOGIN, **more})


def told(error):
    fields = error.args[0] if error.args and isinstance(error.args[0], dict) else {"M": str(error)}
    # File, line and routine of the server's source stay out: they are the server's own.
    say(type(error).__name__, {key: value for key, value in sorted(fields.items()) if key not in "FLR"})


def attempt(action, *arguments, **named):
    try:
        action(*arguments, **named)
        say("no error")
    except (pg8000.native.Error, pg8000.dbapi.Error) as error:
        told(error)


@case
def login():
    with native() as connection:
        say(connection.run("SELECT 1 + 1"))
        for name in ["server_encoding", "TimeZone", "DateStyle", "is_superuser"]:
            say(name, connection.parameter_statuses[name])
    with native(application_name="mine") as connection:
        say(connection.run("SELECT current_setting('application_name')"))
    attempt(lambda: native(password="wrong"))
    attempt(lambda: native(database="no_such_database"))


@case
def tls():
    with native(ssl_context=ssl.create_default_context(cafile=CA)) as connection:
        say(connection.run("SELECT length(repeat('x', 300000))"))


@case
def types():
    with native() as connection:
        connection.run("DELETE FROM kinds")
        for column, value in {
            "small": 1, "big": -(2**63), "numeric_": decimal.Decimal("1.500"), "double_": 1e-300, "bool_": True,
            "text_": "it's \\ \u20ac", "bytea_": bytes(range(256)), "date_": datetime.date(2024, 2, 29),
            "time_": datetime.time(1, 2, 3), "timestamp_": datetime.datetime(2024, 1, 1, 2, 3, 4, 5),
            "timestamptz_": datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc),
            "interval_": datetime.timedelta(days=3), "uuid_": uuid.UUID(int=5), "int_array": [1, None, 2],
            "text_array": ["a", "b,c"],
        }.items():
            for given in [value, None]:
                connection.run(f"INSERT INTO kinds (id, {column}) VALUES (1, :value)", value=given)
                say(column, connection.run(f"SELECT {column} FROM kinds WHERE id = :id", id=1))
                connection.run("DELETE FROM kinds WHERE id = 1")
        connection.run("SELECT * FROM kinds")
        for column in connection.columns:
            say({key: value for key, value in sorted(column.items()) if key not in ("table_oid",)})


@case
def prepared():
    with native() as connection:
        statement = connection.prepare("SELECT :a::int + 1, :b::text")
        for number in range(5):
            say(statement.run(a=number, b=f"n{number}"))
        statement.close()
        attempt(connection.prepare, "SELECT * FROM no_such_table")
        say(connection.run("SELECT 'alive'"))


@case
def transactions():
    one, two = pg8000.dbapi.connect(**LOGIN), pg8000.dbapi.connect(**LOGIN)
    two.autocommit = True
    cursor, other = one.cursor(), two.cursor()
    cursor.execute("DELETE FROM accounts")
    one.commit()
    cursor.executemany("INSERT INTO accounts (id, balance) VALUES (%s, %s)", [(n, n) for n in range(1, 21)])
    say(cursor.rowcount)
    other.execute("SELECT count(*) FROM accounts")
    say(other.fetchall())
    one.commit()
    other.execute("SELECT count(*), sum(balance) FROM accounts")
    say(other.fetchall())
    cursor.execute("UPDATE accounts SET balance = 0 WHERE id < 5")
    say(cursor.rowcount)
    one.rollback()
    cursor.execute("SELECT id, balance FROM accounts WHERE id < 3 ORDER BY id")
    say([column[:2] for column in cursor.description], cursor.fetchone(), cursor.fetchmany(5), cursor.fetchone())
    attempt(cursor.execute, "SELECT 1/0")
    attempt(cursor.execute, "SELECT 1")
    one.rollback()
    cursor.execute("DELETE FROM accounts")
    one.commit()
    one.close()
    two.close()


@case
def errors():
    with native() as connection:
        for sql, named in [
            ("SELEC", {}), ("SELECT * FROM no_such_table", {}), ("SELECT :a::int", {"a": "x"}), ("SELECT 1; SELECT 2", {}),
            ("INSERT INTO accounts (id, balance) VALUES (1, NULL)", {}), ("SELECT 1; SELECT :a::int", {"a": 1}),
        ]:
            attempt(connection.run, sql, **named)


@case
def copying():
    with native() as connection:
        connection.run("DROP TABLE IF EXISTS copied_by_pg8000")
        connection.run("CREATE TABLE copied_by_pg8000 (a int, b text)")
        connection.run("COPY copied_by_pg8000 FROM STDIN WITH (FORMAT csv)", stream=io.StringIO("1,a\n2,b\n"))
        say(connection.row_count)
        out = io.StringIO()
        connection.run("COPY copied_by_pg8000 TO STDOUT", stream=out)
        say(out.getvalue())
        attempt(connection.run, "COPY copied_by_pg8000 FROM STDIN", stream=io.StringIO("x\n"))
        connection.run("DROP TABLE copied_by_pg8000")


@case
def notifications_and_notices():
    with native() as one, native() as two:
        one.run("LISTEN by_pg8000")
        two.run("NOTIFY by_pg8000, 'hello'")
        for _ in range(2000):
            one.run("SELECT 1")
            if one.notifications:
                break
        say([notification[1:] for notification in one.notifications])
        one.run("DROP TABLE IF EXISTS no_such_table")
        say([{key: value for key, value in notice.items() if key in (b"C", b"M", b"S")} for notice in one.notices])


@case
def two_phases():
    connection = pg8000.dbapi.connect(**LOGIN)
    connection.rollback()
    # Another form of it, and this driver does not find again what it prepared.
    identity = connection.xid(0, f"pg8000 {DATABASE}", "")

    def work():
        connection.tpc_begin(identity)
        connection.cursor().execute("DELETE FROM numbered")
        connection.tpc_prepare()
        connection.tpc_rollback()

    attempt(work)
    connection.close()


run("pg8000")
