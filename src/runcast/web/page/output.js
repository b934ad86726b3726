// The output on the page: lines become elements, in batches, and only so many of them are kept.
//
// Text goes into text nodes and nowhere else. Channels are apart: each has a line of its own that it
// writes on, so a prompt on stdout and an error in between stay two lines.

import { LONGEST_LINE, Line, styleNames, Terminal } from "./terminal.js";
import { count } from "./words.js";

const MOST_LINES = 20000; // in the page; a browser lays these out in a moment, ten times as many not
const MOST_CHARACTERS = 8 << 20;
const NEAR_END = 30; // pixels from the end that still count as being there

const CLASSES = { stdout: "line", stderr: "line err", data: "line data" };

export class Output {
  #scroller;
  #list;
  #jump;
  #onCut;
  #channels = new Map();
  #kept = []; // lines and notes, in order
  #size = 0; // their characters
  #fresh = []; // not yet on the page
  #changed = new Set(); // on the page, with another text
  #drawing = 0;
  #following = true;
  #partial = false; // the beginning of a line is missing: up to its end, nothing is shown

  /** Whether the newest output is in sight, and is kept so. */
  get following() {
    return this.#following;
  }

  constructor(scroller, list, jump, onCut) {
    this.#scroller = scroller;
    this.#list = list;
    this.#jump = jump;
    this.#onCut = onCut;
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    jump.addEventListener("click", () => {
      this.#follow(true);
      scroller.focus({ preventScroll: true });
    });
    new ResizeObserver(() => this.#following && this.#toEnd()).observe(scroller);
  }

  /** Begin in the middle of a line, of which what is left is not shown. */
  skipLine() {
    this.#partial = true;
    this.#onCut();
  }

  add(channel, data) {
    if (this.#partial) {
      const feed = typeof data === "string" ? data.indexOf("\n") : data.indexOf(10);
      if (feed < 0) return;
      data = data.slice(feed + 1);
      this.#partial = false;
    }
    const terminal = this.#channel(channel).terminal;
    if (typeof data === "string") terminal.text(data);
    else terminal.bytes(data);
    this.#draw();
  }

  /** Say something between the lines that is not output. */
  note(text) {
    for (const channel of this.#channels.values()) channel.line = null; // their ends are not here
    this.#append({ note: text, text });
    this.#draw();
  }

  /** No more comes: show what is held back of a character. */
  end() {
    for (const { terminal } of this.#channels.values()) terminal.flush();
    this.#draw();
  }

  #channel(name) {
    let channel = this.#channels.get(name);
    if (!channel) {
      channel = { line: null };
      channel.terminal = new Terminal(
        () => {
          if (!channel.line || channel.line.gone) {
            channel.line = new Line();
            channel.line.channel = name;
            this.#append(channel.line);
          } else if (channel.line.element) {
            this.#changed.add(channel.line);
          }
          return channel.line;
        },
        () => {
          const line = channel.terminal.line(); // an empty line is a line
          this.#size += line.text.length;
          line.counted = line.text.length;
          channel.line = null;
        },
      );
      this.#channels.set(name, channel);
    }
    return channel;
  }

  #append(line) {
    this.#kept.push(line);
    this.#fresh.push(line);
    // Not at every line: removing from the front of a long list costs.
    if (this.#kept.length > MOST_LINES * 1.05 || this.#size > MOST_CHARACTERS * 1.05) this.#trim();
  }

  #trim() {
    let drop = 0;
    while (this.#kept.length - drop > MOST_LINES || (this.#size > MOST_CHARACTERS && drop < this.#kept.length - 1)) {
      const line = this.#kept[drop];
      this.#size -= line.counted || 0;
      line.gone = true;
      line.element?.remove();
      this.#changed.delete(line);
      drop += 1;
    }
    this.#kept.splice(0, drop);
    this.#fresh = this.#fresh.filter((line) => !line.gone);
    this.#onCut();
  }

  #draw() {
    if (this.#drawing) return;
    this.#drawing = 1;
    const draw = () => {
      if (!this.#drawing) return;
      this.#drawing = 0;
      this.#render();
    };
    // A hidden tab gets no frames, and must not pile up lines until it is seen.
    if (document.hidden) setTimeout(draw, 200);
    else requestAnimationFrame(draw);
  }

  #render() {
    for (const line of this.#changed) fill(line);
    this.#changed.clear();
    const fragment = document.createDocumentFragment();
    for (const line of this.#fresh) fragment.append(fill(line));
    this.#fresh = [];
    this.#list.append(fragment);
    if (this.#following) this.#toEnd();
  }

  #toEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    this.#follow(scrollHeight - scrollTop - clientHeight < NEAR_END, false);
  }

  #follow(following, move = true) {
    this.#following = following;
    this.#jump.hidden = following;
    if (move && following) this.#toEnd();
  }
}

function fill(line) {
  const element = (line.element ??= document.createElement("div"));
  if (line.note) {
    element.className = "note";
    element.textContent = line.note;
    return element;
  }
  element.className = CLASSES[line.channel] || "line unknown";
  const spans = line.spans();
  if (spans.length === 1 && !spans[0][1]) {
    element.textContent = line.text;
  } else {
    element.replaceChildren(
      ...spans.map(([text, style]) => {
        if (!style) return text;
        const span = document.createElement("span");
        span.className = styleNames(style).join(" ");
        span.textContent = text;
        return span;
      }),
    );
  }
  if (line.cut) {
    const mark = document.createElement("span");
    mark.className = "cut";
    mark.textContent = ` … cut after ${count(LONGEST_LINE, "character")}`;
    element.append(mark);
  }
  return element;
}
