"""What a fork takes from the session that it comes from."""

from collections.abc import Sequence

from ..api import NewMessage
from .files import RealmFiles
from .record import parse


def first_messages(files: RealmFiles, session_id: str, count: int) -> Sequence[NewMessage]:
    """Messages 0 to `count` - 1, all of them in memory. KeyError and ValueError as `RealmStore.fork_session` says."""
    home = files.catalog.sessions[session_id]
    if count > home.row.message_count:
        raise ValueError(f"session {session_id} has {home.row.message_count} messages, not {count}")
    with files.window(home) as window:
        lines = [parse(window.line(place)) for place in files.offsets(home).messages[:count]]
    return [NewMessage(role=fields["role"], body=fields["body"]) for fields in lines]
