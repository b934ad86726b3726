// A run that may be waiting for its viewer: a notice, and a box for the answer.
//
// The box takes no focus by itself. A password is hidden in it, and forgotten as soon as it is sent.

import { visible } from "./format.js";
import { pasteBytes } from "./keyboard.js";
import { $, set } from "./parts.js";

const ANSWERED = 3000; // milliseconds after an answer in which its question is not shown again

export class Waiting {
  #send;
  #notify;
  #shown = ""; // what was shown last
  #answered = null; // the question that was answered just now
  #now = null; // what `show` was called with

  /** @param send called with the bytes of an answer. @param notify called with the title and the text of a notice */
  constructor(send, notify) {
    this.#send = send;
    this.#notify = notify;
    $("answer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#answer();
    });
  }

  /**
   * Show what a run waits for.
   *
   * @param waiting {for, question}, or null @param options.title of the run; enter: what ends an answer;
   *   mayAnswer: whether the viewer may send; typing: whether keys go to the program as it is
   */
  show(waiting, { title, enter, mayAnswer, typing }) {
    this.#now = [waiting, { title, enter, mayAnswer, typing }];
    const key = waiting ? JSON.stringify([waiting.for, waiting.question]) : "";
    if (key !== this.#answered) this.#answered = null;
    const calls = Boolean(waiting) && !typing; // who types is there
    const box = calls && mayAnswer && !this.#answered;
    $("waiting").hidden = !calls;
    $("answer").hidden = !box;
    if (key === this.#shown) return;
    this.#shown = key;
    $("answer-text").value = "";
    if (!waiting) return set($("question"), "");
    const password = waiting.for === "password";
    $("answer-text").type = password ? "password" : "text";
    const question = visible(waiting.question || "").trim();
    set($("question"), question || (password ? "A password" : "An answer"));
    set($("waiting-words"), password ? "It may be waiting for a password:" : "It may be waiting for you:");
    this.#notify(`${title} may be waiting for you`, question);
  }

  #answer() {
    const text = $("answer-text").value;
    $("answer-text").value = "";
    this.#answered = this.#shown;
    $("answer").hidden = true;
    this.#send(pasteBytes(text, false).replaceAll("\r", "") + this.#now[1].enter);
    setTimeout(() => {
      this.#answered = null;
      this.show(...this.#now);
    }, ANSWERED);
  }
}
