-- Statements for both protocols, one a line. Where ORDER BY is written at the end, it tells all rows apart.

-- The key, compared in every way.
SELECT id, total FROM orders WHERE customer_id = 5 ORDER BY id
SELECT id, total FROM orders WHERE 5 = customer_id ORDER BY id
SELECT id, total FROM orders WHERE customer_id = 5 + 0 ORDER BY id
SELECT id, total FROM orders WHERE customer_id + 0 = 5 ORDER BY id
SELECT id, total FROM orders WHERE -customer_id = -5 ORDER BY id
SELECT id, total FROM orders WHERE customer_id = '5' ORDER BY id
SELECT id, total FROM orders WHERE customer_id = 5.0 ORDER BY id
SELECT id, total FROM orders WHERE customer_id = 5.5 ORDER BY id
SELECT id, total FROM orders WHERE customer_id = 5e0 ORDER BY id
SELECT id, total FROM orders WHERE customer_id = ' 5 ' ORDER BY id
SELECT id, total FROM orders WHERE customer_id = '05' ORDER BY id
SELECT id, total FROM orders WHERE customer_id = 'five' ORDER BY id
SELECT id, total FROM orders WHERE customer_id = NULL ORDER BY id
SELECT id, total FROM orders WHERE customer_id IS NULL ORDER BY id
SELECT id, total FROM orders WHERE customer_id = 99999999999999999999 ORDER BY id
SELECT id, total FROM orders WHERE customer_id = -5 ORDER BY id
SELECT id, total FROM orders WHERE customer_id = - 5 ORDER BY id
SELECT id, total FROM orders WHERE customer_id = +5 ORDER BY id
SELECT id, total FROM orders WHERE customer_id = (5) ORDER BY id
SELECT id, total FROM orders WHERE (customer_id) = ((5)) ORDER BY id
SELECT id, total FROM orders WHERE customer_id IN (5) ORDER BY id
SELECT id, total FROM orders WHERE customer_id IN (5, 6, 7, 5) ORDER BY id
SELECT id, total FROM orders WHERE customer_id IN (5, NULL) ORDER BY id
SELECT id, total FROM orders WHERE customer_id IN (5, '6', 7.0) ORDER BY id
SELECT id, total FROM orders WHERE customer_id NOT IN (5, 6) ORDER BY customer_id, id
SELECT id, total FROM orders WHERE NOT customer_id = 5 ORDER BY customer_id, id
SELECT id, total FROM orders WHERE NOT (customer_id <> 5) ORDER BY id
SELECT id, total FROM orders WHERE customer_id BETWEEN 5 AND 5 ORDER BY id
SELECT id, total FROM orders WHERE customer_id BETWEEN 5 AND 9 ORDER BY customer_id, id
SELECT id, total FROM orders WHERE customer_id = 5 AND customer_id = 6 ORDER BY id
SELECT id, total FROM orders WHERE customer_id = 5 AND customer_id IN (5, 6) ORDER BY id
SELECT id, total FROM orders WHERE customer_id = 5 OR customer_id = 6 ORDER BY customer_id, id
SELECT id, total FROM orders WHERE customer_id = 5 OR id = 3 ORDER BY customer_id, id
SELECT id, total FROM orders WHERE (customer_id = 5 OR customer_id = 6) AND id > 10 ORDER BY customer_id, id
SELECT id, total FROM orders WHERE (customer_id = 5 AND id > 3) OR (customer_id = 6 AND id > 4) ORDER BY customer_id, id
SELECT id, total FROM orders WHERE customer_id = 5 IS TRUE ORDER BY customer_id, id
SELECT id, total FROM orders WHERE (customer_id = 5) IS NOT TRUE ORDER BY customer_id, id
SELECT id, total FROM orders WHERE (customer_id = 5) = (id > 100) ORDER BY customer_id, id
SELECT id, total FROM orders WHERE CASE WHEN customer_id = 5 THEN id > 0 ELSE id = 7 END ORDER BY customer_id, id
SELECT id, total FROM orders WHERE COALESCE(customer_id, 0) = 5 ORDER BY id
SELECT id, total FROM orders WHERE (customer_id, id) = (5, 3) ORDER BY id
SELECT id, total FROM orders WHERE (customer_id, id) IN ((5, 3), (6, 4), (7, 5)) ORDER BY customer_id, id
SELECT id, total FROM orders WHERE customer_id = id ORDER BY id
SELECT id, total FROM orders WHERE customer_id = 1 + 4 AND 1 = 1 ORDER BY id
SELECT id, total FROM orders WHERE 1 = 0 ORDER BY id
SELECT id, total FROM orders WHERE customer_id = 5 AND 1 = 0 ORDER BY id
SELECT COUNT(*) FROM orders WHERE customer_id = 5 AND customer_id = 6
SELECT COUNT(*), SUM(total), MIN(placed_at), MAX(shipped_on) FROM orders WHERE 1 = 0
SELECT COUNT(*), SUM(total) FROM orders WHERE customer_id IN (NULL)
SELECT customer_id, COUNT(*) FROM orders WHERE 1 = 0 GROUP BY customer_id

