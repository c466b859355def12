"""The same messages to one database that holds all rows and, through dbmesh, to two shards: PORT DATABASE SHARD_PORT SHARD_USER
SHARD_PASSWORD. Every answer is the same, message by message."""

import sys

from wire import FLUSH, SYNC, Wire, bind, close, describe, execute, parse, query

port, database, shard_port, shard_user, shard_password, kind = sys.argv[1:7]

one_database = database + "_one"
maker = Wire(shard_port, shard_user, shard_password, "postgres")
maker.rows(f"DROP DATABASE IF EXISTS {one_database}")
maker.rows(f"CREATE DATABASE {one_database}")
maker.close()

direct = Wire(shard_port, shard_user, shard_password, one_database)
meshed = Wire(port, "app", "app", database)
direct.rows("CREATE TABLE orders (id BIGINT, customer_id BIGINT NOT NULL, note TEXT, PRIMARY KEY (customer_id, id))")
direct.rows("CREATE TABLE products (id SERIAL PRIMARY KEY, name TEXT)")


def tidy(answers):
    """Numbers of attributes and whether they are of a table: labels, types and formats stay."""
    return [(one[0], *((name, *rest[2:]) for name, *rest in one[1:])) if one[0] == "T" else one for one in answers]


failures = []


def same(*messages, until="Z", count=1, ends=False):
    expected = tidy(direct.ask(*messages, until=until, count=count))
    found = tidy(meshed.ask(*messages, until=until, count=count))
    if ends:
        # Which message fails may differ.
        expected, found = expected[-1], found[-1]
    if found != expected:
        failures.append(f"\nsent     {messages}\ndirect   {expected}\nthrough  {found}")


ALL = "SELECT id, customer_id, note FROM orders ORDER BY id"
ONE = "SELECT id, note FROM orders WHERE customer_id = $1"
INSERT = "INSERT INTO orders VALUES ($1, $2, $3)"
UPDATE = "UPDATE orders SET note = $1 WHERE customer_id = $2"

for wire in (direct, meshed):
    for customer in range(20):
        wire.rows(f"DELETE FROM orders WHERE customer_id = {customer}")
meshed.rows("SET dbmesh.transaction_type = LOCAL")

