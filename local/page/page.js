// The Connections page: begins, confirms, lists and ends a customer's payroll connections.

const configuration = await (await fetch("config.json")).json();
const element = (id) => document.getElementById(id);

const PRODUCTS = {
  company: "Company",
  directory: "Directory",
  individual: "Individuals",
  employment: "Employment",
  payment: "Payments",
  pay_statement: "Pay statements",
};
const PRODUCTS_AT_FIRST = ["company", "directory", "employment", "payment"];

// What people call the providers; any other short name is accepted too.
const PROVIDERS = {
  adp_run: "RUN Powered by ADP",
  bamboo_hr: "BambooHR",
  gusto: "Gusto",
  justworks: "Justworks",
  paychex_flex: "Paychex Flex",
  rippling: "Rippling",
  trinet: "TriNet",
};

const ERRORS = {
  access_denied: "You left before connecting. Nothing was connected.",
  cannot_connect: "This company cannot be connected to your account. Please talk to our support.",
  code_rejected: "Finch did not accept this attempt. Please connect again.",
  connection_busy: "This connection is just being changed. Wait a moment, then try again.",
  connection_ended: "The connection ended at your provider too early. Please connect again.",
  connection_not_found: "There is no such connection any more.",
  customer_unknown: "Your sign-in does not say which company you administer. Sign in again.",
  exchange_uncertain: "We cannot tell whether Finch finished. Please connect again.",
  finch_misconfigured: "We are not set up correctly with Finch. We have been told; try later.",
  finch_refused: "Finch refused this request. Please try again, or talk to our support.",
  finch_unavailable: "Finch cannot be reached at the moment. Please try again in a few minutes.",
  internal_error: "Something went wrong on our side. Please try again.",
  invalid_request: "Something in this request was not right. Please start again.",
  return_to_not_allowed: "This page may not start a connection. Please open it at its usual address.",
  route_not_found: "This part of the service does not exist.",
  session_expired: "This attempt took too long and has expired. Please connect again.",
  session_not_found: "This attempt is not known any more. Please connect again.",
  session_used: "This attempt was already used. Look at your connections below.",
  signature_invalid: "This message does not come from Finch.",
  too_many_logins: "This company has too many logins. Disconnect it, then connect it again.",
  unreachable: "The service did not answer. Please try again.",
  unauthorized: "Your sign-in has ended. Please sign in again.",
};
// After these the same completion code may still be accepted.
const WORTH_ANOTHER_TRY = [
  "connection_busy",
  "finch_unavailable",
  "internal_error",
  "unauthorized",
  "unreachable",
];
const UNKNOWN_ERROR = "That did not work. Please try again.";

const STATUSES = {
  pending: ["Waiting", "wait", "Your provider is still setting up the access."],
  processing: ["Reading", "wait", "The first data are being read."],
  connected: ["Connected", "good", ""],
  reauth: ["Needs attention", "bad", "Your provider wants you to sign in again."],
  error_permissions: ["No permission", "bad", "Your login at the provider lacks a permission."],
  error_no_account_setup: ["Not set up", "bad", "The account at the provider is not set up yet."],
  unknown: ["Unknown", "wait", "We could not ask your provider yet."],
  disconnecting: ["Disconnecting", "wait", "Your provider has yet to confirm."],
  disconnected: ["Disconnected", "over", "We can read nothing any more."],
};

// Their person can mend these.
const REPAIRABLE = ["reauth", "error_permissions", "error_no_account_setup", "unknown"];

const PROBLEMS = {
  another_company: "You signed in to another company, which is a connection of its own now.",
  disconnect_refused: "Finch would not end it. Sign in again, then disconnect it again.",
};

// Who is signed in. The access token stays in memory; which customer it is for stays in the tab.

let signIn = null;

const customerName = (id) => configuration.customers.find((one) => one.id === id)?.name;

async function accessToken() {
  if (Date.now() > signIn.renewAt) {
    const answer = await fetch("sign-in", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ customer: signIn.customer }),
    });
    const issued = await answer.json();
    signIn.token = issued.access_token;
    signIn.renewAt = Date.now() + (issued.expires_in - 60) * 1000;
  }
  return signIn.token;
}

async function signInAs(customer) {
  signIn = { customer, token: "", renewAt: 0 };
  sessionStorage.setItem("customer", customer);
  element("customer").value = customer;
  element("connections").replaceChildren();
  element("empty").hidden = element("more").hidden = true;
  show();
  await list();
}

function signOut() {
  signIn = null;
  sessionStorage.removeItem("customer");
  element("notices").replaceChildren();
  show();
}

function show() {
  element("account").hidden = element("signed-in").hidden = !signIn;
  element("signed-out").hidden = Boolean(signIn);
  element("confirmation").hidden = !signIn || !awaiting;
}

// The API.

class Refused extends Error {
  constructor(code, reference) {
    super(ERRORS[code] ?? UNKNOWN_ERROR);
    this.code = code;
    this.reference = reference;
  }
}