-- Names: aliases that hide columns, columns that hide aliases, quotes, cases.
SELECT -total AS total, id FROM orders ORDER BY total, id
SELECT id AS customer_id, total FROM orders WHERE customer_id = 5 ORDER BY id
SELECT customer_id AS id, id AS customer_id FROM orders ORDER BY id, customer_id
SELECT id AS shipped_on, COUNT(*) FROM orders GROUP BY id ORDER BY 1
SELECT id AS k, COUNT(*) AS total FROM orders GROUP BY id ORDER BY total DESC, id
SELECT SUM(total) AS total FROM orders
SELECT customer_id, SUM(total) AS total FROM orders GROUP BY customer_id ORDER BY total, customer_id
SELECT customer_id, MAX(total) AS id FROM orders GROUP BY customer_id ORDER BY id, customer_id
SELECT x.id FROM orders x WHERE x.customer_id = 5 ORDER BY x.id
SELECT orders.id FROM orders WHERE orders.customer_id = 5 ORDER BY orders.id
SELECT ORDERS.ID FROM orders ORDERS WHERE ORDERS.CUSTOMER_ID = 5 ORDER BY ORDERS.ID
SELECT id a, id b, id c FROM customers ORDER BY a
SELECT id, id, id FROM customers ORDER BY 2, 1
SELECT *, id FROM customers ORDER BY id
SELECT customers.*, credit * 2 FROM customers ORDER BY id
SELECT c.*, o.id FROM customers c JOIN orders o ON o.customer_id = c.id ORDER BY c.id, o.id
SELECT COUNT( * ) FROM orders
SELECT Count(*) , SUM( total ) FROM orders
SELECT total total FROM orders ORDER BY total, id
SELECT birthday, birthday AS b FROM customers ORDER BY b, id

-- ORDER BY and LIMIT.
SELECT id FROM customers ORDER BY id LIMIT 3
SELECT id FROM customers ORDER BY id LIMIT 3 OFFSET 2
SELECT id FROM customers ORDER BY id DESC LIMIT 3 OFFSET 58
SELECT id FROM customers ORDER BY id LIMIT 0
SELECT id FROM customers ORDER BY id LIMIT 9223372036854775807
SELECT id FROM customers ORDER BY id LIMIT 9223372036854775807 OFFSET 55
SELECT id FROM customers ORDER BY id LIMIT 5 OFFSET 9223372036854775807
SELECT id, birthday FROM customers ORDER BY birthday, id
SELECT id, birthday FROM customers ORDER BY birthday DESC, id DESC
SELECT id FROM customers ORDER BY birthday IS NULL, birthday, id
SELECT id FROM customers ORDER BY 1 + 1, id
SELECT id FROM customers ORDER BY -id
SELECT id FROM customers ORDER BY id + 0 DESC
SELECT id, credit FROM customers ORDER BY ABS(credit - 300), id
SELECT id, token FROM customers ORDER BY token
SELECT id FROM customers ORDER BY token DESC LIMIT 7
SELECT id FROM customers ORDER BY city, id
SELECT id FROM customers ORDER BY country DESC, id
SELECT id FROM customers ORDER BY UPPER(name), id
SELECT id FROM customers ORDER BY (SELECT 1), id
SELECT name FROM customers ORDER BY LENGTH(name), id
SELECT id, discount FROM (SELECT customer_id AS id, discount FROM order_items) AS x ORDER BY id, discount
SELECT discount, customer_id, order_id, line FROM order_items ORDER BY discount, customer_id, order_id, line
SELECT gift, customer_id, order_id, line FROM order_items ORDER BY gift, customer_id, order_id, line
SELECT COUNT(*) FROM orders LIMIT 1
SELECT COUNT(*) FROM orders LIMIT 0
SELECT COUNT(*) FROM orders LIMIT 1 OFFSET 1
SELECT SUM(total) FROM orders ORDER BY 1
SELECT id FROM orders WHERE customer_id = 5 ORDER BY id LIMIT 2 OFFSET 1
SELECT id FROM orders WHERE customer_id IN (5, 6, 7) ORDER BY id LIMIT 2 OFFSET 1

