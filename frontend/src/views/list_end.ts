/** The part below the list: placeholders while it loads, the empty page, or a button for more. */

import { type Children, h, icon, picture, spinner } from "../dom.ts";
import type { TextPath } from "../texts.ts";
import { type Reads, readsList } from "./reads.ts";
import { button, type View } from "./view.ts";

export function loading({ words }: View, slow: boolean): HTMLElement {
  return h(
    "div",
    { class: "cards" },
    h("p", { class: "unseen" }, words.text("loading")),
    placeholder(),
    placeholder(),
    placeholder(),
    slow && h("p", { class: "slow" }, words.text("slow")),
  );
}

function placeholder(): HTMLElement {
  const line = () => h("span", { class: "bone line" });
  return h(
    "div",
    { class: "card still" },
    h(
      "div",
      { class: "row" },
      h("span", { class: "mark bone" }),
      h("div", { class: "bones" }, line(), line()),
    ),
  );
}

/** The page of a customer who has connected nothing. */
export function emptyPage(view: View, reads: Reads, connect: () => void): HTMLElement {
  const { words } = view;
  const point = (path: TextPath) => h("li", {}, icon("check"), h("span", {}, words.nodes(path)));
  return h(
    "div",
    { class: "empty", part: "empty" },
    picture(),
    h("h3", {}, words.text("empty.title")),
    h("p", {}, words.nodes("empty.text")),
    h("ul", {}, point("empty.password"), point("empty.control")),
    h(
      "section",
      { class: "asks" },
      h("h4", {}, words.nodes("reads.title")),
      readsList(view, reads),
    ),
    button(view, "connect", words.text("connectFirst"), connect, { kind: "primary" }),
  );
}

/** The page while an attempt may still become the first connection: it does not invite to another. */
export function awaited({ words }: View, asked: boolean): HTMLElement {
  return h(
    "div",
    { class: "empty", part: "empty" },
    picture(),
    h("p", {}, words.text(asked ? "empty.asked" : "empty.awaited")),
  );
}

export function moreButton({ words }: View, busy: boolean, more: () => void): Children {
  return h(
    "button",
    {
      type: "button",
      class: "button more",
      part: "button",
      "data-act": "more",
      onclick: more,
    },
    busy && spinner(),
    words.text("more"),
  );
}
