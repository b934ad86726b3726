// The page of one run.

import { Address, beginningOf } from "./address.js";
import { Artifacts } from "./artifacts.js";
import { ask, askCommands, because, runsUrl, runUrl, serverNow } from "./api.js";
import { content, milliseconds } from "./chunks.js";
import { copies, copy } from "./copy.js";
import { Find } from "./find.js";
import { Hint } from "./hint.js";
import { Hooks } from "./hooks.js";
import { keys } from "./keys.js";
import { keep } from "./live.js";
import { Output } from "./output.js";
import { Outside } from "./outside.js";
import { recording } from "./recording.js";
import { showNeighbours } from "./neighbours.js";
import { Notes } from "./notes.js";
import { numberKeys } from "./numbers.js";
import { $, busy, problem, set, showLink } from "./parts.js";
import { Reading } from "./reading.js";
import { Replay } from "./replay.js";
import { asking } from "./choose.js";
import { RunApi } from "./run_api.js";
import { Sending } from "./sending.js";
import { copyCurl, copyShared, orExpired, plainly, showShared } from "./sharing.js";
import { Source } from "./source.js";
import { Tools } from "./tools.js";
import { Typing } from "./typing.js";
import { UsageSoFar } from "./usage.js";
import { Waiting } from "./waiting.js";
import { bytes, count, duration, far, fileName, moment, person, place, seconds, sentence, shellLine, used, verdict, visible, what } from "./format.js";

// The page is at the run's address, and at that of its log for a browser that goes there. Below a view
// that is not mounted anywhere, addresses are in the query; `new URL` writes both in the same way.
const base = new URL(runsUrl, location.href);
const here = (location.pathname + location.search).slice((base.pathname + base.search).length + 1);
const id = decodeURIComponent(here.split(/[/?&]/)[0]);
const api = new RunApi(runUrl(id));
const askLog = (from) => api.log(from);

// A host that falls silent says nothing, so it is seen by looking.
const hint = new Hint(id, ({ host }) => source.run && !source.over && (source.run = { ...source.run, host }));
const hooks = new Hooks(api);
const MISSED = "Lines could not be fetched.";
const say = (text) => set($("said"), text);
const output = new Output({ scroller: $("output"), list: $("lines-here"), jump: $("jump"), ticks: $("ticks") }, askLog, {
  failed(error) {
    if (error) say(`${MISSED} ${because(error)}`);
    else if ($("said").textContent.startsWith(MISSED)) say("");
  },
  followed: (following) => (tools.following = following),
});
const tools = new Tools(output);
const address = new Address(output, $("lines-here"), (hash) => copy(link(hash), `Link to ${hash.includes("-") ? "lines" : "line"} ${hash.slice(2).replace("-L", " to ")}`, $("said")), say);

numberKeys($("output"), $("lines-here"), output);

const find = new Find(id, output);
const notes = new Notes(output);
const artifacts = new Artifacts(api);
const sending = new Sending((rest) => api.at(rest), (error) => problem(because(error)));
const typing = new Typing(output, sending, () => showWaiting());
const waiting = new Waiting(async (text) => {
  problem("");
  try {
    await ask("POST", api.at("/stdin"), text);
  } catch (error) {
    problem(because(error));
  }
}, (title, body) => outside.notify(title, body));
const outside = new Outside(say);
const usageSoFar = new UsageSoFar(api);
const reading = new Reading(id, output, askLog, say, {
  buildkite: new URLSearchParams(location.search).get("groups") === "buildkite",
  mayFold: () => output.following || !arrived,
});

const source = new Source(api, output, {
  run: showRun,
  typing: () => typing.on,
  chunk(chunk, line) {
    reading.add(chunk.channel, content(chunk), milliseconds(chunk), line);
    if (!source.run.progress && reading.percent !== percent) showRun(source.run);
    typing.came();
    showSize();
    showSilent();
    arrive();
  },
  end: (run) => reading.end(run.outcome?.ok === false),
});

// Where to begin.

const query = new URLSearchParams(location.search);
const begins = location.hash || ["line", "tail", "since"].some((name) => query.has(name));
if (begins) output.following = false;
if (query.has("channel")) tools.only(["stdout", "stderr"].find((name) => name === query.get("channel")) ?? "");
let arrived = false;

