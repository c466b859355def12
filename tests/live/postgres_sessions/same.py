"""The same messages to the server itself and through dbmesh: PORT DATABASE SHARD_PORT SHARD_USER SHARD_PASSWORD. Every
answer is the same, message by message, wherever a session's statements run."""

import sys

from wire import COPY_DONE, FLUSH, SYNC, Wire, bind, close, copy_data, copy_fail, describe, execute, function_call, parse, query

port, database, shard_port, shard_user, shard_password, kind = sys.argv[1:7]


# Its tables are others' than those of the shard.
direct = database + "_direct"
maker = Wire(shard_port, shard_user, shard_password, database)
maker.rows(f"DROP DATABASE IF EXISTS {direct}")
maker.rows(f"CREATE DATABASE {direct}")
maker.close()


class Pair:
    """Two connections that are sent the same."""

    def __init__(self, **settings):
        self.direct = Wire(shard_port, shard_user, shard_password, direct, **settings)
        self.meshed = Wire(port, "app", "app", database, **settings)

    def same(self, *messages, until="Z", count=1, tidy=lambda answers: answers):
        expected = tidy(self.direct.ask(*messages, until=until, count=count))
        found = tidy(self.meshed.ask(*messages, until=until, count=count))
        assert found == expected, f"\nsent     {messages}\ndirect   {expected}\nthrough  {found}"
        return found

    def hop(self):
        """Another session takes the backend in between."""
        other = Wire(port, "app", "app", database)
        other.rows("BEGIN")
        other.rows("SELECT 1")
        other.rows("COMMIT")
        other.close()

    def parameters(self, *names):
        for name in names:
            assert self.meshed.parameters.get(name) == self.direct.parameters.get(name), name

    def close(self):
        self.direct.close()
        self.meshed.close()


SELECT = "SELECT n, n::text AS t FROM generate_series(1, $1::int) n"


def pipelines():
    pair = Pair()
    one = bind([3]), execute()
    pair.same(parse(SELECT), *one, SYNC)
    pair.same(parse(SELECT), describe("S"), bind([2]), describe("P"), execute(), SYNC)
    pair.same(parse(SELECT, "s"), *(bind([n], "s") + execute() for n in range(5)), SYNC)
    pair.hop()
    pair.same(bind([2], "s"), execute(), bind([1], "s"), describe("P"), execute(), SYNC)
    pair.same(describe("S", "s"), SYNC)
    # An error skips to Sync, also to one of several that are under way.
    pair.same(bind([1], "s"), execute(), parse("SELECT nothing"), bind([2], "s"), execute(), SYNC)
    pair.same(parse("SELECT 1/0"), bind(), execute(), SYNC, bind([2], "s"), execute(), SYNC, SYNC, count=3)
    # Names that are there, and that are not.
    pair.same(parse("SELECT 5", "s"), bind([2], "s"), execute(), SYNC)
    pair.same(bind([1], "never"), execute(), SYNC)
    pair.same(describe("S", "never"), SYNC)
    pair.same(describe("P", "never"), SYNC)
    pair.same(execute("never"), SYNC)
    pair.same(close("S", "never"), close("P", "never"), SYNC)
    pair.same(close("S", "s"), parse("SELECT 6", "s"), bind((), "s"), execute(), SYNC)
    pair.same(close("S", "s"), bind((), "s"), execute(), SYNC)
    # Flush instead of Sync.
    pair.same(parse(SELECT, "f"), describe("S", "f"), FLUSH, until="T")
    pair.same(bind([2], "f"), FLUSH, until="2")
    pair.same(execute(), FLUSH, until="C")
    pair.same(SYNC)
    pair.same(parse("SELECT 1/0"), bind(), execute(), FLUSH, until="E")
    pair.same(bind([2], "f"), execute(), FLUSH, SYNC)
    # Formats.
    pair.same(bind([2], "f", results=(1,)), describe("P"), execute(), SYNC)
    pair.same(bind([b"\0\0\0\2"], "f", formats=(1,), results=(1, 0)), describe("P"), execute(), SYNC)
    pair.same(parse("SELECT $1, $2", types=(23, 25)), bind([b"\0\0\0\2", "x"], formats=(1, 0)), execute(), SYNC)
    pair.same(parse("SELECT $1::int, $2::text"), bind([None, ""], formats=(0,)), execute(), SYNC)
    # Bad numbers of things.
    pair.same(bind([1, 2], "f"), execute(), SYNC)
    pair.same(bind([1], "f", results=(1, 1, 1)), execute(), SYNC)
    # Nothing to run.
    pair.same(parse(""), bind(), describe("P"), execute(), SYNC)
    pair.same(parse(" -- nothing"), describe("S"), bind(), execute(), SYNC)
    pair.same(parse("SELECT 1; SELECT 2"), bind(), execute(), SYNC)
    pair.same(SYNC)
    pair.same(SYNC, SYNC, query("SELECT 1"), count=3)
    pair.same(query("SELECT 1"), query("SELECT 2"), query("SELECT 1/0"), query("SELECT 3"), count=4)
    # A simple query forgets the unnamed statement and ends what is under way.
    pair.same(parse(SELECT), bind([1]), execute(), query("SELECT 7"))
    pair.same(bind([1]), execute(), SYNC)
    pair.close()


