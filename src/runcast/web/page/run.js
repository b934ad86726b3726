// The page of one run.

import { ask, askCommands, runsUrl, runUrl, serverNow } from "./api.js";
import { keep } from "./live.js";
import { Output } from "./output.js";
import { $, busy, set, showLink } from "./parts.js";
import { bytes, count, duration, moment, seconds, sentence, verdict, visible, what } from "./words.js";

// How much of a long output is fetched and shown, in bytes from its end.
const RECENT = 8 << 20;
// How far behind a page may be before it skips to what is recent. A flood of output goes faster than
// it can be shown, and what is skipped would have left the page at once.
const LAG = 32 << 20;

// The page is at the run's address, and at that of its log for a browser that goes there. Below a view
// that is not mounted anywhere, addresses are in the query; `new URL` writes both in the same way.
const base = new URL(runsUrl, location.href);
const here = (location.pathname + location.search).slice((base.pathname + base.search).length + 1);
const id = decodeURIComponent(here.split(/[/?&]/)[0]);
const logUrl = runUrl(id, "/log");
const wholeUrl = `${logUrl}?follow=0&format=text`;

const output = new Output($("output"), $("lines-here"), $("jump"), () => ($("before").hidden = false));

/** The run, and how far its output has been taken. */
const source = {
  events: ["run", "state", "progress", "message", "exit"],
  run: null,
  over: false,
  offset: null,
  lines: 0,
  countFrom: 0, // the offset from which on lines are counted here
  looked: 0, // the offset at which the tail was last asked for
  heard: performance.now(),

  async look() {
    this.update(await ask("GET", runUrl(id)));
    // One that ended before the page was opened, and has been read to its end.
    if (this.run.closed && this.offset === Number(this.run.tail_offset)) this.end();
  },

  async poll() {
    for (;;) {
      const answer = await this.read();
      for (const chunk of answer.chunks) this.chunk(chunk);
      this.offset = Math.max(this.offset, Number(answer.next));
      if (answer.progress) showProgress(answer.progress);
      if (answer.closed) return this.look();
      if (answer.next === answer.offset) return;
    }
  },

  async read() {
    try {
      return await ask("GET", `${logUrl}?format=json&wait=0&offset=${this.offset}`);
    } catch (error) {
      if (error.status !== 410) throw error;
      this.gap(error.problem);
      return this.read();
    }
  },

  url() {
    return `${logUrl}?format=json&offset=${this.offset}`;
  },

  behind() {
    return this.offset < Number(this.run.tail_offset) || this.run.closed;
  },

  take(name, text) {
    const value = JSON.parse(text);
    if (name === "message") {
      for (const chunk of value.chunks) this.chunk(chunk);
      return this.offset - this.looked > LAG; // time to ask how far the end is
    }
    if (name === "progress") showProgress(value);
    else if (name === "exit") {
      this.update({ ...this.run, ...value, ended_at: value.outcome.ended_at, closed: true });
      this.end();
    } else this.update({ ...this.run, ...value });
    return false;
  },

  update(run) {
    const tail = Number(run.tail_offset);
    if (!this.run) {
      this.offset = 0;
      if (tail > RECENT) this.skip(run);
    } else if (tail - this.offset > LAG) {
      output.note(`${bytes(tail - RECENT - this.offset)} of output are skipped here, to keep up`);
      this.skip(run);
    }
    this.run = run;
    this.looked = this.offset;
    showRun(run);
  },

  skip(run) {
    this.offset = Number(run.tail_offset) - RECENT;
    this.countOn(run);
    output.skipLine();
  },

  /** Count lines on from what the server counted. */
  countOn(run) {
    this.lines = run.lines;
    this.countFrom = Number(run.tail_offset);
  },

  chunk(chunk) {
    const [from, to] = [Number(chunk.offset), Number(chunk.next)];
    if (to <= this.offset) return; // a proxy or a poll may bring what is known already
    if (chunk.channel === "gap") return this.gap(chunk);
    this.offset = to;
    this.heard = performance.now();
    const data = content(chunk);
    if (from >= this.countFrom) this.lines += feeds(data);
    output.add(chunk.channel, data);
    showSize();
  },

  gap(gap) {
    const [from, to] = [Number(gap.offset), Number(gap.next)];
    if (to <= this.offset) return;
    this.offset = to;
    if (to <= Number(this.run.tail_offset)) this.countOn(this.run); // dropped lines were lines, too
    output.note(`${bytes(to - from)} of output are missing here: they were dropped at the cap on its size`);
  },

  end() {
    if (this.over) return;
    this.over = true;
    output.end();
    // The final numbers, which count the whole log.
    ask("GET", runUrl(id)).then((run) => {
      this.run = run;
      this.lines = run.lines;
      showRun(run);
    }, () => {});
  },
};

