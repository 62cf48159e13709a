/**
 * Makes the generated files: the types of the API from its description, and the modules bundled, so
 * that an application needs no build step. Argument: the folder, else this one.
 */

import { mkdir, writeFile } from "node:fs/promises";
import { build } from "esbuild";
import openapiTypescript, { astToString, COMMENT_HEADER } from "openapi-typescript";

const HERE = import.meta.dirname;
const FOLDER = process.argv[2] ?? HERE;

const BANNER = `\
// <finch-connections>: a customer's payroll connections, as an element for any page.
//
//   <script type="module" src="/finch-connections.js"></script>
//   <finch-connections api-url="https://api.example.com" app-name="Acme Benefits"
//     products="company directory employment"></finch-connections>
//   <script type="module">
//     document.querySelector("finch-connections").getAccessToken = ({ refresh }) => myToken(refresh);
//   </script>
//
// docs/embed.md describes its attributes, properties, events and styles.
// This file is built from frontend/src. Change it there, then run \`make page\`.
`;

const RETURN_BANNER = `\
// Takes the return from Finch Connect out of the address, for <finch-connections>. A page that has a
// router loads it first:
//
//   <script src="/finch-return.js"></script>
//
// This file is built from frontend/src, as finch-connections.js is.
`;

const description = new URL("../functions/openapi.json", import.meta.url);
// A request may leave out a field that has a default.
const types = await openapiTypescript(description, { defaultNonNullable: false });
await mkdir(`${FOLDER}/src`, { recursive: true });
await writeFile(`${FOLDER}/src/openapi.ts`, COMMENT_HEADER + astToString(types));

const options = { bundle: true, target: "es2024", charset: "utf8" } as const;

await build({
  ...options,
  entryPoints: [`${HERE}/src/index.ts`],
  outfile: `${FOLDER}/finch-connections.js`,
  format: "esm",
  banner: { js: BANNER },
});

await build({
  ...options,
  entryPoints: [`${HERE}/src/finch_return.ts`],
  outfile: `${FOLDER}/finch-return.js`,
  format: "iife",
  banner: { js: RETURN_BANNER },
});
