"""The MCP Inspector's command line, by the protocol's maintainers and on their other SDK, drives `rkat-mcp`."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from tests.mcp_shim.agent_kit import AgentPlace
from tests.rpc.rpc_kit import PATIENCE_SECONDS
from tests.support.gated_model import Gate, GatedModel

PACKAGE = "@modelcontextprotocol/inspector"
VERSION = "2.12.0"
_INSTALL_SECONDS = 240.0
# What the Inspector ends with after a tool that failed.
TOOL_FAILED = 5


@pytest.fixture(scope="session")
def inspector() -> Path:
    """Its program, installed once for each user and version and kept, because nothing of it changes."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "meerkatd-tests"
    home = cache / f"mcp-inspector-{VERSION}"
    if not home.exists():
        cache.mkdir(parents=True, exist_ok=True)
        # Beside the final place and renamed into it, so that a half-made one is never found there.
        making = Path(tempfile.mkdtemp(prefix=f"{home.name}.", dir=cache))
        _install(making)
        try:
            making.rename(home)
        except OSError:
            shutil.rmtree(making)  # Another run was faster.
    return home / "node_modules" / PACKAGE / "clients" / "launcher" / "build" / "index.js"


def _install(where: Path) -> None:
    quiet = ("--no-audit", "--no-fund", "--loglevel=error")
    command = ["npm", "install", *quiet, "--prefix", str(where), f"{PACKAGE}@{VERSION}"]
    ended = subprocess.run(command, capture_output=True, timeout=_INSTALL_SECONDS, check=False)
    if ended.returncode:
        shutil.rmtree(where)
        pytest.fail(f"{PACKAGE} cannot be installed, and it is the judge here: {ended.stderr.decode()}")


class Inspector:
    """Runs one request after the other, each with a server of its own."""

    def __init__(self, program: Path, place: AgentPlace) -> None:
        self._program = program
        self._place = place

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        told = ("MEERKAT_STATE_ROOT", "MEERKAT_RUNTIME_DIR", "OPENAI_BASE_URL", "OPENAI_API_KEY", "HOME")
        env = [part for name in told for part in ("-e", f"{name}={self._place.env[name]}")]
        server = [str(self._place.program), "--realm", "inspected"]
        return subprocess.Popen(
            ["node", str(self._program), "--cli", *env, *arguments, "--", *server],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._place.env,
            cwd=self._place.root,
        )

    def ask(self, *arguments: str, status: int = 0) -> Any:
        return self.reply(self.start(*arguments), status=status)

    def reply(self, process: subprocess.Popen[bytes], *, status: int = 0) -> Any:
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == status, err.decode()
        return json.loads(out)

    def tool(self, name: str, *pairs: str, status: int = 0) -> Any:
        return self.ask(*_call(name, *pairs), status=status)["structuredContent"]


def _call(name: str, *pairs: str) -> list[str]:
    arguments = [part for pair in pairs for part in ("--tool-arg", pair)]
    return ["--method", "tools/call", "--tool-name", name, *arguments]


def test_the_inspector_takes_our_schemas_and_runs_a_turn(inspector: Path, place: AgentPlace):
    it = Inspector(inspector, place)
    # Strict: it fails when a schema is one that some client cannot read.
    tools = it.ask("--method", "tools/list", "--strict")["tools"]
    assert {"meerkat_run", "meerkat_interrupt"} < {tool["name"] for tool in tools}
    assert it.tool("meerkat_run", "prompt=hi")["text"] == "ok"
    assert it.tool("meerkat_interrupt", "session_id=last", status=TOOL_FAILED)["code"] == "SESSION_NOT_RUNNING"


@pytest.mark.long
def test_the_inspector_runs_resumes_reads_and_interrupts(inspector: Path, place: AgentPlace, model: GatedModel):
    """Each request comes from a process of its own, so all that they share is the daemon."""
    it = Inspector(inspector, place)
    model.answers("hello")
    ran = it.tool("meerkat_run", "prompt=hi")
    assert ran["text"] == "hello"
    model.answers("again")
    assert it.tool("meerkat_resume", f"session_id={ran['session_id']}", "prompt=more")["text"] == "again"
    assert it.tool("meerkat_history", "session_id=last")["message_count"] == 4
    assert it.tool("meerkat_interrupt", "session_id=last", status=TOOL_FAILED)["code"] == "SESSION_NOT_RUNNING"
    gate = Gate()
    model.answers("half", gate)
    running = it.start(*_call("meerkat_resume", "session_id=last", "prompt=go"))
    gate.wait_until_reached()
    assert it.tool("meerkat_interrupt", "session_id=last")["outcome"] == "interrupted"
    cancelled = it.reply(running, status=TOOL_FAILED)["structuredContent"]
    assert (cancelled["code"], cancelled["details"]["text"]) == ("REQUEST_CANCELLED", "half")
    uri = f"meerkat://sessions/{ran['session_id']}"
    assert it.ask("--method", "resources/read", "--uri", uri)["contents"][0]["uri"] == uri
