"""References to sessions, as they are shown and read. The daemon resolves them; this is about the short ones."""

from collections.abc import Sequence
from typing import Annotated

import typer

# The time of a UUID version 7 to the millisecond, `019ab3c4-12fd`: the first 8 characters are shared by everything
# that was made within the same minute.
SHORT_CHARS = 13


Session = Annotated[
    str,
    typer.Argument(
        metavar="SESSION", help="Id, the beginning of one, realm:id, `last`, or ~N (the Nth before the last)."
    ),
]
"""The argument of every command that is about one session."""


def short(session_id: str) -> str:
    """The beginning of a session's id that is all but certainly unique, and a reference to it."""
    return session_id[:SHORT_CHARS]


def name_from_here(session_id: str, *, realm_id: str, reference: str | None, isolated: bool) -> str:
    """A reference that leads to a session from where the user stands, beside the options of the call.

    Args:
        reference: as the user named the session; one with a realm in it gives one with a realm.
        isolated: the realm was made for this call, so nothing else leads to it.
    """
    if isolated or (reference is not None and realm_of(reference) is not None):
        return f"{realm_id}:{short(session_id)}"
    return short(session_id)


def short_all(session_ids: Sequence[str]) -> dict[str, str]:
    """A short reference for each of several ids, all of one length and no two alike."""
    length = SHORT_CHARS
    while length < 36 and len({each[:length] for each in session_ids}) < len(set(session_ids)):
        length += 1
    return {each: each[:length].rstrip("-") if length < 36 else each for each in session_ids}


def realm_of(reference: str) -> str | None:
    """The realm that a `realm:uuid` names; None for any other reference."""
    realm, colon, _ = reference.strip().partition(":")
    return realm if colon else None
