"""The cases of asyncpg: everything binary and prepared, portals with limits, its COPY, its pool and its reset."""

import asyncio
import datetime
import decimal
import io
import ipaddress
import ssl
import uuid

import asyncpg

from case import CA, DATABASE, HOST, PASSWORD, PORT, USER, case, run_async, say, shown

LOGIN = dict(host=HOST, port=PORT, user=USER, password=PASSWORD, database=DATABASE)


class Session:
    """A connection, closed at the end."""

    def __init__(self, **more):
        self.options = {**LOGIN, **more}

    async def __aenter__(self):
        self.connection = await asyncpg.connect(**self.options)
        return self.connection

    async def __aexit__(self, *_):
        await self.connection.close(timeout=20)


def told(error):
    fields = ["severity", "sqlstate", "message", "detail", "hint", "position", "schema_name", "table_name", "constraint_name"]
    say(type(error).__name__, *(getattr(error, field, None) for field in fields))


async def attempt(action, *arguments, **named):
    try:
        await action(*arguments, **named)
        say("no error")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncio.TimeoutError) as error:
        told(error)


@case
async def login():
    async with Session() as connection:
        say(await connection.fetchval("SELECT 1 + 1"), tuple(connection.get_server_version())[:2])
        for name in ["server_encoding", "TimeZone", "is_superuser", "application_name"]:
            say(name, getattr(connection.get_settings(), name, None))
    async with Session(server_settings={"application_name": "mine", "jit": "off", "timezone": "Asia/Tokyo"}) as connection:
        say(await connection.fetchrow("SELECT current_setting('application_name') a, current_setting('timezone') t"))
        await connection.reset()
        say(await connection.fetchrow("SELECT current_setting('application_name') a, current_setting('timezone') t"))
    await attempt(asyncpg.connect, **{**LOGIN, "password": "wrong"})
    await attempt(asyncpg.connect, **{**LOGIN, "database": "no_such_database"})


@case
async def tls():
    context = ssl.create_default_context(cafile=CA)
    async with Session(ssl=context) as connection:
        say(await connection.fetchval("SELECT repeat('x', 300000)"))
    async with Session(ssl=context, direct_tls=False) as connection:
        say(await connection.fetchval("SELECT 1"))


@case
async def types():
    values = {
        "small": -32768, "int_": 2147483647, "big": -(2**63), "numeric_": decimal.Decimal("-12345678901234567890.000123"),
        "numeric_scaled": decimal.Decimal("1.50000"), "real_": 1.5, "double_": -1e300, "bool_": True, "char_": "abc",
        "varchar_": "it's \\ \u20ac", "text_": "x" * 100000, "name_": "n", "bytea_": bytes(range(256)),
        "date_": datetime.date(2024, 2, 29), "time_": datetime.time(1, 2, 3, 4), "timestamp_": datetime.datetime(2024, 1, 1, 1, 1, 1, 5),
        "timestamptz_": datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc),
        "interval_": datetime.timedelta(days=-3, microseconds=5), "uuid_": uuid.UUID(int=5), "json_": "[1]", "jsonb_": '{"a": null}',
        "inet_": ipaddress.ip_address("10.0.0.1"), "cidr_": ipaddress.ip_network("10.0.0.0/8"),
        "bit_": asyncpg.BitString("101010101"), "varbit_": asyncpg.BitString("1"), "point_": asyncpg.Point(1, 2),
        "box_": asyncpg.Box((1, 2), (3, 4)), "int_array": [1, None, 3], "text_array": [["a", "b"], ["c", "d"]],
        "int4range_": asyncpg.Range(1, 5), "money_": "$12.50", "tsvector_": "'a':1", "oid_": 4294967295,
    }
    async with Session() as connection:
        await connection.execute("DELETE FROM kinds")
        for column, value in values.items():
            for given in [value, None]:
                try:
                    await connection.execute(f"INSERT INTO kinds (id, {column}) VALUES (1, $1)", given)
                    row = await connection.fetchrow(f"SELECT {column} FROM kinds WHERE id = $1", 1)
                    say(column, row[0] if isinstance(row[0], str) else str(row[0]))
                    await connection.execute("DELETE FROM kinds WHERE id = 1")
                except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                    told(error)
        statement = await connection.prepare("SELECT * FROM kinds WHERE id = $1")
        for attribute in statement.get_attributes():
            say(attribute.name, attribute.type.name, attribute.type.oid)
        say([parameter.name for parameter in statement.get_parameters()])


