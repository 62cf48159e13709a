import assert from "node:assert/strict";
import { test } from "node:test";
import { readReturn } from "../src/returning.ts";
import { NOW } from "./examples.ts";

const PAGE = "https://app.example/page";

function read(rest: string) {
  return readReturn(PAGE + rest, NOW);
}

test("an address without a return stays as it is", () => {
  const own = [
    ...[
      "",
      "?tab=payroll",
      "#x",
      "#/x",
      "#/?tab=1",
      "?status=mine&error=mine",
      "?error=&status=",
      "?status=pending",
    ],
    ...["?error=access_denied", "?error=access_denied&state=mine", "?finch=return&status=mine"],
    ...["?status=connected&provider_id=gusto&company_id=1", "?status=pending&finch=return"],
  ];
  for (const rest of own) assert.deepEqual(read(rest), { landing: null, rest: null }, rest);
});

test("a return is read and taken out of the address", () => {
  const { landing, rest } = read(
    "?finch=return&status=connected&provider_id=gusto&company_id=1&repaired=true",
  );
  assert.equal(rest, PAGE);
  assert.deepEqual(landing, {
    at: NOW,
    error: undefined,
    status: "connected",
    completion: null,
    provider_id: "gusto",
    company_id: "1",
    repaired: "true",
    reference: undefined,
  });
});

test("only a reference of our form is read", () => {
  const { landing } = read("?finch=return&status=pending&reference=3f9c21ab77e0");
  assert.equal(landing?.reference, "3f9c21ab77e0");
  for (const other of ["", "<b>call 0900</b>", "3F9C21AB77E0", "3f9c21ab77e0 call 0900"]) {
    const forged = read(`?finch=return&status=pending&reference=${encodeURIComponent(other)}`);
    assert.equal(forged.landing?.reference, undefined, other);
  }
});

test("a completion code is read from the fragment, which is removed", () => {
  const { landing, rest } = read("?finch=return&status=confirm#completion=a.b");
  assert.equal(landing?.completion, "a.b");
  assert.equal(rest, PAGE);
});

test("a completion code is read from a fragment that a router has made its route", () => {
  for (const fragment of ["#/completion=a.b", "#!/completion=a.b", "#!completion=a.b"]) {
    const { landing, rest } = read(`?finch=return&status=confirm${fragment}`);
    assert.equal(landing?.completion, "a.b", fragment);
    assert.equal(rest, PAGE);
  }
});

test("a completion code without a status is removed and not used", () => {
  assert.deepEqual(read("?tab=1#completion=a.b"), { landing: null, rest: `${PAGE}?tab=1` });
});

test("only the parameters after the mark belong to the return", () => {
  const { landing, rest } = read(
    "?tab=payroll&status=connected&company_id=2&finch=return&status=pending#x",
  );
  assert.equal(landing?.status, "pending");
  assert.equal(landing?.company_id, undefined);
  assert.equal(rest, `${PAGE}?tab=payroll&status=connected&company_id=2`);
});

test("a failure is read, also where the page has a state of its own", () => {
  const { landing, rest } = read("?state=mine&finch=return&error=access_denied");
  assert.equal(landing?.error, "access_denied");
  assert.equal(rest, `${PAGE}?state=mine`);
});

test("an error of a later version is a return too", () => {
  const { landing, rest } = read("?finch=return&error=a_code_of_a_later_version");
  assert.equal(landing?.error, "a_code_of_a_later_version");
  assert.equal(rest, PAGE);
});
