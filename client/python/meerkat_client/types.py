"""Shapes of the wire as typed dictionaries, for users of the client.

Generated from the contract by `python -m meerkatd.contract.emit`; edits are lost.
"""

from typing import Any, Literal, NotRequired, TypedDict


class ApprovalDecide(TypedDict):
    """`approval/decide`: answer. The first answer counts; later ones get APPROVAL_DECIDED, with who and when."""

    approval_id: str
    decision: Literal["allow", "deny"]
    reason: NotRequired[str | None]


class Holder(TypedDict):
    """Who started a turn."""

    surface: str
    client: str
    pid: NotRequired[int]
    instance_id: NotRequired[str]


class Approval(TypedDict):
    """A question whether a tool may run. Times are Unix milliseconds."""

    approval_id: str
    session_id: str
    turn_id: str
    call_id: str
    tool: str
    arguments: dict[str, Any]
    state: Literal["pending", "allowed", "denied", "cancelled", "used"]
    created_at_ms: int
    decided_at_ms: NotRequired[int]
    decided_by: NotRequired[Holder]
    reason: NotRequired[str]


class ApprovalGet(TypedDict):
    """`approval/get`: one approval, also after it was answered."""

    approval_id: str


class ApprovalList(TypedDict):
    """`approval/list`: newest first."""

    session_id: NotRequired[str | None]
    states: NotRequired[list[Literal["pending", "allowed", "denied", "cancelled", "used"]]]
    limit: NotRequired[int]


class ApprovalPage(TypedDict):
    """Result of `approval/list`."""

    approvals: list[Approval]


class BlobGet(TypedDict):
    """`blob/get`: the bytes of a blob of this realm."""

    blob_id: str


class BlobContent(TypedDict):
    """Result of `blob/get`. `data` is base64."""

    blob_id: str
    media_type: str
    data: str


class CapabilitiesGet(TypedDict):
    """`capabilities/get`."""


class ContractVersion(TypedDict):
    major: int
    minor: int
    patch: int


class Capability(TypedDict):
    id: str
    description: str
    status: Literal["Available"]


class Capabilities(TypedDict):
    """Result of `capabilities/get`: what is here and works; what is not listed is not there."""

    contract_version: ContractVersion
    capabilities: list[Capability]


class ConfigGet(TypedDict):
    """`config/get`: the realm's own document, or with `effective` all that counts, defaults included."""

    effective: NotRequired[bool]
    format: NotRequired[Literal["json", "toml"]]


class ResolvedPaths(TypedDict):
    """Where things are. A realm in memory has neither manifest nor config file."""

    root: str
    realm_path: NotRequired[str]
    manifest_path: NotRequired[str]
    config_path: NotRequired[str]
    sessions_sqlite_path: NotRequired[str]
    user_config_path: str


class ConfigEnvelope(TypedDict):
    """Result of `config/get`, `config/set` and `config/patch`."""

    config: dict[str, Any]
    generation: int
    realm_id: str
    instance_id: str | None
    backend: str | None
    resolved_paths: ResolvedPaths
    toml: NotRequired[str]
    replayed: NotRequired[bool]
    current_generation: NotRequired[int]


class ConfigPatch(TypedDict):
    """`config/patch`: a JSON merge patch (RFC 7396); null deletes."""

    patch: dict[str, Any]
    expected_generation: NotRequired[int | None]
    idempotency_key: NotRequired[str | None]


class ConfigSchemaParams(TypedDict):
    """`config/schema`."""


class ConfigSchema(TypedDict):
    """Result of `config/schema`: JSON Schema, draft 2020-12."""

    schema: dict[str, Any]


class ConfigSet(TypedDict):
    """`config/set`: replace the document by `config`, or by the text `toml`, comments and all; one of the two."""

    config: NotRequired[dict[str, Any] | None]
    toml: NotRequired[str | None]
    expected_generation: NotRequired[int | None]
    idempotency_key: NotRequired[str | None]


class ConfigUnwatch(TypedDict):
    """`config/unwatch`."""

    watch_id: str


class ConfigUnwatched(TypedDict):
    """Result of `config/unwatch`."""

    watch_id: str
    closed: bool


class ConfigWatch(TypedDict):
    """`config/watch`: a `config/changed` for every generation from now on, edits of the file by hand included."""


class ConfigWatched(TypedDict):
    """Result of `config/watch`."""

    watch_id: str
    realm_id: str
    generation: int


class DaemonExamine(TypedDict):
    """`daemon/examine`: look at what the daemon depends on: the disk, the realms' files, the providers."""

    providers: NotRequired[bool]


class Finding(TypedDict):
    """One finding."""

    check: str
    level: Literal["ok", "warning", "error"]
    subject: str
    message: str
    code: NotRequired[str]
    mend: NotRequired[str]


class DaemonExamined(TypedDict):
    """Result of `daemon/examine`: what is well, too."""

    findings: list[Finding]


class DaemonListen(TypedDict):
    """`daemon/listen`: open a door on loopback TCP, for as long as this connection is there."""

    address: NotRequired[str]
    origins: NotRequired[list[str]]


class DaemonListening(TypedDict):
    """Result of `daemon/listen`. `token_path` is the file with the token that is to be shown at `url`."""

    url: str
    token_path: str
    origins: list[str]


class DaemonRestart(TypedDict):
    """`daemon/restart`: go on with the program that is installed now, in the same process and behind the same socket."""

    deadline_seconds: NotRequired[float | None]
    program: NotRequired[str | None]
    environment: NotRequired[dict[str, str] | None]


