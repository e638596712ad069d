"""Every method of the daemon: name, params, result, one line. Sorted by name; the dispatcher has a handler for each."""

from typing import Any, NamedTuple

from . import connection, daemon, event, model, realm, session, tool, turn
from .base import Params


class Method(NamedTuple):
    name: str
    params: type[Params]
    result: Any
    summary: str


METHODS: tuple[Method, ...] = (
    Method(
        "daemon/status",
        daemon.DaemonStatusParams,
        daemon.DaemonStatus,
        "What the daemon is and holds right now.",
    ),
    Method("daemon/stop", daemon.DaemonStop, daemon.DaemonStopping, "Let turns end up to a deadline, then exit."),
    Method("initialize", connection.Initialize, connection.Initialized, "The first request of every connection."),
    Method("models/catalog", model.ModelsCatalog, model.Catalog, "Models known by name, and which can be used."),
    Method("realm/create", realm.RealmCreate, realm.RealmDetails, "Make a realm and pin its backend."),
    Method("realm/current", realm.RealmCurrent, realm.RealmInfo, "The realm of this connection."),
    Method("realm/list", realm.RealmList, realm.RealmPage, "Every realm of this state root."),
    Method("realm/show", realm.RealmShow, realm.RealmDetails, "One realm, with its counts."),
    Method(
        "session/archive",
        session.SessionArchive,
        session.SessionArchived,
        "Take it off the list, keep its history.",
    ),
    Method(
        "session/create",
        session.SessionCreate,
        turn.RunResult | session.SessionDeferred,
        "A new session and its first turn.",
    ),
    Method(
        "session/history",
        session.SessionHistoryParams,
        session.SessionHistory,
        "Committed messages, oldest first.",
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
)

NAMES: tuple[str, ...] = tuple(method.name for method in METHODS)
