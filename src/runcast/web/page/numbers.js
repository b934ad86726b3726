// The numbers of lines by keyboard: Enter in the output goes to them, the arrows from one to the next, Escape back.
//
// Each number is a link, which Enter follows as a click does. None is a stop of Tab: there may be thousands.

const SHOWN = ".line:not([hidden], .more, .pending) > .number";

/** @param scroller the output, which has the focus before. @param list the element with the rows. @param output see `output.js` */
export function numberKeys(scroller, list, output) {
  scroller.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const number = event.target.closest(".number");
    const to = number ? fromNumber(event.key, number) : event.target === scroller && event.key === "Enter" ? first() : null;
    if (!to) return;
    event.preventDefault();
    event.stopPropagation();
    if (output.following) output.following = false; // what is in sight stays there
    to.focus({ preventScroll: to === scroller });
  });

  function fromNumber(key, number) {
    if (key === "Escape") return scroller;
    const by = { ArrowUp: -1, ArrowDown: 1 }[key];
    if (!by) return null;
    const numbers = [...list.querySelectorAll(SHOWN)];
    return numbers[numbers.indexOf(number) + by] ?? number;
  }

  /** The number at the top of what is in sight; a line that the address names comes first. */
  function first() {
    const named = list.querySelector(`.chosen${SHOWN}`);
    const { top, bottom } = scroller.getBoundingClientRect();
    const inSight = (one) => one && one.getBoundingClientRect().top >= top && one.getBoundingClientRect().bottom <= bottom;
    return inSight(named) ? named : [...list.querySelectorAll(SHOWN)].find(inSight) ?? null;
  }
}
