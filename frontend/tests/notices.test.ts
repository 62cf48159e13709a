import assert from "node:assert/strict";
import { test } from "node:test";
import type { Connection } from "../src/api.ts";
import * as notices from "../src/notices.ts";
import { connection, entity, login } from "./examples.ts";

function failure(code: string) {
  return { code, reference: "id" };
}

test("a failure offers the same action again", () => {
  const notice = notices.failed(failure("finch_unavailable"), "repair:gusto#1");
  assert.equal(notice.kind, "bad");
  assert.equal(notice.text, "failure.finch_unavailable");
  assert.equal(notice.reference, "id");
  assert.equal(notice.retry, "repair:gusto#1");
  assert.equal(notice.support, false);
});

test("a failure that only support can solve offers support and no retry", () => {
  const notice = notices.failed(failure("cannot_connect"), "connect");
  assert.equal(notice.support, true);
  assert.equal(notice.retry, null);
});

test("a connection over the limit offers neither support nor a retry", () => {
  const notice = notices.failed(failure("connection_limit"), "connect");
  assert.equal(notice.text, "failure.connection_limit");
  assert.equal(notice.support, false);
  assert.equal(notice.retry, null);
});

test("leaving Finch Connect is not shown as an error", () => {
  assert.equal(notices.failed(failure("access_denied"), "connect").kind, "info");
});

test("an unknown code has a general text", () => {
  assert.equal(notices.failed(failure("a_new_code"), null).text, "failure.unexpected");
});

test("a return is tried again only while the API may still accept it", () => {
  assert.equal(notices.isWorthAnotherTry(failure("unreachable")), true);
  assert.equal(notices.isWorthAnotherTry(failure("session_used")), false);
  assert.equal(notices.isWorthAnotherTry(failure("a_new_code")), false);
});

test("an arrival that does not work yet gives the reason of its status", () => {
  const reauth = connection("1", { status: "reauth" });
  const notice = notices.arrived(reauth, "unhealthy");
  assert.deepEqual([notice.kind, notice.text], ["wait", "status.reauth.reason"]);
  assert.equal(notices.arrived(reauth, "another").text, "result.anotherText");
  assert.equal(notices.arrived(connection("1"), "connected").kind, "good");
});

test("a connection that was made again in another tab is not called disconnected", () => {
  const titles = (["disconnected", "disconnecting", "connected"] as const).map(
    (status) => notices.disconnected(connection("1", { status }), null).title,
  );
  assert.deepEqual(titles, ["result.disconnected", "result.disconnecting", "result.again"]);
});

test("the notice about an entity says whether the entity or the whole connection has ended", () => {
  const after = (status: Connection["status"], entityStatus: Connection["status"]) =>
    connection("1", {
      status,
      logins: [login({ entities: [{ ...entity("e1"), status: entityStatus }, entity("e2")] })],
    });
  const title = (one: Connection) => notices.disconnected(one, entity("e1")).title;
  assert.equal(title(after("connected", "disconnected")), "result.entityDisconnected");
  assert.equal(title(after("connected", "disconnecting")), "result.entityDisconnecting");
  assert.equal(title(after("disconnecting", "connected")), "result.disconnecting");
  assert.equal(title(after("disconnected", "disconnected")), "result.disconnected");
});

test("only a pending return leaves open whether a connection comes", () => {
  const waits = notices.returnWaits(failure("unreachable"));
  assert.ok([notices.pendingReturn("attempt"), waits].every(notices.isUndecided));
  const decided = [
    notices.failed(failure("unreachable"), "connect"),
    notices.foreignReturn(),
    notices.arrived(connection("1", { status: "pending" }), "settling"),
  ];
  assert.ok(!decided.some(notices.isUndecided));
});

test("a page that is not set up to connect sends the person to support", () => {
  for (const code of ["mode_not_allowed", "return_to_not_allowed"]) {
    const notice = notices.failed(failure(code), "connect");
    assert.deepEqual([notice.support, notice.retry], [true, null]);
  }
});

test("a pending return and a failed frame name their attempt", () => {
  assert.equal(notices.pendingReturn("attempt").reference, "attempt");
  assert.equal(notices.frameClosed(true, "connect", "attempt").reference, "attempt");
  assert.equal(notices.frameClosed(false, "connect", "attempt").reference, undefined);
});
