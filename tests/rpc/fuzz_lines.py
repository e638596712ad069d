"""Mutated lines for `rkat-rpc`: `python -m tests.rpc.fuzz_lines --lines 1000000`.

After each batch a valid request must be answered, with the id it has, by the same process and the same daemon. At the
end neither may have complained: nothing on stderr, no error in the daemon's log. A run is repeated by its seed.
"""

import argparse
import json
import random
import sys
from collections.abc import Callable, Sequence

from tests.rpc.rpc_kit import Client, Place, code

BATCH = 500
_NO_SESSION = "018f0000-0000-7000-8000-000000000000"

# What clients really send; nothing that ends the daemon, or that costs a file for each line.
CORPUS = [
    json.dumps(message).encode()
    for message in (
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}},
        {"jsonrpc": "2.0", "id": "a", "method": "session/list", "params": {"limit": 10, "labels": {"é": "\U0001f600"}}},
        {"jsonrpc": "2.0", "id": 2, "method": "session/read", "params": {"session_id": _NO_SESSION}},
        {"jsonrpc": "2.0", "id": 3, "method": "turn/start", "params": {"session_id": _NO_SESSION, "prompt": "a\nb"}},
        {"jsonrpc": "2.0", "id": 4, "method": "turn/interrupt", "params": {"session_id": "last"}},
        {"jsonrpc": "2.0", "id": 5, "method": "session/history", "params": {"session_id": "~1", "offset": 0}},
        {"jsonrpc": "2.0", "id": 6, "method": "config/get"},
        {"jsonrpc": "2.0", "id": 7, "method": "config/patch", "params": {"patch": {"agent": {"temperature": 2.5}}}},
        {"jsonrpc": "2.0", "id": 8, "method": "tools/register", "params": {"tools": [
            {"name": "t", "description": "d", "input_schema": {"type": "object", "properties": {"x": {}}}}]}},
        {"jsonrpc": "2.0", "id": 9, "method": "session/stream_close", "params": {"stream_id": _NO_SESSION}},
        {"jsonrpc": "2.0", "method": "cancel", "params": {"request_id": 1}},
        {"jsonrpc": "2.0", "method": "initialized"},
        {"jsonrpc": "2.0", "id": "srv-1", "result": {"content": "x", "is_error": False}},
        {"jsonrpc": "2.0", "id": "srv-1", "error": {"code": -32603, "message": "no"}},
    )
]  # fmt: skip
_TOKENS = [
    b"null", b"true", b"-0", b"1e400", b"-1e-400", b"NaN", b"Infinity", b"9" * 400, b"18446744073709551616", b"1.5",
    b'"', b"\\", b"\\u0000", b"\\ud800", b"\\udc00\\ud800", b"{", b"}", b"[", b"]", b"[" * 40, b" " * 99,
    b":", b",", b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\r", b"\n", b"\n\n",
    b'{"a":' * 40, b'"id":', b'"id":null,', b'"method":"initialize",', b'"jsonrpc":"2.0",', b'"jsonrpc":2,',
    b'"params":[],',
]  # fmt: skip


def _flip(data: bytearray, chance: random.Random) -> None:
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _cut(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    del data[start : start + chance.randrange(1, 20)]


def _repeat(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    data[start:start] = data[start : start + chance.randrange(1, 40)]


def _insert(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data) + 1)
    data[start:start] = chance.choice(_TOKENS)


def _replace(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    data[start : start + chance.randrange(1, 8)] = chance.choice(_TOKENS)


def _splice(data: bytearray, chance: random.Random) -> None:
    other = chance.choice(CORPUS)
    data[chance.randrange(len(data)) :] = other[chance.randrange(len(other)) :]


_MUTATIONS: Sequence[Callable[[bytearray, random.Random], None]] = (_flip, _cut, _repeat, _insert, _replace, _splice)


def mutated(chance: random.Random) -> bytes:
    """One line of the corpus, changed once or more often. It may have become several lines."""
    data = bytearray(chance.choice(CORPUS))
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        if data:
            chance.choice(_MUTATIONS)(data, chance)
    return bytes(data) + b"\n"


def fuzz(place: Place, lines: int, *, seed: int, told: Callable[[int], object] = lambda count: None) -> None:
    """Send that many mutated lines; AssertionError when anything is as it should not be.

    Args:
        told: called with the number of lines sent, now and then.
    """
    chance = random.Random(seed)
    client = place.client()
    client.call("initialize")
    daemon = place.daemon_pid
    for sent in range(0, lines, BATCH):
        client.write(b"".join(mutated(chance) for _ in range(min(BATCH, lines - sent))))
        _still_answers(client, f"after {sent}")
        client.others.clear()
        told(sent)
    _, status = client.end()
    assert (status, client.words()) == (0, ""), f"seed {seed}"
    assert place.daemon_pid == daemon, f"seed {seed}: another daemon runs"
    with open(place.root / "state" / "log" / "meerkatd.log", encoding="utf-8") as log:
        errors = [line for line in log if json.loads(line)["level"] == "error"]
    assert not errors, f"seed {seed}: {errors[:3]}"


def _still_answers(client: Client, where: str) -> None:
    # Requests among the mutated ones may fill what one connection may have in flight.
    for attempt in range(100):
        call_id = f"valid {where}, {attempt}"
        client.send({"jsonrpc": "2.0", "id": call_id, "method": "session/list"})
        reply = client.reply(call_id)
        if "result" in reply:
            return
        assert code(reply) == "OVERLOADED", reply
    raise AssertionError(f"overloaded for good {where}")


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    place = Place()
    try:
        fuzz(place, args.lines, seed=args.seed, told=lambda count: count % 100_000 or print(f"{count:,}", flush=True))
    finally:
        place.close()
    print(f"{args.lines:,} lines, seed {args.seed}: every valid request was answered")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
