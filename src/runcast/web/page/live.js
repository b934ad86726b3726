// Staying up to date: one connection for a source, through restarts, proxies and sleep.
//
// A browser's own EventSource gives up for good after any answer but 200, so the retrying is ours:
// look (a plain request, which tells what is wrong), then listen until the stream ends, then again.
//
// A browser opens six connections to one host, for all tabs together; the seventh waits for ever,
// and every request behind it. So a tab listens only while it holds one of a few slots and can be
// seen. Others poll, which also serves where something on the way holds event streams back.

import { Refused } from "./api.js";

const SLOTS = 4; // of six connections; two are left for requests
const FIRST_RETRY = 300; // milliseconds
const LAST_RETRY = 5000;
const FIRST_EVENT = 5000; // a stream says something at once, or something on the way holds it back
const SILENCE = 30000; // after so long, ask whether the stream is still connected to anything
const HIDDEN = 10000; // a tab that nobody sees gives its slot away after so long
const SLICE = 20; // milliseconds of taking events at a time
const MOST_QUEUED = 8 << 20; // characters of events
const POLL = 1000;
const POLL_TYPING = 150; // somebody waits for what a key does
const POLL_HIDDEN = 10000;

/**
 * Keep a source up to date until it is over.
 *
 * A source has: look(), which brings it up to date; poll(), the same for one that does not listen;
 * url(), the event stream from where it is; events, the names to listen to; take(name, text), an
 * event, which returns whether to look again; listens, false if it only polls; pause, the milliseconds between two
 * polls; typing, whether somebody types; behind(), whether a look found more than was taken; over, whether there is nothing to come.
 *
 * @param status called with "live", "polling", "retrying", "signed out", "gone" or "over", and an error
 * @param signal ends it: nobody looks any more
 */
export async function keep(source, status, signal = new AbortController().signal) {
  let failures = 0;
  let streams = true;
  while (!source.over && !signal.aborted) {
    try {
      await source.look();
      const release = streams && source.listens !== false && !document.hidden && !signal.aborted ? await takeSlot() : null;
      if (signal.aborted || source.over) {
        release?.();
      } else if (release) {
        const heard = await listen(source, () => status("live"), signal).finally(release);
        if (signal.aborted) return;
        if (heard === "nothing") {
          await source.poll(); // which tells why, or brings at least what there is
          throw new Error("the stream ended before it said anything");
        }
        if (heard === "held back") streams = false;
        failures = 0;
        if (heard !== "full") await pause(someOf(FIRST_RETRY), signal); // where streams are cut at once, not as fast as we can
      } else {
        await source.poll();
        failures = 0;
        if (signal.aborted) return;
        status("polling");
        if (!source.over) await pause(document.hidden ? POLL_HIDDEN : source.typing ? POLL_TYPING : source.pause ?? POLL, signal);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused && error.final) return status("gone", error);
      status(error instanceof Refused && error.signedOut ? "signed out" : "retrying", error);
      const longest = Math.min(LAST_RETRY, FIRST_RETRY * 2 ** failures);
      failures += 1;
      await pause(someOf(longest), signal);
    }
  }
  if (!signal.aborted) status("over");
}

/** Half of a time or more: not all viewers come at the same moment. */
const someOf = (milliseconds) => milliseconds * (0.5 + Math.random() / 2);

