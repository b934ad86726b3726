// Going from one error of the output to the next: among the rows that are at hand, or with the server's search.

import { content } from "./chunks.js";
import { USUAL, isError, nextError } from "./errors.js";
import { digits, visible } from "./format.js";
import { withoutSequences } from "./parser.js";
import { search } from "./searching.js";

const AROUND = [6, 70]; // lines before and after an error in which its place is looked for
const FIRST_BACK = 2000; // lines that are searched before the one in sight, at first

export class Faults {
  #id;
  #output;
  #ask;
  #say;
  #last = null; // the error that was gone to: {at, line}, its line and the one at the top then
  #searching = null;

  /** @param ask returns a promise of a poll's reply from a line on. @param say called with a sentence */
  constructor(id, output, ask, say) {
    this.#id = id;
    this.#output = output;
    this.#ask = ask;
    this.#say = say;
  }

  /** Go to the next error below (1) or above (-1) what is in sight. */
  async go(direction) {
    if (this.#searching?.direction === direction) return; // it is on its way
    this.#searching?.abort();
    const ending = (this.#searching = Object.assign(new AbortController(), { direction }));
    await this.#go(direction, ending.signal);
    if (this.#searching === ending) this.#searching = null;
  }

  async #go(direction, signal) {
    const stayed = this.#last !== null && this.#last.top === this.#output.line;
    const from = stayed ? this.#last.at + direction : this.#output.line + Math.min(0, direction);
    const found = this.#output.whole ? this.#near(from, direction) : await this.#far(from, direction, signal);
    if (signal.aborted) return;
    if (!found || typeof found === "string") return this.#say(found || (direction > 0 ? "No error below." : "No error above."));
    const said = await this.#output.goTo(found.to);
    if (signal.aborted) return;
    this.#last = { at: found.at, top: this.#output.line };
    this.#output.mark("error", [...new Set([found.at, found.to])]);
    this.#say(said || `Line ${digits(found.at)}${found.place ? `: ${visible(placed(found.place))}` : ""}.`);
  }

  #near(from, direction) {
    const rows = this.#output.rows.filter((row) => !row.note);
    const texts = new Map();
    const text = (at) => {
      if (!texts.has(at)) texts.set(at, rows[at]?.row.spans().map(([one]) => one).join(""));
      return texts.get(at);
    };
    const begin = direction > 0 ? rows.findIndex((row) => row.line >= from) : rows.findLastIndex((row) => row.line <= from);
    const found = begin < 0 ? null : nextError(text, begin, direction);
    return found && { at: rows[found.at].line, to: rows[found.to].line, place: found.place };
  }

  async #far(from, direction, signal) {
    this.#say("Searching …");
    try {
      if (direction > 0) return await this.#forward(from, signal);
      for (let [end, back] = [from, FIRST_BACK]; end >= 1; [end, back] = [end - back, back * 8]) {
        const found = await this.#backward(Math.max(1, end - back + 1), end, signal);
        if (found) return found;
      }
      return null;
    } catch (error) {
      if (signal.aborted) return null;
      return `The search failed: ${error.message}.`;
    }
  }

  async #forward(from, signal) {
    const query = { q: USUAL, regex: 1, case: 0, from: Math.max(1, from), max: 1000 };
    for await (const hit of search(this.#id, query, signal)) {
      if (hit.done) return hit.stopped ? `No error up to line ${digits(hit.next - 1)}; the search stopped there.` : null;
      if (!isError(hit.text)) continue;
      const found = await this.#around(hit.line);
      if (found) return found;
    }
    return "The search broke off.";
  }

  /** The last error in some lines. */
  async #backward(from, to, signal) {
    const hits = [];
    const query = { q: USUAL, regex: 1, case: 0, from, max: 100_000 };
    for await (const hit of search(this.#id, query, signal)) {
      if (hit.done || hit.line > to) break;
      if (isError(hit.text)) hits.push(hit.line);
    }
    for (const line of hits.reverse().slice(0, 100)) {
      const found = await this.#around(line);
      if (found) return found;
    }
    return null;
  }

  /** The error that a line says, with the lines around it; null if it is a part of another one. */
  async #around(line) {
    const begin = Math.max(1, line - AROUND[0] - 20);
    const reply = await this.#ask({ line: begin, max: line - begin + AROUND[1] });
    const decoder = new TextDecoder();
    const text = reply.chunks.filter((chunk) => chunk.channel !== "gap").map(content).map((data) => (typeof data === "string" ? data : decoder.decode(data)));
    const lines = withoutSequences(text.join("")).split("\n").map((one) => one.replace(/^.*\r(?=.)/, "").replace(/\r$/, ""));
    const found = nextError((at) => lines[at], line - reply.line);
    return found?.at === line - reply.line ? { at: line, to: reply.line + found.to, place: found.place } : null;
  }
}

const placed = ({ file, line, column }) => [file, line, column].filter((part) => part !== null).join(":");
