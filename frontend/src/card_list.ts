/** The cards of the list. Each is made once, so that it keeps the focus, and stands with its company. */

import type { Connection, Entity } from "./api.ts";
import { byCompany } from "./choice.ts";
import { type Key, keyOf, needsAPerson } from "./connections.ts";
import { type Children, h } from "./dom.ts";
import { card } from "./views/card.ts";
import type { Section } from "./views/skeleton.ts";
import type { Act, View } from "./views/view.ts";

/** Builds the content of a place again if any of these facts has changed. */
export type Paint = (place: Element, facts: unknown[], build: () => Children) => void;

interface CardActions {
  connect(act: Act): void;
  askToDisconnect(connection: Connection, act: Act, entity?: Entity): void;
  /** The person has opened or closed the details of a card. */
  toggled(): void;
}

/** How to draw cards at one moment. */
interface Drawing {
  view: View;
  paint: Paint;
  isCheckedLately: (connection: Connection) => boolean;
}

export class CardList {
  readonly #actions: CardActions;
  readonly #cards = new Map<Key, HTMLLIElement>();
  readonly #companies = new Map<string, HTMLLIElement>();
  readonly #open = new Set<Key>();

  constructor(actions: CardActions) {
    this.#actions = actions;
  }

  /** Forgets what the person opened. */
  reset(): void {
    this.#cards.clear();
    this.#companies.clear();
    this.#open.clear();
  }

  has(connection: Connection): boolean {
    return this.#cards.has(keyOf(connection));
  }

  draw(list: Element, section: Section, connections: Connection[], drawing: Drawing): void {
    const items = byCompany(connections).map((company) => {
      const inCompany = company.length > 1;
      const cards = company.map((one) => this.#card(one, inCompany, drawing));
      return inCompany ? this.#company(section, company, cards, drawing.view) : cards;
    });
    arrange(list, items.flat());
  }

  #card(connection: Connection, inCompany: boolean, drawing: Drawing): HTMLLIElement {
    const { view, paint } = drawing;
    const key = keyOf(connection);
    const item = this.#cards.get(key) ?? h("li", { part: "card" });
    this.#cards.set(key, item);
    const open = this.#open.has(key);
    const isCheckedLately = drawing.isCheckedLately(connection);
    const facts = [connection, open, view.names(connection).provider, inCompany, isCheckedLately];
    paint(item, facts, () => {
      item.className = `card ${needsAPerson(connection) ? "attention bad" : ""}`;
      return card(view, {
        connection,
        open,
        inCompany,
        isCheckedLately,
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
    section: Section,
    connections: Connection[],
    cards: HTMLLIElement[],
    { words }: View,
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
    this.#actions.toggled();
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
