"""Random pipelines, to one database itself and through dbmesh: PORT DATABASE SHARD_PORT SHARD_USER SHARD_PASSWORD KIND
[SEED [ROUNDS]]. Every answer is the same, message by message; a seed gives the same messages again."""

import random
import sys

from wire import COPY_DONE, FLUSH, SYNC, Wire, bind, close, copy_data, copy_fail, describe, execute, parse, query

port, database, shard_port, shard_user, shard_password, kind = sys.argv[1:7]
first_seed = int(sys.argv[7]) if len(sys.argv) > 7 else 1
rounds = int(sys.argv[8]) if len(sys.argv) > 8 else 60
sharded = kind == "sharded"

one_database = database + "_pipes"
maker = Wire(shard_port, shard_user, shard_password, "postgres")
maker.rows(f"DROP DATABASE IF EXISTS {one_database}")
maker.rows(f"CREATE DATABASE {one_database}")
maker.close()
direct = Wire(shard_port, shard_user, shard_password, one_database)
direct.rows("CREATE TABLE orders (id BIGINT, customer_id BIGINT NOT NULL, note TEXT, PRIMARY KEY (customer_id, id))")
direct.rows("CREATE TABLE products (id SERIAL PRIMARY KEY, name TEXT)")
direct.close()
if not sharded:
    own = Wire(port, "app", "app", database)
    own.rows("CREATE TABLE IF NOT EXISTS orders (id BIGINT, customer_id BIGINT NOT NULL, note TEXT, PRIMARY KEY (customer_id, id))")
    own.rows("CREATE TABLE IF NOT EXISTS products (id SERIAL PRIMARY KEY, name TEXT)")
    own.close()

KEYS = range(8)


class Dice(random.Random):
    def one(self, *choices):
        return self.choice(choices)

    def chance(self, percent):
        return self.randrange(100) < percent


def prepared(dice, key):
    """A text with the number of its parameters and what makes values for them."""
    number, word = (lambda: dice.randrange(20)), (lambda: dice.one("a", "bee", "", "c'c", None))
    choices = [
        ("SELECT id, note FROM orders WHERE customer_id = $1 ORDER BY id", [key]),
        ("SELECT count(*), min(note) FROM orders WHERE customer_id = $1 AND id > $2", [key, number]),
        ("SELECT customer_id, id, note FROM orders ORDER BY customer_id, id", []),
        ("SELECT customer_id, id FROM orders WHERE id < $1 ORDER BY customer_id, id LIMIT 5", [number]),
        ("SELECT count(*), max(id) FROM orders", []),
        ("INSERT INTO orders VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", [number, key, word]),
        ("INSERT INTO orders VALUES ($1, $2, $3)", [number, key, word]),
        ("INSERT INTO orders VALUES ($1, $2, 'r') ON CONFLICT (customer_id, id) DO UPDATE SET note = 'again' RETURNING id, note", [number, key]),
        ("UPDATE orders SET note = $1 WHERE customer_id = $2", [word, key]),
        ("DELETE FROM orders WHERE customer_id = $1 AND id = $2", [key, number]),
        ("SELECT name FROM products ORDER BY id", []),
        ("SELECT generate_series(1, $1::int) AS n", [lambda: dice.randrange(7)]),
        ("SELECT $1::int + 1 AS plus, $2::text", [number, word]),
        ("SELECT 10 / $1::int", [lambda: dice.one(0, 1, 2)]),
        ("SELECT 1/0", []),
        ("SELECT nothing FROM orders WHERE customer_id = $1", [key]),
        ("SELECT * FROM no_table", []),
        ("SELEC", []),
        ("", []),
        ("SELECT 1; SELECT 2", []),
        ("BEGIN", []),
        ("COMMIT", []),
        ("ROLLBACK", []),
        ("SAVEPOINT s", []),
        ("ROLLBACK TO s", []),
        ("SHOW work_mem", []),
        ("SET LOCAL work_mem = '7MB'", []),
    ]
    return dice.choice(choices)


