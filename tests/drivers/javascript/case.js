// What every Node program of the matrix shares: a list of cases, and how what a driver gave becomes lines of text.
//
// A program is run against a server and against dbmesh; the lines are compared. So nothing may be printed that differs between
// two runs against one server: no time of day, no connection number, no address.
'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');

const environment = process.env;
exports.HOST = environment.DRIVERS_HOST;
exports.PORT = Number(environment.DRIVERS_PORT);
exports.USER = environment.DRIVERS_USER;
exports.PASSWORD = environment.DRIVERS_PASSWORD;
exports.DATABASE = environment.DRIVERS_DATABASE;
// The certificate that signs the listener's own.
exports.CA = fs.readFileSync(environment.DRIVERS_CA, 'utf8');
// A folder for files that a case needs.
exports.FOLDER = environment.DRIVERS_FOLDER;

// A case that has not ended by then hangs.
const MOST = 60_000;

const cases = [];

exports.test = (name, work) => cases.push([name, work]);

// One line of the answer.
exports.say = (...values) => console.log(values.map(shown).join('  '));

const sha1 = (data) => crypto.createHash('sha1').update(data).digest('hex');

// Columns stand in their order, what a session was set to in any.
const by_name_where_the_order_is_free = (value) => {
  const free = Object.keys(value).some((name) => name.startsWith('character_set_'));
  return free ? ([a], [b]) => (a < b ? -1 : 1) : () => 0;
};

// A value with its type, the same for equal values only.
function shown(value) {
  if (value === null || value === undefined || typeof value === 'boolean') return String(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value);
  if (typeof value === 'string') {
    return value.length > 200 ? `s:${value.length}:${sha1(value)}` : JSON.stringify(value);
  }
  if (value instanceof Uint8Array) {
    const data = Buffer.from(value);
    return data.length > 64 ? `b:${data.length}:${sha1(data)}` : `b:${data.toString('hex')}`;
  }
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'date:none' : `date:${value.toISOString()}`;
  if (Array.isArray(value)) return `[${value.map(shown).join(', ')}]`;
  if (typeof value === 'object') {
    return `{${Object.entries(value).sort(by_name_where_the_order_is_free(value)).map(([key, part]) => `${key}: ${shown(part)}`).join(', ')}}`;
  }
  return typeof value;
}
exports.shown = shown;

const one_line = (text) => String(text).replaceAll('\n', ' | ');

async function in_time(work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error('the case does not end')), MOST);
  });
  try {
    await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}

// Runs the cases in order; a case that fails says how, and the next one runs.
exports.run = async (driver) => {
  process.on('uncaughtException', (error) => console.log(one_line(`fails: outside of a call: ${error}`)));
  process.on('unhandledRejection', (error) => console.log(one_line(`fails: nobody waits for: ${error}`)));
  console.log(`# ${driver}`);
  for (const [name, work] of cases) {
    console.log(`## ${name}`);
    try {
      await in_time(work);
    } catch (error) {
      console.log(one_line(`fails: ${error.name}: ${error.message}`));
      if (environment.DRIVERS_TRACE) console.error(error);
    }
  }
  console.log('# end');
  process.exit(0);
};
