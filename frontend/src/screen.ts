/** Draws the state of the page into the shadow root, and only where it has changed. */

import type { Connection, Entity } from "./api.ts";
import { newObserver } from "./browser.ts";
import {
  ATTENTION,
  areMany,
  byCompany,
  type Choice,
  chosen,
  narrows,
  needsAll,
  type Option,
  ORDERS,
  providerOptions,
  statusOptions,
} from "./choice.ts";
import {
  checksPath,
  grouped,
  isCheckedLately,
  type Key,
  keyOf,
  needsAPerson,
  providerName,
  summaryPath,
} from "./connections.ts";
import { type Children, h, icon, nodes } from "./dom.ts";
import { type Failure, isUndecided, type Notice } from "./notices.ts";
import { sheet } from "./styles.ts";
import type { TextPath } from "./texts.ts";
import { card } from "./views/card.ts";
import { foundText, options, readChoice } from "./views/controls.ts";
import { type DisconnectDialog, dialogContent } from "./views/dialog.ts";
import { header } from "./views/header.ts";
import { awaited, emptyPage, loading, moreButton } from "./views/list_end.ts";
import { noticeBox, staleBox } from "./views/notice.ts";
import { type Question, questionCard } from "./views/question.ts";
import { readsList } from "./views/reads.ts";
import { type Section, skeleton } from "./views/skeleton.ts";
import { type Act, button, safeLink, type View } from "./views/view.ts";
import type { Names, Wording } from "./wording.ts";

export type Phase = "loading" | "ready" | "failed";

/** All that the page shows at one moment. */
export interface Shown {
  words: Wording;
  appName: string | null;
  products: string[];
  /** Why the application reads them. */
  reason: string | null;
  supportUrl: string | null;
  connections: ReadonlyMap<Key, Connection>;
  phase: Phase;
  /** Loading takes longer than usual. */
  slow: boolean;
  /** A reading of the list is under way. */
  reading: boolean;
  /** Where the list goes on, or null at its end. */
  cursor: string | null;
  choice: Choice;
  /** How many of the connections that need no person are shown at most. */
  limit: number;
  updatedAt: number;
  notice: Notice | null;
  question: Question | null;
  /** Why the list could not be read. */
  stale: Failure | null;
  /** A return from Finch is not decided yet. */
  waiting: boolean;
  busy: Act | null;
  dialog: DisconnectDialog | null;
}

/** The actions of the buttons. */
export interface Actions {
  connect(act: Act): void;
  more(): void;
  choose(choice: Choice): void;
  clear(): void;
  readAll(): void;
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
  readonly #companies = new Map<string, HTMLLIElement>();
  readonly #open = new Set<Key>();
  readonly #announced = new WeakSet<object>();
  #painted = new WeakMap<Element, string>();
  #endedOpen = false;
  #choice: Choice | null = null;
  #found = "";
  /** The text about the checks of the whole list. */
  #checks: TextPath | null = null;
  /** The first card that this drawing has added. */
  #added: Act | null = null;
  #observer: IntersectionObserver | null = null;

