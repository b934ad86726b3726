// What can be started: a card for each command, and a field for any other.

import { ask, may, runsUrl, runUrl } from "./api.js";
import { choose, requested } from "./choose.js";
import { commandLine, visible } from "./format.js";
import { $, busy, element, store, stored } from "./parts.js";

const FEW = 2; // cards that are shown whole
const NARROW = 720; // pixels, below which runs come first

let commands = { commands: [], any: false };
let shown = null;
let wanted = requested(new URLSearchParams(location.search)); // the form that the address opens, once

/** The title of a run's command, else its name. */
export const titleOf = (run) => visible(commands.commands.find((one) => one.name === run.name)?.title || run.name);

/** Whether there is anything to start. */
export const startable = () => may("commands") && (commands.any || commands.commands.length > 0);

/** Show what can be started; `beside` tells whether there are runs, which are looked at more often. */
export function showCommands(answer, beside) {
  commands = answer;
  if (JSON.stringify(answer) === shown) return; // the focus may be on one of them
  shown = JSON.stringify(answer);
  $("commands").replaceChildren(...commands.commands.map(card));
  $("commands").classList.toggle("chips", beside || commands.commands.length > FEW);
  $("any").hidden = !commands.any;
  $("start").hidden = !startable();
  const open = wanted && commands.commands.find((command) => command.name === wanted.name);
  if (open) choose(open, wanted.values, (params) => begin({ name: open.name, params }));
  wanted = null;
  $("start").open = beside && innerWidth <= NARROW ? stored("start") === "open" : stored("start") !== "closed";
}

$("start").querySelector("summary").addEventListener("click", () => store("start", $("start").open ? "closed" : "open"));

function card(command) {
  const title = visible(command.title || command.name);
  const own = Object.keys(command.params).length > 0; // something to choose
  const button = element("button", { className: "main", ariaLabel: `Start ${title}` }, own ? "Start …" : "Start");
  if (own) button.ariaHasPopup = "dialog";
  button.addEventListener("click", () => {
    if (own) choose(command, {}, (params) => begin({ name: command.name, params }));
    else busy(button, () => begin({ name: command.name }));
  });
  return element(
    "li",
    { className: "card" },
    element("h3", {}, title),
    command.description && element("p", {}, visible(command.description)),
    element("code", { className: "what" }, commandLine(command.command)),
    button,
  );
}

async function begin(what) {
  const run = await ask("POST", runsUrl, withFiles(what));
  location.assign(runUrl(run.id));
}

/** A start as it is sent: as a form where one of its values is a file. */
function withFiles({ name, params = {}, ...rest }) {
  if (!Object.values(params).some((value) => value instanceof File)) return { ...rest, ...(name && { name, params }) };
  const form = new FormData();
  form.set("name", name);
  for (const [key, value] of Object.entries(params)) form.set(`p.${key}`, value instanceof File ? value : String(value));
  return form;
}

$("any").addEventListener("submit", (event) => {
  event.preventDefault();
  busy($("any").querySelector("button"), () => begin({ command: $("command").value }));
});
