// Print what keys and pastes send, for a JSON list from stdin: {key, ctrlKey, ...}, with application; or {paste, brackets}.

import { keyBytes, pasteBytes } from "../../src/runcast/web/page/keyboard.js";

let input = "";
for await (const piece of process.stdin) input += piece;
const sent = ({ paste, brackets, application = false, ...event }) =>
  paste === undefined ? keyBytes(event, application) : pasteBytes(paste, brackets);
console.log(JSON.stringify(JSON.parse(input).map(sent)));
