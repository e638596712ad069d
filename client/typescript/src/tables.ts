/** What the client needs to know of the contract at run time.
 *
 * Generated from the contract by `python -m meerkatd.contract.emit`; edits are lost.
 */

/** The one error table. */
export const ERRORS = {
  "PARSE_ERROR": {"rpc": -32700, "retryable": false, "hint": "Send one strict CBOR (or JSON) object per frame."},
  "INVALID_REQUEST": {"rpc": -32600, "retryable": false, "hint": "Send {jsonrpc: \"2.0\", id, method, params}; the first request is initialize."},
  "METHOD_NOT_FOUND": {"rpc": -32601, "retryable": false, "hint": "initialize lists the methods of this daemon."},
  "INVALID_PARAMS": {"rpc": -32602, "retryable": false, "hint": "Mend the field that the message names."},
  "CONFIG_CONFLICT": {"rpc": -32602, "retryable": false, "hint": "Read the config again and repeat the change on what you find."},
  "INTERNAL_ERROR": {"rpc": -32603, "retryable": false, "hint": "Look up the reference id in `rkat daemon logs` and report it."},
  "SESSION_NOT_FOUND": {"rpc": -32001, "retryable": false, "hint": "`rkat sessions list` shows what there is; another --realm has other sessions."},
  "SESSION_BUSY": {"rpc": -32002, "retryable": true, "hint": "Wait for it, follow it with `rkat sessions attach`, or stop it with `rkat sessions interrupt`."},
  "SESSION_NOT_RUNNING": {"rpc": -32003, "retryable": false, "hint": "Start one with `rkat resume`, or read it with `rkat sessions history`."},
  "DUPLICATE_INPUT": {"rpc": -32004, "retryable": false, "hint": "Use a fresh key for a new request."},
  "REQUEST_CANCELLED": {"rpc": -32005, "retryable": false, "hint": "What was produced is kept; go on with `rkat resume`."},
  "BLOB_NOT_FOUND": {"rpc": -32602, "retryable": false, "hint": "Take the blob_id from a message of this realm; another --realm has other blobs."},
  "PROVIDER_ERROR": {"rpc": -32010, "retryable": true, "hint": "The session is kept; try again with `rkat resume`, or choose another --model."},
  "BUDGET_EXHAUSTED": {"rpc": -32011, "retryable": false, "hint": "Raise the limit; what was produced is kept."},
  "AGENT_ERROR": {"rpc": -32013, "retryable": false, "hint": "The session is kept; read it with `rkat sessions history`."},
  "STRUCTURED_OUTPUT_INVALID": {"rpc": -32064, "retryable": true, "hint": "Read what it answered with `rkat sessions history`; ask again, relax the schema, or choose another --model."},
  "CAPABILITY_UNAVAILABLE": {"rpc": -32020, "retryable": false, "hint": "Do what the message says to install or enable it."},
  "STALE_CURSOR": {"rpc": -32027, "retryable": false, "hint": "Ask for the latest cursor, or open the stream without one."},
  "SESSION_ARCHIVED": {"rpc": -32040, "retryable": false, "hint": "`rkat sessions unarchive` brings it back."},
  "TURN_LOST": {"rpc": -32041, "retryable": false, "hint": "The session can be used at once; its history tells what had run."},
  "REALM_NOT_FOUND": {"rpc": -32042, "retryable": false, "hint": "`rkat realms list` shows what there is."},
  "REALM_BACKEND_MISMATCH": {"rpc": -32043, "retryable": false, "hint": "Leave the backend out, or use another realm."},
  "BACKEND_UNAVAILABLE": {"rpc": -32044, "retryable": false, "hint": "Install it as the message says, or use sqlite."},
  "REALM_TOO_NEW": {"rpc": -32045, "retryable": false, "hint": "Upgrade meerkatd to at least the version that the message names."},
  "REALM_IN_USE": {"rpc": -32046, "retryable": true, "hint": "Close them first, or force it."},
  "REALM_DAMAGED": {"rpc": -32047, "retryable": false, "hint": "Nothing was changed. Restore the realm from a copy, or move its folder away to start afresh."},
  "STORAGE_FULL": {"rpc": -32048, "retryable": true, "hint": "Free some space and try again."},
  "STORAGE_ERROR": {"rpc": -32049, "retryable": true, "hint": "Look at the path that the message names."},
  "STORAGE_UNKNOWN": {"rpc": -32050, "retryable": false, "hint": "Read the session before you repeat the request; an idempotency key makes repeating safe."},
  "OVERLOADED": {"rpc": -32051, "retryable": true, "hint": "Wait for some replies first."},
  "REQUEST_TOO_LARGE": {"rpc": -32052, "retryable": false, "hint": "Send less at once: put large material into files that the agent can read."},
  "PROVIDER_NOT_CONFIGURED": {"rpc": -32053, "retryable": false, "hint": "Set a provider's key, pull the local model, or name a server in the config."},
  "DAEMON_UNAVAILABLE": {"rpc": -32054, "retryable": true, "hint": "`rkat daemon status` and `rkat daemon logs` tell more."},
  "VERSION_MISMATCH": {"rpc": -32055, "retryable": false, "hint": "`rkat daemon restart` starts the daemon of the installed version."},
  "SHUTTING_DOWN": {"rpc": -32056, "retryable": true, "hint": "Try again in a moment; a new daemon starts by itself."},
  "PERMISSION_DENIED": {"rpc": -32057, "retryable": false, "hint": "Look at the path that the message names."},
  "CONFIG_INVALID": {"rpc": -32058, "retryable": false, "hint": "Mend the file at the place that the message names."},
  "REALM_EXISTS": {"rpc": -32059, "retryable": false, "hint": "Delete that one first; it goes to the trash."},
  "APPROVAL_NOT_FOUND": {"rpc": -32080, "retryable": false, "hint": "`rkat approvals list` shows what waits for an answer; another --realm has other approvals."},
  "APPROVAL_DECIDED": {"rpc": -32081, "retryable": false, "hint": "The first answer counts; the details say who gave it and when."},
  "UNAUTHORIZED": {"rpc": -32070, "retryable": false, "hint": "Send `Authorization: Bearer TOKEN`; `rkat-rest` says where the token is when it starts."},
  "NOT_FOUND": {"rpc": -32071, "retryable": false, "hint": "GET /openapi.json lists what there is."},
  "METHOD_NOT_ALLOWED": {"rpc": -32072, "retryable": false, "hint": "The header Allow lists those that it takes."},
} as const;

