"""A fork's transcript begins with its source's, which is in memory already."""

from tests.sessions.conftest import Bench

from meerkatd.sessions.transcript import TranscriptMemory
from meerkatd.store.api import NewMessage, RealmStore, SessionRow


def new(*texts: str) -> list[NewMessage]:
    return [NewMessage(role="user", body=f'{{"role":"user","content":"{text}"}}') for text in texts]


async def made(store: RealmStore) -> None:
    """Session a of three messages, b with two of them and one of its own, c with all of b's."""
    await store.create_session(SessionRow(session_id="a", created_ms=1, updated_ms=1))
    await store.append("a", new("0", "1", "2"), updated_ms=1)
    await store.fork_session(SessionRow(session_id="b", created_ms=1, updated_ms=1), source_id="a", count=2)
    await store.append("b", new("own"), updated_ms=1)
    await store.fork_session(SessionRow(session_id="c", created_ms=1, updated_ms=1), source_id="b", count=3)


def said(messages) -> list[str]:
    return [message["content"] for message in messages]


async def test_a_forks_transcript_shares_what_is_held_of_its_source(bench: Bench):
    await made(bench.store)
    memory = TranscriptMemory()
    source = await memory.get(bench.store, "a")
    fork = await memory.get(bench.store, "b")
    assert said(fork.messages) == ["0", "1", "own"]
    assert [one is other for one, other in zip(fork.messages, source.messages, strict=True)] == [True, True, False]
    again = await memory.get(bench.store, "c")
    assert said(again.messages) == ["0", "1", "own"]
    assert again.messages[2] is fork.messages[2]
    alone = await TranscriptMemory().get(bench.store, "c")
    assert (again.weight, again.images) == (alone.weight, alone.images)
    assert [again.chars_from(number) for number in range(4)] == [alone.chars_from(number) for number in range(4)]


async def test_a_forks_transcript_is_its_own_from_there_on(bench: Bench):
    await made(bench.store)
    memory = TranscriptMemory()
    await memory.get(bench.store, "a")
    await memory.get(bench.store, "b")
    memory.extend("b", [{"role": "user", "content": "more", "created_at": ""}], ["x" * 9])
    assert said((await memory.get(bench.store, "a")).messages) == ["0", "1", "2"]
    assert said((await memory.get(bench.store, "b")).messages) == ["0", "1", "own", "more"]


async def test_a_fork_whose_source_is_not_held_is_read(bench: Bench):
    await made(bench.store)
    assert said((await TranscriptMemory().get(bench.store, "c")).messages) == ["0", "1", "own"]
