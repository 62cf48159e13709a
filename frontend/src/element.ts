/** The custom element: its settings, its state, and the order of steps of each action. */

import {
  Api,
  type Connection,
  type Finished,
  Refused,
  type RepairRequest,
  type StartRequest,
} from "./api.ts";
import {
  departure,
  grouped,
  type Key,
  keyOf,
  needsAPerson,
  newest,
  providerName,
  type Result,
  repairedFlag,
  resultOf,
  summaryPath,
} from "./connections.ts";
import { type Children, h, icon, nodes } from "./dom.ts";
import { FinchConnectFrame, type FinchSdk } from "./finch_connect.ts";
import { differences, goneFrom, PAGE_SIZE, readList } from "./list.ts";
import { MINUTE, nextPause, readsOnly, SECOND, underWay } from "./polling.ts";
import { type Landing, memory, takeReturn } from "./returning.ts";
import { sheet } from "./styles.ts";
import { failurePath, type OwnTexts } from "./texts.ts";
import { card } from "./views/card.ts";
import { type DisconnectDialog, dialogContent } from "./views/dialog.ts";
import { header } from "./views/header.ts";
import { emptyPage, loading, moreButton } from "./views/list_end.ts";
import { type Notice, noticeBox, staleBox } from "./views/notice.ts";
import { type Question, questionCard } from "./views/question.ts";
import { type Section, skeleton } from "./views/skeleton.ts";
import type { Act, Failure, View } from "./views/view.ts";
import { languageFor, type Names, Wording } from "./wording.ts";

type GetAccessToken = (request: {
  refresh: boolean;
}) => string | null | undefined | Promise<string | null | undefined>;

type Phase = "loading" | "ready" | "failed";

// After these failures support helps, and another try does not.
const FOR_SUPPORT = [
  "cannot_connect",
  "customer_unknown",
  "finch_misconfigured",
  "not_allowed",
  "too_many_logins",
];
// After these failures the API may still accept the same completion code, or Finch's same code.
const WORTH_ANOTHER_TRY = [
  "connection_busy",
  "finch_misconfigured",
  "finch_unavailable",
  "internal_error",
  "too_many_requests",
  "unauthorized",
  "unexpected",
  "unreachable",
];

const SLOW = 5 * SECOND;
// A page that becomes visible reads again only if the list is older than this.
const FRESH = 10 * SECOND;
// When the browser did not leave for Finch by then, the buttons work again.
const LEAVES_WITHIN = 20 * SECOND;
// After this time the page stops watching for a connection. The next reading still finds it.
const WAITS_FOR = 15 * MINUTE;

// The return is read when this file is loaded. It waits until the API accepts the sign-in.
let landed = takeReturn();

/** Whether a return waits to be shown. With a completion code it waits for a click instead. */
const isUnreported = () => landed !== null && !landed.completion;

/** The element `finch-connections`. docs/page.md describes its attributes, properties and events. */
export class FinchConnections extends HTMLElement {
  static observedAttributes = ["api-url", "lang", "app-name", "products", "support-url", "mode"];

  // Settings
  #getAccessToken: GetAccessToken | null = null;
  #texts: OwnTexts = {};
  #finchConnect: FinchSdk | null = null;

  // What the page shows
  readonly #connections = new Map<Key, Connection>();
  #phase: Phase = "loading";
  #cursor: string | null = null;
  #updatedAt = 0;
  #notice: Notice | null = null;
  #question: Question | null = null;
  #stale: Failure | null = null;
  #slow = false;
  #busy: Act | null = null;
  readonly #open = new Set<Key>();
  #endedOpen = false;
  #dialog: DisconnectDialog | null = null;

  // What is under way
  /** The client for the present sign-in. It is closed when the customer or the API changes. */
  #api: Api | null = null;
  /** Counts changes made by this page; an older reading is dropped. */
  #epoch = 0;
  #reading: Promise<void> | null = null;
  /** How many connections were read in the API's order. */
  #read = 0;
  #readAt = 0;
  #looking = false;
  #waiting: Landing | null = null;
  #pause = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ticker: ReturnType<typeof setInterval> | undefined;
  #channel: BroadcastChannel | null = null;
  #frame: FinchConnectFrame | null = null;

  // What is on the screen
  readonly #root = this.attachShadow({ mode: "open" });
  readonly #parts = skeleton();
  #painted = new WeakMap<Element, string>();
  readonly #cards = new Map<Key, HTMLLIElement>();
  readonly #announced = new WeakSet<object>();
  #observer: IntersectionObserver | null = null;

