// What a program prints, as lines of styled text. No page is known here, only characters.
//
// Understood: line feed, carriage return and backspace (the line is written over), and of the escape
// sequences colours (SGR), erasing in the line (EL) and moving within it. All others are dropped,
// whole, also when they come in pieces: nothing that a program prints can do more than show text.

const CONTROL = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g;
const LONGEST_SEQUENCE = 256; // characters; what is longer was none
export const LONGEST_LINE = 10000; // characters shown; the whole text has them all

const [TEXT, ESCAPE, CSI, STRING, STRING_ESCAPE, CHARSET] = Array(6).keys();

// A style is one 16-bit number: foreground and background (0 is none, 1 to 16 are the colours), flags.
const FLAGS = { bold: 1 << 10, dim: 1 << 11, italic: 1 << 12, underline: 1 << 13, strike: 1 << 14, inverse: 1 << 15 };
const ON = { 1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse", 9: "strike" };
const OFF = { 22: ["bold", "dim"], 23: ["italic"], 24: ["underline"], 27: ["inverse"], 29: ["strike"] };

/** The names of what a style has, for whoever shows it. */
export function styleNames(style) {
  const names = Object.keys(FLAGS).filter((name) => style & FLAGS[name]);
  if (style & 31) names.push(`fg${(style & 31) - 1}`);
  if ((style >> 5) & 31) names.push(`bg${((style >> 5) & 31) - 1}`);
  return names;
}

/** One line: its text, and the style of each character where there is any. */
export class Line {
  text = "";
  styles = ""; // as long as the text, a style as the code of each character; empty while all are plain
  column = 0;
  cut = false;

  put(text, style) {
    const room = LONGEST_LINE - this.column;
    if (text.length > room) {
      this.cut = true;
      text = text.slice(0, Math.max(0, room));
    }
    if (style || this.styles) {
      this.styles = this.#over(this.styles.padEnd(this.text.length, "\0"), String.fromCharCode(style).repeat(text.length), "\0");
    }
    this.text = this.#over(this.text, text, " ");
    this.column += text.length;
  }

  #over(old, text, blank) {
    if (this.column === old.length) return old + text;
    return old.slice(0, this.column).padEnd(this.column, blank) + text + old.slice(this.column + text.length);
  }

  erase(what) {
    if (what === 0) this.#keep(0, Math.min(this.column, this.text.length));
    else if (what === 2) this.#keep(0, 0);
    else if (what === 1) this.#keep(this.column, this.text.length);
  }

  #keep(from, to) {
    this.text = this.text.slice(from, to).padStart(to, " ");
    this.styles = this.styles && this.styles.slice(from, to).padStart(to, "\0");
  }

  move(column) {
    this.column = Math.min(Math.max(0, column), LONGEST_LINE);
  }

  /** The line as pairs of a text and its style. */
  spans() {
    if (!this.styles) return [[this.text, 0]];
    const spans = [];
    for (let start = 0, end = 0; start < this.text.length; start = end) {
      while (end < this.text.length && this.styles[end] === this.styles[start]) end += 1;
      spans.push([this.text.slice(start, end), this.styles.charCodeAt(start)]);
    }
    return spans;
  }
}

/** The output of one channel, as it comes. `line()` gives the line to write on, `feed()` ends it. */
export class Terminal {
  #state = TEXT;
  #sequence = "";
  #style = 0;
  #decoder = new TextDecoder();
  #cutCharacter = false;

  constructor(line, feed) {
    this.line = line;
    this.feed = feed;
  }

  /** Take bytes, of which the last character may be cut. */
  bytes(data) {
    this.#take(this.#decoder.decode(data, { stream: true }));
    this.#cutCharacter = true;
  }

  text(text) {
    if (this.#cutCharacter) this.flush();
    this.#take(text);
  }

  /** Nothing more comes, or not what belongs to what is held back. */
  flush() {
    this.#cutCharacter = false;
    this.#take(this.#decoder.decode());
  }

  #take(text) {
    for (let at = 0; at < text.length; ) {
      if (this.#state !== TEXT) {
        this.#step(text[at]);
        at += 1;
        continue;
      }
      CONTROL.lastIndex = at;
      const found = CONTROL.exec(text);
      const end = found ? found.index : text.length;
      if (end > at) this.line().put(text.slice(at, end), this.#style);
      if (found) this.#control(found[0]);
      at = end + 1;
    }
  }

  #control(char) {
    if (char === "\n") this.feed();
    else if (char === "\r") this.line().move(0);
    else if (char === "\b") this.line().move(this.line().column - 1);
    else if (char === "\u001b") this.#state = ESCAPE;
  }

