// How many cells a character takes. No two libraries agree on all of Unicode; the rule here is short:
//
// A character is an extended grapheme cluster. Its width is the sum of what its code points take, at most two: so
// it is what a program counts that knows no clusters, but for sequences of emoji, which are one picture. A code
// point takes two cells if East Asian Width says wide, none if it is a mark or a format character, else one; the
// selector of emoji presentation makes an emoji wide.

import { WIDE } from "./wide.js";

// Most text is of these, which take one or two cells each and never join the character before them.
const NARROW = " -~\u00a1-\u00ac\u00ae-\u02ff\u0370-\u0377\u037a-\u037f\u0384-\u0482\u048a-\u0556\u2010-\u2027\u2030-\u205e\u20a0-\u20c0\u2100-\u2319\u2400-\u2426\u2500-\u25fc\u2800-\u28ff\ue000-\uf8ff";
const EAST_ASIAN = "\u3001-\u3029\u3041-\u3096\u30a1-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufa6d\uff01-\uff60";
const RUNS = new RegExp(`([${NARROW}]+)|([${EAST_ASIAN}]+)|[^${NARROW}${EAST_ASIAN}]+`, "g");
const OTHER = new RegExp(`[^${NARROW}\n]`, "g");
const ONLY_NARROW = new RegExp(`^[${NARROW}]*$`);

const NOTHING = /^[\p{Mn}\p{Me}\p{Cf}\u1160-\u11ff\ud7b0-\ud7ff]$/u;
const SOFT_HYPHEN = "\u00ad"; // a format character that terminals show
const EMOJI_PRESENTATION = "\ufe0f";
const EMOJI = /^\p{Emoji}$/u;

const segmenter = new Intl.Segmenter("en", { granularity: "grapheme" });

/** Where a text has, from a place on, the first character that is neither a line feed nor one of those of one cell. */
export function otherThanNarrowLines(text, from) {
  OTHER.lastIndex = from;
  return OTHER.test(text) ? OTHER.lastIndex - 1 : text.length;
}

export const isNarrow = (text) => ONLY_NARROW.test(text);

/** The runs of a text: pairs of what takes one, two or (null) various cells a character, and the text. */
export function* runs(text) {
  for (const [run, narrow, wide] of text.matchAll(RUNS)) yield [narrow ? 1 : wide ? 2 : null, run];
}

/** The grapheme clusters of a text. */
export const clusters = (text) => Array.from(segmenter.segment(text), ({ segment }) => segment);

/** The cells of a cluster; 0 for one that is a mark alone. */
export function widthOf(cluster) {
  let width = 0;
  let before = "";
  for (const character of cluster) {
    if (character === EMOJI_PRESENTATION) width += width === 1 && EMOJI.test(before) ? 1 : 0;
    else width += codePointWidth(character);
    if (width >= 2) return 2;
    before = character;
  }
  return width;
}

function codePointWidth(character) {
  if (character === SOFT_HYPHEN) return 1;
  if (NOTHING.test(character)) return 0;
  const code = character.codePointAt(0);
  let [low, high] = [0, WIDE.length / 2];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (code > WIDE[2 * middle + 1]) low = middle + 1;
    else high = middle;
  }
  return WIDE[2 * low] <= code ? 2 : 1;
}
