// The address of a run as somebody writes it into a page of theirs.

import { RunApi } from "./run_api.js";

const RUN = /^(.*\/runs\/[0-9A-Za-z]+)(?:\/log)?\/?$/;
const LONGEST = 200; // characters of it in a sentence

/**
 * Return the run at an address, and the address of its page.
 *
 * What is in the query goes along with each request, such as a token that the server wants.
 *
 * @throws RangeError with a sentence, where the address is none of a run
 */
export function runAt(src, base) {
  const url = URL.canParse(src, base) ? new URL(src, base) : null;
  const path = url && /^https?:$/.test(url.protocol) && RUN.exec(url.pathname);
  if (!path) throw new RangeError(`Expected src as the address of a run, such as /runs/ID, got “${src.slice(0, LONGEST)}”.`);
  const run = `${url.origin}${path[1]}`;
  return { api: new RunApi(run, Object.fromEntries(url.searchParams)), page: run + url.search };
}
