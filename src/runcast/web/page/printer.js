// Printing characters on a screen, at its cursor: into cells, over the last column to the next row, and together
// with marks that come later. Text may come in any pieces and gives the same.

import { clusters, isNarrow, runs, widthOf } from "./width.js";

const LONGEST_CLUSTER = 64; // code units; marks without end would all go into one cell
// The set of line drawing of the DEC terminals, from ` to ~.
const DRAWING = "◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·";
const drawn = (text) => text.replace(/[`-~]/g, (char) => DRAWING[char.charCodeAt(0) - 96]);

export class Printer {
  #screen;
  // What was printed last, while the cursor is right behind it: marks that follow join it.
  #run = ""; // characters of one cell each
  #cell = null; // or one of any width: its text, the cluster at its end, its width, whether it takes no more

  constructor(screen) {
    this.#screen = screen;
  }

  print(text) {
    if (this.#screen.charsets[this.#screen.charset]) text = drawn(text);
    if (isNarrow(text)) {
      this.#narrow(text);
      return;
    }
    for (const [width, run] of runs(text)) {
      if (width === 1) this.#narrow(run);
      else if (width === 2) for (const character of run) this.#put(character, character, 2);
      else this.#join(run);
    }
  }

  #narrow(text) {
    const screen = this.#screen;
    for (let rest = text; rest; ) {
      if (screen.x >= screen.columns && !screen.wrap()) rest = rest.slice(-1); // the others are written over
      const part = rest.slice(0, screen.columns - screen.x);
      const row = this.#room(part.length);
      row.write(screen.x, part, screen.style);
      screen.x += part.length;
      rest = rest.slice(part.length);
    }
    this.#run = text;
    this.#cell = null;
  }

  /** The row at the cursor, with room for more cells where what is written moves the rest. */
  #room(cells) {
    const row = this.#screen.row();
    if (this.#screen.inserts) row.insert(this.#screen.x, cells, this.#screen.columns, this.#screen.style);
    return row;
  }

  /** Print a character that takes cells of its own; `tail` is the cluster that it ends with. */
  #put(text, tail, width) {
    const screen = this.#screen;
    this.#run = "";
    this.#cell = { text, tail, width };
    if (screen.x + width > screen.columns && !screen.wrap() && width === 2) return;
    const row = this.#room(width);
    row.writeSpecial(screen.x, row.cells(text, width), screen.style);
    screen.x += width;
  }

  /** Print clusters of several code points, of which the first may join what stands before the cursor. */
  #join(text) {
    if (this.#run) this.#cell = { text: this.#run.at(-1), tail: this.#run.at(-1), width: 1 };
    this.#run = "";
    const before = this.#cell?.tail ?? "";
    let joins = before.length; // that much of the first cluster stands there
    for (const cluster of clusters(before + text)) {
      const first = String.fromCodePoint(cluster.codePointAt(0)).toWellFormed();
      if (joins) this.#extend(cluster.slice(joins), cluster);
      else if (this.#cell && !widthOf(cluster)) this.#extend(cluster, cluster);
      else {
        // By its first code point, as it would be if the others came later.
        this.#put(first, first, Math.max(1, widthOf(first)));
        this.#extend(cluster.slice(first.length), cluster);
      }
      joins = 0;
    }
  }

  /** Put more into the cell before the cursor, which may need a second one then. */
  #extend(text, tail) {
    const [cell, screen] = [this.#cell, this.#screen];
    if (!text) return;
    cell.tail = tail.slice(-LONGEST_CLUSTER);
    if (cell.text.length + text.length > LONGEST_CLUSTER) {
      if (cell.full) return;
      cell.full = true;
      text = text.slice(0, LONGEST_CLUSTER - cell.text.length).replace(/[\ud800-\udbff]$/, "");
    }
    cell.text += text;
    const column = screen.x - cell.width;
    const widens = cell.width === 1 && widthOf(cell.text) === 2 && screen.x < screen.columns;
    const row = widens ? this.#room(1) : screen.row();
    if (widens) {
      cell.width = 2;
      screen.x += 1;
    }
    row.writeSpecial(column, row.cells(cell.text, cell.width), screen.style);
  }

  /** Print the last character again, so many times; not more than a screen is large. */
  repeat(count) {
    count = Math.min(count, this.#screen.size);
    if (this.#run) this.print(this.#run.at(-1).repeat(count));
    else if (this.#cell) for (let { text } = this.#cell; count > 0; count -= 1) this.print(text);
  }

  /** What comes next does not join what was printed. */
  loosen() {
    this.#run = "";
    this.#cell = null;
  }
}
