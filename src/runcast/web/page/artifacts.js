// The files that are kept with a run: a list with links, and the pictures among them as pictures.
//
// A file was made by a program. Nothing of it is taken into this page but the pixels of an `<img>`.

import { bytes, count, visible } from "./format.js";
import { $, element, set } from "./parts.js";

const PICTURE = /\.(png|jpe?g|gif|webp)$/i;
const LARGEST = 20 << 20; // bytes of a picture that is shown without being opened
const PICTURES = 50; // at most, of a run

export class Artifacts {
  #api;
  #shown = "";

  /** @param api the run, see `run_api.js` */
  constructor(api) {
    this.#api = api;
  }

  show({ artifacts, left_out: left = [] }) {
    const kept = artifacts ?? [];
    const now = JSON.stringify([kept, left]);
    if (now === this.#shown) return;
    this.#shown = now;
    $("artifacts").hidden = !kept.length && !left.length;
    const words = [kept.length && `${count(kept.length, "file")}, ${bytes(kept.reduce((sum, one) => sum + one.bytes, 0))}`, left.length && `${left.length} left out`];
    set($("artifacts-sum"), words.filter(Boolean).join("; "));
    let pictures = 0;
    $("artifacts-list").replaceChildren(
      ...kept.map((one) => {
        const shows = PICTURE.test(one.name) && one.bytes <= LARGEST && ++pictures <= PICTURES;
        return this.#entry(one, shows);
      }),
      ...left.map((one) => element("li", { className: "left-out", textContent: `${visible(one.name)}: ${visible(one.why)}` })),
    );
  }

  #entry({ name, bytes: size }, shows) {
    const href = this.#api.at(`/artifacts/${name.split("/").map(encodeURIComponent).join("/")}`);
    const picture = shows && element("img", { src: href, alt: "", loading: "lazy", referrerPolicy: "same-origin" });
    const link = element("a", { href, download: name.split("/").at(-1) }, picture, visible(name));
    return element("li", {}, link, " ", element("span", { className: "size", textContent: bytes(size) }));
  }
}
