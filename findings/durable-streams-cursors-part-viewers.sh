#!/bin/sh
# Viewers of a Durable Stream who came at different times never request the same URL again, so no cache merges them.
#
# @durable-streams/server 0.3.7, the protocol's own server, 2026-11-30. The cursor of a long-poll is there so that a
# CDN collapses all who wait at one offset: readers send it back, and it is a part of the URL. But for a reader whose
# cursor is not behind the current span of twenty seconds, the next one is a random step of up to an hour ahead of
# the reader's own. At one reply a second a reader is a day ahead after a minute, and stays ahead of whoever comes
# later, by a number of its own: at the same offsets, they are two requests, a thousand who came one by one are a
# thousand. What would merge them is a cursor that depends on the log alone, such as the time of its last byte.
#
# Output seen:
#   40 messages later somebody comes; of the next 20 replies
#   20 leave both at the same offset
#   0 have both request the same URL next
# Exits non-zero when that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts @durable-streams/server@0.3.7
cat > view.mjs <<'JS'
import { DurableStreamTestServer } from "@durable-streams/server";

const server = new DurableStreamTestServer({ port: 0, host: "127.0.0.1" });
const stream = `${await server.start()}/v1/stream/log`;
const type = { "Content-Type": "text/plain" };
await fetch(stream, { method: "PUT", headers: type });
const say = () => fetch(stream, { method: "POST", headers: type, body: "line\n" });

async function poll(query) {
  const reply = await fetch(`${stream}?${query}`);
  await reply.text();
  const [offset, cursor] = ["stream-next-offset", "stream-cursor"].map((name) => reply.headers.get(name));
  return { offset, query: new URLSearchParams({ ...(cursor && { cursor }), live: "long-poll", offset }).toString() };
}

let first = await poll("offset=-1");
for (let n = 0; n < 40; n++) {
  await say();
  first = await poll(first.query);
}
let second = await poll("offset=-1");
let [places, urls] = [0, 0];
for (let n = 0; n < 20; n++) {
  await say();
  [first, second] = [await poll(first.query), await poll(second.query)];
  places += first.offset === second.offset;
  urls += first.query === second.query;
}
console.log("40 messages later somebody comes; of the next 20 replies");
console.log(`${places} leave both at the same offset`);
console.log(`${urls} have both request the same URL next`);
await server.stop();
JS
node view.mjs | tee seen
cat > expected <<'TEXT'
40 messages later somebody comes; of the next 20 replies
20 leave both at the same offset
0 have both request the same URL next
TEXT
diff expected seen
