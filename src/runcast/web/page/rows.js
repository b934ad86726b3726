// What a program printed, as rows: a terminal for each channel, and where each row stands in the run.
//
// Rows are in the order in which they were begun. Each is in a place, which is what a page shows:
//
//   line      the number of the server's line that began it, from 1, as `?line=` of the log counts (line feeds)
//   time      when it was begun, in milliseconds since the epoch; null where that is not known
//   channel   "stdout", "stderr", "data"
//   row       its text and styles (`row.js`), or
//   note      a sentence of ours, which is no output: lines that are missing
//   element   what shows it, while it is shown
//   gone      whether it is no longer part of the output that is known
//
// Channels are apart: each has a screen of its own that it writes on, so a prompt on stdout and an error in between
// stay two rows. It knows no page and no server.

import { Terminal } from "./terminal.js";

export class Rows {
  #to;
  #terminals = new Map(); // by channel
  #fed; // line feeds of all channels so far
  #partial; // the beginning of a line is missing: up to its end, nothing is shown
  #size;
  #time = null;

  /**
   * @param to takes places: append(place) one at the end, remove(place), changed(place), done(place) for one that
   *   will not change any more
   * @param line the number of the line that comes first
   * @param partial whether its beginning is missing
   * @param size the columns and rows of the run's terminal; null where it writes into pipes
   */
  constructor(to, { line = 1, partial = false, size = null } = {}) {
    this.#to = to;
    this.#fed = line - 1;
    this.#partial = partial;
    this.#size = size;
  }

  /** The number of the line that the next byte belongs to. */
  get line() {
    return this.#fed + 1;
  }

  get size() {
    return this.#size;
  }

  /** Go on in another line: those between are not of this channel. */
  seek(line) {
    this.#fed = line - 1;
  }

  /** Take output: text or bytes, and when it came. */
  add(channel, data, time = null) {
    this.#time = time;
    if (this.#partial) {
      const feed = typeof data === "string" ? data.indexOf("\n") : data.indexOf(10);
      if (feed < 0) return;
      data = data.slice(feed + 1);
      this.#fed += 1;
      this.#partial = false;
    }
    const terminal = this.terminal(channel);
    terminal.screen.forget();
    if (typeof data === "string") terminal.text(data);
    else terminal.bytes(data);
  }

  /** Say something between the rows that is not output; what goes on is below, at a line. */
  note(text, line = this.line) {
    for (const terminal of this.#terminals.values()) terminal.screen.detach();
    this.#to.append({ line: this.line, time: null, channel: null, note: text, element: null, gone: false });
    this.#fed = line - 1;
  }

  /** Nothing more comes: show what is held back of a character. */
  flush() {
    for (const terminal of this.#terminals.values()) terminal.flush();
  }

  /** Have stdout be that of a terminal with so many columns and rows. */
  resize(columns, rows) {
    if (columns === this.#size?.columns && rows === this.#size.rows) return; // each reply begins by its size
    this.#size = { columns, rows };
    this.#terminals.get("stdout")?.screen.resize(this.#size);
  }

  terminal(channel) {
    let terminal = this.#terminals.get(channel);
    if (!terminal) {
      terminal = new Terminal(this.#owner(channel), channel === "stdout" ? this.#size : null);
      this.#terminals.set(channel, terminal);
    }
    return terminal;
  }

  /** What a terminal needs: places for its rows. */
  #owner(channel) {
    const rows = this;
    const to = this.#to;
    const exact = channel === "stdout" && Boolean(this.#size);
    return {
      get line() {
        return rows.#fed;
      },
      fed: (feeds) => (this.#fed += feeds),
      add: (row) => {
        const place = { line: row.number + 1, time: this.#time, channel, row, exact, element: null, gone: false };
        to.append(place);
        return place;
      },
      remove: (places) => places.forEach((place) => to.remove(place)),
      changed: (place) => to.changed(place),
      done: (place) => to.done(place),
    };
  }
}
