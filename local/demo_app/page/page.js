// Acme Benefits, an example application: it signs a customer in and gives the element a token.

const configuration = await (await fetch("config.json")).json();
const element = (id) => document.getElementById(id);

// The choices of the user, kept for this browser tab.
const chosen = {
  get: (name, otherwise) => sessionStorage.getItem(`acme:${name}`) ?? otherwise,
  set: (name, value) => sessionStorage.setItem(`acme:${name}`, value),
};

// A new element for each sign-in, so no data of a customer stays after it.
function showConnections(customer) {
  const connections = document.createElement("finch-connections");
  const attributes = {
    "api-url": configuration.api_url,
    "app-name": "Acme Benefits",
    "customer-name": customer.name,
    products: "company directory individual employment payment",
    "support-url": "mailto:support@acme-benefits.example",
    "finch-connect-url": configuration.finch_url,
    lang: chosen.get("language", "en"),
    mode: chosen.get("mode", "redirect"),
  };
  for (const [name, value] of Object.entries(attributes)) connections.setAttribute(name, value);
  connections.getAccessToken = tokenOf(customer.id);
  element("place").replaceChildren(connections);
}

// The access token stays in memory.
function tokenOf(customer) {
  let token = null;
  let renewAt = 0;
  return async ({ refresh }) => {
    if (refresh || Date.now() > renewAt) {
      const answer = await fetch("sign-in", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ customer }),
      });
      const issued = await answer.json();
      token = issued.access_token;
      renewAt = Date.now() + (issued.expires_in - 60) * 1000;
    }
    return token;
  };
}

// The bar of the fake Finch. No application has such a bar.

const NEWS = {
  "require-login": "Finch wants a new login. The product believes it when Finch repeats it a minute later.",
  end: "Finch has ended it. The product believes it when Finch repeats it an hour later.",
  down: "Finch answers each request with an error until you press this again.",
  slow: "Finch takes five seconds for each request until you press this again.",
  heal: "Finch works again. The page shows it within seconds.",
};
// How often, and for how long, the page reads again after a button was pressed.
const LOOK_EVERY = 5_000;
const LOOK_FOR = 180_000;
let looking;
const finchSays = element("finch").querySelector("[role=status]");

/** Does this at the fake Finch, if anything, and shows its connections. Returns whether it did. */
async function finchBar(action = "", body = undefined) {
  try {
    await askFinch(action, body);
    return true;
  } catch (error) {
    finchSays.textContent = error.message;
    return false;
  }
}

async function askFinch(action, body) {
  const headers = { "content-type": "application/json" };
  const sent = body && { method: "POST", headers, body: JSON.stringify(body) };
  const answer = await fetch(`finch-bar${action && `/${action}`}`, sent);
  if (!answer.ok) throw new Error(`The fake Finch answers ${answer.status}.`);
  const { connections, faults } = await answer.json();
  const select = element("finch-connection");
  const before = select.value;
  select.replaceChildren(
    ...connections.map(({ id, name, status }) => new Option(`${name} (${status})`, id)),
  );
  if (connections.some(({ id }) => id === before)) select.value = before;
  for (const button of element("finch").querySelectorAll("[aria-pressed]")) {
    button.setAttribute("aria-pressed", faults.includes(button.dataset.action));
  }
}

function lookOften() {
  clearInterval(looking);
  const until = Date.now() + LOOK_FOR;
  looking = setInterval(() => {
    document.querySelector("finch-connections")?.refresh();
    if (Date.now() > until) clearInterval(looking);
  }, LOOK_EVERY);
}

for (const button of element("finch").querySelectorAll("[data-action]")) {
  const { action } = button.dataset;
  button.addEventListener("click", async () => {
    const connection_id = element("finch-connection").value;
    if (!connection_id && ["require-login", "end"].includes(action)) {
      finchSays.textContent = "Choose a connection. This Finch has none.";
      return;
    }
    if (!(await finchBar(action, { connection_id }))) return;
    const off = button.getAttribute("aria-pressed") === "false";
    finchSays.textContent = off ? NEWS.heal : NEWS[action];
    lookOften();
  });
}
for (const event of ["finch-connected", "finch-disconnected"]) {
  document.addEventListener(event, () => finchBar());
}

function show() {
  const customer = configuration.customers.find(({ id }) => id === chosen.get("customer", ""));
  for (const id of ["account", "signed-in", "settings", "finch"]) element(id).hidden = !customer;
  element("signed-out").hidden = Boolean(customer);
  if (customer) {
    element("customer").value = customer.id;
    showConnections(customer);
    finchBar();
  } else {
    element("place").replaceChildren();
  }
}

function signInAs(customer) {
  chosen.set("customer", customer);
  show();
}

for (const { id, name, person } of configuration.customers) {
  element("customer").append(new Option(name, id));
  const button = document.createElement("button");
  button.type = "button";
  const initial = document.createElement("span");
  initial.className = "initial";
  initial.textContent = name[0];
  initial.setAttribute("aria-hidden", "true");
  const company = document.createElement("strong");
  company.textContent = name;
  const who = document.createElement("small");
  who.textContent = person;
  button.append(initial, company, who);
  button.addEventListener("click", () => signInAs(id));
  element("customers").append(button);
}

element("customer").addEventListener("change", (event) => signInAs(event.target.value));
element("sign-out").addEventListener("click", () => signInAs(""));
for (const name of ["language", "mode"]) {
  element(name).value = chosen.get(name, element(name).value);
  element(name).addEventListener("change", (event) => {
    chosen.set(name, event.target.value);
    const connections = document.querySelector("finch-connections");
    connections?.setAttribute(name === "language" ? "lang" : name, event.target.value);
  });
}
show();
