"""The config of a realm, and deleting realms, through every door."""

from pathlib import Path
from typing import Any

import pytest
import trio
from tests.behaviours.conftest import House
from tests.behaviours.promises import except_over, holds
from tests.behaviours.surfaces import Refused
from tests.support.scripted_provider import Gate

ISOLATED = 100


async def refused(coroutine) -> Refused:
    with pytest.raises(Refused) as error:
        await coroutine
    return error.value


def text_of(path: str) -> str:
    return Path(path).read_text()


def edit(path: str, text: str) -> None:
    """By hand."""
    Path(path).write_text(text)


def model(name: str) -> dict[str, Any]:
    return {"agent": {"model": name}}


@holds("CFG-1")
@except_over(tcp="pages replace no config as a whole")
async def test_the_envelope_has_all_that_is_promised(house: House):
    async with house.connect(realm_id="r", instance_id="i") as peer:
        empty = await peer.call("config/get")
        assert {key: empty[key] for key in ("config", "generation", "realm_id", "instance_id", "backend")} == {
            "config": {},
            "generation": 0,
            "realm_id": "r",
            "instance_id": "i",
            "backend": None,
        }
        assert house.realm_folders() == [], "reading makes nothing"
        written = await peer.call("config/set", config=model("gpt-5"), expected_generation=0)
        assert (written["config"], written["generation"], written["backend"]) == (model("gpt-5"), 1, "sqlite")
        paths = written["resolved_paths"]
        assert paths["root"] == house.settings.state_root
        assert text_of(paths["config_path"]) == '[agent]\nmodel = "gpt-5"\n'
        assert '"realm_id": "r"' in text_of(paths["manifest_path"])
        assert (await peer.call("config/patch", patch=model("gpt-6")))["generation"] == 2
        assert (await peer.call("config/get"))["config"] == model("gpt-6")


@holds("CFG-2")
async def test_a_stale_write_is_refused_whoever_was_faster(house: House):
    async with house.connect(realm_id="r") as one, house.connect(realm_id="r") as two:
        await one.call("config/patch", patch=model("a"), expected_generation=0)
        error = await refused(two.call("config/patch", patch=model("b"), expected_generation=0))
        assert (error.code, error.number) == ("CONFIG_CONFLICT", -32602)
        assert error.details["expected_generation"] == 0
        assert error.details["current_generation"] == 1
        assert (await two.call("config/get"))["config"] == model("a")


MALFORMED: list[tuple[str, dict[str, Any], str]] = [
    ("config/set", {}, "params"),
    ("config/set", {"agent": {"model": "bare"}}, "agent"),
    ("config/set", {"config": {"config": {}}}, "config.config"),
    ("config/set", {"config": {"agent": {"temperature": "hot"}}}, "config.agent.temperature"),
    ("config/set", {"config": {"agent": {"modle": "x"}}}, "config.agent.modle"),
    ("config/set", {"config": {}, "expected_generation": "1"}, "expected_generation"),
    ("config/set", {"config": {}, "expected_generation": 1.0}, "expected_generation"),
    ("config/set", {"config": {}, "expected_generation": -1}, "expected_generation"),
    ("config/set", {"config": {}, "expected_generation": True}, "expected_generation"),
    ("config/set", {"config": {}, "toml": ""}, "params"),
    ("config/set", {"config": []}, "config"),
    ("config/set", {"config": "x"}, "config"),
    ("config/set", {"config": {"agent": None}}, "config.agent"),
    ("config/set", {"toml": "agent = "}, "toml"),
    ("config/set", {"toml": "[agent]\nmodle = 1"}, "toml.agent.modle"),
    ("config/set", {"config": {"servers": {"s": {"api_key": "x"}}}}, "config.servers.s.base_url"),
    ("config/patch", {"agent": {"model": "bare"}}, "agent"),
    ("config/patch", {"patch": {"agent": {"temperature": "hot"}}}, "patch.agent.temperature"),
    ("config/patch", {"patch": "x"}, "patch"),
    ("config/patch", {"patch": {"agent": "x"}}, "patch.agent"),
    (
        "config/patch",
        {"patch": {"providers": {"api_keys": {"gemini": {"secret": True, "set": True}}}}},
        "patch.providers.api_keys.gemini",
    ),
]


