// The output of a run on its way to what shows it: how far it has been taken, and how it goes on from there.
//
// `live.js` keeps it up to date, and decides whether it listens or polls. What it takes goes to an `Output`; the page, which
// shows the run itself, is called. Knows offsets and gaps, and no element.

import { blockOf, firstOf } from "./blocks.js";
import { pieces } from "./chunks.js";
import { missing } from "./history.js";

// Output of so many lines and bytes is fetched whole. Of more, the last lines are; what is before them when it is looked at.
const SHORT = { lines: 20000, bytes: 4 << 20 };
const LAST = [2000, 200, 20, 1]; // lines, of which not more bytes are fetched than that
// How far behind a page may be before it goes on near the end. A flood of output goes faster than it can be shown, and
// what is skipped is fetched when it is looked at.
const LAG = 8 << 20;
const LOOK = 32 << 20; // bytes after which it looks how far behind it is

const isShort = (run) => run.lines <= SHORT.lines && Number(run.tail_offset) <= SHORT.bytes;

export class Source {
  events = ["run", "state", "progress", "note", "message", "resize", "exit"];
  run = null;
  over = false;
  offset = 0;
  lines = 0;
  heard = performance.now(); // when output came last
  #api;
  #output;
  #on;
  #gap = null; // what is missing next
  #target = 0; // the offset to which it is taken before anything else
  #looked = 0; // the offset at which the tail was last requested

  /**
   * @param api the run, see `run_api.js`. @param output see `output.js`
   * @param on.run called with the run when something of it has changed, or its output is further
   * @param on.chunk called with each chunk that was taken, and the line in which it begins
   * @param on.end called with the run when all of its output is there
   * @param on.typing returns whether somebody waits for what a key does
   */
  constructor(api, output, { run, chunk = () => {}, end = () => {}, typing = () => false }) {
    this.#api = api;
    this.#output = output;
    this.#on = { run, chunk, end, typing };
  }

  /** Whether all is there that there was when it was first looked at. */
  get arrived() {
    return this.run !== null && (this.offset >= this.#target || this.over);
  }

  // What `keep` calls.

  get typing() {
    return this.#on.typing();
  }

  async look() {
    const run = await this.#api.show();
    const first = !this.run;
    if (first && run.tty) this.#output.resize(run.columns, run.rows);
    if (first) this.#target = Number(run.tail_offset);
    if (first ? !isShort(run) : Number(run.tail_offset) - this.offset > LAG) await this.#skip(run);
    if (this.#gap) await this.#cross(this.#gap);
    this.#update(run);
    // One that ended before the page was opened, and has been read to its end.
    if (this.run.closed && this.offset === Number(this.run.tail_offset)) this.#end();
  }

  async poll() {
    for (;;) {
      const answer = await this.#read();
      for (const piece of pieces(answer)) this.#piece(piece);
      if (this.#gap) await this.#cross(this.#gap);
      this.offset = Math.max(this.offset, Number(answer.next));
      this.#beside(answer);
      if (answer.closed) return this.look();
      if (answer.next === answer.offset) return;
    }
  }

  url() {
    return this.#api.events(this.offset);
  }

  behind() {
    return this.offset < Number(this.run.tail_offset) || this.run.closed;
  }

  take(name, text) {
    const value = JSON.parse(text);
    if (name === "message") {
      for (const chunk of value.chunks) this.#chunk(chunk);
      return Boolean(this.#gap) || this.offset - this.#looked > LOOK; // time to ask how far the end is
    }
    if (name === "progress") this.#beside({ progress: value });
    else if (name === "note") this.#beside({ note: value });
    else if (name === "resize") this.#piece({ resize: value });
    else if (name === "exit") {
      this.#update({ ...this.run, ...value, ended_at: value.outcome.ended_at, closed: true });
      this.#end();
    } else {
      if (name === "run" && value.columns) this.#piece({ resize: [value.columns, value.rows] }); // at this offset
      this.#update({ ...this.run, ...value });
    }
    return false;
  }

  // How it goes on.

  async #read() {
    try {
      return await this.#api.log({ offset: this.offset });
    } catch (error) {
      if (error.status !== 410) throw error;
      await this.#cross(error.problem);
      return this.#read();
    }
  }

  #piece(piece) {
    if (piece.resize) this.#output.resize(...piece.resize);
    else this.#chunk(piece);
  }

  /** Take what is beside the output: the latest of each is enough. */
  #beside({ progress = this.run.progress, waiting = this.run.waiting, note = null }) {
    const known = this.run.notes ?? [];
    const notes = note && known.every((one) => one.time !== note.time) ? [...known, note] : known;
    this.run = { ...this.run, progress, waiting, notes };
    this.#on.run(this.run);
  }

  #update(run) {
    if (run.tty) this.#output.asTerminal(!run.outcome);
    this.run = run;
    this.#looked = this.offset;
    this.#on.run(run);
  }

  /** Go on near the end: what is before it is fetched when it is looked at. */
  async #skip(run) {
    const tail = Number(run.tail_offset);
    let reply = null;
    for (const back of LAST) {
      const line = firstOf(blockOf(Math.max(1, run.lines - back + 1)));
      reply = await this.#api.log({ line: back < LAST[0] ? Math.max(line, run.lines - back + 1) : line, max: 1 });
      if (tail - Number(reply.offset) <= SHORT.bytes) break;
    }
    let partial = false;
    if (tail - Number(reply.offset) > SHORT.bytes) {
      reply = await this.#api.log({ offset: tail - SHORT.bytes, max: 1 });
      partial = true;
    }
    if (reply.columns) this.#output.resize(reply.columns, reply.rows);
    this.#output.begin(reply.line, partial);
    this.offset = Number(reply.offset);
    this.#gap = null;
  }

  #chunk(chunk) {
    const [from, to] = [Number(chunk.offset), Number(chunk.next)];
    if (to <= this.offset || this.#gap) return; // a proxy or a poll may bring what is known already
    if (chunk.channel === "gap") {
      this.#gap = chunk;
      return;
    }
    if (from < this.offset) return;
    this.offset = to;
    this.heard = performance.now();
    const line = this.#output.feeds + 1;
    this.#output.add(chunk);
    this.lines = this.#output.feeds;
    this.#on.chunk(chunk, line);
  }

  /** Go on behind what is missing; the server knows at which line. */
  async #cross(gap) {
    const after = await this.#api.log({ offset: gap.next, max: 1 });
    this.#gap = null;
    if (Number(gap.next) <= this.offset) return;
    this.#output.note(missing(gap, this.#output.feeds + 1, after.line), after.line);
    this.offset = Number(gap.next);
    this.lines = this.#output.feeds;
    if (this.run) this.#on.run(this.run);
  }

  #end() {
    if (this.over) return;
    this.over = true;
    this.#output.end();
    this.#on.end(this.run);
    this.#on.run(this.run);
    // The final numbers, which count the whole log.
    this.#api.show().then((run) => {
      this.run = run;
      this.lines = run.lines;
      this.#on.run(run);
    }, () => {});
  }
}
