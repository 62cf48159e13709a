/** Uses of the element that are errors of the compiler. */

import { type FinchConnectionsEvents, TEXTS } from "@finch-connections/element";
import type {} from "@finch-connections/element/react";
import { apiUrl, getAccessToken } from "../session.ts";

const company: string = TEXTS.en.title;

export const wrong = [
  // @ts-expect-error The address of the API is required.
  <finch-connections key={company} />,
  // @ts-expect-error No other mode can be set.
  <finch-connections key="mode" api-url={apiUrl} mode="popup" />,
  // @ts-expect-error The products are a text.
  <finch-connections key="products" api-url={apiUrl} products={["company"]} />,
  // @ts-expect-error A token is no function.
  <finch-connections key="token" api-url={apiUrl} getAccessToken="secret" />,
  // @ts-expect-error A text has no such name.
  <finch-connections key="text" api-url={apiUrl} texts={{ titel: "Payroll" }} />,
  // @ts-expect-error The handler is of another event.
  <finch-connections key="event" api-url={apiUrl} onfinch-failed={otherEvent} />,
];

function otherEvent({ detail }: FinchConnectionsEvents["finch-connected"]): string {
  return detail.company_id;
}

export function listen(element: HTMLElementTagNameMap["finch-connections"]): void {
  element.getAccessToken = getAccessToken;
  element.addEventListener("finch-failed", ({ detail }) => detail.code.length);
  // @ts-expect-error The event has no such detail.
  document.addEventListener("finch-connected", ({ detail }) => detail.code);
  // @ts-expect-error No such status exists.
  document.addEventListener("finch-disconnected", ({ detail }) => detail.status === "gone");
}
