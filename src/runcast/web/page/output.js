// The output on the page: what is in sight, and whether that is the end.
//
// Short output is in the document whole (`whole.js`); of a long one a window is (`window.js`). Which rows there are is
// known by `lines.js`, and what a place is stands at the head of `rows.js`. What is in sight never moves by itself
// while its reader is not following, nor while a text is selected in it.
//
// A feature of the page plugs in here, without knowing which of the two shows the rows:
//
//   goTo(line)          bring a line into sight; a promise of what is to be said of that, mostly ""
//   mark(name, lines)   give rows of lines the class `mark-NAME`, and the scrollbar ticks of the colour `--mark-NAME`
//   decorate(dress)     have `dress(place, text)` called whenever the element of a row was filled; `text` is the
//                       element of its text, `place.element` that of the row. It may run again for the same element
//   redecorate(from, to) have all of that run again for what is shown, of lines; refill() makes the rows anew, too
//   fold(hides, unfold) have `hides(line)` say which lines around one are out of sight, [from, to], null for one in sight;
//                       and `unfold(line)` called when one is to be brought into sight
//   rows, before(place) the rows that are at hand, and the one above another
//   line, total         the line at the top of what is in sight, and how many there are
//   following, toEnd()

import { content, milliseconds } from "./chunks.js";
import { Cursor } from "./cursor.js";
import { Drawing } from "./drawing.js";
import { fill } from "./elements.js";
import { digits } from "./format.js";
import { Lines } from "./lines.js";
import { Marks } from "./marks.js";
import { OneChannel } from "./one_channel.js";
import { Selection } from "./selection.js";
import { Whole } from "./whole.js";
import { Window } from "./window.js";

const HELD = 5; // times as much as is kept otherwise, while it is all in the document: a selection may hold it, or the tab be hidden
const LEAST_DIGITS = 4; // that numbers of lines have room for
const RETRY = 1000; // milliseconds before rows that could not be fetched are tried again

export class Output {
  #scroller;
  #list;
  #jump;
  #view;
  #kind = "document"; // how it is shown: in the document, in a "window", or of one channel alone, which it is called by then
  #lines;
  #only = ""; // the channel whose rows are shown; all by ""
  #one = null; // these, of a long output
  #ask;
  #failed;
  #marks;
  #dresses = [];
  #drawing = new Drawing(() => this.#render());
  #sized = new ResizeObserver(() => this.#drawing.now());
  #leaving = new AbortController();
  #following = true;
  #followed;
  #selected;
  #left = 0; // how many lines there were when the end was left
  #unfold = () => {};
  #loads = []; // who waits for rows to be fetched
  #cursor = new Cursor((place) => this.#refill(place));

