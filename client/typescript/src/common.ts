/** What both entries of the package have beside the client. */

export type { ConfigWriteOptions, CreateOptions } from "./client.js";
export {
  CapabilityUnavailableError,
  ConfigConflictError,
  DaemonUnavailableError,
  MeerkatError,
  RequestCancelledError,
  SessionArchivedError,
  SessionBusyError,
  SessionNotFoundError,
  SessionNotRunningError,
  TurnLostError,
} from "./errors.js";
export { EventStream, EventSubscription, type SubscribeOptions } from "./events.js";
export type { RealmOptions } from "./link.js";
export {
  DeferredSession,
  Session,
  SessionHandle,
  type ExternalEventOptions,
  type HistoryOptions,
  type InjectOptions,
  type Prompt,
  type TurnOptions,
} from "./session.js";
export type { ErrorCode } from "./tables.js";
export type { ToolHandler } from "./tools.js";
export * from "./types.js";
export type { WebSocketClass, WebSocketLike, WebSocketOptions } from "./websocket.js";