  constructor(root: ShadowRoot, shown: () => Shown, actions: Actions) {
    this.#root = root;
    this.#shown = shown;
    this.#actions = actions;
    const { live, all, sections, dialog, controls, reads } = this.#parts;
    controls.form.addEventListener("input", () => this.#actions.choose(readChoice(controls)));
    // The lists of providers and statuses must be complete when the person opens them.
    controls.form.addEventListener("focusin", () => this.#actions.readAll());
    reads.firstElementChild?.setAttribute("data-act", "reads");
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
    this.#companies.clear();
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
    const all = ready ? [...shown.connections.values()] : [];
    const found = chosen(all, shown.choice, words, (one) => namesOf(one, words, shown.connections));
    const groups = grouped(found, shown.choice.order === "attention");
    const beyond = groups.active.length > shown.limit;
    groups.active = byCompany(groups.active).flat().slice(0, shown.limit);
    const troubled = all.some(needsAPerson);
    const empty = ready && !shown.cursor && all.every((one) => one.status === "disconnected");
    // The texts may be in another language than the page around them.
    parts.live.lang = parts.all.lang = parts.dialog.lang = words.language;
    parts.all.setAttribute("aria-busy", String(phase === "loading"));
    this.#paintHeader(shown, troubled, ready && !empty);
    this.#paintReads(shown, ready && !empty);
    this.#paintTop(shown);
    this.#paintControls(shown, found.length, empty);
    const hasAttention = groups.attention.length > 0;
    for (const name of ["attention", "active"] as const) {
      parts.sections[name].hidden = !groups[name].length;
      const followsAttention = name === "active" && hasAttention;
      const title = parts.titles[name];
      title.textContent = words.text(`sections.${followsAttention ? "others" : name}`);
      title.classList.toggle("unseen", name === "active" && !hasAttention);
    }
    parts.sections.ended.hidden = !groups.ended.length;
    // A search also opens the ended connections.
    if (this.#choice !== shown.choice) this.#endedOpen = narrows(shown.choice);
    this.#choice = shown.choice;
    parts.sections.ended.open = this.#endedOpen;
    this.#paint(shown, parts.titles.ended, [groups.ended.length], () => [
      icon("chevron"),
      words.plain("sections.ended", { n: groups.ended.length }),
    ]);
    this.#added = null;
    for (const name of Object.keys(groups) as Section[])
      this.#paintCards(shown, name, groups[name]);
    this.#paintRest(shown, empty, beyond);
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
    const same =
      this.#find(focused) ?? (focused === "more" && this.#added && this.#find(this.#added));
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
    const { words, busy, appName, products, supportUrl } = shown;
    const signature = JSON.stringify([words.language, busy, appName, products, supportUrl, facts]);
    if (this.#painted.get(place) === signature) return;
    this.#painted.set(place, signature);
    place.replaceChildren(...nodes(build()));
  }

  #view({ words, busy, connections, supportUrl }: Shown): View {
    const support = safeLink(supportUrl);
    return { words, busy, support, names: (one) => namesOf(one, words, connections) };
  }

  #summary({ connections, cursor, words }: Shown): string {
    const all = [...connections.values()];
    const path = summaryPath(all, !cursor);
    return path ? words.plain(path, { n: all.filter(needsAPerson).length }) : "";
  }

