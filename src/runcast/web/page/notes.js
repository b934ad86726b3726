// What was noted about a run (`runcast note`): the newest above the output, all of them in a list, each with a link to
// its line, and a mark at that line.

import { serverNow } from "./api.js";
import { count, moment, visible } from "./format.js";
import { $, element, set } from "./parts.js";

export class Notes {
  #output;
  #shown = ""; // what tells the shown ones from others

  constructor(output) {
    this.#output = output;
  }

  /** Show notes, oldest first. */
  show(notes) {
    const last = notes.at(-1);
    const now = last ? `${notes.length} ${last.time} ${last.offset}` : "";
    if (now === this.#shown) return;
    this.#shown = now;
    $("notes").hidden = !last;
    set($("notes-last"), last ? `${visible(last.text)}${notes.length > 1 ? ` (${count(notes.length, "note")})` : ""}` : "");
    $("notes-list").replaceChildren(...notes.map(entry));
    this.#output.mark("note", [...new Set(notes.map((note) => note.line))].sort((one, other) => one - other));
  }
}

function entry({ line, time, text }) {
  const when = element("time", { dateTime: time, textContent: moment(time, serverNow()) });
  const link = element("a", { href: `#L${line}`, textContent: `line ${line}` });
  return element("li", {}, when, " ", link, " ", element("span", { textContent: visible(text) }));
}
