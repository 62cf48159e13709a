/** The types of a table of texts. */

import type { en } from "./en.ts";

/** A text that depends on a number. The keys are the plural categories of the language. */
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
