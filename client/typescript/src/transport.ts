/** What carries messages to the daemon and back: a socket of this machine, or a WebSocket. */

import type { MeerkatError } from "./errors.js";

/** Takes what a transport brings. */
export interface Receiver {
  /** Messages in the order in which they came; taking the next one may throw a `MeerkatError`: it was no message. */
  take(messages: Iterable<unknown>): void;
  /** Nothing comes any more. */
  lost(error: MeerkatError): void;
}

export interface Transport {
  /** Say who takes what comes. To be called once, at once. */
  attach(receiver: Receiver): void;
  /** @throws MeerkatError INVALID_PARAMS or REQUEST_TOO_LARGE: it cannot be sent, and was not. */
  send(message: unknown): void;
  /** End it; the receiver is not told. */
  close(): void;
}
