// Long output on the page: a window of about a hundred rows over any number of them.
//
// What is in sight hangs on one row, the anchor, which is so many pixels above the top. Scrolling by little moves that;
// a drag of the scrollbar leads to the line that its place stands for. So rows of any height can be in between, and
// what is in sight stays where it is, whatever comes or goes elsewhere.

import { fill } from "./elements.js";
import { fromBar, MOST_HEIGHT, toBar } from "./scale.js";

const ABOVE = 30; // rows that are there beyond what is in sight
const BELOW = 50;
const MOST_HELD = 3000; // rows that are kept for a selection
const NEAR_END = 30; // pixels from the end that still count as being there
const FAR = 4; // heights of the window; who moves so far at once, without a wheel, means a place
const WHEEL = 400; // milliseconds for which a wheel moves
const SETTLE = 150; // milliseconds of rest before the scrollbar is set to where it should be

export class Window {
  #scroller;
  #list;
  #lines;
  #dress;
  #element = document.createElement("div"); // holds the rows
  #rows = []; // places that it shows
  #anchor = null;
  #shift = 0; // pixels of the anchor above the top
  #top = 0; // of the rows, in the list
  #at = 0; // where the scroller was last
  #dragging = false;
  #wheeled = -WHEEL;
  #settling = 0;
  #ending = new AbortController();
  #lineHeight = 20;
  #changed;

