"""What tools ask of the catalog before they show or map tables, of a shard itself and through dbmesh: PORT DATABASE SHARD_PORT
SHARD_USER SHARD_PASSWORD. The declared tables look as in one database."""

import subprocess
import sys

import psycopg
import sqlalchemy

port, database, shard_port, shard_user, shard_password, kind = sys.argv[1:7]
direct = f"postgresql://{shard_user}:{shard_password}@127.0.0.1:{shard_port}/{database}"
meshed = f"postgresql://app:app@127.0.0.1:{port}/{database}"

COMMANDS = r"""\d|\dt|\dt+|\d orders|\d+ orders|\d products|\di|\ds|\dn|\df|\dT|\dv|\dp|\du|\dC int*|\sf now|\dx|\dd|\drds|\db|\dconfig work_mem""".split("|")

# As Prisma, Django, Rails, TypeORM, DBeaver, Hibernate, pgJDBC and the completion of psql send them.
QUERIES = [
    "SELECT tbl.relname AS table_name, namespace.nspname as namespace, (tbl.relhassubclass and tbl.relkind = 'p') as is_partition, (tbl.relhassubclass and tbl.relkind = 'r') as has_subclass, tbl.relrowsecurity as has_row_level_security, reloptions, obj_description(tbl.oid, 'pg_class') as description FROM pg_class AS tbl INNER JOIN pg_namespace AS namespace ON namespace.oid = tbl.relnamespace WHERE ( (tbl.relkind = 'r' AND tbl.relispartition = 't') OR (tbl.relkind = 'r' AND tbl.relispartition = 'f') OR tbl.relkind = 'p' ) AND namespace.nspname = ANY ( '{public}' ) ORDER BY namespace, table_name",
    "SELECT oid.namespace, info.table_name, info.column_name, format_type(att.atttypid, att.atttypmod) as formatted_type, info.numeric_precision, info.data_type, pg_get_expr(attdef.adbin, attdef.adrelid) AS column_default, info.is_nullable, info.is_identity FROM information_schema.columns info JOIN pg_attribute att ON att.attname = info.column_name JOIN ( SELECT pg_class.oid, relname, pg_namespace.nspname as namespace FROM pg_class JOIN pg_namespace on pg_namespace.oid = pg_class.relnamespace AND pg_namespace.nspname = ANY ( '{public}' ) WHERE reltype > 0 ) as oid on oid.oid = att.attrelid AND relname = info.table_name AND namespace = info.table_schema LEFT OUTER JOIN pg_attrdef attdef ON attdef.adrelid = att.attrelid AND attdef.adnum = att.attnum AND table_schema = namespace WHERE table_schema = ANY ( '{public}' ) ORDER BY namespace, table_name, ordinal_position",
    "SELECT c.relname, CASE WHEN c.relispartition THEN 'p' WHEN c.relkind IN ('m', 'v') THEN 'v' ELSE 't' END, obj_description(c.oid, 'pg_class') FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('f', 'm', 'p', 'r', 'v') AND n.nspname NOT IN ('pg_catalog', 'pg_toast') AND pg_catalog.pg_table_is_visible(c.oid)",
    "SELECT a.attname AS column_name, NOT (a.attnotnull OR (t.typtype = 'd' AND t.typnotnull)) AS is_nullable, pg_get_expr(ad.adbin, ad.adrelid) AS column_default, CASE WHEN collname = 'default' THEN NULL ELSE collname END AS collation, a.attidentity != '' AS is_autofield, col_description(a.attrelid, a.attnum) AS column_comment FROM pg_attribute a LEFT JOIN pg_attrdef ad ON a.attrelid = ad.adrelid AND a.attnum = ad.adnum LEFT JOIN pg_collation co ON a.attcollation = co.oid JOIN pg_type t ON a.atttypid = t.oid JOIN pg_class c ON a.attrelid = c.oid JOIN pg_namespace n ON c.relnamespace = n.oid WHERE c.relkind IN ('f', 'm', 'p', 'r', 'v') AND c.relname = 'orders' AND n.nspname NOT IN ('pg_catalog', 'pg_toast') AND pg_catalog.pg_table_is_visible(c.oid)",
    """SELECT * FROM "orders" LIMIT 1""",
    """SELECT a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid), a.attnotnull, a.atttypid, a.atttypmod, c.collname, col_description(a.attrelid, a.attnum) AS comment, attidentity AS identity, attgenerated as attgenerated FROM pg_attribute a LEFT JOIN pg_attrdef d ON a.attrelid = d.adrelid AND a.attnum = d.adnum LEFT JOIN pg_type t ON a.atttypid = t.oid LEFT JOIN pg_collation c ON a.attcollation = c.oid AND a.attcollation <> t.typcollation WHERE a.attrelid = '"orders"'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum""",
    """SELECT a.attname FROM ( SELECT indrelid, indkey, generate_subscripts(indkey, 1) idx FROM pg_index WHERE indrelid = '"orders"'::regclass AND indisprimary ) i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[i.idx] ORDER BY i.idx""",
    "SELECT distinct i.relname, d.indisunique, d.indkey, pg_get_indexdef(d.indexrelid), pg_catalog.obj_description(i.oid, 'pg_class') AS comment, d.indisvalid FROM pg_class t INNER JOIN pg_index d ON t.oid = d.indrelid INNER JOIN pg_class i ON d.indexrelid = i.oid LEFT JOIN pg_namespace n ON n.oid = t.relnamespace WHERE i.relkind IN ('i', 'I') AND d.indisprimary = 'f' AND t.relname = 'orders' AND n.nspname = ANY (current_schemas(false)) ORDER BY i.relname",
    """SELECT columns.*, pg_catalog.col_description(('"' || table_catalog || '"."' || table_schema || '"."' || table_name || '"')::regclass::oid, ordinal_position) AS description, ('"' || "udt_schema" || '"."' || "udt_name" || '"')::"regtype" AS "regtype", pg_catalog.format_type("col_attr"."atttypid", "col_attr"."atttypmod") AS "format_type" FROM "information_schema"."columns" LEFT JOIN "pg_catalog"."pg_attribute" AS "col_attr" ON "col_attr"."attname" = "columns"."column_name" AND "col_attr"."attrelid" = ( SELECT "cls"."oid" FROM "pg_catalog"."pg_class" AS "cls" LEFT JOIN "pg_catalog"."pg_namespace" AS "ns" ON "ns"."oid" = "cls"."relnamespace" WHERE "cls"."relname" = "columns"."table_name" AND "ns"."nspname" = "columns"."table_schema" ) WHERE ("table_schema" = 'public' AND "table_name" = 'orders')""",
    "SELECT * FROM current_schema()",
    "SELECT * FROM current_database()",
    "SELECT n.oid,n.*,d.description FROM pg_catalog.pg_namespace n LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=n.oid AND d.objsubid=0 AND d.classoid='pg_namespace'::regclass ORDER BY nspname",
    "select * from pg_catalog.pg_settings where name='standard_conforming_strings'",
    "select string_agg(word, ',') from pg_catalog.pg_get_keywords() where word <> ALL ('{a,abs}'::text[])",
    "SELECT c.oid,c.*,d.description,pg_catalog.pg_get_expr(c.relpartbound, c.oid) as partition_expr, pg_catalog.pg_get_partkeydef(c.oid) as partition_key FROM pg_catalog.pg_class c LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_class'::regclass WHERE c.relnamespace='public'::regnamespace AND c.relkind not in ('i','I','c') order by c.oid",
    "SELECT current_schema(), session_user = current_user, current_schemas(false)",
    "select tbl.table_schema, tbl.table_name, seq.* from information_schema.tables tbl left join information_schema.sequences seq on seq.sequence_schema=tbl.table_schema where tbl.table_schema='public' order by 2",
    "SELECT NULL AS TABLE_CAT, n.nspname AS TABLE_SCHEM, c.relname AS TABLE_NAME, CASE n.nspname ~ '^pg_' OR n.nspname = 'information_schema' WHEN true THEN 'SYSTEM' ELSE CASE c.relkind WHEN 'r' THEN 'TABLE' ELSE NULL END END AS TABLE_TYPE, d.description AS REMARKS FROM pg_catalog.pg_namespace n, pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_description d ON (c.oid = d.objoid AND d.objsubid = 0 and d.classoid = 'pg_class'::regclass) WHERE c.relnamespace = n.oid AND c.relname LIKE 'orders' ORDER BY TABLE_TYPE,TABLE_SCHEM,TABLE_NAME",
    "SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid='orders'::regclass",
    "SELECT pg_table_size('orders') >= 0, pg_relation_size('products'::regclass) >= 0",
    "SELECT pg_catalog.quote_ident(c.relname) FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'S', 'v', 'm', 'f', 'p') AND substring(pg_catalog.quote_ident(c.relname),1,3)='ord' AND pg_catalog.pg_table_is_visible(c.oid) LIMIT 1000",
]


