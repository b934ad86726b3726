// The values of a command's parameters: a form in a dialog, which an address can fill and nothing but its button sends.
//
// A file goes as a form of its own kind, which no page of another site can send: the script adds a header.
// What fits is decided by the server alone; the form helps with what a browser knows by itself.

import { because } from "./api.js";
import { commandLine, visible } from "./format.js";
import { element } from "./parts.js";

const UNSAID = ["secret", "file"]; // what no address can have
const PREFIX = "p."; // of a parameter in an address: there are other queries of the list

/** The query of a list that opens the form of a command, filled with values; never with a secret or a file. */
export function asking(command, values) {
  const query = new URLSearchParams({ start: command.name });
  for (const [name, value] of Object.entries(values)) {
    if (command.params[name] && !UNSAID.includes(command.params[name].type)) query.set(PREFIX + name, String(value));
  }
  return query;
}

/** What a query asks for: the name of a command, and values of its parameters; null where it asks for none. */
export function requested(query) {
  const name = query.get("start");
  if (!name) return null;
  const given = [...query].filter(([key]) => key.startsWith(PREFIX));
  return { name, values: Object.fromEntries(given.map(([key, value]) => [key.slice(PREFIX.length), value])) };
}

/** Let somebody choose values, and `start` the command with them: an error of that is shown, and can be mended. */
export function choose(command, values, start) {
  const title = visible(command.title || command.name);
  const fields = Object.entries(command.params).map(([name, param]) => new Field(name, param, values[name]));
  const error = element("p", { className: "problem", role: "alert", hidden: true });
  const send = element("button", { className: "main", textContent: "Start" });
  const cancel = element("button", { type: "button", textContent: "Cancel" });
  const form = element(
    "form",
    { autocomplete: "off" },
    element("h2", { id: "choose-title", textContent: `Start ${title}` }),
    command.description && element("p", { className: "hint", textContent: visible(command.description) }),
    ...fields.map((field) => field.element),
    element("code", { className: "what", textContent: commandLine(command.command) }),
    error,
    element("p", { className: "buttons" }, send, cancel),
  );
  const dialog = element("dialog", { className: "choose" }, form);
  dialog.setAttribute("aria-labelledby", "choose-title");
  cancel.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    error.hidden = true;
    try {
      await start(Object.fromEntries(fields.map((field) => [field.name, field.value]).filter(([, value]) => value !== null)));
    } catch (refused) {
      error.textContent = visible(because(refused));
      error.hidden = false;
    }
    send.disabled = false;
  });
  document.body.append(dialog);
  dialog.showModal();
}

/** One parameter: its label, its control, its help. */
class Field {
  constructor(name, param, value = param.default) {
    this.name = name;
    this.#param = param;
    this.#control = control(param, value === undefined || param.type === "secret" ? "" : String(value));
    this.#control.id = `choose-${name}`;
    const flag = param.type === "flag";
    const label = element("label", { htmlFor: this.#control.id, textContent: visible(param.title) });
    const help = param.help && element("p", { className: "hint", id: `choose-${name}-help`, textContent: visible(param.help) });
    if (help) this.#control.setAttribute("aria-describedby", help.id);
    this.element = element("div", { className: flag ? "flag" : "" }, ...(flag ? [this.#control, label] : [label, this.#control]), help);
  }

  #param;
  #control;

  /** The value as the server takes it; null where there is none. */
  get value() {
    if (this.#param.type === "flag") return this.#control.checked;
    if (this.#param.type === "file") return this.#control.files[0] ?? null;
    return this.#control.value === "" && !this.#param.required ? null : this.#control.value;
  }
}

function control(param, value) {
  if (param.type === "flag") return element("input", { type: "checkbox", checked: value === "true" });
  const required = param.required;
  if (param.type === "file") return element("input", { type: "file", required, accept: (param.accept ?? []).join() });
  if (param.type === "choice") {
    if (!param.choices.includes(value)) value = param.default ?? "";
    const none = value && (required || param.default !== undefined) ? [] : [""]; // with none the default would count
    const options = [...none, ...param.choices].map((one) => element("option", { value: one, textContent: visible(one) || (required ? "Choose …" : "none") }));
    const select = element("select", { required }, ...options);
    select.value = value;
    return select;
  }
  const input = element("input", { required, value, spellcheck: false });
  if (param.type === "secret") Object.assign(input, { type: "password", autocomplete: "off" });
  else if (param.default !== undefined) input.placeholder = visible(String(param.default)); // what counts where it is empty
  if (param.type === "int") {
    Object.assign(input, { type: "number", step: "1" });
    if (param.min !== undefined) input.min = param.min;
    if (param.max !== undefined) input.max = param.max;
    input.value = value;
  } else {
    if (param.min !== undefined) input.minLength = param.min;
    if (param.max !== undefined) input.maxLength = param.max;
  }
  return input;
}
