/** The texts that people read, in each language. */

import { de } from "./texts/de.ts";
import { en } from "./texts/en.ts";
import { es } from "./texts/es.ts";
import { fr } from "./texts/fr.ts";
import type { Plural, Texts } from "./texts/types.ts";

type Replaced<Table> = {
  [Key in keyof Table]?: Table[Key] extends string | Plural ? Table[Key] : Replaced<Table[Key]>;
};

type Paths<Table> = {
  [Key in keyof Table & string]: Table[Key] extends string | Plural
    ? Key
    : `${Key}.${Paths<Table[Key]>}`;
}[keyof Table & string];

/**
 * Texts of the application, which replace some of ours. With `lang` they count only where the element
 * has that language, which `TEXTS` need not have.
 */
export type OwnTexts = Replaced<Texts> & { lang?: string };

/** The place of a text in the table, for example `card.logins`. */
export type TextPath = Paths<typeof en>;

/** The codes of failures that have a text. */
export type FailureCode = keyof typeof en.failure;

/**
 * The tables. To add a language, copy `texts/en.ts`, translate the texts in quotes, keep the names
 * in braces, and add the table here.
 */
export const TEXTS = { en, de, es, fr };

export function hasText(code: string): code is FailureCode {
  return Object.hasOwn(en.failure, code);
}

/** The place of the text for a failure. An unknown code has a general text. */
export function failurePath(code: string): TextPath {
  return `failure.${hasText(code) ? code : "unexpected"}`;
}