class DaemonRestarting(TypedDict):
    """Result of `daemon/restart`; the connection closes when the last turn has ended."""

    restarting: bool
    pid: int
    version: str
    active_turns: int
    deadline_seconds: float


class DaemonStatusParams(TypedDict):
    """`daemon/status`."""


class ProcessFacts(TypedDict):
    pid: int
    started_at: int
    rss_bytes: int
    cpu_seconds: float
    open_files: int
    threads: int
    children: list[dict[str, int | str]]


class DaemonStatus(TypedDict):
    """Result of `daemon/status`."""

    version: str
    contract_version: str
    state: Literal["running", "stopping", "restarting"]
    process: ProcessFacts
    uptime_seconds: float
    socket_path: str
    state_root: str
    log_path: str
    connections: int
    doors: list[str]
    open_realms: int
    active_turns: int
    event_streams: int
    build: str
    restarts: int
    managed: bool
    safe_mode: bool
    metrics_url: NotRequired[str]
    sqlite_version: NotRequired[str]


class DaemonStop(TypedDict):
    """`daemon/stop`: take no new work, let turns end up to a deadline, commit, exit."""

    deadline_seconds: NotRequired[float | None]


class DaemonStopping(TypedDict):
    """Result of `daemon/stop`; the connection closes when the daemon has ended."""

    stopping: bool
    pid: int
    active_turns: int
    deadline_seconds: float


class ScopeParams(TypedDict):
    """Whose events: those of one session."""

    type: Literal["session"]
    session_id: str


class EventsLatestCursor(TypedDict):
    """`events/latest_cursor`."""

    scope: ScopeParams


class Scope(TypedDict):
    type: Literal["session"]
    session_id: str


class EventCursor(TypedDict):
    scope: Scope
    sequence: int


class LatestCursor(TypedDict):
    """Result of `events/latest_cursor`."""

    contract_version: ContractVersion
    cursor: EventCursor


class CursorParams(TypedDict):
    """A place in a scope's events: the number of the last one that the reader has."""

    scope: ScopeParams
    sequence: int


class EventsListSince(TypedDict):
    """`events/list_since`: events after a cursor, oldest first."""

    scope: ScopeParams
    cursor: NotRequired[CursorParams | None]
    limit: NotRequired[int]


class EventSource(TypedDict):
    type: Literal["session"]
    session_id: str


class TextContent(TypedDict):
    type: Literal["text"]
    text: str


class ImageContent(TypedDict):
    """An image, by the blob that has its bytes; `blob/get` gives them."""

    type: Literal["image"]
    media_type: str
    source: Literal["blob"]
    blob_id: str


class RunInput(TypedDict):
    kind: Literal["content"]
    content: str | list[TextContent | ImageContent]


class RunIdentity(TypedDict):
    run_id: str


class RunStarted(TypedDict):
    type: Literal["run_started"]
    session_id: str
    input: RunInput
    identity: RunIdentity


