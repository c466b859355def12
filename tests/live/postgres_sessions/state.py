"""A session's state on shared backends: PORT DATABASE SHARD_PORT SHARD_USER SHARD_PASSWORD. No session sees another's."""

import sys
import threading
import time

import psycopg
from psycopg import errors

port, database = sys.argv[1:3]
mesh = dict(host="127.0.0.1", port=port, user="app", password="app", dbname=database, autocommit=True)


def connect(**more):
    return psycopg.connect(**{**mesh, **more})


def show(connection, name):
    return connection.execute(f"SHOW {name}").fetchone()[0]


def fails(error, connection, sql, values=None):
    try:
        connection.execute(sql, values)
    except error:
        return
    raise AssertionError(f"{sql}: no {error.__name__}")


def settings():
    one, other = connect(), connect()
    one.execute("SET timezone = 'Asia/Tokyo'; SET work_mem = '7MB'")
    one.execute("SET app.tenant = 'x''y'")
    assert one.info.parameter_status("TimeZone") == "Asia/Tokyo"
    for _ in range(4):
        assert show(other, "timezone") != "Asia/Tokyo" and show(other, "work_mem") != "7MB"
        assert not other.execute("SELECT current_setting('app.tenant', true)").fetchone()[0]
        assert show(one, "timezone") == "Asia/Tokyo" and show(one, "work_mem") == "7MB"
        assert one.execute("SELECT current_setting('app.tenant')").fetchone()[0] == "x'y"
    one.execute("BEGIN; SET work_mem = '9MB'")
    one.execute("SET LOCAL statement_timeout = '3s'")
    one.execute("SET timezone = 'Europe/Berlin'")
    assert one.info.parameter_status("TimeZone") == "Europe/Berlin"
    one.execute("ROLLBACK")
    assert one.info.parameter_status("TimeZone") == "Asia/Tokyo"
    assert show(one, "work_mem") == "7MB" and show(one, "statement_timeout") == "0"
    one.execute("RESET ALL")
    assert show(one, "work_mem") == "4MB"
    one.execute("SELECT set_config('work_mem', '8MB', false)")
    other.execute("SELECT 1")
    assert show(one, "work_mem") == "8MB"
    fails(errors.InvalidParameterValue, one, "SET work_mem = 'nonsense'")


def startup_settings():
    one, other = connect(options="-c work_mem=6MB -c timezone=UTC", application_name="shop"), connect()
    for _ in range(3):
        assert show(one, "work_mem") == "6MB" and show(other, "work_mem") == "4MB"
        assert show(one, "application_name") == "shop"
    one.execute("SET work_mem = '1MB'")
    one.execute("RESET work_mem")
    other.execute("SELECT 1")
    assert show(one, "work_mem") == "6MB"
    one.execute("SET timezone = 'Asia/Tokyo'")
    one.execute("DISCARD ALL")
    assert show(one, "timezone") == "UTC"
    try:
        connect(options="-c work_mem=bad")
        raise AssertionError("a bad setting at the start")
    except psycopg.OperationalError as error:
        assert "work_mem" in str(error), error


def pins():
    one, other = connect(), connect()
    one.execute("CREATE TEMP TABLE mine (a int)")
    for _ in range(3):
        other.execute("SELECT 1")
        one.execute("INSERT INTO mine VALUES (1)")
    assert one.execute("SELECT count(*) FROM mine").fetchone() == (3,)
    fails(errors.UndefinedTable, other, "SELECT * FROM mine")
    one.execute("DROP TABLE mine")
    one.execute("CREATE TYPE pg_temp.mood AS ENUM ('sad', 'happy')")
    for _ in range(3):
        other.execute("SELECT 1")
        assert one.execute("SELECT 'sad'::mood < 'happy'").fetchone() == (True,)
    fails(errors.UndefinedObject, other, "SELECT 'sad'::mood")
    one.close()
    listener = connect()
    listener.execute("LISTEN channel")
    other.execute("NOTIFY channel, 'hello'")
    assert [note.payload for note in listener.notifies(timeout=10, stop_after=1)] == ["hello"]
    listener.close()
    holder = connect()
    holder.execute("SELECT pg_advisory_lock(7)")
    assert other.execute("SELECT pg_try_advisory_lock(7)").fetchone() == (False,)
    holder.close()
    end = time.monotonic() + 20
    while not other.execute("SELECT pg_try_advisory_lock(7)").fetchone()[0]:
        assert time.monotonic() < end, "the lock outlives its session"
        time.sleep(0.05)
    other.execute("SELECT pg_advisory_unlock(7)")
    keeper = connect()
    keeper.execute("PREPARE plus (int) AS SELECT $1 + 1")
    for _ in range(3):
        other.execute("SELECT 1")
        assert keeper.execute("EXECUTE plus(5)").fetchone() == (6,)
    fails(errors.InvalidSqlStatementName, other, "EXECUTE plus(5)")
    for _ in range(5):
        fresh = connect()
        assert fresh.execute("SELECT count(*) FROM pg_listening_channels()").fetchone() == (0,)
        fails(errors.UndefinedTable, fresh, "SELECT * FROM mine")
        fresh.close()


