// The tools above the output: how it is shown, remembered for the next time.

import { isSlow, fullTime, timeOf, TIMES } from "./times.js";
import { $, set, store, stored } from "./parts.js";

const NAMES = { off: "Time", clock: "Clock", start: "Since start", gap: "Gaps" };

const UNORDERED = ". It came together with the line above, by the other channel: which of them was printed first is not known.";

export class Tools {
  #output;
  #times = "off";
  #began = 0;

  constructor(output) {
    this.#output = output;
    $("wrap").addEventListener("click", () => this.#wrap($("output").classList.contains("unwrapped")));
    $("times").addEventListener("click", () => this.#show(TIMES[(TIMES.indexOf(this.#times) + 1) % TIMES.length]));
    $("follow").addEventListener("click", () => (output.following = !output.following));
    $("first").addEventListener("click", () => output.goTo(1, 0));
    $("channel").addEventListener("change", () => this.only($("channel").value));
    output.decorate((place) => this.#time(place));
    $("lines-here").addEventListener("mouseover", ({ target }) => {
      const link = target.closest?.(".number");
      if (!link?.dataset.at || link.title) return;
      const unordered = link.parentElement.classList.contains("unordered");
      link.title = fullTime(Number(link.dataset.at)) + (unordered ? UNORDERED : "");
    });
    if (stored("wrap") === "off") this.#wrap(false);
    if (TIMES.includes(stored("times"))) this.#show(stored("times"));
  }

  /** When the run began, in milliseconds. */
  set began(began) {
    if (began === this.#began) return;
    this.#began = began;
    if (this.#times === "start") this.#output.redecorate();
  }

  set following(following) {
    $("follow").ariaPressed = String(following);
  }

  /** Show only the rows of one channel; those of all by "". */
  only(channel) {
    $("channel").value = channel;
    this.#output.only(channel);
  }

  #wrap(wraps) {
    $("wrap").ariaPressed = String(wraps);
    store("wrap", wraps ? "on" : "off");
    this.#output.relayout(() => $("output").classList.toggle("unwrapped", !wraps));
  }

  #show(times) {
    this.#times = times;
    store("times", times);
    set($("times-name"), NAMES[times]);
    $("times").ariaPressed = String(times !== "off");
    this.#output.relayout(() => {
      $("output").dataset.times = times;
      this.#output.redecorate();
    });
  }

  #time(place) {
    const link = place.element.firstChild;
    if (place.time) link.dataset.at = place.time;
    const time = timeOf(place, this.#times, this.#began);
    if (time) link.dataset.time = time;
    else delete link.dataset.time;
    place.element.classList.toggle("slow", this.#times !== "off" && isSlow(place));
  }
}
