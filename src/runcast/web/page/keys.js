// Keys that press buttons, and the sheet that names them: one list makes both, so that they agree.
//
// A key is the page's unless somebody types into a field, a modifier makes it the browser's, or a dialog is open.

import { $ } from "./parts.js";

const FIELDS = "input, textarea, select, [contenteditable]";

/**
 * Have keys press buttons, `[[key, button, what it does if not its text], …]`; the last button opens the sheet. One
 * without a button is for the sheet alone.
 */
export function keys(pairs) {
  const buttons = new Map(pairs);
  for (const [key, button, words] of pairs) {
    button?.setAttribute("aria-keyshortcuts", key);
    $("keys-list").append(entry(key, words ?? button.textContent));
  }
  $("keys-list").append(entry("Esc", "Close this sheet"));
  pairs.at(-1)[1].addEventListener("click", () => $("keys").showModal());
  $("keys-close").addEventListener("click", () => $("keys").close());
  addEventListener("keydown", (event) => {
    const button = buttons.get(event.key);
    if (!button || button.hidden || button.disabled) return;
    if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
    if ($("keys").open || event.target.closest?.(FIELDS)) return;
    event.preventDefault();
    button.click();
  });
}

function entry(key, words) {
  const [row, term, cap, meaning] = ["div", "dt", "kbd", "dd"].map((name) => document.createElement(name));
  cap.textContent = key;
  meaning.textContent = words;
  term.append(cap);
  row.append(term, meaning);
  return row;
}
