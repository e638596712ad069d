"""The daemon with everything real but the model: that one answers at once, in the process.

A prompt of N characters gets an answer of N characters; `STREAM` a word every 5 ms until it is interrupted, `FLOOD` 1
KiB every 2 ms, and `HOLD` nothing. The models `WHOLE` and `ENDLESS` make the request that OpenAI's format has, and
count its tokens; the window of the second one is never full. With MEERKAT_BENCH_PROFILE=FILE the event loop's thread is
profiled by cProfile into that file.
"""

import cProfile
import functools
import math
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import trio
from tests.support.scripted_provider import ScriptedAgents

from meerkatd.agent.agents import Agents
from meerkatd.agent.context_view import CHARS_PER_TOKEN
from meerkatd.agent.credentials import Credentials
from meerkatd.agent.models import Endpoint
from meerkatd.agent.port import Completed, ModelEvent, ModelRequest, Provider, ProviderKind, TextDelta, TokenUsage
from meerkatd.agent.providers.openai_chat import OpenAIChat
from meerkatd.agent.summary import SYSTEM as SUMMARY
from meerkatd.app import Daemon
from meerkatd.lifecycle.lock import take_instance_lock
from meerkatd.lifecycle.logs import configure_logging
from meerkatd.lifecycle.process import prepare_process
from meerkatd.lifecycle.ready import ReadyPipe
from meerkatd.realms.realm import Realm
from meerkatd.settings import Settings, parse_settings

STREAM = "stream"
FLOOD = "flood"
HOLD = "hold"
WHOLE = "whole"
ENDLESS = "endless"
ENDLESS_WINDOW = 1_000_000_000
_WORD_SECONDS = {STREAM: 0.005, FLOOD: 0.002, HOLD: math.inf}
_WORDS = {FLOOD: "w" * 1023 + " "}


class InstantProvider:
    """`agent.port.Provider`."""

    @property
    def kind(self) -> ProviderKind:
        return "self_hosted"

    def stream(self, request: ModelRequest) -> AbstractAsyncContextManager[AsyncIterator[ModelEvent]]:
        tokens = 7
        if request.model in (WHOLE, ENDLESS):
            tokens = len(OpenAIChat().build(request, api_key=None).body) // CHARS_PER_TOKEN
        prompt = "summary" if request.system == SUMMARY else cast(Any, request.messages[-1])["content"]
        return _stream(prompt, tokens)

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


@asynccontextmanager
async def _stream(prompt: str, tokens: int) -> AsyncIterator[AsyncIterator[ModelEvent]]:
    if prompt in _WORD_SECONDS:
        events = _endless(_WORD_SECONDS[prompt], _WORDS.get(prompt, "word "))
    else:
        events = _at_once(prompt, tokens)
    try:
        yield events
    finally:
        await cast(Any, events).aclose()


async def _at_once(prompt: str, tokens: int) -> AsyncIterator[ModelEvent]:
    await trio.lowlevel.checkpoint()
    text = "y" * len(prompt)
    yield TextDelta(text)
    yield Completed(
        blocks=[{"block_type": "text", "data": {"text": text}}],
        stop_reason="end_turn",
        usage=TokenUsage(input_tokens=tokens, output_tokens=3),
    )


async def _endless(word_seconds: float, word: str) -> AsyncIterator[ModelEvent]:
    while True:
        await trio.sleep(word_seconds)
        yield TextDelta(word)


class InstantAgents(ScriptedAgents):
    def choose(self, *, model: str | None, provider: str | None, credentials: Credentials) -> Endpoint:
        chosen = super().choose(model=model, provider=provider, credentials=credentials)
        return replace(chosen, context_window=ENDLESS_WINDOW) if chosen.model == ENDLESS else chosen


def make_agents(realm: Realm) -> Agents:
    provider: Provider = InstantProvider()
    return InstantAgents(cast(Any, provider), realm.tools)


async def serve(settings: Settings) -> None:
    with take_instance_lock(settings.places):
        configure_logging(settings.log_path, foreground=settings.foreground)
        daemon = Daemon(settings, make_agents=make_agents, preload=trio.lowlevel.checkpoint)
        await daemon.run(ReadyPipe(settings.ready_fd))


def main() -> None:
    prepare_process()
    run = functools.partial(trio.run, serve, parse_settings(sys.argv[1:]))
    profile = os.environ.get("MEERKAT_BENCH_PROFILE")
    if profile is None:
        run()
        return
    profiler = cProfile.Profile()
    profiler.runcall(run)
    profiler.dump_stats(profile)


if __name__ == "__main__":
    main()
