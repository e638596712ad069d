"""What nobody may find afterwards: keys of a full run, in anything that the daemon wrote."""

import os
from pathlib import Path

import pytest
from tests.support.daemon_process import running_daemon
from tests.support.gated_model import GatedModel

from meerkat_client.errors import RkatError

KEY = "sk-canary-4711-of-the-connection"
OWN = "sk-canary-0815-of-the-environment"


def files_with(folder: Path, text: str) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_no_key_is_in_any_file_of_the_state_root_after_turns_failures_and_a_restart() -> None:
    """Logs, history, config, lock file, crash record: all of it is searched."""
    with GatedModel() as model, running_daemon(ANTHROPIC_API_KEY=OWN) as daemon:
        credentials = {"openai": {"api_key": KEY, "base_url": model.url}}
        with daemon.client(realm_id="team", credentials=credentials) as client:
            session = client.call("session/create", {"prompt": "hi", "model": "openai/gpt-test"})
            model.answers(401)
            with pytest.raises(RkatError) as caught:
                client.call("turn/start", {"session_id": session["session_id"], "prompt": "again"})
            assert KEY not in str(vars(caught.value))
            assert f"Bearer {KEY}" in model.keys
            for method in ("daemon/status", "config/get", "models/catalog", "daemon/examine"):
                shown = str(client.call(method, {"providers": False} if method == "daemon/examine" else {}))
                assert KEY not in shown
                assert OWN not in shown
            with pytest.raises(RkatError):
                client.call("session/create", {"prompt": "hi", "credentials": KEY})
            client.call("daemon/restart", {"environment": {"OPENAI_API_KEY": KEY, "PATH": os.environ["PATH"]}})
            while not client.call("daemon/status")["restarts"]:
                pass
            # What is no daemon's business does not get into its environment, whoever sends it.
            environ = Path(f"/proc/{daemon.pid}/environ")
            assert not environ.exists() or KEY.encode() not in environ.read_bytes()
        for folder in (Path(daemon.state_root), Path(daemon.runtime_dir)):
            assert files_with(folder, KEY) == []
            assert files_with(folder, OWN) == []
