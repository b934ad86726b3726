// What a replay plays: the last output of a run, piece by piece, with the times at which it came.

import { milliseconds, pieces } from "./chunks.js";
import { missing } from "./history.js";

const REPLAYED = 8 << 20; // bytes, from the end

/** Return the pieces as `[seconds, show]`: `show()` adds one to the output. */
export async function recording(output, askLog, tail) {
  const recorded = [];
  const from = Math.max(0, tail - REPLAYED);
  let time = 0;
  for (let offset = from; ; ) {
    const answer = await askLog({ offset });
    if (offset === from && from) recorded.push([0, () => output.begin(answer.line, true)]);
    for (const piece of pieces(answer)) {
      time = (milliseconds(piece) ?? time * 1000) / 1000;
      recorded.push([time, await shown(output, askLog, piece)]);
    }
    offset = Number(answer.next);
    if (answer.closed || answer.next === answer.offset) break;
  }
  const first = recorded.find(([at]) => at)?.[0] ?? 0;
  for (const piece of recorded) piece[0] ||= first; // what has no time of its own comes first
  return recorded;
}

async function shown(output, askLog, piece) {
  if (piece.resize) return () => output.resize(...piece.resize);
  if (piece.channel === "gap") {
    const { line } = await askLog({ offset: piece.next, max: 1 });
    return () => output.note(missing(piece, output.feeds + 1, line), line);
  }
  return () => output.add(piece);
}
