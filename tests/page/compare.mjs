// Feed bytes to the page's terminal and to xterm.js and print where they differ; nothing if they never do.
//
// `compare.mjs` reads a JSON list of cases from stdin: {name, base64, columns, rows, every, options, styles}. Bytes come one by one; the
// rows of both, and with `styles` their styles, are compared after each `every`-th and at the end. The page's rows, with styles, must also be what
// they are when all bytes come at once, and (for a short case) when they come in any two pieces.

import { comparable, comparableSpans, Ours, spans, Xterm } from "./screens.mjs";

const SHORT = 60; // bytes

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

function played(pieces, size) {
  const ours = new Ours(size);
  for (const piece of pieces) ours.terminal.bytes(piece);
  ours.terminal.flush();
  return spans(ours);
}

function difference({ base64, columns, rows, every, options, styles }) {
  const data = Uint8Array.from(Buffer.from(base64, "base64"));
  const size = columns ? { columns, rows } : null;
  const [ours, xterm] = [new Ours(size), new Xterm({ cols: columns ?? 200, rows: rows ?? 24, ...options })];
  for (let at = 1; at <= data.length; at += 1) {
    const byte = data.subarray(at - 1, at);
    ours.terminal.bytes(byte);
    xterm.bytes(byte);
    if (at % every && at < data.length) continue;
    const [here, there] = [comparable(ours.rows()), comparable(xterm.rows())];
    if (!same(here, there)) return { at, ours: here, xterm: there };
    const found = styles && differingRow(ours, xterm);
    if (found) return { at, ...found };
  }
  const whole = played([data], size);
  ours.terminal.flush();
  if (!same(spans(ours), whole)) return { at: "bytes one by one", ours: spans(ours), whole };
  for (let at = 1; at < data.length && data.length <= SHORT; at += 1) {
    const cut = played([data.subarray(0, at), data.subarray(at)], size);
    if (!same(cut, whole)) return { at: `cut at ${at}`, ours: cut, whole };
  }
  return null;
}

/** The first row of the screen in use whose styles differ. */
function differingRow(ours, xterm) {
  const rows = spans(ours).slice(ours.main ?? 0).map((row) => row.spans);
  const [here, there] = [comparableSpans(rows), comparableSpans(xterm.spans())];
  const at = there.findIndex((row, number) => !same(row, here[number]));
  return at < 0 ? null : { row: at, ours: here[at], xterm: there[at] };
}

let input = "";
for await (const piece of process.stdin) input += piece;
const different = {};
for (const one of JSON.parse(input)) {
  const found = difference({ every: 1, ...one });
  if (found) different[one.name] = found;
}
console.log(JSON.stringify(different));
