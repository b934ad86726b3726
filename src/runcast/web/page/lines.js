// The whole output as rows in order: the live tail, and before it history, which is fetched where it is looked at.

import { blockOf } from "./blocks.js";
import { History } from "./history.js";
import { Tail } from "./tail.js";

export class Lines {
  #history;
  #tail;
  #size = null;
  hides = () => null; // what is out of sight around a line, [from, to]

  /** @param ask see `History`. @param loaded called when rows that were fetched are there */
  constructor(ask, loaded) {
    this.#history = new History(ask, loaded);
    this.begin();
  }

  /** Have the tail begin at a line; all that stands before it is history. */
  begin({ line = 1, partial = false } = {}) {
    this.#tail?.leave();
    this.#tail = new Tail((...block) => this.#leave(...block), { line, partial, size: this.#size });
  }

  /** Forget everything. */
  clear() {
    this.#history.forget();
    this.begin();
  }

  /** What leaves the tail is kept while it is on the page. */
  #leave(block, whole) {
    if (whole && block.places.some((place) => place.element)) this.#history.adopt(block);
    else block.forget();
  }

  get tail() {
    return this.#tail;
  }

  resize(columns, rows) {
    this.#size = { columns, rows };
    this.#tail.rows.resize(columns, rows);
  }

  /** How many lines there are: line feeds, and the beginning of another line. */
  get total() {
    const { rows, last } = this.#tail;
    return Math.max(1, last?.line === rows.line ? rows.line : rows.line - 1);
  }

  /** Whether all of it is at hand. */
  get whole() {
    return this.#tail.first === 1;
  }

  get last() {
    const last = this.#lastOfAll;
    return last && this.hides(last.line) ? this.before(last) : last;
  }

  get #lastOfAll() {
    return this.#tail.last ?? (this.whole ? null : this.#history.block(blockOf(this.#tail.first - 1), this.#tail.first).places.at(-1));
  }

  /** The row that shows a line, or stands for it; of one out of sight the row above. */
  at(line) {
    const place = this.#at(line);
    return place && this.hides(place.line) ? this.before(place) ?? place : place;
  }

  #at(line) {
    line = Math.max(1, Math.min(line, this.total));
    if (line >= this.#tail.first && this.#tail.last) return this.#tail.at(line);
    if (this.whole) return null;
    return this.#history.block(blockOf(Math.min(line, this.#tail.first - 1)), this.#tail.first).at(line);
  }

  /** The row in sight below another; null below the last one. */
  after(place) {
    let next = this.next(place);
    for (let span; next && (span = this.hides(next.line)); ) next = span[1] >= this.total ? null : this.next(this.#last(span[1], next));
    return next;
  }

  /** The row in sight above another; null above the first one. */
  before(place) {
    let next = this.previous(place);
    for (let span; next && (span = this.hides(next.line)); ) next = span[0] <= 1 ? null : this.previous(this.#at(span[0]));
    return next;
  }

  /** The last row of a line, or of those before it. */
  #last(line, least) {
    let place = this.#at(line);
    if (!place || place.line < least.line) place = least;
    for (let next = this.next(place); next && next.line <= line; next = this.next(place)) place = next;
    return place;
  }

  /** The row below another, whether it is in sight or not. */
  next(place) {
    const { block } = place;
    const at = block.places.lastIndexOf(place);
    if (at + 1 < block.places.length) return block.places[at + 1];
    const { blocks, first } = this.#tail;
    const own = blocks.lastIndexOf(block);
    if (own >= 0) return blocks[own + 1]?.places[0] ?? null;
    const next = blockOf(block.last + 1);
    if (block.last + 1 < first) return this.#history.block(next, first).places[0];
    return blocks[0]?.places[0] ?? null;
  }

  /** The row above another, whether it is in sight or not. */
  previous(place) {
    const { block } = place;
    const at = block.places.indexOf(place);
    if (at > 0) return block.places[at - 1];
    const { blocks, first } = this.#tail;
    const own = blocks.lastIndexOf(block);
    if (own > 0) return blocks[own - 1].places.at(-1);
    const number = own < 0 ? block.number - 1 : blockOf(first - 1);
    return number < 0 || (own === 0 && this.whole) ? null : this.#history.block(number, first).places.at(-1);
  }
}
