// Blocks of rows: all that begin in one stretch of the server's lines. They are what is kept, fetched and forgotten.

export const BLOCK_LINES = 500;
const TOGETHER = 10; // milliseconds
const MOST_ROWS = 2000; // in a block; a line of a terminal may have any number

export const blockOf = (line) => Math.floor((line - 1) / BLOCK_LINES);
/** The first line of a block. */
export const firstOf = (number) => number * BLOCK_LINES + 1;

/**
 * Whether a row may have been printed before the one above it: it came together with it, by the other channel.
 *
 * Two pipes are read in turn, and nothing says which of them was written first.
 */
export const unordered = (place, above) =>
  Boolean(place.time && above?.time) && place.channel !== above.channel && place.time - above.time < TOGETHER;

export class Block {
  places = [];
  size = 0; // characters of rows that do not change any more
  element = null; // of the block as a whole, where the page has it

  constructor(number) {
    this.number = number;
  }

  /** Whether a row of this line still belongs here. */
  takes(line) {
    return blockOf(line) === this.number && this.places.length < MOST_ROWS;
  }

  /** Add a row below `previous`, which may be in another block. */
  add(place, previous = this.places.at(-1)) {
    place.block = this;
    place.more = previous?.line === place.line; // of a line whose number stands above
    place.gap = place.time && previous?.time ? Math.max(0, place.time - previous.time) : null;
    place.unordered = unordered(place, previous);
    this.places.push(place);
  }

  remove(place) {
    this.places.splice(this.places.lastIndexOf(place), 1);
    place.gone = true;
  }

  /** The row that shows a line: the first that it began, or else the last one before it. */
  at(line) {
    let [low, high] = [0, this.places.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.places[middle].line < line) low = middle + 1;
      else high = middle;
    }
    return this.places[low]?.line === line ? this.places[low] : this.places[Math.max(0, low - 1)];
  }

  forget() {
    for (const place of this.places) place.gone = true;
  }
}
