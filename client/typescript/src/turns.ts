/**
 * Running a turn so that it runs once, whatever becomes of the connection.
 *
 * Every request has an idempotency key. When the connection is lost, the same request is sent over the next one: a turn
 * that runs is re-attached to, one that ended gives its outcome, one that the daemon did not live to end is TURN_LOST with
 * its ledger, and only one that never arrived begins now.
 */

import type { Call, Connection } from "./connection.js";
import { errorOf } from "./errors.js";
import { catchUp, type EventStream } from "./events.js";
import { withKey, type Link } from "./link.js";
import type { Methods, RunResult } from "./types.js";

type TurnMethod = "session/create" | "turn/start";

export interface TurnRequest<M extends TurnMethod> {
  method: M;
  params: Methods[M]["params"];
  /** Aborting it interrupts the turn: it ends with REQUEST_CANCELLED, after what was produced is committed. */
  signal?: AbortSignal | undefined;
  /** Gets the turn's events; without one none are sent. */
  stream?: EventStream | undefined;
}

/** Run a turn to its end. @throws MeerkatError: what made it fail, or TURN_LOST. */
export async function runTurn<M extends TurnMethod>(link: Link, request: TurnRequest<M>): Promise<RunResult> {
  const { params, signal, stream } = request;
  if (signal?.aborted) throw errorOf("REQUEST_CANCELLED", "It was cancelled before it was sent.");
  if (stream !== undefined && stream.sessionId === undefined) {
    const earlier = link.creating;
    link.creating = Promise.all([earlier, stream.known]);
    await earlier;
  }
  const keyed = { ...request, params: withKey(params) };
  let isFirst = true;
  return link.repeat((connection) => {
    const attempt = isFirst ? once : again;
    isFirst = false;
    return attempt(connection, keyed);
  });
}

/** Send the request, with its events if they are wanted. */
async function once<M extends TurnMethod>(connection: Connection, request: TurnRequest<M>): Promise<RunResult> {
  const { stream } = request;
  const remove = stream === undefined ? undefined : connection.routes.addTurn(stream);
  try {
    return await send(connection, request, stream !== undefined);
  } finally {
    remove?.();
  }
}

/** Send it again over another connection, and fetch the events that were missed. */
async function again<M extends TurnMethod>(connection: Connection, request: TurnRequest<M>): Promise<RunResult> {
  const { stream } = request;
  if (stream?.sessionId === undefined || stream.cursor === 0) {
    const result = await once(connection, request);
    // One that had ended by then sends no events any more; they are still kept.
    if (stream !== undefined && !stream.complete) {
      stream.runId = result.turnId;
      await catchUp(connection, stream, result.sessionId);
    }
    return result;
  }
  // The turn has begun, so there is something to follow; from the place that was reached, and not from its beginning.
  const [reply, events] = await Promise.allSettled([
    send(connection, request, false),
    catchUp(connection, stream, stream.sessionId),
  ]);
  if (reply.status === "rejected") throw reply.reason;
  if (events.status === "rejected") throw events.reason;
  return reply.value;
}

async function send<M extends TurnMethod>(
  connection: Connection,
  { method, params, signal }: TurnRequest<M>,
  sessionEvents: boolean,
): Promise<RunResult> {
  const call = connection.call(method, { ...params, sessionEvents }) as Call<RunResult>;
  const cancel = (): void => connection.cancel(call);
  if (signal?.aborted) cancel();
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    return await call.reply;
  } finally {
    signal?.removeEventListener("abort", cancel);
  }
}
