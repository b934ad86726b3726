// A run as it is seen where its page is not: the title and the icon of the tab, and notices for who is elsewhere.
//
// The bell asks for notices: of a run that may be waiting for its viewer, and of its end. They are sent by a page that
// nobody sees, and by no other.

import { $, store, stored } from "./parts.js";

const MARKS = { good: "✓", bad: "✗", warn: "■", wait: "?" };
const icon = document.querySelector("link[rel=icon]");
const usual = icon.href;

/** The address of the icon for a kind of state. */
const iconOf = (kind) => (kind === "quiet" ? usual : usual.replace(/icon(\.\w+\.svg)/, `icon-${kind}$1`));

export class Outside {
  #say;
  #active = false;

  /** @param say called with a sentence */
  constructor(say) {
    this.#say = say;
    $("notify").addEventListener("click", () => this.#press());
    this.#showBell();
  }

  /** Show a state: its kind and word, how many percent of it are done, how it ended as a sentence. */
  show({ kind, word, title, percent = null, active, sentence }) {
    const first = percent === null || !active ? MARKS[kind] || "▶" : `${percent}%`;
    document.title = `${first} ${title} – ${word}`;
    const href = iconOf(kind);
    if (icon.href !== href) icon.href = href;
    $("notify").hidden = !active || !("Notification" in window);
    if (this.#active && !active) this.notify(`${title}: ${word}`, sentence);
    this.#active = active;
  }

  /** Send a notice, if the bell was pressed and nobody sees the page. */
  notify(title, body) {
    if (!document.hidden || !this.#on) return;
    const notice = new Notification(title, { body, tag: location.pathname });
    notice.addEventListener("click", () => {
      window.focus();
      notice.close();
    });
  }

  get #on() {
    return stored("notify") === "on" && "Notification" in window && Notification.permission === "granted";
  }

  async #press() {
    if (this.#on) {
      store("notify", "off");
      this.#say("No notices.");
    } else if ((await Notification.requestPermission()) === "granted") {
      store("notify", "on");
      this.#say("A notice comes when the run ends or waits, while this page is out of sight.");
    } else this.#say("The browser lets this page send no notices.");
    this.#showBell();
  }

  #showBell() {
    $("notify").ariaPressed = String(this.#on);
  }
}
