/** The return from Finch Connect: what the address says, and what this tab remembers. */

import type { Finished } from "./api.ts";
import { onAddressChange, optional, replaceAddress } from "./browser.ts";
import type { Departure } from "./connections.ts";

/** The facts about an attempt in an address. They may be forged, so the page asks the API. */
export interface Landing {
  at: number;
  status?: string | undefined;
  error?: string | undefined;
  completion?: string | null | undefined;
  provider_id?: string | undefined;
  company_id?: string | undefined;
  /** Text in an address, a boolean in a response. */
  repaired?: string | boolean | undefined;
  /** Names the attempt to support. */
  reference?: string | undefined;
}

// The API discards an unconfirmed attempt after a day.
const CONFIRM_WITHIN = 24 * 60 * 60 * 1000;

const OUTCOMES: readonly string[] = [
  "connected",
  "confirm",
  "pending",
] satisfies Finished["status"][];

// A router that keeps its route in the fragment puts a slash before what it finds there.
const ROUTE = /^#!?\/?/;

const DETAILS = ["provider_id", "company_id", "repaired"] as const;

// An address may be forged, so no other text is shown as a reference.
const REFERENCE = /^[0-9a-f]{12}$/;

/**
 * Reads a return from an address: the parameters that the API adds after `finch=return`. Those
 * before it are the page's own. `rest` is the address without the return, or null if the address
 * has nothing of ours.
 */
export function readReturn(
  address: string,
  now: number,
): { landing: Landing | null; rest: string | null } {
  const url = new URL(address);
  const completion = new URLSearchParams(url.hash.replace(ROUTE, "")).get("completion");
  const pairs = [...url.searchParams];
  const mark = pairs.findLastIndex(([name, value]) => name === "finch" && value === "return");
  const ours = new Map(mark < 0 ? [] : pairs.slice(mark + 1));
  const status = ours.get("status");
  const error = ours.get("error");
  const isOurs = Boolean(error) || (status !== undefined && OUTCOMES.includes(status));
  url.hash = "";
  if (!isOurs) return { landing: null, rest: completion ? url.href : null };
  const landing: Landing = { error, status, completion, at: now };
  for (const name of DETAILS) landing[name] = ours.get(name);
  landing.reference = REFERENCE.exec(ours.get("reference") ?? "")?.[0];
  url.search = String(new URLSearchParams(pairs.slice(0, mark)));
  return { landing, rest: url.href };
}

/** The memory of this tab: a return to confirm, and the departure to Finch. Without storage a reload forgets them. */
export const memory = {
  read<Name extends keyof Remembered>(name: Name): Remembered[Name] | null {
    return optional(() =>
      JSON.parse(sessionStorage.getItem(`finch-connections:${name}`) ?? "null"),
    );
  },

  write<Name extends keyof Remembered>(name: Name, value: Remembered[Name] | null): void {
    optional(() => {
      if (value) sessionStorage.setItem(`finch-connections:${name}`, JSON.stringify(value));
      else sessionStorage.removeItem(`finch-connections:${name}`);
    });
  },
};

interface Remembered {
  return: Landing;
  left: Departure;
}

/** The route in the fragment, if a router keeps it there: `#/settings`. */
export function hashRoute(): string | undefined {
  return location.hash.match(/^#!?\/.*/)?.[0];
}

// The script finch-return.js leaves the return here. The element may be loaded much later.
const early = globalThis as { finchReturn?: Landing | null };

/** Takes the return before a router reads the address. */
export function takeEarly(): void {
  early.finchReturn = takeReturn();
}

/**
 * The return that brought the browser to this page. It stays in this tab until the person decides,
 * also after a sign-in or a reload.
 */
export function receiveReturn(): Landing | null {
  const landing = early.finchReturn ?? takeReturn();
  delete early.finchReturn;
  if (landing) return landing;
  const kept = memory.read("return");
  return kept && kept.at > Date.now() - CONFIRM_WITHIN ? kept : null;
}

/** Takes the return out of the address at once: a completion code must stay in no history. */
function takeReturn(): Landing | null {
  const routed = hashRoute();
  const { landing, rest } = readReturn(location.href, Date.now());
  if (landing?.completion) memory.write("return", landing);
  if (rest === null) return null;
  // The page had this route when the browser left it.
  const route = memory.read("left")?.route ?? "";
  replaceAddress(rest + route);
  // A router has already read the fragment as its route. It reads the address again.
  if (routed) dispatchEvent(new PopStateEvent("popstate", { state: history.state }));
  // Other routers write the first address back with the next navigation.
  onAddressChange(() => {
    const { rest } = readReturn(location.href, Date.now());
    if (rest !== null) replaceAddress(rest + (hashRoute() ? route : ""));
  });
  return landing;
}