/** All that there was when the page was opened is here: go to where its address says. */
async function arrive() {
  if (arrived || !source.arrived) return;
  arrived = true;
  find.begin();
  if (!begins) return;
  output.following = false;
  if (location.hash) return address.go();
  try {
    const { line, tail, since } = beginningOf(query);
    if (since !== undefined) say(await output.goTo((await askLog({ since, max: 1 })).line, 0));
    else if (line !== undefined) say(await output.goTo(line, 0));
    else if (tail !== undefined) say(await output.goTo(Math.max(1, output.total - tail + 1), 0));
  } catch (error) {
    say(error instanceof RangeError ? error.message : because(error));
    output.toEnd();
  }
}

// What is shown.

let percent = null; // that the last line says, as it is shown
let commands = { commands: [], any: false };
let lost = null; // since when the server is out of reach

function showRun(run) {
  const unread = run.outcome && !source.over; // its end is not on the page yet
  const [kind, word] = unread ? ["quiet", "reading"] : verdict(run);
  const active = !run.outcome;
  const named = commands.commands.find((command) => command.name === run.name);
  const title = visible(named?.title || run.name);
  set($("title"), title);
  set($("state"), word);
  $("state").dataset.kind = kind;
  const asOf = lost && active ? ` As of ${moment(lost, lost)}.` : "";
  set($("outcome"), sentence(run) + asOf);
  $("sum").classList.toggle("stale", Boolean(asOf));
  $("outcome").dataset.kind = kind;
  $("command").parentElement.dataset.kind = run.source;
  set($("command"), what(run));
  percent = reading.percent;
  const read = active && percent !== null ? { done: percent, total: 100, status: "running" } : null;
  const progress = run.progress ?? read;
  showProgress(progress);
  notes.show(run.notes ?? []);
  artifacts.show(run);
  showWaiting();
  const mayType = active && run.tty === true && Boolean(run.links.stdin);
  typing.allow(mayType);
  $("replay").hidden = !source.over || !source.offset || !$("replaying").hidden;
  set($("pid"), run.pid ? String(run.pid) : "–");
  $("disk-fact").hidden = !run.disk_bytes || active; // while it goes on its output says more
  set($("disk"), bytes(run.disk_bytes ?? 0));
  for (const [name, who] of [["by", run.started_by], ["stopped", run.outcome?.stopped_by]]) {
    $(`${name}-fact`).hidden = !who;
    set($(name), person(who));
  }
  outside.show({ kind, word, title, percent: progress?.total ? Math.floor((100 * progress.done) / progress.total) : null, active: (active || unread) && run.source !== "stream", sentence: sentence(run) });
  const started = run.started_at || run.created_at;
  $("started").dateTime = started;
  $("started").title = new Date(started).toString();
  set($("started"), moment(started, serverNow()));
  const stream = run.source === "stream"; // nobody here started it: there is nothing to stop, also not first
  $("stop").hidden = !active || stream;
  set($("stop"), run.state === "stopping" ? "Kill now" : "Stop");
  $("delete").hidden = active && !stream;
  $("rerun").hidden = run.source !== "command" || !(named || commands.any);
  $("other").hidden = !named || !Object.keys(named.params).length;
  $("other").href = named ? `${runsUrl}?${asking(named, run.params)}` : runsUrl;
  $("download").download = fileName(run);
  $("download").hidden = $("copy-link").hidden = false;
  $("copy-command").hidden = !run.command.length;
  showShared(run);
  hooks.show(run);
  tools.began = Date.parse(started);
  showSize();
  showTime();
  arrive();
}

function showSize() {
  set($("lines"), count(source.lines, "line"));
  set($("bytes"), bytes(Math.max(source.offset, source.over ? Number(source.run.tail_offset) : 0)));
}

function showTime() {
  const run = source.run;
  if (!run) return;
  const started = seconds(run.started_at);
  if (started) {
    const ended = seconds(run.ended_at);
    if (ended || !lost) set($("duration"), duration((ended || serverNow() / 1000) - started, { over: Boolean(ended) }));
    $("duration").parentElement.hidden = Boolean(run.outcome?.text.includes(" after ")); // it stands there
  }
  const usage = run.outcome ? used(run.outcome.usage) : usageSoFar.text(started && !lost ? serverNow() / 1000 - started : 0);
  $("used-fact").hidden = !usage;
  set($("used"), usage);
  const host = place(run, serverNow());
  $("host-fact").hidden = !host;
  set($("host"), host);
  showSilent();
}

