/** The person's choice of connections: what the list shows of them, in which order, and how grouped. */

import type { Connection, ConnectionStatus } from "./api.ts";
import { keyOf, NEEDS_A_PERSON, needsAPerson } from "./connections.ts";
import type { Names, Wording } from "./wording.ts";

export const ORDERS = ["attention", "name", "changed"] as const;
export type Order = (typeof ORDERS)[number];

/** The value of the status filter for all statuses that need a person. */
export const ATTENTION = "attention";

export interface Choice {
  text: string;
  /** A status, `ATTENTION`, or empty for all. */
  status: string;
  /** The id of a provider, or empty for all. */
  provider: string;
  order: Order;
}

export const EVERYTHING: Choice = { text: "", status: "", provider: "", order: "attention" };

// Fewer connections fit on a screen or two.
const MANY = 8;

type NamesOf = (connection: Connection) => Names;

/** Whether there are enough connections for search, filters and sorting. */
export function areMany(connections: ReadonlyMap<string, Connection>, complete: boolean): boolean {
  return connections.size > MANY || !complete;
}

/** Whether the choice leaves connections out. */
export function narrows({ text, status, provider }: Choice): boolean {
  return Boolean(text.trim() || status || provider);
}

/** Whether the choice can be shown only if all connections are known. */
export function needsAll(choice: Choice): boolean {
  return narrows(choice) || choice.order !== "attention";
}

/** Lower case without accents, so that `muller` finds `Müller`. */
function plain(text: string): string {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}

/** All that the search finds a connection by: its names and ids, and those of its entities and logins. */
function searchable(one: Connection, { company, provider }: Names): string {
  const entities = one.logins.flatMap((login) => login.entities);
  return plain(
    [
      company,
      provider,
      one.provider_id,
      one.company_id,
      ...entities.flatMap(({ id, name }) => [id, name]),
      ...one.logins.flatMap(({ account_id, connection_id }) => [account_id, connection_id]),
    ].join("\n"),
  );
}

/** The connections of the choice, in its order. */
export function chosen(
  connections: Iterable<Connection>,
  choice: Choice,
  words: Wording,
  namesOf: NamesOf,
): Connection[] {
  const wanted = plain(choice.text).split(/\s+/).filter(Boolean);
  const label = choice.status && words.status(choice.status);
  const found = [...connections].filter(
    (one) =>
      (!choice.provider || one.provider_id === choice.provider) &&
      (choice.status === ATTENTION
        ? needsAPerson(one)
        : !label || words.status(one.status) === label) &&
      (!wanted.length || wanted.every((word) => searchable(one, namesOf(one)).includes(word))),
  );
  return inOrder(found, choice.order, words.language, namesOf);
}

function inOrder(
  connections: Connection[],
  order: Order,
  language: string,
  namesOf: NamesOf,
): Connection[] {
  const byKey = (a: Connection, b: Connection) => (keyOf(a) < keyOf(b) ? -1 : 1);
  if (order === "attention") return connections.sort(byKey);
  if (order === "changed") {
    const at = (one: Connection) => new Date(one.updated_at).getTime();
    return connections.sort((a, b) => at(b) - at(a) || byKey(a, b));
  }
  const names = new Map(connections.map((one) => [one, namesOf(one)]));
  const compare = (field: keyof Names, a: Connection, b: Connection) =>
    (names.get(a)?.[field] ?? "").localeCompare(names.get(b)?.[field] ?? "", language, {
      numeric: true,
      sensitivity: "base",
    });
  return connections.sort(
    (a, b) => compare("company", a, b) || compare("provider", a, b) || byKey(a, b),
  );
}

/** The connections of each company together, in the place of its first. */
export function byCompany(connections: Iterable<Connection>): Connection[][] {
  const companies = new Map<string, Connection[]>();
  for (const one of connections) {
    const others = companies.get(one.company_id);
    if (others) others.push(one);
    else companies.set(one.company_id, [one]);
  }
  return [...companies.values()];
}

export interface Option {
  value: string;
  label: string;
}

// The order of the filter: what needs a person comes first.
const STATUSES: readonly string[] = [
  ...NEEDS_A_PERSON,
  ...([
    "pending",
    "processing",
    "connected",
    "disconnecting",
    "disconnected",
  ] satisfies ConnectionStatus[]),
];

/** The statuses to choose from: those that exist, each label once. Another status comes last. */
export function statusOptions(
  connections: Iterable<Connection>,
  { status }: Choice,
  words: Wording,
): Option[] {
  const existing = new Set([...connections].map((one): string => one.status));
  if (status && status !== ATTENTION) existing.add(status);
  const place = (one: string) => STATUSES.indexOf(one) + 1 || STATUSES.length + 1;
  const options = new Map<string, Option>();
  for (const one of [...existing].sort((a, b) => place(a) - place(b))) {
    const label = words.status(one);
    // The chosen one stands for all statuses with its label.
    if (!options.has(label) || one === status) options.set(label, { value: one, label });
  }
  return [...options.values()];
}

/** The providers to choose from, by name. */
export function providerOptions(
  connections: Iterable<Connection>,
  { provider }: Choice,
  words: Wording,
  namesOf: NamesOf,
): Option[] {
  const names = new Map<string, string>();
  if (provider) names.set(provider, provider);
  for (const one of connections) names.set(one.provider_id, namesOf(one).provider);
  return [...names]
    .map(([value, label]) => ({ value, label }))
    .sort((a, b) => a.label.localeCompare(b.label, words.language, { sensitivity: "base" }));
}
