// When to draw: once a frame, less often where that takes long, and a few times a second in a tab that nobody sees.

const REST = 3; // times as long as drawing took, before it is done again: a flood leaves time for clicks
const MOST_REST = 500; // milliseconds
const HIDDEN = 200; // milliseconds; a hidden tab gets no frames, and must not pile up lines until it is seen

export class Drawing {
  #draw;
  #pending = false;
  #rested = 0; // when it may be done again

  /** @param draw draws, and returns whether there is more to draw */
  constructor(draw) {
    this.#draw = draw;
  }

  soon() {
    if (this.#pending) return;
    this.#pending = true;
    const draw = () => {
      this.#pending = false;
      this.now();
    };
    const rest = document.hidden ? HIDDEN : this.#rested - performance.now();
    if (rest > 0) setTimeout(draw, rest);
    else requestAnimationFrame(draw);
  }

  /** Never draw again. */
  stop() {
    this.#draw = () => false;
  }

  now() {
    const began = performance.now();
    const more = this.#draw();
    const took = performance.now() - began;
    this.#rested = took > 10 ? began + took + Math.min(took * REST, MOST_REST) : 0;
    if (more) this.soon();
  }
}
