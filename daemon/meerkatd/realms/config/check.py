"""From plain values to the checked document, with errors that say where and what is meant."""

import difflib
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from ...contract.base import complaint
from ...contract.config import plain_tree
from ...contract.config_document import ConfigDocument


class ConfigFault(Exception):
    """A document that cannot be used.

    Attributes:
        path: keys down to the fault; empty for the document as a whole.
        what: what is wrong there, without the value.
    """

    def __init__(self, path: Sequence[str], what: str) -> None:
        super().__init__(f"{'.'.join(path) or 'the document'}: {what}")
        self.path = tuple(path)
        self.what = what


def check_document(plain: dict[str, Any]) -> ConfigDocument:
    """Check a document. Raises ConfigFault for the first thing that is wrong."""
    try:
        plain_tree(plain)
    except ValueError as error:
        raise ConfigFault((), str(error)) from None
    null = _find_null(plain, ())
    if null is not None:
        raise ConfigFault(null, "must not be null; leave the key out")
    try:
        return ConfigDocument.model_validate(plain)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
    # A misspelt name is the cause, a missing one often only its effect.
    first = next((each for each in problems if each["type"] == "extra_forbidden"), problems[0])
    path = tuple(str(part) for part in first["loc"] if part != "[key]")
    if first["type"] == "extra_forbidden":
        raise ConfigFault(path, f"unknown key{_did_you_mean(path)}")
    raise ConfigFault(path, complaint(first))


def _find_null(node: Any, path: tuple[str, ...]) -> tuple[str, ...] | None:
    if node is None:
        return path
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, each in items:
        found = _find_null(each, (*path, str(key)))
        if found is not None:
            return found
    return None


def _did_you_mean(path: tuple[str, ...]) -> str:
    """The nearest known key: in the same table, or the same name in another one."""
    *table, name = path
    here = _keys_of(_model_at(table))
    near = difflib.get_close_matches(name, here, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    for section in ConfigDocument.model_fields:
        if name in _keys_of(_model_at([section])):
            return f"; did you mean '{section}.{name}'?"
    return f"; known are {', '.join(here)}" if here else ""


def _keys_of(model: type[BaseModel] | None) -> list[str]:
    return list(model.model_fields) if model is not None else []


def _model_at(path: Sequence[str]) -> type[BaseModel] | None:
    """The model of the table at `path`; None where there is none."""
    model: type[BaseModel] | None = ConfigDocument
    names = iter(path)
    for name in names:
        field = model.model_fields.get(name) if model is not None else None
        if field is None:
            return None
        found = next((each for each in _types_in(field.annotation) if issubclass(each, BaseModel)), None)
        if found is not None and not isinstance(field.annotation, type):
            # A table of tables: the next part is a name.
            next(names, None)
        model = found
    return model


def _types_in(annotation: Any) -> list[type]:
    if isinstance(annotation, type):
        return [annotation]
    return [each for part in get_args(annotation) for each in _types_in(part)]