def portals():
    pair = Pair()
    pair.same(query("BEGIN"))
    pair.same(parse(SELECT, "s"), bind([7], "s", "p"), execute("p", 3), SYNC)
    pair.same(execute("p", 3), SYNC)
    pair.same(execute("p", 1), SYNC)
    pair.same(execute("p", 5), SYNC)
    pair.same(execute("p"), SYNC)
    pair.same(bind([4], "s", "p"), execute("p", 2), SYNC)
    pair.same(query("ROLLBACK"))
    pair.same(execute("p", 2), SYNC)
    # Outside a transaction a portal ends with Sync.
    pair.same(bind([4], "s", "q"), execute("q", 2), execute("q", 1), SYNC)
    pair.same(execute("q", 2), SYNC)
    pair.same(bind([4], "s", "q"), close("P", "q"), execute("q", 2), SYNC)
    # Several at a time.
    pair.same(query("BEGIN"))
    pair.same(bind([4], "s", "a"), bind([4], "s", "b"), execute("a", 1), execute("b", 2), execute("a", 2), SYNC)
    pair.same(describe("P", "a"), execute("b"), close("P", "a"), execute("a"), SYNC)
    pair.same(query("COMMIT"))
    # Cursors are portals.
    pair.same(query("BEGIN; DECLARE c CURSOR FOR SELECT generate_series(1, 9)"))
    pair.same(query("FETCH 2 FROM c"))
    pair.same(describe("P", "c"), execute("c", 2), SYNC)
    pair.same(query("MOVE 1 FROM c"))
    pair.same(query("FETCH ALL FROM c"))
    pair.same(query("CLOSE c"))
    pair.same(query("FETCH 1 FROM c"))
    pair.same(query("ROLLBACK"))
    # Cursors that outlive their transaction.
    pair.same(query("DECLARE h CURSOR WITH HOLD FOR SELECT generate_series(1, 5)"))
    pair.hop()
    pair.same(query("FETCH 2 FROM h"))
    pair.hop()
    pair.same(query("FETCH 2 FROM h; FETCH 2 FROM h"))
    pair.same(query("CLOSE h"))
    pair.same(query("FETCH 1 FROM h"))
    pair.close()