  /**
   * @param ask returns a promise of the reply to a poll from a line or an offset on; see `History`
   * @param failed called with the error when rows could not be fetched, and with null when they could
   * @param followed called when it begins to follow, or ceases to
   */
  constructor(elements, ask, { failed, followed }) {
    const { scroller, list, jump, ticks } = elements;
    [this.#scroller, this.#list, this.#jump] = [scroller, list, jump];
    this.#marks = new Marks(ticks);
    [this.#ask, this.#failed] = [ask, failed];
    this.#followed = followed;
    this.#lines = new Lines(ask, (error) => {
      failed(error);
      if (error) setTimeout(() => this.#draw(), RETRY);
      else this.#draw();
    });
    this.decorate((place) => this.#marks.dress(place));
    this.#view = this.#newWhole(this.#lines);
    this.#selected = new Selection(list, (held) => {
      if (held && this.#following) this.#left = this.feeds;
      this.#draw();
    }, this.#leaving.signal);
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    jump.addEventListener("click", () => {
      this.#selected.clear();
      this.toEnd();
      scroller.focus({ preventScroll: true });
    });
    this.#sized.observe(scroller);
  }

  #newWhole(lines) {
    return new Whole(this.#scroller, this.#list, lines, (place) => this.#dress(place));
  }

  // What comes.

  /** Begin at a line, perhaps in the middle of it: what stands before it is fetched when it is looked at. */
  begin(line, partial = false) {
    this.#lines.begin({ line, partial });
    this.#draw();
  }

  /** Take a chunk as JSON has it. */
  add(chunk) {
    const { rows } = this.#lines.tail;
    const { line } = rows;
    rows.add(chunk.channel, content(chunk), milliseconds(chunk));
    this.#one?.add(chunk, line);
    this.#lines.tail.trim(this.whole ? HELD : 1);
    this.#draw();
  }

  /** Say something between the lines that is not output; what goes on is at a line. */
  note(text, line) {
    this.#lines.tail.rows.note(text, line);
    this.#draw();
  }

  /** No more comes: show what is held back of a character, and the end before all else. */
  end() {
    this.#lines.tail.rows.flush();
    this.#drawing.now();
  }

  /** Its elements go away: listen to nothing, and draw no more. */
  leave() {
    this.#leaving.abort();
    this.#sized.disconnect();
    this.#drawing.stop();
    this.#view.leave();
  }

  /** Begin anew, with nothing on the page. */
  clear() {
    this.#view.leave();
    this.#lines.clear();
    this.#one = null;
    this.#kind = "document";
    this.#view = this.#newWhole(this.#lines);
    this.#cursor.forget();
    this.#follow(true);
    this.#draw();
  }

  /** Have stdout be that of a terminal with so many columns and rows. */
  resize(columns, rows) {
    this.#lines.resize(columns, rows);
  }

  /** Show it as a terminal does: all columns in a row; one that is live has no room for numbers beside them. */
  asTerminal(live) {
    this.#scroller.classList.add("terminal");
    this.#scroller.classList.toggle("screen-only", live);
  }

  /** How many line feeds came so far, those before the page's beginning among them. */
  get feeds() {
    return this.#lines.tail.rows.line - 1;
  }

  /** How many lines there are, one that is unfinished among them. */
  get total() {
    return this.#lines.total;
  }

  /** The line at the top of what is in sight. */
  get line() {
    return this.#view.position.place?.line ?? 1;
  }

  /** Whether all of it is in the document. */
  get whole() {
    return this.#kind === "document";
  }

  // The terminal to which keys go.

  /** The terminal to which keys go, and that shows its cursor while they do. */
  get keyed() {
    return this.#lines.tail.rows.terminal("stdout");
  }

  /** The text of the row at its cursor. */
  get lineAtCursor() {
    const place = this.keyed.screen.shownCursor?.place;
    return place ? place.row.spans().map(([text]) => text).join("").trim() : "";
  }

  showCursor(shows) {
    this.#cursor.shows = shows;
    this.#draw();
  }

  // What is in sight.

  /** Whether the newest output is in sight, and is kept so. */
  get following() {
    return this.#following;
  }

  /** Whether what is in sight moves as more comes: nobody reads further up, or has a text selected. */
  get moves() {
    return this.#following && !this.#selected.held;
  }

  set following(following) {
    if (following) this.toEnd();
    else {
      this.#follow(false);
      this.#left = this.feeds;
    }
  }

  toEnd() {
    this.#follow(true);
    if (!this.#selected.held) this.#view.toEnd();
    this.#draw();
  }

  /** Bring a line into sight, so far from the top; return a promise of what is to be said of that. */
  async goTo(line, fromTop = this.#scroller.clientHeight / 3) {
    const { total } = this;
    if (line > total) {
      this.toEnd();
      return `There is no line ${digits(line)}: the output has ${digits(total)} so far. This is its end.`;
    }
    this.#follow(false);
    this.#unfold(line);
    this.#takeView();
    this.#show(line, fromTop);
    // Not until its rows are there is it known where it is.
    while (this.#shown.at(line)?.pending) {
      await new Promise((resolve) => this.#loads.push(resolve));
      if (this.#following) return "";
    }
    const place = this.#shown.at(line);
    return place?.note ? `Line ${digits(line)} is not there. ${place.note}.` : "";
  }

  #show(line, fromTop) {
    const place = this.#shown.at(line);
    if (place) this.#view.show(place, Math.round(fromTop));
    this.#draw();
  }

  /** Do something that changes the heights of rows; what is at the top stays there. */
  relayout(change) {
    const { place, shift } = this.#view.position;
    change();
    if (!this.#following && place) this.#view.show(place, -shift);
    this.#drawing.now();
  }

  // What others add.

  mark(name, lines) {
    this.#marks.set(name, lines);
    this.redecorate();
    this.#marks.draw(this.total);
  }

  decorate(dress) {
    this.#dresses.push(dress);
  }

  redecorate(from = 1, to = Infinity) {
    for (const place of this.#view?.places ?? []) if (place.line >= from && place.line <= to) this.#dress(place);
    this.#draw();
  }

  /** Make all rows anew. */
  refill() {
    for (const place of this.#view.places) if (place.element && !place.note && !place.pending) this.#refill(place);
  }

  fold(hides, unfold) {
    this.#lines.hides = hides;
    this.#unfold = unfold;
    this.decorate((place) => (place.element.hidden = hides(place.line) !== null));
  }

  /** The rows that are at hand, in order: of a short output all. */
  get rows() {
    return this.#shown.tail.blocks.flatMap(({ places }) => places);
  }

  before(place) {
    if (!this.#one) return this.#lines.previous(place);
    const { places } = place.block;
    return places[places.indexOf(place) - 1] ?? null;
  }

  #dress(place) {
    if (place.note || place.pending) return;
    for (const dress of this.#dresses) dress(place, place.element.lastChild);
  }

  #refill(place) {
    fill(place);
    this.#dress(place);
  }

  // Drawing.

  #draw() {
    this.#drawing.soon();
  }

  #render() {
    const keyed = this.#cursor.shows && this.#lines.tail.rows.size;
    this.#cursor.move(keyed ? this.keyed.screen.shownCursor : null);
    for (const { tail } of [this.#lines, ...(this.#one ? [this.#one] : [])]) {
      for (const place of tail.dirty) {
        place.changed = false;
        if (!place.gone && place.element) this.#refill(place);
      }
      tail.dirty = [];
    }
    this.#takeView();
    // What is selected stays, and so does what is around it, though it should be a window by now.
    const frozen = this.whole && this.#isLong;
    const more = !frozen && this.#view.render(this.#following && !this.#selected.held, this.#selected.held);
    this.#marks.draw(this.total);
    this.#scroller.style.setProperty("--digits", Math.max(LEAST_DIGITS, String(this.total).length));
    this.#showJump();
    for (const resolve of this.#loads.splice(0)) resolve();
    return more;
  }

  get #isLong() {
    return !this.#lines.whole || this.#lines.tail.full;
  }

  /** The rows that are shown: all, or those of one channel. */
  get #shown() {
    return this.#one ?? this.#lines;
  }

  /** Show only the rows of one channel; those of all by "". */
  only(channel) {
    this.#only = channel;
    this.relayout(() => (this.#scroller.dataset.only = channel));
  }

  /** Take a window where the output is too long for the document, and of one channel what can be had of it. */
  #takeView() {
    const kind = !this.#isLong ? "document" : this.#only || "window";
    if (kind === this.#kind || (this.#selected.held && this.whole)) return;
    const { place, shift } = this.#view.position;
    const known = place && this.whole && !place.gone;
    this.#view.leave();
    this.#one = null;
    this.#kind = kind;
    if (this.#only) this.#takeChannel();
    else {
      this.#view = new Window(this.#scroller, this.#list, this.#lines, (place) => this.#dress(place), () => this.#draw());
      if (!this.#following && place) this.#view.position = { place: known ? place : this.#lines.at(place.line), shift };
    }
  }

  #takeChannel() {
    const one = new OneChannel(this.#only, this.#ask);
    this.#one = one;
    this.#view = this.#newWhole(one);
    one.load().then(() => {
      this.#failed(null);
      this.#draw();
    }, (error) => this.#failed(error));
  }

  #scrolled() {
    const follows = this.#view.scrolled();
    if (follows !== null) this.#follow(follows);
    if (this.#kind === "window") this.#drawing.now();
  }

  #follow(following) {
    if (this.#following && !following) this.#left = this.feeds;
    if (this.#following !== following) this.#followed(following);
    this.#following = following;
    this.#showJump();
  }

  #showJump() {
    const away = !this.#following || this.#selected.held;
    this.#jump.hidden = !away;
    const came = this.feeds - this.#left;
    const text = away && came > 0 ? `Jump to the end: ${digits(came)} new ${came === 1 ? "line" : "lines"}` : "Jump to the end";
    if (this.#jump.textContent !== text) this.#jump.textContent = text;
  }
}
