"""THE table of tools: one line for each. A method of the daemon becomes a tool by a line here; what it takes and gives,
and what it is said to do, come from the contract."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from meerkat_client.errors import RkatError
from meerkatd.contract.base import Params
from meerkatd.contract.config import ConfigEnvelope
from meerkatd.contract.event import StreamOpened
from meerkatd.contract.methods import METHODS
from meerkatd.contract.replay import EventPage

from . import params


class Effect(NamedTuple):
    """What carrying it out does, as hints for the client: whether to ask its user first."""

    read_only: bool = False
    destructive: bool = False
    idempotent: bool = False
    open_world: bool = False


READS: Final = Effect(read_only=True, idempotent=True)
# A model answers, and its tools may do anything.
RUNS: Final = Effect(open_world=True)
ADDS: Final = Effect()
SETS: Final = Effect(idempotent=True)
STOPS: Final = Effect(destructive=True)

Ask = tuple[str, dict[str, Any]]
# These answer when a turn has ended.
TURNS: Final = ("session/create", "turn/start")


class Tool(NamedTuple):
    """One tool.

    Attributes:
        asks: the arguments -> the method and its params; None for what is not a single request.
        hides: fields of `params` that mean nothing to an agent.
        paths: fields of the result that tell of this machine's folders, left out unless asked for.
        judged: what it takes is judged here, because the daemon knows no such request.
    """

    name: str
    title: str
    effect: Effect
    summary: str
    params: type[Params]
    result: Any
    asks: Callable[[Mapping[str, Any]], Ask] | None
    hides: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    judged: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        """What it takes."""
        return tuple(name for name in self.params.model_fields if name not in self.hides)


_METHODS = {method.name: method for method in METHODS}


def _of(
    name: str,
    title: str,
    effect: Effect,
    method: str,
    *,
    more: str = "",
    hides: tuple[str, ...] = (),
    paths: tuple[str, ...] = (),
) -> Tool:
    """The tool that is one method."""
    known = _METHODS[method]
    summary = f"{known.summary} {more}".strip()
    return Tool(
        name, title, effect, summary, known.params, known.result, lambda given: (method, dict(given)), hides, paths
    )


def _config(given: Mapping[str, Any]) -> Ask:
    action = given.get("action")
    if action not in params.CONFIG_ACTIONS:
        raise _refused("action", f"action must be one of {', '.join(params.CONFIG_ACTIONS)}.")
    asked = {name: value for name, value in given.items() if name != "action"}
    for name in asked:
        if name not in params.CONFIG_ACTIONS[action].model_fields:
            raise _refused(name, f"{name} does not go with the action {action}.")
    return f"config/{action}", asked


def _refused(field: str, message: str) -> RkatError:
    return RkatError("INVALID_PARAMS", message, details={"field": field})


def _events(given: Mapping[str, Any]) -> Ask:
    scope = {"type": "session", "session_id": given["session_id"]}
    page = {"limit": given["limit"]} if "limit" in given else {}
    return "events/list_since", {"scope": scope, "cursor": {"scope": scope, "sequence": given.get("cursor", 0)}, **page}


_GOES_ON = "Takes as long as the turn; cancelling the request interrupts it."
_ON_CONNECTION = ("session_events",)

TOOLS: Final[tuple[Tool, ...]] = (
    _of("meerkat_run", "Start a session", RUNS, "session/create", more=_GOES_ON, hides=_ON_CONNECTION),
    _of("meerkat_resume", "Go on with a session", RUNS, "turn/start", more=_GOES_ON, hides=_ON_CONNECTION),
    _of("meerkat_read", "Read a session", READS, "session/read"),
    _of("meerkat_sessions", "List sessions", READS, "session/list"),
    _of("meerkat_history", "Read the messages", READS, "session/history"),
    _of("meerkat_turn", "Read a turn", READS, "turn/read"),
    _of("meerkat_interrupt", "Interrupt a turn", STOPS, "turn/interrupt"),
    _of("meerkat_archive", "Archive a session", SETS, "session/archive"),
    _of("meerkat_unarchive", "Unarchive a session", SETS, "session/unarchive"),
    _of("meerkat_fork", "Fork a session", ADDS, "session/fork_at"),
    _of("meerkat_label", "Label a session", SETS, "session/label"),
    _of("meerkat_compact", "Compact a session", ADDS, "session/compact"),
    _of("meerkat_inject_context", "Add context", ADDS, "session/inject_context"),
    _of("meerkat_external_event", "Tell of an event", ADDS, "session/external_event"),
    Tool(
        "meerkat_events",
        "List events",
        READS,
        _METHODS["events/list_since"].summary,
        params.Events,
        EventPage,
        _events,
        judged=True,
    ),
    Tool(
        "meerkat_event_stream_open",
        "Follow a session",
        READS,
        "Follow a session's events; read them with meerkat_event_stream_read.",
        params.EventStreamOpen,
        StreamOpened,
        None,
        judged=True,
    ),
    Tool(
        "meerkat_event_stream_read",
        "Next event",
        READS._replace(idempotent=False),
        "The next event of an open stream, or word that none came in time.",
        params.EventStreamRead,
        params.EventStreamItem,
        None,
        judged=True,
    ),
    Tool(
        "meerkat_event_stream_close",
        "Stop following",
        READS,
        "Close an open stream of events.",
        params.EventStreamClose,
        params.EventStreamClosed,
        None,
        judged=True,
    ),
    Tool(
        "meerkat_config",
        "Read or change the config",
        Effect(destructive=True),
        "Read, replace or patch the realm's config.",
        params.Config,
        ConfigEnvelope,
        _config,
        paths=("resolved_paths",),
    ),
    _of("meerkat_config_schema", "Schema of the config", READS, "config/schema"),
    _of("meerkat_blob_get", "Get a blob", READS, "blob/get"),
    _of("meerkat_usage", "Usage and costs", READS, "usage/read"),
    _of("meerkat_mcp_add", "Add an MCP server", RUNS, "mcp/add"),
    _of("meerkat_mcp_list", "List MCP servers", READS, "mcp/list"),
    _of("meerkat_mcp_reload", "Reload MCP servers", RUNS, "mcp/reload"),
    _of("meerkat_mcp_remove", "Remove an MCP server", STOPS, "mcp/remove"),
    _of("meerkat_capabilities", "Capabilities", READS, "capabilities/get"),
    _of("meerkat_models_catalog", "Models", READS, "models/catalog"),
    _of("meerkat_realm", "The realm", READS, "realm/current", paths=("path",)),
    _of("meerkat_realms", "List realms", READS, "realm/list", paths=("path",)),
)

BY_NAME: Final[Mapping[str, Tool]] = {tool.name: tool for tool in TOOLS}
# After these the list of sessions is another one.
CHANGES_LIST: Final = frozenset(
    ("meerkat_run", "meerkat_resume", "meerkat_archive", "meerkat_unarchive", "meerkat_fork", "meerkat_label")
)
