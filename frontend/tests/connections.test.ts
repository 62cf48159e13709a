import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConnectionStatus } from "../src/api.ts";
import {
  checksPath,
  departure,
  entitiesOf,
  grouped,
  hueOf,
  initials,
  isCheckedLately,
  keyOf,
  newest,
  providerName,
  repairedFlag,
  resultOf,
  summaryPath,
  toneOf,
} from "../src/connections.ts";
import { Wording } from "../src/wording.ts";
import { connection, entity, login, NOW } from "./examples.ts";

const LATER = new Date(NOW + 60_000).toISOString();

test("each connection is in one group, and only in the usual order attention comes first", () => {
  const all = [
    connection("a", { status: "reauth" }),
    connection("b", { status: "disconnecting" }),
    connection("c", { status: "disconnected" }),
    connection("d", { status: "reauth" }),
  ];
  const ids = (attentionFirst: boolean) =>
    Object.values(grouped(all, attentionFirst)).map((some) => some.map((one) => one.company_id));
  assert.deepEqual(ids(true), [["a", "d"], ["b"], ["c"]]);
  assert.deepEqual(ids(false), [[], ["a", "b", "d"], ["c"]]);
});

test("the list says that all was checked lately only if each card says nothing else", () => {
  const at = (hours: number) => new Date(NOW - hours * 3_600_000).toISOString();
  const lately = connection("a", { checked_at: at(25) });
  const old = connection("b", { checked_at: at(27) });
  const broken = connection("c", { checked_at: at(1), status: "reauth" });
  const ended = connection("d", { checked_at: at(999), status: "disconnected" });
  const never = connection("e", { checked_at: null });
  assert.equal(checksPath([lately, lately, ended], true, NOW), "list.checked");
  for (const other of [old, broken, never]) {
    assert.equal(checksPath([lately, lately, other], true, NOW), "list.othersChecked");
    assert.equal(isCheckedLately(other, NOW), false);
  }
  // Connections that were not read yet may be older.
  assert.equal(checksPath([lately, lately], false, NOW), "list.othersChecked");
  // The only connection shows its own time.
  assert.equal(checksPath([lately], true, NOW), null);
  assert.equal(checksPath([], true, NOW), null);
});

const SUMMARIES: [ConnectionStatus[], complete: boolean, string | null][] = [
  [["connected", "pending", "reauth"], true, "summary.attention"],
  [["connected", "pending"], true, "summary.settling"],
  [["connected", "disconnected"], true, "summary.good"],
  [["disconnected"], true, "summary.none"],
  [["disconnected"], false, null],
  [["disconnecting"], true, null],
  [["paused" as ConnectionStatus], true, null],
];

for (const [statuses, complete, summary] of SUMMARIES) {
  test(`the summary of ${statuses} (complete: ${complete}) is ${summary}`, () => {
    const connections = statuses.map((status, n) => connection(`${n}`, { status }));
    assert.equal(summaryPath(connections, complete), summary);
  });
}

test("different connections have different keys", () => {
  const pairs = [
    ["a#b", "c"],
    ["a", "b#c"],
    ["a~23b", "c"],
    ["a~7E23b", "c"],
  ];
  const keys = pairs.map(([provider_id = "", company_id = ""]) =>
    keyOf({ provider_id, company_id }),
  );
  assert.equal(new Set(keys).size, pairs.length);
  assert.equal(keyOf({ provider_id: "gusto", company_id: "c#d" }), "gusto#c#d");
});

test("a status that the page does not know has a neutral tone", () => {
  assert.equal(toneOf("paused" as ConnectionStatus), "over");
  assert.equal(toneOf("unknown"), "bad");
});

test("an entity of two logins is listed once", () => {
  const logins = [
    login({ entities: [entity("e1"), entity("e2")] }),
    login({ entities: [entity("e1")] }),
  ];
  assert.deepEqual(
    entitiesOf(connection("a", { logins })).map((one) => one.id),
    ["e1", "e2"],
  );
});

test("a provider's name comes from another connection or from the page before the API has it", () => {
  const nameless = connection("a", { provider_id: "p", provider_name: null });
  const named = connection("b", { provider_id: "p", provider_name: "Provider P" });
  assert.equal(providerName(nameless, [named]), "Provider P");
  assert.equal(providerName({ provider_id: "adp_run" }, []), "RUN Powered by ADP");
  assert.equal(providerName({ provider_id: "new_one" }, []), "new_one");
});

test("a mark has two letters also for short and empty names", () => {
  const found = ["RUN Powered by ADP", "gusto", "x", "", "  two words "].map(initials);
  assert.deepEqual(found, ["RP", "Gu", "X", "", "Tw"]);
});

test("a provider always has the same hue", () => {
  assert.equal(hueOf("gusto"), hueOf("gusto"));
  assert.ok(hueOf("a provider with a long name 🎉") < 360);
});

const left = departure([connection("known")], "connect", NOW);

test("a departure notes living connections with their logins", () => {
  const ended = connection("ended", { status: "disconnected" });
  assert.deepEqual(departure([connection("known"), ended], "connect", NOW), left);
  assert.deepEqual(left.logins, { "gusto#known": 1 });
});

test("the newest connection since the departure is found", () => {
  const known = connection("known");
  const fresh = connection("new", { logins: [login({ connected_at: LATER })] });
  assert.equal(newest([known, fresh], left, NOW), fresh);
  assert.equal(newest([known], left, NOW), undefined);
  const again = connection("known", { logins: [login(), login({ connected_at: LATER })] });
  assert.equal(newest([again], left, NOW), again);
});

test("without a departure only the time of a login counts", () => {
  assert.equal(newest([connection("a")], null, NOW), undefined);
  assert.ok(newest([connection("a")], null, NOW - 1));
});

const RESULTS = [
  [connection("new"), null, "connected"],
  [connection("new", { status: "pending" }), null, "settling"],
  [connection("new", { status: "reauth" }), null, "unhealthy"],
  [connection("new"), false, "another"],
  [connection("known"), true, "repaired"],
  [connection("known", { status: "reauth" }), true, "unhealthy"],
  [connection("known"), null, "again"],
  [connection("known", { logins: [login(), login()] }), null, "login"],
] as const;

for (const [arrived, repaired, result] of RESULTS) {
  test(`${keyOf(arrived)} (${arrived.status}, repaired: ${repaired}) is ${result}`, () => {
    assert.equal(resultOf(arrived, repaired, left), result);
  });
}

test("the repaired flag is the same from an address and from a response", () => {
  assert.deepEqual(["true", "false", true, false].map(repairedFlag), [true, false, true, false]);
  assert.equal(repairedFlag(undefined), null);
});

for (const id of ["constructor", "__proto__", "toString", "hasOwnProperty"]) {
  test(`the name of an object's own member is an id like any other: ${id}`, () => {
    const one = connection(id, { provider_id: id, status: id as ConnectionStatus });
    assert.equal(providerName({ ...one, provider_name: null }, []), id);
    assert.equal(toneOf(one.status), "over");
    const left = departure([one], "connect", NOW);
    assert.equal(resultOf(one, null, left), "again");
    assert.equal(new Wording("en", {}, null).status(id), "Other status");
    assert.equal(new Wording("en", { title: `{${id}}` }, null).plain("title"), "\u2068\u2069");
  });
}
