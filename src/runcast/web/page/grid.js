// The rows of one channel that its screen holds: the last ones. Rows above are history and do not change.
//
// Rows come to be when somebody writes there, so that nothing is shown below the last one. They are in places that
// the owner gives, in order; scrolling within a part of the screen moves rows between places.

import { Row } from "./row.js";
import { PLAIN } from "./sgr.js";

const PIPE_ROWS = 24; // what programs assume where they get no size
const MOST_ABOVE = 200; // rows of a pipe that are in reach above its screen; at times twice as many

export class Grid {
  #owner;
  #places = []; // that hold the rows from the top on
  #above = []; // the last places over them
  #main = null; // the same of the main screen, while the alternate one is used

  /**
   * @param owner gives places: add(row) one at the end, remove(places), changed(place), done(place) for one that
   *   will not change any more, and line, the number of the run's line that comes
   * @param size the columns and rows of a terminal; none for a pipe
   */
  constructor(owner, size) {
    this.#owner = owner;
    this.pipe = !size;
    this.columns = size ? size.columns : Infinity;
    this.rows = size ? size.rows : PIPE_ROWS;
  }

  /** How many rows there are, from the top on. */
  get height() {
    return this.#places.length;
  }

  /** The row `y`, to be written; those above it are made, too. A new one has the background of a style. */
  row(y, style = PLAIN) {
    while (this.#places.length <= y) this.#places.push(this.#owner.add(this.#blank(style)));
    const place = this.#places[y];
    this.#owner.changed(place);
    return place.row;
  }

  /** Make rows of lines below all others, and scroll what is then too much: the last row of the screen is free. */
  append(texts, style) {
    const first = this.#owner.line;
    this.#places.push(...texts.map((text, at) => this.#owner.add(new Row(first + at).write(0, text, style))));
    this.#owner.fed(texts.length);
    const gone = this.#places.splice(0, Math.max(0, this.height - this.rows + 1));
    for (const place of gone) this.#owner.done(place);
    this.#above = [...this.#above, ...gone].slice(-2 * MOST_ABOVE);
  }

  blank(from, to, style) {
    const end = style !== PLAIN && !this.pipe ? to : Math.min(to, this.height);
    for (let y = from; y < end; y += 1) {
      this.row(y);
      this.#places[y].row = this.#blank(style);
    }
  }

  #blank(style) {
    const row = new Row(this.#owner.line);
    if (style !== PLAIN) row.erase(0, this.columns, style);
    return row;
  }

  /** Begin anew below: what is there becomes history. */
  detach() {
    for (const place of this.#places) this.#owner.done(place);
    [this.#places, this.#above] = [[], []];
  }

  /** Forget places that the owner no longer shows; return how many. */
  forget() {
    const gone = this.#places.findLastIndex((place) => place.gone) + 1;
    if (gone) {
      this.#places.splice(0, gone);
      this.#above = [];
    }
    return gone;
  }

  /** Take so many rows back that went off the top of a pipe's screen, if there are as many; say whether. */
  takeBack(count) {
    if (!this.pipe || count > this.#above.length) return false;
    this.#places.unshift(...this.#above.splice(-count));
    this.rows += count;
    return true;
  }

  /** Make room at `bottom`; what leaves at the top of the screen is history from then on. */
  scroll(top, bottom, style) {
    if (top || this.#main) {
      this.rotate(top, bottom, 1, style);
      return;
    }
    const last = this.height;
    if (last > bottom + 1) {
      this.row(last);
      this.rotate(bottom + 1, last, -1, style);
    }
    const place = this.#places.shift();
    this.#owner.done(place);
    if (this.pipe && this.#above.push(place) >= 2 * MOST_ABOVE) this.#above = this.#above.slice(-MOST_ABOVE);
    if (style !== PLAIN) this.row(bottom, style);
  }

  /** Move rows up, or down by a negative count; what goes out is lost, and what comes in is blank. */
  rotate(from, to, count, style) {
    if (from >= this.height) return;
    const last = Math.min(to, this.height - 1 + Math.max(0, -count));
    this.row(last);
    const rows = this.#places.slice(from, last + 1).map((place) => place.row);
    for (let at = 0; at < rows.length; at += 1) {
      this.row(from + at);
      this.#places[from + at].row = rows[at + count] ?? this.#blank(style);
    }
  }

  /** The place of row `y`, which is made where there is none. */
  place(y) {
    this.row(y);
    return this.#places[y];
  }

  /**
   * Give a terminal another size; return how many rows left at the top for the one of the cursor, `y`, to stay.
   *
   * What does not fit any more is history; of the alternate screen it is lost. Rows are not wrapped anew.
   */
  resize(columns, rows, y) {
    this.columns = columns;
    this.rows = rows;
    const over = Math.max(0, y - rows + 1);
    const gone = this.#places.splice(0, over);
    const below = this.#places.splice(rows);
    if (this.alternate) {
      this.#owner.remove([...gone, ...below]);
      const [main] = this.#main;
      for (const place of main.splice(0, main.length - rows)) this.#owner.done(place);
    } else {
      for (const place of gone) this.#owner.done(place);
      this.#owner.remove(below);
    }
    return over;
  }

  get alternate() {
    return Boolean(this.#main);
  }

  /** Use the alternate screen, which is blank at first and gone at its end. */
  set alternate(on) {
    if (on === this.alternate) return;
    if (on) {
      this.#main = [this.#places, this.#above];
      [this.#places, this.#above] = [[], []];
    } else {
      this.#owner.remove(this.#places);
      [this.#places, this.#above] = this.#main;
      this.#main = null;
    }
  }
}
