// <finch-connections>: a customer's payroll connections, as an element for any page.
//
//   <script type="module" src="/finch-connections.js"></script>
//   <finch-connections api-url="https://api.example.com" app-name="Acme Benefits"
//     products="company directory employment"></finch-connections>
//   <script type="module">
//     document.querySelector("finch-connections").getAccessToken = ({ refresh }) => myToken(refresh);
//   </script>
//
// docs/embed.md describes its attributes, properties, events and styles.
// This file is built from frontend/src. Change it there, then run `make page`.


// src/api.ts
var PATIENCE = 4e4;
var GATEWAY_CODES = {
  // The response that the browser does not show.
  0: "unexpected",
  403: "not_allowed",
  404: "route_not_found",
  413: "invalid_request",
  429: "too_many_requests"
};
var Refused = class _Refused extends Error {
  code;
  reference;
  constructor(code, reference) {
    super(code);
    this.code = code;
    this.reference = reference;
  }
  /** The error itself if it is a `Refused`. Any other error is logged and becomes `unexpected`. */
  static from(error) {
    if (error instanceof _Refused) return error;
    console.error(error);
    return new _Refused("unexpected");
  }
};
function connectionPath({ provider_id, company_id }) {
  return `/connections/${segment(provider_id)}/${segment(company_id)}`;
}
function segment(id) {
  if (id === "." || id === "..") return id.replaceAll(".", "~2E");
  return encodeURIComponent(id.replaceAll("~", "~7E")).replaceAll("%", "~");
}
var Api = class {
  #url;
  #signIn;
  #abort = new AbortController();
  constructor(url, signIn) {
    this.#url = url.replace(/\/$/, "");
    this.#signIn = signIn;
  }
  get signal() {
    return this.#abort.signal;
  }
  get closed() {
    return this.signal.aborted;
  }
  /** Ends the requests under way. */
  close() {
    this.#abort.abort();
  }
  page({ cursor, limit, ...filter }) {
    const query = { ...filter, limit: String(limit), ...cursor && { cursor } };
    return this.#call("GET", `/connections?${new URLSearchParams(query)}`);
  }
  async connection(key) {
    return this.#call("GET", connectionPath(key));
  }
  /** Disconnects, and returns the connection as it is afterwards. */
  async disconnect(key) {
    return this.#call("DELETE", connectionPath(key));
  }
  /** Disconnects one entity. The last one disconnects the connection. */
  async disconnectEntity(key, entity) {
    return this.#call("DELETE", `${connectionPath(key)}/entities/${segment(entity.id)}`);
  }
  async connect(body) {
    return this.#call("POST", "/connect-sessions", body);
  }
  async repair(key, body) {
    return this.#call("POST", `${connectionPath(key)}/reauthenticate`, body);
  }
  async finish(body) {
    return this.#call("POST", "/callback", body);
  }
  async #call(method, path, body) {
    let response = await this.#send(method, path, body, false);
    if (response?.status === 401 || response?.type === "error") {
      response = await this.#send(method, path, body, true);
    }
    if (response === null || response.status === 401) {
      this.#signIn.signedOut();
      throw new Refused("unauthorized");
    }
    const { ok, status } = response;
    const content = await response.json().catch(() => {
      if (ok) throw new Refused("unreachable");
      return {};
    });
    if (ok) return content;
    throw new Refused(
      content.code ?? GATEWAY_CODES[status] ?? "unreachable",
      content.reference ?? content.request_id
    );
  }
  /**
   * Sends the request. Returns null if the application provides no access token, and `Response.error()`
   * if the API responds but the browser does not show the response. API Gateway adds CORS headers only
   * to the responses of functions ("Configure CORS for HTTP APIs in API Gateway"), so the browser may not
   * show the gateway's own 401 for an expired token.
   */
  async #send(method, path, body, refresh) {
    this.signal.throwIfAborted();
    const limit = AbortSignal.any([this.signal, AbortSignal.timeout(PATIENCE)]);
    try {
      const token = await within(limit, this.#signIn.token(refresh));
      if (!token) return null;
      return await fetch(this.#url + path, {
        method,
        // A response sets the binding cookie, which the return from Finch needs.
        credentials: "include",
        cache: "no-store",
        headers: {
          authorization: `Bearer ${token}`,
          ...body && { "content-type": "application/json" }
        },
        ...body && { body: JSON.stringify(body) },
        signal: limit
      });
    } catch (error) {
      this.signal.throwIfAborted();
      if (error instanceof TypeError && await this.#responds(limit)) return Response.error();
      this.signal.throwIfAborted();
      const timedOut = error instanceof Error && error.name === "TimeoutError";
      throw error instanceof TypeError || timedOut ? new Refused("unreachable") : error;
    }
  }
  /** Whether the API responds at all. In this mode the browser hides every response, but not a lost network. */
  async #responds(limit) {
    const asked = fetch(`${this.#url}/connections`, { mode: "no-cors", signal: limit });
    return asked.then(
      () => true,
      () => false
    );
  }
};
function within(limit, promised) {
  const { promise, resolve, reject } = Promise.withResolvers();
  limit.addEventListener("abort", () => reject(limit.reason), { once: true });
  promised.then(resolve, reject);
  return promise;
}

// src/browser.ts
function optional(use) {
  try {
    return use() ?? null;
  } catch {
    return null;
  }
}
function openChannel() {
  return optional(() => new BroadcastChannel("finch-connections"));
}
function newObserver(onSight) {
  const seen = (entries) => entries.some((entry) => entry.isIntersecting) && onSight();
  return optional(() => new IntersectionObserver(seen, { rootMargin: "300px" }));
}
function replaceAddress(address) {
  optional(() => history.replaceState(history.state, "", address));
}
function onAddressChange(changed) {
  const page = globalThis;
  optional(() => page.navigation?.addEventListener("currententrychange", changed));
}
var RIGHT_TO_LEFT = ["Adlm", "Arab", "Aran", "Hebr", "Nkoo", "Rohg", "Syrc", "Thaa"];
var formats = {
  plural: (language, n) => optional(() => new Intl.PluralRules(language).select(n)) ?? (n === 1 ? "one" : "other"),
  number: (language, n) => optional(() => new Intl.NumberFormat(language).format(n)) ?? String(n),
  date: (language, date) => optional(() => new Intl.DateTimeFormat(language, { dateStyle: "medium" }).format(date)) ?? date.toISOString().slice(0, 10),
  moment: (language, date) => optional(
    () => new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(date)
  ) ?? date.toISOString(),
  list: (language, items) => optional(() => new Intl.ListFormat(language).format(items)) ?? items.join(", "),
  /** A script that is written from right to left also sets the direction of the layout. */
  direction: (language) => RIGHT_TO_LEFT.includes(optional(() => new Intl.Locale(language).maximize().script) ?? "") ? "rtl" : "ltr",
  /** Null without `Intl.RelativeTimeFormat`. */
  ago: (language, n, unit) => optional(() => new Intl.RelativeTimeFormat(language, { numeric: "auto" }).format(n, unit))
};

// src/connections.ts
var NEEDS_A_PERSON = [
  "reauth",
  "error_permissions",
  "error_no_account_setup",
  "unknown"
];
var PROVIDERS = /* @__PURE__ */ new Map([
  ["adp_run", "RUN Powered by ADP"],
  ["bamboo_hr", "BambooHR"],
  ["gusto", "Gusto"],
  ["justworks", "Justworks"],
  ["paychex_flex", "Paychex Flex"],
  ["rippling", "Rippling"],
  ["trinet", "TriNet"]
]);
var TONES = /* @__PURE__ */ new Map([
  ["connected", "good"],
  ["disconnected", "over"],
  ["disconnecting", "over"],
  ["pending", "wait"],
  ["processing", "wait"]
]);
function keyOf({ provider_id, company_id }) {
  return `${provider_id.replaceAll("~", "~7E").replaceAll("#", "~23")}#${company_id}`;
}
function needsAPerson({ status }) {
  return NEEDS_A_PERSON.includes(status);
}
function toneOf(status) {
  return TONES.get(status) ?? (needsAPerson({ status }) ? "bad" : "over");
}
function grouped(connections, attentionFirst) {
  const isApart = (one) => attentionFirst && needsAPerson(one);
  return {
    attention: connections.filter(isApart),
    active: connections.filter((one) => !isApart(one) && one.status !== "disconnected"),
    ended: connections.filter((one) => one.status === "disconnected")
  };
}
var LATELY = 26 * 60 * 60 * 1e3;
function isCheckedLately(one, now) {
  return !needsAPerson(one) && now - new Date(one.checked_at ?? 0).getTime() < LATELY;
}
function checksPath(connections, complete, now) {
  const living = connections.filter((one) => one.status !== "disconnected");
  const lately = living.filter((one) => isCheckedLately(one, now));
  if (lately.length < 2) return null;
  const all = complete && lately.length === living.length;
  return all ? "list.checked" : "list.othersChecked";
}
function summaryPath(connections, complete) {
  const some = (...statuses) => connections.some((one) => statuses.includes(one.status));
  if (connections.some(needsAPerson)) return "summary.attention";
  if (some("pending", "processing")) return "summary.settling";
  if (some("connected")) return "summary.good";
  const none = complete && connections.every((one) => one.status === "disconnected");
  return none ? "summary.none" : null;
}
function entitiesOf(connection) {
  const entities = connection.logins.flatMap((login) => login.entities);
  return [...new Map(entities.map((entity) => [entity.id, entity])).values()];
}
function isLiving({ status }) {
  return status !== "disconnected" && status !== "disconnecting";
}
function statusDetail(connection) {
  return connection.logins.find((login) => login.status_detail)?.status_detail ?? null;
}
function providerName(one, connections) {
  const elsewhere = () => [...connections].find((other) => other.provider_id === one.provider_id)?.provider_name;
  return one.provider_name ?? elsewhere() ?? PROVIDERS.get(one.provider_id) ?? one.provider_id;
}
function byName(one, other) {
  return (one.name ?? one.id) < (other.name ?? other.id) ? -1 : 1;
}
function initials(name) {
  const words = name.trim().split(/\s+/);
  const [first = "", second = ""] = words[1] ? words.map(([letter]) => letter) : words[0] ?? "";
  return first.toUpperCase() + second;
}
function hueOf(text) {
  let sum = 0;
  for (const letter of text) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 360;
  return sum;
}
function departure(connections, act, now) {
  const existing = [...connections].filter((one) => one.status !== "disconnected");
  return {
    at: now,
    act,
    known: existing.map(keyOf),
    logins: Object.fromEntries(existing.map((one) => [keyOf(one), one.logins.length]))
  };
}
function newest(connections, left, since) {
  const isNew = (one) => left && !left.known.includes(keyOf(one)) && one.status !== "disconnected";
  const at = (one) => Math.max(0, ...one.logins.map(connectedAt));
  return [...connections].filter((one) => isNew(one) || at(one) > since).sort((first, second) => at(second) - at(first))[0];
}
function connectedAt(login) {
  return new Date(login.connected_at).getTime();
}
function resultOf(connection, repaired, left) {
  const key = keyOf(connection);
  const known = left?.known.includes(key);
  if (repaired === false) return "another";
  if (needsAPerson(connection)) return "unhealthy";
  if (repaired) return "repaired";
  if (known && connection.logins.length > (left?.logins[key] ?? 0)) return "login";
  if (known) return "again";
  return connection.status === "pending" ? "settling" : "connected";
}
function repairedFlag(repaired) {
  return repaired === void 0 || repaired === null ? null : String(repaired) === "true";
}

// src/choice.ts
var ORDERS = ["attention", "name", "changed"];
var ATTENTION = "attention";
var EVERYTHING = { text: "", status: "", provider: "", order: "attention" };
var MANY = 8;
function areMany(connections, complete) {
  return connections.size > MANY || !complete;
}
function narrows({ text, status, provider }) {
  return Boolean(text.trim() || status || provider);
}
function needsAll(choice) {
  return narrows(choice) || choice.order !== "attention";
}
function plain(text) {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}
function searchable(one, { company, provider }) {
  const entities = one.logins.flatMap((login) => login.entities);
  return plain(
    [
      company,
      provider,
      one.provider_id,
      one.company_id,
      ...entities.flatMap(({ id, name }) => [id, name]),
      ...one.logins.flatMap(({ account_id, connection_id }) => [account_id, connection_id])
    ].join("\n")
  );
}
function chosen(connections, choice, words, namesOf2) {
  const wanted = plain(choice.text).split(/\s+/).filter(Boolean);
  const label = choice.status && words.status(choice.status);
  const found = [...connections].filter(
    (one) => (!choice.provider || one.provider_id === choice.provider) && (choice.status === ATTENTION ? needsAPerson(one) : !label || words.status(one.status) === label) && (!wanted.length || wanted.every((word) => searchable(one, namesOf2(one)).includes(word)))
  );
  return inOrder(found, choice.order, words.language, namesOf2);
}
function inOrder(connections, order, language, namesOf2) {
  const byKey = (a, b) => keyOf(a) < keyOf(b) ? -1 : 1;
  if (order === "attention") return connections.sort(byKey);
  if (order === "changed") {
    const at = (one) => new Date(one.updated_at).getTime();
    return connections.sort((a, b) => at(b) - at(a) || byKey(a, b));
  }
  const names = new Map(connections.map((one) => [one, namesOf2(one)]));
  const compare = (field, a, b) => (names.get(a)?.[field] ?? "").localeCompare(names.get(b)?.[field] ?? "", language, {
    numeric: true,
    sensitivity: "base"
  });
  return connections.sort(
    (a, b) => compare("company", a, b) || compare("provider", a, b) || byKey(a, b)
  );
}
function byCompany(connections) {
  const companies = /* @__PURE__ */ new Map();
  for (const one of connections) {
    const others = companies.get(one.company_id);
    if (others) others.push(one);
    else companies.set(one.company_id, [one]);
  }
  return [...companies.values()];
}
var STATUSES = [
  ...NEEDS_A_PERSON,
  ...[
    "pending",
    "processing",
    "connected",
    "disconnecting",
    "disconnected"
  ]
];
function statusOptions(connections, { status }, words) {
  const existing = new Set([...connections].map((one) => one.status));
  if (status && status !== ATTENTION) existing.add(status);
  const place = (one) => STATUSES.indexOf(one) + 1 || STATUSES.length + 1;
  const options = /* @__PURE__ */ new Map();
  for (const one of [...existing].sort((a, b) => place(a) - place(b))) {
    const label = words.status(one);
    if (!options.has(label) || one === status) options.set(label, { value: one, label });
  }
  return [...options.values()];
}
function providerOptions(connections, { provider }, words, namesOf2) {
  const names = /* @__PURE__ */ new Map();
  if (provider) names.set(provider, provider);
  for (const one of connections) names.set(one.provider_id, namesOf2(one).provider);
  return [...names].map(([value, label]) => ({ value, label })).sort((a, b) => a.label.localeCompare(b.label, words.language, { sensitivity: "base" }));
}

// src/finch_connect.ts
var FinchConnectFrame = class {
  #frame;
  #ends;
  #attempt = null;
  /** The SDK listens from here on, so the element makes one frame and opens it again. */
  constructor(sdk, connectUrl, ends2) {
    this.#ends = ends2;
    this.#frame = sdk.initialize({
      onSuccess: ({ code, state }) => {
        const attempt = this.#end();
        if (!attempt || state && state !== attempt.state) return;
        this.#ends.succeeded(attempt.act, code, attempt.state, attempt.reference);
      },
      onError: ({ errorMessage, errorType }) => {
        console.warn("Finch Connect:", errorType, errorMessage);
        if (this.#attempt) this.#attempt.failed = true;
        setTimeout(() => document.getElementById("finch-connect-iframe") || this.#closed());
      },
      onClose: () => this.#closed(),
      ...connectUrl && { apiConfig: { connectUrl } }
    });
  }
  /** Opens the frame; after `signal` is aborted, the end of the attempt is ignored. */
  open({ session_id, state, reference }, act, signal) {
    this.#attempt = { act, state, reference, signal, failed: false };
    this.#frame.open({ sessionId: session_id, state, zIndex: 2147483e3 });
  }
  /** Closes the frame and forgets the attempt. */
  close() {
    this.#attempt = null;
    this.#frame.close();
  }
  destroy() {
    this.#attempt = null;
    this.#frame.destroy?.();
  }
  #closed() {
    const attempt = this.#end();
    if (attempt) this.#ends.closed(attempt.act, attempt.failed, attempt.reference);
  }
  #end() {
    const attempt = this.#attempt;
    this.#attempt = null;
    if (!attempt || attempt.signal.aborted) return null;
    this.#ends.ended(attempt.act);
    return attempt;
  }
};

// src/list.ts
var PAGE_SIZE = 25;
var LARGEST_PAGE = 100;
var MOST = 1e3;
async function readList(api, wanted) {
  const reading = { found: /* @__PURE__ */ new Map(), count: 0, last: null, cursor: null };
  const take = (page) => {
    for (const one of page.connections) reading.found.set(keyOf(one), one);
    reading.cursor = page.next_cursor;
  };
  const status = NEEDS_A_PERSON.join(",");
  do {
    take(await api.page({ status, limit: LARGEST_PAGE, cursor: reading.cursor }));
  } while (reading.cursor);
  do {
    const limit = Math.min(LARGEST_PAGE, wanted - reading.count);
    const page = await api.page({ limit, cursor: reading.cursor });
    take(page);
    reading.count += page.connections.length;
    reading.last = page.connections.at(-1) ?? reading.last;
  } while (reading.cursor && reading.count < wanted);
  return reading;
}
function goneFrom(shown, { found, cursor, last }) {
  const isBeyond = (key) => Boolean(cursor && last && key > keyOf(last));
  return [...shown].filter((key) => !found.has(key) && !isBeyond(key));
}
function differences(shown, found) {
  const changed = [...found].filter(([key, one]) => JSON.stringify(shown.get(key)) !== JSON.stringify(one)).map(([, one]) => one);
  const withNewStatus = changed.filter((one) => {
    const before = shown.get(keyOf(one));
    return before && before.status !== one.status;
  });
  return { changed, withNewStatus };
}

