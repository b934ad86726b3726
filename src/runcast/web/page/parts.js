// What both pages are made of: finding and making elements, setting texts, telling problems and the connection.

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

/** Make an element with its properties and children; what is no child is left out. */
export function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter(Boolean));
  return made;
}

let lost = false; // whether the problem on the page is one of the connection

/** Show how up to date the page is; `status` is what `keep` says. */
export function showLink(status, error) {
  const said = { live: "live", polling: "live", retrying: "reconnecting …" }[status] || "";
  $("link").dataset.kind = said === "live" ? "good" : "warn";
  set($("link"), said);
  const lasting = status === "gone" || status === "signed out";
  if (lasting) problem(because(error));
  else if (lost) problem("");
  lost = lasting;
}

/** What a browser keeps for all pages of this server; null where there is none, or it is denied. */
export function stored(name) {
  try {
    return localStorage.getItem(`runcast.${name}`);
  } catch {
    return null;
  }
}

export function store(name, value) {
  try {
    localStorage.setItem(`runcast.${name}`, value);
  } catch {
    // Denied: then it is for this page only.
  }
}
