/** Search, filters and sorting above a long list. Typing must not replace the field, so they stay. */

import { type Choice, EVERYTHING, narrows, type Option, ORDERS } from "../choice.ts";
import { h } from "../dom.ts";
import type { Wording } from "../wording.ts";

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

export function options(options: readonly Option[], chosen: string): HTMLOptionElement[] {
  return options.map(({ value, label }) =>
    h("option", { value, selected: value === chosen }, label),
  );
}

/** How many were found, and whether more may exist; empty if the list is complete and unfiltered. */
export function foundText(
  words: Wording,
  found: { choice: Choice; count: number; read: number; reading: boolean; complete: boolean },
): string {
  const { choice, count, read, reading, complete } = found;
  const parts: string[] = [];
  const waits = !complete && reading;
  if (narrows(choice) && count) parts.push(words.plain("list.found", { n: count }));
  if (narrows(choice) && !count && !waits) parts.push(words.text("list.none"));
  if (waits) parts.push(words.text("list.reading"));
  else if (!complete) parts.push(words.plain("list.cut", { n: read }));
  return parts.join(" ");
}
