// What the page's terminal and xterm.js make of the same bytes: the rows of both, as text.

import headless from "@xterm/headless";
import { PLAIN, restyle, rgbOf } from "../../src/runcast/web/page/sgr.js";
import { Terminal } from "../../src/runcast/web/page/terminal.js";

/** A terminal of the page whose rows are kept in a list, as the page keeps them in elements. */
export class Ours {
  places = [];
  line = 0;

  constructor(size) {
    this.terminal = new Terminal(this, size);
    this.main = null; // how many rows the main screen has, while the alternate one is used
    const { screen } = this.terminal;
    const alternate = screen.alternate.bind(screen);
    screen.alternate = (on) => {
      alternate(on);
      this.main = on ? this.main ?? this.places.length : null;
    };
  }

  add(row) {
    const place = { row };
    this.places.push(place);
    return place;
  }

  remove(places) {
    this.places = this.places.filter((place) => !places.includes(place));
  }

  changed() {}

  done() {}

  fed(feeds) {
    this.line += feeds;
  }

  /** The rows as text: of the main screen and of the alternate one. */
  rows() {
    const rows = this.places.map(({ row }) => row.spans().map(([text]) => text).join(""));
    return this.main === null ? [rows] : [rows.slice(0, this.main), rows.slice(this.main)];
  }
}

/** The rows with the names of their styles, and the lines that began them. */
export const spans = (ours) =>
  ours.places.map(({ row }) => ({
    line: row.number,
    spans: row.spans().map(([text, style]) => [text, named(style)]),
    links: row.spans().filter(([, style]) => style.link).map(([text, style]) => [text, style.link]),
  }));

/** A style in words: its flags and its colours, as numbers of the palette or as red, green and blue. */
const named = (style) => [...style.names, ...colour("fg", style.fg), ...colour("bg", style.bg)].join(" ");

function colour(ground, value) {
  const rgb = rgbOf(value);
  if (rgb) return [`${ground}#${rgb.map((part) => part.toString(16).padStart(2, "0")).join("")}`];
  return value ? [`${ground}${value - 1}`] : [];
}

/** The same of xterm.js; it is asked for its main screen and history, or for the alternate screen. */
export class Xterm {
  #decoder = new TextDecoder(); // its own loses U+2010 and others where writes end within them

  constructor(options) {
    this.terminal = new headless.Terminal({ allowProposedApi: true, scrollback: 1e6, ...options });
  }

  bytes(data) {
    this.terminal._core.writeSync(this.#decoder.decode(data, { stream: true })); // `write` gives way between pieces
  }

  rows() {
    const { normal, active } = this.terminal.buffer;
    const text = (buffer) => Array.from({ length: buffer.length }, (_, at) => buffer.getLine(at).translateToString(true));
    return active === normal ? [text(normal)] : [text(normal), text(active)];
  }

  /** The rows of the screen in use as spans, with the same words for styles. */
  spans() {
    const { active } = this.terminal.buffer;
    return Array.from({ length: active.length }, (_, y) => {
      const row = [];
      for (let x = 0; x < this.terminal.cols; x += 1) {
        const cell = active.getLine(y).getCell(x);
        if (cell.getWidth()) append(row, cell.getChars() || " ", words(cell));
      }
      return row;
    });
  }
}

const FLAGS = { isBold: "bold", isDim: "dim", isItalic: "italic", isUnderline: "underline", isStrikethrough: "strike", isInverse: "inverse", isOverline: "overline" };

function words(cell) {
  const value = (rgb, palette, number) => (rgb ? RGB + number : palette ? restyle(PLAIN, `38;5;${number}`).fg : 0);
  const names = Object.keys(FLAGS).filter((flag) => cell[flag]()).map((flag) => FLAGS[flag]);
  const fg = value(cell.isFgRGB(), cell.isFgPalette(), cell.getFgColor());
  const bg = value(cell.isBgRGB(), cell.isBgPalette(), cell.getBgColor());
  return [...names, ...colour("fg", fg), ...colour("bg", bg)].join(" ");
}
const RGB = 1 << 24;

function append(row, text, style) {
  if (row.at(-1)?.[1] === style) row.at(-1)[0] += text;
  else row.push([text, style]);
}

/** Rows of spans as they are compared: see `comparable`. */
export function comparableSpans(rows) {
  const plain = rows.map((spans) => {
    const row = [];
    let column = 0;
    for (const [text, style] of spans) {
      const cells = expand(text, column);
      column += cells.width;
      append(row, cells.text, style);
    }
    if (row.at(-1)?.[1] === "") row.push([row.pop()[0].trimEnd(), ""]);
    return row.filter(([text]) => text);
  });
  while (plain.length && !plain.at(-1).length) plain.pop();
  return plain;
}

/** Rows as they are compared: a tab is the spaces that it stands for; spaces at the end and empty rows below are none. */
export function comparable(screens) {
  return screens.map((rows) => {
    const plain = rows.map((row) => expand(row).text.trimEnd());
    while (plain.length && !plain.at(-1)) plain.pop();
    return plain;
  });
}

function expand(row, column = 0) {
  let text = "";
  const from = column;
  for (const char of row) {
    const width = char === "\t" ? 8 - (column % 8) : wide.test(char) ? 2 : mark.test(char) ? 0 : 1;
    text += char === "\t" ? " ".repeat(width) : char;
    column += width;
  }
  return { text, width: column - from };
}
const mark = /\p{Mn}/u;
const wide = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/;
