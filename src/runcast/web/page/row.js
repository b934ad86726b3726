// One row of cells: text, and the style of each cell where there is any. It knows columns, and no screen.
//
// A cell is one UTF-16 code unit of a string, so that writing and erasing are cuts of strings, which are cheap
// for what most rows are: written once, from left to right. Surrogates never stand alone in text, so they
// stand for what needs more: FILLER is a cell that the character before it takes as well (the second half of a wide one, the
// rest of a tab), and the others are numbers of characters that are several units long.

import { NUMBERS, PLAIN, styleOf } from "./sgr.js";

const FILLER_CODE = 0xdfff;
const FILLER = "\udfff";
const FIRST_CLUSTER = 0xd800;
const MOST_CLUSTERS = FILLER_CODE - FIRST_CLUSTER; // different ones in a row; the next are shown as U+FFFD
const SPECIAL = /[\ud800-\udfff]/g;
const TABS = /\t\udfff*/g;
export const LONGEST_ROW = 10000; // cells shown; the whole text has them all
const MOST_STYLES = 2 * LONGEST_ROW; // without a number, that a row remembers; more than it has cells

export class Row {
  text = "";
  styles = ""; // as long as the text, the code of each cell says its style; empty while all are plain
  cut = false; // whether something did not fit
  #clusters = null;
  #styles = null; // those without a number, whose codes are behind all numbers
  #special = false; // whether there are cells that stand for something else

  /** @param number the line of the run's output that first wrote here, counted in line feeds */
  constructor(number) {
    this.number = number;
  }

  get length() {
    return this.text.length;
  }

  /** Write cells from a column on; return the row. */
  write(column, cells, style) {
    if (column + cells.length > LONGEST_ROW) {
      this.cut = true;
      cells = cells.slice(0, Math.max(0, LONGEST_ROW - column));
      if (!cells) return this;
    }
    const end = column + cells.length;
    if (this.#special && column < this.text.length) {
      this.#split(column);
      this.#split(end);
    }
    if (style !== PLAIN || this.styles) {
      this.styles = over(this.styles.padEnd(this.text.length, "\0"), column, this.#unit(style).repeat(cells.length), "\0");
    }
    this.text = over(this.text, column, cells, " ");
    return this;
  }

  /** The code unit that stands for a style in this row. */
  #unit(style) {
    if (style.number !== null) return String.fromCharCode(style.number);
    this.#styles ??= [];
    let at = this.#styles.lastIndexOf(style);
    if (at < 0) {
      if (this.#styles.length >= MOST_STYLES) this.#forgetStyles();
      at = this.#styles.push(style) - 1;
    }
    return String.fromCharCode(NUMBERS + at);
  }

  #style(code) {
    return code < NUMBERS ? styleOf(code) : this.#styles[code - NUMBERS];
  }

