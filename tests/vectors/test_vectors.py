"""The Python client and the contract say what the golden vectors say."""

import json
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter

from meerkat_client.errors import from_error_object
from meerkat_client.wire import paths
from meerkat_client.wire.faults import MalformedFrame
from meerkat_client.wire.framing import FrameReader, Oversized, decode, encode_frame
from meerkat_client.wire.paths import places
from meerkatd.contract.shapes import all_shapes

from .make_vectors import FILES, FOLDER, text


def read(name: str) -> Any:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


FRAMING = read("framing.json")
RESULTS = [shape for shape in all_shapes() if not issubclass(shape, BaseModel)]


@pytest.mark.parametrize("name", FILES)
def test_the_vectors_are_up_to_date(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == text(name)


@pytest.mark.parametrize("vector", FRAMING["passes"], ids=lambda vector: vector["name"])
def test_what_passes_means_the_same_everywhere(vector: dict[str, Any]) -> None:
    value = decode(bytes.fromhex(vector["cbor"]))
    assert value == vector["value"]
    assert json.dumps(value) == json.dumps(vector["value"]), "the order of keys is kept"


@pytest.mark.parametrize("vector", FRAMING["bignums"], ids=lambda vector: vector["cbor"])
def test_a_bignum_is_its_nearest_double(vector: dict[str, Any]) -> None:
    assert float(decode(bytes.fromhex(vector["cbor"]))) == vector["double"]


@pytest.mark.parametrize("vector", FRAMING["refused"], ids=lambda vector: vector["name"])
def test_what_is_lenient_is_refused_everywhere(vector: dict[str, Any]) -> None:
    with pytest.raises(MalformedFrame):
        decode(bytes.fromhex(vector["cbor"]))


def test_a_stream_is_cut_into_the_same_frames() -> None:
    frames = FRAMING["frames"]
    reader = FrameReader(frames["limit"])
    reader.feed(bytes.fromhex(frames["stream"]))
    bodies = []
    while (body := reader.next()) is not None:
        assert isinstance(body, bytes)
        bodies.append(body.hex())
    assert bodies == frames["bodies"]


def test_a_frame_above_the_limit_ends_the_stream() -> None:
    reader = FrameReader(FRAMING["oversized"]["limit"])
    reader.feed(bytes.fromhex(FRAMING["oversized"]["stream"]))
    found = reader.next()
    assert isinstance(found, Oversized)
    assert found.fatal


def test_a_message_becomes_the_same_frame() -> None:
    assert encode_frame(FRAMING["frame_of"]["value"], 100).hex() == FRAMING["frame_of"]["frame"]


@pytest.mark.parametrize("vector", read("errors.json"), ids=lambda vector: vector["means"]["code"])
def test_an_error_means_the_same_everywhere(vector: dict[str, Any]) -> None:
    error, means = from_error_object(vector["error"]), vector["means"]
    found = {"code": error.code, "message": error.message, "details": error.details, "retryable": error.retryable}
    assert {**found, "rpc": error.rpc_code} == {key: value for key, value in means.items() if key != "hint"}
    assert error.hint == means.get("hint", error.hint)


@pytest.mark.parametrize("vector", read("paths.json"), ids=lambda vector: vector["places"]["state_root"])
def test_everybody_looks_for_the_daemon_in_the_same_place(
    vector: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths.sys, "platform", "linux")
    found = places(vector["state_root"], environ=vector["environ"])._asdict()
    assert {key: found[key] for key in vector["places"]} == vector["places"]


@pytest.mark.parametrize("shape", RESULTS, ids=lambda shape: shape.__name__)
def test_the_sample_of_a_result_is_valid(shape: type) -> None:
    TypeAdapter(shape).validate_python(read("shapes.json")[shape.__name__]["wire"])
