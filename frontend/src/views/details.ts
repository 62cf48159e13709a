/** The details of a connection: its logins, its names in full, and the actions on it. */

import type { Entity, Login } from "../api.ts";
import { byName, entitiesOf, isLiving, keyOf } from "../connections.ts";
import { type Children, h } from "../dom.ts";
import {
  actionLabel,
  button,
  type Card,
  fact,
  loginName,
  statusLabel,
  supportLink,
  type View,
} from "./view.ts";

export function details(view: View, content: Card): Children {
  const { connection, inCompany } = content;
  const { words } = view;
  const { company, provider } = view.names(connection);
  const { checked_at, company_id, company_name, provider_id } = connection;
  const named = entitiesOf(connection).filter((entity) => entity.name);
  const entities = new Set(named.toSorted(byName).map((entity) => words.entity(entity)));
  // Without a name of the company, its card shows only the first of its entities.
  const companies = !company_name && entities.size > 1 ? words.list([...entities]) : company;
  return [
    h(
      "div",
      {},
      h(inCompany ? "h6" : "h5", {}, words.text("card.loginsTitle")),
      h(
        "ul",
        { class: "logins" },
        connection.logins.map((login, place) =>
          h("li", {}, loginDetails(view, content, login, place)),
        ),
      ),
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
        checked_at ? words.moment(checked_at) : words.text("card.unchecked"),
      ),
      // Support finds the history of a connection by its ids.
      view.support &&
        fact(words.text("card.help"), supportLink(view, `${provider_id} ${company_id}`)),
    ),
    connection.status !== "disconnecting" && buttons(view, content),
  ];
}

function loginDetails(view: View, content: Card, login: Login, place: number): Children {
  const { words } = view;
  return [
    h("div", { class: "login" }, loginName(view, login, place), statusLabel(view, login.status)),
    h("p", { class: "small first" }, words.products(login.products)),
    login.account_id &&
      h(
        "p",
        { class: "small" },
        `${words.text("card.accountId")} `,
        h("code", {}, login.account_id),
      ),
    login.entities.length > 1 &&
      h(
        "ul",
        { class: "entities" },
        login.entities
          .toSorted(byName)
          .map((entity) => h("li", {}, entityDetails(view, content, login, entity))),
      ),
  ];
}

function entityDetails(view: View, content: Card, login: Login, entity: Entity): Children {
  const { connection, askToDisconnect } = content;
  const { words } = view;
  const act = `disconnect:${keyOf(connection)}:${login.id}:${entity.id}`;
  const name = words.entity(entity);
  return [
    h("bdi", {}, name),
    statusLabel(view, entity.status),
    connection.status !== "disconnecting" &&
      isLiving(entity) &&
      button(view, act, words.text("disconnect"), () => askToDisconnect(act, entity), {
        kind: "quiet ends",
        label: actionLabel(view, connection, words.text("disconnect"), name),
      }),
  ];
}

function buttons(view: View, { connection, connect, askToDisconnect }: Card): HTMLElement {
  const { words } = view;
  const key = keyOf(connection);
  const end = `disconnect:${key}`;
  return h(
    "div",
    { class: "actions" },
    button(view, `add:${key}`, words.text("addLogin"), () => connect(`add:${key}`), {
      icon: "plus",
      label: actionLabel(view, connection, words.text("addLogin")),
    }),
    button(view, end, words.text("disconnect"), () => askToDisconnect(end), {
      kind: "quiet ends",
      label: actionLabel(view, connection, words.text("disconnect")),
    }),
  );
}
