"""Sessions and turns over HTTP, with their statuses."""

import trio
from tests.rest.rest_kit import Rest, running_rest
from tests.support.house import House
from tests.support.scripted_provider import Gate

from meerkatd.errors import ProviderError


async def created(house: House, rest: Rest, **body: object) -> str:
    house.provider.answers("hi")
    return str((await rest.post("/sessions", {"prompt": "hello", **body}))["session_id"])


async def test_a_session_is_created_read_listed_continued_and_archived(house: House, rest: Rest) -> None:
    house.provider.answers("hi ", "there")
    made = await rest.post("/sessions", {"prompt": "hello", "labels": {"team": "a=b"}})
    session_id = made["session_id"]
    assert (made["text"], made["turns"]) == ("hi there", 1)
    assert (await rest.get(f"/sessions/{session_id}"))["last_assistant_text"] == "hi there"
    house.provider.answers("more")
    again = await rest.post(f"/sessions/{session_id}/messages", {"session_id": session_id, "prompt": "go on"})
    assert again["text"] == "more"
    page = await rest.get(f"/sessions/{session_id}/history?offset=1&limit=2")
    assert (len(page["messages"]), page["message_count"], page["has_more"]) == (2, 4, True)
    assert len((await rest.get("/sessions?label=team%3Da%3Db"))["sessions"]) == 1
    assert (await rest.get("/sessions?label=team%3Dother"))["sessions"] == []
    assert (await rest.ask("DELETE", f"/sessions/{session_id}")).json["archived"] is True
    assert (await rest.get("/sessions"))["sessions"] == []
    assert len((await rest.get("/sessions?include_archived=true"))["sessions"]) == 1
    assert (await rest.ask("POST", f"/sessions/{session_id}/messages", {"prompt": "x"})).code == "SESSION_ARCHIVED"
    assert (await rest.post(f"/sessions/{session_id}/unarchive"))["archived"] is False
    fork = await rest.post(f"/sessions/{session_id}/fork", {"message_index": 2})
    assert fork["message_count"] == 2
    labels = await rest.ask("PATCH", f"/sessions/{session_id}/labels", {"labels": {"team": None, "x": "y"}})
    assert labels.json["labels"] == {"x": "y"}
    assert (await rest.get(f"/sessions/{session_id}/turn"))["state"] == "completed"
    said = await rest.post(f"/sessions/{session_id}/system_context", {"text": "It rains."})
    assert said["status"] == "applied"
    assert (await rest.get(f"/sessions/{session_id}/events/latest"))["cursor"]["sequence"] == again["cursor"]
    since = await rest.get(f"/sessions/{session_id}/events/since?cursor={again['cursor'] - 1}&limit=5")
    assert [row["event"]["type"] for row in since["events"]] == ["run_completed"]
    assert (await rest.get(f"/sessions/{session_id}/snapshot"))["snapshot"]["session"]["session_id"] == session_id


