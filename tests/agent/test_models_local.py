"""The owner of local model processes, with a stand-in for the native runtime: its life, its death, its failures."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil
import pytest
import trio

from meerkatd.agent.local_model import LocalModels
from meerkatd.agent.models import Endpoint
from meerkatd.agent.port import Completed, ModelRequest
from meerkatd.agent.providers import open_provider
from meerkatd.errors import CapabilityUnavailable

# Stands in for the native module: the same names, and a server that gives one fixed answer to whoever has the key.
RUNTIME = """
import json, threading, types
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class CommonParams:
    def __init__(self):
        self.model, self.cpuparams, self.sampling = (types.SimpleNamespace() for _ in range(3))

class Server:
    def __init__(self, params):
        print("native noise on stdout", flush=True)
        if params.model.path.endswith("broken.gguf"):
            raise RuntimeError("Failed to init server")
        if params.model.path.endswith("hanging.gguf"):
            threading.Event().wait()
        key = f"Bearer {params.api_keys[0]}"
        chunk = json.dumps({"choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}]})

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                allowed = self.headers.get("authorization") == key
                self.send_response(200 if allowed else 401)
                self.send_header("content-type", "text/event-stream")
                self.end_headers()
                self.wfile.write(f"data: {chunk}\\n\\ndata: [DONE]\\n\\n".encode())

            def log_message(self, *args):
                pass

        server = ThreadingHTTPServer((params.hostnames[0], params.port), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.listening_address = f"http://127.0.0.1:{server.server_port}"
"""


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "runtime"
    folder.mkdir()
    (folder / "xllamacpp.py").write_text(RUNTIME)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *filter(None, sys.path)]))


def endpoint(tmp_path: Path, name: str = "good.gguf", *, content: bytes = b"GGUF") -> Endpoint:
    path = tmp_path / name
    path.write_bytes(content)
    return Endpoint(kind="local", model="m", base_url=str(path), provider="local", full_name=f"local/{path}")


@asynccontextmanager
async def owned(**limits: float) -> AsyncIterator[LocalModels]:
    models = LocalModels(**limits)
    with trio.fail_after(20):
        try:
            yield models
        finally:
            await models.aclose()
            assert models.processes() == []


async def ask(models: LocalModels, where: Endpoint) -> str:
    provider = open_provider(where, local=models)
    request = ModelRequest(model="m", messages=[{"role": "user", "content": "hi", "created_at": ""}])
    async with provider.stream(request) as events:
        got = [event async for event in events]
    await provider.aclose()
    assert isinstance(got[-1], Completed)
    return "".join(block["data"]["text"] for block in got[-1].blocks if block["block_type"] == "text")


@pytest.mark.usefixtures("runtime")
async def test_the_first_call_starts_the_process_and_the_next_one_uses_it(tmp_path: Path) -> None:
    async with owned() as models:
        where = endpoint(tmp_path)
        assert models.processes() == []
        assert await ask(models, where) == "hi"
        first = models.processes()
        assert await ask(models, where) == "hi"
        assert models.processes() == first
        assert len(first) == 1


@pytest.mark.usefixtures("runtime")
async def test_callers_at_the_same_time_start_one_process(tmp_path: Path) -> None:
    async with owned() as models:
        where = endpoint(tmp_path)
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(ask, models, where)
        assert len(models.processes()) == 1


@pytest.mark.usefixtures("runtime")
async def test_a_process_that_nobody_uses_ends_by_itself_and_comes_back_when_needed(tmp_path: Path) -> None:
    async with owned(idle_seconds=0.05) as models:
        where = endpoint(tmp_path)
        async with models.use(where):
            first = models.processes()[0]
        await first.wait()
        assert await ask(models, where) == "hi"


@pytest.mark.usefixtures("runtime")
async def test_a_process_that_was_killed_is_replaced(tmp_path: Path) -> None:
    async with owned() as models:
        where = endpoint(tmp_path)
        async with models.use(where):
            models.processes()[0].kill()
        assert await ask(models, where) == "hi"


@pytest.mark.usefixtures("runtime")
async def test_the_process_ends_with_its_owner(tmp_path: Path) -> None:
    models = LocalModels()
    with trio.fail_after(20):
        async with models.use(endpoint(tmp_path)):
            process = models.processes()[0]
            await models.aclose()
            await process.wait()
    with pytest.raises(CapabilityUnavailable):
        await ask(models, endpoint(tmp_path))


# A daemon in small: it starts the model, tells the process's id and is killed in the middle of a use.
KILLED = """
import os, sys, trio
from meerkatd.agent.local_model import LocalModels
from meerkatd.agent.models import Endpoint

async def main():
    where = Endpoint(kind="local", model="m", base_url=sys.argv[1], provider="local", full_name="local/m")
    models = LocalModels()
    async with models.use(where):
        print(models.processes()[0].pid, flush=True)
        os.kill(os.getpid(), 9)

trio.run(main)
"""


@pytest.mark.usefixtures("runtime")
async def test_the_process_does_not_outlive_a_daemon_that_was_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, endpoint(tmp_path).base_url]
    with trio.fail_after(20):
        killed = await trio.run_process(command, capture_stdout=True, check=False)
        assert killed.returncode == -9
        with suppress(psutil.NoSuchProcess):
            orphan = psutil.Process(int(killed.stdout))
            await trio.to_thread.run_sync(orphan.wait, 10)


@pytest.mark.usefixtures("runtime")
async def test_cancelling_the_caller_that_loads_takes_the_process_down(tmp_path: Path) -> None:
    async with owned() as models:
        with trio.move_on_after(0.5) as scope:
            await ask(models, endpoint(tmp_path, "hanging.gguf"))
        assert scope.cancelled_caught
        assert models.processes() == []


@pytest.mark.usefixtures("runtime")
async def test_a_model_that_does_not_load_in_time_is_told(tmp_path: Path) -> None:
    async with owned(start_seconds=0.5) as models:
        with pytest.raises(CapabilityUnavailable):
            await ask(models, endpoint(tmp_path, "hanging.gguf"))
        assert models.processes() == []


@pytest.mark.usefixtures("runtime")
async def test_a_model_that_cannot_be_loaded_says_why(tmp_path: Path) -> None:
    async with owned() as models:
        with pytest.raises(CapabilityUnavailable) as caught:
            await ask(models, endpoint(tmp_path, "broken.gguf"))
    assert "Failed to init server" in caught.value.message
    assert caught.value.details["path"].endswith("broken.gguf")


@pytest.mark.usefixtures("runtime")
async def test_a_file_that_is_no_model_is_told_before_anything_is_started(tmp_path: Path) -> None:
    async with owned() as models:
        with pytest.raises(CapabilityUnavailable):
            await ask(models, endpoint(tmp_path, content=b"<html>"))


@pytest.mark.usefixtures("runtime")
async def test_the_key_is_not_on_the_command_line(tmp_path: Path) -> None:
    async with owned() as models, models.use(endpoint(tmp_path)) as address:
        shown = psutil.Process(models.processes()[0].pid).cmdline()
        assert address.api_key not in " ".join(shown)
        assert address.api_key not in repr(models)


async def test_without_the_extra_the_command_that_installs_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    async with owned() as models:
        with pytest.raises(CapabilityUnavailable) as caught:
            await ask(models, endpoint(tmp_path))
    assert "meerkatd[local]" in caught.value.hint


async def test_a_daemon_that_runs_no_local_models_says_so(tmp_path: Path) -> None:
    with pytest.raises(CapabilityUnavailable):
        open_provider(endpoint(tmp_path))
