"""The number of a session: PORT DATABASE SHARD_PORT SHARD_USER SHARD_PASSWORD. It is the one that the client was told at the
login; functions that signal a process reach the session of that number, and no other."""

import sys

from wire import Ended, Wire, bind, describe, execute, parse, query, SYNC

port, database, shard_port, shard_user, shard_password, kind = sys.argv[1:7]


def connect(**more):
    return Wire(port, "app", "app", database, **more)


def number(value):
    return str(value).encode()


def error(answers):
    return next((dict(answer[1:])["C"] for answer in answers if answer[0] == "E"), None)


def told():
    one, other = connect(), connect()
    assert one.process != other.process
    for session in (one, other, one):
        assert session.rows("SELECT pg_backend_pid()") == [(number(session.process),)]
        assert session.rows("SELECT 1, pg_catalog.pg_backend_pid() + 1 AS x") == [(b"1", number(session.process + 1))]
        answers = session.ask(parse("SELECT pg_backend_pid() = $1"), bind([session.process]), describe("P"), execute(), SYNC)
        assert ("D", b"t") in answers, answers
        answers = session.ask(query("SELECT pg_backend_pid()"))
        assert answers[0] == ("T", ("pg_backend_pid", False, 0, 23, 4, -1, 0)), answers
    # Beside the servers' own numbers it is one of those.
    assert one.rows("SELECT count(*) FROM pg_stat_activity WHERE pid = pg_backend_pid()") == [(b"1",)]
    one.rows("BEGIN")
    assert one.rows("SELECT pg_backend_pid()") == [(number(one.process),)]
    one.rows("COMMIT")


def notified():
    listener, other = connect(), connect()
    listener.rows("LISTEN numbers")
    assert listener.ask(query("NOTIFY numbers, 'mine'"))[-2] == ("A", listener.process, b"numbers", b"mine")
    for sql in ("NOTIFY numbers, 'theirs'", "SELECT pg_notify('numbers', 'theirs')"):
        other.rows(sql)
        assert listener.answer(until="A") == [("A", other.process, b"numbers", b"theirs")]
    other.rows("SELECT pg_notify('numbers', pg_backend_pid()::text)")
    assert listener.answer(until="A") == [("A", other.process, b"numbers", number(other.process))]
    if kind == "sharded":
        # Who notifies while it works on another shard is heard too.
        for sql in ("NOTIFY numbers, 'far'", "SELECT pg_notify('numbers', 'far')"):
            for customer in range(8):
                other.rows("BEGIN")
                other.rows(f"SELECT note FROM orders WHERE customer_id = {customer}")
                other.rows(sql)
                other.rows("COMMIT")
                assert listener.answer(until="A") == [("A", other.process, b"numbers", b"far")]
        listener.rows("SELECT count(*) FROM orders")
    listener.close()
    other.close()


def signalled():
    one, other, witness = connect(), connect(), connect()
    witness.rows("BEGIN")
    witness.rows("SELECT 1")
    assert other.rows(f"SELECT pg_cancel_backend({one.process})") == [(b"t",)]
    assert one.rows("SELECT 2") == [(b"2",)]
    # A statement that runs.
    one.send(query("SELECT pg_sleep(60)"))
    while error_of_cancel(one, other) is None:
        pass
    # The session itself.
    assert error(one.ask(query("SELECT pg_cancel_backend(pg_backend_pid())"))) == "57014"
    assert one.rows("SELECT 3") == [(b"3",)]
    # By a parameter, in text and in binary.
    for formats in ((), (1,)):
        value = one.process.to_bytes(4, "big") if formats else one.process
        answers = other.ask(parse("SELECT pg_terminate_backend($1)"), bind([value], formats=formats), execute(), SYNC)
        assert ("D", b"t") in answers, answers
        ends(one)
        one = connect()
    assert other.rows(f"SELECT pg_terminate_backend({one.process}) AS ended;") == [(b"t",)]
    ends(one)
    one = connect()
    answers = one.ask(query("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert error(answers) == "57P01" and answers[-1] == ("end",), answers
    # One whose statement runs is told of its end only.
    one = connect()
    one.send(query("SELECT pg_sleep(60)"))
    assert one.is_silent(0.2)
    assert other.rows(f"SELECT pg_terminate_backend({one.process})") == [(b"t",)]
    assert [answer[0] for answer in one.answer() if answer[0] != "T"] == ["E", "end"]
    # Its end is waited for, if that is asked for.
    for ask in (
        lambda number: [query(f"SELECT pg_terminate_backend({number}, 20000) AS ended")],
        lambda number: [parse("SELECT pg_terminate_backend($1, 20000)"), bind([number]), execute(), SYNC],
        lambda number: [query(f"SELECT pg_terminate_backend({number}, 0)")],
    ):
        one = connect()
        answers = other.ask(*ask(one.process))
        assert ("D", b"t") in answers, answers
        ends(one)
    # One that is gone, and one that never was, are told as a server does.
    for gone in (one.process, 1 << 30):
        answers = other.ask(query(f"SELECT pg_terminate_backend({gone})"))
        assert ("D", b"f") in answers and "N" in [answer[0] for answer in answers], answers
    assert witness.rows("SELECT 1") == [(b"1",)]
    # A connection that sessions share is not ended for one of them.
    (process,) = witness.rows("SELECT pid FROM pg_stat_activity WHERE pid = pg_backend_pid()")[0]
    assert error(other.ask(query(f"SELECT pg_terminate_backend({process.decode()})"))) == "0A000"
    assert witness.rows("SELECT 1") == [(b"1",)]
    witness.rows("COMMIT")
    # Another user's session.
    assert error(Wire(port, "guest", "guest", database).ask(query(f"SELECT pg_cancel_backend({other.process})"))) == "42501"


def error_of_cancel(one, other):
    """Cancels until the statement is hit: it may not run yet."""
    assert other.rows(f"SELECT pg_cancel_backend({one.process})") == [(b"t",)]
    return None if one.is_silent(0.2) else error(one.answer())


def ends(session):
    answers = session.answer()
    assert error(answers) == "57P01" and answers[-1] == ("end",), answers


for check in (told, notified, signalled):
    check()
    print(check.__name__)
print("good")
