/** Reading the list of connections from the API, and comparing it with what the page shows. */

import type { Api, Connection, Page } from "./api.ts";
import { type Key, keyOf, NEEDS_A_PERSON } from "./connections.ts";

export const PAGE_SIZE = 25;
export const LARGEST_PAGE = 100;
/** For a search the page reads as many connections. A customer with more can read on. */
export const MOST = 1000;

/** The result of a single reading of the list. */
export interface Reading {
  found: Map<Key, Connection>;
  /** How many connections were read in the API's order, and the last of them. */
  count: number;
  last: Connection | null;
  cursor: string | null;
}

/** Reads all connections that need a person, and of the others as many as are wanted. */
export async function readList(api: Pick<Api, "page">, wanted: number): Promise<Reading> {
  const reading: Reading = { found: new Map(), count: 0, last: null, cursor: null };
  const take = (page: Page) => {
    for (const one of page.connections) reading.found.set(keyOf(one), one);
    reading.cursor = page.next_cursor;
  };
  const status = NEEDS_A_PERSON.join(",");
  do {
    take(await api.page({ status, limit: LARGEST_PAGE, cursor: reading.cursor }));
  } while (reading.cursor);
  do {
    const limit = Math.min(LARGEST_PAGE, wanted - reading.count);
    const page = await api.page({ limit, cursor: reading.cursor });
    take(page);
    reading.count += page.connections.length;
    reading.last = page.connections.at(-1) ?? reading.last;
  } while (reading.cursor && reading.count < wanted);
  return reading;
}

/** The keys that are shown and do not exist any more. Keys after the last page may still exist. */
export function goneFrom(shown: Iterable<Key>, { found, cursor, last }: Reading): Key[] {
  const isBeyond = (key: Key) => Boolean(cursor && last && key > keyOf(last));
  return [...shown].filter((key) => !found.has(key) && !isBeyond(key));
}

/** The connections that differ from those shown, and those of them with another status. */
export function differences(
  shown: ReadonlyMap<Key, Connection>,
  found: ReadonlyMap<Key, Connection>,
): { changed: Connection[]; withNewStatus: Connection[] } {
  const changed = [...found]
    .filter(([key, one]) => JSON.stringify(shown.get(key)) !== JSON.stringify(one))
    .map(([, one]) => one);
  const withNewStatus = changed.filter((one) => {
    const before = shown.get(keyOf(one));
    return before && before.status !== one.status;
  });
  return { changed, withNewStatus };
}
