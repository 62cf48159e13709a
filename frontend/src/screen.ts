/** Draws the state of the page into the shadow root, and only where it has changed. */

import type { Connection, Entity } from "./api.ts";
import { newObserver } from "./browser.ts";
import {
  grouped,
  type Key,
  keyOf,
  needsAPerson,
  providerName,
  summaryPath,
} from "./connections.ts";
import { type Children, h, icon, nodes } from "./dom.ts";
import type { Failure, Notice } from "./notices.ts";
import { sheet } from "./styles.ts";
import { card } from "./views/card.ts";
import { type DisconnectDialog, dialogContent } from "./views/dialog.ts";
import { header } from "./views/header.ts";
import { emptyPage, loading, moreButton } from "./views/list_end.ts";
import { noticeBox, staleBox } from "./views/notice.ts";
import { type Question, questionCard } from "./views/question.ts";
import { type Section, skeleton } from "./views/skeleton.ts";
import type { Act, View } from "./views/view.ts";
import type { Names, Wording } from "./wording.ts";

export type Phase = "loading" | "ready" | "failed";

/** All that the page shows at one moment. */
export interface Shown {
  words: Wording;
  /** The attribute `dir` of the element. Without it the language decides. */
  direction: string;
  appName: string | null;
  products: string[];
  supportUrl: string | null;
  connections: ReadonlyMap<Key, Connection>;
  phase: Phase;
  /** Loading takes longer than usual. */
  slow: boolean;
  /** A reading of the list is under way. */
  reading: boolean;
  /** Where the list goes on, or null at its end. */
  cursor: string | null;
  updatedAt: number;
  notice: Notice | null;
  question: Question | null;
  /** Why the list could not be read. */
  stale: Failure | null;
  busy: Act | null;
  dialog: DisconnectDialog | null;
}

/** The actions of the buttons. */
export interface Actions {
  connect(act: Act): void;
  more(): void;
  confirm(): void;
  reject(): void;
  dismiss(notice: Notice): void;
  tryAgain(notice: Notice, retry: Act): void;
  readAgain(): void;
  askToDisconnect(connection: Connection, act: Act, entity?: Entity): void;
  disconnect(): void;
  dialogClosed(): void;
}

export class Screen {
  readonly #root: ShadowRoot;
  readonly #shown: () => Shown;
  readonly #actions: Actions;
  readonly #parts = skeleton();
  readonly #cards = new Map<Key, HTMLLIElement>();
  readonly #open = new Set<Key>();
  readonly #announced = new WeakSet<object>();
  #painted = new WeakMap<Element, string>();
  #endedOpen = false;
  #observer: IntersectionObserver | null = null;

