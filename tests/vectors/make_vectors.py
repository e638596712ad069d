"""Writes the golden vectors that the clients of every language are held to.

    python -m tests.vectors.make_vectors

They are JSON, so that a test in any language can read them. What they say is decided here and by nothing else: bytes
and paths are written out by hand or by rules of their own, not by the code that is tested.
"""

import base64
import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from meerkatd.contract.emit_typescript import _held, camel
from meerkatd.contract.message import Content
from meerkatd.contract.shapes import all_shapes, bare, fields_of, is_shape

FOLDER = Path(__file__).parent

# A value and its CBOR, written by hand from RFC 8949.
PASSES: dict[str, tuple[Any, str]] = {
    "null": (None, "f6"),
    "true": (True, "f5"),
    "a small integer": (23, "17"),
    "an integer of one byte": (24, "1818"),
    "a negative integer": (-1000, "3903e7"),
    "the largest exact integer": (2**53 - 1, "1b001fffffffffffff"),
    "a half float": (1.5, "f93e00"),
    "a double": (1.1, "fb3ff199999999999a"),
    "an empty text": ("", "60"),
    "text beyond the basic plane": ("a\u00fc\u6c34\U00010151", "6a61c3bce6b0b4f0908591"),
    "a replacement character": ("\ufffd", "63efbfbd"),
    "a list": ([1, [2, 3], []], "830182020380"),
    "a map in the order in which it was written": ({"bb": 1, "a": 2}, "a262626201616102"),
    "the key __proto__": ({"__proto__": {"x": 1}}, "a1695f5f70726f746f5f5fa1617801"),
    "nesting up to the limit": (json.loads("[" * 32 + "0" + "]" * 32), "81" * 32 + "00"),
}

REFUSED: dict[str, str] = {
    "nothing": "",
    "bytes after the value": "0000",
    "an integer key": "a10102",
    "the same key twice": "a2616101616102",
    "an indefinite array": "9f01ff",
    "undefined": "f7",
    "a simple value": "f0",
    "a byte string": "4161",
    "NaN": "f97e00",
    "infinity": "f97c00",
    "text that is not UTF-8": "61ff",
    "a surrogate": "63eda080",
    "a length of 2^64-1": "5bffffffffffffffff",
    "an array that ends early": "8301",
    "a date": "c074323032362d30312d30315430303a30303a30305a",
    "a shared reference": "d81c81d81d00",
    "an unknown tag": "d9fde801",
    "a bignum beyond a double": "c25881" + "ff" * 129,
    "a bignum that is text": "c26161",
    "nesting beyond the limit": "81" * 33 + "00",
}


def framing() -> dict[str, Any]:
    bodies = [b"", b"\x01", bytes(range(200)), b"\x00" * 300]
    stream = b"".join(struct.pack(">I", len(body)) + body for body in bodies)
    return {
        "passes": [{"name": name, "value": value, "cbor": cbor} for name, (value, cbor) in PASSES.items()],
        "bignums": [{"cbor": "c249010000000000000000", "double": 2.0**64}, {"cbor": "c340", "double": -1.0}],
        "refused": [{"name": name, "cbor": cbor} for name, cbor in REFUSED.items()],
        "frames": {"stream": stream.hex(), "bodies": [body.hex() for body in bodies], "limit": 300},
        "oversized": {"stream": (301).to_bytes(4).hex(), "limit": 300},
        "frame_of": {"value": {"id": 1}, "frame": "00000005a162696401"},
    }


