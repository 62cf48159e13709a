import assert from "node:assert/strict";
import { test } from "node:test";
import { readReturn } from "../src/returning.ts";
import { NOW } from "./examples.ts";

const PAGE = "https://app.example/page";

function read(rest: string) {
  return readReturn(PAGE + rest, NOW);
}

test("an address without a return stays as it is", () => {
  for (const rest of ["", "?tab=payroll", "#x", "?status=mine&error=mine", "?error=&status="]) {
    assert.deepEqual(read(rest), { landing: null, rest: null }, rest);
  }
});

test("a return is read and taken out of the address", () => {
  const { landing, rest } = read("?status=connected&provider_id=gusto&company_id=1&repaired=true");
  assert.equal(rest, PAGE);
  assert.deepEqual(landing, {
    at: NOW,
    error: undefined,
    status: "connected",
    completion: null,
    provider_id: "gusto",
    company_id: "1",
    repaired: "true",
  });
});

test("a completion code is read from the fragment, which is removed", () => {
  const { landing, rest } = read("?status=confirm#completion=a.b");
  assert.equal(landing?.completion, "a.b");
  assert.equal(rest, PAGE);
});

test("a completion code without a status is removed and not used", () => {
  assert.deepEqual(read("?tab=1#completion=a.b"), { landing: null, rest: `${PAGE}?tab=1` });
});

test("only the last parameter of a name belongs to the return", () => {
  const { landing, rest } = read("?tab=payroll&status=mine&status=pending#x");
  assert.equal(landing?.status, "pending");
  assert.equal(rest, `${PAGE}?tab=payroll&status=mine`);
});

test("an error with a state is the application's own sign-in", () => {
  assert.equal(read("?error=access_denied").landing?.error, "access_denied");
  assert.deepEqual(read("?error=access_denied&state=mine"), { landing: null, rest: null });
});

test("an unknown error, or the name of an object's own method, is no return", () => {
  assert.equal(read("?error=server_error").landing, null);
  assert.equal(read("?error=toString").landing, null);
});
