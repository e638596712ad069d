/**
 * Events as they arrive: of one turn (`EventStream`), or of a session for as long as one likes (`EventSubscription`).
 *
 * Both outlive their connection: they go on after the last event that they have, so nothing is told twice. What the
 * daemon no longer has is told by a `stream_truncated` event, never left out in silence.
 */

import type { Connection } from "./connection.js";
import type { MeerkatError } from "./errors.js";
import { MAX_LOSSES, type Link } from "./link.js";
import { Queue } from "./queue.js";
import type { StreamReader, TurnReader } from "./routes.js";
import type { EventEnvelope, EventPayload, RunResult, StreamEnd, StreamOpen } from "./types.js";

/**
 * The events of one turn, and then its result. To be iterated once, from any time on: events wait for it.
 *
 * Leaving the loop early leaves the turn running. The iteration throws what made the turn fail.
 */
export class EventStream implements AsyncIterable<EventPayload>, TurnReader {
  runId: string | undefined;
  /** Done when the session is known, or never will be. */
  readonly known: Promise<void>;
  /** Number of the last event; whoever follows the session from here misses nothing. */
  cursor = 0;
  /** Whether the turn's last event is here. */
  complete = false;
  readonly #queue = new Queue<EventPayload>();
  #result: RunResult | undefined;
  #sessionId: string | undefined;
  #isKnown = (): void => undefined;

  /** @param run runs the turn, and gives its events to the stream. */
  constructor(sessionId: string | undefined, run: (stream: EventStream) => Promise<RunResult>) {
    this.known = new Promise((resolve) => {
      this.#isKnown = resolve;
    });
    this.sessionId = sessionId;
    run(this).then(
      (result) => {
        this.sessionId = result.sessionId;
        this.#result = result;
        this.#queue.end();
      },
      (error: unknown) => {
        this.#isKnown();
        this.#queue.fail(error);
      },
    );
  }

  /** The turn's session; undefined until the first event of a new session is here. */
  get sessionId(): string | undefined {
    return this.#sessionId;
  }

  set sessionId(sessionId: string | undefined) {
    this.#sessionId = sessionId;
    if (sessionId !== undefined) this.#isKnown();
  }

  /** The turn's result. @throws Error: the stream has not been read to its end, or the turn failed. */
  get result(): RunResult {
    if (this.#result === undefined) throw new Error("The stream has no result before it has been read to its end.");
    return this.#result;
  }

  accept(envelope: EventEnvelope): void {
    if (envelope.seq <= this.cursor) return;
    this.cursor = envelope.seq;
    const { type } = envelope.payload;
    this.complete ||= type === "run_completed" || type === "run_failed";
    this.#queue.push(envelope.payload);
  }

  [Symbol.asyncIterator](): AsyncIterator<EventPayload> {
    return this.#queue;
  }

  /** Read to the end. @throws MeerkatError: what made the turn fail. */
  async collect(): Promise<RunResult> {
    return (await this.collectText())[1];
  }

  /** Read to the end: the text as it was streamed, and the result. */
  async collectText(): Promise<[text: string, result: RunResult]> {
    const parts: string[] = [];
    for await (const event of this) if (event.type === "text_delta") parts.push(event.delta);
    return [parts.join(""), this.result];
  }
}

/** Give `stream` those events of its turn that it lacks, over a new connection, up to the turn's last one. */
export async function catchUp(connection: Connection, stream: EventStream, sessionId: string): Promise<void> {
  let streamId = "";
  const isOver = await new Promise<boolean>((resolve, reject) => {
    let gap: EventEnvelope | undefined;
    const reader: StreamReader = {
      accept(envelope) {
        const { type } = envelope.payload;
        if (stream.cursor === 0 && type === "stream_truncated") {
          gap = envelope;
          return;
        }
        // What is gone was of earlier turns, unless this turn's beginning is gone too.
        if (gap !== undefined && type !== "run_started") stream.accept(gap);
        gap = undefined;
        if (isOfAnotherTurn(stream, envelope.payload)) {
          resolve(false);
          return;
        }
        stream.accept(envelope);
        if (stream.complete) resolve(true);
      },
      end: () => resolve(true),
      lost: reject,
    };
    const params: StreamOpen = { sessionId, cursor: stream.cursor, until: "turn_end" };
    const opening = connection.call("session/stream_open", params, (opened) => {
      streamId = opened.streamId;
      connection.routes.addStream(streamId, reader);
    });
    opening.reply.catch(reject);
  });
  if (!isOver) await connection.call("session/stream_close", { streamId }).reply;
}

/** The daemon keeps the events of the last turn only, and that may be somebody else's by now. */
function isOfAnotherTurn(stream: EventStream, payload: EventPayload): boolean {
  return payload.type === "run_started" && stream.runId !== undefined && payload.identity.runId !== stream.runId;
}

export interface SubscribeOptions {
  /** Events after this one; from the start of the running turn, or from now, when absent. */
  cursor?: number;
  /** `turn_end` ends the subscription by itself when the running turn has ended. */
  until?: "closed" | "turn_end";
}

/** A session's events. Iterate it, and close it. The iteration throws when the daemon cannot be reached any more. */
export class EventSubscription implements AsyncIterable<EventEnvelope>, StreamReader {
  /** Id of the stream on the connection of now. */
  id = "";
  /** Number of the last event. */
  cursor: number | undefined;
  /** How it ended; undefined while it has not. */
  terminalOutcome: StreamEnd["outcome"] | undefined;
  readonly #queue = new Queue<EventEnvelope>(() => this.#leave());
  readonly #link: Link;
  readonly #sessionId: string;
  readonly #until: SubscribeOptions["until"];
  #connection: Connection | undefined;
  #losses = 0;

