import assert from "node:assert/strict";
import { test } from "node:test";
import { MINUTE, nextPause, readsOnly, SECOND, underWay } from "../src/polling.ts";
import { connection, entity, login, NOW } from "./examples.ts";

function pauses(watching: boolean, count: number): number[] {
  const found: number[] = [];
  for (let pause = 0; found.length < count; found.push(pause)) pause = nextPause(pause, watching);
  return found;
}

test("while watching, pauses grow from 2 to 30 seconds", () => {
  const found = pauses(true, 9);
  assert.equal(found[0], 2 * SECOND);
  assert.equal(found[1], 3.2 * SECOND);
  assert.equal(found.at(-1), 30 * SECOND);
});

test("at rest, pauses grow from 1 to 5 minutes", () => {
  assert.deepEqual(
    pauses(false, 5),
    [1, 1.5, 2.25, 3.375, 5].map((n) => n * MINUTE),
  );
});

test("a long pause becomes short when something is under way", () => {
  assert.equal(nextPause(5 * MINUTE, true), 30 * SECOND);
});

test("a connection that is being disconnected is under way", () => {
  const found = underWay([connection("a", { status: "disconnecting" }), connection("b")], NOW);
  assert.deepEqual(
    found.map((one) => one.company_id),
    ["a"],
  );
});

test("a connection with an entity that is being disconnected is under way", () => {
  const ending = { ...entity("e1"), status: "disconnecting" as const };
  const logins = [login({ entities: [entity("e2"), ending] })];
  assert.equal(underWay([connection("a", { logins }), connection("b")], NOW).length, 1);
});

test("a new connection is under way until it has its names, for five minutes", () => {
  const nameless = connection("a", { provider_name: null });
  assert.equal(underWay([nameless], NOW + 4 * MINUTE).length, 1);
  assert.equal(underWay([nameless], NOW + 6 * MINUTE).length, 0);
  const ended = connection("a", { provider_name: null, status: "disconnected" });
  assert.equal(underWay([ended], NOW).length, 0);
});

test("up to three connections are read alone, until the list is a minute old", () => {
  const few = ["a", "b", "c"].map((id) => connection(id));
  assert.equal(readsOnly(few, 59 * SECOND), true);
  assert.equal(readsOnly(few, MINUTE), false);
  assert.equal(readsOnly([...few, connection("d")], 0), false);
  assert.equal(readsOnly([], 0), false);
});