// src/texts/de.ts
var de = {
  title: "Verbindungen zur Lohnabrechnung",
  theApplication: "die Anwendung",
  connect: "Weitere verbinden",
  connectFirst: "Lohnabrechnung verbinden",
  addLogin: "Weitere Anmeldung hinzufügen",
  connectAgain: "Neu verbinden",
  repair: "Neu anmelden",
  disconnect: "Trennen",
  keep: "Behalten",
  details: "Details",
  more: "Mehr zeigen",
  tryAgain: "Erneut versuchen",
  dismiss: "Schließen",
  support: "Support kontaktieren",
  reference: "Referenz {id}",
  justNow: "gerade eben",
  named: "{company} bei {provider}",
  action: "{action}: {name}",
  loading: "Ihre Verbindungen werden geladen …",
  slow: "Das dauert länger als sonst.",
  opening: "Finch Connect wird geöffnet …",
  finishing: "Ihre Verbindung wird fertiggestellt …",
  unknownCompany: "Firma {id}",
  list: {
    search: "Suchen",
    hint: "Firma, Anbieter oder ID",
    status: "Status",
    provider: "Anbieter",
    order: "Sortieren nach",
    allStatuses: "Alle Status",
    allProviders: "Alle Anbieter",
    attention: "Dringendes zuerst",
    name: "Name",
    changed: "Letzte Änderung",
    found: { one: "{n} Verbindung gefunden.", other: "{n} Verbindungen gefunden." },
    none: "Keine Verbindung passt dazu.",
    clear: "Zurücksetzen",
    reading: "Alle Verbindungen werden gelesen …",
    cut: "Nur die ersten {n} Verbindungen wurden gelesen. „Mehr zeigen“ liest weiter.",
    checked: "Alle Verbindungen wurden innerhalb des letzten Tages geprüft.",
    othersChecked: "Verbindungen ohne Zeitangabe wurden innerhalb des letzten Tages geprüft."
  },
  andMore: { one: "{name} und eine weitere", other: "{name} und {n} weitere" },
  summary: {
    good: "Alles ist verbunden und in Ordnung.",
    attention: {
      one: "{n} Verbindung erfordert Ihre Aufmerksamkeit",
      other: "{n} Verbindungen erfordern Ihre Aufmerksamkeit"
    },
    none: "Zurzeit ist nichts verbunden.",
    settling: "Einige Verbindungen werden noch eingerichtet. Sie müssen nichts tun."
  },
  sections: {
    attention: "Hier sind Sie gefragt",
    active: "Verbindungen",
    others: "Andere Verbindungen",
    ended: { one: "1 getrennte Verbindung", other: "{n} getrennte Verbindungen" }
  },
  empty: {
    title: "Verbinden Sie Ihre Lohnabrechnung oder Personalverwaltung",
    text: "Damit arbeitet {app} mit aktuellen Daten, ohne Tabellen und ohne Hochladen.",
    password: "Sie melden sich bei Ihrem Anbieter an. Ihr Passwort erfährt {app} nie.",
    control: "Jede Verbindung steht hier, und Sie können sie jederzeit trennen.",
    awaited: "Ihre neue Verbindung erscheint hier von selbst. Sie müssen nicht noch einmal verbinden.",
    asked: "Ihre neue Verbindung erscheint hier, wenn Sie die Frage oben beantwortet haben."
  },
  card: {
    logins: { one: "{n} Anmeldung", other: "{n} Anmeldungen" },
    checked: "Geprüft {when}",
    lastCheck: "Zuletzt geprüft",
    help: "Fragen",
    unchecked: "Noch nicht geprüft",
    login: "Anmeldung {n}",
    since: "verbunden am {date}",
    ended: "Getrennt am {date}",
    changed: "Zuletzt geändert am {date}",
    loginsTitle: "Anmeldungen",
    entities: { one: "{n} Gesellschaft", other: "{n} Gesellschaften" },
    someEntities: "{some} von {n} Gesellschaften",
    companyId: "Firmen-ID",
    accountId: "Konto-ID",
    entity: "Gesellschaft {id}"
  },
  status: {
    pending: {
      label: "Wird eingerichtet",
      reason: "{provider} muss den Zugang noch freigeben. Das kann einige Tage dauern. Sie müssen nichts tun."
    },
    processing: {
      label: "Wird eingerichtet",
      reason: "Die ersten Daten von {provider} sind unterwegs. Sie müssen nichts tun."
    },
    connected: { label: "Verbunden", reason: "" },
    reauth: {
      label: "Anmeldung nötig",
      reason: "{provider} verlangt, dass Sie sich neu anmelden. Bis dahin kommen keine neuen Daten."
    },
    error_permissions: {
      label: "Berechtigung fehlt",
      reason: "Das Konto, das Sie bei {provider} benutzt haben, darf die Daten nicht sehen. Bitten Sie Ihre Verwaltung bei {provider} um mehr Rechte, oder melden Sie sich mit einem Konto neu an, das sie hat."
    },
    error_no_account_setup: {
      label: "Nicht eingerichtet",
      reason: "Ihr Konto bei {provider} ist nicht vollständig eingerichtet. Schließen Sie das bei {provider} ab, und melden Sie sich dann neu an."
    },
    unknown: {
      label: "Problem gemeldet",
      reason: "{provider} meldet ein Problem, das wir nicht kennen („{detail}“). Melden Sie sich neu an: Das löst es meist. Wenn nicht, kontaktieren Sie den Support."
    },
    disconnecting: {
      label: "Wird getrennt",
      reason: "{provider} muss das Ende noch bestätigen. Sie müssen nichts tun."
    },
    disconnected: {
      label: "Getrennt",
      reason: "Es können keine Daten mehr gelesen werden. Verbinden Sie neu, um sie hier zu verwenden."
    }
  },
  otherStatus: {
    label: "Anderer Status",
    reason: "{provider} meldet „{detail}“, was diese Seite noch nicht kennt. Sie müssen nichts tun. Wenn Daten fehlen, kontaktieren Sie den Support."
  },
  problem: {
    connect_again: "Ein anderes Konto hatte diese Firma verbunden und hat sie getrennt. Verbinden Sie sie neu, um sie hier zu verwenden.",
    transferred: "Diese Firma gehört jetzt zu einem anderen Konto. Sie müssen nichts tun. Wenn das falsch ist, kontaktieren Sie den Support.",
    another_company: "Zuletzt haben Sie sich bei einer anderen Firma angemeldet, die jetzt eine eigene Verbindung ist. Melden Sie sich neu an, und wählen Sie diese Firma.",
    disconnect_refused: "{provider} hat es abgelehnt, diese Verbindung zu beenden. Melden Sie sich neu an, und trennen Sie sie dann noch einmal.",
    entity_disconnect_refused: "{provider} hat es abgelehnt, eine Gesellschaft dieser Verbindung zu trennen. Trennen Sie die Gesellschaft noch einmal; wenn das nicht hilft, kontaktieren Sie den Support."
  },
  product: {
    benefits: "Zusatzleistungen",
    company: "Firmendaten",
    deduction: "Abzüge",
    directory: "Beschäftigtenverzeichnis",
    documents: "Dokumente",
    employment: "Stellen und Einkommen",
    individual: "Personendaten",
    payment: "Lohnsummen",
    pay_statement: "Lohnabrechnungen",
    plans: "Leistungspläne",
    plans_dependents: "Angehörige",
    plans_enrollments: "Teilnahmen an Leistungsplänen",
    recordkeeping: "Altersvorsorge",
    ssn: "Sozialversicherungsnummern"
  },
  reads: {
    title: "Was {app} lesen möchte",
    benefits: "Abzüge und Beiträge für Zusatzleistungen, und wer teilnimmt",
    company: "rechtlicher Name, Steuernummer, Adressen, Abteilungen und Bankkonten der Firma",
    deduction: "Beträge, die für Zusatzleistungen abgezogen werden, und wer teilnimmt",
    directory: "Namen, Abteilungen und Vorgesetzte aller Beschäftigten",
    documents: "Steuerformulare und andere Dokumente der Beschäftigten",
    employment: "Stellenbezeichnungen, Beginn und Ende, Art der Beschäftigung und Einkommen",
    individual: "Wohnadressen, Geburtsdaten, E-Mail-Adressen und Telefonnummern",
    payment: "Daten und Summen jeder Lohnabrechnung",
    pay_statement: "Lohn, Steuern und Abzüge jeder Person in jeder Lohnabrechnung",
    plans: "die Leistungspläne der Firma und ihre Bedingungen",
    plans_dependents: "Angehörige, die ein Plan einschließt",
    plans_enrollments: "wer an welchem Plan teilnimmt",
    recordkeeping: "Beiträge zur Altersvorsorge und ihr Stand",
    ssn: "die Sozialversicherungsnummer jeder Person"
  },
  confirm: {
    checking: "Einen Moment: Wir sehen nach, was verbunden wurde …",
    title: "Waren Sie das?",
    text: "Gerade hat sich jemand bei einem Anbieter angemeldet, um dieses Konto zu verbinden. Verbinden Sie es nur, wenn Sie das waren und die Firma kennen.",
    provider: "Anbieter",
    company: "Firma",
    yes: "Ja, verbinden",
    no: "Nein, das war ich nicht",
    rejected: "Nichts wurde verbunden",
    rejectedText: "Dieser Versuch endet von selbst binnen eines Tages.",
    foreign: "Das ist nicht für Ihr Konto",
    foreignText: "Dieser Versuch wurde mit einem anderen Konto begonnen, oder vor zu langer Zeit. Haben Sie ihn selbst begonnen, dann melden Sie sich hier mit jenem Konto an."
  },
  result: {
    connected: "{name} ist verbunden",
    connectedText: "Die ersten Daten brauchen vielleicht einige Minuten.",
    settling: "{name} wird eingerichtet",
    again: "{name} war schon verbunden",
    againText: "Der Zugang wurde erneuert. Sonst hat sich nichts geändert.",
    login: "Eine weitere Anmeldung gehört jetzt zu {name}",
    loginText: "Die anderen Anmeldungen bleiben, wie sie sind.",
    repaired: "{name} ist wieder in Ordnung",
    repairedText: "Neue Daten kommen wieder wie zuvor.",
    another: "{name} ist verbunden, aber es ist nicht die Verbindung, um die es ging",
    anotherText: "Sie haben sich bei etwas anderem angemeldet. Das ist jetzt eine eigene Verbindung; die andere braucht Sie noch.",
    unhealthy: "{name} ist verbunden, aber noch nicht in Ordnung",
    pending: "Fast geschafft",
    pendingText: "Finch ist noch nicht fertig. Ihre Verbindung erscheint hier von selbst, meist binnen Minuten. Sie müssen nicht noch einmal verbinden.",
    failed: "Das hat nicht geklappt",
    refused: "Nichts wurde verbunden",
    closedText: "Sie haben Finch Connect vor dem Ende geschlossen.",
    disconnected: "{name} ist getrennt",
    disconnectedText: "Von jetzt an kann {app} hier nichts mehr lesen.",
    disconnecting: "{name} wird getrennt",
    disconnectingText: "Der Anbieter muss es noch bestätigen. Das geht von selbst weiter, auch wenn Sie diese Seite verlassen.",
    entityDisconnected: "Eine Gesellschaft von {name} ist getrennt",
    entityDisconnectedText: "Von jetzt an kann {app} hier nichts mehr lesen. Die anderen bleiben verbunden.",
    entityDisconnecting: "Eine Gesellschaft von {name} wird getrennt",
    entityDisconnectingText: "Der Anbieter muss es noch bestätigen. Das geht von selbst weiter, auch wenn Sie diese Seite verlassen.",
    stale: "Diese Liste konnte nicht aktualisiert werden",
    staleText: "Stand: {when}.",
    unavailable: "Ihre Verbindungen können nicht gezeigt werden"
  },
  dialog: {
    title: "{name} trennen?",
    stops: "{app} erhält dann keine Daten mehr von {provider} für {company}. Das beendet:",
    stopsEntity: "{app} erhält dann keine Daten mehr von {provider} für {name}. Die anderen Gesellschaften bleiben verbunden.",
    entities: "Es endet für alle ihre Gesellschaften: {names}.",
    stays: "Ihre anderen Verbindungen bleiben, wie sie sind.",
    undo: "Um es rückgängig zu machen, müssten Sie sich bei {provider} neu anmelden.",
    working: "Wird getrennt …"
  },
  changed: "{name}: {status}",
  failure: {
    access_denied: "Sie haben Finch Connect verlassen, ohne den Zugang zu erlauben.",
    cannot_connect: "Diese Firma kann nicht mit Ihrem Konto verbunden werden, meist weil ein anderes Konto sie hat. Trennen Sie sie zuerst dort, oder kontaktieren Sie den Support.",
    code_rejected: "Finch hat diesen Versuch nicht angenommen. Bitte verbinden Sie neu.",
    connection_busy: "Diese Verbindung wird gerade geändert. Warten Sie einen Moment, und versuchen Sie es erneut.",
    connection_ended: "Die Verbindung endete beim Anbieter, bevor sie fertig war. Bitte verbinden Sie neu.",
    connection_limit: "Ihr Konto hat so viele Verbindungen, wie es haben darf. Trennen Sie zuerst eine, oder fügen Sie ihr in ihren Details eine weitere Anmeldung hinzu.",
    connection_not_found: "Diese Verbindung gibt es nicht mehr. Wenn Sie sie noch brauchen, verbinden Sie neu.",
    customer_unknown: "Ihre Anmeldung sagt nicht, zu welchem Konto Sie gehören. Melden Sie sich neu an, oder kontaktieren Sie den Support.",
    disconnect_refused: "Der Anbieter hat es abgelehnt, diese Verbindung zu beenden. Melden Sie sich dort neu an, und trennen Sie sie dann noch einmal.",
    exchange_uncertain: "Die Antwort von Finch ging verloren. Bitte verbinden Sie neu; der frühere Versuch hindert Sie nicht daran.",
    finch_misconfigured: "Verbinden geht zurzeit nicht. Wir wissen davon; bitte versuchen Sie es später.",
    finch_refused: "Finch hat diese Anfrage nicht angenommen. Bitte versuchen Sie es erneut, oder mit einem anderen Anbieter. Hilft auch das nicht, kontaktieren Sie den Support.",
    finch_unavailable: "Finch ist zurzeit nicht zu erreichen. Bitte versuchen Sie es in einigen Minuten erneut.",
    not_allowed: "Ihre Anmeldung erlaubt das nicht. Melden Sie sich neu an, oder kontaktieren Sie den Support.",
    internal_error: "Bei uns ging etwas schief. Bitte versuchen Sie es erneut. Geschieht es wieder, kontaktieren Sie den Support.",
    invalid_request: "Diese Anfrage war nicht gültig. Laden Sie die Seite neu, und fangen Sie neu an. Geschieht es wieder, kontaktieren Sie den Support.",
    mode_not_allowed: "Diese Seite ist nicht dafür eingerichtet, so zu verbinden. Sie können hier nichts tun; kontaktieren Sie den Support.",
    return_to_not_allowed: "Diese Seite ist nicht zum Verbinden eingerichtet. Öffnen Sie sie unter ihrer üblichen Adresse, oder kontaktieren Sie den Support.",
    route_not_found: "Diesen Teil des Dienstes gibt es nicht. Laden Sie die Seite neu. Geschieht es wieder, kontaktieren Sie den Support.",
    session_expired: "Dieser Link oder Versuch ist zu alt. Bitte verbinden Sie neu.",
    session_not_found: "Dieser Versuch ist nicht bekannt oder nicht Ihrer. Bitte verbinden Sie neu.",
    session_used: "Dieser Versuch wurde schon benutzt. Steht Ihre Verbindung nicht hier, dann verbinden Sie neu.",
    signature_invalid: "Diese Nachricht kommt nicht von Finch. Bitte fangen Sie neu an.",
    too_many_logins: "Diese Verbindung hat die größtmögliche Zahl von Anmeldungen. Trennen Sie sie, und verbinden Sie sie neu.",
    too_many_requests: "Das war zu oft. Warten Sie einige Minuten, und versuchen Sie es erneut.",
    unauthorized: "Ihre Anmeldung ist abgelaufen. Bitte melden Sie sich neu an.",
    unreachable: "Der Dienst antwortet nicht. Prüfen Sie Ihr Netz, und versuchen Sie es erneut.",
    unexpected: "Etwas Unerwartetes ist geschehen. Bitte versuchen Sie es erneut. Geschieht es wieder, kontaktieren Sie den Support."
  }
};

// src/texts/en.ts
var en = {
  title: "Payroll connections",
  theApplication: "the application",
  connect: "Connect another",
  connectFirst: "Connect payroll",
  addLogin: "Add another login",
  connectAgain: "Connect again",
  repair: "Sign in again",
  disconnect: "Disconnect",
  keep: "Keep it",
  details: "Details",
  more: "Show more",
  tryAgain: "Try again",
  dismiss: "Dismiss",
  support: "Contact support",
  reference: "Reference {id}",
  justNow: "just now",
  named: "{company} at {provider}",
  action: "{action}: {name}",
  loading: "Loading your connections…",
  slow: "This takes longer than usual.",
  opening: "Opening Finch Connect…",
  finishing: "Finishing your connection…",
  unknownCompany: "Company {id}",
  list: {
    search: "Search",
    hint: "Company, provider or ID",
    status: "Status",
    provider: "Provider",
    order: "Sort by",
    allStatuses: "All statuses",
    allProviders: "All providers",
    attention: "Attention first",
    name: "Name",
    changed: "Last changed",
    found: { one: "{n} connection found.", other: "{n} connections found." },
    none: "No connection matches.",
    clear: "Clear",
    reading: "Reading all connections…",
    cut: "Only the first {n} connections were read. “Show more” reads more.",
    checked: "All connections were checked within the last day.",
    othersChecked: "Connections that show no time were checked within the last day."
  },
  andMore: { one: "{name} and one more", other: "{name} and {n} more" },
  summary: {
    good: "Everything is connected and working.",
    attention: {
      one: "{n} connection needs your attention",
      other: "{n} connections need your attention"
    },
    none: "Nothing is connected at the moment.",
    settling: "Some connections are being set up. You need do nothing."
  },
  sections: {
    attention: "Needs your attention",
    active: "Connections",
    others: "Other connections",
    ended: { one: "1 disconnected connection", other: "{n} disconnected connections" }
  },
  empty: {
    title: "Connect your payroll or HR system",
    text: "It lets {app} work with up-to-date data, without spreadsheets and uploads.",
    password: "You sign in at your provider. Your password never reaches {app}.",
    control: "You see every connection here, and can disconnect it at any time.",
    awaited: "Your new connection appears here by itself. You need not connect again.",
    asked: "Your new connection appears here after you have answered the question above."
  },
  card: {
    logins: { one: "{n} login", other: "{n} logins" },
    checked: "Checked {when}",
    lastCheck: "Last checked",
    help: "Questions",
    unchecked: "Not checked yet",
    login: "Login {n}",
    since: "connected {date}",
    ended: "Disconnected on {date}",
    changed: "Last changed on {date}",
    loginsTitle: "Logins",
    entities: { one: "{n} legal entity", other: "{n} legal entities" },
    someEntities: "{some} of {n} legal entities",
    companyId: "Company ID",
    accountId: "Account ID",
    entity: "Entity {id}"
  },
  status: {
    pending: {
      label: "Setting up",
      reason: "{provider} still has to grant access. This can take some days. You need do nothing."
    },
    processing: {
      label: "Setting up",
      reason: "Your first data is on its way from {provider}. You need do nothing."
    },
    connected: { label: "Connected", reason: "" },
    reauth: {
      label: "Sign-in needed",
      reason: "{provider} asks you to sign in again. No new data arrives until then."
    },
    error_permissions: {
      label: "Permission missing",
      reason: "The account that you used at {provider} is not allowed to see the data. Ask your administrator at {provider} for more rights, or sign in again with an account that has them."
    },
    error_no_account_setup: {
      label: "Not set up",
      reason: "Your account at {provider} is not set up completely. Complete it at {provider}, then sign in again."
    },
    unknown: {
      label: "Problem reported",
      reason: "{provider} reports a problem that we do not know (“{detail}”). Sign in again: this usually solves it. If not, contact support."
    },
    disconnecting: {
      label: "Disconnecting",
      reason: "{provider} still has to confirm the end. You need do nothing."
    },
    disconnected: {
      label: "Disconnected",
      reason: "No data can be read any more. Connect it again to use it here."
    }
  },
  otherStatus: {
    label: "Other status",
    reason: "{provider} reports “{detail}”, which this page does not know yet. You need do nothing. If data is missing, contact support."
  },
  problem: {
    connect_again: "Another account had connected this company and has disconnected it. Connect it again to use it here.",
    transferred: "This company now belongs to another account. You need do nothing. If this is wrong, contact support.",
    another_company: "The last time you signed in to another company, which is now a connection of its own. Sign in again, and choose this company.",
    disconnect_refused: "{provider} refused to end this connection. Sign in again, then disconnect it once more.",
    entity_disconnect_refused: "{provider} refused to disconnect a legal entity of this connection. Disconnect the entity once more; if that fails, contact support."
  },
  product: {
    benefits: "benefits",
    company: "company details",
    deduction: "deductions",
    directory: "employee directory",
    documents: "documents",
    employment: "jobs and income",
    individual: "personal details",
    payment: "payroll totals",
    pay_statement: "pay statements",
    plans: "benefit plans",
    plans_dependents: "dependents",
    plans_enrollments: "plan enrollments",
    recordkeeping: "retirement records",
    ssn: "social security numbers"
  },
  reads: {
    title: "What {app} asks to read",
    benefits: "deductions and contributions for benefits, and who takes part",
    company: "legal name, tax number, addresses, departments and bank accounts of the company",
    deduction: "amounts that are deducted for benefits, and who takes part",
    directory: "names, departments and managers of all employees",
    documents: "tax forms and other documents of employees",
    employment: "job titles, start and end dates, employment types and income",
    individual: "home addresses, dates of birth, e-mail addresses and phone numbers",
    payment: "dates and totals of each payroll run",
    pay_statement: "pay, taxes and deductions of each employee in each payroll run",
    plans: "the benefit plans of the company and their terms",
    plans_dependents: "family members whom a plan covers",
    plans_enrollments: "who takes part in which plan",
    recordkeeping: "contributions to retirement plans and their balances",
    ssn: "the social security number of each employee"
  },
  confirm: {
    checking: "One moment: we look up what was connected…",
    title: "Was this you?",
    text: "A user has just signed in at a provider to connect this account. Connect it only if it was you and you know the company.",
    provider: "Provider",
    company: "Company",
    yes: "Yes, connect it",
    no: "No, that was not me",
    rejected: "Nothing was connected",
    rejectedText: "This attempt ends by itself within a day.",
    foreign: "This is not for your account",
    foreignText: "This attempt was started with another account, or too long ago. If you started it yourself, sign in here with that account."
  },
  result: {
    connected: "{name} is connected",
    connectedText: "The first data may take a few minutes.",
    settling: "{name} is being set up",
    again: "{name} was connected already",
    againText: "Its access has been renewed. Nothing else has changed.",
    login: "Another login was added to {name}",
    loginText: "Its other logins stay as they are.",
    repaired: "{name} works again",
    repairedText: "New data will arrive as before.",
    another: "{name} is connected, but it is not the one you wanted to repair",
    anotherText: "You signed in to something else. That is a connection of its own now; the other one still needs you.",
    unhealthy: "{name} is connected, but not working yet",
    pending: "Almost there",
    pendingText: "Finch has not finished yet. Your connection appears here by itself, most often within minutes. You need not connect again.",
    failed: "That did not work",
    refused: "Nothing was connected",
    closedText: "You closed Finch Connect before the end.",
    disconnected: "{name} is disconnected",
    disconnectedText: "From now on {app} cannot read it any more.",
    disconnecting: "{name} is being disconnected",
    disconnectingText: "The provider still has to confirm. It goes on by itself, also when you leave this page.",
    entityDisconnected: "A legal entity of {name} is disconnected",
    entityDisconnectedText: "From now on {app} cannot read it any more. The others stay connected.",
    entityDisconnecting: "A legal entity of {name} is being disconnected",
    entityDisconnectingText: "The provider still has to confirm. It goes on by itself, also when you leave this page.",
    stale: "This list could not be updated",
    staleText: "What you see is from {when}.",
    unavailable: "Your connections cannot be shown"
  },
  dialog: {
    title: "Disconnect {name}?",
    stops: "{app} will stop receiving data for {company} from {provider}. This ends:",
    stopsEntity: "{app} will stop receiving data for {name} from {provider}. The other legal entities stay connected.",
    entities: "It ends for all of its legal entities: {names}.",
    stays: "Your other connections stay as they are.",
    undo: "To undo it, you would have to sign in at {provider} again.",
    working: "Disconnecting…"
  },
  changed: "{name}: {status}",
  failure: {
    access_denied: "You left Finch Connect without giving access.",
    cannot_connect: "This company cannot be connected to your account, most often because another account has it. Disconnect it there first, or contact support.",
    code_rejected: "Finch did not accept this attempt. Please connect again.",
    connection_busy: "This connection is being changed right now. Wait a moment, then try again.",
    connection_ended: "The connection ended at the provider before it was finished. Please connect again.",
    connection_limit: "Your account has as many connections as it may have. Disconnect one first, or open its details to add another login to it.",
    connection_not_found: "This connection no longer exists. If you still need it, connect it again.",
    customer_unknown: "Your sign-in does not say which account you belong to. Sign in again, or contact support.",
    disconnect_refused: "The provider refused to end this connection. Sign in to it again, then disconnect it once more.",
    exchange_uncertain: "Finch's response was lost. Please connect again; the earlier attempt will not block you.",
    finch_misconfigured: "Connecting does not work at the moment. We have been notified; please try again later.",
    finch_refused: "Finch did not accept this request. Please try again, or with another provider. If that fails too, contact support.",
    finch_unavailable: "Finch cannot be reached at the moment. Please try again in a few minutes.",
    not_allowed: "Your sign-in does not allow this. Sign in again, or contact support.",
    internal_error: "Something went wrong on our side. Please try again. If it happens again, contact support.",
    invalid_request: "This request was not valid. Reload the page and start again. If it happens again, contact support.",
    mode_not_allowed: "This page is not set up to connect in this way. You can do nothing here; contact support.",
    return_to_not_allowed: "This page is not set up to connect. Open it at its usual address, or contact support.",
    route_not_found: "This part of the service was not found. Reload the page. If it happens again, contact support.",
    session_expired: "This link or attempt is too old. Please connect again.",
    session_not_found: "This attempt is not known, or not yours. Please connect again.",
    session_used: "This attempt was used already. If your connection is not listed here, connect again.",
    signature_invalid: "This message does not come from Finch. Please start again.",
    too_many_logins: "This connection has the largest possible number of logins. Disconnect it, then connect it again.",
    too_many_requests: "That was too often. Wait a few minutes, then try again.",
    unauthorized: "Your sign-in has ended. Please sign in again.",
    unreachable: "The service does not answer. Check your network, then try again.",
    unexpected: "Something unexpected happened. Please try again. If it happens again, contact support."
  }
};

