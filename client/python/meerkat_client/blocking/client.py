"""The blocking client, the twin of the asynchronous one."""

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack

from .. import requests
from ..errors import RkatError
from ..history import SessionHistory
from ..options import ConnectOptions, CreateOptions, Prompt, UsageOptions, check
from ..results import Capability, ModelsCatalog, SessionDetails, SessionSummary
from ..tools import Toolbox
from .link import Link
from .session import DeferredSession, Session
from .streams import EventStream, EventSubscription

if TYPE_CHECKING:
    # Generated, and of a hundred shapes: what loads them pays for all.
    from ..types import (
        Approval,
        BlobContent,
        ConfigEnvelope,
        ContextInjected,
        ExternalEventOutcome,
        Initialized,
        McpChanged,
        McpServerInfo,
        UsageReport,
    )

Handler = Callable[[dict[str, Any]], str | list[dict[str, Any]]]
H = TypeVar("H", bound=Handler)


class MeerkatClient:
    """A client of the daemon, bound to one realm; for one thread.

        with MeerkatClient(workspace=".") as client:
            session = client.create_session("Hello")
            print(session.text)

    The daemon is started when none runs. A connection that is lost is made again: what was asked goes on, nothing runs
    twice, and a turn that was lost with its daemon is told as `TurnLostError`. Turns belong to the daemon: they go on
    when this program ends. Ctrl-C during a turn interrupts it; what it had produced is kept.

    Args:
        options: see `ConnectOptions`.
    """

    def __init__(self, **options: Unpack[ConnectOptions]) -> None:
        self._options = check(options)
        self._tools: Toolbox[Handler] = Toolbox()
        self._link_or_none: Link | None = None
        self._capabilities: tuple[Capability, ...] = ()

    def __repr__(self) -> str:
        return f"<MeerkatClient {self._link_or_none!r}>"

    # Connection

    def connect(self, **options: Unpack[ConnectOptions]) -> Self:
        """Connect now, with these options on top of those of the constructor. `async with` does so by itself.

        Connect and close in the same task.

        Raises:
            DaemonError: no daemon can be reached or started, or it is of another version.
            RkatError: what `initialize` answered, such as REALM_BACKEND_MISMATCH.
        """
        if self._link_or_none is not None:
            raise RkatError("INVALID_REQUEST", "This client is connected already.", hint="Close it first.")
        chosen: ConnectOptions = {**self._options, **check(options)}
        link = Link(chosen, self._tools)
        link.open()
        try:
            self._capabilities = link.ask(requests.capabilities())
        except BaseException:
            link.close()
            raise
        self._link_or_none = link
        return self

    def close(self) -> None:
        """End the connection; turns go on without it. Safe to call twice."""
        link, self._link_or_none = self._link_or_none, None
        if link is not None:
            link.close()

    def __enter__(self) -> Self:
        return self if self._link_or_none is not None else self.connect()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _link(self) -> Link:
        if self._link_or_none is None:
            raise RkatError(
                "DAEMON_UNAVAILABLE",
                "This client is not connected.",
                retryable=False,
                hint="Use it in `async with`, or connect it first.",
            )
        return self._link_or_none

    @property
    def info(self) -> "Initialized":
        """What the daemon said of itself: server_info, pid, methods, limits."""
        return self._link.info

    @property
    def realm_id(self) -> str:
        return self._link.info["realm_id"]

    @property
    def capabilities(self) -> tuple[Capability, ...]:
        """What the daemon can do, as of the time of connecting."""
        return self._capabilities

    def has_capability(self, capability_id: str) -> bool:
        return any(each.id == capability_id for each in self._capabilities)

    def require_capability(self, capability_id: str) -> None:
        """Raise `CapabilityUnavailableError` unless the daemon can do it."""
        if not self.has_capability(capability_id):
            raise RkatError("CAPABILITY_UNAVAILABLE", f"This daemon has no {capability_id}.")

    # Tools

    def tool(
        self, name: str, *, description: str = "", input_schema: Mapping[str, Any] | None = None
    ) -> Callable[[H], H]:
        """Offer a function of this program to the turns of the realm, while the client waits for something.

            @client.tool("stock", description="How many pieces of an item are in stock.", input_schema=...)
            def stock(arguments: dict) -> str:
                return str(count(arguments["item"]))

        What it returns goes to the model, and so does the text of an exception, as an error. Declare tools before
        connecting; one that is declared later is offered with the next request.

        Raises:
            RequestError: INVALID_PARAMS for a name or schema that cannot be offered.
        """
        decorate: Any = self._tools.declare(name, description, input_schema)
        return decorate  # type: ignore[no-any-return]

    # Sessions

    def create_session(self, prompt: Prompt, **options: Unpack[CreateOptions]) -> Session:
        """A new session, when its first turn has ended.

        Raises:
            TurnError: the first turn gave no result. The session is there: `client.session(error.session_id)`.
            ProviderError: PROVIDER_NOT_CONFIGURED; nothing was stored.
        """
        result = self._link.ask(requests.create(prompt, options))
        return Session(self._link, result.session_id, result.session_ref, result)

    def create_session_streaming(self, prompt: Prompt, **options: Unpack[CreateOptions]) -> EventStream:
        """A new session, with the events of its first turn as they come. It is created when the stream is entered."""
        return EventStream(self._link, requests.create(prompt, options), session=None)

    def create_deferred_session(self, prompt: Prompt, **options: Unpack[CreateOptions]) -> DeferredSession:
        """A new session that is stored with its prompt and waits for its first turn."""
        created = self._link.ask(requests.create_deferred(prompt, options))
        return DeferredSession(self._link, created["session_id"], created["session_ref"])

    def session(self, session_id: str) -> Session:
        """A session that exists, by id or by any other reference, such as `last`. Nothing is asked yet."""
        return Session(self._link, session_id)

    def list_sessions(
        self,
        *,
        labels: Mapping[str, str] | None = None,
        limit: int | None = None,
        offset: int | None = None,
        include_archived: bool = False,
    ) -> list[SessionSummary]:
        """Sessions, newest change first; 100 of them without a limit, and 1000 at most. All `labels` must match."""
        return self._link.ask(requests.list_sessions(labels, limit, offset, include_archived))

    def read_session(self, session_id: str) -> SessionDetails:
        """What a session is, and how its last turn ended."""
        return self.session(session_id).read()

    def read_session_history(self, session_id: str, *, offset: int = 0, limit: int | None = None) -> SessionHistory:
        """Committed messages, oldest first; 100 of them without a limit, and 1000 at most."""
        return self.session(session_id).history(offset, limit)

    def inject_context(
        self, session_id: str, text: str, *, source: str | None = None, idempotency_key: str | None = None
    ) -> "ContextInjected":
        """Add to a session's transcript without asking for an answer; see `Session.inject_context`."""
        return self.session(session_id).inject_context(text, source=source, idempotency_key=idempotency_key)

    def send_external_event(
        self,
        session_id: str,
        event_type: str,
        payload: Any,
        *,
        blocks: Sequence[Any] | None = None,
        source: str | None = None,
        idempotency_key: str | None = None,
    ) -> "ExternalEventOutcome":
        """Tell a session of something that happened outside; see `Session.send_external_event`."""
        return self.session(session_id).send_external_event(
            event_type, payload, blocks=blocks, source=source, idempotency_key=idempotency_key
        )

    def subscribe_session_events(self, session_id: str, *, cursor: int | None = None) -> EventSubscription:
        """Follow what happens in a session; see `Session.subscribe_events`."""
        return self.session(session_id).subscribe_events(cursor=cursor)

    # The realm

    def get_config(self, *, effective: bool = False) -> "ConfigEnvelope":
        """The realm's config and its generation; with `effective` all that counts, defaults included."""
        return self._link.ask(requests.get_config(effective))

    def set_config(
        self,
        config: Mapping[str, Any],
        *,
        expected_generation: int | None = None,
        idempotency_key: str | None = None,
    ) -> "ConfigEnvelope":
        """Replace the realm's config.

        Raises:
            ConfigConflictError: it has another generation than expected; nothing was changed.
        """
        return self._link.ask(requests.set_config(config, expected_generation, idempotency_key))

    def patch_config(
        self,
        patch: Mapping[str, Any],
        *,
        expected_generation: int | None = None,
        idempotency_key: str | None = None,
    ) -> "ConfigEnvelope":
        """Change the realm's config by a JSON merge patch (RFC 7396): None deletes. Raises as `set_config`."""
        return self._link.ask(requests.patch_config(patch, expected_generation, idempotency_key))

    def read_usage(self, **options: Unpack[UsageOptions]) -> "UsageReport":
        """What calls of models used and cost: `rows` by day, or as asked, and their `total`."""
        return self._link.ask(requests.usage(options))

    def mcp_add(
        self, session_id: str, server_name: str, server_config: Mapping[str, Any], *, persisted: bool = False
    ) -> "McpChanged":
        """Give a session an MCP server: `{"command", "args", "env", "cwd"}` or `{"url", "headers"}`.

        Its tools are there from the next call of the model on. With `persisted` it is the realm's, for all sessions.
        """
        return self._link.ask(requests.mcp_add(session_id, server_name, server_config, persisted))

    def mcp_remove(self, session_id: str, server_name: str, *, persisted: bool = False) -> "McpChanged":
        """Take an MCP server from a session, wherever it came from; with `persisted` from the realm."""
        return self._link.ask(requests.mcp_remove(session_id, server_name, persisted))

    def mcp_reload(self, session_id: str, server_name: str | None = None) -> "McpChanged":
        """End an MCP server of a session and start it again; all of them when none is named."""
        return self._link.ask(requests.mcp_reload(session_id, server_name))

    def mcp_list(self, session_id: str | None = None) -> "list[McpServerInfo]":
        """The MCP servers of a session, or those of the realm's config, and how they are."""
        return self._link.ask(requests.mcp_list(session_id))

    def list_approvals(
        self, *, session_id: str | None = None, states: Sequence[str] | None = None, limit: int | None = None
    ) -> "list[Approval]":
        """Tool calls that wait for a person, newest first; with `states` also those that have their answer."""
        return self._link.ask(requests.list_approvals(session_id, states, limit))

    def get_approval(self, approval_id: str) -> "Approval":
        """One approval, also after it was answered."""
        return self._link.ask(requests.get_approval(approval_id))

    def decide_approval(
        self, approval_id: str, decision: Literal["allow", "deny"], *, reason: str | None = None
    ) -> "Approval":
        """Answer an approval; the model is told the reason of a denial.

        Raises:
            RkatError: APPROVAL_DECIDED, somebody was faster, or its turn has ended; the details say who and when.
        """
        return self._link.ask(requests.decide_approval(approval_id, decision, reason))

    def get_models_catalog(self) -> ModelsCatalog:
        """Models known by name, and which can be used."""
        return self._link.ask(requests.models_catalog())

    def get_blob(self, blob_id: str) -> "BlobContent":
        """The bytes that a message names, as base64 in `data`.

        Raises:
            RequestError: BLOB_NOT_FOUND, the realm has no such blob.
        """
        return self._link.ask(requests.get_blob(blob_id))

    def call(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        """Any request of the method reference.

        Raises:
            ConnectionLostError: it may have been carried out or not; it is not asked again by itself.
        """
        return self._link.ask(requests.anything(method, params))
