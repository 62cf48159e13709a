/** The mark of a provider: its icon, or the letters of its name. */

import { hueOf, initials } from "../connections.ts";
import { h } from "../dom.ts";

// Icons that did not load, or that the page's Content Security Policy refuses. They are not asked for again.
const broken = new Set<string>();

export function mark(providerId: string, name: string, icon: string | null): HTMLElement {
  const mark = h("span", { class: "mark", "aria-hidden": "true" }, initials(name));
  mark.style.setProperty("--hue", String(hueOf(providerId)));
  if (!icon || broken.has(icon)) return mark;
  const image = h("img", {
    alt: "",
    width: 40,
    height: 40,
    loading: "lazy",
    decoding: "async",
    referrerpolicy: "no-referrer",
    // The letters stay until then.
    onload: () => {
      mark.classList.add("pictured");
      mark.replaceChildren(image);
    },
    onerror: () => {
      broken.add(icon);
      image.remove();
    },
    src: icon,
  });
  mark.append(image);
  return mark;
}
