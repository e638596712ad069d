"""Checks of schemas, and of answers against them, each in a process of its own; `schema_worker` says why.

Cancellation kills the process before it returns, and so does the limit of time.
"""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import trio

from ..errors import AgentError, InvalidParams
from .output_schema import OutputSchema

log = logging.getLogger(__name__)

# A schema of the largest size takes half a second; what takes longer than this would never end.
LIMIT_SECONDS = 10.0
# Each uses a whole processor, and many turns may end at once.
MAX_AT_ONCE = 2

_WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "schema_worker.py")
# Nothing of the daemon's environment is of use there; on some systems Python needs its locale.
_ENVIRONMENT = {"LANG": "C.UTF-8"}
_at_once = trio.CapacityLimiter(MAX_AT_ONCE)


class Problem(NamedTuple):
    """Where something is wrong (in a schema `properties.age.type`, in an answer `$.items[0].age`), and what."""

    path: str
    message: str


class Findings(NamedTuple):
    """The first problems, and how many more there are."""

    problems: tuple[Problem, ...]
    more: int


class NotChecked(Exception):
    """The check took too long or too much memory; nothing is known."""


async def check_schema(given: Mapping[str, Any]) -> None:
    """Look at the output schema of a request, before anything is made of it.

    Raises:
        InvalidParams: with the path of what is wrong.
    """
    schema = OutputSchema.parse(given)
    prefix = "output_schema" if schema.schema is given else "output_schema.schema"
    try:
        findings = await _look({"schema": schema.schema})
    except NotChecked as error:
        raise InvalidParams(f"{prefix}: {error}.", details={"field": prefix}) from None
    if findings.problems:
        first = findings.problems[0]
        path = f"{prefix}.{first.path}" if first.path else prefix
        raise InvalidParams(
            f"{path}: {first.message}.",
            details={"field": path, "problems": len(findings.problems) + findings.more},
            hint="An output schema is JSON Schema, 2020-12 unless its $schema says otherwise.",
        )


async def check_value(value: Any, schema: Mapping[str, Any]) -> Findings:
    """Where `value` does not fit a schema that was checked before.

    Raises:
        NotChecked: it cannot be told.
    """
    return await _look({"schema": schema, "value": value})


async def _look(job: dict[str, Any]) -> Findings:
    request = json.dumps(job).encode()
    # The wait for a place does not count: other turns are no fault of this schema.
    async with _at_once:
        with trio.move_on_after(LIMIT_SECONDS):
            done = await trio.run_process(
                [sys.executable, "-I", _WORKER],
                stdin=request,
                capture_stdout=True,
                capture_stderr=True,
                check=False,
                env=_ENVIRONMENT,
                deliver_cancel=_kill,
            )
            return _findings(done)
    raise NotChecked(f"checking it takes more than {LIMIT_SECONDS:g} seconds")


async def _kill(process: trio.Process) -> None:
    """Nothing in there is worth a moment's notice."""
    process.kill()
    await trio.lowlevel.checkpoint()


def _findings(done: "subprocess.CompletedProcess[bytes]") -> Findings:
    if done.returncode == 0:
        reply = json.loads(done.stdout)
        return Findings(tuple(Problem(**each) for each in reply["problems"]), reply["more"])
    if b"MemoryError" in done.stderr:
        raise NotChecked("checking it takes more memory than it may have")
    log.error("the checker of schemas ended with %d: %s", done.returncode, done.stderr.decode(errors="replace"))
    raise AgentError(
        "The checker of output schemas failed.",
        details={"status": done.returncode},
        hint="`rkat daemon logs` has what it said; the package jsonschema may be missing.",
    )
