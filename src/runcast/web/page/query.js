// What the address of the list says: which runs it has, and what is searched for. Knows no page.

const OF_LIST = ["name", "key", "state", "ok", "source", "before", "after"];
const OF_SEARCH = ["q", "regex", "case", "name", "key", "state", "ok", "source", "at", "from"];
const OF_FORM = ["q", "regex", "case", "name", "key", "state", "ok", "source"];

const picked = (given, names) => new URLSearchParams(names.filter((name) => given.get(name)).map((name) => [name, given.get(name)]));

/** The part of a query that the server's list takes; empty for the newest runs, which alone are live. */
export const ofList = (given) => picked(given, OF_LIST);

/** The part of a query that the server's search takes, with case off unless it is on; null where nothing is searched for. */
export function ofSearch(given) {
  if (!given.get("q")) return null;
  const query = picked(given, OF_SEARCH);
  query.set("case", given.get("case") === "1" ? "1" : "0");
  return query;
}

/** The query of a page with other places in the list, or in a search, than this one. */
export function elsewhere(given, place) {
  const query = picked(given, OF_FORM);
  for (const [name, value] of Object.entries(place)) query.set(name, value);
  return query;
}

/** The query of a form: {q, name, key, state, regex, case}, of which a state may be another filter, such as `ok=0`. */
export function ofForm({ q, name, key = "", state, regex, case: cases }) {
  const [filter, value] = state.includes("=") ? state.split("=") : ["state", state];
  const fields = { q, name: name.trim(), key, [filter]: value, regex: q && regex ? "1" : "", case: q && cases ? "1" : "" };
  return picked(new URLSearchParams(fields), OF_FORM);
}

/** The state in the form that a query means. */
export const stateOf = (given) => ["ok", "state"].filter((name) => given.get(name)).map((name) => `${name}=${given.get(name)}`)[0] ?? "";

/** What a query leaves in the list, as words: `named “build”, that failed`; empty for all. */
export function narrowed(given) {
  const name = given.get("name");
  const ended = { 1: "that went well", 0: "that failed" }[given.get("ok")];
  return [
    name && (name.includes("*") ? `with a name like “${name}”` : `named “${name}”`),
    given.get("key") && `with the key “${given.get("key")}”`,
    given.get("source") && `from a ${given.get("source")}`,
    given.get("state") && `in state “${given.get("state")}”`,
    ended,
  ].filter(Boolean).join(", ");
}
