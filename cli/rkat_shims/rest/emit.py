"""Writes what is generated from the table of routes and the contract.

python -m rkat_shims.rest.emit           write the files
python -m rkat_shims.rest.emit --check   exit 1 when a file is not what would be written
"""

import sys
from collections.abc import Callable
from pathlib import Path

from . import openapi, pages

_ROOT = Path(__file__).resolve().parents[3]

FILES: dict[str, Callable[[], str]] = {
    "docs/reference/openapi.json": openapi.text,
    "docs/reference/rest.md": pages.markdown,
}


def stale() -> list[str]:
    """Files that are not what would be written."""
    return [
        name
        for name, make in FILES.items()
        if not (_ROOT / name).is_file() or (_ROOT / name).read_text(encoding="utf-8") != make()
    ]


def main() -> int:
    """Write the files, or check them; returns the exit status."""
    if "--check" in sys.argv[1:]:
        for name in stale():
            print(f"{name} is not up to date: run `python -m rkat_shims.rest.emit`")
        return 1 if stale() else 0
    for name, make in FILES.items():
        (_ROOT / name).write_text(make(), encoding="utf-8")
        print(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
