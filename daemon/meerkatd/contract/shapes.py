"""The shapes that cross the wire, walked: what the generators of client types and reference pages have in common."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, NotRequired, Required, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typing_extensions import is_typeddict

from . import config, daemon, event
from .methods import METHODS

GENERATED = "Generated from the contract by `python -m meerkatd.contract.emit`; edits are lost."
NOTIFICATIONS: tuple[tuple[str, type, str], ...] = (
    ("config/changed", config.ConfigChanged, "A new generation of a config that this connection watches."),
    ("config/watch_end", config.ConfigWatchEnd, "The last word of a watch: its realm was deleted."),
    ("daemon/leaving", daemon.DaemonLeaving, "Nothing is begun any more; what gets no reply was not carried out."),
    ("session/event", event.SessionEvent, "An event of a turn that this connection started, before its response."),
    ("session/stream_event", event.StreamEvent, "An event of a stream that this connection opened."),
    ("session/stream_end", event.StreamEnd, "The last word of a stream."),
)


def hints_of(shape: type) -> dict[str, Any]:
    return get_type_hints(shape, include_extras=True)


def bare(hint: Any) -> Any:
    """A hint without `Annotated`, `Required` and `NotRequired`."""
    while get_origin(hint) in (Annotated, NotRequired, Required):
        hint = get_args(hint)[0]
    return hint


def members_of(hint: Any) -> Iterable[Any]:
    """Every type that a hint is made of."""
    hint = bare(hint)
    arguments = () if get_origin(hint) is Literal else get_args(hint)
    return [hint, *(member for argument in arguments for member in members_of(argument))]


def is_shape(hint: Any) -> bool:
    return isinstance(hint, type) and (is_typeddict(hint) or issubclass(hint, BaseModel))


def all_shapes() -> list[type]:
    """All shapes that cross the wire, each after those that it uses."""
    ordered: dict[type, None] = {}

    def visit(hint: Any) -> None:
        for member in members_of(hint):
            if is_shape(member) and member not in ordered:
                for field in hints_of(member).values():
                    visit(field)
                ordered[member] = None

    for method in METHODS:
        visit(method.params)
        visit(method.result)
    for _, shape, _ in NOTIFICATIONS:
        visit(shape)
    return list(ordered)


def fields_of(shape: type) -> list[tuple[str, Any, bool, FieldInfo | None]]:
    """(name, hint, required, pydantic's field) of each field."""
    if issubclass(shape, BaseModel):
        hints = hints_of(shape)
        return [(name, hints[name], field.is_required(), field) for name, field in shape.model_fields.items()]
    required: frozenset[str] = shape.__required_keys__  # type: ignore[attr-defined]
    return [(name, hint, name in required, None) for name, hint in hints_of(shape).items()]


def first_line(shape: type) -> str:
    return (shape.__doc__ or "").strip().split("\n")[0]