export type ErrorCode = keyof typeof ERRORS;

/** Which fields of a shape hold which shapes; `{X}` is a record of X. */
export const NESTED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "Approval": {"decided_by": "Holder"},
  "ApprovalChanged": {"approval": "Approval"},
  "ApprovalPage": {"approvals": "Approval"},
  "AssistantMessage": {"blocks": "TextBlock|ReasoningBlock|ToolUseBlock"},
  "Capabilities": {"contract_version": "ContractVersion", "capabilities": "Capability"},
  "Catalog": {"contract_version": "ContractVersion", "providers": "ProviderModels"},
  "CompactionCompleted": {"summary_source": "SummarySource"},
  "CompactionFailed": {"reason": "CompactionFailure"},
  "ConfigEnvelope": {"resolved_paths": "ResolvedPaths"},
  "CursorParams": {"scope": "ScopeParams"},
  "DaemonExamined": {"findings": "Finding"},
  "DaemonStatus": {"process": "ProcessFacts"},
  "EventCursor": {"scope": "Scope"},
  "EventEnvelope": {"source": "EventSource", "payload": "RunStarted|RunCompleted|RunFailed|TurnStarted|Delta|Complete|ToolCallRequested|ToolExecutionStarted|ToolExecutionCompleted|ToolExecutionTimedOut|ToolResultReceived|TurnCompleted|Retrying|BudgetWarning|CompactionStarted|CompactionCompleted|CompactionFailed|ToolConfigChanged|ApprovalChanged|StreamTruncated"},
  "EventPage": {"contract_version": "ContractVersion", "scope": "Scope", "from_cursor": "EventCursor", "latest_cursor": "EventCursor", "events": "ReplayedEvent"},
  "EventsLatestCursor": {"scope": "ScopeParams"},
  "EventsListSince": {"scope": "ScopeParams", "cursor": "CursorParams"},
  "EventsSnapshot": {"scope": "ScopeParams"},
  "EventsSnapshotResult": {"contract_version": "ContractVersion", "scope": "Scope", "cursor": "EventCursor", "snapshot": "SessionSnapshot"},
  "ExternalEventBlock|TextBlock|ReasoningBlock|ToolUseBlock": {"data": "TextData|ReasoningData|ToolUseData"},
  "Initialize": {"client": "ClientInfo", "protocol": "ProtocolRange", "credentials": "{ProviderCredentials}"},
  "Initialized": {"server_info": "ServerInfo", "limits": "Limits"},
  "LatestCursor": {"contract_version": "ContractVersion", "cursor": "EventCursor"},
  "McpAdd": {"server_config": "NamedMcpServer"},
  "McpServers": {"servers": "McpServerInfo"},
  "ProviderModels": {"models": "ModelInfo"},
  "RealmChecked": {"findings": "Finding"},
  "RealmPage": {"realms": "RealmInfo", "unreadable": "UnreadableRealm"},
  "RealmPruned": {"pruned": "RealmInfo"},
  "ReasoningBlock": {"data": "ReasoningData"},
  "ReplayedEvent": {"event_id": "EventCursor", "cursor": "EventCursor", "source": "EventSource", "event": "RunStarted|RunCompleted|RunFailed|TurnStarted|Delta|Complete|ToolCallRequested|ToolExecutionStarted|ToolExecutionCompleted|ToolExecutionTimedOut|ToolResultReceived|TurnCompleted|Retrying|BudgetWarning|CompactionStarted|CompactionCompleted|CompactionFailed|ToolConfigChanged|ApprovalChanged|StreamTruncated"},
  "Retry": {"plan": "RetryPlan", "failure": "RetryFailure"},
  "Retrying": {"retry": "Retry"},
  "RunCompleted": {"usage": "Usage"},
  "RunFailed": {"error_report": "ErrorReport"},
  "RunResult": {"usage": "Usage", "schema_warnings": "SchemaWarning", "cost": "Cost"},
  "RunResult|SessionDeferred": {"usage": "Usage", "schema_warnings": "SchemaWarning", "cost": "Cost"},
  "RunStarted": {"input": "RunInput", "identity": "RunIdentity"},
  "RunStarted|RunCompleted|RunFailed|TurnStarted|Delta|Complete|ToolCallRequested|ToolExecutionStarted|ToolExecutionCompleted|ToolExecutionTimedOut|ToolResultReceived|TurnCompleted|Retrying|BudgetWarning|CompactionStarted|CompactionCompleted|CompactionFailed|ToolConfigChanged|ApprovalChanged|StreamTruncated": {"input": "RunInput", "identity": "RunIdentity", "usage": "Usage", "error_report": "ErrorReport", "retry": "Retry", "summary_source": "SummarySource", "reason": "CompactionFailure|TruncationReason", "payload": "ToolConfigChange", "approval": "Approval"},
  "RuntimeCapabilities": {"contract_version": "ContractVersion", "features": "RuntimeFeatures"},
  "RuntimeHealth": {"contract_version": "ContractVersion", "checks": "RuntimeChecks"},
  "RuntimeHostInfo": {"contract_version": "ContractVersion", "capabilities": "RuntimeCapabilities", "health": "RuntimeHealth", "realm": "RealmInfo", "endpoints": "RuntimeEndpoints"},
  "SessionCompacted": {"usage": "Usage"},
  "SessionCreate": {"budget_limits": "BudgetLimits", "session_budget_limits": "BudgetLimits"},
  "SessionEvent": {"event": "EventEnvelope"},
  "SessionForked": {"cache_inheritance": "CacheInheritance"},
  "SessionHistory": {"messages": "SystemMessage|SystemNotice|UserMessage|AssistantMessage|ToolResultsMessage"},
  "SessionInfo": {"usage": "Usage", "tasks": "Task", "cost": "Cost", "budget_limits": "Budget", "session_budget_limits": "Budget", "project_instructions": "ProjectFile", "compaction": "CompactionInfo", "active_turn": "ActiveTurn", "last_turn": "TurnInfo"},
  "SessionPage": {"sessions": "SessionSummary"},
  "SessionSnapshot": {"session": "SessionInfo"},
  "StreamEvent": {"event": "EventEnvelope"},
  "StreamOpened": {"active_turn": "ActiveTurn"},
  "StreamTruncated": {"reason": "TruncationReason"},
  "SummarySource": {"source_bound": "SummaryBound"},
  "SystemMessage|SystemNotice|UserMessage|AssistantMessage|ToolResultsMessage": {"blocks": "ExternalEventBlock|TextBlock|ReasoningBlock|ToolUseBlock", "results": "ToolResult"},
  "SystemNotice": {"blocks": "ExternalEventBlock"},
  "TextBlock": {"data": "TextData"},
  "TextBlock|ReasoningBlock|ToolUseBlock": {"data": "TextData|ReasoningData|ToolUseData"},
  "ToolConfigChanged": {"payload": "ToolConfigChange"},
  "ToolResultsMessage": {"results": "ToolResult"},
  "ToolUseBlock": {"data": "ToolUseData"},
  "ToolsRegister": {"tools": "ToolDefinition"},
  "TrashPage": {"trash": "TrashedRealm"},
  "TurnCompleted": {"usage": "Usage"},
  "TurnInfo": {"holder": "Holder", "usage": "Usage", "error": "TurnFailure", "tool_calls": "ToolCallRecord"},
  "TurnStart": {"budget_limits": "BudgetLimits", "session_budget_limits": "BudgetLimits"},
  "UsageLine": {"usage": "Usage", "cost": "Cost"},
  "UsageReport": {"rows": "UsageLine", "total": "UsageLine", "problems": "UsageProblem"},
};

