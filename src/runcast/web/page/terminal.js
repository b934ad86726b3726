// What a program prints on one channel: bytes or text become characters and sequences, and those a screen.
//
// Nothing that a program prints can do more than show text: what is not here is dropped, questions to the terminal
// (which would be answered by typing) and strings to it (titles, the clipboard) above all.

import { target } from "./links.js";
import { Parser } from "./parser.js";
import { Printer } from "./printer.js";
import { LONGEST_ROW } from "./row.js";
import { Screen } from "./screen.js";
import { restyle, withLink } from "./sgr.js";

const MOST = LONGEST_ROW; // times that anything is done: no screen is larger

const CONTROLS = {
  "\b": (screen) => screen.move(-1, 0),
  "\t": (screen) => screen.tab(),
  "\n": (screen) => screen.lineFeed(),
  "\v": (screen) => screen.lineFeed(),
  "\f": (screen) => screen.lineFeed(),
  "\r": (screen) => screen.toColumn(0),
  "\u000e": (screen) => (screen.charset = 1),
  "\u000f": (screen) => (screen.charset = 0),
  "\u0084": (screen) => screen.index(),
  "\u0085": nextLine,
  "\u0088": (screen) => screen.stop(true),
  "\u008d": (screen) => screen.reverseIndex(),
};

const ESCAPES = {
  7: (screen) => screen.save(),
  8: (screen) => screen.restore(),
  D: (screen) => screen.index(),
  E: nextLine,
  H: (screen) => screen.stop(true),
  M: (screen) => screen.reverseIndex(),
  c: (screen) => {
    screen.alternate(false);
    screen.eraseDisplay(2);
    screen.reset();
  },
  "(0": (screen) => (screen.charsets = [true, screen.charsets[1]]),
  "(B": (screen) => (screen.charsets = [false, screen.charsets[1]]),
  ")0": (screen) => (screen.charsets = [screen.charsets[0], true]),
  ")B": (screen) => (screen.charsets = [screen.charsets[0], false]),
};

// Each with its first parameter as a count, which is 1 where it is missing or 0, and with all as they are.
const SEQUENCES = {
  "@": (screen, count) => screen.insertCells(count),
  A: (screen, count) => screen.move(0, -count),
  B: (screen, count) => screen.move(0, count),
  C: (screen, count) => screen.move(count, 0),
  D: (screen, count) => screen.move(-count, 0),
  E: (screen, count) => {
    screen.move(0, count);
    screen.toColumn(0);
  },
  F: (screen, count) => {
    screen.move(0, -count);
    screen.toColumn(0);
  },
  G: (screen, count) => screen.toColumn(count - 1),
  H: goTo,
  I: (screen, count) => screen.forwardTab(count),
  J: (screen, count, all) => screen.eraseDisplay(all[0]),
  K: (screen, count, all) => screen.eraseLine(all[0]),
  L: (screen, count) => screen.insertRows(count),
  M: (screen, count) => screen.insertRows(-count),
  P: (screen, count) => screen.deleteCells(count),
  S: (screen, count) => screen.scroll(count),
  T: (screen, count) => screen.scroll(-count),
  X: (screen, count) => screen.eraseCells(count),
  Z: (screen, count) => screen.backTab(count),
  "`": (screen, count) => screen.toColumn(count - 1),
  a: (screen, count) => screen.move(count, 0),
  d: (screen, count) => screen.toRow(count - 1),
  e: (screen, count) => screen.toRow(screen.y + count),
  f: goTo,
  g: (screen, count, all) => (all[0] === 0 || all[0] === 3) && screen.stop(false, all[0] === 3),
  h: (screen, count, all) => all.includes(4) && (screen.inserts = true),
  l: (screen, count, all) => all.includes(4) && (screen.inserts = false),
  r: (screen, count, all) => screen.margins(count - 1, (all[1] || MOST) - 1),
  s: (screen) => screen.save(),
  u: (screen) => screen.restore(),
};

