// Runs by name: how the last of each ended, and how long they took.

import { runsUrl } from "./api.js";
import { duration, took, verdict, visible } from "./format.js";
import { $, element } from "./parts.js";
import { trend } from "./trend.js";

const MOST = 30; // names

/** Runs by their names, newest first, the name with the newest run first. */
export function byName(runs) {
  const names = new Map();
  for (const run of [...runs].sort((one, other) => (one.id < other.id ? 1 : -1))) {
    if (run.source !== "stream") names.set(run.name, [...(names.get(run.name) ?? []), run]);
  }
  return names;
}

let shown = "";

/** Show the names of some runs, and offer them where a name is to be typed. */
export function showNames(runs) {
  const names = byName(runs);
  const now = JSON.stringify([...names.values()].map((ones) => ones.map((run) => [run.id, verdict(run)[1]])));
  if (now === shown) return;
  shown = now;
  $("names").replaceChildren(...[...names].slice(0, MOST).map(([name, ones]) => item(name, ones)));
  $("known").replaceChildren(...[...names.keys()].map((name) => element("option", { value: name })));
  $("by-name").hidden = !names.size;
}

function item(name, runs) {
  const [kind, word] = verdict(runs[0]);
  const state = element("span", { className: "state" }, word);
  state.dataset.kind = kind;
  const last = took(runs[0]);
  const link = element("a", { href: `${runsUrl}?${new URLSearchParams({ name })}` }, element("bdi", {}, visible(name)));
  return element("li", {}, link, state, trend(runs), element("span", { className: "took" }, last === null ? "" : duration(last)));
}
