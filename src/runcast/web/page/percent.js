// How far a program is, by a percentage in its last line: `Building [ 40%]`, ` 40%|███   | 4/10`, `Receiving: 40% (4/10)`.

import { withoutSequences } from "./parser.js";

const LONGEST = 400; // characters of the last line that are looked at, from its end
// At the end of the line but for closing brackets; before a bar; before `(4/10)`.
const PERCENT = /(?:^|[^\w.,-])(\d{1,3})(?:[.,]\d+)? ?%(?=[\])}.…\s]*$|\||[\s]*\(\d+\/\d+\))/;

/** The percentage of the last line that has text, or null. */
export function percentOf(text) {
  const lines = withoutSequences(text).split(/[\r\n]+/);
  const found = PERCENT.exec(lines.findLast((line) => line.trim()) ?? "");
  const percent = found ? Number(found[1]) : null;
  return percent !== null && percent <= 100 ? percent : null;
}

/** Keeps the end of what was printed, in any pieces. */
export class Tail {
  #text = "";

  add(text) {
    this.#text = (this.#text + text.slice(-LONGEST)).slice(-LONGEST);
  }

  get percent() {
    return percentOf(this.#text);
  }
}
