"""Images of prompts: kept once, named by the transcript, sent with each call that shows them."""

import base64

import pytest
from tests.sessions.conftest import OTHER, Bench

from meerkatd.agent.models import Endpoint
from meerkatd.agent.port import ModelRequest
from meerkatd.agent.providers.anthropic import AnthropicMessages
from meerkatd.agent.providers.gemini import GeminiGenerate
from meerkatd.agent.providers.history import steps_of
from meerkatd.agent.providers.openai_chat import OpenAIChat
from meerkatd.errors import BlobNotFound, InvalidParams
from meerkatd.sessions import images
from meerkatd.sessions.images import NewImage

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
ENCODED = base64.b64encode(PNG).decode()


def with_image(text: str = "What is it?", data: bytes = PNG):
    return [NewImage("image/png", data), {"type": "text", "text": text}]


async def finished(bench: Bench, session_id: str | None, prompt, answer: str = "a dot") -> str:
    bench.provider.answers(answer)
    if session_id is None:
        session_id, turn = await bench.create(prompt)
    else:
        turn = await bench.start(session_id, prompt)
    assert turn is not None
    await turn.done.wait()
    turn.outcome()
    return session_id


async def test_an_image_is_kept_once_and_sent_with_each_call_that_shows_it(bench: Bench):
    session_id = await finished(bench, None, with_image())
    await finished(bench, session_id, with_image("And this?"))
    await finished(bench, session_id, "And now?")
    first, _, second, *_ = await bench.history(session_id)
    block = first["content"][0]
    assert block == {"type": "image", "media_type": "image/png", "source": "blob", "blob_id": block["blob_id"]}
    assert second["content"][0] == block
    assert await bench.store.blobs.ids() == [block["blob_id"]]
    assert (await bench.store.blobs.get(block["blob_id"])).data == PNG
    request = bench.provider.requests[-1]
    assert request.images[block["blob_id"]].base64 == ENCODED
    assert (await bench.sessions.read(session_id))["title"] == "[image] What is it?"
    # By its id, too; not by one that there is not, or as something else.
    named = {"type": "image", "media_type": "image/png", "source": "blob", "blob_id": block["blob_id"]}
    await finished(bench, session_id, [named])
    with pytest.raises(BlobNotFound):
        await bench.start(session_id, [{**named, "blob_id": f"sha256:{'0' * 64}"}])
    with pytest.raises(InvalidParams):
        await bench.start(session_id, [{**named, "media_type": "image/gif"}])


async def test_a_model_that_takes_no_images_is_told_of_none(bench: Bench):
    def local(**_: object) -> Endpoint:
        return Endpoint(kind="local", model="small", base_url="/a.gguf", provider="local", full_name="local/small")

    session_id = await finished(bench, None, "hello")
    bench.agents.choose = local  # type: ignore[method-assign]
    for begin in (bench.create(with_image()), bench.start(session_id, with_image())):
        with pytest.raises(InvalidParams) as refused:
            await begin
        assert refused.value.details["field"] == "prompt"
    await finished(bench, session_id, "still there?")


async def test_images_of_a_compacted_part_and_all_but_the_newest_are_not_sent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(images, "MAX_SHOWN", 2)
    session_id = await finished(bench, None, with_image(data=PNG + b"0"))
    for number in (b"1", b"2"):
        await finished(bench, session_id, with_image(data=PNG + number))
    assert len(bench.provider.requests[-1].images) == 2
    bench.provider.answers("SUMMARY")
    turn = await bench.sessions.compact(session_id, 1, caller=OTHER)
    await turn.done.wait()
    await finished(bench, session_id, "And now?")
    assert len(bench.provider.requests[-1].images) == 1


async def test_each_format_carries_images_in_its_own_way(bench: Bench):
    await finished(bench, None, with_image())
    request = bench.provider.requests[-1]
    shown = ModelRequest(model="m", messages=list(request.messages)[:1], images=request.images)
    bodies = [
        wire.build(shown, api_key="k").body.decode() for wire in (OpenAIChat(), AnthropicMessages(), GeminiGenerate())
    ]
    for body, way in zip(bodies, ("data:image/png;base64,", '"media_type":"image/png"', '"inlineData"'), strict=True):
        assert ENCODED in body
        assert way in body
        assert "What is it?" in body
    # One that is not sent is told.
    (step,) = steps_of(shown.messages)
    assert "not shown" in step.texts[0]  # type: ignore[union-attr]
