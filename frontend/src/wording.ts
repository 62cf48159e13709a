/** Finds texts in the person's language and fills them in; formats numbers, dates and lists. */

import type { Connection, Entity } from "./api.ts";
import { formats, optional } from "./browser.ts";
import { entitiesOf } from "./connections.ts";
import { h } from "./dom.ts";
import { MINUTE } from "./polling.ts";
import { type OwnTexts, TEXTS, type TextPath } from "./texts.ts";

/** The values that fill a text. `n` also selects the plural form. */
export type Values = Record<string, string | number | null | undefined> & { n?: number };

/** The names of a connection's provider and company. */
export interface Names {
  provider: string;
  company: string;
}

// These values come from this page. Others may be written from right to left, so they are isolated.
const OUR_VALUES = ["action", "date", "n", "some", "status", "when"];

/** The language to use: the requested one where it has texts, the application's or ours, else English. */
export function languageFor(requested: string, ownTexts: OwnTexts = {}): string {
  const language = canonical(requested);
  const has = language && (Object.hasOwn(TEXTS, base(language)) || isFor(ownTexts, language));
  return has ? language : "en";
}

function canonical(language: string): string | null {
  return optional(() => Intl.getCanonicalLocales(language)[0] ?? null);
}

function base(language: string): string {
  return language.split("-")[0] ?? language;
}

/** Whether these texts name this language, in any of its regions. */
function isFor({ lang = "" }: OwnTexts, language: string): boolean {
  return base(canonical(lang) ?? "") === base(language);
}

export class Wording {
  readonly language: string;
  readonly direction: "ltr" | "rtl";
  readonly #tables: object[];
  readonly #appName: string | null;

  /** The application's own texts for this language come first, then ours, then English. */
  constructor(language: string, ownTexts: OwnTexts, appName: string | null) {
    this.language = language;
    this.direction = formats.direction(language);
    const own = !ownTexts.lang || isFor(ownTexts, language) ? [ownTexts] : [];
    const ours = Object.entries(TEXTS).find(([name]) => name === base(language));
    this.#tables = [...own, ...(ours ? [ours[1]] : []), TEXTS.en];
    this.#appName = appName;
  }

  text(path: TextPath, n?: number): string {
    return this.find(path, n) ?? "";
  }

  /** A text that may be missing, because its path has a word that this page does not know. */
  find(path: string, n = Number.NaN): string | null {
    for (const table of this.#tables) {
      const found = lookUp(table, path);
      if (found == null) continue;
      const plural = formats.plural(this.language, n);
      const text =
        typeof found === "object" ? (lookUp(found, plural) ?? lookUp(found, "other")) : found;
      return typeof text === "string" ? text : null;
    }
    return null;
  }

  /** A text as nodes: each value is isolated from the text around it. */
  nodes(path: TextPath, values: Values = {}): (Node | string)[] {
    const fill = (name: string) =>
      name === "name" && values.name === undefined
        ? this.nodes("named", values)
        : h("bdi", {}, this.#value(name, values));
    return this.text(path, values.n)
      .split(/\{(\w+)\}/)
      .flatMap((part, place) => (place % 2 ? fill(part) : part))
      .filter((part) => part !== "");
  }

  /** The same text as one string, for attributes and for reading aloud. */
  plain(path: TextPath, values: Values = {}): string {
    return this.text(path, values.n).replace(/\{(\w+)\}/g, (_, name: string) => {
      const value = this.#value(name, values);
      return OUR_VALUES.includes(name) ? value : `\u2068${value}\u2069`;
    });
  }

  #value(name: string, values: Values): string {
    if (name === "app") return this.#appName || this.text("theApplication");
    if (name === "name" && values.name === undefined) return this.plain("named", values);
    if (name === "n" && values.n !== undefined) return formats.number(this.language, values.n);
    return Object.hasOwn(values, name) ? String(values[name] ?? "") : "";
  }

  date(moment: string): string {
    return formats.date(this.language, new Date(moment));
  }

  moment(moment: string): string {
    return formats.moment(this.language, new Date(moment));
  }

  /** How long ago that was. A clock that differs by seconds never makes it the future. */
  ago(moment: string, now: number): string {
    const minutes = Math.min(0, Math.round((new Date(moment).getTime() - now) / MINUTE));
    const ago = (n: number, unit: "minute" | "hour" | "day") =>
      formats.ago(this.language, Math.round(n), unit) ?? this.date(moment);
    if (!minutes) return this.text("justNow");
    if (minutes > -60) return ago(minutes, "minute");
    if (minutes > -60 * 24) return ago(minutes / 60, "hour");
    return ago(minutes / 60 / 24, "day");
  }

  /** A text with a relative time, which the element updates while the page is open. */
  time(path: TextPath, moment: string): HTMLElement {
    const time = h("time", { datetime: moment, "data-path": path });
    this.updateTime(time);
    return time;
  }

  updateTime(time: HTMLTimeElement): void {
    const when = this.ago(time.dateTime, Date.now());
    time.textContent = this.plain(time.dataset.path as TextPath, { when });
  }

  list(items: readonly string[]): string {
    return formats.list(this.language, items);
  }

  products(products: readonly string[]): string {
    return this.list(products.map((one) => this.find(`product.${one}`) || one));
  }

  status(status: string): string {
    return this.find(`status.${status}.label`) || this.text("otherStatus.label");
  }

  company(connection: Connection): string {
    if (connection.company_name) return connection.company_name;
    const entities = entitiesOf(connection);
    const names = new Set(entities.map((entity) => entity.name ?? entity.id));
    const [first, ...others] = [...names].sort();
    if (!first || !entities.some((entity) => entity.name)) {
      return this.#name("unknownCompany", { id: connection.company_id.slice(0, 8) });
    }
    return others.length ? this.#name("andMore", { name: first, n: others.length }) : first;
  }

  entity(entity: Entity): string {
    return entity.name ?? this.#name("card.entity", { id: entity.id.slice(0, 8) });
  }

  /** A name made of our words. It has the direction of our words. */
  #name(path: TextPath, values: Values): string {
    // In a `bdi` the first letter with a direction decides.
    return (this.direction === "rtl" ? "\u200f" : "") + this.plain(path, values);
  }
}

function lookUp(table: unknown, path: string): unknown {
  return path.split(".").reduce<unknown>((inner, key) => {
    const isTable = typeof inner === "object" && inner !== null && Object.hasOwn(inner, key);
    return isTable ? (inner as Record<string, unknown>)[key] : undefined;
  }, table);
}
