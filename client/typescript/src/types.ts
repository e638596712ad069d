/** Shapes of the wire, with their names in camelCase.
 *
 * Generated from the contract by `python -m meerkatd.contract.emit`; edits are lost.
 */

/** `approval/decide`: answer. The first answer counts; later ones get APPROVAL_DECIDED, with who and when. */
export interface ApprovalDecide {
  /** The id, or the first 4 or more characters of it. */
  approvalId: string;
  decision: "allow" | "deny";
  /** Told to the model when it is denied. */
  reason?: string | null;
}

/** Who started a turn. */
export interface Holder {
  surface: string;
  client: string;
  pid?: number;
  instanceId?: string;
}

/** A question whether a tool may run. Times are Unix milliseconds. */
export interface Approval {
  approvalId: string;
  sessionId: string;
  turnId: string;
  callId: string;
  tool: string;
  arguments: Record<string, unknown>;
  state: "pending" | "allowed" | "denied" | "cancelled" | "used";
  createdAtMs: number;
  decidedAtMs?: number;
  decidedBy?: Holder;
  reason?: string;
}

/** `approval/get`: one approval, also after it was answered. */
export interface ApprovalGet {
  /** The id, or of a pending one its first 4 or more characters. */
  approvalId: string;
}

/** `approval/list`: newest first. */
export interface ApprovalList {
  /** Only those of this session. */
  sessionId?: string | null;
  /** Only those in these states. */
  states?: Array<"pending" | "allowed" | "denied" | "cancelled" | "used">;
  limit?: number;
}

/** Result of `approval/list`. */
export interface ApprovalPage {
  approvals: Approval[];
}

/** `blob/get`: the bytes of a blob of this realm. */
export interface BlobGet {
  /** As messages name it: `sha256:` and 64 digits. */
  blobId: string;
}

/** Result of `blob/get`. `data` is base64. */
export interface BlobContent {
  blobId: string;
  mediaType: string;
  data: string;
}

/** `capabilities/get`. */
export type CapabilitiesGet = Record<string, never>;

export interface ContractVersion {
  major: number;
  minor: number;
  patch: number;
}

export interface Capability {
  id: string;
  description: string;
  status: "Available";
}

/** Result of `capabilities/get`: what is here and works; what is not listed is not there. */
export interface Capabilities {
  contractVersion: ContractVersion;
  capabilities: Capability[];
}

/** `config/get`: the realm's own document, or with `effective` all that counts, defaults included. */
export interface ConfigGet {
  effective?: boolean;
  /** With `toml` the reply also has the file's text. */
  format?: "json" | "toml";
}

/** Where things are. A realm in memory has neither manifest nor config file. */
export interface ResolvedPaths {
  root: string;
  realmPath?: string;
  manifestPath?: string;
  configPath?: string;
  sessionsSqlitePath?: string;
  userConfigPath: string;
}

/** Result of `config/get`, `config/set` and `config/patch`. */
export interface ConfigEnvelope {
  config: Record<string, unknown>;
  generation: number;
  realmId: string;
  instanceId: string | null;
  backend: string | null;
  resolvedPaths: ResolvedPaths;
  toml?: string;
  replayed?: boolean;
  currentGeneration?: number;
}

/** `config/patch`: a JSON merge patch (RFC 7396); null deletes. */
export interface ConfigPatch {
  patch: Record<string, unknown>;
  expectedGeneration?: number | null;
  idempotencyKey?: string | null;
}

/** `config/schema`. */
export type ConfigSchemaParams = Record<string, never>;

/** Result of `config/schema`: JSON Schema, draft 2020-12. */
export interface ConfigSchema {
  schema: Record<string, unknown>;
}

/** `config/set`: replace the document by `config`, or by the text `toml`, comments and all; one of the two. */
export interface ConfigSet {
  config?: Record<string, unknown> | null;
  toml?: string | null;
  expectedGeneration?: number | null;
  idempotencyKey?: string | null;
}

/** `config/unwatch`. */
export interface ConfigUnwatch {
  watchId: string;
}

/** Result of `config/unwatch`. */
export interface ConfigUnwatched {
  watchId: string;
  closed: boolean;
}

/** `config/watch`: a `config/changed` for every generation from now on, edits of the file by hand included. */
export type ConfigWatch = Record<string, never>;

/** Result of `config/watch`. */
export interface ConfigWatched {
  watchId: string;
  realmId: string;
  generation: number;
}

/** `daemon/examine`: look at what the daemon depends on: the disk, the realms' files, the providers. */
export interface DaemonExamine {
  /** Also ask each provider that has a key for its models; takes up to 5 seconds, costs nothing. */
  providers?: boolean;
}

/** One finding. */
export interface Finding {
  check: string;
  level: "ok" | "warning" | "error";
  subject: string;
  message: string;
  code?: string;
  mend?: string;
}

/** Result of `daemon/examine`: what is well, too. */
export interface DaemonExamined {
  findings: Finding[];
}

/** `daemon/listen`: open a door on loopback TCP, for as long as this connection is there. */
export interface DaemonListen {
  /** Loopback only; port 0 for any that is free. */
  address?: string;
  /** Web pages of these origins may connect, and no others. */
  origins?: string[];
}

/** Result of `daemon/listen`. `token_path` is the file with the token that is to be shown at `url`. */
export interface DaemonListening {
  url: string;
  tokenPath: string;
  origins: string[];
}

/** `daemon/restart`: go on with the program that is installed now, in the same process and behind the same socket. */
export interface DaemonRestart {
  /** How long running turns may go on; they are interrupted and committed then. */
  deadlineSeconds?: number | null;
  /** The Python whose meerkatd is to go on; the one that runs this daemon when absent. */
  program?: string | null;
  /** Variables that the next program is to see, as far as a daemon is given any; absent: those of now. */
  environment?: Record<string, string> | null;
}

/** Result of `daemon/restart`; the connection closes when the last turn has ended. */
export interface DaemonRestarting {
  restarting: boolean;
  pid: number;
  version: string;
  activeTurns: number;
  deadlineSeconds: number;
}

/** `daemon/status`. */
export type DaemonStatusParams = Record<string, never>;

export interface ProcessFacts {
  pid: number;
  startedAt: number;
  rssBytes: number;
  cpuSeconds: number;
  openFiles: number;
  threads: number;
  children: Array<Record<string, number | string>>;
}

/** Result of `daemon/status`. */
export interface DaemonStatus {
  version: string;
  contractVersion: string;
  state: "running" | "stopping" | "restarting";
  process: ProcessFacts;
  uptimeSeconds: number;
  socketPath: string;
  stateRoot: string;
  logPath: string;
  connections: number;
  doors: string[];
  openRealms: number;
  activeTurns: number;
  eventStreams: number;
  build: string;
  restarts: number;
  managed: boolean;
  safeMode: boolean;
  metricsUrl?: string;
  sqliteVersion?: string;
}

