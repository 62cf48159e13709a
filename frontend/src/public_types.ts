/** The types that a page uses: the attributes, the events and the callbacks of the element. */

import type { FinchConnections } from "./element.ts";
import type { components } from "./openapi.ts";

/** An access token, or none, or a promise of it. */
export type AccessToken = string | null | undefined | Promise<string | null | undefined>;

/** Returns an access token of the application. After a 401 it is called with `refresh`. */
export type GetAccessToken = (request: { refresh: boolean }) => AccessToken;

/** The part of Finch's SDK that the element uses. */
export interface FinchSdk {
  initialize(options: {
    onSuccess: (result: { code: string; state?: string }) => void;
    onError: (error: { errorMessage?: string; errorType?: string }) => void;
    onClose: () => void;
    apiConfig?: { connectUrl: string };
  }): {
    open(options: { sessionId: string; state: string; zIndex: number }): void;
    close(): void;
    destroy?: () => void;
  };
}

/** The attributes, without `lang`, `dir` and the others that each element has. */
export interface FinchConnectionsAttributes {
  /** The address of the API. */
  "api-url": string;
  /** The name of your application in the texts. */
  "app-name"?: string | undefined;
  /** Finch's products to ask for, separated by spaces. */
  products?: string | undefined;
  /** Why your application reads these data. */
  reason?: string | undefined;
  /** A URL from `ReturnUrls`. The default is the address of the page without its query. */
  "return-to"?: string | undefined;
  /** The name that Finch Connect shows. */
  "customer-name"?: string | undefined;
  /** A link to help, `https:` or `mailto:`. */
  "support-url"?: string | undefined;
  /** Uses redirects even when Finch's SDK is loaded. */
  mode?: "redirect" | undefined;
  /** Another Finch Connect for the SDK, such as a fake Finch. */
  "finch-connect-url"?: string | undefined;
}

/** The properties that a page may set. */
export type FinchConnectionsProperties = Pick<
  FinchConnections,
  "getAccessToken" | "texts" | "finchConnect"
>;

interface Company {
  provider_id: string;
  company_id: string;
}

/** The DOM events. They bubble, and leave shadow roots. */
export interface FinchConnectionsEvents {
  /** The element needs a token and has no `getAccessToken`. */
  "finch-access-token": CustomEvent<{ refresh: boolean; provide: (token: AccessToken) => void }>;
  /** A connection was made or repaired. */
  "finch-connected": CustomEvent<Company & { repaired: boolean | null }>;
  /** A connection or an entity of it was disconnected, or its disconnect began. */
  "finch-disconnected": CustomEvent<
    Company & {
      status: components["schemas"]["ConnectionResponse"]["status"];
      entity_id: string | null;
    }
  >;
  /** An action of the user failed, or a return reports a failure. */
  "finch-failed": CustomEvent<{ code: string }>;
  /** The API refuses the token and then a fresh token, or the page gives no token. */
  "finch-signed-out": CustomEvent<object>;
}

declare global {
  interface HTMLElementTagNameMap {
    "finch-connections": FinchConnections;
  }
  interface GlobalEventHandlersEventMap extends FinchConnectionsEvents {}
}
