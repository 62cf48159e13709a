/** The card of a connection in the list. */

import type { Connection } from "../api.ts";
import { entitiesOf, isLiving, keyOf, needsAPerson, statusDetail } from "../connections.ts";
import { type Children, h } from "../dom.ts";
import type { TextPath } from "../texts.ts";
import { details } from "./details.ts";
import { mark } from "./mark.ts";
import { actionLabel, button, type Card, statusLabel, type View } from "./view.ts";

export function card(view: View, content: Card): Children {
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
      ended
        ? button(view, again, words.text("connectAgain"), () => connect(again), {
            kind: "quiet again",
            label: actionLabel(view, connection, words.text("connectAgain")),
          })
        : button(view, `details:${keyOf(connection)}`, words.text("details"), toggle, {
            kind: "quiet toggle",
            always: true,
            chevron: true,
            expanded: open,
            controls: id,
            label: actionLabel(view, connection, words.text("details")),
          }),
      explained && reason(view, content),
    ),
    h("div", { id, class: "body", hidden: !open }, open && details(view, content)),
  ];
}

function facts({ words, names }: View, content: Card): HTMLElement {
  const { connection, inCompany, isCheckedLately } = content;
  const { company, provider } = names(connection);
  const { checked_at, logins, problem, status, updated_at } = connection;
  const entities = entitiesOf(connection);
  const some = entities.filter(isLiving).length;
  const n = entities.length;
  // A connection with a problem has changed after its end.
  const end = problem ? "card.changed" : "card.ended";
  return h(
    "div",
    { class: "who" },
    inCompany
      ? h("h5", {}, h("span", { class: "unseen" }, company, " "), h("bdi", {}, provider))
      : h("h4", { title: company }, h("bdi", {}, company)),
    h(
      "p",
      { class: "facts" },
      !inCompany && h("span", {}, h("bdi", {}, provider)),
      status === "disconnected"
        ? h("span", {}, words.plain(end, { date: words.date(updated_at) }))
        : [
            h("span", {}, words.plain("card.logins", { n: logins.length })),
            n > 1 &&
              h(
                "span",
                {},
                words.plain(some < n ? "card.someEntities" : "card.entities", { n, some }),
              ),
            !isCheckedLately &&
              (checked_at
                ? words.time("card.checked", checked_at)
                : h("span", {}, words.text("card.unchecked"))),
          ],
    ),
  );
}

function reason(view: View, { connection, connect }: Card): Children {
  const { words, names } = view;
  const { status } = connection;
  const path = reasonPath(view, connection);
  const repair = `repair:${keyOf(connection)}`;
  const detail = statusDetail(connection) ?? status;
  return (
    words.text(path) &&
    h(
      "div",
      { class: "reason", part: "reason" },
      h("p", {}, words.nodes(path, { ...names(connection), detail })),
      needsAPerson(connection) &&
        button(view, repair, words.text("repair"), () => connect(repair), {
          kind: "primary",
          label: actionLabel(view, connection, words.text("repair")),
        }),
    )
  );
}

/** The problem of the connection, or else its status. Both may be newer than this page. */
function reasonPath({ words }: View, { problem, status }: Connection): TextPath {
  if (problem && words.find(`problem.${problem}`)) {
    return `problem.${problem}` as "problem.disconnect_refused";
  }
  const known = words.find(`status.${status}.reason`) !== null;
  return known ? `status.${status}.reason` : "otherStatus.reason";
}
