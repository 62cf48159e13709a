/** The entry of the script finch-return.js, which a page loads before its router. */

import { takeEarly } from "./returning.ts";

// A server may import the same modules as the page.
if (globalThis.document) takeEarly();
