"""The Python client of meerkatd.

    from meerkat_client import BlockingClient

    with BlockingClient.connect(workspace=".") as client:
        print(client.call("session/create", {"prompt": "Hello"})["text"])

Names are loaded when they are used: the daemon and the shims import only `meerkat_client.wire`, the ground floor.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._sync import BlockingClient
    from .errors import RkatError

__all__ = ["BlockingClient", "RkatError"]

_HOMES = {"BlockingClient": "_sync", "RkatError": "errors"}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{home}", __name__), name)
