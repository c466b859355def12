"""Settings over two shards: PORT DATABASE SHARD_PORT SHARD_USER SHARD_PASSWORD. Both have them, whatever they were set on."""

import sys

import psycopg

port, database, shard_port, shard_user, shard_password = sys.argv[1:6]
mesh = dict(host="127.0.0.1", port=port, user="app", password="app", dbname=database, autocommit=True)
shard = dict(host="127.0.0.1", port=shard_port, user=shard_user, password=shard_password, dbname=database, autocommit=True)

connection, other = psycopg.connect(**mesh), psycopg.connect(**mesh)
for customer in range(100, 120):
    connection.execute("INSERT INTO orders VALUES (%s, %s, 'old')", (customer, customer))
there = {row[0] for row in psycopg.connect(**shard).execute("SELECT customer_id FROM orders WHERE id >= 100").fetchall()}
first, second = min(there), min(set(range(100, 120)) - there)


def value(name, customer, by=connection):
    sql = f"SELECT current_setting('{name}', true) FROM orders WHERE customer_id = %s AND id >= 100"
    return by.execute(sql, (customer,)).fetchone()[0]


def both(name, expected):
    found = value(name, first), value(name, second)
    assert found == (expected, expected), (name, found)


for cursor in (psycopg.ClientCursor(connection), psycopg.Cursor(connection)):
    # Until the end of the transaction, on both, also on the one that joins later.
    connection.execute("BEGIN")
    value("work_mem", first)
    cursor.execute("SET LOCAL work_mem = '9MB'")
    cursor.execute("SELECT set_config(%s, 'mine', true)", ("app.tenant",))
    both("work_mem", "9MB")
    both("app.tenant", "mine")
    # What a savepoint takes back is taken back on both.
    connection.execute("SAVEPOINT a")
    cursor.execute("SET work_mem = '10MB'")
    both("work_mem", "10MB")
    connection.execute("ROLLBACK TO a")
    both("work_mem", "9MB")
    cursor.execute("SET LOCAL statement_timeout = '77s'")
    connection.execute("UPDATE orders SET note = 'new' WHERE customer_id = %s", (second,))
    both("statement_timeout", "77s")
    connection.execute("COMMIT")
    both("work_mem", "4MB")
    both("statement_timeout", "0")
    assert value("app.tenant", first) in (None, "") and value("app.tenant", second) in (None, "")

    # For good, if the transaction is committed.
    connection.execute("BEGIN")
    value("work_mem", second)
    cursor.execute("SET work_mem = '11MB'")
    cursor.execute("SET app.tenant = 'seven'")
    both("work_mem", "11MB")
    connection.execute("COMMIT")
    both("work_mem", "11MB")
    both("app.tenant", "seven")
    for _ in range(3):
        for customer in (first, second):
            assert value("work_mem", customer, other) == "4MB"
            assert value("app.tenant", customer, other) in (None, "")
    connection.execute("BEGIN")
    cursor.execute("RESET work_mem")
    both("work_mem", "4MB")
    connection.execute("ROLLBACK")
    both("work_mem", "11MB")
    cursor.execute("RESET ALL")
    both("work_mem", "4MB")
print("good")
