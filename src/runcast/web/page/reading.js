// What helps to read the output: groups, annotations, errors, lines of loggers, a percentage in the last line.
//
// Takes the output as it comes, beside what shows it. Knows which of these there are, and what they need.

import { Annotations } from "./annotations.js";
import { Faults } from "./faults.js";
import { count, digits } from "./format.js";
import { Grouping } from "./grouping.js";
import { Groups, HEADED, MARKED } from "./groups.js";
import { Logs } from "./logs.js";
import { because } from "./api.js";
import { $, busy } from "./parts.js";
import { Tail } from "./percent.js";
import { search } from "./searching.js";

const MOST_MARKS = 20_000; // that are searched for in a long output

export class Reading {
  #output;
  #grouping;
  #annotations;
  #buildkite;
  #tail = new Tail();
  #came = null; // what has come since marks are searched for
  #from = null; // the line from which on groups are known

  /**
   * @param ask returns a promise of a poll's reply from a line on. @param say called with a sentence
   * @param options.buildkite whether `---`, `+++` and `~~~` begin groups
   * @param options.mayFold returns whether groups may fold by themselves now
   */
  constructor(id, output, ask, say, { buildkite, mayFold }) {
    this.#output = output;
    this.#buildkite = buildkite;
    this.#grouping = new Grouping(output, $("lines-here"), { buildkite, mayFold, updated: () => this.#annotations.update() });
    this.#annotations = new Annotations(this.#grouping.groups);
    new Logs(output, say);
    const faults = new Faults(id, output, ask, say);
    $("find-groups").addEventListener("click", () => busy($("find-groups"), () => this.#find(id, say)));
    $("next-error").addEventListener("click", () => faults.go(1));
    $("previous-error").addEventListener("click", () => faults.go(-1));
  }

  /** How many percent are done, by the last line; null where it says nothing of that. */
  get percent() {
    return this.#tail.percent;
  }

  /** Take output that comes next, when it came, in milliseconds, and the line in which it begins. */
  add(channel, data, time, line) {
    const text = this.#grouping.add(channel, data, time, line);
    this.#tail.add(text);
    this.#from ??= line;
    this.#came?.push([channel, text, line, time === null ? null : time / 1000]);
    $("find-groups").hidden = this.#from === 1;
  }

  /** Find the groups of all of the output, of which only the end has come, by their marks. */
  async #find(id, say) {
    this.#came = [];
    const [groups, known] = [this.#grouping.empty(), this.#output.feeds];
    const q = this.#buildkite ? `${MARKED}|${HEADED}` : MARKED;
    let end = null;
    try {
      for await (const hit of search(id, { q, regex: 1, case: 0, max: MOST_MARKS })) {
        if (hit.done) end = hit;
        else if (hit.line <= known) groups.add(hit.channel, `${Groups.marked(hit.text)}\n`, hit.line, hit.time);
      }
      for (const piece of this.#came) groups.add(...piece);
      groups.all.push(...this.#grouping.groups.all.filter(({ dialect }) => dialect === "trace")); // their lines have no marks
    } catch (error) {
      return say(because(error));
    } finally {
      this.#came = null;
    }
    this.#from = 1;
    $("find-groups").hidden = true;
    this.#output.relayout(() => {
      this.#grouping.take(groups);
      this.#annotations.take(groups);
      this.#grouping.update();
    });
    const some = `${count(groups.all.length, "group")}.`;
    say(end?.stopped ? `${some} The search for more stopped at line ${digits(end.next)}.` : some);
  }

  end(failed) {
    this.#grouping.end(failed);
  }
}