// src/texts/es.ts
var es = {
  title: "Conexiones de nómina",
  theApplication: "la aplicación",
  connect: "Conectar otro sistema",
  connectFirst: "Conectar la nómina",
  addLogin: "Añadir otro acceso",
  connectAgain: "Volver a conectar",
  repair: "Iniciar sesión de nuevo",
  disconnect: "Desconectar",
  keep: "Conservar",
  details: "Detalles",
  more: "Mostrar más",
  tryAgain: "Volver a intentar",
  dismiss: "Cerrar",
  support: "Contactar con soporte",
  reference: "Referencia {id}",
  justNow: "ahora mismo",
  named: "{company} en {provider}",
  action: "{action}: {name}",
  loading: "Cargando sus conexiones…",
  slow: "Está tardando más de lo habitual.",
  opening: "Abriendo Finch Connect…",
  finishing: "Terminando su conexión…",
  unknownCompany: "Empresa {id}",
  list: {
    search: "Buscar",
    hint: "Empresa, proveedor o ID",
    status: "Estado",
    provider: "Proveedor",
    order: "Ordenar por",
    allStatuses: "Todos los estados",
    allProviders: "Todos los proveedores",
    attention: "Lo urgente primero",
    name: "Nombre",
    changed: "Último cambio",
    found: { one: "{n} conexión encontrada.", other: "{n} conexiones encontradas." },
    none: "Ninguna conexión coincide.",
    clear: "Borrar",
    reading: "Leyendo todas las conexiones…",
    cut: "Solo se han leído las primeras {n} conexiones. «Mostrar más» lee más.",
    checked: "Todas las conexiones se comprobaron en el último día.",
    othersChecked: "Las conexiones sin hora indicada se comprobaron en el último día."
  },
  andMore: { one: "{name} y una más", other: "{name} y {n} más" },
  summary: {
    good: "Todo está conectado y funciona.",
    attention: {
      one: "{n} conexión requiere su atención",
      other: "{n} conexiones requieren su atención"
    },
    none: "En este momento no hay nada conectado.",
    settling: "Algunas conexiones se están preparando. Usted no tiene que hacer nada."
  },
  sections: {
    attention: "Requieren su atención",
    active: "Conexiones",
    others: "Otras conexiones",
    ended: { one: "1 conexión finalizada", other: "{n} conexiones finalizadas" }
  },
  empty: {
    title: "Conecte su sistema de nómina o de recursos humanos",
    text: "Así {app} trabaja con datos al día, sin hojas de cálculo y sin subir archivos.",
    password: "Usted inicia sesión en su proveedor. Su contraseña nunca llega a {app}.",
    control: "Aquí ve todas las conexiones y puede desconectarlas cuando quiera.",
    awaited: "Su nueva conexión aparecerá aquí por sí sola. No hace falta que conecte otra vez.",
    asked: "Su nueva conexión aparecerá aquí cuando haya respondido a la pregunta de arriba."
  },
  card: {
    logins: { one: "{n} acceso", other: "{n} accesos" },
    checked: "Comprobada {when}",
    lastCheck: "Última comprobación",
    help: "¿Preguntas?",
    unchecked: "Aún sin comprobar",
    login: "Acceso {n}",
    since: "conectado el {date}",
    ended: "Finalizada el {date}",
    changed: "Último cambio: {date}",
    loginsTitle: "Accesos",
    entities: { one: "{n} entidad jurídica", other: "{n} entidades jurídicas" },
    someEntities: "{some} de {n} entidades jurídicas",
    companyId: "ID de la empresa",
    accountId: "ID de la cuenta",
    entity: "Entidad {id}"
  },
  status: {
    pending: {
      label: "En preparación",
      reason: "Falta que {provider} autorice el acceso a los datos. Puede tardar unos días. Usted no tiene que hacer nada."
    },
    processing: {
      label: "En preparación",
      reason: "Los primeros datos de {provider} están en camino. Usted no tiene que hacer nada."
    },
    connected: { label: "Conexión activa", reason: "" },
    reauth: {
      label: "Falta iniciar sesión",
      reason: "{provider} le pide que inicie sesión de nuevo. Hasta entonces no llegan datos nuevos."
    },
    error_permissions: {
      label: "Falta un permiso",
      reason: "La cuenta que usó en {provider} no puede ver los datos. Pida más permisos a su administrador en {provider}, o inicie sesión de nuevo con una cuenta que los tenga."
    },
    error_no_account_setup: {
      label: "Sin configurar",
      reason: "Su cuenta en {provider} no está configurada por completo. Complétela en {provider} y luego inicie sesión de nuevo."
    },
    unknown: {
      label: "Problema comunicado",
      reason: "{provider} comunica un problema que no conocemos («{detail}»). Inicie sesión de nuevo: suele bastar. Si no, contacte con soporte."
    },
    disconnecting: {
      label: "Desconexión en curso",
      reason: "Falta que {provider} confirme el final. Usted no tiene que hacer nada."
    },
    disconnected: {
      label: "Conexión finalizada",
      reason: "Ya no se pueden leer datos. Vuelva a conectarla para usarla aquí."
    }
  },
  otherStatus: {
    label: "Otro estado",
    reason: "{provider} comunica «{detail}», que esta página aún no conoce. Usted no tiene que hacer nada. Si faltan datos, contacte con soporte."
  },
  problem: {
    connect_again: "Otra cuenta tenía conectada esta empresa y la ha desconectado. Vuelva a conectarla para usarla aquí.",
    transferred: "Esta empresa pertenece ahora a otra cuenta. Usted no tiene que hacer nada. Si es un error, contacte con soporte.",
    another_company: "La última vez inició sesión en otra empresa, que ahora es una conexión aparte. Inicie sesión de nuevo y elija esta empresa.",
    disconnect_refused: "{provider} no ha aceptado finalizar esta conexión. Inicie sesión de nuevo y vuelva a desconectarla.",
    entity_disconnect_refused: "{provider} no ha aceptado desconectar una entidad jurídica de esta conexión. Vuelva a desconectarla; si no funciona, contacte con soporte."
  },
  product: {
    benefits: "beneficios",
    company: "datos de la empresa",
    deduction: "deducciones",
    directory: "directorio de empleados",
    documents: "documentos",
    employment: "puestos e ingresos",
    individual: "datos personales",
    payment: "totales de nómina",
    pay_statement: "recibos de nómina",
    plans: "planes de beneficios",
    plans_dependents: "familiares a cargo",
    plans_enrollments: "inscripciones en planes",
    recordkeeping: "registros de jubilación",
    ssn: "números de la Seguridad Social"
  },
  reads: {
    title: "Datos que {app} solicita leer",
    benefits: "deducciones y aportaciones para beneficios, y quién participa",
    company: "nombre legal, número fiscal, direcciones, departamentos y cuentas bancarias de la empresa",
    deduction: "importes que se descuentan para beneficios, y quién participa",
    directory: "nombres, departamentos y responsables de todos los empleados",
    documents: "formularios fiscales y otros documentos de los empleados",
    employment: "puestos, fechas de inicio y fin, tipos de contrato e ingresos",
    individual: "domicilios, fechas de nacimiento, correos electrónicos y teléfonos",
    payment: "fechas y totales de cada nómina",
    pay_statement: "salario, impuestos y deducciones de cada empleado en cada nómina",
    plans: "los planes de beneficios de la empresa y sus condiciones",
    plans_dependents: "familiares que un plan cubre",
    plans_enrollments: "quién participa en qué plan",
    recordkeeping: "aportaciones a planes de jubilación y sus saldos",
    ssn: "el número de la Seguridad Social de cada empleado"
  },
  confirm: {
    checking: "Un momento: estamos viendo qué se ha conectado…",
    title: "¿Ha sido usted?",
    text: "Alguien acaba de iniciar sesión en un proveedor para conectar esta cuenta. Conéctela solo si ha sido usted y conoce la empresa.",
    provider: "Proveedor",
    company: "Empresa",
    yes: "Sí, conectar",
    no: "No, no he sido yo",
    rejected: "No se ha conectado nada",
    rejectedText: "Este intento termina por sí solo en menos de un día.",
    foreign: "Esto no es para su cuenta",
    foreignText: "Este intento se empezó con otra cuenta, o hace demasiado tiempo. Si lo empezó usted, inicie sesión aquí con esa cuenta."
  },
  result: {
    connected: "Conexión establecida: {name}",
    connectedText: "Los primeros datos pueden tardar unos minutos.",
    settling: "Conexión en preparación: {name}",
    again: "Ya existía la conexión: {name}",
    againText: "Se ha renovado la autorización. No ha cambiado nada más.",
    login: "Se ha añadido otro acceso a {name}",
    loginText: "Los demás accesos siguen como estaban.",
    repaired: "Vuelve a funcionar: {name}",
    repairedText: "Los datos nuevos llegarán como antes.",
    another: "Conexión establecida: {name}, pero no es la que quería reparar",
    anotherText: "Ha iniciado sesión en otro sistema. Ahora es una conexión aparte; la otra aún requiere su atención.",
    unhealthy: "Conexión establecida: {name}, pero aún no funciona",
    pending: "Casi listo",
    pendingText: "Finch aún no ha terminado. Su conexión aparecerá aquí por sí sola, casi siempre en unos minutos. No hace falta que conecte otra vez.",
    failed: "No ha funcionado",
    refused: "No se ha conectado nada",
    closedText: "Cerró Finch Connect antes del final.",
    disconnected: "Conexión finalizada: {name}",
    disconnectedText: "A partir de ahora {app} ya no puede leer estos datos.",
    disconnecting: "Desconexión en curso: {name}",
    disconnectingText: "Falta que el proveedor lo confirme. El proceso sigue por sí solo, también si sale de esta página.",
    entityDisconnected: "Se ha desconectado una entidad jurídica de {name}",
    entityDisconnectedText: "A partir de ahora {app} ya no puede leer sus datos. Las demás siguen conectadas.",
    entityDisconnecting: "Se está desconectando una entidad jurídica de {name}",
    entityDisconnectingText: "Falta que el proveedor lo confirme. El proceso sigue por sí solo, también si sale de esta página.",
    stale: "No se ha podido actualizar esta lista",
    staleText: "Lo que ve se actualizó {when}.",
    unavailable: "No se pueden mostrar sus conexiones"
  },
  dialog: {
    title: "¿Desconectar {name}?",
    stops: "{app} dejará de recibir datos de {company} desde {provider}. Finalizará lo siguiente:",
    stopsEntity: "{app} dejará de recibir datos de {name} desde {provider}. Las demás entidades jurídicas siguen conectadas.",
    entities: "Finaliza para todas sus entidades jurídicas: {names}.",
    stays: "Sus otras conexiones siguen como están.",
    undo: "Para deshacerlo, tendría que volver a iniciar sesión en {provider}.",
    working: "Desconectando…"
  },
  changed: "{name}: {status}",
  failure: {
    access_denied: "Salió de Finch Connect sin autorizar el acceso a los datos.",
    cannot_connect: "Esta empresa no se puede conectar a su cuenta, casi siempre porque la tiene otra cuenta. Desconéctela primero allí o contacte con soporte.",
    code_rejected: "Finch no ha aceptado este intento. Vuelva a conectar, por favor.",
    connection_busy: "Esta conexión se está modificando ahora mismo. Espere un momento y vuelva a intentarlo.",
    connection_ended: "La conexión terminó en el proveedor antes de completarse. Vuelva a conectar, por favor.",
    connection_limit: "Su cuenta ya tiene todas las conexiones que puede tener. Desconecte una primero, o abra sus detalles para añadirle otro acceso.",
    connection_not_found: "Esta conexión ya no existe. Si todavía la necesita, vuelva a conectarla.",
    customer_unknown: "Su sesión no indica a qué cuenta pertenece. Inicie sesión de nuevo o contacte con soporte.",
    disconnect_refused: "El proveedor no ha aceptado finalizar esta conexión. Inicie sesión de nuevo en él y vuelva a desconectarla.",
    exchange_uncertain: "Se perdió la respuesta de Finch. Vuelva a conectar, por favor; el intento anterior no se lo impedirá.",
    finch_misconfigured: "En este momento no se puede conectar. Ya estamos al tanto; vuelva a intentarlo más tarde, por favor.",
    finch_refused: "Finch no ha aceptado esta solicitud. Vuelva a intentarlo, por favor, o con otro proveedor. Si tampoco funciona, contacte con soporte.",
    finch_unavailable: "En este momento no se puede contactar con Finch. Vuelva a intentarlo en unos minutos, por favor.",
    not_allowed: "Su sesión no permite hacer esto. Inicie sesión de nuevo o contacte con soporte.",
    internal_error: "Algo ha fallado por nuestra parte. Vuelva a intentarlo, por favor. Si se repite, contacte con soporte.",
    invalid_request: "La solicitud no era válida. Vuelva a cargar la página y empiece de nuevo. Si se repite, contacte con soporte.",
    mode_not_allowed: "Esta página no está preparada para conectar de esta manera. Usted no puede hacer nada aquí; contacte con soporte.",
    return_to_not_allowed: "Esta página no está preparada para conectar. Ábrala en su dirección habitual o contacte con soporte.",
    route_not_found: "No se ha encontrado esta parte del servicio. Vuelva a cargar la página. Si se repite, contacte con soporte.",
    session_expired: "Este enlace o intento es demasiado antiguo. Vuelva a conectar, por favor.",
    session_not_found: "Este intento no se conoce o no es suyo. Vuelva a conectar, por favor.",
    session_used: "Este intento ya se ha usado. Si su conexión no aparece aquí, vuelva a conectar.",
    signature_invalid: "Este mensaje no procede de Finch. Empiece de nuevo, por favor.",
    too_many_logins: "Esta conexión tiene el máximo número posible de accesos. Desconéctela y vuelva a conectarla.",
    too_many_requests: "Demasiados intentos. Espere unos minutos y vuelva a intentarlo.",
    unauthorized: "Su sesión ha terminado. Inicie sesión de nuevo, por favor.",
    unreachable: "El servicio no responde. Compruebe su red y vuelva a intentarlo.",
    unexpected: "Ha ocurrido algo inesperado. Vuelva a intentarlo, por favor. Si se repite, contacte con soporte."
  }
};