async def test_errors_have_the_status_and_code_of_the_one_table(house: House, rest: Rest) -> None:
    for verb, target, body, status, code in (
        ("GET", "/sessions/~7", None, 404, "SESSION_NOT_FOUND"),
        ("POST", "/sessions", {}, 400, "INVALID_PARAMS"),
        ("POST", "/sessions", {"prompt": "x", "promt": "y"}, 400, "INVALID_PARAMS"),
        ("POST", "/sessions", {"prompt": "x", "session_events": True}, 400, "INVALID_PARAMS"),
        ("POST", "/sessions", b"[1]", 400, "INVALID_PARAMS"),
        ("POST", "/sessions", b'{"prompt":"a","prompt":"b"}', 400, "PARSE_ERROR"),
        ("POST", "/sessions", b'{"prompt":NaN}', 400, "PARSE_ERROR"),
        ("POST", "/sessions", b"[" * 100 + b"]" * 100, 400, "PARSE_ERROR"),
        ("POST", "/sessions", b'{"prompt":"\xff"}', 400, "PARSE_ERROR"),
        ("POST", "/sessions", {"prompt": "x" * (1 << 20)}, 413, "REQUEST_TOO_LARGE"),
        ("GET", "/sessions?limit=ten", None, 400, "INVALID_PARAMS"),
        ("GET", "/sessions?limit=1001", None, 400, "INVALID_PARAMS"),
        ("GET", "/sessions?limit=1&limit=1", None, 400, "INVALID_PARAMS"),
        ("GET", "/sessions?what=1", None, 400, "INVALID_PARAMS"),
        ("GET", "/sessions?include_archived=yes", None, 400, "INVALID_PARAMS"),
        ("GET", "/sessions?label=x", None, 400, "INVALID_PARAMS"),
        ("GET", "/sessions?limit=%ff", None, 400, "INVALID_PARAMS"),
        ("GET", "/sessions", {"limit": 1}, 400, "INVALID_REQUEST"),
        ("GET", "/realms/none", None, 404, "REALM_NOT_FOUND"),
        ("GET", "/", None, 404, "NOT_FOUND"),
        ("GET", "/sessions/", None, 404, "NOT_FOUND"),
        ("DELETE", "/config", None, 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/requests/none/cancel", None, 404, "NOT_FOUND"),
    ):
        reply = await rest.ask(verb, target, body)
        assert (reply.status, reply.code) == (status, code), (verb, target, body)
        assert reply.json["error"] == reply.json["message"]
        assert {"hint", "retryable"} <= set(reply.json["details"])
    reply = await rest.ask("PATCH", "/sessions", {})
    assert sorted(reply.headers["allow"].split(", ")) == ["GET", "POST"]
    session_id = await created(house, rest)
    reply = await rest.ask("POST", f"/sessions/{session_id}/messages", {"session_id": "last", "prompt": "x"})
    assert (reply.status, reply.json["details"]["field"]) == (400, "session_id")


async def test_a_body_must_say_that_it_is_json(rest: Rest) -> None:
    """A form of a page can send text/plain without being asked for permission."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonp"):
        reply = await rest.ask("POST", "/sessions", {"prompt": "x"}, content_type=kind)
        assert (reply.status, reply.code) == (400, "INVALID_REQUEST")
    reply = await rest.ask("POST", "/sessions", {}, content_type="Application/JSON; charset=utf-8")
    assert reply.code == "INVALID_PARAMS"


async def test_a_busy_session_is_told_at_once_with_its_holder(house: House, rest: Rest) -> None:
    gate = Gate()
    session_id = await created(house, rest)
    house.provider.answers(gate, "x")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rest.post, f"/sessions/{session_id}/messages", {"prompt": "go"})
        await gate.reached.wait()
        reply = await rest.ask("POST", f"/sessions/{session_id}/messages", {"prompt": "me too"})
        assert (reply.status, reply.code) == (409, "SESSION_BUSY")
        assert reply.json["details"]["surface"] == "rest"
        gate.open()


async def test_interrupt_ends_the_turn_and_its_request_with_499(house: House, rest: Rest) -> None:
    gate = Gate()
    session_id = await created(house, rest)
    assert (await rest.ask("POST", f"/sessions/{session_id}/interrupt")).code == "SESSION_NOT_RUNNING"
    house.provider.answers("half", gate)
    replies = []

    async def run() -> None:
        replies.append(await rest.ask("POST", f"/sessions/{session_id}/messages", {"prompt": "go"}))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await gate.reached.wait()
        assert (await rest.post(f"/sessions/{session_id}/interrupt"))["interrupted"] is True
    assert (replies[0].status, replies[0].code) == (499, "REQUEST_CANCELLED")
    assert replies[0].json["details"]["text"] == "half"


async def test_a_first_turn_that_fails_names_the_session_that_is_there(house: House, rest: Rest) -> None:
    house.provider.answers(ProviderError("The provider is down.", details={"kind": "server"}))
    reply = await rest.ask("POST", "/sessions", {"prompt": "hello"})
    assert (reply.status, reply.code) == (502, "PROVIDER_ERROR")
    details = reply.json["details"]
    assert details["session_created"] is True
    house.provider.answers("better now")
    assert (await rest.post(f"/sessions/{details['session_id']}/messages", {"prompt": "again"}))["text"] == "better now"


async def test_a_deferred_session_is_answered_at_once(rest: Rest) -> None:
    made = await rest.post("/sessions", {"prompt": "first", "initial_turn": "deferred"})
    assert set(made) == {"session_id", "session_ref"}


async def test_a_client_that_goes_away_leaves_its_turn_running(house: House, rest: Rest) -> None:
    gate = Gate()
    session_id = await created(house, rest)
    house.provider.answers("on ", gate, "and on")
    with trio.CancelScope() as leaving:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rest.post, f"/sessions/{session_id}/messages", {"prompt": "go"})
            await gate.reached.wait()
            leaving.cancel()
    assert (await rest.get(f"/sessions/{session_id}"))["is_active"] is True
    async with rest.events(f"/sessions/{session_id}/events?until=turn_end") as events:
        await events.until("text_delta")
        gate.open()
        await events.until("done")
    assert (await rest.get(f"/sessions/{session_id}"))["last_assistant_text"] == "on and on"


async def test_a_request_is_cancelled_by_its_id_and_is_told_what_came_of_it(house: House, rest: Rest) -> None:
    gate = Gate()
    house.provider.answers("half", gate)
    replies = []

    async def run() -> None:
        replies.append(await rest.ask("POST", "/sessions", {"prompt": "go"}, x_meerkat_request_id="mine"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await gate.reached.wait()
        reply = await rest.ask("POST", "/sessions", {"prompt": "other"}, x_meerkat_request_id="mine")
        assert (reply.status, reply.code) == (409, "DUPLICATE_INPUT")
        assert await rest.post("/requests/mine/cancel") == {"request_id": "mine", "cancelled": True}
    assert (replies[0].status, replies[0].code) == (499, "REQUEST_CANCELLED")
    assert replies[0].json["details"]["text"] == "half"
    assert replies[0].headers["x-meerkat-request-id"] == "mine"
    late = await rest.post("/requests/mine/cancel")
    assert late == {"request_id": "mine", "cancelled": False, "reason": "already_terminal"}


async def test_every_answer_has_a_request_id_of_its_own_unless_it_was_given_one(rest: Rest) -> None:
    first, second = await rest.ask("GET", "/health"), await rest.ask("GET", "/nowhere")
    ids = {reply.headers["x-meerkat-request-id"] for reply in (first, second)}
    assert len(ids) == 2
    assert (await rest.ask("GET", "/sessions", x_meerkat_request_id="a b")).code == "INVALID_REQUEST"


async def test_blobs_are_asked_for_by_their_id(house: House, rest: Rest) -> None:
    await created(house, rest)
    reply = await rest.ask("GET", f"/blobs/sha256:{'0' * 64}")
    assert (reply.status, reply.code) == (404, "BLOB_NOT_FOUND")
    for name in ("x", "..", "%2e%2e", "sha256:"):
        reply = await rest.ask("GET", f"/blobs/{name}")
        assert (reply.status, reply.code) == (400, "INVALID_PARAMS")
    assert (await rest.ask("GET", "/blobs/..%2fconfig.toml")).code == "NOT_FOUND"


async def test_a_model_is_not_let_at_files_or_programs_over_http(house: House, rest: Rest) -> None:
    session_id = await created(house, rest)
    for more in ({"workspace": "/"}, {"tools": "full"}, {"tools": "workspace"}, {"enable_shell": True}):
        reply = await rest.ask("POST", "/sessions", {"prompt": "x", **more})
        assert (reply.status, reply.code, reply.json["details"]["field"]) == (
            403,
            "PERMISSION_DENIED",
            next(iter(more)),
        )
    reply = await rest.ask("POST", f"/sessions/{session_id}/messages", {"prompt": "x", "tools": "full"})
    assert (reply.status, reply.code) == (403, "PERMISSION_DENIED")
    house.provider.answers("safe")
    assert (await rest.post("/sessions", {"prompt": "x", "tools": "safe", "enable_shell": None}))["text"] == "safe"


async def test_an_idempotency_key_gives_the_first_outcome_again(house: House, rest: Rest) -> None:
    house.provider.answers("once")
    first = await rest.post("/sessions", {"prompt": "hello"}, idempotency_key="k1")
    assert await rest.post("/sessions", {"prompt": "hello"}, idempotency_key='"k1"') == first
    assert await rest.post("/sessions", {"prompt": "hello", "idempotency_key": "k1"}) == first
    reply = await rest.ask("POST", "/sessions", {"prompt": "other"}, idempotency_key="k1")
    assert (reply.status, reply.code) == (409, "DUPLICATE_INPUT")
    reply = await rest.ask("POST", "/sessions", {"prompt": "x", "idempotency_key": "a"}, idempotency_key="b")
    assert reply.json["details"]["field"] == "idempotency_key"
    reply = await rest.ask("GET", "/sessions", idempotency_key="k")
    assert (reply.status, reply.code) == (400, "INVALID_PARAMS")


async def test_an_external_event_is_any_json_and_needs_the_secret_when_there_is_one(house: House, rest: Rest) -> None:
    session_id = await created(house, rest)
    target = f"/sessions/{session_id}/external-events?event_type=build.finished&source=ci"
    for payload in ({"ok": False}, [1, 2], "text", 7):
        reply = await rest.ask("POST", target, payload)
        assert (reply.status, reply.json["queued"]) == (202, True)
    first = await rest.ask("POST", target, {"n": 1}, idempotency_key="k")
    again = await rest.ask("POST", target, {"n": 1}, idempotency_key="k")
    assert (first.json["outcome_type"], again.json["outcome_type"]) == ("accepted", "deduplicated")
    async with running_rest(house, realm="r", webhook_secret=b"s3cret") as guarded:
        assert (await guarded.ask("POST", target, {})).code == "UNAUTHORIZED"
        assert (await guarded.ask("POST", target, {}, x_webhook_secret="S3cret")).code == "UNAUTHORIZED"
        assert (await guarded.ask("POST", target, {}, x_webhook_secret="s3cret")).status == 202
        reply = await guarded.ask("POST", target, {}, x_webhook_secret="s3cret", authorization="")
        assert reply.code == "UNAUTHORIZED", "the secret is no token"