class Usage(TypedDict):
    """Tokens as the provider counted them; input includes cached tokens."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    cache_creation_tokens: NotRequired[int]
    cache_read_tokens: NotRequired[int]


class RunCompleted(TypedDict):
    """The turn is committed. `extraction_required` is False: `structured_output` is here when there is one."""

    type: Literal["run_completed"]
    session_id: str
    result: str
    usage: Usage
    structured_output: NotRequired[Any]
    extraction_required: bool


ErrorReport = TypedDict("ErrorReport", {"class": str, "message": str})


class RunFailed(TypedDict):
    """The turn failed, or was interrupted (`error_class` "cancelled"); what was produced is committed."""

    type: Literal["run_failed"]
    session_id: str
    error: str
    error_class: str
    error_report: ErrorReport
    terminal_cause_kind: NotRequired[str]


class TurnStarted(TypedDict):
    """A call of the model begins; `turn_number` counts them within the turn, from 1."""

    type: Literal["turn_started"]
    turn_number: int


class Delta(TypedDict):
    type: Literal["text_delta", "reasoning_delta"]
    delta: str


class Complete(TypedDict):
    type: Literal["text_complete", "reasoning_complete"]
    content: str


class ToolCallRequested(TypedDict):
    type: Literal["tool_call_requested"]
    id: str
    name: str
    args: dict[str, Any]


class ToolExecutionStarted(TypedDict):
    type: Literal["tool_execution_started"]
    id: str
    name: str


class ToolExecutionCompleted(TypedDict):
    type: Literal["tool_execution_completed"]
    id: str
    name: str
    content: list[dict[str, Any]]
    is_error: bool
    duration_ms: int


class ToolExecutionTimedOut(TypedDict):
    type: Literal["tool_execution_timed_out"]
    id: str
    name: str
    timeout_ms: int


class ToolResultReceived(TypedDict):
    type: Literal["tool_result_received"]
    id: str
    name: str
    is_error: bool
    content: list[dict[str, Any]]


class TurnCompleted(TypedDict):
    """A call of the model has ended."""

    type: Literal["turn_completed"]
    stop_reason: str
    usage: Usage


class RetryPlan(TypedDict):
    attempt: int
    max_retries: int
    selected_delay_ms: int


class RetryFailure(TypedDict):
    message: str


class Retry(TypedDict):
    plan: RetryPlan
    failure: RetryFailure


class Retrying(TypedDict):
    type: Literal["retrying"]
    retry: Retry


class BudgetWarning(TypedDict):
    """A budget is used to four fifths; told once for each time that it happens."""

    type: Literal["budget_warning"]
    budget_type: Literal["tokens", "time", "tool_calls", "cost"]
    used: int
    limit: int
    percent: float
    scope: Literal["turn", "session", "realm"]


class CompactionStarted(TypedDict):
    """The older part of the context is being summarised. Tokens are those of the last call, and an estimate."""

    type: Literal["compaction_started"]
    input_tokens: int
    estimated_history_tokens: int
    message_count: int


class SummaryBound(TypedDict):
    """How much of the older part the summary was made from; `through` is the last kind of text that was cut."""

    kind: Literal["whole", "trimmed"]
    through: NotRequired[Literal["tool_results", "context", "user_requests"]]


class SummarySource(TypedDict):
    kind: Literal["provider_call"]
    source_bound: SummaryBound


class CompactionCompleted(TypedDict):
    """A summary stands for the older part from now on; the transcript stays as it is. Messages are those that the model"""

    type: Literal["compaction_completed"]
    summary_tokens: int
    messages_before: int
    messages_after: int
    estimated_history_tokens_after: int
    summary_source: SummarySource


class CompactionFailure(TypedDict):
    kind: Literal["llm_failed", "empty_summary"]
    error_class: NotRequired[str]
    message: NotRequired[str]


class CompactionFailed(TypedDict):
    """There is no summary; a turn goes on with the context that it has."""

    type: Literal["compaction_failed"]
    reason: CompactionFailure


class ToolConfigChange(TypedDict):
    """`status` is `applied`, or `failed: ` and why."""

    operation: Literal["add", "remove", "reload"]
    target: str
    status: str
    persisted: bool


class ToolConfigChanged(TypedDict):
    """An MCP server of the turn came, went, cannot be used, or can be again."""

    type: Literal["tool_config_changed"]
    payload: ToolConfigChange


class ApprovalChanged(TypedDict):
    """A tool call waits for a person, or has got its answer (or will get none: `cancelled`)."""

    type: Literal["approval_requested", "approval_decided"]
    approval: Approval


class TruncationReason(TypedDict):
    kind: Literal["stream_lagged"]
    dropped: int


class StreamTruncated(TypedDict):
    """This reader missed `dropped` events; what follows is whole again. Its `seq` is that of the last missed event."""

    type: Literal["stream_truncated"]
    reason: TruncationReason


class ReplayedEvent(TypedDict):
    """An event as `events/list_since` gives it. Asking again with its `cursor` gives what comes after it."""

    event_id: EventCursor
    cursor: EventCursor
    timestamp_ms: int
    source: EventSource
    session_id: str
    event: RunStarted | RunCompleted | RunFailed | TurnStarted | Delta | Complete | ToolCallRequested | ToolExecutionStarted | ToolExecutionCompleted | ToolExecutionTimedOut | ToolResultReceived | TurnCompleted | Retrying | BudgetWarning | CompactionStarted | CompactionCompleted | CompactionFailed | ToolConfigChanged | ApprovalChanged | StreamTruncated


class EventPage(TypedDict):
    """Result of `events/list_since`."""

    contract_version: ContractVersion
    scope: Scope
    from_cursor: EventCursor
    latest_cursor: EventCursor
    events: list[ReplayedEvent]
    has_more: bool


class EventsSnapshot(TypedDict):
    """`events/snapshot`: the session, and the cursor from which to follow what happens to it next."""

    scope: ScopeParams


class Task(TypedDict):
    """One task of a session's list."""

    id: int
    text: str
    state: Literal["pending", "in_progress", "completed", "cancelled"]


class Cost(TypedDict):
    """What calls of models cost. `usd` has only the calls whose price is known; the others are `unpriced_calls`."""

    usd: float
    unpriced_calls: int
    estimated: bool


class Budget(TypedDict):
    """Limits as they count: tokens, seconds, calls, US dollars."""

    max_tokens: NotRequired[int]
    max_duration: NotRequired[float]
    max_tool_calls: NotRequired[int]
    max_cost: NotRequired[float]


class ProjectFile(TypedDict):
    """The project's own instructions, as they were when the session was created."""

    path: str
    sha256: str
    bytes: int


class CompactionInfo(TypedDict):
    """The summary that stands for the messages before number `through`. `at` is RFC 3339."""

    through: int
    summary: str
    summary_tokens: int
    at: str
    model: str


class ActiveTurn(TypedDict):
    """The turn that runs. `cursor` is the place before its first event."""

    turn_id: str
    started_at_ms: int
    surface: str
    client: str
    pid: NotRequired[int]
    cursor: int


class TurnFailure(TypedDict):
    """Why a turn gave no result, as its caller was told."""

    code: str
    message: str
    details: dict[str, Any]


class ToolCallRecord(TypedDict):
    """One line of a turn's ledger."""

    call_id: str
    name: str
    arguments: dict[str, Any]
    fate: Literal["ran", "may_have_run", "never_ran"]
    is_error: NotRequired[bool]


class TurnInfo(TypedDict):
    """A turn as it stands. Times are Unix milliseconds."""

    turn_id: str
    session_id: str
    ordinal: int
    state: Literal["running", "completed", "interrupted", "failed", "lost"]
    started_at_ms: int
    ended_at_ms: NotRequired[int]
    holder: Holder
    usage: Usage
    error: NotRequired[TurnFailure]
    tool_calls: list[ToolCallRecord]
    kind: NotRequired[Literal["compaction"]]


