// What both pages are made of: finding elements, setting texts, telling problems and the connection.

import { because } from "./api.js";

export const $ = (id) => document.getElementById(id);

/** Set a text only where it changes: what is read out is not read twice, a selection stays. */
export function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Tell what went wrong; an empty text takes it back. */
export function problem(text) {
  set($("problem"), text);
  $("problem").hidden = !text;
}

/** Have a button do something: not twice at once, and with its error on the page. */
export async function busy(button, action) {
  button.disabled = true;
  problem("");
  try {
    await action();
  } catch (error) {
    problem(because(error));
  }
  button.disabled = false;
}

let told = false; // whether the problem on the page is one of the connection

/** Show how up to date the page is; `status` is what `keep` says. */
export function showLink(status, error) {
  const said = { live: "live", polling: "live", retrying: "reconnecting …" }[status] || "";
  $("link").dataset.kind = said === "live" ? "good" : "warn";
  set($("link"), said);
  const lasting = status === "gone" || status === "signed out";
  if (lasting) problem(because(error));
  else if (told) problem("");
  told = lasting;
}