/** Say below the output why none comes. */
function showSilent() {
  const { host } = source.run;
  const nothing = source.offset ? "" : "It printed nothing.";
  const text = source.over ? nothing : hint.text(source.heard, !source.offset, host?.silent_since || host?.unshared_since);
  const hidden = $("silent").hidden;
  // Without its place at the end what somebody reads there would move down: it stays until they follow again.
  set($("silent"), text || (hidden || output.moves ? "" : "\u00a0"));
  $("silent").hidden = !$("silent").textContent;
}

function showProgress(progress) {
  $("progress").hidden = !progress || progress.status === "done";
  if (!progress) return;
  const { value, max, words } = far(progress);
  if (max) {
    $("bar").max = max;
    $("bar").value = value;
  } else $("bar").removeAttribute("value");
  set($("progress-text"), words);
}

function showWaiting() {
  const run = source.run;
  const over = source.over || Boolean(run.outcome);
  waiting.show((!over && run.waiting) || null, {
    title: $("title").textContent,
    enter: run.tty === true ? "\r" : "\n",
    mayAnswer: Boolean(run.links.stdin),
    typing: typing.on,
  });
}

function show(status, error) {
  showLink(status, orExpired(error, source.run));
  const before = lost;
  lost = status === "retrying" ? lost ?? new Date() : null;
  if (before !== lost && source.run) showRun(source.run);
  if (status !== "gone") return;
  for (const one of ["stop", "type", "replay", "rerun", "delete", "download", "copy-link", "copy-shared", "copy-command", "copy-curl"]) $(one).hidden = true;
  if (!source.run) set($("title"), "No such run");
}

// What can be done.

const does = (button, action) => button.addEventListener("click", () => busy(button, action));

does($("stop"), async () => {
  const grace = source.run.state === "stopping" ? 0 : 5;
  const run = await ask("POST", api.at("/stop"), { grace });
  if (source.over) return;
  source.run = { ...source.run, state: run?.state || "stopping" };
  showRun(source.run);
});

does($("rerun"), async () => {
  const run = await ask("POST", api.at("/rerun"));
  location.assign(runUrl(run.id));
});

let sure = 0;
does($("delete"), async () => {
  if (!sure) {
    set($("delete"), "Really delete?");
    sure = setTimeout(() => {
      set($("delete"), "Delete");
      sure = 0;
    }, 4000);
    return;
  }
  const open = !source.run.closed && source.run.links.stream;
  await ask("DELETE", open || api.at());
  location.assign(document.querySelector("a.brand").href);
});

const replay = new Replay(output, () => recording(output, askLog, Number(source.run.tail_offset)), () => showRun(source.run));
does($("replay"), async () => {
  await replay.begin();
  $("replay").hidden = true;
});

// Of the page's own address only the origin: a token may stand in it.
const link = (rest = "") => new URL(api.at(), location.origin).href + rest;
copies($("copy-link"), "Link", link, () => plainly(source.run));
does($("copy-shared"), () => copyShared(api, link));
does($("copy-curl"), () => copyCurl(api, link));
copies($("copy-command"), "Command", () => shellLine(source.run.command));
keys([
  ["/", $("find-open"), "Search all lines"],
  ["n", $("find-next"), "Go to the next line that matches"],
  ["N", $("find-before"), "Go to the one before"],
  ["g", $("first"), "Go to the first line"],
  ["G", $("jump"), "Jump to the end"],
  ["f", $("follow"), "Follow the end, or do not"],
  ["e", $("next-error"), "Go to the next error"],
  ["E", $("previous-error"), "Go to the error before"],
  ["j", $("raw"), "Show JSON as it is, or as rows"],
  ["t", $("times"), "Times: by the clock, since the start, gaps, none"],
  ["w", $("wrap"), "Wrap long lines, or do not"],
  ["Enter", null, "In the output: to the numbers of lines. There the arrows go on, and Enter copies the link, with Shift to several lines"],
  ["l", $("copy-link")],
  ["c", $("copy-command")],
  ["?", $("show-keys")],
]);

$("output").addEventListener("keydown", (event) => {
  if (event.key !== "a" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey) return;
  if (event.target.closest("input, textarea")) return;
  event.preventDefault();
  if (output.whole) getSelection().selectAllChildren($("lines-here"));
  else {
    say("Only a part of the output is on the page at a time. Download has all of it.");
    $("download").focus();
  }
});

$("download").href = api.at("/log", { follow: 0, format: "text" });
setInterval(showTime, 1000);
askCommands().then((answer) => {
  commands = answer;
  if (source.run) showRun(source.run);
}, () => {});
showNeighbours(id);
keep(source, show);