class SessionInfo(TypedDict):
    """What `session/read` gives: the list's row and more."""

    session_id: str
    session_ref: str
    created_at: int
    updated_at: int
    message_count: int
    total_tokens: int
    is_active: bool
    archived: bool
    title: str
    model: str
    provider: str
    realm_id: str
    instance_id: NotRequired[str]
    backend: str
    config_generation: int
    labels: NotRequired[dict[str, str]]
    usage: Usage
    workspace: NotRequired[str]
    tools: NotRequired[Literal["none", "safe", "workspace", "full"]]
    tasks: NotRequired[list[Task]]
    cost: NotRequired[Cost]
    budget_limits: NotRequired[Budget]
    session_budget_limits: NotRequired[Budget]
    system_prompt: NotRequired[str]
    project_instructions: NotRequired[ProjectFile]
    additional_instructions: NotRequired[list[str]]
    output_schema: NotRequired[dict[str, Any]]
    compaction: NotRequired[CompactionInfo]
    last_assistant_text: NotRequired[str]
    staged_prompt: NotRequired[str]
    cursor: int
    active_turn: NotRequired[ActiveTurn]
    last_turn: NotRequired[TurnInfo]


class SessionSnapshot(TypedDict):
    type: Literal["session"]
    session: SessionInfo


class EventsSnapshotResult(TypedDict):
    """Result of `events/snapshot`."""

    contract_version: ContractVersion
    scope: Scope
    cursor: EventCursor
    snapshot: SessionSnapshot


class ClientInfo(TypedDict):
    """Who calls. Shown to others as the holder of a turn; never a source of authority."""

    name: str
    version: str
    surface: str
    pid: NotRequired[int | None]


class ProtocolRange(TypedDict):
    min: int
    max: int


class ProviderCredentials(TypedDict):
    """Keys live in memory only, for turns of this connection, and are never shown again."""

    api_key: NotRequired[str | None]
    base_url: NotRequired[str | None]


class Initialize(TypedDict):
    """`initialize`: who calls, and the realm that this connection is bound to."""

    client: NotRequired[ClientInfo | None]
    protocol: NotRequired[ProtocolRange | None]
    realm_id: NotRequired[str | None]
    workspace: NotRequired[str | None]
    isolated: NotRequired[bool]
    instance_id: NotRequired[str | None]
    backend: NotRequired[Literal["sqlite", "jsonl", "redb", "memory"] | None]
    credentials: NotRequired[dict[str, ProviderCredentials] | None]
    contract_version: NotRequired[str | None]


class ServerInfo(TypedDict):
    name: str
    version: str
    build: NotRequired[str]


class Limits(TypedDict):
    """What a connection has to keep to: bytes of a message, levels of nesting, requests that are unanswered."""

    request_bytes: int
    reply_bytes: int
    depth: int
    in_flight: int


class Initialized(TypedDict):
    """Result of `initialize`."""

    server_info: ServerInfo
    contract_version: str
    protocol: dict[str, int]
    methods: list[str]
    pid: int
    realm_id: str
    origin: str
    instance_id: NotRequired[str]
    backend: NotRequired[str]
    state_root: str
    limits: Limits


class NamedMcpServer(TypedDict):
    """The same with its name."""

    command: NotRequired[str | None]
    args: NotRequired[list[str]]
    env: NotRequired[dict[str, str]]
    cwd: NotRequired[str | None]
    url: NotRequired[str | None]
    headers: NotRequired[dict[str, str]]
    startup_timeout: NotRequired[float | None]
    name: NotRequired[str | None]


class McpAdd(TypedDict):
    """`mcp/add`: a server for one session, or with `persisted` for all of the realm. Its name stands in one of two"""

    session_id: str
    server_name: NotRequired[str | None]
    server_config: NamedMcpServer
    persisted: NotRequired[bool]


class McpChanged(TypedDict):
    """Result of `mcp/add`, `mcp/remove`, `mcp/reload`. `staged`: it counts from the next call of the model on."""

    session_id: str
    operation: Literal["add", "remove", "reload"]
    server_name: NotRequired[str]
    status: Literal["staged", "applied", "rejected"]
    persisted: bool


class McpList(TypedDict):
    """`mcp/list`: the servers of a session, or those of the realm's config."""

    session_id: NotRequired[str | None]


class McpServerInfo(TypedDict):
    """A server as it stands. `problem` says why it is not ready; `tools` are the names that a model sees."""

    name: str
    origin: Literal["config", "session"]
    state: Literal["stopped", "starting", "ready", "waiting"]
    problem: NotRequired[str]
    tools: list[str]


class McpServers(TypedDict):
    """Result of `mcp/list`."""

    servers: list[McpServerInfo]


class McpReload(TypedDict):
    """`mcp/reload`: end a server and start it again; all that the session has when none is named."""

    session_id: str
    server_name: NotRequired[str | None]
    persisted: NotRequired[bool]


class McpRemove(TypedDict):
    """`mcp/remove`: the session has it no more, wherever it came from; with `persisted` the realm."""

    session_id: str
    server_name: str
    persisted: NotRequired[bool]


class ModelsCatalog(TypedDict):
    """`models/catalog`."""


class ModelInfo(TypedDict):
    id: str
    display_name: str
    tier: str
    context_window: NotRequired[int]
    max_output_tokens: NotRequired[int]
    server_id: NotRequired[str]


class ProviderModels(TypedDict):
    """One provider. `configured` says whether a turn could use it right now, and `note` what is missing if not."""

    provider: str
    default_model_id: str
    configured: bool
    note: NotRequired[str]
    models: list[ModelInfo]


class Catalog(TypedDict):
    """Result of `models/catalog`. `default` is the model that a session without a model gets; absent without any."""

    contract_version: ContractVersion
    providers: list[ProviderModels]
    default: NotRequired[dict[str, Any]]


class RealmBackup(TypedDict):
    """`realm/backup`: a copy of the realm's folder as of one moment, config and its secrets included. Turns go on."""

    realm_id: NotRequired[str | None]
    path: str


