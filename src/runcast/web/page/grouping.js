// The groups of an output as it comes: found in it, and folded where it is shown.

import { Folds } from "./folds.js";
import { Groups } from "./groups.js";

const PAUSE = 30; // milliseconds until what has changed is shown

export class Grouping {
  groups;
  #options;
  #folds;
  #updated;
  #decoders = new Map(); // by channel, for output that comes as bytes
  #changed = 0;

  /**
   * @param output see `output.js`. @param list the element with its rows
   * @param options.buildkite whether `---`, `+++` and `~~~` begin groups
   * @param options.mayFold returns whether groups may fold by themselves now
   * @param options.updated called when groups or annotations have changed
   */
  constructor(output, list, { buildkite = false, mayFold, updated = () => {} }) {
    this.#options = { buildkite, changed: (group) => this.#change(group) };
    this.#updated = updated;
    this.groups = this.empty();
    this.#folds = new Folds(output, list, this.groups, mayFold);
  }

  /** Return groups like these, with nothing in them. */
  empty() {
    return new Groups(this.#options);
  }

  /** Take other groups in place of those that were known. */
  take(groups) {
    this.groups = groups;
    this.#folds.take(groups);
  }

  /** Take output that comes next, when it came, in milliseconds, and the line in which it begins; return its text. */
  add(channel, data, time, line) {
    const text = typeof data === "string" ? data : this.#decoded(channel, data);
    this.groups.add(channel, text, line, time === null ? null : time / 1000);
    return text;
  }

  /** No more comes; `failed` is how the run ended. */
  end(failed) {
    this.groups.end({ failed });
    this.update();
  }

  update() {
    clearTimeout(this.#changed);
    this.#changed = 0;
    this.#folds.update();
    this.#updated();
  }

  #decoded(channel, data) {
    if (!this.#decoders.has(channel)) this.#decoders.set(channel, new TextDecoder());
    return this.#decoders.get(channel).decode(data, { stream: true });
  }

  #change(group) {
    if (group) this.#folds.changed(group);
    this.#changed ||= setTimeout(() => this.update(), PAUSE);
  }
}
