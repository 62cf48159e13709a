/** Search, filters and sorting above a long list. Typing must not replace the field, so they stay. */

import type { Connection } from "../api.ts";
import type { Paint } from "../card_list.ts";
import {
  ATTENTION,
  type Choice,
  EVERYTHING,
  narrows,
  needsAll,
  type Option,
  ORDERS,
  providerOptions,
  statusOptions,
} from "../choice.ts";
import { h } from "../dom.ts";
import { MOST } from "../list.ts";
import type { Wording } from "../wording.ts";
import { button, type View } from "./view.ts";

export interface Controls {
  form: HTMLFormElement;
  search: HTMLInputElement;
  selects: Record<"status" | "provider" | "order", HTMLSelectElement>;
  /** How many connections were found. */
  found: HTMLElement;
}

export function controls(): Controls {
  const select = (act: string) => h("select", { class: "field", part: "field", "data-act": act });
  const selects = {
    status: select("by-status"),
    provider: select("by-provider"),
    order: select("order"),
  };
  const search = h("input", {
    class: "field",
    part: "field",
    type: "search",
    "data-act": "search",
    autocomplete: "off",
    spellcheck: "false",
    maxlength: 200,
  });
  const found = h("div", { class: "found" });
  const labelled = (field: HTMLElement) => h("label", {}, h("span"), field);
  const form = h(
    "form",
    { class: "controls", part: "controls", role: "search", hidden: true },
    labelled(search),
    labelled(selects.status),
    labelled(selects.provider),
    labelled(selects.order),
    found,
  );
  form.addEventListener("submit", (event) => event.preventDefault());
  return { form, search, selects, found };
}

/** The choice as the person has set it. */
export function readChoice({ search, selects }: Controls): Choice {
  const order = ORDERS.find((one) => one === selects.order.value) ?? EVERYTHING.order;
  return {
    text: search.value,
    status: selects.status.value,
    provider: selects.provider.value,
    order,
  };
}

interface Result {
  choice: Choice;
  /** How many connections were found, and how many were read. */
  count: number;
  read: number;
  reading: boolean;
  /** Whether all connections were read. */
  complete: boolean;
}

/** Draws the controls, and returns the text about the result. */
export function drawControls(
  { search, selects, found }: Controls,
  view: View,
  connections: Connection[],
  result: Result,
  paint: Paint,
  clear: () => void,
): string {
  const { words } = view;
  const { choice, count } = result;
  if (search.value !== choice.text) search.value = choice.text;
  search.placeholder = words.text("list.hint");
  const offer = (name: keyof Controls["selects"], options: Option[]) =>
    paint(selects[name], [options, choice[name]], () =>
      options.map(({ value, label }) =>
        h("option", { value, selected: value === choice[name] }, label),
      ),
    );
  offer("status", [
    { value: "", label: words.text("list.allStatuses") },
    { value: ATTENTION, label: words.text("sections.attention") },
    ...statusOptions(connections, choice, words),
  ]);
  offer("provider", [
    { value: "", label: words.text("list.allProviders") },
    ...providerOptions(connections, choice, words, view.names),
  ]);
  offer(
    "order",
    ORDERS.map((value) => ({ value, label: words.text(`list.${value}`) })),
  );
  for (const [name, field] of Object.entries({ search, ...selects })) {
    const label = words.text(`list.${name as "search" | keyof Controls["selects"]}`);
    if (field.previousElementSibling) field.previousElementSibling.textContent = label;
  }
  const text = needsAll(choice) ? foundText(words, result) : "";
  found.classList.toggle("none", needsAll(choice) && !count);
  paint(found, [text, narrows(choice)], () => [
    text && h("p", {}, text),
    narrows(choice) &&
      button(view, "clear", words.text("list.clear"), clear, { kind: "quiet", always: true }),
  ]);
  return text;
}

/** How many were found, and whether more may exist; empty if the list is complete and unfiltered. */
export function foundText(words: Wording, result: Result): string {
  const { choice, count, read, reading, complete } = result;
  const waits = !complete && reading && read < MOST;
  const parts: string[] = [];
  if (narrows(choice) && count) parts.push(words.plain("list.found", { n: count }));
  if (narrows(choice) && !count && !waits) parts.push(words.text("list.none"));
  if (waits) parts.push(words.text("list.reading"));
  else if (!complete) parts.push(words.plain("list.cut", { n: read }));
  return parts.join(" ");
}
