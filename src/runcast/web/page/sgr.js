// Colours and styles: what a select-graphic-rendition sequence (SGR) makes of the style before it.
//
// A style is an object that never changes: the same flags and colours are the same object, so that styles are
// compared by `===`. A colour is a number: 0 is none, 1 to 16 are the palette, whose shades the page chooses, and
// larger ones are a red, green and blue that the program chose; of 256 colours all but the first 16 are such.
//
// Left out on purpose: concealed text (a log hides nothing), blinking, the colour and the form of an underline.

const FLAGS = { bold: 1, dim: 2, italic: 4, underline: 8, strike: 16, inverse: 32, overline: 64 };
const ALL = 127;
const ON = { 1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse", 9: "strike", 21: "underline", 53: "overline" };
const OFF = { 22: ["bold", "dim"], 23: ["italic"], 24: ["underline"], 27: ["inverse"], 29: ["strike"], 55: ["overline"] };
const PALETTE = 17; // its colours, and none
export const NUMBERS = (ALL + 1) * PALETTE * PALETTE; // that styles may have
const RGB = 1 << 24;
const UNDERLINE_COLOUR = 58; // known, so that its arguments are not taken for other codes
const MOST_KNOWN = 1000; // sequences; a program uses few, one that counts through colours uses all
const MOST_MIXED = 4096; // styles with a colour that is not of the palette

const known = new Map(); // what each sequence does: colours to set, flags to keep and flags to set
const numbered = new Array(NUMBERS); // styles whose colours are of the palette
const mixed = new Map(); // the others, and those with a link; a style may be made anew when they were too many

class Style {
  #erased = null;

  constructor(flags, fg, bg, link, number) {
    this.number = number; // of a style with colours of the palette and without a link; the others have none
    this.flags = flags;
    this.fg = fg;
    this.bg = bg;
    this.link = link; // where the text leads to, or null
  }

  has(name) {
    return Boolean(this.flags & FLAGS[name]);
  }

  equals(other) {
    return this === other || (this.flags === other.flags && this.fg === other.fg && this.bg === other.bg && this.link === other.link);
  }

  /** The style of a cell that is erased: only the background colour stays. */
  get erased() {
    return (this.#erased ??= styled(0, 0, this.bg));
  }

  /** The names of the flags. */
  get names() {
    return Object.keys(FLAGS).filter((name) => this.flags & FLAGS[name]);
  }
}

function styled(flags, fg, bg, link = null) {
  if (fg < PALETTE && bg < PALETTE && link === null) {
    const number = (flags * PALETTE + fg) * PALETTE + bg;
    return (numbered[number] ??= new Style(flags, fg, bg, null, number));
  }
  const key = `${flags} ${fg} ${bg} ${link ?? ""}`;
  let style = mixed.get(key);
  if (!style) {
    if (mixed.size >= MOST_MIXED) mixed.clear();
    mixed.set(key, (style = new Style(flags, fg, bg, link, null)));
  }
  return style;
}

export const PLAIN = styled(0, 0, 0); // its number is 0

/** The same style with another link, or with none (null). */
export const withLink = (style, link) => (style.link === link ? style : styled(style.flags, style.fg, style.bg, link));

/** The style of a number that was one's. */
export const styleOf = (number) => numbered[number];

/** The red, green and blue of a colour; null for one of the palette. */
export const rgbOf = (colour) => (colour < RGB ? null : [(colour >> 16) & 255, (colour >> 8) & 255, colour & 255]);

/** The style after a sequence with these parameters, as they stand between `ESC [` and `m`. */
export function restyle(style, parameters) {
  let change = known.get(parameters);
  if (!change) {
    change = parse(parameters);
    if (known.size >= MOST_KNOWN) known.clear();
    known.set(parameters, change);
  }
  return styled((style.flags & change.keep) | change.set, change.fg ?? style.fg, change.bg ?? style.bg, style.link);
}

function parse(parameters) {
  const change = { fg: null, bg: null, keep: ALL, set: 0 };
  const codes = parameters.split(";");
  for (let at = 0; at < codes.length; at += 1) {
    const [code, ...parts] = codes[at].split(":").map((text) => parseInt(text, 10) || 0);
    if (code === 38 || code === 48 || code === UNDERLINE_COLOUR) {
      const [colour, used] = parts.length ? [colourOf(parts), 0] : following(codes.slice(at + 1, at + 5));
      if (code === 38) change.fg = colour ?? change.fg;
      else if (code === 48) change.bg = colour ?? change.bg;
      at += used;
    } else if (code === 4 && parts.length && !parts[0]) flags(change, ["underline"], false);
    else simple(change, code);
  }
  return change;
}

function simple(change, code) {
  if (code === 0) Object.assign(change, { fg: 0, bg: 0, keep: 0, set: 0 });
  else if (ON[code]) flags(change, [ON[code]], true);
  else if (OFF[code]) flags(change, OFF[code], false);
  else if (code >= 30 && code <= 37) change.fg = code - 29;
  else if (code >= 90 && code <= 97) change.fg = code - 81;
  else if (code === 39) change.fg = 0;
  else if (code >= 40 && code <= 47) change.bg = code - 39;
  else if (code >= 100 && code <= 107) change.bg = code - 91;
  else if (code === 49) change.bg = 0;
}

function flags(change, names, on) {
  for (const name of names) {
    change.keep &= ~FLAGS[name];
    change.set = on ? change.set | FLAGS[name] : change.set & ~FLAGS[name];
  }
}

/** A colour whose parts are parameters of their own, and how many it used. */
function following(codes) {
  const numbers = codes.map((text) => parseInt(text, 10) || 0);
  if (numbers[0] === 2) return [mix(numbers.slice(1, 4)), 4];
  return numbers[0] === 5 ? [indexed(numbers[1]), 2] : [null, 1];
}

/** A colour written with colons: `5:N`, `2:R:G:B`, or with a colour space `2::R:G:B`. */
function colourOf(parts) {
  if (parts[0] === 2) return mix(parts.length > 4 ? parts.slice(2, 5) : parts.slice(1, 4));
  return parts[0] === 5 ? indexed(parts[1]) : null;
}

/** One of 256 colours: the palette, a cube of six steps each way, and greys. */
function indexed(index = 0) {
  if (index > 255) return null;
  if (index < 16) return index + 1;
  if (index >= 232) return mix(Array(3).fill((index - 232) * 10 + 8));
  return mix([36, 6, 1].map((unit) => Math.floor((index - 16) / unit) % 6).map((step) => (step ? step * 40 + 55 : 0)));
}

const mix = (rgb) => [0, 1, 2].reduce((sum, at) => sum * 256 + Math.min(255, rgb[at] || 0), 1);
