// The live end of the output: its last rows, of which the oldest are let go as others come.

import { Block, blockOf, firstOf } from "./blocks.js";
import { Rows } from "./rows.js";

const MOST_ROWS = 20000; // kept
const MOST_CHARACTERS = 8 << 20;

export class Tail {
  blocks = [];
  dirty = []; // places that are shown, and have another text by now
  #rows;
  #first; // the line that it begins with
  #count = 0;
  #characters = 0;
  #drop;

  /** @param drop called with each block that is let go, and whether it has all rows of its lines */
  constructor(drop, beginning) {
    this.#drop = drop;
    this.#first = (beginning?.line ?? 1) + (beginning?.partial ? 1 : 0);
    this.#rows = new Rows(this, beginning);
  }

  /** The output goes here: `add`, `note`, `flush`, `resize`. */
  get rows() {
    return this.#rows;
  }

  /** The line of the first row that is here. Those before it are somewhere else. */
  get first() {
    return this.#first;
  }

  get last() {
    return this.blocks.at(-1)?.places.at(-1) ?? null;
  }

  /** Whether there is more than should be kept. */
  get full() {
    return this.#exceeds(1);
  }

  #exceeds(times) {
    return this.#count > MOST_ROWS * times || (this.#characters > MOST_CHARACTERS * times && this.blocks.length > 2);
  }

  /** Let go of the oldest blocks, down to so many times what should be kept. */
  trim(times = 1) {
    while (this.#exceeds(times) && this.blocks.length > 1) this.#shift();
  }

  /** Let go of everything. */
  leave() {
    while (this.blocks.length > 1) this.#shift();
    for (const block of this.blocks) block.forget();
  }

  #shift() {
    const block = this.blocks.shift();
    this.#count -= block.places.length;
    this.#characters -= block.size;
    const [next] = this.blocks;
    const whole = next.number !== block.number && this.#first <= firstOf(block.number);
    this.#first = next.number === block.number ? next.places[0].line : firstOf(next.number);
    this.#drop(block, whole);
  }

  /** The row that shows a line which is not before the first one here. */
  at(line) {
    const block = this.blocks.findLast((one) => one.places[0].line <= line) ?? this.blocks[0];
    return block?.at(line) ?? null;
  }

  // What the rows call.

  append(place) {
    const { last } = this;
    // A row is not before the one above it: several channels may begin rows in one line.
    if (last) place.line = Math.max(place.line, last.line);
    if (!last?.block.takes(place.line)) this.blocks.push(new Block(blockOf(place.line)));
    this.blocks.at(-1).add(place, last);
    this.#count += 1;
  }

  remove(place) {
    if (place.gone) return;
    const { block } = place;
    block.remove(place);
    place.element?.remove();
    this.#count -= 1;
    if (!block.places.length) this.blocks.splice(this.blocks.lastIndexOf(block), 1);
  }

  changed(place) {
    if (!place.element || place.changed) return;
    place.changed = true;
    this.dirty.push(place);
  }

  done({ block, row }) {
    block.size += row.length;
    this.#characters += row.length;
  }
}
