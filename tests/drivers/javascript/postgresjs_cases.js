// The cases of postgres.js: it prepares all it is given, sends statements without waiting for answers, and reads the server's types
// for itself.
'use strict';

const { Readable } = require('node:stream');
const { pipeline } = require('node:stream/promises');
const postgres = require('postgres');
const { CA, DATABASE, HOST, PASSWORD, PORT, USER, run, say, test } = require('./case.js');

const LOGIN = { host: HOST, port: PORT, user: USER, password: PASSWORD, database: DATABASE, max: 1, onnotice: () => {} };

// A client of one connection, closed at the end whatever happens.
async function session(options, work) {
  const sql = postgres({ ...LOGIN, ...options });
  try {
    return await work(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

async function attempt(work) {
  try {
    await work();
    say('no error');
  } catch (error) {
    say(error.name, error.severity, error.code, error.message, error.detail, error.hint, error.position, error.schema_name,
      error.table_name, error.column_name, error.constraint_name);
  }
}

function said(found) {
  say(found.command, found.count, found.columns?.map((column) => [column.name, column.type, column.number]));
  for (const row of found) say(row);
}

test('login', async () => {
  await session({}, async (sql) => {
    said(await sql`SELECT 1 + 1 AS a, current_database() AS b, current_user AS c`);
    for (const name of ['server_encoding', 'client_encoding', 'TimeZone', 'integer_datetimes', 'standard_conforming_strings']) {
      say(name, sql.parameters[name]);
    }
  });
  for (const wrong of [{ password: 'wrong' }, { user: 'nobody' }, { database: 'no_such_database' }]) {
    await attempt(() => session(wrong, (sql) => sql`SELECT 1`));
  }
  await session({ connection: { application_name: 'mine', statement_timeout: 20_000, TimeZone: 'Asia/Tokyo' } }, async (sql) => {
    said(await sql`SELECT current_setting('application_name') AS a, current_setting('statement_timeout') AS b, current_setting('TimeZone') AS c`);
  });
});

test('tls', () => session({ ssl: { ca: CA } }, async (sql) => said(await sql`SELECT repeat('x', 300000) AS a`)));

const TYPES = {
  small: [-32768], int_: [2147483647], big: ['-9223372036854775808'], numeric_: ['123456789012345678901234567890.123456789', 'NaN'],
  real_: [1.5], double_: [-1e300, 5e-324], bool_: [true, false], char_: ['abc'], varchar_: ['', 'it\'s \\ "q"\n\t', '😀'],
  text_: ['x'.repeat(100_000)], name_: ['n'], bytea_: [Buffer.alloc(0), Buffer.from([...Array(256).keys()])],
  date_: ['2024-02-29'], time_: ['23:59:59.999999'], timestamp_: ['2024-02-29T01:02:03.004Z'], timestamptz_: [new Date(Date.UTC(2024, 1, 29, 1, 2, 3, 4))],
  interval_: ['1 year 2 mons -3 days 04:05:06'], uuid_: ['00000000-0000-0000-0000-000000000005'], json_: [[1, {}]],
  jsonb_: [{ a: [1, null, '€'] }], inet_: ['10.0.0.1/8'], bit_: ['101010101'], point_: ['(1,2)'], int_array: [[1, null, 3], []],
  text_array: [['a', 'b,"c"', null, '']], int4range_: ['[1,5)'], oid_: [4294967295],
};

test('every type', () => session({}, async (sql) => {
  await sql`DELETE FROM kinds`;
  for (const [column, values] of Object.entries(TYPES)) {
    for (const value of [...values, null]) {
      await attempt(() => sql`INSERT INTO kinds ${sql({ id: 1, [column]: value })}`);
      const found = await sql`SELECT ${sql(column)} AS value, ${sql(column)}::text AS text FROM kinds WHERE id = ${1}`;
      say(column, found[0]?.text, found[0]?.value instanceof Date ? found[0].value : typeof found[0]?.value);
      await sql`DELETE FROM kinds WHERE id = ${1}`;
    }
  }
  const { columns, types, string } = await sql`SELECT * FROM kinds WHERE id = ${1} AND big = ${2}`.describe();
  say(string, types, columns.map((column) => [column.name, column.type]));
}));

test('without prepared statements', () => session({ prepare: false }, async (sql) => {
  for (let n = 0; n < 5; n += 1) said(await sql`SELECT ${n}::int + 1 AS a, ${null}::text AS b`);
  await attempt(() => sql`SELECT * FROM no_such_table WHERE id = ${1}`);
}));

test('prepared statements', () => session({}, async (sql) => {
  for (let n = 0; n < 10; n += 1) said(await sql`SELECT ${n}::int + 1 AS a`);
  for (let n = 0; n < 30; n += 1) await sql.unsafe(`SELECT ${n} AS n, $1::int AS a`, [n], { prepare: true });
  await sql.unsafe('DROP TABLE IF EXISTS postgresjs_changing; CREATE TABLE postgresjs_changing (a int); INSERT INTO postgresjs_changing VALUES (1)');
  const look = () => sql`SELECT * FROM postgresjs_changing WHERE a = ${1}`;
  said(await look());
  await sql`ALTER TABLE postgresjs_changing ADD b text DEFAULT 'x'`;
  await attempt(look);
  await attempt(look);
  await sql`DROP TABLE postgresjs_changing`;
}));

test('many at once', () => session({}, async (sql) => {
  await sql`DELETE FROM accounts`;
  const asked = Array.from({ length: 300 }, (_, n) => {
    if (n % 30 === 29) return sql`SELECT ${n}::int / 0`.then(() => 'found', (error) => error.code);
    if (n % 10 === 5) return sql`INSERT INTO accounts (id, owner) VALUES (${n}, ${`o${n}`}) RETURNING id`.then(([row]) => Number(row.id));
    if (n % 10 === 6) return sql`SELECT owner FROM accounts WHERE id = ${n - 1}`.then(([row]) => row?.owner);
    return sql`SELECT ${n}::int AS a`.then(([row]) => row.a);
  });
  say(await Promise.all(asked));
  said(await sql`SELECT count(*) AS a FROM accounts`);
  await sql`DELETE FROM accounts`;
}));

test('transactions', () => session({}, (sql) => session({}, async (other) => {
  await sql`DELETE FROM accounts`;
  await sql.begin(async (tx) => {
    const data = Array.from({ length: 200 }, (_, n) => ({ id: n + 1, owner: `o${n}`, balance: n / 4 }));
    said(await tx`INSERT INTO accounts ${tx(data, 'id', 'owner', 'balance')}`);
    said(await other`SELECT count(*) AS a FROM accounts`);
  });
  said(await other`SELECT count(*) AS a, sum(balance) AS b FROM accounts`);
  await attempt(() => sql.begin('isolation level repeatable read', async (tx) => {
    await tx`DELETE FROM accounts WHERE id < ${100}`;
    await tx.savepoint((point) => point`SELECT 1 / 0`).catch((error) => say(error.code));
    said(await tx`SELECT count(*) AS a FROM accounts`);
    throw new Error('back');
  }));
  say(await sql.begin((tx) => [1, 2, 3].map((id) => tx`UPDATE accounts SET note = 'x' WHERE id = ${id} RETURNING id`)));
  await attempt(() => sql.begin((tx) => [tx`DELETE FROM accounts WHERE id = 5`, tx`SELECT 1 / 0`, tx`DELETE FROM accounts WHERE id = 6`]));
  said(await sql`SELECT id, note FROM accounts WHERE id IN ${sql([1, 5, 6])} ORDER BY id`);
  await sql`DELETE FROM accounts`;
})));

test('errors', () => session({}, async (sql) => {
  for (const text of [
    'SELEC 1', 'SELECT * FROM no_such_table', 'SELECT x FROM accounts', "SELECT 'x'::int", 'INSERT INTO accounts (id, balance) VALUES (2, NULL)',
    "DO $$ BEGIN RAISE EXCEPTION 'mine' USING ERRCODE = 'AB123', DETAIL = 'd', HINT = 'h'; END $$", 'SET no_such = 1', 'SELECT 1; SELECT 1 / 0',
  ]) {
    await attempt(() => sql.unsafe(text));
    await attempt(() => sql.unsafe(text, [], { prepare: true }));
  }
  await attempt(() => sql`SELECT ${'x'}::int`);
  said(await sql`SELECT 'alive' AS a`);
}));

test('several statements', () => session({}, async (sql) => {
  for (const found of await sql.unsafe("SELECT 1 AS a; SELECT 2 AS b, 'x' AS c; SET work_mem = '6MB'; SHOW work_mem; ; SELECT 3 AS d")) said(found);
  for (const found of await sql`SELECT 1 AS a; SELECT 2 AS a`.simple()) said(found);
}));

test('cursors', () => session({}, async (sql) => {
  const seen = [];
  await sql`SELECT n FROM generate_series(1, ${25}) n`.cursor(10, (found) => { seen.push(found.map((row) => row.n)); });
  for await (const [row] of sql`SELECT n FROM generate_series(1, 100) n`.cursor()) {
    seen.push(row.n);
    if (row.n === 3) break;
  }
  say(seen);
  let sum = 0;
  await sql`SELECT n FROM generate_series(1, 20000) n`.forEach((row) => { sum += row.n; });
  say(sum);
  said(await sql`SELECT 'after' AS a`);
}));

test('raw values', () => session({}, async (sql) => {
  for (const row of await sql`SELECT code, name, 1::int FROM currencies ORDER BY code`.values()) say(row);
  for (const row of await sql`SELECT code, 1::int FROM currencies ORDER BY code`.raw()) say(row);
}));

test('copy', () => session({}, async (sql) => {
  await sql.unsafe('DROP TABLE IF EXISTS postgresjs_copied; CREATE TABLE postgresjs_copied (id int, name text)');
  const lines = Array.from({ length: 3000 }, (_, n) => `${n}\tname ${n}\n`);
  await pipeline(Readable.from(lines), await sql`COPY postgresjs_copied FROM STDIN`.writable());
  said(await sql`SELECT count(*) AS a FROM postgresjs_copied`);
  await sql`DROP TABLE postgresjs_copied`;
}));

test('notices', async () => {
  const heard = [];
  await session({ onnotice: (notice) => heard.push([notice.severity, notice.code, notice.message]) }, async (sql) => {
    await sql`DROP TABLE IF EXISTS no_such_table`;
    await sql.unsafe("DO $$ BEGIN RAISE WARNING 'two'; END $$");
  });
  say(heard);
});

test('notifications', () => session({}, async (sql) => {
  const channel = `postgresjs_${DATABASE}`;
  let heard;
  const next = () => new Promise((resolve) => { heard = resolve; });
  let waiting = next();
  const { unlisten } = await sql.listen(channel, (payload) => heard(payload));
  await sql.notify(channel, 'hello');
  say(await waiting);
  waiting = next();
  await sql.notify(channel, "it's");
  say(await waiting);
  await unlisten();
  said(await sql`SELECT 'after' AS a`);
}));

test('cancel', () => session({}, (sql) => session({}, async (other) => {
  const asked = sql`SELECT pg_sleep(60)`;
  const ended = attempt(() => asked.execute());
  // A cancel that comes before its statement has begun strikes nothing.
  for (;;) {
    const [{ n }] = await other`SELECT count(*)::int AS n FROM pg_stat_activity
      WHERE datname = current_database() AND query = 'SELECT pg_sleep(60)' AND state = 'active'`;
    if (n > 0) break;
  }
  asked.cancel();
  await ended;
  said(await sql`SELECT 'alive' AS a`);
})));

test('settings', () => session({}, async (sql) => {
  await sql`SET TimeZone = 'Europe/Zurich'`;
  said(await sql`SELECT '2024-07-01 00:00+00'::timestamptz::text AS a`);
  await sql.begin(async (tx) => {
    await tx`SET LOCAL TimeZone = 'Asia/Tokyo'`;
    said(await tx`SHOW TimeZone`);
  });
  said(await sql`SHOW TimeZone`);
  await sql`CREATE TEMPORARY TABLE passing (a int)`;
  await sql`INSERT INTO passing SELECT * FROM generate_series(1, ${5}::int)`;
  said(await sql`SELECT sum(a) AS a FROM passing`);
  said(await sql`INSERT INTO numbered (label) VALUES ('p') RETURNING label`);
  await sql`DELETE FROM numbered`;
}));

test('pool', () => session({ max: 4 }, async (sql) => {
  const work = (number) => sql.begin(async (tx) => {
    await tx`SELECT set_config('my.number', ${String(number)}, true)`;
    await tx`SELECT pg_sleep(0.001)`;
    return (await tx`SELECT current_setting('my.number') AS a`)[0].a === String(number);
  });
  say((await Promise.all(Array.from({ length: 60 }, (_, number) => work(number)))).every((right) => right));
}));

run('postgres.js');
