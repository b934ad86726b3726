// What people give to others: the plain address of a run, a link that reads it and does nothing else, and the line for
// a terminal that reads its log. Each says what it opens, for the plain address may do more.

import { ask, may, Refused, serverNow } from "./api.js";
import { copy } from "./copy.js";
import { shellLine } from "./format.js";
import { $, set } from "./parts.js";

const when = (time) => new Date(time).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });

/** What opens by the plain address of a run, as a sentence; "" where there is nothing to say. */
export function plainly(run) {
  if (run.shared_until) return "It opens where the share link was opened.";
  if (may("share")) return "It opens for those whom this server lets in.";
  return may("stop") && !run.outcome ? "It is not read-only: who opens it may also stop the run." : "";
}

/** Show what concerns sharing of a run. */
export function showShared(run) {
  $("copy-shared").hidden = !may("share");
  $("copy-curl").hidden = Boolean(run.shared_until); // what opened this page is in a cookie, which nobody can copy
  $("shared").hidden = !run.shared_until;
  if (run.shared_until) set($("shared-until"), `to read, until ${when(run.shared_until)}`);
}

/** Make a read-only link and copy it; `link` makes one of what is behind the run's address. */
export async function copyShared(api, link) {
  const { query, until } = await shared(api);
  await copy(link(query), "Read-only link", $("copied"), `Anybody may watch this run by it until ${until}.`);
}

/** Copy the line by which curl follows the log, anywhere: with a read-only link of its own, where there are such links. */
export async function copyCurl(api, link) {
  const { query, until } = may("share") ? await shared(api) : { query: "" };
  const login = may("list") ? "Where a login is needed, curl needs it, too." : "";
  const note = until ? `It reads this run, and nothing else, until ${until}.` : login;
  await copy(shellLine(["curl", "-N", link(`/log${query}`)]), "Line for curl", $("copied"), note);
}

async function shared(api) {
  const { url, expires_at: expires } = await ask("POST", api.at("/share"));
  return { query: new URL(url).search, until: when(expires) };
}

/** The error of a page whose share link has expired meanwhile; else the error that came. */
export function orExpired(error, run) {
  const over = run?.shared_until && Date.parse(run.shared_until) <= serverNow();
  return over ? new Refused(403, "the share link by which this page was opened has expired", true) : error;
}
