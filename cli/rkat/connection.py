"""Connections of the CLI: to the daemon of the state root, bound to the realm that the options or a reference name."""

import os

from meerkat_client._sync import BlockingClient
from meerkat_client.wire.credentials import from_environment

from .options import Options
from .references import realm_of

NAME = "rkat"


def connect(options: Options, *, reference: str | None = None, start: bool = True) -> BlockingClient:
    """A connection; the provider keys of this shell go with it.

    Args:
        reference: a session that is meant; `realm:uuid` leads to its realm when no option names one.
        start: start a daemon when none runs.

    Raises:
        RkatError: DAEMON_UNAVAILABLE and what else `BlockingClient.connect` raises; INVALID_PARAMS for the options.
    """
    choice = options.choice_of_realm()
    other = realm_of(reference) if reference is not None else None
    if other is not None and set(choice) == {"workspace"} and options.workspace is None:
        choice = {"realm_id": other}
    return BlockingClient.connect(
        **choice,
        instance_id=options.instance,
        backend=options.realm_backend,
        name=NAME,
        credentials=from_environment(os.environ),
        state_root=options.state_root,
        start=start,
    )