/** `daemon/stop`: take no new work, let turns end up to a deadline, commit, exit. */
export interface DaemonStop {
  /** How long running turns may go on; they are interrupted and committed then. */
  deadlineSeconds?: number | null;
}

/** Result of `daemon/stop`; the connection closes when the daemon has ended. */
export interface DaemonStopping {
  stopping: boolean;
  pid: number;
  activeTurns: number;
  deadlineSeconds: number;
}

/** Whose events: those of one session. */
export interface ScopeParams {
  type: "session";
  /** A session: its UUID, `realm:uuid`, the UUID's first 4 or more characters, `last`, or `~N`. */
  sessionId: string;
}

/** `events/latest_cursor`. */
export interface EventsLatestCursor {
  scope: ScopeParams;
}

export interface Scope {
  type: "session";
  sessionId: string;
}

export interface EventCursor {
  scope: Scope;
  sequence: number;
}

/** Result of `events/latest_cursor`. */
export interface LatestCursor {
  contractVersion: ContractVersion;
  cursor: EventCursor;
}

/** A place in a scope's events: the number of the last one that the reader has. */
export interface CursorParams {
  scope: ScopeParams;
  sequence: number;
}

/** `events/list_since`: events after a cursor, oldest first. */
export interface EventsListSince {
  scope: ScopeParams;
  /** From the beginning, when absent. */
  cursor?: CursorParams | null;
  /** A page may be shorter when its events are large: see has_more. */
  limit?: number;
}

export interface EventSource {
  type: "session";
  sessionId: string;
}

export interface TextContent {
  type: "text";
  text: string;
}

/** An image, by the blob that has its bytes; `blob/get` gives them. */
export interface ImageContent {
  type: "image";
  mediaType: string;
  source: "blob";
  blobId: string;
}

export interface RunInput {
  kind: "content";
  content: Content;
}

export interface RunIdentity {
  runId: string;
}

export interface RunStarted {
  type: "run_started";
  sessionId: string;
  input: RunInput;
  identity: RunIdentity;
}

/** Tokens as the provider counted them; input includes cached tokens. */
export interface Usage {
  inputTokens: number;
  outputTokens: number;
  totalTokens: number;
  cacheCreationTokens?: number;
  cacheReadTokens?: number;
}

/** The turn is committed. `extraction_required` is False: `structured_output` is here when there is one. */
export interface RunCompleted {
  type: "run_completed";
  sessionId: string;
  result: string;
  usage: Usage;
  structuredOutput?: unknown;
  extractionRequired: boolean;
}

export interface ErrorReport {
  class: string;
  message: string;
}

/** The turn failed, or was interrupted (`error_class` "cancelled"); what was produced is committed. */
export interface RunFailed {
  type: "run_failed";
  sessionId: string;
  error: string;
  errorClass: string;
  errorReport: ErrorReport;
  terminalCauseKind?: string;
}

/** A call of the model begins; `turn_number` counts them within the turn, from 1. */
export interface TurnStarted {
  type: "turn_started";
  turnNumber: number;
}

export interface Delta {
  type: "text_delta" | "reasoning_delta";
  delta: string;
}

export interface Complete {
  type: "text_complete" | "reasoning_complete";
  content: string;
}

export interface ToolCallRequested {
  type: "tool_call_requested";
  id: string;
  name: string;
  args: Record<string, unknown>;
}

export interface ToolExecutionStarted {
  type: "tool_execution_started";
  id: string;
  name: string;
}

export interface ToolExecutionCompleted {
  type: "tool_execution_completed";
  id: string;
  name: string;
  content: Array<Record<string, unknown>>;
  isError: boolean;
  durationMs: number;
}

export interface ToolExecutionTimedOut {
  type: "tool_execution_timed_out";
  id: string;
  name: string;
  timeoutMs: number;
}

export interface ToolResultReceived {
  type: "tool_result_received";
  id: string;
  name: string;
  isError: boolean;
  content: Array<Record<string, unknown>>;
}

/** A call of the model has ended. */
export interface TurnCompleted {
  type: "turn_completed";
  stopReason: string;
  usage: Usage;
}

export interface RetryPlan {
  attempt: number;
  maxRetries: number;
  selectedDelayMs: number;
}

export interface RetryFailure {
  message: string;
}

export interface Retry {
  plan: RetryPlan;
  failure: RetryFailure;
}

export interface Retrying {
  type: "retrying";
  retry: Retry;
}

/** A budget is used to four fifths; told once for each time that it happens. */
export interface BudgetWarning {
  type: "budget_warning";
  budgetType: "tokens" | "time" | "tool_calls" | "cost";
  used: number;
  limit: number;
  percent: number;
  scope: "turn" | "session" | "realm";
}

/** The older part of the context is being summarised. Tokens are those of the last call, and an estimate. */
export interface CompactionStarted {
  type: "compaction_started";
  inputTokens: number;
  estimatedHistoryTokens: number;
  messageCount: number;
}

/** How much of the older part the summary was made from; `through` is the last kind of text that was cut. */
export interface SummaryBound {
  kind: "whole" | "trimmed";
  through?: "tool_results" | "context" | "user_requests";
}

export interface SummarySource {
  kind: "provider_call";
  sourceBound: SummaryBound;
}

/** A summary stands for the older part from now on; the transcript stays as it is. Messages are those that the model */
export interface CompactionCompleted {
  type: "compaction_completed";
  summaryTokens: number;
  messagesBefore: number;
  messagesAfter: number;
  estimatedHistoryTokensAfter: number;
  summarySource: SummarySource;
}

export interface CompactionFailure {
  kind: "llm_failed" | "empty_summary";
  errorClass?: string;
  message?: string;
}

/** There is no summary; a turn goes on with the context that it has. */
export interface CompactionFailed {
  type: "compaction_failed";
  reason: CompactionFailure;
}

/** `status` is `applied`, or `failed: ` and why. */
export interface ToolConfigChange {
  operation: "add" | "remove" | "reload";
  target: string;
  status: string;
  persisted: boolean;
}

/** An MCP server of the turn came, went, cannot be used, or can be again. */
export interface ToolConfigChanged {
  type: "tool_config_changed";
  payload: ToolConfigChange;
}

/** A tool call waits for a person, or has got its answer (or will get none: `cancelled`). */
export interface ApprovalChanged {
  type: "approval_requested" | "approval_decided";
  approval: Approval;
}

