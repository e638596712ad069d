"""Which fields of answers tell where files are. No I/O. Only `--expose-paths` shows them."""

from typing import Any, Final

PATHS: Final = frozenset(
    ("resolved_paths", "path", "endpoints", "state_root", "runtime_dir", "socket_path", "log_path")
)
# Fields whose values may have such fields themselves; the content of sessions is never looked into.
_INSIDE: Final = frozenset(("realm", "realms", "trash", "pruned"))


def without_paths(result: Any) -> Any:
    """A result of the daemon's without them."""
    if isinstance(result, list):
        return [without_paths(each) for each in result]
    if not isinstance(result, dict):
        return result
    kept = {name: value for name, value in result.items() if name not in PATHS}
    return {name: without_paths(value) if name in _INSIDE else value for name, value in kept.items()}