# Single rows by the extended protocol, in one pipeline and in several.
same(parse(INSERT, "insert"), *(bind([n, n, f"row {n}"], "insert") + execute() for n in range(6)), SYNC)
same(*(part for n in range(6, 12) for part in (bind([n, n, f"row {n}"], "insert"), execute(), SYNC)), count=6)
same(parse(ONE, "one"), describe("S", "one"), *(bind([n], "one") + execute() for n in range(12)), SYNC)
same(bind([5], "one", results=(1,)), describe("P"), execute(), SYNC)
same(bind([5], "one", results=(1, 0)), describe("P"), execute(), SYNC)
same(bind([b"\0\0\0\0\0\0\0\5"], "one", formats=(1,)), execute(), SYNC)
same(bind([None], "one"), execute(), SYNC)
same(bind([1, 2], "one"), execute(), SYNC)
same(parse(ONE), bind([3]), describe("P"), execute(), SYNC)
same(parse("SELECT nothing FROM orders WHERE customer_id = $1"), bind([3]), execute(), SYNC)
# Statements on both shards.
same(query(ALL))
same(parse(ALL), describe("S"), bind(), describe("P"), execute(), SYNC)
same(parse(ALL), bind(results=(1, 1, 0)), describe("P"), execute(), SYNC)
same(parse(ALL, "all"), bind((), "all"), execute("", 5), SYNC)
same(query("BEGIN"))
same(bind((), "all", "p"), execute("p", 5), SYNC)
same(execute("p", 5), SYNC)
same(bind([2], "one"), execute(), SYNC)
same(execute("p", 5), SYNC)
same(execute("p"), SYNC)
same(close("P", "p"), SYNC)
same(query("COMMIT"))
same(query("SELECT count(*) FROM orders WHERE id > 100"))
same(query("SELECT id FROM orders WHERE false ORDER BY id"))
same(query("SELECT id AS a, id + 1 b, 'x' FROM orders ORDER BY 1 DESC LIMIT 3 OFFSET 2"))
same(parse("SELECT id FROM orders WHERE id > $1 ORDER BY id LIMIT $2"), bind([3, 4]), describe("P"), execute(), SYNC)
same(query("SELECT 1/0 FROM orders ORDER BY id"))
same(query("SELECT nothing FROM orders ORDER BY id"))
same(parse("SELECT nothing FROM orders ORDER BY id"), bind(), execute(), SYNC)
same(parse("SELECT id FROM orders ORDER BY", "bad"), describe("S", "bad"), SYNC)
same(query("SELECT nofunction(id) FROM orders"))
same(query("SELECT id, count(*) FROM orders"))
same(query("SELECT id FROM orders ORDER BY nothing"))
# Errors in pipelines over both, and what is left of them.
same(parse(UPDATE, "update"), *(bind(["new", n], "update") + execute() for n in range(6)), SYNC)
same(query(ALL))
same(bind(["bad", 1], "update"), execute(), bind(["bad", 2], "update"), execute(), parse("SELECT 1/0"), bind(), execute(), SYNC)
same(query(ALL))
same(bind([1, 1, "twice"], "insert"), execute(), bind([30, 3, "no"], "insert"), execute(), SYNC)
same(bind([40, 4, "no"], "insert"), execute(), bind([1, 1, "twice"], "insert"), execute(), SYNC)
same(query(ALL))
# A write on both that fails in a batch leaves no transaction behind.
same(parse("UPDATE orders SET note = $1 WHERE customer_id = $2"), bind(["x", "no number"]), execute(), SYNC, ends=True)
same(query("SELECT 1 AS still"))
# Transactions.
same(query("BEGIN"), *(part for n in (1, 2, 3) for part in (bind(["tx", n], "update"), execute(), SYNC)), query(ALL), count=5)
same(query("SAVEPOINT s"))
same(bind(["lost", 4], "update"), execute(), bind(["lost", 5], "update"), execute(), SYNC)
same(bind([1, 1, "twice"], "insert"), execute(), SYNC)
same(query("SELECT 1"))
same(query("ROLLBACK TO s"))
same(query(ALL))
same(query("COMMIT"))
same(query(ALL))
same(query("BEGIN; UPDATE orders SET note = 'both' WHERE customer_id = 1; UPDATE orders SET note = 'both' WHERE customer_id = 2; ROLLBACK"))
same(query("UPDATE orders SET note = 'one' WHERE customer_id = 7; SELECT note FROM orders WHERE customer_id = 7"))
same(query("INSERT INTO orders VALUES (50, 5, 'a'); INSERT INTO orders VALUES (1, 1, 'twice')"))
same(query(ALL))
same(query("INSERT INTO orders VALUES (60, 6, 'a'), (61, 1, 'b'), (62, 2, 'c')"))
same(query("DELETE FROM orders WHERE customer_id IN (6, 2) AND id >= 60"))
same(query("INSERT INTO orders VALUES (70, 7, 'r') RETURNING id, note"))
same(query("DELETE FROM orders WHERE customer_id = 7 AND id = 70 RETURNING *"))
# What is on one of them only, and on none.
same(query("INSERT INTO products (name) VALUES ('p') RETURNING name"))
same(query("SELECT name FROM products"))
same(parse("SELECT name FROM products WHERE name = $1"), describe("S"), bind(["p"]), execute(), SYNC)
same(query("SELECT * FROM nowhere"))
same(query("SELECT 1 AS x, NULL, 'y'::text"))
same(parse("SELECT $1::int + 1"), describe("S"), bind([1]), execute(), SYNC)
# Flush, Close, names.
same(parse(ONE, "flushed"), bind([1], "flushed"), execute(), FLUSH, until="C")
same(bind([2], "flushed"), execute(), FLUSH, until="C")
same(SYNC)
same(close("S", "flushed"), bind([2], "flushed"), execute(), SYNC)
same(parse("", "empty"), bind((), "empty"), execute(), SYNC)
same(query(""))
same(query("DECLARE c CURSOR FOR SELECT 1"))
same(query("BEGIN"))
same(query("DECLARE c CURSOR FOR SELECT generate_series(1, 3)"))
same(query("FETCH ALL FROM c"))
same(query("CLOSE c"))
same(query("ROLLBACK"))
for sql in ("SELEC 1", "SELECT $1", "SELECT 'x", "SELECT * FROM orders WHERE", "ROLLBACK", "COMMIT", "SHOW work_mem", "SET work_mem = '5MB'", "SHOW work_mem", "RESET ALL", "DISCARD ALL"):
    same(query(sql))
assert not failures, "".join(failures)
print("good")
