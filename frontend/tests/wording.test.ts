import assert from "node:assert/strict";
import { test } from "node:test";
import { type OwnTexts, TEXTS } from "../src/texts.ts";
import { languageFor, Wording } from "../src/wording.ts";
import { connection, entity, login, NOW } from "./examples.ts";

const english = new Wording("en-US", {}, "Acme");
const german = new Wording("de-AT", {}, "Acme");

const LANGUAGES = [
  ["DE", "de"],
  ["de-at", "de-AT"],
  ["en-GB", "en-GB"],
  ["es-MX", "es-MX"],
  ["fr-CA", "fr-CA"],
  ["it", "en"],
  ["not a language", "en"],
  ["c_UTF-8", "en"],
  ["", "en"],
] as const;

for (const [requested, language] of LANGUAGES) {
  test(`the language for "${requested}" is ${language}`, () => {
    assert.equal(languageFor(requested), language);
  });
}

test("texts come in the language, with the plural form of the number", () => {
  assert.equal(english.plain("card.logins", { n: 1 }), "1 login");
  assert.equal(english.plain("card.logins", { n: 2000 }), "2,000 logins");
  assert.equal(german.plain("card.logins", { n: 2 }), "2 Anmeldungen");
});

test("the application's own texts replace ours, and missing ones stay", () => {
  const own = { title: "Payroll", card: { logins: { one: "ONE", other: "MANY" } } };
  const words = new Wording("en", own, null);
  assert.equal(words.text("title"), "Payroll");
  assert.equal(words.plain("card.logins", { n: 1 }), "ONE");
  assert.equal(words.text("card.since"), TEXTS.en.card.since);
});

const ARABIC = {
  lang: "ar",
  title: "اتصالات الرواتب",
  card: { logins: { zero: "بلا حسابات", two: "حسابان", few: "{n} حسابات", other: "{n} حساب" } },
};

test("own texts for a new language count where it is wanted, in each of its regions", () => {
  assert.equal(languageFor("ar-EG", ARABIC), "ar-EG");
  assert.equal(languageFor("ar"), "en");
  assert.equal(languageFor("ar", { lang: "not a language" }), "en");
  assert.equal(languageFor("ar", { lang: 1 } as unknown as OwnTexts), "en");
  const arabic = new Wording("ar-EG", ARABIC, null);
  assert.equal(arabic.text("title"), ARABIC.title);
  assert.deepEqual(
    [0, 2, 3, 11].map((n) => arabic.plain("card.logins", { n })),
    ["بلا حسابات", "حسابان", "٣ حسابات", "١١ حساب"],
  );
  // A text that is missing is English.
  assert.equal(arabic.text("connect"), TEXTS.en.connect);
  assert.equal(new Wording("de", ARABIC, null).text("title"), TEXTS.de.title);
});

test("own texts for a language that we have replace ours only there", () => {
  const own = { lang: "fr", title: "Paie" };
  assert.equal(new Wording("fr-CA", own, null).text("title"), "Paie");
  assert.equal(new Wording("es", own, null).text("title"), TEXTS.es.title);
});

test("a script that is written from right to left sets the direction", () => {
  const direction = (language: string) => new Wording(language, {}, null).direction;
  assert.deepEqual(["ar", "he-IL", "fa", "ur", "uz-Arab"].map(direction), Array(5).fill("rtl"));
  assert.deepEqual(["en", "de-AT", "ja", "uz", "c_UTF-8"].map(direction), Array(5).fill("ltr"));
});

test("Spanish and French have the right plural, dates and lists", () => {
  const spanish = new Wording("es-MX", {}, "Acme");
  const french = new Wording("fr-CA", {}, "Acme");
  assert.equal(spanish.plain("card.logins", { n: 1 }), "1 acceso");
  assert.equal(spanish.plain("card.logins", { n: 2 }), "2 accesos");
  assert.equal(spanish.plain("card.logins", { n: 1_000_000 }), "1,000,000 accesos");
  assert.equal(french.plain("card.logins", { n: 0 }), "0 identifiant");
  assert.equal(french.plain("card.logins", { n: 2 }), "2 identifiants");
  assert.equal(new Wording("es", {}, null).date("2026-03-04T09:30:00Z"), "4 mar 2026");
  assert.equal(french.date("2026-03-04T09:30:00Z"), "4 mars 2026");
  assert.equal(spanish.ago(new Date(NOW - 7_200_000).toISOString(), NOW), "hace 2 horas");
  assert.equal(french.list(["a", "b", "c"]), "a, b et c");
});

test("own texts of a wrong shape do no harm", () => {
  const own = { title: null, card: "no table" } as unknown as OwnTexts;
  const words = new Wording("en", own, null);
  assert.equal(words.text("title"), TEXTS.en.title);
  assert.equal(words.text("card.since"), TEXTS.en.card.since);
});

test("values from outside are isolated, and braces in them are not filled in", () => {
  const text = english.plain("named", { company: "{provider}", provider: "Gusto" });
  assert.equal(text, "\u2068{provider}\u2069 at \u2068Gusto\u2069");
});

test("a name is made of company and provider", () => {
  const names = { company: "Harbor", provider: "Gusto" };
  const text = english.plain("result.connected", names).replace(/[\u2068\u2069]/g, "");
  assert.equal(text, "Harbor at Gusto is connected");
});

test("without its name the application is called the application", () => {
  const words = new Wording("en", {}, null);
  assert.match(words.plain("result.disconnectedText"), /the application/);
  assert.match(english.plain("result.disconnectedText"), /Acme/);
});

test("an unknown status has a general label, and an unknown product is shown as it is", () => {
  assert.equal(english.status("paused"), "Other status");
  assert.equal(english.status("constructor"), "Other status");
  assert.equal(english.products(["company", "toString"]), "company details and toString");
});

test("relative times have the right unit and are never in the future", () => {
  const ago = (seconds: number) => english.ago(new Date(NOW - seconds * 1000).toISOString(), NOW);
  assert.deepEqual([-90, 10, 120, 7200, 172_800].map(ago), [
    "just now",
    "just now",
    "2 minutes ago",
    "2 hours ago",
    "2 days ago",
  ]);
});

test("a name that is made of our words has the direction of the language", () => {
  const arabic = new Wording("ar", { lang: "ar", andMore: { other: "{name} و{n} أخرى" } }, null);
  const two = [entity("e1", "East"), entity("e2", "West")];
  const company = connection("id", { company_name: null, logins: [login({ entities: two })] });
  assert.equal(arabic.company(company), "\u200f\u2068East\u2069 و1 أخرى");
  assert.equal(english.company(company), "\u2068East\u2069 and one more");
});

test("a company without a name is named after its entities, or else by its id", () => {
  const company = (...entities: ReturnType<typeof entity>[]) =>
    english
      .company(connection("company-id", { company_name: null, logins: [login({ entities })] }))
      .replace(/[\u2068\u2069]/g, "");
  assert.equal(company(), "Company company-");
  assert.equal(company(entity("e1")), "Company company-");
  assert.equal(company(entity("e1", "West"), entity("e2", "East")), "East and one more");
  assert.equal(company(entity("e1", "Solo"), entity("e2", "Solo")), "Solo");
});
