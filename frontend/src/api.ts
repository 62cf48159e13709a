/** The client of the API: its requests, its types, and what a refused request means. */

import type { components } from "./openapi.ts";
import type { FailureCode } from "./texts.ts";

type Schemas = components["schemas"];
export type Connection = Schemas["ConnectionResponse"];
export type ConnectionStatus = Schemas["ConnectionStatus"];
export type Login = Schemas["LoginResponse"];
export type Entity = Schemas["EntityResponse"];
export type Page = Schemas["Page"];
/** The outcome of an attempt to connect. */
export type Finished = Schemas["Finished"];
type FinishRequest = Schemas["FinishRequest"];
export type EmbeddedSession = Schemas["EmbeddedSession"];
export type StartRequest = Schemas["StartRequest"];
export type RepairRequest = Schemas["RepairRequest"];

/** The ids that identify a connection in an address. */
export interface CompanyKey {
  provider_id: string;
  company_id: string;
}

/** The page of connections to read. The API returns at most 100 in one page. */
export interface PageRequest {
  status?: string;
  limit: number;
  cursor?: string | null;
}

/** How the client gets an access token, and reports that the API refuses it. */
export interface SignIn {
  token(refresh: boolean): Promise<string | null | undefined>;
  signedOut(): void;
}

// The API itself stops after 30 seconds.
const PATIENCE = 40_000;

// API Gateway's own refusals have no code. Any other one means that the service does not answer.
const GATEWAY_CODES: Record<number, FailureCode> = {
  // The response that the browser does not show.
  0: "unexpected",
  403: "not_allowed",
  404: "route_not_found",
  413: "invalid_request",
  429: "too_many_requests",
};

/**
 * A request that failed. `code` names a text, `reference` is for support: the attempt to connect, or else
 * the API's id of the request.
 */
export class Refused extends Error {
  readonly code: string;
  readonly reference: string | undefined;

  constructor(code: string, reference?: string) {
    super(code);
    this.code = code;
    this.reference = reference;
  }

  /** The error itself if it is a `Refused`. Any other error is logged and becomes `unexpected`. */
  static from(error: unknown): Refused {
    if (error instanceof Refused) return error;
    console.error(error);
    return new Refused("unexpected");
  }
}

/** The path of a connection. */
export function connectionPath({ provider_id, company_id }: CompanyKey): string {
  return `/connections/${segment(provider_id)}/${segment(company_id)}`;
}

/**
 * An id in a path: percent-encoding with `~` in the place of `%`, because API Gateway decodes a `%`
 * before it looks for the route. A browser would remove the segments `.` and `..`.
 */
function segment(id: string): string {
  if (id === "." || id === "..") return id.replaceAll(".", "~2E");
  return encodeURIComponent(id.replaceAll("~", "~7E")).replaceAll("%", "~");
}

/** Calls the API for one signed-in customer. After `close` no result of it may be shown. */
export class Api {
  readonly #url: string;
  readonly #signIn: SignIn;
  readonly #abort = new AbortController();

  constructor(url: string, signIn: SignIn) {
    this.#url = url.replace(/\/$/, "");
    this.#signIn = signIn;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get closed(): boolean {
    return this.signal.aborted;
  }

  /** Ends the requests under way. */
  close(): void {
    this.#abort.abort();
  }

  page({ cursor, limit, ...filter }: PageRequest): Promise<Page> {
    const query = { ...filter, limit: String(limit), ...(cursor && { cursor }) };
    return this.#call("GET", `/connections?${new URLSearchParams(query)}`);
  }

  async connection(key: CompanyKey): Promise<Connection> {
    return this.#call("GET", connectionPath(key));
  }

  /** Disconnects, and returns the connection as it is afterwards. */
  async disconnect(key: CompanyKey): Promise<Connection> {
    return this.#call("DELETE", connectionPath(key));
  }

  /** Disconnects one entity. The last one disconnects the connection. */
  async disconnectEntity(key: CompanyKey, entity: Entity): Promise<Connection> {
    return this.#call("DELETE", `${connectionPath(key)}/entities/${segment(entity.id)}`);
  }

  async connect(body: StartRequest): Promise<Schemas["Link"] | EmbeddedSession> {
    return this.#call("POST", "/connect-sessions", body);
  }

  async repair(key: CompanyKey, body: RepairRequest): Promise<Schemas["Link"] | EmbeddedSession> {
    return this.#call("POST", `${connectionPath(key)}/reauthenticate`, body);
  }

  async finish(body: FinishRequest): Promise<Finished> {
    return this.#call("POST", "/callback", body);
  }

  async #call<Result>(method: string, path: string, body?: object): Promise<Result> {
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
      // The body was cut off.
      if (ok) throw new Refused("unreachable");
      return {};
    });
    if (ok) return content;
    throw new Refused(
      content.code ?? GATEWAY_CODES[status] ?? "unreachable",
      content.reference ?? content.request_id,
    );
  }

  /**
   * Sends the request. Returns null if the application provides no access token, and `Response.error()`
   * if the API responds but the browser does not show the response. API Gateway adds CORS headers only
   * to the responses of functions ("Configure CORS for HTTP APIs in API Gateway"), so the browser may not
   * show the gateway's own 401 for an expired token.
   */
  async #send(
    method: string,
    path: string,
    body: object | undefined,
    refresh: boolean,
  ): Promise<Response | null> {
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
          ...(body && { "content-type": "application/json" }),
        },
        ...(body && { body: JSON.stringify(body) }),
        signal: limit,
      });
    } catch (error) {
      this.signal.throwIfAborted();
      if (error instanceof TypeError && (await this.#responds(limit))) return Response.error();
      this.signal.throwIfAborted();
      const timedOut = error instanceof Error && error.name === "TimeoutError";
      throw error instanceof TypeError || timedOut ? new Refused("unreachable") : error;
    }
  }

  /** Whether the API responds at all. In this mode the browser hides every response, but not a lost network. */
  async #responds(limit: AbortSignal): Promise<boolean> {
    const asked = fetch(`${this.#url}/connections`, { mode: "no-cors", signal: limit });
    return asked.then(
      () => true,
      () => false,
    );
  }
}

// The application's promise of a token has the same time limit as a request.
function within<Value>(limit: AbortSignal, promised: Promise<Value>): Promise<Value> {
  const { promise, resolve, reject } = Promise.withResolvers<Value>();
  limit.addEventListener("abort", () => reject(limit.reason), { once: true });
  promised.then(resolve, reject);
  return promise;
}