def errors() -> list[dict[str, Any]]:
    """The `error` member of a reply, and what a client makes of it."""
    busy = {"code": "SESSION_BUSY", "message": "busy", "details": {"hint": "h", "retryable": True, "turn_id": "t"}}
    return [
        {
            "error": {"code": -32002, "message": "busy", "data": busy},
            "means": {"code": "SESSION_BUSY", "message": "busy", "hint": "h", "retryable": True,
                      "details": {"turn_id": "t"}, "rpc": -32002},
        },
        {
            "error": {"code": -32602, "message": "which?"},
            "means": {"code": "INVALID_PARAMS", "message": "which?", "details": {}, "retryable": False, "rpc": -32602},
        },
        {
            "error": {"code": -32054, "message": "gone", "data": {"details": []}},
            "means": {"code": "DAEMON_UNAVAILABLE", "message": "gone", "details": {}, "retryable": True,
                      "rpc": -32054},
        },
        {
            "error": {"code": -32099, "message": "new", "data": {"code": "FROM_THE_FUTURE"}},
            "means": {"code": "FROM_THE_FUTURE", "message": "new", "details": {}, "retryable": False, "rpc": -32099},
        },
        {
            "error": None,
            "means": {"code": "INTERNAL_ERROR", "message": "The daemon gave no reason.", "details": {},
                      "retryable": False, "rpc": -32603},
        },
    ]  # fmt: skip


def paths() -> list[dict[str, Any]]:
    """Environments of Linux and the places in them. No folder of these exists, so nothing depends on the machine."""
    home = {"HOME": "/vectors/home", "MEERKAT_RUNTIME_DIR": "/vectors/run"}
    root = {**home, "MEERKAT_STATE_ROOT": "/vectors/root"}
    data = {**home, "XDG_DATA_HOME": "/vectors/data"}
    relative = {**home, "XDG_DATA_HOME": "data"}
    return [
        {"environ": home, "state_root": "/vectors/state", "places": places("/vectors/state")},
        {"environ": root, "state_root": "/vectors/state", "places": places("/vectors/state")},
        {"environ": root, "state_root": None, "places": places("/vectors/root")},
        {"environ": home, "state_root": None, "places": places("/vectors/home/.local/share/meerkat")},
        {"environ": data, "state_root": None, "places": places("/vectors/data/meerkat")},
        {"environ": relative, "state_root": None, "places": places("/vectors/home/.local/share/meerkat")},
        {"environ": home, "state_root": "/vectors/a/../b//c", "places": places("/vectors/b/c")},
    ]


def places(state_root: str) -> dict[str, str]:
    digest = base64.b32encode(hashlib.sha256(state_root.encode()).digest()[:10]).decode().lower()
    run = f"/vectors/run/r-{digest}"
    return {
        "state_root": state_root,
        "runtime_dir": run,
        "socket_path": f"{run}/md.sock",
        "lock_path": f"{state_root}/meerkatd.lock",
        "stderr_path": f"{run}/meerkatd.stderr",
        "log_path": f"{state_root}/log/meerkatd.log",
    }


def shapes() -> dict[str, Any]:
    """One whole value of each shape, as on the wire and with names in camelCase."""
    return {
        shape.__name__: {"wire": _sample(shape, lambda name: name), "camel": _sample(shape, camel)}
        for shape in all_shapes()
    }


def _sample(hint: Any, spell: Callable[[str], str]) -> Any:
    """A value of a hint, with every field; of a union the last member, which is never null here."""
    hint = bare(hint)
    if is_shape(hint):
        # Content blocks in a field stay as they are on the wire.
        return {
            spell(name): _sample(inner, spell if _held(inner) else lambda block: block)
            for name, inner, *_ in fields_of(hint)
        }
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return arguments[0]
    if hint == Content:
        return "some_text"
    if origin in (Union, UnionType):
        members = [each for each in arguments if each is not type(None)]
        return _sample(members[-1], spell)
    if origin is list:
        members = get_args(bare(arguments[0])) if get_origin(bare(arguments[0])) in (Union, UnionType) else ()
        return [_sample(each, spell) for each in members or arguments]
    if origin is dict:
        return {"somebodys_key": _sample(arguments[1], spell)}
    if hint is Any:
        return {"left_as_it_is": 1}
    return {str: "some_text", int: 7, float: 0.5, bool: True}[hint]


FILES: dict[str, Callable[[], Any]] = {
    "framing.json": framing,
    "errors.json": errors,
    "paths.json": paths,
    "shapes.json": shapes,
}


def text(name: str) -> str:
    """A file's content."""
    return json.dumps(FILES[name](), indent=1, ensure_ascii=True) + "\n"


if __name__ == "__main__":
    for file in FILES:
        (FOLDER / file).write_text(text(file), encoding="utf-8")