@holds("CFG-3")
@except_over(tcp="pages replace no config as a whole")
async def test_a_malformed_request_changes_nothing_and_names_the_field(house: House):
    async with house.connect(realm_id="r") as peer:
        await peer.call("config/set", config=model("kept"))
        for method, params, field in MALFORMED:
            if peer.surface == "sdk" and isinstance(params.get("expected_generation"), float):
                continue  # JavaScript has one kind of number.
            error = await refused(peer.call(method, **params))
            # To pages some of these are closed as a whole, with the path of what is.
            closed = peer.surface == "tcp" and error.code == "PERMISSION_DENIED"
            assert closed or (error.code, error.details["field"]) == ("INVALID_PARAMS", field), (method, params)
            now = await peer.call("config/get")
            assert (now["generation"], now["config"]) == (1, model("kept"))


@holds("CFG-4")
@except_over(tcp="keys of providers are not set over TCP")
async def test_a_secret_is_taken_kept_and_never_shown(house: House):
    shown = {"secret": True, "set": True}
    async with house.connect(realm_id="r") as peer:
        answers = [
            await peer.call("config/set", config={"providers": {"api_keys": {"openai": "sk-CANARY"}}}),
            await peer.call("config/get"),
            await peer.call("config/get", effective=True),
            await peer.call("config/get", format="toml"),
        ]
        assert answers[1]["config"]["providers"]["api_keys"]["openai"] == shown
        answers.append(await peer.call("config/set", config={**answers[1]["config"], **model("m")}))
        answers.append(await peer.call("config/set", toml="# mine\n" + answers[3]["toml"]))
        answers.append(await peer.call("config/patch", patch={"providers": {"api_keys": {"openai": shown}}}))
        assert "CANARY" not in repr(answers)
        text = text_of(answers[0]["resolved_paths"]["config_path"])
        assert text.startswith("# mine\n")
        assert "sk-CANARY" in text


@holds("CFG-5")
async def test_a_repeated_key_writes_once_also_after_a_restart(house: House):
    request = {"patch": model("a"), "expected_generation": 0, "idempotency_key": "k"}
    async with house.connect(realm_id="r") as peer:
        assert (await peer.call("config/patch", **request))["generation"] == 1
        assert (await peer.call("config/patch", patch=model("b")))["generation"] == 2
    await house.restart()
    async with house.connect(realm_id="r") as peer:
        again = await peer.call("config/patch", **request)
        assert (again["generation"], again["current_generation"], again["replayed"]) == (1, 2, True)
        assert again["config"] == model("b")
        error = await refused(peer.call("config/patch", patch=model("c"), idempotency_key="k"))
        assert error.code == "DUPLICATE_INPUT"
        assert (await peer.call("config/get"))["generation"] == 2


@holds("CFG-6")
@except_over(tcp="pages replace no config as a whole")
async def test_a_watch_tells_each_generation_until_it_is_ended(house: House):
    async with house.connect(realm_id="r") as peer, house.connect(realm_id="r") as other:
        watch = await peer.call("config/watch")
        assert (watch["realm_id"], watch["generation"]) == ("r", 0)
        await other.call("config/set", config=model("a"))
        path = (await other.call("config/set", config=model("b")))["resolved_paths"]["config_path"]
        edit(path, "model = ")
        assert (await refused(other.call("config/get"))).code == "CONFIG_INVALID"
        await peer.wait_for(lambda: len(peer.seen("config/changed")) == 3)
        told = peer.seen("config/changed")
        assert [each["generation"] for each in told] == [1, 2, 3]
        assert path in told[2]["problem"]
        watch_id = watch["watch_id"]
        assert await peer.call("config/unwatch", watch_id=watch_id) == {"watch_id": watch_id, "closed": True}
        assert await peer.call("config/unwatch", watch_id=watch_id) == {"watch_id": watch_id, "closed": False}
        await other.call("config/set", config=model("c"))
        await peer.call("config/get")
        assert len(peer.seen("config/changed")) == 3