export interface TruncationReason {
  kind: "stream_lagged";
  dropped: number;
}

/** This reader missed `dropped` events; what follows is whole again. Its `seq` is that of the last missed event. */
export interface StreamTruncated {
  type: "stream_truncated";
  reason: TruncationReason;
}

/** An event as `events/list_since` gives it. Asking again with its `cursor` gives what comes after it. */
export interface ReplayedEvent {
  eventId: EventCursor;
  cursor: EventCursor;
  timestampMs: number;
  source: EventSource;
  sessionId: string;
  event: EventPayload;
}

/** Result of `events/list_since`. */
export interface EventPage {
  contractVersion: ContractVersion;
  scope: Scope;
  fromCursor: EventCursor;
  latestCursor: EventCursor;
  events: ReplayedEvent[];
  hasMore: boolean;
}

/** `events/snapshot`: the session, and the cursor from which to follow what happens to it next. */
export interface EventsSnapshot {
  scope: ScopeParams;
}

/** One task of a session's list. */
export interface Task {
  id: number;
  text: string;
  state: "pending" | "in_progress" | "completed" | "cancelled";
}

/** What calls of models cost. `usd` has only the calls whose price is known; the others are `unpriced_calls`. */
export interface Cost {
  usd: number;
  unpricedCalls: number;
  estimated: boolean;
}

/** Limits as they count: tokens, seconds, calls, US dollars. */
export interface Budget {
  maxTokens?: number;
  maxDuration?: number;
  maxToolCalls?: number;
  maxCost?: number;
}

/** The project's own instructions, as they were when the session was created. */
export interface ProjectFile {
  path: string;
  sha256: string;
  bytes: number;
}

/** The summary that stands for the messages before number `through`. `at` is RFC 3339. */
export interface CompactionInfo {
  through: number;
  summary: string;
  summaryTokens: number;
  at: string;
  model: string;
}

/** The turn that runs. `cursor` is the place before its first event. */
export interface ActiveTurn {
  turnId: string;
  startedAtMs: number;
  surface: string;
  client: string;
  pid?: number;
  cursor: number;
}

/** Why a turn gave no result, as its caller was told. */
export interface TurnFailure {
  code: string;
  message: string;
  details: Record<string, unknown>;
}

/** One line of a turn's ledger. */
export interface ToolCallRecord {
  callId: string;
  name: string;
  arguments: Record<string, unknown>;
  fate: "ran" | "may_have_run" | "never_ran";
  isError?: boolean;
}

/** A turn as it stands. Times are Unix milliseconds. */
export interface TurnInfo {
  turnId: string;
  sessionId: string;
  ordinal: number;
  state: "running" | "completed" | "interrupted" | "failed" | "lost";
  startedAtMs: number;
  endedAtMs?: number;
  holder: Holder;
  usage: Usage;
  error?: TurnFailure;
  toolCalls: ToolCallRecord[];
  kind?: "compaction";
}

/** What `session/read` gives: the list's row and more. */
export interface SessionInfo {
  sessionId: string;
  sessionRef: string;
  createdAt: number;
  updatedAt: number;
  messageCount: number;
  totalTokens: number;
  isActive: boolean;
  archived: boolean;
  title: string;
  model: string;
  provider: string;
  realmId: string;
  instanceId?: string;
  backend: string;
  configGeneration: number;
  labels?: Record<string, string>;
  usage: Usage;
  workspace?: string;
  tools?: "none" | "safe" | "workspace" | "full";
  tasks?: Task[];
  cost?: Cost;
  budgetLimits?: Budget;
  sessionBudgetLimits?: Budget;
  systemPrompt?: string;
  projectInstructions?: ProjectFile;
  additionalInstructions?: string[];
  outputSchema?: Record<string, unknown>;
  compaction?: CompactionInfo;
  lastAssistantText?: string;
  stagedPrompt?: string;
  cursor: number;
  activeTurn?: ActiveTurn;
  lastTurn?: TurnInfo;
}

export interface SessionSnapshot {
  type: "session";
  session: SessionInfo;
}

/** Result of `events/snapshot`. */
export interface EventsSnapshotResult {
  contractVersion: ContractVersion;
  scope: Scope;
  cursor: EventCursor;
  snapshot: SessionSnapshot;
}

/** Who calls. Shown to others as the holder of a turn; never a source of authority. */
export interface ClientInfo {
  name: string;
  version: string;
  surface: string;
  pid?: number | null;
}

export interface ProtocolRange {
  min: number;
  max: number;
}

/** Keys live in memory only, for turns of this connection, and are never shown again. */
export interface ProviderCredentials {
  apiKey?: string | null;
  baseUrl?: string | null;
}

/** `initialize`: who calls, and the realm that this connection is bound to. */
export interface Initialize {
  client?: ClientInfo | null;
  protocol?: ProtocolRange | null;
  realmId?: string | null;
  /** A folder; its realm id is derived from the canonical path. */
  workspace?: string | null;
  isolated?: boolean;
  instanceId?: string | null;
  /** A hint for a realm that does not exist yet. */
  backend?: "sqlite" | "jsonl" | "redb" | "memory" | null;
  credentials?: Record<string, ProviderCredentials> | null;
  /** Speak this version of the public contract, with its kinds of events and no others; below 0.6, events come in the form of that time. */
  contractVersion?: string | null;
}

export interface ServerInfo {
  name: string;
  version: string;
  build?: string;
}

/** What a connection has to keep to: bytes of a message, levels of nesting, requests that are unanswered. */
export interface Limits {
  requestBytes: number;
  replyBytes: number;
  depth: number;
  inFlight: number;
}

/** Result of `initialize`. */
export interface Initialized {
  serverInfo: ServerInfo;
  contractVersion: string;
  protocol: Record<string, number>;
  methods: string[];
  pid: number;
  realmId: string;
  origin: string;
  instanceId?: string;
  backend?: string;
  stateRoot: string;
  limits: Limits;
}

/** The same with its name. */
export interface NamedMcpServer {
  /** A program, by its name or its path; not both command and url. */
  command?: string | null;
  args?: string[];
  /** Variables beside the few that every server gets; secrets. */
  env?: Record<string, string>;
  /** Where the command runs; default the workspace. */
  cwd?: string | null;
  /** Streamable HTTP. */
  url?: string | null;
  /** For every request to the URL; secrets. */
  headers?: Record<string, string>;
  /** How long a turn waits for it to be ready, before it goes on without. */
  startupTimeout?: number | null;
  name?: string | null;
}

