"""Connections of the CLI: to the daemon of the state root, bound to the realm that the options or a reference name."""

import os

from meerkat_client import BlockingClient
from meerkat_client._dial import DEFAULT_DEADLINE_SECONDS
from meerkat_client.errors import RkatError
from meerkat_client.wire.credentials import from_environment

from .options import Options
from .references import realm_of

NAME = "rkat"


def connect(
    options: Options, *, reference: str | None = None, start: bool = True, deadline: float = DEFAULT_DEADLINE_SECONDS
) -> BlockingClient:
    """A connection; the provider keys of this shell go with it.

    Args:
        reference: a session that is meant; `realm:uuid` leads to its realm when no option names one.
        start: start a daemon when none runs.
        deadline: seconds for everything together.

    Raises:
        RkatError: DAEMON_UNAVAILABLE and what else `BlockingClient.connect` raises; INVALID_PARAMS for the options.
    """
    choice = options.choice_of_realm()
    other = realm_of(reference) if reference is not None else None
    if other is not None and set(choice) == {"workspace"} and options.workspace is None:
        choice = {"realm_id": other}
    try:
        return BlockingClient.connect(
            **choice,
            instance_id=options.instance,
            backend=options.realm_backend,
            name=NAME,
            credentials=from_environment(os.environ),
            state_root=options.state_root,
            start=start,
            deadline=deadline,
        )
    except TimeoutError as error:
        raise RkatError(
            "DAEMON_UNAVAILABLE",
            "The daemon takes connections and does not answer.",
            hint="`rkat daemon logs` may tell why; ending the process by hand loses running turns and nothing else.",
        ) from error