SIMPLE = [
    "SELECT 1 AS one",
    "",
    ";",
    "SELECT 1; SELECT 2 AS b; SELECT 3 WHERE false",
    "SELECT 1; SELECT 1/0; SELECT 2",
    "BEGIN",
    "BEGIN; SELECT 1",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT s",
    "ROLLBACK TO SAVEPOINT s",
    "RELEASE s",
    "SELECT customer_id, id, note FROM orders ORDER BY customer_id, id",
    "SELECT count(*) FROM orders",
    "SELECT note FROM orders WHERE customer_id = {key} ORDER BY id",
    "INSERT INTO orders VALUES ({number}, {key}, 'simple')",
    "INSERT INTO orders VALUES ({number}, {key}, 'a'); INSERT INTO orders VALUES ({number}, {key}, 'b')",
    "UPDATE orders SET note = 'u' WHERE customer_id = {key}; SELECT 1/0",
    "DELETE FROM orders WHERE customer_id = {key}",
    "DEALLOCATE ALL",
    "DISCARD ALL",
    "SET work_mem = '6MB'",
    "RESET work_mem",
    "SHOW work_mem",
    "DECLARE c CURSOR FOR SELECT generate_series(1, 6)",
    "FETCH 2 FROM c",
    "CLOSE c",
    "SELECT 'unterminated",
    "SELECT $1",
    "INSERT INTO products (name) VALUES ('p{number}')",
]
COPIES = ["COPY products (name) FROM STDIN"] + ([] if sharded else ["COPY orders FROM STDIN"])


class Script:
    """Messages of one round, in bursts that each end where an answer can be awaited."""

    def __init__(self, seed):
        self.dice = dice = Dice(seed)
        # Some scripts stay on one key, as most applications do between two transactions.
        only = dice.randrange(8) if dice.chance(50) else None
        self.key = (lambda: only) if only is not None else (lambda: dice.choice(KEYS))
        # What the generator believes: it need not be right.
        self.known, self.portals, self.made = {}, set(), set()

    def bursts(self):
        for _ in range(self.dice.randrange(3, 14)):
            yield self.burst()

    def seen(self, answers):
        """In a transaction that goes on well there are the portals that were made."""
        if answers[-1] != ("Z", b"T") or any(one[0] == "E" for one in answers):
            self.made = set()
        self.portals = set(self.made)

    def burst(self):
        dice, messages, told, ends = self.dice, [], [], 0
        for _ in range(dice.one(1, 1, 1, 2, 3)):
            if dice.chance(25):
                sql = dice.choice(SIMPLE).format(key=self.key(), number=dice.randrange(20))
                self.add(messages, told, query(sql), f"Q {sql}")
                ends += 1
                continue
            for _ in range(dice.randrange(1, 9)):
                self.message(messages, told)
            self.add(messages, told, SYNC, "S")
            # Whether they were made is not known before the answer is there; PostgreSQL 15 has crashed on portals half made.
            self.portals.clear()
            ends += 1
        return messages, told, ends

    def add(self, messages, told, message, text):
        messages.append(message)
        told.append(text)

    def parse(self, messages, told, name):
        sql, makers = prepared(self.dice, self.key)
        self.known[name] = makers
        self.add(messages, told, parse(sql, name), f"P {name!r} {sql}")

    def message(self, messages, told):
        dice = self.dice
        name = dice.one("", "", "a", "b", "c")
        portal = dice.one("", "", "", "p", "q")
        bound = dice.choice(sorted(self.portals)) if self.portals and not dice.chance(3) else "never"
        what = dice.choices("PBDECHrG", weights=[10, 14, 12, 16, 4, 4, 30, 0 if sharded else 1])[0]
        if what == "P" or (what in "Br" and name not in self.known):
            if name and name in self.known and dice.chance(70):
                self.add(messages, told, close("S", name), f"C S {name!r}")
            self.parse(messages, told, name)
        elif what == "B":
            self.bind(messages, told, "never" if dice.chance(4) else name, portal)
        elif what == "D":
            if dice.chance(50):
                self.add(messages, told, describe("S", name), f"D S {name!r}")
            else:
                self.add(messages, told, describe("P", bound), f"D P {bound!r}")
        elif what == "E":
            rows = dice.one(0, 0, 0, 1, 2, 3)
            self.add(messages, told, execute(bound, rows), f"E {bound!r} {rows}")
        elif what == "C":
            if dice.chance(50):
                self.known.pop(name, None)
                self.add(messages, told, close("S", name), f"C S {name!r}")
            else:
                self.portals.discard(portal)
                self.made.discard(portal)
                self.add(messages, told, close("P", portal), f"C P {portal!r}")
        elif what == "H":
            self.add(messages, told, FLUSH, "H")
        else:
            # What a driver does.
            if name == "":
                self.parse(messages, told, name)
            self.bind(messages, told, name, portal)
            if dice.chance(50):
                self.add(messages, told, describe("P", portal), f"D P {portal!r}")
            rows = dice.one(0, 0, 0, 0, 2)
            self.add(messages, told, execute(portal, rows), f"E {portal!r} {rows}")

    def bind(self, messages, told, name, portal):
        dice = self.dice
        if portal in self.portals and portal and not dice.chance(10):
            self.add(messages, told, close("P", portal), f"C P {portal!r}")
        self.portals.add(portal)
        self.made.add(portal)
        values = [make() for make in self.known.get(name, ())]
        if dice.chance(4):
            values.append(1)
        results = dice.one((), (), (), (0,), (1,)) if dice.chance(40) else ()
        self.add(messages, told, bind(values, name, portal, results=results), f"B {portal!r} {name!r} {values} {results}")


