/** The client: a connection to the daemon, bound to one realm, and what can be asked over it. */

import { errorOf } from "./errors.js";
import { EventStream, EventSubscription, type SubscribeOptions } from "./events.js";
import { Link, withKey, type RealmOptions, type Way } from "./link.js";
import {
  DeferredSession,
  injectContext,
  sendExternalEvent,
  Session,
  SessionHandle,
  type Cancellable,
  type ExternalEventOptions,
  type HistoryOptions,
  type InjectOptions,
  type Prompt,
} from "./session.js";
import { Tools, type ToolHandler } from "./tools.js";
import { runTurn } from "./turns.js";
import type { Transport } from "./transport.js";
import { openWebSocket, type WebSocketOptions } from "./websocket.js";
import type {
  Approval,
  ApprovalList,
  BlobContent,
  Capability,
  Catalog,
  ConfigEnvelope,
  ContextInjected,
  ExternalEventOutcome,
  Initialized,
  Methods,
  McpChanged,
  McpServerInfo,
  NamedMcpServer,
  SessionCreate,
  SessionHistory,
  SessionInfo,
  SessionList,
  SessionSummary,
  UsageRead,
  UsageReport,
} from "./types.js";

export type CreateOptions = Omit<SessionCreate, "prompt" | "initialTurn" | "sessionEvents"> & Cancellable;

export interface ConfigWriteOptions {
  /** Refuse with CONFIG_CONFLICT unless the config has this generation. */
  expectedGeneration?: number;
  idempotencyKey?: string;
}

/**
 * A client of the daemon, wherever there is a WebSocket: `connectWebSocket` it, use it, `close` it.
 *
 * A connection that is lost is made anew by what needs it next, in the same realm. A turn runs once, whatever becomes of
 * the connection; every method throws a `MeerkatError`.
 */
export class MeerkatClient {
  readonly #tools = new Tools();
  #link: Link | undefined;
  #capabilities: Capability[] = [];

  /**
   * Connect through a door of the daemon on loopback TCP, which `rkat-rpc --live-ws` opens. Without `realmId` or `isolated`
   * the realm is a fresh one. Keys of providers are those of the daemon, unless `credentials` has some.
   *
   * @throws MeerkatError DAEMON_UNAVAILABLE, VERSION_MISMATCH, or what the daemon answered.
   */
  async connectWebSocket(options: WebSocketOptions & RealmOptions): Promise<this> {
    const { url, token, webSocket, ...realm } = options;
    const door = { url, token, ...(webSocket !== undefined && { webSocket }) };
    const open = async (left: number): Promise<Transport> => openWebSocket(door, left);
    return this.connectBy({ open, retries: false, pid: undefined, credentials: {} }, realm);
  }

