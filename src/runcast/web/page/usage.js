// What a run has used so far: the server looks, ever more rarely, and only while somebody may see it.

import { used } from "./format.js";

const FIRST = 5; // seconds from the start to the first look
const LONGEST = 60; // seconds between two looks

export class UsageSoFar {
  #api;
  #next = FIRST;
  #usage = null;

  constructor(api) {
    this.#api = api;
  }

  /** Return what to show of a run that goes on for so many seconds; empty for nothing yet. */
  text(seconds) {
    if (seconds >= this.#next && !document.hidden) {
      this.#next = seconds + Math.min(Math.max(seconds / 4, FIRST), LONGEST);
      this.#look();
    }
    return used(this.#usage);
  }

  async #look() {
    try {
      this.#usage = (await this.#api.show()).used_so_far ?? null;
    } catch {
      // The page says elsewhere that the server cannot be reached.
    }
  }
}