def functions_leave_nothing():
    one, other = connect(), connect()
    one.execute(
        "CREATE OR REPLACE FUNCTION leaky() RETURNS int LANGUAGE plpgsql AS $$ BEGIN"
        " PERFORM set_config('app.leak', '1', false); CREATE TEMP TABLE leak (a int); RETURN 1; END $$"
    )
    for simple in (True, False):
        cursor = psycopg.ClientCursor(one) if simple else psycopg.Cursor(one)
        cursor.execute("SELECT leaky() WHERE 1 = %s", (1,))
        for _ in range(4):
            assert not other.execute("SELECT current_setting('app.leak', true)").fetchone()[0]
            fails(errors.UndefinedTable, other, "SELECT * FROM leak")


def transactions():
    one = connect()
    status = psycopg.pq.TransactionStatus
    one.execute("SELECT 1; SELECT 2; BEGIN; SELECT 3")
    assert one.info.transaction_status == status.INTRANS
    one.execute("COMMIT")
    assert one.info.transaction_status == status.IDLE
    one.execute("BEGIN")
    one.execute("SAVEPOINT a")
    fails(errors.DivisionByZero, one, "SELECT 1/0")
    fails(errors.InFailedSqlTransaction, one, "SELECT 1")
    one.execute("ROLLBACK TO a")
    one.execute("SELECT 1")
    one.execute("COMMIT")
    one.execute("COMMIT")
    fails(errors.NoActiveSqlTransaction, one, "SAVEPOINT x")
    one.execute("BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT 1")
    one.execute("COMMIT AND CHAIN")
    assert show(one, "transaction_isolation") == "serializable"
    one.execute("ROLLBACK")
    one.execute("BEGIN READ ONLY")
    fails(errors.ReadOnlySqlTransaction, one, "CREATE TABLE never (a int)")
    one.execute("ROLLBACK")


def cancels():
    one = connect()
    one.execute("BEGIN")
    threading.Timer(0.3, one.cancel).start()
    fails(errors.QueryCanceled, one, "SELECT pg_sleep(30)")
    one.execute("ROLLBACK")
    one.cancel()
    for _ in range(20):
        assert one.execute("SELECT 1").fetchone() == (1,)
    # Cancels that come while BEGIN is on its way: the statement behind it never runs outside the transaction.
    one.execute("CREATE TABLE IF NOT EXISTS kept (a int)")
    for round in range(60):
        timer = threading.Timer(0.0002 * (round % 8), one.cancel)
        one.execute("BEGIN")
        timer.start()
        try:
            one.execute("INSERT INTO kept VALUES (1)")
        except errors.QueryCanceled:
            pass
        timer.join()
        while True:
            try:
                one.execute("ROLLBACK")
                break
            except errors.QueryCanceled:
                pass
    time.sleep(0.2)
    assert connect().execute("SELECT count(*) FROM kept").fetchone() == (0,)


def copies():
    with connect(autocommit=False) as one:
        one.execute("CREATE TABLE IF NOT EXISTS copied (a int, b text)")
        with one.cursor().copy("COPY copied FROM STDIN") as copy:
            for number in range(20000):
                copy.write_row((number, "x" * 50))
        with one.cursor().copy("COPY copied TO STDOUT") as copy:
            assert sum(1 for _ in copy.rows()) == 20000
        one.commit()
        try:
            with one.cursor().copy("COPY copied FROM STDIN") as copy:
                copy.write("bad\tx\ty\n")
            raise AssertionError("no error")
        except errors.BadCopyFileFormat:
            one.rollback()
        assert one.execute("SELECT count(*) FROM copied").fetchone() == (20000,)


for check in (settings, startup_settings, pins, functions_leave_nothing, transactions, cancels, copies):
    check()
    print(check.__name__)
print("good")
