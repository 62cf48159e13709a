/** Rules about connections that need no browser: keys, groups, names, and what a return brought. */

import type { CompanyKey, Connection, ConnectionStatus, Entity, Finished, Login } from "./api.ts";
import type { TextPath } from "./texts.ts";

/** The key of a connection in this page; keys sort as the API sorts the connections. */
export type Key = string;

/** The statuses that only a sign-in of a person can end. */
export const NEEDS_A_PERSON: readonly ConnectionStatus[] = [
  "reauth",
  "error_permissions",
  "error_no_account_setup",
  "unknown",
];

// The names of providers until the API has fetched them.
const PROVIDERS = new Map([
  ["adp_run", "RUN Powered by ADP"],
  ["bamboo_hr", "BambooHR"],
  ["gusto", "Gusto"],
  ["justworks", "Justworks"],
  ["paychex_flex", "Paychex Flex"],
  ["rippling", "Rippling"],
  ["trinet", "TriNet"],
]);

export type Tone = "good" | "wait" | "bad" | "over";

const TONES = new Map<ConnectionStatus, Tone>([
  ["connected", "good"],
  ["disconnected", "over"],
  ["disconnecting", "over"],
  ["pending", "wait"],
  ["processing", "wait"],
]);

export function keyOf({ provider_id, company_id }: CompanyKey): Key {
  // The table's sort key, because pages are compared by the order of their keys.
  return `${provider_id.replaceAll("~", "~7E").replaceAll("#", "~23")}#${company_id}`;
}

export function needsAPerson({ status }: { status: ConnectionStatus }): boolean {
  return NEEDS_A_PERSON.includes(status);
}

/** The colour of a status. A status that this page does not know has a neutral colour. */
export function toneOf(status: ConnectionStatus): Tone {
  return TONES.get(status) ?? (needsAPerson({ status }) ? "bad" : "over");
}

/** The connections of each section of the page, in their order. */
export function grouped(
  connections: readonly Connection[],
  attentionFirst: boolean,
): Record<"attention" | "active" | "ended", Connection[]> {
  const isApart = (one: Connection) => attentionFirst && needsAPerson(one);
  return {
    attention: connections.filter(isApart),
    active: connections.filter((one) => !isApart(one) && one.status !== "disconnected"),
    ended: connections.filter((one) => one.status === "disconnected"),
  };
}

// A check is due every day, and may be some minutes late.
const LATELY = 26 * 60 * 60 * 1000;

/** Whether the text about the whole list covers the last check: it is not old, and needs no person. */
export function isCheckedLately(one: Connection, now: number): boolean {
  return !needsAPerson(one) && now - new Date(one.checked_at ?? 0).getTime() < LATELY;
}

/** The text about the checks of the list, which may not be read to its end; null if each card has its own. */
export function checksPath(
  connections: Connection[],
  complete: boolean,
  now: number,
): TextPath | null {
  const living = connections.filter((one) => one.status !== "disconnected");
  const lately = living.filter((one) => isCheckedLately(one, now));
  if (lately.length < 2) return null;
  const all = complete && lately.length === living.length;
  return all ? "list.checked" : "list.othersChecked";
}

/** The text that sums up the list; null where nothing holds for all of it. */
export function summaryPath(connections: Connection[], complete: boolean): TextPath | null {
  const some = (...statuses: ConnectionStatus[]) =>
    connections.some((one) => statuses.includes(one.status));
  if (connections.some(needsAPerson)) return "summary.attention";
  if (some("pending", "processing")) return "summary.settling";
  if (some("connected")) return "summary.good";
  const none = complete && connections.every((one) => one.status === "disconnected");
  return none ? "summary.none" : null;
}

/** The entities of all logins, each of them once. */
export function entitiesOf(connection: Connection): Entity[] {
  const entities = connection.logins.flatMap((login) => login.entities);
  return [...new Map(entities.map((entity) => [entity.id, entity])).values()];
}

/** Whether a customer can disconnect an entity: it has not ended, and is not about to. */
export function isLiving({ status }: Entity): boolean {
  return status !== "disconnected" && status !== "disconnecting";
}

/** Finch's own status of a login, where our statuses do not have it. */
export function statusDetail(connection: Connection): string | null {
  return connection.logins.find((login) => login.status_detail)?.status_detail ?? null;
}

/** The name of a provider, taken from any connection that already has it. */
export function providerName(
  one: { provider_id: string; provider_name?: string | null },
  connections: Iterable<Connection>,
): string {
  const elsewhere = () =>
    [...connections].find((other) => other.provider_id === one.provider_id)?.provider_name;
  return one.provider_name ?? elsewhere() ?? PROVIDERS.get(one.provider_id) ?? one.provider_id;
}

export function byName(one: Entity, other: Entity): number {
  return (one.name ?? one.id) < (other.name ?? other.id) ? -1 : 1;
}

/** The first letters of two words, or the first two letters of one word. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/);
  const [first = "", second = ""] = words[1] ? words.map(([letter]) => letter) : (words[0] ?? "");
  return first.toUpperCase() + second;
}

/** A hue in degrees that is always the same for the same text. */
export function hueOf(text: string): number {
  let sum = 0;
  for (const letter of text) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 360;
  return sum;
}

/** The facts that the page keeps in this tab while the user is at Finch. */
export interface Departure {
  at: number;
  /** The button that the person pressed. */
  act: string;
  known: Key[];
  logins: Record<Key, number>;
  /** The route of a router that keeps it in the fragment. */
  route?: string | undefined;
}

/** Notes which connections and logins exist before the person leaves for Finch. */
export function departure(connections: Iterable<Connection>, act: string, now: number): Departure {
  const existing = [...connections].filter((one) => one.status !== "disconnected");
  return {
    at: now,
    act,
    known: existing.map(keyOf),
    logins: Object.fromEntries(existing.map((one) => [keyOf(one), one.logins.length])),
  };
}

/** The newest connection that is new, or has a new login, since the departure or that time. */
export function newest(
  connections: Iterable<Connection>,
  left: Departure | null,
  since: number,
): Connection | undefined {
  const isNew = (one: Connection) =>
    left && !left.known.includes(keyOf(one)) && one.status !== "disconnected";
  const at = (one: Connection) => Math.max(0, ...one.logins.map(connectedAt));
  return [...connections]
    .filter((one) => isNew(one) || at(one) > since)
    .sort((first, second) => at(second) - at(first))[0];
}

function connectedAt(login: Login): number {
  return new Date(login.connected_at).getTime();
}

/** How an attempt to connect ended, as the notice names it. */
export type Result =
  | "connected"
  | "another"
  | "unhealthy"
  | "repaired"
  | "login"
  | "again"
  | "settling";

/** The news about a connection after a return; `repaired` is null if it was no repair. */
export function resultOf(
  connection: Connection,
  repaired: boolean | null,
  left: Departure | null,
): Result {
  const key = keyOf(connection);
  const known = left?.known.includes(key);
  if (repaired === false) return "another";
  if (needsAPerson(connection)) return "unhealthy";
  if (repaired) return "repaired";
  if (known && connection.logins.length > (left?.logins[key] ?? 0)) return "login";
  if (known) return "again";
  return connection.status === "pending" ? "settling" : "connected";
}

/** The same flag from the API's JSON, and from an address, where it is text. */
export function repairedFlag(repaired: Finished["repaired"] | string | null): boolean | null {
  return repaired === undefined || repaired === null ? null : String(repaired) === "true";
}
