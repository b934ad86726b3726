// Rows of JSON that a logger printed, as time, level, message and fields.

import { nodes } from "./elements.js";
import { count } from "./format.js";
import { record } from "./records.js";
import { fullTime } from "./times.js";

export class RecordRows {
  /** The record of a row, see `records.js`; null where it is none. */
  of(place) {
    const { row } = place;
    if (row.text[0] !== "{" || row.text.at(-1) !== "}" || row.cut || place.exact) return null;
    if (place.recordOf !== row.text) {
      place.recordOf = row.text;
      place.record = record(textOf(row));
    }
    return place.record;
  }

  /** Have the element of a row show its record, if it is one. */
  dress(place, text) {
    const found = this.of(place);
    if (!found || place.element.classList.contains("record")) return;
    place.element.classList.add("record");
    text.replaceChildren(...parts(found));
  }
}

export const textOf = (row) => row.spans().map(([text]) => text).join("");

/** What a record says, as elements. */
function parts({ at, time, level, name, message, fields, stack }) {
  const made = [];
  const add = (kind, ...content) => {
    const element = document.createElement("span");
    element.className = kind;
    element.append(...content);
    made.push(element, " ");
    return element;
  };
  if (time) add("at", at === null ? time : clock(new Date(at))).title = at === null ? time : fullTime(at);
  if (name) add("level", name).dataset.level = level ?? "";
  if (message) add("message", ...nodes(message));
  for (const [key, value] of fields) {
    const term = document.createElement("span");
    term.className = "key";
    term.append(...nodes(`${key}=`));
    add("pair", term, ...nodes(value));
  }
  if (stack) made.push(folded(stack));
  return made;
}

const clock = (date) => `${date.toTimeString().slice(0, 8)}.${String(date.getMilliseconds()).padStart(3, "0")}`;

function folded(stack) {
  const lines = stack.trimEnd().split("\n");
  const [details, summary, text] = ["details", "summary", "span"].map((name) => document.createElement(name));
  const last = lines.findLast((line) => /^\S/.test(line)) ?? lines[0];
  details.className = "stack";
  summary.append(...nodes(lines[0].startsWith("Traceback") ? last : lines[0]), ` (${count(lines.length, "line")})`);
  text.append(...nodes(lines.join("\n")));
  details.append(summary, text);
  return details;
}
