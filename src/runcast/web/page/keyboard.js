// What keys and pastes are as bytes for a program in a terminal: the encoding of xterm.
//
// Knows keys and no page. Only what somebody types or pastes becomes bytes: nothing that a program prints does.

const CSI = "\u001b[";
const ARROWS = { __proto__: null, ArrowUp: "A", ArrowDown: "B", ArrowRight: "C", ArrowLeft: "D", End: "F", Home: "H" };
const FIRST_FUNCTIONS = { __proto__: null, F1: "P", F2: "Q", F3: "R", F4: "S" };
const NUMBERED = { __proto__: null, Insert: 2, Delete: 3, PageUp: 5, PageDown: 6, F5: 15, F6: 17, F7: 18, F8: 19, F9: 20, F10: 21, F11: 23, F12: 24 };
// With Ctrl, where that is not the letter's place in the alphabet.
const WITH_CTRL = { __proto__: null, " ": "\0", "@": "\0", 2: "\0", "[": "\u001b", 3: "\u001b", "\\": "\u001c", 4: "\u001c", "]": "\u001d", 5: "\u001d",
  "^": "\u001e", 6: "\u001e", "~": "\u001e", "`": "\0", _: "\u001f", "/": "\u001f", 7: "\u001f", "-": "\u001f", "?": "\u007f", 8: "\u007f" };

/**
 * What a key sends; null for one that is the browser's, or that types a character, which comes as text.
 *
 * @param event with key, ctrlKey, altKey, shiftKey, metaKey
 * @param application whether the program wants the cursor keys of an application
 */
export function keyBytes(event, application) {
  const { key, ctrlKey, altKey, shiftKey, metaKey } = event;
  if (metaKey || event.getModifierState?.("AltGraph")) return null;
  const modifiers = 1 + (shiftKey ? 1 : 0) + (altKey ? 2 : 0) + (ctrlKey ? 4 : 0);
  if (ARROWS[key]) return modifiers > 1 ? `${CSI}1;${modifiers}${ARROWS[key]}` : `\u001b${application ? "O" : "["}${ARROWS[key]}`;
  if (FIRST_FUNCTIONS[key]) return modifiers > 1 ? `${CSI}1;${modifiers}${FIRST_FUNCTIONS[key]}` : `\u001bO${FIRST_FUNCTIONS[key]}`;
  if (NUMBERED[key]) {
    if (key === "Insert" && shiftKey) return null; // the browser pastes
    return `${CSI}${NUMBERED[key]}${modifiers > 1 ? `;${modifiers}` : ""}~`;
  }
  const escape = altKey ? "\u001b" : "";
  if (key === "Enter") return `${escape}\r`;
  if (key === "Escape") return `${escape}\u001b`;
  if (key === "Backspace") return escape + (ctrlKey ? "\b" : "\u007f");
  if (key === "Tab" && !ctrlKey) return shiftKey ? `${CSI}Z` : `${escape}\t`;
  if (key.length !== 1) return null;
  if (ctrlKey) {
    if (WITH_CTRL[key] !== undefined) return escape + WITH_CTRL[key];
    if (shiftKey || !/[a-z]/i.test(key)) return null; // the browser's, Ctrl+Shift+V above all
    return escape + String.fromCharCode(key.toUpperCase().charCodeAt() & 31);
  }
  return altKey && key <= "~" ? escape + key : null;
}

/** What a text that is pasted sends: text, tabs and line ends alone, in brackets where the program wants them. */
export function pasteBytes(text, brackets) {
  const clean = text.replace(/\r\n?|\n/g, "\r").replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/g, "");
  return brackets ? `${CSI}200~${clean}${CSI}201~` : clean;
}

/** What a text that is typed sends: the same without brackets, as an input method may send what it likes. */
export const typedBytes = (text) => pasteBytes(text, false);
