// The cases of Sequelize, for the dialect in the first argument: its introspection, its statements, its transactions.
'use strict';

const { DataTypes, Op, Sequelize, Transaction } = require('sequelize');
const { DATABASE, HOST, PASSWORD, PORT, USER, run, say, test } = require('./case.js');

const DIALECT = process.argv[2];
const sequelize = new Sequelize(DATABASE, USER, PASSWORD, { dialect: DIALECT, host: HOST, port: PORT, logging: false, pool: { max: 3 } });

const Author = sequelize.define('Author', {
  name: { type: DataTypes.STRING(50), unique: true, allowNull: false },
  born: DataTypes.DATEONLY,
  fee: { type: DataTypes.DECIMAL(10, 2), defaultValue: '1.50' },
  kind: { type: DataTypes.ENUM('new', 'known'), defaultValue: 'new' },
  extra: DataTypes.JSON,
}, { tableName: 'orm_sequelize_authors', timestamps: false });
const Book = sequelize.define('Book', {
  title: DataTypes.STRING(80),
  pages: DataTypes.INTEGER,
}, { tableName: 'orm_sequelize_books', timestamps: false, indexes: [{ fields: ['title', 'pages'] }] });
Author.hasMany(Book, { as: 'books', foreignKey: { name: 'authorId', allowNull: false }, onDelete: 'CASCADE' });
Book.belongsTo(Author, { as: 'author', foreignKey: 'authorId' });

async function attempt(work) {
  try {
    await work();
    say('no error');
  } catch (error) {
    say(error.name, error.original?.code, error.original?.errno, error.message);
  }
}

test('connection', async () => {
  await sequelize.authenticate();
  say(await sequelize.query('SELECT 1 + 1 AS a', { type: 'SELECT' }));
  say(await sequelize.query('SELECT :a AS a, :b AS b', { type: 'SELECT', replacements: { a: 1, b: "it's" } }));
  say(await sequelize.query('SELECT $1 AS a', { type: 'SELECT', bind: ['x'] }));
});

test('tables', async () => {
  await sequelize.sync({ force: true });
  await sequelize.sync({ alter: true });
  const tables = sequelize.getQueryInterface();
  for (const name of ['accounts', 'orm_sequelize_authors', 'orm_sequelize_books']) {
    for (const [column, about] of Object.entries(await tables.describeTable(name))) say(name, column, about);
    say((await tables.showIndex(name)).map((index) => [index.name, index.unique, index.primary, index.fields.map((field) => field.attribute)]));
    say(await tables.getForeignKeyReferencesForTable(name));
  }
  const all = (await tables.showAllTables()).map((table) => table.tableName ?? table);
  say(all.filter((table) => /^(accounts|entries|orm_sequelize_)/.test(table)).sort());
});

test('rows', async () => {
  const author = await Author.create({ name: 'one', born: '1950-01-02', extra: { a: [1, null, '€'] },
    books: [{ title: 'a', pages: 1 }, { title: 'b', pages: 2 }] }, { include: 'books' });
  say(author.books.map((book) => book.title));
  await Author.bulkCreate([{ name: 'two', kind: 'known' }, { name: 'three' }, { name: 'four' }]);
  const found = await Author.findAll({ include: { association: 'books', where: { pages: { [Op.gt]: 0 } }, required: false }, order: ['name', ['books', 'title', 'DESC']] });
  for (const one of found) say(one.name, one.born, one.fee, one.kind, one.extra, one.books.map((book) => [book.title, book.pages]));
  say(await Author.count(), await Book.sum('pages'), await Author.findAndCountAll({ limit: 2, offset: 1, order: ['name'] }).then(({ count, rows }) => [count, rows.map((one) => one.name)]));
  say((await Author.update({ kind: 'known' }, { where: { name: { [Op.like]: 't%' } } }))[0]);
  await Author.upsert({ id: author.id, name: 'one', fee: '2.25' });
  say((await Author.findByPk(author.id)).fee, (await Author.findOrCreate({ where: { name: 'five' } }))[1]);
  await Book.increment({ pages: 5 }, { where: { title: 'a' } });
  say(await Book.findAll({ attributes: ['authorId', [sequelize.fn('COUNT', sequelize.col('id')), 'n'], [sequelize.fn('MAX', sequelize.col('pages')), 'm']], group: ['authorId'], raw: true })
    .then((rows) => rows.map((row) => [row.n, row.m])));
  await attempt(() => Author.create({ name: 'one' }));
  await attempt(() => Book.create({ title: 'nobody', authorId: 999_999 }));
  await attempt(() => Author.create({ name: null }));
  await author.destroy();
  say(await Book.count());
});

test('transactions', async () => {
  for (const isolationLevel of Object.values(Transaction.ISOLATION_LEVELS)) {
    await sequelize.transaction({ isolationLevel }, async (transaction) => {
      await Author.create({ name: isolationLevel }, { transaction });
      say(await Author.count({ transaction }));
    });
  }
  await attempt(() => sequelize.transaction(async (transaction) => {
    await Author.destroy({ where: {}, transaction });
    await sequelize.transaction({ transaction }, (nested) => Author.create({ name: 'nested' }, { transaction: nested }));
    throw new Error('back');
  }));
  const transaction = await sequelize.transaction();
  say((await Author.findAll({ where: { kind: 'known' }, lock: transaction.LOCK.UPDATE, transaction, order: ['name'] })).map((one) => one.name));
  await transaction.commit();
  say(await Author.count());
});

test('errors', async () => {
  for (const text of ['SELEC', 'SELECT * FROM no_such_table', 'SELECT x FROM accounts']) await attempt(() => sequelize.query(text));
});

test('removal', async () => {
  await sequelize.drop({});
  const left = (await sequelize.getQueryInterface().showAllTables()).map((table) => table.tableName ?? table);
  say(left.includes('orm_sequelize_books'));
  await sequelize.close();
});

run(`sequelize ${DIALECT}`);