-- Aggregates.
SELECT COUNT(*), COUNT(1), COUNT(NULL), COUNT(shipped_on), COUNT(id) FROM orders
SELECT SUM(total), SUM(ALL total), MIN(total), MAX(total) FROM orders
SELECT SUM(id), SUM(customer_id), MIN(id), MAX(id) FROM orders
SELECT SUM(quantity), SUM(price), SUM(price * quantity) FROM order_items
SELECT SUM(quantity) + 0 FROM order_items
SELECT SUM(quantity), COUNT(*) * 2 FROM order_items
SELECT SUM(discount) FROM order_items
SELECT AVG(total) FROM orders
SELECT AVG(quantity), COUNT(*) FROM order_items
SELECT MIN(discount), MAX(discount) FROM order_items
SELECT MIN(name), MAX(name) FROM customers
SELECT MIN(status) FROM orders
SELECT MIN(placed_at), MAX(placed_at), MIN(shipped_on), MAX(shipped_on) FROM orders
SELECT COUNT(DISTINCT customer_id) FROM orders
SELECT COUNT(DISTINCT id) FROM orders
SELECT COUNT(DISTINCT shipped_on) FROM orders
SELECT SUM(DISTINCT quantity) FROM order_items
SELECT COUNT(DISTINCT quantity) FROM order_items
SELECT COUNT(*) FROM orders WHERE customer_id = 5
SELECT MAX(total) FROM orders WHERE customer_id IN (5, 6, 7)
SELECT 1, COUNT(*) FROM orders
SELECT 'x' AS what, COUNT(*), SUM(total) FROM orders
SELECT COALESCE(SUM(total), 0) FROM orders WHERE 1 = 0
SELECT COALESCE(SUM(total), 0) FROM orders
SELECT CASE WHEN COUNT(*) > 10 THEN 1 ELSE 0 END FROM orders
SELECT STDDEV_POP(total) FROM orders
SELECT VAR_SAMP(quantity) FROM order_items

