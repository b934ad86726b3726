// Groups on the page: the first line of each has a triangle, its title and how long it took; the lines of one that is
// folded are out of sight. Nothing is taken out of the output: what is downloaded and what the server searches has it all.
//
// A group that is over is folded, unless something in it failed. While somebody reads elsewhere than at the end none
// folds by itself, and one that its reader opened or folded stays so.

import { duration, visible } from "./format.js";
import { took } from "./groups.js";

const SHORTEST = 0.1; // seconds; the times of lines are no finer

export class Folds {
  #output;
  #groups;
  #mayFold;
  #folded = new Set();
  #touched = new Set(); // those that the reader opened or folded
  #byLine = new Map(); // the groups by their first lines
  #hidden = []; // what is out of sight, [from, to], in order and apart
  #known = 0; // how many groups were taken
  #stale = new Set(); // groups that have changed since

  /**
   * @param list the element with the rows of the output. @param groups see `groups.js`; its lines are those of the output
   * @param mayFold returns whether groups may fold by themselves now
   */
  constructor(output, list, groups, mayFold) {
    [this.#output, this.#groups, this.#mayFold] = [output, groups, mayFold];
    output.fold((line) => this.#hides(line), (line) => this.unfold(line));
    output.decorate((place, text) => this.#dress(place, text));
    list.addEventListener("click", ({ target }) => {
      const button = target.closest(".fold");
      if (button) this.toggle(this.#byLine.get(Number(button.dataset.line)), button);
    });
  }

  /** Take other groups in place of those that were known. */
  take(groups) {
    this.#groups = groups;
    this.#folded.clear();
    this.#touched.clear();
    this.#byLine.clear();
    this.#stale.clear();
    this.#known = groups.all.length;
    const { line } = this.#output;
    for (const group of groups.all) {
      this.#byLine.set(group.line, group);
      const around = line > group.line && line <= group.end; // what is being read
      if (this.#folds(group) && !around) this.#folded.add(group);
    }
    this.#apply([{ line: 1, end: null }]);
  }

  #folds({ end, folded, failed }) {
    return end !== null && folded && !failed;
  }

  /** A group has begun, ended or failed. */
  changed(group) {
    this.#stale.add(group);
  }

  /** Take what has changed. */
  update() {
    if (!this.#stale.size) return;
    for (; this.#known < this.#groups.all.length; this.#known += 1) {
      const group = this.#groups.all[this.#known];
      this.#byLine.set(group.line, group);
    }
    const stale = [...this.#stale].filter(Boolean);
    this.#stale.clear();
    for (const group of stale) {
      if (this.#touched.has(group)) continue;
      if (!this.#folds(group)) this.#folded.delete(group);
      else if (this.#mayFold()) this.#folded.add(group);
    }
    this.#apply(stale);
  }

  /** Have a line in sight: unfold what hides it. */
  unfold(line) {
    const around = [...this.#folded].filter((group) => line > group.line && line <= group.end);
    for (const group of around) this.#set(group, false);
    if (around.length) this.#apply(around);
  }

  toggle(group) {
    if (!group || group.end === group.line) return;
    this.#set(group, !this.#folded.has(group));
    this.#output.relayout(() => this.#apply([group]));
  }

  #set(group, folded) {
    this.#touched.add(group);
    if (folded) this.#folded.add(group);
    else this.#folded.delete(group);
  }

  #apply(groups) {
    const spans = [...this.#folded].map((group) => [group.line + 1, group.end ?? Infinity]).filter(([from, to]) => to >= from);
    this.#hidden = [];
    for (const [from, to] of spans.sort((one, other) => one[0] - other[0])) {
      const last = this.#hidden.at(-1);
      if (last && from <= last[1] + 1) last[1] = Math.max(last[1], to);
      else this.#hidden.push([from, to]);
    }
    const lines = groups.flatMap(({ line, end }) => [line, end ?? this.#output.total]);
    if (lines.length) this.#output.redecorate(Math.min(...lines), Math.max(...lines));
  }

  /** What is out of sight around a line, [from, to]; null where it is in sight. */
  #hides(line) {
    let [low, high] = [0, this.#hidden.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#hidden[middle][1] < line) low = middle + 1;
      else high = middle;
    }
    const span = this.#hidden[low];
    return span && span[0] <= line ? span : null;
  }

  #dress(place, text) {
    const { element, line } = place;
    const mark = this.#groups.marked.get(line);
    element.classList.toggle("group-end", mark === "end");
    if (mark === "mask" && !place.more) text.textContent = "::add-mask::***";
    const group = place.more ? undefined : this.#byLine.get(line);
    element.classList.toggle("group", Boolean(group));
    if (!group) return;
    const folded = this.#folded.has(group);
    const button = text.querySelector(":scope > .fold") ?? this.#head(place, text, group);
    button.ariaExpanded = String(!folded);
    button.disabled = group.end === group.line;
    const seconds = took(group);
    const words = [group.failed ? "failed" : "", seconds >= SHORTEST ? duration(seconds) : ""].filter(Boolean).join(", ");
    text.dataset.took = words;
    button.ariaLabel = [visible(group.title) || "Group", words].filter(Boolean).join(", ");
    element.classList.toggle("failed", group.failed);
  }

  /** Make the button of a group; of GitHub's marks only the title is shown. */
  #head(place, text, group) {
    const button = document.createElement("button");
    button.className = "fold";
    button.dataset.line = place.line;
    if (group.dialect === "github" || group.dialect === "buildkite") text.replaceChildren(button, visible(group.title));
    else text.prepend(button);
    return button;
  }
}
