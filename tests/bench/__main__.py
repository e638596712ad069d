"""`python -m tests.bench [--only NAME] [--quick] [--json FILE]`: run benches, print one table.

Exit status 1 when a goal is missed, so that a program can ask.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterator, Sequence

from tests.bench.harness import Row, Scale
from tests.bench.registry import BENCHES

_LINE = "{:<13} {:<50} {:>8} {:>8} {:<4} {:>8} {:<15} {:>6} {:<13} {}"
_SIGNS = {True: "yes", False: "NO", None: ""}


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=BENCHES, metavar="NAME", help=", ".join(BENCHES))
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it works, measures nothing")
    parser.add_argument("--json", metavar="FILE", help="write the rows there too")
    args = parser.parse_args(argv)
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {platform.system()} {platform.release()}")
    print(_LINE.format("bench", "what", "figure", "best", "", "baseline", "", "ratio", "goal", "met"))
    rows = []
    for name, row in _run(args.only or list(BENCHES), Scale(quick=args.quick)):
        rows.append({"bench": name, "met": row.met, "ratio": row.ratio} | _fields(row))
        print(_shown(name, row), flush=True)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=2)
    missed = [row["what"] for row in rows if row["met"] is False]
    print(f"{len(missed)} of {sum(row['met'] is not None for row in rows)} goals missed")
    return 1 if missed else 0


def _run(names: Sequence[str], scale: Scale) -> Iterator[tuple[str, Row]]:
    for name in names:
        for row in BENCHES[name](scale):
            yield name, row


def _fields(row: Row) -> dict[str, object]:
    return {name: getattr(row, name) for name in Row.__slots__}


def _shown(name: str, row: Row) -> str:
    goal = ""
    if row.goal is not None:
        word = {"figure": "", "ratio": "ratio ", "difference": "beyond "}[row.judged]
        goal = f"{word}<= {row.goal:g}"
    return _LINE.format(
        name,
        row.what,
        _number(row.figure),
        "" if row.best is None else _number(row.best),
        row.unit,
        "" if row.baseline is None else _number(row.baseline),
        row.against,
        "" if row.ratio is None else f"{row.ratio:.2f}",
        goal,
        _SIGNS[row.met],
    ).rstrip()


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
