// The chunks of a log as JSON has them: what they say, in which order, and for which size of a terminal.

/** The chunks of a poll and the changes of the terminal's size, in order: a chunk may lie on both sides of one. */
export function* pieces(answer) {
  const resizes = [...(answer.resizes ?? [])];
  if (answer.columns) yield { resize: [answer.columns, answer.rows] };
  for (let chunk of answer.chunks) {
    for (; resizes.length && Number(resizes[0].offset) < Number(chunk.next); resizes.shift()) {
      const at = Number(resizes[0].offset) - Number(chunk.offset);
      if (at > 0 && chunk.channel !== "gap") {
        const data = content(chunk);
        const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
        yield { ...chunk, next: resizes[0].offset, bytes: bytes.subarray(0, at) };
        chunk = { ...chunk, offset: resizes[0].offset, bytes: bytes.subarray(at) };
      }
      yield resizes[0];
    }
    yield chunk;
  }
  yield* resizes;
}

/** When a chunk came, in milliseconds since the epoch; null where that is not known. */
export const milliseconds = ({ time }) => (time ? Date.parse(time) : null);

/** What a chunk says: text, or bytes where it is none. */
export function content(chunk) {
  if (chunk.bytes) return chunk.bytes;
  if ("text" in chunk) return chunk.text;
  if ("values" in chunk) return chunk.values.map((value) => `${JSON.stringify(value)}\n`).join("");
  return Uint8Array.from(atob(chunk.base64), (char) => char.charCodeAt());
}
