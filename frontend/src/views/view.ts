/** The interface of the element that all views read, and the parts that several views share. */

import type { Connection, ConnectionStatus, Entity, Login } from "../api.ts";
import { toneOf } from "../connections.ts";
import { type Children, h, type Icon, icon, spinner } from "../dom.ts";
import type { Failure } from "../notices.ts";
import { failurePath } from "../texts.ts";
import type { Names, Wording } from "../wording.ts";

/** Names a button, and what it does: `connect`, or a verb and the key, as in `repair:gusto#1`. */
export type Act = string;

export interface View {
  readonly words: Wording;
  /** The button whose action is under way. It disables the others. */
  readonly busy: Act | null;
  readonly names: (connection: Connection) => Names;
  /** The application's link to its support. */
  readonly support: string | null;
}

/** The content of a card, which its details share. */
export interface Card {
  connection: Connection;
  /** The id of the element that the button opens. */
  id: string;
  open: boolean;
  /** Whether the company's name stands above several cards. */
  inCompany: boolean;
  /** Whether the text about the whole list covers the last check. */
  isCheckedLately: boolean;
  toggle: () => void;
  connect: (act: Act) => void;
  /** Asks whether to disconnect the connection, or only an entity. */
  askToDisconnect: (act: Act, entity?: Entity) => void;
}

interface ButtonOptions {
  kind?: string;
  icon?: Icon;
  label?: string;
  /** Works also while another action is under way. */
  always?: boolean;
  chevron?: boolean;
  expanded?: boolean;
  controls?: string;
}

export function button(
  view: View,
  act: Act,
  text: string,
  run: () => unknown,
  { kind = "", icon: sign, label, always, chevron, expanded, controls }: ButtonOptions = {},
): HTMLElement {
  const part = "button";
  const busy = view.busy === act;
  return h(
    "button",
    {
      type: "button",
      class: `button ${kind} ${busy ? "busy" : ""}`,
      part: kind.includes("primary") ? `${part} primary-button` : part,
      "data-act": act,
      "aria-label": label,
      // With `disabled` the button would lose the focus.
      "aria-disabled": view.busy && !always ? "true" : null,
      "aria-busy": busy ? "true" : null,
      "aria-expanded": expanded === undefined ? null : String(expanded),
      "aria-controls": controls,
      onclick: run,
    },
    busy ? spinner() : sign && icon(sign),
    h("span", { class: "words" }, text),
    chevron && icon("chevron"),
  );
}

/** The name of a button for people who do not see the card around it. */
export function actionLabel(
  { words, names }: View,
  connection: Connection,
  action: string,
  name = words.plain("named", { ...names(connection) }),
) {
  return words.plain("action", { action, name });
}

export function statusLabel(view: View, status: ConnectionStatus, kind = ""): HTMLElement {
  const spins = status === "disconnecting";
  return h(
    "span",
    { class: `status ${kind} ${toneOf(status)} ${spins ? "spins" : ""}`, part: "status" },
    spins && spinner(),
    view.words.status(status),
  );
}

export function loginName({ words }: View, login: Login, place: number): HTMLElement {
  return h(
    "span",
    {},
    h("strong", {}, words.plain("card.login", { n: place + 1 })),
    h(
      "span",
      { class: "small" },
      " · ",
      words.plain("card.since", { date: words.date(login.connected_at) }),
    ),
  );
}

/** The reference of an attempt, with a link to support. */
export function referenceLine(view: View, reference: string | undefined): Children {
  if (!reference) return null;
  const { words } = view;
  const text = words.nodes("reference", { id: reference });
  return h("p", {}, h("small", {}, text, supportLink(view, reference, { before: " · " })));
}

/** A link to the application's support. A mail to it begins with the reference as its subject. */
export function supportLink(
  { words, support }: View,
  reference: string | undefined,
  { before, ...properties }: { before?: string; class?: string; part?: string } = {},
): Children {
  if (!support) return null;
  const isMail = support.startsWith("mailto:") && !support.includes("?");
  const text = reference && isMail ? words.plain("reference", { id: reference }) : "";
  // A subject has no use for the characters that isolate a value from the text around it.
  const subject = text.replace(/[\u2068\u2069]/g, "");
  const href = subject ? `${support}?subject=${encodeURIComponent(subject)}` : support;
  return [before, h("a", { ...properties, href }, words.text("support"))];
}

/** The application's link to its support, unless it could run a script. */
export function safeLink(link: string | null): string | null {
  return link !== null && /^(https?:|mailto:|\/)/.test(link) ? link : null;
}

export function failureText({ words }: View, failure: Failure): string {
  return words.text(failurePath(failure.code));
}

export function fact(term: string, ...value: Children[]): HTMLElement {
  return h("div", {}, h("dt", {}, term), h("dd", {}, value));
}
