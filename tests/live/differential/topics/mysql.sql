-- Statements of MySQL's own, one a line. Where ORDER BY is written at the end, it tells all rows apart.
SELECT id, total FROM orders WHERE customer_id <=> 5 ORDER BY id
SELECT id, total FROM orders WHERE customer_id <=> NULL ORDER BY id
SELECT id, total FROM orders WHERE customer_id = '5abc' ORDER BY id
SELECT id, total FROM orders WHERE customer_id = 0x05 ORDER BY id
SELECT id, total FROM orders WHERE customer_id = X'35' ORDER BY id
SELECT id, total FROM orders WHERE customer_id = b'101' ORDER BY id
SELECT id, total FROM orders WHERE customer_id = TRUE ORDER BY id
SELECT id, total FROM orders WHERE customer_id = "5" ORDER BY id
SELECT id, total FROM orders WHERE customer_id = 5 && id > 3 ORDER BY id
SELECT id, total FROM orders WHERE customer_id = 5 || id = 3 ORDER BY customer_id, id
SELECT id, total FROM orders WHERE customer_id = 5 XOR id = 3 ORDER BY customer_id, id
SELECT id, total FROM orders WHERE customer_id = 4 + 1 ORDER BY id
SELECT id, total FROM orders WHERE customer_id = 10 DIV 2 ORDER BY id
SELECT id, total FROM orders WHERE customer_id = 5 + '0' ORDER BY id
SELECT id, total FROM orders WHERE customer_id LIKE '5' ORDER BY id
SELECT id, total FROM orders WHERE customer_id = 18446744073709551615 ORDER BY id
SELECT id, total FROM orders WHERE customer_id = '5.0' ORDER BY id
SELECT id, total FROM orders WHERE customer_id = '5e0' ORDER BY id
SELECT id, total FROM orders WHERE customer_id = DATE '2024-01-01' ORDER BY id
SELECT id, total FROM orders WHERE customer_id = BINARY '5' ORDER BY id
SELECT id, total FROM orders WHERE customer_id = _utf8mb4'5' ORDER BY id
SELECT id, total FROM orders WHERE customer_id = CAST('5' AS SIGNED) ORDER BY id
SELECT id, total FROM orders WHERE customer_id = '5' '' ORDER BY id
SELECT id, total FROM orders WHERE !(customer_id <> 5) ORDER BY id
SELECT id, total FROM orders WHERE customer_id = 5 LIMIT 1, 2
SELECT id FROM customers ORDER BY id LIMIT 2, 3
SELECT id FROM customers ORDER BY id LIMIT 18446744073709551615
SELECT id FROM customers ORDER BY id LIMIT 18446744073709551615 OFFSET 58
SELECT id FROM customers ORDER BY NULL LIMIT 100
SELECT `id` FROM `customers` WHERE `id` = 5
SELECT c.`id` FROM `customers` AS `c` ORDER BY `c`.`id`
SELECT id "x y" FROM customers ORDER BY id
SELECT id 'x' FROM customers ORDER BY id
SELECT SQL_NO_CACHE id FROM customers ORDER BY id
SELECT SQL_CALC_FOUND_ROWS id FROM customers ORDER BY id LIMIT 2
SELECT SQL_BIG_RESULT quantity, COUNT(*) FROM order_items GROUP BY quantity ORDER BY quantity
SELECT HIGH_PRIORITY id FROM customers WHERE id = 5
SELECT STRAIGHT_JOIN c.id, o.id FROM customers c JOIN orders o ON o.customer_id = c.id ORDER BY c.id, o.id
SELECT c.id, o.id FROM customers c STRAIGHT_JOIN orders o ON o.customer_id = c.id ORDER BY c.id, o.id
SELECT id FROM orders USE INDEX (orders_id) WHERE customer_id = 5 ORDER BY id
SELECT id FROM orders FORCE INDEX (orders_id) ORDER BY customer_id, id
SELECT DISTINCTROW quantity FROM order_items ORDER BY quantity
SELECT shipped_on d, COUNT(*) FROM orders GROUP BY d ORDER BY d
SELECT YEAR(placed_at) y, COUNT(*) FROM orders GROUP BY y ORDER BY y
SELECT id AS shipped_on, COUNT(*) FROM orders GROUP BY shipped_on
SELECT quantity AS gift, COUNT(*) FROM order_items GROUP BY gift
SELECT customer_id, total FROM orders GROUP BY customer_id, id, total ORDER BY customer_id, id
SELECT quantity, COUNT(*) FROM order_items GROUP BY quantity WITH ROLLUP
SELECT quantity, COUNT(*) AS n FROM order_items GROUP BY quantity ORDER BY n DESC, quantity
SELECT GROUP_CONCAT(id ORDER BY id) FROM customers
SELECT BIT_OR(quantity), BIT_AND(quantity), BIT_XOR(quantity) FROM order_items
SELECT STD(total) FROM orders
SELECT ANY_VALUE(1)
SELECT COUNT(DISTINCT customer_id, id) FROM orders
SELECT MIN(gift), MAX(gift), SUM(gift) FROM order_items
SELECT SUM(shipped_on) FROM orders
SELECT SUM(status) FROM orders
SELECT SUM(total > 100) FROM orders
SELECT MAX(token) FROM customers
SELECT IFNULL(shipped_on, '2020-01-01') AS d, id FROM orders ORDER BY id, customer_id
SELECT IF(COUNT(*) > 5, 'many', 'few') FROM orders
SELECT id, @n := 1 FROM customers ORDER BY id
SELECT @x
SELECT id FROM customers WHERE id = @x
SELECT RAND() < 2, id FROM customers ORDER BY id
SELECT UUID() IS NOT NULL, id FROM customers ORDER BY id
SELECT NOW() = NOW(), id FROM customers ORDER BY id
SELECT id FROM customers WHERE RAND() < 2 ORDER BY id
SELECT id FROM customers WHERE MATCH (name) AGAINST ('x')
SELECT id FROM customers PROCEDURE ANALYSE()
SELECT id FROM customers WHERE id = 5 LOCK IN SHARE MODE
SELECT id FROM customers PARTITION (p0)
SELECT /*! id, */ credit FROM customers ORDER BY id
SELECT /*!99999 nothing, */ id FROM customers ORDER BY id
SELECT /*+ MAX_EXECUTION_TIME(1000) */ id FROM customers ORDER BY id
SELECT id FROM customers # to the end
SELECT id FROM customers WHERE name = 'it''s' OR name = 'it\'s' OR id = 5 ORDER BY id
SELECT id FROM customers WHERE name = '\\' OR id = 5 ORDER BY id
SELECT id FROM customers WHERE name = "\"" OR id = 5 ORDER BY id
SELECT id FROM shop.customers ORDER BY id
SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'nothing'
SELECT COUNT(*) FROM customers c, LATERAL (SELECT 1) x
SELECT id FROM customers ORDER BY id ASC, id DESC
SELECT id FROM customers GROUP BY id DESC
SELECT customer_id, COUNT(*) c FROM orders GROUP BY customer_id HAVING c > 3 ORDER BY customer_id
SELECT credit c FROM customers HAVING c > 500 ORDER BY c, id
SELECT id DIV 2 AS h, COUNT(*) FROM customers GROUP BY h ORDER BY h
SELECT COUNT(*) FROM customers WHERE created_at > '2023-06-01'
SELECT COUNT(*) FROM customers WHERE created_at > 20230601
SELECT CONVERT(id, CHAR) FROM customers ORDER BY id
SELECT id FROM customers ORDER BY CONVERT(id, CHAR)
SELECT id FROM customers ORDER BY BINARY name, id
SELECT HEX(token) FROM customers ORDER BY token
SELECT id, credit FROM customers ORDER BY credit COLLATE binary, id
SELECT TIMESTAMPDIFF(DAY, placed_at, shipped_on) AS days, id FROM orders ORDER BY customer_id, id
VALUES (1), (2)
TABLE customers
DO 1
