// The page with what can be started and the list of runs.

import { ask, askCommands, runsUrl, runUrl, serverNow } from "./api.js";
import { keep } from "./live.js";
import { $, busy, set, showLink } from "./parts.js";
import { ago, bytes, commandLine, count, duration, seconds, verdict, visible, what } from "./words.js";

const source = {
  events: ["runs"],
  over: false,
  runs: null,

  async look() {
    showCommands(await askCommands());
    show(await ask("GET", runsUrl));
  },

  async poll() {},

  url() {
    return runsUrl;
  },

  behind() {
    return false; // a look has shown all there is; the stream tells what changes
  },

  take(name, text) {
    show(JSON.parse(text));
    return false;
  },
};

// Commands.

let commands = null;

function showCommands(answer) {
  if (JSON.stringify(answer) === JSON.stringify(commands)) return; // the focus may be on one of them
  commands = answer;
  $("commands").replaceChildren(...commands.commands.map(card));
  $("any").hidden = !commands.any;
  $("start").hidden = !commands.any && !commands.commands.length;
  $("empty-what").textContent = $("start").hidden
    ? "No runs yet, and no commands to start: name some in the server's configuration (runcast serve --config FILE)."
    : "No runs yet: start one above, and watch it from as many places as you like.";
}

function card(command) {
  const title = element("h3", {}, visible(command.title || command.name));
  const button = element("button", { className: "main" }, "Start");
  button.setAttribute("aria-label", `Start ${visible(command.title || command.name)}`);
  button.addEventListener("click", () => start(button, { name: command.name }));
  return element(
    "li",
    { className: "card" },
    title,
    command.description && element("p", {}, visible(command.description)),
    element("code", { className: "what" }, commandLine(command.command)),
    button,
  );
}

function start(button, what) {
  return busy(button, async () => {
    const run = await ask("POST", runsUrl, what);
    location.assign(runUrl(run.id));
  });
}

$("any").addEventListener("submit", (event) => {
  event.preventDefault();
  start($("any").querySelector("button"), { command: $("command").value });
});

// Runs.

const rows = new Map();

function show({ runs }) {
  source.runs = runs;
  const ids = new Set(runs.map((run) => run.id));
  for (const [id, row] of rows) {
    if (!ids.has(id)) {
      row.item.remove();
      rows.delete(id);
    }
  }
  // Rows stay where they are, so that neither the focus nor a selection is lost.
  let before = $("runs").firstElementChild;
  for (const run of runs) {
    const row = rows.get(run.id) || makeRow(run);
    row.run = run;
    if (row.item === before) before = before.nextElementSibling;
    else $("runs").insertBefore(row.item, before);
    showRow(row);
  }
  $("empty").hidden = runs.length > 0;
}

function makeRow(run) {
  const row = {
    name: element("bdi", { className: "name" }),
    state: element("span", { className: "state" }),
    command: element("code", { className: "what" }),
    when: element("time", {}),
    took: element("span", {}),
    size: element("span", { className: "size" }),
  };
  const link = element("a", { href: runUrl(run.id) }, row.name);
  const facts = element("span", { className: "meta" }, row.when, row.took, row.size);
  row.item = element("li", { className: "row" }, row.state, element("span", { className: "which" }, link, row.command), facts);
  row.item.dataset.id = run.id;
  rows.set(run.id, row);
  return row;
}

function showRow(row) {
  const run = row.run;
  const [kind, word] = verdict(run);
  const title = commands?.commands.find((command) => command.name === run.name)?.title || run.name;
  const when = run.started_at || run.created_at;
  set(row.name, visible(title));
  set(row.state, word);
  row.state.dataset.kind = kind;
  row.state.title = visible(run.damaged || "");
  set(row.command, what(run));
  set(row.when, ago(when, serverNow()));
  row.when.dateTime = when;
  row.when.title = new Date(when).toString();
  const ended = seconds(run.ended_at);
  set(row.took, run.started_at ? duration((ended || serverNow() / 1000) - seconds(run.started_at), { over: Boolean(ended) }) : "");
  set(row.size, run.closed ? (run.lines ? count(run.lines, "line") : bytes(Number(run.tail_offset))) : "");
}

setInterval(() => {
  for (const row of rows.values()) showRow(row);
}, 1000);

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter(Boolean));
  return made;
}

keep(source, showLink);
