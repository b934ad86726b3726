// What a run says at the top of its page: the errors, warnings and notices that its output has for that, each with a
// link to its line.

import { count, visible } from "./format.js";
import { $, set } from "./parts.js";

const WORDS = { error: "error", warning: "warning", notice: "notice" };
const LONGEST = 500; // characters of one that are shown

export class Annotations {
  #groups;
  #shown = 0;
  #sum = "";

  constructor(groups) {
    this.#groups = groups;
  }

  /** Take other groups in place of those that were known. */
  take(groups) {
    this.#groups = groups;
    this.#shown = 0;
    this.#sum = "";
    $("annotations-list").replaceChildren();
  }

  /** Show what is new. */
  update() {
    const { annotations, counted } = this.#groups;
    const sum = Object.keys(WORDS).filter((kind) => counted[kind]).map((kind) => count(counted[kind], WORDS[kind])).join(", ");
    if (sum === this.#sum) return;
    this.#sum = sum;
    for (const one of annotations.slice(this.#shown)) $("annotations-list").append(entry(one));
    this.#shown = annotations.length;
    const all = Object.values(counted).reduce((one, other) => one + other, 0);
    set($("annotations-sum"), all > annotations.length ? `${sum}; the first ${annotations.length} are listed` : sum);
    $("annotations").dataset.kind = counted.error ? "bad" : counted.warning ? "warn" : "quiet";
    $("annotations").hidden = false;
  }
}

function entry({ kind, file, line, column, title, text, at }) {
  const [item, word, link, words] = ["li", "span", "a", "span"].map((name) => document.createElement(name));
  item.dataset.kind = kind;
  word.className = "kind";
  word.textContent = WORDS[kind];
  link.href = `#L${at}`;
  link.textContent = visible([file, line, column].filter((part) => part !== null && part !== "").join(":")) || `line ${at}`;
  words.textContent = [title, text].filter(Boolean).map((one) => visible(cut(one))).join(": ");
  item.append(word, " ", link, " ", words);
  return item;
}

const cut = (text) => (text.length > LONGEST ? `${text.slice(0, LONGEST)} …` : text);
