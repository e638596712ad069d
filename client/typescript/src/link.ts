/**
 * The way to the daemon for as long as a client lives: one connection at a time, made anew when it is lost.
 *
 * A new connection is bound to the realm of the first one and offers the same tools. What was in flight is asked again
 * only when that cannot do anything twice: when it reads, or when it has an idempotency key.
 */

import { randomUUID } from "node:crypto";

import { Connection, type Answerer } from "./connection.js";
import { DEFAULT_DEADLINE_SECONDS, dial, type DialOptions } from "./dial.js";
import { errorOf, MeerkatError } from "./errors.js";
import { API_KEYS, BASE_URLS, PROTOCOL_MAX, PROTOCOL_MIN, VERSION } from "./tables.js";
import type { Initialize, Initialized, Methods, ProviderCredentials, ToolDefinition } from "./types.js";

/** A daemon may leave between accepting us and answering, or while we wait; each time a new one is looked for. */
export const MAX_LOSSES = 5;

/** Where to connect, and as whom. At most one of `realmId`, `workspace` and `isolated`. */
export interface ConnectOptions extends DialOptions {
  realmId?: string;
  /** A folder; its realm id is derived from the canonical path. */
  workspace?: string;
  isolated?: boolean;
  instanceId?: string;
  /** A hint for a realm that does not exist yet. */
  realmBackend?: "sqlite" | "jsonl" | "redb" | "memory";
  /** The program's own name, shown to others as the holder of a turn. */
  name?: string;
  /** Keys and base URLs of providers; those of the environment when absent. They live in the daemon's memory only. */
  credentials?: Record<string, ProviderCredentials>;
}

export class Link {
  /** The result of the first `initialize`. */
  info: Initialized | undefined;
  /** Done when no create is in flight whose session is not known yet. */
  creating: Promise<unknown> = Promise.resolve();
  readonly #options: ConnectOptions;
  readonly #answer: Answerer;
  readonly #tools: () => ToolDefinition[];
  #connection: Connection | undefined;
  #opening: Promise<Connection> | undefined;
  #closed: MeerkatError | undefined;

  constructor(options: ConnectOptions, answer: Answerer, tools: () => ToolDefinition[]) {
    this.#options = options;
    this.#answer = answer;
    this.#tools = tools;
  }

  /**
   * The connection, made anew when there is none.
   *
   * @throws MeerkatError DAEMON_UNAVAILABLE, VERSION_MISMATCH, PERMISSION_DENIED, or what `initialize` answered.
   */
  async open(): Promise<Connection> {
    if (this.#closed !== undefined) throw this.#closed;
    if (this.#connection !== undefined && this.#connection.lost === undefined) return this.#connection;
    this.#opening ??= this.#connect().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  /** End it for good. Turns go on without us. */
  close(): void {
    this.#closed ??= errorOf("DAEMON_UNAVAILABLE", "This client is closed.", { retryable: false });
    this.#connection?.close(this.#closed);
  }

  /** Ask, once; the outcome is unknown when the connection is lost meanwhile. */
  async callOnce<M extends keyof Methods>(method: M, params: Methods[M]["params"]): Promise<Methods[M]["result"]> {
    return (await this.open()).call(method, params).reply;
  }

  /** Ask, and ask again when the connection is lost: for what reads, or has an idempotency key. */
  call<M extends keyof Methods>(method: M, params: Methods[M]["params"]): Promise<Methods[M]["result"]> {
    return this.repeat((connection) => connection.call(method, params).reply);
  }

  /** Do something over a connection, and again over another one for as long as the connection is what failed. */
  async repeat<R>(attempt: (connection: Connection) => Promise<R>): Promise<R> {
    for (let losses = 1; ; losses += 1) {
      const connection = await this.open();
      try {
        return await attempt(connection);
      } catch (error) {
        if (error !== connection.lost || error === this.#closed || losses === MAX_LOSSES) throw error;
      }
    }
  }

  async #connect(): Promise<Connection> {
    const { start, deadlineSeconds = DEFAULT_DEADLINE_SECONDS } = this.#options;
    const until = Date.now() + 1000 * deadlineSeconds;
    for (let attempt = 1; ; attempt += 1) {
      const left = Math.max(0, until - Date.now()) / 1000;
      const socket = await dial({ ...this.#options, deadlineSeconds: left });
      const connection = new Connection(socket, this.#answer);
      const timer = setTimeout(() => connection.close(slow()), Math.max(1000, until - Date.now()));
      try {
        const info = await connection.call("initialize", this.#introduction()).reply;
        const tools = this.#tools();
        if (tools.length > 0) await connection.call("tools/register", { tools }).reply;
        if (this.#closed !== undefined) throw this.#closed;
        this.info ??= info;
        this.#connection = connection;
        return connection;
      } catch (error) {
        const gone = error === connection.lost && Date.now() < until;
        connection.close(error as MeerkatError);
        if (!gone || attempt === MAX_LOSSES || start === false) throw error;
      } finally {
        clearTimeout(timer);
      }
    }
  }

  #introduction(): Initialize {
    const { realmId, workspace, isolated, instanceId, realmBackend, name, credentials } = this.#options;
    const realm = this.info === undefined ? { realmId, workspace, isolated } : { realmId: this.info.realmId };
    return {
      ...(realm as Initialize),
      client: { name: name ?? "meerkat-client", version: VERSION, surface: "sdk", pid: process.pid },
      protocol: { min: PROTOCOL_MIN, max: PROTOCOL_MAX },
      ...(instanceId !== undefined && { instanceId }),
      ...(realmBackend !== undefined && { backend: realmBackend }),
      credentials: credentials ?? credentialsOf(process.env),
    };
  }
}

/** `params` with an idempotency key, so that the request may be repeated. */
export function withKey<P extends { idempotencyKey?: string | null }>(params: P): P {
  return { ...params, idempotencyKey: params.idempotencyKey ?? randomUUID() };
}

/** The keys and base URLs of providers in `environ`: the daemon's own environment is of no account. */
export function credentialsOf(environ: Readonly<Record<string, string | undefined>>): Record<string, ProviderCredentials> {
  const firstOf = (names: readonly string[]): string | undefined =>
    names.map((name) => environ[name]?.trim()).find((value) => value);
  const found: Record<string, ProviderCredentials> = {};
  for (const provider of Object.keys(API_KEYS)) {
    const [apiKey, baseUrl] = [firstOf(API_KEYS[provider]!), firstOf(BASE_URLS[provider]!)];
    if (apiKey || baseUrl) found[provider] = { ...(apiKey && { apiKey }), ...(baseUrl && { baseUrl }) };
  }
  return found;
}

function slow(): MeerkatError {
  return errorOf("DAEMON_UNAVAILABLE", "The daemon did not answer in time.");
}