  /** Connect in any way. */
  protected async connectBy(way: Way, options: RealmOptions): Promise<this> {
    if (this.#link !== undefined) throw errorOf("INVALID_REQUEST", "This client is connected already.");
    const answer = (method: string, params: unknown): Promise<unknown> | undefined => this.#tools.answer(method, params);
    const link = new Link(way, options, answer, () => this.#tools.definitions());
    try {
      this.#capabilities = (await link.call("capabilities/get", {})).capabilities;
    } catch (error) {
      link.close();
      throw error;
    }
    this.#link = link;
    return this;
  }

  /** End the connection. Turns go on without it. Safe to call twice. */
  async close(): Promise<void> {
    this.#link?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** What the daemon said about itself and the realm. */
  get info(): Initialized {
    return this.#connected.info!;
  }

  /** What the daemon can do. */
  get capabilities(): readonly Capability[] {
    return this.#capabilities;
  }

  hasCapability(id: string): boolean {
    return this.#capabilities.some((capability) => capability.id === id);
  }

  /** @throws MeerkatError CAPABILITY_UNAVAILABLE. */
  requireCapability(id: string): void {
    if (!this.hasCapability(id)) throw errorOf("CAPABILITY_UNAVAILABLE", `This daemon lacks the capability ${id}.`);
  }

  /** Any request of the method reference, asked once. */
  request<M extends keyof Methods>(method: M, params: Methods[M]["params"]): Promise<Methods[M]["result"]> {
    return this.#connected.callOnce(method, params);
  }

  /** Offer a tool to the turns of this realm, for as long as this client is connected. The same name replaces. */
  async registerTool(
    name: string,
    description: string,
    inputSchema: Record<string, unknown>,
    handler: ToolHandler,
  ): Promise<void> {
    this.#tools.add({ name, description, inputSchema }, handler);
    if (this.#link !== undefined) await this.#link.call("tools/register", { tools: [{ name, description, inputSchema }] });
  }

  /** A new session, with its first turn. A first turn that fails leaves the session: `details.session_id` names it. */
  async createSession(prompt: Prompt, options: CreateOptions = {}): Promise<Session> {
    const { signal, ...rest } = options;
    const params: SessionCreate = { ...rest, prompt };
    const link = this.#connected;
    return new Session(link, await runTurn(link, { method: "session/create", params, signal }));
  }

  /** A new session whose first turn is followed. It begins at once. */
  createSessionStreaming(prompt: Prompt, options: CreateOptions = {}): EventStream {
    const { signal, ...rest } = options;
    const params: SessionCreate = { ...rest, prompt };
    const link = this.#connected;
    return new EventStream(undefined, (stream) => runTurn(link, { method: "session/create", params, signal, stream }));
  }

  /** A new session whose first turn is still to come. */
  async createDeferredSession(prompt: Prompt, options: Omit<CreateOptions, "signal"> = {}): Promise<DeferredSession> {
    const params: SessionCreate = withKey({ ...options, prompt, initialTurn: "deferred" });
    const { sessionId, sessionRef } = await this.#connected.call("session/create", params);
    return new DeferredSession(this.#connected, sessionId, sessionRef);
  }

  /** One that there is, by its id or another reference to it, such as `last`. Nothing is asked. */
  session(sessionId: string): SessionHandle {
    const { realmId } = this.info;
    return new SessionHandle(this.#connected, sessionId, sessionId.includes(":") ? sessionId : `${realmId}:${sessionId}`);
  }

  /** Sessions, newest change first. */
  async listSessions(options: SessionList = {}): Promise<SessionSummary[]> {
    return (await this.#connected.call("session/list", options)).sessions;
  }

  readSession(sessionId: string): Promise<SessionInfo> {
    return this.#connected.call("session/read", { sessionId });
  }

  /** Committed messages, oldest first. */
  readSessionHistory(sessionId: string, options: HistoryOptions = {}): Promise<SessionHistory> {
    return this.#connected.call("session/history", { sessionId, ...options });
  }

  /** Follow what happens in a session, whoever makes it happen. */
  subscribeSessionEvents(sessionId: string, options: SubscribeOptions = {}): Promise<EventSubscription> {
    return EventSubscription.open(this.#connected, sessionId, options);
  }

  /** Add to a session's transcript without running a turn. */
  injectContext(sessionId: string, text: string, options: InjectOptions = {}): Promise<ContextInjected> {
    return injectContext(this.#connected, sessionId, text, options);
  }

  /** Tell a session of something that happened outside; `payload` is any JSON. */
  sendExternalEvent(
    sessionId: string,
    eventType: string,
    payload: unknown,
    options: ExternalEventOptions = {},
  ): Promise<ExternalEventOutcome> {
    return sendExternalEvent(this.#connected, sessionId, eventType, payload, options);
  }

  getConfig(): Promise<ConfigEnvelope> {
    return this.#connected.call("config/get", {});
  }

  /** Replace the realm's config. */
  setConfig(config: Record<string, unknown>, options: ConfigWriteOptions = {}): Promise<ConfigEnvelope> {
    return this.#connected.call("config/set", withKey({ ...options, config }));
  }

  /** Change the realm's config by a JSON merge patch (RFC 7396). */
  patchConfig(patch: Record<string, unknown>, options: ConfigWriteOptions = {}): Promise<ConfigEnvelope> {
    return this.#connected.call("config/patch", withKey({ ...options, patch }));
  }

  /** What calls of models used and cost: `rows` by day, or as asked, and their `total`. */
  readUsage(options: UsageRead = {}): Promise<UsageReport> {
    return this.#connected.call("usage/read", { ...options });
  }

  /** Give a session an MCP server; with `persisted` it is the realm's, for all sessions. */
  mcpAdd(
    sessionId: string,
    serverName: string,
    serverConfig: NamedMcpServer,
    options: { persisted?: boolean } = {},
  ): Promise<McpChanged> {
    return this.#connected.call("mcp/add", { sessionId, serverName, serverConfig, ...options });
  }

  /** Take an MCP server from a session, wherever it came from; with `persisted` from the realm. */
  mcpRemove(sessionId: string, serverName: string, options: { persisted?: boolean } = {}): Promise<McpChanged> {
    return this.#connected.call("mcp/remove", { sessionId, serverName, ...options });
  }

  /** End an MCP server of a session and start it again; all of them when none is named. */
  mcpReload(sessionId: string, serverName?: string): Promise<McpChanged> {
    return this.#connected.call("mcp/reload", serverName === undefined ? { sessionId } : { sessionId, serverName });
  }

  /** The MCP servers of a session, or those of the realm's config, and how they are. */
  async mcpList(sessionId?: string): Promise<McpServerInfo[]> {
    return (await this.#connected.call("mcp/list", sessionId === undefined ? {} : { sessionId })).servers;
  }

  /** Tool calls that wait for a person, newest first; with `states` also those that have their answer. */
  async listApprovals(options: ApprovalList = {}): Promise<Approval[]> {
    return (await this.#connected.call("approval/list", options)).approvals;
  }

  /** One approval, also after it was answered. */
  getApproval(approvalId: string): Promise<Approval> {
    return this.#connected.call("approval/get", { approvalId });
  }

  /** Answer an approval; the first answer counts, and the model is told the reason of a denial. */
  decideApproval(
    approvalId: string,
    decision: "allow" | "deny",
    options: { reason?: string } = {},
  ): Promise<Approval> {
    return this.#connected.call("approval/decide", { approvalId, decision, ...options });
  }

  getModelsCatalog(): Promise<Catalog> {
    return this.#connected.call("models/catalog", {});
  }

  /** The bytes that a message names, as base64 in `data`. */
  getBlob(blobId: string): Promise<BlobContent> {
    return this.#connected.call("blob/get", { blobId });
  }

  get #connected(): Link {
    if (this.#link === undefined) throw errorOf("INVALID_REQUEST", "This client is not connected; call connect first.");
    return this.#link;
  }
}
