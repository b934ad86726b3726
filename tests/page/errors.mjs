// Print the errors of outputs, for a JSON list of them from stdin: going forward, and where going back differs.

import { nextError } from "../../src/runcast/web/page/errors.js";
import { withoutSequences } from "../../src/runcast/web/page/parser.js";

let input = "";
for await (const piece of process.stdin) input += piece;

function walk(lines, direction) {
  const found = [];
  for (let from = direction > 0 ? 0 : lines.length - 1; ; ) {
    const error = nextError((at) => lines[at], from, direction);
    if (!error) return found;
    found.push(error);
    from = error.at + direction;
  }
}

console.log(
  JSON.stringify(
    JSON.parse(input).map((output) => {
      const lines = withoutSequences(output).split("\n");
      const forward = walk(lines, 1);
      const back = walk(lines, -1).reverse();
      return { errors: forward, same: JSON.stringify(forward) === JSON.stringify(back) };
    }),
  ),
);
