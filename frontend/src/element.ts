/** The custom element: its settings, its state, and the order of steps of each action. */

import {
  Api,
  type Connection,
  type Entity,
  type Finished,
  Refused,
  type RepairRequest,
  type StartRequest,
} from "./api.ts";
import { openChannel } from "./browser.ts";
import { type Choice, EVERYTHING, needsAll } from "./choice.ts";
import {
  departure,
  entitiesOf,
  isLiving,
  type Key,
  keyOf,
  newest,
  repairedFlag,
  resultOf,
} from "./connections.ts";
import { FinchConnectFrame } from "./finch_connect.ts";
import { differences, goneFrom, LARGEST_PAGE, MOST, PAGE_SIZE, readList } from "./list.ts";
import type { Failure, Notice } from "./notices.ts";
import * as notices from "./notices.ts";
import { MINUTE, nextPause, readsOnly, SECOND, underWay } from "./polling.ts";
import type {
  AccessToken,
  FinchConnectionsEvents,
  FinchSdk,
  GetAccessToken,
} from "./public_types.ts";
import { hashRoute, type Landing, memory, receiveReturn } from "./returning.ts";
import { namesOf, type Phase, Screen, type Shown } from "./screen.ts";
import { hasText, type OwnTexts } from "./texts.ts";
import type { DisconnectDialog } from "./views/dialog.ts";
import type { Question } from "./views/question.ts";
import type { Act } from "./views/view.ts";
import { languageFor, Wording } from "./wording.ts";

const SLOW = 5 * SECOND;
// The page sets its callback by then.
const SOURCE_WITHIN = SECOND;
// A page that becomes visible reads again only if the list is older than this.
const FRESH = 10 * SECOND;
// When the browser did not leave for Finch by then, the buttons work again.
const LEAVES_WITHIN = 20 * SECOND;
// After this time the page stops watching for a connection. The next reading still finds it.
const WAITS_FOR = 15 * MINUTE;

const MODE_HINT =
  "finch-connections: the deployment does not allow embedded mode. " +
  'Set the attribute mode="redirect", or the parameter ConnectModes to "redirect,embedded".';

const TOKEN_HINT =
  "finch-connections: the page gives no access token. Set the property getAccessToken, or answer the " +
  "event finch-access-token with detail.provide(token). React and Vue set a property only on an " +
  "element that is defined: load finch-connections.js before they render.";

// The return is read when this file is loaded. It waits until the API accepts the sign-in.
let landed = globalThis.document ? receiveReturn() : null;

// A server that imports this file has no elements.
const Base = globalThis.HTMLElement ?? (class {} as typeof HTMLElement);

/** Whether a return waits to be shown. With a completion code it waits for a click instead. */
const isUnreported = () => landed !== null && !landed.completion;

/**
 * A customer's payroll connections. The page "Embed the page" of the documents describes the
 * attributes, properties, events, custom properties and parts.
 *
 * @tagname finch-connections
 *
 * @attr {string} api-url - The address of the API.
 * @attr {string} app-name - The name of your application in the texts.
 * @attr {string} products - Finch's products to ask for, separated by spaces.
 * @attr {string} reason - Why your application reads these data.
 * @attr {string} return-to - A URL from `ReturnUrls`.
 * @attr {string} customer-name - The name that Finch Connect shows.
 * @attr {string} support-url - A link to help, `https:` or `mailto:`.
 * @attr {"redirect"} mode - Uses redirects even when Finch's SDK is loaded.
 * @attr {string} finch-connect-url - Another Finch Connect for the SDK.
 * @attr {string} lang - The language of the texts.
 * @attr {"ltr" | "rtl"} dir - The direction of the texts.
 *
 * @fires {CustomEvent<{ refresh: boolean, provide: (token: AccessToken) => void }>} finch-access-token
 * @fires {CustomEvent<{ provider_id: string, company_id: string, repaired: boolean | null }>} finch-connected
 * @fires {CustomEvent<{ provider_id: string, company_id: string, status: string, entity_id: string | null }>} finch-disconnected
 * @fires {CustomEvent<{ code: string }>} finch-failed
 * @fires {CustomEvent<object>} finch-signed-out
 *
 * @cssprop --finch-font
 * @cssprop --finch-text
 * @cssprop --finch-text-soft
 * @cssprop --finch-surface
 * @cssprop --finch-line
 * @cssprop --finch-accent
 * @cssprop --finch-on-accent
 * @cssprop --finch-good
 * @cssprop --finch-wait
 * @cssprop --finch-bad
 * @cssprop --finch-on-bad
 * @cssprop --finch-radius
 *
 * @csspart header
 * @csspart heading
 * @csspart summary
 * @csspart notice
 * @csspart question
 * @csspart controls
 * @csspart field
 * @csspart card
 * @csspart company
 * @csspart status
 * @csspart reason
 * @csspart empty
 * @csspart dialog
 * @csspart button
 * @csspart primary-button
 * @csspart danger-button
 */
