/**
 * One connection to the daemon: calls that wait, what the daemon tells, and what it asks.
 *
 * Messages are handled in the order in which they came, and each one completely before the next: whoever waits for a reply
 * has been given every event that preceded it.
 */

import { fromErrorObject, MeerkatError, unavailable } from "./errors.js";
import { Routes } from "./routes.js";
import { fromWire, toWire } from "./shapes.js";
import { CALLS, NOTIFICATIONS } from "./tables.js";
import type { Transport } from "./transport.js";
import type { Methods } from "./types.js";

const METHOD_NOT_FOUND = -32601;
const INTERNAL_ERROR = -32603;

/** A method that this version does not know: the daemon says whether there is one. */
const UNKNOWN: readonly [string, string] = ["", ""];

/** Answers a request of the daemon; undefined when there is no such method. */
export type Answerer = (method: string, params: unknown) => Promise<unknown> | undefined;

/** A request in flight. */
export interface Call<R> {
  readonly id: number;
  readonly reply: Promise<R>;
}

interface Waiting {
  resultShape: string;
  resolve(result: unknown): void;
  reject(error: MeerkatError): void;
  /** Called with the result before anything that came after it is handled. */
  onResult: ((result: never) => void) | undefined;
}

export class Connection {
  readonly routes = new Routes();
  /** Why it is of no more use. */
  lost: MeerkatError | undefined;
  /** Why the daemon leaves, once it has said so. What has no reply when the connection ends was not begun then. */
  leaving: string | undefined;
  readonly #transport: Transport;
  readonly #answer: Answerer;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;

  constructor(transport: Transport, answer: Answerer) {
    this.#transport = transport;
    this.#answer = answer;
    transport.attach({ take: (messages) => this.#receive(messages), lost: (error) => this.#lose(error) });
  }

  /**
   * Ask. The reply rejects with the daemon's error, or with `lost` when the connection ends first.
   *
   * @throws MeerkatError INVALID_PARAMS or REQUEST_TOO_LARGE: it cannot be sent, nothing was begun.
   */
  call<M extends keyof Methods>(
    method: M,
    params: Methods[M]["params"],
    onResult?: (result: Methods[M]["result"]) => void,
  ): Call<Methods[M]["result"]> {
    if (this.lost !== undefined) throw this.lost;
    const [paramsShape, resultShape] = CALLS[method] ?? UNKNOWN;
    const id = this.#lastId + 1;
    this.#transport.send({ jsonrpc: "2.0", id, method, params: toWire(paramsShape, params) });
    this.#lastId = id;
    const reply = new Promise<Methods[M]["result"]>((resolve, reject) => {
      this.#waiting.set(id, { resultShape, resolve: resolve as (result: unknown) => void, reject, onResult });
    });
    return { id, reply };
  }

  /** Take a call back; one that runs a turn is interrupted. Its reply still comes. */
  cancel(call: Call<unknown>): void {
    if (this.#waiting.has(call.id)) this.#send({ jsonrpc: "2.0", method: "cancel", params: { request_id: call.id } });
  }

  /** End it. Turns go on without it. */
  close(error: MeerkatError): void {
    this.#lose(error);
  }

  #send(message: unknown): void {
    if (this.lost === undefined) this.#transport.send(message);
  }

  #receive(messages: Iterable<unknown>): void {
    try {
      for (const message of messages) this.#take(message);
    } catch (error) {
      if (!(error instanceof MeerkatError)) throw error;
      this.#lose(unavailable(`The daemon broke the protocol: ${error.message}`, { cause: error }));
    }
  }

  #take(message: unknown): void {
    const { id, method, params, result, error } = message as Record<string, unknown>;
    if (typeof method === "string") {
      if (typeof id === "string") void this.#reply(id, method, params);
      else if (method === "daemon/leaving") this.leaving = String((params as { reason?: unknown }).reason);
      else if (NOTIFICATIONS[method] !== undefined) this.routes.deliver(method, fromWire(NOTIFICATIONS[method], params));
      return;
    }
    // The daemon could not read a request of ours and cannot say which: no call can be trusted to end.
    if (id === null && error !== undefined) throw fromErrorObject(error);
    const waiting = this.#waiting.get(id as number);
    if (waiting === undefined) return;
    if (error !== undefined) {
      const told = fromErrorObject(error);
      // It restarts and has not begun this: the end of the connection, which comes at once, says so to everybody.
      if (told.code === "SHUTTING_DOWN" && told.details["restarting"] === true) return;
      this.#waiting.delete(id as number);
      waiting.reject(told);
      return;
    }
    this.#waiting.delete(id as number);
    const value = fromWire(waiting.resultShape, result) as never;
    waiting.onResult?.(value);
    waiting.resolve(value);
  }

  async #reply(id: string, method: string, params: unknown): Promise<void> {
    const answer = this.#answer(method, params);
    if (answer === undefined) {
      this.#refuse(id, METHOD_NOT_FOUND, `No handler for ${method}.`);
      return;
    }
    try {
      this.#send({ jsonrpc: "2.0", id, result: await answer });
    } catch (error) {
      this.#refuse(id, INTERNAL_ERROR, error instanceof Error ? error.message : String(error));
    }
  }

  #refuse(id: string, code: number, message: string): void {
    this.#send({ jsonrpc: "2.0", id, error: { code, message: message.toWellFormed().slice(0, 4096) } });
  }

  #lose(error: MeerkatError): void {
    if (this.lost !== undefined) return;
    this.lost = error;
    this.#transport.close();
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
    this.routes.lost(error);
  }
}
