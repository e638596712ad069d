"""Files as crashes and bad disks leave them: a cut-off write is taken away, damage is refused."""

import json
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio
from tests.store.conformance.bench import BIG, Bench, bench_of
from tests.store.watched_disk import WatchedDisk, unwatched

from meerkatd.errors import RealmDamaged
from meerkatd.store.api import NewMessage, ToolRow
from meerkatd.store.jsonl import JsonlBackend
from meerkatd.store.jsonl.layout import FOLDER, INDEX, session_file
from meerkatd.store.jsonl.opening import open_realm
from meerkatd.store.jsonl.record import Record, seal

# The bytes at the end of the file in which every cut is tried.
TAIL = 2000


def backend() -> JsonlBackend:
    return JsonlBackend(disk=WatchedDisk(unwatched))


@dataclass
class Lived:
    """A realm with one session, closed, and its session's file."""

    folder: Path
    session_id: str

    @property
    def path(self) -> Path:
        return self.folder / session_file(self.session_id)

    def lines(self) -> list[bytes]:
        return self.path.read_bytes().splitlines(keepends=True)


@pytest.fixture
async def lived(tmp_path: Path) -> Lived:
    """Several turns, each with tools and two messages of many bytes; the index is gone, as after a crash."""
    folder = tmp_path / "realm"
    folder.mkdir()
    async with bench_of(backend(), str(folder)) as bench:
        session = await bench.new_session()
        for ordinal in range(6):
            turn = await bench.begin(session.session_id, ordinal)
            tool = ToolRow(turn_id=turn.turn_id, call_id="c", position=0, name="n", arguments="{}", state="ran")
            await bench.store.put_tools([tool])
            bodies = [json.dumps({"role": role, "content": f"{ordinal} " + "ž" * 60}) for role in ("user", "assistant")]
            messages = [NewMessage(role="user", body=body) for body in bodies]
            await bench.store.end_turn(bench.turn_end(turn, messages=messages))
    (folder / INDEX).unlink()
    return Lived(folder, session.session_id)


def half(data: bytes, _dice: random.Random) -> bytes:
    line = data.splitlines(keepends=True)[-3]
    return line[: len(line) // 2]


GARBAGE: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "nothing": lambda _data, _dice: b"",
    "zeros": lambda _data, _dice: bytes(700),
    "noise": lambda _data, dice: dice.randbytes(700),
    "half a line": half,
    "an earlier line": lambda data, _dice: data.splitlines(keepends=True)[3],
    "an earlier line after a line feed": lambda data, _dice: b"\n" + data.splitlines(keepends=True)[3],
}


@dataclass
class Expected:
    begun: int
    ended: int


def committed(data: bytes) -> Expected:
    """What the whole lines of `data` tell of, up to the last commit."""
    expected, begun, ended = Expected(0, 0), 0, 0
    for number, line in enumerate(data.splitlines(keepends=True)):
        try:
            fields = json.loads(line) if line.endswith(b"\n") else {"n": -1}
        except ValueError:
            break
        if fields["n"] != number:
            break
        begun += fields["type"] == "turn"
        ended += fields["type"] == "turn_end"
        if "commit" in fields:
            expected = Expected(begun, ended)
    return expected


