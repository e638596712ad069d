"""The Python client of meerkatd.

    from meerkat_client import MeerkatClient

    async with MeerkatClient(workspace=".") as client:
        session = await client.create_session("Hello")
        print(session.text)

`meerkat_client.blocking` has the same names without `await`. `BlockingClient` makes single requests by their names.

Names are loaded when they are used: the daemon and the shims import only `meerkat_client.wire`, the ground floor.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._async.client import MeerkatClient
    from ._async.session import DeferredSession, Session
    from ._async.streams import EventStream, EventSubscription
    from ._sync import BlockingClient
    from .errors import (
        BudgetExhaustedError,
        CapabilityUnavailableError,
        ConfigConflictError,
        ConfigError,
        ConnectionLostError,
        DaemonError,
        ProviderError,
        RealmError,
        RequestError,
        RkatError,
        SessionArchivedError,
        SessionBusyError,
        SessionError,
        SessionNotFoundError,
        SessionNotRunningError,
        StaleCursorError,
        StorageError,
        StructuredOutputError,
        TurnError,
        TurnInterruptedError,
        TurnLostError,
        VersionMismatchError,
    )
    from .errors import RkatError as MeerkatError
    from .events import (
        BudgetWarning,
        CompactionCompleted,
        CompactionFailed,
        CompactionStarted,
        Event,
        EventEnvelope,
        ReasoningComplete,
        ReasoningDelta,
        Retrying,
        RunCompleted,
        RunFailed,
        RunStarted,
        StreamTruncated,
        TextComplete,
        TextDelta,
        ToolCallRequested,
        ToolExecutionCompleted,
        ToolExecutionStarted,
        ToolExecutionTimedOut,
        ToolResultReceived,
        TurnCompleted,
        TurnStarted,
        UnknownEvent,
    )
    from .history import (
        SessionAssistantBlock,
        SessionExternalEvent,
        SessionHistory,
        SessionMessage,
        SessionToolCall,
        SessionToolResult,
    )
    from .options import ConnectOptions, CreateOptions, TurnOptions
    from .results import (
        ActiveTurn,
        Capability,
        CatalogModel,
        CatalogProvider,
        Cost,
        InterruptResult,
        ModelsCatalog,
        RunResult,
        SchemaWarning,
        SessionDetails,
        SessionSummary,
        Usage,
    )

_NAMES = {
    "_async.client": ("MeerkatClient",),
    "_async.session": ("DeferredSession", "Session"),
    "_async.streams": ("EventStream", "EventSubscription"),
    "_sync": ("BlockingClient",),
    "errors": (
        "BudgetExhaustedError", "CapabilityUnavailableError", "ConfigConflictError", "ConfigError",
        "ConnectionLostError", "DaemonError", "ProviderError", "RealmError", "RequestError", "RkatError",
        "SessionArchivedError", "SessionBusyError", "SessionError", "SessionNotFoundError", "SessionNotRunningError",
        "StaleCursorError", "StorageError", "StructuredOutputError", "TurnError", "TurnInterruptedError",
        "TurnLostError", "VersionMismatchError",
    ),
    "events": (
        "BudgetWarning", "CompactionCompleted", "CompactionFailed", "CompactionStarted", "Event", "EventEnvelope",
        "ReasoningComplete", "ReasoningDelta", "Retrying", "RunCompleted",
        "RunFailed", "RunStarted", "StreamTruncated", "TextComplete", "TextDelta", "ToolCallRequested",
        "ToolExecutionCompleted", "ToolExecutionStarted", "ToolExecutionTimedOut", "ToolResultReceived",
        "TurnCompleted", "TurnStarted", "UnknownEvent",
    ),
    "history": (
        "SessionAssistantBlock", "SessionExternalEvent", "SessionHistory", "SessionMessage", "SessionToolCall",
        "SessionToolResult",
    ),
    "options": ("ConnectOptions", "CreateOptions", "TurnOptions"),
    "results": (
        "ActiveTurn", "Capability", "CatalogModel", "CatalogProvider", "Cost", "InterruptResult", "ModelsCatalog",
        "RunResult", "SchemaWarning", "SessionDetails", "SessionSummary", "Usage",
    ),
}  # fmt: skip
_HOMES = {name: home for home, names in _NAMES.items() for name in names}
# The public contract's name of the base of all errors.
_ALIASES = {"MeerkatError": "RkatError"}

__all__ = [
    "ActiveTurn",
    "BlockingClient",
    "BudgetExhaustedError",
    "BudgetWarning",
    "Capability",
    "CapabilityUnavailableError",
    "CatalogModel",
    "CatalogProvider",
    "CompactionCompleted",
    "CompactionFailed",
    "CompactionStarted",
    "ConfigConflictError",
    "ConfigError",
    "ConnectOptions",
    "ConnectionLostError",
    "Cost",
    "CreateOptions",
    "DaemonError",
    "DeferredSession",
    "Event",
    "EventEnvelope",
    "EventStream",
    "EventSubscription",
    "InterruptResult",
    "MeerkatClient",
    "MeerkatError",
    "ModelsCatalog",
    "ProviderError",
    "RealmError",
    "ReasoningComplete",
    "ReasoningDelta",
    "RequestError",
    "Retrying",
    "RkatError",
    "RunCompleted",
    "RunFailed",
    "RunResult",
    "RunStarted",
    "SchemaWarning",
    "Session",
    "SessionArchivedError",
    "SessionAssistantBlock",
    "SessionBusyError",
    "SessionDetails",
    "SessionError",
    "SessionExternalEvent",
    "SessionHistory",
    "SessionMessage",
    "SessionNotFoundError",
    "SessionNotRunningError",
    "SessionSummary",
    "SessionToolCall",
    "SessionToolResult",
    "StaleCursorError",
    "StorageError",
    "StreamTruncated",
    "StructuredOutputError",
    "TextComplete",
    "TextDelta",
    "ToolCallRequested",
    "ToolExecutionCompleted",
    "ToolExecutionStarted",
    "ToolExecutionTimedOut",
    "ToolResultReceived",
    "TurnCompleted",
    "TurnError",
    "TurnInterruptedError",
    "TurnLostError",
    "TurnOptions",
    "TurnStarted",
    "UnknownEvent",
    "Usage",
    "VersionMismatchError",
]


def __getattr__(name: str) -> Any:
    real = _ALIASES.get(name, name)
    home = _HOMES.get(real)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f".{home}", __name__), real)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