def several_statements():
    pair = Pair()
    pair.same(query("CREATE TABLE IF NOT EXISTS same_rows (n int PRIMARY KEY, t text)"), tidy=lambda _: None)
    pair.same(query("TRUNCATE same_rows"))
    pair.same(query("SELECT 1; SELECT 2 AS b; ; SELECT 3 WHERE false"))
    pair.same(query(";"))
    pair.same(query(""))
    for sql in (
        "INSERT INTO same_rows VALUES (1, 'a'); SELECT 1/0; SELECT 2",
        "SELECT count(*) FROM same_rows",
        "INSERT INTO same_rows VALUES (1, 'a'); COMMIT; SELECT 1/0",
        "SELECT count(*) FROM same_rows",
        "DELETE FROM same_rows",
        "BEGIN; INSERT INTO same_rows VALUES (2, 'b'); SAVEPOINT x; SELECT 1/0",
        "SELECT 1",
        "ROLLBACK TO x; SELECT t FROM same_rows",
        "COMMIT",
        "ROLLBACK",
        "BEGIN; BEGIN",
        "COMMIT; COMMIT",
        "SELECT 1; ROLLBACK; SELECT 2",
        "INSERT INTO same_rows VALUES (2, 'twice')",
        "INSERT INTO same_rows VALUES (9, 'r') RETURNING n, t",
        "SELEC 1",
        "SELECT * FROM no_such_table",
        "SELECT 'unterminated",
        "SELECT $1",
        "BEGIN ISOLATION LEVEL SERIALIZABLE; SHOW transaction_isolation",
        "COMMIT AND CHAIN; SHOW transaction_isolation; ROLLBACK AND NO CHAIN",
        "SET LOCAL work_mem = '9MB'",
        "BEGIN; SET LOCAL work_mem = '9MB'; SHOW work_mem; COMMIT; SHOW work_mem",
        "BEGIN; SET work_mem = '9MB'",
        "SHOW work_mem; ROLLBACK; SHOW work_mem",
        "SELECT set_config('work_mem', '8MB', true); SHOW work_mem",
        "SHOW work_mem",
        "SELECT set_config('work_mem', '8MB', false)",
        "SHOW work_mem",
        "RESET work_mem",
        "SHOW work_mem",
        "SET nothing.at_all = 1; SHOW nothing.at_all",
        "SET no_such_setting = 1",
        "SET client_min_messages = error",
        "ROLLBACK",
        "BEGIN; BEGIN; COMMIT; COMMIT",
        "RESET client_min_messages",
        "ROLLBACK",
        "BEGIN; SET LOCAL client_min_messages = error; BEGIN; COMMIT",
        "DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END $$",
        "SELECT pg_advisory_lock(99); SELECT pg_try_advisory_lock(99)",
        "SELECT pg_advisory_unlock(99), pg_advisory_unlock(99), pg_advisory_unlock(99)",
        "SELECT pg_advisory_unlock_all()",
        "UNLISTEN *",
        "LISTEN same_channel; NOTIFY same_channel, 'x'; UNLISTEN same_channel",
        "DISCARD ALL",
        "BEGIN",
        "DISCARD ALL",
        "ROLLBACK",
        "DEALLOCATE ALL",
        "DEALLOCATE nothing",
        "EXECUTE nothing",
        "PREPARE same_plan (int) AS SELECT $1 + 1; EXECUTE same_plan(4)",
        "EXECUTE same_plan(5)",
        "PREPARE same_plan AS SELECT 1",
        "DEALLOCATE same_plan",
        "EXECUTE same_plan(5)",
        "EXPLAIN (COSTS OFF) SELECT 1",
        "VALUES (1, 'x'), (2, NULL)",
        "TABLE same_rows",
        "SHOW ALL; SELECT 1" if False else "SHOW standard_conforming_strings",
    ):
        pair.same(query(sql), tidy=without_numbers)
        if "same_plan" not in sql and "advisory_lock(" not in sql:
            pair.hop()
    pair.close()


def without_numbers(answers):
    """The number of the process in notifications."""
    return [("A", *answer[2:]) if answer[0] == "A" else answer for answer in answers]


def settings_from_the_start():
    pair = Pair(options="-c timezone=Asia/Tokyo -c work_mem=5MB", application_name="same", DateStyle="German")
    names = ("TimeZone", "DateStyle", "application_name", "IntervalStyle", "client_encoding")
    pair.parameters(*names)
    show = [query(f"SHOW {name}") for name in ("timezone", "work_mem", "application_name", "datestyle")]

    def shown():
        for one in show:
            pair.same(one)
        pair.parameters(*names)

    shown()
    for sql in (
        "SET timezone = 'UTC'; SET work_mem = '6MB'; SET application_name = 'other'",
        "RESET timezone",
        "SET work_mem TO DEFAULT",
        "RESET ALL",
        "SET timezone = 'UTC'",
        "DISCARD ALL",
        "SET datestyle = 'SQL'",
        "RESET datestyle",
        "BEGIN",
        "SET timezone = 'UTC'",
        "RESET timezone",
        "SET work_mem = '7MB'",
        "SET work_mem TO DEFAULT",
        "SET application_name = 'inside'",
        "RESET ALL",
        "COMMIT",
        "SET work_mem = '8MB'",
        "BEGIN",
        "RESET work_mem",
        "ROLLBACK",
        "BEGIN",
        "SET LOCAL work_mem TO DEFAULT",
        "COMMIT",
    ):
        pair.same(query(sql))
        shown()
        if sql.endswith(("DEFAULT", "ALL")):
            pair.hop()
    for sql in ("SET work_mem = '9MB'", "RESET work_mem", "BEGIN", "SET timezone = 'UTC'", "RESET timezone", "COMMIT"):
        pair.same(parse(sql), bind(), execute(), SYNC)
        shown()
    pair.close()