/** Listen until the stream ends, and all that it said is taken; say whether it said anything. */
function listen(source, opened, signal) {
  return new Promise((resolve) => {
    const stream = new EventSource(source.url());
    const ending = new AbortController();
    const queue = new Queue((name, data) => signal.aborted || source.take(name, data) || source.over);
    let heard = "nothing";
    let silence = setTimeout(() => end("held back"), FIRST_EVENT);
    let hidden = 0;

    function end(how) {
      clearTimeout(silence);
      clearTimeout(hidden);
      stream.close();
      ending.abort();
      queue.emptied().then(() => resolve(how));
    }
    function alive() {
      if (heard === "nothing") opened();
      heard = "something";
      clearTimeout(silence);
      silence = setTimeout(check, SILENCE);
    }
    async function check() {
      try {
        await source.look();
        if (ending.signal.aborted) return;
        if (source.over || (queue.size === 0 && source.behind())) end(heard);
        else alive();
      } catch {
        end(heard);
      }
    }
    function seen() {
      clearTimeout(hidden);
      if (document.hidden) hidden = setTimeout(() => end("something"), HIDDEN);
    }

    for (const name of source.events) {
      stream.addEventListener(name, (event) => {
        alive();
        queue.add(name, event.data);
        if (queue.size > MOST_QUEUED) end("full"); // faster than it can be taken: to go on from there
      });
    }
    queue.stopped.then(() => end(heard));
    stream.addEventListener("restart", () => end(heard));
    stream.addEventListener("error", () => end(heard));
    signal.addEventListener("abort", () => end(heard), { signal: ending.signal });
    document.addEventListener("visibilitychange", seen, { signal: ending.signal });
    addEventListener("online", check, { signal: ending.signal });
    addEventListener("pagehide", () => end(heard), { signal: ending.signal });
    seen();
  });
}

/**
 * Events that came and are not taken yet.
 *
 * A browser hands over all events of what it received at once, which in a flood takes longer than a frame should. So
 * they are taken in slices of time, between which it draws. Not by timers, which a hidden tab has once a second.
 */
class Queue {
  size = 0; // characters
  #take;
  #events = [];
  #channel = new MessageChannel();
  #begun = false;
  #empty = [];

  /** @param take takes an event; returns whether no other is wanted */
  constructor(take) {
    this.#take = take;
    this.stopped = new Promise((resolve) => (this.stop = resolve));
    this.#channel.port1.onmessage = () => this.#slice();
  }

  add(name, data) {
    this.#events.push([name, data]);
    this.size += data.length;
    this.#begin();
  }

  /** Return a promise of the time at which all is taken. */
  emptied() {
    return new Promise((resolve) => {
      this.#empty.push(resolve);
      this.#begin();
    });
  }

  #begin() {
    if (!this.#begun) this.#channel.port2.postMessage(null);
    this.#begun = true;
  }

  #slice() {
    const until = performance.now() + SLICE;
    this.#begun = false;
    let at = 0;
    for (; at < this.#events.length && (at === 0 || performance.now() < until); at += 1) {
      const [name, data] = this.#events[at];
      this.size -= data.length;
      if (!this.#take(name, data)) continue;
      [this.#events, this.size] = [[], 0];
      this.stop();
    }
    this.#events.splice(0, at);
    if (this.#events.length) this.#begin();
    else for (const resolve of this.#empty.splice(0)) resolve();
  }
}

/**
 * Take one of the slots of all tabs of this server; return what gives it back, or null.
 *
 * The browser gives back the slot of a tab that is closed. Locks exist on https and on this
 * machine only; elsewhere there is nothing to ask, and hidden tabs letting go must do.
 */
async function takeSlot() {
  if (!navigator.locks) return () => {};
  for (let slot = 0; slot < SLOTS; slot += 1) {
    const release = await new Promise((resolve) => {
      const hold = (lock) => (lock ? new Promise((done) => resolve(done)) : resolve(null));
      const held = navigator.locks.request(`runcast stream ${slot}`, { ifAvailable: true }, hold);
      held.catch(() => resolve(() => {})); // not allowed here: then there is nothing to share
    });
    if (release) return release;
  }
  return null;
}

/** Wait so many milliseconds, less when the tab is shown or the network comes back. */
function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const woken = new AbortController();
    const wake = () => {
      clearTimeout(timer);
      woken.abort();
      resolve();
    };
    const timer = setTimeout(wake, signal.aborted ? 0 : milliseconds);
    signal.addEventListener("abort", wake, { signal: woken.signal });
    addEventListener("online", wake, { signal: woken.signal });
    document.addEventListener("visibilitychange", () => document.hidden || wake(), { signal: woken.signal });
  });
}
