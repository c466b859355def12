-- Statements of PostgreSQL's own, one a line. Where ORDER BY is written at the end, it tells all rows apart.
SELECT id, total FROM orders WHERE customer_id IS NOT DISTINCT FROM 5 ORDER BY id
SELECT id, total FROM orders WHERE customer_id = 5::bigint ORDER BY id
SELECT id, total FROM orders WHERE customer_id = '5'::bigint ORDER BY id
SELECT id, total FROM orders WHERE customer_id = 5::smallint ORDER BY id
SELECT id, total FROM orders WHERE customer_id = 5::numeric ORDER BY id
SELECT id, total FROM orders WHERE customer_id = 5.4::integer ORDER BY id
SELECT id, total FROM orders WHERE customer_id::text = '5' ORDER BY id
SELECT id, total FROM orders WHERE customer_id::integer = 5 ORDER BY id
SELECT id, total FROM orders WHERE customer_id = CAST('5' AS bigint) ORDER BY id
SELECT id, total FROM orders WHERE customer_id = bigint '5' ORDER BY id
SELECT id, total FROM orders WHERE customer_id = ANY (ARRAY[5, 6]) ORDER BY customer_id, id
SELECT id, total FROM orders WHERE customer_id = ANY ('{5,6}') ORDER BY customer_id, id
SELECT id, total FROM orders WHERE customer_id = ANY (ARRAY[5, 6]::bigint[]) ORDER BY customer_id, id
SELECT id, total FROM orders WHERE customer_id = ALL (ARRAY[5]) ORDER BY customer_id, id
SELECT id, total FROM orders WHERE customer_id <> ALL (ARRAY[5, 6]) ORDER BY customer_id, id
SELECT id, total FROM orders WHERE customer_id OPERATOR(pg_catalog.=) 5 ORDER BY id
SELECT id, total FROM orders WHERE (customer_id = 5) IS TRUE ORDER BY id
SELECT id, total FROM orders WHERE (customer_id, id) >= (5, 3) AND customer_id < 7 ORDER BY customer_id, id
SELECT id, total FROM orders WHERE ROW(customer_id, id) = ROW(5, 3) ORDER BY id
SELECT id, total FROM orders WHERE customer_id = E'5' ORDER BY id
SELECT id, total FROM orders WHERE customer_id = $$5$$ ORDER BY id
SELECT id, total FROM orders WHERE customer_id = 0b101 ORDER BY id
SELECT id, total FROM orders WHERE customer_id = 5 FETCH FIRST 2 ROWS ONLY
SELECT id FROM customers ORDER BY id FETCH FIRST 3 ROWS ONLY
SELECT id FROM customers ORDER BY id OFFSET 2 ROWS FETCH NEXT 3 ROWS ONLY
SELECT credit FROM customers ORDER BY credit FETCH FIRST 3 ROWS WITH TIES
SELECT id FROM customers ORDER BY id OFFSET 55
SELECT id FROM customers ORDER BY id OFFSET 2 LIMIT 3
SELECT id FROM customers ORDER BY id LIMIT ALL
SELECT id FROM customers ORDER BY id LIMIT NULL OFFSET NULL
SELECT id FROM customers ORDER BY id LIMIT 2 + 1
SELECT id FROM customers ORDER BY id LIMIT -1
SELECT id FROM customers ORDER BY id LIMIT 3.4
SELECT id FROM customers ORDER BY birthday NULLS FIRST, id
SELECT id FROM customers ORDER BY birthday NULLS LAST, id
SELECT id FROM customers ORDER BY birthday DESC NULLS LAST, id
SELECT id FROM customers ORDER BY birthday DESC NULLS FIRST, id
SELECT id FROM customers ORDER BY id USING >
SELECT id FROM customers ORDER BY id USING <
SELECT id FROM customers ORDER BY name COLLATE "C", id
SELECT "id" FROM "customers" WHERE "id" = 5
SELECT c."id" FROM public.customers AS c ORDER BY c."id"
SELECT "ID" FROM customers
SELECT public.customers.id FROM public.customers ORDER BY public.customers.id
SELECT id FROM ONLY customers ORDER BY id
SELECT id FROM customers * ORDER BY id
SELECT c FROM customers c WHERE id = 5
SELECT c FROM customers c ORDER BY c.id
SELECT (c).id FROM customers c ORDER BY (c).id
SELECT ctid IS NOT NULL, id FROM customers ORDER BY id
SELECT tableoid IS NOT NULL, id FROM customers ORDER BY id
SELECT DISTINCT ON (customer_id) customer_id, id FROM orders ORDER BY customer_id, id
SELECT DISTINCT ON (shipped_on) shipped_on, customer_id, id FROM orders ORDER BY shipped_on, customer_id, id
SELECT COUNT(*) FILTER (WHERE total > 100) FROM orders
SELECT SUM(total) FILTER (WHERE customer_id = 5) FROM orders
SELECT BOOL_AND(gift), BOOL_OR(gift) FROM order_items
SELECT BIT_OR(quantity), BIT_AND(quantity) FROM order_items
SELECT EVERY(quantity > 0) FROM order_items
SELECT STRING_AGG(id::text, ',' ORDER BY id) FROM customers
SELECT ARRAY_AGG(id ORDER BY id) FROM customers
SELECT JSON_AGG(id ORDER BY id) FROM customers
SELECT PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY total) FROM orders
SELECT STDDEV(total) FROM orders
SELECT MAX(token::text) FROM customers
SELECT MIN(created_at), MAX(birthday) FROM customers
SELECT SUM(quantity), pg_typeof(SUM(quantity)) FROM order_items
SELECT SUM(customer_id) FROM orders
SELECT SUM(total::float8) FROM orders
SELECT SUM(total)::text FROM orders
SELECT SUM(total) / COUNT(*) FROM orders
SELECT quantity, COUNT(*) FROM order_items GROUP BY ROLLUP (quantity) ORDER BY quantity
SELECT quantity, gift, COUNT(*) FROM order_items GROUP BY GROUPING SETS ((quantity), (gift))
SELECT COUNT(*) FROM order_items GROUP BY ()
SELECT quantity AS gift, COUNT(*) FROM order_items GROUP BY gift, quantity
SELECT quantity q, COUNT(*) FROM order_items GROUP BY q ORDER BY q
SELECT gift, COUNT(*) FROM order_items GROUP BY gift ORDER BY gift
SELECT date_trunc('month', placed_at) AS m, COUNT(*) FROM orders GROUP BY m ORDER BY m
SELECT placed_at::date AS d, COUNT(*) FROM orders GROUP BY d ORDER BY d
SELECT id, name FROM customers GROUP BY id ORDER BY id
SELECT random() < 2, id FROM customers ORDER BY id
SELECT gen_random_uuid() IS NOT NULL, id FROM customers ORDER BY id
SELECT now() = now(), id FROM customers ORDER BY id
SELECT id FROM customers WHERE random() < 2 ORDER BY id
SELECT generate_series(1, 2), id FROM customers ORDER BY id
SELECT id, unnest(ARRAY[1, 2]) FROM customers ORDER BY id
SELECT COUNT(*) FROM generate_series(1, 3) g, customers
SELECT COUNT(*) FROM customers TABLESAMPLE SYSTEM (100)
SELECT c.id, x.n FROM customers c, LATERAL (SELECT COUNT(*) AS n FROM orders o WHERE o.customer_id = c.id) x ORDER BY c.id
SELECT c.id, o.id FROM customers c FULL JOIN orders o ON o.customer_id = c.id ORDER BY c.id, o.id
SELECT p.id, i.line FROM products p FULL JOIN order_items i ON i.product_id = p.id ORDER BY p.id, i.customer_id, i.order_id, i.line
SELECT id FROM customers WHERE id = 5 FOR SHARE
SELECT id FROM customers WHERE id = 5 FOR UPDATE SKIP LOCKED
SELECT id FROM customers WHERE id = 5 FOR NO KEY UPDATE
SELECT id FROM customers WHERE name = E'it\'s' OR id = 5 ORDER BY id
SELECT id FROM customers WHERE name = 'a\' OR id = 5 ORDER BY id
SELECT id FROM customers WHERE name = $x$ ' OR id = 6 $x$ OR id = 5 ORDER BY id
SELECT id FROM customers WHERE name = U&'d\0061ta' OR id = 5 ORDER BY id
SELECT id /* nested /* comment */ */ FROM customers ORDER BY id
SELECT token FROM customers ORDER BY token LIMIT 3
SELECT id FROM customers WHERE token > '80000000-0000-0000-0000-000000000000' ORDER BY token
SELECT details FROM products ORDER BY id
SELECT id, details->>'color' FROM products ORDER BY id
SELECT row_to_json(c) FROM customers c WHERE c.id = 5
SELECT id::text FROM customers ORDER BY id
SELECT id::text AS id FROM customers ORDER BY id
SELECT id::text AS k FROM customers ORDER BY k
SELECT name AS id FROM customers ORDER BY id, credit
SELECT total AS id, id AS total FROM orders ORDER BY customers.id
SELECT age(placed_at, placed_at), id FROM orders ORDER BY customer_id, id
SELECT placed_at AT TIME ZONE 'UTC', id FROM orders ORDER BY customer_id, id
SELECT id INTO temporary_copy FROM customers
SELECT current_schema(), current_database() = current_database()
SELECT COUNT(*) FROM pg_catalog.pg_class WHERE relname = 'nothing'
WITH gone AS (DELETE FROM settings WHERE name = 'no such' RETURNING name) SELECT COUNT(*) FROM gone
WITH x AS MATERIALIZED (SELECT 1 AS a) SELECT a FROM x
VALUES (1), (2)
TABLE products
TABLE customers