class RealmCopied(TypedDict):
    """Result of backing up, restoring, exporting, importing and converting, as read back from what was made."""

    realm_id: str
    backend: str
    path: str
    sessions: int
    messages: int
    blobs: int
    bytes: int
    digests: dict[str, str]


class RealmCheck(TypedDict):
    """`realm/check`: read a realm through: manifest, config, store, blobs, shared messages. Turns go on meanwhile."""

    realm_id: NotRequired[str | None]


class RealmChecked(TypedDict):
    """Result of `realm/check`: what is well, too. `whole` is false when one of the findings is an error."""

    realm_id: str
    whole: bool
    findings: list[Finding]


class RealmConvert(TypedDict):
    """`realm/convert`: give a realm another backend; its files of before go to the trash. REALM_IN_USE while turns run."""

    realm_id: NotRequired[str | None]
    to: Literal["sqlite", "jsonl", "redb", "memory"]


class RealmCreate(TypedDict):
    """`realm/create`: make a realm and pin its backend. One that exists with the same backend is left as it is."""

    realm_id: str
    backend: NotRequired[Literal["sqlite", "jsonl", "redb", "memory"] | None]


class RealmDetails(TypedDict):
    realm_id: str
    exists: bool
    origin: str
    backend: NotRequired[str]
    created_at: NotRequired[int]
    path: NotRequired[str]
    connections: int
    active_turns: int
    open: bool
    sessions: NotRequired[int]
    messages: NotRequired[int]
    bytes_on_disk: NotRequired[int]
    format_version: NotRequired[int]
    problem: NotRequired[str]


class RealmCurrent(TypedDict):
    """`realm/current`: the realm of this connection, whether it exists on the disk yet or not."""


class RealmInfo(TypedDict):
    """A realm. `created_at` is in Unix seconds; `connections` and `active_turns` are those of this daemon right now."""

    realm_id: str
    exists: bool
    origin: str
    backend: NotRequired[str]
    created_at: NotRequired[int]
    path: NotRequired[str]
    connections: int
    active_turns: int
    open: bool


class RealmDelete(TypedDict):
    """`realm/delete`: move it to the trash. `force` interrupts its turns and takes it from other connections."""

    realm_id: str
    force: NotRequired[bool]


class RealmDeleted(TypedDict):
    """Result of `realm/delete`. `trash_id` is null for a realm in memory, which is gone for good."""

    realm_id: str
    deleted: bool
    trash_id: str | None
    interrupted_turns: int


class RealmEmptyTrash(TypedDict):
    """`realm/empty_trash`: delete for good what is in the trash. Cannot be undone."""

    trash_id: NotRequired[str | None]
    older_than_hours: NotRequired[float]


class TrashedRealm(TypedDict):
    """A realm in the trash. `deleted_at` is in Unix seconds; without `realm_id` its manifest cannot be read."""

    trash_id: str
    realm_id: NotRequired[str]
    backend: NotRequired[str]
    origin: NotRequired[str]
    deleted_at: int
    bytes_on_disk: int
    path: str


class TrashPage(TypedDict):
    """Result of `realm/trash`, and of `realm/empty_trash`: what is there, or what was there and is gone."""

    trash: list[TrashedRealm]


class RealmExport(TypedDict):
    """`realm/export`: write the realm into one file that every backend takes. Turns go on."""

    realm_id: NotRequired[str | None]
    path: str
    secrets: NotRequired[bool]


class RealmImport(TypedDict):
    """`realm/import`: make a realm of an exported file. Its id must be free."""

    path: str
    realm_id: NotRequired[str | None]
    backend: NotRequired[Literal["sqlite", "jsonl", "redb", "memory"] | None]


class RealmList(TypedDict):
    """`realm/list`: every realm below the state root."""


class UnreadableRealm(TypedDict):
    """A folder of a realm whose manifest cannot be read: nothing can be done with it before it is mended."""

    path: str
    code: str
    message: str
    hint: str


class RealmPage(TypedDict):
    """Result of `realm/list`."""

    realms: list[RealmInfo]
    unreadable: list[UnreadableRealm]


class RealmPrune(TypedDict):
    """`realm/prune`: move realms that nobody uses to the trash; those that programs made for themselves, unless"""

    older_than_hours: NotRequired[float]
    isolated_only: NotRequired[bool]
    dry_run: NotRequired[bool]


class RealmPruned(TypedDict):
    """Result of `realm/prune`: what was moved, or with `dry_run` what would be."""

    pruned: list[RealmInfo]
    dry_run: bool


class RealmRestore(TypedDict):
    """`realm/restore`: back from the trash, by `trash_id`, or by `realm_id` the one that was deleted last."""

    realm_id: NotRequired[str | None]
    trash_id: NotRequired[str | None]


class RealmRestoreBackup(TypedDict):
    """`realm/restore_backup`: make a realm of a backup. Its id must be free."""

    path: str
    realm_id: NotRequired[str | None]


class RealmShow(TypedDict):
    """`realm/show`; without `realm_id`, of this connection's realm."""

    realm_id: NotRequired[str | None]


class RealmTrash(TypedDict):
    """`realm/trash`: what is in the trash, newest first."""


class RuntimeCapabilitiesParams(TypedDict):
    """`runtime/capabilities`."""


class RuntimeFeatures(TypedDict):
    """Features of the public contract; true means that it is here and works."""

    runtime_backed_sessions: bool
    mobs: bool
    mcp_live: bool
    comms: bool
    blobs: bool
    session_events: bool
    session_streams: bool
    schedules: bool
    skills: bool
    event_replay: bool
    artifacts: bool
    approvals: bool
    external_members: bool
    secure_remote_rpc: bool
    multi_host_mobs: bool
    durable_jobs: bool