/** `mcp/add`: a server for one session, or with `persisted` for all of the realm. Its name stands in one of two */
export interface McpAdd {
  /** A session: its UUID, `realm:uuid`, the UUID's first 4 or more characters, `last`, or `~N`. */
  sessionId: string;
  serverName?: string | null;
  serverConfig: NamedMcpServer;
  /** Write it into the realm's config instead. */
  persisted?: boolean;
}

/** Result of `mcp/add`, `mcp/remove`, `mcp/reload`. `staged`: it counts from the next call of the model on. */
export interface McpChanged {
  sessionId: string;
  operation: "add" | "remove" | "reload";
  serverName?: string;
  status: "staged" | "applied" | "rejected";
  persisted: boolean;
}

/** `mcp/list`: the servers of a session, or those of the realm's config. */
export interface McpList {
  sessionId?: string | null;
}

/** A server as it stands. `problem` says why it is not ready; `tools` are the names that a model sees. */
export interface McpServerInfo {
  name: string;
  origin: "config" | "session";
  state: "stopped" | "starting" | "ready" | "waiting";
  problem?: string;
  tools: string[];
}

/** Result of `mcp/list`. */
export interface McpServers {
  servers: McpServerInfo[];
}

/** `mcp/reload`: end a server and start it again; all that the session has when none is named. */
export interface McpReload {
  /** A session: its UUID, `realm:uuid`, the UUID's first 4 or more characters, `last`, or `~N`. */
  sessionId: string;
  serverName?: string | null;
  /** Of no effect: what is in the config is read before each turn. */
  persisted?: boolean;
}

/** `mcp/remove`: the session has it no more, wherever it came from; with `persisted` the realm. */
export interface McpRemove {
  /** A session: its UUID, `realm:uuid`, the UUID's first 4 or more characters, `last`, or `~N`. */
  sessionId: string;
  serverName: string;
  persisted?: boolean;
}

/** `models/catalog`. */
export type ModelsCatalog = Record<string, never>;

export interface ModelInfo {
  id: string;
  displayName: string;
  tier: string;
  contextWindow?: number;
  maxOutputTokens?: number;
  serverId?: string;
}

/** One provider. `configured` says whether a turn could use it right now, and `note` what is missing if not. */
export interface ProviderModels {
  provider: string;
  defaultModelId: string;
  configured: boolean;
  note?: string;
  models: ModelInfo[];
}

/** Result of `models/catalog`. `default` is the model that a session without a model gets; absent without any. */
export interface Catalog {
  contractVersion: ContractVersion;
  providers: ProviderModels[];
  default?: Record<string, unknown>;
}

/** `realm/backup`: a copy of the realm's folder as of one moment, config and its secrets included. Turns go on. */
export interface RealmBackup {
  /** The default is this connection's realm. */
  realmId?: string | null;
  /** Absolute, on the daemon's machine. */
  path: string;
}

/** Result of backing up, restoring, exporting, importing and converting, as read back from what was made. */
export interface RealmCopied {
  realmId: string;
  backend: string;
  path: string;
  sessions: number;
  messages: number;
  blobs: number;
  bytes: number;
  digests: Record<string, string>;
}

/** `realm/check`: read a realm through: manifest, config, store, blobs, shared messages. Turns go on meanwhile. */
export interface RealmCheck {
  /** The default is this connection's realm. */
  realmId?: string | null;
}

/** Result of `realm/check`: what is well, too. `whole` is false when one of the findings is an error. */
export interface RealmChecked {
  realmId: string;
  whole: boolean;
  findings: Finding[];
}

/** `realm/convert`: give a realm another backend; its files of before go to the trash. REALM_IN_USE while turns run. */
export interface RealmConvert {
  /** The default is this connection's realm. */
  realmId?: string | null;
  to: "sqlite" | "jsonl" | "redb" | "memory";
}

/** `realm/create`: make a realm and pin its backend. One that exists with the same backend is left as it is. */
export interface RealmCreate {
  realmId: string;
  backend?: "sqlite" | "jsonl" | "redb" | "memory" | null;
}

export interface RealmDetails {
  realmId: string;
  exists: boolean;
  origin: string;
  backend?: string;
  createdAt?: number;
  path?: string;
  connections: number;
  activeTurns: number;
  open: boolean;
  sessions?: number;
  messages?: number;
  bytesOnDisk?: number;
  formatVersion?: number;
  problem?: string;
}

/** `realm/current`: the realm of this connection, whether it exists on the disk yet or not. */
export type RealmCurrent = Record<string, never>;

/** A realm. `created_at` is in Unix seconds; `connections` and `active_turns` are those of this daemon right now. */
export interface RealmInfo {
  realmId: string;
  exists: boolean;
  origin: string;
  backend?: string;
  createdAt?: number;
  path?: string;
  connections: number;
  activeTurns: number;
  open: boolean;
}

/** `realm/delete`: move it to the trash. `force` interrupts its turns and takes it from other connections. */
export interface RealmDelete {
  realmId: string;
  force?: boolean;
}

/** Result of `realm/delete`. `trash_id` is null for a realm in memory, which is gone for good. */
export interface RealmDeleted {
  realmId: string;
  deleted: boolean;
  trashId: string | null;
  interruptedTurns: number;
}

/** `realm/empty_trash`: delete for good what is in the trash. Cannot be undone. */
export interface RealmEmptyTrash {
  /** Only this one. */
  trashId?: string | null;
  /** Only what was deleted at least this long ago. */
  olderThanHours?: number;
}

/** A realm in the trash. `deleted_at` is in Unix seconds; without `realm_id` its manifest cannot be read. */
export interface TrashedRealm {
  trashId: string;
  realmId?: string;
  backend?: string;
  origin?: string;
  deletedAt: number;
  bytesOnDisk: number;
  path: string;
}

/** Result of `realm/trash`, and of `realm/empty_trash`: what is there, or what was there and is gone. */
export interface TrashPage {
  trash: TrashedRealm[];
}

/** `realm/export`: write the realm into one file that every backend takes. Turns go on. */
export interface RealmExport {
  /** The default is this connection's realm. */
  realmId?: string | null;
  /** Absolute, on the daemon's machine. */
  path: string;
  /** Whether keys of providers, and variables and headers of MCP servers, go along. */
  secrets?: boolean;
}

/** `realm/import`: make a realm of an exported file. Its id must be free. */
export interface RealmImport {
  /** Absolute, on the daemon's machine. */
  path: string;
  /** The default is the id that it had. */
  realmId?: string | null;
  /** The default is the backend that it had. */
  backend?: "sqlite" | "jsonl" | "redb" | "memory" | null;
}

/** `realm/list`: every realm below the state root. */
export type RealmList = Record<string, never>;

