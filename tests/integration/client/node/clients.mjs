// One client of server-sent events reads a URL and prints each event as a line of JSON, until `exit`.
// node clients.mjs CLIENT URL

const [, , name, url] = process.argv;
const NAMES = ["message", "run", "state", "progress", "gap", "exit", "restart", "stdout", "stderr", "data"];

let ended = false;

function say(type, data, id, source) {
  ended ||= type === "exit";
  if (ended) source.close(); // as a page does: node ends when all is written
  process.stdout.write(JSON.stringify([type, data, id]) + "\n");
}

function listen(source) {
  for (const one of NAMES) {
    source.addEventListener(one, (event) => say(event.type, event.data, event.lastEventId, source));
  }
  source.addEventListener("error", (event) => {
    if (ended) return;
    console.error(event.message ?? event.error ?? "error");
    process.exit(1);
  });
}

if (name === "eventsource") {
  const { EventSource } = await import("eventsource");
  listen(new EventSource(url));
} else if (name === "undici") {
  const { EventSource } = await import("undici");
  listen(new EventSource(url));
} else if (name === "eventsource-client") {
  const { createEventSource } = await import("eventsource-client");
  let last = "";
  const source = createEventSource({
    url,
    onMessage: ({ event, data, id }) => {
      last = id ?? last;
      say(event ?? "message", data, last, source);
    },
  });
} else {
  console.error(`expected a client, got ${name}`);
  process.exit(2);
}
