// Replaying a run on its page: its output again, in the time that it took, with pauses cut short.
//
// Owns the clock and its controls. Times are those of the log; what a server sends together (100 ms) comes together.

import { duration } from "./format.js";
import { $, set } from "./parts.js";

const LONGEST_PAUSE = 2; // seconds that a pause takes when pauses are cut
const NEAR_END = 0.01; // seconds that a slider may round away
const TENTHS = 10; // seconds; the times of a shorter replay have tenths
const STEP = 100; // milliseconds between two looks at the clock where no output comes

export class Replay {
  #output;
  #load;
  #pieces = []; // [seconds since the first, what is shown then]
  #times = []; // of the pieces, as they are played
  #at = 0; // seconds played
  #next = 0; // the piece that comes
  #clock = 0; // when `#at` was true, while it plays
  #timer = 0;
  #done;

  /**
   * @param output where it is shown
   * @param load returns a promise of [[seconds, show], ...]; `show()` adds a piece to the output
   * @param done called when the replay is left, with all shown again
   */
  constructor(output, load, done) {
    this.#output = output;
    this.#load = load;
    this.#done = done;
    $("replay-play").addEventListener("click", () => (this.playing ? this.#pause() : this.#play()));
    $("replay-at").addEventListener("input", () => {
      const at = Number($("replay-at").value);
      this.#seek(this.#length - at < NEAR_END ? this.#length : at);
    });
    $("replay-speed").addEventListener("change", () => this.playing && this.#play());
    $("replay-cut").addEventListener("change", () => this.#cut());
    $("replay-leave").addEventListener("click", () => this.leave());
  }

  get playing() {
    return this.#timer !== 0;
  }

  get #length() {
    return this.#times.at(-1) ?? 0;
  }

  async begin() {
    this.#pieces = await this.#load();
    $("replaying").hidden = false;
    this.#at = 0;
    this.#cut();
    this.#seek(0);
    this.#play();
    $("replay-play").focus();
  }

  leave() {
    this.#pause();
    this.#seek(this.#length);
    $("replaying").hidden = true;
    this.#pieces = [];
    this.#done();
  }

  /** Set the times of the pieces, with pauses as they were or cut; what is shown stays. */
  #cut() {
    const most = $("replay-cut").checked ? LONGEST_PAUSE : Infinity;
    const share = this.#next < this.#times.length ? this.#times[this.#next] - this.#at : 0;
    let time = 0;
    this.#times = this.#pieces.map(([at], number) => (time += Math.min(most, Math.max(0, at - (this.#pieces[number - 1]?.[0] ?? at)))));
    if (this.#next) this.#at = Math.max(this.#times[this.#next - 1] ?? 0, (this.#times[this.#next] ?? this.#length) - share);
    $("replay-at").max = this.#length;
    if (this.playing) this.#play();
    this.#show();
  }

  #play() {
    if (!this.playing && this.#at >= this.#length) this.#seek(0);
    clearTimeout(this.#timer);
    this.#clock = performance.now();
    const from = this.#at;
    const speed = Number($("replay-speed").value);
    const step = () => {
      this.#to(from + ((performance.now() - this.#clock) / 1000) * speed);
      if (this.#next >= this.#times.length) return this.#pause();
      const wait = ((this.#times[this.#next] - this.#at) / speed) * 1000;
      this.#timer = setTimeout(step, Math.max(4, Math.min(STEP, wait)));
    };
    this.#timer = setTimeout(step);
    this.#show();
  }

  #pause() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#show();
  }

  #seek(at) {
    if (at < this.#at || !at) {
      this.#output.clear();
      this.#next = 0;
    }
    this.#to(at);
    if (this.playing) this.#play();
  }

  /** Show all up to a time that is not before what is shown. */
  #to(at) {
    this.#at = Math.min(at, this.#length);
    while (this.#next < this.#times.length && this.#times[this.#next] <= this.#at) {
      this.#pieces[this.#next][1]();
      this.#next += 1;
    }
    this.#show();
  }

  #show() {
    const short = this.#length < TENTHS;
    const [at, length] = [this.#at, this.#length].map((time) => (short ? `${time.toFixed(1)} s` : duration(time, { over: false })));
    const said = `${at} of ${length}`;
    $("replay-at").value = this.#at;
    $("replay-at").setAttribute("aria-valuetext", said);
    set($("replay-time"), said);
    set($("replay-play"), this.playing ? "Pause" : "Play");
  }
}