async def look(lived: Lived, expected: Expected) -> None:
    """Open the realm, and check that it shows what is expected and works on."""
    async with bench_of(backend(), str(lived.folder)) as bench:
        row = await bench.stored(lived.session_id)
        page = await bench.page(lived.session_id, 0, 1000, BIG)
        assert (row.turn_count, row.message_count, page.total) == (expected.begun, 2 * expected.ended, len(page.bodies))
        ordinals = [json.loads(body)["content"].split()[0] for body in page.bodies]
        assert ordinals == [str(n // 2) for n in range(2 * expected.ended)]
        assert len(await bench.store.running_turns()) == expected.begun - expected.ended
        await bench.append(lived.session_id, "after the crash")
    async with bench_of(backend(), str(lived.folder)) as bench:
        assert (await bench.bodies(lived.session_id))[-1] == "after the crash"


@pytest.mark.parametrize("step", [23, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize("garbage", GARBAGE)
async def test_file_cut_anywhere_shows_all_that_was_committed_and_nothing_else(
    lived: Lived, garbage: str, step: int
) -> None:
    whole = lived.path.read_bytes()
    dice = random.Random(garbage)
    for cut in range(len(whole) - TAIL, len(whole) + 1, step):
        with trio.fail_after(20):
            (lived.folder / INDEX).unlink(missing_ok=True)
            left = whole[:cut] + GARBAGE[garbage](whole[:cut], dice)
            lived.path.write_bytes(left)
            # Of what is left, for the line feed that was cut off last may be back in the garbage.
            await look(lived, committed(left))


async def test_what_is_cut_off_is_kept_beside_the_log(lived: Lived) -> None:
    whole = lived.path.read_bytes()
    lived.path.write_bytes(whole + b'{"n":99,"ty')
    await look(lived, committed(whole))
    kept = [file for file in (lived.folder / FOLDER).iterdir() if ".torn-" in file.name]
    assert [file.read_bytes() for file in kept] == [b'{"n":99,"ty']


async def test_whole_lines_without_their_commit_are_cut_off(lived: Lived) -> None:
    """The last turn's messages are on the disk and sealed, and the line that commits them is not."""
    lines = lived.lines()
    assert json.loads(lines[-1])["type"] == "turn_end"
    lived.path.write_bytes(b"".join(lines[:-1]))
    await look(lived, Expected(6, 5))


def opens(lived: Lived) -> None:
    open_realm(str(lived.folder), create=False, disk=WatchedDisk(unwatched)).close()


@pytest.mark.parametrize("step", [23, pytest.param(1, marks=pytest.mark.long)])
async def test_flipped_bit_is_refused(lived: Lived, step: int) -> None:
    """A broken line is never skipped, and what follows is never cut off: not in the last line either, unless the bit
    was in what makes it look like a line.
    """
    whole = lived.path.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    frame = [*range(last, last + len(b'{"n":')), *range(len(whole) - len(b',"crc":"00000000"}\n'), len(whole))]
    for position in sorted(set(range(0, len(whole), step)) - set(frame)):
        spoilt = bytearray(whole)
        spoilt[position] ^= 1 << position % 8
        lived.path.write_bytes(spoilt)
        with pytest.raises(RealmDamaged) as caught:
            opens(lived)
        assert caught.value.details["path"] == str(lived.path)
        assert lived.path.read_bytes() == spoilt


@pytest.mark.parametrize("edit", ["taken out", "doubled", "moved"])
async def test_line_that_was_taken_out_or_moved_is_damage(lived: Lived, edit: str) -> None:
    lines = lived.lines()
    edited: dict[str, Sequence[bytes]] = {
        "taken out": [*lines[:4], *lines[5:]],
        "doubled": [*lines[:5], lines[4], *lines[5:]],
        "moved": [*lines[:4], lines[5], lines[4], *lines[6:]],
    }
    lived.path.write_bytes(b"".join(edited[edit]))
    with pytest.raises(RealmDamaged):
        opens(lived)


async def test_write_that_lost_a_sector_in_a_power_cut_is_torn_and_not_damage(lived: Lived) -> None:
    """A cut may keep the end of an unsynced write and not its beginning, which then reads as zeros."""
    lines = lived.lines()
    start = len(b"".join(lines[:-3]))
    whole = bytearray(b"".join(lines))
    first_whole_sector = -(-start // 512) * 512
    whole[start:first_whole_sector] = bytes(first_whole_sector - start)
    lived.path.write_bytes(whole)
    opens(lived)
    assert lived.path.stat().st_size == start


async def test_zeros_in_a_write_that_was_synced_are_damage(lived: Lived) -> None:
    whole = bytearray(lived.path.read_bytes())
    whole[1024:1536] = bytes(512)
    lived.path.write_bytes(whole)
    with pytest.raises(RealmDamaged):
        opens(lived)


async def test_sealed_line_that_says_something_impossible_is_damage(lived: Lived) -> None:
    lines = lived.lines()
    stray = Record("turn_end", {"ordinal": 77, "state": "completed"})
    lived.path.write_bytes(b"".join([*lines, *seal([stray], first=len(lines), synced=len(lines))]))
    with pytest.raises(RealmDamaged) as caught:
        opens(lived)
    assert caught.value.details["path"] == str(lived.path)


async def test_file_under_another_sessions_name_is_damage(lived: Lived) -> None:
    shutil.copy(lived.path, lived.path.with_name("another.jsonl"))
    with pytest.raises(RealmDamaged):
        opens(lived)


async def test_file_that_changes_under_an_open_realm_is_noticed_when_it_is_read(lived: Lived) -> None:
    async with bench_of(backend(), str(lived.folder)) as bench:
        whole = bytearray(lived.path.read_bytes())
        whole[700] ^= 1
        lived.path.write_bytes(whole)
        with pytest.raises(RealmDamaged):
            await bench.page(lived.session_id)


async def test_session_lost_by_one_bit_is_the_only_one_that_is_refused_while_open(lived: Lived) -> None:
    async with bench_of(backend(), str(lived.folder)) as bench:
        other = await _other_session(bench)
        await bench.store.tidy()
        lived.path.write_bytes(lived.path.read_bytes()[:-5])
        with pytest.raises(RealmDamaged):
            await bench.page(lived.session_id)
        assert await bench.bodies(other) == ["whole"]


async def _other_session(bench: Bench) -> str:
    other = (await bench.new_session()).session_id
    await bench.append(other, "whole")
    return other