/** A folder of a realm whose manifest cannot be read: nothing can be done with it before it is mended. */
export interface UnreadableRealm {
  path: string;
  code: string;
  message: string;
  hint: string;
}

/** Result of `realm/list`. */
export interface RealmPage {
  realms: RealmInfo[];
  unreadable: UnreadableRealm[];
}

/** `realm/prune`: move realms that nobody uses to the trash; those that programs made for themselves, unless */
export interface RealmPrune {
  /** Only realms in which nothing has been written for this long. */
  olderThanHours?: number;
  isolatedOnly?: boolean;
  dryRun?: boolean;
}

/** Result of `realm/prune`: what was moved, or with `dry_run` what would be. */
export interface RealmPruned {
  pruned: RealmInfo[];
  dryRun: boolean;
}

/** `realm/restore`: back from the trash, by `trash_id`, or by `realm_id` the one that was deleted last. */
export interface RealmRestore {
  realmId?: string | null;
  trashId?: string | null;
}

/** `realm/restore_backup`: make a realm of a backup. Its id must be free. */
export interface RealmRestoreBackup {
  /** Absolute, on the daemon's machine. */
  path: string;
  /** The default is the id that it had. */
  realmId?: string | null;
}

/** `realm/show`; without `realm_id`, of this connection's realm. */
export interface RealmShow {
  realmId?: string | null;
}

/** `realm/trash`: what is in the trash, newest first. */
export type RealmTrash = Record<string, never>;

/** `runtime/capabilities`. */
export type RuntimeCapabilitiesParams = Record<string, never>;

/** Features of the public contract; true means that it is here and works. */
export interface RuntimeFeatures {
  runtimeBackedSessions: boolean;
  mobs: boolean;
  mcpLive: boolean;
  comms: boolean;
  blobs: boolean;
  sessionEvents: boolean;
  sessionStreams: boolean;
  schedules: boolean;
  skills: boolean;
  eventReplay: boolean;
  artifacts: boolean;
  approvals: boolean;
  externalMembers: boolean;
  secureRemoteRpc: boolean;
  multiHostMobs: boolean;
  durableJobs: boolean;
}

/** Result of `runtime/capabilities`. */
export interface RuntimeCapabilities {
  contractVersion: ContractVersion;
  features: RuntimeFeatures;
}

/** `runtime/health`. */
export type RuntimeHealthParams = Record<string, never>;

/** `store` is absent while the realm is closed: it is not opened only to be looked at. */
export interface RuntimeChecks {
  disk: "ok" | "degraded" | "unhealthy";
  state: "ok" | "degraded" | "unhealthy";
  config: "ok" | "degraded" | "unhealthy";
  store?: "ok" | "degraded" | "unhealthy";
}

/** Result of `runtime/health`. `status` is the worst of the checks. */
export interface RuntimeHealth {
  contractVersion: ContractVersion;
  status: "ok" | "degraded" | "unhealthy";
  checks: RuntimeChecks;
}

/** `runtime/host_info`. */
export type RuntimeHostInfoParams = Record<string, never>;

/** `live_ws` has the doors on loopback TCP that clients have opened. */
export interface RuntimeEndpoints {
  unixSocket: string;
  liveWs: string[];
}

/** Result of `runtime/host_info`. `host_id` names this process and no other one. */
export interface RuntimeHostInfo {
  contractVersion: ContractVersion;
  hostId: string;
  hostIdScope: "process";
  processName: string;
  processVersion: string;
  capabilities: RuntimeCapabilities;
  health: RuntimeHealth;
  realm: RealmInfo;
  endpoints: RuntimeEndpoints;
}

/** `session/archive` and `session/unarchive`. */
export interface SessionArchive {
  /** A session: its UUID, `realm:uuid`, the UUID's first 4 or more characters, `last`, or `~N`. */
  sessionId: string;
  idempotencyKey?: string | null;
}

/** Result of `session/archive` and `session/unarchive`. */
export interface SessionArchived {
  sessionId: string;
  sessionRef: string;
  archived: boolean;
}

/** `session/compact`: summarise the older part of what the model sees; the transcript stays as it is. */
export interface SessionCompact {
  /** A session: its UUID, `realm:uuid`, the UUID's first 4 or more characters, `last`, or `~N`. */
  sessionId: string;
  /** So many turns stay as they are; the config's `compaction.recent_turn_budget` when absent. */
  recentTurns?: number | null;
  /** Send `session/event` for this on this connection. */
  sessionEvents?: boolean;
  idempotencyKey?: string | null;
}

/** Result of `session/compact`. Messages are those that the model sees; `compacted` is False when it sees no more */
export interface SessionCompacted {
  sessionId: string;
  sessionRef: string;
  turnId: string;
  compacted: boolean;
  through?: number;
  messagesBefore: number;
  messagesAfter: number;
  summaryTokens?: number;
  model: string;
  usage: Usage;
  cursor: number;
}

/** One text block of a prompt. */
export interface PromptText {
  type: "text";
  text: string;
}

/** One image of a prompt: its bytes as base64 in `data` (source `inline`), or the `blob_id` of one that is there. */
export interface PromptImage {
  type: "image";
  mediaType: "image/png" | "image/jpeg" | "image/gif" | "image/webp";
  source: "inline" | "blob";
  data?: string | null;
  blobId?: string | null;
}

/** The most that may be used of each; what is left out has no limit here. */
export interface BudgetLimits {
  /** Tokens of input and output together. */
  maxTokens?: number | null;
  /** Seconds, or text such as `30s`; waiting for an approval does not count. */
  maxDuration?: number | null;
  maxToolCalls?: number | null;
  /** US dollars; the price of the model must be known. */
  maxCost?: number | null;
}

/** `session/create`: build the agent, store the session, and run its first turn. */
export interface SessionCreate {
  /** Text, or a list of text and image blocks. */
  prompt: string | Array<PromptText | PromptImage>;
  /** `deferred` stores session and prompt; the first `turn/start` runs it. */
  initialTurn?: "run_immediately" | "deferred";
  /** Name of a model; the config's default when absent. */
  model?: string | null;
  /** anthropic, openai, gemini, local, or a configured server. */
  provider?: string | null;
  systemPrompt?: string | null;
  /** Limit for each answer of the model. */
  maxTokens?: number | null;
  temperature?: number | null;
  /** Merged into the provider's request as they are. */
  providerParams?: Record<string, unknown> | null;
  /** Said with the system prompt of each turn. */
  additionalInstructions?: string[] | null;
  /** Read AGENTS.md of the workspace; the config's `agent.project_instructions` when absent. */
  projectInstructions?: boolean | null;
  /** What the answer of each turn has to be. */
  outputSchema?: Record<string, unknown> | null;
  structuredOutputRetries?: number | null;
  /** How much the built-in tools may do; the config's `tools.level` when absent. */
  tools?: "none" | "safe" | "workspace" | "full" | null;
  /** The same: true is `safe`, false is `none`. Or use `tools`. */
  enableBuiltins?: boolean | null;
  /** The same: true is `full`. */
  enableShell?: boolean | null;
  /** The folder, absolute, that the built-in tools work in; default that of `initialize`. */
  workspace?: string | null;
  /** Of each turn of the session. */
  budgetLimits?: BudgetLimits | null;
  /** Of all turns of the session together. */
  sessionBudgetLimits?: BudgetLimits | null;
  labels?: Record<string, string> | null;
  /** Send `session/event` for this turn on this connection. */
  sessionEvents?: boolean;
  idempotencyKey?: string | null;
}

