"""MCP servers on streamable HTTP; the official SDK's own server is the judge."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trio
from tests.agent.tools.test_mcp import Bench

from meerkatd.agent.tools.mcp.pool import McpPool
from meerkatd.agent.tools.mcp.spec import ServerSpec

PROGRAM = str(Path(__file__).parents[2] / "support" / "mcp_http_server.py")


@contextmanager
def running(key: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server that wants this key, and its URL."""
    process = subprocess.Popen([sys.executable, PROGRAM, key], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process, f"http://127.0.0.1:{int(process.stdout.readline())}/mcp"
    finally:
        process.kill()
        process.wait()


async def test_an_endpoint_gets_its_headers_and_its_end_is_told(tmp_path: Path):
    with running("right-key") as (process, url):
        pool = McpPool()
        async with pool.running():
            bench = Bench(pool, tmp_path)
            wrong = ServerSpec(name="wrong", url=url, headers={"x-key": "wrong-key"})
            right = ServerSpec(name="right", url=url, headers={"x-key": "right-key"})
            async with bench.turn(wrong, right) as turn:
                assert turn.names() == {"mcp__right__add"}
                ((_, target, status),) = bench.told()
                assert (target, status[:7]) == ("wrong", "failed:")
                assert "wrong-key" not in status
                assert await turn.call("mcp__right__add", a=2, b=3) == ("5", False)
                _, is_error = await turn.call("mcp__right__add", a="two")
                assert is_error
                assert await turn.call("mcp__right__add", a=1, b=1) == ("2", False)
                process.kill()
                with trio.fail_after(20):
                    text, is_error = await turn.call("mcp__right__add", a=2, b=3)
                assert is_error
                assert "right" in text
