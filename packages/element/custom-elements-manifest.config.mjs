/** Describes the element as it is in the package: in one file, without its private members. */

const FILE = "finch-connections.js";

function packed({ customElementsManifest: manifest }) {
  const [{ declarations }] = manifest.modules;
  const [element] = declarations;
  element.members = element.members.filter(({ privacy }) => privacy !== "private");
  element.superclass = { name: "HTMLElement", package: "global:" };
  const declaration = { name: element.name, module: FILE };
  const exports = [
    { kind: "js", name: element.name, declaration },
    { kind: "custom-element-definition", name: element.tagName, declaration },
  ];
  manifest.modules = [{ kind: "javascript-module", path: FILE, declarations, exports }];
}

export default {
  globs: ["../frontend/src/element.ts"],
  packagejson: false,
  quiet: true,
  plugins: [{ name: "packed", packageLinkPhase: packed }],
};
