"""Prepared statements after DDL that others ran, on the server itself: PORT DATABASE SHARD_PORT SHARD_USER SHARD_PASSWORD."""

import asyncio
import sys

import asyncpg
import psycopg

port, database, shard_port, shard_user, shard_password, kind = sys.argv[1:7]

direct = psycopg.connect(
    host="127.0.0.1", port=shard_port, user=shard_user, password=shard_password, dbname=database, autocommit=True
)
direct.execute("CREATE TABLE changing (a int)")
direct.execute("INSERT INTO changing VALUES (1)")


def session():
    one = psycopg.connect(host="127.0.0.1", port=port, user="app", password="app", dbname=database, autocommit=True)
    one.prepare_threshold = 0
    return one


def rows(one):
    return one.execute("SELECT * FROM changing").fetchall()


# psycopg asks for the columns with every execution.
old, other = session(), session()
assert rows(old) == rows(other) == [(1,)]
direct.execute("ALTER TABLE changing ADD b text DEFAULT 'x'")
assert rows(session()) == [(1, "x")], "one for which it is new is told of nothing"
assert rows(old) == rows(other) == rows(old) == [(1, "x")]
# In a transaction the server has failed it by then.
direct.execute("ALTER TABLE changing ADD c int DEFAULT 3")
with old.transaction(force_rollback=True):
    try:
        rows(old)
        raise SystemExit("the server did not notice")
    except psycopg.errors.FeatureNotSupported:
        pass
    assert old.info.transaction_status == psycopg.pq.TransactionStatus.INERROR
assert rows(old) == rows(session()) == [(1, "x", 3)]
# By a session of dbmesh.
other.execute("ALTER TABLE changing DROP c")
assert rows(session()) == [(1, "x")]
try:
    # The server's error comes to one that has run it before, once.
    rows(old)
    raise SystemExit("the server did not notice")
except psycopg.errors.FeatureNotSupported:
    pass
assert rows(old) == rows(other) == [(1, "x")]


async def by_asyncpg():
    """It relies on the columns that it was told when it prepared."""
    login = dict(host="127.0.0.1", port=int(port), user="app", password="app", database=database)
    one = await asyncpg.connect(**login)
    text = "SELECT a, b FROM changing"
    kept, beside = await one.prepare(text), await one.prepare("SELECT a, b, 2 FROM changing")
    assert [tuple(row) for row in await beside.fetch()] == [(1, "x", 2)]
    assert [tuple(row) for row in await kept.fetch()] == [(1, "x")]
    assert [tuple(row) for row in await one.fetch(text)] == [(1, "x")]
    await asyncio.to_thread(direct.execute, "ALTER TABLE changing ALTER a TYPE text USING 'word'")
    # Another one that the backend has tells of it as well.
    for old in (kept, beside, kept, kept, beside):
        try:
            await old.fetch()
            raise SystemExit("rows of other columns than it was told")
        except asyncpg.exceptions.InvalidCachedStatementError:
            pass
    # It prepares this one again by itself.
    assert [tuple(row) for row in await one.fetch(text)] == [("word", "x")]
    two = await asyncpg.connect(**login)
    assert [tuple(row) for row in await two.fetch(text)] == [("word", "x")]
    await one.close()
    await two.close()


asyncio.run(by_asyncpg())
print("good")
