// One run, as the server has it: where it is, and what can be read of it.

import { ask } from "./api.js";

export class RunApi {
  #url;
  #always;

  /** @param url the address of the run, without what is behind it. @param always parameters of all requests */
  constructor(url, always = {}) {
    this.#url = url;
    this.#always = always;
  }

  /** The address of the run or of what is behind it, with parameters. */
  at(rest = "", parameters = {}) {
    const query = new URLSearchParams({ ...this.#always, ...parameters }).toString();
    return `${this.#url}${rest}${query && `?${query}`}`;
  }

  /** Return a promise of the run. */
  show() {
    return ask("GET", this.at());
  }

  /** Return a promise of a poll's reply, from a line, an offset or a time on: `{line}`, `{offset}`, `{since}`, `max`. */
  log(from) {
    return ask("GET", this.at("/log", { format: "json", wait: 0, ...from }));
  }

  /** The address of the events from an offset on. */
  events(offset) {
    return this.at("/log", { format: "json", offset });
  }
}
