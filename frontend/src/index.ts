/** The entry of the built file: what a page can import, and the definition of the element. */

import { FinchConnections } from "./element.ts";

export { FinchConnections } from "./element.ts";
export type * from "./public_types.ts";
export { TEXTS } from "./texts.ts";

// A server has no registry of elements.
if (globalThis.customElements && !customElements.get("finch-connections")) {
  customElements.define("finch-connections", FinchConnections);
}
