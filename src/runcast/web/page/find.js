// The search bar: what the server finds in the whole log, and the way from one line that matches to the next.
//
// The server searches (`GET /runs/ID/search`); nothing is looked for in the page, of which most lines are not there.
// Ctrl-F stays the browser's.

import { because, runUrl } from "./api.js";
import { count, digits, visible } from "./format.js";
import { $, set } from "./parts.js";
import { objects } from "./searching.js";

const MOST = 10000; // lines at once
const LISTED = 1000; // of them in the list
const DRAW = 200; // milliseconds between two drawings while they come
const STOPPED = { time: ", stopped after 10 seconds", max: ", and more" };

export class Find {
  #id;
  #output;
  #hits = []; // by line, each once
  #at = -1; // the one that was gone to
  #next = 1; // the line at which the search goes on
  #end = ""; // how it ended
  #query = ""; // what was searched for
  #asking = null;
  #drawn = 0;

  /** @param output where the lines are; see the head of `output.js` */
  constructor(id, output) {
    this.#id = id;
    this.#output = output;
    $("find-open").addEventListener("click", () => this.#open());
    $("find-close").addEventListener("click", () => this.#close());
    $("find-next").addEventListener("click", () => this.#go(1));
    $("find-before").addEventListener("click", () => this.#go(-1));
    for (const name of ["find-regex", "find-case"]) {
      $(name).addEventListener("click", () => {
        $(name).ariaPressed = String($(name).ariaPressed !== "true");
        if ($("find-text").value) this.search();
      });
    }
    $("find-only").addEventListener("click", () => this.#list($("find-list").hidden));
    $("find-download").addEventListener("click", () => this.#download());
    $("find").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#wanted() === this.#query && this.#hits.length) this.#go(1);
      else this.search();
    });
    $("find").addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#close();
      else if (event.key === "Enter" && event.shiftKey && event.target === $("find-text")) this.#go(-1);
      else return;
      event.preventDefault();
    });
  }

  /** Search for what the address says, if it does. */
  begin() {
    const given = new URLSearchParams(location.search);
    if (!given.get("q")) return;
    $("find-text").value = given.get("q");
    $("find-regex").ariaPressed = String(given.get("regex") === "1");
    $("find-case").ariaPressed = String(given.get("case") === "1");
    this.#show(true);
    this.search({ goes: !location.hash });
  }

  #wanted() {
    const on = (name) => ($(name).ariaPressed === "true" ? "1" : "0");
    return new URLSearchParams({ q: $("find-text").value, regex: on("find-regex"), case: on("find-case") }).toString();
  }

  #open() {
    this.#show(true);
    $("find-text").focus();
    $("find-text").select();
  }

  #show(shown) {
    $("find").hidden = !shown;
    for (const name of ["find-next", "find-before"]) $(name).disabled = !this.#hits.length;
  }

  #close() {
    this.#forget();
    this.#query = "";
    this.#address("");
    this.#show(false);
    this.#output.mark("hit", []);
    this.#output.mark("now", []);
    $("output").focus({ preventScroll: true });
  }

  #forget() {
    this.#asking?.abort();
    [this.#asking, this.#hits, this.#at, this.#next, this.#end] = [null, [], -1, 1, ""];
    this.#list(false);
    this.#draw();
  }

  /** Have the address say what is searched for. */
  #address(wanted) {
    const url = new URL(location.href);
    for (const name of ["q", "regex", "case"]) url.searchParams.delete(name);
    for (const [name, value] of new URLSearchParams(wanted)) {
      if (name === "q" || value === "1") url.searchParams.set(name, value);
    }
    history.replaceState(history.state, "", url);
  }

  /** Search for what the bar says; with `goes`, go to the first line from here on. */
  async search({ goes = true } = {}) {
    this.#forget();
    const wanted = this.#wanted();
    if (!$("find-text").value) return set($("find-count"), "");
    this.#query = wanted;
    this.#address(wanted);
    await this.#fetch(goes);
  }

  /** Fetch more lines, from where the search goes on. */
  async #fetch(goes) {
    const asking = (this.#asking = new AbortController());
    const from = this.#output.line;
    set($("find-count"), "Searching …");
    try {
      const url = runUrl(this.#id, `/search?${this.#query}&max=${MOST}&from=${this.#next}`);
      for await (const one of objects(url, asking.signal)) {
        if (one.done) {
          this.#next = one.next;
          this.#end = STOPPED[one.stopped] ?? "";
          continue;
        }
        this.#hits.push(one);
        if (performance.now() - this.#drawn > DRAW) this.#draw();
      }
      this.#sort();
      this.#asking = null;
      this.#draw();
      if (goes && this.#hits.length) this.#to(Math.max(0, this.#hits.findIndex((hit) => hit.line >= from)));
    } catch (error) {
      if (asking.signal.aborted) return;
      this.#asking = null;
      this.#draw();
      set($("find-count"), because(error));
    }
  }

  #sort() {
    const byLine = new Map(this.#hits.map((hit) => [hit.line, hit]));
    this.#hits = [...byLine.values()].sort((one, other) => one.line - other.line);
  }

  async #go(by) {
    if (!this.#hits.length) return;
    const at = this.#at + by;
    if (at >= this.#hits.length && !this.#asking) {
      const had = this.#hits.length; // more may have come, or the search had stopped
      const before = this.#next;
      await this.#fetch(false);
      if (this.#hits.length > had) return this.#to(had);
      if (this.#next > before && this.#end) return this.#draw();
    }
    return this.#to((at + this.#hits.length) % this.#hits.length);
  }

  async #to(at) {
    this.#at = at;
    const { line } = this.#hits[at];
    this.#output.mark("now", [line]);
    this.#draw();
    set($("said"), await this.#output.goTo(line));
  }

  #draw() {
    this.#drawn = performance.now();
    const found = this.#hits.length;
    for (const name of ["find-next", "find-before"]) $(name).disabled = !found;
    $("find-only").disabled = $("find-download").disabled = !found;
    this.#output.mark("hit", this.#hits.map((hit) => hit.line).sort((one, other) => one - other));
    if (!this.#query) return set($("find-count"), "");
    const place = this.#at < 0 ? count(found, "line") : `${digits(this.#at + 1)} of ${count(found, "line")}`;
    set($("find-count"), this.#asking ? `${place} …` : found ? `${place}${this.#end}` : `No line matches${this.#end}.`);
    if (!$("find-list").hidden) this.#list(true);
  }

  /** Show only the lines that match, or all again. */
  #list(shown) {
    $("find-only").ariaPressed = String(shown);
    $("find-list").hidden = !shown;
    $("find-list").replaceChildren(
      ...(shown ? this.#hits.slice(0, LISTED).map((hit, at) => {
        const [item, button, number] = ["li", "button", "span"].map((name) => document.createElement(name));
        number.textContent = digits(hit.line);
        number.className = "of";
        button.append(number, visible(hit.text));
        button.type = "button";
        button.title = "Show in context";
        button.addEventListener("click", () => {
          this.#list(false);
          this.#to(at);
        });
        item.append(button);
        return item;
      }) : []),
    );
  }

  #download() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(this.#hits.map((hit) => `${hit.text}\n`), { type: "text/plain" }));
    link.download = `${this.#id}-matches.log`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }
}