  constructor() {
    super();
    this.#root.adoptedStyleSheets = [sheet];
    const { live, all, sections, dialog } = this.#parts;
    sections.ended.addEventListener("toggle", () => {
      this.#endedOpen = sections.ended.open;
    });
    dialog.addEventListener("cancel", (event) => this.#dialog?.working && event.preventDefault());
    // The event comes after the end. The dialog may be open again by then.
    dialog.addEventListener("close", () => dialog.open || this.#dialogClosed());
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog && !this.#dialog?.working) dialog.close();
    });
    this.#root.append(live, all, dialog);
  }

  connectedCallback(): void {
    // Properties that the page has set before this file was loaded.
    for (const name of ["getAccessToken", "texts", "finchConnect"] as const) {
      if (!Object.hasOwn(this, name)) continue;
      const early = { [name]: this[name] };
      delete (this as Partial<this>)[name];
      Object.assign(this, early);
    }
    this.#channel = globalThis.BroadcastChannel ? new BroadcastChannel("finch-connections") : null;
    this.#channel?.addEventListener("message", this.#onNews);
    document.addEventListener("visibilitychange", this.#onVisible);
    window.addEventListener("pageshow", this.#onShown);
    window.addEventListener("online", this.#onNews);
    this.#ticker = setInterval(() => this.#updateTimes(), MINUTE / 2);
    this.#start();
  }

  disconnectedCallback(): void {
    this.#api?.close();
    this.#api = null;
    clearTimeout(this.#timer);
    clearInterval(this.#ticker);
    this.#channel?.close();
    this.#destroyFrame();
    this.#observer?.disconnect();
    document.removeEventListener("visibilitychange", this.#onVisible);
    window.removeEventListener("pageshow", this.#onShown);
    window.removeEventListener("online", this.#onNews);
  }

  attributeChangedCallback(name: string, before: string | null, after: string | null): void {
    if (!this.#api || before === after) return;
    if (name === "api-url") this.#start();
    else this.#render();
  }

  /**
   * Returns an access token of the application, or a promise of one. After a 401 it is called with
   * `refresh`. Setting another function starts again: it means another sign-in.
   */
  get getAccessToken(): GetAccessToken | null {
    return this.#getAccessToken;
  }

  set getAccessToken(getAccessToken: GetAccessToken | null) {
    if (getAccessToken === this.#getAccessToken) return;
    this.#getAccessToken = getAccessToken;
    if (this.isConnected) this.#start();
  }

  /** Texts that replace those of `TEXTS`, in the same form. A missing text stays. */
  get texts(): OwnTexts {
    return this.#texts;
  }

  set texts(texts: OwnTexts | null) {
    this.#texts = texts ?? {};
    this.#painted = new WeakMap();
    if (this.#api) this.#render();
  }

  /** Finch's SDK, if it is not the global `FinchConnect`. */
  get finchConnect(): FinchSdk | null {
    const global = globalThis as { FinchConnect?: FinchSdk };
    return this.#finchConnect ?? global.FinchConnect ?? null;
  }

  set finchConnect(sdk: FinchSdk | null) {
    this.#destroyFrame();
    this.#finchConnect = sdk;
  }

  /** Reads everything again; resolves when the page shows it. */
  async refresh(): Promise<void> {
    // A reading under way may be older than what the application wants to see.
    while (this.#reading) await this.#reading;
    await this.#reload();
  }

  // Texts and names

  get #words(): Wording {
    const language = this.lang || this.closest<HTMLElement>("[lang]")?.lang || navigator.language;
    return new Wording(languageFor(language), this.#texts, this.getAttribute("app-name"));
  }

  #names(connection: Connection): Names {
    return {
      provider: providerName(connection, this.#connections.values()),
      company: this.#words.company(connection),
    };
  }

  get #products(): string[] {
    return (this.getAttribute("products") || "company directory").trim().split(/[\s,]+/);
  }

  #updateTimes(): void {
    if (document.hidden) return;
    const words = this.#words;
    for (const time of this.#root.querySelectorAll<HTMLTimeElement>("time[data-path]")) {
      words.updateTime(time);
    }
  }

  #announce(text: string): void {
    this.#parts.live.textContent = text;
  }

  /** Whether this is announced for the first time. Painting again does not announce again. */
  #isNew(announced: object): boolean {
    const known = this.#announced.has(announced);
    this.#announced.add(announced);
    return !known;
  }

  #dispatch(name: string, detail: object): void {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }

  // Starting, and reading the list

  async #token(refresh: boolean): Promise<string | null | undefined> {
    if (this.#getAccessToken) return this.#getAccessToken({ refresh });
    let provided: ReturnType<GetAccessToken>;
    const provide = (token: ReturnType<GetAccessToken>) => {
      provided = token;
    };
    this.#dispatch("finch-access-token", { refresh, provide });
    return provided;
  }

  #start(): void {
    clearTimeout(this.#timer);
    this.#api?.close();
    const api = new Api(this.getAttribute("api-url") ?? "", {
      token: (refresh) => this.#token(refresh),
      signedOut: () => this.#dispatch("finch-signed-out", {}),
    });
    this.#api = api;
    // Nothing of one customer may be shown to the next.
    this.#connections.clear();
    this.#cards.clear();
    this.#open.clear();
    this.#cursor = this.#notice = this.#question = this.#stale = this.#busy = this.#waiting = null;
    this.#reading = null;
    this.#read = 0;
    this.#phase = "loading";
    this.#looking = this.#slow = false;
    if (this.#parts.dialog.open) this.#parts.dialog.close();
    this.#frame?.close();
    this.#render();
    this.#announce(this.#words.text("loading"));
    const begin = () => {
      if (!api.closed && this.isConnected) this.#begin(api);
    };
    // The page may set its callback right after this, or in a script that comes later.
    if (this.#getAccessToken || document.readyState === "complete") queueMicrotask(begin);
    else window.addEventListener("load", begin, { once: true, signal: api.signal });
  }

  async #begin(api: Api): Promise<void> {
    if (!this.hasAttribute("api-url")) {
      console.error("finch-connections: the attribute api-url is missing.");
      return;
    }
    const slow = setTimeout(() => {
      this.#slow = true;
      this.#render();
      this.#announce(this.#words.text("slow"));
    }, SLOW);
    await this.#reload();
    clearTimeout(slow);
    if (api.closed) return;
    this.#slow = false;
    this.#render();
  }

  /** Marks that a reading is under way; only one may be. Returns the function that ends it. */
  #beginReading(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#reading = promise;
    return () => {
      if (this.#reading === promise) this.#reading = null;
      resolve();
    };
  }

  async #reload(): Promise<void> {
    const api = this.#api;
    if (this.#reading || !api) return;
    const endReading = this.#beginReading();
    const epoch = this.#epoch;
    try {
      const reading = await readList(api, Math.max(PAGE_SIZE, this.#read));
      if (api.closed || epoch !== this.#epoch) return;
      this.#cursor = reading.cursor;
      this.#absorb(reading.found);
      for (const key of goneFrom(this.#connections.keys(), reading)) this.#connections.delete(key);
      const first = this.#phase !== "ready";
      this.#phase = "ready";
      this.#stale = null;
      this.#updatedAt = this.#readAt = Date.now();
      this.#read = reading.count;
      if (first) this.#announce(this.#summary());
      // A return is reported to a customer whom the API accepts. Until then it waits.
      if (first || isUnreported()) await this.#land(api);
    } catch (error) {
      if (api.closed) return;
      const { code, reference } = Refused.from(error);
      // The same failure again is not announced again.
      if (this.#stale?.code !== code) this.#stale = { code, reference };
      if (this.#phase !== "ready") this.#phase = "failed";
    } finally {
      endReading();
      if (!api.closed) {
        this.#render();
        // A look schedules the next one itself.
        if (!this.#looking) this.#schedule();
      }
    }
  }

  async #more(): Promise<void> {
    const api = this.#api;
    if (this.#reading || !this.#cursor || !api) return;
    const endReading = this.#beginReading();
    this.#render();
    const epoch = this.#epoch;
    try {
      const page = await api.page({ limit: PAGE_SIZE, cursor: this.#cursor });
      if (api.closed || epoch !== this.#epoch) return;
      this.#cursor = page.next_cursor;
      this.#read += page.connections.length;
      this.#absorb(new Map(page.connections.map((one) => [keyOf(one), one])));
    } catch (error) {
      if (api.closed) return;
      const { code, reference } = Refused.from(error);
      this.#stale = { code, reference };
    } finally {
      endReading();
      if (!api.closed) this.#render();
    }
  }

  /** Takes over what the API returned, and announces each new status. */
  #absorb(found: ReadonlyMap<Key, Connection>): void {
    const { changed, withNewStatus } = differences(this.#connections, found);
    for (const one of changed) this.#connections.set(keyOf(one), one);
    const words = this.#words;
    const changes = withNewStatus.map((one) =>
      words.plain("changed", {
        name: words.plain("named", { ...this.#names(one) }),
        status: words.status(one.status),
      }),
    );
    if (changes.length) this.#announce(changes.join(". "));
    if (changed.length) this.#pause = 0;
  }

  // Reading again: soon while something is under way, seldom otherwise, never while hidden

  #underWay(): Connection[] {
    return underWay(this.#connections.values(), Date.now());
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (document.hidden || !this.#api || this.#phase === "loading") return;
    const watching = this.#underWay().length > 0 || this.#waiting !== null || isUnreported();
    this.#pause = nextPause(this.#pause, watching);
    this.#timer = setTimeout(() => this.#look(), this.#pause);
  }

  async #look(): Promise<void> {
    const api = this.#api;
    if (!api || this.#looking || this.#reading || this.#busy || this.#dialog) {
      this.#schedule();
      return;
    }
    this.#looking = true;
    const few = this.#underWay();
    const onlyFew =
      this.#phase === "ready" && !isUnreported() && readsOnly(few, Date.now() - this.#readAt);
    if (this.#waiting) await this.#lookAtReturn();
    else if (onlyFew) await this.#lookAt(few);
    else await this.#reload();
    if (api.closed) return;
    this.#looking = false;
    this.#schedule();
  }

  async #lookAt(few: Connection[]): Promise<void> {
    const api = this.#api;
    if (!api) return;
    const epoch = this.#epoch;
    const endReading = this.#beginReading();
    try {
      const found = new Map<Key, Connection>();
      for (const one of few) found.set(keyOf(one), await api.connection(one));
      if (!api.closed && epoch === this.#epoch) this.#absorb(found);
    } catch (error) {
      // The next look, or the next reading of the list, shows the failure.
      if (!api.closed) Refused.from(error);
    } finally {
      endReading();
      if (!api.closed) this.#render();
    }
  }

  readonly #onVisible = (): void => {
    if (document.hidden) {
      clearTimeout(this.#timer);
      return;
    }
    this.#pause = 0;
    if (this.#phase === "loading" || Date.now() - this.#readAt < FRESH) this.#schedule();
    else this.#look();
  };

  /** Another tab has changed something, or the network is back. */
  readonly #onNews = (): void => {
    this.#readAt = 0;
    if (!document.hidden) this.#onVisible();
  };

  /** The browser shows this page from its memory. The button that was pressed works again. */
  readonly #onShown = (event: PageTransitionEvent): void => {
    if (!event.persisted) return;
    this.#busy = null;
    this.#render();
    this.#onVisible();
  };

  // The return from Finch Connect

  async #land(api: Api): Promise<void> {
    const landing = landed;
    if (!landing) return;
    if (landing.completion) {
      this.#question = "checking";
      this.#announce(this.#words.text("confirm.checking"));
      this.#render();
      this.#waiting = landing;
      await this.#lookAtReturn();
      return;
    }
    landed = null;
    if (landing.error) this.#refuseReturn(new Refused(landing.error));
    else if (landing.status === "pending") this.#wait({ at: Date.now() });
    else if (landing.provider_id && landing.company_id) await this.#arrived(landing, api);
  }

  /**
   * Asks the API what the completion code would connect. This confirms nothing: a person confirms
   * with a click. What the address says is not shown, because anyone can write an address.
   */
  async #lookAtReturn(): Promise<void> {
    const api = this.#api;
    const landing = this.#waiting;
    if (!api) return;
    if (!landing?.completion) return this.#lookForNews(api);
    try {
      const finished = await api.finish({ completion: landing.completion, look: true });
      if (api.closed) return;
      this.#finished(finished, landing, api);
    } catch (error) {
      if (api.closed) return;
      const refused = Refused.from(error);
      if (refused.code === "session_not_found") {
        // The person may still sign in as the customer who began the session.
        this.#waiting = null;
        this.#question = null;
        this.#notice = {
          kind: "wait",
          title: "confirm.foreign",
          text: "confirm.foreignText",
          forget: true,
        };
      } else if (WORTH_ANOTHER_TRY.includes(refused.code)) {
        this.#question = null;
        this.#notice = {
          kind: "wait",
          title: "result.pending",
          text: failurePath(refused.code),
          reference: refused.reference,
          retry: "return",
        };
      } else {
        this.#forgetReturn();
        this.#refuseReturn(refused);
      }
    }
    this.#render();
  }

  async #finished(finished: Finished, landing: Landing, api: Api): Promise<void> {
    if (finished.status === "connected") {
      this.#forgetReturn();
      await this.#arrived(finished, api);
    } else if (finished.status === "confirm") {
      this.#waiting = null;
      this.#notice = null;
      this.#question = { ...finished };
      this.#render();
      this.#focus("question");
    } else {
      this.#question = null;
      this.#wait({ ...landing, completion: finished.completion ?? landing.completion });
    }
    this.#render();
  }

  #wait(landing: Landing): void {
    if (!this.#waiting) this.#pause = 0;
    this.#waiting = landing;
    this.#notice = {
      kind: "info",
      title: "result.pending",
      text: "result.pendingText",
      spins: true,
    };
  }

  /** Looks in the list for the connection of a return that has no completion code. */
  async #lookForNews(api: Api): Promise<void> {
    const left = memory.read("left");
    await this.#reload();
    const began = this.#waiting?.at ?? Number.NaN;
    // A link from a mail was opened elsewhere, just before the return.
    const since = left?.at ?? began - WAITS_FOR;
    const found = newest(this.#connections.values(), left, since);
    if (!found) {
      if (Date.now() - began > WAITS_FOR) {
        this.#waiting = null;
        // The notice stays true. Now the person can dismiss it.
        if (this.#notice?.spins) this.#notice = { ...this.#notice, spins: false };
      }
      this.#render();
      return;
    }
    this.#waiting = null;
    await this.#arrived(found, api);
    this.#render();
  }

  #forgetReturn(): void {
    landed = null;
    this.#waiting = null;
    this.#question = null;
    memory.write("return", null);
  }

  /** A connection was made. Reports which one, as the API returns it now, and what is new. */
  async #arrived(outcome: Landing | Finished | Connection, api: Api): Promise<void> {
    const left = memory.read("left");
    const { provider_id = "", company_id = "" } = outcome;
    const repaired = "repaired" in outcome ? repairedFlag(outcome.repaired) : null;
    let connection: Connection;
    try {
      connection = await api.connection({ provider_id, company_id });
    } catch (error) {
      if (api.closed) return;
      // After any other failure the return is reported when the API answers again.
      if (Refused.from(error).code !== "connection_not_found") {
        landed = { at: Date.now(), status: "connected", provider_id, company_id };
        if (repaired !== null) landed.repaired = repaired;
      }
      return;
    }
    if (api.closed || connection.status === "disconnected") return;
    this.#connections.set(keyOf(connection), connection);
    this.#epoch += 1;
    this.#pause = 0;
    memory.write("left", null);
    this.#notice = arrivalNotice(connection, resultOf(connection, repaired, left));
    this.#dispatch("finch-connected", {
      provider_id: connection.provider_id,
      company_id: connection.company_id,
      repaired,
    });
    this.#channel?.postMessage("changed");
  }

  #refuseReturn(refused: Refused): void {
    this.#refuse(refused, memory.read("left")?.act);
    memory.write("left", null);
  }

  /** Reports a failure; `retry` is the button that the person has pressed. */
  #refuse({ code, reference }: Refused, retry: Act | null = "connect"): void {
    const declined = code === "access_denied";
    const support = FOR_SUPPORT.includes(code);
    this.#notice = {
      kind: declined ? "info" : "bad",
      title: declined ? "result.refused" : "result.failed",
      text: failurePath(code),
      reference,
      support,
      retry: support ? null : retry,
    };
    this.#dispatch("finch-failed", { code });
  }

  async #confirm(): Promise<void> {
    const api = this.#api;
    const question = this.#question;
    if (this.#busy || !api || !question || question === "checking") return;
    this.#busy = "confirm";
    this.#render();
    const { completion = "" } = question;
    try {
      const finished = await api.finish({ completion });
      if (api.closed) return;
      this.#busy = null;
      await this.#finished(finished, { completion, at: Date.now() }, api);
      await this.#reload();
      this.#focus("notice");
    } catch (error) {
      if (api.closed) return;
      const refused = Refused.from(error);
      const { code, reference } = refused;
      if (WORTH_ANOTHER_TRY.includes(code)) {
        this.#question = { ...question, failed: { code, reference } };
        this.#dispatch("finch-failed", { code });
      } else {
        this.#forgetReturn();
        this.#refuse(refused, memory.read("left")?.act);
      }
    } finally {
      if (!api.closed) {
        this.#busy = null;
        this.#render();
      }
    }
  }

  #reject(): void {
    if (this.#busy) return;
    this.#forgetReturn();
    this.#notice = { kind: "info", title: "confirm.rejected", text: "confirm.rejectedText" };
    this.#render();
    this.#focus("notice");
  }

  // Connecting and repairing

  /** The SDK to connect inside the page, or null if the browser must go to Finch and return. */
  get #sdk(): FinchSdk | null {
    if (this.getAttribute("mode") === "redirect") return null;
    const sdk = this.finchConnect;
    return typeof sdk?.initialize === "function" ? sdk : null;
  }

  /** Starts what the button names: to connect, to add a login, to connect again, or to repair. */
  async #connect(act: Act): Promise<void> {
    const api = this.#api;
    // Another click, while Finch Connect opens.
    if (this.#busy || !api) return;
    this.#busy = act;
    this.#notice = null;
    this.#render();
    this.#announce(this.#words.text("opening"));
    const sdk = this.#sdk;
    try {
      const started = await this.#startSession(api, act, sdk !== null);
      if (api.closed) return;
      memory.write("left", departure(this.#connections.values(), act, Date.now()));
      setTimeout(() => api.closed || this.#rest(act), LEAVES_WITHIN);
      if (sdk && "session_id" in started) {
        this.#frame ??= this.#newFrame(sdk);
        this.#frame.open(started, act, api.signal);
        return;
      }
      const url = new URL("connect_url" in started ? started.connect_url : "");
      if (!/^https?:$/.test(url.protocol)) throw new Refused("unexpected");
      location.assign(url);
    } catch (error) {
      if (api.closed) return;
      const refused = Refused.from(error);
      this.#busy = null;
      this.#refuse(refused, act);
      if (refused.code === "connection_not_found") await this.#reload();
      this.#render();
      this.#focus("notice");
    }
  }

  #startSession(api: Api, act: Act, embedded: boolean) {
    const connection = this.#connectionOf(act);
    const request: RepairRequest = embedded
      ? { mode: "embedded" }
      : {
          mode: "redirect",
          return_to: this.getAttribute("return-to") || location.origin + location.pathname,
        };
    if (connection && act.startsWith("repair:")) return api.repair(connection, request);
    const customerName = this.getAttribute("customer-name");
    return api.connect({
      ...request,
      // The API refuses a product that it does not know.
      products: this.#products as StartRequest["products"],
      ...(connection && { provider_id: connection.provider_id }),
      ...(customerName && { customer_name: customerName }),
    });
  }

  #connectionOf(act: Act): Connection | undefined {
    return this.#connections.get(act.slice(act.indexOf(":") + 1));
  }

  #rest(act: Act): void {
    if (this.#busy !== act) return;
    this.#busy = null;
    this.#render();
  }

  #newFrame(sdk: FinchSdk): FinchConnectFrame {
    return new FinchConnectFrame(sdk, this.getAttribute("finch-connect-url"), {
      ended: (act) => {
        this.#rest(act);
        this.#focus(act);
      },
      succeeded: (act, code, state) => this.#finish({ code, state, act }),
      closed: (retry, failed) => {
        memory.write("left", null);
        this.#notice = failed
          ? { kind: "bad", title: "result.failed", text: "failure.finch_refused", retry }
          : { kind: "info", title: "result.refused", text: "result.closedText", retry };
        this.#render();
        this.#focus("notice");
      },
    });
  }

  #destroyFrame(): void {
    this.#frame?.destroy();
    this.#frame = null;
  }

  /** Sends Finch's code, which the SDK gave to the page. */
  async #finish(finish: { code: string; state: string; act: Act }): Promise<void> {
    const api = this.#api;
    if (!api) return;
    this.#notice = { kind: "info", title: "finishing", spins: true };
    this.#busy = "finish";
    this.#render();
    try {
      const finished = await api.finish({ code: finish.code, state: finish.state });
      if (api.closed) return;
      const landing = { completion: finished.completion, at: Date.now() };
      await this.#finished(finished, landing, api);
      if (finished.completion) memory.write("return", { ...finished, at: Date.now() });
    } catch (error) {
      if (api.closed) return;
      const refused = Refused.from(error);
      this.#refuse(refused, finish.act);
      if (this.#notice && WORTH_ANOTHER_TRY.includes(refused.code)) {
        // Finch's code is valid for ten minutes, and the same code always ends the same.
        this.#notice = { ...this.#notice, retry: "finish", finish };
      }
    } finally {
      if (!api.closed) {
        this.#busy = null;
        await this.#reload();
        this.#focus("notice");
      }
    }
  }

  // Disconnecting

  #askToDisconnect(connection: Connection): void {
    if (this.#busy) return;
    this.#dialog = {
      connection,
      working: false,
      failed: null,
      done: false,
      from: `disconnect:${keyOf(connection)}`,
    };
    this.#render();
    this.#parts.dialog.showModal();
  }

  async #disconnect(): Promise<void> {
    const api = this.#api;
    const dialog = this.#dialog;
    if (!dialog || dialog.working || !api) return;
    dialog.working = true;
    dialog.failed = null;
    this.#render();
    try {
      const after = await api.disconnect(dialog.connection);
      if (api.closed) return;
      this.#epoch += 1;
      this.#connections.set(keyOf(after), after);
      this.#notice = disconnectNotice(after);
      this.#pause = 0;
      dialog.done = true;
      // The person may have closed it with Escape, and opened it for another connection.
      if (this.#dialog === dialog) this.#parts.dialog.close();
      this.#dispatch("finch-disconnected", {
        provider_id: after.provider_id,
        company_id: after.company_id,
        status: after.status,
      });
      this.#channel?.postMessage("changed");
    } catch (error) {
      if (api.closed) return;
      const refused = Refused.from(error);
      const { code, reference } = refused;
      dialog.working = false;
      dialog.failed = { code, reference };
      if (this.#dialog === dialog) this.#dispatch("finch-failed", { code });
      else this.#refuse(refused, null);
      if (["connection_not_found", "disconnect_refused"].includes(code)) this.#reload();
    } finally {
      if (!api.closed) {
        this.#render();
        this.#schedule();
      }
    }
  }

  #dialogClosed(): void {
    const dialog = this.#dialog;
    this.#dialog = null;
    this.#render();
    this.#focus(dialog?.done ? "notice" : dialog?.from);
  }

  // Showing it all

  #find(act: Act): HTMLElement | null {
    return this.#root.querySelector<HTMLElement>(`[data-act="${CSS.escape(act)}"]`);
  }

  #focus(act: Act | undefined): void {
    if (act) this.#find(act)?.focus();
  }

  get #focusedAct(): Act | undefined {
    const focused = this.#root.activeElement;
    return focused instanceof HTMLElement ? focused.dataset.act : undefined;
  }

  get #view(): View {
    return { words: this.#words, busy: this.#busy, names: (one) => this.#names(one) };
  }

  #render(): void {
    const focused = this.#focusedAct;
    const parts = this.#parts;
    const words = this.#words;
    const ready = this.#phase === "ready";
    const groups = grouped(ready ? this.#connections.values() : []);
    const troubled = groups.attention.length > 0;
    const empty = ready && !troubled && !groups.active.length && !this.#cursor;
    // The texts may be in another language than the page around them.
    parts.live.lang = parts.all.lang = parts.dialog.lang = words.language;
    parts.all.setAttribute("aria-busy", String(this.#phase === "loading"));
    const summary = this.#summary();
    const listed = ready && !empty;
    this.#paint(parts.header, [troubled, listed, summary], () =>
      header(this.#view, {
        summary,
        troubled,
        listed,
        connect: () => this.#connect("connect"),
      }),
    );
    this.#paintTop();
    for (const name of ["attention", "active"] as const) {
      parts.sections[name].hidden = !groups[name].length;
      const besideTroubles = name === "active" && troubled;
      parts.titles[name].textContent = words.text(`sections.${besideTroubles ? "others" : name}`);
      parts.titles[name].classList.toggle("unseen", name === "active" && !besideTroubles);
    }
    parts.sections.ended.hidden = !groups.ended.length;
    parts.sections.ended.open = this.#endedOpen;
    this.#paint(parts.titles.ended, [groups.ended.length], () => [
      icon("chevron"),
      words.plain("sections.ended", { n: groups.ended.length }),
    ]);
    for (const name of Object.keys(groups) as Section[]) {
      this.#paintCards(parts.lists[name], groups[name]);
    }
    this.#paintRest(empty);
    this.#paintDialog();
    this.#observeMore();
    this.#keepFocus(focused);
  }

  /** Gives the focus back if painting has replaced the focused element. */
  #keepFocus(focused: Act | undefined): void {
    if (!focused || this.#focusedAct === focused) return;
    const same = this.#find(focused);
    if (same) same.focus({ preventScroll: true });
    else (this.#find("notice") ?? this.#find("title"))?.focus();
  }

  /** Builds the content of a place again if any of these facts has changed. */
  #paint(place: Element, facts: unknown[], build: () => Children): void {
    const signature = JSON.stringify([
      this.#words.language,
      this.#busy,
      this.getAttribute("app-name"),
      this.getAttribute("products"),
      facts,
    ]);
    if (this.#painted.get(place) === signature) return;
    this.#painted.set(place, signature);
    place.replaceChildren(...nodes(build()));
  }

  #summary(): string {
    const all = [...this.#connections.values()];
    const path = summaryPath(all, !this.#cursor);
    return path ? this.#words.plain(path, { n: all.filter(needsAPerson).length }) : "";
  }

  #paintTop(): void {
    const { notice, question, stale } = {
      notice: this.#notice,
      question: this.#question,
      stale: this.#stale,
    };
    const about = this.#about;
    const facts = [question, notice, stale, this.#phase, about && this.#names(about)];
    this.#paint(this.#parts.top, facts, () => [
      question &&
        questionCard(this.#view, {
          question,
          providerName: (provider_id) => providerName({ provider_id }, this.#connections.values()),
          confirm: () => this.#confirm(),
          reject: () => this.#reject(),
        }),
      notice && this.#noticeBox(notice, about),
      stale && this.#staleBox(stale),
    ]);
  }

  /** The connection of the notice as it is now, also if it has left the list. */
  get #about(): Connection | null {
    const about = this.#notice?.about;
    return about ? (this.#connections.get(keyOf(about)) ?? about) : null;
  }

  #noticeBox(notice: Notice, about: Connection | null): HTMLElement {
    const words = this.#words;
    const isNew = this.#isNew(notice);
    if (isNew && notice.kind !== "bad") {
      this.#announce(words.plain(notice.title, about ? { ...this.#names(about) } : {}));
    }
    const repairs = notice.retry?.startsWith("repair:") && this.#connectionOf(notice.retry);
    return noticeBox(this.#view, {
      notice,
      about,
      isNew,
      supportUrl: this.getAttribute("support-url"),
      retryText: words.text(repairs ? "repair" : "tryAgain"),
      tryAgain: (retry) => this.#tryAgain(notice, retry),
      dismiss: () => {
        if (notice.forget) this.#forgetReturn();
        this.#notice = null;
        this.#render();
        this.#focus("title");
      },
    });
  }

  #tryAgain(notice: Notice, retry: Act): void {
    if (retry === "finish" && notice.finish) {
      this.#finish(notice.finish);
    } else if (retry === "return") {
      this.#notice = null;
      this.#question = "checking";
      this.#render();
      this.#lookAtReturn();
    } else {
      this.#connect(retry);
    }
  }

  #staleBox(failure: Failure): Children {
    const failed = this.#phase === "failed";
    const isNew = this.#isNew(failure);
    if (isNew && !failed) this.#announce(this.#words.text("result.stale"));
    return staleBox(this.#view, {
      failure,
      failed,
      updatedAt: this.#updatedAt,
      isNew,
      tryAgain: () => {
        if (failed) this.#phase = "loading";
        this.#stale = null;
        this.#render();
        if (failed && this.#api) this.#begin(this.#api);
        else this.#reload();
      },
    });
  }

  #paintCards(list: HTMLElement, connections: Connection[]): void {
    for (const [place, connection] of connections.entries()) {
      const key = keyOf(connection);
      const item = this.#cards.get(key) ?? h("li", { part: "card" });
      this.#cards.set(key, item);
      const open = this.#open.has(key);
      this.#paint(item, [connection, open, this.#names(connection).provider], () => {
        item.className = `card ${needsAPerson(connection) ? "attention bad" : ""}`;
        return card(this.#view, {
          connection,
          open,
          id: `card-${[...this.#cards.keys()].indexOf(key)}`,
          actions: {
            connect: (act) => this.#connect(act),
            toggle: () => this.#toggle(key),
            askToDisconnect: () => this.#askToDisconnect(connection),
          },
        });
      });
      if (list.children[place] !== item) list.insertBefore(item, list.children[place] ?? null);
    }
    while (list.children.length > connections.length) list.lastElementChild?.remove();
  }

  #toggle(key: Key): void {
    if (!this.#open.delete(key)) this.#open.add(key);
    this.#render();
  }

  #paintRest(empty: boolean): void {
    const reading = this.#reading !== null;
    const asked = this.#question !== null;
    const facts = [this.#phase, empty, this.#cursor, reading, this.#slow, asked];
    this.#paint(this.#parts.rest, facts, () => {
      if (this.#phase === "loading") return loading(this.#view, this.#slow);
      if (empty) {
        return !asked && emptyPage(this.#view, this.#products, () => this.#connect("connect"));
      }
      if (this.#phase !== "ready" || !this.#cursor) return null;
      return moreButton(this.#view, reading, () => this.#more());
    });
  }

  /** Reads more as soon as the button for it is nearly in sight. */
  #observeMore(): void {
    const button = this.#find("more");
    this.#observer?.disconnect();
    if (!button || this.#reading || this.#stale) return;
    this.#observer ??= new IntersectionObserver(
      (entries) => {
        if (entries.some((entry) => entry.isIntersecting)) this.#more();
      },
      { rootMargin: "300px" },
    );
    this.#observer.observe(button);
  }

  #paintDialog(): void {
    const dialog = this.#dialog;
    if (!dialog) return;
    this.#paint(this.#parts.dialog, [dialog.connection, dialog.working, dialog.failed], () =>
      dialogContent(this.#view, {
        dialog,
        hasOthers: this.#connections.size > 1,
        hasAppName: this.hasAttribute("app-name"),
        keep: () => this.#parts.dialog.close(),
        disconnect: () => this.#disconnect(),
      }),
    );
  }
}

function arrivalNotice(connection: Connection, result: Result): Notice {
  const kinds: Partial<Record<Result, Notice["kind"]>> = {
    another: "wait",
    unhealthy: "wait",
    settling: "info",
  };
  return {
    kind: kinds[result] ?? "good",
    title: `result.${result}`,
    text:
      result === "unhealthy" || result === "settling"
        ? `status.${connection.status}.reason`
        : `result.${result}Text`,
    about: connection,
  };
}

function disconnectNotice(after: Connection): Notice {
  if (after.status === "disconnected" || after.status === "disconnecting") {
    return {
      kind: "good",
      title: `result.${after.status}`,
      text: `result.${after.status}Text`,
      about: after,
    };
  }
  // Another tab has connected it again in the meantime, so it stays.
  return { kind: "info", title: "result.again", text: "result.againText", about: after };
}
