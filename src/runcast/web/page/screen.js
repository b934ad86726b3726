// The screen of one channel: a cursor that goes about in its last rows, and what it does there.
//
// Two kinds. A terminal has a number of columns and rows that its program knows: lines wrap, and erasing erases. A
// pipe has neither: lines have no end, a line feed begins the next one at its beginning, and what a program clears
// stays above as history.
//
// Behaves as xterm.js does, unless docs/explanation/page.md says otherwise.

import { Grid } from "./grid.js";
import { PLAIN } from "./sgr.js";

const TAB = 8;

export class Screen {
  x = 0; // behind the last column while a character there waits for the next one to wrap
  y = 0;
  style = PLAIN;
  #grid;
  #saved = null;
  #savedOfMain = null; // while the alternate screen is used, with its margins

  /** @param owner see `Grid`. @param size the columns and rows of a terminal; none for a pipe */
  constructor(owner, size = null) {
    this.#grid = new Grid(owner, size);
    this.pipe = this.#grid.pipe;
    this.columns = this.#grid.columns;
    this.reset();
  }

  reset() {
    this.softReset();
    this.x = this.y = 0;
    this.bracketsPastes = false; // the program learns where a paste begins and ends
    this.stops = null; // the columns of tab stops, where they are not every eight
  }

