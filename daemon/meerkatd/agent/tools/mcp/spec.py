"""What an MCP server is: how it is started or reached. Values, no I/O."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ....contract.mcp import McpServerConfig

# A server that is fetched when it is first started takes longer than that; then its tools come with a later answer.
STARTUP_SECONDS = 15.0
# As providers take the name of a function.
_MAX_NAME = 64
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
_DIGEST_CHARS = 6
# Shorter ones, such as `1`, are no secrets, and taking them out would make nonsense of every text.
_MIN_SECRET_CHARS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSpec:
    """A server: either `command` or `url`.

    Attributes:
        cwd: the folder that the command runs in; None for the session's workspace, or the home directory.
        env: variables beside the few that every server gets.
        headers: for every request to `url`.
        startup_timeout: seconds that a turn waits for it to be ready before it goes on without.
    """

    name: str
    command: str | None = None
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str | None = None
    url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    startup_timeout: float = STARTUP_SECONDS

    @classmethod
    def of(cls, name: str, config: McpServerConfig) -> "ServerSpec":
        """The server that a config describes."""
        return cls(
            name=name,
            command=os.path.expanduser(config.command) if config.command is not None else None,
            args=tuple(config.args),
            env=config.env,
            cwd=config.cwd,
            url=config.url,
            headers=config.headers,
            startup_timeout=config.startup_timeout or STARTUP_SECONDS,
        )

    def without_secrets(self, text: str) -> str:
        """`text` with the values of variables and headers taken out: what a server says of itself may have them."""
        for value in {*self.env.values(), *self.headers.values()}:
            if len(value) >= _MIN_SECRET_CHARS:
                text = text.replace(value, "***")
        return text

    def key(self, *, realm_id: str, folder: str) -> str:
        """Names the one process that all sessions of a realm share which mean the same server.

        Args:
            folder: in which it runs.
        """
        parts = [realm_id, self.name, self.command, self.args, dict(self.env), self.url, dict(self.headers), folder]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def tool_name(server: str, tool: str) -> str:
    """The name under which a model sees a server's tool: `mcp__SERVER__TOOL`, in characters that providers take.

    One that is too long ends in a digest of the whole, so that two of them stay two.
    """
    name = _NOT_IN_NAMES.sub("_", f"mcp__{server}__{tool}")
    if len(name) <= _MAX_NAME:
        return name
    digest = hashlib.sha256(f"{server}\0{tool}".encode()).hexdigest()[:_DIGEST_CHARS]
    return f"{name[: _MAX_NAME - _DIGEST_CHARS - 1]}_{digest}"