  /**
   * @param lines the rows
   * @param dress called with each place whose element was filled
   * @param changed called when it should be drawn again
   */
  constructor(scroller, list, lines, dress, changed) {
    this.#scroller = scroller;
    this.#list = list;
    this.#lines = lines;
    this.#dress = dress;
    this.#changed = changed;
    this.#element.className = "window";
    scroller.classList.add("windowed");
    list.append(this.#element);
    const on = (name, listener) => scroller.addEventListener(name, listener, { passive: true, signal: this.#ending.signal });
    on("wheel", () => (this.#wheeled = performance.now()));
    on("touchmove", () => (this.#wheeled = performance.now()));
    on("scrollend", () => this.#settle());
    on("pointerdown", (event) => (this.#dragging = event.offsetX >= scroller.clientWidth));
    addEventListener("pointerup", () => this.#dragging && this.#drop(), { signal: this.#ending.signal });
    this.#measure();
  }

  #drop() {
    this.#dragging = false;
    this.#settle();
  }

  leave() {
    this.#ending.abort();
    clearTimeout(this.#settling);
    for (const place of this.#rows) place.element = null;
    this.#element.remove();
    this.#scroller.classList.remove("windowed");
    this.#list.style.height = "";
  }

  get places() {
    return this.#rows;
  }

  get position() {
    return { place: this.#anchor, shift: this.#shift };
  }

  set position({ place, shift }) {
    this.#anchor = place;
    this.#shift = shift;
  }

  #measure() {
    this.#lineHeight = parseFloat(getComputedStyle(this.#scroller).lineHeight) || 20;
  }

  get #whole() {
    return this.#lines.total * this.#lineHeight;
  }

  get #seen() {
    return Math.max(1, Math.ceil(this.#scroller.clientHeight / this.#lineHeight));
  }

  /** Draw what is in sight: the end, or what is at the anchor. `held` keeps what is there, too, for a selection. */
  render(follows, held) {
    const last = this.#lines.last;
    if (!last) return false;
    let top = follows ? last : this.#anchor ?? last;
    if (top.gone || this.#lines.hides(top.line)) top = this.#lines.at(top.line);
    const start = this.#step(top, -(follows ? this.#seen + ABOVE : ABOVE));
    const most = ABOVE + this.#seen + BELOW;
    let rows = [];
    for (let place = start; place && rows.length < most; place = this.#lines.after(place)) rows.push(place);
    if (held) rows = this.#union(rows);
    this.#put(rows);
    this.#resize();
    if (follows) this.#alignEnd();
    else {
      this.#anchor = top;
      this.#align();
    }
    return false;
  }

  #step(place, count) {
    const next = (one) => (count < 0 ? this.#lines.before(one) : this.#lines.after(one));
    for (let left = Math.abs(count); left > 0; left -= 1) {
      const other = next(place);
      if (!other) break;
      place = other;
    }
    return place;
  }

  /** These rows, and those beside them that are there. */
  #union(rows) {
    const old = this.#rows.filter((place) => !place.gone);
    const behind = old.slice(old.indexOf(rows.at(-1)) + 1 || old.length);
    const from = old.indexOf(rows[0]);
    if (from < 0 && !rows.includes(old[0])) return rows;
    const all = [...old.slice(0, Math.max(0, from)), ...rows, ...behind];
    return all.length > MOST_HELD ? rows : all;
  }

  /** Have exactly these rows in the document; elements that are there stay the same ones. */
  #put(rows) {
    const wanted = new Set(rows);
    for (const place of this.#rows) {
      if (wanted.has(place)) continue;
      place.element?.remove();
      place.element = null;
    }
    let before = this.#element.firstChild;
    for (const place of rows) {
      if (place.element && place.element === before) {
        before = before.nextSibling;
        continue;
      }
      if (!place.element) {
        fill(place);
        this.#dress(place);
      }
      this.#element.insertBefore(place.element, before);
    }
    this.#rows = rows;
  }

  /** Give the list the height that all rows would have, as far as an element may be so high. */
  #resize() {
    const height = Math.max(this.#height, Math.min(MOST_HEIGHT, this.#whole));
    const css = `${height}px`;
    if (this.#list.style.height !== css) this.#list.style.height = css;
  }

  #alignEnd() {
    const height = this.#list.offsetHeight;
    this.#move(height - this.#height);
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#at = this.#scroller.scrollTop;
    this.#anchor = null;
    this.#find();
  }

  #move(top) {
    this.#top = top;
    this.#element.style.top = `${top}px`;
  }

  /** Set the scrollbar to where the anchor is in the whole, unless somebody is scrolling; move the rows along. */
  #align() {
    const element = this.#anchor.element;
    if (!element) return;
    if (!this.#settling && !this.#dragging) this.#scroller.scrollTop = this.#bar();
    this.#at = this.#scroller.scrollTop;
    this.#move(this.#at - this.#shift - this.#within(element) - this.#padding);
    // Where the rows end, no more can be scrolled.
    const [first, last] = [this.#rows[0], this.#rows.at(-1)];
    const top = this.#top + this.#padding;
    const bottom = top + this.#height;
    const view = this.#at + this.#scroller.clientHeight;
    if (!this.#lines.before(first) && top > this.#at + this.#padding) {
      this.#anchor = first;
      this.#shift = -this.#padding;
      this.#reach();
    } else if (bottom < view - this.#padding && !this.#lines.after(last)) {
      this.#alignEnd();
    }
  }

  #reach() {
    this.#scroller.scrollTop = this.#bar();
    this.#at = this.#scroller.scrollTop;
    this.#move(this.#at - this.#shift - this.#within(this.#anchor.element) - this.#padding);
  }

  /** How far below the first row one is: to a fraction of a pixel, which its `offsetTop` has not. */
  #within(element) {
    return element.getBoundingClientRect().top - this.#element.getBoundingClientRect().top;
  }

  get #height() {
    return this.#element.getBoundingClientRect().height;
  }

  get #padding() {
    return this.#list.offsetTop;
  }

  /** Where the scrollbar should be for what is in sight. */
  #bar() {
    const { scrollHeight, clientHeight } = this.#scroller;
    const bar = scrollHeight - clientHeight;
    const whole = Math.max(bar, this.#whole - clientHeight);
    return toBar((this.#anchor.line - 1) * this.#lineHeight + this.#shift + this.#padding, whole, bar);
  }

  toEnd() {
    this.render(true);
  }

  /** Bring a row into sight, so far from the top. */
  show(place, fromTop) {
    this.#stop();
    this.#anchor = place;
    this.#shift = -fromTop;
    this.render(false);
  }

  #stop() {
    clearTimeout(this.#settling);
    this.#settling = 0;
  }

  /** The scroller was moved: return whether to follow from now on, or null for as before. */
  scrolled() {
    const at = this.#scroller.scrollTop;
    const moved = at - this.#at;
    if (!moved || !this.#rows.length) return null;
    this.#at = at;
    const far = Math.abs(moved) > FAR * this.#scroller.clientHeight && performance.now() - this.#wheeled > WHEEL;
    const ended = this.#dragging || far ? this.#jump(at) : this.#find();
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#settle(), SETTLE);
    if (moved > 0 && (ended || this.#atEnd)) return true;
    return moved < 0 ? false : null;
  }

  get #atEnd() {
    const last = this.#rows.at(-1);
    if (last !== this.#lines.last || !last.element) return false;
    return last.element.getBoundingClientRect().bottom - this.#scroller.getBoundingClientRect().bottom < NEAR_END;
  }

  /** Scrolling has come to rest: now the scrollbar may be moved. */
  #settle() {
    if (!this.#settling || this.#dragging) return;
    this.#stop();
    this.#changed();
  }

  /** Go to the line that a place of the scrollbar stands for; return whether that is the end. */
  #jump(at) {
    const { scrollHeight, clientHeight } = this.#scroller;
    const bar = scrollHeight - clientHeight;
    const whole = Math.max(bar, this.#whole - clientHeight);
    const position = fromBar(at, whole, bar);
    this.#anchor = this.#lines.at(Math.floor(position / this.#lineHeight) + 1);
    this.#shift = position % this.#lineHeight;
    return bar - at < NEAR_END;
  }

  /** Find the row that is at the top now, and how far above it. */
  #find() {
    const rows = this.#rows;
    const box = this.#element.getBoundingClientRect().top;
    const top = this.#at - this.#top - this.#padding;
    let [low, high] = [0, rows.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (rows[middle].element.getBoundingClientRect().bottom - box <= top) low = middle + 1;
      else high = middle;
    }
    const place = rows[low];
    const { top: from, height } = place.element.getBoundingClientRect();
    const shift = top - (from - box);
    const beyond = Math.floor((shift < 0 ? shift : shift - height) / this.#lineHeight);
    if ((shift < 0 && low === 0) || (low === rows.length - 1 && beyond > 0)) {
      // Faster than rows were drawn: what is between is as high as rows that are not wrapped.
      this.#anchor = this.#step(place, beyond);
      this.#shift = shift - beyond * this.#lineHeight;
    } else [this.#anchor, this.#shift] = [place, shift];
  }
}