def copies():
    pair = Pair()
    pair.same(query("CREATE TABLE IF NOT EXISTS same_copied (n int, t text)"), tidy=lambda _: None)
    pair.same(query("TRUNCATE same_copied"))
    into = "COPY same_copied FROM STDIN"
    pair.same(query(into), until="G")
    pair.same(copy_data(b"1\ta\n2\tb\n"), COPY_DONE)
    pair.same(query(into), until="G")
    pair.same(copy_data(b"3\tc\n"), copy_fail("enough"))
    pair.same(query(into), until="G")
    pair.same(copy_data(b"bad\tc\n"), copy_data(b"4\td\n"), COPY_DONE)
    pair.same(query(into + "; SELECT count(*) FROM same_copied"), until="G")
    pair.same(copy_data(b"5\te\n"), COPY_DONE)
    pair.same(query("COPY same_copied TO STDOUT"))
    pair.same(query("COPY (SELECT 1/0) TO STDOUT"))
    pair.same(query("COPY same_copied TO STDOUT (FORMAT binary)"))
    # By the extended protocol.
    pair.same(parse(into), bind(), execute(), FLUSH, until="G")
    pair.same(copy_data(b"6\tf\n"), COPY_DONE, SYNC)
    pair.same(parse(into), bind(), execute(), SYNC, until="G")
    pair.same(copy_data(b"7\tg\n"), COPY_DONE, SYNC)
    pair.same(parse(into), bind(), execute(), FLUSH, until="G")
    pair.same(copy_fail("no"), SYNC)
    pair.same(parse("COPY same_copied TO STDOUT"), bind(), execute(), SYNC)
    # Data that nobody asked for is ignored.
    pair.same(copy_data(b"8\th\n"), COPY_DONE, copy_fail("x"), query("SELECT count(*) FROM same_copied"))
    pair.same(query("BEGIN"))
    pair.same(query(into), until="G")
    pair.same(copy_data(b"x\n"), COPY_DONE)
    pair.same(query("SELECT 1"))
    pair.same(query("ROLLBACK"))
    pair.close()


def function_calls():
    pair = Pair()
    pair.same(function_call(1598, result=1), tidy=lambda answers: [answer[0] for answer in answers])  # random()
    pair.same(function_call(177, 2, 3))  # int4pl
    pair.same(function_call(154, 2, 0))  # int4div by zero
    pair.same(function_call(999999, 1))
    pair.same(query("BEGIN"))
    pair.same(function_call(177, 2, 3))
    pair.same(function_call(154, 2, 0))
    pair.same(function_call(177, 2, 3))
    pair.same(query("ROLLBACK"))
    # A large object, as libpq writes and reads it.
    pair.same(query("BEGIN"))
    for one in (pair.direct, pair.meshed):
        number = int(one.ask(function_call(957, -1))[0][1][4:])
        descriptor = int(one.ask(function_call(952, number, 0x60000))[0][1][4:])
        assert one.ask(function_call(955, descriptor, r"\x616263"))[0][1][4:] == b"3"
        assert one.ask(function_call(956, descriptor, 1, 0))[0][1][4:] == b"1"
        assert one.ask(function_call(954, descriptor, 10))[0][1][4:] == rb"\x6263"
        one.ask(function_call(953, descriptor))
        one.number = number
    pair.same(query("COMMIT"))
    for one in (pair.direct, pair.meshed):
        assert one.ask(function_call(964, one.number))[0][1][4:] == b"1"
    # In a pipeline.
    pair.same(parse(SELECT), bind([1]), execute(), function_call(177, 4, 5))
    pair.close()


def without_tables(answers):
    """The tables that columns come from."""
    return [(one[0], *((name, *rest[2:]) for name, *rest in one[1:])) if one[0] == "T" else one for one in answers]


