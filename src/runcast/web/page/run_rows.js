// The rows of the list: each run as one line, one that goes on with a second of how far it is.
//
// Knows elements and one row's run; what is in the list is decided by who calls `show`.

import { runUrl, serverNow } from "./api.js";
import { ago, beside, bytes, count, duration, far, place, seconds, sentence, verdict, visible } from "./format.js";
import { element, set } from "./parts.js";
import { percentOf } from "./percent.js";

/** Whether a run goes on; a stream does so until it is closed, which nobody waits for. */
export const goesOn = (run) => !run.outcome && run.source !== "stream";

/** Runs in the order of the list: those that go on, then all others, newest first. */
export const sorted = (runs) => [...runs].sort((one, other) => goesOn(other) - goesOn(one) || (one.id < other.id ? 1 : -1));

export class RunRows {
  #list;
  #titleOf;
  #rows = new Map();

  /** @param list the element that has them. @param titleOf returns what a run is called */
  constructor(list, titleOf) {
    this.#list = list;
    this.#titleOf = titleOf;
    setInterval(() => this.#rows.forEach((row) => this.#fill(row)), 1000);
  }

  /** Show runs in this order. */
  show(runs) {
    const ids = new Set(runs.map((run) => run.id));
    for (const [id, row] of this.#rows) {
      if (ids.has(id)) continue;
      row.item.remove();
      this.#rows.delete(id);
    }
    // Rows stay where they are, so that neither the focus nor a selection is lost: others go around the one with it.
    const held = [...this.#rows.values()].find((row) => row.item.contains(document.activeElement))?.item;
    let next = this.#list.firstElementChild;
    for (const run of runs) {
      const row = this.#rows.get(run.id) ?? this.#make(run);
      row.run = run;
      while (row.item === held && next !== held) {
        const moved = next;
        next = next.nextElementSibling;
        this.#list.append(moved);
      }
      if (row.item === next) next = next.nextElementSibling;
      else this.#list.insertBefore(row.item, next);
      this.#fill(row);
    }
  }

  #make(run) {
    const row = {
      name: element("bdi", { className: "name" }),
      state: element("span", { className: "state" }),
      command: element("code", { className: "what" }),
      when: element("time", {}),
      took: element("span", {}),
      size: element("span", { className: "size" }),
      place: element("span", { className: "place" }),
      last: element("bdi", { className: "last" }),
      bar: element("progress", { ariaLabel: "Progress" }),
      far: element("span", { className: "far" }),
    };
    const link = element("a", { href: runUrl(run.id) }, row.name);
    const facts = element("span", { className: "meta" }, row.when, row.took, row.size);
    row.going = element("span", { className: "going" }, row.bar, row.far, row.last);
    row.item = element("li", { className: "row" }, row.state, element("span", { className: "which" }, link, row.command, row.place), facts, row.going);
    row.item.dataset.id = run.id;
    this.#rows.set(run.id, row);
    return row;
  }

  #fill(row) {
    const run = row.run;
    const [kind, word] = verdict(run);
    const when = run.started_at || run.created_at;
    set(row.name, this.#titleOf(run));
    set(row.state, word);
    row.state.dataset.kind = kind;
    row.state.title = visible(run.damaged || "");
    set(row.command, beside(run));
    set(row.when, ago(when, serverNow()));
    row.when.dateTime = when;
    row.when.title = new Date(when).toString();
    const ended = seconds(run.ended_at);
    set(row.took, run.started_at ? duration((ended || serverNow() / 1000) - seconds(run.started_at), { over: Boolean(ended) }) : "");
    set(row.size, run.lines ? count(run.lines, "line") : run.closed || Number(run.tail_offset) ? bytes(Number(run.tail_offset)) : "");
    set(row.place, place(run, serverNow()));
    this.#fillGoing(row, run);
  }

  #fillGoing(row, run) {
    const last = visible(run.last_line ?? "");
    const percent = run.progress ? null : percentOf(last);
    const progress = percent === null ? run.progress : { done: percent, total: 100, status: "running" };
    const shown = goesOn(run) && progress && progress.status !== "done" ? far(progress) : null;
    row.bar.hidden = row.far.hidden = !shown;
    if (shown?.max) [row.bar.max, row.bar.value] = [shown.max, shown.value];
    else row.bar.removeAttribute("value");
    set(row.far, shown?.words ?? "");
    const turn = run.state === "queued" ? sentence(run) : last;
    set(row.last, run.outcome ? "" : turn);
    row.going.hidden = Boolean(run.outcome) || (!shown && !turn);
  }
}