  softReset() {
    this.style = PLAIN;
    this.wraps = true; // at the last column, to the next row
    this.inserts = false; // what is written moves the rest of its row
    this.origin = false; // rows are counted from the top margin
    this.charsets = [false, false]; // whether G0 and G1 are the set of line drawing
    this.charset = 0;
    this.cursor = true; // is shown
    this.applicationKeys = false; // cursor keys are sent as the application wants them
    this.#saved = null;
    [this.top, this.bottom] = [0, this.#grid.rows - 1]; // of the rows that scroll
  }

  /** How many cells there are. */
  get size() {
    return this.columns * this.#grid.rows;
  }

  /** Give a terminal another size. Rows keep what is beyond their new end, until that is erased. */
  resize({ columns, rows }) {
    if (this.pipe) return;
    const cut = (saved) => saved && { ...saved, x: Math.min(saved.x, columns - 1), y: Math.min(saved.y, rows - 1) };
    this.y -= this.#grid.resize(columns, rows, this.y);
    this.x = Math.min(this.x, columns - 1);
    this.columns = columns;
    [this.top, this.bottom] = [0, rows - 1];
    this.#saved = cut(this.#saved);
    if (this.#savedOfMain) this.#savedOfMain = [cut(this.#savedOfMain[0]), 0, rows - 1];
  }

  /** Where the cursor is to be seen: the place of its row, made if need be, and its column; null while it is hidden. */
  get shownCursor() {
    return this.cursor ? { place: this.#grid.place(this.y), column: this.#column(this.x) } : null;
  }

  /** The row at the cursor, to be written. */
  row() {
    return this.#grid.row(this.y);
  }

  /** Begin anew below: the cursor cannot go back to what is there. */
  detach() {
    this.#grid.detach();
    this.x = this.y = 0;
  }

  /** Forget rows that the owner no longer shows. */
  forget() {
    this.y = Math.max(0, this.y - this.#grid.forget());
  }

  // Moving the cursor.

  /** Go to the next row, as the next character has no room; false where it stays in the last column. */
  wrap() {
    if (!this.wraps) {
      this.x = this.columns - 1;
      return false;
    }
    if (this.x < this.columns) this.row().erase(this.x, this.columns);
    this.x = 0;
    this.index();
    return true;
  }

  lineFeed() {
    if (this.pipe) this.x = 0;
    this.index();
  }

  /** Whether lines can be written at once: on a pipe, below all others, with nothing set that makes more of them. */
  get takesLines() {
    if (this.x || !this.pipe || this.y !== this.#grid.height) return false;
    const whole = !this.top && this.bottom === this.#grid.rows - 1;
    return whole && !this.style.link && !this.#grid.alternate && !this.inserts && !this.charsets[this.charset];
  }

  /** Write lines of narrow characters. */
  lines(texts) {
    this.#grid.append(texts, this.style);
    this.y = this.#grid.height;
  }

  index() {
    this.row(); // an empty line is a line
    this.x = this.#column(this.x);
    if (this.y === this.bottom) this.#grid.scroll(this.top, this.bottom, this.style.erased);
    else if (this.y < this.#grid.rows - 1) this.y += 1;
  }

  reverseIndex() {
    this.x = this.#column(this.x);
    if (this.y === this.top) this.#grid.rotate(this.top, this.bottom, -1, this.style.erased);
    else if (this.y > 0) this.y -= 1;
  }

  /** Move within the row and to another, but not beyond a margin from within. */
  move(columns, rows) {
    this.x = this.#column(this.#column(this.x) + columns);
    if (!rows) return;
    const beyond = -(this.y + rows);
    if (beyond > 0 && this.top === 0 && this.#grid.takeBack(beyond)) {
      this.y += beyond;
      this.bottom += beyond;
    }
    const [low, high] = [this.y >= this.top ? this.top : 0, this.y <= this.bottom ? this.bottom : this.#grid.rows - 1];
    this.y = Math.min(high, Math.max(low, this.y + rows));
  }

  /** Go to a column, from 0. */
  toColumn(x) {
    this.x = this.#column(x);
  }

  /** Go to a row of the screen, from 0; with an origin, to one between the margins. */
  toRow(y) {
    this.x = this.#column(this.x);
    this.y = this.origin ? Math.min(this.bottom, this.top + y) : Math.min(this.#grid.rows - 1, y);
  }

  #column(x) {
    return Math.min(this.columns - 1, Math.max(0, x));
  }

  /** What a tab goes over stays a tab where it is one on the page, too. */
  tab() {
    const from = this.x;
    this.forwardTab(1);
    if (this.x > from && this.x === from - (from % TAB) + TAB) this.row().tab(from, this.x);
  }

  forwardTab(count) {
    for (; count > 0 && this.x < this.columns - 1; count -= 1) {
      const next = this.stops ? this.stops.find((stop) => stop > this.x) : this.x - (this.x % TAB) + TAB;
      this.x = this.#column(next ?? Infinity);
    }
  }

  backTab(count) {
    for (; count > 0 && this.x > 0 && this.x < this.columns; count -= 1) {
      if (this.stops) this.x = this.stops.findLast((stop) => stop < this.x) ?? 0;
      else this.x -= this.x % TAB || TAB;
    }
  }

  /** Set or clear the tab stop in this column, or clear all. */
  stop(sets, all = false) {
    if (this.pipe) return; // without end, all are every eight columns
    this.stops ??= Array.from({ length: Math.ceil(this.columns / TAB) }, (_, at) => at * TAB);
    this.stops = all ? [] : this.stops.filter((stop) => stop !== this.x);
    if (sets) this.stops = [...this.stops, this.x].sort((a, b) => a - b);
  }

  save() {
    const { x, y, style, charsets, charset } = this;
    this.#saved = { x, y, style, charsets, charset };
  }

  restore() {
    const { x, y, style, charsets, charset } = this.#saved ?? { x: 0, y: 0, style: PLAIN, charsets: [false, false], charset: 0 };
    Object.assign(this, { x: this.#column(x), y: Math.min(y, this.#grid.rows - 1), style, charsets, charset });
  }

  // Erasing and scrolling.

  /** Set the rows that scroll; the cursor goes home. */
  margins(top, bottom) {
    bottom = Math.min(bottom, this.#grid.rows - 1);
    if (top >= bottom) return;
    [this.top, this.bottom, this.x] = [top, bottom, 0];
    this.toRow(0);
  }

  eraseLine(what) {
    if (what === 0) this.#erase(this.x, this.columns);
    else if (what === 1) this.#erase(0, this.x + 1);
    else if (what === 2) this.#erase(0, this.columns);
  }

  eraseCells(count) {
    this.x = this.#column(this.x);
    this.#erase(this.x, Math.min(this.columns, this.x + count));
  }

  #erase(from, to) {
    const style = this.style.erased;
    if (style === PLAIN && this.y >= this.#grid.height) return;
    this.row().erase(from, to, style);
    // What was there when the screen was wider goes, too.
    if (to === this.columns) this.row().erase(style === PLAIN ? from : to, Infinity);
  }

  eraseDisplay(what) {
    const { rows, alternate } = this.#grid;
    if (what === 2 && this.pipe && !alternate) {
      this.#grid.detach();
      this.y = 0;
    } else if (what === 2) this.#grid.blank(0, rows, this.style.erased);
    else if (what === 0) {
      this.eraseLine(0);
      this.#grid.blank(this.y + 1, rows, this.style.erased);
    } else if (what === 1) {
      this.#grid.blank(0, this.y, this.style.erased);
      this.eraseLine(1);
    }
  }

  insertCells(count) {
    this.x = this.#column(this.x);
    if (this.y < this.#grid.height) this.row().insert(this.x, count, this.columns, this.style.erased);
  }

  deleteCells(count) {
    this.x = this.#column(this.x);
    if (this.y < this.#grid.height) this.row().remove(this.x, count);
  }

  /** Insert rows at the cursor, or delete them by a negative count. */
  insertRows(count) {
    if (this.y < this.top || this.y > this.bottom) return;
    this.#grid.rotate(this.y, this.bottom, -count, this.style.erased);
    this.x = 0;
  }

  /** Scroll what is between the margins: up by a positive count. Nothing of it becomes history. */
  scroll(count) {
    this.#grid.rotate(this.top, this.bottom, count, this.style.erased);
  }

  /** Use the alternate screen, which has margins and a saved cursor of its own, or the main one again. */
  alternate(on) {
    if (on === this.#grid.alternate) return;
    this.#grid.alternate = on;
    if (on) {
      this.#savedOfMain = [this.#saved, this.top, this.bottom];
      [this.#saved, this.top, this.bottom] = [null, 0, this.#grid.rows - 1];
    } else [this.#saved, this.top, this.bottom] = this.#savedOfMain;
  }
}
