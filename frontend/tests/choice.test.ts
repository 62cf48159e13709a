import assert from "node:assert/strict";
import { test } from "node:test";
import type { Connection, ConnectionStatus } from "../src/api.ts";
import {
  ATTENTION,
  areMany,
  byCompany,
  type Choice,
  chosen,
  EVERYTHING,
  narrows,
  needsAll,
  providerOptions,
  statusOptions,
} from "../src/choice.ts";
import { foundText } from "../src/views/controls.ts";
import { Wording } from "../src/wording.ts";
import { connection, entity, login, NOW } from "./examples.ts";

const words = new Wording("en", {}, null);

function namesOf(one: Connection) {
  return { company: words.company(one), provider: one.provider_name ?? one.provider_id };
}

function ids(connections: Connection[], change: Partial<Choice>): string[] {
  const choice = { ...EVERYTHING, ...change };
  return chosen(connections, choice, words, namesOf).map((one) => one.company_id);
}

const ALL = [
  connection("id-1", { company_name: "Müller & Söhne GmbH", updated_at: at(1) }),
  connection("id-2", {
    company_name: "Harbor Lane",
    provider_id: "adp_run",
    provider_name: "RUN Powered by ADP",
    status: "reauth",
    updated_at: at(3),
  }),
  connection("id-3", {
    company_name: null,
    status: "disconnected",
    updated_at: at(2),
    logins: [login({ account_id: "account-77", entities: [entity("e-9", "Zulu East")] })],
  }),
];

function at(minutes: number): string {
  return new Date(NOW + minutes * 60_000).toISOString();
}

const SEARCHES: [text: string, found: string[]][] = [
  ["", ["id-2", "id-1", "id-3"]],
  ["  ", ["id-2", "id-1", "id-3"]],
  ["harbor", ["id-2"]],
  ["MULLER sohne", ["id-1"]],
  ["lane adp", ["id-2"]],
  ["harbor gusto", []],
  ["ID-3", ["id-3"]],
  ["zulu", ["id-3"]],
  ["e-9", ["id-3"]],
  ["account-77", ["id-3"]],
  ["adp_run", ["id-2"]],
  [".*", []],
];

for (const [text, found] of SEARCHES) {
  test(`the search for "${text}" finds ${found.length}`, () => {
    assert.deepEqual(ids(ALL, { text }), found);
  });
}

test("a status and a provider filter together with the search", () => {
  assert.deepEqual(ids(ALL, { status: ATTENTION }), ["id-2"]);
  assert.deepEqual(ids(ALL, { status: "connected" }), ["id-1"]);
  assert.deepEqual(ids(ALL, { provider: "gusto" }), ["id-1", "id-3"]);
  assert.deepEqual(ids(ALL, { provider: "gusto", status: "disconnected", text: "zulu" }), ["id-3"]);
  assert.deepEqual(ids(ALL, { provider: "gusto", status: "reauth" }), []);
});

test("statuses with the same label are found together", () => {
  const two = (["pending", "processing"] as const).map((status) => connection(status, { status }));
  assert.deepEqual(ids(two, { status: "pending" }), ["pending", "processing"]);
});

test("each order sorts, numbers in names by their value, and equal connections by key", () => {
  assert.deepEqual(ids(ALL, { order: "attention" }), ["id-2", "id-1", "id-3"]);
  assert.deepEqual(ids(ALL, { order: "name" }), ["id-2", "id-1", "id-3"]);
  assert.deepEqual(ids(ALL, { order: "changed" }), ["id-2", "id-3", "id-1"]);
  const numbered = ["10", "9", "9"].map((n, place) =>
    connection(`${place}`, { company_name: `Shop ${n}` }),
  );
  assert.deepEqual(ids(numbered, { order: "name" }), ["1", "2", "0"]);
  assert.deepEqual(ids(numbered, { order: "changed" }), ["0", "1", "2"]);
});

test("the connections of a company come together, in the place of the first", () => {
  const all = ["a", "b", "a", "c", "b"].map((id, n) => connection(id, { provider_id: `p${n}` }));
  const groups = byCompany(all).map((group) => group.map((one) => one.provider_id));
  assert.deepEqual(groups, [["p0", "p2"], ["p1", "p4"], ["p3"]]);
});

test("a choice needs all connections unless it is the usual one", () => {
  assert.equal(narrows({ ...EVERYTHING, text: " " }), false);
  assert.equal(narrows({ ...EVERYTHING, order: "name" }), false);
  assert.equal(needsAll({ ...EVERYTHING, order: "name" }), true);
  assert.equal(needsAll({ ...EVERYTHING, text: "x" }), true);
  assert.equal(needsAll(EVERYTHING), false);
});

test("controls appear with more than eight connections", () => {
  const some = (n: number) =>
    new Map(Array.from({ length: n }, (_, place) => [`${place}`, connection(`${place}`)]));
  assert.equal(areMany(some(8), true), false);
  assert.equal(areMany(some(9), true), true);
  assert.equal(areMany(some(8), false), true);
});

test("the filters offer what exists and what is chosen, each label once", () => {
  const all = (
    ["connected", "processing", "pending", "reauth", "paused" as ConnectionStatus] as const
  ).map((status) => connection(status, { status }));
  const labels = (choice: Choice) => statusOptions(all, choice, words).map((one) => one.label);
  const offered = ["Sign-in needed", "Setting up", "Connected", "Other status"];
  assert.deepEqual(labels(EVERYTHING), offered);
  const gone = { ...EVERYTHING, status: "disconnecting" };
  assert.deepEqual(labels(gone), [...offered.slice(0, 3), "Disconnecting", "Other status"]);
  const processing = statusOptions(all, { ...EVERYTHING, status: "processing" }, words);
  assert.equal(processing.find((one) => one.label === "Setting up")?.value, "processing");
  const providers = providerOptions(ALL, { ...EVERYTHING, provider: "left" }, words, namesOf);
  assert.deepEqual(providers, [
    { value: "gusto", label: "Gusto" },
    { value: "left", label: "left" },
    { value: "adp_run", label: "RUN Powered by ADP" },
  ]);
});

test("the line about the result says how many were found, and whether the search was cut", () => {
  const line = (fields: Partial<Parameters<typeof foundText>[1]>) =>
    foundText(words, {
      choice: { ...EVERYTHING, text: "x" },
      count: 3,
      read: 1000,
      reading: false,
      complete: true,
      ...fields,
    });
  assert.equal(line({}), "3 connections found.");
  assert.equal(line({ count: 0 }), "No connection matches.");
  assert.equal(
    line({ count: 0, read: 27, complete: false, reading: true }),
    "Reading all connections…",
  );
  // Only a search that is not cut yet reads by itself.
  assert.equal(line({ complete: false, reading: true }), line({ complete: false }));
  assert.match(
    line({ complete: false }),
    /^3 connections found\. Only the first 1,000 connections/,
  );
  assert.match(line({ count: 0, complete: false }), /^No connection matches\. Only the first/);
  assert.equal(line({ choice: { ...EVERYTHING, order: "name" } }), "");
});
