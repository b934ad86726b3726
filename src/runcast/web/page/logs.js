// Lines of loggers on the page: JSON as time, level, message and fields, unless the raw lines are wanted; and which
// levels are shown.
//
// A line without a level has that of the line above it: what follows an error belongs to it.

import { levelOfLine } from "./levels.js";
import { $, store, stored } from "./parts.js";
import { RecordRows, textOf } from "./record_rows.js";

const LOOKED = 200; // rows above, in which a level is looked for
const FIRST = 500; // rows of which one must have a level for a choice of levels to be there

export class Logs {
  #output;
  #say;
  #records = new RecordRows();
  #raw = stored("raw") === "on";
  #least = ""; // the lowest level that is shown
  #seen = 0; // rows

  /** @param say called with a sentence, "" to take it back */
  constructor(output, say) {
    this.#output = output;
    this.#say = say;
    output.decorate((place, text) => this.#dress(place, text));
    $("raw").addEventListener("click", () => this.#show(!this.#raw));
    $("level").addEventListener("change", () => this.#filter($("level").value));
    $("raw").ariaPressed = String(this.#raw);
  }

  #show(raw) {
    this.#raw = raw;
    store("raw", raw ? "on" : "off");
    $("raw").ariaPressed = String(raw);
    this.#output.relayout(() => this.#output.refill());
  }

  #filter(level) {
    this.#least = level;
    this.#say(level && !this.#output.whole ? "Of a long output the other lines stay, in grey. Search finds those of a level in all of it." : "");
    this.#output.relayout(() => {
      $("output").dataset.least = level;
      this.#output.redecorate();
    });
  }

  #dress(place, text) {
    const found = this.#records.of(place);
    if (!this.#raw) this.#records.dress(place, text);
    if (found) $("raw").hidden = false;
    if (!this.#least && (!$("level-label").hidden || ++this.#seen > FIRST)) return;
    const level = this.#levelOf(place);
    if (level) $("level-label").hidden = false;
    if (this.#least) place.element.dataset.level = level ?? this.#above(place) ?? "info";
    else delete place.element.dataset.level;
  }

  #levelOf(place) {
    const found = this.#records.of(place);
    return found ? found.level : levelOfLine(textOf(place.row));
  }

  #above(place) {
    let above = place;
    for (let looked = 0; looked < LOOKED; looked += 1) {
      above = this.#output.before(above);
      if (!above || above.pending) return null;
      const level = above.note ? null : this.#levelOf(above);
      if (level) return level;
    }
    return null;
  }
}
