// Print how many columns the page's screen takes for each text of a JSON list from stdin; and of an empty list, all
// characters that it takes at once for narrow and for wide.

import { isNarrow, runs } from "../../src/runcast/web/page/width.js";
import { Ours } from "./screens.mjs";

let input = "";
for await (const piece of process.stdin) input += piece;

function columns(text) {
  const { terminal } = new Ours({ columns: 99, rows: 2 });
  terminal.text(text);
  return terminal.screen.x;
}

function atOnce() {
  const found = { narrow: "", wide: "" };
  for (let code = 32; code <= 0x10ffff; code += 1) {
    const character = String.fromCodePoint(code);
    if (isNarrow(character)) found.narrow += character;
    else if ([...runs(character)][0][0] === 2) found.wide += character;
  }
  return found;
}

const texts = JSON.parse(input);
console.log(JSON.stringify(texts.length ? texts.map(columns) : atOnce()));
