/** A session as its user has it in hand. State is the daemon's; here is only what came back last. */

import { EventStream, EventSubscription, type SubscribeOptions } from "./events.js";
import { withKey, type Link } from "./link.js";
import { runTurn } from "./turns.js";
import type {
  ContextInjected,
  ExternalEventOutcome,
  PromptImage,
  PromptText,
  RunResult,
  SessionArchive,
  SessionCompact,
  SessionCompacted,
  SessionForkAt,
  SessionForked,
  SessionHistory,
  SessionInfo,
  TurnInterrupted,
  TurnStart,
  Usage,
} from "./types.js";

export type Prompt = string | (PromptText | PromptImage)[];

export interface Cancellable {
  /** Aborting it interrupts the turn. */
  signal?: AbortSignal;
}

export type TurnOptions = Omit<TurnStart, "sessionId" | "prompt" | "sessionEvents"> & Cancellable;

export interface HistoryOptions {
  /** 0 when absent. */
  offset?: number;
  /** 100 when absent, at most 1000. */
  limit?: number;
}

export interface InjectOptions {
  /** Who says it; kept with the message. */
  source?: string;
  idempotencyKey?: string;
}

export interface ExternalEventOptions {
  /** Text for the model, after the payload. */
  blocks?: PromptText[];
  /** Who tells it; "sdk" when absent. */
  source?: string;
  idempotencyKey?: string;
}

/** What can be done with a session by its id. */
export class SessionHandle {
  readonly id: string;
  /** `realm:id`. */
  readonly ref: string;
  protected readonly link: Link;

  constructor(link: Link, id: string, ref: string) {
    this.link = link;
    this.id = id;
    this.ref = ref;
  }

  /** What the session is, and how its last turn ended. */
  read(): Promise<SessionInfo> {
    return this.link.call("session/read", { sessionId: this.id });
  }

  /** Committed messages, oldest first. */
  history(options: HistoryOptions = {}): Promise<SessionHistory> {
    return this.link.call("session/history", { sessionId: this.id, ...options });
  }

  /** Interrupt the running turn, whoever started it. @throws MeerkatError SESSION_NOT_RUNNING. */
  interrupt(): Promise<TurnInterrupted> {
    return this.link.callOnce("turn/interrupt", { sessionId: this.id });
  }

  /** Take it off the list; its history stays. */
  async archive(): Promise<void> {
    await this.link.call("session/archive", withKey<SessionArchive>({ sessionId: this.id }));
  }

  /** Bring it back after it was archived. */
  async unarchive(): Promise<void> {
    await this.link.call("session/unarchive", withKey<SessionArchive>({ sessionId: this.id }));
  }

  /** Set labels; null takes one away. All that it has then. */
  async label(labels: Record<string, string | null>): Promise<Record<string, string>> {
    return (await this.link.call("session/label", { sessionId: this.id, labels })).labels;
  }

  /** A new session that begins with the first `messageIndex` messages of this one. @throws MeerkatError SESSION_BUSY. */
  forkAt(messageIndex: number, options: { idempotencyKey?: string } = {}): Promise<SessionForked> {
    return this.link.call("session/fork_at", withKey<SessionForkAt>({ ...options, sessionId: this.id, messageIndex }));
  }

  /** Let a summary stand for the older part of what the model sees; the history stays as it is. */
  compact(options: { recentTurns?: number; idempotencyKey?: string } = {}): Promise<SessionCompacted> {
    const params = withKey<SessionCompact>({ ...options, sessionId: this.id, sessionEvents: false });
    return this.link.call("session/compact", params);
  }

  /** Add to the transcript without running a turn. */
  injectContext(text: string, options: InjectOptions = {}): Promise<ContextInjected> {
    return injectContext(this.link, this.id, text, options);
  }

  /** Tell of something that happened outside; `payload` is any JSON. The next call of the model reads it. */
  sendExternalEvent(eventType: string, payload: unknown, options: ExternalEventOptions = {}): Promise<ExternalEventOutcome> {
    return sendExternalEvent(this.link, this.id, eventType, payload, options);
  }

  /** Follow what happens in the session, whoever makes it happen. */
  subscribeEvents(options: SubscribeOptions = {}): Promise<EventSubscription> {
    return EventSubscription.open(this.link, this.id, options);
  }

  /** Run a turn. @throws MeerkatError SESSION_BUSY at once while another one runs; what made it fail; TURN_LOST. */
  turn(prompt: Prompt, options: TurnOptions = {}): Promise<RunResult> {
    return this.run(prompt, options);
  }

  /** Run a turn, and follow it. It begins at once. */
  stream(prompt: Prompt, options: TurnOptions = {}): EventStream {
    return new EventStream(this.id, (stream) => this.run(prompt, options, stream));
  }

  protected async run(prompt: Prompt, options: TurnOptions, stream?: EventStream): Promise<RunResult> {
    const { signal, ...rest } = options;
    const params: TurnStart = { ...rest, sessionId: this.id, prompt };
    return runTurn(this.link, { method: "turn/start", params, signal, stream });
  }
}

/** A session that has had its first turn. */
export class Session extends SessionHandle {
  #last: RunResult;

  constructor(link: Link, first: RunResult) {
    super(link, first.sessionId, first.sessionRef);
    this.#last = first;
  }

  get lastResult(): RunResult {
    return this.#last;
  }

  get text(): string {
    return this.#last.text;
  }

  get usage(): Usage {
    return this.#last.usage;
  }

  get turns(): number {
    return this.#last.turns;
  }

  get toolCalls(): number {
    return this.#last.toolCalls;
  }

  /** The value that the last answer is, when it had an output schema. */
  get structuredOutput(): unknown {
    return this.#last.structuredOutput;
  }

  protected override async run(prompt: Prompt, options: TurnOptions, stream?: EventStream): Promise<RunResult> {
    this.#last = await super.run(prompt, options, stream);
    return this.#last;
  }
}

/** A session whose first turn is still to come; its prompt is kept and joins the first turn's. */
export class DeferredSession extends SessionHandle {
  startTurn(prompt: Prompt, options: TurnOptions = {}): Promise<RunResult> {
    return this.run(prompt, options);
  }
}

/** Add `text` to a session's transcript. */
export function injectContext(link: Link, sessionId: string, text: string, options: InjectOptions): Promise<ContextInjected> {
  const content: PromptText = { type: "text", text };
  return link.call("session/inject_context", withKey({ ...options, sessionId, content }));
}

/** Tell a session of something that happened outside. */
export function sendExternalEvent(
  link: Link,
  sessionId: string,
  eventType: string,
  payload: unknown,
  options: ExternalEventOptions,
): Promise<ExternalEventOutcome> {
  return link.call("session/external_event", withKey({ ...options, sessionId, eventType, payload }));
}
