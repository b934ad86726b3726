// Whether a text of the output is selected: while it is, what is in sight does not move.

export class Selection {
  held = false;
  #list;

  /** @param list the element with the rows. @param changed called when a selection in it begins or ends. @param signal ends that */
  constructor(list, changed, signal) {
    this.#list = list;
    const look = () => {
      const selection = this.#selection;
      const held = !selection.isCollapsed && selection.containsNode(list, true);
      if (held === this.held) return;
      this.held = held;
      changed(held);
    };
    document.addEventListener("selectionchange", look, { signal });
  }

  clear() {
    if (this.held) this.#selection.removeAllRanges();
    this.held = false;
  }

  /** What is selected; of a shadow Chromium says it only there. */
  get #selection() {
    return this.#list.getRootNode().getSelection?.() ?? getSelection();
  }
}
