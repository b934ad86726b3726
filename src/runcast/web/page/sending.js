// Sending to a run: what is typed, and the size of its terminal. In order, and each piece once.
//
// By a WebSocket, which is opened for it and reads nothing of the log; by plain requests where that cannot be, as with
// a WSGI server. What was on its way when a connection broke is not sent again: a program would read it twice.

import { ask } from "./api.js";

const LINGER = 5000; // milliseconds
const LONGEST = 16384; // characters of a message; a paste is cut into several

export class Sending {
  #log;
  #run;
  #failed;
  #socket = null;
  #plainly = false; // no WebSocket can be had
  #waiting = []; // messages, in order
  #posting = false;
  #closing = 0;

  /** @param runUrl the run's address. @param failed called with an error when something could not be sent */
  constructor(runUrl, failed) {
    this.#run = runUrl;
    this.#log = new URL(runUrl("/log"), location.href);
    this.#log.protocol = this.#log.protocol === "https:" ? "wss:" : "ws:";
    for (const [name, value] of [["channel", "data"], ["offset", "now"]]) this.#log.searchParams.append(name, value);
    this.#failed = failed;
  }

  text(text) {
    for (let at = 0, end; at < text.length; at = end) {
      end = at + LONGEST;
      if (/[\ud800-\udbff]/.test(text[end - 1])) end += 1;
      this.#send({ stdin: text.slice(at, end) });
    }
  }

  resize(columns, rows) {
    this.#send({ resize: [columns, rows] });
  }

  /** Have a connection ready before the first key. */
  open() {
    clearTimeout(this.#closing);
    if (this.#socket || this.#plainly) return;
    let opened = false;
    const socket = (this.#socket = new WebSocket(this.#log));
    socket.addEventListener("open", () => {
      opened = true;
      this.#flush();
    });
    socket.addEventListener("message", ({ data }) => {
      const value = JSON.parse(data);
      if (value.event === "error") this.#failed(new Error(value.detail));
    });
    socket.addEventListener("close", () => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      this.#plainly ||= !opened;
      if (this.#waiting.length) this.#flush();
    });
  }

  /** Close it when what was sent has left; messages about it are heard for a while. */
  closeSoon() {
    clearTimeout(this.#closing);
    this.#closing = setTimeout(() => this.close(), LINGER);
  }

  close() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #send(message) {
    this.#waiting.push(message);
    this.#flush();
  }

  #flush() {
    if (this.#plainly) this.#postAll();
    else if (this.#socket?.readyState === WebSocket.OPEN) {
      for (const message of this.#waiting.splice(0)) this.#socket.send(JSON.stringify(message));
    } else this.open();
  }

  async #postAll() {
    if (this.#posting) return;
    this.#posting = true;
    while (this.#waiting.length) {
      try {
        await this.#post();
      } catch (error) {
        this.#waiting = [];
        this.#failed(error);
      }
    }
    this.#posting = false;
  }

  /** Send the first message, and all that is typed behind it at once. */
  async #post() {
    const { resize } = this.#waiting[0];
    if (resize) {
      this.#waiting.shift();
      await ask("POST", this.#run("/resize"), { columns: resize[0], rows: resize[1] });
      return;
    }
    const end = this.#waiting.findIndex((message) => message.resize);
    const texts = this.#waiting.splice(0, Math.min(32, end < 0 ? Infinity : end));
    await ask("POST", this.#run("/stdin"), texts.map((message) => message.stdin).join(""));
  }
}