/** The shapes of each method's params and result. */
export const CALLS: Readonly<Record<string, readonly [params: string, result: string]>> = {
  "approval/decide": ["ApprovalDecide", "Approval"],
  "approval/get": ["ApprovalGet", "Approval"],
  "approval/list": ["ApprovalList", "ApprovalPage"],
  "blob/get": ["BlobGet", "BlobContent"],
  "capabilities/get": ["CapabilitiesGet", "Capabilities"],
  "config/get": ["ConfigGet", "ConfigEnvelope"],
  "config/patch": ["ConfigPatch", "ConfigEnvelope"],
  "config/schema": ["ConfigSchemaParams", "ConfigSchema"],
  "config/set": ["ConfigSet", "ConfigEnvelope"],
  "config/unwatch": ["ConfigUnwatch", "ConfigUnwatched"],
  "config/watch": ["ConfigWatch", "ConfigWatched"],
  "daemon/examine": ["DaemonExamine", "DaemonExamined"],
  "daemon/listen": ["DaemonListen", "DaemonListening"],
  "daemon/restart": ["DaemonRestart", "DaemonRestarting"],
  "daemon/status": ["DaemonStatusParams", "DaemonStatus"],
  "daemon/stop": ["DaemonStop", "DaemonStopping"],
  "events/latest_cursor": ["EventsLatestCursor", "LatestCursor"],
  "events/list_since": ["EventsListSince", "EventPage"],
  "events/snapshot": ["EventsSnapshot", "EventsSnapshotResult"],
  "initialize": ["Initialize", "Initialized"],
  "mcp/add": ["McpAdd", "McpChanged"],
  "mcp/list": ["McpList", "McpServers"],
  "mcp/reload": ["McpReload", "McpChanged"],
  "mcp/remove": ["McpRemove", "McpChanged"],
  "models/catalog": ["ModelsCatalog", "Catalog"],
  "realm/backup": ["RealmBackup", "RealmCopied"],
  "realm/check": ["RealmCheck", "RealmChecked"],
  "realm/convert": ["RealmConvert", "RealmCopied"],
  "realm/create": ["RealmCreate", "RealmDetails"],
  "realm/current": ["RealmCurrent", "RealmInfo"],
  "realm/delete": ["RealmDelete", "RealmDeleted"],
  "realm/empty_trash": ["RealmEmptyTrash", "TrashPage"],
  "realm/export": ["RealmExport", "RealmCopied"],
  "realm/import": ["RealmImport", "RealmCopied"],
  "realm/list": ["RealmList", "RealmPage"],
  "realm/prune": ["RealmPrune", "RealmPruned"],
  "realm/restore": ["RealmRestore", "RealmDetails"],
  "realm/restore_backup": ["RealmRestoreBackup", "RealmCopied"],
  "realm/show": ["RealmShow", "RealmDetails"],
  "realm/trash": ["RealmTrash", "TrashPage"],
  "runtime/capabilities": ["RuntimeCapabilitiesParams", "RuntimeCapabilities"],
  "runtime/health": ["RuntimeHealthParams", "RuntimeHealth"],
  "runtime/host_info": ["RuntimeHostInfoParams", "RuntimeHostInfo"],
  "session/archive": ["SessionArchive", "SessionArchived"],
  "session/compact": ["SessionCompact", "SessionCompacted"],
  "session/create": ["SessionCreate", "RunResult|SessionDeferred"],
  "session/external_event": ["SessionExternalEvent", "ExternalEventOutcome"],
  "session/fork_at": ["SessionForkAt", "SessionForked"],
  "session/history": ["SessionHistoryParams", "SessionHistory"],
  "session/inject_context": ["SessionInjectContext", "ContextInjected"],
  "session/label": ["SessionLabel", "SessionLabels"],
  "session/list": ["SessionList", "SessionPage"],
  "session/read": ["SessionRead", "SessionInfo"],
  "session/stream_close": ["StreamClose", "StreamClosed"],
  "session/stream_open": ["StreamOpen", "StreamOpened"],
  "session/unarchive": ["SessionArchive", "SessionArchived"],
  "tools/register": ["ToolsRegister", "ToolsRegistered"],
  "turn/interrupt": ["TurnInterrupt", "TurnInterrupted"],
  "turn/read": ["TurnRead", "TurnInfo"],
  "turn/start": ["TurnStart", "RunResult"],
  "usage/read": ["UsageRead", "UsageReport"],
};

