// Styles on the page: which class and which colours an element has for one.
//
// The palette's shades are classes, chosen in log.css so that they can be read in both schemes. A colour that the
// program chose is shown as it is where it chose the background, too; on the page's own background it is made
// darker in the light scheme and lighter in the dark one, as far as reading needs.

import { rgbOf } from "./sgr.js";

// What is read has this contrast (WCAG 2.2, 1.4.3), and a little more, as stderr has a tint.
const CONTRAST = 5;
const SURFACES = [[255, 255, 255], [25, 28, 32]]; // --surface in log.css, in the light and in the dark scheme
const [BLACK, WHITE] = [[0, 0, 0], [255, 255, 255]];
// The palette beside a background that is not ours: the usual shades.
const SHADES = [0x000000, 0xcd0000, 0x00cd00, 0xcdcd00, 0x0000ee, 0xcd00cd, 0x00cdcd, 0xe5e5e5,
  0x7f7f7f, 0xff0000, 0x00ff00, 0xffff00, 0x5c5cff, 0xff00ff, 0x00ffff, 0xffffff]
  .map((rgb) => [rgb >> 16, (rgb >> 8) & 255, rgb & 255]);
// Lines and blocks are no text: pictures are made of them.
const PICTURE = /^[ \u2500-\u259f\u2800-\u28ff\ue0b0-\ue0bf]*$/;
const MOST_KNOWN = 4096; // styles

const known = new Map();

/** Have an element show a style. */
export function paint(element, style, text) {
  let look = known.get(style);
  if (!look) {
    look = lookOf(style);
    if (known.size >= MOST_KNOWN) known.clear();
    known.set(style, look);
  }
  element.className = look.names;
  if (look.background) element.style.backgroundColor = look.background;
  const colour = look.colour && PICTURE.test(text) ? look.exact : look.colour;
  if (colour) element.style.color = colour;
}

/** The class names of a style, and the colours that it has besides. */
function lookOf(style) {
  const inverse = style.has("inverse");
  const [front, behind] = inverse ? [style.bg, style.fg] : [style.fg, style.bg];
  const [colour, ground] = [rgbOf(front), rgbOf(behind)];
  const names = style.names;
  if (ground) {
    // Nothing of the page's is in it: neither the text's colour nor what is inverse.
    const exact = colour ?? (front ? SHADES[front - 1] : legible(ground));
    const seen = colour ?? readable(exact, ground);
    return { names: without(names, "inverse", "dim"), background: css(ground), colour: css(seen), exact: css(exact) };
  }
  if (style.fg && !rgbOf(style.fg)) names.push(`fg${style.fg - 1}`);
  if (style.bg && !rgbOf(style.bg)) names.push(`bg${style.bg - 1}`);
  if (!colour) return { names: names.join(" ") };
  if (inverse) return { names: names.join(" "), colour: css(colour), exact: css(colour) };
  const [light, dark] = SURFACES.map((surface) => css(readable(colour, surface)));
  return { names: without(names, "dim"), colour: light === dark ? light : `light-dark(${light}, ${dark})`, exact: css(colour) };
}

const without = (names, ...those) => names.filter((name) => !those.includes(name)).join(" ");

const css = (rgb) => `rgb(${rgb.join(", ")})`;

/** Black or white, whichever is read better. */
const legible = (ground) => (contrast(BLACK, ground) > contrast(WHITE, ground) ? BLACK : WHITE);

/** A colour that can be read on a ground: this one, or as much nearer to black or white as that needs. */
function readable(colour, ground) {
  if (contrast(colour, ground) >= CONTRAST) return colour;
  const end = legible(ground);
  let [low, high] = [0, 1];
  for (let step = 0; step < 8; step += 1) {
    const middle = (low + high) / 2;
    if (contrast(between(colour, end, middle), ground) < CONTRAST) low = middle;
    else high = middle;
  }
  return between(colour, end, high);
}

const between = (from, to, share) => from.map((value, at) => Math.round(value + (to[at] - value) * share));

function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

const luminance = (rgb) =>
  rgb.reduce((sum, value, at) => sum + [0.2126, 0.7152, 0.0722][at] * ((value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4)), 0);
