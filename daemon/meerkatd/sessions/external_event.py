"""Something that happened outside of a session, as the session keeps it: a notice that people and the model read as
text, with the facts beside it for programs.

It asks for no answer. The next turn reads it, or the running one with its next call of the model; see `injection`.
"""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..contract.message import ExternalEventBlock, SystemNotice
from ..ids import SessionId, uuid7
from .clock import rfc3339

# Of our own: it makes the same id of the same key, and no id that anybody else makes.
_NAMESPACE = uuid.UUID("5b0f6a52-3c0e-5d0b-9a51-9d2a4b6f0c11")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalEvent:
    """`injection.Addition`.

    Attributes:
        payload: any JSON.
        texts: said to the model beside it.
    """

    event_type: str
    source: str
    payload: Any
    texts: Sequence[str] = ()

    def message(self, at_ms: int) -> SystemNotice:
        block: ExternalEventBlock = {
            "type": "external_event",
            "event_type": self.event_type,
            "source": self.source,
            "payload": self.payload,
        }
        if self.texts:
            block["content"] = [{"type": "text", "text": text} for text in self.texts]
        return {
            "role": "system_notice",
            "kind": "external_event",
            "body": self._body(),
            "created_at": rfc3339(at_ms),
            "blocks": [block],
        }

    def _body(self) -> str:
        payload = "" if self.payload is None else json.dumps(self.payload, ensure_ascii=False)
        # Said to be from outside, so that the model does not take it for its user's word.
        said = [f"[Event from outside: {self.event_type}, told by {self.source}]", payload, *self.texts]
        return "\n".join(text for text in said if text)


def event_id(session_id: SessionId, key: str | None) -> str:
    """The id of an event. One with a key has the key's, so that whoever repeats it is told that of the first."""
    return uuid7() if key is None else str(uuid.uuid5(_NAMESPACE, f"{session_id}:{key}"))
