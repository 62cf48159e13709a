/** Rules for reading again: when, and what. */

import type { Connection } from "./api.ts";
import { entitiesOf } from "./connections.ts";

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;

interface Pace {
  first: number;
  longest: number;
  factor: number;
}

// A look that finds nothing new makes the next pause longer.
const WATCHING: Pace = { first: 2 * SECOND, longest: 30 * SECOND, factor: 1.6 };
const RESTING: Pace = { first: MINUTE, longest: 5 * MINUTE, factor: 1.5 };

// The API fetches the names of a new connection a minute or two after it was made.
const NAMES_WITHIN = 5 * MINUTE;
// The page reads all connections at least this often while it watches a few.
const ALL_AFTER = MINUTE;
// More connections than this are read as a list.
const FEW = 3;

/** The pause before the next look, in milliseconds; `pause` is the previous pause, or 0 after a change. */
export function nextPause(pause: number, watching: boolean): number {
  const pace = watching ? WATCHING : RESTING;
  return Math.min(pace.longest, Math.max(pace.first, pause * pace.factor));
}

/** The connections that will change soon: they are being disconnected, or new and without names. */
export function underWay(connections: Iterable<Connection>, now: number): Connection[] {
  const isNew = (one: Connection) => now - new Date(one.created_at).getTime() < NAMES_WITHIN;
  return [...connections].filter(
    (one) =>
      one.status === "disconnecting" ||
      entitiesOf(one).some((entity) => entity.status === "disconnecting") ||
      (one.status !== "disconnected" && !one.provider_name && isNew(one)),
  );
}

/** Whether reading these few connections is enough; `sinceAll` is the age of the whole list. */
export function readsOnly(few: Connection[], sinceAll: number): boolean {
  return few.length > 0 && few.length <= FEW && sinceAll < ALL_AFTER;
}