async function call(method, path, body) {
  let answer;
  try {
    answer = await fetch(configuration.api_url + path, {
      method,
      // The binding cookie is set on an answer and sent with the return from Finch.
      credentials: "include",
      headers: {
        authorization: `Bearer ${await accessToken()}`,
        ...(body && { "content-type": "application/json" }),
      },
      body: body && JSON.stringify(body),
    });
  } catch {
    throw new Refused("unreachable");
  }
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    throw new Refused(answer.status === 401 ? "unauthorized" : content.code, content.request_id);
  }
  return content;
}

function tell(words, kind = "wait", reference = "") {
  const notice = document.createElement("div");
  notice.className = `notice ${kind}`;
  notice.setAttribute("role", kind === "bad" ? "alert" : "status");
  const text = document.createElement("p");
  text.textContent = words;
  if (reference) {
    const small = document.createElement("small");
    small.textContent = `Reference ${reference}`;
    text.append(small);
  }
  const close = document.createElement("button");
  close.type = "button";
  close.className = "plain";
  close.textContent = "×";
  close.setAttribute("aria-label", "Dismiss");
  close.addEventListener("click", () => notice.remove());
  notice.append(text, close);
  element("notices").replaceChildren(notice);
}

// Runs what a button does: the button rests meanwhile, and a refusal is told in words.
async function act(button, doing) {
  button.disabled = true;
  try {
    return await doing();
  } catch (error) {
    if (!(error instanceof Refused)) console.error(error);
    tell(error instanceof Refused ? error.message : UNKNOWN_ERROR, "bad", error.reference);
  } finally {
    button.disabled = false;
  }
}

// Connecting.

async function connect() {
  const products = [...element("products").querySelectorAll(":checked")].map((box) => box.value);
  if (!products.length) {
    tell("Choose at least one thing that we may read.", "bad");
    return;
  }
  const provider = element("provider").value.trim();
  const begun = await call("POST", "/connect-sessions", {
    mode: "redirect",
    products,
    ...(provider && { provider_id: provider }),
    return_to: `${location.origin}/`,
    customer_name: customerName(signIn.customer),
  });
  location.assign(begun.connect_url);
}

// Coming back. What the address says is read once and then taken out of it; a completion code
// waits in this tab until a person has decided about it.

let awaiting = JSON.parse(sessionStorage.getItem("awaiting"));

const placeOf = ({ provider_id, company_id }) =>
  provider_id ? ` ${providerName(provider_id)}${company_id ? `, company ${company_id}` : ""}` : "";

const providerName = (id) => PROVIDERS[id] ?? id;

function keepAwaiting(decision) {
  awaiting = decision;
  if (decision) sessionStorage.setItem("awaiting", JSON.stringify(decision));
  else sessionStorage.removeItem("awaiting");
  const pending = decision?.status === "pending";
  element("confirmation-text").textContent = pending
    ? "Finch has not finished yet. If you signed in there yourself, connect what you chose:"
    : "Somebody has just signed in at a provider for this connection. Only connect it if it was you:";
  element("confirmation-provider").textContent = decision?.provider_id
    ? providerName(decision.provider_id)
    : "not known yet";
  element("confirmation-company").textContent = decision?.company_id ?? "not known yet";
  show();
}

function tellConnected(outcome, repaired) {
  if (repaired === "true") tell(`Healthy again:${placeOf(outcome)}.`, "good");
  else if (repaired === "false")
    tell(`Connected:${placeOf(outcome)}. That was another one than you wanted to repair.`);
  else tell(`Connected:${placeOf(outcome)}.`, "good");
}

function readReturn() {
  const query = new URLSearchParams(location.search);
  const completion = new URLSearchParams(location.hash.slice(1)).get("completion");
  const outcome = Object.fromEntries(
    ["status", "provider_id", "company_id", "repaired", "error"].map((name) => [name, query.get(name)]),
  );
  if (location.search || location.hash) history.replaceState(null, "", location.pathname);
  if (outcome.error) {
    tell(ERRORS[outcome.error] ?? UNKNOWN_ERROR, "bad");
  } else if (outcome.status === "connected") {
    tellConnected(outcome, outcome.repaired);
  } else if (completion && ["confirm", "pending"].includes(outcome.status)) {
    awaiting = { completion, ...outcome };
  } else if (outcome.status === "pending") {
    tell("Finch is not finished yet. The connection will appear below in a few minutes.");
  } else if (outcome.status) {
    tell(UNKNOWN_ERROR, "bad");
  }
  keepAwaiting(awaiting);
}

async function confirm() {
  let answer;
  try {
    answer = await call("POST", "/callback", { completion: awaiting.completion });
  } catch (error) {
    // Whoever is signed in as another customer may still change that.
    if (![...WORTH_ANOTHER_TRY, "session_not_found"].includes(error.code)) keepAwaiting(null);
    throw error;
  }
  keepAwaiting(answer.completion ? { ...awaiting, ...answer } : null);
  if (answer.status === "connected") tellConnected(answer, String(answer.repaired));
  else tell("Finch is not finished yet. The connection will appear below in a few minutes.");
  await list();
}

