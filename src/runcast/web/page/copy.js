// Copying: into the clipboard, or by hand where the browser gives no page a clipboard: without TLS, or denied.

import { $, set } from "./parts.js";

/** Have a button copy the text that `read` returns; `what` names it, and `note` returns what else is to be said. */
export function copies(button, what, read, note = () => "") {
  button.addEventListener("click", () => copy(read(), what, $("copied"), note()));
}

/** Copy a text; `what` names it. That it was copied is said in an element, `said`, and a note behind that. */
export async function copy(text, what, said = $("copied"), note = "") {
  for (const one of [said, $("copied")]) set(one, ""); // so that the same sentence is read out again
  let byHand = false;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    byHand = true;
  }
  $("by-hand").hidden = !byHand;
  set($("by-hand"), byHand ? text : "");
  if (byHand) getSelection().selectAllChildren($("by-hand"));
  const words = byHand ? ["The browser lets this page copy nothing.", note, "It is selected here, copy it by hand:"] : [`${what} copied.`, note];
  set(byHand ? $("copied") : said, words.filter(Boolean).join(" "));
}