export class FinchConnections extends Base {
  static observedAttributes = [
    "api-url",
    "lang",
    "dir",
    "app-name",
    "products",
    "reason",
    "support-url",
    "mode",
  ];

  // Settings
  #getAccessToken: GetAccessToken | null = null;
  #texts: OwnTexts = {};
  #finchConnect: FinchSdk | null = null;

  // The state that the page shows
  readonly #connections = new Map<Key, Connection>();
  #phase: Phase = "loading";
  #cursor: string | null = null;
  #choice = EVERYTHING;
  #limit = PAGE_SIZE;
  #updatedAt = 0;
  #notice: Notice | null = null;
  #question: Question | null = null;
  #stale: Failure | null = null;
  #slow = false;
  #busy: Act | null = null;
  #dialog: DisconnectDialog | null = null;

  // The requests and dialogs in progress
  /** The client for the present sign-in. It is closed when the customer or the API changes. */
  #api: Api | null = null;
  /** Counts changes made by this page; an older reading is dropped. */
  #epoch = 0;
  #reading: Promise<void> | null = null;
  /** How many connections were read in the API's order. */
  #read = 0;
  #readAt = 0;
  /** The person searches, filters or sorts, for which the page needs all connections. */
  #readsAll = false;
  #wantsMore = false;
  #looking = false;
  #waiting: Landing | null = null;
  #pause = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ticker: ReturnType<typeof setInterval> | undefined;
  #channel: BroadcastChannel | null = null;
  #frame: FinchConnectFrame | null = null;

