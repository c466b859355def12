"""A shop's work through asyncpg for some seconds, four connections at once: PORT DATABASE SECONDS FIRST_ID [USER PASSWORD].

Orders that it adds have numbers from FIRST_ID up, and are gone at the end.
"""

import asyncio
import decimal
import random
import sys
import time
import uuid

import asyncpg

port, database, seconds, first = int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
user, password = (sys.argv[5:7] + ["app", "app"])[:2]
login = dict(host="127.0.0.1", port=port, user=user, password=password, database=database)


class TakenBack(Exception):
    pass


async def work(pool, number, dice, end):
    rounds = 0
    while time.monotonic() < end or rounds < 4:
        rounds += 1
        number += 1
        customer = dice.randint(1, 1000)
        kept = rounds % 2 == 0
        async with pool.acquire() as connection:
            row = await connection.fetchrow("SELECT id, token, credit FROM customers WHERE id = $1", customer)
            assert row["id"] == customer and isinstance(row["token"], uuid.UUID), row
            rows = await connection.fetch(
                "SELECT o.id, o.total, SUM(i.price * i.quantity) AS items FROM orders o"
                " JOIN order_items i ON i.customer_id = o.customer_id AND i.order_id = o.id"
                " WHERE o.customer_id = $1 AND o.id < 100000 GROUP BY o.id, o.total",
                customer,
            )
            assert all(row["total"] == row["items"] for row in rows), rows
            try:
                async with connection.transaction():
                    await connection.execute(
                        "INSERT INTO orders (customer_id, id, status, placed_at, total, comment) VALUES ($1, $2, 'new', now(), $3, $4)",
                        customer, number, decimal.Decimal("12.50"), "für Łukasz: \U0001f381",
                    )
                    await connection.executemany(
                        "INSERT INTO order_items (customer_id, order_id, line, product_id, quantity, price) VALUES ($1, $2, $3, $4, 1, 6.25)",
                        [(customer, number, line, 1 + line) for line in (1, 2)],
                    )
                    # Rows in portions, from a portal inside the transaction.
                    lines = [row["line"] async for row in connection.cursor(
                        "SELECT line FROM order_items WHERE customer_id = $1 AND order_id = $2 ORDER BY line", customer, number, prefetch=1)]
                    assert lines == [1, 2], lines
                    if not kept:
                        raise TakenBack
            except TakenBack:
                pass
            count = await connection.fetchval("SELECT COUNT(*) FROM order_items WHERE customer_id = $1 AND order_id = $2", customer, number)
            assert count == (2 if kept else 0), (customer, number, kept, count)
            try:
                await connection.execute("SELECT no_such_column FROM customers WHERE id = $1", customer)
                raise AssertionError("a column that does not exist")
            except asyncpg.UndefinedColumnError:
                pass
            if kept:
                assert await connection.execute("DELETE FROM order_items WHERE customer_id = $1 AND order_id = $2", customer, number) == "DELETE 2"
                assert await connection.execute("DELETE FROM orders WHERE customer_id = $1 AND id = $2", customer, number) == "DELETE 1"
            groups = await connection.fetch(
                "SELECT customer_id, COUNT(*) AS n, SUM(total) AS total FROM orders WHERE id < 100000 GROUP BY customer_id ORDER BY customer_id"
            )
            assert sum(row["n"] for row in groups) == 5000, "orders"
            assert sum(row["total"] for row in groups) == decimal.Decimal("4047532.62"), "totals"
    return rounds


async def main():
    end = time.monotonic() + seconds
    # Its pool resets a connection with several statements whenever one is given back.
    async with asyncpg.create_pool(**login, min_size=4, max_size=4, command_timeout=60) as pool:
        assert await pool.fetchval("SELECT COUNT(*) FROM customers") == 1000
        done = await asyncio.gather(*(work(pool, first + 100_000 * n, random.Random(first + n), end) for n in range(4)))
    print(f"{sum(done)} rounds")


asyncio.run(main())
