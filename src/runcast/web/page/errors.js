// Where something failed: lines that say so, and the place in a source that they mean.
//
// A line fails when it has a word for that; `app.py:30` alone is no error (times, ports, access logs and tests that
// passed look like it). The place is the nearest one: on the line, up to 60 lines behind it, up to 6 before it.
// Of a traceback of Python it is the last frame of the program's own files. This leads to lines, and hides none.

const AFTER = 60;
const BEFORE = 6;
const NEAR = 20; // lines in which an error is said again
const LONGEST = 2000; // characters of a line that are looked at

const WORD = new RegExp(
  [
    // A word that is followed by a colon, a blank, a code in brackets or the end.
    "(?<![\\w.\\/=-])(?:errors?|fatal|panic|panicked|exception|traceback|critical|severe|segmentation fault|failure|undefined reference|err!)(?=[:\\s\\[(!,\\]*]|\\.{3}|$)",
    "\\b(?:level|lvl|severity)=\"?(?:error|err|fatal|crit|critical|panic)\\b",
    "^(?:FAILED|FAIL|ERROR|not ok)\\b|^[✗✘×] |\\.\\.\\. FAILED$",
    "^E {3}",
    ": (?:command not found|not found|No such file or directory|Permission denied|cannot open \\S+|unexpected .*)$",
    "^(?:vet: )?\\.{0,2}\\/?[\\w.\\/-]+\\.go:\\d+:\\d+: ", // go
    "^[gm]?awk: (?:\\S+:)? ?(?:line )?\\d+:",
    "^make(?:\\[\\d+\\])?: \\*\\*\\* ",
    "^\\S+:\\d+:in ['`]", // ruby
    "^.+ at \\S+ line \\d+\\.$", // perl
    "::error\\b|##\\[error\\]",
  ].join("|"),
  "im",
);
const NAMED = /(?<![\w\/-])[A-Z]\w*(?:Error|Exception)(?=[:\s(]|$)/;
// What is said of errors that are not there, sums of errors, and names of things.
const NONE =
  /\b(?:no|0|zero|without|any|about an|some|this|these|above|following|ignor\w+|on|if|of|for|handl\w+|the|expected|known|last|max|allow\w*|--?\w+)[ -](?:errors?|failures?|exceptions?|critical|fatal)\b|\b(?:errors?|failures?|failed)[:=] ?0\b/gi;
const SUM = /(?<![,.:\d])\d+ (?:previous )?(?:errors?|failures?)\b/g;
const MAY = /err|fatal|panic|exception|traceback|critical|severe|fault|fail|undefined|not found|no such|denied|cannot open|unexpected|not ok|[✗✘×]| line \d|\.go:|:in ['`]|^E {3}|awk: |\*\*\* /im;
/** What nearly all of these lines have somewhere, in any case: few words, for which a search of the server is quick. */
export const USUAL = "error|fatal|panic|exception|traceback|fail|critical|not found";
const CODE = /^\s*>?\s*(?:raise|throw)\b/; // a line of source, as tracebacks show it

/** Whether a line of a text may say that something failed: quick, where most say nothing. */
export const mayFail = (text) => MAY.test(text);

/** Whether a line says that something failed. It is without its sequences. */
export function isError(line) {
  const text = line.length > LONGEST ? line.slice(0, LONGEST) : line;
  if (!MAY.test(text) || CODE.test(text)) return false;
  return NAMED.test(text) || WORD.test(text.replace(NONE, " ").replace(SUM, " "));
}

const FILE = "(?:[A-Za-z]:[\\\\/])?[^\\s:()\\[\\]\"'<>,;|]*(?:\\.[A-Za-z][A-Za-z0-9]{0,5}|Makefile|Dockerfile)|<string>|\\[e(?:val)\\]"; // the last is what node calls a script of its command line
const SHAPES = [
  `File "([^"\\n]+)", line (\\d+)()`,
  `(?:^|[\\s(])(${FILE})\\((\\d+),(\\d+)\\): `,
  `\\((${FILE}):(\\d+)(?::(\\d+))?\\)$`,
  `^[ ]*(?:vet: |--> |make(?:\\[\\d+\\])?: \\*\\*\\* \\[)?(${FILE}):(\\d+)(?::(\\d+))?(?=[:\\s\\],]|$)`,
  `panicked at (?:'.*', )?(${FILE}):(\\d+):(\\d+)`,
  `^(${FILE}|[\\w./-]+): (?:line )?(\\d+)(): `,
  ` (?:at|in) (${FILE}) (?:on )?line (\\d+)()\\b`,
  `\\bat (?:async )?(?:file:\\/\\/)?(${FILE}):(\\d+):(\\d+)$`,
].map((shape) => new RegExp(shape));

/** The place in a source that a line names, {file, line, column}; null where it names none. */
export function place(line) {
  const text = line.length > LONGEST ? line.slice(0, LONGEST) : line;
  for (const shape of SHAPES) {
    const found = shape.exec(text);
    if (found) return { file: found[1], line: Number(found[2]), column: found[3] ? Number(found[3]) : null };
  }
  return null;
}

const TRACEBACK = /^(\s*)(?:\|\s*)?Traceback \(most recent call last\):$/;
const FRAME = /^[\s|]*File "([^"]+)", line (\d+)/;
const FOREIGN = /site-packages|dist-packages|[\\/]lib[\\/]python|^<frozen|^<string>|[\\/]node_modules[\\/]/;

