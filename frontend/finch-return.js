// Takes the return from Finch Connect out of the address, for <finch-connections>. A page that has a
// router loads it first:
//
//   <script src="/finch-return.js"></script>
//
// This file is built from frontend/src, as finch-connections.js is.

"use strict";
(() => {
  // src/browser.ts
  function optional(use) {
    try {
      return use() ?? null;
    } catch {
      return null;
    }
  }
  function replaceAddress(address) {
    optional(() => history.replaceState(history.state, "", address));
  }
  function onAddressChange(changed) {
    const page = globalThis;
    optional(() => page.navigation?.addEventListener("currententrychange", changed));
  }

  // src/returning.ts
  var CONFIRM_WITHIN = 24 * 60 * 60 * 1e3;
  var OUTCOMES = [
    "connected",
    "confirm",
    "pending"
  ];
  var ROUTE = /^#!?\/?/;
  var DETAILS = ["provider_id", "company_id", "repaired"];
  var REFERENCE = /^[0-9a-f]{12}$/;
  function readReturn(address, now) {
    const url = new URL(address);
    const completion = new URLSearchParams(url.hash.replace(ROUTE, "")).get("completion");
    const pairs = [...url.searchParams];
    const mark = pairs.findLastIndex(([name, value]) => name === "finch" && value === "return");
    const ours = new Map(mark < 0 ? [] : pairs.slice(mark + 1));
    const status = ours.get("status");
    const error = ours.get("error");
    const isOurs = Boolean(error) || status !== void 0 && OUTCOMES.includes(status);
    url.hash = "";
    if (!isOurs) return { landing: null, rest: completion ? url.href : null };
    const landing = { error, status, completion, at: now };
    for (const name of DETAILS) landing[name] = ours.get(name);
    landing.reference = REFERENCE.exec(ours.get("reference") ?? "")?.[0];
    url.search = String(new URLSearchParams(pairs.slice(0, mark)));
    return { landing, rest: url.href };
  }
  var memory = {
    read(name) {
      return optional(
        () => JSON.parse(sessionStorage.getItem(`finch-connections:${name}`) ?? "null")
      );
    },
    write(name, value) {
      optional(() => {
        if (value) sessionStorage.setItem(`finch-connections:${name}`, JSON.stringify(value));
        else sessionStorage.removeItem(`finch-connections:${name}`);
      });
    }
  };
  function hashRoute() {
    return location.hash.match(/^#!?\/.*/)?.[0];
  }
  var early = globalThis;
  function takeEarly() {
    early.finchReturn = takeReturn();
  }
  function takeReturn() {
    const routed = hashRoute();
    const { landing, rest } = readReturn(location.href, Date.now());
    if (landing?.completion) memory.write("return", landing);
    if (rest === null) return null;
    const route = memory.read("left")?.route ?? "";
    replaceAddress(rest + route);
    if (routed) dispatchEvent(new PopStateEvent("popstate", { state: history.state }));
    onAddressChange(() => {
      const { rest: rest2 } = readReturn(location.href, Date.now());
      if (rest2 !== null) replaceAddress(rest2 + (hashRoute() ? route : ""));
    });
    return landing;
  }

  // src/finch_return.ts
  if (globalThis.document) takeEarly();
})();
