// Short output on the page: all of it is in the document, so that the browser's own search and selection have it.
//
// Rows become elements in batches, newest first; blocks out of sight are laid out when one scrolls there, not before.

import { blockElement, fill, settle } from "./elements.js";

const DRAWING = 20; // milliseconds of making elements at a time: what comes last first
const NEAR_END = 30; // pixels from the end that still count as being there

export class Whole {
  #scroller;
  #list;
  #lines;
  #dress;
  #top = 0; // where the scroller was last
  #shown = new Set(); // blocks that have an element
  #shows = null; // the row that was brought into sight, and how far from the top, until somebody scrolls

  /** @param lines the rows. @param dress called with each place whose element was filled */
  constructor(scroller, list, lines, dress) {
    this.#scroller = scroller;
    this.#list = list;
    this.#lines = lines;
    this.#dress = dress;
  }

  /** Draw what is new, for a while; return whether there is more to draw. */
  render(follows) {
    const began = performance.now();
    const { blocks } = this.#lines.tail;
    for (const block of this.#shown) {
      if (blocks.includes(block)) continue;
      block.element.remove();
      this.#shown.delete(block);
    }
    for (const block of blocks) {
      if (block.element) continue;
      this.#list.append((block.element = blockElement(block.places.length)));
      this.#shown.add(block);
    }
    let at = blocks.length - 1;
    // The newest in any case: on a busy machine the time may be over before the first is drawn.
    for (; at >= 0 && (at === blocks.length - 1 || performance.now() - began < DRAWING); at -= 1) {
      const block = blocks[at];
      this.#show(block);
      // Not the last ones, whose true heights decide where the end is.
      if (at < blocks.length - 2 && !block.settled) {
        block.settled = true;
        settle(block.element, block.places.length);
      }
    }
    if (follows) this.toEnd();
    else if (this.#shows) this.#bring(...this.#shows);
    return at >= 0;
  }

  #show({ places, element }) {
    const shown = places.findLastIndex((place) => place.element) + 1;
    if (shown === places.length) return;
    const fragment = document.createDocumentFragment();
    for (const place of places.slice(shown)) {
      fragment.append(fill(place));
      this.#dress(place);
    }
    element.append(fragment);
    element.style.minBlockSize = "";
  }

  /** Take everything off the page. */
  leave() {
    for (const block of this.#shown) {
      block.element.remove();
      block.element = null;
      block.settled = false;
      for (const place of block.places) place.element = null;
    }
    this.#shown.clear();
  }

  toEnd() {
    this.#shows = null;
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#top = this.#scroller.scrollTop;
  }

  /** The scroller was moved: return whether to follow from now on, or null for as before. */
  scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    if (scrollTop !== this.#top) this.#shows = null;
    const up = scrollTop < this.#top;
    this.#top = scrollTop;
    // Away from the end is not enough: lines that came since the last drawing move the end, too.
    if (scrollHeight - scrollTop - clientHeight < NEAR_END) return true;
    return up ? false : null;
  }

  /** Bring a row into sight, so far from the top. */
  show(place, fromTop) {
    this.#shows = [place, fromTop];
    this.render(false);
  }

  #bring(place, fromTop) {
    if (place.gone) return;
    this.#show(place.block);
    for (let pass = 0; pass < 2; pass += 1) {
      // Blocks on the way take their true height when they are seen: then it is somewhere else.
      const at = place.element.getBoundingClientRect().top - this.#edge;
      this.#scroller.scrollTop += at - fromTop;
    }
    this.#top = this.#scroller.scrollTop;
  }

  /** Where what is in sight begins, in the window. */
  get #edge() {
    return this.#scroller.getBoundingClientRect().top + this.#scroller.clientTop;
  }

  /** The row at the top of what is in sight, and how many pixels of it are above that. */
  get position() {
    const top = this.#edge;
    const below = (one) => one.element && one.element.getBoundingClientRect().bottom > top;
    const block = this.#lines.tail.blocks.find(below);
    const place = block?.places.find(below) ?? this.#lines.last;
    return { place, shift: place?.element ? top - place.element.getBoundingClientRect().top : 0 };
  }

  /** The places that have an element. */
  get places() {
    return [...this.#shown].flatMap(({ places }) => places.filter((place) => place.element));
  }
}
