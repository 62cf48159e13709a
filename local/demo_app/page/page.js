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

function show() {
  const customer = configuration.customers.find(({ id }) => id === chosen.get("customer", ""));
  element("account").hidden = element("signed-in").hidden = element("settings").hidden = !customer;
  element("signed-out").hidden = Boolean(customer);
  if (customer) {
    element("customer").value = customer.id;
    showConnections(customer);
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