// src/texts/fr.ts
var fr = {
  title: "Connexions de paie",
  theApplication: "l’application",
  connect: "Connecter un autre système",
  connectFirst: "Connecter la paie",
  addLogin: "Ajouter un identifiant",
  connectAgain: "Connecter à nouveau",
  repair: "S’identifier à nouveau",
  disconnect: "Déconnecter",
  keep: "Conserver",
  details: "Détails",
  more: "Afficher plus",
  tryAgain: "Réessayer",
  dismiss: "Fermer",
  support: "Contacter l’assistance",
  reference: "Référence {id}",
  justNow: "à l’instant",
  named: "{company} chez {provider}",
  action: "{action} : {name}",
  loading: "Chargement de vos connexions…",
  slow: "Cela prend plus de temps que d’habitude.",
  opening: "Ouverture de Finch Connect…",
  finishing: "Votre connexion se termine…",
  unknownCompany: "Entreprise {id}",
  list: {
    search: "Rechercher",
    hint: "Entreprise, fournisseur ou ID",
    status: "Statut",
    provider: "Fournisseur",
    order: "Trier par",
    allStatuses: "Tous les statuts",
    allProviders: "Tous les fournisseurs",
    attention: "À traiter d’abord",
    name: "Nom",
    changed: "Dernière modification",
    found: { one: "{n} connexion trouvée.", other: "{n} connexions trouvées." },
    none: "Aucune connexion ne correspond.",
    clear: "Effacer",
    reading: "Lecture de toutes les connexions…",
    cut: "Seules les {n} premières connexions ont été lues. « Afficher plus » en lit davantage.",
    checked: "Toutes les connexions ont été vérifiées au cours des dernières 24 heures.",
    othersChecked: "Les connexions sans heure indiquée ont été vérifiées au cours des dernières 24 heures."
  },
  andMore: { one: "{name} et une autre", other: "{name} et {n} autres" },
  summary: {
    good: "Tout est connecté et fonctionne.",
    attention: {
      one: "{n} connexion demande votre attention",
      other: "{n} connexions demandent votre attention"
    },
    none: "Rien n’est connecté pour le moment.",
    settling: "Certaines connexions sont en préparation. Vous n’avez rien à faire."
  },
  sections: {
    attention: "À traiter",
    active: "Connexions",
    others: "Autres connexions",
    ended: { one: "1 connexion terminée", other: "{n} connexions terminées" }
  },
  empty: {
    title: "Connectez votre système de paie ou de ressources humaines",
    text: "{app} travaille ainsi avec des données à jour, sans tableur ni envoi de fichiers.",
    password: "Vous vous identifiez chez votre fournisseur. {app} ne voit jamais votre mot de passe.",
    control: "Chaque connexion figure ici, et vous pouvez la déconnecter à tout moment.",
    awaited: "Votre nouvelle connexion apparaîtra ici toute seule. Inutile de connecter à nouveau.",
    asked: "Votre nouvelle connexion apparaîtra ici quand vous aurez répondu à la question ci-dessus."
  },
  card: {
    logins: { one: "{n} identifiant", other: "{n} identifiants" },
    checked: "Vérifiée {when}",
    lastCheck: "Dernière vérification",
    help: "Questions",
    unchecked: "Pas encore vérifiée",
    login: "Identifiant {n}",
    since: "connecté le {date}",
    ended: "Terminée le {date}",
    changed: "Dernière modification : {date}",
    loginsTitle: "Identifiants",
    entities: { one: "{n} entité juridique", other: "{n} entités juridiques" },
    someEntities: "{some} sur {n} entités juridiques",
    companyId: "ID entreprise",
    accountId: "ID compte",
    entity: "Entité {id}"
  },
  status: {
    pending: {
      label: "En préparation",
      reason: "{provider} doit encore autoriser l’accès aux données. Cela peut prendre quelques jours. Vous n’avez rien à faire."
    },
    processing: {
      label: "En préparation",
      reason: "Les premières données de {provider} sont en route. Vous n’avez rien à faire."
    },
    connected: { label: "Connexion active", reason: "" },
    reauth: {
      label: "Identification requise",
      reason: "{provider} vous demande de vous identifier à nouveau. D’ici là, aucune nouvelle donnée n’arrive."
    },
    error_permissions: {
      label: "Autorisation manquante",
      reason: "Le compte que vous avez utilisé chez {provider} ne peut pas voir les données. Demandez plus de droits à votre administrateur chez {provider}, ou identifiez-vous à nouveau avec un compte qui les a."
    },
    error_no_account_setup: {
      label: "Non configurée",
      reason: "Votre compte chez {provider} n’est pas entièrement configuré. Terminez la configuration chez {provider}, puis identifiez-vous à nouveau."
    },
    unknown: {
      label: "Problème signalé",
      reason: "{provider} signale un problème que nous ne connaissons pas (« {detail} »). Identifiez-vous à nouveau : cela suffit en général. Sinon, contactez l’assistance."
    },
    disconnecting: {
      label: "Déconnexion en cours",
      reason: "{provider} doit encore confirmer la fin. Vous n’avez rien à faire."
    },
    disconnected: {
      label: "Connexion terminée",
      reason: "Plus aucune donnée ne peut être lue. Connectez-la à nouveau pour l’utiliser ici."
    }
  },
  otherStatus: {
    label: "Autre statut",
    reason: "{provider} signale « {detail} », que cette page ne connaît pas encore. Vous n’avez rien à faire. S’il manque des données, contactez l’assistance."
  },
  problem: {
    connect_again: "Un autre compte avait connecté cette entreprise et l’a déconnectée. Connectez-la à nouveau pour l’utiliser ici.",
    transferred: "Cette entreprise appartient désormais à un autre compte. Vous n’avez rien à faire. Si c’est une erreur, contactez l’assistance.",
    another_company: "La dernière fois, vous avez choisi une autre entreprise, qui est maintenant une connexion à part. Identifiez-vous à nouveau, et choisissez cette entreprise.",
    disconnect_refused: "{provider} a refusé de mettre fin à cette connexion. Identifiez-vous à nouveau, puis déconnectez-la encore une fois.",
    entity_disconnect_refused: "{provider} a refusé de déconnecter une entité juridique de cette connexion. Déconnectez-la encore une fois ; si cela échoue, contactez l’assistance."
  },
  product: {
    benefits: "avantages sociaux",
    company: "données de l’entreprise",
    deduction: "retenues",
    directory: "annuaire des salariés",
    documents: "documents",
    employment: "postes et revenus",
    individual: "données personnelles",
    payment: "totaux de paie",
    pay_statement: "bulletins de paie",
    plans: "régimes d’avantages sociaux",
    plans_dependents: "personnes à charge",
    plans_enrollments: "adhésions aux régimes",
    recordkeeping: "dossiers de retraite",
    ssn: "numéros de sécurité sociale"
  },
  reads: {
    title: "Données que {app} demande à lire",
    benefits: "retenues et cotisations pour les avantages sociaux, et qui y participe",
    company: "nom légal, numéro fiscal, adresses, services et comptes bancaires de l’entreprise",
    deduction: "montants retenus pour les avantages sociaux, et qui y participe",
    directory: "noms, services et responsables de tous les salariés",
    documents: "formulaires fiscaux et autres documents des salariés",
    employment: "intitulés de poste, dates de début et de fin, types de contrat et revenus",
    individual: "adresses personnelles, dates de naissance, e-mails et numéros de téléphone",
    payment: "dates et totaux de chaque paie",
    pay_statement: "salaire, impôts et retenues de chaque salarié pour chaque paie",
    plans: "les régimes d’avantages sociaux de l’entreprise et leurs conditions",
    plans_dependents: "les proches couverts par un régime",
    plans_enrollments: "qui participe à quel régime",
    recordkeeping: "cotisations aux régimes de retraite et leurs soldes",
    ssn: "le numéro de sécurité sociale de chaque salarié"
  },
  confirm: {
    checking: "Un instant : nous regardons ce qui a été connecté…",
    title: "Était-ce vous ?",
    text: "Quelqu’un vient de s’identifier chez un fournisseur pour connecter ce compte. Ne le connectez que si c’était vous et si vous connaissez l’entreprise.",
    provider: "Fournisseur",
    company: "Entreprise",
    yes: "Oui, connecter",
    no: "Non, ce n’était pas moi",
    rejected: "Rien n’a été connecté",
    rejectedText: "Cette tentative prend fin toute seule d’ici un jour.",
    foreign: "Ce n’est pas pour votre compte",
    foreignText: "Cette tentative a été commencée avec un autre compte, ou il y a trop longtemps. Si vous l’avez commencée vous-même, identifiez-vous ici avec ce compte."
  },
  result: {
    connected: "Connexion établie : {name}",
    connectedText: "Les premières données peuvent prendre quelques minutes.",
    settling: "Connexion en préparation : {name}",
    again: "La connexion existait déjà : {name}",
    againText: "L’autorisation a été renouvelée. Rien d’autre n’a changé.",
    login: "Un autre identifiant a été ajouté à {name}",
    loginText: "Les autres identifiants restent inchangés.",
    repaired: "La connexion fonctionne à nouveau : {name}",
    repairedText: "Les nouvelles données arriveront comme avant.",
    another: "Connexion établie : {name}, mais ce n’est pas celle que vous vouliez réparer",
    anotherText: "Vous avez choisi autre chose. C’est maintenant une connexion à part ; l’autre demande toujours votre attention.",
    unhealthy: "Connexion établie : {name}, mais elle ne fonctionne pas encore",
    pending: "Presque terminé",
    pendingText: "Finch n’a pas encore terminé. Votre connexion apparaîtra ici toute seule, le plus souvent en quelques minutes. Inutile de connecter à nouveau.",
    failed: "Cela n’a pas fonctionné",
    refused: "Rien n’a été connecté",
    closedText: "Vous avez fermé Finch Connect avant la fin.",
    disconnected: "Connexion terminée : {name}",
    disconnectedText: "Désormais, {app} ne peut plus lire ces données.",
    disconnecting: "Déconnexion en cours : {name}",
    disconnectingText: "Le fournisseur doit encore confirmer. Cela continue tout seul, même si vous quittez cette page.",
    entityDisconnected: "Une entité juridique de {name} est déconnectée",
    entityDisconnectedText: "Désormais, {app} ne peut plus lire ses données. Les autres restent connectées.",
    entityDisconnecting: "Déconnexion en cours d’une entité juridique de {name}",
    entityDisconnectingText: "Le fournisseur doit encore confirmer. Cela continue tout seul, même si vous quittez cette page.",
    stale: "Cette liste n’a pas pu être mise à jour",
    staleText: "Dernière mise à jour : {when}.",
    unavailable: "Vos connexions ne peuvent pas être affichées"
  },
  dialog: {
    title: "Déconnecter {name} ?",
    stops: "{app} ne recevra plus de données de {provider} pour {company}. Cela met fin à :",
    stopsEntity: "{app} ne recevra plus de données de {provider} pour {name}. Les autres entités juridiques restent connectées.",
    entities: "Cela vaut pour toutes ses entités juridiques : {names}.",
    stays: "Vos autres connexions restent inchangées.",
    undo: "Pour revenir en arrière, vous devriez vous identifier à nouveau chez {provider}.",
    working: "Déconnexion…"
  },
  changed: "{name} : {status}",
  failure: {
    access_denied: "Vous avez quitté Finch Connect sans autoriser l’accès aux données.",
    cannot_connect: "Cette entreprise ne peut pas être connectée à votre compte, le plus souvent parce qu’un autre compte l’a déjà. Déconnectez-la d’abord là-bas, ou contactez l’assistance.",
    code_rejected: "Finch n’a pas accepté cette tentative. Veuillez connecter à nouveau.",
    connection_busy: "Cette connexion est en cours de modification. Patientez un instant, puis réessayez.",
    connection_ended: "La connexion a pris fin chez le fournisseur avant d’être achevée. Veuillez connecter à nouveau.",
    connection_limit: "Votre compte a déjà toutes les connexions auxquelles il a droit. Déconnectez-en d’abord une, ou ouvrez ses détails pour lui ajouter un identifiant.",
    connection_not_found: "Cette connexion n’existe plus. Si vous en avez encore besoin, connectez-la à nouveau.",
    customer_unknown: "Votre session n’indique pas à quel compte vous appartenez. Identifiez-vous à nouveau, ou contactez l’assistance.",
    disconnect_refused: "Le fournisseur a refusé de mettre fin à cette connexion. Identifiez-vous à nouveau chez lui, puis déconnectez-la encore une fois.",
    exchange_uncertain: "La réponse de Finch s’est perdue. Veuillez connecter à nouveau ; la tentative précédente ne vous gênera pas.",
    finch_misconfigured: "La connexion est impossible pour le moment. Nous en sommes informés ; veuillez réessayer plus tard.",
    finch_refused: "Finch n’a pas accepté cette demande. Veuillez réessayer, ou choisir un autre fournisseur. Si cela échoue aussi, contactez l’assistance.",
    finch_unavailable: "Finch est injoignable pour le moment. Veuillez réessayer dans quelques minutes.",
    not_allowed: "Votre session ne le permet pas. Identifiez-vous à nouveau, ou contactez l’assistance.",
    internal_error: "Un problème est survenu de notre côté. Veuillez réessayer. Si cela se reproduit, contactez l’assistance.",
    invalid_request: "Cette demande n’était pas valide. Rechargez la page et recommencez. Si cela se reproduit, contactez l’assistance.",
    mode_not_allowed: "Cette page n’est pas configurée pour connecter de cette manière. Vous ne pouvez rien faire ici ; contactez l’assistance.",
    return_to_not_allowed: "Cette page n’est pas configurée pour connecter. Ouvrez-la à son adresse habituelle, ou contactez l’assistance.",
    route_not_found: "Cette partie du service est introuvable. Rechargez la page. Si cela se reproduit, contactez l’assistance.",
    session_expired: "Ce lien ou cette tentative est trop ancien. Veuillez connecter à nouveau.",
    session_not_found: "Cette tentative est inconnue, ou n’est pas la vôtre. Veuillez connecter à nouveau.",
    session_used: "Cette tentative a déjà servi. Si votre connexion n’apparaît pas ici, connectez à nouveau.",
    signature_invalid: "Ce message ne vient pas de Finch. Veuillez recommencer.",
    too_many_logins: "Cette connexion a le plus grand nombre possible d’identifiants. Déconnectez-la, puis connectez-la à nouveau.",
    too_many_requests: "Trop de tentatives. Patientez quelques minutes, puis réessayez.",
    unauthorized: "Votre session est terminée. Veuillez vous identifier à nouveau.",
    unreachable: "Le service ne répond pas. Vérifiez votre réseau, puis réessayez.",
    unexpected: "Un imprévu est survenu. Veuillez réessayer. Si cela se reproduit, contactez l’assistance."
  }
};

// src/texts.ts
var TEXTS = { en, de, es, fr };
function hasText(code) {
  return Object.hasOwn(en.failure, code);
}
function failurePath(code) {
  return `failure.${hasText(code) ? code : "unexpected"}`;
}

// src/notices.ts
var FOR_SUPPORT = [
  "cannot_connect",
  "customer_unknown",
  "finch_misconfigured",
  "mode_not_allowed",
  "not_allowed",
  "return_to_not_allowed",
  "too_many_logins"
];
var WITHOUT_RETRY = [...FOR_SUPPORT, "connection_limit"];
var WORTH_ANOTHER_TRY = [
  "connection_busy",
  "finch_misconfigured",
  "finch_unavailable",
  "internal_error",
  "too_many_requests",
  "unauthorized",
  "unexpected",
  "unreachable"
];
function isWorthAnotherTry({ code }) {
  return WORTH_ANOTHER_TRY.includes(code);
}
var KINDS = {
  another: "wait",
  unhealthy: "wait",
  settling: "info"
};
function arrived(connection, result) {
  return {
    kind: KINDS[result] ?? "good",
    title: `result.${result}`,
    text: result === "unhealthy" || result === "settling" ? `status.${connection.status}.reason` : `result.${result}Text`,
    about: connection
  };
}
function disconnected(after, entity) {
  if (after.status === "disconnected" || after.status === "disconnecting") {
    return {
      kind: "good",
      title: `result.${after.status}`,
      text: `result.${after.status}Text`,
      about: after
    };
  }
  if (entity) {
    const now = entitiesOf(after).find((one) => one.id === entity.id);
    const title = now?.status === "disconnecting" ? "entityDisconnecting" : "entityDisconnected";
    return { kind: "good", title: `result.${title}`, text: `result.${title}Text`, about: after };
  }
  return { kind: "info", title: "result.again", text: "result.againText", about: after };
}
function failed({ code, reference }, retry) {
  const declined = code === "access_denied";
  return {
    kind: declined ? "info" : "bad",
    title: declined ? "result.refused" : "result.failed",
    text: failurePath(code),
    reference,
    support: FOR_SUPPORT.includes(code),
    retry: WITHOUT_RETRY.includes(code) ? null : retry
  };
}
function returnWaits({ code, reference }) {
  return {
    kind: "wait",
    title: "result.pending",
    text: failurePath(code),
    reference,
    retry: "return"
  };
}
function foreignReturn() {
  return { kind: "wait", title: "confirm.foreign", text: "confirm.foreignText", forget: true };
}
function pendingReturn(reference) {
  return {
    kind: "info",
    title: "result.pending",
    text: "result.pendingText",
    reference,
    spins: true
  };
}
function isUndecided({ title }) {
  return title === "result.pending" || title === "finishing";
}
function frameClosed(hasFailed, retry, reference) {
  return hasFailed ? { kind: "bad", title: "result.failed", text: "failure.finch_refused", reference, retry } : { kind: "info", title: "result.refused", text: "result.closedText", retry };
}

// src/polling.ts
var SECOND = 1e3;
var MINUTE = 60 * SECOND;
var WATCHING = { first: 2 * SECOND, longest: 30 * SECOND, factor: 1.6 };
var RESTING = { first: MINUTE, longest: 5 * MINUTE, factor: 1.5 };
var NAMES_WITHIN = 5 * MINUTE;
var ALL_AFTER = MINUTE;
var FEW = 3;
function nextPause(pause, watching) {
  const pace = watching ? WATCHING : RESTING;
  return Math.min(pace.longest, Math.max(pace.first, pause * pace.factor));
}
function underWay(connections, now) {
  const isNew = (one) => now - new Date(one.created_at).getTime() < NAMES_WITHIN;
  return [...connections].filter(
    (one) => one.status === "disconnecting" || entitiesOf(one).some((entity) => entity.status === "disconnecting") || one.status !== "disconnected" && !one.provider_name && isNew(one)
  );
}
function readsOnly(few, sinceAll) {
  return few.length > 0 && few.length <= FEW && sinceAll < ALL_AFTER;
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
  const mark2 = pairs.findLastIndex(([name, value]) => name === "finch" && value === "return");
  const ours = new Map(mark2 < 0 ? [] : pairs.slice(mark2 + 1));
  const status = ours.get("status");
  const error = ours.get("error");
  const isOurs = Boolean(error) || status !== void 0 && OUTCOMES.includes(status);
  url.hash = "";
  if (!isOurs) return { landing: null, rest: completion ? url.href : null };
  const landing = { error, status, completion, at: now };
  for (const name of DETAILS) landing[name] = ours.get(name);
  landing.reference = REFERENCE.exec(ours.get("reference") ?? "")?.[0];
  url.search = String(new URLSearchParams(pairs.slice(0, mark2)));
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
function receiveReturn() {
  const landing = early.finchReturn ?? takeReturn();
  delete early.finchReturn;
  if (landing) return landing;
  const kept = memory.read("return");
  return kept && kept.at > Date.now() - CONFIRM_WITHIN ? kept : null;
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

// src/dom.ts
function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, String(value));
  }
  element.append(...nodes(children));
  return element;
}
function nodes(children) {
  if (children == null || typeof children === "boolean" || children === "") return [];
  if (typeof children === "string" || children instanceof Node) return [children];
  return children.flatMap(nodes);
}
function spinner() {
  return h("span", { class: "spinner", "aria-hidden": "true" });
}
var ICONS = {
  alert: "M10 6.5v4M10 13.6v.1M8.7 3.2 1.9 15a1.5 1.5 0 0 0 1.3 2.2h13.6a1.5 1.5 0 0 0 1.3-2.2L11.3 3.2a1.5 1.5 0 0 0-2.6 0Z",
  check: "M6.5 10.3 9 12.8l4.6-5.3M17.5 10a7.5 7.5 0 1 1-15 0 7.5 7.5 0 0 1 15 0Z",
  chevron: "m5.5 8 4.5 4.5L14.5 8",
  close: "m5.5 5.5 9 9m0-9-9 9",
  info: "M10 9.3v4.2M10 6.5v.1M17.5 10a7.5 7.5 0 1 1-15 0 7.5 7.5 0 0 1 15 0Z",
  plus: "M10 4.5v11M4.5 10h11"
};
function icon(name) {
  return drawing("0 0 20 20", [["path", { d: ICONS[name] }]], name);
}
function picture() {
  return drawing("0 0 190 90", [
    ["rect", { x: 6, y: 14, width: 58, height: 62, rx: 9, opacity: 0.55 }],
    ["path", { d: "M18 31h34M18 43h22M18 55h28", opacity: 0.35 }],
    ["rect", { x: 126, y: 14, width: 58, height: 62, rx: 9, opacity: 0.55 }],
    ["path", { d: "M139 58V46m11 12V34m11 24V41m10 17V29", opacity: 0.35 }],
    ["path", { d: "M64 45h17m28 0h17" }],
    ["circle", { cx: 95, cy: 45, r: 14 }],
    ["path", { d: "m89.500 45.300 4 4 7-8" }]
  ]);
}
function drawing(viewBox, shapes, name = "") {
  const draw = (tag, attributes) => {
    const shape = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) shape.setAttribute(key, String(value));
    return shape;
  };
  const drawn = draw("svg", {
    viewBox,
    fill: "none",
    stroke: "currentColor",
    "stroke-width": "1.6",
    "stroke-linecap": "round",
    "stroke-linejoin": "round",
    "aria-hidden": "true",
    class: name
  });
  drawn.append(...shapes.map(([tag, attributes]) => draw(tag, attributes)));
  return drawn;
}

// src/views/view.ts
function button(view, act, text, run, { kind = "", icon: sign, label, always, chevron, expanded, controls: controls2 } = {}) {
  const part = "button";
  const busy = view.busy === act;
  return h(
    "button",
    {
      type: "button",
      class: `button ${kind} ${busy ? "busy" : ""}`,
      part: kind.includes("primary") ? `${part} primary-button` : part,
      "data-act": act,
      "aria-label": label,
      // With `disabled` the button would lose the focus.
      "aria-disabled": view.busy && !always ? "true" : null,
      "aria-busy": busy ? "true" : null,
      "aria-expanded": expanded === void 0 ? null : String(expanded),
      "aria-controls": controls2,
      onclick: run
    },
    busy ? spinner() : sign && icon(sign),
    h("span", { class: "words" }, text),
    chevron && icon("chevron")
  );
}
function actionLabel({ words, names }, connection, action, name = words.plain("named", { ...names(connection) })) {
  return words.plain("action", { action, name });
}
function statusLabel(view, status, kind = "") {
  const spins = status === "disconnecting";
  return h(
    "span",
    { class: `status ${kind} ${toneOf(status)} ${spins ? "spins" : ""}`, part: "status" },
    spins && spinner(),
    view.words.status(status)
  );
}
function loginName({ words }, login, place) {
  return h(
    "span",
    {},
    h("strong", {}, words.plain("card.login", { n: place + 1 })),
    h(
      "span",
      { class: "small" },
      " · ",
      words.plain("card.since", { date: words.date(login.connected_at) })
    )
  );
}
function referenceLine(view, reference) {
  if (!reference) return null;
  const { words } = view;
  const text = words.nodes("reference", { id: reference });
  return h("p", {}, h("small", {}, text, supportLink(view, reference, { before: " · " })));
}
function supportLink({ words, support }, reference, { before, ...properties } = {}) {
  if (!support) return null;
  const isMail = support.startsWith("mailto:") && !support.includes("?");
  const text = reference && isMail ? words.plain("reference", { id: reference }) : "";
  const subject = text.replace(/[\u2068\u2069]/g, "");
  const href = subject ? `${support}?subject=${encodeURIComponent(subject)}` : support;
  return [before, h("a", { ...properties, href }, words.text("support"))];
}
function safeLink(link) {
  return link !== null && /^(https?:|mailto:|\/)/.test(link) ? link : null;
}
function failureText({ words }, failure) {
  return words.text(failurePath(failure.code));
}
function fact(term, ...value) {
  return h("div", {}, h("dt", {}, term), h("dd", {}, value));
}