/** The shapes of notifications. */
export const NOTIFICATIONS: Readonly<Record<string, string>> = {
  "config/changed": "ConfigChanged",
  "config/watch_end": "ConfigWatchEnd",
  "daemon/leaving": "DaemonLeaving",
  "session/event": "SessionEvent",
  "session/stream_event": "StreamEvent",
  "session/stream_end": "StreamEnd",
};

/** Variables of providers' keys; the first that is set wins. */
export const API_KEYS: Readonly<Record<string, readonly string[]>> = {
  "anthropic": ["RKAT_ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY"],
  "openai": ["RKAT_OPENAI_API_KEY", "OPENAI_API_KEY"],
  "gemini": ["RKAT_GEMINI_API_KEY", "RKAT_GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"],
};

/** Variables of providers' base URLs. */
export const BASE_URLS: Readonly<Record<string, readonly string[]>> = {
  "anthropic": ["RKAT_ANTHROPIC_BASE_URL", "ANTHROPIC_BASE_URL"],
  "openai": ["RKAT_OPENAI_BASE_URL", "OPENAI_BASE_URL"],
  "gemini": ["RKAT_GEMINI_BASE_URL", "GEMINI_BASE_URL"],
};

export const MAX_REQUEST_FRAME = 1048576;

export const MAX_REPLY_FRAME = 33554432;

export const MAX_DEPTH = 32;

export const MAX_INTEGER_BYTES = 128;

export const VERSION = "0.1.0";

export const PROTOCOL_MIN = 1;

export const PROTOCOL_MAX = 1;

export const CONTRACT_VERSION = "0.9.6";
