/** The boxes above the list: how an action ended, and that the list is out of date. */

import type { Connection } from "../api.ts";
import { statusDetail } from "../connections.ts";
import { type Children, h, icon, spinner } from "../dom.ts";
import type { Failure, Notice } from "../notices.ts";
import { type Act, button, failureText, referenceLine, supportLink, type View } from "./view.ts";

interface NoticeBox {
  notice: Notice;
  /** The connection of the notice as it is now. */
  about: Connection | undefined;
  /** Whether the notice is new, and so read aloud. */
  isNew: boolean;
  /** The label of the button that tries again. */
  retryText: string;
  tryAgain: (retry: Act) => void;
  dismiss: () => void;
}

export function noticeBox(view: View, box: NoticeBox): HTMLElement {
  const { words } = view;
  const { kind, title, text, reference, support, retry, spins } = box.notice;
  const values = box.about
    ? { ...view.names(box.about), detail: statusDetail(box.about) }
    : undefined;
  const link = support && supportLink(view, reference, { class: "button", part: "button" });
  return h(
    "div",
    {
      class: `notice ${kind}`,
      part: "notice",
      // Screen readers announce a new alert, but not every new live region.
      role: box.isNew && kind === "bad" ? "alert" : null,
    },
    spins ? spinner() : icon(kind === "good" ? "check" : kind === "info" ? "info" : "alert"),
    h(
      "div",
      {},
      h("h3", { tabindex: "-1", "data-act": "notice" }, words.nodes(title, values)),
      text && words.text(text) && h("p", {}, words.nodes(text, values)),
      referenceLine(link ? { ...view, support: null } : view, reference),
      (retry || link) &&
        h(
          "div",
          { class: "actions" },
          retry && button(view, `retry:${retry}`, box.retryText, () => box.tryAgain(retry)),
          link,
        ),
    ),
    !spins && closeButton(view, box.dismiss),
  );
}

function closeButton({ words }: View, dismiss: () => void): HTMLElement {
  return h(
    "button",
    {
      type: "button",
      class: "button quiet icon close",
      part: "button",
      "data-act": "close",
      "aria-label": words.text("dismiss"),
      onclick: dismiss,
    },
    icon("close"),
  );
}

interface StaleBox {
  failure: Failure;
  /** Whether the list was never read. Else it is shown as it was at that time. */
  failed: boolean;
  updatedAt: number;
  isNew: boolean;
  tryAgain: () => void;
}

/** The list could not be read. */
export function staleBox(view: View, box: StaleBox): Children {
  const { words } = view;
  const { failure, failed } = box;
  return h(
    "div",
    {
      class: `notice ${failed ? "bad" : "wait"}`,
      part: "notice",
      // No live region: the time in it changes by itself.
      role: box.isNew && failed ? "alert" : null,
    },
    icon("alert"),
    h(
      "div",
      {},
      h(
        "h3",
        { tabindex: "-1", "data-act": "stale" },
        words.text(failed ? "result.unavailable" : "result.stale"),
      ),
      h(
        "p",
        {},
        failureText(view, failure),
        " ",
        !failed && words.time("result.staleText", new Date(box.updatedAt).toISOString()),
      ),
      referenceLine(view, failure.reference),
      h("div", { class: "actions" }, button(view, "again", words.text("tryAgain"), box.tryAgain)),
    ),
  );
}