// src/views/details.ts
function details(view, content) {
  const { connection, inCompany } = content;
  const { words } = view;
  const { company, provider } = view.names(connection);
  const { checked_at, company_id, company_name, provider_id } = connection;
  const named = entitiesOf(connection).filter((entity) => entity.name);
  const entities = new Set(named.toSorted(byName).map((entity) => words.entity(entity)));
  const companies = !company_name && entities.size > 1 ? words.list([...entities]) : company;
  return [
    h(
      "div",
      {},
      h(inCompany ? "h6" : "h5", {}, words.text("card.loginsTitle")),
      h(
        "ul",
        { class: "logins" },
        connection.logins.map(
          (login, place) => h("li", {}, loginDetails(view, content, login, place))
        )
      )
    ),
    // The card may cut these names off.
    h(
      "dl",
      { class: "known" },
      fact(words.text("confirm.company"), h("bdi", {}, companies)),
      fact(words.text("confirm.provider"), h("bdi", {}, provider)),
      fact(words.text("card.companyId"), h("code", {}, company_id)),
      fact(
        words.text("card.lastCheck"),
        checked_at ? words.moment(checked_at) : words.text("card.unchecked")
      ),
      // Support finds the history of a connection by its ids.
      view.support && fact(words.text("card.help"), supportLink(view, `${provider_id} ${company_id}`))
    ),
    connection.status !== "disconnecting" && buttons(view, content)
  ];
}
function loginDetails(view, content, login, place) {
  const { words } = view;
  return [
    h("div", { class: "login" }, loginName(view, login, place), statusLabel(view, login.status)),
    h("p", { class: "small first" }, words.products(login.products)),
    login.account_id && h(
      "p",
      { class: "small" },
      `${words.text("card.accountId")} `,
      h("code", {}, login.account_id)
    ),
    login.entities.length > 1 && h(
      "ul",
      { class: "entities" },
      login.entities.toSorted(byName).map((entity) => h("li", {}, entityDetails(view, content, login, entity)))
    )
  ];
}
function entityDetails(view, content, login, entity) {
  const { connection, askToDisconnect } = content;
  const { words } = view;
  const act = `disconnect:${keyOf(connection)}:${login.id}:${entity.id}`;
  const name = words.entity(entity);
  return [
    h("bdi", {}, name),
    statusLabel(view, entity.status),
    connection.status !== "disconnecting" && isLiving(entity) && button(view, act, words.text("disconnect"), () => askToDisconnect(act, entity), {
      kind: "quiet ends",
      label: actionLabel(view, connection, words.text("disconnect"), name)
    })
  ];
}
function buttons(view, { connection, connect, askToDisconnect }) {
  const { words } = view;
  const key = keyOf(connection);
  const end = `disconnect:${key}`;
  return h(
    "div",
    { class: "actions" },
    button(view, `add:${key}`, words.text("addLogin"), () => connect(`add:${key}`), {
      icon: "plus",
      label: actionLabel(view, connection, words.text("addLogin"))
    }),
    button(view, end, words.text("disconnect"), () => askToDisconnect(end), {
      kind: "quiet ends",
      label: actionLabel(view, connection, words.text("disconnect"))
    })
  );
}

// src/views/mark.ts
var broken = /* @__PURE__ */ new Set();
function mark(providerId, name, icon2) {
  const mark2 = h("span", { class: "mark", "aria-hidden": "true" }, initials(name));
  mark2.style.setProperty("--hue", String(hueOf(providerId)));
  if (!icon2 || broken.has(icon2)) return mark2;
  const image = h("img", {
    alt: "",
    width: 40,
    height: 40,
    loading: "lazy",
    decoding: "async",
    referrerpolicy: "no-referrer",
    // The letters stay until then.
    onload: () => {
      mark2.classList.add("pictured");
      mark2.replaceChildren(image);
    },
    onerror: () => {
      broken.add(icon2);
      image.remove();
    },
    src: icon2
  });
  mark2.append(image);
  return mark2;
}

// src/views/card.ts
function card(view, content) {
  const { connection, id, open, connect, toggle } = content;
  const { words } = view;
  const ended = connection.status === "disconnected";
  const { problem } = connection;
  const explained = !ended || problem === "transferred" || problem === "connect_again";
  const again = `again:${keyOf(connection)}`;
  return [
    h(
      "div",
      { class: "row" },
      mark(connection.provider_id, view.names(connection).provider, connection.provider_icon),
      facts(view, content),
      statusLabel(view, connection.status, "chip"),
      ended ? button(view, again, words.text("connectAgain"), () => connect(again), {
        kind: "quiet again",
        label: actionLabel(view, connection, words.text("connectAgain"))
      }) : button(view, `details:${keyOf(connection)}`, words.text("details"), toggle, {
        kind: "quiet toggle",
        always: true,
        chevron: true,
        expanded: open,
        controls: id,
        label: actionLabel(view, connection, words.text("details"))
      }),
      explained && reason(view, content)
    ),
    h("div", { id, class: "body", hidden: !open }, open && details(view, content))
  ];
}
function facts({ words, names }, content) {
  const { connection, inCompany, isCheckedLately: isCheckedLately2 } = content;
  const { company, provider } = names(connection);
  const { checked_at, logins, problem, status, updated_at } = connection;
  const entities = entitiesOf(connection);
  const some = entities.filter(isLiving).length;
  const n = entities.length;
  const end = problem ? "card.changed" : "card.ended";
  return h(
    "div",
    { class: "who" },
    inCompany ? h("h5", {}, h("span", { class: "unseen" }, company, " "), h("bdi", {}, provider)) : h("h4", { title: company }, h("bdi", {}, company)),
    h(
      "p",
      { class: "facts" },
      !inCompany && h("span", {}, h("bdi", {}, provider)),
      status === "disconnected" ? h("span", {}, words.plain(end, { date: words.date(updated_at) })) : [
        h("span", {}, words.plain("card.logins", { n: logins.length })),
        n > 1 && h(
          "span",
          {},
          words.plain(some < n ? "card.someEntities" : "card.entities", { n, some })
        ),
        !isCheckedLately2 && (checked_at ? words.time("card.checked", checked_at) : h("span", {}, words.text("card.unchecked")))
      ]
    )
  );
}
function reason(view, { connection, connect }) {
  const { words, names } = view;
  const { status } = connection;
  const path = reasonPath(view, connection);
  const repair = `repair:${keyOf(connection)}`;
  const detail = statusDetail(connection) ?? status;
  return words.text(path) && h(
    "div",
    { class: "reason", part: "reason" },
    h("p", {}, words.nodes(path, { ...names(connection), detail })),
    needsAPerson(connection) && button(view, repair, words.text("repair"), () => connect(repair), {
      kind: "primary",
      label: actionLabel(view, connection, words.text("repair"))
    })
  );
}
function reasonPath({ words }, { problem, status }) {
  if (problem && words.find(`problem.${problem}`)) {
    return `problem.${problem}`;
  }
  const known = words.find(`status.${status}.reason`) !== null;
  return known ? `status.${status}.reason` : "otherStatus.reason";
}

// src/card_list.ts
var CardList = class {
  #actions;
  #cards = /* @__PURE__ */ new Map();
  #companies = /* @__PURE__ */ new Map();
  #open = /* @__PURE__ */ new Set();
  constructor(actions) {
    this.#actions = actions;
  }
  /** Forgets what the person opened. */
  reset() {
    this.#cards.clear();
    this.#companies.clear();
    this.#open.clear();
  }
  has(connection) {
    return this.#cards.has(keyOf(connection));
  }
  draw(list, section, connections, drawing2) {
    const items = byCompany(connections).map((company) => {
      const inCompany = company.length > 1;
      const cards = company.map((one) => this.#card(one, inCompany, drawing2));
      return inCompany ? this.#company(section, company, cards, drawing2.view) : cards;
    });
    arrange(list, items.flat());
  }
  #card(connection, inCompany, drawing2) {
    const { view, paint } = drawing2;
    const key = keyOf(connection);
    const item = this.#cards.get(key) ?? h("li", { part: "card" });
    this.#cards.set(key, item);
    const open = this.#open.has(key);
    const isCheckedLately2 = drawing2.isCheckedLately(connection);
    const facts2 = [connection, open, view.names(connection).provider, inCompany, isCheckedLately2];
    paint(item, facts2, () => {
      item.className = `card ${needsAPerson(connection) ? "attention bad" : ""}`;
      return card(view, {
        connection,
        open,
        inCompany,
        isCheckedLately: isCheckedLately2,
        id: `card-${[...this.#cards.keys()].indexOf(key)}`,
        toggle: () => this.#toggle(key),
        connect: (act) => this.#actions.connect(act),
        askToDisconnect: (act, entity) => this.#actions.askToDisconnect(connection, act, entity)
      });
    });
    return item;
  }
  /** The connections of a company at several providers, under its name. */
  #company(section, connections, cards, { words }) {
    const [first] = connections;
    const key = `${section}:${first?.company_id}`;
    const item = this.#companies.get(key) ?? h("li", { class: "company", part: "company" }, h("h4"), h("ul", { class: "cards" }));
    this.#companies.set(key, item);
    const [title, list] = item.children;
    const named = connections.find((one) => one.company_name) ?? first;
    if (title && named) title.textContent = words.company(named);
    if (list) arrange(list, cards);
    return item;
  }
  #toggle(key) {
    if (!this.#open.delete(key)) this.#open.add(key);
    this.#actions.toggled();
  }
};
function arrange(list, items) {
  const staying = new Set(items);
  for (const child of [...list.children]) if (!staying.has(child)) child.remove();
  for (const [place, item] of items.entries()) {
    if (list.children[place] !== item) list.insertBefore(item, list.children[place] ?? null);
  }
}

// src/styles.ts
var STYLES = `
:host {
  --_text: var(--finch-text, light-dark(#1b2430, #e8ecf1));
  --_soft: var(--finch-text-soft, light-dark(#556070, #a3adba));
  --_surface: var(--finch-surface, light-dark(#ffffff, #171c23));
  --_line: var(--finch-line, light-dark(#e1e5ea, #2c343f));
  --_accent: var(--finch-accent, light-dark(#3347c9, #9db0ff));
  --_on-accent: var(--finch-on-accent, light-dark(#ffffff, #10183f));
  --_good: var(--finch-good, light-dark(#12704a, #5fd3a2));
  --_wait: var(--finch-wait, light-dark(#845100, #f0b955));
  --_bad: var(--finch-bad, light-dark(#b3261e, #ff8f85));
  --_on-bad: var(--finch-on-bad, light-dark(#ffffff, #3a0906));
  --_radius: var(--finch-radius, 12px);
  --_control: calc(var(--_radius) * 0.66);
  --_shadow: 0 1px 2px light-dark(rgb(20 30 50 / 6%), rgb(0 0 0 / 40%));
  display: block;
  container-type: inline-size;
  /* A size container has no intrinsic width. This is the width for layouts that need one. */
  contain-intrinsic-inline-size: min(46em, 100vw - 2em);
  min-inline-size: 0;
  max-inline-size: 100%;
  color: var(--_text);
  font-family: var(--finch-font, inherit);
  line-height: 1.5;
  text-align: start;
}
:host([hidden]), [hidden] { display: none !important; }
*, ::before, ::after { box-sizing: border-box; }
h2, h3, h4, h5, h6, p, ul, dl, dd { margin: 0; padding: 0; }
ul { list-style: none; }
button { font: inherit; color: inherit; }
bdi { overflow-wrap: anywhere; text-align: match-parent; }
/* Ids and codes read from left to right in any language. */
code { direction: ltr; unicode-bidi: isolate; }
/* Letters that are joined in a script such as Arabic must stay joined. */
:is(h2, h3, .mark):dir(rtl) { letter-spacing: normal; }
a:not(.button) { display: inline-block; min-width: 24px; min-height: 24px; color: inherit; text-underline-offset: 0.15em; }
svg { flex: none; width: 1.25em; height: 1.25em; }
.unseen {
  position: absolute; width: 1px; height: 1px; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap;
}
.root { display: grid; gap: 1.5em; }
/* A long word must not make a column wider than the element. */
.root, .group, .cards { grid-template-columns: minmax(0, 1fr); }
.all > :empty { display: none; }

header { display: flex; gap: 1em; align-items: center; justify-content: space-between; }
h2 { font-size: 1.375em; line-height: 1.25; font-weight: 650; letter-spacing: -0.015em; text-wrap: balance; }
h2, h3 { overflow-wrap: break-word; }
h2:focus, h3:focus { outline: none; }
.summary { display: flex; gap: 0.4em; align-items: center; margin-top: 0.2em; color: var(--_soft); font-size: 0.9375em; }
.summary.bad { color: var(--tone); font-weight: 550; }
.group { display: grid; gap: 0.75em; }
.group > h3, .ended > summary { font-size: 0.8125em; font-weight: 600; color: var(--_soft); }
.ended > summary h3 { display: flex; gap: 0.4em; align-items: center; font: inherit; }

.controls { display: grid; grid-template-columns: minmax(11em, 1fr) repeat(3, fit-content(9.8em)); gap: 0.75em; }
.controls label { display: grid; gap: 0.2em; }
.controls label > span { color: var(--_soft); font-size: 0.8125em; font-weight: 600; }
.field {
  width: 100%; min-height: 2.67em; padding: 0.43em 0.7em;
  border: 1px solid color-mix(in oklab, var(--_line), var(--_text) 35%); border-radius: var(--_control);
  background: var(--_surface); color: var(--_text);
  font: inherit; font-size: 0.9375em; line-height: 1.25; text-overflow: ellipsis;
}
.field::placeholder { color: var(--_soft); opacity: 1; }
.found { grid-column: 1 / -1; display: flex; gap: 0.5em; align-items: center; justify-content: space-between; color: var(--_soft); font-size: 0.9375em; }
.found:empty { display: none; }
.found .button { margin-block: -0.4em; margin-inline-end: -1em; }
.found.none { flex-direction: column; padding: 2em 1em; border: 1px dashed var(--_line); border-radius: var(--_radius); text-align: center; }
.found.none .button { margin: 0; color: var(--_accent); }

.button {
  display: inline-flex; gap: 0.5em; align-items: center; justify-content: center;
  min-height: 2.67em; padding: 0.43em 1em;
  border: 1px solid var(--_line); border-radius: var(--_control);
  background: var(--_surface); color: var(--_text);
  font-size: 0.9375em; font-weight: 550; line-height: 1.25; text-decoration: none; cursor: pointer;
  transition: background-color 120ms, border-color 120ms, box-shadow 120ms;
}
.button:hover { background: color-mix(in oklab, var(--_surface), var(--_text) 5%); border-color: color-mix(in oklab, var(--_line), var(--_text) 18%); }
.button:active { background: color-mix(in oklab, var(--_surface), var(--_text) 10%); }
.button.primary { border-color: transparent; background: var(--_accent); color: var(--_on-accent); box-shadow: var(--_shadow); }
.button.primary:hover { background: color-mix(in oklab, var(--_accent), var(--_text) 14%); }
.button.danger { border-color: transparent; background: var(--_bad); color: var(--_on-bad); }
.button.danger:hover { background: color-mix(in oklab, var(--_bad), var(--_text) 14%); }
.button.quiet { border-color: transparent; background: none; color: var(--_soft); }
.button.quiet:hover { background: color-mix(in oklab, transparent, var(--_text) 7%); color: var(--_text); }
.button.quiet.ends { color: var(--_bad); }
.button.icon { padding: 0.43em; min-width: 2.67em; }
.button[aria-disabled="true"] { cursor: progress; }
.button[aria-disabled="true"]:not(.busy) { opacity: 0.55; }
:focus-visible { outline: 2px solid var(--_accent); outline-offset: 2px; }
.chevron { transition: rotate 160ms; }
[aria-expanded="true"] .chevron, [open] > summary .chevron { rotate: 180deg; }

.spinner {
  flex: none; width: 1em; height: 1em; border-radius: 50%;
  border: 2px solid color-mix(in oklab, currentcolor 30%, transparent); border-top-color: currentcolor;
  animation: turn 800ms linear infinite;
}
@keyframes turn { to { rotate: 1turn; } }

.cards { display: grid; gap: 0.75em; }
.card {
  border: 1px solid var(--_line); border-radius: var(--_radius);
  background: var(--_surface); box-shadow: var(--_shadow);
  animation: appear 220ms ease-out;
}
@keyframes appear { from { opacity: 0; translate: 0 4px; } }
.row { display: grid; grid-template-columns: auto minmax(0, 1fr) auto auto; gap: 0.25em 0.9em; align-items: center; padding: 0.9em 1em; }
.mark {
  display: grid; flex: none; place-items: center; width: 2.67em; height: 2.67em; border-radius: calc(var(--_radius) * 0.75); overflow: hidden;
  background: light-dark(oklch(0.94 0.04 var(--hue, 250)), oklch(0.32 0.05 var(--hue, 250)));
  color: light-dark(oklch(0.42 0.11 var(--hue, 250)), oklch(0.88 0.08 var(--hue, 250)));
  font-size: 0.9375em; font-weight: 650; letter-spacing: -0.01em; user-select: none;
}
.mark.pictured { background: #fff; }
.mark > img { grid-area: 1 / 1; width: 2.67em; height: 2.67em; padding: 0.2em; border-radius: inherit; object-fit: contain; visibility: hidden; }
.mark.pictured > img { visibility: visible; }
.company { border: 1px solid var(--_line); border-radius: var(--_radius); background: var(--_surface); box-shadow: var(--_shadow); overflow: clip; }
.company > h4 { padding: 0.8em 1em 0.5em; font-size: 1em; font-weight: 600; line-height: 1.35; overflow-wrap: anywhere; }
.company > .cards { gap: 0; }
.company .card, .company .card.attention { border: 0; border-top: 1px solid var(--_line); border-radius: 0; background: none; box-shadow: none; animation: none; }
.company .card.attention .row { border-radius: 0; }
.who h5 { font-size: 1em; font-weight: 550; line-height: 1.35; overflow-wrap: anywhere; }
.who h4 {
  font-size: 1em; font-weight: 600; line-height: 1.35;
  display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 4; overflow: hidden;
}
.who { overflow: hidden; }
.facts { display: flex; flex-wrap: wrap; margin-inline-start: -0.95em; color: var(--_soft); font-size: 0.875em; line-height: 1.45; }
.facts > * { position: relative; max-width: 100%; max-height: 5.8em; padding-inline-start: 0.95em; overflow: hidden; overflow-wrap: anywhere; }
/* The text of a button without a border ends where the other buttons end. */
.row > .quiet, .body .quiet { padding-inline: 0.6em; margin-inline-end: -0.6em; }
/* A separator at the beginning of a line is outside the visible area. */
.facts > ::before { content: "·"; content: "·" / ""; position: absolute; inset-inline-start: 0; width: 0.95em; text-align: center; color: color-mix(in oklab, var(--_soft), transparent 35%); }

.status { display: inline-flex; gap: 0.45em; align-items: center; font-size: 0.8125em; font-weight: 600; white-space: nowrap; color: var(--tone); }
.chip { padding-block: 0.2em; padding-inline: 0.62em 0.74em; border-radius: 99px; background: color-mix(in oklab, var(--_surface), var(--tone) 11%); }
.status::before { content: ""; width: 0.5em; height: 0.5em; border-radius: 50%; background: currentcolor; }
.status.spins::before { content: none; }
.good { --tone: var(--_good); }
.wait { --tone: var(--_wait); }
.bad { --tone: var(--_bad); }
.over, .info { --tone: var(--_soft); }

.reason {
  grid-column: 2 / -1; display: flex; gap: 0.75em 1.33em; align-items: center; justify-content: space-between;
  margin-top: 0.45em; color: var(--_soft); font-size: 0.9375em; text-wrap: pretty;
}
.card.attention { border-color: color-mix(in oklab, var(--_line), var(--tone) 55%); }
.card.attention .row { background: color-mix(in oklab, transparent, var(--tone) 5%); border-radius: calc(var(--_radius) - 1px); }
.card.attention .reason { color: var(--_text); }
.reason .button { flex: none; font-size: 1em; }

.body { display: grid; gap: 1.1em; padding: 1em; border-top: 1px solid var(--_line); }
.body h5, .body h6 { font-size: 0.8125em; font-weight: 600; color: var(--_soft); }
.logins { display: grid; }
.logins > li { padding: 0.6em 0; border-bottom: 1px solid var(--_line); }
.logins > li:last-child { border-bottom: 0; padding-bottom: 0; }
.login { display: flex; flex-wrap: wrap; gap: 0.1em 0.9em; align-items: baseline; justify-content: space-between; }
.login strong { font-weight: 600; font-size: 0.9375em; }
.login .status { color: var(--tone); }
.small { color: var(--_soft); font-size: 0.875em; text-wrap: pretty; }
.first::first-letter { text-transform: uppercase; }
.known { display: grid; gap: 0.25em; font-size: 0.875em; }
.known > div { display: grid; grid-template-columns: 7em minmax(0, 1fr); gap: 0.9em; }
.known dt { color: var(--_soft); overflow-wrap: anywhere; }
.entities { display: grid; gap: 0.3em; margin-top: 0.5em; font-size: 0.875em; }
.entities li { display: flex; flex-wrap: wrap; gap: 0 0.9em; align-items: center; padding-inline-start: 0.8em; border-inline-start: 2px solid var(--_line); }
.entities bdi { flex: 1 1 12em; }
.entities .button { min-height: 2em; padding-block: 0.2em; font-size: 1em; }
code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: 0.9em; overflow-wrap: anywhere; }
.actions { display: flex; flex-wrap: wrap; gap: 0.6em; align-items: center; }
.body .actions { justify-content: space-between; }

.notice {
  display: grid; grid-template-columns: auto minmax(0, 1fr) auto; gap: 0 0.8em;
  padding: 0.9em 1em; border-radius: var(--_radius);
  border: 1px solid color-mix(in oklab, var(--_line), var(--tone) 40%);
  background: color-mix(in oklab, var(--_surface), var(--tone) 7%);
  animation: appear 220ms ease-out;
}
.notice > svg, .notice > .spinner { margin-top: 0.12em; color: var(--tone); }
.notice > .spinner { width: 1.15em; height: 1.15em; }
.notice h3 { font-size: 1em; font-weight: 600; }
.notice p { color: var(--_soft); font-size: 0.9375em; text-wrap: pretty; overflow-wrap: anywhere; }
.notice .actions { margin-top: 0.7em; }
.notice .close { margin-block-start: -0.48em; margin-inline-end: -0.53em; align-self: start; }
.notice small { font-size: 0.875em; }

.question { padding: 1.5em; border: 1px solid color-mix(in oklab, var(--_line), var(--_accent) 55%); border-radius: var(--_radius); background: var(--_surface); box-shadow: 0 8px 30px light-dark(rgb(20 30 50 / 9%), rgb(0 0 0 / 45%)); display: grid; gap: 1em; animation: appear 220ms ease-out; }
.question h3 { font-size: 1.25em; font-weight: 650; letter-spacing: -0.01em; }
.question p { color: var(--_soft); text-wrap: pretty; }
.facts-list { display: grid; gap: 0.5em; padding: 0.9em 1em; border-radius: var(--_control); background: color-mix(in oklab, var(--_surface), var(--_text) 4%); }
.facts-list > div { display: grid; grid-template-columns: minmax(5.5em, auto) minmax(0, 1fr); gap: 0.9em; }
.facts-list dt { color: var(--_soft); }
.facts-list dd { display: grid; gap: 0.25em; font-weight: 600; }

.empty { display: grid; grid-template-columns: minmax(0, 1fr); justify-items: center; overflow-wrap: anywhere; gap: 1.1em; padding: 2.75em 1.5em; border: 1px solid var(--_line); border-radius: var(--_radius); background: var(--_surface); text-align: center; box-shadow: var(--_shadow); }
.empty > svg { width: 11em; height: auto; color: var(--_accent); }
.empty h3 { font-size: 1.25em; font-weight: 650; letter-spacing: -0.01em; text-wrap: balance; }
.empty > p { max-width: 30em; color: var(--_soft); margin-top: -0.6em; text-wrap: balance; }
.asks { display: grid; grid-template-columns: minmax(0, 1fr); gap: 0.7em; width: min(32em, 100%); padding: 0.9em 1em; border-radius: var(--_control); background: color-mix(in oklab, var(--_surface), var(--_text) 4%); font-size: 0.9375em; text-align: start; }
.asks h4 { font-size: 1em; font-weight: 600; }
.asks p, .reads p { color: var(--_soft); text-wrap: pretty; }
.asks h4, .reads-list { overflow-wrap: anywhere; }
.reads-list { display: grid; grid-template-columns: minmax(0, 1fr); gap: 0.5em; font-size: 0.9375em; }
.reads-list dt { font-weight: 600; }
.reads-list dd { color: var(--_soft); text-wrap: pretty; }
.empty ul { display: grid; gap: 0.7em; max-width: 32em; text-align: start; font-size: 0.9375em; }
.empty li { display: grid; grid-template-columns: auto 1fr; gap: 0.7em; color: var(--_soft); text-wrap: pretty; }
.empty li svg { margin-top: 0.1em; color: var(--_good); }
.empty .button { margin-top: 0.43em; min-height: 2.93em; padding-inline: 1.4em; }

.bone { border-radius: 6px; background: color-mix(in oklab, var(--_surface), var(--_text) 9%); animation: breathe 1.4s ease-in-out infinite alternate; }
.bone.mark { border-radius: calc(var(--_radius) * 0.75); }
.bone.line { height: 0.85em; }
@keyframes breathe { to { background: color-mix(in oklab, var(--_surface), var(--_text) 4%); } }
.bones { display: grid; gap: 0.5em; }
.bones :first-child { width: min(17em, 70%); }
.bones :last-child { width: min(11em, 45%); }
.card.still { animation: none; box-shadow: none; }
.slow { color: var(--_soft); font-size: 0.875em; text-align: center; }

.reads { margin-top: -0.9em; font-size: 0.875em; }
.reads > summary { display: inline-flex; gap: 0.4em; padding-block: 0.2em; align-items: center; color: var(--_soft); border-radius: var(--_control); cursor: pointer; list-style: none; }
.reads > summary::-webkit-details-marker { display: none; }
.reads > summary:hover { color: var(--_text); }
.reads > div { display: grid; gap: 0.7em; margin-top: 0.6em; padding: 0.9em 1em; border: 1px solid var(--_line); border-radius: var(--_radius); background: var(--_surface); }
.ended > summary { display: inline-block; padding: 0.43em 0.74em; margin-inline-start: -0.74em; border-radius: var(--_control); cursor: pointer; list-style: none; }
.ended > summary::-webkit-details-marker { display: none; }
.ended > summary:hover { color: var(--_text); background: color-mix(in oklab, transparent, var(--_text) 6%); }
.ended > .cards { margin-top: 0.6em; }
.ended .card { box-shadow: none; background: none; }
.ended .mark { filter: grayscale(1); }
.more { justify-self: center; }

dialog {
  width: min(31em, calc(100vw - 2em)); max-height: min(42em, calc(100dvh - 2em)); padding: 0; overflow: auto;
  border: 1px solid var(--_line); border-radius: calc(var(--_radius) * 1.15);
  background: var(--_surface); color: var(--_text);
  box-shadow: 0 20px 60px rgb(10 15 30 / 30%);
}
dialog[open] { animation: appear 180ms ease-out; }
dialog::backdrop { background: rgb(12 16 26 / 50%); }
.sheet { display: grid; gap: 1em; padding: 1.5em; }
.sheet h2 { font-size: 1.25em; text-wrap: pretty; }
.sheet p { color: var(--_soft); text-wrap: pretty; }
.sheet ul { display: grid; gap: 0.6em; padding: 0.9em 1em; border-radius: var(--_control); background: color-mix(in oklab, var(--_surface), var(--_text) 4%); }
/* Always visible, so that focusing a button does not scroll the beginning of the dialog away. */
.sheet .actions { position: sticky; bottom: 0; justify-content: flex-end; margin: 0 -1.5em -1.5em; padding: 0.75em 1.5em 1.5em; background: var(--_surface); }

@container (width < 36em) {
  header { align-items: stretch; flex-direction: column; }
  .controls { grid-template-columns: 1fr 1fr; }
  .controls > :is(:first-child, :nth-child(4)) { grid-column: 1 / -1; }
  .row { grid-template-columns: auto minmax(0, 1fr) auto; align-items: start; padding: 0.9em; }
  .row > .status { grid-column: 2 / -1; grid-row: 2; justify-self: start; }
  .status { white-space: normal; }
  .row > .toggle { grid-column: 3; grid-row: 1; margin-top: -0.15em; }
  .toggle .words { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .row > .again { grid-column: 1 / -1; justify-self: stretch; margin: 0.4em 0 0; }
  .facts > :first-child { flex-basis: 100%; }
  .reason { grid-column: 1 / -1; flex-direction: column; align-items: stretch; margin-top: 0.35em; }
  .reason .button, .question .button, .empty .button { width: 100%; }
  .body .button { flex: 1 1 auto; margin: 0; }
  .empty { padding: 2em 1.1em; }
}
@media (width < 36rem) {
  dialog { width: calc(100vw - 1.5em); margin-bottom: 0.75em; }
  .sheet .button { flex: 1 1 auto; }
}
@media (width < 36rem) and (height >= 30rem) {
  .sheet .actions { flex-direction: column-reverse; align-items: stretch; }
}
@media (prefers-reduced-motion: reduce) {
  *, ::before, ::after { animation-duration: 1ms !important; animation-iteration-count: 1 !important; transition-duration: 1ms !important; }
  .spinner { border-top-color: color-mix(in oklab, currentcolor 30%, transparent); border-inline-end-color: currentcolor; }
}
@media (forced-colors: active) {
  .status::before { background: CanvasText; }
  .spinner { forced-color-adjust: none; border-color: GrayText; border-top-color: CanvasText; }
  .bone { background: GrayText; }
  .button[aria-disabled="true"]:not(.busy) { border-color: GrayText; color: GrayText; opacity: 1; }
}
`;
var shared;
function sheet() {
  if (!shared) {
    shared = new CSSStyleSheet();
    shared.replaceSync(STYLES);
  }
  return shared;
}

