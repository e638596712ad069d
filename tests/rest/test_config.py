"""The config over HTTP: entity tags, preconditions, and keys that are not for this door."""

from typing import Any

import pytest
from tests.rest.rest_kit import Reply, Rest, running_rest
from tests.support.house import House

from meerkat_client.errors import RkatError
from meerkatd.contract.config_document import ConfigDocument
from rkat_shims.rest import etag
from rkat_shims.rest.powers import ALLOWED, in_params, powerful


async def patch(rest: Rest, model: str, **headers: str) -> Reply:
    return await rest.ask("PATCH", "/config", {"agent": {"model": model}}, **headers)


async def test_a_document_and_a_patch_are_taken_bare_or_with_a_generation(rest: Rest) -> None:
    for body, generation in (
        ({"agent": {"model": "a"}}, 1),
        ({"config": {"agent": {"model": "b"}}, "expected_generation": 1}, 2),
        ({"toml": '[agent]\nmodel = "c"\n'}, 3),
        ({}, 4),
    ):
        reply = await rest.ask("PUT", "/config", body)
        assert (reply.status, reply.json["generation"]) == (200, generation)
    for body, generation in (({"agent": {"model": "a"}}, 5), ({"patch": {"agent": None}, "expected_generation": 5}, 6)):
        reply = await rest.ask("PATCH", "/config", body)
        assert (reply.status, reply.json["generation"]) == (200, generation)
    assert (await rest.get("/config"))["config"] == {}
    assert (await rest.get("/config?effective=true"))["config"]["agent"]
    assert "toml" in await rest.get("/config?format=toml")
    assert (await rest.get("/config/schema"))["schema"]["type"] == "object"
    reply = await rest.ask("PUT", "/config", {"agent": {"modl": "x"}})
    assert (reply.status, reply.code, reply.json["details"]["field"]) == (400, "INVALID_PARAMS", "config.agent.modl")


async def test_a_stale_generation_is_409_in_the_body_and_412_in_a_header(rest: Rest) -> None:
    read = await rest.ask("GET", "/config")
    tag = read.headers["etag"]
    assert (await patch(rest, "a", if_match=tag)).status == 200
    stale = await patch(rest, "b", if_match=tag)
    assert (stale.status, stale.code) == (412, "CONFIG_CONFLICT")
    assert stale.json["details"]["current_generation"] == 1
    body = {"patch": {"agent": {"model": "b"}}, "expected_generation": 0}
    reply = await rest.ask("PATCH", "/config", body)
    assert (reply.status, reply.code) == (409, "CONFIG_CONFLICT")
    now = (await rest.ask("GET", "/config")).headers["etag"]
    both = await rest.ask("PATCH", "/config", body, if_match=now)
    assert (both.status, both.code) == (409, "CONFIG_CONFLICT"), "the header holds, the body does not"
    assert (await rest.get("/config"))["config"] == {"agent": {"model": "a"}}


async def test_the_tag_of_a_write_is_that_of_what_one_reads_next(rest: Rest) -> None:
    written = await patch(rest, "a")
    read = await rest.ask("GET", "/config")
    assert written.headers["etag"] == read.headers["etag"]
    assert written.headers["content-location"] == "/config"
    assert written.body == read.body
    unchanged = await rest.ask("GET", "/config", if_none_match=f'"x", W/{read.headers["etag"]}')
    assert (unchanged.status, unchanged.body, unchanged.headers["etag"]) == (304, b"", read.headers["etag"])
    assert (await rest.ask("GET", "/config", if_none_match='"x"')).status == 200
    assert (await rest.ask("GET", "/config", if_none_match="*")).status == 304


async def test_preconditions_follow_the_rules_for_weak_and_strong_tags(rest: Rest) -> None:
    tag = (await patch(rest, "a")).headers["etag"]
    for headers, status in (
        ({"if_match": f"W/{tag}"}, 412),
        ({"if_match": '"1"'}, 412),
        ({"if_match": f'"x,y" , {tag}'}, 200),
        ({"if_match": "*"}, 200),
        ({"if_none_match": "*"}, 412),
        ({"if_none_match": '"x"'}, 200),
        ({"if_match": "no tag"}, 400),
        ({"if_match": ","}, 400),
        ({"if_match": f"{tag} {tag}"}, 400),
    ):
        reply = await patch(rest, "a", **headers)
        assert reply.status == status, headers
        tag = (await rest.ask("GET", "/config")).headers["etag"]
    assert (await patch(rest, "b", if_none_match=f"W/{tag}")).status == 412


async def test_a_write_that_is_repeated_with_its_key_and_tag_gives_the_first_outcome(rest: Rest) -> None:
    tag = (await rest.ask("GET", "/config")).headers["etag"]
    first = await patch(rest, "a", if_match=tag, idempotency_key="k")
    again = await patch(rest, "a", if_match=tag, idempotency_key="k")
    assert (first.status, first.json["generation"]) == (200, 1)
    assert (again.status, again.json["generation"], again.json["replayed"]) == (200, 1, True)
    assert "etag" not in again.headers
    assert (await patch(rest, "b", if_match=tag, idempotency_key="other")).status == 412


