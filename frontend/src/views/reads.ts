/** The products that the application asks to read, in plain words, with its reason. */

import { type Children, h } from "../dom.ts";
import type { View } from "./view.ts";

export interface Reads {
  products: readonly string[];
  /** The application's reason, or null. */
  reason: string | null;
}

export function readsList({ words }: View, { products, reason }: Reads): Children {
  return [
    reason && h("p", {}, h("bdi", {}, reason)),
    h(
      "dl",
      { class: "reads-list" },
      products.map((product) =>
        h(
          "div",
          {},
          h("dt", { class: "first" }, words.products([product])),
          h("dd", { class: "first" }, words.find(`reads.${product}`)),
        ),
      ),
    ),
  ];
}
