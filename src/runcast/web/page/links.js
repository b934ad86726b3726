// Links in what is printed: which targets may be followed, and where an address in a text ends.
//
// Knows texts alone. A target is http, https or mail, since a page that follows others runs scripts or opens files.

const LONGEST = 2083; // characters of a target, as terminals have it
const SAFE = new Set(["http:", "https:", "mailto:"]);
const ADDRESS = /(?<![A-Za-z0-9+.-])https?:\/\/(?=[^\/?#])[^\s<>"'`\\^{}|\u0000-\u0020\u007f-\u00a0\u00ad\u061c\u200b-\u200f\u2028-\u202f\u2060-\u206f\u2500-\u259f\u3000-\u303f\ufeff\uff00-\uff0f]+/gi;
const PAIRS = { ")": "(", "]": "[" };

/** The address of a target as the page has it, or null where it may not be followed. */
export function target(text) {
  if (!text || text.length > LONGEST || /[\u0000-\u0020\u007f-\u009f]/.test(text)) return null;
  try {
    const url = new URL(text);
    return SAFE.has(url.protocol) && (url.protocol === "mailto:" || url.host) ? url.href : null;
  } catch {
    return null;
  }
}

/** The addresses in a text: [from, to, target]. */
export function addresses(text) {
  if (!text.includes("://")) return [];
  const found = [];
  for (const match of text.matchAll(ADDRESS)) {
    const address = ended(match[0]);
    const href = target(address);
    if (href) found.push([match.index, match.index + address.length, href]);
  }
  return found;
}

/** An address without what belongs to the sentence around it: points at its end, brackets that it did not open. */
function ended(text) {
  for (;;) {
    const last = text.at(-1);
    if (/[.,:;!?*_~…'"]/.test(last)) text = text.slice(0, -1);
    else if (PAIRS[last] && count(text, last) > count(text, PAIRS[last])) text = text.slice(0, -1);
    else return text;
  }
}

const count = (text, char) => text.split(char).length - 1;

/** Spans of a row, [text, style], with the addresses in them as spans of their own: [text, style, target]. */
export function linked(spans) {
  if (spans.length === 1 && !spans[0][0].includes("://")) return spans; // as most are
  const whole = spans.map(([text]) => text).join("");
  const found = addresses(whole);
  if (!found.length) return spans;
  const made = [];
  let [at, next] = [0, 0]; // in the whole text; the address that comes or goes on
  for (const [text, style] of spans) {
    const end = at + text.length;
    for (let from = at; from < end; ) {
      while (next < found.length && found[next][1] <= from) next += 1;
      const [begin, stop, href] = found[next] ?? [Infinity, Infinity];
      const inside = begin <= from;
      const to = Math.min(end, inside ? stop : begin);
      made.push(inside && !style.link ? [whole.slice(from, to), style, href] : [whole.slice(from, to), style]);
      from = to;
    }
    at = end;
  }
  return made;
}

/** Where a link leads, in short: its host, or who gets the mail. */
export const destination = (href) => (href.startsWith("mailto:") ? href.slice(7).split("?")[0] : new URL(href).host);

/** Whether a text looks like an address, and leads to another host than it says. */
export function deceives(text, href) {
  const named = /^\s*(?:https?:\/\/|www\.)?((?:[\w-]+\.)+[a-z]{2,})(?=[:/?#\s]|$)/i.exec(text);
  if (!named || href.startsWith("mailto:") || !/^\s*(?:https?:\/\/|www\.)/i.test(text)) return false;
  const [said, host] = [named[1], new URL(href).hostname].map((name) => name.toLowerCase().replace(/^www\./, ""));
  return said !== host;
}
