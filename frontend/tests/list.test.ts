import assert from "node:assert/strict";
import { test } from "node:test";
import type { Connection, PageRequest } from "../src/api.ts";
import { keyOf } from "../src/connections.ts";
import { differences, goneFrom, readList } from "../src/list.ts";
import { connection } from "./examples.ts";

/** An API with these connections; a cursor is the number of those before it. */
function apiWith(connections: Connection[]) {
  const requests: PageRequest[] = [];
  const page = async (request: PageRequest) => {
    requests.push(request);
    const wanted = request.status?.split(",");
    const all = connections.filter((one) => !wanted || wanted.includes(one.status));
    const start = Number(request.cursor ?? 0);
    const end = start + request.limit;
    const next_cursor = end < all.length ? String(end) : null;
    return { connections: all.slice(start, end), next_cursor };
  };
  return { page, requests };
}

function numbered(count: number, status: Connection["status"] = "connected"): Connection[] {
  return Array.from({ length: count }, (_, n) =>
    connection(`${status}-${String(n).padStart(3, "0")}`, { status }),
  );
}

test("all connections that need a person are read, and one page of the others", async () => {
  const api = apiWith([...numbered(60), ...numbered(130, "reauth")]);
  const reading = await readList(api, 25);
  assert.equal(reading.found.size, 130 + 25);
  assert.equal(reading.count, 25);
  assert.equal(reading.cursor, "25");
  assert.equal(reading.last?.company_id, "connected-024");
  assert.deepEqual(
    api.requests.map((one) => [one.limit, one.cursor]),
    [
      [100, null],
      [100, "100"],
      [25, null],
    ],
  );
});

test("as many connections as were shown are read again, in pages of at most 100", async () => {
  const api = apiWith(numbered(300));
  const reading = await readList(api, 150);
  assert.equal(reading.count, 150);
  assert.deepEqual(
    api.requests.slice(1).map((one) => one.limit),
    [100, 50],
  );
});

test("an empty list is complete", async () => {
  const reading = await readList(apiWith([]), 25);
  assert.deepEqual(reading, { found: new Map(), count: 0, last: null, cursor: null });
});

test("a connection that is missing from the pages read is gone, unless it may come later", async () => {
  const reading = await readList(apiWith(numbered(60)), 25);
  const shown = ["gusto#connected-010x", "gusto#connected-024", "gusto#connected-030"];
  assert.deepEqual(goneFrom(shown, reading), ["gusto#connected-010x"]);
  const complete = await readList(apiWith(numbered(5)), 25);
  assert.deepEqual(goneFrom(["gusto#connected-030"], complete), ["gusto#connected-030"]);
});

test("new and changed connections differ, and only a changed status is announced", () => {
  const map = (...all: Connection[]) => new Map(all.map((one) => [keyOf(one), one]));
  const shown = map(connection("same"), connection("renamed"), connection("broken"));
  const renamed = connection("renamed", { company_name: "New name" });
  const broken = connection("broken", { status: "reauth" });
  const fresh = connection("new");
  const found = differences(shown, map(connection("same"), renamed, broken, fresh));
  assert.deepEqual(found, { changed: [renamed, broken, fresh], withNewStatus: [broken] });
});