async def test_keys_that_name_programs_files_or_servers_are_not_set_over_http(house: House, rest: Rest) -> None:
    for document in (
        {"mcp": {"servers": {"mine": {"command": ["sh"]}}}},
        {"shell": {"program": "/bin/sh"}},
        {"tools": {"level": "full"}},
        {"servers": {"mine": {"base_url": "http://127.0.0.1:9/v1"}}},
        {"providers": {"base_urls": {"anthropic": "https://evil.example"}}},
        {"agent": {"system_prompt_file": "/etc/passwd"}},
    ):
        for verb in ("PUT", "PATCH"):
            reply = await rest.ask(verb, "/config", document)
            assert (reply.status, reply.code) == (403, "PERMISSION_DENIED")
            assert reply.json["details"]["field"] in powerful(document)
    reply = await rest.ask("PUT", "/config", {"toml": '[agent]\nsystem_prompt_file = "/etc/passwd"'})
    assert (reply.status, reply.code) == (403, "PERMISSION_DENIED")
    assert (await rest.get("/config"))["generation"] == 0
    async with running_rest(house, realm="r", allow_programs=True) as trusting:
        written = await trusting.ask("PUT", "/config", {"servers": {"mine": {"base_url": "http://127.0.0.1:9/v1"}}})
        assert written.status == 200


async def test_what_is_there_may_stay_in_a_write_that_names_its_generation(house: House, rest: Rest) -> None:
    document: dict[str, Any] = {"servers": {"mine": {"base_url": "http://127.0.0.1:9/v1"}}}
    async with running_rest(house, realm="r", allow_programs=True) as trusting:
        assert (await trusting.ask("PUT", "/config", document)).status == 200
    more = {**document, "agent": {"model": "mine/x"}}
    assert (await rest.ask("PUT", "/config", more)).status == 403, "it could be another one by the time of the write"
    assert (await rest.ask("PUT", "/config", {"config": more, "expected_generation": 1})).status == 200
    tag = (await rest.ask("GET", "/config")).headers["etag"]
    assert (await rest.ask("PUT", "/config", more, if_match=tag)).status == 200
    other = {**more, "servers": {"mine": {"base_url": "http://evil.example"}}}
    assert (await rest.ask("PUT", "/config", {"config": other, "expected_generation": 3})).status == 403
    assert (await rest.ask("PATCH", "/config", {"servers": {"mine": None}})).status == 200, "taking away is harmless"


async def test_answers_tell_where_files_are_only_when_asked_to(house: House, rest: Rest) -> None:
    house.provider.answers("hi")
    await rest.post("/sessions", {"prompt": "x"})
    targets = ("/config", "/realm", "/realms", "/realms/r", "/daemon/status", "/runtime/host_info", "/trash")
    for target in targets:
        assert house.settings.state_root not in str(await rest.get(target)), target
    async with running_rest(house, realm="r", expose_paths=True) as open_one:
        assert (await open_one.get("/config"))["resolved_paths"]["root"] == house.settings.state_root
        assert house.settings.state_root in str(await open_one.get("/realms/r"))


def test_what_is_allowed_exists_and_what_sounds_powerful_is_not_allowed() -> None:
    words = {"command", "args", "env", "cwd", "path", "file", "url", "urls", "program", "socket", "host", "servers"}
    for section, allowed in ALLOWED.items():
        keys = set(getattr(ConfigDocument.model_fields[section].annotation, "model_fields", {}))
        assert (allowed or set()) <= keys
        assert not {key for key in (keys if allowed is None else allowed) if words & set(key.split("_"))}
    assert {"servers", "mcp", "shell"} & set(ALLOWED) == set()


def test_documents_of_odd_shapes_have_no_powers_and_are_left_to_the_daemon() -> None:
    for document in ({"servers": []}, {"servers": None}, {"agent": None}, {"agent": {"modl": 1}}, {"servrs": {"a": 1}}):
        assert powerful(document) == {}
    assert powerful({"tools": {"level": "safe"}, "servers": {"a": None}}) == {}
    assert in_params({"toml": "="}) == {}
    assert in_params({"patch": 3}) == {}


@pytest.mark.parametrize("header", ["", "x", '"a" "b"', '"a', 'w/"a"', '*, "a"', '"a"b'])
def test_malformed_tags_are_refused(header: str) -> None:
    with pytest.raises(RkatError) as refused:
        etag.parse("If-Match", header)
    assert refused.value.code == "INVALID_REQUEST"


def test_tags_are_parsed_and_compared() -> None:
    assert etag.parse("If-Match", " * ") is None
    assert etag.parse("If-Match", '"a,b",W/"c" , ,"",') == (
        etag.Tag("a,b"), etag.Tag("c", weak=True), etag.Tag(""),
    )  # fmt: skip
    tag = etag.tag_of(7, b"{}")
    assert (tag.generation, str(tag)[0]) == (7, '"')
    assert etag.Tag("7").generation is None
    assert etag.replayable((etag.tag_of(6, b""),), tag) == 6
    assert etag.replayable((etag.tag_of(8, b""),), tag) is None
    assert etag.replayable(None, tag) is None


async def test_the_policy_of_tools_is_not_taken_away_over_http(house: House, rest: Rest) -> None:
    async with house.connect(realm_id="r") as peer:
        await peer.call("config/patch", patch={"tools": {"policy": {"shell": "ask"}}})
    for verb, document in (
        ("PUT", {"agent": {"model": "m"}}),
        ("PUT", {"toml": '[agent]\nmodel = "m"'}),
        ("PATCH", {"tools": None}),
        ("PATCH", {"tools": {"policy": None}}),
        ("PATCH", {"tools": {"policy": {"shell": None}}}),
    ):
        reply = await rest.ask(verb, "/config", document)
        assert (reply.status, reply.json["details"]["field"]) == (403, "tools.policy")
    assert (await rest.ask("PATCH", "/config", {"agent": {"model": "m"}})).status == 200
