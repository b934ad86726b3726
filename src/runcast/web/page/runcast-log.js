// `<runcast-log src="/runs/ID">`: the live log of a run in somebody's own page, as the page of the run shows it.
//
// A custom element with a shadow, so that neither page changes the look of the other. It works below a
// Content-Security-Policy of `default-src 'self'`: its styles are a sheet of CSSOM, and texts go into text nodes.
// Each `src` has a connection and rows of its own, which end when it changes or the element leaves the document.
// Reading is all that it does: it has no button that changes something.

import { because, Refused } from "./api.js";
import { content, milliseconds } from "./chunks.js";
import { sentence, verdict, visible } from "./format.js";
import { Grouping } from "./grouping.js";
import { keep } from "./live.js";
import { numberKeys } from "./numbers.js";
import { Output } from "./output.js";
import { RecordRows } from "./record_rows.js";
import { runAt } from "./run_at.js";
import { Source } from "./source.js";

const SHEETS = ["./log.css", "./embed.css"];
const LINKS = { live: "", polling: "", retrying: "Reconnecting …" };
const ATTRIBUTES = ["src", "follow", "wrap", "channel", "label"];

let sheets = null; // a promise of those of all elements

/** Fetch the styles, once for all elements; after an error again. */
function styles() {
  sheets ??= Promise.all(SHEETS.map((name) => sheetAt(new URL(name, import.meta.url)))).catch((error) => {
    sheets = null;
    throw error;
  });
  return sheets;
}

async function sheetAt(url) {
  const reply = await fetch(url);
  if (!reply.ok) throw new Refused(reply.status, `the server answered ${reply.status} for its styles`, false, {});
  return new CSSStyleSheet().replace(await reply.text());
}

export class RuncastLog extends HTMLElement {
  static observedAttributes = ATTRIBUTES;

  #root = this.attachShadow({ mode: "open" });
  #parts;
  #shown = null; // what is shown of one `src`: {ending, output, source}
  #state = null; // of the last event
  #error = null; // the message of the last one

  connectedCallback() {
    if (Object.hasOwn(this, "src")) {
      const { src } = this; // set before the element was defined, and in the way of what takes it
      delete this.src;
      this.src = src;
    }
    this.#begin();
  }

  disconnectedCallback() {
    this.#leave();
  }

  attributeChangedCallback(name, before, now) {
    if (before === now || !this.#shown) return;
    if (name === "src") this.#begin();
    else if (name === "follow") this.following = now !== "off";
    else this.#dress();
  }

  get src() {
    return this.getAttribute("src") ?? "";
  }

  set src(src) {
    this.setAttribute("src", src);
  }

  /** The run as JSON has it; null while it is not known. */
  get run() {
    return this.#shown?.source?.run ?? null;
  }

  /** How the run ended; null while it goes on, or its output is not all here. */
  get outcome() {
    return (this.#shown?.source?.over && this.run.outcome) || null;
  }

  /** Whether the newest output is kept in sight. */
  get following() {
    return this.#shown?.output?.following ?? this.getAttribute("follow") !== "off";
  }

  set following(following) {
    if (this.#shown?.output) this.#shown.output.following = Boolean(following);
  }

  /** Show what `src` names, from the beginning. */
  async #begin() {
    this.#leave();
    const ending = new AbortController();
    const shown = (this.#shown = { ending, output: null, source: null });
    this.#state = this.#error = null;
    this.#parts = partsOf(this.#root);
    try {
      this.#root.adoptedStyleSheets = await styles();
      if (ending.signal.aborted) return;
      const { api, page } = runAt(this.src, this.baseURI);
      this.#show(shown, api, page);
    } catch (error) {
      if (!ending.signal.aborted) this.#failed(error);
    }
  }

  #show(shown, api, page) {
    const { scroller, list, jump, open } = this.#parts;
    const { signal } = shown.ending;
    open.href = page;
    open.hidden = false;
    const output = (shown.output = new Output({ scroller, list, jump, ticks: document.createElement("canvas") }, (from) => api.log(from), {
      failed: (error) => error && !signal.aborted && this.#say(`Lines could not be fetched. ${because(error)}`, "warn"),
      followed: () => this.#announce(),
    }));
    output.decorate(({ element, line, note }) => {
      if (note) return;
      const [number] = element.children;
      if (number.target) return;
      [number.href, number.target, number.rel] = [`${page}#L${line}`, "_blank", "noopener"];
    });
    const records = new RecordRows();
    output.decorate((place, text) => records.dress(place, text));
    numberKeys(scroller, list, output);
    const mayFold = () => output.following || !shown.source.arrived;
    const grouping = new Grouping(output, list, { mayFold });
    shown.source = new Source(api, output, {
      run: () => signal.aborted || this.#changed(),
      chunk: (chunk, line) => {
        grouping.add(chunk.channel, content(chunk), milliseconds(chunk), line);
        if (!signal.aborted) this.#came();
      },
      end: (run) => grouping.end(run.outcome?.ok === false),
    });
    this.#dress();
    if (this.getAttribute("follow") === "off") output.following = false;
    keep(shown.source, (status, error) => this.#linked(status, error), signal);
  }

  #leave() {
    this.#shown?.ending.abort();
    this.#shown?.output?.leave();
    this.#shown = null;
  }

  /** Take what the attributes say of the look. */
  #dress() {
    const { scroller } = this.#parts;
    const channel = this.getAttribute("channel");
    scroller.ariaLabel = this.getAttribute("label") ?? "Output";
    this.#shown.output?.relayout(() => scroller.classList.toggle("unwrapped", this.getAttribute("wrap") === "off"));
    this.#shown.output?.only(["stdout", "stderr"].includes(channel) ? channel : "");
  }

  /** Have new lines read out only to who follows them: not all that was there, nor what is scrolled to. */
  #announce() {
    const { output, source } = this.#shown ?? {};
    const live = Boolean(source?.arrived && output.following && !source.over);
    this.#parts.scroller.ariaLive = live ? "polite" : "off";
  }