@holds("CFG-6")
@except_over(rest="there is one watch, however many read it")
async def test_a_connection_has_only_so_many_watches(house: House):
    async with house.connect() as peer:
        for _ in range(16):
            await peer.call("config/watch")
        assert (await refused(peer.call("config/watch"))).code == "OVERLOADED"


@holds("CFG-7")
async def test_the_schema_and_the_effective_config_tell_every_key(house: House):
    async with house.connect() as peer:
        schema = (await peer.call("config/schema"))["schema"]
        assert set(schema["properties"]) >= {"agent", "providers", "servers", "retry", "timeouts", "tools", "shell"}
        effective = (await peer.call("config/get", effective=True))["config"]
        assert effective["retry"]["max_retries"] == 3
        assert (await refused(peer.call("config/get", effective=True, format="toml"))).code == "INVALID_PARAMS"
        assert house.realm_folders() == []


@holds("REA-4")
@except_over(tcp="pages replace no config as a whole")
async def test_connections_without_a_realm_share_nothing_and_leave_nothing(house: House):
    realms: set[str] = set()

    async def connect(number: int) -> None:
        async with house.connect() as peer:
            realms.add((await peer.call("config/get"))["realm_id"])
            if number == 7:
                await peer.call("config/set", config=model("mine"))

    async with trio.open_nursery() as nursery:
        for number in range(ISOLATED):
            nursery.start_soon(connect, number)
    assert len(realms) == ISOLATED
    assert len(house.realm_folders()) == 1


@holds("REA-5")
@except_over(rest="a watch that is there serves new readers to its end", ts="a client has no watch")
async def test_a_deleted_realm_goes_to_the_trash_and_comes_back(house: House):
    async with house.connect(realm_id="r") as peer, house.ruler(realm_id="other") as other:
        await peer.call("session/create", prompt="x", initial_turn="deferred")
        error = await refused(other.call("realm/delete", realm_id="r"))
        assert (error.code, error.details["connections"]) == ("REALM_IN_USE", 1)
        watch = await peer.call("config/watch")
        deleted = await other.call("realm/delete", realm_id="r", force=True)
        for method in ("session/list", "config/get", "realm/current", "config/watch"):
            assert (await refused(peer.call(method))).code == "REALM_NOT_FOUND"
        await peer.wait_for(lambda: peer.seen("config/watch_end"))
        assert peer.seen("config/watch_end")[0]["watch_id"] == watch["watch_id"]
        trash = (await other.call("realm/trash"))["trash"]
        assert [(row["trash_id"], row["realm_id"]) for row in trash] == [(deleted["trash_id"], "r")]
        assert (await other.call("realm/restore", realm_id="r"))["sessions"] == 1
        assert (await other.call("realm/trash"))["trash"] == []
        error = await refused(other.call("realm/restore", realm_id="r", trash_id="x"))
        assert error.code == "INVALID_PARAMS"


@holds("REA-5")
async def test_a_forced_deletion_interrupts_the_turns_of_the_realm(house: House):
    gate = Gate()
    house.provider.answers("so far", gate)
    async with house.connect(realm_id="r") as peer, house.ruler() as other:
        turn = await peer.begin("session/create", prompt="hello")
        await gate.reached.wait()
        assert (await other.call("realm/delete", realm_id="r", force=True))["interrupted_turns"] == 1
        error = await refused(peer.reply(turn))
        assert error.code == "REQUEST_CANCELLED"
        assert "realm was deleted" in error.message


@holds("REA-6")
@except_over(tcp="pages replace no config as a whole")
async def test_pruning_and_emptying_the_trash_tell_what_they_take(house: House):
    async with house.ruler() as mine:
        async with house.connect() as passing:
            await passing.call("config/set", config={})
            realm_id = (await passing.call("realm/current"))["realm_id"]
        await mine.call("config/set", config={})
        for dry_run in (True, False):
            pruned = await mine.call("realm/prune", older_than_hours=0.0, dry_run=dry_run)
            assert [row["realm_id"] for row in pruned["pruned"]] == [realm_id], "not the one that is used"
        emptied = await mine.call("realm/empty_trash")
        assert [row["realm_id"] for row in emptied["trash"]] == [realm_id]
        assert (await mine.call("realm/trash"))["trash"] == []
