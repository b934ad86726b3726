// The suite's own times, stretched as all deadlines of the tests are. It has lifetimes of 2 s that it renews after
// 1.5 s, and a machine that is busy does not answer within half a second: lifetimes, and how long is waited, are
// multiples. What is asked of the server is the same. Long lifetimes stay, since they are compared with what comes back.
const factor = Math.max(1, Number(process.env.RUNCAST_TEST_TIMEOUT_FACTOR ?? 1));
const LONGEST = 5; // seconds of a lifetime that a test waits for
const { fetch, setTimeout } = globalThis;

globalThis.setTimeout = (then, milliseconds, ...rest) => setTimeout(then, milliseconds * factor, ...rest);

globalThis.fetch = (resource, init) => {
  const headers = new Headers(init?.headers);
  const ttl = headers.get("Stream-TTL");
  const left = Date.parse(headers.get("Stream-Expires-At")) - Date.now();
  if (!(/^\d$/.test(ttl) && Number(ttl) <= LONGEST) && !(left > 0 && left <= LONGEST * 1000)) return fetch(resource, init);
  if (ttl !== null) headers.set("Stream-TTL", String(Math.ceil(Number(ttl) * factor)));
  else headers.set("Stream-Expires-At", new Date(Date.now() + left * factor).toISOString());
  return fetch(resource, { ...init, headers });
};
