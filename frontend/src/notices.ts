/** Which notice the page shows for each outcome, and which failures are worth another try. */

import type { Connection, Entity } from "./api.ts";
import { entitiesOf, type Result } from "./connections.ts";
import { type FailureCode, failurePath, type TextPath } from "./texts.ts";

/** The reports of the page about the last action or the last return. */
export interface Notice {
  kind: "good" | "info" | "wait" | "bad";
  title: TextPath;
  text?: TextPath;
  about?: Connection;
  reference?: string | undefined;
  /** Shows the application's link to its support. */
  support?: boolean;
  /** The action to try again: a button's, or `return` or `finish` for the return from Finch. */
  retry?: string | null;
  /** Still under way. It cannot be dismissed. */
  spins?: boolean;
  /** Dismissing it also forgets the return. */
  forget?: boolean;
  /** Finch's code and state, to send again after `retry: "finish"`, and the button before that. */
  finish?: { code: string; state: string; act: string; reference: string };
}

/** A failure: the code of its text, and its reference for support. */
export interface Failure {
  code: string;
  reference: string | undefined;
}

// After these failures support helps, and another try does not.
const FOR_SUPPORT: readonly string[] = [
  "cannot_connect",
  "customer_unknown",
  "finch_misconfigured",
  "mode_not_allowed",
  "not_allowed",
  "return_to_not_allowed",
  "too_many_logins",
] satisfies FailureCode[];

// The text says what to do first.
const WITHOUT_RETRY: readonly string[] = [...FOR_SUPPORT, "connection_limit" satisfies FailureCode];

const WORTH_ANOTHER_TRY: readonly string[] = [
  "connection_busy",
  "finch_misconfigured",
  "finch_unavailable",
  "internal_error",
  "too_many_requests",
  "unauthorized",
  "unexpected",
  "unreachable",
] satisfies FailureCode[];

/** Whether the API may still accept the same completion code, or the same code of Finch. */
export function isWorthAnotherTry({ code }: Failure): boolean {
  return WORTH_ANOTHER_TRY.includes(code);
}

const KINDS: Partial<Record<Result, Notice["kind"]>> = {
  another: "wait",
  unhealthy: "wait",
  settling: "info",
};

/** A connection was made or repaired. */
export function arrived(connection: Connection, result: Result): Notice {
  return {
    kind: KINDS[result] ?? "good",
    title: `result.${result}`,
    text:
      result === "unhealthy" || result === "settling"
        ? `status.${connection.status}.reason`
        : `result.${result}Text`,
    about: connection,
  };
}

/** A connection, or an entity of it, was disconnected; `after` is the API's response. */
export function disconnected(after: Connection, entity: Entity | null): Notice {
  if (after.status === "disconnected" || after.status === "disconnecting") {
    return {
      kind: "good",
      title: `result.${after.status}`,
      text: `result.${after.status}Text`,
      about: after,
    };
  }
  if (entity) {
    const now = entitiesOf(after).find((one) => one.id === entity.id);
    const title = now?.status === "disconnecting" ? "entityDisconnecting" : "entityDisconnected";
    return { kind: "good", title: `result.${title}`, text: `result.${title}Text`, about: after };
  }
  // Another tab has connected it again in the meantime, so it stays.
  return { kind: "info", title: "result.again", text: "result.againText", about: after };
}

/** An action failed; `retry` is the button that the person has pressed. */
export function failed({ code, reference }: Failure, retry: string | null): Notice {
  const declined = code === "access_denied";
  return {
    kind: declined ? "info" : "bad",
    title: declined ? "result.refused" : "result.failed",
    text: failurePath(code),
    reference,
    support: FOR_SUPPORT.includes(code),
    retry: WITHOUT_RETRY.includes(code) ? null : retry,
  };
}

/** The API could not be asked about the return. The return waits for another try. */
export function returnWaits({ code, reference }: Failure): Notice {
  return {
    kind: "wait",
    title: "result.pending",
    text: failurePath(code),
    reference,
    retry: "return",
  };
}

/** The return belongs to another customer, who may still sign in on this page. */
export function foreignReturn(): Notice {
  return { kind: "wait", title: "confirm.foreign", text: "confirm.foreignText", forget: true };
}

/** Finch has not finished. The connection will appear in the list. */
export function pendingReturn(reference: string | undefined): Notice {
  return {
    kind: "info",
    title: "result.pending",
    text: "result.pendingText",
    reference,
    spins: true,
  };
}

/** Whether a connection may still come of the attempt, so that the person must not start another. */
export function isUndecided({ title }: Notice): boolean {
  return title === "result.pending" || title === "finishing";
}

/** The person has closed Finch Connect inside the page, or it has ended with an error. */
export function frameClosed(hasFailed: boolean, retry: string, reference: string): Notice {
  return hasFailed
    ? { kind: "bad", title: "result.failed", text: "failure.finch_refused", reference, retry }
    : { kind: "info", title: "result.refused", text: "result.closedText", retry };
}
