// Workflow commands, as GitHub's runner takes them out of what a step prints: `::name key=value::data` at the start of
// a line, and `##[name key=value;key=value]data` anywhere in it.
//
// Knows lines as text, without their sequences, and what they say; no page. It runs nothing: what a command would do
// on a runner (paths, masks, matchers) is not done.

const NAMES = new Set([
  ...["group", "endgroup", "error", "warning", "notice", "debug", "echo", "stop-commands", "add-mask"],
  ...["add-path", "set-env", "set-output", "save-state", "add-matcher", "remove-matcher", "internal-set-repo-path"],
]);
const PAUSE = "pause-logging"; // no token may be that

// Each is undone in this order: the percent sign last, so that `%250A` is the text `%0A`.
const DATA = [["%0D", "\r"], ["%0A", "\n"], ["%25", "%"]];
const PROPERTY = [["%0D", "\r"], ["%0A", "\n"], ["%3A", ":"], ["%2C", ","], ["%25", "%"]];
const BRACKETS = [["%3B", ";"], ["%0D", "\r"], ["%0A", "\n"], ["%5D", "]"], ["%25", "%"]];

const unescaped = (text, escapes) => escapes.reduce((made, [from, to]) => made.replaceAll(from, to), text);

/** Reads commands line by line; a line may stop all that come after it, until it is said that they go on. */
export class Commands {
  #token = null; // what ends the stop

  /** The command of a line, {name, properties, data}; null where it is none, or commands are stopped. */
  read(line) {
    const command = this.#colons(line) ?? this.#brackets(line);
    if (!command) return null;
    if (this.#token !== null) {
      if (command.name === this.#token) this.#token = null;
      return null; // both lines of a stop are plain output
    }
    if (command.name === "stop-commands") {
      const token = command.data.toLowerCase();
      if (token.trim() && !NAMES.has(token) && token !== PAUSE) this.#token = token;
      return null;
    }
    return command;
  }

  #colons(line) {
    const text = line.trimStart();
    const end = text.startsWith("::") ? text.indexOf("::", 2) : -1;
    if (end < 0) return null;
    return this.#command(text.slice(2, end), text.slice(end + 2), ",", PROPERTY, DATA);
  }

  #brackets(line) {
    const begin = line.indexOf("##[");
    const end = begin < 0 ? -1 : line.indexOf("]", begin);
    if (end < 0) return null;
    return this.#command(line.slice(begin + 3, end), line.slice(end + 1), ";", BRACKETS, BRACKETS);
  }

  #command(text, data, between, escapes, dataEscapes) {
    const space = text.indexOf(" ");
    const name = (space < 0 ? text : text.slice(0, space)).toLowerCase();
    if (!NAMES.has(name) && (this.#token === null || name !== this.#token)) return null;
    const properties = new Map();
    for (const pair of space < 0 ? [] : text.slice(space + 1).trim().split(between)) {
      const at = pair.indexOf("=");
      if (at > 0 && at < pair.length - 1) properties.set(pair.slice(0, at).toLowerCase(), unescaped(pair.slice(at + 1), escapes));
    }
    return { name, properties, data: unescaped(data, dataEscapes) };
  }
}

const ANNOTATIONS = new Set(["error", "warning", "notice"]);
const whole = (text) => (/^\d{1,9}$/.test(text ?? "") ? Number(text) : null);

/** What an error, a warning or a notice says, and where; null for another command. */
export function annotation({ name, properties, data }) {
  if (!ANNOTATIONS.has(name)) return null;
  let [line, endLine, column, endColumn] = ["line", "endline", "col", "endcolumn"].map((key) => whole(properties.get(key)));
  line ??= endLine;
  if (line === null || (endLine !== null && endLine !== line)) column = endColumn = null;
  if (endLine !== null && endLine < line) line = endLine = null;
  if (endColumn !== null && column !== null && endColumn < column) column = endColumn = null;
  return { kind: name, file: properties.get("file") ?? "", line, endLine, column, endColumn, title: properties.get("title") ?? "", text: data };
}
