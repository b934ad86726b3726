// The rows of one channel alone: the last of them, wherever in a long output they are.
//
// A long output is known by its lines, of which those of one channel may be few and far between. So they are fetched
// by themselves; the server says in which line each piece of them begins.

import { content, milliseconds, pieces } from "./chunks.js";
import { Tail } from "./tail.js";

const LAST = 5000; // lines

export class OneChannel {
  #ask;
  #channel;
  #offset = 0; // to which it is there
  #waiting = []; // chunks that came meanwhile, with their lines
  #ready = false;
  #tail = new Tail((block) => block.forget(), {});

  /** @param ask see `History` */
  constructor(channel, ask) {
    this.#ask = ask;
    this.#channel = channel;
  }

  get tail() {
    return this.#tail;
  }

  get last() {
    return this.#tail.last;
  }

  /** The row that shows a line, or the last one before it. */
  at(line) {
    return this.#tail.at(line);
  }

  /** Fetch the last rows, or go on behind what is there. */
  async load(from = { tail: LAST }) {
    for (;;) {
      const reply = await this.#ask({ ...from, channel: this.#channel });
      if (from.tail && Number(reply.offset)) this.#tail.rows.note("Earlier lines are not shown here: the download has them", reply.line);
      for (const piece of pieces(reply)) if (piece.channel === this.#channel) this.#take(piece, piece.line);
      this.#offset = Number(reply.next);
      if (reply.closed || reply.next === reply.offset) break;
      from = { offset: reply.next };
    }
    this.#ready = true;
    for (const [chunk, line] of this.#waiting.splice(0)) this.add(chunk, line);
  }

  /** Take a chunk of the live output, which begins in a line. */
  add(chunk, line) {
    if (chunk.channel !== this.#channel) return;
    if (!this.#ready) this.#waiting.push([chunk, line]);
    else if (Number(chunk.offset) >= this.#offset) this.#take(chunk, line);
    else if (Number(chunk.next) > this.#offset) {
      this.#ready = false; // a part of it is there
      this.load({ offset: this.#offset }).catch(() => {});
    }
    this.#tail.trim();
  }

  #take(piece, line) {
    this.#tail.rows.seek(line);
    this.#tail.rows.add(piece.channel, content(piece), milliseconds(piece));
  }
}