// src/views/controls.ts
function controls() {
  const select = (act) => h("select", { class: "field", part: "field", "data-act": act });
  const selects = {
    status: select("by-status"),
    provider: select("by-provider"),
    order: select("order")
  };
  const search = h("input", {
    class: "field",
    part: "field",
    type: "search",
    "data-act": "search",
    autocomplete: "off",
    spellcheck: "false",
    maxlength: 200
  });
  const found = h("div", { class: "found" });
  const labelled = (field) => h("label", {}, h("span"), field);
  const form = h(
    "form",
    { class: "controls", part: "controls", role: "search", hidden: true },
    labelled(search),
    labelled(selects.status),
    labelled(selects.provider),
    labelled(selects.order),
    found
  );
  form.addEventListener("submit", (event) => event.preventDefault());
  return { form, search, selects, found };
}
function readChoice({ search, selects }) {
  const order = ORDERS.find((one) => one === selects.order.value) ?? EVERYTHING.order;
  return {
    text: search.value,
    status: selects.status.value,
    provider: selects.provider.value,
    order
  };
}
function drawControls({ search, selects, found }, view, connections, result, paint, clear) {
  const { words } = view;
  const { choice, count } = result;
  if (search.value !== choice.text) search.value = choice.text;
  search.placeholder = words.text("list.hint");
  const offer = (name, options) => paint(
    selects[name],
    [options, choice[name]],
    () => options.map(
      ({ value, label }) => h("option", { value, selected: value === choice[name] }, label)
    )
  );
  offer("status", [
    { value: "", label: words.text("list.allStatuses") },
    { value: ATTENTION, label: words.text("sections.attention") },
    ...statusOptions(connections, choice, words)
  ]);
  offer("provider", [
    { value: "", label: words.text("list.allProviders") },
    ...providerOptions(connections, choice, words, view.names)
  ]);
  offer(
    "order",
    ORDERS.map((value) => ({ value, label: words.text(`list.${value}`) }))
  );
  for (const [name, field] of Object.entries({ search, ...selects })) {
    const label = words.text(`list.${name}`);
    if (field.previousElementSibling) field.previousElementSibling.textContent = label;
  }
  const text = needsAll(choice) ? foundText(words, result) : "";
  found.classList.toggle("none", needsAll(choice) && !count);
  paint(found, [text, narrows(choice)], () => [
    text && h("p", {}, text),
    narrows(choice) && button(view, "clear", words.text("list.clear"), clear, { kind: "quiet", always: true })
  ]);
  return text;
}
function foundText(words, result) {
  const { choice, count, read, reading, complete } = result;
  const waits = !complete && reading && read < MOST;
  const parts = [];
  if (narrows(choice) && count) parts.push(words.plain("list.found", { n: count }));
  if (narrows(choice) && !count && !waits) parts.push(words.text("list.none"));
  if (waits) parts.push(words.text("list.reading"));
  else if (!complete) parts.push(words.plain("list.cut", { n: read }));
  return parts.join(" ");
}

// src/views/dialog.ts
function dialogContent(view, content) {
  const { words } = view;
  const { connection, entity, failed: failed2 } = content.dialog;
  const name = entity && words.entity(entity);
  const names = { ...view.names(connection), ...name && { name } };
  return h(
    "div",
    { class: "sheet" },
    h("h2", { id: "dialog-title" }, words.nodes("dialog.title", names)),
    h(
      "p",
      { id: "dialog-text", class: content.hasAppName ? null : "first" },
      words.nodes(entity ? "dialog.stopsEntity" : "dialog.stops", names)
    ),
    !entity && ends(view, connection),
    h(
      "p",
      {},
      !entity && content.hasOthers && [words.text("dialog.stays"), " "],
      words.nodes("dialog.undo", names)
    ),
    failed2 && h(
      "div",
      { class: "notice bad", role: "alert" },
      icon("alert"),
      h("div", {}, h("p", {}, failureText(view, failed2)), referenceLine(view, failed2.reference))
    ),
    dialogButtons(view, content)
  );
}
function ends(view, connection) {
  const { words } = view;
  const entities = new Set(entitiesOf(connection).map((entity) => words.entity(entity)));
  return [
    h(
      "ul",
      { id: "dialog-ends" },
      connection.logins.map(
        (login, place) => h(
          "li",
          {},
          loginName(view, login, place),
          h("p", { class: "small first" }, words.products(login.products))
        )
      )
    ),
    entities.size > 1 && h("p", {}, words.nodes("dialog.entities", { names: words.list([...entities]) }))
  ];
}
function dialogButtons({ words }, content) {
  const { working } = content.dialog;
  const disabled = { "aria-disabled": working ? "true" : null };
  return h(
    "div",
    { class: "actions" },
    h(
      "button",
      {
        type: "button",
        class: "button",
        part: "button",
        "data-act": "keep",
        autofocus: true,
        ...disabled,
        onclick: () => working || content.keep()
      },
      words.text("keep")
    ),
    h(
      "button",
      {
        type: "button",
        class: `button danger ${working ? "busy" : ""}`,
        part: "button danger-button",
        "data-act": "do-disconnect",
        ...disabled,
        onclick: content.disconnect
      },
      working && spinner(),
      words.text(working ? "dialog.working" : "disconnect")
    )
  );
}

// src/views/header.ts
function header(view, content) {
  const { words } = view;
  const { summary, troubled, checks, invites, listed, connect } = content;
  return [
    h(
      "div",
      {},
      h("h2", { part: "heading", tabindex: "-1", "data-act": "title" }, words.text("title")),
      listed && summary && h(
        "p",
        { class: `summary ${troubled ? "bad" : ""}`, part: "summary" },
        troubled && icon("alert"),
        h("span", {}, summary)
      ),
      listed && checks && h("p", { class: "small checks" }, checks)
    ),
    listed && button(view, "connect", words.text("connect"), connect, {
      kind: invites ? "primary" : "",
      icon: "plus"
    })
  ];
}

// src/views/reads.ts
function readsList({ words }, { products, reason: reason2 }) {
  return [
    reason2 && h("p", {}, h("bdi", {}, reason2)),
    h(
      "dl",
      { class: "reads-list" },
      products.map(
        (product) => h(
          "div",
          {},
          h("dt", { class: "first" }, words.products([product])),
          h("dd", { class: "first" }, words.find(`reads.${product}`))
        )
      )
    )
  ];
}

// src/views/list_end.ts
function loading({ words }, slow) {
  return h(
    "div",
    { class: "cards" },
    h("p", { class: "unseen" }, words.text("loading")),
    placeholder(),
    placeholder(),
    placeholder(),
    slow && h("p", { class: "slow" }, words.text("slow"))
  );
}
function placeholder() {
  const line = () => h("span", { class: "bone line" });
  return h(
    "div",
    { class: "card still" },
    h(
      "div",
      { class: "row" },
      h("span", { class: "mark bone" }),
      h("div", { class: "bones" }, line(), line())
    )
  );
}
function emptyPage(view, reads, connect) {
  const { words } = view;
  const point = (path) => h("li", {}, icon("check"), h("span", {}, words.nodes(path)));
  return h(
    "div",
    { class: "empty", part: "empty" },
    picture(),
    h("h3", {}, words.text("empty.title")),
    h("p", {}, words.nodes("empty.text")),
    h("ul", {}, point("empty.password"), point("empty.control")),
    h(
      "section",
      { class: "asks" },
      h("h4", {}, words.nodes("reads.title")),
      readsList(view, reads)
    ),
    button(view, "connect", words.text("connectFirst"), connect, { kind: "primary" })
  );
}
function awaited({ words }, asked) {
  return h(
    "div",
    { class: "empty", part: "empty" },
    picture(),
    h("p", {}, words.text(asked ? "empty.asked" : "empty.awaited"))
  );
}
function moreButton({ words }, busy, more) {
  return h(
    "button",
    {
      type: "button",
      class: "button more",
      part: "button",
      "data-act": "more",
      onclick: more
    },
    busy && spinner(),
    words.text("more")
  );
}

// src/views/notice.ts
function noticeBox(view, box) {
  const { words } = view;
  const { kind, title, text, reference, support, retry, spins } = box.notice;
  const values = box.about ? { ...view.names(box.about), detail: statusDetail(box.about) } : void 0;
  const link = support && supportLink(view, reference, { class: "button", part: "button" });
  return h(
    "div",
    {
      class: `notice ${kind}`,
      part: "notice",
      // Screen readers announce a new alert, but not every new live region.
      role: box.isNew && kind === "bad" ? "alert" : null
    },
    spins ? spinner() : icon(kind === "good" ? "check" : kind === "info" ? "info" : "alert"),
    h(
      "div",
      {},
      h("h3", { tabindex: "-1", "data-act": "notice" }, words.nodes(title, values)),
      text && words.text(text) && h("p", {}, words.nodes(text, values)),
      referenceLine(link ? { ...view, support: null } : view, reference),
      (retry || link) && h(
        "div",
        { class: "actions" },
        retry && button(view, `retry:${retry}`, box.retryText, () => box.tryAgain(retry)),
        link
      )
    ),
    !spins && closeButton(view, box.dismiss)
  );
}
function closeButton({ words }, dismiss) {
  return h(
    "button",
    {
      type: "button",
      class: "button quiet icon close",
      part: "button",
      "data-act": "close",
      "aria-label": words.text("dismiss"),
      onclick: dismiss
    },
    icon("close")
  );
}
function staleBox(view, box) {
  const { words } = view;
  const { failure, failed: failed2 } = box;
  return h(
    "div",
    {
      class: `notice ${failed2 ? "bad" : "wait"}`,
      part: "notice",
      // No live region: the time in it changes by itself.
      role: box.isNew && failed2 ? "alert" : null
    },
    icon("alert"),
    h(
      "div",
      {},
      h(
        "h3",
        { tabindex: "-1", "data-act": "stale" },
        words.text(failed2 ? "result.unavailable" : "result.stale")
      ),
      h(
        "p",
        {},
        failureText(view, failure),
        " ",
        !failed2 && words.time("result.staleText", new Date(box.updatedAt).toISOString())
      ),
      referenceLine(view, failure.reference),
      h("div", { class: "actions" }, button(view, "again", words.text("tryAgain"), box.tryAgain))
    )
  );
}

// src/views/question.ts
function questionCard(view, card2) {
  const { words } = view;
  const { question } = card2;
  if (question === "checking") {
    return h(
      "div",
      { class: "notice info", part: "notice" },
      spinner(),
      h("p", {}, words.text("confirm.checking"))
    );
  }
  const { provider_id = "", company_id = "", entity_names, failed: failed2 } = question;
  const company = entity_names?.length ? entity_names.map((name) => h("div", {}, h("bdi", {}, name))) : h("code", {}, company_id);
  return h(
    "section",
    { class: "question", part: "question", "aria-labelledby": "question" },
    h(
      "h3",
      { id: "question", tabindex: "-1", "data-act": "question" },
      words.text("confirm.title")
    ),
    h("p", {}, words.nodes("confirm.text")),
    h(
      "dl",
      { class: "facts-list" },
      fact(words.text("confirm.provider"), h("bdi", {}, card2.providerName(provider_id))),
      fact(words.text("confirm.company"), company)
    ),
    failed2 && h("p", { role: "alert", class: "bad" }, failureText(view, failed2)),
    failed2 && referenceLine(view, failed2.reference),
    h(
      "div",
      { class: "actions" },
      button(view, "confirm", words.text("confirm.yes"), card2.confirm, { kind: "primary" }),
      button(view, "reject", words.text("confirm.no"), card2.reject)
    )
  );
}

// src/views/skeleton.ts
function skeleton() {
  const live = h("div", { class: "unseen", role: "status", "aria-live": "polite" });
  const header2 = h("header", { part: "header" });
  const reads = h("details", { class: "reads", hidden: true }, h("summary"), h("div"));
  const choosing = controls();
  const top = h("div", { class: "root" });
  const rest = h("div", { class: "root" });
  const titles = {
    attention: h("h3", { id: "attention" }),
    active: h("h3", { id: "active" }),
    ended: h("h3")
  };
  const list = () => h("ul", { class: "cards" });
  const lists = { attention: list(), active: list(), ended: list() };
  const section = (name) => h(
    "section",
    { class: "group", "aria-labelledby": name, hidden: true },
    titles[name],
    lists[name]
  );
  const sections = {
    attention: section("attention"),
    active: section("active"),
    ended: h(
      "details",
      { class: "ended", hidden: true },
      h("summary", { "data-act": "ended" }, titles.ended),
      lists.ended
    )
  };
  const all = h(
    "div",
    { class: "root all" },
    header2,
    reads,
    top,
    choosing.form,
    sections.attention,
    sections.active,
    rest,
    sections.ended
  );
  const dialog = h("dialog", {
    part: "dialog",
    "aria-labelledby": "dialog-title",
    "aria-describedby": "dialog-text dialog-ends"
  });
  return {
    live,
    all,
    header: header2,
    reads,
    top,
    controls: choosing,
    sections,
    titles,
    lists,
    rest,
    dialog
  };
}

