// A client of Flight SQL in JavaScript, by @gizmodata/gizmosql-client, which speaks the standard to any server.
//
//     node client.js HOST:PORT COMMAND [ARGUMENT...]
//
// Prints a line for each fact: a topic, a tab, and JSON. FLIGHT_USER and FLIGHT_PASSWORD log in. The client's own prepared
// statements, primary keys and foreign keys send bodies that are no Flight SQL; it has no cancel.
import gizmosql from "@gizmodata/gizmosql-client";

const [address, command, ...rest] = process.argv.slice(2);
const [host, port] = address.split(":");
const { FLIGHT_USER: username, FLIGHT_PASSWORD: password } = process.env;
const client = new gizmosql.FlightSQLClient({ host, port: Number(port), plaintext: true, username, password });

const say = (topic, fact) => console.log(`${topic}\t${JSON.stringify(fact)}`);
const UNITS = { 0: 1n, 1: 1000n, 2: 1000000n, 3: 1000000000n };

const commands = {
  async query(sql) {
    const table = await client.execute(sql);
    say("columns", table.schema.fields.map((field) => [field.name, String(field.type)]));
    for (const batch of table.batches) {
      for (let row = 0; row < batch.numRows; row++) {
        say("row", table.schema.fields.map((field, column) => cell(field.type, batch.getChildAt(column).data[0], row)));
      }
    }
  },
  async tables() {
    const found = await client.getTables();
    for (const { catalog, schema, tableName, tableType } of found) say("row", [catalog, schema, tableName, tableType]);
  },
  async catalogs() {
    for (const name of await client.getCatalogs()) say("row", [name]);
  },
};

// A value as text, from the buffers themselves: the library's accessors round to milliseconds.
function cell(type, data, row) {
  if (!data.getValid(row)) return "NULL";
  const name = String(type);
  if (name.startsWith("Decimal")) return decimal(data.values, data.offset + row, type.scale);
  if (name.startsWith("Date32")) return moment(BigInt(data.values[row]) * 86400n, 0n, 1n).slice(0, -9);
  if (name.startsWith("Timestamp") || name.startsWith("Time64")) {
    const unit = UNITS[type.unit];
    const seconds = floor(data.values[row], unit);
    const text = moment(seconds, data.values[row] - seconds * unit, unit);
    if (name.startsWith("Time64")) return text.slice(-text.length + text.indexOf("T") + 1);
    return type.timezone ? `${text}Z` : text;
  }
  if (name === "Bool") return String(Boolean(data.values[row >> 3] & (1 << row % 8)));
  if (name === "Utf8") return new TextDecoder().decode(data.values.subarray(data.valueOffsets[row], data.valueOffsets[row + 1]));
  return String(data.values[row]);
}

function floor(value, unit) {
  const whole = value / unit;
  return value % unit < 0n ? whole - 1n : whole;
}

function moment(seconds, rest, unit) {
  const text = new Date(Number(seconds) * 1000).toISOString().replace(/^\+00/, "").slice(0, -5);
  return rest === 0n ? text : `${text}.${String(rest).padStart(String(unit).length - 1, "0")}`;
}

function decimal(words, index, scale) {
  let value = 0n;
  for (let word = 3; word >= 0; word--) value = (value << 32n) | BigInt(words[index * 4 + word] >>> 0);
  if (value >> 127n) value -= 1n << 128n;
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, "0");
  const cut = digits.length - scale;
  return `${value < 0n ? "-" : ""}${digits.slice(0, cut)}${scale ? `.${digits.slice(cut)}` : ""}`;
}

try {
  if (!(command in commands)) throw new Error(`no command ${command}`);
  await commands[command](...rest);
} catch (error) {
  say("error", error.message);
  process.exitCode = 3;
} finally {
  await client.close();
}
