// The page with the list of runs: the newest, live; or older ones, those of a name, or lines that were searched for.

import { ask, askCommands, because, runsUrl, runUrl, serverNow } from "./api.js";
import { count, moment, timeOf, visible } from "./format.js";
import { showHits } from "./hits.js";
import { keep } from "./live.js";
import { showNames } from "./names.js";
import { $, problem, set, showLink } from "./parts.js";
import { elsewhere, narrowed, ofForm, ofList, ofSearch, stateOf } from "./query.js";
import { goesOn, RunRows, sorted } from "./run_rows.js";
import { showCommands, startable, titleOf } from "./start.js";

const POLL = 5000; // milliseconds between two looks at a list that is not live, if a look is short
const SHARE = 10; // a look takes at most one of so many parts of the time

const given = new URLSearchParams(location.search);
const query = ofList(given);
const live = !query.size; // the server tells what changes of the newest runs only
const rows = new RunRows($("runs"), titleOf);
const DEEPER = 200; // older runs that the names beside the newest are shown with
let returnTo = history.state?.scroll ?? 0; // pixels from the top, of a page that one comes back to
let deeper = null; // null until they are fetched

const source = {
  events: ["runs", "changes"],
  listens: live,
  over: false,
  pause: POLL,
  runs: [], // as the server listed them
  ended: new Map(), // runs that left the list as they ended: somebody was watching them

  async look() {
    const began = performance.now();
    try {
      const [answer, listed] = await Promise.all([askCommands(), ask("GET", live ? runsUrl : `${runsUrl}?${query}`)]);
      this.pause = Math.max(POLL, SHARE * (performance.now() - began));
      this.runs = [...listed.runs, ...(listed.going ?? [])];
      showCommands(answer, this.runs.length > 0);
      this.show(listed);
    } catch (error) {
      if (error.status !== 400) throw error;
      problem(because(error)); // of the address: it stays as it is
      this.over = true;
    }
  },

  async poll() {},

  url() {
    return runsUrl;
  },

  behind() {
    return false; // a look has shown all there is; the stream tells what changes
  },

  take(name, text) {
    const news = JSON.parse(text);
    if (name === "runs") this.runs = news.runs;
    else this.merge(news);
    this.show({ next: news.next, stopped: news.next && "max", ...(news.link && { link: news.link }) });
    return false;
  },

  /** Take what changed of the list. */
  merge({ runs, gone, going }) {
    const not = new Set([...gone, ...runs.map((run) => run.id)]);
    const output = new Map(going.map((one) => [one.id, one]));
    for (const run of this.runs) if (gone.includes(run.id) && goesOn(run)) this.follow(run.id);
    const kept = this.runs.filter((run) => !not.has(run.id));
    this.runs = [...kept.map((run) => ({ ...run, ...output.get(run.id) })), ...runs];
  },

  /** Keep a run in the list that has left it, if it is there still. */
  async follow(id) {
    try {
      this.ended.set(id, await ask("GET", runUrl(id)));
    } catch {
      return; // it was removed
    }
    this.show();
  },

  /** Fetch older runs once: fifty may have little of a name. */
  async lookBack(before) {
    deeper = [];
    try {
      deeper = (await ask("GET", `${runsUrl}?${new URLSearchParams({ before, limit: DEEPER })}`)).runs;
    } catch {
      return; // the names are shown without them
    }
    this.show();
  },

  show(listed) {
    if (listed && "link" in listed) showSharing(listed.link);
    for (const run of this.runs) this.ended.delete(run.id);
    const runs = [...this.runs, ...this.ended.values()];
    rows.show(sorted(runs));
    showNames([...runs, ...(deeper ?? [])]);
    if (listed) showPlaces(this.runs, listed);
    if (listed && returnTo) scrollTo(0, returnTo);
    if (listed) returnTo = 0;
    if (live && listed?.next && !deeper) this.lookBack(listed.next);
    $("empty").hidden = runs.length > 0;
    if (!runs.length) showEmpty(listed ?? {});
  },
};

