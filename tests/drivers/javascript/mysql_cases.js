// The cases of Node's MySQL drivers: mysql2 | mariadb.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { CA, DATABASE, FOLDER, HOST, PASSWORD, PORT, USER, run, say, test } = require('./case.js');

const DRIVER = process.argv[2];
const LOGIN = { host: HOST, port: PORT, user: USER, password: PASSWORD, database: DATABASE };

// What the two drivers name differently.
const DRIVERS = {
  mysql2: {
    connect: (options) => require('mysql2/promise').createConnection(options),
    pool: (options) => require('mysql2/promise').createPool(options),
    read: ([rows, fields]) => ({ rows, fields }),
    field: (field) => [field.name, field.columnType, field.columnLength, field.characterSet, field.flags, field.decimals,
      field.table, field.orgTable, field.orgName],
    options: { dateStrings: true, supportBigNumbers: true, bigNumberStrings: true, jsonStrings: true, charset: 'utf8mb4_general_ci' },
    stream: (connection, sql) => connection.connection.query(sql).stream(),
    file: (file) => ({ infileStreamFactory: () => fs.createReadStream(file) }),
  },
  mariadb: {
    connect: (options) => require('mariadb').createConnection(options),
    pool: (options) => require('mariadb').createPool(options),
    read: (rows) => ({ rows, fields: rows?.meta }),
    field: (field) => [field.name(), field.type, field.columnLength, field.collation?.index, field.flags, field.scale,
      field.table(), field.orgTable(), field.orgName()],
    options: { dateStrings: true, jsonStrings: true, autoJsonMap: false, collation: 'UTF8MB4_GENERAL_CI' },
    stream: (connection, sql) => connection.queryStream(sql),
    file: () => ({ permitLocalInfile: true }),
  },
};
const driver = DRIVERS[DRIVER];

// A connection, closed at the end whatever happens.
async function session(options, work) {
  const connection = await driver.connect({ ...LOGIN, ...driver.options, ...options });
  // A connection that the server ends tells so outside of any call.
  connection.on('error', () => {});
  try {
    return await work(connection);
  } finally {
    await connection.end().catch(() => {});
  }
}

const plain = (rows) => (Array.isArray(rows) ? rows.map((row) => (Array.isArray(row) ? plain(row) : { ...row })) : rows && { ...rows });

async function rows(connection, sql, values, how = 'query') {
  const found = driver.read(await connection[how](sql, values)).rows;
  if (!Array.isArray(found)) return say(plain(found));
  for (const row of found) say(plain(row));
}