  private constructor(link: Link, sessionId: string, options: SubscribeOptions) {
    this.#link = link;
    this.#sessionId = sessionId;
    this.cursor = options.cursor;
    this.#until = options.until;
  }

  /** @throws MeerkatError SESSION_NOT_FOUND, STALE_CURSOR. */
  static async open(link: Link, sessionId: string, options: SubscribeOptions): Promise<EventSubscription> {
    const subscription = new EventSubscription(link, sessionId, options);
    await subscription.#attach();
    return subscription;
  }

  get isClosed(): boolean {
    return this.terminalOutcome !== undefined;
  }

  accept(envelope: EventEnvelope): void {
    this.#losses = 0;
    this.cursor = envelope.seq;
    this.#queue.push(envelope);
  }

  end(outcome: StreamEnd["outcome"]): void {
    this.terminalOutcome ??= outcome;
    this.#queue.end();
  }

  lost(error: MeerkatError): void {
    if (this.isClosed) return;
    this.#losses += 1;
    if (this.#losses === MAX_LOSSES) this.#fail(error);
    else this.#attach().catch((reason: unknown) => this.#fail(reason));
  }

  /** Stop following. Safe to call twice. */
  async close(): Promise<void> {
    if (this.isClosed) return;
    this.end("explicit_close");
    const connection = this.#connection;
    if (connection?.lost === undefined) await connection?.call("session/stream_close", { streamId: this.id }).reply;
  }

  [Symbol.asyncIterator](): AsyncIterator<EventEnvelope> {
    return this.#queue;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #attach(): Promise<void> {
    await this.#link.repeat(async (connection) => {
      const params: StreamOpen = { sessionId: this.#sessionId };
      if (this.cursor !== undefined) params.cursor = this.cursor;
      if (this.#until !== undefined) params.until = this.#until;
      await connection.call("session/stream_open", params, (opened) => {
        this.id = opened.streamId;
        this.#connection = connection;
        this.cursor ??= opened.cursor;
        connection.routes.addStream(opened.streamId, this);
      }).reply;
      // It was closed while it was being opened anew.
      if (this.isClosed) await connection.call("session/stream_close", { streamId: this.id }).reply;
    });
  }

  #leave(): void {
    // A connection that is lost meanwhile has ended the stream as well.
    this.close().catch(() => undefined);
  }

  #fail(error: unknown): void {
    this.terminalOutcome ??= "terminal_error";
    this.#queue.fail(error);
  }
}