  #step(char) {
    // A line feed ends every sequence: one that is never ended would swallow all that follows.
    if ("\n\u0018\u001a".includes(char) || this.#sequence.length > LONGEST_SEQUENCE) {
      this.#state = TEXT;
      this.#sequence = "";
      if (char === "\n") this.feed();
      return;
    }
    switch (this.#state) {
      case ESCAPE:
        this.#sequence = "";
        if (char === "[") this.#state = CSI;
        else if ("]PX^_".includes(char)) this.#state = STRING;
        else if (char >= " " && char <= "/") this.#state = CHARSET;
        else if (char !== "\u001b") this.#state = TEXT;
        break;
      case CHARSET:
        if (char < " " || char > "/") this.#state = char === "\u001b" ? ESCAPE : TEXT;
        break;
      case CSI:
        if (char === "\u001b") this.#state = ESCAPE;
        else if (char >= "@" && char <= "~") {
          this.#state = TEXT;
          this.#csi(this.#sequence, char);
        } else if (char >= " " && char < "@") this.#sequence += char;
        else {
          this.#state = TEXT; // it was none
          this.#take(char);
        }
        break;
      case STRING:
        if (char === "\u0007" || char === "\u009c") this.#state = TEXT;
        else if (char === "\u001b") this.#state = STRING_ESCAPE;
        break;
      default: // an escape within a string: ESC \ ends it, another begins a sequence of its own
        this.#state = char === "\\" ? TEXT : ESCAPE;
        if (char !== "\\") this.#step(char);
    }
  }

  #csi(parameters, final) {
    if (!/^[\d;:]*$/.test(parameters)) return; // private and intermediate ones are none of ours
    const first = parseInt(parameters, 10);
    const line = this.line();
    if (final === "m") this.#sgr(parameters);
    else if (final === "K") line.erase(first || 0);
    else if (final === "G") line.move((first || 1) - 1);
    else if (final === "C") line.move(line.column + (first || 1));
    else if (final === "D") line.move(line.column - (first || 1));
  }

  #sgr(parameters) {
    const codes = parameters.split(/[;:]/).map((text) => parseInt(text, 10) || 0);
    for (let at = 0; at < codes.length; at += 1) {
      const code = codes[at];
      if (code === 0) this.#style = 0;
      else if (ON[code]) this.#style |= FLAGS[ON[code]];
      else if (OFF[code]) for (const name of OFF[code]) this.#style &= ~FLAGS[name];
      else if (code >= 30 && code <= 37) this.#colour(0, code - 29);
      else if (code >= 90 && code <= 97) this.#colour(0, code - 81);
      else if (code === 39) this.#colour(0, 0);
      else if (code >= 40 && code <= 47) this.#colour(5, code - 39);
      else if (code >= 100 && code <= 107) this.#colour(5, code - 91);
      else if (code === 49) this.#colour(5, 0);
      else if (code === 38 || code === 48) {
        const many = codes[at + 1] === 2;
        const colour = many ? nearest(codes.slice(at + 2, at + 5)) : indexed(codes[at + 2]);
        this.#colour(code === 38 ? 0 : 5, colour);
        at += many ? 4 : 2;
      }
    }
  }

  #colour(shift, colour) {
    this.#style = (this.#style & ~(31 << shift)) | (colour << shift);
  }
}

/** One of 256 colours as one of our sixteen, from 1. */
function indexed(index = 7) {
  if (index < 16) return index + 1;
  if (index >= 232) return nearest(Array(3).fill((index - 232) * 10 + 8));
  return nearest([36, 6, 1].map((unit) => (Math.floor((index - 16) / unit) % 6) * 51));
}

/** The one of our sixteen colours, from 1, that is most like this red, green and blue. */
function nearest(rgb) {
  const [red, green, blue] = [0, 1, 2].map((at) => rgb[at] || 0);
  const most = Math.max(red, green, blue);
  if (most - Math.min(red, green, blue) < 40) return most < 50 ? 1 : most < 150 ? 9 : most < 220 ? 8 : 16;
  const bits = [red, green, blue].map((value, at) => (value > most / 2 ? 1 << at : 0));
  return 1 + bits[0] + bits[1] + bits[2] + (most > 200 ? 8 : 0);
}
