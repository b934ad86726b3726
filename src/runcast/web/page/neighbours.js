// The runs of the same name on the page of a run: the one before and how that went, the next, and the list of all.

import { ask, may, runsUrl, runUrl, serverNow } from "./api.js";
import { duration, moment, took, verdict, visible } from "./format.js";
import { $, set } from "./parts.js";

const LOOKS = 3; // requests for one neighbour; the server looks for some seconds in each

/** Show them, where this client may see a list; nothing fails where it does not work. */
export async function showNeighbours(id) {
  if (!may("list")) return;
  try {
    const { name } = await ask("GET", runUrl(id));
    const [before, after] = await Promise.all(["before", "after"].map((side) => neighbour(name, side, id)));
    for (const [element, run] of [["previous-run", before], ["next-run", after]]) {
      $(element).hidden = !run;
      if (run) $(element).href = runUrl(run.id);
    }
    set($("last-time"), before ? `Last time: ${ending(before)}` : "");
    if (before) $("last-time").title = moment(before.created_at, serverNow());
    $("same-name").href = `${runsUrl}?${new URLSearchParams({ name })}`;
    $("same-name").title = visible(name);
    $("neighbours").hidden = !before && !after;
  } catch {
    // A run can be read without them.
  }
}

async function neighbour(name, side, id) {
  let at = id;
  for (let look = 0; look < LOOKS; look += 1) {
    const { runs, next, stopped } = await ask("GET", `${runsUrl}?${new URLSearchParams({ name, [side]: at, limit: 1 })}`);
    if (runs.length) return runs[0].name === name ? runs[0] : null; // a star in a name stands for any text
    if (stopped !== "time") return null;
    at = next;
  }
  return null;
}

function ending(run) {
  const seconds = took(run);
  const word = run.outcome?.ok ? "ok" : verdict(run)[1];
  return seconds === null ? word : `${word}, ${duration(seconds)}`;
}
