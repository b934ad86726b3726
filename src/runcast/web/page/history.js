// Output that is not at hand: blocks of lines, fetched when they are looked at, the last ones of which are kept.
//
// Cursor and colours at the beginning of a block are those that the block before it leaves: each is drawn from one
// block earlier on. A colour that was set before that, and has lasted since, is not known.

import { Block, BLOCK_LINES, blockOf, firstOf } from "./blocks.js";
import { content, milliseconds, pieces } from "./chunks.js";
import { bytes as size, count, digits } from "./format.js";
import { Rows } from "./rows.js";

const KEPT = 40; // blocks
const AT_ONCE = 2; // requests
const MOST_BYTES = 8 << 20; // of output that is read for one block
const LONG = 1 << 19; // bytes in which a line feed is expected

export class History {
  #ask;
  #loaded;
  #blocks = new Map(); // by number, the least recently used first
  #wanted = []; // blocks to fetch, the most urgent last
  #busy = 0;

  /**
   * @param ask returns a promise of a poll's reply: ask({line, offset, max}), one of the first two
   * @param loaded called when a block has its rows; with an error where they could not be had
   */
  constructor(ask, loaded) {
    this.#ask = ask;
    this.#loaded = loaded;
  }

  /** A block of lines before `end`; what is not here yet has a place for each line that it should have. */
  block(number, end) {
    const last = Math.min(firstOf(number + 1), end) - 1;
    let block = this.#blocks.get(number);
    if (block && block.last < last) {
      block.forget();
      block = null;
    }
    if (!block) {
      block = new Block(number);
      block.last = last;
      block.pending = true;
      for (let line = firstOf(number); line <= last; line += 1) block.add({ line, pending: true, element: null, gone: false });
      this.#wanted.push(block);
    } else if (block.pending) {
      const at = this.#wanted.indexOf(block);
      if (at >= 0) this.#wanted.push(...this.#wanted.splice(at, 1));
    }
    this.#keep(block);
    this.#fetchNext();
    return block;
  }

  /** Keep a block that somebody else had, whole, and that is being looked at. */
  adopt(block) {
    block.last = firstOf(block.number + 1) - 1;
    this.#keep(block);
  }

  forget() {
    for (const block of this.#blocks.values()) block.forget();
    this.#blocks.clear();
    this.#wanted = [];
  }

  #keep(block) {
    this.#blocks.delete(block.number);
    this.#blocks.set(block.number, block);
    while (this.#blocks.size > KEPT) {
      const [[number, oldest]] = this.#blocks;
      oldest.forget();
      this.#blocks.delete(number);
    }
  }

  #fetchNext() {
    while (this.#busy < AT_ONCE && this.#wanted.length) {
      const block = this.#wanted.pop();
      if (this.#blocks.get(block.number) !== block) continue; // nobody looks at it any more
      this.#busy += 1;
      this.#fetch(block)
        .then((rows) => this.#fill(block, rows), (error) => this.#fail(block, error))
        .finally(() => {
          this.#busy -= 1;
          this.#fetchNext();
        });
    }
  }

  #fill(block, { places, before }) {
    for (const place of block.places) place.gone = true;
    block.places = [];
    let previous = before;
    for (const place of places) {
      block.add(place, previous);
      previous = place;
    }
    block.pending = false;
    if (this.#blocks.get(block.number) === block) this.#loaded(null);
    else block.forget();
  }

  #fail(block, error) {
    if (this.#blocks.get(block.number) === block) this.#blocks.delete(block.number);
    block.forget();
    this.#loaded(error);
  }

  /** Return the rows of a block, and the one before them. */
  async #fetch(block) {
    const [first, end] = [firstOf(block.number), block.last + 1];
    const places = [];
    const to = { append: (place) => places.push(place), remove: (place) => places.splice(places.indexOf(place), 1), changed() {}, done() {} };
    const lead = Math.max(1, first - BLOCK_LINES);
    let [next, rows, read] = [{ line: lead }, null, 0];
    do {
      const reply = await this.#ask({ ...next, max: end - (rows?.line ?? lead) });
      rows ??= new Rows(to, { line: reply.line, size: reply.columns ? { columns: reply.columns, rows: reply.rows } : null });
      const before = rows.line;
      let gap = null;
      for (const piece of pieces(reply)) {
        if (piece.resize) rows.resize(...piece.resize);
        else if (piece.channel === "gap") gap = piece;
        else rows.add(piece.channel, content(piece), milliseconds(piece));
      }
      const got = Number(reply.next) - Number(reply.offset);
      read += got;
      if (gap) {
        const after = await this.#ask({ offset: gap.next, max: 1 });
        rows.note(missing(gap, rows.line, after.line), after.line);
      } else if (reply.closed || reply.next === reply.offset) break;
      const feeds = rows.line - before;
      next = { offset: reply.next };
      if (!gap && !feeds && got > LONG) {
        rows.add(reply.chunks.at(-1).channel, "\n"); // a very long line: what is shown of it has come
        next = { line: rows.line };
      }
    } while (rows.line < end && read < MOST_BYTES);
    if (rows.line < end && read >= MOST_BYTES) {
      rows.note(`Lines ${digits(rows.line)} to ${digits(end - 1)} are too long to be shown here: the download has them`, end);
    }
    rows.flush();
    return mended(places, first, end);
  }
}

/** The rows of some lines, at least one, and what is before them. */
function mended(places, first, end) {
  let line = 0;
  for (const place of places) place.line = line = Math.max(line, place.line);
  // What is missing at the beginning is said there, too.
  const lead = places.findLast((place) => place.line < first);
  const kept = places.filter((place) => place.line >= first && place.line < end);
  if (lead?.note && kept[0]?.line !== first) {
    const last = (kept[0]?.line ?? end) - 1;
    kept.unshift({ ...lead, note: `Lines ${digits(first)} to ${digits(last)} are missing here: they were dropped at the cap on its size` });
  }
  for (const place of kept) place.line = Math.max(first, place.line);
  if (kept.length) return { places: kept, before: lead };
  const note = `Lines ${digits(first)} to ${digits(end - 1)} wrote over what stands above`;
  return { places: [{ line: first, time: null, channel: null, note, element: null, gone: false }], before: lead };
}

/** What is missing where the cap on the size of the output dropped bytes. */
export function missing(gap, from, to) {
  const lines = to > from ? `${count(to - from, "line")}, ` : "";
  return `${lines}${size(Number(gap.next) - Number(gap.offset))} of output are missing here: they were dropped at the cap on its size`;
}
