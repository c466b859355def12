"""Pipelines over two shards: PORT DATABASE SHARD_PORT SHARD_USER SHARD_PASSWORD. What stands between two Sync is one transaction."""

import sys

import psycopg
from psycopg import errors

port, database, shard_port, shard_user, shard_password = sys.argv[1:6]
mesh = dict(host="127.0.0.1", port=port, user="app", password="app", dbname=database, autocommit=True)
shard = dict(host="127.0.0.1", port=shard_port, user=shard_user, password=shard_password, dbname=database, autocommit=True)

connection = psycopg.connect(**mesh)
for customer in range(20):
    connection.execute("INSERT INTO orders VALUES (%s, %s, 'old')", (customer, customer))
there = {row[0] for row in psycopg.connect(**shard).execute("SELECT customer_id FROM orders").fetchall()}
first, second = min(there), min(set(range(20)) - there)

UPDATE = "UPDATE orders SET note = %s WHERE customer_id = %s"
READ = "SELECT note FROM orders WHERE customer_id = %s"


def notes():
    return tuple(connection.execute(READ, (customer,)).fetchone()[0] for customer in (first, second))


def reset():
    for customer in (first, second):
        connection.execute(UPDATE, ("old", customer))
    connection.execute("SET dbmesh.transaction_type = LOCAL")


def fails(error, *statements):
    """The pipeline of these statements fails as a whole."""
    try:
        with connection.pipeline():
            for sql, values in statements:
                connection.execute(sql, values)
    except error:
        pass
    else:
        raise AssertionError(f"no {error.__name__}")
    assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


reset()
BAD_READ = "SELECT 1 / 0 FROM orders WHERE customer_id = %s"

# A write on one shard is undone by an error on the other, whatever that error is of.
fails(errors.DivisionByZero, (UPDATE, ("a", first)), (BAD_READ, (second,)))
assert notes() == ("old", "old"), notes()
fails(errors.UndefinedTable, (UPDATE, ("b", first)), ("SELECT 1 FROM nowhere", None))
assert notes() == ("old", "old"), notes()

# A read between two writes changes nothing about that.
fails(errors.DivisionByZero, (UPDATE, ("c", first)), (READ, (second,)), (UPDATE, ("c", second)), (BAD_READ, (first,)))
assert notes() == ("old", "old"), notes()
with connection.pipeline():
    connection.execute(UPDATE, ("d", first))
    connection.execute(READ, (second,))
    connection.execute(UPDATE, ("d", second))
    connection.execute(READ, (first,))
assert notes() == ("d", "d"), notes()

# COMMIT inside a pipeline commits what came before it, ROLLBACK takes it back, BEGIN takes it in.
reset()
fails(errors.DivisionByZero, (UPDATE, ("e", first)), ("COMMIT", None), (UPDATE, ("f", second)), (BAD_READ, (first,)))
assert notes() == ("e", "old"), notes()
reset()
with connection.pipeline():
    connection.execute(UPDATE, ("g", first))
    connection.execute("ROLLBACK")
    connection.execute(UPDATE, ("g", second))
assert notes() == ("old", "g"), notes()
reset()
with connection.pipeline():
    connection.execute(UPDATE, ("h", first))
    connection.execute("BEGIN")
    connection.execute(UPDATE, ("h", second))
assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
connection.execute("ROLLBACK")
assert notes() == ("old", "old"), notes()

# Not atomic, hence refused as a whole unless it was allowed.
reset()
connection.execute("SET dbmesh.transaction_type = ATOMIC")
fails(errors.FeatureNotSupported, (UPDATE, ("i", first)), (READ, (second,)), (UPDATE, ("i", second)))
assert notes() == ("old", "old"), notes()

# A transaction in a text of several statements, over both shards.
connection.execute("SET dbmesh.transaction_type = LOCAL")
text = psycopg.ClientCursor(connection)
text.execute("BEGIN; " + UPDATE + "; " + UPDATE + "; COMMIT", ("j", first, "j", second))
assert notes() == ("j", "j"), notes()
try:
    text.execute(UPDATE + "; " + UPDATE + "; SELECT 1 / 0", ("k", first, "k", second))
    raise AssertionError("no error")
except errors.DivisionByZero:
    pass
assert notes() == ("j", "j"), notes()
print("good")
