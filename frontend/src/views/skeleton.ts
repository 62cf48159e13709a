/** The elements that stay while their content changes. */

import { h } from "../dom.ts";
import { type Controls, controls } from "./controls.ts";

/** The sections of the page, in their order. */
export type Section = "attention" | "active" | "ended";

export interface Skeleton {
  /** Read aloud. It is outside `all`, because a busy element is not read aloud. */
  live: HTMLElement;
  all: HTMLElement;
  header: HTMLElement;
  /** The products that the application reads, for people who already have connections. */
  reads: HTMLDetailsElement;
  /** The question and the notices. */
  top: HTMLElement;
  controls: Controls;
  sections: Record<Section, HTMLElement> & { ended: HTMLDetailsElement };
  titles: Record<Section, HTMLElement>;
  lists: Record<Section, HTMLElement>;
  /** Placeholders, the empty page, or the button for more. */
  rest: HTMLElement;
  dialog: HTMLDialogElement;
}

export function skeleton(): Skeleton {
  const live = h("div", { class: "unseen", role: "status", "aria-live": "polite" });
  const header = h("header", { part: "header" });
  const reads = h("details", { class: "reads", hidden: true }, h("summary"), h("div"));
  const choosing = controls();
  const top = h("div", { class: "root" });
  const rest = h("div", { class: "root" });
  const titles = {
    attention: h("h3", { id: "attention" }),
    active: h("h3", { id: "active" }),
    ended: h("h3"),
  };
  const list = () => h("ul", { class: "cards" });
  const lists = { attention: list(), active: list(), ended: list() };
  const section = (name: "attention" | "active") =>
    h(
      "section",
      { class: "group", "aria-labelledby": name, hidden: true },
      titles[name],
      lists[name],
    );
  const sections = {
    attention: section("attention"),
    active: section("active"),
    ended: h(
      "details",
      { class: "ended", hidden: true },
      h("summary", { "data-act": "ended" }, titles.ended),
      lists.ended,
    ),
  };
  const all = h(
    "div",
    { class: "root all" },
    header,
    reads,
    top,
    choosing.form,
    sections.attention,
    sections.active,
    rest,
    sections.ended,
  );
  const dialog = h("dialog", {
    part: "dialog",
    "aria-labelledby": "dialog-title",
    "aria-describedby": "dialog-text dialog-ends",
  });
  return {
    live,
    all,
    header,
    reads,
    top,
    controls: choosing,
    sections,
    titles,
    lists,
    rest,
    dialog,
  };
}
