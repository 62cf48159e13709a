/** The types of a table of texts. */

import type { en } from "./en.ts";

/**
 * A text that depends on a number. The keys are the plural categories of the language. A category that
 * is missing has the text of `other`: `many` in Spanish and French begins with a million.
 */
export type Plural = { other: string } & Partial<Record<Intl.LDMLPluralRule, string>>;

type Translated<Table> = {
  [Key in keyof Table]: Table[Key] extends string
    ? string
    : Table[Key] extends Plural
      ? Plural
      : Translated<Table[Key]>;
};

/** All texts of one language. */
export type Texts = Translated<typeof en>;