  constructor(root: ShadowRoot, shown: () => Shown, actions: Actions) {
    this.#root = root;
    this.#shown = shown;
    this.#actions = actions;
    const { live, all, sections, dialog } = this.#parts;
    sections.ended.addEventListener("toggle", () => {
      this.#endedOpen = sections.ended.open;
    });
    const isWorking = () => this.#shown().dialog?.working;
    dialog.addEventListener("cancel", (event) => isWorking() && event.preventDefault());
    // The event comes after the end. The dialog may be open again by then.
    dialog.addEventListener("close", () => dialog.open || this.#actions.dialogClosed());
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog && !isWorking()) dialog.close();
    });
    root.adoptedStyleSheets = [sheet()];
    root.append(live, all, dialog);
  }

  /** Forgets what the person opened. */
  reset(): void {
    this.#cards.clear();
    this.#open.clear();
    this.closeDialog();
  }

  /** Makes the next drawing complete, because the texts have changed. */
  repaint(): void {
    this.#painted = new WeakMap();
  }

  /** Stops watching for the end of the list. */
  stop(): void {
    this.#observer?.disconnect();
  }

  openDialog(): void {
    this.#parts.dialog.showModal();
  }

  closeDialog(): void {
    if (this.#parts.dialog.open) this.#parts.dialog.close();
  }

  announce(text: string): void {
    this.#parts.live.textContent = text;
  }

  announceSummary(): void {
    this.announce(this.#summary(this.#shown()));
  }

  /** Moves the focus to a button, or to the heading `title`, `notice` or `question`. */
  focus(act: Act | undefined): void {
    if (act) this.#find(act)?.focus();
  }

  updateTimes(): void {
    if (document.hidden) return;
    const { words } = this.#shown();
    for (const time of this.#root.querySelectorAll<HTMLTimeElement>("time[data-path]")) {
      words.updateTime(time);
    }
  }

  /** Draws the present state. Unchanged elements stay, and with them the focus. */
  render(): void {
    const focused = this.#focusedAct;
    const shown = this.#shown();
    const parts = this.#parts;
    const { words, phase } = shown;
    const ready = phase === "ready";
    const groups = grouped(ready ? shown.connections.values() : []);
    const troubled = groups.attention.length > 0;
    const empty = ready && !troubled && !groups.active.length && !shown.cursor;
    // The texts may be in another language than the page around them.
    for (const part of [parts.live, parts.all, parts.dialog]) {
      part.lang = words.language;
      part.dir = shown.direction || words.direction;
    }
    parts.all.setAttribute("aria-busy", String(phase === "loading"));
    this.#paintHeader(shown, troubled, ready && !empty);
    this.#paintTop(shown);
    for (const name of ["attention", "active"] as const) {
      parts.sections[name].hidden = !groups[name].length;
      const followsAttention = name === "active" && troubled;
      const title = parts.titles[name];
      title.textContent = words.text(`sections.${followsAttention ? "others" : name}`);
      title.classList.toggle("unseen", name === "active" && !troubled);
    }
    parts.sections.ended.hidden = !groups.ended.length;
    parts.sections.ended.open = this.#endedOpen;
    this.#paint(shown, parts.titles.ended, [groups.ended.length], () => [
      icon("chevron"),
      words.plain("sections.ended", { n: groups.ended.length }),
    ]);
    for (const name of Object.keys(groups) as Section[]) {
      this.#paintCards(shown, parts.lists[name], groups[name]);
    }
    this.#paintRest(shown, empty);
    this.#paintDialog(shown);
    this.#observeMore(shown);
    this.#keepFocus(focused);
  }

  #find(act: Act): HTMLElement | null {
    return this.#root.querySelector<HTMLElement>(`[data-act="${CSS.escape(act)}"]`);
  }

  get #focusedAct(): Act | undefined {
    const focused = this.#root.activeElement;
    return focused instanceof HTMLElement ? focused.dataset.act : undefined;
  }

  /** Gives the focus back if painting has replaced the focused element. */
  #keepFocus(focused: Act | undefined): void {
    if (!focused || this.#focusedAct === focused) return;
    const same = this.#find(focused);
    // The person did not ask to go there, so the page must not scroll.
    if (same) same.focus({ preventScroll: true });
    else this.#root.querySelector<HTMLElement>('[data-act="notice"], [data-act="title"]')?.focus();
  }

  /** Whether this is announced for the first time. Painting again does not announce again. */
  #isNew(announced: object): boolean {
    const known = this.#announced.has(announced);
    this.#announced.add(announced);
    return !known;
  }

  /** Builds the content of a place again if any of these facts has changed. */
  #paint(shown: Shown, place: Element, facts: unknown[], build: () => Children): void {
    const { words, busy, appName, products } = shown;
    const signature = JSON.stringify([words.language, busy, appName, products, facts]);
    if (this.#painted.get(place) === signature) return;
    this.#painted.set(place, signature);
    place.replaceChildren(...nodes(build()));
  }

  #view({ words, busy, connections }: Shown): View {
    return { words, busy, names: (one) => namesOf(one, words, connections) };
  }

  #summary({ connections, cursor, words }: Shown): string {
    const all = [...connections.values()];
    const path = summaryPath(all, !cursor);
    return path ? words.plain(path, { n: all.filter(needsAPerson).length }) : "";
  }

  #paintHeader(shown: Shown, troubled: boolean, listed: boolean): void {
    const summary = this.#summary(shown);
    const connect = () => this.#actions.connect("connect");
    this.#paint(shown, this.#parts.header, [troubled, listed, summary], () =>
      header(this.#view(shown), { summary, troubled, listed, connect }),
    );
  }

  #paintTop(shown: Shown): void {
    const { connections, notice, phase, question, stale } = shown;
    // The notice's connection as it is now, also if it has left the list.
    const about = notice?.about && (connections.get(keyOf(notice.about)) ?? notice.about);
    const view = this.#view(shown);
    const facts = [question, notice, stale, phase, about && view.names(about)];
    this.#paint(shown, this.#parts.top, facts, () => [
      question &&
        questionCard(view, {
          question,
          providerName: (provider_id) => providerName({ provider_id }, connections.values()),
          confirm: () => this.#actions.confirm(),
          reject: () => this.#actions.reject(),
        }),
      notice && this.#noticeBox(shown, notice, about),
      stale && this.#staleBox(shown, stale),
    ]);
  }

  #noticeBox(shown: Shown, notice: Notice, about: Connection | undefined): HTMLElement {
    const { words } = shown;
    const view = this.#view(shown);
    const isNew = this.#isNew(notice);
    if (isNew && notice.kind !== "bad") {
      this.announce(words.plain(notice.title, about && { ...view.names(about) }));
    }
    return noticeBox(view, {
      notice,
      about,
      isNew,
      supportUrl: shown.supportUrl,
      retryText: words.text(repairs(notice, shown) ? "repair" : "tryAgain"),
      tryAgain: (retry) => this.#actions.tryAgain(notice, retry),
      dismiss: () => this.#actions.dismiss(notice),
    });
  }

  #staleBox(shown: Shown, failure: Failure): Children {
    const { phase, updatedAt, words } = shown;
    const failed = phase === "failed";
    const isNew = this.#isNew(failure);
    if (isNew && !failed) this.announce(words.text("result.stale"));
    const tryAgain = () => this.#actions.readAgain();
    return staleBox(this.#view(shown), { failure, failed, updatedAt, isNew, tryAgain });
  }

  #paintCards(shown: Shown, list: HTMLElement, connections: Connection[]): void {
    const view = this.#view(shown);
    for (const [place, connection] of connections.entries()) {
      const key = keyOf(connection);
      const item = this.#cards.get(key) ?? h("li", { part: "card" });
      this.#cards.set(key, item);
      const open = this.#open.has(key);
      this.#paint(shown, item, [connection, open, view.names(connection).provider], () => {
        item.className = `card ${needsAPerson(connection) ? "attention bad" : ""}`;
        return card(view, {
          connection,
          open,
          id: `card-${[...this.#cards.keys()].indexOf(key)}`,
          toggle: () => this.#toggle(key),
          connect: (act) => this.#actions.connect(act),
          askToDisconnect: (act, entity) => this.#actions.askToDisconnect(connection, act, entity),
        });
      });
      if (list.children[place] !== item) list.insertBefore(item, list.children[place] ?? null);
    }
    while (list.children.length > connections.length) list.lastElementChild?.remove();
  }

  #toggle(key: Key): void {
    if (!this.#open.delete(key)) this.#open.add(key);
    this.render();
  }

  #paintRest(shown: Shown, empty: boolean): void {
    const { cursor, phase, products, reading, slow } = shown;
    const asked = shown.question !== null;
    const view = this.#view(shown);
    const facts = [phase, empty, cursor, reading, slow, asked];
    this.#paint(shown, this.#parts.rest, facts, () => {
      if (phase === "loading") return loading(view, slow);
      if (empty) {
        return !asked && emptyPage(view, products, () => this.#actions.connect("connect"));
      }
      if (phase !== "ready" || !cursor) return null;
      return moreButton(view, reading, () => this.#actions.more());
    });
  }

  /** Reads more as soon as the button for it is nearly in sight. */
  #observeMore({ reading, stale }: Shown): void {
    const button = this.#find("more");
    this.#observer?.disconnect();
    if (!button || reading || stale) return;
    this.#observer ??= newObserver(() => this.#actions.more());
    this.#observer?.observe(button);
  }

  #paintDialog(shown: Shown): void {
    const { appName, connections, dialog } = shown;
    if (!dialog) return;
    const { connection, entity, failed, working } = dialog;
    this.#paint(shown, this.#parts.dialog, [connection, entity, working, failed], () =>
      dialogContent(this.#view(shown), {
        dialog,
        hasOthers: connections.size > 1,
        hasAppName: appName !== null,
        keep: () => this.#parts.dialog.close(),
        disconnect: () => this.#actions.disconnect(),
      }),
    );
  }
}

/** The names of a connection's company and provider. */
export function namesOf(
  connection: Connection,
  words: Wording,
  connections: ReadonlyMap<Key, Connection>,
): Names {
  return {
    provider: providerName(connection, connections.values()),
    company: words.company(connection),
  };
}

function repairs({ retry }: Notice, { connections }: Shown): boolean {
  return Boolean(retry?.startsWith("repair:") && connections.has(retry.slice("repair:".length)));
}
