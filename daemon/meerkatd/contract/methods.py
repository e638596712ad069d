"""Every method of the daemon: name, params, result, one line. Sorted by name; the dispatcher has a handler for each."""

from typing import Any, NamedTuple

from . import (
    approval,
    blob,
    capability,
    config,
    connection,
    daemon,
    event,
    mcp,
    model,
    realm,
    replay,
    runtime,
    session,
    tool,
    turn,
    usage,
)
from .base import Params


class Method(NamedTuple):
    name: str
    params: type[Params]
    result: Any
    summary: str


METHODS: tuple[Method, ...] = (
    Method("approval/decide", approval.ApprovalDecide, approval.Approval, "Allow or deny a tool call that waits."),
    Method("approval/get", approval.ApprovalGet, approval.Approval, "One approval."),
    Method("approval/list", approval.ApprovalList, approval.ApprovalPage, "Tool calls that wait for a person."),
    Method("blob/get", blob.BlobGet, blob.BlobContent, "The bytes of a blob that a message names."),
    Method("capabilities/get", capability.CapabilitiesGet, capability.Capabilities, "What this daemon can do."),
    Method("config/get", config.ConfigGet, config.ConfigEnvelope, "The realm's config and its generation."),
    Method(
        "config/patch",
        config.ConfigPatch,
        config.ConfigEnvelope,
        "Change the realm's config by a JSON merge patch.",
    ),
    Method("config/schema", config.ConfigSchemaParams, config.ConfigSchema, "JSON Schema of a config document."),
    Method("config/set", config.ConfigSet, config.ConfigEnvelope, "Replace the realm's config."),
    Method("config/unwatch", config.ConfigUnwatch, config.ConfigUnwatched, "Stop watching the config."),
    Method("config/watch", config.ConfigWatch, config.ConfigWatched, "Be told of each new generation of the config."),
    Method(
        "daemon/examine",
        daemon.DaemonExamine,
        daemon.DaemonExamined,
        "What is wrong with disk, realms and providers, and how to mend it.",
    ),
    Method(
        "daemon/listen",
        daemon.DaemonListen,
        daemon.DaemonListening,
        "Open a door on loopback TCP, for web pages.",
    ),
    Method(
        "daemon/restart",
        daemon.DaemonRestart,
        daemon.DaemonRestarting,
        "Let turns end up to a deadline, then go on with the installed program.",
    ),
    Method(
        "daemon/status",
        daemon.DaemonStatusParams,
        daemon.DaemonStatus,
        "What the daemon is and holds right now.",
    ),
    Method("daemon/stop", daemon.DaemonStop, daemon.DaemonStopping, "Let turns end up to a deadline, then exit."),
    Method("events/latest_cursor", replay.EventsLatestCursor, replay.LatestCursor, "Where a session's events stand."),
    Method("events/list_since", replay.EventsListSince, replay.EventPage, "A session's events after a cursor."),
    Method("events/snapshot", replay.EventsSnapshot, replay.EventsSnapshotResult, "A session and its cursor, at once."),
    Method("initialize", connection.Initialize, connection.Initialized, "The first request of every connection."),
    Method("mcp/add", mcp.McpAdd, mcp.McpChanged, "Give a session, or its realm, an MCP server."),
    Method("mcp/list", mcp.McpList, mcp.McpServers, "The MCP servers of a session or of the realm, and how they are."),
    Method("mcp/reload", mcp.McpReload, mcp.McpChanged, "End MCP servers and start them again."),
    Method("mcp/remove", mcp.McpRemove, mcp.McpChanged, "Take an MCP server from a session, or from its realm."),
    Method("models/catalog", model.ModelsCatalog, model.Catalog, "Models known by name, and which can be used."),
    Method("realm/backup", realm.RealmBackup, realm.RealmCopied, "Copy a realm's folder while it is used."),
    Method("realm/check", realm.RealmCheck, realm.RealmChecked, "Read a realm through, and say what is wrong."),
    Method("realm/convert", realm.RealmConvert, realm.RealmCopied, "Give a realm another backend."),
    Method("realm/create", realm.RealmCreate, realm.RealmDetails, "Make a realm and pin its backend."),
    Method("realm/current", realm.RealmCurrent, realm.RealmInfo, "The realm of this connection."),
    Method("realm/delete", realm.RealmDelete, realm.RealmDeleted, "Move a realm to the trash."),
    Method("realm/empty_trash", realm.RealmEmptyTrash, realm.TrashPage, "Delete for good what is in the trash."),
    Method("realm/export", realm.RealmExport, realm.RealmCopied, "Write a realm into one file for any backend."),
    Method("realm/import", realm.RealmImport, realm.RealmCopied, "Make a realm of an exported file."),
    Method("realm/list", realm.RealmList, realm.RealmPage, "Every realm of this state root."),
    Method("realm/prune", realm.RealmPrune, realm.RealmPruned, "Move realms that nobody uses to the trash."),
    Method("realm/restore", realm.RealmRestore, realm.RealmDetails, "Bring a realm back from the trash."),
    Method("realm/restore_backup", realm.RealmRestoreBackup, realm.RealmCopied, "Make a realm of a backup."),
    Method("realm/show", realm.RealmShow, realm.RealmDetails, "One realm, with its counts."),
    Method("realm/trash", realm.RealmTrash, realm.TrashPage, "Realms in the trash, newest first."),
    Method(
        "runtime/capabilities",
        runtime.RuntimeCapabilitiesParams,
        runtime.RuntimeCapabilities,
        "Which features of the public contract are here.",
    ),
    Method("runtime/health", runtime.RuntimeHealthParams, runtime.RuntimeHealth, "Whether the daemon is well."),
    Method(
        "runtime/host_info",
        runtime.RuntimeHostInfoParams,
        runtime.RuntimeHostInfo,
        "The daemon as a host: process, features, health, realm.",
    ),
    Method(
        "session/archive",
        session.SessionArchive,
        session.SessionArchived,
        "Take it off the list, keep its history.",
    ),
    Method(
        "session/compact",
        session.SessionCompact,
        session.SessionCompacted,
        "Let a summary stand for the older part of what the model sees.",
    ),
    Method(
        "session/create",
        session.SessionCreate,
        turn.RunResult | session.SessionDeferred,
        "A new session and its first turn.",
    ),
    Method(
        "session/external_event",
        session.SessionExternalEvent,
        session.ExternalEventOutcome,
        "Tell a session of something that happened outside.",
    ),
    Method(
        "session/fork_at",
        session.SessionForkAt,
        session.SessionForked,
        "A new session with the first messages of another one.",
    ),
    Method(
        "session/history",
        session.SessionHistoryParams,
        session.SessionHistory,
        "Committed messages, oldest first.",
    ),
    Method(
        "session/inject_context",
        session.SessionInjectContext,
        session.ContextInjected,
        "Add to the transcript without running a turn.",
    ),
    Method("session/label", session.SessionLabel, session.SessionLabels, "Set or remove labels."),
    Method("session/list", session.SessionList, session.SessionPage, "Sessions, newest change first."),
    Method("session/read", session.SessionRead, session.SessionInfo, "One session and how its last turn ended."),
    Method("session/stream_close", event.StreamClose, event.StreamClosed, "Stop following."),
    Method(
        "session/stream_open",
        event.StreamOpen,
        event.StreamOpened,
        "Follow a session's events from any cursor.",
    ),
    Method(
        "session/unarchive",
        session.SessionArchive,
        session.SessionArchived,
        "Put an archived session back on the list.",
    ),
    Method(
        "tools/register",
        tool.ToolsRegister,
        tool.ToolsRegistered,
        "Offer tools that this client carries out.",
    ),
    Method(
        "turn/interrupt",
        turn.TurnInterrupt,
        turn.TurnInterrupted,
        "Cancel the running turn, from any client.",
    ),
    Method("turn/read", turn.TurnRead, turn.TurnInfo, "How a turn ended, and what its tool calls did."),
    Method("turn/start", turn.TurnStart, turn.RunResult, "Run a turn; SESSION_BUSY while another one runs."),
    Method("usage/read", usage.UsageRead, usage.UsageReport, "What calls of models used and cost."),
)

NAMES: tuple[str, ...] = tuple(method.name for method in METHODS)
