// Why a run may be silent: the server looks, and the page shows it below the output.

import { ask, runUrl } from "./api.js";
import { visible } from "./format.js";

const FIRST = 3; // seconds of silence before the first look
const LONGEST = 60; // seconds between two looks
const AGAIN = 5; // seconds between two looks while its host is in trouble: output says nothing of that

export class Hint {
  #id;
  #heard = 0;
  #next = FIRST;
  #text = "";
  #last = 0;
  #looked;

  /** @param looked called with the run, each time that the server looked */
  constructor(id, looked) {
    this.#id = id;
    this.#looked = looked;
  }

  /**
   * Return what to show while nothing has come since a time; it is looked for again, ever more rarely.
   * @param trouble whether its host was silent, or out of reach, when it was looked at: whether that is over is
   *   seen by looking, however much comes
   */
  text(heard, empty, trouble) {
    if (heard !== this.#heard) [this.#heard, this.#next, this.#text] = [heard, FIRST, ""];
    const now = performance.now();
    const silence = (now - heard) / 1000;
    if (trouble && now - this.#last >= 1000 * AGAIN) this.#look(heard);
    if (silence < FIRST) return "";
    if (silence >= this.#next) {
      this.#next = silence + Math.min(silence, LONGEST);
      this.#look(heard);
    }
    if (this.#text) return `${empty ? "No output yet" : "Nothing for a while"}: ${this.#text}.`;
    return empty ? "No output yet." : "";
  }

  async #look(heard) {
    this.#last = performance.now();
    try {
      const run = await ask("GET", runUrl(this.#id));
      this.#looked(run);
      if (heard === this.#heard) this.#text = visible(run.hint || "");
    } catch {
      // The page says elsewhere that the server cannot be reached.
    }
  }
}