@case
async def many_rows():
    async with Session() as connection:
        await connection.execute("DELETE FROM accounts")
        await connection.executemany(
            "INSERT INTO accounts (id, owner, balance) VALUES ($1, $2, $3)",
            [(n, f"o{n}", decimal.Decimal(n)) for n in range(1, 501)],
        )
        say(await connection.fetchrow("SELECT count(*), sum(balance), min(id), max(id) FROM accounts"))
        say([row["id"] for row in await connection.fetch("SELECT id FROM accounts ORDER BY id DESC LIMIT 4")])
        say(await connection.fetch("SELECT id, owner FROM accounts WHERE id = ANY($1) ORDER BY id", [3, 33, 333]))
        say(await connection.execute("DELETE FROM accounts WHERE id < 10"))
        await attempt(
            connection.executemany, "INSERT INTO accounts (id) VALUES ($1)", [(n,) for n in [1000, 1001, 1002, 1000, 1003]]
        )
        say(await connection.fetchval("SELECT count(*) FROM accounts WHERE id >= 1000"))
        await connection.execute("DELETE FROM accounts")


@case
async def cursors():
    async with Session() as connection:
        async with connection.transaction():
            say([row[0] async for row in connection.cursor("SELECT generate_series(1, 23)", prefetch=5)])
            cursor = await connection.cursor("SELECT n FROM generate_series(1, $1) n", 50)
            say(await cursor.fetchrow(), len(await cursor.fetch(10)), await cursor.forward(5), await cursor.fetchrow())
            other = await connection.cursor("SELECT id FROM currencies c, generate_series(1, 3) id ORDER BY 1, c.code")
            say(len(await other.fetch(4)), await cursor.fetchrow(), len(await other.fetch(100)))
        await attempt(connection.cursor("SELECT 1").__aiter__().__anext__)


@case
async def transactions():
    async with Session() as connection, Session() as other:
        await connection.execute("DELETE FROM accounts")
        async with connection.transaction():
            await connection.execute("INSERT INTO accounts (id) VALUES (1), (2), (3)")
            say(await other.fetchval("SELECT count(*) FROM accounts"))
            try:
                async with connection.transaction():
                    await connection.execute("INSERT INTO accounts (id) VALUES (4)")
                    await connection.execute("SELECT 1 / 0")
            except asyncpg.PostgresError as error:
                told(error)
        say([row[0] for row in await other.fetch("SELECT id FROM accounts ORDER BY id")])
        for level in ["read_committed", "repeatable_read", "serializable"]:
            try:
                async with connection.transaction(isolation=level, readonly=True):
                    say(await connection.fetchval("SHOW transaction_isolation"), await connection.fetchval("SHOW transaction_read_only"))
                    say(await connection.fetchval("SELECT count(*) FROM accounts"))
            except asyncpg.PostgresError as error:
                told(error)


@case
async def errors():
    async with Session() as connection:
        for statement, parameters in [
            ("SELEC", []), ("SELECT * FROM no_such_table", []), ("SELECT $1::int", ["x"]), ("SELECT $1::int / 0", [1]),
            ("SELECT $1", [1, 2]), ("INSERT INTO accounts (id) VALUES ($1)", [None]), ("SELECT 1; SELECT $1::int", [1]),
        ]:
            try:
                say(await connection.fetch(statement, *parameters))
            except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.DataError) as error:
                told(error)
        say(await connection.fetchval("SELECT 'alive'"))


