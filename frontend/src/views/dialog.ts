/** The dialog that names what a disconnect ends, and asks whether to disconnect. */

import type { Connection, Entity } from "../api.ts";
import { entitiesOf } from "../connections.ts";
import { type Children, h, icon, spinner } from "../dom.ts";
import type { Failure } from "../notices.ts";
import { type Act, failureText, loginName, referenceLine, type View } from "./view.ts";

/** The state of the dialog while it is open. */
export interface DisconnectDialog {
  connection: Connection;
  /** The entity to disconnect; null for the whole connection. */
  entity: Entity | null;
  working: boolean;
  failed: Failure | null;
  /** The connection was disconnected. */
  done: boolean;
  /** The button that opened the dialog. It gets the focus back. */
  from: Act;
}

interface DialogContent {
  dialog: DisconnectDialog;
  /** Whether the customer has other connections. */
  hasOthers: boolean;
  /** Whether the application has given its name. Else the first text begins with lower case. */
  hasAppName: boolean;
  keep: () => void;
  disconnect: () => void;
}

export function dialogContent(view: View, content: DialogContent): Children {
  const { words } = view;
  const { connection, entity, failed } = content.dialog;
  const name = entity && words.entity(entity);
  const names = { ...view.names(connection), ...(name && { name }) };
  return h(
    "div",
    { class: "sheet" },
    h("h2", { id: "dialog-title" }, words.nodes("dialog.title", names)),
    h(
      "p",
      { id: "dialog-text", class: content.hasAppName ? null : "first" },
      words.nodes(entity ? "dialog.stopsEntity" : "dialog.stops", names),
    ),
    !entity && ends(view, connection),
    h(
      "p",
      {},
      !entity && content.hasOthers && [words.text("dialog.stays"), " "],
      words.nodes("dialog.undo", names),
    ),
    failed &&
      h(
        "div",
        { class: "notice bad", role: "alert" },
        icon("alert"),
        h("div", {}, h("p", {}, failureText(view, failed)), referenceLine(view, failed.reference)),
      ),
    dialogButtons(view, content),
  );
}

/** The logins and entities that end with a connection. */
function ends(view: View, connection: Connection): Children {
  const { words } = view;
  const entities = new Set(entitiesOf(connection).map((entity) => words.entity(entity)));
  return [
    h(
      "ul",
      { id: "dialog-ends" },
      connection.logins.map((login, place) =>
        h(
          "li",
          {},
          loginName(view, login, place),
          h("p", { class: "small first" }, words.products(login.products)),
        ),
      ),
    ),
    entities.size > 1 &&
      h("p", {}, words.nodes("dialog.entities", { names: words.list([...entities]) })),
  ];
}

function dialogButtons({ words }: View, content: DialogContent): HTMLElement {
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
        onclick: () => working || content.keep(),
      },
      words.text("keep"),
    ),
    h(
      "button",
      {
        type: "button",
        class: `button danger ${working ? "busy" : ""}`,
        part: "button danger-button",
        "data-act": "do-disconnect",
        ...disabled,
        onclick: content.disconnect,
      },
      working && spinner(),
      words.text(working ? "dialog.working" : "disconnect"),
    ),
  );
}