  /** Something of the run has changed, or more of its output has come. */
  #changed() {
    const { source, output } = this.#shown;
    const { run } = source;
    this.#error = null;
    const unread = run.outcome && !source.over;
    const [kind, word] = unread ? ["quiet", "reading"] : verdict(run);
    this.#parts.state(kind, word);
    this.#say(`${visible(run.name)}: ${sentence(run)}`, kind);
    this.#came();
    const state = unread ? this.#state : run.state;
    if (state === this.#state) return;
    this.#state = state;
    this.#tell("runcast-state", { state, run });
    if (source.over && output) this.#tell("runcast-end", { outcome: run.outcome, run });
  }

  /** Output has come, or none will. */
  #came() {
    const { source } = this.#shown;
    this.#parts.silent(source.offset ? "" : source.over ? "It printed nothing." : "No output yet.");
    this.#announce();
  }

  #linked(status, error) {
    if (status === "gone" || status === "signed out") return this.#failed(error);
    this.#parts.link(LINKS[status] ?? "");
    if (status === "retrying" && !this.run) this.#failed(error);
    else if (this.run) this.#changed();
  }

  /** Say why nothing is shown, or nothing more. */
  #failed(error) {
    this.#parts.state("warn", "");
    this.#parts.link("");
    const message = this.#because(error);
    this.#say(message, "bad");
    if (this.#error === message) return; // it is tried again and again
    this.#error = message;
    this.#tell("runcast-error", { message, status: error.status ?? null });
  }

  #because(error) {
    if (error instanceof RangeError) return error.message;
    if (error instanceof Refused && error.status !== 401) return because(error);
    if (error instanceof Refused) return `The server wants to know who reads: ${error.message}.`;
    const { origin } = new URL(this.src, this.baseURI);
    if (origin === location.origin) return because(error);
    return `The server ${origin} cannot be reached, or lets no page of ${location.origin} read its runs (--allow-origin, allow_origins=).`;
  }

  #say(text, kind) {
    this.#parts.say(text, kind);
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }
}

/** Make what stands in the shadow, in place of what stood there. */
function partsOf(root) {
  const made = (name, properties = {}, ...inner) => {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...inner);
    return element;
  };
  const part = (element, name) => {
    element.setAttribute("part", name);
    return element;
  };
  const set = (element, text) => element.textContent !== text && (element.textContent = text);
  const state = part(made("span", { className: "state" }), "state");
  const words = part(made("span", { className: "words", role: "status" }), "words");
  const link = part(made("span", { className: "words" }), "link");
  const open = part(made("a", { className: "open", textContent: "Open", target: "_blank", rel: "noopener", hidden: true, ariaLabel: "Open the page of the run" }), "open");
  const bar = part(made("div", { className: "bar" }, state, words, link, open), "bar");
  const list = made("div", { id: "lines-here" });
  const silent = made("p", { className: "silent", hidden: true });
  const scroller = part(made("div", { className: "output", role: "log", ariaLive: "off", tabIndex: 0 }, list, silent), "log");
  const jump = part(made("button", { className: "jump", hidden: true, textContent: "Jump to the end" }), "jump");
  root.replaceChildren(bar, made("div", { className: "stage" }, scroller, jump));
  return {
    ...{ scroller, list, jump, open },
    state(kind, word) {
      set(state, word);
      state.dataset.kind = kind;
    },
    say(text, kind) {
      set(words, text);
      words.dataset.kind = kind;
    },
    link: (text) => set(link, text),
    silent(text) {
      set(silent, text);
      silent.hidden = !text;
    },
  };
}

if (!customElements.get("runcast-log")) customElements.define("runcast-log", RuncastLog);
