"""A shop's work through PyMySQL for some seconds: PORT DATABASE SECONDS FIRST_ID [USER PASSWORD].

Orders that it adds have numbers from FIRST_ID up, and are gone at the end.
"""

import decimal
import random
import sys
import time

import pymysql
import pymysql.cursors

port, database, seconds, first = int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
user, password = (sys.argv[5:7] + ["app", "app"])[:2]
login = dict(host="127.0.0.1", port=port, user=user, password=password, database=database, charset="utf8mb4")

connection = pymysql.connect(**login)
cursor = connection.cursor()
dice = random.Random(first)

cursor.execute("SELECT COUNT(*), SUM(id), MIN(id), MAX(id) FROM customers")
assert cursor.fetchone() == (1000, decimal.Decimal(500500), 1, 1000), "customers"
cursor.execute("SELECT COUNT(*) FROM products")
assert cursor.fetchone() == (100,), "products"
cursor.execute("SHOW TABLES")
assert {name for (name,) in cursor.fetchall()} == {"customers", "orders", "order_items", "products", "settings"}

rounds, number = 0, first
end = time.monotonic() + seconds
while time.monotonic() < end or rounds < 3:
    rounds += 1
    customer = dice.randint(1, 1000)

    cursor.execute("SELECT id, name, token, credit, birthday, note FROM customers WHERE id = %s", (customer,))
    rows = cursor.fetchall()
    assert len(rows) == 1 and rows[0][0] == customer and len(rows[0][2]) == 16, rows
    assert isinstance(rows[0][3], decimal.Decimal), rows

    # An order's total is the sum of its items.
    cursor.execute(
        "SELECT o.id, o.total, SUM(i.price * i.quantity) FROM orders o"
        " JOIN order_items i ON i.customer_id = o.customer_id AND i.order_id = o.id"
        " JOIN products p ON p.id = i.product_id WHERE o.customer_id = %s AND o.id < 100000 GROUP BY o.id, o.total",
        (customer,),
    )
    for order, total, items in cursor.fetchall():
        assert total == items, (order, total, items)

    # Our own write, seen by ourselves, in a transaction that is sometimes taken back.
    number += 1
    connection.begin()
    cursor.execute(
        "INSERT INTO orders (customer_id, id, status, placed_at, total, comment) VALUES (%s, %s, %s, NOW(6), %s, %s)",
        (customer, number, "new", decimal.Decimal("12.50"), "für Łukasz: \U0001f381 'quoted'"),
    )
    assert cursor.rowcount == 1
    cursor.executemany(
        "INSERT INTO order_items (customer_id, order_id, line, product_id, quantity, price) VALUES (%s, %s, %s, %s, %s, %s)",
        [(customer, number, line, 1 + line, 1, "6.25") for line in (1, 2)],
    )
    assert cursor.rowcount == 2
    cursor.execute("SELECT comment FROM orders WHERE customer_id = %s AND id = %s", (customer, number))
    assert cursor.fetchall() == (("für Łukasz: \U0001f381 'quoted'",),)
    kept = rounds % 2 == 0
    connection.commit() if kept else connection.rollback()
    cursor.execute("SELECT COUNT(*) FROM order_items WHERE customer_id = %s AND order_id = %s", (customer, number))
    assert cursor.fetchone() == (2 if kept else 0,), (customer, number, kept)
    connection.commit()

    # An error leaves the session in order.
    try:
        cursor.execute("INSERT INTO customers (id, token, name, email, country, created_at) VALUES (%s, '', '', '', 'DE', NOW())", (customer,))
        raise AssertionError("a customer twice")
    except pymysql.err.IntegrityError as error:
        assert error.args[0] == 1062, error
    connection.rollback()

    if kept:
        cursor.execute("UPDATE orders SET status = 'paid' WHERE customer_id = %s AND id = %s", (customer, number))
        assert cursor.rowcount == 1
        cursor.execute("DELETE FROM order_items WHERE customer_id = %s AND order_id = %s", (customer, number))
        assert cursor.rowcount == 2
        cursor.execute("DELETE FROM orders WHERE customer_id = %s AND id = %s", (customer, number))
        assert cursor.rowcount == 1
        connection.commit()

    # Over all rows, ordered and cut.
    cursor.execute("SELECT id, placed_at FROM orders WHERE id < 100000 ORDER BY placed_at DESC, id LIMIT 7")
    last = cursor.fetchall()
    assert len(last) == 7 and list(last) == sorted(last, key=lambda row: (-row[1].timestamp(), row[0])), last
    cursor.execute("SELECT customer_id, COUNT(*), SUM(total) FROM orders WHERE id < 100000 GROUP BY customer_id ORDER BY customer_id")
    groups = cursor.fetchall()
    assert sum(count for _, count, _ in groups) == 5000, "orders"
    assert sum(total for _, _, total in groups) == decimal.Decimal("4047532.62"), "totals"
    connection.commit()

    if rounds % 10 == 1:
        # Rows one by one from the server, and a session that ends.
        with pymysql.connect(**login, cursorclass=pymysql.cursors.SSCursor, autocommit=True) as other:
            rows = other.cursor()
            rows.execute("SELECT customer_id, order_id, line FROM order_items WHERE order_id < 100000")
            assert sum(1 for _ in rows) == 14988, "items"
            rows.execute("SELECT name, value FROM settings WHERE name IN ('currency', 'banner') ORDER BY name")
            assert list(rows) == [("banner", None), ("currency", "EUR")]

connection.ping(reconnect=False)
connection.close()
print(f"{rounds} rounds")
