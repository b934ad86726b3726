// The search in the output of all runs: lines that the server finds, newest run first, each a link to its place.

import { because, runsUrl, runUrl, serverNow } from "./api.js";
import { count, digits, moment, timeOf, visible } from "./format.js";
import { $, element, problem, set } from "./parts.js";
import { elsewhere } from "./query.js";
import { objects } from "./searching.js";

const STOPPED = {
  max: "Stopped after so many lines.",
  bytes: "Stopped after 2 GiB of output.",
  time: "Stopped after 10 seconds.",
  runs: "Stopped after so many runs.",
};

/** Search for what a query says, and show what comes. */
export async function showHits(query, given) {
  $("hits").hidden = false;
  $("list").hidden = true;
  set($("hits-said"), "Searching …");
  const runs = new Map(); // the list of lines of each, by id
  let found = 0;
  try {
    for await (const one of objects(`${runsUrl}/-/search?${query}`)) {
      if (one.done) end(one, runs.size, given);
      else {
        const lines = runs.get(one.run) ?? begin(runs, one);
        if (one.more) lines.after(element("a", { className: "more", href: more(one.run, query) }, "All lines of this run that match"));
        else {
          found += 1;
          lines.append(line(one));
        }
      }
    }
  } catch (error) {
    set($("hits-said"), found ? `${count(found, "line")}, then the search failed.` : "");
    problem(because(error));
  }
}

function begin(runs, one) {
  const lines = element("ol", {});
  const made = new Date(timeOf(one.run)).toISOString();
  const when = element("time", { dateTime: made, title: new Date(made).toString() }, moment(made, serverNow()));
  const link = element("a", { href: runUrl(one.run) }, element("bdi", {}, visible(one.name)));
  $("hits-list").append(element("li", {}, element("h3", {}, link, when), lines));
  runs.set(one.run, lines);
  return lines;
}

function line(one) {
  const number = element("span", { className: "of" }, digits(one.line));
  return element("li", {}, element("a", { href: runUrl(one.run, `#L${one.line}`) }, number, element("bdi", {}, visible(one.text))));
}

/** The page of a run, with the same search in it. */
function more(id, query) {
  const same = new URLSearchParams(["q", "regex", "case"].filter((name) => query.get(name)).map((name) => [name, query.get(name)]));
  return runUrl(id, `?${same}`);
}

function end(one, runs, given) {
  const where = `${count(one.runs, "run")}${one.unreadable ? ` (${digits(one.unreadable)} could not be read)` : ""}`;
  const searched = one.runs === 1 ? "that was searched" : "that were searched";
  const said = `${one.matches ? `${count(one.matches, "line")} of ${count(runs, "run")}` : "No line matches"}, in ${where} ${searched}.`;
  set($("hits-said"), [said, STOPPED[one.stopped]].filter(Boolean).join(" "));
  $("hits-more").hidden = !one.next;
  if (one.next) $("hits-more").href = `${runsUrl}?${elsewhere(given, one.next)}`;
}