@case
async def copying():
    async with Session() as connection:
        await connection.execute("DROP TABLE IF EXISTS copied_here")
        await connection.execute("CREATE TABLE copied_here (id int, name text)")
        say(await connection.copy_records_to_table("copied_here", records=[(n, f"n{n}") for n in range(3000)]))
        say(await connection.copy_to_table("copied_here", source=io.BytesIO(b"1,a\n2,b\n"), format="csv"))
        out = io.BytesIO()
        say(await connection.copy_from_query("SELECT * FROM copied_here WHERE id < $1 ORDER BY id, name", 3, output=out, format="csv"))
        say(out.getvalue())
        await attempt(connection.copy_to_table, "copied_here", source=io.BytesIO(b"x,a\n"), format="csv")
        await connection.execute("DROP TABLE copied_here")


@case
async def notifications():
    async with Session() as one, Session() as two:
        heard = asyncio.Queue()
        await one.add_listener("drivers_async", lambda _connection, _pid, channel, payload: heard.put_nowait((channel, payload)))
        await two.execute("NOTIFY drivers_async, 'hello'")
        say(await asyncio.wait_for(heard.get(), 20))
        await two.fetch("SELECT pg_notify('drivers_async', $1)", "again")
        say(await asyncio.wait_for(heard.get(), 20))


@case
async def time_limits():
    async with Session() as connection:
        await attempt(connection.execute, "SELECT pg_sleep(30)", timeout=1)
        say(await connection.fetchval("SELECT 'alive'"))
        await connection.execute("SET statement_timeout = 100")
        await attempt(connection.fetch, "SELECT pg_sleep($1)", 30)


@case
async def changed_table():
    async with Session() as connection:
        await connection.execute("DROP TABLE IF EXISTS changed_here")
        await connection.execute("CREATE TABLE changed_here (a int)")
        await connection.execute("INSERT INTO changed_here VALUES (1)")
        say(await connection.fetch("SELECT * FROM changed_here"))
        await connection.execute("ALTER TABLE changed_here ADD b text DEFAULT 'x'")
        say(await connection.fetch("SELECT * FROM changed_here"))
        await connection.execute("DROP TABLE changed_here")


@case
async def types_of_the_application():
    async with Session() as connection:
        await connection.execute("DROP TYPE IF EXISTS apg_mood, apg_pair CASCADE")
        await connection.execute("CREATE TYPE apg_mood AS ENUM ('sad', 'ok')")
        await connection.execute("CREATE TYPE apg_pair AS (a int, b apg_mood)")
        say(await connection.fetchval("SELECT $1::apg_mood", "ok"))
        say(str(await connection.fetchval("SELECT ($1, 'sad')::apg_pair", 5)))
        say(str(await connection.fetchval("SELECT ARRAY[(1, 'ok')::apg_pair]")))
        await attempt(connection.fetchval, "SELECT $1::apg_mood", "happy")
        await connection.execute("DROP TYPE apg_pair, apg_mood")


@case
async def pool():
    async with asyncpg.create_pool(min_size=1, max_size=4, **LOGIN) as crowd:

        async def work(number):
            async with crowd.acquire() as connection:
                before = await connection.fetchval("SELECT current_setting('my.number', true)")
                await connection.execute(f"SELECT set_config('my.number', '{number}', false)")
                await asyncio.sleep(0.001)
                return before in (None, "") and await connection.fetchval("SELECT current_setting('my.number')") == str(number)

        say(all(await asyncio.gather(*(work(number) for number in range(100)))))


@case
async def introspection():
    async with Session() as connection:
        await connection.reload_schema_state()
        say(await connection.fetch("SELECT typname, typtype FROM pg_type WHERE typname LIKE 'int%' ORDER BY 1"))
        await connection.set_type_codec("numeric", schema="pg_catalog", encoder=str, decoder=lambda text: f"<{text}>")
        say(await connection.fetchval("SELECT 1.50::numeric"))


asyncio.run(run_async("asyncpg"))