/**
 * The error nearest to a place among lines, going forward (1) or back (-1).
 *
 * @param lines returns the text of a line by its index; undefined where there is none
 * @return {at, to, place}: the line that says it, the one to go to, and the place that it names
 */
export function nextError(lines, from, direction = 1) {
  for (let at = from; ; at += direction) {
    const text = lines(at);
    if (text === undefined) return null;
    if (!isError(text) || within(lines, at)) continue;
    const found = meant(lines, at);
    if (!repeats(lines, at, found.to)) return { at, ...found };
  }
}

/** Whether a line belongs to an error that is said above it: the last line of a traceback, what follows `E `. */
function within(lines, at) {
  const text = lines(at);
  if (/^E {3}/.test(text)) return /^E {3}/.test(lines(at - 1) ?? "");
  if (!/^\S*(?:Error|Exception|Exit|Interrupt|Warning)\b/.test(text)) return false;
  for (let above = at - 1; above >= Math.max(0, at - 200); above -= 1) {
    const line = lines(above);
    if (line === undefined) return false;
    if (TRACEBACK.test(line)) return true;
    if (line.trim() && !/^\s/.test(line)) return false;
  }
  return false;
}

/** Whether the error line before this one leads to the same line: a sum, or the words around a traceback. */
function repeats(lines, at, to) {
  for (let above = at - 1; above >= at - NEAR; above -= 1) {
    const text = lines(above);
    if (text === undefined) return false;
    if (isError(text) && !within(lines, above)) return meant(lines, above).to === to;
  }
  return false;
}

function meant(lines, at) {
  if (TRACEBACK.test(lines(at))) return lastFrame(lines, at) ?? { to: at, place: null };
  const test = /^(?:FAILED|ERROR) (\S+?)::/.exec(lines(at));
  const here = test ? { file: test[1], line: null, column: null } : place(lines(at));
  if (here) return { to: at, place: here };
  for (let near = at + 1; near <= at + AFTER; near += 1) {
    const text = lines(near);
    if (text === undefined) break;
    if (/^[_=]{4}/.test(text)) break; // another part of a report
    if (TRACEBACK.test(text)) return lastFrame(lines, near) ?? { to: at, place: null };
    const found = place(text);
    if (found) return { to: near, place: found };
    if (isError(text) && !within(lines, near)) break; // that is another one
  }
  for (let near = at - 1; near >= at - BEFORE; near -= 1) {
    const text = lines(near);
    if (text === undefined) break;
    const found = place(text);
    if (found) return { to: near, place: found };
    const above = bareFile(text, lines(at));
    if (above) return { to: at, place: above };
  }
  return { to: at, place: null };
}

/** The place of `3:5  error` below a line that is a path alone: as eslint prints it. */
function bareFile(path, text) {
  const [file, position] = [/^\/?[^\s:]+\.\w{1,5}$/.exec(path), /^\s+(\d+):(\d+)\s/.exec(text)];
  return file && position ? { file: file[0], line: Number(position[1]), column: Number(position[2]) } : null;
}

/** The last frame of the program's own files in a traceback, or else the last one. */
function lastFrame(lines, at) {
  let [own, any] = [null, null];
  for (let near = at + 1; ; near += 1) {
    const text = lines(near);
    if (text === undefined || (text.trim() && !/^[\s|]/.test(text))) break;
    const frame = FRAME.exec(text);
    if (!frame) continue;
    any = { to: near, place: { file: frame[1], line: Number(frame[2]), column: null } };
    if (!FOREIGN.test(frame[1])) own = any;
  }
  return own ?? any;
}
