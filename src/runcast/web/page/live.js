// Staying up to date: one connection a page, through restarts, proxies and sleep.
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
const POLL = 1000;
const POLL_HIDDEN = 10000;

/**
 * Keep a source up to date until it is over.
 *
 * A source has: look(), which brings it up to date; poll(), the same for one that does not listen;
 * url(), the event stream from where it is; events, the names to listen to; take(name, text), an
 * event, which returns whether to look again; behind(), whether a look found more than was taken; over, whether there is nothing to come.
 *
 * @param status called with "live", "polling", "retrying", "signed out", "gone" or "over", and an error
 */
export async function keep(source, status) {
  let failures = 0;
  let streams = true;
  while (!source.over) {
    try {
      await source.look();
      const release = streams && !document.hidden ? await takeSlot() : null;
      if (source.over) {
        release?.();
      } else if (release) {
        const heard = await listen(source, () => status("live")).finally(release);
        if (heard === "nothing") {
          await source.poll(); // which tells why, or brings at least what there is
          throw new Error("the stream ended before it said anything");
        }
        if (heard === "held back") streams = false;
        failures = 0;
        await pause(someOf(FIRST_RETRY)); // where streams are cut at once, not as fast as we can
      } else {
        await source.poll();
        failures = 0;
        status("polling");
        if (!source.over) await pause(document.hidden ? POLL_HIDDEN : POLL);
      }
    } catch (error) {
      if (error instanceof Refused && error.final) return status("gone", error);
      status(error instanceof Refused && error.signedOut ? "signed out" : "retrying", error);
      const longest = Math.min(LAST_RETRY, FIRST_RETRY * 2 ** failures);
      failures += 1;
      await pause(someOf(longest));
    }
  }
  status("over");
}

/** Half of a time or more: not all viewers come at the same moment. */
const someOf = (milliseconds) => milliseconds * (0.5 + Math.random() / 2);

/** Listen until the stream ends; say whether it said anything. */
function listen(source, opened) {
  return new Promise((resolve) => {
    const stream = new EventSource(source.url());
    const ending = new AbortController();
    let heard = "nothing";
    let silence = setTimeout(() => end("held back"), FIRST_EVENT);
    let hidden = 0;

    function end(how) {
      clearTimeout(silence);
      clearTimeout(hidden);
      stream.close();
      ending.abort();
      resolve(how);
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
        if (source.over || source.behind()) end(heard);
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
        if (source.take(name, event.data) || source.over) end(heard);
      });
    }
    stream.addEventListener("restart", () => end(heard));
    stream.addEventListener("error", () => end(heard));
    document.addEventListener("visibilitychange", seen, { signal: ending.signal });
    addEventListener("online", check, { signal: ending.signal });
    addEventListener("pagehide", () => end(heard), { signal: ending.signal });
    seen();
  });
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
function pause(milliseconds) {
  return new Promise((resolve) => {
    const woken = new AbortController();
    const wake = () => {
      clearTimeout(timer);
      woken.abort();
      resolve();
    };
    const timer = setTimeout(wake, milliseconds);
    addEventListener("online", wake, { signal: woken.signal });
    document.addEventListener("visibilitychange", () => document.hidden || wake(), { signal: woken.signal });
  });
}
