// The cases of pg (node-postgres): its simple and its prepared queries, cursors, COPY streams, notifications, its pool.
'use strict';

const { Readable } = require('node:stream');
const { pipeline } = require('node:stream/promises');
const { Client, Pool, types } = require('pg');
const copy = require('pg-copy-streams');
const Cursor = require('pg-cursor');
const { CA, DATABASE, HOST, PASSWORD, PORT, USER, run, say, test } = require('./case.js');

const LOGIN = { host: HOST, port: PORT, user: USER, password: PASSWORD, database: DATABASE };
// Days as the server wrote them: this machine's time zone is no part of the answer.
for (const type of [1082, 1114]) types.setTypeParser(type, (text) => text);

// A connection, closed at the end whatever happens.
async function session(options, work) {
  const client = new Client({ ...LOGIN, ...options });
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => {});
  }
}

const tell = (error) => say(error.name, error.severity, error.code, error.message, error.detail, error.hint, error.position,
  error.schema, error.table, error.column, error.dataType, error.constraint);

async function attempt(work) {
  try {
    await work();
    say('no error');
  } catch (error) {
    tell(error);
  }
}

function said(result) {
  if (Array.isArray(result)) return result.forEach(said);
  say(result.command, result.rowCount, result.fields.map((field) => [field.name, field.dataTypeID, field.dataTypeSize, field.dataTypeModifier, field.format]));
  for (const row of result.rows) say(row);
  return undefined;
}

const rows = async (client, text, values) => said(await client.query(text, values));

test('login', async () => {
  await session({}, async (client) => {
    await rows(client, 'SELECT 1 + 1 AS a, current_database() AS b, current_user AS c');
    say(client.getTransactionStatus?.());
  });
  for (const wrong of [{ password: 'wrong' }, { user: 'nobody' }, { database: 'no_such_database' }]) {
    await attempt(() => session(wrong, () => {}));
  }
});