// src/screen.ts
var Screen = class {
  #root;
  #shown;
  #actions;
  #parts = skeleton();
  #cards = new CardList({
    connect: (act) => this.#actions.connect(act),
    askToDisconnect: (...asked) => this.#actions.askToDisconnect(...asked),
    toggled: () => this.render()
  });
  #announced = /* @__PURE__ */ new WeakSet();
  #painted = /* @__PURE__ */ new WeakMap();
  #endedOpen = false;
  #choice = null;
  #found = "";
  /** The text about the checks of the whole list. */
  #checks = null;
  #observer = null;
  constructor(root, shown, actions) {
    this.#root = root;
    this.#shown = shown;
    this.#actions = actions;
    const { live, all, sections, dialog, controls: controls2, reads } = this.#parts;
    controls2.form.addEventListener("input", () => this.#actions.choose(readChoice(controls2)));
    controls2.form.addEventListener("focusin", () => this.#actions.readAll());
    reads.firstElementChild?.setAttribute("data-act", "reads");
    sections.ended.addEventListener("toggle", () => {
      this.#endedOpen = sections.ended.open;
    });
    const isWorking = () => this.#shown().dialog?.working;
    dialog.addEventListener("cancel", (event) => isWorking() && event.preventDefault());
    dialog.addEventListener("close", () => dialog.open || this.#actions.dialogClosed());
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog && !isWorking()) dialog.close();
    });
    root.adoptedStyleSheets = [sheet()];
    root.append(live, all, dialog);
  }
  /** Forgets what the person opened and searched for. */
  reset() {
    this.#cards.reset();
    this.#parts.controls.form.reset();
    this.closeDialog();
  }
  /** Makes the next drawing complete, because the texts have changed. */
  repaint() {
    this.#painted = /* @__PURE__ */ new WeakMap();
  }
  /** Stops watching for the end of the list. */
  stop() {
    this.#observer?.disconnect();
  }
  openDialog() {
    this.#parts.dialog.showModal();
  }
  closeDialog() {
    if (this.#parts.dialog.open) this.#parts.dialog.close();
  }
  announce(text) {
    this.#parts.live.textContent = text;
  }
  announceSummary() {
    this.announce(this.#summary(this.#shown()));
  }
  /** Moves the focus to a button, or to the heading `title`, `notice` or `question`. */
  focus(act) {
    if (act) this.#find(act)?.focus();
  }
  updateTimes() {
    if (document.hidden) return;
    const { words } = this.#shown();
    for (const time of this.#root.querySelectorAll("time[data-path]")) {
      words.updateTime(time);
    }
  }
  /** Draws the present state. Unchanged elements stay, and with them the focus. */
  render() {
    const focused = this.#focusedAct;
    const shown = this.#shown();
    const parts = this.#parts;
    const { words, phase } = shown;
    const ready = phase === "ready";
    const all = ready ? [...shown.connections.values()] : [];
    const found = chosen(all, shown.choice, words, (one) => namesOf(one, words, shown.connections));
    const groups = grouped(found, shown.choice.order === "attention");
    const beyond = groups.active.length > shown.limit;
    groups.active = byCompany(groups.active).flat().slice(0, shown.limit);
    const troubled = all.some(needsAPerson);
    const empty = ready && !shown.cursor && all.every((one) => one.status === "disconnected");
    for (const part of [parts.live, parts.all, parts.dialog]) {
      part.lang = words.language;
      part.dir = shown.direction || words.direction;
    }
    parts.all.setAttribute("aria-busy", String(phase === "loading"));
    this.#paintHeader(shown, troubled, ready && !empty);
    this.#paintReads(shown, ready && !empty);
    this.#paintTop(shown);
    this.#paintControls(shown, found.length, empty);
    const hasAttention = groups.attention.length > 0;
    for (const name of ["attention", "active"]) {
      parts.sections[name].hidden = !groups[name].length;
      const followsAttention = name === "active" && hasAttention;
      const title = parts.titles[name];
      title.textContent = words.text(`sections.${followsAttention ? "others" : name}`);
      title.classList.toggle("unseen", name === "active" && !hasAttention);
    }
    parts.sections.ended.hidden = !groups.ended.length;
    if (this.#choice !== shown.choice) this.#endedOpen = narrows(shown.choice);
    this.#choice = shown.choice;
    parts.sections.ended.open = this.#endedOpen;
    this.#paint(shown, parts.titles.ended, [groups.ended.length], () => [
      icon("chevron"),
      words.plain("sections.ended", { n: groups.ended.length })
    ]);
    const added = [...groups.attention, ...groups.active].find((one) => !this.#cards.has(one));
    const drawing2 = {
      view: this.#view(shown),
      paint: (...painting) => this.#paint(shown, ...painting),
      isCheckedLately: (one) => this.#checks !== null && isCheckedLately(one, Date.now())
    };
    for (const name of Object.keys(groups)) {
      this.#cards.draw(parts.lists[name], name, groups[name], drawing2);
    }
    this.#paintRest(shown, empty, beyond);
    this.#paintDialog(shown);
    this.#observeMore(shown);
    this.#keepFocus(focused, added);
  }
  #find(act) {
    return this.#root.querySelector(`[data-act="${CSS.escape(act)}"]`);
  }
  get #focusedAct() {
    const focused = this.#root.activeElement;
    return focused instanceof HTMLElement ? focused.dataset.act : void 0;
  }
  /** Gives the focus back if painting has replaced the focused element. */
  #keepFocus(focused, added) {
    if (!focused || this.#focusedAct === focused) return;
    const follows = focused === "more" && added && this.#find(`details:${keyOf(added)}`);
    const same = this.#find(focused) ?? follows;
    if (same) same.focus({ preventScroll: true });
    else this.#root.querySelector('[data-act="notice"], [data-act="title"]')?.focus();
  }
  /** Whether this is announced for the first time. Painting again does not announce again. */
  #isNew(announced) {
    const known = this.#announced.has(announced);
    this.#announced.add(announced);
    return !known;
  }
  /** Builds the content of a place again if any of these facts has changed. */
  #paint(shown, place, facts2, build) {
    const { words, busy, appName, products, supportUrl } = shown;
    const signature = JSON.stringify([words.language, busy, appName, products, supportUrl, facts2]);
    if (this.#painted.get(place) === signature) return;
    this.#painted.set(place, signature);
    place.replaceChildren(...nodes(build()));
  }
  #view({ words, busy, connections, supportUrl }) {
    const support = safeLink(supportUrl);
    return { words, busy, support, names: (one) => namesOf(one, words, connections) };
  }
  #summary({ connections, cursor, words }) {
    const all = [...connections.values()];
    const path = summaryPath(all, !cursor);
    return path ? words.plain(path, { n: all.filter(needsAPerson).length }) : "";
  }
  #paintHeader(shown, troubled, listed) {
    const summary = this.#summary(shown);
    this.#checks = checksPath([...shown.connections.values()], !shown.cursor, Date.now());
    const checks = this.#checks ? shown.words.text(this.#checks) : "";
    const invites = !troubled && !isAwaited(shown);
    const connect = () => this.#actions.connect("connect");
    this.#paint(
      shown,
      this.#parts.header,
      [troubled, listed, summary, checks, invites],
      () => header(this.#view(shown), { summary, troubled, checks, invites, listed, connect })
    );
  }
  #paintReads(shown, listed) {
    const { reads } = this.#parts;
    const [summary, content] = reads.children;
    reads.hidden = !listed;
    if (!summary || !content) return;
    this.#paint(shown, summary, [], () => [icon("chevron"), shown.words.nodes("reads.title")]);
    this.#paint(shown, content, [shown.reason], () => readsList(this.#view(shown), shown));
  }
  #paintControls(shown, count, empty) {
    const { choice, connections, cursor, phase, reading } = shown;
    const { controls: controls2 } = this.#parts;
    const complete = !cursor;
    const needed = needsAll(choice) || areMany(connections, complete);
    controls2.form.hidden = phase !== "ready" || empty || !needed;
    if (controls2.form.hidden) return;
    const text = drawControls(
      controls2,
      this.#view(shown),
      [...connections.values()],
      { choice, count, read: connections.size, reading, complete },
      (...painting) => this.#paint(shown, ...painting),
      () => this.#actions.clear()
    );
    if (text && text !== this.#found) this.announce(text);
    this.#found = text;
  }
  #paintTop(shown) {
    const { connections, notice, phase, question, stale } = shown;
    const about = notice?.about && (connections.get(keyOf(notice.about)) ?? notice.about);
    const view = this.#view(shown);
    const facts2 = [question, notice, stale, phase, about && view.names(about)];
    this.#paint(shown, this.#parts.top, facts2, () => [
      question && questionCard(view, {
        question,
        providerName: (provider_id) => providerName({ provider_id }, connections.values()),
        confirm: () => this.#actions.confirm(),
        reject: () => this.#actions.reject()
      }),
      notice && this.#noticeBox(shown, notice, about),
      stale && this.#staleBox(shown, stale)
    ]);
  }
  #noticeBox(shown, notice, about) {
    const { words } = shown;
    const view = this.#view(shown);
    const isNew = this.#isNew(notice);
    if (isNew && notice.kind !== "bad") {
      this.announce(words.plain(notice.title, about && { ...view.names(about) }));
    }
    return noticeBox(view, {
      notice,
      about,
      isNew,
      retryText: words.text(repairs(notice, shown) ? "repair" : "tryAgain"),
      tryAgain: (retry) => this.#actions.tryAgain(notice, retry),
      dismiss: () => this.#actions.dismiss(notice)
    });
  }
  #staleBox(shown, failure) {
    const { phase, updatedAt, words } = shown;
    const failed2 = phase === "failed";
    const isNew = this.#isNew(failure);
    if (isNew && !failed2) this.announce(words.text("result.stale"));
    const tryAgain = () => this.#actions.readAgain();
    return staleBox(this.#view(shown), { failure, failed: failed2, updatedAt, isNew, tryAgain });
  }
  #paintRest(shown, empty, beyond) {
    const { cursor, phase, question, reading, reason: reason2, slow } = shown;
    const view = this.#view(shown);
    const asks = question !== null && question !== "checking";
    const waits = isAwaited(shown);
    const facts2 = [phase, empty, cursor, beyond, reading, slow, asks, waits, reason2];
    this.#paint(shown, this.#parts.rest, facts2, () => {
      if (phase === "loading") return loading(view, slow);
      if (empty && waits) return awaited(view, asks);
      if (empty) return emptyPage(view, shown, () => this.#actions.connect("connect"));
      if (phase !== "ready" || !(cursor || beyond)) return null;
      return moreButton(view, reading, () => this.#actions.more());
    });
  }
  /** Reads more as soon as the button for it is nearly in sight. */
  #observeMore({ choice, cursor, reading, stale }) {
    const button2 = this.#find("more");
    this.#observer?.disconnect();
    if (!button2 || reading || stale || cursor && needsAll(choice)) return;
    this.#observer ??= newObserver(() => this.#actions.more());
    this.#observer?.observe(button2);
  }
  #paintDialog(shown) {
    const { appName, connections, dialog } = shown;
    if (!dialog) return;
    const { connection, entity, failed: failed2, working } = dialog;
    this.#paint(
      shown,
      this.#parts.dialog,
      [connection, entity, working, failed2],
      () => dialogContent(this.#view(shown), {
        dialog,
        hasOthers: connections.size > 1,
        hasAppName: appName !== null,
        keep: () => this.#parts.dialog.close(),
        disconnect: () => this.#actions.disconnect()
      })
    );
  }
};
function isAwaited({ notice, question, waiting }) {
  return waiting || question !== null || notice !== null && isUndecided(notice);
}
function namesOf(connection, words, connections) {
  return {
    provider: providerName(connection, connections.values()),
    company: words.company(connection)
  };
}
function repairs({ retry }, { connections }) {
  return Boolean(retry?.startsWith("repair:") && connections.has(retry.slice("repair:".length)));
}

// src/wording.ts
var OUR_VALUES = ["action", "date", "n", "some", "status", "when"];
function languageFor(requested, ownTexts = {}) {
  const language = canonical(requested);
  const has = language && (Object.hasOwn(TEXTS, base(language)) || isFor(ownTexts, language));
  return has ? language : "en";
}
function canonical(language) {
  return optional(() => Intl.getCanonicalLocales(language)[0] ?? null);
}
function base(language) {
  return language.split("-")[0] ?? language;
}
function isFor({ lang = "" }, language) {
  return base(canonical(lang) ?? "") === base(language);
}
var Wording = class {
  language;
  direction;
  #tables;
  #appName;
  /** The application's own texts for this language come first, then ours, then English. */
  constructor(language, ownTexts, appName) {
    this.language = language;
    this.direction = formats.direction(language);
    const own = !ownTexts.lang || isFor(ownTexts, language) ? [ownTexts] : [];
    const ours = Object.entries(TEXTS).find(([name]) => name === base(language));
    this.#tables = [...own, ...ours ? [ours[1]] : [], TEXTS.en];
    this.#appName = appName;
  }
  text(path, n) {
    return this.find(path, n) ?? "";
  }
  /** A text that may be missing, because its path has a word that this page does not know. */
  find(path, n = Number.NaN) {
    for (const table of this.#tables) {
      const found = lookUp(table, path);
      if (found == null) continue;
      const plural = formats.plural(this.language, n);
      const text = typeof found === "object" ? lookUp(found, plural) ?? lookUp(found, "other") : found;
      return typeof text === "string" ? text : null;
    }
    return null;
  }
  /** A text as nodes: each value is isolated from the text around it. */
  nodes(path, values = {}) {
    const fill = (name) => name === "name" && values.name === void 0 ? this.nodes("named", values) : h("bdi", {}, this.#value(name, values));
    return this.text(path, values.n).split(/\{(\w+)\}/).flatMap((part, place) => place % 2 ? fill(part) : part).filter((part) => part !== "");
  }
  /** The same text as one string, for attributes and for reading aloud. */
  plain(path, values = {}) {
    return this.text(path, values.n).replace(/\{(\w+)\}/g, (_, name) => {
      const value = this.#value(name, values);
      return OUR_VALUES.includes(name) ? value : `⁨${value}⁩`;
    });
  }
  #value(name, values) {
    if (name === "app") return this.#appName || this.text("theApplication");
    if (name === "name" && values.name === void 0) return this.plain("named", values);
    if (name === "n" && values.n !== void 0) return formats.number(this.language, values.n);
    return Object.hasOwn(values, name) ? String(values[name] ?? "") : "";
  }
  date(moment) {
    return formats.date(this.language, new Date(moment));
  }
  moment(moment) {
    return formats.moment(this.language, new Date(moment));
  }
  /** How long ago that was. A clock that differs by seconds never makes it the future. */
  ago(moment, now) {
    const minutes = Math.min(0, Math.round((new Date(moment).getTime() - now) / MINUTE));
    const ago = (n, unit) => formats.ago(this.language, Math.round(n), unit) ?? this.date(moment);
    if (!minutes) return this.text("justNow");
    if (minutes > -60) return ago(minutes, "minute");
    if (minutes > -60 * 24) return ago(minutes / 60, "hour");
    return ago(minutes / 60 / 24, "day");
  }
  /** A text with a relative time, which the element updates while the page is open. */
  time(path, moment) {
    const time = h("time", { datetime: moment, "data-path": path });
    this.updateTime(time);
    return time;
  }
  updateTime(time) {
    const when = this.ago(time.dateTime, Date.now());
    time.textContent = this.plain(time.dataset.path, { when });
  }
  list(items) {
    return formats.list(this.language, items);
  }
  products(products) {
    return this.list(products.map((one) => this.find(`product.${one}`) || one));
  }
  status(status) {
    return this.find(`status.${status}.label`) || this.text("otherStatus.label");
  }
  company(connection) {
    if (connection.company_name) return connection.company_name;
    const entities = entitiesOf(connection);
    const names = new Set(entities.map((entity) => entity.name ?? entity.id));
    const [first, ...others] = [...names].sort();
    if (!first || !entities.some((entity) => entity.name)) {
      return this.#name("unknownCompany", { id: connection.company_id.slice(0, 8) });
    }
    return others.length ? this.#name("andMore", { name: first, n: others.length }) : first;
  }
  entity(entity) {
    return entity.name ?? this.#name("card.entity", { id: entity.id.slice(0, 8) });
  }
  /** A name made of our words. It has the direction of our words. */
  #name(path, values) {
    return (this.direction === "rtl" ? "‏" : "") + this.plain(path, values);
  }
};
function lookUp(table, path) {
  return path.split(".").reduce((inner, key) => {
    const isTable = typeof inner === "object" && inner !== null && Object.hasOwn(inner, key);
    return isTable ? inner[key] : void 0;
  }, table);
}

