// When a row came, in words: by the clock, since the run began, or since the row before it.

import { duration, two } from "./format.js";

export const TIMES = ["off", "clock", "start", "gap"];
export const SLOW = 5000; // milliseconds after which a row is worth a mark

/** What the column of times says of a row; `began` is when the run began, in milliseconds. */
export function timeOf(place, kind, began) {
  if (!place.time) return "";
  if (kind === "clock") return clock(new Date(place.time));
  if (kind === "start") return since((place.time - began) / 1000);
  if (kind === "gap") return gap(place.gap);
  return "";
}

const clock = (date) => [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");

/** Seconds as hours, minutes, seconds and tenths. */
function since(seconds) {
  const tenths = Math.round(Math.max(0, seconds) * 10);
  const [hours, minutes, rest] = [Math.floor(tenths / 36000), Math.floor(tenths / 600) % 60, tenths % 600];
  const small = `${two(Math.floor(rest / 10))}.${rest % 10}`;
  return hours ? `${hours}:${two(minutes)}:${small}` : `${minutes}:${small}`;
}

/** How long nothing came before it; what comes within a moment of the row before has none. */
function gap(milliseconds) {
  if (!milliseconds || milliseconds < 50) return "";
  return `+${duration(milliseconds / 1000)}`;
}

export const isSlow = (place) => place.gap !== null && place.gap > SLOW;

/** All of a time, with its zone. */
export function fullTime(time) {
  const date = new Date(time);
  const day = date.toLocaleDateString([], { weekday: "short", day: "numeric", month: "short", year: "numeric" });
  const zone = /GMT.*/.exec(date.toString())?.[0] ?? "";
  return `${day}, ${clock(date)}.${String(date.getMilliseconds()).padStart(3, "0")} ${zone}`;
}
