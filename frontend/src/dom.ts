/** Building elements and drawings. A name from outside is always text, never markup. */

export type Child = Node | string | boolean | null | undefined;
export type Children = Child | readonly Children[];

type Properties = Record<
  string,
  string | number | boolean | null | undefined | ((event: Event) => unknown)
>;

/** Makes an element; a function is a listener, for example `onclick`. */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  properties: Properties = {},
  ...children: Children[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, String(value));
  }
  element.append(...nodes(children));
  return element;
}

/** The children in one list, without those that are missing. */
export function nodes(children: Children): (Node | string)[] {
  if (children == null || typeof children === "boolean" || children === "") return [];
  if (typeof children === "string" || children instanceof Node) return [children];
  return children.flatMap(nodes);
}

export function spinner(): HTMLElement {
  return h("span", { class: "spinner", "aria-hidden": "true" });
}

const ICONS = {
  alert:
    "M10 6.5v4M10 13.6v.1M8.7 3.2 1.9 15a1.5 1.5 0 0 0 1.3 2.2h13.6a1.5 1.5 0 0 0 1.3-2.2L11.3 3.2a1.5 1.5 0 0 0-2.6 0Z",
  check: "M6.5 10.3 9 12.8l4.6-5.3M17.5 10a7.5 7.5 0 1 1-15 0 7.5 7.5 0 0 1 15 0Z",
  chevron: "m5.5 8 4.5 4.5L14.5 8",
  close: "m5.5 5.5 9 9m0-9-9 9",
  info: "M10 9.3v4.2M10 6.5v.1M17.5 10a7.5 7.5 0 1 1-15 0 7.5 7.5 0 0 1 15 0Z",
  plus: "M10 4.5v11M4.5 10h11",
};

export type Icon = keyof typeof ICONS;
type Shape = readonly [
  tag: "path" | "rect" | "circle",
  attributes: Record<string, string | number>,
];

export function icon(name: Icon): SVGElement {
  return drawing("0 0 20 20", [["path", { d: ICONS[name] }]], name);
}

/** Two applications with a link between them: the picture of the empty page. */
export function picture(): SVGElement {
  return drawing("0 0 190 90", [
    ["rect", { x: 6, y: 14, width: 58, height: 62, rx: 9, opacity: 0.55 }],
    ["path", { d: "M18 31h34M18 43h22M18 55h28", opacity: 0.35 }],
    ["rect", { x: 126, y: 14, width: 58, height: 62, rx: 9, opacity: 0.55 }],
    ["path", { d: "M139 58V46m11 12V34m11 24V41m10 17V29", opacity: 0.35 }],
    ["path", { d: "M64 45h17m28 0h17" }],
    ["circle", { cx: 95, cy: 45, r: 14 }],
    ["path", { d: "m89.500 45.300 4 4 7-8" }],
  ]);
}

function drawing(viewBox: string, shapes: readonly Shape[], name = ""): SVGElement {
  const draw = (tag: "svg" | Shape[0], attributes: Shape[1]) => {
    const shape = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) shape.setAttribute(key, String(value));
    return shape;
  };
  const drawn = draw("svg", {
    viewBox,
    fill: "none",
    stroke: "currentColor",
    "stroke-width": "1.6",
    "stroke-linecap": "round",
    "stroke-linejoin": "round",
    "aria-hidden": "true",
    class: name,
  });
  drawn.append(...shapes.map(([tag, attributes]) => draw(tag, attributes)));
  return drawn;
}
