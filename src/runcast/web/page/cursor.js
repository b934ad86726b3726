// The cursor of a terminal, while keys go there: the row that shows it.

export class Cursor {
  shows = false;
  #place = null; // that shows it
  #refill;

  /** @param refill makes the element of a place anew */
  constructor(refill) {
    this.#refill = refill;
  }

  /** Move it to where it is on its screen, {place, column}; null takes it off the page. */
  move(to) {
    if (to?.place === this.#place && to?.column === this.#place?.cursor) return;
    for (const [place, column] of [[this.#place, undefined], [to?.place, to?.column]]) {
      if (!place || place.gone) continue;
      place.cursor = column;
      if (place.element) this.#refill(place);
    }
    this.#place = to?.place ?? null;
  }

  /** The rows are gone, and with them what showed it. */
  forget() {
    this.#place = null;
  }
}