/** The provider's own response format was left out, because it refused the schema; the answer was checked anyway. */
export interface SchemaWarning {
  provider: string;
  path: string;
  message: string;
}

/** What a completed turn gives. `turns` counts calls of the model, as in the public contract. */
export interface RunResult {
  sessionId: string;
  sessionRef: string;
  turnId: string;
  text: string;
  turns: number;
  toolCalls: number;
  usage: Usage;
  model: string;
  provider: string;
  stopReason: string;
  structuredOutput?: unknown;
  schemaWarnings?: SchemaWarning[];
  cursor: number;
  cost?: Cost;
}

/** Result of a deferred `session/create`. */
export interface SessionDeferred {
  sessionId: string;
  sessionRef: string;
}

/** `session/external_event`: tell the session of something that happened outside, without asking for an answer. */
export interface SessionExternalEvent {
  /** A session: its UUID, `realm:uuid`, the UUID's first 4 or more characters, `last`, or `~N`. */
  sessionId: string;
  kind?: "generic_json";
  /** What happened, such as `build.finished`. */
  eventType?: string;
  /** Any JSON; the model reads it. */
  payload: unknown;
  /** Text for the model, after the payload. */
  blocks?: PromptText[] | null;
  /** Who tells it; the surface of the caller when absent. */
  source?: string | null;
  idempotencyKey?: string | null;
}

/** Result of `session/external_event`. `input_id` names the event, `existing_id` the one that had come before. */
export interface ExternalEventOutcome {
  outcomeType: "accepted" | "deduplicated";
  sessionId: string;
  inputId?: string;
  existingId?: string;
  status: "applied" | "staged" | "duplicate";
}

/** `session/fork_at`: a new session that begins with the first messages of another one. */
export interface SessionForkAt {
  /** A session: its UUID, `realm:uuid`, the UUID's first 4 or more characters, `last`, or `~N`. */
  sessionId: string;
  /** So many messages are taken; at most as many as there are. */
  messageIndex: number;
  /** SESSION_BUSY while a turn runs. */
  runningBehavior?: "reject";
  idempotencyKey?: string | null;
}

/** Whether a provider's prompt cache of the source serves the fork; never known here, and no promise either way. */
export interface CacheInheritance {
  status: "unavailable";
  messageCount: number;
  reason: "no_authored_breakpoint_at_boundary";
}

/** Result of `session/fork_at`. */
export interface SessionForked {
  sourceSessionId: string;
  sessionId: string;
  sessionRef: string;
  messageCount: number;
  cacheInheritance: CacheInheritance;
}

/** `session/history`: committed messages, oldest first. */
export interface SessionHistoryParams {
  /** A session: its UUID, `realm:uuid`, the UUID's first 4 or more characters, `last`, or `~N`. */
  sessionId: string;
  offset?: number;
  /** A page may be shorter when its messages are large: see has_more. */
  limit?: number;
}

export interface SystemMessage {
  role: "system";
  content: string;
  createdAt: string;
}

/** An event from outside, for programs; `body` of its notice says the same as text. */
export interface ExternalEventBlock {
  type: "external_event";
  eventType: string;
  source: string;
  payload: unknown;
  content?: Array<TextContent | ImageContent>;
}

/** A word of the daemon's own in the transcript: a turn was interrupted or lost, something happened outside. The */
export interface SystemNotice {
  role: "system_notice";
  kind: "generic" | "external_event";
  body: string;
  createdAt: string;
  blocks?: ExternalEventBlock[];
}

/** What the user's side says. `transcript_role` marks what was added without asking for an answer, and `source` */
export interface UserMessage {
  role: "user";
  content: Content;
  createdAt: string;
  runId?: string;
  transcriptRole?: "injected_context" | "compaction_summary";
  source?: string;
}

export interface TextData {
  text: string;
  meta?: Record<string, unknown>;
}

export interface TextBlock {
  blockType: "text";
  data: TextData;
}

export interface ReasoningData {
  text?: string;
  meta?: Record<string, unknown>;
}

export interface ReasoningBlock {
  blockType: "reasoning";
  data: ReasoningData;
}

export interface ToolUseData {
  id: string;
  name: string;
  args: Record<string, unknown>;
  meta?: Record<string, unknown>;
}

export interface ToolUseBlock {
  blockType: "tool_use";
  data: ToolUseData;
}

/** `stop_reason` "cancelled" marks an answer that an interrupt cut off: what is here is all that had arrived. */
export interface AssistantMessage {
  role: "block_assistant";
  blocks: AssistantBlock[];
  stopReason: "end_turn" | "tool_use" | "max_tokens" | "stop_sequence" | "content_filter" | "cancelled" | "refusal" | "pause_turn" | "context_window_exceeded";
  createdAt: string;
  runId?: string;
}

export interface ToolResult {
  toolUseId: string;
  content: Content;
  isError: boolean;
}

export interface ToolResultsMessage {
  role: "tool_results";
  results: ToolResult[];
  createdAt: string;
  runId?: string;
}

/** A page of committed messages. `limit` is what was asked for, `has_more` whether messages follow this page. */
export interface SessionHistory {
  sessionId: string;
  sessionRef: string;
  messageCount: number;
  offset: number;
  limit: number;
  hasMore: boolean;
  messages: Message[];
}

/** `session/inject_context`: add to the transcript without asking for an answer. Give `content` or `text`. */
export interface SessionInjectContext {
  /** A session: its UUID, `realm:uuid`, the UUID's first 4 or more characters, `last`, or `~N`. */
  sessionId: string;
  content?: PromptText | null;
  text?: string | null;
  /** Who says it; kept with the message. */
  source?: string | null;
  idempotencyKey?: string | null;
}

/** Result of `session/inject_context`. `staged`: durable, and in the history with the running turn's commit. */
export interface ContextInjected {
  sessionId: string;
  status: "applied" | "staged" | "duplicate";
}