def prepared_by_sql_and_protocol():
    pair = Pair()
    pair.same(parse("SELECT $1::int + 1", "plus"), SYNC)
    pair.same(query("EXECUTE plus(4)"))
    pair.hop()
    pair.same(query("EXECUTE plus(5); EXECUTE plus(6)"))
    pair.same(query("EXECUTE plus"))
    pair.same(query("BEGIN; EXECUTE plus(7)"))
    pair.same(query("COMMIT"))
    pair.same(parse("EXECUTE plus(8)"), bind(), execute(), SYNC)
    pair.same(parse('EXECUTE "plus"(9)', "run"), describe("S", "run"), bind((), "run"), describe("P"), execute(), SYNC)
    pair.same(close("S", "run"), SYNC)
    # Where others execute it.
    pair.hop()
    pair.same(query("EXPLAIN (COSTS OFF) EXECUTE plus(10)"))
    pair.same(query("EXPLAIN (VERBOSE, COSTS OFF) EXECUTE plus"))
    pair.same(query("EXPLAIN EXECUTE nothing(1)"))
    pair.same(parse("EXPLAIN (COSTS OFF) EXECUTE plus(11)"), describe("S"), bind(), execute(), SYNC)
    pair.same(query("CREATE TEMP TABLE made AS EXECUTE plus(12); SELECT * FROM made; DROP TABLE made"))
    pair.same(parse("CREATE TABLE made_too AS EXECUTE plus(13)"), bind(), execute(), SYNC)
    pair.same(query("SELECT * FROM made_too; DROP TABLE made_too"))
    # The names that statements have on servers are nobody's.
    for number in range(1, 40):
        for sql in (f"EXPLAIN EXECUTE dm{number:x}", f"EXECUTE dm{number:x}", f"CREATE TABLE x AS EXECUTE dm{number:x}"):
            pair.same(query(sql))
            pair.same(parse(sql), bind(), execute(), SYNC, tidy=lambda answers: [one for one in answers if one[0] in "EZ"])
    listed = "SELECT name, statement, parameter_types, from_sql FROM pg_prepared_statements ORDER BY prepare_time, name"
    pair.same(query(listed), tidy=without_tables)
    pair.same(parse("SELECT 'two'", "Two"), SYNC)
    pair.hop()
    pair.same(query(listed), tidy=without_tables)
    pair.same(parse("SELECT count(*) FROM pg_prepared_statements", "counting"), bind((), "counting"), execute(), SYNC)
    pair.same(query("DEALLOCATE plus"))
    pair.same(query("EXECUTE plus(9)"))
    pair.same(close("S", "Two"), SYNC)
    pair.same(query(listed), tidy=without_tables)
    pair.same(query("DEALLOCATE ALL"))
    pair.same(query(listed), tidy=without_tables)
    pair.same(query("PREPARE p AS SELECT 1"))
    pair.same(query(listed), tidy=without_tables)
    pair.same(bind((), "p"), describe("S", "p"), execute(), SYNC)
    pair.same(query("DEALLOCATE p"))
    pair.close()


def settings_at_the_parse():
    """Sessions with other settings give the same text and name other meanings."""
    text = "SELECT '2024-02-01 00:00'::timestamptz, '01/02/2024'::date, '1 2'::interval, n FROM shape"
    pairs = []
    zones = ("UTC", "Asia/Tokyo", "UTC", "America/Lima")
    for number, zone in enumerate(zones):
        style = "SQL, DMY" if number % 2 else "ISO, MDY"
        pairs.append(Pair(TimeZone=zone, DateStyle=style, search_path=f"shape{number % 2}", application_name=f"s{number}"))
    for number, kind in enumerate(("int", "text")):
        pairs[number].same(query(f"CREATE SCHEMA IF NOT EXISTS shape{number}"), tidy=lambda _: None)
        pairs[number].same(query(f"CREATE TABLE IF NOT EXISTS shape (n {kind})"), tidy=lambda _: None)
        pairs[number].same(query("DELETE FROM shape; INSERT INTO shape VALUES ('7')"), tidy=lambda _: None)
    for pair in pairs:
        pair.same(parse(text, "s"), describe("S", "s"), bind((), "s"), execute(), SYNC)
    for pair in (*pairs, *reversed(pairs)):
        pair.same(bind((), "s"), execute(), SYNC)
        pair.same(query("SET work_mem = '6MB'"))
        pair.same(bind((), "s"), describe("P"), execute(), SYNC)
    pairs[0].same(query("SET timezone = 'Asia/Tokyo'"))
    pairs[0].same(parse(text, "t"), bind((), "t"), execute(), SYNC)
    for pair in pairs[1:]:
        pair.same(parse(text, "t"), bind((), "t"), execute(), SYNC)
    pairs[0].same(query("BEGIN; SET LOCAL timezone = 'Europe/Berlin'"))
    pairs[0].same(parse(text, "u"), bind((), "u"), execute(), SYNC)
    pairs[0].same(query("COMMIT"))
    for pair in pairs[1:]:
        pair.same(parse(text, "u"), bind((), "u"), execute(), SYNC)
        pair.close()


