#!/bin/sh
# xterm.js loses a character of three bytes whose second byte is 0x80 when a write ends behind that byte.
#
# @xterm/headless 6.0.0, node 20, Linux, 2026-11-29. Terminal.write takes bytes in pieces and keeps the beginning
# of a character for the next write; for most characters that works at every cut. For U+1000 to U+103F, U+2000 to
# U+203F and so on to U+F03F, where the six bits of the second byte are all 0, the piece before the cut is
# dropped without a replacement character: dashes, quotes, bullets, the ideographic comma and full stop. So a
# server that sends a pty's reads as they come shows text with holes, rarely and not twice in the same place.
# Decode with `new TextDecoder("utf-8").decode(bytes, {stream: true})` and write text: that was right at each cut.
#
# Output seen (U+2014 —, U+3002 。, U+4E00 一; cut behind the first and the second byte, as bytes and as text):
#   U+2014 bytes: kept lost; text: kept kept
#   U+3002 bytes: kept lost; text: kept kept
#   U+4E00 bytes: kept kept; text: kept kept
# Exits non-zero when that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund @xterm/headless@6.0.0
cat > cut.js <<'JS'
const { Terminal } = require("@xterm/headless");

async function shown(pieces) {
  const terminal = new Terminal({ cols: 20, rows: 2, allowProposedApi: true });
  for (const piece of pieces) await new Promise((done) => terminal.write(piece, done));
  return terminal.buffer.active.getLine(0).translateToString(true);
}

(async () => {
  for (const character of "—。一") {
    const bytes = Buffer.from(character);
    const results = [];
    for (const asText of [false, true]) {
      const words = [];
      for (const cut of [1, 2]) {
        const decoder = new TextDecoder("utf-8");
        const pieces = [bytes.subarray(0, cut), bytes.subarray(cut)];
        const written = asText ? pieces.map((piece) => decoder.decode(piece, { stream: true })) : pieces;
        words.push((await shown(written)) === character ? "kept" : "lost");
      }
      results.push(words.join(" "));
    }
    const name = character.codePointAt(0).toString(16).toUpperCase();
    console.log(`U+${name} bytes: ${results[0]}; text: ${results[1]}`);
  }
})();
JS
node cut.js | tee seen
cat > expected <<'TEXT'
U+2014 bytes: kept lost; text: kept kept
U+3002 bytes: kept lost; text: kept kept
U+4E00 bytes: kept kept; text: kept kept
TEXT
diff expected seen