  /** Number the styles anew, without those that no cell has any more. */
  #forgetStyles() {
    const used = [...new Set(this.styles)].filter((unit) => unit.charCodeAt(0) >= NUMBERS);
    this.#styles = used.map((unit) => this.#style(unit.charCodeAt(0)));
    const units = new Map(used.map((unit, at) => [unit, String.fromCharCode(NUMBERS + at)]));
    this.styles = this.styles.replace(/[^]/g, (unit) => units.get(unit) ?? unit);
  }

  /** Write cells of which some stand for something else: the characters that `cell` and `wide` give. */
  writeSpecial(column, cells, style) {
    this.write(column, cells, style);
    this.#special = true;
  }

  /** A character of one or two cells, which may be several code units long, as cells of this row. */
  cells(character, width) {
    return (character.length === 1 ? character : this.#cluster(character)) + FILLER.repeat(width - 1);
  }

  #cluster(character) {
    this.#clusters ??= [];
    let at = this.#clusters.indexOf(character);
    if (at < 0) {
      if (this.#clusters.length >= MOST_CLUSTERS) return "\ufffd";
      at = this.#clusters.push(character) - 1;
    }
    return String.fromCharCode(FIRST_CLUSTER + at);
  }

  /** Advance over empty cells as a tab does: what is copied from the page is a tab again. */
  tab(column, to) {
    if (this.text.length <= column && to <= LONGEST_ROW) this.writeSpecial(column, "\t" + FILLER.repeat(to - column - 1), PLAIN);
  }

  /** Erase cells; with a style they are spaces that have it, as far as `to` is known. */
  erase(from, to, style = PLAIN) {
    if (style !== PLAIN && to < Infinity) this.write(from, " ".repeat(Math.max(0, to - from)), style);
    else if (to < this.text.length) this.write(from, " ".repeat(to - from), PLAIN);
    else if (from < this.text.length) {
      if (this.#special) this.#split(from);
      this.text = this.text.slice(0, from);
      this.styles = this.styles.slice(0, from);
    }
  }

  /** Move cells right from a column on; what passes the edge is lost. */
  insert(column, count, edge, style) {
    if (column >= this.text.length) return;
    this.#replace(column, column, " ".repeat(count), style);
    this.cut ||= edge > LONGEST_ROW && this.text.length > LONGEST_ROW;
    if (this.text.length > Math.min(edge, LONGEST_ROW)) this.erase(Math.min(edge, LONGEST_ROW), Infinity);
  }

  /** Take cells out, so that those to the right move left. */
  remove(column, count) {
    if (column < this.text.length) this.#replace(column, column + count, "", PLAIN);
  }

  #replace(from, to, cells, style) {
    if (this.#special) {
      this.text = this.text.replace(TABS, (cells) => " ".repeat(cells.length)); // they stand elsewhere then
      this.#split(from);
      this.#split(to);
    }
    if (style !== PLAIN) this.styles = this.styles.padEnd(this.text.length, "\0");
    if (this.styles) this.styles = this.styles.slice(0, from) + this.#unit(style).repeat(cells.length) + this.styles.slice(to);
    this.text = this.text.slice(0, from) + cells + this.text.slice(to);
  }

  /** Break a character of several cells at a column within it: all its cells become spaces. */
  #split(column) {
    if (this.text.charCodeAt(column) !== FILLER_CODE) return;
    let [from, to] = [column, column];
    while (from > 0 && this.text.charCodeAt(from) === FILLER_CODE) from -= 1;
    while (this.text.charCodeAt(to) === FILLER_CODE) to += 1;
    this.text = this.text.slice(0, from) + " ".repeat(to - from) + this.text.slice(to);
  }

  /** The row, or a part of it, as pairs of a text and its style. */
  spans(from = 0, to = this.text.length) {
    if (!this.styles) return [[this.#decoded(this.text.slice(from, to)), PLAIN]];
    const spans = [];
    for (let start = from, end = from; start < to; start = end) {
      const code = this.styles.charCodeAt(start);
      while (end < to && this.styles.charCodeAt(end) === code) end += 1;
      const [text, style] = [this.#decoded(this.text.slice(start, end)), this.#style(code)];
      if (spans.at(-1)?.[1].equals(style)) spans.at(-1)[0] += text;
      else spans.push([text, style]);
    }
    return spans;
  }

  /** The row as spans in three parts: before the character at a column, that character, what is behind. */
  around(column) {
    const blank = " ".repeat(Math.max(0, column + 1 - this.text.length));
    if (blank) return [[...this.spans(), [blank.slice(1), PLAIN]], [[" ", PLAIN]], []];
    let [from, to] = [column, column + 1];
    while (from > 0 && this.text.charCodeAt(from) === FILLER_CODE) from -= 1;
    while (this.text.charCodeAt(to) === FILLER_CODE) to += 1;
    return [this.spans(0, from), this.spans(from, to), this.spans(to)];
  }

  #decoded(text) {
    if (!this.#special) return text;
    return text.replace(SPECIAL, (unit) => (unit === FILLER ? "" : this.#clusters[unit.charCodeAt(0) - FIRST_CLUSTER]));
  }
}

function over(old, column, cells, blank) {
  if (column === old.length) return old + cells;
  return old.slice(0, column).padEnd(column, blank) + cells + old.slice(column + cells.length);
}