// The list.

let next = null;

async function list(cursor = null) {
  const customer = signIn.customer;
  const query = new URLSearchParams({ limit: "20", ...(cursor && { cursor }) });
  const page = await call("GET", `/connections?${query}`);
  // Somebody who has switched meanwhile must not see the other's connections.
  if (signIn?.customer !== customer) return;
  const shown = page.connections.map(card);
  if (cursor) element("connections").append(...shown);
  else element("connections").replaceChildren(...shown);
  next = page.next_cursor;
  element("more").hidden = !next;
  element("empty").hidden = element("connections").childElementCount > 0;
}

function card(connection) {
  const copy = element("connection").content.cloneNode(true);
  const [words, kind, explained] = STATUSES[connection.status] ?? [connection.status, "wait", ""];
  copy.querySelector("h3").textContent = providerName(connection.provider_id);
  copy.querySelector("code").textContent = connection.company_id;
  copy.querySelector(".status").textContent = words;
  copy.querySelector(".status").classList.add(kind);
  copy.querySelector(".explained").textContent = PROBLEMS[connection.problem] ?? explained;
  copy.querySelector(".logins").append(...connection.logins.map(login));
  const mend = copy.querySelector(".repair");
  mend.hidden = !REPAIRABLE.includes(connection.status);
  mend.addEventListener("click", () => act(mend, () => repair(connection)));
  const button = copy.querySelector(".danger-text");
  button.hidden = connection.status === "disconnected";
  button.addEventListener("click", () => disconnect(connection, button));
  return copy;
}

function login(one, index) {
  const item = document.createElement("li");
  const title = document.createElement("strong");
  title.textContent = `Login ${index + 1}`;
  const details = document.createElement("span");
  const since = new Date(one.connected_at).toLocaleDateString(undefined, { dateStyle: "medium" });
  const read = one.products.map((product) => PRODUCTS[product] ?? product).join(", ");
  const entities = one.entity_ids?.length > 1 ? ` · ${one.entity_ids.length} legal entities` : "";
  const status = STATUSES[one.status]?.[0] ?? one.status;
  details.textContent = `${status} · since ${since}${entities} · ${read}`;
  item.append(title, details);
  return item;
}

const pathOf = ({ provider_id, company_id }) =>
  `/connections/${[provider_id, company_id].map(encodeURIComponent).join("/")}`;

async function repair(connection) {
  const begun = await call("POST", `${pathOf(connection)}/reauthenticate`, {
    return_to: `${location.origin}/`,
  });
  location.assign(begun.connect_url);
}

async function disconnect(connection, button) {
  const dialog = element("disconnect");
  const provider = providerName(connection.provider_id);
  element("disconnect-text").textContent =
    `Pensionwise will no longer read company ${connection.company_id} at ${provider}, ` +
    `with ${connection.logins.length === 1 ? "its login" : `any of its ${connection.logins.length} logins`}. ` +
    "Your other connections stay.";
  dialog.returnValue = "keep";
  dialog.showModal();
  await new Promise((closed) => dialog.addEventListener("close", closed, { once: true }));
  if (dialog.returnValue !== "disconnect") return;
  await act(button, async () => {
    const answer = await call("DELETE", pathOf(connection));
    if (answer.status === "disconnected") tell(`${provider} is disconnected.`, "good");
    else tell(`${provider} is being disconnected; your provider has yet to confirm.`);
    await list();
  });
}

// What a person can do.

for (const [product, words] of Object.entries(PRODUCTS)) {
  const label = document.createElement("label");
  const box = document.createElement("input");
  box.type = "checkbox";
  box.value = product;
  box.checked = PRODUCTS_AT_FIRST.includes(product);
  label.append(box, words);
  element("products").append(label);
}

for (const [id, name] of Object.entries(PROVIDERS)) {
  element("providers").append(new Option(name, id));
}

for (const { id, name } of configuration.customers) {
  element("customer").append(new Option(name, id));
  const button = document.createElement("button");
  button.type = "button";
  button.className = "plain";
  button.textContent = name;
  button.addEventListener("click", () => act(button, () => signInAs(id)));
  element("customers").append(button);
}

element("connect").addEventListener("submit", (event) => {
  event.preventDefault();
  act(event.submitter, connect);
});
element("customer").addEventListener("change", (event) => {
  element("notices").replaceChildren();
  act(event.target, () => signInAs(event.target.value));
});
element("sign-out").addEventListener("click", signOut);
element("confirm").addEventListener("click", (event) => act(event.target, confirm));
element("reject").addEventListener("click", () => {
  keepAwaiting(null);
  tell("Nothing was connected.");
});
element("refresh").addEventListener("click", (event) => act(event.target, () => list()));
element("more").addEventListener("click", (event) => act(event.target, () => list(next)));

readReturn();
const remembered = sessionStorage.getItem("customer");
if (customerName(remembered)) await act(element("refresh"), () => signInAs(remembered));
