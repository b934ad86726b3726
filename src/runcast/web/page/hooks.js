// What was done when the run was over: commands and webhooks, as long as some are still to be done.

import { count, visible } from "./format.js";
import { $, set } from "./parts.js";

const AGAIN = 2000; // ms between two looks
const LOOKS = 150; // by then no hook is tried again

const words = { delivered: "done", waiting: "to be done", skipped: "not for this end", failed: "failed", interrupted: "interrupted" };

/** Return what became of one, such as `https://ci.example/… failed: the receiver answered 500, 6 attempts`. */
export function became(hook) {
  const why = hook.message && `: ${visible(hook.message)}`;
  const tries = hook.attempts > 1 ? `, ${count(hook.attempts, "attempt")}` : "";
  return `${visible(hook.target)} ${hook.state === "waiting" && hook.attempts ? "to be tried again" : words[hook.state]}${why}${tries}`;
}

export class Hooks {
  #api;
  #hooks = null; // the latest that the server sent
  #looks = 0;
  #timer = 0;

  /** @param api of the run */
  constructor(api) {
    this.#api = api;
  }

  /** Show those of a run; of one that is over look again until nothing is to be done. */
  show(run) {
    const hooks = this.#hooks ?? run.hooks ?? [];
    $("hooks-fact").hidden = !hooks.length || !run.outcome;
    set($("hooks"), hooks.map(became).join("; "));
    const open = run.outcome && hooks.some((hook) => hook.state === "waiting");
    if (open && !this.#timer && this.#looks < LOOKS) this.#timer = setTimeout(() => this.#look(), this.#looks ? AGAIN : 300);
  }

  async #look() {
    this.#timer = 0;
    this.#looks += 1;
    try {
      const run = await this.#api.show();
      this.#hooks = run.hooks ?? [];
      this.show(run);
    } catch {
      // The run is gone, or the server: the page says so elsewhere.
    }
  }
}
