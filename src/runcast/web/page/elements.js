// Rows as elements. Text goes into text nodes and nowhere else.
//
// The element of a row has two children: the link with its number, `a.number`, and its text, `span.text`. Number and
// time are attributes that CSS shows, so that no copy and no search of the browser takes them for output.

import { paint } from "./colours.js";
import { count, visible } from "./format.js";
import { deceives, destination, linked } from "./links.js";
import { LONGEST_ROW } from "./row.js";
import { PLAIN } from "./sgr.js";
import { clusters, isNarrow, widthOf } from "./width.js";

const CLASSES = { stdout: "line", stderr: "line err", data: "line data" };
// Characters that turn the direction of text around: shown as what they are, as in names and commands.
const LONGEST_SHOWN = 120; // characters of where a link leads
const TURNS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const LABELS = { stderr: ", stderr", data: ", data" };

/** Have the element of a place show its row, or its note; return it. */
export function fill(place) {
  const element = (place.element ??= document.createElement("div"));
  if (place.note) {
    element.className = "note";
    element.textContent = place.note;
    return element;
  }
  element.className = place.pending ? "line pending" : CLASSES[place.channel] || "line unknown";
  if (place.more) element.classList.add("more");
  if (place.unordered) element.classList.add("unordered");
  const text = element.lastChild ?? number(element, place);
  if (place.pending) return element;
  if (place.cursor !== undefined) {
    const parts = place.row.around(place.cursor);
    const [before, at, after] = parts.map((spans) => spans.map(([text, style]) => span(text, style, place.exact)));
    for (const one of at) one.classList.add("cursor");
    text.replaceChildren(...before, ...at, ...after);
    return element;
  }
  const spans = linked(place.row.spans());
  const exact = place.exact && spans.some(([text]) => !isNarrow(text)); // has cells that a font may not keep
  if (spans.length === 1 && spans[0][1] === PLAIN && !exact && !TURNS.test(spans[0][0])) text.textContent = spans[0][0];
  else text.replaceChildren(...spans.flatMap((span) => shown(span, exact)));
  if (place.row.cut) {
    const cut = span(` … cut after ${count(LONGEST_ROW, "character")}`, PLAIN);
    cut.className = "cut";
    text.append(cut);
  }
  return element;
}

/** Make the two children of a row; return that of its text. */
function number(element, { line, channel, unordered }) {
  const [link, text] = [document.createElement("a"), document.createElement("span")];
  link.className = "number";
  link.href = `#L${line}`;
  link.tabIndex = -1;
  link.dataset.line = line;
  link.ariaLabel = `Line ${line}${LABELS[channel] ?? ""}${unordered ? ", perhaps before the line above" : ""}`;
  text.className = "text";
  element.append(link, text);
  return text;
}

/** A span as nodes. */
function shown([text, style, href = style.link], exact) {
  const inner = style === PLAIN && !exact ? marked(text) : [span(text, style, exact)];
  return href ? [link(text, href, inner)] : inner;
}

/** A text as nodes: with its addresses as links, and nothing hidden in it that turns it around. */
export const nodes = (text) => linked([[text, PLAIN]]).flatMap((span) => shown(span, false));

function link(text, href, inner) {
  const element = document.createElement("a");
  element.className = "leads";
  element.href = href;
  element.rel = "noopener noreferrer";
  element.target = "_blank";
  element.title = href;
  if (text !== href) element.dataset.to = href.length > LONGEST_SHOWN ? `${href.slice(0, LONGEST_SHOWN)}…` : href;
  if (deceives(text, href)) element.dataset.host = destination(href);
  element.append(...inner);
  return element;
}

/** A text as nodes, with marks for what turns it around. */
function marked(text) {
  if (!TURNS.test(text)) return [text];
  return text.split(/([\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069])/).filter(Boolean).map((part) => {
    if (!TURNS.test(part)) return part;
    const mark = document.createElement("span");
    mark.className = "turn";
    mark.textContent = visible(part);
    return mark;
  });
}

function span(text, style, exact = false) {
  const element = document.createElement("span");
  paint(element, style, text);
  if (exact && !isNarrow(text)) element.append(...clusters(text).flatMap((one) => (widthOf(one) === 2 ? wide(one) : marked(one))));
  else element.append(...marked(text));
  return element;
}

/** A character in exactly two cells of a terminal. */
function wide(character) {
  const element = document.createElement("span");
  element.className = "wide";
  element.textContent = character;
  return element;
}

/** Make the element of a block, which is as high as its lines, unwrapped, until they are in it. */
export function blockElement(lines) {
  const element = document.createElement("div");
  element.className = "block";
  element.style.minBlockSize = `${lines}lh`;
  return element;
}

/** Have a block laid out only when it is in sight; till then it is as high as its lines, unwrapped. */
export function settle(element, lines) {
  element.style.containIntrinsicBlockSize = `auto ${lines}lh`;
  element.classList.add("settled");
}
