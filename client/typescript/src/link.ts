/**
 * The way to the daemon for as long as a client lives: one connection at a time, made anew when it is lost.
 *
 * A new connection is bound to the realm of the first one and offers the same tools. What was in flight is asked again
 * only when that cannot do anything twice: when it reads, or when it has an idempotency key.
 */

import { Connection, type Answerer } from "./connection.js";
import { errorOf, MeerkatError, unavailable } from "./errors.js";
import { API_KEYS, BASE_URLS, PROTOCOL_MAX, PROTOCOL_MIN, VERSION } from "./tables.js";
import type { Transport } from "./transport.js";
import type { Initialize, Initialized, Methods, ProviderCredentials, ToolDefinition } from "./types.js";

/** A daemon may leave between accepting us and answering, or while we wait; each time a new one is looked for. */
export const MAX_LOSSES = 5;
/** A daemon that is too old for us, and restarts with the installed program, lets its turns end first. */
const UPGRADE_LOOK_MS = 250;

/** A cold start takes 0.2 s; a daemon that drains holds the lock for 10 s before a new one can start. */
export const DEFAULT_DEADLINE_SECONDS = 30;

/** How the daemon is reached. */
export interface Way {
  /** @throws MeerkatError DAEMON_UNAVAILABLE, PERMISSION_DENIED. */
  open(deadlineSeconds: number): Promise<Transport>;
  /** Whether to try again when a daemon leaves while it greets us: another one is there, or is started. */
  retries: boolean;
  /** Of this process, for others to see. */
  pid: number | undefined;
  /** Keys of providers, when the options have none. */
  credentials: Record<string, ProviderCredentials>;
}

/** Which realm, and as whom. At most one of `realmId`, `workspace` and `isolated`. */
export interface RealmOptions {
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
  /** For everything together. */
  deadlineSeconds?: number | undefined;
}

export class Link {
  /** The result of the first `initialize`. */
  info: Initialized | undefined;
  /** Done when no create is in flight whose session is not known yet. */
  creating: Promise<unknown> = Promise.resolve();
  readonly #way: Way;
  readonly #options: RealmOptions;
  readonly #answer: Answerer;
  readonly #tools: () => ToolDefinition[];
  #connection: Connection | undefined;
  #opening: Promise<Connection> | undefined;
  #closed: MeerkatError | undefined;

  constructor(way: Way, options: RealmOptions, answer: Answerer, tools: () => ToolDefinition[]) {
    this.#way = way;
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
    const { lost, leaving } = this.#connection ?? {};
    if (this.#connection !== undefined && lost === undefined && leaving === undefined) return this.#connection;
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

  /** Ask, once; the outcome is unknown when the connection is lost meanwhile, unless the daemon had said that it leaves. */
  callOnce<M extends keyof Methods>(method: M, params: Methods[M]["params"]): Promise<Methods[M]["result"]> {
    return this.repeat((connection) => connection.call(method, params).reply, { once: true });
  }

  /** Ask, and ask again when the connection is lost: for what reads, or has an idempotency key. */
  call<M extends keyof Methods>(method: M, params: Methods[M]["params"]): Promise<Methods[M]["result"]> {
    return this.repeat((connection) => connection.call(method, params).reply);
  }

  /** Do something over a connection, and again over another one for as long as the connection is what failed. */
  async repeat<R>(attempt: (connection: Connection) => Promise<R>, { once = false } = {}): Promise<R> {
    for (let losses = 1; ; losses += 1) {
      const connection = await this.open();
      try {
        return await attempt(connection);
      } catch (error) {
        if (error !== connection.lost || error === this.#closed || losses === MAX_LOSSES) throw error;
        if (once && connection.leaving === undefined) throw error;
      }
    }
  }

  async #connect(): Promise<Connection> {
    const { deadlineSeconds = DEFAULT_DEADLINE_SECONDS } = this.#options;
    const until = Date.now() + 1000 * deadlineSeconds;
    for (let attempt = 1; ; attempt += 1) {
      const left = Math.max(0, until - Date.now()) / 1000;
      const connection = new Connection(await this.#way.open(left), this.#answer);
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
        if (makesWay(error) && Date.now() < until) {
          await new Promise((resolve) => setTimeout(resolve, UPGRADE_LOOK_MS));
          continue;
        }
        if (!gone || attempt === MAX_LOSSES || !this.#way.retries) throw error;
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
      client: {
        name: name ?? "meerkat-client",
        version: VERSION,
        surface: "sdk",
        ...(this.#way.pid !== undefined && { pid: this.#way.pid }),
      },
      protocol: { min: PROTOCOL_MIN, max: PROTOCOL_MAX },
      ...(instanceId !== undefined && { instanceId }),
      ...(realmBackend !== undefined && { backend: realmBackend }),
      credentials: credentials ?? this.#way.credentials,
    };
  }
}

/** `params` with an idempotency key, so that the request may be repeated. */
export function withKey<P extends { idempotencyKey?: string | null }>(params: P): P {
  return { ...params, idempotencyKey: params.idempotencyKey ?? globalThis.crypto.randomUUID() };
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

/** Whether a daemon that is too old for us is about to go on with the program that is installed. */
function makesWay(error: unknown): boolean {
  return error instanceof MeerkatError && error.code === "VERSION_MISMATCH" && error.details["restarting"] === true;
}

function slow(): MeerkatError {
  return unavailable("The daemon did not answer in time.");
}
