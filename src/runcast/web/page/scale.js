// Where something stands on the scrollbar of an element that cannot be as high as all rows are.
//
// Near both ends a pixel is a pixel, so that scrolling ends where the rows do; in between, the rest of the height
// stands for the rest of the rows.

export const MOST_HEIGHT = 10_000_000; // pixels; browsers cut at 17 million and more
const EXACT = 100_000; // pixels from each end

/** From pixels of all rows, of `whole`, to those of a bar. */
export function toBar(position, whole, bar) {
  return mapped(position, whole, bar);
}

/** From pixels of a bar to those of all rows. */
export function fromBar(at, whole, bar) {
  return mapped(at, bar, whole);
}

function mapped(at, from, to) {
  at = Math.max(0, Math.min(at, from));
  if (from === to) return at;
  const exact = Math.min(EXACT, from / 4, to / 4);
  if (at <= exact) return at;
  if (at >= from - exact) return to - (from - at);
  return exact + ((at - exact) * (to - 2 * exact)) / (from - 2 * exact);
}
