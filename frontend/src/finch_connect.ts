/** Finch Connect inside the page, by Finch's JavaScript SDK. */

import type { EmbeddedSession } from "./api.ts";
import type { FinchSdk } from "./public_types.ts";
import type { Act } from "./views/view.ts";

interface Attempt {
  act: Act;
  state: string;
  reference: string;
  failed: boolean;
  signal: AbortSignal;
}

/** The actions of the page when an attempt ends. */
export interface AttemptEnds {
  /** Called first, however the attempt ended. */
  ended(act: Act): void;
  succeeded(act: Act, code: string, state: string, reference: string): void;
  closed(act: Act, failed: boolean, reference: string): void;
}

/** Opens Finch Connect in a frame above the page, for one attempt at a time. */
export class FinchConnectFrame {
  readonly #frame: ReturnType<FinchSdk["initialize"]>;
  readonly #ends: AttemptEnds;
  #attempt: Attempt | null = null;

  /** The SDK listens from here on, so the element makes one frame and opens it again. */
  constructor(sdk: FinchSdk, connectUrl: string | null, ends: AttemptEnds) {
    this.#ends = ends;
    this.#frame = sdk.initialize({
      onSuccess: ({ code, state }) => {
        const attempt = this.#end();
        // A code of another attempt must not finish this attempt.
        if (!attempt || (state && state !== attempt.state)) return;
        this.#ends.succeeded(attempt.act, code, attempt.state, attempt.reference);
      },
      onError: ({ errorMessage, errorType }) => {
        console.warn("Finch Connect:", errorType, errorMessage);
        if (this.#attempt) this.#attempt.failed = true;
        // If the person can correct the error, the frame stays open. If not, the SDK removes it
        // and reports nothing else.
        setTimeout(() => document.getElementById("finch-connect-iframe") || this.#closed());
      },
      onClose: () => this.#closed(),
      ...(connectUrl && { apiConfig: { connectUrl } }),
    });
  }

  /** Opens the frame; after `signal` is aborted, the end of the attempt is ignored. */
  open({ session_id, state, reference }: EmbeddedSession, act: Act, signal: AbortSignal): void {
    this.#attempt = { act, state, reference, signal, failed: false };
    this.#frame.open({ sessionId: session_id, state, zIndex: 2147483000 });
  }

  /** Closes the frame and forgets the attempt. */
  close(): void {
    this.#attempt = null;
    this.#frame.close();
  }

  destroy(): void {
    this.#attempt = null;
    this.#frame.destroy?.();
  }

  #closed(): void {
    const attempt = this.#end();
    if (attempt) this.#ends.closed(attempt.act, attempt.failed, attempt.reference);
  }

  #end(): Attempt | null {
    const attempt = this.#attempt;
    this.#attempt = null;
    if (!attempt || attempt.signal.aborted) return null;
    this.#ends.ended(attempt.act);
    return attempt;
  }
}
