import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Api, connectionPath, Refused } from "../src/api.ts";
import { connection } from "./examples.ts";

/** A client whose requests get these responses, in order. */
function client(t: TestContext, ...responses: (Response | Error)[]) {
  const requests: Request[] = [];
  const tokens: boolean[] = [];
  const state = { signedOut: 0, token: "token" as string | null };
  t.mock.method(globalThis, "fetch", async (url: string, options: RequestInit) => {
    requests.push(new Request(url, options));
    const response = responses.shift();
    if (!response || response instanceof Error) throw response ?? new Error("no more responses");
    return response;
  });
  t.mock.method(console, "error", () => {});
  const api = new Api("https://api.example/", {
    token: async (refresh) => {
      tokens.push(refresh);
      return state.token;
    },
    signedOut: () => {
      state.signedOut += 1;
    },
  });
  return { api, requests, tokens, state };
}

function refusal(code: string, reference?: string) {
  return (error: unknown) =>
    error instanceof Refused && error.code === code && error.reference === reference;
}

test("ids are encoded in a path, and a path cannot leave its place", () => {
  assert.equal(
    connectionPath({ provider_id: "a/b", company_id: "c d#e" }),
    "/connections/a~2Fb/c~20d~23e",
  );
  assert.equal(
    connectionPath({ provider_id: "100%~", company_id: "ü?" }),
    "/connections/100~25~7E/~C3~BC~3F",
  );
  assert.equal(connectionPath({ provider_id: ".", company_id: ".." }), "/connections/~2E/~2E~2E");
});

test("a request carries the token and cookies, and is not cached", async (t) => {
  const { api, requests } = client(t, Response.json(connection("1")));
  assert.deepEqual(
    await api.connection({ provider_id: "gusto", company_id: "1" }),
    connection("1"),
  );
  const [request] = requests;
  assert.equal(request?.url, "https://api.example/connections/gusto/1");
  assert.equal(request.headers.get("authorization"), "Bearer token");
  assert.equal(request.headers.get("content-type"), null);
  assert.equal(request.credentials, "include");
  assert.equal(request.cache, "no-store");
});

test("a page is requested with its filter and cursor", async (t) => {
  const page = { connections: [], next_cursor: null };
  const { api, requests } = client(t, Response.json(page), Response.json(page));
  await api.page({ limit: 25, cursor: null });
  await api.page({ status: "reauth,unknown", limit: 100, cursor: "c=1" });
  assert.deepEqual(
    requests.map((one) => new URL(one.url).search),
    ["?limit=25", "?status=reauth%2Cunknown&limit=100&cursor=c%3D1"],
  );
});

test("a body is sent as JSON", async (t) => {
  const { api, requests } = client(t, Response.json({ status: "pending" }));
  await api.finish({ completion: "a.b" });
  assert.equal(requests[0]?.method, "POST");
  assert.equal(requests[0].headers.get("content-type"), "application/json");
  assert.deepEqual(await requests[0].json(), { completion: "a.b" });
});

test("after a 401 a fresh token is requested once", async (t) => {
  const unauthorized = () => new Response(null, { status: 401 });
  const first = client(t, unauthorized(), Response.json(connection("1")));
  await first.api.connection({ provider_id: "gusto", company_id: "1" });
  assert.deepEqual(first.tokens, [false, true]);
  assert.equal(first.state.signedOut, 0);
  const second = client(t, unauthorized(), unauthorized());
  await assert.rejects(second.api.page({ limit: 25 }), refusal("unauthorized"));
  assert.equal(second.requests.length, 2);
  assert.equal(second.state.signedOut, 1);
});

test("a response that the browser hides is repeated once with a fresh token", async (t) => {
  const hidden = () => new TypeError("Failed to fetch");
  const opaque = () => new Response();
  const first = client(t, hidden(), opaque(), Response.json(connection("1")));
  await first.api.connection({ provider_id: "gusto", company_id: "1" });
  assert.deepEqual(first.tokens, [false, true]);
  assert.deepEqual(
    first.requests.map((one) => [one.mode, one.headers.has("authorization")]),
    [
      ["cors", true],
      ["no-cors", false],
      ["cors", true],
    ],
  );
  const second = client(t, hidden(), opaque(), hidden(), opaque());
  await assert.rejects(second.api.page({ limit: 25 }), refusal("unexpected"));
  assert.deepEqual([second.tokens.length, second.state.signedOut], [2, 0]);
});

test("without a network no fresh token is requested", async (t) => {
  const { api, tokens } = client(t, new TypeError("offline"), new TypeError("offline"));
  await assert.rejects(api.page({ limit: 25 }), refusal("unreachable"));
  assert.deepEqual(tokens, [false]);
});

test("without a token nothing is sent", async (t) => {
  const { api, requests, state } = client(t);
  state.token = null;
  await assert.rejects(api.page({ limit: 25 }), refusal("unauthorized"));
  assert.equal(requests.length, 0);
  assert.equal(state.signedOut, 1);
});

const CONFLICT = { status: 409 };
const FAILURES: [name: string, response: () => Response | Error, code: string, id?: string][] = [
  [
    "the API's own code",
    () => Response.json({ code: "connection_busy", request_id: "id" }, { status: 409 }),
    "connection_busy",
    "id",
  ],
  [
    "a failed attempt",
    () =>
      Response.json({ code: "cannot_connect", request_id: "id", reference: "attempt" }, CONFLICT),
    "cannot_connect",
    "attempt",
  ],
  ["the gateway's 403", () => Response.json({ message: "No" }, { status: 403 }), "not_allowed"],
  ["the gateway's 404", () => new Response("no JSON", { status: 404 }), "route_not_found"],
  ["the gateway's 429", () => new Response(null, { status: 429 }), "too_many_requests"],
  ["the gateway's 503", () => new Response(null, { status: 503 }), "unreachable"],
  ["a body that was cut off", () => new Response('{"connections": ['), "unreachable"],
  ["no network", () => new TypeError("Failed to fetch"), "unreachable"],
  ["a time-out", () => new DOMException("late", "TimeoutError"), "unreachable"],
];

for (const [name, response, code, reference] of FAILURES) {
  test(`${name} is refused as ${code}`, async (t) => {
    const { api } = client(t, response());
    await assert.rejects(api.page({ limit: 25 }), refusal(code, reference));
  });
}

test("a closed client sends nothing and reports no failure of the API", async (t) => {
  const { api, requests, tokens } = client(t);
  api.close();
  await assert.rejects(api.page({ limit: 25 }), { name: "AbortError" });
  assert.deepEqual([requests.length, tokens.length, api.closed], [0, 0, true]);
});

test("an unexpected error is logged and becomes unexpected", (t) => {
  const logged = t.mock.method(console, "error", () => {});
  const refused = new Refused("connection_busy");
  assert.equal(Refused.from(refused), refused);
  assert.equal(logged.mock.callCount(), 0);
  assert.equal(Refused.from(new Error("bug")).code, "unexpected");
  assert.equal(logged.mock.callCount(), 1);
});