const MODES = {
  1: (screen, on) => (screen.applicationKeys = on),
  6: (screen, on) => {
    screen.origin = on;
    screen.toColumn(0);
    screen.toRow(0);
  },
  7: (screen, on) => (screen.wraps = on),
  25: (screen, on) => (screen.cursor = on),
  47: (screen, on) => screen.alternate(on),
  1047: (screen, on) => screen.alternate(on),
  1048: (screen, on) => (on ? screen.save() : screen.restore()),
  1049: (screen, on) => {
    if (on) screen.save();
    screen.alternate(on);
    if (!on) screen.restore();
  },
  2004: (screen, on) => (screen.bracketsPastes = on),
};

function nextLine(screen) {
  screen.toColumn(0);
  screen.index();
}

function goTo(screen, count, all) {
  screen.toColumn((all[1] || 1) - 1);
  screen.toRow(count - 1);
}

/** What `url=…;content='…'` says: values in quotes may have semicolons, and a backslash is before a quote. */
function attributes(text) {
  const pairs = text.matchAll(/(\w+)=(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^;]*))/g);
  return Object.fromEntries(Array.from(pairs, ([, key, one, two, bare]) => [key, (one ?? two ?? bare).replace(/\\(.)/g, "$1")]));
}

/** The output of one channel, as it comes. */
export class Terminal {
  #decoder = new TextDecoder();
  #cutCharacter = false;
  #parser = new Parser(this);
  #printer;

  /** @param owner the one of the screen's rows; `fed(count)` is called for line feeds, and `comes(text)`, if it has that, before text is taken. @param size see `Screen` */
  constructor(owner, size) {
    this.owner = owner;
    this.screen = new Screen(owner, size);
    this.#printer = new Printer(this.screen);
  }

  /** Take bytes, of which the last character may be cut. */
  bytes(data) {
    this.#feed(this.#decoder.decode(data, { stream: true }));
    this.#cutCharacter = true;
  }

  text(text) {
    if (this.#cutCharacter) this.flush();
    this.#feed(text);
  }

  #feed(text) {
    if (text) this.owner.comes?.(text);
    this.#parser.feed(text);
  }

  /** Nothing more comes, or not what belongs to what is held back. */
  flush() {
    this.#cutCharacter = false;
    this.#feed(this.#decoder.decode());
  }

  // What the parser calls.

  print(text) {
    this.#printer.print(text);
  }

  get takesLines() {
    return this.screen.takesLines;
  }

  /** Print lines of narrow characters. */
  lines(texts) {
    this.screen.lines(texts);
    this.#printer.loosen();
  }

  control(char) {
    CONTROLS[char]?.(this.screen);
    if (char === "\n") {
      this.owner.fed(1);
      this.screen.style = withLink(this.screen.style, null); // one that is never ended would be all that follows
    }
    this.#printer.loosen();
  }

  /** Take a command for the system around a terminal: links (8) and Buildkite's (1339), whose text is within. */
  command(text) {
    const [, number, rest] = /^(\d+);(.*)$/.exec(text) ?? [];
    if (number === "8") this.screen.style = withLink(this.screen.style, target(rest.slice(rest.indexOf(";") + 1)));
    else if (number === "1339") this.#link(attributes(rest));
  }

  #link({ url, content }) {
    const style = this.screen.style;
    this.screen.style = withLink(style, target(url));
    this.#printer.print((content || url || "").replace(/[\u0000-\u001f\u007f-\u009f]/g, ""));
    this.screen.style = style;
  }

  escape(sequence) {
    ESCAPES[sequence]?.(this.screen);
    this.#printer.loosen();
  }

  csi(parameters, final, prefix, between) {
    if (final === "m" && !prefix && !between) this.screen.style = restyle(this.screen.style, parameters);
    else if (between === "!" && final === "p") this.screen.softReset();
    else if (!between) {
      const all = parameters.split(";").map((text) => Math.min(MOST, parseInt(text, 10) || 0));
      if (final === "b" && !prefix) this.#printer.repeat(all[0] || 1);
      else if (!prefix) SEQUENCES[final]?.(this.screen, all[0] || 1, all);
      else if (prefix === "?" && (final === "h" || final === "l")) for (const mode of all) MODES[mode]?.(this.screen, final === "h");
    }
    this.#printer.loosen();
  }
}