async function attempt(work) {
  try {
    await work();
    say('no error');
  } catch (error) {
    say(error.errno, error.sqlState, error.code, (error.sqlMessage ?? error.message)?.split('\n')[0].replace(/\(conn:-?\d+, /, '('));
  }
}

async function clear(connection, ...tables) {
  for (const table of tables) await connection.query(`DELETE FROM ${table}`);
}

test('login', async () => {
  await session({}, (connection) => rows(connection, 'SELECT 1 + 1 AS a, DATABASE() AS b, @@autocommit AS c'));
  for (const wrong of [{ password: 'wrong' }, { user: 'nobody' }, { database: 'no_such_database' }]) {
    await attempt(() => session(wrong, () => {}));
  }
  await session({ database: undefined }, async (connection) => {
    await rows(connection, 'SELECT DATABASE() AS a');
    await attempt(() => connection.query('SELECT * FROM accounts'));
    await connection.query(`USE ${DATABASE}`);
    await rows(connection, 'SELECT DATABASE() AS a, (SELECT COUNT(*) FROM currencies) AS b');
  });
});

test('tls', () => session({ ssl: { ca: CA } }, async (connection) => {
  await rows(connection, "SELECT 1 + 2 AS a, REPEAT('x', 100000) AS b");
  const [{ Value: cipher }] = driver.read(await connection.query("SHOW SESSION STATUS LIKE 'Ssl_cipher'")).rows;
  say(typeof cipher);
}));

test('compression', () => session({ compress: true }, async (connection) => {
  await rows(connection, "SELECT REPEAT('abc', 100000) AS a, 1 AS b");
  await rows(connection, 'SELECT LENGTH(?) AS a', ['y'.repeat(300_000)]);
  await rows(connection, "SELECT ? AS a, REPEAT('z', 70000) AS b", ['y'.repeat(3)], 'execute');
  await attempt(() => connection.query('SELECT * FROM no_such_table'));
  await rows(connection, 'SELECT seq FROM seq_1_to_5');
}));

const TYPES = {
  tiny: [-128, 127], tiny_unsigned: [255], small: [-32768], medium: [8388607], int_: [-2147483648], int_unsigned: [4294967295],
  big: ['-9223372036854775808', '9007199254740993', 5], big_unsigned: ['18446744073709551615'],
  decimal_: ['12345678901234567890.1234567890', '-0.0000000001'], float_: [1.5], double_: [1.1, -1e300, 5e-324],
  date_: ['1000-01-01', '9999-12-31'], time_: ['-838:59:00', '01:01:01.000005'], year_: [1901, 2155],
  datetime_: ['2024-02-29 23:59:59.999999', '1000-01-01 00:00:00'], timestamp_: ['2001-09-09 01:46:40.000001'],
  char_: ['', 'abc', 'ä€'], varchar_: ['', 'it\'s "quoted" \\ and\n\tmore\0', '😀 中文'],
  binary_: [Buffer.from('0001ff2722', 'hex')], varbinary_: [Buffer.alloc(0), Buffer.from([...Array(256).keys()])],
  text_: ['x'.repeat(70_000), 'é'.repeat(30_000)], blob_: [Buffer.alloc(70_000)], enum_: ['small'], set_: ['a,c', ''],
  json_: ['{"a": [1, {"b": null}]}'], latin_: ['äöü'],
};

for (const how of ['query', 'execute']) {
  test(`every type by ${how}`, () => session({}, async (connection) => {
    await clear(connection, 'kinds');
    let id = 0;
    for (const [column, values] of Object.entries(TYPES)) {
      for (const value of [...values, null]) {
        id += 1;
        await connection[how](`INSERT INTO kinds (id, ${column}) VALUES (?, ?)`, [id, value]);
        await rows(connection, `SELECT ${column} FROM kinds WHERE id = ?`, [id], how);
      }
    }
    await connection[how](`INSERT INTO kinds (id, bit_) VALUES (?, b'101010101')`, [id + 1]);
    const { rows: all, fields } = driver.read(await connection[how]('SELECT * FROM kinds ORDER BY id'));
    for (const field of fields) say(...driver.field(field));
    say(all.length, plain(all.at(-1)));
    await clear(connection, 'kinds');
  }));
}

// MariaDB has JSON in columns of text, and tells so only to who asks for more than the type of a column.
test('JSON as objects', () => session({ jsonStrings: false, autoJsonMap: true }, async (connection) => {
  await clear(connection, 'kinds');
  await connection.query("INSERT INTO kinds (id, json_) VALUES (1, '[1, {}]')");
  await rows(connection, 'SELECT json_ FROM kinds WHERE id = 1');
}));

test('collations of columns', () => session({ charset: 'utf8mb4_unicode_ci', collation: 'UTF8MB4_UNICODE_CI' }, async (connection) => {
  const { fields } = driver.read(await connection.query("SELECT 'a' AS a, @@collation_connection AS b"));
  for (const field of fields) say(...driver.field(field));
}));

test('dates as objects', () => session({ dateStrings: false, timezone: 'Z' }, async (connection) => {
  const when = new Date(Date.UTC(2024, 1, 29, 1, 2, 3, 456));
  for (const how of ['query', 'execute']) {
    await rows(connection, 'SELECT ? AS a, CAST(? AS DATETIME(3)) AS b', [when, when], how);
  }
}));

test('nested rows and arrays', async () => {
  await session({ nestTables: true }, async (connection) => {
    const found = driver.read(await connection.query({ sql: "SELECT code, name, 1 FROM currencies c ORDER BY code", nestTables: true }));
    say(plain(found.rows));
  });
  await session({ rowsAsArray: true }, async (connection) => {
    const found = driver.read(await connection.query({ sql: 'SELECT 1, 1, code FROM currencies ORDER BY code', rowsAsArray: true }));
    say(found.rows.map((row) => [...row]));
  });
});

test('what a write tells', () => session({}, async (connection) => {
  await clear(connection, 'accounts', 'numbered');
  await connection.query('ALTER TABLE numbered AUTO_INCREMENT = 100');
  for (const how of ['query', 'execute']) {
    for (const sql of [
      "INSERT INTO accounts (id, owner) VALUES (1, 'a'), (2, 'b'), (3, 'b')",
      "UPDATE accounts SET owner = 'b'",
      "UPDATE accounts SET owner = 'c' WHERE id = 2",
      "INSERT INTO accounts (id, owner) VALUES (2, 'd') ON DUPLICATE KEY UPDATE owner = 'd'",
      "REPLACE INTO accounts (id, owner) VALUES (2, 'e')",
      "INSERT IGNORE INTO accounts (id, owner) VALUES (2, 'f')",
      'DELETE FROM accounts WHERE id > 1',
      'DELETE FROM accounts',
      "INSERT INTO numbered (label) VALUES ('x'), ('y')",
      'SELECT LAST_INSERT_ID() AS a',
      'DO 1',
      'SET @a = 1',
      'DROP TABLE IF EXISTS no_such_table',
      'SHOW WARNINGS',
    ]) {
      say(sql);
      await rows(connection, sql, undefined, how);
    }
    await connection.query('DELETE FROM numbered');
    await connection.query('ALTER TABLE numbered AUTO_INCREMENT = 100');
  }
}));

test('errors', () => session({}, async (connection) => {
  await clear(connection, 'accounts');
  await connection.query('INSERT INTO accounts (id) VALUES (1)');
  for (const how of ['query', 'execute']) {
    for (const sql of [
      'SELEC 1', 'SELECT * FROM no_such_table', 'SELECT x FROM accounts', 'INSERT INTO accounts (id) VALUES (1)',
      'INSERT INTO accounts (id) VALUES (NULL)', "INSERT INTO kinds (id, tiny) VALUES (1, 'x')", 'SELECT 1; SELECT 2',
      "SELECT (SELECT 1 UNION SELECT 2)", "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'mine', MYSQL_ERRNO = 5000",
      'CALL no_such_procedure()', 'SET no_such_variable = 1', 'COMMIT AND', '',
    ]) {
      await attempt(() => connection[how](sql));
    }
  }
  await rows(connection, "SELECT 'alive' AS a");
  await clear(connection, 'accounts');
}));

test('an error amid the rows', () => session({}, async (connection) => {
  const sql = 'SELECT seq, IF(seq < 3000, 1, (SELECT 1 UNION SELECT seq)) AS a FROM seq_1_to_5000';
  for (const how of ['query', 'execute']) await attempt(() => connection[how](sql));
  await rows(connection, 'SELECT 5 AS a');
}));

test('transactions', () => session({}, (one) => session({}, async (two) => {
  await clear(one, 'accounts');
  const count = 'SELECT COUNT(*) AS a FROM accounts';
  await one.beginTransaction();
  await one.query('INSERT INTO accounts (id) VALUES (1), (2), (3), (4)');
  await rows(two, count);
  await one.commit();
  await rows(two, count);
  await one.beginTransaction();
  await one.execute('DELETE FROM accounts WHERE id < ?', [3]);
  await one.query('SAVEPOINT s');
  await one.execute('DELETE FROM accounts WHERE id = ?', [3]);
  await rows(one, count);
  await one.query('ROLLBACK TO s');
  await rows(one, count);
  await one.rollback();
  await rows(one, count);
  await one.query('SET autocommit = 0');
  await one.query('DELETE FROM accounts');
  await rows(two, count);
  await one.rollback();
  await one.query('SET autocommit = 1');
  await rows(two, count);
  await clear(one, 'accounts');
})));

test('many rows at once', () => session({}, async (connection) => {
  await clear(connection, 'accounts');
  const data = Array.from({ length: 2000 }, (_, n) => [n + 1, `owner ${n}`, n / 4, n % 7 ? null : 'x'.repeat(n % 50)]);
  if (DRIVER === 'mysql2') {
    await rows(connection, 'INSERT INTO accounts (id, owner, balance, note) VALUES ?', [data]);
  } else {
    await connection.batch('INSERT INTO accounts (id, owner, balance, note) VALUES (?, ?, ?, ?)', data);
    await attempt(() => connection.batch('INSERT INTO accounts (id) VALUES (?)', [[5000], [1], [5001]]));
    await connection.batch('UPDATE accounts SET balance = balance + 1 WHERE id = ?', [[1], [2], [3]]);
  }
  await rows(connection, 'SELECT COUNT(*) AS a, SUM(balance) AS b, MAX(id) AS c, SUM(LENGTH(note)) AS d FROM accounts WHERE id < 5000');
  await rows(connection, 'SELECT id, owner FROM accounts WHERE id IN (?, ?, ?) ORDER BY id', [4, 40, 400], 'execute');
  await clear(connection, 'accounts');
}));

test('many statements at once', () => session({}, async (connection) => {
  // Neither driver waits for an answer before it takes the next statement; mariadb sends it, too.
  const asked = Array.from({ length: 60 }, (_, n) => {
    const how = n % 3 === 0 ? 'execute' : 'query';
    if (n % 10 === 9) return connection[how]('SELECT * FROM no_such_table').then(() => 'found', (error) => error.errno);
    return connection[how](`SELECT ? + 1 AS a`, [n]).then((found) => plain(driver.read(found).rows));
  });
  say(await Promise.all(asked));
}));

test('prepared statements', () => session({}, async (connection) => {
  const statement = await connection.prepare('SELECT ? + 1 AS a, CONCAT(?, ?) AS b');
  for (let n = 0; n < 20; n += 1) {
    const found = await statement.execute([n, 'x', n % 4 ? String(n) : null]);
    say(plain(driver.read(found).rows));
  }
  await statement.close();
  await attempt(() => connection.prepare('SELECT ? FROM no_such_table'));
  await attempt(() => connection.execute('SELECT ?, ?', [1]));
  const open = [];
  for (let n = 0; n < 50; n += 1) open.push(await connection.prepare(`SELECT ${n} AS n, ? AS a`));
  for (const [n, one] of open.entries()) if (n % 7 === 0) say(plain(driver.read(await one.execute([n])).rows));
  for (const one of open) await one.close();
  await connection.query('CREATE OR REPLACE TABLE changing (a INT)');
  await connection.query('INSERT INTO changing VALUES (1)');
  await rows(connection, 'SELECT * FROM changing WHERE a = ?', [1], 'execute');
  await connection.query("ALTER TABLE changing ADD b VARCHAR(5) DEFAULT 'x'");
  await rows(connection, 'SELECT * FROM changing WHERE a = ?', [1], 'execute');
  await connection.query('DROP TABLE changing');
}));

test('large values', () => session({}, async (connection) => {
  await clear(connection, 'kinds');
  for (const [id, size] of [[1, 65_536], [2, (1 << 24) - 20], [3, 17_000_000]]) {
    const value = Buffer.alloc(size, `${id}abc`);
    await attempt(() => connection.execute('INSERT INTO kinds (id, long_blob) VALUES (?, ?)', [id, value]));
    await rows(connection, 'SELECT LENGTH(long_blob) AS a, long_blob AS b FROM kinds WHERE id = ?', [id], 'execute');
    await rows(connection, 'SELECT LENGTH(long_blob) AS a, long_blob AS b FROM kinds WHERE id = ?', [id]);
  }
  await clear(connection, 'kinds');
}));

test('streams', () => session({}, async (connection) => {
  let [count, sum] = [0, 0];
  for await (const row of driver.stream(connection, "SELECT seq AS n, REPEAT('y', 200) AS y FROM seq_1_to_30000")) {
    count += 1;
    sum += Number(row.n);
  }
  say(count, sum);
  await rows(connection, 'SELECT 5 AS a');
}));

test('several statements', () => session({ multipleStatements: true }, async (connection) => {
  await clear(connection, 'accounts');
  const all = 'SELECT 1 AS a; SET @x = 5; SELECT @x AS b, 2 AS c; INSERT INTO accounts (id) VALUES (5); SELECT id FROM accounts WHERE id = 5';
  say(plain(driver.read(await connection.query(all)).rows));
  await attempt(() => connection.query('SELECT 1; SELECT * FROM no_such_table; SELECT 3'));
  say(plain(driver.read(await connection.query("SELECT 'a;b' AS a ; ")).rows));
  await rows(connection, 'SELECT @x AS a');
  await clear(connection, 'accounts');
}));

test('procedures', () => session({}, async (connection) => {
  const name = `${DRIVER}_results`;
  await connection.query(`DROP PROCEDURE IF EXISTS ${name}`);
  await connection.query(`CREATE PROCEDURE ${name}(n INT, OUT twice INT) BEGIN SELECT n AS a; SELECT n + 1 AS b, 'x' AS c;`
    + ' SET twice = 2 * n; END');
  await connection.query('SET @twice = 0');
  say(plain(driver.read(await connection.query(`CALL ${name}(?, @twice)`, [5])).rows));
  await rows(connection, 'SELECT @twice AS a');
  say(plain(driver.read(await connection.execute(`CALL ${name}(?, ?)`, [6, null])).rows));
  await connection.query(`DROP PROCEDURE ${name}`);
}));

test('files', async () => {
  const file = path.join(FOLDER, `${DRIVER}-lines.csv`);
  fs.writeFileSync(file, Array.from({ length: 5000 }, (_, n) => `${n + 1};owner ä ${n};${n}.25\n`).join(''));
  await session(driver.file(file), async (connection) => {
    const table = `${DRIVER}_loaded`;
    await connection.query(`CREATE OR REPLACE TABLE ${table} (id INT, owner VARCHAR(50), balance DECIMAL(9, 2))`);
    const load = { sql: `LOAD DATA LOCAL INFILE '${file}' INTO TABLE ${table} FIELDS TERMINATED BY ';'`, ...driver.file(file) };
    say(plain(driver.read(await connection.query(load)).rows));
    await rows(connection, `SELECT COUNT(*) AS a, SUM(balance) AS b, MAX(owner) AS c FROM ${table}`);
    await attempt(() => connection.query({ ...load, sql: load.sql.replace(table, 'no_such_table') }));
    await rows(connection, 'SELECT 1 AS a');
    await connection.query(`DROP TABLE ${table}`);
  });
});

test('reset and change of user', () => session({}, async (connection) => {
  const look = "SELECT @kept AS a, @@time_zone = @@global.time_zone AS b, DATABASE() AS c";
  await connection.query("SET @kept = 1, time_zone = '+01:00'");
  await connection.query('CREATE TEMPORARY TABLE passing (a INT)');
  await rows(connection, look);
  await connection.reset();
  await rows(connection, look);
  await attempt(() => connection.query('SELECT * FROM passing'));
  await connection.query('SET @kept = 2');
  await connection.changeUser({ user: USER, password: PASSWORD, database: DATABASE });
  await rows(connection, look);
  // The other driver never comes back from this.
  if (DRIVER === 'mysql2') await attempt(() => connection.changeUser({ user: USER, password: 'wrong', database: DATABASE }));
}));

test('settings', () => session({}, async (connection) => {
  for (const sql of [
    "SET SESSION sql_mode = 'ANSI_QUOTES,STRICT_ALL_TABLES'", 'SELECT @@sql_mode AS a', 'SELECT "code" FROM currencies LIMIT 1',
    "SET NAMES latin1", 'SELECT @@character_set_client AS a, @@collation_connection AS b', 'SET NAMES utf8mb4',
    "SET @a = 1, @b := 'x', @c = NULL", 'SELECT @a AS a, @b AS b, @c AS c', "SET time_zone = '+03:00'", 'SELECT @@time_zone AS a',
    'SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE', 'SELECT @@tx_isolation AS a',
    'CREATE TEMPORARY TABLE passing (a INT)', 'INSERT INTO passing VALUES (1), (2)', 'SELECT SUM(a) AS a FROM passing',
    `SELECT GET_LOCK('node ${DATABASE}', 0) AS a`, `SELECT RELEASE_LOCK('node ${DATABASE}') AS a`, 'SET sql_mode = DEFAULT', 'SELECT CONNECTION_ID() > 0 AS a',
    'PREPARE s FROM \'SELECT ? + 1 AS a\'', 'EXECUTE s USING @a', 'DEALLOCATE PREPARE s', 'SELECT FOUND_ROWS() AS a',
  ]) {
    await rows(connection, sql);
  }
}));

test('metadata', () => session({}, async (connection) => {
  for (const sql of [
    'SHOW TABLES', 'DESCRIBE accounts', 'SHOW COLUMNS FROM entries', 'SHOW CREATE TABLE currencies', 'SHOW INDEX FROM entries',
    "SHOW FULL TABLES WHERE Table_type = 'BASE TABLE'", 'SHOW VARIABLES LIKE \'max_allowed_packet\'', "SHOW COLLATION LIKE 'utf8mb4_bin'",
    "SELECT table_name AS a, column_name AS b, column_type AS c FROM information_schema.columns WHERE table_schema = DATABASE()"
      + " AND table_name = 'accounts' ORDER BY ordinal_position",
  ]) {
    const { rows: found, fields } = driver.read(await connection.query(sql));
    say(sql, found.filter((row) => !Object.values(row).some((value) => /^(orm_|changing|mariadb_|mysql2_|seq_)/.test(value))).map((row) => {
      const kept = { ...row };
      delete kept.Cardinality;
      return kept;
    }));
    say(fields.map((field) => driver.field(field).slice(0, 5)));
  }
}));

test('kill', () => session({}, (connection) => session({}, async (other) => {
  const sql = `SELECT SLEEP(30) AS a, '${DRIVER} ${DATABASE}' AS b`;
  const asked = connection.query(sql).then(
    (found) => say('ended', plain(driver.read(found).rows)),
    (error) => say('killed', error.errno, error.sqlState),
  );
  // The victim must have begun to wait.
  for (;;) {
    const found = driver.read(await other.query('SELECT COUNT(*) AS a FROM information_schema.processlist WHERE info = ?', [sql])).rows;
    if (Number(found[0].a) > 0) break;
  }
  await other.query(`KILL QUERY ${connection.threadId}`);
  await asked;
  await rows(connection, "SELECT 'alive' AS a");
  await other.query(`KILL ${connection.threadId}`);
  await connection.query("SELECT 'dead' AS a").then(() => say('alive'), () => say('dead'));
  await attempt(() => other.query('KILL 4000000000'));
})));

test('pool', async () => {
  const pool = driver.pool({ ...LOGIN, ...driver.options, connectionLimit: 4 });
  const work = async (number) => {
    const connection = await pool.getConnection();
    try {
      await connection.query('SET @mine = ?', [number]);
      await connection.query('DO SLEEP(0.001)');
      return Number(driver.read(await connection.execute('SELECT @mine AS a')).rows[0].a) === number;
    } finally {
      await connection.release();
    }
  };
  say((await Promise.all(Array.from({ length: 60 }, (_, number) => work(number)))).every((right) => right));
  await pool.end();
});

run(DRIVER);
