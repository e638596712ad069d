/**
 * Which reader an event on one connection is for. No I/O.
 *
 * An event of a stream names its stream. An event of a turn names its session only, and a session may have two turns in
 * flight here: one that runs and one that is about to be refused, or that begins just when the first one ends. So a turn
 * takes what follows its own `run_started`. The session of a create is not known before its first event; at most one such
 * create is in flight at a time (see `Link.creating`), and an event of an unknown session is its.
 */

import type { MeerkatError } from "./errors.js";
import type { EventEnvelope, SessionEvent, StreamEnd, StreamEvent } from "./types.js";

/** Takes the events of one turn. */
export interface TurnReader {
  sessionId: string | undefined;
  runId: string | undefined;
  accept(envelope: EventEnvelope): void;
}

/** Takes the events of one stream. */
export interface StreamReader {
  accept(envelope: EventEnvelope): void;
  end(outcome: StreamEnd["outcome"]): void;
  lost(error: MeerkatError): void;
}

export class Routes {
  readonly #turns = new Set<TurnReader>();
  readonly #streams = new Map<string, StreamReader>();
  readonly #current = new Map<string, TurnReader>();

  /** Give a turn's events to `reader` until the returned function is called. */
  addTurn(reader: TurnReader): () => void {
    this.#turns.add(reader);
    return () => {
      this.#turns.delete(reader);
      if (reader.sessionId !== undefined && this.#current.get(reader.sessionId) === reader) {
        this.#current.delete(reader.sessionId);
      }
    };
  }

  /** Give a stream's events to `reader`, up to its end. */
  addStream(streamId: string, reader: StreamReader): void {
    this.#streams.set(streamId, reader);
  }

  deliver(method: string, params: unknown): void {
    if (method === "session/event") {
      const { sessionId, event } = params as SessionEvent;
      this.#turnOf(sessionId, event)?.accept(event);
    } else if (method === "session/stream_event") {
      const { streamId, event } = params as StreamEvent;
      this.#streams.get(streamId)?.accept(event);
    } else if (method === "session/stream_end") {
      const { streamId, outcome } = params as StreamEnd;
      const reader = this.#streams.get(streamId);
      this.#streams.delete(streamId);
      reader?.end(outcome);
    }
  }

  /** The connection is gone. */
  lost(error: MeerkatError): void {
    const readers = [...this.#streams.values()];
    this.#streams.clear();
    this.#turns.clear();
    for (const reader of readers) reader.lost(error);
  }

  #turnOf(sessionId: string, event: EventEnvelope): TurnReader | undefined {
    const current = this.#current.get(sessionId);
    const { payload } = event;
    if (current !== undefined && payload.type !== "run_started") return current;
    const runId = payload.type === "run_started" ? payload.identity.runId : undefined;
    const open = (reader: TurnReader): boolean => reader.runId === undefined || reader.runId === runId;
    const turns = [...this.#turns];
    const found =
      turns.find((reader) => reader.sessionId === sessionId && open(reader)) ??
      turns.find((reader) => reader.sessionId === undefined);
    if (found === undefined) return undefined;
    found.sessionId = sessionId;
    found.runId ??= runId;
    this.#current.set(sessionId, found);
    return found;
  }
}