/** `session/label`: set (text) or remove (null) labels, leave the others. */
export interface SessionLabel {
  /** A session: its UUID, `realm:uuid`, the UUID's first 4 or more characters, `last`, or `~N`. */
  sessionId: string;
  labels: Record<string, string | null>;
}

/** Result of `session/label`. */
export interface SessionLabels {
  sessionId: string;
  labels: Record<string, string>;
}

/** `session/list`: newest change first. */
export interface SessionList {
  /** All of them must match. */
  labels?: Record<string, string> | null;
  limit?: number;
  offset?: number;
  includeArchived?: boolean;
}

/** One row of the list. Times are Unix seconds. */
export interface SessionSummary {
  sessionId: string;
  sessionRef: string;
  createdAt: number;
  updatedAt: number;
  messageCount: number;
  totalTokens: number;
  isActive: boolean;
  archived: boolean;
  title: string;
  model: string;
  provider: string;
  realmId: string;
  instanceId?: string;
  backend: string;
  configGeneration: number;
  labels?: Record<string, string>;
}

/** Result of `session/list`. */
export interface SessionPage {
  sessions: SessionSummary[];
}

/** `session/read`: what a session is and how its last turn ended. */
export interface SessionRead {
  /** A session: its UUID, `realm:uuid`, the UUID's first 4 or more characters, `last`, or `~N`. */
  sessionId: string;
}

/** `session/stream_close`. */
export interface StreamClose {
  streamId: string;
}

/** Result of `session/stream_close`. */
export interface StreamClosed {
  streamId: string;
  closed: boolean;
  alreadyClosed: boolean;
}

/** `session/stream_open`: follow a session's events. */
export interface StreamOpen {
  /** A session: its UUID, `realm:uuid`, the UUID's first 4 or more characters, `last`, or `~N`. */
  sessionId: string;
  /** Events after this one; from the start of the running turn, or from now, when absent. */
  cursor?: number | null;
  /** `turn_end` ends the stream by itself when the running turn has ended. */
  until?: "closed" | "turn_end";
}

/** Result of `session/stream_open`. `cursor` is where the stream begins. */
export interface StreamOpened {
  streamId: string;
  sessionId: string;
  opened: boolean;
  cursor: number;
  activeTurn?: ActiveTurn;
}

export interface ToolDefinition {
  name: string;
  description: string;
  inputSchema: Record<string, unknown>;
}

/** `tools/register`: offer tools to the turns of this realm for as long as this connection lives. */
export interface ToolsRegister {
  tools: ToolDefinition[];
}

/** Result of `tools/register`. */
export interface ToolsRegistered {
  registered: number;
}

/** `turn/interrupt`: cancel the running turn. The reply comes after what was produced is committed. */
export interface TurnInterrupt {
  /** A session: its UUID, `realm:uuid`, the UUID's first 4 or more characters, `last`, or `~N`. */
  sessionId: string;
  /** Only this turn; SESSION_NOT_RUNNING when another one runs. */
  turnId?: string | null;
}

/** Result of `turn/interrupt`. `outcome` is `completed` when the turn finished before the interrupt reached it. */
export interface TurnInterrupted {
  sessionId: string;
  turnId: string;
  interrupted: boolean;
  result: "interrupted";
  outcome: "completed" | "interrupted" | "failed";
}

/** `turn/read`: how a turn ended and what each of its tool calls did. */
export interface TurnRead {
  /** A session: its UUID, `realm:uuid`, the UUID's first 4 or more characters, `last`, or `~N`. */
  sessionId: string;
  /** The last turn when absent. */
  turnId?: string | null;
}

/** `turn/start`: run one turn. SESSION_BUSY at once when another one runs. */
export interface TurnStart {
  /** A session: its UUID, `realm:uuid`, the UUID's first 4 or more characters, `last`, or `~N`. */
  sessionId: string;
  /** Text, or a list of text and image blocks. */
  prompt: string | Array<PromptText | PromptImage>;
  /** Use another model from this turn on. */
  model?: string | null;
  provider?: string | null;
  /** Limit for each answer of this turn. */
  maxTokens?: number | null;
  temperature?: number | null;
  providerParams?: Record<string, unknown> | null;
  /** Said with the system prompt of this turn, behind those of the session. */
  additionalInstructions?: string[] | null;
  /** As for `session/create`, for this turn. */
  outputSchema?: Record<string, unknown> | null;
  structuredOutputRetries?: number | null;
  /** How much the built-in tools may do in this turn; the session's level when absent. */
  tools?: "none" | "safe" | "workspace" | "full" | null;
  /** Of this turn; each limit wins over the session's. */
  budgetLimits?: BudgetLimits | null;
  /** Of all turns of the session together, from now on; takes the place of those it had. */
  sessionBudgetLimits?: BudgetLimits | null;
  /** Send `session/event` for this turn on this connection. */
  sessionEvents?: boolean;
  idempotencyKey?: string | null;
}

/** `usage/read`: what was used and what it cost. */
export interface UsageRead {
  /** What each row is of. */
  by?: "session" | "realm" | "model" | "day";
  /** This day of UTC and later. */
  since?: string | null;
  /** This day of UTC and earlier. */
  until?: string | null;
  /** Only of this session. */
  sessionId?: string | null;
  /** Of every realm of the state root. */
  allRealms?: boolean;
  limit?: number;
}

/** The sum of some calls. `key` is the session's id, the realm's, the model's name or the day, as was asked. */
export interface UsageLine {
  key: string;
  realmId?: string;
  title?: string;
  calls: number;
  estimatedCalls: number;
  toolCalls: number;
  durationMs: number;
  usage: Usage;
  cost?: Cost;
}

/** A realm that could not be read, and is not in the sums. */
export interface UsageProblem {
  realmId: string;
  message: string;
}

/** Result of `usage/read`. Days come in their order, anything else with the most expensive first. */
export interface UsageReport {
  by: "session" | "realm" | "model" | "day";
  rows: UsageLine[];
  total: UsageLine;
  omitted: number;
  problems: UsageProblem[];
  pricesAsOf: string;
}

/** The notification `config/changed`. `problem` is set when the file now says something that cannot be used. */
export interface ConfigChanged {
  watchId: string;
  realmId: string;
  generation: number;
  problem?: string;
}

/** The notification `config/watch_end`: nothing more comes, for the realm was deleted. */
export interface ConfigWatchEnd {
  watchId: string;
  realmId: string;
  outcome: string;
}

/** The notification `daemon/leaving`, the last one of a connection. What was begun is still answered; a request that */
export interface DaemonLeaving {
  reason: "stop" | "restart" | "idle";
}

