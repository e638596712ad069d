"""Plays a page: its files are written and its commands typed, in a home of their own, against a real daemon.

The pages' models are played by `model_server`: OpenAI's key and base URL are in the environment, the servers that pages
name are on its port, and the small local model is replaced by one of OpenAI's, unless the page is played with the real
one. Then answers may be any.
"""

import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from tests.lifecycle.daemon_machine import wait_for_end

from meerkat_client import model_files

from .model_server import ANSWERS, ENDLESS, ModelServer
from .pages import PAGES, Block, Page
from .terminals import DEADLINE_SECONDS, LOCAL_DEADLINE_SECONDS, Running, Terminal
from .transcripts import CTRL_C, Step, matches, same, steps

HOME_ON_PAGES = "/home/you"
LOCAL_MODEL = "local/smollm2"
STAND_IN = "openai/gpt-stand-in"
# Where servers of one's own listen, on the pages.
SERVERS_ON_PAGES = ("http://127.0.0.1:11434", "http://127.0.0.1:8080", "http://127.0.0.1:8000")

# Where the web's door listens, on the pages.
REST_ON_PAGES = "8765"

NOT_PLAYED = frozenset(("text", "json", "sh", ""))
"""Languages of blocks that are checked where they stand and not played."""


class Scene:
    """One home, one daemon, some terminals."""

    def __init__(self, base: Path, *, server_url: str, local: bool) -> None:
        self._home = base / "home"
        self._project = self._home / "project"
        self._project.mkdir(parents=True)
        self._base = base
        self._local = local
        self._terminals: dict[str, Terminal] = {}
        self._to_real = {HOME_ON_PAGES: str(self._home)} | dict.fromkeys(SERVERS_ON_PAGES, server_url)
        port = str(free_port())
        self._to_real |= {f"{before}{REST_ON_PAGES}": f"{before}{port}" for before in ("127.0.0.1:", "--port ")}
        self.environ = {
            "HOME": str(self._home),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "MEERKAT_RUNTIME_DIR": str(base / "run"),
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "COLUMNS": "120",
            "TZ": "UTC",
        }
        if local:
            self.environ["MEERKAT_MODELS_DIR"] = str(model_files.models_dir())
        else:
            self._to_real[LOCAL_MODEL] = STAND_IN
            self.environ |= {"OPENAI_API_KEY": "sk-pages", "OPENAI_BASE_URL": f"{server_url}/v1"}
        if "PYTHONPATH" in os.environ:
            self.environ["PYTHONPATH"] = os.environ["PYTHONPATH"]

    def play(self, block: Block) -> None:
        """Do what a block says. Raises AssertionError when something else comes out."""
        if "with" in block.attributes:
            other = (Path(block.page).parent / block.attributes["with"]).as_posix()
            for program in PAGES[other].blocks():
                if program.language == "python":
                    self._write(program)
        if "file" in block.attributes:
            self._write(block)
        elif block.language == "console":
            self._type(block)
        else:
            assert block.language in (*NOT_PLAYED, "toml"), f"{block.where}: nobody runs {block.language!r}"

    def close(self) -> None:
        for terminal in self._terminals.values():
            terminal.close()
        for lock in self._home.rglob("meerkatd.lock"):
            daemon = daemon_of(lock)
            if daemon is not None:
                daemon.terminate()
                wait_for_end(daemon)

    def _write(self, block: Block) -> None:
        name = block.attributes["file"]
        path = self._home / name.removeprefix("~/") if name.startswith("~/") else self._terminal("1").cwd / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._real(block.text))

    def _terminal(self, name: str) -> Terminal:
        if name not in self._terminals:
            scratch = self._base / f"terminal-{name}"
            scratch.mkdir()
            deadline = LOCAL_DEADLINE_SECONDS if self._local else DEADLINE_SECONDS
            self._terminals[name] = Terminal(self.environ, cwd=self._project, scratch=scratch, deadline=deadline)
        return self._terminals[name]

    def _type(self, block: Block) -> None:
        terminal = self._terminal(block.attributes.get("terminal", "1"))
        found = steps(block.text)
        for number, step in enumerate(found):
            stays = "running" in block.flags and number == len(found) - 1
            self._one(terminal, step, stays=stays, where=f"{block.where}, {step.typed!r}")

    def _one(self, terminal: Terminal, step: Step, *, stays: bool, where: str) -> None:
        if step.typed == CTRL_C:
            assert terminal.running is not None, f"{where}: nothing runs"
            terminal.running.interrupt()
        elif step.typed is not None:
            terminal.start(self._real(step.typed))
        if stays:
            assert terminal.running is not None, where
            self._await(terminal.running, step.output, where=where)
            return
        actual = self._shown(terminal.finish())
        assert matches(self._expected(step.output), actual), f"{where}: what came out is\n{actual}"

    def _await(self, running: Running, expected: str, *, where: str) -> None:
        until = running.deadline()
        while not matches(self._expected(expected), self._shown(running.text)):
            assert running.read(until), f"{where}: it ended after\n{self._shown(running.text)}"
        running.take()

    def _real(self, text: str) -> str:
        for shown, real in self._to_real.items():
            text = text.replace(shown, real)
        return text

    def _shown(self, text: str) -> str:
        for shown, real in self._to_real.items():
            text = text.replace(real, shown)
        return self._equal(text)

    def _expected(self, text: str) -> str:
        if self._local:
            for answer in ANSWERS.values():
                text = text.replace(answer.removesuffix(ENDLESS), "...")
        return self._equal(text)

    def _equal(self, text: str) -> str:
        """Numbers of tokens are the local model's own."""
        return re.sub(r"\b\d+\b", "<n>", same(text)) if self._local else text


def free_port() -> int:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def daemon_of(lock: Path) -> psutil.Process | None:
    """The living daemon that holds a lock of a scene's; its pid may be anybody's by now."""
    found = re.search(r'"pid": (\d+)', lock.read_text())
    if found is None or not psutil.pid_exists(int(found[1])):
        return None
    process = psutil.Process(int(found[1]))
    return process if str(lock.parent) in process.cmdline() else None


@contextmanager
def scene_for(base: Path, *, local: bool = False) -> Iterator[Scene]:
    """A scene that leaves no process behind."""
    with ModelServer() as server:
        scene = Scene(base, server_url=server.url, local=local)
        try:
            yield scene
        finally:
            scene.close()


def play(page: Page, base: Path, *, local: bool = False) -> None:
    """Play all of a page."""
    with scene_for(base, local=local) as scene:
        for block in page.blocks():
            scene.play(block)
