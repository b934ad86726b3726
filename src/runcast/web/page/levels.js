// How severe a line says that it is: one of six levels, from the words, numbers and letters that loggers print.

export const LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"];

const WORDS = new Map(Object.entries({
  trace: "trace", verbose: "trace", silly: "trace", finest: "trace", finer: "trace",
  debug: "debug", dbg: "debug", fine: "debug",
  info: "info", information: "info", informational: "info", notice: "info", success: "info", http: "info", log: "info",
  warn: "warn", warning: "warn", wrn: "warn",
  error: "error", err: "error", severe: "error",
  fatal: "fatal", critical: "fatal", crit: "fatal", panic: "fatal", dpanic: "fatal", alert: "fatal", emerg: "fatal", emergency: "fatal",
}));

/** The level of a logger's word or number (10 to 60, as pino and bunyan have it); null for another. */
export function levelOf(value) {
  if (typeof value === "number") return value >= 10 && value < 70 ? LEVELS[Math.floor(value / 10) - 1] : null;
  return typeof value === "string" ? WORDS.get(value.trim().toLowerCase()) ?? null : null;
}

const NEAR = 120; // characters from the beginning in which a level stands
// Capitals as a word; anything in brackets, behind `level=`, before a colon at the beginning, or behind the name of npm.
const CAPITALS = /(?<![\w.\/-])(?:TRACE|DEBUG|INFO|NOTICE|SUCCESS|WARN|WARNING|ERR|ERROR|SEVERE|FATAL|CRITICAL|CRIT|PANIC|ALERT|EMERG)(?![\w\/-])/;
const OTHERS = /\[ ?(\w{3,13}) ?\]|\b(?:level|lvl|severity)="?(\w{3,13})|^(?:npm (?:error|warn|info|notice|http|verb|silly)|[a-z]+)(?=: |:? *\[|\b(?<=^npm \w+))/i;
const LETTERS = /^([IWEF])\d{4} \d\d:\d\d:\d\d/; // Google's loggers
const LETTER = { I: "info", W: "warn", E: "error", F: "fatal" };

/** The level that a line of text has, without its sequences; null where it names none. */
export function levelOfLine(line) {
  const text = line.length > NEAR ? line.slice(0, NEAR) : line;
  const capitals = CAPITALS.exec(text);
  if (capitals) return levelOf(capitals[0]);
  const letter = LETTERS.exec(text);
  if (letter) return LETTER[letter[1]];
  const other = OTHERS.exec(text);
  return other ? levelOf(other[1] ?? other[2] ?? other[0].replace(/^npm /i, "").replace(/^verb$/i, "verbose")) : null;
}