export interface EventEnvelope {
  eventId: string;
  source: EventSource;
  seq: number;
  timestampMs: number;
  payload: EventPayload;
}

/** Notification `session/event`: an event of a turn that this connection started. */
export interface SessionEvent {
  sessionId: string;
  event: EventEnvelope;
}

/** Notification `session/stream_event`. `sequence` counts within the stream, from 1; `event.seq` is the cursor. */
export interface StreamEvent {
  streamId: string;
  sequence: number;
  sessionId: string;
  event: EventEnvelope;
}

/** Notification `session/stream_end`. */
export interface StreamEnd {
  streamId: string;
  sessionId: string;
  ended: boolean;
  outcome: "remote_end" | "explicit_close" | "terminal_error";
}

/** Params of the server's request `tool/execute`. The client answers `{content, is_error}`. */
export interface ToolExecute {
  toolUseId: string;
  name: string;
  arguments: Record<string, unknown>;
}

export type AssistantBlock =
  | TextBlock
  | ReasoningBlock
  | ToolUseBlock;

export type Content =
  | string
  | Array<TextContent
  | ImageContent>;

export type EventPayload =
  | RunStarted
  | RunCompleted
  | RunFailed
  | TurnStarted
  | Delta
  | Complete
  | ToolCallRequested
  | ToolExecutionStarted
  | ToolExecutionCompleted
  | ToolExecutionTimedOut
  | ToolResultReceived
  | TurnCompleted
  | Retrying
  | BudgetWarning
  | CompactionStarted
  | CompactionCompleted
  | CompactionFailed
  | ToolConfigChanged
  | ApprovalChanged
  | StreamTruncated;

export type Message =
  | SystemMessage
  | SystemNotice
  | UserMessage
  | AssistantMessage
  | ToolResultsMessage;

/** Params and result of each method. */
export interface Methods {
  "approval/decide": { params: ApprovalDecide; result: Approval };
  "approval/get": { params: ApprovalGet; result: Approval };
  "approval/list": { params: ApprovalList; result: ApprovalPage };
  "blob/get": { params: BlobGet; result: BlobContent };
  "capabilities/get": { params: CapabilitiesGet; result: Capabilities };
  "config/get": { params: ConfigGet; result: ConfigEnvelope };
  "config/patch": { params: ConfigPatch; result: ConfigEnvelope };
  "config/schema": { params: ConfigSchemaParams; result: ConfigSchema };
  "config/set": { params: ConfigSet; result: ConfigEnvelope };
  "config/unwatch": { params: ConfigUnwatch; result: ConfigUnwatched };
  "config/watch": { params: ConfigWatch; result: ConfigWatched };
  "daemon/examine": { params: DaemonExamine; result: DaemonExamined };
  "daemon/listen": { params: DaemonListen; result: DaemonListening };
  "daemon/restart": { params: DaemonRestart; result: DaemonRestarting };
  "daemon/status": { params: DaemonStatusParams; result: DaemonStatus };
  "daemon/stop": { params: DaemonStop; result: DaemonStopping };
  "events/latest_cursor": { params: EventsLatestCursor; result: LatestCursor };
  "events/list_since": { params: EventsListSince; result: EventPage };
  "events/snapshot": { params: EventsSnapshot; result: EventsSnapshotResult };
  "initialize": { params: Initialize; result: Initialized };
  "mcp/add": { params: McpAdd; result: McpChanged };
  "mcp/list": { params: McpList; result: McpServers };
  "mcp/reload": { params: McpReload; result: McpChanged };
  "mcp/remove": { params: McpRemove; result: McpChanged };
  "models/catalog": { params: ModelsCatalog; result: Catalog };
  "realm/backup": { params: RealmBackup; result: RealmCopied };
  "realm/check": { params: RealmCheck; result: RealmChecked };
  "realm/convert": { params: RealmConvert; result: RealmCopied };
  "realm/create": { params: RealmCreate; result: RealmDetails };
  "realm/current": { params: RealmCurrent; result: RealmInfo };
  "realm/delete": { params: RealmDelete; result: RealmDeleted };
  "realm/empty_trash": { params: RealmEmptyTrash; result: TrashPage };
  "realm/export": { params: RealmExport; result: RealmCopied };
  "realm/import": { params: RealmImport; result: RealmCopied };
  "realm/list": { params: RealmList; result: RealmPage };
  "realm/prune": { params: RealmPrune; result: RealmPruned };
  "realm/restore": { params: RealmRestore; result: RealmDetails };
  "realm/restore_backup": { params: RealmRestoreBackup; result: RealmCopied };
  "realm/show": { params: RealmShow; result: RealmDetails };
  "realm/trash": { params: RealmTrash; result: TrashPage };
  "runtime/capabilities": { params: RuntimeCapabilitiesParams; result: RuntimeCapabilities };
  "runtime/health": { params: RuntimeHealthParams; result: RuntimeHealth };
  "runtime/host_info": { params: RuntimeHostInfoParams; result: RuntimeHostInfo };
  "session/archive": { params: SessionArchive; result: SessionArchived };
  "session/compact": { params: SessionCompact; result: SessionCompacted };
  "session/create": { params: SessionCreate; result: RunResult | SessionDeferred };
  "session/external_event": { params: SessionExternalEvent; result: ExternalEventOutcome };
  "session/fork_at": { params: SessionForkAt; result: SessionForked };
  "session/history": { params: SessionHistoryParams; result: SessionHistory };
  "session/inject_context": { params: SessionInjectContext; result: ContextInjected };
  "session/label": { params: SessionLabel; result: SessionLabels };
  "session/list": { params: SessionList; result: SessionPage };
  "session/read": { params: SessionRead; result: SessionInfo };
  "session/stream_close": { params: StreamClose; result: StreamClosed };
  "session/stream_open": { params: StreamOpen; result: StreamOpened };
  "session/unarchive": { params: SessionArchive; result: SessionArchived };
  "tools/register": { params: ToolsRegister; result: ToolsRegistered };
  "turn/interrupt": { params: TurnInterrupt; result: TurnInterrupted };
  "turn/read": { params: TurnRead; result: TurnInfo };
  "turn/start": { params: TurnStart; result: RunResult };
  "usage/read": { params: UsageRead; result: UsageReport };
}

/** What the daemon tells unasked. */
export interface Notifications {
  "config/changed": ConfigChanged;
  "config/watch_end": ConfigWatchEnd;
  "daemon/leaving": DaemonLeaving;
  "session/event": SessionEvent;
  "session/stream_event": StreamEvent;
  "session/stream_end": StreamEnd;
}