  readonly #screen = new Screen(this.attachShadow({ mode: "open" }), () => this.#shown, {
    connect: (act) => this.#connect(act),
    more: () => this.#more(),
    choose: (choice) => this.#choose(choice),
    clear: () => this.#clear(),
    readAll: () => this.#readAll(),
    confirm: () => this.#confirm(),
    reject: () => this.#reject(),
    dismiss: (notice) => this.#dismiss(notice),
    tryAgain: (notice, retry) => this.#tryAgain(notice, retry),
    readAgain: () => this.#readAgain(),
    askToDisconnect: (...asked) => this.#askToDisconnect(...asked),
    disconnect: () => this.#disconnect(),
    dialogClosed: () => this.#dialogClosed(),
  });

  connectedCallback(): void {
    // Properties that the page has set before this file was loaded.
    for (const name of ["getAccessToken", "texts", "finchConnect"] as const) {
      if (!Object.hasOwn(this, name)) continue;
      const early = { [name]: this[name] };
      delete (this as Partial<this>)[name];
      Object.assign(this, early);
    }
    this.#channel = openChannel();
    this.#channel?.addEventListener("message", this.#onChangeElsewhere);
    document.addEventListener("visibilitychange", this.#onVisible);
    window.addEventListener("pageshow", this.#onShown);
    window.addEventListener("online", this.#onChangeElsewhere);
    this.#ticker = setInterval(() => this.#screen.updateTimes(), MINUTE / 2);
    this.#start();
  }

  disconnectedCallback(): void {
    this.#api?.close();
    this.#api = null;
    clearTimeout(this.#timer);
    clearInterval(this.#ticker);
    this.#channel?.close();
    this.#destroyFrame();
    this.#screen.stop();
    document.removeEventListener("visibilitychange", this.#onVisible);
    window.removeEventListener("pageshow", this.#onShown);
    window.removeEventListener("online", this.#onChangeElsewhere);
  }

  attributeChangedCallback(name: string, before: string | null, after: string | null): void {
    if (!this.#api || before === after) return;
    if (name === "api-url") this.#start();
    else this.#screen.render();
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

  /** Texts that replace those of `TEXTS`, or add the language `lang`. A missing text stays. */
  get texts(): OwnTexts {
    return this.#texts;
  }

  set texts(texts: OwnTexts | null) {
    this.#texts = texts ?? {};
    this.#screen.repaint();
    if (this.#api) this.#screen.render();
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
    const own = this.#texts;
    return new Wording(languageFor(language, own), own, this.getAttribute("app-name"));
  }

  get #products(): string[] {
    return (this.getAttribute("products") || "company directory").trim().split(/[\s,]+/);
  }

  #dispatch<Name extends keyof FinchConnectionsEvents>(
    name: Name,
    detail: FinchConnectionsEvents[Name]["detail"],
  ): void {
    const event = new CustomEvent(name, { detail, bubbles: true, composed: true });
    this.dispatchEvent(event);
  }

  // Starting, and reading the list

  async #token(refresh: boolean, { signal }: Api): Promise<Awaited<AccessToken>> {
    if (this.#getAccessToken) return this.#getAccessToken({ refresh });
    let provided: { token: AccessToken } | undefined;
    const provide = (token: AccessToken) => {
      provided = { token };
    };
    const ask = () => this.#dispatch("finch-access-token", { refresh, provide });
    ask();
    if (!provided) {
      // A framework may render this element first, and set its properties or listeners later.
      await new Promise((resolve) => setTimeout(resolve, SOURCE_WITHIN));
      if (signal.aborted) return null;
      ask();
    }
    if (!provided) console.error(TOKEN_HINT);
    return provided?.token;
  }

  #start(): void {
    clearTimeout(this.#timer);
    this.#api?.close();
    const api: Api = new Api(this.getAttribute("api-url") ?? "", {
      token: (refresh) => this.#token(refresh, api),
      signedOut: () => this.#dispatch("finch-signed-out", {}),
    });
    this.#api = api;
    // Nothing of one customer may be shown to the next.
    this.#connections.clear();
    this.#cursor = this.#notice = this.#question = this.#stale = this.#busy = this.#waiting = null;
    this.#reading = null;
    this.#read = 0;
    this.#choice = EVERYTHING;
    this.#limit = PAGE_SIZE;
    this.#phase = "loading";
    this.#looking = this.#slow = this.#readsAll = this.#wantsMore = false;
    this.#screen.reset();
    this.#frame?.close();
    this.#screen.render();
    this.#screen.announce(this.#words.text("loading"));
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
      this.#screen.render();
      this.#screen.announce(this.#words.text("slow"));
    }, SLOW);
    await this.#reload();
    clearTimeout(slow);
    if (api.closed) return;
    this.#slow = false;
    this.#screen.render();
  }

  /** Marks that a reading is in progress, at most one at a time. Returns the function that ends it. */
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
      const wanted = Math.max(this.#readsAll ? MOST : PAGE_SIZE, this.#read);
      const reading = await readList(api, wanted);
      if (api.closed || epoch !== this.#epoch) return;
      this.#cursor = reading.cursor;
      this.#absorb(reading.found);
      for (const key of goneFrom(this.#connections.keys(), reading)) this.#connections.delete(key);
      const first = this.#phase !== "ready";
      this.#phase = "ready";
      this.#stale = null;
      this.#updatedAt = this.#readAt = Date.now();
      this.#read = reading.count;
      if (first) this.#screen.announceSummary();
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
        this.#screen.render();
        // A look schedules the next one itself.
        if (!this.#looking) this.#schedule();
      }
    }
  }

  /** Shows more connections. If the page has not read that many, it reads the next page. */
  async #more(): Promise<void> {
    const api = this.#api;
    if (this.#wantsMore || !api) return;
    this.#limit += PAGE_SIZE;
    const searches = needsAll(this.#choice);
    if (!this.#cursor || (this.#read >= this.#limit && !searches)) {
      this.#screen.render();
      return;
    }
    this.#wantsMore = true;
    while (this.#reading) await this.#reading;
    if (api.closed) return;
    const endReading = this.#beginReading();
    this.#screen.render();
    try {
      while (this.#cursor) {
        const epoch = this.#epoch;
        const limit = searches ? LARGEST_PAGE : PAGE_SIZE;
        const page = await api.page({ limit, cursor: this.#cursor });
        if (api.closed) return;
        // This page has changed a connection meanwhile, so the result may be older.
        if (epoch !== this.#epoch) continue;
        this.#cursor = page.next_cursor;
        this.#read += page.connections.length;
        this.#absorb(new Map(page.connections.map((one) => [keyOf(one), one])));
        break;
      }
    } catch (error) {
      if (api.closed) return;
      const { code, reference } = Refused.from(error);
      this.#stale = { code, reference };
    } finally {
      endReading();
      if (!api.closed) {
        this.#wantsMore = false;
        this.#screen.render();
      }
    }
  }

  // Searching, filtering and sorting

  #choose(choice: Choice): void {
    this.#choice = choice;
    this.#limit = PAGE_SIZE;
    this.#screen.render();
    if (needsAll(choice)) this.#readAll();
  }

  #clear(): void {
    this.#choose({ ...EVERYTHING, order: this.#choice.order });
    this.#screen.focus("search");
  }

  /** Reads the connections that are not read yet, because a search must not miss any. */
  async #readAll(): Promise<void> {
    if (this.#readsAll || !this.#cursor) return;
    const api = this.#api;
    this.#readsAll = true;
    while (this.#reading) await this.#reading;
    if (api?.closed || !this.#cursor) return;
    const read = this.#reload();
    this.#screen.render();
    await read;
  }

  /** Takes over what the API returned, and announces each new status. */
  #absorb(found: ReadonlyMap<Key, Connection>): void {
    const { changed, withNewStatus } = differences(this.#connections, found);
    for (const one of changed) this.#connections.set(keyOf(one), one);
    const words = this.#words;
    const changes = withNewStatus.map((one) =>
      words.plain("changed", {
        name: words.plain("named", { ...namesOf(one, words, this.#connections) }),
        status: words.status(one.status),
      }),
    );
    if (changes.length) this.#screen.announce(changes.join(". "));
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
      if (!api.closed) this.#screen.render();
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
  readonly #onChangeElsewhere = (): void => {
    this.#readAt = 0;
    if (!document.hidden) this.#onVisible();
  };

  /** The browser shows this page from its memory. The button that was pressed works again. */
  readonly #onShown = (event: PageTransitionEvent): void => {
    if (!event.persisted) return;
    this.#busy = null;
    this.#screen.render();
    this.#onVisible();
  };

  // The return from Finch Connect

  async #land(api: Api): Promise<void> {
    const landing = landed;
    if (!landing) return;
    if (landing.completion) {
      this.#question = "checking";
      this.#screen.announce(this.#words.text("confirm.checking"));
      this.#screen.render();
      this.#waiting = landing;
      await this.#lookAtReturn();
      return;
    }
    landed = null;
    const { error, reference } = landing;
    if (error) this.#refuseReturn(new Refused(hasText(error) ? error : "unexpected", reference));
    else if (landing.status === "pending") this.#wait({ at: Date.now(), reference });
    else if (landing.provider_id && landing.company_id) await this.#arrived(landing, api);
  }

  /**
   * Asks the API what the completion code would connect. This confirms nothing: a person confirms
   * with a click. The page does not show texts from the address, because they may be forged.
   */
  async #lookAtReturn(): Promise<void> {
    const api = this.#api;
    const landing = this.#waiting;
    if (!api) return;
    if (!landing?.completion) return this.#lookForConnection(api);
    try {
      const finished = await api.finish({ completion: landing.completion, look: true });
      if (api.closed) return;
      this.#showOutcome(finished, landing, api);
    } catch (error) {
      if (api.closed) return;
      const { code, reference = landing.reference } = Refused.from(error);
      const refused = new Refused(code, reference);
      if (code === "session_not_found") {
        // The person may still sign in as the customer who began the session.
        this.#waiting = null;
        this.#question = null;
        this.#notice = notices.foreignReturn();
      } else if (notices.isWorthAnotherTry(refused)) {
        this.#question = null;
        this.#notice = notices.returnWaits(refused);
      } else {
        this.#forgetReturn();
        this.#refuseReturn(refused);
      }
    }
    this.#screen.render();
  }

  async #showOutcome(finished: Finished, landing: Landing, api: Api): Promise<void> {
    if (finished.status === "connected") {
      this.#forgetReturn();
      await this.#arrived(finished, api);
    } else if (finished.status === "confirm") {
      this.#waiting = null;
      this.#notice = null;
      this.#question = { ...finished };
      this.#screen.render();
      this.#screen.focus("question");
    } else {
      this.#question = null;
      const { completion = landing.completion, reference = landing.reference } = finished;
      this.#wait({ ...landing, completion, reference });
    }
    this.#screen.render();
  }

  #wait(landing: Landing): void {
    if (!this.#waiting) this.#pause = 0;
    this.#waiting = landing;
    this.#notice = notices.pendingReturn(landing.reference);
  }

  /** Looks in the list for the connection of a return that has no completion code. */
  async #lookForConnection(api: Api): Promise<void> {
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
      this.#screen.render();
      return;
    }
    this.#waiting = null;
    await this.#arrived(found, api);
    this.#screen.render();
  }

  #forgetReturn(): void {
    landed = null;
    this.#waiting = null;
    this.#question = null;
    memory.write("return", null);
  }

  /** Reports a new connection, as the API returns it now, and its news. */
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
        const at = "at" in outcome ? outcome.at : Date.now();
        landed = { at, status: "connected", provider_id, company_id };
        if (repaired !== null) landed.repaired = repaired;
      }
      return;
    }
    if (api.closed || connection.status === "disconnected") return;
    // An address may be forged. The API confirms it with a login that is as new as the return.
    if ("at" in outcome && !newest([connection], left, (left?.at ?? outcome.at) - WAITS_FOR))
      return;
    this.#connections.set(keyOf(connection), connection);
    this.#epoch += 1;
    this.#pause = 0;
    memory.write("left", null);
    this.#notice = notices.arrived(connection, resultOf(connection, repaired, left));
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
  #refuse(refused: Refused, retry: Act | null = "connect"): void {
    this.#notice = notices.failed(refused, retry);
    this.#dispatch("finch-failed", { code: refused.code });
  }

  async #confirm(): Promise<void> {
    const api = this.#api;
    const question = this.#question;
    if (this.#busy || !api || !question || question === "checking") return;
    this.#busy = "confirm";
    this.#screen.render();
    const { completion = "" } = question;
    try {
      const finished = await api.finish({ completion });
      if (api.closed) return;
      this.#busy = null;
      await this.#showOutcome(finished, { completion, at: Date.now() }, api);
      await this.#reload();
      this.#screen.focus("notice");
    } catch (error) {
      if (api.closed) return;
      const { code, reference = question.reference } = Refused.from(error);
      const refused = new Refused(code, reference);
      if (notices.isWorthAnotherTry(refused)) {
        this.#question = { ...question, failed: { code, reference } };
        this.#dispatch("finch-failed", { code });
      } else {
        this.#forgetReturn();
        this.#refuse(refused, memory.read("left")?.act);
      }
    } finally {
      if (!api.closed) {
        this.#busy = null;
        this.#screen.render();
      }
    }
  }

  #reject(): void {
    if (this.#busy) return;
    this.#forgetReturn();
    this.#notice = { kind: "info", title: "confirm.rejected", text: "confirm.rejectedText" };
    this.#screen.render();
    this.#screen.focus("notice");
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
    this.#screen.render();
    this.#screen.announce(this.#words.text("opening"));
    const sdk = this.#sdk;
    try {
      const started = await this.#startSession(api, act, sdk !== null);
      if (api.closed) return;
      const left = departure(this.#connections.values(), act, Date.now());
      memory.write("left", { ...left, route: hashRoute() });
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
      if (refused.code === "mode_not_allowed") console.error(MODE_HINT);
      this.#refuse(refused, act);
      if (refused.code === "connection_not_found") await this.#reload();
      this.#screen.render();
      this.#screen.focus("notice");
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
      ...(connection && act.startsWith("add:") && { company_id: connection.company_id }),
      ...(customerName && { customer_name: customerName }),
    });
  }

  #connectionOf(act: Act): Connection | undefined {
    return this.#connections.get(act.slice(act.indexOf(":") + 1));
  }

  #rest(act: Act): void {
    if (this.#busy !== act) return;
    this.#busy = null;
    this.#screen.render();
  }

  #newFrame(sdk: FinchSdk): FinchConnectFrame {
    return new FinchConnectFrame(sdk, this.getAttribute("finch-connect-url"), {
      ended: (act) => {
        this.#rest(act);
        this.#screen.focus(act);
      },
      succeeded: (act, code, state, reference) => this.#finish({ code, state, act, reference }),
      closed: (act, failed, reference) => {
        memory.write("left", null);
        this.#notice = notices.frameClosed(failed, act, reference);
        this.#screen.render();
        this.#screen.focus("notice");
      },
    });
  }

  #destroyFrame(): void {
    this.#frame?.destroy();
    this.#frame = null;
  }

  /** Sends Finch's code, which the SDK gave to the page. */
  async #finish(finish: NonNullable<Notice["finish"]>): Promise<void> {
    const api = this.#api;
    if (!api) return;
    this.#notice = { kind: "info", title: "finishing", spins: true };
    this.#busy = "finish";
    this.#screen.render();
    try {
      const finished = await api.finish({ code: finish.code, state: finish.state });
      if (api.closed) return;
      const landing = { completion: finished.completion, at: Date.now() };
      await this.#showOutcome(finished, landing, api);
      if (finished.completion) memory.write("return", { ...finished, at: Date.now() });
    } catch (error) {
      if (api.closed) return;
      const { code, reference = finish.reference } = Refused.from(error);
      const refused = new Refused(code, reference);
      this.#refuse(refused, finish.act);
      if (this.#notice && notices.isWorthAnotherTry(refused)) {
        // Finch's code is valid for ten minutes, and the same code always ends the same.
        this.#notice = { ...this.#notice, retry: "finish", finish };
      }
    } finally {
      if (!api.closed) {
        this.#busy = null;
        await this.#reload();
        this.#screen.focus("notice");
      }
    }
  }

  // Disconnecting

  #askToDisconnect(connection: Connection, from: Act, entity?: Entity): void {
    if (this.#busy) return;
    const staying = entitiesOf(connection).filter(isLiving);
    this.#dialog = {
      connection,
      // The last entity ends the connection.
      entity: staying.length > 1 ? (entity ?? null) : null,
      working: false,
      failed: null,
      done: false,
      from,
    };
    this.#screen.render();
    this.#screen.openDialog();
  }

  async #disconnect(): Promise<void> {
    const api = this.#api;
    const dialog = this.#dialog;
    if (!dialog || dialog.working || !api) return;
    dialog.working = true;
    dialog.failed = null;
    this.#screen.render();
    try {
      const { connection, entity } = dialog;
      const after = await (entity
        ? api.disconnectEntity(connection, entity)
        : api.disconnect(connection));
      if (api.closed) return;
      this.#epoch += 1;
      this.#connections.set(keyOf(after), after);
      this.#notice = notices.disconnected(after, entity);
      this.#pause = 0;
      dialog.done = true;
      // The person may have closed it with Escape, and opened it for another connection.
      if (this.#dialog === dialog) this.#screen.closeDialog();
      this.#dispatch("finch-disconnected", {
        provider_id: after.provider_id,
        company_id: after.company_id,
        status: after.status,
        entity_id: entity?.id ?? null,
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
        this.#screen.render();
        this.#schedule();
      }
    }
  }

  #dialogClosed(): void {
    const dialog = this.#dialog;
    this.#dialog = null;
    this.#screen.render();
    this.#screen.focus(dialog?.done ? "notice" : dialog?.from);
  }

  // Drawing

  get #shown(): Shown {
    return {
      words: this.#words,
      direction: this.dir,
      appName: this.getAttribute("app-name"),
      products: this.#products,
      reason: this.getAttribute("reason"),
      supportUrl: this.getAttribute("support-url"),
      connections: this.#connections,
      phase: this.#phase,
      slow: this.#slow,
      reading: this.#reading !== null,
      cursor: this.#cursor,
      choice: this.#choice,
      limit: this.#limit,
      updatedAt: this.#updatedAt,
      notice: this.#notice,
      question: this.#question,
      stale: this.#stale,
      waiting: this.#waiting !== null || isUnreported(),
      busy: this.#busy,
      dialog: this.#dialog,
    };
  }

  #dismiss(notice: Notice): void {
    if (notice.forget) this.#forgetReturn();
    this.#notice = null;
    this.#screen.render();
    this.#screen.focus("title");
  }

  #tryAgain(notice: Notice, retry: Act): void {
    if (retry === "finish" && notice.finish) {
      this.#finish(notice.finish);
    } else if (retry === "return") {
      this.#notice = null;
      this.#question = "checking";
      this.#screen.render();
      this.#lookAtReturn();
    } else {
      this.#connect(retry);
    }
  }

  #readAgain(): void {
    const failed = this.#phase === "failed";
    if (failed) this.#phase = "loading";
    this.#stale = null;
    this.#screen.render();
    if (failed && this.#api) this.#begin(this.#api);
    else this.#reload();
  }
}
