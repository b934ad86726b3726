// The output on the page: lines become elements, in batches, and only so many of them are kept.
//
// Text goes into text nodes and nowhere else. Channels are apart: each has a line of its own that it
// writes on, so a prompt on stdout and an error in between stay two lines.

import { LONGEST_LINE, Line, styleNames, Terminal } from "./terminal.js";
import { count } from "./words.js";

const MOST_LINES = 20000; // in the page; ten times as many and a browser gets slow
const MOST_CHARACTERS = 8 << 20;
// Lines come and go in blocks. Those out of sight are laid out when one scrolls there, not before.
const BLOCK_LINES = 500;
const BLOCK_CHARACTERS = 1 << 18;
const REST = 3; // times as long as drawing took, before it is done again: a flood leaves time for clicks
const NEAR_END = 30; // pixels from the end that still count as being there

const CLASSES = { stdout: "line", stderr: "line err", data: "line data" };

export class Output {
  #scroller;
  #list;
  #jump;
  #onCut;
  #channels = new Map();
  #blocks = [];
  #lines = 0; // in all blocks
  #size = 0; // their characters
  #changed = new Set(); // lines on the page that have another text by now
  #drawing = false;
  #rested = 0; // when drawing may be done again
  #top = 0; // where the scroller was last
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
      this.#toEnd();
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
          if (!channel.line || channel.line.block.gone) {
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
          line.block.size += line.text.length;
          this.#size += line.text.length;
          channel.line = null;
        },
      );
      this.#channels.set(name, channel);
    }
    return channel;
  }

  #append(line) {
    let block = this.#blocks.at(-1);
    if (!block || block.lines.length >= BLOCK_LINES || block.size >= BLOCK_CHARACTERS) {
      block = { lines: [], size: 0, shown: 0, gone: false, element: null };
      this.#blocks.push(block);
      this.#trim();
    }
    line.block = block;
    block.lines.push(line);
    this.#lines += 1;
  }

  #trim() {
    while (this.#lines > MOST_LINES || (this.#size > MOST_CHARACTERS && this.#blocks.length > 2)) {
      const block = this.#blocks.shift();
      block.gone = true;
      block.element?.remove();
      this.#lines -= block.lines.length;
      this.#size -= block.size;
      this.#onCut();
    }
  }

  #draw() {
    if (this.#drawing) return;
    this.#drawing = true;
    const draw = () => {
      this.#drawing = false;
      const began = performance.now();
      this.#render();
      const took = performance.now() - began;
      this.#rested = took > 10 ? began + took * (1 + REST) : 0;
    };
    // A hidden tab gets no frames, and must not pile up lines until it is seen.
    const rest = document.hidden ? 200 : this.#rested - performance.now();
    if (rest > 0) setTimeout(draw, rest);
    else requestAnimationFrame(draw);
  }

  #render() {
    for (const line of this.#changed) if (!line.block.gone) fill(line);
    this.#changed.clear();
    const last = this.#blocks.length - 1;
    for (const [at, block] of this.#blocks.entries()) {
      if (block.shown < block.lines.length) {
        const fragment = document.createDocumentFragment();
        for (const line of block.lines.slice(block.shown)) fragment.append(fill(line));
        block.shown = block.lines.length;
        if (!block.element) {
          block.element = document.createElement("div");
          block.element.className = "block";
          this.#list.append(block.element);
        }
        block.element.append(fragment);
      }
      // Not the last ones, whose true heights decide where the end is.
      if (at === last - 2 && !block.settled) {
        for (const earlier of this.#blocks.slice(0, last - 1)) settle(earlier);
      }
    }
    if (this.#following) this.#toEnd();
  }

  #toEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#top = this.#scroller.scrollTop;
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    // Away from the end is not enough: lines that came since the last drawing move the end, too.
    if (scrollHeight - scrollTop - clientHeight < NEAR_END) this.#follow(true);
    else if (scrollTop < this.#top) this.#follow(false);
    this.#top = scrollTop;
  }

  #follow(following) {
    this.#following = following;
    this.#jump.hidden = following;
  }
}

/** Have a block laid out only when it is in sight; till then it is as high as its lines, unwrapped. */
function settle(block) {
  if (block.settled) return;
  block.settled = true;
  block.element.style.containIntrinsicBlockSize = `auto ${block.lines.length * 1.55}em`;
  block.element.classList.add("settled");
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
