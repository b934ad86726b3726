// Why a run may be silent: the server looks, and the page shows it below the output.

import { ask, runUrl } from "./api.js";
import { visible } from "./format.js";

const FIRST = 3; // seconds of silence before the first look
const LONGEST = 60; // seconds between two looks

export class Hint {
  #id;
  #heard = 0;
  #next = FIRST;
  #text = "";

  constructor(id) {
    this.#id = id;
  }

  /** Return what to show while nothing has come since a time; it is looked for again, ever more rarely. */
  text(heard, empty) {
    if (heard !== this.#heard) [this.#heard, this.#next, this.#text] = [heard, FIRST, ""];
    const silence = (performance.now() - heard) / 1000;
    if (silence < FIRST) return "";
    if (silence >= this.#next) {
      this.#next = silence + Math.min(silence, LONGEST);
      this.#look(heard);
    }
    if (this.#text) return `${empty ? "No output yet" : "Nothing for a while"}: ${this.#text}.`;
    return empty ? "No output yet." : "";
  }

  async #look(heard) {
    try {
      const run = await ask("GET", runUrl(this.#id));
      if (heard === this.#heard) this.#text = visible(run.hint || "");
    } catch {
      // The page says elsewhere that the server cannot be reached.
    }
  }
}
