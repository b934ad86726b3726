// Groups of lines, as programs mark them for the pages of GitHub, GitLab and Buildkite; annotations; and the traces of
// stacks that loggers print below a line of theirs.
//
// Reads what is printed before a terminal does, since a terminal erases GitLab's marks. Lines are named by their
// numbers in the run's output, from 0; a line counts when it is whole. Knows no page, and hides nothing: a group says
// from which line to which it goes, whether it began folded, and whether something in it failed.

import { annotation, Commands } from "./commands.js";
import { isError, mayFail } from "./errors.js";
import { levelOfLine } from "./levels.js";
import { withoutSequences } from "./parser.js";

const LONGEST = 8192; // characters of a line that are read for marks
const MOST_OPEN = 200; // sections at once
const MOST_GROUPS = 10000;
export const MOST_ANNOTATIONS = 50; // that are kept; more are counted

/** What lines with marks have, in any case: few texts, for which a search of the server is quick; and what headers are. */
export const MARKED = "::group|::endgroup|::error|::warning|::notice|::stop-|##\\[|section_(?:start|end):";
export const HEADED = "^(?:---|[+]{3}|~~~|\\^\\^\\^)";
// What a chunk must have for its lines to be looked at one by one.
const MARKS = /::|##\[|section_(?:start|end):|Traceback \(most|(?:^|\n)\s+at /;
const HEADERS = /(?:^|\n)(?:\u001b\[[\d;]*[mK])*(?:---|\+\+\+|~~~|\^\^\^)/;
const SECTION = /section_(start|end):(\d+):([A-Za-z0-9_.-]+)(\[[^\]\r\n]*\])?\r\u001b\[0K/g;
const HEADER = /^(---|\+\+\+|~~~|\^\^\^ \+\+\+)(?:\s(.+)?)?$/;
const LONGEST_HEADER = 500;
const TRACEBACK = /^Traceback \(most recent call last\):$/;
const FRAME = /^\s+(?:at |\.\.\. \d+ (?:more|common))/;
const THROWN = /^(?:Caused by: |Suppressed: )?[\w.$]+(?:Error|Exception|Throwable)\b/;
const ABOVE = 600; // characters in which the line of a logger is looked for, above a trace
const SHORTEST_TRACE = 4; // lines; a shorter one is not folded
const seen = (line) => withoutSequences(line).replace(/\r+$/, "");

/** The last part of a line: a lone return begins a new one, for runners as on a screen. */
const last = (line) => line.slice(line.lastIndexOf("\r") + 1);

const folded = (name) => name.toLowerCase().replace(/[^a-z0-9]/g, "-");

/** The groups and annotations of a run. */
export class Groups {
  /** A line as the search of the server has it, without sequences, with GitLab's marks as they were. */
  static marked(line) {
    return line.replace(/(section_(?:start|end):\d+:[A-Za-z0-9_.-]+(?:\[[^\]]*\])?)\r?/g, "$1\r\u001b[0K");
  }

  /** All groups, in the order of their first lines: {line, end, title, dialect, folded, failed, parent, from, to}. */
  all = [];
  annotations = [];
  counted = { error: 0, warning: 0, notice: 0 };
  marked = new Map(); // lines that say nothing else: "end" of a group, or "mask", whose value nobody should see
  #buildkite;
  #commands = new Commands();
  #open = []; // groups that go on, the one opened last at the end
  #begun = new Map(); // by channel: the line that is not whole yet, with its number
  #above = new Map(); // by channel: the end of what was taken
  #traces = new Map(); // by channel: the trace that goes on
  #caused = new Set(); // channels whose last line named the cause of the trace above it
  #changed;

  /** @param options.buildkite whether `---`, `+++` and `~~~` are headers. @param options.changed called after each change */
  constructor({ buildkite = false, changed = () => {} } = {}) {
    this.#buildkite = buildkite;
    this.#changed = changed;
  }

  /**
   * Take output as it comes.
   *
   * @param line how many line feeds there were before it, of all channels
   * @param time when it came, in seconds since the epoch; null where nobody knows
   */
  add(channel, text, line, time = null) {
    let begun = this.#begun.get(channel);
    const end = text.indexOf("\n");
    if (end < 0) {
      if (!begun) this.#begun.set(channel, (begun = { text: "", line, time }));
      if (begun.text.length < LONGEST) begun.text += text.slice(0, LONGEST - begun.text.length);
      return;
    }
    let at = 0;
    if (begun) {
      this.#begun.delete(channel);
      const whole = begun.text + text.slice(0, end);
      this.#line(channel, whole, begun.line, begun.time, () => this.#above.get(channel) ?? "");
      this.#keep(channel, `${whole}\n`);
      at = end + 1;
      line += 1;
    }
    const last = text.lastIndexOf("\n");
    if (last >= at) line = this.#lines(channel, text, at, last, line, time);
    if (last + 1 < text.length) this.#begun.set(channel, { text: text.slice(last + 1, last + 1 + LONGEST), line, time });
  }

  /** Take the lines between two places; return the number of the next one. */
  #lines(channel, text, at, last, line, time) {
    const piece = text.slice(at, last);
    const mayFailHere = this.#open.some((group) => !group.failed && group.dialect !== "trace") && mayFail(piece);
    const worth = mayFailHere || this.#traces.size || this.#caused.size || MARKS.test(piece) || (this.#buildkite && HEADERS.test(piece));
    if (worth || last + 1 < text.length) {
      for (let from = at; from <= last; line += 1) {
        const to = text.indexOf("\n", from);
        if (worth) this.#line(channel, text.slice(from, to), line, time, () => (this.#above.get(channel) ?? "") + text.slice(at, from));
        from = to + 1;
      }
    } // or else nobody asks for the number of a line behind
    this.#keep(channel, text.slice(Math.max(at, last + 1 - ABOVE), last + 1));
    return line;
  }

  #keep(channel, text) {
    this.#above.set(channel, ((this.#above.get(channel) ?? "") + text).slice(-ABOVE));
  }

  /** Nothing more comes: take the lines that were not ended. What is open stays so; how a failed run ended is not hidden. */
  end({ failed = false } = {}) {
    for (const [channel, { text, line, time }] of this.#begun) this.#line(channel, text, line, time, () => this.#above.get(channel) ?? "");
    this.#begun.clear();
    const final = this.all.at(-1);
    if (final && failed) this.#set(final, "failed", true);
    const headers = this.all.filter((group) => group.dialect === "buildkite");
    if (headers.length && headers.every((group) => group.folded)) this.#set(headers.at(-1), "folded", false);
  }

  /** Take a line; `above` returns what was printed before it. */
  #line(channel, text, line, time, above) {
    if (text.length > LONGEST) text = text.slice(0, LONGEST);
    const sections = text.includes("section_") && this.#sections(text, line);
    const plain = last(seen(text));
    this.#trace(channel, plain, line, time, above);
    const command = this.#commands.read(plain);
    if (command) this.#command(command, line, time);
    else if (this.#buildkite) this.#header(plain, line, time);
    if (!this.#open.length || sections || (command ? command.name !== "error" : !isError(plain))) return;
    for (const group of this.#open) if (group.dialect !== "trace") this.#set(group, "failed", true);
  }

  /** Begin, go on with or end the trace of a stack. */
  #trace(channel, text, line, time, above) {
    const key = `trace ${channel}`;
    const going = this.#traces.get(channel);
    const caused = this.#caused.delete(channel);
    if (going) {
      if (going.python ? !text.trim() || /^[\s|]/.test(text) : FRAME.test(text)) return;
      this.#traces.delete(channel);
      going.group.folded = line - going.group.line >= SHORTEST_TRACE;
      this.#close(key, line - 1, time);
      if (THROWN.test(text)) this.#caused.add(channel);
    }
    const python = TRACEBACK.test(text);
    if (!python && !FRAME.test(text)) return;
    if (!caused && !this.#isLogged(above())) return;
    const group = this.#begin({ key, dialect: "trace", title: text.trim(), line, from: null, folded: false });
    if (group) this.#traces.set(channel, { group, python });
  }

  /** Whether the last lines of a text are of a logger, and of what was thrown. */
  #isLogged(text) {
    const before = withoutSequences(text).split("\n").slice(-6, -1).reverse(); // the last one is empty
    const logged = before.findIndex((one) => levelOfLine(one) !== null);
    return logged >= 0 && before.slice(0, logged).every((one) => !one.trim() || THROWN.test(one) || FRAME.test(one));
  }

  #command(command, line, time) {
    const made = annotation(command);
    if (command.name === "group") {
      this.#close("github", line - 1, time);
      this.#begin({ key: "github", dialect: "github", title: command.data, line, from: time, folded: true });
    } else if (command.name === "endgroup") {
      if (this.#close("github", line, time)) this.#mark(line, "end");
    } else if (command.name === "add-mask") this.#mark(line, "mask");
    else if (made) {
      this.counted[made.kind] += 1;
      if (this.annotations.length < MOST_ANNOTATIONS) this.annotations.push({ ...made, at: line });
      this.#changed();
    }
  }

  /** Take GitLab's marks of a line; say whether there are any. */
  #sections(text, line) {
    const found = [...text.matchAll(SECTION)];
    for (const [at, mark] of found.entries()) {
      const [whole, kind, stamp, name, options] = mark;
      const [key, time, behind] = [`gitlab ${folded(name)}`, Number(stamp), mark.index + whole.length];
      const more = seen(text.slice(behind)).trim(); // then the line is not of what ends, but of what begins on it
      if (kind === "end") {
        this.#close(key, more ? line - 1 : line, time);
        if (!more) this.#mark(line, "end");
        continue;
      }
      this.#close(key, line - 1, time);
      const title = last(seen(text.slice(behind, found[at + 1]?.index))).trim() || name;
      this.#begin({ key, dialect: "gitlab", title, line, from: time, folded: /[[,]collapsed=true[\],]/.test(options ?? "") });
    }
    return found.length > 0;
  }

  #header(text, line, time) {
    const found = text.length < LONGEST_HEADER ? HEADER.exec(text) : null;
    if (!found) return;
    const [, sign, title = ""] = found;
    if (sign === "^^^ +++") {
      if (this.#open.length) this.#set(this.#open.at(-1), "folded", false);
      return;
    }
    this.#close("buildkite", line - 1, time);
    this.#begin({ key: "buildkite", dialect: "buildkite", title, line, from: time, folded: sign !== "+++" });
  }

  #begin(group) {
    if (this.#open.length >= MOST_OPEN || this.all.length >= MOST_GROUPS) return null;
    const made = { ...group, end: null, to: null, failed: false, parent: this.#open.at(-1) ?? null };
    this.all.push(made);
    this.#open.push(made);
    this.#changed(made);
    return made;
  }

  /** End the group of this key, if one is open; say whether. */
  #close(key, line, time) {
    const at = this.#open.findLastIndex((group) => group.key === key);
    if (at < 0) return false;
    const [group] = this.#open.splice(at, 1);
    group.end = Math.max(group.line, line);
    group.to = time;
    this.#changed(group);
    return true;
  }

  #set(group, name, value) {
    if (group[name] === value) return;
    group[name] = value;
    this.#changed(group);
  }

  #mark(line, what) {
    if (this.marked.size < MOST_GROUPS) this.marked.set(line, what);
  }
}

/** How long a group took, in seconds; null while it goes on, or where nobody knows. */
export const took = ({ from, to }) => (from === null || to === null ? null : Math.max(0, to - from));
