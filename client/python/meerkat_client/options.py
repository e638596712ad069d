"""What a caller may choose: for a client, for a session, for a turn. Both clients take the same.

They are typed dictionaries, so that the two clients and their many methods spell each option once.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from .errors import RkatError
from .wire.credentials import from_environment
from .wire.version import PROTOCOL_MAX, PROTOCOL_MIN, VERSION

if TYPE_CHECKING:
    # Generated, and of a hundred shapes: what loads them pays for all.
    from .types import Budget, Initialized, PromptImage, PromptText

Prompt = str | Sequence["PromptText | PromptImage"]
"""Text, or blocks of text and images."""


class ConnectOptions(TypedDict, total=False):
    """How a client finds its daemon and its realm; every option may be left out.

    realm_id, workspace and isolated name the realm, at most one of them: by its id, by a folder, or a fresh one, which
    is also what none of them means. `instance_id` is a name of the caller's own, told to those who find a session
    busy. `realm_backend` is a hint for a realm that does not exist yet. `state_root` leads to another daemon.
    `credentials` are `{provider: {"api_key", "base_url"}}`, by default those of the environment. `surface` and `name`
    say who calls. `start` tells whether a daemon is started when none runs, and `deadline` how many seconds that and
    connecting may take together.
    """

    realm_id: str | None
    workspace: str | os.PathLike[str] | None
    isolated: bool
    instance_id: str | None
    realm_backend: Literal["sqlite", "jsonl", "redb", "memory"] | None
    state_root: str | os.PathLike[str] | None
    credentials: Mapping[str, Mapping[str, str]] | None
    surface: str
    name: str | None
    start: bool
    deadline: float


class TurnOptions(TypedDict, total=False):
    """Options of one turn. The model stays that of the session from this turn on, the others count for it alone.

    `additional_instructions` are said with the system prompt.
    `output_schema` is JSON Schema of the answer, which is then in the result as `structured_output`, and
    `structured_output_retries` how often an answer that does not fit is asked for again (2).
    `tools` is how much the built-in tools may do.
    `budget_limits` is what this turn may use at most, or, of a session, each of its turns: `max_tokens`,
    `max_duration` in seconds, `max_tool_calls` and `max_cost` in dollars. `session_budget_limits` is the same for all
    turns of the session together, from now on.

    A key of one's own makes a request safe to repeat from another process; without one the client makes one up.
    """

    model: str | None
    provider: str | None
    max_tokens: int | None
    temperature: float | None
    provider_params: dict[str, Any] | None
    additional_instructions: list[str] | None
    output_schema: dict[str, Any] | None
    structured_output_retries: int | None
    tools: Literal["none", "safe", "workspace", "full"] | None
    budget_limits: "Budget | None"
    session_budget_limits: "Budget | None"
    idempotency_key: str | None


class CreateOptions(TurnOptions, total=False):
    """Options of a session; they hold for all of its turns.

    `workspace` is the folder that the built-in tools work in, absolute; `enable_builtins` and `enable_shell` are the
    public contract's spelling of `tools`.
    """

    system_prompt: str | None
    project_instructions: bool | None
    workspace: str | None
    enable_builtins: bool | None
    enable_shell: bool | None
    labels: dict[str, str] | None


class UsageOptions(TypedDict, total=False):
    """Which usage to read, and what each row is of. Days are those of UTC, as `2026-11-23`; both ends count."""

    by: Literal["session", "realm", "model", "day"]
    since: str | None
    until: str | None
    session_id: str | None
    all_realms: bool
    limit: int


def check(options: ConnectOptions) -> ConnectOptions:
    """The options, if all of them are known: misspelling one must not lead to another realm.

    Raises:
        TypeError: as for any misspelt argument.
    """
    unknown = sorted(set(options) - set(ConnectOptions.__annotations__))
    if unknown:
        raise TypeError(f"got an unexpected option {unknown[0]!r}")
    return options


def initialize_params(options: ConnectOptions, *, realm_id: str | None = None) -> dict[str, Any]:
    """Params of `initialize`.

    Args:
        realm_id: the realm of an earlier connection, which this one is to have too.
    """
    credentials = options.get("credentials")
    if credentials is None:
        credentials = from_environment(os.environ)
    params: dict[str, Any] = {
        "client": {
            "name": options.get("name") or program_name(),
            "version": VERSION,
            "surface": options.get("surface", "sdk"),
            "pid": os.getpid(),
        },
        "protocol": {"min": PROTOCOL_MIN, "max": PROTOCOL_MAX},
        "instance_id": options.get("instance_id"),
        "backend": options.get("realm_backend"),
        "credentials": {provider: dict(keys) for provider, keys in credentials.items()} or None,
    }
    params |= {"realm_id": realm_id} if realm_id is not None else realm_choice(options)
    return {name: value for name, value in params.items() if value is not None}


def realm_choice(options: ConnectOptions) -> dict[str, Any]:
    """What the options say about the realm; the daemon judges contradictions."""
    workspace = options.get("workspace")
    return {
        "realm_id": options.get("realm_id"),
        "workspace": os.path.abspath(workspace) if workspace is not None else None,
        "isolated": options.get("isolated") or None,
    }


def state_root(options: ConnectOptions) -> str | None:
    chosen = options.get("state_root")
    return os.fspath(chosen) if chosen is not None else None


def program_name() -> str:
    """What the running program is called, for those who find a session busy with it."""
    name = os.path.basename(sys.argv[0]) if sys.argv else ""
    return name if name and not name.startswith("-") else "python"


def explain(error: RkatError, info: "Initialized | None") -> RkatError:
    """The error with a better hint, where the versions of both sides are the likely cause.

    Args:
        info: None before the first connection.
    """
    if error.code == "METHOD_NOT_FOUND" and info is not None:
        theirs = info["server_info"]["version"]
        if theirs != VERSION:
            error.hint = f"The daemon is {theirs}, this client {VERSION}: `rkat daemon restart` brings them together."
    return error
