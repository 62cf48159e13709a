/** The question to a person who returns from Finch: was it you who signed in? */

import type { Finished } from "../api.ts";
import { type Children, h, spinner } from "../dom.ts";
import type { Failure } from "../notices.ts";
import { button, fact, failureText, referenceLine, type View } from "./view.ts";

/** A return to confirm, as the API describes it; or the API is still being asked. */
export type Question = "checking" | (Finished & { failed?: Failure });

interface QuestionCard {
  question: Question;
  providerName: (providerId: string) => string;
  confirm: () => void;
  reject: () => void;
}

export function questionCard(view: View, card: QuestionCard): HTMLElement {
  const { words } = view;
  const { question } = card;
  if (question === "checking") {
    return h(
      "div",
      { class: "notice info", part: "notice" },
      spinner(),
      h("p", {}, words.text("confirm.checking")),
    );
  }
  const { provider_id = "", company_id = "", entity_names, failed } = question;
  const company: Children = entity_names?.length
    ? entity_names.map((name) => h("div", {}, h("bdi", {}, name)))
    : h("code", {}, company_id);
  return h(
    "section",
    { class: "question", part: "question", "aria-labelledby": "question" },
    h(
      "h3",
      { id: "question", tabindex: "-1", "data-act": "question" },
      words.text("confirm.title"),
    ),
    h("p", {}, words.nodes("confirm.text")),
    h(
      "dl",
      { class: "facts-list" },
      fact(words.text("confirm.provider"), h("bdi", {}, card.providerName(provider_id))),
      fact(words.text("confirm.company"), company),
    ),
    failed && h("p", { role: "alert", class: "bad" }, failureText(view, failed)),
    failed && referenceLine(view, failed.reference),
    h(
      "div",
      { class: "actions" },
      button(view, "confirm", words.text("confirm.yes"), card.confirm, { kind: "primary" }),
      button(view, "reject", words.text("confirm.no"), card.reject),
    ),
  );
}
