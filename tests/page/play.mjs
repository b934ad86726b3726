// Feed text to the page's terminal and print its rows, with styles and line numbers, as JSON.
//
// Reads a JSON list from stdin: {pieces: [base64 or {columns, rows}, ...], columns, rows}, of which the size may be left out.

import { Ours, spans } from "./screens.mjs";

let input = "";
for await (const piece of process.stdin) input += piece;
const all = JSON.parse(input).map(({ pieces, columns, rows }) => {
  const ours = new Ours(columns ? { columns, rows } : null);
  for (const piece of pieces) {
    if (typeof piece === "string") ours.terminal.bytes(Buffer.from(piece, "base64"));
    else ours.terminal.screen.resize(piece);
  }
  ours.terminal.flush();
  return spans(ours);
});
console.log(JSON.stringify(all));
