"""A shop's work through psycopg 3 for some seconds: PORT DATABASE SECONDS FIRST_ID [USER PASSWORD].

Orders that it adds have numbers from FIRST_ID up, and are gone at the end.
"""

import datetime
import decimal
import random
import sys
import time
import uuid

import psycopg
from psycopg import errors

port, database, seconds, first = int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
user, password = (sys.argv[5:7] + ["app", "app"])[:2]
login = dict(host="127.0.0.1", port=port, user=user, password=password, dbname=database)

dice = random.Random(first)
connection = psycopg.connect(**login)
cursor = connection.cursor()

row = cursor.execute("SELECT COUNT(*), SUM(id), MIN(id), MAX(id) FROM customers").fetchone()
assert row == (1000, decimal.Decimal(500500), 1, 1000), row
assert cursor.execute("SELECT COUNT(*) FROM products").fetchone() == (100,)
connection.commit()

rounds, number = 0, first
end = time.monotonic() + seconds
while time.monotonic() < end or rounds < 12:
    rounds += 1
    customer = dice.randint(1, 1000)

    # The same text again and again: psycopg makes it a named prepared statement after the fifth time.
    rows = cursor.execute("SELECT id, name, token, credit, birthday, note FROM customers WHERE id = %s", (customer,)).fetchall()
    assert len(rows) == 1 and rows[0][0] == customer and isinstance(rows[0][2], uuid.UUID), rows
    assert isinstance(rows[0][3], decimal.Decimal), rows
    # In binary, too.
    rows = connection.execute("SELECT id, token, created_at FROM customers WHERE id = %b", (customer,), binary=True).fetchall()
    assert rows[0][0] == customer and isinstance(rows[0][2], datetime.datetime), rows

    # An order's total is the sum of its items.
    rows = cursor.execute(
        "SELECT o.id, o.total, SUM(i.price * i.quantity) FROM orders o"
        " JOIN order_items i ON i.customer_id = o.customer_id AND i.order_id = o.id"
        " JOIN products p ON p.id = i.product_id WHERE o.customer_id = %s AND o.id < 100000 GROUP BY o.id, o.total",
        (customer,),
    ).fetchall()
    for order, total, items in rows:
        assert total == items, (order, total, items)
    connection.commit()

    # Our own write, seen by ourselves, in a transaction that is sometimes taken back.
    number += 1
    kept = rounds % 2 == 0
    try:
        with connection.transaction():
            cursor.execute(
                "INSERT INTO orders (customer_id, id, status, placed_at, total, comment) VALUES (%s, %s, %s, now(), %s, %s)",
                (customer, number, "new", decimal.Decimal("12.50"), "für Łukasz: \U0001f381 'quoted'"),
            )
            assert cursor.rowcount == 1
            cursor.executemany(
                "INSERT INTO order_items (customer_id, order_id, line, product_id, quantity, price) VALUES (%s, %s, %s, %s, %s, %s)",
                [(customer, number, line, 1 + line, 1, decimal.Decimal("6.25")) for line in (1, 2)],
            )
            # An error inside is taken back to the savepoint.
            try:
                with connection.transaction():
                    cursor.execute("INSERT INTO orders (customer_id, id, status, placed_at, total) VALUES (%s, %s, '', now(), 0)", (customer, number))
                raise AssertionError("an order twice")
            except errors.UniqueViolation:
                pass
            comment = cursor.execute("SELECT comment FROM orders WHERE customer_id = %s AND id = %s", (customer, number)).fetchall()
            assert comment == [("für Łukasz: \U0001f381 'quoted'",)], comment
            if not kept:
                raise psycopg.Rollback()
    except psycopg.Rollback:
        pass
    (count,) = cursor.execute("SELECT COUNT(*) FROM order_items WHERE customer_id = %s AND order_id = %s", (customer, number)).fetchone()
    assert count == (2 if kept else 0), (customer, number, kept, count)
    connection.commit()

    # A failed transaction refuses everything until it ends.
    try:
        cursor.execute("SELECT no_such_column FROM customers WHERE id = %s", (customer,))
        raise AssertionError("a column that does not exist")
    except errors.UndefinedColumn:
        pass
    try:
        cursor.execute("SELECT 1")
        raise AssertionError("a failed transaction goes on")
    except errors.InFailedSqlTransaction:
        pass
    connection.rollback()

    if kept:
        with connection.pipeline():
            cursor.execute("UPDATE orders SET status = 'paid' WHERE customer_id = %s AND id = %s", (customer, number))
            cursor.execute("DELETE FROM order_items WHERE customer_id = %s AND order_id = %s", (customer, number))
            cursor.execute("DELETE FROM orders WHERE customer_id = %s AND id = %s", (customer, number))
        connection.commit()
        (count,) = cursor.execute("SELECT COUNT(*) FROM orders WHERE customer_id = %s AND id = %s", (customer, number)).fetchone()
        assert count == 0, (customer, number)
        connection.commit()

    # Over all rows, ordered and cut.
    last = cursor.execute("SELECT id, placed_at FROM orders WHERE id < 100000 ORDER BY placed_at DESC, id LIMIT 7").fetchall()
    assert len(last) == 7 and last == sorted(last, key=lambda row: (-row[1].timestamp(), row[0])), last
    groups = cursor.execute(
        "SELECT customer_id, COUNT(*), SUM(total) FROM orders WHERE id < 100000 GROUP BY customer_id ORDER BY customer_id"
    ).fetchall()
    assert sum(count for _, count, _ in groups) == 5000, "orders"
    assert sum(total for _, _, total in groups) == decimal.Decimal("4047532.62"), "totals"
    connection.commit()

    if rounds % 10 == 1:
        with psycopg.connect(**login, autocommit=True) as other:
            assert other.execute("SELECT name, value FROM settings WHERE name IN ('currency', 'banner') ORDER BY name").fetchall() == [
                ("banner", None),
                ("currency", "EUR"),
            ]

connection.close()
print(f"{rounds} rounds")