// src/element.ts
var SLOW = 5 * SECOND;
var SOURCE_WITHIN = SECOND;
var FRESH = 10 * SECOND;
var LEAVES_WITHIN = 20 * SECOND;
var WAITS_FOR = 15 * MINUTE;
var MODE_HINT = 'finch-connections: the deployment does not allow embedded mode. Set the attribute mode="redirect", or the parameter ConnectModes to "redirect,embedded".';
var TOKEN_HINT = "finch-connections: the page gives no access token. Set the property getAccessToken, or answer the event finch-access-token with detail.provide(token). React and Vue set a property only on an element that is defined: load finch-connections.js before they render.";
var landed = globalThis.document ? receiveReturn() : null;
var Base = globalThis.HTMLElement ?? class {
};
var isUnreported = () => landed !== null && !landed.completion;
var FinchConnections = class extends Base {
  static observedAttributes = [
    "api-url",
    "lang",
    "dir",
    "app-name",
    "products",
    "reason",
    "support-url",
    "mode"
  ];
  // Settings
  #getAccessToken = null;
  #texts = {};
  #finchConnect = null;
  // The state that the page shows
  #connections = /* @__PURE__ */ new Map();
  #phase = "loading";
  #cursor = null;
  #choice = EVERYTHING;
  #limit = PAGE_SIZE;
  #updatedAt = 0;
  #notice = null;
  #question = null;
  #stale = null;
  #slow = false;
  #busy = null;
  #dialog = null;
  // The requests and dialogs in progress
  /** The client for the present sign-in. It is closed when the customer or the API changes. */
  #api = null;
  /** Counts changes made by this page; an older reading is dropped. */
  #epoch = 0;
  #reading = null;
  /** How many connections were read in the API's order. */
  #read = 0;
  #readAt = 0;
  /** The person searches, filters or sorts, for which the page needs all connections. */
  #readsAll = false;
  #wantsMore = false;
  #looking = false;
  #waiting = null;
  #pause = 0;
  #timer;
  #ticker;
  #channel = null;
  #frame = null;
  #screen = new Screen(this.attachShadow({ mode: "open" }), () => this.#shown, {
    connect: (act) => this.#connect(act),
    more: () => this.#more(),
    choose: (choice) => this.#choose(choice),
    clear: () => this.#clear(),
    readAll: () => this.#readAll(),
    confirm: () => this.#confirm(),
    reject: () => this.#reject(),
    dismiss: (notice) => this.#dismiss(notice),
    tryAgain: (notice, retry) => this.#tryAgain(notice, retry),
    readAgain: () => this.#readAgain(),
    askToDisconnect: (...asked) => this.#askToDisconnect(...asked),
    disconnect: () => this.#disconnect(),
    dialogClosed: () => this.#dialogClosed()
  });
  connectedCallback() {
    for (const name of ["getAccessToken", "texts", "finchConnect"]) {
      if (!Object.hasOwn(this, name)) continue;
      const early2 = { [name]: this[name] };
      delete this[name];
      Object.assign(this, early2);
    }
    this.#channel = openChannel();
    this.#channel?.addEventListener("message", this.#onChangeElsewhere);
    document.addEventListener("visibilitychange", this.#onVisible);
    window.addEventListener("pageshow", this.#onShown);
    window.addEventListener("online", this.#onChangeElsewhere);
    this.#ticker = setInterval(() => this.#screen.updateTimes(), MINUTE / 2);
    this.#start();
  }
  disconnectedCallback() {
    this.#api?.close();
    this.#api = null;
    clearTimeout(this.#timer);
    clearInterval(this.#ticker);
    this.#channel?.close();
    this.#destroyFrame();
    this.#screen.stop();
    document.removeEventListener("visibilitychange", this.#onVisible);
    window.removeEventListener("pageshow", this.#onShown);
    window.removeEventListener("online", this.#onChangeElsewhere);
  }
  attributeChangedCallback(name, before, after) {
    if (!this.#api || before === after) return;
    if (name === "api-url") this.#start();
    else this.#screen.render();
  }
  /**
   * Returns an access token of the application, or a promise of one. After a 401 it is called with
   * `refresh`. Setting another function starts again: it means another sign-in.
   */
  get getAccessToken() {
    return this.#getAccessToken;
  }
  set getAccessToken(getAccessToken) {
    if (getAccessToken === this.#getAccessToken) return;
    this.#getAccessToken = getAccessToken;
    if (this.isConnected) this.#start();
  }
  /** Texts that replace those of `TEXTS`, or add the language `lang`. A missing text stays. */
  get texts() {
    return this.#texts;
  }
  set texts(texts) {
    this.#texts = texts ?? {};
    this.#screen.repaint();
    if (this.#api) this.#screen.render();
  }
  /** Finch's SDK, if it is not the global `FinchConnect`. */
  get finchConnect() {
    const global = globalThis;
    return this.#finchConnect ?? global.FinchConnect ?? null;
  }
  set finchConnect(sdk) {
    this.#destroyFrame();
    this.#finchConnect = sdk;
  }
  /** Reads everything again; resolves when the page shows it. */
  async refresh() {
    while (this.#reading) await this.#reading;
    await this.#reload();
  }
  // Texts and names
  get #words() {
    const language = this.lang || this.closest("[lang]")?.lang || navigator.language;
    const own = this.#texts;
    return new Wording(languageFor(language, own), own, this.getAttribute("app-name"));
  }
  get #products() {
    return (this.getAttribute("products") || "company directory").trim().split(/[\s,]+/);
  }
  #dispatch(name, detail) {
    const event = new CustomEvent(name, { detail, bubbles: true, composed: true });
    this.dispatchEvent(event);
  }
  // Starting, and reading the list
  async #token(refresh, { signal }) {
    if (this.#getAccessToken) return this.#getAccessToken({ refresh });
    let provided;
    const provide = (token) => {
      provided = { token };
    };
    const ask = () => this.#dispatch("finch-access-token", { refresh, provide });
    ask();
    if (!provided) {
      await new Promise((resolve) => setTimeout(resolve, SOURCE_WITHIN));
      if (signal.aborted) return null;
      ask();
    }
    if (!provided) console.error(TOKEN_HINT);
    return provided?.token;
  }
  #start() {
    clearTimeout(this.#timer);
    this.#api?.close();
    const api = new Api(this.getAttribute("api-url") ?? "", {
      token: (refresh) => this.#token(refresh, api),
      signedOut: () => this.#dispatch("finch-signed-out", {})
    });
    this.#api = api;
    this.#connections.clear();
    this.#cursor = this.#notice = this.#question = this.#stale = this.#busy = this.#waiting = null;
    this.#reading = null;
    this.#read = 0;
    this.#choice = EVERYTHING;
    this.#limit = PAGE_SIZE;
    this.#phase = "loading";
    this.#looking = this.#slow = this.#readsAll = this.#wantsMore = false;
    this.#screen.reset();
    this.#frame?.close();
    this.#screen.render();
    this.#screen.announce(this.#words.text("loading"));
    const begin = () => {
      if (!api.closed && this.isConnected) this.#begin(api);
    };
    if (this.#getAccessToken || document.readyState === "complete") queueMicrotask(begin);
    else window.addEventListener("load", begin, { once: true, signal: api.signal });
  }
  async #begin(api) {
    if (!this.hasAttribute("api-url")) {
      console.error("finch-connections: the attribute api-url is missing.");
      return;
    }
    const slow = setTimeout(() => {
      this.#slow = true;
      this.#screen.render();
      this.#screen.announce(this.#words.text("slow"));
    }, SLOW);
    await this.#reload();
    clearTimeout(slow);
    if (api.closed) return;
    this.#slow = false;
    this.#screen.render();
  }
  /** Marks that a reading is in progress, at most one at a time. Returns the function that ends it. */
  #beginReading() {
    const { promise, resolve } = Promise.withResolvers();
    this.#reading = promise;
    return () => {
      if (this.#reading === promise) this.#reading = null;
      resolve();
    };
  }
  async #reload() {
    const api = this.#api;
    if (this.#reading || !api) return;
    const endReading = this.#beginReading();
    const epoch = this.#epoch;
    try {
      const wanted = Math.max(this.#readsAll ? MOST : PAGE_SIZE, this.#read);
      const reading = await readList(api, wanted);
      if (api.closed || epoch !== this.#epoch) return;
      this.#cursor = reading.cursor;
      this.#absorb(reading.found);
      for (const key of goneFrom(this.#connections.keys(), reading)) this.#connections.delete(key);
      const first = this.#phase !== "ready";
      this.#phase = "ready";
      this.#stale = null;
      this.#updatedAt = this.#readAt = Date.now();
      this.#read = reading.count;
      if (first) this.#screen.announceSummary();
      if (first || isUnreported()) await this.#land(api);
    } catch (error) {
      if (api.closed) return;
      const { code, reference } = Refused.from(error);
      if (this.#stale?.code !== code) this.#stale = { code, reference };
      if (this.#phase !== "ready") this.#phase = "failed";
    } finally {
      endReading();
      if (!api.closed) {
        this.#screen.render();
        if (!this.#looking) this.#schedule();
      }
    }
  }
  /** Shows more connections. If the page has not read that many, it reads the next page. */
  async #more() {
    const api = this.#api;
    if (this.#wantsMore || !api) return;
    this.#limit += PAGE_SIZE;
    const searches = needsAll(this.#choice);
    if (!this.#cursor || this.#read >= this.#limit && !searches) {
      this.#screen.render();
      return;
    }
    this.#wantsMore = true;
    while (this.#reading) await this.#reading;
    if (api.closed) return;
    const endReading = this.#beginReading();
    this.#screen.render();
    try {
      while (this.#cursor) {
        const epoch = this.#epoch;
        const limit = searches ? LARGEST_PAGE : PAGE_SIZE;
        const page = await api.page({ limit, cursor: this.#cursor });
        if (api.closed) return;
        if (epoch !== this.#epoch) continue;
        this.#cursor = page.next_cursor;
        this.#read += page.connections.length;
        this.#absorb(new Map(page.connections.map((one) => [keyOf(one), one])));
        break;
      }
    } catch (error) {
      if (api.closed) return;
      const { code, reference } = Refused.from(error);
      this.#stale = { code, reference };
    } finally {
      endReading();
      if (!api.closed) {
        this.#wantsMore = false;
        this.#screen.render();
      }
    }
  }
  // Searching, filtering and sorting
  #choose(choice) {
    this.#choice = choice;
    this.#limit = PAGE_SIZE;
    this.#screen.render();
    if (needsAll(choice)) this.#readAll();
  }
  #clear() {
    this.#choose({ ...EVERYTHING, order: this.#choice.order });
    this.#screen.focus("search");
  }
  /** Reads the connections that are not read yet, because a search must not miss any. */
  async #readAll() {
    if (this.#readsAll || !this.#cursor) return;
    const api = this.#api;
    this.#readsAll = true;
    while (this.#reading) await this.#reading;
    if (api?.closed || !this.#cursor) return;
    const read = this.#reload();
    this.#screen.render();
    await read;
  }
  /** Takes over what the API returned, and announces each new status. */
  #absorb(found) {
    const { changed, withNewStatus } = differences(this.#connections, found);
    for (const one of changed) this.#connections.set(keyOf(one), one);
    const words = this.#words;
    const changes = withNewStatus.map(
      (one) => words.plain("changed", {
        name: words.plain("named", { ...namesOf(one, words, this.#connections) }),
        status: words.status(one.status)
      })
    );
    if (changes.length) this.#screen.announce(changes.join(". "));
    if (changed.length) this.#pause = 0;
  }
  // Reading again: soon while something is under way, seldom otherwise, never while hidden
  #underWay() {
    return underWay(this.#connections.values(), Date.now());
  }
  #schedule() {
    clearTimeout(this.#timer);
    if (document.hidden || !this.#api || this.#phase === "loading") return;
    const watching = this.#underWay().length > 0 || this.#waiting !== null || isUnreported();
    this.#pause = nextPause(this.#pause, watching);
    this.#timer = setTimeout(() => this.#look(), this.#pause);
  }
  async #look() {
    const api = this.#api;
    if (!api || this.#looking || this.#reading || this.#busy || this.#dialog) {
      this.#schedule();
      return;
    }
    this.#looking = true;
    const few = this.#underWay();
    const onlyFew = this.#phase === "ready" && !isUnreported() && readsOnly(few, Date.now() - this.#readAt);
    if (this.#waiting) await this.#lookAtReturn();
    else if (onlyFew) await this.#lookAt(few);
    else await this.#reload();
    if (api.closed) return;
    this.#looking = false;
    this.#schedule();
  }
  async #lookAt(few) {
    const api = this.#api;
    if (!api) return;
    const epoch = this.#epoch;
    const endReading = this.#beginReading();
    try {
      const found = /* @__PURE__ */ new Map();
      for (const one of few) found.set(keyOf(one), await api.connection(one));
      if (!api.closed && epoch === this.#epoch) this.#absorb(found);
    } catch (error) {
      if (!api.closed) Refused.from(error);
    } finally {
      endReading();
      if (!api.closed) this.#screen.render();
    }
  }
  #onVisible = () => {
    if (document.hidden) {
      clearTimeout(this.#timer);
      return;
    }
    this.#pause = 0;
    if (this.#phase === "loading" || Date.now() - this.#readAt < FRESH) this.#schedule();
    else this.#look();
  };
  /** Another tab has changed something, or the network is back. */
  #onChangeElsewhere = () => {
    this.#readAt = 0;
    if (!document.hidden) this.#onVisible();
  };
  /** The browser shows this page from its memory. The button that was pressed works again. */
  #onShown = (event) => {
    if (!event.persisted) return;
    this.#busy = null;
    this.#screen.render();
    this.#onVisible();
  };
  // The return from Finch Connect
  async #land(api) {
    const landing = landed;
    if (!landing) return;
    if (landing.completion) {
      this.#question = "checking";
      this.#screen.announce(this.#words.text("confirm.checking"));
      this.#screen.render();
      this.#waiting = landing;
      await this.#lookAtReturn();
      return;
    }
    landed = null;
    const { error, reference } = landing;
    if (error) this.#refuseReturn(new Refused(hasText(error) ? error : "unexpected", reference));
    else if (landing.status === "pending") this.#wait({ at: Date.now(), reference });
    else if (landing.provider_id && landing.company_id) await this.#arrived(landing, api);
  }
  /**
   * Asks the API what the completion code would connect. This confirms nothing: a person confirms
   * with a click. The page does not show texts from the address, because they may be forged.
   */
  async #lookAtReturn() {
    const api = this.#api;
    const landing = this.#waiting;
    if (!api) return;
    if (!landing?.completion) return this.#lookForConnection(api);
    try {
      const finished = await api.finish({ completion: landing.completion, look: true });
      if (api.closed) return;
      this.#showOutcome(finished, landing, api);
    } catch (error) {
      if (api.closed) return;
      const { code, reference = landing.reference } = Refused.from(error);
      const refused = new Refused(code, reference);
      if (code === "session_not_found") {
        this.#waiting = null;
        this.#question = null;
        this.#notice = foreignReturn();
      } else if (isWorthAnotherTry(refused)) {
        this.#question = null;
        this.#notice = returnWaits(refused);
      } else {
        this.#forgetReturn();
        this.#refuseReturn(refused);
      }
    }
    this.#screen.render();
  }
  async #showOutcome(finished, landing, api) {
    if (finished.status === "connected") {
      this.#forgetReturn();
      await this.#arrived(finished, api);
    } else if (finished.status === "confirm") {
      this.#waiting = null;
      this.#notice = null;
      this.#question = { ...finished };
      this.#screen.render();
      this.#screen.focus("question");
    } else {
      this.#question = null;
      const { completion = landing.completion, reference = landing.reference } = finished;
      this.#wait({ ...landing, completion, reference });
    }
    this.#screen.render();
  }
  #wait(landing) {
    if (!this.#waiting) this.#pause = 0;
    this.#waiting = landing;
    this.#notice = pendingReturn(landing.reference);
  }
  /** Looks in the list for the connection of a return that has no completion code. */
  async #lookForConnection(api) {
    const left = memory.read("left");
    await this.#reload();
    const began = this.#waiting?.at ?? Number.NaN;
    const since = left?.at ?? began - WAITS_FOR;
    const found = newest(this.#connections.values(), left, since);
    if (!found) {
      if (Date.now() - began > WAITS_FOR) {
        this.#waiting = null;
        if (this.#notice?.spins) this.#notice = { ...this.#notice, spins: false };
      }
      this.#screen.render();
      return;
    }
    this.#waiting = null;
    await this.#arrived(found, api);
    this.#screen.render();
  }
  #forgetReturn() {
    landed = null;
    this.#waiting = null;
    this.#question = null;
    memory.write("return", null);
  }
  /** Reports a new connection, as the API returns it now, and its news. */
  async #arrived(outcome, api) {
    const left = memory.read("left");
    const { provider_id = "", company_id = "" } = outcome;
    const repaired = "repaired" in outcome ? repairedFlag(outcome.repaired) : null;
    let connection;
    try {
      connection = await api.connection({ provider_id, company_id });
    } catch (error) {
      if (api.closed) return;
      if (Refused.from(error).code !== "connection_not_found") {
        const at = "at" in outcome ? outcome.at : Date.now();
        landed = { at, status: "connected", provider_id, company_id };
        if (repaired !== null) landed.repaired = repaired;
      }
      return;
    }
    if (api.closed || connection.status === "disconnected") return;
    if ("at" in outcome && !newest([connection], left, (left?.at ?? outcome.at) - WAITS_FOR))
      return;
    this.#connections.set(keyOf(connection), connection);
    this.#epoch += 1;
    this.#pause = 0;
    memory.write("left", null);
    this.#notice = arrived(connection, resultOf(connection, repaired, left));
    this.#dispatch("finch-connected", {
      provider_id: connection.provider_id,
      company_id: connection.company_id,
      repaired
    });
    this.#channel?.postMessage("changed");
  }
  #refuseReturn(refused) {
    this.#refuse(refused, memory.read("left")?.act);
    memory.write("left", null);
  }
  /** Reports a failure; `retry` is the button that the person has pressed. */
  #refuse(refused, retry = "connect") {
    this.#notice = failed(refused, retry);
    this.#dispatch("finch-failed", { code: refused.code });
  }
  async #confirm() {
    const api = this.#api;
    const question = this.#question;
    if (this.#busy || !api || !question || question === "checking") return;
    this.#busy = "confirm";
    this.#screen.render();
    const { completion = "" } = question;
    try {
      const finished = await api.finish({ completion });
      if (api.closed) return;
      this.#busy = null;
      await this.#showOutcome(finished, { completion, at: Date.now() }, api);
      await this.#reload();
      this.#screen.focus("notice");
    } catch (error) {
      if (api.closed) return;
      const { code, reference = question.reference } = Refused.from(error);
      const refused = new Refused(code, reference);
      if (isWorthAnotherTry(refused)) {
        this.#question = { ...question, failed: { code, reference } };
        this.#dispatch("finch-failed", { code });
      } else {
        this.#forgetReturn();
        this.#refuse(refused, memory.read("left")?.act);
      }
    } finally {
      if (!api.closed) {
        this.#busy = null;
        this.#screen.render();
      }
    }
  }
  #reject() {
    if (this.#busy) return;
    this.#forgetReturn();
    this.#notice = { kind: "info", title: "confirm.rejected", text: "confirm.rejectedText" };
    this.#screen.render();
    this.#screen.focus("notice");
  }
  // Connecting and repairing
  /** The SDK to connect inside the page, or null if the browser must go to Finch and return. */
  get #sdk() {
    if (this.getAttribute("mode") === "redirect") return null;
    const sdk = this.finchConnect;
    return typeof sdk?.initialize === "function" ? sdk : null;
  }
  /** Starts what the button names: to connect, to add a login, to connect again, or to repair. */
  async #connect(act) {
    const api = this.#api;
    if (this.#busy || !api) return;
    this.#busy = act;
    this.#notice = null;
    this.#screen.render();
    this.#screen.announce(this.#words.text("opening"));
    const sdk = this.#sdk;
    try {
      const started = await this.#startSession(api, act, sdk !== null);
      if (api.closed) return;
      const left = departure(this.#connections.values(), act, Date.now());
      memory.write("left", { ...left, route: hashRoute() });
      setTimeout(() => api.closed || this.#rest(act), LEAVES_WITHIN);
      if (sdk && "session_id" in started) {
        this.#frame ??= this.#newFrame(sdk);
        this.#frame.open(started, act, api.signal);
        return;
      }
      const url = new URL("connect_url" in started ? started.connect_url : "");
      if (!/^https?:$/.test(url.protocol)) throw new Refused("unexpected");
      location.assign(url);
    } catch (error) {
      if (api.closed) return;
      const refused = Refused.from(error);
      this.#busy = null;
      if (refused.code === "mode_not_allowed") console.error(MODE_HINT);
      this.#refuse(refused, act);
      if (refused.code === "connection_not_found") await this.#reload();
      this.#screen.render();
      this.#screen.focus("notice");
    }
  }
  #startSession(api, act, embedded) {
    const connection = this.#connectionOf(act);
    const request = embedded ? { mode: "embedded" } : {
      mode: "redirect",
      return_to: this.getAttribute("return-to") || location.origin + location.pathname
    };
    if (connection && act.startsWith("repair:")) return api.repair(connection, request);
    const customerName = this.getAttribute("customer-name");
    return api.connect({
      ...request,
      // The API refuses a product that it does not know.
      products: this.#products,
      ...connection && { provider_id: connection.provider_id },
      ...connection && act.startsWith("add:") && { company_id: connection.company_id },
      ...customerName && { customer_name: customerName }
    });
  }
  #connectionOf(act) {
    return this.#connections.get(act.slice(act.indexOf(":") + 1));
  }
  #rest(act) {
    if (this.#busy !== act) return;
    this.#busy = null;
    this.#screen.render();
  }
  #newFrame(sdk) {
    return new FinchConnectFrame(sdk, this.getAttribute("finch-connect-url"), {
      ended: (act) => {
        this.#rest(act);
        this.#screen.focus(act);
      },
      succeeded: (act, code, state, reference) => this.#finish({ code, state, act, reference }),
      closed: (act, failed2, reference) => {
        memory.write("left", null);
        this.#notice = frameClosed(failed2, act, reference);
        this.#screen.render();
        this.#screen.focus("notice");
      }
    });
  }
  #destroyFrame() {
    this.#frame?.destroy();
    this.#frame = null;
  }
  /** Sends Finch's code, which the SDK gave to the page. */
  async #finish(finish) {
    const api = this.#api;
    if (!api) return;
    this.#notice = { kind: "info", title: "finishing", spins: true };
    this.#busy = "finish";
    this.#screen.render();
    try {
      const finished = await api.finish({ code: finish.code, state: finish.state });
      if (api.closed) return;
      const landing = { completion: finished.completion, at: Date.now() };
      await this.#showOutcome(finished, landing, api);
      if (finished.completion) memory.write("return", { ...finished, at: Date.now() });
    } catch (error) {
      if (api.closed) return;
      const { code, reference = finish.reference } = Refused.from(error);
      const refused = new Refused(code, reference);
      this.#refuse(refused, finish.act);
      if (this.#notice && isWorthAnotherTry(refused)) {
        this.#notice = { ...this.#notice, retry: "finish", finish };
      }
    } finally {
      if (!api.closed) {
        this.#busy = null;
        await this.#reload();
        this.#screen.focus("notice");
      }
    }
  }
  // Disconnecting
  #askToDisconnect(connection, from, entity) {
    if (this.#busy) return;
    const staying = entitiesOf(connection).filter(isLiving);
    this.#dialog = {
      connection,
      // The last entity ends the connection.
      entity: staying.length > 1 ? entity ?? null : null,
      working: false,
      failed: null,
      done: false,
      from
    };
    this.#screen.render();
    this.#screen.openDialog();
  }
  async #disconnect() {
    const api = this.#api;
    const dialog = this.#dialog;
    if (!dialog || dialog.working || !api) return;
    dialog.working = true;
    dialog.failed = null;
    this.#screen.render();
    try {
      const { connection, entity } = dialog;
      const after = await (entity ? api.disconnectEntity(connection, entity) : api.disconnect(connection));
      if (api.closed) return;
      this.#epoch += 1;
      this.#connections.set(keyOf(after), after);
      this.#notice = disconnected(after, entity);
      this.#pause = 0;
      dialog.done = true;
      if (this.#dialog === dialog) this.#screen.closeDialog();
      this.#dispatch("finch-disconnected", {
        provider_id: after.provider_id,
        company_id: after.company_id,
        status: after.status,
        entity_id: entity?.id ?? null
      });
      this.#channel?.postMessage("changed");
    } catch (error) {
      if (api.closed) return;
      const refused = Refused.from(error);
      const { code, reference } = refused;
      dialog.working = false;
      dialog.failed = { code, reference };
      if (this.#dialog === dialog) this.#dispatch("finch-failed", { code });
      else this.#refuse(refused, null);
      if (["connection_not_found", "disconnect_refused"].includes(code)) this.#reload();
    } finally {
      if (!api.closed) {
        this.#screen.render();
        this.#schedule();
      }
    }
  }
  #dialogClosed() {
    const dialog = this.#dialog;
    this.#dialog = null;
    this.#screen.render();
    this.#screen.focus(dialog?.done ? "notice" : dialog?.from);
  }
  // Drawing
  get #shown() {
    return {
      words: this.#words,
      direction: this.dir,
      appName: this.getAttribute("app-name"),
      products: this.#products,
      reason: this.getAttribute("reason"),
      supportUrl: this.getAttribute("support-url"),
      connections: this.#connections,
      phase: this.#phase,
      slow: this.#slow,
      reading: this.#reading !== null,
      cursor: this.#cursor,
      choice: this.#choice,
      limit: this.#limit,
      updatedAt: this.#updatedAt,
      notice: this.#notice,
      question: this.#question,
      stale: this.#stale,
      waiting: this.#waiting !== null || isUnreported(),
      busy: this.#busy,
      dialog: this.#dialog
    };
  }
  #dismiss(notice) {
    if (notice.forget) this.#forgetReturn();
    this.#notice = null;
    this.#screen.render();
    this.#screen.focus("title");
  }
  #tryAgain(notice, retry) {
    if (retry === "finish" && notice.finish) {
      this.#finish(notice.finish);
    } else if (retry === "return") {
      this.#notice = null;
      this.#question = "checking";
      this.#screen.render();
      this.#lookAtReturn();
    } else {
      this.#connect(retry);
    }
  }
  #readAgain() {
    const failed2 = this.#phase === "failed";
    if (failed2) this.#phase = "loading";
    this.#stale = null;
    this.#screen.render();
    if (failed2 && this.#api) this.#begin(this.#api);
    else this.#reload();
  }
};

// src/index.ts
if (globalThis.customElements && !customElements.get("finch-connections")) {
  customElements.define("finch-connections", FinchConnections);
}
export {
  FinchConnections,
  TEXTS
};