/** Show what is wrong with what other hosts share with this one, if anything is. */
function showSharing({ up, since, message }) {
  const down = up || !since ? "" : `Not shared with other hosts since ${moment(since, serverNow())}: `;
  $("sharing").hidden = !down && !message;
  set($("sharing"), visible(down + (message ?? "")));
}

/** Show where the list goes on, and what it leaves out. */
function showPlaces(runs, { next, stopped }) {
  const ids = runs.map((run) => run.id).sort();
  const [up, down] = [given.get("after"), given.get("before")];
  lead("older", up ? ids[0] ?? up : next, "before");
  set($("older"), stopped === "time" && !up ? "Look further back" : "Older runs");
  lead("newer", down ? ids.at(-1) : up && next, "after");
  if (up && next && stopped === "time") set($("newer"), "Look further");
  $("newest").hidden = !up && !down;
  $("newest").href = `${runsUrl}?${elsewhere(given, {})}`.replace(/\?$/, "");
  const words = narrowed(given);
  const looked = stopped === "time" ? ` Looked ${up ? "up" : "back"} to ${moment(timeOf(next), serverNow())} so far.` : "";
  $("narrowed").hidden = !words && !up && !down;
  const which = words ? `Runs ${words}` : down ? "Older runs" : "Runs";
  set($("narrowed-said"), visible(`${which}: ${runs.length ? count(runs.length, "run") : "none"} here.`) + looked);
}

function lead(name, id, side) {
  $(name).hidden = !id;
  if (id) $(name).href = `${runsUrl}?${elsewhere(given, { [side]: id })}`;
}

function showEmpty({ stopped }) {
  const words = narrowed(given);
  const whole = !words && live;
  const name = given.get("name");
  $("empty-how").hidden = !whole;
  $("empty-like").hidden = !name || name.includes("*");
  if (name) {
    $("like").href = `${runsUrl}?${new URLSearchParams({ name: `*${name}*` })}`;
    set($("like"), visible(`Runs with “${name}” in their name`));
  }
  if (stopped === "time") set($("empty-what"), visible(`No run ${words} so far: there are more to look at.`));
  else if (words) set($("empty-what"), visible(`No run ${words}${given.get("before") ? " that is older" : ""}.`));
  else if (!live) set($("empty-what"), given.get("after") ? "No newer runs." : "No older runs.");
  else if (startable()) set($("empty-what"), "No runs yet: start one above, and watch it from as many places as you like.");
  else set($("empty-what"), "No runs yet, and no commands to start: name some in the server's configuration (runcast serve --config FILE).");
}

// The form: what it says becomes the address.

$("q").value = given.get("q") ?? "";
$("name").value = given.get("name") ?? "";
$("state").value = stateOf(given);
$("regex").checked = given.get("regex") === "1";
$("case").checked = given.get("case") === "1";
$("filter").addEventListener("submit", (event) => {
  event.preventDefault();
  const [regex, cases] = [$("regex").checked, $("case").checked];
  const wanted = ofForm({ q: $("q").value, name: $("name").value, key: given.get("key") ?? "", state: $("state").value, regex, case: cases });
  location.assign(wanted.size ? `${runsUrl}?${wanted}` : runsUrl);
});
$("state").addEventListener("change", () => $("filter").requestSubmit());
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.altKey || event.metaKey || event.target.closest?.("input, textarea, select")) return;
  event.preventDefault();
  $("q").focus();
});
$("filter").hidden = false;

// A page that one comes back to is where it was left; the browser would look before the rows are there.
addEventListener("pagehide", () => history.replaceState({ ...history.state, scroll: scrollY }, ""));

const search = ofSearch(given);
if (search) {
  askCommands().then((answer) => showCommands(answer, true), () => {});
  showHits(search, given);
} else keep(source, showLink);
