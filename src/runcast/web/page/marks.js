// Marks on lines: names for sets of lines, which their rows have as a class and the scrollbar as ticks.
//
// `mark("hit", [12, 80])` gives rows of these lines the class `mark-hit`, and ticks of the colour `--mark-hit`.

export class Marks {
  #canvas;
  #sets = new Map(); // by name: the lines as a set, and in order

  constructor(canvas) {
    this.#canvas = canvas;
  }

  set(name, lines) {
    this.#sets.set(name, { has: new Set(lines), lines }); // also without lines: rows are to lose the class
  }

  /** Give the element of a place the classes of its marks. */
  dress({ element, line }) {
    for (const [name, { has }] of this.#sets) element.classList.toggle(`mark-${name}`, has.has(line));
  }

  /** Draw the ticks beside a scrollbar that stands for so many lines. */
  draw(total) {
    const canvas = this.#canvas;
    canvas.hidden = ![...this.#sets.values()].some(({ lines }) => lines.length);
    if (canvas.hidden) return;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth * ratio, canvas.clientHeight * ratio].map(Math.round);
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    const thick = Math.round(2 * ratio);
    for (const [name, { lines }] of this.#sets) {
      canvas.style.color = `var(--mark-${name}, gray)`; // resolved, as a canvas knows no variables
      context.fillStyle = getComputedStyle(canvas).color;
      let last = -thick;
      for (const line of lines) {
        const at = Math.round(((line - 1) / total) * (height - thick));
        if (at === last) continue;
        context.fillRect(0, at, width, thick);
        last = at;
      }
    }
  }
}
