// How long runs took and how they ended, oldest first, as a picture of bars with words for who does not see it.
//
// A run that failed is a bar without a filling: the picture says no more by colour than by form.

import { count, duration, took, verdict } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
export const MOST = 20; // bars
const [WIDTH, GAP, HEIGHT, LEAST] = [5, 1, 24, 3];

/** The bars of runs, oldest first: [x, y, width, height, kind of state]; one that goes on has no height of its own. */
export function bars(runs) {
  const times = runs.map(took);
  const longest = Math.max(...times.map((time) => time ?? 0), 1e-9);
  return runs.map((run, at) => {
    const height = Math.max(LEAST, ((times[at] ?? 0) / longest) * HEIGHT);
    return [at * (WIDTH + GAP), HEIGHT - height, WIDTH, height, verdict(run)[0]].map((one) => (typeof one === "number" ? Math.round(one * 10) / 10 : one));
  });
}

/** What the picture shows, as words. */
export function words(runs) {
  const ends = new Map();
  for (const run of runs) {
    const word = verdict(run)[1];
    ends.set(word, (ends.get(word) ?? 0) + 1);
  }
  const times = runs.map(took).filter((time) => time !== null).sort((one, other) => one - other);
  const ended = [...ends].map(([word, number]) => `${number} ${word}`).join(", ");
  if (!times.length) return `${count(runs.length, "run")}: ${ended}.`;
  const [least, middle, most] = [times[0], times[times.length >> 1], times.at(-1)].map((time) => duration(time));
  return `${count(runs.length, "run")}: ${ended}. They took from ${least} to ${most}, mostly about ${middle}.`;
}

/** The picture of some runs, newest first as lists have them. */
export function trend(runs) {
  const shown = runs.slice(0, MOST).reverse();
  const picture = make("svg", { class: "trend", width: MOST * (WIDTH + GAP), height: HEIGHT, role: "img", "aria-label": words(shown) });
  const begin = (MOST - shown.length) * (WIDTH + GAP); // the newest is always at the right
  for (const [at, [x, y, width, height, kind]] of bars(shown).entries()) {
    const bar = make("rect", { x: begin + x + 0.5, y: y + 0.5, width: width - 1, height: Math.max(1, height - 1), "data-kind": kind });
    const time = took(shown[at]);
    const said = make("title", {});
    said.textContent = [verdict(shown[at])[1], time !== null && duration(time)].filter(Boolean).join(", ");
    bar.append(said);
    picture.append(bar);
  }
  return picture;
}

function make(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  return made;
}
