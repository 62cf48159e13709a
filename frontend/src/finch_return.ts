/** The entry of the script finch-return.js, which a page loads before its router. */

import { takeEarly } from "./returning.ts";

takeEarly();
