// Asking the server: plain requests, and what their errors mean.

const root = document.documentElement.dataset.root;

// How long a request may take before the server counts as out of reach, in milliseconds.
const PATIENCE = 20000;
const SENDING = 3600000; // … where files are sent with it

/** The address of a run's page, and of all that belongs to it. */
export const runUrl = (id, rest = "") => `${root}/runs/${encodeURIComponent(id)}${rest}`;
export const runsUrl = `${root}/runs`;

/** An answer that is not the one hoped for; `ours` tells whether runcast said so, or something on the way. */
export class Refused extends Error {
  constructor(status, message, ours, problem) {
    super(message);
    this.status = status;
    this.ours = ours;
    this.problem = problem;
  }

  /** Whether it is no use to ask again. A proxy's 404 may only mean that the server restarts. */
  get final() {
    return this.ours && [404, 416].includes(this.status);
  }

  get signedOut() {
    return [401, 403].includes(this.status);
  }
}

// How far this computer's clock is ahead of the server's, in milliseconds.
let ahead = 0;
export const serverNow = () => Date.now() - ahead;

/** Ask, and return the JSON of the answer; null for an empty one. A body that is a text is sent as it is. */
export async function ask(method, url, body = {}) {
  const changes = method !== "GET";
  const form = body instanceof FormData; // whose type the browser writes, with its boundary
  const type = form ? {} : { "Content-Type": typeof body === "string" ? "application/octet-stream" : "application/json" };
  const response = await fetch(url, {
    method,
    // A header that no form has: what a foreign page can send without asking first is refused.
    headers: { Accept: "application/json", ...(changes && { ...type, "X-Runcast": "1" }) },
    body: !changes ? undefined : form || typeof body === "string" ? body : JSON.stringify(body),
    cache: "no-store",
    signal: AbortSignal.timeout(form ? SENDING : PATIENCE),
  });
  const date = Date.parse(response.headers.get("Date"));
  if (date) ahead = Math.abs(Date.now() - date) < 2000 ? 0 : Date.now() - date; // Date is in whole seconds
  const text = await response.text();
  const json = /\bjson\b/.test(response.headers.get("Content-Type") || "");
  if (response.ok) return json ? JSON.parse(text) : null;
  const problem = json ? JSON.parse(text) : {};
  const large = !json && response.status === 413 && "a proxy before the server takes nothing of this size (413)";
  const message = problem.detail || problem.title || large || `the server answered ${response.status} ${response.statusText}`;
  throw new Refused(response.status, message, json, problem);
}

/** Whether the client may do something besides reading; the server wrote it into the page. */
export const may = (what) => document.documentElement.dataset.may.split(" ").includes(what);

/** The commands that may be started; none where an application does not serve them. */
export async function askCommands() {
  if (!may("commands")) return { commands: [], any: false };
  try {
    return await ask("GET", `${root}/commands`);
  } catch (error) {
    if (error.status === 404 || error.status === 403) return { commands: [], any: false };
    throw error;
  }
}

/** Say why something did not work, as a sentence. */
export function because(error) {
  if (error instanceof Refused) {
    if (error.status === 401) return "You are not signed in here any more: open the link with the token again.";
    return `${error.message[0].toUpperCase()}${error.message.slice(1)}.`.replace(/([.!?])\.$/, "$1");
  }
  return "The server cannot be reached. Is it running?";
}