  #paintHeader(shown: Shown, troubled: boolean, listed: boolean): void {
    const summary = this.#summary(shown);
    this.#checks = checksPath([...shown.connections.values()], Date.now());
    const checks = this.#checks ? shown.words.text(this.#checks) : "";
    const invites = !troubled && !isAwaited(shown);
    const connect = () => this.#actions.connect("connect");
    this.#paint(shown, this.#parts.header, [troubled, listed, summary, checks, invites], () =>
      header(this.#view(shown), { summary, troubled, checks, invites, listed, connect }),
    );
  }

  #paintReads(shown: Shown, listed: boolean): void {
    const { reads } = this.#parts;
    const [summary, content] = reads.children;
    reads.hidden = !listed;
    if (!summary || !content) return;
    this.#paint(shown, summary, [], () => [icon("chevron"), shown.words.nodes("reads.title")]);
    this.#paint(shown, content, [shown.reason], () => readsList(this.#view(shown), shown));
  }

  #paintControls(shown: Shown, count: number, empty: boolean): void {
    const { choice, connections, cursor, phase, reading, words } = shown;
    const { form, search, selects, found } = this.#parts.controls;
    const hasChoice = needsAll(choice);
    const complete = !cursor;
    form.hidden = phase !== "ready" || empty || !(hasChoice || areMany(connections, complete));
    if (form.hidden) return;
    if (search.value !== choice.text) search.value = choice.text;
    search.placeholder = words.text("list.hint");
    const view = this.#view(shown);
    const all = [...connections.values()];
    const filter = (name: "status" | "provider", texts: Option[]) =>
      this.#paint(shown, selects[name], [texts, choice[name]], () => options(texts, choice[name]));
    filter("status", [
      { value: "", label: words.text("list.allStatuses") },
      { value: ATTENTION, label: words.text("sections.attention") },
      ...statusOptions(all, choice, words),
    ]);
    filter("provider", [
      { value: "", label: words.text("list.allProviders") },
      ...providerOptions(all, choice, words, view.names),
    ]);
    const orders = ORDERS.map((value) => ({ value, label: words.text(`list.${value}`) }));
    this.#paint(shown, selects.order, [choice.order], () => options(orders, choice.order));
    for (const [name, field] of Object.entries({ search, ...selects })) {
      const label = field.previousElementSibling;
      if (label) label.textContent = words.text(`list.${name as "search" | keyof typeof selects}`);
    }
    const facts = { choice, count, read: connections.size, reading, complete };
    const text = hasChoice ? foundText(words, facts) : "";
    if (text && text !== this.#found) this.announce(text);
    this.#found = text;
    found.classList.toggle("none", hasChoice && !count);
    this.#paint(shown, found, [text, narrows(choice)], () => [
      text && h("p", {}, text),
      narrows(choice) &&
        button(view, "clear", words.text("list.clear"), () => this.#actions.clear(), {
          kind: "quiet",
          always: true,
        }),
    ]);
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

  #paintCards(shown: Shown, section: Section, connections: Connection[]): void {
    const items = byCompany(connections).map((company) => {
      const inCompany = company.length > 1;
      const cards = company.map((one) => this.#card(shown, one, inCompany));
      return inCompany ? this.#company(shown, section, company, cards) : cards;
    });
    arrange(this.#parts.lists[section], items.flat());
  }

  #card(shown: Shown, connection: Connection, inCompany: boolean): HTMLLIElement {
    const view = this.#view(shown);
    const key = keyOf(connection);
    const item = this.#cards.get(key) ?? h("li", { part: "card" });
    if (!this.#cards.has(key)) this.#added ??= `details:${key}`;
    this.#cards.set(key, item);
    const open = this.#open.has(key);
    const lately = this.#checks !== null && isCheckedLately(connection, Date.now());
    const facts = [connection, open, view.names(connection).provider, inCompany, lately];
    this.#paint(shown, item, facts, () => {
      item.className = `card ${needsAPerson(connection) ? "attention bad" : ""}`;
      return card(view, {
        connection,
        open,
        inCompany,
        isCheckedLately: lately,
        id: `card-${[...this.#cards.keys()].indexOf(key)}`,
        toggle: () => this.#toggle(key),
        connect: (act) => this.#actions.connect(act),
        askToDisconnect: (act, entity) => this.#actions.askToDisconnect(connection, act, entity),
      });
    });
    return item;
  }

  /** The connections of a company at several providers, under its name. */
  #company(
    { words }: Shown,
    section: Section,
    connections: Connection[],
    cards: HTMLLIElement[],
  ): HTMLLIElement {
    const [first] = connections;
    const key = `${section}:${first?.company_id}`;
    const item =
      this.#companies.get(key) ??
      h("li", { class: "company", part: "company" }, h("h4"), h("ul", { class: "cards" }));
    this.#companies.set(key, item);
    const [title, list] = item.children;
    const named = connections.find((one) => one.company_name) ?? first;
    if (title && named) title.textContent = words.company(named);
    if (list) arrange(list, cards);
    return item;
  }

  #toggle(key: Key): void {
    if (!this.#open.delete(key)) this.#open.add(key);
    this.render();
  }

  #paintRest(shown: Shown, empty: boolean, beyond: boolean): void {
    const { cursor, phase, question, reading, reason, slow } = shown;
    const view = this.#view(shown);
    const asks = question !== null && question !== "checking";
    const waits = isAwaited(shown);
    const facts = [phase, empty, cursor, beyond, reading, slow, asks, waits, reason];
    this.#paint(shown, this.#parts.rest, facts, () => {
      if (phase === "loading") return loading(view, slow);
      if (empty && waits) return awaited(view, asks);
      if (empty) return emptyPage(view, shown, () => this.#actions.connect("connect"));
      if (phase !== "ready" || !(cursor || beyond)) return null;
      return moreButton(view, reading, () => this.#actions.more());
    });
  }

  /** Reads more as soon as the button for it is nearly in sight. */
  #observeMore({ choice, cursor, reading, stale }: Shown): void {
    const button = this.#find("more");
    this.#observer?.disconnect();
    // A search with few results would read everything by itself.
    if (!button || reading || stale || (cursor && needsAll(choice))) return;
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

/** Puts the items into this order. An item that stays in its place keeps the focus. */
function arrange(list: Element, items: readonly Element[]): void {
  const staying = new Set(items);
  for (const child of [...list.children]) if (!staying.has(child)) child.remove();
  for (const [place, item] of items.entries()) {
    if (list.children[place] !== item) list.insertBefore(item, list.children[place] ?? null);
  }
}

/** Whether a connection is on its way, so that the page must not invite to connect again. */
function isAwaited({ notice, question, waiting }: Shown): boolean {
  return waiting || question !== null || (notice !== null && isUndecided(notice));
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
