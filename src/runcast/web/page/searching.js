// Lines that have something, as the server finds them, in one run or in all.

import { Refused, runUrl } from "./api.js";

/**
 * Yield the lines that match, {line, time, channel, text}, and at the end {done, next, stopped}.
 *
 * @param query q, regex, case, from, max. @param signal ends the search, on the server as well
 */
export const search = (id, query, signal) => objects(`${runUrl(id, "/search")}?${new URLSearchParams(query)}`, signal);

/** Yield the objects of a search, as they come; throws if it was cut off before its last one. */
export async function* objects(url, signal) {
  const reply = await fetch(url, { headers: { Accept: "application/x-ndjson" }, cache: "no-store", signal });
  if (!reply.ok) {
    const problem = await reply.json().catch(() => ({}));
    throw new Refused(reply.status, problem.detail || `the server answered ${reply.status}`, Boolean(problem.title), problem);
  }
  let rest = "";
  let whole = false;
  for await (const piece of texts(reply.body)) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const one = JSON.parse(line);
      whole = Boolean(one.done);
      yield one;
    }
  }
  if (!whole) throw new Refused(0, "the search was cut off: try it again", false, {});
}

/** The texts of a body; not every browser can iterate one. */
async function* texts(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
