"""What is known of a config beside its text: the table of what a file found on the disk means. Pure.

A write goes to `config_state.json` first, with the generation and digest that it makes and those that it replaces, and
to `config.toml` second; the second rename is the commit. So a crash between the two is told by the digest of the file:

| digest of config.toml        | meaning                                    | generation        |
|------------------------------|--------------------------------------------|-------------------|
| that of the state            | the last write is there                    | the state's       |
| that which it replaced       | the last write never happened              | the one before    |
| another one                  | somebody edited the file                   | the state's + 1   |
| there is no state            | no write ever, but maybe a file made by hand | 0 without, 1 with |

The state is ahead and not behind the file so that the idempotency key of a write is durable with it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

# A program repeats a write within seconds; with this many others in between it has something else to do.
KEYS_KEPT = 64


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


NOTHING = digest_of(b"")
"""Digest of a config without a file; an empty file says the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteKey:
    """An idempotency key, the digest of its request, and the generation that this made."""

    key: str
    method: str
    digest: str
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigState:
    """Generation of a config and the digest of its text; `replaced` are those before the last write, if one is told."""

    generation: int = 0
    digest: str = NOTHING
    replaced: tuple[int, str] | None = None
    keys: tuple[WriteKey, ...] = ()

    def written(self, digest: str, *, key: WriteKey | None) -> "ConfigState":
        """After the next write."""
        kept = (*self.keys, key) if key is not None else self.keys
        return ConfigState(
            generation=self.generation + 1,
            digest=digest,
            replaced=(self.generation, self.digest),
            keys=kept[-KEYS_KEPT:],
        )

    def edited(self, digest: str) -> "ConfigState":
        """After an edit by hand that was seen while the last write was known to be there."""
        return ConfigState(generation=self.generation + 1, digest=digest, keys=self.keys)

    def key(self, key: str) -> WriteKey | None:
        return next((each for each in self.keys if each.key == key), None)

    def dump(self) -> bytes:
        fields: dict[str, Any] = {"generation": self.generation, "digest": self.digest}
        if self.replaced is not None:
            fields["replaced"] = {"generation": self.replaced[0], "digest": self.replaced[1]}
        fields["keys"] = [
            {"key": each.key, "method": each.method, "digest": each.digest, "generation": each.generation}
            for each in self.keys
        ]
        return (json.dumps(fields, indent=1) + "\n").encode()

    @classmethod
    def load(cls, data: bytes) -> "ConfigState":
        """Read what `dump` wrote. Raises ValueError when it is something else."""
        fields = json.loads(data)
        if not isinstance(fields, dict):
            raise ValueError("not an object")
        try:
            replaced = fields.get("replaced")
            return cls(
                generation=_count(fields["generation"]),
                digest=str(fields["digest"]),
                replaced=(_count(replaced["generation"]), str(replaced["digest"])) if replaced else None,
                keys=tuple(_key(each) for each in fields.get("keys", ())),
            )
        except (KeyError, TypeError) as error:
            raise ValueError("a field is missing") from error


def settle(known: ConfigState | None, digest: str) -> ConfigState:
    """The state when a config is opened and its file has `digest`; the table above."""
    if known is None:
        return ConfigState() if digest == NOTHING else ConfigState(generation=1, digest=digest)
    if digest == known.digest:
        return known
    # Of these two, the first knows that the last write did not happen; the second cannot know, and a key whose write
    # was lost must not answer for it.
    unsure = () if known.replaced is None else tuple(k for k in known.keys if k.generation < known.generation)
    if known.replaced is not None and digest == known.replaced[1]:
        return ConfigState(generation=known.replaced[0], digest=digest, keys=unsure)
    kept = known.keys if known.replaced is None else unsure
    return replace(known.edited(digest), keys=kept)


def _key(fields: Mapping[str, Any]) -> WriteKey:
    return WriteKey(
        key=str(fields["key"]),
        method=str(fields["method"]),
        digest=str(fields["digest"]),
        generation=_count(fields["generation"]),
    )


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("not a generation")
    return value