class RuntimeCapabilities(TypedDict):
    """Result of `runtime/capabilities`."""

    contract_version: ContractVersion
    features: RuntimeFeatures


class RuntimeHealthParams(TypedDict):
    """`runtime/health`."""


class RuntimeChecks(TypedDict):
    """`store` is absent while the realm is closed: it is not opened only to be looked at."""

    disk: Literal["ok", "degraded", "unhealthy"]
    state: Literal["ok", "degraded", "unhealthy"]
    config: Literal["ok", "degraded", "unhealthy"]
    store: NotRequired[Literal["ok", "degraded", "unhealthy"]]


class RuntimeHealth(TypedDict):
    """Result of `runtime/health`. `status` is the worst of the checks."""

    contract_version: ContractVersion
    status: Literal["ok", "degraded", "unhealthy"]
    checks: RuntimeChecks


class RuntimeHostInfoParams(TypedDict):
    """`runtime/host_info`."""


class RuntimeEndpoints(TypedDict):
    """`live_ws` has the doors on loopback TCP that clients have opened."""

    unix_socket: str
    live_ws: list[str]


class RuntimeHostInfo(TypedDict):
    """Result of `runtime/host_info`. `host_id` names this process and no other one."""

    contract_version: ContractVersion
    host_id: str
    host_id_scope: Literal["process"]
    process_name: str
    process_version: str
    capabilities: RuntimeCapabilities
    health: RuntimeHealth
    realm: RealmInfo
    endpoints: RuntimeEndpoints


class SessionArchive(TypedDict):
    """`session/archive` and `session/unarchive`."""

    session_id: str
    idempotency_key: NotRequired[str | None]


class SessionArchived(TypedDict):
    """Result of `session/archive` and `session/unarchive`."""

    session_id: str
    session_ref: str
    archived: bool


class SessionCompact(TypedDict):
    """`session/compact`: summarise the older part of what the model sees; the transcript stays as it is."""

    session_id: str
    recent_turns: NotRequired[int | None]
    session_events: NotRequired[bool]
    idempotency_key: NotRequired[str | None]


class SessionCompacted(TypedDict):
    """Result of `session/compact`. Messages are those that the model sees; `compacted` is False when it sees no more"""

    session_id: str
    session_ref: str
    turn_id: str
    compacted: bool
    through: NotRequired[int]
    messages_before: int
    messages_after: int
    summary_tokens: NotRequired[int]
    model: str
    usage: Usage
    cursor: int


class PromptText(TypedDict):
    """One text block of a prompt."""

    type: Literal["text"]
    text: str


class PromptImage(TypedDict):
    """One image of a prompt: its bytes as base64 in `data` (source `inline`), or the `blob_id` of one that is there."""

    type: Literal["image"]
    media_type: Literal["image/png", "image/jpeg", "image/gif", "image/webp"]
    source: Literal["inline", "blob"]
    data: NotRequired[str | None]
    blob_id: NotRequired[str | None]


class BudgetLimits(TypedDict):
    """The most that may be used of each; what is left out has no limit here."""

    max_tokens: NotRequired[int | None]
    max_duration: NotRequired[float | None]
    max_tool_calls: NotRequired[int | None]
    max_cost: NotRequired[float | None]


class SessionCreate(TypedDict):
    """`session/create`: build the agent, store the session, and run its first turn."""

    prompt: str | list[PromptText | PromptImage]
    initial_turn: NotRequired[Literal["run_immediately", "deferred"]]
    model: NotRequired[str | None]
    provider: NotRequired[str | None]
    system_prompt: NotRequired[str | None]
    max_tokens: NotRequired[int | None]
    temperature: NotRequired[float | None]
    provider_params: NotRequired[dict[str, Any] | None]
    additional_instructions: NotRequired[list[str] | None]
    project_instructions: NotRequired[bool | None]
    output_schema: NotRequired[dict[str, Any] | None]
    structured_output_retries: NotRequired[int | None]
    tools: NotRequired[Literal["none", "safe", "workspace", "full"] | None]
    enable_builtins: NotRequired[bool | None]
    enable_shell: NotRequired[bool | None]
    workspace: NotRequired[str | None]
    budget_limits: NotRequired[BudgetLimits | None]
    session_budget_limits: NotRequired[BudgetLimits | None]
    labels: NotRequired[dict[str, str] | None]
    session_events: NotRequired[bool]
    idempotency_key: NotRequired[str | None]


class SchemaWarning(TypedDict):
    """The provider's own response format was left out, because it refused the schema; the answer was checked anyway."""

    provider: str
    path: str
    message: str


class RunResult(TypedDict):
    """What a completed turn gives. `turns` counts calls of the model, as in the public contract."""

    session_id: str
    session_ref: str
    turn_id: str
    text: str
    turns: int
    tool_calls: int
    usage: Usage
    model: str
    provider: str
    stop_reason: str
    structured_output: NotRequired[Any]
    schema_warnings: NotRequired[list[SchemaWarning]]
    cursor: int
    cost: NotRequired[Cost]


class SessionDeferred(TypedDict):
    """Result of a deferred `session/create`."""

    session_id: str
    session_ref: str


class SessionExternalEvent(TypedDict):
    """`session/external_event`: tell the session of something that happened outside, without asking for an answer."""

    session_id: str
    kind: NotRequired[Literal["generic_json"]]
    event_type: NotRequired[str]
    payload: Any
    blocks: NotRequired[list[PromptText] | None]
    source: NotRequired[str | None]
    idempotency_key: NotRequired[str | None]