def answers_before_the_end():
    """What a server says before it has got everything reaches the client then."""
    pair = Pair()
    pair.same(parse("SELECT 1/0"), bind(), execute(), until="E")
    pair.same(bind(), execute(), SYNC)
    pair.same(parse("SELECT length($1::text) / $2::int", "l"), SYNC)
    large = "x" * 32000
    pair.same(*(bind([large, n != 3], "l") + execute() for n in range(9)), until="E")
    pair.same(*(bind([large, 1], "l") + execute() for n in range(9)), SYNC)
    # More than the buffers on the way hold, from a client that does not read before it has sent all.
    pair.same(*(bind([large, 1], "l") + execute() for n in range(2000)), SYNC)
    pair.same(*(bind([large, n != 1000], "l") + execute() for n in range(2000)), SYNC)
    pair.same(query("CREATE TABLE IF NOT EXISTS same_copied (n int, t text)"), tidy=lambda _: None)
    pair.same(query("COPY same_copied FROM STDIN"), until="G")
    pair.same(copy_data(b"bad\tc\n"), until="Z")
    pair.same(copy_data(b"1\tc\n"), COPY_DONE, query("SELECT 1"))
    pair.same(parse("COPY same_copied FROM STDIN"), bind(), execute(), FLUSH, until="G")
    pair.same(copy_data(b"bad\tc\n"), until="E")
    pair.same(copy_data(b"1\tc\n"), COPY_DONE, SYNC, query("SELECT 1"), count=2)
    pair.close()


def ended_by_the_server():
    """A statement's backend, or that of a session which must keep it, is ended: so is the session."""
    pair = Pair()
    killer = Wire(shard_port, shard_user, shard_password, database)

    def end(connection, sql):
        # A backend that ends as soon as it was taken from the pool is replaced once.
        while connection.is_silent(0.2):
            killer.rows(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = '{sql}'")
        return [one for one in connection.answer() if one[0] != "T"]

    for prefix in ([], [query("BEGIN")]):
        expected = found = None
        for number, connection in enumerate((pair.direct, pair.meshed)):
            for one in prefix:
                connection.ask(one)
            sql = f"SELECT pg_sleep({60 + number})"
            connection.send(query(sql))
            expected, found = found, end(connection, sql)
        assert expected == found and found[-1] == ("end",), (expected, found)
        pair = Pair()
    everyone = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ('{database}', '{direct}') AND pid <> pg_backend_pid()"
    for connection in (pair.direct, pair.meshed):
        connection.rows("LISTEN kept")
        killer.rows(everyone)
        found = connection.answer()
        assert dict(found[0][1:])["C"] == "57P01" and found[-1] == ("end",), found
    # One that has nothing on a server now does not notice.
    idle = Wire(port, "app", "app", database)
    idle.rows("SELECT 1")
    killer.rows(everyone)
    assert idle.rows("SELECT 2") == [(b"2",)]
    idle.close()
    killer.close()


checks = [
    pipelines,
    portals,
    several_statements,
    settings_from_the_start,
    copies,
    function_calls,
    prepared_by_sql_and_protocol,
    settings_at_the_parse,
    answers_before_the_end,
    ended_by_the_server,
]
only = sys.argv[7:]
for check in checks:
    if not only or check.__name__ in only:
        check()
        print(check.__name__)
print("good")
