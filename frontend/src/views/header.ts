/** The title, the line that sums up the list, and the button to connect another provider. */

import { type Children, h, icon } from "../dom.ts";
import { button, type View } from "./view.ts";

interface Header {
  summary: string;
  troubled: boolean;
  /** The text about the checks of all connections. */
  checks: string;
  /** Whether the button to connect is the first thing to do. */
  invites: boolean;
  /** Whether the list is shown. The empty page has its own button. */
  listed: boolean;
  connect: () => void;
}

export function header(view: View, content: Header): Children {
  const { words } = view;
  const { summary, troubled, checks, invites, listed, connect } = content;
  return [
    h(
      "div",
      {},
      h("h2", { part: "heading", tabindex: "-1", "data-act": "title" }, words.text("title")),
      listed &&
        summary &&
        h(
          "p",
          { class: `summary ${troubled ? "bad" : ""}`, part: "summary" },
          troubled && icon("alert"),
          h("span", {}, summary),
        ),
      listed && checks && h("p", { class: "small checks" }, checks),
    ),
    listed &&
      button(view, "connect", words.text("connect"), connect, {
        kind: invites ? "primary" : "",
        icon: "plus",
      }),
  ];
}