test('login options', async () => {
  const options = { application_name: 'mine', statement_timeout: 20_000, lock_timeout: 3000, idle_in_transaction_session_timeout: 60_000,
    options: '-c work_mem=5MB -c TimeZone=Asia/Tokyo' };
  await session(options, async (client) => {
    for (const name of ['application_name', 'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'work_mem', 'TimeZone']) {
      await rows(client, `SHOW ${name}`);
    }
    await client.query('DISCARD ALL');
    await rows(client, "SELECT current_setting('work_mem') AS a, current_setting('TimeZone') AS b, current_setting('statement_timeout') AS c");
  });
  await attempt(() => session({ options: '-c no_such_setting=1' }, () => {}));
});

test('tls', async () => {
  await session({ ssl: { ca: CA } }, (client) => rows(client, "SELECT repeat('x', 300000) AS a"));
  await session({ ssl: { ca: CA }, enableChannelBinding: true }, (client) => rows(client, 'SELECT 1 AS a'));
});

const TYPES = {
  small: [-32768], int_: [2147483647], big: ['-9223372036854775808'], numeric_: ['123456789012345678901234567890.123456789', 'NaN'],
  real_: [1.5], double_: [-1e300, 5e-324], bool_: [true, false], char_: ['abc'], varchar_: ['', 'it\'s \\ "q"\n\t', '😀'],
  text_: ['x'.repeat(100_000)], name_: ['n'], bytea_: [Buffer.alloc(0), Buffer.from([...Array(256).keys()]), Buffer.alloc(70_000)],
  date_: ['0001-01-01', '9999-12-31'], time_: ['23:59:59.999999'], timestamp_: ['2024-02-29 01:02:03.000004'],
  timestamptz_: [new Date(Date.UTC(2024, 1, 29, 1, 2, 3, 4))], interval_: ['1 year 2 mons -3 days 04:05:06'],
  uuid_: ['00000000-0000-0000-0000-000000000005'], json_: ['[1, {}]'], jsonb_: [{ a: [1, null, '€'] }], inet_: ['10.0.0.1/8'],
  bit_: ['101010101'], point_: ['(1,2)'], int_array: [[1, null, 3], []], text_array: [['a', 'b,"c"', null, '']], int4range_: ['[1,5)'],
  money_: ['$12.50'], oid_: [4294967295],
};

// What this driver can read in the binary form.
const BINARY = new Set(['small', 'int_', 'big', 'real_', 'double_', 'bool_', 'varchar_', 'text_', 'bytea_']);

for (const binary of [false, true]) {
  test(`every type${binary ? ', binary' : ''}`, () => session({ binary }, async (client) => {
    await client.query('DELETE FROM kinds');
    for (const [column, values] of Object.entries(TYPES).filter(([column]) => !binary || BINARY.has(column))) {
      for (const value of [...values, null]) {
        await client.query(`INSERT INTO kinds (id, ${column}) VALUES (1, $1)`, [value]);
        await rows(client, `SELECT ${column} FROM kinds WHERE id = $1`, [1]);
        await client.query('DELETE FROM kinds');
      }
    }
    await rows(client, 'SELECT * FROM kinds WHERE id = $1', [1]);
  }));
}

test('named statements', () => session({}, async (client) => {
  for (let n = 0; n < 20; n += 1) await rows(client, { name: 'add', text: 'SELECT $1::int + 1 AS a, $2::text AS b', values: [n, n % 3 ? 'x' : null] });
  await attempt(() => client.query({ name: 'add', text: 'SELECT 2', values: [] }));
  await attempt(() => client.query({ name: 'none', text: 'SELECT * FROM no_such_table WHERE id = $1', values: [1] }));
  await rows(client, { name: 'none', text: 'SELECT $1::int AS a', values: [1] });
  for (let n = 0; n < 30; n += 1) await client.query({ name: `many ${n}`, text: `SELECT ${n} AS n, $1::int AS a`, values: [n] });
  for (let n = 0; n < 30; n += 7) await rows(client, { name: `many ${n}`, text: `SELECT ${n} AS n, $1::int AS a`, values: [n] });
  await client.query('DROP TABLE IF EXISTS node_changing');
  await client.query('CREATE TABLE node_changing (a int)');
  const look = { name: 'look', text: 'SELECT * FROM node_changing WHERE a = $1', values: [1] };
  await rows(client, look);
  await client.query("ALTER TABLE node_changing ADD b text DEFAULT 'x'");
  await attempt(() => client.query(look));
  await client.query('DROP TABLE node_changing');
}));

test('arrays of rows', () => session({}, (client) => rows(client, { text: 'SELECT 1, 1, code FROM currencies ORDER BY code', rowMode: 'array' })));

test('errors', () => session({}, async (client) => {
  await client.query('DELETE FROM accounts');
  await client.query('INSERT INTO accounts (id) VALUES (1)');
  for (const text of [
    'SELEC 1', 'SELECT * FROM no_such_table', 'SELECT x FROM accounts', 'INSERT INTO accounts (id) VALUES (1)', "SELECT 'x'::int",
    'INSERT INTO accounts (id, balance) VALUES (2, NULL)', "INSERT INTO accounts (id, owner) VALUES (2, repeat('x', 100))", 'SELECT 1 / 0',
    "DO $$ BEGIN RAISE EXCEPTION 'mine' USING ERRCODE = 'AB123', DETAIL = 'd', HINT = 'h', TABLE = 't'; END $$", 'SET no_such = 1',
    'SELECT 1; SELECT * FROM no_such_table; SELECT 2', 'ROLLBACK TO a', '',
  ]) {
    await attempt(() => client.query(text));
    await attempt(() => client.query({ text, values: [], queryMode: 'extended' }));
  }
  await attempt(() => client.query('SELECT $1::int', ['x']));
  await attempt(() => client.query('SELECT $1::int, $2::int', [1]));
  await attempt(() => client.query('SELECT n, 1 / (3000 - n) FROM generate_series(1, 5000) n'));
  await rows(client, "SELECT 'alive' AS a");
  await client.query('DELETE FROM accounts');
}));

test('several statements', () => session({}, async (client) => {
  await rows(client, "SELECT 1 AS a; SELECT 2 AS b, 'x' AS c; SET work_mem = '6MB'; SHOW work_mem; DELETE FROM accounts; ; SELECT 3 AS d");
  await attempt(() => client.query('INSERT INTO accounts (id) VALUES (1); SELECT 1/0'));
  await rows(client, 'SELECT count(*) AS a FROM accounts');
  await client.query('BEGIN; INSERT INTO accounts (id) VALUES (1); COMMIT; INSERT INTO accounts (id) VALUES (2)');
  await rows(client, 'SELECT id FROM accounts ORDER BY id');
  await client.query('DELETE FROM accounts');
}));

test('transactions', () => session({}, (one) => session({}, async (two) => {
  const count = 'SELECT count(*) AS a FROM accounts';
  await one.query('DELETE FROM accounts');
  await one.query('BEGIN');
  await one.query('INSERT INTO accounts (id) VALUES ($1), ($2), ($3)', [1, 2, 3]);
  await rows(two, count);
  await one.query('COMMIT');
  await rows(two, count);
  await one.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  await one.query('SAVEPOINT s');
  await attempt(() => one.query('INSERT INTO accounts (id) VALUES ($1)', [1]));
  await attempt(() => one.query('SELECT 1'));
  await one.query('ROLLBACK TO s');
  await rows(one, 'UPDATE accounts SET balance = 5 WHERE id = $1 RETURNING id, balance', [2]);
  await one.query('ROLLBACK');
  await rows(one, 'DELETE FROM accounts RETURNING balance');
})));

test('many rows', () => session({}, async (client) => {
  const numbers = Array.from({ length: 500 }, (_, n) => n + 1);
  await client.query('DELETE FROM accounts');
  await Promise.all(numbers.map((n) => client.query('INSERT INTO accounts (id, owner, balance) VALUES ($1, $2, $3)', [n, `o${n}`, n / 4])));
  await rows(client, 'SELECT count(*) AS a, sum(balance) AS b, max(id) AS c FROM accounts');
  await rows(client, 'SELECT * FROM accounts WHERE id = ANY($1) ORDER BY id', [[4, 40, 400]]);
  await rows(client, 'SELECT id FROM accounts ORDER BY id DESC LIMIT 3');
  await client.query('DELETE FROM accounts');
}));

test('cursors', () => session({}, async (client) => {
  const cursor = client.query(new Cursor('SELECT n FROM generate_series(1, $1::int) n', [25]));
  say((await cursor.read(10)).map((row) => row.n), (await cursor.read(10)).map((row) => row.n));
  await cursor.close();
  await rows(client, "SELECT 'after' AS a");
  const whole = client.query(new Cursor('SELECT n FROM generate_series(1, 7) n'));
  say((await whole.read(3)).length, (await whole.read(100)).length, (await whole.read(1)).length);
  await attempt(async () => client.query(new Cursor('SELECT * FROM no_such_table')).read(1));
  await client.query('BEGIN');
  await client.query('DECLARE c CURSOR FOR SELECT generate_series(1, 9) AS n');
  await rows(client, 'FETCH 2 FROM c');
  await rows(client, 'MOVE 3 IN c');
  await rows(client, 'FETCH ALL FROM c');
  await client.query('COMMIT');
}));

test('copy', () => session({}, async (client) => {
  await client.query('DROP TABLE IF EXISTS node_copied');
  await client.query('CREATE TABLE node_copied (id int, name text)');
  const lines = Array.from({ length: 5000 }, (_, n) => `${n}\tname ${n}\n`);
  const into = client.query(copy.from('COPY node_copied FROM STDIN'));
  await pipeline(Readable.from(lines), into);
  say(into.rowCount);
  const out = client.query(copy.to('COPY (SELECT * FROM node_copied ORDER BY id) TO STDOUT'));
  let text = '';
  for await (const part of out) text += part;
  say(text === lines.join(''), out.rowCount);
  await attempt(() => pipeline(Readable.from(['1\tx\n', 'y\tz\n']), client.query(copy.from('COPY node_copied FROM STDIN'))));
  await attempt(() => pipeline(Readable.from(['1\tx\n']), client.query(copy.from('COPY no_such_table FROM STDIN'))));
  await rows(client, 'SELECT count(*) AS a FROM node_copied');
  await client.query('DROP TABLE node_copied');
}));

test('notices', () => session({}, async (client) => {
  client.on('notice', (notice) => say(notice.severity, notice.code, notice.message, notice.detail));
  await client.query('DROP TABLE IF EXISTS no_such_table');
  await client.query("DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two' USING DETAIL = 'more'; END $$");
  await client.query('ROLLBACK');
  await client.query('SET client_min_messages = error');
  await client.query("DO $$ BEGIN RAISE NOTICE 'three'; END $$");
}));

test('notifications', () => session({}, (one) => session({}, async (two) => {
  const channel = `node_${DATABASE}`;
  let heard;
  const next = () => new Promise((resolve) => { heard = resolve; });
  one.on('notification', (notification) => heard([notification.channel, notification.payload]));
  await one.query(`LISTEN ${channel}`);
  let waiting = next();
  await two.query(`NOTIFY ${channel}, 'hello'`);
  say(await waiting);
  waiting = next();
  await two.query('SELECT pg_notify($1, $2)', [channel, 'from a function']);
  say(await waiting);
  await one.query('UNLISTEN *');
  await rows(one, "SELECT 'after' AS a");
})));

test('settings', () => session({}, async (client) => {
  await client.query("SET TimeZone = 'Europe/Zurich'");
  await rows(client, "SELECT '2024-07-01 00:00+00'::timestamptz::text AS a");
  await client.query('BEGIN');
  await client.query("SET LOCAL TimeZone = 'Asia/Tokyo'");
  await rows(client, 'SHOW TimeZone');
  await client.query('COMMIT');
  await rows(client, 'SHOW TimeZone');
  await rows(client, "SELECT set_config('my.thing', $1, false) AS a", ['x']);
  await rows(client, "SELECT current_setting('my.thing') AS a");
  await client.query('CREATE TEMPORARY TABLE passing (a int)');
  await client.query('INSERT INTO passing VALUES (1), (2)');
  await rows(client, 'SELECT sum(a) AS a FROM passing');
  await rows(client, 'SELECT pg_try_advisory_lock(5) AS a');
  await rows(client, 'SELECT pg_advisory_unlock(5) AS a');
  await rows(client, "INSERT INTO numbered (label) VALUES ('n') RETURNING label");
  await client.query('DELETE FROM numbered');
}));

test('timeouts', () => session({ statement_timeout: 100 }, async (client) => {
  await attempt(() => client.query('SELECT pg_sleep(60)'));
  await attempt(() => client.query('SELECT pg_sleep($1)', [60]));
  await rows(client, 'SELECT 1 AS a');
}));

test('pool', async () => {
  const pool = new Pool({ ...LOGIN, max: 4 });
  const work = async (number) => {
    const client = await pool.connect();
    try {
      await client.query('SELECT set_config($1, $2, false)', ['my.number', String(number)]);
      await client.query('SELECT pg_sleep(0.001)');
      return (await client.query("SELECT current_setting('my.number') AS a")).rows[0].a === String(number);
    } finally {
      client.release();
    }
  };
  say((await Promise.all(Array.from({ length: 60 }, (_, number) => work(number)))).every((right) => right));
  await pool.end();
});

run('pg');