def tidy(answers, failed):
    """Without whether a column is one of a table and which: a result of several shards has no table. And of a transaction that
    has failed only what ends it: which messages are refused in it, and for which of several reasons, dbmesh asks no server."""
    shown = []
    for one in answers:
        if one[0] == "Z":
            failed = one[1] == b"E"
        assert one != ("end",), f"a connection ended\n{doing}"
        if failed and one[0] not in "ZC":
            continue
        if one[0] == "T":
            shown.append((one[0], *((name, *rest[2:]) for name, *rest in one[1:])))
        elif one[0] == "E" or one[0] == "N":
            # A statement for several shards is sent by its Execute: what is wrong with its values is told there.
            while sharded and one[0] == "E" and shown and shown[-1][0] in "2Tn":
                shown.pop()
            shown.append((one[0], *(field for field in one[1:] if field[0] not in untold)))
        else:
            shown.append(one)
    return shown


doing = ""
# Where in the server's function an error was, and, over several shards, where in the text.
untold = "W" if not sharded else "WPD"


def rid(wire):
    """The session as it began."""
    wire.ask(query("ROLLBACK"))
    wire.ask(query("DISCARD ALL"))


def refused(answers):
    """What dbmesh says that it does not do over several shards."""
    return any(one[0] == "E" and ("C", "0A000") in one and any("dbmesh" in str(field) for field in one) for one in answers)


failures, compared, refusals = [], 0, 0
for seed in range(first_seed, first_seed + rounds):
    expected_from = Wire(shard_port, shard_user, shard_password, one_database)
    through = Wire(port, "app", "app", database)
    for wire in (expected_from, through):
        wire.rows("TRUNCATE products RESTART IDENTITY" if not sharded else "DELETE FROM products")
        for key in range(40):
            wire.rows(f"DELETE FROM orders WHERE customer_id = {key}")
    if sharded:
        through.rows("SET dbmesh.transaction_type = LOCAL")
    log, script, failed = [], Script(seed), False
    for messages, told, ends in script.bursts():
        log.append(" | ".join(told))
        doing = f"seed {seed}\n  " + "\n  ".join(log)
        expected = tidy(expected_from.ask(*messages, count=ends), failed)
        found = tidy(through.ask(*messages, count=ends), failed)
        failed = expected[-1] == ("Z", b"E")
        if sharded and refused(found):
            refusals += 1
            break
        compared += 1
        script.seen(expected)
        if expected != found:
            at = next((n for n, (a, b) in enumerate(zip(expected, found)) if a != b), min(len(expected), len(found)))
            history = "\n  ".join(log)
            failures.append(
                f"\nseed {seed}\n  {history}\n same up to {expected[:at]}\n direct   {expected[at:at + 4]}\n through  {found[at:at + 4]}\n"
            )
            break
    expected_from.close()
    through.close()

print(f"{compared} bursts compared, {refusals} scripts ended by a refusal, {len(failures)} different")
assert not failures, "".join(failures[:12])
print("good")
