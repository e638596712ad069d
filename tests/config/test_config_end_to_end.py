"""The config through a real daemon to a real HTTP server: what a model is asked, and where a secret never shows."""

import os
from pathlib import Path
from typing import Any

import pytest
from tests.support.daemon_process import DaemonProcess, running_daemon
from tests.support.gated_model import GatedModel

from meerkat_client._sync import BlockingClient
from meerkat_client.errors import RkatError

CANARY = "sk-CANARY-in-the-config"


def config_for(model: GatedModel) -> dict[str, Any]:
    return {
        "agent": {
            "model": "home/small",
            "system_prompt": "Be brief.",
            "max_tokens_per_turn": 77,
            "temperature": 0.25,
            "provider_params": {"seed": 5},
        },
        "servers": {"home": {"base_url": model.url, "api_key": CANARY, "default_model": "small"}},
        "retry": {"max_retries": 1, "initial_delay": "1ms"},
    }


def refused(client: BlockingClient, method: str, **params: Any) -> RkatError:
    with pytest.raises(RkatError) as caught:
        client.call(method, params)
    return caught.value


def test_a_turn_runs_as_the_config_says_and_the_next_one_as_it_says_then():
    with GatedModel() as model, running_daemon() as daemon, daemon.client(realm_id="r") as client:
        client.call("config/set", {"config": config_for(model)})
        created = client.call("session/create", {"prompt": "hello"})
        assert created["model"] == "home/small"
        asked = model.requests[0]
        assert (asked["model"], asked["temperature"], asked["max_tokens"], asked["seed"]) == ("small", 0.25, 77, 5)
        assert asked["messages"][0] == {"role": "system", "content": "Be brief."}
        assert model.keys == [f"Bearer {CANARY}"]
        session = {"session_id": created["session_id"]}
        assert client.call("session/read", session)["config_generation"] == 1

        patch = {"agent": {"provider_params": {"seed": 6}}, "servers": {"home": {"api_key": "sk-other"}}}
        client.call("config/patch", {"patch": patch})
        client.call("turn/start", {**session, "prompt": "again"})
        assert (model.requests[1]["seed"], model.keys[1]) == (6, "Bearer sk-other")
        assert client.call("session/read", session)["config_generation"] == 1, "that of its build"

        model.answers(500)
        model.answers(500)
        assert refused(client, "turn/start", **session, prompt="fails").details["attempts"] == 2


def test_the_catalog_is_that_of_the_realm_of_the_connection():
    with GatedModel() as model, running_daemon() as daemon:
        with daemon.client(realm_id="with") as client:
            client.call("config/set", {"config": config_for(model)})
            catalog = client.call("models/catalog")
            assert catalog["default"]["model"] == "home/small"
            own = next(row for row in catalog["providers"] if row["provider"] == "self_hosted")
            assert own["configured"] is True
        with daemon.client(realm_id="without") as client:
            catalog = client.call("models/catalog")
            assert all(row["provider"] != "self_hosted" for row in catalog["providers"])


def test_the_users_config_counts_in_every_realm(tmp_path: Path):
    user = tmp_path / "user.toml"
    with GatedModel() as model, running_daemon(MEERKAT_USER_CONFIG=str(user)) as daemon:
        user.write_text(f'[agent]\nmodel = "home/small"\n[servers.home]\nbase_url = "{model.url}"\n')
        with daemon.client(isolated=True) as client:
            assert client.call("config/get")["resolved_paths"]["user_config_path"] == str(user)
            assert client.call("session/create", {"prompt": "hello"})["text"] == "ok"
            user.write_text("[agnt]\n")
            assert refused(client, "session/create", prompt="hello").code == "CONFIG_INVALID"
            assert refused(client, "config/get", effective=True).code == "CONFIG_INVALID"
            assert client.call("config/get")["generation"] == 0


def provoke(client: BlockingClient, model: GatedModel) -> list[Any]:
    """Everything that could let a secret slip: answers, errors, edits by hand, failing turns."""
    config = config_for(model)
    told: list[Any] = [client.call("config/set", {"config": config, "idempotency_key": "k"})]
    for broken in ({"servers": {"home": {"api_key": CANARY}}}, {"providers": {"api_keys": {"openai": [CANARY]}}}):
        told.append(refused(client, "config/set", config=broken))
        told.append(refused(client, "config/patch", patch={"retry": CANARY, **broken}))
    told.append(refused(client, "config/set", toml=f'x = "{CANARY}'))
    told.append(refused(client, "config/set", config={"servers": {"h": {"base_url": f"http://u:{CANARY}@x"}}}))
    model.answers(401)
    told.append(refused(client, "session/create", prompt="fails"))
    told.append(client.call("session/create", {"prompt": "works"}))
    told.append(client.call("models/catalog"))
    path = Path(told[0]["resolved_paths"]["config_path"])
    good = path.read_text()
    for text in (good.replace("api_key", "api_kee"), good + f"\n{CANARY}\n", good + "\nx = '"):
        path.write_text(text)
        told.append(refused(client, "config/get"))
        told.append(refused(client, "session/create", prompt="refused"))
        told.append(client.call("realm/show"))
    path.write_text(good)
    told += [client.call("config/get", params) for params in ({}, {"effective": True}, {"format": "toml"})]
    return told


def spelled(answer: Any) -> str:
    if isinstance(answer, RkatError):
        return repr((answer.code, answer.message, answer.details, answer.hint))
    return repr(answer)


def files_with(daemon: DaemonProcess, text: str) -> list[str]:
    found = []
    for top in (daemon.state_root, daemon.runtime_dir):
        for folder, _, names in os.walk(top):
            paths = [Path(folder) / name for name in names]
            found += [path.name for path in paths if path.is_file() and text.encode() in path.read_bytes()]
    return found


def test_a_secret_shows_in_no_answer_no_error_no_log_and_no_other_file():
    with GatedModel() as model, running_daemon() as daemon, daemon.client(realm_id="r") as client:
        told = provoke(client, model)
        assert [spelled(each) for each in told if CANARY in spelled(each)] == []
        assert files_with(daemon, CANARY) == ["config.toml"]
