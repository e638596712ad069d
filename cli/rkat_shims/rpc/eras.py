"""What clients of an older contract see otherwise. The daemon speaks the newest one; here it is put into older words.

Contracts before 0.8 know an event by `source_id` instead of `source`, and two kinds by other fields. Their stock
clients, moreover, read the event of a `session/event` without its envelope, although they read that of a
`session/stream_event` with it; so the former carries the payload's fields beside those of the envelope.
"""

from typing import Any

# The first contract with today's events.
_TODAY = (0, 8)


def is_older(contract_version: str) -> bool:
    """Whether events need older words. What is no version is taken for today's."""
    major, _, rest = contract_version.partition(".")
    minor = rest.partition(".")[0]
    return major.isdecimal() and minor.isdecimal() and (int(major), int(minor)) < _TODAY


def in_older_words(message: dict[str, Any]) -> dict[str, Any]:
    """A notification of the daemon for a client of an older contract."""
    params = message.get("params") or {}
    envelope = params.get("event")
    if not isinstance(envelope, dict):
        return message
    payload = _older_payload(envelope["payload"])
    older = {**envelope, "source_id": f"session:{params['session_id']}", "payload": payload}
    if message["method"] == "session/event":
        older = {**payload, **older}
    return {**message, "params": {**params, "event": older}}


def _older_payload(payload: dict[str, Any]) -> dict[str, Any]:
    if payload["type"] == "run_started":
        return {**payload, "prompt": _text_of(payload["input"].get("content", ""))}
    if payload["type"] == "tool_execution_completed":
        return {**payload, "result": _text_of(payload["content"]), "has_images": False}
    return payload


def _text_of(content: str | list[dict[str, Any]]) -> str:
    return content if isinstance(content, str) else "".join(block.get("text", "") for block in content)
