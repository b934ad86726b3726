// Print the groups that outputs have, for a JSON list from stdin: {pieces: [[channel, text, time], ...], buildkite, failed}.

import { Groups, took } from "../../src/runcast/web/page/groups.js";

let input = "";
for await (const piece of process.stdin) input += piece;
const all = JSON.parse(input).map(({ pieces, failed, ...options }) => {
  const groups = new Groups(options);
  let line = 0;
  for (const [channel, text, time] of pieces) {
    groups.add(channel, text, line, time ?? null);
    line += text.split("\n").length - 1;
  }
  groups.end({ failed });
  return {
    groups: groups.all.map((group) => ({ ...group, parent: group.parent?.title ?? null, took: took(group) })),
    annotations: groups.annotations,
    counted: groups.counted,
    marked: [...groups.marked],
  };
});
console.log(JSON.stringify(all));