class ExternalEventOutcome(TypedDict):
    """Result of `session/external_event`. `input_id` names the event, `existing_id` the one that had come before."""

    outcome_type: Literal["accepted", "deduplicated"]
    session_id: str
    input_id: NotRequired[str]
    existing_id: NotRequired[str]
    status: Literal["applied", "staged", "duplicate"]


class SessionForkAt(TypedDict):
    """`session/fork_at`: a new session that begins with the first messages of another one."""

    session_id: str
    message_index: int
    running_behavior: NotRequired[Literal["reject"]]
    idempotency_key: NotRequired[str | None]


class CacheInheritance(TypedDict):
    """Whether a provider's prompt cache of the source serves the fork; never known here, and no promise either way."""

    status: Literal["unavailable"]
    message_count: int
    reason: Literal["no_authored_breakpoint_at_boundary"]


class SessionForked(TypedDict):
    """Result of `session/fork_at`."""

    source_session_id: str
    session_id: str
    session_ref: str
    message_count: int
    cache_inheritance: CacheInheritance


class SessionHistoryParams(TypedDict):
    """`session/history`: committed messages, oldest first."""

    session_id: str
    offset: NotRequired[int]
    limit: NotRequired[int]


class SystemMessage(TypedDict):
    role: Literal["system"]
    content: str
    created_at: str


class ExternalEventBlock(TypedDict):
    """An event from outside, for programs; `body` of its notice says the same as text."""

    type: Literal["external_event"]
    event_type: str
    source: str
    payload: Any
    content: NotRequired[list[TextContent | ImageContent]]


class SystemNotice(TypedDict):
    """A word of the daemon's own in the transcript: a turn was interrupted or lost, something happened outside. The"""

    role: Literal["system_notice"]
    kind: Literal["generic", "external_event"]
    body: str
    created_at: str
    blocks: NotRequired[list[ExternalEventBlock]]


class UserMessage(TypedDict):
    """What the user's side says. `transcript_role` marks what was added without asking for an answer, and `source`"""

    role: Literal["user"]
    content: str | list[TextContent | ImageContent]
    created_at: str
    run_id: NotRequired[str]
    transcript_role: NotRequired[Literal["injected_context", "compaction_summary"]]
    source: NotRequired[str]


class TextData(TypedDict):
    text: str
    meta: NotRequired[dict[str, Any]]


class TextBlock(TypedDict):
    block_type: Literal["text"]
    data: TextData


class ReasoningData(TypedDict):
    text: NotRequired[str]
    meta: NotRequired[dict[str, Any]]


class ReasoningBlock(TypedDict):
    block_type: Literal["reasoning"]
    data: ReasoningData


class ToolUseData(TypedDict):
    id: str
    name: str
    args: dict[str, Any]
    meta: NotRequired[dict[str, Any]]


class ToolUseBlock(TypedDict):
    block_type: Literal["tool_use"]
    data: ToolUseData


class AssistantMessage(TypedDict):
    """`stop_reason` "cancelled" marks an answer that an interrupt cut off: what is here is all that had arrived."""

    role: Literal["block_assistant"]
    blocks: list[TextBlock | ReasoningBlock | ToolUseBlock]
    stop_reason: Literal["end_turn", "tool_use", "max_tokens", "stop_sequence", "content_filter", "cancelled", "refusal", "pause_turn", "context_window_exceeded"]
    created_at: str
    run_id: NotRequired[str]


class ToolResult(TypedDict):
    tool_use_id: str
    content: str | list[TextContent | ImageContent]
    is_error: bool


class ToolResultsMessage(TypedDict):
    role: Literal["tool_results"]
    results: list[ToolResult]
    created_at: str
    run_id: NotRequired[str]


class SessionHistory(TypedDict):
    """A page of committed messages. `limit` is what was asked for, `has_more` whether messages follow this page."""

    session_id: str
    session_ref: str
    message_count: int
    offset: int
    limit: int
    has_more: bool
    messages: list[SystemMessage | SystemNotice | UserMessage | AssistantMessage | ToolResultsMessage]


class SessionInjectContext(TypedDict):
    """`session/inject_context`: add to the transcript without asking for an answer. Give `content` or `text`."""

    session_id: str
    content: NotRequired[PromptText | None]
    text: NotRequired[str | None]
    source: NotRequired[str | None]
    idempotency_key: NotRequired[str | None]


class ContextInjected(TypedDict):
    """Result of `session/inject_context`. `staged`: durable, and in the history with the running turn's commit."""

    session_id: str
    status: Literal["applied", "staged", "duplicate"]


class SessionLabel(TypedDict):
    """`session/label`: set (text) or remove (null) labels, leave the others."""

    session_id: str
    labels: dict[str, str | None]


class SessionLabels(TypedDict):
    """Result of `session/label`."""

    session_id: str
    labels: dict[str, str]


class SessionList(TypedDict):
    """`session/list`: newest change first."""

    labels: NotRequired[dict[str, str] | None]
    limit: NotRequired[int]
    offset: NotRequired[int]
    include_archived: NotRequired[bool]


class SessionSummary(TypedDict):
    """One row of the list. Times are Unix seconds."""

    session_id: str
    session_ref: str
    created_at: int
    updated_at: int
    message_count: int
    total_tokens: int
    is_active: bool
    archived: bool
    title: str
    model: str
    provider: str
    realm_id: str
    instance_id: NotRequired[str]
    backend: str
    config_generation: int
    labels: NotRequired[dict[str, str]]