-- GROUP BY, HAVING, DISTINCT.
SELECT customer_id, COUNT(*) FROM orders GROUP BY customer_id ORDER BY customer_id
SELECT customer_id FROM orders GROUP BY customer_id ORDER BY customer_id
SELECT COUNT(*) FROM orders GROUP BY customer_id ORDER BY customer_id
SELECT COUNT(*) FROM orders GROUP BY shipped_on ORDER BY shipped_on
SELECT shipped_on, COUNT(*) FROM orders GROUP BY 1 ORDER BY 1
SELECT shipped_on, COUNT(*), SUM(total) FROM orders GROUP BY shipped_on ORDER BY 3 DESC, 1
SELECT shipped_on, COUNT(*) FROM orders GROUP BY shipped_on ORDER BY COUNT(*), shipped_on
SELECT shipped_on, COUNT(*) FROM orders GROUP BY shipped_on ORDER BY SUM(total), shipped_on
SELECT shipped_on, COUNT(*) FROM orders GROUP BY shipped_on ORDER BY shipped_on LIMIT 3 OFFSET 1
SELECT shipped_on, COUNT(*) FROM orders GROUP BY shipped_on ORDER BY COUNT(*) DESC, shipped_on LIMIT 3
SELECT quantity, gift, COUNT(*) FROM order_items GROUP BY quantity, gift ORDER BY quantity, gift
SELECT quantity % 2, COUNT(*) FROM order_items GROUP BY quantity % 2 ORDER BY 1
SELECT EXTRACT(YEAR FROM placed_at), COUNT(*) FROM orders GROUP BY EXTRACT(YEAR FROM placed_at) ORDER BY 1
SELECT status, COUNT(*) FROM orders GROUP BY status ORDER BY COUNT(*), status
SELECT status, COUNT(*) FROM orders GROUP BY status
SELECT country, SUM(credit) FROM customers GROUP BY country
SELECT customer_id, status, COUNT(*) FROM orders GROUP BY customer_id, status
SELECT customer_id, COUNT(*) FROM orders GROUP BY customer_id HAVING COUNT(*) > 3 ORDER BY customer_id
SELECT shipped_on, COUNT(*) FROM orders GROUP BY shipped_on HAVING COUNT(*) > 3 ORDER BY shipped_on
SELECT COUNT(*) FROM orders HAVING COUNT(*) > 3
SELECT COUNT(*) FROM orders HAVING COUNT(*) > 100000
SELECT shipped_on, AVG(total) FROM orders GROUP BY shipped_on ORDER BY shipped_on
SELECT customer_id, AVG(total) FROM orders GROUP BY customer_id ORDER BY customer_id
SELECT customer_id, COUNT(DISTINCT status) FROM orders GROUP BY customer_id ORDER BY customer_id
SELECT price, COUNT(*) FROM order_items GROUP BY price ORDER BY price
SELECT credit, COUNT(*) FROM customers GROUP BY credit ORDER BY credit DESC LIMIT 5
SELECT token, COUNT(*) FROM customers GROUP BY token ORDER BY token
SELECT discount, COUNT(*) FROM order_items GROUP BY discount
SELECT DISTINCT customer_id FROM orders ORDER BY customer_id
SELECT DISTINCT quantity FROM order_items ORDER BY quantity DESC
SELECT DISTINCT quantity, gift FROM order_items ORDER BY quantity, gift
SELECT DISTINCT shipped_on FROM orders ORDER BY shipped_on LIMIT 3 OFFSET 2
SELECT DISTINCT shipped_on FROM orders
SELECT DISTINCT status FROM orders
SELECT DISTINCT country FROM customers ORDER BY country
SELECT DISTINCT quantity + 1 FROM order_items
SELECT DISTINCT COUNT(*) FROM orders GROUP BY customer_id
SELECT DISTINCT 1 FROM orders
SELECT ALL quantity FROM order_items WHERE customer_id = 5 ORDER BY order_id, line

