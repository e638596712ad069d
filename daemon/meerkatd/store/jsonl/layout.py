"""The names of a realm's files.

    realm.jsonl             format, who made the realm, prunes of keys
    sessions/<id>.jsonl     everything of one session, in the order in which it happened
    sessions/<id>.jsonl.torn-<ns>   what a crash left of a write that nobody was told of
    index.jsonl             what opening would otherwise have to read every file for; may be deleted while closed
    sessions.lock           held by the one process that has the realm open

Every transaction touches exactly one log, so that one sync commits it.
"""

REALM_LOG = "realm.jsonl"
INDEX = "index.jsonl"
LOCK = "sessions.lock"
FOLDER = "sessions"
ENDING = ".jsonl"


def session_file(session_id: str) -> str:
    """The name of a session's log within the realm's folder."""
    return f"{FOLDER}/{session_id}{ENDING}"
