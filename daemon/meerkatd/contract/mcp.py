"""MCP servers: how one is described, and those that a session has beside the config's."""

from typing import Annotated, Literal, NotRequired

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from typing_extensions import TypedDict

from .base import Params, SessionRef, Text
from .config_values import MAX_KEY_CHARS, BaseUrl, FilePath, Limit, Secret

# A command line that nobody could read any more.
MAX_ARGS = 200
MAX_VARIABLES = 200


def _header(name: str) -> str:
    if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
        raise ValueError("must be the name of a header, such as Authorization")
    return name


def _variable(name: str) -> str:
    if "=" in name:
        raise ValueError("must be the name of a variable, without =")
    return name


ServerName = Annotated[Text, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Variable = Annotated[Text, StringConstraints(min_length=1, max_length=200), AfterValidator(_variable)]
VariableValue = Annotated[Text, Field(max_length=MAX_KEY_CHARS, json_schema_extra={"writeOnly": True})]
HeaderName = Annotated[Text, StringConstraints(min_length=1, max_length=200), AfterValidator(_header)]


class McpServerConfig(Params):
    """An MCP server: a command that speaks the protocol on stdin and stdout, or the URL of an endpoint."""

    command: Annotated[Text, Field(min_length=1, max_length=4096)] | None = Field(
        default=None, description="A program, by its name or its path; not both command and url."
    )
    args: Annotated[list[Text], Field(max_length=MAX_ARGS)] = Field(default_factory=list)
    env: Annotated[dict[Variable, VariableValue], Field(max_length=MAX_VARIABLES)] = Field(
        default_factory=dict, repr=False, description="Variables beside the few that every server gets; secrets."
    )
    cwd: FilePath | None = Field(default=None, description="Where the command runs; default the workspace.")
    url: BaseUrl | None = Field(default=None, description="Streamable HTTP.")
    headers: Annotated[dict[HeaderName, Secret], Field(max_length=MAX_VARIABLES)] = Field(
        default_factory=dict, repr=False, description="For every request to the URL; secrets."
    )
    startup_timeout: Limit | None = Field(
        default=None, description="How long a turn waits for it to be ready, before it goes on without."
    )

    @model_validator(mode="after")
    def _one_way(self) -> "McpServerConfig":
        if (self.command is None) == (self.url is None):
            raise ValueError("give either command or url")
        if self.url is not None and (self.args or self.env or self.cwd is not None):
            raise ValueError("args, env and cwd are those of a command, not of a url")
        if self.command is not None and self.headers:
            raise ValueError("headers are those of a url, not of a command")
        return self


class NamedMcpServer(McpServerConfig):
    """The same with its name."""

    name: ServerName | None = None


class McpAdd(Params):
    """`mcp/add`: a server for one session, or with `persisted` for all of the realm. Its name stands in one of two
    places."""

    session_id: SessionRef
    server_name: ServerName | None = None
    server_config: NamedMcpServer
    persisted: bool = Field(False, description="Write it into the realm's config instead.")

    @model_validator(mode="after")
    def _named(self) -> "McpAdd":
        names = {self.server_name, self.server_config.name} - {None}
        if len(names) != 1:
            raise ValueError("give the server's name once, as server_config.name or as server_name")
        return self

    @property
    def name(self) -> str:
        return self.server_name or self.server_config.name or ""


class McpRemove(Params):
    """`mcp/remove`: the session has it no more, wherever it came from; with `persisted` the realm."""

    session_id: SessionRef
    server_name: ServerName
    persisted: bool = False


class McpReload(Params):
    """`mcp/reload`: end a server and start it again; all that the session has when none is named."""

    session_id: SessionRef
    server_name: ServerName | None = None
    persisted: bool = Field(False, description="Of no effect: what is in the config is read before each turn.")


class McpList(Params):
    """`mcp/list`: the servers of a session, or those of the realm's config."""

    session_id: SessionRef | None = None


class McpChanged(TypedDict):
    """Result of `mcp/add`, `mcp/remove`, `mcp/reload`. `staged`: it counts from the next call of the model on."""

    session_id: str
    operation: Literal["add", "remove", "reload"]
    server_name: NotRequired[str]
    status: Literal["staged", "applied", "rejected"]
    persisted: bool


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