function feeds(data) {
  let number = 0;
  const feed = typeof data === "string" ? "\n" : 10;
  for (let at = data.indexOf(feed); at >= 0; at = data.indexOf(feed, at + 1)) number += 1;
  return number;
}

/** What a chunk says: text, or bytes where it is none. */
function content(chunk) {
  if ("text" in chunk) return chunk.text;
  if ("values" in chunk) return chunk.values.map((value) => `${JSON.stringify(value)}\n`).join("");
  return Uint8Array.from(atob(chunk.base64), (char) => char.charCodeAt());
}

// What is shown.

let commands = { commands: [], any: false };

function showRun(run) {
  const [kind, word] = verdict(run);
  const active = !run.outcome;
  const named = commands.commands.find((command) => command.name === run.name);
  const title = visible(named?.title || run.name);
  set($("title"), title);
  set($("state"), word);
  $("state").dataset.kind = kind;
  set($("outcome"), sentence(run));
  $("outcome").dataset.kind = kind;
  $("command").parentElement.dataset.kind = run.source;
  set($("command"), what(run));
  if (run.progress) showProgress(run.progress);
  set($("pid"), run.pid ? String(run.pid) : "–");
  document.title = `${{ good: "✓", bad: "✗", warn: "■" }[kind] || "▶"} ${title} – ${word}`;
  const started = run.started_at || run.created_at;
  $("started").dateTime = started;
  $("started").title = new Date(started).toString();
  set($("started"), moment(started, serverNow()));
  const stream = run.source === "stream"; // nobody here started it: there is nothing to stop, also not first
  $("stop").hidden = !active || stream;
  set($("stop"), run.state === "stopping" ? "Kill now" : "Stop");
  $("delete").hidden = active && !stream;
  $("rerun").hidden = run.source !== "command" || !(named || commands.any);
  $("download").hidden = false;
  showSize();
  showTime();
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
    set($("duration"), duration((ended || serverNow() / 1000) - started, { over: Boolean(ended) }));
  }
  const silence = (performance.now() - source.heard) / 1000;
  $("silent").hidden = source.over || source.offset > 0 || silence < 3;
  if (!$("silent").hidden) set($("silent"), "No output yet. A program may hold it back while it writes to a pipe.");
  if (source.over && !source.offset) {
    set($("silent"), "It printed nothing.");
    $("silent").hidden = false;
  }
}

function showProgress({ done, total, text }) {
  $("progress").hidden = false;
  if (total) {
    $("bar").max = total;
    $("bar").value = done;
  } else $("bar").removeAttribute("value");
  set($("progress-text"), visible(text || (total ? `${done} of ${total}` : done ?? "")));
}

function show(status, error) {
  showLink(status, error);
  if (status !== "gone") return;
  for (const one of ["stop", "rerun", "delete", "download"]) $(one).hidden = true;
  if (!source.run) set($("title"), "No such run");
}

// What can be done.

const does = (button, action) => button.addEventListener("click", () => busy(button, action));

does($("stop"), async () => {
  const grace = source.run.state === "stopping" ? 0 : 5;
  const run = await ask("POST", runUrl(id, "/stop"), { grace });
  if (source.over) return;
  source.run = { ...source.run, state: run?.state || "stopping" };
  showRun(source.run);
});

does($("rerun"), async () => {
  const run = await ask("POST", runUrl(id, "/rerun"));
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
  await ask("DELETE", open || runUrl(id));
  location.assign(document.querySelector("a.brand").href);
});

$("whole").href = wholeUrl;
$("download").href = wholeUrl;
$("download").download = `${id}.log`;
setInterval(showTime, 1000);
askCommands().then((answer) => {
  commands = answer;
  if (source.run) showRun(source.run);
}, () => {});
keep(source, show);
