"""An MCP server of the official SDK on streamable HTTP, on a loopback port that it prints. It wants a header."""

import socket
import sys

import uvicorn
from mcp.server.mcpserver import MCPServer
from starlette.requests import Request
from starlette.responses import PlainTextResponse

server = MCPServer("http")


@server.tool()
def add(a: int, b: int) -> int:
    """The sum of two numbers."""
    return a + b


def main() -> None:
    app = server.streamable_http_app()

    async def guarded(scope, receive, send):
        if scope["type"] == "http" and Request(scope).headers.get("x-key") != sys.argv[1]:
            await PlainTextResponse("who are you?", status_code=401)(scope, receive, send)
            return
        await app(scope, receive, send)

    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(guarded, log_level="error")).run(sockets=[listening])


if __name__ == "__main__":
    main()