-- Joins.
SELECT c.id, o.id FROM customers c, orders o WHERE o.customer_id = c.id ORDER BY c.id, o.id
SELECT c.id, o.id FROM customers c CROSS JOIN orders o WHERE o.customer_id = c.id ORDER BY c.id, o.id
SELECT c.id, o.id FROM customers c LEFT JOIN orders o ON o.customer_id = c.id ORDER BY c.id, o.id
SELECT c.id, o.id FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND o.total > 500 ORDER BY c.id, o.id
SELECT c.id, o.id FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE o.id IS NULL ORDER BY c.id
SELECT c.id, o.id FROM orders o RIGHT JOIN customers c ON o.customer_id = c.id ORDER BY c.id, o.id
SELECT c.id, COUNT(o.id) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id GROUP BY c.id ORDER BY c.id
SELECT c.id, o.id FROM customers c JOIN orders o ON o.id = c.id ORDER BY c.id, o.customer_id
SELECT c.id, o.id FROM customers c JOIN orders o ON o.customer_id = c.id + 0 ORDER BY c.id, o.id
SELECT c.id, o.id FROM customers c JOIN orders o ON o.customer_id > c.id WHERE c.id < 3 ORDER BY c.id, o.customer_id, o.id
SELECT c.id, o.id FROM customers c JOIN orders o ON o.customer_id = c.id OR o.id = c.id ORDER BY c.id, o.id
SELECT c.id, o.id FROM customers c JOIN orders o ON c.id = 5 AND o.customer_id = 5 ORDER BY o.id
SELECT c.id, o.id FROM customers c JOIN orders o ON c.id = 5 AND o.customer_id = 6 ORDER BY o.id
SELECT c.id, o.id FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id = 5 ORDER BY o.id
SELECT c.id, o.id FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.customer_id = 5 ORDER BY o.id
SELECT c.id, o.id FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND o.customer_id = 5 ORDER BY c.id, o.id
SELECT c.id, o.id FROM customers c LEFT JOIN orders o ON o.customer_id = 5 AND c.id = 5 ORDER BY c.id, o.id
SELECT a.id, b.id FROM orders a JOIN orders b ON a.customer_id = b.customer_id AND a.id < b.id ORDER BY a.id, b.id
SELECT a.id, b.id FROM orders a JOIN orders b ON a.id = b.id ORDER BY a.customer_id, a.id, b.customer_id
SELECT id, name FROM customers JOIN orders USING (id) ORDER BY id, customer_id
SELECT customer_id, COUNT(*) FROM orders JOIN order_items USING (customer_id) GROUP BY customer_id ORDER BY customer_id
SELECT o.customer_id, i.line FROM orders o JOIN order_items i USING (customer_id) WHERE i.order_id = o.id ORDER BY o.customer_id, o.id, i.line
SELECT COUNT(*) FROM orders NATURAL JOIN order_items
SELECT p.id, i.customer_id FROM products p JOIN order_items i ON i.product_id = p.id ORDER BY p.id, i.customer_id, i.order_id, i.line
SELECT p.id, i.customer_id FROM products p LEFT JOIN order_items i ON i.product_id = p.id ORDER BY p.id, i.customer_id, i.order_id, i.line
SELECT p.id, COUNT(i.line) FROM products p LEFT JOIN order_items i ON i.product_id = p.id GROUP BY p.id ORDER BY p.id
SELECT p.id, i.line FROM order_items i RIGHT JOIN products p ON i.product_id = p.id ORDER BY p.id, i.customer_id, i.order_id, i.line
SELECT p.id, i.line FROM order_items i LEFT JOIN products p ON i.product_id = p.id AND p.id < 5 ORDER BY p.id, i.customer_id, i.order_id, i.line
SELECT p.id, s.value FROM products p JOIN settings s ON s.name = 'currency' ORDER BY p.id
SELECT c.id, s.value FROM customers c JOIN settings s ON s.name = 'currency' ORDER BY c.id
SELECT c.id, s.value FROM customers c JOIN settings s ON s.name = 'currency' WHERE c.id = 5 ORDER BY c.id
SELECT COUNT(*) FROM customers, products
SELECT COUNT(*) FROM products a, products b
SELECT p.id FROM products p ORDER BY p.id
SELECT s.name FROM settings s ORDER BY s.name
SELECT (SELECT COUNT(*) FROM products)
SELECT COUNT(*) FROM products WHERE id IN (SELECT product_id FROM order_items)
SELECT COUNT(*) FROM order_items WHERE product_id IN (SELECT id FROM products WHERE category = 'home')
SELECT id FROM products WHERE NOT EXISTS (SELECT 1 FROM order_items WHERE product_id = products.id) ORDER BY id

