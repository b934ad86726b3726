// Lines in the page's address: `#L120` and `#L120-L140` behind it, which are links, and where to begin in its query.

const LINES = /^#L(\d{1,15})(?:-L?(\d{1,15}))?$/;

/** The first and the last line that a fragment names; null where it names none. */
export function linesOf(hash) {
  const found = LINES.exec(hash);
  if (!found) return null;
  const [from, to] = [Number(found[1]), Number(found[2] ?? found[1])].map((line) => Math.max(1, line));
  return from <= to ? [from, to] : [to, from];
}

export const hashOf = (from, to = from) => (from === to ? `#L${from}` : `#L${Math.min(from, to)}-L${Math.max(from, to)}`);

/** What a query says of where to begin: `{line}`, `{tail}` or `{since}`, `{}` for nothing; throws for what is none. */
export function beginningOf(query) {
  for (const name of ["line", "tail"]) {
    const value = query.get(name);
    if (value === null) continue;
    if (!/^\d{1,15}$/.test(value)) throw new RangeError(`Expected ${name} as a whole number, got “${value.slice(0, 100)}”.`);
    return { [name]: Number(value) };
  }
  return query.get("since") === null ? {} : { since: query.get("since") };
}

/** The lines that the page's address names, and clicks on numbers, which make addresses. */
export class Address {
  #output;
  #copy;
  #say;
  #named = [0, 0]; // the lines that it names
  #clicked = false; // the address is that of a number which was clicked on, and is in sight

  /**
   * @param list the element with the rows
   * @param copy called with the fragment of a number that was clicked on
   * @param say called with what is to be said of a place, "" for nothing
   */
  constructor(output, list, copy, say) {
    this.#output = output;
    this.#copy = copy;
    this.#say = say;
    output.decorate(({ element, line }) => element.classList.toggle("chosen", line >= this.#named[0] && line <= this.#named[1]));
    list.addEventListener("mousedown", (event) => event.shiftKey && event.target.closest(".number") && event.preventDefault());
    list.addEventListener("click", (event) => this.#click(event));
    addEventListener("hashchange", () => this.go());
  }

  /** Go to the lines that the address names, if it does. */
  async go() {
    const lines = linesOf(location.hash);
    this.#named = lines ?? [0, 0];
    this.#output.redecorate();
    if (!lines || this.#clicked) {
      this.#clicked = false;
      return;
    }
    this.#say(await this.#output.goTo(lines[0]));
  }

  #click(event) {
    const link = event.target.closest(".number");
    if (!link || event.ctrlKey || event.metaKey || event.altKey || event.button) return;
    event.preventDefault();
    const line = Number(link.hash.slice(2));
    const before = linesOf(location.hash);
    const hash = event.shiftKey && before ? hashOf(line < before[0] ? before[1] : before[0], line) : hashOf(line);
    if (this.#output.following) this.#output.following = false; // it stays where it points
    if (hash !== location.hash) {
      this.#clicked = true;
      location.hash = hash;
    }
    this.#copy(hash);
  }
}
