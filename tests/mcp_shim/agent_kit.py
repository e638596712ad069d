"""`rkat-mcp` as agents have it: a real process on pipes, and a real daemon of the test's own that it starts itself."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mcp import Client as McpClient
from mcp import StdioServerParameters
from mcp.types import CallToolResult, Implementation
from tests.rpc.rpc_kit import Client, Place

_SCRIPT = "#!{python}\nimport sys\nfrom rkat_shims.{shim}.__main__ import main\nsys.exit(main())\n"
_HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}


class AgentPlace(Place):
    """A home, a state root and an environment, and an `rkat-mcp` to run in them; `rkat-rpc` and `rkat-rest` too."""

    def __init__(self) -> None:
        super().__init__()
        self.rpc = self.program
        self.program = self._script("mcp")

    def _script(self, shim: str) -> Any:
        path = self.root / "bin" / f"rkat-{shim}"
        path.write_text(_SCRIPT.format(python=sys.executable, shim=shim))
        path.chmod(0o755)
        return path

    def raw(self, *arguments: str) -> Client:
        """A client that reads and writes lines of its own, past the handshake."""
        client = self.client(*arguments)
        client.call("initialize", _HELLO)
        client.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return client

    def rpc_client(self, realm: str) -> Client:
        """A client on another surface."""
        mine, self.program = self.program, self.rpc
        try:
            return self.client("--realm", realm)
        finally:
            self.program = mine

    @asynccontextmanager
    async def agent(self, *arguments: str, mode: Any = "legacy", **more: Any) -> AsyncIterator[McpClient]:
        """The official client, and a server of its own."""
        server = StdioServerParameters(
            command=str(self.program), args=list(arguments), env=self.env, cwd=str(self.root)
        )
        async with McpClient(server, mode=mode, client_info=Implementation(name="an-agent", version="1"), **more) as it:
            yield it


def tool(client: Client, name: str, **arguments: Any) -> dict[str, Any]:
    """The structured result of a tool, by a raw client; errors too."""
    return client.call("tools/call", {"name": name, "arguments": arguments})["structuredContent"]


def text(result: CallToolResult) -> str:
    """What a client without structured results would show."""
    return "\n".join(block.text for block in result.content if block.type == "text")