-- Sub-queries, set operations, common table expressions, windows.
SELECT id FROM customers WHERE id = (SELECT MAX(customer_id) FROM orders) ORDER BY id
SELECT id FROM customers WHERE id IN (SELECT customer_id FROM orders WHERE total > 500) ORDER BY id
SELECT id FROM customers WHERE id NOT IN (SELECT customer_id FROM orders) ORDER BY id
SELECT id FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id AND o.total > 500) ORDER BY id
SELECT id FROM customers c WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id) ORDER BY id
SELECT id FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.id = c.id) ORDER BY id
SELECT id FROM customers WHERE credit > (SELECT SUM(total) / 100 FROM orders) ORDER BY id
SELECT id, (SELECT COUNT(*) FROM orders o WHERE o.customer_id = c.id) FROM customers c ORDER BY id
SELECT id, (SELECT COUNT(*) FROM orders) FROM customers ORDER BY id
SELECT id FROM orders WHERE customer_id = (SELECT 5) ORDER BY id
SELECT id FROM orders WHERE customer_id = 5 AND total = (SELECT MAX(total) FROM orders WHERE customer_id = 5) ORDER BY id
SELECT id FROM orders WHERE customer_id = 5 AND total < (SELECT MAX(total) FROM orders WHERE customer_id = 6) ORDER BY id
SELECT COUNT(*) FROM (SELECT id FROM customers ORDER BY id LIMIT 5) AS x
SELECT COUNT(*) FROM (SELECT customer_id, COUNT(*) AS n FROM orders GROUP BY customer_id) AS x WHERE n > 3
SELECT x.n FROM (SELECT COUNT(*) AS n FROM orders WHERE customer_id = 5) AS x
SELECT id FROM customers UNION SELECT customer_id FROM orders
SELECT id FROM customers UNION ALL SELECT customer_id FROM orders
SELECT id FROM customers WHERE id = 5 UNION ALL SELECT id FROM orders WHERE customer_id = 5
SELECT id FROM customers WHERE id = 5 UNION ALL SELECT id FROM orders WHERE customer_id = 6
SELECT id FROM customers EXCEPT SELECT customer_id FROM orders
SELECT id FROM products INTERSECT SELECT id FROM customers
SELECT id FROM products UNION SELECT id FROM products
(SELECT id FROM orders WHERE customer_id = 5) UNION ALL (SELECT id FROM orders WHERE customer_id = 5)
WITH x AS (SELECT id FROM customers) SELECT COUNT(*) FROM x
WITH x AS (SELECT id FROM customers WHERE id = 5) SELECT COUNT(*) FROM x
WITH orders AS (SELECT 1 AS id) SELECT id FROM orders
WITH x AS (SELECT 5 AS id) SELECT o.id FROM x JOIN orders o ON o.customer_id = x.id ORDER BY o.id
WITH RECURSIVE n AS (SELECT 1 AS k UNION ALL SELECT k + 1 FROM n WHERE k < 5) SELECT COUNT(*) FROM n JOIN customers c ON c.id = n.k
SELECT id, ROW_NUMBER() OVER (ORDER BY id) FROM customers ORDER BY id
SELECT id, SUM(total) OVER (PARTITION BY customer_id) FROM orders ORDER BY customer_id, id
SELECT id, ROW_NUMBER() OVER (ORDER BY id) FROM orders WHERE customer_id = 5 ORDER BY id
SELECT COUNT(*) OVER () FROM customers ORDER BY id

-- Reads that lock, hints in comments, several spellings.
SELECT id FROM customers WHERE id = 5 FOR UPDATE
SELECT id FROM customers ORDER BY id FOR UPDATE
/* comment */ SELECT /* inside */ id FROM customers -- to the end
SELECT id FROM customers WHERE id = 5 /* and id = 6 */ ORDER BY id
SELECT id FROM customers WHERE name <> 'id = 5 --' AND id = 6 ORDER BY id
select ID from customers where Id=5
SELECT id FROM customers WHERE city LIKE 'B%' ORDER BY id
SELECT id FROM customers WHERE note IS NOT NULL AND name LIKE '%a%' ORDER BY id
SELECT CURRENT_DATE = CURRENT_DATE, id FROM customers ORDER BY id
SELECT 1
SELECT 1 AS a, 'b' AS b, NULL AS c
SELECT 1 WHERE 1 = 0
SELECT 2 * 3 ORDER BY 1