class SessionPage(TypedDict):
    """Result of `session/list`."""

    sessions: list[SessionSummary]


class SessionRead(TypedDict):
    """`session/read`: what a session is and how its last turn ended."""

    session_id: str


class StreamClose(TypedDict):
    """`session/stream_close`."""

    stream_id: str


class StreamClosed(TypedDict):
    """Result of `session/stream_close`."""

    stream_id: str
    closed: bool
    already_closed: bool


class StreamOpen(TypedDict):
    """`session/stream_open`: follow a session's events."""

    session_id: str
    cursor: NotRequired[int | None]
    until: NotRequired[Literal["closed", "turn_end"]]


class StreamOpened(TypedDict):
    """Result of `session/stream_open`. `cursor` is where the stream begins."""

    stream_id: str
    session_id: str
    opened: bool
    cursor: int
    active_turn: NotRequired[ActiveTurn]


class ToolDefinition(TypedDict):
    name: str
    description: str
    input_schema: dict[str, Any]


class ToolsRegister(TypedDict):
    """`tools/register`: offer tools to the turns of this realm for as long as this connection lives."""

    tools: list[ToolDefinition]


class ToolsRegistered(TypedDict):
    """Result of `tools/register`."""

    registered: int


class TurnInterrupt(TypedDict):
    """`turn/interrupt`: cancel the running turn. The reply comes after what was produced is committed."""

    session_id: str
    turn_id: NotRequired[str | None]


class TurnInterrupted(TypedDict):
    """Result of `turn/interrupt`. `outcome` is `completed` when the turn finished before the interrupt reached it."""

    session_id: str
    turn_id: str
    interrupted: bool
    result: Literal["interrupted"]
    outcome: Literal["completed", "interrupted", "failed"]


class TurnRead(TypedDict):
    """`turn/read`: how a turn ended and what each of its tool calls did."""

    session_id: str
    turn_id: NotRequired[str | None]


class TurnStart(TypedDict):
    """`turn/start`: run one turn. SESSION_BUSY at once when another one runs."""

    session_id: str
    prompt: str | list[PromptText | PromptImage]
    model: NotRequired[str | None]
    provider: NotRequired[str | None]
    max_tokens: NotRequired[int | None]
    temperature: NotRequired[float | None]
    provider_params: NotRequired[dict[str, Any] | None]
    additional_instructions: NotRequired[list[str] | None]
    output_schema: NotRequired[dict[str, Any] | None]
    structured_output_retries: NotRequired[int | None]
    tools: NotRequired[Literal["none", "safe", "workspace", "full"] | None]
    budget_limits: NotRequired[BudgetLimits | None]
    session_budget_limits: NotRequired[BudgetLimits | None]
    session_events: NotRequired[bool]
    idempotency_key: NotRequired[str | None]


class UsageRead(TypedDict):
    """`usage/read`: what was used and what it cost."""

    by: NotRequired[Literal["session", "realm", "model", "day"]]
    since: NotRequired[str | None]
    until: NotRequired[str | None]
    session_id: NotRequired[str | None]
    all_realms: NotRequired[bool]
    limit: NotRequired[int]


class UsageLine(TypedDict):
    """The sum of some calls. `key` is the session's id, the realm's, the model's name or the day, as was asked."""

    key: str
    realm_id: NotRequired[str]
    title: NotRequired[str]
    calls: int
    estimated_calls: int
    tool_calls: int
    duration_ms: int
    usage: Usage
    cost: NotRequired[Cost]


class UsageProblem(TypedDict):
    """A realm that could not be read, and is not in the sums."""

    realm_id: str
    message: str


class UsageReport(TypedDict):
    """Result of `usage/read`. Days come in their order, anything else with the most expensive first."""

    by: Literal["session", "realm", "model", "day"]
    rows: list[UsageLine]
    total: UsageLine
    omitted: int
    problems: list[UsageProblem]
    prices_as_of: str


class ConfigChanged(TypedDict):
    """The notification `config/changed`. `problem` is set when the file now says something that cannot be used."""

    watch_id: str
    realm_id: str
    generation: int
    problem: NotRequired[str]


class ConfigWatchEnd(TypedDict):
    """The notification `config/watch_end`: nothing more comes, for the realm was deleted."""

    watch_id: str
    realm_id: str
    outcome: str


class DaemonLeaving(TypedDict):
    """The notification `daemon/leaving`, the last one of a connection. What was begun is still answered; a request that"""

    reason: Literal["stop", "restart", "idle"]


class EventEnvelope(TypedDict):
    event_id: str
    source: EventSource
    seq: int
    timestamp_ms: int
    payload: RunStarted | RunCompleted | RunFailed | TurnStarted | Delta | Complete | ToolCallRequested | ToolExecutionStarted | ToolExecutionCompleted | ToolExecutionTimedOut | ToolResultReceived | TurnCompleted | Retrying | BudgetWarning | CompactionStarted | CompactionCompleted | CompactionFailed | ToolConfigChanged | ApprovalChanged | StreamTruncated


class SessionEvent(TypedDict):
    """Notification `session/event`: an event of a turn that this connection started."""

    session_id: str
    event: EventEnvelope


class StreamEvent(TypedDict):
    """Notification `session/stream_event`. `sequence` counts within the stream, from 1; `event.seq` is the cursor."""

    stream_id: str
    sequence: int
    session_id: str
    event: EventEnvelope


class StreamEnd(TypedDict):
    """Notification `session/stream_end`."""

    stream_id: str
    session_id: str
    ended: bool
    outcome: Literal["remote_end", "explicit_close", "terminal_error"]
