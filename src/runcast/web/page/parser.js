// Escape sequences, as ECMA-48 and the DEC terminals have them: text is split into what to show and what to do.
//
// All sequences are taken whole, also when they come in pieces, and also those that nobody acts on: nothing of
// them is shown. What they mean is not known here.
//
// One deliberate difference to terminals: a line feed ends every sequence. One that is never ended would
// swallow all that follows, which for a log is worse than to show the rest of a broken one.

import { otherThanNarrowLines } from "./width.js";

const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g;
const WHOLE = /\[([<-?]?)([\d:;]*)([ -/]*)([@-~])/y;
const [DIGIT_0, SEMICOLON, AT_SIGN, TILDE] = ["0", ";", "@", "~"].map((char) => char.charCodeAt(0));
const LONGEST_SEQUENCE = 256; // characters kept; a longer one does nothing
const LONGEST_COMMAND = 4096; // of one for the system around the terminal (OSC), which has addresses in it
const COMMAND = /\]([^\u0000-\u001f\u007f-\u009f]{0,4096})(?:\u0007|\u001b\\)/y;
const SEQUENCES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\u0007\u001b\n]*(?:\u0007|\u001b\\)?|[ -/]*[0-~])/g;
const INTRODUCERS = { "\u001b": "escape", "\u009b": "csi", "\u0090": "string", "\u0098": "string", "\u009d": "command", "\u009e": "string", "\u009f": "string" };

/** A line without its sequences, where nothing else of a terminal is wanted. */
export const withoutSequences = (line) => (line.includes("\u001b") ? line.replace(SEQUENCES, "") : line);

export class Parser {
  #to;
  #state = "text";
  #sequence = "";

  /** @param to what has print(text), takesLines, lines(texts), control(char), escape(sequence), command(text) and csi(parameters, final, prefix, between) */
  constructor(to) {
    this.#to = to;
  }

  feed(text) {
    for (let at = 0; at < text.length; ) {
      if (this.#state !== "text") {
        this.#step(text[at]);
        at += 1;
        continue;
      }
      CONTROL.lastIndex = at;
      const end = CONTROL.test(text) ? CONTROL.lastIndex - 1 : text.length;
      if (text[end] === "\n" && this.#to.takesLines) {
        const lines = this.#lines(text, at);
        if (lines > at) {
          at = lines;
          continue;
        }
      }
      if (end > at) this.#to.print(text.slice(at, end));
      if (end === text.length) return;
      at = text[end] === "\u001b" ? this.#whole(text, end + 1) : end;
      if (at === end) {
        this.#control(text[end]);
        at += 1;
      }
    }
  }

  /** Take whole lines at once as far as they are of narrow characters alone; return where they end. */
  #lines(text, at) {
    const end = text.lastIndexOf("\n", otherThanNarrowLines(text, at) - 1);
    if (end < at) return at;
    this.#to.lines(text.slice(at, end).split("\n"));
    return end + 1;
  }

  /** Take the sequence that begins at an escape before `at` if it is here to its end; return where it ends. */
  #whole(text, at) {
    if (text[at] === "[") {
      let end = at + 1;
      let code = text.charCodeAt(end);
      while (code >= DIGIT_0 && code <= SEMICOLON) code = text.charCodeAt((end += 1));
      if (code >= AT_SIGN && code <= TILDE) {
        this.#to.csi(text.slice(at + 1, end), text[end], "", "");
        return end + 1;
      }
      WHOLE.lastIndex = at;
      const whole = WHOLE.exec(text);
      if (whole) {
        this.#csi(whole);
        return WHOLE.lastIndex;
      }
    } else if (text[at] === "]") {
      COMMAND.lastIndex = at;
      const command = COMMAND.exec(text);
      if (command) {
        this.#to.command(command[1]);
        return COMMAND.lastIndex;
      }
    }
    return at - 1;
  }

  #control(char) {
    const state = INTRODUCERS[char];
    if (!state) {
      this.#to.control(char);
      return;
    }
    this.#state = state;
    this.#sequence = "";
  }

  /** Take one character of a sequence. */
  #step(char) {
    if ("\n\u0018\u001a".includes(char)) {
      this.#state = "text";
      if (char === "\n") this.#to.control(char);
    } else if (this.#state === "string" || this.#state === "command") {
      if (char === "\u0007" || char === "\u009c") this.#ended(this.#state);
      else if (char === "\u001b") this.#state += " escape";
      else if (this.#state === "command" && this.#sequence.length <= LONGEST_COMMAND) this.#sequence += char;
    } else if (this.#state.endsWith(" escape")) {
      // ESC \ ends a string; another character begins a sequence of its own.
      if (char === "\\") this.#ended(this.#state.split(" ")[0]);
      else {
        this.#control("\u001b");
        this.#step(char);
      }
    } else if (INTRODUCERS[char]) this.#control(char);
    else if (char < " " || (char >= "\u007f" && char <= "\u009f")) this.#to.control(char); // done at once, within a sequence
    else if (char > "~") {
      this.#state = "text"; // it was none
      this.#to.print(char);
    } else if (this.#state === "csi") this.#inCsi(char);
    else this.#inEscape(char);
  }

  /** Take a string, of which only commands say something. */
  #ended(kind) {
    this.#state = "text";
    if (kind === "command" && this.#sequence.length <= LONGEST_COMMAND) this.#to.command(this.#sequence);
    this.#sequence = "";
  }

  #inEscape(char) {
    this.#sequence += char;
    if (char >= " " && char <= "/") {
      if (this.#sequence.length > LONGEST_SEQUENCE) this.#sequence = "";
      return;
    }
    const first = this.#sequence.length === 1;
    this.#state = (first && { "[": "csi", "]": "command", P: "string", X: "string", "^": "string", _: "string" }[char]) || "text";
    if (this.#state === "text") this.#to.escape(this.#sequence);
    this.#sequence = "";
  }

  #inCsi(char) {
    if (this.#sequence.length <= LONGEST_SEQUENCE) this.#sequence += char;
    if (char < "@") return;
    this.#state = "text";
    WHOLE.lastIndex = 0;
    const text = `[${this.#sequence}`;
    const whole = WHOLE.exec(text);
    if (whole && WHOLE.lastIndex === text.length && text.endsWith(char)) this.#csi(whole);
  }

  #csi([, prefix, parameters, between, final]) {
    this.#to.csi(parameters, final, prefix, between);
  }
}