def by_psql(address, command):
    said = subprocess.run(["psql", "-X", "-q", address, "-c", command], capture_output=True, text=True)
    return said.stdout, said.stderr


def by_sqlalchemy(address):
    engine = sqlalchemy.create_engine(address.replace("postgresql:", "postgresql+psycopg:"))
    inspector, found = sqlalchemy.inspect(engine), {}
    for of_schema in ("schema_names", "table_names", "view_names", "sequence_names", "materialized_view_names", "enums"):
        found[of_schema] = getattr(inspector, "get_" + of_schema)()
    for what in ("columns", "pk_constraint", "foreign_keys", "indexes", "unique_constraints", "check_constraints", "table_comment"):
        for table in ("orders", "products"):
            found[what, table] = repr(getattr(inspector, "get_" + what)(table))
        found["all", what] = repr(sorted(map(repr, getattr(inspector, "get_multi_" + what)().items())))
    tables = sqlalchemy.MetaData()
    tables.reflect(engine)
    found["reflected"] = sorted((table.name, [(one.name, str(one.type), one.nullable) for one in table.columns]) for table in tables.tables.values())
    engine.dispose()
    return found


def rows(address, sql):
    with psycopg.connect(address, autocommit=True) as connection:
        cursor = connection.execute(sql)
        return [column.name for column in cursor.description], cursor.fetchall()


for command in COMMANDS:
    expected, found = by_psql(direct, command), by_psql(meshed, command)
    assert found == expected, f"{command}\ndirect {expected}\nthrough {found}"
expected, found = by_sqlalchemy(direct), by_sqlalchemy(meshed)
for what, value in expected.items():
    assert found[what] == value, f"{what}\ndirect {value}\nthrough {found[what]}"
for sql in QUERIES:
    expected, found = rows(direct, sql), rows(meshed, sql)
    assert found == expected, f"{sql}\ndirect {expected}\nthrough {found}"
    if "'orders'" in sql:
        assert found[1] or "indisprimary = 'f'" in sql, sql
print("good")
