// Typing into a run's terminal on the page: focus, keys, pastes and the size of the window.
//
// Keys go to the program only while somebody chose that by the button, and a bar says so. The way out is always the
// same and always shown: the button "Leave", or Ctrl+Shift+L. Escape and Tab are the program's.

import { keyBytes, pasteBytes, typedBytes } from "./keyboard.js";
import { $, set } from "./parts.js";

const RESIZED = 100; // milliseconds of rest before the program learns of another size
const SPOKEN = 600; // milliseconds of rest before the line at the cursor is read out
const LEAST = { columns: 20, rows: 5 };

export class Typing {
  #output;
  #sending;
  #field = $("keys-here"); // what has the focus: input methods, phones and pastes need a field
  #on = false;
  #size = "";
  #resized = 0;
  #spoken = 0;
  #allowed = false;
  #changed;

  /** @param changed called when typing begins or ends */
  constructor(output, sending, changed) {
    this.#output = output;
    this.#sending = sending;
    this.#changed = changed;
    $("type").addEventListener("click", () => this.begin());
    $("leave").addEventListener("click", () => this.leave());
    this.#field.addEventListener("keydown", (event) => this.#key(event));
    this.#field.addEventListener("beforeinput", (event) => this.#edit(event));
    this.#field.addEventListener("input", (event) => event.isComposing || this.#typed());
    this.#field.addEventListener("compositionend", () => this.#typed());
    this.#field.addEventListener("paste", (event) => {
      event.preventDefault();
      this.#send(pasteBytes(event.clipboardData.getData("text/plain"), this.#screen.bracketsPastes));
    });
    this.#field.addEventListener("focus", () => $("screen").classList.add("keyed"));
    this.#field.addEventListener("blur", () => $("screen").classList.remove("keyed"));
    // A click or a key on the output goes on with typing; a text that was selected there stays so for copying.
    $("output").addEventListener("click", () => this.#on && getSelection().isCollapsed && this.#focus());
    $("output").addEventListener("keydown", (event) => this.#on && this.#onOutput(event));
    new ResizeObserver(() => this.#on && this.#resizeSoon()).observe($("output"));
  }

  get on() {
    return this.#on;
  }

  get #screen() {
    return this.#output.keyed.screen;
  }

  /** Offer typing, or end it as the run is over. */
  allow(allowed) {
    this.#allowed = allowed;
    $("type").hidden = !allowed || this.#on;
    if (!allowed && this.#on) this.leave();
  }

  begin() {
    if (!this.#allowed) return;
    this.#on = true;
    this.#show();
    this.#sending.open();
    this.#size = "";
    this.#resize();
    this.#output.toEnd();
    this.#focus();
  }

  leave() {
    const focused = document.activeElement === this.#field || document.activeElement === $("leave");
    this.#on = false;
    this.#show();
    clearTimeout(this.#spoken);
    set($("spoken"), "");
    this.#sending.closeSoon();
    if (focused) (this.#allowed ? $("type") : $("output")).focus();
  }

  /** Output came: what is at the cursor may be read out. */
  came() {
    if (!this.#on) return;
    clearTimeout(this.#spoken);
    this.#spoken = setTimeout(() => set($("spoken"), this.#output.lineAtCursor), SPOKEN);
  }

  #show() {
    $("typing").hidden = this.#field.hidden = !this.#on;
    document.body.classList.toggle("types", this.#on); // which leaves more room for rows
    $("type").hidden = this.#on || !this.#allowed;
    this.#output.showCursor(this.#on);
    this.#changed();
  }

  #focus() {
    this.#field.focus({ preventScroll: true });
  }

  #send(text) {
    if (!text) return;
    this.#output.toEnd();
    this.#sending.text(text);
  }

  #key(event) {
    if (event.isComposing || event.keyCode === 229) return; // an input method has it
    if (event.ctrlKey && event.shiftKey && event.key.toLowerCase() === "l") {
      event.preventDefault();
      this.leave();
      return;
    }
    const bytes = keyBytes(event, this.#screen.applicationKeys);
    if (bytes === null) return;
    event.preventDefault();
    this.#send(bytes);
  }

  #onOutput(event) {
    const copies = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "c" && !getSelection().isCollapsed;
    if (copies || ["Control", "Shift", "Alt", "Meta"].includes(event.key)) return;
    event.stopPropagation(); // it is no key of the page
    this.#focus();
    this.#key(event);
  }

  /** What a phone's keyboard does without keys. */
  #edit(event) {
    const bytes = { deleteContentBackward: "\u007f", insertLineBreak: "\r", insertParagraph: "\r" }[event.inputType];
    if (!bytes || event.isComposing) return;
    event.preventDefault();
    this.#send(bytes);
  }

  #typed() {
    const text = this.#field.value;
    this.#field.value = "";
    this.#send(typedBytes(text));
  }

  #resizeSoon() {
    clearTimeout(this.#resized);
    this.#resized = setTimeout(() => this.#on && this.#resize(), RESIZED);
  }

  /** Give the terminal as many columns and rows as the window has room for. */
  #resize() {
    const { columns, rows } = room($("output"));
    const size = `${columns}x${rows}`;
    if (size === this.#size) return;
    this.#size = size;
    this.#sending.resize(columns, rows);
  }
}

/** How many columns and rows of a terminal an element has room for. */
function room(element) {
  const [line, cells] = [document.createElement("div"), document.createElement("span")];
  line.className = "line";
  cells.textContent = "0".repeat(100);
  line.append(cells);
  line.style.cssFloat = "left";
  element.append(line);
  const [cell, box, style] = [cells.getBoundingClientRect().width / 100, getComputedStyle(element), getComputedStyle(line)];
  const sum = (from, ...names) => names.reduce((total, name) => total + (parseFloat(from[name]) || 0), 0);
  const width = element.clientWidth - sum(style, "paddingLeft", "paddingRight");
  const height = element.clientHeight - sum(box, "paddingTop", "paddingBottom");
  const lineHeight = line.getBoundingClientRect().height;
  line.remove();
  return {
    columns: Math.max(LEAST.columns, Math.floor(width / cell)),
    rows: Math.max(LEAST.rows, Math.floor(height / lineHeight)),
  };
}
