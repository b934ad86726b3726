// Lines of JSON that loggers print: their time, level, message and the other fields, whatever the keys are called.
//
// Knows the keys of pino, bunyan, winston, structlog, loguru, python-json-logger, Serilog, zap, slog, logstash and
// OpenTelemetry. What is none of them, or no record at all, is left as it is.

import { levelOf } from "./levels.js";
import { withoutSequences } from "./parser.js";

const TIMES = ["time", "timestamp", "ts", "@timestamp", "@t", "asctime"];
const LEVEL_KEYS = ["level", "levelname", "severity", "severity_text", "severityText", "@l", "lvl"];
const MESSAGES = ["msg", "message", "event", "body", "@m", "@mt", "log"];
const STACKS = ["stack", "stack_trace", "stacktrace", "exc_info", "exception", "traceback", "@x"];
const ERRORS = ["err", "error", "exception"]; // objects with a stack of their own
const LONGEST = 1 << 18; // characters of a line that is read as JSON
const MOST_FIELDS = 50;
const LONGEST_VALUE = 500; // characters

const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g; // JSON can write them; they would only be boxes
const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const own = (object, key) => (Object.hasOwn(object, key) ? object[key] : undefined);

/**
 * The record of a line: {time, at, level, name, message, fields, stack}; null where it is none.
 *
 * `at` is the time in milliseconds since the epoch, null where its zone is unknown, and `time` what the line says;
 * `level` is one of `LEVELS` or null, and `name` what the line calls it; `fields` are pairs of texts.
 */
export function record(line) {
  const text = line.trim();
  if (text.length > LONGEST || text[0] !== "{" || text.at(-1) !== "}") return null;
  let object;
  try {
    object = JSON.parse(text);
  } catch {
    return null;
  }
  const inner = own(object, "record");
  const whole = isObject(inner) ? own(object, "text") : undefined; // loguru has the formatted line beside it
  if (isObject(inner)) object = inner;
  const used = new Set();
  const take = (keys, read) => {
    for (const key of keys) {
      const value = read(own(object, key));
      if (value === null || value === undefined) continue;
      used.add(key);
      return value;
    }
    return null;
  };
  const time = take(TIMES, timeOf);
  const level = take(LEVEL_KEYS, namedLevel) ?? { level: Object.hasOwn(object, "@mt") ? "info" : null, name: "" };
  const message = take(MESSAGES, (value) => (typeof value === "string" ? clean(value).replace(/\n$/, "") : typeof value === "number" ? String(value) : null));
  if (message === null && !(level.name && level.level)) return null;
  const stack = take(STACKS, stackOf) ?? take(ERRORS, (value) => stackOf(isObject(value) ? own(value, "stack") : null)) ?? traceOf(whole);
  const fields = Object.keys(object).filter((key) => !used.has(key) && object[key] !== null).slice(0, MOST_FIELDS);
  return {
    time: time?.text ?? "",
    at: time?.at ?? null,
    level: level.level,
    name: level.name,
    message: message ?? "",
    fields: fields.map((key) => [clean(key), shown(object[key])]),
    stack: stack && clean(stack),
  };
}

function timeOf(value) {
  if (isObject(value)) value = own(value, "timestamp");
  if (typeof value === "string" && /^\d{9,19}(?:\.\d+)?$/.test(value)) value = Number(value);
  if (typeof value === "number" && value > 0) {
    const at = Math.round(value < 1e11 ? value * 1000 : value < 1e14 ? value : value < 1e17 ? value / 1e3 : value / 1e6);
    return at < 8.64e15 ? { at, text: new Date(at).toISOString() } : null;
  }
  if (typeof value !== "string" || !/^\d{4}-\d\d-\d\d[T ]\d\d:\d\d/.test(value)) return null;
  const zoned = /(?:Z|[+-]\d\d:?\d\d)$/.test(value);
  const at = zoned ? Date.parse(value.replace(" ", "T").replace(",", ".")) : NaN;
  return { at: Number.isNaN(at) ? null : at, text: value };
}

function namedLevel(value) {
  if (isObject(value)) value = own(value, "name");
  if (typeof value !== "string" && typeof value !== "number") return null;
  const level = levelOf(value);
  return { level, name: level ?? String(value).slice(0, 20) };
}

function stackOf(value) {
  if (typeof value === "string") return value.includes("\n") ? value : null;
  // structlog's frames as objects
  if (!Array.isArray(value) || !value.length || !value.every((one) => isObject(one) && Array.isArray(own(one, "frames")))) return null;
  return value
    .map((one) => {
      const frames = one.frames.filter(isObject).map((frame) => `  File "${frame.filename}", line ${frame.lineno}, in ${frame.name}`);
      return ["Traceback (most recent call last):", ...frames, `${one.exc_type}: ${one.exc_value}`].join("\n");
    })
    .join("\n\n");
}

function traceOf(text) {
  const at = typeof text === "string" ? text.indexOf("Traceback (most recent call last):") : -1;
  return at < 0 ? null : text.slice(at).trimEnd();
}

const clean = (text) => withoutSequences(text).replace(CONTROLS, "");

function shown(value) {
  const text = typeof value === "string" ? clean(value) : JSON.stringify(value);
  return text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE)} …` : text;
}
