/** Asks for each feature that a browser may not have or may refuse, for example where cookies are blocked. */

/** The value, or null if the browser does not have the feature or refuses it. */
export function optional<Value>(use: () => Value): Value | null {
  try {
    return use() ?? null;
  } catch {
    return null;
  }
}

/** Reports changes to the other tabs. Without it they read again later. */
export function openChannel(): BroadcastChannel | null {
  return optional(() => new BroadcastChannel("finch-connections"));
}

/** Watches the end of the list. Without it the person presses the button. */
export function newObserver(onSight: () => void): IntersectionObserver | null {
  const seen = (entries: IntersectionObserverEntry[]) =>
    entries.some((entry) => entry.isIntersecting) && onSight();
  return optional(() => new IntersectionObserver(seen, { rootMargin: "300px" }));
}

/** Puts this address in the place of the present one. A sandboxed frame may refuse it. */
export function replaceAddress(address: string): void {
  optional(() => history.replaceState(history.state, "", address));
}

/** Calls back when this document's address or history entry has changed. */
export function onAddressChange(changed: () => void): void {
  const page = globalThis as { navigation?: EventTarget };
  optional(() => page.navigation?.addEventListener("currententrychange", changed));
}

// Not every browser knows the direction of a language, but every browser knows its script.
const RIGHT_TO_LEFT = ["Adlm", "Arab", "Aran", "Hebr", "Nkoo", "Rohg", "Syrc", "Thaa"];

/** Formats for a language. Without a part of `Intl` they are plain. */
export const formats = {
  plural: (language: string, n: number) =>
    optional(() => new Intl.PluralRules(language).select(n)) ?? (n === 1 ? "one" : "other"),
  number: (language: string, n: number) =>
    optional(() => new Intl.NumberFormat(language).format(n)) ?? String(n),
  date: (language: string, date: Date) =>
    optional(() => new Intl.DateTimeFormat(language, { dateStyle: "medium" }).format(date)) ??
    date.toISOString().slice(0, 10),
  moment: (language: string, date: Date) =>
    optional(() =>
      new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(date),
    ) ?? date.toISOString(),
  list: (language: string, items: readonly string[]) =>
    optional(() => new Intl.ListFormat(language).format(items)) ?? items.join(", "),
  /** A script that is written from right to left also sets the direction of the layout. */
  direction: (language: string) =>
    RIGHT_TO_LEFT.includes(optional(() => new Intl.Locale(language).maximize().script) ?? "")
      ? "rtl"
      : "ltr",
  /** Null without `Intl.RelativeTimeFormat`. */
  ago: (language: string, n: number, unit: "minute" | "hour" | "day") =>
    optional(() => new Intl.RelativeTimeFormat(language, { numeric: "auto" }).format(n, unit)),
};
