"""The cases of asyncmy: what is particular to an asyncio driver of MySQL, and its pool."""

import asyncio
import datetime
import decimal

import asyncmy
import asyncmy.cursors
import asyncmy.errors

from case import CA, DATABASE, HOST, PASSWORD, PORT, USER, case, run_async, say

LOGIN = dict(host=HOST, port=PORT, user=USER, password=PASSWORD, db=DATABASE, charset="utf8mb4")


class Session:
    """A connection with a cursor, closed at the end."""

    def __init__(self, **more):
        self.options = {**LOGIN, **more}

    async def __aenter__(self):
        self.connection = await asyncmy.connect(**self.options)
        self.cursor = self.connection.cursor()
        return self.connection, self.cursor

    async def __aexit__(self, *_):
        self.connection.close()


async def rows(cursor, sql, parameters=None):
    await cursor.execute(sql, parameters)
    for row in await cursor.fetchall():
        say(row)


async def attempt(action, *arguments, **named):
    try:
        await action(*arguments, **named)
        say("no error")
    except asyncmy.errors.MySQLError as error:
        say(type(error).__name__, *error.args)


@case
async def login():
    async with Session() as (_, cursor):
        await rows(cursor, "SELECT 1 + 1, DATABASE()")
    await attempt(asyncmy.connect, **{**LOGIN, "password": "wrong"})
    await attempt(asyncmy.connect, **{**LOGIN, "db": "no_such_database"})


@case
async def tls():
    import ssl

    async with Session(ssl=ssl.create_default_context(cafile=CA)) as (_, cursor):
        await cursor.execute("SELECT REPEAT('x', 200000)")
        say((await cursor.fetchone())[0])


@case
async def types():
    async with Session() as (connection, cursor):
        await cursor.execute("DELETE FROM kinds")
        values = {
            "tiny": -5, "big_unsigned": 18446744073709551615, "decimal_": decimal.Decimal("-1.5000000000"),
            "double_": 1e-300, "date_": datetime.date(2024, 2, 29), "time_": datetime.timedelta(hours=-1),
            "datetime_": datetime.datetime(2024, 1, 1, 2, 3, 4, 5), "varchar_": "it's \\ \u20ac\0",
            "varbinary_": bytes(range(256)), "blob_": b"\0" * 100000, "set_": "a,c", "json_": "[1]", "bit_": 3,
        }
        names = ", ".join(values)
        marks = ", ".join(["%s"] * len(values))
        await cursor.execute(f"INSERT INTO kinds (id, {names}) VALUES (1, {marks})", tuple(values.values()))
        await rows(cursor, f"SELECT {names} FROM kinds WHERE id = 1")
        for column in cursor.description:
            say(tuple(column))
        await connection.rollback()


@case
async def many_rows_and_dictionaries():
    async with Session() as (connection, cursor):
        await cursor.execute("DELETE FROM accounts")
        await cursor.executemany(
            "INSERT INTO accounts (id, owner) VALUES (%s, %s)", [(n, f"o{n}") for n in range(1, 501)]
        )
        say(cursor.rowcount)
        await connection.commit()
        await rows(cursor, "SELECT COUNT(*), MAX(id) FROM accounts")
        async with connection.cursor(cursor=asyncmy.cursors.DictCursor) as named:
            await rows(named, "SELECT id, owner FROM accounts ORDER BY id LIMIT 2")
        async with connection.cursor(cursor=asyncmy.cursors.SSCursor) as stream:
            await stream.execute("SELECT id FROM accounts ORDER BY id")
            say(await stream.fetchone(), await stream.fetchmany(3), len(await stream.fetchall()))


@case
async def transactions():
    async with Session() as (one, cursor), Session(autocommit=True) as (_, other):
        await cursor.execute("DELETE FROM accounts")
        await one.commit()
        await one.begin()
        await cursor.execute("INSERT INTO accounts (id) VALUES (1), (2)")
        await rows(other, "SELECT COUNT(*) FROM accounts")
        await one.rollback()
        await one.begin()
        await cursor.execute("INSERT INTO accounts (id) VALUES (3)")
        await one.commit()
        await rows(other, "SELECT id FROM accounts ORDER BY id")


@case
async def errors():
    async with Session() as (connection, cursor):
        for sql in ["SELEC", "SELECT * FROM no_such_table", "SELECT x FROM accounts", "SELECT 1; SELECT 2"]:
            await attempt(cursor.execute, sql)
        await rows(cursor, "SELECT 'alive'")
        await connection.ping()


@case
async def results_of_procedures():
    async with Session() as (_, cursor):
        await cursor.execute("DROP PROCEDURE IF EXISTS asyncmy_results")
        await cursor.execute("CREATE PROCEDURE asyncmy_results(n INT) BEGIN SELECT n; SELECT n + 1, 'b'; END")
        await cursor.callproc("asyncmy_results", (5,))
        while True:
            say(await cursor.fetchall())
            if not await cursor.nextset():
                break
        await cursor.execute("DROP PROCEDURE asyncmy_results")


@case
async def numbered_rows():
    async with Session() as (connection, cursor):
        await cursor.execute("DELETE FROM numbered")
        await cursor.execute("ALTER TABLE numbered AUTO_INCREMENT = 10")
        await cursor.execute("INSERT INTO numbered (label) VALUES ('a'), ('b')")
        say(cursor.lastrowid, connection.insert_id())
        await rows(cursor, "SELECT LAST_INSERT_ID()")
        await connection.rollback()


@case
async def pool():
    crowd = await asyncmy.create_pool(minsize=1, maxsize=4, autocommit=True, **LOGIN)

    async def work(number):
        async with crowd.acquire() as connection:
            async with connection.cursor() as cursor:
                await cursor.execute("SET @mine = %s", (number,))
                await cursor.execute("SELECT SLEEP(0.01), @mine")
                return (await cursor.fetchone())[1] == number

    say(await asyncio.gather(*(work(number) for number in range(40))))
    crowd.close()
    await crowd.wait_closed()


asyncio.run(run_async("asyncmy"))
