/** Draws the state of the page into the shadow root, and only where it has changed. */

import type { Connection, Entity } from "./api.ts";
import { newObserver } from "./browser.ts";
import { CardList, type Paint } from "./card_list.ts";
import { areMany, byCompany, type Choice, chosen, narrows, needsAll } from "./choice.ts";
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
import { type Children, icon, nodes } from "./dom.ts";
import { type Failure, isUndecided, type Notice } from "./notices.ts";
import { sheet } from "./styles.ts";
import type { TextPath } from "./texts.ts";
import { drawControls, readChoice } from "./views/controls.ts";
import { type DisconnectDialog, dialogContent } from "./views/dialog.ts";
import { header } from "./views/header.ts";
import { awaited, emptyPage, loading, moreButton } from "./views/list_end.ts";
import { noticeBox, staleBox } from "./views/notice.ts";
import { type Question, questionCard } from "./views/question.ts";
import { readsList } from "./views/reads.ts";
import { type Section, skeleton } from "./views/skeleton.ts";
import { type Act, safeLink, type View } from "./views/view.ts";
import type { Names, Wording } from "./wording.ts";

export type Phase = "loading" | "ready" | "failed";

/** All that the page shows at one moment. */
export interface Shown {
  words: Wording;
  /** The attribute `dir` of the element. Without it the language decides. */
  direction: string;
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
  readonly #cards = new CardList({
    connect: (act) => this.#actions.connect(act),
    askToDisconnect: (...asked) => this.#actions.askToDisconnect(...asked),
    toggled: () => this.render(),
  });
  readonly #announced = new WeakSet<object>();
  #painted = new WeakMap<Element, string>();
  #endedOpen = false;
  #choice: Choice | null = null;
  #found = "";
  /** The text about the checks of the whole list. */
  #checks: TextPath | null = null;
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

  /** Forgets what the person opened and searched for. */
  reset(): void {
    this.#cards.reset();
    this.#parts.controls.form.reset();
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
    for (const part of [parts.live, parts.all, parts.dialog]) {
      part.lang = words.language;
      part.dir = shown.direction || words.direction;
    }
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
    const added = [...groups.attention, ...groups.active].find((one) => !this.#cards.has(one));
    const drawing = {
      view: this.#view(shown),
      paint: (...painting: Parameters<Paint>) => this.#paint(shown, ...painting),
      isCheckedLately: (one: Connection) =>
        this.#checks !== null && isCheckedLately(one, Date.now()),
    };
    for (const name of Object.keys(groups) as Section[]) {
      this.#cards.draw(parts.lists[name], name, groups[name], drawing);
    }
    this.#paintRest(shown, empty, beyond);
    this.#paintDialog(shown);
    this.#observeMore(shown);
    this.#keepFocus(focused, added);
  }

  #find(act: Act): HTMLElement | null {
    return this.#root.querySelector<HTMLElement>(`[data-act="${CSS.escape(act)}"]`);
  }

  get #focusedAct(): Act | undefined {
    const focused = this.#root.activeElement;
    return focused instanceof HTMLElement ? focused.dataset.act : undefined;
  }

  /** Gives the focus back if painting has replaced the focused element. */
  #keepFocus(focused: Act | undefined, added: Connection | undefined): void {
    if (!focused || this.#focusedAct === focused) return;
    // After the last page the button for more is gone, and the first new card follows.
    const follows = focused === "more" && added && this.#find(`details:${keyOf(added)}`);
    const same = this.#find(focused) ?? follows;
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
    this.#checks = checksPath([...shown.connections.values()], !shown.cursor, Date.now());
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
    const { choice, connections, cursor, phase, reading } = shown;
    const { controls } = this.#parts;
    const complete = !cursor;
    const needed = needsAll(choice) || areMany(connections, complete);
    controls.form.hidden = phase !== "ready" || empty || !needed;
    if (controls.form.hidden) return;
    const text = drawControls(
      controls,
      this.#view(shown),
      [...connections.values()],
      { choice, count, read: connections.size, reading, complete },
      (...painting) => this.#paint(shown, ...painting),
      () => this.#actions.clear(),
    );
    if (text && text !== this.#found) this.announce(text);
    this.#found = text;
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
