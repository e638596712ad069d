"""Events in the form that clients of the contract before 0.6 read. No I/O here.

Their envelope has `source_id` in place of the object `source`. What they stream of a turn they read as a bare event: so
the fields of the payload stand beside those of the envelope, which has none of the same name. What they read from
`session/stream_event` they take out of `payload`. Some payloads had other fields as well; newer ones stay where they
are not in the way.
"""

from typing import Any, cast

from ..contract.event import EventEnvelope, EventPayload

# From this version on an envelope's source is an object and the envelope is read as one.
SOURCE_OBJECTS_SINCE = (0, 6, 0)


def older_envelope(envelope: EventEnvelope) -> dict[str, Any]:
    """`envelope` as those clients read it."""
    payload = _older_payload(envelope["payload"])
    return {
        **payload,
        **envelope,
        "source_id": f"session:{envelope['source']['session_id']}",
        "payload": payload,
    }


def _older_payload(payload: EventPayload) -> dict[str, Any]:
    older = dict(payload)
    match payload["type"]:
        case "run_started":
            content = payload["input"]["content"]
            older["prompt"] = content if isinstance(content, str) else _text(content)
        case "tool_execution_completed":
            older["result"] = _text(payload["content"])
            older["has_images"] = False
        case "retrying":
            plan = payload["retry"]["plan"]
            older["attempt"] = plan["attempt"]
            older["max_attempts"] = plan["max_retries"]
            older["delay_ms"] = plan["selected_delay_ms"]
            older["error"] = payload["retry"]["failure"]["message"]
        case "stream_truncated":
            older["reason"] = f"{payload['reason']['dropped']} events are missing"
    return older


def _text(blocks: Any) -> str:
    return "".join(cast(str, block["text"]) for block in blocks if block["type"] == "text")
